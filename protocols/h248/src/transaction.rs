//! Transactions between two entities, clause 8 and Annex D.1: an engine for MG and MGC alike.
//!
//! [`Endpoint`] executes each request at most once, repeats what is lost where the transport loses,
//! answers late with TransactionPending, acknowledges replies, and puts transactions queued in one
//! turn into one message.
//!
//! ```
//! use base::{Entropy, Instant};
//! use h248::message::{
//!     ActionReply, ActionRequest, AmmsReply, AuditDescriptor, AuditRequest, Command, CommandReply,
//!     ContextId, Mid, ReplyBody, TransactionId,
//! };
//! use h248::transaction::{Config, Endpoint, Output};
//!
//! let (mg, mgc) = ("192.0.2.1:2944".parse().unwrap(), "192.0.2.2:2944".parse().unwrap());
//! let endpoint = |address| {
//!     let config = Config::new(Mid::from(address), TransactionId(1));
//!     Endpoint::<u32>::new(config, Entropy::from_u64(7))
//! };
//! let (mut gateway, mut controller) = (endpoint(mg), endpoint(mgc));
//! let now = Instant::ZERO;
//!
//! let audit = Command::AuditValue(AuditRequest::new("ROOT", AuditDescriptor::default()));
//! let action = ActionRequest::new(ContextId::Null, vec![audit.into()]);
//! controller.send_request(now, mg, vec![action], 42).unwrap();
//! let Some(Output::Transmit { bytes, .. }) = controller.poll_output() else { panic!() };
//!
//! gateway.handle_input(now, mgc, &bytes);
//! let Some(Output::Request { handle, .. }) = gateway.poll_output() else { panic!() };
//! let audited = CommandReply::Add(AmmsReply::new("ROOT", Vec::new()));
//! let body = ReplyBody::Actions(vec![ActionReply::new(ContextId::Null, vec![audited])]);
//! gateway.reply(now, handle, body).unwrap();
//! let Some(Output::Transmit { bytes, .. }) = gateway.poll_output() else { panic!() };
//!
//! controller.handle_input(now, mg, &bytes);
//! assert!(matches!(controller.poll_output(), Some(Output::Reply { token: 42, .. })));
//! ```

mod incoming;
mod outgoing;
mod peer;
mod segment;

use std::collections::{BTreeMap, VecDeque};
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use base::{Entropy, Instant, TimerId, TimerQueue};

use crate::binary::Naming;
use crate::encoding::{
    BadTransaction, Encoding, MESSAGE_LEN_MAX, Parsed, ParsedBody, SyntaxError, TransactionKind,
};
use crate::error::ErrorCode;
use crate::message::{
    ActionRequest, ErrorDescriptor, Mid, ReplyBody, Transaction, TransactionId, TransactionReply,
    VERSION,
};

use outgoing::Request;
use peer::{Encoded, Peer};

/// How an entity is known to its transport.
pub type PeerAddress = SocketAddr;

/// LONG-TIMER, Annex D.1.1: how long a reply is kept for repeated requests.
pub const LONG_TIMER: Duration = Duration::from_secs(30);

/// T-MAX, Annex D.1.3: how long a request is repeated.
pub const T_MAX: Duration = Duration::from_secs(20);

/// Longest time between two repetitions, Annex D.1.3.
pub const RTO_MAX: Duration = Duration::from_secs(4);

// The last copy of a request arrives while its reply is still kept.
const _: () = assert!(T_MAX.as_secs() + RTO_MAX.as_secs() < LONG_TIMER.as_secs());

/// Octets of a message over datagrams that bundling does not exceed; a single transaction may.
pub const BUNDLE_LEN_MAX: usize = 1400;

/// Octets of a message over datagrams at most: what UDP over IPv4 carries.
pub const DATAGRAM_LEN_MAX: usize = 65_507;

/// Pendings after which a request of ours no longer gets more time.
pub const PENDINGS_MAX: u32 = 256;

/// Octets of a message over a reliable transport that bundling does not exceed.
pub const STREAM_BUNDLE_LEN_MAX: usize = 16_384;

/// Most segments of a reply.
pub const SEGMENTS_MAX: u16 = 256;

