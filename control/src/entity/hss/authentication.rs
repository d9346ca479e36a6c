//! Authentication, TS 29.228 6.3: MAR of the S-CSCF.

use base::Entropy;
use diameter::cx::{Answer, AuthScheme, Maa, Mar, Outcome, SipAuthDataItem, SipDigestAuthenticate};
use diameter::{Origin, ResultCode};
use tracing::warn;

use super::records::SQN_BLOCK;
use super::{Config, Decision, own_identity, pii};
use crate::auth::vector::{self, AkaVector};
use crate::auth::{Auts, DigestHash, Rand, Sqn};
use crate::store::{
    Aka, AssignedServer, Entry, Impi, Operation, PublicIdentity, RegistrationState, Registrations,
};

/// Vectors to be computed once the store has dealt their sequence numbers.
#[derive(Debug)]
pub struct Vectors {
    aka: Aka,
    count: u32,
    /// The card's number out of a verified AUTS.
    resynchronise: Option<Sqn>,
    answer: Maa,
}

/// The steps of TS 29.228 6.3.1.
pub fn decide(config: &Config, mar: &Mar, origin: &Origin, entry: &Entry) -> Decision {
    let refuse = |outcome| Answer::MultimediaAuth(Maa::from(outcome));
    // Steps 1 and 2: both identities are known and belong together.
    let identity = match own_identity(entry, &mar.public_identity, refuse) {
        Ok(identity) => identity,
        Err(decision) => return decision,
    };
    // Step 3: the scheme.
    let Some(scheme) = choose_scheme(mar, entry) else {
        return Decision::answer(refuse(Outcome::AuthSchemeNotSupported));
    };
    // Step 5: the S-CSCF's name is kept and authentication pending, unless this S-CSCF serves the
    // identity already.
    let registrations = pending(mar, origin, entry, identity);
    match scheme {
        Scheme::Digest(hash) => {
            let answer = Answer::MultimediaAuth(digest_answer(mar, hash));
            match registrations {
                Some(registrations) => Decision::write(registrations, answer, None),
                None => Decision::answer(answer),
            }
        }
        Scheme::Aka(aka) => {
            // Step 4: synchronisation failure.
            let resynchronise = match mar.sip_auth_data_item.authorization.as_deref() {
                None => None,
                Some(token) => match split_token(token) {
                    Some((rand, auts)) => verify(entry, aka, &rand, &auts),
                    None => {
                        let outcome = Outcome::Base(ResultCode::INVALID_AVP_VALUE);
                        return Decision::answer(refuse(outcome));
                    }
                },
            };
            let vectors = Vectors {
                aka: aka.clone(),
                count: mar
                    .sip_number_auth_items
                    .clamp(1, config.vectors_max.max(1)),
                resynchronise,
                answer: success(mar),
            };
            Decision::Deal(Box::new(vectors), registrations)
        }
    }
}

enum Scheme<'a> {
    Aka(&'a Aka),
    Digest(&'a DigestHash),
}

/// The scheme asked for, where the subscription has it.
///
/// "Unknown" comes when the UE sent no Authorization (TS 24.229 5.4.1.2.1), which an AKA UE always
/// does: so SIP Digest goes first.
fn choose_scheme<'a>(mar: &Mar, entry: &'a Entry) -> Option<Scheme<'a>> {
    let aka = entry.subscriber.aka.as_ref().map(Scheme::Aka);
    let digest = entry.subscriber.digest.as_ref().map(Scheme::Digest);
    match mar.sip_auth_data_item.scheme.as_ref() {
        Some(AuthScheme::DigestAkaV1Md5) => aka,
        Some(AuthScheme::SipDigest) => digest,
        Some(AuthScheme::Unknown) | None => digest.or(aka),
        Some(_) => None,
    }
}

/// RAND ‖ AUTS, TS 29.229 6.3.11.
fn split_token(token: &[u8]) -> Option<(Rand, Auts)> {
    let (rand, auts) = token.split_first_chunk::<16>()?;
    Some((*rand, auts.try_into().ok()?))
}

