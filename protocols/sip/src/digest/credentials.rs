//! What a client answers, and how the server proves itself in return.

use std::fmt;

use base64::Engine;
use base64::engine::general_purpose::STANDARD as BASE64;

use super::params::{Param, Params, take_extension, write_quoted, write_rest};
use super::{Algorithm, Error, Hex, Qop, Request, Secret, equal_in_constant_time, take_algorithm};

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
    /// Hexadecimal request digest; empty in the first REGISTER of an IMS UE and when AKA failed at
    /// the UE.
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
    /// Credentials that carry identities only: the first REGISTER of an IMS UE (TS 24.229
    /// 5.1.1.2.2).
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
    /// `NotDigest`: another scheme, look further. `UnknownAlgorithm`: challenge with one of ours.
    /// `Malformed`, `Missing`: 400.
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
    /// `request.uri` is not read: the hash covers [`Credentials::uri`], and whether that names the
    /// resource of the Request-URI is for the caller to judge (RFC 3261 22.4 item 5).
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

    /// True when `info` proves that the server knows the secret too; `request.body` is the body of
    /// the response.
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

    pub(super) fn compute(&self, secret: Secret<'_>, side: Side, request: Request<'_>) -> Hex {
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
/// Who computes: the response of a server leaves the method out.
#[derive(Clone, Copy)]
pub(super) enum Side {
    Client,
    Server,
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
