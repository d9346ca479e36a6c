//! The control association: found, kept, lost, handed over, left.

mod rig;

use std::time::Duration;

use h248::error::ErrorCode;
use h248::message::{
    Mid, Profile, RequestId, ServiceChangeAddress, ServiceChangeResult, TerminationId,
};
use mg::{AssociationEvent, GatewayConfig, MediaEvent};
use rig::{Answer, MG, MGC, MGC_2, PERFECT, Rig, at};

const COLD: (&str, u16) = ("Restart", 901);
const LOST: (&str, u16) = ("Disconnected", 900);
const MOMENT: Duration = Duration::from_millis(10);
const MINUTE: Duration = Duration::from_secs(60);

fn two_mgcs() -> GatewayConfig {
    let mut config = rig::config();
    config.association.mgcs = vec![at(MGC), at(MGC_2)];
    config
}

fn started(config: GatewayConfig) -> Rig {
    let mut rig = Rig::with(config, 1, PERFECT);
    rig.start();
    rig.pass(MOMENT);
    rig
}

fn heard(rig: &Rig, mgc: usize) -> Vec<(&'static str, u16)> {
    let names = [
        "Restart",
        "Disconnected",
        "Failover",
        "Forced",
        "Graceful",
        "HandOff",
    ];
    let heard = rig.mgcs[mgc].heard().into_iter();
    heard
        .map(|(method, reason)| {
            let name = names.into_iter().find(|name| **name == method);
            (name.expect("a method"), reason)
        })
        .collect()
}

fn in_service(rig: &Rig) -> Option<std::net::SocketAddr> {
    let status = rig.mg.status();
    status.mgc.filter(|_| status.state == "in service")
}

/// Makes the gateway send something.
fn provoke(rig: &mut Rig) {
    let (context, _) = rig.call();
    rig.say(&format!(
        "Context = {context} {{ Modify = * {{ Events = 1 {{ adid/ipstop {{ dir = IN }} }} }} }}"
    ));
    fall_silent(rig);
}

/// Media come and stop at every address.
fn fall_silent(rig: &mut Rig) {
    rig.pass(MOMENT);
    for local in rig.plane.open.clone() {
        let spoke = mg::Statistics {
            last_arrival: Some(rig.now),
            ..mg::Statistics::default()
        };
        rig.plane.statistics.insert(local, spoke);
        rig.event(MediaEvent::Inactive { local });
    }
}

#[test]
fn a_cold_boot_is_announced_in_a_message_of_version_one() {
    let mut rig = Rig::with(rig::config(), 1, PERFECT);
    rig.mgcs[0].is_alive = false;
    rig.start();
    rig.mgcs[0].is_alive = true;
    rig.pass(Duration::from_secs(1));
    let change = &rig.mgcs[0].changes[0];
    assert_eq!((change.reason.code, change.version), (901, Some(3)));
    assert!(change.time.is_some());
    let accepted = AssociationEvent::Registered {
        mgc: at(MGC),
        version: 3,
    };
    assert_eq!(rig.news, [accepted]);
}

#[test]
fn messages_follow_the_version_that_was_agreed() {
    let mut rig = Rig::with(rig::config(), 1, PERFECT);
    rig.mgcs[0].answer = Answer::Accept(ServiceChangeResult {
        version: Some(1),
        ..ServiceChangeResult::default()
    });
    rig.start();
    rig.pass(MOMENT);
    assert!(matches!(
        rig.news[0],
        AssociationEvent::Registered { version: 1, .. }
    ));
    provoke(&mut rig);
    rig.pass(MOMENT);
    assert_eq!(rig.mgcs[0].notified.len(), 2);
}

#[test]
fn a_version_that_is_none_is_no_association() {
    let mut rig = Rig::with(rig::config(), 1, PERFECT);
    rig.mgcs[0].answer = Answer::Accept(ServiceChangeResult {
        version: Some(4),
        ..ServiceChangeResult::default()
    });
    rig.start();
    rig.pass(MOMENT);
    assert_eq!(in_service(&rig), None);
    let code = ErrorCode::VERSION_NOT_SUPPORTED;
    assert_eq!(rig.news, [AssociationEvent::Refused { mgc: at(MGC), code }]);
}

