//! Character classes and the small scanners of RFC 3261 25.1 that every header parser shares.

use simd::{find, find_3};

const TOKEN: u8 = 1;
const UNRESERVED: u8 = 2;
const USER: u8 = 4;
const PARAM: u8 = 8;
const HEADER: u8 = 16;
const HOST: u8 = 32;
const VALUE: u8 = 64;
const WORD: u8 = 128;

/// Classes of each octet.
const CLASS: [u8; 256] = classes();

const fn classes() -> [u8; 256] {
    let mut table = [0u8; 256];
    let mut byte = 0usize;
    while byte < 256 {
        let b = byte as u8;
        if b.is_ascii_alphanumeric() {
            table[byte] = TOKEN | UNRESERVED | USER | PARAM | HEADER | HOST | WORD;
        }
        if b > b' ' && b != 0x7f {
            table[byte] |= VALUE;
        }
        byte += 1;
    }
    mark(&mut table, b"-.!%*_+`'~", TOKEN);
    mark(&mut table, b"-_.!~*'()", UNRESERVED | USER | PARAM | HEADER);
    mark(&mut table, b"&=+$,;?/", USER);
    mark(&mut table, b"[]/:&+$", PARAM);
    mark(&mut table, b"[]/?:+$", HEADER);
    // Underscore is no host character of RFC 3261, but container and Windows names carry it.
    mark(&mut table, b"-._", HOST);
    mark(&mut table, b"-.!%*_+`'~()<>:\\\"/[]?{}", WORD);
    let delimiters = b";,\"<>\\";
    let mut i = 0;
    while i < delimiters.len() {
        table[delimiters[i] as usize] &= !VALUE;
        i += 1;
    }
    table
}

const fn mark(table: &mut [u8; 256], bytes: &[u8], class: u8) {
    let mut i = 0;
    while i < bytes.len() {
        table[bytes[i] as usize] |= class;
        i += 1;
    }
}

#[inline]
fn has(byte: u8, class: u8) -> bool {
    CLASS[byte as usize] & class != 0
}

fn all(text: &[u8], class: u8) -> bool {
    run(text, class) == text.len()
}

/// Length of the run of octets of `class` that `text` starts with.
#[inline]
fn run(text: &[u8], class: u8) -> usize {
    let classes = |byte: u8| CLASS[byte as usize];
    let mut at = 0;
    while let Some(&[a, b, c, d]) = text[at..].first_chunk() {
        if classes(a) & classes(b) & classes(c) & classes(d) & class == 0 {
            break;
        }
        at += 4;
    }
    while at < text.len() && has(text[at], class) {
        at += 1;
    }
    at
}

#[inline]
pub(crate) fn is_token_byte(byte: u8) -> bool {
    has(byte, TOKEN)
}

/// A non-empty token.
pub(crate) fn is_token(text: &[u8]) -> bool {
    !text.is_empty() && all(text, TOKEN)
}

/// A non-empty `word`, the two halves of a Call-ID.
pub(crate) fn is_word(text: &[u8]) -> bool {
    !text.is_empty() && all(text, WORD)
}

pub(crate) fn is_unreserved(byte: u8) -> bool {
    has(byte, UNRESERVED)
}

/// Which set of unescaped octets a part of a URI may hold (RFC 3261 25.1).
#[derive(Clone, Copy)]
pub(crate) enum UriPart {
    /// `user`, and `password` as its subset in all that matters.
    User,
    /// `paramchar`.
    Param,
    /// `hname`, `hvalue`.
    Header,
}

/// Length of the run of octets of `part` and well-formed `%HH` escapes that `text` starts with.
#[inline]
pub(crate) fn uri_run(text: &[u8], part: UriPart) -> usize {
    let class = match part {
        UriPart::User => USER,
        UriPart::Param => PARAM,
        UriPart::Header => HEADER,
    };
    let mut at = run(text, class);
    while text.get(at) == Some(&b'%') && hex_pair(&text[at + 1..]).is_some() {
        at += 3;
        at += run(&text[at..], class);
    }
    at
}

/// Only octets of `part` and well-formed escapes.
pub(crate) fn is_uri_text(text: &[u8], part: UriPart) -> bool {
    uri_run(text, part) == text.len()
}

/// Length of the run of octets of a host name that `text` starts with.
#[inline]
pub(crate) fn host_run(text: &[u8]) -> usize {
    run(text, HOST)
}

