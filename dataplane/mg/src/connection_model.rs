//! The connection model: contexts and the terminations in them, H.248.1 6.

use std::collections::{BTreeMap, HashMap, VecDeque};
use std::net::SocketAddr;
use std::time::Duration;

use base::{Instant, TimerQueue};
use h248::error::ErrorCode;
use h248::message::{
    AmmDescriptors, ContextId, MediaDescriptor, ObservedEvent, ObservedEventsDescriptor, Parameter,
    ServiceChangeParms, StatisticsDescriptor, StreamId, TerminationId,
};
use h248::package::{adid, g, hangterm, ipnapt};

use crate::context::Context;
use crate::error::{Result, about, error};
use crate::plane::{Leg, MediaEvent, MediaPlane};
use crate::port_pool::PortPool;
use crate::profile::Profile;
use crate::reserver::Reserver;
use crate::root::Root;
use crate::statistics;
use crate::termination::{Termination, TerminationKey};
use crate::time_stamp::time_stamp;
use crate::watch::{Direction, Watch};

/// Contexts and terminations of one gateway.
#[derive(Debug)]
pub(crate) struct ConnectionModel {
    pub profile: &'static Profile,
    pub contexts_max: usize,
    pub contexts: BTreeMap<u32, Context>,
    pub terminations: BTreeMap<TerminationKey, Termination>,
    pub pool: PortPool,
    pub root: Root,
    /// New contexts are refused: the gateway is to leave service.
    pub is_draining: bool,
    by_local: HashMap<SocketAddr, TerminationKey>,
    next_context: u32,
    next_termination: u32,
    latch: u32,
    heartbeats: TimerQueue<TerminationKey>,
    notices: VecDeque<Notice>,
    /// ServiceChange of ROOT by the MGC, to be followed when its reply is on the way.
    pub directed: Option<ServiceChangeParms>,
}

/// Events to be notified.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Notice {
    pub context: ContextId,
    pub termination: TerminationId,
    pub observed: ObservedEventsDescriptor,
}

/// Most events waiting to be notified; beyond, they are lost.
const NOTICES_MAX: usize = 4096;

impl ConnectionModel {
    /// An empty model. Context numbers go up from `first_context`.
    pub fn new(
        profile: &'static Profile,
        pool: PortPool,
        contexts_max: usize,
        first_context: u32,
    ) -> Self {
        Self {
            profile,
            contexts_max,
            contexts: BTreeMap::new(),
            terminations: BTreeMap::new(),
            pool,
            root: Root::new(),
            is_draining: false,
            by_local: HashMap::new(),
            next_context: first_context,
            next_termination: 1,
            latch: 0,
            heartbeats: TimerQueue::new(),
            notices: VecDeque::new(),
            directed: None,
        }
    }

    /// Makes an empty context.
    ///
    /// # Errors
    /// 412 when there are as many as there can be, 502 when the gateway is about to leave service.
    pub fn create_context(&mut self) -> Result<u32> {
        if self.is_draining {
            return Err(error(ErrorCode::NOT_READY));
        }
        if self.contexts.len() >= self.contexts_max {
            return Err(error(ErrorCode::NO_CONTEXT_AVAILABLE));
        }
        // There are far more numbers than contexts, so this ends.
        loop {
            let id = self.next_context;
            self.next_context = id.wrapping_add(1);
            let is_number = matches!(ContextId::from_u32(id), ContextId::Id(_));
            if is_number && !self.contexts.contains_key(&id) {
                self.contexts.insert(id, Context::default());
                return Ok(id);
            }
        }
    }

    /// Deletes a context when nothing is in it.
    pub fn delete_if_empty(&mut self, context: u32) {
        let is_empty = |context: &Context| context.terminations.is_empty();
        if self.contexts.get(&context).is_some_and(is_empty) {
            self.contexts.remove(&context);
        }
    }

