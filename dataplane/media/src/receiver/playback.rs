//! When what was sent is heard: packets wait, are decoded in their time, and concealed when they do
//! not come.

use std::time::Duration;

use base::Instant;
use codecs::amr::{FRAMES_MAX, PART_BYTES_MAX};
use codecs::{Codec, DecodedKind};
use rtp::Header;

use super::format::{Format, Voice};
use super::line::Line;
use super::{FormatKind, Playout, PulledKind, Received, ReceiverConfig, TICK, Workspace};
use crate::delay::DelayEstimator;
use crate::packets::{Packets, Stored, Waiting};

/// The jitter buffer of a stream, its decoders, and the schedule by which they play.
#[derive(Debug)]
pub(super) struct Playback {
    formats: Box<[Format]>,
    packets: Packets,
    delay: DelayEstimator,
    /// Highest sequence number, extended.
    highest: u64,
    /// The last timestamp, extended.
    timestamp: Option<i64>,
    clock_hz: u32,
    resume: Resume,
    /// Ticks of the clock that were filled since a packet was decoded.
    filled_ticks: i64,
    /// The format decoded last, and whether silence follows it that is not sent.
    current: Option<usize>,
    is_quiet: bool,
    /// What is decoded next has nothing to do with what was before.
    is_other: bool,
    line: Line,
    /// What is last in it.
    pending_kind: PulledKind,
    /// Ticks since speech was made shorter or longer.
    since_stretch: u32,
    playout: Playout,
}

/// What is played next.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Resume {
    /// What has this timestamp; what comes behind it is a loss.
    At(i64),
    /// The first that waits, when its time comes.
    WhenDue,
}

/// Speech is concealed for so long before silence is assumed.
const CONCEAL_MAX: Duration = Duration::from_millis(100);
/// Noise goes on for so long before silence is assumed: those who send it renew it sooner.
const QUIET_MAX: Duration = Duration::from_secs(5);
/// Speech waits this much longer than it has to before it is made shorter: a tick, and some more.
const EXCESS_MAX_US: i64 = 30_000;
/// Beyond this much more, it is made shorter at any place.
const EXCESS_URGENT_US: i64 = 120_000;
/// It may wait this much less before it is made longer.
const LACK_MAX_US: i64 = 2_000;
/// Ticks from one change of length to the next.
const STRETCH_EVERY: u32 = 4;
/// Places that match less are left alone.
const LIKENESS_MIN: f32 = 0.8;
const LIKENESS_URGENT: f32 = 0.3;
/// Octets of payloads that may wait: 64 kbit/s for 500 ms and then some, more for linear samples.
const LOG_BYTES: usize = 8 * 1024;
const LOG_BYTES_LINEAR: usize = 96 * 1024;
/// How long frames are sent again: as long as those of a packet may be.
const SENT_AGAIN_MAX: Duration = Duration::from_millis(20 * FRAMES_MAX as u64);
/// Sequence numbers begin here, so that earlier ones have room.
const SEQUENCE_BASE: u64 = 1 << 20;

impl Playback {
    /// Of a stream that has not begun. The clock is that of the first format of audio.
    pub(super) fn new(config: &ReceiverConfig, formats: Box<[Format]>) -> Self {
        let is_linear = |format: &super::PayloadFormat| {
            matches!(format.kind, FormatKind::Audio(Codec::L16 { .. }))
        };
        let log_bytes = match config.formats.iter().any(is_linear) {
            true => LOG_BYTES_LINEAR,
            false => LOG_BYTES,
        };
        let clock_hz = formats.iter().find_map(|format| match format {
            Format::Audio(audio) => Some(audio.clock_hz),
            Format::Event { .. } => None,
        });
        let micros = |time: Duration| i64::try_from(time.as_micros()).unwrap_or(i64::MAX);
        Self {
            formats,
            packets: Packets::new(log_bytes),
            delay: DelayEstimator::new(
                micros(config.delay_initial),
                micros(config.delay_min),
                micros(config.delay_max),
            ),
            highest: 0,
            timestamp: None,
            clock_hz: clock_hz.unwrap_or(8000),
            resume: Resume::WhenDue,
            filled_ticks: i64::MAX / 2,
            current: None,
            is_quiet: false,
            is_other: false,
            line: Line::new(config.sample_rate),
            pending_kind: PulledKind::Silence,
            since_stretch: 0,
            playout: Playout::default(),
        }
    }

