//! One of every Cx command with every field in use.

use base::Instant;
use diameter::cx::*;
use diameter::{Origin, ReplyTo, ResultCode};

pub const IMPI: &str = "001010000000001@ims.mnc001.mcc001.3gppnetwork.org";
pub const IMPU: &str = "sip:alice@ims.mnc001.mcc001.3gppnetwork.org";
pub const SCSCF: &str = "sip:scscf1.ims.test:5060";

pub fn text(text: &str) -> Option<String> {
    Some(text.to_owned())
}

pub fn envelope() -> Envelope {
    Envelope {
        session_id: "scscf1.ims.test;1700000000;7".to_owned(),
        origin: Origin {
            host: "scscf1.ims.test".to_owned(),
            realm: "ims.test".to_owned(),
        },
        destination_host: text("hss1.ims.test"),
        destination_realm: "ims.test".to_owned(),
    }
}

pub fn hss() -> Origin {
    Origin {
        host: "hss1.ims.test".to_owned(),
        realm: "ims.test".to_owned(),
    }
}

pub fn features() -> Vec<SupportedFeatures> {
    vec![
        SupportedFeatures {
            required: true,
            ..SupportedFeatures::list1(SupportedFeatures::SIFC)
        },
        SupportedFeatures::list1(SupportedFeatures::ALIAS_IND),
    ]
}

fn capabilities() -> Option<ServerCapabilities> {
    Some(ServerCapabilities {
        mandatory: vec![1, 2],
        optional: vec![7],
        server_names: vec![SCSCF.to_owned()],
    })
}

fn charging() -> Option<ChargingInformation> {
    Some(ChargingInformation {
        primary_ecf: text("aaa://ocs1.ims.test:3868;transport=tcp;protocol=diameter"),
        secondary_ecf: text("aaa://ocs2.ims.test:3868;transport=tcp;protocol=diameter"),
        primary_ccf: text("aaa://cdf1.ims.test:3868;transport=tcp;protocol=diameter"),
        secondary_ccf: text("aaa://cdf2.ims.test:3868;transport=tcp;protocol=diameter"),
    })
}

fn subscription(record_route: Option<&str>) -> Option<SubscriptionInfo> {
    Some(SubscriptionInfo {
        call_id: "reg-event-1@ue".to_owned(),
        from: "<sip:alice@ims.test>;tag=a".to_owned(),
        to: "<sip:alice@ims.test>;tag=b".to_owned(),
        record_route: record_route.map(str::to_owned),
        contact: "<sip:alice@192.0.2.1>".to_owned(),
    })
}

fn restoration() -> ScscfRestorationInfo {
    ScscfRestorationInfo {
        user_name: IMPI.to_owned(),
        restoration_info: vec![RestorationInfo {
            path: "<sip:pcscf.ims.test;lr>".to_owned(),
            contact: "<sip:alice@192.0.2.1>;expires=600000".to_owned(),
            initial_cseq: Some(2),
            call_id: text("register-1@ue"),
            subscription_info: subscription(Some("<sip:scscf1.ims.test;lr>")),
            pcscf_subscription_info: subscription(None),
        }],
        registration_time_out: Some(Instant::from_secs(1_700_600_000)),
        scheme: Some(AuthScheme::DigestAkaV1Md5),
    }
}

pub fn aka_vector(number: u32) -> SipAuthDataItem {
    SipAuthDataItem {
        item_number: Some(number),
        scheme: Some(AuthScheme::DigestAkaV1Md5),
        authenticate: Some((0..32).collect()),
        authorization: Some((32..40).collect()),
        confidentiality_key: Some([0xc1; 16]),
        integrity_key: Some([0x1c; 16]),
        ..SipAuthDataItem::default()
    }
}

fn digest_item() -> SipAuthDataItem {
    SipAuthDataItem {
        item_number: Some(3),
        scheme: Some(AuthScheme::SipDigest),
        authentication_context: Some(b"context".to_vec()),
        digest_authenticate: Some(SipDigestAuthenticate {
            realm: "ims.test".to_owned(),
            algorithm: text("MD5"),
            qop: text("auth"),
            ha1: "939e7578ed9e3c518a452acee763bce9".to_owned(),
            alternate_algorithm: text("SHA-256"),
            alternate_ha1: text(&"7".repeat(64)),
        }),
        framed_ip_address: Some([192, 0, 2, 1]),
        framed_ipv6_prefix: Some(vec![0, 64, 0x20, 1, 0x0d, 0xb8, 0, 0, 0, 1]),
        framed_interface_id: Some(0x0200_5eff_fe00_5301),
        line_identifiers: vec![b"line 1".to_vec(), b"line 2".to_vec()],
        ..SipAuthDataItem::default()
    }
}