    /// Adds an ephemeral termination to a context.
    ///
    /// # Errors
    /// 411, 434, and what its descriptors lead to; nothing is changed then.
    pub fn add(
        &mut self,
        now: Instant,
        plane: &mut dyn MediaPlane,
        context: u32,
        pattern: &TerminationId,
        descriptors: &AmmDescriptors,
    ) -> Result<(TerminationKey, MediaDescriptor)> {
        self.check_room(context)?;
        let key = self.next_key();
        let mut termination = Termination::new(now, key, pattern.clone(), context);
        let mut reserver = self.reserver(now, plane);
        let chosen = match termination.apply(descriptors, &mut reserver) {
            Ok(chosen) => chosen,
            Err(fault) => {
                reserver.undo();
                return Err(fault);
            }
        };
        let changes = reserver.commit();
        let realm = termination
            .streams
            .first()
            .and_then(|stream| stream.properties.realm);
        let interface = realm.map_or(1, |realm| realm.0 + 1);
        let prefix = self.profile.termination_prefix;
        termination.name = TerminationId::new(format!("{prefix}/{interface}/{}", key.0));
        if let Some(context) = self.contexts.get_mut(&context) {
            context.terminations.push(key);
        }
        self.adopt(now, plane, termination, changes);
        Ok((key, chosen))
    }

    /// Changes a termination.
    ///
    /// # Errors
    /// What its descriptors lead to; nothing is changed then.
    pub fn modify(
        &mut self,
        now: Instant,
        plane: &mut dyn MediaPlane,
        key: TerminationKey,
        descriptors: &AmmDescriptors,
    ) -> Result<MediaDescriptor> {
        let known = self.terminations.get(&key);
        let mut termination = known
            .ok_or_else(|| error(ErrorCode::UNKNOWN_TERMINATION))?
            .clone();
        let mut reserver = self.reserver(now, plane);
        let chosen = match termination.apply(descriptors, &mut reserver) {
            Ok(chosen) => chosen,
            Err(fault) => {
                reserver.undo();
                return Err(fault);
            }
        };
        let changes = reserver.commit();
        self.adopt(now, plane, termination, changes);
        Ok(chosen)
    }

    /// Moves a termination to another context, then changes it.
    ///
    /// # Errors
    /// 433 when it is there already, 434, and as [`ConnectionModel::modify`]; nothing is changed.
    pub fn move_to(
        &mut self,
        now: Instant,
        plane: &mut dyn MediaPlane,
        key: TerminationKey,
        context: u32,
        descriptors: &AmmDescriptors,
    ) -> Result<MediaDescriptor> {
        let known = self.terminations.get(&key);
        let known = known.ok_or_else(|| error(ErrorCode::UNKNOWN_TERMINATION))?;
        let (before, name) = (known.context, known.name.clone());
        if before == context {
            return Err(about(ErrorCode::ALREADY_IN_CONTEXT, &name));
        }
        self.check_room(context)?;
        let mut termination = known.clone();
        let mut reserver = self.reserver(now, plane);
        let chosen = match termination.apply(descriptors, &mut reserver) {
            Ok(chosen) => chosen,
            Err(fault) => {
                reserver.undo();
                return Err(fault);
            }
        };
        let changes = reserver.commit();
        if let Some(left) = self.contexts.get_mut(&before) {
            left.remove(key, &name);
        }
        if let Some(joined) = self.contexts.get_mut(&context) {
            joined.terminations.push(key);
        }
        termination.context = context;
        self.adopt(now, plane, termination, changes);
        self.connect(plane, before);
        self.delete_if_empty(before);
        Ok(chosen)
    }