    pub(super) fn format(&self, index: u8) -> Option<&Format> {
        self.formats.get(usize::from(index))
    }

    pub(super) fn tick_samples(&self) -> usize {
        self.line.tick
    }

    pub(super) fn sample_rate(&self) -> u32 {
        self.line.sample_rate
    }

    pub(super) fn clock_hz(&self) -> u32 {
        self.clock_hz
    }

    pub(super) fn playout(&self) -> Playout {
        self.playout
    }

    pub(super) fn target_delay(&self) -> Duration {
        Duration::from_micros(self.delay.target_us().max(0) as u64)
    }

    pub(super) fn requested_mode(&self) -> Option<u8> {
        match self.formats.get(self.current?)? {
            Format::Audio(audio) => match &audio.voice {
                Voice::Codec(decoder) => decoder.requested_mode(),
                Voice::Noise(_) => None,
            },
            Format::Event { .. } => None,
        }
    }

    /// What comes is of a clock of this rate; false if it is already.
    pub(super) fn set_clock(&mut self, clock_hz: u32) -> bool {
        let is_other = clock_hz != self.clock_hz;
        if is_other {
            self.clock_hz = clock_hz;
            self.lose_track();
        }
        is_other
    }

    /// What comes is of another time base.
    pub(super) fn lose_track(&mut self) {
        self.timestamp = None;
    }

    /// A packet of audio arrived. It is copied.
    pub(super) fn receive(
        &mut self,
        now: Instant,
        header: &Header,
        format: u8,
        payload: &[u8],
    ) -> Received {
        let arrival_us = micros(now);
        let mut timestamp = match self.timestamp {
            Some(last) => last + i64::from(header.timestamp.wrapping_sub(last as u32) as i32),
            None => self.restart(header),
        };
        let mut transit_us = arrival_us - self.ticks_to_us(timestamp);
        if self.delay.is_jump(transit_us) || self.is_set_back(header, timestamp, format) {
            timestamp = self.restart(header);
            transit_us = arrival_us - self.ticks_to_us(timestamp);
        }
        let ahead = header.sequence.wrapping_sub(self.highest as u16) as i16;
        let sequence = self.highest.wrapping_add_signed(i64::from(ahead));
        if ahead > 0 {
            self.highest = sequence;
            self.timestamp = Some(timestamp);
        }
        self.delay.observe(arrival_us, transit_us);
        match self.store(sequence, timestamp, format, payload) {
            Stored::Waits => Received::Waits,
            Stored::Overflow => {
                self.playout.overflows += 1;
                Received::Overflow
            }
            Stored::Late => {
                self.playout.late += 1;
                Received::Late
            }
            Stored::Twice => Received::Duplicate,
            Stored::TooLong => Received::Malformed,
        }
    }

    /// Whether the sender's clock went back, by more than by frames that are sent again.
    fn is_set_back(&self, header: &Header, timestamp: i64, format: u8) -> bool {
        let is_newer = header.sequence.wrapping_sub(self.highest as u16) as i16 > 0;
        let back = self.timestamp.map_or(0, |last| last - timestamp);
        let allowed = match self.formats.get(usize::from(format)) {
            Some(Format::Audio(audio)) if audio.has_parts => self.ticks_of(SENT_AGAIN_MAX),
            _ => 0,
        };
        is_newer && back > allowed
    }

