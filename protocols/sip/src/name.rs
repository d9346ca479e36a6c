//! Names of header fields.

use simd::{equal_where, find_32};
use std::fmt;

macro_rules! header_names {
    ($($variant:ident = $long:literal $(/ $short:literal)? : $rfc:literal),* $(,)?) => {
        /// Name of a header field: every header an IMS reads or writes, and [`HeaderName::Other`]
        /// for the rest.
        #[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
        #[repr(u8)]
        pub enum HeaderName {
            $(#[doc = $rfc] $variant,)*
            /// A header without a variant of its own; the message keeps its spelling.
            Other,
        }

        impl HeaderName {
            /// Every name with a variant of its own.
            pub const KNOWN: &'static [HeaderName] = &[$(HeaderName::$variant),*];

            const LONG: &'static [&'static str] = &[$($long),*];
            const SHORT: &'static [Option<&'static str>] = &[$(header_names!(@short $($short)?)),*];
        }
    };
    (@short) => { None };
    (@short $short:literal) => { Some($short) };
}

header_names! {
    Accept = "Accept": "RFC 3261 20.1.",
    AcceptContact = "Accept-Contact" / "a": "RFC 3841 9.2.",
    AcceptEncoding = "Accept-Encoding": "RFC 3261 20.2.",
    AcceptLanguage = "Accept-Language": "RFC 3261 20.3.",
    AlertInfo = "Alert-Info": "RFC 3261 20.4.",
    Allow = "Allow": "RFC 3261 20.5.",
    AllowEvents = "Allow-Events" / "u": "RFC 6665 8.2.2.",
    AnswerMode = "Answer-Mode": "RFC 5373.",
    AuthenticationInfo = "Authentication-Info": "RFC 3261 20.6.",
    Authorization = "Authorization": "RFC 3261 20.7.",
    CallId = "Call-ID" / "i": "RFC 3261 20.8.",
    CallInfo = "Call-Info": "RFC 3261 20.9.",
    CellularNetworkInfo = "Cellular-Network-Info": "TS 24.229 7.2.15.",
    Contact = "Contact" / "m": "RFC 3261 20.10.",
    ContentDisposition = "Content-Disposition": "RFC 3261 20.11.",
    ContentEncoding = "Content-Encoding" / "e": "RFC 3261 20.12.",
    ContentId = "Content-ID": "RFC 8262.",
    ContentLanguage = "Content-Language": "RFC 3261 20.13.",
    ContentLength = "Content-Length" / "l": "RFC 3261 20.14.",
    ContentType = "Content-Type" / "c": "RFC 3261 20.15.",
    CSeq = "CSeq": "RFC 3261 20.16.",
    Date = "Date": "RFC 3261 20.17.",
    Diversion = "Diversion": "RFC 5806.",
    ErrorInfo = "Error-Info": "RFC 3261 20.18.",
    Event = "Event" / "o": "RFC 6665 8.2.1.",
    Expires = "Expires": "RFC 3261 20.19.",
    FeatureCaps = "Feature-Caps": "RFC 6809.",
    FlowTimer = "Flow-Timer": "RFC 5626 10.",
    From = "From" / "f": "RFC 3261 20.20.",
    Geolocation = "Geolocation": "RFC 6442 4.1.",
    GeolocationError = "Geolocation-Error": "RFC 6442 4.3.",
    GeolocationRouting = "Geolocation-Routing": "RFC 6442 4.2.",
    HistoryInfo = "History-Info": "RFC 7044.",
    Identity = "Identity" / "y": "RFC 8224.",
    InfoPackage = "Info-Package": "RFC 6086.",
    InReplyTo = "In-Reply-To": "RFC 3261 20.21.",
    Join = "Join": "RFC 3911.",
    MaxBreadth = "Max-Breadth": "RFC 5393.",
    MaxForwards = "Max-Forwards": "RFC 3261 20.22.",
    MimeVersion = "MIME-Version": "RFC 3261 20.24.",
    MinExpires = "Min-Expires": "RFC 3261 20.23.",
    MinSe = "Min-SE": "RFC 4028 5.",
    Organization = "Organization": "RFC 3261 20.25.",
    PAccessNetworkInfo = "P-Access-Network-Info": "RFC 7315 4.4.",
    PAnswerState = "P-Answer-State": "RFC 4964.",
    PAssertedIdentity = "P-Asserted-Identity": "RFC 3325 9.1.",
    PAssertedService = "P-Asserted-Service": "RFC 6050 4.1.",
    PAssociatedUri = "P-Associated-URI": "RFC 7315 4.1.",
    Path = "Path": "RFC 3327.",
    PCalledPartyId = "P-Called-Party-ID": "RFC 7315 4.2.",
    PChargingFunctionAddresses = "P-Charging-Function-Addresses": "RFC 7315 4.5.",
    PChargingVector = "P-Charging-Vector": "RFC 7315 4.6.",
    PEarlyMedia = "P-Early-Media": "RFC 5009.",
    PermissionMissing = "Permission-Missing": "RFC 5360.",
    PMediaAuthorization = "P-Media-Authorization": "RFC 3313.",
    PPreferredIdentity = "P-Preferred-Identity": "RFC 3325 9.2.",
    PPreferredService = "P-Preferred-Service": "RFC 6050 4.2.",
    PPrivateNetworkIndication = "P-Private-Network-Indication": "RFC 7316.",
    PProfileKey = "P-Profile-Key": "RFC 5002.",
    PRefusedUriList = "P-Refused-URI-List": "RFC 5318.",
    Priority = "Priority": "RFC 3261 20.26.",
    PriorityShare = "Priority-Share": "TS 24.229 7.2.16.",
    Privacy = "Privacy": "RFC 3323 4.2.",
    PrivAnswerMode = "Priv-Answer-Mode": "RFC 5373.",
    ProxyAuthenticate = "Proxy-Authenticate": "RFC 3261 20.27.",
    ProxyAuthenticationInfo = "Proxy-Authentication-Info": "RFC 7615.",
    ProxyAuthorization = "Proxy-Authorization": "RFC 3261 20.28.",
    ProxyRequire = "Proxy-Require": "RFC 3261 20.29.",
    PServedUser = "P-Served-User": "RFC 5502.",
    PUserDatabase = "P-User-Database": "RFC 4457.",
    PVisitedNetworkId = "P-Visited-Network-ID": "RFC 7315 4.3.",
    RAck = "RAck": "RFC 3262 7.2.",
    Reason = "Reason": "RFC 3326.",
    RecordRoute = "Record-Route": "RFC 3261 20.30.",
    RecvInfo = "Recv-Info": "RFC 6086.",
    ReferredBy = "Referred-By" / "b": "RFC 3892.",
    ReferSub = "Refer-Sub": "RFC 4488.",
    ReferTo = "Refer-To" / "r": "RFC 3515.",
    RejectContact = "Reject-Contact" / "j": "RFC 3841 9.3.",
    RelayedCharge = "Relayed-Charge": "TS 24.229 7.2.12.",
    Replaces = "Replaces": "RFC 3891.",
    ReplyTo = "Reply-To": "RFC 3261 20.31.",
    RequestDisposition = "Request-Disposition" / "d": "RFC 3841 9.1.",
    Require = "Require": "RFC 3261 20.32.",
    ResourcePriority = "Resource-Priority": "RFC 4412 3.1.",
    ResourceShare = "Resource-Share": "TS 24.229 7.2.13.",
    RestorationInfo = "Restoration-Info": "TS 24.229 7.2.11.",
    RetryAfter = "Retry-After": "RFC 3261 20.33.",
    Route = "Route": "RFC 3261 20.34.",
    RSeq = "RSeq": "RFC 3262 7.1.",
    SecurityClient = "Security-Client": "RFC 3329.",
    SecurityServer = "Security-Server": "RFC 3329.",
    SecurityVerify = "Security-Verify": "RFC 3329.",
    Server = "Server": "RFC 3261 20.35.",
    ServiceInteractInfo = "Service-Interact-Info": "TS 24.229 7.2.14.",
    ServiceRoute = "Service-Route": "RFC 3608.",
    SessionExpires = "Session-Expires" / "x": "RFC 4028 4.",
    SessionId = "Session-ID": "RFC 7989.",
    SipEtag = "SIP-ETag": "RFC 3903 11.3.1.",
    SipIfMatch = "SIP-If-Match": "RFC 3903 11.3.2.",
    Subject = "Subject" / "s": "RFC 3261 20.36.",
    SubscriptionState = "Subscription-State": "RFC 6665 8.2.3.",
    Supported = "Supported" / "k": "RFC 3261 20.37.",
    SuppressIfMatch = "Suppress-If-Match": "RFC 5839.",
    TargetDialog = "Target-Dialog": "RFC 4538.",
    Timestamp = "Timestamp": "RFC 3261 20.38.",
    To = "To" / "t": "RFC 3261 20.39.",
    TriggerConsent = "Trigger-Consent": "RFC 5360.",
    Unsupported = "Unsupported": "RFC 3261 20.40.",
    UserAgent = "User-Agent": "RFC 3261 20.41.",
    UserToUser = "User-to-User": "RFC 7433.",
    Via = "Via" / "v": "RFC 3261 20.42.",
    Warning = "Warning": "RFC 3261 20.43.",
    WwwAuthenticate = "WWW-Authenticate": "RFC 3261 20.44.",
}

