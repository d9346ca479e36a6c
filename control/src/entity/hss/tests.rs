//! Each command against each state of the user that matters, over a real store.

use std::collections::VecDeque;

use diameter::cx::user_data::ImsSubscription;
use diameter::cx::{
    AuthScheme, Lia, Lir, Maa, Mar, Ppa, Ppr, ReasonCode, RestorationInfo, Rtr, Saa, Sar,
    ScscfRestorationInfo, ServerAssignmentType, SipAuthDataItem, Uaa, Uar, UserAuthorizationType,
};

use super::*;
use crate::auth::usim::{CardAnswer, Usim};
use crate::auth::{DigestHash, Secret};
use crate::store::conformance::{TestFolder, subscriber};
use crate::store::{
    FilterCriteria, MemoryStore, PublicIdentity, PutMode, RedbStore, RegistrationState, Store,
    Subscriber,
};

const SCSCF: &str = "sip:scscf.ims.test:6060";
const OTHER_SCSCF: &str = "sip:other.ims.test:6060";
const AS: &str = "<InitialFilterCriteria><Priority>0</Priority><ApplicationServer>\
    <ServerName>sip:as.ims.test</ServerName></ApplicationServer></InitialFilterCriteria>";
const AS_REGISTERED: &str = "<InitialFilterCriteria><Priority>0</Priority><ApplicationServer>\
    <ServerName>sip:as.ims.test</ServerName></ApplicationServer>\
    <ProfilePartIndicator>0</ProfilePartIndicator></InitialFilterCriteria>";

/// An HSS with its store; events are worked off until nothing is left to do.
struct Home {
    hss: Hss,
    store: Box<dyn Store>,
    entropy: Entropy,
    sent: Vec<(Origin, Request)>,
}

impl Home {
    fn new() -> Self {
        Self::on(Box::new(MemoryStore::default()))
    }

    fn on(store: Box<dyn Store>) -> Self {
        let config = Config {
            home: "ims.test".to_owned(),
            vectors_max: VECTORS_MAX,
        };
        Self {
            hss: Hss::new(config),
            store,
            entropy: Entropy::from_u64(7),
            sent: Vec::new(),
        }
    }

    /// With alice, who has two implicit sets: 0 with a barred number first, and 1.
    fn with_alice() -> Self {
        let mut home = Self::new();
        home.put(alice());
        home
    }

    fn put(&mut self, subscriber: Subscriber) -> store::Outcome {
        self.administer(Operation::Put {
            subscriber: Box::new(subscriber),
            mode: PutMode::CreateOrReplace,
        })
    }

    /// Works an event off; gives what was answered.
    fn run(&mut self, event: Event) -> Vec<Action> {
        let mut events = VecDeque::from([event]);
        let mut answers = Vec::new();
        while let Some(event) = events.pop_front() {
            let mut actions = Vec::new();
            self.hss.handle(event, &mut self.entropy, &mut actions);
            for action in actions {
                match action {
                    Action::Store { id, operation } => {
                        let outcome = self.store.execute(vec![operation]).remove(0);
                        events.push_back(Event::Stored { id, outcome });
                    }
                    Action::Request {
                        destination,
                        request,
                    } => self.sent.push((destination, request)),
                    answer => answers.push(answer),
                }
            }
        }
        assert_eq!(self.hss.jobs(), 0);
        answers
    }

    fn ask_from(&mut self, host: &str, request: Request) -> Answer {
        let mut answers = self.run(Event::Request {
            token: 42,
            origin: origin(host),
            request,
        });
        match (answers.pop(), answers.is_empty()) {
            (Some(Action::Answer { token: 42, answer }), true) => answer,
            other => panic!("not one answer: {other:?}"),
        }
    }

    fn ask(&mut self, request: Request) -> Answer {
        self.ask_from("scscf.ims.test", request)
    }

    fn uar(&mut self, uar: Uar) -> Uaa {
        match self.ask(Request::UserAuthorization(uar)) {
            Answer::UserAuthorization(uaa) => uaa,
            other => panic!("{other:?}"),
        }
    }

