//! Local and Remote descriptors: groups of properties (C.11) and the lines of session descriptions
//! they stand for.

use super::naming::{self, ValueForm};
use super::value;
use super::{ber, ber::Contents, ber::universal};
use crate::message::{PkgdName, Value};
use crate::package::{Item, Kind};

/// Tags of C.11, each with the letter of its line; their numbers go up from [`FIRST_TAG`].
const LETTERS: &[u8; 15] = b"vosiuepcbzkatrm";

/// The place of a letter in [`LETTERS`]; beyond them where it is none.
const PLACES: [u8; 256] = {
    let mut places = [u8::MAX; 256];
    let mut at = 0;
    while at < LETTERS.len() {
        places[LETTERS[at] as usize] = at as u8;
        at += 1;
    }
    places
};

/// SDP_V.
const FIRST_TAG: u16 = 0xb001;

/// What starts a line that stands for a property of another kind (H.248.15).
const ITEM: &[u8] = b"a=h248item:";

/// The property of a line: its name, and its value as far as it is text.
pub(super) struct Line<'a> {
    pub(super) name: [u8; 4],
    pub(super) value: LineValue<'a>,
}

/// What stands behind the name.
pub(super) enum LineValue<'a> {
    /// Text of a line.
    Text(&'a [u8]),
    /// Octets of another property.
    Octets(Vec<u8>),
}

/// The lines of session descriptions, without empty ones.
pub(super) fn lines(mut octets: &[u8]) -> impl Iterator<Item = &[u8]> {
    std::iter::from_fn(move || {
        while !octets.is_empty() {
            let end = memchr::memchr2(b'\r', b'\n', octets).unwrap_or(octets.len());
            let line = &octets[..end];
            octets = match &octets[end..] {
                [b'\r', b'\n', rest @ ..] | [_, rest @ ..] => rest,
                [] => &[],
            };
            if !line.trim_ascii_start().is_empty() {
                return Some(line);
            }
        }
        None
    })
}

/// True when `line` begins a session description, clause 7.1.8.
pub(super) fn begins_group(line: &[u8]) -> bool {
    line.starts_with(b"v=")
}

/// What stands before the text of a short line, with lengths left open: a PropertyParm of one
/// string.
const SHORT: [u8; 14] = [
    universal::SEQUENCE | ber::CONSTRUCTED,
    0,
    0x80,
    4,
    0,
    0,
    0,
    0,
    0xa1,
    0,
    universal::OCTET_STRING,
    0,
    universal::IA5_STRING,
    0,
];

/// Octets of text up to which a line is short: all its lengths are one octet.
const SHORT_MAX: usize = 0x7f - SHORT.len();

/// Writes the PropertyParm of a short line; false when it is none.
pub(super) fn write_short(line: &[u8], out: &mut Vec<u8>) -> bool {
    let &[letter, b'=', ref text @ ..] = line else {
        return false;
    };
    let at = PLACES[usize::from(letter)];
    if at == u8::MAX || text.len() > SHORT_MAX || !text.is_ascii() || line.starts_with(ITEM) {
        return false;
    }
    let len = text.len() as u8;
    let mut head = SHORT;
    [head[6], head[7]] = (FIRST_TAG + u16::from(at)).to_be_bytes();
    (head[1], head[9], head[11], head[13]) = (len + 12, len + 4, len + 2, len);
    out.extend_from_slice(&head);
    out.extend_from_slice(text);
    true
}

/// Prints the line of the PropertyParm that `octets` begin with and returns what follows; `None`
/// when it is none that [`write_short`] writes, or has control characters.
pub(super) fn read_short<'a>(octets: &'a [u8], out: &mut Vec<u8>) -> Option<&'a [u8]> {
    let (head, rest) = octets.split_first_chunk::<14>()?;
    let &[
        0x30,
        all,
        0x80,
        4,
        0,
        0,
        high,
        low,
        0xa1,
        values,
        0x04,
        value,
        0x16,
        len,
    ] = head
    else {
        return None;
    };
    let at = u16::from_be_bytes([high, low]).wrapping_sub(FIRST_TAG);
    let &letter = LETTERS.get(usize::from(at))?;
    if usize::from(len) > SHORT_MAX || (all, values, value) != (len + 12, len + 4, len + 2) {
        return None;
    }
    let (text, rest) = rest.split_at_checked(usize::from(len))?;
    if has_control(text) {
        return None;
    }
    out.extend_from_slice(&[letter, b'=']);
    out.extend_from_slice(text);
    out.extend_from_slice(b"\r\n");
    Some(rest)
}

