//! Subscriptions to registrations (RFC 3680, RFC 6665, TS 24.229 5.4.2.1).

use std::time::Duration;

use diameter::cx::{DeregistrationReason, Ppr, ReasonCode, Rtr};

use super::*;
use crate::counters::Counter;
use crate::entity::testkit::Sent;
use crate::reginfo::{Contact, Reginfo, State};

/// Who subscribes.
struct Watcher {
    asserted: &'static str,
    call_id: String,
    /// To with the tag of the S-CSCF, once there is one.
    to: String,
    uri: String,
    event: &'static str,
    cseq: u32,
}

impl Watcher {
    fn new(asserted: &'static str) -> Self {
        Self {
            asserted,
            call_id: format!("watch-{asserted}"),
            to: "<sip:alice@ims.test>".into(),
            uri: "sip:alice@ims.test".into(),
            event: "reg",
            cseq: 0,
        }
    }

    /// The next SUBSCRIBE, along a P-CSCF that records its route.
    fn draft(&mut self, expires: u32) -> Draft {
        self.cseq += 1;
        let mut draft = request(&Method::Subscribe, &self.uri);
        draft
            .replace(HeaderName::From, &format!("<{}>;tag=w", self.asserted))
            .replace(HeaderName::To, &self.to)
            .replace(HeaderName::CallId, &self.call_id)
            .replace(HeaderName::CSeq, &format!("{} SUBSCRIBE", self.cseq))
            .append(HeaderName::RecordRoute, PATH)
            .append(HeaderName::Contact, "<sip:watcher@192.0.2.101:5060>")
            .append(HeaderName::Event, self.event)
            .append(HeaderName::Accept, "application/pidf+xml")
            .append(HeaderName::Accept, "application/reginfo+xml")
            .append(HeaderName::Expires, &expires.to_string())
            .append(
                HeaderName::PAssertedIdentity,
                &format!("<{}>", self.asserted),
            );
        if self.to.contains("tag=") {
            draft.remove_all(HeaderName::RecordRoute);
        }
        draft
    }

    /// Subscribes or refreshes; returns the NOTIFY that follows.
    fn subscribe(&mut self, kit: &mut Kit<Scscf>, expires: u32) -> Sent {
        let mut draft = self.draft(expires);
        if !self.to.contains("tag=") {
            draft.push_front(HeaderName::Route, "<sip:scscf.orig@192.0.2.1:5060;lr>");
        }
        kit.receive(PCSCF, &mut draft);
        let accepted = kit.poll_sent().expect("an answer to SUBSCRIBE").message;
        assert_eq!(accepted.status(), Some(200), "{}", accepted.to_text());
        self.to = accepted.header(HeaderName::To).expect("to").to_owned();
        let contact = accepted.contact().expect("contact").uri;
        self.uri = contact.as_str().to_owned();
        kit.sent()
    }
}

/// An S-CSCF with Alice, and her UE subscribed.
fn watched() -> (Kit<Scscf>, Ue, Watcher) {
    let (mut kit, ue) = registered();
    let mut watcher = Watcher::new(ALICE[0]);
    let notify = watcher.subscribe(&mut kit, 600_000);
    kit.reply(&notify, 200);
    (kit, ue, watcher)
}

fn document(notify: &Sent) -> Reginfo {
    let message = &notify.message;
    assert!(message.is_method(&Method::Notify), "{}", message.to_text());
    Reginfo::parse(message.body()).expect("a document")
}

fn state(notify: &Sent) -> &str {
    let state = notify.message.header(HeaderName::SubscriptionState);
    state.expect("a state")
}

/// Registrations with the events of their contacts.
fn summary(document: &Reginfo) -> Vec<(&str, State, Vec<&str>)> {
    let event = |contact: &Contact| contact.event.name();
    let registrations = document.registrations.iter();
    registrations
        .map(|each| {
            let events = each.contacts.iter().map(event).collect();
            (each.aor.as_str(), each.state, events)
        })
        .collect()
}

fn seconds(seconds: u64) -> Duration {
    Duration::from_secs(seconds)
}

