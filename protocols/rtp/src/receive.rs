//! Reception statistics of one stream, RFC 3550 6.4 and appendix A.

use std::time::Duration;

use base::Instant;

use crate::ntp::{NtpTime, duration_to_fixed};
use crate::packet::Header;
use crate::rtcp::ReportBlock;

/// Packets in sequence before a source is believed, RFC 3550 A.1.
pub const MIN_SEQUENTIAL: u8 = 2;

/// A forward jump of the sequence number beyond this is not loss but a restart, RFC 3550 A.1.
const MAX_DROPOUT: u16 = 3000;
/// A packet further back than this is not late but a restart, RFC 3550 A.1.
const MAX_MISORDER: u16 = 100;
/// Packets behind the newest among which a duplicate is recognised. All that can be late can be
/// told apart.
const WINDOW: u32 = u128::BITS;
const _: () = assert!(MAX_MISORDER as u32 <= WINDOW);

/// What a received packet was to its stream.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Arrival {
    /// The next in sequence, or the first.
    Next,
    /// Ahead: so many before it are missing.
    Ahead {
        /// Sequence numbers skipped.
        missing: u16,
    },
    /// Behind others, and not seen before.
    Reordered,
    /// Seen before.
    Duplicate,
    /// Of a source not believed yet: not counted.
    Probation,
    /// Far out of sequence, and alone: not counted unless the next follows it.
    Stray,
    /// The stream started again, with a new source or sequence.
    Restarted,
}

/// What was received of a stream since it began. Counts go on over restarts of the sequence.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Reception {
    /// Packets, each counted once.
    pub received: u64,
    /// Packets there should have been.
    pub expected: u64,
    /// Bytes of payload of the counted packets.
    pub octets: u64,
    /// Packets received again.
    pub duplicates: u64,
    /// Packets that came behind later ones.
    pub reordered: u64,
    /// Packets of strays and sources on probation.
    pub ignored: u64,
    /// Restarts, with a new source or sequence.
    pub restarts: u32,
    /// Gaps: runs of missing packets when they were noticed.
    pub gaps: u64,
    /// Interarrival jitter, RFC 3550 6.4.1.
    pub jitter: Duration,
    /// The largest it was.
    pub jitter_max: Duration,
}

impl Reception {
    /// Packets that never came.
    pub fn lost(&self) -> u64 {
        self.expected.saturating_sub(self.received)
    }

    /// Share of packets that never came, 0 to 1.
    pub fn loss(&self) -> f64 {
        if self.expected == 0 {
            return 0.0;
        }
        self.lost() as f64 / self.expected as f64
    }

    /// Burst ratio of G.107 7.5: mean length of the gaps over what random loss would have; 1
    /// without loss.
    pub fn burst_ratio(&self) -> f64 {
        if self.lost() == 0 || self.gaps == 0 {
            return 1.0;
        }
        let mean = self.lost() as f64 / self.gaps as f64;
        (mean * (1.0 - self.loss())).max(1.0)
    }
}

/// Of a [`Reception`], what loss and its burstiness follow from.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Totals {
    /// Packets there should have been.
    pub expected: u64,
    /// Packets, each counted once.
    pub received: u64,
    /// Gaps: runs of missing packets when they were noticed.
    pub gaps: u64,
}

/// Statistics of one received stream: what RTCP reports and what quality is judged by.
///
/// O(1) per packet, nothing allocated. What every packet touches is in the first cache line.
#[derive(Clone, Debug)]
#[repr(C, align(64))]
pub struct ReceiverStats {
    source: Option<Source>,
    clock_hz: u32,
    /// Of earlier sources and sequences.
    jitter_max: u32,
    /// Of earlier sources and sequences.
    past_totals: Totals,
    min_sequential: u8,
    candidate: Option<Candidate>,
    sender_report: Option<(u32, Instant)>,
    expected_prior: u32,
    arrived_prior: u32,
    /// Of the present source.
    reordered: u64,
    /// Duplicates before the present source.
    duplicates_before: u64,
    /// All else of earlier sources and sequences, and what is counted whatever the source.
    past: Reception,
}

/// Lines of [`ReceiverStats`] that a packet in sequence touches.
pub const RECEIVER_LINES: usize = 1;
const _: () = assert!(size_of::<Option<Source>>() == RECEIVER_LINES * 64);

/// A source on probation, RFC 3550 A.1. The one before it goes on until it is believed.
#[derive(Clone, Copy, Debug)]
struct Candidate {
    ssrc: u32,
    next: u16,
    left: u8,
}

