//! What a stream is heard as: packets in, ticks of samples out.

use std::time::Duration;

use base::Instant;
use codecs::PACKET_SAMPLES_MAX;
use rtp::{Arrival, EventReceiver, Header, MIN_SEQUENTIAL, Packet, ReceiverStats, Reception};

use crate::dtmf::{self, Detector, Remover};
use crate::error::ConfigError;
use crate::event::TelephoneEvent;
use crate::level::{Activity, SILENCE_DBOV, level_dbov};
use crate::tone::ToneGenerator;

mod event_queue;
mod format;
mod line;
mod playback;

pub use event_queue::EVENTS_MAX;
pub use format::{FORMATS_MAX, FormatKind, PayloadFormat};

use event_queue::EventQueue;
use format::Format;
use playback::Playback;

/// The time that one call of [`Receiver::pull`] takes.
pub const TICK: Duration = Duration::from_millis(20);

/// What a [`Receiver`] is made for.
#[derive(Clone, Debug)]
pub struct ReceiverConfig {
    /// Rate of the samples that are pulled, in hertz.
    pub sample_rate: u32,
    /// Payload formats that may come.
    pub formats: Vec<PayloadFormat>,
    /// How long packets wait at first, before the jitter is known.
    pub delay_initial: Duration,
    /// How long they wait at least.
    pub delay_min: Duration,
    /// How long they wait at most: later ones are lost.
    pub delay_max: Duration,
    /// What is done about keys within speech.
    pub in_band: InBand,
    /// Events are sounded as the signals of their keys; else they are silent.
    pub sounds_events: bool,
    /// Noise that stands for silence is heard. Where many are added up it is better left out.
    pub plays_noise: bool,
}

impl Default for ReceiverConfig {
    fn default() -> Self {
        Self {
            sample_rate: 8000,
            formats: Vec::new(),
            delay_initial: Duration::from_millis(40),
            delay_min: Duration::ZERO,
            delay_max: Duration::from_millis(400),
            in_band: InBand::Ignore,
            sounds_events: false,
            plays_noise: true,
        }
    }
}

/// What is done about keys that sound within speech.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum InBand {
    /// They are speech.
    Ignore,
    /// They are told of and heard. Once an event came in packets of its own, only such are told of.
    Detect,
    /// They are told of and taken out, which delays speech by 45 ms.
    Remove,
}

/// What became of a packet.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Received {
    /// It waits to be played.
    Waits,
    /// It was about a telephone event.
    Event,
    /// It waits, and older ones were dropped for it.
    Overflow,
    /// It came after its time.
    Late,
    /// It has come already.
    Duplicate,
    /// It is of a source not believed yet, or far out of sequence.
    Stray,
    /// Its payload type is none of the stream's.
    PayloadType,
    /// It is no packet, or too long.
    Malformed,
}

/// One tick that was pulled.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Pulled {
    /// What is in it.
    pub kind: PulledKind,
    /// Its level.
    pub level_dbov: i8,
    /// Somebody talks.
    pub is_talking: bool,
}

/// What is in a tick.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum PulledKind {
    /// What was sent.
    Speech,
    /// In part or whole what may have been sent: a packet was lost or late.
    Concealed,
    /// Noise in place of silence that was not sent.
    ComfortNoise,
    /// A telephone event.
    Event,
    /// Nothing.
    Silence,
}

/// What the playout has done to a stream so far.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Playout {
    /// Packets decoded.
    pub decoded: u64,
    /// Payloads that were refused by their decoder.
    pub malformed: u64,
    /// Packets that came after their time.
    pub late: u64,
    /// Packets dropped since too many waited.
    pub overflows: u64,
    /// Samples that concealed what was lost or late.
    pub concealed_samples: u64,
    /// Samples taken out, since the stream waited longer than it had to.
    pub removed_samples: u64,
    /// Samples put in, since it has to wait longer.
    pub inserted_samples: u64,
    /// Events that nobody polled in time.
    pub events_lost: u64,
}

/// Buffers that [`Receiver::pull`] needs only while it runs: one for all streams of a thread.
#[derive(Debug)]
pub struct Workspace {
    decoded: Box<[i16]>,
    converted: Box<[i16]>,
}

impl Default for Workspace {
    fn default() -> Self {
        let buffer = vec![0; PACKET_SAMPLES_MAX].into_boxed_slice();
        // The longest packet has so many samples at the highest rate.
        let converted = vec![0; PACKET_SAMPLES_MAX + 64].into_boxed_slice();
        Self {
            decoded: buffer,
            converted,
        }
    }
}

