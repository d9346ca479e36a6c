//! Messages printed by Erlang/OTP (testdata/otp): read, print, read again, the same.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::Path;

use h248::error::ErrorCode;
use h248::message::Message;
use h248::package::{self, Kind};
use h248::text::{self, Style};

fn golden() -> BTreeMap<String, [Vec<u8>; 2]> {
    let mut messages: BTreeMap<String, [Vec<u8>; 2]> = BTreeMap::new();
    let directory = Path::new(env!("CARGO_MANIFEST_DIR")).join("testdata/otp");
    for entry in fs::read_dir(directory).unwrap() {
        let path = entry.unwrap().path();
        let name = path.file_name().unwrap().to_str().unwrap().to_owned();
        let bytes = fs::read(&path).unwrap();
        if let Some(name) = name.strip_suffix(".pretty.h248") {
            messages.entry(name.to_owned()).or_default()[0] = bytes;
        } else if let Some(name) = name.strip_suffix(".compact.h248") {
            messages.entry(name.to_owned()).or_default()[1] = bytes;
        }
    }
    assert!(messages.len() >= 32, "{}", messages.len());
    messages
}

fn parse(name: &str, bytes: &[u8]) -> Message {
    let parsed = text::parse_message(bytes);
    parsed.unwrap_or_else(|error| panic!("{name}: {error}\n{}", String::from_utf8_lossy(bytes)))
}

#[test]
fn both_styles_of_a_message_mean_the_same() {
    for (name, [pretty, compact]) in golden() {
        assert_eq!(parse(&name, &pretty), parse(&name, &compact), "{name}");
    }
}

#[test]
fn what_is_printed_reads_as_what_it_was_printed_from() {
    for (name, [pretty, _]) in golden() {
        let message = parse(&name, &pretty);
        for style in [Style::Pretty, Style::Compact] {
            let printed = text::to_vec(&message, style);
            assert_eq!(parse(&name, &printed), message, "{name} {style:?}");
        }
    }
}

#[test]
fn a_message_after_appendix_i_reads_with_comments_and_several_session_descriptions() {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("testdata/appendix_i.h248");
    let message = parse("appendix_i", &fs::read(path).unwrap());
    let printed = text::to_vec(&message, Style::Compact);
    assert_eq!(parse("appendix_i", &printed), message);
    let text = String::from_utf8(printed).unwrap();
    assert!(
        text.contains("L{\nv=0\nc=IN IP4 $\nm=audio $ RTP/AVP 4\na=ptime:30\nv=0\n"),
        "{text}"
    );
    assert!(!text.contains("in ms"));
}

#[test]
fn error_codes_have_the_words_that_tshark_knows() {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("testdata/error_codes.tsv");
    let list = fs::read_to_string(path).unwrap();
    let known: BTreeMap<u16, &str> = list
        .lines()
        .map(|line| line.split_once('\t').unwrap())
        .map(|(code, text)| (code.parse().unwrap(), text))
        .collect();
    let squeeze = |text: &str| text.to_lowercase().replace(' ', "");
    for code in ErrorCode::KNOWN {
        let text = known.get(&code.0).unwrap_or_else(|| panic!("{code:?}"));
        assert_eq!(squeeze(code.text().unwrap()), squeeze(text));
    }
    let missing: Vec<_> = known
        .keys()
        .filter(|&&c| c < 900 && ErrorCode(c).text().is_none())
        .collect();
    assert!(missing.is_empty(), "{missing:?}");
}

#[test]
fn package_items_are_those_of_otp() {
    let list = Path::new(env!("CARGO_MANIFEST_DIR")).join("testdata/otp_items.tsv");
    let list = fs::read_to_string(list).unwrap();
    let mut theirs = BTreeSet::new();
    for line in list.lines() {
        let columns: Vec<&str> = line.split('\t').collect();
        let number = u32::from_str_radix(columns[0], 16).unwrap();
        let kind = match columns[1] {
            "property" => Kind::Property,
            "event" => Kind::Event,
            "signal" => Kind::Signal,
            "statistics" => Kind::Statistic,
            other => panic!("{other}"),
        };
        let (package, item) = columns[2].split_once('/').unwrap();
        let known = package::find(package).unwrap();
        assert_eq!(u32::from(known.id), number >> 16, "{line}");
        let by_name = known.item(kind, item).unwrap_or_else(|| panic!("{line}"));
        assert_eq!(by_name.id, Some(number as u16), "{line}");
        assert_eq!(
            known.item_by_id(kind, number as u16),
            Some(by_name),
            "{line}"
        );
        theirs.insert((kind as u8, columns[2].to_ascii_lowercase()));
    }
    // OTP knows the packages of H.248.1.
    for known in package::ALL.iter().filter(|package| package.id <= 0x000d) {
        for kind in [Kind::Property, Kind::Event, Kind::Signal, Kind::Statistic] {
            for item in known.items(kind) {
                let name = format!("{}/{}", item.package, item.name).to_ascii_lowercase();
                assert!(theirs.contains(&(kind as u8, name)), "{item:?}");
            }
        }
    }
}
