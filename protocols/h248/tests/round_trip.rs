//! Random messages: print, read, the same; cut, flipped and mutated ones: an error or a message,
//! never a panic.

mod common;

use base::Entropy;
use common::Generator;
use h248::message::{ContextId, Transaction};
use h248::text::{self, ParsedBody, Style};

#[test]
fn what_is_printed_reads_as_the_same_message() {
    for seed in 0..800 {
        let message = Generator::new(seed, false).message();
        for style in [Style::Pretty, Style::Compact] {
            let printed = text::to_vec(&message, style);
            let read = text::parse_message(&printed);
            let text = String::from_utf8_lossy(&printed);
            assert_eq!(read.as_ref(), Ok(&message), "seed {seed} {style:?}\n{text}");
        }
    }
}

#[test]
fn a_cut_message_is_an_error_at_or_before_the_cut() {
    for seed in 0..25 {
        let message = Generator::new(seed, false).message();
        for style in [Style::Pretty, Style::Compact] {
            let printed = text::to_vec(&message, style);
            let whole = printed.trim_ascii_end().len();
            for cut in 0..whole {
                if let Err(error) = text::parse_message(&printed[..cut]) {
                    assert!(error.offset <= cut, "seed {seed} cut {cut}: {error}");
                    assert!(error.line <= 1 + cut);
                } else {
                    // Whole transactions may end here, or a number may be cut.
                    let text = String::from_utf8_lossy(&printed[..cut]);
                    let tail = text.trim_end().as_bytes().last().copied();
                    assert!(
                        tail.is_some_and(|last| last == b'}'
                            || last.is_ascii_digit()
                            || last == b'&'
                            || last == b'D'),
                        "seed {seed} cut {cut}"
                    );
                }
            }
        }
    }
}

#[test]
fn flipped_bits_never_panic() {
    let mut read = 0;
    for seed in 0..12 {
        let message = Generator::new(seed, false).message();
        let mut printed = text::to_vec(&message, Style::Compact);
        for index in 0..printed.len().min(600) {
            for bit in 0..8 {
                printed[index] ^= 1 << bit;
                if let Ok(parsed) = text::parse(&printed) {
                    read += 1;
                    check_again(parsed.into_message());
                }
                printed[index] ^= 1 << bit;
            }
        }
    }
    assert!(read > 1000);
}

#[test]
fn mutated_messages_never_panic_and_what_reads_prints_and_reads_again() {
    let mut entropy = Entropy::from_u64(99);
    let spice: &[&[u8]] = &[
        b"{",
        b"}",
        b"\"",
        b",",
        b"=",
        b"[",
        b"]",
        b";",
        b"\n",
        b"\\}",
        b"$",
        b"*",
        b"\0",
        b"L{",
        b"T=1{",
        b"4294967296",
        b"\xff",
        b"E=1{a/b{EM{",
    ];
    for seed in 0..3000 {
        let message = Generator::new(seed % 300, false).message();
        let mut printed = text::to_vec(&message, Style::Compact);
        for _ in 0..1 + entropy.below(4) {
            let at = entropy.below(printed.len() as u64) as usize;
            let to = at + entropy.below(12) as usize;
            let end = to.min(printed.len());
            match entropy.below(3) {
                0 => drop(printed.drain(at..end)),
                1 => {
                    let piece = spice[entropy.below(spice.len() as u64) as usize];
                    printed.splice(at..at, piece.iter().copied());
                }
                _ => {
                    let piece = printed[at..end].to_vec();
                    printed.splice(at..at, piece);
                }
            }
            if printed.is_empty() {
                printed.push(b'!');
            }
        }
        if let Ok(parsed) = text::parse(&printed) {
            check_again(parsed.into_message());
        }
    }
}

/// What was read once prints as something that reads as the same.
fn check_again(message: Result<h248::message::Message, text::SyntaxError>) {
    let Ok(message) = message else { return };
    let printed = text::to_vec(&message, Style::Pretty);
    let text = String::from_utf8_lossy(&printed);
    let read = text::parse_message(&printed).unwrap_or_else(|error| panic!("{error}\n{text}"));
    let again = text::to_vec(&read, Style::Pretty);
    assert_eq!(again, printed, "{text}");
}

#[test]
fn embedding_beyond_the_limit_is_an_error_and_deep_braces_do_not_overflow() {
    let mut deep = b"!/3 [1.1.1.1] T=1{C=-{MF=a{E=1{".to_vec();
    for _ in 0..5_000 {
        deep.extend_from_slice(b"a/b{EM{E=1{");
    }
    let error = text::parse_message(&deep).unwrap_err();
    assert_eq!(error.expected, "fewer embedded descriptors");
    let mut braces = b"!/3 [1.1.1.1] T=1{C=-{".to_vec();
    braces.extend(std::iter::repeat_n(b'{', 60_000));
    assert!(text::parse_message(&braces).is_err());
}

#[test]
fn a_bad_transaction_between_two_good_ones_spoils_only_itself() {
    for seed in 0..300 {
        let bad = [
            "T=2{C=1{A=a{M{Nonsense}}}}",
            "T=2{C=1{A=a{M{L{v=0 { ; \" }}}X}}",
            "T=2{C=1{A=\"}\"}}",
            "Frob=2{{}}",
            "T=x{C=1{S=*}}",
            "T=2{C=1{A=a;}\n}#}",
        ][seed as usize % 6];
        let mut entropy = Entropy::from_u64(seed);
        let contexts = [1 + entropy.below(9), 1 + entropy.below(9)];
        let input = format!(
            "!/3 [1.1.1.1]\nT=1{{C={}{{S=*}}}}{bad}T=3{{C={}{{S=*}}}}",
            contexts[0], contexts[1]
        );
        let parsed = text::parse(input.as_bytes()).unwrap();
        let ParsedBody::Transactions(transactions) = parsed.body else {
            panic!()
        };
        let right: Vec<_> = transactions
            .iter()
            .filter_map(|t| t.as_ref().ok())
            .collect();
        assert_eq!((transactions.len(), right.len()), (3, 2), "{input}");
        for (transaction, context) in right.iter().zip(contexts) {
            let Transaction::Request(request) = transaction else {
                panic!()
            };
            assert_eq!(request.actions[0].context, ContextId::Id(context as u32));
        }
    }
}
