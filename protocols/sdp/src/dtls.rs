//! What tells of DTLS: `a=fingerprint` (RFC 8122), `a=setup` (RFC 4145), and the protocols of
//! media whose keys it exchanges (RFC 5764).

use std::fmt;
use std::str::FromStr;

use crate::attribute::Attribute;
use crate::line::{FINGERPRINTS_MAX, Lines};
use crate::session::Session;

/// A fingerprint of the certificate that a side will show, `a=fingerprint` (RFC 8122 5).
///
/// ```
/// use sdp::dtls::{Fingerprint, HashFunction};
///
/// let digest = [0xA5; 32];
/// let fingerprint = Fingerprint::new(HashFunction::Sha256, &digest).unwrap();
/// let value = fingerprint.to_string();
/// assert!(value.starts_with("sha-256 A5:A5:"));
/// assert_eq!(value.parse(), Ok(fingerprint));
/// ```
#[derive(Clone, Copy, PartialEq, Eq)]
pub struct Fingerprint {
    hash: HashFunction,
    /// Of which as many count as the function makes.
    digest: [u8; DIGEST_BYTES_MAX],
}

/// Why an `a=fingerprint` cannot be used.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum FingerprintFault {
    /// It breaks the grammar of RFC 8122 5, or is not as long as its function makes it.
    Malformed,
    /// A function that is not known here, or is too weak to be trusted: MD2, MD5 and SHA-1.
    Hash,
}

impl fmt::Display for FingerprintFault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Malformed => "malformed fingerprint",
            Self::Hash => "hash function of fingerprint is not provided",
        })
    }
}

impl std::error::Error for FingerprintFault {}

/// A hash function of fingerprints (RFC 8122 5).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum HashFunction {
    /// `sha-256`, which every implementation has.
    Sha256,
    /// `sha-384`.
    Sha384,
    /// `sha-512`.
    Sha512,
}

impl HashFunction {
    /// Every function.
    pub const ALL: [HashFunction; 3] = [Self::Sha256, Self::Sha384, Self::Sha512];

    /// Its name in the registry of hash function textual names.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Sha256 => "sha-256",
            Self::Sha384 => "sha-384",
            Self::Sha512 => "sha-512",
        }
    }

    /// Octets of what it makes.
    pub const fn digest_bytes(self) -> usize {
        match self {
            Self::Sha256 => 32,
            Self::Sha384 => 48,
            Self::Sha512 => DIGEST_BYTES_MAX,
        }
    }
}

impl Fingerprint {
    /// What the function made of a certificate; `None` for another length than it makes.
    pub fn new(hash: HashFunction, digest: &[u8]) -> Option<Self> {
        let mut kept = [0; DIGEST_BYTES_MAX];
        if digest.len() != hash.digest_bytes() {
            return None;
        }
        kept[..digest.len()].copy_from_slice(digest);
        Some(Self { hash, digest: kept })
    }

    /// The function.
    pub fn hash(&self) -> HashFunction {
        self.hash
    }

    /// What it made of the certificate.
    pub fn digest(&self) -> &[u8] {
        &self.digest[..self.hash.digest_bytes()]
    }

    /// As an attribute.
    pub fn attribute(&self) -> Attribute {
        Attribute::new("fingerprint", self)
    }
}

impl FromStr for Fingerprint {
    type Err = FingerprintFault;

    /// Reads the value of an `a=fingerprint`; digits may be of either case, as some write them.
    fn from_str(value: &str) -> Result<Self, FingerprintFault> {
        let mut fields = value.split_ascii_whitespace();
        let (Some(name), Some(octets), None) = (fields.next(), fields.next(), fields.next()) else {
            return Err(FingerprintFault::Malformed);
        };
        let named = |hash: &HashFunction| hash.name().eq_ignore_ascii_case(name);
        let hash = HashFunction::ALL.into_iter().find(named);
        let hash = hash.ok_or(FingerprintFault::Hash)?;
        let mut digest = [0; DIGEST_BYTES_MAX];
        let mut len = 0;
        for octet in octets.split(':') {
            let is_hex = octet.len() == 2 && octet.bytes().all(|byte| byte.is_ascii_hexdigit());
            let place = digest.get_mut(len).filter(|_| is_hex);
            let place = place.ok_or(FingerprintFault::Malformed)?;
            *place = u8::from_str_radix(octet, 16).map_err(|_| FingerprintFault::Malformed)?;
            len += 1;
        }
        match len == hash.digest_bytes() {
            true => Ok(Self { hash, digest }),
            false => Err(FingerprintFault::Malformed),
        }
    }
}

