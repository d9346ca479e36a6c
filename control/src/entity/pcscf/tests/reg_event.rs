//! Subscriptions to registrations (TS 24.229 5.2.3, 5.2.5.2).

use super::*;
use crate::counters::Counter;
use crate::reginfo::{CONTENT_TYPE, Contact, ContactEvent, Reginfo, Registration, State};

/// The S-CSCF's end of a subscription.
struct Notifier {
    subscribe: Sent,
    cseq: u32,
    version: u32,
}

impl Notifier {
    /// Takes the SUBSCRIBE that the P-CSCF has just sent.
    fn of(kit: &mut Kit<Pcscf>) -> Self {
        let subscribe = kit.sent();
        let is_subscribe = subscribe.message.is_method(&Method::Subscribe);
        assert!(is_subscribe, "{}", subscribe.message.to_text());
        Self {
            subscribe,
            cseq: 0,
            version: 0,
        }
    }

    fn accept(&self, kit: &mut Kit<Pcscf>, expires: u32) {
        kit.reply_with(&self.subscribe, 200, |draft| {
            draft
                .append(HeaderName::Contact, "<sip:scscf.reg@192.0.2.3:5060>")
                .append(HeaderName::Expires, &expires.to_string());
        });
    }

    /// The next NOTIFY.
    fn draft(&mut self, state: &str, registrations: Vec<Registration>) -> Draft {
        let subscribe = &self.subscribe.message;
        let contact = subscribe.contact().expect("a Contact").uri;
        let header = |name| subscribe.header(name).expect("a header of SUBSCRIBE");
        let full = self.cseq == 0 || state.starts_with("terminated");
        let document = Reginfo {
            version: self.version,
            full,
            registrations,
        };
        self.cseq += 1;
        self.version += 1;
        let mut draft = request(&Method::Notify, contact.as_str());
        draft
            .replace(
                HeaderName::From,
                &format!("{};tag=far", header(HeaderName::To)),
            )
            .replace(HeaderName::To, header(HeaderName::From))
            .replace(HeaderName::CallId, header(HeaderName::CallId))
            .replace(HeaderName::CSeq, &format!("{} NOTIFY", self.cseq))
            .append(HeaderName::Contact, "<sip:scscf.reg@192.0.2.3:5060>")
            .append(HeaderName::Event, "reg")
            .append(HeaderName::SubscriptionState, state)
            .set_body(CONTENT_TYPE, document.to_xml());
        draft
    }

    /// Tells, and expects it to be taken.
    fn notify(&mut self, kit: &mut Kit<Pcscf>, state: &str, registrations: Vec<Registration>) {
        kit.receive(SCSCF, &mut self.draft(state, registrations));
        let answer = kit.poll_sent().expect("an answer to NOTIFY").message;
        assert_eq!(answer.status(), Some(200), "{}", answer.to_text());
    }
}

/// What the S-CSCF says of one contact of a UE, at all identities of its set.
fn news(ue: &Ue, event: ContactEvent) -> Vec<Registration> {
    let state = if event.is_active() {
        State::Active
    } else {
        State::Terminated
    };
    let contact = |aor: &str| Contact {
        id: format!("{}/{aor}", ue.at),
        event,
        call_id: Some(ue.call_id.clone()),
        cseq: Some(ue.cseq),
        uri: ue.contact(),
        ..Contact::default()
    };
    let registration = |aor: String| Registration {
        contacts: vec![contact(&aor)],
        id: aor.clone(),
        aor,
        state,
    };
    [ue.identity(), "tel:+15550100".into()]
        .map(registration)
        .into()
}

/// A P-CSCF with a registered UE whose set it watches.
fn watching() -> (Kit<Pcscf>, Ue, Notifier) {
    let (mut kit, mut ue) = (kit(), Ue::new("alice", "192.0.2.101:5060"));
    ue.register(&mut kit, 3600);
    let mut notifier = Notifier::of(&mut kit);
    notifier.accept(&mut kit, 4800);
    let active = news(&ue, ContactEvent::Registered);
    notifier.notify(&mut kit, "active;expires=4800", active);
    (kit, ue, notifier)
}

