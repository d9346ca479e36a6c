//! Branches: requests on their way, with the targets that remain to be tried (RFC 3263 4.3).

use std::collections::VecDeque;

use base::{Entropy, Slab, SlabId};
use sip::locate::{Answer, Locator, Next, request_transport};
use sip::transaction::{ClientId, Timers};
use sip::{Draft, Message, Transport, Uri};

use super::Stack;
use super::address::Located;
use super::hop::{Flow, Hop};
use crate::config::Role;

/// Where a request is to go.
#[derive(Clone, Copy, Debug)]
pub enum NextHop<'a> {
    /// Where this URI leads (RFC 3263); one of our own entities included.
    Uri(Uri<'a>),
    /// To an entity, in this process or at its configured address.
    Entity(Role),
    /// Along a flow to a UE.
    Flow(Flow),
}

/// Names a request on its way; stale after [`Event::Ended`](crate::entity::Event::Ended).
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct BranchId(SlabId);

/// A target to try.
#[derive(Clone, Copy, Debug)]
pub(super) enum Target {
    Entity {
        from: Role,
        to: Role,
        timers: Timers,
    },
    Located {
        located: Located,
        timers: Timers,
    },
    Flow {
        flow: Flow,
        timers: Timers,
    },
}

/// Where a request can go: what is known at once, and how to find more.
#[derive(Debug, Default)]
pub(super) struct Way {
    pub targets: VecDeque<Target>,
    pub locator: Option<Box<Locator>>,
    /// Targets for when all others have failed.
    pub spare: VecDeque<Target>,
}

impl From<Target> for Way {
    fn from(target: Target) -> Self {
        Self {
            targets: [target].into(),
            ..Way::default()
        }
    }
}

#[derive(Debug)]
struct Branch {
    /// Whom to tell; nobody, where it is an ACK.
    owner: Option<Role>,
    /// The present transaction: what an earlier one says does not count.
    client: Option<ClientId>,
    state: State,
    /// What it fails with when there are no more targets.
    status: u16,
    /// Until it is settled: the branch stays for as long as its transaction, 64 times T1 and more.
    search: Option<Box<Search>>,
}

/// The search for a target that answers.
#[derive(Debug)]
struct Search {
    /// What is sent to each target, while there is another.
    draft: Option<Draft>,
    way: Way,
    /// The present target, where it was located.
    at: Option<Located>,
    /// The 503 of the last target that answered so.
    refusal: Option<Message>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum State {
    /// A name is being resolved.
    Resolving,
    /// Nothing heard: the next target may be tried.
    Silent,
    /// The target could not be reached.
    Unreachable,
    /// A provisional response came.
    Proceeding,
    /// A final response came, or the request was given up.
    Settled,
}

/// What is to be done about a response.
#[derive(Debug)]
pub(super) enum Answered {
    /// Tell the owner.
    Tell(Role, Message),
    /// Try the next target (RFC 3263 4.3).
    TryNext,
    /// Nothing.
    Nothing,
}

/// All branches of a stack.
#[derive(Debug)]
pub(super) struct Branches(Slab<Branch>);

impl Branches {
    pub(super) const fn new() -> Self {
        Self(Slab::new())
    }

    /// Opens a branch. Without an owner it is an ACK: sent once, and nobody hears of it.
    pub(super) fn open(&mut self, owner: Option<Role>, draft: Draft, way: Way) -> BranchId {
        let branch = Branch {
            owner,
            client: None,
            state: State::Silent,
            status: 503,
            search: Some(Box::new(Search {
                draft: Some(draft),
                way,
                at: None,
                refusal: None,
            })),
        };
        BranchId(self.0.insert(branch))
    }

    fn get(&mut self, id: BranchId) -> Option<&mut Branch> {
        self.0.get_mut(id.0)
    }

    fn search(&mut self, id: BranchId) -> Option<&mut Search> {
        self.get(id)?.search.as_deref_mut()
    }

    /// The branch while `client` is its present transaction.
    fn of_client(&mut self, id: BranchId, client: ClientId) -> Option<&mut Branch> {
        self.get(id).filter(|branch| branch.client == Some(client))
    }

    pub(super) fn is_ack(&mut self, id: BranchId) -> bool {
        self.get(id).is_some_and(|branch| branch.owner.is_none())
    }

    /// Takes the next target that is known, with the request to send there.
    pub(super) fn next_target(&mut self, id: BranchId) -> Option<(Draft, Target)> {
        let branch = self.get(id)?;
        let search = branch.search.as_mut()?;
        let target = search.way.targets.pop_front()?;
        branch.state = State::Silent;
        search.at = match target {
            Target::Located { located, .. } => Some(located),
            Target::Entity { .. } | Target::Flow { .. } => None,
        };
        let draft = match search.way.has_more() {
            true => search.draft.clone(),
            false => search.draft.take(),
        };
        Some((draft?, target))
    }

