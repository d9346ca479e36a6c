//! The network itself: what arrives, when, and what a crash looks like from the other side.

use std::collections::VecDeque;
use std::net::SocketAddr;
use std::time::Duration;

use base::Instant;
use sim::{Host, Link, Network, NodeId, StreamEvent, Transmit, seeds};

/// Writes down what happens to it.
#[derive(Default)]
struct Recorder {
    out: VecDeque<Transmit>,
    datagrams: Vec<(Instant, Vec<u8>)>,
    streams: Vec<String>,
    received: Vec<u8>,
    timeout: Option<Instant>,
    woken: Vec<Instant>,
    is_deaf: bool,
}

impl Host for Recorder {
    fn handle_datagram(&mut self, now: Instant, _: SocketAddr, _: SocketAddr, bytes: &[u8]) {
        self.datagrams.push((now, bytes.to_vec()));
    }

    fn handle_stream(&mut self, _: Instant, _: SocketAddr, _: SocketAddr, event: StreamEvent<'_>) {
        match event {
            StreamEvent::Received(bytes) => self.received.extend_from_slice(bytes),
            event => self.streams.push(format!("{event:?}")),
        }
    }

    fn handle_timeout(&mut self, now: Instant) {
        self.woken.push(now);
        self.timeout = None;
    }

    fn next_timeout(&self) -> Option<Instant> {
        self.timeout
    }

    fn poll_transmit(&mut self) -> Option<Transmit> {
        self.out.pop_front()
    }

    fn listens(&self, _: SocketAddr) -> bool {
        !self.is_deaf
    }
}

fn a_address() -> SocketAddr {
    SocketAddr::from(([192, 0, 2, 1], 3868))
}

fn b_address() -> SocketAddr {
    SocketAddr::from(([192, 0, 2, 2], 3868))
}

fn network(seed: u64, link: Link) -> (Network<Recorder>, NodeId, NodeId) {
    let mut network = Network::new(seed);
    network.set_link(link);
    let a = network.add("a", &[a_address().ip()], Recorder::default());
    let b = network.add("b", &[b_address().ip()], Recorder::default());
    (network, a, b)
}

fn send(network: &mut Network<Recorder>, from: NodeId, transmit: Transmit) {
    network.with(from, |host, _| host.out.push_back(transmit));
}

fn datagram(bytes: &[u8]) -> Transmit {
    Transmit::Datagram {
        local: a_address(),
        remote: b_address(),
        bytes: bytes.to_vec(),
    }
}

fn connect() -> Transmit {
    Transmit::Connect {
        local: a_address(),
        remote: b_address(),
    }
}

fn octets(bytes: &[u8]) -> Transmit {
    Transmit::Stream {
        local: a_address(),
        remote: b_address(),
        bytes: bytes.to_vec(),
    }
}

fn close() -> Transmit {
    Transmit::Close {
        local: a_address(),
        remote: b_address(),
    }
}

const DELAY: Duration = Duration::from_millis(10);
const STEADY: Link = Link {
    delay: DELAY,
    ..Link::PERFECT
};

#[test]
fn a_datagram_arrives_after_the_delay_of_the_link() {
    let (mut network, a, b) = network(1, STEADY);
    let sent = network.now();
    send(&mut network, a, datagram(b"hello"));
    network.run_for(Duration::from_secs(1));
    assert_eq!(
        network.host(b).datagrams,
        [(sent + DELAY, b"hello".to_vec())]
    );
    assert_eq!(network.now(), sent + Duration::from_secs(1));
}

#[test]
fn the_same_seed_gives_the_same_run_and_another_seed_another() {
    let run = |seed| {
        let (mut network, a, b) = network(seed, Link::BAD);
        for number in 0..500_u32 {
            send(&mut network, a, datagram(&number.to_be_bytes()));
            network.run_for(Duration::from_millis(1));
        }
        network.run_for(Duration::from_secs(1));
        (network.host(b).datagrams.clone(), network.counters())
    };
    assert_eq!(run(3), run(3));
    assert_ne!(run(3), run(4));
}