impl HeaderName {
    /// The name that `text` spells, long or compact, whatever its case; [`HeaderName::Other`] when
    /// unknown.
    pub fn parse(text: &str) -> HeaderName {
        HeaderName::of(text.as_bytes())
    }

    /// The long form, as the RFC capitalises it; empty for [`HeaderName::Other`].
    pub fn as_str(self) -> &'static str {
        HeaderName::LONG.get(self as usize).copied().unwrap_or("")
    }

    /// The compact form (RFC 3261 7.3.3).
    pub fn compact(self) -> Option<&'static str> {
        HeaderName::SHORT.get(self as usize).copied().flatten()
    }

    /// The bit of this name in the set of names present that an index keeps.
    pub(crate) fn bit(self) -> u128 {
        1 << (self as u8)
    }

    #[inline]
    pub(crate) fn of(text: &[u8]) -> HeaderName {
        if let [letter] = text {
            return COMPACT[(letter | 0x20) as usize & 0x7f].unwrap_or(HeaderName::Other);
        }
        let mut line = [b':'; NAME_BYTES_MAX];
        match line.get_mut(..text.len()) {
            Some(name) => name.copy_from_slice(text),
            None => return HeaderName::Other,
        }
        match HeaderName::before_colon(&line) {
            Some((name, len)) if len == text.len() => name,
            _ => HeaderName::Other,
        }
    }

    /// The known name in its long form that `line` starts with, and its length, when a colon
    /// follows it at once.
    #[inline]
    pub(crate) fn before_colon(line: &[u8; NAME_BYTES_MAX]) -> Option<(HeaderName, usize)> {
        let colon = find_32(line, b':').filter(|&at| at > 0)?;
        let entry = usize::from(TABLE[slot(line, colon)]);
        let spelled = SPELLED.get(entry)?;
        equal_where(line, &spelled.text, &spelled.counts).then(|| (HeaderName::KNOWN[entry], colon))
    }
}

