//! Media protected between UE and gateway: offers and answers with security descriptions and with
//! DTLS, in plans and in what is passed on (TS 24.229 6.7.2).

use base::Entropy;
use sdp::Session;
use sdp::dtls::{DescribedFault, FingerprintFault};

use super::media::*;
use crate::config::{DtlsPolicy, DtlsScope, DtlsStart};
use crate::entity::pcscf::media::{Media, Step};
use crate::entity::pcscf::protection::{Fault, Mechanism, Protection};
use crate::mgc::{DtlsPlan, DtlsSetup, Plan, Side, SrtpPlan};

/// An offer of a UE of which nothing is known.
fn try_offer(media: &mut Media, description: &Session) -> Result<Step, Fault> {
    offer_by(
        media,
        Side::Access,
        description,
        1,
        None,
        DtlsPolicy::default(),
    )
}

/// An offer to or from a UE that has said that it protects its media with keys in signalling.
fn offer_protected(media: &mut Media, side: Side, description: &Session, seed: u64) -> Step {
    let mechanism = Some(Mechanism::Sdes);
    let step = offer_by(
        media,
        side,
        description,
        seed,
        mechanism,
        DtlsPolicy::default(),
    );
    step.expect("it can be used")
}

fn offer_by(
    media: &mut Media,
    side: Side,
    description: &Session,
    seed: u64,
    mechanism: Option<Mechanism>,
    dtls: DtlsPolicy,
) -> Result<Step, Fault> {
    let mut protection = Protection {
        entropy: &mut Entropy::from_u64(seed),
        mechanism,
        dtls,
    };
    media.offer(side, description, None, &mut protection)
}

const KEY: &str = "AES_CM_128_HMAC_SHA1_80 inline:WVNfX19zZW1jdGwgKCkgewkyMjA7fQp9CnVubGVz";
const KEY_32: &str = "AES_CM_128_HMAC_SHA1_32 inline:PS1uQCVeeCFCanVmcjkpPywjNWhcYD0mXXtxaVBR";

fn protected_audio(attributes: &str) -> Session {
    description(UE, &format!("m=audio 4000 RTP/SAVP 8 101\r\n{attributes}"))
}

