//! Cx and Dx (TS 29.228, TS 29.229): the commands between the I-CSCF, the S-CSCF and the HSS.
//!
//! [`Request`] and [`Answer`] are typed values that know nothing of the wire: entities in one
//! process pass them directly. Between processes `to_message` and `from_message` turn them into
//! Diameter and back.

mod decode;
mod encode;
mod outcome;
pub mod user_data;
mod values;

pub use outcome::Outcome;
pub use values::{
    AuthScheme, ChargingInformation, DeregistrationReason, ReasonCode, RestorationInfo,
    ScscfRestorationInfo, ServerAssignmentType, ServerCapabilities, SessionPriority,
    SipAuthDataItem, SipDigestAuthenticate, SubscriptionInfo, SupportedFeatures,
    UserAuthorizationType,
};

use crate::Origin;
pub use crate::dictionary::cx::{APPLICATION_ID, VENDOR_3GPP};

/// What a request carries for its way: the AVPs of routing and of the Diameter session.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Envelope {
    /// Session-Id: unique for each request, as Cx keeps no Diameter session (TS 29.229 5.2).
    pub session_id: String,
    /// Origin-Host and Origin-Realm.
    pub origin: Origin,
    /// Destination-Host; required for the requests of the HSS.
    pub destination_host: Option<String>,
    /// Destination-Realm.
    pub destination_realm: String,
}

/// A Cx command from its client: the CSCFs send the first four, the HSS the last two.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Request {
    /// User-Authorization-Request: I-CSCF to HSS on REGISTER, TS 29.228 6.1.1.
    UserAuthorization(Uar),
    /// Server-Assignment-Request: S-CSCF to HSS, TS 29.228 6.1.2.
    ServerAssignment(Sar),
    /// Location-Info-Request: I-CSCF to HSS on other requests, TS 29.228 6.1.4.
    LocationInfo(Lir),
    /// Multimedia-Auth-Request: S-CSCF to HSS, TS 29.228 6.3.
    MultimediaAuth(Mar),
    /// Registration-Termination-Request: HSS to S-CSCF, TS 29.228 6.1.3.
    RegistrationTermination(Rtr),
    /// Push-Profile-Request: HSS to S-CSCF, TS 29.228 6.2.1.
    PushProfile(Ppr),
}

/// The answer to the [`Request`] of the same name.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Answer {
    /// User-Authorization-Answer.
    UserAuthorization(Uaa),
    /// Server-Assignment-Answer.
    ServerAssignment(Saa),
    /// Location-Info-Answer.
    LocationInfo(Lia),
    /// Multimedia-Auth-Answer.
    MultimediaAuth(Maa),
    /// Registration-Termination-Answer.
    RegistrationTermination(Rta),
    /// Push-Profile-Answer.
    PushProfile(Ppa),
}

impl Request {
    /// The answer to this request that carries nothing but `outcome`.
    pub fn answer(&self, outcome: Outcome) -> Answer {
        match self {
            Request::UserAuthorization(_) => Answer::UserAuthorization(Uaa::from(outcome)),
            Request::ServerAssignment(_) => Answer::ServerAssignment(Saa::from(outcome)),
            Request::LocationInfo(_) => Answer::LocationInfo(Lia::from(outcome)),
            Request::MultimediaAuth(_) => Answer::MultimediaAuth(Maa::from(outcome)),
            Request::RegistrationTermination(_) => {
                Answer::RegistrationTermination(Rta::from(outcome))
            }
            Request::PushProfile(_) => Answer::PushProfile(Ppa::from(outcome)),
        }
    }
}

impl Answer {
    /// What became of the request.
    pub fn outcome(&self) -> Outcome {
        match self {
            Answer::UserAuthorization(answer) => answer.outcome,
            Answer::ServerAssignment(answer) => answer.outcome,
            Answer::LocationInfo(answer) => answer.outcome,
            Answer::MultimediaAuth(answer) => answer.outcome,
            Answer::RegistrationTermination(answer) => answer.outcome,
            Answer::PushProfile(answer) => answer.outcome,
        }
    }
}

/// User-Authorization-Request, TS 29.229 6.1.1.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Uar {
    /// User-Name: the IMPI.
    pub user_name: String,
    /// Public-Identity: the IMPU being registered.
    pub public_identity: String,
    /// Visited-Network-Identifier.
    pub visited_network_identifier: String,
    /// User-Authorization-Type; absent on the wire means REGISTRATION.
    pub user_authorization_type: UserAuthorizationType,
    /// UAR-Flags bit 0: IMS Emergency Registration.
    pub emergency_registration: bool,
    /// Supported-Features.
    pub supported_features: Vec<SupportedFeatures>,
}

