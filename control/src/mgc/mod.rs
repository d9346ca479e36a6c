//! The media gateway controller (H.248.1 3.12): the only way from a functional entity to the media process.
//!
//! An entity states what it wants of a call's media as a [`Plan`]; the controller keeps the difference to what the
//! gateway has and sends it as commands. Gateways announce themselves by ServiceChange; calls go to the one in
//! service that carries the fewest; one that does not answer is out of service until it announces itself again,
//! and its calls are lost.

mod compile;
mod gateway;
mod plan;

use std::collections::{HashMap, VecDeque};
use std::net::SocketAddr;
use std::time::Duration;

use base::{Entropy, Instant};
use h248::error::ErrorCode;
use h248::message::{ActionReply, ErrorDescriptor, Mid, ReplyBody, TransactionId};
use h248::transaction::{Config, Endpoint, Failure, Output as Out};

pub use plan::{
    AnchorError, AnchorEvent, AnchorId, AnchorSpec, Endpoint as RtpEndpoint, Family, Locals, Mode,
    Plan, Side, SidePlan, StreamPlan,
};

use crate::admin::MediaGatewayStatus;
use crate::counters::{Counter, Counters};
use compile::Context;
use gateway::{Gateway, GatewayState};

/// Anchors at once, over all gateways.
const ANCHORS_MAX: usize = 500_000;
/// Gateways known at once.
const GATEWAYS_MAX: usize = 1024;
/// A gateway not heard of for so long is asked whether it is there.
const PROBE_AFTER: Duration = Duration::from_secs(10);
/// Without media for so long, a call is taken to hang.
const INACTIVITY: Duration = Duration::from_secs(300);

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
    /// News of an anchor.
    Anchor {
        /// The anchor.
        anchor: AnchorId,
        /// Its owner's name for it.
        owner: u64,
        /// The news.
        event: AnchorEvent,
    },
}

/// The controller.
#[derive(Debug)]
pub struct Mgc {
    endpoint: Endpoint<Purpose>,
    gateways: Vec<Gateway>,
    anchors: Vec<(u32, Option<Anchor>)>,
    free: Vec<u32>,
    by_context: HashMap<(usize, u32), AnchorId>,
    by_local: HashMap<SocketAddr, AnchorId>,
    events: VecDeque<MgcOutput>,
}

#[derive(Debug)]
struct Anchor {
    owner: u64,
    gateway: usize,
    spec: AnchorSpec,
    context: Option<Context>,
    applied: Plan,
    locals: Locals,
    /// The plan that the gateway has not confirmed yet.
    in_flight: Option<Plan>,
    /// The owner has let go of it.
    released: bool,
}

/// What a transaction of ours is for.
#[derive(Clone, Copy, Debug)]
enum Purpose {
    Reserve(AnchorId),
    Configure(AnchorId),
    Release { gateway: usize, context: u32 },
    Probe(usize),
}

impl Mgc {
    /// A controller at `address` whose transaction numbers start where a restart cannot repeat them.
    pub fn new(address: SocketAddr, now: Instant, entropy: Entropy) -> Self {
        // Seconds since the epoch, 1 000 numbers each: a restart starts past what was used before.
        let first = TransactionId((now.as_secs().wrapping_mul(1000) as u32) & 0x7fff_ffff);
        let config = Config::new(Mid::from(address), first);
        Self {
            endpoint: Endpoint::new(config, entropy),
            gateways: Vec::new(),
            anchors: Vec::new(),
            free: Vec::new(),
            by_context: HashMap::new(),
            by_local: HashMap::new(),
            events: VecDeque::new(),
        }
    }

    // ---- for entities ----

    /// Reserves what `plan` needs at some gateway; [`AnchorEvent::Applied`] or `Failed` follows. After `Failed`
    /// the anchor is still to be released.
    ///
    /// # Errors
    /// `NoGateway`, `Limit`.
    pub fn open(
        &mut self,
        now: Instant,
        owner: u64,
        spec: AnchorSpec,
        plan: Plan,
    ) -> Result<AnchorId, AnchorError> {
        let gateway = self.choose().ok_or(AnchorError::NoGateway)?;
        if self.anchors.len() - self.free.len() >= ANCHORS_MAX {
            return Err(AnchorError::Limit);
        }
        let action = compile::reserve(&spec, &plan, INACTIVITY);
        let anchor = Anchor {
            owner,
            gateway,
            spec,
            context: None,
            applied: Plan::default(),
            locals: Locals::default(),
            in_flight: Some(plan),
            released: false,
        };
        let id = self.insert(anchor);
        let to = self.gateways[gateway].address;
        if self
            .endpoint
            .send_request(now, to, vec![action], Purpose::Reserve(id))
            .is_err()
        {
            self.remove(id);
            return Err(AnchorError::Limit);
        }
        self.gateways[gateway].contexts += 1;
        Ok(id)
    }

