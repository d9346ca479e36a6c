//! Framing of streams: however the octets arrive, the same messages and keep-alives come out.

use base::Entropy;
use sip::{Frame, Framer, MESSAGE_BYTES_MAX, Malformed, Message, PING, PONG};

const HEAD: &str = "OPTIONS sip:b@b.test SIP/2.0\r\nVia: SIP/2.0/TCP a.test;branch=z9hG4bK1\r\n\
    From: <sip:a@a.test>;tag=1\r\nTo: <sip:b@b.test>\r\nCall-ID: x\r\nCSeq: 1 OPTIONS\r\n";

fn message(body: &str) -> String {
    format!("{HEAD}Content-Length: {}\r\n\r\n{body}", body.len())
}

/// What came out, short.
fn name(frame: &Frame) -> String {
    match frame {
        Frame::Message(message) => format!("message {}", message.body().len()),
        Frame::Malformed(error) => format!("malformed {:?}", error.fault),
        Frame::Broken(error) => format!("broken {:?}", error.fault),
        Frame::Ping => "ping".into(),
        Frame::Pong => "pong".into(),
    }
}

fn drain(framer: &mut Framer) -> Vec<String> {
    std::iter::from_fn(|| framer.poll_frame())
        .map(|frame| name(&frame))
        .collect()
}

fn frames(stream: &[u8]) -> Vec<String> {
    let mut framer = Framer::new();
    framer.handle_input(stream);
    drain(&mut framer)
}

#[test]
fn messages_and_pings_come_out_the_same_however_they_are_cut() {
    let tricky = "line\r\n\r\nline\r\n\r\n";
    let stream = format!(
        "\r\n{}\r\n\r\n{}{}\r\n\r\n\r\n",
        message(tricky),
        message(""),
        message("x")
    );
    let whole = frames(stream.as_bytes());
    assert_eq!(
        whole,
        ["message 16", "ping", "message 0", "message 1", "ping"]
    );
    for cut in 0..stream.len() {
        let mut framer = Framer::new();
        framer.handle_input(&stream.as_bytes()[..cut]);
        let mut out = drain(&mut framer);
        framer.handle_input(&stream.as_bytes()[cut..]);
        out.extend(drain(&mut framer));
        assert_eq!(out, whole, "cut at {cut}");
    }
    let mut framer = Framer::new();
    let mut out = Vec::new();
    for octet in stream.bytes() {
        framer.handle_input(&[octet]);
        out.extend(drain(&mut framer));
    }
    assert_eq!(out, whole, "octet by octet");
}

#[test]
fn a_single_crlf_is_a_pong_when_one_is_due() {
    let mut framer = Framer::new();
    framer.handle_ping_sent();
    framer.handle_input(PONG);
    assert_eq!(drain(&mut framer), ["pong"]);
    framer.handle_input(PONG);
    assert!(drain(&mut framer).is_empty());
    framer.handle_input(PONG);
    assert_eq!(drain(&mut framer), ["ping"]);
    framer.handle_input(PING);
    assert_eq!(drain(&mut framer), ["ping"]);
    assert_eq!(framer.buffered(), 0);
}

#[test]
fn a_malformed_message_of_known_length_does_not_break_the_stream() {
    let bad = message("abc").replace("Call-ID: x", "Call-ID x");
    let stream = format!("{bad}{}", message(""));
    assert_eq!(
        frames(stream.as_bytes()),
        ["malformed HeaderLine", "message 0"]
    );
}

#[test]
fn a_stream_whose_next_message_cannot_be_found_is_broken() {
    for (head, fault) in [
        (format!("{HEAD}\r\n"), Malformed::ContentLength),
        (
            format!("{HEAD}Content-Length: -1\r\n\r\n"),
            Malformed::ContentLength,
        ),
        (
            format!("{HEAD}Content-Length: 5\r\nl: 5\r\n\r\n12345"),
            Malformed::ContentLength,
        ),
        (
            format!("{HEAD}Content-Length: 99999999999999999999\r\n\r\n"),
            Malformed::ContentLength,
        ),
        (
            format!("{HEAD}Content-Length: 65535\r\n\r\n"),
            Malformed::TooLong,
        ),
    ] {
        let mut framer = Framer::new();
        framer.handle_input(head.as_bytes());
        let Some(Frame::Broken(error)) = framer.poll_frame() else {
            panic!("{head} breaks the stream");
        };
        assert_eq!(error.fault, fault, "{head}");
        assert!(error.answerable().is_some(), "{head}");
        framer.handle_input(message("").as_bytes());
        assert!(framer.poll_frame().is_none() && framer.buffered() == 0);
    }
    assert_eq!(
        frames(b"GET / HTTP/1.1\r\nHost: x\r\n\r\n"),
        ["broken StartLine"]
    );
}

#[test]
fn a_head_without_end_is_given_up() {
    let mut framer = Framer::new();
    let mut octets = 0;
    framer.handle_input(HEAD.as_bytes());
    let broken = loop {
        framer.handle_input(b"X: 0123456789\r\n");
        octets += 15;
        assert!(octets < 2 * MESSAGE_BYTES_MAX);
        if let Some(frame) = framer.poll_frame() {
            break frame;
        }
    };
    assert_eq!(name(&broken), "broken TooLong");
}

#[test]
fn binary_bodies_pass() {
    let mut entropy = Entropy::from_u64(5);
    let mut stream = Vec::new();
    let mut bodies = Vec::new();
    for len in [0usize, 1, 4, 1000, 60_000] {
        let mut body = vec![0; len];
        entropy.fill(&mut body);
        stream.extend_from_slice(format!("{HEAD}Content-Length: {len}\r\n\r\n").as_bytes());
        stream.extend_from_slice(&body);
        bodies.push(body);
    }
    let mut framer = Framer::new();
    let mut out = Vec::new();
    let mut rest = &stream[..];
    while !rest.is_empty() {
        let (chunk, tail) = rest.split_at(rest.len().min(1 + entropy.below(3000) as usize));
        framer.handle_input(chunk);
        rest = tail;
        while let Some(frame) = framer.poll_frame() {
            let Frame::Message(message) = frame else {
                panic!("only messages are in the stream");
            };
            out.push(message.body().to_vec());
        }
    }
    assert!(out == bodies);
}

#[test]
fn random_octets_never_hang_or_panic() {
    let mut entropy = Entropy::from_u64(6);
    for _ in 0..500 {
        let mut framer = Framer::new();
        let mut stream = message("body").into_bytes();
        for _ in 0..3 {
            let at = entropy.below(stream.len() as u64) as usize;
            stream[at] = entropy.next_u32() as u8;
        }
        framer.handle_input(&stream);
        let frames = std::iter::from_fn(|| framer.poll_frame()).take(100).count();
        assert!(frames < 100);
    }
}

#[test]
fn a_framed_message_is_the_datagram_of_the_same_octets() {
    let text = message("body");
    let mut framer = Framer::new();
    framer.handle_input(text.as_bytes());
    let Some(Frame::Message(framed)) = framer.poll_frame() else {
        panic!("a message");
    };
    assert_eq!(framed, Message::parse(text).unwrap());
}
