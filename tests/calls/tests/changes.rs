//! Changes of a call that is up: hold and resume, refusals, glare, late offers.

use std::time::Duration;

use calls::{Setup, User, World, everywhere};
use load::ua::{CallId, Event, Reliable, Step};
use sdp::Direction::{self, Inactive, RecvOnly, SendOnly, SendRecv};
use sip::Method;

fn pair() -> Setup {
    Setup::new(&[User::Aka, User::Digest])
}

/// A call from telephone 0 to telephone 1: its name at each end.
fn call(world: &mut World) -> [CallId; 2] {
    world.register(&[0, 1]);
    let outgoing = world.call(0, 1);
    [outgoing, world.established(0, 1)]
}

fn change_refused(world: &mut World, phone: usize) -> u16 {
    let refused = |event: &Event| matches!(event, Event::ChangeRefused { .. });
    match world.expect(phone, "that its change was refused", refused) {
        Event::ChangeRefused { status, .. } => status,
        _ => unreachable!("it is what was expected"),
    }
}

fn update(world: &mut World, phone: usize, call: CallId, direction: Direction) {
    world.act(phone, |agent, now| {
        agent.update(now, call, direction).expect("established")
    });
}

#[test]
fn either_end_holds_the_other_and_takes_it_back() {
    for holder in [0, 1] {
        everywhere(&pair(), |world| {
            let calls = call(world);
            let other = 1 - holder;
            for _ in 0..2 {
                world.act(holder, |agent, now| {
                    agent.hold(now, calls[holder]).expect("established")
                });
                world.expect_direction(holder, SendOnly);
                world.expect_direction(other, RecvOnly);
                world.network.run_for(Duration::from_secs(1));
                world.act(holder, |agent, now| {
                    agent.resume(now, calls[holder]).expect("established")
                });
                world.expect_direction(holder, SendRecv);
                world.expect_direction(other, SendRecv);
                world.network.run_for(Duration::from_secs(1));
            }
            world.hang_up(other, calls[other], holder);
            assert_eq!(world.counter("call.ended"), 2);
        });
    }
}

#[test]
fn both_ends_hold_each_other() {
    everywhere(&pair(), |world| {
        let calls = call(world);
        world.act(0, |agent, now| {
            agent.hold(now, calls[0]).expect("established")
        });
        world.expect_direction(1, RecvOnly);
        world.network.run_for(Duration::from_secs(2));
        update(world, 1, calls[1], Inactive);
        world.expect_direction(0, Inactive);
        world.expect_direction(1, Inactive);
        world.hang_up(0, calls[0], 1);
    });
}

#[test]
fn update_changes_a_call_from_either_end() {
    for changer in [0, 1] {
        everywhere(&pair(), |world| {
            let calls = call(world);
            update(world, changer, calls[changer], SendOnly);
            world.expect_direction(1 - changer, RecvOnly);
            world.expect_direction(changer, SendOnly);
            update(world, changer, calls[changer], SendRecv);
            world.expect_direction(1 - changer, SendRecv);
            world.expect_direction(changer, SendRecv);
            world.hang_up(changer, calls[changer], 1 - changer);
        });
    }
}

#[test]
fn a_refused_change_leaves_the_call_as_it_was() {
    for method in [Method::Invite, Method::Update] {
        everywhere(&pair(), |world| {
            let calls = call(world);
            world.policy(1, |policy| policy.refuse_changes = Some(488));
            world.act(0, |agent, now| match method {
                Method::Invite => agent.hold(now, calls[0]).expect("established"),
                _ => agent.update(now, calls[0], SendOnly).expect("established"),
            });
            assert_eq!(change_refused(world, 0), 488);
            world.network.run_for(Duration::from_secs(5));
            // The other way it works, and nothing of the refused offer is left.
            world.act(1, |agent, now| {
                agent.hold(now, calls[1]).expect("established")
            });
            world.expect_direction(0, RecvOnly);
            world.hang_up(1, calls[1], 0);
            assert_eq!(world.counter("call.failed"), 0);
        });
    }
}

#[test]
fn changes_that_meet_are_tried_again() {
    everywhere(&pair(), |world| {
        let calls = call(world);
        for phone in [0, 1] {
            world.act(phone, |agent, now| {
                agent.hold(now, calls[phone]).expect("established")
            });
        }
        // Each holds the other in the end.
        for phone in [0, 1] {
            world.expect_direction(phone, Inactive);
        }
        world.network.run_for(Duration::from_secs(10));
        world.hang_up(0, calls[0], 1);
    });
}

#[test]
fn updates_that_meet_do_not_end_the_call() {
    everywhere(&pair(), |world| {
        let calls = call(world);
        for phone in [0, 1] {
            update(world, phone, calls[phone], SendOnly);
        }
        world.network.run_for(Duration::from_secs(10));
        world.hang_up(0, calls[0], 1);
    });
}

#[test]
fn the_offer_comes_late() {
    // In 200 and its answer in ACK, and reliably in 183 and its answer in PRACK.
    for incoming in [
        vec![Step::Ring, Step::Answer],
        vec![
            Step::Progress,
            Step::Wait(Duration::from_secs(3)),
            Step::Answer,
        ],
    ] {
        for reliable in [Reliable::Unsupported, Reliable::Supported] {
            everywhere(&pair(), |world| {
                world.register(&[0, 1]);
                world.policy(0, |policy| policy.early_offer = false);
                for phone in [0, 1] {
                    world.policy(phone, |policy| policy.reliable = reliable);
                }
                world.policy(1, |policy| policy.incoming.clone_from(&incoming));
                let call = world.call(0, 1);
                let there = world.established(0, 1);
                for phone in [0, 1] {
                    assert!(world.was_told(phone, |event| {
                        matches!(event, Event::Media { agreed, .. } if agreed.direction == SendRecv)
                    }));
                }
                world.network.run_for(Duration::from_secs(2));
                world.act(1, |agent, now| agent.hold(now, there).expect("established"));
                world.expect_direction(0, RecvOnly);
                world.hang_up(0, call, 1);
            });
        }
    }
}
