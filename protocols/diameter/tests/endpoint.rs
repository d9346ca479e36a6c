//! Endpoints over the virtual network: capabilities, election, watchdog, failover, loss in each
//! state.

mod identity;
mod node;
mod samples;

use std::time::Duration;

use base::{Entropy, Instant};
use diameter::cx::{Answer, Outcome, Request};
use diameter::dictionary::base as common;
use diameter::endpoint::{
    Config, Endpoint, Failure, Health, Output, PENDING_MAX, PeerId, STRANGERS_MAX, SendError, State,
};
use diameter::{CommandFlags, Header, Message, ResultCode, Writer};
use identity::{REALM, address, local, name, peer};
use node::{Conduct, Node, SETUP};
use sim::{Link, Network, NodeId, seeds};

const LAN: Link = Link {
    delay: Duration::from_millis(1),
    ..Link::PERFECT
};

const WAN: Link = Link {
    delay: Duration::from_millis(20),
    jitter: Duration::from_millis(30),
    ..Link::PERFECT
};

fn lir() -> Request {
    samples::requests().remove(2)
}

/// Node 1 connects to nodes 2, 3, …, which wait for it.
fn star(seed: u64, link: Link, servers: u8) -> (Network<Node>, NodeId, Vec<NodeId>) {
    let mut network = Network::new(seed);
    network.set_link(link);
    let now = network.now();
    let others: Vec<NodeId> = (2..2 + servers)
        .map(|number| {
            add(
                &mut network,
                number,
                Node::new(now, number, vec![peer(1, false)]),
            )
        })
        .collect();
    let peers = (2..2 + servers).map(|number| peer(number, true)).collect();
    let client = add(&mut network, 1, Node::new(now, 1, peers));
    network.run_for(SETUP);
    (network, client, others)
}

fn add(network: &mut Network<Node>, number: u8, node: Node) -> NodeId {
    network.add(&name(number), &[address(number).ip()], node)
}

fn state(network: &Network<Node>, node: NodeId, peer: u32) -> (State, Health) {
    let status = network.host(node).endpoint.peer(PeerId(peer)).unwrap();
    (status.state, status.health)
}

fn ask(network: &mut Network<Node>, node: NodeId) -> Result<(), SendError> {
    network.with(node, |node, now| node.send(now, &lir(), None).map(drop))
}

#[test]
fn capabilities_are_exchanged_and_a_request_is_answered() {
    let (mut network, client, servers) = star(1, LAN, 1);
    assert_eq!(state(&network, client, 0), (State::IOpen, Health::Okay));
    assert_eq!(state(&network, servers[0], 0), (State::ROpen, Health::Okay));
    ask(&mut network, client).unwrap();
    network.run_for(SETUP);
    assert_eq!(network.host(servers[0]).requests, [lir()]);
    let answers = &network.host(client).answers;
    assert_eq!(answers.len(), 1);
    assert_eq!(answers[0].1, lir().answer(Outcome::SUCCESS));
}

#[test]
fn two_nodes_that_connect_at_once_keep_one_connection() {
    for seed in seeds(200) {
        let mut network = Network::new(seed);
        network.set_link(WAN);
        let now = network.now();
        let one = add(&mut network, 1, Node::new(now, 1, vec![peer(2, true)]));
        network.run_for(Duration::from_millis(seed % 100));
        let now = network.now();
        let two = add(&mut network, 2, Node::new(now, 2, vec![peer(1, true)]));
        network.run_for(Duration::from_secs(100));
        let states = (state(&network, one, 0).0, state(&network, two, 0).0);
        assert!(
            matches!(
                states,
                (State::IOpen, State::ROpen) | (State::ROpen, State::IOpen)
            ),
            "{states:?}"
        );
        for node in [one, two] {
            assert_eq!(network.host(node).changes, [(PeerId(0), true)]);
            ask(&mut network, node).unwrap();
        }
        network.run_for(SETUP);
        assert_eq!(network.host(one).answers.len(), 1);
        assert_eq!(network.host(two).answers.len(), 1);
    }
}

