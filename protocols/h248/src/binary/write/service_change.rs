//! ServiceChange descriptors.

use super::super::ber::universal;
use super::super::naming::ValueForm;
use super::super::read::is_extension;
use super::super::{ber, value};
use super::{Writer, context};
use crate::message::{
    Parameter, ParmValue, Profile, ServiceChangeAddress, ServiceChangeMethod, ServiceChangeParms,
    ServiceChangeReason, ServiceChangeResult,
};

impl Writer<'_> {
    /// ServiceChangeParm.
    pub(super) fn service_change_parms(&mut self, parms: &ServiceChangeParms) {
        let method = match &parms.method {
            ServiceChangeMethod::Failover => 0,
            ServiceChangeMethod::Forced => 1,
            ServiceChangeMethod::Graceful => 2,
            ServiceChangeMethod::Restart => 3,
            ServiceChangeMethod::Disconnected => 4,
            ServiceChangeMethod::HandOff => 5,
            ServiceChangeMethod::Extension(name) => {
                return self.refuse("service change method", name.as_str());
            }
        };
        self.integer(context(0), method);
        self.service_change_address(context(1), parms.address.as_ref());
        self.optional_integer(context(2), parms.version);
        self.profile(context(3), parms.profile.as_ref());
        self.constructed(context(4), |w| w.reason(&parms.reason));
        self.optional_integer(context(5), parms.delay);
        if let Some(mgc_id) = &parms.mgc_id {
            self.constructed(context(6), |w| w.mid(0, mgc_id));
        }
        if let Some(time) = parms.time {
            self.time(context(7), time);
        }
        self.extensions(context(8), &parms.extensions);
        if let Some(info) = &parms.info {
            self.audit(context(9), info);
        }
        self.flag(context(10), parms.incomplete);
    }

    /// serviceChangeReason: a string, wrapped like the value of a package's item.
    fn reason(&mut self, reason: &ServiceChangeReason) {
        let space = if reason.text.is_empty() { "" } else { " " };
        let text = format!("{}{space}{}", reason.code, reason.text);
        match self.naming.values {
            ValueForm::Text => self.octets(universal::OCTET_STRING, text.as_bytes()),
            ValueForm::Typed => {
                let mut wrapped = Vec::with_capacity(text.len() + 4);
                ber::primitive(universal::IA5_STRING, text.as_bytes(), &mut wrapped);
                self.octets(universal::OCTET_STRING, &wrapped);
            }
        }
    }

    /// NonStandardData: one extension with a name of eight characters.
    fn extensions(&mut self, tag: u8, extensions: &[Parameter]) {
        match extensions {
            [] => (),
            [
                Parameter {
                    name,
                    value: ParmValue::Equal(value),
                },
            ] if is_extension(name.as_bytes()) => self.constructed(tag, |w| {
                w.constructed(context(0), |w| w.octets(context(2), name.as_bytes()));
                let mut data = Vec::new();
                value::write(value, None, &mut data);
                w.octets(context(1), &data);
            }),
            [extension, ..] => self.refuse("extension", extension.name.as_str()),
        }
    }

    /// ServiceChangeResParm.
    pub(super) fn service_change_result(&mut self, result: &ServiceChangeResult) {
        if let Some(mgc_id) = &result.mgc_id {
            self.constructed(context(0), |w| w.mid(0, mgc_id));
        }
        self.service_change_address(context(1), result.address.as_ref());
        self.optional_integer(context(2), result.version);
        self.profile(context(3), result.profile.as_ref());
        if let Some(time) = result.time {
            self.time(context(4), time);
        }
    }

    /// ServiceChangeAddress.
    fn service_change_address(&mut self, tag: u8, address: Option<&ServiceChangeAddress>) {
        let Some(address) = address else { return };
        self.constructed(tag, |w| match address {
            ServiceChangeAddress::Port(port) => w.integer(context(0), *port),
            ServiceChangeAddress::Mid(mid) => w.mid(1, mid),
        });
    }

    /// ServiceChangeProfile.
    fn profile(&mut self, tag: u8, profile: Option<&Profile>) {
        let Some(profile) = profile else { return };
        let text = format!("{}/{}", profile.name, profile.version);
        self.constructed(tag, |w| w.octets(context(0), text.as_bytes()));
    }
}
