//! HTTP Digest as SIP uses it: RFC 3261 22, RFC 2617, RFC 7616, RFC 8760, with AKA (RFC 3310).
//!
//! A server makes a [`Challenge`], a client answers with [`Credentials`], the server calls
//! [`Credentials::verify`] and then [`NonceCounts::accept`]. Whether a nonce, a realm or a user is one of ours is
//! the server's matter: [`NonceMint`] makes nonces that it can tell without keeping them.
//!
//! Parameter values are held with quotes and escapes removed, and so they enter the hash.
//!
//! ```
//! use base::Entropy;
//! use sip::digest::{Algorithm, Challenge, Client, Credentials, Qop, Request, Secret};
//!
//! let mut entropy = Entropy::from_u64(1);
//! let challenge = Challenge::new("ims.test", "nonce", Algorithm::Sha256, &[Qop::Auth]);
//! let request = Request { method: "REGISTER", uri: "sip:ims.test", body: b"" };
//! let secret = Secret::Password(b"secret");
//!
//! let received = Challenge::parse(challenge.to_string().as_bytes()).unwrap();
//! let mut client = Client::new("alice@ims.test", received);
//! let authorization = client.answer(secret, request, &mut entropy).to_string();
//!
//! let credentials = Credentials::parse(authorization.as_bytes()).unwrap();
//! assert!(credentials.verify(secret, request));
//! ```

mod nonce;
mod params;

use std::fmt;
use std::str::FromStr;

use base::Entropy;
use base64::Engine;
use base64::engine::general_purpose::STANDARD as BASE64;
use md5::Md5;
use sha2::Sha256;

pub use nonce::{NONCE_WINDOW, NonceAge, NonceCounts, NonceMint, aka_nonce, parse_aka_nonce};
pub use params::{PARAMS_MAX, Param};

use params::{Params, write_quoted, write_rest};

/// Value of WWW-Authenticate or Proxy-Authenticate (RFC 3261 20.44, 20.27).
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Challenge {
    /// Protection domain.
    pub realm: String,
    /// The nonce; for AKA see [`aka_nonce`].
    pub nonce: String,
    /// Text the client gives back unchanged.
    pub opaque: Option<String>,
    /// The nonce was too old, the password may well have been right.
    pub stale: bool,
    /// Hash algorithm.
    pub algorithm: Algorithm,
    /// Offered qualities of protection; none at all means RFC 2069 style.
    pub qop: Vec<Qop>,
    /// Other parameters, such as `ik` and `ck` between S-CSCF and P-CSCF (TS 24.229 5.4.1.2).
    pub extensions: Vec<Param>,
}

impl Challenge {
    /// A challenge without opaque, not stale.
    pub fn new(realm: &str, nonce: &str, algorithm: Algorithm, qop: &[Qop]) -> Self {
        Self {
            realm: realm.to_owned(),
            nonce: nonce.to_owned(),
            opaque: None,
            stale: false,
            algorithm,
            qop: qop.to_vec(),
            extensions: Vec::new(),
        }
    }

    /// Reads a header field value.
    ///
    /// # Errors
    /// `NotDigest` and `UnknownAlgorithm`: skip this challenge (RFC 8760 2.4). `Malformed`, `Missing`: the peer
    /// is at fault.
    pub fn parse(value: &[u8]) -> Result<Self, Error> {
        let mut params = Params::parse_with_scheme(value)?;
        let stale = params.take("stale");
        let qop = params.take("qop").unwrap_or_default();
        Ok(Self {
            realm: params.need("realm")?,
            nonce: params.need("nonce")?,
            opaque: params.take("opaque"),
            stale: stale.is_some_and(|stale| stale.eq_ignore_ascii_case("true")),
            algorithm: take_algorithm(&mut params)?,
            // Unknown qualities are skipped (RFC 7616 3.3).
            qop: qop
                .split(',')
                .filter_map(|token| token.trim().parse().ok())
                .collect(),
            extensions: params.rest(),
        })
    }

    /// Takes an extension parameter out: how a P-CSCF removes `ck` and `ik` (TS 24.229 5.2.2.2).
    pub fn take_extension(&mut self, name: &str) -> Option<String> {
        take_extension(&mut self.extensions, name)
    }