#[test]
fn strangers_and_nodes_without_a_common_application_are_refused() {
    let mut network = Network::new(1);
    let now = network.now();
    let server = add(&mut network, 2, Node::new(now, 2, vec![peer(1, false)]));
    let stranger = add(&mut network, 3, Node::new(now, 3, vec![peer(2, true)]));
    let mut config = Config::new(local(1), vec![peer(2, true)]);
    config.local.applications.clear();
    let other = add(&mut network, 1, Node::with(now, 1, config));
    network.run_for(SETUP);
    let refusal = |node| network.host(node).endpoint.peer(PeerId(0)).unwrap().refusal;
    assert_eq!(refusal(stranger), Some(ResultCode::UNKNOWN_PEER));
    assert_eq!(refusal(other), Some(ResultCode::NO_COMMON_APPLICATION));
    assert_eq!(state(&network, server, 0).0, State::Closed);
    assert_eq!(network.host(server).endpoint.counters().unknown_peers, 1);
}

#[test]
fn guests_of_the_realm_are_taken_in_up_to_their_number() {
    let mut network = Network::new(1);
    let now = network.now();
    let mut config = Config::new(local(2), vec![]);
    config.guests_max = 2;
    let server = add(&mut network, 2, Node::with(now, 2, config));
    let guests: Vec<NodeId> = [1, 3, 4]
        .into_iter()
        .map(|number| {
            add(
                &mut network,
                number,
                Node::new(now, number, vec![peer(2, true)]),
            )
        })
        .collect();
    network.run_for(SETUP);
    let states: Vec<State> = guests
        .iter()
        .map(|&guest| state(&network, guest, 0).0)
        .collect();
    assert_eq!(states, [State::IOpen, State::IOpen, State::Closed]);
    for guest in &guests[..2] {
        ask(&mut network, *guest).unwrap();
    }
    network.run_for(SETUP);
    assert_eq!(network.host(server).requests.len(), 2);
    network.crash(guests[0]);
    network.run_for(SETUP);
    let now = network.now();
    network.restart(guests[0], Node::new(now, 1, vec![peer(2, true)]));
    network.run_for(SETUP);
    assert_eq!(state(&network, guests[0], 0).0, State::IOpen);
}

#[test]
fn a_silent_peer_is_suspected_and_its_requests_go_elsewhere_with_the_t_flag() {
    let (mut network, client, servers) = star(1, LAN, 2);
    network.power_off(servers[0]);
    // One watchdog unanswered takes up to twice 32 s; a request sent before that has its own timer.
    let suspected = network.run_until_met(Duration::from_secs(64), |network| {
        state(network, client, 0).1 == Health::Suspect
    });
    assert!(suspected);
    ask(&mut network, client).unwrap();
    network.run_for(SETUP);
    assert_eq!(network.host(servers[1]).requests.len(), 1);
    assert_eq!(network.host(client).answers.len(), 1);
    assert!(network.run_until_met(Duration::from_secs(33), |network| {
        !state(network, client, 0).0.is_open()
    }));
}

#[test]
fn a_request_under_way_to_a_peer_that_crashes_is_sent_to_another() {
    let (mut network, client, servers) = star(1, LAN, 2);
    network.with(servers[0], |node, _| node.conduct = Conduct::Ignores);
    ask(&mut network, client).unwrap();
    network.run_for(Duration::from_millis(10));
    assert_eq!(network.host(servers[0]).requests.len(), 1);
    network.crash(servers[0]);
    network.run_for(SETUP);
    let (_, message) = &network.host(servers[1]).incoming[0];
    assert!(
        Message::parse(message)
            .unwrap()
            .header
            .flags
            .is_retransmitted()
    );
    assert_eq!(network.host(client).answers.len(), 1);
    assert!(network.host(client).failures.is_empty());
    assert_eq!(network.host(client).endpoint.counters().failovers, 1);
}

