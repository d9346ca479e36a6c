//! Workers and their control on the simulated network: virtual time, every turn stepped by the
//! test.

use base::Instant;
use dataplane::io::sim::{self, Network, Packet};
use dataplane::{
    BURST_MAX, Config, Context, Control, Datagram, DropReason, EGRESSES_MAX, Egress, Error, Event,
    FlowId, Function, Ingress, Latch, LocalAddress, LocalAddresses, Path, Remote, Turn, Verdict,
    Worker, runtime,
};
use std::net::SocketAddr;
use std::time::Duration;

/// Admits everything that may come and forwards it.
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

struct Rig {
    now: Instant,
    control: Control,
    workers: Vec<Worker>,
    network: Network,
    frames: usize,
}

const REST: Duration = Duration::from_secs(5);

impl Rig {
    fn new(workers: usize) -> Self {
        Self::with(
            workers,
            256,
            Config {
                rest: REST,
                ..Config::default()
            },
        )
    }

    fn with(workers: usize, frames: usize, config: Config) -> Self {
        let addresses = LocalAddresses::new(&[
            LocalAddress::new([192, 0, 2, 1].into(), 10_000..=10_019),
            LocalAddress::new("2001:db8::1".parse().unwrap(), 10_000..=10_019),
        ])
        .unwrap();
        let (backend, network) = sim::backend(&addresses, workers, frames);
        let (control, workers) = runtime(&config, backend, |_| Box::new(Pipe)).unwrap();
        Self {
            now: Instant::from_secs(1_800_000_000),
            control,
            workers,
            network,
            frames,
        }
    }

    fn open(&mut self, port: u16) -> FlowId {
        self.control.open_flow(self.now, local(port)).unwrap()
    }

    /// Opens two ports, the first leading out by the second.
    fn relay(&mut self, port: u16, remote: SocketAddr) -> (FlowId, FlowId) {
        let (from, to) = (self.open(port), self.open(port + 2));
        self.control.set_path(from, Path::to(to, remote)).unwrap();
        (from, to)
    }

    /// Turns of all workers until none has anything to do.
    fn settle(&mut self) {
        for _ in 0..100 {
            let turns: Vec<Turn> = self
                .workers
                .iter_mut()
                .map(|worker| worker.turn(self.now))
                .collect();
            if turns.iter().all(|turn| *turn == Turn::Idle) {
                return;
            }
        }
        panic!("the workers do not come to rest");
    }

    fn events(&mut self) -> Vec<Event> {
        let now = self.now;
        std::iter::from_fn(|| self.control.poll_event(now)).collect()
    }

    fn pass(&mut self, time: Duration) {
        let end = self.now + time;
        while self.now < end {
            self.now += Duration::from_millis(50).min(end - self.now);
            self.settle();
        }
    }

    fn send(&mut self, worker: usize, from: SocketAddr, port: u16, payload: &[u8]) {
        assert!(self.network.send(worker, from, local(port), payload));
    }

    fn received(&mut self) -> Vec<Packet> {
        std::iter::from_fn(|| self.network.receive()).collect()
    }

    fn drops(&self, reason: DropReason) -> u64 {
        self.control
            .worker_stats()
            .map(|stats| stats.drops.of(reason))
            .sum()
    }

    fn all_drops(&self) -> u64 {
        self.control
            .worker_stats()
            .map(|stats| stats.drops.total())
            .sum()
    }

    /// At rest, every frame is in its pool.
    fn assert_frames_are_back(&self) {
        for worker in 0..self.workers.len() {
            assert_eq!(
                self.network.frames_free(worker),
                self.frames,
                "worker {worker}"
            );
        }
    }
}

fn local(port: u16) -> SocketAddr {
    SocketAddr::from(([192, 0, 2, 1], port))
}

fn remote(port: u16) -> SocketAddr {
    SocketAddr::from(([203, 0, 113, 1], port))
}

#[test]
fn a_datagram_leaves_by_the_egress_of_its_flow() {
    let mut rig = Rig::new(1);
    let (from, to) = rig.relay(10_000, remote(1));
    rig.send(0, remote(9), 10_000, b"media");
    rig.settle();
    let sent = rig.received();
    assert_eq!(sent.len(), 1);
    assert_eq!(
        (sent[0].source, sent[0].destination),
        (local(10_002), remote(1))
    );
    assert_eq!(sent[0].payload, b"media");
    let stats = rig.control.stats(from);
    assert_eq!(
        (
            stats.packets_received,
            stats.octets_received,
            stats.packets_sent
        ),
        (1, 5, 0)
    );
    assert_eq!(stats.last_arrival, Some(rig.now));
    let stats = rig.control.stats(to);
    assert_eq!(
        (
            stats.packets_sent,
            stats.octets_sent,
            stats.packets_received
        ),
        (1, 5, 0)
    );
    assert_eq!(rig.all_drops(), 0);
    rig.assert_frames_are_back();
}

