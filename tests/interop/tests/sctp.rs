//! H.248 over SCTP between two hosts with two networks: calls, paths that fail, processes that die.
//!
//! usrsctp is on both sides; what is on the wire is read by tshark.

use std::process::Command;
use std::thread;
use std::time::Duration;

use interop::{Analysis, Capture, Folder, Namespace, Process, strowger};
use serde_json::Value;

const CONTROL: &str = "192.0.2.1:9080";
const MEDIA: &str = "192.0.2.2:9081";
const LIMIT: Duration = Duration::from_secs(60);
/// What each process says of SCTP: paths are tried twice a second.
const SCTP: &str = "[sctp]\nheartbeat_ms = 500\n";
/// UDP port of RFC 6951.
const UDP_PORT: u16 = 9899;

/// The networks over which H.248 goes.
#[derive(Clone, Copy, Debug)]
enum Cable {
    First,
    Second,
}

impl Cable {
    fn link(self) -> &'static str {
        match self {
            Cable::First => "first",
            Cable::Second => "second",
        }
    }

    /// Its address on the host with this number.
    fn address(self, host: u8) -> String {
        match self {
            Cable::First => format!("10.1.0.{host}"),
            Cable::Second => format!("10.2.0.{host}"),
        }
    }
}

/// What carries SCTP.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Carrier {
    Raw,
    Udp,
}

/// Control on one host, media on the other; SIP and RTP have a network of their own.
struct Hosts {
    // Dropped in this order: processes before the namespaces that they run in.
    media: Option<Process>,
    control: Option<Process>,
    capture: Capture,
    near: Namespace,
    far: Namespace,
    folder: Folder,
}

impl Hosts {
    fn new(encoding: &str, carrier: Carrier) -> Self {
        let (near, far, folder) = (Namespace::new(), Namespace::new(), Folder::new());
        for (link, network) in [
            ("first", "10.1.0"),
            ("second", "10.2.0"),
            ("third", "192.0.2"),
        ] {
            let (one, other) = (near.name(), far.name());
            ip(&format!(
                "link add name {link} netns {one} type veth peer name {link} netns {other}"
            ));
            for (host, last) in [(one, 1), (other, 2)] {
                ip(&format!(
                    "-n {host} addr add {network}.{last}/24 dev {link}"
                ));
                ip(&format!("-n {host} link set {link} up"));
            }
        }
        let udp = match carrier {
            Carrier::Raw => String::new(),
            Carrier::Udp => format!("udp_port = {UDP_PORT}\n"),
        };
        folder.write(
            "control.toml",
            format!(
                "realm = \"ims.test\"\nhss = \"local\"\nsip = [\"192.0.2.1:5060\"]\n\
                 mgc = \"10.1.0.1:2944\"\nmgc_addresses = [\"10.2.0.1\"]\n\
                 h248 = \"pretty,sctp\"\nstore = \"subscribers.redb\"\nstate = \"hss\"\n{SCTP}{udp}"
            ),
        );
        folder.write(
            "media.toml",
            format!(
                "{SCTP}{udp}[[mg]]\nmid = \"10.1.0.2:2944\"\nmid_addresses = [\"10.2.0.2\"]\n\
                 mgc = [\"10.1.0.1:2944\"]\nmgc_addresses = {{ \"10.1.0.1:2944\" = [\"10.2.0.1\"] }}\n\
                 h248 = \"{encoding},sctp\"\naddresses = [\"192.0.2.2\"]\nports = \"20000-20099\"\n"
            ),
        );
        let capture = Capture::start_on(&near, "any", &folder);
        let mut hosts = Hosts {
            media: None,
            control: None,
            capture,
            near,
            far,
            folder,
        };
        hosts.start_control();
        hosts.start_media();
        hosts.wait_for_gateway();
        hosts
    }

    fn start_control(&mut self) {
        let line = ["control", "--config", "control.toml"];
        let process = strowger::start(&self.near, &self.folder, "control", CONTROL, &line);
        self.control = Some(process);
    }