/// Whether the P-CSCF serves a UE.
fn is_served(kit: &mut Kit<Pcscf>, ue: &Ue) -> bool {
    kit.receive(ue.at, &mut ue.request(&Method::Options, "sip:bob@ims.test"));
    let mut served = false;
    while let Some(sent) = kit.poll_sent() {
        if sent.message.is_request() {
            served = true;
            kit.reply(&sent, 200);
        }
    }
    served
}

#[test]
fn the_first_registration_of_a_set_is_subscribed_to() {
    let (mut kit, mut ue) = (kit(), Ue::new("alice", "192.0.2.101:5060"));
    ue.register(&mut kit, 3600);
    let Notifier { subscribe, .. } = Notifier::of(&mut kit);
    assert_eq!(subscribe.to, address(ICSCF));
    let message = &subscribe.message;
    assert_eq!(message.request_uri(), "sip:alice@ims.test");
    let header = |name| message.header(name).expect("a header");
    assert_eq!(header(HeaderName::To), "<sip:alice@ims.test>");
    assert!(header(HeaderName::From).starts_with("<sip:pcscf@192.0.2.1:5060>;tag="));
    assert_eq!(header(HeaderName::Event), "reg");
    assert_eq!(header(HeaderName::Accept), CONTENT_TYPE);
    assert!(message.expires().expect("Expires") > Some(3600));
    // It is the URI in Path by which the S-CSCF knows us.
    let asserted = header(HeaderName::PAssertedIdentity).trim_end_matches('>');
    assert!(ue.path.starts_with(asserted), "{} {asserted}", ue.path);
    let contact = message.contact().expect("a Contact").uri;
    assert!(contact.as_str().starts_with("sip:pcscf.s"));

    ue.register(&mut kit, 3600);
    Ue::new("alice", "192.0.2.102:5060").register(&mut kit, 3600);
    kit.assert_silent();
    assert_eq!(kit.entity.subscriptions(), 1);
    Ue::new("bob", "192.0.2.103:5060").register(&mut kit, 3600);
    Notifier::of(&mut kit);
    assert_eq!(kit.entity.subscriptions(), 2);
}

#[test]
fn a_notify_may_come_before_the_answer_to_subscribe() {
    let (mut kit, mut ue) = (kit(), Ue::new("alice", "192.0.2.101:5060"));
    ue.register(&mut kit, 3600);
    let mut notifier = Notifier::of(&mut kit);
    let active = news(&ue, ContactEvent::Registered);
    notifier.notify(&mut kit, "active", active);
    notifier.accept(&mut kit, 4800);
    // No Timer N, no early refresh.
    kit.run_for(seconds(3600));
    kit.assert_silent();
    assert_eq!(kit.entity.subscriptions(), 1);
}

#[test]
fn what_the_network_ends_is_ended_here() {
    for event in [
        ContactEvent::Rejected,
        ContactEvent::Deactivated,
        ContactEvent::Probation,
        ContactEvent::Expired,
        ContactEvent::Unregistered,
    ] {
        let (mut kit, ue, mut notifier) = watching();
        assert!(is_served(&mut kit, &ue));
        let ended = news(&ue, event);
        notifier.notify(&mut kit, "terminated;reason=noresource", ended);
        assert_eq!(kit.entity.registrations(), 0, "{event:?}");
        assert!(!is_served(&mut kit, &ue));
        assert_eq!(kit.entity.subscriptions(), 0);
        kit.run_for(seconds(300));
        kit.assert_silent();
        assert_eq!((kit.timers(), kit.transactions()), (0, 0));
    }
}

/// A call that Alice's UE has made and that is answered; returns where its messages go.
fn established(kit: &mut Kit<Pcscf>, ue: &Ue) {
    let mut invite = ue.request(&Method::Invite, "sip:bob@ims.test");
    invite.append(HeaderName::Contact, &format!("<{}>", ue.contact()));
    kit.receive(ue.at, &mut invite);
    let forwarded = kit.sent();
    kit.reply_with(&forwarded, 200, |draft| {
        draft
            .copy(HeaderName::RecordRoute)
            .append(HeaderName::Contact, "<sip:bob@192.0.2.77>");
    });
    kit.response(200);
    assert_eq!(kit.entity.dialogs(), 1);
}

