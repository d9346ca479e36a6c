//! The media gateway controller (H.248.1 3.12): the only way from a functional entity to the media
//! process.
//!
//! An entity states what it wants of a call's media as a [`Plan`]; the controller keeps the
//! difference to what the gateway has and sends it as commands. Gateways announce themselves by
//! ServiceChange; calls go to the one in service that carries the fewest. One that does not answer
//! is out of service until it does again or announces itself anew, and its calls are lost; what it
//! may still hold of them is subtracted before it serves again.
//!
//! What its owner wants kept of an anchor is in the journal, and so are members of rooms and the
//! gateways: after a restart they are spoken to at once, and asked whether the contexts are still
//! there. A context that is not in the journal reports itself every 20 s (`hangterm/thb`), and is
//! subtracted when nobody here knows it.

mod anchor;
mod compile;
mod gateway;
mod kept;
mod kept_rooms;
mod links;
mod mp;
mod plan;
mod replies;
mod requests;
mod room_plan;
mod rooms;
mod throttle;

use std::collections::{HashMap, VecDeque};
use std::net::SocketAddr;
use std::time::Duration;

use base::{Entropy, Instant};
use h248::encoding::Encoding;
use h248::error::ErrorCode;
use h248::message::{ActionRequest, ErrorDescriptor, Mid, ReplyBody, TransactionId};
use h248::transaction::{Config as EndpointConfig, Endpoint, Failure, Output as Out};
use h248::transport::tpkt;

pub use kept::Claimed;
pub use plan::{
    AnchorError, AnchorEvent, AnchorId, AnchorSpec, DtlsPlan, DtlsSetup, Endpoint as RtpEndpoint,
    Family, Locals, Mode, Plan, SdesPlan, Side, SidePlan, SrtpPlan, StreamPlan,
};
pub use room_plan::{
    Digits, MemberId, MemberPlan, Mix, Observed, Recording, RemoteMedia, RoomEvent, RoomId, Task,
    TaskSignal,
};

use crate::admin::{CallContext, MediaGatewayStatus};
use crate::counters::{Counter, Counters};
use crate::node::StreamId;
use anchor::{Anchor, Anchors, State};
use compile::Heartbeat;
use gateway::{Gateway, GatewayId, Gateways};
use kept::{Ledger, Verdict};
use links::{Framing, Links};
use replies::Configured;
use requests::Asker;
use rooms::Rooms;

/// Contexts at once over all gateways, those being subtracted included: more than the calls of the
/// largest configuration, so that the limit is the P-CSCF's.
const CONTEXTS_MAX: usize = 500_000;
/// Gateways known at once.
const GATEWAYS_MAX: usize = 1024;
/// Connections at once: gateways have one each, and for a moment two.
const LINKS_MAX: usize = 2 * GATEWAYS_MAX;
/// Gateways without room that are tried for a call before it is refused.
const REFUSALS_MAX: u8 = 3;
/// How long a gateway that had no room is tried after all others.
const FULL_FOR: Duration = Duration::from_secs(1);
/// Transaction numbers that a millisecond of life takes at most: a restart begins past those of the
/// life before, as long as no more are used on average. A call takes about four.
const TRANSACTIONS_PER_MS: u64 = 16;
/// What was recorded so long ago is on the disk.
const DURABLE_AFTER: Duration = Duration::from_secs(1);

/// What a controller is told once.
#[derive(Clone, Debug)]
pub struct Config {
    /// Where it receives H.248, and its name in messages.
    pub address: SocketAddr,
    /// How it writes, where a gateway has not yet written in text or in binary itself.
    pub encoding: Encoding,
    /// Contexts at once; beyond: [`AnchorError::Limit`].
    pub contexts_max: usize,
    /// Gateways at once; beyond: error 510, unless one that is gone can be forgotten.
    pub gateways_max: usize,
    /// Gateways are asked for their packages before they serve: those that play announcements are
    /// MRFPs, for rooms, and the others carry anchors.
    pub has_rooms: bool,
}

impl Config {
    /// The defaults for a controller at `address`.
    pub fn new(address: SocketAddr) -> Self {
        Self {
            address,
            encoding: Encoding::default(),
            contexts_max: CONTEXTS_MAX,
            gateways_max: GATEWAYS_MAX,
            has_rooms: false,
        }
    }
}

