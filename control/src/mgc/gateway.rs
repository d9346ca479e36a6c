//! Gateways: how they come into service, stay there and leave it (H.248.1 7.2.8, 11).

use std::collections::{HashMap, VecDeque};
use std::net::SocketAddr;
use std::time::Duration;

use base::Instant;
use h248::encoding::Encoding;
use h248::message::{Mid, VERSION};
use h248::transaction::{Association, T_MAX, Transport};
use tracing::{info, warn};

use super::anchor::State;
use super::compile;
use super::plan::{AnchorError, AnchorEvent, AnchorId};
use super::throttle::Throttle;
use super::{Mgc, MgcOutput, Purpose};
use crate::admin::MediaGatewayStatus;

/// A gateway not heard of for so long is asked whether it is there.
pub const PROBE_AFTER: Duration = Duration::from_secs(10);
/// A gateway that hears nothing from here for so long says so (`it/ito`), and registers anew when
/// nobody answers.
pub const SILENCE: Duration = Duration::from_secs(30);
/// A gateway that does not know yet that it was accepted is tried again after this.
const START_AGAIN_AFTER: Duration = Duration::from_secs(1);
/// So often, then it is taken to obey somebody else.
const STARTS_MAX: u8 = 20;
/// Contexts that a gateway would not subtract are tried again after this.
const ORPHANS_AFTER: Duration = Duration::from_secs(5);

// A gateway hears a probe, and its repetitions, before it gives up on us.
const _: () = assert!(2 * PROBE_AFTER.as_secs() <= SILENCE.as_secs());

/// Names a gateway: its place in [`Gateways`].
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct GatewayId(u32);

/// One gateway.
#[derive(Debug)]
pub struct Gateway {
    /// Its key in the journal.
    pub number: u32,
    pub mid: Mid,
    pub address: SocketAddr,
    /// It is spoken to on the connection that it makes, and not by datagrams.
    pub is_connected: bool,
    /// Protocol version agreed.
    pub version: u8,
    pub state: GatewayState,
    /// Anchors here.
    pub anchors: usize,
    /// Contexts without anchor that are still to be subtracted.
    pub departing: usize,
    /// Those of them for which no Subtract is under way.
    pub orphans: Vec<u32>,
    /// It may hold contexts that nobody knows: all are subtracted before it serves.
    pub is_dirty: bool,
    pub heard_at: Instant,
    /// It had no room lately: until then calls go elsewhere, where there is elsewhere.
    pub full_until: Instant,
    /// What it is given while it says that it is overloaded.
    pub throttle: Throttle,
    /// When to ask whether it is there; `None` while it is being asked, or need not be.
    pub probe_at: Option<Instant>,
    pub orphans_at: Option<Instant>,
    /// What it was before this process started: it has its orders and its contexts from then.
    pub returns_to: Option<GatewayState>,
    /// Anchors for which it is still to be asked whether their contexts are there.
    pub unverified: VecDeque<AnchorId>,
    /// So many it is being asked for.
    pub audits: usize,
    /// It is an MRFP: its packages play announcements.
    pub is_resource: bool,
}

/// Whether a gateway serves.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum GatewayState {
    /// It serves from then on (ServiceChangeDelay of Restart); how often it was started in vain.
    Waiting(Instant, u8),
    /// It is told what it must know before it serves; how often it was in vain.
    Starting(u8),
    /// It takes calls.
    InService,
    /// It keeps its calls and takes no new ones, if a time is given until then (ServiceChange
    /// Graceful).
    Draining(Option<Instant>),
    /// It said that it leaves (ServiceChange Forced).
    OutOfService,
    /// It does not answer.
    Lost,
}

impl Gateway {
    fn new(now: Instant, number: u32, mid: Mid, address: SocketAddr) -> Self {
        Self {
            number,
            mid,
            address,
            is_connected: false,
            version: VERSION,
            state: GatewayState::OutOfService,
            anchors: 0,
            departing: 0,
            orphans: Vec::new(),
            is_dirty: true,
            heard_at: now,
            full_until: now,
            throttle: Throttle::new(now),
            probe_at: None,
            orphans_at: None,
            returns_to: None,
            unverified: VecDeque::new(),
            audits: 0,
            is_resource: false,
        }
    }

