//! Registration: AKA and SIP Digest, renewed, ended and run out, refused, and repaired.

use std::time::Duration;

use calls::{BY_HAND, ByHand, Setup, User, World, everywhere, identity, number};
use control::config::{LimitsFile, RegistrationFile};
use control::store::{Impi, Operation, Outcome, RegistrationState};
use load::ua::{Event, Secret};
use load::usim::Usim;
use sip::{HeaderName, Message};

/// Public identities of a user, registered together.
const IDENTITIES: usize = 2;

fn pair() -> Setup {
    Setup::new(&[User::Aka, User::Digest])
}

fn digest() -> Setup {
    Setup::new(&[User::Digest])
}

fn seconds(seconds: u64) -> Duration {
    Duration::from_secs(seconds)
}

fn is_registered(event: &Event) -> bool {
    matches!(event, Event::Registered { .. })
}

fn expect_failure(world: &mut World, phone: usize) -> u16 {
    let failed = |event: &Event| matches!(event, Event::RegistrationFailed { .. });
    match world.expect(phone, "that registration failed", failed) {
        Event::RegistrationFailed { status, .. } => status,
        _ => unreachable!("it is what was expected"),
    }
}

/// Users and contacts at the S-CSCF, contacts at the P-CSCF.
fn registered(world: &World) -> (usize, usize, usize) {
    let now = world.network.now();
    let serving = world.control(world.scscf).status(now);
    let access = world.control(world.pcscf).status(now);
    (
        serving.registrations / IDENTITIES,
        serving.contacts,
        access.access_registrations,
    )
}

/// What the HSS keeps of a user.
fn state_at_hss(world: &mut World, user: usize) -> RegistrationState {
    let impi = Impi::parse(&identity(user)).expect("a private identity");
    match world.store(Operation::Get(impi)) {
        Outcome::Found(entry) => entry.registrations.set(0).state,
        other => panic!("{other:?}"),
    }
}

fn contacts(response: &Message) -> usize {
    response.values(HeaderName::Contact).count()
}

#[test]
fn users_register_by_aka_and_by_digest() {
    everywhere(&pair(), |world| {
        world.register(&[0, 1]);
        assert_eq!(registered(world), (2, 2, 2));
        for user in [0, 1] {
            assert_eq!(state_at_hss(world, user), RegistrationState::Registered);
            let agent = world.phone(user).phone().agent();
            let associated = [format!("sip:{}", identity(user)), number(user)];
            assert_eq!(agent.associated(), associated);
            assert_eq!(agent.service_route().len(), 1);
        }
        assert_eq!(world.serving_counter("registration.rejected"), 0);
    });
}

#[test]
fn digest_goes_by_the_algorithm_the_telephone_names() {
    everywhere(&Setup::new(&[User::Digest, User::Sha256]), |world| {
        world.register(&[0, 1]);
        for (phone, algorithm) in [(0, "algorithm=MD5"), (1, "algorithm=SHA-256")] {
            let challenged = world.heard(phone, |message| {
                let challenge = message.header(HeaderName::WwwAuthenticate);
                challenge.is_some_and(|value| value.contains(algorithm))
            });
            assert_eq!(challenged, 1);
        }
        world.network.run_for(seconds(7200));
        assert_eq!(registered(world), (2, 2, 2));
    });
}

#[test]
fn devices_of_one_user_register_at_the_same_time() {
    everywhere(&Setup::new(&[User::Aka, User::Sha256]), |world| {
        for (user, kind) in [(0, User::Aka), (1, User::Sha256)] {
            for place in [10, 20, 30] {
                world.add_phone(user, kind, place + user as u8, |_| {});
            }
        }
        world.register(&(0..8).collect::<Vec<_>>());
        assert_eq!(registered(world), (2, 8, 8));
        world.network.run_for(seconds(7200));
        assert_eq!(registered(world), (2, 8, 8));
    });
}

#[test]
fn a_registration_is_renewed_for_as_long_as_the_telephone_lives() {
    everywhere(&pair(), |world| {
        world.register(&[0, 1]);
        for _ in 0..4 {
            world.network.run_for(seconds(1800));
            assert_eq!(registered(world), (2, 2, 2));
        }
        let accepted = world.serving_counter("registration.accepted");
        assert!(accepted >= 6, "renewed only {accepted} times");
        assert_eq!(world.serving_counter("registration.expired"), 0);
    });
}

