//! Users who hear announcements and meet in conferences: the MRFC and an MRFP that obeys.

use std::collections::BTreeMap;
use std::time::Duration;

use calls::{Layout, Setup, User, World, everywhere};
use control::config::{ControlFile, MrfFile, PromptName};
use h248::error::ErrorCode;
use h248::message::StreamMode;
use load::ua::{Event, Step};

const SECOND: Duration = Duration::from_secs(1);

fn setup(users: usize) -> Setup {
    Setup::new(&vec![User::Digest; users])
}

/// A world with an MRFP in service and its users registered.
fn begin(world: &mut World, users: &[usize]) {
    world.add_mrfp();
    world.register(users);
    world.network.run_for(60 * SECOND);
}

/// Runs until the MRFP is so.
fn wait(world: &mut World, what: &str, is_so: impl Fn(&calls::MrfpHost) -> bool) {
    for _ in 0..4000 {
        if is_so(world.mrfp(0)) {
            return;
        }
        world.network.run_for(SECOND / 10);
    }
    panic!("{what}: {:#?}", world.mrfp(0).contexts);
}

fn answered(world: &mut World, phone: usize) {
    world.expect(phone, "established", |event| {
        matches!(event, Event::Established { .. })
    });
}

/// The MRFP says that what its only termination plays has ended.
fn played(world: &mut World) {
    world.act_mrfp(0, |mrfp, now| {
        let name = mrfp.terminations().next().expect("one").name.clone();
        let request = "g/sc { SigID = aasb/play, Meth = TO }";
        mrfp.report(now, &name, request);
    });
}

#[test]
fn an_announcement_is_heard_to_its_end() {
    everywhere(&setup(1), |world| {
        begin(world, &[0]);
        let uri =
            "sip:annc@mrf.ims.test;play=file:///prompts/hello.wav;repeat=2;delay=300;locale=de";
        world.dial(0, uri);
        answered(world, 0);
        wait(world, "it plays", |mrfp| {
            mrfp.terminations().any(|it| !it.signals.is_empty())
        });
        let one = world.mrfp(0).terminations().next().unwrap().clone();
        assert!(one.signals[0].name.is("aasb", "play"));
        assert!(
            one.played("an")
                .unwrap()
                .starts_with("<file:///prompts/hello.wav>")
        );
        assert_eq!(one.played("it").as_deref(), Some("2"));
        assert_eq!(one.played("iv").as_deref(), Some("3"));
        assert!(one.mode == StreamMode::SendReceive && one.remote.is_some());
        played(world);
        world.expect_end(0);
        wait(world, "the context goes", |mrfp| mrfp.contexts.is_empty());
        assert_eq!(world.serving_counter("mrfc.call.answered"), 1);
        assert_eq!(world.serving_counter("mrfc.call.released"), 1);
    });
}

#[test]
fn an_announcement_before_the_answer_ends_with_its_cause() {
    everywhere(&setup(1), |world| {
        begin(world, &[0]);
        world.dial(0, "sip:annc@mrf.ims.test;play=4;early=yes;cause=404");
        world.expect_progress(0, 183);
        wait(world, "it plays", |mrfp| {
            mrfp.terminations()
                .any(|it| it.played("an").as_deref() == Some("4"))
        });
        played(world);
        assert_eq!(world.expect_refusal(0), 404);
        wait(world, "the context goes", |mrfp| mrfp.contexts.is_empty());
    });
}

#[test]
fn an_announcement_lasts_no_longer_than_it_may() {
    everywhere(&setup(1), |world| {
        begin(world, &[0]);
        world.dial(
            0,
            "sip:annc@mrf.ims.test;play=4;repeat=forever;duration=5000",
        );
        answered(world, 0);
        world.expect_end(0);
        wait(world, "the context goes", |mrfp| mrfp.contexts.is_empty());
    });
}

