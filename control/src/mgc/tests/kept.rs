//! What the journal has of gateways and contexts, and what a restart makes of it.

use std::collections::BTreeMap;

use base::Entropy;
use h248::message::{MessageBody, Mid, Transaction};
use h248::text;

use super::gateway_model::{Answer, Kind, body};
use super::world::*;
use crate::journal;
use crate::mgc::kept::{KeptContext, KeptGateway};
use crate::mgc::{AnchorError, AnchorEvent, AnchorId, Config, Mgc, Plan};

/// Gateways and contexts in the journal.
fn kept(world: &World) -> [usize; 2] {
    let mut replay = world.replay();
    let gateways = replay.take::<KeptGateway>(journal::Kind::Gateway);
    let contexts = replay.take::<KeptContext>(journal::Kind::Context);
    assert_eq!(replay.take_unreadable(), []);
    [gateways.len(), contexts.len()]
}

/// Opens an anchor for an answered call and has it kept.
fn confirmed(world: &mut World) -> AnchorId {
    let (id, _) = world.opened(answered());
    world.mgc.keep(world.now, id);
    world.drain();
    id
}

fn contexts(world: &World) -> Vec<u32> {
    world.gateways[0].contexts.keys().copied().collect()
}

#[test]
fn what_is_wanted_kept_is_in_the_journal_until_it_is_subtracted() {
    let mut world = World::strangers(1);
    world.register(0, "RS", "901 Cold Boot");
    assert_eq!(kept(&world), [0, 0]);
    world.settle();
    assert_eq!(kept(&world), [1, 0]);
    let (early, _) = world.opened(offered());
    assert_eq!(kept(&world), [1, 0]);
    let id = confirmed(&mut world);
    assert_eq!(kept(&world), [1, 1]);
    world.answer(Kind::Subtract, Answer::Say(body("511")));
    world.release(id);
    world.settle();
    assert_eq!(kept(&world), [1, 1], "the gateway still has it");
    world.run(secs(6));
    assert_eq!(kept(&world), [1, 0]);
    world.release(early);
    world.settle();
    assert_eq!(kept(&world), [1, 0]);
    world.register(0, "FO", "908 Failure");
    world.settle();
    assert_eq!(kept(&world), [0, 0]);
}

#[test]
fn a_restart_takes_up_anchors_as_they_were() {
    let mut world = World::new();
    let (id, locals) = world.opened(offered());
    world.mgc.keep(world.now, id);
    // What comes into force later is kept too.
    world.apply(id, answered());
    world.settle();
    world.applied();
    world.restart();
    let claimed = world.mgc.claim(1).expect("it is kept");
    assert_eq!((&claimed.applied, &claimed.locals), (&answered(), &locals));
    assert!(world.mgc.claim(1).is_none(), "once");
    assert_eq!(
        world.mgc.owner_of(locals.addresses().next().unwrap()),
        Some(1)
    );
    world.mgc.release_unclaimed(world.now);
    world.asked();
    world.settle();
    assert_eq!(world.asked(), ["C=1{AV=ip/1{AT{}},AV=ip/2{AT{}}}"]);
    assert_eq!(
        (world.states(), world.news()),
        (vec!["in service".to_owned()], vec![])
    );
    let seen = world
        .seen
        .iter()
        .map(|bytes| String::from_utf8_lossy(bytes));
    assert!(
        !seen.into_iter().any(|text| text.contains("C=*")),
        "nothing is cleared"
    );
    // It goes on as if nothing had happened.
    world.apply(claimed.anchor, offered());
    world.settle();
    assert_eq!(world.applied(), locals);
    world.release(claimed.anchor);
    world.settle();
    assert_eq!((contexts(&world), kept(&world)), (vec![], [1, 0]));
    assert_eq!(world.mgc.anchors.lens(), [0; 3]);
}

