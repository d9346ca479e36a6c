//! From session descriptions to plans and back (TS 23.334 5.1).

use std::net::IpAddr;

use base::Entropy;
use sdp::Session;

use crate::entity::pcscf::media::{Media, Protection, Step};
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

/// An offer of an end where nobody protects media of their own accord.
fn offer(media: &mut Media, side: Side, description: &Session, nat: Option<IpAddr>) -> Step {
    let mut protection = Protection {
        entropy: &mut Entropy::from_u64(1),
        is_offered: false,
    };
    media.offer(side, description, nat, &mut protection)
}

/// An offer to or from a UE that has said that it protects its media.
fn offer_protected(media: &mut Media, side: Side, description: &Session, seed: u64) -> Step {
    let mut protection = Protection {
        entropy: &mut Entropy::from_u64(seed),
        is_offered: true,
    };
    media.offer(side, description, None, &mut protection)
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
    let offered = offer(&mut media, Side::Access, &audio(UE, ""), None);
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
    let offered = offer(&mut media, Side::Access, &audio(UE, ""), None);
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
        let offered = offer(&mut media, Side::Access, &audio(UE, ""), None);
        apply(&mut media, offered);
        let answered = plan(media.answer(Side::Core, &audio(FAR, direction), None));
        assert_eq!(modes(&answered), expected, "{direction}");
    }
}

#[test]
fn what_is_in_force_is_not_asked_for_again() {
    let mut media = agreed();
    assert_eq!(
        offer(&mut media, Side::Core, &audio(FAR, ""), None),
        Step::Keep
    );
    assert_eq!(media.answer(Side::Access, &audio(UE, ""), None), Step::Keep);
}

