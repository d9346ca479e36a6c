//! The table of flows: what all workers share of it, and what each keeps.

use crate::function::Carried;
use crate::latch::LatchState;
use crate::path::{Compiled, Route, Target};
use crate::policer::Policer;
use crate::{DropReason, FlowId, Ingress, Marking, Media, Policing, Tones};
use base::Instant;
use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

/// Which worker has each flow.
///
/// One word per flow: the generation of its use, and the owner. The mg thread opens and closes, the
/// first worker that receives something for an open flow claims it, and from then on that one alone
/// keeps its mutable state.
#[derive(Debug)]
pub(crate) struct Claims {
    words: Box<[AtomicU64]>,
}

/// Whose a flow is, seen from one worker.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Owner {
    /// Nobody has received anything yet, as far as this worker knows.
    Unclaimed,
    /// This worker's.
    Mine,
    /// Another worker's.
    Other(u16),
    /// The use of the port has ended.
    Closed,
}

impl Claims {
    pub(crate) fn new(flows: usize) -> Self {
        Self {
            words: (0..flows)
                .map(|_| AtomicU64::new(word(0, CLOSED)))
                .collect(),
        }
    }

    /// Begins a use of the flow. Only the mg thread, before it tells the workers.
    pub(crate) fn open(&self, flow: FlowId, generation: u32) {
        self.words[flow.index()].store(word(generation, UNCLAIMED), Ordering::Release);
    }

    /// Ends a use of the flow. Only the mg thread.
    pub(crate) fn close(&self, flow: FlowId, generation: u32) {
        self.words[flow.index()].store(word(generation, CLOSED), Ordering::Release);
    }

    /// Gives the flow to `worker`, whosever it was. Only the mg thread, before it tells the
    /// workers.
    pub(crate) fn assign(&self, flow: FlowId, generation: u32, worker: u16) {
        let owner = FIRST_WORKER + u32::from(worker);
        self.words[flow.index()].store(word(generation, owner), Ordering::Release);
    }

    /// Claims the flow for `worker`, unless somebody has it already. Never [`Owner::Unclaimed`].
    pub(crate) fn claim(&self, flow: FlowId, generation: u32, worker: u16) -> Owner {
        let unclaimed = word(generation, UNCLAIMED);
        let mine = word(generation, FIRST_WORKER + u32::from(worker));
        let entry = &self.words[flow.index()];
        match entry.compare_exchange(unclaimed, mine, Ordering::AcqRel, Ordering::Acquire) {
            Ok(_) => Owner::Mine,
            Err(found) if found == mine => Owner::Mine,
            Err(found) => owner(found, generation),
        }
    }

    /// True when some worker has the flow, or its use has ended.
    pub(crate) fn is_claimed(&self, flow: FlowId, generation: u32) -> bool {
        self.words[flow.index()].load(Ordering::Acquire) != word(generation, UNCLAIMED)
    }
}

fn word(generation: u32, owner: u32) -> u64 {
    (u64::from(generation) << 32) | u64::from(owner)
}

fn owner(word: u64, generation: u32) -> Owner {
    let owner = word as u32;
    if (word >> 32) as u32 != generation || owner < FIRST_WORKER {
        return Owner::Closed;
    }
    Owner::Other((owner - FIRST_WORKER) as u16)
}

const CLOSED: u32 = 0;
const UNCLAIMED: u32 = 1;
const FIRST_WORKER: u32 = 2;

/// What one worker knows and keeps of one flow, as far as most packets need it. Of the mutable part
/// only the owner's is in use.
///
/// Two cache lines that processors fetch as a pair. A packet from the source that was judged last,
/// on a path with one way out in the clear, needs nothing else of its path.
#[derive(Debug)]
#[repr(C, align(128))]
pub(crate) struct FlowEntry {
    pub(crate) path: Option<Arc<Compiled>>,
    pub(crate) generation: u32,
    owner: Owner,
    pub(crate) open: bool,
    /// It is open, this worker's, and has a path.
    pub(crate) is_own: bool,
    /// What is sent by the only way is counted with what the flow receives.
    pub(crate) tallies: bool,
    /// An admitted packet has come.
    pub(crate) active: bool,
    /// A report waits for room in the ring.
    pub(crate) unreported: Unreported,
    /// [`crate::Ingress::policing`] is more than off.
    pub(crate) is_policed: bool,
    /// [`Compiled::srtp`] is more than off.
    pub(crate) is_protected: bool,
    /// [`Flow::is_plain`](crate::Flow::is_plain).
    pub(crate) is_plain: bool,
    media: Media,
    receiving: bool,
    clock_hz: u32,
    /// Who was admitted last, by the path as it is.
    pub(crate) known: Host,
    /// [`Compiled::only`] of the path, where it leads to the network.
    pub(crate) only: Way,
    pub(crate) policer: Policer,
    /// That of the path.
    pub(crate) policing: Policing,
}