    /// Contexts of ours that it holds, as far as is known.
    pub const fn contexts(&self) -> usize {
        self.anchors + self.departing
    }

    /// When it wants attention.
    pub fn next_timeout(&self) -> Option<Instant> {
        let state = match self.state {
            GatewayState::Waiting(at, _) => Some(at),
            GatewayState::Draining(until) => until,
            _ => None,
        };
        let times = [state, self.probe_at, self.orphans_at];
        times.into_iter().flatten().min()
    }

    /// Nothing has come from it for as long as a request is repeated.
    fn is_silent(&self, now: Instant) -> bool {
        now.since(self.heard_at) >= T_MAX
    }

    /// Its MID, for people.
    pub fn name(&self) -> String {
        display(&self.mid)
    }

    /// What people are told, with contexts of rooms.
    pub fn status(&self, rooms: usize) -> MediaGatewayStatus {
        MediaGatewayStatus {
            mid: self.name(),
            state: self.state.name().into(),
            contexts: self.contexts() + rooms,
        }
    }
}

impl GatewayState {
    /// In words.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Waiting(..) | Self::Starting(_) => "starting",
            Self::InService => "in service",
            Self::Draining(_) => "draining",
            Self::OutOfService => "out of service",
            Self::Lost => "does not answer",
        }
    }
}

/// The gateways known.
#[derive(Debug, Default)]
pub struct Gateways {
    list: Vec<Gateway>,
    by_address: HashMap<SocketAddr, GatewayId>,
    /// The number dealt last.
    number: u32,
}

impl std::ops::Index<GatewayId> for Gateways {
    type Output = Gateway;

    fn index(&self, id: GatewayId) -> &Gateway {
        &self.list[id.0 as usize]
    }
}

impl std::ops::IndexMut<GatewayId> for Gateways {
    fn index_mut(&mut self, id: GatewayId) -> &mut Gateway {
        &mut self.list[id.0 as usize]
    }
}

impl Gateways {
    pub fn iter(&self) -> impl Iterator<Item = &Gateway> {
        self.list.iter()
    }

    pub fn ids(&self) -> impl Iterator<Item = GatewayId> + use<> {
        (0..self.list.len() as u32).map(GatewayId)
    }

    pub fn len(&self) -> usize {
        self.list.len()
    }

    fn next_number(&mut self) -> u32 {
        self.number += 1;
        self.number
    }

    /// Gives a gateway the number that it had before.
    pub fn set_number(&mut self, id: GatewayId, number: u32) {
        self[id].number = number;
        self.number = self.number.max(number);
    }

    pub fn with_mid(&self, mid: &Mid) -> Option<GatewayId> {
        self.ids().find(|&id| self[id].mid == *mid)
    }

    pub fn at_address(&self, address: SocketAddr) -> Option<GatewayId> {
        self.by_address.get(&address).copied()
    }

    /// The gateway in service that carries the fewest contexts; one that had no room lately comes
    /// after all others. One that says it is overloaded gets what it may, and emergency calls.
    ///
    /// # Errors
    /// `NoGateway` when none is in service, `Overload` when none of these may get a call.
    pub fn least_loaded(
        &mut self,
        now: Instant,
        is_emergency: bool,
    ) -> Result<GatewayId, AnchorError> {
        let mut serving = 0;
        let mut best = None;
        for (index, gateway) in self.list.iter_mut().enumerate() {
            if gateway.state != GatewayState::InService || gateway.is_resource {
                continue;
            }
            serving += 1;
            gateway.throttle.advance(now);
            if !is_emergency && !gateway.throttle.admits(now) {
                continue;
            }
            let rank = (gateway.full_until > now, gateway.contexts());
            if best.is_none_or(|(least, _)| rank < least) {
                best = Some((rank, GatewayId(index as u32)));
            }
        }
        match best {
            Some((_, id)) => Ok(id),
            None if serving == 0 => Err(AnchorError::NoGateway),
            None => Err(AnchorError::Overload),
        }
    }

