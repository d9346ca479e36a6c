//! Counters with one writer each, read by anybody without locks.

use crate::times::TimeCounters;
use crate::{DropCounts, DropReason, FlowId, Refusal, Times};
use base::Instant;
use std::sync::atomic::{AtomicU32, AtomicU64, Ordering, fence};

/// A number that one thread advances. Its additions are plain loads and stores.
#[derive(Default, Debug)]
pub(crate) struct Counter(AtomicU64);

impl Counter {
    /// Adds; only the one writer may.
    pub(crate) fn add(&self, value: u64) {
        self.set(self.read().wrapping_add(value));
    }

    /// Sets; only the one writer may.
    pub(crate) fn set(&self, value: u64) {
        self.0.store(value, Ordering::Relaxed);
    }

    pub(crate) fn read(&self) -> u64 {
        self.0.load(Ordering::Relaxed)
    }

    /// As `add`; who reads the sum by `read_after` sees what the writer did before.
    pub(crate) fn add_after(&self, value: u64) {
        self.0
            .store(self.read().wrapping_add(value), Ordering::Release);
    }

    /// See `add_after`.
    pub(crate) fn read_after(&self) -> u64 {
        self.0.load(Ordering::Acquire)
    }
}

/// So many counters, in memory that is quick to look things up in.
pub(crate) fn table<T: Default>(flows: usize) -> Box<[T]> {
    let table: Box<[T]> = (0..flows).map(|_| T::default()).collect();
    memory::use_huge_pages(&table);
    table
}

/// The last of a number that is written whole; 32 bits of it.
#[derive(Default, Debug)]
pub(crate) struct Gauge(AtomicU32);

impl Gauge {
    /// Sets; only the one writer may.
    pub(crate) fn set(&self, value: u32) {
        self.0.store(value, Ordering::Relaxed);
    }

    pub(crate) fn read(&self) -> u32 {
        self.0.load(Ordering::Relaxed)
    }
}

/// What a flow received, written by the worker that has claimed it; on a cache line of its own.
///
/// What was sent by the one way out of its path is counted here too, since a packet touches this
/// line anyway, until the way is another: then it is moved to the counters of the port that it was
/// sent from ([`ReceiveCounters::settle`]).
#[derive(Default, Debug)]
#[repr(align(64))]
pub(crate) struct ReceiveCounters {
    pub(crate) packets: Counter,
    pub(crate) octets: Counter,
    /// Nanoseconds; 0 before the first packet.
    pub(crate) last_arrival: Counter,
    /// Not yet settled, sent from the port of `way`.
    forwarded: SendCounters,
    pub(crate) expected: Gauge,
    pub(crate) lost: Gauge,
    pub(crate) gaps: Gauge,
    pub(crate) jitter_ticks: Gauge,
    /// The number of a flow plus 1; 0 while nothing is counted in `forwarded`.
    way: Gauge,
    /// Odd while `forwarded` is settled.
    settled: AtomicU32,
}

const _: () = assert!(size_of::<ReceiveCounters>() == 64);

/// What came to a flow and did not pass, by [`Refusal`]; written by the worker that has it.
#[derive(Default, Debug)]
#[repr(align(64))]
pub(crate) struct RefusalCounters([Counter; Refusal::ALL.len()]);

impl RefusalCounters {
    pub(crate) fn count(&self, refusal: Refusal) {
        self.0[refusal as usize].add(1);
    }

    pub(crate) fn of(&self, refusal: Refusal) -> u64 {
        self.0[refusal as usize].read()
    }

    /// Back to zero; only while nobody has the flow.
    pub(crate) fn reset(&self) {
        for counter in &self.0 {
            counter.set(0);
        }
    }
}

impl ReceiveCounters {
    /// Back to zero; only while nobody has the flow, and when all is settled.
    pub(crate) fn reset(&self) {
        for counter in [&self.packets, &self.octets, &self.last_arrival] {
            counter.set(0);
        }
        for gauge in [&self.expected, &self.lost, &self.gaps, &self.jitter_ticks] {
            gauge.set(0);
        }
    }

    /// Counts a datagram sent by the one way out.
    #[inline]
    pub(crate) fn count_forwarded(&self, octets: usize) {
        self.forwarded.count(1, octets as u64);
    }

    /// Moves what is counted to `sent`, of the port of the way that there was; from now on the way
    /// is another.
    pub(crate) fn settle(&self, sent: Option<&SendCounters>, way: Option<FlowId>) {
        let version = self.settled.load(Ordering::Relaxed);
        self.settled
            .store(version.wrapping_add(1), Ordering::Relaxed);
        fence(Ordering::Release);
        if let Some(sent) = sent {
            let (packets, octets) = self.forwarded.read();
            sent.count(packets, octets);
        }
        self.forwarded.reset();
        self.way.set(way.map_or(0, |flow| flow.0 + 1));
        self.settled
            .store(version.wrapping_add(2), Ordering::Release);
    }

    /// What is counted is of this flow's port.
    pub(crate) fn leads_by(&self, flow: FlowId) -> bool {
        self.way.read() == flow.0 + 1
    }

