//! Identities of subscribers in the form they are compared in.

use std::borrow::Borrow;
use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};
use sip::{Scheme, Uri};

/// A private user identity: a network access identifier `username@realm`, TS 23.003 13.3.
///
/// Compared octet by octet, because the digest a UE computes covers it as written.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct Impi(String);

/// A public user identity in canonical form, TS 23.003 13.4: `sip:user@host` or `tel:+digits`.
///
/// Equal identities are equal texts, see [`sip::Uri::canonical`]; `sips:` is taken as `sip:`, as
/// both name the same user.
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
    /// Nothing before the `@`.
    User,
    /// No realm after the `@`, or not a valid one.
    Realm,
    /// A character that may not stand there, at this position.
    Character(usize),
    /// Not a SIP or tel URI.
    Uri,
    /// A local number without `phone-context`.
    PhoneContext,
}

/// Longest identity in bytes: a NAI has at most 253 (RFC 7542 2.3), and a URI adds its scheme and
/// escapes.
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
        if !is_domain(realm) {
            return Err(IdentityError::Realm);
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
        let (scheme, _) = text.split_once(':').ok_or(IdentityError::Scheme)?;
        let known = ["sip", "sips", "tel"];
        if !known.iter().any(|name| scheme.eq_ignore_ascii_case(name)) {
            return Err(IdentityError::Scheme);
        }
        let uri = Uri::parse(text).ok_or(IdentityError::Uri)?;
        match uri.scheme() {
            Scheme::Tel if !uri.is_global_number() && uri.phone_context().is_none() => {
                return Err(IdentityError::PhoneContext);
            }
            Scheme::Sip | Scheme::Sips if uri.user().is_none_or(str::is_empty) => {
                return Err(IdentityError::User);
            }
            _ => {}
        }
        let canonical = uri.canonical();
        Ok(Self(match canonical.strip_prefix("sips:") {
            Some(rest) => format!("sip:{rest}"),
            None => canonical,
        }))
    }

    /// The canonical text.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

/// Labels of letters, digits, hyphens and (seen in practice) underscores, none empty.
fn is_domain(text: &str) -> bool {
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

        impl Borrow<str> for $name {
            fn borrow(&self) -> &str {
                &self.0
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
            IdentityError::Realm => f.write_str("has no valid domain after the @"),
            IdentityError::Uri => f.write_str("is not a valid SIP or tel URI"),
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
    fn spellings_of_one_identity_become_one_text() {
        for (given, expected) in [
            ("sip:alice@ims.test", "sip:alice@ims.test"),
            ("SIP:alice@IMS.Test", "sip:alice@ims.test"),
            ("sips:alice@ims.test", "sip:alice@ims.test"),
            (
                "sip:Alice@ims.test:5070;user=phone;x=y?Subject=a",
                "sip:Alice@ims.test",
            ),
            ("sip:%61lice%40x@ims.test", "sip:alice%40x@ims.test"),
            ("sip:alice@[2001:DB8::1]", "sip:alice@[2001:db8::1]"),
            ("tel:+49-30-(12).34", "tel:+49301234"),
            ("TEL:+49301234;isub=1", "tel:+49301234"),
            (
                "tel:7042;phone-context=Example.com",
                "tel:7042;phone-context=example.com",
            ),
        ] {
            assert_eq!(canonical(given), expected, "{given}");
        }
    }

    #[test]
    fn what_is_no_identity_is_refused_with_its_reason() {
        for (given, expected) in [
            ("alice", "Scheme"),
            ("urn:service:sos", "Scheme"),
            ("sip:ims.test", "User"),
            ("sip:@ims.test", "Uri"),
            ("sip:alice@", "Uri"),
            ("sip:alice@ims.test:99999", "Uri"),
            ("sip:alice@[::1", "Uri"),
            ("sip:al ice@ims.test", "Uri"),
            ("tel:+", "Uri"),
            ("tel:", "Uri"),
            ("tel:+12a", "Uri"),
            ("tel:7042", "PhoneContext"),
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
        assert_eq!(Impi::parse("a@"), Err(IdentityError::Realm));
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