    /// Brings another plan into force; [`AnchorEvent::Applied`] or `Failed` follows. One at a time.
    pub fn apply(&mut self, now: Instant, id: AnchorId, plan: Plan) {
        let Some(anchor) = self.get_mut(id) else {
            return;
        };
        let (owner, gateway) = (anchor.owner, anchor.gateway);
        let fail = |error| MgcOutput::Anchor {
            anchor: id,
            owner,
            event: AnchorEvent::Failed(error),
        };
        let context = match &anchor.context {
            Some(context) if anchor.in_flight.is_none() => context,
            Some(_) => return self.events.push_back(fail(AnchorError::Limit)),
            None => return self.events.push_back(fail(AnchorError::Lost)),
        };
        let action = compile::configure(&anchor.spec, context, &anchor.applied, &plan, INACTIVITY);
        if action.commands.is_empty() {
            anchor.applied = plan;
            let event = AnchorEvent::Applied(anchor.locals.clone());
            return self.events.push_back(MgcOutput::Anchor {
                anchor: id,
                owner,
                event,
            });
        }
        anchor.in_flight = Some(plan);
        let to = self.gateways[gateway].address;
        if self
            .endpoint
            .send_request(now, to, vec![action], Purpose::Configure(id))
            .is_err()
        {
            if let Some(anchor) = self.get_mut(id) {
                anchor.in_flight = None;
            }
            self.events.push_back(fail(AnchorError::Limit));
        }
    }

    /// Lets go of an anchor: its context is subtracted, now or as soon as it is known. Nothing more is heard of it.
    pub fn release(&mut self, now: Instant, id: AnchorId) {
        let Some(anchor) = self.get_mut(id) else {
            return;
        };
        anchor.released = true;
        if anchor.in_flight.is_none() || anchor.context.is_some() {
            self.subtract(now, id);
        }
    }

    /// True for an address at which one of our gateways receives media of a call.
    pub fn is_local(&self, address: SocketAddr) -> bool {
        self.by_local.contains_key(&address)
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
        if let Some(gateway) = self
            .gateways
            .iter_mut()
            .find(|gateway| gateway.address == source)
        {
            gateway.heard_at = now;
        }
        self.endpoint.handle_input(now, source, bytes);
        self.drain(now, counters);
    }

    /// When the controller wants attention.
    pub fn next_timeout(&self) -> Option<Instant> {
        let probes = self.gateways.iter().filter_map(Gateway::probe_at);
        probes.chain(self.endpoint.next_timeout()).min()
    }

    /// Lets time pass.
    pub fn handle_timeout(&mut self, now: Instant, counters: &mut Counters) {
        for index in 0..self.gateways.len() {
            let gateway = &mut self.gateways[index];
            if gateway.probe_at().is_some_and(|at| at <= now) {
                gateway.is_probed = true;
                let to = gateway.address;
                let sent = self.endpoint.send_request(
                    now,
                    to,
                    vec![gateway::probe()],
                    Purpose::Probe(index),
                );
                if sent.is_err() {
                    // Thousands of requests wait already: one of them will tell.
                    self.gateways[index].is_probed = false;
                    self.gateways[index].heard_at = now;
                }
            }
        }
        self.endpoint.handle_timeout(now);
        self.drain(now, counters);
    }

    /// Takes what is to be done or known. Drain after every call.
    pub fn poll_output(&mut self) -> Option<MgcOutput> {
        if let Some(event) = self.events.pop_front() {
            return Some(event);
        }
        match self.endpoint.poll_output()? {
            Out::Transmit { to, bytes } => Some(MgcOutput::Transmit { to, bytes }),
            // Everything else was taken when it came in.
            _ => None,
        }
    }

    /// Contexts held, and the terminations in them.
    pub fn contexts(&self) -> usize {
        self.anchors.len() - self.free.len()
    }

    /// The gateways.
    pub fn gateways(&self) -> Vec<MediaGatewayStatus> {
        self.gateways.iter().map(Gateway::status).collect()
    }

    // ---- what comes from gateways ----

    fn drain(&mut self, now: Instant, counters: &mut Counters) {
        while let Some(output) = self.endpoint.poll_output() {
            match output {
                Out::Transmit { to, bytes } => {
                    self.events.push_back(MgcOutput::Transmit { to, bytes });
                }
                Out::Request {
                    handle,
                    mid,
                    version,
                    actions,
                } => {
                    let body = self.execute(now, handle.peer, &mid, version, &actions);
                    // Unknown means that it was given up meanwhile.
                    let _ = self.endpoint.reply(now, handle, body);
                }
                Out::Reply { token, body, .. } => self.handle_reply(now, token, body),
                Out::Pending { .. } => {}
                Out::Failed { token, reason, .. } => {
                    counters.count(Counter::H248Timeout);
                    self.handle_failure(now, token, &reason);
                }
                Out::MessageError { .. } => counters.count(Counter::H248Malformed),
            }
        }
    }

