//! A Diameter node: its peers, their connections, and the requests under way, RFC 6733 5 and 6.
//! Sans-IO.
//!
//! ```
//! use std::net::{Ipv4Addr, SocketAddr};
//!
//! use base::{Entropy, Instant};
//! use diameter::endpoint::{Config, Endpoint, Local, Output, PeerConfig};
//! use diameter::{Origin, dictionary};
//!
//! let now = Instant::from_secs(1_700_000_000);
//! let config = Config::new(
//!     Local {
//!         origin: Origin { host: "scscf1.ims.test".into(), realm: "ims.test".into() },
//!         host_ip_addresses: vec![Ipv4Addr::LOCALHOST.into()],
//!         vendor_id: 0,
//!         product_name: "example".into(),
//!         applications: vec![&dictionary::cx::DICTIONARY],
//!     },
//!     vec![PeerConfig {
//!         host: "hss1.ims.test".into(),
//!         realm: "ims.test".into(),
//!         address: Some(SocketAddr::from(([127, 0, 0, 1], 3868))),
//!         is_relay: false,
//!     }],
//! );
//! let mut endpoint = Endpoint::new(now, config, Entropy::from_u64(1));
//! assert_eq!(endpoint.next_timeout(), Some(now));
//! endpoint.handle_timeout(now);
//! while let Some(output) = endpoint.poll_output() {
//!     match output {
//!         Output::Connect { connection, address, .. } => {
//!             // Open a TCP connection; report with `handle_connected` or `handle_connect_failed`.
//!             let _ = (connection, address);
//!         }
//!         Output::Send { .. } | Output::Close { .. } => {}
//!         _ => {}
//!     }
//! }
//! ```
//!
//! After every `&mut` call drain [`Endpoint::poll_output`]. Bytes read from a connection go to
//! [`Endpoint::handle_received`] in any portions. Requests of other nodes come out checked against
//! the grammar of their command; faulty ones are answered here.
//!
//! It is no relay: a request for another host or realm is refused. It has no TLS of its own and no
//! SCTP: the caller may put either under it.

mod connection;
mod duplicates;
mod pending;
mod transition;

use std::collections::{BTreeMap, VecDeque};
use std::net::SocketAddr;
use std::time::Duration;

use base::{Entropy, Instant, TimerId, TimerQueue};

use crate::dictionary::base as common;
use crate::error::Error;
use crate::framer::Framer;
use crate::message::{CommandFlags, Header};
pub use crate::peer::capabilities::Local;
use crate::peer::capabilities::Remote;
use crate::peer::machine::Event;
pub use crate::peer::machine::State;
pub use crate::peer::watchdog::Health;
use crate::peer::watchdog::Watchdog;
use crate::reply::ReplyTo;
use crate::result::ResultCode;
use crate::writer::Writer;
pub use duplicates::{DUPLICATES_BYTES_MAX, DUPLICATES_MAX};
use duplicates::{Duplicates, Key};
use pending::Pending;

/// Connections accepted that have not yet said who they are.
pub const STRANGERS_MAX: usize = 64;

/// Requests of this node waiting for answers.
pub const PENDING_MAX: usize = 65_536;

/// Configuration of a node.
#[derive(Clone, Debug)]
pub struct Config {
    /// What the node says of itself.
    pub local: Local,
    /// Peers, in the order of preference.
    pub peers: Vec<PeerConfig>,
    /// Tw: silence after which the watchdog asks; 30 s, at least 6 s (RFC 3539 3.4.1).
    pub watchdog: Duration,
    /// Tc: pause between attempts to connect; 30 s (RFC 6733 12).
    pub reconnect: Duration,
    /// Time for connecting and exchanging capabilities, and for taking leave.
    pub setup: Duration,
    /// Time for the answer to a request, over all peers tried.
    pub request: Duration,
    /// Most peers of our own realm that are taken in without being known by configuration.
    pub guests_max: usize,
}

/// A peer known by configuration, or taken in as a guest; others are refused with
/// DIAMETER_UNKNOWN_PEER.
#[derive(Clone, Debug)]
pub struct PeerConfig {
    /// Its Origin-Host.
    pub host: String,
    /// Its Origin-Realm: requests for this realm may go to it.
    pub realm: String,
    /// Where to connect; `None` to wait for it to connect.
    pub address: Option<SocketAddr>,
    /// Takes requests for any realm (an agent, RFC 6733 2.8).
    pub is_relay: bool,
}

