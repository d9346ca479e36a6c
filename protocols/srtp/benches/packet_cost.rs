//! What protecting and opening a packet of 172 octets costs: `cargo bench -p srtp --bench
//! packet_cost`.
//!
//! A word after `--` picks the lines that hold it. Each line is the best of `ROUNDS` rounds of
//! `CALLS` calls, so that other work on the machine counts little. Without `--bench`, which cargo
//! bench passes, every call is made once, or `CALLS` times where the environment says so.

use std::hint::black_box;
use std::time::Instant;

use srtp::{MasterKey, Receiver, Sender, Suite};

const ROUNDS: u32 = 30;
const CALLS: u16 = 20_000;
/// A G.711 packet of 20 ms.
const PACKET_BYTES: usize = 172;

fn main() {
    for suite in Suite::ALL {
        let octets = vec![7; suite.key_bytes() + suite.salt_bytes()];
        let key = MasterKey::new(suite, &octets).expect("the length is the suite's");
        measure(&format!("{suite} protect"), || {
            let sender = Sender::new(&key).expect("a key");
            let mut buffer = [0; 256];
            let start = Instant::now();
            for number in 0..calls() {
                let packet = packet(number);
                buffer[..12].copy_from_slice(&packet);
                black_box(sender.protect(black_box(&mut buffer), PACKET_BYTES)).expect("room");
            }
            start.elapsed()
        });
        measure(&format!("{suite} unprotect"), || {
            let sender = Sender::new(&key).expect("a key");
            let receiver = Receiver::new(std::slice::from_ref(&key)).expect("a key");
            let mut protected = vec![[0; 192]; usize::from(calls())];
            let mut len = 0;
            for (number, buffer) in (0..).zip(&mut protected) {
                buffer[..12].copy_from_slice(&packet(number));
                len = sender.protect(buffer, PACKET_BYTES).expect("room");
            }
            let start = Instant::now();
            for buffer in &mut protected {
                let packet = black_box(&mut buffer[..len]);
                black_box(receiver.unprotect(packet)).expect("a packet of the sender");
            }
            start.elapsed()
        });
    }
}

fn packet(number: u16) -> [u8; 12] {
    let [high, low] = number.to_be_bytes();
    [0x80, 8, high, low, 0, 0, 0, 0, 0, 0, 0, 9]
}

fn is_bench() -> bool {
    std::env::args().any(|argument| argument == "--bench")
}

fn calls() -> u16 {
    if is_bench() {
        return CALLS;
    }
    let calls = std::env::var("CALLS").map_or(Ok(1), |calls| calls.parse());
    calls.unwrap_or(1)
}

fn measure(name: &str, round: impl Fn() -> std::time::Duration) {
    let wanted = std::env::args().skip(1).find(|word| !word.starts_with('-'));
    if wanted.is_some_and(|word| !name.contains(&word)) {
        return;
    }
    let rounds = if is_bench() { ROUNDS } else { 1 };
    let best = (0..rounds).map(|_| round()).min().unwrap_or_default();
    let nanos = best.as_nanos() as f64 / f64::from(calls());
    println!("{name:36} {nanos:8.1} ns");
}
