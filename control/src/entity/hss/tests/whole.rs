//! What holds for every request: restart, concurrency, a failing store, limits.

use super::*;

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
    // Three de-registrations and a re-registration read the same state before the first of them
    // writes.
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