    fn sar(&mut self, sar: Sar) -> Saa {
        match self.ask(Request::ServerAssignment(sar)) {
            Answer::ServerAssignment(saa) => saa,
            other => panic!("{other:?}"),
        }
    }

    fn lir(&mut self, lir: Lir) -> Lia {
        match self.ask(Request::LocationInfo(lir)) {
            Answer::LocationInfo(lia) => lia,
            other => panic!("{other:?}"),
        }
    }

    fn mar(&mut self, mar: Mar) -> Maa {
        match self.ask(Request::MultimediaAuth(mar)) {
            Answer::MultimediaAuth(maa) => maa,
            other => panic!("{other:?}"),
        }
    }

    fn administer(&mut self, operation: Operation) -> store::Outcome {
        let mut answers = self.run(Event::Administer {
            token: 9,
            operation,
        });
        match answers.pop() {
            Some(Action::Administered { token: 9, outcome }) => outcome,
            other => panic!("{other:?}"),
        }
    }

    fn registrations(&mut self) -> Registrations {
        let get = Operation::Get(alice().impi);
        match self.store.execute(vec![get]).remove(0) {
            store::Outcome::Found(entry) => entry.registrations,
            other => panic!("{other:?}"),
        }
    }

    fn state(&mut self) -> RegistrationState {
        self.registrations().set(0).state
    }

    /// Brings set 0 of alice into a state, by the requests that do so.
    fn bring(&mut self, state: &str) {
        match state {
            "not registered" => {}
            "pending" => assert_eq!(self.mar(mar()).outcome, Outcome::SUCCESS),
            "registered" => {
                self.bring("pending");
                let saa = self.sar(sar(ServerAssignmentType::Registration));
                assert_eq!(saa.outcome, Outcome::SUCCESS);
            }
            "unregistered" => {
                let saa = self.sar(sar(ServerAssignmentType::UnregisteredUser));
                assert_eq!(saa.outcome, Outcome::SUCCESS);
            }
            other => panic!("no state {other}"),
        }
    }
}

fn origin(host: &str) -> Origin {
    Origin {
        host: host.to_owned(),
        realm: "ims.test".to_owned(),
    }
}

fn identity(uri: &str, set: u32, barred: bool) -> PublicIdentity {
    PublicIdentity {
        barred,
        implicit_set: set,
        ..PublicIdentity::from(Impu::parse(uri).expect("a URI"))
    }
}

fn alice() -> Subscriber {
    let mut alice = subscriber("alice");
    alice.impus = vec![
        identity("tel:+15550100", 0, true),
        identity("sip:alice@ims.test", 0, false),
        identity("sip:work@ims.test", 1, false),
        identity("sip:closed@ims.test", 2, true),
    ];
    alice.impus[1].display_name = Some("Alice <&>".to_owned());
    alice
}

/// Alice with a service for the registered and the unregistered state.
fn alice_with_services() -> Subscriber {
    let mut alice = alice();
    alice.profile.filter_criteria = vec![FilterCriteria::parse(AS).expect("criteria")];
    alice
}

fn uar() -> Uar {
    Uar {
        user_name: "alice@ims.test".to_owned(),
        public_identity: "sip:alice@ims.test".to_owned(),
        visited_network_identifier: "ims.test".to_owned(),
        ..Uar::default()
    }
}

fn uar_of(kind: UserAuthorizationType) -> Uar {
    Uar {
        user_authorization_type: kind,
        ..uar()
    }
}

fn lir() -> Lir {
    Lir {
        public_identity: "sip:alice@ims.test".to_owned(),
        ..Lir::default()
    }
}

fn mar() -> Mar {
    Mar {
        user_name: "alice@ims.test".to_owned(),
        public_identity: "sip:alice@ims.test".to_owned(),
        sip_auth_data_item: SipAuthDataItem {
            scheme: Some(AuthScheme::DigestAkaV1Md5),
            ..SipAuthDataItem::default()
        },
        sip_number_auth_items: 1,
        server_name: SCSCF.to_owned(),
        supported_features: Vec::new(),
    }
}

