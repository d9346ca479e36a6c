//! How busy the workers are with streams, and what coding costs them: measured.

use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use base::Instant;
use dataplane::Took;
use serde::Serialize;

use crate::coding::{CLASSES, Class, Operation};

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
    /// Ticks of parts of rooms told to other parts.
    shared: AtomicU64,
    /// Ticks of other parts that were not there in time.
    missed: AtomicU64,
    /// Time that rooms took of the last whole window, in nanoseconds for each tick of 20 ms.
    busy_ns: AtomicU64,
    /// Windows that have passed.
    windows: AtomicU64,
    /// What one operation costs, in nanoseconds; 0 where none was measured.
    costs: [[AtomicU64; 2]; CLASSES],
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
    /// Ticks told to the parts that rooms have on other workers.
    pub shared: u64,
    /// Ticks of those that were not there in time.
    pub missed: u64,
    /// Share of its time that the worker had for rooms lately, in thousandths.
    pub busy_permille: u64,
}

impl DspLoad {
    /// A tick begins so late.
    pub(crate) fn begin_tick(&self, lag_ns: u64) {
        average(&self.lag_ns, lag_ns);
        add(&self.ticks, 1);
    }

    pub(crate) fn skip(&self, ticks: u64) {
        add(&self.skipped, ticks);
    }

    pub(crate) fn count_encoded(&self) {
        add(&self.encoded, 1);
    }

    pub(crate) fn count_shared(&self) {
        add(&self.shared, 1);
    }

    pub(crate) fn count_missed(&self) {
        add(&self.missed, 1);
    }

    /// A window has passed in which each tick took so long.
    pub(crate) fn end_window(&self, busy_ns: u64) {
        self.busy_ns.store(busy_ns, Ordering::Relaxed);
        add(&self.windows, 1);
    }

    /// An operation took so long.
    fn measure(&self, class: Class, operation: Operation, took: Duration) {
        let cost = &self.costs[class as usize][operation as usize];
        let took_ns = took.as_nanos() as u64;
        match cost.load(Ordering::Relaxed) {
            // The first, too, may have waited for its processor.
            0 => {
                let most = OUTLIER * class.usual_ns(operation) / 2;
                cost.store(took_ns.min(most), Ordering::Relaxed);
            }
            // What else happened meanwhile, packets or another thread, is not the operation's.
            before => average(cost, took_ns.min(OUTLIER * before)),
        }
    }

    /// How late ticks begin.
    pub(crate) fn lag_ns(&self) -> u64 {
        self.lag_ns.load(Ordering::Relaxed)
    }

    /// What rooms take of each tick, by the last whole window.
    pub(crate) fn busy_ns(&self) -> u64 {
        self.busy_ns.load(Ordering::Relaxed)
    }

    /// How many windows have passed.
    pub(crate) fn windows(&self) -> u64 {
        self.windows.load(Ordering::Relaxed)
    }

    /// What an operation costs, where one was measured.
    pub(crate) fn cost_ns(&self, class: Class, operation: Operation) -> Option<u64> {
        let cost = self.costs[class as usize][operation as usize].load(Ordering::Relaxed);
        (cost > 0).then_some(cost)
    }

    /// What it says now.
    pub fn status(&self) -> LoadStatus {
        LoadStatus {
            lag_us: self.lag_ns() / 1000,
            ticks: self.ticks.load(Ordering::Relaxed),
            skipped: self.skipped.load(Ordering::Relaxed),
            encoded: self.encoded.load(Ordering::Relaxed),
            shared: self.shared.load(Ordering::Relaxed),
            missed: self.missed.load(Ordering::Relaxed),
            busy_permille: self.busy_ns() * 1000 / TICK_NS,
        }
    }
}

/// Measures what a worker does by what the runtime says that its turns took.
#[derive(Debug, Default)]
pub(crate) struct Stopwatch {
    /// What the last turn did that worked, and what that usually takes.
    last: Option<(Did, u64)>,
    window: Option<Instant>,
    busy: Duration,
}