#[test]
fn a_refused_offer_leaves_what_was_agreed() {
    let mut media = agreed();
    let before = media.agreed().clone();
    let moved = offer(&mut media, Side::Access, &audio("192.0.2.199", ""), None);
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
    let held = offer(
        &mut media,
        Side::Core,
        &audio("0.0.0.0", "a=sendonly\r\n"),
        None,
    );
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
    let offered = offer(&mut media, Side::Access, &description(UE, both), None);
    let offered = apply(&mut media, offered);
    assert!(offered.streams.iter().all(|stream| stream.used));
    let one = "m=audio 4000 RTP/AVP 8\r\nm=video 0 RTP/AVP 99\r\n";
    let answered = media.answer(Side::Core, &description(FAR, one), None);
    let answered = apply(&mut media, answered);
    let used: Vec<bool> = answered.streams.iter().map(|stream| stream.used).collect();
    assert_eq!(used, [true, false]);

    let again = plan(offer(
        &mut media,
        Side::Access,
        &description(UE, both),
        None,
    ));
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
    let added = plan(offer(&mut media, Side::Core, &description(FAR, both), None));
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
        let offered = plan(offer(&mut media, Side::Access, &audio(UE, ""), nat));
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
        let offered = plan(offer(&mut media, Side::Access, &audio(UE, attribute), None));
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
    let offered = offer(&mut media, Side::Access, &audio(UE, ""), None);
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

const KEY: &str = "AES_CM_128_HMAC_SHA1_80 inline:WVNfX19zZW1jdGwgKCkgewkyMjA7fQp9CnVubGVz";
const KEY_32: &str = "AES_CM_128_HMAC_SHA1_32 inline:PS1uQCVeeCFCanVmcjkpPywjNWhcYD0mXXtxaVBR";

fn protected_audio(attributes: &str) -> Session {
    description(UE, &format!("m=audio 4000 RTP/SAVP 8 101\r\n{attributes}"))
}

fn keys(plan: &Plan) -> (String, Option<String>) {
    let srtp = plan.streams[0].srtp.as_ref().expect("it is protected");
    (
        srtp.local.to_string(),
        srtp.remote.as_deref().map(str::to_owned),
    )
}

fn rewritten(media: &Media, side: Side, mut session: Session) -> String {
    media.rewrite(side, &mut session);
    text(&session)
}

#[test]
fn protection_that_a_ue_asks_for_ends_at_the_gateway() {
    // TS 24.229 6.7.2.2; of two descriptions the first that can be used.
    let attributes = format!(
        "a=3ge2ae:requested\r\na=crypto:1 F8_128_HMAC_SHA1_80 inline:AAAA\r\na=crypto:7 {KEY_32}\r\n\
         a=crypto:8 {KEY}\r\n"
    );
    let mut media = Media::default();
    let step = offer(
        &mut media,
        Side::Access,
        &protected_audio(&attributes),
        None,
    );
    let plan = apply(&mut media, step);
    let stream = &plan.streams[0];
    assert_eq!(&*stream.protocol, "RTP/AVP");
    assert_eq!(&*stream.protocol_at(Side::Access), "RTP/SAVP");
    assert_eq!(&*stream.protocol_at(Side::Core), "RTP/AVP");
    let (local, remote) = keys(&plan);
    assert_eq!(remote, Some(format!("7 {KEY_32}")));
    assert!(
        local.starts_with("7 AES_CM_128_HMAC_SHA1_32 inline:"),
        "{local}"
    );
    assert_ne!(Some(&local), remote.as_ref());

    let to_core = rewritten(&media, Side::Access, protected_audio(&attributes));
    assert!(
        to_core.contains("m=audio 20002 RTP/AVP 8 101\r\n"),
        "{to_core}"
    );
    assert!(
        !to_core.contains("crypto") && !to_core.contains("3ge2ae"),
        "{to_core}"
    );

    let step = media.answer(Side::Core, &audio(FAR, ""), None);
    let plan = apply(&mut media, step);
    assert_eq!(keys(&plan), (local.clone(), remote));
    let to_ue = rewritten(&media, Side::Core, audio(FAR, ""));
    assert!(
        to_ue.contains("m=audio 20000 RTP/SAVP 8 101\r\n"),
        "{to_ue}"
    );
    assert!(to_ue.contains(&format!("a=crypto:{local}\r\n")), "{to_ue}");
    assert!(!to_ue.contains("3ge2ae"), "{to_ue}");
    // A stream that is refused has the protocol of its offer all the same (RFC 3264 6).
    let refused = description(FAR, "m=audio 0 RTP/AVP 8\r\n");
    let to_ue = rewritten(&media, Side::Core, refused);
    assert!(to_ue.contains("m=audio 0 RTP/SAVP 8\r\n"), "{to_ue}");
    assert!(!to_ue.contains("crypto"), "{to_ue}");
}

#[test]
fn protection_from_end_to_end_passes_as_it_is() {
    let attributes = format!("a=crypto:1 {KEY}\r\n");
    let mut media = Media::default();
    let step = offer(
        &mut media,
        Side::Access,
        &protected_audio(&attributes),
        None,
    );
    let plan = apply(&mut media, step);
    assert_eq!(plan.streams[0].srtp, None);
    assert_eq!(&*plan.streams[0].protocol, "RTP/SAVP");
    let to_core = rewritten(&media, Side::Access, protected_audio(&attributes));
    assert!(to_core.contains("RTP/SAVP"), "{to_core}");
    assert!(to_core.contains(&attributes), "{to_core}");
}

#[test]
fn a_stream_whose_keys_cannot_be_used_is_refused() {
    for attributes in [
        "a=3ge2ae:requested\r\n".to_owned(),
        format!("a=3ge2ae:requested\r\na=crypto:1 {KEY} KDR=4\r\n"),
    ] {
        let mut media = Media::default();
        let step = offer(
            &mut media,
            Side::Access,
            &protected_audio(&attributes),
            None,
        );
        let plan = apply(&mut media, step);
        assert!(!plan.streams[0].used);
        let to_core = rewritten(&media, Side::Access, protected_audio(&attributes));
        assert!(to_core.contains("m=audio 0 "), "{to_core}");
    }
}

#[test]
fn a_ue_that_protects_its_media_is_offered_so() {
    let mut media = Media::default();
    let step = offer_protected(&mut media, Side::Core, &audio(FAR, ""), 3);
    let plan = apply(&mut media, step);
    let (local, remote) = keys(&plan);
    assert!(
        local.starts_with("1 AES_CM_128_HMAC_SHA1_80 inline:"),
        "{local}"
    );
    assert_eq!(remote, None);
    let to_ue = rewritten(&media, Side::Core, audio(FAR, ""));
    assert!(to_ue.contains("RTP/SAVP 8 101\r\n"), "{to_ue}");
    assert!(to_ue.contains(&format!("a=crypto:{local}\r\n")), "{to_ue}");
    assert!(to_ue.contains("a=3ge2ae:applied\r\n"), "{to_ue}");

    let answer = format!("a=crypto:1 {KEY}\r\n");
    let step = media.answer(Side::Access, &protected_audio(&answer), None);
    let plan = apply(&mut media, step);
    assert_eq!(keys(&plan), (local.clone(), Some(format!("1 {KEY}"))));
    let to_core = rewritten(&media, Side::Access, protected_audio(&answer));
    assert!(to_core.contains("RTP/AVP 8 101\r\n"), "{to_core}");
    assert!(!to_core.contains("crypto"), "{to_core}");

    // Later offers, of either side, keep the keys as long as the UE keeps its own.
    let held = audio(FAR, "a=sendonly\r\n");
    assert_eq!(
        offer_protected(&mut media, Side::Core, &held, 4),
        Step::Keep
    );
    let again = format!("a=3ge2ae:requested\r\na=crypto:1 {KEY}\r\na=sendonly\r\n");
    let mut other = media.clone();
    assert_eq!(
        offer_protected(&mut other, Side::Access, &protected_audio(&again), 5),
        Step::Keep
    );
    let new = format!("a=3ge2ae:requested\r\na=crypto:2 {KEY_32}\r\n");
    let step = offer_protected(&mut media, Side::Access, &protected_audio(&new), 6);
    let (changed, remote) = keys(&apply(&mut media, step));
    assert_eq!(remote, Some(format!("2 {KEY_32}")));
    assert!(
        changed.starts_with("2 AES_CM_128_HMAC_SHA1_32 inline:"),
        "{changed}"
    );
}

#[test]
fn an_answer_without_a_key_that_fits_refuses_the_stream() {
    for answer in [
        protected_audio(""),
        protected_audio(&format!("a=crypto:2 {KEY}\r\n")),
        protected_audio(&format!("a=crypto:1 {KEY_32}\r\n")),
        audio(UE, &format!("a=crypto:1 {KEY}\r\n")),
    ] {
        let mut media = Media::default();
        let step = offer_protected(&mut media, Side::Core, &audio(FAR, ""), 3);
        apply(&mut media, step);
        let plan = plan(media.answer(Side::Access, &answer, None));
        assert!(!plan.streams[0].used, "{}", text(&answer));
    }
}
