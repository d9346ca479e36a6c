//! Gateways that connect: what outlives their connections, and what does not.

use h248::transport::tpkt;

use super::world::*;
use crate::counters::{Counter, Counters};
use crate::mgc::{AnchorEvent, MgcOutput};
use crate::node::StreamId;

/// A controller with one gateway in service, over a connection.
fn connected() -> World {
    let mut world = World::strangers(1);
    world.connect();
    world.register(0, "RS", "901 Cold Boot");
    world.settle();
    assert_eq!(world.states(), ["in service"]);
    world
}

#[test]
fn a_gateway_is_spoken_to_on_the_connection_that_it_makes() {
    let mut world = connected();
    let (id, _) = world.opened(offered());
    world.apply(id, answered());
    world.settle();
    world.applied();
    world.release(id);
    world.settle();
    assert!(world.gateways[0].contexts.is_empty());
}

#[test]
fn a_request_outlives_its_connection_and_is_executed_once() {
    let mut world = connected();
    // Sent and lost with the connection.
    world.open(offered());
    world.connect();
    world.register(0, "DC", "900 Service Restored");
    world.settle();
    world.applied();
    assert_eq!(world.gateways[0].contexts.len(), 1);
    // Executed, and the reply lost with the connection.
    world.open(offered());
    let end = world.now + secs(1);
    while world.gateways[0].contexts.len() == 1 {
        assert!(world.step(end), "it is executed");
    }
    world.connect();
    world.register(0, "DC", "900 Service Restored");
    world.settle();
    world.applied();
    assert_eq!(world.gateways[0].contexts.len(), 2);
    let counters = world.gateways[0].endpoint.counters();
    assert!(counters.duplicates > 0);
}

#[test]
fn calls_outlive_a_connection_however_long_the_gateway_is_away() {
    let mut world = connected();
    world.opened(answered());
    for seconds in [0, 1, 9, 15] {
        world.cut();
        world.run(secs(seconds));
        world.connect();
        world.register(0, "DC", "900 Service Restored");
        world.settle();
        assert_eq!(world.states(), ["in service"], "after {seconds} s");
        assert_eq!(world.gateways[0].contexts.len(), 1);
        assert_eq!(world.news(), []);
    }
}

#[test]
fn a_gateway_that_stays_away_is_lost_and_cleared_when_it_is_back() {
    let mut world = connected();
    world.opened(answered());
    world.cut();
    world.run(secs(60));
    assert_eq!(world.states(), ["does not answer"]);
    assert_eq!(world.news(), [AnchorEvent::Lost]);
    world.connect();
    world.register(0, "DC", "900 Service Restored");
    world.run(secs(2));
    assert_eq!(world.states(), ["in service"]);
    assert!(world.gateways[0].contexts.is_empty());
}

#[test]
fn a_restarted_controller_waits_for_the_connection_and_keeps_the_calls() {
    let mut world = connected();
    let (id, _) = world.opened(answered());
    world.mgc.keep(world.now, id);
    world.drain();
    world.cut();
    world.restart();
    world.run(secs(1));
    assert_eq!(world.states(), ["starting"]);
    world.connect();
    world.register(0, "DC", "900 Service Restored");
    world.run(secs(2));
    assert_eq!(world.states(), ["in service"]);
    assert_eq!(world.gateways[0].contexts.len(), 1);
}

#[test]
fn what_is_no_tpkt_ends_the_connection() {
    let mut world = World::new();
    let (stream, mut counters) = (StreamId::accepted(77), Counters::default());
    let mgc = &mut world.mgc;
    mgc.handle_accepted(stream, address("192.0.2.50:41000"));
    mgc.handle_received(world.now, &mut counters, stream, b"MEGACO/3 [192.0.2.50]");
    assert_eq!(counters.value(Counter::H248Malformed), 1);
    let Some(MgcOutput::Close(closed)) = mgc.poll_output() else {
        panic!("it is closed")
    };
    assert_eq!(closed, stream);
    // What still comes is nobody's.
    mgc.handle_received(world.now, &mut counters, stream, b"MEGACO/3 [192.0.2.50]");
    assert!(mgc.poll_output().is_none());
}