impl fmt::Display for HeaderName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(if *self == HeaderName::Other {
            "header"
        } else {
            self.as_str()
        })
    }
}

const SLOT_BITS: u32 = 10;
const EMPTY: u8 = 255;

/// Found by trial: with it no two names have the same slot.
const MULTIPLIER: u32 = 0xf389_0d0f;

/// Octets of the longest name that is known and its colon, and room to spare.
const NAME_BYTES_MAX: usize = 32;

// `HeaderName::bit` wants every name within 128 bits.
const _: () = assert!(HeaderName::KNOWN.len() < 128);

/// From [`slot`] to the place of the one name it may be.
static TABLE: [u8; 1 << SLOT_BITS] = {
    let mut table = [EMPTY; 1 << SLOT_BITS];
    let mut i = 0;
    while i < HeaderName::LONG.len() {
        let slot = slot(&SPELLED[i].text, HeaderName::LONG[i].len());
        assert!(table[slot] == EMPTY, "choose another multiplier");
        table[slot] = i as u8;
        i += 1;
    }
    table
};

/// A name with the colon after it.
struct Spelled {
    text: [u8; NAME_BYTES_MAX],
    /// What of each octet counts: all of a hyphen and the colon, all but the case of a letter,
    /// nothing after the colon.
    counts: [u8; NAME_BYTES_MAX],
}