#[test]
fn what_cannot_be_had_is_refused() {
    for (uri, status) in [
        ("sip:annc@mrf.ims.test", 400),
        ("sip:dialog@mrf.ims.test;voicexml=http://a.test/b", 488),
        ("sip:nobody@mrf.ims.test", 404),
        ("sip:conf=@mrf.ims.test", 404),
    ] {
        let world = &mut setup(1).build();
        begin(world, &[0]);
        world.dial(0, uri);
        assert_eq!(world.expect_refusal(0), status, "{uri}");
        assert!(world.mrfp(0).contexts.is_empty());
    }
}

#[test]
fn without_an_mrfp_there_is_no_announcement() {
    let world = &mut setup(1).build();
    world.register(&[0]);
    world.dial(0, "sip:annc@mrf.ims.test;play=4");
    assert!([500, 503].contains(&world.expect_refusal(0)));
}

#[test]
fn three_meet_in_a_mix_and_leave_it() {
    everywhere(&setup(3), |world| {
        begin(world, &[0, 1, 2]);
        let calls: Vec<_> = (0..3)
            .map(|phone| {
                let call = world.dial(phone, "sip:conf=17@mrf.ims.test");
                answered(world, phone);
                call
            })
            .collect();
        let contexts = |mrfp: &calls::MrfpHost| -> Vec<usize> {
            mrfp.contexts.values().map(Vec::len).collect()
        };
        wait(world, "all are in", |mrfp| contexts(mrfp) == [3]);
        for (left, call) in calls.iter().enumerate() {
            world
                .act(left, |agent, now| agent.hang_up(now, *call))
                .unwrap();
            let rest = 2 - left;
            wait(world, "it leaves", |mrfp| {
                contexts(mrfp).iter().sum::<usize>() == rest
            });
        }
        wait(world, "the context goes", |mrfp| mrfp.contexts.is_empty());
    });
}

#[test]
fn a_conference_of_the_factory_has_a_focus_that_others_can_call() {
    let world = &mut setup(2).layout(Layout::OneProcess).build();
    begin(world, &[0, 1]);
    world.dial(0, "sip:conference@ims.test");
    answered(world, 0);
    let ok = world.expect_heard(0, "2xx with a focus", |message| {
        message.status() == Some(200)
            && message
                .header(sip::HeaderName::Contact)
                .is_some_and(|it| it.contains("isfocus"))
    });
    let focus = ok.contact().unwrap().uri.as_str().to_owned();
    world.dial(1, &focus);
    answered(world, 1);
    wait(world, "both are in", |mrfp| {
        mrfp.contexts.values().any(|members| members.len() == 2)
    });
}

#[test]
fn a_held_call_neither_hears_nor_is_heard() {
    let world = &mut setup(1).build();
    begin(world, &[0]);
    let call = world.dial(0, "sip:conf=1@mrf.ims.test");
    answered(world, 0);
    let mode = |mrfp: &calls::MrfpHost| mrfp.terminations().next().map(|it| it.mode);
    wait(world, "it talks", |mrfp| {
        mode(mrfp) == Some(StreamMode::SendReceive)
    });
    world.act(0, |agent, now| agent.hold(now, call)).unwrap();
    wait(world, "it is held", |mrfp| {
        mode(mrfp) == Some(StreamMode::ReceiveOnly)
    });
    world.act(0, |agent, now| agent.resume(now, call)).unwrap();
    wait(world, "it talks again", |mrfp| {
        mode(mrfp) == Some(StreamMode::SendReceive)
    });
}

#[test]
fn a_gateway_without_room_is_passed_over_and_a_refusal_is_told() {
    let world = &mut setup(2).build();
    begin(world, &[0, 1]);
    let full = ErrorCode::INSUFFICIENT_RESOURCES;
    world.act_mrfp(0, |mrfp, _| mrfp.refusals.push_back(full));
    world.dial(0, "sip:conf=1@mrf.ims.test");
    assert!([500, 503].contains(&world.expect_refusal(0)));
    world.add_mrfp();
    world.network.run_for(5 * SECOND);
    world.act_mrfp(0, |mrfp, _| mrfp.refusals.push_back(full));
    world.act_mrfp(1, |mrfp, _| mrfp.refusals.clear());
    world.dial(1, "sip:conf=1@mrf.ims.test");
    answered(world, 1);
}

