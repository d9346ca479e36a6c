//! Header values: what parses into what, and what is refused.

use super::*;
use crate::Why;

#[test]
fn parameters_are_found_whatever_their_spelling() {
    let params = Params::parse(" ; a = 1 ;b;C=\"x;\\\"y\" ; d=<https://x/;y>;e==").unwrap();
    assert_eq!(params.get("A"), Some("1"));
    assert_eq!(params.get("b"), Some(""));
    assert_eq!(params.get("c"), Some("x;\\\"y"));
    assert_eq!(params.get_unescaped("c").unwrap(), "x;\"y");
    assert_eq!(params.get("d"), Some("<https://x/;y>"));
    assert_eq!(params.get("e"), Some("="));
    assert_eq!(params.get("f"), None);
    assert!(params.contains("B") && !params.is_empty());
    let raw: Vec<_> = params.iter().map(|(_, value)| value).collect();
    assert_eq!(raw[2], Some("\"x;\\\"y\""));
    assert!(Params::parse("").unwrap().is_empty());
}

#[test]
fn malformed_parameters_are_refused() {
    for text in [
        ";",
        ";;",
        "a",
        ";a=",
        ";a b",
        ";=b",
        ";a=\"x",
        ";a=b c",
        ";a=\"x\"y",
        ";a,b",
        ";a=<x",
        "x;a",
    ] {
        assert_eq!(Params::parse(text), Err(Why::Syntax), "{text}");
    }
}

#[test]
fn addresses_with_and_without_brackets_differ_in_whose_parameters_they_are() {
    let bare = NameAddr::parse("sip:a@h;tag=1").unwrap();
    assert_eq!(
        (bare.tag(), bare.uri.as_str(), bare.is_bracketed()),
        (Some("1"), "sip:a@h", false)
    );
    let bracketed = NameAddr::parse(" \"A, \\\"B\\\"\" <sip:a@h;x?y=z> ; tag = 2 ").unwrap();
    assert_eq!(bracketed.display_name(), "A, \"B\"");
    assert_eq!(bracketed.uri.as_str(), "sip:a@h;x?y=z");
    assert_eq!(
        (bracketed.tag(), bracketed.is_bracketed()),
        (Some("2"), true)
    );
    assert_eq!(
        NameAddr::parse("Ünï cödé <tel:+1>").unwrap().display_name(),
        "Ünï cödé"
    );
    assert_eq!(NameAddr::parse("<sip:h>").unwrap().display_name(), "");
    assert_eq!(NameAddr::parse("<sip:h>;tag").unwrap().tag(), None);
}

#[test]
fn malformed_addresses_are_refused() {
    for text in [
        "",
        "<>",
        "sip:a@h?x=y",
        "sip:a,b@h",
        "\"a <sip:h>",
        "\"a\" sip:h",
        "a, b <sip:h>",
        "< sip:h>",
        "<sip:h >",
        "<sip:h",
        "sip:h>",
        "<sip:h>x",
        "<sip:h> ;",
        "a <b> <sip:h>",
        "nothing",
        "*",
        "<sip:h>, <sip:i>",
        "sip:h tag=1",
        "\"a\"",
        "\"a\\\"<sip:h>",
    ] {
        assert!(NameAddr::parse(text).is_err(), "{text}");
    }
}

#[test]
fn contacts_are_stars_or_addresses_with_expires_and_q() {
    assert!(matches!(Contact::parse(" * "), Ok(Contact::Star)));
    let of = |text| Contact::parse(text).unwrap().addr().unwrap();
    assert_eq!(of("<sip:h>;expires=60;q=0.5").expires(), Some(60));
    assert_eq!(of("<sip:h>;expires=\"60\"").expires(), Some(60));
    assert_eq!(of("<sip:h>;expires=later").expires(), None);
    for (text, q) in [
        ("1", Some(1000)),
        ("1.000", Some(1000)),
        ("0.", Some(0)),
        ("0.33", Some(330)),
        ("0.005", Some(5)),
        ("1.001", None),
        ("2", None),
        ("0.1234", None),
        (".5", None),
        ("-0", None),
    ] {
        let contact = format!("<sip:h>;q={text}");
        assert_eq!(NameAddr::parse(&contact).unwrap().q(), q, "{text}");
    }
}

#[test]
fn via_is_read_with_blanks_anywhere() {
    let via = Via::parse(
        "SIP / 2.0 / tls-sctp  [2001:db8::1] : 5061 ;rport; received=1.2.3.4;branch=z9hG4bKx;ttl=9",
    )
    .unwrap();
    assert!(via.is_sip_2() && via.wants_rport());
    assert_eq!(
        (via.transport(), via.transport_str),
        (Transport::TlsSctp, "tls-sctp")
    );
    assert_eq!((via.host_str, via.port), ("[2001:db8::1]", Some(5061)));
    assert_eq!(
        (via.rport(), via.received()),
        (None, "1.2.3.4".parse().ok())
    );
    assert_eq!(
        (via.rfc3261_branch(), via.ttl()),
        (Some("z9hG4bKx"), Some(9))
    );
    assert_eq!(
        Via::parse("SIP/2.0/UDP h;rport=5070").unwrap().rport(),
        Some(5070)
    );
    assert_eq!(
        Via::parse("SIP/2.0/UDP h;branch=Z9hg4BKx")
            .unwrap()
            .rfc3261_branch(),
        Some("Z9hg4BKx")
    );
    assert!(!Via::parse("SIP/3.0/UDP h").unwrap().is_sip_2());
}

