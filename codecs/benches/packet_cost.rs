//! What encoding and decoding a packet of 20 ms costs: `cargo bench -p codecs --bench packet_cost`.
//!
//! A word after `--` picks the lines that hold it. Each line is the best of `ROUNDS` rounds over
//! a second of speech, so that other work on the machine counts little. Without `--bench`, which
//! cargo bench passes, there is one round.

use std::hint::black_box;
use std::time::{Duration, Instant};

use codecs::comfort_noise::{Generator, Parameters};
use codecs::speech::Speech;
use codecs::{Codec, Encoded, EncoderConfig, PACKET_SAMPLES_MAX, Resampler};

const ROUNDS: u32 = 60;
/// Packets of a round: a second.
const PACKETS: usize = 50;

fn main() {
    for (encoding, rate, channels, fmtp, complexity) in [
        ("PCMU", 8_000, 1, "", 0),
        ("PCMA", 8_000, 1, "", 0),
        ("L16", 16_000, 1, "", 0),
        ("G722", 8_000, 1, "", 0),
        ("AMR", 8_000, 1, "mode-set=7", 0),
        ("AMR", 8_000, 1, "mode-set=0", 0),
        ("AMR-WB", 16_000, 1, "mode-set=8", 0),
        ("AMR-WB", 16_000, 1, "mode-set=2", 0),
        ("opus", 48_000, 2, "", 0),
        ("opus", 48_000, 2, "", 5),
        ("opus", 48_000, 2, "", 10),
        ("opus", 48_000, 2, "maxplaybackrate=16000", 5),
    ] {
        let codec = Codec::from_sdp(encoding, rate, channels, Some(fmtp)).expect("a codec");
        let config = EncoderConfig {
            complexity,
            ..EncoderConfig::default()
        };
        measure_codec(&format!("{encoding} {fmtp} {complexity}"), &codec, config);
    }
    for (from, to) in [
        (8_000, 16_000),
        (16_000, 8_000),
        (8_000, 48_000),
        (48_000, 8_000),
    ] {
        let said = speech(from);
        let mut out = [0; PACKET_SAMPLES_MAX];
        measure(&format!("{from} to {to} Hz"), || {
            let mut resampler = Resampler::new(from, to).expect("a rate");
            let start = Instant::now();
            for said in said.chunks(from as usize / 50) {
                black_box(resampler.process(black_box(said), &mut out));
            }
            start.elapsed()
        });
    }
    measure("comfort noise at 8 kHz", || {
        let mut generator = Generator::new(1);
        generator.set(Parameters::parse(&[40, 90, 140]).expect("a payload"));
        let start = Instant::now();
        for _ in 0..PACKETS {
            generator.fill(black_box(&mut [0; 160]));
        }
        start.elapsed()
    });
}

fn measure_codec(name: &str, codec: &Codec, config: EncoderConfig) {
    let said = speech(codec.sample_rate());
    let packet = said.len() / PACKETS;
    let mut room = [0; 4_000];
    measure(&format!("{name}: encode"), || {
        let mut encoder = codec.encoder(config).expect("an encoder");
        let start = Instant::now();
        for said in said.chunks(packet) {
            black_box(encoder.encode(black_box(said), &mut room)).expect("room");
        }
        start.elapsed()
    });
    let mut encoder = codec.encoder(config).expect("an encoder");
    let payloads: Vec<Vec<u8>> = said
        .chunks(packet)
        .map(|said| match encoder.encode(said, &mut room) {
            Ok(Encoded::Payload { len, .. }) => room[..len].to_vec(),
            other => panic!("{other:?}"),
        })
        .collect();
    let mut heard = [0; PACKET_SAMPLES_MAX];
    measure(&format!("{name}: decode"), || {
        let mut decoder = codec.decoder().expect("a decoder");
        let start = Instant::now();
        for payload in &payloads {
            black_box(decoder.decode(black_box(payload), &mut heard)).expect("a payload");
        }
        start.elapsed()
    });
    measure(&format!("{name}: conceal after each"), || {
        let mut decoder = codec.decoder().expect("a decoder");
        let mut spent = Duration::ZERO;
        for payload in &payloads {
            decoder.decode(payload, &mut heard).expect("a payload");
            let start = Instant::now();
            decoder.conceal(black_box(&mut heard[..packet]));
            spent += start.elapsed();
        }
        spent
    });
}

/// A second of speech.
fn speech(rate: u32) -> Vec<i16> {
    let mut said = vec![0; 8_000];
    Speech::new(1).fill(&mut said);
    let mut out = vec![0; rate as usize];
    let mut resampler = Resampler::new(8_000, rate).expect("a rate");
    resampler.process(&said, &mut out);
    out
}

fn measure(name: &str, mut round: impl FnMut() -> Duration) {
    let is_bench = std::env::args().any(|argument| argument == "--bench");
    let wanted = std::env::args().skip(1).find(|word| !word.starts_with('-'));
    if wanted.is_some_and(|word| !name.contains(&word)) {
        return;
    }
    let rounds = if is_bench { ROUNDS } else { 1 };
    let best = (0..rounds).map(|_| round()).min().unwrap_or_default();
    println!(
        "{name:44} {:10.1} ns",
        best.as_nanos() as f64 / PACKETS as f64
    );
}