/// State of RFC 3550 A.1 and A.8 for one source, as far as packets in sequence need it.
#[derive(Clone, Debug)]
struct Source {
    /// Bit n: `highest - n` was received.
    seen: u128,
    octets: u64,
    ssrc: u32,
    base: u32,
    /// Highest sequence number received, extended by the count of its cycles.
    highest: u32,
    /// Packets, each counted once.
    received: u32,
    gaps: u32,
    /// Of the packet before; not yet known while none is received.
    transit: u32,
    /// In ticks times 16, RFC 3550 A.8.
    jitter: u32,
    jitter_max: u32,
    clock_hz: u32,
    /// What would follow a stray, if there is one.
    bad: u16,
    has_stray: bool,
    /// There were sources or sequences before.
    has_past: bool,
}

impl ReceiverStats {
    /// For a stream that signalling announced: its first packet counts.
    pub fn new(clock_hz: u32) -> Self {
        Self {
            clock_hz: clock_hz.max(1),
            min_sequential: 0,
            source: None,
            candidate: None,
            past_totals: Totals::default(),
            sender_report: None,
            expected_prior: 0,
            arrived_prior: 0,
            reordered: 0,
            duplicates_before: 0,
            past: Reception::default(),
            jitter_max: 0,
        }
    }

    /// For a port anybody may send to: a source is believed after so many packets in sequence
    /// ([`MIN_SEQUENTIAL`]), and the ones before that do not count.
    pub fn with_probation(clock_hz: u32, min_sequential: u8) -> Self {
        Self {
            min_sequential,
            ..Self::new(clock_hz)
        }
    }

    /// Takes note of a packet that arrived at `now`.
    #[inline(always)]
    pub fn receive(&mut self, now: Instant, header: &Header, payload_len: usize) -> Arrival {
        if let Some(source) = &mut self.source
            && source.is_next(header)
        {
            source.advance(1);
            source.count(now, header.timestamp, payload_len);
            return Arrival::Next;
        }
        self.receive_any(now, header, payload_len)
    }

    /// The same for a packet that need not be the next.
    #[inline(never)]
    fn receive_any(&mut self, now: Instant, header: &Header, payload_len: usize) -> Arrival {
        let arrival = self.sequence(header);
        match (arrival, &mut self.source) {
            (Arrival::Probation | Arrival::Stray, _) | (_, None) => self.past.ignored += 1,
            (Arrival::Duplicate, _) => self.past.duplicates += 1,
            (_, Some(source)) => source.count(now, header.timestamp, payload_len),
        }
        arrival
    }

    /// Takes note of a sender report of the stream, for LSR and DLSR.
    pub fn receive_sender_report(&mut self, now: Instant, ssrc: u32, ntp: NtpTime) {
        if self
            .source
            .as_ref()
            .is_some_and(|source| source.ssrc == ssrc)
        {
            self.sender_report = Some((ntp.middle(), now));
        }
    }

    /// The source now received.
    pub fn ssrc(&self) -> Option<u32> {
        self.source.as_ref().map(|source| source.ssrc)
    }

    /// Highest sequence number of the source, extended by its cycles.
    pub fn extended_highest(&self) -> Option<u32> {
        self.source.as_ref().map(|source| source.highest)
    }

    /// Interarrival jitter in ticks.
    #[inline]
    pub fn jitter_ticks(&self) -> u32 {
        self.source.as_ref().map_or(0, |source| source.jitter >> 4)
    }

    /// Of [`ReceiverStats::reception`] what a relay wants for every packet, at the price of three
    /// additions.
    #[inline]
    pub fn totals(&self) -> Totals {
        let mut totals = match &self.source {
            Some(source) if !source.has_past => Totals::default(),
            _ => self.past_totals,
        };
        if let Some(source) = &self.source {
            totals.add(source);
        }
        totals
    }

    /// Goes on with another clock: jitter begins anew, counts go on.
    #[inline]
    pub fn set_clock(&mut self, clock_hz: u32) {
        let clock_hz = clock_hz.max(1);
        match &self.source {
            Some(source) if source.clock_hz == clock_hz => {}
            _ => self.change_clock(clock_hz),
        }
    }

    fn change_clock(&mut self, clock_hz: u32) {
        self.clock_hz = clock_hz;
        if let Some(source) = self.source.take() {
            self.leave(&source);
        }
    }

