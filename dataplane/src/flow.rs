//! The table of flows: what all workers share of it, and what each keeps.

use crate::function::Carried;
use crate::latch::LatchState;
use crate::path::{Compiled, Route, Target};
use crate::policer::Policer;
use crate::{DropReason, FlowId, Ingress, Marking, Media, Policing, Tones};
use base::Instant;
use std::mem::offset_of;
use std::net::{SocketAddr, SocketAddrV6};
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
/// Two cache lines. A packet of IPv4 from the source that was judged last, on a path with one way
/// out in the clear, needs nothing but the first of them, nor anything else of its path; one of
/// IPv6 finds the addresses in the second.
#[derive(Debug)]
#[repr(C, align(128))]
pub(crate) struct FlowEntry {
    pub(crate) policer: Policer,
    /// That of the path.
    pub(crate) policing: Policing,
    clock_hz: u32,
    /// [`Compiled::only`] of the path, where it leads to the network: by whose port, to where
    /// (`long_remote`), and how marked.
    only_local: FlowId,
    only_remote: Host,
    /// Who was admitted last, by the path as it is (`long_known`).
    known: Host,
    only_marking: Marking,
    media: Media,
    receiving: bool,
    /// It is open, this worker's, and has a path.
    pub(crate) is_own: bool,
    /// What is sent by the only way is counted with what the flow receives.
    pub(crate) tallies: bool,
    /// [`crate::Ingress::policing`] is more than off.
    pub(crate) is_policed: bool,
    /// Nothing of what follows matters but addresses: no keys, no tones, no report.
    is_simple: bool,

    pub(crate) path: Option<Arc<Compiled>>,
    pub(crate) generation: u32,
    owner: Owner,
    pub(crate) open: bool,
    /// An admitted packet has come.
    pub(crate) active: bool,
    unreported: Unreported,
    /// [`Compiled::srtp`] is more than off.
    is_protected: bool,
    /// [`Flow::is_plain`](crate::Flow::is_plain).
    is_plain: bool,
    long_known: LongHost,
    long_remote: LongHost,
}

const _: () = assert!(offset_of!(FlowEntry, path) == memory::LINE_BYTES);
const _: () = assert!(size_of::<FlowEntry>() == 2 * memory::LINE_BYTES);

/// Lines of [`FlowEntry`] that a packet needs.
#[inline]
pub(crate) fn entry_lines(source: SocketAddr) -> usize {
    match source {
        SocketAddr::V4(_) => 1,
        SocketAddr::V6(_) => 2,
    }
}

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
            policer: Policer::default(),
            policing: Policing::OFF,
            clock_hz: 0,
            only_local: FlowId(u32::MAX),
            only_remote: Host::NONE,
            known: Host::NONE,
            only_marking: Marking::Dscp(0),
            media: Media::Udp,
            receiving: false,
            is_own: false,
            tallies: false,
            is_policed: false,
            is_simple: true,
            path: None,
            generation: 0,
            owner: Owner::Closed,
            open: false,
            active: false,
            unreported: Unreported::default(),
            is_protected: false,
            is_plain: true,
            long_known: [0; 16],
            long_remote: [0; 16],
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
        self.tallies = self.is_own && stays && self.only_remote != Host::NONE;
    }

    /// By whose port goes what is counted with what the flow receives.
    pub(crate) fn tallied(&self) -> Option<FlowId> {
        self.tallies.then_some(self.only_local)
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
        self.set_only(path.only());
        self.known = Host::NONE;
        let before = self.path.replace(path);
        self.set_owner(self.owner);
        self.simplify();
        before
    }

    /// Sets the only way, if it leads to the network.
    fn set_only(&mut self, route: Option<Route>) {
        self.only_remote = Host::NONE;
        if let Some(route) = route
            && let Target::Network(remote) = route.target
        {
            (self.only_remote, self.long_remote) = Host::of(remote);
            (self.only_local, self.only_marking) = (route.local, route.marking);
        }
    }

    /// The only way, where it leads to the network in the clear.
    #[inline]
    pub(crate) fn only(&self) -> Option<Way> {
        let remote = self.only_remote.address(&self.long_remote)?;
        Some(Way {
            local: self.only_local,
            remote,
            marking: self.only_marking,
        })
    }

    /// True when this was admitted last.
    #[inline]
    pub(crate) fn knows(&self, source: SocketAddr) -> bool {
        self.known.is(source, &self.long_known)
    }

    /// It was admitted.
    pub(crate) fn set_known(&mut self, source: SocketAddr) {
        (self.known, self.long_known) = Host::of(source);
    }

    /// [`Compiled::srtp`] is more than off.
    #[inline]
    pub(crate) fn is_protected(&self) -> bool {
        !self.is_simple && self.is_protected
    }

    /// [`Flow::is_plain`](crate::Flow::is_plain).
    #[inline]
    pub(crate) fn is_plain(&self) -> bool {
        self.is_simple || self.is_plain
    }

    /// Reports that wait for room in the ring.
    #[inline]
    pub(crate) fn unreported(&self) -> Unreported {
        match self.is_simple {
            true => Unreported::default(),
            false => self.unreported,
        }
    }

    pub(crate) fn set_unreported(&mut self, unreported: Unreported) {
        self.unreported = unreported;
        self.simplify();
    }

    fn simplify(&mut self) {
        self.is_simple = self.is_plain && !self.is_protected && !self.unreported.is_any();
    }
}

