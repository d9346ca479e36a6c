//! Commands: what they do, what they return, and what they are refused with.

mod rig;

use std::time::Duration;

use mg::{
    LegLatch, LegMedia, LegRtcp, LegSpeech, LegSrtp, MediaEvent, OpenError, Score, Statistics,
};
use rig::{ACCESS_4, CORE_4, CORE_6, Rig, at, locals};

use h248::message::StreamMode;
use sdp::crypto::Crypto;

/// G.711, as most of these describe.
const SPEECH: LegMedia = LegMedia::Rtp {
    clock_hz: 8000,
    speech: Some(LegSpeech::G711),
};

/// Says it and expects the code.
fn refused(rig: &mut Rig, actions: &str, code: u16) -> String {
    let reply = rig.say(actions);
    assert!(
        reply.contains(&format!("Error = {code}")),
        "{actions}\n{reply}"
    );
    reply
}

fn accepted(rig: &mut Rig, actions: &str) -> String {
    let reply = rig.say(actions);
    assert!(!reply.contains("Error"), "{actions}\n{reply}");
    reply
}

fn add(media: &str) -> String {
    format!("Context = $ {{ Add = $ {{ Media {{ Stream = 1 {{ {media} }} }} }} }}")
}

fn local(lines: &str) -> String {
    format!("LocalControl {{ Mode = SendReceive }}, Local {{ v=0\n{lines}\n }}")
}

const AUDIO_4: &str = "c=IN IP4 $\nm=audio $ RTP/AVP 8";

#[test]
fn add_returns_what_was_left_to_the_gateway() {
    let mut rig = Rig::new();
    let reply = accepted(&mut rig, rig::CALL);
    assert!(
        reply.contains("Add = ip/1/1 { Media { Stream = 1 { Local {"),
        "{reply}"
    );
    assert!(
        reply.contains("c=IN IP4 198.51.100.1 m=audio 10000 RTP/AVP 8"),
        "{reply}"
    );
    assert!(reply.contains("Add = ip/2/2"), "{reply}");
    assert!(
        reply.contains("c=IN IP4 203.0.113.1 m=audio 10000 RTP/AVP 8"),
        "{reply}"
    );
    let (leg, others) = &rig.plane.legs[&at("198.51.100.1:10000")];
    assert_eq!(others, &[at("203.0.113.1:10000")]);
    assert_eq!(leg.mode, StreamMode::SendReceive);
    assert_eq!(leg.media, SPEECH);
    assert_eq!(leg.remote, None);
}

#[test]
fn what_was_said_in_full_is_not_returned() {
    let mut rig = Rig::new();
    let full = local("c=IN IP4 198.51.100.1\nm=audio 10020 RTP/AVP 8");
    let reply = accepted(&mut rig, &add(&full));
    assert!(reply.contains("Add = ip/1/1 }"), "{reply}");
    assert!(rig.plane.open.contains(&at("198.51.100.1:10020")));
}

#[test]
fn a_single_stream_without_descriptor_is_stream_one() {
    let mut rig = Rig::new();
    let reply = accepted(
        &mut rig,
        "Context = $ { Add = $ { Media { LocalControl { Mode = SendReceive }, \
         Local { v=0\nc=IN IP6 $\nm=audio $ RTP/AVP 0\n } } } }",
    );
    assert!(reply.contains("Media { Local {"), "{reply}");
    assert!(reply.contains("c=IN IP6 2001:db8::1"), "{reply}");
}

#[test]
fn modify_sets_the_remote_side_and_the_mode() {
    let mut rig = Rig::new();
    let (context, [one, two]) = rig.call();
    accepted(
        &mut rig,
        &format!(
            "Context = {context} {{ Modify = ip/1/1 {{ Media {{ Stream = 1 {{ LocalControl {{ \
             Mode = ReceiveOnly }}, Remote {{ v=0\nc=IN IP4 192.0.2.99\nm=audio 4000 RTP/AVP 8\n\
             a=rtcp:4100\n }} }} }} }} }}"
        ),
    );
    let (leg, _) = &rig.plane.legs[&one];
    assert_eq!(leg.remote, Some(at("192.0.2.99:4000")));
    let remote = Some(at("192.0.2.99:4100"));
    assert_eq!(leg.rtcp, LegRtcp::Port { remote });
    assert_eq!(leg.mode, StreamMode::ReceiveOnly);
    assert_eq!(rig.plane.legs[&two].0.mode, StreamMode::SendReceive);
    // The old hold: nothing is sent to the unspecified address.
    let hold = "Remote { v=0\nc=IN IP4 0.0.0.0\nm=audio 4000 RTP/AVP 8\n }";
    accepted(
        &mut rig,
        &format!(
            "Context = {context} {{ Modify = ip/1/1 {{ Media {{ Stream = 1 {{ {hold} }} }} }} }}"
        ),
    );
    assert_eq!(rig.plane.legs[&one].0.remote, None);
}

#[test]
fn an_address_chosen_once_is_kept_when_asked_again() {
    let mut rig = Rig::new();
    let (context, [one, _]) = rig.call();
    let again = format!(
        "Context = {context} {{ Modify = ip/1/1 {{ Media {{ Stream = 1 {{ Local {{ v=0\n\
         c=IN IP4 $\nm=audio $ RTP/AVP 0\n }} }} }} }} }}"
    );
    let reply = rig.ask(0, &again);
    assert_eq!(locals(&reply), [one]);
    let six = again.replace("IP4", "IP6");
    let reply = rig.ask(0, &six);
    assert_eq!(locals(&reply), [at("[2001:db8::1]:10000")]);
    assert_eq!(rig.plane.closing, [one]);
}

#[test]
fn empty_local_and_remote_end_a_stream() {
    let mut rig = Rig::new();
    let (context, [one, two]) = rig.call();
    let both = format!(
        "Context = {context} {{ Modify = ip/1/1 {{ Media {{ Stream = 1 {{ LocalControl {{ Mode = \
         Inactive }}, Local {{ }}, Remote {{ }} }} }} }} }}"
    );
    accepted(&mut rig, &both);
    assert!(!rig.plane.open.contains(&one));
    assert_eq!(rig.plane.legs[&two].1, []);
    let audit = format!("Context = {context} {{ AuditValue = ip/1/1 {{ Audit {{ Media }} }} }}");
    let reply = accepted(&mut rig, &audit);
    assert!(!reply.contains("Stream"), "{reply}");
    accepted(
        &mut rig,
        &format!("Context = {context} {{ Subtract = * {{ Audit {{ }} }} }}"),
    );
    rig.assert_empty();
}