    fn start_media(&mut self) {
        let line = ["media", "--config", "media.toml"];
        let process = strowger::start(&self.far, &self.folder, "media", MEDIA, &line);
        self.media = Some(process);
    }

    fn wait_for_gateway(&self) {
        strowger::wait_until(LIMIT, "the gateway registers", || {
            self.control_status()["media_gateways"][0]["state"] == "in service"
        });
    }

    fn control_status(&self) -> Value {
        strowger::status(&self.near, &self.folder, CONTROL).unwrap_or_default()
    }

    fn media_status(&self) -> Value {
        strowger::status(&self.far, &self.folder, MEDIA).unwrap_or_default()
    }

    /// Waits until both sides say so of the path over this cable.
    fn wait_for_path(&self, cable: Cable, state: &str) {
        let is_so = |status: Value, host| {
            let paths = status["h248_paths"].as_array().cloned().unwrap_or_default();
            let address = format!("{}:2944", cable.address(host));
            let mut paths = paths.iter();
            paths.any(|path| path["address"] == address && path["state"] == state)
        };
        strowger::wait_until(LIMIT, &format!("{cable:?} is {state}"), || {
            is_so(self.control_status(), 2) && is_so(self.media_status(), 1)
        });
    }

    /// Frames go to an interface that nobody has: neither side notices anything but silence.
    fn cut(&self, cable: Cable) {
        for (host, peer) in [(&self.near, 2), (&self.far, 1)] {
            let (host, link) = (host.name(), cable.link());
            let nobody = "lladdr 02:00:00:00:00:99 nud permanent";
            let address = cable.address(peer);
            ip(&format!(
                "-n {host} neigh replace {address} dev {link} {nobody}"
            ));
        }
    }

    fn mend(&self, cable: Cable) {
        for (host, peer) in [(&self.near, 2), (&self.far, 1)] {
            let (host, link) = (host.name(), cable.link());
            ip(&format!(
                "-n {host} neigh del {} dev {link}",
                cable.address(peer)
            ));
        }
    }

    /// Two users on the near host call each other; their media passes the far one.
    fn call(&self, seconds: u32) -> Process {
        let line = format!(
            "call --proxy 192.0.2.1:5060 --local 192.0.2.1 --realm ims.test --admin {CONTROL} \
             --state hss --seconds {seconds}"
        );
        let line: Vec<&str> = line.split_whitespace().collect();
        let mut command = strowger::command(&self.near, &line);
        Process::start("call", &mut command, self.folder.path())
    }

    fn good_call(&self) {
        self.call(1).wait(LIMIT).expect_success("a call");
    }

    /// Starts a call that lasts, and waits until its media flows.
    fn long_call(&self, seconds: u32) -> Process {
        let call = self.call(seconds);
        strowger::wait_until(LIMIT, "the call is up", || {
            self.control_status()["dialogs"] == 2
        });
        thread::sleep(Duration::from_millis(300));
        call
    }

    fn wait_for_nothing(&self) {
        strowger::wait_until(Duration::from_secs(60), "nothing is left", || {
            let (control, media) = (self.control_status(), self.media_status());
            control["contexts"] == 0 && media["contexts"] == 0 && control["dialogs"] == 0
        });
    }

    /// Checks that both are still there, and gives the capture to `check`.
    fn finish(mut self, check: impl FnOnce(&Analysis)) {
        for process in [&mut self.control, &mut self.media] {
            let process = process.as_mut().expect("it was started");
            assert!(process.is_running(), "{}", process.output());
        }
        // In order: the peers say goodbye.
        let media = self.media.take().expect("it was started").stop(LIMIT);
        media.expect_success("media");
        let control = self.control.take().expect("it was started").stop(LIMIT);
        control.expect_success("control");
        // What it has not read yet when it is stopped, dumpcap leaves out.
        thread::sleep(Duration::from_secs(1));
        let analysis = self.capture.stop();
        assert_carried(&analysis);
        check(&analysis);
    }
}

