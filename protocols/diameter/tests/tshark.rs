//! What tshark reads in our messages, and what its dictionary says about our AVPs.
//!
//! Needs `tshark` and `text2pcap` (Debian package tshark); without them the tests fail and say so.

mod identity;
mod samples;

use std::collections::HashMap;
use std::fmt::Write as _;
use std::io::Write as _;
use std::path::PathBuf;
use std::process::{Command, Stdio};
use std::time::Duration;

use base::{Entropy, Instant};
use diameter::dictionary::{self, AvpKind, MandatoryBit};
use diameter::endpoint::{Config, ConnectionId, Endpoint, Output};
use diameter::{Avps, Message};
use identity::{local, peer};

/// Runs `program`, feeds it `input` and returns its standard output.
fn run(program: &str, arguments: &[&str], input: &[u8]) -> Vec<u8> {
    let child = Command::new(program)
        .args(arguments)
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn();
    let mut child = match child {
        Ok(child) => child,
        Err(error) => panic!("{program} (Debian package tshark) is needed here: {error}"),
    };
    let mut stdin = child.stdin.take().expect("stdin is a pipe");
    stdin.write_all(input).expect("the program reads its input");
    drop(stdin);
    let output = child.wait_with_output().expect("the program ends");
    let errors = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{program}: {errors}");
    output.stdout
}

/// The capture file of these messages, each in a TCP segment of its own.
fn capture(messages: &[Vec<u8>], name: &str) -> PathBuf {
    let mut dump = String::new();
    for message in messages {
        for (row, octets) in message.chunks(16).enumerate() {
            write!(dump, "{:06x}", row * 16).unwrap();
            for octet in octets {
                write!(dump, " {octet:02x}").unwrap();
            }
            dump.push('\n');
        }
        dump.push('\n');
    }
    let path = PathBuf::from(env!("CARGO_TARGET_TMPDIR")).join(name);
    let file = path.to_str().expect("the path is text");
    run(
        "text2pcap",
        &["-q", "-T", "40000,3868", "-", file],
        dump.as_bytes(),
    );
    path
}

fn tshark(messages: &[Vec<u8>], name: &str, arguments: &[&str]) -> String {
    let path = capture(messages, name);
    let file = path.to_str().expect("the path is text");
    let mut all = vec!["-r", file, "-o", "tcp.relative_sequence_numbers:false"];
    all.extend_from_slice(arguments);
    String::from_utf8(run("tshark", &all, &[])).expect("tshark writes UTF-8")
}

#[test]
fn tshark_finds_every_avp_and_nothing_malformed() {
    let messages = samples::messages();
    let fields = ["-T", "fields", "-E", "occurrence=a", "-E", "aggregator=,"];
    let mut arguments = fields.to_vec();
    for field in [
        "diameter.cmd.code",
        "diameter.flags.request",
        "diameter.avp.code",
    ] {
        arguments.extend(["-e", field]);
    }
    let output = tshark(&messages, "avps.pcap", &arguments);
    assert_eq!(output.lines().count(), messages.len());
    for (line, bytes) in output.lines().zip(&messages) {
        let message = Message::parse(bytes).unwrap();
        let mut codes = Vec::new();
        list(message.avps(), &mut codes);
        let request = u8::from(message.header.flags.is_request());
        let expected = format!("{}\t{request}\t{}", message.header.command, codes.join(","));
        assert_eq!(line, expected);
    }
    let text = tshark(&messages, "malformed.pcap", &["-V"]);
    let complaint = text.lines().find(|line| {
        let unknown = line.contains("AVP: Unknown(")
            && !LATER
                .iter()
                .any(|code| line.contains(&format!("Unknown({code})")));
        unknown || line.contains("Malformed") || line.contains("[Expert Info (Error")
    });
    assert_eq!(complaint, None);
}

/// AVPs that 4.0 of Wireshark does not know yet: DRMP, and release 16 and later of TS 29.229.
const LATER: [u32; 6] = [301, 659, 660, 661, 662, 663];

/// The codes of all AVPs, those inside groups after their group.
fn list(avps: Avps<'_>, codes: &mut Vec<String>) {
    for avp in avps {
        codes.push(avp.code.to_string());
        let def = dictionary::find(avp.vendor, avp.code).expect("a sample has known AVPs");
        if matches!(def.kind, AvpKind::Grouped(_)) && !LATER.contains(&def.code) {
            list(avp.to_group().unwrap(), codes);
        }
    }
}

