//! From session descriptions to plans and back (TS 23.334 5.1).

use std::net::IpAddr;

use base::Entropy;
use sdp::Session;

use crate::config::DtlsPolicy;
use crate::entity::pcscf::media::{Media, Step};
use crate::entity::pcscf::protection::Protection;
use crate::mgc::{Locals, Mode, Plan, Side};

/// The gateway's certificate.
pub const GATEWAY: &str = "sha-256 \
    00:01:02:03:04:05:06:07:08:09:0A:0B:0C:0D:0E:0F:10:11:12:13:14:15:16:17:18:19:1A:1B:1C:1D:1E:1F";

/// Where the UE says that it receives.
pub const UE: &str = "192.0.2.101";
/// Where the other end does.
pub const FAR: &str = "198.51.100.7";

/// A description of one end with these media lines.
pub fn description(at: &str, lines: &str) -> Session {
    let text = format!("v=0\r\no=- 1 1 IN IP4 {at}\r\ns=-\r\nc=IN IP4 {at}\r\nt=0 0\r\n{lines}");
    Session::parse(text.as_bytes()).expect("a description")
}

pub fn audio(at: &str, attributes: &str) -> Session {
    description(at, &format!("m=audio 4000 RTP/AVP 8 101\r\n{attributes}"))
}

/// An offer of an end where nobody protects media of their own accord.
pub fn offer(media: &mut Media, side: Side, description: &Session, nat: Option<IpAddr>) -> Step {
    let mut protection = Protection {
        entropy: &mut Entropy::from_u64(1),
        mechanism: None,
        dtls: DtlsPolicy::default(),
    };
    let step = media.offer(side, description, nat, &mut protection);
    step.expect("it can be used")
}

/// An answer that can be used.
pub fn answer(media: &mut Media, side: Side, description: &Session, nat: Option<IpAddr>) -> Step {
    let step = media.answer(side, description, nat);
    step.expect("it can be used")
}

pub fn text(session: &Session) -> String {
    let mut bytes = Vec::new();
    session.write_to(&mut bytes);
    String::from_utf8(bytes).expect("text")
}

pub fn plan(step: Step) -> Plan {
    match step {
        Step::Apply(plan) => plan,
        Step::Keep => panic!("nothing is asked for"),
    }
}

/// Brings a step into force at a gateway that receives at these ports.
pub fn apply(media: &mut Media, step: Step) -> Plan {
    let plan = plan(step);
    let locals = (0..plan.streams.len()).map(|stream| {
        let port = 20_000 + 4 * u16::try_from(stream).expect("few");
        let at = |host: &str, port: u16| {
            let used = plan.streams[stream].used;
            used.then(|| format!("{host}:{port}").parse().expect("an address"))
        };
        [at("203.0.113.1", port), at("203.0.113.2", port + 2)]
    });
    let mut locals = Locals::at(locals.collect());
    for (index, stream) in plan.streams.iter().enumerate() {
        let srtp = stream.srtp.as_ref().filter(|_| stream.used);
        if srtp.is_some_and(|srtp| srtp.dtls().is_some()) {
            locals.fingerprints.insert(index, GATEWAY.into());
        }
    }
    media.applied(plan.clone(), locals);
    plan
}

/// A leg whose UE has offered audio, and the far end has answered.
fn agreed() -> Media {
    let mut media = Media::default();
    let offered = offer(&mut media, Side::Access, &audio(UE, ""), None);
    apply(&mut media, offered);
    let answered = answer(&mut media, Side::Core, &audio(FAR, ""), None);
    apply(&mut media, answered);
    media
}

pub fn remote(plan: &Plan, stream: usize, side: Side) -> Option<String> {
    let remote = plan.streams[stream].sides[side.index()].remote?;
    Some(remote.rtp.to_string())
}

