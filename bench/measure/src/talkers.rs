//! Talkers and listeners of a media process: speech encoded beforehand and sent packet by packet,
//! each stream at moments of its own; what comes back is counted, and kept where somebody listens.

use std::collections::HashMap;
use std::io::ErrorKind;
use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::thread::{self, JoinHandle};
use std::time::{Duration, Instant};

use codecs::speech::{SAMPLE_HZ, Speech};
use codecs::{Codec, Encoded, EncoderConfig, PACKET_SAMPLES_MAX, Resampler, likeness};
use rtp::{HEADER_BYTES, Header, Packet};

use crate::churn::traffic::Ends;

/// Time in a packet.
const PTIME: Duration = Duration::from_millis(20);
/// Moments of a packet time at which streams are sent, and the time between two of them.
const SLOTS: usize = 20;
const SLOT: Duration = Duration::from_millis(1);
/// Packets of what is said, over and over again: 4 s.
const PACKETS: usize = 200;
/// The longest packet that is received.
const PACKET_BYTES_MAX: usize = 2048;
/// Packets that are taken before it is looked whether any is to be sent.
const TAKEN_MAX: usize = 256;
/// Packets kept of one stream: 10 s.
const KEPT_MAX: usize = 500;
/// What is compared at a time: 1 s.
const COMPARED: usize = SAMPLE_HZ as usize;

/// A format as descriptions have it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Format {
    /// Encoding, clock rate and channels, as in `a=rtpmap`.
    pub rtpmap: &'static str,
    /// Payload type.
    pub payload_type: u8,
    /// Effort of Opus.
    pub complexity: u8,
}

impl Format {
    /// The payload type in `m=`, and the lines below it.
    pub fn description(&self) -> String {
        let (payload_type, rtpmap) = (self.payload_type, self.rtpmap);
        format!("{payload_type}\na=rtpmap:{payload_type} {rtpmap}\n")
    }

    /// The encoding name.
    pub fn name(&self) -> &'static str {
        self.rtpmap.split('/').next().unwrap_or(self.rtpmap)
    }

    pub fn codec(&self) -> Codec {
        let mut fields = self.rtpmap.split('/').skip(1).map(str::parse);
        let mut number = || fields.next().and_then(Result::ok);
        let clock_hz = number().expect("a clock rate");
        let channels = number().unwrap_or(1) as u8;
        Codec::from_sdp(self.name(), clock_hz, channels, None).expect("it is one of ours")
    }
}

/// What a talker says: a loop of packets.
pub struct Said {
    format: Format,
    /// At [`SAMPLE_HZ`].
    samples: Vec<i16>,
    payloads: Vec<Vec<u8>>,
    clocks: u32,
}

impl Said {
    /// The speech of a talker in a format.
    pub fn new(seed: u32, format: Format) -> Self {
        let mut samples = vec![0; PACKETS * SAMPLE_HZ as usize / 50];
        Speech::new(seed).fill(&mut samples);
        let codec = format.codec();
        let config = EncoderConfig {
            complexity: format.complexity,
            ..EncoderConfig::default()
        };
        let mut encoder = codec.encoder(config).expect("it is in this build");
        let resampler = Resampler::new(SAMPLE_HZ, codec.sample_rate());
        let mut resampler = resampler.expect("both are rates of ours");
        let mut fine = vec![0; resampler.samples_out(samples.len())];
        resampler.process(&samples, &mut fine);
        let mut payload = vec![0; encoder.payload_bytes_max()];
        let frames = fine.chunks_exact(encoder.packet_samples());
        let payloads = frames.map(|frame| match encoder.encode(frame, &mut payload) {
            Ok(Encoded::Payload { len, .. }) => payload[..len].to_vec(),
            _ => Vec::new(),
        });
        Said {
            format,
            payloads: payloads.collect(),
            samples,
            clocks: codec.rtp_clock_rate() / 50,
        }
    }
}

/// One stream.
pub struct Stream {
    /// Index of the end that it is of.
    pub end: usize,
    /// Where the process has it.
    pub at: SocketAddr,
    /// What it says, if it does.
    pub said: Option<Arc<Said>>,
    /// Somebody listens to what it hears.
    pub is_kept: bool,
}

/// What has passed, written by the generator.
#[derive(Debug, Default)]
struct Counts {
    sent: AtomicU64,
    received: AtomicU64,
    is_over: AtomicBool,
}

/// The same as it was at a time.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Passed {
    /// Packets sent, and received.
    pub sent: u64,
    pub received: u64,
}

