//! What UEs and the P-CSCF are told of registrations (RFC 3680, TS 24.229 5.1.1.6, 5.2.5.2).

use std::time::Duration;

use calls::{BY_HAND, ByHand, Setup, User, World, everywhere, identity};
use control::reginfo::{ContactEvent, Reginfo, State};
use control::store::{Impi, Operation};
use load::ua::{Cause, Event};
use sip::{HeaderName, Message, Method};

fn pair() -> Setup {
    Setup::new(&[User::Digest, User::Digest])
}

fn remove(world: &mut World, user: usize) {
    let impi = Impi::parse(&identity(user)).expect("a private identity");
    world.administer(Operation::Remove(impi));
}

/// Subscriptions at the S-CSCF and at the P-CSCF, registrations at both.
fn counts(world: &World) -> [usize; 4] {
    let now = world.network.now();
    let serving = world.control(world.scscf).status(now);
    let access = world.control(world.pcscf).status(now);
    [
        serving.subscriptions,
        access.access_subscriptions,
        serving.contacts,
        access.access_registrations,
    ]
}

/// User 1, at a port of telephone 1 and by hand.
struct Watcher {
    user: ByHand,
    /// The 200 to its SUBSCRIBE.
    accepted: Message,
    /// CSeq of the NOTIFY read last.
    read: u32,
}

impl Watcher {
    /// Registers and subscribes.
    fn new(world: &mut World) -> Self {
        let mut user = ByHand::new(world, 1, BY_HAND, 1);
        let contact = user.contact();
        let registered = user.register_with(world, &[&contact], 3600);
        assert_eq!(registered.status(), Some(200));
        let mut subscribe = user.request(&Method::Subscribe, &format!("sip:{}", identity(1)));
        subscribe
            .append(HeaderName::Contact, &contact)
            .append(HeaderName::Event, "reg")
            .append(HeaderName::Expires, "600000");
        let accepted = user.ask(world, &mut subscribe);
        assert_eq!(accepted.status(), Some(200), "{}", accepted.to_text());
        Self {
            user,
            accepted,
            read: 0,
        }
    }

    /// Asks for another duration, in the dialog.
    fn refresh(&mut self, world: &mut World, expires: u32) {
        let target = self.accepted.contact().expect("a Contact").uri;
        let mut subscribe = self.user.request(&Method::Subscribe, target.as_str());
        let to = self.accepted.header(HeaderName::To).expect("To");
        let contact = self.user.contact();
        subscribe
            .replace(HeaderName::To, to)
            .append(HeaderName::Contact, &contact)
            .append(HeaderName::Event, "reg")
            .append(HeaderName::Expires, &expires.to_string());
        let recorded: Vec<&str> = self.accepted.values(HeaderName::RecordRoute).collect();
        for route in recorded.iter().rev() {
            subscribe.append(HeaderName::Route, route);
        }
        let accepted = self.user.ask(world, &mut subscribe);
        assert_eq!(accepted.status(), Some(200), "{}", accepted.to_text());
    }

    /// The next NOTIFY, which is answered.
    fn told(&mut self, world: &mut World) -> (String, Reginfo) {
        let ours = |message: &Message| {
            message.is_method(&Method::Notify) && message.request_uri().contains("byhand")
        };
        // Those that pass the P-CSCF anew are others on the wire.
        let number = |message: &Message| message.cseq().expect("CSeq").number;
        let read = self.read;
        let notify = world.expect_heard(1, "NOTIFY", |message| {
            ours(message) && number(message) > read
        });
        self.read = number(&notify);
        let answer = notify.response(200, "").finish().expect("an answer");
        world.send_by_hand(1, &answer);
        // Until it is there, whatever is lost.
        let pause = if world.is_rough() { 40 } else { 6 };
        world.network.run_for(Duration::from_secs(pause));
        let state = notify.header(HeaderName::SubscriptionState);
        let document = Reginfo::parse(notify.body()).expect("a document");
        (state.expect("a state").to_owned(), document)
    }
}