    /// Appends a quoted extension parameter.
    pub fn push_extension(&mut self, name: &str, value: String) {
        self.extensions.push(Param {
            name: name.to_owned(),
            value,
            quoted: true,
        });
    }
}

impl fmt::Display for Challenge {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write_quoted(f, "Digest realm", &self.realm)?;
        write_quoted(f, ", nonce", &self.nonce)?;
        if let Some(opaque) = &self.opaque {
            write_quoted(f, ", opaque", opaque)?;
        }
        if self.stale {
            f.write_str(", stale=true")?;
        }
        write!(f, ", algorithm={}", self.algorithm)?;
        for (index, qop) in self.qop.iter().enumerate() {
            let separator = if index == 0 { ", qop=\"" } else { "," };
            write!(f, "{separator}{qop}")?;
        }
        if !self.qop.is_empty() {
            f.write_str("\"")?;
        }
        write_rest(f, &self.extensions)
    }
}

/// Value of Authorization or Proxy-Authorization (RFC 3261 20.7, 20.28).
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Credentials {
    /// User name; in IMS the private user identity.
    pub username: String,
    /// Protection domain.
    pub realm: String,
    /// The nonce of the challenge; empty in the first REGISTER of an IMS UE.
    pub nonce: String,
    /// `digest-uri`, as sent.
    pub uri: String,
    /// Hexadecimal request digest; empty in the first REGISTER of an IMS UE and when AKA failed at the UE.
    pub response: String,
    /// Hash algorithm.
    pub algorithm: Algorithm,
    /// Given back from the challenge.
    pub opaque: Option<String>,
    /// Chosen quality of protection with client nonce and nonce count.
    pub protection: Option<Protection>,
    /// Resynchronisation token, SQN ⊕ AK and MAC-S (RFC 3310 3.4).
    pub auts: Option<[u8; AUTS_BYTES]>,
    /// Other parameters, such as `integrity-protected` (TS 24.229 5.2.2).
    pub extensions: Vec<Param>,
}

/// Quality of protection in credentials: these three go together (RFC 7616 3.4).
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Protection {
    /// Chosen quality.
    pub qop: Qop,
    /// Client nonce.
    pub cnonce: String,
    /// Nonce count, from 1.
    pub nonce_count: u32,
}

/// Bytes of the AKA resynchronisation token (TS 33.102 6.3.3).
pub const AUTS_BYTES: usize = 14;

impl Credentials {
    /// Credentials that carry identities only: the first REGISTER of an IMS UE (TS 24.229 5.1.1.2.2).
    pub fn empty(username: &str, realm: &str, uri: &str, algorithm: Algorithm) -> Self {
        Self {
            username: username.to_owned(),
            realm: realm.to_owned(),
            nonce: String::new(),
            uri: uri.to_owned(),
            response: String::new(),
            algorithm,
            opaque: None,
            protection: None,
            auts: None,
            extensions: Vec::new(),
        }
    }

    /// Reads a header field value.
    ///
    /// # Errors
    /// `NotDigest`: another scheme, look further. `UnknownAlgorithm`: challenge with one of ours. `Malformed`,
    /// `Missing`: 400.
    pub fn parse(value: &[u8]) -> Result<Self, Error> {
        let mut params = Params::parse_with_scheme(value)?;
        let algorithm = take_algorithm(&mut params)?;
        let protection = match params.take("qop") {
            None => None,
            Some(qop) => Some(Protection {
                qop: qop.trim().parse()?,
                cnonce: params.need("cnonce")?,
                nonce_count: parse_nonce_count(&params.need("nc")?)?,
            }),
        };
        if protection.is_none() && algorithm.is_session() {
            return Err(Error::Missing("qop"));
        }
        let auts = match params.take("auts") {
            None => None,
            Some(text) => Some(parse_auts(&text)?),
        };
        Ok(Self {
            username: params.need("username")?,
            realm: params.need("realm")?,
            nonce: params.need("nonce")?,
            uri: params.need("uri")?,
            response: params.need("response")?,
            algorithm,
            opaque: params.take("opaque"),
            protection,
            auts,
            extensions: params.rest(),
        })
    }

    /// The value of an extension parameter.
    pub fn extension(&self, name: &str) -> Option<&str> {
        let param = self.extensions.iter().find(|param| param.name == name)?;
        Some(&param.value)
    }

