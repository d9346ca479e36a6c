//! Registration (TS 24.229 5.4.1).

use std::time::Duration;

use diameter::cx::SipAuthDataItem;

use super::*;
use crate::counters::Counter;

/// What becomes of a REGISTER that the HSS is not asked about.
fn refused(kit: &mut Kit<Scscf>, draft: &mut Draft) -> Message {
    kit.receive(PCSCF, draft);
    assert!(kit.cx().is_none(), "the HSS was asked");
    kit.sent().message
}

fn values(message: &Message, name: HeaderName) -> Vec<&str> {
    message.values(name).collect()
}

#[test]
fn a_user_is_challenged_as_the_hss_has_it_and_then_assigned() {
    let (mut kit, mut ue) = (kit(), Ue::new("alice", "192.0.2.101:5060"));
    kit.receive(PCSCF, &mut ue.draft(3600));
    let (token, asked) = kit.cx().expect("a vector is asked for");
    let Request::MultimediaAuth(mar) = asked else {
        panic!("{asked:?}");
    };
    assert_eq!(mar.user_name, "alice@ims.test");
    assert_eq!(mar.public_identity, "sip:alice@ims.test");
    assert_eq!(mar.server_name, "sip:scscf@192.0.2.1:5060");
    assert_eq!(mar.sip_auth_data_item.scheme, Some(AuthScheme::Unknown));
    kit.answer_cx(token, Answer::MultimediaAuth(vector("alice@ims.test")));
    kit.response(401);
    assert_eq!(kit.entity.contacts(), 0);

    ue.challenge(&mut kit, 3600);
    kit.receive(PCSCF, &mut ue.draft(3600));
    let (token, sar) = assignment(&mut kit);
    assert_eq!(
        sar.server_assignment_type,
        ServerAssignmentType::Registration
    );
    assert_eq!(sar.public_identities, ["sip:alice@ims.test"]);
    kit.answer_cx(token, assigned("alice@ims.test", &ALICE));
    let accepted = kit.response(200);
    let contact = "<sip:alice@192.0.2.101:5060>;expires=3600";
    assert_eq!(values(&accepted, HeaderName::Contact), [contact]);
    assert_eq!(values(&accepted, HeaderName::Path), [PATH]);
    let route = "<sip:scscf.orig@192.0.2.1:5060;lr>";
    assert_eq!(values(&accepted, HeaderName::ServiceRoute), [route]);
    let associated = ["<sip:alice@ims.test>", "<tel:+15550100>"];
    assert_eq!(values(&accepted, HeaderName::PAssociatedUri), associated);
    assert_eq!((kit.entity.registrations(), kit.entity.contacts()), (3, 1));
}

#[test]
fn who_cannot_prove_it_is_refused_and_ends_nobodys_registration() {
    let (mut kit, mut ue) = (kit(), Ue::new("alice", "192.0.2.101:5060"));
    for known in [false, true] {
        let mut guesser = Ue::new("alice", "192.0.2.66:5060");
        guesser.challenge(&mut kit, 3600);
        let mut draft = guesser.draft(0);
        let wrong = draft
            .header(HeaderName::Authorization)
            .expect("credentials");
        let at = wrong.find("response=\"").expect("a response") + 10;
        let flipped = if wrong[at..].starts_with('0') {
            "1"
        } else {
            "0"
        };
        let wrong = format!("{}{flipped}{}", &wrong[..at], &wrong[at + 1..]);
        kit.receive(PCSCF, draft.replace(HeaderName::Authorization, &wrong));
        kit.response(403);
        if known {
            assert!(kit.cx().is_none(), "the registration stands");
            assert_eq!(kit.entity.contacts(), 1);
        } else {
            assert_told(&mut kit, ServerAssignmentType::AuthenticationFailure);
            ue.register(&mut kit, 3600);
        }
    }
    assert_eq!(kit.counter(Counter::RegistrationRejected), 2);
}