    /// The gateways that take calls.
    pub fn in_service(&self) -> impl Iterator<Item = GatewayId> {
        let serves = |&id: &GatewayId| self[id].state == GatewayState::InService;
        self.ids().filter(serves)
    }

    /// A gateway that has been gone for longest and has nothing of ours: another may have its
    /// place.
    fn forgettable(&self) -> Option<GatewayId> {
        let is_gone = |&id: &GatewayId| {
            let gateway = &self[id];
            let state = gateway.state;
            matches!(state, GatewayState::OutOfService | GatewayState::Lost)
                && gateway.contexts() == 0
        };
        self.ids()
            .filter(is_gone)
            .min_by_key(|&id| self[id].heard_at)
    }
}

impl Mgc {
    /// The place of the gateway `mid` at `address`, which it gets if it has none; `None` when there
    /// are too many.
    pub(super) fn place(
        &mut self,
        now: Instant,
        mid: &Mid,
        address: SocketAddr,
    ) -> Option<GatewayId> {
        let tenant = self.gateways.at_address(address);
        let id = match self.gateways.with_mid(mid) {
            Some(id) if tenant == Some(id) => return Some(id),
            Some(id) => {
                // What it is being asked was asked where it no longer is.
                self.lose_everything(id, AnchorError::Lost);
                self.leave_address(id);
                id
            }
            None if tenant.is_some() => tenant?,
            None if self.gateways.len() < self.config.gateways_max => {
                let number = self.gateways.next_number();
                let gateway = Gateway::new(now, number, mid.clone(), address);
                self.gateways.list.push(gateway);
                GatewayId(self.gateways.len() as u32 - 1)
            }
            None => {
                let id = self.gateways.forgettable()?;
                self.leave_address(id);
                let number = self.gateways.next_number();
                self.gateways[id] = Gateway::new(now, number, mid.clone(), address);
                id
            }
        };
        if let Some(tenant) = tenant {
            // Whoever was there is gone.
            self.lose_everything(tenant, AnchorError::Lost);
            self.set_state(tenant, GatewayState::OutOfService);
        }
        let gateway = &mut self.gateways[id];
        (gateway.mid, gateway.address) = (mid.clone(), address);
        self.gateways.by_address.insert(address, id);
        Some(id)
    }

    fn leave_address(&mut self, id: GatewayId) {
        let address = self.gateways[id].address;
        if self.gateways.at_address(address) == Some(id) {
            self.gateways.by_address.remove(&address);
            self.endpoint.give_up_requests(address);
            // The request in hand may have come from there and is still to be answered.
            self.endpoint.end_association(address);
        }
    }

    /// Something came from `source`.
    pub(super) fn hear(&mut self, now: Instant, source: SocketAddr) {
        let Some(id) = self.gateways.at_address(source) else {
            return;
        };
        let gateway = &mut self.gateways[id];
        gateway.heard_at = now;
        let is_waiting = gateway.probe_at.is_some();
        match gateway.state {
            GatewayState::InService | GatewayState::Draining(_) if is_waiting => {
                gateway.probe_at = Some(now + PROBE_AFTER);
            }
            GatewayState::Lost if is_waiting => gateway.probe_at = Some(now),
            _ => {}
        }
    }

    /// A ServiceChange says that a gateway serves, from `at` on.
    pub(super) fn expect(&mut self, id: GatewayId, at: Instant, version: u8) {
        let encoding = self.config.encoding;
        self.expect_in(id, at, version, encoding);
    }

    /// The same of one that is written to so until it has written.
    pub(super) fn expect_in(
        &mut self,
        id: GatewayId,
        at: Instant,
        version: u8,
        encoding: Encoding,
    ) {
        let gateway = &mut self.gateways[id];
        gateway.version = version;
        gateway.probe_at = None;
        let transport = match gateway.is_connected {
            true => Transport::Reliable,
            false => Transport::Datagram,
        };
        let association = Association {
            version,
            transport,
            encoding,
            ..Association::default()
        };
        self.endpoint.set_association(gateway.address, association);
        self.set_state(id, GatewayState::Waiting(at, 0));
    }