    /// What was received so far.
    pub fn reception(&self) -> Reception {
        let mut sum = self.past;
        let totals = self.totals();
        (sum.expected, sum.received, sum.gaps) = (totals.expected, totals.received, totals.gaps);
        let mut jitter_max = self.jitter_max;
        if let Some(source) = &self.source {
            sum.reordered += self.reordered;
            sum.octets += source.octets;
            jitter_max = jitter_max.max(source.jitter_max);
        }
        sum.jitter = ticks_to_duration(self.jitter_ticks(), self.clock_hz);
        sum.jitter_max = ticks_to_duration(jitter_max >> 4, self.clock_hz);
        sum
    }

    /// The report block of the interval that ends `now` (RFC 3550 6.4.1, A.3), which begins the
    /// next; `None` while nothing is received.
    pub fn report(&mut self, now: Instant) -> Option<ReportBlock> {
        let source = self.source.as_ref()?;
        let expected = source.expected();
        // With duplicates, as RFC 3550 A.3 counts.
        let duplicates = self.past.duplicates - self.duplicates_before;
        let arrived = source.received.wrapping_add(duplicates as u32);
        let expected_interval = expected.wrapping_sub(self.expected_prior);
        let arrived_interval = arrived.wrapping_sub(self.arrived_prior);
        (self.expected_prior, self.arrived_prior) = (expected, arrived);
        let lost_interval = i64::from(expected_interval) - i64::from(arrived_interval);
        let fraction_lost = match expected_interval {
            0 => 0,
            _ if lost_interval <= 0 => 0,
            expected => ((lost_interval << 8) / i64::from(expected)).min(255) as u8,
        };
        let lost = i64::from(expected) - i64::from(arrived);
        let (last_sender_report, delay_since) = match self.sender_report {
            Some((middle, at)) => (middle, duration_to_fixed(now.since(at))),
            None => (0, 0),
        };
        Some(ReportBlock {
            ssrc: source.ssrc,
            fraction_lost,
            cumulative_lost: lost.clamp(-0x80_0000, 0x7f_ffff) as i32,
            extended_highest: source.highest,
            jitter_ticks: source.jitter >> 4,
            last_sender_report,
            delay_since,
        })
    }

    fn sequence(&mut self, header: &Header) -> Arrival {
        let sequence = header.sequence;
        let Some(source) = self.source.as_mut().filter(|s| s.ssrc == header.ssrc) else {
            return self.begin(header);
        };
        let ahead = sequence.wrapping_sub(source.highest as u16);
        if ahead == 0 {
            return Arrival::Duplicate;
        }
        if ahead < MAX_DROPOUT {
            return source.advance(ahead);
        }
        let behind = sequence.wrapping_neg().wrapping_add(source.highest as u16);
        if behind <= MAX_MISORDER {
            let arrival = source.look_back(behind);
            self.reordered += u64::from(arrival == Arrival::Reordered);
            return arrival;
        }
        // Two packets in sequence far from the rest: the other side restarted (RFC 3550 A.1).
        if source.has_stray && source.bad == sequence {
            self.restart(header);
            return Arrival::Restarted;
        }
        (source.has_stray, source.bad) = (true, sequence.wrapping_add(1));
        Arrival::Stray
    }

    fn begin(&mut self, header: &Header) -> Arrival {
        let left = match self.candidate {
            Some(c) if c.ssrc == header.ssrc && c.next == header.sequence => c.left,
            _ => self.min_sequential,
        };
        if left > 1 {
            self.candidate = Some(Candidate {
                ssrc: header.ssrc,
                next: header.sequence.wrapping_add(1),
                left: left - 1,
            });
            return Arrival::Probation;
        }
        self.candidate = None;
        let first = self.source.is_none();
        self.restart(header);
        if first {
            Arrival::Next
        } else {
            Arrival::Restarted
        }
    }

    /// Puts a source that is over to the past.
    fn leave(&mut self, source: &Source) {
        self.past_totals.add(source);
        self.past.reordered += self.reordered;
        self.past.octets += source.octets;
        self.jitter_max = self.jitter_max.max(source.jitter_max);
        self.sender_report = None;
    }

    /// Puts the old source to the past and begins with this packet.
    fn restart(&mut self, header: &Header) {
        if let Some(source) = self.source.take() {
            self.leave(&source);
            self.past.restarts += 1;
        }
        (self.expected_prior, self.arrived_prior) = (0, 0);
        self.reordered = 0;
        self.duplicates_before = self.past.duplicates;
        let has_past = self.past_totals != Totals::default();
        self.source = Some(Source::new(header, self.clock_hz, has_past));
    }
}

