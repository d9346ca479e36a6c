//! A wide corpus of random messages, versions 1 to 3, that Erlang/OTP's megaco application makes in
//! pretty text, compact text and BER: read, encoded again, and judged by OTP.

#[path = "otp/mod.rs"]
mod otp;

use std::collections::BTreeMap;
use std::fs;
use std::path::Path;

use h248::binary::{self, Form, Layout, Level, Naming, ValueForm};
use h248::message::{Message, Mid, Name};
use h248::text::{self, Style};

/// Messages of a run, and where it begins.
const COUNT: usize = 2000;
const SEED: u32 = 248;

/// The names of OTP's default configuration.
fn naming() -> Naming {
    let digits = || 0..10_u8;
    let maps = digits().flat_map(|high| {
        digits().map(move |low| {
            let name = Name::new(format!("dialplan{high}{low}"));
            (name, u16::from_be_bytes([high, low]))
        })
    });
    Naming {
        terminations: Layout::new(&[Level::new(8, Form::Digits); 3]),
        digit_maps: maps.collect(),
        values: ValueForm::Text,
    }
}

/// What stands behind lengths of four octets.
fn records(mut octets: &[u8]) -> Vec<&[u8]> {
    let mut records = Vec::new();
    while let Some((len, rest)) = octets.split_first_chunk::<4>() {
        let (record, rest) = rest.split_at(u32::from_be_bytes(*len) as usize);
        records.push(record);
        octets = rest;
    }
    records
}

fn push(record: &[u8], file: &mut Vec<u8>) {
    file.extend_from_slice(&(record.len() as u32).to_be_bytes());
    file.extend_from_slice(record);
}

fn from_text(octets: &[u8]) -> Option<Message> {
    let shown = || String::from_utf8_lossy(octets);
    (!octets.is_empty())
        .then(|| text::parse_message(octets).unwrap_or_else(|e| panic!("{e}\n{}", shown())))
}

fn from_binary(octets: &[u8], naming: &Naming) -> Option<Message> {
    (!octets.is_empty()).then(|| {
        let message = binary::parse_message(octets, naming);
        message.unwrap_or_else(|error| panic!("{error}\n{octets:02x?}"))
    })
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

/// Reads all forms of each message, which mean the same, and encodes each form from what another
/// one gave. Says how many messages came in text and in binary.
fn answer(file: &[u8]) -> (Vec<u8>, usize) {
    let naming = naming();
    let (mut answer, mut compared) = (Vec::new(), 0);
    for (index, forms) in records(file).chunks(4).enumerate() {
        let &[version, pretty, compact, ber] = forms else {
            panic!("four records a message")
        };
        push(version, &mut answer);
        let (pretty, compact) = (from_text(pretty), from_text(compact));
        assert_eq!(pretty, compact, "message {index}");
        let binary = from_binary(ber, &naming);
        if let (Some(text), Some(binary)) = (&pretty, &binary)
            && !is_mtp(text)
        {
            // Encoded, for quotation marks are lost in binary.
            let [a, b] = [text, binary].map(|m| binary::to_vec(m, &naming).unwrap());
            assert!(a == b, "message {index}: {:?}", difference(text, binary));
            assert_eq!(a, ber, "message {index} has other octets");
            compared += 1;
        }
        // Each form from the message that the other encoding gave, where there is one.
        let same = |a: &Option<Message>, b: &Option<Message>| {
            let both = a.as_ref().filter(|message| !is_mtp(message));
            both.filter(|_| b.is_some()).cloned().or_else(|| b.clone())
        };
        for (style, read) in [(Style::Pretty, &pretty), (Style::Compact, &compact)] {
            let printed = same(&binary, read).map(|message| text::to_vec(&message, style));
            push(&printed.unwrap_or_default(), &mut answer);
        }
        let encoded = same(&pretty, &binary)
            .map(|message| binary::to_vec(&message, &naming).unwrap_or_else(|e| panic!("{e}")));
        push(&encoded.unwrap_or_default(), &mut answer);
    }
    (answer, compared)
}

#[test]
fn messages_that_otp_made_once_mean_the_same_in_each_encoding() {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("testdata/binary/otp_corpus.bin");
    let file = fs::read(path).unwrap();
    let (_, compared) = answer(&file);
    assert!(compared >= 25, "{compared}");
}

#[test]
fn messages_of_otp_mean_the_same_in_each_encoding_and_when_encoded_again() {
    println!("seed {SEED}, {COUNT} messages");
    let directory = otp::scratch("otp_corpus");
    let (theirs, ours) = (directory.join("theirs"), directory.join("ours"));
    let (seed, count) = (SEED.to_string(), COUNT.to_string());
    let made = otp::run(
        "corpus.escript",
        &["generate", &seed, &count, theirs.to_str().unwrap()],
    );
    let made: BTreeMap<String, usize> = made
        .into_iter()
        .map(|(form, count)| (form, count.parse().unwrap()))
        .collect();
    // The rest OTP itself does not read as what it printed.
    assert!(
        made.values().all(|&made| made * 100 > COUNT * 80),
        "{made:?}"
    );

    let (answer, compared) = answer(&fs::read(&theirs).unwrap());
    assert!(compared * 10 > COUNT * 6, "{compared}");
    fs::write(&ours, answer).unwrap();
    let verdicts = otp::run(
        "corpus.escript",
        &["judge".as_ref(), theirs.as_os_str(), ours.as_os_str()],
    );
    let (last, differing) = verdicts.split_last().unwrap();
    assert!(
        differing.is_empty(),
        "{} differ: {:#?}",
        differing.len(),
        &differing[..1]
    );
    assert_eq!(
        last.1.parse::<usize>().unwrap(),
        made.values().sum::<usize>()
    );
    fs::remove_dir_all(directory).unwrap();
}