#[test]
fn without_answer_it_tries_one_mgc_after_the_other_and_again() {
    let mut rig = Rig::with(two_mgcs(), 1, PERFECT);
    rig.mgcs[0].is_alive = false;
    rig.mgcs[1].answer = Answer::Refuse(ErrorCode::NOT_READY);
    rig.start();
    rig.pass(MINUTE * 5);
    assert!(heard(&rig, 1).len() > 3);
    assert!(heard(&rig, 1).iter().all(|said| *said == COLD));
    assert!(
        rig.news
            .contains(&AssociationEvent::Unanswered { mgc: at(MGC) })
    );
    rig.mgcs[0].is_alive = true;
    rig.pass(MINUTE);
    assert_eq!(in_service(&rig), Some(at(MGC)));
    assert_eq!(heard(&rig, 0), [COLD]);
}

#[test]
fn pauses_between_rounds_are_bounded() {
    let mut config = rig::config();
    config.association.retry_wait_max = Duration::from_secs(10);
    let mut rig = Rig::with(config, 3, PERFECT);
    rig.mgcs[0].answer = Answer::Refuse(ErrorCode::NOT_READY);
    rig.start();
    rig.pass(MINUTE * 30);
    let count = heard(&rig, 0).len();
    // On average five seconds a pause.
    assert!((250..=700).contains(&count), "{count}");
}

#[test]
fn the_first_announcement_waits_at_random_where_it_is_told_to() {
    let mut config = rig::config();
    config.association.restart_wait_max = Duration::from_secs(30);
    let mut times = Vec::new();
    for seed in 1..20 {
        let mut rig = Rig::with(config.clone(), seed, PERFECT);
        let from = rig.now;
        rig.start();
        while in_service(&rig).is_none() {
            rig.pass(Duration::from_millis(100));
        }
        times.push((rig.now - from).as_secs());
    }
    assert!(times.iter().all(|&time| time <= 30));
    assert!(times.iter().any(|&time| time < 15) && times.iter().any(|&time| time > 15));
}

#[test]
fn commands_before_the_registration_are_too_early() {
    let mut rig = Rig::with(two_mgcs(), 1, PERFECT);
    rig.mgcs[0].answer = Answer::Refuse(ErrorCode::NOT_READY);
    rig.mgcs[1].answer = Answer::Refuse(ErrorCode::NOT_READY);
    rig.start();
    rig.pass(MOMENT);
    let reply = rig.say_as(1, rig::CALL);
    assert!(reply.contains("Error = 505"), "{reply}");
    rig.assert_empty();
}

#[test]
fn only_the_mgc_in_control_commands() {
    let mut rig = started(two_mgcs());
    assert_eq!(in_service(&rig), Some(at(MGC)));
    let reply = rig.say_as(1, rig::CALL);
    assert!(reply.contains("Error = 504"), "{reply}");
    rig.add_mgc("192.0.2.66:2944");
    let reply = rig.say_as(2, "Context = * { W-Subtract = * }");
    assert!(reply.contains("Error = 504"), "{reply}");
    assert_eq!(rig.mg.counters().unauthorized, 2);
    // Its own address under another's name is a stranger's.
    let forged = rig::message(MGC, rig::CALL, 5);
    rig.mg
        .handle_input(rig.now, &mut rig.plane, at("192.0.2.66:2944"), &forged);
    assert_eq!(rig.mg.counters().unauthorized, 3);
    rig.assert_empty();
}

#[test]
fn the_mgc_may_use_another_port_under_its_name() {
    let mut rig = started(rig::config());
    let other_port = "192.0.2.11:40000";
    let forged = rig::message(MGC, rig::CALL, 5);
    rig.mg
        .handle_input(rig.now, &mut rig.plane, at(other_port), &forged);
    assert_eq!(rig.mg.status().contexts, 1);
}

#[test]
fn what_an_mgc_answers_decides_where_requests_go() {
    let mut rig = Rig::with(rig::config(), 1, PERFECT);
    rig.add_mgc("192.0.2.11:2999");
    rig.mgcs[0].answer = Answer::Accept(ServiceChangeResult {
        version: Some(2),
        address: Some(ServiceChangeAddress::Port(2999)),
        ..ServiceChangeResult::default()
    });
    rig.start();
    rig.pass(MOMENT);
    assert_eq!(in_service(&rig), Some(at("192.0.2.11:2999")));
    let reply = rig.say_as(1, rig::CALL);
    assert!(!reply.contains("Error"), "{reply}");
}

