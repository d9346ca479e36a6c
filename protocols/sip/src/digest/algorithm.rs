//! Algorithms, qualities of protection, and hashes as text.

use std::fmt;
use std::str::FromStr;

use md5::Md5;
use sha2::Sha256;

use super::Error;

/// Hash algorithm of RFC 7616 3.3, RFC 8760 2.2 and RFC 3310 3.1.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Default)]
pub enum Algorithm {
    /// `MD5`, also when a challenge names none.
    #[default]
    Md5,
    /// `MD5-sess`.
    Md5Sess,
    /// `SHA-256`.
    Sha256,
    /// `SHA-256-sess`.
    Sha256Sess,
    /// `AKAv1-MD5`: MD5 with RES as password.
    AkaV1Md5,
}

impl Algorithm {
    pub(super) const ALL: [Algorithm; 5] = [
        Algorithm::Md5,
        Algorithm::Md5Sess,
        Algorithm::Sha256,
        Algorithm::Sha256Sess,
        Algorithm::AkaV1Md5,
    ];

    /// Token on the wire.
    pub fn as_str(self) -> &'static str {
        match self {
            Algorithm::Md5 => "MD5",
            Algorithm::Md5Sess => "MD5-sess",
            Algorithm::Sha256 => "SHA-256",
            Algorithm::Sha256Sess => "SHA-256-sess",
            Algorithm::AkaV1Md5 => "AKAv1-MD5",
        }
    }

    /// H(A1) of user name, realm and password: what a server keeps in place of the password.
    pub fn ha1(self, username: &str, realm: &str, password: &[u8]) -> Hex {
        self.hash(&[username.as_bytes(), realm.as_bytes(), password])
    }

    pub(super) fn is_session(self) -> bool {
        matches!(self, Algorithm::Md5Sess | Algorithm::Sha256Sess)
    }

    /// Hash of the parts joined by colons.
    pub(super) fn hash(self, parts: &[&[u8]]) -> Hex {
        match self {
            Algorithm::Sha256 | Algorithm::Sha256Sess => hash_parts::<Sha256>(parts),
            Algorithm::Md5 | Algorithm::Md5Sess | Algorithm::AkaV1Md5 => hash_parts::<Md5>(parts),
        }
    }
}

impl fmt::Display for Algorithm {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

impl FromStr for Algorithm {
    type Err = Error;

    fn from_str(token: &str) -> Result<Self, Error> {
        Self::ALL
            .into_iter()
            .find(|algorithm| algorithm.as_str().eq_ignore_ascii_case(token))
            .ok_or(Error::UnknownAlgorithm)
    }
}

/// Quality of protection (RFC 7616 3.3).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Qop {
    /// Method and URI are covered.
    Auth,
    /// The body is covered too.
    AuthInt,
}

impl Qop {
    /// Token on the wire.
    pub fn as_str(self) -> &'static str {
        match self {
            Qop::Auth => "auth",
            Qop::AuthInt => "auth-int",
        }
    }
}

impl fmt::Display for Qop {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

impl FromStr for Qop {
    type Err = Error;

    fn from_str(token: &str) -> Result<Self, Error> {
        match token {
            _ if token.eq_ignore_ascii_case("auth") => Ok(Qop::Auth),
            _ if token.eq_ignore_ascii_case("auth-int") => Ok(Qop::AuthInt),
            _ => Err(Error::UnknownQop),
        }
    }
}

/// A hash in lower-case hexadecimal: 32 letters of MD5 or 64 of SHA-256.
#[derive(Clone, Copy, PartialEq, Eq)]
pub struct Hex {
    letters: [u8; HEX_MAX],
    len: u8,
}

/// Letters of the longest hash, SHA-256.
const HEX_MAX: usize = 64;

impl Hex {
    /// Reads 32 or 64 hexadecimal letters of either case.
    pub fn parse(text: &[u8]) -> Option<Self> {
        if !matches!(text.len(), 32 | HEX_MAX) || !text.iter().all(u8::is_ascii_hexdigit) {
            return None;
        }
        let mut letters = [0; HEX_MAX];
        letters[..text.len()].copy_from_slice(text);
        letters.make_ascii_lowercase();
        Some(Self {
            letters,
            len: text.len() as u8,
        })
    }

    /// The letters.
    pub fn as_str(&self) -> &str {
        std::str::from_utf8(self.as_bytes()).unwrap_or_default()
    }

    pub(super) fn as_bytes(&self) -> &[u8] {
        &self.letters[..usize::from(self.len)]
    }

    fn encode(hash: &[u8]) -> Self {
        const DIGITS: &[u8; 16] = b"0123456789abcdef";
        let mut letters = [0; HEX_MAX];
        for (pair, byte) in letters.chunks_exact_mut(2).zip(hash) {
            pair[0] = DIGITS[usize::from(byte >> 4)];
            pair[1] = DIGITS[usize::from(byte & 15)];
        }
        Self {
            letters,
            len: (2 * hash.len()).min(HEX_MAX) as u8,
        }
    }
}

impl fmt::Display for Hex {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

impl fmt::Debug for Hex {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Hex(..)")
    }
}
fn hash_parts<H: sha2::Digest>(parts: &[&[u8]]) -> Hex {
    let mut hasher = H::new();
    for (index, part) in parts.iter().enumerate() {
        if index > 0 {
            hasher.update(b":");
        }
        hasher.update(part);
    }
    Hex::encode(&hasher.finalize())
}