/// What the controller wants done or tells.
#[derive(Debug)]
pub enum MgcOutput {
    /// Send this.
    Transmit {
        /// To this gateway.
        to: SocketAddr,
        /// The message.
        bytes: Vec<u8>,
    },
    /// Send this on a gateway's connection.
    Send {
        /// The connection.
        stream: StreamId,
        /// A message, over TCP in its TPKT.
        bytes: Vec<u8>,
    },
    /// Close a gateway's connection; nothing more is heard of it.
    Close(StreamId),
    /// News of an anchor.
    Anchor {
        /// The anchor.
        anchor: AnchorId,
        /// Its owner's name for it.
        owner: u64,
        /// The news.
        event: AnchorEvent,
    },
    /// News of a room.
    Room(RoomEvent),
}

/// The controller.
#[derive(Debug)]
pub struct Mgc {
    config: Config,
    endpoint: Endpoint<Purpose>,
    gateways: Gateways,
    links: Links,
    anchors: Anchors,
    rooms: Rooms,
    ledger: Ledger,
    /// Anchors of an earlier life, by owner, until these claim them.
    unclaimed: HashMap<u64, AnchorId>,
    /// The first transaction number.
    first_number: u32,
    outputs: VecDeque<MgcOutput>,
}

/// What a transaction of ours is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Purpose {
    Reserve(AnchorId),
    Configure(AnchorId),
    TakeBack(AnchorId),
    Slow(AnchorId),
    Audit(GatewayId, AnchorId),
    Release(GatewayId, u32),
    Start(GatewayId),
    Probe(GatewayId),
    Room(u64),
}

/// What came of a transaction of ours.
#[derive(Clone, Copy)]
enum Outcome<'a> {
    Reply(&'a ReplyBody),
    /// A reply that cannot be read.
    Unreadable,
    /// None, though the gateway is there.
    Unanswered,
}

impl Mgc {
    /// A controller whose transaction numbers start where a restart cannot repeat them.
    pub fn new(config: Config, now: Instant, entropy: Entropy) -> Self {
        // What is above 32 bits falls away: the numbers go round in three days.
        let first = now.as_millis().wrapping_mul(TRANSACTIONS_PER_MS) as u32;
        let mut endpoint = EndpointConfig::new(Mid::from(config.address), TransactionId(first));
        endpoint.association.encoding = config.encoding;
        Self {
            config,
            endpoint: Endpoint::new(endpoint, entropy),
            gateways: Gateways::default(),
            links: Links::default(),
            anchors: Anchors::default(),
            rooms: Rooms::default(),
            ledger: Ledger::default(),
            unclaimed: HashMap::new(),
            first_number: first,
            outputs: VecDeque::new(),
        }
    }

    // ---- for entities ----

    /// Reserves what `plan` needs at some gateway; [`AnchorEvent::Applied`] or `Failed` follows.
    /// After `Failed` there is no anchor any more.
    ///
    /// # Errors
    /// `NoGateway`, `Overload`, `Limit`.
    pub fn open(
        &mut self,
        now: Instant,
        owner: u64,
        spec: AnchorSpec,
        plan: Plan,
    ) -> Result<AnchorId, AnchorError> {
        let gateway = self.gateways.least_loaded(now, spec.emergency)?;
        let contexts: usize = self.gateways.iter().map(Gateway::contexts).sum();
        if contexts >= self.config.contexts_max || plan.streams.len() > sdp::MEDIA_MAX {
            return Err(AnchorError::Limit);
        }
        let action = compile::reserve(&spec, &plan);
        let id = self.anchors.insert(Anchor::new(owner, gateway, spec, plan));
        self.gateways[gateway].anchors += 1;
        self.gateways[gateway].throttle.count(now);
        let sent = self.send(now, gateway, vec![action], Purpose::Reserve(id));
        if sent.is_err() {
            self.remove(id);
        }
        sent.map(|()| id)
    }

