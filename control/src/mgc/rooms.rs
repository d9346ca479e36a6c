//! Rooms: contexts at MRFPs with any number of terminations (TS 23.333 5.4, TS 29.333 5.17).
//!
//! What is wanted of a member is kept beside what the gateway has, and the difference is sent as
//! soon as nothing else is under way for its room: one transaction at a time, for transactions keep
//! no order among themselves (H.248.1 8). What several members want meanwhile shares the next.

use std::collections::{BTreeMap, HashMap};
use std::net::SocketAddr;

use base::Instant;
use h248::error::ErrorCode;
use h248::message::{
    ActionReply, AuditReply, AuditReturn, CommandReply, ContextId, ObservedEventsDescriptor,
    ReplyBody, TerminationId,
};

use super::gateway::{GatewayId, display};
use super::mp::{self, NO_TASK, Step};
use super::plan::{AnchorError, Family};
use super::room_plan::{MemberId, MemberPlan, RoomEvent, RoomId, Task};
use super::{FULL_FOR, Mgc, MgcOutput, Outcome, Purpose, REFUSALS_MAX, says_full, says_gone};

/// Members over all rooms: more than a gateway has ports.
const MEMBERS_MAX: usize = 200_000;
/// Commands of one transaction; more members than that take several.
const COMMANDS_MAX: usize = 32;

/// All rooms and their members.
#[derive(Debug, Default)]
pub(super) struct Rooms {
    pub(super) rooms: BTreeMap<RoomId, Room>,
    pub(super) members: BTreeMap<MemberId, Member>,
    by_context: HashMap<(GatewayId, u32), RoomId>,
    flights: BTreeMap<u64, Flight>,
    next_flight: u64,
    pub(super) next_task: u32,
    /// Members at each gateway, those on their way included.
    load: HashMap<GatewayId, usize>,
    /// Members of whom the journal is to hear.
    pub(super) changed: Vec<MemberId>,
}

/// A context, or the wish for one.
#[derive(Debug, Default)]
pub(super) struct Room {
    pub gateway: Option<GatewayId>,
    pub context: Option<u32>,
    /// Who is in it or is to come, in the order they were named.
    pub members: Vec<MemberId>,
    /// A transaction about it is under way.
    is_busy: bool,
    /// It goes when nobody is left.
    pub is_closing: bool,
    /// Gateways that had no room for its first member.
    refusals: u8,
}

/// A termination, or the wish for one.
#[derive(Debug)]
pub(super) struct Member {
    /// Where it is to be.
    pub room: RoomId,
    /// Where its termination is.
    pub at: Option<RoomId>,
    /// `None`: it is to go.
    pub wanted: Option<MemberPlan>,
    pub applied: Option<MemberPlan>,
    pub task: (u32, Task),
    pub task_applied: u32,
    pub termination: Option<TerminationId>,
    pub local: Option<SocketAddr>,
    /// Where it counts.
    pub gateway: Option<GatewayId>,
    /// A command that changes it is under way: what it then is nobody knows before the reply.
    pub is_changing: bool,
    /// It is to be asked whether it is there.
    pub is_doubtful: bool,
}

/// A transaction under way.
#[derive(Debug)]
struct Flight {
    room: RoomId,
    /// Rooms that members are moved from.
    sources: Vec<RoomId>,
    steps: Vec<Sent>,
}

/// One command of it.
#[derive(Debug)]
struct Sent {
    member: MemberId,
    step: Step,
    plan: Option<MemberPlan>,
    task: u32,
}

impl Rooms {
    pub fn is_known(&self, member: MemberId) -> bool {
        self.members.contains_key(&member)
    }

    /// Members at a gateway.
    pub fn members_at(&self, gateway: GatewayId) -> usize {
        self.load.get(&gateway).copied().unwrap_or(0)
    }

    /// Members over all gateways.
    pub fn members(&self) -> usize {
        self.members.len()
    }

