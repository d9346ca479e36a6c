//! Media relayed by a media process, judged by others: ffmpeg sends and hears, with SRTP of its
//! own, tshark reads what passed on the wire and what `strowger tap` has of it.

use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::time::Duration;

use interop::{Analysis, Capture, Folder, Namespace, Process, strowger};

const MGC: &str = "127.0.0.1:2944";
const MG: &str = "127.0.0.2:2944";
const ADMIN: &str = "127.0.0.2:9081";
const MEDIA: &str = "127.0.0.2";
const LIMIT: Duration = Duration::from_secs(60);
/// Two seconds of speech: enough for a report of RTCP.
const OCTETS: usize = 16_000;

/// The ends of the call, where they hear: at ports that tshark knows no protocol of.
const ALICE: &str = "127.0.0.11:41000";
const BOB: &str = "127.0.0.12:41100";
/// Who gets copies.
const COPIES: &str = "127.0.0.13:41200";

/// Keys and salts, as `inline` has them: of the gateway towards Alice, and of Alice.
const GATEWAYS: &str = "MTIzNDU2Nzg5MDEyMzQ1Njc4OTAxMjM0NTY3ODkw";
const ALICES: &str = "YWJjZGVmZ2hpamtsbW5vcHFyc3R1dnd4eXoxMjM0";

/// A gateway in a namespace, and the tool that controls it.
struct Gateway {
    tool: Process,
    // Dropped after the tool, before the namespace that it runs in.
    _media: Process,
    namespace: Namespace,
    folder: Folder,
}

impl Gateway {
    fn start() -> Self {
        let (namespace, folder) = (Namespace::new(), Folder::new());
        let line = format!("h248 --wait --mid {MGC} --timeout 30");
        let arguments: Vec<&str> = line.split_whitespace().collect();
        let mut command = strowger::command(&namespace, &arguments);
        let tool = Process::start_with_input("h248", &mut command, folder.path());
        let line = format!(
            "media --functions trgw --mgc {MGC} --mid {MG} --address {MEDIA} --ports 20000-20099 \
             --io udp --tap"
        );
        let arguments: Vec<&str> = line.split_whitespace().collect();
        let media = strowger::start(&namespace, &folder, "media", ADMIN, &arguments);
        Gateway {
            tool,
            _media: media,
            namespace,
            folder,
        }
    }

    /// Has the gateway do something, and returns what it replies from `part` on.
    fn say(&mut self, actions: &str, part: &str) -> String {
        let before = self.tool.output().len();
        self.tool.write_input(&format!("{actions}\n"));
        strowger::wait_until(LIMIT, part, || {
            let output = self.tool.output();
            assert!(!output[before..].contains("Error"), "{output}");
            output[before..].matches(part).count() > 0 && output.ends_with('\n')
        });
        self.tool.output()[before..].to_owned()
    }

    /// Somebody who hears: everything that comes to the description's address, as octets of A-law.
    fn hear(&self, name: &str, at: &str, profile: &str, crypto: &str) -> (Process, PathBuf) {
        let at: SocketAddr = at.parse().expect("an address");
        let description = self.folder.write(
            &format!("{name}.sdp"),
            format!(
                "v=0\no=- 0 0 IN IP4 {ip}\ns=-\nc=IN IP4 {ip}\nt=0 0\nm=audio {port} {profile} 8\n\
                 {crypto}",
                ip = at.ip(),
                port = at.port(),
            ),
        );
        let heard = self.folder.file(&format!("{name}.alaw"));
        let mut command = self.namespace.command("ffmpeg");
        command
            .args(["-nostdin", "-y", "-loglevel", "info"])
            .args(["-protocol_whitelist", "file,udp,rtp,srtp", "-i"])
            .arg(&description)
            .args(["-c", "copy", "-flush_packets", "1", "-f", "alaw"])
            .arg(&heard);
        let process = Process::start(name, &mut command, self.folder.path());
        (process, heard)
    }

