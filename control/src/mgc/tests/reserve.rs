//! Reserve: two Adds into a new context.

use super::gateway_model::{Answer, Kind, body};
use super::world::*;
use crate::mgc::{AnchorError, AnchorEvent, AnchorSpec, Family, Mode, Plan, Side};

fn failed(error: AnchorError) -> Vec<AnchorEvent> {
    vec![AnchorEvent::Failed(error)]
}

/// A Media descriptor that gives stream 1 this address.
fn local(address: &str) -> String {
    let (ip, port) = address.rsplit_once(':').unwrap();
    format!("M{{ST=1{{L{{v=0\nc=IN IP4 {ip}\nm=audio {port} RTP/AVP 8\n}}}}}}")
}

#[test]
fn the_owner_hears_the_gateways_addresses() {
    let mut world = World::new();
    let (id, owner) = world.open(offered());
    assert_eq!(world.news, []);
    world.settle();
    let [(of, AnchorEvent::Applied(locals))] = &world.news[..] else {
        panic!("{:?}", world.news)
    };
    assert_eq!(*of, owner);
    let [access, core] = Side::BOTH.map(|side| locals.get(0, side).unwrap());
    assert_ne!(access, core);
    assert!(world.mgc.is_local(access) && world.mgc.is_local(core));
    let context = world.gateways[0].context_at(access).unwrap();
    assert_eq!(context.terminations[1].streams[&1].local, Some(core));
    assert_eq!(
        context.terminations[0].streams[&1].remote,
        Some(address(UE))
    );
    assert_eq!(context.terminations[1].streams[&1].remote, None);
    assert_eq!(world.mgc.contexts(), 1);
    world.release(id);
    assert!(!world.mgc.is_local(access));
    world.settle();
    assert!(world.gateways[0].contexts.is_empty());
    assert_eq!(
        (world.mgc.contexts(), world.mgc.gateways()[0].contexts),
        (0, 0)
    );
}

#[test]
fn streams_keep_their_places_and_sides_their_families_and_realms() {
    let mut world = World::new();
    let mut video = stream(Some("[2001:db8::5]:40010"), None);
    video.kind = "video".into();
    video.formats = vec!["96".into(), "97".into()];
    let mut refused = video.clone();
    refused.used = false;
    let plan = Plan {
        streams: vec![stream(Some("[2001:db8::5]:40000"), None), refused, video],
    };
    let spec = AnchorSpec {
        families: [Family::V6, Family::V4],
        realms: ["ue, v6".into(), "core".into()],
        ..spec()
    };
    world.open_as(spec, plan);
    world.settle();
    let locals = world.applied();
    assert_eq!(locals.get(1, Side::Access), None);
    for index in [0, 2] {
        assert!(locals.get(index, Side::Access).unwrap().is_ipv6());
        assert!(locals.get(index, Side::Core).unwrap().is_ipv4());
    }
    let context = &world.gateways[0].contexts[&1];
    let [access, core] = &context.terminations[..] else {
        panic!("{}", context.terminations.len())
    };
    assert_eq!(access.streams.keys().collect::<Vec<_>>(), [&1, &3]);
    assert_eq!(access.streams[&3].formats, ["96", "97"]);
    assert!(access.streams[&3].keeps_formats && !access.streams[&1].keeps_formats);
    assert_eq!(
        (&*access.streams[&1].realm, &*core.streams[&3].realm),
        ("ue, v6", "core")
    );
    assert!(!context.emergency);
}

#[test]
fn an_emergency_call_is_marked() {
    let mut world = World::new();
    let spec = AnchorSpec {
        emergency: true,
        ..spec()
    };
    world.open_as(spec, offered());
    world.settle();
    assert!(world.gateways[0].contexts[&1].emergency);
}

#[test]
fn a_plan_without_streams_reserves_terminations_only() {
    let mut world = World::new();
    let (id, locals) = world.opened(Plan::default());
    assert_eq!(locals.addresses().count(), 0);
    world.apply(id, offered());
    world.settle();
    assert!(world.applied().get(0, Side::Core).is_some());
}

#[test]
fn a_gateway_without_room_is_followed_by_another() {
    let mut world = World::with_gateways(2);
    let full = || Answer::Say(body("C=9{A=${ER=510{\"no\"}}}"));
    world.answer(Kind::Add, full());
    world.opened(offered());
    let contexts = |world: &World| -> Vec<usize> {
        let all = world.mgc.gateways();
        all.iter().map(|gateway| gateway.contexts).collect()
    };
    assert_eq!(contexts(&world), [0, 1]);
    // It comes after the other for a second.
    world.opened(offered());
    assert_eq!(contexts(&world), [0, 2]);
    world.run(secs(2));
    world.opened(offered());
    assert_eq!(contexts(&world), [1, 2]);
    // When none has room, the call is refused.
    for gateway in &mut world.gateways {
        gateway.answers.push_back((Kind::Add, full()));
    }
    world.open(offered());
    world.settle();
    assert_eq!(world.news(), failed(AnchorError::Refused(510)));
    assert_eq!(contexts(&world), [1, 2]);
    // That it had none a moment ago is no reason not to ask.
    world.opened(offered());
    assert_eq!(contexts(&world), [2, 2]);
}