/// User-Authorization-Answer, TS 29.229 6.1.2.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Uaa {
    /// Result-Code or Experimental-Result.
    pub outcome: Outcome,
    /// Server-Name: SIP URI of the assigned S-CSCF.
    pub server_name: Option<String>,
    /// Server-Capabilities, when the I-CSCF has to select.
    pub server_capabilities: Option<ServerCapabilities>,
    /// Supported-Features.
    pub supported_features: Vec<SupportedFeatures>,
}

/// Server-Assignment-Request, TS 29.229 6.1.3.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Sar {
    /// User-Name: the IMPI, where known.
    pub user_name: Option<String>,
    /// Public-Identity: several only on de-registration.
    pub public_identities: Vec<String>,
    /// Wildcarded-Public-Identity the first identity matched.
    pub wildcarded_public_identity: Option<String>,
    /// Server-Name: SIP URI of the S-CSCF that asks.
    pub server_name: String,
    /// Server-Assignment-Type.
    pub server_assignment_type: ServerAssignmentType,
    /// User-Data-Already-Available.
    pub user_data_already_available: bool,
    /// SCSCF-Restoration-Info to be kept by the HSS (TS 23.380).
    pub scscf_restoration_info: Option<ScscfRestorationInfo>,
    /// Multiple-Registration-Indication.
    pub multiple_registration: bool,
    /// Session-Priority.
    pub session_priority: Option<SessionPriority>,
    /// SAR-Flags bit 0: P-CSCF Restoration Indication.
    pub pcscf_restoration: bool,
    /// Supported-Features.
    pub supported_features: Vec<SupportedFeatures>,
}

/// Server-Assignment-Answer, TS 29.229 6.1.4.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Saa {
    /// Result-Code or Experimental-Result.
    pub outcome: Outcome,
    /// User-Name: the IMPI.
    pub user_name: Option<String>,
    /// User-Data: the XML document, see [`user_data`].
    pub user_data: Option<Vec<u8>>,
    /// Charging-Information.
    pub charging_information: Option<ChargingInformation>,
    /// Associated-Identities: all IMPIs of the subscription.
    pub associated_identities: Vec<String>,
    /// Associated-Registered-Identities: the IMPIs registered with the same IMPU.
    pub associated_registered_identities: Vec<String>,
    /// Loose-Route-Indication.
    pub loose_route: bool,
    /// SCSCF-Restoration-Info, one per IMPI.
    pub scscf_restoration_info: Vec<ScscfRestorationInfo>,
    /// Server-Name: the S-CSCF that is assigned, when another one asked.
    pub server_name: Option<String>,
    /// Wildcarded-Public-Identity the identity matched.
    pub wildcarded_public_identity: Option<String>,
    /// Priviledged-Sender-Indication (spelled so).
    pub priviledged_sender: bool,
    /// Supported-Features.
    pub supported_features: Vec<SupportedFeatures>,
}

/// Location-Info-Request, TS 29.229 6.1.5.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Lir {
    /// Public-Identity: the IMPU or PSI.
    pub public_identity: String,
    /// Originating-Request: the identity is that of the originating user.
    pub originating_request: bool,
    /// User-Authorization-Type REGISTRATION_AND_CAPABILITIES when capabilities are asked for.
    pub user_authorization_type: Option<UserAuthorizationType>,
    /// Session-Priority.
    pub session_priority: Option<SessionPriority>,
    /// Supported-Features.
    pub supported_features: Vec<SupportedFeatures>,
}

/// Location-Info-Answer, TS 29.229 6.1.6.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Lia {
    /// Result-Code or Experimental-Result.
    pub outcome: Outcome,
    /// Server-Name: SIP URI of the S-CSCF, or of the AS that serves a PSI directly.
    pub server_name: Option<String>,
    /// Server-Capabilities, when the I-CSCF has to select.
    pub server_capabilities: Option<ServerCapabilities>,
    /// Wildcarded-Public-Identity the identity matched.
    pub wildcarded_public_identity: Option<String>,
    /// LIA-Flags bit 0: PSI Direct Routing Indication.
    pub psi_direct_routing: bool,
    /// Supported-Features.
    pub supported_features: Vec<SupportedFeatures>,
}

/// Multimedia-Auth-Request, TS 29.229 6.1.7.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Mar {
    /// User-Name: the IMPI.
    pub user_name: String,
    /// Public-Identity: the IMPU.
    pub public_identity: String,
    /// SIP-Auth-Data-Item: the scheme, and RAND || AUTS on synchronisation failure.
    pub sip_auth_data_item: SipAuthDataItem,
    /// SIP-Number-Auth-Items: vectors asked for, at least one.
    pub sip_number_auth_items: u32,
    /// Server-Name: SIP URI of the S-CSCF that asks.
    pub server_name: String,
    /// Supported-Features.
    pub supported_features: Vec<SupportedFeatures>,
}

