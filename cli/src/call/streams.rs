//! SIP over TCP: a listener and a few connections.

use std::io::{self, ErrorKind, Read, Write};
use std::net::SocketAddr;

use mio::net::{TcpListener, TcpStream};
use mio::{Interest, Registry};
use sip::{Frame, Framer, PONG};

use super::sockets::ANY;

/// Connections at once: one to the P-CSCF, one from it, and room for one that is closing.
const CONNECTIONS_MAX: usize = 8;
/// What may wait to be sent on one of them.
const BACKLOG_BYTES_MAX: usize = 256 << 10;
/// Reads from one connection before the other sockets have their turn.
const READS_MAX: usize = 64;

/// The connections of one side.
pub struct Streams {
    listener: TcpListener,
    connections: Vec<Connection>,
}

struct Connection {
    peer: SocketAddr,
    socket: TcpStream,
    framer: Framer,
    /// What waits to be sent.
    backlog: Vec<u8>,
    is_over: bool,
}

impl Streams {
    /// Accepts connections at this address.
    ///
    /// # Errors
    /// It is taken, or not of this machine.
    pub fn listen(address: SocketAddr) -> io::Result<Self> {
        Ok(Self {
            listener: TcpListener::bind(address)?,
            connections: Vec::new(),
        })
    }

    /// Has the system tell when something can be received.
    ///
    /// # Errors
    /// The system does not.
    pub fn register(&mut self, registry: &Registry) -> io::Result<()> {
        registry.register(&mut self.listener, ANY, Interest::READABLE)
    }

    /// Sends a message over the connection to a peer, which is made when there is none.
    ///
    /// # Errors
    /// There is no way there, or it takes nothing more.
    pub fn send(
        &mut self,
        registry: &Registry,
        peer: SocketAddr,
        message: &[u8],
    ) -> io::Result<()> {
        let found = self.connections.iter().position(|each| each.peer == peer);
        let index = match found {
            Some(index) => index,
            None => self.insert(registry, TcpStream::connect(peer)?, peer)?,
        };
        let connection = &mut self.connections[index];
        if connection.backlog.len() + message.len() > BACKLOG_BYTES_MAX {
            return Err(ErrorKind::WouldBlock.into());
        }
        connection.backlog.extend_from_slice(message);
        connection.flush();
        Ok(())
    }

    /// Accepts, sends what waits, and hands on each message that came, with its peer; none in place
    /// of a message says that the connection is over.
    pub fn receive(
        &mut self,
        registry: &Registry,
        buffer: &mut [u8],
        mut each: impl FnMut(SocketAddr, Option<&[u8]>),
    ) {
        while let Ok((socket, peer)) = self.listener.accept() {
            // One that finds no room is closed, and its peer tries again or by UDP.
            let _ = self.insert(registry, socket, peer);
        }
        for connection in &mut self.connections {
            connection.flush();
            connection.read(buffer, &mut each);
            if connection.is_over {
                each(connection.peer, None);
            }
        }
        self.connections.retain(|connection| !connection.is_over);
    }

    fn insert(
        &mut self,
        registry: &Registry,
        mut socket: TcpStream,
        peer: SocketAddr,
    ) -> io::Result<usize> {
        if self.connections.len() == CONNECTIONS_MAX {
            return Err(ErrorKind::WouldBlock.into());
        }
        registry.register(&mut socket, ANY, Interest::READABLE | Interest::WRITABLE)?;
        // Signalling is small and urgent; a refusal costs latency only.
        let _ = socket.set_nodelay(true);
        self.connections.push(Connection {
            peer,
            socket,
            framer: Framer::new(),
            backlog: Vec::new(),
            is_over: false,
        });
        Ok(self.connections.len() - 1)
    }
}

impl Connection {
    /// Sends what the connection takes now; the rest goes when it is writable.
    fn flush(&mut self) {
        while !self.backlog.is_empty() && !self.is_over {
            match self.socket.write(&self.backlog) {
                Ok(length) => drop(self.backlog.drain(..length)),
                Err(fault) if is_unready(&fault) => return,
                Err(_) => self.is_over = true,
            }
        }
    }