#[test]
fn the_families_of_the_two_sides_may_differ() {
    let mut rig = Rig::new(1);
    let six: SocketAddr = "[2001:db8::1]:10002".parse().unwrap();
    let (a, b) = (
        rig.open(10_000),
        rig.control.open_flow(rig.now, six).unwrap(),
    );
    let far: SocketAddr = "[2001:db8:9::9]:4000".parse().unwrap();
    rig.control.set_path(a, Path::to(b, far)).unwrap();
    rig.control.set_path(b, Path::to(a, remote(1))).unwrap();
    rig.send(0, remote(1), 10_000, b"to six");
    assert!(rig.network.send(0, far, six, b"to four"));
    rig.settle();
    let mut sent = rig.received();
    sent.sort_by_key(|packet| packet.source);
    assert_eq!(
        (sent[0].source, sent[0].destination),
        (local(10_000), remote(1))
    );
    assert_eq!((sent[1].source, sent[1].destination), (six, far));

    let wrong = Path::to(b, remote(1));
    assert!(matches!(
        rig.control.set_path(a, wrong),
        Err(Error::FamilyMismatch)
    ));
}

#[test]
fn each_egress_gets_a_copy() {
    let mut rig = Rig::new(1);
    let from = rig.open(10_000);
    let mut path = Path::new(Ingress::default());
    for number in 1..=EGRESSES_MAX as u16 {
        let to = rig.open(10_000 + 2 * number);
        assert!(path.push(Egress::new(to, Remote::Fixed(remote(number)))));
    }
    rig.control.set_path(from, path).unwrap();
    rig.send(0, remote(9), 10_000, b"for all");
    rig.settle();
    let sent = rig.received();
    let destinations: Vec<_> = sent
        .iter()
        .map(|packet| packet.destination.port())
        .collect();
    assert_eq!(destinations, [1, 2, 3, 4]);
    assert!(sent.iter().all(|packet| packet.payload == b"for all"));
    rig.assert_frames_are_back();
}

#[test]
fn a_path_set_later_replaces_the_one_before() {
    let mut rig = Rig::new(1);
    let (from, to) = rig.relay(10_000, remote(1));
    rig.settle();
    rig.control.set_path(from, Path::to(to, remote(2))).unwrap();
    rig.send(0, remote(9), 10_000, b"x");
    rig.settle();
    assert_eq!(rig.received()[0].destination, remote(2));
    assert!(rig.events().is_empty());
    assert!(rig.control.is_settled());
}

#[test]
fn what_was_sent_stays_with_the_port_it_was_sent_from() {
    let mut rig = Rig::new(2);
    let (from, first) = rig.relay(10_000, remote(1));
    let second = rig.open(10_004);
    let sent = |rig: &Rig, flow| {
        let stats = rig.control.stats(flow);
        assert_eq!(stats.octets_sent, 5 * stats.packets_sent);
        stats.packets_sent
    };
    for _ in 0..2 {
        rig.send(1, remote(9), 10_000, b"media");
    }
    rig.settle();
    assert_eq!((sent(&rig, first), sent(&rig, second)), (2, 0));
    // Whether the worker has done it or not.
    rig.control
        .set_path(from, Path::to(second, remote(2)))
        .unwrap();
    assert_eq!((sent(&rig, first), sent(&rig, second)), (2, 0));
    rig.settle();
    assert_eq!((sent(&rig, first), sent(&rig, second)), (2, 0));
    rig.send(0, remote(9), 10_000, b"media");
    rig.settle();
    assert_eq!((sent(&rig, first), sent(&rig, second)), (2, 1));
    rig.control.close_flow(from).unwrap();
    rig.control.close_flow(second).unwrap();
    assert_eq!((sent(&rig, first), sent(&rig, second)), (2, 1));
    rig.settle();
    assert_eq!((sent(&rig, first), sent(&rig, second)), (2, 1));
    rig.events();
    rig.pass(REST);
    let again = rig.open(10_004);
    assert_eq!((again, sent(&rig, again)), (second, 0));
    assert_eq!(sent(&rig, first), 2);
}

