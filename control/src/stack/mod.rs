//! SIP below the entities: transports, transactions, locating, and the passing of values between
//! entities that share the process.
//!
//! An entity sees requests, responses, and branches that end; it names next hops by URI, by entity
//! or by flow. Whether a message leaves the process or not is decided here, so the same call flow
//! runs both ways.

mod address;
mod admission;
mod avoided;
mod branch;
mod gate;
mod hop;
mod streams;
mod targets;

use std::collections::VecDeque;
use std::net::SocketAddr;

use base::{Entropy, Instant};
use sip::locate::{ResponseRoute, ResponseTarget, mark_source};
use sip::transaction::{self, ClientId, Layer, Received, Refusal, ServerId, Timers};
use sip::{Draft, HeaderName, Message, Method, ParseError, Transport};

pub(crate) use address::SIP_PORT;
pub use address::{Addresses, Own};
pub use branch::{BranchId, NextHop};
pub use hop::{Flow, Hop, KeptFlow, Origin};

use crate::admin::TransactionStatus;
use crate::config::{ControlConfig, Role};
use crate::counters::{Counter, Counters};
use crate::dns::{self, Resolver};
use crate::entity::Event;
use crate::node::{Output, Payload, Service, Socket, StreamId};
use avoided::Avoided;
use branch::{Answered, Branches, Cancel};
use gate::Gate;
use streams::Streams;

/// Messages that may wait between entities of this process; more than that is a loop.
const LOCAL_QUEUE_MAX: usize = 100_000;

/// What a transaction belongs to.
#[derive(Clone, Copy, Debug)]
enum Tag {
    /// A request of an entity.
    Branch(BranchId),
    /// A request to an entity.
    Server(Role),
}

/// A message on its way from one entity of this process to another.
struct HandedOver {
    /// As its receiver sees it: it answers to where this came from.
    hop: Hop,
    /// The transaction of the request, or of the request that is answered; none for the ACK of a
    /// 2xx.
    client: Option<ClientId>,
    message: Message,
}

/// SIP of one node.
pub struct Stack {
    layer: Layer<Hop, Tag>,
    addresses: Addresses,
    branches: Branches,
    streams: Streams,
    resolver: Resolver<BranchId>,
    avoided: Avoided,
    gate: Gate,
    entropy: Entropy,
    gm: Timers,
    core: Timers,
    default_role: Option<Role>,
    local: VecDeque<HandedOver>,
    events: VecDeque<(Role, Event)>,
    outputs: VecDeque<Output>,
}

impl Stack {
    /// A stack without transactions. `entropy` makes its branches and must not be that of another
    /// stack.
    pub fn new(config: &ControlConfig, mut entropy: Entropy) -> Self {
        let transactions_max = config.limits.transactions_max;
        let limits = transaction::Config {
            clients_max: transactions_max.div_ceil(2),
            servers_max: transactions_max.div_ceil(2),
            ..transaction::Config::default()
        };
        let layer = Layer::new(limits, &mut entropy);
        Self {
            layer,
            addresses: Addresses::new(config),
            branches: Branches::new(),
            streams: Streams::new(),
            resolver: Resolver::new(&config.dns),
            avoided: Avoided::default(),
            gate: Gate::new(&mut entropy),
            entropy,
            gm: config.gm,
            core: config.core,
            default_role: config.roles.iter().copied().find(|&role| role != Role::Hss),
            local: VecDeque::new(),
            events: VecDeque::new(),
            outputs: VecDeque::new(),
        }
    }

    /// Our own SIP addresses and the URIs that name our entities.
    pub fn addresses(&self) -> &Addresses {
        &self.addresses
    }

    /// How many transactions there are.
    pub fn transactions(&self) -> TransactionStatus {
        TransactionStatus {
            client: self.layer.clients_len(),
            server: self.layer.servers_len(),
            timers: self.layer.timers_len(),
        }
    }

