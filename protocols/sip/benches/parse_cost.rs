//! What indexing, reading and editing a 1.5 kB INVITE costs: `cargo bench -p sip --bench
//! parse_cost`.
//!
//! A word after `--` picks the lines that hold it. Each line is the best of `ROUNDS` rounds of
//! `CALLS` calls, so that other work on the machine counts little. Without `--bench`, which cargo
//! bench passes, every call is made once.

use sip::{HeaderName, Message};
use std::hint::black_box;
use std::time::Instant;

const ROUNDS: u32 = 30;
const CALLS: u32 = 20_000;

fn main() {
    let bytes: &[u8] = include_bytes!("../testdata/invite_1500.sip");
    let message = Message::parse(bytes).expect("the file is a message");
    println!("{} octets, {} lines", bytes.len(), message.fields().count());
    measure("copy and index", || {
        black_box(Message::parse(black_box(bytes)).is_ok());
    });
    measure("Via, From, To, CSeq, Call-ID, Contact, Route", || {
        read(black_box(&message))
    });
    measure("all of these", || {
        if let Ok(message) = Message::parse(black_box(bytes)) {
            read(&message);
        }
    });
    measure("validate", || {
        black_box(black_box(&message).validate().is_ok());
    });
    measure("forward: Via, Route, Record-Route, Max-Forwards", || {
        let forwarded = black_box(&message)
            .edit()
            .remove_first_value(HeaderName::Route)
            .decrement_max_forwards()
            .push_front(HeaderName::RecordRoute, "<sip:pcscf.ims.test:5060;lr>")
            .push_front(
                HeaderName::Via,
                "SIP/2.0/UDP 192.0.2.7:5060;branch=z9hG4bK74b43",
            )
            .finish();
        black_box(forwarded.is_ok());
    });
    measure("response 180", || {
        let response = black_box(&message)
            .response(180, "")
            .to_tag("8321234356")
            .finish();
        black_box(response.is_ok());
    });
}

fn read(message: &Message) {
    black_box(message.top_via().is_ok());
    black_box(message.from().is_ok());
    black_box(message.to().is_ok());
    black_box(message.cseq().is_ok());
    black_box(message.call_id().is_ok());
    black_box(message.contact().is_ok());
    black_box(message.routes().next().is_some_and(|route| route.is_ok()));
}

fn measure(name: &str, mut call: impl FnMut()) {
    let (mut bench, mut picked) = (false, true);
    for word in std::env::args().skip(1) {
        match word.as_str() {
            "--bench" => bench = true,
            word => picked &= name.contains(word),
        }
    }
    let (rounds, calls) = if bench {
        (ROUNDS, CALLS)
    } else {
        let calls = std::env::var("CALLS").map_or(Ok(1), |calls| calls.parse());
        (1, calls.unwrap_or(1))
    };
    if !picked {
        return;
    }
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
