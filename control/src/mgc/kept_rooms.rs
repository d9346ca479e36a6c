//! Rooms in the journal: a record of each termination, from which its context follows. After a
//! restart the MRFC claims the members that it goes on with; the others are subtracted.

use std::collections::HashMap;
use std::net::SocketAddr;

use base::Instant;
use h248::message::{AuditReply, AuditReturn, AuditToken, CommandReply, TerminationId};
use serde::{Deserialize, Serialize};

use super::Mgc;
use super::gateway::GatewayId;
use super::room_plan::{MemberId, MemberPlan, Observed, RoomEvent, RoomId, Task, TaskSignal};
use super::rooms::Member;
use crate::journal::{Journal, Kind, Replay};

/// A termination of a room in the journal, under the number of its member.
#[derive(Debug, Serialize, Deserialize)]
struct KeptMember {
    /// The number of its gateway.
    gateway: u32,
    context: u32,
    room: u64,
    termination: String,
    local: Option<SocketAddr>,
    /// Unknown while a command that changes it is under way.
    applied: Option<MemberPlan>,
    task: (u32, Task),
    task_applied: u32,
}

impl Mgc {
    /// Brings what the journal has of rooms up to date.
    pub(super) fn write_members(&mut self, journal: &mut Journal) {
        let mut changed = std::mem::take(&mut self.rooms.changed);
        changed.sort_unstable();
        changed.dedup();
        for id in changed {
            match self.kept_member(id) {
                Some(kept) => {
                    self.ledger.members.insert(id.0);
                    journal.put(Kind::Member, id.0, &kept);
                }
                None if self.ledger.members.remove(&id.0) => journal.remove(Kind::Member, id.0),
                None => {}
            }
        }
    }

    /// Puts every member anew.
    pub(super) fn keep_members(&mut self, journal: &mut Journal) {
        self.rooms.changed = self.rooms.members.keys().copied().collect();
        self.ledger.members.clear();
        self.write_members(journal);
    }

    fn kept_member(&self, id: MemberId) -> Option<KeptMember> {
        let member = self.rooms.members.get(&id)?;
        let at = member.at?;
        let room = self.rooms.rooms.get(&at)?;
        Some(KeptMember {
            gateway: self.gateways[room.gateway?].number,
            context: room.context?,
            room: at.0,
            termination: member.termination.as_ref()?.to_string(),
            local: member.local,
            applied: member.applied.clone().filter(|_| !member.is_changing),
            task: member.task.clone(),
            task_applied: member.task_applied,
        })
    }

    // ---- after a restart ----

    /// Takes up rooms as they were, with nobody who wants them yet.
    pub(super) fn restore_members(
        &mut self,
        replay: &mut Replay,
        gateways: &HashMap<u32, GatewayId>,
    ) {
        for (number, kept) in replay.take::<KeptMember>(Kind::Member) {
            self.ledger.members.insert(number);
            let id = MemberId(number);
            match gateways.get(&kept.gateway) {
                Some(&gateway) => self.restore_member(id, gateway, kept),
                None => self.rooms.changed.push(id),
            }
        }
    }

    fn restore_member(&mut self, id: MemberId, gateway: GatewayId, kept: KeptMember) {
        let room = RoomId(kept.room);
        let place = self.rooms.rooms.entry(room).or_default();
        let before = place.gateway.zip(place.context);
        if before.is_some_and(|before| before != (gateway, kept.context)) {
            // It had been moved with others, of whom less is known: it reports itself.
            return self.rooms.changed.push(id);
        }
        place.members.push(id);
        self.rooms.enter(room, gateway, kept.context);
        let (number, task) = kept.task;
        self.rooms.next_task = self.rooms.next_task.max(super::mp::task_index(number));
        let mut member = Member {
            room,
            at: Some(room),
            wanted: None,
            applied: kept.applied,
            task: (number, task),
            task_applied: kept.task_applied,
            termination: Some(TerminationId::new(kept.termination)),
            local: kept.local,
            gateway: None,
            is_changing: false,
            is_doubtful: true,
        };
        self.rooms.count(&mut member, Some(gateway));
        self.rooms.members.insert(id, member);
    }

    /// Has its owner take up a member that it had, in this room and with this plan, or that which
    /// is in force; `None` where there is none.
    pub fn claim_member(
        &mut self,
        id: MemberId,
        room: RoomId,
        plan: Option<MemberPlan>,
    ) -> Option<MemberPlan> {
        let member = self.rooms.members.get_mut(&id)?;
        if member.wanted.is_some() {
            return None;
        }
        let plan = plan.or_else(|| member.applied.clone())?;
        if member.room != room {
            let place = self.rooms.rooms.entry(room).or_default();
            if place.gateway.is_some_and(|at| Some(at) != member.gateway) {
                return None;
            }
            place.gateway = member.gateway;
            place.members.push(id);
            member.room = room;
        }
        member.wanted = Some(plan.clone());
        Some(plan)
    }

    /// Subtracts members that nobody claimed, and asks for the others whether they are there.
    pub(super) fn release_unclaimed_members(&mut self, now: Instant) {
        let rooms: Vec<RoomId> = self.rooms.rooms.keys().copied().collect();
        for id in rooms {
            let members = &self.rooms.members;
            let is_claimed = |name: &MemberId| {
                let member = members.get(name);
                member.is_some_and(|member| member.wanted.is_some())
            };
            if let Some(room) = self.rooms.rooms.get_mut(&id) {
                room.is_closing = !room.members.iter().any(is_claimed);
            }
            self.pump(now, id);
        }
    }

    /// Asks a gateway for each member that it should have.
    pub(super) fn verify_rooms(&mut self, now: Instant, gateway: GatewayId) {
        let rooms = self.rooms.rooms.iter();
        let here = rooms.filter(|(_, room)| room.gateway == Some(gateway));
        let here: Vec<RoomId> = here.map(|(id, _)| *id).collect();
        for id in here {
            let room = self.rooms.rooms.get(&id);
            for name in room.map(|room| room.members.clone()).unwrap_or_default() {
                if let Some(member) = self.rooms.members.get_mut(&name) {
                    member.is_doubtful |= member.at == Some(id);
                }
            }
            self.pump(now, id);
        }
    }

    /// A member is there. What it was to play may have ended while nobody heard of it.
    pub(super) fn audited_member(&mut self, id: MemberId, reply: &CommandReply) {
        let CommandReply::AuditValue(AuditReply::Terminations(reply)) = reply else {
            return;
        };
        let is_silent = reply.audit.iter().any(|item| match item {
            AuditReturn::Empty(token) => *token == AuditToken::Signals,
            AuditReturn::Signals(signals) => signals.is_empty(),
            _ => false,
        });
        let Some(member) = self.rooms.members.get(&id).filter(|_| is_silent) else {
            return;
        };
        let observed = match &member.task.1.signal {
            Some(TaskSignal::Record(_)) => Observed::Failed { code: 0 },
            Some(_) => Observed::Played { amount: None },
            None => return,
        };
        // Beside digits that are still waited for it says nothing.
        if member.task.1.digits.is_none() {
            let (member, task) = (id, member.task.0);
            self.tell_room(RoomEvent::Observed {
                member,
                task,
                observed,
            });
        }
    }

    /// Subtracts the context of a room; a restart does it again.
    pub(super) fn end_context(&mut self, now: Instant, gateway: GatewayId, context: u32) {
        let number = self.gateways[gateway].number;
        self.ledger.context_departs(number, context);
        self.subtract(now, gateway, context);
    }
}