/// Length of the parameter value that `text` starts with, 0 for none: a quoted string, a URI in
/// angle brackets (RFC 8224 `info`), or anything visible without delimiters. That is more than
/// `token / host`, because unquoted addresses, times and base64 are common in P- headers.
#[inline]
pub(crate) fn value_run(text: &[u8]) -> usize {
    match text.first() {
        Some(b'"') => quoted_len(text).unwrap_or(0),
        Some(b'<') => find(text, b'>').map_or(0, |at| at + 1),
        _ => run(text, VALUE),
    }
}

/// The octet that two leading hexadecimal digits spell.
pub(crate) fn hex_pair(text: &[u8]) -> Option<u8> {
    let (high, low) = (hex_digit(*text.first()?)?, hex_digit(*text.get(1)?)?);
    Some(high << 4 | low)
}

/// Value of a hexadecimal digit.
#[inline]
pub(crate) fn hex_digit(byte: u8) -> Option<u8> {
    match byte {
        b'0'..=b'9' => Some(byte - b'0'),
        b'a'..=b'f' | b'A'..=b'F' => Some((byte | 0x20) - b'a' + 10),
        _ => None,
    }
}

/// Blank or tab: what remains of LWS once folds are blanks.
#[inline]
pub(crate) fn is_blank(byte: u8) -> bool {
    byte == b' ' || byte == b'\t'
}

/// Removes blanks and tabs at both ends.
#[inline]
pub(crate) fn trim(text: &str) -> &str {
    let bytes = text.as_bytes();
    if let ([first, ..], [.., last]) = (bytes, bytes)
        && *first > b' '
        && *last > b' '
    {
        return text;
    }
    let (mut from, mut to) = (0, bytes.len());
    while from < to && is_blank(bytes[from]) {
        from += 1;
    }
    while to > from && is_blank(bytes[to - 1]) {
        to -= 1;
    }
    &text[from..to]
}

/// What stands before and after the first `byte`, an ASCII one.
#[inline]
pub(crate) fn split_once(text: &str, byte: u8) -> Option<(&str, &str)> {
    let at = find(text.as_bytes(), byte)?;
    Some((&text[..at], &text[at + 1..]))
}

/// One or more digits as a `u32`, `None` also on overflow.
pub(crate) fn decimal(text: &str) -> Option<u32> {
    if !text.as_bytes().first()?.is_ascii_digit() {
        return None;
    }
    text.parse().ok()
}

/// Splits at the first `delimiter` that stands outside quotes and angle brackets.
///
/// Never fails: an unbalanced quote or bracket makes the rest one piece, which its parser then
/// refuses.
pub(crate) fn split_outside(text: &str, delimiter: u8) -> (&str, Option<&str>) {
    match find_outside(text.as_bytes(), delimiter) {
        Some(at) => (&text[..at], Some(&text[at + 1..])),
        None => (text, None),
    }
}

/// Offset of the first `delimiter` outside quotes and angle brackets.
pub(crate) fn find_outside(text: &[u8], delimiter: u8) -> Option<usize> {
    let mut at = 0;
    loop {
        at += find_3(&text[at..], delimiter, b'"', b'<')?;
        at += match text[at] {
            b'"' => quoted_len(&text[at..])?,
            b'<' => find(&text[at..], b'>')? + 1,
            _ => return Some(at),
        };
    }
}

/// Length of the quoted string that `text` starts with, both quotes included; `None` when it never
/// ends.
pub(crate) fn quoted_len(text: &[u8]) -> Option<usize> {
    debug_assert_eq!(text.first(), Some(&b'"'));
    let mut at = 1;
    loop {
        let rest = text.get(at..)?;
        let len = find_3(rest, b'"', b'\\', b'"')?;
        if rest[len] == b'"' {
            return Some(at + len + 1);
        }
        at += len + 2;
    }
}

/// The text inside the quotes of exactly one quoted string, escapes untouched.
pub(crate) fn unquote(text: &str) -> Option<&str> {
    if !text.starts_with('"') || quoted_len(text.as_bytes())? != text.len() {
        return None;
    }
    Some(&text[1..text.len() - 1])
}

/// Removes the backslashes of quoted pairs.
pub(crate) fn unescape(text: &str) -> std::borrow::Cow<'_, str> {
    if !text.contains('\\') {
        return text.into();
    }
    let mut out = String::with_capacity(text.len());
    let mut chars = text.chars();
    while let Some(c) = chars.next() {
        if c == '\\' {
            out.extend(chars.next());
        } else {
            out.push(c);
        }
    }
    out.into()
}