    fn handle_reply(&mut self, now: Instant, purpose: Purpose, body: ReplyBody) {
        let action = match body {
            ReplyBody::Actions(mut actions) if !actions.is_empty() => Ok(actions.swap_remove(0)),
            ReplyBody::Actions(_) => Err(AnchorError::Nonsense),
            ReplyBody::Error(error) => Err(AnchorError::Refused(error.code.0)),
        };
        match purpose {
            Purpose::Reserve(id) => self.reserved(now, id, action),
            Purpose::Configure(id) => self.configured(now, id, action),
            Purpose::Release { gateway, .. } => self.gateways[gateway].forget_context(),
            Purpose::Probe(gateway) => {
                self.gateways[gateway].is_probed = false;
                self.gateways[gateway].heard_at = now;
                self.subtract_orphans(now, gateway);
            }
        }
    }

    fn reserved(&mut self, now: Instant, id: AnchorId, reply: Result<ActionReply, AnchorError>) {
        let Some(anchor) = self.get_mut(id) else {
            return;
        };
        let plan = anchor.in_flight.take().unwrap_or_default();
        let (gateway, owner) = (anchor.gateway, anchor.owner);
        // A context may exist even though the reply is no use.
        let made = reply.as_ref().ok().and_then(|reply| match reply.context {
            h248::message::ContextId::Id(id) => Some(id),
            _ => None,
        });
        match reply.and_then(|reply| compile::reserved(&plan, &reply)) {
            Ok((context, locals)) => {
                self.by_context.insert((gateway, context.id), id);
                let Some(anchor) = self.get_mut(id) else {
                    return;
                };
                anchor.context = Some(context);
                anchor.applied = plan;
                let released = anchor.released;
                self.set_locals(id, locals.clone());
                if released {
                    return self.subtract(now, id);
                }
                let event = AnchorEvent::Applied(locals);
                self.events.push_back(MgcOutput::Anchor {
                    anchor: id,
                    owner,
                    event,
                });
            }
            Err(error) => {
                let released = anchor.released;
                self.remove(id);
                match made {
                    Some(context) => self.subtract_context(now, gateway, context),
                    None => self.gateways[gateway].forget_context(),
                }
                if !released {
                    let event = AnchorEvent::Failed(error);
                    self.events.push_back(MgcOutput::Anchor {
                        anchor: id,
                        owner,
                        event,
                    });
                }
            }
        }
    }

    fn configured(&mut self, now: Instant, id: AnchorId, reply: Result<ActionReply, AnchorError>) {
        let Some(anchor) = self.get_mut(id) else {
            return;
        };
        let owner = anchor.owner;
        let Some(plan) = anchor.in_flight.take() else {
            return;
        };
        let Some(context) = anchor.context.clone() else {
            return;
        };
        let locals =
            reply.and_then(|reply| compile::configured(&context, &plan, &anchor.locals, &reply));
        let event = match locals {
            Ok(locals) => {
                anchor.applied = plan;
                self.set_locals(id, locals.clone());
                AnchorEvent::Applied(locals)
            }
            // The gateway has lost the context (H.248.8: 411, 430, 435).
            Err(AnchorError::Refused(411 | 430 | 435)) => {
                self.subtract(now, id);
                AnchorEvent::Lost
            }
            Err(error) => AnchorEvent::Failed(error),
        };
        self.events.push_back(MgcOutput::Anchor {
            anchor: id,
            owner,
            event,
        });
    }

    fn handle_failure(&mut self, now: Instant, purpose: Purpose, reason: &Failure) {
        let silent = matches!(reason, Failure::Timeout);
        let gateway = match purpose {
            Purpose::Reserve(id) | Purpose::Configure(id) => {
                let Some(anchor) = self.get_mut(id) else {
                    return;
                };
                let gateway = anchor.gateway;
                let error = if silent {
                    AnchorError::Timeout
                } else {
                    AnchorError::Nonsense
                };
                match purpose {
                    Purpose::Reserve(_) => self.reserved(now, id, Err(error)),
                    _ => self.configured(now, id, Err(error)),
                }
                gateway
            }
            Purpose::Release { gateway, context } => {
                self.gateways[gateway].forget_context();
                self.gateways[gateway].orphan(context);
                gateway
            }
            Purpose::Probe(gateway) => gateway,
        };
        if silent {
            self.lose(now, gateway);
        } else {
            self.gateways[gateway].is_probed = false;
        }
    }