    /// Contexts over all gateways.
    pub fn contexts(&self) -> usize {
        self.by_context.len()
    }

    /// Contexts at a gateway.
    pub fn contexts_at(&self, gateway: GatewayId) -> usize {
        self.by_context
            .keys()
            .filter(|key| key.0 == gateway)
            .count()
    }

    /// The gateway that a transaction is for.
    pub fn gateway_of(&self, flight: u64) -> Option<GatewayId> {
        let flight = self.flights.get(&flight)?;
        self.rooms.get(&flight.room)?.gateway
    }

    /// Forgets a member that has no termination.
    fn forget(&mut self, id: MemberId) -> Option<Member> {
        let member = self.remove(id)?;
        for room in [Some(member.room), member.at].into_iter().flatten() {
            if let Some(room) = self.rooms.get_mut(&room) {
                room.members.retain(|other| *other != id);
            }
        }
        Some(member)
    }

    fn remove(&mut self, id: MemberId) -> Option<Member> {
        let mut member = self.members.remove(&id)?;
        self.count(&mut member, None);
        self.changed.push(id);
        Some(member)
    }

    /// A member counts at this gateway from now on.
    pub fn count(&mut self, member: &mut Member, gateway: Option<GatewayId>) {
        if let Some(before) = member.gateway
            && let Some(load) = self.load.get_mut(&before)
        {
            *load = load.saturating_sub(1);
        }
        if let Some(now) = gateway {
            *self.load.entry(now).or_default() += 1;
        }
        member.gateway = gateway;
    }

    /// A member is no longer in a room; the context goes with the last (H.248.1 6.1).
    fn left(&mut self, id: RoomId) {
        let members = &self.members;
        let Some(room) = self.rooms.get_mut(&id) else {
            return;
        };
        let is_here = |member: &MemberId| members.get(member).is_some_and(|it| it.at == Some(id));
        if !room.members.iter().any(is_here) {
            if let (Some(gateway), Some(context)) = (room.gateway, room.context.take()) {
                self.by_context.remove(&(gateway, context));
            }
            room.gateway = None;
            if room.is_closing && room.members.is_empty() {
                self.rooms.remove(&id);
            }
        }
    }

    pub fn enter(&mut self, id: RoomId, gateway: GatewayId, context: u32) {
        if let Some(room) = self.rooms.get_mut(&id) {
            (room.gateway, room.context) = (Some(gateway), Some(context));
            room.refusals = 0;
            self.by_context.insert((gateway, context), id);
        }
    }

    /// What is asked of a room's gateway next, with the rooms that members are moved from.
    fn difference(&self, id: RoomId) -> (Vec<Sent>, Vec<RoomId>) {
        let (mut steps, mut sources) = (Vec::new(), Vec::new());
        let Some(room) = self.rooms.get(&id) else {
            return (steps, sources);
        };
        for &name in &room.members {
            let Some(member) = self.members.get(&name) else {
                continue;
            };
            let step = match (member.at, &member.wanted) {
                (None, Some(_)) if member.room == id => Step::Add,
                (Some(at), None) if at == id => Step::Subtract,
                (Some(at), Some(plan)) if at == id && member.room == id => {
                    let is_applied = member.applied.as_ref() == Some(plan)
                        && member.task.0 == member.task_applied;
                    match (is_applied, member.is_doubtful) {
                        (true, true) => Step::Audit,
                        (true, false) => continue,
                        (false, _) => Step::Modify,
                    }
                }
                (Some(at), Some(_)) if at != id && member.room == id => {
                    let source = self.rooms.get(&at);
                    if source.is_none_or(|source| source.is_busy) {
                        continue;
                    }
                    if !sources.contains(&at) {
                        sources.push(at);
                    }
                    Step::Move
                }
                _ => continue,
            };
            steps.push(Sent {
                member: name,
                step,
                plan: member.wanted.clone(),
                task: member.task.0,
            });
            if steps.len() == COMMANDS_MAX {
                break;
            }
        }
        (steps, sources)
    }