fn sar(kind: ServerAssignmentType) -> Sar {
    Sar {
        user_name: Some("alice@ims.test".to_owned()),
        public_identities: vec!["sip:alice@ims.test".to_owned()],
        wildcarded_public_identity: None,
        server_name: SCSCF.to_owned(),
        server_assignment_type: kind,
        user_data_already_available: false,
        scscf_restoration_info: None,
        multiple_registration: false,
        session_priority: None,
        pcscf_restoration: false,
        supported_features: Vec::new(),
    }
}

fn scheme(mut mar: Mar, scheme: AuthScheme) -> Mar {
    mar.sip_auth_data_item.scheme = Some(scheme);
    mar
}

fn profile(saa: &Saa) -> ImsSubscription {
    let xml = saa.user_data.as_deref().expect("User-Data");
    ImsSubscription::parse(xml).expect("a document of the schema")
}

fn challenge(maa: &Maa, index: usize) -> ([u8; 16], [u8; 16]) {
    let item = &maa.sip_auth_data_items[index];
    let token = item.authenticate.as_deref().expect("RAND and AUTN");
    let (rand, autn) = token.split_first_chunk().expect("16 bytes of RAND");
    (*rand, autn.try_into().expect("16 bytes of AUTN"))
}

fn card() -> Usim {
    Usim::new(&[1; 16], &[2; 16])
}

const STATES: [&str; 4] = ["not registered", "pending", "registered", "unregistered"];

// UAR, TS 29.228 6.1.1.1.

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

// MAR, TS 29.228 6.3.1.

#[test]
fn mar_asks_for_both_identities_and_their_bond() {
    let mut home = Home::with_alice();
    home.put(subscriber("bob"));
    for (impi, impu, expected) in [
        (
            "nobody@ims.test",
            "sip:alice@ims.test",
            Outcome::UserUnknown,
        ),
        (
            "alice@ims.test",
            "sip:nobody@ims.test",
            Outcome::UserUnknown,
        ),
        (
            "alice@ims.test",
            "sip:bob@ims.test",
            Outcome::IdentitiesDontMatch,
        ),
    ] {
        let maa = home.mar(Mar {
            user_name: impi.to_owned(),
            public_identity: impu.to_owned(),
            ..mar()
        });
        assert_eq!(maa.outcome, expected, "{impi} {impu}");
        assert!(maa.sip_auth_data_items.is_empty());
    }
    assert_eq!(home.registrations(), Registrations::default());
}

#[test]
fn mar_gives_vectors_that_the_card_accepts_each_once() {
    let mut home = Home::with_alice();
    let mut card = card();
    for round in 0..40 {
        let maa = home.mar(Mar {
            sip_number_auth_items: 1 + round % 5,
            ..mar()
        });
        assert_eq!(maa.outcome, Outcome::SUCCESS);
        let count = (1 + round % 5).min(VECTORS_MAX);
        assert_eq!(maa.sip_number_auth_items, Some(count));
        assert_eq!(maa.sip_auth_data_items.len(), count as usize);
        for (index, item) in maa.sip_auth_data_items.iter().enumerate() {
            assert_eq!(item.item_number, Some(index as u32 + 1));
            assert_eq!(item.scheme, Some(AuthScheme::DigestAkaV1Md5));
            let (rand, autn) = challenge(&maa, index);
            let CardAnswer::Accepted { res, ck, ik } = card.authenticate(&rand, &autn) else {
                panic!("refused in round {round}");
            };
            assert_eq!(item.authorization.as_deref(), Some(res.0.as_slice()));
            assert_eq!(item.confidentiality_key, Some(ck.0));
            assert_eq!(item.integrity_key, Some(ik.0));
            let again = card.authenticate(&rand, &autn);
            assert!(matches!(again, CardAnswer::SynchronisationFailure(_)));
        }
    }
}

