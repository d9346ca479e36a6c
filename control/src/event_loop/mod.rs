//! The event loop: one thread that owns every socket of the control process and drives the
//! [`Node`].
//!
//! Each turn: wait for readiness or the next timer, take at most `DATAGRAMS_PER_TURN_MAX` datagrams
//! and `READS_PER_TURN_MAX` reads a socket, serve SIP messages for at most `SERVE_MAX`, refuse what
//! has waited too long, fire due timers, and do what the node asks in between. What goes out on
//! streams and to the other threads is gathered, and leaves at the end of the turn. Sockets that
//! still have something to read keep their place for the next turn, which then does not wait.
//!
//! SIP is read faster than it can be served, so that what waits does so in the node, which knows
//! what is worth more, and not in the system's buffers, which do not. Where even the node has no
//! room, SIP is not read: a stream's peer is held back, datagrams are lost. Media gateways,
//! Diameter peers, the store and name servers only answer what was begun here, and are served when
//! read.

mod ready;
mod sctp;
mod stop;
mod stream;

use std::collections::{HashMap, VecDeque};
use std::fs::File;
use std::io;
use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::mpsc::Receiver;
use std::time::Duration;

use base::Instant;
use h248::transport::sctp::is_h248;
use mio::net::{TcpListener, UdpSocket};
use mio::{Events, Interest, Poll, Registry, Token, Waker};
use tracing::{info, warn};
use usrsctp::{Endpoint, Event, POLL_AFTER};

use crate::admin;
use crate::clock::Clock;
use crate::journal::JournalThread;
use crate::node::{Input, Node, Output, Payload, Service, Socket, StreamId};
use crate::store::{Outcome, Refusal, StoreThread};
use ready::Ready;
use sctp::Associations;
use stop::Ending;
pub use stop::StopHandle;
pub use stream::Stream;

/// Datagrams read from one socket before the others have their turn: what comes in the time that
/// messages are served, at 200 000 a second.
const DATAGRAMS_PER_TURN_MAX: usize = 256;
/// How long SIP messages are served before sockets are read again: less than their buffers hold.
const SERVE_MAX: Duration = Duration::from_millis(1);
/// Reads from one stream, and connections taken from one listener, before the others have their
/// turn.
const READS_PER_TURN_MAX: usize = 16;
/// Outcomes and admin requests taken from the other threads in one turn.
const MESSAGES_PER_TURN_MAX: usize = 256;
/// Streams open at once; beyond it new ones are closed as soon as they are accepted.
const STREAMS_MAX: usize = 65_536;
/// The largest datagram, and the size of one stream read.
const READ_BYTES_MAX: usize = 65_535;
/// Receive buffer asked for on UDP sockets: bursts of calls must not be lost while one is handled.
const UDP_RECEIVE_BUFFER_BYTES: usize = 8 << 20;

/// How long a stream on which nothing more comes is kept for what came before to be answered.
const ENDED_MAX: Duration = Duration::from_secs(1);
/// How long a stream that is to be closed may take to send what waits on it.
const CLOSING_MAX: Duration = Duration::from_secs(30);

const WAKER: Token = Token(0);
const FIRST_FREE: usize = 1;

/// Listening sockets of a control process, opened before anything else so that errors are told at
/// start.
pub struct Sockets {
    udp: Vec<(Socket, UdpSocket)>,
    tcp: Vec<(Service, TcpListener)>,
}

impl Sockets {
    /// Nothing bound yet.
    pub const fn new() -> Self {
        Self {
            udp: Vec::new(),
            tcp: Vec::new(),
        }
    }

    /// Binds a datagram socket.
    ///
    /// # Errors
    /// The system's error, with the address and what to do.
    pub fn bind_udp(&mut self, socket: Socket, address: SocketAddr) -> io::Result<()> {
        let bound = open_udp(address).map_err(|fault| explain(fault, "UDP", address))?;
        self.udp.push((socket, bound));
        Ok(())
    }

    /// Binds a listener for streams.
    ///
    /// # Errors
    /// The system's error, with the address and what to do.
    pub fn bind_tcp(&mut self, service: Service, address: SocketAddr) -> io::Result<()> {
        let bound = open_tcp(address).map_err(|fault| explain(fault, "TCP", address))?;
        self.tcp.push((service, bound));
        Ok(())
    }
}

impl Default for Sockets {
    fn default() -> Self {
        Self::new()
    }
}