/// An address and port in as few octets as will do, or none: of IPv6 all but the address, which
/// stands elsewhere.
///
/// What has a scope or a flow label is never one: such packets go the long way.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
struct Host {
    ip: [u8; 4],
    port: u16,
    family: Family,
}

/// An address of IPv6.
type LongHost = [u8; 16];

#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Family {
    None,
    V4,
    V6,
}

impl Host {
    const NONE: Host = Host {
        ip: [0; 4],
        port: 0,
        family: Family::None,
    };

    fn of(address: SocketAddr) -> (Self, LongHost) {
        let of = |ip, family| Self {
            ip,
            port: address.port(),
            family,
        };
        match address {
            SocketAddr::V4(address) => (of(address.ip().octets(), Family::V4), [0; 16]),
            SocketAddr::V6(address) if is_global(&address) => {
                (of([0; 4], Family::V6), address.ip().octets())
            }
            SocketAddr::V6(_) => (Self::NONE, [0; 16]),
        }
    }

    /// True when it is this one.
    #[inline]
    fn is(&self, address: SocketAddr, long: &LongHost) -> bool {
        if self.port != address.port() {
            return false;
        }
        match address {
            SocketAddr::V4(address) => {
                self.family == Family::V4 && self.ip == address.ip().octets()
            }
            SocketAddr::V6(address) => {
                let is_known = self.family == Family::V6 && *long == address.ip().octets();
                is_known && is_global(&address)
            }
        }
    }

    /// It as an address; `None` for none.
    #[inline]
    fn address(&self, long: &LongHost) -> Option<SocketAddr> {
        match self.family {
            Family::None => None,
            Family::V4 => Some(SocketAddr::from((self.ip, self.port))),
            Family::V6 => Some(SocketAddr::from((*long, self.port))),
        }
    }
}

fn is_global(address: &SocketAddrV6) -> bool {
    address.scope_id() == 0 && address.flowinfo() == 0
}

/// A way out to the network in the clear.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Way {
    pub(crate) local: FlowId,
    pub(crate) remote: SocketAddr,
    pub(crate) marking: Marking,
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
            let (host, long) = Host::of(one);
            assert_eq!(host.address(&long), Some(one));
            assert!(!Host::NONE.is(one, &long));
            for other in all {
                let other: SocketAddr = other.parse().unwrap();
                assert_eq!(host.is(other, &long), one == other, "{one} {other}");
            }
        }
    }

    #[test]
    fn what_has_a_scope_is_no_host() {
        let local: SocketAddr = "[fe80::1%3]:4000".parse().unwrap();
        let plain: SocketAddr = "[fe80::1]:4000".parse().unwrap();
        let (host, long) = Host::of(local);
        assert_eq!(host.address(&long), None);
        assert!(!host.is(local, &long) && !host.is(plain, &long));
        let (host, long) = Host::of(plain);
        assert!(host.is(plain, &long) && !host.is(local, &long));
    }
}