#[test]
fn mar_chooses_the_scheme_by_request_and_subscription() {
    let both = alice();
    let mut aka = alice();
    aka.digest = None;
    let mut digest = alice();
    digest.aka = None;
    use AuthScheme as S;
    let (akav1, sip) = (Some(S::DigestAkaV1Md5), Some(S::SipDigest));
    for (subscriber, asked, given) in [
        (&both, S::DigestAkaV1Md5, akav1.clone()),
        (&both, S::SipDigest, sip.clone()),
        (&both, S::Unknown, sip.clone()),
        (&aka, S::Unknown, akav1.clone()),
        (&aka, S::SipDigest, None),
        (&digest, S::Unknown, sip.clone()),
        (&digest, S::SipDigest, sip),
        (&digest, S::DigestAkaV1Md5, None),
        (&both, S::NassBundled, None),
        (&both, S::EarlyImsSecurity, None),
        (&both, S::Other("x".to_owned()), None),
    ] {
        let mut home = Home::new();
        home.put(subscriber.clone());
        let maa = home.mar(scheme(mar(), asked.clone()));
        let item = maa.sip_auth_data_items.first();
        assert_eq!(
            item.and_then(|item| item.scheme.clone()),
            given,
            "{asked:?}"
        );
        if given.is_none() {
            assert_eq!(maa.outcome, Outcome::AuthSchemeNotSupported);
            assert_eq!(home.registrations(), Registrations::default());
        }
    }
}

#[test]
fn mar_of_sip_digest_gives_the_hash_and_never_the_password() {
    let mut home = Home::with_alice();
    let maa = home.mar(Mar {
        sip_number_auth_items: 3,
        ..scheme(mar(), AuthScheme::SipDigest)
    });
    assert_eq!(maa.sip_number_auth_items, Some(1));
    let [item] = maa.sip_auth_data_items.as_slice() else {
        panic!("one item, got {:?}", maa.sip_auth_data_items);
    };
    let digest = item
        .digest_authenticate
        .as_ref()
        .expect("SIP-Digest-Authenticate");
    let hash = DigestHash::of_password("alice@ims.test", "ims.test", "secret");
    assert_eq!(digest.realm, "ims.test");
    assert_eq!(digest.algorithm.as_deref(), Some("MD5"));
    assert_eq!(digest.qop.as_deref(), Some("auth"));
    assert_eq!(digest.ha1, hash.md5.to_hex());
    assert_eq!(digest.alternate_algorithm.as_deref(), Some("SHA-256"));
    assert_eq!(
        digest.alternate_ha1.as_deref(),
        Some(hash.sha256.to_hex().as_str())
    );
}

#[test]
fn mar_keeps_the_server_name_with_authentication_pending() {
    for state in STATES {
        let mut home = Home::with_alice();
        home.bring(state);
        let before = home.registrations();
        assert_eq!(home.mar(mar()).outcome, Outcome::SUCCESS);
        let after = home.registrations();
        let server = after.server.clone().expect("kept");
        assert_eq!(
            (server.name.as_str(), server.host.as_str()),
            (SCSCF, "scscf.ims.test")
        );
        assert_eq!(after.set(0).state, before.set(0).state, "{state}");
        assert_eq!(after.set(0).auth_pending, state != "registered", "{state}");
        let written = !matches!(state, "registered" | "pending");
        assert_eq!(after.revision > before.revision, written, "{state}");
    }
}

#[test]
fn mar_of_another_server_takes_the_name_over() {
    for state in STATES {
        let mut home = Home::with_alice();
        home.bring(state);
        let maa = home.mar(Mar {
            server_name: OTHER_SCSCF.to_owned(),
            ..mar()
        });
        assert_eq!(maa.outcome, Outcome::SUCCESS);
        let after = home.registrations();
        assert_eq!(after.server.clone().expect("kept").name, OTHER_SCSCF);
        assert!(after.set(0).auth_pending, "{state}");
    }
}

