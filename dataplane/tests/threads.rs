//! Two workers on threads of their own, with kernel sockets on the loopback interface.

use dataplane::io::udp;
use dataplane::{
    Clock, Config, Context, Control, Datagram, DropReason, Error, Event, FlowId, Function, Idle,
    LocalAddress, LocalAddresses, Path, Verdict, runtime,
};
use std::io::ErrorKind;
use std::net::{IpAddr, SocketAddr, UdpSocket};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

struct Pipe;

impl Function for Pipe {
    fn handle_burst(
        &mut self,
        context: &mut Context<'_>,
        burst: &mut [Datagram],
        verdicts: &mut [Verdict],
    ) {
        for (datagram, verdict) in burst.iter().zip(verdicts) {
            let mut flow = context.flow(datagram.flow).expect("it has a path");
            match flow.admit(datagram) {
                Ok(()) => flow.count_received(datagram),
                Err(reason) => *verdict = Verdict::Drop(reason),
            }
        }
    }
}

/// A running runtime on an address that no other test uses.
struct Rig {
    clock: Clock,
    control: Option<Control>,
    threads: Vec<JoinHandle<()>>,
    ip: IpAddr,
}

const WORKERS: usize = 2;

impl Rig {
    fn start(ip: [u8; 4]) -> Self {
        Self::start_with(ip, Idle::Block { after_turns: 2 }, 21_999)
    }

    fn start_with(ip: [u8; 4], idle: Idle, last_port: u16) -> Self {
        Self::start_keeping(ip, idle, last_port, udp::KEPT_MAX)
    }

    fn start_keeping(ip: [u8; 4], idle: Idle, last_port: u16, kept_max: usize) -> Self {
        let ip = IpAddr::from(ip);
        let addresses = LocalAddresses::new(&[LocalAddress::new(ip, 21_000..=last_port)]).unwrap();
        let udp = udp::UdpConfig {
            workers: WORKERS,
            kept_max,
            ..udp::UdpConfig::default()
        };
        let backend = udp::backend(&addresses, &udp).unwrap();
        let config = Config {
            idle,
            rest: Duration::ZERO,
            ..Config::default()
        };
        let (control, workers) = runtime(&config, backend, |_| Box::new(Pipe)).unwrap();
        let clock = Clock::start();
        let threads = workers
            .into_iter()
            .map(|worker| std::thread::spawn(move || worker.run(clock, None)))
            .collect();
        Self {
            clock,
            control: Some(control),
            threads,
            ip,
        }
    }

    fn control(&mut self) -> &mut Control {
        self.control.as_mut().expect("it is running")
    }

    fn local(&self, port: u16) -> SocketAddr {
        SocketAddr::new(self.ip, port)
    }

    /// Opens two ports, each leading out by the other, to these two hosts.
    fn call(&mut self, port: u16, one: SocketAddr, two: SocketAddr) -> (FlowId, FlowId) {
        let now = self.clock.now();
        let (first, second) = (self.local(port), self.local(port + 2));
        let control = self.control();
        let a = control.open_flow(now, first).unwrap();
        let b = control.open_flow(now, second).unwrap();
        control.set_path(a, Path::to(b, two)).unwrap();
        control.set_path(b, Path::to(a, one)).unwrap();
        (a, b)
    }

    fn await_settled(&mut self) {
        let deadline = Instant::now() + Duration::from_secs(5);
        while !self.control().is_settled() {
            assert!(
                Instant::now() < deadline,
                "the workers do not take their commands"
            );
            std::thread::yield_now();
        }
    }

    fn turns(&mut self) -> Vec<u64> {
        self.control()
            .worker_stats()
            .map(|stats| stats.turns)
            .collect()
    }

    /// Waits until the workers do no more turns.
    fn await_rest(&mut self) -> Vec<u64> {
        let deadline = Instant::now() + Duration::from_secs(5);
        loop {
            let before = self.turns();
            std::thread::park_timeout(Duration::from_millis(20));
            if self.turns() == before {
                return before;
            }
            assert!(Instant::now() < deadline, "the workers do not come to rest");
        }
    }

    fn stop(mut self) {
        self.control = None;
        for thread in self.threads.drain(..) {
            thread.join().unwrap();
        }
    }
}

fn host() -> (UdpSocket, SocketAddr) {
    let socket = UdpSocket::bind("127.0.0.1:0").unwrap();
    socket
        .set_read_timeout(Some(Duration::from_secs(5)))
        .unwrap();
    let address = socket.local_addr().unwrap();
    (socket, address)
}

