//! Counters with one writer each, read by anybody without locks.

use crate::{DropCounts, DropReason, FlowId, Refusal};
use base::Instant;
use std::sync::atomic::{AtomicU64, Ordering};

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

/// What a flow received, written by the worker that has claimed it; on a cache line of its own.
#[derive(Default, Debug)]
#[repr(align(64))]
pub(crate) struct ReceiveCounters {
    pub(crate) packets: Counter,
    pub(crate) octets: Counter,
    /// Nanoseconds; 0 before the first packet.
    pub(crate) last_arrival: Counter,
    pub(crate) expected: Counter,
    pub(crate) lost: Counter,
    pub(crate) gaps: Counter,
    pub(crate) jitter_ticks: Counter,
}

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
    /// Back to zero; only while nobody has the flow.
    pub(crate) fn reset(&self) {
        let Self {
            packets,
            octets,
            last_arrival,
            expected,
            lost,
            gaps,
            jitter_ticks,
        } = self;
        for counter in [packets, octets, last_arrival, expected, lost, gaps] {
            counter.set(0);
        }
        jitter_ticks.set(0);
    }
}

/// What one worker sent from a flow's port; never on two cache lines.
#[derive(Default, Debug)]
#[repr(align(16))]
pub(crate) struct SendCounters {
    pub(crate) packets: Counter,
    pub(crate) octets: Counter,
}

impl SendCounters {
    /// Back to zero; only while the flow is closed at every worker.
    pub(crate) fn reset(&self) {
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
            drops: std::array::from_fn(|_| Counter::default()),
            sent: table(flows),
        }
    }

    /// Counts a datagram sent from the port of `flow`.
    pub(crate) fn count_sent(&self, flow: FlowId, octets: usize) {
        let sent = &self.sent[flow.index()];
        sent.packets.add(1);
        sent.octets.add(octets as u64);
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
    /// Packets expected by their sequence numbers.
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
    /// Datagrams dropped, by reason.
    pub drops: DropCounts,
}