#[test]
fn aka_is_challenged_with_the_keys_and_answered_with_res() {
    let (mut kit, mut ue) = (kit(), Ue::new("alice", "192.0.2.101:5060"));
    let maa = Maa {
        sip_auth_data_items: vec![SipAuthDataItem {
            scheme: Some(AuthScheme::DigestAkaV1Md5),
            authenticate: Some((0..32).collect()),
            // The password of the UE of this test.
            authorization: Some(b"secret".to_vec()),
            confidentiality_key: Some([0xcc; 16]),
            integrity_key: Some([0x11; 16]),
            ..SipAuthDataItem::default()
        }],
        ..Maa::from(Outcome::SUCCESS)
    };
    kit.receive(PCSCF, &mut ue.draft(3600));
    let (token, _) = kit.cx().expect("a vector is asked for");
    kit.answer_cx(token, Answer::MultimediaAuth(maa));
    let challenge = kit.response(401);
    let text = challenge.header(HeaderName::WwwAuthenticate).expect("one");
    assert!(
        text.contains(&format!("ck=\"{}\"", "cc".repeat(16))),
        "{text}"
    );
    assert!(
        text.contains(&format!("ik=\"{}\"", "11".repeat(16))),
        "{text}"
    );
    let challenge = Challenge::parse(text.as_bytes()).expect("our own");
    assert_eq!(challenge.algorithm, Algorithm::AkaV1Md5);
    ue.client = Some(Client::new(&ue.impi, challenge));
    ue.register(&mut kit, 3600);
    // A vector proves one registration.
    kit.receive(PCSCF, &mut ue.draft(3600));
    let (_, asked) = kit.cx().expect("another vector is asked for");
    match asked {
        Request::MultimediaAuth(mar) => {
            let scheme = mar.sip_auth_data_item.scheme;
            assert_eq!(scheme, Some(AuthScheme::DigestAkaV1Md5));
        }
        other => panic!("{other:?}"),
    }
}

#[test]
fn a_card_out_of_step_is_told_to_the_hss() {
    let (mut kit, mut ue) = (kit(), Ue::new("alice", "192.0.2.101:5060"));
    let item = SipAuthDataItem {
        scheme: Some(AuthScheme::DigestAkaV1Md5),
        authenticate: Some((0..32).collect()),
        authorization: Some(vec![1; 8]),
        ..SipAuthDataItem::default()
    };
    let maa = || {
        Answer::MultimediaAuth(Maa {
            sip_auth_data_items: vec![item.clone()],
            ..Maa::from(Outcome::SUCCESS)
        })
    };
    kit.receive(PCSCF, &mut ue.draft(3600));
    for round in 1..=3 {
        let (token, _) = kit.cx().expect("a vector is asked for");
        kit.answer_cx(token, maa());
        let text = kit.response(401);
        let text = text.header(HeaderName::WwwAuthenticate).expect("one");
        let challenge = Challenge::parse(text.as_bytes()).expect("our own");
        let mut client = Client::new(&ue.impi, challenge);
        let covered = sip::digest::Request {
            method: "REGISTER",
            uri: "sip:ims.test",
            body: b"",
        };
        let auts = [0xaa; 14];
        let answer = client.answer_resynchronise(auts, covered, &mut ue.entropy);
        let mut draft = ue.draft(3600);
        draft.append(HeaderName::Authorization, &answer.to_string());
        kit.receive(PCSCF, &mut draft);
        if round == 3 {
            // TS 24.229 5.4.1.2.3: three failures are enough.
            kit.response(403);
            assert_told(&mut kit, ServerAssignmentType::AuthenticationFailure);
            return;
        }
        let (token, asked) = kit.cx().expect("the HSS is told");
        let Request::MultimediaAuth(mar) = asked else {
            panic!("{asked:?}");
        };
        let told = mar.sip_auth_data_item.authorization.expect("RAND and AUTS");
        let expected: Vec<u8> = (0..16).chain([0xaa; 14]).collect();
        assert_eq!(told, expected);
        kit.answer_cx(token, maa());
        kit.response(401);
        kit.receive(PCSCF, &mut ue.draft(3600));
    }
}

#[test]
fn each_registration_is_told_to_the_hss_as_what_it_is() {
    let (mut kit, mut ue) = registered();
    let mut expect = |draft: &mut Draft, kind, left: usize| {
        kit.receive(PCSCF, draft);
        let (token, sar) = assignment(&mut kit);
        assert_eq!(sar.server_assignment_type, kind);
        kit.answer_cx(token, assigned("alice@ims.test", &ALICE));
        let accepted = kit.response(200);
        assert_eq!(accepted.contacts().count(), left);
        assert_eq!(kit.entity.contacts(), left);
    };
    let again = ServerAssignmentType::ReRegistration;
    let ends = ServerAssignmentType::UserDeregistration;
    expect(&mut ue.draft(600), again, 1);
    let second = "<sip:alice@192.0.2.102>;expires=600";
    expect(ue.draft(600).replace(HeaderName::Contact, second), again, 2);
    let ended = "<sip:alice@192.0.2.102>;expires=0";
    expect(ue.draft(600).replace(HeaderName::Contact, ended), again, 1);
    let mut all = ue.draft(0);
    all.replace(HeaderName::Contact, "*")
        .append(HeaderName::Expires, "0");
    expect(&mut all, ends, 0);
    assert_eq!(kit.entity.registrations(), 0);
}

