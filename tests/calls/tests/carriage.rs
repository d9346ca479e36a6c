//! Calls with H.248 in every encoding over every transport, and connections that break under them.

use std::time::Duration;

use calls::{Setup, User, World, everywhere, in_both};
use load::ua::CallId;

const TCP: [&str; 2] = ["ber,tcp", "compact,tcp"];

fn pair() -> Setup {
    Setup::new(&[User::Aka, User::Digest]).anchored()
}

fn seconds(seconds: u64) -> Duration {
    Duration::from_secs(seconds)
}

fn call(world: &mut World) -> [CallId; 2] {
    world.register(&[0, 1]);
    let outgoing = world.call(0, 1);
    [outgoing, world.established(0, 1)]
}

/// Contexts that the controller has, and those that the gateway has.
fn contexts(world: &World) -> (usize, usize) {
    let now = world.network.now();
    let status = world.control(world.pcscf).status(now);
    (status.contexts, world.gateway(0).status().contexts)
}

fn assert_heard(world: &mut World, calls: [CallId; 2]) {
    for phone in [0, 1] {
        world.set_talking(phone, calls[phone], false);
    }
    world.network.run_for(Duration::from_millis(500));
    let reports = [0, 1].map(|phone| world.phone(phone).report(calls[phone]));
    for (report, other) in [(reports[0], reports[1]), (reports[1], reports[0])] {
        assert_eq!(report.received, other.sent, "{report:?}");
    }
}

#[test]
fn calls_are_heard_in_every_encoding_over_every_transport() {
    for h248 in [
        "pretty,udp",
        "ber,udp",
        "pretty,tcp",
        "compact,tcp",
        "ber,tcp",
    ] {
        everywhere(&pair().h248(h248).compared(), |world| {
            let calls = call(world);
            world.network.run_for(seconds(2));
            world.hang_up(0, calls[0], 1);
        });
    }
}

#[test]
fn a_call_outlives_control_while_its_gateway_has_no_connection() {
    for h248 in TCP {
        for down in [seconds(1), seconds(10), seconds(50)] {
            in_both(&pair().h248(h248).audible(), |world| {
                let calls = call(world);
                world.network.run_for(seconds(5));
                let node = world.pcscf;
                world.kill(node);
                world.network.run_for(down);
                world.revive();
                world.network.run_for(seconds(15));
                assert_eq!(contexts(world), (1, 1), "{h248} after {down:?}");
                assert_heard(world, calls);
                world.hang_up(0, calls[0], 1);
                world.network.run_for(seconds(2));
                assert_eq!(contexts(world), (0, 0));
                assert_eq!(world.counter("media.lost"), 0);
            });
        }
    }
}

#[test]
fn a_link_cut_for_less_than_the_timers_costs_nothing() {
    for h248 in TCP {
        for down in [1, 5, 15] {
            in_both(&pair().h248(h248).audible(), |world| {
                let calls = call(world);
                let (gateway, control) = (world.gateway_node(0), world.pcscf);
                world.network.cut(&[gateway], &[control]);
                world.network.run_for(seconds(down));
                world.network.heal();
                world.network.run_for(seconds(10));
                assert_eq!(contexts(world), (1, 1), "{h248} after {down} s");
                assert_heard(world, calls);
                world.hang_up(1, calls[1], 0);
            });
        }
    }
}

#[test]
fn a_link_cut_for_longer_than_the_timers_leaves_nothing_on_either_side() {
    for h248 in TCP {
        in_both(&pair().h248(h248).audible(), |world| {
            call(world);
            let (gateway, control) = (world.gateway_node(0), world.pcscf);
            world.network.cut(&[gateway], &[control]);
            for phone in [0, 1] {
                world.expect_end(phone);
            }
            world.network.heal();
            world.network.run_for(seconds(60));
            assert_eq!(contexts(world), (0, 0));
            let call = world.call(0, 1);
            world.established(0, 1);
            world.hang_up(0, call, 1);
        });
    }
}

#[test]
fn a_connection_that_breaks_at_any_step_of_the_set_up_leaves_both_sides_agreed() {
    for after_ms in (0..130).step_by(7) {
        in_both(&pair().h248("ber,tcp"), |world| {
            world.register(&[0, 1]);
            world.call(0, 1);
            world.network.run_for(Duration::from_millis(after_ms));
            // The host of the gateway keeps running, and so does its call.
            let (gateway, control) = (world.gateway_node(0), world.pcscf);
            world.network.break_streams(gateway, control);
            world.network.run_for(seconds(30));
            let (known, held) = contexts(world);
            assert_eq!(known, held, "after {after_ms} ms");
            world.established(0, 1);
            for phone in [0, 1] {
                let left: Vec<_> = world.phone(phone).phone().agent().calls().collect();
                for call in left {
                    world.act(phone, |agent, now| agent.hang_up(now, call).is_ok());
                }
            }
            world.network.run_for(seconds(60));
            assert_eq!(contexts(world), (0, 0));
        });
    }
}
