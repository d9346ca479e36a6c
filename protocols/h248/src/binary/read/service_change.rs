//! ServiceChange descriptors.

use super::super::ber::{Element, Fields, Read, universal};
use super::super::value;
use super::{Reader, event, ia5, list, mid, mid_alternative};
use crate::error::ErrorCode;
use crate::message::{
    NAME_LEN_MAX, Name, Parameter, ParmValue, Profile, ServiceChangeAddress, ServiceChangeMethod,
    ServiceChangeParms, ServiceChangeReason, ServiceChangeResult,
};
use crate::package::Type;

impl Reader<'_> {
    /// ServiceChangeParm.
    pub(super) fn service_change_parms(self, element: &Element<'_>) -> Read<ServiceChangeParms> {
        let mut fields = Fields::of(element)?;
        let method = fields.required(0, "a method", |element| method(&element))?;
        let address = fields.optional(1, |element| address(&element))?;
        let version = fields.optional(2, |element| element.u8(99))?;
        let profile = fields.optional(3, |element| profile(&element))?;
        let reason = fields.required(4, "a reason", |element| reason(&element))?;
        let delay = fields.optional(5, |element| element.u32())?;
        let mgc_id = fields.optional(6, |element| mid(&element))?;
        let time = fields.optional(7, |element| event::time(&element))?;
        let extension = fields.optional(8, |element| non_standard_data(&element))?;
        let info = fields.optional(9, |element| self.audit(&element))?;
        let incomplete = fields.flag(10)?;
        fields.end()?;
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
            extensions: extension.flatten().into_iter().collect(),
        })
    }

    /// ServiceChangeResParm.
    pub(super) fn service_change_result(self, element: &Element<'_>) -> Read<ServiceChangeResult> {
        let mut fields = Fields::of(element)?;
        let result = ServiceChangeResult {
            mgc_id: fields.optional(0, |element| mid(&element))?,
            address: fields.optional(1, |element| address(&element))?,
            version: fields.optional(2, |element| element.u8(99))?,
            profile: fields.optional(3, |element| profile(&element))?,
            time: fields.optional(4, |element| event::time(&element))?,
        };
        fields.end()?;
        Ok(result)
    }
}

/// ServiceChangeMethod.
fn method(element: &Element<'_>) -> Read<ServiceChangeMethod> {
    match element.u32()? {
        0 => Ok(ServiceChangeMethod::Failover),
        1 => Ok(ServiceChangeMethod::Forced),
        2 => Ok(ServiceChangeMethod::Graceful),
        3 => Ok(ServiceChangeMethod::Restart),
        4 => Ok(ServiceChangeMethod::Disconnected),
        5 => Ok(ServiceChangeMethod::HandOff),
        _ => element.fault_with(ErrorCode::UNKNOWN_VALUE, "a service change method"),
    }
}

/// ServiceChangeAddress.
fn address(element: &Element<'_>) -> Read<ServiceChangeAddress> {
    let alternative = element.choice()?;
    match alternative.number() {
        Some(0) => alternative.u16().map(ServiceChangeAddress::Port),
        _ => super::code(
            mid_alternative(&alternative, 1),
            ErrorCode::INCORRECT_IDENTIFIER,
        )
        .map(ServiceChangeAddress::Mid),
    }
}

/// serviceChangeReason: a number and perhaps a space and words.
fn reason(element: &Element<'_>) -> Read<ServiceChangeReason> {
    let reasons = list(element, Some(universal::OCTET_STRING), |element| {
        Ok(value::read(&element.string()?, Some(Type::String)))
    })?;
    let text = match reasons.as_slice() {
        [reason] => reason.as_str().into_owned(),
        _ => return element.fault("one reason"),
    };
    let digits = text.bytes().take_while(u8::is_ascii_digit).count();
    match text[..digits].parse::<u16>() {
        Ok(code) if code <= 9999 => {
            let words = text[digits..].strip_prefix(' ').unwrap_or(&text[digits..]);
            Ok(ServiceChangeReason::new(code, words))
        }
        _ => element.fault_with(ErrorCode::UNKNOWN_VALUE, "a service change reason"),
    }
}

/// ServiceChangeProfile: `name/version` in one string.
fn profile(element: &Element<'_>) -> Read<Profile> {
    let mut fields = Fields::of(element)?;
    let text = fields.required(0, "a profile", |element| ia5(&element))?;
    fields.end()?;
    let is_name = |name: &str| {
        (1..=NAME_LEN_MAX).contains(&name.len())
            && name.starts_with(|c: char| c.is_ascii_alphabetic())
            && name
                .bytes()
                .all(|octet| octet.is_ascii_alphanumeric() || octet == b'_')
    };
    match text.rsplit_once('/') {
        Some((name, version)) if is_name(name) => match version.parse::<u8>() {
            Ok(version) if version <= 99 => Ok(Profile {
                name: Name::new(name),
                version,
            }),
            _ => element.fault_with(ErrorCode::UNKNOWN_VALUE, "a version"),
        },
        _ => element.fault_with(ErrorCode::UNKNOWN_VALUE, "a profile as name/version"),
    }
}

/// NonStandardData: an extension with a name of eight characters. Those of other kinds are left
/// out.
fn non_standard_data(element: &Element<'_>) -> Read<Option<Parameter>> {
    let mut fields = Fields::of(element)?;
    let name = fields.required(0, "an identifier", |element| {
        let identifier = element.choice()?;
        if identifier.number() != Some(2) {
            return Ok(None);
        }
        let name = identifier.string()?;
        Ok(is_extension(&name).then(|| Name::from_ascii(&name)))
    })?;
    let data = fields.required(1, "data", |element| {
        Ok(value::read(&element.string()?, None))
    })?;
    fields.end()?;
    Ok(name.map(|name| Parameter {
        name,
        value: ParmValue::Equal(data),
    }))
}

/// `X-` or `X+` and six letters or digits.
pub(in crate::binary) fn is_extension(name: &[u8]) -> bool {
    matches!(name, [b'x' | b'X', b'-' | b'+', rest @ ..]
        if rest.len() == 6 && rest.iter().all(u8::is_ascii_alphanumeric))
}