    /// Has a packet wait, or each of its frames where these may be of other times than those round
    /// them.
    fn store(&mut self, sequence: u64, timestamp: i64, format: u8, payload: &[u8]) -> Stored {
        let parts = match self.formats.get(usize::from(format)) {
            Some(Format::Audio(audio)) if audio.has_parts => {
                audio.parts(payload).map(|parts| (audio, parts))
            }
            _ => None,
        };
        let Some((audio, mut parts)) = parts else {
            return self.packets.insert(sequence, timestamp, format, payload);
        };
        let mut stored = Stored::TooLong;
        let mut part = [0; PART_BYTES_MAX];
        while let Some((samples, len)) = parts.next_into(&mut part) {
            let at = timestamp + audio.ticks_of(samples);
            let one = self.packets.insert_part(sequence, at, format, &part[..len]);
            stored = stored.max(one);
        }
        stored
    }

    /// Another source, sequence or time base: what waits is forgotten, what is heard fades.
    fn restart(&mut self, header: &Header) -> i64 {
        self.highest = SEQUENCE_BASE + u64::from(header.sequence);
        self.packets.clear();
        self.delay.restart();
        self.resume = Resume::WhenDue;
        self.is_other = true;
        let timestamp = i64::from(header.timestamp);
        self.timestamp = Some(timestamp);
        timestamp
    }

    /// Takes the tick that is due. Nothing is missing while there is an event in its place.
    pub(super) fn pull(
        &mut self,
        now: Instant,
        is_event: bool,
        workspace: &mut Workspace,
        out: &mut [i16],
    ) -> PulledKind {
        let now_us = micros(now);
        let mut kind = self.fill(now_us, is_event, workspace);
        if kind == PulledKind::Silence && self.line.is_void() {
            out.fill(0);
            return kind;
        }
        self.since_stretch = self.since_stretch.saturating_add(1);
        if self.adapt(now_us) {
            // What was taken out is made up for.
            kind = kind.max_of(self.fill(now_us, is_event, workspace));
        }
        self.line.pull(out);
        kind
    }

    /// Decodes and conceals until there is a tick; `Silence` with nothing in the line is as good.
    fn fill(&mut self, now_us: i64, is_event: bool, workspace: &mut Workspace) -> PulledKind {
        let mut kind = match self.line.pending() {
            0 => PulledKind::Silence,
            _ => self.pending_kind,
        };
        while self.line.pending() < self.line.tick {
            let next = match self.ready(now_us) {
                Some(waiting) => self.decode(&waiting, is_event, workspace),
                None if self.is_idle() && self.line.is_void() => return PulledKind::Silence,
                None => self.conceal(is_event, workspace),
            };
            self.pending_kind = next;
            kind = kind.max_of(next);
        }
        kind
    }

    /// The packet that is to be decoded now.
    fn ready(&mut self, now_us: i64) -> Option<Waiting> {
        let waiting = self.packets.first()?;
        if let Resume::At(timestamp) = self.resume {
            if waiting.timestamp - timestamp <= self.filled_ticks {
                return Some(waiting);
            }
            // Nothing is lost, the sender was silent; or it is over for long.
            if self.packets.is_next(&waiting) || self.is_idle() {
                self.resume = Resume::WhenDue;
            }
        }
        let due_us =
            self.delay.base_us()? + self.ticks_to_us(waiting.timestamp) + self.delay.target_us();
        (self.resume == Resume::WhenDue && due_us <= now_us).then_some(waiting)
    }

    /// Nothing is to be concealed any more.
    fn is_idle(&self) -> bool {
        let most = if self.is_quiet {
            QUIET_MAX
        } else {
            CONCEAL_MAX
        };
        self.filled_ticks >= self.ticks_of(most)
    }