    fn commands(&self, steps: &[Sent]) -> Vec<h248::message::CommandRequest> {
        let command = |sent: &Sent| {
            let member = self.members.get(&sent.member)?;
            let plan = sent.plan.as_ref().or(member.applied.as_ref())?;
            let has_task = sent.step == Step::Add || member.task.0 != member.task_applied;
            Some(mp::command(
                &sent.step,
                member.termination.as_ref(),
                member.applied.as_ref(),
                plan,
                member.local,
                (member.task.0, &member.task.1),
                has_task,
            ))
        };
        steps.iter().filter_map(command).collect()
    }
}

impl Mgc {
    // ---- for the MRFC ----

    /// Begins a room; it has a context as soon as it has a member.
    pub fn open_room(&mut self, room: RoomId) {
        self.rooms.rooms.entry(room).or_default();
    }

    /// Adds a member; [`RoomEvent::Applied`] or `Failed` follows. The first chooses the gateway:
    /// the MRFP in service with the fewest members.
    ///
    /// # Errors
    /// `NoGateway`, `Limit`; `Lost` without the room.
    pub fn add_member(
        &mut self,
        now: Instant,
        room: RoomId,
        id: MemberId,
        plan: MemberPlan,
    ) -> Result<(), AnchorError> {
        if self.rooms.members.len() >= MEMBERS_MAX || self.rooms.is_known(id) {
            return Err(AnchorError::Limit);
        }
        let known = self.rooms.rooms.get(&room).ok_or(AnchorError::Lost)?;
        if known.gateway.is_none() {
            self.least_loaded_resource(now)?;
        }
        let member = Member {
            room,
            at: None,
            wanted: Some(plan),
            applied: None,
            task: (NO_TASK, Task::default()),
            task_applied: NO_TASK,
            termination: None,
            local: None,
            gateway: None,
            is_changing: false,
            is_doubtful: false,
        };
        self.rooms.members.insert(id, member);
        if let Some(known) = self.rooms.rooms.get_mut(&room) {
            known.members.push(id);
        }
        self.pump(now, room);
        Ok(())
    }

    /// Brings another plan of a member into force; [`RoomEvent::Applied`], `Failed` or `Lost`
    /// follows where it is another, and true is returned.
    pub fn set_member(&mut self, now: Instant, id: MemberId, plan: MemberPlan) -> bool {
        let Some(member) = self.rooms.members.get_mut(&id) else {
            return false;
        };
        let differs = member.applied.as_ref() != Some(&plan);
        member.wanted = Some(plan);
        let room = member.room;
        self.pump(now, room);
        differs
    }

    /// Has something else done at a member, in place of what was to be done before; returns the
    /// number under which it is told what is observed.
    pub fn set_task(&mut self, now: Instant, id: MemberId, task: Task) -> u32 {
        // Above what means something else.
        self.rooms.next_task = self.rooms.next_task.wrapping_add(1) % (u32::MAX / 2);
        let number = mp::task_number(self.rooms.next_task);
        if let Some(member) = self.rooms.members.get_mut(&id) {
            member.task = (number, task);
            let room = member.room;
            self.pump(now, room);
        }
        number
    }

    /// Moves a member to another room (Move, H.248.1 7.2.3); [`RoomEvent::Applied`] or `Failed`
    /// follows.
    ///
    /// # Errors
    /// `Elsewhere` when the rooms are at different gateways, `Lost` without member or room.
    pub fn move_member(
        &mut self,
        now: Instant,
        id: MemberId,
        to: RoomId,
    ) -> Result<(), AnchorError> {
        let rooms = &mut self.rooms;
        let member = rooms.members.get_mut(&id).ok_or(AnchorError::Lost)?;
        let from = member.room;
        if from == to {
            return Ok(());
        }
        let here = rooms.rooms.get(&from).and_then(|room| room.gateway);
        let target = rooms.rooms.get_mut(&to).ok_or(AnchorError::Lost)?;
        if target.gateway.is_some() && here.is_some() && target.gateway != here {
            return Err(AnchorError::Elsewhere);
        }
        target.gateway = target.gateway.or(here);
        if !target.members.contains(&id) {
            target.members.push(id);
        }
        member.room = to;
        if member.at != Some(from)
            && let Some(left) = rooms.rooms.get_mut(&from)
        {
            left.members.retain(|other| *other != id);
        }
        self.pump(now, to);
        Ok(())
    }

