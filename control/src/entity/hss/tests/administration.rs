//! RTR and PPR, TS 29.228 6.1.3 and 6.2.2.

use super::*;

fn rtr(sent: &(Origin, Request)) -> &Rtr {
    match sent {
        (destination, Request::RegistrationTermination(rtr)) => {
            assert_eq!(destination.host, "scscf.ims.test");
            rtr
        }
        other => panic!("no RTR: {other:?}"),
    }
}

fn ppr(sent: &(Origin, Request)) -> &Ppr {
    match sent {
        (destination, Request::PushProfile(ppr)) => {
            assert_eq!(destination.host, "scscf.ims.test");
            ppr
        }
        other => panic!("no PPR: {other:?}"),
    }
}

#[test]
fn a_removed_subscriber_is_terminated_where_it_is_served() {
    for state in STATES {
        let mut home = Home::with_alice();
        home.bring(state);
        let outcome = home.administer(Operation::Remove(alice().impi));
        assert!(matches!(outcome, store::Outcome::Removed(_)));
        if matches!(state, "registered" | "unregistered") {
            let rtr = rtr(&home.sent[0]);
            assert_eq!(rtr.user_name, "alice@ims.test");
            assert!(rtr.public_identities.is_empty());
            assert_eq!(
                rtr.deregistration_reason.code,
                ReasonCode::PermanentTermination
            );
        } else {
            assert!(home.sent.is_empty(), "{state}");
        }
        assert_eq!(home.uar(uar()).outcome, Outcome::UserUnknown);
    }
}

#[test]
fn a_changed_profile_is_pushed_for_each_set_served() {
    let mut home = Home::with_alice();
    home.bring("registered");
    home.sar(Sar {
        public_identities: vec!["sip:work@ims.test".to_owned()],
        ..sar(ServerAssignmentType::Registration)
    });
    home.put(alice());
    assert!(home.sent.is_empty(), "nothing has changed");
    let mut changed = alice_with_services();
    changed.charging.primary_ecf = Some("aaa://ecf.ims.test".to_owned());
    home.put(changed.clone());
    assert_eq!(home.sent.len(), 2);
    let first = ppr(&home.sent[0]);
    let xml = first.user_data.as_deref().expect("User-Data");
    let subscription = ImsSubscription::parse(xml).expect("a document of the schema");
    assert_eq!(
        subscription.service_profiles[0]
            .initial_filter_criteria
            .len(),
        1
    );
    assert!(first.charging_information.is_some());
    assert!(
        ppr(&home.sent[1]).charging_information.is_none(),
        "once is enough"
    );
    home.sent.clear();
    changed.digest = Some(DigestHash::of_password("alice@ims.test", "ims.test", "new"));
    home.put(changed);
    assert_eq!(home.sent.len(), 1);
    let news = ppr(&home.sent[0]);
    assert!(news.user_data.is_none() && news.sip_auth_data_item.is_some());
    home.run(Event::Answered {
        answer: Answer::PushProfile(Ppa::from(Outcome::TooMuchData)),
    });
}

#[test]
fn a_set_that_loses_an_identity_ends_and_the_others_go_on() {
    let mut home = Home::with_alice();
    home.bring("registered");
    home.sar(Sar {
        public_identities: vec!["sip:work@ims.test".to_owned()],
        ..sar(ServerAssignmentType::Registration)
    });
    let mut changed = alice_with_services();
    changed.impus.remove(1);
    let outcome = home.put(changed);
    assert!(matches!(
        outcome,
        store::Outcome::Stored { previous: Some(_) }
    ));
    assert_eq!(home.sent.len(), 2, "{:?}", home.sent);
    assert!(ppr(&home.sent[0]).user_data.is_some());
    let ended = &rtr(&home.sent[1]).public_identities;
    assert_eq!(ended, &["tel:+15550100", "sip:alice@ims.test"]);
    let after = home.registrations();
    assert_eq!(after.set(0).state, RegistrationState::NotRegistered);
    assert_eq!(after.set(1).state, RegistrationState::Registered);
    assert!(after.server.is_some());
}

#[test]
fn the_operator_can_end_registrations() {
    let mut home = Home::with_alice();
    home.bring("registered");
    let answers = home.run(Event::Deregister {
        token: 1,
        impi: alice().impi,
        info: Some("maintenance".to_owned()),
    });
    assert!(matches!(
        answers.as_slice(),
        [Action::Administered { token: 1, outcome: store::Outcome::Registered(after) }]
            if after.server.is_none() && after.sets.is_empty()
    ));
    let reason = &rtr(&home.sent[0]).deregistration_reason;
    assert_eq!(reason.info.as_deref(), Some("maintenance"));
    let nobody = home.run(Event::Deregister {
        token: 2,
        impi: subscriber("nobody").impi,
        info: None,
    });
    assert!(matches!(
        nobody.as_slice(),
        [Action::Administered {
            outcome: store::Outcome::Refused(Refusal::NotFound),
            ..
        }]
    ));
}
