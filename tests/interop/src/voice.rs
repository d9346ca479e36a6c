//! Who speaks and listens while SIPp signals: in any codec, a tone of its own, and what its part
//! says.

use std::collections::VecDeque;
use std::f64::consts::TAU;
use std::io::ErrorKind;
use std::net::{SocketAddr, UdpSocket};
use std::time::{Duration, Instant};

use codecs::speech::{SAMPLE_HZ, Speech};
use codecs::{Codec, Decoder, Encoded, Encoder, EncoderConfig, PACKET_SAMPLES_MAX, Resampler};
use media::level::level_dbov;
use media::spectrum::level_at_dbov;
use rtp::{Event, HEADER_BYTES, Header, Packet};

use crate::Namespace;

/// What a packet lasts.
pub const PTIME: Duration = Duration::from_millis(20);
const PTIMES_PER_S: u32 = 50;
const AMPLITUDE: f64 = 6000.0;
/// Of each of the two tones of a key: -19 dBov.
const KEY_AMPLITUDE: f64 = 5000.0;
/// Packets for which a key sounds, and for which it is quiet behind it: 100 ms each.
const KEY_PACKETS: u16 = 5;
/// The end of a telephone event is sent so often (RFC 4733 2.5.1.4).
const END_PACKETS: u16 = 3;
const EVENT_VOLUME: u8 = 10;
/// What is louder is heard.
const LOUD_DBOV: i8 = -45;
/// Octets of a datagram.
const DATAGRAM_BYTES: usize = 2048;

/// How audio is sent, as SDP says it.
#[derive(Clone, Copy, Debug)]
pub struct Format {
    /// Payload type.
    pub payload_type: u8,
    /// Name, clock rate and channels.
    pub encoding: (&'static str, u32, u8),
    /// Parameters.
    pub fmtp: Option<&'static str>,
    /// Payload type of telephone events.
    pub events: Option<u8>,
}

impl Format {
    /// G.711 µ-law.
    pub const PCMU: Self = Self::new(0, ("PCMU", 8000, 1), 101);
    /// G.711 A-law.
    pub const PCMA: Self = Self::new(8, ("PCMA", 8000, 1), 101);
    /// G.722.
    pub const G722: Self = Self::new(9, ("G722", 8000, 1), 101);
    /// Linear samples at 16 kHz.
    pub const L16: Self = Self::new(99, ("L16", 16_000, 1), 102);
    /// AMR, octet-aligned.
    pub const AMR: Self = Self {
        fmtp: Some("octet-align=1"),
        ..Self::new(97, ("AMR", 8000, 1), 101)
    };
    /// AMR-WB, octet-aligned.
    pub const AMR_WB: Self = Self {
        fmtp: Some("octet-align=1"),
        ..Self::new(98, ("AMR-WB", 16_000, 1), 102)
    };
    /// Opus.
    pub const OPUS: Self = Self::new(111, ("opus", 48_000, 2), 103);

