//! Gateways: how they come, stay and go.

use base::Entropy;

use super::gateway_model::{Answer, Kind, body};
use super::world::*;
use crate::counters::{Counter, Counters};
use crate::mgc::{AnchorError, AnchorEvent, Config, Mgc, MgcOutput};

fn lost(count: usize) -> Vec<AnchorEvent> {
    vec![AnchorEvent::Lost; count]
}

fn last_reply(world: &World, index: usize) -> String {
    format!("{:?}", world.gateways[index].replies.last().unwrap())
}

#[test]
fn a_gateway_that_boots_serves_when_it_has_its_orders() {
    let mut world = World::strangers(1);
    world.register(0, "RS", "901 Cold Boot");
    world.run(std::time::Duration::from_millis(6));
    assert_eq!(world.states(), ["starting"]);
    let refused = world.mgc.open(world.now, 1, spec(), offered());
    assert_eq!(refused, Err(AnchorError::NoGateway));
    world.settle();
    assert_eq!(world.states(), ["in service"]);
    assert_eq!(world.gateways[0].starts, 1);
    // Nothing can be left after a cold boot.
    let told = world.seen.iter().any(|bytes| {
        let text = String::from_utf8_lossy(bytes);
        text.contains("C=-{MF=ROOT{E=1{it/ito{mit=3000}}},O-MF=ROOT{E=1{") && !text.contains("C=*")
    });
    assert!(told);
    assert!(last_reply(&world, 0).contains("version: Some(3)"));
    assert_eq!(world.mgc.gateways()[0].mid, "192.0.2.10:2944");
}

#[test]
fn a_gateway_that_is_overloaded_gets_fewer_calls_and_every_emergency_call() {
    let mut world = World::with_gateways(2);
    let opened = |world: &mut World| world.mgc.open(world.now, 1, spec(), offered());
    for _ in 0..40 {
        opened(&mut world).unwrap();
        world.run(std::time::Duration::from_millis(25));
    }
    let overloaded = "C=-{N=ROOT{OE=1{ocp/mg_overload}}}";
    world.ask(0, overloaded);
    world.settle();
    assert!(!last_reply(&world, 0).contains("Error"));
    // The other one takes what this one may not have.
    for _ in 0..100 {
        opened(&mut world).unwrap();
    }
    let contexts = |world: &World| {
        let status = world.mgc.gateways();
        [status[0].contexts, status[1].contexts]
    };
    let [one, two] = contexts(&world);
    assert!(one < two, "{one} {two}");
    world.ask(1, overloaded);
    world.settle();
    let refusals = (0..200).filter_map(|_| opened(&mut world).err());
    let refusals: Vec<_> = refusals.collect();
    assert!(refusals.len() > 150, "{}", refusals.len());
    assert!(
        refusals
            .iter()
            .all(|refusal| *refusal == AnchorError::Overload)
    );
    let emergency = crate::mgc::AnchorSpec {
        emergency: true,
        ..spec()
    };
    for _ in 0..20 {
        world
            .mgc
            .open(world.now, 1, emergency.clone(), offered())
            .unwrap();
    }
    // Nothing more is heard of overload, so it ends.
    world.run(secs(30));
    for _ in 0..300 {
        opened(&mut world).unwrap();
    }
}

#[test]
fn whoever_has_not_registered_is_told_505() {
    for request in [
        "C=1{N=ip/1{OE=1{nt/netfail}}}",
        "C=-{N=ROOT{OE=1{it/ito}}}",
        "C=-{SC=ip/1{SV{MT=FO,RE=\"904 Gone\"}}}",
        "C=-{SC=ROOT{SV{MT=GR,RE=\"908 Soon\"}}}",
        "C=-{SC=ROOT{SV{MT=FO,RE=\"908 Now\"}}}",
        "C=-{AV=ROOT{AT{}}}",
    ] {
        let mut world = World::strangers(1);
        world.ask(0, request);
        world.settle();
        assert!(
            last_reply(&world, 0).contains("Error(ErrorDescriptor { code: 505"),
            "{request}"
        );
        assert!(world.mgc.gateways().is_empty());
        // It may go on from there, in one transaction too.
        let register = "C=-{SC=ROOT{SV{MT=DC,RE=\"900 Service Restored\"}},N=ROOT{OE=1{it/ito}}}";
        world.ask(0, register);
        world.settle();
        assert!(
            !last_reply(&world, 0).contains("Error"),
            "{}",
            last_reply(&world, 0)
        );
        assert_eq!(world.states(), ["in service"]);
    }
}

