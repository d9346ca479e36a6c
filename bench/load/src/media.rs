//! One end of an RTP audio stream: says something, listens, and tells how it was.
//!
//! Sans-IO as everything else: the driver opens the sockets, gives what it receives to
//! [`Stream::handle_input`], sends what comes out of [`Stream::poll_output`] and wakes it at
//! [`Stream::next_timeout`].

use std::collections::VecDeque;
use std::net::SocketAddr;
use std::time::Duration;

use base::{Entropy, Instant};
use codecs::g711::Law;
use codecs::speech::{SAMPLE_HZ, Speech};
use rtp::quality::{Conditions, Impairment};
use rtp::rtcp::{Compound, Schedule, SenderInfo, Writer};
use rtp::{Arrival, DatagramKind, Event, Header, NtpTime, Packet, ReceiverStats};
use sdp::AgreedKeys;

use crate::protection::Protection;

/// Samples of what is heard that are kept to be compared: one second.
const HEARD_SAMPLES: usize = SAMPLE_HZ as usize;
/// How far into what was said the heard part is looked for: half a second.
const LIKENESS_LAG: usize = SAMPLE_HZ as usize / 2;
/// Packets sent at once when the driver came late; those beyond are skipped and counted.
const CATCH_UP_MAX: u32 = 10;
/// RTCP of ours fits this.
const RTCP_BYTES_MAX: usize = 512;
const PTIME_MS_MAX: u32 = 240;
/// RTP, UDP and IPv4 headers: what a packet costs beside its payload.
const OVERHEAD_BYTES: u32 = 40;

/// What a stream is to do.
#[derive(Clone, Debug)]
pub struct Config {
    /// Where RTP is sent.
    pub rtp: SocketAddr,
    /// Where RTCP is sent; the same where they are multiplexed.
    pub rtcp: SocketAddr,
    /// Codec to send with.
    pub law: Law,
    /// Its payload type.
    pub payload_type: u8,
    /// Payload type of telephone events to send, where there is one.
    pub event_payload_type: Option<u8>,
    /// Length of a packet in milliseconds, 1 to 240.
    pub ptime_ms: u32,
    /// Talks; otherwise it only listens.
    pub sending: bool,
    /// Seed of what it says.
    pub voice: u32,
    /// Seed of what it should hear, to be compared.
    pub expected_voice: Option<u32>,
    /// CNAME of its RTCP.
    pub cname: String,
    /// Least mean interval of RTCP, 5 s by RFC 3550.
    pub rtcp_interval: Duration,
    /// SRTP with these keys.
    pub keys: Option<AgreedKeys>,
}

impl Config {
    /// Sends µ-law in packets of 20 ms to this address, RTCP to the next port.
    pub fn new(rtp: SocketAddr, voice: u32) -> Self {
        Self {
            rtp,
            rtcp: SocketAddr::new(rtp.ip(), rtp.port().wrapping_add(1)),
            law: Law::Mu,
            payload_type: 0,
            event_payload_type: None,
            ptime_ms: 20,
            sending: true,
            voice,
            expected_voice: None,
            cname: format!("voice-{voice}@strowger"),
            rtcp_interval: Duration::from_secs(5),
            keys: None,
        }
    }

    /// As two descriptions agree; `None` when neither law of G.711 is among the codecs.
    pub fn agreed(agreed: &sdp::Agreed, voice: u32) -> Option<Self> {
        let (law, codec) = agreed.send.iter().find_map(|codec| {
            let law = match &*codec.encoding.to_ascii_uppercase() {
                "PCMU" => Law::Mu,
                "PCMA" => Law::A,
                _ => return None,
            };
            (codec.clock_hz == SAMPLE_HZ && codec.channels == 1).then_some((law, codec))
        })?;
        let event = agreed
            .send
            .iter()
            .find(|codec| codec.encoding.eq_ignore_ascii_case("telephone-event"));
        Some(Self {
            rtcp: agreed.rtcp,
            law,
            payload_type: codec.payload_type,
            event_payload_type: event.map(|codec| codec.payload_type),
            ptime_ms: agreed.ptime_ms.unwrap_or(20),
            sending: agreed.direction.sends(),
            keys: agreed.keys.clone(),
            ..Self::new(agreed.rtp, voice)
        })
    }
}