#[test]
fn a_bad_link_loses_doubles_and_reorders_as_often_as_it_says() {
    let (mut network, a, b) = network(5, Link::BAD);
    for number in 0..10_000_u32 {
        send(&mut network, a, datagram(&number.to_be_bytes()));
        network.run_for(Duration::from_millis(50));
    }
    network.run_for(Duration::from_secs(1));
    let lost = network.counters().lost;
    assert!((400..600).contains(&lost), "{lost} of 10000 lost");
    let doubled = network.counters().delivered - (10_000 - lost);
    assert!((120..280).contains(&doubled), "{doubled} doubled");
    let arrived = &network.host(b).datagrams;
    let overtaken = arrived
        .windows(2)
        .filter(|pair| pair[0].1 > pair[1].1)
        .count();
    assert!((200..800).contains(&overtaken), "{overtaken} overtaken");
}

#[test]
fn a_stream_brings_all_octets_in_order_over_any_link() {
    for seed in seeds(20) {
        let (mut network, a, b) = network(seed, Link::BAD);
        send(&mut network, a, connect());
        network.run_for(Duration::from_secs(1));
        let sent: Vec<u8> = (0..20_000_u32).map(|number| number as u8).collect();
        for portion in sent.chunks(777) {
            send(&mut network, a, octets(portion));
            network.run_for(Duration::from_millis(1));
        }
        send(&mut network, a, close());
        network.run_for(Duration::from_secs(1));
        assert_eq!(network.host(a).streams, ["Connected"]);
        assert_eq!(network.host(b).streams, ["Accepted", "Closed"]);
        assert_eq!(network.host(b).received, sent);
    }
}

#[test]
fn a_node_that_does_not_listen_refuses_and_one_that_is_nowhere_times_out() {
    let (mut network, a, b) = network(1, STEADY);
    network.with(b, |host, _| host.is_deaf = true);
    send(&mut network, a, connect());
    network.run_for(DELAY * 3);
    assert_eq!(network.host(a).streams, ["Refused"]);
    network.power_off(b);
    send(&mut network, a, connect());
    network.run_for(Duration::from_secs(19));
    assert_eq!(network.host(a).streams, ["Refused"]);
    network.run_for(Duration::from_secs(2));
    assert_eq!(network.host(a).streams, ["Refused", "Refused"]);
}

#[test]
fn a_crash_closes_streams_and_refuses_new_ones() {
    let (mut network, a, b) = network(1, STEADY);
    send(&mut network, a, connect());
    network.run_for(DELAY * 3);
    assert!(network.crash(b).is_some());
    network.run_for(DELAY * 3);
    assert_eq!(network.host(a).streams, ["Connected", "Closed"]);
    send(&mut network, a, connect());
    network.run_for(DELAY * 3);
    assert_eq!(network.host(a).streams, ["Connected", "Closed", "Refused"]);
    network.restart(b, Recorder::default());
    send(&mut network, a, connect());
    network.run_for(DELAY * 3);
    assert_eq!(network.host(b).streams, ["Accepted"]);
}

#[test]
fn loss_of_power_is_found_out_by_the_next_octets_after_the_restart() {
    let (mut network, a, b) = network(1, STEADY);
    send(&mut network, a, connect());
    network.run_for(DELAY * 3);
    network.power_off(b);
    send(&mut network, a, octets(b"into the dark"));
    network.run_for(Duration::from_secs(100));
    network.restart(b, Recorder::default());
    network.run_for(Duration::from_secs(100));
    assert_eq!(network.host(a).streams, ["Connected"]);
    send(&mut network, a, octets(b"anybody there?"));
    network.run_for(DELAY * 3);
    assert_eq!(network.host(a).streams, ["Connected", "Closed"]);
    assert!(network.host(b).received.is_empty());
}

