//! SAR, TS 29.228 6.1.2.1.

use super::*;

#[test]
fn registration_gives_the_profile_of_the_implicit_set() {
    let mut home = Home::new();
    let mut alice = alice_with_services();
    alice.profile.shared_filter_sets = vec![4];
    alice.charging.primary_ccf = Some("aaa://ccf.ims.test".to_owned());
    home.put(alice);
    home.bring("pending");
    let saa = home.sar(sar(ServerAssignmentType::Registration));
    assert_eq!(saa.outcome, Outcome::SUCCESS);
    assert_eq!(saa.user_name.as_deref(), Some("alice@ims.test"));
    let charging = saa
        .charging_information
        .as_ref()
        .expect("Charging-Information");
    assert_eq!(charging.primary_ccf.as_deref(), Some("aaa://ccf.ims.test"));
    let subscription = profile(&saa);
    assert_eq!(subscription.private_id, "alice@ims.test");
    let service = &subscription.service_profiles[0];
    let identities: Vec<_> = service
        .public_identities
        .iter()
        .map(|identity| (identity.identity.as_str(), identity.barred))
        .collect();
    // The default identity is the first one that is not barred.
    assert_eq!(
        identities,
        [("sip:alice@ims.test", false), ("tel:+15550100", true)]
    );
    assert_eq!(
        service.public_identities[0].display_name.as_deref(),
        Some("Alice <&>")
    );
    assert_eq!(service.initial_filter_criteria.len(), 1);
    assert!(service.shared_ifc_set_ids.is_empty());
    let after = home.registrations();
    assert_eq!(after.set(0).state, RegistrationState::Registered);
    assert!(!after.set(0).auth_pending);
    assert_eq!(after.set(1).state, RegistrationState::NotRegistered);

    let with_feature = home.sar(Sar {
        supported_features: vec![SupportedFeatures::list1(SupportedFeatures::SIFC)],
        ..sar(ServerAssignmentType::ReRegistration)
    });
    assert_eq!(
        profile(&with_feature).service_profiles[0].shared_ifc_set_ids,
        [4]
    );
    assert!(has_feature(
        &with_feature.supported_features,
        SupportedFeatures::SIFC
    ));
}

#[test]
fn a_profile_already_there_is_not_sent_again() {
    let mut home = Home::with_alice();
    home.bring("registered");
    let before = home.registrations();
    let saa = home.sar(Sar {
        user_data_already_available: true,
        ..sar(ServerAssignmentType::ReRegistration)
    });
    assert_eq!(saa.outcome, Outcome::SUCCESS);
    assert_eq!(saa.user_data, None);
    assert_eq!(home.registrations(), before, "nothing to write");
}

#[test]
fn sar_asks_for_the_identities_and_their_number() {
    use ServerAssignmentType as Type;
    let of = |kind, name: Option<&str>, identities: &[&str]| Sar {
        user_name: name.map(str::to_owned),
        public_identities: identities.iter().map(|&i| i.to_owned()).collect(),
        ..sar(kind)
    };
    let (alice, work) = ("sip:alice@ims.test", "sip:work@ims.test");
    let impi = Some("alice@ims.test");
    let missing = Outcome::Base(ResultCode::MISSING_AVP);
    let many = Outcome::Base(ResultCode::AVP_OCCURS_TOO_MANY_TIMES);
    for (sar, expected) in [
        (
            of(Type::Registration, Some("nobody@ims.test"), &[alice]),
            Outcome::UserUnknown,
        ),
        (
            of(Type::Registration, impi, &["sip:nobody@ims.test"]),
            Outcome::UserUnknown,
        ),
        (
            of(Type::Registration, impi, &["sip:bob@ims.test"]),
            Outcome::IdentitiesDontMatch,
        ),
        (
            of(Type::UserDeregistration, impi, &[alice, "sip:bob@ims.test"]),
            Outcome::IdentitiesDontMatch,
        ),
        (of(Type::Registration, impi, &[]), missing),
        (of(Type::Registration, None, &[alice]), missing),
        (of(Type::Registration, None, &[]), missing),
        (of(Type::Registration, impi, &[alice, work]), many),
        (of(Type::UnregisteredUser, None, &[alice, work]), many),
        (of(Type::AuthenticationFailure, impi, &[alice, work]), many),
        (
            of(Type::PgwUpdate, impi, &[alice]),
            Outcome::Base(ResultCode::INVALID_AVP_VALUE),
        ),
        (
            of(Type::UserDeregistration, impi, &[alice, work]),
            Outcome::SUCCESS,
        ),
        (
            of(Type::TimeoutDeregistration, None, &[alice]),
            Outcome::SUCCESS,
        ),
        (
            of(Type::AdministrativeDeregistration, impi, &[]),
            Outcome::SUCCESS,
        ),
    ] {
        let mut home = Home::with_alice();
        home.put(subscriber("bob"));
        let text = format!("{sar:?}");
        assert_eq!(home.sar(sar).outcome, expected, "{text}");
        assert_eq!(home.registrations(), Registrations::default());
    }
}

