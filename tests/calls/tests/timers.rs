//! What ends by itself: calls that nobody answers, answers that nobody acknowledges, sessions that
//! nobody refreshes.

use std::time::Duration;

use calls::{Setup, User, World, everywhere};
use control::config::SessionFile;
use load::ua::{CallId, Cause, Event, Step};
use sip::{HeaderName, Method};

fn pair() -> Setup {
    Setup::new(&[User::Aka, User::Digest])
}

fn seconds(seconds: u64) -> Duration {
    Duration::from_secs(seconds)
}

/// A call from telephone 0 to telephone 1: its name at each end.
fn call(world: &mut World) -> [CallId; 2] {
    world.register(&[0, 1]);
    let outgoing = world.call(0, 1);
    [outgoing, world.established(0, 1)]
}

fn cut_off(world: &mut World, phone: usize) {
    let node = world.phone_node(phone);
    let all = [world.pcscf, world.scscf];
    world.network.cut(&[node], &all);
}

/// Says BYE from the P-CSCF, with a reason, that a telephone heard.
fn released(world: &World, phone: usize) -> usize {
    world.heard(phone, |message| {
        message.is_method(&Method::Bye) && message.has(HeaderName::Reason)
    })
}

#[test]
fn nobody_answers_and_timer_c_ends_the_call() {
    everywhere(&pair(), |world| {
        world.register(&[0, 1]);
        world.policy(1, |policy| policy.incoming = vec![Step::Ring]);
        world.call(0, 1);
        world.expect_progress(0, 180);
        let since = world.network.now();
        let status = world.expect_refusal(0);
        assert!([408, 487].contains(&status), "{status}");
        let took = world.network.now() - since;
        assert!(took > seconds(180) && took < seconds(200), "{took:?}");
        assert_eq!(world.expect_end(1), Cause::Cancelled);
    });
}

#[test]
fn ringing_again_keeps_timer_c_from_ending_the_call() {
    everywhere(&pair(), |world| {
        world.register(&[0, 1]);
        world.policy(1, |policy| {
            // Not reliably: some of them may be lost.
            policy.reliable = load::ua::Reliable::Unsupported;
            let ring = || [Step::Ring, Step::Wait(seconds(20))];
            policy.incoming = (0..15).flat_map(|_| ring()).collect();
            policy.incoming.push(Step::Answer);
        });
        let call = world.call(0, 1);
        world.established(0, 1);
        world.hang_up(0, call, 1);
    });
}

#[test]
fn an_answer_that_is_never_acknowledged_ends_the_call() {
    everywhere(&pair(), |world| {
        world.register(&[0, 1]);
        world.policy(0, |policy| policy.never_ack = true);
        world.call(0, 1);
        assert_eq!(world.expect_end(1), Cause::NoAck);
        assert_eq!(world.expect_end(0), Cause::HungUpThere);
    });
}

#[test]
fn a_refusal_that_is_never_acknowledged_leaves_nothing() {
    everywhere(&pair(), |world| {
        world.register(&[0, 1]);
        world.policy(1, |policy| {
            policy.incoming = vec![Step::Ring, Step::Wait(seconds(2)), Step::Reject(486)];
        });
        let call = world.call(0, 1);
        world.expect_progress(0, 180);
        // The caller is gone before it hears the refusal.
        cut_off(world, 0);
        world.network.run_for(seconds(60));
        assert_eq!(world.expect_refusal(1), 486);
        world.network.run_for(seconds(200));
        world.network.heal();
        // It gives up, though there is nothing left to cancel.
        world.act(0, |agent, now| agent.hang_up(now, call).expect("ringing"));
        assert_eq!(world.expect_end(0), Cause::HungUp);
    });
}

#[test]
fn a_session_lives_for_as_long_as_somebody_refreshes_it() {
    // Who asks for the interval, by which method the refresher refreshes.
    for (asks, by_update) in [(0, true), (0, false), (1, true), (1, false)] {
        everywhere(&pair(), |world| {
            world.policy(asks, |policy| policy.session_expires = Some(240));
            for phone in [0, 1] {
                world.policy(phone, |policy| policy.refresh_by_update = by_update);
            }
            let calls = call(world);
            world.network.run_for(seconds(1500));
            world.check_given_up();
            for phone in [0, 1] {
                let refreshed = world
                    .phone(phone)
                    .events()
                    .iter()
                    .filter(|event| matches!(event, Event::Refreshed { .. }));
                assert!(refreshed.count() >= 10, "telephone {phone}");
            }
            world.hang_up(0, calls[0], 1);
            assert_eq!(world.counter("call.released"), 0);
        });
    }
}