impl fmt::Display for Fingerprint {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} ", self.hash.name())?;
        for (index, octet) in self.digest().iter().enumerate() {
            let separator = if index > 0 { ":" } else { "" };
            write!(f, "{separator}{octet:02X}")?;
        }
        Ok(())
    }
}

impl fmt::Debug for Fingerprint {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Fingerprint({self})")
    }
}

/// Who begins, `a=setup` (RFC 4145 4): of DTLS, who is its client (RFC 5763 5).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Setup {
    /// `active`: this side begins.
    Active,
    /// `passive`: the other side begins.
    Passive,
    /// `actpass`: either, as the answer says.
    ActPass,
    /// `holdconn`: nobody.
    HoldConn,
}

impl Setup {
    /// Its value.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Active => "active",
            Self::Passive => "passive",
            Self::ActPass => "actpass",
            Self::HoldConn => "holdconn",
        }
    }

    /// The one with this value.
    pub fn from_name(name: &str) -> Option<Self> {
        [Self::Active, Self::Passive, Self::ActPass, Self::HoldConn]
            .into_iter()
            .find(|setup| setup.name().eq_ignore_ascii_case(name.trim()))
    }

    /// What the other side is when this one is that, as far as this one says.
    pub const fn reversed(self) -> Self {
        match self {
            Self::Active => Self::Passive,
            Self::Passive => Self::Active,
            Self::ActPass => Self::ActPass,
            Self::HoldConn => Self::HoldConn,
        }
    }

    /// As an attribute.
    pub fn attribute(self) -> Attribute {
        Attribute::new("setup", self.name())
    }
}

impl fmt::Display for Setup {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

/// What a description tells of the DTLS of one stream: by its own lines, else by those of the
/// session (RFC 5763 5, RFC 8842 5).
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Described {
    /// The certificates that may be shown, at least one and at most [`FINGERPRINTS_MAX`].
    pub fingerprints: Vec<Fingerprint>,
    /// Who begins; where nothing is said, an offer means `active` and an answer `passive` (RFC
    /// 4145 4.1). Never `holdconn`, which has no meaning here (RFC 5763 5).
    pub setup: Option<Setup>,
    /// `a=tls-id`, the name of the association (RFC 8842 3).
    pub tls_id: Option<Box<str>>,
}

/// Why what a description tells of DTLS cannot be used.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum DescribedFault {
    /// There is no `a=fingerprint`.
    Missing,
    /// None of those that there are can be used, the first for this reason.
    Fingerprint(FingerprintFault),
    /// `a=setup` has another value than `active`, `passive` or `actpass`.
    Setup,
    /// `a=tls-id` breaks the grammar of RFC 8842 3.
    TlsId,
}

impl fmt::Display for DescribedFault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Missing => f.write_str("no fingerprint"),
            Self::Fingerprint(fault) => fault.fmt(f),
            Self::Setup => f.write_str("setup is neither active nor passive nor actpass"),
            Self::TlsId => f.write_str("malformed tls-id"),
        }
    }
}

impl std::error::Error for DescribedFault {}

impl Described {
    /// Reads what a description tells of a stream.
    ///
    /// # Errors
    /// Why it cannot be used.
    pub fn of(session: &Session, media: usize) -> Result<Self, DescribedFault> {
        let own = session.media.get(media).map(|media| &media.lines);
        let lines = |name| {
            let mut levels = own.into_iter().chain([&session.lines]);
            levels.find(|lines| lines.has(name))
        };
        let setup = lines("setup").and_then(|lines| lines.attribute("setup"));
        let setup = setup.map(|name| match Setup::from_name(name) {
            None | Some(Setup::HoldConn) => Err(DescribedFault::Setup),
            Some(setup) => Ok(setup),
        });
        let tls_id = lines("tls-id").and_then(|lines| lines.attribute("tls-id"));
        if !tls_id.is_none_or(is_tls_id) {
            return Err(DescribedFault::TlsId);
        }
        Ok(Self {
            fingerprints: fingerprints(lines("fingerprint").ok_or(DescribedFault::Missing)?)?,
            setup: setup.transpose()?,
            tls_id: tls_id.map(Box::from),
        })
    }
}

fn fingerprints(lines: &Lines) -> Result<Vec<Fingerprint>, DescribedFault> {
    let fingerprints: Vec<Fingerprint> = lines.fingerprints().collect();
    if !fingerprints.is_empty() {
        return Ok(fingerprints);
    }
    let mut values = lines.values("fingerprint").take(FINGERPRINTS_MAX);
    let fault = values.find_map(|value| value.parse::<Fingerprint>().err());
    Err(fault.map_or(DescribedFault::Missing, DescribedFault::Fingerprint))
}