/// Every Server-Assignment-Type of Cx in every state, from the S-CSCF that is assigned if one is:
/// the result, the state after it, and whether a name is kept and a profile given.
#[test]
fn sar_by_type_and_state() {
    use RegistrationState::{NotRegistered as No, Registered as Yes, Unregistered as Un};
    use ServerAssignmentType as Type;
    let ok = Outcome::SUCCESS;
    let not_stored = Outcome::SuccessServerNameNotStored;
    let unable = Outcome::UNABLE_TO_COMPLY;
    let wrong = Outcome::ErrorInAssignmentType;
    for (kind, expected) in [
        (Type::Registration, [(ok, Yes); 4]),
        (Type::ReRegistration, [(ok, Yes); 4]),
        (
            Type::UnregisteredUser,
            [(ok, Un), (ok, Un), (wrong, Yes), (ok, Un)],
        ),
        (
            Type::NoAssignment,
            [(unable, No), (unable, No), (ok, Yes), (ok, Un)],
        ),
        (Type::UserDeregistration, [(ok, No); 4]),
        (Type::TimeoutDeregistration, [(ok, No); 4]),
        (Type::AdministrativeDeregistration, [(ok, No); 4]),
        (Type::DeregistrationTooMuchData, [(ok, No); 4]),
        (
            Type::UserDeregistrationStoreServerName,
            [(not_stored, No); 4],
        ),
        (
            Type::TimeoutDeregistrationStoreServerName,
            [(not_stored, No); 4],
        ),
        (
            Type::AuthenticationFailure,
            [(ok, No), (ok, No), (ok, Yes), (ok, Un)],
        ),
        (
            Type::AuthenticationTimeout,
            [(ok, No), (ok, No), (ok, Yes), (ok, Un)],
        ),
    ] {
        for (state, (outcome, after)) in STATES.into_iter().zip(expected) {
            let mut home = Home::with_alice();
            home.bring(state);
            let saa = home.sar(sar(kind));
            assert_eq!(saa.outcome, outcome, "{kind:?} while {state}");
            assert_eq!(home.state(), after, "{kind:?} while {state}");
            let kept = home.registrations().server.is_some();
            // A refused NO_ASSIGNMENT ends no authentication.
            let pending = kind == Type::NoAssignment && state == "pending";
            assert_eq!(kept, after != No || pending, "{kind:?} while {state}");
            let gives = !kind.is_deregistration() && outcome == ok;
            assert_eq!(saa.user_data.is_some(), gives, "{kind:?} while {state}");
        }
    }
}

#[test]
fn the_server_stays_assigned_when_there_are_services_for_the_unregistered() {
    let mut home = Home::new();
    home.put(alice_with_services());
    home.bring("registered");
    let saa = home.sar(sar(
        ServerAssignmentType::TimeoutDeregistrationStoreServerName,
    ));
    assert_eq!(saa.outcome, Outcome::SUCCESS);
    assert_eq!(home.state(), RegistrationState::Unregistered);
    assert_eq!(home.registrations().server.expect("kept").name, SCSCF);
}

#[test]
fn deregistration_of_one_set_leaves_the_others_and_the_server() {
    let mut home = Home::with_alice();
    home.bring("registered");
    let work = |kind| Sar {
        public_identities: vec!["sip:work@ims.test".to_owned()],
        ..sar(kind)
    };
    home.sar(work(ServerAssignmentType::Registration));
    home.sar(sar(ServerAssignmentType::UserDeregistration));
    assert_eq!(home.state(), RegistrationState::NotRegistered);
    assert!(home.registrations().server.is_some());
    home.sar(work(ServerAssignmentType::UserDeregistration));
    assert_eq!(home.registrations().server, None);
}

#[test]
fn deregistration_without_identity_ends_all() {
    let mut home = Home::with_alice();
    home.bring("registered");
    home.sar(Sar {
        public_identities: vec!["sip:work@ims.test".to_owned()],
        ..sar(ServerAssignmentType::Registration)
    });
    home.sar(Sar {
        public_identities: Vec::new(),
        ..sar(ServerAssignmentType::UserDeregistration)
    });
    let after = home.registrations();
    assert!(after.sets.is_empty() && after.server.is_none(), "{after:?}");
}