#[test]
fn nobody_takes_a_gateways_name_while_it_serves() {
    let mut world = World::new();
    let elsewhere = address("192.0.2.99:2944");
    let text = "!/3 [192.0.2.10]:2944 T=77{C=-{SC=ROOT{SV{MT=RS,RE=\"901 Cold Boot\"}}}}";
    let mut counters = Counters::default();
    let (now, mgc) = (world.now, &mut world.mgc);
    mgc.handle_datagram(now, &mut counters, elsewhere, text.as_bytes());
    assert_eq!(counters.value(Counter::H248Foreign), 1);
    let sent = std::iter::from_fn(|| mgc.poll_output());
    let refused = sent.filter(|output| match output {
        MgcOutput::Transmit { to, bytes } => {
            *to == elsewhere && String::from_utf8_lossy(bytes).contains("ER=504")
        }
        _ => false,
    });
    assert_eq!(refused.count(), 1);
    assert_eq!(world.states(), ["in service"]);
    // When the true one is not heard any more, it may have moved.
    world.gateways[0].is_deaf = true;
    world.run(secs(300));
    assert_ne!(world.states(), ["in service"]);
    let (now, mgc) = (world.now, &mut world.mgc);
    mgc.handle_datagram(now, &mut counters, elsewhere, text.as_bytes());
    assert_eq!(counters.value(Counter::H248Foreign), 1);
}

#[test]
fn what_a_controller_cannot_do_is_refused() {
    let mut world = World::new();
    for (request, code) in [
        ("C=-{SC=ROOT{SV{MT=X-Nap,RE=\"900 Tired\"}}}", "449"),
        ("C=1{MF=ip/1}", "443"),
        ("C=-{N=ROOT{OE=1{it/ito}},AV=ROOT{AT{}}}", "443"),
    ] {
        world.ask(0, request);
        world.settle();
        assert!(
            last_reply(&world, 0).contains(code),
            "{}",
            last_reply(&world, 0)
        );
    }
    assert_eq!(world.states(), ["in service"]);
}

#[test]
fn the_version_is_the_highest_of_both() {
    for (offered, agreed) in [(1, 1), (2, 2), (3, 3), (9, 3)] {
        let mut world = World::strangers(1);
        let change = format!("C=-{{SC=ROOT{{SV{{MT=RS,V={offered},RE=\"901 Cold Boot\"}}}}}}");
        world.ask(0, &change);
        world.settle();
        assert!(last_reply(&world, 0).contains(&format!("version: Some({agreed})")));
        world.open(super::world::offered());
        world.drain();
        let request = String::from_utf8(world.seen.last().unwrap().clone()).unwrap();
        assert!(request.starts_with(&format!("!/{agreed} ")), "{request}");
    }
}

#[test]
fn a_restart_loses_the_calls_once_and_a_warm_one_is_cleared() {
    for (reason, clears) in [
        ("901 Cold Boot", false),
        ("902 Warm Boot", true),
        ("900 Restored", true),
    ] {
        let mut world = World::new();
        let (ready, _) = world.opened(offered());
        let (configuring, _) = world.opened(offered());
        let (released, _) = world.opened(offered());
        world.apply(configuring, answered());
        world.apply(released, answered());
        world.release(released);
        world.open(offered());
        world.seen.clear();
        world.register(0, "RS", reason);
        world.settle();
        let mut news = world.news();
        news.sort_by_key(|event| format!("{event:?}"));
        // What was being reserved or changed may have come into force just before.
        let is_right = |event: &AnchorEvent| {
            matches!(
                event,
                AnchorEvent::Lost
                    | AnchorEvent::Applied(_)
                    | AnchorEvent::Failed(AnchorError::Lost)
            )
        };
        assert!(news.iter().all(is_right), "{news:?}");
        let gone = news
            .iter()
            .filter(|event| !matches!(event, AnchorEvent::Applied(_)));
        assert_eq!(gone.count(), 3);
        assert_eq!(
            (world.mgc.contexts(), world.mgc.gateways()[0].contexts),
            (0, 0)
        );
        assert_eq!(world.states(), ["in service"]);
        let cleared = world
            .seen
            .iter()
            .any(|bytes| String::from_utf8_lossy(bytes).contains("C=*{O-W-S=*{AT{}}}"));
        assert_eq!(cleared, clears, "{reason}");
        assert_eq!(world.gateways[0].contexts.is_empty(), clears);
        world.mgc.release(world.now, ready);
        world.run(secs(100));
        assert_eq!(world.news(), []);
    }
}

