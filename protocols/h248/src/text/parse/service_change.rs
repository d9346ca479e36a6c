//! ServiceChange descriptors.

use super::super::scan::{Parse, Scanner};
use super::super::token as t;
use super::{
    audit, equal_number, event, is_extension, items, mid, name_from, number, once, parm_value,
};
use crate::error::ErrorCode;
use crate::message::{
    AuditDescriptor, Mid, Name, Parameter, Profile, ServiceChangeAddress, ServiceChangeMethod,
    ServiceChangeParms, ServiceChangeReason, ServiceChangeResult, TimeStamp,
};

/// serviceChangeDescriptor behind its token.
pub(super) fn parms(s: &mut Scanner<'_>) -> Parse<ServiceChangeParms> {
    let mut common = Common::default();
    let (mut method, mut reason, mut delay) = (None, None, None);
    let mut info: Option<AuditDescriptor> = None;
    let mut incomplete = false;
    let mut extensions: Vec<Parameter> = Vec::new();
    let start = s.offset();
    s.expect(b'{', "{")?;
    items(s, b'}', |s| {
        let at = s.offset();
        let word = s.word();
        let twice = ErrorCode::PROPERTY_TWICE;
        if t::METHOD.is(word) {
            let value = self::method(s)?;
            once(s, at, &mut method, value, twice)
        } else if t::REASON.is(word) {
            let value = self::reason(s)?;
            once(s, at, &mut reason, value, twice)
        } else if t::DELAY.is(word) {
            let value = equal_number(s, u32::MAX, "a delay in seconds")?;
            once(s, at, &mut delay, value, twice)
        } else if t::SERVICE_CHANGE_INCOMPLETE.is(word) {
            incomplete = true;
            Ok(())
        } else if is_extension(word) {
            let name = Name::from_ascii(word);
            extensions.push(Parameter {
                name,
                value: parm_value(s)?,
            });
            Ok(())
        } else if let Some(token) = audit::audit_token(word) {
            audit::audit_item(s, at, token, info.get_or_insert_default())
        } else {
            common.parm(s, at, word)
        }
    })?;
    let (Some(method), Some(reason)) = (method, reason) else {
        return s.error_at(start, ErrorCode::SYNTAX_IN_COMMAND, "Method and Reason");
    };
    let Common {
        mgc_id,
        address,
        version,
        profile,
        time,
    } = common;
    Ok(ServiceChangeParms {
        method,
        reason,
        address,
        version,
        profile,
        delay,
        mgc_id,
        time,
        info,
        incomplete,
        extensions,
    })
}

/// serviceChangeReplyDescriptor behind its token.
pub(super) fn result(s: &mut Scanner<'_>) -> Parse<ServiceChangeResult> {
    let mut common = Common::default();
    s.expect(b'{', "{")?;
    items(s, b'}', |s| {
        let at = s.offset();
        let word = s.word();
        common.parm(s, at, word)
    })?;
    let Common {
        mgc_id,
        address,
        version,
        profile,
        time,
    } = common;
    Ok(ServiceChangeResult {
        mgc_id,
        address,
        version,
        profile,
        time,
    })
}

/// What requests and replies have in common.
#[derive(Default)]
struct Common {
    mgc_id: Option<Mid>,
    address: Option<ServiceChangeAddress>,
    version: Option<u8>,
    profile: Option<Profile>,
    time: Option<TimeStamp>,
}

impl Common {
    fn parm(&mut self, s: &mut Scanner<'_>, at: usize, word: &[u8]) -> Parse<()> {
        let twice = ErrorCode::PROPERTY_TWICE;
        if t::SERVICE_CHANGE_ADDRESS.is(word) {
            s.expect(b'=', "=")?;
            let value = address(s)?;
            once(s, at, &mut self.address, value, twice)
        } else if t::MGC_ID_TO_TRY.is(word) {
            s.expect(b'=', "=")?;
            let value = mid(s)?;
            once(s, at, &mut self.mgc_id, value, twice)
        } else if t::VERSION.is(word) {
            let value = equal_number(s, 99, "a version from 0 to 99")? as u8;
            once(s, at, &mut self.version, value, twice)
        } else if t::PROFILE.is(word) {
            s.expect(b'=', "=")?;
            let value = profile(s)?;
            once(s, at, &mut self.profile, value, twice)
        } else if let Some(value) = event::time(word) {
            once(s, at, &mut self.time, value, twice)
        } else {
            s.error_at(
                at,
                ErrorCode::UNKNOWN_PARAMETER,
                "a service change parameter",
            )
        }
    }
}

fn method(s: &mut Scanner<'_>) -> Parse<ServiceChangeMethod> {
    s.expect(b'=', "=")?;
    let at = s.offset();
    match s.word() {
        word if t::RESTART.is(word) => Ok(ServiceChangeMethod::Restart),
        word if t::FORCED.is(word) => Ok(ServiceChangeMethod::Forced),
        word if t::GRACEFUL.is(word) => Ok(ServiceChangeMethod::Graceful),
        word if t::DISCONNECTED.is(word) => Ok(ServiceChangeMethod::Disconnected),
        word if t::HAND_OFF.is(word) => Ok(ServiceChangeMethod::HandOff),
        word if t::FAILOVER.is(word) => Ok(ServiceChangeMethod::Failover),
        word if is_extension(word) => Ok(ServiceChangeMethod::Extension(Name::from_ascii(word))),
        _ => s.error_at(at, ErrorCode::UNKNOWN_VALUE, "a service change method"),
    }
}

/// VALUE that starts with a number, perhaps a space and words behind it.
fn reason(s: &mut Scanner<'_>) -> Parse<ServiceChangeReason> {
    s.expect(b'=', "=")?;
    let at = s.offset();
    let value = s.value()?;
    let value = value.as_str();
    let digits = value.bytes().take_while(u8::is_ascii_digit).count();
    match number(&value.as_bytes()[..digits], 9999) {
        Some(code) => {
            let text = value[digits..]
                .strip_prefix(' ')
                .unwrap_or(&value[digits..]);
            Ok(ServiceChangeReason::new(code as u16, text))
        }
        None => s.error_at(at, ErrorCode::UNKNOWN_VALUE, "a service change reason"),
    }
}

/// mId or portNumber; a device name that is all digits counts as a port.
fn address(s: &mut Scanner<'_>) -> Parse<ServiceChangeAddress> {
    let at = s.offset();
    if let Some(port) = number(s.word(), u32::from(u16::MAX)) {
        return Ok(ServiceChangeAddress::Port(port as u16));
    }
    s.go_to(at);
    mid(s).map(ServiceChangeAddress::Mid)
}

/// `name/version`.
fn profile(s: &mut Scanner<'_>) -> Parse<Profile> {
    let at = s.offset();
    let word = s.word();
    let slash = word.iter().rposition(|&octet| octet == b'/');
    let version = slash.and_then(|slash| number(&word[slash + 1..], 99));
    match (slash, version) {
        (Some(slash), Some(version)) => Ok(Profile {
            name: name_from(s, at, &word[..slash])?,
            version: version as u8,
        }),
        _ => s.error_at(at, ErrorCode::UNKNOWN_VALUE, "a profile as name/version"),
    }
}