    /// Brings another plan into force; unless refused at once, [`AnchorEvent::Applied`], `Failed`
    /// or `Lost` follows. Streams keep their places: `plan` has as many as the one before, or more.
    ///
    /// # Errors
    /// `Busy` while another is on its way, `Lost` when there is no such anchor, `Limit`.
    pub fn apply(&mut self, now: Instant, id: AnchorId, plan: Plan) -> Result<(), AnchorError> {
        let anchor = self.anchors.get_mut(id).ok_or(AnchorError::Lost)?;
        if plan.streams.len() > sdp::MEDIA_MAX {
            return Err(AnchorError::Limit);
        }
        let context = match &mut anchor.state {
            State::Ready(context) => &*context,
            State::Slowing(_, next @ None) => {
                *next = Some(plan);
                return Ok(());
            }
            _ => return Err(AnchorError::Busy),
        };
        let (both, heartbeat) = ([true, true], anchor.heartbeat);
        let before = (&anchor.applied, &anchor.locals);
        let commands = compile::configure(&anchor.spec, context, before, &plan, both, heartbeat);
        let Some((action, asked)) = commands else {
            anchor.applied = plan;
            let (owner, event) = (anchor.owner, AnchorEvent::Applied(anchor.locals().clone()));
            self.ledger.context_changed(id);
            self.tell(id, owner, event);
            return Ok(());
        };
        let (gateway, context) = (anchor.gateway, context.clone());
        self.send(now, gateway, vec![action], Purpose::Configure(id))?;
        if let Some(anchor) = self.anchors.get_mut(id) {
            anchor.state = State::Configuring(context, plan, asked);
        }
        Ok(())
    }

    /// Has a restart not lose an anchor: to be called when its call is confirmed.
    pub fn keep(&mut self, now: Instant, id: AnchorId) {
        if let Some(anchor) = self.anchors.get_mut(id)
            && anchor.kept_at.is_none()
        {
            anchor.kept_at = Some(now);
            self.ledger.context_changed(id);
        }
    }

    /// Lets go of an anchor: its context is subtracted, now or as soon as what is on its way is
    /// there. Nothing more is heard of it.
    pub fn release(&mut self, now: Instant, id: AnchorId) {
        let Some(anchor) = self.anchors.get_mut(id) else {
            return;
        };
        anchor.is_released = true;
        if matches!(anchor.state, State::Ready(_)) {
            self.end(now, id);
        }
    }

    /// True for an address at which one of our gateways receives media of a call.
    pub fn is_local(&self, address: SocketAddr) -> bool {
        self.anchors.is_local(address)
    }

    /// The owner's name for the call of which one of our gateways receives media at this address.
    pub fn owner_of(&self, address: SocketAddr) -> Option<u64> {
        self.anchors.owner_of(address)
    }

    // ---- for the node ----

    /// A datagram came from a gateway.
    pub fn handle_datagram(
        &mut self,
        now: Instant,
        counters: &mut Counters,
        source: SocketAddr,
        bytes: &[u8],
    ) {
        // For a gateway with a connection nothing else speaks.
        if self.links.to(source).is_some() {
            return counters.count(Counter::H248Foreign);
        }
        self.handle_message(now, counters, source, bytes);
    }

    /// A gateway connected over TCP.
    pub fn handle_accepted(&mut self, stream: StreamId, source: SocketAddr) {
        self.handle_link(stream, Framing::Tpkt, vec![source]);
    }

    /// A gateway that has these addresses, at least one, is associated over SCTP.
    pub fn handle_associated(&mut self, stream: StreamId, sources: Vec<SocketAddr>) {
        self.handle_link(stream, Framing::Message, sources);
    }

    fn handle_link(&mut self, stream: StreamId, framing: Framing, sources: Vec<SocketAddr>) {
        if self.links.len() >= LINKS_MAX {
            self.outputs.push_back(MgcOutput::Close(stream));
        } else if let Some(earlier) = self.links.insert(stream, framing, sources) {
            self.outputs.push_back(MgcOutput::Close(earlier));
        }
    }