#[test]
fn resynchronisation_brings_home_and_card_together() {
    let mut home = Home::with_alice();
    let mut card = Usim::with_sqn(&[1; 16], &[2; 16], Sqn::new(5000, 9).expect("48 bits"));
    let (rand, autn) = challenge(&home.mar(mar()), 0);
    let CardAnswer::SynchronisationFailure(auts) = card.authenticate(&rand, &autn) else {
        panic!("the card is ahead");
    };
    let mut failed = mar();
    failed.sip_auth_data_item.authorization = Some([rand.as_slice(), &auts].concat());
    let (rand, autn) = challenge(&home.mar(failed.clone()), 0);
    assert!(matches!(
        card.authenticate(&rand, &autn),
        CardAnswer::Accepted { .. }
    ));
    // The same token once more, now old: the numbers go on, not back.
    let (rand, autn) = challenge(&home.mar(failed), 0);
    assert!(matches!(
        card.authenticate(&rand, &autn),
        CardAnswer::Accepted { .. }
    ));
}

#[test]
fn a_forged_auts_moves_no_number() {
    let mut home = Home::with_alice();
    let mut card = card();
    let (rand, _) = challenge(&home.mar(mar()), 0);
    let mut forged = mar();
    forged.sip_auth_data_item.authorization = Some([rand.as_slice(), &[0xff; 14]].concat());
    let maa = home.mar(forged);
    assert_eq!(maa.outcome, Outcome::SUCCESS);
    let (rand, autn) = challenge(&maa, 0);
    assert!(matches!(
        card.authenticate(&rand, &autn),
        CardAnswer::Accepted { .. }
    ));
    assert_eq!(card.sqn_ms().seq(), 2);
}

#[test]
fn a_token_of_the_wrong_length_is_an_invalid_value() {
    let mut home = Home::with_alice();
    for length in [0, 15, 16, 29, 31] {
        let mut wrong = mar();
        wrong.sip_auth_data_item.authorization = Some(vec![0; length]);
        let expected = Outcome::Base(ResultCode::INVALID_AVP_VALUE);
        assert_eq!(home.mar(wrong).outcome, expected, "{length}");
    }
}

#[test]
fn a_key_whose_numbers_are_used_up_gives_no_vector() {
    let mut home = Home::new();
    let mut old = alice();
    old.aka.as_mut().expect("has AKA").sqn = Sqn::MAX;
    home.put(old);
    let maa = home.mar(mar());
    assert_eq!(maa.outcome, Outcome::UNABLE_TO_COMPLY);
    assert!(maa.sip_auth_data_items.is_empty());
}

// SAR, TS 29.228 6.1.2.1.

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

/// Every Server-Assignment-Type of Cx in every state, from the S-CSCF that is assigned if one is: the result, the
/// state after it, and whether a name is kept and a profile given.
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
    // A server that does not know of it is not given any, and a new registration without any keeps the old.
    let saa = home.sar(sar(ServerAssignmentType::NoAssignment));
    assert!(saa.scscf_restoration_info.is_empty());
    home.sar(sar(ServerAssignmentType::UserDeregistration));
    home.sar(sar(ServerAssignmentType::Registration));
    let saa = home.sar(restorable(ServerAssignmentType::NoAssignment));
    assert!(saa.scscf_restoration_info.is_empty());
}

// LIR, TS 29.228 6.1.4.1.

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

// RTR and PPR, TS 29.228 6.1.3 and 6.2.2.

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

// The whole.

#[test]
fn a_restarted_hss_goes_on_where_it_was() {
    let folder = TestFolder::new("hss-restart");
    let path = folder.path("store.redb");
    let open = || Home::on(Box::new(RedbStore::open(&path).expect("a store")));
    let mut card = card();
    let mut home = open();
    home.put(alice());
    for round in 0..3 {
        let (rand, autn) = challenge(&home.mar(mar()), 0);
        let answer = card.authenticate(&rand, &autn);
        assert!(
            matches!(answer, CardAnswer::Accepted { .. }),
            "round {round}"
        );
        home.sar(sar(ServerAssignmentType::Registration));
        drop(home);
        home = open();
        let uaa = home.uar(uar());
        assert_eq!(uaa.outcome, Outcome::SubsequentRegistration);
        assert_eq!(uaa.server_name.as_deref(), Some(SCSCF));
    }
}

