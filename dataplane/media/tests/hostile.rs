//! Whatever comes from the network: nothing panics, and every tick is done.

use std::time::Duration;

use base::Instant;
use codecs::Codec;
use media::{FormatKind, InBand, PayloadFormat, Receiver, ReceiverConfig, Workspace};
use rtp::Header;

struct Random(u64);

impl Random {
    /// Splitmix64.
    fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mixed = (self.0 ^ self.0 >> 30).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        let mixed = (mixed ^ mixed >> 27).wrapping_mul(0x94d0_49bb_1331_11eb);
        mixed ^ mixed >> 31
    }

    fn below(&mut self, bound: u64) -> u64 {
        self.next() % bound
    }
}

/// Every codec that this build can decode.
fn codecs() -> Vec<Codec> {
    let wanted = [
        ("PCMU", 8000, 1, ""),
        ("G722", 8000, 1, ""),
        ("L16", 48_000, 2, ""),
        ("AMR", 8000, 1, ""),
        ("AMR", 8000, 1, "interleaving=30;crc=1"),
        ("AMR-WB", 16_000, 1, ""),
        ("AMR-WB", 16_000, 1, "octet-align=1;robust-sorting=1"),
        ("EVS", 16_000, 1, "evs-mode-switch=1"),
        ("opus", 48_000, 2, "useinbandfec=1;usedtx=1"),
    ];
    let codecs = wanted.map(|(name, rate, channels, fmtp)| {
        Codec::from_sdp(name, rate, channels, Some(fmtp)).unwrap()
    });
    codecs
        .into_iter()
        .filter(|codec| codec.decoder().is_ok())
        .collect()
}

fn receiver(sample_rate: u32, in_band: InBand) -> Receiver {
    let audio = codecs().into_iter().map(FormatKind::Audio);
    let others = [
        FormatKind::ComfortNoise { clock_hz: 8000 },
        FormatKind::Event { clock_hz: 8000 },
        FormatKind::Event { clock_hz: 48_000 },
    ];
    let kinds = audio.chain(others).zip(0..);
    let formats = kinds.map(|(kind, payload_type)| PayloadFormat { payload_type, kind });
    Receiver::new(&ReceiverConfig {
        sample_rate,
        formats: formats.collect(),
        in_band,
        sounds_events: true,
        ..ReceiverConfig::default()
    })
    .unwrap()
}

/// Ticks with up to four packets each, whose fields jump now and then.
fn flood(mut receiver: Receiver, seed: u64, ticks: u32) {
    let mut random = Random(seed);
    let mut workspace = Workspace::default();
    let mut header = Header::default();
    let mut out = vec![0; receiver.tick_samples()];
    for tick in 0..ticks {
        let now = Instant::from_secs(5) + tick * Duration::from_millis(20);
        for _ in 0..random.below(5) {
            header.sequence = header.sequence.wrapping_add(1);
            header.timestamp = header.timestamp.wrapping_add(160);
            match random.below(24) {
                0 => header.sequence = random.next() as u16,
                1 => header.timestamp = random.next() as u32,
                2 => header.ssrc = random.below(3) as u32,
                3 => header.payload_type = random.below(12) as u8,
                4 => header.sequence = header.sequence.wrapping_sub(5),
                5 => header.timestamp = header.timestamp.wrapping_sub(320),
                6 => header.timestamp = header.timestamp.wrapping_add(1 << 31),
                _ => {}
            }
            let len = match random.below(4) {
                0 => random.below(1500),
                1 => random.below(8),
                _ => 160,
            };
            let mut packet = vec![0; 12 + len as usize];
            packet[12..].fill_with(|| random.next() as u8);
            header.write_to(&mut packet).unwrap();
            if random.below(50) == 0 {
                packet[0] = random.next() as u8;
            }
            receiver.receive(now, &packet);
        }
        receiver.pull(now, &mut workspace, &mut out);
        while receiver.poll_event().is_some() {}
        let target = receiver.target_delay();
        assert!(target <= Duration::from_millis(400), "{target:?}");
    }
}

#[test]
fn random_packets_of_every_format_crash_nothing() {
    for (seed, rate, in_band) in [
        (1, 8000, InBand::Ignore),
        (2, 16_000, InBand::Detect),
        (3, 48_000, InBand::Remove),
    ] {
        flood(receiver(rate, in_band), seed, 1500);
    }
}

#[test]
fn time_that_stands_still_or_leaps_crashes_nothing() {
    let mut receiver = receiver(8000, InBand::Ignore);
    let mut workspace = Workspace::default();
    let mut out = [0; 160];
    let mut header = Header {
        payload_type: 1,
        ..Header::default()
    };
    for nanos in [0, 0, 1, u64::MAX, u64::MAX, 5, u64::MAX / 2, 0] {
        let now = Instant::from_nanos(nanos);
        for _ in 0..70 {
            let mut packet = [0xd5; 172];
            header.sequence = header.sequence.wrapping_add(1);
            header.timestamp = header.timestamp.wrapping_add(160);
            header.write_to(&mut packet).unwrap();
            receiver.receive(now, &packet);
        }
        receiver.pull(now, &mut workspace, &mut out);
    }
}
