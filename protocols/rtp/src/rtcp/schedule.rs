//! When to send RTCP, RFC 3550 6.2, 6.3 and appendix A.7.

use std::time::Duration;

use base::{Entropy, Instant};

/// Least interval, RFC 3550 6.2.
const INTERVAL_MIN: Duration = Duration::from_secs(5);
/// Share of the RTCP bandwidth that senders divide when they are few.
const SENDER_SHARE: f64 = 0.25;
/// Makes up for timer reconsideration coming out too short: e - 3/2.
const COMPENSATION: f64 = std::f64::consts::E - 1.5;
/// Bytes of IP and UDP around a packet, which count (RFC 3550 6.2).
const LOWER_LAYER_BYTES: f64 = 28.0;

/// The transmission times of one participant, by timer reconsideration.
#[derive(Clone, Debug)]
pub struct Schedule {
    /// Bytes per second all participants together may spend on RTCP.
    bandwidth: f64,
    interval_min: Duration,
    members: u32,
    members_before: u32,
    senders: u32,
    we_sent: bool,
    average_bytes: f64,
    initial: bool,
    last: Instant,
    next: Instant,
}

impl Schedule {
    /// For a session of this RTP bandwidth, of which RTCP takes a twentieth, of two participants.
    pub fn new(now: Instant, session_bits_per_sec: u32, entropy: &mut Entropy) -> Self {
        let mut schedule = Self {
            bandwidth: f64::from(session_bits_per_sec.max(1)) / 8.0 * 0.05,
            interval_min: INTERVAL_MIN,
            members: 2,
            members_before: 2,
            senders: 0,
            we_sent: false,
            average_bytes: 100.0 + LOWER_LAYER_BYTES,
            initial: true,
            last: now,
            next: now,
        };
        schedule.next = now + schedule.interval(entropy);
        schedule
    }

    /// As [`Schedule::new`] with another least interval, which AVPF (RFC 4585 3.4) and tests make
    /// shorter.
    pub fn with_interval_min(
        now: Instant,
        session_bits_per_sec: u32,
        interval_min: Duration,
        entropy: &mut Entropy,
    ) -> Self {
        let mut schedule = Self::new(now, session_bits_per_sec, entropy);
        schedule.interval_min = interval_min;
        schedule.next = now + schedule.interval(entropy);
        schedule
    }

    /// When [`Schedule::handle_timeout`] is to be called.
    pub fn next_timeout(&self) -> Instant {
        self.next
    }

    /// Who takes part: participants and senders among them, and whether this one has sent RTP since
    /// the report before last. When members left, the next report comes earlier (RFC 3550 6.3.4).
    pub fn set_members(&mut self, now: Instant, members: u32, senders: u32, we_sent: bool) {
        let members = members.max(1);
        if members < self.members_before && now < self.next {
            let ratio = f64::from(members) / f64::from(self.members_before);
            self.next = now + self.next.since(now).mul_f64(ratio);
            let since = now.since(self.last).mul_f64(ratio);
            let last = now.as_nanos().saturating_sub(since.as_nanos() as u64);
            self.last = Instant::from_nanos(last);
            self.members_before = members;
        }
        self.members = members;
        self.senders = senders;
        self.we_sent = we_sent;
    }

    /// Takes note of the size of a compound packet sent or received, without IP and UDP.
    pub fn account(&mut self, bytes: usize) {
        let bytes = bytes as f64 + LOWER_LAYER_BYTES;
        self.average_bytes += (bytes - self.average_bytes) / 16.0;
    }

    /// True when a report is to be sent now; otherwise the time was put off (RFC 3550 6.3.6).
    pub fn handle_timeout(&mut self, now: Instant, entropy: &mut Entropy) -> bool {
        if now < self.next {
            return false;
        }
        let interval = self.interval(entropy);
        let due = self.last + interval;
        self.members_before = self.members;
        if due > now {
            self.next = due;
            return false;
        }
        self.initial = false;
        self.last = now;
        self.next = now + self.interval(entropy);
        true
    }

    /// The interval before randomisation, RFC 3550 6.3.1.
    fn deterministic(&self) -> Duration {
        let minimum = if self.initial {
            self.interval_min / 2
        } else {
            self.interval_min
        };
        let mut participants = f64::from(self.members);
        let mut bandwidth = self.bandwidth;
        let senders = f64::from(self.senders);
        if senders <= participants * SENDER_SHARE {
            if self.we_sent {
                bandwidth *= SENDER_SHARE;
                participants = senders;
            } else {
                bandwidth *= 1.0 - SENDER_SHARE;
                participants -= senders;
            }
        }
        let seconds = self.average_bytes * participants / bandwidth;
        Duration::from_secs_f64(seconds.clamp(0.0, 3600.0)).max(minimum)
    }

    fn interval(&self, entropy: &mut Entropy) -> Duration {
        let half_to_three_halves = 0.5 + entropy.below(1 << 32) as f64 / (1_u64 << 32) as f64;
        self.deterministic()
            .mul_f64(half_to_three_halves / COMPENSATION)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn run(schedule: &mut Schedule, entropy: &mut Entropy, until: Instant) -> Vec<Instant> {
        let mut sent = Vec::new();
        while schedule.next_timeout() < until {
            let now = schedule.next_timeout();
            if schedule.handle_timeout(now, entropy) {
                sent.push(now);
            }
        }
        sent
    }

    #[test]
    fn a_call_reports_every_five_seconds_or_so() {
        let mut entropy = Entropy::from_u64(1);
        let mut schedule = Schedule::new(Instant::ZERO, 64_000, &mut entropy);
        schedule.set_members(Instant::ZERO, 2, 2, true);
        let sent = run(&mut schedule, &mut entropy, Instant::from_secs(1000));
        assert!(
            sent[0] < Instant::from_secs(4),
            "the first after half the time"
        );
        for pair in sent.windows(2) {
            let interval = pair[1].since(pair[0]).as_secs_f64();
            assert!((2.0..7.0).contains(&interval), "{interval}");
        }
        let mean = 1000.0 / sent.len() as f64;
        assert!(
            (4.2..5.8).contains(&mean),
            "reconsideration averages out: {mean}"
        );
    }

    #[test]
    fn many_members_report_within_their_bandwidth() {
        let mut entropy = Entropy::from_u64(2);
        let mut schedule = Schedule::new(Instant::ZERO, 64_000, &mut entropy);
        schedule.set_members(Instant::ZERO, 1000, 1, false);
        let sent = run(&mut schedule, &mut entropy, Instant::from_secs(100_000));
        // 999 receivers with packets of 128 bytes in three quarters of 400 bytes/s.
        let mean = 100_000.0 / sent.len() as f64;
        assert!((380.0..480.0).contains(&mean), "{mean}");
    }

    #[test]
    fn leaving_members_bring_the_next_report_forward() {
        let mut entropy = Entropy::from_u64(3);
        let mut schedule = Schedule::new(Instant::ZERO, 64_000, &mut entropy);
        schedule.set_members(Instant::ZERO, 1000, 1, false);
        run(&mut schedule, &mut entropy, Instant::from_secs(1));
        schedule.handle_timeout(schedule.next_timeout(), &mut entropy);
        let (now, before) = (Instant::from_secs(10), schedule.next_timeout());
        schedule.set_members(now, 100, 1, false);
        assert!(schedule.next_timeout() < before);
        assert!(schedule.next_timeout() > now);
    }
}
