//! The table of flows: what all workers share of it, and what each keeps.

use crate::latch::LatchState;
use crate::path::{Compiled, Route};
use crate::policer::Policer;
use crate::{DropReason, FlowId, Ingress, Tones};
use base::Instant;
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

    /// Gives the flow to `worker`, whosever it was. Only the mg thread, before it tells the workers.
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

/// What one worker knows and keeps of one flow. Of the mutable part only the owner's is in use.
///
/// Four cache lines in one place, so that a packet of a path with one way out in the clear needs
/// nothing else of its path.
#[derive(Debug)]
#[repr(C, align(64))]
pub(crate) struct FlowEntry {
    pub(crate) path: Option<Arc<Compiled>>,
    pub(crate) generation: u32,
    pub(crate) owner: Owner,
    pub(crate) open: bool,
    /// An admitted packet has come.
    pub(crate) active: bool,
    /// A report waits for room in the ring.
    pub(crate) unreported: Unreported,
    /// [`Ingress::policing`] is more than off.
    pub(crate) is_policed: bool,
    /// [`Compiled::srtp`] is more than off.
    pub(crate) is_protected: bool,
    /// [`Compiled::tones`] is more than none.
    pub(crate) has_tones: bool,
    pub(crate) last_arrival: Instant,
    pub(crate) policer: Policer,
    /// That of the path.
    pub(crate) ingress: Option<Ingress>,
    /// [`Compiled::only`] of the path.
    pub(crate) only: Option<Route>,
    pub(crate) latch: LatchState,
    /// Since when silence counts: the path that asked for it was set then.
    pub(crate) watched_from: Instant,
    /// The beginning of the silence that was reported last.
    pub(crate) silence: Option<Instant>,
}

const _: () = assert!(size_of::<FlowEntry>() <= 256);

/// What a worker could not report yet; tried again with each packet.
#[derive(Clone, Copy, Default, Debug)]
pub(crate) struct Unreported {
    pub(crate) first_packet: bool,
    pub(crate) latched: bool,
}

impl FlowEntry {
    pub(crate) fn closed() -> Self {
        Self {
            path: None,
            generation: 0,
            owner: Owner::Closed,
            open: false,
            active: false,
            unreported: Unreported::default(),
            is_policed: false,
            is_protected: false,
            has_tones: false,
            last_arrival: Instant::ZERO,
            policer: Policer::default(),
            ingress: None,
            only: None,
            latch: LatchState::default(),
            watched_from: Instant::ZERO,
            silence: None,
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

    /// What the path admits; `None` without one.
    pub(crate) fn ingress(&self) -> Option<&Ingress> {
        self.ingress.as_ref()
    }

    /// Sets the path, and returns the one before.
    pub(crate) fn set_path(&mut self, path: Arc<Compiled>) -> Option<Arc<Compiled>> {
        self.is_policed = path.ingress.policing.is_on();
        self.is_protected = path.is_protected;
        self.has_tones = path.tones != Tones::NONE;
        self.ingress = Some(path.ingress);
        self.only = path.only();
        self.path.replace(path)
    }

    /// When the silence that now is began.
    pub(crate) fn silent_since(&self) -> Instant {
        self.last_arrival.max(self.watched_from)
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
}