/// Multimedia-Auth-Answer, TS 29.229 6.1.8.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Maa {
    /// Result-Code or Experimental-Result.
    pub outcome: Outcome,
    /// User-Name: the IMPI.
    pub user_name: Option<String>,
    /// Public-Identity: the IMPU.
    pub public_identity: Option<String>,
    /// SIP-Number-Auth-Items: vectors delivered.
    pub sip_number_auth_items: Option<u32>,
    /// SIP-Auth-Data-Item, in the order of SIP-Item-Number.
    pub sip_auth_data_items: Vec<SipAuthDataItem>,
    /// Supported-Features.
    pub supported_features: Vec<SupportedFeatures>,
}

/// Registration-Termination-Request, TS 29.229 6.1.9.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Rtr {
    /// User-Name: the IMPI.
    pub user_name: String,
    /// Associated-Identities: further IMPIs to deregister.
    pub associated_identities: Vec<String>,
    /// Public-Identity: the IMPUs to deregister; none means all of the IMPI.
    pub public_identities: Vec<String>,
    /// Deregistration-Reason.
    pub deregistration_reason: DeregistrationReason,
    /// Supported-Features.
    pub supported_features: Vec<SupportedFeatures>,
}

/// Registration-Termination-Answer, TS 29.229 6.1.10.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Rta {
    /// Result-Code or Experimental-Result.
    pub outcome: Outcome,
    /// Associated-Identities: the IMPIs deregistered besides.
    pub associated_identities: Vec<String>,
    /// Identity-with-Emergency-Registration: (IMPI, IMPU) pairs that stay registered for emergency.
    pub emergency_registrations: Vec<(String, String)>,
    /// Supported-Features.
    pub supported_features: Vec<SupportedFeatures>,
}

/// Push-Profile-Request, TS 29.229 6.1.11.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Ppr {
    /// User-Name: the IMPI.
    pub user_name: String,
    /// User-Data: the XML document, see [`user_data`].
    pub user_data: Option<Vec<u8>>,
    /// Charging-Information.
    pub charging_information: Option<ChargingInformation>,
    /// SIP-Auth-Data-Item: a changed SIP Digest secret.
    pub sip_auth_data_item: Option<SipAuthDataItem>,
    /// Supported-Features.
    pub supported_features: Vec<SupportedFeatures>,
}

/// Push-Profile-Answer, TS 29.229 6.1.12.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Ppa {
    /// Result-Code or Experimental-Result.
    pub outcome: Outcome,
    /// Supported-Features.
    pub supported_features: Vec<SupportedFeatures>,
}

impl From<Outcome> for Uaa {
    fn from(outcome: Outcome) -> Self {
        Uaa {
            outcome,
            server_name: None,
            server_capabilities: None,
            supported_features: Vec::new(),
        }
    }
}

impl From<Outcome> for Saa {
    fn from(outcome: Outcome) -> Self {
        Saa {
            outcome,
            user_name: None,
            user_data: None,
            charging_information: None,
            associated_identities: Vec::new(),
            associated_registered_identities: Vec::new(),
            loose_route: false,
            scscf_restoration_info: Vec::new(),
            server_name: None,
            wildcarded_public_identity: None,
            priviledged_sender: false,
            supported_features: Vec::new(),
        }
    }
}

impl From<Outcome> for Lia {
    fn from(outcome: Outcome) -> Self {
        Lia {
            outcome,
            server_name: None,
            server_capabilities: None,
            wildcarded_public_identity: None,
            psi_direct_routing: false,
            supported_features: Vec::new(),
        }
    }
}

impl From<Outcome> for Maa {
    fn from(outcome: Outcome) -> Self {
        Maa {
            outcome,
            user_name: None,
            public_identity: None,
            sip_number_auth_items: None,
            sip_auth_data_items: Vec::new(),
            supported_features: Vec::new(),
        }
    }
}

impl From<Outcome> for Rta {
    fn from(outcome: Outcome) -> Self {
        Rta {
            outcome,
            associated_identities: Vec::new(),
            emergency_registrations: Vec::new(),
            supported_features: Vec::new(),
        }
    }
}

impl From<Outcome> for Ppa {
    fn from(outcome: Outcome) -> Self {
        Ppa {
            outcome,
            supported_features: Vec::new(),
        }
    }
}
