//! Branches: requests on their way, with the targets that remain to be tried (RFC 3263 4.3).

use std::collections::VecDeque;

use sip::locate::request_transport;
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
pub struct BranchId {
    slot: u32,
    generation: u32,
}

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

#[derive(Debug)]
struct Branch {
    role: Role,
    draft: Draft,
    targets: VecDeque<Target>,
    client: Option<ClientId>,
    state: State,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum State {
    /// Nothing heard: the next target may be tried.
    Silent,
    /// The target could not be reached.
    Unreachable,
    /// A response came, or the request was cancelled or given up.
    Settled,
}

/// All branches of a stack.
#[derive(Debug)]
pub(super) struct Branches {
    slots: Vec<(u32, Option<Branch>)>,
    free: Vec<u32>,
}

impl Branches {
    pub(super) const fn new() -> Self {
        Self {
            slots: Vec::new(),
            free: Vec::new(),
        }
    }

    pub(super) fn open(&mut self, role: Role, draft: Draft, targets: VecDeque<Target>) -> BranchId {
        let branch = Branch {
            role,
            draft,
            targets,
            client: None,
            state: State::Silent,
        };
        match self.free.pop() {
            Some(slot) => {
                let entry = &mut self.slots[slot as usize];
                entry.1 = Some(branch);
                BranchId {
                    slot,
                    generation: entry.0,
                }
            }
            None => {
                self.slots.push((0, Some(branch)));
                BranchId {
                    slot: (self.slots.len() - 1) as u32,
                    generation: 0,
                }
            }
        }
    }

    fn get(&mut self, id: BranchId) -> Option<&mut Branch> {
        let (generation, branch) = self.slots.get_mut(id.slot as usize)?;
        branch.as_mut().filter(|_| *generation == id.generation)
    }

    /// Takes the next target with the request to send there.
    pub(super) fn next_target(&mut self, id: BranchId) -> Option<(Draft, Target)> {
        let branch = self.get(id)?;
        let target = branch.targets.pop_front()?;
        branch.state = State::Silent;
        Some((branch.draft.clone(), target))
    }

    /// Puts two targets before those that remain.
    pub(super) fn retry_first(&mut self, id: BranchId, first: Target, then: Target) {
        if let Some(branch) = self.get(id) {
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
            branch.targets.push_front(then);
            branch.targets.push_front(first);
        }
    }

    pub(super) fn sent(&mut self, id: BranchId, client: ClientId) {
        if let Some(branch) = self.get(id) {
            branch.client = Some(client);
        }
    }

    /// A response came: no other target is tried.
    pub(super) fn answered(&mut self, id: BranchId) -> Option<Role> {
        let branch = self.get(id)?;
        branch.state = State::Settled;
        branch.targets.clear();
        Some(branch.role)
    }

    /// The present target cannot be reached.
    pub(super) fn unreachable(&mut self, id: BranchId) {
        if let Some(branch) = self.get(id)
            && branch.state == State::Silent
        {
            branch.state = State::Unreachable;
        }
    }

    pub(super) fn wants_next_target(&mut self, id: BranchId) -> bool {
        self.get(id)
            .is_some_and(|branch| branch.state == State::Unreachable)
    }

    pub(super) fn failed(&mut self, id: BranchId) -> Option<Role> {
        let branch = self.get(id)?;
        branch.state = State::Settled;
        Some(branch.role)
    }

    pub(super) fn cancel(&mut self, id: BranchId) -> Option<ClientId> {
        let branch = self.get(id)?;
        branch.targets.clear();
        branch.client
    }

    pub(super) fn close(&mut self, id: BranchId) -> Option<Role> {
        let role = self.get(id)?.role;
        let entry = &mut self.slots[id.slot as usize];
        entry.0 = entry.0.wrapping_add(1);
        entry.1 = None;
        self.free.push(id.slot);
        Some(role)
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
    /// The targets of a next hop in the order to try them.
    pub(super) fn targets(&self, role: Role, next: &NextHop<'_>) -> VecDeque<Target> {
        let core = self.core;
        match *next {
            NextHop::Entity(to) if self.addresses.plays(to) => [Target::Entity {
                from: role,
                to,
                timers: core,
            }]
            .into(),
            NextHop::Entity(Role::Icscf) => self
                .addresses
                .icscf()
                .map(|located| Target::Located {
                    located,
                    timers: core,
                })
                .into_iter()
                .collect(),
            NextHop::Entity(_) => VecDeque::new(),
            NextHop::Flow(flow) => [Target::Flow {
                flow,
                timers: self.gm,
            }]
            .into(),
            NextHop::Uri(uri) => {
                if let Some(own) = self.addresses.own(uri) {
                    return [Target::Entity {
                        from: role,
                        to: own.role,
                        timers: core,
                    }]
                    .into();
                }
                let located = self.addresses.locate(uri).into_iter();
                located
                    .map(|located| Target::Located {
                        located,
                        timers: core,
                    })
                    .collect()
            }
        }
    }

    /// Via for a request to this target, with a new branch.
    pub(super) fn via(&mut self, target: &Target) -> String {
        let (transport, listener) = match target {
            Target::Entity { .. } => (Transport::Udp, 0),
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
        match self.addresses.listener(listener) {
            Some(address) => format!("SIP/2.0/{transport} {address};branch=z9hG4bK{branch};rport"),
            None => format!("SIP/2.0/{transport} invalid;branch=z9hG4bK{branch};rport"),
        }
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
