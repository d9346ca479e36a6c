//! A wide corpus of random messages, versions 1 to 3, that Erlang/OTP's megaco application makes in
//! pretty text, compact text and BER: read, encoded again, and judged by OTP.

#[path = "otp/corpus.rs"]
mod corpus;
#[path = "otp/mod.rs"]
mod otp;

use std::collections::BTreeMap;
use std::fs;

use corpus::{naming, records};
use h248::binary::{self, Naming};
use h248::message::{Message, Mid};
use h248::text::{self, Style};

/// Messages of a run, and where it begins: `CORPUS_COUNT` and `CORPUS_SEED` say otherwise, and
/// `scripts/soak corpus` does.
const COUNT: usize = 2000;
const SEED: usize = 248;

fn setting(name: &str, default: usize) -> usize {
    let value = std::env::var(name);
    value.map_or(default, |value| value.parse().expect("a number"))
}

/// The forms of a message that OTP reads as what it made them of, as bits.
const PRETTY: u8 = 1;
const COMPACT: u8 = 2;
const BINARY: u8 = 4;

fn push(record: &[u8], file: &mut Vec<u8>) {
    file.extend_from_slice(&(record.len() as u32).to_be_bytes());
    file.extend_from_slice(record);
}

/// OTP takes the digits of an MTP address in text for its octets in BER.
fn is_mtp(message: &Message) -> bool {
    matches!(message.mid, Mid::Mtp(_)) || format!("{message:?}").contains("Mtp(")
}

/// The first lines that differ.
fn difference(a: &Message, b: &Message) -> Option<(String, String)> {
    let lines = |message| {
        let text = text::to_vec(message, Style::Pretty);
        let text = String::from_utf8_lossy(&text).into_owned();
        text.lines().map(str::to_owned).collect::<Vec<_>>()
    };
    lines(a).into_iter().zip(lines(b)).find(|(a, b)| a != b)
}

/// What became of a file of messages.
#[derive(Default)]
struct Outcome {
    /// The file with each form encoded again.
    answer: Vec<u8>,
    /// Messages that came in text and in binary.
    compared: usize,
    faults: Vec<String>,
}

impl Outcome {
    /// Reads all forms of each message, which mean the same where OTP says so, and encodes each
    /// form from what another one gave.
    fn of(file: &[u8]) -> Self {
        let mut outcome = Self::default();
        let naming = naming();
        for (index, forms) in records(file).chunks(4).enumerate() {
            let &[head, pretty, compact, ber] = forms else {
                panic!("four records a message")
            };
            push(head, &mut outcome.answer);
            outcome.message(index, head[1], [pretty, compact, ber], &naming);
        }
        outcome
    }

    fn message(&mut self, index: usize, faithful: u8, forms: [&[u8]; 3], naming: &Naming) {
        let shown = |octets| String::from_utf8_lossy(octets).into_owned();
        let [pretty, compact, ber] = forms;
        let [pretty, compact] = [pretty, compact].map(|octets| {
            let read = (!octets.is_empty()).then(|| text::parse_message(octets))?;
            let fault = |error| self.fault(index, format!("{error}\n{}", shown(octets)));
            read.map_err(fault).ok()
        });
        let binary = (!ber.is_empty()).then(|| binary::parse_message(ber, naming));
        let fault = |error| self.fault(index, format!("{error}\n{ber:02x?}"));
        let binary = binary.and_then(|read| read.map_err(fault).ok());
        if let (Some(pretty), Some(compact)) = (&pretty, &compact)
            && pretty != compact
        {
            let difference = difference(pretty, compact);
            self.fault(index, format!("pretty and compact: {difference:?}"));
        }
        let is_faithful = faithful & (PRETTY | COMPACT) != 0 && faithful & BINARY != 0;
        let mut agrees = false;
        if let (Some(text), Some(binary)) = (&pretty, &binary)
            && is_faithful
            && !is_mtp(text)
        {
            agrees = true;
            self.compared += 1;
            // Encoded, for quotation marks are lost in binary.
            let [a, b] = [text, binary].map(|m| binary::to_vec(m, naming).unwrap_or_default());
            if a != b {
                let difference = difference(text, binary);
                self.fault(index, format!("text and binary: {difference:?}"));
            } else if a != ber {
                self.fault(index, format!("other octets: {a:02x?}\n{ber:02x?}"));
            }
        }
        // Each form from the message that the other encoding gave, where there is one.
        let from = |other: &Option<Message>, own: &Option<Message>| {
            let other = other.as_ref().filter(|_| agrees);
            other.filter(|_| own.is_some()).or(own.as_ref()).cloned()
        };
        for (style, own) in [(Style::Pretty, &pretty), (Style::Compact, &compact)] {
            let printed = from(&binary, own).map(|message| text::to_vec(&message, style));
            push(&printed.unwrap_or_default(), &mut self.answer);
        }
        let encoded = from(&pretty, &binary).map(|message| binary::to_vec(&message, naming));
        let fault = |error| self.fault(index, format!("{error:?}\n{binary:?}"));
        let encoded = encoded.and_then(|octets| octets.map_err(fault).ok());
        push(&encoded.unwrap_or_default(), &mut self.answer);
    }

    fn fault(&mut self, index: usize, what: String) {
        self.faults.push(format!("message {index}: {what}"));
    }

    fn assert_faultless(&self) {
        let (count, first) = (self.faults.len(), self.faults.iter().take(3));
        let first: Vec<_> = first.map(String::as_str).collect();
        assert!(count == 0, "{count} faults\n{}", first.join("\n"));
    }
}

#[test]
fn messages_that_otp_made_once_mean_the_same_in_each_encoding() {
    let outcome = Outcome::of(corpus::MADE_ONCE);
    outcome.assert_faultless();
    assert!(outcome.compared >= 20, "{}", outcome.compared);
}

#[test]
fn messages_of_otp_mean_the_same_in_each_encoding_and_when_encoded_again() {
    let (seed, count) = (setting("CORPUS_SEED", SEED), setting("CORPUS_COUNT", COUNT));
    println!("seed {seed}, {count} messages");
    let directory = otp::scratch("otp_corpus");
    let (theirs, ours) = (directory.join("theirs"), directory.join("ours"));
    let (seed, wanted) = (seed.to_string(), count.to_string());
    let made = otp::run(
        "corpus.escript",
        &["generate", &seed, &wanted, theirs.to_str().unwrap()],
    );
    let made: BTreeMap<String, usize> = made
        .into_iter()
        .map(|(form, count)| (form, count.parse().unwrap()))
        .collect();
    println!("{made:?}");
    // The rest OTP itself does not read.
    assert!(
        made.values().all(|&made| made * 100 > count * 80),
        "{made:?}"
    );

    let outcome = Outcome::of(&fs::read(&theirs).unwrap());
    outcome.assert_faultless();
    assert!(outcome.compared * 10 > count * 6, "{}", outcome.compared);
    fs::write(&ours, outcome.answer).unwrap();
    let verdicts = otp::run(
        "corpus.escript",
        &["judge".as_ref(), theirs.as_os_str(), ours.as_os_str()],
    );
    let (last, differing) = verdicts.split_last().unwrap();
    let first = differing.first();
    assert!(first.is_none(), "{} differ: {first:#?}", differing.len());
    let judged: usize = last.1.parse().unwrap();
    let forms = ["pretty", "compact", "ber"].map(|form| made[form]);
    assert_eq!(judged, forms.iter().sum::<usize>());
    fs::remove_dir_all(directory).unwrap();
}