/// What all associations of an [`Endpoint`] share.
#[derive(Clone, Debug)]
pub struct Config {
    /// Who we are, in every message.
    pub mid: Mid,
    /// The first transaction number. Numbers go up from here, so a restart must start past those
    /// used before it, or LONG-TIMER later.
    pub first_id: TransactionId,
    /// What holds for peers that [`Endpoint::set_association`] did not name.
    pub association: Association,
    /// Most peers without association of their own that are remembered at a time.
    pub strangers_max: usize,
    /// Most requests of ours without final reply, per peer.
    pub requests_max: usize,
    /// Most requests of a peer that are being executed.
    pub executions_max: usize,
    /// Most transactions of a peer that are kept for LONG-TIMER. At 1000 calls/s of four
    /// transactions, 30 s are 120 000.
    pub replies_max: usize,
}

impl Config {
    /// The defaults for an entity `mid` that numbers its transactions from `first_id`.
    pub fn new(mid: Mid, first_id: TransactionId) -> Self {
        Self {
            mid,
            first_id,
            association: Association::default(),
            strangers_max: 256,
            requests_max: 4096,
            executions_max: 4096,
            replies_max: 262_144,
        }
    }
}

/// What holds between us and one peer.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Association {
    /// How our messages are encoded. All encodings are read.
    pub encoding: Encoding,
    /// Names in binary.
    pub naming: Arc<Naming>,
    /// Our messages are text or binary as the last one of the peer was; `encoding` holds until one
    /// comes.
    pub follow_peer: bool,
    /// Protocol version in our messages.
    pub version: u8,
    /// What carries them.
    pub transport: Transport,
    /// Initial time to the first repetition, until a round trip was measured.
    pub rto_initial: Duration,
    /// Least time to the first repetition.
    pub rto_min: Duration,
    /// The peer's normalMGExecutionTime or normalMGCExecutionTime, E.2.1: time between repetitions
    /// after a Pending.
    pub execution_time: Duration,
    /// Our ProvisionalResponseTimerValue, E.2.1: time from a request to our first Pending.
    pub provisional_timer: Duration,
    /// Our originatedPendingLimit, E.2.1: Pendings we send before we give up with error 506.
    pub pending_limit: u32,
    /// Replies are acknowledged (three-way handshake) even where the peer does not insist, at the
    /// latest after this time.
    pub acknowledge_after: Option<Duration>,
    /// Octets of a message that the peer takes, its MaxPDUSize of E.2.1: longer replies are
    /// segmented if the version is 3.
    pub message_len_max: usize,
    /// Our SegmentationTimerValue, E.2.1: time from a segment to its first repetition.
    pub segmentation_timer: Duration,
    /// Every reply of ours insists on an acknowledgement (ImmAckRequired), not only those after a
    /// Pending.
    pub imm_ack: bool,
}

impl Default for Association {
    fn default() -> Self {
        Self {
            encoding: Encoding::default(),
            naming: Arc::default(),
            follow_peer: true,
            version: VERSION,
            transport: Transport::Datagram,
            rto_initial: Duration::from_millis(500),
            rto_min: Duration::from_millis(100),
            execution_time: Duration::from_secs(2),
            provisional_timer: Duration::from_secs(1),
            pending_limit: 20,
            acknowledge_after: Some(Duration::from_millis(200)),
            message_len_max: MESSAGE_LEN_MAX,
            segmentation_timer: Duration::from_secs(1),
            imm_ack: false,
        }
    }
}

/// What a transport does with messages.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Transport {
    /// It may lose, repeat and reorder them (UDP): Annex D.1 applies.
    Datagram,
    /// It does not (TCP): nothing is repeated or acknowledged as long as a connection lasts.
    Reliable,
}

/// A request that is to be answered by [`Endpoint::reply`].
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct RequestHandle {
    /// Who asks.
    pub peer: PeerAddress,
    /// Its number.
    pub id: TransactionId,
}

/// What an [`Endpoint`] wants done, or tells.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Output<T> {
    /// Send a message.
    Transmit {
        /// Where to.
        to: PeerAddress,
        /// The message.
        bytes: Vec<u8>,
    },
    /// Execute a request, once, and answer with [`Endpoint::reply`].
    Request {
        /// For the answer.
        handle: RequestHandle,
        /// Who the sender says it is. Whether it may say so is for the user to judge.
        mid: Mid,
        /// Protocol version of the message.
        version: u8,
        /// What to do.
        actions: Vec<ActionRequest>,
    },
    /// A request of ours was answered. Nothing further comes for it.
    Reply {
        /// As given with the request.
        token: T,
        /// Its number.
        id: TransactionId,
        /// Who answers.
        mid: Mid,
        /// The answer.
        body: ReplyBody,
    },
    /// A request of ours is being executed. The answer follows.
    Pending {
        /// As given with the request.
        token: T,
    },
    /// A request of ours has no answer. Nothing further comes for it.
    Failed {
        /// As given with the request.
        token: T,
        /// Its number.
        id: TransactionId,
        /// Why.
        reason: Failure,
    },
    /// A message, or one transaction of it, was no use.
    MessageError {
        /// Who sent it.
        from: PeerAddress,
        /// What is wrong.
        fault: Fault,
    },
}