#[test]
fn a_registration_that_is_not_renewed_runs_out_everywhere() {
    everywhere(&pair(), |world| {
        world.register(&[0, 1]);
        let node = world.phone_node(1);
        let all = [world.pcscf, world.scscf];
        world.network.cut(&[node], &all);
        world.network.run_for(seconds(3600));
        // The P-CSCF is told at once; by itself it would keep it a little longer.
        world.network.run_for(seconds(10));
        assert_eq!(registered(world), (1, 1, 1));
        assert_eq!(state_at_hss(world, 0), RegistrationState::Registered);
        assert_eq!(state_at_hss(world, 1), RegistrationState::NotRegistered);
        assert_eq!(world.serving_counter("registration.expired"), 1);
    });
}

#[test]
fn a_telephone_gives_its_registration_up() {
    everywhere(&pair(), |world| {
        world.register(&[0, 1]);
        for phone in [0, 1] {
            world.act(phone, |agent, now| {
                agent.deregister(now).expect("registered")
            });
            world.expect(phone, "deregistered", |event| *event == Event::Deregistered);
        }
        assert_eq!(registered(world), (0, 0, 0));
        assert_eq!(state_at_hss(world, 0), RegistrationState::NotRegistered);
        world.register(&[0, 1]);
        assert_eq!(registered(world), (2, 2, 2));
    });
}

#[test]
fn all_contacts_of_a_user_end_at_once() {
    everywhere(&digest(), |world| {
        let mut user = ByHand::new(world, 0, BY_HAND, 0);
        let contacts = ["<sip:a@192.0.2.100:5070>", "<sip:b@192.0.2.100:5070>"];
        for contact in contacts {
            let response = user.register_with(world, &[contact], 3600);
            assert_eq!(response.status(), Some(200), "{}", response.to_text());
        }
        assert_eq!(registered(world), (1, 2, 2));
        let response = user.register_with(world, &["*"], 0);
        assert_eq!(response.status(), Some(200), "{}", response.to_text());
        assert_eq!(registered(world), (0, 0, 0));
        assert_eq!(state_at_hss(world, 0), RegistrationState::NotRegistered);
    });
}

#[test]
fn a_star_wants_expires_zero_and_no_other_contact() {
    everywhere(&digest(), |world| {
        let mut user = ByHand::new(world, 0, BY_HAND, 0);
        let contact = user.contact();
        user.register_with(world, &[&contact], 3600);
        for (contacts, expires) in [(vec!["*"], 3600), (vec!["*", "<sip:a@192.0.2.100>"], 0)] {
            let response = user.register_with(world, &contacts, expires);
            assert_eq!(response.status(), Some(400), "{}", response.to_text());
        }
        assert_eq!(registered(world), (1, 1, 1));
    });
}

#[test]
fn a_register_without_contacts_lists_them() {
    everywhere(&digest(), |world| {
        let mut user = ByHand::new(world, 0, BY_HAND, 0);
        let contact = user.contact();
        user.register_with(world, &[&contact], 3600);
        let response = user.register_with(world, &[], 3600);
        assert_eq!(response.status(), Some(200));
        assert_eq!(contacts(&response), 1);
        assert_eq!(registered(world), (1, 1, 1));
    });
}

#[test]
fn an_interval_too_brief_is_answered_with_the_least() {
    let setup = pair().with(|file| {
        file.registration = Some(RegistrationFile {
            expires_min_s: Some(7200),
            ..RegistrationFile::default()
        });
    });
    everywhere(&setup, |world| {
        world.register(&[0, 1]);
        for phone in [0, 1] {
            assert!(world.was_told(phone, |event| {
                matches!(event, Event::Registered { expires, .. } if *expires == seconds(7200))
            }));
        }
    });
}

#[test]
fn contacts_beyond_the_most_are_refused() {
    let setup = digest().with(|file| {
        file.limits = Some(LimitsFile {
            contacts_max: Some(3),
            ..LimitsFile::default()
        });
    });
    everywhere(&setup, |world| {
        let mut user = ByHand::new(world, 0, BY_HAND, 0);
        for number in 1..=3 {
            let contact = format!("<sip:c{number}@192.0.2.100:5070>");
            let response = user.register_with(world, &[&contact], 3600);
            assert_eq!(contacts(&response), number, "{}", response.to_text());
        }
        let response = user.register_with(world, &["<sip:c4@192.0.2.100:5070>"], 3600);
        assert_eq!(response.status(), Some(403), "{}", response.to_text());
        assert_eq!(registered(world), (1, 3, 3));
        // One for another is none more.
        let change = [
            "<sip:c1@192.0.2.100:5070>;expires=0",
            "<sip:c4@192.0.2.100:5070>",
        ];
        let response = user.register_with(world, &change, 3600);
        assert_eq!(response.status(), Some(200), "{}", response.to_text());
        assert_eq!(registered(world).1, 3);
    });
}

