//! Matching messages to transactions: RFC 3261 17.1.3 and 17.2.3.

use std::hash::Hasher;

use base::{Entropy, SlabId, SteadyMap};
use siphasher::sip128::{Hasher128, SipHasher13};
use smallvec::SmallVec;

use crate::{HeaderName, Invalid, Message, Method, Why};

/// What identifies a transaction, as bytes; parts end with a zero, which no header value holds.
type Identity = SmallVec<[u8; 96]>;

/// Stands for what identifies a transaction: a hash of 128 bits under a secret key, of which
/// nobody finds two alike.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(super) struct Key(u64, u64);

/// Makes keys; two with different secrets make different ones of the same transaction.
#[derive(Debug)]
pub(super) struct Keys(SipHasher13);

impl Keys {
    pub(super) fn new(entropy: &mut Entropy) -> Self {
        let (first, second) = (entropy.next_u64(), entropy.next_u64());
        Self(SipHasher13::new_with_keys(first, second))
    }

    /// Key of a client transaction: branch of the top Via and method of CSeq (RFC 3261 17.1.3).
    pub(super) fn client(&self, message: &Message) -> Result<Match, Invalid> {
        client_identity(message).map(|identity| self.of(&identity))
    }

    /// Key of the server transaction of `method` that a request belongs to: branch and sent-by of
    /// the top Via (RFC 3261 17.2.3).
    ///
    /// Without the magic cookie it is what RFC 2543 compared. To tags stay out: in an ACK it is
    /// that of the response, which [`super::Layer`] compares.
    pub(super) fn server(&self, message: &Message, method: &Method) -> Result<Match, Invalid> {
        server_identity(message, method).map(|identity| self.of(&identity))
    }

    fn of(&self, identity: &[u8]) -> Match {
        let mut hasher = self.0;
        hasher.write(identity);
        let hash = hasher.finish128();
        Match::Key {
            key: Key(hash.h1, hash.h2),
            is_2543: identity.first() == Some(&SERVER_2543),
        }
    }
}

/// How the messages of a transaction are told from those of others.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Match {
    /// By what they say.
    Key {
        key: Key,
        /// Made without the magic cookie.
        is_2543: bool,
    },
    /// They are handed over, by the id of the transaction at the other end; a client's is not known
    /// until its request has arrived there.
    Peer(Option<SlabId>),
}

impl Match {
    pub(super) const fn key(&self) -> Option<&Key> {
        match self {
            Match::Key { key, .. } => Some(key),
            Match::Peer(_) => None,
        }
    }

    /// The other end's transaction.
    pub(super) const fn peer(&self) -> Option<SlabId> {
        match self {
            Match::Key { .. } => None,
            Match::Peer(peer) => *peer,
        }
    }

    /// True for a key made without the magic cookie.
    pub(super) const fn is_2543(&self) -> bool {
        matches!(self, Match::Key { is_2543: true, .. })
    }
}

/// Transactions by key.
pub(super) type Index = SteadyMap<Key, SlabId>;

const CLIENT: u8 = b'c';
const SERVER: u8 = b's';
/// Server side, peer without magic cookie.
const SERVER_2543: u8 = b'o';

fn client_identity(message: &Message) -> Result<Identity, Invalid> {
    let via = message.top_via()?;
    let branch = via
        .branch()
        .ok_or(Invalid::header(HeaderName::Via, Why::Syntax))?;
    let cseq = message.cseq()?;
    let mut key = Identity::from_slice(&[CLIENT]);
    push(&mut key, cseq.method.as_str());
    push(&mut key, branch);
    Ok(key)
}

fn server_identity(message: &Message, method: &Method) -> Result<Identity, Invalid> {
    let via = message.top_via()?;
    let Some(branch) = via.rfc3261_branch() else {
        return server_identity_2543(message, method);
    };
    let mut key = Identity::from_slice(&[SERVER]);
    push(&mut key, method.as_str());
    push(&mut key, branch);
    key.extend(via.host_str.bytes().map(|byte| byte.to_ascii_lowercase()));
    key.extend_from_slice(&via.port.unwrap_or(0).to_be_bytes());
    Ok(key)
}

fn server_identity_2543(message: &Message, method: &Method) -> Result<Identity, Invalid> {
    let via = message.values(HeaderName::Via).next().unwrap_or_default();
    let number = message.cseq()?.number;
    let mut key = Identity::from_slice(&[SERVER_2543]);
    push(&mut key, method.as_str());
    push(&mut key, via);
    push(&mut key, message.request_uri());
    push(&mut key, message.call_id()?);
    push(&mut key, message.from()?.tag().unwrap_or_default());
    key.extend_from_slice(&number.to_be_bytes());
    Ok(key)
}

fn push(key: &mut Identity, part: &str) {
    key.extend_from_slice(part.as_bytes());
    key.push(0);
}