#[test]
fn another_server_is_told_who_serves_the_user() {
    use ServerAssignmentType as Type;
    for kind in [
        Type::Registration,
        Type::ReRegistration,
        Type::UnregisteredUser,
    ] {
        for state in ["registered", "unregistered"] {
            let mut home = Home::with_alice();
            home.bring(state);
            let before = home.registrations();
            let saa = home.sar(Sar {
                server_name: OTHER_SCSCF.to_owned(),
                ..sar(kind)
            });
            assert_eq!(
                saa.outcome,
                Outcome::IdentityAlreadyRegistered,
                "{kind:?} {state}"
            );
            assert_eq!(saa.server_name.as_deref(), Some(SCSCF));
            assert_eq!(saa.user_data, None);
            assert_eq!(home.registrations(), before);
        }
    }
    for kind in [
        Type::NoAssignment,
        Type::UserDeregistration,
        Type::AuthenticationTimeout,
    ] {
        let mut home = Home::with_alice();
        home.bring("registered");
        let before = home.registrations();
        let saa = home.sar(Sar {
            server_name: OTHER_SCSCF.to_owned(),
            ..sar(kind)
        });
        assert_eq!(saa.outcome, Outcome::UNABLE_TO_COMPLY, "{kind:?}");
        assert_eq!(home.registrations(), before);
    }
}

#[test]
fn a_server_selected_anew_may_take_over_and_the_old_one_is_told() {
    let mut home = Home::with_alice();
    home.bring("registered");
    home.uar(uar_of(UserAuthorizationType::RegistrationAndCapabilities));
    assert!(home.registrations().reassignment_pending);
    let request = Request::ServerAssignment(Sar {
        server_name: OTHER_SCSCF.to_owned(),
        ..sar(ServerAssignmentType::Registration)
    });
    let answer = home.ask_from("other.ims.test", request);
    assert_eq!(answer.outcome(), Outcome::SUCCESS);
    let after = home.registrations();
    assert!(!after.reassignment_pending);
    assert_eq!(after.server.expect("assigned").host, "other.ims.test");
    let [(destination, Request::RegistrationTermination(rtr))] = home.sent.as_slice() else {
        panic!("one RTR, got {:?}", home.sent);
    };
    assert_eq!(destination.host, "scscf.ims.test");
    assert_eq!(
        rtr.deregistration_reason.code,
        ReasonCode::NewServerAssigned
    );
}

#[test]
fn restoration_information_comes_back_to_a_server_that_lost_it() {
    let mut home = Home::with_alice();
    let info = ScscfRestorationInfo {
        user_name: "alice@ims.test".to_owned(),
        restoration_info: vec![RestorationInfo {
            path: "<sip:pcscf.ims.test;lr>".to_owned(),
            contact: "<sip:alice@192.0.2.1:5060>;expires=600".to_owned(),
            initial_cseq: Some(7),
            call_id: Some("a\"b".to_owned()),
            subscription_info: Some(cx::SubscriptionInfo {
                call_id: "x".to_owned(),
                from: "<sip:alice@ims.test>;tag=1".to_owned(),
                to: "<sip:alice@ims.test>;tag=2".to_owned(),
                record_route: None,
                contact: "<sip:scscf.ims.test>".to_owned(),
            }),
            pcscf_subscription_info: None,
        }],
        registration_time_out: Some(base::Instant::from_secs(1_800_000_000)),
        scheme: Some(AuthScheme::SipDigest),
    };
    let restorable = |kind| Sar {
        supported_features: vec![SupportedFeatures::list1(
            SupportedFeatures::IMS_RESTORATION_IND,
        )],
        ..sar(kind)
    };
    home.sar(Sar {
        scscf_restoration_info: Some(info.clone()),
        ..sar(ServerAssignmentType::Registration)
    });
    let saa = home.sar(restorable(ServerAssignmentType::NoAssignment));
    assert_eq!(saa.outcome, Outcome::SUCCESS);
    assert_eq!(saa.scscf_restoration_info, std::slice::from_ref(&info));
    let saa = home.sar(restorable(ServerAssignmentType::UnregisteredUser));
    assert_eq!(saa.outcome, Outcome::ErrorInAssignmentType);
    assert_eq!(saa.scscf_restoration_info, [info]);
    assert!(saa.user_data.is_some());
    // A server that does not know of it is not given any, and a new registration without any keeps
    // the old.
    let saa = home.sar(sar(ServerAssignmentType::NoAssignment));
    assert!(saa.scscf_restoration_info.is_empty());
    home.sar(sar(ServerAssignmentType::UserDeregistration));
    home.sar(sar(ServerAssignmentType::Registration));
    let saa = home.sar(restorable(ServerAssignmentType::NoAssignment));
    assert!(saa.scscf_restoration_info.is_empty());
}