#[test]
fn an_error_anywhere_is_a_refusal_with_its_code() {
    let first = format!("A=ip/1{{{}}}", local("198.51.100.4:10002"));
    for (reply, code, subtracted) in [
        ("510", 510, None),
        ("C=${ER=412{\"no\"}}", 412, None),
        ("C=-{ER=421{\"no\"}}", 421, None),
        ("C=9{ER=510{\"no\"}}", 510, Some(9)),
        ("C=9{A=${ER=432{\"no\"}}}", 432, Some(9)),
        (
            &format!("C=9{{{first},A=${{ER=526{{\"no\"}}}}}}"),
            526,
            Some(9),
        ),
        (&format!("C=9{{{first},ER=515{{\"no\"}}}}"), 515, Some(9)),
        (
            &format!("C=9{{{first}}},C=-{{ER=500{{\"no\"}}}}"),
            500,
            Some(9),
        ),
    ] {
        let mut world = World::new();
        world.answer(Kind::Add, Answer::Say(body(reply)));
        let (id, _) = world.open(offered());
        world.settle();
        assert_eq!(world.news(), failed(AnchorError::Refused(code)), "{reply}");
        let asked = world.asked();
        let subtracts = subtracted.map(|context: u32| format!("C={context}{{W-S=*{{AT{{}}}}}}"));
        assert_eq!(asked[1..], Vec::from_iter(subtracts), "{reply}");
        // The anchor is gone.
        assert_eq!(
            world.mgc.apply(world.now, id, answered()),
            Err(AnchorError::Lost)
        );
        assert_eq!(
            (world.mgc.contexts(), world.mgc.gateways()[0].contexts),
            (0, 0)
        );
        world.opened(offered());
    }
}

#[test]
fn a_reply_that_does_not_fit_is_nonsense_and_what_it_made_is_subtracted() {
    let good = |name: &str, port: u16| {
        let media = local(&format!("198.51.100.4:{port}"));
        format!("A={name}{{{media}}}")
    };
    let (access, core) = (good("ip/1", 10_002), good("ip/2", 10_004));
    let replies = [
        // Nothing in it.
        ("C=9".to_owned(), Some(9)),
        // One termination.
        (format!("C=9{{{access}}}"), Some(9)),
        // Three.
        (
            format!("C=9{{{access},{core},{}}}", good("ip/3", 10_006)),
            Some(9),
        ),
        // The same twice.
        (format!("C=9{{{access},{access}}}"), Some(9)),
        // Names that are none.
        (format!("C=9{{{},{core}}}", good("$", 10_002)), Some(9)),
        (format!("C=9{{{},{core}}}", good("ip/*", 10_002)), Some(9)),
        (format!("C=9{{{},{core}}}", good("ROOT", 10_002)), Some(9)),
        // No Local.
        (format!("C=9{{{access},A=ip/2}}"), Some(9)),
        // A Local without address, without port, that cannot be read, of another stream, of the
        // wrong family.
        (
            format!("C=9{{{access},{}}}", core.replace("198.51.100.4", "$")),
            Some(9),
        ),
        (
            format!("C=9{{{access},{}}}", core.replace("10004", "0")),
            Some(9),
        ),
        (
            format!("C=9{{{access},{}}}", core.replace("m=audio", "m~audio")),
            Some(9),
        ),
        (
            format!("C=9{{{access},{}}}", core.replace("ST=1", "ST=2")),
            Some(9),
        ),
        (
            format!(
                "C=9{{{access},{}}}",
                core.replace("IP4 198.51.100.4", "IP6 2001:db8::4")
            ),
            Some(9),
        ),
        // Other commands than were asked for.
        (
            format!("C=9{{{access},{}}}", core.replace("A=", "MF=")),
            Some(9),
        ),
        // No context, or more than one.
        (format!("C=-{{{access},{core}}}"), None),
        (format!("C=${{{access},{core}}}"), None),
        (format!("C=9{{{access},{core}}},C=-{{AV=ROOT}}"), Some(9)),
    ];
    for (reply, subtracted) in replies {
        let mut world = World::new();
        world.answer(Kind::Add, Answer::Say(body(&reply)));
        world.open(offered());
        world.settle();
        assert_eq!(world.news(), failed(AnchorError::Nonsense), "{reply}");
        let subtracts = subtracted.map(|context: u32| format!("C={context}{{W-S=*{{AT{{}}}}}}"));
        assert_eq!(world.asked()[1..], Vec::from_iter(subtracts), "{reply}");
        assert_eq!(
            (world.mgc.contexts(), world.mgc.gateways()[0].contexts),
            (0, 0)
        );
    }
}