#[test]
fn a_restart_with_delay_serves_after_it() {
    let mut world = World::strangers(1);
    world.ask(0, "C=-{SC=ROOT{SV{MT=RS,DL=30,RE=\"901 Cold Boot\"}}}");
    world.run(secs(29));
    assert_eq!(world.states(), ["starting"]);
    world.run(secs(2));
    assert_eq!(world.states(), ["in service"]);
}

#[test]
fn contact_lost_for_a_while_loses_nothing() {
    for method in ["DC", "HO", "FL"] {
        let mut world = World::new();
        let (id, _) = world.opened(offered());
        world.register(0, method, "900 Service Restored");
        world.apply(id, answered());
        world.settle();
        world.applied();
        assert_eq!(world.states(), ["in service"]);
        assert_eq!(world.gateways[0].contexts.len(), 1);
    }
}

#[test]
fn a_gateway_of_another_controller_is_cleared_before_it_serves() {
    for method in ["DC", "HO", "FL"] {
        let mut world = World::new();
        world.opened(offered());
        // The controller starts again, and knows nothing.
        world.run(std::time::Duration::from_millis(10));
        world.mgc = Mgc::new(Config::new(address(MGC)), world.now, Entropy::from_u64(9));
        world.register(0, method, "900 Service Restored");
        world.run(std::time::Duration::from_millis(6));
        assert_eq!(world.states(), ["starting"]);
        world.settle();
        assert_eq!(world.states(), ["in service"]);
        assert!(world.gateways[0].contexts.is_empty());
    }
}

#[test]
fn graceful_keeps_calls_and_takes_no_new_ones() {
    let mut world = World::new();
    let (id, _) = world.opened(offered());
    world.register(0, "GR", "905 Maintenance");
    world.settle();
    assert_eq!(world.states(), ["draining"]);
    let refused = world.mgc.open(world.now, 1, spec(), offered());
    assert_eq!(refused, Err(AnchorError::NoGateway));
    world.apply(id, answered());
    world.settle();
    world.applied();
    world.run(secs(1000));
    assert_eq!(
        (world.states(), world.news()),
        (vec!["draining".to_owned()], Vec::new())
    );
    // It thinks better of it.
    world.register(0, "RS", "918 Cancel Graceful");
    world.settle();
    assert_eq!(
        (world.states(), world.news()),
        (vec!["in service".to_owned()], Vec::new())
    );
    world.opened(offered());
    assert_eq!(world.gateways[0].contexts.len(), 2);
}

#[test]
fn graceful_with_delay_ends_calls_after_it() {
    let mut world = World::new();
    world.opened(offered());
    world.ask(0, "C=-{SC=ROOT{SV{MT=GR,DL=60,RE=\"905 Maintenance\"}}}");
    world.run(secs(59));
    assert_eq!(world.news(), []);
    world.run(secs(2));
    assert_eq!(world.news(), lost(1));
    assert_eq!(world.states(), ["out of service"]);
}

#[test]
fn forced_ends_calls_at_once_and_for_good() {
    let mut world = World::new();
    world.opened(offered());
    world.register(0, "FO", "908 Failure");
    world.settle();
    assert_eq!(world.news(), lost(1));
    let probes = world.gateways[0].probes;
    world.run(secs(1000));
    assert_eq!(world.states(), ["out of service"]);
    assert_eq!(world.gateways[0].probes, probes);
    world.register(0, "GR", "905 Maintenance");
    world.settle();
    assert_eq!(world.states(), ["out of service"]);
    world.register(0, "RS", "900 Service Restored");
    world.settle();
    assert_eq!(world.states(), ["in service"]);
}

#[test]
fn a_termination_forced_out_takes_its_call_with_it() {
    for change in ["C=1{SC=ip/2{", "C=1{SC=*{", "C=*{SC=ip/1{", "C=-{SC=ip/2{"] {
        let mut world = World::new();
        world.opened(offered());
        world.opened(offered());
        world.ask(0, &format!("{change}SV{{MT=GR,RE=\"905 Soon\"}}}}}}"));
        world.settle();
        assert_eq!(world.news(), []);
        world.ask(0, &format!("{change}SV{{MT=FO,RE=\"904 Broken\"}}}}}}"));
        world.settle();
        assert_eq!(world.news(), lost(1), "{change}");
        assert_eq!(world.gateways[0].contexts.keys().collect::<Vec<_>>(), [&2]);
        assert!(!last_reply(&world, 0).contains("Error"));
    }
}

