//! Many requests of many users at once, their store operations executed in any order, some refused.

use std::collections::{HashMap, HashSet};

use super::*;

const USERS: u64 = 5;
const REQUESTS: u64 = 400;
const IN_FLIGHT_MAX: usize = 12;

fn name(user: u64) -> String {
    format!("user{user}")
}

fn random_request(entropy: &mut Entropy) -> (u64, Request) {
    let user = entropy.below(USERS);
    let user_name = format!("{}@ims.test", name(user));
    let public_identity = format!("sip:{user_name}");
    let server_name = if entropy.chance(800) {
        SCSCF
    } else {
        OTHER_SCSCF
    }
    .to_owned();
    let request = match entropy.below(5) {
        0 => Request::UserAuthorization(Uar {
            user_name,
            public_identity,
            user_authorization_type: pick(entropy, UserAuthorizationType::ALL),
            ..uar()
        }),
        1 => Request::LocationInfo(Lir {
            public_identity,
            ..lir()
        }),
        2 | 3 => Request::MultimediaAuth(Mar {
            user_name,
            public_identity,
            server_name,
            sip_number_auth_items: entropy.below(5) as u32,
            ..mar()
        }),
        _ => Request::ServerAssignment(Sar {
            user_name: Some(user_name),
            public_identities: vec![public_identity],
            server_name,
            ..sar(pick(entropy, ServerAssignmentType::ALL))
        }),
    };
    (user, request)
}

fn pick<T: Copy>(entropy: &mut Entropy, all: &[T]) -> T {
    all[entropy.below(all.len() as u64) as usize]
}

/// What has been given out to the cards, and what is still to be answered.
#[derive(Default)]
struct Ledger {
    users: HashMap<u64, u64>,
    numbers: HashSet<(u64, u64)>,
}

impl Ledger {
    fn check(&mut self, token: u64, answer: &Answer) {
        let user = self.users.remove(&token).expect("answered once");
        let Answer::MultimediaAuth(maa) = answer else {
            return;
        };
        for index in 0..maa.sip_auth_data_items.len() {
            let (rand, autn) = challenge(maa, index);
            let mut card = card();
            let answer = card.authenticate(&rand, &autn);
            assert!(matches!(answer, CardAnswer::Accepted { .. }));
            let seq = card.sqn_ms().seq();
            assert!(self.numbers.insert((user, seq)), "{seq} was dealt twice");
        }
    }
}

fn run(seed: u64) {
    let mut entropy = Entropy::from_u64(seed);
    let mut home = Home::new();
    for user in 0..USERS {
        home.put(subscriber(&name(user)));
    }
    let mut ledger = Ledger::default();
    let mut actions = Vec::new();
    let mut queue: Vec<(u64, Operation)> = Vec::new();
    let mut token = 0;
    while token < REQUESTS || !queue.is_empty() {
        let arrives = token < REQUESTS && queue.len() < IN_FLIGHT_MAX;
        let event = if arrives && (queue.is_empty() || entropy.chance(500)) {
            let (user, request) = random_request(&mut entropy);
            ledger.users.insert(token, user);
            token += 1;
            Event::Request {
                token: token - 1,
                origin: origin("scscf.ims.test"),
                request,
            }
        } else {
            let index = entropy.below(queue.len() as u64) as usize;
            let (id, operation) = queue.swap_remove(index);
            let outcome = match entropy.chance(30) {
                true => store::Outcome::Refused(Refusal::Busy),
                false => home.store.execute(vec![operation]).remove(0),
            };
            Event::Stored { id, outcome }
        };
        home.hss.handle(event, &mut entropy, &mut actions);
        for action in actions.drain(..) {
            match action {
                Action::Store { id, operation } => queue.push((id, operation)),
                Action::Answer { token, answer } => ledger.check(token, &answer),
                Action::Request { .. } => {}
                Action::Administered { .. } => panic!("nobody administered"),
            }
        }
    }
    assert!(ledger.users.is_empty(), "not answered: {:?}", ledger.users);
    assert_eq!(home.hss.jobs(), 0);
    for user in 0..USERS {
        let get = Operation::Get(subscriber(&name(user)).impi);
        let store::Outcome::Found(entry) = home.store.execute(vec![get]).remove(0) else {
            panic!("user {user} is gone");
        };
        let registrations = entry.registrations;
        assert_eq!(registrations.server.is_some(), registrations.is_served());
    }
}

#[test]
fn every_request_is_answered_once_and_no_number_is_dealt_twice() {
    for seed in 0..30 {
        println!("seed {seed}");
        run(seed);
    }
}
