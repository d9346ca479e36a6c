//! A worker asks the system for what its back-end needs, and for nothing else: while packets pass,
//! while flows are opened and closed and while neighbours come and go.
//!
//! Needs strace; for AF_XDP and DPDK also root, iproute2 and network namespaces.

mod namespace;

use dataplane::io::af_xdp::{self, AfXdpConfig, InterfaceConfig};
#[cfg(feature = "dpdk")]
use dataplane::io::dpdk::{self, DeviceConfig, DpdkConfig};
use dataplane::io::udp;
use dataplane::{
    Backend, Clock, Config, Context, Control, Datagram, Egress, Event, FlowId, Function, Idle,
    Ingress, LocalAddress, LocalAddresses, Marking, Path, Remote, Verdict, runtime,
};
use namespace::{Pair, Way};
use std::collections::BTreeSet;
use std::net::{IpAddr, SocketAddr, UdpSocket};
use std::process::Command;
use std::time::Duration;

struct Pipe;

impl Function for Pipe {
    fn handle_burst(&mut self, _: &mut Context<'_>, _: &mut [Datagram], verdicts: &mut [Verdict]) {
        verdicts.fill(Verdict::Forward);
    }
}

/// Tells the process that is looked at from the one that looks.
const ROLE: &str = "SYSTEM_CALLS_OF_A_WORKER";
/// The name of the thread, by which its calls are found.
const THREAD: &str = "looked-at";
/// Before the number of datagrams that were sent to the worker, in what the process prints.
const SENT: &str = "datagrams to the worker: ";
const PACKETS: u32 = 300;
/// A flow is set up and taken down each time that so many packets have passed.
const PACKETS_PER_FLOW: u32 = 10;
const PORTS: std::ops::RangeInclusive<u16> = 23_000..=23_003;

/// What a worker asks of the system from the first packet to the last.
struct Calls {
    names: Vec<String>,
    /// How many datagrams were sent to it.
    datagrams: usize,
}

impl Calls {
    /// Runs `test` in a process of its own, in which it relays, and listens to it. Packets pass
    /// from the first call that says so.
    fn of(test: &str, is_first: impl Fn(&str) -> bool) -> Self {
        let trace =
            std::env::temp_dir().join(format!("system-calls-{test}-{}", std::process::id()));
        let program = std::env::current_exe().expect("the test has a name");
        let output = Command::new("strace")
            .args(["-f", "-qq", "-o"])
            .arg(&trace)
            .arg(program)
            .args(["--exact", "--nocapture", test])
            .env(ROLE, "1")
            .output()
            .expect("strace is installed");
        let printed = String::from_utf8_lossy(&output.stdout);
        let fault = String::from_utf8_lossy(&output.stderr);
        assert!(output.status.success(), "{printed}{fault}");
        let sent = printed.split(SENT).nth(1).expect("it says how many");
        let sent = sent.lines().next().and_then(|sent| sent.parse().ok());
        let told = std::fs::read_to_string(&trace).expect("what it was told to write");
        let _ = std::fs::remove_file(&trace);
        let calls = calls_of_the_worker(&told);
        let first = calls.iter().position(|call| is_first(call));
        let last = calls.iter().rposition(|call| is_sending(call));
        let (Some(first), Some(last)) = (first, last) else {
            panic!("it moved nothing: {calls:?}");
        };
        let names = calls[first..=last].iter().map(|&call| call.to_owned());
        Self {
            names: names.collect(),
            datagrams: sent.expect("a number"),
        }
    }

    fn assert_within(&self, allowed: &[&str]) {
        let all: BTreeSet<&str> = self.names.iter().map(String::as_str).collect();
        let foreign: Vec<&&str> = all.iter().filter(|call| !allowed.contains(call)).collect();
        assert!(foreign.is_empty(), "{foreign:?} among {all:?}");
    }

    fn count(&self, is_meant: impl Fn(&str) -> bool) -> usize {
        self.names.iter().filter(|call| is_meant(call)).count()
    }
}

fn is_sending(call: &str) -> bool {
    ["sendmmsg", "sendmsg", "sendto"].contains(&call)
}

fn is_looked_at() -> bool {
    std::env::var_os(ROLE).is_some()
}