    /// The gateway does not answer, or says that it has lost everything: so are its calls.
    fn lose(&mut self, _now: Instant, gateway: usize) {
        self.gateways[gateway].state = GatewayState::Lost;
        self.gateways[gateway].is_probed = false;
        self.lose_anchors(gateway);
    }

    fn lose_anchors(&mut self, gateway: usize) {
        let lost: Vec<AnchorId> = self
            .anchors
            .iter()
            .enumerate()
            .filter(|(_, (_, anchor))| anchor.as_ref().is_some_and(|a| a.gateway == gateway))
            .map(|(slot, (generation, _))| AnchorId {
                slot: slot as u32,
                generation: *generation,
            })
            .collect();
        for id in lost {
            let Some(anchor) = self.remove(id) else {
                continue;
            };
            if let Some(context) = anchor.context {
                self.gateways[gateway].orphan(context.id);
            }
            if !anchor.released {
                let (owner, event) = (anchor.owner, AnchorEvent::Lost);
                self.events.push_back(MgcOutput::Anchor {
                    anchor: id,
                    owner,
                    event,
                });
            }
        }
        self.gateways[gateway].contexts = 0;
    }

    // ---- anchors ----

    fn choose(&self) -> Option<usize> {
        let able = self
            .gateways
            .iter()
            .enumerate()
            .filter(|(_, gateway)| gateway.takes_calls());
        able.min_by_key(|(_, gateway)| gateway.contexts)
            .map(|(index, _)| index)
    }

    fn insert(&mut self, anchor: Anchor) -> AnchorId {
        match self.free.pop() {
            Some(slot) => {
                let entry = &mut self.anchors[slot as usize];
                entry.1 = Some(anchor);
                AnchorId {
                    slot,
                    generation: entry.0,
                }
            }
            None => {
                self.anchors.push((0, Some(anchor)));
                AnchorId {
                    slot: (self.anchors.len() - 1) as u32,
                    generation: 0,
                }
            }
        }
    }

    fn get_mut(&mut self, id: AnchorId) -> Option<&mut Anchor> {
        let (generation, anchor) = self.anchors.get_mut(id.slot as usize)?;
        anchor.as_mut().filter(|_| *generation == id.generation)
    }

    fn remove(&mut self, id: AnchorId) -> Option<Anchor> {
        let (generation, slot) = self.anchors.get_mut(id.slot as usize)?;
        if *generation != id.generation {
            return None;
        }
        let anchor = slot.take()?;
        *generation = generation.wrapping_add(1);
        self.free.push(id.slot);
        for local in anchor.locals.0.iter().flatten().flatten() {
            self.by_local.remove(local);
        }
        if let Some(context) = &anchor.context {
            self.by_context.remove(&(anchor.gateway, context.id));
        }
        Some(anchor)
    }

    fn set_locals(&mut self, id: AnchorId, locals: Locals) {
        let Some(anchor) = self.get_mut(id) else {
            return;
        };
        let before = std::mem::replace(&mut anchor.locals, locals.clone());
        for local in before.0.iter().flatten().flatten() {
            self.by_local.remove(local);
        }
        for local in locals.0.iter().flatten().flatten() {
            self.by_local.insert(*local, id);
        }
    }

    fn subtract(&mut self, now: Instant, id: AnchorId) {
        let Some(anchor) = self.remove(id) else {
            return;
        };
        match anchor.context {
            Some(context) => self.subtract_context(now, anchor.gateway, context.id),
            None => self.gateways[anchor.gateway].forget_context(),
        }
    }

    fn subtract_context(&mut self, now: Instant, gateway: usize, context: u32) {
        let to = self.gateways[gateway].address;
        let purpose = Purpose::Release { gateway, context };
        let action = compile::release(context);
        if self
            .endpoint
            .send_request(now, to, vec![action], purpose)
            .is_err()
        {
            self.gateways[gateway].forget_context();
            self.gateways[gateway].orphan(context);
        }
    }

    /// Contexts that could not be subtracted are subtracted once the gateway answers again.
    fn subtract_orphans(&mut self, now: Instant, gateway: usize) {
        let orphans = std::mem::take(&mut self.gateways[gateway].orphans);
        self.gateways[gateway].contexts += orphans.len();
        for context in orphans {
            self.subtract_context(now, gateway, context);
        }
    }

    fn inactive(&mut self, gateway: usize, context: u32) -> bool {
        let Some(&id) = self.by_context.get(&(gateway, context)) else {
            return false;
        };
        let Some(anchor) = self.get_mut(id) else {
            return false;
        };
        let (owner, event) = (anchor.owner, AnchorEvent::Inactive);
        self.events.push_back(MgcOutput::Anchor {
            anchor: id,
            owner,
            event,
        });
        true
    }
}

fn error(code: ErrorCode) -> ReplyBody {
    ReplyBody::Error(ErrorDescriptor::new(code))
}
