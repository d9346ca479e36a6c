//! Security descriptions, `a=crypto` (RFC 4568), with the suites of RFC 6188 and RFC 7714.

use std::fmt;
use std::str::FromStr;

use base64::Engine;
use base64::alphabet::STANDARD;
use base64::engine::{DecodePaddingMode, GeneralPurpose, GeneralPurposeConfig};

use crate::address::digits;
use crate::attribute::Attribute;

/// `a=crypto` with keys for SRTP, RFC 4568 4 and 6.
///
/// `Debug` does not show the keys.
///
/// ```
/// use sdp::crypto::{Crypto, CryptoSuite};
///
/// let key = "WVNfX19zZW1jdGwgKCkgewkyMjA7fQp9CnVubGVz";
/// let value = format!("1 AES_CM_128_HMAC_SHA1_80 inline:{key}|2^20|1:4");
/// let crypto = Crypto::parse(&value)?;
/// assert_eq!(crypto.suite, CryptoSuite::AesCm128HmacSha1_80);
/// assert_eq!(crypto.keys[0].key_and_salt().len(), 16 + 14);
/// assert_eq!(crypto.to_string(), value);
/// # Ok::<(), sdp::crypto::CryptoFault>(())
/// ```
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Crypto {
    /// Tells the descriptions of a stream apart; the answer has that of the one it accepts.
    pub tag: u32,
    /// What encrypts and authenticates.
    pub suite: CryptoSuite,
    /// The master keys, at least one and at most [`KEYS_MAX`]. Several have MKIs of one length.
    pub keys: Vec<InlineKey>,
    /// The least size of the replay window that the sender of the packets hints at (6.3.7).
    pub window: Option<u32>,
}

/// Why an `a=crypto` cannot be used. Who answers goes on to the next, and refuses the stream when
/// none is left (RFC 4568 5.1.2).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum CryptoFault {
    /// It breaks the grammar of RFC 4568 9, or a value is out of its range.
    Malformed,
    /// A suite that is not known here.
    Suite,
    /// A key method other than `inline`, or more or longer MKIs than are taken.
    Key,
    /// A session parameter that is mandatory and not provided here: a key derivation rate, packets
    /// not encrypted or not authenticated, forward error correction, or one not known (6.3).
    Parameter,
}

impl fmt::Display for CryptoFault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Malformed => "malformed crypto attribute",
            Self::Suite => "crypto suite is not known",
            Self::Key => "key of crypto attribute cannot be used",
            Self::Parameter => "session parameter is not provided",
        })
    }
}

impl std::error::Error for CryptoFault {}

/// A crypto suite (RFC 4568 6.2, RFC 6188 4, RFC 7714 14.1).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum CryptoSuite {
    /// `AES_CM_128_HMAC_SHA1_80`: what TS 33.328 has every UE and P-CSCF support.
    AesCm128HmacSha1_80,
    /// `AES_CM_128_HMAC_SHA1_32`.
    AesCm128HmacSha1_32,
    /// `AES_256_CM_HMAC_SHA1_80`.
    AesCm256HmacSha1_80,
    /// `AES_256_CM_HMAC_SHA1_32`.
    AesCm256HmacSha1_32,
    /// `AEAD_AES_128_GCM`.
    AeadAes128Gcm,
    /// `AEAD_AES_256_GCM`.
    AeadAes256Gcm,
}

impl CryptoSuite {
    /// Every suite.
    pub const ALL: [CryptoSuite; 6] = [
        Self::AeadAes256Gcm,
        Self::AeadAes128Gcm,
        Self::AesCm256HmacSha1_80,
        Self::AesCm128HmacSha1_80,
        Self::AesCm256HmacSha1_32,
        Self::AesCm128HmacSha1_32,
    ];

    /// Its name.
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

    /// Octets of master key and salt together.
    pub const fn key_and_salt_bytes(self) -> usize {
        match self {
            Self::AesCm128HmacSha1_80 | Self::AesCm128HmacSha1_32 => 16 + 14,
            Self::AesCm256HmacSha1_80 | Self::AesCm256HmacSha1_32 => 32 + 14,
            Self::AeadAes128Gcm => 16 + 12,
            Self::AeadAes256Gcm => 32 + 12,
        }
    }
}

impl fmt::Display for CryptoSuite {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

impl FromStr for CryptoSuite {
    type Err = CryptoFault;