/// Something to send.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Transmit {
    /// Where.
    pub to: SocketAddr,
    /// From the RTCP socket, not from that of RTP.
    pub is_rtcp: bool,
    /// What.
    pub bytes: Vec<u8>,
}

/// How a stream fared.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Report {
    /// RTP packets sent.
    pub sent: u64,
    /// RTP packets received, each counted once.
    pub received: u64,
    /// RTP packets that never came.
    pub lost: u64,
    /// RTP packets that came again.
    pub duplicates: u64,
    /// RTP packets that came behind later ones.
    pub reordered: u64,
    /// Datagrams that were neither RTP nor RTCP, or of another payload, or not authentic.
    pub refused: u64,
    /// SRTP and SRTCP packets that were authentic, RTP and RTCP both.
    pub opened: u64,
    /// Interarrival jitter.
    pub jitter: Duration,
    /// The largest it was.
    pub jitter_max: Duration,
    /// Packets of ours the other end missed, as it last reported.
    pub lost_there: Option<i32>,
    /// Round trip, where RTCP told it.
    pub round_trip: Option<Duration>,
    /// RTCP packets sent and received.
    pub rtcp_sent: u64,
    /// RTCP packets received.
    pub rtcp_received: u64,
    /// Packets not sent because the driver came too late.
    pub skipped: u64,
    /// Mean opinion score by the E-model of what is received; 0 when nothing is.
    pub mos: f64,
    /// Rating factor R by the E-model; 0 when nothing is received.
    pub rating: f64,
    /// Correlation of what is heard with what should be, where both are known.
    pub likeness: Option<f32>,
    /// DTMF events received.
    pub digits: u64,
}

/// One end of an audio stream.
#[derive(Debug)]
pub struct Stream {
    config: Config,
    speech: Speech,
    ssrc: u32,
    sequence: u16,
    timestamp: u32,
    /// The next packet begins a talkspurt.
    marker: bool,
    next_packet: Option<Instant>,
    schedule: Schedule,
    entropy: Entropy,
    sent_octets: u32,
    /// Packets sent when the last report went.
    sent_before: u64,
    stats: ReceiverStats,
    heard: Heard,
    keys: VecDeque<u8>,
    key: Option<Key>,
    last_event: Option<u32>,
    digits: String,
    counts: Report,
    ended: bool,
    protection: Option<Protection>,
    outputs: VecDeque<Transmit>,
}

/// A DTMF event being sent, RFC 4733 2.5.1.
#[derive(Clone, Copy, Debug)]
struct Key {
    code: u8,
    timestamp: u32,
    duration: u16,
    /// End packets left: three.
    ends_left: u8,
}

/// The beginning of what is heard, by timestamp.
#[derive(Debug, Default)]
struct Heard {
    first_timestamp: Option<u32>,
    samples: Vec<i16>,
}

const KEY_TICKS: u16 = 800;
const KEY_ENDS: u8 = 3;
/// Digits kept of what was received.
const DIGITS_MAX: usize = 256;

impl Stream {
    /// A stream that begins to send at once.
    pub fn new(now: Instant, config: Config, entropy: &mut Entropy) -> Self {
        let mut entropy = Entropy::from_seed(entropy.bytes());
        let mut config = config;
        config.ptime_ms = config.ptime_ms.clamp(1, PTIME_MS_MAX);
        let packet_bytes = SAMPLE_HZ * config.ptime_ms / 1000 + OVERHEAD_BYTES;
        let bits_per_sec = packet_bytes * 8 * 1000 / config.ptime_ms;
        let interval = config.rtcp_interval;
        Self {
            speech: Speech::new(config.voice),
            ssrc: entropy.next_u32(),
            sequence: entropy.next_u32() as u16 >> 1,
            timestamp: entropy.next_u32(),
            marker: true,
            next_packet: config.sending.then_some(now),
            schedule: Schedule::with_interval_min(now, bits_per_sec, interval, &mut entropy),
            entropy,
            sent_octets: 0,
            sent_before: 0,
            stats: ReceiverStats::new(SAMPLE_HZ),
            heard: Heard::default(),
            keys: VecDeque::new(),
            key: None,
            last_event: None,
            digits: String::new(),
            counts: Report::default(),
            ended: false,
            protection: config
                .keys
                .clone()
                .and_then(|keys| Protection::new(keys).ok()),
            outputs: VecDeque::new(),
            config,
        }
    }

