//! How long payloads are to wait: what the network's jitter asks for.

/// Follows how much later than the fastest packets of a stream its others come.
///
/// Times are in microseconds. The transit of a packet is its arrival less what its timestamp says;
/// its delay is by how much that is above the least of the last [`WINDOW_US`], so that clocks may
/// drift. Delays go into a histogram that forgets, and the target is what [`QUANTILE`] of them do
/// not exceed.
#[derive(Clone, Debug)]
pub(crate) struct DelayEstimator {
    /// Least transit of this half of the window and of the one before.
    least: Option<(i64, i64)>,
    half_ends_us: i64,
    /// Weights by delay; a new one weighs `weight`, and so much more than the last that those
    /// before are as good as forgotten.
    bins: [f32; BINS],
    sum: f32,
    weight: f32,
    seen: u32,
    target_us: i64,
    min_us: i64,
    max_us: i64,
}

/// The window of the least transit is of one to two of these halves.
pub(crate) const WINDOW_US: i64 = 2_000_000;
/// Packets that come later than the target count as lost.
pub(crate) const QUANTILE: f32 = 0.98;

const BIN_US: i64 = 5_000;
const BINS: usize = 128;
/// Packets that the histogram remembers: about ten seconds.
const MEMORY: f32 = 500.0;
/// Packets from one target to the next.
const EVERY: u32 = 8;
/// A packet further off than this from the others is of another time base.
pub(crate) const JUMP_US: i64 = 1_000_000;

impl DelayEstimator {
    /// With the target to begin with, and its limits.
    pub fn new(initial_us: i64, min_us: i64, max_us: i64) -> Self {
        let max_us = max_us.clamp(0, BIN_US * (BINS as i64 - 1));
        let min_us = min_us.clamp(0, max_us);
        let mut estimator = Self {
            least: None,
            half_ends_us: 0,
            bins: [0.0; BINS],
            sum: 0.0,
            weight: 1.0,
            seen: 0,
            target_us: initial_us.clamp(min_us, max_us),
            min_us,
            max_us,
        };
        // As if one packet had been so late.
        estimator.count(initial_us);
        estimator
    }

    /// Begins with another time base; what is known of the jitter stays.
    pub fn restart(&mut self) {
        self.least = None;
    }

    /// Whether the packet is of another time base than those before.
    pub fn is_jump(&self, transit_us: i64) -> bool {
        self.base_us()
            .is_some_and(|base| (transit_us - base).abs() > JUMP_US)
    }

    /// A packet came.
    pub fn observe(&mut self, arrival_us: i64, transit_us: i64) {
        let (now, before) = self.least.unwrap_or((transit_us, transit_us));
        if self.least.is_none() {
            self.half_ends_us = arrival_us + WINDOW_US;
        }
        self.least = Some((now.min(transit_us), before));
        if arrival_us >= self.half_ends_us {
            self.half_ends_us = arrival_us + WINDOW_US;
            self.least = Some((transit_us, now));
            let risen = self.base_us().map_or(0, |base| base - now.min(before));
            self.forget(risen / BIN_US);
        }
        let base = self.base_us().unwrap_or(transit_us);
        self.count(transit_us - base);
        if self.seen.is_multiple_of(EVERY) {
            self.aim();
        }
    }

    /// The least transit.
    pub fn base_us(&self) -> Option<i64> {
        self.least.map(|(now, before)| now.min(before))
    }

    /// How long after the fastest packet one is to be played.
    pub fn target_us(&self) -> i64 {
        self.target_us
    }

    fn count(&mut self, delay_us: i64) {
        let bin = (delay_us / BIN_US).clamp(0, BINS as i64 - 1) as usize;
        self.bins[bin] += self.weight;
        self.sum += self.weight;
        self.seen = self.seen.wrapping_add(1);
        // At first every packet counts the same.
        let memory = (self.seen as f32).min(MEMORY);
        self.weight *= 1.0 + 1.0 / memory.max(8.0);
        if self.weight > 1e12 {
            let scale = 1.0 / self.weight;
            self.bins.iter_mut().for_each(|bin| *bin *= scale);
            self.sum = self.bins.iter().sum();
            self.weight = 1.0;
        }
    }