fn open_udp(address: SocketAddr) -> io::Result<UdpSocket> {
    let domain = socket2::Domain::for_address(address);
    let socket = socket2::Socket::new(domain, socket2::Type::DGRAM, Some(socket2::Protocol::UDP))?;
    if address.is_ipv6() {
        socket.set_only_v6(true)?;
    }
    // The kernel grants what net.core.rmem_max allows; less is no reason not to start.
    let _ = socket.set_recv_buffer_size(UDP_RECEIVE_BUFFER_BYTES);
    let _ = socket.set_send_buffer_size(UDP_RECEIVE_BUFFER_BYTES);
    socket.set_nonblocking(true)?;
    socket.bind(&address.into())?;
    Ok(UdpSocket::from_std(socket.into()))
}

fn open_tcp(address: SocketAddr) -> io::Result<TcpListener> {
    let domain = socket2::Domain::for_address(address);
    let socket = socket2::Socket::new(domain, socket2::Type::STREAM, Some(socket2::Protocol::TCP))?;
    if address.is_ipv6() {
        socket.set_only_v6(true)?;
    }
    socket.set_reuse_address(true)?;
    socket.set_nonblocking(true)?;
    socket.bind(&address.into())?;
    socket.listen(1024)?;
    Ok(TcpListener::from_std(socket.into()))
}

fn explain(fault: io::Error, protocol: &str, address: SocketAddr) -> io::Error {
    let remedy = match fault.kind() {
        io::ErrorKind::AddrInUse => "another process listens there: stop it or choose another port",
        io::ErrorKind::AddrNotAvailable => "no interface of this host has that address",
        io::ErrorKind::PermissionDenied => "ports below 1024 need privileges: choose a higher one",
        _ => "check the address",
    };
    io::Error::new(
        fault.kind(),
        format!("cannot listen on {protocol} {address}: {fault}; {remedy}"),
    )
}

/// The loop with everything it owns.
pub struct EventLoop {
    poll: Poll,
    clock: Clock,
    node: Node,
    udp: Vec<UdpPort>,
    listeners: Vec<(Service, TcpListener)>,
    streams: HashMap<StreamId, Stream>,
    tokens: HashMap<Token, StreamId>,
    token_next: usize,
    readable: Ready,
    /// Streams for which something was gathered to be sent.
    gathered: Vec<StreamId>,
    /// Streams on which nothing more comes, and until when what came may wait to be served.
    ended: VecDeque<(Instant, StreamId)>,
    /// Streams that still send before they close, and how long they may.
    closing: VecDeque<(Instant, StreamId)>,
    /// Given up for a moment when the process has no more descriptors, so that peers are turned
    /// away rather than left waiting.
    spare: Option<File>,
    /// The other threads may have sent more than was taken.
    has_messages: bool,
    buffer: Box<[u8]>,
    store: Option<StoreThread>,
    journal: Option<JournalThread>,
    sctp: Option<Associations>,
    admin: Receiver<admin::Envelope>,
    admin_replies: HashMap<u64, admin::ReplySender>,
    admin_next: u64,
    ending: Ending,
}

struct UdpPort {
    socket: Socket,
    port: UdpSocket,
}

impl EventLoop {
    /// Puts the loop together. `store` and `admin` are the near ends of the store thread, if this
    /// process has one, and of the admin thread.
    ///
    /// # Errors
    /// The system refuses a poll or a registration.
    pub fn new(
        poll: Poll,
        waker: Arc<Waker>,
        clock: Clock,
        node: Node,
        sockets: Sockets,
        store: Option<StoreThread>,
        admin: Receiver<admin::Envelope>,
    ) -> io::Result<Self> {
        let drain = node.drain_time();
        let mut udp = Vec::new();
        let mut token_next = FIRST_FREE;
        for (socket, mut port) in sockets.udp {
            poll.registry()
                .register(&mut port, Token(token_next), Interest::READABLE)?;
            token_next += 1;
            udp.push(UdpPort { socket, port });
        }
        let mut listeners = Vec::new();
        for (service, mut listener) in sockets.tcp {
            poll.registry()
                .register(&mut listener, Token(token_next), Interest::READABLE)?;
            token_next += 1;
            listeners.push((service, listener));
        }
        Ok(Self {
            poll,
            clock,
            node,
            udp,
            listeners,
            streams: HashMap::new(),
            tokens: HashMap::new(),
            token_next,
            readable: Ready::default(),
            gathered: Vec::new(),
            ended: VecDeque::new(),
            closing: VecDeque::new(),
            spare: spare(),
            has_messages: false,
            buffer: vec![0; READ_BYTES_MAX].into(),
            store,
            journal: None,
            sctp: None,
            admin,
            admin_replies: HashMap::new(),
            admin_next: 0,
            ending: Ending::new(StopHandle::new(waker), drain),
        })
    }

