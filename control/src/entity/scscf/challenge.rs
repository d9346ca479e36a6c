//! Challenges that wait for their answer, and those whose nonce may be used again (TS 24.229
//! 5.4.1.2).

use std::collections::HashMap;
use std::time::Duration;

use base::{Entropy, Instant};
use diameter::cx::{AuthScheme, SipAuthDataItem};
use sip::digest::{
    Algorithm, Challenge, Credentials, Hex, NonceCounts, Qop, Request, Secret, aka_nonce,
};

/// Users with challenges at once; beyond it the REGISTER is answered 504.
const USERS_MAX: usize = 1_000_000;
/// Challenges of one user at once: a user has several devices, which register at the same time, and
/// whoever sends REGISTER in the user's name is challenged too. Beyond it the oldest goes: of those
/// that wait, and at the last of those whose nonce is in use.
const CHALLENGES_PER_USER_MAX: usize = 16;
/// How long the nonce of an answered SIP Digest challenge may be used again.
const NONCE_LIFETIME: Duration = Duration::from_secs(3600);
/// Failures to make sense of a challenge before the UE is refused (TS 24.229 5.4.1.2.3).
const FAILURES_MAX: u8 = 3;

/// Challenges by private identity.
#[derive(Debug, Default)]
pub struct Challenges {
    users: HashMap<String, User>,
}

/// The challenges of one user, oldest first.
#[derive(Debug, Default)]
struct User {
    pending: Vec<Pending>,
    /// Challenges in a row that the UE could not make sense of.
    failures: u8,
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
    progress: Progress,
    until: Instant,
}

/// What came of a challenge so far, in the order in which they are given up.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Progress {
    /// No answer came.
    Waiting,
    /// It was answered rightly, and its nonce may be used again.
    Answered,
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
    /// What the UE named; of SIP Digest only.
    pub algorithm: Option<Algorithm>,
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
    /// The card does not take the network for genuine, or the UE has sent no response: challenge
    /// again.
    Unanswered,
    /// They are wrong.
    Wrong,
    /// No challenge was sent: challenge.
    Unknown,
}

impl Challenges {
    /// True when none is kept.
    pub fn is_empty(&self) -> bool {
        self.users.is_empty()
    }

    /// Makes a challenge from a vector of the HSS. `None` when the vector is no use or too many
    /// wait.
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
            algorithm,
            lifetime,
            stale,
        } = terms;
        if self.users.len() >= USERS_MAX && !self.users.contains_key(impi) {
            return None;
        }
        let is_aka = item.scheme == Some(AuthScheme::DigestAkaV1Md5);
        let (challenge, secret, rand) = if is_aka {
            aka(realm, item)?
        } else {
            let (challenge, secret) = digest(realm, algorithm, item, entropy)?;
            (challenge, secret, None)
        };
        let pending = Pending {
            nonce: challenge.nonce.clone(),
            realm: challenge.realm.clone(),
            secret,
            counts: NonceCounts::default(),
            algorithm: challenge.algorithm,
            rand,
            progress: Progress::Waiting,
            until: now + lifetime,
        };
        self.users.entry(impi.to_owned()).or_default().keep(pending);
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
        let Some(user) = self.users.get_mut(impi) else {
            return Verdict::Stale;
        };
        let verdict = user.verify(now, credentials, request);
        if verdict == Verdict::Genuine && user.pending.is_empty() {
            self.users.remove(impi);
        }
        verdict
    }

    /// Forgets the challenges of a user.
    pub fn forget(&mut self, impi: &str) {
        self.users.remove(impi);
    }

    /// Forgets challenges whose time is over.
    pub fn expire(&mut self, now: Instant) {
        self.users.retain(|_, user| {
            user.pending.retain(|pending| pending.until > now);
            !user.pending.is_empty()
        });
    }
}

impl User {
    fn keep(&mut self, pending: Pending) {
        if self.pending.len() >= CHALLENGES_PER_USER_MAX {
            let first = self.pending.iter().map(|pending| pending.progress).min();
            let oldest = |pending: &Pending| Some(pending.progress) == first;
            let oldest = self.pending.iter().position(oldest);
            self.pending.remove(oldest.unwrap_or(0));
        }
        // One at a time is the rule, and there may be a million of users.
        self.pending.reserve_exact(1);
        self.pending.push(pending);
    }