const _: () = assert!(size_of::<FlowEntry>() == 128);

/// What few packets need of a flow.
#[derive(Default, Debug)]
pub(crate) struct FlowExtra {
    pub(crate) latch: LatchState,
    /// Since when silence counts: the path that asked for it was set then.
    pub(crate) watched_from: Option<Instant>,
    /// The beginning of the silence that was reported last.
    pub(crate) silence: Option<Instant>,
}

/// What a worker could not report yet; tried again with each packet.
#[derive(Clone, Copy, Default, Debug)]
pub(crate) struct Unreported {
    pub(crate) first_packet: bool,
    pub(crate) latched: bool,
}

impl Unreported {
    #[inline]
    pub(crate) fn is_any(self) -> bool {
        self.first_packet || self.latched
    }
}

impl FlowEntry {
    pub(crate) fn closed() -> Self {
        Self {
            path: None,
            generation: 0,
            owner: Owner::Closed,
            open: false,
            is_own: false,
            tallies: false,
            active: false,
            unreported: Unreported::default(),
            is_policed: false,
            is_protected: false,
            is_plain: true,
            media: Media::Udp,
            receiving: false,
            clock_hz: 0,
            known: Host::NONE,
            only: Way::NONE,
            policer: Policer::default(),
            policing: Policing::OFF,
        }
    }

    /// The entry after a use.
    pub(crate) fn ended(generation: u32) -> Self {
        Self {
            generation,
            ..Self::closed()
        }
    }

    /// Why what comes while the flow is not open is dropped.
    pub(crate) fn refusal(&self) -> DropReason {
        // Generations begin at 1.
        match self.generation {
            0 => DropReason::UnknownFlow,
            _ => DropReason::RestingPort,
        }
    }

    /// The entry at the beginning of a use.
    pub(crate) fn opened(generation: u32) -> Self {
        Self {
            generation,
            open: true,
            owner: Owner::Unclaimed,
            ..Self::closed()
        }
    }

    pub(crate) fn owner(&self) -> Owner {
        self.owner
    }

    /// Whose it is from now on.
    pub(crate) fn set_owner(&mut self, owner: Owner) {
        self.owner = owner;
        self.is_own = self.open && owner == Owner::Mine && self.path.is_some();
        // What goes to a worker of its own may still be handled by another.
        let stays = self.path.as_ref().is_some_and(|path| path.worker.is_none());
        self.tallies = self.is_own && stays && self.only.remote != Host::NONE;
    }

    /// By whose port goes what is counted with what the flow receives.
    pub(crate) fn tallied(&self) -> Option<FlowId> {
        self.tallies.then_some(self.only.local)
    }

    /// What the path admits; `None` without one.
    pub(crate) fn ingress(&self) -> Option<&Ingress> {
        self.path.as_deref().map(|path| &path.ingress)
    }

    /// What the path carries.
    #[inline]
    pub(crate) fn carried(&self) -> Carried {
        Carried {
            media: self.media,
            receiving: self.receiving,
            clock_hz: self.clock_hz,
        }
    }

    /// Sets the path, and returns the one before.
    pub(crate) fn set_path(&mut self, path: Arc<Compiled>) -> Option<Arc<Compiled>> {
        let ingress = &path.ingress;
        self.is_policed = ingress.policing.is_on();
        self.policing = ingress.policing;
        (self.media, self.receiving) = (ingress.media, ingress.receiving);
        self.clock_hz = ingress.clock_hz;
        self.is_protected = path.is_protected;
        self.is_plain = path.tones == Tones::NONE && path.translations.is_none();
        self.only = path.only().map_or(Way::NONE, Way::of);
        self.known = Host::NONE;
        let before = self.path.replace(path);
        self.set_owner(self.owner);
        before
    }
}

/// An address and port in as few octets as will do; or none.
///
/// What has a scope or a flow label is never one: such packets go the long way.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) struct Host {
    ip: [u8; 16],
    port: u16,
    family: Family,
}

#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Family {
    None,
    V4,
    V6,
}

impl Host {
    pub(crate) const NONE: Host = Host {
        ip: [0; 16],
        port: 0,
        family: Family::None,
    };