#[test]
fn a_request_to_the_only_peer_fails_when_it_crashes_and_times_out_when_it_is_silent() {
    let (mut network, client, servers) = star(1, LAN, 1);
    network.with(servers[0], |node, _| node.conduct = Conduct::Ignores);
    ask(&mut network, client).unwrap();
    network.run_for(Duration::from_secs(11));
    ask(&mut network, client).unwrap();
    network.crash(servers[0]);
    network.run_for(SETUP);
    let failures: Vec<_> = network
        .host(client)
        .failures
        .iter()
        .map(|(_, failure)| failure)
        .collect();
    assert_eq!(failures, [&Failure::Timeout, &Failure::ConnectionLost]);
    assert_eq!(ask(&mut network, client), Err(SendError::Undeliverable));
}

#[test]
fn a_busy_peer_passes_the_request_to_the_next() {
    let (mut network, client, servers) = star(1, LAN, 2);
    let busy = Outcome::Base(ResultCode::TOO_BUSY);
    network.with(servers[0], |node, _| node.conduct = Conduct::Answers(busy));
    ask(&mut network, client).unwrap();
    network.run_for(SETUP);
    assert_eq!(
        network.host(client).answers[0].1.outcome(),
        Outcome::SUCCESS
    );
    network.with(servers[1], |node, _| node.conduct = Conduct::Answers(busy));
    ask(&mut network, client).unwrap();
    network.run_for(SETUP);
    assert_eq!(network.host(client).answers[1].1.outcome(), busy);
}

#[test]
fn a_request_for_a_host_goes_to_that_host_only() {
    let (mut network, client, servers) = star(1, LAN, 2);
    let sent = network.with(client, |node, now| node.send(now, &lir(), Some(name(3))));
    assert!(sent.is_ok());
    network.run_for(SETUP);
    assert!(network.host(servers[0]).requests.is_empty());
    assert_eq!(network.host(servers[1]).requests.len(), 1);
    network.crash(servers[1]);
    network.run_for(SETUP);
    let sent = network.with(client, |node, now| node.send(now, &lir(), Some(name(3))));
    assert_eq!(sent, Err(SendError::Undeliverable));
}

#[test]
fn a_request_for_another_host_or_realm_is_not_taken() {
    let (mut network, client, servers) = star(1, LAN, 1);
    let sent = network.with(client, |node, now| node.send(now, &lir(), Some(name(9))));
    assert!(sent.is_ok());
    network.run_for(SETUP);
    let outcome = network.host(client).answers[0].1.outcome();
    assert_eq!(outcome, Outcome::UNABLE_TO_DELIVER);
    assert!(network.host(servers[0]).requests.is_empty());
}

#[test]
fn a_crashed_peer_is_connected_to_again_and_is_on_trial() {
    let (mut network, client, servers) = star(1, LAN, 1);
    network.crash(servers[0]);
    network.run_for(SETUP);
    assert_eq!(state(&network, client, 0), (State::Closed, Health::Down));
    let now = network.now();
    network.restart(servers[0], Node::new(now, 2, vec![peer(1, false)]));
    network.run_for(Duration::from_secs(30));
    assert_eq!(state(&network, client, 0), (State::IOpen, Health::Reopen));
    // It is the only one, so it is used on trial.
    ask(&mut network, client).unwrap();
    network.run_for(SETUP);
    assert_eq!(network.host(client).answers.len(), 1);
    network.run_for(Duration::from_secs(100));
    assert_eq!(state(&network, client, 0), (State::IOpen, Health::Okay));
}

#[test]
fn a_peer_that_lost_power_and_came_back_is_found_out_by_its_new_connection() {
    let mut network = Network::new(1);
    network.set_link(LAN);
    let now = network.now();
    let server = add(&mut network, 2, Node::new(now, 2, vec![peer(1, false)]));
    let client = add(&mut network, 1, Node::new(now, 1, vec![peer(2, true)]));
    network.run_for(SETUP);
    network.power_off(client);
    network.run_for(Duration::from_secs(2));
    assert_eq!(state(&network, server, 0).0, State::ROpen);
    let now = network.now();
    network.restart(client, Node::new(now, 1, vec![peer(2, true)]));
    network.run_for(SETUP);
    // The new connection was refused, and the old one was asked and found dead.
    assert_eq!(state(&network, server, 0).0, State::Closed);
    network.run_for(Duration::from_secs(31));
    assert_eq!(state(&network, server, 0).0, State::ROpen);
    assert_eq!(state(&network, client, 0).0, State::IOpen);
}

