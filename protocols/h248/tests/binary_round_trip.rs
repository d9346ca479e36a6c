//! Random messages in binary: encode, read, the same; cut, flipped and mutated ones: an error or a
//! message, never a panic.

mod common;

use base::Entropy;
use common::Generator;
use h248::binary::{self, Naming};
use h248::encoding::{Encoding, ParsedBody, SyntaxError};
use h248::error::ErrorCode;
use h248::message::{ContextId, Message, Transaction};
use h248::text::{self, Style};

fn encoded(message: &Message) -> Vec<u8> {
    binary::to_vec(message, &Naming::default()).unwrap_or_else(|fault| panic!("{fault}"))
}

fn read(octets: &[u8]) -> Result<Message, SyntaxError> {
    binary::parse_message(octets, &Naming::default())
}

#[test]
fn what_is_encoded_reads_as_the_same_message() {
    for seed in 0..1500 {
        let message = Generator::binary(seed).message();
        assert_eq!(
            read(&encoded(&message)).as_ref(),
            Ok(&message),
            "seed {seed}"
        );
    }
}

#[test]
fn text_and_binary_mean_the_same() {
    for seed in 0..800 {
        let message = Generator::binary(seed).message();
        let printed = text::to_vec(&message, Style::Compact);
        let from_text = text::parse_message(&printed).unwrap();
        let from_binary = read(&encoded(&from_text)).unwrap();
        assert_eq!(from_text, from_binary, "seed {seed}");
        let again = text::to_vec(&from_binary, Style::Compact);
        assert_eq!(
            String::from_utf8_lossy(&again),
            String::from_utf8_lossy(&printed),
            "seed {seed}"
        );
    }
}

#[test]
fn indefinite_lengths_mean_the_same() {
    for seed in 0..200 {
        let message = Generator::binary(seed).message();
        let indefinite = make_indefinite(&encoded(&message));
        assert_eq!(read(&indefinite).as_ref(), Ok(&message), "seed {seed}");
    }
}

/// The same elements, every constructed one of indefinite length.
fn make_indefinite(octets: &[u8]) -> Vec<u8> {
    let mut out = Vec::new();
    let mut at = 0;
    while at < octets.len() {
        let tag = octets[at];
        let (len, head) = match octets[at + 1] {
            len @ 0..=0x7f => (usize::from(len), 2),
            0x81 => (usize::from(octets[at + 2]), 3),
            0x82 => (
                usize::from(octets[at + 2]) << 8 | usize::from(octets[at + 3]),
                4,
            ),
            other => panic!("{other:x}"),
        };
        let contents = &octets[at + head..at + head + len];
        if tag & 0x20 == 0 {
            out.extend_from_slice(&octets[at..at + head + len]);
        } else {
            out.extend_from_slice(&[tag, 0x80]);
            out.extend_from_slice(&make_indefinite(contents));
            out.extend_from_slice(&[0, 0]);
        }
        at += head + len;
    }
    out
}

#[test]
fn a_cut_message_is_an_error() {
    for seed in 0..10 {
        let encoded = encoded(&Generator::binary(seed).message());
        let indefinite = make_indefinite(&encoded);
        for octets in [encoded, indefinite] {
            for cut in 0..octets.len() {
                let error = read(&octets[..cut]).expect_err("it is cut");
                assert_eq!(error.code, ErrorCode::SYNTAX_IN_MESSAGE);
                assert!(error.offset <= cut);
            }
        }
    }
}

#[test]
fn flipped_bits_never_panic_and_what_reads_can_be_encoded_again() {
    let mut right = 0;
    for seed in 0..8 {
        let mut octets = encoded(&Generator::binary(seed).message());
        for index in 0..octets.len().min(500) {
            for bit in 0..8 {
                octets[index] ^= 1 << bit;
                right += u32::from(check_again(&octets));
                octets[index] ^= 1 << bit;
            }
        }
    }
    assert!(right > 500, "{right}");
}

#[test]
fn mutated_messages_never_panic_and_what_reads_can_be_encoded_again() {
    let mut entropy = Entropy::from_u64(98);
    for seed in 0..2000 {
        let mut octets = encoded(&Generator::binary(seed % 300).message());
        for _ in 0..1 + entropy.below(4) {
            let at = entropy.below(octets.len() as u64) as usize;
            let end = (at + entropy.below(12) as usize).min(octets.len());
            match entropy.below(4) {
                0 => drop(octets.drain(at..end)),
                1 => octets[at] = [0x80, 0x30, 0xa0, 0xff, 0x24, 0][entropy.below(6) as usize],
                2 => octets[at] = entropy.next_u32() as u8,
                _ => {
                    let piece = octets[at..end].to_vec();
                    octets.splice(at..at, piece);
                }
            }
            if octets.is_empty() {
                octets.push(0x30);
            }
        }
        check_again(&octets);
    }
}

/// What was read once encodes as something that reads as the same. True when it was read.
fn check_again(octets: &[u8]) -> bool {
    let Ok(message) = read(octets) else {
        return false;
    };
    // Unknown values of enumerations and the like read as text for which there is room elsewhere.
    let again = encoded(&message);
    let second = read(&again).unwrap_or_else(|error| panic!("{error}: {message:?}"));
    assert_eq!(encoded(&second), again);
    true
}

#[test]
fn a_bad_transaction_between_two_good_ones_spoils_only_itself() {
    let text = b"!/3 [1.1.1.1]\nT=1{C=1{S=*}}T=2{C=2{S=*}}T=3{C=3{S=*}}";
    let octets = encoded(&text::parse_message(text).unwrap());
    let second = octets
        .windows(3)
        .position(|window| window == [0x80, 1, 2])
        .unwrap();
    let mut wrong = 0;
    let end = second + usize::from(octets[second - 1]);
    for at in second + 3..end {
        for octet in 0..=255 {
            let mut octets = octets.clone();
            octets[at] = octet;
            let Ok(parsed) = binary::parse(&octets, &Naming::default()) else {
                continue;
            };
            let ParsedBody::Transactions(transactions) = parsed.body else {
                panic!()
            };
            let context = |index: usize| match &transactions[index] {
                Ok(Transaction::Request(request)) => request.actions[0].context,
                other => panic!("{other:?}"),
            };
            assert_eq!(
                (context(0), context(2)),
                (ContextId::Id(1), ContextId::Id(3))
            );
            if let Err(bad) = &transactions[1] {
                assert_eq!(bad.id.map(|id| id.0), Some(2));
                wrong += 1;
            }
        }
    }
    assert!(wrong > 1000, "{wrong}");
}

#[test]
fn the_first_octet_tells_the_encoding() {
    for seed in 0..50 {
        let message = Generator::binary(seed).message();
        for encoding in [
            Encoding::Text(Style::Pretty),
            Encoding::Text(Style::Compact),
            Encoding::Binary,
        ] {
            let octets = encoding.to_vec(&message, &Naming::default()).unwrap();
            assert_eq!(Encoding::is_binary(&octets), encoding == Encoding::Binary);
            let parsed = Encoding::parse(&octets, &Naming::default()).unwrap();
            assert_eq!(parsed.into_message().as_ref(), Ok(&message));
        }
    }
}
