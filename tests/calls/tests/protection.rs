//! Media that is protected between a UE and the gateway, and in the clear in the core (e2ae, TS
//! 33.328).

use std::time::Duration;

use calls::{Setup, User, World, everywhere};
use load::ua::CallId;
use sdp::Direction::{RecvOnly, SendOnly};
use sip::{HeaderName, Message, Method};

fn pair(protected: &[usize]) -> Setup {
    Setup::new(&[User::Aka, User::Digest])
        .anchored()
        .compared()
        .protected(protected)
}

fn seconds(seconds: u64) -> Duration {
    Duration::from_secs(seconds)
}

fn call(world: &mut World) -> [CallId; 2] {
    world.register(&[0, 1]);
    let outgoing = world.call(0, 1);
    [outgoing, world.established(0, 1)]
}

/// Ends the call when all that was said has been heard, and checks that it was, by whom protected
/// and by whom not.
fn hear_out(world: &mut World, calls: [CallId; 2], protected: &[usize]) {
    for phone in [0, 1] {
        world.set_talking(phone, calls[phone], false);
    }
    world.network.run_for(Duration::from_millis(500));
    let drops = world.drops();
    world.hang_up(0, calls[0], 1);
    let reports = [0, 1].map(|phone| world.phone(phone).report(calls[phone]));
    for phone in [0, 1] {
        let (report, other) = (reports[phone], reports[1 - phone]);
        // Over a network that repeats packets, what comes again is refused where it is protected.
        assert!(report.refused == 0 || world.is_rough(), "{report:?}");
        assert_eq!(report.opened > 0, protected.contains(&phone), "{report:?}");
        if world.is_rough() {
            assert!(report.received >= other.sent / 2, "{report:?} {other:?}");
            continue;
        }
        // What a callee says before its answer has brought its key to the gateway cannot be opened.
        let keyless = drops.get("srtp_no_key").copied().unwrap_or_default();
        let keyless = if phone == 0 && protected.contains(&1) {
            keyless
        } else {
            0
        };
        assert_eq!(
            drops.values().sum::<u64>(),
            drops.get("srtp_no_key").copied().unwrap_or(0)
        );
        assert!(
            keyless <= 3 && report.received + keyless == other.sent,
            "{report:?} {drops:?}"
        );
        assert!(report.sent < 400 || report.rtcp_received > 0, "{report:?}");
        let likeness = report.likeness;
        assert!(
            likeness.is_none_or(|likeness| likeness > 0.98),
            "{report:?}"
        );
    }
}

/// The descriptions that a telephone was sent.
fn descriptions(world: &World, phone: usize) -> Vec<String> {
    let text = |message: &Message| String::from_utf8_lossy(message.body()).into_owned();
    let heard = world.phone(phone).heard().iter().map(text);
    heard.filter(|body| body.contains("m=audio")).collect()
}

/// What a telephone is told fits what it asked for.
fn check_descriptions(world: &World, protected: &[usize]) {
    for phone in [0, 1] {
        let told = descriptions(world, phone);
        assert!(!told.is_empty());
        for told in told {
            let is_protected = protected.contains(&phone);
            assert_eq!(told.contains(" RTP/SAVP "), is_protected, "{told}");
            assert_eq!(
                told.contains("a=crypto:1 AES_CM_128"),
                is_protected,
                "{told}"
            );
            assert!(!told.contains("requested"), "{told}");
            // TS 24.229 7.5.2: only an offer says so.
            assert!(is_protected || !told.contains("3ge2ae"), "{told}");
        }
    }
}

#[test]
fn a_protected_end_and_a_clear_one_hear_each_other() {
    for protected in [&[0][..], &[1]] {
        everywhere(&pair(protected), |world| {
            let calls = call(world);
            check_descriptions(world, protected);
            world.network.run_for(seconds(10));
            hear_out(world, calls, protected);
        });
    }
}

#[test]
fn two_protected_ends_have_keys_of_their_own() {
    everywhere(&pair(&[0, 1]), |world| {
        let calls = call(world);
        check_descriptions(world, &[0, 1]);
        let keys = |phone: usize| -> Vec<String> {
            let told = descriptions(world, phone);
            let lines = told.iter().flat_map(|body| body.lines());
            let keys = lines.filter_map(|line| line.split_once("inline:"));
            keys.map(|(_, key)| key.to_owned()).collect()
        };
        let (first, second) = (keys(0), keys(1));
        assert!(first.iter().all(|key| *key == first[0]), "{first:?}");
        assert!(second.iter().all(|key| *key == second[0]), "{second:?}");
        assert_ne!(first[0], second[0]);
        world.network.run_for(seconds(10));
        hear_out(world, calls, &[0, 1]);
    });
}

#[test]
fn hold_and_resume_keep_the_keys() {
    everywhere(&pair(&[0]), |world| {
        let calls = call(world);
        world.network.run_for(seconds(2));
        for (phone, direction) in [(0, SendOnly), (1, SendOnly)] {
            world
                .act(phone, |agent, now| agent.hold(now, calls[phone]))
                .expect("it can be held");
            world.expect_direction(1 - phone, direction.reversed());
            world.network.run_for(seconds(1));
            world
                .act(phone, |agent, now| agent.resume(now, calls[phone]))
                .expect("resumed");
            world.network.run_for(seconds(2));
        }
        assert_eq!(SendOnly.reversed(), RecvOnly);
        let told = descriptions(world, 0);
        let keys = told.iter().filter_map(|body| body.split_once("inline:"));
        let mut keys: Vec<&str> = keys.filter_map(|(_, key)| key.lines().next()).collect();
        assert!(keys.len() > 2, "{told:?}");
        keys.dedup();
        assert_eq!(keys.len(), 1, "{told:?}");
        hear_out(world, calls, &[0]);
    });
}

#[test]
fn a_restart_of_the_controller_leaves_protected_calls_as_they_are() {
    let mut world = pair(&[0]).build();
    let calls = call(&mut world);
    world.network.run_for(seconds(2));
    world.restart(world.pcscf);
    world.network.run_for(seconds(2));
    world
        .act(0, |agent, now| agent.hold(now, calls[0]))
        .expect("it can be held");
    world.expect_direction(1, RecvOnly);
    world.network.run_for(seconds(1));
    world
        .act(0, |agent, now| agent.resume(now, calls[0]))
        .expect("it can be resumed");
    world.network.run_for(seconds(5));
    hear_out(&mut world, calls, &[0]);
}

#[test]
fn the_core_hears_nothing_of_keys_nor_of_the_option_that_asked_for_them() {
    let mut world = pair(&[0]).build();
    let calls = call(&mut world);
    let invited = |message: &Message| message.is_method(&Method::Invite);
    assert_eq!(world.heard(1, invited), 1);
    assert_eq!(
        world.heard(1, |message| message.has(HeaderName::SecurityClient)),
        0
    );
    let told = |message: &Message| {
        let value = message.header(HeaderName::SecurityServer);
        value == Some("sdes-srtp;mediasec")
    };
    // The challenge and the confirmation.
    assert_eq!(world.heard(0, told), 2);
    assert_eq!(world.heard(1, told), 0);
    world.hang_up(0, calls[0], 1);
}