#[test]
fn stopping_takes_leave_and_the_other_calls_back_when_it_may() {
    let (mut network, client, servers) = star(1, LAN, 1);
    network.with(servers[0], |node, now| {
        node.endpoint.stop(now);
        node.drain(now);
    });
    network.run_for(SETUP);
    assert_eq!(state(&network, client, 0).0, State::Closed);
    assert_eq!(state(&network, servers[0], 0).0, State::Closed);
    assert_eq!(network.host(servers[0]).endpoint.next_timeout(), None);
    // The stopped node accepts nothing; the other one tries every 30 s.
    network.run_for(Duration::from_secs(100));
    assert_eq!(state(&network, client, 0).0, State::Closed);
    network.crash(servers[0]);
    let now = network.now();
    network.restart(servers[0], Node::new(now, 2, vec![peer(1, false)]));
    network.run_for(Duration::from_secs(31));
    assert_eq!(state(&network, client, 0), (State::IOpen, Health::Okay));
}

#[test]
fn a_request_that_comes_again_is_answered_from_memory() {
    let (mut network, client, servers) = star(1, LAN, 1);
    ask(&mut network, client).unwrap();
    network.run_for(SETUP);
    let (incoming, mut message) = network.host(servers[0]).incoming[0].clone();
    message[4] |= CommandFlags::RETRANSMITTED;
    message[15] ^= 0xff;
    let outputs: Vec<Output> = network.with(servers[0], |node, now| {
        node.endpoint
            .handle_received(now, incoming.connection(), &message);
        std::iter::from_fn(|| node.endpoint.poll_output()).collect()
    });
    let [Output::Send { bytes, .. }] = &outputs[..] else {
        panic!("{outputs:?}");
    };
    let answer = Message::parse(bytes).unwrap();
    assert_eq!(
        answer.header.hop_by_hop,
        Message::parse(&message).unwrap().header.hop_by_hop
    );
    assert!(Answer::from_message(&answer).is_ok());
    assert_eq!(network.host(servers[0]).requests.len(), 1);
    assert_eq!(
        network
            .host(servers[0])
            .endpoint
            .counters()
            .duplicate_requests,
        1
    );
}

/// An endpoint alone, driven octet by octet.
struct Bench {
    endpoint: Endpoint,
    now: Instant,
}

impl Bench {
    fn new(connects: bool) -> Bench {
        let now = Instant::from_secs(1_767_225_600);
        let config = Config::new(local(2), vec![peer(1, connects)]);
        Bench {
            endpoint: Endpoint::new(now, config, Entropy::from_u64(1)),
            now,
        }
    }

    fn outputs(&mut self) -> Vec<Output> {
        std::iter::from_fn(|| self.endpoint.poll_output()).collect()
    }

    /// Results of the messages sent, and whether the connection was closed.
    fn sent(&mut self) -> (Vec<Option<ResultCode>>, bool) {
        let mut results = Vec::new();
        let mut is_closed = false;
        for output in self.outputs() {
            match output {
                Output::Send { bytes, .. } => {
                    let message = Message::parse(&bytes).unwrap();
                    let code = message.find(&common::RESULT_CODE);
                    results.push(code.map(|avp| ResultCode(avp.to_u32().unwrap())));
                }
                Output::Close { .. } => is_closed = true,
                _ => {}
            }
        }
        (results, is_closed)
    }

    /// A connection of node 1 with its CER answered.
    fn open() -> (Bench, diameter::endpoint::ConnectionId) {
        let mut bench = Bench::new(false);
        let connection = bench.endpoint.accept(bench.now).unwrap();
        bench
            .endpoint
            .handle_received(bench.now, connection, &cer(1, |_| {}));
        assert_eq!(bench.sent(), (vec![Some(ResultCode::SUCCESS)], false));
        (bench, connection)
    }
}