    fn decode(
        &mut self,
        waiting: &Waiting,
        is_event: bool,
        workspace: &mut Workspace,
    ) -> PulledKind {
        let index = usize::from(waiting.format);
        let payload = self.packets.take(waiting);
        let Some(Format::Audio(audio)) = self.formats.get_mut(index) else {
            return PulledKind::Silence;
        };
        let was_other = self.current.is_some_and(|last| last != index);
        let is_other = std::mem::take(&mut self.is_other) || was_other;
        if is_other {
            audio.begin();
        }
        let Some((kind, ticks, count)) = audio.decode(payload, workspace) else {
            self.playout.malformed += 1;
            self.is_other = is_other;
            // As if it had not come; those behind it are.
            return self.conceal(is_event, workspace);
        };
        self.playout.decoded += 1;
        self.current = Some(index);
        self.line.append(&workspace.converted[..count], is_other);
        self.resume = Resume::At(waiting.timestamp + ticks);
        self.filled_ticks = 0;
        self.is_quiet = kind == DecodedKind::ComfortNoise;
        match kind {
            DecodedKind::Speech => PulledKind::Speech,
            DecodedKind::ComfortNoise => PulledKind::ComfortNoise,
            DecodedKind::NoData => PulledKind::Concealed,
        }
    }

    /// Fills in for what is lost, late, or not sent.
    fn conceal(&mut self, is_event: bool, workspace: &mut Workspace) -> PulledKind {
        let is_idle = self.is_idle();
        if is_idle {
            self.resume = Resume::WhenDue;
        }
        let gap = self.gap();
        let waiting = gap.and_then(|_| self.packets.first());
        let next = waiting
            .filter(|waiting| self.current == Some(usize::from(waiting.format)))
            .map(|waiting| self.packets.payload(&waiting));
        let current = self.current;
        let format = current.and_then(|current| self.formats.get_mut(current));
        let Some(Format::Audio(audio)) = format.filter(|_| !is_idle) else {
            let ticks = self.ticks_of(TICK);
            self.filled_ticks = self.filled_ticks.saturating_add(ticks);
            self.line.append_silence();
            return PulledKind::Silence;
        };
        let (ticks, count) = audio.conceal(gap, next, workspace);
        self.filled_ticks += ticks;
        self.line.append(&workspace.converted[..count], false);
        if self.is_quiet {
            self.resume = Resume::WhenDue;
            return PulledKind::ComfortNoise;
        }
        if is_event {
            return PulledKind::Event;
        }
        self.playout.concealed_samples += count as u64;
        PulledKind::Concealed
    }

    /// Ticks of the clock until the next packet that waits.
    fn gap(&mut self) -> Option<i64> {
        let Resume::At(timestamp) = self.resume else {
            return None;
        };
        let waiting = self.packets.first()?;
        Some(waiting.timestamp - timestamp - self.filled_ticks)
    }

    /// Makes speech shorter where it waits longer than it has to, longer where it has to. True if
    /// it is shorter now.
    fn adapt(&mut self, now_us: i64) -> bool {
        let (Resume::At(timestamp), 0, Some(base_us)) =
            (self.resume, self.filled_ticks, self.delay.base_us())
        else {
            return false;
        };
        let waited_us = now_us - base_us - self.ticks_to_us(timestamp) + self.line.pending_us();
        let excess_us = waited_us - self.delay.target_us();
        if excess_us > EXCESS_MAX_US {
            let is_urgent = excess_us > EXCESS_MAX_US + EXCESS_URGENT_US;
            if self.since_stretch < STRETCH_EVERY && !is_urgent {
                return false;
            }
            let likeness = if is_urgent {
                LIKENESS_URGENT
            } else {
                LIKENESS_MIN
            };
            let removed = self.line.shorten(likeness);
            self.playout.removed_samples += removed as u64;
            if removed > 0 {
                self.since_stretch = 0;
            }
            return removed > 0;
        }
        if excess_us < -LACK_MAX_US && self.since_stretch >= STRETCH_EVERY {
            let inserted = self.line.lengthen(LIKENESS_MIN);
            self.playout.inserted_samples += inserted as u64;
            if inserted > 0 {
                self.since_stretch = 0;
            }
        }
        false
    }

    fn ticks_of(&self, time: Duration) -> i64 {
        (time.as_micros() as i64) * i64::from(self.clock_hz) / 1_000_000
    }

    fn ticks_to_us(&self, ticks: i64) -> i64 {
        ticks * 1_000_000 / i64::from(self.clock_hz)
    }
}

fn micros(now: Instant) -> i64 {
    (now.as_nanos() / 1000) as i64
}
