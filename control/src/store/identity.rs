//! Identities of subscribers in the form they are compared in.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};

/// A private user identity: a network access identifier `username@realm`, TS 23.003 13.3.
///
/// Compared octet by octet, because the digest a UE computes covers it as written.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct Impi(String);

/// A public user identity in canonical form, TS 23.003 13.4: `sip:user@host` or `tel:+digits`.
///
/// Parameters and headers are cut off, the host is in lower case, escapes stand only where they must, visual
/// separators of telephone numbers are gone. So equal identities are equal texts.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct Impu(String);

/// Why a text is not an identity.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum IdentityError {
    /// Longer than [`IDENTITY_BYTES_MAX`].
    TooLong,
    /// Neither `sip:` nor `tel:`.
    Scheme,
    /// No user part before an `@`.
    User,
    /// No realm or host after the `@`, or not a valid one.
    Host,
    /// A character that may not stand there, at this position.
    Character(usize),
    /// A local number without `phone-context`.
    PhoneContext,
}

/// Longest identity in bytes: a NAI has at most 253 (RFC 7542 2.3), and a URI adds its scheme and escapes.
pub const IDENTITY_BYTES_MAX: usize = 512;

impl Impi {
    /// Reads `username@realm`.
    pub fn parse(text: &str) -> Result<Self, IdentityError> {
        if text.len() > IDENTITY_BYTES_MAX {
            return Err(IdentityError::TooLong);
        }
        let forbidden = |c: char| !c.is_ascii_graphic() || "\":;,<>\\/?".contains(c);
        if let Some(at) = text.chars().position(forbidden) {
            return Err(IdentityError::Character(at));
        }
        let (user, realm) = text.rsplit_once('@').ok_or(IdentityError::User)?;
        if user.is_empty() || user.contains('@') {
            return Err(IdentityError::User);
        }
        if !is_host_name(realm) {
            return Err(IdentityError::Host);
        }
        Ok(Self(text.to_owned()))
    }

    /// The text.
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// The realm after the `@`.
    pub fn realm(&self) -> &str {
        self.0.rsplit_once('@').map_or("", |(_, realm)| realm)
    }
}

impl Impu {
    /// Brings a URI into canonical form.
    pub fn parse(text: &str) -> Result<Self, IdentityError> {
        if text.len() > IDENTITY_BYTES_MAX {
            return Err(IdentityError::TooLong);
        }
        let (scheme, rest) = text.split_once(':').ok_or(IdentityError::Scheme)?;
        let start = scheme.len() + 1;
        if scheme.eq_ignore_ascii_case("sip") {
            canonical_sip(rest, start).map(Self)
        } else if scheme.eq_ignore_ascii_case("tel") {
            canonical_tel(rest, start).map(Self)
        } else {
            Err(IdentityError::Scheme)
        }
    }