impl Totals {
    fn add(&mut self, source: &Source) {
        self.expected += u64::from(source.expected());
        self.received += u64::from(source.received);
        self.gaps += u64::from(source.gaps);
    }
}

impl Source {
    fn new(header: &Header, clock_hz: u32, has_past: bool) -> Self {
        let sequence = u32::from(header.sequence);
        Self {
            seen: 1,
            octets: 0,
            ssrc: header.ssrc,
            base: sequence,
            highest: sequence,
            received: 0,
            gaps: 0,
            transit: 0,
            jitter: 0,
            jitter_max: 0,
            clock_hz,
            bad: 0,
            has_stray: false,
            has_past,
        }
    }

    fn expected(&self) -> u32 {
        self.highest.wrapping_sub(self.base).wrapping_add(1)
    }

    #[inline]
    fn is_next(&self, header: &Header) -> bool {
        let expected = (self.highest as u16).wrapping_add(1);
        self.ssrc == header.ssrc && expected == header.sequence
    }

    #[inline]
    fn advance(&mut self, ahead: u16) -> Arrival {
        self.has_stray = false;
        self.highest = self.highest.wrapping_add(u32::from(ahead));
        self.seen = self.seen.checked_shl(u32::from(ahead)).unwrap_or(0) | 1;
        if ahead == 1 {
            return Arrival::Next;
        }
        self.gaps = self.gaps.wrapping_add(1);
        Arrival::Ahead { missing: ahead - 1 }
    }

    /// Counts a packet that is none seen before.
    #[inline]
    fn count(&mut self, now: Instant, timestamp: u32, payload_len: usize) {
        self.octets += payload_len as u64;
        self.update_jitter(now, timestamp);
        self.received = self.received.wrapping_add(1);
    }

    fn look_back(&mut self, behind: u16) -> Arrival {
        let bit = 1_u128 << behind;
        if self.seen & bit != 0 {
            return Arrival::Duplicate;
        }
        // From before the first packet: the stream began earlier than it seemed.
        let sequence = self.highest.wrapping_sub(u32::from(behind));
        if self.base.wrapping_sub(sequence) as i32 > 0 {
            self.base = sequence;
        }
        self.seen |= bit;
        Arrival::Reordered
    }

    #[inline]
    fn update_jitter(&mut self, now: Instant, timestamp: u32) {
        let transit = ticks_at(now, self.clock_hz).wrapping_sub(timestamp);
        let before = std::mem::replace(&mut self.transit, transit);
        let difference = (transit.wrapping_sub(before) as i32).unsigned_abs();
        // A difference this large is a jump of the sender's timestamps, not of the network.
        if self.received > 0 && difference < self.clock_hz.saturating_mul(8) {
            self.jitter = self.jitter + difference - ((self.jitter + 8) >> 4);
            self.jitter_max = self.jitter_max.max(self.jitter);
        }
    }
}

/// A clock of so many ticks per second, modulo 2^32.
#[inline]
fn ticks_at(now: Instant, clock_hz: u32) -> u32 {
    // Whole seconds apart, so that 64 bits do, and the divisor is a constant.
    let (seconds, nanos) = (now.as_nanos() / NANOS, now.as_nanos() % NANOS);
    let ticks = nanos * u64::from(clock_hz) / NANOS;
    (seconds as u32)
        .wrapping_mul(clock_hz)
        .wrapping_add(ticks as u32)
}

const NANOS: u64 = 1_000_000_000;

fn ticks_to_duration(ticks: u32, clock_hz: u32) -> Duration {
    Duration::from_nanos(u64::from(ticks) * 1_000_000_000 / u64::from(clock_hz))
}

#[cfg(test)]
mod tests {
    use super::*;

    const TICK: Duration = Duration::from_millis(20);

    fn header(sequence: u16) -> Header {
        Header {
            sequence,
            timestamp: u32::from(sequence).wrapping_mul(160),
            ssrc: 1,
            ..Header::default()
        }
    }

    #[test]
    fn ticks_are_those_of_the_whole_division() {
        for clock_hz in [0, 1, 8_000, 48_000, 90_000, u32::MAX] {
            for nanos in [0, 1, 999_999_999, 1_800_000_000_123_456_789, u64::MAX] {
                let whole = u128::from(nanos) * u128::from(clock_hz) / 1_000_000_000;
                assert_eq!(ticks_at(Instant::from_nanos(nanos), clock_hz), whole as u32);
            }
        }
    }

