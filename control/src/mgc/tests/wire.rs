//! What the controller says, letter by letter, and what others read of it.

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

use h248::message::{
    ActionRequest, Message, MessageBody, Mid, TerminationId, Transaction, TransactionId,
    TransactionRequest,
};
use h248::text::{self, Style};

use super::world::*;
use crate::mgc::compile::{self, Context, Heartbeat};
use crate::mgc::{
    AnchorSpec, DtlsPlan, DtlsSetup, Family, Locals, Mode, Plan, RtpEndpoint, SrtpPlan,
};

const TSHARK: &str = "text2pcap and tshark are needed: apt-get install tshark";
const ERLANG: &str = "escript with megaco is needed: apt-get install erlang-base erlang-megaco";

/// Every command that the controller sends, by the name of its files in `testdata`.
fn commands() -> Vec<(&'static str, Vec<ActionRequest>)> {
    let context = Context {
        id: 7,
        terminations: ["ip/1/12", "ip/2/13"].map(TerminationId::from),
    };
    let mut dtls = answered();
    let certificate = format!("sha-256 {}A5", "A5:".repeat(31));
    dtls.streams[0].srtp = Some(SrtpPlan::Dtls(DtlsPlan {
        protocol: "UDP/TLS/RTP/SAVPF".into(),
        setup: DtlsSetup::Active,
        fingerprints: vec![certificate.into()],
        tls_id: Some("91bbf309c0990a6bec11e38ba2933cee".into()),
    }));
    let access = &mut dtls.streams[0].sides[0];
    access.mux = true;
    access.remote = access.remote.map(|remote| RtpEndpoint {
        mux: true,
        ..remote
    });
    let mut renewed = dtls.clone();
    if let Some(SrtpPlan::Dtls(plan)) = &mut renewed.streams[0].srtp {
        plan.fingerprints = vec![format!("sha-256 {}5A", "5A:".repeat(31)).into()];
    }
    let locals = Locals::at(vec![
        ["192.0.2.4:10002", "198.51.100.4:10004"].map(|local| Some(address(local))),
    ]);
    let configure = |before: &Plan, after: &Plan| {
        let before = (before, &locals);
        let commands =
            compile::configure(&spec(), &context, before, after, [true; 2], Heartbeat::Kept);
        vec![commands.unwrap().0]
    };
    let changed = |change: fn(&mut crate::mgc::StreamPlan)| {
        let mut plan = answered();
        change(&mut plan.streams[0]);
        plan
    };
    let hold = changed(|stream| {
        stream.sides[0].mode = Mode::SendOnly;
        stream.sides[1].mode = Mode::ReceiveOnly;
    });
    let formats = changed(|stream| stream.formats = vec!["8".into(), "101".into()]);
    let removed = changed(|stream| stream.used = false);
    let behind_nat = changed(|stream| {
        stream.sides[0].remote = Some(address("10.0.0.5:4000").into());
        stream.sides[0].latch = true;
    });
    let moved = changed(|stream| {
        stream.sides[0].remote = Some(address("10.0.0.6:4000").into());
        stream.sides[0].latch = true;
    });
    vec![
        (
            "start",
            compile::start(false, Duration::from_secs(30), false),
        ),
        (
            "start_cleared",
            compile::start(true, Duration::from_secs(30), false),
        ),
        ("probe", vec![compile::probe()]),
        ("reserve", vec![compile::reserve(&spec(), &offered())]),
        ("reserve_emergency", vec![reserve_emergency()]),
        ("reserve_dtls", vec![compile::reserve(&spec(), &dtls)]),
        ("configure_dtls", configure(&dtls, &renewed)),
        ("configure_answer", configure(&offered(), &answered())),
        ("configure_hold", configure(&answered(), &hold)),
        ("configure_resume", configure(&hold, &answered())),
        ("configure_formats", configure(&answered(), &formats)),
        ("configure_remove", configure(&formats, &removed)),
        ("configure_latch", configure(&answered(), &behind_nat)),
        ("configure_relatch", configure(&behind_nat, &moved)),
        ("configure_unlatch", configure(&moved, &answered())),
        (
            "beat",
            vec![compile::beat(
                &spec(),
                &context,
                &answered(),
                Heartbeat::Kept,
            )],
        ),
        ("audit", vec![compile::audit(&context)]),
        ("release", vec![compile::release(7)]),
    ]
}

