//! Keys that stay out of logs.

use std::fmt;

use serde::de::Error as _;
use serde::{Deserialize, Deserializer, Serialize, Serializer};

use super::hex::{HexError, parse_hex_exact, to_hex};

/// `N` secret bytes (K, OPc, CK, IK, HA1): `Debug` does not show them, serde writes them as
/// hexadecimal text.
#[derive(Clone, Copy, PartialEq, Eq)]
pub struct Secret<const N: usize>(pub [u8; N]);

impl<const N: usize> Secret<N> {
    /// Reads `2 * N` hexadecimal digits.
    ///
    /// # Errors
    /// The position of a wrong digit, or the wrong length; never the text.
    pub fn parse(text: &str) -> Result<Self, HexError> {
        parse_hex_exact(text).map(Self)
    }

    /// The digits, for the wire and the store.
    pub fn to_hex(&self) -> String {
        to_hex(&self.0)
    }
}

impl<const N: usize> fmt::Debug for Secret<N> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Secret({N} bytes)")
    }
}

impl<const N: usize> Serialize for Secret<N> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(&self.to_hex())
    }
}

impl<'de, const N: usize> Deserialize<'de> for Secret<N> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = std::borrow::Cow::<str>::deserialize(deserializer)?;
        Self::parse(&text)
            .map_err(|_| D::Error::custom("not hexadecimal digits of the right length"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn debug_shows_no_key() {
        let secret = Secret([0xab; 16]);
        assert_eq!(format!("{secret:?}"), "Secret(16 bytes)");
        assert_eq!(Secret::parse(&secret.to_hex()), Ok(secret));
    }
}