#[test]
fn the_context_of_another_anchor_is_nonsense_and_stays() {
    let mut world = World::new();
    let (first, locals) = world.opened(offered());
    world.answer(
        Kind::Add,
        Answer::Mangle(|reply| reply.context = h248::message::ContextId::Id(1)),
    );
    world.open(offered());
    world.settle();
    assert_eq!(world.news(), failed(AnchorError::Nonsense));
    assert!(world.mgc.is_local(locals.get(0, Side::Access).unwrap()));
    world.asked();
    world.apply(first, answered());
    world.settle();
    assert_eq!(world.applied(), locals);
}

#[test]
fn a_reply_that_cannot_be_read_is_nonsense() {
    let mut world = World::new();
    world.answer(Kind::Add, Answer::Ignore);
    world.open(offered());
    world.settle();
    let request = String::from_utf8(world.seen.last().unwrap().clone()).unwrap();
    let id = request.split_once("T=").unwrap().1;
    let id = id.split_once('{').unwrap().0;
    let reply = format!("!/3 [192.0.2.10]:2944\nP={id}{{C=9{{A=}}}}");
    let gateway = world.gateways[0].address;
    world.transmit(gateway, address(MGC), reply.into());
    world.settle();
    assert_eq!(world.news(), failed(AnchorError::Nonsense));
    assert_eq!(world.mgc.contexts(), 0);
}

#[test]
fn a_gateway_that_ignores_one_request_fails_that_one() {
    let mut world = World::new();
    let (other, _) = world.opened(offered());
    world.answer(Kind::Add, Answer::Ignore);
    world.open(offered());
    // Pending after Pending does not come for ever, and the gateway is there.
    for _ in 0..60 {
        world.run(secs(1));
        if !world.news.is_empty() {
            break;
        }
        let gateway = &mut world.gateways[0];
        gateway.ask(world.now, address(MGC), "C=1{N=ip/1{OE=1{nt/netfail}}}");
        world.drain();
    }
    // The engine gives up with error 506 after as many Pendings as it may send.
    assert_eq!(world.news(), failed(AnchorError::Refused(506)));
    assert_eq!(world.states(), ["in service"]);
    world.apply(other, answered());
    world.settle();
    world.applied();
}

#[test]
fn a_dead_gateway_fails_what_is_being_reserved() {
    let mut world = World::new();
    world.gateways[0].is_deaf = true;
    world.open(offered());
    world.open(offered());
    world.run(secs(60));
    let timeout = AnchorEvent::Failed(AnchorError::Timeout);
    assert_eq!(world.news(), [timeout.clone(), timeout]);
    assert_eq!(world.states(), ["does not answer"]);
    assert_eq!(world.mgc.contexts(), 0);
    let refused = world.mgc.open(world.now, 1, spec(), offered());
    assert_eq!(refused, Err(AnchorError::NoGateway));
}

#[test]
fn released_while_it_is_being_reserved_it_goes_as_soon_as_it_is_there() {
    let mut world = World::new();
    let (id, _) = world.open(offered());
    world.release(id);
    world.release(id);
    assert_eq!(world.mgc.contexts(), 1);
    world.settle();
    assert_eq!(world.news(), []);
    assert_eq!(world.asked().len(), 2);
    assert!(world.gateways[0].contexts.is_empty());
    assert_eq!(
        (world.mgc.contexts(), world.mgc.gateways()[0].contexts),
        (0, 0)
    );
}

#[test]
fn released_while_it_is_being_reserved_it_fails_in_silence() {
    for answer in [Answer::Say(body("510")), Answer::FailSecond(432)] {
        let mut world = World::new();
        world.answer(Kind::Add, answer);
        let (id, _) = world.open(offered());
        world.release(id);
        world.settle();
        assert_eq!(world.news(), []);
        assert!(world.gateways[0].contexts.is_empty());
        assert_eq!(world.mgc.contexts(), 0);
    }
}

#[test]
fn a_plan_before_the_reservation_is_there_has_to_wait() {
    let mut world = World::new();
    let (id, _) = world.open(offered());
    let busy = world.mgc.apply(world.now, id, answered());
    assert_eq!(busy, Err(AnchorError::Busy));
    world.settle();
    world.applied();
    world.apply(id, answered());
}

#[test]
fn nobody_serves_before_a_gateway_registers() {
    let mut world = World::strangers(1);
    let refused = world.mgc.open(world.now, 1, spec(), offered());
    assert_eq!(refused, Err(AnchorError::NoGateway));
    assert_eq!(Mode::new(true, false), Mode::SendOnly);
}