#[test]
fn a_conference_moves_when_its_mrfp_is_gone_and_an_announcement_ends() {
    let world = &mut setup(3).build();
    begin(world, &[0, 1, 2]);
    for phone in [0, 1] {
        world.dial(phone, "sip:conf=1@mrf.ims.test");
        answered(world, phone);
    }
    world.add_mrfp();
    world.network.run_for(5 * SECOND);
    world.stop_mrfp(0);
    // The silence is noticed by probes.
    world.network.run_for(120 * SECOND);
    let there = world
        .mrfp(1)
        .contexts
        .values()
        .map(Vec::len)
        .collect::<Vec<_>>();
    assert_eq!(there, [2], "{:#?}", world.mrfp(1).contexts);
    assert!(
        world
            .mrfp(1)
            .terminations()
            .all(|it| it.mode == StreamMode::SendReceive)
    );
    world.dial(2, "sip:annc@mrf.ims.test;play=4;repeat=forever");
    answered(world, 2);
    world.stop_mrfp(1);
    world.expect_end(2);
    world.expect_end(0);
    world.expect_end(1);
}

#[test]
fn a_caller_hears_why_a_call_fails() {
    let announced = |file: &mut ControlFile| {
        file.mrf = Some(MrfFile {
            announcements: Some(BTreeMap::from([
                ("404".to_owned(), PromptName::Number(4)),
                ("486".to_owned(), PromptName::Url("file:///busy.wav".into())),
                ("480".to_owned(), PromptName::Number(1)),
            ])),
            ..MrfFile::default()
        });
    };
    everywhere(&setup(2).with(announced), |world| {
        begin(world, &[0, 1]);
        world.policy(1, |policy| {
            policy.incoming = vec![Step::Ring, Step::Reject(486)];
        });
        world.dial(0, "sip:user1@ims.test");
        wait(world, "it plays", |mrfp| {
            mrfp.terminations()
                .any(|it| it.played("an").as_deref() == Some("<file:///busy.wav>"))
        });
        played(world);
        assert_eq!(world.expect_refusal(0), 486);
        world.dial(0, "sip:nobody@ims.test");
        wait(world, "it plays", |mrfp| {
            mrfp.terminations()
                .any(|it| it.played("an").as_deref() == Some("4"))
        });
        played(world);
        assert_eq!(world.expect_refusal(0), 404);
        wait(world, "the context goes", |mrfp| mrfp.contexts.is_empty());
    });
}

#[test]
fn without_an_mrfp_a_call_fails_as_it_did() {
    let announced = |file: &mut ControlFile| {
        file.mrf = Some(MrfFile {
            announcements: Some(BTreeMap::from([("404".to_owned(), PromptName::Number(4))])),
            ..MrfFile::default()
        });
    };
    let world = &mut setup(1).with(announced).build();
    world.register(&[0]);
    world.dial(0, "sip:nobody@ims.test");
    assert_eq!(world.expect_refusal(0), 404);
}

#[test]
fn what_a_controller_left_behind_is_subtracted_when_it_reports_itself() {
    let world = &mut setup(1).layout(Layout::OneProcess).build();
    begin(world, &[0]);
    world.dial(0, "sip:conf=1@mrf.ims.test");
    answered(world, 0);
    // The process ended before it heard of this one.
    let name = h248::message::TerminationId::new("ip/1");
    world.act_mrfp(0, |mrfp, now| {
        let mut other = mrfp.terminations().next().unwrap().clone();
        other.name = name.clone();
        mrfp.contexts.insert(99, vec![other]);
        mrfp.report(now, &name, "hangterm/thb");
    });
    wait(world, "it goes, and no other", |mrfp| {
        !mrfp.contexts.contains_key(&99) && mrfp.contexts.len() == 1
    });
}

