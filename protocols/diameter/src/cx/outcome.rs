//! What became of a Cx request.

use crate::ResultCode;
use crate::cx::VENDOR_3GPP;

/// Result-Code or Experimental-Result of a Cx answer (TS 29.229 6.2).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Outcome {
    /// A Result-Code of RFC 6733; [`Outcome::SUCCESS`] is the common one.
    Base(ResultCode),
    /// DIAMETER_FIRST_REGISTRATION: authorised, no S-CSCF is assigned yet.
    FirstRegistration,
    /// DIAMETER_SUBSEQUENT_REGISTRATION: authorised, an S-CSCF is assigned.
    SubsequentRegistration,
    /// DIAMETER_UNREGISTERED_SERVICE: not registered, but has services while unregistered.
    UnregisteredService,
    /// DIAMETER_SUCCESS_SERVER_NAME_NOT_STORED: done, and the HSS forgot the S-CSCF.
    SuccessServerNameNotStored,
    /// DIAMETER_ERROR_USER_UNKNOWN.
    UserUnknown,
    /// DIAMETER_ERROR_IDENTITIES_DONT_MATCH.
    IdentitiesDontMatch,
    /// DIAMETER_ERROR_IDENTITY_NOT_REGISTERED.
    IdentityNotRegistered,
    /// DIAMETER_ERROR_ROAMING_NOT_ALLOWED.
    RoamingNotAllowed,
    /// DIAMETER_ERROR_IDENTITY_ALREADY_REGISTERED: another S-CSCF is assigned.
    IdentityAlreadyRegistered,
    /// DIAMETER_ERROR_AUTH_SCHEME_NOT_SUPPORTED.
    AuthSchemeNotSupported,
    /// DIAMETER_ERROR_IN_ASSIGNMENT_TYPE.
    ErrorInAssignmentType,
    /// DIAMETER_ERROR_TOO_MUCH_DATA.
    TooMuchData,
    /// DIAMETER_ERROR_NOT_SUPPORTED_USER_DATA.
    NotSupportedUserData,
    /// DIAMETER_ERROR_FEATURE_UNSUPPORTED.
    FeatureUnsupported,
    /// DIAMETER_ERROR_SERVING_NODE_FEATURE_UNSUPPORTED.
    ServingNodeFeatureUnsupported,
    /// Any other Experimental-Result.
    Experimental {
        /// Vendor-Id.
        vendor: u32,
        /// Experimental-Result-Code.
        code: u32,
    },
}

const EXPERIMENTAL_3GPP: [(Outcome, u32); 15] = [
    (Outcome::FirstRegistration, 2001),
    (Outcome::SubsequentRegistration, 2002),
    (Outcome::UnregisteredService, 2003),
    (Outcome::SuccessServerNameNotStored, 2004),
    (Outcome::UserUnknown, 5001),
    (Outcome::IdentitiesDontMatch, 5002),
    (Outcome::IdentityNotRegistered, 5003),
    (Outcome::RoamingNotAllowed, 5004),
    (Outcome::IdentityAlreadyRegistered, 5005),
    (Outcome::AuthSchemeNotSupported, 5006),
    (Outcome::ErrorInAssignmentType, 5007),
    (Outcome::TooMuchData, 5008),
    (Outcome::NotSupportedUserData, 5009),
    (Outcome::FeatureUnsupported, 5011),
    (Outcome::ServingNodeFeatureUnsupported, 5012),
];

impl Outcome {
    /// DIAMETER_SUCCESS; may stand in a pattern.
    pub const SUCCESS: Outcome = Outcome::Base(ResultCode::SUCCESS);

    /// DIAMETER_UNABLE_TO_COMPLY: the answer for which there is no better one.
    pub const UNABLE_TO_COMPLY: Outcome = Outcome::Base(ResultCode::UNABLE_TO_COMPLY);

    /// DIAMETER_UNABLE_TO_DELIVER: no peer took the request.
    pub const UNABLE_TO_DELIVER: Outcome = Outcome::Base(ResultCode::UNABLE_TO_DELIVER);

    /// True for 2xxx of either kind.
    pub fn is_success(self) -> bool {
        self.code() / 1000 == 2
    }

    /// The number in Result-Code or Experimental-Result-Code.
    pub fn code(self) -> u32 {
        match self {
            Outcome::Base(code) => code.0,
            Outcome::Experimental { code, .. } => code,
            named => EXPERIMENTAL_3GPP
                .iter()
                .find(|(outcome, _)| *outcome == named)
                .map_or(0, |&(_, code)| code),
        }
    }

    /// Vendor-Id of Experimental-Result; `None` when Result-Code carries the outcome.
    pub fn vendor(self) -> Option<u32> {
        match self {
            Outcome::Base(_) => None,
            Outcome::Experimental { vendor, .. } => Some(vendor),
            _ => Some(VENDOR_3GPP),
        }
    }

    /// The outcome an Experimental-Result stands for.
    pub fn from_experimental(vendor: u32, code: u32) -> Outcome {
        EXPERIMENTAL_3GPP
            .iter()
            .find(|&&(_, known)| vendor == VENDOR_3GPP && known == code)
            .map_or(Outcome::Experimental { vendor, code }, |&(outcome, _)| {
                outcome
            })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_experimental_result_maps_to_its_number_and_back() {
        for (outcome, code) in EXPERIMENTAL_3GPP {
            assert_eq!(outcome.code(), code);
            assert_eq!(outcome.vendor(), Some(VENDOR_3GPP));
            assert_eq!(Outcome::from_experimental(VENDOR_3GPP, code), outcome);
        }
        assert_eq!(
            Outcome::from_experimental(1, 5001),
            Outcome::Experimental {
                vendor: 1,
                code: 5001
            }
        );
    }
}