    /// Does what is due at the gateways.
    pub(super) fn handle_gateways(&mut self, now: Instant) {
        for id in self.gateways.ids() {
            let gateway = &mut self.gateways[id];
            let is_due = |at: Option<Instant>| at.is_some_and(|at| at <= now);
            match gateway.state {
                GatewayState::Waiting(at, tries) if at <= now => self.start(now, id, tries),
                GatewayState::Draining(until) if is_due(until) => {
                    self.lose_everything(id, AnchorError::Lost);
                    self.set_state(id, GatewayState::OutOfService);
                }
                _ => {}
            }
            let gateway = &mut self.gateways[id];
            if is_due(gateway.probe_at) {
                gateway.probe_at = None;
                let sent = self.send(now, id, vec![compile::probe()], Purpose::Probe(id));
                if sent.is_err() {
                    // Thousands of requests wait already: one of them will tell.
                    self.gateways[id].probe_at = Some(now + PROBE_AFTER);
                }
            }
            let gateway = &mut self.gateways[id];
            if is_due(gateway.orphans_at) {
                gateway.orphans_at = None;
                for context in std::mem::take(&mut gateway.orphans) {
                    self.send_subtract(now, id, context);
                }
            }
        }
    }

    fn start(&mut self, now: Instant, id: GatewayId, tries: u8) {
        let clears = self.gateways[id].is_dirty;
        let actions = compile::start(clears, SILENCE, self.config.has_rooms);
        let sent = self.send(now, id, actions, Purpose::Start(id));
        let state = match sent {
            Ok(()) => GatewayState::Starting(tries),
            Err(_) => GatewayState::Waiting(now + START_AGAIN_AFTER, tries),
        };
        self.set_state(id, state);
    }

    /// A gateway did what it must before it serves, or would not.
    pub(super) fn started(&mut self, now: Instant, id: GatewayId, is_obeyed: bool) {
        let GatewayState::Starting(tries) = self.gateways[id].state else {
            return;
        };
        if is_obeyed {
            let gateway = &mut self.gateways[id];
            gateway.is_dirty = false;
            gateway.probe_at = Some(now + PROBE_AFTER);
            let returns_to = gateway.returns_to.take();
            self.set_state(id, returns_to.unwrap_or(GatewayState::InService));
            if returns_to.is_some() {
                self.verify(now, id);
            }
        } else if tries < STARTS_MAX {
            let again = now + START_AGAIN_AFTER;
            self.set_state(id, GatewayState::Waiting(again, tries + 1));
        } else {
            self.lose(now, id);
        }
    }

    /// A gateway says that it is overloaded (`ocp/mg_overload`).
    pub(super) fn relieve(&mut self, now: Instant, id: GatewayId) {
        let gateway = &mut self.gateways[id];
        if gateway.throttle.overloaded(now) {
            let (mid, rate) = (display(&gateway.mid), gateway.throttle.rate());
            warn!(mid, calls_per_s = rate, "media gateway overloaded");
        }
    }

    /// A gateway answered a probe: as one that obeys us, or not.
    pub(super) fn probed(&mut self, now: Instant, id: GatewayId, is_obeyed: bool) {
        let gateway = &mut self.gateways[id];
        match gateway.state {
            GatewayState::Lost if is_obeyed => self.start(now, id, 0),
            GatewayState::Lost => gateway.probe_at = Some(now + PROBE_AFTER),
            GatewayState::InService | GatewayState::Draining(_) if is_obeyed => {
                gateway.probe_at = Some(now + PROBE_AFTER);
            }
            GatewayState::InService | GatewayState::Draining(_) => self.lose(now, id),
            GatewayState::Waiting(..) | GatewayState::Starting(_) | GatewayState::OutOfService => {}
        }
    }

    /// A gateway refused as if it did not obey us: it is asked at once whether it does.
    pub(super) fn doubt(&mut self, now: Instant, id: GatewayId) {
        let gateway = &mut self.gateways[id];
        if gateway.probe_at.is_some() {
            gateway.probe_at = Some(now);
            self.handle_gateways(now);
        }
    }

    /// A request was not answered; true when nothing else came either, and the gateway is taken to
    /// be gone.
    pub(super) fn loses_silent(&mut self, now: Instant, id: GatewayId) -> bool {
        let is_silent = self.gateways[id].is_silent(now);
        if is_silent {
            self.lose(now, id);
        }
        is_silent
    }