#[test]
fn calls_end_with_a_registration_that_the_network_ends() {
    let (mut kit, ue, mut notifier) = watching();
    established(&mut kit, &ue);
    let rejected = news(&ue, ContactEvent::Rejected);
    notifier.notify(&mut kit, "terminated;reason=noresource", rejected);
    let mut byes = Vec::new();
    while let Some(sent) = kit.poll_sent() {
        assert!(sent.message.is_method(&Method::Bye));
        byes.push(sent.to);
    }
    byes.sort();
    assert_eq!(byes, [address("192.0.2.77:5060"), address(ue.at)]);
    assert_eq!(kit.entity.dialogs(), 0);
}

#[test]
fn calls_outlive_a_registration_that_the_ue_lets_go() {
    for event in [ContactEvent::Unregistered, ContactEvent::Expired] {
        let (mut kit, ue, mut notifier) = watching();
        established(&mut kit, &ue);
        notifier.notify(&mut kit, "terminated;reason=noresource", news(&ue, event));
        kit.assert_silent();
        assert_eq!((kit.entity.registrations(), kit.entity.dialogs()), (0, 1));
    }
}

#[test]
fn news_of_another_contact_or_of_an_earlier_register_end_nothing() {
    let (mut kit, mut ue, mut notifier) = watching();
    let mut other = news(&ue, ContactEvent::Rejected);
    for registration in &mut other {
        registration.contacts[0].uri = "sip:alice@192.0.2.199".into();
    }
    notifier.notify(&mut kit, "active", other);
    let old = news(&ue, ContactEvent::Rejected);
    let mut older = news(&ue, ContactEvent::Rejected);
    for registration in &mut older {
        registration.contacts[0].call_id = Some("register-before".into());
    }
    ue.register(&mut kit, 3600);
    notifier.notify(&mut kit, "active", old);
    notifier.notify(&mut kit, "active", older);
    assert!(is_served(&mut kit, &ue));
    // One that was overtaken by a later document is not read at all.
    notifier.version = 1;
    let ended = news(&ue, ContactEvent::Rejected);
    notifier.notify(&mut kit, "active", ended);
    assert!(is_served(&mut kit, &ue));
    notifier.version = 9;
    let ended = news(&ue, ContactEvent::Rejected);
    notifier.notify(&mut kit, "active", ended);
    assert!(!is_served(&mut kit, &ue));
}

#[test]
fn one_of_several_contacts_can_end() {
    let (mut kit, first, mut notifier) = watching();
    let mut second = Ue::new("alice", "192.0.2.102:5060");
    second.register(&mut kit, 3600);
    let mut partial = news(&first, ContactEvent::Deactivated);
    for registration in &mut partial {
        registration.state = State::Active;
    }
    notifier.notify(&mut kit, "active;expires=4000", partial);
    assert!(!is_served(&mut kit, &first));
    assert!(is_served(&mut kit, &second));
    assert_eq!(kit.entity.subscriptions(), 1);
}

#[test]
fn a_ue_may_use_the_identities_that_the_network_says() {
    let (mut kit, ue, mut notifier) = watching();
    let asserted = |kit: &mut Kit<Pcscf>, preferred: &str| {
        let mut draft = ue.request(&Method::Options, "sip:bob@ims.test");
        draft.append(HeaderName::PPreferredIdentity, preferred);
        kit.receive(ue.at, &mut draft);
        let sent = kit.sent().message;
        sent.header(HeaderName::PAssertedIdentity)
            .map(str::to_owned)
    };
    let tel = asserted(&mut kit, "<tel:+1-555-0100>");
    assert_eq!(tel.as_deref(), Some("<tel:+15550100>"));
    let unknown = asserted(&mut kit, "<sip:al@ims.test>");
    assert_eq!(unknown.as_deref(), Some("\"U\" <sip:alice@ims.test>"));

    let mut changed = news(&ue, ContactEvent::Registered);
    changed[1].aor = "sip:al@ims.test".into();
    let mut gone = news(&ue, ContactEvent::Rejected);
    changed.push(gone.remove(1));
    notifier.notify(&mut kit, "active;expires=4000", changed);
    let added = asserted(&mut kit, "<sip:al@ims.test>");
    assert_eq!(added.as_deref(), Some("<sip:al@ims.test>"));
    let removed = asserted(&mut kit, "<tel:+15550100>");
    assert_eq!(removed.as_deref(), Some("\"U\" <sip:alice@ims.test>"));
    assert_eq!(kit.entity.registrations(), 1);
}

