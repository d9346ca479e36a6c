//! Cx and Dx, TS 29.229 6.1 (commands) and 6.3 (AVPs, flag rules of release 19).

use super::AvpKind::{DiameterUri, Enumerated, Grouped, OctetString, Time, Unsigned32, Utf8String};
use super::base::{
    AUTH_SESSION_STATE, DESTINATION_HOST, DESTINATION_REALM, DIGEST_ALGORITHM, DIGEST_HA1,
    DIGEST_QOP, DIGEST_REALM, DRMP, EXPERIMENTAL_RESULT, FAILED_AVP, FRAMED_INTERFACE_ID,
    FRAMED_IP_ADDRESS, FRAMED_IPV6_PREFIX, ORIGIN_HOST, ORIGIN_REALM, PROXY_INFO, RESULT_CODE,
    ROUTE_RECORD, SESSION_ID, USER_NAME, VENDOR_ID, VENDOR_SPECIFIC_APPLICATION_ID,
};
use super::{AvpDef, CommandDef, Dictionary, MandatoryBit, Rule, any, avps, one, optional, some};

/// Cx/Dx application identifier, TS 29.229 5.3.
pub const APPLICATION_ID: u32 = 16_777_216;
/// Vendor identifier of 3GPP.
pub const VENDOR_3GPP: u32 = 10_415;
/// Vendor identifier of ETSI.
pub const VENDOR_ETSI: u32 = 13_019;

/// User-Authorization.
pub const USER_AUTHORIZATION: u32 = 300;
/// Server-Assignment.
pub const SERVER_ASSIGNMENT: u32 = 301;
/// Location-Info.
pub const LOCATION_INFO: u32 = 302;
/// Multimedia-Auth.
pub const MULTIMEDIA_AUTH: u32 = 303;
/// Registration-Termination.
pub const REGISTRATION_TERMINATION: u32 = 304;
/// Push-Profile.
pub const PUSH_PROFILE: u32 = 305;

/// Cx and Dx.
pub static DICTIONARY: Dictionary = Dictionary {
    application: APPLICATION_ID,
    vendor: Some(VENDOR_3GPP),
    commands: COMMANDS,
    avps: &[AVPS_3GPP, AVPS_ETSI],
};

