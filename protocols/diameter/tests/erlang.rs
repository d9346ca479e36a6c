//! Erlang/OTP's diameter decodes what we encode, by our dictionary, and we decode what it encodes
//! again.
//!
//! Needs `escript` with the diameter application (Debian packages erlang-base and erlang-diameter);
//! without them the test fails and says so.

mod samples;

use std::fmt::Write as _;
use std::io::Write as _;
use std::path::Path;
use std::process::{Command, Stdio};

use diameter::Message;
use diameter::cx::{Answer, Request};
use diameter::dictionary::{AvpDef, AvpKind, MandatoryBit, Rule, cx as avp};

/// AVPs that RFC 6733 does not define: Erlang's base dictionary lacks them.
const NOT_OF_RFC_6733: [u32; 8] = [8, 96, 97, 104, 110, 111, 121, 301];

/// Our Cx dictionary in Erlang's format.
fn dictionary() -> String {
    let lists = [&avp::DICTIONARY, &diameter::dictionary::base::DICTIONARY];
    let all = lists
        .iter()
        .flat_map(|dictionary| dictionary.avps.iter())
        .flat_map(|avps| avps.iter());
    let own: Vec<&AvpDef> = all
        .copied()
        .filter(|def| def.vendor != 0 || NOT_OF_RFC_6733.contains(&def.code))
        .collect();
    let mut text = format!("@id {}\n@name cx\n@prefix cx\n", avp::APPLICATION_ID);
    text.push_str("@vendor 10415 x3GPP\n@inherits diameter_gen_base_rfc6733\n");
    let etsi = own.iter().filter(|def| def.vendor == avp::VENDOR_ETSI);
    text.push_str("@avp_vendor_id 13019");
    etsi.for_each(|def| write!(text, " {}", def.name).unwrap());
    text.push_str("\n@avp_types\n");
    for def in &own {
        let kind = match def.kind {
            AvpKind::OctetString => "OctetString",
            AvpKind::Unsigned32 | AvpKind::Enumerated => "Unsigned32",
            AvpKind::Unsigned64 => "Unsigned64",
            AvpKind::Utf8String => "UTF8String",
            AvpKind::DiameterIdentity => "DiameterIdentity",
            AvpKind::DiameterUri => "DiameterURI",
            AvpKind::Address => "Address",
            AvpKind::Time => "Time",
            AvpKind::Grouped(_) => "Grouped",
        };
        let vendor = if def.vendor == 0 { "" } else { "V" };
        let mandatory = if def.mandatory == MandatoryBit::Must {
            "M"
        } else {
            ""
        };
        let flags = match format!("{vendor}{mandatory}") {
            flags if flags.is_empty() => "-".to_owned(),
            flags => flags,
        };
        writeln!(text, "{} {} {kind} {flags}", def.name, def.code).unwrap();
    }
    text.push_str("@messages\n");
    for command in avp::DICTIONARY.commands {
        let name = |suffix: char| {
            let initials = command
                .name
                .split('-')
                .filter_map(|word| word.chars().next());
            initials.chain([suffix]).collect::<String>()
        };
        for (suffix, request, rules) in [('R', "REQ, ", command.request), ('A', "", command.answer)]
        {
            let header = format!("{}, {request}PXY {}", command.code, avp::APPLICATION_ID);
            writeln!(text, "{} ::= < Diameter Header: {header} >", name(suffix)).unwrap();
            grammar(&mut text, rules);
        }
    }
    text.push_str("@grouped\n");
    for def in &own {
        if let AvpKind::Grouped(rules) = def.kind {
            writeln!(
                text,
                "{} ::= < AVP Header: {} {} >",
                def.name, def.code, def.vendor
            )
            .unwrap();
            grammar(&mut text, rules);
        }
    }
    text
}

/// Erlang wants required AVPs before optional ones.
fn grammar(text: &mut String, rules: &[Rule]) {
    let (required, optional): (Vec<&Rule>, Vec<&Rule>) =
        rules.iter().partition(|rule| rule.min > 0);
    for Rule { avp, min, max } in required.into_iter().chain(optional) {
        let name = avp.name;
        let line = match (min, max) {
            (1, 1) => format!("{{ {name} }}"),
            (0, 1) => format!("[ {name} ]"),
            (1, _) => format!("1* {{ {name} }}"),
            _ => format!("* [ {name} ]"),
        };
        writeln!(text, "    {line}").unwrap();
    }
    text.push_str("    * [ AVP ]\n");
}

/// Erlang's dictionaries have one M bit for all occurrences of an AVP; in Supported-Features it has
/// a meaning.
fn clear_m_of_features(message: &mut [u8]) {
    let header = [0, 0, 2, 0x74, 0xc0];
    while let Some(at) = message.windows(5).position(|octets| octets == header) {
        message[at + 4] = 0x80;
    }
}

#[test]
fn erlang_decodes_what_we_encode_and_we_decode_what_it_encodes() {
    let file = Path::new(env!("CARGO_TARGET_TMPDIR")).join("cx.dia");
    std::fs::write(&file, dictionary()).unwrap();
    let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("testdata/codec.escript");
    let child = Command::new("escript")
        .args([&script, &file])
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn();
    let mut child = match child {
        Ok(child) => child,
        Err(error) => panic!("escript (Debian packages erlang-base, erlang-diameter): {error}"),
    };
    let mut messages = samples::messages();
    messages
        .iter_mut()
        .for_each(|message| clear_m_of_features(message));
    let mut input = String::new();
    for message in &messages {
        message
            .iter()
            .for_each(|octet| write!(input, "{octet:02x}").unwrap());
        input.push('\n');
    }
    let mut stdin = child.stdin.take().expect("stdin is a pipe");
    // A script that ended early says why on its standard error.
    let _ = stdin.write_all(input.as_bytes());
    drop(stdin);
    let output = child.wait_with_output().unwrap();
    let text = String::from_utf8_lossy(&output.stdout);
    let complaints = String::from_utf8_lossy(&output.stderr);
    assert!(
        output.status.success(),
        "erlang-diameter is needed here: {text} {complaints}"
    );
    let lines: Vec<&str> = text.lines().collect();
    assert_eq!(lines.len(), messages.len() * 2);
    for (lines, ours) in lines.chunks(2).zip(&messages) {
        assert_eq!(lines[0], "[]", "faults Erlang finds");
        let theirs: Vec<u8> = lines[1]
            .as_bytes()
            .chunks(2)
            .map(|digits| u8::from_str_radix(std::str::from_utf8(digits).unwrap(), 16).unwrap())
            .collect();
        let ours = Message::parse(ours).unwrap();
        let theirs = Message::parse(&theirs).unwrap();
        assert_eq!(theirs.header, ours.header);
        if ours.header.flags.is_request() {
            let request = Request::from_message(&theirs).unwrap();
            assert_eq!(request, Request::from_message(&ours).unwrap());
        } else {
            let answer = Answer::from_message(&theirs).unwrap();
            assert_eq!(answer, Answer::from_message(&ours).unwrap());
        }
    }
}