    /// Takes a new agreement of the same stream: addresses, codec, direction. Sequence numbers go
    /// on, and so do the counts.
    pub fn update(&mut self, now: Instant, config: Config) {
        let (voice, expected_voice) = (self.config.voice, self.config.expected_voice);
        let (cname, rtcp_interval) = (self.config.cname.clone(), self.config.rtcp_interval);
        let sending = config.sending;
        let before = self.protection.take();
        self.protection = config.keys.clone().and_then(|keys| match before {
            Some(before) => before.rekeyed(keys).ok(),
            None => Protection::new(keys).ok(),
        });
        self.config = Config {
            sending: self.config.sending,
            ptime_ms: config.ptime_ms.clamp(1, PTIME_MS_MAX),
            voice,
            expected_voice,
            cname,
            rtcp_interval,
            ..config
        };
        self.set_sending(now, sending);
    }

    /// Begins or stops to talk: hold and resume. RTCP goes on.
    pub fn set_sending(&mut self, now: Instant, sending: bool) {
        if self.ended || self.config.sending == sending {
            return;
        }
        self.config.sending = sending;
        if sending {
            // The clock of the timestamps went on meanwhile (RFC 3550 5.1).
            if let Some(stopped) = self.next_packet {
                let ticks = now.since(stopped).as_nanos() * u128::from(SAMPLE_HZ) / 1_000_000_000;
                self.timestamp = self.timestamp.wrapping_add(ticks as u32);
                self.next_packet = Some(stopped.max(now));
            } else {
                self.next_packet = Some(now);
            }
            self.marker = true;
        }
    }

    /// Presses a key, `0` to `9`, `*`, `#`, `A` to `D`; false when it is none or events were not
    /// agreed on.
    pub fn press(&mut self, key: char) -> bool {
        let code = Event::code_of(key).filter(|_| self.config.event_payload_type.is_some());
        self.keys.extend(code);
        code.is_some()
    }

    /// The keys heard so far.
    pub fn digits(&self) -> &str {
        &self.digits
    }

    /// Takes a datagram of either socket.
    pub fn handle_input(&mut self, now: Instant, datagram: &[u8]) {
        let kind = rtp::datagram_kind(datagram);
        let mut opened = Vec::new();
        let mut datagram = datagram;
        if self.config.keys.is_some() && matches!(kind, DatagramKind::Rtp | DatagramKind::Rtcp) {
            opened.extend_from_slice(datagram);
            let is_rtcp = kind == DatagramKind::Rtcp;
            let protection = self.protection.as_ref();
            if protection.is_none_or(|keys| keys.open(&mut opened, is_rtcp).is_err()) {
                self.counts.refused += 1;
                return;
            }
            self.counts.opened += 1;
            datagram = &opened;
        }
        match kind {
            DatagramKind::Rtp => self.handle_rtp(now, datagram),
            DatagramKind::Rtcp => self.handle_rtcp(now, datagram),
            _ => self.counts.refused += 1,
        }
    }

    /// Protects what is sent, where keys were agreed on; without them nothing leaves.
    fn transmit(&mut self, is_rtcp: bool, mut bytes: Vec<u8>) {
        if self.config.keys.is_some() {
            let protection = self.protection.as_ref();
            if protection.is_none_or(|keys| keys.protect(&mut bytes, is_rtcp).is_err()) {
                return;
            }
        }
        let to = match is_rtcp {
            true => self.config.rtcp,
            false => self.config.rtp,
        };
        self.outputs.push_back(Transmit { to, is_rtcp, bytes });
    }

