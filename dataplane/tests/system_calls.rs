//! A worker asks the system for what its back-end needs, and for nothing else.

use dataplane::io::udp;
use dataplane::{
    Clock, Config, Context, Datagram, Function, Idle, LocalAddress, LocalAddresses, Path, Verdict,
    runtime,
};
use std::collections::BTreeSet;
use std::net::{SocketAddr, UdpSocket};
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
const TEST: &str = "a_worker_receives_sends_and_waits_and_asks_nothing_else";
/// The name of the thread, by which its calls are found.
const THREAD: &str = "looked-at";
const PACKETS: u32 = 300;

#[test]
fn a_worker_receives_sends_and_waits_and_asks_nothing_else() {
    if std::env::var_os(ROLE).is_some() {
        return relay();
    }
    let trace = std::env::temp_dir().join(format!("system-calls-{}", std::process::id()));
    let program = std::env::current_exe().expect("the test has a name");
    let status = Command::new("strace")
        .args(["-f", "-qq", "-o"])
        .arg(&trace)
        .arg(program)
        .args(["--exact", TEST])
        .env(ROLE, "1")
        .status()
        .expect("strace is installed");
    assert!(status.success());
    let told = std::fs::read_to_string(&trace).expect("what it was told to write");
    let _ = std::fs::remove_file(&trace);
    let calls = calls_of_the_worker(&told);
    let first = calls.iter().position(|call| *call == "recvfrom");
    let sends = |call: &&str| ["sendmmsg", "sendmsg", "sendto"].contains(call);
    let last = calls.iter().rposition(sends);
    let (Some(first), Some(last)) = (first, last) else {
        panic!("it moved nothing: {calls:?}");
    };
    let while_packets_pass: BTreeSet<&str> = calls[first..=last].iter().copied().collect();
    let allowed = BTreeSet::from([
        "recvfrom",
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
    assert!(
        while_packets_pass.is_subset(&allowed),
        "{while_packets_pass:?}"
    );
    let marked = calls[first..=last]
        .iter()
        .filter(|call| **call == "setsockopt");
    assert!(marked.count() <= 1);
    let moved = calls[first..=last].iter().filter(|call| sends(call));
    assert!(moved.count() as u32 <= PACKETS);
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

/// A relay on kernel sockets, and packets through it.
fn relay() {
    let ip = [127, 8, 7, 41];
    let addresses = LocalAddresses::new(&[LocalAddress::new(ip.into(), 23_000..=23_003)]);
    let addresses = addresses.expect("they are good");
    let backend = udp::backend(&addresses, &udp::UdpConfig::default()).expect("it opens");
    let config = Config {
        idle: Idle::Block { after_turns: 4 },
        ..Config::default()
    };
    let pipe = |_| Box::new(Pipe) as Box<dyn Function>;
    let (mut control, mut workers) = runtime(&config, backend, pipe).expect("it starts");
    let (clock, worker) = (Clock::start(), workers.pop().expect("there is one"));
    let far = UdpSocket::bind("127.0.0.1:0").expect("a port");
    far.set_read_timeout(Some(Duration::from_secs(5)))
        .expect("a time");
    let to = far.local_addr().expect("it is bound");
    let local = SocketAddr::from((ip, 23_000));
    let flow = control.open_flow(clock.now(), local).expect("it is free");
    let mut path = Path::new(dataplane::Ingress::default());
    let egress = dataplane::Egress::new(flow, dataplane::Remote::Fixed(to));
    assert!(path.push(egress.with_marking(dataplane::Marking::Dscp(46))));
    control.set_path(flow, path).expect("there is room");
    let thread = std::thread::Builder::new().name(THREAD.into());
    let running = thread.spawn(move || worker.run(clock, None));
    let running = running.expect("a thread");
    for number in 0..PACKETS {
        far.send_to(&number.to_be_bytes(), local)
            .expect("it leaves");
        let mut buffer = [0; 8];
        assert_eq!(far.recv(&mut buffer).expect("it comes back"), 4);
    }
    drop(control);
    running.join().expect("the worker ends");
}