#[test]
fn an_mgc_may_name_another_and_rings_of_them_end() {
    let mut rig = Rig::with(rig::config(), 1, PERFECT);
    rig.add_mgc(MGC_2);
    let other = |address: &str| {
        Answer::Accept(ServiceChangeResult {
            mgc_id: Some(Mid::from(at(address))),
            ..ServiceChangeResult::default()
        })
    };
    rig.mgcs[0].answer = other(MGC_2);
    rig.start();
    rig.pass(MOMENT);
    assert_eq!(in_service(&rig), Some(at(MGC_2)));
    assert_eq!(heard(&rig, 1), [COLD]);

    let mut rig = Rig::with(two_mgcs(), 1, PERFECT);
    rig.mgcs[0].answer = other(MGC_2);
    rig.mgcs[1].answer = other(MGC);
    rig.start();
    rig.pass(MOMENT);
    assert_eq!(in_service(&rig), None);
    assert!(heard(&rig, 0).len() + heard(&rig, 1).len() < 20);
}

#[test]
fn an_mgc_that_does_not_answer_is_lost_and_found_again() {
    let mut rig = started(rig::config());
    provoke(&mut rig);
    rig.pass(MOMENT);
    let open = rig.plane.open.clone();
    rig.mgcs[0].is_alive = false;
    fall_silent(&mut rig);
    rig.pass(Duration::from_secs(25));
    assert_eq!(in_service(&rig), None);
    assert!(
        rig.news
            .contains(&AssociationEvent::Released { mgc: at(MGC) })
    );
    assert_eq!(rig.plane.open, open, "calls go on");
    rig.mgcs[0].is_alive = true;
    rig.pass(MINUTE);
    assert_eq!(in_service(&rig), Some(at(MGC)));
    assert_eq!(heard(&rig, 0), [COLD, LOST]);
    let reply = rig.say("Context = * { W-Subtract = * { Audit { } } }");
    assert!(!reply.contains("Error"), "{reply}");
    rig.assert_empty();
}

#[test]
fn events_wait_for_an_mgc() {
    let mut rig = started(rig::config());
    provoke(&mut rig);
    rig.pass(MOMENT);
    assert_eq!(rig.mgcs[0].notified.len(), 2);
    rig.mgcs[0].is_alive = false;
    fall_silent(&mut rig);
    rig.pass(Duration::from_secs(25));
    assert_eq!(in_service(&rig), None);
    fall_silent(&mut rig);
    rig.mgcs[0].is_alive = true;
    rig.pass(MINUTE);
    assert_eq!(in_service(&rig), Some(at(MGC)));
    // Those that went out to nobody are sent again.
    assert_eq!(rig.mgcs[0].notified.len(), 6);
}

#[test]
fn heartbeats_wait_once_each_for_an_mgc() {
    let mut rig = started(rig::config());
    let (context, _) = rig.call();
    rig.say(&format!(
        "Context = {context} {{ Modify = * {{ Events = 1 {{ hangterm/thb {{ timerx = 20 }} }} }} }}"
    ));
    rig.pass(Duration::from_secs(41));
    assert_eq!(rig.mgcs[0].notified.len(), 4);
    rig.mgcs[0].is_alive = false;
    rig.pass(10 * MINUTE);
    assert_eq!(in_service(&rig), None);
    rig.mgcs[0].is_alive = true;
    rig.pass(MINUTE);
    assert_eq!(in_service(&rig), Some(at(MGC)));
    let since = rig.mgcs[0].notified.len() - 4;
    assert!((4..=10).contains(&since), "{since}");
}

#[test]
fn an_mgc_that_starts_again_commands_at_once() {
    // Whether the gateway has noticed or not.
    for down in [1, 10, 20, 40, 100] {
        let mut rig = started(rig::config());
        let (context, _) = rig.call();
        rig.mgcs[0].is_alive = false;
        rig.pass(Duration::from_secs(down));
        rig.mgcs[0].is_alive = true;
        let audit = format!("Context = {context} {{ AuditValue = * {{ Audit {{ }} }} }}");
        let mut waited = 0;
        while rig.say(&audit).contains("Error") {
            rig.pass(Duration::from_secs(1));
            waited += 1;
        }
        assert!(waited <= 6, "after {down} s it took {waited} s");
        assert_eq!(rig.mg.status().contexts, 1);
    }
}

