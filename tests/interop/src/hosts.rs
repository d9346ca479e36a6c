//! Two hosts with a cable between them: the network on one, its users on the other.

use std::process::Command;
use std::time::{Duration, Instant};

use serde_json::Value;

use crate::{Capture, Folder, Namespace, Process, strowger};

const CONTROL: &str = "192.0.2.1:9080";
const MEDIA: &str = "127.0.0.2:9081";
const LIMIT: Duration = Duration::from_secs(60);

/// Two hosts, *near* and *far*, with a cable between interfaces of these names.
///
/// | | near | far |
/// |---|---|---|
/// | IPv4 | 192.0.2.1 | 192.0.2.2 |
/// | IPv6 | 2001:db8::1 | 2001:db8::2 |
pub struct Cable {
    /// The host of the network.
    pub near: Namespace,
    /// The host of its users.
    pub far: Namespace,
}

impl Cable {
    /// Lays it.
    pub fn lay() -> Self {
        Self::lay_as("")
    }

    /// The same; both ends have so many queues.
    pub fn lay_with_queues(queues: u32) -> Self {
        Self::lay_as(&format!("numrxqueues {queues} numtxqueues {queues}"))
    }

    fn lay_as(end: &str) -> Self {
        let (near, far) = (Namespace::new(), Namespace::new());
        plug_as(&near, "near", &far, "far", end);
        for (host, link, last) in [(&near, "near", "1"), (&far, "far", "2")] {
            let host = host.name();
            ip(&format!("-n {host} addr add 192.0.2.{last}/24 dev {link}"));
            ip(&format!(
                "-n {host} addr add 2001:db8::{last}/64 dev {link} nodad"
            ));
        }
        Cable { near, far }
    }
}

/// A [`Cable`] whose near host runs a control process, and a media process with the packet back-end
/// of the test.
pub struct Hosts {
    // Dropped in this order: processes before the namespaces that they run in.
    media: Option<Process>,
    _control: Process,
    cable: Cable,
    folder: Folder,
    /// How the media process is started.
    line: Vec<String>,
}

impl Hosts {
    /// Makes them and starts the control process; the media process is to get these arguments
    /// besides those for its H.248.
    pub fn new(media: &[&str]) -> Self {
        let (cable, folder) = (Cable::lay(), Folder::new());
        let control = "control --roles pcscf,icscf,scscf,hss --realm ims.test --hss local \
                       --sip 192.0.2.1:5060,[2001:db8::1]:5060 --mgc 127.0.0.1:2944 \
                       --store subscribers.redb --state hss";
        let control: Vec<&str> = control.split_whitespace().collect();
        let control = strowger::start(&cable.near, &folder, "control", CONTROL, &control);
        let h248 = "media --functions trgw --mgc 127.0.0.1:2944 --mid 127.0.0.2:2944";
        let line = h248.split_whitespace().chain(media.iter().copied());
        Hosts {
            media: None,
            _control: control,
            cable,
            folder,
            line: line.map(str::to_owned).collect(),
        }
    }

    /// Starts the media process and waits until it is in service. Returns how long it took until it
    /// answered.
    pub fn start_media(&mut self) -> Duration {
        let line: Vec<&str> = self.line.iter().map(String::as_str).collect();
        let started = Instant::now();
        let media = strowger::start(&self.cable.near, &self.folder, "media", MEDIA, &line);
        self.media = Some(media);
        let taken = started.elapsed();
        strowger::wait_until(LIMIT, "the gateway registers", || {
            let status = strowger::status(&self.cable.near, &self.folder, CONTROL);
            let gateways = status.and_then(|status| status["media_gateways"].as_array().cloned());
            gateways.is_some_and(|all| all.iter().any(|each| each["state"] == "in service"))
        });
        taken
    }

    /// Kills the media process, and waits until it is gone; `meanwhile` is done between.
    pub fn kill_media(&mut self, meanwhile: impl FnOnce(&Self)) {
        let killed = self.media.take().expect("it was started");
        killed.kill();
        meanwhile(self);
        killed.wait(LIMIT);
    }

    /// The media process.
    pub fn media(&self) -> &Process {
        self.media.as_ref().expect("it was started")
    }

    /// What the media process says of itself.
    pub fn status(&self) -> Value {
        strowger::status(&self.cable.near, &self.folder, MEDIA).expect("the media process answers")
    }

    /// Two users on the far host call each other.
    pub fn call(&self, proxy: &str, local: &str) {
        let line = format!(
            "call --proxy {proxy} --local {local} --realm ims.test --admin {CONTROL} --state hss"
        );
        let arguments: Vec<&str> = line.split_whitespace().collect();
        let run = strowger::run(&self.cable.far, &self.folder, "call", &arguments);
        run.expect_success("strowger call");
    }

    /// The same over IPv4, over IPv6, and between them.
    pub fn call_over_every_family(&self) {
        for (proxy, local) in [
            ("192.0.2.1:5060", "192.0.2.2"),
            ("[2001:db8::1]:5060", "2001:db8::2"),
            ("192.0.2.1:5060,[2001:db8::1]:5060", "192.0.2.2,2001:db8::2"),
        ] {
            self.call(proxy, local);
        }
    }

    /// What every packet back-end is judged by: calls over every family are heard, and whole on the
    /// interface of the far host that media passes. Returns what the media process says then.
    pub fn check_calls(&self, interface: &str, protocols: &[&str]) -> Value {
        let capture = Capture::start_on(self.far(), interface, &self.folder);
        self.call_over_every_family();
        let status = self.status();
        self.assert_nothing_lost();
        let analysis = capture.stop();
        analysis.assert_clean(protocols);
        let streams = analysis.rtp_streams();
        // Of three calls both ways, on either leg.
        assert_eq!(streams.len(), 3 * 2 * 2, "{streams:#?}");
        assert!(
            streams.iter().all(|stream| stream.lost == 0),
            "{streams:#?}"
        );
        status
    }

    /// Packets came and none was dropped but for what the calls did.
    pub fn assert_nothing_lost(&self) {
        let status = self.status();
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
    }

    /// The host of the network.
    pub fn near(&self) -> &Namespace {
        &self.cable.near
    }

    /// The host of the users.
    pub fn far(&self) -> &Namespace {
        &self.cable.far
    }

    /// Where everything is written.
    pub fn folder(&self) -> &Folder {
        &self.folder
    }
}

/// Joins two hosts by a cable between new interfaces of these names, both up.
pub fn plug(one: &Namespace, name: &str, other: &Namespace, other_name: &str) {
    plug_as(one, name, other, other_name, "");
}

/// The same with words for both ends.
fn plug_as(one: &Namespace, name: &str, other: &Namespace, other_name: &str, end: &str) {
    ip(&format!(
        "link add {name} netns {} {end} type veth peer name {other_name} netns {} {end}",
        one.name(),
        other.name()
    ));
    for (host, link) in [(one, name), (other, other_name)] {
        ip(&format!("-n {} link set {link} up", host.name()));
    }
}

/// Runs `ip`, which must succeed, and returns what it prints.
pub fn ip(arguments: &str) -> String {
    let run = Command::new("ip")
        .args(arguments.split_whitespace())
        .output();
    let run = run.unwrap_or_else(|fault| panic!("cannot run ip: {fault}"));
    let fault = String::from_utf8_lossy(&run.stderr);
    assert!(run.status.success(), "ip {arguments}: {fault}");
    String::from_utf8_lossy(&run.stdout).into_owned()
}
