//! What carries a controller's messages: a UDP socket, connections with TPKTs, or associations.

use std::collections::VecDeque;
use std::io::{self, Read, Write};
use std::net::{self, SocketAddr};
use std::time::Duration;

use ::h248::transport::Protocol;
use ::h248::transport::tpkt::{self, Framer};
use control::config::SctpPolicy;
use mio::net::{TcpListener, TcpStream, UdpSocket};
use mio::{Events, Interest, Poll, Token, Waker};

use super::associations::Associations;
use crate::failure::Failure;

/// Connections at once.
const CONNECTIONS_MAX: usize = 64;
/// Octets read at a time.
const READ_BYTES: usize = 65_536;
/// How long a peer may take to make room for a message.
const SEND_TIME_MAX: Duration = Duration::from_secs(5);

/// How often associations are asked whether something came.
const ASSOCIATIONS_POLL: Duration = Duration::from_millis(10);

const OWN: Token = Token(0);
const WAKE: Token = Token(1);
/// Tokens of connections begin here.
const CONNECTION: usize = 2;

/// What happened on a link.
#[derive(Debug)]
pub enum News {
    /// There is a connection.
    Connected(SocketAddr),
    /// A message came.
    Message(SocketAddr, Vec<u8>),
    /// A connection is gone.
    Closed(SocketAddr),
}

/// Sends and receives messages.
pub struct Link {
    poll: Poll,
    events: Events,
    own: Own,
    local: SocketAddr,
    connections: Vec<Connection>,
    next_token: usize,
    news: VecDeque<News>,
    buffer: Vec<u8>,
}

enum Own {
    Udp(UdpSocket),
    Tcp(TcpListener),
    Sctp(Associations),
}

struct Connection {
    token: Token,
    peer: SocketAddr,
    stream: TcpStream,
    framer: Framer,
}

impl Link {
    /// Opens the socket, or listens for connections.
    ///
    /// # Errors
    /// The address cannot be used.
    pub fn open(protocol: Protocol, local: SocketAddr, policy: SctpPolicy) -> io::Result<Self> {
        let poll = Poll::new()?;
        let registry = poll.registry();
        let own = match protocol {
            Protocol::Udp => {
                let mut socket = UdpSocket::bind(local)?;
                registry.register(&mut socket, OWN, Interest::READABLE)?;
                Own::Udp(socket)
            }
            Protocol::Tcp => {
                let mut listener = TcpListener::bind(local)?;
                registry.register(&mut listener, OWN, Interest::READABLE)?;
                Own::Tcp(listener)
            }
            Protocol::Sctp => Own::Sctp(Associations::open(local, policy)?),
        };
        Ok(Self {
            poll,
            local,
            events: Events::with_capacity(64),
            own,
            connections: Vec::new(),
            next_token: CONNECTION,
            news: VecDeque::new(),
            buffer: vec![0; READ_BYTES],
        })
    }

    /// Our address.
    pub fn local_addr(&self) -> io::Result<SocketAddr> {
        match &self.own {
            Own::Udp(socket) => socket.local_addr(),
            Own::Tcp(listener) => listener.local_addr(),
            Own::Sctp(_) => Ok(self.local),
        }
    }

    /// Ends [`Link::wait`] from another thread.
    ///
    /// # Errors
    /// The system has no room for it.
    pub fn waker(&self) -> io::Result<Waker> {
        Waker::new(self.poll.registry(), WAKE)
    }

    /// Makes a connection where there is none and one is needed.
    ///
    /// # Errors
    /// The peer does not accept it in this time.
    pub fn connect(&mut self, peer: SocketAddr, limit: Duration) -> io::Result<()> {
        let is_there = self.connections.iter().any(|it| it.peer == peer);
        match &mut self.own {
            Own::Udp(_) => return Ok(()),
            Own::Sctp(associations) => return associations.connect(peer, limit, &mut self.news),
            Own::Tcp(_) if is_there => return Ok(()),
            Own::Tcp(_) => {}
        }
        let stream = net::TcpStream::connect_timeout(&peer, limit)?;
        stream.set_nonblocking(true)?;
        self.add(TcpStream::from_std(stream), peer)
    }

    fn add(&mut self, mut stream: TcpStream, peer: SocketAddr) -> io::Result<()> {
        if self.connections.len() == CONNECTIONS_MAX {
            return Err(io::Error::other("too many connections"));
        }
        let token = Token(self.next_token);
        self.next_token += 1;
        stream.set_nodelay(true)?;
        self.poll
            .registry()
            .register(&mut stream, token, Interest::READABLE)?;
        self.connections.push(Connection {
            token,
            peer,
            stream,
            framer: Framer::default(),
        });
        self.news.push_back(News::Connected(peer));
        Ok(())
    }

