//! Matching messages to transactions: RFC 3261 17.1.3 and 17.2.3.

use std::collections::HashMap;
use std::hash::{BuildHasher, DefaultHasher, Hasher};

use base::Entropy;
use smallvec::SmallVec;

use super::slab::Id;
use crate::{HeaderName, Invalid, Message, Method, Why};

/// What identifies a transaction, as bytes; parts end with a zero, which no header value holds.
pub(super) type Key = SmallVec<[u8; 96]>;

/// How the messages of a transaction are told from those of others.
#[derive(Clone, Debug)]
pub(super) enum Match {
    /// By what they say.
    Key(Key),
    /// They are handed over, by the id of the transaction at the other end; a client's is not known
    /// until its request has arrived there.
    Peer(Option<Id>),
}

impl Match {
    pub(super) const fn key(&self) -> Option<&Key> {
        match self {
            Match::Key(key) => Some(key),
            Match::Peer(_) => None,
        }
    }

    /// The other end's transaction.
    pub(super) const fn peer(&self) -> Option<Id> {
        match self {
            Match::Key(_) => None,
            Match::Peer(peer) => *peer,
        }
    }

    /// True for a key made without the magic cookie.
    pub(super) fn is_2543(&self) -> bool {
        self.key()
            .is_some_and(|key| key.first() == Some(&SERVER_2543))
    }
}

const CLIENT: u8 = b'c';
const SERVER: u8 = b's';
/// Server side, peer without magic cookie.
const SERVER_2543: u8 = b'o';

/// Key of a client transaction: branch of the top Via and method of CSeq (RFC 3261 17.1.3).
pub(super) fn client_key(message: &Message) -> Result<Key, Invalid> {
    let via = message.top_via()?;
    let branch = via
        .branch()
        .ok_or(Invalid::header(HeaderName::Via, Why::Syntax))?;
    let cseq = message.cseq()?;
    let mut key = Key::from_slice(&[CLIENT]);
    push(&mut key, cseq.method.as_str());
    push(&mut key, branch);
    Ok(key)
}

/// Key of the server transaction of `method` that a request belongs to: branch and sent-by of the
/// top Via (RFC 3261 17.2.3).
///
/// Without the magic cookie it is what RFC 2543 compared. To tags stay out: in an ACK it is that of
/// the response, which [`super::Layer`] compares.
pub(super) fn server_key(message: &Message, method: &Method) -> Result<Key, Invalid> {
    let via = message.top_via()?;
    let Some(branch) = via.rfc3261_branch() else {
        return server_key_2543(message, method);
    };
    let mut key = Key::from_slice(&[SERVER]);
    push(&mut key, method.as_str());
    push(&mut key, branch);
    key.extend(via.host_str.bytes().map(|byte| byte.to_ascii_lowercase()));
    key.extend_from_slice(&via.port.unwrap_or(0).to_be_bytes());
    Ok(key)
}

fn server_key_2543(message: &Message, method: &Method) -> Result<Key, Invalid> {
    let via = message.values(HeaderName::Via).next().unwrap_or_default();
    let number = message.cseq()?.number;
    let mut key = Key::from_slice(&[SERVER_2543]);
    push(&mut key, method.as_str());
    push(&mut key, via);
    push(&mut key, message.request_uri());
    push(&mut key, message.call_id()?);
    push(&mut key, message.from()?.tag().unwrap_or_default());
    key.extend_from_slice(&number.to_be_bytes());
    Ok(key)
}

fn push(key: &mut Key, part: &str) {
    key.extend_from_slice(part.as_bytes());
    key.push(0);
}

/// Transactions by key.
pub(super) type Index = HashMap<Key, Id, Seed>;

/// Starts every hash from two secret words, so that nobody can choose branches that collide.
#[derive(Clone, Debug)]
pub(super) struct Seed(u64, u64);

impl Seed {
    pub(super) fn new(entropy: &mut Entropy) -> Self {
        Self(entropy.next_u64(), entropy.next_u64())
    }
}

impl BuildHasher for Seed {
    type Hasher = DefaultHasher;

    fn build_hasher(&self) -> DefaultHasher {
        let mut hasher = DefaultHasher::new();
        hasher.write_u64(self.0);
        hasher.write_u64(self.1);
        hasher
    }
}