fn base_request(command: u32, fill: impl FnOnce(&mut Writer)) -> Vec<u8> {
    base_request_of(1, command, fill)
}

fn base_request_of(number: u8, command: u32, fill: impl FnOnce(&mut Writer)) -> Vec<u8> {
    let mut writer = Writer::new(Header {
        flags: CommandFlags(CommandFlags::REQUEST),
        command,
        application: 0,
        hop_by_hop: 1,
        end_to_end: 1,
    });
    writer.text(&common::ORIGIN_HOST, &name(number));
    writer.text(&common::ORIGIN_REALM, REALM);
    fill(&mut writer);
    writer.finish().unwrap()
}

fn cer(number: u8, fill: impl FnOnce(&mut Writer)) -> Vec<u8> {
    base_request_of(number, common::CAPABILITIES_EXCHANGE, |writer| {
        writer.address(&common::HOST_IP_ADDRESS, address(number).ip());
        writer.u32(&common::VENDOR_ID, 0);
        writer.text(&common::PRODUCT_NAME, "test");
        writer.u32(&common::AUTH_APPLICATION_ID, common::RELAY_APPLICATION_ID);
        fill(writer);
    })
}

#[test]
fn the_first_message_must_be_a_cer_in_order() {
    let dwr = base_request(common::DEVICE_WATCHDOG, |_| {});
    let mut lying = cer(1, |_| {});
    lying[27] = 4;
    let tls = cer(1, |writer| writer.u32(&common::INBAND_SECURITY_ID, 1));
    let twice = cer(1, |writer| writer.u32(&common::VENDOR_ID, 0));
    for (bytes, results) in [
        (dwr, vec![]),
        (b"GET / HTTP/1.1\r\n\r\n".to_vec(), vec![]),
        (lying, vec![Some(ResultCode::INVALID_AVP_LENGTH)]),
        (tls, vec![Some(ResultCode::NO_COMMON_SECURITY)]),
        (twice, vec![Some(ResultCode::AVP_OCCURS_TOO_MANY_TIMES)]),
    ] {
        let mut bench = Bench::new(false);
        let connection = bench.endpoint.accept(bench.now).unwrap();
        bench
            .endpoint
            .handle_received(bench.now, connection, &bytes);
        assert_eq!(bench.sent(), (results, true));
    }
}

#[test]
fn strangers_are_few_and_patience_with_them_is_short() {
    let mut bench = Bench::new(false);
    for _ in 0..STRANGERS_MAX {
        assert!(bench.endpoint.accept(bench.now).is_some());
    }
    assert!(bench.endpoint.accept(bench.now).is_none());
    let later = bench.now + Duration::from_secs(10);
    assert_eq!(bench.endpoint.next_timeout(), Some(later));
    bench.endpoint.handle_timeout(later);
    assert_eq!(bench.outputs().len(), STRANGERS_MAX);
    assert!(bench.endpoint.accept(later).is_some());
}

#[test]
fn an_open_connection_answers_each_fault_with_its_code() {
    let (mut bench, connection) = Bench::open();
    let uar = samples::messages().remove(0);
    let change = |at: usize, to: u8| {
        let mut bytes = uar.clone();
        bytes[at] = to;
        bytes
    };
    for (bytes, result) in [
        (
            base_request(common::DEVICE_WATCHDOG, |_| {}),
            ResultCode::SUCCESS,
        ),
        (
            base_request(common::DISCONNECT_PEER, |_| {}),
            ResultCode::MISSING_AVP,
        ),
        (base_request(999, |_| {}), ResultCode::COMMAND_UNSUPPORTED),
        (cer(1, |_| {}), ResultCode::UNABLE_TO_COMPLY),
        (change(11, 7), ResultCode::APPLICATION_UNSUPPORTED),
        (change(7, 99), ResultCode::COMMAND_UNSUPPORTED),
        (change(4, 0xe0), ResultCode::INVALID_HDR_BITS),
        (change(24, 0x41), ResultCode::INVALID_AVP_BITS),
        (change(27, 4), ResultCode::INVALID_AVP_LENGTH),
    ] {
        bench
            .endpoint
            .handle_received(bench.now, connection, &bytes);
        assert_eq!(bench.sent(), (vec![Some(result)], false));
    }
    let mut bytes = uar.clone();
    bytes[1] = 0xff;
    bench
        .endpoint
        .handle_received(bench.now, connection, &bytes);
    assert_eq!(
        bench.sent(),
        (vec![Some(ResultCode::INVALID_MESSAGE_LENGTH)], true)
    );
}

