//! The base protocol, RFC 6733, and the AVPs other RFCs lend to Cx.

use super::AvpKind::{
    Address, DiameterIdentity, DiameterUri, Enumerated, Grouped, OctetString, Time, Unsigned32,
    Unsigned64, Utf8String,
};
use super::{AvpDef, CommandDef, Dictionary, MandatoryBit, Rule, any, avps, one, optional, some};

avps! {
    AVPS, vendor 0;
    USER_NAME = 1 "User-Name" Utf8String, Must;
    FRAMED_IP_ADDRESS = 8 "Framed-IP-Address" OctetString, Must;
    CLASS = 25 "Class" OctetString, Must;
    SESSION_TIMEOUT = 27 "Session-Timeout" Unsigned32, Must;
    PROXY_STATE = 33 "Proxy-State" OctetString, Must;
    EVENT_TIMESTAMP = 55 "Event-Timestamp" Time, Must;
    FRAMED_INTERFACE_ID = 96 "Framed-Interface-Id" Unsigned64, Must;
    FRAMED_IPV6_PREFIX = 97 "Framed-IPv6-Prefix" OctetString, Must;
    DIGEST_REALM = 104 "Digest-Realm" Utf8String, Must;
    DIGEST_QOP = 110 "Digest-QoP" Utf8String, Must;
    DIGEST_ALGORITHM = 111 "Digest-Algorithm" Utf8String, Must;
    DIGEST_HA1 = 121 "Digest-HA1" Utf8String, Must;
    HOST_IP_ADDRESS = 257 "Host-IP-Address" Address, Must;
    AUTH_APPLICATION_ID = 258 "Auth-Application-Id" Unsigned32, Must;
    ACCT_APPLICATION_ID = 259 "Acct-Application-Id" Unsigned32, Must;
    VENDOR_SPECIFIC_APPLICATION_ID = 260 "Vendor-Specific-Application-Id"
        Grouped(&[
            // RFC 3588 6.11 allowed several.
            some(&VENDOR_ID),
            optional(&AUTH_APPLICATION_ID),
            optional(&ACCT_APPLICATION_ID),
        ]), Must;
    REDIRECT_HOST_USAGE = 261 "Redirect-Host-Usage" Enumerated, Must;
    REDIRECT_MAX_CACHE_TIME = 262 "Redirect-Max-Cache-Time" Unsigned32, Must;
    SESSION_ID = 263 "Session-Id" Utf8String, Must;
    ORIGIN_HOST = 264 "Origin-Host" DiameterIdentity, Must;
    SUPPORTED_VENDOR_ID = 265 "Supported-Vendor-Id" Unsigned32, Must;
    VENDOR_ID = 266 "Vendor-Id" Unsigned32, Must;
    FIRMWARE_REVISION = 267 "Firmware-Revision" Unsigned32, MustNot;
    RESULT_CODE = 268 "Result-Code" Unsigned32, Must;
    PRODUCT_NAME = 269 "Product-Name" Utf8String, MustNot;
    SESSION_BINDING = 270 "Session-Binding" Unsigned32, Must;
    SESSION_SERVER_FAILOVER = 271 "Session-Server-Failover" Enumerated, Must;
    MULTI_ROUND_TIME_OUT = 272 "Multi-Round-Time-Out" Unsigned32, Must;
    DISCONNECT_CAUSE = 273 "Disconnect-Cause" Enumerated, Must;
    AUTH_REQUEST_TYPE = 274 "Auth-Request-Type" Enumerated, Must;
    AUTH_GRACE_PERIOD = 276 "Auth-Grace-Period" Unsigned32, Must;
    AUTH_SESSION_STATE = 277 "Auth-Session-State" Enumerated, Must;
    ORIGIN_STATE_ID = 278 "Origin-State-Id" Unsigned32, Must;
    FAILED_AVP = 279 "Failed-AVP" Grouped(&[]), Must;
    PROXY_HOST = 280 "Proxy-Host" DiameterIdentity, Must;
    ERROR_MESSAGE = 281 "Error-Message" Utf8String, MustNot;
    ROUTE_RECORD = 282 "Route-Record" DiameterIdentity, Must;
    DESTINATION_REALM = 283 "Destination-Realm" DiameterIdentity, Must;
    PROXY_INFO = 284 "Proxy-Info" Grouped(&[one(&PROXY_HOST), one(&PROXY_STATE)]), Must;
    RE_AUTH_REQUEST_TYPE = 285 "Re-Auth-Request-Type" Enumerated, Must;
    AUTHORIZATION_LIFETIME = 291 "Authorization-Lifetime" Unsigned32, Must;
    REDIRECT_HOST = 292 "Redirect-Host" DiameterUri, Must;
    DESTINATION_HOST = 293 "Destination-Host" DiameterIdentity, Must;
    ERROR_REPORTING_HOST = 294 "Error-Reporting-Host" DiameterIdentity, MustNot;
    TERMINATION_CAUSE = 295 "Termination-Cause" Enumerated, Must;
    ORIGIN_REALM = 296 "Origin-Realm" DiameterIdentity, Must;
    EXPERIMENTAL_RESULT = 297 "Experimental-Result"
        Grouped(&[one(&VENDOR_ID), one(&EXPERIMENTAL_RESULT_CODE)]), Must;
    EXPERIMENTAL_RESULT_CODE = 298 "Experimental-Result-Code" Unsigned32, Must;
    INBAND_SECURITY_ID = 299 "Inband-Security-Id" Unsigned32, Must;
    DRMP = 301 "DRMP" Enumerated, MustNot;
}