/// Why a request has no answer.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Failure {
    /// T-MAX went by.
    Timeout,
    /// There was one, but it cannot be read.
    MalformedReply(SyntaxError),
    /// [`Endpoint::disconnect`] or [`Endpoint::give_up_requests`] was called.
    Disconnected,
}

/// What is wrong with a message.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Fault {
    /// It cannot be read; the sender was told.
    Malformed(SyntaxError),
    /// One transaction of it cannot be read; if it was a request, the sender was told.
    MalformedTransaction(BadTransaction),
    /// It says that a message of ours cannot be read.
    Reported(ErrorDescriptor),
}

/// Why something was not done.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Error {
    /// As many requests as [`Config::requests_max`] wait for replies of this peer.
    TooManyRequests,
    /// No peer can be remembered any more, [`Config::strangers_max`].
    TooManyPeers,
    /// The request is longer than a message of its transport.
    TooLong,
    /// The peer is written to in binary, which has no room for something in the request.
    Unencodable,
    /// The request is not being executed: it was answered, or given up with error 506.
    UnknownRequest,
}

impl std::fmt::Display for Error {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(match self {
            Self::TooManyRequests => "too many requests wait for replies of this peer",
            Self::TooManyPeers => "too many peers",
            Self::TooLong => "the request is longer than a message",
            Self::Unencodable => "the request cannot be encoded in binary",
            Self::UnknownRequest => "the request is not being executed",
        })
    }
}

impl std::error::Error for Error {}

/// What an [`Endpoint`] counted.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Counters {
    /// Requests sent, repetitions not counted.
    pub requests_sent: u64,
    /// Repetitions of requests.
    pub requests_repeated: u64,
    /// Requests that were given to the user.
    pub requests_received: u64,
    /// Requests that were known already.
    pub duplicates: u64,
    /// Replies sent again, for a repeated request or for want of an acknowledgement.
    pub replies_repeated: u64,
    /// Replies that no request waits for.
    pub replies_unexpected: u64,
    /// Pendings sent.
    pub pendings_sent: u64,
    /// Requests given up with error 506.
    pub pending_limit_exceeded: u64,
    /// Requests of ours that T-MAX ended.
    pub timeouts: u64,
    /// Messages that cannot be read.
    pub messages_malformed: u64,
    /// Transactions that cannot be read, in messages that can.
    pub transactions_malformed: u64,
    /// Requests dropped or refused because a limit was reached.
    pub requests_refused: u64,
    /// Messages dropped because no peer can be remembered any more.
    pub strangers_refused: u64,
}

/// Transaction engine of one entity; `T` goes from a request to its outcome.
///
/// Owns no socket and no clock: the caller passes messages and time in and, after any call, drains
/// [`Endpoint::poll_output`].
#[derive(Debug)]
pub struct Endpoint<T> {
    config: Config,
    entropy: Entropy,
    next_id: TransactionId,
    /// Few as a rule, looked up several times for each message.
    peers: BTreeMap<PeerAddress, Peer>,
    strangers: usize,
    requests: BTreeMap<TransactionId, Request<T>>,
    timers: TimerQueue<Timer>,
    /// Transactions answered, in the order in which they are forgotten.
    forget: VecDeque<(Instant, RequestHandle)>,
    events: VecDeque<Output<T>>,
    /// Peers for which transactions are queued, each once.
    ready: VecDeque<PeerAddress>,
    counters: Counters,
}

/// What is due.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Timer {
    /// Repeat a request, or give it up.
    Repeat(TransactionId),
    /// Send Pending.
    Provisional(RequestHandle),
    /// Repeat a reply that insists on an acknowledgement.
    RepeatReply(RequestHandle),
    /// Send acknowledgements that found no message to go with.
    Acknowledge(PeerAddress),
}

impl From<SocketAddr> for Mid {
    fn from(address: SocketAddr) -> Self {
        match address {
            SocketAddr::V4(v4) => Mid::Ipv4(*v4.ip(), Some(v4.port())),
            SocketAddr::V6(v6) => Mid::Ipv6(*v6.ip(), Some(v6.port())),
        }
    }
}

