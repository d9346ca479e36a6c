//! The I-CSCF with a test in the place of the HSS, the P-CSCF and the S-CSCFs.

use std::time::Duration;

use diameter::cx::Request;

use sip::Draft;

use super::*;
use crate::entity::testkit::{Kit, Sent, address, request};

const PCSCF: &str = "192.0.2.5:5060";
/// The S-CSCF of the configuration.
const FIRST: &str = "sip:scscf@192.0.2.3:5060";
/// One that the HSS names.
const SECOND: &str = "sip:scscf@192.0.2.4:5060";

fn kit() -> Kit<Icscf> {
    Kit::new(|config, _| Icscf::new(config, None))
}

fn register() -> Draft {
    let mut draft = request(&Method::Register, "sip:ims.test");
    draft
        .append(HeaderName::Contact, "<sip:alice@192.0.2.101>;expires=600")
        .append(HeaderName::PVisitedNetworkId, "\"visited.test\"");
    draft
}

fn invite() -> Draft {
    request(&Method::Invite, "sip:alice@ims.test")
}

fn uaa(outcome: Outcome, name: Option<&str>) -> Answer {
    Answer::UserAuthorization(Uaa {
        server_name: name.map(str::to_owned),
        ..Uaa::from(outcome)
    })
}

fn lia(outcome: Outcome, name: Option<&str>) -> Answer {
    Answer::LocationInfo(Lia {
        server_name: name.map(str::to_owned),
        ..Lia::from(outcome)
    })
}

/// Receives, and has the HSS answer.
fn routed(kit: &mut Kit<Icscf>, draft: &mut Draft, answer: Answer) {
    kit.receive(PCSCF, draft);
    let (token, _) = kit.cx().expect("the HSS is asked");
    kit.answer_cx(token, answer);
}

fn requests(kit: &mut Kit<Icscf>) -> Vec<Sent> {
    let mut sent = Vec::new();
    while let Some(next) = kit.poll_sent() {
        if next.message.is_request() {
            sent.push(next);
        }
    }
    sent
}

#[test]
fn a_register_is_authorised_and_goes_to_the_scscf_of_the_user() {
    let mut kit = kit();
    kit.receive(PCSCF, &mut register());
    let Some((token, Request::UserAuthorization(uar))) = kit.cx() else {
        panic!("User-Authorization is asked for");
    };
    assert_eq!(uar.user_name, "alice@ims.test");
    assert_eq!(uar.public_identity, "sip:alice@ims.test");
    assert_eq!(uar.visited_network_identifier, "visited.test");
    let kind = UserAuthorizationType::Registration;
    assert_eq!(uar.user_authorization_type, kind);
    kit.answer_cx(token, uaa(Outcome::SubsequentRegistration, Some(SECOND)));
    let sent = kit.sent();
    assert_eq!(sent.to, address("192.0.2.4:5060"));
    assert_eq!(sent.message.request_uri(), SECOND);
    kit.reply(&sent, 401);
    kit.response(401);
}

#[test]
fn a_register_that_ends_all_is_authorised_as_that() {
    let mut kit = kit();
    let mut draft = register();
    let ended = "<sip:alice@192.0.2.101>;expires=0";
    kit.receive(PCSCF, draft.replace(HeaderName::Contact, ended));
    let Some((_, Request::UserAuthorization(uar))) = kit.cx() else {
        panic!("User-Authorization is asked for");
    };
    let kind = UserAuthorizationType::DeRegistration;
    assert_eq!(uar.user_authorization_type, kind);
}

#[test]
fn a_user_without_scscf_gets_one() {
    let mut kit = kit();
    routed(
        &mut kit,
        &mut register(),
        uaa(Outcome::FirstRegistration, None),
    );
    assert_eq!(kit.sent().message.request_uri(), FIRST);

    let named = Answer::UserAuthorization(Uaa {
        server_capabilities: Some(ServerCapabilities {
            server_names: vec![SECOND.into()],
            ..ServerCapabilities::default()
        }),
        ..Uaa::from(Outcome::FirstRegistration)
    });
    routed(&mut kit, &mut register(), named);
    assert_eq!(kit.sent().message.request_uri(), SECOND);
}

#[test]
fn a_call_goes_to_the_scscf_of_the_user_by_a_route() {
    let mut kit = kit();
    let mut draft = invite();
    draft.append(HeaderName::Route, "<sip:icscf@192.0.2.1:5060;lr>");
    kit.receive(PCSCF, &mut draft);
    let Some((token, Request::LocationInfo(lir))) = kit.cx() else {
        panic!("Location-Info is asked for");
    };
    assert_eq!(lir.public_identity, "sip:alice@ims.test");
    kit.answer_cx(token, lia(Outcome::SUCCESS, Some(FIRST)));
    let sent = kit.sent();
    assert_eq!(sent.to, address("192.0.2.3:5060"));
    assert_eq!(sent.message.request_uri(), "sip:alice@ims.test");
    let routes: Vec<&str> = sent.message.values(HeaderName::Route).collect();
    assert_eq!(routes, [format!("<{FIRST};lr>")]);
    // The I-CSCF stays out of the dialog.
    assert!(!sent.message.has(HeaderName::RecordRoute));
    kit.reply(&sent, 200);
    kit.response(200);
}