    /// Takes a termination out of its context, which ends it, and returns its statistics.
    pub fn subtract(
        &mut self,
        now: Instant,
        plane: &mut dyn MediaPlane,
        key: TerminationKey,
    ) -> StatisticsDescriptor {
        let Some(termination) = self.terminations.remove(&key) else {
            return Vec::new();
        };
        let statistics = statistics::of(now, self.profile, plane, &termination);
        if let Some(timer) = termination.heartbeat {
            self.heartbeats.cancel(timer);
        }
        for local in termination.reservations() {
            self.by_local.remove(&local);
            self.pool.closing(local);
            plane.close(local);
        }
        if let Some(context) = self.contexts.get_mut(&termination.context) {
            context.remove(key, &termination.name);
        }
        self.connect(plane, termination.context);
        self.delete_if_empty(termination.context);
        statistics
    }

    /// Subtracts everything.
    pub fn clear(&mut self, now: Instant, plane: &mut dyn MediaPlane) {
        let keys: Vec<_> = self.terminations.keys().copied().collect();
        for key in keys {
            self.subtract(now, plane, key);
        }
        self.root.events = Default::default();
        self.root.silence = None;
        self.notices.clear();
    }

    /// The names of the terminations of a context, in the order they came.
    pub fn members(&self, context: u32) -> Vec<TerminationId> {
        let keys = self
            .contexts
            .get(&context)
            .map(|context| context.terminations.as_slice());
        let names = keys
            .into_iter()
            .flatten()
            .filter_map(|key| self.terminations.get(key));
        names.map(|termination| termination.name.clone()).collect()
    }

    /// Connects the streams of a context anew.
    pub fn connect(&self, plane: &mut dyn MediaPlane, context: u32) {
        let Some(context) = self.contexts.get(&context) else {
            return;
        };
        let members: Vec<&Termination> = context
            .terminations
            .iter()
            .filter_map(|key| self.terminations.get(key))
            .collect();
        let streams = members.iter().flat_map(|member| &member.streams);
        let mut ids: Vec<StreamId> = streams.map(|stream| stream.id).collect();
        ids.sort_unstable();
        ids.dedup();
        for id in ids {
            connect_stream(plane, context, &members, id);
        }
    }

    /// Something happened at one of our addresses.
    pub fn handle_event(&mut self, now: Instant, plane: &dyn MediaPlane, event: &MediaEvent) {
        if let MediaEvent::Closed { local, free_at } = event {
            self.pool.closed(*local, *free_at);
            return;
        }
        let Some(&key) = self.by_local.get(&event.local()) else {
            return;
        };
        match event {
            MediaEvent::Latched { local, .. } => self.latched(now, key, *local),
            _ => self.fell_silent(now, plane, key),
        }
    }

    /// A stream latched: its signal is complete.
    fn latched(&mut self, now: Instant, key: TerminationKey, local: SocketAddr) {
        let Some(termination) = self.terminations.get_mut(&key) else {
            return;
        };
        let Some(id) = termination.stream_at(local).map(|stream| stream.id) else {
            return;
        };
        let waited = termination.latching.len();
        termination.latching.retain(|&waiting| waiting != id);
        let was_asked = waited != termination.latching.len();
        if was_asked && termination.watches.contains(&Watch::SignalCompletion) {
            let mut event = ObservedEvent::new(g::SIGNAL_COMPLETION);
            event.stream = Some(id);
            let signal = format!("{}/{}", ipnapt::LATCH.package, ipnapt::LATCH.name);
            event.parameters = vec![
                Parameter::new(g::SIGNAL_ID, signal.as_str()),
                Parameter::new(g::TERMINATION_METHOD, "TO"),
            ];
            self.notify(now, key, event);
        }
    }

    /// A termination receives nothing: whoever of its context waits for that may now have it.
    fn fell_silent(&mut self, now: Instant, plane: &dyn MediaPlane, key: TerminationKey) {
        let Some(silent) = self.terminations.get(&key) else {
            return;
        };
        let members = self
            .contexts
            .get(&silent.context)
            .map(|c| c.terminations.clone());
        for member in members.unwrap_or_default() {
            let Some(termination) = self.terminations.get(&member) else {
                continue;
            };
            let stopped: Vec<Option<StreamId>> = termination
                .watches
                .iter()
                .filter_map(|watch| match *watch {
                    Watch::IpStop {
                        stream,
                        time,
                        direction,
                    } => self
                        .has_stopped(now, plane, termination, stream, time, direction)
                        .then_some(stream),
                    _ => None,
                })
                .collect();
            for stream in stopped {
                let mut event = ObservedEvent::new(adid::IP_STOP);
                event.stream = stream;
                self.notify(now, member, event);
            }
        }
    }