#[test]
fn the_others_are_tried_by_failover_first() {
    let mut rig = started(two_mgcs());
    provoke(&mut rig);
    rig.pass(MOMENT);
    rig.mgcs[0].is_alive = false;
    fall_silent(&mut rig);
    rig.pass(Duration::from_secs(25));
    assert_eq!(in_service(&rig), Some(at(MGC_2)));
    assert_eq!(heard(&rig, 1), [("Failover", 909)]);
    // The one that is lost may not command any more.
    rig.mgcs[0].is_alive = true;
    let reply = rig.say_as(0, "Context = * { W-Subtract = * }");
    assert!(reply.contains("Error = 504"), "{reply}");
    let reply = rig.say_as(1, "Context = * { W-Subtract = * }");
    assert!(!reply.contains("Error"), "{reply}");
    rig.assert_empty();
}

#[test]
fn only_the_mgc_that_lost_the_gateway_hears_that_contact_was_lost() {
    let mut rig = started(two_mgcs());
    rig.call();
    provoke(&mut rig);
    rig.mgcs[0].is_alive = false;
    fall_silent(&mut rig);
    rig.pass(Duration::from_secs(25));
    assert_eq!(in_service(&rig), Some(at(MGC_2)));
    rig.mgcs[1].is_alive = false;
    fall_silent(&mut rig);
    rig.pass(MINUTE);
    assert_eq!(in_service(&rig), None);
    rig.mgcs[0].is_alive = true;
    rig.pass(2 * MINUTE);
    assert_eq!(in_service(&rig), Some(at(MGC)));
    assert_eq!(heard(&rig, 0), [COLD, ("Failover", 909)]);
    rig.mgcs[0].is_alive = false;
    rig.mgcs[1].is_alive = true;
    fall_silent(&mut rig);
    rig.pass(MINUTE);
    let calls = rig.mg.status().contexts;
    assert_eq!((in_service(&rig), calls), (Some(at(MGC_2)), 2));
    assert_eq!(heard(&rig, 1), [("Failover", 909), ("Failover", 909)]);
}

#[test]
fn an_mgc_that_has_forgotten_the_gateway_is_told_anew() {
    let mut rig = started(rig::config());
    rig.mgcs[0].is_forgetful = true;
    provoke(&mut rig);
    rig.pass(MOMENT);
    assert_eq!(heard(&rig, 0), [COLD, LOST]);
    assert_eq!(in_service(&rig), Some(at(MGC)));
    assert_eq!(rig.mg.status().contexts, 1);
}

#[test]
fn an_mgc_silent_for_long_is_asked_whether_it_is_there() {
    let mut config = rig::config();
    config.association.silence_max = Some(Duration::from_secs(30));
    let mut rig = started(config);
    rig.pass(Duration::from_secs(29));
    rig.say("Context = - { AuditValue = ROOT { Audit { } } }");
    rig.pass(Duration::from_secs(29));
    assert_eq!(heard(&rig, 0), [COLD]);
    rig.pass(Duration::from_secs(2));
    assert_eq!(heard(&rig, 0), [COLD, LOST]);
    assert_eq!(in_service(&rig), Some(at(MGC)));
    // While it is asked, it commands as before.
    rig.mgcs[0].is_alive = false;
    rig.pass(Duration::from_secs(31));
    assert_eq!(in_service(&rig), Some(at(MGC)));
    rig.pass(Duration::from_secs(25));
    assert_eq!(in_service(&rig), None);
}

#[test]
fn a_silence_that_the_mgc_wants_to_know_of_is_notified() {
    let mut rig = started(rig::config());
    rig.say("Context = - { Modify = ROOT { Events = 3 { it/ito { mit = 1000 } } } }");
    rig.pass(Duration::from_secs(9));
    rig.say("Context = - { AuditValue = ROOT { Audit { } } }");
    rig.pass(Duration::from_secs(9));
    assert!(rig.mgcs[0].notified.is_empty());
    rig.pass(Duration::from_secs(2));
    assert_eq!(rig.mgcs[0].notified.len(), 1);
    let observed = rig.mgcs[0].notified[0].observed.as_ref().expect("events");
    assert!(observed.events[0].name.is("it", "ito"));
    rig.mgcs[0].is_alive = false;
    rig.pass(MINUTE);
    assert_eq!(in_service(&rig), None, "what nobody hears is no control");
}