impl<T: Copy> Endpoint<T> {
    /// An entity without associations. `entropy` spreads repetitions.
    pub fn new(config: Config, entropy: Entropy) -> Self {
        let next_id = TransactionId(config.first_id.0.max(1));
        Self {
            config,
            entropy,
            next_id,
            peers: BTreeMap::new(),
            strangers: 0,
            requests: BTreeMap::new(),
            timers: TimerQueue::new(),
            forget: VecDeque::new(),
            events: VecDeque::new(),
            ready: VecDeque::new(),
            counters: Counters::default(),
        }
    }

    /// Numbers requests from `first` on: past those of an earlier life of the process.
    pub fn begin_at(&mut self, first: TransactionId) {
        self.next_id = TransactionId(first.0.max(1));
    }

    /// Makes `association` hold for `peer` from its next message on, and remembers the peer until
    /// [`Endpoint::disconnect`].
    pub fn set_association(&mut self, peer: PeerAddress, association: Association) {
        let config = &self.config;
        if let Some(known) = self.peers.get_mut(&peer) {
            self.strangers -= usize::from(known.is_stranger);
            known.is_stranger = false;
            known.set_association(association, &config.mid);
        } else {
            self.peers
                .insert(peer, Peer::new(association, &config.mid, false));
        }
    }

    /// How messages to this peer are encoded now; `None` when it is not remembered.
    pub fn encoding_to(&self, peer: PeerAddress) -> Option<Encoding> {
        self.peers.get(&peer).map(Peer::encoding)
    }

    /// Takes back [`Endpoint::set_association`]: the peer is a stranger again, and is forgotten
    /// when there is nothing to remember of it.
    pub fn end_association(&mut self, peer: PeerAddress) {
        let config = &self.config;
        if let Some(known) = self.peers.get_mut(&peer)
            && !known.is_stranger
        {
            known.is_stranger = true;
            known.set_association(config.association.clone(), &config.mid);
            self.strangers += 1;
        }
        self.forget_stranger(peer);
    }

    /// Queues a request and returns its number. Its outcome comes once: as [`Output::Reply`] or
    /// [`Output::Failed`].
    ///
    /// # Errors
    /// `TooManyRequests`, `TooManyPeers`: try again later. `TooLong`: say less at a time.
    /// `Unencodable`: say it otherwise, or in text.
    pub fn send_request(
        &mut self,
        now: Instant,
        peer: PeerAddress,
        actions: Vec<ActionRequest>,
        token: T,
    ) -> Result<TransactionId, Error> {
        self.start_request(now, peer, actions, token)
    }

    /// Answers a request. An answer longer than a message of the transport becomes error 533; one
    /// for which the binary encoding has no room, error 501.
    ///
    /// # Errors
    /// `UnknownRequest`: it was answered before, or its time was up.
    pub fn reply(
        &mut self,
        now: Instant,
        handle: RequestHandle,
        body: ReplyBody,
    ) -> Result<(), Error> {
        self.finish_execution(now, handle, body)
    }

    /// Takes a message that came from `from`.
    pub fn handle_input(&mut self, now: Instant, from: PeerAddress, bytes: &[u8]) {
        if !self.know(from) {
            self.counters.strangers_refused += 1;
            return;
        }
        let is_binary = Encoding::is_binary(bytes);
        let naming = match self.peers.get(&from) {
            Some(peer) => Arc::clone(&peer.association.naming),
            None => return,
        };
        match Encoding::parse(bytes, &naming) {
            Err(error) => {
                self.counters.messages_malformed += 1;
                self.queue_message_error(from, &error, is_binary);
                let fault = Fault::Malformed(error);
                self.events.push_back(Output::MessageError { from, fault });
            }
            Ok(message) => {
                if let Some(peer) = self.peers.get_mut(&from) {
                    peer.hear(is_binary);
                }
                self.handle_message(now, from, message);
            }
        }
        self.forget_stranger(from);
    }

    fn handle_message(&mut self, now: Instant, from: PeerAddress, message: Parsed) {
        let transactions = match message.body {
            ParsedBody::Error(error) => {
                let fault = Fault::Reported(error);
                self.events.push_back(Output::MessageError { from, fault });
                return;
            }
            ParsedBody::Transactions(transactions) => transactions,
        };
        let sender = Sender {
            from,
            mid: &message.mid,
            version: message.version,
        };
        for transaction in transactions {
            self.handle_transaction(now, &sender, transaction);
        }
    }