#[test]
fn a_stream_may_begin_with_local_control_alone() {
    let mut rig = Rig::new();
    accepted(&mut rig, &add("LocalControl { Mode = SendOnly }"));
    assert!(rig.plane.open.is_empty());
    let reply = rig.ask(
        0,
        "Context = * { Modify = ip/1/1 { Media { Stream = 1 { Local { v=0\nc=IN IP4 $\n\
         m=audio $ RTP/AVP 8\n } } } } }",
    );
    let (leg, _) = &rig.plane.legs[&locals(&reply)[0]];
    assert_eq!(leg.mode, StreamMode::SendOnly);
}

#[test]
fn alternatives_are_chosen_unless_they_are_to_be_reserved() {
    let mut rig = Rig::new();
    let several = "c=IN IP4 $\nm=audio $ RTP/AVP 0 8 101\na=rtpmap:101 telephone-event/8000\n\
                   a=fmtp:101 0-15\nv=0\nc=IN IP4 $\nm=audio $ RTP/AVP 18";
    let reply = accepted(&mut rig, &add(&local(several)));
    assert!(reply.contains("RTP/AVP 0 101 a=rtpmap:101"), "{reply}");
    assert!(!reply.contains("RTP/AVP 18"), "{reply}");
    let all = local(several).replace(
        "SendReceive",
        "SendReceive, ReservedGroup = ON, ReservedValue = ON",
    );
    let reply = accepted(&mut rig, &add(&all));
    assert!(reply.contains("RTP/AVP 0 8 101"), "{reply}");
    assert!(
        reply.contains("m=audio 10000 RTP/AVP 18"),
        "one address for all: {reply}"
    );
    // What cannot be used is passed over.
    let first_is_bad = format!("c=IN IP4 $\nm=message $ TCP/MSRP *\nv=0\n{AUDIO_4}");
    let reply = accepted(&mut rig, &add(&local(&first_is_bad)));
    assert!(
        reply.contains("RTP/AVP 8") && !reply.contains("MSRP"),
        "{reply}"
    );
}

#[test]
fn bad_local_and_remote_descriptors_have_their_codes() {
    let mut rig = Rig::new();
    for (lines, code) in [
        ("c=IN IP4 $\nm=audio x RTP/AVP 8", 474),
        ("c=IN IP4 $", 474),
        ("c=IN IP4 $\nm=audio $ RTP/AVP 8\nm=audio $ RTP/AVP 8", 474),
        ("m=audio $ RTP/AVP 8", 472),
        ("c=IN IP4 $\nm=audio $ RTP/AVP $", 449),
        ("c=IN IP4 *\nm=audio $ RTP/AVP 8", 449),
        ("c=IN IP4 192.0.2.77\nm=audio $ RTP/AVP 8", 449),
        ("c=IN IP4 198.51.100.1\nm=audio 9999 RTP/AVP 8", 449),
        ("c=IN IP4 198.51.100.1\nm=audio 10001 RTP/AVP 8", 449),
        ("c=IN IP4 $\nm=audio 10000 RTP/AVP 8", 449),
        ("c=IN IP4 host.example\nm=audio $ RTP/AVP 8", 449),
        ("c=IN IP4 $\nm=audio $/2 RTP/AVP 8", 449),
        ("c=IN IP4 $\nm=message $ TCP/MSRP *", 515),
    ] {
        refused(&mut rig, &add(&local(lines)), code);
    }
    for (lines, code) in [
        ("c=IN IP4 $\nm=audio 4000 RTP/AVP 8", 449),
        ("c=IN IP4 192.0.2.9\nm=audio $ RTP/AVP 8", 449),
        ("c=IN IP4 224.0.0.1\nm=audio 4000 RTP/AVP 8", 449),
        ("c=IN IP4 255.255.255.255\nm=audio 4000 RTP/AVP 8", 449),
        ("c=IN IP6 2001:db8::9\nm=audio 4000 RTP/AVP 8", 473),
    ] {
        let both = format!("{}, Remote {{ v=0\n{lines}\n }}", local(AUDIO_4));
        refused(&mut rig, &add(&both), code);
    }
    let remote = "Remote { v=0\nc=IN IP4 192.0.2.9\nm=audio 4000 RTP/AVP 8\n }";
    refused(&mut rig, &add(remote), 441);
    // Nothing is left of any of them.
    rig.assert_empty();
}

#[test]
fn realms_are_kept_to() {
    let mut rig = Rig::new();
    let in_realm = |realm: &str, lines: &str| {
        let local = local(lines);
        add(&local.replace(
            "SendReceive",
            &format!("SendReceive, ipdc/realm = \"{realm}\""),
        ))
    };
    let reply = rig.ask(0, &in_realm("access", AUDIO_4));
    assert_eq!(locals(&reply)[0].ip().to_string(), ACCESS_4);
    let reply = rig.ask(0, &in_realm("core", &AUDIO_4.replace("IP4", "IP6")));
    assert_eq!(locals(&reply)[0].ip().to_string(), CORE_6);
    refused(
        &mut rig,
        &in_realm("access", &AUDIO_4.replace("IP4", "IP6")),
        449,
    );
    refused(&mut rig, &in_realm("elsewhere", AUDIO_4), 449);
    let (context, [one, _]) = rig.call();
    assert_eq!(one.ip().to_string(), CORE_4);
    let moved = format!(
        "Context = {context} {{ Modify = ip/1/* {{ Media {{ Stream = 1 {{ LocalControl {{ \
         ipdc/realm = \"access\" }} }} }} }} }}"
    );
    refused(&mut rig, &moved, 473);
}

#[test]
fn a_name_may_choose_the_realm() {
    let mut rig = Rig::new();
    let named = |name: &str, realm: &str| {
        let local = local(AUDIO_4).replace("SendReceive", &format!("SendReceive{realm}"));
        add(&local).replace("Add = $", &format!("Add = {name}"))
    };
    for (name, ip) in [("ip/1/$", CORE_4), ("IP/2/$", ACCESS_4)] {
        let reply = rig.ask(0, &named(name, ""));
        assert_eq!(locals(&reply)[0].ip().to_string(), ip);
    }
    accepted(&mut rig, &named("ip/$", ", ipdc/realm = \"access\""));
    accepted(&mut rig, &named("ip/$/$", ""));
    for name in ["ip/3/$", "ip/0/$", "ip/x/$", "tdm/$", "ip/$/7", "ip/1/1/$"] {
        refused(&mut rig, &named(name, ""), 430);
    }
    refused(&mut rig, &named("ip/1/$", ", ipdc/realm = \"access\""), 473);
    assert_eq!(rig.plane.open.len(), 4);
}