#[test]
fn a_gateway_that_is_overloaded_says_so_with_new_contexts() {
    let mut rig = started(rig::config());
    rig.mg.set_overloaded(true);
    rig.call();
    rig.pass(MOMENT);
    assert!(rig.mgcs[0].notified.is_empty(), "nobody asked for it");
    let reply = rig.say("Context = - { Modify = ROOT { Events = 5 { ocp/mg_overload } } }");
    assert!(!reply.contains("Error"), "{reply}");
    rig.pass(MINUTE);
    assert!(rig.mgcs[0].notified.is_empty(), "no call came");
    for _ in 0..20 {
        rig.call();
        rig.pass(Duration::from_millis(25));
    }
    let told = rig.mgcs[0].notified.len();
    assert!((5..=7).contains(&told), "{told} times in half a second");
    let notify = &rig.mgcs[0].notified[0];
    assert_eq!(notify.terminations.first(), Some(&TerminationId::Root));
    let observed = notify.observed.as_ref().expect("events");
    assert_eq!(observed.request_id, RequestId(5));
    assert!(observed.events[0].name.is("ocp", "mg_overload"));
    rig.mg.set_overloaded(false);
    rig.call();
    rig.pass(MINUTE);
    assert_eq!(rig.mgcs[0].notified.len(), told);
    // It is an event of ROOT alone.
    let reply = rig.say("Context = * { Modify = * { Events = 6 { ocp/mg_overload } } }");
    assert!(reply.contains("Error = 512"), "{reply}");
}

#[test]
fn an_mgc_hands_the_gateway_over() {
    let mut rig = started(rig::config());
    rig.add_mgc(MGC_2);
    rig.call();
    let reply = rig.say(&format!(
        "Context = - {{ ServiceChange = ROOT {{ Services {{ Method = Handoff, \
         MgcIdToTry = [{}]:2944, Reason = \"903 MGC directed change\" }} }} }}",
        at(MGC_2).ip()
    ));
    assert!(reply.contains("ServiceChange = ROOT"), "{reply}");
    rig.pass(MOMENT);
    assert_eq!(in_service(&rig), Some(at(MGC_2)));
    assert_eq!(heard(&rig, 1), [("HandOff", 903)]);
    assert_eq!(rig.mg.status().contexts, 1, "calls go on");
}

#[test]
fn a_hand_over_to_an_mgc_that_does_not_answer_is_as_if_the_own_had_failed() {
    let mut rig = started(two_mgcs());
    rig.call();
    rig.say(
        "Context = - { ServiceChange = ROOT { Services { Method = Handoff, \
         MgcIdToTry = [192.0.2.99]:2944, Reason = \"903 MGC directed change\" } } }",
    );
    rig.pass(Duration::from_secs(19));
    assert_eq!(in_service(&rig), None);
    rig.pass(Duration::from_secs(2));
    assert_eq!(in_service(&rig), Some(at(MGC)));
    assert_eq!(heard(&rig, 0), [COLD, LOST]);
    assert_eq!(rig.mg.status().contexts, 1, "calls go on");
}

#[test]
fn an_mgc_that_leaves_takes_its_contexts_along() {
    let change = |method: &str, reason: &str| {
        format!(
            "Context = - {{ ServiceChange = ROOT {{ Services {{ Method = {method}, \
             Reason = \"{reason}\" }} }} }}"
        )
    };
    let mut rig = started(two_mgcs());
    rig.call();
    rig.say(&change("Forced", "909 MGC impending failure"));
    rig.pass(MOMENT);
    assert_eq!(in_service(&rig), Some(at(MGC_2)));
    assert_eq!(heard(&rig, 1), [("Restart", 902)]);
    rig.assert_empty();

    let mut rig = started(rig::config());
    rig.call();
    rig.say(&change("Restart", "901 Cold boot"));
    rig.pass(MOMENT);
    assert_eq!(heard(&rig, 0), [COLD, ("Restart", 902)]);
    assert_eq!(in_service(&rig), Some(at(MGC)));
    rig.assert_empty();

    let mut rig = started(rig::config());
    rig.call();
    for said in [
        change("Graceful", "909 MGC impending failure"),
        change("Disconnected", "900 a"),
    ] {
        let reply = rig.say(&said);
        assert!(!reply.contains("Error"), "{reply}");
    }
    let reply = rig.say(&change("X-mine", "900 a"));
    assert!(reply.contains("Error = 449"), "{reply}");
    assert_eq!(rig.mg.status().contexts, 1);
}

#[test]
fn leaving_is_announced_and_nothing_is_left() {
    let mut rig = started(rig::config());
    rig.call();
    rig.mg.leave(rig.now, &mut rig.plane, Duration::ZERO);
    rig.pass(MOMENT);
    assert_eq!(heard(&rig, 0), [COLD, ("Forced", 908)]);
    assert!(rig.mg.is_ended());
    rig.assert_empty();
}

