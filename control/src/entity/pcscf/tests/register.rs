//! Registration, and who a UE may say it is (TS 24.229 5.2.2, 5.2.6.3).

use super::*;
use crate::counters::Counter;

/// A registered UE and the P-CSCF; what it sends to the S-CSCF about that has been passed over.
fn registered() -> (Kit<Pcscf>, Ue) {
    let (mut kit, mut ue) = (kit(), Ue::new("alice", "192.0.2.101:5060"));
    ue.register(&mut kit, 3600);
    while kit.poll_sent().is_some() {}
    (kit, ue)
}

fn forwarded(kit: &mut Kit<Pcscf>, from: &str, draft: &mut Draft) -> Message {
    kit.receive(from, draft);
    kit.sent().message
}

#[test]
fn a_register_goes_to_the_home_network_with_the_way_back() {
    let (mut kit, mut ue) = (kit(), Ue::new("alice", "192.0.2.101:5060"));
    let mut draft = ue.draft(3600);
    draft
        .append(HeaderName::Route, &format!("<sip:{OWN};lr>"))
        .append(HeaderName::PVisitedNetworkId, "\"elsewhere\"")
        .append(HeaderName::PChargingVector, "icid-value=mine");
    let message = forwarded(&mut kit, ue.at, &mut draft);
    assert!(!message.has(HeaderName::Route));
    let path = message.header(HeaderName::Path).expect("a Path");
    assert!(
        path.starts_with("<sip:pcscf.r") && path.ends_with("@192.0.2.1:5060;lr>"),
        "{path}"
    );
    assert!(message.has_token(HeaderName::Require, "path"));
    let visited = message.header(HeaderName::PVisitedNetworkId);
    assert_eq!(visited, Some("\"ims.test\""));
    let vector: Vec<&str> = message.headers(HeaderName::PChargingVector).collect();
    assert_eq!(vector.len(), 1);
    assert!(!vector[0].contains("mine"));
}

#[test]
fn what_a_ue_says_of_its_protection_is_replaced_by_what_is_known() {
    let digest = "Digest username=\"a\", realm=\"r\", nonce=\"n\", uri=\"sip:r\", \
                  response=\"00000000000000000000000000000000\"";
    let aka = format!("{digest}, algorithm=AKAv1-MD5");
    let claim = ", integrity-protected=\"yes\"";
    let cases = [(digest, "ip-assoc-pending"), (aka.as_str(), "no")];
    for (credentials, expected) in cases {
        for claimed in ["", claim] {
            let (mut kit, mut ue) = (kit(), Ue::new("alice", "192.0.2.101:5060"));
            let mut draft = ue.draft(3600);
            draft.append(
                HeaderName::Authorization,
                &format!("{credentials}{claimed}"),
            );
            let message = forwarded(&mut kit, ue.at, &mut draft);
            let got = message
                .header(HeaderName::Authorization)
                .expect("credentials");
            let said = format!("integrity-protected=\"{expected}\"");
            assert!(got.contains(&said), "{got}");
            assert_eq!(got.matches("integrity-protected").count(), 1);
        }
    }
    let (mut kit, mut ue) = registered();
    let mut draft = ue.draft(3600);
    draft.append(HeaderName::Authorization, digest);
    let message = forwarded(&mut kit, ue.at, &mut draft);
    let got = message
        .header(HeaderName::Authorization)
        .expect("credentials");
    assert!(
        got.contains("integrity-protected=\"ip-assoc-yes\""),
        "{got}"
    );
}

#[test]
fn the_keys_of_a_challenge_are_not_for_the_ue() {
    let (mut kit, mut ue) = (kit(), Ue::new("alice", "192.0.2.101:5060"));
    kit.receive(ue.at, &mut ue.draft(3600));
    let sent = kit.sent();
    kit.reply_with(&sent, 401, |draft| {
        draft.append(
            HeaderName::WwwAuthenticate,
            "Digest realm=\"r\", nonce=\"n\", algorithm=AKAv1-MD5, qop=\"auth\", \
             ck=\"00112233445566778899aabbccddeeff\", ik=\"ffeeddccbbaa99887766554433221100\"",
        );
    });
    let challenge = kit.response(401);
    let text = challenge.header(HeaderName::WwwAuthenticate).expect("one");
    assert!(!text.contains("ck=") && !text.contains("ik="), "{text}");
    assert!(
        text.contains("nonce=\"n\"") && text.contains("AKAv1-MD5"),
        "{text}"
    );
    assert_eq!(kit.entity.registrations(), 0);
}

#[test]
fn a_register_that_nobody_answers_is_answered_by_us() {
    for trying in [false, true] {
        let (mut kit, mut ue) = (kit(), Ue::new("alice", "192.0.2.101:5060"));
        kit.receive(ue.at, &mut ue.draft(3600));
        let sent = kit.sent();
        if trying {
            kit.reply(&sent, 100);
        }
        kit.run_for(seconds(33));
        let last = std::iter::from_fn(|| kit.poll_sent()).last();
        assert_eq!(last.and_then(|sent| sent.message.status()), Some(504));
    }
}

#[test]
fn a_registration_is_kept_for_its_time_and_a_little_longer() {
    let (mut kit, mut ue) = registered();
    kit.run_for(seconds(3000));
    ue.register(&mut kit, 600);
    kit.run_for(seconds(629));
    assert_eq!(kit.entity.registrations(), 1);
    kit.run_for(seconds(1));
    assert_eq!(kit.entity.registrations(), 0);
}

#[test]
fn a_register_that_ends_all_contacts_ends_all_of_the_ue() {
    let (mut kit, mut ue) = registered();
    let mut all = ue.draft(0);
    kit.receive(ue.at, all.replace(HeaderName::Contact, "*"));
    let sent = kit.sent();
    kit.reply(&sent, 200);
    kit.response(200);
    assert_eq!(kit.entity.registrations(), 0);
}