#[test]
fn a_quiet_gateway_is_asked_whether_it_is_there() {
    let mut world = World::new();
    world.run(secs(9));
    assert_eq!(world.gateways[0].probes, 0);
    world.run(secs(2));
    assert_eq!(world.gateways[0].probes, 1);
    world.run(secs(50));
    assert_eq!(world.gateways[0].probes, 6);
    // Not while it talks.
    for _ in 0..20 {
        world.opened(offered());
        world.run(secs(5));
    }
    assert_eq!(world.gateways[0].probes, 6);
    assert_eq!(world.states(), ["in service"]);
}

#[test]
fn a_lost_gateway_loses_each_call_once_and_is_cleared_when_it_is_back() {
    let mut world = World::new();
    let (ready, _) = world.opened(offered());
    let (released, _) = world.opened(offered());
    world.opened(answered());
    world.gateways[0].is_deaf = true;
    world.apply(ready, answered());
    world.release(released);
    world.run(secs(60));
    assert_eq!(world.news(), lost(2));
    assert_eq!(world.states(), ["does not answer"]);
    assert_eq!(world.mgc.gateways()[0].contexts, 0);
    assert_eq!(world.gateways[0].contexts.len(), 3);
    // It never noticed, and is found again.
    world.gateways[0].is_deaf = false;
    world.run(secs(40));
    assert_eq!(world.states(), ["in service"]);
    assert!(world.gateways[0].contexts.is_empty());
    world.opened(offered());
    world.run(secs(100));
    assert_eq!(world.news(), []);
}

#[test]
fn a_lost_gateway_that_says_something_is_asked_at_once() {
    let mut world = World::new();
    world.gateways[0].is_deaf = true;
    world.run(secs(60));
    assert_eq!(world.states(), ["does not answer"]);
    // Between two probes.
    while world.mgc.next_timeout().unwrap() < world.now + secs(8) {
        world.run(std::time::Duration::from_millis(200));
    }
    world.gateways[0].is_deaf = false;
    world.ask(0, "C=5{N=ip/1{OE=1{nt/netfail}}}");
    world.settle();
    assert_eq!(world.states(), ["in service"]);
    assert!(last_reply(&world, 0).contains("411"));
}

#[test]
fn a_gateway_that_obeys_another_is_lost() {
    for code in ["504", "505"] {
        let mut world = World::new();
        world.opened(offered());
        for _ in 0..200 {
            world.answer(Kind::Probe, Answer::Say(body(code)));
            world.answer(Kind::Start, Answer::Say(body(code)));
        }
        // Its refusal of anything else makes us ask.
        world.answer(Kind::Add, Answer::Say(body(code)));
        world.open(offered());
        world.settle();
        let refused = AnchorEvent::Failed(AnchorError::Refused(code.parse().unwrap()));
        assert_eq!(world.news(), [refused, AnchorEvent::Lost]);
        world.run(secs(100));
        assert_eq!(world.states(), ["does not answer"]);
        world.gateways[0].answers.clear();
        world.run(secs(15));
        assert_eq!(world.states(), ["in service"]);
    }
}

#[test]
fn a_gateway_that_does_not_know_yet_that_it_was_accepted_is_told_again() {
    let mut world = World::strangers(1);
    for _ in 0..3 {
        world.answer(Kind::Start, Answer::Say(body("505")));
    }
    world.register(0, "RS", "901 Cold Boot");
    world.run(secs(2));
    assert_eq!(world.states(), ["starting"]);
    world.run(secs(2));
    assert_eq!(
        (world.states(), world.gateways[0].starts),
        (vec!["in service".to_owned()], 4)
    );
    // One that never obeys is not asked for ever.
    for _ in 0..100 {
        world.answer(Kind::Start, Answer::Say(body("505")));
    }
    world.register(0, "RS", "901 Cold Boot");
    world.run(secs(25));
    assert_eq!(world.states(), ["does not answer"]);
}

#[test]
fn orders_that_a_gateway_cannot_obey_do_not_keep_it_from_serving() {
    let mut world = World::strangers(1);
    let reply = "C=*{S=*{ER=431{\"none\"}}},C=-{MF=ROOT{ER=440{\"no it\"}}}";
    world.answer(Kind::Start, Answer::Say(body(reply)));
    world.register(0, "DC", "900 Service Restored");
    world.settle();
    assert_eq!(world.states(), ["in service"]);
}

