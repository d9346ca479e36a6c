//! Values of the Cx AVPs, TS 29.229 6.3.

use std::fmt;

use base::Instant;

macro_rules! enumerated {
    (
        $(#[$meta:meta])*
        $name:ident { $($(#[$variant_meta:meta])* $variant:ident = $value:literal,)+ }
    ) => {
        $(#[$meta])*
        #[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
        #[repr(u32)]
        pub enum $name {
            $($(#[$variant_meta])* $variant = $value,)+
        }

        impl $name {
            /// Every value.
            pub const ALL: &'static [$name] = &[$($name::$variant,)+];

            /// The number on the wire.
            pub const fn to_u32(self) -> u32 {
                self as u32
            }

            /// The value of this number; `None` when the specification gives it no meaning.
            pub const fn from_u32(value: u32) -> Option<Self> {
                match value {
                    $($value => Some($name::$variant),)+
                    _ => None,
                }
            }
        }
    };
}
pub(crate) use enumerated;

enumerated! {
    /// User-Authorization-Type, TS 29.229 6.3.24.
    #[derive(Default)]
    UserAuthorizationType {
        /// REGISTRATION: initial or re-registration.
        #[default]
        Registration = 0,
        /// DE_REGISTRATION: Expires is 0.
        DeRegistration = 1,
        /// REGISTRATION_AND_CAPABILITIES: the I-CSCF wants to select another S-CSCF.
        RegistrationAndCapabilities = 2,
    }
}

enumerated! {
    /// Server-Assignment-Type, TS 29.229 6.3.15.
    ServerAssignmentType {
        /// NO_ASSIGNMENT: the profile is asked for, nothing is assigned.
        NoAssignment = 0,
        /// REGISTRATION.
        Registration = 1,
        /// RE_REGISTRATION.
        ReRegistration = 2,
        /// UNREGISTERED_USER: a request came for a user not registered.
        UnregisteredUser = 3,
        /// TIMEOUT_DEREGISTRATION: the registration expired.
        TimeoutDeregistration = 4,
        /// USER_DEREGISTRATION.
        UserDeregistration = 5,
        /// TIMEOUT_DEREGISTRATION_STORE_SERVER_NAME.
        TimeoutDeregistrationStoreServerName = 6,
        /// USER_DEREGISTRATION_STORE_SERVER_NAME.
        UserDeregistrationStoreServerName = 7,
        /// ADMINISTRATIVE_DEREGISTRATION.
        AdministrativeDeregistration = 8,
        /// AUTHENTICATION_FAILURE.
        AuthenticationFailure = 9,
        /// AUTHENTICATION_TIMEOUT: the challenge was never answered.
        AuthenticationTimeout = 10,
        /// DEREGISTRATION_TOO_MUCH_DATA.
        DeregistrationTooMuchData = 11,
        /// AAA_USER_DATA_REQUEST (SWx only).
        AaaUserDataRequest = 12,
        /// PGW_UPDATE (SWx only).
        PgwUpdate = 13,
        /// RESTORATION (SWx only).
        Restoration = 14,
    }
}

impl ServerAssignmentType {
    /// True for the types that end a registration or an assignment.
    pub const fn is_deregistration(self) -> bool {
        matches!(self.to_u32(), 4..=11)
    }
}

enumerated! {
    /// Reason-Code, TS 29.229 6.3.17.
    ReasonCode {
        /// PERMANENT_TERMINATION.
        PermanentTermination = 0,
        /// NEW_SERVER_ASSIGNED.
        NewServerAssigned = 1,
        /// SERVER_CHANGE.
        ServerChange = 2,
        /// REMOVE_S-CSCF.
        RemoveScscf = 3,
    }
}

enumerated! {
    /// Session-Priority, TS 29.229 6.3.56; `Priority0` is the highest.
    SessionPriority {
        /// PRIORITY-0.
        Priority0 = 0,
        /// PRIORITY-1.
        Priority1 = 1,
        /// PRIORITY-2.
        Priority2 = 2,
        /// PRIORITY-3.
        Priority3 = 3,
        /// PRIORITY-4.
        Priority4 = 4,
    }
}

/// SIP-Authentication-Scheme, TS 29.229 6.3.9.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash)]
pub enum AuthScheme {
    /// "Digest-AKAv1-MD5": IMS AKA.
    DigestAkaV1Md5,
    /// "SIP Digest".
    SipDigest,
    /// "NASS-Bundled".
    NassBundled,
    /// "Early-IMS-Security" (GIBA).
    EarlyImsSecurity,
    /// "Unknown": the HSS chooses by the subscription.
    #[default]
    Unknown,
    /// Any other text.
    Other(String),
}

impl AuthScheme {
    /// The text on the wire.
    pub fn as_str(&self) -> &str {
        match self {
            AuthScheme::DigestAkaV1Md5 => "Digest-AKAv1-MD5",
            AuthScheme::SipDigest => "SIP Digest",
            AuthScheme::NassBundled => "NASS-Bundled",
            AuthScheme::EarlyImsSecurity => "Early-IMS-Security",
            AuthScheme::Unknown => "Unknown",
            AuthScheme::Other(text) => text,
        }
    }
}

impl From<&str> for AuthScheme {
    fn from(text: &str) -> Self {
        match text {
            "Digest-AKAv1-MD5" => AuthScheme::DigestAkaV1Md5,
            "SIP Digest" => AuthScheme::SipDigest,
            "NASS-Bundled" => AuthScheme::NassBundled,
            "Early-IMS-Security" => AuthScheme::EarlyImsSecurity,
            "Unknown" => AuthScheme::Unknown,
            other => AuthScheme::Other(other.to_owned()),
        }
    }
}

/// SIP-Auth-Data-Item, TS 29.229 6.3.13: one authentication vector, or what the S-CSCF asks for.
///
/// `Debug` leaves out the keys and the expected response.
#[derive(Clone, Default, PartialEq, Eq)]
pub struct SipAuthDataItem {
    /// SIP-Item-Number: the order in which to use the vectors.
    pub item_number: Option<u32>,
    /// SIP-Authentication-Scheme.
    pub scheme: Option<AuthScheme>,
    /// SIP-Authenticate: RAND || AUTN for AKA.
    pub authenticate: Option<Vec<u8>>,
    /// SIP-Authorization: XRES in answers, RAND || AUTS in requests after synchronisation failure.
    pub authorization: Option<Vec<u8>>,
    /// SIP-Authentication-Context.
    pub authentication_context: Option<Vec<u8>>,
    /// Confidentiality-Key (CK).
    pub confidentiality_key: Option<[u8; 16]>,
    /// Integrity-Key (IK).
    pub integrity_key: Option<[u8; 16]>,
    /// SIP-Digest-Authenticate.
    pub digest_authenticate: Option<SipDigestAuthenticate>,
    /// Framed-IP-Address of the UE, for Early IMS Security.
    pub framed_ip_address: Option<[u8; 4]>,
    /// Framed-IPv6-Prefix of the UE as in RFC 3162 2.3 (reserved, prefix length, prefix).
    pub framed_ipv6_prefix: Option<Vec<u8>>,
    /// Framed-Interface-Id of the UE.
    pub framed_interface_id: Option<u64>,
    /// Line-Identifier, for NASS bundled authentication.
    pub line_identifiers: Vec<Vec<u8>>,
}

impl fmt::Debug for SipAuthDataItem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("SipAuthDataItem")
            .field("item_number", &self.item_number)
            .field("scheme", &self.scheme)
            .field("digest_authenticate", &self.digest_authenticate)
            .finish_non_exhaustive()
    }
}

/// SIP-Digest-Authenticate, TS 29.229 6.3.36. `Debug` leaves out H(A1).
#[derive(Clone, Default, PartialEq, Eq)]
pub struct SipDigestAuthenticate {
    /// Digest-Realm.
    pub realm: String,
    /// Digest-Algorithm, "MD5" where absent.
    pub algorithm: Option<String>,
    /// Digest-QoP, "auth" in IMS.
    pub qop: Option<String>,
    /// Digest-HA1 as hexadecimal digits (RFC 2617), 32 for MD5.
    pub ha1: String,
    /// Alternate-Digest-Algorithm: a second algorithm, "SHA-256".
    pub alternate_algorithm: Option<String>,
    /// Alternate-Digest-HA1: H(A1) by the second algorithm.
    pub alternate_ha1: Option<String>,
}

impl fmt::Debug for SipDigestAuthenticate {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("SipDigestAuthenticate")
            .field("realm", &self.realm)
            .field("algorithm", &self.algorithm)
            .field("qop", &self.qop)
            .finish_non_exhaustive()
    }
}

/// Server-Capabilities, TS 29.229 6.3.4: what the selected S-CSCF must and should be able to do.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ServerCapabilities {
    /// Mandatory-Capability.
    pub mandatory: Vec<u32>,
    /// Optional-Capability.
    pub optional: Vec<u32>,
    /// Server-Name: S-CSCFs the operator proposes.
    pub server_names: Vec<String>,
}

/// Supported-Features, TS 29.229 6.3.29.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct SupportedFeatures {
    /// Vendor-Id.
    pub vendor: u32,
    /// Feature-List-ID.
    pub list_id: u32,
    /// Feature-List: a bit mask.
    pub list: u32,
    /// M bit: the request is to fail where a feature is not supported (TS 29.229 7.2).
    pub required: bool,
}

impl SupportedFeatures {
    /// Shared iFC sets, bit 0 of list 1.
    pub const SIFC: u32 = 1;
    /// Alias indication, bit 1 of list 1.
    pub const ALIAS_IND: u32 = 1 << 1;
    /// IMS restoration, bit 2 of list 1.
    pub const IMS_RESTORATION_IND: u32 = 1 << 2;
    /// P-CSCF restoration mechanism, bit 3 of list 1.
    pub const PCSCF_RESTORATION: u32 = 1 << 3;

    /// Feature list 1 of 3GPP, not required.
    pub const fn list1(list: u32) -> Self {
        SupportedFeatures {
            vendor: crate::cx::VENDOR_3GPP,
            list_id: 1,
            list,
            required: false,
        }
    }
}

/// Charging-Information, TS 29.229 6.3.19: addresses as Diameter URIs.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ChargingInformation {
    /// Primary-Event-Charging-Function-Name.
    pub primary_ecf: Option<String>,
    /// Secondary-Event-Charging-Function-Name.
    pub secondary_ecf: Option<String>,
    /// Primary-Charging-Collection-Function-Name.
    pub primary_ccf: Option<String>,
    /// Secondary-Charging-Collection-Function-Name.
    pub secondary_ccf: Option<String>,
}

/// Deregistration-Reason, TS 29.229 6.3.16.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct DeregistrationReason {
    /// Reason-Code.
    pub code: ReasonCode,
    /// Reason-Info: text for the user.
    pub info: Option<String>,
}

