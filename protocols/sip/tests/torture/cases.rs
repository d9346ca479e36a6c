//! One message for each class of RFC 4475 and RFC 5118, under the mnemonic of the RFC, with what
//! must come of it.
//!
//! The messages are written after the descriptions in the RFCs, not copied from them; `.sip` files
//! hold them octet for octet.

use sip::HeaderName::{self, CSeq, Contact, From, To, Via};
use sip::{
    Contact as ContactValue, EditError, Host, Invalid, Malformed, Message, Part, Scheme, Transport,
    Uri, Why,
};

/// What must come of a message.
pub enum Outcome {
    /// Parsed, valid, and the check of its contents holds.
    Valid(fn(&Message)),
    /// Parsed, and refused with 400 by [`Message::validate`].
    Invalid(Invalid),
    /// Not parsed; answered with this status when it is a request.
    Malformed(Malformed, Option<u16>),
}

use Outcome::{Malformed as Bad, Valid};

const fn header(name: HeaderName, why: Why) -> Outcome {
    Outcome::Invalid(Invalid::header(name, why))
}

const REQUEST_URI: Outcome = Outcome::Invalid(Invalid {
    part: Part::RequestUri,
    why: Why::Syntax,
});

macro_rules! cases {
    ($($name:literal => $outcome:expr,)*) => {
        &[$(($name, include_bytes!(concat!("../../testdata/torture/", $name, ".sip")), $outcome)),*]
    };
}

/// Mnemonic, message, outcome.
pub type Case = (&'static str, &'static [u8], Outcome);

/// RFC 4475 3.1.1: valid, however odd.
const VALID: &[Case] = cases! {
    "wsinv" => Valid(wsinv),
    "intmeth" => Valid(intmeth),
    "esc01" => Valid(esc01),
    "escnull" => Valid(escnull),
    "esc02" => Valid(esc02),
    "lwsdisp" => Valid(|m| assert_eq!(m.from().unwrap().display_name(), "caller")),
    "longreq" => Valid(longreq),
    "dblreq" => Valid(|m| {
        assert!(m.body().is_empty());
        assert!(m.as_bytes().ends_with(b"\r\n\r\n"));
    }),
    "semiuri" => Valid(|m| {
        assert_eq!(m.uri().unwrap().user(), Some("user;par=u%40example.net"));
        assert_eq!(m.uri().unwrap().params().count(), 0);
        assert_eq!(m.values(HeaderName::Accept).count(), 6);
    }),
    "transports" => Valid(|m| {
        use Transport::{Other, Sctp, Tcp, Tls, Udp};
        let transports: Vec<_> = m.vias().map(|via| via.unwrap().transport()).collect();
        assert_eq!(transports, [Udp, Sctp, Tls, Other, Tcp]);
    }),
    "mpart01" => Valid(|m| {
        assert!(m.content_type().unwrap().unwrap().is("multipart", "mixed"));
        assert!(m.body().windows(4).any(|octets| octets == [0xfc, 0xfd, 0xfe, 0xff]));
        assert!(m.body().ends_with(b"--\r\n"));
    }),
    "unreason" => Valid(|m| {
        assert_eq!(m.status(), Some(200));
        assert!(m.reason().starts_with("= 2**3 * 5**2 но сто"));
    }),
    "noreason" => Valid(|m| assert_eq!((m.status(), m.reason()), (Some(100), ""))),
};

/// RFC 4475 3.1.2: invalid.
const INVALID: &[Case] = cases! {
    "badinv01" => header(Via, Why::Syntax),
    "clerr" => Bad(Malformed::BodyShort, Some(400)),
    "ncl" => Bad(Malformed::ContentLength, Some(400)),
    "scalar02" => header(CSeq, Why::Range),
    "scalarlg" => header(CSeq, Why::Range),
    "quotbal" => header(To, Why::Syntax),
    "ltgtruri" => Bad(Malformed::StartLine, Some(400)),
    "lwsruri" => Bad(Malformed::StartLine, Some(400)),
    "lwsstart" => Bad(Malformed::StartLine, Some(400)),
    "trws" => Bad(Malformed::StartLine, Some(400)),
    "escruri" => REQUEST_URI,
    // The date is read by no element here; the RFC leaves it to the reader to refuse it.
    "baddate" => Valid(|m| assert_eq!(m.date().unwrap_err().why, Why::Syntax)),
    "regbadct" => header(Contact, Why::Syntax),
    "badaspec" => header(To, Why::Syntax),
    "baddn" => header(From, Why::Syntax),
    "badvers" => Bad(Malformed::Version, Some(505)),
    "mismatch01" => header(CSeq, Why::Mismatch),
    // The caller may answer 501 before it validates (RFC 4475 3.1.2.18).
    "mismatch02" => header(CSeq, Why::Mismatch),
    "bigcode" => Bad(Malformed::StartLine, None),
};