/// The receiving half of a stream: jitter buffer, decoders, concealment, events.
///
/// Packets come in as they arrive, ticks of 20 ms go out when they are due. Playout follows a
/// schedule: what was sent at a time is heard when the slowest of the usual packets would have
/// come. Where that time moves, with jitter or clocks, speech is made shorter or longer by single
/// periods of its pitch: a steady tone at -15 dBov then bends by at most 200 of 32 768 more than it
/// does by itself, and by 2 200 at most where another source takes over or packets are lost, but
/// for those that Opus makes up for by FEC. On a network without
/// jitter speech is 25 ms later than its packets; with 60 ms of it, 60. O(1) per packet; nothing is
/// allocated after `new`.
#[derive(Debug)]
pub struct Receiver {
    by_payload_type: [u8; 128],
    stats: ReceiverStats,
    playback: Playback,
    events: EventReceiver,
    event_clock_hz: u32,
    has_rtp_events: bool,
    queue: EventQueue,
    in_band: InBandState,
    sounds_events: bool,
    plays_noise: bool,
    sounding: Option<ToneGenerator>,
    activity: Activity,
}

#[derive(Debug)]
enum InBandState {
    Ignore,
    Detect(Box<Detector>),
    Remove(Box<Remover>),
}

const NO_FORMAT: u8 = u8::MAX;

impl Receiver {
    /// Of a stream that has not begun.
    ///
    /// # Errors
    /// A codec is not there, or the configuration does not make sense.
    pub fn new(config: &ReceiverConfig) -> Result<Self, ConfigError> {
        if config.formats.len() > FORMATS_MAX {
            return Err(ConfigError::Formats);
        }
        let mut by_payload_type = [NO_FORMAT; 128];
        let mut formats = Vec::with_capacity(config.formats.len());
        for (index, format) in config.formats.iter().enumerate() {
            let place = by_payload_type.get_mut(usize::from(format.payload_type));
            *place.ok_or(ConfigError::Formats)? = index as u8;
            formats.push(Format::new(&format.kind, config.sample_rate)?);
        }
        let playback = Playback::new(config, formats.into_boxed_slice());
        Ok(Self {
            by_payload_type,
            stats: ReceiverStats::with_probation(playback.clock_hz(), MIN_SEQUENTIAL),
            playback,
            events: EventReceiver::default(),
            event_clock_hz: 8000,
            has_rtp_events: false,
            queue: EventQueue::default(),
            in_band: match config.in_band {
                InBand::Ignore => InBandState::Ignore,
                InBand::Detect => InBandState::Detect(Box::new(Detector::new(config.sample_rate))),
                InBand::Remove => InBandState::Remove(Box::new(Remover::new(config.sample_rate))),
            },
            sounds_events: config.sounds_events,
            plays_noise: config.plays_noise,
            sounding: None,
            activity: Activity::new(TICK),
        })
    }

    /// Samples of a tick.
    pub fn tick_samples(&self) -> usize {
        self.playback.tick_samples()
    }

    /// Reception as RTCP reports it, of packets and not of what became of them.
    pub fn stats(&mut self) -> &mut ReceiverStats {
        &mut self.stats
    }

    /// What was received so far.
    pub fn reception(&self) -> Reception {
        self.stats.reception()
    }

    /// What the playout did so far.
    pub fn playout(&self) -> Playout {
        Playout {
            events_lost: self.queue.lost,
            ..self.playback.playout()
        }
    }

    /// How long packets wait after the time of the fastest: what the jitter asks for.
    pub fn target_delay(&self) -> Duration {
        self.playback.target_delay()
    }

    /// How loud the talker is, and whether it talks.
    pub fn activity(&self) -> &Activity {
        &self.activity
    }

    /// Sets whether events are sounded as the signals of their keys.
    pub fn set_sounds_events(&mut self, sounds_events: bool) {
        self.sounds_events = sounds_events;
    }

    /// Takes keys within speech out by this from now on and tells of them, or leaves them there;
    /// gives back what took them out before. Of its rate, and not for a stream that was made to
    /// detect keys.
    pub fn set_remover(&mut self, remover: Option<Box<Remover>>) -> Option<Box<Remover>> {
        let state = remover.map_or(InBandState::Ignore, InBandState::Remove);
        match std::mem::replace(&mut self.in_band, state) {
            InBandState::Remove(before) => Some(before),
            InBandState::Ignore | InBandState::Detect(_) => None,
        }
    }

