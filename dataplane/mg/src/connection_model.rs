//! The connection model: contexts and the terminations in them, H.248.1 6.

use std::collections::{BTreeMap, VecDeque};
use std::net::SocketAddr;
use std::time::Duration;

use base::{Instant, TimerQueue};
use h248::error::ErrorCode;
use h248::message::{
    AmmDescriptors, ContextId, MediaDescriptor, ServiceChangeParms, StatisticsDescriptor, StreamId,
    TerminationId,
};
use smallvec::SmallVec;

use crate::context::Context;
use crate::detection::Notice;
use crate::error::{Result, about, error};
use crate::plane::{ContextStream, Leg, MediaPlane};
use crate::port_pool::{PortPool, RealmIndex};
use crate::profile::Profile;
use crate::reserver::{Changes, Reserver};
use crate::root::Root;
use crate::statistics;
use crate::termination::{Termination, TerminationKey};
use crate::watch::Direction;

/// Contexts and terminations of one gateway.
#[derive(Debug)]
pub(crate) struct ConnectionModel {
    pub profile: &'static Profile,
    pub contexts_max: usize,
    pub contexts: BTreeMap<u32, Context>,
    pub terminations: BTreeMap<TerminationKey, Box<Termination>>,
    pub pool: PortPool,
    pub root: Root,
    /// New contexts are refused: the gateway is to leave service.
    pub is_draining: bool,
    next_context: u32,
    next_termination: u32,
    /// Number of the last demand to latch.
    pub latch: u32,
    pub heartbeats: TimerQueue<TerminationKey>,
    /// Timers of signals and digit maps.
    pub timers: TimerQueue<TerminationKey>,
    pub notices: VecDeque<Notice>,
    /// Events beyond [`NOTICES_MAX`].
    pub notices_lost: u64,
    /// ServiceChange of ROOT by the MGC, to be followed when its reply is on the way.
    pub directed: Option<ServiceChangeParms>,
    /// Contexts whose streams are to be connected anew when the transaction has been executed.
    changed: Vec<u32>,
}

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
            next_context: first_context,
            next_termination: 1,
            latch: 0,
            heartbeats: TimerQueue::new(),
            timers: TimerQueue::new(),
            notices: VecDeque::new(),
            notices_lost: 0,
            directed: None,
            changed: Vec::new(),
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
        let realm = self.realm_of(pattern)?;
        let key = self.next_key();
        let mut termination = Box::new(Termination::new(now, key, pattern.clone(), context));
        let mut reserver = self.reserver(now, plane);
        reserver.realm = realm;
        let chosen = match termination.apply(descriptors, &mut reserver) {
            Ok(chosen) => chosen,
            Err(fault) => {
                reserver.undo();
                return Err(fault);
            }
        };
        let first = termination.streams.first();
        let own = first.and_then(|stream| stream.properties.realm);
        let interface = own.or(realm).map_or(1, |realm| realm.0 + 1);
        let prefix = reserver.profile.termination_prefix;
        termination.name = TerminationId::new(format!("{prefix}/{interface}/{}", key.0));
        if !pattern.matches(&termination.name) {
            reserver.undo();
            return Err(about(ErrorCode::CONFLICTING_VALUES, "ipdc/realm"));
        }
        let changes = reserver.commit();
        if let Some(context) = self.contexts.get_mut(&context) {
            context.terminations.push(key);
        }
        self.adopt(now, termination, changes);
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
        self.adopt(now, termination, changes);
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
        self.adopt(now, termination, changes);
        self.change(before);
        self.delete_if_empty(before);
        Ok(chosen)
    }

    /// The statistics of a termination.
    pub fn statistics(
        &self,
        now: Instant,
        plane: &dyn MediaPlane,
        key: TerminationKey,
    ) -> StatisticsDescriptor {
        let termination = self.terminations.get(&key);
        termination.map_or_else(Vec::new, |termination| {
            statistics::of(now, self.profile, plane, termination)
        })
    }

    /// Takes a termination out of its context, which ends it.
    pub fn subtract(&mut self, plane: &mut dyn MediaPlane, key: TerminationKey) {
        let Some(termination) = self.terminations.remove(&key) else {
            return;
        };
        if let Some(timer) = termination.heartbeat {
            self.heartbeats.cancel(timer);
        }
        if let Some((_, timer)) = termination.timer {
            self.timers.cancel(timer);
        }
        for local in termination.reservations() {
            self.pool.closing(local);
            plane.close(local);
        }
        if let Some(context) = self.contexts.get_mut(&termination.context) {
            context.remove(key, &termination.name);
        }
        self.change(termination.context);
        self.delete_if_empty(termination.context);
    }

    /// Subtracts everything.
    pub fn clear(&mut self, plane: &mut dyn MediaPlane) {
        let keys: Vec<_> = self.terminations.keys().copied().collect();
        for key in keys {
            self.subtract(plane, key);
        }
        self.changed.clear();
        self.root.forget();
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

    /// Where the terminations of a context receive.
    pub fn locals_in(&self, context: u32) -> Vec<SocketAddr> {
        let known = self.contexts.get(&context);
        let keys = known.map_or(&[][..], |known| &known.terminations);
        keys.iter().flat_map(|key| self.locals_of(*key)).collect()
    }

    /// Where a termination receives.
    pub fn locals_of(&self, key: TerminationKey) -> Vec<SocketAddr> {
        let termination = self.terminations.get(&key);
        let locals = termination.map(|termination| termination.reservations().collect());
        locals.unwrap_or_default()
    }

    /// The streams of a context are to be connected anew.
    pub fn change(&mut self, context: u32) {
        // Another that is noted twice is connected twice, which changes nothing.
        if self.changed.last() != Some(&context) {
            self.changed.push(context);
        }
    }

    /// Connects the streams of the contexts that have changed: once for all commands of a
    /// transaction.
    pub fn connect_changed(&mut self, plane: &mut dyn MediaPlane) {
        let mut changed = std::mem::take(&mut self.changed);
        for context in changed.drain(..) {
            self.connect(plane, context);
        }
        self.changed = changed;
    }

    fn connect(&self, plane: &mut dyn MediaPlane, number: u32) {
        let Some(context) = self.contexts.get(&number) else {
            return;
        };
        let members: SmallVec<[&Termination; 4]> = context
            .terminations
            .iter()
            .filter_map(|key| Some(&**self.terminations.get(key)?))
            .collect();
        let streams = members.iter().flat_map(|member| &member.streams);
        let mut ids: SmallVec<[StreamId; 4]> = streams.map(|stream| stream.id).collect();
        ids.sort_unstable();
        ids.dedup();
        for id in ids {
            connect_stream(plane, (number, context), &members, id);
        }
    }

    /// The termination with this name.
    pub fn find(&self, name: &TerminationId) -> Option<TerminationKey> {
        let number = name.as_str().rsplit('/').next()?.parse().ok()?;
        let termination = self.terminations.get(&TerminationKey(number))?;
        (termination.name == *name).then_some(termination.key)
    }

    /// Puts a changed termination in the place of what it was, with the addresses it has now.
    fn adopt(&mut self, now: Instant, mut termination: Box<Termination>, changes: Changes) {
        let (key, context) = (termination.key, termination.context);
        for local in changes.opened {
            self.pool.set_owner(local, key);
        }
        termination.passed.add(&changes.passed);
        termination.named_at = now;
        self.terminations.insert(key, termination);
        self.change(context);
        self.process(key, |termination, latches| termination.settle(now, latches));
    }

    /// The realm that a name with CHOOSE in it asks for: `$` or `ip/$` any, `ip/2/$` the second.
    fn realm_of(&self, pattern: &TerminationId) -> Result<Option<RealmIndex>> {
        let unknown = || about(ErrorCode::UNKNOWN_TERMINATION, pattern);
        let mut parts = pattern.as_str().split('/');
        let prefix = self.profile.termination_prefix;
        match (parts.next(), parts.next(), parts.next(), parts.next()) {
            (Some("$"), None, None, None) => Ok(None),
            (Some(kind), Some("$"), None | Some("$"), None)
                if kind.eq_ignore_ascii_case(prefix) =>
            {
                Ok(None)
            }
            (Some(kind), Some(number), Some("$"), None) if kind.eq_ignore_ascii_case(prefix) => {
                let interfaces = self.pool.realms().len().max(1);
                let number: usize = number.parse().map_err(|_| unknown())?;
                match number.checked_sub(1) {
                    Some(index) if index < interfaces => Ok(Some(RealmIndex(index))),
                    _ => Err(unknown()),
                }
            }
            _ => Err(unknown()),
        }
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
        let digit_maps = &self.root.digit_maps;
        Reserver::new(now, self.profile, &mut self.pool, plane, digit_maps)
    }
}

/// Connects the legs of one stream, in the order of their terminations, with what the topology
/// isolates.
fn connect_stream(
    plane: &mut dyn MediaPlane,
    (number, context): (u32, &Context),
    members: &[&Termination],
    id: StreamId,
) {
    let outward = [Direction::Out, Direction::Both];
    let watching: SmallVec<[(TerminationKey, Duration); 2]> = members
        .iter()
        .filter_map(|member| Some((member.key, member.silence(id, &outward)?)))
        .collect();
    let mut names: SmallVec<[&TerminationId; 4]> = SmallVec::new();
    let mut legs: SmallVec<[Leg; 2]> = SmallVec::new();
    for member in members {
        let others = watching.iter().filter(|(key, _)| *key != member.key);
        let silence = others.map(|(_, silence)| *silence).min();
        if let Some(leg) = member.leg(id, silence) {
            names.push(&member.name);
            legs.push(leg);
        }
    }
    if legs.is_empty() {
        return;
    }
    let stream = ContextStream {
        context: number,
        stream: id.0,
    };
    plane.connect(stream, &legs, &context.isolated(&names, id));
}
