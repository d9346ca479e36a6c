//! Media through the gateway: heard in full, held, across address families, and lost with it.

use std::net::{IpAddr, Ipv4Addr};
use std::time::Duration;

use calls::{Access, Setup, User, World, everywhere, in_both};
use control::config::MediaFile;
use load::ua::{CallId, Cause, Event, Reliable, Step};
use sdp::Direction::{RecvOnly, SendOnly, SendRecv};
use sip::{HeaderName, Method};

/// Where the gateway receives from the access network.
const ACCESS: IpAddr = IpAddr::V4(Ipv4Addr::new(203, 0, 113, 1));
/// Where it receives from the core.
const CORE: IpAddr = IpAddr::V4(Ipv4Addr::new(198, 51, 100, 1));

fn pair() -> Setup {
    Setup::new(&[User::Aka, User::Digest]).anchored()
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

/// Of so many packets sent, how many are heard at least: over two links that lose a tenth each, and
/// none while the gateway is told of the call and what tells it is repeated.
fn least(world: &World, sent: u64) -> u64 {
    if world.is_rough() { sent / 2 } else { sent }
}

/// Ends the call when all that was said has been heard, and checks that it was.
fn hear_out(world: &mut World, calls: [CallId; 2]) {
    for phone in [0, 1] {
        world.set_talking(phone, calls[phone], false);
    }
    world.network.run_for(Duration::from_millis(500));
    let drops = world.drops();
    world.hang_up(0, calls[0], 1);
    let reports = [0, 1].map(|phone| world.phone(phone).report(calls[phone]));
    for (report, other) in [(reports[0], reports[1]), (reports[1], reports[0])] {
        assert_eq!(report.refused, 0, "{report:?}");
        if world.is_rough() {
            assert!(
                report.received >= least(world, other.sent),
                "{report:?} {other:?}"
            );
            continue;
        }
        assert!(drops.is_empty(), "{drops:?}");
        assert_eq!(report.received, other.sent, "{report:?}");
        assert_eq!((report.lost, report.duplicates), (0, 0));
        assert!(report.mos >= 4.3, "{report:?}");
        assert!(report.sent < 400 || report.rtcp_received > 0, "{report:?}");
        assert!(
            report.likeness.is_none_or(|likeness| likeness > 0.98),
            "{report:?}"
        );
    }
}

/// Where a telephone last sent its audio to.
fn sends_to(world: &World, phone: usize) -> IpAddr {
    let events = world.phone(phone).events().iter().rev();
    let mut agreed = events.filter_map(|event| match event {
        Event::Media { agreed, .. } => Some(agreed.rtp.ip()),
        _ => None,
    });
    agreed.next().expect("audio")
}

fn received(world: &World, phone: usize, call: CallId) -> u64 {
    world.phone(phone).report(call).received
}

/// BYEs that say why, and 503s, that a telephone heard.
fn released(world: &World, phone: usize) -> usize {
    world.heard(phone, |message| {
        message.is_method(&Method::Bye) && message.has(HeaderName::Reason)
    })
}

/// Waits until a gateway is in service, as it says itself and as its controller says.
fn registers(world: &mut World, gateway: usize) {
    let state = |world: &World| world.gateway(gateway).status().state;
    for _ in 0..120 {
        let status = world.control(world.pcscf).status(world.network.now());
        let mid = world.gateway(gateway).status().mid.to_string();
        let mut known = status.media_gateways.iter();
        let serves = known.any(|known| known.mid == mid && known.state == "in service");
        if serves && state(world) == "in service" {
            return;
        }
        world.network.run_for(seconds(1));
    }
    panic!("the gateway is {}", state(world));
}

#[test]
fn an_operator_finds_the_contexts_of_a_call() {
    everywhere(&pair(), |world| {
        let calls = call(world);
        let heard = world.phone(1).heard().iter();
        let mut invites = heard.filter(|message| message.method() == Some(&Method::Invite));
        let invite = invites.next().expect("it was called");
        let call_id = invite.call_id().expect("it has one").to_owned();
        let found = world.control(world.pcscf).contexts_of(&call_id);
        assert_eq!(found.len(), contexts(world).1, "{found:?}");
        assert!(!found.is_empty());
        assert!(world.control(world.pcscf).contexts_of("another").is_empty());
        world.hang_up(0, calls[0], 1);
        assert!(world.control(world.pcscf).contexts_of(&call_id).is_empty());
    });
}

#[test]
fn a_call_is_heard_in_full_through_one_context() {
    everywhere(&pair().compared(), |world| {
        let calls = call(world);
        let one = (1, 1);
        assert_eq!(contexts(world), one, "the second leg finds it anchored");
        world.network.run_for(seconds(10));
        hear_out(world, calls);
        assert_eq!(sends_to(world, 0), ACCESS);
        assert_eq!(sends_to(world, 1), CORE);
    });
}

#[test]
fn realms_that_are_apart_take_a_context_each() {
    let setup = pair().audible().with(|file| {
        file.media = Some(MediaFile {
            anchor: Some(true),
            realms_connected: Some(false),
            ..MediaFile::default()
        });
    });
    everywhere(&setup, |world| {
        let calls = call(world);
        assert_eq!(contexts(world), (2, 2));
        world.network.run_for(seconds(2));
        hear_out(world, calls);
        for phone in [0, 1] {
            assert_eq!(sends_to(world, phone), ACCESS);
        }
    });
}

#[test]
fn calls_between_address_families_are_heard_in_full() {
    for access in [
        [Access::Ip6, Access::Ip6],
        [Access::Ip4, Access::Ip6],
        [Access::Ip6, Access::Ip4],
    ] {
        everywhere(&pair().audible().access(&access), |world| {
            let calls = call(world);
            world.network.run_for(seconds(5));
            for phone in [0, 1] {
                let is_ip6 = access[phone] == Access::Ip6;
                assert_eq!(sends_to(world, phone).is_ipv6(), is_ip6);
            }
            hear_out(world, calls);
        });
    }
}

#[test]
fn telephones_behind_nats_are_heard() {
    for access in [
        [Access::Nat, Access::Ip4],
        [Access::Ip4, Access::Nat],
        [Access::Nat, Access::Nat],
    ] {
        everywhere(&pair().audible().access(&access), |world| {
            let calls = call(world);
            world.network.run_for(seconds(5));
            for phone in [0, 1] {
                // Until the first packet has shown where to, some are lost.
                let report = world.phone(phone).report(calls[phone]);
                assert!(
                    report.received >= least(world, 240),
                    "{access:?} {phone} {report:?}"
                );
            }
            world.hang_up(0, calls[0], 1);
        });
    }
}

#[test]
fn a_held_call_is_silent_and_heard_again() {
    for holder in [0, 1] {
        everywhere(&pair().audible(), |world| {
            let calls = call(world);
            let other = 1 - holder;
            world.network.run_for(seconds(2));
            for _ in 0..2 {
                world.act(holder, |agent, now| {
                    agent.hold(now, calls[holder]).expect("established")
                });
                world.expect_direction(other, RecvOnly);
                world.expect_direction(holder, SendOnly);
                world.network.run_for(seconds(1));
                let heard = [0, 1].map(|phone| received(world, phone, calls[phone]));
                world.network.run_for(seconds(2));
                let now = [0, 1].map(|phone| received(world, phone, calls[phone]));
                assert_eq!(now[holder], heard[holder], "who holds hears nothing");
                world.act(holder, |agent, now| {
                    agent.resume(now, calls[holder]).expect("established")
                });
                world.expect_direction(other, SendRecv);
                world.expect_direction(holder, SendRecv);
                world.network.run_for(seconds(2));
                let now = [0, 1].map(|phone| received(world, phone, calls[phone]));
                for phone in [0, 1] {
                    assert!(
                        now[phone] >= heard[phone] + least(world, 90),
                        "telephone {phone}"
                    );
                }
            }
            assert_eq!(contexts(world), (1, 1));
            hear_out(world, calls);
        });
    }
}

#[test]
fn a_refused_change_leaves_the_audio_as_it_was() {
    everywhere(&pair().audible(), |world| {
        let calls = call(world);
        world.policy(1, |policy| policy.refuse_changes = Some(488));
        world.act(0, |agent, now| {
            agent.hold(now, calls[0]).expect("established")
        });
        world.expect(0, "refused", |event| {
            matches!(event, Event::ChangeRefused { .. })
        });
        world.network.run_for(seconds(1));
        let before = [0, 1].map(|phone| received(world, phone, calls[phone]));
        world.network.run_for(seconds(2));
        for phone in [0, 1] {
            assert!(received(world, phone, calls[phone]) >= before[phone] + least(world, 90));
        }
        hear_out(world, calls);
    });
}

#[test]
fn early_media_is_heard_before_the_answer() {
    for reliable in [Reliable::Unsupported, Reliable::Supported] {
        let flow = |world: &mut World| {
            world.register(&[0, 1]);
            for phone in [0, 1] {
                world.policy(phone, |policy| {
                    policy.reliable = reliable;
                    let pause = Step::Wait(seconds(3));
                    policy.incoming = vec![Step::Progress, pause, Step::Answer];
                });
            }
            let call = world.call(0, 1);
            world.expect(0, "early media", |event| {
                matches!(event, Event::Media { early: true, .. })
            });
            world.network.run_for(seconds(2));
            assert!(received(world, 0, call) >= least(world, 90));
            let there = world.established(0, 1);
            world.network.run_for(seconds(2));
            hear_out(world, [call, there]);
        };
        // Nobody repeats what is not sent reliably.
        match reliable {
            Reliable::Unsupported => in_both(&pair().audible(), flow),
            _ => everywhere(&pair().audible(), flow),
        }
    }
}

#[test]
fn a_late_offer_is_heard_as_well() {
    everywhere(&pair().audible(), |world| {
        world.policy(0, |policy| policy.early_offer = false);
        let calls = call(world);
        world.network.run_for(seconds(5));
        assert_eq!(contexts(world), (1, 1));
        hear_out(world, calls);
    });
}

#[test]
fn the_one_who_answers_of_several_is_heard() {
    // All describe early media, so that the last of them was heard before the answer.
    for (answers, other) in [(1, 2), (2, 1)] {
        everywhere(&pair().audible(), |world| {
            let second = world.add_phone(1, User::Digest, 10, |_| {});
            assert_eq!(second, 2);
            world.register(&[0, 1, 2]);
            world.policy(answers, |policy| {
                policy.incoming = vec![Step::Progress, Step::Wait(seconds(3)), Step::Answer];
            });
            world.policy(other, |policy| {
                policy.incoming = vec![Step::Wait(seconds(1)), Step::Progress];
            });
            let call = world.call(0, 1);
            let there = world.established(0, answers);
            world.expect_end(other);
            world.network.run_for(seconds(1));
            let before = [received(world, 0, call), received(world, answers, there)];
            world.network.run_for(seconds(3));
            assert!(received(world, 0, call) >= before[0] + least(world, 140));
            assert!(received(world, answers, there) >= before[1] + least(world, 140));
            world.hang_up(0, call, answers);
        });
    }
}

#[test]
fn of_two_answers_at_once_the_one_that_is_kept_is_heard() {
    everywhere(&pair().audible(), |world| {
        world.add_phone(1, User::Digest, 10, |_| {});
        world.register(&[0, 1, 2]);
        for phone in [1, 2] {
            world.policy(phone, |policy| policy.incoming = vec![Step::Answer]);
        }
        let call = world.call(0, 1);
        world.expect(0, "established", |event| {
            matches!(event, Event::Established { .. })
        });
        world.network.run_for(seconds(2));
        let live = |phone: &usize| world.phone(*phone).phone().agent().calls().next();
        let (kept, there) = [1, 2]
            .into_iter()
            .find_map(|phone| Some((phone, live(&phone)?)))
            .expect("one is kept");
        let before = [received(world, 0, call), received(world, kept, there)];
        world.network.run_for(seconds(3));
        assert!(received(world, 0, call) >= before[0] + least(world, 140));
        assert!(received(world, kept, there) >= before[1] + least(world, 140));
        world.hang_up(0, call, kept);
    });
}

#[test]
fn anchored_calls_survive_rough_networks() {
    everywhere(&pair(), |world| {
        let calls = call(world);
        world.act(0, |agent, now| {
            agent.hold(now, calls[0]).expect("established")
        });
        world.expect_direction(1, RecvOnly);
        world.expect_direction(0, SendOnly);
        world.act(0, |agent, now| {
            agent.resume(now, calls[0]).expect("established")
        });
        world.expect_direction(1, SendRecv);
        world.expect_direction(0, SendRecv);
        world.hang_up(1, calls[1], 0);
        assert_eq!(world.counter("media.failed"), 0);
        assert_eq!(world.counter("media.lost"), 0);
    });
}

#[test]
fn refused_and_abandoned_calls_leave_no_context() {
    everywhere(&pair(), |world| {
        world.register(&[0, 1]);
        world.policy(1, |policy| {
            policy.incoming = vec![Step::Ring, Step::Reject(486)];
        });
        world.call(0, 1);
        assert_eq!(world.expect_refusal(0), 486);
        world.policy(1, |policy| policy.incoming = vec![Step::Ring]);
        let call = world.call(0, 1);
        world.expect_progress(0, 180);
        world.act(0, |agent, now| agent.hang_up(now, call).expect("ringing"));
        world.expect_end(0);
        // And one that is given up while the gateway is being asked.
        let call = world.call(0, 1);
        world.act(0, |agent, now| agent.hang_up(now, call).expect("dialling"));
        world.expect_end(0);
    });
}

#[test]
fn calls_end_with_their_gateway_and_are_refused_until_it_is_back() {
    everywhere(&pair().audible(), |world| {
        call(world);
        world.network.run_for(seconds(2));
        world.stop_gateway(0);
        // Its silence is noticed by the controller.
        for phone in [0, 1] {
            world.expect_end(phone);
        }
        assert!(released(world, 0) + released(world, 1) >= 1);
        assert!(world.counter("media.lost") >= 1);
        world.call(0, 1);
        assert_eq!(world.expect_refusal(0), 503);
        world.start_gateway(0);
        registers(world, 0);
        let outgoing = world.call(0, 1);
        let calls = [outgoing, world.established(0, 1)];
        world.network.run_for(seconds(2));
        hear_out(world, calls);
    });
}

#[test]
fn calls_end_when_their_gateway_restarts() {
    everywhere(&pair().audible(), |world| {
        call(world);
        world.network.run_for(seconds(2));
        world.stop_gateway(0);
        world.start_gateway(0);
        for phone in [0, 1] {
            world.expect_end(phone);
        }
        assert!(released(world, 0) + released(world, 1) >= 1);
        registers(world, 0);
        let call = world.call(0, 1);
        world.established(0, 1);
        world.hang_up(0, call, 1);
    });
}

#[test]
fn calls_go_by_another_gateway_when_one_is_lost() {
    everywhere(&pair().audible(), |world| {
        world.add_gateway();
        registers(world, 1);
        world.register(&[0, 1]);
        world.stop_gateway(0);
        world.network.run_for(seconds(120));
        let outgoing = world.call(0, 1);
        let calls = [outgoing, world.established(0, 1)];
        world.network.run_for(seconds(2));
        assert_eq!(world.gateway(1).status().contexts, 1);
        hear_out(world, calls);
    });
}

#[test]
fn a_gateway_cut_off_for_a_moment_keeps_its_calls() {
    everywhere(&pair().audible(), |world| {
        let calls = call(world);
        world.network.run_for(seconds(2));
        let (gateway, control) = (world.gateway_node(0), world.pcscf);
        world.network.cut(&[gateway], &[control]);
        world.network.run_for(seconds(3));
        world.network.heal();
        world.network.run_for(seconds(60));
        assert_eq!(contexts(world), (1, 1));
        hear_out(world, calls);
    });
}

#[test]
fn a_call_in_which_nobody_says_anything_is_released() {
    let setup = pair().with(|file| {
        file.media = Some(MediaFile {
            anchor: Some(true),
            inactivity_s: Some(60),
            ..MediaFile::default()
        });
    });
    everywhere(&setup, |world| {
        call(world);
        let since = world.network.now();
        for phone in [0, 1] {
            world.expect_end(phone);
        }
        let took = world.network.now() - since;
        assert!(took >= seconds(55) && took <= seconds(130), "{took:?}");
        assert!(released(world, 0) + released(world, 1) >= 1);
    });
}

#[test]
fn many_calls_use_a_context_each_and_give_it_back() {
    everywhere(&pair(), |world| {
        world.register(&[0, 1]);
        let calls: Vec<_> = (0..20).map(|_| world.call(0, 1)).collect();
        for phone in [0, 1].repeat(calls.len()) {
            world.expect(phone, "established", |event| {
                matches!(event, Event::Established { .. })
            });
        }
        assert_eq!(contexts(world), (20, 20));
        assert_eq!(world.gateway(0).status().terminations, 40);
        for call in calls {
            world.hang_up(0, call, 1);
        }
    });
}

#[test]
fn a_gateway_that_is_full_refuses_calls_and_keeps_those_it_has() {
    // It has ports for a hundred calls on each address.
    everywhere(&pair(), |world| {
        world.register(&[0, 1]);
        let calls: Vec<_> = (0..110).map(|_| world.call(0, 1)).collect();
        world.network.run_for(seconds(20));
        let refused = world.phone(0).events().iter().filter(|event| {
            matches!(
                event,
                Event::Ended {
                    cause: Cause::Refused { status: 503, .. },
                    ..
                }
            )
        });
        let refused = refused.count();
        assert!((10..=60).contains(&refused), "{refused}");
        assert_eq!(contexts(world).0, calls.len() - refused);
        let up: Vec<CallId> = world.phone(0).phone().agent().calls().collect();
        for call in up {
            world.act(0, |agent, now| {
                agent.hang_up(now, call).expect("established")
            });
        }
        world.network.run_for(seconds(10));
    });
}
