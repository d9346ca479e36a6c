//! Traffic policing, H.248.53.

use base::Instant;
use std::net::SocketAddr;
use std::time::Duration;

/// What a flow may receive: a peak rate with a delay variation tolerance, a sustainable rate with
/// a maximum burst size, both or neither (H.248.53 `tman/pdr`, `dvt`, `sdr`, `mbs`).
///
/// Octets are those of IP packets, headers included. Rates are kept as the time that one octet
/// takes, so that a packet costs a multiplication for each and no division; in sixteen octets,
/// since every flow has them beside what it needs for each packet.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Policing {
    peak: Limit,
    sustained: Limit,
}

impl Policing {
    /// Everything conforms.
    pub const OFF: Policing = Policing {
        peak: Limit::OFF,
        sustained: Limit::OFF,
    };

    /// The same with a peak rate in octets per second. A packet may come earlier than those before
    /// it allow by up to `tolerance`.
    pub fn with_peak(self, rate: u32, tolerance: Duration) -> Self {
        let nanos = u64::try_from(tolerance.as_nanos()).unwrap_or(u64::MAX);
        Self {
            peak: Limit::new(rate, nanos),
            ..self
        }
    }

    /// The same with a sustainable rate in octets per second, and the octets that may come at once.
    pub fn with_sustained(self, rate: u32, burst_octets: u32) -> Self {
        let octet = u128::from(octet_time(rate).value());
        let burst = (octet * u128::from(burst_octets)) >> FRACTION_BITS;
        Self {
            sustained: Limit::new(rate, u64::try_from(burst).unwrap_or(u64::MAX)),
            ..self
        }
    }

    /// Something may not conform.
    pub fn is_on(&self) -> bool {
        self.peak != Limit::OFF || self.sustained != Limit::OFF
    }
}

impl Default for Policing {
    fn default() -> Self {
        Self::OFF
    }
}

/// One leaky bucket, as a virtual schedule: the time that an octet takes, and how far ahead of the
/// schedule packets may be.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
struct Limit {
    /// In units of 2^-16 ns; 0 where nothing limits, the maximum where nothing may pass.
    octet: Short,
    /// Nanoseconds.
    tolerance: Short,
}

impl Limit {
    const OFF: Limit = Limit {
        octet: Short(0),
        tolerance: Short::MAX,
    };

    fn new(rate: u32, tolerance: u64) -> Self {
        Self {
            octet: octet_time(rate),
            tolerance: Short::at_least(tolerance),
        }
    }
}

/// A number of 64 bits of which the upper [`MANTISSA_BITS`] count: these, and how far they are
/// shifted.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
struct Short(u32);

impl Short {
    const MAX: Short = Short::at_most(u64::MAX);

    /// The greatest that is not above `value`.
    const fn at_most(value: u64) -> Self {
        let shift = (u64::BITS - value.leading_zeros()).saturating_sub(MANTISSA_BITS);
        Self((value >> shift << SHIFT_BITS) as u32 | shift)
    }

    /// The least that is not below `value`, if there is one.
    const fn at_least(value: u64) -> Self {
        let shift = (u64::BITS - value.leading_zeros()).saturating_sub(MANTISSA_BITS);
        Self::at_most(value.saturating_add((1 << shift) - 1))
    }

    #[inline]
    const fn value(self) -> u64 {
        ((self.0 >> SHIFT_BITS) as u64) << (self.0 & ((1 << SHIFT_BITS) - 1))
    }
}

const SHIFT_BITS: u32 = 6;
const MANTISSA_BITS: u32 = u32::BITS - SHIFT_BITS;

/// The time that an octet takes at so many per second, in units of 2^-16 ns; rounded down, in
/// favour of what comes, by less than 1 in 15 000.
fn octet_time(rate: u32) -> Short {
    (NANOS_PER_SECOND << FRACTION_BITS)
        .checked_div(rate.into())
        .map_or(Short::MAX, Short::at_most)
}

