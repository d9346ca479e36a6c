//! What it costs the event loop to keep a registration: `cargo bench -p control --bench
//! journal_cost`.
//!
//! Each line is the best of `ROUNDS` rounds of `CALLS` calls, so that other work on the machine
//! counts little. Without `--bench`, which cargo bench passes, every call is made once.

use std::hint::black_box;
use std::time::Instant;

use control::journal::{Journal, Kind, Replay};
use serde::Serialize;

const ROUNDS: u32 = 30;
const CALLS: u32 = 20_000;

/// As long as what the P-CSCF keeps of a contact.
#[derive(Serialize)]
struct Registration<'a> {
    local: std::net::SocketAddr,
    peer: std::net::SocketAddr,
    contact: &'a str,
    registered: &'a str,
    identities: &'a [&'a str],
    service_route: &'a [&'a str],
    call_id: &'a str,
    cseq: u32,
    ends_at: u64,
}

fn main() {
    let address = "198.51.100.17:5060".parse().expect("an address");
    let registration = Registration {
        local: address,
        peer: address,
        contact: "sip:001010000000017@198.51.100.17:5060",
        registered: "sip:001010000000017@ims.mnc001.mcc001.3gppnetwork.org",
        identities: &[
            "<sip:+4930100017@ims.mnc001.mcc001.3gppnetwork.org>",
            "<tel:+4930100017>",
        ],
        service_route: &["<sip:scscf.orig@198.51.100.3:5060;lr>"],
        call_id: "8f3f7a0c5b1e4d2a@198.51.100.17",
        cseq: 2,
        ends_at: 1_700_000_000_000_000_000,
    };
    let mut journal = Journal::default();
    journal.put(Kind::Registration, 1, &registration);
    let octets = journal.take().map_or(0, |records| records.len());
    println!("{octets} octets");
    let mut key = 0;
    measure("put and take a registration", || {
        key += 1;
        journal.put(Kind::Registration, key, black_box(&registration));
        black_box(journal.take());
    });
    measure("remove and take", || {
        journal.remove(Kind::Registration, black_box(key));
        black_box(journal.take());
    });
    journal.put(Kind::Registration, 1, &registration);
    let records = journal.take().unwrap_or_default();
    let mut replay = Replay::default();
    measure("read at a restart", || replay.read(black_box(&records)));
}

fn measure(what: &str, mut call: impl FnMut()) {
    let (rounds, calls) = match std::env::args().any(|argument| argument == "--bench") {
        true => (ROUNDS, CALLS),
        false => (1, 1),
    };
    let round = |_| {
        let started = Instant::now();
        (0..calls).for_each(|_| call());
        started.elapsed().as_nanos() / u128::from(calls)
    };
    let best = (0..rounds).map(round).min().unwrap_or_default();
    println!("{best:6} ns  {what}");
}
