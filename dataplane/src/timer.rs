//! Timers of a worker: one per flow, on a wheel.

use crate::FlowId;
use base::Instant;
use std::time::Duration;

/// A hashed wheel of flows, one timer each.
///
/// `set` and `cancel` cost O(1) and allocate nothing. A timer fires up to one [`TICK`] late and
/// never early. Timers beyond one round of the wheel are passed by until their round has come.
#[derive(Debug)]
pub(crate) struct TimerWheel {
    spokes: Box<[u32]>,
    timers: Box<[Timer]>,
    /// The next tick to look at.
    tick: u64,
    /// Where the last [`TimerWheel::expire`] stopped within its tick, for its own limit's sake.
    resume: u32,
    armed: usize,
}

#[derive(Clone, Copy, Debug)]
struct Timer {
    at: Instant,
    next: u32,
    previous: u32,
    spoke: u32,
}

impl TimerWheel {
    /// A wheel for flows below `flows`, whose time begins at the first [`TimerWheel::expire`].
    pub(crate) fn new(flows: usize) -> Self {
        let idle = Timer {
            at: Instant::ZERO,
            next: NONE,
            previous: NONE,
            spoke: NONE,
        };
        Self {
            spokes: vec![NONE; SPOKES].into(),
            timers: vec![idle; flows].into(),
            tick: 0,
            resume: NONE,
            armed: 0,
        }
    }

    /// Sets the flow's timer, in place of what was set before.
    pub(crate) fn set(&mut self, flow: FlowId, at: Instant) {
        self.cancel(flow);
        // What is already due is put where the wheel looks next: not into a spoke it has begun.
        let begun = u64::from(self.resume != NONE);
        let tick = tick_after(at).max(self.tick + begun);
        let spoke = (tick % SPOKES as u64) as u32;
        let head = std::mem::replace(&mut self.spokes[spoke as usize], flow.0);
        self.timers[flow.index()] = Timer {
            at,
            next: head,
            previous: NONE,
            spoke,
        };
        if let Some(next) = self.timers.get_mut(head as usize) {
            next.previous = flow.0;
        }
        self.armed += 1;
    }

    /// Takes the flow's timer back, if it is set.
    pub(crate) fn cancel(&mut self, flow: FlowId) {
        let timer = self.timers[flow.index()];
        if timer.spoke == NONE {
            return;
        }
        if self.resume == flow.0 {
            self.resume = timer.next;
        }
        match self.timers.get_mut(timer.previous as usize) {
            Some(previous) => previous.next = timer.next,
            None => self.spokes[timer.spoke as usize] = timer.next,
        }
        if let Some(next) = self.timers.get_mut(timer.next as usize) {
            next.previous = timer.previous;
        }
        self.timers[flow.index()].spoke = NONE;
        self.armed -= 1;
    }

    /// Takes the next flow whose timer is due, looking at no more than `budget` timers in all; each
    /// looked at is taken off the budget. `None` when nothing more is due or the budget is spent:
    /// the next call goes on there.
    pub(crate) fn expire(&mut self, now: Instant, budget: &mut usize) -> Option<FlowId> {
        let end = now.as_nanos() / TICK_NANOS;
        if self.armed == 0 {
            (self.tick, self.resume) = (self.tick.max(end), NONE);
            return None;
        }
        // After a pause longer than a round, each spoke needs one look.
        if self.resume == NONE && self.tick + (SPOKES as u64) <= end {
            self.tick = end - SPOKES as u64 + 1;
        }
        loop {
            if self.resume == NONE {
                if self.tick > end {
                    return None;
                }
                self.resume = self.spokes[(self.tick % SPOKES as u64) as usize];
            }
            while let Some(timer) = self.timers.get(self.resume as usize) {
                if *budget == 0 {
                    return None;
                }
                *budget -= 1;
                let flow = FlowId(self.resume);
                self.resume = timer.next;
                if timer.at <= now {
                    self.cancel(flow);
                    return Some(flow);
                }
            }
            self.tick += 1;
        }
    }

    /// How long nothing can fire, if anything is set: at most one round.
    pub(crate) fn idle_for(&self, now: Instant) -> Option<Duration> {
        if self.armed == 0 {
            return None;
        }
        let first = self.tick;
        let busy = (first..first + SPOKES as u64)
            .find(|tick| self.spokes[(tick % SPOKES as u64) as usize] != NONE)
            .unwrap_or(first);
        Some(Instant::from_nanos(busy.saturating_mul(TICK_NANOS)).since(now))
    }
}

/// The first tick at whose beginning `at` has passed.
fn tick_after(at: Instant) -> u64 {
    at.as_nanos().div_ceil(TICK_NANOS)
}

