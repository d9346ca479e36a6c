//! Where a request goes, and where next: RFC 3263 4, from target to target as 4.3 has it.

use std::task::Poll;

use base::Instant;
use sip::locate::{Answer, Locator, Next, Question};
use sip::transaction::{self, ClientId};
use sip::{Draft, HeaderName};

use super::branch::{BranchId, Failure, NextHop, Target, Way};
use super::{Stack, Tag, address};
use crate::config::Role;
use crate::entity::Event;

impl Stack {
    /// Where a next hop leads. A way without targets and locator leads nowhere.
    pub(super) fn way(&mut self, now: Instant, role: Role, next: &NextHop<'_>) -> Way {
        let timers = self.core;
        let entity = |to| Target::Entity {
            from: role,
            to,
            timers,
        };
        let at = |located| Target::Located { located, timers };
        match *next {
            NextHop::Entity(to) if self.addresses.plays(to) => entity(to).into(),
            NextHop::Entity(Role::Icscf) => Way {
                targets: self.addresses.icscf().map(at).into_iter().collect(),
                ..Way::default()
            },
            NextHop::Entity(_) => Way::default(),
            NextHop::Flow(flow) => Target::Flow {
                flow,
                timers: self.gm,
            }
            .into(),
            NextHop::Uri(uri) => {
                if let Some(own) = self.addresses.own(uri) {
                    return entity(own.role).into();
                }
                if let Some(mut listed) = self.addresses.listed(uri) {
                    listed.sort_by_key(|located| self.avoided.contains(now, located));
                    return Way {
                        targets: listed.into_iter().map(at).collect(),
                        ..Way::default()
                    };
                }
                let Ok(mut locator) = Locator::of_uri(uri, self.addresses.capabilities()) else {
                    return Way::default();
                };
                if address::is_numeric(uri) {
                    return match locator.poll_next() {
                        Next::Target(target) => at(target.into()).into(),
                        _ => Way::default(),
                    };
                }
                Way {
                    locator: Some(Box::new(locator)),
                    ..Way::default()
                }
            }
        }
    }

    /// Answers of the resolver to the branches that wait for them.
    pub(super) fn drain_resolver(&mut self, now: Instant) {
        while let Some((branch, answer)) = self.resolver.poll_answer() {
            if self.branches.resolved(branch, answer, &mut self.entropy) {
                self.try_next_target(now, branch);
            }
        }
        while let Some(output) = self.resolver.poll_output() {
            self.outputs.push_back(output);
        }
    }

    /// A target did not answer. The next has its turn when the transaction has ended; one that had
    /// begun to answer leaves nothing to try (RFC 3263 4.3).
    pub(super) fn unreachable(
        &mut self,
        now: Instant,
        branch: BranchId,
        client: ClientId,
        status: u16,
    ) {
        if let Some(target) = self.branches.target(branch, client) {
            self.avoided.silent(now, &target);
        }
        if let Some(role) = self.branches.unreachable(branch, client, status) {
            self.events
                .push_back((role, Event::Failed { branch, status }));
        }
    }

    /// A client transaction ended: the next target has its turn, or the branch ends.
    pub(super) fn client_ended(&mut self, now: Instant, branch: BranchId, client: ClientId) {
        match self.branches.client_ended(branch, client) {
            Some(true) => self.try_next_target(now, branch),
            Some(false) => self.close(branch),
            None => {}
        }
    }

    /// Takes the next target of a branch, with the request to send there; `None` when there are no
    /// more. Asks the DNS where none is known: pending while that has not answered.
    fn poll_target(&mut self, now: Instant, id: BranchId) -> Poll<Option<(Draft, Target)>> {
        loop {
            let known = self.branches.next_target(id);
            if known.is_some() {
                return Poll::Ready(known);
            }
            match self.branches.poll_locator(id) {
                Next::Target(target) => {
                    let (located, timers) = (target.into(), self.core);
                    let avoided = self.avoided.contains(now, &located);
                    let target = Target::Located { located, timers };
                    self.branches.located(id, target, avoided);
                }
                Next::Ask(question) => match self.lookup(now, id, &question) {
                    Some(answer) => {
                        self.branches.resolved(id, answer, &mut self.entropy);
                    }
                    None => {
                        self.branches.resolving(id);
                        return Poll::Pending;
                    }
                },
                Next::Waiting => return Poll::Pending,
                Next::End if self.branches.take_spare(id) => {}
                Next::End => return Poll::Ready(None),
            }
        }
    }

    /// The answer to a question, if it is known; else it comes later.
    fn lookup(&mut self, now: Instant, id: BranchId, question: &Question) -> Option<Answer> {
        if let Some(listed) = self.addresses.listed_addresses(question) {
            return Some(listed);
        }
        let answer = self.resolver.ask(now, &mut self.entropy, question, id);
        while let Some(output) = self.resolver.poll_output() {
            self.outputs.push_back(output);
        }
        answer
    }

    /// Sends the branch's request to its next target, when that is known; without one the branch
    /// fails and ends.
    pub(super) fn try_next_target(&mut self, now: Instant, id: BranchId) {
        loop {
            let (mut draft, target) = match self.poll_target(now, id) {
                Poll::Ready(Some(next)) => next,
                Poll::Ready(None) => return self.fail(id),
                Poll::Pending => return,
            };
            if let Some(via) = self.via(&target) {
                draft.push_front(HeaderName::Via, &via);
            }
            let request = match draft.finish() {
                Ok(request) => request,
                Err(fault) => {
                    tracing::error!(%fault, "a request could not be written");
                    self.give_up(id, 500);
                    return;
                }
            };
            if self.branches.is_ack(id) {
                // Nobody would hear that a stream fails, so an ACK goes as its target says, however
                // large.
                let hop = self.open(&target);
                self.transmit(hop, request);
                return self.close(id);
            }
            let target = match target.over_stream(&request) {
                None => target,
                Some(larger) => {
                    draft.remove_first_value(HeaderName::Via);
                    self.branches.retry_first(id, draft, larger, target);
                    continue;
                }
            };
            let hop = self.open(&target);
            match self.layer.send_request(now, hop, request, Tag::Branch(id)) {
                Ok(client) => {
                    self.branches.sent(id, client);
                    self.drain_layer(now);
                    return;
                }
                Err(transaction::Error::Limit) => {
                    self.give_up(id, 503);
                    return;
                }
                Err(fault) => {
                    tracing::error!(%fault, "a request could not be sent");
                    self.give_up(id, 500);
                    return;
                }
            }
        }
    }

    /// Ends a branch that has no more targets.
    fn fail(&mut self, branch: BranchId) {
        match self.branches.failed(branch) {
            Some((role, Failure::Refused(response))) => {
                // Of several targets none is an entity of this process.
                let event = Event::Response {
                    branch,
                    response,
                    has_own_via: true,
                };
                self.events.push_back((role, event));
                self.close(branch);
            }
            Some((_, Failure::Status(status))) => self.give_up(branch, status),
            None => self.close(branch),
        }
    }

    /// Ends a branch with a status.
    pub(super) fn give_up(&mut self, branch: BranchId, status: u16) {
        if let Some((role, _)) = self.branches.failed(branch) {
            self.events
                .push_back((role, Event::Failed { branch, status }));
        }
        self.close(branch);
    }

    fn close(&mut self, branch: BranchId) {
        if let Some(role) = self.branches.close(branch) {
            self.events.push_back((role, Event::Ended { branch }));
        }
    }
}
