//! Capabilities exchange, RFC 6733 5.3.

use std::net::IpAddr;

use crate::dictionary::{Dictionary, base};
use crate::error::Error;
use crate::message::Message;
use crate::reply::Origin;
use crate::result::ResultCode;
use crate::writer::Writer;

/// What this node says of itself in CER and CEA.
#[derive(Clone, Debug)]
pub struct Local {
    /// Origin-Host and Origin-Realm.
    pub origin: Origin,
    /// Host-IP-Address, at least one.
    pub host_ip_addresses: Vec<IpAddr>,
    /// Vendor-Id: the IANA enterprise number of the vendor, 0 for none.
    pub vendor_id: u32,
    /// Product-Name.
    pub product_name: String,
    /// Applications this node speaks.
    pub applications: Vec<&'static Dictionary>,
}

impl Local {
    /// Whether `application` is one of this node's.
    pub fn application(&self, application: u32) -> Option<&'static Dictionary> {
        self.applications
            .iter()
            .copied()
            .find(|dictionary| dictionary.application == application)
    }

    /// The AVPs CER and CEA share.
    pub(crate) fn write(&self, writer: &mut Writer, origin_state_id: u32) {
        writer.text(&base::ORIGIN_HOST, &self.origin.host);
        writer.text(&base::ORIGIN_REALM, &self.origin.realm);
        for &address in &self.host_ip_addresses {
            writer.address(&base::HOST_IP_ADDRESS, address);
        }
        writer.u32(&base::VENDOR_ID, self.vendor_id);
        writer.text(&base::PRODUCT_NAME, &self.product_name);
        writer.u32(&base::ORIGIN_STATE_ID, origin_state_id);
        let mut vendors: Vec<u32> = self
            .applications
            .iter()
            .filter_map(|app| app.vendor)
            .collect();
        vendors.sort_unstable();
        vendors.dedup();
        for vendor in vendors {
            writer.u32(&base::SUPPORTED_VENDOR_ID, vendor);
        }
        for application in &self.applications {
            match application.vendor {
                None => writer.u32(&base::AUTH_APPLICATION_ID, application.application),
                Some(vendor) => writer.group(&base::VENDOR_SPECIFIC_APPLICATION_ID, |inside| {
                    inside.u32(&base::VENDOR_ID, vendor);
                    inside.u32(&base::AUTH_APPLICATION_ID, application.application);
                }),
            }
        }
    }
}

/// What a peer says of itself in CER and CEA.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Remote {
    pub(crate) origin: Origin,
    /// Applications both have; a relay has all.
    pub(crate) applications: Vec<u32>,
    /// Inband-Security-Id is there and not NO_INBAND_SECURITY.
    insists_on_tls: bool,
}

/// NO_INBAND_SECURITY, RFC 6733 6.10.
const NO_INBAND_SECURITY: u32 = 0;

impl Remote {
    /// Reads a CER or CEA that passed its grammar.
    pub(crate) fn read(message: &Message<'_>, local: &Local) -> Result<Remote, Error> {
        let identity = |def| match message.find(def) {
            Some(avp) => avp.to_identity().map(str::to_owned),
            None => Err(Error::missing(def)),
        };
        let mut advertised = Vec::new();
        let mut securities = Vec::new();
        for avp in message.avps() {
            if avp.is(&base::AUTH_APPLICATION_ID) || avp.is(&base::ACCT_APPLICATION_ID) {
                advertised.push(avp.to_u32()?);
            } else if avp.is(&base::VENDOR_SPECIFIC_APPLICATION_ID) {
                for inside in avp.to_group()? {
                    if inside.is(&base::AUTH_APPLICATION_ID)
                        || inside.is(&base::ACCT_APPLICATION_ID)
                    {
                        advertised.push(inside.to_u32()?);
                    }
                }
            } else if avp.is(&base::INBAND_SECURITY_ID) {
                securities.push(avp.to_u32()?);
            }
        }
        let relay = advertised.contains(&base::RELAY_APPLICATION_ID);
        let mut applications: Vec<u32> = local
            .applications
            .iter()
            .map(|application| application.application)
            .collect();
        applications.retain(|application| relay || advertised.contains(application));
        Ok(Remote {
            origin: Origin {
                host: identity(&base::ORIGIN_HOST)?,
                realm: identity(&base::ORIGIN_REALM)?,
            },
            applications,
            insists_on_tls: !securities.is_empty() && !securities.contains(&NO_INBAND_SECURITY),
        })
    }

    /// Why the two cannot talk, RFC 6733 5.3.
    pub(crate) fn refusal(&self) -> Option<ResultCode> {
        if self.applications.is_empty() {
            return Some(ResultCode::NO_COMMON_APPLICATION);
        }
        self.insists_on_tls
            .then_some(ResultCode::NO_COMMON_SECURITY)
    }
}
