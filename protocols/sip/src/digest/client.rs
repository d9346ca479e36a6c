//! The client's side of a challenge.

use base::Entropy;

use super::credentials::{AUTS_BYTES, Side};
use super::{Challenge, Credentials, Protection, Qop, Request, Secret};

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

    /// Credentials that report an AKA sequence number out of range: the empty password and AUTS
    /// (RFC 3310 3.4).
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