pub fn requests() -> Vec<Request> {
    vec![
        Request::UserAuthorization(Uar {
            user_name: IMPI.to_owned(),
            public_identity: IMPU.to_owned(),
            visited_network_identifier: "visited.test".to_owned(),
            user_authorization_type: UserAuthorizationType::RegistrationAndCapabilities,
            emergency_registration: true,
            supported_features: features(),
        }),
        Request::ServerAssignment(Sar {
            user_name: text(IMPI),
            public_identities: vec![IMPU.to_owned(), "tel:+15550100".to_owned()],
            wildcarded_public_identity: text("sip:!.*!@ims.test"),
            server_name: SCSCF.to_owned(),
            server_assignment_type: ServerAssignmentType::UserDeregistrationStoreServerName,
            user_data_already_available: true,
            scscf_restoration_info: Some(restoration()),
            multiple_registration: true,
            session_priority: Some(SessionPriority::Priority1),
            pcscf_restoration: true,
            supported_features: features(),
        }),
        Request::LocationInfo(Lir {
            public_identity: "tel:+15550100".to_owned(),
            originating_request: true,
            user_authorization_type: Some(UserAuthorizationType::RegistrationAndCapabilities),
            session_priority: Some(SessionPriority::Priority4),
            supported_features: features(),
        }),
        Request::MultimediaAuth(Mar {
            user_name: IMPI.to_owned(),
            public_identity: IMPU.to_owned(),
            sip_auth_data_item: SipAuthDataItem {
                scheme: Some(AuthScheme::DigestAkaV1Md5),
                authorization: Some((0..30).collect()),
                ..SipAuthDataItem::default()
            },
            sip_number_auth_items: 3,
            server_name: SCSCF.to_owned(),
            supported_features: features(),
        }),
        Request::RegistrationTermination(Rtr {
            user_name: IMPI.to_owned(),
            associated_identities: vec!["other@ims.test".to_owned()],
            public_identities: vec![IMPU.to_owned()],
            deregistration_reason: DeregistrationReason {
                code: ReasonCode::NewServerAssigned,
                info: text("moved"),
            },
            supported_features: features(),
        }),
        Request::PushProfile(Ppr {
            user_name: IMPI.to_owned(),
            user_data: Some(b"<IMSSubscription/>".to_vec()),
            charging_information: charging(),
            sip_auth_data_item: Some(digest_item()),
            supported_features: features(),
        }),
    ]
}

pub fn answers() -> Vec<Answer> {
    vec![
        Answer::UserAuthorization(Uaa {
            server_name: text(SCSCF),
            server_capabilities: capabilities(),
            supported_features: features(),
            ..Uaa::from(Outcome::FirstRegistration)
        }),
        Answer::ServerAssignment(Saa {
            user_name: text(IMPI),
            user_data: Some(b"<IMSSubscription/>".to_vec()),
            charging_information: charging(),
            associated_identities: vec![IMPI.to_owned(), "other@ims.test".to_owned()],
            associated_registered_identities: vec![IMPI.to_owned()],
            loose_route: true,
            scscf_restoration_info: vec![restoration(), restoration()],
            server_name: text(SCSCF),
            wildcarded_public_identity: text("sip:!.*!@ims.test"),
            priviledged_sender: true,
            supported_features: features(),
            ..Saa::from(Outcome::SUCCESS)
        }),
        Answer::LocationInfo(Lia {
            server_name: text(SCSCF),
            server_capabilities: capabilities(),
            wildcarded_public_identity: text("sip:!.*!@ims.test"),
            psi_direct_routing: true,
            supported_features: features(),
            ..Lia::from(Outcome::UnregisteredService)
        }),
        Answer::MultimediaAuth(Maa {
            user_name: text(IMPI),
            public_identity: text(IMPU),
            sip_number_auth_items: Some(3),
            sip_auth_data_items: vec![aka_vector(1), aka_vector(2), digest_item()],
            supported_features: features(),
            ..Maa::from(Outcome::SUCCESS)
        }),
        Answer::RegistrationTermination(Rta {
            associated_identities: vec!["other@ims.test".to_owned()],
            emergency_registrations: vec![(IMPI.to_owned(), IMPU.to_owned())],
            supported_features: features(),
            ..Rta::from(Outcome::Base(ResultCode::LIMITED_SUCCESS))
        }),
        Answer::PushProfile(Ppa {
            supported_features: features(),
            ..Ppa::from(Outcome::Experimental {
                vendor: 13_019,
                code: 5555,
            })
        }),
    ]
}

/// The request and answer of each command as messages, with the identifiers an endpoint would set.
pub fn messages() -> Vec<Vec<u8>> {
    let mut messages = Vec::new();
    for (index, (request, answer)) in requests().iter().zip(answers()).enumerate() {
        let mut request = request.to_message(&envelope()).unwrap();
        request[12..16].copy_from_slice(&(0x1000 + index as u32).to_be_bytes());
        request[16..20].copy_from_slice(&(0x2000 + index as u32).to_be_bytes());
        let reply_to = ReplyTo::salvage(&request).unwrap();
        messages.push(request);
        messages.push(answer.to_message(&reply_to, &hss()).unwrap());
    }
    messages
}