#[test]
fn a_cut_loses_datagrams_and_holds_streams_until_it_heals() {
    for seed in seeds(20) {
        let (mut network, a, b) = network(
            seed,
            Link {
                loss_per_mille: 0,
                duplicate_per_mille: 0,
                ..Link::BAD
            },
        );
        send(&mut network, a, connect());
        network.run_for(Duration::from_secs(1));
        network.cut(&[a], &[b]);
        send(&mut network, a, datagram(b"lost"));
        for number in 0..50 {
            send(&mut network, a, octets(&[number; 100]));
            network.run_for(Duration::from_millis(10));
        }
        assert!(network.host(b).received.is_empty());
        network.heal();
        send(&mut network, a, datagram(b"found"));
        send(&mut network, a, octets(&[50; 100]));
        send(&mut network, a, close());
        network.run_for(Duration::from_secs(1));
        let expected: Vec<u8> = (0..=50).flat_map(|number| [number; 100]).collect();
        assert_eq!(network.host(b).received, expected);
        assert_eq!(network.host(b).datagrams.len(), 1);
        assert_eq!(network.host(b).streams, ["Accepted", "Closed"]);
    }
}

#[test]
fn timeouts_come_when_they_are_due_and_conditions_stop_the_clock() {
    let (mut network, a, _) = network(1, STEADY);
    let start = network.now();
    network.with(a, |host, now| {
        host.timeout = Some(now + Duration::from_secs(7))
    });
    let is_woken = |network: &Network<Recorder>| !network.host(a).woken.is_empty();
    assert!(network.run_until_met(Duration::from_secs(60), is_woken));
    assert_eq!(network.now(), start + Duration::from_secs(7));
    assert_eq!(network.host(a).woken, [network.now()]);
    assert!(!network.run_until_met(Duration::from_secs(60), |_| false));
    assert_eq!(network.now(), start + Duration::from_secs(67));
}

#[test]
fn what_nodes_send_is_recorded_as_they_sent_it() {
    let (mut network, a, b) = network(1, Link::BAD);
    send(&mut network, a, datagram(b"before"));
    network.record();
    for bytes in [&b"one"[..], b"two"] {
        send(&mut network, a, datagram(bytes));
    }
    send(&mut network, a, connect());
    network.run_for(Duration::from_secs(1));
    send(&mut network, a, octets(b"three"));
    let recorded = network.take_recorded();
    let bytes: Vec<_> = recorded
        .iter()
        .map(|sent| (sent.is_stream, sent.bytes.as_slice()))
        .collect();
    assert_eq!(
        bytes,
        [(false, &b"one"[..]), (false, b"two"), (true, b"three")]
    );
    assert!(network.take_recorded().is_empty());
    // What is thrown in is nobody's, arrives at once and, on a stream, in order.
    let at = network.now();
    network.inject_on_stream(a_address(), b_address(), b"four");
    network.inject(([198, 51, 100, 9], 9).into(), b_address(), b"five");
    network.run_for(Duration::from_secs(1));
    assert!(network.take_recorded().is_empty());
    assert_eq!(
        network.host(b).datagrams.last(),
        Some(&(at, b"five".to_vec()))
    );
    assert_eq!(network.host(b).received, b"threefour");
}

/// Always wants to be woken at once.
struct Spinner;

impl Host for Spinner {
    fn handle_datagram(&mut self, _: Instant, _: SocketAddr, _: SocketAddr, _: &[u8]) {}

    fn handle_stream(&mut self, _: Instant, _: SocketAddr, _: SocketAddr, _: StreamEvent<'_>) {}

    fn handle_timeout(&mut self, _: Instant) {}

    fn next_timeout(&self) -> Option<Instant> {
        Some(Instant::ZERO)
    }

    fn poll_transmit(&mut self) -> Option<Transmit> {
        None
    }
}

#[test]
#[should_panic(expected = "a node spins")]
fn a_node_whose_timeout_never_passes_is_caught() {
    let mut network = Network::new(1);
    network.add("spinner", &[a_address().ip()], Spinner);
    network.run_for(Duration::from_secs(1));
}