    /// Takes a member out; nothing more is heard of it.
    pub fn remove_member(&mut self, now: Instant, id: MemberId) {
        let Some(member) = self.rooms.members.get_mut(&id) else {
            return;
        };
        member.wanted = None;
        let (room, at) = (member.room, member.at);
        self.pump(now, room);
        if let Some(at) = at.filter(|at| *at != room) {
            self.pump(now, at);
        }
    }

    /// Ends a room with whoever is in it; nothing more is heard of them.
    pub fn close_room(&mut self, now: Instant, id: RoomId) {
        let rooms = &mut self.rooms;
        let Some(room) = rooms.rooms.get_mut(&id) else {
            return;
        };
        room.is_closing = true;
        let mut elsewhere = Vec::new();
        for name in &room.members {
            if let Some(member) = rooms.members.get_mut(name).filter(|it| it.room == id) {
                member.wanted = None;
                elsewhere.extend(member.at.filter(|at| *at != id));
            }
        }
        self.pump(now, id);
        for at in elsewhere {
            self.pump(now, at);
        }
    }

    /// Where a member receives.
    pub fn local_of(&self, id: MemberId) -> Option<SocketAddr> {
        self.rooms.members.get(&id)?.local
    }

    /// Whether an MRFP is in service.
    pub fn has_resource(&self) -> bool {
        let mut serving = self.gateways.in_service();
        serving.any(|id| self.gateways[id].is_resource)
    }

    /// Where a room is mixed: its gateway's MID, and its context.
    pub fn place_of(&self, id: RoomId) -> Option<(String, Option<u32>)> {
        let room = self.rooms.rooms.get(&id)?;
        let gateway = &self.gateways[room.gateway?];
        Some((display(&gateway.mid), room.context))
    }

    /// The MRFP in service with the fewest members; one that had no room lately comes after all
    /// others, and one that is overloaded gets what it may.
    fn least_loaded_resource(&mut self, now: Instant) -> Result<GatewayId, AnchorError> {
        let mut refusal = AnchorError::NoGateway;
        let mut best = None;
        let serving: Vec<GatewayId> = self.gateways.in_service().collect();
        for id in serving {
            let gateway = &mut self.gateways[id];
            if !gateway.is_resource {
                continue;
            }
            gateway.throttle.advance(now);
            if !gateway.throttle.admits(now) {
                refusal = AnchorError::Overload;
                continue;
            }
            let rank = (gateway.full_until > now, self.rooms.members_at(id));
            if best.is_none_or(|(least, _)| rank < least) {
                best = Some((rank, id));
            }
        }
        best.map(|(_, id)| id).ok_or(refusal)
    }

    // ---- one transaction at a time ----

