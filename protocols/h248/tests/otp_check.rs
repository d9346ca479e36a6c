//! Erlang/OTP's megaco application (Debian `erlang-megaco`) judges what the writer prints and the
//! names of packages.

mod common;
#[path = "otp/mod.rs"]
mod otp;

use std::collections::BTreeMap;
use std::ffi::OsStr;
use std::fs;
use std::path::Path;

use common::Generator;
use h248::package::{self, ParameterId};
use h248::text::{self, Style};
use otp::scratch;

/// Runs the judge and returns its lines as name and verdict.
fn judge(mode: &str, list: &Path) -> BTreeMap<String, String> {
    let arguments = [OsStr::new(mode), list.as_os_str()];
    otp::run("otp.escript", &arguments).into_iter().collect()
}

#[test]
fn otp_reads_what_we_print_of_its_own_messages_as_the_same() {
    let directory = scratch("otp_golden");
    let golden = Path::new(env!("CARGO_MANIFEST_DIR")).join("testdata/otp");
    let mut list = String::new();
    for entry in fs::read_dir(golden).unwrap() {
        let path = entry.unwrap().path();
        let message = text::parse_message(&fs::read(&path).unwrap()).unwrap();
        let name = path.file_name().unwrap().to_str().unwrap().to_owned();
        for style in [Style::Pretty, Style::Compact] {
            let ours = directory.join(format!("{name}.{style:?}"));
            fs::write(&ours, text::to_vec(&message, style)).unwrap();
            let (theirs, ours) = (path.display(), ours.display());
            list.push_str(&format!("{name}.{style:?}\t{theirs}\t{ours}\n"));
        }
    }
    let file = directory.join("list");
    fs::write(&file, &list).unwrap();
    let verdicts = judge("judge", &file);
    assert_eq!(verdicts.len(), list.lines().count());
    let differing: Vec<_> = verdicts
        .iter()
        .filter(|(_, verdict)| *verdict != "same")
        .collect();
    assert!(differing.is_empty(), "{differing:#?}");
}

#[test]
fn otp_reads_both_styles_of_random_messages_as_the_same() {
    let directory = scratch("otp_random");
    let mut list = String::new();
    for seed in 0..400 {
        let message = Generator::new(seed, true).message();
        let files = [Style::Pretty, Style::Compact].map(|style| {
            let file = directory.join(format!("{seed}.{style:?}"));
            fs::write(&file, text::to_vec(&message, style)).unwrap();
            file.display().to_string()
        });
        list.push_str(&format!("{seed}\t{}\t{}\n", files[0], files[1]));
    }
    let file = directory.join("list");
    fs::write(&file, &list).unwrap();
    let verdicts = judge("judge", &file);
    assert_eq!(verdicts.len(), 400);
    let differing: Vec<_> = verdicts
        .iter()
        .filter(|(_, verdict)| *verdict != "same")
        .collect();
    assert!(
        differing.is_empty(),
        "{} of 400: {:#?}",
        differing.len(),
        differing.first()
    );
}

#[test]
fn otp_reads_the_scores_of_a_subtract() {
    let directory = scratch("otp_scores");
    let reply = b"MEGACO/3 [192.0.2.1]:2944 Reply = 7 { Context = 1 { Subtract = ip/1/1 { \
        Statistics { nt/dur = 2000, rtp/pl = 12.50, rtcpxr/moslq = 44, rtcpxr/moscq = 127 } } } }";
    let message = text::parse_message(reply).unwrap();
    let theirs = directory.join("as it is");
    fs::write(&theirs, reply).unwrap();
    let mut list = String::new();
    for style in [Style::Pretty, Style::Compact] {
        let ours = directory.join(format!("{style:?}"));
        fs::write(&ours, text::to_vec(&message, style)).unwrap();
        list.push_str(&format!(
            "{style:?}\t{}\t{}\n",
            theirs.display(),
            ours.display()
        ));
    }
    let file = directory.join("list");
    fs::write(&file, &list).unwrap();
    let verdicts = judge("judge", &file);
    assert_eq!(verdicts.len(), 2);
    assert!(
        verdicts.values().all(|verdict| verdict == "same"),
        "{verdicts:?}"
    );
}

#[test]
fn otp_gives_package_items_the_same_numbers() {
    let directory = scratch("otp_names");
    let (mut list, mut right) = (String::new(), BTreeMap::new());
    let mut ask = |scope: &str, name: &str, number: String| {
        list.push_str(&format!("{scope}\t{name}\n"));
        right.insert(format!("{scope} {name}"), number);
    };
    // OTP knows the packages of H.248.1.
    for package in package::ALL.iter().filter(|package| package.id <= 0x000d) {
        let kinds = [
            ("property", package.properties),
            ("event", package.events),
            ("signal", package.signals),
            ("statistics", package.statistics),
        ];
        for (scope, item) in kinds
            .iter()
            .flat_map(|(s, items)| items.iter().map(move |i| (s, i)))
        {
            let name = format!("{}/{}", item.package, item.name);
            ask(
                scope,
                &name,
                format!("{:04x}{:04x}", package.id, item.id.unwrap()),
            );
            let numbered = |p: &ParameterId| p.id.map(|id| (p.name, id));
            for (parameter, id) in item.parameters.iter().filter_map(numbered) {
                let scope = format!("{scope}_parameter:{name}");
                ask(&scope, parameter, format!("{id:04x}"));
            }
        }
    }
    assert!(right.len() > 100);
    let file = directory.join("list");
    fs::write(&file, &list).unwrap();
    assert_eq!(judge("names", &file), right);
}