    /// Waits until somebody listens at a port.
    fn wait_for_port(&self, port: u16) {
        strowger::wait_until(LIMIT, "somebody listens", || {
            let run = self.namespace.command("cat").arg("/proc/net/udp").output();
            let table = run.expect("there is a table").stdout;
            String::from_utf8_lossy(&table).contains(&format!(":{port:04X} "))
        });
    }

    /// Has somebody say what is in a file, at the pace of speech.
    fn talk(&self, name: &str, speech: &Path, srtp: &[&str], to: SocketAddr, from: u16) -> Process {
        let kind = if srtp.is_empty() { "rtp" } else { "srtp" };
        let mut command = self.namespace.command("ffmpeg");
        command
            .args(["-nostdin", "-loglevel", "info", "-re"])
            .args(["-f", "alaw", "-ar", "8000", "-ac", "1", "-i"])
            .arg(speech)
            .args(["-c", "copy", "-f", "rtp"])
            .args(srtp)
            .arg(format!("{kind}://{to}?localrtpport={from}&pkt_size=172"));
        Process::start(name, &mut command, self.folder.path())
    }
}

/// A termination that hears `remote` and sends to it; with keys, by SRTP.
fn add(mode: &str, remote: &str, keys: Option<[&str; 2]>) -> String {
    let remote: SocketAddr = remote.parse().expect("an address");
    let (ip, port) = (remote.ip(), remote.port());
    let profile = keys.map_or("RTP/AVP", |_| "RTP/SAVP");
    let [near, far] = keys.map_or([String::new(), String::new()], |keys| keys.map(crypto));
    format!(
        "Add = $ {{ Media {{ Stream = 1 {{ LocalControl {{ Mode = {mode} }}, Local {{\nv=0\n\
         c=IN IP4 $\nm=audio $ {profile} 8\n{near}}}, Remote {{\nv=0\nc=IN IP4 {ip}\n\
         m=audio {port} {profile} 8\n{far}}} }} }} }}"
    )
}

fn crypto(key: &str) -> String {
    format!("a=crypto:1 AES_CM_128_HMAC_SHA1_80 inline:{key}\n")
}

/// The numbers that follow a word.
fn numbers_after(text: &str, word: &str) -> Vec<u32> {
    let rests = text.split(word).skip(1);
    let digits = rests.map(|rest| {
        rest.trim_start()
            .split(|c: char| !c.is_ascii_digit())
            .next()
    });
    digits
        .flatten()
        .filter_map(|digits| digits.parse().ok())
        .collect()
}

fn local(port: u32) -> SocketAddr {
    format!("{MEDIA}:{port}").parse().expect("an address")
}

/// Waits until all is heard, and compares it with what was said.
fn assert_heard((hearer, heard): (Process, PathBuf), said: &[u8]) {
    strowger::wait_until(LIMIT, "all is heard", || {
        std::fs::metadata(&heard).is_ok_and(|file| file.len() >= said.len() as u64)
    });
    // It is written as it comes; who is asked to end waits for more for a while.
    drop(hearer);
    let heard = std::fs::read(&heard).expect("what was heard");
    assert!(heard == said, "what was heard is not what was said");
}

/// Speech that compresses to nothing: every octet counts.
fn speech(seed: u32) -> Vec<u8> {
    let next = |state: &u32| Some(state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223));
    let states = std::iter::successors(Some(seed), next).skip(1);
    states
        .map(|state| (state >> 24) as u8)
        .take(OCTETS)
        .collect()
}

