//! Connections of the SIP stack and their framers.

use std::collections::HashMap;
use std::net::SocketAddr;

use sip::Framer;

use crate::node::StreamId;

/// One connection.
#[derive(Debug)]
pub(super) struct Entry {
    pub framer: Framer,
    pub listener: u16,
    pub peer: SocketAddr,
}

/// All connections of a stack.
#[derive(Debug)]
pub(super) struct Streams {
    entries: HashMap<StreamId, Entry>,
    by_peer: HashMap<SocketAddr, StreamId>,
    next: u64,
}

impl Streams {
    pub(super) fn new() -> Self {
        Self {
            entries: HashMap::new(),
            by_peer: HashMap::new(),
            next: 0,
        }
    }

    /// A connection that a peer made or that we are making.
    pub(super) fn insert(&mut self, stream: StreamId, listener: u16, peer: SocketAddr) {
        let entry = Entry {
            framer: Framer::new(),
            listener,
            peer,
        };
        self.entries.insert(stream, entry);
        self.by_peer.insert(peer, stream);
    }

    /// A connection of ours about to be opened.
    pub(super) fn opened(&mut self, listener: u16, peer: SocketAddr) -> StreamId {
        self.next += 1;
        let stream = StreamId::of_sip(self.next);
        self.insert(stream, listener, peer);
        stream
    }

    pub(super) fn get_mut(&mut self, stream: StreamId) -> Option<&mut Entry> {
        self.entries.get_mut(&stream)
    }

    /// The connection to a peer, whoever opened it.
    pub(super) fn to(&self, peer: SocketAddr) -> Option<StreamId> {
        self.by_peer.get(&peer).copied()
    }

    /// `stream` while it lives, else another one to the same peer.
    pub(super) fn live(&self, stream: StreamId, peer: SocketAddr) -> Option<StreamId> {
        if self.entries.contains_key(&stream) {
            Some(stream)
        } else {
            self.to(peer)
        }
    }

    /// Forgets a connection.
    pub(super) fn closed(&mut self, stream: StreamId) {
        let Some(entry) = self.entries.remove(&stream) else {
            return;
        };
        if self.by_peer.get(&entry.peer) == Some(&stream) {
            self.by_peer.remove(&entry.peer);
        }
    }
}