#[test]
fn a_wrong_password_is_refused() {
    everywhere(&digest(), |world| {
        let phone = world.add_phone(0, User::Digest, 10, |config| {
            config.secret = Secret::Password("wrong".into());
        });
        world.act(phone, |agent, now| agent.register(now).expect("idle"));
        assert_eq!(expect_failure(world, phone), 403);
        assert_eq!(registered(world), (0, 0, 0));
        assert_eq!(world.serving_counter("registration.rejected"), 1);
        // The rightful user is not kept out by it.
        world.register(&[0]);
    });
}

#[test]
fn a_wrong_password_does_not_end_the_registration_of_the_rightful_user() {
    everywhere(&digest(), |world| {
        world.register(&[0]);
        let phone = world.add_phone(0, User::Digest, 10, |config| {
            config.secret = Secret::Password("wrong".into());
        });
        world.act(phone, |agent, now| agent.register(now).expect("idle"));
        assert_eq!(expect_failure(world, phone), 403);
        assert_eq!(registered(world), (1, 1, 1));
        world.network.run_for(seconds(7200));
        assert_eq!(registered(world), (1, 1, 1));
    });
}

#[test]
fn an_unknown_user_is_refused() {
    everywhere(&pair(), |world| {
        for (place, kind) in [(10, User::Aka), (11, User::Digest)] {
            let phone = world.add_phone(7, kind, place, |_| {});
            world.act(phone, |agent, now| agent.register(now).expect("idle"));
            assert_eq!(expect_failure(world, phone), 403);
        }
        assert_eq!(registered(world), (0, 0, 0));
    });
}

#[test]
fn nobody_registers_while_the_store_fails() {
    everywhere(&pair(), |world| {
        world.break_store(true);
        world.act(0, |agent, now| agent.register(now).expect("idle"));
        assert_eq!(expect_failure(world, 0), 504);
        assert!(world.home_counter("store.failed") > 0);
        assert_eq!(registered(world), (0, 0, 0));
        world.break_store(false);
        world.register(&[0]);
    });
}

#[test]
fn a_card_of_another_network_gives_up_and_is_refused() {
    everywhere(&pair(), |world| {
        let phone = world.add_phone(0, User::Aka, 10, |config| {
            config.secret = Secret::Aka(Box::new(Usim::new([9; 16], [9; 16])));
        });
        world.act(phone, |agent, now| agent.register(now).expect("idle"));
        assert_eq!(expect_failure(world, phone), 403);
        assert_eq!(registered(world), (0, 0, 0));
        world.register(&[0]);
    });
}

#[test]
fn a_card_that_is_ahead_resynchronises_the_network() {
    everywhere(&pair(), |world| {
        let phone = world.add_phone(0, User::Aka, 10, |config| {
            let mut usim = World::usim(0);
            usim.set_sqn(40_000_000);
            config.secret = Secret::Aka(Box::new(usim));
        });
        world.register(&[phone]);
        assert!(world.was_told(phone, |event| *event == Event::Resynchronising));
        // The network has caught up: once is enough.
        world.network.run_for(seconds(7000));
        let resynchronised = world
            .phone(phone)
            .events()
            .iter()
            .filter(|event| **event == Event::Resynchronising);
        assert_eq!(resynchronised.count(), 1);
    });
}

#[test]
fn credentials_that_come_again_are_stale() {
    everywhere(&digest(), |world| {
        let mut user = ByHand::new(world, 0, BY_HAND, 0);
        let contact = user.contact();
        let response = user.register_with(world, &[&contact], 3600);
        assert_eq!(response.status(), Some(200));
        let credentials = user.credentials().expect("a challenge was answered");
        for (expected, nonce) in [(200, "counted up"), (401, "replayed")] {
            user.forget_challenge();
            let mut draft = user.register(&[&contact], 3600);
            draft.append(HeaderName::Authorization, &credentials);
            let response = user.ask(world, &mut draft);
            assert_eq!(response.status(), Some(expected), "{nonce}");
            if expected == 401 {
                let challenge = response.header(HeaderName::WwwAuthenticate);
                assert!(challenge.is_some_and(|value| value.contains("stale=true")));
            }
        }
        assert_eq!(registered(world), (1, 1, 1));
    });
}