pub fn modes(plan: &Plan) -> [Mode; 2] {
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

    let answered = answer(&mut media, Side::Core, &audio(FAR, ""), None);
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
        let answered = plan(answer(&mut media, Side::Core, &audio(FAR, direction), None));
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
    assert_eq!(
        answer(&mut media, Side::Access, &audio(UE, ""), None),
        Step::Keep
    );
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
    let held = audio(UE, "a=recvonly\r\n");
    let answered = plan(answer(&mut media, Side::Access, &held, None));
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
    let answered = answer(&mut media, Side::Core, &description(FAR, one), None);
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

    let mut answered = audio(FAR, "");
    media.rewrite(Side::Core, &mut answered);
    let answered = text(&answered);
    assert!(
        answered.contains("m=audio 20000 RTP/AVP 8 101\r\n"),
        "{answered}"
    );
    assert!(answered.contains("c=IN IP4 203.0.113.1\r\n"), "{answered}");
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
    let first = answer(&mut media, Side::Core, &audio(FAR, ""), None);
    let first = apply(&mut media, first);
    let second = answer(&mut media, Side::Core, &audio("198.51.100.8", ""), None);
    let second = apply(&mut media, second);
    assert_ne!(first, second);
    assert_eq!(plan(media.turn_to(&first)), first);
    assert_eq!(*media.agreed(), first);
    assert_eq!(media.turn_to(&second), Step::Keep);
}

pub fn rewritten(media: &Media, side: Side, mut session: Session) -> String {
    media.rewrite(side, &mut session);
    text(&session)
}

/// Which side is told that RTCP may come to the port of RTP, and which does it.
fn muxed(plan: &Plan) -> [(bool, bool); 2] {
    Side::BOTH.map(|side| {
        let side = &plan.streams[0].sides[side.index()];
        (side.mux, side.is_muxed())
    })
}

#[test]
fn rtcp_on_the_port_of_rtp_is_agreed_with_each_side_for_itself() {
    const MUX: &str = "a=rtcp-mux\r\n";
    // What the UE offers, what the far end answers, and what becomes of it on both sides.
    for (offered, answered, expected) in [
        ("", "", [(false, false), (false, false)]),
        (MUX, MUX, [(true, true), (true, true)]),
        (MUX, "", [(true, true), (true, false)]),
        // RFC 5761 5.1.1 allows no such answer.
        ("", MUX, [(false, false), (false, false)]),
    ] {
        let mut media = Media::default();
        let step = offer(&mut media, Side::Access, &audio(UE, offered), None);
        apply(&mut media, step);
        let to_core = rewritten(&media, Side::Access, audio(UE, offered));
        assert_eq!(to_core.contains(MUX), !offered.is_empty(), "{to_core}");
        let step = answer(&mut media, Side::Core, &audio(FAR, answered), None);
        assert_eq!(muxed(&apply(&mut media, step)), expected);
        let to_ue = rewritten(&media, Side::Core, audio(FAR, answered));
        assert_eq!(to_ue.contains(MUX), !offered.is_empty(), "{to_ue}");
    }
}

#[test]
fn rtcp_goes_to_a_port_of_its_own_again_where_an_end_will_have_it_so() {
    let mut media = Media::default();
    let mux = "a=rtcp-mux\r\na=rtcp-mux-only\r\n";
    let step = offer(&mut media, Side::Access, &audio(UE, mux), None);
    apply(&mut media, step);
    let step = answer(&mut media, Side::Core, &audio(FAR, mux), None);
    let plan = apply(&mut media, step);
    assert_eq!(muxed(&plan), [(true, true); 2]);
    // The other side goes on as it does: it is told so anew.
    let step = offer(&mut media, Side::Access, &audio(UE, ""), None);
    let plan = apply(&mut media, step);
    assert_eq!(muxed(&plan), [(false, false), (true, true)]);
    let to_core = rewritten(&media, Side::Access, audio(UE, ""));
    assert!(to_core.contains("a=rtcp-mux\r\n"), "{to_core}");
    let step = answer(&mut media, Side::Core, &audio(FAR, "a=rtcp-mux\r\n"), None);
    assert_eq!(step, Step::Keep);
    let to_ue = rewritten(&media, Side::Core, audio(FAR, "a=rtcp-mux\r\n"));
    assert!(!to_ue.contains("rtcp-mux"), "{to_ue}");
}