avps! {
    AVPS_3GPP, vendor VENDOR_3GPP;
    VISITED_NETWORK_IDENTIFIER = 600 "Visited-Network-Identifier" OctetString, Must;
    PUBLIC_IDENTITY = 601 "Public-Identity" Utf8String, Must;
    SERVER_NAME = 602 "Server-Name" Utf8String, Must;
    SERVER_CAPABILITIES = 603 "Server-Capabilities"
        Grouped(&[any(&MANDATORY_CAPABILITY), any(&OPTIONAL_CAPABILITY), any(&SERVER_NAME)]), Must;
    MANDATORY_CAPABILITY = 604 "Mandatory-Capability" Unsigned32, Must;
    OPTIONAL_CAPABILITY = 605 "Optional-Capability" Unsigned32, Must;
    USER_DATA = 606 "User-Data" OctetString, Must;
    SIP_NUMBER_AUTH_ITEMS = 607 "SIP-Number-Auth-Items" Unsigned32, Must;
    SIP_AUTHENTICATION_SCHEME = 608 "SIP-Authentication-Scheme" Utf8String, Must;
    SIP_AUTHENTICATE = 609 "SIP-Authenticate" OctetString, Must;
    SIP_AUTHORIZATION = 610 "SIP-Authorization" OctetString, Must;
    SIP_AUTHENTICATION_CONTEXT = 611 "SIP-Authentication-Context" OctetString, Must;
    SIP_AUTH_DATA_ITEM = 612 "SIP-Auth-Data-Item" Grouped(SIP_AUTH_DATA_ITEM_RULES), Must;
    SIP_ITEM_NUMBER = 613 "SIP-Item-Number" Unsigned32, Must;
    SERVER_ASSIGNMENT_TYPE = 614 "Server-Assignment-Type" Enumerated, Must;
    DEREGISTRATION_REASON = 615 "Deregistration-Reason"
        Grouped(&[one(&REASON_CODE), optional(&REASON_INFO)]), Must;
    REASON_CODE = 616 "Reason-Code" Enumerated, Must;
    REASON_INFO = 617 "Reason-Info" Utf8String, Must;
    CHARGING_INFORMATION = 618 "Charging-Information"
        Grouped(&[
            optional(&PRIMARY_EVENT_CHARGING_FUNCTION_NAME),
            optional(&SECONDARY_EVENT_CHARGING_FUNCTION_NAME),
            optional(&PRIMARY_CHARGING_COLLECTION_FUNCTION_NAME),
            optional(&SECONDARY_CHARGING_COLLECTION_FUNCTION_NAME),
        ]), Must;
    PRIMARY_EVENT_CHARGING_FUNCTION_NAME = 619 "Primary-Event-Charging-Function-Name"
        DiameterUri, Must;
    SECONDARY_EVENT_CHARGING_FUNCTION_NAME = 620 "Secondary-Event-Charging-Function-Name"
        DiameterUri, Must;
    PRIMARY_CHARGING_COLLECTION_FUNCTION_NAME = 621 "Primary-Charging-Collection-Function-Name"
        DiameterUri, Must;
    SECONDARY_CHARGING_COLLECTION_FUNCTION_NAME = 622 "Secondary-Charging-Collection-Function-Name"
        DiameterUri, Must;
    USER_AUTHORIZATION_TYPE = 623 "User-Authorization-Type" Enumerated, Must;
    USER_DATA_ALREADY_AVAILABLE = 624 "User-Data-Already-Available" Enumerated, Must;
    CONFIDENTIALITY_KEY = 625 "Confidentiality-Key" OctetString, Must;
    INTEGRITY_KEY = 626 "Integrity-Key" OctetString, Must;
    SUPPORTED_FEATURES = 628 "Supported-Features"
        Grouped(&[one(&VENDOR_ID), one(&FEATURE_LIST_ID), one(&FEATURE_LIST)]), May;
    FEATURE_LIST_ID = 629 "Feature-List-ID" Unsigned32, MustNot;
    FEATURE_LIST = 630 "Feature-List" Unsigned32, MustNot;
    ASSOCIATED_IDENTITIES = 632 "Associated-Identities" Grouped(&[any(&USER_NAME)]), MustNot;
    ORIGINATING_REQUEST = 633 "Originating-Request" Enumerated, Must;
    WILDCARDED_PUBLIC_IDENTITY = 634 "Wildcarded-Public-Identity" Utf8String, MustNot;
    SIP_DIGEST_AUTHENTICATE = 635 "SIP-Digest-Authenticate"
        Grouped(&[
            one(&DIGEST_REALM),
            optional(&DIGEST_ALGORITHM),
            optional(&DIGEST_QOP),
            one(&DIGEST_HA1),
            optional(&ALTERNATE_DIGEST_ALGORITHM),
            optional(&ALTERNATE_DIGEST_HA1),
        ]), MustNot;
    WILDCARDED_IMPU = 636 "Wildcarded-IMPU" Utf8String, MustNot;
    UAR_FLAGS = 637 "UAR-Flags" Unsigned32, MustNot;
    LOOSE_ROUTE_INDICATION = 638 "Loose-Route-Indication" Enumerated, MustNot;
    SCSCF_RESTORATION_INFO = 639 "SCSCF-Restoration-Info"
        Grouped(&[
            one(&USER_NAME),
            some(&RESTORATION_INFO),
            optional(&REGISTRATION_TIME_OUT),
            optional(&SIP_AUTHENTICATION_SCHEME),
        ]), MustNot;
    PATH = 640 "Path" OctetString, MustNot;
    CONTACT = 641 "Contact" OctetString, MustNot;
    SUBSCRIPTION_INFO = 642 "Subscription-Info"
        Grouped(&[
            one(&CALL_ID_SIP_HEADER),
            one(&FROM_SIP_HEADER),
            one(&TO_SIP_HEADER),
            one(&RECORD_ROUTE),
            one(&CONTACT),
        ]), MustNot;
    CALL_ID_SIP_HEADER = 643 "Call-ID-SIP-Header" OctetString, MustNot;
    FROM_SIP_HEADER = 644 "From-SIP-Header" OctetString, MustNot;
    TO_SIP_HEADER = 645 "To-SIP-Header" OctetString, MustNot;
    RECORD_ROUTE = 646 "Record-Route" OctetString, MustNot;
    ASSOCIATED_REGISTERED_IDENTITIES = 647 "Associated-Registered-Identities"
        Grouped(&[any(&USER_NAME)]), MustNot;
    MULTIPLE_REGISTRATION_INDICATION = 648 "Multiple-Registration-Indication" Enumerated, MustNot;
    RESTORATION_INFO = 649 "Restoration-Info"
        Grouped(&[
            one(&PATH),
            one(&CONTACT),
            optional(&INITIAL_CSEQ_SEQUENCE_NUMBER),
            optional(&CALL_ID_SIP_HEADER),
            optional(&SUBSCRIPTION_INFO),
            optional(&PCSCF_SUBSCRIPTION_INFO),
        ]), MustNot;
    SESSION_PRIORITY = 650 "Session-Priority" Enumerated, MustNot;
    IDENTITY_WITH_EMERGENCY_REGISTRATION = 651 "Identity-with-Emergency-Registration"
        Grouped(&[one(&USER_NAME), one(&PUBLIC_IDENTITY)]), MustNot;
    PRIVILEDGED_SENDER_INDICATION = 652 "Priviledged-Sender-Indication" Enumerated, MustNot;
    LIA_FLAGS = 653 "LIA-Flags" Unsigned32, MustNot;
    INITIAL_CSEQ_SEQUENCE_NUMBER = 654 "Initial-CSeq-Sequence-Number" Unsigned32, MustNot;
    SAR_FLAGS = 655 "SAR-Flags" Unsigned32, MustNot;
    RTR_FLAGS = 659 "RTR-Flags" Unsigned32, MustNot;
    PCSCF_SUBSCRIPTION_INFO = 660 "P-CSCF-Subscription-Info"
        Grouped(&[
            one(&CALL_ID_SIP_HEADER),
            one(&FROM_SIP_HEADER),
            one(&TO_SIP_HEADER),
            one(&CONTACT),
        ]), MustNot;
    REGISTRATION_TIME_OUT = 661 "Registration-Time-Out" Time, MustNot;
    ALTERNATE_DIGEST_ALGORITHM = 662 "Alternate-Digest-Algorithm" Utf8String, MustNot;
    ALTERNATE_DIGEST_HA1 = 663 "Alternate-Digest-HA1" Utf8String, MustNot;
}

