//! What each complexity of Opus costs and what it buys: `cargo bench -p codecs --bench
//! opus_complexity [-- FILE]`.
//!
//! FILE is speech: samples of 16 bits, little-endian, at 16 kHz, without a header. Without any a
//! talker of [`codecs::speech`] speaks, who has nothing above 4 kHz. A row is a complexity at 24
//! kbit/s in one channel: nanoseconds for 20 ms, the bit rate that came of it, and how like what is
//! decoded is to what was said: the signal over the noise in segments of 20 ms, and by how much the
//! levels of 24 bands are off in these.
#![allow(clippy::print_stdout, reason = "its output is its purpose")]

use std::f32::consts::TAU;
use std::hint::black_box;
use std::time::{Duration, Instant};

use codecs::speech::Speech;
use codecs::{Codec, Encoded, EncoderConfig, Resampler, likeness};

const RATE: usize = 16_000;
/// Samples of 20 ms.
const SEGMENT: usize = RATE / 50;
const SECONDS_MAX: usize = 20;
/// By how much a decoder may be behind.
const DELAY_MAX: usize = 600;
const ROUNDS: u32 = 10;
const BANDS: usize = 24;
/// Segments so far below the loudest are pauses.
const PAUSE_DB: f32 = -40.0;

fn main() {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let is_bench = arguments.iter().any(|argument| argument == "--bench");
    let file = arguments.iter().find(|argument| !argument.starts_with('-'));
    let mut said = match file {
        Some(file) => read(file),
        None => speak(if is_bench { 10 } else { 2 }),
    };
    said.truncate(SECONDS_MAX * RATE / SEGMENT * SEGMENT);
    let rounds = if is_bench { ROUNDS } else { 1 };
    println!("complexity    ns/20 ms     bit/s  correlation  SNR in segments  bands off by");
    for complexity in 0..=10 {
        let (time, payloads) = encode(&said, complexity, rounds);
        let octets: usize = payloads.iter().map(Vec::len).sum();
        let heard = decode(&payloads);
        let found = likeness(&said[..said.len() - DELAY_MAX], &heard, DELAY_MAX);
        let found = found.expect("something is said");
        let heard = &heard[found.delay_samples..];
        let [snr_db, off_db] = compare(&said, heard);
        println!(
            "{complexity:10} {:11.0} {:9} {:12.4} {snr_db:13.2} dB {off_db:10.2} dB",
            time.as_nanos() as f64 / payloads.len() as f64,
            octets * 8 * 50 / payloads.len(),
            found.correlation,
        );
    }
}

fn read(file: &str) -> Vec<i16> {
    let octets = std::fs::read(file).expect("the file can be read");
    let pairs = octets.chunks_exact(2);
    pairs
        .map(|pair| i16::from_le_bytes([pair[0], pair[1]]))
        .collect()
}

fn speak(seconds: usize) -> Vec<i16> {
    let mut coarse = vec![0; seconds * 8_000];
    Speech::new(1).fill(&mut coarse);
    let mut said = vec![0; seconds * RATE];
    let resampler = Resampler::new(8_000, RATE as u32);
    resampler
        .expect("both are rates")
        .process(&coarse, &mut said);
    said
}

fn codec() -> Codec {
    Codec::from_sdp("opus", 48_000, 2, Some("maxplaybackrate=16000")).expect("a codec")
}

/// The time that it takes at best, and payloads.
fn encode(said: &[i16], complexity: u8, rounds: u32) -> (Duration, Vec<Vec<u8>>) {
    let config = EncoderConfig {
        complexity,
        ..EncoderConfig::default()
    };
    let mut best = Duration::MAX;
    let mut payloads = Vec::new();
    for _ in 0..rounds {
        let mut encoder = codec().encoder(config).expect("an encoder");
        let mut room = vec![0; encoder.payload_bytes_max()];
        payloads.clear();
        let mut spent = Duration::ZERO;
        for said in said.chunks_exact(SEGMENT) {
            let start = Instant::now();
            let encoded = black_box(encoder.encode(black_box(said), &mut room));
            spent += start.elapsed();
            payloads.push(match encoded.expect("there is room") {
                Encoded::Payload { len, .. } => room[..len].to_vec(),
                Encoded::Nothing => Vec::new(),
            });
        }
        best = best.min(spent);
    }
    (best, payloads)
}

fn decode(payloads: &[Vec<u8>]) -> Vec<i16> {
    let mut decoder = codec().decoder().expect("a decoder");
    let mut heard = vec![0; payloads.len() * SEGMENT];
    for (payload, heard) in payloads.iter().zip(heard.chunks_exact_mut(SEGMENT)) {
        decoder.decode(payload, heard).expect("it was encoded");
    }
    heard
}

/// The mean over segments that are no pause, in decibels: signal over noise, and how far the levels
/// of bands are from those of what was said.
fn compare(said: &[i16], heard: &[i16]) -> [f32; 2] {
    let energy = |samples: &[i16]| -> f32 {
        samples
            .iter()
            .map(|&sample| f32::from(sample).powi(2))
            .sum()
    };
    let segments = || said.chunks_exact(SEGMENT).zip(heard.chunks_exact(SEGMENT));
    let loudest = segments().map(|(said, _)| energy(said)).fold(1.0, f32::max);
    let (mut sums, mut count) = ([0.0; 2], 0.0);
    for (said, heard) in segments() {
        let signal = energy(said);
        if 10.0 * (signal / loudest).log10() < PAUSE_DB {
            continue;
        }
        let pairs = said.iter().zip(heard);
        let noise: f32 = pairs
            .map(|(&a, &b)| (f32::from(a) - f32::from(b)).powi(2))
            .sum();
        // One segment does not decide.
        sums[0] += (10.0 * (signal / noise.max(1.0)).log10()).clamp(-10.0, 35.0);
        let levels = bands_db(said).into_iter().zip(bands_db(heard));
        let square: f32 = levels.map(|(a, b)| (a - b).powi(2)).sum();
        sums[1] += (square / BANDS as f32).sqrt();
        count += 1.0;
    }
    sums.map(|sum| sum / count)
}

/// Levels of bands of equal width, no lower than a floor.
fn bands_db(samples: &[i16]) -> [f32; BANDS] {
    let bins = SEGMENT / 2;
    let mut powers = [0.0; BANDS];
    for bin in 0..bins {
        let step = TAU * bin as f32 / SEGMENT as f32;
        let (mut re, mut im) = (0.0, 0.0);
        for (at, &sample) in samples.iter().enumerate() {
            let window = 0.5 - 0.5 * (TAU * at as f32 / SEGMENT as f32).cos();
            let (sin, cos) = (step * at as f32).sin_cos();
            re += f32::from(sample) * window * cos;
            im += f32::from(sample) * window * sin;
        }
        powers[bin * BANDS / bins] += re * re + im * im;
    }
    powers.map(|power| 10.0 * power.max(1e6).log10())
}
