//! Where messages go and where they came from.

use std::net::SocketAddr;

use serde::{Deserialize, Serialize};
use sip::transaction::{self, Timers};

use super::address::Addresses;
use crate::config::Role;
use crate::node::StreamId;

/// A way to a peer that need not be found again: how a registered UE is reached.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Flow {
    /// Datagrams between one of our addresses and the peer's.
    Udp {
        /// Index of our SIP address.
        listener: u16,
        /// The peer's address.
        peer: SocketAddr,
    },
    /// An open connection.
    Stream {
        /// The connection.
        stream: StreamId,
        /// Index of our SIP address.
        listener: u16,
        /// The peer's address.
        peer: SocketAddr,
    },
}

impl Flow {
    /// The peer's address.
    pub const fn peer(&self) -> SocketAddr {
        match self {
            Flow::Udp { peer, .. } | Flow::Stream { peer, .. } => *peer,
        }
    }

    /// Index of our SIP address.
    pub const fn listener(&self) -> u16 {
        match self {
            Flow::Udp { listener, .. } | Flow::Stream { listener, .. } => *listener,
        }
    }
}

/// A [`Flow`] as the journal has it: with our address in place of its index, which the next
/// configuration may deal otherwise, and without the connection, which ends with the process.
#[derive(Clone, Copy, Debug, Serialize, Deserialize)]
pub struct KeptFlow {
    is_stream: bool,
    local: SocketAddr,
    peer: SocketAddr,
}

impl KeptFlow {
    /// What is kept of a flow.
    pub fn of(flow: Flow, addresses: &Addresses) -> Option<Self> {
        Some(Self {
            is_stream: matches!(flow, Flow::Stream { .. }),
            local: addresses.listener(flow.listener())?,
            peer: flow.peer(),
        })
    }

    /// The peer's address.
    pub const fn peer(&self) -> SocketAddr {
        self.peer
    }

    /// The flow again; `None` where we no longer listen at that address.
    ///
    /// A connection is opened to `listening`, where that is known: what the UE opened it from is
    /// no address to connect to (RFC 3261 18.1.1).
    pub fn restored(self, addresses: &Addresses, listening: Option<SocketAddr>) -> Option<Flow> {
        let listener = addresses.index_of(self.local)?;
        let peer = self.peer;
        Some(match self.is_stream {
            false => Flow::Udp { listener, peer },
            true => Flow::Stream {
                stream: StreamId::OF_EARLIER_LIFE,
                listener,
                peer: listening.unwrap_or(peer),
            },
        })
    }
}

/// Where a message came from.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Origin {
    /// Another entity of this process.
    Entity {
        /// Who sent it.
        from: Role,
        /// Whom it is for.
        to: Role,
    },
    /// The network.
    Network(Flow),
}

impl Origin {
    /// The flow it came on, unless it came from an entity of this process.
    pub const fn flow(&self) -> Option<Flow> {
        match self {
            Origin::Entity { .. } => None,
            Origin::Network(flow) => Some(*flow),
        }
    }
}

/// A transport and a peer, as the transaction layer keeps them.
#[derive(Clone, Debug)]
pub enum Hop {
    /// An entity of this process, seen from `to`: answers go to `from`.
    Entity {
        /// The other entity.
        from: Role,
        /// This entity.
        to: Role,
        /// T1, T2, T4.
        timers: Timers,
    },
    /// UDP.
    Udp {
        /// Index of our SIP address.
        listener: u16,
        /// Where a received message came from.
        source: SocketAddr,
        /// Where to send.
        peer: SocketAddr,
        /// T1, T2, T4.
        timers: Timers,
    },
    /// TCP.
    Stream {
        /// The connection.
        stream: StreamId,
        /// Index of our SIP address.
        listener: u16,
        /// The other end.
        peer: SocketAddr,
        /// T1, T2, T4.
        timers: Timers,
    },
}

impl Hop {
    /// The same as the entity at the other end sees it.
    pub(super) const fn reversed(self) -> Self {
        match self {
            Hop::Entity { from, to, timers } => Hop::Entity {
                from: to,
                to: from,
                timers,
            },
            outside => outside,
        }
    }

    /// Where a message received on this hop came from.
    pub fn origin(&self) -> Origin {
        match *self {
            Hop::Entity { from, to, .. } => Origin::Entity { from, to },
            Hop::Udp {
                listener, source, ..
            } => Origin::Network(Flow::Udp {
                listener,
                peer: source,
            }),
            Hop::Stream {
                stream,
                listener,
                peer,
                ..
            } => Origin::Network(Flow::Stream {
                stream,
                listener,
                peer,
            }),
        }
    }
}

impl transaction::Hop for Hop {
    fn is_reliable(&self) -> bool {
        !matches!(self, Hop::Udp { .. })
    }

    fn is_local(&self) -> bool {
        matches!(self, Hop::Entity { .. })
    }

    fn timers(&self) -> Timers {
        match self {
            Hop::Entity { timers, .. } | Hop::Udp { timers, .. } | Hop::Stream { timers, .. } => {
                *timers
            }
        }
    }

    fn is_peer(&self, received: &Self) -> bool {
        let address = |hop: &Self| hop.origin().flow().map(|flow| flow.peer().ip());
        address(self) == address(received)
    }
}