/// RFC 4475 3.2 to 3.4: the syntax is good, or an element must judge.
const SEMANTIC: &[Case] = cases! {
    "badbranch" => Valid(|m| {
        let via = m.top_via().unwrap();
        assert_eq!((via.branch(), via.rfc3261_branch()), (Some("z9hG4bK"), None));
    }),
    "insuf" => header(From, Why::Missing),
    "unkscm" => Valid(|m| assert_eq!(m.uri().unwrap().scheme(), Scheme::Other)),
    "novelsc" => Valid(|m| assert_eq!(m.uri().unwrap().scheme(), Scheme::Other)),
    "unksm2" => Valid(|m| {
        assert_eq!(m.to().unwrap().uri.as_str(), "isbn:2983792873");
        assert_eq!(m.contact().unwrap().uri.scheme(), Scheme::Other);
    }),
    "bext01" => Valid(|m| {
        assert_eq!(m.values(HeaderName::Require).count(), 2);
        assert!(m.has_token(HeaderName::ProxyRequire, "nothingsupportsthiseither"));
    }),
    "invut" => Valid(|m| {
        assert!(m.content_type().unwrap().unwrap().is("application", "unknownformat"));
    }),
    "regaut01" => Valid(|m| {
        let auth = m.auth(HeaderName::Authorization).next().unwrap().unwrap();
        assert_eq!(auth.scheme, "NoOneKnowsThisScheme");
        assert!(!auth.is_digest());
    }),
    "multi01" => header(From, Why::Repeated),
    "mcl01" => Bad(Malformed::ContentLength, Some(400)),
    "bcast" => Valid(|m| {
        let second = m.vias().nth(1).unwrap().unwrap();
        assert_eq!(second.host_str, "255.255.255.255");
    }),
    "zeromf" => Valid(|m| {
        assert_eq!(m.max_forwards(), Ok(Some(0)));
        let refused = m.edit().decrement_max_forwards().finish();
        let fault = Invalid::header(HeaderName::MaxForwards, Why::Range);
        assert_eq!(refused, Err(EditError::Source(fault)));
    }),
    "cparam01" => Valid(|m| {
        let contact = m.contact().unwrap();
        assert!(contact.params.contains("unknownparam") && !contact.uri.has_param("unknownparam"));
    }),
    "cparam02" => Valid(|m| {
        let contact = m.contact().unwrap();
        assert!(!contact.params.contains("unknownparam") && contact.uri.has_param("unknownparam"));
    }),
    "regescrt" => Valid(|m| {
        let contact = m.contact().unwrap();
        assert_eq!(contact.uri.headers().next(), Some(("Route", "%3Csip:sip.example.com%3E")));
    }),
    "sdp01" => Valid(|m| assert!(!m.has_token(HeaderName::Accept, "application/sdp"))),
    "inv2543" => Valid(|m| {
        assert_eq!(m.top_via().unwrap().branch(), None);
        assert_eq!((m.from_tag(), m.max_forwards()), (None, Ok(None)));
        assert_eq!(m.to().unwrap().params.get("user"), Some("phone"));
    }),
};

/// RFC 5118.
const IPV6: &[Case] = cases! {
    "ipv6-good" => Valid(|m| assert_eq!(host(m.request_uri()), "[2001:db8::10]")),
    "ipv6-bad" => REQUEST_URI,
    "port-ambiguous" => Valid(|m| {
        assert_eq!(host(m.request_uri()), "[2001:db8::10:5070]");
        assert_eq!(m.uri().unwrap().port(), None);
    }),
    "port-unambiguous" => Valid(|m| {
        assert_eq!(host(m.request_uri()), "[2001:db8::10]");
        assert_eq!(m.uri().unwrap().port(), Some(5070));
    }),
    "via-received-param-with-delim" => Valid(received),
    "via-received-param-no-delim" => Valid(received),
    "ipv6-in-sdp" => Valid(|m| assert!(!m.body().is_empty())),
    "mult-ip-in-header" => Valid(|m| {
        let ports: Vec<_> = m.vias().map(|via| via.unwrap().port).collect();
        assert_eq!(ports, [Some(6050), None, None]);
        let last = m.vias().last().unwrap().unwrap();
        assert_eq!(last.received(), Some("192.0.2.200".parse().unwrap()));
    }),
    "mult-ip-in-sdp" => Valid(|m| assert!(!m.body().is_empty())),
    "ipv4-mapped-ipv6" => Valid(|m| {
        assert_eq!(m.top_via().unwrap().host.to_string(), "[::ffff:192.0.2.10]");
        assert_eq!(m.contact().unwrap().uri.host_str(), "[::ffff:192.0.2.2]");
    }),
    "ipv6-bug-abnf-3-colons" => Valid(|m| {
        assert_eq!(host(m.request_uri()), "[2001:db8::c000:201]");
        assert!(m.request_uri().contains(":::"), "the spelling is kept");
    }),
    "ipv6-correct-abnf-2-colons" => Valid(|m| {
        assert_eq!(host(m.request_uri()), "[2001:db8::c000:201]");
    }),
};

