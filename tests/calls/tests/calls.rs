//! Calls between registered users: how they are set up and how they end.

use std::time::Duration;

use calls::{REALM, Setup, User, everywhere};
use load::ua::{Cause, Event, Reliable, Step};

fn pair() -> Setup {
    Setup::new(&[User::Aka, User::Digest])
}

#[test]
fn a_call_is_set_up_and_ended_by_either_end() {
    for hangs_up in [0, 1] {
        everywhere(&pair(), |world| {
            world.register(&[0, 1]);
            let outgoing = world.call(0, 1);
            let incoming = world.established(0, 1);
            world.network.run_for(Duration::from_secs(2));
            let call = [outgoing, incoming][hangs_up];
            world.hang_up(hangs_up, call, 1 - hangs_up);
            assert_eq!(world.counter("call.answered"), 2, "a leg for each end");
            assert_eq!(world.counter("call.ended"), 2);
        });
    }
}

#[test]
fn the_callee_is_told_who_calls_and_the_caller_who_answers() {
    everywhere(&pair(), |world| {
        world.register(&[0, 1]);
        let call = world.call(0, 1);
        world.established(0, 1);
        let asserted = world.was_told(1, |event| {
            matches!(event, Event::Incoming { asserted: Some(uri), .. }
                if *uri == format!("sip:user0@{REALM}"))
        });
        assert!(asserted, "{:#?}", world.phone(1).events());
        world.hang_up(0, call, 1);
    });
}

#[test]
fn a_refused_call_ends_with_the_status_of_the_callee() {
    for status in [
        301, 302, 380, 400, 404, 408, 410, 480, 486, 488, 500, 503, 580, 600, 603, 606,
    ] {
        everywhere(&pair(), |world| {
            world.register(&[0, 1]);
            world.policy(1, |policy| {
                policy.incoming = vec![Step::Ring, Step::Reject(status)];
            });
            world.call(0, 1);
            // RFC 3261 16.7 step 6: a 503 is not passed on as such.
            let expected = if status == 503 { 500 } else { status };
            assert_eq!(world.expect_refusal(0), expected);
            assert_eq!(world.counter("call.failed"), 2);
        });
    }
}

#[test]
fn a_busy_callee_is_heard_over_a_rough_network() {
    everywhere(&pair(), |world| {
        world.register(&[0, 1]);
        world.policy(1, |policy| {
            policy.incoming = vec![Step::Ring, Step::Reject(486)];
        });
        world.call(0, 1);
        assert_eq!(world.expect_refusal(0), 486);
    });
}

#[test]
fn early_media_and_ringing_come_with_and_without_prack() {
    for reliable in [
        Reliable::Unsupported,
        Reliable::Supported,
        Reliable::Required,
    ] {
        everywhere(&pair(), |world| {
            world.register(&[0, 1]);
            for phone in [0, 1] {
                let required = phone == 0 || reliable != Reliable::Required;
                world.policy(phone, |policy| {
                    policy.reliable = if required {
                        reliable
                    } else {
                        Reliable::Supported
                    };
                    let pause = Step::Wait(Duration::from_secs(3));
                    policy.incoming = vec![
                        Step::Progress,
                        pause.clone(),
                        Step::Ring,
                        pause,
                        Step::Answer,
                    ];
                });
            }
            let call = world.call(0, 1);
            if reliable != Reliable::Unsupported {
                world.expect(0, "early media", |event| {
                    matches!(event, Event::Media { early: true, .. })
                });
                world.expect_progress(0, 180);
            }
            world.established(0, 1);
            world.hang_up(0, call, 1);
        });
    }
}

#[test]
fn the_caller_gives_up_while_it_rings() {
    everywhere(&pair(), |world| {
        world.register(&[0, 1]);
        world.policy(1, |policy| policy.incoming = vec![Step::Ring]);
        let call = world.call(0, 1);
        world.expect_progress(0, 180);
        world.act(0, |agent, now| agent.hang_up(now, call).expect("ringing"));
        assert_eq!(world.expect_end(0), Cause::HungUp);
        assert_eq!(world.expect_end(1), Cause::Cancelled);
        assert_eq!(world.counter("call.failed"), 2);
    });
}

#[test]
fn the_caller_gives_up_before_anything_is_heard() {
    everywhere(&pair(), |world| {
        world.register(&[0, 1]);
        world.policy(1, |policy| policy.incoming = vec![Step::Ring]);
        let call = world.call(0, 1);
        world.act(0, |agent, now| agent.hang_up(now, call).expect("dialling"));
        assert_eq!(world.expect_end(0), Cause::HungUp);
    });
}

#[test]
fn a_cancel_that_crosses_the_answer_ends_the_call_by_bye() {
    everywhere(&pair(), |world| {
        world.register(&[0, 1]);
        world.policy(1, |policy| {
            policy.incoming = vec![Step::Ring, Step::Wait(Duration::from_secs(2)), Step::Answer];
        });
        let call = world.call(0, 1);
        world.expect_progress(0, 180);
        // The answer leaves while the CANCEL is on its way.
        let rung = world.network.now();
        world.network.run_until(rung + Duration::from_millis(1980));
        world.act(0, |agent, now| agent.hang_up(now, call).expect("ringing"));
        assert_eq!(world.expect_end(0), Cause::HungUp);
        world.expect_end(1);
    });
}

#[test]
fn one_telephone_has_many_calls_with_another() {
    everywhere(&pair(), |world| {
        world.register(&[0, 1]);
        let calls: Vec<_> = (0..5).map(|_| world.call(0, 1)).collect();
        for phone in [0, 1].repeat(calls.len()) {
            world.expect(phone, "established", |event| {
                matches!(event, Event::Established { .. })
            });
        }
        assert_eq!(
            world
                .control(world.pcscf)
                .status(world.network.now())
                .dialogs,
            10
        );
        for call in calls {
            world.hang_up(0, call, 1);
        }
    });
}