    /// What has to be done to know more targets.
    pub(super) fn poll_locator(&mut self, id: BranchId) -> Next {
        let locator = self
            .search(id)
            .and_then(|search| search.way.locator.as_mut());
        locator.map_or(Next::End, |locator| locator.poll_next())
    }

    /// A target was found, to be tried now or after all others.
    pub(super) fn located(&mut self, id: BranchId, target: Target, avoided: bool) {
        if let Some(Search { way, .. }) = self.search(id) {
            let targets = if avoided {
                &mut way.spare
            } else {
                &mut way.targets
            };
            targets.push_back(target);
        }
    }

    /// No more targets will be found; whether there are some that were kept for then.
    pub(super) fn take_spare(&mut self, id: BranchId) -> bool {
        let Some(Search { way, .. }) = self.search(id) else {
            return false;
        };
        way.locator = None;
        way.targets.append(&mut way.spare);
        !way.targets.is_empty()
    }

    /// Where the transaction `client` of the branch was sent, if it was located.
    pub(super) fn target(&mut self, id: BranchId, client: ClientId) -> Option<Located> {
        self.of_client(id, client)?.search.as_ref()?.at
    }

    /// The branch waits for an answer of the DNS.
    pub(super) fn resolving(&mut self, id: BranchId) {
        if let Some(branch) = self.get(id) {
            branch.state = State::Resolving;
            branch.client = None;
        }
    }

    /// The answer to the question of the locator; false when the branch does not wait for it any
    /// more.
    pub(super) fn resolved(&mut self, id: BranchId, answer: Answer, entropy: &mut Entropy) -> bool {
        let locator = self
            .search(id)
            .and_then(|search| search.way.locator.as_mut());
        let waits = locator.is_some();
        if let Some(locator) = locator {
            locator.handle_answer(answer, entropy);
        }
        waits
    }

    /// Puts two targets before those that remain, for `draft` to be sent to.
    pub(super) fn retry_first(&mut self, id: BranchId, draft: Draft, first: Target, then: Target) {
        if let Some(search) = self.search(id) {
            search.draft = Some(draft);
            let then = match then {
                Target::Located { located, timers } => Target::Located {
                    located: Located {
                        fallback: true,
                        ..located
                    },
                    timers,
                },
                other => other,
            };
            search.way.targets.push_front(then);
            search.way.targets.push_front(first);
        }
    }

    pub(super) fn sent(&mut self, id: BranchId, client: ClientId) {
        if let Some(branch) = self.get(id) {
            branch.client = Some(client);
        }
    }

    /// A response came. A final one other than 503 ends the search for targets.
    pub(super) fn answered(
        &mut self,
        id: BranchId,
        client: ClientId,
        response: Message,
    ) -> Answered {
        let Some(branch) = self.of_client(id, client) else {
            return Answered::Nothing;
        };
        let Some(owner) = branch.owner else {
            return Answered::Nothing;
        };
        match response.status() {
            Some(100..200) => {
                branch.state = State::Proceeding;
                return Answered::Tell(owner, response);
            }
            Some(503) => {
                if let Some(search) = &mut branch.search {
                    search.way.forget_fallback();
                    if search.way.has_more() {
                        search.refusal = Some(response);
                        branch.client = None;
                        return Answered::TryNext;
                    }
                }
            }
            _ => {}
        }
        branch.settle();
        Answered::Tell(owner, response)
    }

    /// The present target cannot be reached, or did not answer at all; else the owner is to be
    /// told.
    pub(super) fn unreachable(
        &mut self,
        id: BranchId,
        client: ClientId,
        status: u16,
    ) -> Option<Role> {
        let branch = self.of_client(id, client)?;
        match branch.state {
            State::Silent => {
                branch.state = State::Unreachable;
                branch.status = status;
                None
            }
            State::Proceeding => {
                branch.settle();
                branch.owner
            }
            State::Resolving | State::Unreachable | State::Settled => None,
        }
    }

    /// The transaction `client` is over. Whether the next target is to be tried; `None` when it was
    /// not the present one.
    pub(super) fn client_ended(&mut self, id: BranchId, client: ClientId) -> Option<bool> {
        let branch = self.of_client(id, client)?;
        Some(branch.state == State::Unreachable)
    }

