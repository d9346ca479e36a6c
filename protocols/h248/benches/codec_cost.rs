//! What reading and writing an Add of two streams costs: `cargo bench -p h248 --bench codec_cost`.
//!
//! A word after `--` picks the lines that hold it. Each line is the best of `ROUNDS` rounds of
//! `CALLS` calls, so that other work on the machine counts little. Without `--bench`, which cargo
//! bench passes, every call is made once, or `CALLS` times where the environment says so.

use std::hint::black_box;
use std::time::Instant;

use h248::binary::{self, Naming};
use h248::message::Message;
use h248::text::{self, Style};

const ROUNDS: u32 = 1_000;
const CALLS: u32 = 500;

fn main() {
    let otp: &[u8] = include_bytes!("../testdata/otp/add_two_streams.compact.h248");
    let message = text::parse_message(otp).expect("the file is a message");
    let naming = Naming::default();
    let compact = text::to_vec(&message, Style::Compact);
    let pretty = text::to_vec(&message, Style::Pretty);
    let binary = binary::to_vec(&message, &naming).expect("there is room for all of it");
    println!(
        "octets: compact {}, pretty {}, binary {}",
        compact.len(),
        pretty.len(),
        binary.len()
    );
    let read_text = |octets: &[u8]| text::parse_message(octets).is_ok();
    let read_binary = |octets: &[u8]| binary::parse_message(octets, &naming).is_ok();
    let mut out = Vec::with_capacity(4096);
    for (name, style, octets) in [
        ("compact", Style::Compact, &compact),
        ("pretty", Style::Pretty, &pretty),
    ] {
        measure(&format!("{name}: decode"), || {
            black_box(read_text(black_box(octets)));
        });
        measure(&format!("{name}: encode"), || {
            out.clear();
            text::write(black_box(&message), style, &mut out);
        });
        measure(&format!("{name}: decode and encode"), || {
            there_and_back(text::parse_message(black_box(octets)).ok(), |message| {
                out.clear();
                text::write(message, style, &mut out);
            });
        });
    }
    measure("binary: decode", || {
        black_box(read_binary(black_box(&binary)));
    });
    measure("binary: encode", || {
        out.clear();
        black_box(binary::write(black_box(&message), &naming, &mut out).is_ok());
    });
    measure("binary: decode and encode", || {
        there_and_back(
            binary::parse_message(black_box(&binary), &naming).ok(),
            |message| {
                out.clear();
                black_box(binary::write(message, &naming, &mut out).is_ok());
            },
        );
    });
}

fn there_and_back(message: Option<Message>, encode: impl FnOnce(&Message)) {
    if let Some(message) = black_box(message) {
        encode(&message);
    }
}

fn measure(name: &str, mut call: impl FnMut()) {
    let (mut bench, mut picked) = (false, true);
    for word in std::env::args().skip(1) {
        match word.as_str() {
            "--bench" => bench = true,
            word => picked &= name.contains(word),
        }
    }
    if !picked {
        return;
    }
    let (rounds, calls) = if bench {
        (ROUNDS, CALLS)
    } else {
        let calls = std::env::var("CALLS").map_or(Ok(1), |calls| calls.parse());
        (1, calls.unwrap_or(1))
    };
    let best = (0..rounds)
        .map(|_| {
            let start = Instant::now();
            (0..calls).for_each(|_| call());
            start.elapsed()
        })
        .min()
        .unwrap_or_default();
    println!("{:>6} ns  {name}", best.as_nanos() / u128::from(calls));
}
