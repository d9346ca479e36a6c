//! Character classes and the small scanners of RFC 3261 25.1 that every header parser shares.

const TOKEN: u8 = 1;
const UNRESERVED: u8 = 2;
const USER: u8 = 4;
const PARAM: u8 = 8;
const HEADER: u8 = 16;
const HOST: u8 = 32;
const DIGIT: u8 = 64;
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
        if b.is_ascii_digit() {
            table[byte] |= DIGIT;
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
    text.iter().all(|&byte| has(byte, class))
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

pub(crate) fn is_host_byte(byte: u8) -> bool {
    has(byte, HOST)
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

/// Only octets of `part` and well-formed `%HH` escapes.
pub(crate) fn is_uri_text(text: &[u8], part: UriPart) -> bool {
    let class = match part {
        UriPart::User => USER,
        UriPart::Param => PARAM,
        UriPart::Header => HEADER,
    };
    let mut i = 0;
    while i < text.len() {
        if has(text[i], class) {
            i += 1;
        } else if text[i] == b'%' && hex_pair(&text[i + 1..]).is_some() {
            i += 3;
        } else {
            return false;
        }
    }
    true
}

/// The octet that two leading hexadecimal digits spell.
pub(crate) fn hex_pair(text: &[u8]) -> Option<u8> {
    let high = char::from(*text.first()?).to_digit(16)?;
    let low = char::from(*text.get(1)?).to_digit(16)?;
    Some((high * 16 + low) as u8)
}

/// Blank or tab: what remains of LWS once folds are blanks.
#[inline]
pub(crate) fn is_blank(byte: u8) -> bool {
    byte == b' ' || byte == b'\t'
}

pub(crate) fn trim(text: &str) -> &str {
    text.trim_matches([' ', '\t'])
}

/// One or more digits as a `u32`, `None` also on overflow.
pub(crate) fn decimal(text: &str) -> Option<u32> {
    if text.is_empty() || !all(text.as_bytes(), DIGIT) {
        return None;
    }
    text.parse().ok()
}

/// Splits at the first `delimiter` that stands outside quotes and angle brackets.
///
/// Never fails: an unbalanced quote or bracket makes the rest one piece, which its parser then refuses.
pub(crate) fn split_outside(text: &str, delimiter: u8) -> (&str, Option<&str>) {
    match find_outside(text.as_bytes(), delimiter) {
        Some(at) => (&text[..at], Some(&text[at + 1..])),
        None => (text, None),
    }
}

/// Offset of the first `delimiter` outside quotes and angle brackets.
pub(crate) fn find_outside(text: &[u8], delimiter: u8) -> Option<usize> {
    let mut i = 0;
    let mut angle = false;
    while i < text.len() {
        let byte = text[i];
        if byte == b'"' && !angle {
            i += quoted_len(&text[i..])?;
            continue;
        }
        match byte {
            _ if byte == delimiter && !angle => return Some(i),
            b'<' => angle = true,
            b'>' => angle = false,
            _ => {}
        }
        i += 1;
    }
    None
}

/// Length of the quoted string that `text` starts with, both quotes included; `None` when it never ends.
pub(crate) fn quoted_len(text: &[u8]) -> Option<usize> {
    debug_assert_eq!(text.first(), Some(&b'"'));
    let mut i = 1;
    while i < text.len() {
        match text[i] {
            b'"' => return Some(i + 1),
            b'\\' => i += 2,
            _ => i += 1,
        }
    }
    None
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
