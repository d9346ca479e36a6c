//! What a tick of 20 ms costs a worker: `cargo bench -p media --bench cost [-- NAME …]`.
//!
//! *endpoint*: one stream in a codec and nothing else: receive a packet, pull, push, and a packet
//! goes out. *codec*: the same samples decoded and encoded alone, which is the floor. *detector* is
//! what finding keys adds. *room*: a room in AMR-WB, or what is asked for, of 8 talkers and 1 000
//! listeners. *rooms*: 500 rooms of 4 in G.711. Packet I/O is left out: packets are where a ring
//! would have them, and go into a buffer.
//!
//! Figures are nanoseconds of the thread's own time, of the best lap and of the median one; shares
//! are those of one core at 50 ticks a second. `untimed` beside them asks for no time, for tools
//! that count instructions: those of two runs of different `LAPS=` differ by what the laps between
//! them take.
#![allow(clippy::print_stdout, reason = "its output is its purpose")]

#[path = "../tests/phone/mod.rs"]
mod phone;

use std::hint::black_box;
use std::time::Duration;

use base::Instant;
use codecs::speech::Speech;
use codecs::{Codec, EncoderConfig};
use media::dtmf::Detector;
use media::loudest::Loudest;
use media::mix::{Sum, fade};
use media::{
    Encoding, EncodingConfig, FormatKind, PayloadFormat, ReceiverConfig, Sender, SenderConfig,
    Workspace,
};
use phone::Phone;
use rustix::time::{ClockId, clock_gettime};

const UNTIMED: &str = "untimed";
const PAYLOAD_TYPE: u8 = 96;
/// Packets of each talker that are sent over and over again: 2 s.
const PACKETS: usize = 100;

fn main() {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let is_bench = arguments.iter().any(|argument| argument == "--bench");
    let names: Vec<&String> = arguments
        .iter()
        .filter(|name| !name.starts_with('-') && *name != UNTIMED)
        .collect();
    let is_wanted = |name: &str| names.is_empty() || names.iter().any(|wanted| *wanted == name);
    let laps = std::env::var("LAPS").map(|laps| laps.parse().expect("LAPS is a number"));
    let laps = laps.unwrap_or(if is_bench { 40 } else { 1 });
    let codecs = available();
    for (name, codec) in &codecs {
        if is_wanted("codec") {
            report(&format!("codec {name}"), &codec_alone(codec, laps));
        }
        if is_wanted("endpoint") {
            report(&format!("endpoint {name}"), &endpoint(codec, laps));
        }
    }
    if is_wanted("detector") {
        report("detector 8 kHz", &detector(8000, laps));
        report("detector 16 kHz", &detector(16_000, laps));
    }
    let (listeners, rooms) = if is_bench { (1000, 500) } else { (20, 3) };
    for (name, codec) in &codecs {
        if is_wanted("room") && *name != "L16" {
            let (room_laps, encodes) = room(codec, 8, listeners, laps);
            report(&format!("room of 8 and {listeners} {name}"), &room_laps);
            println!("{:>34} {encodes} encodes a tick", "");
        }
    }
    if is_wanted("rooms") {
        let laps = many_rooms(&Codec::Pcma, rooms, 4, laps);
        report(&format!("{rooms} rooms of 4 PCMA"), &laps);
    }
}

/// Codecs that this build has.
fn available() -> Vec<(&'static str, Codec)> {
    let wanted = [
        ("PCMA", 8000, 1),
        ("L16", 16_000, 1),
        ("G722", 8000, 1),
        ("AMR", 8000, 1),
        ("AMR-WB", 16_000, 1),
        ("opus", 48_000, 2),
    ];
    let codecs = wanted.into_iter().filter_map(|(name, rate, channels)| {
        let codec = Codec::from_sdp(name, rate, channels, None).ok()?;
        codec.encoder(EncoderConfig::default()).ok()?;
        Some((name, codec))
    });
    codecs.collect()
}

fn report(what: &str, laps: &[f64]) {
    let mut laps = laps.to_vec();
    laps.sort_by(f64::total_cmp);
    let (best, median) = (laps[0], laps[laps.len() / 2]);
    let share = best * 50.0 / 1e7;
    println!("{what:>34}: best {best:10.0} ns, median {median:10.0} ns, {share:7.3} % of a core");
}

/// Nanoseconds of this thread; 0 where nobody wants to know.
fn cpu_ns() -> f64 {
    if std::env::args().any(|argument| argument == UNTIMED) {
        return 0.0;
    }
    let time = clock_gettime(ClockId::ThreadCPUTime);
    time.tv_sec as f64 * 1e9 + time.tv_nsec as f64
}

