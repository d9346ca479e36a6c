//! One TCP connection: what waits to be sent, and when it is done. Messages of one turn of the loop
//! are sent together.

use std::collections::VecDeque;
use std::io::{self, IoSlice, Read, Write};
use std::net::{IpAddr, Shutdown, SocketAddr};

use mio::net::TcpStream;
use mio::{Interest, Registry, Token};
use smallvec::SmallVec;

use crate::node::Payload;

/// Bytes that may wait for a slow peer; beyond it the connection is given up.
const BACKLOG_BYTES_MAX: usize = 4 << 20;

/// Bytes gathered before they are sent, about.
const GATHERED_BYTES_MAX: usize = 64 << 10;

const _: () = assert!(GATHERED_BYTES_MAX < BACKLOG_BYTES_MAX);

/// Messages sent in one operation.
const PARTS_MAX: usize = 32;

/// What Linux says of a connection that is not made at once; the standard library has no stable
/// name for it.
const EINPROGRESS: i32 = 115;

/// Reads of what a peer still sends to a connection that ends.
const IGNORED_READS_MAX: usize = 64;

/// A connection and its backlog.
pub struct Stream<B = Payload> {
    socket: TcpStream,
    token: Token,
    state: State,
    backlog: VecDeque<B>,
    /// How much of the backlog's first part has left.
    sent: usize,
    backlog_bytes: usize,
    /// Something was gathered since it was sent last.
    has_gathered: bool,
    wants_writable: bool,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum State {
    Connecting,
    Open,
    /// Close once the backlog has left.
    Closing,
}

impl<B: AsRef<[u8]>> Stream<B> {
    /// A connection that a peer made.
    pub fn accepted(socket: TcpStream) -> Self {
        Self::new(socket, State::Open)
    }

    /// Starts to connect.
    ///
    /// # Errors
    /// The system refuses at once.
    pub fn connect(peer: SocketAddr) -> io::Result<Self> {
        Ok(Self::new(TcpStream::connect(peer)?, State::Connecting))
    }

    /// Starts to connect from an address of this host.
    ///
    /// # Errors
    /// The system refuses at once.
    pub fn connect_from(local: IpAddr, peer: SocketAddr) -> io::Result<Self> {
        let domain = socket2::Domain::for_address(peer);
        let tcp = Some(socket2::Protocol::TCP);
        let socket = socket2::Socket::new(domain, socket2::Type::STREAM, tcp)?;
        socket.set_nonblocking(true)?;
        socket.bind(&SocketAddr::new(local, 0).into())?;
        match socket.connect(&peer.into()) {
            Err(fault) if fault.raw_os_error() != Some(EINPROGRESS) => return Err(fault),
            _ => {}
        }
        let socket = TcpStream::from_std(socket.into());
        Ok(Self::new(socket, State::Connecting))
    }

    fn new(socket: TcpStream, state: State) -> Self {
        // Signalling is small and urgent; a refusal costs latency only.
        let _ = socket.set_nodelay(true);
        Self {
            socket,
            token: Token(usize::MAX),
            state,
            backlog: VecDeque::new(),
            sent: 0,
            backlog_bytes: 0,
            has_gathered: false,
            wants_writable: state == State::Connecting,
        }
    }

    /// Has its readiness told under this token.
    ///
    /// # Errors
    /// The system refuses.
    pub fn register(&mut self, registry: &Registry, token: Token) -> io::Result<()> {
        self.token = token;
        let interest = self.interest();
        registry.register(&mut self.socket, token, interest)
    }

    /// Has nothing more told.
    pub fn deregister(&mut self, registry: &Registry) {
        // The descriptor is closed right after; an error changes nothing.
        let _ = registry.deregister(&mut self.socket);
    }

    /// The token that it was registered under.
    pub fn token(&self) -> Token {
        self.token
    }

    /// The connection is made.
    pub fn is_open(&self) -> bool {
        self.state != State::Connecting
    }

    /// It is closed once the backlog has left.
    pub fn is_closing(&self) -> bool {
        self.state == State::Closing
    }

    /// Closing, and everything has left.
    pub fn is_finished(&self) -> bool {
        self.state == State::Closing && self.backlog.is_empty()
    }

    /// Reads what came; `Ok(0)` says that nothing more will.
    ///
    /// # Errors
    /// Those of the socket.
    pub fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        match self.state {
            State::Connecting => Err(io::ErrorKind::WouldBlock.into()),
            State::Open | State::Closing => self.socket.read(buffer),
        }
    }