/// Paths are set anew and ports closed and opened in any order, and statistics read before a worker
/// knows of it: each port has sent what the network saw coming from it.
#[test]
fn what_a_port_has_sent_is_what_the_network_saw() {
    const PORTS: [u16; 5] = [10_000, 10_002, 10_004, 10_006, 10_008];
    let config = Config {
        rest: Duration::ZERO,
        ..Config::default()
    };
    let mut rig = Rig::with(2, 256, config);
    let mut flows = PORTS.map(|port| Some(rig.open(port)));
    let mut seen = [0; PORTS.len()];
    let mut state = 7_u64;
    let mut draw = |below: usize| {
        state = state
            .wrapping_mul(6_364_136_223_846_793_005)
            .wrapping_add(1_442_695_040_888_963_407);
        (state >> 33) as usize % below
    };
    for step in 0..3_000 {
        let (one, other) = (draw(PORTS.len()), draw(PORTS.len()));
        match (draw(8), flows[one], flows[other]) {
            (0..3, Some(from), Some(to)) => {
                let mut path = Path::to(to, remote(1));
                // Now and then to two, which is not the way of most packets.
                if let (0, Some(more)) = (draw(3), flows[draw(PORTS.len())]) {
                    assert!(path.push(Egress::new(more, Remote::Fixed(remote(2)))));
                }
                rig.control.set_path(from, path).unwrap();
            }
            (3, Some(from), _) => {
                rig.control.close_flow(from).unwrap();
                flows[one] = None;
            }
            (4, None, _) => {
                rig.settle();
                rig.events();
                flows[one] = Some(rig.open(PORTS[one]));
                seen[one] = 0;
            }
            (5.., _, _) => {
                rig.send(draw(2), remote(9), PORTS[one], b"media");
                rig.settle();
                for packet in rig.received() {
                    let port = PORTS.iter().position(|port| *port == packet.source.port());
                    seen[port.unwrap()] += 1;
                }
            }
            _ => {}
        }
        for (port, seen) in PORTS.into_iter().zip(seen) {
            let flow = rig.control.addresses().find(local(port)).unwrap();
            let sent = rig.control.stats(flow).packets_sent;
            assert_eq!(sent, seen, "port {port} after step {step}");
        }
    }
    assert!(seen.iter().any(|seen| *seen > 0));
}

#[test]
fn what_is_sent_to_ourselves_is_delivered_in_memory() {
    let mut rig = Rig::new(1);
    // Two relays, the first leading to the second's address.
    let (_, out) = rig.relay(10_000, local(10_004));
    let (second, _) = rig.relay(10_004, remote(1));
    rig.send(0, remote(9), 10_000, b"twice relayed");
    rig.settle();
    let sent = rig.received();
    assert_eq!(sent.len(), 1);
    assert_eq!(
        (sent[0].source, sent[0].destination),
        (local(10_006), remote(1))
    );
    assert_eq!(rig.control.stats(out).packets_sent, 1);
    assert_eq!(rig.control.stats(second).packets_received, 1);
    assert_eq!(
        rig.control
            .worker_stats()
            .map(|stats| stats.delivered)
            .sum::<u64>(),
        1
    );
    rig.assert_frames_are_back();
}

#[test]
fn delivery_in_memory_shows_the_sending_flow_as_source() {
    let mut rig = Rig::new(1);
    rig.relay(10_000, local(10_004));
    let (second, _) = rig.relay(10_004, remote(1));
    let only = dataplane::SourceFilter::ANY
        .network(local(0).ip(), 32)
        .ports(10_002..=10_002);
    let mut path = Path::new(Ingress {
        filter: only,
        ..Ingress::default()
    });
    assert!(path.push(Egress::new(second, Remote::Fixed(remote(1)))));
    rig.control.set_path(second, path).unwrap();
    rig.send(0, remote(9), 10_000, b"x");
    rig.settle();
    assert_eq!(rig.received().len(), 1);
}

#[test]
fn a_loop_of_paths_ends_at_the_hop_limit() {
    let mut rig = Rig::new(1);
    let (a, b) = (rig.open(10_000), rig.open(10_002));
    rig.control.set_path(a, Path::to(b, local(10_002))).unwrap();
    rig.control.set_path(b, Path::to(a, local(10_000))).unwrap();
    rig.send(0, remote(9), 10_000, b"round and round");
    rig.settle();
    assert_eq!(rig.drops(DropReason::HopLimit), 1);
    assert!(rig.received().is_empty());
    rig.assert_frames_are_back();
}