impl Config {
    /// The timers of the RFCs; 10 s to set up and 10 s to answer.
    pub fn new(local: Local, peers: Vec<PeerConfig>) -> Config {
        Config {
            local,
            peers,
            watchdog: Duration::from_secs(30),
            reconnect: Duration::from_secs(30),
            setup: Duration::from_secs(10),
            request: Duration::from_secs(10),
            guests_max: 0,
        }
    }
}

/// Names a peer by its place in [`Config::peers`].
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct PeerId(pub u32);

/// Names a transport connection; never given twice.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct ConnectionId(pub u64);

/// Names a request of this node; never given twice.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct RequestId(pub u64);

/// What the caller is to do or to know.
#[derive(Debug)]
pub enum Output {
    /// Open a connection.
    Connect {
        /// Name it has from now on.
        connection: ConnectionId,
        /// Whose it is.
        peer: PeerId,
        /// Where to.
        address: SocketAddr,
    },
    /// Send on a connection.
    Send {
        /// The connection.
        connection: ConnectionId,
        /// One message.
        bytes: Vec<u8>,
    },
    /// Close a connection when what was sent is out; what still comes from it is not wanted. Also
    /// comes for connections the peer closed.
    Close {
        /// The connection.
        connection: ConnectionId,
    },
    /// A peer takes messages.
    PeerUp {
        /// The peer.
        peer: PeerId,
    },
    /// A peer takes messages no more.
    PeerDown {
        /// The peer.
        peer: PeerId,
    },
    /// A request to be answered with [`Endpoint::send_answer`].
    Request {
        /// What the answer needs.
        incoming: Incoming,
        /// The request, held against its grammar.
        message: Vec<u8>,
    },
    /// The answer to a request of this node, held against its grammar.
    Answer {
        /// The request.
        request: RequestId,
        /// The answer.
        message: Vec<u8>,
    },
    /// There will be no answer to a request of this node.
    Failed {
        /// The request.
        request: RequestId,
        /// Why.
        failure: Failure,
    },
}

/// Why a request got no answer.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Failure {
    /// None came in [`Config::request`].
    Timeout,
    /// The connection was lost and no other peer could take the request.
    ConnectionLost,
    /// One came and is faulty.
    InvalidAnswer(Error),
}

/// Why a request or answer could not be sent.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum SendError {
    /// No peer that is up takes requests of this application for this host and realm.
    Undeliverable,
    /// [`PENDING_MAX`].
    Limit,
    /// The message is not one.
    Malformed(Error),
    /// The connection a request came from is no more; its sender will ask again.
    Gone,
}

/// A request received: hand it back with the answer.
#[derive(Clone, Debug)]
pub struct Incoming {
    /// Whose request it is.
    pub peer: PeerId,
    /// What the answer repeats.
    pub reply_to: ReplyTo,
    connection: ConnectionId,
    key: Key,
}

impl Incoming {
    /// The connection it came on.
    pub fn connection(&self) -> ConnectionId {
        self.connection
    }
}

/// Counts of what was dropped or refused.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct Counters {
    /// Connections beyond [`STRANGERS_MAX`].
    pub strangers_refused: u64,
    /// Connections of peers that are not configured.
    pub unknown_peers: u64,
    /// Connections closed because their bytes were no messages.
    pub streams_broken: u64,
    /// Requests answered with a fault.
    pub faulty_requests: u64,
    /// Answers that do not follow their grammar.
    pub faulty_answers: u64,
    /// Answers nobody waits for.
    pub stray_answers: u64,
    /// Requests that came again.
    pub duplicate_requests: u64,
    /// Requests of this node that went to a second peer.
    pub failovers: u64,
}

/// How a peer is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct PeerStatus {
    /// State of its connections.
    pub state: State,
    /// State of its watchdog.
    pub health: Health,
    /// Requests of this node it has not answered.
    pub pending: usize,
    /// Why it refused our last CER.
    pub refusal: Option<ResultCode>,
}

/// A Diameter node. See the module for how to drive it.
#[derive(Debug)]
pub struct Endpoint {
    config: Config,
    entropy: Entropy,
    origin_state_id: u32,
    sessions: u64,
    hop_by_hop: u32,
    end_to_end: u32,
    next_connection: u64,
    next_request: u64,
    peers: Vec<Peer>,
    connections: BTreeMap<ConnectionId, Connection>,
    strangers: usize,
    /// Peers beyond those of the configuration.
    guests: usize,
    pending: Pending,
    duplicates: Duplicates,
    timers: TimerQueue<Timer>,
    outputs: VecDeque<Output>,
    counters: Counters,
    stopped: bool,
}

