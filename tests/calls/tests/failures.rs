//! Requests that cannot be served, processes that are away, and limits: the responses the RFCs ask
//! for.

use std::time::Duration;

use calls::{BY_HAND, ByHand, REALM, Setup, User, World, everywhere, identity, in_both, number};
use control::config::LimitsFile;
use control::store::{Impi, Operation};
use load::ua::{Cause, Event};
use sip::{HeaderName, Method};

fn pair() -> Setup {
    Setup::new(&[User::Aka, User::Digest])
}

/// User 1, registered, whose messages the test writes.
fn by_hand(world: &mut World) -> ByHand {
    let mut user = ByHand::new(world, 1, BY_HAND, 1);
    let contact = user.contact();
    let response = user.register_with(world, &[&contact], 3600);
    assert_eq!(response.status(), Some(200), "{}", response.to_text());
    user
}

fn callee() -> String {
    format!("sip:user0@{REALM}")
}

#[test]
fn who_is_not_registered_cannot_be_called() {
    everywhere(&pair(), |world| {
        world.register(&[0]);
        world.call(0, 1);
        assert_eq!(world.expect_refusal(0), 480);
    });
}

#[test]
fn who_registered_once_and_left_cannot_be_called() {
    everywhere(&pair(), |world| {
        world.register(&[0, 1]);
        world.act(1, |agent, now| agent.deregister(now).expect("registered"));
        world.expect(1, "deregistered", |event| *event == Event::Deregistered);
        world.call(0, 1);
        assert_eq!(world.expect_refusal(0), 480);
    });
}

#[test]
fn nobody_has_that_name() {
    everywhere(&pair(), |world| {
        world.register(&[0]);
        for target in [
            format!("sip:nobody@{REALM}"),
            "tel:+49301009999".to_owned(),
            format!("sip:{REALM}"),
        ] {
            world.dial(0, &target);
            assert_eq!(world.expect_refusal(0), 404, "{target}");
        }
    });
}

#[test]
fn who_is_not_registered_cannot_call() {
    everywhere(&pair(), |world| {
        world.register(&[1]);
        world.call(0, 1);
        assert_eq!(world.expect_refusal(0), 403);
    });
}

#[test]
fn numbers_are_called_as_well_as_names() {
    everywhere(&pair(), |world| {
        world.register(&[0, 1]);
        let digits = number(1).replace("tel:", "");
        for target in [
            number(1),
            format!("tel:{}-{}", &digits[..5], &digits[5..]),
            format!("sip:{digits}@{REALM};user=phone"),
        ] {
            let call = world.dial(0, &target);
            world.established(0, 1);
            world.hang_up(0, call, 1);
        }
    });
}

#[test]
fn requests_that_a_proxy_must_refuse_are_refused() {
    everywhere(&pair(), |world| {
        world.register(&[0]);
        let mut user = by_hand(world);
        let heard = world.phone(0).heard().len();

        for method in [Method::Invite, Method::Message, Method::Options] {
            let mut draft = user.request(&method, &callee());
            draft.replace(HeaderName::MaxForwards, "0");
            let response = user.ask(world, &mut draft);
            assert_eq!(response.status(), Some(483), "{method}");

            let mut draft = user.request(&method, &callee());
            draft.append(HeaderName::ProxyRequire, "timer, telepathy");
            let response = user.ask(world, &mut draft);
            assert_eq!(response.status(), Some(420), "{method}");
            assert_eq!(response.header(HeaderName::Unsupported), Some("telepathy"));

            let mut draft = user.request(&method, "http://example.com");
            let response = user.ask(world, &mut draft);
            assert_eq!(response.status(), Some(416), "{method}");
        }

        // Hops run out on the way.
        let mut draft = user.request(&Method::Message, &callee());
        draft.replace(HeaderName::MaxForwards, "2");
        let response = user.ask(world, &mut draft);
        assert_eq!(response.status(), Some(483));

        assert_eq!(world.phone(0).heard().len(), heard, "nothing got through");
    });
}