    /// Has what the node keeps written.
    pub fn set_journal(&mut self, journal: JournalThread) {
        self.journal = Some(journal);
        self.perform_outputs();
    }

    /// Has gateways associated at this endpoint, which wakes the loop.
    pub fn set_sctp(&mut self, endpoint: Endpoint) {
        self.sctp = Some(Associations::new(endpoint));
    }

    /// The token under which the waker of the other threads is registered.
    pub const fn waker_token() -> Token {
        WAKER
    }

    /// A handle to end the loop with.
    pub fn stop_handle(&self) -> StopHandle {
        self.ending.handle()
    }

    /// Runs until stopped.
    ///
    /// # Errors
    /// The system's poll fails, or the store thread ended: nothing can be acknowledged any more.
    pub fn run(&mut self) -> io::Result<()> {
        let mut events = Events::with_capacity(1024);
        while !self.ending.advance(self.clock.now(), &mut self.node) {
            self.perform_outputs();
            self.hand_over();
            self.wait(&mut events)?;
            for event in &events {
                if event.token() == WAKER {
                    continue;
                }
                if event.is_writable() {
                    self.handle_writable(event.token());
                }
                if event.is_readable() || event.is_read_closed() || event.is_error() {
                    self.readable.push(event.token());
                }
            }
            self.take_messages()?;
            self.take_associations();
            for _ in 0..self.readable.len() {
                let Some(token) = self.readable.pop() else {
                    break;
                };
                if self.read(token) {
                    self.readable.push(token);
                }
            }
            self.serve();
            let now = self.clock.now();
            self.end_streams(now);
            self.give_up_closing(now);
            self.node.handle_timeout(now);
            self.perform_outputs();
        }
        self.perform_outputs();
        self.hand_over();
        if let Some(sctp) = self.sctp.take() {
            sctp.end();
        }
        info!("control stopped");
        Ok(())
    }

    /// Serves SIP messages, those worth most first, for as long as sockets can be left alone.
    fn serve(&mut self) {
        let mut now = self.clock.now();
        let end = now + SERVE_MAX;
        while now < end && self.node.serve(now) {
            self.perform_outputs();
            now = self.clock.now();
        }
        self.node.refuse_late(now);
        self.perform_outputs();
    }

    /// Gives peers on streams and the other threads what the turn has come to for them.
    fn hand_over(&mut self) {
        self.send_gathered();
        if let Some(store) = &mut self.store {
            store.flush();
        }
        if let Some(journal) = &mut self.journal
            && !journal.flush()
        {
            self.node.count_journal_dropped();
        }
    }

    fn wait(&mut self, events: &mut Events) -> io::Result<()> {
        let has_news = self.sctp.as_ref().is_some_and(Associations::has_news);
        let is_idle = self.readable.is_empty() && !self.node.has_waiting() && !has_news;
        let timeout = if is_idle && !self.has_messages {
            let closing = self.closing.front().map(|&(at, _)| at);
            let other = closing.into_iter().chain(self.ending.next_timeout());
            let next = self.node.next_timeout().into_iter().chain(other).min();
            let next = next.map(|at| at - self.clock.now());
            let poll = self.sctp.as_ref().map(|_| POLL_AFTER);
            next.into_iter().chain(poll).min()
        } else {
            Some(Duration::ZERO)
        };
        match self.poll.poll(events, timeout) {
            Err(fault) if fault.kind() == io::ErrorKind::Interrupted => Ok(()),
            other => other,
        }
    }

    /// Takes what the other threads sent.
    fn take_messages(&mut self) -> io::Result<()> {
        let journal = self.journal.as_mut();
        if journal.is_some_and(JournalThread::take_wants_all) {
            let now = self.clock.now();
            self.node.keep_all(now);
            self.perform_outputs();
        }
        self.has_messages = self.take_outcomes()? | self.take_requests();
        Ok(())
    }