/// What changes about a peer.
#[derive(Debug)]
struct Peer {
    state: State,
    watchdog: Watchdog,
    /// I: the connection this node opened.
    initiator: Option<ConnectionId>,
    /// R: the connection the peer opened, and its CER until it is answered.
    responder: Option<ConnectionId>,
    cer: Option<ReplyTo>,
    remote: Option<Remote>,
    /// Identifiers of the CER, DWR or DPR under way.
    cer_sent: u32,
    dwr_sent: u32,
    dpr_sent: u32,
    /// May be connected to without being asked.
    wanted: bool,
    /// Result-Code of a CEA that was no success.
    refusal: Option<ResultCode>,
    state_timer: Option<TimerId>,
    watchdog_timer: Option<TimerId>,
}

#[derive(Debug)]
struct Connection {
    framer: Framer,
    /// Whose it is; a stranger's until its CER names one.
    peer: Option<PeerId>,
    /// Ends the wait for a stranger's CER.
    timer: Option<TimerId>,
}

#[derive(Clone, Copy, Debug)]
enum Timer {
    /// The state of a peer lasted too long, or it is time to connect.
    State(PeerId),
    /// Tw.
    Watchdog(PeerId),
    /// A stranger sent no CER.
    Stranger(ConnectionId),
    /// A request was not answered.
    Request(RequestId),
}

impl Peer {
    fn new() -> Peer {
        Peer {
            state: State::Closed,
            watchdog: Watchdog::new(),
            initiator: None,
            responder: None,
            cer: None,
            remote: None,
            cer_sent: 0,
            dwr_sent: 0,
            dpr_sent: 0,
            wanted: true,
            refusal: None,
            state_timer: None,
            watchdog_timer: None,
        }
    }

    /// The connection messages go over while the peer is open or closing.
    fn connection(&self) -> Option<ConnectionId> {
        match self.state {
            State::IOpen => self.initiator,
            State::ROpen => self.responder,
            _ => self.initiator.or(self.responder),
        }
    }
}

/// Disconnect-Cause REBOOTING, RFC 6733 5.4.3.
const REBOOTING: u32 = 0;

impl Endpoint {
    /// A node that connects to its peers at the next [`Endpoint::handle_timeout`].
    ///
    /// `now` and `entropy` are what identifiers start from, so that a restart repeats none: `now`
    /// must be Unix time, as its seconds are Origin-State-Id.
    pub fn new(now: Instant, config: Config, mut entropy: Entropy) -> Endpoint {
        let mut timers = TimerQueue::new();
        let mut peers: Vec<Peer> = config.peers.iter().map(|_| Peer::new()).collect();
        for (index, (peer, known)) in peers.iter_mut().zip(&config.peers).enumerate() {
            if known.address.is_some() {
                peer.state_timer = Some(timers.set(now, Timer::State(PeerId(index as u32))));
            }
        }
        let seconds = now.as_secs() as u32;
        Endpoint {
            origin_state_id: seconds,
            sessions: u64::from(seconds) << 32,
            hop_by_hop: entropy.next_u32(),
            // RFC 6733 3: the low twelve bits of the time, then twenty random ones.
            end_to_end: seconds << 20 | entropy.next_u32() >> 12,
            next_connection: 0,
            next_request: 0,
            config,
            entropy,
            peers,
            connections: BTreeMap::new(),
            strangers: 0,
            guests: 0,
            pending: Pending::default(),
            duplicates: Duplicates::default(),
            timers,
            outputs: VecDeque::new(),
            counters: Counters::default(),
            stopped: false,
        }
    }

    /// What to do next; `None` when all is done.
    pub fn poll_output(&mut self) -> Option<Output> {
        self.outputs.pop_front()
    }

    /// When to call [`Endpoint::handle_timeout`].
    pub fn next_timeout(&self) -> Option<Instant> {
        self.timers.next_timeout()
    }

    /// Does what is due at `now`.
    pub fn handle_timeout(&mut self, now: Instant) {
        while let Some(timer) = self.timers.pop_due(now) {
            match timer {
                Timer::State(peer) => self.state_timer_ended(now, peer),
                Timer::Watchdog(peer) => self.watchdog_ended(now, peer),
                Timer::Stranger(connection) => self.drop_connection(connection),
                Timer::Request(request) => self.request_ended(request),
            }
        }
    }