#[test]
fn what_passed_at_an_address_given_up_still_counts() {
    let mut rig = Rig::new();
    let (context, [one, _]) = rig.call();
    let statistics = Statistics {
        packets_received: 7,
        ..Statistics::default()
    };
    rig.plane.statistics.insert(one, statistics);
    let other = "Local { v=0\nc=IN IP6 $\nm=audio $ RTP/AVP 8\n }";
    let reply = rig.ask(
        0,
        &format!(
            "Context = {context} {{ Modify = ip/1/1 {{ Media {{ Stream = 1 {{ {other} }} }} }} }}"
        ),
    );
    rig.plane.statistics.insert(locals(&reply)[0], statistics);
    let reply = accepted(
        &mut rig,
        &format!("Context = {context} {{ Subtract = ip/1/1 }}"),
    );
    assert!(reply.contains("rtp/pr = 14"), "{reply}");
}

#[test]
fn properties_and_other_items_have_their_codes() {
    let mut rig = Rig::new();
    let control = |property: &str| {
        add(&local(AUDIO_4).replace("SendReceive", &format!("SendReceive, {property}")))
    };
    for (property, code) in [
        ("xyz/a = 1", 440),
        ("nt/jit = 40", 445),
        ("gm/xyz = 1", 450),
        ("root/maxNumberOfContexts = 1", 455),
        ("gm/saf = 7", 449),
        ("ds/dscp = zz", 449),
        ("gm/lsa = \"192.0.2.9\"", 449),
    ] {
        refused(&mut rig, &control(property), code);
    }
    accepted(
        &mut rig,
        &control("ds/dscp = 2E, tman/pol = ON, tman/sdr = 9000, tman/mbs = 1500"),
    );
    let with = |descriptor: &str| {
        format!(
            "Context = $ {{ Add = $ {{ Media {{ Stream = 1 {{ {} }} }}, {descriptor} }} }}",
            local(AUDIO_4)
        )
    };
    for (descriptor, code) in [
        ("Events = 1 { xyz/a }", 440),
        ("Events = 1 { g/xyz }", 451),
        ("Events = 1 { nt/qualert }", 512),
        ("Events = 1 { it/ito { mit = 100 } }", 512),
        ("Events = 1 { adid/ipstop { xyz = 1 } }", 446),
        ("Events = 1 { adid/ipstop { Stream = 2, dt = 1 } }", 449),
        ("Signals { xyz/a }", 440),
        ("Signals { ipnapt/xyz }", 452),
        ("Signals { ipnapt/latch }", 457),
        ("Signals { ipnapt/latch { napt = UP } }", 449),
        ("Signals { ipnapt/latch { Stream = 2, napt = LATCH } }", 449),
        ("Signals { ipnapt/latch { xyz = 1 } }", 446),
        (
            "Signals { SignalList = 1 { ipnapt/latch { napt = LATCH } } }",
            513,
        ),
        ("Modem = V18", 444),
        ("Mux = H221 { ip/1/1 }", 444),
        ("Statistics { rtp/xyz }", 453),
        ("Audit { Statistics { rtp/xyz } }", 532),
    ] {
        refused(&mut rig, &with(descriptor), code);
    }
    let statistic = format!("{}, Statistics {{ rtp/ps }}", local(AUDIO_4));
    refused(&mut rig, &add(&statistic), 460);
    let state = |state: &str| {
        format!("Context = $ {{ Add = $ {{ Media {{ TerminationState {{ {state} }} }} }} }}")
    };
    refused(&mut rig, &state("ServiceStates = Test"), 449);
    refused(&mut rig, &state("gm/saf = ON"), 455);
    accepted(&mut rig, "Context = * { W-Subtract = * { Audit { } } }");
    rig.assert_empty();
}

#[test]
fn a_profile_without_digits_has_no_descriptors_for_them() {
    let mut config = rig::config();
    config.profile = &mg::IX;
    let mut rig = Rig::with(config, 1, rig::PERFECT);
    rig.start();
    rig.pass(Duration::from_millis(1));
    for (descriptor, code) in [
        ("DigitMap = dm1 { (0|1) }", 444),
        ("EventBuffer { g/cause }", 444),
        ("Events = 1 { dd/ce { DigitMap = { (0|1) } } }", 440),
        ("Events = 1 { tonedet/std }", 440),
        ("Signals { dg/d1 }", 440),
        ("Signals { tonegen/pt { tl = d1 } }", 440),
        ("Media { TerminationState { Buffer = LockStep } }", 449),
        ("Audit { DigitMap = dm1 }", 532),
    ] {
        let add = format!("Context = $ {{ Add = $ {{ {descriptor} }} }}");
        refused(&mut rig, &add, code);
    }
    refused(
        &mut rig,
        "Context = - { Modify = ROOT { DigitMap = dm1 { (0|1) } } }",
        444,
    );
    rig.assert_empty();
}

#[test]
fn wrong_contexts_and_terminations_have_their_codes() {
    let mut rig = Rig::new();
    let (one, _) = rig.call();
    let (two, _) = rig.call();
    let full = format!("Context = {one} {{ Add = $, Add = $, Add = $ }}");
    accepted(&mut rig, &full);
    for (actions, code) in [
        ("Context = 4000000000 { Subtract = * }".to_owned(), 411),
        (format!("Context = {one} {{ Modify = ip/1/77 }}"), 430),
        (format!("Context = {one} {{ Subtract = ip/1/x }}"), 430),
        (format!("Context = {one} {{ Subtract = ip/2/1 }}"), 430),
        (format!("Context = {one} {{ Subtract = ip/1/3 }}"), 435),
        (format!("Context = {one} {{ Modify = ip/3/* }}"), 431),
        (format!("Context = {one} {{ Modify = $ }}"), 410),
        (format!("Context = {one} {{ Add = ip/1/3 }}"), 433),
        (format!("Context = {one} {{ Add = ip/1/77 }}"), 430),
        (format!("Context = {one} {{ Add = * }}"), 431),
        (format!("Context = {one} {{ Add = ROOT }}"), 542),
        (format!("Context = {one} {{ Move = ROOT }}"), 542),
        (format!("Context = {one} {{ Modify = ROOT }}"), 435),
        (format!("Context = {one} {{ Add = $ }}"), 434),
        (format!("Context = {one} {{ Move = ip/1/3 }}"), 434),
        (format!("Context = {one} {{ Move = ip/1/1 }}"), 433),
        (format!("Context = {one} {{ Move = ip/1/* }}"), 410),
        (
            format!("Context = {one} {{ Notify = ip/1/1 {{ ObservedEvents = 1 {{ g/cause }} }} }}"),
            443,
        ),
        ("Context = - { Subtract = ROOT }".to_owned(), 542),
        ("Context = - { Add = $ }".to_owned(), 421),
        ("Context = - { Subtract = * }".to_owned(), 431),
        (
            "Context = - { AuditValue = ip/1/1 { Audit { } } }".to_owned(),
            435,
        ),
        ("Context = $ { Modify = ip/1/1 }".to_owned(), 421),
        (
            "Context = - { Priority = 3, Modify = ROOT }".to_owned(),
            421,
        ),
        ("Context = * { Add = $ }".to_owned(), 421),
    ] {
        refused(&mut rig, &actions, code);
    }
    assert_eq!(rig.mg.status().contexts, 2);
    accepted(&mut rig, &format!("Context = {two} {{ Subtract = * }}"));
}

