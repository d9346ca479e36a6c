//! Requests from users and to them (TS 24.229 5.4.3.2, 5.4.3.3).

use std::time::Duration;

use super::*;
use crate::entity::testkit::{ICSCF, Sent};

const ROUTE: &str = "<sip:scscf.orig@192.0.2.1:5060;lr>";

/// An INVITE from Alice's UE, as her P-CSCF sends it on.
fn outgoing(uri: &str) -> Draft {
    let mut draft = request(&Method::Invite, uri);
    draft
        .append(HeaderName::Route, ROUTE)
        .append(HeaderName::PAssertedIdentity, "<sip:alice@ims.test>")
        .append(HeaderName::PChargingVector, "icid-value=1");
    draft
}

/// An INVITE to Alice, as the I-CSCF sends it on.
fn incoming() -> Draft {
    let mut draft = request(&Method::Invite, ALICE[0]);
    draft.append(HeaderName::Route, "<sip:scscf@192.0.2.1:5060;lr>");
    draft
}

/// Alice with contacts of these preferences.
fn forked(preferences: &[&'static str]) -> Kit<Scscf> {
    let mut kit = kit();
    for (n, q) in preferences.iter().enumerate() {
        let mut ue = Ue::new("alice", &format!("192.0.2.{}:5060", 101 + n));
        ue.params = q;
        ue.register(&mut kit, 3600);
    }
    kit
}

/// All requests that were sent.
fn requests(kit: &mut Kit<Scscf>) -> Vec<Sent> {
    let mut sent = Vec::new();
    while let Some(next) = kit.poll_sent() {
        if next.message.is_request() {
            sent.push(next);
        }
    }
    sent
}

fn targets(sent: &[Sent]) -> Vec<&str> {
    sent.iter().map(|sent| sent.message.request_uri()).collect()
}

#[test]
fn a_call_from_a_user_goes_home_with_what_the_network_says_of_it() {
    let (mut kit, _) = registered();
    kit.receive(PCSCF, &mut outgoing("sip:bob@ims.test"));
    let sent = kit.sent();
    assert_eq!(sent.to.to_string(), ICSCF);
    let message = &sent.message;
    assert!(!message.has(HeaderName::Route));
    assert_eq!(message.max_forwards(), Ok(Some(69)));
    let recorded = message.header(HeaderName::RecordRoute);
    assert_eq!(recorded, Some("<sip:scscf.dialog@192.0.2.1:5060;lr>"));
    let asserted: Vec<&str> = message.values(HeaderName::PAssertedIdentity).collect();
    assert_eq!(asserted, ["<sip:alice@ims.test>", "<tel:+15550100>"]);
    let vector = message.header(HeaderName::PChargingVector);
    assert_eq!(vector, Some("icid-value=1;orig-ioi=ims.test"));
}

#[test]
fn a_call_from_a_user_to_elsewhere_follows_its_routes() {
    let (mut kit, _) = registered();
    kit.receive(PCSCF, &mut outgoing("sip:bob@192.0.2.77"));
    assert_eq!(kit.sent().to.to_string(), "192.0.2.77:5060");
    let mut routed = outgoing("sip:bob@ims.test");
    kit.receive(
        PCSCF,
        routed.append(HeaderName::Route, "<sip:192.0.2.78;lr>"),
    );
    assert_eq!(kit.sent().to.to_string(), "192.0.2.78:5060");
}

#[test]
fn who_is_not_registered_or_barred_calls_nobody() {
    let (mut kit, _) = registered();
    // Of whom the P-CSCF says that he registered here is to do so anew (TS 24.229 5.4.3.2).
    for (asserted, status) in [
        ("<sip:bob@ims.test>", 504),
        ("<sip:temporary@ims.test>", 403),
    ] {
        let mut draft = outgoing("sip:carol@ims.test");
        kit.receive(
            PCSCF,
            draft.replace(HeaderName::PAssertedIdentity, asserted),
        );
        if status == 504 {
            refuse_restoration(&mut kit);
        }
        kit.response(status);
    }
    let mut nobody = outgoing("sip:carol@ims.test");
    kit.receive(PCSCF, nobody.remove_all(HeaderName::PAssertedIdentity));
    kit.response(403);
}

#[test]
fn a_call_to_a_user_goes_the_way_that_was_registered() {
    let (mut kit, _) = registered();
    let mut draft = incoming();
    kit.receive(
        ICSCF,
        draft.append(HeaderName::PChargingVector, "icid-value=1"),
    );
    let sent = kit.sent();
    assert_eq!(sent.to.to_string(), PCSCF);
    let message = &sent.message;
    assert_eq!(message.request_uri(), "sip:alice@192.0.2.101:5060");
    assert_eq!(message.header(HeaderName::Route), Some(PATH));
    let called = message.header(HeaderName::PCalledPartyId);
    assert_eq!(called, Some("<sip:alice@ims.test>"));
    let vector = message.header(HeaderName::PChargingVector);
    assert_eq!(vector, Some("icid-value=1;term-ioi=ims.test"));
    kit.reply(&sent, 180);
    kit.response(180);
    kit.reply(&sent, 200);
    kit.response(200);
}

#[test]
fn who_cannot_be_called_is_told_so() {
    let (mut kit, _) = registered();
    for (uri, status) in [
        ("sip:bob@ims.test", 480),
        ("sip:temporary@ims.test", 404),
        ("sip:alice@ims.test?subject=x", 400),
        ("urn:isbn:1", 416),
    ] {
        kit.receive(ICSCF, incoming().set_request_uri(uri));
        if status == 480 {
            refuse_restoration(&mut kit);
        }
        kit.response(status);
    }
    kit.receive(ICSCF, incoming().to_tag("lost"));
    kit.response(481);
    let mut looping = incoming();
    kit.receive(ICSCF, looping.replace(HeaderName::MaxForwards, "0"));
    kit.response(483);
    let mut demanding = incoming();
    kit.receive(ICSCF, demanding.append(HeaderName::ProxyRequire, "x, path"));
    let refusal = kit.response(420);
    assert_eq!(refusal.header(HeaderName::Unsupported), Some("x"));
}

#[test]
fn contacts_are_tried_in_the_order_of_preference_those_of_the_same_together() {
    let mut kit = forked(&[";q=0.5", ";q=0.9", ";q=0.9"]);
    kit.receive(ICSCF, &mut incoming());
    let first = requests(&mut kit);
    let preferred = ["sip:alice@192.0.2.102:5060", "sip:alice@192.0.2.103:5060"];
    assert_eq!(targets(&first), preferred);
    kit.reply(&first[0], 486);
    assert!(
        requests(&mut kit)
            .iter()
            .all(|sent| sent.message.is_method(&Method::Ack))
    );
    kit.reply(&first[1], 480);
    let second = requests(&mut kit);
    let last = second
        .iter()
        .find(|sent| sent.message.is_method(&Method::Invite));
    let last = last.expect("the last contact is tried");
    assert_eq!(last.message.request_uri(), "sip:alice@192.0.2.101:5060");
    kit.reply(last, 200);
    kit.response(200);
}

#[test]
fn one_answer_cancels_the_others_and_one_decline_ends_the_search() {
    for status in [200, 603] {
        let mut kit = forked(&[";q=0.9", ";q=0.9", ";q=0.1"]);
        kit.receive(ICSCF, &mut incoming());
        let both = requests(&mut kit);
        assert_eq!(both.len(), 2);
        kit.reply(&both[1], 180);
        kit.reply(&both[0], status);
        let cancelled = requests(&mut kit);
        let cancel = cancelled
            .iter()
            .find(|sent| sent.message.is_method(&Method::Cancel));
        let cancel = cancel.expect("the other is cancelled");
        assert_eq!(cancel.message.request_uri(), both[1].message.request_uri());
        kit.reply(cancel, 200);
        kit.reply(&both[1], 487);
        let rest = requests(&mut kit);
        assert!(rest.iter().all(|sent| sent.message.is_method(&Method::Ack)));
    }
}

#[test]
fn who_wants_no_fork_gets_the_most_preferred_contact() {
    let mut kit = forked(&[";q=0.1", ";q=0.9", ";q=0.9"]);
    let mut draft = incoming();
    kit.receive(
        ICSCF,
        draft.append(HeaderName::RequestDisposition, "no-fork"),
    );
    let sent = requests(&mut kit);
    assert_eq!(targets(&sent), ["sip:alice@192.0.2.102:5060"]);
    kit.reply(&sent[0], 486);
    while let Some(sent) = kit.poll_sent() {
        assert!(!sent.message.is_method(&Method::Invite));
    }
}

#[test]
fn within_a_dialog_the_routes_decide() {
    let (mut kit, _) = registered();
    let mut bye = request(&Method::Bye, "sip:bob@192.0.2.77");
    bye.to_tag("far")
        .append(HeaderName::Route, "<sip:scscf.dialog@192.0.2.1:5060;lr>")
        .append(HeaderName::Route, "<sip:192.0.2.78;lr>");
    kit.receive(PCSCF, &mut bye);
    let sent = kit.sent();
    assert_eq!(sent.to.to_string(), "192.0.2.78:5060");
    assert!(!sent.message.has(HeaderName::RecordRoute));
    kit.reply(&sent, 200);
    kit.response(200);

    let mut ack = request(&Method::Ack, "sip:bob@192.0.2.77");
    ack.to_tag("far")
        .append(HeaderName::Route, "<sip:scscf.dialog@192.0.2.1:5060;lr>");
    kit.receive(PCSCF, &mut ack);
    let sent = kit.sent();
    assert_eq!(sent.to.to_string(), "192.0.2.77:5060");
    assert!(sent.message.is_method(&Method::Ack));
}

#[test]
fn a_caller_who_gives_up_ends_the_search() {
    let mut kit = forked(&[";q=0.9", ";q=0.1"]);
    let invite = kit.receive(ICSCF, &mut incoming());
    let sent = requests(&mut kit);
    kit.reply(&sent[0], 180);
    let cancel = Draft::cancel(&invite).finish().expect("a CANCEL");
    kit.feed(crate::entity::testkit::address(ICSCF), None, &cancel);
    let cancels = requests(&mut kit);
    assert!(cancels[0].message.is_method(&Method::Cancel));
    kit.reply(&cancels[0], 200);
    kit.reply(&sent[0], 487);
    let mut statuses = Vec::new();
    while let Some(sent) = kit.poll_sent() {
        assert!(
            !sent.message.is_method(&Method::Invite),
            "the next is not tried"
        );
        statuses.extend(sent.message.status());
    }
    assert_eq!(statuses, [487]);
}

#[test]
fn who_rings_for_too_long_is_cancelled() {
    let (mut kit, _) = registered();
    kit.receive(ICSCF, &mut incoming());
    let sent = requests(&mut kit);
    kit.reply(&sent[0], 180);
    kit.run_for(Duration::from_secs(184));
    assert!(requests(&mut kit).is_empty());
    kit.run_for(Duration::from_secs(1));
    let cancels = requests(&mut kit);
    assert!(cancels[0].message.is_method(&Method::Cancel));
    kit.reply(&cancels[0], 200);
    // It does not answer even to that.
    kit.run_for(Duration::from_secs(40));
    let mut last = None;
    while let Some(sent) = kit.poll_sent() {
        last = sent.message.status();
    }
    assert_eq!(last, Some(408));
    kit.run_for(Duration::from_secs(60));
    assert_eq!((kit.entity.pending(), kit.transactions()), (0, 0));
}