#[test]
fn tshark_reads_the_values_we_wrote() {
    let messages = samples::messages();
    let text = tshark(&messages, "values.pcap", &["-V"]);
    for value in [
        "Session-Id: scscf1.ims.test;1700000000;7",
        "ApplicationId: 3GPP Cx (16777216)",
        "Auth-Session-State: NO_STATE_MAINTAINED (1)",
        "Origin-Host: scscf1.ims.test",
        "Public-Identity: sip:alice@ims.mnc001.mcc001.3gppnetwork.org",
        "User-Authorization-Type: REGISTRATION_AND_CAPABILITIES (2)",
        "Server-Assignment-Type: USER_DEREGISTRATION_STORE_SERVER_NAME (7)",
        "User-Data-Already-Available: USER_DATA_ALREADY_AVAILABLE (1)",
        "Multiple-Registration-Indication: MULTIPLE_REGISTRATION (1)",
        "Session-Priority: PRIORITY-1 (1)",
        "Originating-Request: ORIGINATING (0)",
        "Reason-Code: NEW_SERVER_ASSIGNED (1)",
        "Experimental-Result-Code: DIAMETER_FIRST_REGISTRATION (2001)",
        "Result-Code: DIAMETER_LIMITED_SUCCESS (2002)",
        "3GPP-SIP-Authentication-Scheme: Digest-AKAv1-MD5",
        "Confidentiality-Key: c1c1c1c1c1c1c1c1c1c1c1c1c1c1c1c1",
        "Digest-HA1: 939e7578ed9e3c518a452acee763bce9",
        "Feature-List-ID: 1",
        "Mandatory-Capability: 2",
        "Primary-Charging-Collection-Function-Name: aaa://cdf1.ims.test",
    ] {
        assert!(text.contains(value), "tshark does not show {value}");
    }
}

#[test]
fn tshark_reads_the_messages_of_the_peer_machine() {
    let now = Instant::from_secs(1_767_225_600);
    let config = |number, other, connects| Config::new(local(number), vec![peer(other, connects)]);
    let mut client = Endpoint::new(now, config(1, 2, true), Entropy::from_u64(1));
    let mut server = Endpoint::new(now, config(2, 1, false), Entropy::from_u64(2));
    client.handle_timeout(now);
    let Some(Output::Connect {
        connection: ours, ..
    }) = client.poll_output()
    else {
        panic!("a peer with an address is connected to");
    };
    client.handle_connected(now, ours);
    let theirs = server.accept(now).expect("there is room for one");
    let mut messages = Vec::new();
    let mut exchange = |client: &mut Endpoint, server: &mut Endpoint| {
        for _ in 0..2 {
            forward(now, client, server, theirs, &mut messages);
            forward(now, server, client, ours, &mut messages);
        }
    };
    exchange(&mut client, &mut server);
    client.handle_timeout(now + Duration::from_secs(33));
    exchange(&mut client, &mut server);
    client.stop(now);
    exchange(&mut client, &mut server);
    let arguments = [
        "-T",
        "fields",
        "-e",
        "diameter.cmd.code",
        "-e",
        "diameter.Result-Code",
    ];
    let output = tshark(&messages, "base.pcap", &arguments);
    assert_eq!(
        output,
        "257\t\n257\t2001\n280\t\n280\t2001\n282\t\n282\t2001\n"
    );
    let text = tshark(&messages, "base_verbose.pcap", &["-V"]);
    for value in [
        "Host-IP-Address Address: 192.0.2.1",
        "Product-Name: node under test",
        "Origin-State-Id: 1767225600",
        "Supported-Vendor-Id: 10415",
        "Disconnect-Cause: REBOOTING (0)",
    ] {
        assert!(text.contains(value), "tshark does not show {value}");
    }
    assert!(!text.contains("Malformed") && !text.contains("AVP: Unknown"));
}

/// Hands what one endpoint sends to the other, and keeps it.
fn forward(
    now: Instant,
    from: &mut Endpoint,
    to: &mut Endpoint,
    connection: ConnectionId,
    messages: &mut Vec<Vec<u8>>,
) {
    while let Some(output) = from.poll_output() {
        if let Output::Send { bytes, .. } = output {
            to.handle_received(now, connection, &bytes);
            messages.push(bytes);
        }
    }
}