    /// Sends what is due.
    pub fn handle_timeout(&mut self, now: Instant) {
        if self.ended {
            return;
        }
        let ptime = self.ptime();
        let mut at_once = 0;
        while let Some(due) = self
            .next_packet
            .filter(|&due| self.config.sending && due <= now)
        {
            if at_once == CATCH_UP_MAX && due + ptime <= now {
                self.skip(now, due);
                break;
            }
            self.send_packet();
            at_once += 1;
            self.next_packet = Some(due + ptime);
        }
        let senders = u32::from(self.counts.sent > self.sent_before) + u32::from(self.hears());
        let we_sent = self.counts.sent > self.sent_before;
        self.schedule.set_members(now, 2, senders, we_sent);
        if self.schedule.handle_timeout(now, &mut self.entropy) {
            self.send_report(now, false);
        }
    }

    /// When to call [`Stream::handle_timeout`].
    pub fn next_timeout(&self) -> Option<Instant> {
        if self.ended {
            return None;
        }
        let report = self.schedule.next_timeout();
        let packet = self.next_packet.filter(|_| self.config.sending);
        Some(packet.map_or(report, |packet| packet.min(report)))
    }

    /// What is to be sent next.
    pub fn poll_output(&mut self) -> Option<Transmit> {
        self.outputs.pop_front()
    }

    /// Says goodbye by RTCP and falls silent. What still arrives is counted.
    pub fn end(&mut self, now: Instant) {
        if !self.ended {
            self.send_report(now, true);
            self.ended = true;
        }
    }

    /// How it fared so far.
    pub fn report(&self) -> Report {
        let reception = self.stats.reception();
        let mut report = Report {
            received: reception.received,
            lost: reception.lost(),
            duplicates: reception.duplicates,
            reordered: reception.reordered,
            jitter: reception.jitter,
            jitter_max: reception.jitter_max,
            likeness: self.likeness(),
            ..self.counts
        };
        if reception.received > 0 {
            // Mouth to ear: a packet, half the round trip, and a playout buffer of a packet and
            // twice the jitter.
            let network = report.round_trip.unwrap_or_default() / 2;
            let conditions = Conditions {
                impairment: Impairment::G711,
                delay: 2 * self.ptime() + network + 2 * reception.jitter,
                loss: reception.loss(),
                burst_ratio: reception.burst_ratio(),
            };
            report.mos = conditions.mos();
            report.rating = conditions.rating();
        }
        report
    }

    fn ptime(&self) -> Duration {
        Duration::from_millis(u64::from(self.config.ptime_ms))
    }

    fn hears(&self) -> bool {
        self.stats.ssrc().is_some()
    }

    fn handle_rtp(&mut self, now: Instant, datagram: &[u8]) {
        let Ok(packet) = Packet::new(datagram) else {
            self.counts.refused += 1;
            return;
        };
        let header = packet.header();
        let arrival = self.stats.receive(now, &header, packet.payload().len());
        if matches!(
            arrival,
            Arrival::Duplicate | Arrival::Stray | Arrival::Probation
        ) {
            return;
        }
        let law = match header.payload_type {
            0 => Law::Mu,
            8 => Law::A,
            number if Some(number) == self.config.event_payload_type => {
                return self.handle_event(&header, packet.payload());
            }
            _ => {
                self.counts.refused += 1;
                return;
            }
        };
        self.heard.put(header.timestamp, law, packet.payload());
    }

    fn handle_event(&mut self, header: &Header, payload: &[u8]) {
        let Ok(event) = Event::parse(payload) else {
            self.counts.refused += 1;
            return;
        };
        // All packets of an event have its timestamp.
        if self.last_event.replace(header.timestamp) == Some(header.timestamp) {
            return;
        }
        self.counts.digits += 1;
        if self.digits.len() < DIGITS_MAX {
            self.digits.extend(event.digit());
        }
    }

    fn handle_rtcp(&mut self, now: Instant, datagram: &[u8]) {
        let Ok(compound) = Compound::parse(datagram) else {
            self.counts.refused += 1;
            return;
        };
        self.counts.rtcp_received += 1;
        self.schedule.account(datagram.len());
        for packet in compound.packets() {
            let reports = match packet {
                rtp::rtcp::Packet::SenderReport {
                    ssrc,
                    info,
                    reports,
                } => {
                    self.stats.receive_sender_report(now, ssrc, info.ntp);
                    reports
                }
                rtp::rtcp::Packet::ReceiverReport { reports, .. } => reports,
                _ => continue,
            };
            if let Some(block) = reports.about(self.ssrc) {
                self.counts.lost_there = Some(block.cumulative_lost);
                let round_trip = rtp::round_trip(now, block.last_sender_report, block.delay_since);
                self.counts.round_trip = round_trip.or(self.counts.round_trip);
            }
        }
    }