/// The next NOTIFY, when its time has come; it is answered.
fn told(kit: &mut Kit<Scscf>) -> Sent {
    kit.run_for(seconds(5));
    let notify = kit.sent();
    kit.reply(&notify, 200);
    notify
}

fn refused(change: impl FnOnce(&mut Draft) -> &mut Draft) -> Message {
    let (mut kit, _) = registered();
    let mut draft = Watcher::new(ALICE[0]).draft(600);
    kit.receive(PCSCF, change(&mut draft));
    let response = kit.sent().message;
    assert_eq!(kit.entity.subscriptions(), 0);
    assert_eq!(kit.counter(Counter::SubscriptionRejected), 1);
    response
}

#[test]
fn the_users_of_a_set_and_their_pcscf_may_subscribe_and_nobody_else() {
    let (mut kit, _) = registered();
    for asserted in [ALICE[0], ALICE[1], "sip:pcscf.r1@192.0.2.5:5060"] {
        let notify = Watcher::new(asserted).subscribe(&mut kit, 600);
        kit.reply(&notify, 200);
    }
    assert_eq!(kit.entity.subscriptions(), 3);
    for asserted in [ALICE[2], "sip:bob@ims.test", "sip:pcscf.r2@192.0.2.5:5060"] {
        kit.receive(PCSCF, &mut Watcher::new(asserted).draft(600));
        kit.response(403);
    }
    let mut nobody = Watcher::new(ALICE[0]).draft(600);
    kit.receive(PCSCF, nobody.remove_all(HeaderName::PAssertedIdentity));
    kit.response(403);
    assert_eq!(kit.entity.subscriptions(), 3);
}

#[test]
fn the_first_notify_tells_the_full_state_along_the_route_of_the_dialog() {
    let (mut kit, _) = registered();
    let mut watcher = Watcher::new(ALICE[0]);
    watcher.event = "reg;id=4";
    let notify = watcher.subscribe(&mut kit, 600_000);
    assert_eq!(notify.to.to_string(), PCSCF);
    let message = &notify.message;
    assert_eq!(message.request_uri(), "sip:watcher@192.0.2.101:5060");
    assert_eq!(message.header(HeaderName::Route), Some(PATH));
    assert_eq!(message.header(HeaderName::Event), Some("reg;id=4"));
    assert_eq!(message.header(HeaderName::From), Some(watcher.to.as_str()));
    let contact = message.header(HeaderName::Contact);
    assert_eq!(contact, Some("<sip:scscf.reg@192.0.2.1:5060>"));
    assert_eq!(state(&notify), "active;expires=600000");

    let document = document(&notify);
    assert_eq!((document.version, document.full), (0, true));
    let expected = [
        (ALICE[0], State::Active, vec!["registered"]),
        (ALICE[1], State::Active, vec!["created"]),
    ];
    assert_eq!(summary(&document), expected);
    let contact = &document.registrations[0].contacts[0];
    assert_eq!(contact.uri, "sip:alice@192.0.2.101:5060");
    assert_eq!(contact.expires, Some(3600));
    assert_eq!(
        contact.call_id.as_deref(),
        Some("register-192.0.2.101:5060")
    );
    assert_eq!(contact.cseq, Some(2));
}

#[test]
fn parameters_of_a_contact_are_told_as_they_are() {
    let mut kit = kit();
    let mut ue = Ue::new("alice", "192.0.2.101:5060");
    ue.params = ";q=0.5;+sip.instance=\"<urn:uuid:1>\";audio";
    ue.register(&mut kit, 3600);
    let document = document(&Watcher::new(ALICE[0]).subscribe(&mut kit, 600));
    let contact = &document.registrations[0].contacts[0];
    assert_eq!(contact.q, Some(500));
    let params: Vec<(&str, &str)> = contact
        .unknown_params
        .iter()
        .map(|(name, value)| (name.as_str(), value.as_str()))
        .collect();
    assert_eq!(
        params,
        [("+sip.instance", "\"<urn:uuid:1>\""), ("audio", "")]
    );
}