    /// Takes what came over SCTP.
    fn take_associations(&mut self) {
        for _ in 0..MESSAGES_PER_TURN_MAX {
            let Some(sctp) = &mut self.sctp else {
                return;
            };
            let Some(event) = sctp.poll_event() else {
                return;
            };
            self.handle_association(event);
            self.perform_outputs();
        }
    }

    fn handle_association(&mut self, event: Event) {
        let Some(sctp) = &mut self.sctp else {
            return;
        };
        let now = self.clock.now();
        match event {
            Event::Up {
                association, peers, ..
            } => {
                let peer = peers.first().map(ToString::to_string).unwrap_or_default();
                info!(peer, paths = peers.len(), "SCTP association");
                let stream = self.node.handle_associated(now, peers);
                sctp.name(association, stream, peer);
            }
            // The gateway knows nothing of what was under way: it is as if it had gone.
            Event::Restarted { association, peers } => {
                let peer = peers.first().map(ToString::to_string).unwrap_or_default();
                info!(peer, "SCTP association restarted");
                let stream = self.node.handle_associated(now, peers);
                if let Some(before) = sctp.name(association, stream, peer) {
                    self.node.offer(now, Input::Closed(before));
                }
            }
            Event::Message {
                association,
                ppid,
                message,
                ..
            } => match sctp.stream(association) {
                Some(stream) if is_h248(ppid) => {
                    let bytes = &message;
                    self.node.offer(now, Input::Received { stream, bytes });
                }
                _ => self.node.count_foreign_payload(),
            },
            // Logged where it came from.
            Event::Path { .. } => {}
            Event::Down {
                association,
                reason,
            } => {
                if let Some((stream, peer)) = sctp.remove(association) {
                    info!(peer, %reason, "SCTP association gone");
                    self.node.offer(now, Input::Closed(stream));
                }
            }
        }
    }

    /// True when more may be waiting.
    fn take_outcomes(&mut self) -> io::Result<bool> {
        for _ in 0..MESSAGES_PER_TURN_MAX {
            let Some(store) = &mut self.store else {
                return Ok(false);
            };
            let Some((id, outcome)) = store.poll_outcome() else {
                return if store.is_dead() {
                    let text = "the store thread ended; see its error above";
                    Err(io::Error::other(text))
                } else {
                    Ok(false)
                };
            };
            self.feed(Input::Store { id, outcome });
        }
        Ok(true)
    }

    /// True when more may be waiting.
    fn take_requests(&mut self) -> bool {
        for _ in 0..MESSAGES_PER_TURN_MAX {
            let Ok(envelope) = self.admin.try_recv() else {
                return false;
            };
            let id = self.admin_next;
            self.admin_next += 1;
            self.admin_replies.insert(id, envelope.reply);
            self.feed(Input::Admin {
                id,
                request: envelope.request,
            });
        }
        true
    }

    /// Reads one socket; true when more may be waiting.
    fn read(&mut self, token: Token) -> bool {
        let Some(index) = token.0.checked_sub(FIRST_FREE) else {
            return false;
        };
        if index < self.udp.len() {
            return self.read_datagrams(index);
        }
        if index - self.udp.len() < self.listeners.len() {
            return self.accept(index - self.udp.len());
        }
        self.read_stream(token)
    }

    fn read_datagrams(&mut self, index: usize) -> bool {
        for _ in 0..DATAGRAMS_PER_TURN_MAX {
            let UdpPort { socket, port } = &self.udp[index];
            if matches!(socket, Socket::Sip(_)) && !self.node.has_room() {
                return true;
            }
            match port.recv_from(&mut self.buffer) {
                Ok((length, source)) => {
                    let socket = *socket;
                    let now = self.clock.now();
                    let bytes = &self.buffer[..length];
                    self.node.offer(
                        now,
                        Input::Datagram {
                            socket,
                            source,
                            bytes,
                        },
                    );
                    self.perform_outputs();
                }
                Err(fault) if fault.kind() == io::ErrorKind::WouldBlock => return false,
                // An ICMP error for something sent earlier; the transaction timers tell.
                Err(_) => {}
            }
        }
        true
    }