#[test]
fn a_failed_command_changes_nothing_and_ends_the_transaction() {
    let mut rig = Rig::new();
    let (context, [one, _]) = rig.call();
    let before = rig.plane.legs[&one].0.clone();
    let reply = refused(
        &mut rig,
        &format!(
            "Context = {context} {{ \
             Modify = ip/1/1 {{ Media {{ Stream = 1 {{ LocalControl {{ Mode = Inactive }}, \
             Local {{ v=0\nc=IN IP6 $\nm=audio $ RTP/AVP 8\n }}, \
             Remote {{ v=0\nc=IN IP4 192.0.2.9\nm=audio 4000 RTP/AVP 8\n }} }} }} }}, \
             Subtract = ip/2/2 }}, Context = {context} {{ Subtract = ip/1/1 }}"
        ),
        473,
    );
    assert!(!reply.contains("Subtract"), "{reply}");
    assert_eq!(rig.plane.legs[&one].0, before);
    assert_eq!(rig.mg.status().terminations, 2);
    assert_eq!(
        rig.plane.open.len(),
        2,
        "what it had opened is closed again"
    );
}

#[test]
fn what_was_done_before_the_failure_stays_and_is_told() {
    let mut rig = Rig::new();
    let second_fails = rig::CALL.replace("\"access\"", "\"elsewhere\"");
    let reply = refused(&mut rig, &second_fails, 449);
    assert!(
        reply.contains("Add = ip/1/1 { Media") && reply.contains("Add = $ { Error"),
        "{reply}"
    );
    assert!(!reply.contains("Context = $"), "{reply}");
    assert_eq!(rig.mg.status().contexts, 1);
    let first_fails = rig::CALL.replace("\"core\"", "\"elsewhere\"");
    let reply = refused(&mut rig, &first_fails, 449);
    assert!(reply.contains("Context = $ { Add = $ { Error"), "{reply}");
    assert_eq!(
        rig.mg.status().contexts,
        1,
        "a context that nothing came into is none"
    );
}

#[test]
fn optional_commands_may_fail() {
    let mut rig = Rig::new();
    let (context, _) = rig.call();
    let reply = rig.say(&format!(
        "Context = {context} {{ O-Modify = ip/1/77, Subtract = ip/1/1 {{ Audit {{ }} }} }}, \
         Context = {context} {{ Subtract = * }}"
    ));
    assert!(reply.contains("Modify = ip/1/77 { Error = 430"), "{reply}");
    assert!(reply.contains("Subtract = ip/1/1 }"), "{reply}");
    assert!(reply.contains("Subtract = ip/2/2 { Statistics"), "{reply}");
    rig.assert_empty();
}

#[test]
fn subtract_returns_statistics_unless_told_otherwise() {
    let mut rig = Rig::new();
    let (context, [one, _]) = rig.call();
    let statistics = Statistics {
        packets_sent: 5,
        packets_received: 7,
        octets_sent: 500,
        octets_received: 700,
        packets_expected: 8,
        packets_lost: 1,
        jitter_ticks: 3,
        last_arrival: None,
        score: Some(Score {
            listening: 41,
            conversing: 39,
        }),
    };
    rig.plane.statistics.insert(one, statistics);
    rig.pass(Duration::from_secs(2));
    let reply = accepted(
        &mut rig,
        &format!("Context = {context} {{ Subtract = ip/1/1 }}"),
    );
    for part in [
        "rtp/ps = 5",
        "rtp/pr = 7",
        "nt/os = 500",
        "nt/or = 700",
        "rtp/pl = 12.50",
        "rtp/jit = 3",
        "nt/dur = 2000",
        "rtcpxr/moslq = 41",
        "rtcpxr/moscq = 39",
    ] {
        assert!(reply.contains(part), "{part} is not in {reply}");
    }
    let nothing = format!("Context = {context} {{ Subtract = ip/2/2 {{ Audit {{ }} }} }}");
    let reply = accepted(&mut rig, &nothing);
    assert!(reply.ends_with("Subtract = ip/2/2 } }"), "{reply}");
    rig.assert_empty();
}

#[test]
fn what_has_no_score_is_said_to_have_none_and_of_several_the_worst_counts() {
    let mut rig = Rig::new();
    let (context, [one, _]) = rig.call();
    let audit = format!(
        "Context = {context} {{ AuditValue = ip/1/1 {{ Audit {{ Statistics {{ rtcpxr/moslq }} }} }} }}"
    );
    let reply = accepted(&mut rig, &audit);
    assert!(reply.contains("rtcpxr/moslq = 127"), "{reply}");
    for listening in [43, 31, 40] {
        let score = Score {
            listening,
            conversing: 30,
        };
        let statistics = Statistics {
            score: Some(score),
            ..Statistics::default()
        };
        rig.plane.statistics.insert(one, statistics);
        let reply = accepted(&mut rig, &audit);
        let said = format!("Statistics {{ rtcpxr/moslq = {listening} }}");
        assert!(reply.contains(&said), "{reply}");
    }
    let union = format!("Context = {context} {{ W-Subtract = * }}");
    let reply = accepted(&mut rig, &union);
    assert!(reply.contains("rtcpxr/moslq = 40"), "{reply}");
}

#[test]
fn statistics_that_are_not_kept_are_not_returned() {
    let mut rig = Rig::new();
    let kept = |list: &str| {
        let media = local(AUDIO_4);
        format!(
            "Context = $ {{ Add = $ {{ Media {{ Stream = 1 {{ {media} }} }}, Statistics {{ {list} }} }} }}"
        )
    };
    accepted(&mut rig, &kept("rtp/ps"));
    let reply = accepted(&mut rig, "Context = * { Subtract = ip/1/1 }");
    assert!(reply.contains("Statistics { rtp/ps = 0 }"), "{reply}");
}