/// What was heard.
#[derive(Debug, Default)]
pub struct Heard {
    /// Packets that each stream received.
    pub packets: Vec<u64>,
    /// Packets that came from nowhere that was asked for.
    pub strange: u64,
    /// Whole packets of streams that are listened to, in the order of their arrival.
    pub kept: HashMap<usize, Vec<Vec<u8>>>,
}

/// Talkers that talk until they are told to end.
pub struct Talkers {
    running: JoinHandle<Heard>,
    counts: Arc<Counts>,
}

impl Talkers {
    /// Starts them on a thread of their own.
    pub fn start(ends: Ends, streams: Vec<Stream>) -> Self {
        let counts = Arc::new(Counts::default());
        let shared = Arc::clone(&counts);
        let running = thread::spawn(move || Generator::new(ends, streams, shared).run());
        Talkers { running, counts }
    }

    /// What has passed so far.
    pub fn passed(&self) -> Passed {
        Passed {
            sent: self.counts.sent.load(Ordering::Relaxed),
            received: self.counts.received.load(Ordering::Relaxed),
        }
    }

    /// Has them end.
    pub fn finish(self) -> Heard {
        self.counts.is_over.store(true, Ordering::Relaxed);
        self.running.join().expect("the generator ends")
    }
}

struct Generator {
    ends: Ends,
    streams: Vec<Stream>,
    /// Talkers by the moment at which they are sent.
    slots: Vec<Vec<usize>>,
    by_source: HashMap<SocketAddr, usize>,
    counts: Arc<Counts>,
    heard: Heard,
}

impl Generator {
    fn new(ends: Ends, streams: Vec<Stream>, counts: Arc<Counts>) -> Self {
        let mut slots = vec![Vec::new(); SLOTS];
        let talkers = streams.iter().enumerate();
        let talkers = talkers.filter(|(_, stream)| stream.said.is_some());
        for (number, (index, _)) in talkers.enumerate() {
            // Neighbours, which are in one context, are not sent at the same time.
            slots[number * 7 % SLOTS].push(index);
        }
        let sources = streams.iter().enumerate();
        Self {
            by_source: sources.map(|(index, stream)| (stream.at, index)).collect(),
            heard: Heard {
                packets: vec![0; streams.len()],
                ..Heard::default()
            },
            ends,
            streams,
            slots,
            counts,
        }
    }

    fn run(mut self) -> Heard {
        let started = Instant::now();
        let mut next = 0;
        while !self.counts.is_over.load(Ordering::Relaxed) {
            let due = (started.elapsed().as_nanos() / SLOT.as_nanos()) as usize;
            while next <= due {
                self.send_slot(next);
                next += 1;
            }
            self.receive();
            let next_at = SLOT * next as u32;
            thread::sleep(next_at.saturating_sub(started.elapsed()));
        }
        // What is on its way.
        thread::sleep(5 * PTIME);
        self.receive();
        self.heard
    }

    fn send_slot(&mut self, number: usize) {
        let round = number / SLOTS;
        let mut packet = [0; PACKET_BYTES_MAX];
        for &index in &self.slots[number % SLOTS] {
            let stream = &self.streams[index];
            let Some(said) = &stream.said else {
                continue;
            };
            let payload = &said.payloads[round % said.payloads.len()];
            let header = Header {
                marker: round == 0,
                payload_type: said.format.payload_type,
                sequence: round as u16,
                timestamp: (round as u32).wrapping_mul(said.clocks),
                ssrc: index as u32 + 1,
            };
            let bytes = HEADER_BYTES + payload.len();
            header
                .write_to(&mut packet)
                .expect("it is longer than a header");
            packet[HEADER_BYTES..bytes].copy_from_slice(payload);
            match self.ends[stream.end].send_to(&packet[..bytes], stream.at) {
                Ok(_) => add(&self.counts.sent, 1),
                // It is not offered then, and is not counted.
                Err(fault) if fault.kind() == ErrorKind::WouldBlock => {}
                Err(fault) => panic!("cannot send to {}: {fault}", stream.at),
            }
        }
    }

    fn receive(&mut self) {
        let mut buffer = [0; PACKET_BYTES_MAX];
        for end in 0..self.ends.len() {
            for _ in 0..TAKEN_MAX {
                let Ok((bytes, from)) = self.ends[end].recv_from(&mut buffer) else {
                    break;
                };
                self.take(from, &buffer[..bytes]);
            }
        }
    }

