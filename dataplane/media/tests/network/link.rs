//! A sender with a clock of its own, and a network that loses, delays and repeats.

use std::time::Duration;

use base::Instant;
use codecs::g711::Law;
use rtp::{HEADER_BYTES, Header};

/// When the sender's first sample is.
pub fn start() -> Instant {
    Instant::from_secs(1000)
}

/// What sends G.711.
#[derive(Clone, Debug)]
pub struct Sender {
    /// Packet times, one after the other and over again.
    pub ptimes_ms: Vec<usize>,
    /// By how much the clock runs fast.
    pub drift_ppm: f64,
    /// Samples from which there is another source, and another timestamp.
    pub restarts_at: Vec<usize>,
    pub jumps_at: Vec<usize>,
    /// Sample from which µ-law is sent.
    pub mu_law_from: Option<usize>,
    /// Samples between which nothing is sent, though time passes.
    pub silent: Option<(usize, usize)>,
}

impl Default for Sender {
    fn default() -> Self {
        Self {
            ptimes_ms: vec![20],
            drift_ppm: 0.0,
            restarts_at: Vec::new(),
            jumps_at: Vec::new(),
            mu_law_from: None,
            silent: None,
        }
    }
}

/// A packet and when it is sent or arrives.
#[derive(Clone, Debug)]
pub struct Timed {
    pub at: Instant,
    pub packet: Vec<u8>,
}

impl Sender {
    /// Packets, each sent when its last sample has been said.
    pub fn packets(&self, said: &[i16]) -> Vec<Timed> {
        let mut header = Header {
            marker: true,
            payload_type: 8,
            sequence: 65_500,
            timestamp: 0_u32.wrapping_sub(20_000),
            ssrc: 0xabc,
        };
        let mut packets = Vec::new();
        let mut at = 0;
        for ptime in self.ptimes_ms.iter().cycle() {
            let len = 8 * ptime;
            let Some(samples) = said.get(at..at + len) else {
                break;
            };
            if self
                .restarts_at
                .iter()
                .any(|&from| (at..at + len).contains(&from))
            {
                header.ssrc += 1;
                header.sequence = header.sequence.wrapping_mul(7);
                header.timestamp = header.timestamp.wrapping_mul(5);
            }
            if self
                .jumps_at
                .iter()
                .any(|&from| (at..at + len).contains(&from))
            {
                header.timestamp = header.timestamp.wrapping_add(1_000_000);
            }
            let law = match self.mu_law_from {
                Some(from) if at >= from => Law::Mu,
                _ => Law::A,
            };
            header.payload_type = if law == Law::Mu { 0 } else { 8 };
            at += len;
            if self.silent.is_none_or(|(from, to)| at <= from || at > to) {
                let mut packet = vec![0; HEADER_BYTES + len];
                header.write_to(&mut packet).unwrap();
                law.encode(samples, &mut packet[HEADER_BYTES..]);
                let nanos = at as f64 * 125_000.0 / (1.0 + self.drift_ppm / 1e6);
                packets.push(Timed {
                    at: start() + Duration::from_nanos(nanos as u64),
                    packet,
                });
                header.sequence = header.sequence.wrapping_add(1);
            }
            header.timestamp = header.timestamp.wrapping_add(len as u32);
            header.marker = false;
        }
        packets
    }
}

/// A network: 20 ms, and what is bad about it.
#[derive(Clone, Debug, Default)]
pub struct Link {
    /// Share of packets lost.
    pub loss: f64,
    /// Further delay, evenly between none and this.
    pub jitter_ms: u64,
    /// Packets overtake each other.
    pub reorders: bool,
    /// Share of packets that come twice.
    pub duplicates: f64,
    /// From and to these seconds, so many milliseconds more.
    pub detour: Option<(f64, f64, u64)>,
}

impl Link {
    pub fn carry(&self, packets: Vec<Timed>) -> Vec<Timed> {
        let mut random = Random(12_345);
        let mut last = Instant::ZERO;
        let mut arrivals = Vec::new();
        for sent in packets {
            if random.share() < self.loss {
                continue;
            }
            let jitter_us = (random.share() * (self.jitter_ms * 1000) as f64) as u64;
            let mut at = sent.at + Duration::from_micros(20_000 + jitter_us);
            let seconds = sent.at.since(start()).as_secs_f64();
            if let Some((from, to, ms)) = self.detour
                && (from..to).contains(&seconds)
            {
                at += Duration::from_millis(ms);
            }
            if !self.reorders && self.detour.is_none() {
                at = at.max(last);
                last = at;
            }
            let packet = sent.packet;
            if random.share() < self.duplicates {
                arrivals.push(Timed {
                    at: at + Duration::from_millis(random.next() % 50),
                    packet: packet.clone(),
                });
            }
            arrivals.push(Timed { at, packet });
        }
        arrivals
    }
}

struct Random(u64);

impl Random {
    /// Splitmix64.
    fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mixed = (self.0 ^ self.0 >> 30).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        let mixed = (mixed ^ mixed >> 27).wrapping_mul(0x94d0_49bb_1331_11eb);
        mixed ^ mixed >> 31
    }

    /// From 0 to 1.
    fn share(&mut self) -> f64 {
        (self.next() >> 11) as f64 / (1_u64 << 53) as f64
    }
}