    /// Octets came on a gateway's connection: over TCP any, over SCTP a message.
    pub fn handle_received(
        &mut self,
        now: Instant,
        counters: &mut Counters,
        stream: StreamId,
        bytes: &[u8],
    ) {
        if self.links.framing(stream) == Some(Framing::Message) {
            return self.handle_linked(now, counters, stream, bytes);
        }
        let Some(mut framer) = self.links.take_framer(stream) else {
            return;
        };
        framer.push(bytes);
        loop {
            match framer.next_message() {
                Ok(Some(message)) => self.handle_linked(now, counters, stream, message),
                Ok(None) => break,
                Err(tpkt::NotTpkt) => {
                    counters.count(Counter::H248Malformed);
                    self.links.remove(stream);
                    self.outputs.push_back(MgcOutput::Close(stream));
                    break;
                }
            }
        }
        self.links.restore(stream, framer);
        self.drain(now, counters);
    }

    /// A message came on a gateway's connection.
    fn handle_linked(
        &mut self,
        now: Instant,
        counters: &mut Counters,
        stream: StreamId,
        message: &[u8],
    ) {
        self.name_link(stream, message);
        if let Some(peer) = self.links.peer_of(stream) {
            self.handle_message(now, counters, peer, message);
        }
    }

    /// A gateway's connection is gone. The gateway makes another, or is missed in time.
    pub fn handle_closed(&mut self, stream: StreamId) {
        self.links.remove(stream);
    }

    fn handle_message(
        &mut self,
        now: Instant,
        counters: &mut Counters,
        from: SocketAddr,
        bytes: &[u8],
    ) {
        self.hear(now, from);
        self.endpoint.handle_input(now, from, bytes);
        self.drain(now, counters);
    }

    /// Learns from the first message whose a connection is. What its gateway was asked on an
    /// earlier one it is asked again.
    fn name_link(&mut self, stream: StreamId, message: &[u8]) {
        let Some(sources) = self.links.unnamed(stream) else {
            return;
        };
        let Some((mid, own)) = links::sender(message, sources) else {
            return;
        };
        let gateway = self.gateways.with_mid(&mid).map(|id| &self.gateways[id]);
        let has = |ip| sources.iter().any(|source| source.ip() == ip);
        let is_same = |it: &&Gateway| it.is_connected && has(it.address.ip());
        let known = gateway.filter(is_same).map(|gateway| gateway.address);
        let Some(peer) = known.or(own).or(sources.first().copied()) else {
            return;
        };
        if let Some(earlier) = self.links.set_peer(stream, peer) {
            self.outputs.push_back(MgcOutput::Close(earlier));
        }
        self.endpoint.handle_connected(peer);
    }

    /// When the controller wants attention.
    pub fn next_timeout(&self) -> Option<Instant> {
        let gateways = self.gateways.iter().filter_map(Gateway::next_timeout);
        gateways.chain(self.endpoint.next_timeout()).min()
    }

    /// Lets time pass.
    pub fn handle_timeout(&mut self, now: Instant, counters: &mut Counters) {
        self.handle_gateways(now);
        self.endpoint.handle_timeout(now);
        self.drain(now, counters);
    }

    /// Takes what is to be done or known. Drain after every call.
    pub fn poll_output(&mut self) -> Option<MgcOutput> {
        loop {
            if let Some(output) = self.outputs.pop_front() {
                return Some(output);
            }
            match self.endpoint.poll_output()? {
                Out::Transmit { to, bytes } => self.transmit(to, bytes),
                // Everything else was taken when it came in.
                _ => return None,
            }
        }
    }

    /// Sends a message on its receiver's connection, or as a datagram. To a gateway that is to make
    /// a connection it goes again when it has.
    fn transmit(&mut self, to: SocketAddr, bytes: Vec<u8>) {
        let output = match self.links.to(to) {
            Some(stream) => {
                let framed = self.links.frame(stream, bytes);
                framed.map(|bytes| MgcOutput::Send { stream, bytes })
            }
            None => {
                let gateway = self.gateways.at_address(to).map(|id| &self.gateways[id]);
                let is_connected = gateway.is_some_and(|gateway| gateway.is_connected);
                (!is_connected).then_some(MgcOutput::Transmit { to, bytes })
            }
        };
        self.outputs.extend(output);
    }