    fn from_str(name: &str) -> Result<Self, CryptoFault> {
        let named = |suite: &Self| suite.name().eq_ignore_ascii_case(name);
        Self::ALL.into_iter().find(named).ok_or(CryptoFault::Suite)
    }
}

/// A master key with its salt, RFC 4568 6.1.
#[derive(Clone, PartialEq, Eq)]
pub struct InlineKey {
    key_and_salt: Box<[u8]>,
    /// Packets that it may protect; `None` for as many as RFC 3711 9.2 allows.
    pub lifetime: Option<Lifetime>,
    /// Its identifier in packets.
    pub mki: Option<Mki>,
}

/// The life of a master key, as it is written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Lifetime {
    /// So many packets.
    Packets(u64),
    /// Two to this power.
    PowerOfTwo(u8),
}

/// A master key identifier.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Mki {
    /// Its value.
    pub value: u128,
    /// Octets that packets write it with, 1 to [`MKI_BYTES_MAX`].
    pub octets: u8,
}

impl InlineKey {
    /// A key and salt, one after the other, without a shorter life and without MKI.
    pub fn new(key_and_salt: &[u8]) -> Self {
        Self {
            key_and_salt: key_and_salt.into(),
            lifetime: None,
            mki: None,
        }
    }

    /// Key and salt, one after the other.
    pub fn key_and_salt(&self) -> &[u8] {
        &self.key_and_salt
    }

    fn parse(text: &str, suite: CryptoSuite) -> Result<Self, CryptoFault> {
        let (method, info) = text.split_once(':').ok_or(CryptoFault::Malformed)?;
        if !method.eq_ignore_ascii_case("inline") {
            return Err(CryptoFault::Key);
        }
        let mut parts = info.split('|');
        let key_and_salt = parts
            .next()
            .and_then(|text| BASE64.decode(text).ok())
            .filter(|octets| octets.len() == suite.key_and_salt_bytes())
            .ok_or(CryptoFault::Malformed)?;
        let mut key = Self::new(&key_and_salt);
        for part in parts {
            match part.split_once(':') {
                Some((value, octets)) if key.mki.is_none() => {
                    key.mki = Some(Mki::parse(value, octets)?);
                }
                None if key.mki.is_none() && key.lifetime.is_none() => {
                    key.lifetime = Some(Lifetime::parse(part)?);
                }
                _ => return Err(CryptoFault::Malformed),
            }
        }
        Ok(key)
    }
}

impl fmt::Display for InlineKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "inline:{}", BASE64.encode(&self.key_and_salt))?;
        match self.lifetime {
            None => {}
            Some(Lifetime::Packets(packets)) => write!(f, "|{packets}")?,
            Some(Lifetime::PowerOfTwo(power)) => write!(f, "|2^{power}")?,
        }
        match self.mki {
            None => Ok(()),
            Some(Mki { value, octets }) => write!(f, "|{value}:{octets}"),
        }
    }
}

impl fmt::Debug for InlineKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("InlineKey")
            .field("lifetime", &self.lifetime)
            .field("mki", &self.mki)
            .finish_non_exhaustive()
    }
}

impl Lifetime {
    fn parse(text: &str) -> Result<Self, CryptoFault> {
        let lifetime = match text.strip_prefix("2^") {
            Some(power) => digits(power).map(Self::PowerOfTwo),
            None => digits(text).map(Self::Packets),
        };
        let is_within = |lifetime: &Self| (1..=LIFETIME_MAX).contains(&lifetime.packets());
        lifetime.filter(is_within).ok_or(CryptoFault::Malformed)
    }

    /// How many packets that are.
    pub fn packets(self) -> u64 {
        match self {
            Self::Packets(packets) => packets,
            Self::PowerOfTwo(power) => 1_u64.checked_shl(power.into()).unwrap_or(u64::MAX),
        }
    }
}

impl Mki {
    fn parse(value: &str, octets: &str) -> Result<Self, CryptoFault> {
        let octets: u8 = digits(octets).ok_or(CryptoFault::Malformed)?;
        if !(1..=128).contains(&octets) || !value.bytes().all(|byte| byte.is_ascii_digit()) {
            return Err(CryptoFault::Malformed);
        }
        if octets > MKI_BYTES_MAX {
            return Err(CryptoFault::Key);
        }
        let value: u128 = digits(value).ok_or(CryptoFault::Malformed)?;
        let fits = value.checked_shr(8 * u32::from(octets)).unwrap_or(0) == 0;
        fits.then_some(Self { value, octets })
            .ok_or(CryptoFault::Malformed)
    }
}