fn is_tls_id(text: &str) -> bool {
    let is_its = |byte: u8| byte.is_ascii_alphanumeric() || b"+/-_".contains(&byte);
    (TLS_ID_MIN..=TLS_ID_MAX).contains(&text.len()) && text.bytes().all(is_its)
}

/// Characters of an `a=tls-id` (RFC 8842 3).
const TLS_ID_MIN: usize = 20;
const TLS_ID_MAX: usize = 255;

/// The protocol of an `m=` line whose media have the keys of DTLS, from that of one whose media are
/// in the clear: `UDP/TLS/RTP/SAVP` of `RTP/AVP`, `UDP/TLS/RTP/SAVPF` of `RTP/AVPF` (RFC 5764 8).
/// Another stays as it is.
pub fn protected(protocol: &str) -> &str {
    PROFILES
        .iter()
        .find(|(clear, _)| clear.eq_ignore_ascii_case(protocol))
        .map_or(protocol, |(_, protected)| protected)
}

/// The other way; `None` when the protocol is no RTP with the keys of DTLS.
pub fn unprotected(protocol: &str) -> Option<&'static str> {
    PROFILES
        .iter()
        .find(|(_, protected)| protected.eq_ignore_ascii_case(protocol))
        .map(|(clear, _)| *clear)
}

const PROFILES: [(&str, &str); 2] = [
    ("RTP/AVP", "UDP/TLS/RTP/SAVP"),
    ("RTP/AVPF", "UDP/TLS/RTP/SAVPF"),
];