#[test]
fn contacts_are_listed_without_the_hss() {
    let (mut kit, mut ue) = registered();
    kit.run_for(Duration::from_secs(600));
    let mut draft = ue.draft(0);
    let listed = refused(&mut kit, draft.remove_all(HeaderName::Contact));
    assert_eq!(listed.status(), Some(200));
    let contact = "<sip:alice@192.0.2.101:5060>;expires=3000";
    assert_eq!(values(&listed, HeaderName::Contact), [contact]);
}

#[test]
fn a_register_that_makes_no_sense_is_refused_before_anybody_is_asked() {
    type Change = fn(&mut Draft) -> &mut Draft;
    let cases: [(Change, u16); 8] = [
        (|draft| draft.append(HeaderName::Require, "teleport"), 420),
        (|draft| draft.append(HeaderName::Expires, "soon"), 400),
        (|draft| draft.replace(HeaderName::Contact, "<sip:"), 400),
        (|draft| draft.replace(HeaderName::Contact, "*"), 400),
        (
            |draft| {
                draft
                    .append(HeaderName::Contact, "*")
                    .append(HeaderName::Expires, "0")
            },
            400,
        ),
        (
            |draft| draft.replace(HeaderName::Contact, "<sip:a@b>;expires=59"),
            423,
        ),
        (
            |draft| draft.append(HeaderName::Authorization, "Digest username"),
            400,
        ),
        (|draft| draft.replace(HeaderName::MaxForwards, "0"), 483),
    ];
    for (change, status) in cases {
        let (mut kit, mut ue) = (kit(), Ue::new("alice", "192.0.2.101:5060"));
        let response = refused(&mut kit, change(&mut ue.draft(3600)));
        assert_eq!(response.status(), Some(status), "{}", response.to_text());
        match status {
            420 => assert_eq!(response.header(HeaderName::Unsupported), Some("teleport")),
            423 => assert_eq!(response.min_expires(), Ok(Some(60))),
            _ => {}
        }
    }
}

#[test]
fn a_register_that_was_overtaken_changes_nothing() {
    let (mut kit, mut ue) = registered();
    let mut old = ue.draft(0);
    old.replace(HeaderName::CSeq, "2 REGISTER");
    assert_eq!(refused(&mut kit, &mut old).status(), Some(500));
    assert_eq!(kit.entity.contacts(), 1);
}

#[test]
fn a_user_has_so_many_contacts_and_the_registrar_so_many_users() {
    let new =
        |_: &_, stack: &crate::stack::Stack| Scscf::new(stack.addresses().uri(Role::Scscf, "", 0));
    let limits = |file: &mut crate::config::ControlFile| {
        file.limits = Some(crate::config::LimitsFile {
            contacts_max: Some(1),
            registrations_max: Some(1),
            ..Default::default()
        });
    };
    let mut kit = Kit::with(limits, new);
    let mut first = Ue::new("alice", "192.0.2.101:5060");
    first.register(&mut kit, 3600);
    let mut second = Ue::new("alice", "192.0.2.102:5060");
    second.challenge(&mut kit, 3600);
    assert_eq!(
        refused(&mut kit, &mut second.draft(3600)).status(),
        Some(403)
    );
    let mut other = Ue::new("bob", "192.0.2.103:5060");
    other.challenge(&mut kit, 3600);
    assert_eq!(
        refused(&mut kit, &mut other.draft(3600)).status(),
        Some(503)
    );
    // What is there may be renewed and moved.
    first.register(&mut kit, 3600);
}