#[test]
fn leaving_does_not_wait_for_an_mgc_that_is_gone() {
    let mut rig = started(rig::config());
    rig.mgcs[0].is_alive = false;
    rig.mg.leave(rig.now, &mut rig.plane, Duration::ZERO);
    rig.pass(Duration::from_secs(2));
    assert!(rig.mg.is_ended());
    let mut rig = Rig::with(rig::config(), 1, PERFECT);
    rig.mgcs[0].is_alive = false;
    rig.start();
    rig.mg.leave(rig.now, &mut rig.plane, Duration::ZERO);
    assert!(rig.mg.is_ended());
}

#[test]
fn a_graceful_end_lets_calls_end_and_takes_no_new_ones() {
    let mut rig = started(rig::config());
    let (context, _) = rig.call();
    rig.mg.leave(rig.now, &mut rig.plane, MINUTE);
    rig.pass(MOMENT);
    assert_eq!(heard(&rig, 0), [COLD, ("Graceful", 908)]);
    assert_eq!(rig.mgcs[0].changes[1].delay, Some(60));
    let reply = rig.say(rig::CALL);
    assert!(reply.contains("Error = 502"), "{reply}");
    rig.say(&format!("Context = {context} {{ W-Subtract = * }}"));
    rig.pass(MOMENT);
    assert_eq!(heard(&rig, 0).last(), Some(&("Forced", 908)));
    assert!(rig.mg.is_ended());

    let mut rig = started(rig::config());
    rig.call();
    rig.mg.leave(rig.now, &mut rig.plane, MINUTE);
    rig.pass(Duration::from_secs(59));
    assert!(!rig.mg.is_ended());
    rig.pass(Duration::from_secs(2));
    assert!(rig.mg.is_ended());
    rig.assert_empty();
}

#[test]
fn messages_that_cannot_be_read_are_answered_and_counted() {
    let mut rig = started(rig::config());
    let (context, _) = rig.call();
    for bytes in [
        &b"hello"[..],
        b"!/3 [192.0.2.11]:2944 T=9{C=$$}",
        b"",
        &[0xff; 100],
    ] {
        rig.mg.handle_input(rig.now, &mut rig.plane, at(MGC), bytes);
    }
    assert_eq!(rig.mg.counters().malformed, 4);
    let _ = context;
    assert_eq!(rig.mg.status().contexts, 1);
    assert!(at(MG).is_ipv4());
}

fn offering(versions: &[u8]) -> Rig {
    let mut config = rig::config();
    let named = |&version: &u8| Profile {
        name: "Example".into(),
        version,
    };
    config.association.profiles = versions.iter().map(named).collect();
    Rig::with(config, 1, PERFECT)
}

/// The versions of the profiles that the MGC was offered.
fn offered(rig: &Rig) -> Vec<Option<u8>> {
    let changes = rig.mgcs[0].changes.iter();
    let versions = changes.map(|change| change.profile.as_ref().map(|profile| profile.version));
    versions.collect()
}

#[test]
fn profiles_are_offered_one_after_the_other() {
    let mut rig = offering(&[3, 2, 1]);
    rig.mgcs[0].answer = Answer::Refuse(ErrorCode::UNKNOWN_PROFILE);
    rig.start();
    rig.pass(Duration::from_millis(1));
    assert_eq!(offered(&rig), [Some(3), Some(2), Some(1)]);
    // In the next round all over again.
    let result = ServiceChangeResult {
        version: Some(3),
        ..ServiceChangeResult::default()
    };
    rig.mgcs[0].answer = Answer::Accept(result);
    rig.pass(Duration::from_secs(3));
    assert_eq!(offered(&rig)[3..], [Some(3)]);
    assert_eq!(rig.mg.status().state, "in service");
}

#[test]
fn an_mgc_may_name_another_profile_of_ours_and_no_other() {
    for (named, state) in [(2, "in service"), (9, "no controller")] {
        let mut rig = offering(&[3, 2]);
        let result = ServiceChangeResult {
            version: Some(3),
            profile: Some(Profile {
                name: "example".into(),
                version: named,
            }),
            ..ServiceChangeResult::default()
        };
        rig.mgcs[0].answer = Answer::Accept(result);
        rig.start();
        rig.pass(Duration::from_millis(1));
        assert_eq!(rig.mg.status().state, state, "{named}");
    }
}