    /// The canonical text.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

/// `sip:user@host[:port]`, RFC 3261 10.3 step 5 and 19.1.4.
fn canonical_sip(rest: &str, start: usize) -> Result<String, IdentityError> {
    let (user, host) = rest.split_once('@').ok_or(IdentityError::User)?;
    if user.is_empty() {
        return Err(IdentityError::User);
    }
    let host = host.split([';', '?']).next().unwrap_or_default();
    if !is_host(host) {
        return Err(IdentityError::Host);
    }
    let mut uri = String::with_capacity(4 + rest.len());
    uri.push_str("sip:");
    canonical_user(user, start, &mut uri)?;
    uri.push('@');
    uri.push_str(&host.to_ascii_lowercase());
    Ok(uri)
}

/// Writes the user part with escapes only where RFC 3261 25.1 demands them.
fn canonical_user(user: &str, start: usize, out: &mut String) -> Result<(), IdentityError> {
    const HEX: &[u8; 16] = b"0123456789ABCDEF";
    let bytes = user.as_bytes();
    let mut at = 0;
    while at < bytes.len() {
        let (byte, escaped) = match bytes[at] {
            b'%' => (
                unescape(bytes, at).ok_or(IdentityError::Character(start + at))?,
                true,
            ),
            byte => (byte, false),
        };
        if byte.is_ascii_alphanumeric() || USER_PLAIN.contains(&byte) {
            out.push(char::from(byte));
        } else if escaped {
            out.push('%');
            out.push(char::from(HEX[usize::from(byte >> 4)]));
            out.push(char::from(HEX[usize::from(byte & 15)]));
        } else {
            return Err(IdentityError::Character(start + at));
        }
        at += if escaped { 3 } else { 1 };
    }
    Ok(())
}

fn unescape(bytes: &[u8], at: usize) -> Option<u8> {
    let digit = |byte: u8| char::from(byte).to_digit(16).map(|digit| digit as u8);
    Some(digit(*bytes.get(at + 1)?)? << 4 | digit(*bytes.get(at + 2)?)?)
}

/// `tel:+digits`, or a local number with its context, RFC 3966 3.
fn canonical_tel(rest: &str, start: usize) -> Result<String, IdentityError> {
    let mut parts = rest.split(';');
    let number = parts.next().unwrap_or_default();
    let mut uri = String::with_capacity(4 + rest.len());
    uri.push_str("tel:");
    let global = number.starts_with('+');
    for (at, c) in number.chars().enumerate() {
        match c {
            '+' if at == 0 => uri.push('+'),
            '0'..='9' => uri.push(c),
            '*' | '#' if !global => uri.push(c),
            'a'..='f' | 'A'..='F' if !global => uri.push(c.to_ascii_uppercase()),
            '-' | '.' | '(' | ')' => {}
            _ => return Err(IdentityError::Character(start + at)),
        }
    }
    if uri.len() == if global { 5 } else { 4 } {
        return Err(IdentityError::User);
    }
    if !global {
        let context = parts
            .filter_map(|parameter| parameter.split_once('='))
            .find(|(name, _)| name.eq_ignore_ascii_case("phone-context"))
            .map(|(_, context)| context)
            .ok_or(IdentityError::PhoneContext)?;
        if !is_host_name(context.strip_prefix('+').unwrap_or(context)) {
            return Err(IdentityError::PhoneContext);
        }
        uri.push_str(";phone-context=");
        uri.push_str(&context.to_ascii_lowercase());
    }
    Ok(uri)
}

/// Marks and user-unreserved characters of RFC 3261 25.1 that stand unescaped in a user part.
const USER_PLAIN: &[u8] = b"-_.!~*'()&=+$,;?/";

fn is_host(text: &str) -> bool {
    if let Some(rest) = text.strip_prefix('[') {
        let Some((address, port)) = rest.split_once(']') else {
            return false;
        };
        return address.parse::<std::net::Ipv6Addr>().is_ok()
            && (port.is_empty() || port.strip_prefix(':').is_some_and(is_port));
    }
    match text.split_once(':') {
        Some((name, port)) => is_host_name(name) && is_port(port),
        None => is_host_name(text),
    }
}

fn is_port(text: &str) -> bool {
    !text.is_empty() && text.bytes().all(|b| b.is_ascii_digit()) && text.parse::<u16>().is_ok()
}

/// Labels of letters, digits, hyphens and (seen in practice) underscores, none empty.
fn is_host_name(text: &str) -> bool {
    let label_char = |b: u8| b.is_ascii_alphanumeric() || b == b'-' || b == b'_';
    !text.is_empty()
        && text
            .split('.')
            .all(|label| !label.is_empty() && label.bytes().all(label_char))
}

macro_rules! text_identity {
    ($name:ident) => {
        impl FromStr for $name {
            type Err = IdentityError;

            fn from_str(text: &str) -> Result<Self, IdentityError> {
                Self::parse(text)
            }
        }

        impl TryFrom<String> for $name {
            type Error = IdentityError;

            fn try_from(text: String) -> Result<Self, IdentityError> {
                Self::parse(&text)
            }
        }

        impl From<$name> for String {
            fn from(identity: $name) -> String {
                identity.0
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str(&self.0)
            }
        }
    };
}

text_identity!(Impi);
text_identity!(Impu);

impl fmt::Display for IdentityError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            IdentityError::TooLong => write!(f, "longer than {IDENTITY_BYTES_MAX} bytes"),
            IdentityError::Scheme => f.write_str("starts neither with sip: nor with tel:"),
            IdentityError::User => f.write_str("has no user part"),
            IdentityError::Host => f.write_str("has no valid domain after the @"),
            IdentityError::Character(at) => {
                write!(
                    f,
                    "has a character that may not stand there, the {}.",
                    at + 1
                )
            }
            IdentityError::PhoneContext => {
                f.write_str("is a local number without a valid phone-context")
            }
        }
    }
}