    /// Sends a message.
    ///
    /// # Errors
    /// There is no connection, or the system refuses.
    pub fn send(&mut self, to: SocketAddr, message: &[u8]) -> io::Result<()> {
        match &mut self.own {
            Own::Udp(socket) => socket.send_to(message, to).map(drop),
            Own::Sctp(associations) => associations.send(to, message),
            Own::Tcp(_) => {
                let connection = self.connections.iter_mut().find(|it| it.peer == to);
                let connection = connection.ok_or(io::ErrorKind::NotConnected)?;
                let framed = tpkt::frame(message).ok_or(io::ErrorKind::InvalidInput)?;
                write_all(&mut connection.stream, &framed)
            }
        }
    }

    /// Waits until something happens, the waker is used, or the time is over.
    ///
    /// # Errors
    /// The system refuses.
    pub fn wait(&mut self, mut time: Duration) -> Result<(), Failure> {
        if let Own::Sctp(associations) = &mut self.own {
            self.news
                .extend(std::iter::from_fn(|| associations.poll_news()));
            time = time.min(ASSOCIATIONS_POLL);
        }
        if !self.news.is_empty() {
            return Ok(());
        }
        let cannot = |fault: io::Error| Failure::new("cannot receive").because(fault);
        match self.poll.poll(&mut self.events, Some(time)) {
            Err(fault) if fault.kind() != io::ErrorKind::Interrupted => return Err(cannot(fault)),
            _ => {}
        }
        let tokens: Vec<Token> = self.events.iter().map(|event| event.token()).collect();
        for token in tokens {
            match token {
                OWN => self.receive().map_err(cannot)?,
                WAKE => {}
                token => self.read(token),
            }
        }
        Ok(())
    }

    /// What happened next.
    pub fn poll_news(&mut self) -> Option<News> {
        self.news.pop_front()
    }

    fn receive(&mut self) -> io::Result<()> {
        loop {
            let outcome = match &self.own {
                Own::Udp(socket) => socket.recv_from(&mut self.buffer).map(|(length, from)| {
                    let message = self.buffer[..length].to_vec();
                    self.news.push_back(News::Message(from, message));
                }),
                Own::Tcp(listener) => match listener.accept() {
                    // One too many is closed at once.
                    Ok((stream, peer)) => self.add(stream, peer).or(Ok(())),
                    Err(fault) => Err(fault),
                },
                // They have no token.
                Own::Sctp(_) => return Ok(()),
            };
            match outcome.map_err(|fault| (fault.kind(), fault)) {
                Ok(()) | Err((io::ErrorKind::Interrupted, _)) => {}
                // An ICMP error for what was sent earlier: the next repetition may fare better.
                Err((io::ErrorKind::ConnectionRefused, _)) => {}
                Err((io::ErrorKind::WouldBlock, _)) => return Ok(()),
                Err((_, fault)) => return Err(fault),
            }
        }
    }

    fn read(&mut self, token: Token) {
        let Some(at) = self.connections.iter().position(|it| it.token == token) else {
            return;
        };
        let connection = &mut self.connections[at];
        let is_open = loop {
            match connection.stream.read(&mut self.buffer) {
                Ok(0) => break false,
                Ok(length) => connection.framer.push(&self.buffer[..length]),
                Err(fault) if fault.kind() == io::ErrorKind::WouldBlock => break true,
                Err(fault) if fault.kind() == io::ErrorKind::Interrupted => continue,
                Err(_) => break false,
            }
            let is_tpkt = loop {
                match connection.framer.next_message() {
                    Ok(Some(message)) => {
                        let message = News::Message(connection.peer, message.to_vec());
                        self.news.push_back(message);
                    }
                    Ok(None) => break true,
                    Err(_) => break false,
                }
            };
            if !is_tpkt {
                break false;
            }
        };
        if !is_open {
            let gone = self.connections.swap_remove(at);
            self.news.push_back(News::Closed(gone.peer));
        }
    }
}

/// Writes all of it; what a peer has no room for is written when it has.
fn write_all(stream: &mut TcpStream, mut octets: &[u8]) -> io::Result<()> {
    let start = std::time::Instant::now();
    while !octets.is_empty() {
        match stream.write(octets) {
            Ok(length) => octets = &octets[length..],
            Err(fault) if fault.kind() == io::ErrorKind::Interrupted => {}
            Err(fault) if fault.kind() != io::ErrorKind::WouldBlock => return Err(fault),
            Err(_) if start.elapsed() > SEND_TIME_MAX => return Err(io::ErrorKind::TimedOut.into()),
            Err(_) => std::thread::sleep(Duration::from_millis(1)),
        }
    }
    Ok(())
}
