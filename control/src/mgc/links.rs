//! Connections of gateways: H.248 over TCP (H.248.1 Annex D.2) and SCTP (H.248.4).
//!
//! Gateways connect, the controller never does. A gateway is known by an address that outlives its
//! connections: that of its MID, where it connects from the same host, and else the one from which
//! it connected first. So a request that was sent on one connection may be answered, or repeated,
//! on the next, and is executed once.

use std::collections::HashMap;
use std::net::SocketAddr;

use h248::encoding::{Encoding, Parsed};
use h248::message::Mid;
use h248::transport::tpkt::{self, Framer};
use h248::transport::{BINARY_PORT, TEXT_PORT};

use crate::node::StreamId;

/// One connection.
#[derive(Debug)]
struct Link {
    framing: Framing,
    framer: Framer,
    /// Where it comes from: one address or, over SCTP, all that the gateway has.
    sources: Vec<SocketAddr>,
    /// By what address its gateway is known: the first of `sources` until a message has named the
    /// gateway.
    peer: SocketAddr,
    is_named: bool,
}

/// How a connection carries messages.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Framing {
    /// As a stream of TPKTs: TCP.
    Tpkt,
    /// As they are: SCTP.
    Message,
}

/// All connections.
#[derive(Debug, Default)]
pub(super) struct Links {
    by_stream: HashMap<StreamId, Link>,
    by_peer: HashMap<SocketAddr, StreamId>,
}

impl Links {
    pub fn len(&self) -> usize {
        self.by_stream.len()
    }

    /// Takes a connection up from these addresses of a gateway; returns an earlier one from the
    /// first of them, which is over.
    pub fn insert(
        &mut self,
        stream: StreamId,
        framing: Framing,
        sources: Vec<SocketAddr>,
    ) -> Option<StreamId> {
        let peer = *sources.first()?;
        let link = Link {
            framing,
            framer: Framer::default(),
            sources,
            peer,
            is_named: false,
        };
        self.by_stream.insert(stream, link);
        self.displace(stream, peer)
    }

    /// How a connection carries messages.
    pub fn framing(&self, stream: StreamId) -> Option<Framing> {
        self.by_stream.get(&stream).map(|link| link.framing)
    }

    /// Takes out what cuts a stream into messages, to be given back by [`Links::restore`].
    pub fn take_framer(&mut self, stream: StreamId) -> Option<Framer> {
        let link = self.by_stream.get_mut(&stream)?;
        Some(std::mem::take(&mut link.framer))
    }

    /// Gives the framer back, unless the connection is gone meanwhile.
    pub fn restore(&mut self, stream: StreamId, framer: Framer) {
        if let Some(link) = self.by_stream.get_mut(&stream) {
            link.framer = framer;
        }
    }

    /// A message as the connection carries it; `None` when it is too long, or there is none.
    pub fn frame(&self, stream: StreamId, message: Vec<u8>) -> Option<Vec<u8>> {
        match self.framing(stream)? {
            Framing::Tpkt => tpkt::frame(&message),
            Framing::Message => Some(message),
        }
    }

    /// Where a connection comes from, if no message has named its gateway yet.
    pub fn unnamed(&self, stream: StreamId) -> Option<&[SocketAddr]> {
        let link = self.by_stream.get(&stream)?;
        (!link.is_named).then_some(&link.sources)
    }

    /// By what address the gateway of a connection is known.
    pub fn peer_of(&self, stream: StreamId) -> Option<SocketAddr> {
        self.by_stream.get(&stream).map(|link| link.peer)
    }

    /// The connection of a peer.
    pub fn to(&self, peer: SocketAddr) -> Option<StreamId> {
        self.by_peer.get(&peer).copied()
    }

    /// Notes whose a connection is; returns an earlier one of the same gateway, which is over: its
    /// end has just not been noticed.
    pub fn set_peer(&mut self, stream: StreamId, peer: SocketAddr) -> Option<StreamId> {
        let link = self.by_stream.get_mut(&stream)?;
        let before = std::mem::replace(&mut link.peer, peer);
        link.is_named = true;
        if self.by_peer.get(&before) == Some(&stream) {
            self.by_peer.remove(&before);
        }
        self.displace(stream, peer)
    }

    fn displace(&mut self, stream: StreamId, peer: SocketAddr) -> Option<StreamId> {
        let earlier = self.by_peer.insert(peer, stream)?;
        self.by_stream.remove(&earlier);
        Some(earlier)
    }

    /// Forgets a connection.
    pub fn remove(&mut self, stream: StreamId) {
        let Some(link) = self.by_stream.remove(&stream) else {
            return;
        };
        if self.by_peer.get(&link.peer) == Some(&stream) {
            self.by_peer.remove(&link.peer);
        }
    }
}

/// The MID in a message, and the address that it names on the host that sent it, which has these.
pub(super) fn sender(message: &[u8], sources: &[SocketAddr]) -> Option<(Mid, Option<SocketAddr>)> {
    let parsed = Encoding::parse(message, &h248::binary::Naming::default());
    let Parsed { mid, .. } = parsed.ok()?;
    let default_port = match Encoding::is_binary(message) {
        true => BINARY_PORT,
        false => TEXT_PORT,
    };
    let (ip, port) = match mid {
        Mid::Ipv4(ip, port) => (ip.into(), port),
        Mid::Ipv6(ip, port) => (ip.into(), port),
        Mid::Domain(..) | Mid::Device(_) | Mid::Mtp(_) => return Some((mid, None)),
    };
    let address = SocketAddr::new(ip, port.unwrap_or(default_port));
    let is_own = sources.iter().any(|source| source.ip() == ip);
    Some((mid, is_own.then_some(address)))
}