impl Crypto {
    /// A description of one key.
    pub fn new(tag: u32, suite: CryptoSuite, key: InlineKey) -> Self {
        Self {
            tag,
            suite,
            keys: vec![key],
            window: None,
        }
    }

    /// Parses the value of an `a=crypto`.
    ///
    /// # Errors
    /// Why it cannot be used.
    pub fn parse(value: &str) -> Result<Self, CryptoFault> {
        let mut fields = value.split_ascii_whitespace();
        let mut next = || fields.next().ok_or(CryptoFault::Malformed);
        let (tag, suite, keys) = (next()?, next()?, next()?);
        let is_number = tag.len() <= TAG_DIGITS_MAX && (tag == "0" || !tag.starts_with('0'));
        let tag = digits(tag).filter(|_| is_number);
        let suite: CryptoSuite = suite.parse()?;
        let keys = keys.split(';').take(KEYS_MAX + 1);
        let mut crypto = Self {
            tag: tag.ok_or(CryptoFault::Malformed)?,
            suite,
            keys: keys
                .map(|key| InlineKey::parse(key, suite))
                .collect::<Result<_, _>>()?,
            window: None,
        };
        crypto.check_keys()?;
        let mut count = 0;
        for parameter in fields {
            count += 1;
            if count > PARAMETERS_MAX {
                return Err(CryptoFault::Malformed);
            }
            crypto.add_parameter(parameter)?;
        }
        Ok(crypto)
    }

    /// Several keys are told apart by their MKIs (RFC 4568 6.1).
    fn check_keys(&self) -> Result<(), CryptoFault> {
        if self.keys.len() > KEYS_MAX {
            return Err(CryptoFault::Key);
        }
        let [_, _, ..] = self.keys.as_slice() else {
            return Ok(());
        };
        let length = |key: &InlineKey| key.mki.map(|mki| mki.octets);
        for (index, key) in self.keys.iter().enumerate() {
            let is_known = self.keys[..index].iter().any(|other| other.mki == key.mki);
            if is_known || key.mki.is_none() || length(key) != length(&self.keys[0]) {
                return Err(CryptoFault::Malformed);
            }
        }
        Ok(())
    }

    /// Takes what is known and changes nothing here, or may be ignored (RFC 4568 6.3).
    fn add_parameter(&mut self, parameter: &str) -> Result<(), CryptoFault> {
        let (name, value) = match parameter.split_once('=') {
            Some((name, value)) => (name, Some(value)),
            None => (parameter, None),
        };
        match (name.to_ascii_uppercase().as_str(), value) {
            ("WSH", Some(value)) if self.window.is_none() => {
                let window = digits(value).filter(|&window| window >= WINDOW_MIN);
                self.window = Some(window.ok_or(CryptoFault::Malformed)?);
                Ok(())
            }
            // Without forward error correction its order does not matter; this is the usual one.
            ("FEC_ORDER", Some(order)) if order.eq_ignore_ascii_case("FEC_SRTP") => Ok(()),
            ("WSH", _) => Err(CryptoFault::Malformed),
            (name, _) if name.len() > 1 && name.starts_with('-') => Ok(()),
            _ => Err(CryptoFault::Parameter),
        }
    }

    /// As an attribute.
    pub fn attribute(&self) -> Attribute {
        Attribute::new("crypto", self)
    }
}

impl fmt::Display for Crypto {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} {} ", self.tag, self.suite)?;
        for (index, key) in self.keys.iter().enumerate() {
            let separator = if index > 0 { ";" } else { "" };
            write!(f, "{separator}{key}")?;
        }
        match self.window {
            None => Ok(()),
            Some(window) => write!(f, " WSH={window}"),
        }
    }
}

/// The protocol of an `m=` line whose media are protected by security descriptions, from that of
/// one whose are not: `RTP/SAVP` of `RTP/AVP` (RFC 3711 12), `RTP/SAVPF` of `RTP/AVPF` (RFC 5124).
/// Another stays as it is.
pub fn protected(protocol: &str) -> &str {
    PROFILES
        .iter()
        .find(|(clear, _)| clear.eq_ignore_ascii_case(protocol))
        .map_or(protocol, |(_, protected)| protected)
}

/// The other way; `None` when the protocol is none that security descriptions protect.
pub fn unprotected(protocol: &str) -> Option<&'static str> {
    PROFILES
        .iter()
        .find(|(_, protected)| protected.eq_ignore_ascii_case(protocol))
        .map(|(clear, _)| *clear)
}