    /// Sends what is to be changed of a room, if nothing is under way for it.
    pub(super) fn pump(&mut self, now: Instant, id: RoomId) {
        self.drop_unborn(id);
        let Some(room) = self.rooms.rooms.get(&id) else {
            return;
        };
        if room.is_busy {
            return;
        }
        if room.is_closing && self.end_whole(now, id) {
            return;
        }
        let (steps, sources) = self.rooms.difference(id);
        if steps.is_empty() {
            return self.rooms.left(id);
        }
        let Some(room) = self.rooms.rooms.get(&id) else {
            return;
        };
        let context = room.context;
        let gateway = match room.gateway {
            Some(gateway) => gateway,
            None => match self.least_loaded_resource(now) {
                Ok(gateway) => {
                    self.gateways[gateway].throttle.count(now);
                    gateway
                }
                Err(error) => return self.fail_adds(id, &steps, error),
            },
        };
        let action = mp::action(context, self.rooms.commands(&steps));
        self.rooms.next_flight += 1;
        let flight = self.rooms.next_flight;
        if let Some(room) = self.rooms.rooms.get_mut(&id) {
            room.gateway = Some(gateway);
        }
        if let Err(error) = self.send(now, gateway, vec![action], Purpose::Room(flight)) {
            return self.fail_adds(id, &steps, error);
        }
        for sent in steps.iter().filter(|sent| sent.step == Step::Add) {
            if let Some(mut member) = self.rooms.members.remove(&sent.member) {
                self.rooms.count(&mut member, Some(gateway));
                self.rooms.members.insert(sent.member, member);
            }
        }
        for sent in &steps {
            let member = self.rooms.members.get_mut(&sent.member);
            if let (Step::Modify | Step::Move, Some(member)) = (&sent.step, member) {
                member.is_changing = true;
                self.rooms.changed.push(sent.member);
            }
        }
        for busy in sources.iter().chain([&id]) {
            if let Some(room) = self.rooms.rooms.get_mut(busy) {
                room.is_busy = true;
            }
        }
        let room = id;
        let flown = Flight {
            room,
            sources,
            steps,
        };
        self.rooms.flights.insert(flight, flown);
    }

    /// Members that went before they came.
    fn drop_unborn(&mut self, id: RoomId) {
        let Some(room) = self.rooms.rooms.get(&id).filter(|room| !room.is_busy) else {
            return;
        };
        let members = &self.rooms.members;
        let is_unborn = |name: &&MemberId| {
            let member = members.get(name);
            member.is_none_or(|member| member.at.is_none() && member.wanted.is_none())
        };
        let gone: Vec<MemberId> = room.members.iter().filter(is_unborn).copied().collect();
        for member in gone {
            self.rooms.forget(member);
        }
    }

    /// Subtracts a room's context as a whole where nobody in it is to stay or to be moved; true
    /// when the room is gone.
    fn end_whole(&mut self, now: Instant, id: RoomId) -> bool {
        let Some(room) = self.rooms.rooms.get(&id) else {
            return true;
        };
        let is_going = |name: &MemberId| {
            let member = self.rooms.members.get(name);
            member.is_none_or(|it| it.wanted.is_none() && it.at.is_none_or(|at| at == id))
        };
        if !room.members.iter().all(is_going) {
            return false;
        }
        let context = room.gateway.zip(room.context);
        for member in room.members.clone() {
            self.rooms.remove(member);
        }
        self.rooms.rooms.remove(&id);
        if let Some((gateway, context)) = context {
            self.rooms.by_context.remove(&(gateway, context));
            self.end_context(now, gateway, context);
        }
        true
    }

    fn fail_adds(&mut self, id: RoomId, steps: &[Sent], error: AnchorError) {
        for sent in steps.iter().filter(|sent| sent.step == Step::Add) {
            self.rooms.forget(sent.member);
            self.tell_failed(sent.member, error, true);
        }
        self.rooms.left(id);
    }

    /// A transaction about a room has an outcome.
    pub(super) fn room_concluded(&mut self, now: Instant, flight: u64, outcome: Outcome<'_>) {
        let Some(flight) = self.rooms.flights.remove(&flight) else {
            return;
        };
        for sent in &flight.steps {
            if let Some(member) = self.rooms.members.get_mut(&sent.member) {
                member.is_changing = false;
                self.rooms.changed.push(sent.member);
            }
        }
        let rooms: Vec<RoomId> = flight
            .sources
            .iter()
            .copied()
            .chain([flight.room])
            .collect();
        for id in &rooms {
            if let Some(room) = self.rooms.rooms.get_mut(id) {
                room.is_busy = false;
            }
        }
        match outcome {
            Outcome::Reply(body) => self.take_reply(now, &flight, body),
            // Nobody can tell what the contexts are like.
            Outcome::Unreadable | Outcome::Unanswered => {
                for id in &rooms {
                    self.lose_room(now, *id);
                }
            }
        }
        for id in rooms {
            self.pump(now, id);
        }
    }