#[test]
fn a_loop_that_multiplies_is_bounded_too() {
    let mut rig = Rig::new(1);
    let (a, b) = (rig.open(10_000), rig.open(10_002));
    let fork = |to: FlowId, target: SocketAddr| {
        let mut path = Path::new(Ingress::default());
        for _ in 0..EGRESSES_MAX {
            assert!(path.push(Egress::new(to, Remote::Fixed(target))));
        }
        path
    };
    rig.control.set_path(a, fork(b, local(10_002))).unwrap();
    rig.control.set_path(b, fork(a, local(10_000))).unwrap();
    rig.send(0, remote(9), 10_000, b"avalanche");
    // Four to the ninth deliveries were there no bound; each turn does its share only.
    for _ in 0..2_000 {
        if rig.workers[0].turn(rig.now) == Turn::Idle {
            break;
        }
    }
    assert_eq!(rig.workers[0].turn(rig.now), Turn::Idle);
    assert!(rig.drops(DropReason::NoFrame) + rig.drops(DropReason::LocalQueueFull) > 0);
    rig.assert_frames_are_back();
}

#[test]
fn the_worker_that_receives_first_keeps_the_flow() {
    let mut rig = Rig::new(3);
    let (from, _) = rig.relay(10_000, remote(1));
    rig.settle();
    rig.send(1, remote(9), 10_000, b"a");
    rig.settle();
    for (worker, payload) in [(0, b"b"), (2, b"c"), (1, b"d")] {
        rig.send(worker, remote(9), 10_000, payload);
        rig.settle();
    }
    let sent = rig.received();
    assert_eq!(sent.len(), 4);
    assert!(sent.iter().all(|packet| packet.worker == 1), "{sent:?}");
    assert_eq!(rig.control.stats(from).packets_received, 4);
    assert_eq!(
        rig.control
            .worker_stats()
            .map(|stats| stats.handed_over)
            .collect::<Vec<_>>(),
        [1, 0, 1]
    );
    rig.assert_frames_are_back();
}

#[test]
fn datagrams_handed_over_keep_their_order() {
    let mut rig = Rig::new(2);
    rig.relay(10_000, remote(1));
    rig.settle();
    rig.send(1, remote(9), 10_000, &[0]);
    rig.settle();
    for number in 1..=100_u8 {
        rig.send(0, remote(9), 10_000, &[number]);
    }
    rig.settle();
    let payloads: Vec<u8> = rig
        .received()
        .iter()
        .map(|packet| packet.payload[0])
        .collect();
    assert_eq!(payloads, (0..=100).collect::<Vec<_>>());
}

#[test]
fn the_two_directions_of_a_call_live_where_they_arrive() {
    let mut rig = Rig::new(2);
    let (a, b) = (rig.open(10_000), rig.open(10_002));
    rig.control.set_path(a, Path::to(b, remote(2))).unwrap();
    rig.control.set_path(b, Path::to(a, remote(1))).unwrap();
    rig.settle();
    rig.send(0, remote(1), 10_000, b"there");
    rig.send(1, remote(2), 10_002, b"back");
    rig.settle();
    let mut sent = rig.received();
    sent.sort_by_key(|packet| packet.worker);
    assert_eq!((sent[0].worker, sent[0].destination), (0, remote(2)));
    assert_eq!((sent[1].worker, sent[1].destination), (1, remote(1)));
    assert_eq!(
        rig.control
            .worker_stats()
            .map(|stats| stats.handed_over)
            .sum::<u64>(),
        0
    );
    // Each port's counters come together from both workers.
    let stats = rig.control.stats(a);
    assert_eq!((stats.packets_received, stats.packets_sent), (1, 1));
}

#[test]
fn delivery_in_memory_reaches_the_worker_that_has_the_flow() {
    let mut rig = Rig::new(2);
    rig.relay(10_000, local(10_004));
    rig.relay(10_004, remote(1));
    rig.settle();
    rig.send(1, remote(9), 10_004, b"claims");
    rig.settle();
    rig.send(0, remote(9), 10_000, b"delivered");
    rig.settle();
    let sent = rig.received();
    assert_eq!(sent.len(), 2);
    assert!(sent.iter().all(|packet| packet.worker == 1));
    rig.assert_frames_are_back();
}