    /// Takes an extension parameter out: how a P-CSCF removes a forged `integrity-protected`.
    pub fn take_extension(&mut self, name: &str) -> Option<String> {
        take_extension(&mut self.extensions, name)
    }

    /// Appends a quoted extension parameter.
    pub fn push_extension(&mut self, name: &str, value: String) {
        self.extensions.push(Param {
            name: name.to_owned(),
            value,
            quoted: true,
        });
    }

    /// True when the response is the one `secret` gives for `request`; compared in constant time.
    ///
    /// `request.uri` is not read: the hash covers [`Credentials::uri`], and whether that names the resource of
    /// the Request-URI is for the caller to judge (RFC 3261 22.4 item 5).
    pub fn verify(&self, secret: Secret<'_>, request: Request<'_>) -> bool {
        let expected = self.compute(secret, Side::Client, request);
        equal_in_constant_time(
            self.response.to_ascii_lowercase().as_bytes(),
            expected.as_str().as_bytes(),
        )
    }

    /// Authentication-Info for the response to this request (RFC 7616 3.5).
    ///
    /// `request.body` is the body of the response. `None` without a quality of protection.
    pub fn authentication_info(
        &self,
        secret: Secret<'_>,
        request: Request<'_>,
        next_nonce: Option<String>,
    ) -> Option<AuthenticationInfo> {
        let response = self.compute(secret, Side::Server, request);
        Some(AuthenticationInfo {
            next_nonce,
            response: Some(response.as_str().to_owned()),
            protection: Some(self.protection.clone()?),
        })
    }

    /// True when `info` proves that the server knows the secret too; `request.body` is the body of the response.
    pub fn verify_info(
        &self,
        info: &AuthenticationInfo,
        secret: Secret<'_>,
        request: Request<'_>,
    ) -> bool {
        let expected = self.compute(secret, Side::Server, request);
        let given = info.response.as_deref().unwrap_or_default();
        self.protection.is_some()
            && info.protection == self.protection
            && equal_in_constant_time(
                given.to_ascii_lowercase().as_bytes(),
                expected.as_str().as_bytes(),
            )
    }

    fn compute(&self, secret: Secret<'_>, side: Side, request: Request<'_>) -> Hex {
        let hash = |parts: &[&[u8]]| self.algorithm.hash(parts);
        let (username, realm) = (self.username.as_bytes(), self.realm.as_bytes());
        let nonce = self.nonce.as_bytes();
        let mut ha1 = match secret {
            Secret::Password(password) => hash(&[username, realm, password]),
            Secret::Ha1(ha1) => ha1,
        };
        if let (true, Some(protection)) = (self.algorithm.is_session(), &self.protection) {
            ha1 = hash(&[ha1.as_bytes(), nonce, protection.cnonce.as_bytes()]);
        }
        let method = match side {
            Side::Client => request.method.as_bytes(),
            Side::Server => b"",
        };
        let uri = self.uri.as_bytes();
        let Some(protection) = &self.protection else {
            let ha2 = hash(&[method, uri]);
            return hash(&[ha1.as_bytes(), nonce, ha2.as_bytes()]);
        };
        let ha2 = match protection.qop {
            Qop::Auth => hash(&[method, uri]),
            Qop::AuthInt => hash(&[method, uri, hash(&[request.body]).as_bytes()]),
        };
        let nonce_count = format!("{:08x}", protection.nonce_count);
        hash(&[
            ha1.as_bytes(),
            nonce,
            nonce_count.as_bytes(),
            protection.cnonce.as_bytes(),
            protection.qop.as_str().as_bytes(),
            ha2.as_bytes(),
        ])
    }
}

impl fmt::Display for Credentials {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write_quoted(f, "Digest username", &self.username)?;
        write_quoted(f, ", realm", &self.realm)?;
        write_quoted(f, ", nonce", &self.nonce)?;
        write_quoted(f, ", uri", &self.uri)?;
        write_quoted(f, ", response", &self.response)?;
        write!(f, ", algorithm={}", self.algorithm)?;
        if let Some(protection) = &self.protection {
            write!(
                f,
                ", qop={}, nc={:08x}",
                protection.qop, protection.nonce_count
            )?;
            write_quoted(f, ", cnonce", &protection.cnonce)?;
        }
        if let Some(opaque) = &self.opaque {
            write_quoted(f, ", opaque", opaque)?;
        }
        if let Some(auts) = &self.auts {
            write_quoted(f, ", auts", &BASE64.encode(auts))?;
        }
        write_rest(f, &self.extensions)
    }
}