#[test]
fn a_worker_receives_sends_and_waits_and_asks_nothing_else() {
    if is_looked_at() {
        let ip = IpAddr::from([127, 8, 7, 41]);
        let backend = udp::backend(&addresses(ip), &udp::UdpConfig::default());
        let far = UdpSocket::bind("127.0.0.1:0").expect("a port");
        return pass(backend.expect("it opens"), ip, &far, |_| {});
    }
    let test = "a_worker_receives_sends_and_waits_and_asks_nothing_else";
    let calls = Calls::of(test, |call| call == "recvfrom");
    calls.assert_within(&[
        "recvfrom",
        // What waits at a port that is opened again.
        "recvmmsg",
        // Several at a time, several alike, and one.
        "sendmmsg",
        "sendmsg",
        "sendto",
        // For what waits, and until something comes.
        "epoll_wait",
        "epoll_pwait2",
        // Its events: woken by the mg thread, and waking it.
        "read",
        "write",
        // One when the mark of a port changes.
        "setsockopt",
    ]);
    let flows = 1 + PACKETS / PACKETS_PER_FLOW;
    assert!(calls.count(|call| call == "setsockopt") <= flows as usize);
    assert!(calls.count(is_sending) <= calls.datagrams);
}

#[test]
fn a_worker_on_af_xdp_kicks_and_waits_and_asks_nothing_else() {
    if is_looked_at() {
        let pair = Pair::new(1);
        pair.enter_near();
        let (near, other) = pair.addresses(Way::V4);
        let interface = InterfaceConfig {
            name: "near".into(),
            ..InterfaceConfig::default()
        };
        let config = AfXdpConfig {
            interfaces: vec![interface],
            workers: 1,
            ring: 256,
            frames: af_xdp::FRAMES_MIN,
            ..AfXdpConfig::default()
        };
        let opened = af_xdp::open(&addresses(near), &config);
        let backend = opened.unwrap_or_else(|fault| panic!("{fault}")).backend;
        let far = pair.in_far(|| UdpSocket::bind((other, 0)).expect("a port"));
        return pass(backend, near, &far, |number| neighbours(&pair, number));
    }
    let test = "a_worker_on_af_xdp_kicks_and_waits_and_asks_nothing_else";
    let calls = Calls::of(test, is_sending);
    calls.assert_within(&[
        // Of a ring: that there is something to send.
        "sendto",
        // That there is room to receive.
        "recvfrom",
        "epoll_wait",
        "epoll_pwait2",
        // Its events: woken by the mg thread, and waking it and the one that knows the ways.
        "read",
        "write",
        // What the kernel dropped, once in 64 turns.
        "getsockopt",
    ]);
    let kicks = calls.count(is_sending);
    assert!(kicks <= 2 * calls.datagrams, "{kicks}");
    let looks = calls.count(|call| call == "getsockopt");
    assert!(looks <= calls.names.len() / 10 + 1, "{looks}");
}

/// A neighbour that moves, and one that is forgotten, while packets pass.
fn neighbours(pair: &Pair, number: u32) {
    let replace = |link: &str| {
        pair.ip_far(&format!("link set far address {link}"));
        let neighbour = format!("neigh replace 192.0.2.2 dev near lladdr {link}");
        pair.ip_near(&format!("{neighbour} nud reachable"));
    };
    match number {
        100 => replace("02:00:00:00:00:77"),
        150 => replace("02:00:00:00:00:78"),
        200 | 250 => drop(pair.ip_near("neigh flush to 192.0.2.2 dev near")),
        _ => {}
    }
}

#[cfg(feature = "dpdk")]
#[test]
fn a_worker_on_dpdk_polls_its_devices_and_asks_nothing_else() {
    if is_looked_at() {
        let pair = Pair::without_near_host(1);
        pair.enter_near();
        let (near, other) = pair.addresses(Way::V4);
        let eal = "--no-huge -m 1024 --no-pci --no-telemetry --no-shconf --log-level=error";
        let config = DpdkConfig {
            eal: eal.split(' ').map(String::from).collect(),
            devices: vec![DeviceConfig {
                name: "net_af_packet0,iface=near,framesz=2048,framecnt=512".into(),
                networks: vec![format!("{near}/24").parse().expect("a network")],
            }],
            frames: dpdk::FRAMES_MIN,
            descriptors: 256,
            ..DpdkConfig::default()
        };
        let opened = dpdk::open(&addresses(near), &config);
        let backend = opened.unwrap_or_else(|fault| panic!("{fault}")).backend;
        let far = pair.in_far(|| UdpSocket::bind((other, 0)).expect("a port"));
        return pass(backend, near, &far, |number| {
            if number % 100 == 50 {
                let link = format!("02:00:00:00:00:{:02}", number / 100 + 10);
                pair.ip_far(&format!("link set far address {link}"));
            }
        });
    }
    let test = "a_worker_on_dpdk_polls_its_devices_and_asks_nothing_else";
    let calls = Calls::of(test, is_sending);
    calls.assert_within(&[
        // The device's: a packet socket is told that there is something to send.
        "sendto",
        "poll",
        "epoll_wait",
        "epoll_pwait2",
        // Its events: woken by the mg thread, and waking it and the host.
        "read",
        "write",
    ]);
}

