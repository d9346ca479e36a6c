//! How many calls a gateway is given that says it is overloaded (`ocp`, H.248.11).

use std::time::Duration;

use base::Instant;

/// Calls are counted over so long, and the rate changes once in it.
const PERIOD: Duration = Duration::from_secs(1);
/// So much earlier than its rate says a call may come.
const BURST: Duration = Duration::from_millis(100);
/// What is left of the rate after a period with overload: of eight parts so many.
const LEFT_OF_EIGHT: u32 = 6;
/// What a rate gains in a period without overload: one of so many parts, at least one call.
const GAIN_PART: u32 = 8;

/// Admits calls to one gateway: all of them, or at a rate that it is found to carry.
///
/// The first word of overload sets the rate to less than what was admitted lately. With each
/// period that brings more such words the rate falls, with each that brings none it grows; once it
/// is twice what it was found at, it is lifted.
#[derive(Debug)]
pub struct Throttle {
    /// When the period began that runs, and the calls admitted in it and in the one before.
    since: Instant,
    admitted: u32,
    admitted_before: u32,
    /// Overload was told in this period.
    is_told: bool,
    limit: Option<Limit>,
}

/// A rate in force.
#[derive(Debug)]
struct Limit {
    /// Calls in a period.
    rate: u32,
    /// Beyond this rate there is no need of it.
    enough: u32,
    /// When the next call is due.
    next: Instant,
}

impl Throttle {
    /// Of a gateway that has said nothing yet.
    pub fn new(now: Instant) -> Self {
        Self {
            since: now,
            admitted: 0,
            admitted_before: 0,
            is_told: false,
            limit: None,
        }
    }

    /// True when a call may go to it now.
    pub fn admits(&self, now: Instant) -> bool {
        let limit = self.limit.as_ref();
        limit.is_none_or(|limit| limit.next <= now + BURST)
    }

    /// Counts a call that goes to it.
    pub fn count(&mut self, now: Instant) {
        self.advance(now);
        self.admitted = self.admitted.saturating_add(1);
        if let Some(limit) = &mut self.limit {
            limit.next = limit.next.max(now) + PERIOD / limit.rate;
        }
    }

    /// It says that it is overloaded; true when that is news.
    pub fn overloaded(&mut self, now: Instant) -> bool {
        self.advance(now);
        if std::mem::replace(&mut self.is_told, true) {
            return false;
        }
        let carried = self.admitted.max(self.admitted_before).max(1);
        match &mut self.limit {
            Some(limit) => limit.rate = lowered(limit.rate),
            None => {
                self.limit = Some(Limit {
                    rate: lowered(carried),
                    enough: carried.saturating_mul(2),
                    next: now,
                });
            }
        }
        true
    }

    /// Calls a second that it is given; `None`: all that come.
    pub fn rate(&self) -> Option<u32> {
        self.limit.as_ref().map(|limit| limit.rate)
    }

    /// Lets the periods pass that are over.
    pub fn advance(&mut self, now: Instant) {
        while now.since(self.since) >= PERIOD {
            self.admitted_before = std::mem::take(&mut self.admitted);
            let was_told = std::mem::take(&mut self.is_told);
            if let Some(limit) = &mut self.limit
                && !was_told
            {
                let gain = (limit.rate / GAIN_PART).max(1);
                limit.rate = limit.rate.saturating_add(gain);
                if limit.rate > limit.enough {
                    self.limit = None;
                }
            }
            if self.limit.is_none() && self.admitted_before == 0 {
                // Nothing is left to change, however long ago it was.
                self.since = now;
                return;
            }
            self.since += PERIOD;
        }
    }
}

fn lowered(rate: u32) -> u32 {
    let left = u64::from(rate) * u64::from(LEFT_OF_EIGHT) / 8;
    u32::try_from(left).unwrap_or(u32::MAX).max(1)
}

#[cfg(test)]
mod tests {
    use super::*;

    const T0: Instant = Instant::from_secs(1_800_000_000);

    fn ms(ms: u64) -> Instant {
        T0 + Duration::from_millis(ms)
    }

    /// Offers a call every millisecond from `from` to `to`, and returns how many went through.
    fn offer(throttle: &mut Throttle, from: u64, to: u64) -> usize {
        let admitted = (from..to).filter(|&at| {
            throttle.advance(ms(at));
            let is_admitted = throttle.admits(ms(at));
            if is_admitted {
                throttle.count(ms(at));
            }
            is_admitted
        });
        admitted.count()
    }

    #[test]
    fn without_overload_everything_goes_through() {
        let mut throttle = Throttle::new(T0);
        assert_eq!(offer(&mut throttle, 0, 5_000), 5_000);
        assert_eq!(throttle.rate(), None);
    }

    #[test]
    fn overload_lowers_the_rate_once_a_period_and_silence_lifts_it() {
        let mut throttle = Throttle::new(T0);
        offer(&mut throttle, 0, 2_000);
        assert!(throttle.overloaded(ms(2_000)));
        assert!(!throttle.overloaded(ms(2_001)));
        assert_eq!(throttle.rate(), Some(750));
        let admitted = offer(&mut throttle, 2_001, 2_999);
        assert!((745..=830).contains(&admitted), "{admitted}");
        assert!(throttle.overloaded(ms(3_100)));
        assert_eq!(throttle.rate(), Some(562));
        // 562 grows by an eighth each second until it is beyond 2 000.
        offer(&mut throttle, 3_100, 13_000);
        assert!(throttle.rate().is_some());
        offer(&mut throttle, 13_000, 20_000);
        assert_eq!(throttle.rate(), None);
        assert_eq!(offer(&mut throttle, 20_000, 21_000), 1_000);
    }

    #[test]
    fn a_gateway_that_says_nothing_else_is_left_one_call_a_second() {
        let mut throttle = Throttle::new(T0);
        for second in 0..100 {
            throttle.overloaded(ms(second * 1_000));
        }
        assert_eq!(throttle.rate(), Some(1));
        let admitted = offer(&mut throttle, 100_000, 101_000);
        assert!((1..=2).contains(&admitted), "{admitted}");
    }

    #[test]
    fn years_pass_at_once() {
        let mut throttle = Throttle::new(T0);
        offer(&mut throttle, 0, 100);
        throttle.overloaded(ms(100));
        let later = T0 + Duration::from_secs(10 * 365 * 86_400);
        throttle.advance(later);
        assert_eq!(throttle.rate(), None);
        assert!(throttle.admits(later));
    }
}
