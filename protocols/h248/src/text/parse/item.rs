//! What all descriptors are made of: lists, numbers, names, properties, values.

use super::super::ITEMS_MAX;
use super::super::scan::{Parse, Scanner};
use super::super::token as t;
use crate::error::ErrorCode;
use crate::message::{
    NAME_LEN_MAX, Name, ParmValue, PkgdName, PropertyParm, RequestId, StreamId, TerminationId,
    TerminationList,
};

/// `{ item *(, item) }`.
pub(super) fn block<'a, T>(
    s: &mut Scanner<'a>,
    item: impl FnMut(&mut Scanner<'a>) -> Parse<T>,
) -> Parse<Vec<T>> {
    s.expect(b'{', "{")?;
    items(s, b'}', item)
}

/// `item *(, item) end`, behind the opening brace or bracket.
pub(super) fn items<'a, T>(
    s: &mut Scanner<'a>,
    end: u8,
    mut item: impl FnMut(&mut Scanner<'a>) -> Parse<T>,
) -> Parse<Vec<T>> {
    let mut list = Vec::new();
    loop {
        if list.len() == ITEMS_MAX {
            return s.error("fewer items");
        }
        push(&mut list, item(s)?);
        if s.take(end) {
            return Ok(list);
        }
        s.expect(b',', if end == b'}' { ", or }" } else { ", or ]" })?;
    }
}

/// Adds to a list that mostly stays at one: the first takes no room for others.
pub(super) fn push<T>(list: &mut Vec<T>, item: T) {
    if list.capacity() == 0 {
        list.reserve_exact(1);
    }
    list.push(item);
}

/// Fills `slot`, which must be empty.
pub(super) fn once<T>(
    s: &Scanner<'_>,
    at: usize,
    slot: &mut Option<T>,
    value: T,
    twice: ErrorCode,
) -> Parse<()> {
    if slot.is_some() {
        return s.error_at(at, twice, "it once only");
    }
    *slot = Some(value);
    Ok(())
}

/// A decimal number up to `max`.
pub(super) fn number(word: &[u8], max: u32) -> Option<u32> {
    if word.is_empty() || word.len() > 10 {
        return None;
    }
    let mut value = 0_u64;
    for &octet in word {
        if !octet.is_ascii_digit() {
            return None;
        }
        value = value * 10 + u64::from(octet - b'0');
    }
    u32::try_from(value).ok().filter(|&value| value <= max)
}

/// `= number` up to `max`.
pub(super) fn equal_number(s: &mut Scanner<'_>, max: u32, expected: &'static str) -> Parse<u32> {
    s.expect(b'=', "=")?;
    let at = s.offset();
    match number(s.word(), max) {
        Some(number) => Ok(number),
        None => s.error_at(at, ErrorCode::UNKNOWN_VALUE, expected),
    }
}

/// `= ON` or `= OFF`.
pub(super) fn on_off(s: &mut Scanner<'_>) -> Parse<bool> {
    s.expect(b'=', "=")?;
    let at = s.offset();
    match s.word() {
        word if t::ON.is(word) => Ok(true),
        word if t::OFF.is(word) => Ok(false),
        _ => s.error_at(at, ErrorCode::UNKNOWN_VALUE, "ON or OFF"),
    }
}

pub(super) fn stream_id(s: &mut Scanner<'_>) -> Parse<StreamId> {
    let at = s.offset();
    match number(s.word(), u32::from(u16::MAX)) {
        Some(stream) => Ok(StreamId(stream as u16)),
        None => s.error_at(at, ErrorCode::INCORRECT_IDENTIFIER, "a stream number"),
    }
}

pub(super) fn request_id(s: &mut Scanner<'_>) -> Parse<RequestId> {
    let at = s.offset();
    match s.word() {
        b"*" => Ok(RequestId::ALL),
        word => match number(word, u32::MAX) {
            Some(request) => Ok(RequestId(request)),
            None => s.error_at(at, ErrorCode::INCORRECT_IDENTIFIER, "a request number or *"),
        },
    }
}

pub(super) fn termination_id(s: &mut Scanner<'_>) -> Parse<TerminationId> {
    let at = s.offset();
    let word = s.word();
    termination_from(s, at, word)
}

pub(super) fn termination_from(s: &Scanner<'_>, at: usize, word: &[u8]) -> Parse<TerminationId> {
    if is_path_name(word) {
        Ok(TerminationId::from_ascii(word))
    } else {
        s.error_at(at, ErrorCode::INCORRECT_IDENTIFIER, "a termination")
    }
}

