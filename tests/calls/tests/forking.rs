//! A user with several telephones: all ring, one answers; by preference; and what the caller hears
//! when none does.

use std::time::Duration;

use calls::{Setup, User, World, everywhere};
use load::ua::{Cause, Event, Step};

/// User 0 has this telephone and calls user 1, who has the next two.
const CALLER: usize = 0;
const FIRST: usize = 1;
const SECOND: usize = 2;

fn setup() -> Setup {
    Setup::new(&[User::Aka, User::Digest])
}

/// Registers the three; what those of user 1 do when called.
fn register(world: &mut World, first: Vec<Step>, second: Vec<Step>) {
    register_by_preference(world, None, first, second);
}

/// The same; the second telephone with this preference, the first with the highest.
fn register_by_preference(world: &mut World, q: Option<u16>, first: Vec<Step>, second: Vec<Step>) {
    let phone = world.add_phone(1, User::Digest, 10, |config| config.q = q);
    assert_eq!(phone, SECOND);
    world.register(&[CALLER, FIRST, SECOND]);
    world.policy(FIRST, |policy| policy.incoming = first);
    world.policy(SECOND, |policy| policy.incoming = second);
}

fn wait(seconds: u64) -> Step {
    Step::Wait(Duration::from_secs(seconds))
}

fn rang(world: &World, phone: usize) -> bool {
    world.was_told(phone, |event| matches!(event, Event::Incoming { .. }))
}

#[test]
fn all_ring_and_one_answers() {
    for (answers, other) in [(FIRST, SECOND), (SECOND, FIRST)] {
        everywhere(&setup(), |world| {
            register(world, vec![Step::Ring], vec![Step::Ring]);
            world.policy(answers, |policy| {
                policy.incoming = vec![Step::Ring, wait(5), Step::Answer];
            });
            let call = world.call(CALLER, 1);
            world.established(CALLER, answers);
            assert_eq!(world.expect_end(other), Cause::Cancelled);
            world.network.run_for(Duration::from_secs(1));
            world.hang_up(CALLER, call, answers);
            assert_eq!(world.counter("call.attempted"), 3);
        });
    }
}

#[test]
fn two_answers_at_once_leave_one_call() {
    everywhere(&setup(), |world| {
        register(world, vec![Step::Answer], vec![Step::Answer]);
        let call = world.call(CALLER, 1);
        world.expect(CALLER, "established", |event| {
            matches!(event, Event::Established { .. })
        });
        world.network.run_for(Duration::from_secs(60));
        // One of the two was hung up on at once, or cancelled in time.
        let live = [FIRST, SECOND]
            .into_iter()
            .filter(|&phone| world.phone(phone).phone().agent().calls().next().is_some())
            .collect::<Vec<_>>();
        assert_eq!(live.len(), 1, "{live:?}");
        world.hang_up(CALLER, call, live[0]);
    });
}

#[test]
fn a_busy_telephone_does_not_keep_the_other_from_answering() {
    everywhere(&setup(), |world| {
        let late = vec![Step::Ring, wait(3), Step::Answer];
        register(world, vec![Step::Reject(486)], late);
        let call = world.call(CALLER, 1);
        world.established(CALLER, SECOND);
        world.hang_up(CALLER, call, SECOND);
    });
}

#[test]
fn the_caller_hears_the_best_of_all_refusals() {
    // RFC 3261 16.7 step 6: 6xx before all, then the lowest class; 503 is not passed on.
    for (first, second, heard) in [
        (486, 486, 486),
        (486, 600, 600),
        (302, 486, 302),
        (500, 404, 404),
        (503, 404, 404),
        (503, 503, 500),
        (408, 486, 486),
    ] {
        everywhere(&setup(), |world| {
            let reject = |status| vec![Step::Ring, Step::Reject(status)];
            register(world, reject(first), reject(second));
            world.call(CALLER, 1);
            assert_eq!(world.expect_refusal(CALLER), heard);
        });
    }
}

#[test]
fn one_who_declines_does_so_for_all() {
    everywhere(&setup(), |world| {
        let declines = vec![Step::Ring, wait(2), Step::Reject(603)];
        register(world, declines, vec![Step::Ring]);
        world.call(CALLER, 1);
        assert_eq!(world.expect_refusal(CALLER), 603);
        assert_eq!(world.expect_end(SECOND), Cause::Cancelled);
    });
}

#[test]
fn the_caller_gives_up_while_both_ring() {
    everywhere(&setup(), |world| {
        register(world, vec![Step::Ring], vec![Step::Ring]);
        let call = world.call(CALLER, 1);
        for phone in [FIRST, SECOND] {
            world.expect(phone, "a call", |event| {
                matches!(event, Event::Incoming { .. })
            });
        }
        world.network.run_for(Duration::from_secs(1));
        world.act(CALLER, |agent, now| {
            agent.hang_up(now, call).expect("ringing")
        });
        for phone in [FIRST, SECOND] {
            assert_eq!(world.expect_end(phone), Cause::Cancelled);
        }
        assert_eq!(world.expect_end(CALLER), Cause::HungUp);
    });
}

#[test]
fn the_less_preferred_rings_only_when_the_other_does_not_answer() {
    everywhere(&setup(), |world| {
        let busy = vec![Step::Ring, wait(2), Step::Reject(486)];
        let answers = vec![Step::Ring, Step::Answer];
        register_by_preference(world, Some(500), busy, answers);
        let call = world.call(CALLER, 1);
        world.established(CALLER, SECOND);
        world.hang_up(CALLER, call, SECOND);
    });
}

#[test]
fn the_less_preferred_does_not_ring_when_the_other_answers_or_declines() {
    for step in [Step::Answer, Step::Reject(603)] {
        everywhere(&setup(), |world| {
            let steps = vec![Step::Ring, step.clone()];
            register_by_preference(world, Some(500), steps, vec![Step::Ring]);
            let call = world.call(CALLER, 1);
            if step == Step::Answer {
                world.established(CALLER, FIRST);
                world.hang_up(CALLER, call, FIRST);
            } else {
                assert_eq!(world.expect_refusal(CALLER), 603);
            }
            assert!(!rang(world, SECOND));
        });
    }
}

#[test]
fn refusals_of_the_more_preferred_count_in_the_end() {
    everywhere(&setup(), |world| {
        let (first, second) = (vec![Step::Reject(486)], vec![Step::Reject(500)]);
        register_by_preference(world, Some(500), first, second);
        world.call(CALLER, 1);
        assert_eq!(world.expect_refusal(CALLER), 486);
        assert!(rang(world, SECOND));
    });
}

#[test]
fn the_caller_gives_up_before_the_less_preferred_has_rung() {
    everywhere(&setup(), |world| {
        register_by_preference(world, Some(500), vec![Step::Ring], vec![Step::Ring]);
        let call = world.call(CALLER, 1);
        world.expect_progress(CALLER, 180);
        world.act(CALLER, |agent, now| {
            agent.hang_up(now, call).expect("ringing")
        });
        assert_eq!(world.expect_end(FIRST), Cause::Cancelled);
        assert!(!rang(world, SECOND));
    });
}

#[test]
fn a_telephone_that_is_dead_does_not_keep_the_other_from_answering() {
    everywhere(&setup(), |world| {
        let late = vec![Step::Ring, wait(20), Step::Answer];
        register(world, vec![Step::Ring], late);
        world.policy(FIRST, |policy| policy.deaf = true);
        let call = world.call(CALLER, 1);
        world.established(CALLER, SECOND);
        world.network.run_for(Duration::from_secs(200));
        world.hang_up(CALLER, call, SECOND);
    });
}