    pub(crate) fn of(address: SocketAddr) -> Self {
        match address {
            SocketAddr::V4(address) => {
                let mut ip = [0; 16];
                ip[..4].copy_from_slice(&address.ip().octets());
                Self {
                    ip,
                    port: address.port(),
                    family: Family::V4,
                }
            }
            SocketAddr::V6(address) if address.scope_id() == 0 && address.flowinfo() == 0 => Self {
                ip: address.ip().octets(),
                port: address.port(),
                family: Family::V6,
            },
            SocketAddr::V6(_) => Self::NONE,
        }
    }

    /// True when it is this one.
    #[inline]
    pub(crate) fn is(&self, address: SocketAddr) -> bool {
        if self.port != address.port() {
            return false;
        }
        match address {
            SocketAddr::V4(address) => {
                self.family == Family::V4 && self.ip[..4] == address.ip().octets()
            }
            SocketAddr::V6(_) => self.family == Family::V6 && *self == Self::of(address),
        }
    }

    /// It as an address; `None` for none.
    #[inline]
    pub(crate) fn address(&self) -> Option<SocketAddr> {
        match self.family {
            Family::None => None,
            Family::V4 => {
                let [a, b, c, d, ..] = self.ip;
                Some(SocketAddr::from(([a, b, c, d], self.port)))
            }
            Family::V6 => Some(SocketAddr::from((self.ip, self.port))),
        }
    }
}

/// A way out to the network in the clear; or none.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Way {
    pub(crate) local: FlowId,
    pub(crate) remote: Host,
    pub(crate) marking: Marking,
}

impl Way {
    const NONE: Way = Way {
        local: FlowId(u32::MAX),
        remote: Host::NONE,
        marking: Marking::Dscp(0),
    };

    fn of(route: Route) -> Self {
        match route.target {
            Target::Network(remote) => Self {
                local: route.local,
                remote: Host::of(remote),
                marking: route.marking,
            },
            Target::Local(_) | Target::Nowhere(_) => Self::NONE,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_first_worker_gets_the_flow_and_keeps_it() {
        let claims = Claims::new(1);
        let flow = FlowId(0);
        assert_eq!(claims.claim(flow, 1, 0), Owner::Closed);
        claims.open(flow, 1);
        assert!(!claims.is_claimed(flow, 1));
        assert_eq!(claims.claim(flow, 1, 3), Owner::Mine);
        assert_eq!(claims.claim(flow, 1, 0), Owner::Other(3));
        assert_eq!(claims.claim(flow, 1, 3), Owner::Mine);
        assert!(claims.is_claimed(flow, 1));
    }

    #[test]
    fn a_claim_for_an_ended_use_finds_it_closed() {
        let claims = Claims::new(1);
        let flow = FlowId(0);
        claims.open(flow, 1);
        claims.close(flow, 1);
        assert_eq!(claims.claim(flow, 1, 0), Owner::Closed);
        claims.open(flow, 2);
        assert_eq!(claims.claim(flow, 1, 0), Owner::Closed);
        assert_eq!(claims.claim(flow, 2, 1), Owner::Mine);
        assert_eq!(claims.claim(flow, 1, 1), Owner::Closed);
    }

    #[test]
    fn one_of_many_workers_wins() {
        let claims = Claims::new(1);
        claims.open(FlowId(0), 1);
        let winners: Vec<bool> = std::thread::scope(|scope| {
            let threads: Vec<_> = (0..4)
                .map(|worker| {
                    let claims = &claims;
                    scope.spawn(move || claims.claim(FlowId(0), 1, worker) == Owner::Mine)
                })
                .collect();
            threads
                .into_iter()
                .map(|thread| thread.join().unwrap())
                .collect()
        });
        assert_eq!(winners.iter().filter(|&&won| won).count(), 1);
    }

    #[test]
    fn hosts_are_told_apart_by_all_that_they_are() {
        let all = [
            "192.0.2.1:4000",
            "192.0.2.1:4001",
            "192.0.2.2:4000",
            "[2001:db8::1]:4000",
            "[2001:db8::1]:4001",
            "[2001:db8::2]:4000",
            "[c000:201::]:4000",
            "0.0.0.0:0",
            "[::]:0",
        ];
        for one in all {
            let one: SocketAddr = one.parse().unwrap();
            assert_eq!(Host::of(one).address(), Some(one));
            assert!(!Host::NONE.is(one));
            for other in all {
                let other: SocketAddr = other.parse().unwrap();
                assert_eq!(Host::of(one).is(other), one == other, "{one} {other}");
            }
        }
    }

    #[test]
    fn what_has_a_scope_is_no_host() {
        let local: SocketAddr = "[fe80::1%3]:4000".parse().unwrap();
        let plain: SocketAddr = "[fe80::1]:4000".parse().unwrap();
        assert_eq!(Host::of(local).address(), None);
        assert!(!Host::of(local).is(local) && !Host::of(plain).is(local));
    }
}
