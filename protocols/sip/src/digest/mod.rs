//! HTTP Digest as SIP uses it: RFC 3261 22, RFC 2617, RFC 7616, RFC 8760, with AKA (RFC 3310).
//!
//! A server makes a [`Challenge`], a client answers with [`Credentials`], the server calls
//! [`Credentials::verify`] and then [`NonceCounts::accept`]. Whether a nonce, a realm or a user is
//! one of ours is the server's matter: [`NonceMint`] makes nonces that it can tell without keeping
//! them.
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

mod algorithm;
mod challenge;
mod client;
mod credentials;
mod nonce;
mod params;

use std::fmt;

pub use algorithm::{Algorithm, Hex, Qop};
pub use challenge::Challenge;
pub use client::Client;
pub use credentials::{AUTS_BYTES, AuthenticationInfo, Credentials, Protection};
pub use nonce::{NONCE_WINDOW, NonceAge, NonceCounts, NonceMint, aka_nonce, parse_aka_nonce};
pub use params::{PARAMS_MAX, Param};

use params::Params;

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
    /// A nonce count that is not eight hexadecimal digits, or an AUTS that is not base64 of 14
    /// bytes.
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
fn take_algorithm(params: &mut Params) -> Result<Algorithm, Error> {
    params
        .take("algorithm")
        .map_or(Ok(Algorithm::default()), |token| token.parse())
}
/// Compares without telling by its duration where the difference is; lengths are not secret.
pub(crate) fn equal_in_constant_time(a: &[u8], b: &[u8]) -> bool {
    a.len() == b.len() && a.iter().zip(b).fold(0, |sum, (a, b)| sum | (a ^ b)) == 0
}

#[cfg(test)]
mod tests;