#[test]
fn contexts_that_are_gone_are_lost_and_those_of_nobody_subtracted() {
    let mut world = World::new();
    for _ in 0..300 {
        confirmed(&mut world);
    }
    for context in (1..=300).filter(|context| context % 3 == 0) {
        world.gateways[0].contexts.remove(&context);
    }
    // Half a context is as good as none.
    world.gateways[0]
        .contexts
        .get_mut(&1)
        .unwrap()
        .terminations
        .pop();
    world.news.clear();
    world.restart();
    let mut anchors = BTreeMap::new();
    for owner in (1..=300).filter(|owner| owner % 2 == 1) {
        anchors.insert(owner, world.mgc.claim(owner).unwrap().anchor);
    }
    world.mgc.release_unclaimed(world.now);
    world.seen.clear();
    world.run(secs(1));
    let audits = world.seen.iter().filter(|bytes| {
        let text = String::from_utf8_lossy(bytes);
        text.contains("AV=ip")
    });
    let lengths: Vec<usize> = audits.map(Vec::len).collect();
    assert!(lengths.len() < 30, "they share messages: {}", lengths.len());
    assert!(lengths.iter().all(|&length| length <= 1400), "{lengths:?}");
    let mut lost: Vec<u64> = world
        .news
        .drain(..)
        .map(|(owner, event)| {
            assert_eq!(event, AnchorEvent::Lost);
            owner
        })
        .collect();
    lost.sort_unstable();
    let gone = |owner: &u64| owner % 2 == 1 && (owner.is_multiple_of(3) || *owner == 1);
    assert_eq!(lost, (1..=300).filter(gone).collect::<Vec<_>>());
    let left = (2..=300).filter(|context| context % 2 == 1 && context % 3 != 0);
    let left: Vec<u32> = left.collect();
    assert_eq!(contexts(&world), left);
    assert_eq!(kept(&world), [1, left.len()]);
}

#[test]
fn a_context_that_is_not_in_the_journal_is_gone_within_a_minute() {
    for kills_in_flight in [false, true] {
        let mut world = World::new();
        world.open(offered());
        if !kills_in_flight {
            world.settle();
        }
        world.run(std::time::Duration::from_millis(6));
        assert_eq!(contexts(&world), [1]);
        world.kill();
        world.news.clear();
        world.run(secs(3));
        world.restart();
        world.mgc.release_unclaimed(world.now);
        world.run(secs(25));
        assert_eq!((contexts(&world), world.news()), (vec![], vec![]));
    }
}

#[test]
fn a_kept_context_reports_itself_seldom_and_others_every_20_seconds() {
    let mut world = World::new();
    let id = confirmed(&mut world);
    let (ringing, _) = world.opened(offered());
    world.asked();
    world.run(secs(120));
    assert_eq!(
        world.asked(),
        ["C=1{MF=ip/1{E=2{hangterm/thb{timerx=3600},adid/ipstop{ST=1,dt=300,dir=IN}}}}"]
    );
    let beats = |world: &World, context: u32| {
        let notify = format!("C={context}{{N=");
        let seen = world
            .seen
            .iter()
            .map(|bytes| String::from_utf8_lossy(bytes));
        seen.filter(|text| text.contains(&notify) && text.contains("OE="))
            .count()
    };
    assert_eq!((beats(&world, 1), beats(&world, 2)), (1, 6));
    // It stays so when other events are asked for.
    world.apply(id, offered());
    world.settle();
    world.applied();
    assert!(world.asked()[0].contains("timerx=3600"));
    world.mgc.keep(world.now, ringing);
    world.drain();
    world.run(secs(60));
    assert_eq!((beats(&world, 1), beats(&world, 2)), (1, 7));
    assert_eq!(contexts(&world), [1, 2]);
}

