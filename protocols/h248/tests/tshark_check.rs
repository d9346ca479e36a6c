//! tshark dissects what the writer prints.
//!
//! tshark 4.0 does not know all of version 3 (lists of terminations, sub-lists, segments) and
//! stumbles over bare Events and Signals tokens. So the transactions of ordinary calls must be
//! without fault, and of the rest we must not print worse than Erlang/OTP does.

use std::collections::BTreeSet;
use std::fmt::Write as _;
use std::fs;
use std::path::Path;
use std::process::Command;

use h248::text::{self, Style};

const ADVICE: &str = "text2pcap and tshark are needed: apt-get install tshark";

fn run(program: &str, arguments: &[&str]) -> String {
    let output = Command::new(program).args(arguments).output();
    let output = output.unwrap_or_else(|error| panic!("{ADVICE} ({error})"));
    let errors = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{ADVICE}\n{errors}");
    String::from_utf8(output.stdout).unwrap()
}

/// The messages in which tshark finds a fault, by index, with what it says.
fn faults(name: &str, messages: &[Vec<u8>]) -> Vec<(usize, String)> {
    let mut dump = String::new();
    for message in messages {
        for (index, line) in message.chunks(16).enumerate() {
            write!(dump, "{:06x}", 16 * index).unwrap();
            line.iter()
                .for_each(|octet| write!(dump, " {octet:02x}").unwrap());
            dump.push('\n');
        }
        dump.push('\n');
    }
    let directory = Path::new(env!("CARGO_TARGET_TMPDIR"));
    let hex = directory.join(format!("{name}.hex"));
    let pcap = directory.join(format!("{name}.pcap"));
    fs::write(&hex, dump).unwrap();
    let (hex, pcap) = (hex.to_str().unwrap(), pcap.to_str().unwrap());
    run("text2pcap", &["-q", "-u", "2944,2944", hex, pcap]);
    let fields = [
        "-e",
        "frame.number",
        "-e",
        "frame.protocols",
        "-e",
        "_ws.expert.message",
    ];
    let arguments = [&["-n", "-r", pcap, "-T", "fields"][..], &fields].concat();
    let lines = run("tshark", &arguments);
    assert_eq!(lines.lines().count(), messages.len());
    let fault = |line: &str| {
        let mut fields = line.split('\t');
        let number: usize = fields.next()?.parse().ok()?;
        let is_h248 = fields.next()?.contains("megaco");
        let message = fields.next().unwrap_or_default();
        let fault = if is_h248 {
            message
        } else {
            "not taken for H.248"
        };
        (!fault.is_empty()).then(|| (number - 1, fault.to_owned()))
    };
    lines.lines().filter_map(fault).collect()
}

#[test]
fn transactions_of_ordinary_calls_are_without_fault() {
    let list = Path::new(env!("CARGO_MANIFEST_DIR")).join("testdata/calls.txt");
    let mut messages = Vec::new();
    for line in fs::read_to_string(list).unwrap().lines() {
        let message = text::parse_message(format!("!/3 [192.0.2.1]:2944\n{line}").as_bytes());
        let message = message.unwrap_or_else(|error| panic!("{line}: {error}"));
        messages.push(text::to_vec(&message, Style::Pretty));
        messages.push(text::to_vec(&message, Style::Compact));
    }
    let faults = faults("calls", &messages);
    let show = |(index, fault): &(usize, String)| {
        format!("{fault}: {}", String::from_utf8_lossy(&messages[*index]))
    };
    assert!(
        faults.is_empty(),
        "{:#?}",
        faults.iter().map(show).collect::<Vec<_>>()
    );
}

#[test]
fn no_message_is_printed_worse_than_by_otp() {
    let golden = Path::new(env!("CARGO_MANIFEST_DIR")).join("testdata/otp");
    let (mut theirs, mut ours) = (Vec::new(), Vec::new());
    let mut paths: Vec<_> = fs::read_dir(golden)
        .unwrap()
        .map(|entry| entry.unwrap().path())
        .collect();
    paths.sort();
    for path in &paths {
        let bytes = fs::read(path).unwrap();
        let message = text::parse_message(&bytes).unwrap();
        let is_pretty = path.to_str().unwrap().contains(".pretty.");
        let style = if is_pretty {
            Style::Pretty
        } else {
            Style::Compact
        };
        ours.push(text::to_vec(&message, style));
        theirs.push(bytes);
    }
    let indices = |faults: Vec<(usize, String)>| -> BTreeSet<usize> {
        faults.into_iter().map(|(index, _)| index).collect()
    };
    let theirs = indices(faults("theirs", &theirs));
    let ours = indices(faults("ours", &ours));
    let worse: Vec<_> = ours
        .difference(&theirs)
        .map(|&index| &paths[index])
        .collect();
    assert!(worse.is_empty(), "{worse:?}");
}
