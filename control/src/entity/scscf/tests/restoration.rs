//! Registrations that were lost, and what the HSS has of them (TS 23.380 4).

use std::time::Duration;

use diameter::cx::ScscfRestorationInfo;

use super::*;
use crate::counters::Counter;

/// What the HSS was given to keep when Alice registered from two UEs.
fn given() -> (Kit<Scscf>, ScscfRestorationInfo) {
    let mut kit = kit();
    let mut first = Ue::new("alice", "192.0.2.101:5060");
    first.params = ";q=0.5;+sip.instance=\"<urn:uuid:1>\"";
    first.register(&mut kit, 600);
    let mut second = Ue::new("alice", "192.0.2.102:5060");
    second.challenge(&mut kit, 3600);
    kit.receive(PCSCF, &mut second.draft(3600));
    let (token, sar) = assignment(&mut kit);
    kit.answer_cx(token, assigned("alice@ims.test", &ALICE));
    kit.response(200);
    let has = |features: &[diameter::cx::SupportedFeatures]| {
        let bit = diameter::cx::SupportedFeatures::IMS_RESTORATION_IND;
        features.iter().any(|each| each.list & bit != 0)
    };
    assert!(has(&sar.supported_features));
    (kit, sar.scscf_restoration_info.expect("it is given"))
}

/// An S-CSCF that has lost everything, and what the HSS has.
fn lost() -> (Kit<Scscf>, ScscfRestorationInfo) {
    let (before, info) = given();
    let mut kit = kit();
    kit.now = before.now + Duration::from_secs(10);
    (kit, info)
}

fn restored(info: ScscfRestorationInfo) -> Answer {
    Answer::ServerAssignment(Saa {
        user_data: Some(profile("alice@ims.test", &ALICE)),
        scscf_restoration_info: vec![info],
        ..Saa::from(Outcome::SUCCESS)
    })
}

fn to_alice() -> Draft {
    request(&Method::Message, "tel:+15550100")
}

#[test]
fn the_hss_is_given_all_contacts_with_the_way_to_them() {
    let (kit, info) = given();
    assert_eq!(info.user_name, "alice@ims.test");
    let contacts: Vec<&str> = info
        .restoration_info
        .iter()
        .map(|one| one.contact.as_str())
        .collect();
    let first = "<sip:alice@192.0.2.101:5060>;q=0.5;+sip.instance=\"<urn:uuid:1>\"";
    assert_eq!(contacts, [first, "<sip:alice@192.0.2.102:5060>"]);
    assert!(info.restoration_info.iter().all(|one| one.path == PATH));
    let second = &info.restoration_info[1];
    assert_eq!(second.initial_cseq, Some(2));
    assert_eq!(second.call_id.as_deref(), Some("register-192.0.2.102:5060"));
    let ends_at = info.registration_time_out.expect("an end");
    assert_eq!(ends_at, kit.now + Duration::from_secs(3600));
}

#[test]
fn who_is_called_is_asked_for_once_and_reached() {
    let (mut kit, info) = lost();
    kit.receive(OTHER, &mut to_alice());
    let mut other = to_alice();
    kit.receive(OTHER, other.replace(HeaderName::CallId, "other"));
    let (token, sar) = assignment(&mut kit);
    assert_eq!(sar.public_identities, ["tel:+15550100"]);
    assert_eq!(sar.user_name, None);
    let kind = sar.server_assignment_type;
    assert_eq!(kind, ServerAssignmentType::NoAssignment);
    assert!(kit.cx().is_none());
    kit.assert_silent();
    kit.answer_cx(token, restored(info));
    for _ in 0..2 {
        // The one that is preferred.
        let sent = kit.poll_sent().expect("a message for Alice").message;
        assert_eq!(sent.request_uri(), "sip:alice@192.0.2.102:5060");
        assert_eq!(sent.header(HeaderName::Route), Some(PATH));
    }
    kit.assert_silent();
    assert_eq!(kit.counter(Counter::RegistrationRestored), 1);
    let scscf = &kit.entity;
    assert_eq!((scscf.registrations(), scscf.contacts()), (3, 2));
    // It lasts as long as it would have, over a restart also.
    kit.restart(Duration::ZERO, Scscf::new("sip:scscf@192.0.2.1".into()));
    kit.run_for(Duration::from_secs(3600));
    assert_eq!(kit.entity.contacts(), 0);
    assert_told(&mut kit, ServerAssignmentType::TimeoutDeregistration);
}

#[test]
fn who_calls_is_asked_for_and_served() {
    let (mut kit, info) = lost();
    let mut draft = request(&Method::Message, "sip:carol@192.0.2.77");
    draft
        .append(HeaderName::Route, "<sip:scscf.orig@192.0.2.1:5060;lr>")
        .append(HeaderName::PAssertedIdentity, "<sip:alice@ims.test>");
    kit.receive(PCSCF, &mut draft);
    let (token, _) = assignment(&mut kit);
    kit.answer_cx(token, restored(info));
    assert_eq!(kit.sent().message.request_uri(), "sip:carol@192.0.2.77");
}

#[test]
fn what_has_expired_or_is_of_others_is_not_restored() {
    let (mut kit, info) = lost();
    let ended = ScscfRestorationInfo {
        registration_time_out: Some(kit.now),
        ..info.clone()
    };
    let none = ScscfRestorationInfo {
        restoration_info: Vec::new(),
        ..info.clone()
    };
    for answer in [restored(ended), restored(none)] {
        kit.receive(OTHER, &mut to_alice());
        let (token, _) = assignment(&mut kit);
        kit.answer_cx(token, answer);
        kit.response(480);
    }
    kit.receive(OTHER, to_alice().set_request_uri("sip:bob@ims.test"));
    let (token, _) = assignment(&mut kit);
    kit.answer_cx(token, restored(info));
    kit.response(480);
    assert_eq!(kit.entity.registrations() + kit.entity.pending(), 0);
}

#[test]
fn a_call_that_is_cancelled_while_it_waits_is_over() {
    let (mut kit, info) = lost();
    let mut draft = request(&Method::Invite, "sip:alice@ims.test");
    let invite = kit.receive(OTHER, &mut draft);
    let (token, _) = assignment(&mut kit);
    let mut cancel = Draft::cancel(&invite);
    let cancel = cancel.finish().expect("a CANCEL");
    while kit.poll_sent().is_some() {}
    kit.feed(OTHER.parse().expect("an address"), None, &cancel);
    let statuses: Vec<_> = std::iter::from_fn(|| kit.poll_sent())
        .filter_map(|sent| sent.message.status())
        .collect();
    assert_eq!(statuses, [200, 487]);
    kit.answer_cx(token, restored(info));
    assert!(std::iter::from_fn(|| kit.poll_sent()).all(|sent| !sent.message.is_request()));
    assert_eq!(kit.entity.pending(), 0);
}