#[test]
fn what_is_not_on_the_disk_yet_keeps_its_heartbeat() {
    let mut world = World::new();
    let (id, _) = world.opened(offered());
    world.asked();
    world.run(secs(19) + std::time::Duration::from_millis(500));
    world.mgc.keep(world.now, id);
    world.run(secs(10));
    assert_eq!(world.asked(), [""; 0]);
    world.run(secs(20));
    assert_eq!(
        world.asked(),
        ["C=1{MF=ip/1{E=1{hangterm/thb{timerx=3600}}}}"]
    );
}

#[test]
fn a_plan_waits_for_the_heartbeat_to_be_changed() {
    for answer in [None, Some("C=1{ER=510{}}"), Some("C=1{ER=411{}}")] {
        let mut world = World::new();
        let id = confirmed(&mut world);
        if let Some(answer) = answer {
            world.answer(Kind::Modify, Answer::Say(body(answer)));
        }
        while world.gateways[0].asked.len() < 2 {
            let end = world.now + secs(30);
            assert!(world.step(end));
        }
        world.apply(id, offered());
        let third = world.mgc.apply(world.now, id, answered());
        assert_eq!(third, Err(AnchorError::Busy));
        assert_eq!(world.news(), []);
        world.settle();
        if answer.is_some_and(|answer| answer.contains("411")) {
            assert_eq!(
                (world.news(), world.mgc.contexts()),
                (vec![AnchorEvent::Lost], 0)
            );
        } else {
            world.applied();
            let is_long = world.asked().pop().unwrap().contains("timerx=3600");
            assert_eq!(is_long, answer.is_none());
        }
    }
}

#[test]
fn an_anchor_let_go_while_its_heartbeat_changes_is_subtracted_after_it() {
    let mut world = World::new();
    let id = confirmed(&mut world);
    while world.gateways[0].asked.len() < 2 {
        let end = world.now + secs(30);
        assert!(world.step(end));
    }
    world.apply(id, offered());
    world.release(id);
    world.settle();
    assert_eq!((contexts(&world), world.news()), (vec![], vec![]));
    assert_eq!((world.mgc.contexts(), kept(&world)), (0, [1, 0]));
}

#[test]
fn a_gateway_that_lost_sight_of_the_controller_keeps_its_calls() {
    for method in ["DC", "HO", "FL"] {
        let mut world = World::new();
        confirmed(&mut world);
        world.kill();
        // Nobody answered, and it looks for a controller.
        for _ in 0..3 {
            world.answer(Kind::Start, Answer::Say(body("505")));
        }
        world.restart();
        world.mgc.claim(1).unwrap();
        world.mgc.release_unclaimed(world.now);
        world.run(std::time::Duration::from_millis(1500));
        assert_eq!(world.states(), ["starting"]);
        world.register(0, method, "900 Service Restored");
        world.run(secs(2));
        assert_eq!(
            (world.states(), world.news()),
            (vec!["in service".to_owned()], vec![])
        );
        assert_eq!((contexts(&world), kept(&world)), (vec![1], [1, 1]));
        // The same while it serves: it is asked for its contexts.
        world.gateways[0].contexts.clear();
        world.register(0, method, "900 Service Restored");
        world.settle();
        assert_eq!(
            (world.news(), kept(&world)),
            (vec![AnchorEvent::Lost], [1, 0])
        );
    }
}

#[test]
fn a_gateway_that_restarted_meanwhile_has_lost_its_calls() {
    let mut world = World::new();
    confirmed(&mut world);
    world.kill();
    world.gateways[0].forget_everything();
    world.answer(Kind::Start, Answer::Say(body("505")));
    world.restart();
    world.mgc.claim(1).unwrap();
    world.mgc.release_unclaimed(world.now);
    world.settle();
    world.register(0, "RS", "901 Cold Boot");
    world.settle();
    assert_eq!(
        (world.states(), world.news()),
        (vec!["in service".to_owned()], vec![AnchorEvent::Lost])
    );
    assert_eq!(kept(&world), [1, 0]);
}