#[test]
fn the_ring_between_workers_is_bounded() {
    let mut rig = Rig::new(2);
    rig.relay(10_000, remote(1));
    rig.settle();
    rig.send(1, remote(9), 10_000, b"claim");
    rig.settle();
    for _ in 0..4 * BURST_MAX {
        rig.send(0, remote(9), 10_000, b"x");
    }
    // Only the receiving worker runs.
    while rig.workers[0].turn(rig.now) == Turn::Busy {}
    let refused = rig.drops(DropReason::HandoffFull);
    assert_eq!(refused, 2 * BURST_MAX as u64);
    rig.settle();
    assert_eq!(rig.received().len(), 1 + 2 * BURST_MAX);
    rig.assert_frames_are_back();
}

#[test]
fn what_was_handed_over_for_a_former_use_is_dropped() {
    let mut rig = Rig::with(
        2,
        256,
        Config {
            rest: Duration::ZERO,
            ..Config::default()
        },
    );
    let (flow, to) = rig.relay(10_000, remote(1));
    rig.settle();
    rig.send(1, remote(9), 10_000, b"claim");
    rig.settle();
    rig.send(0, remote(9), 10_000, b"late");
    rig.workers[0].turn(rig.now);
    rig.control.close_flow(flow).unwrap();
    rig.settle();
    assert_eq!(rig.drops(DropReason::StaleFlow), 1);
    assert_eq!(
        rig.events(),
        [Event::Closed {
            flow,
            free_at: rig.now
        }]
    );
    let again = rig.open(10_000);
    assert_eq!(again, flow);
    rig.control
        .set_path(again, Path::to(to, remote(2)))
        .unwrap();
    rig.settle();
    assert_eq!(rig.received().len(), 1);
}

#[test]
fn a_closed_port_rests() {
    let mut rig = Rig::new(2);
    let (flow, _) = rig.relay(10_000, remote(1));
    rig.send(0, remote(9), 10_000, b"x");
    rig.settle();
    assert!(matches!(
        rig.control.open_flow(rig.now, local(10_000)),
        Err(Error::InUse)
    ));
    rig.control.close_flow(flow).unwrap();
    assert!(matches!(rig.control.close_flow(flow), Err(Error::NotOpen)));
    assert!(matches!(
        rig.control.open_flow(rig.now, local(10_000)),
        Err(Error::InUse)
    ));
    rig.workers[0].turn(rig.now);
    assert!(rig.events().is_empty(), "one worker has not let go yet");
    rig.settle();
    let free_at = rig.now + REST;
    assert_eq!(rig.events(), [Event::Closed { flow, free_at }]);
    assert_eq!(
        rig.control.stats(flow).packets_received,
        1,
        "counters outlive the flow"
    );

    rig.send(0, remote(9), 10_000, b"late");
    rig.settle();
    rig.send(0, remote(9), 10_018, b"to a port never opened");
    rig.settle();
    assert_eq!(rig.drops(DropReason::RestingPort), 1);
    assert_eq!(rig.drops(DropReason::UnknownFlow), 1);
    let early = rig.control.open_flow(rig.now, local(10_000));
    assert!(matches!(early, Err(Error::Resting { until }) if until == free_at));
    rig.pass(REST);
    let again = rig.open(10_000);
    assert_eq!(rig.control.stats(again), dataplane::FlowStats::default());
    rig.settle();
    rig.send(0, remote(9), 10_000, b"too early");
    rig.settle();
    assert_eq!(rig.drops(DropReason::NoPath), 1);
}

#[test]
fn nothing_leaves_by_a_port_that_was_closed_even_when_it_is_opened_again() {
    let mut rig = Rig::with(
        1,
        256,
        Config {
            rest: Duration::ZERO,
            ..Config::default()
        },
    );
    let (_, to) = rig.relay(10_000, remote(1));
    rig.settle();
    rig.control.close_flow(to).unwrap();
    // The worker may see packets before the path is published anew, and must not send them either.
    rig.send(0, remote(9), 10_000, b"x");
    rig.settle();
    assert_eq!(rig.drops(DropReason::NoEgress), 1);
    rig.events();
    rig.open(10_002);
    rig.settle();
    rig.send(0, remote(9), 10_000, b"x");
    rig.settle();
    assert_eq!(rig.drops(DropReason::NoEgress), 2);
    assert!(rig.received().is_empty());
}

#[test]
fn a_pair_is_opened_whole_or_not_at_all() {
    let mut rig = Rig::new(1);
    let (rtp, rtcp) = rig.control.open_pair(rig.now, local(10_000)).unwrap();
    assert_eq!(rtcp, FlowId(rtp.0 + 1));
    rig.network.occupy(local(10_003));
    let refused = rig.control.open_pair(rig.now, local(10_002));
    assert!(
        matches!(refused, Err(Error::Io(error)) if error.kind() == std::io::ErrorKind::AddrInUse)
    );
    rig.settle();
    rig.events();
    rig.pass(REST);
    rig.open(10_002);
    let outside = rig.control.open_pair(rig.now, local(10_019));
    assert!(matches!(outside, Err(Error::UnknownAddress)));
}