const PROFILES: [(&str, &str); 2] = [("RTP/AVP", "RTP/SAVP"), ("RTP/AVPF", "RTP/SAVPF")];

/// Padding may be left out, as some do; it is written.
const BASE64: GeneralPurpose = GeneralPurpose::new(
    &STANDARD,
    GeneralPurposeConfig::new().with_decode_padding_mode(DecodePaddingMode::Indifferent),
);

/// Master keys taken of one description.
pub const KEYS_MAX: usize = 4;

/// Octets of the longest MKI taken, of the 128 that RFC 4568 6.1 allows.
pub const MKI_BYTES_MAX: u8 = 32;

/// Session parameters looked at: there are seven, and each may stand once.
const PARAMETERS_MAX: usize = 16;

/// Digits of a tag, RFC 4568 9.1.
const TAG_DIGITS_MAX: usize = 9;

/// Packets that a key may protect at most (RFC 3711 9.2).
const LIFETIME_MAX: u64 = 1 << 48;

/// The least window (RFC 3711 3.3.2).
const WINDOW_MIN: u32 = 64;

#[cfg(test)]
mod tests {
    use super::*;

    const KEY: &str = "inline:WVNfX19zZW1jdGwgKCkgewkyMjA7fQp9CnVubGVz";

    #[test]
    fn the_examples_of_rfc_4568_are_read_and_written() {
        let examples = [
            "1 AES_CM_128_HMAC_SHA1_80 inline:PS1uQCVeeCFCanVmcjkpPywjNWhcYD0mXXtxaVBR|2^20|1:32",
            "2 AES_CM_128_HMAC_SHA1_32 inline:NzB4d1BINUAvLEw6UzF3WSJ+PSdFcGdUJShpX1Zj|2^20|1:4",
            "1 AES_CM_128_HMAC_SHA1_80 inline:d0RmdmcmVCspeEc3QGZiNWpVLFJhQX1cfHAwJSoj|2^20|1:4;\
             inline:QUJjZGVmMTIzNDU2Nzg5QUJDREUwMTIzNDU2Nzg5|2^20|2:4",
            "1 AES_CM_128_HMAC_SHA1_80 inline:d0RmdmcmVCspeEc3QGZiNWpVLFJhQX1cfHAwJSoj WSH=128",
            "9 AES_CM_128_HMAC_SHA1_80 inline:d0RmdmcmVCspeEc3QGZiNWpVLFJhQX1cfHAwJSoj|1048576",
        ];
        for example in examples {
            let crypto = Crypto::parse(example).map(|crypto| crypto.to_string());
            assert_eq!(crypto.as_deref(), Ok(example));
        }
        let crypto = Crypto::parse(examples[2]).unwrap();
        assert_eq!(crypto.keys.len(), 2);
        assert_eq!(
            crypto.keys[1].mki,
            Some(Mki {
                value: 2,
                octets: 4
            })
        );
        assert_eq!(
            crypto.keys[1].lifetime.map(Lifetime::packets),
            Some(1 << 20)
        );
        assert_eq!(crypto.attribute().value(), examples[2]);
    }

    #[test]
    fn keys_of_every_suite_are_read_with_and_without_padding() {
        for suite in CryptoSuite::ALL {
            let octets: Vec<u8> = (0..suite.key_and_salt_bytes()).map(|n| n as u8).collect();
            let crypto = Crypto::new(3, suite, InlineKey::new(&octets));
            let text = crypto.to_string();
            assert_eq!(Crypto::parse(&text).as_ref(), Ok(&crypto));
            assert_eq!(
                Crypto::parse(text.trim_end_matches('=')).as_ref(),
                Ok(&crypto)
            );
            let short = Crypto::new(3, suite, InlineKey::new(&octets[1..]));
            assert_eq!(
                Crypto::parse(&short.to_string()),
                Err(CryptoFault::Malformed)
            );
            assert!(!format!("{crypto:?}").contains("0, 1"), "{crypto:?}");
        }
    }

