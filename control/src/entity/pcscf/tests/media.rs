//! From session descriptions to plans and back (TS 23.334 5.1).

use std::net::IpAddr;

use sdp::Session;

use crate::entity::pcscf::media::{Media, Step};
use crate::mgc::{Locals, Mode, Plan, Side};

/// Where the UE says that it receives.
const UE: &str = "192.0.2.101";
/// Where the other end does.
const FAR: &str = "198.51.100.7";

/// A description of one end with these media lines.
fn description(at: &str, lines: &str) -> Session {
    let text = format!("v=0\r\no=- 1 1 IN IP4 {at}\r\ns=-\r\nc=IN IP4 {at}\r\nt=0 0\r\n{lines}");
    Session::parse(text.as_bytes()).expect("a description")
}

fn audio(at: &str, attributes: &str) -> Session {
    description(at, &format!("m=audio 4000 RTP/AVP 8 101\r\n{attributes}"))
}

fn text(session: &Session) -> String {
    let mut bytes = Vec::new();
    session.write_to(&mut bytes);
    String::from_utf8(bytes).expect("text")
}

fn plan(step: Step) -> Plan {
    match step {
        Step::Apply(plan) => plan,
        Step::Keep => panic!("nothing is asked for"),
    }
}

/// Brings a step into force at a gateway that receives at these ports.
fn apply(media: &mut Media, step: Step) -> Plan {
    let plan = plan(step);
    let locals = (0..plan.streams.len()).map(|stream| {
        let port = 20_000 + 4 * u16::try_from(stream).expect("few");
        let at = |host: &str, port: u16| {
            let used = plan.streams[stream].used;
            used.then(|| format!("{host}:{port}").parse().expect("an address"))
        };
        [at("203.0.113.1", port), at("203.0.113.2", port + 2)]
    });
    media.applied(plan.clone(), Locals(locals.collect()));
    plan
}

/// A leg whose UE has offered audio, and the far end has answered.
fn agreed() -> Media {
    let mut media = Media::default();
    let offered = media.offer(Side::Access, &audio(UE, ""), None);
    apply(&mut media, offered);
    let answered = media.answer(Side::Core, &audio(FAR, ""), None);
    apply(&mut media, answered);
    media
}

fn remote(plan: &Plan, stream: usize, side: Side) -> Option<String> {
    let remote = plan.streams[stream].sides[side.index()].remote?;
    Some(remote.rtp.to_string())
}

fn modes(plan: &Plan) -> [Mode; 2] {
    Side::BOTH.map(|side| plan.streams[0].sides[side.index()].mode)
}

#[test]
fn an_offer_says_where_one_end_receives_and_the_answer_where_the_other_does() {
    let mut media = Media::default();
    let offered = media.offer(Side::Access, &audio(UE, ""), None);
    assert_eq!(media.offered_by(), Some(Side::Access));
    let offered = apply(&mut media, offered);
    let stream = &offered.streams[0];
    assert!(stream.used);
    assert_eq!((&*stream.kind, &*stream.protocol), ("audio", "RTP/AVP"));
    assert_eq!(
        remote(&offered, 0, Side::Access).as_deref(),
        Some("192.0.2.101:4000")
    );
    assert_eq!(remote(&offered, 0, Side::Core), None);

    let answered = media.answer(Side::Core, &audio(FAR, ""), None);
    assert_eq!(media.offered_by(), None);
    let answered = apply(&mut media, answered);
    assert_eq!(
        remote(&answered, 0, Side::Access).as_deref(),
        Some("192.0.2.101:4000")
    );
    assert_eq!(
        remote(&answered, 0, Side::Core).as_deref(),
        Some("198.51.100.7:4000")
    );
    assert_eq!(*media.agreed(), answered);
}

#[test]
fn the_direction_of_the_answer_is_that_of_the_media() {
    use Mode::{Inactive, ReceiveOnly, SendOnly, SendReceive};
    // Of the far end, seen from it; the modes are the gateway's, towards the UE and the far end.
    for (direction, expected) in [
        ("a=sendrecv\r\n", [SendReceive, SendReceive]),
        ("a=sendonly\r\n", [SendOnly, ReceiveOnly]),
        ("a=recvonly\r\n", [ReceiveOnly, SendOnly]),
        ("a=inactive\r\n", [Inactive, Inactive]),
    ] {
        let mut media = Media::default();
        let offered = media.offer(Side::Access, &audio(UE, ""), None);
        apply(&mut media, offered);
        let answered = plan(media.answer(Side::Core, &audio(FAR, direction), None));
        assert_eq!(modes(&answered), expected, "{direction}");
    }
}

#[test]
fn what_is_in_force_is_not_asked_for_again() {
    let mut media = agreed();
    assert_eq!(media.offer(Side::Core, &audio(FAR, ""), None), Step::Keep);
    assert_eq!(media.answer(Side::Access, &audio(UE, ""), None), Step::Keep);
}

#[test]
fn a_refused_offer_leaves_what_was_agreed() {
    let mut media = agreed();
    let before = media.agreed().clone();
    let moved = media.offer(Side::Access, &audio("192.0.2.199", ""), None);
    let moved = apply(&mut media, moved);
    assert_ne!(moved, before);
    assert_eq!(plan(media.refuse()), before);
    assert_eq!(media.offered_by(), None);
    assert_eq!(*media.agreed(), before);
}

