//! Where the time of a worker goes.

use crate::counters::Counter;
use base::Instant;
use std::time::Duration;

/// Where the time of one worker went, by the clock that its thread reads: what a thread waited for
/// its processor is in it.
#[derive(Clone, PartialEq, Eq, Default, Debug)]
pub struct Times {
    /// All of turns that found something to do, but for `work`.
    pub packets: Duration,
    /// Pieces of the function's own work ([`crate::Function::work`]), without what they sent.
    pub work: Durations,
    /// From one look for packets to the next, where the function worked between the two: so long
    /// does a packet wait at most, but for those before it.
    pub looks: Durations,
}

/// How long things took: all together, and how many so long, from eighths of a power of two to the
/// next.
///
/// Below 2 µs by 128 ns, above by an eighth of it at most; 33 ms and more are alike.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Durations {
    total: Duration,
    counts: [u64; CLASSES],
}

impl Default for Durations {
    fn default() -> Self {
        Self {
            total: Duration::ZERO,
            counts: [0; CLASSES],
        }
    }
}

impl Durations {
    /// All together.
    pub fn total(&self) -> Duration {
        self.total
    }

    /// How many there are.
    pub fn len(&self) -> u64 {
        self.counts.iter().sum()
    }

    /// True when there are none.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// How many took less than this and not less than the bound before, for every bound of which
    /// there are any.
    pub fn below(&self) -> impl Iterator<Item = (Duration, u64)> {
        let counts = self.counts.iter().copied().enumerate();
        let found = counts.filter(|(_, count)| *count > 0);
        found.map(|(class, count)| (upper_bound(class), count))
    }
}

/// The counters behind [`Times`], written by the worker.
#[derive(Default, Debug)]
pub(crate) struct TimeCounters {
    packets_ns: Counter,
    work: DurationCounters,
    looks: DurationCounters,
}

#[derive(Debug)]
struct DurationCounters {
    total_ns: Counter,
    counts: [Counter; CLASSES],
}

impl Default for DurationCounters {
    fn default() -> Self {
        Self {
            total_ns: Counter::default(),
            counts: std::array::from_fn(|_| Counter::default()),
        }
    }
}

impl DurationCounters {
    fn count(&self, duration: Duration) {
        self.total_ns.add(duration.as_nanos() as u64);
        self.counts[class_of(duration)].add(1);
    }

    fn read(&self) -> Durations {
        Durations {
            total: Duration::from_nanos(self.total_ns.read()),
            counts: std::array::from_fn(|class| self.counts[class].read()),
        }
    }
}

impl TimeCounters {
    pub(crate) fn read(&self) -> Times {
        Times {
            packets: Duration::from_nanos(self.packets_ns.read()),
            work: self.work.read(),
            looks: self.looks.read(),
        }
    }

    fn count(&self, turn: Duration, worked: Option<Duration>) {
        let packets = turn.saturating_sub(worked.unwrap_or_default());
        self.packets_ns.add(packets.as_nanos() as u64);
        if let Some(work) = worked {
            self.work.count(work);
            self.looks.count(turn);
        }
    }
}

/// What the last turn took in which a function worked.
#[derive(Clone, Copy, PartialEq, Eq, Default, Debug)]
pub struct Took {
    /// From one look for packets to the next.
    pub turn: Duration,
    /// Of that in the function, without what it sent.
    pub work: Duration,
}

/// Follows the turns of a worker.
#[derive(Default, Debug)]
pub(crate) struct Timekeeper {
    /// The turn before this one, if it found something to do: when it began, and how long the
    /// function worked in it, if it did.
    last: Option<(Instant, Option<Duration>)>,
    took: Took,
}

impl Timekeeper {
    /// A turn begins, and so the one before is over.
    pub(crate) fn begin(&mut self, now: Instant, counters: &TimeCounters) {
        let Some((began, worked)) = self.last.take() else {
            return;
        };
        let turn = now.since(began);
        counters.count(turn, worked);
        if let Some(work) = worked {
            self.took = Took { turn, work };
        }
    }

