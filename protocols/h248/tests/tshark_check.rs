//! tshark dissects what the writers print and encode.
//!
//! tshark 4.0 does not know all of version 3 (lists of terminations, sub-lists, segments) and
//! stumbles over bare Events and Signals tokens. So the transactions of ordinary calls must be
//! without fault, and of the rest we must not print worse than Erlang/OTP does.

mod common;

use std::collections::BTreeSet;
use std::fmt::Write as _;
use std::fs;
use std::path::Path;
use std::process::Command;

use common::Generator;
use h248::binary::{self, Naming};
use h248::message::{Message, MessageBody, ReplyBody, Transaction, TransactionReply};
use h248::package;
use h248::text::{self, Style};

const ADVICE: &str = "text2pcap and tshark are needed: apt-get install tshark";

fn run(program: &str, arguments: &[&str]) -> String {
    let output = Command::new(program).args(arguments).output();
    let output = output.unwrap_or_else(|error| panic!("{ADVICE} ({error})"));
    let errors = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{ADVICE}\n{errors}");
    String::from_utf8(output.stdout).unwrap()
}

/// Writes messages into a capture file, each in a datagram to `port`.
fn capture(name: &str, port: u16, messages: &[Vec<u8>]) -> String {
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
    let ports = format!("{port},{port}");
    run("text2pcap", &["-q", "-u", &ports, hex, pcap]);
    pcap.to_owned()
}

/// Everything that tshark says of each message.
fn verbose(name: &str, port: u16, messages: &[Vec<u8>]) -> Vec<String> {
    let pcap = capture(name, port, messages);
    let told = run("tshark", &["-n", "-r", &pcap, "-V"]);
    let frames = told.split("\nFrame ").map(str::to_owned);
    let frames: Vec<String> = frames.collect();
    assert_eq!(frames.len(), messages.len());
    frames
}

/// What tshark says of each message: the protocols, the faults and the fields asked for.
fn dissect(name: &str, port: u16, messages: &[Vec<u8>], fields: &[&str]) -> Vec<Vec<String>> {
    let pcap = capture(name, port, messages);
    let mut arguments = vec!["-n", "-r", pcap.as_str(), "-T", "fields"];
    for field in ["frame.protocols", "_ws.expert.message"]
        .iter()
        .chain(fields)
    {
        arguments.extend(["-e", field]);
    }
    let lines = run("tshark", &arguments);
    let split = |line: &str| line.split('\t').map(str::to_owned).collect();
    let lines: Vec<Vec<String>> = lines.lines().map(split).collect();
    assert_eq!(lines.len(), messages.len());
    lines
}

/// The messages in which tshark finds a fault, by index, with what it says.
fn faults(name: &str, messages: &[Vec<u8>]) -> Vec<(usize, String)> {
    let fault = |line: &Vec<String>| match line[0].contains("megaco") {
        true => line[1].clone(),
        false => "not taken for H.248".to_owned(),
    };
    let lines = dissect(name, 2944, messages, &[]);
    let faults = lines.iter().map(fault).enumerate();
    faults.filter(|(_, fault)| !fault.is_empty()).collect()
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

#[test]
fn binary_transactions_are_without_fault_and_mean_what_was_encoded() {
    let list = Path::new(env!("CARGO_MANIFEST_DIR")).join("testdata/calls.txt");
    let calls = fs::read_to_string(list).unwrap();
    let calls = calls.lines().map(|line| {
        let text = format!("!/3 [192.0.2.1]:2944\n{line}");
        text::parse_message(text.as_bytes()).unwrap()
    });
    let random = (0..500).map(|seed| Generator::binary(seed).message());
    let messages: Vec<Message> = calls.chain(random.filter(is_known_to_tshark)).collect();
    assert!(messages.len() > 250, "{}", messages.len());
    let encode = |message| binary::to_vec(message, &Naming::default()).unwrap();
    let encoded: Vec<Vec<u8>> = messages.iter().map(encode).collect();
    let lines = dissect("binary", 2945, &encoded, &["h248.contextId"]);
    for (line, message) in lines.iter().zip(&messages) {
        let text = || String::from_utf8(text::to_vec(message, Style::Pretty)).unwrap();
        let [protocols, said, found] = line.as_slice() else {
            panic!("{line:?}")
        };
        assert!(protocols.contains("h248"), "{line:?}");
        // Error descriptors are worth a remark to it.
        let mut remarks = said.split(',').filter(|remark| !remark.is_empty());
        assert!(
            remarks.all(|remark| remark == "Errored Command"),
            "{said}\n{}",
            text()
        );
        assert_eq!(*found, contexts(message), "{}", text());
    }
}

/// tshark does not know the list of terminations of audits, takes tone and cadence lists for single
/// values, and wants a signal's name in `SigID`.
fn is_known_to_tshark(message: &Message) -> bool {
    let text = String::from_utf8(text::to_vec(message, Style::Compact)).unwrap();
    let odd = [
        "AV=[", "AC=[", "{tl", ",tl", "{cad", ",cad", "SigID", "CLT=",
    ];
    // It reads what values of these packages mean, which random ones do not.
    let odd = odd.iter().chain(&["threegtfoc/", "bt/", "an/ap"]);
    !odd.into_iter().any(|odd| text.contains(odd))
}

/// The contexts of all actions.
fn contexts(message: &Message) -> String {
    let MessageBody::Transactions(transactions) = &message.body else {
        return String::new();
    };
    let contexts = transactions
        .iter()
        .flat_map(|transaction| match transaction {
            Transaction::Request(request) => request
                .actions
                .iter()
                .map(|action| action.context)
                .collect(),
            Transaction::Reply(TransactionReply {
                body: ReplyBody::Actions(actions),
                ..
            }) => actions.iter().map(|action| action.context).collect(),
            _ => Vec::new(),
        });
    let contexts: Vec<_> = contexts
        .map(|context| format!("0x{:08x}", context.as_u32()))
        .collect();
    contexts.join(",")
}

/// `testdata/packages.tsv` has a number, our name and tshark's words a line.
#[test]
fn tshark_knows_packages_by_the_same_numbers() {
    let list = Path::new(env!("CARGO_MANIFEST_DIR")).join("testdata/packages.tsv");
    let list = fs::read_to_string(list).unwrap();
    let rows: Vec<Vec<&str>> = list.lines().map(|l| l.split('\t').collect()).collect();
    let public: Vec<_> = package::ALL.iter().filter(|it| it.id < 0x8000).collect();
    assert_eq!(rows.len(), public.len());
    let mut messages = Vec::new();
    for (row, known) in rows.iter().zip(public) {
        let id = u16::from_str_radix(row[0], 16).unwrap();
        assert_eq!((known.id, known.name), (id, row[1]));
        let reply = format!(
            "!/3 [192.0.2.1]:2944 P=1{{C=1{{S=a/1/1{{SA{{{}/x7fff}}}}}}}}",
            known.name
        );
        let message = text::parse_message(reply.as_bytes()).unwrap();
        messages.push(binary::to_vec(&message, &Naming::default()).unwrap());
    }
    let told = verbose("packages", 2945, &messages);
    for (row, told) in rows.iter().zip(&told) {
        let named = format!("PkgName: {} (0x{})", row[2], row[0]);
        assert!(
            told.replace("  (", " (").contains(&named),
            "{row:?}\n{told}"
        );
    }
}