/// Nanoseconds of a tick in each lap of 2 s.
fn laps(count: usize, mut tick: impl FnMut(usize)) -> Vec<f64> {
    let mut number = 0;
    let mut lap = || {
        let from = cpu_ns();
        for _ in 0..PACKETS {
            tick(number);
            number += 1;
        }
        (cpu_ns() - from) / PACKETS as f64
    };
    // The first has cold caches and an empty jitter buffer.
    lap();
    (0..count).map(|_| lap()).collect()
}

fn sender(codec: &Codec, ssrc: u32) -> SenderConfig {
    SenderConfig {
        payload_type: PAYLOAD_TYPE,
        clock_hz: codec.rtp_clock_rate(),
        event_payload_type: Some(101),
        ssrc,
        sequence: 0,
        timestamp: 0,
    }
}

fn encoding(codec: &Codec) -> EncodingConfig {
    phone::encoding(codec, codec.sample_rate())
}

fn new_endpoint(codec: &Codec, ssrc: u32) -> Phone {
    let receiver = ReceiverConfig {
        sample_rate: codec.sample_rate(),
        formats: vec![PayloadFormat {
            payload_type: PAYLOAD_TYPE,
            kind: FormatKind::Audio(codec.clone()),
        }],
        plays_noise: false,
        ..ReceiverConfig::default()
    };
    Phone::new(codec, &receiver, sender(codec, ssrc))
}

/// A talker that never pauses, at the rate of a codec.
fn speech(codec: &Codec, seed: u32) -> Vec<i16> {
    let tick = codec.sample_rate() as usize / 50;
    let mut samples = vec![0; tick * PACKETS];
    Speech::new(seed).fill(&mut samples);
    samples
}

/// Payloads of two seconds.
fn payloads(codec: &Codec, seed: u32) -> Vec<Vec<u8>> {
    let mut sender = Sender::new(sender(codec, seed));
    let mut encoding = Encoding::new(&encoding(codec)).expect("the codec is available");
    let tick = codec.sample_rate() as usize / 50;
    let mut packets = Vec::new();
    for samples in speech(codec, seed).chunks(tick) {
        encoding.push(samples);
        while let Some(mut outgoing) = encoding.next_packet() {
            packets.extend(sender.stamp(&mut outgoing).map(<[u8]>::to_vec));
        }
    }
    packets
}

/// Gives the packets of a talker for ever, with headers that go on.
struct Talker {
    packets: Vec<Vec<u8>>,
    clock_hz: u32,
}

impl Talker {
    fn new(codec: &Codec, seed: u32) -> Self {
        Self {
            packets: payloads(codec, seed),
            clock_hz: codec.rtp_clock_rate(),
        }
    }

    fn packet(&mut self, tick: usize) -> &[u8] {
        let count = self.packets.len();
        let packet = &mut self.packets[tick % count];
        let timestamp = (tick as u32).wrapping_mul(self.clock_hz / 50);
        packet[2..4].copy_from_slice(&(tick as u16).to_be_bytes());
        packet[4..8].copy_from_slice(&timestamp.to_be_bytes());
        packet
    }
}

fn at(tick: usize) -> Instant {
    Instant::from_secs(1) + tick as u32 * Duration::from_millis(20)
}

fn codec_alone(codec: &Codec, count: usize) -> Vec<f64> {
    let mut decoder = codec.decoder().expect("the codec is available");
    let mut encoder = codec
        .encoder(EncoderConfig::default())
        .expect("the codec is available");
    let packets = payloads(codec, 1);
    let mut samples = vec![0; codecs::PACKET_SAMPLES_MAX];
    let mut payload = vec![0; encoder.payload_bytes_max()];
    let len = encoder.packet_samples();
    laps(count, |tick| {
        let decoded = decoder.decode(&packets[tick % packets.len()][12..], &mut samples);
        black_box(decoded.is_ok());
        black_box(encoder.encode(&samples[..len], &mut payload).is_ok());
    })
}

fn endpoint(codec: &Codec, count: usize) -> Vec<f64> {
    let mut endpoint = new_endpoint(codec, 1);
    let mut talker = Talker::new(codec, 1);
    let mut workspace = Workspace::default();
    let mut samples = vec![0; endpoint.receiver.tick_samples()];
    laps(count, |tick| {
        endpoint.receive(at(tick), talker.packet(tick));
        endpoint.pull(at(tick), &mut workspace, &mut samples);
        endpoint.push(&samples, |packet| {
            black_box(packet);
        });
    })
}

