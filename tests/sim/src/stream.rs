//! The ends of streams and what travels between them.

use std::collections::BTreeMap;
use std::net::SocketAddr;

use base::Instant;

/// An end of a stream: its own address, then the other's.
pub(crate) type EndKey = (SocketAddr, SocketAddr);

/// One end that its node has not closed.
#[derive(Debug)]
pub(crate) struct End {
    /// Tells a stream from an earlier one between the same addresses.
    pub(crate) id: u64,
    pub(crate) is_open: bool,
    /// Arrival of the last thing sent from here: later ones do not overtake it.
    pub(crate) last_arrival: Instant,
}

/// What travels to an end.
#[derive(Debug)]
pub(crate) enum Segment {
    /// Opens.
    Syn,
    /// The other end accepted.
    SynAck,
    /// The other end refused, or the attempt took too long.
    Refuse,
    /// Octets.
    Bytes(Vec<u8>),
    /// The other end closed, or knows nothing of the stream.
    Fin,
}

/// All ends of all nodes.
#[derive(Debug, Default)]
pub(crate) struct Streams {
    ends: BTreeMap<EndKey, End>,
    opened: u64,
}

impl Streams {
    /// A new stream as its opener sees it; `None` when the two addresses are in use.
    pub(crate) fn open(&mut self, key: EndKey) -> Option<u64> {
        if self.ends.contains_key(&key) {
            return None;
        }
        self.opened += 1;
        let end = End {
            id: self.opened,
            is_open: false,
            last_arrival: Instant::ZERO,
        };
        self.ends.insert(key, end);
        Some(self.opened)
    }

    /// The accepting end. True when an older stream between the addresses ends by it.
    pub(crate) fn accept(&mut self, key: EndKey, id: u64) -> bool {
        let end = End {
            id,
            is_open: true,
            last_arrival: Instant::ZERO,
        };
        self.ends.insert(key, end).is_some()
    }

    /// The end at `key`, whatever stream it is of.
    pub(crate) fn end(&mut self, key: EndKey) -> Option<&mut End> {
        self.ends.get_mut(&key)
    }

    /// The end at `key` if it is of this stream.
    pub(crate) fn end_of(&mut self, key: EndKey, id: u64) -> Option<&mut End> {
        self.ends.get_mut(&key).filter(|end| end.id == id)
    }

    pub(crate) fn remove(&mut self, key: EndKey) -> Option<End> {
        self.ends.remove(&key)
    }

    /// Ends at addresses for which `is_of` holds.
    pub(crate) fn of(&self, is_of: impl Fn(SocketAddr) -> bool) -> Vec<(EndKey, u64)> {
        let ends = self.ends.iter().filter(|((local, _), _)| is_of(*local));
        ends.map(|(&key, end)| (key, end.id)).collect()
    }
}