    /// Nothing more will be tried: whom to tell of what.
    pub(super) fn failed(&mut self, id: BranchId) -> Option<(Role, Failure)> {
        let branch = self.get(id)?;
        let refusal = branch.search.take().and_then(|search| search.refusal);
        branch.settle();
        let failure = match refusal {
            Some(response) => Failure::Refused(response),
            None => Failure::Status(branch.status),
        };
        Some((branch.owner?, failure))
    }

    /// Nothing further is tried; what was under way.
    pub(super) fn cancel(&mut self, id: BranchId) -> Option<Cancel> {
        let branch = self.get(id)?;
        if let Some(search) = &mut branch.search {
            search.way = Way::default();
            search.draft = None;
            search.refusal = None;
        }
        match branch.state {
            State::Resolving => Some(Cancel::Unsent),
            _ => branch.client.map(Cancel::Sent),
        }
    }

    pub(super) fn close(&mut self, id: BranchId) -> Option<Role> {
        self.0.remove(id.0)?.owner
    }
}

impl Branch {
    /// No other target will be tried.
    fn settle(&mut self) {
        self.state = State::Settled;
        self.search = None;
    }
}

/// How a branch without further targets failed.
#[derive(Debug)]
pub(super) enum Failure {
    /// One of them answered 503.
    Refused(Message),
    /// Nothing answered.
    Status(u16),
}

/// What a cancelled branch had under way.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Cancel {
    /// The request is on its way in this transaction.
    Sent(ClientId),
    /// Its next target is still being looked for.
    Unsent,
}

impl Way {
    /// Whether there may be another target.
    fn has_more(&self) -> bool {
        !self.targets.is_empty() || !self.spare.is_empty() || self.locator.is_some()
    }

    /// What answers over one transport is not tried over another.
    fn forget_fallback(&mut self) {
        self.targets.retain(
            |target| !matches!(target, Target::Located { located, .. } if located.fallback),
        );
    }
}

impl Target {
    /// The same target over TCP, where the request is too large for UDP (RFC 3261 18.1.1).
    pub(super) fn over_stream(&self, request: &Message) -> Option<Target> {
        match *self {
            Target::Located { located, timers }
                if !located.fallback
                    && request_transport(located.transport, request.as_bytes().len(), None)
                        != located.transport =>
            {
                let located = Located {
                    transport: Transport::Tcp,
                    ..located
                };
                Some(Target::Located { located, timers })
            }
            _ => None,
        }
    }
}

impl Stack {
    /// Via for a request to this target, with a new branch; none where it does not leave the
    /// process: the entities in it are one element to those outside.
    pub(super) fn via(&mut self, target: &Target) -> Option<String> {
        let (transport, listener) = match target {
            Target::Entity { .. } => return None,
            Target::Located { located, .. } => (
                located.transport,
                self.addresses.listener_towards(located.address.ip()),
            ),
            Target::Flow {
                flow: Flow::Udp { listener, .. },
                ..
            } => (Transport::Udp, *listener),
            Target::Flow {
                flow: Flow::Stream { listener, .. },
                ..
            } => (Transport::Tcp, *listener),
        };
        let branch = self.entropy.token_string();
        let sent_by = self.addresses.listener_str(listener).unwrap_or("invalid");
        let transport = transport.as_str();
        let parts = [
            "SIP/2.0/",
            transport,
            " ",
            sent_by,
            ";branch=z9hG4bK",
            &branch,
            ";rport",
        ];
        Some(parts.concat())
    }

    /// The hop to a target; connects where nothing is connected yet.
    pub(super) fn open(&mut self, target: &Target) -> Hop {
        match *target {
            Target::Entity { from, to, timers } => Hop::Entity {
                from: to,
                to: from,
                timers,
            },
            Target::Flow {
                flow: Flow::Udp { listener, peer },
                timers,
            } => Hop::Udp {
                listener,
                source: peer,
                peer,
                timers,
            },
            Target::Flow {
                flow:
                    Flow::Stream {
                        stream,
                        listener,
                        peer,
                    },
                timers,
            } => Hop::Stream {
                stream,
                listener,
                peer,
                timers,
            },
            Target::Located {
                located:
                    Located {
                        transport,
                        address: peer,
                        ..
                    },
                timers,
            } => {
                let listener = self.addresses.listener_towards(peer.ip());
                if transport == Transport::Udp {
                    return Hop::Udp {
                        listener,
                        source: peer,
                        peer,
                        timers,
                    };
                }
                let stream = match self.streams.to(peer) {
                    Some(stream) => stream,
                    None => self.connect(listener, peer),
                };
                Hop::Stream {
                    stream,
                    listener,
                    peer,
                    timers,
                }
            }
        }
    }
}