    /// The turn that began then has found something to do. One that has not is nobody's time.
    pub(crate) fn end(&mut self, began: Instant, worked: Option<Duration>) {
        self.last = Some((began, worked));
    }

    pub(crate) fn took(&self) -> Took {
        self.took
    }
}

/// Classes to a power of two.
const PARTS: usize = 8;
const PARTS_BITS: u32 = PARTS.trailing_zeros();

/// Powers of two that are told apart above those of the first, finest classes.
const POWERS: usize = 15;

/// Classes there are.
const CLASSES: usize = PARTS * (POWERS + 1);

/// The width of the finest: 128 ns.
const FINEST_BITS: u32 = 7;

fn class_of(duration: Duration) -> usize {
    let units = (duration.as_nanos() >> FINEST_BITS) as u64;
    let Some(power) = units.checked_ilog2().filter(|power| *power >= PARTS_BITS) else {
        return units as usize;
    };
    let power_class = (power - PARTS_BITS + 1) as usize;
    let part = (units >> (power - PARTS_BITS)) as usize % PARTS;
    (power_class * PARTS + part).min(CLASSES - 1)
}

/// The end of a class, which is not in it.
fn upper_bound(class: usize) -> Duration {
    let (power_class, part) = (class / PARTS, (class % PARTS) as u64);
    let units = match power_class {
        0 => part + 1,
        _ => (PARTS as u64 + part + 1) << (power_class - 1),
    };
    Duration::from_nanos(units << FINEST_BITS)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_duration_is_below_the_end_of_its_class_and_not_below_that_before() {
        let all = (0..4_000).map(|step| step * 33);
        let large = (0..1_900).map(|step| step * 17_001);
        for nanos in all.chain(large) {
            let duration = Duration::from_nanos(nanos);
            let class = class_of(duration);
            assert!(duration < upper_bound(class), "{nanos} {class}");
            if let Some(before) = class.checked_sub(1) {
                assert!(duration >= upper_bound(before), "{nanos} {class}");
            }
        }
        assert_eq!(class_of(Duration::from_secs(9)), CLASSES - 1);
    }

    #[test]
    fn what_is_counted_is_told_by_its_bounds() {
        let counters = DurationCounters::default();
        for micros in [1, 100, 100, 900] {
            counters.count(Duration::from_micros(micros));
        }
        let durations = counters.read();
        assert_eq!(durations.len(), 4);
        assert_eq!(durations.total(), Duration::from_micros(1_101));
        let below: Vec<_> = durations.below().collect();
        assert_eq!(below.iter().map(|(_, count)| *count).sum::<u64>(), 4);
        for ((bound, _), micros) in below.iter().zip([1, 100, 900]) {
            let least = Duration::from_micros(micros);
            assert!(
                (least..least * 9 / 8).contains(bound),
                "{bound:?} {least:?}"
            );
        }
        assert!(Durations::default().is_empty());
    }

    #[test]
    fn a_turn_is_counted_when_the_next_begins_and_idle_ones_are_not() {
        let counters = TimeCounters::default();
        let mut keeper = Timekeeper::default();
        let at = |micros| Instant::from_secs(1) + Duration::from_micros(micros);
        keeper.begin(at(0), &counters);
        keeper.end(at(0), None);
        keeper.begin(at(3), &counters);
        keeper.end(at(3), Some(Duration::from_micros(100)));
        keeper.begin(at(113), &counters);
        // That one found nothing; the worker slept.
        keeper.begin(at(5_000), &counters);
        let times = counters.read();
        assert_eq!(times.packets, Duration::from_micros(13));
        assert_eq!(times.work.total(), Duration::from_micros(100));
        assert_eq!(times.looks.total(), Duration::from_micros(110));
        assert_eq!((times.work.len(), times.looks.len()), (1, 1));
        let took = keeper.took();
        assert_eq!(took.turn, Duration::from_micros(110));
        assert_eq!(took.work, Duration::from_micros(100));
    }
}
