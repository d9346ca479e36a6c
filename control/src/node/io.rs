//! What goes into a [`Node`](super::Node) and what comes out of it: bytes, store operations, admin
//! requests.

use std::net::SocketAddr;

use sip::Message;

use crate::admin;
use crate::store;

/// Index of a datagram socket the node listens on.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Socket {
    /// SIP over UDP on the n-th configured address.
    Sip(u16),
    /// H.248 over UDP.
    H248,
    /// DNS over UDP on the n-th of [`dns::local_addresses`](crate::dns::local_addresses).
    Dns(u16),
}

/// What runs over an accepted or opened byte stream.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Service {
    /// SIP over TCP on the n-th configured address.
    Sip(u16),
    /// H.248 over TCP or SCTP; only ever opened by gateways.
    H248,
    /// Diameter over TCP.
    Diameter,
    /// DNS over TCP; only ever opened by the node.
    Dns,
}

/// Names a byte stream; dealt by the node, never dealt again within a process's life.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct StreamId(u64);

impl StreamId {
    /// A connection that ended with an earlier life of the process; names none of this one.
    pub(crate) const OF_EARLIER_LIFE: StreamId = StreamId(0);

    /// The n-th stream that a peer opened.
    pub(crate) const fn accepted(n: u64) -> Self {
        StreamId(4 * n)
    }

    /// The n-th stream that the SIP stack opens.
    pub(crate) const fn of_sip(n: u64) -> Self {
        StreamId(4 * n + 1)
    }

    /// The n-th stream that the Diameter side opens.
    pub(crate) const fn of_diameter(n: u64) -> Self {
        StreamId(4 * n + 2)
    }

    /// The n-th stream that the resolver opens.
    pub(crate) const fn of_dns(n: u64) -> Self {
        StreamId(4 * n + 3)
    }
}

/// Something that happened outside.
#[derive(Debug)]
pub enum Input<'a> {
    /// A datagram arrived.
    Datagram {
        /// On this socket.
        socket: Socket,
        /// From this address.
        source: SocketAddr,
        /// Its payload.
        bytes: &'a [u8],
    },
    /// A stream that the node asked for is open, or a datagram to this peer will be refused.
    Connected(StreamId),
    /// Bytes arrived on a stream.
    Received {
        /// The stream.
        stream: StreamId,
        /// The bytes, any number of them; over SCTP a message.
        bytes: &'a [u8],
    },
    /// A stream is gone: refused, reset or closed. Nothing more will come of it.
    Closed(StreamId),
    /// The store did what was asked.
    Store {
        /// Identifier given with the operation.
        id: u64,
        /// What came of it.
        outcome: store::Outcome,
    },
    /// Somebody asks through the admin interface.
    Admin {
        /// Identifier to answer under.
        id: u64,
        /// What is asked.
        request: admin::Request,
    },
}

/// Bytes to be sent: a SIP message as it stands, or bytes of their own.
#[derive(Clone, Debug)]
pub enum Payload {
    /// A SIP message, shared with the transaction that may send it again.
    Message(Message),
    /// Anything else.
    Bytes(Vec<u8>),
}

impl AsRef<[u8]> for Payload {
    fn as_ref(&self) -> &[u8] {
        match self {
            Payload::Message(message) => message.as_bytes(),
            Payload::Bytes(bytes) => bytes,
        }
    }
}

impl From<Message> for Payload {
    fn from(message: Message) -> Self {
        Payload::Message(message)
    }
}

impl From<Vec<u8>> for Payload {
    fn from(bytes: Vec<u8>) -> Self {
        Payload::Bytes(bytes)
    }
}

/// Something to be done outside.
#[derive(Debug)]
pub enum Output {
    /// Send a datagram.
    Datagram {
        /// From this socket.
        socket: Socket,
        /// To this address.
        destination: SocketAddr,
        /// The payload.
        bytes: Payload,
    },
    /// Open a stream; [`Input::Connected`] or [`Input::Closed`] follows.
    Connect {
        /// Its name.
        stream: StreamId,
        /// Its service.
        service: Service,
        /// The other end.
        peer: SocketAddr,
    },
    /// Send on a stream that is open or being opened, in order.
    Send {
        /// The stream.
        stream: StreamId,
        /// The bytes.
        bytes: Payload,
    },
    /// Close a stream once what was sent before has left; [`Input::Closed`] does not follow.
    Close(StreamId),
    /// Execute a store operation.
    Store {
        /// Identifier for the outcome.
        id: u64,
        /// What to do.
        operation: store::Operation,
    },
    /// Write these records of the [`Journal`](crate::journal::Journal) behind those before.
    Journal(Vec<u8>),
    /// Answer an admin request.
    Admin {
        /// Its identifier.
        id: u64,
        /// The answer.
        reply: admin::Reply,
    },
}
