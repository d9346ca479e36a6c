//! What a server asks for.

use std::fmt;

use super::params::{Param, Params, take_extension, write_quoted, write_rest};
use super::{Algorithm, Error, Qop, take_algorithm};

/// Value of WWW-Authenticate or Proxy-Authenticate (RFC 3261 20.44, 20.27).
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Challenge {
    /// Protection domain.
    pub realm: String,
    /// The nonce; for AKA see [`super::aka_nonce`].
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
    /// `NotDigest` and `UnknownAlgorithm`: skip this challenge (RFC 8760 2.4). `Malformed`,
    /// `Missing`: the peer is at fault.
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