#[test]
fn methods_that_the_network_does_not_know_pass_through_it() {
    everywhere(&pair(), |world| {
        world.register(&[0]);
        let mut user = by_hand(world);
        let other = Method::Other("CONJURE".into());
        // What the telephone says to them.
        for (method, status) in [
            (Method::Options, 200),
            (Method::Message, 405),
            (Method::Publish, 405),
            (other, 501),
        ] {
            let mut draft = user.request(&method, &callee());
            let response = user.ask(world, &mut draft);
            assert_eq!(response.status(), Some(status), "{method}");
        }
        // Options of the end are the end's business.
        let mut draft = user.request(&Method::Invite, &callee());
        draft.append(HeaderName::Require, "telepathy");
        draft.append(HeaderName::Contact, &user.contact());
        let response = user.ask(world, &mut draft);
        assert_eq!(response.status(), Some(420));
    });
}

#[test]
fn options_to_the_p_cscf_is_answered_there() {
    everywhere(&pair(), |world| {
        let mut user = ByHand::new(world, 1, BY_HAND, 1);
        let uri = format!("sip:{}", world.proxy);
        let mut draft = user.request(&Method::Options, &uri);
        assert_eq!(user.ask(world, &mut draft).status(), Some(200));
        let mut draft = user.request(&Method::Message, &uri);
        let response = user.ask(world, &mut draft);
        assert_eq!(response.status(), Some(405));
        assert!(response.has(HeaderName::Allow));
    });
}

#[test]
fn requests_of_no_dialog_are_refused() {
    everywhere(&pair(), |world| {
        world.register(&[0]);
        let mut user = by_hand(world);
        for method in [Method::Bye, Method::Invite, Method::Update] {
            let mut draft = user.request(&method, &callee());
            draft.replace(HeaderName::To, &format!("<{}>;tag=none", callee()));
            let response = user.ask(world, &mut draft);
            assert_eq!(response.status(), Some(481), "{method}");
        }
        // With a route that was never given.
        let route = format!("<sip:pcscf.d0123456789abcdef@{};lr>", world.proxy);
        let mut draft = user.request(&Method::Bye, &callee());
        draft.replace(HeaderName::To, &format!("<{}>;tag=none", callee()));
        draft.append(HeaderName::Route, &route);
        assert_eq!(user.ask(world, &mut draft).status(), Some(481));
    });
}

#[test]
fn a_ue_cannot_say_that_it_is_somebody_else() {
    everywhere(&pair(), |world| {
        world.register(&[0]);
        let mut user = by_hand(world);
        for name in [
            HeaderName::PAssertedIdentity,
            HeaderName::PPreferredIdentity,
        ] {
            let mut draft = user.request(&Method::Message, &callee());
            draft.append(name, "<sip:president@ims.test>");
            user.ask(world, &mut draft);
        }
        let heard = world.phone(0).heard();
        let messages = heard
            .iter()
            .filter(|message| message.is_method(&Method::Message));
        let mut count = 0;
        for message in messages {
            count += 1;
            let asserted = message.header(HeaderName::PAssertedIdentity);
            assert!(asserted.is_some_and(|value| value.contains("sip:user1@ims.test")));
            assert!(!message.to_text().contains("president"));
        }
        assert_eq!(count, 2);
    });
}

#[test]
fn calls_over_the_limit_are_to_be_tried_later() {
    let setup = pair().with(|file| {
        file.limits = Some(LimitsFile {
            dialogs_max: Some(4),
            ..LimitsFile::default()
        });
    });
    everywhere(&setup, |world| {
        world.register(&[0, 1]);
        let calls: Vec<_> = (0..2)
            .map(|_| {
                let call = world.call(0, 1);
                world.established(0, 1);
                call
            })
            .collect();
        world.call(0, 1);
        assert_eq!(world.expect_refusal(0), 503);
        let refused = world.heard(0, |message| {
            message.status() == Some(503) && message.has(HeaderName::RetryAfter)
        });
        assert_eq!(refused, 1);
        assert_eq!(world.counter("sip.refused.full"), 1);
        for call in calls {
            world.hang_up(0, call, 1);
        }
        let call = world.call(0, 1);
        world.established(0, 1);
        world.hang_up(0, call, 1);
    });
}

#[test]
fn a_contact_that_is_gone_is_not_waited_for_for_ever() {
    everywhere(&pair(), |world| {
        world.register(&[0, 1]);
        world.policy(1, |policy| policy.deaf = true);
        world.call(0, 1);
        assert_eq!(world.expect_refusal(0), 408);
    });
}

