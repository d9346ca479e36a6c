//! What a set-up costs a media process apart from its sockets: H.248, paths, commands to a worker.
//!
//! `cargo run --release -p trgw --example setup_cost [SET-UPS] [batched]`
//!
//! A set-up is two Adds, a Modify and a Subtract: each a transaction of its own or, `batched`, the
//! first three in one. The worker runs in the same thread, on the simulated network and on virtual
//! time, so that instructions can be counted:
//!
//! ```text
//! valgrind --tool=callgrind --toggle-collect='setup_cost::Process::*' EXAMPLE 1000
//! ```
#![allow(clippy::print_stdout, reason = "its output is its purpose")]

use std::net::SocketAddr;
use std::time::Duration;

use base::{Entropy, Instant};
use dataplane::io::sim;
use dataplane::{Clock, Config, LocalAddress, LocalAddresses, Turn, Worker, runtime};
use mg::{GatewayConfig, MediaGateway, Output, RealmAddress};
use trgw::{Relay, Trgw};

const ACCESS: [u8; 4] = [127, 0, 0, 2];
const CORE: [u8; 4] = [127, 0, 0, 12];

/// What runs in a media process.
struct Process {
    now: Instant,
    mg: MediaGateway,
    trgw: Trgw,
    worker: Worker,
}

impl Process {
    fn new(mg_at: SocketAddr, mgc_at: SocketAddr) -> Self {
        let ports = 10_000..=59_999;
        let locals = [ACCESS, CORE].map(|ip| LocalAddress::new(ip.into(), ports.clone()));
        let addresses = LocalAddresses::new(&locals).expect("they are good");
        let (backend, _) = sim::backend(&addresses, 1, 1024);
        let relay = |flows| Box::new(Relay::new(flows)) as Box<dyn dataplane::Function>;
        let (control, mut workers) =
            runtime(&Config::default(), backend, relay).expect("it starts");
        let now = Instant::from_secs(1_800_000_000);
        let mut config = GatewayConfig::new(mg_at, &mg::TRGW);
        config.association.mgcs = vec![mgc_at];
        config.association.silence_max = None;
        config.addresses = [(ACCESS, "access"), (CORE, "core")]
            .map(|(ip, realm)| RealmAddress {
                realm: Some(realm.to_owned()),
                ip: ip.into(),
            })
            .to_vec();
        config.ports = ports;
        let mut trgw = Trgw::new(control);
        trgw.defer_wakes();
        let mut mg = MediaGateway::new(config, now, Entropy::from_u64(1));
        mg.start(now, &mut trgw);
        Self {
            now,
            mg,
            trgw,
            worker: workers.pop().expect("there is one"),
        }
    }

    /// A turn of the process: one datagram in, what it says out.
    #[inline(never)]
    fn turn(&mut self, from: SocketAddr, datagram: &[u8], replies: &mut Vec<Vec<u8>>) {
        self.mg
            .handle_input(self.now, &mut self.trgw, from, datagram);
        while let Some(output) = self.mg.poll_output() {
            if let Output::Transmit { bytes, .. } = output {
                replies.push(bytes);
            }
        }
        self.trgw.wake_workers();
        while self.worker.turn(self.now) == Turn::Busy {}
        while let Some(event) = self.trgw.poll_event(self.now) {
            self.mg.handle_event(self.now, &mut self.trgw, &event);
        }
        if self.mg.next_timeout().is_some_and(|at| at <= self.now) {
            self.mg.handle_timeout(self.now, &mut self.trgw);
        }
    }
}

/// A controller that knows what it will be answered.
struct Controller {
    at: SocketAddr,
    process: Process,
    transaction: u32,
    replies: Vec<Vec<u8>>,
    clock: Clock,
    spent: Duration,
}

impl Controller {
    fn new() -> Self {
        let (mg_at, at) = (([127, 0, 0, 2], 2944).into(), ([127, 0, 0, 1], 2944).into());
        let mut process = Process::new(mg_at, at);
        let Some(Output::Transmit { bytes, .. }) = process.mg.poll_output() else {
            panic!("it registers");
        };
        let text = String::from_utf8_lossy(&bytes).into_owned();
        let id = between(&text, "T=", "{");
        let accepted = format!("!/3 [127.0.0.1]:2944\nP={id}{{C=-{{SC=ROOT}}}}");
        let (now, trgw) = (process.now, &mut process.trgw);
        process.mg.handle_input(now, trgw, at, accepted.as_bytes());
        while process.mg.poll_output().is_some() {}
        Self {
            at,
            process,
            transaction: 0,
            replies: Vec::new(),
            clock: Clock::start(),
            spent: Duration::ZERO,
        }
    }

    fn ask(&mut self, actions: &str) -> String {
        self.transaction += 1;
        let request = format!("!/3 [127.0.0.1]:2944\nT={}{{{actions}}}", self.transaction);
        let from = self.clock.now();
        self.process
            .turn(self.at, request.as_bytes(), &mut self.replies);
        self.spent += self.clock.now() - from;
        let reply = self.replies.pop().expect("it answers");
        let text = String::from_utf8_lossy(&reply).into_owned();
        assert!(!text.contains("ER="), "{text}");
        text
    }

    fn set_up(&mut self, batched: bool) {
        let reply = if batched {
            let near = add(Some(30_000));
            let far = add(None);
            self.ask(&format!("C=${{{near},{far},MF=ip/2/*{{{REMOTE}}}}}"))
        } else {
            self.ask(&format!("C=${{{}}}", add(Some(30_000))))
        };
        let context = between(&reply, "C=", "{").to_owned();
        if !batched {
            let reply = self.ask(&format!("C={context}{{{}}}", add(None)));
            let termination = between(&reply, "A=", "{");
            self.ask(&format!("C={context}{{MF={termination}{{{REMOTE}}}}}"));
        }
        self.ask(&format!("C={context}{{W-S=*{{AT{{}}}}}}"));
        self.process.now += Duration::from_millis(1);
    }
}

const REMOTE: &str = "M{ST=1{R{\nv=0\nc=IN IP4 127.0.1.2\nm=audio 30002 RTP/AVP 8\n}}}";

fn add(far_port: Option<u16>) -> String {
    let (realm, remote) = match far_port {
        Some(port) => (
            "access",
            format!(",R{{\nv=0\nc=IN IP4 127.0.1.1\nm=audio {port} RTP/AVP 8\n}}"),
        ),
        None => ("core", String::new()),
    };
    format!(
        "A=${{M{{ST=1{{O{{MO=SR,ipdc/realm=\"{realm}\"}},\
         L{{\nv=0\nc=IN IP4 $\nm=audio $ RTP/AVP 8\n}}{remote}}}}}}}"
    )
}

fn between<'a>(text: &'a str, opening: &str, end: &str) -> &'a str {
    let from = text.find(opening).expect("it is there") + opening.len();
    let rest = &text[from..];
    &rest[..rest.find(end).expect("it ends")]
}

fn main() {
    let words: Vec<String> = std::env::args().skip(1).collect();
    let batched = words.iter().any(|word| word == "batched");
    let count: u32 = words
        .iter()
        .find_map(|word| word.parse().ok())
        .unwrap_or(20_000);
    let mut controller = Controller::new();
    for _ in 0..count {
        controller.set_up(batched);
    }
    let each = controller.spent / count.max(1);
    println!("{count} set-ups, {each:?} each");
}