    /// The least transit has risen, so all delays have been less than it seemed.
    fn forget(&mut self, bins: i64) {
        let bins = usize::try_from(bins).unwrap_or(0).min(BINS - 1);
        if bins == 0 {
            return;
        }
        let first: f32 = self.bins[..=bins].iter().sum();
        self.bins.copy_within(bins.., 0);
        self.bins[0] = first;
        self.bins[BINS - bins..].fill(0.0);
    }

    fn aim(&mut self) {
        let wanted = QUANTILE * self.sum;
        let mut sum = 0.0;
        let mut bin = 0;
        while bin < BINS - 1 {
            sum += self.bins[bin];
            if sum >= wanted {
                break;
            }
            bin += 1;
        }
        let target = (bin as i64 + 1) * BIN_US;
        self.target_us = target.clamp(self.min_us, self.max_us);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn noise(state: &mut u32) -> i64 {
        *state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
        i64::from(*state >> 16)
    }

    /// The target after packets every 20 ms for some seconds with up to `jitter_us`.
    fn target(estimator: &mut DelayEstimator, from_s: i64, to_s: i64, jitter_us: i64) -> i64 {
        let mut state = 7;
        for packet in from_s * 50..to_s * 50 {
            let sent = packet * 20_000;
            let transit = 40_000 + noise(&mut state) * jitter_us / 65_536;
            estimator.observe(sent + transit, transit);
        }
        estimator.target_us()
    }

    #[test]
    fn the_target_follows_the_jitter_up_and_down() {
        let mut estimator = DelayEstimator::new(40_000, 0, 400_000);
        assert_eq!(estimator.target_us(), 40_000);
        assert_eq!(target(&mut estimator, 0, 10, 0), 5_000);
        let risen = target(&mut estimator, 10, 12, 60_000);
        assert!((50_000..=60_000).contains(&risen), "{risen}");
        let settled = target(&mut estimator, 12, 30, 60_000);
        assert!((55_000..=60_000).contains(&settled), "{settled}");
        assert!(target(&mut estimator, 30, 70, 10_000) <= 15_000);
    }

    #[test]
    fn the_target_keeps_its_limits() {
        let mut estimator = DelayEstimator::new(0, 20_000, 50_000);
        assert_eq!(estimator.target_us(), 20_000);
        assert_eq!(target(&mut estimator, 0, 5, 0), 20_000);
        assert_eq!(target(&mut estimator, 5, 30, 300_000), 50_000);
    }

    #[test]
    fn a_drifting_clock_is_no_delay() {
        for ppm in [-200, 200] {
            let mut estimator = DelayEstimator::new(40_000, 0, 400_000);
            for packet in 0..30_000 {
                let sent = packet * 20_000;
                let transit = 40_000 + sent * ppm / 1_000_000;
                assert!(!estimator.is_jump(transit));
                estimator.observe(sent + transit, transit);
                let base = estimator.base_us().unwrap();
                assert!((0..1_000).contains(&(transit - base)), "{packet}");
            }
            assert_eq!(estimator.target_us(), 5_000);
        }
    }

    #[test]
    fn a_longer_route_is_no_jitter_for_long() {
        let mut estimator = DelayEstimator::new(40_000, 0, 400_000);
        target(&mut estimator, 0, 20, 10_000);
        for packet in 1000..1250 {
            let sent = packet * 20_000;
            estimator.observe(sent + 160_000, 160_000);
        }
        assert!(estimator.target_us() <= 15_000, "{}", estimator.target_us());
    }

    #[test]
    fn another_time_base_is_noticed() {
        let mut estimator = DelayEstimator::new(40_000, 0, 400_000);
        estimator.observe(0, 5_000);
        assert!(!estimator.is_jump(600_000));
        assert!(estimator.is_jump(-1_000_000) && estimator.is_jump(2_000_000));
        estimator.restart();
        assert!(!estimator.is_jump(2_000_000));
    }
}
