//! UAR, TS 29.228 6.1.1.1.

use super::*;

#[test]
fn uar_asks_for_both_identities_and_their_bond() {
    let mut home = Home::with_alice();
    home.put(subscriber("bob"));
    for (impi, impu, expected) in [
        (
            "alice@ims.test",
            "sip:alice@IMS.test;x=y",
            Outcome::FirstRegistration,
        ),
        (
            "nobody@ims.test",
            "sip:alice@ims.test",
            Outcome::UserUnknown,
        ),
        ("not an NAI", "sip:alice@ims.test", Outcome::UserUnknown),
        (
            "alice@ims.test",
            "sip:nobody@ims.test",
            Outcome::UserUnknown,
        ),
        ("alice@ims.test", "alice", Outcome::UserUnknown),
        (
            "alice@ims.test",
            "sip:bob@ims.test",
            Outcome::IdentitiesDontMatch,
        ),
    ] {
        let uaa = home.uar(Uar {
            user_name: impi.to_owned(),
            public_identity: impu.to_owned(),
            ..uar()
        });
        assert_eq!(uaa.outcome, expected, "{impi} {impu}");
        assert_eq!(uaa.server_name, None);
    }
}

#[test]
fn uar_of_a_barred_identity_depends_on_the_others_of_its_set() {
    let mut home = Home::with_alice();
    let of = |identity: &str| Uar {
        public_identity: identity.to_owned(),
        ..uar()
    };
    assert_eq!(
        home.uar(of("tel:+1-555-0100")).outcome,
        Outcome::FirstRegistration
    );
    let rejected = Outcome::Base(ResultCode::AUTHORIZATION_REJECTED);
    assert_eq!(home.uar(of("sip:closed@ims.test")).outcome, rejected);
    let emergency = Uar {
        emergency_registration: true,
        ..of("sip:closed@ims.test")
    };
    assert_eq!(home.uar(emergency).outcome, Outcome::FirstRegistration);
}

#[test]
fn uar_allows_roaming_at_home_and_where_the_subscription_says() {
    let mut home = Home::new();
    let mut roamer = alice();
    roamer.visited_networks = vec!["visited.test".to_owned()];
    home.put(roamer);
    let from = |network: &str, kind| Uar {
        visited_network_identifier: network.to_owned(),
        ..uar_of(kind)
    };
    use UserAuthorizationType as Type;
    for (network, kind, expected) in [
        ("ims.test", Type::Registration, Outcome::FirstRegistration),
        (
            "\"Visited.Test\"",
            Type::Registration,
            Outcome::FirstRegistration,
        ),
        ("far.test", Type::Registration, Outcome::RoamingNotAllowed),
        (
            "far.test",
            Type::RegistrationAndCapabilities,
            Outcome::RoamingNotAllowed,
        ),
        (
            "far.test",
            Type::DeRegistration,
            Outcome::IdentityNotRegistered,
        ),
    ] {
        assert_eq!(
            home.uar(from(network, kind)).outcome,
            expected,
            "{network} {kind:?}"
        );
    }
    let emergency = Uar {
        emergency_registration: true,
        ..from("far.test", Type::Registration)
    };
    assert_eq!(home.uar(emergency).outcome, Outcome::FirstRegistration);
}

#[test]
fn uar_by_state() {
    use UserAuthorizationType as Type;
    for (state, kind, expected, named) in [
        (
            "not registered",
            Type::Registration,
            Outcome::FirstRegistration,
            false,
        ),
        (
            "not registered",
            Type::DeRegistration,
            Outcome::IdentityNotRegistered,
            false,
        ),
        (
            "pending",
            Type::Registration,
            Outcome::SubsequentRegistration,
            true,
        ),
        (
            "pending",
            Type::DeRegistration,
            Outcome::IdentityNotRegistered,
            false,
        ),
        (
            "registered",
            Type::Registration,
            Outcome::SubsequentRegistration,
            true,
        ),
        ("registered", Type::DeRegistration, Outcome::SUCCESS, true),
        (
            "unregistered",
            Type::Registration,
            Outcome::SubsequentRegistration,
            true,
        ),
        (
            "unregistered",
            Type::DeRegistration,
            Outcome::IdentityNotRegistered,
            false,
        ),
    ] {
        let mut home = Home::with_alice();
        home.bring(state);
        let uaa = home.uar(uar_of(kind));
        assert_eq!(uaa.outcome, expected, "{state} {kind:?}");
        assert_eq!(
            uaa.server_name.as_deref() == Some(SCSCF),
            named,
            "{state} {kind:?}"
        );
        assert_eq!(uaa.server_capabilities, None);
    }
}

#[test]
fn uar_of_another_identity_gives_the_server_of_the_subscription() {
    let mut home = Home::with_alice();
    home.bring("registered");
    let uaa = home.uar(Uar {
        public_identity: "sip:work@ims.test".to_owned(),
        ..uar()
    });
    assert_eq!(uaa.outcome, Outcome::SubsequentRegistration);
    assert_eq!(uaa.server_name.as_deref(), Some(SCSCF));
}

#[test]
fn uar_gives_capabilities_where_a_server_must_be_selected() {
    let mut home = Home::new();
    let mut demanding = alice();
    demanding.capabilities.mandatory = vec![3];
    demanding.capabilities.optional = vec![5, 6];
    demanding.capabilities.server_names = vec![SCSCF.to_owned()];
    home.put(demanding);
    let wanted = cx::ServerCapabilities {
        mandatory: vec![3],
        optional: vec![5, 6],
        server_names: vec![SCSCF.to_owned()],
    };
    assert_eq!(home.uar(uar()).server_capabilities.as_ref(), Some(&wanted));
    home.bring("registered");
    assert_eq!(home.uar(uar()).server_capabilities, None);
    let uaa = home.uar(uar_of(UserAuthorizationType::RegistrationAndCapabilities));
    assert_eq!(uaa.outcome, Outcome::SUCCESS);
    assert_eq!(uaa.server_name, None);
    assert_eq!(uaa.server_capabilities, Some(wanted));
}
