//! Challenges that wait for their answer, and those whose nonce may be used again (TS 24.229 5.4.1.2).

use std::collections::HashMap;
use std::time::Duration;

use base::{Entropy, Instant};
use diameter::cx::{AuthScheme, SipAuthDataItem};
use sip::digest::{
    Algorithm, Challenge, Credentials, Hex, NonceCounts, Qop, Request, Secret, aka_nonce,
};

/// Challenges kept at once; beyond it the REGISTER is answered 503.
const CHALLENGES_MAX: usize = 1_000_000;
/// How long the nonce of an answered SIP Digest challenge may be used again.
const NONCE_LIFETIME: Duration = Duration::from_secs(3600);
/// Failures to make sense of a challenge before the UE is refused (TS 24.229 5.4.1.2.3).
const FAILURES_MAX: u8 = 3;

/// Challenges by private identity.
#[derive(Debug, Default)]
pub struct Challenges {
    pending: HashMap<String, Pending>,
}

#[derive(Debug)]
struct Pending {
    nonce: String,
    realm: String,
    secret: Kept,
    counts: NonceCounts,
    algorithm: Algorithm,
    /// RAND, which a resynchronisation goes with.
    rand: Option<[u8; 16]>,
    failures: u8,
    until: Instant,
}

#[derive(Debug)]
enum Kept {
    Xres(Vec<u8>),
    Ha1(Hex),
}

/// What a challenge says besides its vector.
#[derive(Clone, Copy, Debug)]
pub struct Terms<'a> {
    /// Realm, unless the HSS gives another.
    pub realm: &'a str,
    /// How long it may be answered.
    pub lifetime: Duration,
    /// The nonce before it was too old.
    pub stale: bool,
}

/// What credentials turn out to be.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Verdict {
    /// They prove the identity.
    Genuine,
    /// They are of a challenge that is over: challenge again, `stale`.
    Stale,
    /// The card refuses the sequence number: RAND and AUTS for the HSS (TS 33.102 6.3.5).
    Resynchronise([u8; 30]),
    /// The card does not take the network for genuine, or the UE has sent no response: challenge again.
    Unanswered,
    /// They are wrong.
    Wrong,
    /// No challenge was sent: challenge.
    Unknown,
}

impl Challenges {
    /// Challenges kept.
    pub fn len(&self) -> usize {
        self.pending.len()
    }

    /// Makes a challenge from a vector of the HSS. `None` when the vector is no use or too many wait.
    pub fn issue(
        &mut self,
        now: Instant,
        entropy: &mut Entropy,
        impi: &str,
        item: &SipAuthDataItem,
        terms: Terms<'_>,
    ) -> Option<Challenge> {
        let Terms {
            realm,
            lifetime,
            stale,
        } = terms;
        if self.pending.len() >= CHALLENGES_MAX && !self.pending.contains_key(impi) {
            return None;
        }
        let is_aka = item.scheme == Some(AuthScheme::DigestAkaV1Md5);
        let (challenge, secret, rand) = if is_aka {
            aka(realm, item)?
        } else {
            let (challenge, secret) = digest(realm, item, entropy)?;
            (challenge, secret, None)
        };
        let failures = self.pending.get(impi).map_or(0, |before| before.failures);
        let pending = Pending {
            nonce: challenge.nonce.clone(),
            realm: challenge.realm.clone(),
            secret,
            counts: NonceCounts::default(),
            algorithm: challenge.algorithm,
            rand,
            failures,
            until: now + lifetime,
        };
        self.pending.insert(impi.to_owned(), pending);
        Some(Challenge { stale, ..challenge })
    }