/// SCSCF-Restoration-Info, TS 29.229 6.3.46: what another S-CSCF needs to take a user over (TS
/// 23.380).
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ScscfRestorationInfo {
    /// User-Name: the IMPI.
    pub user_name: String,
    /// Restoration-Info, one per registered contact.
    pub restoration_info: Vec<RestorationInfo>,
    /// Registration-Time-Out: when the registration expires.
    pub registration_time_out: Option<Instant>,
    /// SIP-Authentication-Scheme of the registration.
    pub scheme: Option<AuthScheme>,
}

/// Restoration-Info, TS 29.229 6.3.52.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct RestorationInfo {
    /// Path: the Path header of the registration.
    pub path: String,
    /// Contact: the Contact header of the registration with its parameters.
    pub contact: String,
    /// Initial-CSeq-Sequence-Number.
    pub initial_cseq: Option<u32>,
    /// Call-ID-SIP-Header of the registration.
    pub call_id: Option<String>,
    /// Subscription-Info of the UE's reg-event subscription.
    pub subscription_info: Option<SubscriptionInfo>,
    /// P-CSCF-Subscription-Info of the P-CSCF's reg-event subscription.
    pub pcscf_subscription_info: Option<SubscriptionInfo>,
}

/// Subscription-Info and P-CSCF-Subscription-Info, TS 29.229 6.3.47 and 6.3.70: the dialog of a
/// reg-event subscription, as SIP header values.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct SubscriptionInfo {
    /// Call-ID-SIP-Header.
    pub call_id: String,
    /// From-SIP-Header.
    pub from: String,
    /// To-SIP-Header.
    pub to: String,
    /// Record-Route; not for the P-CSCF's subscription.
    pub record_route: Option<String>,
    /// Contact.
    pub contact: String,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn enumerated_values_map_to_their_numbers_and_back() {
        for &kind in ServerAssignmentType::ALL {
            assert_eq!(ServerAssignmentType::from_u32(kind.to_u32()), Some(kind));
        }
        assert_eq!(ServerAssignmentType::from_u32(15), None);
        assert_eq!(UserAuthorizationType::from_u32(3), None);
    }

    #[test]
    fn debug_output_holds_no_key() {
        let item = SipAuthDataItem {
            confidentiality_key: Some([0x5a; 16]),
            authorization: Some(vec![0x5a; 8]),
            digest_authenticate: Some(SipDigestAuthenticate {
                ha1: "5a5a5a".to_owned(),
                ..SipDigestAuthenticate::default()
            }),
            ..SipAuthDataItem::default()
        };
        let text = format!("{item:?}");
        assert!(!text.contains("90") && !text.contains("5a"));
    }
}
