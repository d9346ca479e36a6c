//! What every engine must do: one suite, run on each.

use std::path::{Path, PathBuf};

use super::*;
use crate::auth::{DigestHash, Secret, Sqn};

/// A folder of one test, removed at its end.
pub struct TestFolder(PathBuf);

impl TestFolder {
    pub fn new(name: &str) -> Self {
        let root = std::env::temp_dir().join(format!("strowger-{name}-{}", std::process::id()));
        std::fs::create_dir_all(&root).expect("the temporary folder is writable");
        Self(root)
    }

    pub fn root(&self) -> &Path {
        &self.0
    }

    pub fn path(&self, name: &str) -> PathBuf {
        self.0.join(name)
    }
}

impl Drop for TestFolder {
    fn drop(&mut self) {
        let _ = std::fs::remove_dir_all(&self.0);
    }
}

/// A subscriber with one SIP identity and both kinds of credentials.
pub fn subscriber(name: &str) -> Subscriber {
    let nai = format!("{name}@ims.test");
    let impu = Impu::parse(&format!("sip:{nai}")).expect("a SIP URI");
    let mut subscriber = Subscriber::new(Impi::parse(&nai).expect("an NAI"), vec![impu]);
    subscriber.aka = Some(Aka {
        k: Secret([1; 16]),
        opc: Secret([2; 16]),
        amf: [0x80, 0],
        sqn: Sqn::ZERO,
    });
    subscriber.digest = Some(DigestHash::of_password(&nai, "ims.test", "secret"));
    subscriber
}

fn impi(name: &str) -> Impi {
    subscriber(name).impi
}

fn sqn(seq: u64, ind: u8) -> Sqn {
    Sqn::new(seq, ind).expect("within 48 bits")
}

fn one(store: &mut dyn Store, operation: Operation) -> Outcome {
    let mut outcomes = store.execute(vec![operation]);
    assert_eq!(outcomes.len(), 1);
    outcomes.remove(0)
}

fn put(store: &mut dyn Store, subscriber: Subscriber, mode: PutMode) -> Outcome {
    one(
        store,
        Operation::Put {
            subscriber: Box::new(subscriber),
            mode,
        },
    )
}

fn create(store: &mut dyn Store, name: &str) {
    let outcome = put(store, subscriber(name), PutMode::Create);
    assert!(
        matches!(outcome, Outcome::Stored { previous: None }),
        "{outcome:?}"
    );
}

fn refusal(outcome: Outcome) -> Refusal {
    match outcome {
        Outcome::Refused(refusal) => refusal,
        other => panic!("not refused: {other:?}"),
    }
}

fn entry(store: &mut dyn Store, name: &str) -> Option<Entry> {
    match one(store, Operation::Get(impi(name))) {
        Outcome::Found(entry) => Some(*entry),
        Outcome::Refused(Refusal::NotFound) => None,
        other => panic!("{other:?}"),
    }
}

fn advance(store: &mut dyn Store, name: &str, count: u32) -> Outcome {
    let impi = impi(name);
    one(store, Operation::AdvanceSqn { impi, count })
}

