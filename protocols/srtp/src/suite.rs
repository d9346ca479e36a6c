//! Crypto suites: what encrypts and what authenticates.

use std::fmt;
use std::str::FromStr;

/// A crypto suite by its name in SDES (RFC 4568 6.2, RFC 6188 4, RFC 7714 14.1).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Suite {
    /// AES in counter mode, HMAC-SHA1 of 80 bits: what every implementation has (RFC 3711 5).
    AesCm128HmacSha1_80,
    /// The same with 32 bits for SRTP, and 80 for SRTCP.
    AesCm128HmacSha1_32,
    /// AES-256 in counter mode, HMAC-SHA1 of 80 bits (RFC 6188).
    AesCm256HmacSha1_80,
    /// The same with 32 bits for SRTP, and 80 for SRTCP.
    AesCm256HmacSha1_32,
    /// AES-128 in Galois/counter mode (RFC 7714).
    AeadAes128Gcm,
    /// AES-256 in Galois/counter mode (RFC 7714).
    AeadAes256Gcm,
}

impl Suite {
    /// Every suite, the best first: those that authenticate as they encrypt, then long tags.
    pub const ALL: [Suite; 6] = [
        Self::AeadAes256Gcm,
        Self::AeadAes128Gcm,
        Self::AesCm256HmacSha1_80,
        Self::AesCm128HmacSha1_80,
        Self::AesCm256HmacSha1_32,
        Self::AesCm128HmacSha1_32,
    ];

    /// Its name in `a=crypto`.
    pub const fn name(self) -> &'static str {
        match self {
            Self::AesCm128HmacSha1_80 => "AES_CM_128_HMAC_SHA1_80",
            Self::AesCm128HmacSha1_32 => "AES_CM_128_HMAC_SHA1_32",
            Self::AesCm256HmacSha1_80 => "AES_256_CM_HMAC_SHA1_80",
            Self::AesCm256HmacSha1_32 => "AES_256_CM_HMAC_SHA1_32",
            Self::AeadAes128Gcm => "AEAD_AES_128_GCM",
            Self::AeadAes256Gcm => "AEAD_AES_256_GCM",
        }
    }

    /// Octets of the master key, which are those of the session encryption keys.
    pub const fn key_bytes(self) -> usize {
        match self {
            Self::AesCm128HmacSha1_80 | Self::AesCm128HmacSha1_32 | Self::AeadAes128Gcm => 16,
            Self::AesCm256HmacSha1_80 | Self::AesCm256HmacSha1_32 | Self::AeadAes256Gcm => 32,
        }
    }

    /// Octets of the master salt, which are those of the session salts.
    pub const fn salt_bytes(self) -> usize {
        match self {
            Self::AeadAes128Gcm | Self::AeadAes256Gcm => 12,
            _ => 14,
        }
    }

    /// Octets of the authentication tag of SRTP.
    pub const fn rtp_tag_bytes(self) -> usize {
        match self {
            Self::AesCm128HmacSha1_32 | Self::AesCm256HmacSha1_32 => 4,
            _ => self.rtcp_tag_bytes(),
        }
    }

    /// Octets of the authentication tag of SRTCP.
    pub const fn rtcp_tag_bytes(self) -> usize {
        match self {
            Self::AeadAes128Gcm | Self::AeadAes256Gcm => 16,
            _ => 10,
        }
    }
}

impl fmt::Display for Suite {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

impl FromStr for Suite {
    type Err = ();

    /// The suite of this name, whatever its case (RFC 4568 9.1 takes its strings from ABNF).
    fn from_str(name: &str) -> Result<Self, ()> {
        let named = |suite: &Suite| suite.name().eq_ignore_ascii_case(name);
        Self::ALL.into_iter().find(named).ok_or(())
    }
}

/// Octets of the longest master key and salt.
pub const MASTER_BYTES_MAX: usize = 32 + 14;

/// Octets of the longest tag.
pub(crate) const TAG_BYTES_MAX: usize = 16;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_suite_is_found_by_its_name() {
        for suite in Suite::ALL {
            assert_eq!(suite.name().parse(), Ok(suite));
            assert_eq!(suite.to_string().to_lowercase().parse(), Ok(suite));
            assert!(suite.key_bytes() + suite.salt_bytes() <= MASTER_BYTES_MAX);
            assert!(suite.rtcp_tag_bytes() <= TAG_BYTES_MAX);
        }
        assert_eq!("F8_128_HMAC_SHA1_80".parse::<Suite>(), Err(()));
    }
}