#[test]
fn one_union_answers_a_wildcard_when_asked() {
    let mut rig = Rig::new();
    let (context, locals) = rig.call();
    for local in locals {
        let statistics = Statistics {
            packets_sent: 5,
            ..Statistics::default()
        };
        rig.plane.statistics.insert(local, statistics);
    }
    let reply = accepted(
        &mut rig,
        &format!("Context = {context} {{ W-Subtract = * }}"),
    );
    assert_eq!(reply.matches("Subtract").count(), 1, "{reply}");
    assert!(
        reply.contains("Subtract = * { Statistics") && reply.contains("rtp/ps = 10"),
        "{reply}"
    );
    rig.call();
    rig.call();
    let reply = accepted(&mut rig, "Context = * { W-Subtract = * { Audit { } } }");
    assert_eq!(reply, "Reply = 1 { Context = * { Subtract = * } }");
    rig.assert_empty();
    let reply = refused(
        &mut rig,
        "Context = * { O-W-Subtract = * { Audit { } } }, Context = - { AuditValue = ROOT { Audit { } } }",
        431,
    );
    assert!(reply.contains("AuditValue = ROOT"), "{reply}");
}

#[test]
fn all_contexts_answer_one_by_one() {
    let mut rig = Rig::new();
    let (one, _) = rig.call();
    let (two, _) = rig.call();
    let reply = accepted(
        &mut rig,
        "Context = * { AuditValue = ip/2/* { Audit { } } }",
    );
    for (context, name) in [(one, "ip/2/2"), (two, "ip/2/4")] {
        let part = format!("Context = {context} {{ AuditValue = Context{{{name}}} }}");
        assert!(reply.contains(&part), "{part} is not in {reply}");
    }
    let reply = accepted(
        &mut rig,
        "Context = * { AuditValue = ip/1/3 { Audit { Media } } }",
    );
    assert!(
        reply.contains(&format!("Context = {two} {{ AuditValue = ip/1/3 {{ Media")),
        "{reply}"
    );
    refused(
        &mut rig,
        "Context = * { AuditValue = ip/1/77 { Audit { } } }",
        430,
    );
    refused(
        &mut rig,
        "Context = * { AuditValue = x/* { Audit { } } }",
        431,
    );
}

#[test]
fn move_takes_a_termination_to_another_context() {
    let mut rig = Rig::new();
    let (one, [moved, left]) = rig.call();
    let (two, [other, _]) = rig.call();
    accepted(
        &mut rig,
        &format!("Context = {two} {{ Subtract = ip/2/4 {{ Audit {{ }} }} }}"),
    );
    accepted(
        &mut rig,
        &format!(
            "Context = {two} {{ Move = ip/1/1 {{ Media {{ Stream = 1 {{ LocalControl {{ Mode = SendOnly }} }} }} }} }}"
        ),
    );
    assert_eq!(rig.plane.legs[&moved].1, [other]);
    assert_eq!(rig.plane.legs[&moved].0.mode, StreamMode::SendOnly);
    assert_eq!(rig.plane.legs[&left].1, []);
    let reply = accepted(&mut rig, "Context = $ { Move = ip/2/2 }");
    assert!(!reply.contains("Context = $"), "{reply}");
    refused(
        &mut rig,
        &format!("Context = {one} {{ Subtract = * }}"),
        411,
    );
    assert_eq!(rig.mg.status().contexts, 2);
    accepted(&mut rig, "Context = * { W-Subtract = * { Audit { } } }");
    rig.assert_empty();
}

#[test]
fn topology_closes_ways_between_two_terminations() {
    let mut rig = Rig::new();
    let (context, [one, two]) = rig.call();
    let mut set = |topology: &str| {
        accepted(
            &mut rig,
            &format!("Context = {context} {{ Topology {{ {topology} }} }}"),
        );
        [one, two].map(|local| rig.plane.legs[&local].1.len())
    };
    assert_eq!(set("ip/1/1, ip/2/2, Isolate"), [0, 0]);
    assert_eq!(set("ip/1/1, ip/2/2, Oneway"), [1, 0]);
    assert_eq!(set("ip/2/2, ip/1/1, Oneway"), [0, 1]);
    assert_eq!(set("*, *, Isolate"), [0, 0]);
    assert_eq!(set("ip/1/1, ip/2/2, Bothway"), [1, 1]);
    refused(
        &mut rig,
        &format!("Context = {context} {{ Topology {{ ip/1/1, ip/1/77, Isolate }} }}"),
        435,
    );
    refused(
        &mut rig,
        &format!("Context = {context} {{ Topology {{ ip/1/1, ip/1/1, Isolate }} }}"),
        522,
    );
}

#[test]
fn attributes_of_contexts_are_kept_and_audited() {
    let mut rig = Rig::new();
    let urgent = rig::CALL.replacen('{', "{ Emergency, Priority = 7,", 1);
    accepted(&mut rig, &urgent);
    rig.call();
    let reply = accepted(
        &mut rig,
        "Context = * { ContextAudit { Priority, Emergency } }",
    );
    assert_eq!(reply.matches("Context").count(), 2, "{reply}");
    assert!(
        reply.contains("Priority = 7") && reply.contains("Emergency"),
        "{reply}"
    );
}

#[test]
fn audits_of_root_tell_packages_limits_and_events() {
    let mut rig = Rig::new();
    let reply = accepted(&mut rig, "Context = - { AuditValue = ROOT { Audit { } } }");
    assert_eq!(reply, "Reply = 1 { Context = - { AuditValue = ROOT } }");
    let all = "Audit { Media, Events, Signals, DigitMap, Statistics, Packages }";
    let reply = accepted(
        &mut rig,
        &format!("Context = - {{ AuditValue = ROOT {{ {all} }} }}"),
    );
    for part in [
        "root/maxNumberOfContexts = 100",
        "root/maxTerminationsPerContext = 5",
        "ServiceStates = InService",
        "ipnapt-1",
        "gm-2",
    ] {
        assert!(reply.contains(part), "{part} is not in {reply}");
    }
    let reply = accepted(
        &mut rig,
        &format!("Context = - {{ AuditCapability = ROOT {{ {all} }} }}"),
    );
    assert!(reply.contains("it/ito"), "{reply}");
    accepted(
        &mut rig,
        "Context = - { Modify = ROOT { Events = 9 { it/ito { mit = 6000 } } } }",
    );
    let reply = accepted(
        &mut rig,
        "Context = - { AuditValue = ROOT { Audit { Events } } }",
    );
    assert!(
        reply.contains("Events = 9 { it/ito { mit = 6000 } }"),
        "{reply}"
    );
}

