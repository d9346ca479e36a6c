//! How busy the workers are with streams.

use std::sync::atomic::{AtomicU64, Ordering};

use serde::Serialize;

/// What one worker publishes; it alone writes.
#[derive(Debug, Default)]
pub struct DspLoad {
    /// How late ticks begin, in nanoseconds: an average that forgets.
    lag_ns: AtomicU64,
    /// Ticks of rooms.
    ticks: AtomicU64,
    /// Ticks that were left out, since the worker was too late for them.
    skipped: AtomicU64,
    /// Speech encoded.
    encoded: AtomicU64,
}

/// The same as it was at a time.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
pub struct LoadStatus {
    /// How late ticks begin, in microseconds.
    pub lag_us: u64,
    /// Ticks of rooms so far.
    pub ticks: u64,
    /// Ticks left out.
    pub skipped: u64,
    /// Packets' worth of speech encoded so far.
    pub encoded: u64,
}

impl DspLoad {
    /// A tick begins so late.
    pub(crate) fn begin_tick(&self, lag_ns: u64) {
        let before = self.lag_ns.load(Ordering::Relaxed);
        self.lag_ns.store(
            before - before / WEIGHT + lag_ns / WEIGHT,
            Ordering::Relaxed,
        );
        add(&self.ticks, 1);
    }

    pub(crate) fn skip(&self, ticks: u64) {
        add(&self.skipped, ticks);
    }

    pub(crate) fn count_encoded(&self) {
        add(&self.encoded, 1);
    }

    /// How late ticks begin.
    pub(crate) fn lag_ns(&self) -> u64 {
        self.lag_ns.load(Ordering::Relaxed)
    }

    /// What it says now.
    pub fn status(&self) -> LoadStatus {
        LoadStatus {
            lag_us: self.lag_ns() / 1000,
            ticks: self.ticks.load(Ordering::Relaxed),
            skipped: self.skipped.load(Ordering::Relaxed),
            encoded: self.encoded.load(Ordering::Relaxed),
        }
    }
}

/// One of so many ticks makes the average.
const WEIGHT: u64 = 64;

fn add(counter: &AtomicU64, count: u64) {
    counter.store(counter.load(Ordering::Relaxed) + count, Ordering::Relaxed);
}