#[test]
fn what_cannot_be_served_is_refused() {
    type Change = fn(&mut Draft) -> &mut Draft;
    let cases: [(Change, u16); 6] = [
        (
            |draft| draft.replace(HeaderName::Accept, "application/json"),
            406,
        ),
        (|draft| draft.replace(HeaderName::Expires, "soon"), 400),
        (|draft| draft.remove_all(HeaderName::Contact), 400),
        (
            |draft| draft.to_tag("unknown").set_request_uri(OWN_URI),
            481,
        ),
        (|draft| draft.set_request_uri(OWN_URI), 404),
        (
            |draft| draft.set_request_uri(OWN_URI).remove_all(HeaderName::Event),
            489,
        ),
    ];
    for (change, status) in cases {
        assert_eq!(refused(change).status(), Some(status));
    }
    let brief = refused(|draft| draft.replace(HeaderName::Expires, "59"));
    assert_eq!(brief.status(), Some(423));
    assert_eq!(brief.min_expires(), Ok(Some(60)));
    let other = refused(|draft| {
        draft
            .set_request_uri(OWN_URI)
            .replace(HeaderName::Event, "presence")
    });
    assert_eq!(other.status(), Some(489));
    assert_eq!(other.header(HeaderName::AllowEvents), Some("reg"));
}

const OWN_URI: &str = "sip:scscf@192.0.2.1:5060";

#[test]
fn any_format_or_none_named_is_the_packages_own() {
    for accept in ["*/*", "application/*;q=0.3", "Application/REGINFO+xml", ""] {
        let (mut kit, _) = registered();
        let mut draft = Watcher::new(ALICE[0]).draft(600);
        draft.remove_all(HeaderName::Accept);
        if !accept.is_empty() {
            draft.append(HeaderName::Accept, accept);
        }
        kit.receive(PCSCF, &mut draft);
        let response = kit.poll_sent().expect("an answer").message;
        assert_eq!(response.status(), Some(200), "{accept}");
    }
}

#[test]
fn without_expires_the_default_of_the_package_is_granted() {
    let (mut kit, _) = registered();
    let mut draft = Watcher::new(ALICE[0]).draft(1);
    kit.receive(PCSCF, draft.remove_all(HeaderName::Expires));
    let response = kit.poll_sent().expect("an answer").message;
    assert_eq!(response.expires(), Ok(Some(3761)));
}

#[test]
fn subscriptions_to_other_packages_go_to_the_user() {
    let (mut kit, _) = registered();
    let mut watcher = Watcher::new("sip:bob@ims.test");
    watcher.event = "presence";
    kit.receive(OTHER, &mut watcher.draft(600));
    let routed = kit.sent();
    assert_eq!(routed.to.to_string(), PCSCF);
    assert_eq!(routed.message.request_uri(), "sip:alice@192.0.2.101:5060");
}

#[test]
fn each_change_is_told_and_counts_the_version_up() {
    let (mut kit, mut first, _) = watched();
    kit.run_for(seconds(10));

    first.register(&mut kit, 3600);
    let notify = kit.sent();
    let refreshed = document(&notify);
    assert_eq!((refreshed.version, refreshed.full), (1, false));
    assert_eq!(
        summary(&refreshed),
        [
            (ALICE[0], State::Active, vec!["refreshed"]),
            (ALICE[1], State::Active, vec!["refreshed"]),
        ]
    );
    kit.reply(&notify, 200);

    let mut second = Ue::new("alice", "192.0.2.102:5060");
    second.register(&mut kit, 600);
    let joined = document(&told(&mut kit));
    assert_eq!((joined.version, joined.full), (2, false));
    assert_eq!(summary(&joined)[0].2, ["registered"]);
    let id = &joined.registrations[0].contacts[0].id;
    assert_ne!(*id, refreshed.registrations[0].contacts[0].id);

    second.register(&mut kit, 0);
    let left = document(&told(&mut kit));
    assert_eq!(summary(&left)[0].2, ["unregistered"]);
    assert_eq!(summary(&left)[0].1, State::Active);
    assert_eq!(left.registrations[0].contacts[0].id, *id);

    second.register(&mut kit, 600);
    told(&mut kit);
    kit.run_for(seconds(600));
    let expired = document(&kit.sent());
    assert_eq!(summary(&expired)[0].2, ["expired"]);
    assert_eq!(kit.entity.contacts(), 1);
}