impl std::error::Error for IdentityError {}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn canonical(text: &str) -> String {
        Impu::parse(text).map_or_else(|error| format!("{error:?}"), String::from)
    }

    #[test]
    fn sip_identities_come_into_one_form() {
        for (given, expected) in [
            ("sip:alice@ims.test", "sip:alice@ims.test"),
            ("SIP:alice@IMS.Test", "sip:alice@ims.test"),
            (
                "sip:Alice@ims.test;user=phone;x=y?Subject=a",
                "sip:Alice@ims.test",
            ),
            ("sip:%61lice%40x@ims.test", "sip:alice%40x@ims.test"),
            ("sip:a%3a@ims.test", "sip:a%3A@ims.test"),
            (
                "sip:+4930123;phone-context=x@ims.test",
                "sip:+4930123;phone-context=x@ims.test",
            ),
            (
                "sip:alice@[2001:DB8::1]:5070",
                "sip:alice@[2001:db8::1]:5070",
            ),
        ] {
            assert_eq!(canonical(given), expected, "{given}");
        }
    }

    #[test]
    fn telephone_numbers_come_into_one_form() {
        for (given, expected) in [
            ("tel:+49-30-(12).34", "tel:+49301234"),
            ("TEL:+49301234;isub=1", "tel:+49301234"),
            (
                "tel:7042;phone-context=Example.com",
                "tel:7042;phone-context=example.com",
            ),
            (
                "tel:863-1234;ext=5;phone-context=+1-914",
                "tel:8631234;phone-context=+1-914",
            ),
        ] {
            assert_eq!(canonical(given), expected, "{given}");
        }
    }

    #[test]
    fn what_is_no_identity_is_refused_with_its_reason() {
        for (given, expected) in [
            ("alice", "Scheme"),
            ("sips:alice@ims.test", "Scheme"),
            ("sip:ims.test", "User"),
            ("sip:@ims.test", "User"),
            ("sip:alice@", "Host"),
            ("sip:alice@ims..test", "Host"),
            ("sip:alice@ims.test:99999", "Host"),
            ("sip:alice@[::1", "Host"),
            ("sip:al ice@ims.test", "Character(6)"),
            ("sip:a:pw@ims.test", "Character(5)"),
            ("sip:a%4@ims.test", "Character(5)"),
            ("tel:+", "User"),
            ("tel:", "User"),
            ("tel:+12a", "Character(7)"),
            ("tel:7042", "PhoneContext"),
            ("tel:7042;phone-context=a b", "PhoneContext"),
        ] {
            assert_eq!(canonical(given), expected, "{given}");
        }
        let long = format!("sip:{}@ims.test", "a".repeat(IDENTITY_BYTES_MAX));
        assert_eq!(Impu::parse(&long), Err(IdentityError::TooLong));
    }

    #[test]
    fn a_private_identity_is_kept_as_written() {
        let impi = Impi::parse("001010000000001@ims.MNC001.test").expect("an NAI");
        assert_eq!(impi.as_str(), "001010000000001@ims.MNC001.test");
        assert_eq!(impi.realm(), "ims.MNC001.test");
        assert_eq!(Impi::parse("alice"), Err(IdentityError::User));
        assert_eq!(Impi::parse("a@b@c"), Err(IdentityError::User));
        assert_eq!(Impi::parse("a@"), Err(IdentityError::Host));
        assert_eq!(Impi::parse("a:b@c"), Err(IdentityError::Character(1)));
        assert_eq!(Impi::parse("a\u{e9}@c"), Err(IdentityError::Character(1)));
    }

    proptest! {
        #[test]
        fn canonical_form_is_a_fixed_point(text in "(sip|tel|SIP):[ -~]{0,40}") {
            if let Ok(impu) = Impu::parse(&text) {
                prop_assert_eq!(Impu::parse(impu.as_str()), Ok(impu));
            }
        }

        #[test]
        fn any_text_is_parsed_or_refused(text in "\\PC{0,60}") {
            let _ = Impu::parse(&text);
            let _ = Impi::parse(&text);
        }
    }
}