    /// A gateway does not answer, or does not obey: its calls are lost. It is asked now and then.
    fn lose(&mut self, now: Instant, id: GatewayId) {
        self.lose_everything(id, AnchorError::Timeout);
        self.gateways[id].probe_at = Some(now + PROBE_AFTER);
        self.set_state(id, GatewayState::Lost);
        // Its connection leads nowhere; if the gateway is there it makes another.
        if let Some(stream) = self.links.to(self.gateways[id].address) {
            self.links.remove(stream);
            self.outputs.push_back(MgcOutput::Close(stream));
        }
    }

    /// Whatever a gateway has of ours is lost, and what it is being asked is of no use any more.
    ///
    /// Owners hear once for each anchor: that it is lost, or that it could not be had because of
    /// `error`.
    pub(super) fn lose_everything(&mut self, id: GatewayId, error: AnchorError) {
        let address = self.gateways[id].address;
        if self.gateways.at_address(address) == Some(id) {
            self.endpoint.give_up_requests(address);
        }
        let mut lost = self.lose_rooms_at(id);
        for anchor_id in self.anchors.at(id) {
            let Some(anchor) = self.remove(anchor_id) else {
                continue;
            };
            lost += 1;
            let event = match anchor.state {
                State::Reserving(_) => AnchorEvent::Failed(error),
                _ => AnchorEvent::Lost,
            };
            if !anchor.is_released {
                self.tell(anchor_id, anchor.owner, event);
            }
        }
        let gateway = &mut self.gateways[id];
        if lost > 0 {
            let mid = display(&gateway.mid);
            warn!(mid, contexts = lost, "media lost");
        }
        self.ledger.all_gone(gateway.number);
        debug_assert_eq!(gateway.anchors, 0);
        gateway.departing = 0;
        gateway.orphans.clear();
        gateway.orphans_at = None;
        gateway.probe_at = None;
        gateway.is_dirty = true;
        gateway.returns_to = None;
        gateway.unverified.clear();
        gateway.audits = 0;
    }

    /// Subtracts a context that has no anchor (any more).
    pub(super) fn subtract(&mut self, now: Instant, id: GatewayId, context: u32) {
        self.gateways[id].departing += 1;
        self.send_subtract(now, id, context);
    }

    fn send_subtract(&mut self, now: Instant, id: GatewayId, context: u32) {
        let purpose = Purpose::Release(id, context);
        let sent = self.send(now, id, vec![compile::release(context)], purpose);
        if sent.is_err() {
            self.orphan(now, id, context);
        }
    }

    /// A context could not be subtracted: it is tried again.
    pub(super) fn orphan(&mut self, now: Instant, id: GatewayId, context: u32) {
        let gateway = &mut self.gateways[id];
        gateway.orphans.push(context);
        gateway.orphans_at.get_or_insert(now + ORPHANS_AFTER);
    }

    pub(super) fn set_state(&mut self, id: GatewayId, state: GatewayState) {
        let gateway = &mut self.gateways[id];
        self.ledger.gateway_changed(gateway.number);
        let before = std::mem::replace(&mut gateway.state, state);
        if before.name() == state.name() {
            return;
        }
        let (mid, state) = (display(&gateway.mid), state.name());
        if gateway.state == GatewayState::Lost {
            warn!(mid, state, "media gateway");
        } else {
            info!(mid, state, "media gateway");
        }
    }
}

/// A MID as people write it.
pub(super) fn display(mid: &Mid) -> String {
    let with_port = |host: String, port: &Option<u16>| match port {
        Some(port) => format!("{host}:{port}"),
        None => host,
    };
    match mid {
        Mid::Ipv4(ip, port) => with_port(ip.to_string(), port),
        Mid::Ipv6(ip, port) => with_port(format!("[{ip}]"), port),
        Mid::Domain(name, port) => with_port(name.to_string(), port),
        Mid::Device(name) => name.to_string(),
        Mid::Mtp(octets) => octets.iter().map(|octet| format!("{octet:02x}")).collect(),
    }
}
