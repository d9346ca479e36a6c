//! Streams of RTP over a veth pair, and what relays them: `bench/peers/media` measures the relay, a
//! forwarder that only swaps addresses, one with a system call for each packet, and rtpengine.
//!
//! ```text
//! streams relay af_xdp|udp STREAMS SECONDS [SUITE]       the relay, everything on; with
//!                                                        precedence: af_xdp!, udp!
//! streams swap SECONDS                                   addresses swapped over AF_XDP
//! streams floor STREAMS SECONDS                          epoll, recvfrom, sendto
//! streams ng STREAMS [SUITE]                             calls at rtpengine; prints its ports
//! streams generate STREAMS SECONDS RATE MAC MAC PORTS FIRST [SUITE]
//! ```
//!
//! The interface of what is measured is `near` with 192.0.2.1, that of the generator `far` with
//! 192.0.2.2. Two streams are a call; with an SRTP suite the second of both is protected. The
//! generator sends at a rate or, at 0, as fast as it can, each stream in turn, and says what came
//! back: how much, least and most of a stream, and how long it took. Its sequence numbers begin at
//! FIRST, since what was sent before under the same key is a replay.
#![allow(clippy::print_stdout, reason = "its output is its purpose")]

mod floor;
mod generate;
mod ng;
mod relay;
mod swap;

use srtp::{MasterKey, Suite};
use std::net::{Ipv4Addr, SocketAddr};
use std::time::Duration;

const NEAR: Ipv4Addr = Ipv4Addr::new(192, 0, 2, 1);
const FAR: Ipv4Addr = Ipv4Addr::new(192, 0, 2, 2);
const NEAR_PORTS_FIRST: u16 = 20_000;
const FAR_PORTS_FIRST: u16 = 30_000;
const STREAMS_MAX: u16 = 5_000;

fn main() {
    let words: Vec<String> = std::env::args().skip(1).collect();
    let words: Vec<&str> = words.iter().map(String::as_str).collect();
    let suite = |name: Option<&&str>| name.map(|name| suite(name));
    match &words[..] {
        ["relay", kind, streams, seconds, rest @ ..] => {
            relay::run(
                kind,
                streams_of(streams),
                lasts(seconds),
                suite(rest.first()),
            );
        }
        ["swap", seconds] => swap::run(lasts(seconds)),
        ["floor", streams, seconds] => floor::run(streams_of(streams), lasts(seconds)),
        ["ng", streams, rest @ ..] => ng::run(streams_of(streams), rest.first().copied()),
        [
            "generate",
            streams,
            seconds,
            rate,
            near,
            far,
            ports,
            first,
            rest @ ..,
        ] => {
            let offer = generate::Offer {
                streams: streams_of(streams),
                lasts: lasts(seconds),
                rate: rate.parse().expect("a number of packets a second"),
                first: first.parse().expect("a sequence number"),
                suite: suite(rest.first()),
            };
            generate::run(&offer, (near, far), ports);
        }
        _ => println!("streams relay|swap|floor|ng|generate ..."),
    }
}

fn streams_of(text: &str) -> u16 {
    let streams = text.parse().expect("a number of streams");
    assert!((2..=STREAMS_MAX).contains(&streams) && streams % 2 == 0);
    streams
}

fn lasts(text: &str) -> Duration {
    Duration::from_secs_f64(text.parse().expect("a number of seconds"))
}

/// The local side of a stream, at what is measured.
fn near(stream: u16) -> SocketAddr {
    SocketAddr::from((NEAR, NEAR_PORTS_FIRST + 2 * stream))
}

/// Who speaks on a stream.
fn far(stream: u16) -> SocketAddr {
    SocketAddr::from((FAR, FAR_PORTS_FIRST + 2 * stream))
}

/// The other stream of a call.
fn other(stream: u16) -> u16 {
    stream ^ 1
}

/// True for the stream of a call that is protected, if one is.
fn is_protected(stream: u16) -> bool {
    stream % 2 == 1
}

fn suite(name: &str) -> Suite {
    match name {
        SHA1_80 => Suite::AesCm128HmacSha1_80,
        GCM => Suite::AeadAes128Gcm,
        other => panic!("not a suite that is measured: {other}"),
    }
}

/// The key that the speakers send by.
fn key(suite: Suite) -> MasterKey {
    let octets = vec![KEY_OCTET; suite.key_bytes() + suite.salt_bytes()];
    MasterKey::new(suite, &octets).expect("its length is right")
}

const SHA1_80: &str = "AES_CM_128_HMAC_SHA1_80";
const GCM: &str = "AEAD_AES_128_GCM";
const KEY_OCTET: u8 = b'k';