impl Stopwatch {
    /// The last turn that worked took so long: what came and went in it makes the worker busy too.
    pub fn begin(&mut self, now: Instant, took: Took, load: &DspLoad) {
        if let Some((did, usual_ns)) = self.last.take() {
            // A thread that had to wait for its processor was not busy: it is late, which is
            // another matter.
            let most = Duration::from_nanos(OUTLIER * usual_ns + OTHER_NS);
            self.busy += took.turn.min(most);
            // On virtual time nothing takes any.
            if let Did::Same(class, operation, times) = did
                && !took.work.is_zero()
            {
                load.measure(class, operation, took.work / times);
            }
        }
        let window = *self.window.get_or_insert(now);
        let passed = now.since(window);
        if passed >= WINDOW {
            let busy_ns = self.busy.as_nanos() * u128::from(TICK_NS) / passed.as_nanos();
            load.end_window(busy_ns as u64);
            self.window = Some(now);
            self.busy = Duration::ZERO;
        }
    }

    /// This turn has worked; what it did usually takes so long.
    pub fn worked(&mut self, did: Did, usual_ns: u64) {
        self.last = Some((did, usual_ns));
    }
}

/// What a turn did that takes time.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) enum Did {
    #[default]
    Nothing,
    /// One operation, so many times.
    Same(Class, Operation, u32),
    /// Several operations.
    Mixed,
}

impl Did {
    /// It does one more.
    pub fn add(&mut self, (class, operation): (Class, Operation)) {
        *self = match *self {
            Self::Nothing => Self::Same(class, operation, 1),
            Self::Same(known, same, times) if (known, same) == (class, operation) => {
                Self::Same(class, operation, times + 1)
            }
            _ => Self::Mixed,
        };
    }
}

/// One of so many makes the average.
const WEIGHT: u64 = 64;

/// Nothing costs so many times more than usual.
const OUTLIER: u64 = 4;

/// What a turn may take for packets and the like.
const OTHER_NS: u64 = 100_000;

/// Over which time it is measured how busy a worker is.
pub(crate) const WINDOW: Duration = Duration::from_millis(500);

const TICK_NS: u64 = media::TICK.as_nanos() as u64;

fn average(value: &AtomicU64, new: u64) {
    let before = value.load(Ordering::Relaxed);
    value.store(before - before / WEIGHT + new / WEIGHT, Ordering::Relaxed);
}

fn add(counter: &AtomicU64, count: u64) {
    counter.store(counter.load(Ordering::Relaxed) + count, Ordering::Relaxed);
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_operations_cost_and_how_busy_it_is_comes_of_the_time_between_turns() {
        let load = DspLoad::default();
        let mut watch = Stopwatch::default();
        let mut now = Instant::from_secs(5);
        let mut encode = Did::Nothing;
        encode.add((Class::AmrWb, Operation::Encode));
        encode.add((Class::AmrWb, Operation::Encode));
        let mut took = Took::default();
        for turn in 0..2000 {
            watch.begin(now, took, &load);
            watch.worked(encode, 200_000);
            // Another thread was on the processor meanwhile, now and then.
            let work = Duration::from_micros(if turn % 100 == 99 { 5_000 } else { 200 });
            took = Took { turn: work, work };
            // Then nothing is to be done for as long.
            now += 2 * work;
        }
        let cost = load.cost_ns(Class::AmrWb, Operation::Encode).unwrap();
        assert!((95_000..115_000).contains(&cost), "{cost}");
        assert_eq!(load.cost_ns(Class::AmrWb, Operation::Decode), None);
        encode.add((Class::Amr, Operation::Encode));
        assert_eq!(encode, Did::Mixed);
        assert!((8_000_000..10_000_000).contains(&load.busy_ns()));
        assert!(load.windows() >= 1);
        assert!((400..500).contains(&load.status().busy_permille));
    }
}
