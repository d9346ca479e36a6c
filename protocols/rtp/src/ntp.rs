//! NTP timestamps of RTCP, RFC 3550 section 4.

use std::time::Duration;

use base::Instant;

/// Seconds from 1900, where NTP starts, to 1970.
const SECS_1900_TO_1970: u64 = 2_208_988_800;

/// Wall-clock time as 32.32 fixed-point seconds since 1900, wrapping in 2036.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct NtpTime(pub u64);

impl NtpTime {
    /// The middle 32 bits: 16.16 seconds, as LSR has it.
    pub fn middle(self) -> u32 {
        (self.0 >> 16) as u32
    }
}

impl From<Instant> for NtpTime {
    fn from(instant: Instant) -> Self {
        let secs = instant.as_secs().wrapping_add(SECS_1900_TO_1970);
        let nanos = instant.as_nanos() % 1_000_000_000;
        Self((secs << 32) | ((nanos << 32) / 1_000_000_000))
    }
}

/// The round trip time from a report about one's own stream that arrives at `now` (RFC 3550 6.4.1,
/// figure 2).
///
/// `None` when the reporter has not heard a sender report yet, or the clock says it answered before
/// it was asked.
pub fn round_trip(now: Instant, last_sender_report: u32, delay_since: u32) -> Option<Duration> {
    if last_sender_report == 0 {
        return None;
    }
    let arrival = NtpTime::from(now).middle();
    let ticks = arrival
        .wrapping_sub(last_sender_report)
        .wrapping_sub(delay_since);
    // Rounding at both ends may make a short trip seem negative by a tick or two of 15 µs.
    match ticks as i32 {
        ticks @ 0.. => Some(fixed_to_duration(ticks as u32)),
        -4..=-1 => Some(Duration::ZERO),
        _ => None,
    }
}

/// 16.16 fixed-point seconds.
pub(crate) fn duration_to_fixed(duration: Duration) -> u32 {
    let ticks = (duration.as_nanos() << 16) / 1_000_000_000;
    u32::try_from(ticks).unwrap_or(u32::MAX)
}

fn fixed_to_duration(ticks: u32) -> Duration {
    Duration::from_nanos((u64::from(ticks) * 1_000_000_000) >> 16)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_example_of_rfc_3550_figure_2_comes_out() {
        // The sender report leaves at 0xb44db705.20000000 and is answered after 5.25 s; the report
        // arrives at 0xb710.8000 (middle bits): 6.125 s round trip. The NTP era of the figure is
        // 1995.
        let arrival_secs = 0xb44d_b710_u64 - SECS_1900_TO_1970;
        let now = Instant::from_secs(arrival_secs) + Duration::from_millis(500);
        assert_eq!(NtpTime::from(now).middle(), 0xb710_8000);
        let found = round_trip(now, 0xb705_2000, 0x0005_4000);
        assert_eq!(found, Some(Duration::from_millis(6125)));
        assert_eq!(duration_to_fixed(Duration::from_millis(5250)), 0x0005_4000);
    }

    #[test]
    fn without_a_sender_report_there_is_no_round_trip() {
        let now = Instant::from_secs(1);
        assert_eq!(round_trip(now, 0, 0), None);
        let middle = NtpTime::from(now).middle();
        assert_eq!(round_trip(now, middle, 2), Some(Duration::ZERO));
        assert_eq!(round_trip(now, middle, 70_000), None);
    }
}
