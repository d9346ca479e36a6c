//! Answers to challenges.

use base::Entropy;
use sip::digest::{
    Algorithm, AuthenticationInfo, Challenge, Client, Credentials, Request, parse_aka_nonce,
};
use sip::{HeaderName, Message};

use super::config::{Config, Secret};
use crate::usim::Refused;

/// The credentials of one user towards one kind of challenger.
pub(super) struct Authenticator {
    impi: String,
    secret: Secret,
    algorithm: Algorithm,
    current: Option<Answered>,
}

/// A challenge that was answered, to be used again with the next nonce count.
struct Answered {
    client: Client,
    password: Vec<u8>,
}

/// What to say to a challenge.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Answer {
    /// These credentials.
    Credentials(String),
    /// These, which ask the network to resynchronise.
    Resynchronise(String),
    /// These, which say that the network is not believed: no response (TS 24.229 5.1.1.5.3).
    Disbelieve(String),
    /// Nothing: no challenge that the secret fits.
    None,
}

impl Authenticator {
    pub fn new(config: &Config) -> Self {
        let algorithm = match config.secret {
            Secret::Password(_) => config.algorithm,
            Secret::Aka(_) => Algorithm::AkaV1Md5,
        };
        Self {
            impi: config.impi.clone(),
            secret: config.secret.clone(),
            algorithm,
            current: None,
        }
    }

    /// Credentials for a request without challenge: those of the last one, counted up, else names
    /// only (TS 24.229 5.1.1.2.2).
    pub fn initial(&mut self, realm: &str, request: Request<'_>, entropy: &mut Entropy) -> String {
        self.again(request, entropy).unwrap_or_else(|| {
            Credentials::empty(&self.impi, realm, request.uri, self.algorithm).to_string()
        })
    }

    /// Credentials for one more request under the last challenge.
    pub fn again(&mut self, request: Request<'_>, entropy: &mut Entropy) -> Option<String> {
        let Answered { client, password } = self.current.as_mut()?;
        let secret = sip::digest::Secret::Password(password);
        Some(client.answer(secret, request, entropy).to_string())
    }

    /// Goes on with the nonce that the response to an accepted request names (RFC 7616 3.5).
    pub fn follow(&mut self, response: &Message) {
        let info = response.header(HeaderName::AuthenticationInfo);
        let info = info.and_then(|value| AuthenticationInfo::parse(value.as_bytes()).ok());
        if let (Some(nonce), Some(answered)) = (info.and_then(|i| i.next_nonce), &mut self.current)
        {
            answered.client.set_next_nonce(nonce);
        }
    }

    /// Answers the first challenge in lines of this name that the secret fits.
    pub fn answer(
        &mut self,
        response: &Message,
        name: HeaderName,
        request: Request<'_>,
        entropy: &mut Entropy,
    ) -> Answer {
        let fits = |challenge: &Challenge| {
            let aka = challenge.algorithm == Algorithm::AkaV1Md5;
            aka == matches!(self.secret, Secret::Aka(_))
        };
        let challenge = response
            .headers(name)
            .filter_map(|value| Challenge::parse(value.as_bytes()).ok())
            .find(fits);
        let Some(challenge) = challenge else {
            return Answer::None;
        };
        let client = Client::new(&self.impi, challenge);
        match &mut self.secret {
            Secret::Password(password) => {
                let password = password.clone().into_bytes();
                self.current = Some(Answered { client, password });
            }
            Secret::Aka(usim) => {
                let Some((rand, autn)) = parse_aka_nonce(&client.challenge().nonce) else {
                    return Answer::None;
                };
                match usim.authenticate(&rand, &autn) {
                    Ok(keys) => {
                        let password = keys.res.to_vec();
                        self.current = Some(Answered { client, password });
                    }
                    Err(refused) => return self.refuse(client, refused, request, entropy),
                }
            }
        }
        self.again(request, entropy)
            .map_or(Answer::None, Answer::Credentials)
    }

    fn refuse(
        &mut self,
        mut client: Client,
        refused: Refused,
        request: Request<'_>,
        entropy: &mut Entropy,
    ) -> Answer {
        self.current = None;
        match refused {
            Refused::Sqn { auts } => {
                let credentials = client.answer_resynchronise(auts, request, entropy);
                Answer::Resynchronise(credentials.to_string())
            }
            Refused::Mac => {
                let challenge = client.challenge();
                let mut credentials = Credentials::empty(
                    &self.impi,
                    &challenge.realm,
                    request.uri,
                    challenge.algorithm,
                );
                credentials.nonce.clone_from(&challenge.nonce);
                credentials.opaque.clone_from(&challenge.opaque);
                Answer::Disbelieve(credentials.to_string())
            }
        }
    }
}
