//! A tap round the simulated network: what it writes, as tshark reads it.

use base::Instant;
use dataplane::io::sim;
use dataplane::io::tap::{self, Capture};
use dataplane::{
    Config, Context, Control, Datagram, Function, LocalAddress, LocalAddresses, Path, Verdict,
    Worker, runtime,
};
use std::net::SocketAddr;
use std::process::Command;
use std::time::Duration;

struct Pipe;

impl Function for Pipe {
    fn handle_burst(&mut self, _: &mut Context<'_>, _: &mut [Datagram], verdicts: &mut [Verdict]) {
        verdicts.fill(Verdict::Forward);
    }
}

fn at(text: &str) -> SocketAddr {
    text.parse().unwrap()
}

struct Rig {
    now: Instant,
    control: Control,
    worker: Worker,
    network: sim::Network,
    tap: tap::Tap,
}

impl Rig {
    fn new() -> Self {
        let locals = ["192.0.2.1", "2001:db8::1"]
            .map(|ip| LocalAddress::new(ip.parse().unwrap(), 10_000..=10_009));
        let addresses = LocalAddresses::new(&locals).unwrap();
        let (backend, network) = sim::backend(&addresses, 1, 256);
        let (backend, tap) = tap::wrap(backend);
        let pipe = |_| Box::new(Pipe) as Box<dyn Function>;
        let (control, mut workers) = runtime(&Config::default(), backend, pipe).unwrap();
        Self {
            now: Instant::from_nanos(1_800_000_000_123_456_789),
            control,
            worker: workers.pop().unwrap(),
            network,
            tap,
        }
    }

    /// Ten packets from each side, 20 ms apart.
    fn talk(&mut self, sides: &[(&str, &str)]) {
        for number in 0..10_u8 {
            for (from, to) in sides {
                let mut packet = [0x55; 172];
                packet[..4].copy_from_slice(&[0x80, 8, 0, number]);
                packet[4..12].fill(number / 10);
                packet[4..8].copy_from_slice(&(u32::from(number) * 160).to_be_bytes());
                assert!(self.network.send(0, at(from), at(to), &packet));
            }
            self.worker.turn(self.now);
            self.now += Duration::from_millis(20);
        }
        self.network.discard();
    }
}

const ALICE: &str = "203.0.113.9:5000";
const BOB: &str = "[2001:db8:b0b::1]:6000";

#[test]
fn tshark_reads_what_passed_of_the_chosen_flows_without_a_warning() {
    let mut rig = Rig::new();
    let a = rig
        .control
        .open_flow(rig.now, at("192.0.2.1:10000"))
        .unwrap();
    let b = rig
        .control
        .open_flow(rig.now, at("[2001:db8::1]:10002"))
        .unwrap();
    let other = rig
        .control
        .open_flow(rig.now, at("192.0.2.1:10004"))
        .unwrap();
    rig.control.set_path(a, Path::to(b, at(BOB))).unwrap();
    rig.control.set_path(b, Path::to(a, at(ALICE))).unwrap();
    rig.control
        .set_path(other, Path::to(other, at(ALICE)))
        .unwrap();
    let sides = [
        (ALICE, "192.0.2.1:10000"),
        (BOB, "[2001:db8::1]:10002"),
        (ALICE, "192.0.2.1:10004"),
    ];
    let mut capture = Capture::new(Vec::new(), 1 << 20).unwrap();
    rig.talk(&sides);
    rig.tap.drain(&mut capture).unwrap();
    assert_eq!(capture.packets(), (0, 0), "nothing is tapped at first");
    rig.tap.set(a, true);
    rig.tap.set(b, true);
    rig.talk(&sides);
    rig.tap.drain(&mut capture).unwrap();
    rig.tap.set(a, false);
    rig.tap.set(b, false);
    rig.talk(&sides);
    rig.tap.drain(&mut capture).unwrap();
    assert_eq!((capture.packets(), rig.tap.lost()), ((40, 0), 0));

    let file = std::env::temp_dir().join(format!("tap-{}.pcapng", std::process::id()));
    std::fs::write(&file, capture.into_writer()).unwrap();
    let fields = [
        "ip.src",
        "ipv6.src",
        "udp.checksum.status",
        "frame.packet_flags_direction",
    ];
    let mut tshark = Command::new("tshark");
    tshark.args(["-n", "-o", "udp.check_checksum:TRUE", "-T", "fields", "-r"]);
    tshark.arg(&file);
    let output = tshark
        .args(fields.iter().flat_map(|field| ["-e", field]))
        .output();
    let output = output.expect("tshark is installed");
    let expert = Command::new("tshark")
        .args(["-n", "-q", "-z", "expert,warn", "-r"])
        .arg(&file)
        .output();
    let _ = std::fs::remove_file(&file);
    let complaint = String::from_utf8_lossy(&output.stderr).into_owned();
    let complaint = complaint
        .lines()
        .filter(|line| !line.is_empty() && !line.starts_with("Running as user"));
    assert_eq!(
        complaint.count(),
        0,
        "{}",
        String::from_utf8_lossy(&output.stderr)
    );
    let expert = String::from_utf8(expert.unwrap().stdout).unwrap();
    assert!(
        !expert.contains("Warn") && !expert.contains("Error"),
        "{expert}"
    );
    let lines = String::from_utf8(output.stdout).unwrap();
    let count = |line: &str| lines.lines().filter(|found| *found == line).count();
    for line in [
        "203.0.113.9\t\t1\t0x00000001",
        "\t2001:db8::1\t1\t0x00000002",
        "\t2001:db8:b0b::1\t1\t0x00000001",
        "192.0.2.1\t\t1\t0x00000002",
    ] {
        assert_eq!(count(line), 10, "{line}\n{lines}");
    }
}

#[test]
fn a_capture_keeps_to_its_size_and_a_full_ring_is_counted() {
    let mut rig = Rig::new();
    let a = rig
        .control
        .open_flow(rig.now, at("192.0.2.1:10000"))
        .unwrap();
    rig.control.set_path(a, Path::to(a, at(ALICE))).unwrap();
    rig.tap.set(a, true);
    rig.tap.set(a, true);
    for _ in 0..60 {
        rig.talk(&[(ALICE, "192.0.2.1:10000")]);
    }
    assert_eq!(rig.tap.lost(), 1200 - 256);
    let mut capture = Capture::new(Vec::new(), 10_000).unwrap();
    rig.tap.drain(&mut capture).unwrap();
    let (written, refused) = capture.packets();
    assert_eq!(written + refused, 256);
    let bytes = capture.into_writer().len();
    assert!((9_000..=10_000).contains(&bytes), "{bytes}");
    rig.tap.set(a, false);
    rig.talk(&[(ALICE, "192.0.2.1:10000")]);
    assert_eq!(rig.tap.lost(), 1200 - 256);
}
