//! LIR, TS 29.228 6.1.4.1.

use super::*;

#[test]
fn lir_by_state_and_services() {
    let ok = (Outcome::SUCCESS, true);
    let none = (Outcome::IdentityNotRegistered, false);
    let select = (Outcome::UnregisteredService, false);
    for (services, expected) in [(false, [none, none, ok, ok]), (true, [select, ok, ok, ok])] {
        for (state, (outcome, named)) in STATES.into_iter().zip(expected) {
            let mut home = Home::new();
            home.put(if services {
                alice_with_services()
            } else {
                alice()
            });
            home.bring(state);
            let lia = home.lir(lir());
            assert_eq!(lia.outcome, outcome, "services {services}, {state}");
            assert_eq!(lia.server_name.as_deref() == Some(SCSCF), named, "{state}");
        }
    }
    let mut home = Home::with_alice();
    let unknown = Lir {
        public_identity: "tel:+1".to_owned(),
        ..Lir::default()
    };
    assert_eq!(home.lir(unknown).outcome, Outcome::UserUnknown);
}

#[test]
fn services_of_the_registered_state_do_not_count_for_the_unregistered() {
    let mut home = Home::new();
    let mut alice = alice();
    alice.profile.filter_criteria = vec![FilterCriteria::parse(AS_REGISTERED).expect("criteria")];
    home.put(alice);
    assert_eq!(home.lir(lir()).outcome, Outcome::IdentityNotRegistered);
}

#[test]
fn lir_of_another_identity_gives_the_server_of_the_subscription() {
    let mut home = Home::new();
    home.put(alice_with_services());
    home.bring("registered");
    let lia = home.lir(Lir {
        public_identity: "sip:work@ims.test".to_owned(),
        ..lir()
    });
    assert_eq!(lia.outcome, Outcome::SUCCESS);
    assert_eq!(lia.server_name.as_deref(), Some(SCSCF));
}

#[test]
fn lir_with_capabilities_lets_another_server_take_over() {
    let mut home = Home::new();
    let mut demanding = alice();
    demanding.capabilities.mandatory = vec![3];
    home.put(demanding);
    home.bring("registered");
    let lia = home.lir(Lir {
        user_authorization_type: Some(UserAuthorizationType::RegistrationAndCapabilities),
        ..lir()
    });
    assert_eq!(lia.outcome, Outcome::SUCCESS);
    assert_eq!(
        lia.server_capabilities.expect("capabilities").mandatory,
        [3]
    );
    assert_eq!(lia.server_name, None);
    let saa = home.sar(Sar {
        server_name: OTHER_SCSCF.to_owned(),
        ..sar(ServerAssignmentType::UnregisteredUser)
    });
    assert_eq!(saa.outcome, Outcome::SUCCESS);
    assert_eq!(home.state(), RegistrationState::Unregistered);
}