/// True when an octet is below 0x0e, eight at a time: a line end, octet 0, or near to these.
fn has_control(text: &[u8]) -> bool {
    const ONES: u64 = 0x0101_0101_0101_0101;
    let (words, rest) = text.as_chunks::<8>();
    let below = |word: u64| word.wrapping_sub(ONES * 0x0e) & !word & (ONES << 7) != 0;
    words.iter().any(|&word| below(u64::from_ne_bytes(word))) || rest.iter().any(|&o| o < 0x0e)
}

/// The property that stands for `line`; `None` when there is none.
pub(super) fn property(line: &[u8]) -> Option<Line<'_>> {
    if let Some(item) = line.strip_prefix(ITEM)
        && let Some(property) = other_property(item)
    {
        return Some(property);
    }
    let (&letter, rest) = line.split_first()?;
    let text = match rest {
        [] => rest,
        [b'=', text @ ..] => text,
        _ => return None,
    };
    let at = PLACES[usize::from(letter)];
    if at == u8::MAX {
        return None;
    }
    let [high, low] = (FIRST_TAG + u16::from(at)).to_be_bytes();
    Some(Line {
        name: [0, 0, high, low],
        value: LineValue::Text(text),
    })
}

/// `package/item=value`, as [`write_line`] writes it.
fn other_property(text: &[u8]) -> Option<Line<'_>> {
    let equal = text.iter().position(|&octet| octet == b'=')?;
    let name = PkgdName::from_text(&text[..equal])?;
    let (name, item) = naming::encode_item(Kind::Property, &name)?;
    let value_type = item.and_then(Item::value_type);
    let value = match &text[equal + 1..] {
        [b'"', inner @ .., b'"'] => Value::from_wire(inner, true),
        plain => Value::from_wire(plain, false),
    };
    let mut octets = Vec::new();
    value::write(&value, value_type, &mut octets);
    Some(Line {
        name,
        value: LineValue::Octets(octets),
    })
}

impl LineValue<'_> {
    /// Writes the octet string of the value.
    pub(super) fn write(&self, tag: u8, form: ValueForm, out: &mut Vec<u8>) {
        match self {
            Self::Text(text) if form == ValueForm::Typed => {
                out.push(tag);
                ber::write_length(ber::element_len(text.len()), out);
                let inner = if text.is_ascii() {
                    universal::IA5_STRING
                } else {
                    universal::UTF8_STRING
                };
                ber::primitive(inner, text, out);
            }
            Self::Text(text) => ber::primitive(tag, text, out),
            Self::Octets(octets) => ber::primitive(tag, octets, out),
        }
    }
}

/// Prints the line that `name` and `octets` stand for, with its end.
pub(super) fn write_line(name: [u8; 4], octets: Option<&[u8]>, out: &mut Vec<u8>) {
    let [package_high, package_low, high, low] = name;
    let number = u16::from_be_bytes([high, low]);
    let letter = (package_high == 0 && package_low == 0)
        .then(|| number.checked_sub(FIRST_TAG))
        .flatten()
        .and_then(|at| LETTERS.get(usize::from(at)));
    match letter {
        Some(&letter) => {
            out.push(letter);
            if let Some(octets) = octets {
                out.push(b'=');
                let is_carried = |octet: &&u8| !matches!(octet, 0 | b'\r' | b'\n');
                out.extend(text(octets).iter().filter(is_carried));
            }
        }
        None => {
            let package = u16::from_be_bytes([package_high, package_low]);
            let (name, item) = naming::item_name(Kind::Property, package, number);
            out.extend_from_slice(ITEM);
            out.extend_from_slice(name.as_str().as_bytes());
            if let Some(octets) = octets {
                let value = value::read(octets, item.and_then(Item::value_type));
                let quote: &[u8] = if value.is_quoted() { b"\"" } else { b"" };
                out.push(b'=');
                out.extend_from_slice(quote);
                out.extend_from_slice(value.as_bytes());
                out.extend_from_slice(quote);
            }
        }
    }
    out.extend_from_slice(b"\r\n");
}

/// The text of a line, wrapped as a string or bare.
fn text(octets: &[u8]) -> &[u8] {
    let is_string = |tag| {
        matches!(
            tag,
            universal::OCTET_STRING | universal::UTF8_STRING | universal::IA5_STRING
        )
    };
    match octets.first() {
        Some(&tag) if is_string(tag) => match Contents::new(octets).only("a string") {
            Ok(element) => element.octets,
            Err(_) => octets,
        },
        _ => octets,
    }
}