#[test]
fn a_ue_that_has_moved_has_left_its_old_contact() {
    let mut kit = kit();
    let mut ue = Ue::new("alice", "192.0.2.101:5060");
    ue.params = ";+sip.instance=\"<urn:uuid:1>\"";
    ue.register(&mut kit, 3600);
    let notify = Watcher::new(ALICE[0]).subscribe(&mut kit, 600);
    kit.reply(&notify, 200);
    kit.run_for(seconds(10));
    ue.contact = "sip:alice@192.0.2.101:5062".into();
    ue.register(&mut kit, 3600);
    let moved = document(&kit.sent());
    assert_eq!(summary(&moved)[0].2, ["unregistered", "registered"]);
    assert_eq!(kit.entity.contacts(), 1);
}

#[test]
fn what_happens_while_a_notify_is_under_way_is_told_together() {
    let (mut kit, mut first, _) = watched();
    kit.run_for(seconds(10));
    first.register(&mut kit, 3600);
    let slow = kit.sent();
    let mut second = Ue::new("alice", "192.0.2.102:5060");
    second.register(&mut kit, 600);
    second.register(&mut kit, 0);
    first.register(&mut kit, 3600);
    kit.run_for(seconds(10));
    kit.assert_silent();
    kit.reply(&slow, 200);
    let together = document(&kit.sent());
    assert_eq!((together.version, together.full), (2, false));
    assert_eq!(summary(&together)[0].2, ["unregistered", "refreshed"]);
}

#[test]
fn changes_are_told_no_more_often_than_every_five_seconds() {
    let (mut kit, mut ue, _) = watched();
    for _ in 0..4 {
        ue.register(&mut kit, 3600);
        kit.run_for(seconds(1));
        kit.assert_silent();
    }
    kit.run_for(seconds(1));
    let once = document(&kit.sent());
    assert_eq!(summary(&once)[0].2, ["refreshed"]);
    assert_eq!(once.version, 1);
}

#[test]
fn more_changes_than_are_kept_become_the_full_state() {
    let (mut kit, mut ue, _) = watched();
    kit.run_for(seconds(10));
    ue.register(&mut kit, 3600);
    let slow = kit.sent();
    for n in 0..=super::super::reg_event::CHANGES_MAX {
        let mut passing = Ue::new("alice", &format!("192.0.2.102:{}", 6000 + n));
        passing.client = ue.client.take();
        passing.register(&mut kit, 600);
        passing.register(&mut kit, 0);
        ue.client = passing.client.take();
    }
    let mut stays = Ue::new("alice", "192.0.2.103:5060");
    stays.register(&mut kit, 600);
    kit.reply(&slow, 200);
    let full = document(&told(&mut kit));
    assert!(full.full);
    let contacts = &full.registrations[0].contacts;
    let active = contacts.iter().filter(|contact| contact.event.is_active());
    assert_eq!(active.count(), 2);
}

#[test]
fn the_end_of_the_registration_ends_the_subscription() {
    let rtr = |code| {
        cx::Request::RegistrationTermination(Rtr {
            user_name: "alice@ims.test".into(),
            associated_identities: Vec::new(),
            public_identities: Vec::new(),
            deregistration_reason: DeregistrationReason { code, info: None },
            supported_features: Vec::new(),
        })
    };
    type End = Box<dyn Fn(&mut Kit<Scscf>, &mut Ue)>;
    let by_hss = |code| -> End {
        Box::new(move |kit, _| {
            let answer = kit.ask_cx(rtr(code));
            assert_eq!(answer.outcome(), Outcome::SUCCESS);
        })
    };
    let by_ue: End = Box::new(|kit, ue| drop(ue.register(kit, 0)));
    let by_time: End = Box::new(|kit, _| {
        kit.run_for(seconds(3600));
        assert_told(kit, ServerAssignmentType::TimeoutDeregistration);
    });
    for (end, event) in [
        (by_hss(ReasonCode::PermanentTermination), "rejected"),
        (by_hss(ReasonCode::ServerChange), "deactivated"),
        (by_ue, "unregistered"),
        (by_time, "expired"),
    ] {
        let (mut kit, mut ue, mut watcher) = watched();
        end(&mut kit, &mut ue);
        let notify = kit.sent();
        assert_eq!(state(&notify), "terminated;reason=noresource");
        let last = document(&notify);
        assert_eq!((last.version, last.full), (1, true));
        assert_eq!(
            summary(&last),
            [
                (ALICE[0], State::Terminated, vec![event]),
                (ALICE[1], State::Terminated, vec![event]),
            ]
        );
        assert_eq!(kit.entity.subscriptions(), 0);
        kit.reply(&notify, 200);
        kit.receive(PCSCF, &mut watcher.draft(600));
        kit.response(481);
        // Nonces may be used for an hour.
        kit.run_for(seconds(4000));
        assert_eq!((kit.entity.contacts(), kit.transactions()), (0, 0));
        assert_eq!(kit.timers(), 0);
    }
}