    /// True when nothing passed a termination for `time` in a direction: in what it receives, out
    /// what the others of its context receive for it.
    fn has_stopped(
        &self,
        now: Instant,
        plane: &dyn MediaPlane,
        termination: &Termination,
        stream: Option<StreamId>,
        time: Duration,
        direction: Direction,
    ) -> bool {
        let context = self.contexts.get(&termination.context);
        let keys = context
            .map(|context| context.terminations.as_slice())
            .unwrap_or_default();
        keys.iter()
            .filter_map(|key| self.terminations.get(key))
            .all(|member| {
                let is_own = member.key == termination.key;
                let counts = match direction {
                    Direction::In => is_own,
                    Direction::Out => !is_own,
                    Direction::Both => true,
                };
                let streams = member.streams.iter();
                let mut watched = streams.filter(|other| stream.is_none_or(|id| id == other.id));
                !counts
                    || watched.all(|stream| {
                        let last = stream
                            .reservation
                            .and_then(|l| plane.statistics(l).last_arrival);
                        // What was admitted since is the media plane's own measure of the time.
                        last.is_none_or(|last| now.since(last) + SLACK >= time)
                    })
            })
    }

    /// Puts an event in the queue of notices.
    fn notify(&mut self, now: Instant, key: TerminationKey, mut event: ObservedEvent) {
        let Some(termination) = self.terminations.get(&key) else {
            return;
        };
        let Some(request_id) = termination.events.request_id else {
            return;
        };
        event.time = Some(time_stamp(now));
        let notice = Notice {
            context: ContextId::Id(termination.context),
            termination: termination.name.clone(),
            observed: ObservedEventsDescriptor {
                request_id,
                events: vec![event],
            },
        };
        self.queue(notice);
    }

    /// Puts events in the queue of notices.
    pub fn queue(&mut self, notice: Notice) {
        if self.notices.len() < NOTICES_MAX {
            self.notices.push_back(notice);
        }
    }

    /// The next events to be notified.
    pub fn poll_notice(&mut self) -> Option<Notice> {
        self.notices.pop_front()
    }

    /// A command names a termination: it does not hang.
    pub fn name(&mut self, now: Instant, key: TerminationKey) {
        if let Some(termination) = self.terminations.get_mut(&key) {
            termination.named_at = now;
        }
    }

    /// When [`ConnectionModel::handle_timeout`] is to be called.
    pub fn next_timeout(&self) -> Option<Instant> {
        self.heartbeats.next_timeout()
    }

    /// Notifies terminations that no command named for long.
    pub fn handle_timeout(&mut self, now: Instant) {
        while let Some(key) = self.heartbeats.pop_due(now) {
            let Some(termination) = self.terminations.get_mut(&key) else {
                continue;
            };
            termination.heartbeat = None;
            let time = heartbeat(termination);
            if time.is_some_and(|time| termination.named_at + time <= now) {
                termination.named_at = now;
                self.notify(now, key, ObservedEvent::new(hangterm::HEARTBEAT));
            }
            self.set_heartbeat(key);
        }
    }

    /// Sets the timer of `hangterm/thb` anew. It is not moved when a command names the termination:
    /// it finds that out when it is due.
    fn set_heartbeat(&mut self, key: TerminationKey) {
        let Some(termination) = self.terminations.get_mut(&key) else {
            return;
        };
        if let Some(timer) = termination.heartbeat.take() {
            self.heartbeats.cancel(timer);
        }
        if let Some(time) = heartbeat(termination) {
            termination.heartbeat = Some(self.heartbeats.set(termination.named_at + time, key));
        }
    }