#[test]
fn properties_of_root_can_be_set_where_they_can() {
    let mut rig = Rig::new();
    let set = |property: &str| {
        format!(
            "Context = - {{ Modify = ROOT {{ Media {{ TerminationState {{ {property} }} }} }} }}"
        )
    };
    accepted(&mut rig, &set("root/MGOriginatedPendingLimit = 7"));
    let reply = accepted(
        &mut rig,
        "Context = - { AuditValue = ROOT { Audit { Media } } }",
    );
    assert!(
        reply.contains("root/MGOriginatedPendingLimit = 7"),
        "{reply}"
    );
    for (property, code) in [
        ("root/maxNumberOfContexts = 7", 534),
        ("root/MGOriginatedPendingLimit = x", 449),
        ("root/MGOriginatedPendingLimit = 0", 449),
        ("root/xyz = 1", 450),
    ] {
        refused(&mut rig, &set(property), code);
    }
    refused(
        &mut rig,
        "Context = - { Modify = ROOT { Signals { ipnapt/latch { napt = OFF } } } }",
        444,
    );
}

#[test]
fn audits_of_terminations_tell_all_or_single_items() {
    let mut rig = Rig::new();
    let (context, _) = rig.call();
    let audit = |what: &str| {
        format!("Context = {context} {{ AuditValue = ip/1/1 {{ Audit {{ {what} }} }} }}")
    };
    let reply = accepted(
        &mut rig,
        &audit("Media, Events, Signals, DigitMap, Statistics, Packages"),
    );
    for part in [
        "LocalControl { Mode = SendReceive",
        "ipdc/realm = \"core\"",
        "c=IN IP4 198.51.100.1",
        "rtp/pr = 0",
        "DigitMap",
        "Signals",
        "Events",
    ] {
        assert!(reply.contains(part), "{part} is not in {reply}");
    }
    let reply = accepted(
        &mut rig,
        &audit("Media { Stream = 1 { LocalControl { Mode } } }"),
    );
    assert!(
        reply.contains("Mode = SendReceive") && !reply.contains("Local {"),
        "{reply}"
    );
    let reply = accepted(&mut rig, &audit("Statistics { nt/dur }"));
    assert!(
        reply.contains("nt/dur") && !reply.contains("nt/os"),
        "{reply}"
    );
    refused(
        &mut rig,
        &audit("Media { Stream = 1 { LocalControl { xyz/a } } }"),
        532,
    );
    let reply = accepted(
        &mut rig,
        &format!("Context = {context} {{ AuditValue = * {{ Audit {{ }} }} }}"),
    );
    assert!(
        reply.contains("AuditValue = Context{ip/1/1,ip/2/2}"),
        "{reply}"
    );
    let capabilities = "Audit { Media, Events, Signals, Statistics, Packages }";
    for context in [context.to_string(), "-".into()] {
        let actions =
            format!("Context = {context} {{ AuditCapability = ip/* {{ {capabilities} }} }}");
        let reply = accepted(&mut rig, &actions);
        for part in [
            "ipdc/realm = {\"core\",\"access\"}",
            "gm/saf = {ON,OFF}",
            "gm/lsp = [0:65535]",
            "adid/ipstop",
            "ipnapt/latch",
            "rtp/pl",
        ] {
            assert!(reply.contains(part), "{part} is not in {reply}");
        }
    }
}

#[test]
fn latching_is_demanded_anew_by_each_signal() {
    let mut rig = Rig::new();
    let (context, [one, _]) = rig.call();
    let mut latch = |napt: &str| {
        accepted(
            &mut rig,
            &format!(
                "Context = {context} {{ Modify = ip/1/1 {{ Signals {{ ipnapt/latch {{ napt = {napt} }} }} }} }}"
            ),
        );
        rig.plane.legs[&one].0.latch
    };
    let LegLatch::First(first) = latch("LATCH") else {
        panic!()
    };
    let LegLatch::First(second) = latch("LATCH") else {
        panic!()
    };
    let LegLatch::Again(third) = latch("RELATCH") else {
        panic!()
    };
    assert!(first != second && second != third && first != third);
    assert_eq!(latch("OFF"), LegLatch::Off);
    latch("LATCH");
    // What does not speak of it leaves it.
    let mode = format!(
        "Context = {context} {{ Modify = ip/1/1 {{ Media {{ Stream = 1 {{ LocalControl {{ Mode = Inactive }} }} }} }} }}"
    );
    let before = rig.plane.legs[&one].0.latch;
    accepted(&mut rig, &mode);
    assert_eq!(rig.plane.legs[&one].0.latch, before);
}

#[test]
fn a_latched_signal_is_complete() {
    let mut rig = Rig::new();
    let (context, [one, _]) = rig.call();
    accepted(
        &mut rig,
        &format!(
            "Context = {context} {{ Modify = ip/1/1 {{ Events = 5 {{ g/sc }}, \
             Signals {{ ipnapt/latch {{ napt = LATCH, NotifyCompletion = {{ TimeOut }} }} }} }} }}"
        ),
    );
    let source = at("192.0.2.50:4000");
    for _ in 0..2 {
        rig.event(MediaEvent::Latched { local: one, source });
        rig.pass(Duration::from_millis(10));
    }
    let [notify] = rig.mgcs[0].notified.as_slice() else {
        panic!("{:?}", rig.mgcs[0].notified)
    };
    let observed = notify.observed.as_ref().expect("events");
    assert_eq!(observed.request_id.0, 5);
    assert!(observed.events[0].name.is("g", "sc"));
    assert!(observed.events[0].time.is_some());
}

#[test]
fn silence_is_notified_in_the_direction_asked_for() {
    let mut rig = Rig::new();
    let (context, [one, two]) = rig.call();
    let watch = |rig: &mut Rig, direction: &str| {
        rig.mgcs[0].notified.clear();
        accepted(
            rig,
            &format!(
                "Context = {context} {{ Modify = ip/1/1 {{ Events = 6 {{ adid/ipstop {{ dt = 10, \
                 dir = {direction} }} }} }} }}"
            ),
        );
        let of = |local| rig.plane.legs[&local].0.inactivity;
        (of(one), of(two))
    };
    let ten = Some(Duration::from_secs(10));
    assert_eq!(watch(&mut rig, "IN"), (ten, None));
    rig.event(MediaEvent::Inactive { local: one });
    rig.pass(Duration::from_millis(10));
    assert_eq!(rig.mgcs[0].notified.len(), 1);
    assert_eq!(watch(&mut rig, "OUT"), (None, ten));
    rig.event(MediaEvent::Inactive { local: two });
    rig.pass(Duration::from_millis(10));
    assert_eq!(rig.mgcs[0].notified.len(), 1);
    assert_eq!(watch(&mut rig, "BOTH"), (ten, ten));
    let active = Statistics {
        last_arrival: Some(rig.now),
        ..Statistics::default()
    };
    rig.plane.statistics.insert(two, active);
    rig.event(MediaEvent::Inactive { local: one });
    rig.pass(Duration::from_millis(10));
    assert!(
        rig.mgcs[0].notified.is_empty(),
        "the other way is not silent"
    );
    rig.pass(Duration::from_secs(10));
    rig.event(MediaEvent::Inactive { local: two });
    rig.pass(Duration::from_millis(10));
    assert_eq!(rig.mgcs[0].notified.len(), 1);
    // No Events descriptor: no event.
    accepted(
        &mut rig,
        &format!("Context = {context} {{ Modify = ip/1/1 {{ Events }} }}"),
    );
    rig.event(MediaEvent::Inactive { local: one });
    rig.pass(Duration::from_millis(10));
    assert_eq!(rig.mgcs[0].notified.len(), 1);
}