    /// The context of an anchor, when there is one.
    pub fn context_of(&self, id: AnchorId) -> Option<CallContext> {
        let anchor = self.anchors.get(id)?;
        Some(CallContext {
            gateway: self.gateways[anchor.gateway].name(),
            context: anchor.context()?.id,
        })
    }

    /// Contexts held for anchors and rooms.
    pub fn contexts(&self) -> usize {
        self.anchors.len() + self.rooms.contexts()
    }

    /// Their terminations: an anchor has two.
    pub fn terminations(&self) -> usize {
        2 * self.anchors.len() + self.rooms.members()
    }

    /// The gateways.
    pub fn gateways(&self) -> Vec<MediaGatewayStatus> {
        let status = |id| {
            let gateway = &self.gateways[id];
            gateway.status(self.rooms.contexts_at(id))
        };
        self.gateways.ids().map(status).collect()
    }

    // ---- transactions ----

    fn send(
        &mut self,
        now: Instant,
        gateway: GatewayId,
        actions: Vec<ActionRequest>,
        purpose: Purpose,
    ) -> Result<(), AnchorError> {
        let to = self.gateways[gateway].address;
        let sent = self.endpoint.send_request(now, to, actions, purpose);
        let number = sent.map_err(|_| AnchorError::Limit)?;
        self.ledger.number_used(number);
        Ok(())
    }

    fn drain(&mut self, now: Instant, counters: &mut Counters) {
        while let Some(output) = self.endpoint.poll_output() {
            match output {
                Out::Transmit { to, bytes } => self.transmit(to, bytes),
                Out::Request {
                    handle,
                    mid,
                    version,
                    actions,
                } => {
                    let asker = Asker {
                        source: handle.peer,
                        mid: &mid,
                        version,
                    };
                    let body = if self.is_impostor(&asker) {
                        counters.count(Counter::H248Foreign);
                        let code = ErrorCode::COMMAND_FROM_UNAUTHORIZED;
                        ReplyBody::Error(ErrorDescriptor::new(code))
                    } else {
                        self.execute(now, &asker, &actions)
                    };
                    // Unknown means that its peer was forgotten meanwhile.
                    let _ = self.endpoint.reply(now, handle, body);
                    // What a gateway is told on its registration goes out behind the reply.
                    self.handle_gateways(now);
                }
                Out::Reply { token, body, .. } => self.conclude(now, token, Outcome::Reply(&body)),
                Out::Pending { .. } => {}
                Out::Failed { token, reason, .. } => match reason {
                    Failure::Timeout => {
                        counters.count(Counter::H248Timeout);
                        if !self.loses_gateway(now, token) {
                            self.conclude(now, token, Outcome::Unanswered);
                        }
                    }
                    Failure::MalformedReply(_) => self.conclude(now, token, Outcome::Unreadable),
                    // We gave it up, and had done then what follows from it.
                    Failure::Disconnected => {}
                },
                Out::MessageError { .. } => counters.count(Counter::H248Malformed),
            }
        }
    }

    /// A transaction timed out; true when its gateway is taken to be gone, and everything with it.
    fn loses_gateway(&mut self, now: Instant, purpose: Purpose) -> bool {
        let gateway = self.gateway_of(purpose);
        gateway.is_some_and(|gateway| self.loses_silent(now, gateway))
    }

    fn gateway_of(&self, purpose: Purpose) -> Option<GatewayId> {
        match purpose {
            Purpose::Reserve(id)
            | Purpose::Configure(id)
            | Purpose::TakeBack(id)
            | Purpose::Slow(id) => self.anchors.get(id).map(|anchor| anchor.gateway),
            Purpose::Release(id, _)
            | Purpose::Audit(id, _)
            | Purpose::Start(id)
            | Purpose::Probe(id) => Some(id),
            Purpose::Room(flight) => self.rooms.gateway_of(flight),
        }
    }