fn host(uri: &str) -> String {
    Uri::parse(uri).unwrap().host().unwrap().to_string()
}

fn received(message: &Message) {
    let received = message.top_via().unwrap().received();
    assert_eq!(received, Some("2001:db8::9:255".parse().unwrap()));
}

fn wsinv(message: &Message) {
    assert_eq!(message.to_tag(), Some("1918181833n"));
    assert_eq!(message.from().unwrap().display_name(), "J Quote \\\"");
    assert_eq!(message.from_tag(), Some("98asjd8"));
    assert_eq!(message.max_forwards(), Ok(Some(68)));
    assert_eq!(message.cseq().unwrap().number, 9);
    assert_eq!(message.header(HeaderName::Subject), Some(""));
    assert_eq!(
        message.header_named("unknownheaderwithunusualvalue"),
        Some(";;,,;;,;")
    );
    let branches: Vec<_> = message
        .vias()
        .map(|via| via.unwrap().branch().unwrap())
        .collect();
    assert_eq!(branches, ["390skdjuw", "z9hG4bK9ikj8", "z9hG4bK30239"]);
    let route = message.routes().next().unwrap().unwrap();
    assert_eq!(route.uri.param("unknownwith"), Some("value"));
    assert!(route.is_loose_route() && route.uri.has_param("unknown-no-value"));
    let Some(Ok(ContactValue::Addr(contact))) = message.contacts().next() else {
        panic!("a Contact");
    };
    assert_eq!(contact.display_name(), "Quoted string \"\"");
    assert_eq!(contact.params.get("newparam"), Some("newvalue"));
    assert_eq!(contact.q(), Some(330));
}

fn intmeth(message: &Message) {
    let method = "!odd-Method0123456789_*+`.%indeed'~";
    assert_eq!(message.method().unwrap(), method);
    assert_eq!(message.cseq().unwrap().method, *method);
    let to = message.to().unwrap();
    assert_eq!(to.display_name(), "BEL:\u{7} NUL:\0 DEL:\u{7f}");
    assert!(to.uri.is_equivalent(message.uri().unwrap()));
    assert_eq!(
        to.uri.user(),
        Some("1_odd.URI~(to-be!sure)&isn't+it$/crazy?,/;;*")
    );
    assert_eq!(
        to.uri.password(),
        Some("&it+has=1,weird!*pas$wo~d_too.(doesn't-it)")
    );
    let from = message.from().unwrap();
    assert_eq!(from.display_name(), "token1~` token2'+_ token3*%!.-");
    assert_eq!(from.params.get("fromParam''~+*_!.-%"), Some("работающий"));
    assert_eq!(
        message.header_named("EXTENSIONHEADER-!.%*+_`'~"),
        Some("\u{feff}大停電")
    );
}

fn esc01(message: &Message) {
    let uri = message.uri().unwrap();
    assert_eq!(uri.scheme(), Scheme::Sip);
    assert_eq!(
        sip::uri::unescape(uri.user().unwrap()),
        "sips:user@example.com"
    );
    assert_eq!(uri.host(), Some(Host::Name("example.net")));
    assert_eq!(
        message.to().unwrap().uri.canonical(),
        "sip:user@example.com"
    );
    let contact = message.contact().unwrap().uri;
    let same = "sip:caller@host5.example.net;lr;name=value%2541";
    assert!(contact.is_equivalent(Uri::parse(same).unwrap()));
}

fn escnull(message: &Message) {
    let users: Vec<_> = message
        .contacts()
        .map(|contact| {
            contact
                .unwrap()
                .addr()
                .unwrap()
                .uri
                .user()
                .unwrap()
                .to_owned()
        })
        .collect();
    assert_eq!(users, ["%00", "%00%00"]);
    let [one, two] = ["sip:%00@host5.example.com", "sip:%00%00@host5.example.com"];
    assert!(
        !Uri::parse(one)
            .unwrap()
            .is_equivalent(Uri::parse(two).unwrap())
    );
}

fn esc02(message: &Message) {
    assert_eq!(message.method().unwrap(), "RE%47IST%45R");
    assert_eq!(message.to().unwrap().display_name(), "%Z%45");
    assert_eq!(message.contacts().count(), 2);
    assert_eq!(
        message.top_via().unwrap().branch(),
        Some("z9hG4bK209%fzsnel234")
    );
}

fn longreq(message: &Message) {
    assert_eq!(message.vias().count(), 34);
    assert_eq!(message.uri().unwrap().port(), None);
    assert_eq!(message.to().unwrap().uri.port(), Some(6000));
    assert!(
        message
            .vias()
            .last()
            .unwrap()
            .unwrap()
            .branch()
            .unwrap()
            .len()
            > 200
    );
}

/// All of them.
pub fn all() -> impl Iterator<Item = &'static Case> {
    [VALID, INVALID, SEMANTIC, IPV6].into_iter().flatten()
}