#[test]
fn commands_beyond_the_ring_are_refused_whole() {
    let config = Config {
        commands_max: 16,
        ..Config::default()
    };
    let mut rig = Rig::with(2, 64, config);
    let (from, to) = rig.relay(10_000, remote(1));
    rig.settle();
    assert!(rig.control.has_room(16) && !rig.control.has_room(17));
    let mut accepted = 0_u16;
    loop {
        match rig
            .control
            .set_path(from, Path::to(to, remote(2 + accepted)))
        {
            Ok(()) => accepted += 1,
            Err(Error::Busy) => break,
            Err(error) => panic!("{error}"),
        }
    }
    assert_eq!(accepted, 16);
    assert!(!rig.control.has_room(1));
    assert!(matches!(rig.control.close_flow(to), Err(Error::Busy)));
    assert!(matches!(
        rig.control.open_flow(rig.now, local(10_010)),
        Err(Error::Busy)
    ));
    // One worker alone does not make room.
    rig.workers[0].turn(rig.now);
    assert!(matches!(
        rig.control.set_path(from, Path::to(to, remote(99))),
        Err(Error::Busy)
    ));
    assert!(!rig.control.is_settled());
    while !rig.control.is_settled() {
        rig.events();
        rig.settle();
    }
    rig.send(0, remote(9), 10_000, b"x");
    rig.settle();
    assert_eq!(rig.received()[0].destination, remote(1 + accepted));
    rig.control
        .set_path(from, Path::to(to, remote(99)))
        .unwrap();
}

#[test]
fn paths_of_flows_that_are_not_open_are_refused() {
    let mut rig = Rig::new(1);
    let flow = rig.open(10_000);
    let closed = FlowId(flow.0 + 1);
    assert!(matches!(
        rig.control.set_path(closed, Path::to(flow, remote(1))),
        Err(Error::NotOpen)
    ));
    assert!(matches!(
        rig.control.set_path(flow, Path::to(closed, remote(1))),
        Err(Error::NotOpen)
    ));
    assert!(matches!(
        rig.control
            .set_path(FlowId(u32::MAX), Path::to(flow, remote(1))),
        Err(Error::NotOpen)
    ));
    assert!(matches!(
        rig.control.open_flow(rig.now, remote(1)),
        Err(Error::UnknownAddress)
    ));
    assert_eq!(
        rig.control.stats(FlowId(u32::MAX)),
        dataplane::FlowStats::default()
    );
}

/// A flow that latches, and another that leads out by its port to whom it has latched.
fn latching(rig: &mut Rig, latch: Latch) -> (FlowId, FlowId) {
    let (a, b) = (rig.open(10_000), rig.open(10_002));
    let mut path = Path::new(Ingress {
        latch,
        ..Ingress::default()
    });
    assert!(path.push(Egress::new(b, Remote::Fixed(remote(2)))));
    rig.control.set_path(a, path).unwrap();
    let mut back = Path::new(Ingress::default());
    assert!(back.push(Egress::new(a, Remote::Latched)));
    rig.control.set_path(b, back).unwrap();
    (a, b)
}

#[test]
fn media_go_to_the_source_that_was_latched_to() {
    let mut rig = Rig::new(2);
    let (a, b) = latching(&mut rig, Latch::First { request: 1 });
    rig.send(1, remote(2), 10_002, b"too early");
    rig.settle();
    assert_eq!(rig.drops(DropReason::NotLatched), 1);

    rig.send(0, remote(77), 10_000, b"here I am");
    rig.settle();
    assert_eq!(
        rig.events(),
        [Event::Latched {
            flow: a,
            source: remote(77)
        }]
    );
    assert_eq!(rig.control.latched(a), Some(remote(77)));
    rig.settle();
    rig.network.discard();
    rig.send(1, remote(2), 10_002, b"welcome");
    rig.settle();
    assert_eq!(rig.received()[0].destination, remote(77));

    rig.send(0, remote(78), 10_000, b"spoofed");
    rig.settle();
    assert_eq!(rig.drops(DropReason::SourceMismatch), 1);
    assert!(rig.received().is_empty());
    assert_eq!(rig.control.stats(b).packets_received, 2);
}