    #[test]
    fn totals_are_those_of_the_reception() {
        let mut stats = ReceiverStats::new(8000);
        assert_eq!(stats.totals(), Totals::default());
        receive(
            &mut stats,
            &[10, 11, 13, 13, 12, 16, 40_000, 40_001, 40_003],
        );
        let reception = stats.reception();
        assert!(reception.restarts > 0);
        let totals = Totals {
            expected: reception.expected,
            received: reception.received,
            gaps: reception.gaps,
        };
        assert_eq!(stats.totals(), totals);
        stats.set_clock(16_000);
        assert_eq!((stats.totals(), stats.jitter_ticks()), (totals, 0));
    }

    /// Receives packets of these numbers 20 ms apart.
    fn receive(stats: &mut ReceiverStats, sequences: &[u16]) -> Vec<Arrival> {
        let at = |index: usize| Instant::from_secs(1) + TICK * index as u32;
        sequences
            .iter()
            .enumerate()
            .map(|(index, &sequence)| stats.receive(at(index), &header(sequence), 160))
            .collect()
    }

    #[test]
    fn a_stream_in_order_has_no_loss_and_counts_from_its_first_packet() {
        let mut stats = ReceiverStats::new(8000);
        receive(&mut stats, &[65_534, 65_535, 0, 1]);
        let reception = stats.reception();
        assert_eq!(
            (reception.received, reception.expected, reception.lost()),
            (4, 4, 0)
        );
        assert_eq!(reception.octets, 640);
        assert_eq!(stats.extended_highest(), Some(0x1_0001));
        assert_eq!(reception.jitter, Duration::ZERO);
        assert_eq!(reception.burst_ratio(), 1.0);
    }

    #[test]
    fn loss_reorder_and_duplicates_are_told_apart() {
        use Arrival::*;
        let mut stats = ReceiverStats::new(8000);
        let arrivals = receive(&mut stats, &[10, 11, 14, 13, 13, 14, 15, 9, 20]);
        let expected = [
            Next,
            Next,
            Ahead { missing: 2 },
            Reordered,
            Duplicate,
            Duplicate,
            Next,
            Reordered,
            Ahead { missing: 4 },
        ];
        assert_eq!(arrivals, expected);
        let reception = stats.reception();
        assert_eq!((reception.received, reception.expected), (7, 12));
        assert_eq!(
            (reception.duplicates, reception.reordered, reception.gaps),
            (2, 2, 2)
        );
        assert_eq!(reception.lost(), 5);
    }

    #[test]
    fn reports_are_those_of_appendix_a_3() {
        let mut stats = ReceiverStats::new(8000);
        assert_eq!(stats.report(Instant::ZERO), None);
        receive(&mut stats, &[1, 2, 3, 4]);
        let clean = stats.report(Instant::from_secs(2)).unwrap();
        assert_eq!((clean.fraction_lost, clean.cumulative_lost), (0, 0));
        receive(&mut stats, &[5, 8]);
        let lossy = stats.report(Instant::from_secs(4)).unwrap();
        assert_eq!((lossy.fraction_lost, lossy.cumulative_lost), (128, 2));
        assert_eq!(lossy.extended_highest, 8);
        receive(&mut stats, &[8, 8, 8, 8]);
        let doubled = stats.report(Instant::from_secs(6)).unwrap();
        assert_eq!((doubled.fraction_lost, doubled.cumulative_lost), (0, -2));
    }

    #[test]
    fn reports_say_when_the_sender_was_heard() {
        let mut stats = ReceiverStats::new(8000);
        receive(&mut stats, &[1]);
        let sent = NtpTime(0x1234_5678_9abc_def0);
        stats.receive_sender_report(Instant::from_secs(2), 99, NtpTime(1 << 60));
        stats.receive_sender_report(Instant::from_secs(3), 1, sent);
        let report = stats.report(Instant::from_secs(5)).unwrap();
        assert_eq!(report.last_sender_report, 0x5678_9abc);
        assert_eq!(report.delay_since, 2 << 16);
    }