    /// Does what is due at `now`.
    pub fn handle_timeout(&mut self, now: Instant) {
        while let Some(timer) = self.timers.pop_due(now) {
            match timer {
                Timer::Repeat(id) => self.repeat_request(now, id),
                Timer::Provisional(handle) => self.send_pending(now, handle, true),
                Timer::RepeatReply(handle) => self.repeat_reply(now, handle),
                Timer::Acknowledge(peer) => self.queue_acknowledgements(peer),
            }
        }
        while let Some(&(at, handle)) = self.forget.front() {
            if at > now {
                break;
            }
            self.forget.pop_front();
            self.forget_transaction(handle);
        }
    }

    /// When [`Endpoint::handle_timeout`] is to be called.
    pub fn next_timeout(&self) -> Option<Instant> {
        let forget = self.forget.front().map(|&(at, _)| at);
        self.timers.next_timeout().into_iter().chain(forget).min()
    }

    /// The next thing to do or to know; `None` when there is nothing until the next call.
    pub fn poll_output(&mut self) -> Option<Output<T>> {
        let message = |(to, bytes)| Output::Transmit { to, bytes };
        self.poll_event()
            .or_else(|| self.poll_message().map(message))
    }

    /// The next thing to do or to know but messages to send: what is answered before these are
    /// polled goes with them.
    pub fn poll_event(&mut self) -> Option<Output<T>> {
        self.events.pop_front()
    }

    /// The next message to send, and where to.
    pub fn poll_message(&mut self) -> Option<(PeerAddress, Vec<u8>)> {
        while let Some(&to) = self.ready.front() {
            let timers = &mut self.timers;
            match self
                .peers
                .get_mut(&to)
                .and_then(|peer| peer.next_message(timers))
            {
                Some(bytes) => return Some((to, bytes)),
                None => {
                    self.ready.pop_front();
                    self.forget_stranger(to);
                }
            }
        }
        None
    }

    /// A peer over a reliable transport has a connection (again): its requests without reply go out
    /// (again). What became of them on an earlier connection nobody knows; their numbers tell the
    /// peer which it has executed, Annex D.2.1.
    pub fn handle_connected(&mut self, peer: PeerAddress) {
        self.repeat_requests(peer);
    }

    /// Gives up our requests to a peer that has lost what they are about: they fail, and are no
    /// longer repeated. Its own requests stay as they are.
    pub fn give_up_requests(&mut self, peer: PeerAddress) {
        let ids: Vec<_> = self
            .requests
            .iter()
            .filter(|(_, r)| r.peer == peer)
            .map(|(&id, _)| id)
            .collect();
        for id in ids {
            self.fail_request(id, Failure::Disconnected);
        }
    }

    /// Forgets a peer: it is given up, or another takes its place. Requests to it fail, its
    /// requests that are being executed can no longer be answered, and at-most-once starts anew.
    pub fn disconnect(&mut self, peer: PeerAddress) {
        self.give_up_requests(peer);
        if let Some(gone) = self.peers.remove(&peer) {
            self.strangers -= usize::from(gone.is_stranger);
            for timer in gone.timers() {
                self.timers.cancel(timer);
            }
            self.forget.retain(|(_, handle)| handle.peer != peer);
        }
        self.ready.retain(|&ready| ready != peer);
    }

    /// What was counted since the start.
    pub fn counters(&self) -> &Counters {
        &self.counters
    }

    /// Requests of ours without final reply.
    pub fn requests_len(&self) -> usize {
        self.requests.len()
    }

    /// Requests of others that are being executed or whose reply is remembered.
    pub fn transactions_len(&self) -> usize {
        self.peers.values().map(Peer::transactions_len).sum()
    }

    /// Peers that are remembered.
    pub fn peers_len(&self) -> usize {
        self.peers.len()
    }

    fn handle_transaction(
        &mut self,
        now: Instant,
        sender: &Sender<'_>,
        transaction: Result<Transaction, BadTransaction>,
    ) {
        match transaction {
            Ok(Transaction::Request(request)) => self.handle_request(now, sender, request),
            Ok(Transaction::Reply(reply)) => self.handle_reply(now, sender, reply),
            Ok(Transaction::Pending(id)) => self.handle_pending(now, sender, id),
            Ok(Transaction::ResponseAck(ranges)) => self.handle_acknowledgement(sender, &ranges),
            Ok(Transaction::SegmentReply(id, segment)) => {
                self.handle_segment_reply(sender, id, segment.number);
            }
            Err(bad) => self.handle_bad_transaction(sender, bad),
        }
    }

