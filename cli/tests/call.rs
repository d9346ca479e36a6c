//! `strowger call` against a control process, and against both processes.

use std::net::{SocketAddr, TcpListener, UdpSocket};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Output, Stdio};
use std::sync::atomic::{AtomicU32, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use serde_json::Value;

const START_LIMIT: Duration = Duration::from_secs(20);
const POLL: Duration = Duration::from_millis(50);

/// A child that is killed with the test.
struct Running(Child);

impl Drop for Running {
    fn drop(&mut self) {
        // It may have ended by itself.
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

/// A control process, and perhaps a media process, on loopback with everything in a folder.
struct Network {
    // Dropped before the folder that they use.
    processes: Vec<Running>,
    folder: PathBuf,
    sip: [SocketAddr; 2],
    admin: SocketAddr,
    mgc: SocketAddr,
}

impl Network {
    /// A P-CSCF on both IP versions; with `anchor` it wants a media gateway for calls.
    fn start(anchor: bool) -> Self {
        static COUNT: AtomicU32 = AtomicU32::new(0);
        let count = COUNT.fetch_add(1, Ordering::Relaxed);
        let name = format!("strowger-call-{}-{count}", std::process::id());
        let folder = std::env::temp_dir().join(name);
        std::fs::create_dir_all(&folder).expect("a folder");
        let config = folder.join("control.toml");
        std::fs::write(&config, format!("[media]\nanchor = {anchor}\n")).expect("a file");
        let mut network = Network {
            processes: Vec::new(),
            folder,
            sip: [free("127.0.0.1"), free("[::1]")],
            admin: free("127.0.0.1"),
            mgc: free("127.0.0.1"),
        };
        let Network {
            sip, admin, mgc, ..
        } = network;
        let line = format!(
            "control --config control.toml --sip {},{} --mgc {mgc} --store s.redb --state state \
             --admin {admin} --log warn",
            sip[0], sip[1]
        );
        network.spawn(&line);
        network.wait("control answers", |status| status["process"] == "control");
        network
    }

    /// Adds a gateway on both IP versions.
    fn add_media(&mut self) {
        // Below the ports that the system deals out, and apart from those of other tests.
        let low = 10_000 + (std::process::id() % 200) * 100;
        let line = format!(
            "media --mgc {} --mid {} --address 127.0.0.1,::1 --ports {low}-{} --admin {} \
             --log warn",
            self.mgc,
            free("127.0.0.1"),
            low + 99,
            free("127.0.0.1")
        );
        self.spawn(&line);
        self.wait("a gateway is in service", |status| {
            status["media_gateways"][0]["state"] == "in service"
        });
    }

    fn spawn(&mut self, line: &str) {
        let child = command(&self.folder, line).spawn();
        self.processes
            .push(Running(child.expect("the binary runs")));
    }

    fn wait(&self, what: &str, holds: impl Fn(&Value) -> bool) {
        let deadline = Instant::now() + START_LIMIT;
        loop {
            let line = format!("--json status --admin {}", self.admin);
            let answers: Value = serde_json::from_slice(&self.run(&line).stdout).expect("JSON");
            if holds(&answers[0]) {
                return;
            }
            assert!(Instant::now() < deadline, "not in time: {what}: {answers}");
            thread::sleep(POLL);
        }
    }

    fn run(&self, line: &str) -> Output {
        let mut command = command(&self.folder, line);
        command.stdout(Stdio::piped()).stderr(Stdio::piped());
        command.output().expect("the binary runs")
    }

    /// Calls with subscribers that are added for the call.
    fn call(&self, flags: &str) -> Output {
        let admin = self.admin;
        self.run(&format!("call --admin {admin} --state state {flags}"))
    }

    fn subscribers(&self) -> String {
        let output = self.run(&format!("--json subscriber --admin {} list", self.admin));
        String::from_utf8(output.stdout).expect("text")
    }
}

impl Drop for Network {
    fn drop(&mut self) {
        self.processes.clear();
        // What cannot be removed stays for the system's own sweep.
        let _ = std::fs::remove_dir_all(&self.folder);
    }
}

fn command(folder: &Path, line: &str) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_strowger"));
    command
        .args(line.split_whitespace())
        .current_dir(folder)
        .stdin(Stdio::null());
    command
}

/// An address where nobody listens, neither by UDP nor by TCP.
fn free(host: &str) -> SocketAddr {
    for _ in 0..64 {
        let socket = UdpSocket::bind(format!("{host}:0")).expect("a free port");
        let address = socket.local_addr().expect("it is bound");
        if TcpListener::bind(address).is_ok() {
            return address;
        }
    }
    panic!("no free port at {host}");
}

fn stderr(output: &Output) -> String {
    String::from_utf8_lossy(&output.stderr).into_owned()
}

/// The summary of a call that was good.
fn good(output: &Output) -> Value {
    let summary: Value = serde_json::from_slice(&output.stdout)
        .unwrap_or_else(|fault| panic!("no JSON: {fault}: {}", stderr(output)));
    assert_eq!(output.status.code(), Some(0), "{summary:#}");
    assert_eq!(summary["good"], true, "{summary:#}");
    for direction in summary["directions"].as_array().expect("two directions") {
        let sent = direction["sent"].as_u64().expect("a number");
        assert!((45..=60).contains(&sent), "{summary:#}");
        assert_eq!(direction["received"], sent, "{summary:#}");
        assert_eq!(direction["lost"], 0, "{summary:#}");
        assert!(direction["mos"].as_f64() >= Some(4.3), "{summary:#}");
        assert!(direction["likeness"].as_f64() > Some(0.98), "{summary:#}");
    }
    let set_up = summary["set_up_ms"].as_object().expect("times");
    assert_eq!(set_up.len(), 6);
    assert!(set_up.values().all(Value::is_number), "{summary:#}");
    let answered = set_up["answered"].as_f64();
    assert!(set_up["ringing"].as_f64() <= answered, "{summary:#}");
    assert!(
        answered <= set_up["first_rtp_at_callee"].as_f64(),
        "{summary:#}"
    );
    summary
}

#[test]
fn two_subscribers_of_its_own_call_over_either_ip_version() {
    let network = Network::start(false);
    for proxy in network.sip {
        let summary = good(&network.call(&format!("--proxy {proxy} --seconds 1 --json")));
        assert_ne!(summary["caller"], summary["callee"]);
        assert_eq!(network.subscribers().trim(), "[]");
    }
}

#[test]
fn they_call_over_tcp_as_well() {
    let network = Network::start(false);
    let proxy = network.sip[0];
    good(&network.call(&format!("--proxy {proxy} --tcp --seconds 1 --json")));
    assert_eq!(network.subscribers().trim(), "[]");
}

#[test]
fn people_get_a_table() {
    let network = Network::start(false);
    let output = network.call(&format!("--proxy {} --seconds 1", network.sip[0]));
    let text = String::from_utf8_lossy(&output.stdout).into_owned();
    assert!(output.status.success(), "{text}{}", stderr(&output));
    for part in [
        "called",
        "200 OK",
        "caller to callee",
        "callee to caller",
        "good: ",
    ] {
        assert!(text.contains(part), "{part:?} is not in\n{text}");
    }
}

#[test]
fn subscribers_that_exist_call_with_their_own_keys_and_are_kept() {
    let network = Network::start(false);
    let [k, opc] = [
        "00112233445566778899aabbccddeeff",
        "ffeeddccbbaa99887766554433221100",
    ];
    for add in [
        format!("alice@ims.test --k {k} --opc {opc}"),
        format!("bob@ims.test --k {opc} --opc {k}"),
        "carol@ims.test --password opensesame".to_owned(),
        "dave@ims.test --password correcthorse".to_owned(),
    ] {
        let line = format!(
            "subscriber --admin {} --state state add {add}",
            network.admin
        );
        assert!(network.run(&line).status.success(), "{add}");
    }
    let proxy = network.sip[0];
    for flags in [
        format!("--caller alice@ims.test --callee bob@ims.test --k {k},{opc} --opc {opc},{k}"),
        "--caller carol@ims.test --callee dave@ims.test --password opensesame \
         --password correcthorse"
            .to_owned(),
    ] {
        let line = format!("call --proxy {proxy} --seconds 1 --json {flags}");
        good(&network.run(&line));
    }
    assert_eq!(network.subscribers().matches("\"impi\"").count(), 4);

    let wrong = format!(
        "call --proxy {proxy} --json --caller alice@ims.test --callee bob@ims.test --k {k} \
         --opc {opc}"
    );
    let output = network.run(&wrong);
    assert_eq!(output.status.code(), Some(1));
    let text = stderr(&output);
    assert!(
        text.contains("sip:bob@ims.test") && text.contains("--opc"),
        "{text}"
    );
    let summary: Value = serde_json::from_slice(&output.stdout).expect("JSON");
    assert_eq!(summary["good"], false);
    assert!(
        summary["error"]
            .as_str()
            .is_some_and(|why| why.contains("sip:bob@ims.test"))
    );
}

#[test]
fn a_call_through_a_gateway_crosses_ip_versions() {
    let mut network = Network::start(true);
    network.add_media();
    let [v4, v6] = network.sip;
    for proxies in [format!("{v4}"), format!("{v4},{v6}"), format!("{v6},{v4}")] {
        good(&network.call(&format!("--proxy {proxies} --seconds 1 --json")));
    }
    network.wait("contexts are given back", |status| status["contexts"] == 0);
}

#[test]
fn without_a_gateway_it_says_what_to_start() {
    let network = Network::start(true);
    let output = network.call(&format!("--proxy {}", network.sip[0]));
    assert_eq!(output.status.code(), Some(1));
    let text = stderr(&output);
    assert!(
        text.contains("503") && text.contains("strowger media"),
        "{text}"
    );
    assert_eq!(network.subscribers().trim(), "[]");
}

#[test]
fn without_a_proxy_it_says_so_at_once_and_leaves_nothing() {
    let network = Network::start(false);
    let nowhere = free("127.0.0.1");
    for (flags, transport) in [("", "UDP"), ("--tcp", "TCP")] {
        let start = Instant::now();
        let output = network.call(&format!("--proxy {nowhere} {flags}"));
        assert_eq!(output.status.code(), Some(1));
        assert!(start.elapsed() < Duration::from_secs(5));
        let text = stderr(&output);
        assert!(text.contains(&format!("no P-CSCF at {nowhere}")), "{text}");
        assert!(text.contains(transport), "{text}");
    }
    assert_eq!(network.subscribers().trim(), "[]");
}

#[test]
fn an_interrupted_call_is_hung_up_and_its_subscribers_are_removed() {
    let network = Network::start(false);
    let line = format!(
        "call --proxy {} --admin {} --state state --seconds 60",
        network.sip[0], network.admin
    );
    let mut command = command(&network.folder, &line);
    let mut call = Running(
        command
            .stderr(Stdio::piped())
            .spawn()
            .expect("the binary runs"),
    );
    network.wait("the call is up", |status| {
        status["dialogs"].as_u64() > Some(1)
    });
    let signal = Command::new("kill")
        .args(["-INT", &call.0.id().to_string()])
        .status();
    assert!(signal.is_ok_and(|status| status.success()));
    let deadline = Instant::now() + Duration::from_secs(10);
    let status = loop {
        if let Some(status) = call.0.try_wait().expect("our child") {
            break status;
        }
        assert!(Instant::now() < deadline, "it does not end");
        thread::sleep(POLL);
    };
    assert_eq!(status.code(), Some(1));
    network.wait("the call is over", |status| status["dialogs"] == 0);
    assert_eq!(network.subscribers().trim(), "[]");
}

#[test]
fn flags_that_do_not_fit_are_explained() {
    for (flags, words) in [
        ("--caller alice@ims.test", "--callee"),
        (
            "--caller alice@ims.test --callee bob@ims.test",
            "--password",
        ),
        (
            "--caller alice@ims.test --callee bob@ims.test --k 00 --opc 00",
            "32 hexadecimal",
        ),
        (
            "--caller nobody --callee bob@ims.test --password x",
            "nobody",
        ),
        ("--proxy 127.0.0.1:1,127.0.0.1:2,127.0.0.1:3", "--proxy"),
        ("--local ::1", "--local"),
        ("--seconds 0", "--seconds"),
        ("--state /nonexistent", "/nonexistent/admin.token"),
    ] {
        let mut command = command(&std::env::temp_dir(), &format!("call {flags}"));
        let output = command
            .stderr(Stdio::piped())
            .output()
            .expect("the binary runs");
        assert!(!output.status.success(), "{flags}");
        let text = stderr(&output);
        assert!(text.contains(words), "{words:?} is not in {text}");
    }
}