    /// The next event that began or ended.
    pub fn poll_event(&mut self) -> Option<TelephoneEvent> {
        self.queue.pop()
    }

    /// The speech mode that the peer asks for (RFC 4867 4.3.1), as its last payload said.
    pub fn requested_mode(&self) -> Option<u8> {
        self.playback.requested_mode()
    }

    /// A packet arrived. It is copied.
    pub fn receive(&mut self, now: Instant, packet: &[u8]) -> Received {
        let Ok(packet) = Packet::new(packet) else {
            return Received::Malformed;
        };
        let header = packet.header();
        let index = self.by_payload_type[usize::from(header.payload_type)];
        let Some(format) = self.playback.format(index) else {
            return Received::PayloadType;
        };
        let clock_hz = match format {
            Format::Audio(audio) => audio.clock_hz,
            Format::Event { clock_hz } => *clock_hz,
        };
        let is_event = matches!(format, Format::Event { .. });
        if !is_event && self.playback.set_clock(clock_hz) {
            self.stats.set_clock(clock_hz);
        }
        match self.stats.receive(now, &header, packet.payload().len()) {
            Arrival::Duplicate => return Received::Duplicate,
            Arrival::Stray | Arrival::Probation => return Received::Stray,
            Arrival::Restarted => self.playback.lose_track(),
            _ => {}
        }
        if is_event {
            return self.receive_event(now, &header, packet.payload(), clock_hz);
        }
        let queue = &mut self.queue;
        self.events
            .receive_other(&header, self.event_clock_hz, |event| {
                queue.push_report(event)
            });
        self.playback.receive(now, &header, index, packet.payload())
    }

    fn receive_event(
        &mut self,
        now: Instant,
        header: &Header,
        payload: &[u8],
        clock_hz: u32,
    ) -> Received {
        self.event_clock_hz = clock_hz;
        self.has_rtp_events = true;
        let (queue, sounding) = (&mut self.queue, &mut self.sounding);
        let rate = self.playback.sample_rate();
        let sounds = self.sounds_events;
        self.events
            .receive(now, header, payload, clock_hz, |event| {
                queue.push_report(event);
                if let Some(generator) = sounding {
                    generator.stop();
                }
                if sounds
                    && event.lasted.is_none()
                    && let Some(tone) = dtmf::tone(event.code, None)
                {
                    *sounding = Some(ToneGenerator::new(tone, rate, dtmf::LEVEL_DBM0));
                }
                true
            });
        Received::Event
    }

    /// Takes the tick that is due: call it every 20 ms, not for each packet.
    ///
    /// `out` has [`tick_samples`](Self::tick_samples).
    pub fn pull(&mut self, now: Instant, workspace: &mut Workspace, out: &mut [i16]) -> Pulled {
        let queue = &mut self.queue;
        let sounding = &mut self.sounding;
        self.events
            .handle_timeout(now, self.event_clock_hz, |event| {
                queue.push_report(event);
                if let Some(generator) = sounding {
                    generator.stop();
                }
                true
            });
        let is_event = self.events.is_sounding();
        let mut kind = self.playback.pull(now, is_event, workspace, out);
        self.process_in_band(out, kind);
        if self.sound_event(out) {
            kind = PulledKind::Event;
        }
        let level_dbov = match kind {
            PulledKind::Silence => SILENCE_DBOV,
            PulledKind::ComfortNoise if !self.plays_noise => SILENCE_DBOV,
            _ => level_dbov(out),
        };
        let is_talking = match kind {
            PulledKind::Speech | PulledKind::Concealed => self.activity.observe(level_dbov),
            _ => self.activity.observe(SILENCE_DBOV),
        };
        Pulled {
            kind,
            level_dbov,
            is_talking,
        }
    }

    fn process_in_band(&mut self, out: &mut [i16], kind: PulledKind) {
        let rate = self.playback.sample_rate();
        let (queue, is_told) = (&mut self.queue, !self.has_rtp_events);
        let report = |detection| {
            if is_told {
                queue.push_in_band(detection, rate);
            }
        };
        match &mut self.in_band {
            InBandState::Ignore => {}
            InBandState::Detect(detector) => {
                // Silence has no keys, but ends them.
                if kind != PulledKind::Silence || detector.key().is_some() {
                    detector.process(out, report);
                }
            }
            InBandState::Remove(remover) => remover.process(out, report),
        }
    }