    /// Transactions that ended early, to make room for others, since the start.
    pub fn transactions_cut_short(&self) -> u64 {
        self.layer.counters().cut_short
    }

    /// Requests of entities that wait for a final response.
    pub fn requests_pending(&self) -> usize {
        let states = transaction::ClientState::ALL.iter();
        let pending = states.filter(|state| state.is_pending());
        pending.map(|&state| self.layer.client_count(state)).sum()
    }

    /// What the resolver has done.
    pub fn dns_totals(&self) -> dns::Totals {
        self.resolver.totals()
    }

    // ---- what the node feeds in ----

    /// A datagram came in on the n-th SIP address; the message waits for [`Stack::serve`].
    pub fn handle_datagram(
        &mut self,
        now: Instant,
        counters: &mut Counters,
        listener: u16,
        source: SocketAddr,
        bytes: &[u8],
    ) {
        counters.count(Counter::SipReceived);
        if sip::is_keep_alive(bytes) {
            if bytes == sip::PING {
                self.outputs.push_back(Output::Datagram {
                    socket: Socket::Sip(listener),
                    destination: source,
                    bytes: Payload::from(sip::PONG.to_vec()),
                });
            }
            return;
        }
        let flow = Flow::Udp {
            listener,
            peer: source,
        };
        match Message::parse(bytes) {
            Ok(message) => self.admit(now, counters, flow, source, message),
            Err(fault) => self.refuse_malformed(counters, &flow, source, &fault),
        }
    }

    /// A stream was opened to us.
    pub fn handle_accepted(&mut self, stream: StreamId, listener: u16, peer: SocketAddr) {
        self.streams.insert(stream, listener, peer);
    }

    /// Bytes came on a stream; messages wait for [`Stack::serve`].
    pub fn handle_received(
        &mut self,
        now: Instant,
        counters: &mut Counters,
        stream: StreamId,
        bytes: &[u8],
    ) {
        let Some(entry) = self.streams.get_mut(stream) else {
            return;
        };
        entry.framer.handle_input(bytes);
        let (listener, peer) = (entry.listener, entry.peer);
        let flow = Flow::Stream {
            stream,
            listener,
            peer,
        };
        while let Some(entry) = self.streams.get_mut(stream) {
            let Some(frame) = entry.framer.poll_frame() else {
                break;
            };
            match frame {
                sip::Frame::Message(message) => {
                    counters.count(Counter::SipReceived);
                    self.admit(now, counters, flow, peer, message);
                }
                sip::Frame::Ping => self.outputs.push_back(Output::Send {
                    stream,
                    bytes: Payload::from(sip::PONG.to_vec()),
                }),
                sip::Frame::Pong => {}
                sip::Frame::Malformed(fault) => {
                    counters.count(Counter::SipReceived);
                    self.refuse_malformed(counters, &flow, peer, &fault);
                }
                sip::Frame::Broken(fault) => {
                    counters.count(Counter::StreamMalformed);
                    self.refuse_malformed(counters, &flow, peer, &fault);
                    self.outputs.push_back(Output::Close(stream));
                    self.handle_closed(now, stream);
                }
            }
        }
    }

    /// A stream is gone: what waits on it fails now rather than by its timers.
    pub fn handle_closed(&mut self, now: Instant, stream: StreamId) {
        self.streams.closed(stream);
        let on_it = |hop: &Hop| matches!(hop, Hop::Stream { stream: used, .. } if *used == stream);
        self.layer.handle_hop_lost(now, on_it);
        self.drain_layer(now);
    }

    /// A datagram came in on the n-th socket of the resolver.
    pub fn handle_dns_datagram(
        &mut self,
        now: Instant,
        socket: u16,
        source: SocketAddr,
        bytes: &[u8],
    ) {
        self.resolver.handle_datagram(now, socket, source, bytes);
        self.drain_resolver(now);
    }

    /// Octets came on a stream of the resolver.
    pub fn handle_dns_received(&mut self, now: Instant, stream: StreamId, bytes: &[u8]) {
        self.resolver.handle_received(now, stream, bytes);
        self.drain_resolver(now);
    }

