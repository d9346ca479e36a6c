//! Calls between two hosts with a cable between them, relayed by the `af_xdp` back-end.

use std::process::Command;
use std::time::{Duration, Instant};

use interop::{Capture, Folder, Namespace, Process, strowger};
use serde_json::Value;

const CONTROL: &str = "192.0.2.1:9080";
const MEDIA: &str = "127.0.0.2:9081";
const LIMIT: Duration = Duration::from_secs(20);

/// Two hosts: the network on one, its users on the other.
struct Hosts {
    // Dropped in this order: processes before the namespaces that they run in.
    media: Option<Process>,
    _control: Process,
    near: Namespace,
    far: Namespace,
    folder: Folder,
}

impl Hosts {
    fn new() -> Self {
        let (near, far, folder) = (Namespace::new(), Namespace::new(), Folder::new());
        let cable = format!(
            "link add near netns {} type veth peer name far netns {}",
            near.name(),
            far.name()
        );
        ip(&cable);
        for (host, link, last) in [(&near, "near", "1"), (&far, "far", "2")] {
            let host = host.name();
            ip(&format!("-n {host} addr add 192.0.2.{last}/24 dev {link}"));
            ip(&format!(
                "-n {host} addr add 2001:db8::{last}/64 dev {link} nodad"
            ));
            ip(&format!("-n {host} link set {link} up"));
        }
        let control = "control --roles pcscf,icscf,scscf,hss --realm ims.test --hss local \
                       --sip 192.0.2.1:5060,[2001:db8::1]:5060 --mgc 127.0.0.1:2944 \
                       --store subscribers.redb --state hss";
        let control = start(&near, &folder, "control", CONTROL, control);
        let mut hosts = Hosts {
            media: None,
            _control: control,
            near,
            far,
            folder,
        };
        hosts.start_media();
        hosts
    }

    /// Starts the media process and waits until it is in service. Returns how long it took until it
    /// answered.
    fn start_media(&mut self) -> Duration {
        let line = "media --functions trgw --mgc 127.0.0.1:2944 --mid 127.0.0.2:2944 \
                    --address 192.0.2.1,2001:db8::1 --ports 20000-20999 --io af_xdp \
                    --interface near";
        let started = Instant::now();
        self.media = Some(start(&self.near, &self.folder, "media", MEDIA, line));
        let taken = started.elapsed();
        strowger::wait_until(LIMIT, "the gateway registers", || {
            let status = strowger::status(&self.near, &self.folder, CONTROL);
            let gateways = status.and_then(|status| status["media_gateways"].as_array().cloned());
            gateways.is_some_and(|all| all.iter().any(|each| each["state"] == "in service"))
        });
        taken
    }

    fn media(&self) -> &Process {
        self.media.as_ref().expect("it was started")
    }

    fn status(&self) -> Value {
        strowger::status(&self.near, &self.folder, MEDIA).expect("the media process answers")
    }

    /// Two users on the far host call each other.
    fn call(&self, proxy: &str, local: &str) {
        let line = format!(
            "call --proxy {proxy} --local {local} --realm ims.test --admin {CONTROL} --state hss"
        );
        let arguments: Vec<&str> = line.split_whitespace().collect();
        let run = strowger::run(&self.far, &self.folder, "call", &arguments);
        run.expect_success("strowger call");
    }

    fn has_program(&self) -> bool {
        ip(&format!("-n {} -d link show near", self.near.name())).contains("prog/xdp")
    }
}

fn start(host: &Namespace, folder: &Folder, name: &str, admin: &str, line: &str) -> Process {
    let arguments: Vec<&str> = line.split_whitespace().collect();
    strowger::start(host, folder, name, admin, &arguments)
}

fn ip(arguments: &str) -> String {
    let run = Command::new("ip")
        .args(arguments.split_whitespace())
        .output();
    let run = run.unwrap_or_else(|fault| panic!("cannot run ip: {fault}"));
    let fault = String::from_utf8_lossy(&run.stderr);
    assert!(run.status.success(), "ip {arguments}: {fault}");
    String::from_utf8_lossy(&run.stdout).into_owned()
}

#[test]
fn calls_over_either_family_and_between_them_are_clean() {
    let hosts = Hosts::new();
    let capture = Capture::start_on(&hosts.far, "far", &hosts.folder);
    for (proxy, local) in [
        ("192.0.2.1:5060", "192.0.2.2"),
        ("[2001:db8::1]:5060", "2001:db8::2"),
        ("192.0.2.1:5060,[2001:db8::1]:5060", "192.0.2.2,2001:db8::2"),
    ] {
        hosts.call(proxy, local);
    }
    let status = hosts.status();
    let interface = &status["interfaces"][0];
    assert_eq!(status["io"], "af_xdp");
    assert_eq!(
        (&interface["name"], &interface["mode"]),
        (&"near".into(), &"native".into())
    );
    assert_eq!(interface["zero_copy"], false);
    assert!(status["counters"]["packets.received"].as_u64() > Some(0));
    for reason in [
        "malformed",
        "tx_refused",
        "tx_full",
        "no_frame",
        "truncated",
    ] {
        assert_eq!(status["counters"][format!("drop.{reason}")], 0, "{reason}");
    }
    // What it needed to open all this it has given up.
    let id = hosts.media().id();
    let about = std::fs::read_to_string(format!("/proc/{id}/status")).expect("it runs");
    assert!(about.contains("CapEff:\t0000000000000000"), "{about}");
    let analysis = capture.stop();
    analysis.assert_clean(&["sip", "rtp", "rtcp"]);
    let streams = analysis.rtp_streams();
    assert_eq!(streams.len(), 3 * 2 * 2, "{streams:#?}");
    assert!(
        streams.iter().all(|stream| stream.lost == 0),
        "{streams:#?}"
    );
}

#[test]
fn a_killed_process_leaves_nothing_and_starts_again_at_once() {
    let mut hosts = Hosts::new();
    for _ in 0..2 {
        hosts.call("192.0.2.1:5060", "192.0.2.2");
        assert!(hosts.has_program());
        let killed = hosts.media.take().expect("it was started");
        killed.kill();
        // The interface passes what was the back-end's to the kernel.
        strowger::wait_until(Duration::from_secs(1), "nothing is attached", || {
            !hosts.has_program()
        });
        killed.wait(LIMIT);
        let taken = hosts.start_media();
        assert!(taken < Duration::from_secs(5), "{taken:?}");
    }
    hosts.call("192.0.2.1:5060", "192.0.2.2");
}