#[test]
fn relatching_keeps_sending_to_the_old_source_until_the_new_one_speaks() {
    let mut rig = Rig::new(1);
    let (a, b) = latching(&mut rig, Latch::First { request: 1 });
    rig.send(0, remote(77), 10_000, b"x");
    rig.settle();
    rig.events();
    let mut path = Path::new(Ingress {
        latch: Latch::Again { request: 2 },
        ..Ingress::default()
    });
    assert!(path.push(Egress::new(b, Remote::Fixed(remote(2)))));
    rig.control.set_path(a, path).unwrap();
    rig.settle();
    rig.network.discard();
    rig.send(0, remote(2), 10_002, b"still there?");
    rig.settle();
    assert_eq!(rig.received()[0].destination, remote(77));
    rig.send(0, remote(88), 10_000, b"moved");
    rig.settle();
    assert_eq!(
        rig.events(),
        [Event::Latched {
            flow: a,
            source: remote(88)
        }]
    );
    rig.settle();
    rig.network.discard();
    rig.send(0, remote(2), 10_002, b"there");
    rig.send(0, remote(77), 10_000, b"the old one");
    rig.settle();
    assert_eq!(
        rig.received()
            .iter()
            .map(|packet| packet.destination)
            .collect::<Vec<_>>(),
        [remote(88)]
    );
    assert_eq!(rig.drops(DropReason::SourceMismatch), 1);
}

#[test]
fn an_answer_to_an_earlier_demand_to_latch_is_ignored() {
    let mut rig = Rig::new(1);
    let (a, b) = latching(&mut rig, Latch::First { request: 1 });
    rig.send(0, remote(77), 10_000, b"x");
    rig.settle();
    let mut path = Path::new(Ingress {
        latch: Latch::First { request: 2 },
        ..Ingress::default()
    });
    assert!(path.push(Egress::new(b, Remote::Fixed(remote(2)))));
    rig.control.set_path(a, path).unwrap();
    assert!(rig.events().is_empty());
    assert_eq!(rig.control.latched(a), None);
    rig.settle();
    rig.send(0, remote(78), 10_000, b"x");
    rig.settle();
    assert_eq!(
        rig.events(),
        [Event::Latched {
            flow: a,
            source: remote(78)
        }]
    );
}

#[test]
fn a_latch_is_reported_even_when_the_ring_was_full_at_the_time() {
    let config = Config {
        commands_max: 16,
        ..Config::default()
    };
    let mut rig = Rig::with(1, 64, config);
    let (a, b) = latching(&mut rig, Latch::First { request: 1 });
    rig.settle();
    rig.events();
    // Paths given back fill the ring of reports.
    for number in 0..16 {
        rig.control
            .set_path(b, Path::to(a, remote(number)))
            .unwrap();
    }
    rig.settle();
    rig.send(0, remote(77), 10_000, b"x");
    rig.settle();
    assert!(rig.events().is_empty());
    rig.send(0, remote(77), 10_000, b"x");
    rig.settle();
    assert_eq!(
        rig.events(),
        [Event::Latched {
            flow: a,
            source: remote(77)
        }]
    );
}

#[test]
fn the_first_packet_is_reported_once() {
    let mut rig = Rig::new(2);
    let (a, b) = (rig.open(10_000), rig.open(10_002));
    let mut path = Path::new(Ingress {
        report_first_packet: true,
        ..Ingress::default()
    });
    assert!(path.push(Egress::new(b, Remote::Fixed(remote(2)))));
    rig.control.set_path(a, path).unwrap();
    rig.settle();
    assert!(rig.events().is_empty());
    rig.send(1, remote(5), 10_000, b"x");
    rig.send(0, remote(6), 10_000, b"x");
    rig.settle();
    let events = rig.events();
    assert!(
        matches!(events[..], [Event::FirstPacket { flow, .. }] if flow == a),
        "{events:?}"
    );
}

fn watched(rig: &mut Rig, port: u16, inactivity: Duration) -> FlowId {
    let (from, to) = (rig.open(port), rig.open(port + 2));
    let mut path = Path::new(Ingress {
        inactivity: Some(inactivity),
        ..Ingress::default()
    });
    assert!(path.push(Egress::new(to, Remote::Fixed(remote(1)))));
    rig.control.set_path(from, path).unwrap();
    rig.settle();
    from
}

