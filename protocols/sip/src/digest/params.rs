//! The `auth-param` list of a challenge or of credentials: RFC 3261 25.1, RFC 7616 3.3.

use std::fmt::{self, Write};

use super::Error;

/// One parameter that the digest computation does not read: `ck`, `ik`, `integrity-protected`,
/// `domain`, …
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Param {
    /// Name in lower case.
    pub name: String,
    /// Value with quotes and escapes removed.
    pub value: String,
    /// Written between quotation marks.
    pub quoted: bool,
}

/// Parameters taken from the wire, handed out by name.
pub(super) struct Params(Vec<Param>);

/// Most parameters of one header field value; RFC 7616 and TS 24.229 together define under twenty.
pub const PARAMS_MAX: usize = 32;

impl Params {
    /// Reads `Digest name=value, …`.
    pub(super) fn parse_with_scheme(value: &[u8]) -> Result<Self, Error> {
        let value = value.trim_ascii();
        let end = value
            .iter()
            .position(|byte| byte.is_ascii_whitespace())
            .ok_or(Error::Malformed { offset: 0 })?;
        if !value[..end].eq_ignore_ascii_case(b"Digest") {
            return Err(Error::NotDigest);
        }
        Self::parse_from(value, end)
    }

    /// Reads `name=value, …`.
    pub(super) fn parse(value: &[u8]) -> Result<Self, Error> {
        Self::parse_from(value, 0)
    }

    fn parse_from(bytes: &[u8], start: usize) -> Result<Self, Error> {
        let mut params: Vec<Param> = Vec::new();
        let mut at = start;
        loop {
            at = skip(bytes, at, |byte| byte.is_ascii_whitespace() || byte == b',');
            if at == bytes.len() {
                return Ok(Self(params));
            }
            let (param, next) = parse_one(bytes, at)?;
            if params.len() == PARAMS_MAX || params.iter().any(|other| other.name == param.name) {
                return Err(Error::Malformed { offset: at });
            }
            params.push(param);
            at = skip(bytes, next, |byte| byte.is_ascii_whitespace());
            if at < bytes.len() && bytes[at] != b',' {
                return Err(Error::Malformed { offset: at });
            }
        }
    }

    /// Takes the value of a parameter that may be absent.
    pub(super) fn take(&mut self, name: &str) -> Option<String> {
        let at = self.0.iter().position(|param| param.name == name)?;
        Some(self.0.remove(at).value)
    }

    /// Takes the value of a parameter that must be there.
    pub(super) fn need(&mut self, name: &'static str) -> Result<String, Error> {
        self.take(name).ok_or(Error::Missing(name))
    }

    /// What nobody took.
    pub(super) fn rest(self) -> Vec<Param> {
        self.0
    }
}

fn parse_one(bytes: &[u8], start: usize) -> Result<(Param, usize), Error> {
    let malformed = |offset| Error::Malformed { offset };
    let name_end = skip(bytes, start, is_token);
    let equals = skip(bytes, name_end, |byte| byte.is_ascii_whitespace());
    if name_end == start || bytes.get(equals) != Some(&b'=') {
        return Err(malformed(name_end));
    }
    let at = skip(bytes, equals + 1, |byte| byte.is_ascii_whitespace());
    let quoted = bytes.get(at) == Some(&b'"');
    let (value, next) = if quoted {
        unquote(bytes, at + 1)?
    } else {
        let end = skip(bytes, at, |byte| {
            !byte.is_ascii_whitespace() && !byte.is_ascii_control() && !b",\"".contains(&byte)
        });
        if end == at {
            return Err(malformed(at));
        }
        (bytes[at..end].to_vec(), end)
    };
    let param = Param {
        name: String::from_utf8_lossy(&bytes[start..name_end]).to_ascii_lowercase(),
        value: String::from_utf8(value).map_err(|_| malformed(at))?,
        quoted,
    };
    Ok((param, next))
}

/// The text of a quoted string whose opening mark stands before `at`, and the offset after its
/// closing mark.
fn unquote(bytes: &[u8], mut at: usize) -> Result<(Vec<u8>, usize), Error> {
    let mut text = Vec::new();
    loop {
        match bytes.get(at) {
            None => return Err(Error::Malformed { offset: at }),
            Some(b'"') => return Ok((text, at + 1)),
            Some(b'\\') => {
                match bytes.get(at + 1) {
                    Some(&byte) if byte != b'\r' && byte != b'\n' => text.push(byte),
                    _ => return Err(Error::Malformed { offset: at }),
                }
                at += 2;
            }
            // A fold inside a quoted string reads as one blank (RFC 3261 7.3.1).
            Some(b'\r' | b'\n') => {
                at = skip(bytes, at, |byte| byte.is_ascii_whitespace());
                text.push(b' ');
            }
            Some(&byte) if byte.is_ascii_control() && byte != b'\t' => {
                return Err(Error::Malformed { offset: at });
            }
            Some(&byte) => {
                text.push(byte);
                at += 1;
            }
        }
    }
}

fn skip(bytes: &[u8], start: usize, accept: impl Fn(u8) -> bool) -> usize {
    let rest = &bytes[start.min(bytes.len())..];
    start + rest.iter().take_while(|&&byte| accept(byte)).count()
}

fn is_token(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || b"-.!%*_+`'~".contains(&byte)
}

/// Writes `name="value"`; marks, backslashes and control characters are escaped, line ends become
/// blanks.
pub(super) fn write_quoted(f: &mut fmt::Formatter<'_>, name: &str, value: &str) -> fmt::Result {
    write!(f, "{name}=\"")?;
    for letter in value.chars() {
        match letter {
            '\r' | '\n' => f.write_char(' ')?,
            '\t' => f.write_char(letter)?,
            '"' | '\\' | '\0'..='\x1f' | '\x7f' => {
                f.write_char('\\')?;
                f.write_char(letter)?;
            }
            _ => f.write_char(letter)?,
        }
    }
    f.write_char('"')
}

/// Writes the parameters nobody took, each after a comma.
pub(super) fn write_rest(f: &mut fmt::Formatter<'_>, rest: &[Param]) -> fmt::Result {
    for param in rest {
        f.write_str(", ")?;
        if param.quoted || !param.value.bytes().all(is_token) || param.value.is_empty() {
            write_quoted(f, &param.name, &param.value)?;
        } else {
            write!(f, "{}={}", param.name, param.value)?;
        }
    }
    Ok(())
}

/// Takes a parameter out of those nobody took.
pub(super) fn take_extension(extensions: &mut Vec<Param>, name: &str) -> Option<String> {
    let at = extensions.iter().position(|param| param.name == name)?;
    Some(extensions.remove(at).value)
}