    /// A stream of the resolver is gone.
    pub fn handle_dns_closed(&mut self, now: Instant, stream: StreamId) {
        self.resolver.handle_closed(now, stream);
        self.drain_resolver(now);
    }

    /// When a transaction or the resolver wants attention.
    pub fn next_timeout(&self) -> Option<Instant> {
        let resolver = self.resolver.next_timeout();
        self.layer.next_timeout().into_iter().chain(resolver).min()
    }

    /// Fires the transactions' and the resolver's timers.
    pub fn handle_timeout(&mut self, now: Instant) {
        self.layer.handle_timeout(now);
        self.drain_layer(now);
        self.resolver.handle_timeout(now);
        self.drain_resolver(now);
    }

    /// Takes what is to be done outside.
    pub fn poll_output(&mut self) -> Option<Output> {
        self.outputs.pop_front()
    }

    /// Takes what happened to an entity; passes values on between entities first.
    pub fn poll_event(&mut self, now: Instant, counters: &mut Counters) -> Option<(Role, Event)> {
        loop {
            if let Some(event) = self.events.pop_front() {
                return Some(event);
            }
            let handed_over = self.local.pop_front()?;
            self.receive_locally(now, counters, handed_over);
        }
    }

    /// Queues something for an entity behind what waits for it already.
    pub(crate) fn push_event(&mut self, role: Role, event: Event) {
        self.events.push_back((role, event));
    }

    // ---- what entities ask for ----

    /// Answers a request. A transaction that is over swallows the answer.
    pub fn respond(&mut self, now: Instant, server: ServerId, draft: &mut Draft) {
        match draft.finish() {
            Ok(response) => self.respond_with(now, server, response),
            Err(fault) => tracing::error!(%fault, "a response could not be written"),
        }
    }

    /// Answers a request with a finished response.
    pub fn respond_with(&mut self, now: Instant, server: ServerId, response: Message) {
        use transaction::Error;
        match self.layer.respond(now, server, response) {
            Ok(()) | Err(Error::Gone | Error::Answered | Error::Provisional) => {}
            Err(fault) => tracing::error!(%fault, "a response could not be sent"),
        }
        self.drain_layer(now);
    }

    /// Answers a request with a status and nothing more; a To tag is made where there is none, and
    /// a Retry-After for 503.
    pub fn reject(
        &mut self,
        now: Instant,
        server: ServerId,
        request: &Message,
        status: u16,
        reason: &str,
    ) {
        let tag = self.entropy.token_string();
        let mut draft = request.response(status, reason);
        if status > 100 {
            draft.to_tag(&tag);
        }
        if status == 503 {
            let seconds = self.gate.retry_after(&mut self.entropy);
            draft.append(HeaderName::RetryAfter, &seconds.to_string());
        }
        self.respond(now, server, &mut draft);
    }

    /// Sends a request for `role`. Where it leaves the process, its Via, with a new branch, is
    /// added here.
    ///
    /// [`Event::Ended`] for the returned branch follows in any case, after [`Event::Failed`] if
    /// nothing could be sent.
    pub fn send(&mut self, now: Instant, role: Role, draft: Draft, next: NextHop<'_>) -> BranchId {
        let way = self.way(now, role, &next);
        let id = self.branches.open(Some(role), draft, way);
        self.try_next_target(now, id);
        id
    }

    /// Sends an ACK of a 2xx, which has no transaction (RFC 3261 13.2.2.4, 16.11), to the first
    /// target that is found.
    pub fn send_ack(&mut self, now: Instant, role: Role, draft: Draft, next: NextHop<'_>) {
        let way = self.way(now, role, &next);
        let id = self.branches.open(None, draft, way);
        self.try_next_target(now, id);
    }