#[test]
fn concurrent_requests_for_one_user_are_all_decided_on_the_last_state() {
    let mut home = Home::with_alice();
    home.bring("registered");
    // Three de-registrations and a re-registration read the same state before the first of them writes.
    let kinds = [
        ServerAssignmentType::UserDeregistration,
        ServerAssignmentType::ReRegistration,
        ServerAssignmentType::UserDeregistration,
        ServerAssignmentType::TimeoutDeregistration,
    ];
    let mut pending = VecDeque::new();
    let mut actions = Vec::new();
    for (token, kind) in kinds.into_iter().enumerate() {
        let event = Event::Request {
            token: token as u64,
            origin: origin("scscf.ims.test"),
            request: Request::ServerAssignment(sar(kind)),
        };
        home.hss.handle(event, &mut home.entropy, &mut actions);
    }
    let mut answered = Vec::new();
    loop {
        for action in actions.drain(..) {
            match action {
                Action::Store { id, operation } => pending.push_back((id, operation)),
                Action::Answer { token, answer } => {
                    assert_eq!(answer.outcome(), Outcome::SUCCESS);
                    answered.push(token);
                }
                other => panic!("{other:?}"),
            }
        }
        let Some((id, operation)) = pending.pop_front() else {
            break;
        };
        let outcome = home.store.execute(vec![operation]).remove(0);
        let event = Event::Stored { id, outcome };
        home.hss.handle(event, &mut home.entropy, &mut actions);
    }
    answered.sort_unstable();
    assert_eq!(answered, [0, 1, 2, 3]);
    assert_eq!(home.hss.jobs(), 0);
}

/// Answers the store's operations by a rule, without a store.
fn answer_with(
    home: &mut Home,
    request: Request,
    rule: impl Fn(&Operation) -> store::Outcome,
) -> Answer {
    let mut actions = Vec::new();
    let event = Event::Request {
        token: 1,
        origin: origin("scscf.ims.test"),
        request,
    };
    home.hss.handle(event, &mut home.entropy, &mut actions);
    let mut answers = Vec::new();
    while let Some(action) = actions.pop() {
        match action {
            Action::Store { id, operation } => {
                let outcome = rule(&operation);
                let event = Event::Stored { id, outcome };
                home.hss.handle(event, &mut home.entropy, &mut actions);
            }
            Action::Answer { answer, .. } => answers.push(answer),
            other => panic!("{other:?}"),
        }
    }
    assert_eq!(answers.len(), 1, "exactly one answer");
    assert_eq!(home.hss.jobs(), 0);
    answers.remove(0)
}

fn entry() -> Entry {
    Entry {
        subscriber: alice(),
        sqn: Some(Sqn::ZERO),
        registrations: Registrations::default(),
    }
}

#[test]
fn a_store_that_is_behind_makes_the_hss_too_busy() {
    let mut home = Home::new();
    let busy = |_: &Operation| store::Outcome::Refused(Refusal::Busy);
    let answer = answer_with(&mut home, Request::MultimediaAuth(mar()), busy);
    assert_eq!(answer.outcome(), Outcome::Base(ResultCode::TOO_BUSY));
}

#[test]
fn no_vector_leaves_before_its_number_is_durable() {
    for failing in ["register", "sqn"] {
        let mut home = Home::new();
        let rule = |operation: &Operation| match operation {
            Operation::Register { registrations, .. } if failing == "sqn" => {
                store::Outcome::Registered(registrations.clone())
            }
            Operation::AdvanceSqn { .. } if failing == "register" => {
                store::Outcome::Sqn(Sqn::new(1, 1).expect("48 bits"))
            }
            Operation::Get(_) => store::Outcome::Found(Box::new(entry())),
            _ => store::Outcome::Failed(store::Error {
                path: "store.redb".into(),
                fault: store::Fault::Closed,
            }),
        };
        let answer = answer_with(&mut home, Request::MultimediaAuth(mar()), rule);
        assert_eq!(answer.outcome(), Outcome::UNABLE_TO_COMPLY, "{failing}");
        let Answer::MultimediaAuth(maa) = answer else {
            panic!("an MAA");
        };
        assert!(maa.sip_auth_data_items.is_empty());
    }
}