    fn take_reply(&mut self, now: Instant, flight: &Flight, body: &ReplyBody) {
        let nothing = ActionReply::new(ContextId::Null, Vec::new());
        let (action, fault) = match body {
            ReplyBody::Error(error) => (&nothing, Some(error.code)),
            ReplyBody::Actions(actions) => {
                let action = actions.first().unwrap_or(&nothing);
                (action, action.error.as_ref().map(|error| error.code))
            }
        };
        let id = flight.room;
        let gateway = self.rooms.rooms.get(&id).and_then(|room| room.gateway);
        for (index, sent) in flight.steps.iter().enumerate() {
            let reply = action.commands.get(index);
            let refusal = match reply {
                Some(reply) => refusal(reply),
                // A gateway that says nothing of the first has to say why.
                None => Some(fault.unwrap_or(ErrorCode::SYNTAX_IN_COMMAND)),
            };
            match (reply, refusal) {
                (Some(reply), None) => {
                    if let (Some(gateway), ContextId::Id(context)) = (gateway, action.context) {
                        self.done(now, (id, gateway, context), sent, reply);
                    }
                }
                (_, Some(code)) => {
                    self.refused(now, id, sent, code);
                    // What follows was not done, and is tried again.
                    break;
                }
                (None, None) => break,
            }
        }
    }

    /// A command was carried out.
    fn done(
        &mut self,
        now: Instant,
        (room, gateway, context): (RoomId, GatewayId, u32),
        sent: &Sent,
        reply: &CommandReply,
    ) {
        if sent.step == Step::Subtract {
            self.rooms.forget(sent.member);
            return self.rooms.left(room);
        }
        let known = self.rooms.by_context.get(&(gateway, context)).copied();
        if known.is_some_and(|known| known != room)
            || self.anchors.in_context(gateway, context).is_some()
        {
            return self.lose_room(now, room);
        }
        if known.is_none() {
            self.rooms.enter(room, gateway, context);
        }
        let Some(member) = self.rooms.members.get_mut(&sent.member) else {
            return;
        };
        member.is_doubtful = false;
        if sent.step == Step::Audit {
            return self.audited_member(sent.member, reply);
        }
        let left = member.at.filter(|at| *at != room);
        member.at = Some(room);
        member.applied.clone_from(&sent.plan);
        member.task_applied = sent.task;
        if let Some((termination, local)) = mp::termination(reply) {
            member.termination.get_or_insert(termination);
            member.local = local.or(member.local);
        }
        let family = sent.plan.as_ref().map(|plan| plan.family);
        let fits = member.local.map(Family::of) == family && member.termination.is_some();
        let is_wanted = member.wanted.is_some() && member.wanted == member.applied;
        let local = member.local;
        if let Some(left) = left {
            if let Some(room) = self.rooms.rooms.get_mut(&left) {
                room.members.retain(|other| *other != sent.member);
            }
            self.rooms.left(left);
        }
        match local {
            // Without its name it cannot even be taken out.
            _ if !fits && sent.step == Step::Add => self.lose_room(now, room),
            Some(local) if is_wanted => self.tell_room(RoomEvent::Applied {
                member: sent.member,
                local,
            }),
            _ => {}
        }
    }