    /// Cancels an INVITE (RFC 3261 9.1); its final response still comes, or [`Event::Failed`]: at
    /// once, where nothing was sent yet.
    pub fn cancel(&mut self, now: Instant, branch: BranchId) {
        match self.branches.cancel(branch) {
            Some(Cancel::Sent(client)) => {
                if let Err(fault) = self.layer.cancel(now, client, &[]) {
                    tracing::error!(%fault, "a CANCEL could not be written");
                }
                self.drain_layer(now);
            }
            Some(Cancel::Unsent) => self.give_up(branch, 487),
            None => {}
        }
    }

    /// A new tag, branch part or key.
    pub fn token(&mut self) -> String {
        self.entropy.token_string()
    }

    // ---- receiving ----

    fn receive_from_wire(
        &mut self,
        now: Instant,
        counters: &mut Counters,
        flow: Flow,
        source: SocketAddr,
        message: Message,
    ) {
        let message = if message.is_request() {
            match mark_source(&message, source) {
                Ok(marked) => marked.unwrap_or(message),
                Err(_) => return counters.count(Counter::SipMalformedDropped),
            }
        } else {
            message
        };
        let hop = self.response_hop(flow, source, &message);
        self.receive(now, counters, hop, message);
    }

    fn receive(&mut self, now: Instant, counters: &mut Counters, hop: Hop, message: Message) {
        let origin = hop.origin();
        match self.layer.handle_message(now, hop.clone(), message) {
            Received::Request { server, message } => {
                self.handle_request(now, counters, origin, server, message);
            }
            Received::Ack { message, .. } => match self.recipient(&message) {
                Some(role) => {
                    let request = message;
                    let event = Event::Ack { origin, request };
                    self.events.push_back((role, event));
                }
                None => counters.count(Counter::SipAckStray),
            },
            Received::Cancel {
                server,
                invite,
                message,
            } => {
                self.handle_cancel(now, server, invite, &message);
            }
            Received::Response {
                context: Tag::Branch(branch),
                client,
                message,
            } => {
                if let Some(target) = self.branches.target(branch, client) {
                    self.avoided.answered(now, &target, &message);
                }
                self.handle_response(now, branch, client, message, true);
            }
            Received::Response { .. } | Received::Absorbed => {}
            Received::StrayResponse { .. } => counters.count(Counter::SipResponseStray),
            Received::Refused { message, why } => self.refuse(counters, hop, &message, why),
        }
        self.drain_layer(now);
    }

    /// What an entity of this process sends was checked when it came in, and is written by edits
    /// that leave it well-formed.
    fn receive_locally(&mut self, now: Instant, counters: &mut Counters, handed_over: HandedOver) {
        let HandedOver {
            hop,
            client,
            message,
        } = handed_over;
        let (origin, role) = match hop.origin() {
            origin @ Origin::Entity { to, .. } => (origin, to),
            Origin::Network(_) => return,
        };
        let Some(client) = client else {
            let request = message;
            let event = Event::Ack { origin, request };
            return self.events.push_back((role, event));
        };
        match self.layer.handle_local(now, hop, client, message) {
            Received::Request { server, message } => {
                self.tell_request(role, origin, server, message);
            }
            Received::Response {
                context: Tag::Branch(branch),
                client,
                message,
            } => self.handle_response(now, branch, client, message, false),
            Received::Refused { .. } => counters.count(Counter::SipRefusedFull),
            _ => {}
        }
        self.drain_layer(now);
    }

    fn handle_response(
        &mut self,
        now: Instant,
        branch: BranchId,
        client: ClientId,
        response: Message,
        has_own_via: bool,
    ) {
        match self.branches.answered(branch, client, response) {
            Answered::Tell(role, response) => {
                let event = Event::Response {
                    branch,
                    response,
                    has_own_via,
                };
                self.events.push_back((role, event));
            }
            Answered::TryNext => self.try_next_target(now, branch),
            Answered::Nothing => {}
        }
    }