    fn read(&mut self, buffer: &mut [u8], each: &mut impl FnMut(SocketAddr, Option<&[u8]>)) {
        for _ in 0..READS_MAX {
            match self.socket.read(buffer) {
                Ok(0) => self.is_over = true,
                Ok(length) => self.framer.handle_input(&buffer[..length]),
                Err(fault) if is_unready(&fault) => return,
                Err(_) => self.is_over = true,
            }
            while let Some(frame) = self.framer.poll_frame() {
                match frame {
                    Frame::Message(message) => each(self.peer, Some(message.as_bytes())),
                    Frame::Ping => self.backlog.extend_from_slice(PONG),
                    Frame::Broken(_) => self.is_over = true,
                    Frame::Pong | Frame::Malformed(_) => {}
                }
            }
            if self.is_over {
                return;
            }
            self.flush();
        }
    }
}

/// Nothing can be done now: the connection is not made yet, or its buffer is full or empty.
fn is_unready(fault: &io::Error) -> bool {
    matches!(
        fault.kind(),
        ErrorKind::WouldBlock | ErrorKind::NotConnected | ErrorKind::Interrupted
    )
}

#[cfg(test)]
mod tests {
    use super::*;
    use mio::{Events, Poll};
    use std::net::Ipv4Addr;
    use std::time::{Duration, Instant};

    const REQUEST: &[u8] = b"OPTIONS sip:a@ims.test SIP/2.0\r\nContent-Length: 0\r\n\r\n";

    fn any() -> SocketAddr {
        SocketAddr::from((Ipv4Addr::LOCALHOST, 0))
    }

    struct Side {
        streams: Streams,
        poll: Poll,
        received: Vec<(SocketAddr, Option<Vec<u8>>)>,
    }

    impl Side {
        fn new() -> Self {
            let poll = Poll::new().expect("a poll");
            let mut streams = Streams::listen(any()).expect("loopback");
            streams.register(poll.registry()).expect("registered");
            Side {
                streams,
                poll,
                received: Vec::new(),
            }
        }

        fn address(&self) -> SocketAddr {
            self.streams.listener.local_addr().expect("bound")
        }

        /// Turns until so many things were received.
        fn turn(&mut self, count: usize) {
            let deadline = Instant::now() + Duration::from_secs(5);
            let (mut events, mut buffer) = (Events::with_capacity(8), vec![0; 4_096]);
            while self.received.len() < count {
                assert!(Instant::now() < deadline, "{:?}", self.received);
                let wait = Some(Duration::from_millis(10));
                self.poll.poll(&mut events, wait).expect("polled");
                let received = &mut self.received;
                self.streams
                    .receive(self.poll.registry(), &mut buffer, |peer, message| {
                        received.push((peer, message.map(<[u8]>::to_vec)));
                    });
            }
        }
    }

    #[test]
    fn messages_cross_a_connection_both_ways_and_its_end_is_told() {
        let (mut here, mut there) = (Side::new(), Side::new());
        let to = there.address();
        for _ in 0..2 {
            let sent = here.streams.send(here.poll.registry(), to, REQUEST);
            sent.expect("taken");
        }
        // The connection is made by the time the other side has something.
        there.turn(1);
        here.streams.connections[0].flush();
        there.turn(2);
        let (peer, message) = there.received[1].clone();
        assert_eq!(message.as_deref(), Some(REQUEST));
        assert_eq!(there.streams.connections.len(), 1);

        let sent = there.streams.send(there.poll.registry(), peer, REQUEST);
        sent.expect("taken");
        here.turn(1);
        assert_eq!(here.received[0], (to, Some(REQUEST.to_vec())));

        here.streams.connections.clear();
        there.turn(3);
        assert_eq!(there.received[2], (peer, None));
        assert!(there.streams.connections.is_empty());
    }

    #[test]
    fn nobody_there_is_told_as_the_end_of_the_connection() {
        let mut here = Side::new();
        let nowhere = Side::new().address();
        match here.streams.send(here.poll.registry(), nowhere, REQUEST) {
            Ok(()) => here.turn(1),
            Err(fault) => return assert_eq!(fault.kind(), ErrorKind::ConnectionRefused),
        }
        assert_eq!(here.received, [(nowhere, None)]);
    }

    #[test]
    fn connections_beyond_the_limit_are_refused() {
        let mut here = Side::new();
        let others: Vec<Side> = (0..=CONNECTIONS_MAX).map(|_| Side::new()).collect();
        let mut send = |side: &Side| {
            let to = side.address();
            here.streams.send(here.poll.registry(), to, REQUEST)
        };
        let (last, first) = others.split_last().expect("some");
        assert!(first.iter().all(|side| send(side).is_ok()));
        assert!(send(last).is_err());
    }
}