#[test]
fn answers_nobody_waits_for_are_counted_and_dropped() {
    let (mut bench, connection) = Bench::open();
    let answer = samples::messages().remove(1);
    bench
        .endpoint
        .handle_received(bench.now, connection, &answer);
    let mut lying = answer;
    lying[27] = 4;
    bench
        .endpoint
        .handle_received(bench.now, connection, &lying);
    assert_eq!(bench.sent(), (vec![], false));
    assert_eq!(bench.endpoint.counters().stray_answers, 1);
    assert_eq!(bench.endpoint.counters().faulty_answers, 1);
}

#[test]
fn only_the_peer_that_was_asked_can_answer() {
    let now = Instant::from_secs(1_767_225_600);
    let config = Config::new(local(2), vec![peer(1, false), peer(3, false)]);
    let endpoint = Endpoint::new(now, config, Entropy::from_u64(1));
    let mut bench = Bench { endpoint, now };
    let first = bench.endpoint.accept(now).unwrap();
    bench.endpoint.handle_received(now, first, &cer(1, |_| {}));
    let second = bench.endpoint.accept(now).unwrap();
    bench.endpoint.handle_received(now, second, &cer(3, |_| {}));
    bench.outputs();
    let request = lir().to_message(&envelope_from(2)).unwrap();
    bench.endpoint.send_request(now, request).unwrap();
    let outputs = bench.outputs();
    let [Output::Send { connection, bytes }] = &outputs[..] else {
        panic!("{outputs:?}");
    };
    assert_eq!(*connection, first);
    let reply_to = diameter::ReplyTo::salvage(bytes).unwrap();
    let answer = lir()
        .answer(Outcome::SUCCESS)
        .to_message(&reply_to, &local(3).origin)
        .unwrap();
    bench.endpoint.handle_received(now, second, &answer);
    assert!(bench.outputs().is_empty());
    assert_eq!(bench.endpoint.counters().stray_answers, 1);
    bench.endpoint.handle_received(now, first, &answer);
    assert!(matches!(bench.outputs()[..], [Output::Answer { .. }]));
    // Its timer is gone: what is left are the two watchdogs.
    let watchdog = bench.endpoint.next_timeout().unwrap();
    assert!(watchdog >= now + Duration::from_secs(28));
}

#[test]
fn a_faulty_answer_fails_its_request() {
    let (mut bench, connection) = Bench::open();
    let request = lir().to_message(&envelope_from(2)).unwrap();
    let id = bench.endpoint.send_request(bench.now, request).unwrap();
    let outputs = bench.outputs();
    let [Output::Send { bytes, .. }] = &outputs[..] else {
        panic!("{outputs:?}");
    };
    let reply_to = diameter::ReplyTo::salvage(bytes).unwrap();
    let empty = reply_to.finish(reply_to.answer()).unwrap();
    bench
        .endpoint
        .handle_received(bench.now, connection, &empty);
    let outputs = bench.outputs();
    let [Output::Failed { request, failure }] = &outputs[..] else {
        panic!("{outputs:?}");
    };
    assert_eq!(*request, id);
    assert!(matches!(failure, Failure::InvalidAnswer(_)));
}

fn envelope_from(number: u8) -> diameter::cx::Envelope {
    diameter::cx::Envelope {
        destination_host: None,
        origin: local(number).origin,
        ..samples::envelope()
    }
}