#[test]
fn a_termination_that_nobody_names_is_notified_again_and_again() {
    let mut rig = Rig::new();
    let (context, _) = rig.call();
    let watch = |time: u32| {
        format!(
            "Context = {context} {{ Modify = ip/1/1 {{ Events = 7 {{ hangterm/thb {{ timerx = {time} }} }} }} }}"
        )
    };
    for time in [50, 60, 50, 60] {
        accepted(&mut rig, &watch(time));
    }
    rig.pass(Duration::from_secs(50));
    accepted(
        &mut rig,
        &format!("Context = {context} {{ AuditValue = ip/1/1 {{ Audit {{ }} }} }}"),
    );
    rig.pass(Duration::from_secs(59));
    assert!(rig.mgcs[0].notified.is_empty());
    rig.pass(Duration::from_secs(2));
    assert_eq!(rig.mgcs[0].notified.len(), 1);
    rig.pass(Duration::from_secs(120));
    assert_eq!(rig.mgcs[0].notified.len(), 3);
    accepted(&mut rig, &watch(0));
    rig.pass(Duration::from_secs(600));
    assert_eq!(rig.mgcs[0].notified.len(), 3);
}

#[test]
fn a_termination_out_of_service_lets_nothing_pass() {
    let mut rig = Rig::new();
    let (context, [one, _]) = rig.call();
    let change = |method: &str, reason: &str| {
        format!(
            "Context = {context} {{ ServiceChange = ip/1/1 {{ Services {{ Method = {method}, Reason = \"{reason}\" }} }} }}"
        )
    };
    accepted(
        &mut rig,
        &change("Forced", "905 Termination taken out of service"),
    );
    assert_eq!(rig.plane.legs[&one].0.mode, StreamMode::Inactive);
    accepted(&mut rig, &change("Restart", "900 Service restored"));
    assert_eq!(rig.plane.legs[&one].0.mode, StreamMode::SendReceive);
    refused(&mut rig, &change("Handoff", "903 MGC directed change"), 449);
}

#[test]
fn the_last_port_is_dealt_and_the_next_refused() {
    let mut config = rig::config();
    config.ports = 10_000..=10_003;
    let mut rig = Rig::with(config, 1, rig::PERFECT);
    rig.start();
    rig.rest = Duration::from_secs(5);
    rig.pass(Duration::from_millis(1));
    let (first, _) = rig.call();
    rig.call();
    let reply = refused(&mut rig, rig::CALL, 510);
    assert!(reply.contains("Context = $"), "{reply}");
    accepted(&mut rig, &format!("Context = {first} {{ Subtract = * }}"));
    refused(&mut rig, rig::CALL, 510);
    rig.finish_closing();
    refused(&mut rig, rig::CALL, 510);
    rig.pass(Duration::from_secs(5));
    rig.call();
}

#[test]
fn the_last_context_is_made_and_the_next_refused() {
    let mut config = rig::config();
    config.contexts_max = 2;
    let mut rig = Rig::with(config, 1, rig::PERFECT);
    rig.start();
    rig.pass(Duration::from_millis(1));
    let (first, _) = rig.call();
    rig.call();
    refused(&mut rig, rig::CALL, 412);
    refused(&mut rig, "Context = $ { Move = ip/1/1 }", 412);
    accepted(&mut rig, &format!("Context = {first} {{ Subtract = * }}"));
    rig.call();
}

#[test]
fn the_last_stream_is_added_and_the_next_refused() {
    let mut rig = Rig::new();
    let streams = |count: u16| {
        let one = |id: u16| format!("Stream = {id} {{ {} }}", local(AUDIO_4));
        let all: Vec<String> = (1..=count).map(one).collect();
        format!(
            "Context = $ {{ Add = $ {{ Media {{ {} }} }} }}",
            all.join(", ")
        )
    };
    accepted(&mut rig, &streams(8));
    assert_eq!(rig.plane.open.len(), 8);
    refused(&mut rig, &streams(9), 510);
    assert_eq!(rig.plane.open.len(), 8);
}

#[test]
fn ports_that_others_hold_are_passed_over() {
    let mut rig = Rig::new();
    rig.plane.taken.insert(at("198.51.100.1:10000"));
    rig.plane.taken.insert(at("198.51.100.1:10002"));
    let (_, [one, _]) = rig.call();
    assert_eq!(one.port(), 10_004);
    let exact = local("c=IN IP4 198.51.100.1\nm=audio 10002 RTP/AVP 8");
    refused(&mut rig, &add(&exact), 510);
    rig.plane.refusal = Some(OpenError::Busy);
    refused(&mut rig, rig::CALL, 511);
    rig.plane.refusal = Some(OpenError::Exhausted);
    refused(&mut rig, rig::CALL, 510);
    rig.plane.refusal = None;
    rig.call();
}

#[test]
fn a_muxed_stream_and_one_without_rtcp_say_so() {
    let mut rig = Rig::new();
    let mux = "c=IN IP4 $\nm=audio $ RTP/AVP 8\na=rtcp-mux";
    let remote = "Remote { v=0\nc=IN IP4 192.0.2.9\nm=audio 4000 RTP/AVP 8\na=rtcp-mux\n }";
    let reply = rig.ask(0, &add(&format!("{}, {remote}", local(mux))));
    assert_eq!(rig.plane.legs[&locals(&reply)[0]].0.rtcp, LegRtcp::Muxed);
    let without = local(AUDIO_4).replace("SendReceive", "SendReceive, gm/rsb = OFF");
    let reply = rig.ask(0, &add(&without));
    assert_eq!(rig.plane.legs[&locals(&reply)[0]].0.rtcp, LegRtcp::None);
    let fax = local("c=IN IP4 $\nm=image $ udptl t38");
    let reply = rig.ask(0, &add(&fax));
    assert_eq!(rig.plane.legs[&locals(&reply)[0]].0.media, LegMedia::Udp);
}