/// Octets of the longest digest, SHA-512's.
const DIGEST_BYTES_MAX: usize = 64;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_example_of_rfc_8122_is_refused_for_its_function_and_read_with_another() {
        let octets = "4A:AD:B9:B1:3F:82:18:3B:54:02:12:DF:3E:5D:49:6B:19:E5:7C:AB";
        let sha1 = format!("SHA-1 {octets}");
        assert_eq!(sha1.parse::<Fingerprint>(), Err(FingerprintFault::Hash));
        let short = format!("sha-256 {octets}");
        assert_eq!(
            short.parse::<Fingerprint>(),
            Err(FingerprintFault::Malformed)
        );
        let whole = format!("sha-256 {octets}:3E:5D:49:6B:19:E5:7C:AB:4A:AD:B9:B1");
        let fingerprint: Fingerprint = whole.parse().unwrap();
        assert_eq!(fingerprint.to_string(), whole);
        assert_eq!(fingerprint.digest()[..2], [0x4A, 0xAD]);
        assert_eq!(fingerprint.attribute().value(), whole);
        let lower = whole.to_ascii_lowercase();
        assert_eq!(lower.parse(), Ok(fingerprint));
    }

    #[test]
    fn every_function_is_written_and_read() {
        for hash in HashFunction::ALL {
            let digest: Vec<u8> = (0..hash.digest_bytes()).map(|n| n as u8 * 3).collect();
            let fingerprint = Fingerprint::new(hash, &digest).unwrap();
            assert_eq!(fingerprint.to_string().parse(), Ok(fingerprint));
            assert_eq!(Fingerprint::new(hash, &digest[1..]), None);
        }
    }

    #[test]
    fn what_is_cut_or_changed_is_malformed_or_another_and_never_a_panic() {
        let text = Fingerprint::new(HashFunction::Sha256, &[0xC3; 32]);
        let text = text.unwrap().to_string();
        for len in 0..text.len() {
            assert!(text[..len].parse::<Fingerprint>().is_err(), "{len}");
        }
        for (index, bit) in (0..text.len()).flat_map(|index| (0..8).map(move |bit| (index, bit))) {
            let mut octets = text.clone().into_bytes();
            octets[index] ^= 1 << bit;
            let changed = String::from_utf8_lossy(&octets).into_owned();
            if let Ok(read) = changed.parse::<Fingerprint>() {
                assert!(read.to_string().eq_ignore_ascii_case(&changed), "{changed}");
            }
        }
        for odd in [
            "",
            "sha-256",
            "sha-256 +A:+A",
            "sha-256  ",
            "sha-256 A:B",
            "x y z",
        ] {
            assert!(odd.parse::<Fingerprint>().is_err(), "{odd}");
        }
        let long = format!("{text}:00");
        assert_eq!(
            long.parse::<Fingerprint>(),
            Err(FingerprintFault::Malformed)
        );
        let too_long = format!("sha-512 {}00", "00:".repeat(64));
        assert!(too_long.parse::<Fingerprint>().is_err());
    }

    #[test]
    fn setups_have_their_names_and_opposites() {
        for setup in [
            Setup::Active,
            Setup::Passive,
            Setup::ActPass,
            Setup::HoldConn,
        ] {
            assert_eq!(Setup::from_name(setup.name()), Some(setup));
            assert_eq!(setup.reversed().reversed(), setup);
        }
        assert_eq!(Setup::from_name(" ACTIVE"), Some(Setup::Active));
        assert_eq!(Setup::from_name("$"), None);
        assert_eq!(Setup::Active.attribute().value(), "active");
    }

    #[test]
    fn protocols_have_counterparts() {
        assert_eq!(protected("RTP/AVP"), "UDP/TLS/RTP/SAVP");
        assert_eq!(protected("RTP/SAVP"), "RTP/SAVP");
        assert_eq!(unprotected("udp/tls/rtp/savpf"), Some("RTP/AVPF"));
        assert_eq!(unprotected("UDP/TLS/UDPTL"), None);
    }

    /// A description with this of its session and of its stream.
    fn session(session: &str, media: &str) -> Session {
        let text = format!(
            "v=0\r\no=- 1 1 IN IP4 192.0.2.1\r\ns=-\r\nc=IN IP4 192.0.2.1\r\nt=0 0\r\n{session}\
             m=audio 4000 UDP/TLS/RTP/SAVPF 8\r\n{media}"
        );
        Session::parse(text.as_bytes()).unwrap()
    }

    fn line(digit: u8) -> (Fingerprint, String) {
        let fingerprint = Fingerprint::new(HashFunction::Sha256, &[digit; 32]).unwrap();
        (fingerprint, format!("a=fingerprint:{fingerprint}\r\n"))
    }

    #[test]
    fn a_stream_has_what_the_session_tells_where_it_tells_nothing_itself() {
        let ((one, first), (other, second)) = (line(1), line(2));
        let id = "a=tls-id:0123456789abcdefABC+/-_\r\n";
        let of = |session_lines: &str, lines: &str| {
            Described::of(&session(session_lines, lines), 0).unwrap()
        };
        let told = of(&format!("{first}a=setup:actpass\r\n{id}"), "");
        assert_eq!(
            (&told.fingerprints[..], told.setup),
            (&[one][..], Some(Setup::ActPass))
        );
        assert_eq!(told.tls_id.as_deref(), Some("0123456789abcdefABC+/-_"));
        let told = of(
            &format!("{first}a=setup:actpass\r\n"),
            &format!("{second}{first}"),
        );
        assert_eq!(
            (told.fingerprints, told.setup),
            (vec![other, one], Some(Setup::ActPass))
        );
        let told = of(&first, "a=setup: PASSIVE\r\n");
        assert_eq!((told.setup, told.tls_id), (Some(Setup::Passive), None));
        // What cannot be used is passed over where something can.
        let told = of(
            "",
            &format!("a=fingerprint:sha-1 00:01\r\na=fingerprint:x\r\n{first}"),
        );
        assert_eq!((told.fingerprints, told.setup), (vec![one], None));
    }

    #[test]
    fn what_cannot_be_used_of_dtls_has_its_name() {
        let (_, first) = line(1);
        let long = format!("{first}a=tls-id:{}\r\n", "x".repeat(256));
        for (lines, fault) in [
            ("a=setup:active\r\n", DescribedFault::Missing),
            (
                "a=fingerprint:md5 00:01\r\n",
                DescribedFault::Fingerprint(FingerprintFault::Hash),
            ),
            (
                "a=fingerprint:sha-256 00:01\r\na=fingerprint:sha-1 00:01\r\n",
                DescribedFault::Fingerprint(FingerprintFault::Malformed),
            ),
            (
                &format!("{first}a=setup:holdconn\r\n"),
                DescribedFault::Setup,
            ),
            (&format!("{first}a=setup:\r\n"), DescribedFault::Setup),
            (&format!("{first}a=tls-id:short\r\n"), DescribedFault::TlsId),
            (
                &format!("{first}a=tls-id:0123456789 0123456789\r\n"),
                DescribedFault::TlsId,
            ),
            (&long, DescribedFault::TlsId),
        ] {
            assert_eq!(Described::of(&session("", lines), 0), Err(fault), "{lines}");
            assert!(!fault.to_string().is_empty());
        }
        assert_eq!(
            Described::of(&session("", ""), 7),
            Err(DescribedFault::Missing)
        );
        // Of as many as are looked at none can be used.
        let many = format!(
            "{}{first}",
            "a=fingerprint:sha-1 00\r\n".repeat(FINGERPRINTS_MAX)
        );
        let fault = DescribedFault::Fingerprint(FingerprintFault::Hash);
        assert_eq!(Described::of(&session("", &many), 0), Err(fault));
    }
}