#[test]
fn without_an_hss_calls_fail_and_calls_that_are_up_go_on() {
    everywhere(&pair().spread(), |world| {
        world.register(&[0, 1]);
        let call = world.call(0, 1);
        world.established(0, 1);
        let (hss, serving) = (world.hss, world.scscf);
        world.network.cut(&[hss], &[serving]);
        world.call(0, 1);
        assert_eq!(world.expect_refusal(0), 504);
        world.hang_up(0, call, 1);
        world.network.heal();
        world.network.run_for(Duration::from_secs(60));
        let call = world.call(0, 1);
        world.established(0, 1);
        world.hang_up(0, call, 1);
    });
}

/// How often telephone 0 was told to register anew (TS 24.229 5.2.6.3.2A, 5.4.3.2).
fn told_to_register(world: &World) -> usize {
    world.heard(0, |message| {
        let body = String::from_utf8_lossy(message.body()).into_owned();
        message.status() == Some(504)
            && message.header(HeaderName::ContentType) == Some("application/3gpp-ims+xml")
            && body.contains("<type>restoration</type>")
            && body.contains("<action>initial-registration</action>")
    })
}

#[test]
fn without_an_s_cscf_calls_fail_and_the_telephone_is_told_to_register() {
    everywhere(&pair().spread(), |world| {
        world.register(&[0, 1]);
        let (access, serving) = (world.pcscf, world.scscf);
        world.network.cut(&[access], &[serving]);
        world.call(0, 1);
        assert_eq!(world.expect_refusal(0), 504);
        assert_eq!(told_to_register(world), 1);
        world.network.heal();
    });
}

#[test]
fn after_a_p_cscf_loses_its_state_telephones_register_and_call_again() {
    everywhere(&pair(), |world| {
        world.register(&[0, 1]);
        world.call(0, 1);
        world.established(0, 1);
        world.restart_without_state(world.pcscf);
        // Its call is unknown, and so is the telephone.
        let calls: Vec<_> = world.phone(0).phone().agent().calls().collect();
        world.act(0, |agent, now| {
            agent.hang_up(now, calls[0]).expect("established")
        });
        assert_eq!(world.expect_end(0), Cause::HungUp);
        world.call(0, 1);
        assert_eq!(world.expect_refusal(0), 403);
        world.register(&[0, 1]);
        let call = world.call(0, 1);
        world.established(0, 1);
        world.hang_up(0, call, 1);
        let left: Vec<_> = world.phone(1).phone().agent().calls().collect();
        for call in left {
            world.act(1, |agent, now| agent.hang_up(now, call).expect("left over"));
        }
    });
}

#[test]
fn an_s_cscf_that_loses_its_state_gets_the_registrations_from_the_hss() {
    in_both(&pair().spread(), |world| {
        world.register(&[0, 1]);
        world.restart_without_state(world.scscf);
        world.network.run_for(Duration::from_secs(60));
        for (caller, callee) in [(0, 1), (1, 0)] {
            let call = world.call(caller, callee);
            world.established(caller, callee);
            world.hang_up(caller, call, callee);
        }
        assert_eq!(world.serving_counter("registration.restored"), 2);
        // The P-CSCF subscribes anew when it wants to refresh.
        world.network.run_for(Duration::from_secs(4000));
        let status = world.control(world.scscf).status(world.network.now());
        assert_eq!((status.contacts, status.subscriptions), (2, 2));
        for phone in [0, 1] {
            world.act(phone, |agent, now| {
                agent.deregister(now).expect("registered")
            });
            world.expect(phone, "deregistered", |event| *event == Event::Deregistered);
        }
    });
}

#[test]
fn where_the_hss_has_nothing_either_the_telephone_is_told_to_register() {
    everywhere(&pair().spread(), |world| {
        world.register(&[0, 1]);
        // Nothing is under way that would make the S-CSCF ask before.
        world.network.run_for(Duration::from_secs(10));
        world.restart_without_state(world.scscf);
        world.network.run_for(Duration::from_secs(60));
        let impi = Impi::parse(&identity(0)).expect("a private identity");
        world.administer(Operation::Remove(impi));
        world.call(0, 1);
        assert_eq!(world.expect_refusal(0), 504);
        assert_eq!(told_to_register(world), 1);
    });
}
