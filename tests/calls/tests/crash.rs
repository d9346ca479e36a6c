//! Processes that are killed: what goes on, what is taken up again, what is ended, and that nothing
//! is left over.

use std::time::Duration;

use base::Entropy;
use calls::{Layout, Setup, User, World, in_both};
use load::ua::{CallId, Cause, Event};
use sdp::Direction::{RecvOnly, SendOnly, SendRecv};
use sip::{HeaderName, Method};

fn pair() -> Setup {
    Setup::new(&[User::Aka, User::Digest]).anchored()
}

fn apart() -> Setup {
    pair().with(|file| {
        let media = file.media.get_or_insert_default();
        media.realms_connected = Some(false);
    })
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

/// Contexts that the controller has, and those that the gateway has.
fn contexts(world: &World) -> (usize, usize) {
    let now = world.network.now();
    (
        world.control(world.pcscf).status(now).contexts,
        world.gateway(0).status().contexts,
    )
}

/// Dialogs at the P-CSCF, a leg each.
fn dialogs(world: &World) -> usize {
    let now = world.network.now();
    world.control(world.pcscf).status(now).dialogs
}

/// Ends the process with the P-CSCF, and starts it again after a while.
fn kill_control(world: &mut World, down: Duration) {
    let node = world.pcscf;
    world.kill(node);
    world.network.run_for(down);
    world.revive();
}

/// BYEs with a Reason that a telephone heard.
fn reasons(world: &World, phone: usize) -> Vec<String> {
    let heard = world.phone(phone).heard().iter();
    let byes = heard.filter(|message| message.is_method(&Method::Bye));
    byes.filter_map(|bye| bye.header(HeaderName::Reason).map(str::to_owned))
        .collect()
}

fn hold_and_resume(world: &mut World, holder: usize, calls: [CallId; 2]) {
    let other = 1 - holder;
    world.act(holder, |agent, now| {
        agent.hold(now, calls[holder]).expect("established")
    });
    world.expect_direction(holder, SendOnly);
    world.expect_direction(other, RecvOnly);
    world.network.run_for(seconds(1));
    world.act(holder, |agent, now| {
        agent
            .update(now, calls[holder], SendRecv)
            .expect("established")
    });
    world.expect_direction(holder, SendRecv);
    world.expect_direction(other, SendRecv);
}

/// Every packet that was said was heard.
fn assert_heard(world: &mut World, calls: [CallId; 2]) {
    for phone in [0, 1] {
        world.set_talking(phone, calls[phone], false);
    }
    world.network.run_for(Duration::from_millis(500));
    let reports = [0, 1].map(|phone| world.phone(phone).report(calls[phone]));
    for (report, other) in [(reports[0], reports[1]), (reports[1], reports[0])] {
        assert_eq!(report.received, other.sent, "{report:?}");
        assert_eq!((report.lost, report.duplicates, report.refused), (0, 0, 0));
    }
}

// ---- control ----

#[test]
fn a_call_goes_on_without_control_and_is_taken_up_again() {
    for setup in [pair(), apart()] {
        for down in [seconds(3), seconds(50)] {
            in_both(&setup.clone().audible(), |world| {
                let calls = call(world);
                let before = contexts(world);
                world.network.run_for(seconds(5));
                kill_control(world, down);
                world.network.run_for(seconds(5));
                assert_eq!((contexts(world), dialogs(world)), (before, 2));
                assert_heard(world, calls);
                let drops = world.drops();
                assert!(drops.is_empty(), "{drops:?}");
                world.hang_up(0, calls[0], 1);
                world.network.run_for(seconds(2));
                assert_eq!(contexts(world), (0, 0));
                assert_eq!(world.counter("call.ended"), 2);
                assert_eq!(world.counter("media.lost"), 0);
            });
        }
    }
}

#[test]
fn either_end_changes_and_ends_a_call_that_was_taken_up() {
    for setup in [pair(), apart(), Setup::new(&[User::Aka, User::Digest])] {
        for changer in [0, 1] {
            for hanger in [0, 1] {
                in_both(&setup, |world| {
                    let calls = call(world);
                    world.network.run_for(seconds(1));
                    kill_control(world, seconds(1));
                    world.network.run_for(seconds(1));
                    hold_and_resume(world, changer, calls);
                    // And once more, from what was changed meanwhile.
                    kill_control(world, seconds(1));
                    hold_and_resume(world, 1 - changer, calls);
                    world.hang_up(hanger, calls[hanger], 1 - hanger);
                    assert_eq!(world.counter("call.released"), 0);
                });
            }
        }
    }
}

#[test]
fn a_call_is_taken_up_on_hold_and_in_the_middle_of_a_change() {
    for after_ms in (0..120).step_by(13) {
        in_both(&pair().audible(), |world| {
            let calls = call(world);
            world.network.run_for(seconds(2));
            world.act(0, |agent, now| {
                agent.hold(now, calls[0]).expect("established")
            });
            world.network.run_for(Duration::from_millis(after_ms));
            kill_control(world, seconds(1));
            world.network.run_for(seconds(40));
            assert_eq!((contexts(world), dialogs(world)), ((1, 1), 2), "{after_ms}");
            world.hang_up(1, calls[1], 0);
        });
    }
}

#[test]
fn requests_of_the_network_come_after_those_of_the_ends() {
    in_both(&pair(), |world| {
        let calls = call(world);
        // More than the journal is told of.
        for _ in 0..60 {
            world.act(0, |agent, now| {
                agent.update(now, calls[0], SendRecv).expect("established")
            });
            world.network.run_for(Duration::from_millis(200));
        }
        kill_control(world, seconds(1));
        world.stop_gateway(0);
        for phone in [0, 1] {
            assert_eq!(world.expect_end(phone), Cause::HungUpThere);
        }
        world.start_gateway(0);
        world.network.run_for(seconds(2));
        for phone in [0, 1] {
            let text = "SIP;cause=503;text=\"Media gateway lost\"";
            assert_eq!(reasons(world, phone), [text]);
        }
        assert_eq!(world.counter("call.released"), 1);
    });
}

#[test]
fn a_session_that_nobody_refreshes_ends_after_a_restart_too() {
    in_both(&pair(), |world| {
        call(world);
        kill_control(world, seconds(1));
        let phones = [0, 1].map(|phone| world.phone_node(phone));
        let control = world.pcscf;
        world.network.cut(&phones, &[control]);
        world.network.run_for(seconds(2000));
        assert_eq!((contexts(world), dialogs(world)), ((0, 0), 0));
        world.network.heal();
    });
}

#[test]
fn a_crash_at_any_step_of_the_set_up_leaves_nothing_and_takes_nothing_confirmed() {
    for setup in [pair(), apart()] {
        for layout in Layout::ALL {
            for after_ms in (0..130).step_by(3) {
                let mut world = setup.clone().layout(layout).build();
                world.register(&[0, 1]);
                world.call(0, 1);
                world.network.run_for(Duration::from_millis(after_ms));
                let was_up = [0, 1].map(|phone| {
                    world.was_told(phone, |event| matches!(event, Event::Established { .. }))
                });
                kill_control(&mut world, Duration::from_millis(500));
                world.network.run_for(seconds(60));
                let where_it_was = format!("{layout:?} after {after_ms} ms");
                let legs = dialogs(&world);
                let (known, held) = contexts(&world);
                assert_eq!(known, held, "{where_it_was}");
                assert_eq!(known > 0, legs > 0, "{where_it_was}");
                if was_up == [true, true] {
                    assert_eq!(legs, 2, "{where_it_was}");
                }
                for phone in [0, 1] {
                    let left: Vec<_> = world.phone(phone).phone().agent().calls().collect();
                    for call in left {
                        world.act(phone, |agent, now| agent.hang_up(now, call).is_ok());
                    }
                }
                world.assert_clean();
            }
        }
    }
}

// ---- media ----

#[test]
fn calls_end_with_their_media_process_and_new_ones_work_when_it_is_back() {
    for down in [None, Some(seconds(5)), Some(seconds(60))] {
        in_both(&pair().audible(), |world| {
            call(world);
            world.network.run_for(seconds(2));
            world.stop_gateway(0);
            world.network.run_for(down.unwrap_or_default());
            world.start_gateway(0);
            world.network.run_for(seconds(2));
            for phone in [0, 1] {
                assert_eq!(world.expect_end(phone), Cause::HungUpThere);
                let text = "SIP;cause=503;text=\"Media gateway lost\"";
                assert_eq!(reasons(world, phone), [text]);
            }
            assert_eq!(world.counter("media.lost"), 1);
            let outgoing = world.call(0, 1);
            let calls = [outgoing, world.established(0, 1)];
            world.network.run_for(seconds(2));
            assert_heard(world, calls);
            world.hang_up(0, calls[0], 1);
        });
    }
}

#[test]
fn a_media_process_that_is_killed_while_it_starts_is_back_at_once() {
    for apart_ms in [5, 40, 300, 700] {
        in_both(&pair(), |world| {
            world.register(&[0, 1]);
            for _ in 0..4 {
                world.stop_gateway(0);
                world.start_gateway(0);
                world.network.run_for(Duration::from_millis(apart_ms));
            }
            world.network.run_for(seconds(1));
            let call = world.call(0, 1);
            world.established(0, 1);
            world.hang_up(0, call, 1);
        });
    }
}

#[test]
fn when_both_are_killed_confirmed_calls_are_released() {
    for (control_down, media_down) in [(0, 0), (1, 3), (3, 1), (2, 40), (40, 2)] {
        in_both(&pair().audible(), |world| {
            call(world);
            world.network.run_for(seconds(2));
            let node = world.pcscf;
            world.kill(node);
            world.stop_gateway(0);
            let first = control_down.min(media_down);
            let second = control_down.max(media_down) - first;
            world.network.run_for(seconds(first));
            if control_down <= media_down {
                world.revive();
            } else {
                world.start_gateway(0);
            }
            world.network.run_for(seconds(second));
            if control_down <= media_down {
                world.start_gateway(0);
            } else {
                world.revive();
            }
            for phone in [0, 1] {
                assert_eq!(world.expect_end(phone), Cause::HungUpThere);
                assert_eq!(reasons(world, phone).len(), 1);
            }
            world.network.run_for(seconds(30));
            assert_eq!((contexts(world), dialogs(world)), ((0, 0), 0));
            let calls = call(world);
            world.network.run_for(seconds(2));
            assert_heard(world, calls);
            world.hang_up(0, calls[0], 1);
        });
    }
}

#[test]
fn a_link_cut_for_longer_than_the_timers_ends_the_calls_and_leaves_nothing() {
    in_both(&pair().audible(), |world| {
        call(world);
        let (gateway, control) = (world.gateway_node(0), world.pcscf);
        world.network.cut(&[gateway], &[control]);
        for phone in [0, 1] {
            assert_eq!(world.expect_end(phone), Cause::HungUpThere);
        }
        world.network.heal();
        world.network.run_for(seconds(60));
        assert_eq!((contexts(world), dialogs(world)), ((0, 0), 0));
        let call = world.call(0, 1);
        world.established(0, 1);
        world.hang_up(0, call, 1);
    });
}

// ---- under load ----

/// Telephones that call each other, hold and hang up at random.
struct Crowd {
    entropy: Entropy,
    phones: usize,
}

impl Crowd {
    /// Lets each telephone do something or nothing.
    fn stir(&mut self, world: &mut World) {
        for phone in 0..self.phones {
            let calls: Vec<_> = world.phone(phone).phone().agent().calls().collect();
            let other = self.entropy.below(self.phones as u64) as usize;
            match calls.first() {
                None if other != phone && self.entropy.chance(200) => {
                    // Without a free port or a registration it does not.
                    let target = format!("sip:{}", calls::identity(other));
                    world.act(phone, |agent, now| agent.call(now, &target).is_ok());
                }
                Some(&call) if self.entropy.chance(60) => {
                    world.act(phone, |agent, now| agent.hang_up(now, call).is_ok());
                }
                Some(&call) if self.entropy.chance(60) => {
                    world.act(phone, |agent, now| agent.hold(now, call).is_ok());
                }
                _ => {}
            }
        }
    }

    /// Has everybody hang up whatever they have.
    fn disperse(&self, world: &mut World) {
        for phone in 0..self.phones {
            let calls: Vec<_> = world.phone(phone).phone().agent().calls().collect();
            for call in calls {
                world.act(phone, |agent, now| agent.hang_up(now, call).is_ok());
            }
        }
    }
}

#[derive(Clone, Copy, Debug)]
enum Victim {
    Control,
    Media,
    Both,
}

/// Kills processes at random moments while telephones call each other. A minute after the last one
/// came back nothing is left that no telephone knows of.
fn kill_at_random(setup: &Setup, seed: u64, kills: usize, victims: &[Victim]) {
    eprintln!("{:?}, rough {}, seed {seed}", setup.layout, setup.rough);
    let users = [User::Digest; 6];
    let mut setup = setup.clone();
    setup.users = users.to_vec();
    setup.seed = seed;
    let mut world = setup.build();
    let phones: Vec<usize> = (0..users.len()).collect();
    world.register(&phones);
    let mut crowd = Crowd {
        entropy: Entropy::from_u64(seed),
        phones: users.len(),
    };
    let mut taken_up = 0;
    for _ in 0..kills {
        for _ in 0..10 + crowd.entropy.below(20) {
            crowd.stir(&mut world);
            world.network.run_for(Duration::from_millis(100));
        }
        let moment = Duration::from_micros(crowd.entropy.below(200_000));
        crowd.stir(&mut world);
        world.network.run_for(moment);
        let victim = victims[crowd.entropy.below(victims.len() as u64) as usize];
        let down = Duration::from_millis(crowd.entropy.below(3000));
        let node = world.pcscf;
        if matches!(victim, Victim::Control | Victim::Both) {
            world.kill(node);
        }
        if matches!(victim, Victim::Media | Victim::Both) {
            world.stop_gateway(0);
        }
        world.network.run_for(down);
        world.revive();
        taken_up += dialogs(&world);
        for &phone in &phones {
            world.act(phone, |agent, now| agent.register(now).is_ok());
        }
        if matches!(victim, Victim::Media | Victim::Both) {
            world.start_gateway(0);
        }
    }
    world.network.run_for(seconds(60));
    let (known, held) = contexts(&world);
    assert_eq!(known, held, "orphans at the gateway");
    crowd.disperse(&mut world);
    world.network.run_for(seconds(60));
    crowd.disperse(&mut world);
    world.assert_clean();
    eprintln!("{taken_up} legs taken up");
    assert!(taken_up > 0, "no call outlived a kill");
}

#[test]
fn killed_at_random_under_load_leaves_no_orphan() {
    for layout in Layout::ALL {
        for setup in [pair(), apart()] {
            for seed in sim::seeds(3) {
                kill_at_random(&setup.clone().layout(layout), seed, 10, &[Victim::Control]);
            }
        }
    }
}

#[test]
fn killed_at_random_over_rough_networks_leaves_no_orphan() {
    for layout in Layout::ALL {
        for seed in sim::seeds(3) {
            let setup = pair().layout(layout).rough(seed);
            kill_at_random(&setup, seed, 10, &[Victim::Control]);
        }
    }
}

#[test]
fn any_process_killed_at_random_leaves_no_orphan() {
    for layout in Layout::ALL {
        for seed in sim::seeds(3) {
            let victims = [Victim::Control, Victim::Media, Victim::Both];
            kill_at_random(&pair().layout(layout), seed, 10, &victims);
        }
    }
}