    fn verify(&mut self, now: Instant, credentials: &Credentials, request: Request<'_>) -> Verdict {
        let answered = |pending: &Pending| {
            pending.until > now
                && pending.nonce == credentials.nonce
                && pending.realm == credentials.realm
        };
        let Some(at) = self.pending.iter().position(answered) else {
            return Verdict::Stale;
        };
        let pending = &mut self.pending[at];
        let verdict = pending.verify(credentials, request);
        // A vector proves one registration (TS 33.203 6.1.1); of all others one guess a challenge.
        let is_spent = match verdict {
            Verdict::Resynchronise(_) | Verdict::Unanswered | Verdict::Wrong => true,
            Verdict::Genuine => pending.rand.is_some(),
            Verdict::Stale | Verdict::Unknown => false,
        };
        if is_spent {
            self.pending.remove(at);
        } else if verdict == Verdict::Genuine {
            pending.progress = Progress::Answered;
            pending.until = now + NONCE_LIFETIME;
        }
        match verdict {
            Verdict::Resynchronise(_) | Verdict::Unanswered => {
                self.failures = self.failures.saturating_add(1);
                if self.failures >= FAILURES_MAX {
                    self.failures = 0;
                    return Verdict::Wrong;
                }
            }
            Verdict::Genuine => self.failures = 0,
            Verdict::Wrong | Verdict::Stale | Verdict::Unknown => {}
        }
        verdict
    }
}