#[test]
fn a_stranger_is_answered_on_its_connection() {
    let mut world = World::new();
    let (stream, mut counters) = (StreamId::accepted(77), Counters::default());
    let mgc = &mut world.mgc;
    mgc.handle_accepted(stream, address("192.0.2.50:41000"));
    for (text, part) in [
        ("!/3 [192.0.2.50] T=1{C=-{N=ROOT{OE=1{it/ito}}}}", "505"),
        ("nonsense", "400"),
        // Another's name does not help.
        (
            "!/3 [192.0.2.10]:2944 T=2{C=-{SC=ROOT{SV{MT=RS,RE=\"901 Cold Boot\"}}}}",
            "504",
        ),
    ] {
        let framed = tpkt::frame(text.as_bytes()).unwrap();
        mgc.handle_received(world.now, &mut counters, stream, &framed);
        let Some(MgcOutput::Send { stream: on, bytes }) = mgc.poll_output() else {
            panic!("{text} is answered")
        };
        assert_eq!(on, stream);
        let reply = String::from_utf8_lossy(&bytes[tpkt::HEADER_LEN..]).into_owned();
        assert!(reply.contains(part), "{reply}");
    }
    assert_eq!(world.states(), ["in service"]);
}

#[test]
fn over_sctp_messages_go_as_they_are_and_a_gateway_has_all_its_addresses() {
    let mut world = World::strangers(0);
    let (stream, mut counters) = (StreamId::accepted(78), Counters::default());
    let mgc = &mut world.mgc;
    // It calls itself by the second.
    let sources = ["192.0.2.50:2944", "198.51.100.50:2944"].map(address);
    mgc.handle_associated(stream, sources.to_vec());
    let text = "!/3 [198.51.100.50]:2944 T=1{C=-{SC=ROOT{SV{MT=RS,RE=\"901 Cold Boot\"}}}}";
    mgc.handle_received(world.now, &mut counters, stream, text.as_bytes());
    let mut replies = Vec::new();
    while let Some(output) = mgc.poll_output() {
        let MgcOutput::Send { stream: on, bytes } = output else {
            panic!("on its association: {output:?}");
        };
        assert_eq!(on, stream);
        replies.push(String::from_utf8(bytes).expect("text, and no TPKT"));
    }
    assert!(replies[0].contains("P=1{"), "{replies:?}");
    assert_eq!(world.states().len(), 1);
    let mgc = &mut world.mgc;
    // Nor does a datagram speak for it, from wherever it calls itself.
    mgc.handle_datagram(world.now, &mut counters, sources[1], text.as_bytes());
    assert_eq!(counters.value(Counter::H248Foreign), 1);
    // A new association of the gateway's takes the place of the old one.
    let again = StreamId::accepted(79);
    mgc.handle_associated(again, sources.to_vec());
    mgc.handle_received(world.now, &mut counters, again, text.as_bytes());
    let outputs: Vec<MgcOutput> = std::iter::from_fn(|| mgc.poll_output()).collect();
    let is_close = |output: &MgcOutput| matches!(output, MgcOutput::Close(old) if *old == stream);
    assert!(outputs.iter().any(is_close), "{outputs:?}");
    // One without an address is none.
    mgc.handle_associated(StreamId::accepted(80), Vec::new());
    mgc.handle_received(
        world.now,
        &mut counters,
        StreamId::accepted(80),
        text.as_bytes(),
    );
    assert!(mgc.poll_output().is_none());
}

#[test]
fn datagrams_do_not_speak_for_a_gateway_that_is_connected() {
    let mut world = connected();
    let text = "!/3 [192.0.2.10]:2944 T=77{C=-{SC=ROOT{SV{MT=FO,RE=\"908 Failure\"}}}}";
    let from = world.gateways[0].address;
    let mut counters = Counters::default();
    world
        .mgc
        .handle_datagram(world.now, &mut counters, from, text.as_bytes());
    assert_eq!(counters.value(Counter::H248Foreign), 1);
    assert_eq!(world.states(), ["in service"]);
}

#[test]
fn a_gateway_that_hears_nothing_is_given_up_with_its_connection() {
    let mut world = connected();
    world.gateways[0].is_deaf = true;
    world.run(secs(60));
    assert_eq!(world.states(), ["does not answer"]);
    world.gateways[0].is_deaf = false;
    world.connect();
    world.register(0, "DC", "900 Service Restored");
    world.run(secs(2));
    assert_eq!(world.states(), ["in service"]);
}