/// The names of the system calls of the thread, in their order.
fn calls_of_the_worker(trace: &str) -> Vec<&str> {
    let named = format!("\"{THREAD}\"");
    let line = trace.lines().find(|line| line.contains(&named));
    let thread = line.and_then(|line| line.split_whitespace().next());
    let thread = thread.expect("the thread gave itself its name");
    let calls = trace.lines().filter_map(|line| {
        let (number, call) = line.split_once(' ')?;
        let call = call.trim_start();
        // The second half of a call that was interrupted in the telling, or a signal.
        let is_whole = !call.starts_with(['<', '-', '+']);
        (number == thread && is_whole).then(|| call.split('(').next())?
    });
    calls.collect()
}

fn addresses(ip: IpAddr) -> LocalAddresses {
    LocalAddresses::new(&[LocalAddress::new(ip, PORTS)]).expect("they are good")
}

/// Sends packets from somebody far through a worker and back to him, through a flow that stays and
/// through others that come and go. Before each packet something may `happen`.
fn pass(backend: Backend, ip: IpAddr, far: &UdpSocket, happen: impl Fn(u32)) {
    let config = Config {
        idle: Idle::Block { after_turns: 4 },
        rest: Duration::ZERO,
        ..Config::default()
    };
    let pipe = |_| Box::new(Pipe) as Box<dyn Function>;
    let (mut control, mut workers) = runtime(&config, backend, pipe).expect("it starts");
    let (clock, worker) = (Clock::start(), workers.pop().expect("there is one"));
    // One that is lost, since a neighbour has moved or a flow is not open yet, is sent again.
    far.set_read_timeout(Some(Duration::from_millis(200)))
        .expect("a time");
    let to = far.local_addr().expect("it is bound");
    let stays = SocketAddr::new(ip, *PORTS.start());
    let goes = SocketAddr::new(ip, *PORTS.end());
    set_up(&mut control, &clock, stays, to);
    let thread = std::thread::Builder::new().name(THREAD.into());
    let running = thread.spawn(move || worker.run(clock, None));
    let running = running.expect("a thread");
    let mut datagrams = 0;
    for number in 0..PACKETS {
        happen(number);
        datagrams += there_and_back(far, stays, number);
        if number % PACKETS_PER_FLOW == 0 {
            let flow = set_up(&mut control, &clock, goes, to);
            datagrams += there_and_back(far, goes, number);
            control.close_flow(flow).expect("it is open");
            while !matches!(control.poll_event(clock.now()), Some(Event::Closed { .. })) {
                std::thread::sleep(Duration::from_millis(1));
            }
        }
    }
    println!("{SENT}{datagrams}");
    drop(control);
    running.join().expect("the worker ends");
}

/// A flow that sends what it receives to somebody far.
fn set_up(control: &mut Control, clock: &Clock, local: SocketAddr, to: SocketAddr) -> FlowId {
    let flow = control.open_flow(clock.now(), local).expect("it is free");
    let mut path = Path::new(Ingress::default());
    let egress = Egress::new(flow, Remote::Fixed(to));
    assert!(path.push(egress.with_marking(Marking::Dscp(46))));
    control.set_path(flow, path).expect("there is room");
    flow
}

/// Sends one until it comes back; how often that was.
fn there_and_back(far: &UdpSocket, local: SocketAddr, number: u32) -> usize {
    let comes_back = |_: &usize| {
        let sent = far.send_to(&number.to_be_bytes(), local);
        assert_eq!(sent.expect("it leaves"), 4);
        far.recv(&mut [0; 8]).is_ok()
    };
    (1..=50).find(comes_back).expect("it comes back")
}