/// Nanoseconds that octets take.
#[inline]
fn taken_by(octet: u64, octets: u64) -> u64 {
    (octet * octets) >> FRACTION_BITS
}

/// How far a flow has used what it may. Owned by the worker that has the flow.
///
/// This is the generic cell rate algorithm for packets of any size: for each limit the time is kept
/// until which what has passed would take at its rate. What does not conform to either takes
/// nothing of both.
#[derive(Clone, Copy, Default, Debug)]
pub(crate) struct Policer {
    peak_until: u64,
    sustained_until: u64,
}

impl Policer {
    /// True when a packet conforms that arrives now; it then counts.
    #[inline]
    pub(crate) fn conforms(&mut self, policing: &Policing, now: Instant, octets: u64) -> bool {
        let now = now.as_nanos();
        let Policing { peak, sustained } = policing;
        if peak.octet == Short::MAX || sustained.octet == Short::MAX {
            return false;
        }
        let peak_from = self.peak_until.max(now);
        let sustained_from = self.sustained_until.max(now);
        let sustained_until =
            sustained_from.saturating_add(taken_by(sustained.octet.value(), octets));
        // The tolerance is about the arrival, the burst size about all that has arrived.
        let conforms = peak_from - now <= peak.tolerance.value()
            && sustained_until - now <= sustained.tolerance.value();
        if conforms {
            self.peak_until = peak_from.saturating_add(taken_by(peak.octet.value(), octets));
            self.sustained_until = sustained_until;
        }
        conforms
    }
}

/// Octets of an IP packet with such a UDP payload, without options.
#[inline]
pub(crate) fn ip_octets(payload_bytes: usize, source: SocketAddr) -> u64 {
    let headers = if source.is_ipv4() { 20 + 8 } else { 40 + 8 };
    payload_bytes as u64 + headers
}

const NANOS_PER_SECOND: u64 = 1_000_000_000;

/// Of the time that an octet takes: at the highest rate it is half a nanosecond.
const FRACTION_BITS: u32 = 16;

/// The longest packet that [`ip_octets`] counts.
const IP_OCTETS_MAX: u64 = u16::MAX as u64 + 48;