impl Pending {
    fn verify(&mut self, credentials: &Credentials, request: Request<'_>) -> Verdict {
        if credentials.algorithm != self.algorithm {
            return Verdict::Wrong;
        }
        if let (Some(auts), Some(rand)) = (credentials.auts, self.rand) {
            let mut data = [0; 30];
            data[..16].copy_from_slice(&rand);
            data[16..].copy_from_slice(&auts);
            return Verdict::Resynchronise(data);
        }
        if credentials.response.is_empty() {
            return Verdict::Unanswered;
        }
        let secret = match &self.secret {
            Kept::Xres(xres) => Secret::Password(xres),
            Kept::Ha1(ha1) => Secret::Ha1(*ha1),
        };
        if !credentials.verify(secret, request) {
            return Verdict::Wrong;
        }
        let count = credentials.protection.as_ref();
        let count = count.map_or(1, |protection| protection.nonce_count);
        if self.counts.accept(count) {
            Verdict::Genuine
        } else {
            Verdict::Stale
        }
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

/// SIP Digest (TS 24.229 Annex N, TS 33.203 Annex N): by the algorithm the UE named, where the HSS
/// gives it, else by the one that every UE has.
fn digest(
    realm: &str,
    named: Option<Algorithm>,
    item: &SipAuthDataItem,
    entropy: &mut Entropy,
) -> Option<(Challenge, Kept)> {
    let given = item.digest_authenticate.as_ref()?;
    let algorithm = |name: Option<&str>| match name {
        None => Some(Algorithm::Md5),
        Some(name) => name.parse().ok(),
    };
    let alternate = given.alternate_algorithm.as_deref();
    let alternate = alternate.and_then(|name| algorithm(Some(name)));
    let (algorithm, ha1) = match (alternate, &given.alternate_ha1) {
        (Some(alternate), Some(ha1)) if named == Some(alternate) => (alternate, ha1),
        _ => (algorithm(given.algorithm.as_deref())?, &given.ha1),
    };
    let ha1 = Hex::parse(ha1.as_bytes())?;
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

#[cfg(test)]
mod tests {
    use super::*;
    use diameter::cx::SipDigestAuthenticate;
    use sip::digest::Client;

    const IMPI: &str = "a@ims.test";
    const NOW: Instant = Instant::from_secs(1);
    const REGISTER: Request<'static> = Request {
        method: "REGISTER",
        uri: "sip:ims.test",
        body: b"",
    };

    fn challenge(challenges: &mut Challenges, algorithm: Option<Algorithm>) -> Challenge {
        let ha1 = |algorithm: Algorithm| algorithm.ha1(IMPI, "ims.test", b"secret");
        let item = SipAuthDataItem {
            scheme: Some(AuthScheme::SipDigest),
            digest_authenticate: Some(SipDigestAuthenticate {
                realm: "ims.test".into(),
                algorithm: Some("MD5".into()),
                qop: None,
                ha1: ha1(Algorithm::Md5).as_str().into(),
                alternate_algorithm: Some("SHA-256".into()),
                alternate_ha1: Some(ha1(Algorithm::Sha256).as_str().into()),
            }),
            ..SipAuthDataItem::default()
        };
        let terms = Terms {
            realm: "ims.test",
            algorithm,
            lifetime: Duration::from_secs(240),
            stale: false,
        };
        let mut entropy = Entropy::from_u64(challenges.users.values().fold(0, |sum, user| {
            sum + user.pending.len() as u64 + u64::from(user.failures)
        }));
        let issued = challenges.issue(NOW, &mut entropy, IMPI, &item, terms);
        issued.expect("a vector that is of use")
    }

    fn answer(challenge: &Challenge, password: &str) -> Credentials {
        let secret = Secret::Password(password.as_bytes());
        let mut entropy = Entropy::from_u64(7);
        Client::new(IMPI, challenge.clone()).answer(secret, REGISTER, &mut entropy)
    }

    #[test]
    fn devices_of_one_user_are_challenged_side_by_side() {
        let mut challenges = Challenges::default();
        let first = challenge(&mut challenges, None);
        let second = challenge(&mut challenges, None);
        for challenge in [&first, &second] {
            let credentials = answer(challenge, "secret");
            let verdict = challenges.verify(NOW, IMPI, &credentials, REGISTER);
            assert_eq!(verdict, Verdict::Genuine);
            let again = challenges.verify(NOW, IMPI, &credentials, REGISTER);
            assert_eq!(again, Verdict::Stale, "its count was used");
        }
    }

    #[test]
    fn a_wrong_answer_spends_its_own_challenge_only() {
        let mut challenges = Challenges::default();
        let rightful = challenge(&mut challenges, None);
        let guessed = challenge(&mut challenges, None);
        let verdict = challenges.verify(NOW, IMPI, &answer(&guessed, "guess"), REGISTER);
        assert_eq!(verdict, Verdict::Wrong);
        let verdict = challenges.verify(NOW, IMPI, &answer(&guessed, "secret"), REGISTER);
        assert_eq!(verdict, Verdict::Stale);
        let verdict = challenges.verify(NOW, IMPI, &answer(&rightful, "secret"), REGISTER);
        assert_eq!(verdict, Verdict::Genuine);
    }

    #[test]
    fn of_too_many_challenges_those_that_nobody_answered_go_first() {
        let mut challenges = Challenges::default();
        let used = challenge(&mut challenges, None);
        let credentials = answer(&used, "secret");
        challenges.verify(NOW, IMPI, &credentials, REGISTER);
        let unanswered = challenge(&mut challenges, None);
        for _ in 0..CHALLENGES_PER_USER_MAX {
            challenge(&mut challenges, None);
        }
        let verdict = challenges.verify(NOW, IMPI, &answer(&unanswered, "secret"), REGISTER);
        assert_eq!(verdict, Verdict::Stale);
        let mut client = Client::new(IMPI, used);
        let mut entropy = Entropy::from_u64(8);
        let mut next = || client.answer(Secret::Password(b"secret"), REGISTER, &mut entropy);
        let (_, second) = (next(), next());
        let verdict = challenges.verify(NOW, IMPI, &second, REGISTER);
        assert_eq!(verdict, Verdict::Genuine);
    }

    #[test]
    fn the_algorithm_is_the_one_the_ue_named_where_the_hss_has_it() {
        let mut challenges = Challenges::default();
        for (named, got) in [
            (None, Algorithm::Md5),
            (Some(Algorithm::Md5), Algorithm::Md5),
            (Some(Algorithm::Sha256), Algorithm::Sha256),
            (Some(Algorithm::Sha256Sess), Algorithm::Md5),
        ] {
            let challenge = challenge(&mut challenges, named);
            assert_eq!(challenge.algorithm, got);
            let credentials = answer(&challenge, "secret");
            let verdict = challenges.verify(NOW, IMPI, &credentials, REGISTER);
            assert_eq!(verdict, Verdict::Genuine);
        }
    }

    #[test]
    fn an_expired_challenge_is_forgotten() {
        let mut challenges = Challenges::default();
        let challenge = challenge(&mut challenges, None);
        let late = NOW + Duration::from_secs(240);
        let verdict = challenges.verify(late, IMPI, &answer(&challenge, "secret"), REGISTER);
        assert_eq!(verdict, Verdict::Stale);
        challenges.expire(late);
        assert!(challenges.is_empty());
    }
}