    #[test]
    fn jitter_follows_appendix_a_8() {
        let mut stats = ReceiverStats::new(8000);
        let mut now = Instant::from_secs(1);
        let mut expected = 0_i64;
        for sequence in 0..100_u16 {
            stats.receive(now, &header(sequence), 160);
            // Every second packet is 5 ms, 40 ticks, late.
            now += if sequence % 2 == 0 {
                TICK + Duration::from_millis(5)
            } else {
                TICK - Duration::from_millis(5)
            };
            if sequence > 0 {
                expected += 40 - ((expected + 8) >> 4);
            }
        }
        assert_eq!(i64::from(stats.jitter_ticks()), expected >> 4);
        assert!(stats.reception().jitter > Duration::from_micros(4500));
        assert!(stats.reception().jitter_max >= stats.reception().jitter);
    }

    #[test]
    fn a_source_on_probation_does_not_count() {
        use Arrival::*;
        let mut stats = ReceiverStats::with_probation(8000, MIN_SEQUENTIAL);
        let arrivals = receive(&mut stats, &[7, 9, 10, 11]);
        assert_eq!(arrivals, [Probation, Probation, Next, Next]);
        let reception = stats.reception();
        assert_eq!(
            (reception.received, reception.expected, reception.ignored),
            (2, 2, 2)
        );
        // Another source does not take the place of this one with a single packet.
        let intruder = Header {
            ssrc: 2,
            ..header(12)
        };
        assert_eq!(
            stats.receive(Instant::from_secs(2), &intruder, 160),
            Probation
        );
        assert_eq!(stats.ssrc(), Some(1));
        assert_eq!(receive(&mut stats, &[12]), [Next]);
    }

    #[test]
    fn a_new_source_goes_on_with_the_counts() {
        let mut stats = ReceiverStats::new(8000);
        receive(&mut stats, &[1, 2, 4]);
        let other = Header {
            ssrc: 2,
            ..header(5000)
        };
        assert_eq!(
            stats.receive(Instant::from_secs(2), &other, 160),
            Arrival::Restarted
        );
        let reception = stats.reception();
        assert_eq!(
            (reception.received, reception.expected, reception.restarts),
            (4, 5, 1)
        );
        assert_eq!(stats.ssrc(), Some(2));
    }

    #[test]
    fn a_far_jump_restarts_only_when_the_next_follows() {
        use Arrival::*;
        let mut stats = ReceiverStats::new(8000);
        assert_eq!(
            receive(&mut stats, &[1, 30_000, 2, 40_000, 40_001]),
            [Next, Stray, Next, Stray, Restarted]
        );
        let reception = stats.reception();
        assert_eq!(
            (reception.received, reception.expected, reception.ignored),
            (3, 3, 2)
        );
    }

    #[test]
    fn bursts_are_told_from_single_losses() {
        let mut single = ReceiverStats::new(8000);
        let every_tenth: Vec<u16> = (0..1000).filter(|n| n % 10 != 5).collect();
        receive(&mut single, &every_tenth);
        let mut burst = ReceiverStats::new(8000);
        let tens: Vec<u16> = (0..1000).filter(|n| n / 10 % 10 != 5).collect();
        receive(&mut burst, &tens);
        let (single, burst) = (single.reception(), burst.reception());
        assert_eq!((single.lost(), burst.lost()), (100, 100));
        assert_eq!(single.burst_ratio(), 1.0);
        assert!(burst.burst_ratio() > 8.0);
    }

    #[test]
    fn any_sequence_of_numbers_keeps_the_sums() {
        let mut entropy = base::Entropy::from_u64(3550);
        for probation in [0, MIN_SEQUENTIAL] {
            let mut stats = ReceiverStats::with_probation(8000, probation);
            let mut sequence = 0_u16;
            for step in 0..50_000_u64 {
                sequence = match entropy.below(20) {
                    0 => entropy.next_u32() as u16,
                    1 => sequence.wrapping_sub(entropy.below(200) as u16),
                    2 => sequence.wrapping_add(entropy.below(4000) as u16),
                    _ => sequence.wrapping_add(1),
                };
                let ssrc = 1 + u32::from(entropy.chance(5));
                let timestamp = entropy.next_u32();
                let header = Header {
                    sequence,
                    ssrc,
                    timestamp,
                    ..Header::default()
                };
                stats.receive(Instant::from_nanos(step * 20_000_000), &header, 160);
                let reception = stats.reception();
                assert!(reception.received <= reception.expected);
                let counted = reception.received + reception.duplicates + reception.ignored;
                assert_eq!(counted, step + 1);
                stats.report(Instant::from_nanos(step));
            }
        }
    }
}