    fn handle_request(
        &mut self,
        now: Instant,
        counters: &mut Counters,
        origin: Origin,
        server: ServerId,
        request: Message,
    ) {
        if let Err(invalid) = request.validate() {
            counters.count(Counter::SipMalformedAnswered);
            self.reject(now, server, &request, invalid.status(), &invalid.reason());
            return;
        }
        match self.recipient(&request) {
            Some(role) => self.tell_request(role, origin, server, request),
            None => self.reject(now, server, &request, 404, ""),
        }
    }

    fn tell_request(&mut self, role: Role, origin: Origin, server: ServerId, request: Message) {
        self.layer.set_server_context(server, Tag::Server(role));
        let event = Event::Request {
            origin,
            server,
            request,
        };
        self.events.push_back((role, event));
    }

    /// Which entity a request from the network is for. Where there is a P-CSCF, the network is the
    /// access network, and nothing from there gets past it; elsewhere the entity is named by the
    /// topmost Route or the Request-URI, or answers for the listener.
    fn recipient(&self, request: &Message) -> Option<Role> {
        if self.default_role == Some(Role::Pcscf) {
            return self.default_role;
        }
        let named = match request.routes().next() {
            Some(route) => route.ok().and_then(|route| self.addresses.own(route.uri)),
            None => request.uri().ok().and_then(|uri| self.addresses.own(uri)),
        };
        named.map(|own| own.role).or(self.default_role)
    }

    fn handle_cancel(
        &mut self,
        now: Instant,
        server: ServerId,
        invite: Option<ServerId>,
        cancel: &Message,
    ) {
        let status = if invite.is_some() { 200 } else { 481 };
        self.reject(now, server, cancel, status, "");
        let context = invite.and_then(|invite| Some((invite, *self.layer.server_context(invite)?)));
        if let Some((invite, Tag::Server(role))) = context {
            self.events
                .push_back((role, Event::Cancel { server: invite }));
        }
    }

    fn refuse(&mut self, counters: &mut Counters, hop: Hop, message: &Message, why: Refusal) {
        let (status, reason) = match why {
            Refusal::Invalid(invalid) => {
                counters.count(Counter::SipMalformedAnswered);
                (invalid.status(), invalid.reason())
            }
            Refusal::Limit => {
                counters.count(Counter::SipRefusedFull);
                (503, String::new())
            }
        };
        self.answer_statelessly(hop, message, status, &reason);
    }

    fn refuse_malformed(
        &mut self,
        counters: &mut Counters,
        flow: &Flow,
        source: SocketAddr,
        fault: &ParseError,
    ) {
        let request = fault.answerable().and_then(|request| {
            Some(
                mark_source(request, source)
                    .ok()?
                    .unwrap_or_else(|| request.clone()),
            )
        });
        let Some(request) = request else {
            return counters.count(Counter::SipMalformedDropped);
        };
        counters.count(Counter::SipMalformedAnswered);
        let hop = self.response_hop(*flow, source, &request);
        self.answer_statelessly(hop, &request, fault.status(), fault.reason());
    }

    /// An answer without a transaction (RFC 3261 8.2.7): never to ACK, never to a response.
    fn answer_statelessly(&mut self, hop: Hop, request: &Message, status: u16, reason: &str) {
        if !request.is_request() || request.is_method(&Method::Ack) {
            return;
        }
        // The same for every repetition (RFC 3261 8.2.7), and known again in the ACK.
        let tag = self.gate.tag_of(request);
        let mut draft = request.response(status, reason);
        // One that lacks what every request has is answered with what is there.
        if request.has(HeaderName::To) {
            draft.to_tag(&tag);
        }
        if status == 503 {
            let seconds = self.gate.retry_after(&mut self.entropy);
            draft.append(HeaderName::RetryAfter, &seconds.to_string());
        }
        if let Ok(response) = draft.finish() {
            self.transmit(hop, response);
        }
    }