const _: () = assert!(
    (NANOS_PER_SECOND << FRACTION_BITS)
        .checked_mul(IP_OCTETS_MAX)
        .is_some()
);

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    const START: Instant = Instant::from_secs(1_800_000_000);

    /// Those of a schedule that conform: arrivals in milliseconds, each of so many octets.
    fn conforming(policing: Policing, schedule: &[(u64, u64)]) -> Vec<bool> {
        let mut policer = Policer::default();
        let packets = schedule.iter();
        packets
            .map(|&(ms, octets)| {
                let now = START + Duration::from_millis(ms);
                policer.conforms(&policing, now, octets)
            })
            .collect()
    }

    #[test]
    fn without_limits_everything_conforms() {
        assert!(!Policing::OFF.is_on());
        let flood = [(0, 65_535); 1000];
        assert!(conforming(Policing::OFF, &flood).iter().all(|&yes| yes));
    }

    #[test]
    fn a_burst_passes_up_to_its_size_and_the_rate_refills_it() {
        let policing = Policing::OFF.with_sustained(10_000, 600);
        assert!(policing.is_on());
        let schedule = [
            (0, 200),
            (0, 200),
            (0, 200),
            (0, 200),
            // 20 ms bring 200 octets.
            (19, 200),
            (20, 200),
            (20, 1),
            // No more than the burst is saved up.
            (100_000, 600),
            (100_000, 1),
            (200_000, 601),
        ];
        let expected = [
            true, true, true, false, false, true, false, true, false, false,
        ];
        assert_eq!(conforming(policing, &schedule), expected);
    }

    #[test]
    fn a_packet_ahead_of_the_peak_rate_passes_within_the_tolerance() {
        // 200 octets every 20 ms, 5 ms of tolerance.
        let policing = Policing::OFF.with_peak(10_000, Duration::from_millis(5));
        let schedule = [
            (0, 200),
            (14, 200),
            (15, 200),
            // Two were sent for the time until 40.
            (34, 200),
            (35, 200),
            (60, 200),
            (80, 200),
        ];
        let expected = [true, false, true, false, true, true, true];
        assert_eq!(conforming(policing, &schedule), expected);
    }

    #[test]
    fn what_one_limit_refuses_takes_nothing_of_the_other() {
        let policing = Policing::OFF
            .with_peak(10_000, Duration::ZERO)
            .with_sustained(10_000, 400);
        let schedule = [
            (0, 200),
            (0, 200),
            (0, 200),
            (20, 200),
            (40, 401),
            (40, 200),
        ];
        let expected = [true, false, false, true, false, true];
        assert_eq!(conforming(policing, &schedule), expected);
    }

    #[test]
    fn at_a_rate_of_zero_nothing_passes() {
        for policing in [
            Policing::OFF.with_peak(0, Duration::from_secs(1)),
            Policing::OFF.with_sustained(0, u32::MAX),
        ] {
            assert_eq!(conforming(policing, &[(0, 1), (10_000, 1)]), [false, false]);
        }
    }

    #[test]
    fn a_packet_that_arrived_before_the_last_one_is_judged_too() {
        let policing = Policing::OFF.with_sustained(10_000, 400);
        let schedule = [(100, 200), (90, 200), (90, 200)];
        assert_eq!(conforming(policing, &schedule), [true, false, false]);
    }

    #[test]
    fn short_numbers_are_exact_as_far_as_they_go_and_rounded_as_asked() {
        let exact = 1 << MANTISSA_BITS;
        for value in [0, 1, 1000, exact - 1, exact, exact << 10, 1 << 63] {
            assert_eq!(Short::at_most(value).value(), value);
            assert_eq!(Short::at_least(value).value(), value);
        }
        for value in [exact + 1, 2 * exact - 1, (1 << 60) - 1, (1 << 60) + 1] {
            assert!(Short::at_most(value).value() <= value, "{value}");
            assert!(Short::at_least(value).value() >= value, "{value}");
            let between = Short::at_least(value).value() - Short::at_most(value).value();
            assert!(between <= value >> (MANTISSA_BITS - 1), "{value}");
        }
        assert_eq!(Short::at_least(u64::MAX), Short::MAX);
    }

    proptest! {
        /// Over any time no more passes than the rate brings and the burst allows, and what keeps
        /// to the rate passes whole.
        #[test]
        fn no_more_passes_than_rate_and_burst(
            rate in 1_u32..=u32::MAX,
            burst in 1_u32..100_000,
            packets in prop::collection::vec((0_u64..100_000_000, 28_u64..2_000), 1..200),
        ) {
            let policing = Policing::OFF.with_sustained(rate, burst);
            let mut policer = Policer::default();
            let (mut now, mut passed) = (START, 0_u64);
            for (gap, octets) in packets {
                now += Duration::from_nanos(gap);
                if policer.conforms(&policing, now, octets) {
                    passed += octets;
                }
                let nanos = now.since(START).as_nanos();
                let brought = (nanos + 1) * u128::from(rate) / 1_000_000_000;
                let allowed = brought + u128::from(burst);
                // Rounding: of the time of an octet, and of each packet to whole nanoseconds.
                let rounding = allowed / 15_000 + u128::from(rate) * 200 / 1_000_000_000 + 2;
                prop_assert!(u128::from(passed) <= allowed + rounding);
            }
        }

        #[test]
        fn what_keeps_to_the_peak_rate_passes(
            rate in 1_000_u32..=u32::MAX,
            sizes in prop::collection::vec(28_u64..2_000, 1..200),
        ) {
            let policing = Policing::OFF.with_peak(rate, Duration::ZERO);
            let mut policer = Policer::default();
            let mut now = START;
            for octets in sizes {
                prop_assert!(policer.conforms(&policing, now, octets));
                let nanos = (octets * NANOS_PER_SECOND).div_ceil(u64::from(rate));
                now += Duration::from_nanos(nanos);
            }
        }
    }
}