/// What holds of every capture: both addresses in INIT and INIT ACK, H.248 and nothing else in
/// DATA, every checksum good, and an end in order.
fn assert_carried(analysis: &Analysis) {
    let addresses = |host: u8| {
        let has = |cable: Cable| format!("sctp.parameter_ipv4_address == {}", cable.address(host));
        format!("{} && {}", has(Cable::First), has(Cable::Second))
    };
    assert!(
        analysis.count(&format!("sctp.chunk_type == 1 && {}", addresses(2))) > 0,
        "INIT"
    );
    assert!(
        analysis.count(&format!("sctp.chunk_type == 2 && {}", addresses(1))) > 0,
        "INIT ACK"
    );
    assert!(
        analysis.count("sctp.data_payload_proto_id == 7") > 0,
        "H.248"
    );
    assert_eq!(analysis.count("sctp.data_payload_proto_id != 7"), 0);
    let checked = ["-o", "sctp.checksum:CRC-32C"];
    assert!(analysis.count_with(&checked, "sctp.checksum.status == 1") > 0);
    assert_eq!(
        analysis.count_with(&checked, "sctp && sctp.checksum.status != 1"),
        0
    );
    assert!(
        analysis.count("sctp.chunk_type == 14") > 0,
        "SHUTDOWN COMPLETE"
    );
}

fn a_call_passes(encoding: &str, carrier: Carrier, protocol: &str) {
    let hosts = Hosts::new(encoding, carrier);
    hosts.wait_for_path(Cable::First, "reachable");
    hosts.wait_for_path(Cable::Second, "reachable");
    hosts.good_call();
    hosts.wait_for_nothing();
    hosts.finish(|analysis| {
        analysis.assert_clean(&["sip", "rtp", "sctp", protocol]);
        let in_udp = analysis.count(&format!("sctp && udp.port == {UDP_PORT}"));
        match carrier {
            Carrier::Raw => assert_eq!(in_udp, 0),
            Carrier::Udp => assert_eq!(in_udp, analysis.count("sctp")),
        }
    });
}

#[test]
fn a_call_with_compact_text_over_raw_sctp() {
    a_call_passes("compact", Carrier::Raw, "megaco");
}

#[test]
fn a_call_with_binary_over_raw_sctp() {
    a_call_passes("ber", Carrier::Raw, "h248");
}

#[test]
fn a_call_with_pretty_text_over_sctp_in_udp() {
    a_call_passes("pretty", Carrier::Udp, "megaco");
}

#[test]
fn a_call_with_binary_over_sctp_in_udp() {
    a_call_passes("ber", Carrier::Udp, "h248");
}

/// Either network fails, in a call and between calls; the other carries on.
fn a_path_fails(carrier: Carrier) {
    let hosts = Hosts::new("compact", carrier);
    for (cable, other) in [(Cable::First, Cable::Second), (Cable::Second, Cable::First)] {
        hosts.wait_for_path(cable, "reachable");
        hosts.wait_for_path(other, "reachable");
        let call = hosts.long_call(3);
        hosts.cut(cable);
        call.wait(LIMIT)
            .expect_success("a call in which a path fails");
        hosts.wait_for_path(cable, "unreachable");
        hosts.wait_for_path(other, "reachable");
        hosts.good_call();
        hosts.mend(cable);
    }
    hosts.wait_for_path(Cable::Second, "reachable");
    hosts.wait_for_nothing();
    let status = hosts.control_status();
    assert_eq!(status["counters"]["h248.timeout"], 0, "{status}");
    let control = hosts.control.as_ref().expect("it was started").output();
    for words in ["unreachable", "reachable"] {
        assert!(control.contains(&format!("state=\"{words}\"")), "{control}");
    }
    assert!(!control.contains("association gone"), "{control}");
    hosts.finish(|_| {});
}