    /// A command was refused.
    fn refused(&mut self, now: Instant, room: RoomId, sent: &Sent, code: ErrorCode) {
        let error = AnchorError::Refused(code.0);
        let has_context = self
            .rooms
            .rooms
            .get(&room)
            .is_some_and(|it| it.context.is_some());
        if code == ErrorCode::UNKNOWN_CONTEXT && has_context {
            return self.lose_room(now, room);
        }
        let Some(member) = self.rooms.members.get_mut(&sent.member) else {
            return;
        };
        let is_wanted = member.wanted.is_some();
        match sent.step {
            Step::Add => {
                if is_wanted && !has_context && self.tries_elsewhere(now, room, error) {
                    return;
                }
                self.rooms.forget(sent.member);
                self.rooms.left(room);
                if is_wanted {
                    self.tell_failed(sent.member, error, true);
                }
            }
            Step::Subtract => {
                self.rooms.forget(sent.member);
                self.rooms.left(room);
            }
            Step::Modify | Step::Move | Step::Audit if says_gone(code) => {
                let at = member.at;
                self.rooms.forget(sent.member);
                self.rooms.left(room);
                if let Some(at) = at {
                    self.rooms.left(at);
                }
                if is_wanted {
                    let member = sent.member;
                    self.tell_room(RoomEvent::MemberLost { member });
                }
            }
            // It is there, and cannot say so.
            Step::Audit => member.is_doubtful = false,
            Step::Modify => {
                // What was before still is; what was asked is not asked again.
                member.task_applied = sent.task;
                if member.wanted == sent.plan {
                    member.wanted.clone_from(&member.applied);
                }
                if is_wanted {
                    self.tell_failed(sent.member, error, false);
                }
            }
            Step::Move => {
                if let Some(at) = member.at {
                    member.room = at;
                }
                if let Some(room) = self.rooms.rooms.get_mut(&room) {
                    room.members.retain(|other| *other != sent.member);
                }
                self.rooms.left(room);
                self.tell_failed(sent.member, error, false);
            }
        }
    }

    /// Whether the first member of a room may find place at another gateway.
    fn tries_elsewhere(&mut self, now: Instant, id: RoomId, error: AnchorError) -> bool {
        if !says_full(error) {
            return false;
        }
        let Some(room) = self.rooms.rooms.get_mut(&id) else {
            return false;
        };
        let Some(full) = room.gateway else {
            return false;
        };
        room.refusals += 1;
        let tried = room.refusals;
        self.gateways[full].full_until = now + FULL_FOR;
        let other = self.least_loaded_resource(now);
        let other = other.ok();
        let other = other.filter(|&other| self.gateways[other].full_until <= now);
        if let Some(room) = self.rooms.rooms.get_mut(&id) {
            room.gateway = other;
        }
        other.is_some() && tried <= REFUSALS_MAX
    }

    // ---- losing ----

    /// A room's context is no use: it is subtracted, and the owner told.
    fn lose_room(&mut self, now: Instant, id: RoomId) {
        if let Some((gateway, context)) = self.forget_room(id) {
            self.end_context(now, gateway, context);
        }
    }

    /// Forgets a room's context and members, and tells the owner; the room itself stays.
    fn forget_room(&mut self, id: RoomId) -> Option<(GatewayId, u32)> {
        let room = self.rooms.rooms.get_mut(&id)?;
        let context = room.gateway.zip(room.context);
        (room.gateway, room.context, room.is_busy) = (None, None, false);
        let is_closing = room.is_closing;
        let mut lost = Vec::new();
        for name in std::mem::take(&mut room.members) {
            let Some(member) = self.rooms.members.get_mut(&name) else {
                continue;
            };
            lost.extend(member.wanted.take().map(|_| name));
            match member.at.filter(|at| *at != id) {
                // It was to come from another room, and is to leave that.
                Some(at) => member.room = at,
                None => drop(self.rooms.forget(name)),
            }
        }
        if let Some(context) = context {
            self.rooms.by_context.remove(&context);
        }
        if is_closing {
            self.rooms.rooms.remove(&id);
        }
        if !lost.is_empty() {
            self.tell_room(RoomEvent::Lost {
                room: id,
                members: lost,
            });
        }
        context
    }