    /// Puts the signal of an event in the place of a tick.
    fn sound_event(&mut self, out: &mut [i16]) -> bool {
        let Some(generator) = &mut self.sounding else {
            return false;
        };
        let sounded = generator.fill(out);
        if generator.is_done() {
            self.sounding = None;
        }
        sounded > 0
    }
}

impl PulledKind {
    /// What a tick is that has both in it.
    fn max_of(self, other: Self) -> Self {
        use PulledKind::{ComfortNoise, Concealed, Event, Silence, Speech};
        let order = |kind: Self| match kind {
            Silence => 0,
            ComfortNoise => 1,
            Speech => 2,
            Concealed => 3,
            Event => 4,
        };
        if order(other) > order(self) {
            other
        } else {
            self
        }
    }
}

#[cfg(test)]
mod tests {
    use codecs::Codec;

    use super::*;

    fn format(payload_type: u8, kind: FormatKind) -> PayloadFormat {
        PayloadFormat { payload_type, kind }
    }

    fn config() -> ReceiverConfig {
        ReceiverConfig {
            sample_rate: 16_000,
            formats: vec![
                format(8, FormatKind::Audio(Codec::Pcma)),
                format(13, FormatKind::ComfortNoise { clock_hz: 8000 }),
                format(101, FormatKind::Event { clock_hz: 8000 }),
            ],
            ..ReceiverConfig::default()
        }
    }

    /// A receiver that gets a packet and gives a tick every 20 ms.
    struct Stream {
        receiver: Receiver,
        workspace: Workspace,
        tick: u32,
        sequence: u16,
    }

    impl Stream {
        fn new(config: &ReceiverConfig) -> Self {
            Self {
                receiver: Receiver::new(config).unwrap(),
                workspace: Workspace::default(),
                tick: 0,
                sequence: 0,
            }
        }

        fn now(&self) -> Instant {
            Instant::from_secs(10) + self.tick * TICK
        }

        fn send(&mut self, payload_type: u8, timestamp: u32, payload: &[u8]) -> Received {
            let header = Header {
                payload_type,
                sequence: self.sequence,
                timestamp,
                ssrc: 7,
                ..Header::default()
            };
            self.sequence += 1;
            let mut packet = vec![0; 12];
            header.write_to(&mut packet).unwrap();
            packet.extend_from_slice(payload);
            self.receiver.receive(self.now(), &packet)
        }

        /// A packet of this type for the tick, and the tick.
        fn tick(&mut self, payload_type: u8, payload: &[u8]) -> Pulled {
            self.send(payload_type, 160 * self.tick, payload);
            self.pull().0
        }

        fn pull(&mut self) -> (Pulled, Vec<i16>) {
            let mut out = vec![0; self.receiver.tick_samples()];
            let now = self.now();
            let pulled = self.receiver.pull(now, &mut self.workspace, &mut out);
            self.tick += 1;
            (pulled, out)
        }
    }

    #[test]
    fn noise_goes_on_between_its_packets_at_its_level() {
        for plays_noise in [true, false] {
            let mut stream = Stream::new(&ReceiverConfig {
                plays_noise,
                ..config()
            });
            for _ in 0..10 {
                stream.tick(8, &[0xd5; 160]);
            }
            // Later than the speech before it, by what a packet lasts.
            stream.tick(13, &[50]);
            for _ in 0..5 {
                stream.pull();
            }
            for _ in 0..100 {
                let (pulled, _) = stream.pull();
                assert_eq!(pulled.kind, PulledKind::ComfortNoise);
                let level = if plays_noise { -53..=-47 } else { -127..=-127 };
                assert!(level.contains(&pulled.level_dbov), "{pulled:?}");
                assert!(!pulled.is_talking);
            }
            for _ in 0..200 {
                stream.pull();
            }
            assert_eq!(stream.pull().0.kind, PulledKind::Silence);
        }
    }