    /// Puts a changed termination in the place of what it was, with the addresses it has now.
    fn adopt(
        &mut self,
        now: Instant,
        plane: &mut dyn MediaPlane,
        mut termination: Termination,
        (opened, released): (Vec<SocketAddr>, Vec<SocketAddr>),
    ) {
        let (key, context) = (termination.key, termination.context);
        for local in opened {
            self.by_local.insert(local, key);
        }
        for local in released {
            self.by_local.remove(&local);
        }
        termination.named_at = now;
        let before = self.terminations.get(&key).and_then(heartbeat);
        let after = heartbeat(&termination);
        self.terminations.insert(key, termination);
        if after != before {
            self.set_heartbeat(key);
        }
        self.connect(plane, context);
    }

    fn check_room(&self, context: u32) -> Result<()> {
        let known = self.contexts.get(&context);
        let known = known.ok_or_else(|| error(ErrorCode::UNKNOWN_CONTEXT))?;
        if known.terminations.len() >= self.profile.terminations_per_context_max {
            return Err(error(ErrorCode::TOO_MANY_TERMINATIONS));
        }
        Ok(())
    }

    fn next_key(&mut self) -> TerminationKey {
        // There are far more numbers than terminations, so this ends.
        loop {
            let key = TerminationKey(self.next_termination);
            self.next_termination = self.next_termination.wrapping_add(1).max(1);
            if !self.terminations.contains_key(&key) {
                return key;
            }
        }
    }

    fn reserver<'a>(&'a mut self, now: Instant, plane: &'a mut dyn MediaPlane) -> Reserver<'a> {
        Reserver::new(now, self.profile, &mut self.pool, plane, &mut self.latch)
    }
}

/// The media plane's clock for silence is coarser than ours.
const SLACK: Duration = Duration::from_millis(100);

/// The time of `hangterm/thb`, if it is watched.
fn heartbeat(termination: &Termination) -> Option<Duration> {
    let watches = termination.watches.iter();
    let times = watches.filter_map(|watch| match watch {
        Watch::Heartbeat(time) => Some(*time),
        _ => None,
    });
    times.min()
}

/// Connects the legs of one stream as the topology says. Between two terminations a way that is
/// closed is a mode that does not send; terminations isolated from each other are not connected.
fn connect_stream(
    plane: &mut dyn MediaPlane,
    context: &Context,
    members: &[&Termination],
    id: StreamId,
) {
    let outward = [Direction::Out, Direction::Both];
    let legs: Vec<(&Termination, Leg)> = members
        .iter()
        .filter_map(|member| {
            let others = members.iter().filter(|other| other.key != member.key);
            let silence = others.filter_map(|other| other.silence(id, &outward)).min();
            Some((*member, member.leg(id, silence)?))
        })
        .collect();
    if let [(one, one_leg), (two, two_leg)] = legs.as_slice() {
        let forth = context.passes(&one.name, &two.name, id);
        let back = context.passes(&two.name, &one.name, id);
        if !forth && !back {
            plane.connect(std::slice::from_ref(one_leg));
            plane.connect(std::slice::from_ref(two_leg));
            return;
        }
        let (mut one_leg, mut two_leg) = (one_leg.clone(), two_leg.clone());
        if !back {
            one_leg.mode = without_sending(one_leg.mode);
        }
        if !forth {
            two_leg.mode = without_sending(two_leg.mode);
        }
        plane.connect(&[one_leg, two_leg]);
        return;
    }
    let legs: Vec<Leg> = legs.into_iter().map(|(_, leg)| leg).collect();
    if !legs.is_empty() {
        plane.connect(&legs);
    }
}

fn without_sending(mode: h248::message::StreamMode) -> h248::message::StreamMode {
    use h248::message::StreamMode::{Inactive, ReceiveOnly, SendOnly, SendReceive};
    match mode {
        SendReceive => ReceiveOnly,
        SendOnly => Inactive,
        other => other,
    }
}