    #[test]
    fn what_is_not_provided_is_refused_and_what_is_malformed_too() {
        use CryptoFault::{Key, Malformed, Parameter, Suite};
        let with = |rest: &str| format!("1 AES_CM_128_HMAC_SHA1_80 {KEY}{rest}");
        let cases = [
            (with(" KDR=1"), Err(Parameter)),
            (with(" UNENCRYPTED_SRTP"), Err(Parameter)),
            (with(" UNENCRYPTED_SRTCP"), Err(Parameter)),
            (with(" UNAUTHENTICATED_SRTP"), Err(Parameter)),
            (with(" FEC_ORDER=SRTP_FEC"), Err(Parameter)),
            (with(" FEC_ORDER=FEC_SRTP"), Ok(())),
            (with(&format!(" FEC_KEY={KEY}")), Err(Parameter)),
            (with(" WSH=64 -SOMETHING=4 -x"), Ok(())),
            (with(" SOMETHING=4"), Err(Parameter)),
            (with(" -"), Err(Parameter)),
            (with(" WSH=63"), Err(Malformed)),
            (with(" WSH=64 WSH=64"), Err(Malformed)),
            (with(&" -a".repeat(17)), Err(Malformed)),
            (with("|2^48"), Ok(())),
            (with("|2^49"), Err(Malformed)),
            (with("|2^255"), Err(Malformed)),
            (with("|0"), Err(Malformed)),
            (with("|1:1|2^20"), Err(Malformed)),
            (with("|2^20|2^20"), Err(Malformed)),
            (with("|256:1"), Err(Malformed)),
            (with("|255:1"), Ok(())),
            (with("|1:0"), Err(Malformed)),
            (with("|1:129"), Err(Malformed)),
            (with("|1:33"), Err(Key)),
            (with("|x:1"), Err(Malformed)),
            (with(&format!(";{KEY}")), Err(Malformed)),
            (with(&format!("|1:1;{KEY}|1:1")), Err(Malformed)),
            (with(&format!("|1:1;{KEY}|2:2")), Err(Malformed)),
            (with(&format!("|1:1;{KEY}|2:1")), Ok(())),
            (
                with(&format!("|1:1;{KEY}|2:1;{KEY}|3:1;{KEY}|4:1;{KEY}|5:1")),
                Err(Key),
            ),
            (format!("1 F8_128_HMAC_SHA1_80 {KEY}"), Err(Suite)),
            ("1 AES_CM_128_HMAC_SHA1_80 uri:x".to_owned(), Err(Key)),
            (
                "1 AES_CM_128_HMAC_SHA1_80 inline".to_owned(),
                Err(Malformed),
            ),
            (
                "1 AES_CM_128_HMAC_SHA1_80 inline:!".to_owned(),
                Err(Malformed),
            ),
            ("1 AES_CM_128_HMAC_SHA1_80".to_owned(), Err(Malformed)),
            (format!("01 AES_CM_128_HMAC_SHA1_80 {KEY}"), Err(Malformed)),
            (
                format!("1234567890 AES_CM_128_HMAC_SHA1_80 {KEY}"),
                Err(Malformed),
            ),
            (format!("x AES_CM_128_HMAC_SHA1_80 {KEY}"), Err(Malformed)),
            (String::new(), Err(Malformed)),
        ];
        for (value, outcome) in cases {
            assert_eq!(Crypto::parse(&value).map(drop), outcome, "{value}");
        }
    }

    #[test]
    fn protocols_are_protected_and_not() {
        assert_eq!(protected("RTP/AVP"), "RTP/SAVP");
        assert_eq!(protected("rtp/avpf"), "RTP/SAVPF");
        assert_eq!(protected("udptl"), "udptl");
        assert_eq!(unprotected("RTP/SAVPF"), Some("RTP/AVPF"));
        assert_eq!(unprotected("rtp/savp"), Some("RTP/AVP"));
        assert_eq!(unprotected("RTP/AVP"), None);
    }

    #[test]
    fn no_cut_or_flipped_bit_makes_the_parser_fail() {
        let value = format!("1 AES_CM_128_HMAC_SHA1_80 {KEY}|2^20|1:4;{KEY}|2^20|2:4 WSH=64 -a=b");
        assert!(Crypto::parse(&value).is_ok());
        for len in 0..value.len() {
            let _ = Crypto::parse(&value[..len]);
        }
        for bit in 0..value.len() * 8 {
            let mut octets = value.clone().into_bytes();
            octets[bit / 8] ^= 1 << (bit % 8);
            let Ok(text) = String::from_utf8(octets) else {
                continue;
            };
            if let Ok(crypto) = Crypto::parse(&text) {
                assert_eq!(Crypto::parse(&crypto.to_string()), Ok(crypto), "{text}");
            }
        }
    }
}