#[test]
fn srtp_and_rtp_are_what_was_said_and_a_tap_has_all_of_it() {
    let mut gateway = Gateway::start();
    let (to_bob, to_alice) = (
        add("SendReceive", BOB, None),
        add("SendReceive", ALICE, Some([GATEWAYS, ALICES])),
    );
    let call = format!("Context = $ {{ {to_bob}, {to_alice} }}");
    let reply = gateway.say(&call, "RTP/SAVP");
    let context = numbers_after(&reply, "Context =")[0];
    let ports = numbers_after(&reply, "m=audio");
    let [bobs, alices] = [local(ports[0]), local(ports[1])];
    let copies = add("SendOnly", COPIES, None);
    gateway.say(&format!("Context = {context} {{ {copies} }}"), "ip/1/3");
    let oneway = "ip/1/1, ip/1/3, Oneway, ip/1/2, ip/1/3, Oneway";
    let done = format!("Context = {context}");
    gateway.say(&format!("{done} {{ Topology {{ {oneway} }} }}"), &done);

    let wire = Capture::start(&gateway.namespace, &gateway.folder);
    let tapped = gateway.folder.file("tapped.pcapng");
    let line = format!("tap --context {context} --admin {ADMIN} --seconds 60 --out");
    let mut arguments: Vec<&str> = line.split_whitespace().collect();
    arguments.push(tapped.to_str().expect("the path is text"));
    let mut command = strowger::command(&gateway.namespace, &arguments);
    let tap = Process::start("tap", &mut command, gateway.folder.path());
    let alice = gateway.hear("alice", ALICE, "RTP/SAVP", &crypto(GATEWAYS));
    let bob = gateway.hear("bob", BOB, "RTP/AVP", "");
    for port in [41_000, 41_100] {
        gateway.wait_for_port(port);
    }
    strowger::wait_until(LIMIT, "the tap begins", || {
        std::fs::metadata(&tapped).is_ok_and(|file| file.len() > 0)
    });
    let said = [speech(1), speech(2)];
    let files = [("alices", &said[0]), ("bobs", &said[1])];
    let files = files.map(|(name, speech)| gateway.folder.write(name, speech));
    let keys = [
        "-srtp_out_suite",
        "AES_CM_128_HMAC_SHA1_80",
        "-srtp_out_params",
        ALICES,
    ];
    let talkers = [
        gateway.talk("alice-talks", &files[0], &keys, alices, 41_500),
        gateway.talk("bob-talks", &files[1], &[], bobs, 41_600),
    ];
    for talker in talkers {
        talker.wait(LIMIT).expect_success("ffmpeg");
    }
    assert_heard(bob, &said[0]);
    assert_heard(alice, &said[1]);
    gateway.say(
        &format!("{done} {{ Subtract = * {{ Audit {{ }} }} }}"),
        &done,
    );
    tap.wait(LIMIT).expect_success("tap");
    let wire = wire.stop();

    wire.assert_clean(&["rtp", "rtcp"]);
    let tapped = Analysis::of(&tapped);
    tapped.assert_clean(&["rtp", "rtcp"]);
    tapped.assert_checksums();
    for analysis in [&wire, &tapped] {
        let streams = analysis.rtp_streams();
        let to = |end: &str| {
            streams
                .iter()
                .filter(|stream| stream.destination == end)
                .count()
        };
        assert_eq!([ALICE, BOB].map(to), [1, 1], "{streams:#?}");
        assert_eq!(to(COPIES), 2, "a stream of each: {streams:#?}");
        assert_eq!(streams.len(), 6, "{streams:#?}");
    }
    // Nothing of what Alice says is readable on her side, and nothing is hidden on the others.
    let readable = |side: &str, octets: &[u8]| {
        let hex: Vec<String> = octets.iter().map(|octet| format!("{octet:02x}")).collect();
        tapped.count(&format!("{side} && udp contains {}", hex.join(":")))
    };
    let part = &said[0][4000..4016];
    assert_eq!(readable("udp.port == 41500", part), 0);
    assert_eq!(readable("udp.port == 41100", part), 1);
    assert_eq!(readable("udp.port == 41200", part), 1);
    assert_eq!(readable("udp.port == 41000", &said[1][4000..4016]), 0);
}