avps! {
    AVPS_ETSI, vendor VENDOR_ETSI;
    LINE_IDENTIFIER = 500 "Line-Identifier" OctetString, MustNot;
}

static SIP_AUTH_DATA_ITEM_RULES: &[Rule] = &[
    optional(&SIP_ITEM_NUMBER),
    optional(&SIP_AUTHENTICATION_SCHEME),
    optional(&SIP_AUTHENTICATE),
    optional(&SIP_AUTHORIZATION),
    optional(&SIP_AUTHENTICATION_CONTEXT),
    optional(&CONFIDENTIALITY_KEY),
    optional(&INTEGRITY_KEY),
    optional(&SIP_DIGEST_AUTHENTICATE),
    optional(&FRAMED_IP_ADDRESS),
    optional(&FRAMED_IPV6_PREFIX),
    optional(&FRAMED_INTERFACE_ID),
    any(&LINE_IDENTIFIER),
];

/// A request: what all have, then its own.
macro_rules! request {
    ($destination_host:expr; $($rule:expr),* $(,)?) => {
        &[
            one(&SESSION_ID),
            optional(&DRMP),
            one(&VENDOR_SPECIFIC_APPLICATION_ID),
            one(&AUTH_SESSION_STATE),
            one(&ORIGIN_HOST),
            one(&ORIGIN_REALM),
            $destination_host,
            one(&DESTINATION_REALM),
            any(&SUPPORTED_FEATURES),
            $($rule,)*
            any(&PROXY_INFO),
            any(&ROUTE_RECORD),
        ]
    };
}

/// An answer: what all have, then its own.
macro_rules! answer {
    ($($rule:expr),* $(,)?) => {
        &[
            one(&SESSION_ID),
            optional(&DRMP),
            one(&VENDOR_SPECIFIC_APPLICATION_ID),
            optional(&RESULT_CODE),
            optional(&EXPERIMENTAL_RESULT),
            one(&AUTH_SESSION_STATE),
            one(&ORIGIN_HOST),
            one(&ORIGIN_REALM),
            any(&SUPPORTED_FEATURES),
            $($rule,)*
            any(&FAILED_AVP),
            any(&PROXY_INFO),
            any(&ROUTE_RECORD),
        ]
    };
}