    fn conclude(&mut self, now: Instant, purpose: Purpose, outcome: Outcome<'_>) {
        let code = match outcome {
            Outcome::Reply(body) => replies::refusal(body),
            Outcome::Unreadable | Outcome::Unanswered => None,
        };
        if code.is_some_and(says_stranger)
            && let Some(gateway) = self.gateway_of(purpose)
        {
            self.doubt(now, gateway);
        }
        match purpose {
            Purpose::Reserve(id) => self.reserved(now, id, outcome),
            Purpose::Configure(id) => self.configured(now, id, outcome),
            Purpose::TakeBack(id) => self.taken_back(now, id, outcome),
            Purpose::Slow(id) => self.slowed(now, id, outcome, code),
            Purpose::Audit(gateway, anchor) => {
                let verdict = match outcome {
                    Outcome::Reply(_) if code.is_some_and(says_gone) => Verdict::Gone,
                    Outcome::Reply(_) | Outcome::Unreadable => Verdict::There,
                    Outcome::Unanswered => Verdict::Unknown,
                };
                self.audited(now, gateway, anchor, verdict);
            }
            Purpose::Release(gateway, context) => match outcome {
                Outcome::Reply(_) if code.is_none_or(says_gone) => {
                    let gateway = &mut self.gateways[gateway];
                    gateway.departing -= 1;
                    self.ledger.context_gone(gateway.number, context);
                }
                _ => self.orphan(now, gateway, context),
            },
            Purpose::Start(gateway) => {
                let is_obeyed = !code.is_some_and(says_stranger);
                let is_answered = !matches!(outcome, Outcome::Unanswered);
                if let Outcome::Reply(body) = outcome {
                    self.gateways[gateway].is_resource = replies::says_resource(body);
                }
                self.started(now, gateway, is_obeyed && is_answered);
            }
            Purpose::Probe(gateway) => {
                // One that only missed this probe is asked again like one that answered.
                self.probed(now, gateway, !code.is_some_and(says_stranger));
            }
            Purpose::Room(flight) => self.room_concluded(now, flight, outcome),
        }
    }

    // ---- anchors ----

    fn reserved(&mut self, now: Instant, id: AnchorId, outcome: Outcome<'_>) {
        let Some(anchor) = self.anchors.get(id) else {
            return;
        };
        let State::Reserving(plan) = &anchor.state else {
            return;
        };
        let (gateway, owner, is_released) = (anchor.gateway, anchor.owner, anchor.is_released);
        let result = match outcome {
            Outcome::Reply(body) => replies::reserved(&anchor.spec, plan, body),
            Outcome::Unreadable => Err(AnchorError::Nonsense),
            Outcome::Unanswered => Err(AnchorError::Timeout),
        };
        let result = match result {
            Ok((context, _)) if self.anchors.in_context(gateway, context.id).is_some() => {
                Err(AnchorError::Nonsense)
            }
            result => result,
        };
        match result {
            Ok((context, locals)) => {
                let plan = plan.clone();
                self.anchors.enter(id, context, plan, locals.clone());
                if is_released {
                    self.end(now, id);
                } else {
                    self.tell(id, owner, AnchorEvent::Applied(locals));
                }
            }
            Err(error) => {
                if let Outcome::Reply(body) = outcome {
                    self.subtract_made(now, gateway, body);
                }
                if says_full(error) {
                    self.gateways[gateway].full_until = now + FULL_FOR;
                    if !is_released && self.reserve_elsewhere(now, id) {
                        return;
                    }
                }
                self.remove(id);
                if !is_released {
                    self.tell(id, owner, AnchorEvent::Failed(error));
                }
            }
        }
    }

    /// Tries another gateway, after one that had no room; false when there is none with room.
    fn reserve_elsewhere(&mut self, now: Instant, id: AnchorId) -> bool {
        let Some(anchor) = self.anchors.get_mut(id) else {
            return false;
        };
        let Ok(other) = self.gateways.least_loaded(now, anchor.spec.emergency) else {
            return false;
        };
        if self.gateways[other].full_until > now {
            return false;
        }
        let State::Reserving(plan) = &anchor.state else {
            return false;
        };
        if anchor.refusals >= REFUSALS_MAX {
            return false;
        }
        anchor.refusals += 1;
        let action = compile::reserve(&anchor.spec, plan);
        let first = std::mem::replace(&mut anchor.gateway, other);
        self.gateways[first].anchors -= 1;
        self.gateways[other].anchors += 1;
        self.gateways[other].throttle.count(now);
        self.send(now, other, vec![action], Purpose::Reserve(id))
            .is_ok()
    }