#[test]
fn a_challenge_that_waited_too_long_is_stale() {
    everywhere(&digest(), |world| {
        let mut user = ByHand::new(world, 0, BY_HAND, 0);
        let contact = user.contact();
        let mut draft = user.register(&[&contact], 3600);
        let response = user.ask(world, &mut draft);
        user.take_challenge(&response);
        // Longer than reg-await-auth.
        world.network.run_for(seconds(241));
        let mut draft = user.register(&[&contact], 3600);
        let response = user.ask(world, &mut draft);
        assert_eq!(response.status(), Some(401));
        let challenge = response.header(HeaderName::WwwAuthenticate);
        assert!(challenge.is_some_and(|value| value.contains("stale=true")));
        user.take_challenge(&response);
        let mut draft = user.register(&[&contact], 3600);
        assert_eq!(user.ask(world, &mut draft).status(), Some(200));
    });
}

#[test]
fn a_register_out_of_order_changes_nothing() {
    everywhere(&digest(), |world| {
        let mut user = ByHand::new(world, 0, BY_HAND, 0);
        let contact = user.contact();
        user.cseq = 100;
        let response = user.register_with(world, &[&contact], 3600);
        assert_eq!(response.status(), Some(200));
        user.cseq = 50;
        let mut draft = user.register(&[&contact], 0);
        let response = user.ask(world, &mut draft);
        assert_eq!(response.status(), Some(500), "{}", response.to_text());
        assert_eq!(registered(world), (1, 1, 1));
    });
}

#[test]
fn what_a_register_requires_must_be_known() {
    everywhere(&digest(), |world| {
        let mut user = ByHand::new(world, 0, BY_HAND, 0);
        let contact = user.contact();
        let mut draft = user.register(&[&contact], 3600);
        draft.append(HeaderName::Require, "telepathy");
        let response = user.ask(world, &mut draft);
        assert_eq!(response.status(), Some(420));
        assert_eq!(response.header(HeaderName::Unsupported), Some("telepathy"));
    });
}

#[test]
fn users_share_an_address() {
    everywhere(
        &Setup::new(&[User::Digest, User::Digest, User::Digest]),
        |world| {
            world.register(&[0, 2]);
            // At another port of the same address, and at the very same port.
            for port in [BY_HAND, 5060] {
                let mut user = ByHand::new(world, 0, port, 1);
                let contact = user.contact();
                let response = user.register_with(world, &[&contact], 3600);
                assert_eq!(response.status(), Some(200), "{}", response.to_text());
                assert_eq!(registered(world), (3, 3, 3));
                // Each is called where it is and as who it is.
                let call = world.call(0, 2);
                world.established(0, 2);
                world.hang_up(0, call, 2);
                let response = user.register_with(world, &[&contact], 0);
                assert_eq!(response.status(), Some(200), "{}", response.to_text());
                assert_eq!(registered(world), (2, 2, 2));
            }
        },
    );
}

#[test]
fn without_an_hss_registration_fails_with_504_until_it_is_back() {
    everywhere(&pair().spread(), |world| {
        let (hss, serving) = (world.hss, world.scscf);
        world.network.cut(&[hss], &[serving]);
        for phone in [0, 1] {
            world.act(phone, |agent, now| agent.register(now).expect("idle"));
        }
        for phone in [0, 1] {
            assert_eq!(expect_failure(world, phone), 504);
        }
        world.network.heal();
        world.network.run_for(seconds(60));
        world.register(&[0, 1]);
        assert_eq!(registered(world), (2, 2, 2));
    });
}

#[test]
fn a_slow_hss_is_waited_for() {
    everywhere(&pair().spread(), |world| {
        let slow = sim::Link {
            delay: Duration::from_millis(1500),
            ..calls::GOOD
        };
        let (hss, serving) = (world.hss, world.scscf);
        world.network.set_link_between(hss, serving, slow);
        world.network.set_link_between(serving, hss, slow);
        world.register(&[0, 1]);
    });
}

#[test]
fn without_an_s_cscf_registration_fails_with_504_until_it_is_back() {
    everywhere(&pair().spread(), |world| {
        let (access, serving) = (world.pcscf, world.scscf);
        world.network.cut(&[access], &[serving]);
        world.act(0, |agent, now| agent.register(now).expect("idle"));
        // A telephone with the timers of the core gives up as soon as the P-CSCF does.
        let status = expect_failure(world, 0);
        assert!(
            status == 504 || world.is_rough() && status == 408,
            "{status}"
        );
        world.network.heal();
        world.register(&[0]);
        assert!(world.was_told(0, is_registered));
    });
}