static COMMANDS: &[CommandDef] = &[
    CommandDef {
        name: "User-Authorization",
        code: USER_AUTHORIZATION,
        proxiable: true,
        request: request![
            optional(&DESTINATION_HOST);
            one(&USER_NAME),
            one(&PUBLIC_IDENTITY),
            one(&VISITED_NETWORK_IDENTIFIER),
            optional(&USER_AUTHORIZATION_TYPE),
            optional(&UAR_FLAGS),
        ],
        answer: answer![optional(&SERVER_NAME), optional(&SERVER_CAPABILITIES)],
    },
    CommandDef {
        name: "Server-Assignment",
        code: SERVER_ASSIGNMENT,
        proxiable: true,
        request: request![
            optional(&DESTINATION_HOST);
            optional(&USER_NAME),
            any(&PUBLIC_IDENTITY),
            optional(&WILDCARDED_PUBLIC_IDENTITY),
            one(&SERVER_NAME),
            one(&SERVER_ASSIGNMENT_TYPE),
            one(&USER_DATA_ALREADY_AVAILABLE),
            optional(&SCSCF_RESTORATION_INFO),
            optional(&MULTIPLE_REGISTRATION_INDICATION),
            optional(&SESSION_PRIORITY),
            optional(&SAR_FLAGS),
        ],
        answer: answer![
            optional(&USER_NAME),
            optional(&USER_DATA),
            optional(&CHARGING_INFORMATION),
            optional(&ASSOCIATED_IDENTITIES),
            optional(&LOOSE_ROUTE_INDICATION),
            any(&SCSCF_RESTORATION_INFO),
            optional(&ASSOCIATED_REGISTERED_IDENTITIES),
            optional(&SERVER_NAME),
            optional(&WILDCARDED_PUBLIC_IDENTITY),
            optional(&PRIVILEDGED_SENDER_INDICATION),
        ],
    },
    CommandDef {
        name: "Location-Info",
        code: LOCATION_INFO,
        proxiable: true,
        request: request![
            optional(&DESTINATION_HOST);
            optional(&ORIGINATING_REQUEST),
            one(&PUBLIC_IDENTITY),
            optional(&USER_AUTHORIZATION_TYPE),
            optional(&SESSION_PRIORITY),
        ],
        answer: answer![
            optional(&SERVER_NAME),
            optional(&SERVER_CAPABILITIES),
            optional(&WILDCARDED_PUBLIC_IDENTITY),
            optional(&LIA_FLAGS),
        ],
    },
    CommandDef {
        name: "Multimedia-Auth",
        code: MULTIMEDIA_AUTH,
        proxiable: true,
        request: request![
            optional(&DESTINATION_HOST);
            one(&USER_NAME),
            one(&PUBLIC_IDENTITY),
            one(&SIP_AUTH_DATA_ITEM),
            one(&SIP_NUMBER_AUTH_ITEMS),
            one(&SERVER_NAME),
        ],
        answer: answer![
            optional(&USER_NAME),
            optional(&PUBLIC_IDENTITY),
            optional(&SIP_NUMBER_AUTH_ITEMS),
            any(&SIP_AUTH_DATA_ITEM),
        ],
    },
    CommandDef {
        name: "Registration-Termination",
        code: REGISTRATION_TERMINATION,
        proxiable: true,
        request: request![
            one(&DESTINATION_HOST);
            one(&USER_NAME),
            optional(&ASSOCIATED_IDENTITIES),
            any(&PUBLIC_IDENTITY),
            one(&DEREGISTRATION_REASON),
            optional(&RTR_FLAGS),
        ],
        answer: answer![
            optional(&ASSOCIATED_IDENTITIES),
            any(&IDENTITY_WITH_EMERGENCY_REGISTRATION),
        ],
    },
    CommandDef {
        name: "Push-Profile",
        code: PUSH_PROFILE,
        proxiable: true,
        request: request![
            one(&DESTINATION_HOST);
            one(&USER_NAME),
            optional(&USER_DATA),
            optional(&CHARGING_INFORMATION),
            optional(&SIP_AUTH_DATA_ITEM),
        ],
        answer: answer![],
    },
];