type Case = (&'static str, fn(&mut dyn Store));

const CASES: &[Case] = &[
    ("lookup by either identity", lookup_by_either_identity),
    ("put modes", put_modes),
    ("identity of another", identity_of_another),
    (
        "identities move with a replacement",
        identities_move_with_a_replacement,
    ),
    ("unfit subscribers", unfit_subscribers),
    ("remove", remove),
    ("paging", paging),
    ("prefix", prefix),
    ("import all or nothing", import_all_or_nothing),
    ("import against itself", import_against_itself),
    ("sequence numbers", sequence_numbers),
    (
        "sequence numbers and new keys",
        sequence_numbers_and_new_keys,
    ),
    ("resynchronisation", resynchronisation),
    ("sequence numbers end", sequence_numbers_end),
    ("registrations by revision", registrations_by_revision),
    (
        "registrations outlive a replacement",
        registrations_outlive_a_replacement,
    ),
    ("batches in order", batches_in_order),
];

#[test]
fn the_memory_engine_conforms() {
    for (name, case) in CASES {
        println!("{name}");
        case(&mut MemoryStore::default());
    }
}

#[test]
fn the_redb_engine_conforms() {
    let folder = TestFolder::new("conformance");
    for (number, (name, case)) in CASES.iter().enumerate() {
        println!("{name}");
        let path = folder.path(&format!("{number}.redb"));
        case(&mut RedbStore::open(&path).expect("a new store"));
    }
}

fn lookup_by_either_identity(store: &mut dyn Store) {
    let mut alice = subscriber("alice");
    alice
        .impus
        .push(Impu::parse("tel:+49301234").expect("a number").into());
    put(store, alice.clone(), PutMode::Create);
    create(store, "bob");
    assert_eq!(
        entry(store, "alice").map(|entry| entry.subscriber),
        Some(alice)
    );
    for uri in ["sip:alice@IMS.test;user=phone", "tel:+49-30-1234"] {
        let found = one(store, Operation::Find(Impu::parse(uri).expect("a URI")));
        assert!(matches!(found, Outcome::Found(entry) if entry.subscriber.impi == impi("alice")));
    }
    let nobody = Operation::Find(Impu::parse("sip:nobody@ims.test").expect("a URI"));
    assert_eq!(refusal(one(store, nobody)), Refusal::NotFound);
    assert!(matches!(one(store, Operation::Count), Outcome::Count(2)));
}

fn put_modes(store: &mut dyn Store) {
    let missing = put(store, subscriber("alice"), PutMode::Replace);
    assert_eq!(refusal(missing), Refusal::NotFound);
    create(store, "alice");
    let twice = put(store, subscriber("alice"), PutMode::Create);
    assert_eq!(refusal(twice), Refusal::Exists(impi("alice")));
    let mut changed = subscriber("alice");
    changed.visited_networks = vec!["visited.test".to_owned()];
    for mode in [PutMode::Replace, PutMode::CreateOrReplace] {
        let outcome = put(store, changed.clone(), mode);
        assert!(matches!(outcome, Outcome::Stored { previous: Some(_) }));
    }
    assert_eq!(
        entry(store, "alice").map(|entry| entry.subscriber),
        Some(changed)
    );
}

fn identity_of_another(store: &mut dyn Store) {
    create(store, "alice");
    let mut thief = subscriber("thief");
    thief.impus.push(subscriber("alice").impus[0].clone());
    assert_eq!(
        refusal(put(store, thief, PutMode::Create)),
        Refusal::ImpuTaken {
            impu: subscriber("alice").impus[0].uri.clone(),
            owner: impi("alice")
        }
    );
    assert_eq!(entry(store, "thief"), None);
    let own = Impu::parse("sip:thief@ims.test").expect("a URI");
    assert_eq!(refusal(one(store, Operation::Find(own))), Refusal::NotFound);
}

fn identities_move_with_a_replacement(store: &mut dyn Store) {
    create(store, "alice");
    let mut alice = subscriber("alice");
    alice.impus = vec![Impu::parse("tel:+49301234").expect("a number").into()];
    put(store, alice, PutMode::Replace);
    let old = Impu::parse("sip:alice@ims.test").expect("a URI");
    assert_eq!(refusal(one(store, Operation::Find(old))), Refusal::NotFound);
    let new = Impu::parse("tel:+49301234").expect("a number");
    assert!(matches!(
        one(store, Operation::Find(new)),
        Outcome::Found(_)
    ));
}

fn unfit_subscribers(store: &mut dyn Store) {
    let mut none = subscriber("alice");
    none.impus.clear();
    let mut twice = subscriber("alice");
    twice.impus.push(twice.impus[0].clone());
    let mut many = subscriber("alice");
    many.impus = (0..=IMPUS_MAX)
        .map(|n| Impu::parse(&format!("tel:+{n}")).expect("a number").into())
        .collect();
    for (unfit, expected) in [
        (none, SubscriberFault::NoImpu),
        (
            twice.clone(),
            SubscriberFault::DuplicateImpu(twice.impus[0].uri.clone()),
        ),
        (many, SubscriberFault::TooManyImpus),
    ] {
        let refused = refusal(put(store, unfit, PutMode::Create));
        assert!(matches!(refused, Refusal::Invalid { fault, .. } if fault == expected));
    }
    assert!(matches!(one(store, Operation::Count), Outcome::Count(0)));
}

fn remove(store: &mut dyn Store) {
    create(store, "alice");
    create(store, "bob");
    advance(store, "alice", 5);
    let outcome = one(store, Operation::Remove(impi("alice")));
    assert!(matches!(outcome, Outcome::Removed(entry)
        if entry.subscriber == subscriber("alice") && entry.sqn == Some(sqn(5, 5))));
    assert_eq!(entry(store, "alice"), None);
    let impu = subscriber("alice").impus[0].uri.clone();
    assert_eq!(
        refusal(one(store, Operation::Find(impu))),
        Refusal::NotFound
    );
    assert_eq!(refusal(advance(store, "alice", 1)), Refusal::NotFound);
    let twice = one(store, Operation::Remove(impi("alice")));
    assert_eq!(refusal(twice), Refusal::NotFound);
    assert!(entry(store, "bob").is_some());
}

fn page(
    store: &mut dyn Store,
    prefix: &str,
    after: Option<&str>,
    limit: usize,
) -> (Vec<String>, bool) {
    let operation = Operation::List {
        prefix: prefix.to_owned(),
        after: after.map(str::to_owned),
        limit,
    };
    match one(store, operation) {
        Outcome::Page { entries, more } => {
            let impis = entries
                .iter()
                .map(|entry| entry.subscriber.impi.to_string());
            (impis.collect(), more)
        }
        other => panic!("{other:?}"),
    }
}

fn paging(store: &mut dyn Store) {
    for number in 0..25 {
        create(store, &format!("user{number:02}"));
    }
    let mut all = Vec::new();
    let mut after: Option<String> = None;
    loop {
        let (impis, more) = page(store, "", after.as_deref(), 10);
        all.extend(impis);
        if !more {
            break;
        }
        after = all.last().cloned();
    }
    let expected: Vec<String> = (0..25).map(|n| format!("user{n:02}@ims.test")).collect();
    assert_eq!(all, expected);
    assert_eq!(page(store, "", None, 25), (expected, false));
    assert_eq!(page(store, "", None, 0), (Vec::new(), true));
    assert_eq!(
        page(store, "", Some("user24@ims.test"), 5),
        (Vec::new(), false)
    );
    assert!(page(store, "", None, usize::MAX).0.len() == 25);
}

fn prefix(store: &mut dyn Store) {
    for name in ["alice", "bob", "bob2", "carol"] {
        create(store, name);
    }
    let names = |names: &[&str]| {
        names
            .iter()
            .map(|n| format!("{n}@ims.test"))
            .collect::<Vec<_>>()
    };
    assert_eq!(
        page(store, "bob", None, 10),
        (names(&["bob2", "bob"]), false)
    );
    assert_eq!(
        page(store, "bob", Some("bob2@ims.test"), 10),
        (names(&["bob"]), false)
    );
    assert_eq!(
        page(store, "bob", Some("a"), 10),
        (names(&["bob2", "bob"]), false)
    );
    assert_eq!(page(store, "bob", Some("c"), 10), (Vec::new(), false));
    assert_eq!(page(store, "d", None, 10), (Vec::new(), false));
}

fn import(store: &mut dyn Store, names: &[&str], mode: PutMode) -> Outcome {
    let subscribers = names.iter().map(|name| subscriber(name)).collect();
    one(store, Operation::Import { subscribers, mode })
}

fn import_all_or_nothing(store: &mut dyn Store) {
    create(store, "carol");
    let refused = refusal(import(store, &["alice", "bob", "carol"], PutMode::Create));
    assert_eq!(refused, Refusal::Exists(impi("carol")));
    assert!(matches!(one(store, Operation::Count), Outcome::Count(1)));
    let outcome = import(store, &["alice", "bob", "carol"], PutMode::CreateOrReplace);
    assert!(matches!(
        outcome,
        Outcome::Imported {
            created: 2,
            replaced: 1
        }
    ));
    assert!(matches!(one(store, Operation::Count), Outcome::Count(3)));
}

fn import_against_itself(store: &mut dyn Store) {
    let refused = refusal(import(store, &["alice", "alice"], PutMode::CreateOrReplace));
    assert_eq!(refused, Refusal::Exists(impi("alice")));
    let mut bob = subscriber("bob");
    bob.impus.push(subscriber("alice").impus[0].clone());
    let subscribers = vec![subscriber("alice"), bob];
    let mode = PutMode::Create;
    let refused = refusal(one(store, Operation::Import { subscribers, mode }));
    assert!(matches!(refused, Refusal::ImpuTaken { owner, .. } if owner == impi("alice")));
    assert!(matches!(one(store, Operation::Count), Outcome::Count(0)));
}

fn sequence_numbers(store: &mut dyn Store) {
    create(store, "alice");
    create(store, "bob");
    assert!(matches!(advance(store, "alice", 1), Outcome::Sqn(first) if first == sqn(1, 1)));
    assert!(matches!(advance(store, "alice", 3), Outcome::Sqn(first) if first == sqn(2, 2)));
    assert!(matches!(advance(store, "alice", 0), Outcome::Sqn(first) if first == sqn(5, 5)));
    assert!(matches!(advance(store, "bob", 1), Outcome::Sqn(first) if first == sqn(1, 1)));
    assert_eq!(
        entry(store, "alice").and_then(|entry| entry.sqn),
        Some(sqn(5, 5))
    );
    let mut digest_only = subscriber("dora");
    digest_only.aka = None;
    put(store, digest_only, PutMode::Create);
    assert_eq!(refusal(advance(store, "dora", 1)), Refusal::NoAka);
    assert_eq!(refusal(advance(store, "nobody", 1)), Refusal::NotFound);
}

fn sequence_numbers_and_new_keys(store: &mut dyn Store) {
    create(store, "alice");
    advance(store, "alice", 100);
    put(store, subscriber("alice"), PutMode::Replace);
    assert!(matches!(advance(store, "alice", 1), Outcome::Sqn(first) if first.seq() == 101));
    let mut ahead = subscriber("alice");
    ahead.aka.as_mut().expect("has AKA").sqn = sqn(500, 0);
    put(store, ahead, PutMode::Replace);
    assert!(matches!(advance(store, "alice", 1), Outcome::Sqn(first) if first.seq() == 501));
    let mut rekeyed = subscriber("alice");
    rekeyed.aka.as_mut().expect("has AKA").k = Secret([9; 16]);
    put(store, rekeyed, PutMode::Replace);
    assert!(matches!(advance(store, "alice", 1), Outcome::Sqn(first) if first.seq() == 1));
}

fn resynchronisation(store: &mut dyn Store) {
    create(store, "alice");
    let resynchronise = |store: &mut dyn Store, sqn_ms| {
        one(
            store,
            Operation::ResynchroniseSqn {
                impi: impi("alice"),
                sqn_ms,
                count: 1,
            },
        )
    };
    let ahead = resynchronise(store, sqn(1000, 31));
    assert!(matches!(ahead, Outcome::Sqn(first) if first == sqn(1001, 0)));
    let behind = resynchronise(store, sqn(7, 7));
    assert!(matches!(behind, Outcome::Sqn(first) if first == sqn(1002, 1)));
    assert!(matches!(advance(store, "alice", 1), Outcome::Sqn(first) if first == sqn(1003, 2)));
}

fn sequence_numbers_end(store: &mut dyn Store) {
    let mut alice = subscriber("alice");
    alice.aka.as_mut().expect("has AKA").sqn = sqn(Sqn::MAX.seq() - 2, 0);
    put(store, alice, PutMode::Create);
    assert_eq!(refusal(advance(store, "alice", 3)), Refusal::SqnExhausted);
    assert!(matches!(advance(store, "alice", 2), Outcome::Sqn(_)));
    assert_eq!(refusal(advance(store, "alice", 1)), Refusal::SqnExhausted);
    assert_eq!(
        entry(store, "alice")
            .and_then(|entry| entry.sqn)
            .map(Sqn::seq),
        Some(Sqn::MAX.seq())
    );
}

fn registered(revision: u64) -> Registrations {
    Registrations {
        revision,
        reassignment_pending: false,
        server: Some(AssignedServer {
            name: "sip:scscf.ims.test".to_owned(),
            host: "scscf.ims.test".to_owned(),
            realm: "ims.test".to_owned(),
        }),
        sets: vec![SetRegistration {
            set: 0,
            state: RegistrationState::Registered,
            auth_pending: false,
            restoration: Some("{\"path\":\"<sip:p\\u00e9>\"}".to_owned()),
        }],
    }
}

fn register(store: &mut dyn Store, registrations: Registrations) -> Outcome {
    let impi = impi("alice");
    one(
        store,
        Operation::Register {
            impi,
            registrations,
        },
    )
}

fn registrations_by_revision(store: &mut dyn Store) {
    assert_eq!(refusal(register(store, registered(0))), Refusal::NotFound);
    create(store, "alice");
    let fresh = entry(store, "alice").expect("created").registrations;
    assert_eq!(fresh, Registrations::default());
    assert!(matches!(register(store, registered(0)), Outcome::Registered(r) if r.revision == 1));
    assert_eq!(refusal(register(store, registered(0))), Refusal::Conflict);
    assert_eq!(refusal(register(store, registered(2))), Refusal::Conflict);
    assert_eq!(
        entry(store, "alice").expect("created").registrations,
        registered(1)
    );
    let cleared = Registrations {
        revision: 1,
        ..Registrations::default()
    };
    assert!(matches!(register(store, cleared), Outcome::Registered(r) if r.server.is_none()));
}

fn registrations_outlive_a_replacement(store: &mut dyn Store) {
    create(store, "alice");
    register(store, registered(0));
    put(store, subscriber("alice"), PutMode::Replace);
    assert_eq!(
        entry(store, "alice").expect("there").registrations,
        registered(1)
    );
    let removed = one(store, Operation::Remove(impi("alice")));
    assert!(matches!(removed, Outcome::Removed(entry) if entry.registrations == registered(1)));
    create(store, "alice");
    let fresh = entry(store, "alice").expect("there").registrations;
    assert_eq!(fresh, Registrations::default());
}

fn batches_in_order(store: &mut dyn Store) {
    let operation = |name: &str| Operation::Put {
        subscriber: Box::new(subscriber(name)),
        mode: PutMode::Create,
    };
    let outcomes = store.execute(vec![
        operation("alice"),
        Operation::Get(impi("alice")),
        operation("alice"),
        Operation::AdvanceSqn {
            impi: impi("alice"),
            count: 1,
        },
        Operation::Remove(impi("alice")),
        Operation::Count,
        operation("bob"),
    ]);
    assert!(matches!(outcomes[0], Outcome::Stored { previous: None }));
    assert!(matches!(outcomes[1], Outcome::Found(_)));
    assert!(matches!(outcomes[2], Outcome::Refused(Refusal::Exists(_))));
    assert!(matches!(outcomes[3], Outcome::Sqn(_)));
    assert!(matches!(&outcomes[4], Outcome::Removed(entry) if entry.sqn == Some(sqn(1, 1))));
    assert!(matches!(outcomes[5], Outcome::Count(0)));
    assert!(matches!(outcomes[6], Outcome::Stored { previous: None }));
    assert!(store.execute(Vec::new()).is_empty());
}