    fn send_packet(&mut self) {
        let samples = (SAMPLE_HZ * self.config.ptime_ms / 1000) as usize;
        if self.key.is_none() {
            self.key = self.keys.pop_front().map(|code| Key {
                code,
                timestamp: self.timestamp,
                duration: 0,
                ends_left: KEY_ENDS,
            });
            self.marker |= self.key.is_some();
        }
        match (self.key, self.config.event_payload_type) {
            (Some(key), Some(payload_type)) => self.send_event(key, payload_type, samples as u16),
            _ => {
                let mut linear = vec![0; samples];
                self.speech.fill(&mut linear);
                let mut payload = vec![0; samples];
                self.config.law.encode(&linear, &mut payload);
                self.send_rtp(self.config.payload_type, self.timestamp, &payload);
            }
        }
        self.timestamp = self.timestamp.wrapping_add(samples as u32);
    }

    fn send_event(&mut self, key: Key, payload_type: u8, samples: u16) {
        let duration = key.duration.saturating_add(samples).min(KEY_TICKS);
        let end = duration == KEY_TICKS;
        let event = Event {
            code: key.code,
            end,
            volume: 10,
            duration,
        };
        self.send_rtp(payload_type, key.timestamp, &event.to_bytes());
        let ends_left = key.ends_left - u8::from(end);
        self.key = (ends_left > 0).then_some(Key {
            duration,
            ends_left,
            ..key
        });
    }

    fn send_rtp(&mut self, payload_type: u8, timestamp: u32, payload: &[u8]) {
        let header = Header {
            marker: std::mem::take(&mut self.marker),
            payload_type,
            sequence: self.sequence,
            timestamp,
            ssrc: self.ssrc,
        };
        let mut bytes = vec![0; rtp::HEADER_BYTES + payload.len()];
        bytes[rtp::HEADER_BYTES..].copy_from_slice(payload);
        // The buffer was just made long enough.
        if header.write_to(&mut bytes).is_err() {
            return;
        }
        self.sequence = self.sequence.wrapping_add(1);
        self.counts.sent += 1;
        self.sent_octets = self.sent_octets.wrapping_add(payload.len() as u32);
        self.transmit(false, bytes);
    }

    /// Passes over the packets that are due since too long.
    fn skip(&mut self, now: Instant, due: Instant) {
        let ptime = self.ptime();
        let packets = now.since(due).as_nanos() / ptime.as_nanos();
        let packets = u32::try_from(packets).unwrap_or(u32::MAX);
        self.counts.skipped += u64::from(packets);
        let samples = SAMPLE_HZ * self.config.ptime_ms / 1000;
        self.timestamp = self.timestamp.wrapping_add(samples.wrapping_mul(packets));
        self.next_packet = Some(due + ptime * packets);
        self.marker = true;
    }

    fn send_report(&mut self, now: Instant, goodbye: bool) {
        let block = self.stats.report(now);
        let mut buffer = [0; RTCP_BYTES_MAX];
        let mut writer = Writer::new(&mut buffer);
        let written = if self.counts.sent > self.sent_before {
            let info = SenderInfo {
                ntp: NtpTime::from(now),
                rtp_timestamp: self.timestamp_at(now),
                packets: self.counts.sent as u32,
                octets: self.sent_octets,
            };
            writer.sender_report(self.ssrc, &info, block.as_slice())
        } else {
            writer.receiver_report(self.ssrc, block.as_slice())
        };
        let written = written.and_then(|()| writer.cname(self.ssrc, &self.config.cname));
        let written = match goodbye {
            true => written.and_then(|()| writer.bye(&[self.ssrc], "")),
            false => written,
        };
        // Only a CNAME of the caller's that is too long does not fit.
        if written.is_err() {
            return;
        }
        let bytes = writer.finish().to_vec();
        self.schedule.account(bytes.len());
        self.sent_before = self.counts.sent;
        self.counts.rtcp_sent += 1;
        self.transmit(true, bytes);
    }