/// SQN_MS of a verified AUTS. One that is not verified moves no number; fresh vectors are sent all
/// the same (TS 33.102 6.3.5 steps 4 to 6).
fn verify(entry: &Entry, aka: &Aka, rand: &Rand, auts: &Auts) -> Option<Sqn> {
    let sqn_ms = vector::verify_auts(&aka.milenage(), rand, auts);
    if sqn_ms.is_none() {
        warn!(impi = %pii(entry), "an AUTS is not of this subscriber's card");
    }
    sqn_ms
}

/// The registrations with authentication pending at this S-CSCF; `None` when nothing changes.
fn pending(
    mar: &Mar,
    origin: &Origin,
    entry: &Entry,
    identity: &PublicIdentity,
) -> Option<Registrations> {
    let before = &entry.registrations;
    let server = AssignedServer {
        name: mar.server_name.clone(),
        host: origin.host.clone(),
        realm: origin.realm.clone(),
    };
    let mut set = before.set(identity.implicit_set);
    let serves = set.state == RegistrationState::Registered || set.auth_pending;
    if before.server.as_ref() == Some(&server) && serves {
        return None;
    }
    set.auth_pending = true;
    let mut registrations = before.clone();
    registrations.server = Some(server);
    registrations.update(set);
    Some(registrations)
}

fn success(mar: &Mar) -> Maa {
    Maa {
        user_name: Some(mar.user_name.clone()),
        public_identity: Some(mar.public_identity.clone()),
        ..Maa::from(Outcome::SUCCESS)
    }
}

fn digest_answer(mar: &Mar, hash: &DigestHash) -> Maa {
    Maa {
        sip_number_auth_items: Some(1),
        sip_auth_data_items: vec![digest_item(hash)],
        ..success(mar)
    }
}

/// The secret of SIP Digest as the S-CSCF is given it, TS 29.228 6.3 Table 6.3.7.
pub fn digest_item(hash: &DigestHash) -> SipAuthDataItem {
    SipAuthDataItem {
        scheme: Some(AuthScheme::SipDigest),
        digest_authenticate: Some(SipDigestAuthenticate {
            realm: hash.realm.clone(),
            algorithm: Some("MD5".to_owned()),
            qop: Some("auth".to_owned()),
            ha1: hash.md5.to_hex(),
            alternate_algorithm: Some("SHA-256".to_owned()),
            alternate_ha1: Some(hash.sha256.to_hex()),
        }),
        ..SipAuthDataItem::default()
    }
}

impl Vectors {
    /// How many there are to be.
    pub const fn count(&self) -> u32 {
        self.count
    }

    /// How many numbers the store is asked for.
    pub fn block(&self) -> u32 {
        self.count.max(SQN_BLOCK)
    }

    /// Whether the numbers before do not count any more.
    pub const fn resynchronises(&self) -> bool {
        self.resynchronise.is_some()
    }

    /// What the store is asked for.
    pub fn operation(&self, impi: Impi) -> Operation {
        let count = self.block();
        match self.resynchronise {
            Some(sqn_ms) => Operation::ResynchroniseSqn {
                impi,
                sqn_ms,
                count,
            },
            None => Operation::AdvanceSqn { impi, count },
        }
    }

    /// The answer, with the numbers that start at `first`; they are durable by now.
    pub fn answer(self, first: Sqn, entropy: &mut Entropy) -> Answer {
        let milenage = self.aka.milenage();
        let numbers = std::iter::successors(Some(first), |sqn| sqn.next());
        let items: Vec<SipAuthDataItem> = (1..=self.count)
            .zip(numbers)
            .map(|(number, sqn)| {
                aka_item(
                    number,
                    &AkaVector::new(&milenage, self.aka.amf, sqn, entropy.bytes()),
                )
            })
            .collect();
        Answer::MultimediaAuth(Maa {
            sip_number_auth_items: Some(items.len() as u32),
            sip_auth_data_items: items,
            ..self.answer
        })
    }
}

/// One vector as the S-CSCF is given it, TS 29.228 6.3 Table 6.3.4.
fn aka_item(number: u32, vector: &AkaVector) -> SipAuthDataItem {
    SipAuthDataItem {
        item_number: Some(number),
        scheme: Some(AuthScheme::DigestAkaV1Md5),
        authenticate: Some([vector.rand, vector.autn].concat()),
        authorization: Some(vector.xres.0.to_vec()),
        confidentiality_key: Some(vector.ck.0),
        integrity_key: Some(vector.ik.0),
        ..SipAuthDataItem::default()
    }
}
