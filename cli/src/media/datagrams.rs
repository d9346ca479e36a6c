//! H.248 over UDP: messages of a gateway in and out, several to a system call.

use std::io;
use std::net::SocketAddr;

use socket2::SockRef;
use tracing::debug;
use udp_batch::{ReceiveBatch, SendBatch, Socket};

use crate::failure::Failure;

/// Datagrams read at a time, and answered together: replies that fit into one message go in one.
pub const BATCH: usize = 32;
/// The largest datagram.
const DATAGRAM_BYTES_MAX: usize = 65_535;
/// Buffers asked for on H.248 sockets: bursts of commands must not be lost while one is executed.
const H248_BUFFER_BYTES: usize = 4 << 20;

/// Room for datagrams, which all gateways share.
pub struct Batch {
    receive: ReceiveBatch,
    send: SendBatch,
    buffers: Box<[Box<[u8]>]>,
    outgoing: Vec<(Vec<u8>, SocketAddr)>,
}

impl Batch {
    /// Room for [`BATCH`] each way; the system gives memory to what of it is used.
    pub fn new() -> Self {
        let buffer = || vec![0; DATAGRAM_BYTES_MAX].into();
        Self {
            receive: ReceiveBatch::new(BATCH),
            send: SendBatch::new(BATCH),
            buffers: (0..BATCH).map(|_| buffer()).collect(),
            outgoing: Vec::with_capacity(BATCH),
        }
    }

    /// Reads what waits; fewer than [`BATCH`] are all there were.
    pub fn receive(&mut self, socket: &Socket) -> usize {
        // An error is that of one datagram, and the next comes with the next event.
        self.receive
            .receive(socket, &mut self.buffers)
            .unwrap_or_default()
    }

    /// One of the datagrams read last.
    pub fn datagram(&self, index: usize) -> (SocketAddr, &[u8]) {
        let message = self.receive.message(index);
        (message.source, &self.buffers[index][..message.bytes])
    }

    /// Room to read something else into, of the size of a datagram.
    pub fn buffer(&mut self) -> &mut [u8] {
        &mut self.buffers[0]
    }

    /// Has a datagram sent by [`Batch::send`].
    pub fn put(&mut self, to: SocketAddr, bytes: Vec<u8>) {
        self.outgoing.push((bytes, to));
    }

    /// Sends what was put. What the network does not take is repeated, as if it had been lost on
    /// the way.
    pub fn send(&mut self, socket: &Socket, mid: SocketAddr) {
        let mut rest = self.outgoing.as_slice();
        while !rest.is_empty() {
            let outcome = self.send.send(socket, rest);
            rest = &rest[outcome.sent..];
            if let (Some(fault), Some((_, to))) = (outcome.error, rest.first()) {
                debug!(%mid, %to, %fault, "H.248 message not sent");
                rest = &rest[1..];
            }
        }
        self.outgoing.clear();
    }
}

/// Opens the socket of a gateway.
///
/// # Errors
/// Why it cannot be had, and what to do.
pub fn bind(mid: SocketAddr) -> Result<Socket, Failure> {
    let open = || {
        let socket = Socket::bind(mid)?;
        let buffers = SockRef::from(&socket);
        // The kernel grants what net.core.rmem_max allows; less is no reason not to start.
        let _ = buffers.set_recv_buffer_size(H248_BUFFER_BYTES);
        let _ = buffers.set_send_buffer_size(H248_BUFFER_BYTES);
        Ok(socket)
    };
    open().map_err(|fault: io::Error| {
        let remedy = match fault.kind() {
            io::ErrorKind::AddrInUse => {
                "Another process listens there: stop it, or choose another --mid."
            }
            io::ErrorKind::AddrNotAvailable => "No interface of this host has that address.",
            io::ErrorKind::PermissionDenied => "Choose a port of 1024 or above with --mid.",
            _ => "Check --mid.",
        };
        Failure::new(format!("cannot receive H.248 at {mid}"))
            .because(fault)
            .remedy(remedy)
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::net::UdpSocket;
    use std::time::Duration;

    #[test]
    fn messages_go_in_and_out_in_batches() {
        let ours = bind("127.8.9.1:0".parse().unwrap()).unwrap();
        let at = ours.local_address().unwrap();
        let theirs = UdpSocket::bind("127.8.9.1:0").unwrap();
        theirs
            .set_read_timeout(Some(Duration::from_secs(5)))
            .unwrap();
        let from = theirs.local_addr().unwrap();
        let mut batch = Batch::new();
        for count in [1, BATCH, 0] {
            for number in 0..count {
                theirs.send_to(&[number as u8], at).unwrap();
            }
            assert_eq!(batch.receive(&ours), count);
            for index in 0..count {
                let (source, bytes) = batch.datagram(index);
                assert_eq!((source, bytes), (from, &[index as u8][..]));
            }
        }
        let nowhere = "255.255.255.255:9".parse().unwrap();
        batch.put(nowhere, b"refused".to_vec());
        for number in 0..=BATCH {
            batch.put(from, vec![number as u8]);
        }
        batch.send(&ours, at);
        let mut buffer = [0; 9];
        for number in 0..=BATCH {
            let (length, source) = theirs.recv_from(&mut buffer).unwrap();
            assert_eq!((&buffer[..length], source), (&[number as u8][..], at));
        }
    }
}