#[test]
fn subscribers_are_sent_to_the_scscf_that_serves_the_user_now() {
    let (mut kit, _, _) = watched();
    kit.ask_cx(cx::Request::RegistrationTermination(Rtr {
        user_name: "alice@ims.test".into(),
        associated_identities: Vec::new(),
        public_identities: Vec::new(),
        deregistration_reason: DeregistrationReason {
            code: ReasonCode::NewServerAssigned,
            info: None,
        },
        supported_features: Vec::new(),
    }));
    let notify = kit.sent();
    assert_eq!(state(&notify), "terminated;reason=deactivated");
    assert!(notify.message.body().is_empty());
    assert_eq!(kit.entity.subscriptions(), 0);
}

#[test]
fn a_refresh_prolongs_the_subscription_and_is_answered_with_the_full_state() {
    let (mut kit, _) = registered();
    let mut watcher = Watcher::new(ALICE[0]);
    let first = watcher.subscribe(&mut kit, 600);
    kit.reply(&first, 200);
    kit.run_for(seconds(500));
    let again = watcher.subscribe(&mut kit, 600);
    kit.reply(&again, 200);
    assert_eq!(state(&again), "active;expires=600");
    assert_eq!((document(&again).version, document(&again).full), (1, true));
    kit.run_for(seconds(599));
    kit.assert_silent();
    assert_eq!(kit.entity.subscriptions(), 1);
    kit.run_for(seconds(1));
    let last = kit.sent();
    assert_eq!(state(&last), "terminated;reason=timeout");
    assert_eq!(summary(&document(&last))[0].1, State::Active);
    assert_eq!(kit.entity.subscriptions(), 0);
}

#[test]
fn a_refresh_that_does_not_fit_its_dialog_is_refused_and_changes_nothing() {
    let (mut kit, _, mut watcher) = watched();
    let mut other = watcher.draft(600);
    kit.receive(PCSCF, other.replace(HeaderName::Event, "reg;id=2"));
    kit.response(489);
    let mut early = watcher.draft(600);
    kit.receive(PCSCF, early.replace(HeaderName::CSeq, "0 SUBSCRIBE"));
    kit.response(500);
    let mut brief = watcher.draft(5);
    kit.receive(PCSCF, &mut brief);
    kit.response(423);
    assert_eq!(kit.entity.subscriptions(), 1);
}

#[test]
fn a_document_is_no_longer_than_a_message_holds() {
    let (mut kit, _) = registered();
    let many: Vec<String> = (0..200).map(|n| format!("sip:alice{n}@ims.test")).collect();
    let many: Vec<&str> = ALICE[..1]
        .iter()
        .copied()
        .chain(many.iter().map(String::as_str))
        .collect();
    kit.ask_cx(cx::Request::PushProfile(Ppr {
        user_name: "alice@ims.test".into(),
        user_data: Some(profile("alice@ims.test", &many)),
        ..Ppr::default()
    }));
    let notify = Watcher::new(ALICE[0]).subscribe(&mut kit, 600);
    let length = notify.message.body().len();
    assert!((20_000..50_000).contains(&length), "{length}");
    assert_eq!(summary(&document(&notify))[0].0, ALICE[0]);
}