static SPELLED: [Spelled; HeaderName::KNOWN.len()] = {
    const NONE: Spelled = Spelled {
        text: [0; NAME_BYTES_MAX],
        counts: [0; NAME_BYTES_MAX],
    };
    let mut all = [NONE; HeaderName::KNOWN.len()];
    let mut i = 0;
    while i < all.len() {
        let name = HeaderName::LONG[i].as_bytes();
        let mut at = 0;
        while at < name.len() {
            all[i].text[at] = name[at];
            all[i].counts[at] = if name[at].is_ascii_alphabetic() {
                !0x20
            } else {
                !0
            };
            at += 1;
        }
        all[i].text[at] = b':';
        all[i].counts[at] = !0;
        i += 1;
    }
    all
};

static COMPACT: [Option<HeaderName>; 128] = {
    let mut table = [None; 128];
    let mut i = 0;
    while i < HeaderName::SHORT.len() {
        if let Some(short) = HeaderName::SHORT[i] {
            table[(short.as_bytes()[0] & 0x7f) as usize] = Some(HeaderName::KNOWN[i]);
        }
        i += 1;
    }
    table
};

/// Length, first, middle and last letter without case, scattered over the table.
#[inline]
const fn slot(line: &[u8; NAME_BYTES_MAX], len: usize) -> usize {
    let middle = line[len / 2 % NAME_BYTES_MAX];
    let last = line[len.wrapping_sub(1) % NAME_BYTES_MAX];
    let letters = [len as u8, line[0], middle, last];
    let word = u32::from_be_bytes(letters) | 0x0020_2020;
    (word.wrapping_mul(MULTIPLIER) >> (u32::BITS - SLOT_BITS)) as usize
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_name_is_found_by_its_long_and_compact_form_in_any_case() {
        for &name in HeaderName::KNOWN {
            assert_eq!(HeaderName::parse(name.as_str()), name);
            assert_eq!(HeaderName::parse(&name.as_str().to_uppercase()), name);
            if let Some(compact) = name.compact() {
                assert_eq!(HeaderName::parse(compact), name);
                assert_eq!(HeaderName::parse(&compact.to_uppercase()), name);
            }
        }
    }

    #[test]
    fn one_octet_changed_makes_another_name() {
        for &name in HeaderName::KNOWN {
            for at in 0..name.as_str().len() {
                for bit in 0..8 {
                    let mut text = name.as_str().as_bytes().to_vec();
                    text[at] ^= 1 << bit;
                    let expected = HeaderName::KNOWN
                        .iter()
                        .find(|known| known.as_str().as_bytes().eq_ignore_ascii_case(&text));
                    let found = HeaderName::of(&text);
                    assert_eq!(
                        found,
                        expected.copied().unwrap_or(HeaderName::Other),
                        "{text:?}"
                    );
                }
            }
        }
    }

    #[test]
    fn other_names_are_other() {
        for text in ["", "X-Foo", "Vi", "Viaa", "q", "z", "!", "\u{1}", "*"] {
            assert_eq!(HeaderName::parse(text), HeaderName::Other, "{text:?}");
        }
    }
}
