//! User-Data (TS 29.228 Annex B and E): the user profile the HSS hands to the S-CSCF, an XML
//! document.

mod read;
mod tree;
mod write;

use std::fmt;

use crate::cx::values::enumerated;

/// Why a document is refused: DIAMETER_ERROR_NOT_SUPPORTED_USER_DATA.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Error {
    /// Not well-formed XML in UTF-8, or with a document type, at this octet.
    Malformed {
        /// Octets read before the fault was seen.
        offset: usize,
    },
    /// This element is required and absent.
    Missing(&'static str),
    /// The text of this element is out of its range.
    Value(&'static str),
    /// A named maximum: [`ELEMENTS_MAX`] or [`DEPTH_MAX`].
    Limit(&'static str),
}

/// Elements in one document.
pub const ELEMENTS_MAX: usize = 16_384;

/// Elements inside one another; the specification nests eight.
pub const DEPTH_MAX: usize = 32;

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{self:?}")
    }
}

impl std::error::Error for Error {}

/// IMSSubscription: the root of the document.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ImsSubscription {
    /// PrivateID: the IMPI.
    pub private_id: String,
    /// ServiceProfile, at least one.
    pub service_profiles: Vec<ServiceProfile>,
}

/// ServiceProfile: identities that share services.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ServiceProfile {
    /// PublicIdentity, at least one; the first not barred is the default IMPU.
    pub public_identities: Vec<PublicIdentity>,
    /// CoreNetworkServicesAuthorization/SubscribedMediaProfileId.
    pub subscribed_media_profile_id: Option<u32>,
    /// InitialFilterCriteria as listed; the S-CSCF sorts by priority.
    pub initial_filter_criteria: Vec<InitialFilterCriteria>,
    /// Extension/SharedIFCSetID.
    pub shared_ifc_set_ids: Vec<u32>,
}

/// PublicIdentity: an IMPU or a PSI.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct PublicIdentity {
    /// Identity: a SIP or tel URI.
    pub identity: String,
    /// BarringIndication: not to be used in calls.
    pub barred: bool,
    /// Extension/IdentityType; absent means distinct IMPU.
    pub identity_type: IdentityType,
    /// Extension/WildcardedPSI or WildcardedIMPU: the wildcard that `identity` matched.
    pub wildcard: Option<String>,
    /// DisplayName.
    pub display_name: Option<String>,
    /// AliasIdentityGroupID.
    pub alias_identity_group_id: Option<String>,
    /// ServicePriorityLevel, 0 the highest.
    pub service_priority_level: Option<u32>,
}

enumerated! {
    /// IdentityType, TS 29.228 Annex E.
    #[derive(Default)]
    IdentityType {
        /// A distinct IMPU.
        #[default]
        DistinctImpu = 0,
        /// A distinct PSI.
        DistinctPsi = 1,
        /// A wildcarded PSI.
        WildcardedPsi = 2,
        /// A non-distinct IMPU: one that a wildcarded IMPU covers.
        NonDistinctImpu = 3,
        /// A wildcarded IMPU.
        WildcardedImpu = 4,
    }
}

/// InitialFilterCriteria: which requests go to which application server.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct InitialFilterCriteria {
    /// Priority: 0 is tried first.
    pub priority: u32,
    /// TriggerPoint; none matches every request.
    pub trigger_point: Option<TriggerPoint>,
    /// ApplicationServer.
    pub application_server: ApplicationServer,
    /// ProfilePartIndicator; none holds whether the user is registered or not.
    pub profile_part_indicator: Option<ProfilePartIndicator>,
}

enumerated! {
    /// ProfilePartIndicator.
    ProfilePartIndicator {
        /// Only while the user is registered.
        Registered = 0,
        /// Only while the user is not registered.
        Unregistered = 1,
    }
}

/// TriggerPoint: a logical expression of service point triggers.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct TriggerPoint {
    /// ConditionTypeCNF: true is an AND of groups that are ORs, false an OR of groups that are
    /// ANDs.
    pub condition_type_cnf: bool,
    /// SPT.
    pub triggers: Vec<ServicePointTrigger>,
}

/// SPT: one condition of a trigger point.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ServicePointTrigger {
    /// ConditionNegated.
    pub negated: bool,
    /// Group: the groups of the expression this condition stands in.
    pub groups: Vec<u32>,
    /// What is compared.
    pub condition: Condition,
    /// Extension/RegistrationType: for REGISTER only; none means any.
    pub registration_types: Vec<RegistrationType>,
}

/// What a service point trigger compares.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Condition {
    /// RequestURI: regular expression or text.
    RequestUri(String),
    /// Method.
    Method(String),
    /// SIPHeader: the header is there and, if given, its content matches.
    SipHeader {
        /// Header: regular expression over the name.
        header: String,
        /// Content: regular expression over the value.
        content: Option<String>,
    },
    /// SessionCase.
    SessionCase(SessionCase),
    /// SessionDescription: a line of the SDP is there and, if given, its content matches.
    SessionDescription {
        /// Line: regular expression over the type.
        line: String,
        /// Content: regular expression over the value.
        content: Option<String>,
    },
}

enumerated! {
    /// SessionCase (direction of the request).
    SessionCase {
        /// ORIGINATING_REGISTERED.
        Originating = 0,
        /// TERMINATING_REGISTERED.
        TerminatingRegistered = 1,
        /// TERMINATING_UNREGISTERED.
        TerminatingUnregistered = 2,
        /// ORIGINATING_UNREGISTERED.
        OriginatingUnregistered = 3,
        /// ORIGINATING_CDIV: after call diversion.
        OriginatingCdiv = 4,
    }
}

enumerated! {
    /// RegistrationType.
    RegistrationType {
        /// INITIAL_REGISTRATION.
        Initial = 0,
        /// RE-REGISTRATION.
        ReRegistration = 1,
        /// DE-REGISTRATION.
        DeRegistration = 2,
    }
}

/// ApplicationServer: where a matching request goes.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ApplicationServer {
    /// ServerName: SIP URI.
    pub server_name: String,
    /// DefaultHandling when the server is not reached; absent means SESSION_CONTINUED.
    pub default_handling: DefaultHandling,
    /// ServiceInfo: carried to the server in third-party REGISTER.
    pub service_info: Option<String>,
    /// Extension/IncludeRegisterRequest.
    pub include_register_request: bool,
    /// Extension/IncludeRegisterResponse.
    pub include_register_response: bool,
}

enumerated! {
    /// DefaultHandling.
    #[derive(Default)]
    DefaultHandling {
        /// SESSION_CONTINUED.
        #[default]
        SessionContinued = 0,
        /// SESSION_TERMINATED.
        SessionTerminated = 1,
    }
}