    fn accept(&mut self, index: usize) -> bool {
        for _ in 0..READS_PER_TURN_MAX {
            let (service, listener) = &self.listeners[index];
            let service = *service;
            match listener.accept() {
                Ok((socket, peer)) => {
                    if self.streams.len() >= STREAMS_MAX {
                        self.node.count_stream_refused();
                        continue;
                    }
                    let now = self.clock.now();
                    let id = self.node.handle_accepted(now, service, peer);
                    self.adopt(id, Stream::accepted(socket));
                    self.perform_outputs();
                }
                Err(fault) => match fault.kind() {
                    io::ErrorKind::WouldBlock => return false,
                    // The peer has thought better of it; the next one has not.
                    io::ErrorKind::ConnectionAborted | io::ErrorKind::Interrupted => {}
                    _ => {
                        warn!(error = %fault, "a connection could not be accepted");
                        self.turn_away(index);
                    }
                },
            }
        }
        true
    }

    /// Closes the connection that waits first, for which there is no descriptor.
    fn turn_away(&mut self, index: usize) {
        if self.spare.take().is_some() && self.listeners[index].1.accept().is_ok() {
            self.node.count_stream_refused();
        }
        self.spare = spare();
    }

    fn adopt(&mut self, id: StreamId, mut stream: Stream) {
        let token = Token(self.token_next);
        self.token_next += 1;
        match stream.register(self.poll.registry(), token) {
            Ok(()) => {
                self.tokens.insert(token, id);
                self.streams.insert(id, stream);
            }
            Err(fault) => {
                warn!(error = %fault, "a connection could not be registered");
                let now = self.clock.now();
                self.node.offer(now, Input::Closed(id));
            }
        }
    }

    fn read_stream(&mut self, token: Token) -> bool {
        let Some(&id) = self.tokens.get(&token) else {
            return false;
        };
        for _ in 0..READS_PER_TURN_MAX {
            if matches!(self.node.service_of(id), Some(Service::Sip(_))) && !self.node.has_room() {
                return true;
            }
            let Some(stream) = self.streams.get_mut(&id) else {
                return false;
            };
            match stream.read(&mut self.buffer) {
                Ok(0) => {
                    self.ended.push_back((self.clock.now() + ENDED_MAX, id));
                    return false;
                }
                Ok(length) => {
                    let now = self.clock.now();
                    let bytes = &self.buffer[..length];
                    self.node.offer(now, Input::Received { stream: id, bytes });
                    self.perform_outputs();
                }
                Err(fault) if fault.kind() == io::ErrorKind::WouldBlock => return false,
                Err(fault) if fault.kind() == io::ErrorKind::Interrupted => {}
                Err(_) => {
                    self.drop_stream(id);
                    return false;
                }
            }
        }
        true
    }

    fn handle_writable(&mut self, token: Token) {
        let Some(&id) = self.tokens.get(&token) else {
            return;
        };
        let Some(stream) = self.streams.get_mut(&id) else {
            return;
        };
        let was_open = stream.is_open();
        if stream.handle_writable(self.poll.registry(), token).is_err() {
            self.drop_stream(id);
        } else if stream.is_finished() {
            stream.finish();
            self.forget(id);
        } else if !was_open && stream.is_open() {
            self.feed(Input::Connected(id));
        }
    }

    /// Ends streams on which nothing more comes, once what came has been served.
    fn end_streams(&mut self, now: Instant) {
        while let Some(&(at, id)) = self.ended.front() {
            if at > now && self.node.has_waiting() {
                break;
            }
            self.ended.pop_front();
            self.end_stream(id);
        }
    }

    /// The peer sends nothing more; it may still read what waits for it.
    fn end_stream(&mut self, id: StreamId) {
        let stream = self.streams.get(&id);
        if stream.is_none_or(|stream| stream.is_closing()) {
            return;
        }
        self.close(id);
        self.feed(Input::Closed(id));
    }

    fn drop_stream(&mut self, id: StreamId) {
        if let Some(stream) = self.forget(id)
            && !stream.is_closing()
        {
            self.feed(Input::Closed(id));
        }
    }

    /// Streams whose peers do not read what is to be sent before the end.
    fn give_up_closing(&mut self, now: Instant) {
        while let Some(&(at, id)) = self.closing.front() {
            if at > now {
                break;
            }
            self.closing.pop_front();
            self.forget(id);
        }
    }

    fn forget(&mut self, id: StreamId) -> Option<Stream> {
        let mut stream = self.streams.remove(&id)?;
        stream.deregister(self.poll.registry());
        self.tokens.remove(&stream.token());
        Some(stream)
    }

    fn feed(&mut self, input: Input<'_>) {
        let now = self.clock.now();
        self.node.offer(now, input);
        self.perform_outputs();
    }