/// Resolution: inactivity is asked for in seconds (H.248.40 counts in them).
pub(crate) const TICK: Duration = Duration::from_nanos(TICK_NANOS);
const TICK_NANOS: u64 = 50_000_000;
/// One round is 12.8 s, above the usual inactivity time of 10 s, so that a timer is passed by at
/// most once.
const SPOKES: usize = 256;
const NONE: u32 = u32::MAX;

#[cfg(test)]
mod tests {
    use super::*;
    use base::Entropy;

    fn fired(wheel: &mut TimerWheel, now: Instant) -> Vec<u32> {
        std::iter::from_fn(|| wheel.expire(now, &mut usize::MAX.clone()))
            .map(|flow| flow.0)
            .collect()
    }

    #[test]
    fn fires_once_not_early_and_at_most_a_tick_late() {
        for millis in [1, 49, 50, 51, 12_800, 12_801, 60_000] {
            let mut wheel = TimerWheel::new(2);
            let start = Instant::from_secs(1_700_000_000);
            assert!(fired(&mut wheel, start).is_empty());
            let at = start + Duration::from_millis(millis);
            wheel.set(FlowId(1), at);
            let mut now = start;
            while now + Duration::from_millis(1) < at {
                now += Duration::from_millis(1);
                assert!(fired(&mut wheel, now).is_empty(), "{millis} ms at {now:?}");
            }
            assert_eq!(fired(&mut wheel, at + TICK), [1]);
            assert!(fired(&mut wheel, at + TICK * 1000).is_empty());
        }
    }

    #[test]
    fn a_timer_set_again_fires_at_the_later_time_only() {
        let mut wheel = TimerWheel::new(1);
        wheel.set(FlowId(0), Instant::from_secs(1));
        wheel.set(FlowId(0), Instant::from_secs(2));
        assert!(fired(&mut wheel, Instant::from_nanos(1_900_000_000)).is_empty());
        assert_eq!(fired(&mut wheel, Instant::from_secs(2) + TICK), [0]);
    }

    #[test]
    fn the_budget_bounds_the_work_and_nothing_is_lost() {
        let mut wheel = TimerWheel::new(100);
        for flow in 0..100 {
            wheel.set(FlowId(flow), Instant::from_secs(1));
        }
        let now = Instant::from_secs(2);
        let mut all = Vec::new();
        for _ in 0..20 {
            let mut budget = 7;
            while let Some(flow) = wheel.expire(now, &mut budget) {
                all.push(flow.0);
            }
        }
        all.sort_unstable();
        assert_eq!(all, (0..100).collect::<Vec<_>>());
    }

    #[test]
    fn idle_time_reaches_to_the_next_timer() {
        let mut wheel = TimerWheel::new(1);
        let start = Instant::from_secs(100);
        assert_eq!(wheel.idle_for(start), None);
        assert_eq!(wheel.expire(start, &mut 10), None);
        wheel.set(FlowId(0), start + Duration::from_secs(3));
        let idle = wheel.idle_for(start).unwrap();
        assert!((Duration::from_secs(3)..=Duration::from_secs(3) + TICK).contains(&idle));
    }

    #[test]
    fn agrees_with_a_list_over_random_sets_and_cancels() {
        const FLOWS: u64 = 40;
        let mut entropy = Entropy::from_u64(11);
        let mut wheel = TimerWheel::new(FLOWS as usize);
        let mut model = [None; FLOWS as usize];
        let mut now = Instant::from_secs(5);
        for _ in 0..20_000 {
            let flow = FlowId(entropy.below(FLOWS) as u32);
            match entropy.below(4) {
                0 => {
                    wheel.cancel(flow);
                    model[flow.index()] = None;
                }
                1 | 2 => {
                    let at = now + Duration::from_millis(entropy.below(30_000));
                    wheel.set(flow, at);
                    model[flow.index()] = Some(at);
                }
                _ => {
                    now += Duration::from_millis(entropy.below(400));
                    let mut budget = entropy.below(10) as usize;
                    while let Some(flow) = wheel.expire(now, &mut budget) {
                        let at = model[flow.index()].take().expect("it was set");
                        assert!(at <= now);
                    }
                    if entropy.chance(200) {
                        for flow in fired(&mut wheel, now) {
                            model[flow as usize] = None;
                        }
                        let late = |at: &Option<Instant>| at.is_some_and(|at| at + TICK <= now);
                        assert!(!model.iter().any(late));
                    }
                }
            }
        }
        assert_eq!(wheel.armed, model.iter().flatten().count());
    }
}