    #[test]
    fn what_is_no_packet_of_the_stream_is_told_apart() {
        let mut stream = Stream::new(&config());
        assert_eq!(stream.send(8, 0, &[0xd5; 160]), Received::Stray);
        assert_eq!(stream.send(8, 160, &[0xd5; 160]), Received::Waits);
        assert_eq!(stream.send(9, 320, &[0xd5; 160]), Received::PayloadType);
        assert_eq!(
            stream.receiver.receive(stream.now(), &[1; 20]),
            Received::Malformed
        );
        stream.sequence = 1;
        assert_eq!(stream.send(8, 160, &[0xd5; 160]), Received::Duplicate);
        assert_eq!(stream.send(8, 320, &[]), Received::Waits);
        for _ in 0..10 {
            stream.pull();
        }
        assert_eq!(stream.receiver.playout().malformed, 1);
        // Overtaken by what has been played.
        stream.sequence = 8;
        stream.send(8, 160 * 20, &[0xd5; 160]);
        for _ in 0..20 {
            stream.pull();
        }
        stream.sequence = 6;
        assert_eq!(stream.send(8, 160 * 18, &[0xd5; 160]), Received::Late);
    }

    #[test]
    fn events_are_told_and_sounded() {
        for sounds_events in [false, true] {
            let mut stream = Stream::new(&ReceiverConfig {
                sounds_events,
                ..config()
            });
            for _ in 0..5 {
                stream.tick(8, &[0xd5; 160]);
            }
            let timestamp = 160 * stream.tick;
            let mut sounded = Vec::new();
            for count in 1..=7_u16 {
                let ticks = (160 * count.min(5)).to_be_bytes();
                let end = if count >= 5 { 0x80 } else { 0 };
                let sent = stream.send(101, timestamp, &[5, end | 10, ticks[0], ticks[1]]);
                assert_eq!(sent, Received::Event);
                let (pulled, out) = stream.pull();
                if pulled.kind == PulledKind::Event && pulled.level_dbov > -30 {
                    sounded.extend(out);
                }
            }
            let began = stream.receiver.poll_event().unwrap();
            assert_eq!((began.code, began.lasted), (5, None));
            let ended = stream.receiver.poll_event().unwrap();
            assert_eq!(ended.lasted, Some(Duration::from_millis(100)));
            assert_eq!(stream.receiver.poll_event(), None);
            if !sounds_events {
                assert_eq!(sounded, []);
                continue;
            }
            let level = |hz| crate::spectrum::level_at_dbov(&sounded[..1200], 16_000, hz);
            assert!(level(770.0) > -18.0 && level(1336.0) > -18.0 && level(1000.0) < -30.0);
        }
    }

    /// The stream of AMR in a packing, with so many frames in a packet.
    fn amr(fmtp: &str) -> (Codec, ReceiverConfig) {
        let codec = Codec::from_sdp("AMR", 8000, 1, Some(fmtp)).unwrap();
        let config = ReceiverConfig {
            formats: vec![format(96, FormatKind::Audio(codec.clone()))],
            sample_rate: 8000,
            ..config()
        };
        (codec, config)
    }

    /// Frames of a tone as payloads of one frame.
    fn frames(codec: &Codec, count: usize) -> Vec<Vec<u8>> {
        let mut encoder = codec.encoder(codecs::EncoderConfig::default()).unwrap();
        let mut tone = (0..).map(|n| (6000.0 * (n as f32 * 0.5).sin()) as i16);
        let encode = |_| {
            let samples: Vec<i16> = tone.by_ref().take(160).collect();
            let mut payload = [0; 40];
            match encoder.encode(&samples, &mut payload).unwrap() {
                codecs::Encoded::Payload { len, .. } => payload[..len].to_vec(),
                codecs::Encoded::Nothing => unreachable!("speech"),
            }
        };
        (0..count).map(encode).collect()
    }

    /// Several octet-aligned payloads of a frame as one, with what is behind the request.
    fn join(head: &[u8], frames: &[&Vec<u8>]) -> Vec<u8> {
        let first = 1 + usize::from(head.len() > 1);
        let last = frames.len() - 1;
        let entry = |(at, frame): (usize, &&Vec<u8>)| frame[first] | u8::from(at < last) << 7;
        let entries = frames.iter().enumerate().map(entry);
        let mut payload: Vec<u8> = head.iter().copied().chain(entries).collect();
        frames
            .iter()
            .for_each(|frame| payload.extend(&frame[first + 1..]));
        payload
    }