    fn handle_bad_transaction(&mut self, sender: &Sender<'_>, bad: BadTransaction) {
        self.counters.transactions_malformed += 1;
        match (bad.kind, bad.id) {
            (TransactionKind::Request | TransactionKind::Unknown, id) => {
                self.refuse_malformed(sender.from, id, &bad.error);
            }
            (TransactionKind::Reply, Some(id)) if self.is_asked(sender.from, id) => {
                self.fail_request(id, Failure::MalformedReply(bad.error.clone()));
            }
            _ => (),
        }
        let fault = Fault::MalformedTransaction(bad);
        self.events.push_back(Output::MessageError {
            from: sender.from,
            fault,
        });
    }

    /// Answers a request with `error` and keeps nothing of it: the same copy would get the same
    /// answer.
    fn refuse_malformed(
        &mut self,
        peer: PeerAddress,
        id: Option<TransactionId>,
        error: &SyntaxError,
    ) {
        let id = id.unwrap_or(TransactionId::UNKNOWN);
        if self.peers.get(&peer).is_some_and(|peer| peer.knows(id)) {
            return;
        }
        self.refuse(peer, id, error.descriptor());
    }

    fn refuse(&mut self, peer: PeerAddress, id: TransactionId, error: ErrorDescriptor) {
        let reply = TransactionReply {
            id,
            imm_ack_required: false,
            segment: None,
            body: ReplyBody::Error(error),
        };
        self.queue(peer, &Transaction::Reply(reply));
    }

    // Peers.

    /// Makes sure that `peer` is remembered; false when it cannot be.
    fn know(&mut self, peer: PeerAddress) -> bool {
        if self.peers.contains_key(&peer) {
            return true;
        }
        if self.strangers >= self.config.strangers_max {
            return false;
        }
        self.strangers += 1;
        let association = self.config.association.clone();
        self.peers
            .insert(peer, Peer::new(association, &self.config.mid, true));
        true
    }

    /// Forgets a peer without association about which there is nothing to remember.
    fn forget_stranger(&mut self, peer: PeerAddress) {
        if self
            .peers
            .get(&peer)
            .is_some_and(|known| known.is_stranger && known.is_idle())
        {
            self.peers.remove(&peer);
            self.strangers -= 1;
        }
    }

    // Queueing.

    fn queue(&mut self, peer: PeerAddress, transaction: &Transaction) {
        if let Some(known) = self.peers.get_mut(&peer) {
            known.queue(transaction);
            self.make_ready(peer);
        }
    }

    fn queue_encoded(&mut self, peer: PeerAddress, encoded: &Encoded) {
        if let Some(known) = self.peers.get_mut(&peer) {
            known.queue_encoded(encoded);
            self.make_ready(peer);
        }
    }

    fn queue_message_error(&mut self, peer: PeerAddress, error: &SyntaxError, is_binary: bool) {
        if let Some(known) = self.peers.get_mut(&peer) {
            known.set_message_error(error.descriptor(), is_binary);
            self.make_ready(peer);
        }
    }

    fn queue_acknowledgements(&mut self, peer: PeerAddress) {
        if let Some(known) = self.peers.get_mut(&peer) {
            known.acknowledge_now();
            self.make_ready(peer);
        }
    }

    fn make_ready(&mut self, peer: PeerAddress) {
        if let Some(known) = self.peers.get_mut(&peer)
            && !known.is_ready
        {
            known.is_ready = true;
            self.ready.push_back(peer);
        }
    }

    /// Half to all of `interval`, at random, Annex D.1.3.
    fn spread(&mut self, interval: Duration) -> Duration {
        let nanos = u64::try_from(interval.as_nanos()).unwrap_or(u64::MAX);
        Duration::from_nanos(nanos / 2 + self.entropy.below(nanos / 2 + 1))
    }

    fn set_timer(&mut self, at: Instant, timer: Timer) -> TimerId {
        self.timers.set(at, timer)
    }
}

/// Sender of the message in hand.
struct Sender<'a> {
    from: PeerAddress,
    mid: &'a Mid,
    version: u8,
}

/// The error for requests beyond a limit.
fn too_busy() -> ErrorDescriptor {
    ErrorDescriptor::new(ErrorCode::INSUFFICIENT_RESOURCES)
}

#[cfg(test)]
mod tests;