/// termIDList: one, or several in brackets.
pub(super) fn termination_list(s: &mut Scanner<'_>) -> Parse<TerminationList> {
    if s.take(b'[') {
        return Ok(items(s, b']', termination_id)?.into());
    }
    Ok(TerminationList::from_buf([termination_id(s)?]))
}

/// A little wider than pathNAME: it may also begin with a digit or a wildcard alone.
pub(super) fn is_path_name(word: &[u8]) -> bool {
    let fits = |octet: &u8| octet.is_ascii_alphanumeric() || b"_/*$@-.".contains(octet);
    (1..=NAME_LEN_MAX).contains(&word.len()) && word.iter().all(fits)
}

/// NAME.
pub(super) fn name_from(s: &Scanner<'_>, at: usize, word: &[u8]) -> Parse<Name> {
    if is_name(word) {
        Ok(Name::from_ascii(word))
    } else {
        s.error_at(at, ErrorCode::INCORRECT_IDENTIFIER, "a name")
    }
}

pub(super) fn is_name(word: &[u8]) -> bool {
    (1..=NAME_LEN_MAX).contains(&word.len())
        && word[0].is_ascii_alphabetic()
        && word
            .iter()
            .all(|&octet| octet.is_ascii_alphanumeric() || octet == b'_')
}

/// extensionParameter, a little wider: `X-` or `X+` and letters or digits.
pub(super) fn is_extension(word: &[u8]) -> bool {
    matches!(word, [b'x' | b'X', b'-' | b'+', rest @ ..]
        if (1..=NAME_LEN_MAX).contains(&rest.len()) && rest.iter().all(u8::is_ascii_alphanumeric))
}

pub(super) fn pkgd_name(s: &mut Scanner<'_>) -> Parse<PkgdName> {
    let at = s.offset();
    let word = s.word();
    pkgd_name_from(s, at, word, s.scope)
}

/// pkgdName; `unknown` is the code when `word` has no slash, 410 when a part is wrong.
pub(super) fn pkgd_name_from(
    s: &Scanner<'_>,
    at: usize,
    word: &[u8],
    unknown: ErrorCode,
) -> Parse<PkgdName> {
    let Some(slash) = word.iter().position(|&octet| octet == b'/') else {
        return s.error_at(at, unknown, "a known word or package/item");
    };
    let (package, item) = (&word[..slash], &word[slash + 1..]);
    let right = match (package, item) {
        (b"*", b"*") => true,
        (_, b"*") => is_name(package),
        _ => is_name(package) && is_name(item),
    };
    match PkgdName::from_text(word).filter(|_| right) {
        Some(name) => Ok(name),
        None => s.error_at(at, ErrorCode::INCORRECT_IDENTIFIER, "package/item"),
    }
}

pub(super) fn property(s: &mut Scanner<'_>, at: usize, word: &[u8]) -> Parse<PropertyParm> {
    let name = pkgd_name_from(s, at, word, ErrorCode::UNKNOWN_PROPERTY)?;
    Ok(PropertyParm {
        name,
        value: parm_value(s)?,
    })
}

/// Adds a property to `list`, where it must not be yet (456).
pub(super) fn add_property(
    s: &mut Scanner<'_>,
    at: usize,
    word: &[u8],
    list: &mut Vec<PropertyParm>,
) -> Parse<()> {
    let property = property(s, at, word)?;
    if list.iter().any(|other| other.name == property.name) {
        return s.error_at(at, ErrorCode::PROPERTY_TWICE, "each property once");
    }
    list.push(property);
    Ok(())
}

pub(super) fn is_at_relation(s: &Scanner<'_>) -> bool {
    matches!(s.peek(), Some(b'=' | b'#' | b'<' | b'>'))
}

/// parmValue.
pub(super) fn parm_value(s: &mut Scanner<'_>) -> Parse<ParmValue> {
    if s.take(b'#') {
        return Ok(ParmValue::NotEqual(s.value()?));
    }
    if s.take(b'<') {
        return Ok(ParmValue::Less(s.value()?));
    }
    if s.take(b'>') {
        return Ok(ParmValue::Greater(s.value()?));
    }
    s.expect(b'=', "=, #, < or >")?;
    if s.take(b'{') {
        return Ok(ParmValue::OneOf(items(s, b'}', Scanner::value)?));
    }
    if s.take(b'[') {
        let first = s.value()?;
        if s.take(b':') {
            let last = s.value()?;
            s.expect(b']', "]")?;
            return Ok(ParmValue::Range(first, last));
        }
        let mut values = vec![first];
        if s.take(b',') {
            values.extend(items(s, b']', Scanner::value)?);
        } else {
            s.expect(b']', ", or : or ]")?;
        }
        return Ok(ParmValue::List(values));
    }
    Ok(ParmValue::Equal(s.value()?))
}