#[test]
fn what_the_hss_refuses_has_its_status() {
    for (outcome, status) in [
        (Outcome::UserUnknown, 403),
        (Outcome::IdentitiesDontMatch, 403),
        (Outcome::AuthSchemeNotSupported, 403),
        (Outcome::UNABLE_TO_DELIVER, 504),
        (Outcome::Base(ResultCode::TOO_BUSY), 503),
        (Outcome::Base(ResultCode::UNABLE_TO_COMPLY), 480),
    ] {
        let (mut kit, mut ue) = (kit(), Ue::new("alice", "192.0.2.101:5060"));
        kit.receive(PCSCF, &mut ue.draft(3600));
        let (token, asked) = kit.cx().expect("a vector is asked for");
        kit.answer_cx(token, asked.answer(outcome));
        kit.response(status);
        ue.challenge(&mut kit, 3600);
        kit.receive(PCSCF, &mut ue.draft(3600));
        let (token, _) = assignment(&mut kit);
        kit.answer_cx(token, Answer::ServerAssignment(Saa::from(outcome)));
        kit.response(status);
        assert_eq!(kit.entity.contacts(), 0);
    }
}

#[test]
fn a_profile_that_is_no_use_registers_nobody() {
    for data in [
        None,
        Some(b"<IMS".to_vec()),
        Some(profile("x", &["sip:other@ims.test"])),
    ] {
        let (mut kit, mut ue) = (kit(), Ue::new("alice", "192.0.2.101:5060"));
        ue.challenge(&mut kit, 3600);
        kit.receive(PCSCF, &mut ue.draft(3600));
        let (token, _) = assignment(&mut kit);
        let saa = Saa {
            user_data: data,
            ..Saa::from(Outcome::SUCCESS)
        };
        kit.answer_cx(token, Answer::ServerAssignment(saa));
        kit.response(500);
        assert_eq!(kit.entity.registrations(), 0);
    }
}

#[test]
fn contacts_expire_each_in_its_time_and_the_last_takes_the_set_with_it() {
    let (mut kit, _) = registered();
    Ue::new("alice", "192.0.2.102:5060").register(&mut kit, 600);
    assert_eq!(kit.entity.contacts(), 2);
    kit.run_for(Duration::from_secs(600));
    assert_eq!(kit.entity.contacts(), 1);
    assert!(kit.cx().is_none(), "the user is registered still");
    kit.run_for(Duration::from_secs(3000));
    assert_eq!(kit.entity.registrations(), 0);
    assert_told(&mut kit, ServerAssignmentType::TimeoutDeregistration);
    assert_eq!(kit.counter(Counter::RegistrationExpired), 2);
}

#[test]
fn a_set_whose_last_contact_expires_while_another_is_ended_is_no_more() {
    let (mut kit, mut first) = registered();
    let mut second = Ue::new("alice", "192.0.2.102:5060");
    second.register(&mut kit, 600);
    kit.run_for(Duration::from_secs(599));
    kit.receive(PCSCF, &mut first.draft(0));
    let (token, sar) = assignment(&mut kit);
    let again = ServerAssignmentType::ReRegistration;
    assert_eq!(sar.server_assignment_type, again);
    kit.run_for(Duration::from_secs(1));
    kit.answer_cx(token, assigned("alice@ims.test", &ALICE));
    let accepted = kit.response(200);
    assert_eq!(accepted.contacts().count(), 0);
    assert_told(&mut kit, ServerAssignmentType::UserDeregistration);
    assert_eq!(kit.entity.registrations(), 0);
}

#[test]
fn the_hss_ends_the_sets_it_names_and_no_others() {
    let rtr = |impi: &str, identities: &[&str]| {
        Request::RegistrationTermination(diameter::cx::Rtr {
            user_name: impi.into(),
            associated_identities: Vec::new(),
            public_identities: identities.iter().map(|uri| (*uri).to_owned()).collect(),
            deregistration_reason: diameter::cx::DeregistrationReason {
                code: ReasonCode::PermanentTermination,
                info: None,
            },
            supported_features: Vec::new(),
        })
    };
    let (mut kit, _) = registered();
    Ue::new("bob", "192.0.2.102:5060").register(&mut kit, 3600);
    for (impi, identities, left) in [
        ("carol@ims.test", &[][..], 2),
        ("alice@ims.test", &["sip:bob@ims.test"][..], 2),
        ("alice@ims.test", &["tel:+15550100"][..], 1),
        ("bob@ims.test", &[][..], 0),
    ] {
        let answer = kit.ask_cx(rtr(impi, identities));
        assert_eq!(answer.outcome(), Outcome::SUCCESS);
        assert_eq!(kit.entity.contacts(), left, "{impi} {identities:?}");
    }
    let uar = Request::UserAuthorization(diameter::cx::Uar::default());
    let answer = kit.ask_cx(uar);
    assert_eq!(
        answer.outcome(),
        Outcome::Base(ResultCode::COMMAND_UNSUPPORTED)
    );
}