const NEAR: &str = "1 AES_CM_128_HMAC_SHA1_80 inline:WVNfX19zZW1jdGwgKCkgewkyMjA7fQp9CnVubGVz";
const FAR: &str = "1 AES_CM_128_HMAC_SHA1_80 inline:PS1uQCVeeCFCanVmcjkpPywjNWhcYD0mXXtxaVBR";
const NEAR_32: &str = "2 AES_CM_128_HMAC_SHA1_32 inline:WVNfX19zZW1jdGwgKCkgewkyMjA7fQp9CnVubGVz";
const FAR_32: &str = "2 AES_CM_128_HMAC_SHA1_32 inline:PS1uQCVeeCFCanVmcjkpPywjNWhcYD0mXXtxaVBR";

fn protected(protocol: &str, near: &[&str], far: &[&str]) -> String {
    let lines = |values: &[&str]| {
        let lines = values.iter().map(|value| format!("\na=crypto:{value}"));
        lines.collect::<String>()
    };
    let remote = format!(
        "c=IN IP4 192.0.2.9\nm=audio 4000 {protocol} 8{}",
        lines(far)
    );
    let near = local(&format!(
        "c=IN IP4 $\nm=audio $ {protocol} 8{}",
        lines(near)
    ));
    add(&format!("{near}, Remote {{ v=0\n{remote}\n }}"))
}

#[test]
fn security_descriptions_of_local_and_remote_are_the_keys_of_the_leg() {
    let crypto = |value: &str| Crypto::parse(value).ok();
    let both = Some(LegSrtp {
        sends: crypto(NEAR),
        receives: crypto(FAR),
    });
    let cases = [
        ("RTP/SAVP", &[NEAR][..], &[FAR][..], both.clone()),
        ("RTP/SAVPF", &[NEAR], &[FAR_32, FAR], both.clone()),
        ("RTP/SAVP", &["1 F8_128_HMAC_SHA1_80 x", NEAR], &[FAR], both),
        ("RTP/AVP", &[NEAR], &[FAR], None),
        // What is protected end to end passes as it is.
        ("RTP/SAVP", &[], &[], None),
        (
            "RTP/SAVP",
            &[NEAR],
            &[],
            Some(LegSrtp {
                sends: crypto(NEAR),
                receives: None,
            }),
        ),
        (
            "RTP/SAVP",
            &[],
            &[FAR],
            Some(LegSrtp {
                sends: None,
                receives: crypto(FAR),
            }),
        ),
    ];
    for (protocol, near, far, srtp) in cases {
        let mut rig = Rig::new();
        let reply = rig.ask(0, &protected(protocol, near, far));
        let leg = &rig.plane.legs[&locals(&reply)[0]].0;
        assert_eq!(leg.srtp, srtp, "{protocol} {near:?} {far:?}");
        assert_eq!(leg.media, SPEECH);
    }
}

#[test]
fn a_leg_has_the_codec_of_speech_that_comes_first() {
    let cases = [
        ("m=audio $ RTP/AVP 0", 8000, Some(LegSpeech::G711)),
        ("m=audio $ RTP/AVP 18 8", 8000, Some(LegSpeech::G729)),
        (
            "m=audio $ RTP/AVP 101 97\na=rtpmap:101 telephone-event/8000\na=rtpmap:97 amr/8000",
            8000,
            Some(LegSpeech::Amr),
        ),
        (
            "m=audio $ RTP/AVP 98\na=rtpmap:98 AMR-WB/16000",
            16_000,
            Some(LegSpeech::AmrWb),
        ),
        ("m=video $ RTP/AVP 34", 90_000, None),
    ];
    for (lines, clock_hz, speech) in cases {
        let mut rig = Rig::new();
        let reply = rig.ask(0, &add(&local(&format!("c=IN IP4 $\n{lines}"))));
        let leg = &rig.plane.legs[&locals(&reply)[0]].0;
        assert_eq!(leg.media, LegMedia::Rtp { clock_hz, speech }, "{lines}");
    }
}

#[test]
fn one_security_description_is_kept_of_a_local_descriptor() {
    let mut rig = Rig::new();
    let reply = accepted(
        &mut rig,
        &protected("RTP/SAVP", &[NEAR_32, NEAR], &[FAR_32]),
    );
    assert!(
        reply.contains("a=crypto:2 AES_CM_128_HMAC_SHA1_32"),
        "{reply}"
    );
    assert!(!reply.contains("a=crypto:1 "), "{reply}");
}

#[test]
fn security_descriptions_that_cannot_be_used_have_their_codes() {
    let mut rig = Rig::new();
    let with_rate = format!("{NEAR} KDR=3");
    for (near, far, code) in [
        (&[NEAR][..], &[FAR_32][..], 473),
        (&[&NEAR[..60]], &[FAR], 474),
        (&["1 F8_128_HMAC_SHA1_80 inline:AAAA"], &[FAR], 449),
        (&[&with_rate], &[FAR], 449),
        (&[NEAR], &["x"], 474),
    ] {
        refused(&mut rig, &protected("RTP/SAVP", near, far), code);
    }
    rig.assert_empty();
}

#[test]
fn a_key_can_be_changed_by_a_modify_of_its_descriptor_alone() {
    let mut rig = Rig::new();
    let reply = rig.ask(0, &protected("RTP/SAVP", &[NEAR], &[FAR]));
    let local = locals(&reply)[0];
    let h248::message::ReplyBody::Actions(actions) = &reply else {
        unreachable!()
    };
    let context = actions[0].context.as_u32();
    let before = rig.plane.legs[&local].0.srtp.clone();
    let remote = "c=IN IP4 192.0.2.9\nm=audio 4000 RTP/SAVP 8\na=crypto:1 \
                  AES_CM_128_HMAC_SHA1_80 inline:NzB4d1BINUAvLEw6UzF3WSJ+PSdFcGdUJShpX1Zj";
    accepted(
        &mut rig,
        &format!(
            "Context = {context} {{ Modify = ip/1/1 {{ Media {{ Stream = 1 {{ Remote {{ v=0\n{remote}\n \
             }} }} }} }} }}"
        ),
    );
    let after = rig.plane.legs[&local].0.srtp.clone();
    let sends = |srtp: &Option<LegSrtp>| srtp.as_ref().and_then(|srtp| srtp.sends.clone());
    assert_eq!(sends(&before), sends(&after));
    assert_ne!(before, after);
}