/// Value of Authentication-Info (RFC 7616 3.5).
#[derive(Clone, Debug, PartialEq, Eq, Default)]
pub struct AuthenticationInfo {
    /// The nonce to use next.
    pub next_nonce: Option<String>,
    /// `rspauth`: proof that the server knows the secret.
    pub response: Option<String>,
    /// What the request used.
    pub protection: Option<Protection>,
}

impl AuthenticationInfo {
    /// Reads a header field value.
    ///
    /// # Errors
    /// `Malformed`, `Missing`, `UnknownQop`: ignore the header field.
    pub fn parse(value: &[u8]) -> Result<Self, Error> {
        let mut params = Params::parse(value)?;
        let protection = match params.take("qop") {
            None => None,
            Some(qop) => Some(Protection {
                qop: qop.trim().parse()?,
                cnonce: params.need("cnonce")?,
                nonce_count: parse_nonce_count(&params.need("nc")?)?,
            }),
        };
        Ok(Self {
            next_nonce: params.take("nextnonce"),
            response: params.take("rspauth"),
            protection,
        })
    }
}

impl fmt::Display for AuthenticationInfo {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut separator = "";
        if let Some(nonce) = &self.next_nonce {
            write_quoted(f, "nextnonce", nonce)?;
            separator = ", ";
        }
        if let Some(protection) = &self.protection {
            write!(f, "{separator}qop={}", protection.qop)?;
            separator = ", ";
        }
        if let Some(response) = &self.response {
            f.write_str(separator)?;
            write_quoted(f, "rspauth", response)?;
            separator = ", ";
        }
        if let Some(protection) = &self.protection {
            f.write_str(separator)?;
            write_quoted(f, "cnonce", &protection.cnonce)?;
            write!(f, ", nc={:08x}", protection.nonce_count)?;
        }
        Ok(())
    }
}

/// The client's side of one challenge: counts how often its nonce was used.
#[derive(Clone, Debug)]
pub struct Client {
    username: String,
    challenge: Challenge,
    nonce_count: u32,
}

impl Client {
    /// A client that answers `challenge` as `username`.
    pub fn new(username: &str, challenge: Challenge) -> Self {
        Self {
            username: username.to_owned(),
            challenge,
            nonce_count: 0,
        }
    }

    /// The challenge being answered.
    pub fn challenge(&self) -> &Challenge {
        &self.challenge
    }

    /// Goes on with the nonce the server named in Authentication-Info.
    pub fn set_next_nonce(&mut self, nonce: String) {
        self.challenge.nonce = nonce;
        self.nonce_count = 0;
    }

    /// Credentials for one request; each call uses the next nonce count.
    ///
    /// `auth` is preferred to `auth-int` because SIP elements on the path may change bodies.
    pub fn answer(
        &mut self,
        secret: Secret<'_>,
        request: Request<'_>,
        entropy: &mut Entropy,
    ) -> Credentials {
        let offered = &self.challenge.qop;
        let qop = match (offered.contains(&Qop::Auth), offered.first()) {
            (true, _) => Some(Qop::Auth),
            (false, first) => first.copied(),
        };
        // A session key needs a client nonce even where the server forgot to offer a quality.
        let qop = qop.or(self.challenge.algorithm.is_session().then_some(Qop::Auth));
        let protection = qop.map(|qop| {
            self.nonce_count = self.nonce_count.wrapping_add(1);
            Protection {
                qop,
                cnonce: entropy.token_string(),
                nonce_count: self.nonce_count,
            }
        });
        let mut credentials = Credentials {
            username: self.username.clone(),
            realm: self.challenge.realm.clone(),
            nonce: self.challenge.nonce.clone(),
            uri: request.uri.to_owned(),
            response: String::new(),
            algorithm: self.challenge.algorithm,
            opaque: self.challenge.opaque.clone(),
            protection,
            auts: None,
            extensions: Vec::new(),
        };
        credentials.response = credentials
            .compute(secret, Side::Client, request)
            .as_str()
            .to_owned();
        credentials
    }