#[test]
fn calls_on_two_workers_are_relayed_both_ways() {
    const CALLS: u16 = 6;
    const PACKETS: u32 = 200;
    let mut rig = Rig::start([127, 8, 7, 11]);
    let mut calls = Vec::new();
    for number in 0..CALLS {
        let ((one, one_address), (two, two_address)) = (host(), host());
        let port = 21_000 + 4 * number;
        let flows = rig.call(port, one_address, two_address);
        calls.push((one, two, rig.local(port), rig.local(port + 2), flows));
    }
    rig.await_settled();
    let mut buffer = [0; 256];
    for number in 0..PACKETS {
        for (one, two, first, second, _) in &calls {
            one.send_to(&number.to_be_bytes(), first).unwrap();
            two.send_to(&(!number).to_be_bytes(), second).unwrap();
        }
        for (one, two, first, second, _) in &calls {
            let (bytes, source) = two.recv_from(&mut buffer).unwrap();
            assert_eq!(
                (&buffer[..bytes], source),
                (&number.to_be_bytes()[..], *second)
            );
            let (bytes, source) = one.recv_from(&mut buffer).unwrap();
            assert_eq!(
                (&buffer[..bytes], source),
                (&(!number).to_be_bytes()[..], *first)
            );
        }
    }
    rig.await_rest();
    for (.., (a, b)) in &calls {
        for flow in [*a, *b] {
            let stats = rig.control().stats(flow);
            assert_eq!(
                (stats.packets_received, stats.packets_sent),
                (u64::from(PACKETS), u64::from(PACKETS))
            );
        }
    }
    let workers: Vec<_> = rig.control().worker_stats().collect();
    assert!(
        workers.iter().all(|stats| stats.received > 0),
        "both workers have calls"
    );
    assert!(
        workers.iter().all(|stats| stats.drops.total() == 0),
        "{workers:?}"
    );
    rig.stop();
}

#[test]
fn idle_workers_sleep_and_wake_for_commands_and_packets() {
    let mut rig = Rig::start([127, 8, 7, 12]);
    let before = rig.await_rest();
    let ((one, one_address), (two, two_address)) = (host(), host());
    rig.call(21_000, one_address, two_address);
    rig.await_settled();
    let after = rig.await_rest();
    assert!(
        before
            .iter()
            .zip(&after)
            .all(|(before, after)| before < after)
    );
    let first = rig.local(21_000);
    one.send_to(b"wake up", first).unwrap();
    let mut buffer = [0; 16];
    assert_eq!(two.recv_from(&mut buffer).unwrap().0, 7);
    rig.await_rest();
    rig.stop();
}

#[test]
fn an_event_makes_the_control_readable() {
    let idle = Idle::Block { after_turns: 2 };
    let mut rig = Rig::start_keeping([127, 8, 7, 13], idle, 21_999, 0);
    let epoll = udp_batch::Epoll::new().unwrap();
    epoll.add(rig.control(), 0).unwrap();
    let mut events = udp_batch::Events::new(1);
    assert_eq!(epoll.wait(&mut events, Some(Duration::ZERO)).unwrap(), 0);
    let (flow, _) = rig.call(21_000, host().1, host().1);
    rig.await_settled();
    rig.control().close_flow(flow).unwrap();
    let now = rig.clock.now();
    let closed = loop {
        assert_eq!(
            epoll
                .wait(&mut events, Some(Duration::from_secs(5)))
                .unwrap(),
            1
        );
        if let Some(event) = rig.control().poll_event(now) {
            break event;
        }
    };
    assert_eq!(closed, Event::Closed { flow, free_at: now });
    // A worker reports before it signals: the signal of what was taken already may follow.
    let deadline = Instant::now() + Duration::from_secs(5);
    while epoll
        .wait(&mut events, Some(Duration::from_millis(50)))
        .unwrap()
        > 0
    {
        assert_eq!(rig.control().poll_event(now), None);
        assert!(Instant::now() < deadline, "signals without an event");
    }
    // The socket was not kept and is closed: somebody else may have the port.
    let local = rig.local(21_000);
    drop(UdpSocket::bind(local).unwrap());
    rig.control().open_flow(now, local).unwrap();
    rig.stop();
}

#[test]
fn dropping_the_control_ends_the_workers_and_closes_their_ports() {
    let mut rig = Rig::start([127, 8, 7, 14]);
    rig.call(21_000, host().1, host().1);
    let local = rig.local(21_000);
    assert!(UdpSocket::bind(local).is_err());
    rig.stop();
    assert!(UdpSocket::bind(local).is_ok());
}

#[test]
fn a_closed_port_keeps_its_socket_and_nothing_that_comes_meanwhile() {
    let mut rig = Rig::start([127, 8, 7, 19]);
    let ((sender, _), (sink, sink_address)) = (host(), host());
    let local = rig.local(21_000);
    for round in 1..=3_u8 {
        let (one, two) = rig.call(21_000, sink_address, sink_address);
        rig.await_settled();
        assert_eq!(rig.control().endpoints_kept(), 0);
        sender.send_to(&[round], local).unwrap();
        let mut buffer = [0; 16];
        let (bytes, _) = sink.recv_from(&mut buffer).unwrap();
        assert_eq!(buffer[..bytes], [round]);
        for flow in [one, two] {
            rig.control().close_flow(flow).unwrap();
        }
        rig.await_settled();
        let now = rig.clock.now();
        let closed = std::iter::from_fn(|| rig.control().poll_event(now)).count();
        assert_eq!((closed, rig.control().endpoints_kept()), (2, 2));
        assert!(UdpSocket::bind(local).is_err(), "it is still ours");
        for _ in 0..5 {
            sender.send_to(b"late", local).unwrap();
        }
        rig.await_rest();
        let late: u64 = rig
            .control()
            .worker_stats()
            .map(|stats| stats.drops.of(DropReason::RestingPort))
            .sum();
        assert_eq!(late, 5 * u64::from(round));
    }
    rig.stop();
    assert!(UdpSocket::bind(local).is_ok());
}