fn detector(rate: u32, count: usize) -> Vec<f64> {
    let mut detector = Detector::new(rate);
    let samples = speech(&Codec::Pcma, 1);
    let tick = rate as usize / 50;
    laps(count, |number| {
        let from = number * tick % (samples.len() - tick);
        detector.process(&samples[from..from + tick], |detection| {
            black_box(detection);
        });
    })
}

/// A room as a function of media would drive it.
struct Room {
    talkers: Vec<(Phone, Vec<i16>)>,
    /// For all listeners.
    encoding: Encoding,
    listeners: Vec<Sender>,
    loudest: Loudest,
    sum: Sum,
    heard: Vec<i16>,
}

impl Room {
    fn new(codec: &Codec, talkers: u32, listeners: u32) -> Self {
        let tick = codec.sample_rate() as usize / 50;
        let talker = |ssrc| (new_endpoint(codec, ssrc), vec![0; tick]);
        let listener = |key| Sender::new(sender(codec, key));
        Self {
            talkers: (0..talkers).map(talker).collect(),
            encoding: Encoding::new(&encoding(codec)).expect("the codec is available"),
            listeners: (0..listeners).map(listener).collect(),
            loudest: Loudest::new(talkers as usize),
            sum: Sum::new(tick),
            heard: vec![0; tick],
        }
    }

    /// A tick, with a packet of each talker; what goes out is copied to a frame.
    fn tick(
        &mut self,
        tick: usize,
        packets: &mut [Talker],
        workspace: &mut Workspace,
        frame: &mut [u8],
    ) {
        for (key, (endpoint, said)) in self.talkers.iter_mut().enumerate() {
            endpoint.receive(at(tick), packets[key].packet(tick));
            let pulled = endpoint.pull(at(tick), workspace, said);
            let loudness = endpoint.receiver.activity().loudness_dbov();
            self.loudest
                .consider(key as u32, loudness, pulled.is_talking);
        }
        self.loudest.choose();
        self.sum.clear();
        for (key, how) in self.loudest.heard() {
            let said = &mut self.talkers[key as usize].1;
            fade(said, how);
            self.sum.add(said);
        }
        self.sum.write(&mut self.heard);
        if !self.listeners.is_empty() {
            self.encoding.push(&self.heard);
        }
        while let Some(mut outgoing) = self.encoding.next_packet() {
            for sender in &mut self.listeners {
                if let Some(packet) = sender.stamp(&mut outgoing) {
                    frame[..packet.len()].copy_from_slice(packet);
                }
            }
        }
        for (endpoint, said) in &mut self.talkers {
            self.sum.write_without(said, &mut self.heard);
            endpoint.push(&self.heard, |packet| {
                frame[..packet.len()].copy_from_slice(packet);
            });
        }
        black_box(frame);
    }

    fn encodes(&self) -> u64 {
        let own = self
            .talkers
            .iter()
            .map(|(endpoint, _)| endpoint.encoding.encoded());
        own.sum::<u64>() + self.encoding.encoded()
    }
}

fn room(codec: &Codec, talkers: u32, listeners: u32, count: usize) -> (Vec<f64>, u64) {
    let mut room = Room::new(codec, talkers, listeners);
    let mut packets: Vec<Talker> = (0..talkers).map(|seed| Talker::new(codec, seed)).collect();
    let mut workspace = Workspace::default();
    let mut frame = vec![0; 4096];
    let times = laps(count, |tick| {
        room.tick(tick, &mut packets, &mut workspace, &mut frame);
    });
    let encodes = {
        let before = room.encodes();
        room.tick(0, &mut packets, &mut workspace, &mut frame);
        room.encodes() - before
    };
    (times, encodes)
}

fn many_rooms(codec: &Codec, count: usize, members: u32, laps_count: usize) -> Vec<f64> {
    let mut rooms: Vec<Room> = (0..count).map(|_| Room::new(codec, members, 0)).collect();
    let mut packets: Vec<Talker> = (0..members).map(|seed| Talker::new(codec, seed)).collect();
    let mut workspace = Workspace::default();
    let mut frame = vec![0; 4096];
    laps(laps_count.min(5), |tick| {
        for room in &mut rooms {
            room.tick(tick, &mut packets, &mut workspace, &mut frame);
        }
    })
}