/// An emergency call of two streams from an IPv6 UE behind a NAT, with RTCP elsewhere.
fn reserve_emergency() -> ActionRequest {
    let mut audio = stream(Some("[2001:db8::5]:40000"), None);
    audio.formats = vec!["96".into(), "101".into()];
    let mut video = stream(Some("[2001:db8::5]:40010"), None);
    (video.kind, video.protocol) = ("video".into(), "RTP/AVPF".into());
    video.sides[1].mode = Mode::Inactive;
    for stream in [&mut audio, &mut video] {
        stream.sides[0].latch = true;
    }
    let remote = audio.sides[0].remote.as_mut().unwrap();
    remote.rtcp = Some(address("[2001:db8::6]:40007"));
    let mut refused = video.clone();
    refused.used = false;
    let plan = Plan {
        streams: vec![audio, refused, video],
    };
    let spec = AnchorSpec {
        families: [Family::V6, Family::V4],
        realms: ["access v6".into(), "core".into()],
        emergency: true,
        inactivity: None,
        source_filter: true,
    };
    compile::reserve(&spec, &plan)
}

fn message(actions: Vec<ActionRequest>) -> Message {
    let request = TransactionRequest {
        id: TransactionId(1),
        actions,
    };
    Message {
        auth: None,
        version: 3,
        mid: Mid::from(address(MGC)),
        body: MessageBody::Transactions(vec![Transaction::Request(request)]),
    }
}

fn golden(name: &str, style: Style) -> PathBuf {
    let style = match style {
        Style::Compact => "compact",
        Style::Pretty => "pretty",
    };
    let directory = Path::new(env!("CARGO_MANIFEST_DIR")).join("src/mgc/testdata");
    directory.join(format!("{name}.{style}.h248"))
}

fn run(program: &str, arguments: &[&str], advice: &str) -> String {
    let output = Command::new(program).args(arguments).output();
    let output = output.unwrap_or_else(|error| panic!("{advice} ({error})"));
    let errors = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{advice}\n{errors}");
    String::from_utf8(output.stdout).unwrap()
}

/// A directory of this process and test, empty.
fn scratch(name: &str) -> PathBuf {
    let name = format!("strowger-mgc-{name}-{}", std::process::id());
    let directory = std::env::temp_dir().join(name);
    let _ = fs::remove_dir_all(&directory);
    fs::create_dir_all(&directory).unwrap();
    directory
}

/// What tshark finds wrong, with the message in which it does.
fn faults(name: &str, messages: &[Vec<u8>]) -> Vec<String> {
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
    let directory = scratch(name);
    let (hex, pcap) = (
        directory.join("messages.hex"),
        directory.join("messages.pcap"),
    );
    fs::write(&hex, dump).unwrap();
    let (hex, pcap) = (hex.to_str().unwrap(), pcap.to_str().unwrap());
    run("text2pcap", &["-q", "-u", "2944,2944", hex, pcap], TSHARK);
    let fields = ["-e", "frame.protocols", "-e", "_ws.expert.message"];
    let arguments = [&["-n", "-r", pcap, "-T", "fields"][..], &fields].concat();
    let lines = run("tshark", &arguments, TSHARK);
    fs::remove_dir_all(directory).unwrap();
    assert_eq!(lines.lines().count(), messages.len());
    let is_right = |line: &str| {
        let (protocols, fault) = line.split_once('\t').unwrap();
        protocols.contains(":megaco") && fault.is_empty()
    };
    let judged = lines.lines().zip(messages);
    judged
        .filter(|(line, _)| !is_right(line))
        .map(|(line, message)| format!("{line}\n{}", String::from_utf8_lossy(message)))
        .collect()
}