#[test]
fn who_is_not_registered_is_not_served() {
    let (mut kit, ue) = registered();
    let stranger = Ue::new("mallory", "192.0.2.66:5060");
    for method in [Method::Invite, Method::Message, Method::Subscribe] {
        let mut draft = stranger.request(&method, "sip:alice@ims.test");
        kit.receive(stranger.at, &mut draft);
        kit.response(403);
        // Nor is one who knows only the name.
        let mut draft = ue.request(&method, "sip:bob@ims.test");
        kit.receive(stranger.at, &mut draft);
        kit.response(403);
    }
}

#[test]
fn who_has_overheard_a_call_is_not_of_it() {
    let (mut kit, ue) = registered();
    let mut invite = ue.request(&Method::Invite, "sip:bob@ims.test");
    invite.append(HeaderName::Contact, &format!("<{}>", ue.contact()));
    kit.receive(ue.at, &mut invite);
    let forwarded = kit.sent();
    kit.reply_with(&forwarded, 200, |draft| {
        draft
            .copy(HeaderName::RecordRoute)
            .append(HeaderName::Contact, "<sip:bob@192.0.2.77>");
    });
    let answer = kit.response(200);
    let of_the_call = |method: &Method, is_callers: bool| {
        let [from, to] = [HeaderName::From, HeaderName::To].map(|name| answer.header(name));
        let (from, to) = if is_callers { (from, to) } else { (to, from) };
        let mut draft = request(method, "sip:bob@192.0.2.77");
        draft
            .replace(HeaderName::From, from.expect("From"))
            .replace(HeaderName::To, to.expect("To"))
            .replace(
                HeaderName::CallId,
                answer.header(HeaderName::CallId).expect("Call-ID"),
            )
            .append(
                HeaderName::Route,
                answer.header(HeaderName::RecordRoute).expect("a route"),
            );
        draft
    };
    let stranger = "192.0.2.66:5060";
    kit.receive(stranger, &mut of_the_call(&Method::Bye, true));
    kit.response(403);
    kit.receive(stranger, &mut of_the_call(&Method::Ack, true));
    // Nor does the UE speak for the other end.
    kit.receive(ue.at, &mut of_the_call(&Method::Bye, false));
    kit.response(403);
    kit.assert_silent();
    assert_eq!(kit.counters.value(Counter::SipSourceForeign), 3);
    kit.receive(ue.at, &mut of_the_call(&Method::Bye, true));
    assert!(kit.sent().message.is_method(&Method::Bye));
}

#[test]
fn a_ue_is_who_it_registered_as_and_goes_the_way_it_was_given() {
    let (mut kit, ue) = registered();
    let alice = "\"U\" <sip:alice@ims.test>";
    for (from, preferred, asserted) in [
        ("<sip:alice@ims.test>;tag=1", None, alice),
        ("<sip:anonymous@anonymous.invalid>;tag=1", None, alice),
        (
            "<sip:bob@ims.test>;tag=1",
            Some("<sip:bob@ims.test>"),
            alice,
        ),
        (
            "<sip:alice@ims.test>;tag=1",
            Some("<tel:+15550100>"),
            "<tel:+15550100>",
        ),
    ] {
        let mut draft = ue.request(&Method::Message, "sip:carol@ims.test");
        draft
            .replace(HeaderName::From, from)
            .append(HeaderName::PAssertedIdentity, "<sip:president@ims.test>")
            .append(HeaderName::PChargingVector, "icid-value=mine")
            .append(HeaderName::Route, "<sip:192.0.2.66;lr>");
        if let Some(preferred) = preferred {
            draft.append(HeaderName::PPreferredIdentity, preferred);
        }
        kit.receive(ue.at, &mut draft);
        let sent = kit.sent();
        assert_eq!(sent.to, address(SCSCF));
        let message = &sent.message;
        let identities: Vec<&str> = message.values(HeaderName::PAssertedIdentity).collect();
        assert_eq!(identities, [asserted], "{from}");
        assert!(!message.has(HeaderName::PPreferredIdentity));
        let routes: Vec<&str> = message.values(HeaderName::Route).collect();
        assert_eq!(routes, [SERVICE_ROUTE]);
        let vector = message.header(HeaderName::PChargingVector).expect("one");
        assert!(!vector.contains("mine"));
    }
}

#[test]
fn a_request_along_the_path_reaches_the_ue() {
    let (mut kit, ue) = registered();
    let mut draft = request(&Method::Message, &ue.contact());
    draft.append(HeaderName::Route, &ue.path);
    kit.receive(SCSCF, &mut draft);
    let sent = kit.sent();
    assert_eq!(sent.to, address(ue.at));
    assert!(!sent.message.has(HeaderName::Route));
    kit.reply(&sent, 200);
    kit.response(200);
    let mut lost = request(&Method::Message, &ue.contact());
    lost.append(
        HeaderName::Route,
        "<sip:pcscf.r0123456789abcdef@192.0.2.1:5060;lr>",
    );
    kit.receive(SCSCF, &mut lost);
    kit.response(430);
}

#[test]
fn a_ping_is_answered_and_nothing_else_is_for_the_pcscf() {
    let mut kit = kit();
    for uri in ["sip:192.0.2.1:5060", "sip:pcscf@192.0.2.1:5060"] {
        kit.receive("192.0.2.66:5060", &mut request(&Method::Options, uri));
        kit.response(200);
        kit.receive("192.0.2.66:5060", &mut request(&Method::Message, uri));
        kit.response(405);
    }
}