#[test]
fn a_ue_is_told_what_becomes_of_its_registration() {
    everywhere(&pair(), |world| {
        let mut watcher = Watcher::new(world);
        let (state, first) = watcher.told(world);
        assert!(state.starts_with("active;expires="), "{state}");
        assert_eq!((first.version, first.full), (0, true));
        assert_eq!(first.registrations[0].state, State::Active);
        let contact = format!("<{}>", first.registrations[0].contacts[0].uri);
        assert_eq!(contact, watcher.user.contact());

        // Another telephone of the user.
        world.register(&[1]);
        let (_, joined) = watcher.told(world);
        assert_eq!((joined.version, joined.full), (1, false));
        let event = |document: &Reginfo| document.registrations[0].contacts[0].event;
        assert_eq!(event(&joined), ContactEvent::Registered);
        world.act(1, |agent, now| agent.deregister(now).expect("registered"));
        let (_, left) = watcher.told(world);
        assert_eq!(event(&left), ContactEvent::Unregistered);
        assert_eq!(counts(world), [2, 1, 1, 1]);

        remove(world, 1);
        let (state, last) = watcher.told(world);
        assert_eq!(state, "terminated;reason=noresource");
        assert_eq!(last.registrations[0].state, State::Terminated);
        assert_eq!(event(&last), ContactEvent::Rejected);
        assert_eq!(counts(world), [0; 4]);
    });
}

#[test]
fn a_ue_learns_of_the_end_that_it_asked_for() {
    everywhere(&pair(), |world| {
        let mut watcher = Watcher::new(world);
        watcher.told(world);
        let contact = watcher.user.contact();
        let ended = watcher.user.register_with(world, &[&contact], 0);
        assert_eq!(ended.status(), Some(200));
        let (state, last) = watcher.told(world);
        assert_eq!(state, "terminated;reason=noresource");
        assert_eq!(last.registrations[0].state, State::Terminated);
        assert_eq!(counts(world), [0; 4]);
    });
}

#[test]
fn a_ue_refreshes_its_subscription_and_ends_it() {
    everywhere(&pair(), |world| {
        let mut watcher = Watcher::new(world);
        watcher.told(world);
        watcher.refresh(world, 600);
        let (state, again) = watcher.told(world);
        assert!(state.starts_with("active;expires="), "{state}");
        assert_eq!((again.version, again.full), (1, true));
        watcher.refresh(world, 0);
        let (state, last) = watcher.told(world);
        assert_eq!(state, "terminated;reason=timeout");
        assert_eq!(last.registrations[0].state, State::Active);
        // That of the P-CSCF is left.
        assert_eq!(counts(world), [1, 1, 1, 1]);
    });
}

#[test]
fn nobody_is_told_of_another_users_registration() {
    everywhere(&pair(), |world| {
        world.register(&[0]);
        let mut watcher = Watcher::new(world);
        watcher.told(world);
        let uri = format!("sip:{}", identity(0));
        let contact = watcher.user.contact();
        let mut subscribe = watcher.user.request(&Method::Subscribe, &uri);
        subscribe
            .append(HeaderName::Contact, &contact)
            .append(HeaderName::Event, "reg");
        let refused = watcher.user.ask(world, &mut subscribe);
        assert_eq!(refused.status(), Some(403));
        let contact = watcher.user.contact();
        watcher.user.register_with(world, &[&contact], 0);
        watcher.told(world);
    });
}

#[test]
fn the_p_cscf_ends_what_the_operator_takes_away_and_the_calls_with_it() {
    everywhere(&pair(), |world| {
        world.register(&[0, 1]);
        world.network.run_for(Duration::from_secs(5));
        world.call(0, 1);
        world.established(0, 1);
        remove(world, 1);
        for phone in [0, 1] {
            let cause = world.expect_end(phone);
            assert_eq!(cause, Cause::HungUpThere);
        }
        world.network.run_for(Duration::from_secs(60));
        assert_eq!(counts(world), [1, 1, 1, 1]);
        // It is not served any more.
        world.call(0, 1);
        let refused = world.expect_refusal(0);
        assert!([404, 480].contains(&refused), "{refused}");
    });
}

#[test]
fn subscriptions_go_with_the_registrations() {
    everywhere(&pair(), |world| {
        for _ in 0..2 {
            world.register(&[0, 1]);
            world.network.run_for(Duration::from_secs(40));
            assert_eq!(counts(world), [2, 2, 2, 2]);
            for phone in [0, 1] {
                world.act(phone, |agent, now| {
                    agent.deregister(now).expect("registered")
                });
                world.expect(phone, "deregistered", |event| *event == Event::Deregistered);
            }
            world.network.run_for(Duration::from_secs(150));
            assert_eq!(counts(world), [0; 4]);
        }
    });
}

#[test]
fn subscriptions_last_as_long_as_registrations_do() {
    everywhere(&pair(), |world| {
        world.register(&[0, 1]);
        for _ in 0..6 {
            world.network.run_for(Duration::from_secs(1800));
            assert_eq!(counts(world), [2, 2, 2, 2]);
        }
        assert_eq!(world.serving_counter("subscription.lost"), 0);
        let made = world.serving_counter("subscription.accepted");
        assert_eq!(made, 2);
    });
}