#[test]
fn every_command_reads_as_its_golden_file() {
    for (name, actions) in commands() {
        let message = message(actions);
        for style in [Style::Compact, Style::Pretty] {
            let file = golden(name, style);
            let expected = fs::read_to_string(&file).unwrap_or_default();
            // The files keep line ends of their own in session descriptions.
            let printed = String::from_utf8(text::to_vec(&message, style)).unwrap();
            assert_eq!(printed, expected, "{}", file.display());
        }
    }
    let files = fs::read_dir(golden("x", Style::Pretty).parent().unwrap()).unwrap();
    let files = files.filter(|file| {
        let name = file.as_ref().unwrap().file_name();
        name.to_str().unwrap().ends_with(".h248")
    });
    assert_eq!(files.count(), 2 * commands().len());
}

#[test]
fn tshark_finds_no_fault_in_any_command() {
    let styles = [Style::Compact, Style::Pretty];
    let messages: Vec<_> = commands()
        .into_iter()
        .flat_map(|(_, actions)| {
            let message = message(actions);
            styles.map(|style| text::to_vec(&message, style))
        })
        .collect();
    let faults = faults("commands", &messages);
    assert!(faults.is_empty(), "{}", faults.join("\n"));
}

#[test]
fn tshark_finds_no_fault_in_what_is_said_over_many_calls() {
    let mut seen = super::storm::recorded(300);
    let mut world = World::strangers(1);
    for request in [
        "C=1{N=ip/1{OE=1{nt/netfail}}}",
        "C=-{SC=ROOT{SV{MT=RS,V=3,RE=\"901 Cold Boot\"}}}",
        "C=1{N=ip/1{OE=2{adid/ipstop{dir=IN}}}}",
        "C=-{SC=ROOT{SV{MT=X-Nap,RE=\"900 Tired\"}}}",
        "C=-{N=ROOT{OE=1{it/ito}},AV=ROOT{AT{}}}",
        "C=-{SC=ROOT{SV{MT=DC,RE=\"900 Service Restored\"}}}",
        "C=-{SC=ROOT{SV{MT=FO,RE=\"908 MG Impending Failure\"}}}",
    ] {
        world.ask(0, request);
        world.run(secs(15));
    }
    seen.append(&mut world.seen);
    assert!(seen.len() > 500, "{}", seen.len());
    let faults = faults("calls", &seen);
    assert!(faults.is_empty(), "{} {}", faults.len(), faults[0]);
}

#[test]
fn erlangs_megaco_reads_both_styles_of_every_command_as_the_same() {
    let script = "../protocols/h248/tests/otp/otp.escript";
    let script = Path::new(env!("CARGO_MANIFEST_DIR")).join(script);
    let directory = scratch("otp");
    let mut list = String::new();
    for (name, _) in commands() {
        let [compact, pretty] = [Style::Compact, Style::Pretty].map(|style| golden(name, style));
        let (compact, pretty) = (compact.display(), pretty.display());
        writeln!(list, "{name}\t{compact}\t{pretty}").unwrap();
    }
    let file = directory.join("list");
    fs::write(&file, &list).unwrap();
    let arguments = [script.to_str().unwrap(), "judge", file.to_str().unwrap()];
    let verdicts = run("escript", &arguments, ERLANG);
    fs::remove_dir_all(directory).unwrap();
    let verdicts: BTreeMap<_, _> = verdicts
        .lines()
        .filter_map(|line| line.split_once('\t'))
        .collect();
    assert_eq!(verdicts.len(), commands().len());
    let wrong: Vec<_> = verdicts
        .iter()
        .filter(|(_, verdict)| **verdict != "same")
        .collect();
    assert!(wrong.is_empty(), "{wrong:#?}");
}