#[test]
fn a_gateway_that_does_not_answer_after_a_restart_is_lost_with_its_calls() {
    let mut world = World::new();
    confirmed(&mut world);
    world.kill();
    world.gateways[0].is_deaf = true;
    world.restart();
    world.mgc.claim(1).unwrap();
    world.mgc.release_unclaimed(world.now);
    world.run(secs(19));
    assert_eq!(world.news(), []);
    world.run(secs(3));
    assert_eq!(
        (world.states(), world.news()),
        (vec!["does not answer".to_owned()], vec![AnchorEvent::Lost])
    );
    assert_eq!(kept(&world), [0, 0]);
}

#[test]
fn a_gateway_that_was_draining_still_is_after_a_restart() {
    let mut world = World::new();
    confirmed(&mut world);
    world.ask(0, "C=-{SC=ROOT{SV{MT=GR,DL=60,RE=\"905 Maintenance\"}}}");
    world.settle();
    world.kill();
    world.restart();
    world.mgc.claim(1).unwrap();
    world.mgc.release_unclaimed(world.now);
    world.settle();
    assert_eq!(
        (world.states(), world.news()),
        (vec!["draining".to_owned()], vec![])
    );
    world.run(secs(61));
    assert_eq!(
        (world.states(), world.news()),
        (vec!["out of service".to_owned()], vec![AnchorEvent::Lost])
    );
}

#[test]
fn a_crash_at_any_moment_of_taking_up_loses_nothing() {
    for steps in 0..40 {
        let mut world = World::new();
        confirmed(&mut world);
        confirmed(&mut world);
        world.kill();
        world.restart();
        world.mgc.claim(1).unwrap();
        world.mgc.release_unclaimed(world.now);
        let end = world.now + secs(1);
        for _ in 0..steps {
            world.step(end);
        }
        world.kill();
        world.restart();
        world.mgc.claim(1).expect("still kept");
        world.mgc.release_unclaimed(world.now);
        world.run(secs(60));
        assert_eq!(
            (world.states(), world.news()),
            (vec!["in service".to_owned()], vec![]),
            "{steps}"
        );
        assert_eq!(
            (contexts(&world), kept(&world)),
            (vec![1], [1, 1]),
            "{steps}"
        );
    }
}

#[test]
fn transaction_numbers_are_not_repeated_whatever_the_clock_says() {
    let mut world = World::new();
    let start = world.now;
    let plans = [offered(), answered()];
    let open = |world: &mut World| {
        let (id, _) = world.opened(Plan::default());
        for index in 0..1000 {
            world.apply(id, plans[index % 2].clone());
            world.settle();
        }
        world.news.clear();
    };
    open(&mut world);
    let numbers = |seen: &[Vec<u8>]| {
        let messages = seen.iter().map(|bytes| text::parse_message(bytes).unwrap());
        let ours = messages.filter(|message| message.mid == Mid::from(address(MGC)));
        let transactions = ours.flat_map(|message| match message.body {
            MessageBody::Transactions(transactions) => transactions,
            MessageBody::Error(_) => Vec::new(),
        });
        let requests = transactions.filter_map(|transaction| match transaction {
            Transaction::Request(request) => Some(request.id.0),
            _ => None,
        });
        requests.collect::<Vec<u32>>()
    };
    let before: std::collections::BTreeSet<u32> = numbers(&world.seen).into_iter().collect();
    assert!(before.len() > 1000);
    // The clock is where it was at the first start.
    world.kill();
    world.seen.clear();
    world.mgc = Mgc::new(Config::new(address(MGC)), start, Entropy::from_u64(9));
    world.mgc.restore(world.now, &mut world.replay());
    world.settle();
    open(&mut world);
    let after = numbers(&world.seen);
    assert!(after.len() > 1000);
    let repeated: Vec<_> = after
        .iter()
        .filter(|number| before.contains(number))
        .collect();
    assert_eq!(repeated, [&0; 0]);
}