/// An AVP as Wireshark's dictionary has it.
struct Theirs {
    name: String,
    kind: String,
    mandatory: String,
}

/// Wireshark's AVPs by vendor name and code.
fn wireshark_dictionary() -> HashMap<(String, u32), Theirs> {
    let mut all = HashMap::new();
    for file in ["dictionary.xml", "TGPP.xml", "etsie2e4.xml"] {
        let path = PathBuf::from("/usr/share/wireshark/diameter").join(file);
        let text = match std::fs::read_to_string(&path) {
            Ok(text) => text,
            Err(error) => panic!(
                "{} (Debian package tshark) is needed here: {error}",
                path.display()
            ),
        };
        for definition in text.split("<avp ").skip(1) {
            let head = definition.split('>').next().unwrap_or_default();
            let attribute = |name: &str| {
                let value = head.split(&format!(" {name}=\"")).nth(1)?;
                value.split('"').next().map(str::to_owned)
            };
            let head_name = head
                .split("name=\"")
                .nth(1)
                .and_then(|rest| rest.split('"').next());
            let body = definition.split("</avp>").next().unwrap_or_default();
            let kind = match body.split("type-name=\"").nth(1) {
                Some(rest) => rest.split('"').next().unwrap_or_default(),
                None if body.contains("<grouped") => "Grouped",
                None => "",
            };
            let (Some(name), Some(code)) = (head_name, attribute("code")) else {
                continue;
            };
            let vendor = attribute("vendor-id").unwrap_or_default();
            all.entry((vendor, code.parse().unwrap()))
                .or_insert(Theirs {
                    name: name.to_owned(),
                    kind: kind.to_owned(),
                    mandatory: attribute("mandatory").unwrap_or_default(),
                });
        }
    }
    all
}

#[test]
fn the_dictionaries_agree_with_wiresharks() {
    // TS 29.229 release 19 clears M where release 7 still set it, and renamed 634.
    let later_mandatory = [629, 630, 632, 634, 653, 654, 655];
    // RFC 6733 has Failed-AVP and its like as Wireshark; these are typed more precisely or renamed
    // here.
    let other_name = [606, 607, 608, 609, 610, 612, 613, 634, 110];
    let theirs = wireshark_dictionary();
    let lists = dictionary::cx::DICTIONARY.avps.iter();
    let mut checked = 0;
    for def in lists
        .chain(dictionary::base::DICTIONARY.avps)
        .flat_map(|avps| avps.iter())
    {
        let vendor = match def.vendor {
            0 => "",
            dictionary::cx::VENDOR_3GPP => "TGPP",
            _ => "ETSI",
        };
        let Some(their) = theirs.get(&(vendor.to_owned(), def.code)) else {
            assert!(
                matches!(def.code, 301 | 659..=663),
                "{} is unknown to Wireshark",
                def.name
            );
            continue;
        };
        checked += 1;
        if !other_name.contains(&def.code) {
            assert_eq!(def.name, their.name);
        }
        let kinds: &[&str] = match def.kind {
            AvpKind::OctetString => &[
                "OctetString",
                "UTF8String",
                "IPAddress",
                "OctetStringOrUTF8",
            ],
            AvpKind::Unsigned32 => &["Unsigned32", "AppId", "VendorId", "Integer32", "Enumerated"],
            AvpKind::Enumerated => &["Enumerated", "Unsigned32"],
            AvpKind::Unsigned64 => &["Unsigned64"],
            AvpKind::Utf8String => &["UTF8String", "OctetString"],
            AvpKind::DiameterIdentity => &["DiameterIdentity"],
            AvpKind::DiameterUri => &["DiameterURI"],
            AvpKind::Address => &["IPAddress"],
            AvpKind::Time => &["Time"],
            AvpKind::Grouped(_) => &["Grouped"],
        };
        assert!(
            kinds.contains(&&*their.kind),
            "{}: {} there",
            def.name,
            their.kind
        );
        if def.vendor == dictionary::cx::VENDOR_3GPP && !later_mandatory.contains(&def.code) {
            let must = def.mandatory != MandatoryBit::MustNot;
            assert_eq!(must, their.mandatory == "must", "M bit of {}", def.name);
        }
    }
    assert!(checked > 100, "{checked} AVPs compared");
}