#[test]
fn requests_under_way_are_bounded() {
    let (mut bench, _) = Bench::open();
    let request = lir().to_message(&envelope_from(2)).unwrap();
    for _ in 0..PENDING_MAX {
        bench
            .endpoint
            .send_request(bench.now, request.clone())
            .unwrap();
        bench.endpoint.poll_output();
    }
    let refused = bench.endpoint.send_request(bench.now, request);
    assert_eq!(refused, Err(SendError::Limit));
}

#[test]
fn identifiers_do_not_repeat_after_a_restart() {
    let mut first = Bench::new(false);
    let mut second = Bench::new(false);
    second.now += Duration::from_secs(1);
    second.endpoint = Endpoint::new(
        second.now,
        first.endpoint.config().clone(),
        Entropy::from_u64(2),
    );
    let sessions: Vec<String> = (0..100).map(|_| first.endpoint.session_id()).collect();
    assert!(!sessions.contains(&second.endpoint.session_id()));
    assert_eq!(sessions[0], format!("{};1767225600;1", name(2)));
}

#[test]
fn the_connection_may_be_lost_in_any_state() {
    for seed in seeds(300) {
        let mut network = Network::new(seed);
        network.set_link(WAN);
        let now = network.now();
        let one = add(&mut network, 1, Node::new(now, 1, vec![peer(2, true)]));
        let two = add(
            &mut network,
            2,
            Node::new(now, 2, vec![peer(1, seed % 2 == 0)]),
        );
        network.run_for(Duration::from_millis(seed));
        if seed % 3 == 0 {
            network.power_off(two);
        } else {
            network.crash(two);
        }
        network.run_for(Duration::from_secs(seed % 50));
        let now = network.now();
        network.restart(two, Node::new(now, 2, vec![peer(1, seed % 2 == 0)]));
        let open = network.run_until_met(Duration::from_secs(200), |network| {
            state(network, one, 0).0.is_open() && state(network, two, 0).0.is_open()
        });
        assert!(
            open,
            "{:?} {:?}",
            state(&network, one, 0),
            state(&network, two, 0)
        );
        network.run_for(Duration::from_secs(100));
        for node in [one, two] {
            assert!(state(&network, node, 0).0.is_open());
            ask(&mut network, node).unwrap();
        }
        network.run_for(SETUP);
        assert_eq!(network.host(one).answers.len(), 1);
        assert_eq!(network.host(two).answers.len(), 1);
    }
}

#[test]
fn every_request_ends_once_whatever_happens_to_the_servers() {
    for seed in seeds(40) {
        let (mut network, client, servers) = star(seed, WAN, 3);
        let mut entropy = Entropy::from_u64(seed);
        let mut sent = 0;
        let mut down = [false; 3];
        for _ in 0..400 {
            if ask(&mut network, client).is_ok() {
                sent += 1;
            }
            network.run_for(Duration::from_millis(entropy.below(1000)));
            let index = entropy.below(3) as usize;
            if entropy.chance(30) && !down[index] {
                down[index] = true;
                match entropy.chance(500) {
                    true => network.crash(servers[index]),
                    false => network.power_off(servers[index]),
                };
            } else if entropy.chance(60) && down[index] {
                down[index] = false;
                let now = network.now();
                let node = Node::new(now, index as u8 + 2, vec![peer(1, false)]);
                network.restart(servers[index], node);
            }
            if entropy.chance(20) {
                network.cut(&[client], &[servers[index]]);
            } else if entropy.chance(60) {
                network.heal();
            }
        }
        network.run_for(Duration::from_secs(20));
        let node = network.host(client);
        let mut ended: Vec<_> = node.answers.iter().map(|(id, _)| *id).collect();
        ended.extend(node.failures.iter().map(|(id, _)| *id));
        ended.sort_unstable();
        let total = ended.len();
        ended.dedup();
        assert_eq!((ended.len(), total), (sent, sent));
        assert!(sent > 100, "{sent} requests found a peer");
    }
}