#[test]
fn numbers_are_looked_up_as_numbers() {
    let mut kit = kit();
    for uri in ["tel:+1-555-0100", "sip:+15550100@ims.test;user=phone"] {
        kit.receive(PCSCF, invite().set_request_uri(uri));
        match kit.cx() {
            Some((_, Request::LocationInfo(lir))) => {
                assert_eq!(lir.public_identity, "tel:+15550100");
            }
            other => panic!("{other:?}"),
        }
    }
}

#[test]
fn what_is_not_for_this_network_is_refused_without_the_hss() {
    let mut kit = kit();
    for (uri, status) in [
        ("sip:alice@elsewhere.test", 404),
        ("sip:ims.test", 404),
        ("mailto:alice@ims.test", 416),
    ] {
        kit.receive(PCSCF, invite().set_request_uri(uri));
        kit.response(status);
    }
    kit.receive(PCSCF, invite().to_tag("known"));
    kit.response(481);
    let mut looping = invite();
    kit.receive(PCSCF, looping.replace(HeaderName::MaxForwards, "0"));
    kit.response(483);
    let mut nameless = register();
    kit.receive(PCSCF, nameless.replace(HeaderName::To, "<sip:"));
    kit.response(400);
    assert!(kit.cx().is_none());
}

#[test]
fn what_the_hss_refuses_has_its_status() {
    use diameter::ResultCode;
    let vendor = 10415;
    for (outcome, of_register, of_invite) in [
        (Outcome::UserUnknown, 403, 404),
        (Outcome::IdentitiesDontMatch, 403, 403),
        (Outcome::RoamingNotAllowed, 403, 403),
        (Outcome::IdentityNotRegistered, 403, 480),
        (Outcome::Base(ResultCode::AUTHORIZATION_REJECTED), 403, 403),
        (Outcome::Base(ResultCode::TOO_BUSY), 503, 503),
        (Outcome::UNABLE_TO_DELIVER, 504, 504),
        (Outcome::Experimental { vendor, code: 5999 }, 504, 504),
    ] {
        let mut kit = kit();
        routed(&mut kit, &mut register(), uaa(outcome, None));
        kit.response(of_register);
        routed(&mut kit, &mut invite(), lia(outcome, None));
        kit.response(of_invite);
        assert_eq!(kit.entity.pending(), 0);
    }
}

#[test]
fn a_register_that_its_scscf_does_not_answer_goes_to_another() {
    let mut kit = kit();
    routed(
        &mut kit,
        &mut register(),
        uaa(Outcome::SubsequentRegistration, Some(SECOND)),
    );
    kit.sent();
    kit.run_for(Duration::from_secs(32));
    let Some((token, Request::UserAuthorization(uar))) = kit.cx() else {
        panic!("the HSS is asked what another must be able to do");
    };
    let kind = UserAuthorizationType::RegistrationAndCapabilities;
    assert_eq!(uar.user_authorization_type, kind);
    kit.answer_cx(token, uaa(Outcome::SUCCESS, None));
    let again = requests(&mut kit);
    assert_eq!(again[0].message.request_uri(), FIRST);
    // And when that one says nothing either, there is no more.
    kit.run_for(Duration::from_secs(32));
    let mut last = None;
    while let Some(sent) = kit.poll_sent() {
        last = sent.message.status();
    }
    assert_eq!(last, Some(504));
    kit.run_for(Duration::from_secs(60));
    assert_eq!((kit.entity.pending(), kit.transactions()), (0, 0));
}

#[test]
fn a_call_that_its_scscf_does_not_answer_goes_to_another() {
    let mut kit = kit();
    routed(
        &mut kit,
        &mut invite(),
        lia(Outcome::UnregisteredService, Some(SECOND)),
    );
    kit.sent();
    kit.run_for(Duration::from_secs(32));
    let again = requests(&mut kit);
    assert_eq!(again[0].to, address("192.0.2.3:5060"));
    assert!(kit.cx().is_none());
    kit.reply(&again[0], 486);
    let mut last = None;
    while let Some(sent) = kit.poll_sent() {
        last = sent.message.status().or(last);
    }
    assert_eq!(last, Some(486));
}

#[test]
fn an_answer_is_an_answer_whatever_it_is() {
    for status in [302, 403, 480, 600] {
        let mut kit = kit();
        routed(
            &mut kit,
            &mut register(),
            uaa(Outcome::SUCCESS, Some(SECOND)),
        );
        let sent = kit.sent();
        kit.reply(&sent, status);
        kit.response(status);
        assert!(kit.cx().is_none());
    }
}

#[test]
fn where_the_name_is_no_uri_another_scscf_is_taken() {
    let mut kit = kit();
    routed(
        &mut kit,
        &mut register(),
        uaa(Outcome::SUCCESS, Some("scscf")),
    );
    assert_eq!(kit.sent().message.request_uri(), FIRST);
}

#[test]
fn a_caller_may_give_up_while_the_hss_thinks() {
    let mut kit = kit();
    let invite = kit.receive(PCSCF, &mut invite());
    let (token, _) = kit.cx().expect("the HSS is asked");
    let cancel = Draft::cancel(&invite).finish().expect("a CANCEL");
    kit.feed(address(PCSCF), None, &cancel);
    let statuses: Vec<Option<u16>> = std::iter::from_fn(|| kit.poll_sent())
        .map(|sent| sent.message.status())
        .collect();
    assert_eq!(statuses, [Some(200), Some(487)]);
    kit.answer_cx(token, lia(Outcome::SUCCESS, Some(FIRST)));
    kit.assert_silent();
    assert_eq!(kit.entity.pending(), 0);
}