    /// The hop on which the response to `request` goes back (RFC 3261 18.2.2, RFC 3581 4).
    fn response_hop(&self, flow: Flow, source: SocketAddr, message: &Message) -> Hop {
        let timers = self.arrival_timers();
        match flow {
            Flow::Udp { listener, .. } => {
                let via = message.top_via().ok().filter(|_| message.is_request());
                let target = via.map(|via| ResponseRoute::of(&via, Transport::Udp).target);
                let peer = match target {
                    Some(ResponseTarget::Address(address)) => address,
                    // A name or a group that a sender chose is not followed.
                    _ => source,
                };
                Hop::Udp {
                    listener,
                    source,
                    peer,
                    timers,
                }
            }
            Flow::Stream {
                stream,
                listener,
                peer,
            } => Hop::Stream {
                stream,
                listener,
                peer,
                timers,
            },
        }
    }

    /// Timers of Gm where the P-CSCF answers for the listener, else those between entities.
    fn arrival_timers(&self) -> Timers {
        if self.default_role == Some(Role::Pcscf) {
            self.gm
        } else {
            self.core
        }
    }

    /// Whether there is a connection for what goes this way, or none is needed.
    pub fn is_connected(&self, flow: Flow) -> bool {
        match flow {
            Flow::Udp { .. } => true,
            Flow::Stream { stream, peer, .. } => self.streams.live(stream, peer).is_some(),
        }
    }

    // ---- sending ----

    fn drain_layer(&mut self, now: Instant) {
        use transaction::Output as Out;
        while let Some(output) = self.layer.poll_output() {
            match output {
                Out::Transmit { hop, message, .. } => self.transmit(hop, message),
                Out::HandOver {
                    hop,
                    client,
                    message,
                } => self.hand_over(hop, Some(client), message),
                Out::Cancelled {
                    server,
                    context: Some(Tag::Server(role)),
                } => self.events.push_back((role, Event::Cancel { server })),
                Out::ClientTimeout {
                    context: Tag::Branch(branch),
                    client,
                } => self.unreachable(now, branch, client, 408),
                Out::ClientTransportError {
                    context: Tag::Branch(branch),
                    client,
                    answered: false,
                } => self.unreachable(now, branch, client, 503),
                Out::ClientEnded {
                    context: Tag::Branch(branch),
                    client,
                } => self.client_ended(now, branch, client),
                Out::Cancelled { .. }
                | Out::ClientTimeout { .. }
                | Out::ClientTransportError { .. }
                | Out::ClientEnded { .. }
                | Out::AckMissing { .. }
                | Out::ServerTransportError { .. }
                | Out::ServerEnded { .. } => {}
            }
        }
    }

    fn transmit(&mut self, hop: Hop, message: Message) {
        if !matches!(hop, Hop::Entity { .. }) {
            self.gate.note_sent(&message);
        }
        match hop {
            Hop::Entity { .. } => self.hand_over(hop, None, message),
            Hop::Udp { listener, peer, .. } => self.outputs.push_back(Output::Datagram {
                socket: Socket::Sip(listener),
                destination: peer,
                bytes: Payload::from(message),
            }),
            Hop::Stream {
                stream,
                listener,
                peer,
                ..
            } => {
                let stream = match self.streams.live(stream, peer) {
                    Some(stream) => stream,
                    // The connection is gone: a new one to where the peer can be reached.
                    None => self.connect(listener, peer),
                };
                self.outputs.push_back(Output::Send {
                    stream,
                    bytes: Payload::from(message),
                });
            }
        }
    }

    fn hand_over(&mut self, hop: Hop, client: Option<ClientId>, message: Message) {
        if self.local.len() < LOCAL_QUEUE_MAX {
            self.local.push_back(HandedOver {
                hop: hop.reversed(),
                client,
                message,
            });
        }
    }

    fn connect(&mut self, listener: u16, peer: SocketAddr) -> StreamId {
        let stream = self.streams.opened(listener, peer);
        let service = Service::Sip(listener);
        self.outputs.push_back(Output::Connect {
            stream,
            service,
            peer,
        });
        stream
    }
}

#[cfg(test)]
mod tests;