    const fn new(payload_type: u8, encoding: (&'static str, u32, u8), events: u8) -> Self {
        Self {
            payload_type,
            encoding,
            fmtp: None,
            events: Some(events),
        }
    }

    /// The same without telephone events.
    #[must_use]
    pub const fn without_events(self) -> Self {
        Self {
            events: None,
            ..self
        }
    }

    /// The `m=` line and its attributes.
    pub fn describe(&self, port: u16) -> String {
        let Self {
            payload_type,
            encoding: (name, clock, channels),
            fmtp,
            events,
        } = self;
        let channels = match channels {
            1 => String::new(),
            count => format!("/{count}"),
        };
        let fmtp = fmtp.map_or_else(String::new, |it| format!("\r\na=fmtp:{payload_type} {it}"));
        let (also, events) = match events {
            None => (String::new(), String::new()),
            Some(events) => (
                format!(" {events}"),
                format!("\r\na=rtpmap:{events} telephone-event/{clock}"),
            ),
        };
        format!(
            "m=audio {port} RTP/AVP {payload_type}{also}\r\na=rtpmap:{payload_type} \
             {name}/{clock}{channels}{fmtp}{events}\r\na=ptime:20"
        )
    }

    /// Its codec.
    pub fn codec(&self) -> Codec {
        let (name, clock, channels) = self.encoding;
        Codec::from_sdp(name, clock, channels, self.fmtp).expect("a known codec")
    }
}

/// What a voice does before the next of its part.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Act {
    /// Waits until it has heard something loud for so long.
    Hear(Duration),
    /// Waits until it has heard nothing loud for so long.
    Silence(Duration),
    /// Waits.
    Wait(Duration),
    /// Presses keys, which sound (ITU-T Q.23).
    Keys(&'static str),
    /// Presses keys, which are told as telephone events (RFC 4733).
    Events(&'static str),
    /// Speaks as the one of this seed, for so long.
    Speak(u32, Duration),
}

/// One voice.
pub struct Voice {
    socket: UdpSocket,
    codec: Codec,
    encoder: Encoder,
    decoder: Decoder,
    header: Header,
    event_payload_type: Option<u8>,
    hz: Option<f32>,
    /// Samples said so far.
    said: u32,
    /// The last second.
    heard: Vec<i16>,
    part: VecDeque<Act>,
    /// For the act that stands first in its part.
    loud: Duration,
    quiet: Duration,
    waited: Duration,
    /// What is to be said instead of its tone.
    samples: VecDeque<i16>,
    /// Packets of telephone events that are to be sent instead of audio; `None`: audio is.
    events: VecDeque<Option<EventPacket>>,
}

/// One packet of a telephone event.
#[derive(Clone, Copy, Debug)]
struct EventPacket {
    code: u8,
    /// Packets since it began.
    packets: u16,
    is_end: bool,
    /// It begins `since` packets ago.
    since: u16,
}

impl Voice {
    pub(crate) fn new(
        namespace: &Namespace,
        at: SocketAddr,
        format: &Format,
        hz: Option<f32>,
    ) -> Self {
        let socket = namespace.inside(|| UdpSocket::bind(at));
        let socket = socket.unwrap_or_else(|fault| panic!("cannot bind {at}: {fault}"));
        socket.set_nonblocking(true).expect("a socket has modes");
        let codec = format.codec();
        let encoder = codec.encoder(EncoderConfig::default());
        Self {
            socket,
            encoder: encoder.expect("the codec is built in"),
            decoder: codec.decoder().expect("the codec is built in"),
            codec,
            header: Header {
                payload_type: format.payload_type,
                ssrc: u32::from(format.payload_type) + 1,
                ..Header::default()
            },
            event_payload_type: format.events,
            hz,
            said: 0,
            heard: Vec::new(),
            part: VecDeque::new(),
            loud: Duration::ZERO,
            quiet: Duration::ZERO,
            waited: Duration::ZERO,
            samples: VecDeque::new(),
            events: VecDeque::new(),
        }
    }

    /// Gives it more to do.
    #[must_use]
    pub fn with_part(mut self, acts: &[Act]) -> Self {
        self.part.extend(acts);
        self
    }

    /// Whether it has done all of its part.
    pub fn is_done(&self) -> bool {
        self.part.is_empty() && self.samples.is_empty() && self.events.is_empty()
    }

    /// What of its part is left.
    pub fn rest_of_part(&self) -> Vec<Act> {
        self.part.iter().copied().collect()
    }

    /// Begins what comes next in its part.
    fn act(&mut self) {
        while self.samples.is_empty()
            && self.events.is_empty()
            && let Some(act) = self.part.front()
        {
            let is_over = match act {
                Act::Hear(time) => self.loud >= *time,
                Act::Silence(time) => self.quiet >= *time,
                Act::Wait(time) => self.waited >= *time,
                Act::Keys(_) | Act::Events(_) | Act::Speak(..) => true,
            };
            if !is_over {
                return;
            }
            let rate = self.codec.sample_rate();
            match self.part.pop_front() {
                Some(Act::Keys(keys)) => self.samples.extend(key_tones(keys, rate)),
                Some(Act::Events(keys)) => keys.chars().for_each(|key| self.press(key)),
                Some(Act::Speak(seed, time)) => self.samples.extend(speech(seed, time, rate)),
                _ => {}
            }
            (self.loud, self.quiet, self.waited) = Default::default();
        }
    }

    fn press(&mut self, key: char) {
        let code = KEYS.find(key).expect("a key") as u8;
        let packet = |since: u16| {
            Some(EventPacket {
                code,
                packets: (since + 1).min(KEY_PACKETS),
                is_end: since + 1 >= KEY_PACKETS,
                since,
            })
        };
        self.events
            .extend((0..KEY_PACKETS + END_PACKETS - 1).map(packet));
        self.events
            .extend(std::iter::repeat_n(None, usize::from(KEY_PACKETS)));
    }

    /// Says what is due for one packet more.
    fn speak(&mut self, to: SocketAddr) {
        self.waited += PTIME;
        self.quiet += PTIME;
        self.act();
        self.header.sequence = self.header.sequence.wrapping_add(1);
        let ticks = self.codec.rtp_clock_rate() / PTIMES_PER_S;
        self.header.timestamp = self.header.timestamp.wrapping_add(ticks);
        let packet = match (self.events.pop_front().flatten(), self.event_payload_type) {
            (Some(event), Some(payload_type)) => self.event(event, payload_type, ticks),
            _ => self.audio(),
        };
        // A peer that has gone does not hear it.
        let _ = self.socket.send_to(&packet, to);
    }

    fn event(&self, event: EventPacket, payload_type: u8, ticks: u32) -> Vec<u8> {
        let header = Header {
            payload_type,
            marker: event.since == 0,
            timestamp: self
                .header
                .timestamp
                .wrapping_sub(ticks * u32::from(event.since)),
            ..self.header
        };
        let mut packet = vec![0; HEADER_BYTES + Event::BYTES];
        header.write_to(&mut packet).expect("there is room");
        let end = if event.is_end { 0x80 } else { 0 };
        let [high, low] = (event.packets * ticks as u16).to_be_bytes();
        packet[HEADER_BYTES..].copy_from_slice(&[event.code, end | EVENT_VOLUME, high, low]);
        packet
    }

    fn audio(&mut self) -> Vec<u8> {
        let rate = self.codec.sample_rate();
        let samples: Vec<i16> = (0..rate / PTIMES_PER_S)
            .map(|index| {
                let tone = |hz| sine(hz, self.said + index, rate, AMPLITUDE);
                let hum = self.hz.map_or(0, tone);
                self.samples.pop_front().unwrap_or(hum)
            })
            .collect();
        self.said += rate / PTIMES_PER_S;
        let mut packet = vec![0; HEADER_BYTES + self.encoder.payload_bytes_max()];
        let encoded = self.encoder.encode(&samples, &mut packet[HEADER_BYTES..]);
        let Encoded::Payload { len, .. } = encoded.expect("samples of a packet") else {
            panic!("nothing without DTX")
        };
        packet.truncate(HEADER_BYTES + len);
        self.header.write_to(&mut packet).expect("there is room");
        packet
    }

    /// Hears what has come.
    fn listen(&mut self) {
        let mut datagram = [0; DATAGRAM_BYTES];
        loop {
            match self.socket.recv(&mut datagram) {
                Ok(count) => self.hear(&datagram[..count]),
                Err(fault) if fault.kind() == ErrorKind::ConnectionRefused => {}
                Err(_) => return,
            }
        }
    }

    fn hear(&mut self, datagram: &[u8]) {
        let packet = Packet::new(datagram).expect("it is RTP");
        if Some(packet.payload_type()) == self.event_payload_type {
            return;
        }
        assert_eq!(packet.payload_type(), self.header.payload_type);
        let mut samples = vec![0; PACKET_SAMPLES_MAX];
        let decoded = self.decoder.decode(packet.payload(), &mut samples);
        let count = decoded.expect("it is a payload").samples;
        if level_dbov(&samples[..count]) > LOUD_DBOV {
            self.loud += PTIME;
            self.quiet = Duration::ZERO;
        }
        self.heard.extend(&samples[..count]);
        let excess = self.heard.len().saturating_sub(self.second());
        self.heard.drain(..excess);
    }

    fn second(&self) -> usize {
        self.codec.sample_rate() as usize
    }

    /// How loud a tone was in the last second, in dBov; nothing before it has heard a second.
    pub fn level_at(&self, hz: f32) -> Option<f32> {
        let is_whole = self.heard.len() == self.second();
        is_whole.then(|| level_at_dbov(&self.heard, self.codec.sample_rate(), hz))
    }
}

/// All speak, each to its peer, and listen until it is as it should be; false when it is not in
/// time.
pub fn talk(
    voices: &mut [(Voice, SocketAddr)],
    limit: Duration,
    is_well: impl Fn(&[(Voice, SocketAddr)]) -> bool,
) -> bool {
    let start = Instant::now();
    let mut due = start;
    while start.elapsed() < limit {
        for (voice, peer) in &mut *voices {
            voice.speak(*peer);
            voice.listen();
        }
        if is_well(voices) {
            return true;
        }
        due += PTIME;
        std::thread::sleep(due.saturating_duration_since(Instant::now()));
    }
    false
}

/// All do their parts; panics with what is left when they do not in time.
pub fn play(voices: &mut [(Voice, SocketAddr)], limit: Duration) {
    let done = |voices: &[(Voice, SocketAddr)]| voices.iter().all(|(voice, _)| voice.is_done());
    if !talk(voices, limit, done) {
        let rest: Vec<_> = voices.iter().map(|(it, _)| it.rest_of_part()).collect();
        panic!("not done in time: {rest:?}");
    }
}

/// What the one of this seed says in so long a time.
pub fn speech(seed: u32, time: Duration, rate: u32) -> Vec<i16> {
    let mut said = vec![0; (time.as_millis() as u32 * SAMPLE_HZ / 1000) as usize];
    Speech::new(seed).fill(&mut said);
    if rate == SAMPLE_HZ {
        return said;
    }
    let mut resampler = Resampler::new(SAMPLE_HZ, rate).expect("rates of codecs");
    let mut out = vec![0; resampler.samples_out(said.len())];
    let count = resampler.process(&said, &mut out);
    out.truncate(count);
    out
}

/// Keys in the order of their codes as telephone events (RFC 4733 3.2).
const KEYS: &str = "0123456789*#ABCD";
/// Frequencies of keys in hertz (ITU-T Q.23), row by row.
const KEYPAD: [&str; 4] = ["123A", "456B", "789C", "*0#D"];
const ROWS_HZ: [f32; 4] = [697.0, 770.0, 852.0, 941.0];
const COLUMNS_HZ: [f32; 4] = [1209.0, 1336.0, 1477.0, 1633.0];

fn key_tones(keys: &str, rate: u32) -> Vec<i16> {
    let count = u32::from(KEY_PACKETS) * rate / PTIMES_PER_S;
    let tone = |key: char| {
        let place = |row: &&str| row.find(key);
        let row = KEYPAD.iter().position(|row| place(row).is_some());
        let row = row.expect("a key");
        let column = KEYPAD[row].find(key).expect("it is in this row");
        let both = [ROWS_HZ[row], COLUMNS_HZ[column]];
        let sample = move |index| {
            both.map(|hz| sine(hz, index, rate, KEY_AMPLITUDE))
                .iter()
                .sum()
        };
        let silence = std::iter::repeat_n(0, count as usize);
        (0..count).map(sample).chain(silence)
    };
    keys.chars().flat_map(tone).collect()
}

fn sine(hz: f32, index: u32, rate: u32, amplitude: f64) -> i16 {
    let turns = f64::from(hz) * f64::from(index) / f64::from(rate);
    (amplitude * (TAU * turns).sin()) as i16
}