    /// Holds credentials against the challenge they answer.
    pub fn verify(
        &mut self,
        now: Instant,
        impi: &str,
        credentials: &Credentials,
        request: Request<'_>,
    ) -> Verdict {
        if credentials.nonce.is_empty() {
            return Verdict::Unknown;
        }
        let Some(pending) = self
            .pending
            .get_mut(impi)
            .filter(|pending| pending.until > now)
        else {
            return Verdict::Stale;
        };
        if credentials.nonce != pending.nonce || credentials.realm != pending.realm {
            return Verdict::Stale;
        }
        if credentials.algorithm != pending.algorithm {
            return Verdict::Wrong;
        }
        if let (Some(auts), Some(rand)) = (credentials.auts, pending.rand) {
            if pending.fails_too_often() {
                return Verdict::Wrong;
            }
            let mut data = [0; 30];
            data[..16].copy_from_slice(&rand);
            data[16..].copy_from_slice(&auts);
            return Verdict::Resynchronise(data);
        }
        if credentials.response.is_empty() {
            return if pending.fails_too_often() {
                Verdict::Wrong
            } else {
                Verdict::Unanswered
            };
        }
        let secret = match &pending.secret {
            Kept::Xres(xres) => Secret::Password(xres),
            Kept::Ha1(ha1) => Secret::Ha1(*ha1),
        };
        if !credentials.verify(secret, request) {
            return Verdict::Wrong;
        }
        let fresh = match &credentials.protection {
            Some(protection) => pending.counts.accept(protection.nonce_count),
            None => pending.counts.accept(1),
        };
        if !fresh {
            return Verdict::Stale;
        }
        pending.failures = 0;
        if pending.rand.is_some() {
            // A vector proves one registration (TS 33.203 6.1.1).
            self.pending.remove(impi);
        } else {
            pending.until = now + NONCE_LIFETIME;
        }
        Verdict::Genuine
    }

    /// Forgets the challenges of a user.
    pub fn forget(&mut self, impi: &str) {
        self.pending.remove(impi);
    }

    /// Forgets challenges whose time is over; returns the users whose registration attempts they were.
    pub fn expire(&mut self, now: Instant) {
        self.pending.retain(|_, pending| pending.until > now);
    }
}

impl Pending {
    fn fails_too_often(&mut self) -> bool {
        self.failures = self.failures.saturating_add(1);
        self.failures >= FAILURES_MAX
    }
}

/// Digest-AKAv1-MD5 (RFC 3310), with CK and IK for the P-CSCF (TS 24.229 5.4.1.2.1).
fn aka(realm: &str, item: &SipAuthDataItem) -> Option<(Challenge, Kept, Option<[u8; 16]>)> {
    let authenticate = item.authenticate.as_deref()?;
    let rand: [u8; 16] = authenticate.get(..16)?.try_into().ok()?;
    let autn: [u8; 16] = authenticate.get(16..32)?.try_into().ok()?;
    let xres = item.authorization.clone().filter(|xres| !xres.is_empty())?;
    let nonce = aka_nonce(&rand, &autn, &[]);
    let mut challenge = Challenge::new(realm, &nonce, Algorithm::AkaV1Md5, &[Qop::Auth]);
    for (name, key) in [("ck", item.confidentiality_key), ("ik", item.integrity_key)] {
        if let Some(key) = key {
            let hex = key.iter().map(|byte| format!("{byte:02x}")).collect();
            challenge.push_extension(name, hex);
        }
    }
    Some((challenge, Kept::Xres(xres), Some(rand)))
}

/// SIP Digest (TS 24.229 Annex N, TS 33.203 Annex N).
fn digest(realm: &str, item: &SipAuthDataItem, entropy: &mut Entropy) -> Option<(Challenge, Kept)> {
    let given = item.digest_authenticate.as_ref()?;
    let algorithm = match given.algorithm.as_deref() {
        None => Algorithm::Md5,
        Some(name) => name.parse().ok()?,
    };
    let ha1 = Hex::parse(given.ha1.as_bytes())?;
    let realm = if given.realm.is_empty() {
        realm
    } else {
        &given.realm
    };
    let nonce: String = entropy
        .bytes::<16>()
        .iter()
        .map(|byte| format!("{byte:02x}"))
        .collect();
    Some((
        Challenge::new(realm, &nonce, algorithm, &[Qop::Auth]),
        Kept::Ha1(ha1),
    ))
}