    /// A gateway is gone, and every room at it.
    pub(super) fn lose_rooms_at(&mut self, gateway: GatewayId) -> usize {
        let rooms = self.rooms.rooms.iter();
        let here = rooms.filter(|(_, room)| room.gateway == Some(gateway));
        let here: Vec<RoomId> = here.map(|(id, _)| *id).collect();
        self.rooms
            .flights
            .retain(|_, flight| !here.contains(&flight.room));
        for &id in &here {
            self.forget_room(id);
        }
        here.len()
    }

    /// Terminations that leave service at once (ServiceChange Forced).
    pub(super) fn lose_members(
        &mut self,
        now: Instant,
        gateway: GatewayId,
        is_meant: impl Fn(u32) -> bool,
        is_named: impl Fn(&TerminationId) -> bool,
    ) {
        let rooms = self.rooms.by_context.iter();
        let meant = rooms.filter(|((at, context), _)| *at == gateway && is_meant(*context));
        let mut meant: Vec<RoomId> = meant.map(|(_, room)| *room).collect();
        meant.sort_unstable();
        for id in meant {
            let room = self.rooms.rooms.get(&id);
            let names = room.map(|room| room.members.clone());
            for name in names.unwrap_or_default() {
                let Some(member) = self.rooms.members.get_mut(&name) else {
                    continue;
                };
                if member.at == Some(id) && member.termination.as_ref().is_some_and(&is_named) {
                    let is_wanted = member.wanted.take().is_some();
                    if is_wanted {
                        self.tell_room(RoomEvent::MemberLost { member: name });
                    }
                }
            }
            self.pump(now, id);
        }
    }

    // ---- Notify ----

    /// A termination of a room tells of events; false when the context is none of a room.
    pub(super) fn room_notified(
        &mut self,
        gateway: GatewayId,
        context: u32,
        terminations: &[TerminationId],
        events: &ObservedEventsDescriptor,
    ) -> bool {
        let Some(&id) = self.rooms.by_context.get(&(gateway, context)) else {
            return false;
        };
        let names = self
            .rooms
            .rooms
            .get(&id)
            .map_or(&[][..], |room| &room.members);
        let member = names.iter().copied().find(|name| {
            let own = self
                .rooms
                .members
                .get(name)
                .and_then(|it| it.termination.as_ref());
            own.is_some_and(|own| terminations.contains(own))
        });
        let Some(member) = member else {
            return true;
        };
        let task = events.request_id.0;
        // It may have crossed with a command that asks for something else.
        let current = self
            .rooms
            .members
            .get(&member)
            .map(|it| (it.task.0, it.wanted.is_some()));
        if current == Some((task, true)) {
            for observed in events.events.iter().filter_map(mp::observed) {
                self.tell_room(RoomEvent::Observed {
                    member,
                    task,
                    observed,
                });
            }
        }
        true
    }

    fn tell_failed(&mut self, member: MemberId, error: AnchorError, is_gone: bool) {
        self.tell_room(RoomEvent::Failed {
            member,
            error,
            is_gone,
        });
    }

    pub(super) fn tell_room(&mut self, event: RoomEvent) {
        self.outputs.push_back(MgcOutput::Room(event));
    }
}

/// The error of one command.
fn refusal(reply: &CommandReply) -> Option<ErrorCode> {
    let (CommandReply::Add(reply)
    | CommandReply::Modify(reply)
    | CommandReply::Move(reply)
    | CommandReply::Subtract(reply)
    | CommandReply::AuditValue(AuditReply::Terminations(reply))) = reply
    else {
        return Some(ErrorCode::SYNTAX_IN_COMMAND);
    };
    reply.audit.iter().find_map(|item| match item {
        AuditReturn::Error(error) => Some(error.code),
        _ => None,
    })
}