    /// Subtracts what a reply says was made, though it is no use.
    fn subtract_made(&mut self, now: Instant, gateway: GatewayId, body: &ReplyBody) {
        for context in replies::contexts(body) {
            if self.anchors.in_context(gateway, context).is_none() {
                self.subtract(now, gateway, context);
            }
        }
    }

    fn configured(&mut self, now: Instant, id: AnchorId, outcome: Outcome<'_>) {
        let Some(anchor) = self.anchors.get(id) else {
            return;
        };
        let State::Configuring(context, plan, asked) = &anchor.state else {
            return;
        };
        let result = match outcome {
            Outcome::Reply(body) => {
                replies::configured(&anchor.spec, context, plan, anchor.locals(), *asked, body)
            }
            Outcome::Unreadable => Configured::Nonsense,
            Outcome::Unanswered => return self.lose_anchor(now, id),
        };
        match result {
            Configured::Done(locals) => {
                let (context, plan) = (context.clone(), plan.clone());
                self.anchors.enter(id, context, plan, locals.clone());
                self.ledger.context_changed(id);
                self.settle(now, id, AnchorEvent::Applied(locals));
            }
            Configured::Refused(code, _) if says_gone(code) => self.lose_anchor(now, id),
            Configured::Refused(code, changed) => {
                let (error, asked) = (AnchorError::Refused(code.0), *asked);
                let changed = [asked[0] && changed[0], asked[1] && changed[1]];
                self.take_back(now, id, error, changed);
            }
            Configured::Nonsense => {
                let asked = *asked;
                self.take_back(now, id, AnchorError::Nonsense, asked);
            }
        }
    }

    /// Takes back what became of a plan on these sides, then tells the error.
    fn take_back(&mut self, now: Instant, id: AnchorId, error: AnchorError, sides: [bool; 2]) {
        let Some(anchor) = self.anchors.get_mut(id) else {
            return;
        };
        let State::Configuring(context, tried, _) = &anchor.state else {
            return;
        };
        if anchor.is_released {
            self.end(now, id);
            return;
        }
        let (gateway, heartbeat) = (anchor.gateway, anchor.heartbeat);
        let before = (tried, anchor.locals());
        let (spec, applied) = (&anchor.spec, &anchor.applied);
        let commands = compile::configure(spec, context, before, applied, sides, heartbeat);
        let context = context.clone();
        let Some((action, asked)) = commands else {
            anchor.state = State::Ready(context);
            return self.settle(now, id, AnchorEvent::Failed(error));
        };
        anchor.state = State::TakingBack(context, error, asked);
        let sent = self.send(now, gateway, vec![action], Purpose::TakeBack(id));
        if sent.is_err() {
            self.lose_anchor(now, id);
        }
    }

    fn taken_back(&mut self, now: Instant, id: AnchorId, outcome: Outcome<'_>) {
        let Some(anchor) = self.anchors.get(id) else {
            return;
        };
        let State::TakingBack(context, error, asked) = &anchor.state else {
            return;
        };
        let result = match outcome {
            Outcome::Reply(body) => replies::configured(
                &anchor.spec,
                context,
                &anchor.applied,
                anchor.locals(),
                *asked,
                body,
            ),
            Outcome::Unreadable | Outcome::Unanswered => Configured::Nonsense,
        };
        match result {
            // At another address the peers would not find it.
            Configured::Done(locals) if locals == *anchor.locals() => {
                let (context, error) = (context.clone(), *error);
                if let Some(anchor) = self.anchors.get_mut(id) {
                    anchor.state = State::Ready(context);
                }
                self.settle(now, id, AnchorEvent::Failed(error));
            }
            _ => self.lose_anchor(now, id),
        }
    }

    /// A termination says that no command has named it for long: if its context is in the journal,
    /// that is as it should be, and it is to speak up seldom.
    fn slow(&mut self, now: Instant, id: AnchorId) {
        let Some(anchor) = self.anchors.get(id) else {
            return;
        };
        let is_durable = |at| now.since(at) >= DURABLE_AFTER;
        let wants = anchor.heartbeat == Heartbeat::New && anchor.kept_at.is_some_and(is_durable);
        let State::Ready(context) = &anchor.state else {
            return;
        };
        if !wants {
            return;
        }
        let context = context.clone();
        let action = compile::beat(&anchor.spec, &context, &anchor.applied, Heartbeat::Kept);
        // If it cannot be sent, the next report will do.
        if self
            .send(now, anchor.gateway, vec![action], Purpose::Slow(id))
            .is_ok()
            && let Some(anchor) = self.anchors.get_mut(id)
        {
            anchor.state = State::Slowing(context, None);
        }
    }