#[test]
fn a_path_of_raw_sctp_fails() {
    a_path_fails(Carrier::Raw);
}

#[test]
fn a_path_of_sctp_in_udp_fails() {
    a_path_fails(Carrier::Udp);
}

/// Control is killed in a call and is back at once: the call goes on and ends as its users wish.
fn control_dies(carrier: Carrier) {
    let mut hosts = Hosts::new("ber", carrier);
    let call = hosts.long_call(4);
    hosts.control = None;
    hosts.start_control();
    assert_eq!(hosts.control_status()["dialogs"], 2, "the call is taken up");
    call.wait(LIMIT)
        .expect_success("a call over a kill of control");
    hosts.wait_for_gateway();
    hosts.wait_for_nothing();
    hosts.good_call();
    hosts.finish(|_| {});
}

#[test]
fn a_call_outlives_a_kill_of_control_over_raw_sctp() {
    control_dies(Carrier::Raw);
}

#[test]
fn a_call_outlives_a_kill_of_control_over_sctp_in_udp() {
    control_dies(Carrier::Udp);
}

/// Media is killed and is back before anybody has missed it: the association restarts (RFC 9260
/// 5.2), what it held is lost, and the next call is good.
fn media_dies(carrier: Carrier) {
    let mut hosts = Hosts::new("compact", carrier);
    let call = hosts.long_call(2);
    hosts.media = None;
    hosts.start_media();
    let control = hosts.control.as_ref().expect("it was started");
    strowger::wait_until(LIMIT, "the restart is seen", || {
        control.output().contains("SCTP association restarted")
    });
    hosts.wait_for_gateway();
    // Released by the controller, or ended without being heard.
    drop(call.wait(LIMIT));
    hosts.wait_for_nothing();
    hosts.good_call();
    hosts.finish(|_| {});
}

#[test]
fn a_restart_of_media_is_seen_over_raw_sctp() {
    media_dies(Carrier::Raw);
}

#[test]
fn a_restart_of_media_is_seen_over_sctp_in_udp() {
    media_dies(Carrier::Udp);
}

/// `strowger h248` is the controller, on the host of the gateway.
fn a_controller_by_hand(encoding: &str, udp: [&str; 2]) {
    let (namespace, folder) = (Namespace::new(), Folder::new());
    namespace.add_address("127.0.0.2/32");
    let [own, theirs] = udp;
    let media = format!(
        "media --mid 127.0.0.2:2944 --mgc 127.0.0.1:2944 --h248 {encoding},sctp \
         --address 127.0.0.2 --ports 20000-20099 {theirs}"
    );
    let media: Vec<&str> = media.split_whitespace().collect();
    let _media = strowger::start(&namespace, &folder, "media", "127.0.0.2:9081", &media);
    let tool =
        format!("h248 --wait --timeout 15 --mid 127.0.0.1:2944 --h248 {encoding},sctp {own}");
    let mut tool: Vec<&str> = tool.split_whitespace().collect();
    tool.push("AuditValue = ROOT { Audit { Packages } }");
    let run = strowger::run(&namespace, &folder, "h248", &tool);
    run.expect_success("h248");
    assert!(run.output.contains("Packages"), "{}", run.output);
}

#[test]
fn a_controller_by_hand_speaks_raw_sctp() {
    a_controller_by_hand("pretty", ["", ""]);
}

#[test]
fn a_controller_by_hand_speaks_sctp_in_udp() {
    // On one host each has a port of its own.
    a_controller_by_hand("ber", ["--sctp-udp 9899", "--sctp-udp 9900,9899"]);
}

fn ip(arguments: &str) {
    let run = Command::new("ip")
        .args(arguments.split_whitespace())
        .output();
    let run = run.unwrap_or_else(|fault| panic!("cannot run ip (apt install iproute2): {fault}"));
    let complaint = String::from_utf8_lossy(&run.stderr);
    assert!(run.status.success(), "ip {arguments} failed: {complaint}");
}
