//! A node that sends what the test gives it and keeps what it gets.

use std::collections::VecDeque;
use std::net::SocketAddr;

use base::Instant;
use sim::{StreamEvent, Transmit};

/// A node without a mind of its own.
#[derive(Default)]
pub struct WireHost {
    transmits: VecDeque<Transmit>,
    /// Datagrams received: to which address, from which, and what.
    pub datagrams: Vec<(SocketAddr, SocketAddr, Vec<u8>)>,
    /// Octets received on streams, all of them in a row.
    pub octets: Vec<u8>,
    /// Streams that are open.
    pub streams: Vec<(SocketAddr, SocketAddr)>,
}

impl WireHost {
    /// Sends a datagram.
    pub fn send(&mut self, local: SocketAddr, remote: SocketAddr, bytes: &[u8]) {
        let bytes = bytes.to_vec();
        self.transmits.push_back(Transmit::Datagram {
            local,
            remote,
            bytes,
        });
    }

    /// Opens a stream from one of the node's addresses.
    pub fn connect(&mut self, local: SocketAddr, remote: SocketAddr) {
        self.transmits
            .push_back(Transmit::Connect { local, remote });
    }

    /// Writes to every open stream.
    pub fn write(&mut self, bytes: &[u8]) {
        for &(local, remote) in &self.streams {
            let bytes = bytes.to_vec();
            self.transmits.push_back(Transmit::Stream {
                local,
                remote,
                bytes,
            });
        }
    }

    /// Closes every open stream.
    pub fn close(&mut self) {
        for (local, remote) in self.streams.drain(..) {
            self.transmits.push_back(Transmit::Close { local, remote });
        }
    }
}

impl sim::Host for WireHost {
    fn handle_datagram(&mut self, _: Instant, local: SocketAddr, remote: SocketAddr, bytes: &[u8]) {
        self.datagrams.push((local, remote, bytes.to_vec()));
    }

    fn handle_stream(
        &mut self,
        _: Instant,
        local: SocketAddr,
        remote: SocketAddr,
        event: StreamEvent<'_>,
    ) {
        match event {
            StreamEvent::Accepted | StreamEvent::Connected => self.streams.push((local, remote)),
            StreamEvent::Received(bytes) => self.octets.extend_from_slice(bytes),
            StreamEvent::Closed | StreamEvent::Refused => {
                self.streams.retain(|stream| *stream != (local, remote));
            }
        }
    }

    fn handle_timeout(&mut self, _: Instant) {}

    fn next_timeout(&self) -> Option<Instant> {
        None
    }

    fn poll_transmit(&mut self) -> Option<Transmit> {
        self.transmits.pop_front()
    }
}