#[test]
fn calls_with_the_mrfc_go_on_after_a_restart() {
    everywhere(&setup(3), |world| {
        begin(world, &[0, 1, 2]);
        let calls = [0, 1].map(|phone| {
            let call = world.dial(phone, "sip:conf=1@mrf.ims.test");
            answered(world, phone);
            call
        });
        world.dial(2, "sip:annc@mrf.ims.test;play=4");
        answered(world, 2);
        wait(world, "it plays", |mrfp| {
            mrfp.terminations().any(|it| !it.signals.is_empty())
        });
        world.network.run_for(10 * SECOND);
        let contexts = |mrfp: &calls::MrfpHost| -> Vec<(u32, usize)> {
            let each = mrfp.contexts.iter();
            each.map(|(id, members)| (*id, members.len())).collect()
        };
        let before = contexts(world.mrfp(0));
        world.restart(world.scscf);
        world.network.run_for(20 * SECOND);
        assert_eq!(contexts(world.mrfp(0)), before);
        // What is played to its end ends its call.
        world.act_mrfp(0, |mrfp, now| {
            let playing = mrfp.terminations().find(|it| !it.signals.is_empty());
            let name = playing.expect("it plays on").name.clone();
            mrfp.report(now, &name, "g/sc { SigID = an/apf, Meth = TO }");
        });
        world.expect_end(2);
        wait(world, "its context goes", |mrfp| mrfp.contexts.len() == 1);
        // One holds, another comes.
        let modes = |mrfp: &calls::MrfpHost| -> Vec<StreamMode> {
            mrfp.terminations().map(|it| it.mode).collect()
        };
        world
            .act(0, |agent, now| agent.hold(now, calls[0]))
            .unwrap();
        wait(world, "it is held", |mrfp| {
            modes(mrfp).contains(&StreamMode::ReceiveOnly)
        });
        world.network.run_for(40 * SECOND);
        world
            .act(0, |agent, now| agent.resume(now, calls[0]))
            .unwrap();
        wait(world, "it talks again", |mrfp| {
            modes(mrfp) == [StreamMode::SendReceive; 2]
        });
        let third = world.dial(2, "sip:conf=1@mrf.ims.test");
        answered(world, 2);
        wait(world, "three are in it", |mrfp| {
            contexts(mrfp).iter().map(|(_, size)| *size).eq([3])
        });
        for (phone, call) in [calls[0], calls[1], third].into_iter().enumerate() {
            world
                .act(phone, |agent, now| agent.hang_up(now, call))
                .unwrap();
        }
        wait(world, "the context goes", |mrfp| mrfp.contexts.is_empty());
        assert_eq!(world.serving_counter("mrfc.call.released"), 1);
    });
}

#[test]
fn an_announcement_that_ends_while_nobody_hears_of_it_ends_its_call() {
    let world = &mut setup(1).layout(Layout::OneProcess).build();
    begin(world, &[0]);
    world.dial(0, "sip:annc@mrf.ims.test;play=4");
    answered(world, 0);
    wait(world, "it plays", |mrfp| {
        mrfp.terminations().any(|it| !it.signals.is_empty())
    });
    world.network.run_for(10 * SECOND);
    world.act_mrfp(0, |mrfp, _| {
        for member in mrfp.contexts.values_mut().flatten() {
            member.signals.clear();
        }
    });
    world.restart(world.scscf);
    world.expect_end(0);
    wait(world, "the context goes", |mrfp| mrfp.contexts.is_empty());
}

#[test]
fn calls_end_when_the_mrfc_and_its_mrfp_are_killed() {
    let world = &mut setup(2).layout(Layout::OneProcess).build();
    begin(world, &[0, 1]);
    for phone in [0, 1] {
        world.dial(phone, "sip:conf=1@mrf.ims.test");
        answered(world, phone);
    }
    world.network.run_for(10 * SECOND);
    world.stop_mrfp(0);
    world.restart(world.scscf);
    world.start_mrfp(0);
    world.expect_end(0);
    world.expect_end(1);
    world.network.run_for(60 * SECOND);
    assert!(world.mrfp(0).contexts.is_empty());
    world.dial(0, "sip:conf=1@mrf.ims.test");
    answered(world, 0);
}
