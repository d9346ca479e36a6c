//! User-Data documents, TS 29.228 Annex E.

use base::Entropy;
use diameter::cx::user_data::*;

const TYPICAL: &[u8] = include_bytes!("../testdata/user_data_typical.xml");

fn text(text: &str) -> Option<String> {
    Some(text.to_owned())
}

fn trigger(groups: &[u32], condition: Condition) -> ServicePointTrigger {
    ServicePointTrigger {
        negated: false,
        groups: groups.to_vec(),
        condition,
        registration_types: Vec::new(),
    }
}

/// Every element of the schema in use.
fn full() -> ImsSubscription {
    let conditions = vec![
        ServicePointTrigger {
            registration_types: vec![RegistrationType::Initial, RegistrationType::DeRegistration],
            ..trigger(&[0], Condition::Method("REGISTER".to_owned()))
        },
        ServicePointTrigger {
            negated: true,
            ..trigger(
                &[1, 2],
                Condition::SessionCase(SessionCase::OriginatingCdiv),
            )
        },
        trigger(&[3], Condition::RequestUri("sip:!.*!@ims.test".to_owned())),
        trigger(
            &[4],
            Condition::SipHeader {
                header: "Event".to_owned(),
                content: text(".*<presence> & \"more\"\r\n\t.*"),
            },
        ),
        trigger(
            &[5],
            Condition::SessionDescription {
                line: "m".to_owned(),
                content: None,
            },
        ),
    ];
    let identity = |uri: &str| PublicIdentity {
        identity: uri.to_owned(),
        ..PublicIdentity::default()
    };
    ImsSubscription {
        private_id: "001010000000001@ims.test".to_owned(),
        service_profiles: vec![
            ServiceProfile {
                public_identities: vec![
                    PublicIdentity {
                        barred: true,
                        ..identity("sip:001010000000001@ims.test")
                    },
                    PublicIdentity {
                        display_name: text("Alice Müller & Söhne"),
                        alias_identity_group_id: text("1"),
                        service_priority_level: Some(4),
                        ..identity("sip:alice@ims.test")
                    },
                    PublicIdentity {
                        identity_type: IdentityType::WildcardedPsi,
                        wildcard: text("sip:conf-!.*!@ims.test"),
                        ..identity("sip:conf-1@ims.test")
                    },
                    PublicIdentity {
                        identity_type: IdentityType::NonDistinctImpu,
                        wildcard: text("sip:pbx!.*!@ims.test"),
                        ..identity("sip:pbx7@ims.test")
                    },
                ],
                subscribed_media_profile_id: Some(3),
                initial_filter_criteria: vec![
                    InitialFilterCriteria {
                        priority: 0,
                        trigger_point: Some(TriggerPoint {
                            condition_type_cnf: true,
                            triggers: conditions,
                        }),
                        application_server: ApplicationServer {
                            server_name: "sip:tas.ims.test:5060;lr".to_owned(),
                            default_handling: DefaultHandling::SessionTerminated,
                            service_info: text("<info>1</info>"),
                            include_register_request: true,
                            include_register_response: true,
                        },
                        profile_part_indicator: Some(ProfilePartIndicator::Unregistered),
                    },
                    InitialFilterCriteria::default(),
                ],
                shared_ifc_set_ids: vec![3, 4],
            },
            ServiceProfile {
                public_identities: vec![identity("tel:+15550100")],
                ..ServiceProfile::default()
            },
        ],
    }
}

#[test]
fn a_profile_with_every_element_comes_back_as_it_was() {
    let subscription = full();
    assert_eq!(
        ImsSubscription::parse(&subscription.to_xml()),
        Ok(subscription)
    );
}