#[test]
fn a_hold_by_the_unspecified_address_keeps_the_address_that_was_there() {
    // RFC 3264 8.4.
    let mut media = agreed();
    let held = media.offer(Side::Core, &audio("0.0.0.0", "a=sendonly\r\n"), None);
    assert_eq!(held, Step::Keep);
    let answer = audio(UE, "a=recvonly\r\n");
    let answered = plan(media.answer(Side::Access, &answer, None));
    assert_eq!(
        remote(&answered, 0, Side::Core).as_deref(),
        Some("198.51.100.7:4000")
    );
    assert_eq!(modes(&answered), [Mode::SendOnly, Mode::ReceiveOnly]);
}

#[test]
fn a_stream_that_the_answer_refuses_is_used_no_more_and_may_be_later() {
    let mut media = Media::default();
    let both = "m=audio 4000 RTP/AVP 8\r\nm=video 5000 RTP/AVP 99\r\n";
    let offered = media.offer(Side::Access, &description(UE, both), None);
    let offered = apply(&mut media, offered);
    assert!(offered.streams.iter().all(|stream| stream.used));
    let one = "m=audio 4000 RTP/AVP 8\r\nm=video 0 RTP/AVP 99\r\n";
    let answered = media.answer(Side::Core, &description(FAR, one), None);
    let answered = apply(&mut media, answered);
    let used: Vec<bool> = answered.streams.iter().map(|stream| stream.used).collect();
    assert_eq!(used, [true, false]);

    let again = plan(media.offer(Side::Access, &description(UE, both), None));
    assert!(again.streams[1].used);
    assert_eq!(
        remote(&again, 1, Side::Access).as_deref(),
        Some("192.0.2.101:5000")
    );
}

#[test]
fn a_stream_can_be_added() {
    let mut media = agreed();
    let both = "m=audio 4000 RTP/AVP 8 101\r\nm=video 5000 RTP/AVP 99\r\n";
    let added = plan(media.offer(Side::Core, &description(FAR, both), None));
    assert_eq!(added.streams.len(), 2);
    assert_eq!(added.streams[0], media.agreed().streams[0]);
    assert_eq!(
        remote(&added, 1, Side::Core).as_deref(),
        Some("198.51.100.7:5000")
    );
}

#[test]
fn a_ue_behind_a_nat_is_found_by_what_it_sends() {
    for (signalling, latch) in [
        (None, false),
        (Some(UE), false),
        (Some("203.0.113.66"), true),
    ] {
        let nat: Option<IpAddr> = signalling.map(|ip| ip.parse().expect("an address"));
        let mut media = Media::default();
        let offered = plan(media.offer(Side::Access, &audio(UE, ""), nat));
        let sides = offered.streams[0].sides;
        assert_eq!(sides[Side::Access.index()].latch, latch, "{signalling:?}");
        assert!(!sides[Side::Core.index()].latch);
    }
}

#[test]
fn rtcp_is_named_where_it_is_not_at_the_next_port() {
    for (attribute, rtcp) in [
        ("", None),
        ("a=rtcp:4001\r\n", None),
        ("a=rtcp:4005\r\n", Some("192.0.2.101:4005")),
        ("a=rtcp:4001 IN IP4 192.0.2.9\r\n", Some("192.0.2.9:4001")),
    ] {
        let mut media = Media::default();
        let offered = plan(media.offer(Side::Access, &audio(UE, attribute), None));
        let remote = offered.streams[0].sides[0].remote.expect("it is described");
        let named = remote.rtcp.map(|rtcp| rtcp.to_string());
        assert_eq!(named.as_deref(), rtcp, "{attribute}");
    }
}

#[test]
fn descriptions_leave_with_the_gateways_address_on_the_other_side() {
    let media = agreed();
    let mut offer = audio(
        UE,
        "a=candidate:1 1 UDP 1 192.0.2.101 4000 typ host\r\na=ptime:20\r\n",
    );
    media.rewrite(Side::Access, &mut offer);
    let offer = text(&offer);
    assert!(offer.contains("m=audio 20002 RTP/AVP 8 101\r\n"), "{offer}");
    assert!(offer.contains("c=IN IP4 203.0.113.2\r\n"), "{offer}");
    assert!(offer.contains("a=ptime:20\r\n"), "{offer}");
    assert!(!offer.contains("candidate"), "{offer}");
    assert!(!offer.contains("c=IN IP4 192.0.2.101"), "{offer}");

    let mut answer = audio(FAR, "");
    media.rewrite(Side::Core, &mut answer);
    let answer = text(&answer);
    assert!(
        answer.contains("m=audio 20000 RTP/AVP 8 101\r\n"),
        "{answer}"
    );
    assert!(answer.contains("c=IN IP4 203.0.113.1\r\n"), "{answer}");
}

#[test]
fn a_stream_for_which_the_gateway_has_no_address_is_refused() {
    let media = agreed();
    let both = "m=audio 4000 RTP/AVP 8 101\r\nm=video 5000 RTP/AVP 99\r\n";
    let mut offer = description(UE, both);
    media.rewrite(Side::Access, &mut offer);
    assert!(!offer.media[0].is_rejected());
    assert!(offer.media[1].is_rejected());
}

#[test]
fn the_dialog_that_is_heard_brings_its_own_agreement() {
    let mut media = Media::default();
    let offered = media.offer(Side::Access, &audio(UE, ""), None);
    apply(&mut media, offered);
    let first = media.answer(Side::Core, &audio(FAR, ""), None);
    let first = apply(&mut media, first);
    let second = media.answer(Side::Core, &audio("198.51.100.8", ""), None);
    let second = apply(&mut media, second);
    assert_ne!(first, second);
    assert_eq!(plan(media.turn_to(&first)), first);
    assert_eq!(*media.agreed(), first);
    assert_eq!(media.turn_to(&second), Step::Keep);
}