    #[test]
    fn frames_that_are_sent_again_make_up_for_losses() {
        let (codec, config) = amr("octet-align=1");
        if codec.encoder(codecs::EncoderConfig::default()).is_err() {
            return;
        }
        let frames = frames(&codec, 101);
        for redundancy in [false, true] {
            let mut stream = Stream::new(&config);
            let mut heard = Vec::new();
            for number in 1..100_usize {
                // RFC 4867 3.7.1: each packet has the frame before once more.
                let from = if redundancy { number - 1 } else { number };
                let both: Vec<&Vec<u8>> = frames[from..=number].iter().collect();
                if number % 5 == 0 {
                    stream.sequence += 1;
                } else {
                    stream.send(96, 160 * from as u32, &join(&[0xf0], &both));
                }
                heard.push(stream.pull().0.kind);
            }
            let concealed = heard[20..]
                .iter()
                .filter(|&&kind| kind == PulledKind::Concealed);
            let playout = stream.receiver.playout();
            assert_eq!(concealed.count() == 0, redundancy, "{playout:?}");
            // Each frame once.
            let decoded = if redundancy { 90..=100 } else { 70..=80 };
            assert!(decoded.contains(&playout.decoded), "{playout:?}");
        }
    }

    #[test]
    fn interleaved_frames_are_put_in_order() {
        let (codec, config) = amr("interleaving=30");
        if codec.encoder(codecs::EncoderConfig::default()).is_err() {
            return;
        }
        let frames = frames(&codec, 240);
        let run = |loses: bool| {
            let mut stream = Stream::new(&config);
            let mut heard = Vec::new();
            // Groups of four packets with three frames each, a packet every 60 ms.
            let mut settled = Playout::default();
            for tick in 0..228 {
                if tick == 60 {
                    settled = stream.receiver.playout();
                }
                let (group, index) = (tick / 12, tick % 12 / 3);
                if tick % 3 == 0 {
                    let first = group * 12 + index;
                    let own: Vec<&Vec<u8>> = frames[first..].iter().step_by(4).take(3).collect();
                    let payload = join(&[0xf0, 0x30 | index as u8], &own);
                    if loses && group > 3 && index == 2 {
                        stream.sequence += 1;
                    } else {
                        stream.send(96, 160 * first as u32, &payload);
                    }
                }
                let (pulled, out) = stream.pull();
                heard.push((pulled.kind, out));
            }
            let playout = stream.receiver.playout();
            (
                heard,
                playout.concealed_samples - settled.concealed_samples,
                playout,
            )
        };
        let (heard, concealed, playout) = run(false);
        assert_eq!(concealed, 0, "{playout:?}");
        let speech = heard.iter().filter(|(kind, _)| *kind == PulledKind::Speech);
        assert!(speech.count() > 200, "{playout:?}");
        // A tone as it was.
        let samples: Vec<i16> = heard[60..200]
            .iter()
            .flat_map(|(_, out)| out.clone())
            .collect();
        let hz = 0.5 * 8000.0 / std::f32::consts::TAU;
        let level = crate::spectrum::level_at_dbov(&samples[..8000], 8000, hz);
        assert!(level > -19.0, "{level}");
        // Of four packets one is lost: no two frames that are neighbours.
        let (heard, ..) = run(true);
        let kinds: Vec<_> = heard[80..220].iter().map(|(kind, _)| *kind).collect();
        let concealed = kinds.iter().filter(|&&kind| kind == PulledKind::Concealed);
        assert!((25..=80).contains(&concealed.count()), "{kinds:?}");
    }

    #[test]
    fn a_clock_that_is_set_back_is_heard_at_once() {
        let mut stream = Stream::new(&config());
        for _ in 0..20 {
            stream.tick(8, &[0xd5; 160]);
        }
        for tick in 0..20 {
            stream.send(8, 160 * tick, &[0x15; 160]);
            stream.pull();
        }
        let playout = stream.receiver.playout();
        assert_eq!(playout.late, 0, "{playout:?}");
        assert!(playout.decoded > 34, "{playout:?}");
    }

    #[test]
    fn too_many_formats_or_a_wrong_one_are_refused() {
        let formats = vec![format(8, FormatKind::Audio(Codec::Pcma)); FORMATS_MAX + 1];
        let many = ReceiverConfig {
            formats,
            ..config()
        };
        assert_eq!(Receiver::new(&many).unwrap_err(), ConfigError::Formats);
        let formats = vec![format(128, FormatKind::Audio(Codec::Pcma))];
        let high = ReceiverConfig {
            formats,
            ..config()
        };
        assert_eq!(Receiver::new(&high).unwrap_err(), ConfigError::Formats);
        let odd = ReceiverConfig {
            sample_rate: 11_025,
            ..config()
        };
        assert_eq!(Receiver::new(&odd).unwrap_err(), ConfigError::SampleRate);
    }
}