    /// Does what the node asks until it asks for nothing more.
    fn perform_outputs(&mut self) {
        while let Some(output) = self.node.poll_output() {
            match output {
                Output::Datagram {
                    socket,
                    destination,
                    bytes,
                } => {
                    self.send_datagram(socket, destination, bytes.as_ref());
                }
                Output::Connect {
                    stream,
                    service,
                    peer,
                } => self.connect(stream, service, peer),
                Output::Send { stream, bytes } => self.send_on_stream(stream, bytes),
                Output::Close(id) => self.close(id),
                Output::Store { id, operation } => {
                    let store = self.store.as_mut();
                    let taken = store.is_some_and(|store| store.submit(id, operation).is_ok());
                    if !taken {
                        let now = self.clock.now();
                        let outcome = Outcome::Refused(Refusal::Busy);
                        self.node.offer(now, Input::Store { id, outcome });
                    }
                }
                Output::Journal(records) => {
                    if let Some(journal) = &mut self.journal {
                        journal.gather(records);
                    }
                }
                Output::Admin { id, mut reply } => {
                    if let admin::Reply::Status(status) = &mut reply {
                        status.journal = self.journal.as_ref().map(JournalThread::status);
                        let sctp = self.sctp.as_ref();
                        status.h248_paths = sctp.map(Associations::paths).unwrap_or_default();
                    }
                    if let Some(sender) = self.admin_replies.remove(&id) {
                        // The asker may have gone away meanwhile.
                        let _ = sender.send(reply);
                    }
                }
            }
        }
    }

    fn send_datagram(&mut self, socket: Socket, destination: SocketAddr, bytes: &[u8]) {
        let Some(UdpPort { port, .. }) = self.udp.iter().find(|udp| udp.socket == socket) else {
            return;
        };
        if port.send_to(bytes, destination).is_err() {
            self.node.count_datagram_unsent();
        }
    }

    fn connect(&mut self, id: StreamId, _service: Service, peer: SocketAddr) {
        let has_room = self.streams.len() < STREAMS_MAX;
        match has_room.then(|| Stream::connect(peer)) {
            Some(Ok(stream)) => self.adopt(id, stream),
            _ => {
                let now = self.clock.now();
                self.node.offer(now, Input::Closed(id));
            }
        }
    }

    fn send_on_stream(&mut self, id: StreamId, bytes: Payload) {
        if let Some(sctp) = &mut self.sctp
            && sctp.send(id, bytes.as_ref())
        {
            return;
        }
        let Some(stream) = self.streams.get_mut(&id) else {
            return;
        };
        let has_room = stream.has_room(&bytes);
        if !has_room {
            self.node.count_stream_slow();
        }
        if has_room && stream.gather(bytes) {
            self.gathered.push(id);
        }
        let has_failed = stream.has_much() && stream.send(self.poll.registry()).is_err();
        if (!has_room || has_failed)
            && let Some(stream) = self.forget(id)
            && !stream.is_closing()
        {
            let now = self.clock.now();
            self.node.offer(now, Input::Closed(id));
        }
    }

    /// Sends what was gathered for streams, and what follows from their ends.
    fn send_gathered(&mut self) {
        while !self.gathered.is_empty() {
            for id in std::mem::take(&mut self.gathered) {
                let Some(stream) = self.streams.get_mut(&id) else {
                    continue;
                };
                if stream.send(self.poll.registry()).is_err() {
                    self.drop_stream(id);
                } else if stream.is_finished() {
                    stream.finish();
                    self.forget(id);
                }
            }
        }
    }

    fn close(&mut self, id: StreamId) {
        if let Some(sctp) = &mut self.sctp
            && sctp.close(id)
        {
            return;
        }
        let Some(stream) = self.streams.get_mut(&id) else {
            return;
        };
        if stream.close_when_sent() {
            stream.finish();
            self.forget(id);
        } else {
            self.closing.push_back((self.clock.now() + CLOSING_MAX, id));
        }
    }
}

/// A descriptor to give up when there are no more.
fn spare() -> Option<File> {
    File::open("/dev/null").ok()
}

/// Registers the waker of the other threads.
///
/// # Errors
/// The system refuses an event descriptor.
pub fn waker(registry: &Registry) -> io::Result<Arc<Waker>> {
    Ok(Arc::new(Waker::new(registry, WAKER)?))
}

#[cfg(test)]
mod tests;