    /// Credentials that report an AKA sequence number out of range: the empty password and AUTS (RFC 3310 3.4).
    pub fn answer_resynchronise(
        &mut self,
        auts: [u8; AUTS_BYTES],
        request: Request<'_>,
        entropy: &mut Entropy,
    ) -> Credentials {
        let mut credentials = self.answer(Secret::Password(b""), request, entropy);
        credentials.auts = Some(auts);
        credentials
    }
}

/// What proves the user: the password, or what a server keeps of it.
#[derive(Clone, Copy)]
pub enum Secret<'a> {
    /// The password; for AKA the binary RES or XRES (RFC 3310 3.3).
    Password(&'a [u8]),
    /// H(A1) of user name, realm and password, as Cx Digest-HA1 carries it (TS 29.228).
    Ha1(Hex),
}

/// The parts of a request that a response covers.
#[derive(Clone, Copy, Debug)]
pub struct Request<'a> {
    /// Method as on the wire.
    pub method: &'a str,
    /// Request-URI.
    pub uri: &'a str,
    /// Message body, read with `auth-int`.
    pub body: &'a [u8],
}

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
    const ALL: [Algorithm; 5] = [
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

    fn is_session(self) -> bool {
        matches!(self, Algorithm::Md5Sess | Algorithm::Sha256Sess)
    }

    /// Hash of the parts joined by colons.
    fn hash(self, parts: &[&[u8]]) -> Hex {
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

    fn as_bytes(&self) -> &[u8] {
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

/// Why a header field value could not be read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Error {
    /// Another authentication scheme.
    NotDigest,
    /// Syntax, a repeated parameter or more than [`PARAMS_MAX`]; `offset` in the value.
    Malformed {
        /// Byte offset in the header field value.
        offset: usize,
    },
    /// This parameter must be there.
    Missing(&'static str),
    /// An algorithm not implemented here.
    UnknownAlgorithm,
    /// A quality of protection not implemented here.
    UnknownQop,
    /// A nonce count that is not eight hexadecimal digits, or an AUTS that is not base64 of 14 bytes.
    BadValue(&'static str),
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Error::NotDigest => f.write_str("not the Digest scheme"),
            Error::Malformed { offset } => write!(f, "malformed digest parameters at {offset}"),
            Error::Missing(name) => write!(f, "digest parameter {name} is missing"),
            Error::UnknownAlgorithm => f.write_str("unknown digest algorithm"),
            Error::UnknownQop => f.write_str("unknown quality of protection"),
            Error::BadValue(name) => write!(f, "bad value of digest parameter {name}"),
        }
    }
}

impl std::error::Error for Error {}

/// Who computes: the response of a server leaves the method out.
#[derive(Clone, Copy)]
enum Side {
    Client,
    Server,
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

fn take_algorithm(params: &mut Params) -> Result<Algorithm, Error> {
    params
        .take("algorithm")
        .map_or(Ok(Algorithm::default()), |token| token.parse())
}

fn take_extension(extensions: &mut Vec<Param>, name: &str) -> Option<String> {
    let at = extensions.iter().position(|param| param.name == name)?;
    Some(extensions.remove(at).value)
}

fn parse_nonce_count(text: &str) -> Result<u32, Error> {
    if text.len() != 8 || !text.bytes().all(|byte| byte.is_ascii_hexdigit()) {
        return Err(Error::BadValue("nc"));
    }
    u32::from_str_radix(text, 16).map_err(|_| Error::BadValue("nc"))
}

fn parse_auts(text: &str) -> Result<[u8; AUTS_BYTES], Error> {
    BASE64
        .decode(text)
        .ok()
        .and_then(|bytes| bytes.try_into().ok())
        .ok_or(Error::BadValue("auts"))
}

/// Compares without telling by its duration where the difference is; lengths are not secret.
pub(crate) fn equal_in_constant_time(a: &[u8], b: &[u8]) -> bool {
    a.len() == b.len() && a.iter().zip(b).fold(0, |sum, (a, b)| sum | (a ^ b)) == 0
}

#[cfg(test)]
mod tests;