#[test]
fn a_flow_that_never_received_is_reported_once_by_one_worker() {
    for port in [10_000, 10_001] {
        let mut rig = Rig::new(2);
        let start = rig.now;
        let flow = watched(&mut rig, port, Duration::from_secs(2));
        rig.pass(Duration::from_millis(1_950));
        assert!(rig.events().is_empty());
        rig.pass(Duration::from_millis(150));
        assert_eq!(rig.events(), [Event::Inactive { flow, since: start }]);
        rig.pass(Duration::from_secs(20));
        assert!(rig.events().is_empty());
    }
}

#[test]
fn silence_is_reported_once_until_packets_come_and_cease_again() {
    let mut rig = Rig::new(2);
    let flow = watched(&mut rig, 10_000, Duration::from_secs(2));
    for _ in 0..10 {
        rig.send(1, remote(9), 10_000, b"x");
        rig.pass(Duration::from_secs(1));
    }
    assert!(rig.events().is_empty());
    let last = rig.control.stats(flow).last_arrival.unwrap();
    rig.pass(Duration::from_secs(10));
    assert_eq!(rig.events(), [Event::Inactive { flow, since: last }]);
    rig.send(0, remote(9), 10_000, b"x");
    rig.pass(Duration::from_secs(1));
    let last = rig.control.stats(flow).last_arrival.unwrap();
    rig.pass(Duration::from_secs(10));
    assert_eq!(rig.events(), [Event::Inactive { flow, since: last }]);
}

#[test]
fn inactivity_begins_when_it_is_asked_for_and_ends_with_that() {
    let mut rig = Rig::new(1);
    let (from, to) = rig.relay(10_000, remote(1));
    rig.send(0, remote(9), 10_000, b"x");
    rig.pass(Duration::from_secs(60));
    let mut path = Path::to(to, remote(1));
    path.ingress.inactivity = Some(Duration::from_secs(3));
    rig.control.set_path(from, path.clone()).unwrap();
    rig.settle();
    let asked = rig.now;
    rig.pass(Duration::from_millis(2_900));
    assert!(rig.events().is_empty());
    // The same demand set again does not begin anew.
    rig.control.set_path(from, path).unwrap();
    rig.pass(Duration::from_millis(200));
    assert_eq!(
        rig.events(),
        [Event::Inactive {
            flow: from,
            since: asked
        }]
    );
    rig.control.set_path(from, Path::to(to, remote(1))).unwrap();
    rig.pass(Duration::from_secs(60));
    assert!(rig.events().is_empty());
}

#[test]
fn events_of_a_closed_flow_are_not_told() {
    let mut rig = Rig::new(1);
    let flow = watched(&mut rig, 10_000, Duration::from_secs(2));
    rig.pass(Duration::from_secs(3));
    rig.control.close_flow(flow).unwrap();
    rig.settle();
    let events = rig.events();
    assert!(matches!(events[..], [Event::Closed { .. }]), "{events:?}");
    rig.pass(Duration::from_secs(20));
    assert!(rig.events().is_empty());
}

#[test]
fn drops_of_the_network_are_counted_and_frames_come_back() {
    let mut rig = Rig::with(1, 100, Config::default());
    rig.relay(10_000, remote(1));
    rig.settle();
    rig.network.set_capacity(5);
    for _ in 0..20 {
        rig.send(0, remote(9), 10_000, b"x");
    }
    rig.settle();
    assert_eq!(rig.drops(DropReason::TxFull), 15);
    rig.network.discard();
    rig.network.refuse(Some(remote(1)));
    rig.send(0, remote(9), 10_000, b"x");
    rig.settle();
    assert_eq!(rig.drops(DropReason::TxRefused), 1);
    rig.assert_frames_are_back();
}

#[test]
fn a_flood_is_worked_off_in_bounded_turns() {
    let mut rig = Rig::with(1, 2048, Config::default());
    let (from, _) = rig.relay(10_000, remote(1));
    rig.settle();
    for _ in 0..sim::QUEUE_MAX {
        rig.send(0, remote(9), 10_000, b"x");
    }
    rig.workers[0].turn(rig.now);
    assert_eq!(rig.control.stats(from).packets_received, 1024);
    assert_eq!(rig.received().len(), 1024);
}

#[test]
fn runtimes_without_workers_are_refused() {
    let addresses =
        LocalAddresses::new(&[LocalAddress::new([192, 0, 2, 1].into(), 10_000..=10_001)]).unwrap();
    let (backend, _network) = sim::backend(&addresses, 0, 1);
    assert!(matches!(
        runtime(&Config::default(), backend, |_| Box::new(Pipe)),
        Err(Error::Misuse)
    ));
}