    fn slowed(
        &mut self,
        now: Instant,
        id: AnchorId,
        outcome: Outcome<'_>,
        code: Option<ErrorCode>,
    ) {
        if code.is_some_and(says_gone) {
            return self.lose_anchor(now, id);
        }
        let Some(anchor) = self.anchors.get_mut(id) else {
            return;
        };
        let State::Slowing(context, next) = &mut anchor.state else {
            return;
        };
        let next = next.take();
        if matches!(outcome, Outcome::Reply(_)) && code.is_none() {
            anchor.heartbeat = Heartbeat::Kept;
        }
        anchor.state = State::Ready(context.clone());
        if anchor.is_released {
            self.end(now, id);
        } else if let Some(plan) = next {
            let owner = anchor.owner;
            if let Err(error) = self.apply(now, id, plan) {
                self.tell(id, owner, AnchorEvent::Failed(error));
            }
        }
    }

    /// Nothing is under way any more: the owner hears of it, or the anchor goes as its owner
    /// wished.
    fn settle(&mut self, now: Instant, id: AnchorId, event: AnchorEvent) {
        let Some(anchor) = self.anchors.get(id) else {
            return;
        };
        if anchor.is_released {
            self.end(now, id);
        } else {
            let owner = anchor.owner;
            self.tell(id, owner, event);
        }
    }

    /// Nobody can tell what an anchor's context is like, or it is no use: it is subtracted, and the
    /// owner told.
    fn lose_anchor(&mut self, now: Instant, id: AnchorId) {
        let Some(anchor) = self.end(now, id) else {
            return;
        };
        if !anchor.is_released {
            self.tell(id, anchor.owner, AnchorEvent::Lost);
        }
    }

    /// Removes an anchor and subtracts its context.
    fn end(&mut self, now: Instant, id: AnchorId) -> Option<Anchor> {
        let anchor = self.remove(id)?;
        if let Some(context) = anchor.context() {
            self.subtract(now, anchor.gateway, context.id);
        }
        Some(anchor)
    }

    fn remove(&mut self, id: AnchorId) -> Option<Anchor> {
        let anchor = self.anchors.remove(id)?;
        self.gateways[anchor.gateway].anchors -= 1;
        Some(anchor)
    }

    fn tell(&mut self, anchor: AnchorId, owner: u64, event: AnchorEvent) {
        self.outputs.push_back(MgcOutput::Anchor {
            anchor,
            owner,
            event,
        });
    }
}

/// True for a refusal that another gateway may not give.
fn says_full(error: AnchorError) -> bool {
    let full = [
        ErrorCode::INSUFFICIENT_RESOURCES,
        ErrorCode::INSUFFICIENT_BANDWIDTH,
    ];
    matches!(error, AnchorError::Refused(code) if full.contains(&ErrorCode(code)))
}

/// Codes of H.248.8 that say that the context or its terminations are not there.
const fn says_gone(code: ErrorCode) -> bool {
    matches!(
        code,
        ErrorCode::UNKNOWN_CONTEXT
            | ErrorCode::UNKNOWN_TERMINATION
            | ErrorCode::NO_TERMINATION_MATCHED
            | ErrorCode::NOT_IN_CONTEXT
    )
}

/// Codes of H.248.8 that say that the gateway does not obey us: not yet, or not any more.
const fn says_stranger(code: ErrorCode) -> bool {
    matches!(
        code,
        ErrorCode::UNAUTHORIZED
            | ErrorCode::NOT_READY
            | ErrorCode::SERVICE_UNAVAILABLE
            | ErrorCode::COMMAND_FROM_UNAUTHORIZED
            | ErrorCode::BEFORE_RESTART
    )
}

#[cfg(test)]
mod tests;