    /// Packets and octets sent from a flow's port and not settled.
    pub(crate) fn forwarded_by(&self, flow: FlowId) -> (u64, u64) {
        match self.leads_by(flow) {
            true => self.forwarded.read(),
            false => (0, 0),
        }
    }

    /// A number that is odd, or will be another, when what was read was being settled meanwhile.
    pub(crate) fn version(&self) -> u32 {
        self.settled.load(Ordering::Acquire)
    }
}

/// What one worker sent from a flow's port.
#[derive(Default, Debug)]
pub(crate) struct SendCounters {
    packets: Counter,
    octets: Counter,
}

impl SendCounters {
    fn count(&self, packets: u64, octets: u64) {
        self.packets.add(packets);
        self.octets.add(octets);
    }

    /// Packets and octets, ever.
    pub(crate) fn read(&self) -> (u64, u64) {
        (self.packets.read(), self.octets.read())
    }

    fn reset(&self) {
        self.packets.set(0);
        self.octets.set(0);
    }
}

/// What one worker did, written by it at the end of a turn.
#[derive(Debug)]
#[repr(align(64))]
pub(crate) struct WorkerCounters {
    pub(crate) turns: Counter,
    pub(crate) received: Counter,
    pub(crate) forwarded: Counter,
    pub(crate) delivered: Counter,
    pub(crate) handed_over: Counter,
    pub(crate) commands: Counter,
    pub(crate) times: TimeCounters,
    drops: [Counter; DropReason::ALL.len()],
    sent: Box<[SendCounters]>,
}

impl WorkerCounters {
    pub(crate) fn new(flows: usize) -> Self {
        Self {
            turns: Counter::default(),
            received: Counter::default(),
            forwarded: Counter::default(),
            delivered: Counter::default(),
            handed_over: Counter::default(),
            commands: Counter::default(),
            times: TimeCounters::default(),
            drops: std::array::from_fn(|_| Counter::default()),
            sent: table(flows),
        }
    }

    /// Counts a datagram sent from the port of `flow`.
    pub(crate) fn count_sent(&self, flow: FlowId, octets: usize) {
        self.sent[flow.index()].count(1, octets as u64);
    }

    pub(crate) fn sent(&self, flow: FlowId) -> &SendCounters {
        &self.sent[flow.index()]
    }

    pub(crate) fn publish_drops(&self, drops: &DropCounts) {
        for (counter, &reason) in self.drops.iter().zip(DropReason::ALL) {
            counter.set(drops.of(reason));
        }
    }

    pub(crate) fn stats(&self) -> WorkerStats {
        let mut drops = DropCounts::default();
        for (counter, &reason) in self.drops.iter().zip(DropReason::ALL) {
            drops.add(reason, counter.read());
        }
        WorkerStats {
            turns: self.turns.read(),
            received: self.received.read(),
            forwarded: self.forwarded.read(),
            delivered: self.delivered.read(),
            handed_over: self.handed_over.read(),
            times: self.times.read(),
            drops,
        }
    }
}

/// Statistics of one flow since it was opened, H.248.1 E.11 (`nt`) and E.12 (`rtp`).
///
/// Octets are those of UDP payloads.
#[derive(Clone, Copy, PartialEq, Eq, Default, Debug)]
pub struct FlowStats {
    /// Packets admitted and let in by the stream mode.
    pub packets_received: u64,
    /// Their octets.
    pub octets_received: u64,
    /// Packets sent from the flow's port.
    pub packets_sent: u64,
    /// Their octets.
    pub octets_sent: u64,
    /// When the last admitted packet came, whether the mode let it in or not.
    pub last_arrival: Option<Instant>,
    /// Packets that came and did not pass, in the order of [`Refusal::ALL`].
    pub refused: [u64; Refusal::ALL.len()],
    /// Quality of reception.
    pub reception: Reception,
}

impl FlowStats {
    /// Packets that came and did not pass for this.
    pub fn refused(&self, refusal: Refusal) -> u64 {
        self.refused[refusal as usize]
    }
}

/// Reception of RTP as the media function sees it, RFC 3550 6.4.1.
#[derive(Clone, Copy, PartialEq, Eq, Default, Debug)]
pub struct Reception {
    /// Packets expected by their sequence numbers. This and what follows: the last 32 bits.
    pub expected: u64,
    /// Packets expected and not received; duplicates do not make it negative.
    pub lost: u64,
    /// Runs of packets that were missing when the next came: with the losses, how they cluster.
    pub gaps: u64,
    /// Interarrival jitter in timestamp units.
    pub jitter_ticks: u32,
}

/// What one worker did since it started.
#[derive(Clone, PartialEq, Eq, Default, Debug)]
pub struct WorkerStats {
    /// Iterations of its loop.
    pub turns: u64,
    /// Datagrams from the back-end.
    pub received: u64,
    /// Datagrams given to the back-end, copies counted.
    pub forwarded: u64,
    /// Datagrams delivered in memory.
    pub delivered: u64,
    /// Datagrams handed to other workers.
    pub handed_over: u64,
    /// Where its time went.
    pub times: Times,
    /// Datagrams dropped, by reason.
    pub drops: DropCounts,
}
