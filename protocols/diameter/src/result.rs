//! Result-Code values.

use std::fmt;

/// Result-Code AVP, RFC 6733 7.1.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct ResultCode(pub u32);

macro_rules! result_codes {
    ($($name:ident = $code:literal,)+) => {
        impl ResultCode {
            $(#[doc = concat!("DIAMETER_", stringify!($name), ", RFC 6733 7.1.")]
            pub const $name: ResultCode = ResultCode($code);)+

            /// The name RFC 6733 gives this value.
            pub const fn name(self) -> Option<&'static str> {
                match self.0 {
                    $($code => Some(concat!("DIAMETER_", stringify!($name))),)+
                    _ => None,
                }
            }
        }
    };
}

result_codes! {
    MULTI_ROUND_AUTH = 1001,
    SUCCESS = 2001,
    LIMITED_SUCCESS = 2002,
    COMMAND_UNSUPPORTED = 3001,
    UNABLE_TO_DELIVER = 3002,
    REALM_NOT_SERVED = 3003,
    TOO_BUSY = 3004,
    LOOP_DETECTED = 3005,
    REDIRECT_INDICATION = 3006,
    APPLICATION_UNSUPPORTED = 3007,
    INVALID_HDR_BITS = 3008,
    INVALID_AVP_BITS = 3009,
    UNKNOWN_PEER = 3010,
    AUTHENTICATION_REJECTED = 4001,
    OUT_OF_SPACE = 4002,
    ELECTION_LOST = 4003,
    AVP_UNSUPPORTED = 5001,
    UNKNOWN_SESSION_ID = 5002,
    AUTHORIZATION_REJECTED = 5003,
    INVALID_AVP_VALUE = 5004,
    MISSING_AVP = 5005,
    RESOURCES_EXCEEDED = 5006,
    CONTRADICTING_AVPS = 5007,
    AVP_NOT_ALLOWED = 5008,
    AVP_OCCURS_TOO_MANY_TIMES = 5009,
    NO_COMMON_APPLICATION = 5010,
    UNSUPPORTED_VERSION = 5011,
    UNABLE_TO_COMPLY = 5012,
    INVALID_BIT_IN_HEADER = 5013,
    INVALID_AVP_LENGTH = 5014,
    INVALID_MESSAGE_LENGTH = 5015,
    INVALID_AVP_BIT_COMBO = 5016,
    NO_COMMON_SECURITY = 5017,
}

impl ResultCode {
    /// 2xxx, RFC 6733 7.1.2.
    pub const fn is_success(self) -> bool {
        self.0 / 1000 == 2
    }

    /// 3xxx: a protocol error, answered with the E bit, RFC 6733 7.1.3.
    pub const fn is_protocol_error(self) -> bool {
        self.0 / 1000 == 3
    }

    /// 4xxx: the same request may succeed later, RFC 6733 7.1.4.
    pub const fn is_transient_failure(self) -> bool {
        self.0 / 1000 == 4
    }
}

impl fmt::Debug for ResultCode {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

impl fmt::Display for ResultCode {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.name() {
            Some(name) => write!(f, "{name} ({})", self.0),
            None => write!(f, "{}", self.0),
        }
    }
}