#[test]
fn a_foreign_registrar_may_say_less() {
    // No Call-ID, no contacts of a registration that is over, Contact in another spelling.
    let (mut kit, ue, mut notifier) = watching();
    let mut bare = news(&ue, ContactEvent::Expired);
    for registration in &mut bare {
        registration.contacts.clear();
    }
    notifier.notify(&mut kit, "terminated;reason=noresource", bare);
    assert!(!is_served(&mut kit, &ue));

    let (mut kit, ue, mut notifier) = watching();
    let mut spelled = news(&ue, ContactEvent::Rejected);
    for registration in &mut spelled {
        let contact = &mut registration.contacts[0];
        (contact.call_id, contact.cseq) = (None, None);
        contact.uri = "SIP:alice@192.0.2.101:5060;x=1".into();
    }
    notifier.notify(&mut kit, "active", spelled);
    assert!(!is_served(&mut kit, &ue));
}

#[test]
fn a_notify_that_does_not_fit_is_refused_and_changes_nothing() {
    type Change = fn(&mut Draft) -> &mut Draft;
    let cases: [(Change, u16); 11] = [
        (
            |draft| draft.set_request_uri("sip:pcscf.s0000000000000000@192.0.2.1:5060"),
            481,
        ),
        (
            |draft| draft.replace(HeaderName::From, "<sip:alice@ims.test>;tag=x"),
            481,
        ),
        (
            |draft| draft.replace(HeaderName::To, "<sip:pcscf@192.0.2.1:5060>;tag=x"),
            481,
        ),
        (|draft| draft.replace(HeaderName::CallId, "x"), 481),
        (|draft| draft.replace(HeaderName::CSeq, "0 NOTIFY"), 500),
        (|draft| draft.remove_all(HeaderName::Event), 489),
        (|draft| draft.replace(HeaderName::Event, "presence"), 489),
        (|draft| draft.remove_all(HeaderName::SubscriptionState), 400),
        (|draft| draft.set_body(CONTENT_TYPE, "<reginfo"), 400),
        (
            |draft| draft.set_body("application/pidf+xml", "<presence/>"),
            415,
        ),
        (|draft| draft.replace(HeaderName::Contact, "<sip:"), 400),
    ];
    for (n, (change, status)) in cases.into_iter().enumerate() {
        let (mut kit, ue, mut notifier) = watching();
        let ended = news(&ue, ContactEvent::Rejected);
        let mut draft = notifier.draft("terminated;reason=noresource", ended);
        kit.receive(SCSCF, change(&mut draft));
        let response = kit.sent().message;
        assert_eq!(response.status(), Some(status), "case {n}");
        assert_eq!(kit.entity.registrations(), 1);
        assert_eq!(kit.entity.subscriptions(), 1);
    }
    let (mut kit, _, notifier) = watching();
    let contact = notifier.subscribe.message.contact().expect("one").uri;
    let mut message = request(&Method::Message, contact.as_str());
    kit.receive(SCSCF, &mut message);
    let refusal = kit.response(405);
    assert_eq!(refusal.header(HeaderName::Allow), Some("NOTIFY"));
}

#[test]
fn a_subscription_is_refreshed_in_its_dialog_for_as_long_as_the_registration_is() {
    let (mut kit, mut ue, mut notifier) = watching();
    kit.run_for(seconds(3000));
    ue.register(&mut kit, 3600);
    let refreshed = news(&ue, ContactEvent::Refreshed);
    notifier.notify(&mut kit, "active;expires=1800", refreshed);
    kit.run_for(seconds(1199));
    kit.assert_silent();
    kit.run_for(seconds(1));
    let refresh = Notifier::of(&mut kit);
    let message = &refresh.subscribe.message;
    assert_eq!(refresh.subscribe.to, address(SCSCF));
    assert_eq!(message.request_uri(), "sip:scscf.reg@192.0.2.3:5060");
    assert_eq!(message.to_tag(), Some("far"));
    assert_eq!(message.header(HeaderName::CSeq), Some("2 SUBSCRIBE"));
    assert_eq!(message.expires(), Ok(Some(4800)));
    refresh.accept(&mut kit, 4800);
    kit.run_for(seconds(2000));
    kit.assert_silent();
    assert_eq!(kit.entity.subscriptions(), 1);
}