    /// False when the peer reads so slowly that no more may wait for it.
    pub fn has_room(&self, bytes: &B) -> bool {
        self.backlog_bytes + bytes.as_ref().len() <= BACKLOG_BYTES_MAX
    }

    /// Takes bytes for the next [`Stream::send`]; true when they are the first.
    pub fn gather(&mut self, bytes: B) -> bool {
        if self.state == State::Closing {
            return false;
        }
        self.backlog_bytes += bytes.as_ref().len();
        self.backlog.push_back(bytes);
        !std::mem::replace(&mut self.has_gathered, true)
    }

    /// So much was gathered that it should not wait for the end of the turn.
    pub fn has_much(&self) -> bool {
        self.has_gathered && self.backlog_bytes >= GATHERED_BYTES_MAX
    }

    /// Sends what can be sent now of what was gathered, and keeps the rest.
    ///
    /// # Errors
    /// Those of the socket: the connection is of no use any more.
    pub fn send(&mut self, registry: &Registry) -> io::Result<()> {
        self.has_gathered = false;
        if self.state != State::Connecting {
            self.flush()?;
        }
        self.update_interest(registry)
    }

    /// The socket became writable: a connection is made or refused, or there is room again.
    ///
    /// # Errors
    /// Those of the socket: the connection is of no use any more.
    pub fn handle_writable(&mut self, registry: &Registry, token: Token) -> io::Result<()> {
        debug_assert_eq!(token, self.token);
        if self.state == State::Connecting {
            if let Some(fault) = self.socket.take_error()? {
                return Err(fault);
            }
            match self.socket.peer_addr() {
                Ok(_) => self.state = State::Open,
                Err(fault) if fault.kind() == io::ErrorKind::NotConnected => return Ok(()),
                Err(fault) => return Err(fault),
            }
        }
        self.flush()?;
        self.update_interest(registry)
    }

    /// True when nothing waits and the connection can go at once.
    pub fn close_when_sent(&mut self) -> bool {
        let connecting = self.state == State::Connecting;
        self.state = State::Closing;
        connecting || self.backlog.is_empty()
    }

    /// Ends a connection on which everything has left, so that the peer reads it to its end.
    pub fn finish(&mut self) {
        // What the peer sent and nobody reads would make the kernel reset the connection.
        let mut ignored = [0; 4096];
        for _ in 0..IGNORED_READS_MAX {
            match self.socket.read(&mut ignored) {
                Ok(1..) => {}
                _ => break,
            }
        }
        // Not connected, or already gone: either way it ends here.
        let _ = self.socket.shutdown(Shutdown::Write);
    }

    fn flush(&mut self) -> io::Result<()> {
        while !self.backlog.is_empty() {
            let mut socket = &self.socket;
            let written = socket.write_vectored(&self.parts());
            match written {
                Ok(0) => return Err(io::ErrorKind::WriteZero.into()),
                Ok(written) => self.take_sent(written),
                Err(fault) if fault.kind() == io::ErrorKind::WouldBlock => return Ok(()),
                Err(fault) if fault.kind() == io::ErrorKind::Interrupted => {}
                Err(fault) => return Err(fault),
            }
        }
        Ok(())
    }

    /// What comes next of the backlog, in one operation.
    fn parts(&self) -> SmallVec<[IoSlice<'_>; PARTS_MAX]> {
        let mut sent = self.sent;
        let parts = self.backlog.iter().take(PARTS_MAX);
        // Of the first one a part may have left.
        let rest = parts.map(|bytes| &bytes.as_ref()[std::mem::take(&mut sent)..]);
        rest.map(IoSlice::new).collect()
    }

    /// So many octets of the backlog have left.
    fn take_sent(&mut self, written: usize) {
        self.backlog_bytes -= written;
        self.sent += written;
        while let Some(first) = self.backlog.front()
            && self.sent >= first.as_ref().len()
        {
            self.sent -= first.as_ref().len();
            self.backlog.pop_front();
        }
    }

    fn interest(&self) -> Interest {
        if self.wants_writable {
            Interest::READABLE | Interest::WRITABLE
        } else {
            Interest::READABLE
        }
    }

    fn update_interest(&mut self, registry: &Registry) -> io::Result<()> {
        let wants = self.state == State::Connecting || !self.backlog.is_empty();
        if wants != self.wants_writable {
            self.wants_writable = wants;
            let interest = self.interest();
            registry.reregister(&mut self.socket, self.token, interest)?;
        }
        Ok(())
    }
}