#[test]
fn a_port_that_somebody_else_holds_is_refused_and_another_served() {
    let mut rig = Rig::start([127, 8, 7, 20]);
    let theirs = UdpSocket::bind(rig.local(21_000)).unwrap();
    let (now, local) = (rig.clock.now(), rig.local(21_000));
    let refused = rig.control().open_flow(now, local);
    assert!(
        matches!(&refused, Err(Error::Io(fault)) if fault.kind() == ErrorKind::AddrInUse),
        "{refused:?}"
    );
    rig.call(21_002, host().1, host().1);
    drop(theirs);
    assert!(rig.control().open_flow(now, local).is_ok());
    rig.stop();
}

#[test]
fn a_delivery_in_memory_between_workers_wakes_the_one_that_sleeps() {
    let mut rig = Rig::start([127, 8, 7, 15]);
    let (one, one_address) = host();
    let (two, two_address) = host();
    // Ports 21 000 and 21 006 belong to different workers.
    let (first, second) = (rig.local(21_000), rig.local(21_006));
    rig.call(21_000, one_address, second);
    let (inner, outer) = rig.call(21_006, first, two_address);
    rig.await_settled();
    // The second call's flow is claimed by the worker that has its socket.
    let stranger = host().0;
    stranger.send_to(b"claim", second).unwrap();
    let mut buffer = [0; 16];
    assert_eq!(two.recv_from(&mut buffer).unwrap().0, 5);
    rig.await_rest();
    one.send_to(b"through both", first).unwrap();
    let (bytes, source) = two.recv_from(&mut buffer).unwrap();
    assert_eq!(
        (&buffer[..bytes], source),
        (&b"through both"[..], rig.local(21_008))
    );
    rig.await_rest();
    assert_eq!(rig.control().stats(inner).packets_received, 2);
    assert_eq!(rig.control().stats(outer).packets_sent, 2);
    rig.stop();
}

#[test]
fn two_thousand_ports_are_served() {
    const PORTS: u16 = 2_000;
    let limit = udp::raise_descriptor_limit().unwrap();
    assert!(
        limit > u64::from(PORTS) + 100,
        "this test needs {PORTS} descriptors, not {limit}"
    );
    let mut rig = Rig::start_with(
        [127, 8, 7, 16],
        Idle::Block { after_turns: 2 },
        21_000 + PORTS,
    );
    let (sink, sink_address) = host();
    let now = rig.clock.now();
    let mut flows = Vec::new();
    for port in 21_000..21_000 + PORTS {
        let local = rig.local(port);
        while !rig.control().has_room(2) {
            while rig.control().poll_event(now).is_some() {}
            std::thread::yield_now();
        }
        let flow = rig.control().open_flow(now, local).unwrap();
        rig.control()
            .set_path(flow, Path::to(flow, sink_address))
            .unwrap();
        flows.push(flow);
    }
    rig.await_settled();
    let (source, _) = host();
    let mut buffer = [0; 16];
    for ports in (21_000..21_000 + PORTS).collect::<Vec<_>>().chunks(50) {
        for port in ports {
            source
                .send_to(&port.to_be_bytes(), rig.local(*port))
                .unwrap();
        }
        for _ in ports {
            let (bytes, from) = sink.recv_from(&mut buffer).unwrap();
            assert_eq!(&buffer[..bytes], from.port().to_be_bytes());
        }
    }
    rig.await_rest();
    assert!(
        flows
            .iter()
            .all(|flow| rig.control().stats(*flow).packets_sent == 1)
    );
    rig.stop();
}

/// A worker about to sleep either sees the command or is woken for it.
#[test]
fn no_command_is_slept_through() {
    let mut rig = Rig::start_with([127, 8, 7, 17], Idle::Block { after_turns: 0 }, 21_999);
    let (flow, other) = rig.call(21_000, host().1, host().1);
    for number in 1..3_000_u16 {
        let remote = SocketAddr::from(([127, 0, 0, 1], number));
        rig.control()
            .set_path(flow, Path::to(other, remote))
            .unwrap();
        rig.await_settled();
        let now = rig.clock.now();
        while rig.control().poll_event(now).is_some() {}
    }
    rig.stop();
}

#[test]
fn workers_at_rest_are_woken_once_for_all_commands_of_a_batch() {
    let mut rig = Rig::start_with([127, 8, 7, 18], Idle::Block { after_turns: 0 }, 21_999);
    rig.await_rest();
    rig.control().defer_wakes();
    rig.call(21_000, host().1, host().1);
    rig.await_rest();
    assert!(!rig.control().is_settled(), "nobody woke the workers");
    rig.control().wake_workers();
    rig.await_settled();
    rig.stop();
}