#[test]
fn short_subscriptions_are_refreshed_at_half_time() {
    let (mut kit, _, mut notifier) = watching();
    notifier.notify(&mut kit, "active;expires=600", Vec::new());
    kit.run_for(seconds(299));
    kit.assert_silent();
    kit.run_for(seconds(1));
    Notifier::of(&mut kit);
}

#[test]
fn a_subscription_that_the_scscf_has_lost_is_made_anew() {
    let (mut kit, mut ue, _) = watching();
    kit.run_for(seconds(3000));
    ue.register(&mut kit, 3600);
    kit.run_for(seconds(1200));
    let refresh = Notifier::of(&mut kit);
    kit.reply(&refresh.subscribe, 481);
    kit.assert_silent();
    kit.run_for(seconds(5));
    let anew = Notifier::of(&mut kit);
    assert_eq!(anew.subscribe.to, address(ICSCF));
    assert_eq!(anew.subscribe.message.to_tag(), None);
    let earlier = refresh.subscribe.message.call_id();
    assert_ne!(anew.subscribe.message.call_id(), earlier);
}

#[test]
fn the_last_notify_may_come_after_the_refresh_was_refused() {
    let (mut kit, mut ue, mut notifier) = watching();
    kit.run_for(seconds(3000));
    ue.register(&mut kit, 3600);
    kit.run_for(seconds(1200));
    let refresh = Notifier::of(&mut kit);
    kit.reply(&refresh.subscribe, 481);
    let ended = news(&ue, ContactEvent::Rejected);
    notifier.notify(&mut kit, "terminated;reason=noresource", ended);
    assert_eq!(
        (kit.entity.registrations(), kit.entity.subscriptions()),
        (0, 0)
    );
    kit.run_for(seconds(60));
    kit.assert_silent();
}

#[test]
fn a_refresh_that_fails_is_tried_again_while_the_subscription_lasts() {
    let (mut kit, mut ue, _) = watching();
    kit.run_for(seconds(3000));
    ue.register(&mut kit, 3600);
    kit.run_for(seconds(1200));
    let refresh = Notifier::of(&mut kit);
    kit.reply(&refresh.subscribe, 503);
    kit.run_for(seconds(300));
    let again = Notifier::of(&mut kit);
    assert_eq!(again.subscribe.to, address(SCSCF));
    // And when the S-CSCF says nothing at all, there is a new one in the end.
    let mut last = None;
    for _ in 0..60 {
        kit.run_for(seconds(10));
        while let Some(sent) = kit.poll_sent() {
            last = Some(sent.to);
        }
    }
    assert_eq!(last, Some(address(ICSCF)));
}

#[test]
fn a_subscription_that_was_refused_waits_for_the_next_register() {
    let (mut kit, mut ue) = (kit(), Ue::new("alice", "192.0.2.101:5060"));
    ue.register(&mut kit, 3600);
    let refused = Notifier::of(&mut kit);
    kit.reply(&refused.subscribe, 403);
    assert_eq!(kit.entity.subscriptions(), 0);
    assert_eq!(kit.counter(Counter::SubscriptionRefused), 1);
    kit.run_for(seconds(60));
    kit.assert_silent();
    ue.register(&mut kit, 3600);
    Notifier::of(&mut kit);
}

#[test]
fn without_a_notify_there_is_no_subscription() {
    let (mut kit, mut ue) = (kit(), Ue::new("alice", "192.0.2.101:5060"));
    ue.register(&mut kit, 3600);
    let notifier = Notifier::of(&mut kit);
    notifier.accept(&mut kit, 4800);
    kit.run_for(seconds(31));
    assert_eq!(kit.entity.subscriptions(), 1);
    kit.run_for(seconds(1));
    assert_eq!(kit.entity.subscriptions(), 0);
    assert_eq!(kit.entity.registrations(), 1);
}