fn keys(plan: &Plan) -> (String, Option<String>) {
    let srtp = plan.streams[0].srtp.as_ref().and_then(SrtpPlan::sdes);
    let srtp = srtp.expect("it is protected by keys");
    (
        srtp.local.to_string(),
        srtp.remote.as_deref().map(str::to_owned),
    )
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

    let step = answer(&mut media, Side::Core, &audio(FAR, ""), None);
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
fn an_offer_whose_keys_cannot_be_used_is_refused() {
    for attributes in [
        "a=3ge2ae:requested\r\n".to_owned(),
        format!("a=3ge2ae:requested\r\na=crypto:1 {KEY} KDR=4\r\n"),
    ] {
        let mut media = Media::default();
        let refused = try_offer(&mut media, &protected_audio(&attributes));
        assert_eq!(refused, Err(Fault::Keys), "{attributes}");
        assert_eq!(media.offered_by(), None);
        // Of several streams the others are had.
        let lines = format!("m=audio 4000 RTP/SAVP 8\r\n{attributes}m=audio 4002 RTP/AVP 8\r\n");
        let step = try_offer(&mut media, &description(UE, &lines)).expect("one can be used");
        let plan = apply(&mut media, step);
        assert_eq!([false, true], [0, 1].map(|index| plan.streams[index].used));
        let to_core = rewritten(&media, Side::Access, description(UE, &lines));
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

    let own = format!("a=crypto:1 {KEY}\r\n");
    let step = answer(&mut media, Side::Access, &protected_audio(&own), None);
    let plan = apply(&mut media, step);
    assert_eq!(keys(&plan), (local.clone(), Some(format!("1 {KEY}"))));
    let to_core = rewritten(&media, Side::Access, protected_audio(&own));
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
fn an_answer_without_a_key_that_fits_cannot_be_used() {
    for (answer, fault) in [
        (protected_audio(""), Fault::Keys),
        (
            protected_audio(&format!("a=crypto:2 {KEY}\r\n")),
            Fault::Keys,
        ),
        (
            protected_audio(&format!("a=crypto:1 {KEY_32}\r\n")),
            Fault::Keys,
        ),
        (audio(UE, &format!("a=crypto:1 {KEY}\r\n")), Fault::Protocol),
    ] {
        let mut media = Media::default();
        let step = offer_protected(&mut media, Side::Core, &audio(FAR, ""), 3);
        apply(&mut media, step);
        let before = media.clone();
        let refused = media.answer(Side::Access, &answer, None);
        assert_eq!(refused, Err(fault), "{}", text(&answer));
        assert_eq!(media.agreed(), before.agreed());
    }
}

/// The UE's certificate, and another.
const PHONE: &str = "sha-256 \
    A0:A1:A2:A3:A4:A5:A6:A7:A8:A9:AA:AB:AC:AD:AE:AF:B0:B1:B2:B3:B4:B5:B6:B7:B8:B9:BA:BB:BC:BD:BE:BF";
const RENEWED: &str = "sha-256 \
    C0:C1:C2:C3:C4:C5:C6:C7:C8:C9:CA:CB:CC:CD:CE:CF:D0:D1:D2:D3:D4:D5:D6:D7:D8:D9:DA:DB:DC:DD:DE:DF";
const TLS_ID: &str = "a=tls-id:91bbf309c0990a6bec11e38ba2933cee\r\n";

/// As a browser has it, which tells of its certificate for all streams.
fn dtls_audio(certificate: &str, attributes: &str) -> Session {
    let lines = format!("m=audio 4000 UDP/TLS/RTP/SAVPF 8 101\r\n{attributes}");
    let text = format!(
        "v=0\r\no=- 1 1 IN IP4 {UE}\r\ns=-\r\nc=IN IP4 {UE}\r\nt=0 0\r\n\
         a=fingerprint:{certificate}\r\n{lines}"
    );
    Session::parse(text.as_bytes()).expect("a description")
}

fn dtls(plan: &Plan) -> &DtlsPlan {
    let srtp = plan.streams[0].srtp.as_ref().and_then(SrtpPlan::dtls);
    srtp.expect("it is protected by DTLS")
}

/// What a UE says that asks for protection as far as the gateway.
fn requested(setup: &str) -> String {
    format!("a=3ge2ae:requested\r\na=setup:{setup}\r\na=rtcp-mux\r\na=rtcp-fb:* nack\r\n{TLS_ID}")
}

#[test]
fn dtls_that_a_ue_asks_for_ends_at_the_gateway() {
    let offered = || dtls_audio(PHONE, &requested("actpass"));
    let mut media = Media::default();
    let step = offer(&mut media, Side::Access, &offered(), None);
    let plan = apply(&mut media, step);
    let stream = &plan.streams[0];
    assert_eq!(&*stream.protocol_at(Side::Access), "UDP/TLS/RTP/SAVPF");
    assert_eq!(&*stream.protocol_at(Side::Core), "RTP/AVP");
    let told = dtls(&plan);
    assert_eq!(told.fingerprints, [PHONE.into()]);
    // RFC 5763 5: who answers begins.
    assert_eq!(told.setup, DtlsSetup::Active);
    assert!(TLS_ID.contains(told.tls_id.as_deref().expect("its name")));
    assert!(stream.sides[Side::Access.index()].is_muxed());

    let to_core = rewritten(&media, Side::Access, offered());
    assert!(
        to_core.contains("m=audio 20002 RTP/AVP 8 101\r\n"),
        "{to_core}"
    );
    for gone in ["fingerprint", "setup", "tls-id", "3ge2ae", "rtcp-fb"] {
        assert!(!to_core.contains(gone), "{to_core}");
    }

    // The far end has RTCP at a port of its own, the UE has not.
    let step = answer(&mut media, Side::Core, &audio(FAR, ""), None);
    let plan = apply(&mut media, step);
    assert_eq!(dtls(&plan).fingerprints, [PHONE.into()]);
    let muxed = Side::BOTH.map(|side| plan.streams[0].sides[side.index()].is_muxed());
    assert_eq!(muxed, [true, false]);
    let to_ue = rewritten(&media, Side::Core, audio(FAR, ""));
    for told in [
        "m=audio 20000 UDP/TLS/RTP/SAVPF 8 101",
        &format!("a=fingerprint:{GATEWAY}"),
        "a=setup:active",
        "a=rtcp-mux",
    ] {
        assert!(to_ue.contains(&format!("{told}\r\n")), "{to_ue}");
    }
    for untold in ["3ge2ae", "tls-id", "crypto"] {
        assert!(!to_ue.contains(untold), "{to_ue}");
    }
    // A stream that is refused has the protocol of its offer all the same (RFC 3264 6).
    let refused = description(FAR, "m=audio 0 RTP/AVP 8\r\n");
    let to_ue = rewritten(&media, Side::Core, refused);
    assert!(
        to_ue.contains("m=audio 0 UDP/TLS/RTP/SAVPF 8\r\n"),
        "{to_ue}"
    );
    assert!(!to_ue.contains("fingerprint"), "{to_ue}");
}

/// A call of a UE that asks for DTLS and has been answered.
fn agreed_on_dtls(offered: &Session) -> Media {
    let mut media = Media::default();
    let step = offer(&mut media, Side::Access, offered, None);
    apply(&mut media, step);
    let step = answer(&mut media, Side::Core, &audio(FAR, ""), None);
    apply(&mut media, step);
    media
}

#[test]
fn who_begins_follows_from_the_offer_the_policy_and_the_nat() {
    use DtlsSetup::{Active, Passive};
    let auto = DtlsStart::Auto;
    for (offered, start, is_behind_nat, expected) in [
        ("a=setup:actpass\r\n", auto, false, Active),
        ("a=setup:actpass\r\n", auto, true, Passive),
        ("a=setup:actpass\r\n", DtlsStart::Active, true, Active),
        ("a=setup:actpass\r\n", DtlsStart::Passive, false, Passive),
        ("a=setup:active\r\n", DtlsStart::Active, false, Passive),
        ("a=setup:passive\r\n", DtlsStart::Passive, true, Active),
        // RFC 4145 4.1: an offer that says nothing begins.
        ("", DtlsStart::Active, false, Passive),
    ] {
        let mut protection = Protection {
            entropy: &mut Entropy::from_u64(1),
            mechanism: None,
            dtls: DtlsPolicy {
                scope: DtlsScope::Always,
                start,
            },
        };
        let mut media = Media::default();
        let nat = is_behind_nat.then(|| "203.0.113.66".parse().expect("an address"));
        let offered = dtls_audio(PHONE, offered);
        let step = media.offer(Side::Access, &offered, nat, &mut protection);
        let plan = plan(step.expect("it can be used"));
        assert_eq!(dtls(&plan).setup, expected, "{}", text(&offered));
    }
}

#[test]
fn hold_and_resume_of_either_end_keep_the_association() {
    let mut media = agreed_on_dtls(&dtls_audio(PHONE, &requested("actpass")));
    let agreed = dtls(media.agreed()).clone();
    // The UE may leave the roles open again: they stay (RFC 8842 5.5).
    let held = dtls_audio(PHONE, &format!("{}a=sendonly\r\n", requested("actpass")));
    let step = offer(&mut media, Side::Access, &held, None);
    assert_eq!(step, Step::Keep);
    let to_core = rewritten(&media, Side::Access, held);
    assert!(
        to_core.contains("RTP/AVP ") && to_core.contains("a=sendonly\r\n"),
        "{to_core}"
    );
    let step = answer(&mut media, Side::Core, &audio(FAR, "a=recvonly\r\n"), None);
    assert_eq!(*dtls(&apply(&mut media, step)), agreed);

    // The other end: what the UE is offered may be taken either way.
    let held = || audio(FAR, "a=sendonly\r\n");
    let step = offer(&mut media, Side::Core, &held(), None);
    assert_eq!(*dtls(&apply(&mut media, step)), agreed);
    let to_ue = rewritten(&media, Side::Core, held());
    for told in [
        "m=audio 20000 UDP/TLS/RTP/SAVPF 8 101",
        &format!("a=fingerprint:{GATEWAY}"),
        "a=setup:actpass",
        "a=3ge2ae:applied",
        "a=rtcp-mux",
    ] {
        assert!(to_ue.contains(&format!("{told}\r\n")), "{to_ue}");
    }
    let kept = format!("a=setup:passive\r\na=recvonly\r\na=rtcp-mux\r\n{TLS_ID}");
    let step = answer(&mut media, Side::Access, &dtls_audio(PHONE, &kept), None);
    assert_eq!(*dtls(&apply(&mut media, step)), agreed);
    let to_core = rewritten(&media, Side::Access, dtls_audio(PHONE, &kept));
    assert!(
        to_core.contains("RTP/AVP ") && !to_core.contains("setup"),
        "{to_core}"
    );
}

#[test]
fn another_certificate_or_name_is_another_association() {
    for (certificate, attributes) in [
        (RENEWED, requested("actpass")),
        (PHONE, requested("actpass").replace("91bbf309", "01234567")),
        (PHONE, requested("active")),
    ] {
        let mut media = agreed_on_dtls(&dtls_audio(PHONE, &requested("actpass")));
        let before = dtls(media.agreed()).clone();
        let changed = dtls_audio(certificate, &attributes);
        let step = offer(&mut media, Side::Access, &changed, None);
        let plan = apply(&mut media, step);
        assert_ne!(*dtls(&plan), before);
        assert_eq!(dtls(&plan).fingerprints, [certificate.into()]);
        // It was refused: the one before holds.
        let step = media.refuse();
        assert_eq!(*dtls(&apply(&mut media, step)), before);
    }
}

#[test]
fn a_ue_that_registered_so_or_every_one_is_offered_dtls() {
    for (mechanism, scope) in [
        (Some(Mechanism::Dtls), DtlsScope::Requested),
        (Some(Mechanism::Dtls), DtlsScope::Always),
        (None, DtlsScope::Offered),
    ] {
        let policy = DtlsPolicy {
            scope,
            start: DtlsStart::Passive,
        };
        let mut media = Media::default();
        let offered = audio(FAR, "");
        let step = offer_by(&mut media, Side::Core, &offered, 1, mechanism, policy);
        let plan = apply(&mut media, step.expect("it can be used"));
        assert_eq!(dtls(&plan).setup, DtlsSetup::ActPass);
        let to_ue = rewritten(&media, Side::Core, audio(FAR, ""));
        for told in [
            "m=audio 20000 UDP/TLS/RTP/SAVP 8 101",
            &format!("a=fingerprint:{GATEWAY}"),
            "a=setup:actpass",
            "a=rtcp-mux",
            "a=3ge2ae:applied",
        ] {
            assert!(to_ue.contains(&format!("{told}\r\n")), "{to_ue}");
        }
        for (said, setup) in [
            ("a=setup:active\r\n", DtlsSetup::Passive),
            ("a=setup:passive\r\na=rtcp-mux\r\n", DtlsSetup::Active),
            // RFC 4145 4.1: an answer that says nothing waits.
            ("", DtlsSetup::Active),
        ] {
            let mut media = media.clone();
            let answered = dtls_audio(PHONE, said);
            let step = answer(&mut media, Side::Access, &answered, None);
            let plan = apply(&mut media, step);
            assert_eq!(dtls(&plan).setup, setup);
            assert_eq!(dtls(&plan).fingerprints, [PHONE.into()]);
            let near = &plan.streams[0].sides[Side::Access.index()];
            assert_eq!(near.is_muxed(), said.contains("rtcp-mux"));
            let to_core = rewritten(&media, Side::Access, answered);
            assert!(
                to_core.contains("m=audio 20002 RTP/AVP 8 101\r\n"),
                "{to_core}"
            );
            assert!(!to_core.contains("rtcp-mux"), "{to_core}");
        }
    }
    // Whom nobody has asked is offered nothing, nor is what is no RTP.
    let mut media = Media::default();
    let image = description(FAR, "m=image 4000 udptl t38\r\n");
    let policy = DtlsPolicy {
        scope: DtlsScope::Offered,
        ..DtlsPolicy::default()
    };
    let step = offer_by(&mut media, Side::Core, &image, 1, None, policy);
    assert_eq!(plan(step.expect("it can be used")).streams[0].srtp, None);
}

#[test]
fn what_a_ue_has_in_the_clear_stays_so() {
    let mut media = Media::default();
    let step = offer_protected(&mut media, Side::Access, &audio(UE, ""), 1);
    apply(&mut media, step);
    let step = answer(&mut media, Side::Core, &audio(FAR, ""), None);
    let plan = apply(&mut media, step);
    assert_eq!(plan.streams[0].srtp, None);
    let step = offer_protected(&mut media, Side::Core, &audio(FAR, ""), 1);
    assert_eq!(step, Step::Keep);
}

#[test]
fn dtls_from_end_to_end_passes_as_it_is_unless_it_is_to_end_here() {
    let attributes = "a=setup:actpass\r\na=rtcp-mux\r\na=rtcp-mux-only\r\n";
    let mut media = Media::default();
    let offered = dtls_audio(PHONE, attributes);
    let step = offer(&mut media, Side::Access, &offered, None);
    let plan = apply(&mut media, step);
    assert_eq!(plan.streams[0].srtp, None);
    assert_eq!(&*plan.streams[0].protocol, "UDP/TLS/RTP/SAVPF");
    let to_core = rewritten(&media, Side::Access, offered.clone());
    for line in ["SAVPF", attributes, PHONE] {
        assert!(to_core.contains(line), "{to_core}");
    }
    // On as many ports as both ends have: there is a handshake for each.
    let answered = Session::parse(
        text(&offered)
            .replace("a=rtcp-mux\r\na=rtcp-mux-only\r\n", "")
            .replace(UE, FAR)
            .as_bytes(),
    );
    let answered = answered.expect("a description");
    let step = answer(&mut media, Side::Core, &answered, None);
    let plan = apply(&mut media, step);
    assert!(plan.streams[0].sides.iter().all(|side| !side.is_muxed()));
    let to_ue = rewritten(&media, Side::Core, answered);
    assert!(
        !to_ue.contains("rtcp-mux") && to_ue.contains(PHONE),
        "{to_ue}"
    );

    for scope in [DtlsScope::Always, DtlsScope::Offered] {
        let policy = DtlsPolicy {
            scope,
            ..DtlsPolicy::default()
        };
        let mut media = Media::default();
        let step = offer_by(&mut media, Side::Access, &offered, 1, None, policy);
        let plan = plan_of(step);
        assert_eq!(dtls(&plan).fingerprints, [PHONE.into()]);
    }
}

fn plan_of(step: Result<Step, Fault>) -> Plan {
    plan(step.expect("it can be used"))
}

#[test]
fn dtls_that_cannot_be_checked_is_refused_by_name() {
    let bare = |lines: &str| {
        let head = "m=audio 4000 UDP/TLS/RTP/SAVP 8\r\na=3ge2ae:requested\r\n";
        description(UE, &format!("{head}{lines}"))
    };
    let own = format!("a=fingerprint:{PHONE}\r\n");
    for (lines, fault) in [
        ("a=setup:actpass\r\n", DescribedFault::Missing),
        (
            "a=fingerprint:sha-1 00:01\r\n",
            DescribedFault::Fingerprint(FingerprintFault::Hash),
        ),
        (
            "a=fingerprint:sha-256 00:01\r\n",
            DescribedFault::Fingerprint(FingerprintFault::Malformed),
        ),
        (&format!("{own}a=setup:holdconn\r\n"), DescribedFault::Setup),
        (&format!("{own}a=tls-id:short\r\n"), DescribedFault::TlsId),
    ] {
        let mut media = Media::default();
        let refused = try_offer(&mut media, &bare(lines));
        assert_eq!(refused, Err(Fault::Certificate(fault)), "{lines}");
        // In an answer too.
        let mechanism = Some(Mechanism::Dtls);
        let policy = DtlsPolicy::default();
        let step = offer_by(
            &mut media,
            Side::Core,
            &audio(FAR, ""),
            1,
            mechanism,
            policy,
        );
        apply(&mut media, step.expect("it can be used"));
        let refused = media.answer(Side::Access, &bare(lines), None);
        assert_eq!(refused, Err(Fault::Certificate(fault)), "{lines}");
    }
    let mut media = Media::default();
    let offered = audio(FAR, "");
    let mechanism = Some(Mechanism::Dtls);
    let step = offer_by(
        &mut media,
        Side::Core,
        &offered,
        1,
        mechanism,
        DtlsPolicy::default(),
    );
    apply(&mut media, step.expect("it can be used"));
    let refused = media.answer(Side::Access, &audio(UE, ""), None);
    assert_eq!(refused, Err(Fault::Protocol));
}

#[test]
fn one_way_to_protect_may_follow_another() {
    let mut media = agreed_on_dtls(&dtls_audio(PHONE, &requested("actpass")));
    let keys = format!("a=3ge2ae:requested\r\na=crypto:1 {KEY}\r\n");
    let step = offer(&mut media, Side::Access, &protected_audio(&keys), None);
    let plan = apply(&mut media, step);
    assert!(
        plan.streams[0]
            .srtp
            .as_ref()
            .is_some_and(|srtp| srtp.sdes().is_some())
    );
    assert_eq!(&*plan.streams[0].protocol, "RTP/AVP");
    let step = offer(&mut media, Side::Access, &audio(UE, ""), None);
    assert_eq!(apply(&mut media, step).streams[0].srtp, None);
    let again = dtls_audio(PHONE, &requested("passive"));
    let step = offer(&mut media, Side::Access, &again, None);
    let plan = apply(&mut media, step);
    assert_eq!(dtls(&plan).setup, DtlsSetup::Active);
    assert_eq!(&*plan.streams[0].protocol, "RTP/AVP");
}

#[test]
fn video_keeps_its_feedback_in_the_core() {
    let video = format!(
        "m=video 4000 UDP/TLS/RTP/SAVPF 96\r\na=fingerprint:{PHONE}\r\na=rtcp-fb:96 nack pli\r\n\
         a=3ge2ae:requested\r\na=setup:actpass\r\n"
    );
    let mut media = Media::default();
    let step = offer(&mut media, Side::Access, &description(UE, &video), None);
    apply(&mut media, step);
    let to_core = rewritten(&media, Side::Access, description(UE, &video));
    assert!(
        to_core.contains("m=video 20002 RTP/AVPF 96\r\n"),
        "{to_core}"
    );
    assert!(to_core.contains("a=rtcp-fb:96 nack pli\r\n"), "{to_core}");
}