#[test]
fn malformed_vias_are_refused() {
    for text in [
        "",
        "SIP/2.0/UDP",
        "SIP/2.0/UDP ",
        "SIP/2.0 UDP h",
        "SIP/2.0/UDP h:",
        "SIP/2.0/UDP h:99999",
        "SIP/2.0/UDP h i",
        "SIP/2.0/UDP [::1",
        "SIP/2.0/UDP ::1",
        "SIP/2.0/UDP h;;x",
        "/2.0/UDP h",
        "SIP//UDP h",
        "SIP/2.0/U@P h",
        "SIP/2.0/UDP h,",
        "SIP/2.0/UDP h:5060x",
    ] {
        assert!(Via::parse(text).is_err(), "{text}");
    }
}

#[test]
fn numbers_have_their_ranges() {
    assert_eq!(CSeq::parse("2147483647  BYE").unwrap().number, 0x7fff_ffff);
    assert_eq!(CSeq::parse("2147483648 BYE"), Err(Why::Range));
    assert_eq!(CSeq::parse("99999999999999999999 BYE"), Err(Why::Range));
    for text in [
        "",
        "1",
        "1 ",
        "BYE 1",
        "-1 BYE",
        "+1 BYE",
        "1 B YE",
        "1\u{a0}BYE",
        "0x1 BYE",
    ] {
        assert_eq!(CSeq::parse(text), Err(Why::Syntax), "{text}");
    }
    let rack = RAck::parse("776656 1 INVITE").unwrap();
    assert_eq!(
        (rack.rseq, rack.cseq.number, rack.cseq.method.as_str()),
        (776_656, 1, "INVITE")
    );
    assert!(RAck::parse("1 INVITE").is_err());
    assert_eq!(seconds("4294967295"), Ok(u32::MAX));
    assert_eq!(seconds("4294967296"), Err(Why::Range));
    assert_eq!(seconds("+1"), Err(Why::Syntax));
}

#[test]
fn session_expires_and_retry_after_carry_parameters() {
    let session = SessionExpires::parse("1800 ; refresher=UAS").unwrap();
    assert_eq!(
        (session.seconds, session.refresher),
        (1800, Some(Refresher::Uas))
    );
    assert_eq!(SessionExpires::parse("90").unwrap().refresher, None);
    assert!(SessionExpires::parse("90;refresher=me").is_err());
    let retry = RetryAfter::parse("18000 (in a (long\\)) meeting);duration=3600").unwrap();
    assert_eq!(
        (retry.seconds, retry.params.get("duration")),
        (18_000, Some("3600"))
    );
    assert_eq!(RetryAfter::parse("5").unwrap().seconds, 5);
    for text in ["", "x", "5 (open", "5 6", "5 (a) b"] {
        assert!(RetryAfter::parse(text).is_err(), "{text}");
    }
}

#[test]
fn tokens_and_media_types_have_no_case() {
    let reason = TokenParams::parse("Q.850 ;cause=16 ;text=\"Terminated\"").unwrap();
    assert_eq!(
        (reason.token, reason.params.get("cause")),
        ("Q.850", Some("16"))
    );
    assert!(TokenParams::parse("a b").is_err());
    let media = ContentType::parse("Multipart / Mixed;boundary=\"a;b\"").unwrap();
    assert!(media.is("multipart", "MIXED"));
    assert_eq!(media.params.get("boundary"), Some("a;b"));
    assert!(ContentType::parse("text").is_err() && ContentType::parse("/plain").is_err());
}

#[test]
fn challenges_and_credentials_are_key_and_value() {
    let text = "Digest realm=\"a \\\"b\\\", c\", nonce=\"n==\" ,algorithm = AKAv1-MD5, qop=\"auth,auth-int\",nc=00000001";
    let auth = AuthParams::parse(text).unwrap();
    assert!(auth.is_digest());
    assert_eq!(auth.get("Realm").unwrap(), "a \"b\", c");
    assert_eq!(auth.get("nonce").unwrap(), "n==");
    assert_eq!(auth.get("algorithm").unwrap(), "AKAv1-MD5");
    assert_eq!(auth.get("qop").unwrap(), "auth,auth-int");
    assert_eq!(
        (auth.get("nc").unwrap(), auth.get("cnonce")),
        ("00000001".into(), None)
    );
    assert_eq!(
        AuthParams::parse_info("nextnonce=\"x\"")
            .unwrap()
            .get("nextnonce")
            .unwrap(),
        "x"
    );
    for text in [
        "",
        "Digest realm",
        "Digest realm=\"x",
        "Digest realm=x y",
        "Digest realm=\"x\"y",
        "Di<gest a=b",
    ] {
        assert!(AuthParams::parse(text).is_err(), "{text}");
    }
}

#[test]
fn a_call_id_is_one_or_two_words() {
    for text in ["a", "a@b", "f81d4fae-7dec@[::1]", "()<>:\\\"/[]?{}"] {
        assert_eq!(call_id(text), Ok(text));
    }
    for text in ["", "@b", "a@", "a@b@c", "a b", "a,b", "ä"] {
        assert!(call_id(text).is_err(), "{text}");
    }
}
