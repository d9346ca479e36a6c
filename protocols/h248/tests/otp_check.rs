//! Erlang/OTP's megaco application (Debian `erlang-megaco`) judges what the writer prints and the
//! names of packages.

mod common;

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use common::Generator;
use h248::package;
use h248::text::{self, Style};

const ADVICE: &str = "escript with megaco is needed: apt-get install erlang-base erlang-megaco";

/// Runs the judge and returns its lines as name and verdict.
fn otp(mode: &str, list: &Path) -> BTreeMap<String, String> {
    let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/otp/otp.escript");
    let mut command = Command::new("escript");
    let output = command.arg(script).arg(mode).arg(list).output();
    let output = output.unwrap_or_else(|error| panic!("{ADVICE} ({error})"));
    let errors = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{ADVICE}\n{errors}");
    let lines = String::from_utf8(output.stdout).unwrap();
    let pair = |line: &str| {
        let (name, verdict) = line.split_once('\t').unwrap();
        (name.to_owned(), verdict.to_owned())
    };
    lines.lines().map(pair).collect()
}

/// A directory for this test, empty.
fn scratch(name: &str) -> PathBuf {
    let directory = Path::new(env!("CARGO_TARGET_TMPDIR")).join(name);
    let _ = fs::remove_dir_all(&directory);
    fs::create_dir_all(&directory).unwrap();
    directory
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
    let verdicts = otp("judge", &file);
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
    let verdicts = otp("judge", &file);
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
fn otp_gives_package_items_the_same_numbers() {
    let directory = scratch("otp_names");
    let known = [
        &package::g::PACKAGE,
        &package::root::PACKAGE,
        &package::nt::PACKAGE,
        &package::rtp::PACKAGE,
        &package::tdmc::PACKAGE,
    ];
    let mut list = String::new();
    let mut right = BTreeMap::new();
    for package in known {
        let kinds = [
            ("property", package.properties),
            ("event", package.events),
            ("signal", package.signals),
            ("statistics", package.statistics),
        ];
        for (scope, items) in kinds {
            for item in items {
                let name = format!("{}/{}", item.package, item.name);
                list.push_str(&format!("{scope}\t{name}\n"));
                right.insert(name, format!("{:04x}{:04x}", package.id, item.id.unwrap()));
            }
        }
    }
    let file = directory.join("list");
    fs::write(&file, &list).unwrap();
    assert_eq!(otp("names", &file), right);
}
