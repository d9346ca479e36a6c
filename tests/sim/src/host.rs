//! What a node of the network is.

use std::net::SocketAddr;

use base::Instant;

/// A node: an engine with all its addresses, driven by the network.
///
/// After every call the network drains `poll_transmit` and asks `next_timeout` anew.
pub trait Host {
    /// A datagram came from `remote` to `local`.
    fn handle_datagram(
        &mut self,
        now: Instant,
        local: SocketAddr,
        remote: SocketAddr,
        bytes: &[u8],
    );

    /// Something happened to the stream between `local` and `remote`.
    fn handle_stream(
        &mut self,
        now: Instant,
        local: SocketAddr,
        remote: SocketAddr,
        event: StreamEvent<'_>,
    );

    /// The time `next_timeout` named has come.
    fn handle_timeout(&mut self, now: Instant);

    /// When `handle_timeout` is due.
    fn next_timeout(&self) -> Option<Instant>;

    /// What to send next.
    fn poll_transmit(&mut self) -> Option<Transmit>;

    /// Whether streams to `local` are accepted; else they are refused.
    fn listens(&self, local: SocketAddr) -> bool {
        let _ = local;
        true
    }
}

/// What happens to a stream. It is named by its two addresses, like a TCP connection.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum StreamEvent<'a> {
    /// `remote` opened it.
    Accepted,
    /// It was asked for and is open.
    Connected,
    /// It was asked for and is refused, or nobody answered.
    Refused,
    /// Octets, in order, in portions of any size.
    Received(&'a [u8]),
    /// `remote` closed it, or knows nothing of it.
    Closed,
}

/// What a node sends.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Transmit {
    /// A datagram.
    Datagram {
        /// From: an address of the node.
        local: SocketAddr,
        /// To.
        remote: SocketAddr,
        /// Payload.
        bytes: Vec<u8>,
    },
    /// Opens a stream from a port of the node's choice.
    Connect {
        /// From: an address of the node.
        local: SocketAddr,
        /// To.
        remote: SocketAddr,
    },
    /// Octets on an open stream; without effect on any other.
    Stream {
        /// This end.
        local: SocketAddr,
        /// The other end.
        remote: SocketAddr,
        /// Octets.
        bytes: Vec<u8>,
    },
    /// Closes a stream after what was sent on it.
    Close {
        /// This end.
        local: SocketAddr,
        /// The other end.
        remote: SocketAddr,
    },
}

impl<H: Host + ?Sized> Host for Box<H> {
    fn handle_datagram(
        &mut self,
        now: Instant,
        local: SocketAddr,
        remote: SocketAddr,
        bytes: &[u8],
    ) {
        (**self).handle_datagram(now, local, remote, bytes);
    }

    fn handle_stream(
        &mut self,
        now: Instant,
        local: SocketAddr,
        remote: SocketAddr,
        event: StreamEvent<'_>,
    ) {
        (**self).handle_stream(now, local, remote, event);
    }

    fn handle_timeout(&mut self, now: Instant) {
        (**self).handle_timeout(now);
    }

    fn next_timeout(&self) -> Option<Instant> {
        (**self).next_timeout()
    }

    fn poll_transmit(&mut self) -> Option<Transmit> {
        (**self).poll_transmit()
    }

    fn listens(&self, local: SocketAddr) -> bool {
        (**self).listens(local)
    }
}