#[test]
fn a_document_as_lab_subscriber_servers_write_it_is_understood() {
    let subscription = ImsSubscription::parse(TYPICAL).unwrap();
    assert_eq!(subscription.private_id, "alice@ims.test");
    let profile = &subscription.service_profiles[0];
    assert!(profile.public_identities[0].barred);
    assert_eq!(profile.public_identities[1].display_name, text("Alice"));
    let wildcard = &profile.public_identities[2];
    assert_eq!(wildcard.identity_type, IdentityType::WildcardedPsi);
    assert_eq!(wildcard.wildcard, text("sip:conf!.*!@ims.test"));
    let criteria = &profile.initial_filter_criteria[0];
    let point = criteria.trigger_point.as_ref().unwrap();
    assert!(!point.condition_type_cnf);
    assert_eq!(point.triggers.len(), 2);
    assert_eq!(
        point.triggers[0].condition,
        Condition::Method("PUBLISH".to_owned())
    );
    assert_eq!(
        point.triggers[1].condition,
        Condition::SipHeader {
            header: "Event".to_owned(),
            content: text(".*presence.*"),
        }
    );
    assert_eq!(criteria.application_server.service_info, text("a & b <c>"));
    assert_eq!(criteria.profile_part_indicator, None);
    assert_eq!(profile.shared_ifc_set_ids, [7]);
}

#[test]
fn what_the_schema_requires_is_required() {
    let parse = |document: &str| ImsSubscription::parse(document.as_bytes()).unwrap_err();
    assert_eq!(
        parse("<ServiceProfile/>"),
        Error::Missing("IMSSubscription")
    );
    assert_eq!(
        parse("<IMSSubscription><PrivateID>a</PrivateID></IMSSubscription>"),
        Error::Missing("ServiceProfile")
    );
    let full = String::from_utf8(full().to_xml()).unwrap();
    for (from, to, error) in [
        ("<PrivateID>", "<Private>", Error::Malformed { offset: 0 }),
        ("<Priority>0", "<Priority>-1", Error::Value("Priority")),
        ("<Group>0</Group>", "", Error::Missing("Group")),
        (
            "<Method>REGISTER</Method>",
            "",
            Error::Missing("SPT condition"),
        ),
        (
            "Indication>1",
            "Indication>yes",
            Error::Value("BarringIndication"),
        ),
        ("Case>4", "Case>5", Error::Value("SessionCase")),
        (
            "Type>2</Reg",
            "Type>3</Reg",
            Error::Value("RegistrationType"),
        ),
        (
            "CNF>1</ConditionTypeCNF>",
            "CNF></ConditionTypeCNF>",
            Error::Value("ConditionTypeCNF"),
        ),
    ] {
        assert!(full.contains(from), "{from}");
        let found = parse(&full.replacen(from, to, 1));
        match (found, error) {
            (Error::Malformed { .. }, Error::Malformed { .. }) => {}
            (found, error) => assert_eq!(found, error, "{from} → {to}"),
        }
    }
}

#[test]
fn entities_and_document_types_are_refused() {
    for document in [
        "<!DOCTYPE x [<!ENTITY a \"aaaa\">]><IMSSubscription/>",
        "<IMSSubscription><PrivateID>&a;</PrivateID></IMSSubscription>",
        "<IMSSubscription/><IMSSubscription/>",
        "<IMSSubscription>",
        "",
    ] {
        let error = ImsSubscription::parse(document.as_bytes()).unwrap_err();
        assert!(
            matches!(error, Error::Malformed { .. }),
            "{document}: {error}"
        );
    }
}

#[test]
fn nesting_and_number_of_elements_are_bounded() {
    let deep = "<a>".repeat(100_000);
    let error = ImsSubscription::parse(deep.as_bytes()).unwrap_err();
    assert_eq!(error, Error::Limit("DEPTH_MAX"));
    let wide = format!("<a>{}</a>", "<b/>".repeat(100_000));
    let error = ImsSubscription::parse(wide.as_bytes()).unwrap_err();
    assert_eq!(error, Error::Limit("ELEMENTS_MAX"));
}

#[test]
fn damaged_documents_do_no_harm() {
    let document = full().to_xml();
    for length in 0..document.len() {
        let cut = ImsSubscription::parse(&document[..length]);
        assert!(cut.is_err(), "{length} octets are not a whole document");
    }
    for bit in 0..document.len() * 8 {
        let mut flipped = document.clone();
        flipped[bit / 8] ^= 1 << (bit % 8);
        let _ = ImsSubscription::parse(&flipped);
    }
    let mut entropy = Entropy::from_u64(2);
    for _ in 0..5_000 {
        let mut damaged = document.clone();
        for _ in 0..=entropy.below(8) {
            let at = entropy.below(damaged.len() as u64) as usize;
            damaged[at] = b"<>/&;\"'! \0x"[entropy.below(11) as usize];
        }
        let _ = ImsSubscription::parse(&damaged);
    }
}