#[test]
fn a_context_that_cannot_be_subtracted_is_tried_again() {
    let mut world = World::new();
    let (id, _) = world.opened(offered());
    for reply in ["511", "C=1{ER=500{\"no\"}}", "C=1{S=ip/1{ER=500{\"no\"}}}"] {
        world.answer(Kind::Subtract, Answer::Say(body(reply)));
    }
    world.release(id);
    world.run(secs(11));
    assert_eq!(
        (world.mgc.contexts(), world.mgc.gateways()[0].contexts),
        (0, 1)
    );
    world.run(secs(6));
    assert!(world.gateways[0].contexts.is_empty());
    assert_eq!(world.mgc.gateways()[0].contexts, 0);
    // One that is gone is gone.
    for reply in ["C=2{ER=411{\"no\"}}", "C=2{S=*{ER=431{\"none\"}}}"] {
        let (id, _) = world.opened(offered());
        world.answer(Kind::Subtract, Answer::Say(body(reply)));
        world.release(id);
        world.settle();
        assert_eq!(world.mgc.gateways()[0].contexts, 0);
    }
}

#[test]
fn a_context_that_nobody_knows_is_subtracted_when_it_comes_to_light() {
    let mut world = World::new();
    world.opened(offered());
    // Made, but the reply tells of nothing.
    world.answer(Kind::Add, Answer::DoAndSay(body("C=-{AV=ROOT}")));
    world.open(offered());
    world.settle();
    assert_eq!(world.news(), [AnchorEvent::Failed(AnchorError::Nonsense)]);
    assert_eq!(world.gateways[0].contexts.len(), 2);
    world.run(secs(3700));
    assert_eq!(world.gateways[0].contexts.keys().collect::<Vec<_>>(), [&1]);
    assert_eq!(world.mgc.gateways()[0].contexts, 1);
}

#[test]
fn calls_go_to_the_gateway_with_the_fewest() {
    let mut world = World::with_gateways(2);
    let mut anchors = Vec::new();
    for _ in 0..10 {
        anchors.push(world.opened(offered()).0);
    }
    let loads = |world: &World| {
        let gateways = world.gateways.iter();
        gateways
            .map(|gateway| gateway.contexts.len())
            .collect::<Vec<_>>()
    };
    assert_eq!(loads(&world), [5, 5]);
    for id in anchors {
        if world.mgc.anchors.get(id).unwrap().gateway == world.mgc.gateways.ids().next().unwrap() {
            world.release(id);
        }
    }
    world.settle();
    assert_eq!(loads(&world), [0, 5]);
    for _ in 0..6 {
        world.opened(offered());
    }
    assert_eq!(loads(&world), [6, 5]);
    // One goes, and takes only its own.
    world.gateways[1].is_deaf = true;
    world.run(secs(60));
    assert_eq!(world.news(), lost(5));
    assert_eq!(world.states(), ["in service", "does not answer"]);
    world.opened(offered());
    assert_eq!(loads(&world)[0], 7);
}

#[test]
fn a_gateway_may_move_and_another_may_take_its_place() {
    let mut world = World::with_gateways(2);
    world.opened(offered());
    world.opened(offered());
    // The first wants its requests at the second's address.
    let change = "C=-{SC=ROOT{SV{MT=RS,AD=[192.0.2.11]:2944,RE=\"901 Cold Boot\"}}}";
    world.ask(0, change);
    world.settle();
    assert_eq!(world.news(), lost(2));
    assert_eq!(world.states(), ["in service", "out of service"]);
    assert_eq!(world.gateways[1].starts, 2);
    // Back again; the second returns as well.
    world.register(0, "RS", "901 Cold Boot");
    world.register(1, "RS", "901 Cold Boot");
    world.settle();
    for b in &world.seen {
        eprintln!("{}", String::from_utf8_lossy(b));
    }
    assert_eq!(world.states(), ["in service", "in service"]);
    world.opened(offered());
    world.opened(offered());
    assert_eq!(world.news(), []);
}

#[test]
fn a_new_name_at_an_old_address_is_another_gateway() {
    let mut world = World::new();
    world.opened(offered());
    let register = "!/1 <other.example> T=9{C=-{SC=ROOT{SV{MT=RS,V=3,RE=\"901 Cold Boot\"}}}}";
    let from = world.gateways[0].address;
    world.transmit(from, address(MGC), register.into());
    world.settle();
    assert_eq!(world.news(), lost(1));
    let gateways = world.mgc.gateways();
    assert_eq!((gateways.len(), &*gateways[0].mid), (1, "other.example"));
    assert_eq!(world.states(), ["in service"]);
}