#[test]
fn a_conflict_without_end_is_given_up() {
    let mut home = Home::new();
    let rule = |operation: &Operation| match operation {
        Operation::Get(_) => store::Outcome::Found(Box::new(entry())),
        _ => store::Outcome::Refused(Refusal::Conflict),
    };
    let request = Request::ServerAssignment(sar(ServerAssignmentType::Registration));
    let answer = answer_with(&mut home, request, rule);
    assert_eq!(answer.outcome(), Outcome::Base(ResultCode::TOO_BUSY));
}

#[test]
fn a_subscriber_removed_in_between_is_unknown() {
    let mut home = Home::new();
    let rule = |operation: &Operation| match operation {
        Operation::Get(_) => store::Outcome::Found(Box::new(entry())),
        _ => store::Outcome::Refused(Refusal::NotFound),
    };
    for request in [
        Request::ServerAssignment(sar(ServerAssignmentType::Registration)),
        Request::MultimediaAuth(mar()),
    ] {
        let answer = answer_with(&mut home, request, rule);
        assert_eq!(answer.outcome(), Outcome::UserUnknown);
    }
}

#[test]
fn beyond_the_maximum_requests_are_refused_at_once() {
    let mut home = Home::with_alice();
    let mut actions = Vec::new();
    for token in 0..=JOBS_MAX as u64 {
        let event = Event::Request {
            token,
            origin: origin("icscf.ims.test"),
            request: Request::UserAuthorization(uar()),
        };
        home.hss.handle(event, &mut home.entropy, &mut actions);
    }
    assert_eq!(home.hss.jobs(), JOBS_MAX);
    assert!(
        matches!(actions.last(), Some(Action::Answer { token, answer })
        if *token == JOBS_MAX as u64 && answer.outcome() == Outcome::Base(ResultCode::TOO_BUSY))
    );
    let event = Event::Administer {
        token: 1,
        operation: Operation::Count,
    };
    home.hss.handle(event, &mut home.entropy, &mut actions);
    assert!(matches!(
        actions.last(),
        Some(Action::Administered {
            outcome: store::Outcome::Refused(Refusal::Busy),
            ..
        })
    ));
}

#[test]
fn a_client_that_insists_on_an_unknown_feature_is_refused() {
    let mut home = Home::with_alice();
    let with = |list, required| Uar {
        supported_features: vec![SupportedFeatures {
            required,
            ..SupportedFeatures::list1(list)
        }],
        ..uar()
    };
    let uaa = home.uar(with(SupportedFeatures::PCSCF_RESTORATION, true));
    assert_eq!(uaa.outcome, Outcome::FeatureUnsupported);
    assert_eq!(uaa.supported_features, [SupportedFeatures::list1(FEATURES)]);
    let optional = home.uar(with(SupportedFeatures::PCSCF_RESTORATION, false));
    assert_eq!(optional.outcome, Outcome::FirstRegistration);
    let known = home.uar(with(SupportedFeatures::SIFC, true));
    assert_eq!(known.outcome, Outcome::FirstRegistration);
}

#[test]
fn requests_of_the_hss_itself_are_not_understood() {
    let mut home = Home::with_alice();
    let answer = home.ask(Request::PushProfile(Ppr::default()));
    assert_eq!(
        answer.outcome(),
        Outcome::Base(ResultCode::COMMAND_UNSUPPORTED)
    );
}

#[test]
fn debug_output_of_an_operation_shows_no_key() {
    let mut subscriber = alice();
    subscriber.aka.as_mut().expect("has AKA").k = Secret([0x5a; 16]);
    let text = format!(
        "{:?}",
        Operation::Put {
            subscriber: Box::new(subscriber),
            mode: PutMode::Create,
        }
    );
    assert!(
        !text.contains("90, 90") && !text.to_lowercase().contains("5a5a"),
        "{text}"
    );
}