#[test]
fn a_subscription_goes_with_the_last_registration_of_its_set() {
    let (mut kit, mut first, mut notifier) = watching();
    let mut second = Ue::new("alice", "192.0.2.102:5060");
    second.register(&mut kit, 3600);
    first.register(&mut kit, 0);
    kit.run_for(seconds(60));
    kit.assert_silent();
    second.register(&mut kit, 0);
    assert_eq!(kit.entity.registrations(), 0);
    kit.run_for(seconds(4));
    kit.assert_silent();
    kit.run_for(seconds(1));
    let last = Notifier::of(&mut kit);
    assert_eq!(last.subscribe.message.expires(), Ok(Some(0)));
    last.accept(&mut kit, 0);
    assert_eq!(kit.entity.subscriptions(), 1);
    notifier.notify(&mut kit, "terminated;reason=timeout", Vec::new());
    assert_eq!(kit.entity.subscriptions(), 0);
    kit.run_for(seconds(300));
    assert_eq!((kit.timers(), kit.transactions()), (0, 0));
}

#[test]
fn a_ue_that_is_back_at_once_finds_its_subscription() {
    let (mut kit, mut ue, _) = watching();
    ue.register(&mut kit, 0);
    kit.run_for(seconds(3));
    ue.register(&mut kit, 3600);
    kit.run_for(seconds(60));
    kit.assert_silent();
    assert_eq!(kit.entity.subscriptions(), 1);
}

#[test]
fn a_ue_that_is_back_while_its_subscription_ends_gets_another() {
    let (mut kit, mut ue, _) = watching();
    ue.register(&mut kit, 0);
    kit.run_for(seconds(5));
    let last = Notifier::of(&mut kit);
    ue.register(&mut kit, 3600);
    let anew = Notifier::of(&mut kit);
    assert_eq!(anew.subscribe.message.to_tag(), None);
    last.accept(&mut kit, 0);
    // The end of the old one is never told: it is forgotten.
    kit.run_for(seconds(31));
    assert_eq!(kit.entity.subscriptions(), 2);
    kit.run_for(seconds(1));
    assert_eq!(
        kit.entity.subscriptions(),
        0,
        "the new one had no NOTIFY either"
    );
}

#[test]
fn what_the_scscf_ends_is_made_anew_where_it_wants_it() {
    for (state, after) in [
        ("terminated", Some(5)),
        ("terminated;reason=deactivated", Some(5)),
        ("terminated;reason=timeout", Some(5)),
        ("terminated;reason=probation;retry-after=60", Some(60)),
        ("terminated;reason=giveup;retry-after=99999999", Some(3600)),
        ("terminated;reason=noresource", None),
        ("terminated;reason=rejected;retry-after=5", None),
    ] {
        let (mut kit, mut ue, mut notifier) = watching();
        ue.register(&mut kit, 7200);
        notifier.notify(&mut kit, state, Vec::new());
        match after {
            Some(after) => {
                kit.run_for(seconds(after - 1));
                kit.assert_silent();
                kit.run_for(seconds(1));
                Notifier::of(&mut kit);
            }
            None => {
                kit.run_for(seconds(3700));
                kit.assert_silent();
                assert_eq!(kit.entity.subscriptions(), 0);
            }
        }
    }
}

#[test]
fn a_ue_is_told_of_the_end_after_it() {
    let (mut kit, mut ue, _) = watching();
    ue.register(&mut kit, 0);
    let towards = |to: &str| {
        let mut notify = request(&Method::Notify, &ue.contact());
        notify
            .replace(HeaderName::To, to)
            .append(HeaderName::Route, &ue.path)
            .append(HeaderName::Event, "reg")
            .append(HeaderName::SubscriptionState, "terminated");
        notify
    };
    kit.receive(SCSCF, &mut towards("<sip:alice@ims.test>;tag=ue"));
    let told = kit.sent();
    assert_eq!(told.to, address(ue.at));
    kit.reply(&told, 200);
    kit.response(200);
    kit.receive(SCSCF, &mut towards("<sip:alice@ims.test>"));
    kit.response(430);
    kit.run_for(seconds(128));
    while kit.poll_sent().is_some() {}
    kit.receive(SCSCF, &mut towards("<sip:alice@ims.test>;tag=ue"));
    kit.response(430);
}

#[test]
fn our_own_contact_is_no_route() {
    let (mut kit, _, notifier) = watching();
    let contact = notifier.subscribe.message.contact().expect("one").uri;
    let mut draft = request(&Method::Options, "sip:alice@ims.test");
    draft.append(HeaderName::Route, &format!("<{};lr>", contact.as_str()));
    kit.receive(SCSCF, &mut draft);
    kit.response(481);
}