    fn take(&mut self, from: SocketAddr, packet: &[u8]) {
        let Some(&index) = self.by_source.get(&from) else {
            self.heard.strange += 1;
            return;
        };
        self.heard.packets[index] += 1;
        add(&self.counts.received, 1);
        if self.streams[index].is_kept {
            let kept = self.heard.kept.entry(index).or_default();
            if kept.len() < KEPT_MAX {
                kept.push(packet.to_vec());
            }
        }
    }
}

fn add(counter: &AtomicU64, count: u64) {
    counter.store(counter.load(Ordering::Relaxed) + count, Ordering::Relaxed);
}

/// How like what somebody said the packets are that another heard: the correlation of their
/// samples at 8 kHz, a second at a time, in the middle of those compared.
///
/// Zero when there is too little, or what is there cannot be decoded.
pub fn likeness_of(said: &Said, packets: &[Vec<u8>], format: Format) -> f32 {
    let heard = decode(packets, format);
    let mut twice = said.samples.clone();
    twice.extend_from_slice(&said.samples);
    // The first second is that of jitter buffers that have not settled.
    let seconds = heard.chunks_exact(COMPARED).skip(1);
    let mut found: Vec<f32> = seconds
        .map(|second| {
            let found = likeness(second, &twice, said.samples.len());
            found.map_or(0.0, |found| found.correlation)
        })
        .collect();
    found.sort_by(f32::total_cmp);
    found.get(found.len() / 2).copied().unwrap_or(0.0)
}

/// What the packets of a stream sound like, at [`SAMPLE_HZ`].
fn decode(packets: &[Vec<u8>], format: Format) -> Vec<i16> {
    let codec = format.codec();
    let mut decoder = codec.decoder().expect("it is in this build");
    let resampler = Resampler::new(codec.sample_rate(), SAMPLE_HZ);
    let mut resampler = resampler.expect("both are rates of ours");
    let mut samples = vec![0; PACKET_SAMPLES_MAX];
    let mut coarse = vec![0; PACKET_SAMPLES_MAX];
    let mut heard = Vec::new();
    let mut next = None;
    for packet in packets {
        let Ok(packet) = Packet::new(&packet[..]) else {
            continue;
        };
        if packet.payload_type() != format.payload_type {
            continue;
        }
        // What is lost is silence of its length.
        let sequence = packet.sequence();
        let lost = sequence.wrapping_sub(next.unwrap_or(sequence));
        if usize::from(lost) < KEPT_MAX {
            let samples = usize::from(lost) * SAMPLE_HZ as usize / 50;
            heard.resize(heard.len() + samples, 0);
        }
        next = Some(sequence.wrapping_add(1));
        let decoded = decoder.decode(packet.payload(), &mut samples);
        let count = decoded.map_or(0, |decoded| decoded.samples);
        let count = resampler.process(&samples[..count], &mut coarse);
        heard.extend_from_slice(&coarse[..count]);
    }
    heard
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::churn::traffic;

    const PCMA: Format = Format {
        rtpmap: "PCMA/8000",
        payload_type: 8,
        complexity: 5,
    };

    #[test]
    fn what_is_heard_is_like_what_was_said_and_not_like_another() {
        let any = SocketAddr::from(([127, 0, 0, 1], 0));
        let ends = traffic::open([any, any]);
        let at = [0, 1].map(|end: usize| ends[end].local_addr().expect("it is bound"));
        let said = [1, 2].map(|seed| Arc::new(Said::new(seed, PCMA)));
        // Each end sends to the other without a process between them.
        let stream = |end: usize| Stream {
            end,
            at: at[1 - end],
            said: Some(Arc::clone(&said[end])),
            is_kept: true,
        };
        let talkers = Talkers::start(ends, vec![stream(0), stream(1)]);
        while talkers.passed().received < 2 * 110 {
            thread::sleep(PTIME);
        }
        let heard = talkers.finish();
        assert_eq!(heard.strange, 0);
        assert!(heard.packets.iter().all(|&packets| packets > 100));
        // What comes from the place of the second was said by the second.
        for (index, other) in [(0, 1), (1, 0)] {
            let packets = &heard.kept[&index];
            assert!(likeness_of(&said[other], packets, PCMA) > 0.99);
            assert!(likeness_of(&said[index], packets, PCMA) < 0.5);
        }
        assert_eq!(likeness_of(&said[0], &[], PCMA), 0.0);
        // Losses do not make the rest unlike.
        let mut packets = heard.kept[&0].clone();
        packets.retain(|packet| packet[3] % 16 != 0);
        assert!(likeness_of(&said[1], &packets, PCMA) > 0.9);
    }
}