    /// A new Session-Id, RFC 6733 8.8.
    pub fn session_id(&mut self) -> String {
        self.sessions += 1;
        let (high, low) = (self.sessions >> 32, self.sessions as u32);
        format!("{};{high};{low}", self.config.local.origin.host)
    }

    /// What the node was configured with.
    pub fn config(&self) -> &Config {
        &self.config
    }

    /// How a peer is; `None` for one that is not configured.
    pub fn peer(&self, peer: PeerId) -> Option<PeerStatus> {
        let state = self.peers.get(peer.0 as usize)?;
        Some(PeerStatus {
            state: state.state,
            health: state.watchdog.health(),
            pending: self.pending.of_peer(peer).count(),
            refusal: state.refusal,
        })
    }

    /// What was dropped or refused so far.
    pub fn counters(&self) -> Counters {
        self.counters
    }

    /// Takes leave of all peers with DPR (RFC 6733 5.4); connects and accepts no more.
    pub fn stop(&mut self, now: Instant) {
        self.stopped = true;
        let strangers = self
            .connections
            .iter()
            .filter(|(_, open)| open.peer.is_none());
        let strangers: Vec<ConnectionId> = strangers.map(|(&id, _)| id).collect();
        for connection in strangers {
            self.drop_connection(connection);
        }
        for index in 0..self.peers.len() {
            let peer = PeerId(index as u32);
            self.peers[index].wanted = false;
            self.step(now, peer, Event::Stop);
        }
    }

    fn state_timer_ended(&mut self, now: Instant, peer: PeerId) {
        let state = &mut self.peers[peer.0 as usize];
        state.state_timer = None;
        let event = match state.state {
            State::Closed if !state.wanted => return,
            State::Closed => Event::Start,
            _ => Event::Timeout,
        };
        self.step(now, peer, event);
    }

    fn next_hop_by_hop(&mut self) -> u32 {
        self.hop_by_hop = self.hop_by_hop.wrapping_add(1);
        self.hop_by_hop
    }

    fn next_end_to_end(&mut self) -> u32 {
        self.end_to_end = self.end_to_end.wrapping_add(1);
        self.end_to_end
    }

    /// Sends a request of the base protocol and returns its Hop-by-Hop Identifier.
    fn send_base_request(
        &mut self,
        connection: ConnectionId,
        command: u32,
        fill: impl FnOnce(&Local, u32, &mut Writer),
    ) -> u32 {
        let hop_by_hop = self.next_hop_by_hop();
        let end_to_end = self.next_end_to_end();
        let mut writer = Writer::new(Header {
            flags: CommandFlags(CommandFlags::REQUEST),
            command,
            application: common::APPLICATION_ID,
            hop_by_hop,
            end_to_end,
        });
        fill(&self.config.local, self.origin_state_id, &mut writer);
        self.send(connection, writer.finish());
        hop_by_hop
    }

    /// Answers a request of the base protocol that is in order.
    fn send_base_answer(&mut self, connection: ConnectionId, reply_to: &ReplyTo) {
        let mut writer = reply_to.answer();
        writer.u32(&common::RESULT_CODE, ResultCode::SUCCESS.0);
        match reply_to.header().command {
            common::CAPABILITIES_EXCHANGE => {
                self.config.local.write(&mut writer, self.origin_state_id);
            }
            command => {
                writer.text(&common::ORIGIN_HOST, &self.config.local.origin.host);
                writer.text(&common::ORIGIN_REALM, &self.config.local.origin.realm);
                if command == common::DEVICE_WATCHDOG {
                    writer.u32(&common::ORIGIN_STATE_ID, self.origin_state_id);
                }
            }
        }
        self.send(connection, reply_to.finish(writer));
    }

    /// Answers with a fault or refusal.
    fn send_error(&mut self, connection: ConnectionId, reply_to: &ReplyTo, error: &Error) {
        let origin = &self.config.local.origin;
        let application = self.config.local.application(reply_to.header().application);
        self.send(connection, reply_to.error(origin, error, application));
    }

    fn send_result(&mut self, connection: ConnectionId, reply_to: &ReplyTo, result: ResultCode) {
        let origin = &self.config.local.origin;
        let application = self.config.local.application(reply_to.header().application);
        self.send(connection, reply_to.result(origin, result, application));
    }

    /// Queues a message. One that exceeds the limit for messages is not sent: its sender runs into
    /// its timer.
    fn send(&mut self, connection: ConnectionId, message: Result<Vec<u8>, Error>) {
        if let Ok(bytes) = message {
            self.outputs.push_back(Output::Send { connection, bytes });
        }
    }
}