    /// The timestamp of the sample taken now: the next packet's, less the time until it is due.
    fn timestamp_at(&self, now: Instant) -> u32 {
        let ticks = |duration: Duration| {
            (duration.as_nanos() * u128::from(SAMPLE_HZ) / 1_000_000_000) as u32
        };
        match self.next_packet {
            Some(due) if due > now => self.timestamp.wrapping_sub(ticks(due.since(now))),
            Some(due) => self.timestamp.wrapping_add(ticks(now.since(due))),
            None => self.timestamp,
        }
    }

    fn likeness(&self) -> Option<f32> {
        let mut said = vec![0; self.heard.samples.len() + LIKENESS_LAG];
        Speech::new(self.config.expected_voice?).fill(&mut said);
        let found = codecs::likeness(&self.heard.samples, &said, LIKENESS_LAG)?;
        Some(found.correlation)
    }
}

impl Heard {
    fn put(&mut self, timestamp: u32, law: Law, payload: &[u8]) {
        let first = *self.first_timestamp.get_or_insert(timestamp);
        let at = timestamp.wrapping_sub(first) as usize;
        let end = at.saturating_add(payload.len());
        if end > HEARD_SAMPLES {
            return;
        }
        if self.samples.len() < end {
            self.samples.resize(end, 0);
        }
        law.decode(payload, &mut self.samples[at..end]);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use base::TimerQueue;

    const A: &str = "192.0.2.1:4000";
    const B: &str = "192.0.2.2:6000";

    /// What happens to a packet between the two ends.
    type Fate = fn(&mut Entropy, &Transmit) -> Vec<Duration>;

    fn prompt(_: &mut Entropy, _: &Transmit) -> Vec<Duration> {
        vec![Duration::from_millis(10)]
    }

    /// Runs two ends against each other on virtual time.
    struct Pair {
        now: Instant,
        ends: [Stream; 2],
        network: TimerQueue<(usize, Vec<u8>)>,
        entropy: Entropy,
        fate: Fate,
    }

    impl Pair {
        fn new(seed: u64, fate: Fate) -> Self {
            println!("seed {seed}");
            let mut entropy = Entropy::from_u64(seed);
            let now = Instant::from_secs(1_700_000_000);
            let mut end = |to: &str, voice, expected| {
                let config = Config {
                    expected_voice: Some(expected),
                    event_payload_type: Some(101),
                    ..Config::new(to.parse().unwrap(), voice)
                };
                Stream::new(now, config, &mut entropy)
            };
            let ends = [end(B, 1, 2), end(A, 2, 1)];
            Self {
                now,
                ends,
                network: TimerQueue::new(),
                entropy,
                fate,
            }
        }

        fn run(&mut self, duration: Duration) {
            let until = self.now + duration;
            loop {
                self.flush();
                let ends = self.ends.iter().filter_map(Stream::next_timeout).min();
                let next = [ends, self.network.next_timeout()]
                    .into_iter()
                    .flatten()
                    .min();
                let Some(next) = next.filter(|&next| next <= until) else {
                    self.now = until;
                    return;
                };
                self.now = self.now.max(next);
                while let Some((end, bytes)) = self.network.pop_due(self.now) {
                    self.ends[end].handle_input(self.now, &bytes);
                }
                self.ends
                    .iter_mut()
                    .for_each(|end| end.handle_timeout(next));
            }
        }

        fn flush(&mut self) {
            for from in 0..2 {
                while let Some(transmit) = self.ends[from].poll_output() {
                    for delay in (self.fate)(&mut self.entropy, &transmit) {
                        self.network
                            .set(self.now + delay, (1 - from, transmit.bytes.clone()));
                    }
                }
            }
        }

        fn finish(&mut self) -> [Report; 2] {
            let now = self.now;
            self.ends.iter_mut().for_each(|end| end.end(now));
            self.run(Duration::from_secs(1));
            [self.ends[0].report(), self.ends[1].report()]
        }
    }

    #[test]
    fn a_clean_stream_is_complete_and_scores_above_4_3() {
        let mut pair = Pair::new(1, prompt);
        pair.run(Duration::from_secs(30));
        let [a, b] = pair.finish();
        assert_eq!((a.sent, b.sent), (1501, 1501));
        for (report, other) in [(a, b), (b, a)] {
            assert_eq!(report.received, other.sent);
            assert_eq!((report.lost, report.duplicates, report.refused), (0, 0, 0));
            assert!(report.mos > 4.3, "{report:?}");
            assert!(report.likeness.unwrap() > 0.98, "{report:?}");
            assert!((4..=9).contains(&report.rtcp_sent), "{report:?}");
            let round_trip = report.round_trip.unwrap();
            assert!((19..22).contains(&round_trip.as_millis()), "{report:?}");
            assert_eq!(report.lost_there, Some(0));
        }
    }

    #[test]
    fn loss_reordering_and_doubles_are_told() {
        let fate: Fate = |entropy, transmit| {
            let late = Duration::from_millis(10 + entropy.below(40));
            match entropy.below(100) {
                0..5 if !transmit.is_rtcp => vec![],
                5..10 => vec![late, late],
                _ => vec![late],
            }
        };
        let mut pair = Pair::new(2, fate);
        pair.run(Duration::from_secs(60));
        let [a, b] = pair.finish();
        for (report, other) in [(a, b), (b, a)] {
            let sum = report.received + report.lost;
            assert!(
                other.sent - sum <= 5,
                "only losses at an end stay unknown: {report:?} {other:?}"
            );
            assert!(
                (0.03..0.07).contains(&(report.lost as f64 / sum as f64)),
                "{report:?}"
            );
            assert!(
                report.duplicates > 50 && report.reordered > 50,
                "{report:?}"
            );
            assert!(report.jitter > Duration::from_millis(5), "{report:?}");
            assert!(report.mos < 4.1, "{report:?}");
            assert!(report.lost_there.unwrap() != 0);
        }
    }

    #[test]
    fn hold_stops_the_voice_and_resume_goes_on_in_time() {
        let mut pair = Pair::new(3, prompt);
        pair.run(Duration::from_secs(2));
        let now = pair.now;
        pair.ends[0].set_sending(now, false);
        pair.run(Duration::from_secs(10));
        let silent = pair.ends[1].report().received;
        assert_eq!(silent, pair.ends[0].report().sent);
        let now = pair.now;
        pair.ends[0].set_sending(now, true);
        pair.run(Duration::from_secs(2));
        let [a, b] = pair.finish();
        assert_eq!((b.received, b.lost), (a.sent, 0));
        assert!(b.received > silent + 90);
        assert!(
            b.jitter_max < Duration::from_millis(1),
            "timestamps kept time: {b:?}"
        );
    }

    #[test]
    fn keys_arrive_once_each() {
        let fate: Fate = |entropy, _| match entropy.below(4) {
            0 => vec![],
            _ => vec![Duration::from_millis(5)],
        };
        let mut pair = Pair::new(4, fate);
        pair.run(Duration::from_secs(1));
        for key in "911#".chars() {
            assert!(pair.ends[0].press(key));
        }
        assert!(!pair.ends[0].press('x'));
        pair.run(Duration::from_secs(2));
        assert_eq!(pair.ends[1].digits(), "911#");
    }

    #[test]
    fn a_driver_that_sleeps_is_forgiven_but_counted() {
        let mut entropy = Entropy::from_u64(5);
        let now = Instant::from_secs(1);
        let config = Config::new(B.parse().unwrap(), 1);
        let mut stream = Stream::new(now, config, &mut entropy);
        stream.handle_timeout(now + Duration::from_secs(1));
        let report = stream.report();
        assert_eq!(report.sent + report.skipped, 50);
        assert_eq!(report.sent, 10);
        stream.handle_timeout(now + Duration::from_secs(1));
        assert_eq!(stream.report().sent, 11);
    }

    #[test]
    fn what_is_no_media_is_counted() {
        let mut pair = Pair::new(6, prompt);
        let end = &mut pair.ends[0];
        let now = pair.now;
        for datagram in [
            &b""[..],
            b"\x80",
            b"\x80\x00\x00",
            b"\x81\xc8\x00\x00",
            b"\x00\x01\x00\x00",
        ] {
            end.handle_input(now, datagram);
        }
        assert_eq!(end.report().refused, 5);
    }
}
