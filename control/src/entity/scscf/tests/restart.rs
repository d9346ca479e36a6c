//! What the S-CSCF still knows after a restart.

use std::time::Duration;

use super::*;
use crate::journal::Kind;

fn restart(kit: &mut Kit<Scscf>, seconds: u64) {
    let entity = Scscf::new("sip:scscf@192.0.2.1:5060".into());
    kit.restart(Duration::from_secs(seconds), entity);
}

fn counts(kit: &Kit<Scscf>) -> [usize; 3] {
    let scscf = &kit.entity;
    [
        scscf.registrations(),
        scscf.contacts(),
        scscf.subscriptions(),
    ]
}

fn message(to: &str) -> Draft {
    let mut draft = request(&Method::Message, to);
    draft.append(HeaderName::PAssertedIdentity, "<sip:bob@ims.test>");
    draft
}

/// Alice's P-CSCF subscribes; returns the 200 and the NOTIFY that followed, answered.
fn subscribe(kit: &mut Kit<Scscf>) -> (Message, Message) {
    let mut draft = request(&Method::Subscribe, "sip:alice@ims.test");
    draft
        .append(HeaderName::PAssertedIdentity, PATH)
        .append(HeaderName::Contact, "<sip:pcscf.s1@192.0.2.5:5060>")
        .append(HeaderName::Event, "reg")
        .append(HeaderName::Expires, "3600");
    kit.receive(PCSCF, &mut draft);
    let accepted = kit.poll_sent().expect("an answer").message;
    assert_eq!(accepted.status(), Some(200), "{}", accepted.to_text());
    let notify = kit.sent();
    kit.reply(&notify, 200);
    (accepted, notify.message)
}

#[test]
fn what_was_registered_is_registered_for_as_long_as_it_was_granted() {
    let (mut kit, _) = registered();
    restart(&mut kit, 100);
    assert_eq!(counts(&kit), [3, 1, 0]);
    kit.receive(OTHER, &mut message("sip:alice@ims.test"));
    let sent = kit.sent().message;
    assert_eq!(sent.request_uri(), "sip:alice@192.0.2.101:5060");
    assert_eq!(sent.header(HeaderName::Route), Some(PATH));
    kit.run_for(Duration::from_secs(3499));
    assert_eq!(counts(&kit), [3, 1, 0]);
    kit.run_for(Duration::from_secs(2));
    assert_eq!(counts(&kit), [0; 3]);
    assert_told(&mut kit, ServerAssignmentType::TimeoutDeregistration);
    assert_eq!(kit.kept(Kind::RegistrationSet), 0);
}

#[test]
fn what_expired_meanwhile_ends_and_the_hss_is_told() {
    let (mut kit, _) = registered();
    subscribe(&mut kit);
    restart(&mut kit, 4000);
    kit.run_for(Duration::from_secs(10));
    assert_eq!(counts(&kit), [0; 3]);
    assert_told(&mut kit, ServerAssignmentType::TimeoutDeregistration);
    assert_eq!(
        kit.kept(Kind::RegistrationSet) + kit.kept(Kind::Subscription),
        0
    );
}

#[test]
fn a_registration_is_refreshed_and_ended_after_a_restart() {
    let (mut kit, mut ue) = registered();
    restart(&mut kit, 1);
    ue.client = None;
    ue.register(&mut kit, 3600);
    assert_eq!(counts(&kit), [3, 1, 0]);
    ue.register(&mut kit, 0);
    assert_eq!(counts(&kit), [0; 3]);
    restart(&mut kit, 1);
    assert_eq!(counts(&kit), [0; 3]);
    // Another user gets no name of one that is gone.
    Ue::new("bob", "192.0.2.102:5060").register(&mut kit, 3600);
    restart(&mut kit, 1);
    assert_eq!(counts(&kit), [1, 1, 0]);
}

#[test]
fn a_subscription_goes_on_in_its_dialog() {
    let (mut kit, mut ue) = registered();
    let (_, first) = subscribe(&mut kit);
    restart(&mut kit, 10);
    assert_eq!(counts(&kit), [3, 1, 1]);
    kit.run_for(Duration::from_secs(1));
    kit.assert_silent();
    ue.client = None;
    ue.register(&mut kit, 0);
    let last = kit.sent().message;
    assert!(last.is_method(&Method::Notify));
    assert_eq!(last.call_id(), first.call_id());
    assert_eq!(last.to_tag(), first.to_tag());
    let number = |message: &Message| message.cseq().expect("CSeq").number;
    assert_eq!(number(&last), number(&first) + 1);
    let state = last.header(HeaderName::SubscriptionState);
    assert_eq!(state, Some("terminated;reason=noresource"));
    assert_eq!(kit.kept(Kind::Subscription), 0);
}

#[test]
fn what_may_not_have_been_heard_is_told_again() {
    let (mut kit, _) = registered();
    let mut draft = request(&Method::Subscribe, "sip:alice@ims.test");
    draft
        .append(HeaderName::PAssertedIdentity, PATH)
        .append(HeaderName::Contact, "<sip:pcscf.s1@192.0.2.5:5060>")
        .append(HeaderName::Event, "reg");
    kit.receive(PCSCF, &mut draft);
    kit.poll_sent().expect("the 200");
    let unanswered = kit.sent().message;
    restart(&mut kit, 1);
    kit.run_for(Duration::from_millis(1));
    let again = kit.sent();
    let number = |message: &Message| message.cseq().expect("CSeq").number;
    assert_eq!(number(&again.message), number(&unanswered) + 1);
    kit.reply(&again, 200);
    restart(&mut kit, 1);
    kit.run_for(Duration::from_secs(1));
    kit.assert_silent();
}

#[test]
fn everything_put_anew_is_everything() {
    let (mut kit, _) = registered();
    subscribe(&mut kit);
    let before = counts(&kit);
    kit.restart_anew(Scscf::new("sip:scscf@192.0.2.1:5060".into()));
    assert_eq!(counts(&kit), before);
    assert_eq!(before, [3, 1, 1]);
}