#[test]
fn a_subscriber_that_moves_is_notified_where_it_is() {
    let (mut kit, _, mut watcher) = watched();
    let mut moved = watcher.draft(600);
    kit.receive(
        PCSCF,
        moved.replace(HeaderName::Contact, "<sip:watcher@192.0.2.104>"),
    );
    kit.poll_sent().expect("an answer");
    let notify = kit.sent().message;
    assert_eq!(notify.request_uri(), "sip:watcher@192.0.2.104");
}

#[test]
fn no_duration_ends_a_subscription_or_fetches_the_state() {
    let (mut kit, _, mut watcher) = watched();
    let last = watcher.subscribe(&mut kit, 0);
    assert_eq!(state(&last), "terminated;reason=timeout");
    assert!(document(&last).full);
    assert_eq!(kit.entity.subscriptions(), 0);
    let fetched = Watcher::new(ALICE[1]).subscribe(&mut kit, 0);
    assert_eq!(state(&fetched), "terminated;reason=timeout");
    assert_eq!(summary(&document(&fetched)).len(), 2);
    assert_eq!(kit.entity.subscriptions(), 0);
}

#[test]
fn a_subscriber_that_refuses_or_never_answers_is_given_up() {
    for status in [404, 405, 430, 481, 489, 500, 603] {
        let (mut kit, _) = registered();
        let notify = Watcher::new(ALICE[0]).subscribe(&mut kit, 600);
        kit.reply(&notify, status);
        assert_eq!(kit.entity.subscriptions(), 0, "{status}");
        assert_eq!(kit.counter(Counter::SubscriptionLost), 1);
    }
    let (mut kit, _) = registered();
    Watcher::new(ALICE[0]).subscribe(&mut kit, 600);
    kit.run_for(seconds(33));
    assert_eq!(kit.entity.subscriptions(), 0);
    kit.run_for(seconds(600));
    kit.assert_silent();
}

#[test]
fn a_subscriber_that_wants_to_be_told_later_is() {
    let (mut kit, _) = registered();
    let notify = Watcher::new(ALICE[0]).subscribe(&mut kit, 600);
    kit.reply_with(&notify, 503, |draft| {
        draft.append(HeaderName::RetryAfter, "20 (busy)");
    });
    kit.run_for(seconds(19));
    kit.assert_silent();
    kit.run_for(seconds(1));
    let again = kit.sent();
    assert!(document(&again).full);
    assert_eq!(kit.entity.subscriptions(), 1);
}

#[test]
fn a_profile_with_other_identities_is_told() {
    let (mut kit, _, _) = watched();
    kit.run_for(seconds(10));
    let push = |identities: &[&str]| {
        cx::Request::PushProfile(Ppr {
            user_name: "alice@ims.test".into(),
            user_data: Some(profile("alice@ims.test", identities)),
            ..Ppr::default()
        })
    };
    kit.ask_cx(push(&ALICE));
    kit.assert_silent();
    kit.ask_cx(push(&[ALICE[0], "sip:al@ims.test"]));
    let changed = document(&kit.sent());
    assert!(changed.full);
    assert_eq!(
        summary(&changed),
        [
            (ALICE[0], State::Active, vec!["registered"]),
            ("sip:al@ims.test", State::Active, vec!["created"]),
            (ALICE[1], State::Terminated, vec!["rejected"]),
        ]
    );
}

#[test]
fn one_set_has_so_many_subscriptions_and_no_more() {
    let (mut kit, _) = registered();
    for n in 0..=super::super::reg_event::PER_SET_MAX {
        let mut watcher = Watcher::new(ALICE[0]);
        watcher.call_id = format!("watch-{n}");
        kit.receive(PCSCF, &mut watcher.draft(600));
        let response = kit.poll_sent().expect("an answer").message;
        let is_last = n == super::super::reg_event::PER_SET_MAX;
        let expected = if is_last { 503 } else { 200 };
        assert_eq!(response.status(), Some(expected));
        if let Some(notify) = kit.poll_sent() {
            kit.reply(&notify, 200);
        }
    }
}