/// Capabilities-Exchange, RFC 6733 5.3.
pub const CAPABILITIES_EXCHANGE: u32 = 257;
/// Device-Watchdog, RFC 6733 5.5.
pub const DEVICE_WATCHDOG: u32 = 280;
/// Disconnect-Peer, RFC 6733 5.4.
pub const DISCONNECT_PEER: u32 = 282;

/// Application-ID of the base protocol's own messages, RFC 6733 2.4.
pub const APPLICATION_ID: u32 = 0;
/// Application-ID a relay announces, RFC 6733 2.4.
pub const RELAY_APPLICATION_ID: u32 = 0xffff_ffff;

/// The base protocol.
pub static DICTIONARY: Dictionary = Dictionary {
    application: APPLICATION_ID,
    vendor: None,
    commands: COMMANDS,
    avps: &[AVPS],
};

/// Error answers (E bit), RFC 6733 7.2.
pub static ERROR_ANSWER: &[Rule] = &[
    optional(&SESSION_ID),
    one(&ORIGIN_HOST),
    one(&ORIGIN_REALM),
    one(&RESULT_CODE),
    optional(&ORIGIN_STATE_ID),
    optional(&ERROR_MESSAGE),
    optional(&ERROR_REPORTING_HOST),
    any(&FAILED_AVP),
    optional(&EXPERIMENTAL_RESULT),
    any(&PROXY_INFO),
];

static COMMANDS: &[CommandDef] = &[
    CommandDef {
        name: "Capabilities-Exchange",
        code: CAPABILITIES_EXCHANGE,
        proxiable: false,
        request: &[
            one(&ORIGIN_HOST),
            one(&ORIGIN_REALM),
            some(&HOST_IP_ADDRESS),
            one(&VENDOR_ID),
            one(&PRODUCT_NAME),
            optional(&ORIGIN_STATE_ID),
            any(&SUPPORTED_VENDOR_ID),
            any(&AUTH_APPLICATION_ID),
            any(&INBAND_SECURITY_ID),
            any(&ACCT_APPLICATION_ID),
            any(&VENDOR_SPECIFIC_APPLICATION_ID),
            optional(&FIRMWARE_REVISION),
        ],
        answer: &[
            one(&RESULT_CODE),
            one(&ORIGIN_HOST),
            one(&ORIGIN_REALM),
            some(&HOST_IP_ADDRESS),
            one(&VENDOR_ID),
            one(&PRODUCT_NAME),
            optional(&ORIGIN_STATE_ID),
            optional(&ERROR_MESSAGE),
            optional(&FAILED_AVP),
            any(&SUPPORTED_VENDOR_ID),
            any(&AUTH_APPLICATION_ID),
            any(&INBAND_SECURITY_ID),
            any(&ACCT_APPLICATION_ID),
            any(&VENDOR_SPECIFIC_APPLICATION_ID),
            optional(&FIRMWARE_REVISION),
        ],
    },
    CommandDef {
        name: "Device-Watchdog",
        code: DEVICE_WATCHDOG,
        proxiable: false,
        request: &[
            one(&ORIGIN_HOST),
            one(&ORIGIN_REALM),
            optional(&ORIGIN_STATE_ID),
        ],
        answer: &[
            one(&RESULT_CODE),
            one(&ORIGIN_HOST),
            one(&ORIGIN_REALM),
            optional(&ERROR_MESSAGE),
            optional(&FAILED_AVP),
            optional(&ORIGIN_STATE_ID),
        ],
    },
    CommandDef {
        name: "Disconnect-Peer",
        code: DISCONNECT_PEER,
        proxiable: false,
        request: &[
            one(&ORIGIN_HOST),
            one(&ORIGIN_REALM),
            one(&DISCONNECT_CAUSE),
        ],
        answer: &[
            one(&RESULT_CODE),
            one(&ORIGIN_HOST),
            one(&ORIGIN_REALM),
            optional(&ERROR_MESSAGE),
            optional(&FAILED_AVP),
        ],
    },
];