#[test]
fn a_session_that_neither_end_asked_to_watch_is_watched_all_the_same() {
    // The P-CSCF asks for what the telephones do not.
    let setup = pair().with(|file| {
        file.session = Some(SessionFile {
            expires_s: Some(120),
            ..SessionFile::default()
        });
    });
    everywhere(&setup, |world| {
        let calls = call(world);
        world.network.run_for(seconds(400));
        assert!(world.was_told(0, |event| matches!(event, Event::Refreshed { .. })));
        world.hang_up(0, calls[0], 1);
    });
}

#[test]
fn a_telephone_that_dies_is_missed_and_the_other_released() {
    let setup = pair().with(|file| {
        file.session = Some(SessionFile {
            expires_s: Some(120),
            ..SessionFile::default()
        });
    });
    for dies in [0, 1] {
        everywhere(&setup, |world| {
            let _ = call(world);
            cut_off(world, dies);
            world.expect_end(1 - dies);
            world.network.run_for(seconds(300));
            world.network.heal();
            world.expect_end(dies);
        });
    }
}

#[test]
fn telephones_that_both_die_leave_nothing_in_the_network() {
    let setup = pair().with(|file| {
        file.session = Some(SessionFile {
            expires_s: Some(120),
            ..SessionFile::default()
        });
    });
    everywhere(&setup, |world| {
        let _ = call(world);
        for phone in [0, 1] {
            cut_off(world, phone);
        }
        world.network.run_for(seconds(119));
        assert_eq!(world.counter("call.released"), 0);
        world.network.run_for(seconds(200));
        // A leg for each end: one may be ended by the BYE of the other.
        let (released, ended) = (world.counter("call.released"), world.counter("call.ended"));
        assert!(released >= 1 && released + ended == 2);
        world.network.run_for(seconds(400));
    });
}

#[test]
fn the_p_cscf_says_why_it_releases() {
    let setup = pair().with(|file| {
        file.session = Some(SessionFile {
            expires_s: Some(120),
            ..SessionFile::default()
        });
    });
    everywhere(&setup, |world| {
        let _ = call(world);
        // Deaf telephones send no refresh that anybody answers: the P-CSCF's own BYE comes.
        for phone in [0, 1] {
            cut_off(world, phone);
        }
        world.network.run_for(seconds(119));
        world.network.heal();
        world.network.run_for(seconds(60));
        for phone in [0, 1] {
            world.expect_end(phone);
        }
        let heard = released(world, 0) + released(world, 1);
        assert!(heard <= 4, "{heard}");
    });
}

#[test]
fn an_interval_too_brief_is_lengthened() {
    let setup = pair().with(|file| {
        file.session = Some(SessionFile {
            min_se_s: Some(300),
            expires_s: Some(600),
            ..SessionFile::default()
        });
    });
    everywhere(&setup, |world| {
        world.policy(0, |policy| policy.session_expires = Some(120));
        let calls = call(world);
        assert_eq!(
            world.heard(0, |message| message.status() == Some(422)),
            1,
            "the P-CSCF wants more"
        );
        world.network.run_for(seconds(400));
        world.hang_up(0, calls[0], 1);
    });
    // And so does the callee.
    everywhere(&pair(), |world| {
        world.policy(0, |policy| policy.session_expires = Some(90));
        world.policy(1, |policy| policy.min_se = 200);
        let calls = call(world);
        assert!(world.heard(0, |message| message.status() == Some(422)) >= 1);
        world.hang_up(0, calls[0], 1);
    });
}

#[test]
fn a_reliable_response_that_is_never_acknowledged_ends_the_call() {
    everywhere(&pair(), |world| {
        world.register(&[0, 1]);
        world.policy(1, |policy| policy.incoming = vec![Step::Progress]);
        world.call(0, 1);
        // The caller hears nothing of it.
        world.policy(0, |policy| policy.deaf = true);
        assert_eq!(world.expect_end(1), Cause::NoPrack);
        world.expect_end(0);
    });
}
