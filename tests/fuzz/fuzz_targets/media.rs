//! A stream endpoint: packets of every format into the jitter buffer, ticks out.
//!
//! The input is a row of steps: how many nanoseconds pass (16 bits, in units of 2 µs), how many
//! octets the packet has (16 bits, modulo 1 500), and these; a tick is pulled after each.
#![no_main]

use std::time::Duration;

use base::Instant;
use codecs::Codec;
use libfuzzer_sys::fuzz_target;
use media::{FormatKind, InBand, PayloadFormat, Receiver, ReceiverConfig, Workspace};

fn receiver(in_band: InBand) -> Receiver {
    let wanted = [
        ("PCMU", 8_000, 1),
        ("PCMA", 8_000, 1),
        ("G722", 8_000, 1),
        ("L16", 48_000, 2),
        ("AMR", 8_000, 1),
        ("AMR-WB", 16_000, 1),
        ("opus", 48_000, 2),
    ];
    let audio = wanted.into_iter().filter_map(|(name, rate, channels)| {
        let codec = Codec::from_sdp(name, rate, channels, None).ok()?;
        codec.decoder().ok()?;
        Some(FormatKind::Audio(codec))
    });
    let others = [
        FormatKind::ComfortNoise { clock_hz: 8_000 },
        FormatKind::Event { clock_hz: 8_000 },
    ];
    let kinds = audio.chain(others).zip(0..);
    let formats = kinds.map(|(kind, payload_type)| PayloadFormat { payload_type, kind });
    Receiver::new(&ReceiverConfig {
        sample_rate: 16_000,
        formats: formats.collect(),
        in_band,
        sounds_events: true,
        ..ReceiverConfig::default()
    })
    .expect("the configuration is right")
}

fuzz_target!(|data: &[u8]| {
    let Some((&first, mut steps)) = data.split_first() else {
        return;
    };
    let in_band = [InBand::Ignore, InBand::Detect, InBand::Remove][usize::from(first % 3)];
    let mut receiver = receiver(in_band);
    let mut workspace = Workspace::default();
    let mut out = vec![0; receiver.tick_samples()];
    let mut now = Instant::from_secs(1);
    while let Some((&[a, b, c, d], rest)) = steps.split_first_chunk() {
        now += Duration::from_micros(2 * u64::from(u16::from_be_bytes([a, b])));
        let len = usize::from(u16::from_be_bytes([c, d])) % 1_500;
        let (packet, rest) = rest.split_at(len.min(rest.len()));
        steps = rest;
        receiver.receive(now, packet);
        receiver.pull(now, &mut workspace, &mut out);
        while receiver.poll_event().is_some() {}
    }
});
