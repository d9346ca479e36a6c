//! RFC 3261 19.1, RFC 3966, RFC 5031.

use super::*;

fn uri(text: &str) -> Uri<'_> {
    Uri::parse(text).unwrap_or_else(|| panic!("{text} is a URI"))
}

#[test]
fn each_part_of_a_sip_uri_is_found() {
    let all =
        uri("sips:alice:secret@[2001:db8::1]:5061;transport=tcp;lr?Subject=a%20b&Priority=urgent");
    assert_eq!((all.scheme(), all.scheme_str()), (Scheme::Sips, "sips"));
    assert_eq!(
        (all.user(), all.password()),
        (Some("alice"), Some("secret"))
    );
    assert_eq!(all.host().and_then(Host::ip), "2001:db8::1".parse().ok());
    assert_eq!((all.host_str(), all.port()), ("[2001:db8::1]", Some(5061)));
    assert_eq!(
        (all.param("Transport"), all.param("lr"), all.param("x")),
        (Some("tcp"), Some(""), None)
    );
    let headers: Vec<_> = all.headers().collect();
    assert_eq!(headers, [("Subject", "a%20b"), ("Priority", "urgent")]);
    assert_eq!(
        all.without_headers(),
        "sips:alice:secret@[2001:db8::1]:5061;transport=tcp;lr"
    );
    assert_eq!(all.to_owned().view().port(), Some(5061));
}

/// The examples of RFC 3261 19.1.3.
#[test]
fn the_examples_of_the_rfc_parse() {
    for text in [
        "sip:alice@atlanta.com",
        "sip:alice:secretword@atlanta.com;transport=tcp",
        "sips:alice@atlanta.com?subject=project%20x&priority=urgent",
        "sip:+1-212-555-1212:1234@gateway.com;user=phone",
        "sips:1212@gateway.com",
        "sip:alice@192.0.2.4",
        "sip:atlanta.com;method=REGISTER?to=alice%40atlanta.com",
        "sip:alice;day=tuesday@atlanta.com",
    ] {
        assert_eq!(uri(text).as_str(), text);
    }
}

#[test]
fn what_follows_no_grammar_is_refused() {
    for text in [
        "",
        "sip:",
        ":x",
        "1sip:x",
        "sip",
        "sip:@host",
        "sip:a@b@c",
        "sip:a b@c",
        "sip:a@",
        "sip:a@h:",
        "sip:a@h:99999",
        "sip:a@h:x",
        "sip:a@-h",
        "sip:a@h..x",
        "sip:a@.h",
        "sip:a@1.2.3",
        "sip:a@256.1.1.1",
        "sip:a@[::1",
        "sip:a@[::g]",
        "sip:a@[1.2.3.4]",
        "sip:a@h;",
        "sip:a@h;;lr",
        "sip:a@h;=x",
        "sip:a@h;x=",
        "sip:a@h?x",
        "sip:a@h?=x",
        "sip:a%4@h",
        "sip:a%zz@h",
        "sip:ä@h",
        "sip:a@h;lr x",
        "sip:a\"@h",
        "sip:<a@h>",
        "tel:",
        "tel:+",
        "tel:-()",
        "tel:+1a",
        "tel:12 34",
        "tel:12;",
        "urn:",
        "urn:x:y",
        "urn:service:",
        "x:",
        "x:a b",
        "x:<y>",
        "http://a\u{e4}",
        "sip:a@[2001:db8:::1]",
        "sip:a@h\u{0}",
    ] {
        assert!(Uri::parse(text).is_none(), "{text:?}");
    }
}

#[test]
fn parameters_are_counted() {
    let with = |count| format!("sip:h{}", ";p=1".repeat(count));
    assert!(Uri::parse(&with(crate::URI_PARAMS_MAX)).is_some());
    assert!(Uri::parse(&with(crate::URI_PARAMS_MAX + 1)).is_none());
}

#[test]
fn odd_but_legal_uris_parse() {
    for text in [
        "sip:h",
        "SIP:H",
        "sip:h.",
        "sip:a@h?x=",
        "sip:%00@h",
        "sip:a@h-1.x--y.z",
        "sip:a@p_cscf",
        "sip:a@1host",
        "sip:a:@h",
        "sip:&=+$,;?/@h",
        "sip:h;maddr=[::1];x=a:b/c",
        "tel:911",
        "tel:*21#;phone-context=+1",
        "tel:+1(201)555-0.123;ext=44",
        "urn:service:sos.fire",
        "urn:urn-7:3gpp-service.ims.icsi.mmtel",
        "urn:gsma:imei:90420156-025763-0;vers=0",
        "soap.beep://192.0.2.1:3002",
        "sip:a@[::ffff:1.2.3.4]",
    ] {
        uri(text);
    }
}

/// The examples of RFC 3261 19.1.4.
#[test]
fn equivalence_is_that_of_the_rfc() {
    for (a, b) in [
        (
            "sip:%61lice@atlanta.com;transport=TCP",
            "sip:alice@AtlanTa.CoM;Transport=tcp",
        ),
        ("sip:carol@chicago.com", "sip:carol@chicago.com;newparam=5"),
        ("sip:carol@chicago.com", "sip:carol@chicago.com;security=on"),
        (
            "sip:carol@chicago.com;newparam=5",
            "sip:carol@chicago.com;security=on",
        ),
        (
            "sip:biloxi.com;transport=tcp;method=REGISTER?to=sip:bob%40biloxi.com",
            "sip:biloxi.com;method=REGISTER;transport=tcp?to=sip:bob%40biloxi.com",
        ),
        (
            "sip:alice@atlanta.com?subject=project%20x&priority=urgent",
            "sip:alice@atlanta.com?priority=urgent&subject=project%20x",
        ),
        ("sip:a@[2001:DB8::1]", "sip:a@[2001:db8:0:0::1]"),
        ("tel:+1-201-555-0123", "TEL:+1(201)555.0123"),
        (
            "tel:7042;phone-context=Example.com;x=1",
            "tel:70-42;x=1;phone-context=example.COM",
        ),
        ("urn:service:SOS", "URN:Service:sos"),
    ] {
        assert!(uri(a).is_equivalent(uri(b)), "{a} {b}");
        assert!(uri(b).is_equivalent(uri(a)), "{b} {a}");
    }
    for (a, b) in [
        (
            "SIP:ALICE@AtLanTa.CoM;Transport=udp",
            "sip:alice@AtLanTa.CoM;Transport=UDP",
        ),
        ("sip:bob@biloxi.com", "sip:bob@biloxi.com:5060"),
        ("sip:bob@biloxi.com", "sips:bob@biloxi.com"),
        (
            "sip:bob@biloxi.com;transport=udp",
            "sip:bob@biloxi.com;transport=tcp",
        ),
        ("sip:bob@biloxi.com", "sip:bob@biloxi.com;transport=udp"),
        ("sip:bob@biloxi.com", "sip:bob@biloxi.com;maddr=h"),
        ("sip:bob@biloxi.com", "sip:bob@biloxi.com;user=phone"),
        ("sip:bob@biloxi.com", "sip:bob@biloxi.com;m%61ddr=h"),
        (
            "sip:carol@chicago.com",
            "sip:carol@chicago.com?Subject=next%20meeting",
        ),
        ("sip:bob@phone21.boxesbybob.com", "sip:bob@192.0.2.4"),
        ("sip:bob@h", "sip:h"),
        ("sip:bob:@h", "sip:bob@h"),
        ("sip:a%2Fb@h", "sip:a/b@h"),
        ("tel:+12015550123", "tel:12015550123"),
        ("tel:+12015550123", "tel:+12015550123;ext=1"),
        ("tel:+12015550123", "sip:+12015550123@h;user=phone"),
        ("x:y", "z:y"),
    ] {
        assert!(!uri(a).is_equivalent(uri(b)), "{a} {b}");
        assert!(!uri(b).is_equivalent(uri(a)), "{b} {a}");
    }
}

#[test]
fn the_canonical_form_is_one_for_all_spellings() {
    for (text, canonical) in [
        (
            "SIP:%61lice:pw@Home1.NET:5060;user=ip?x=y",
            "sip:alice@home1.net",
        ),
        ("sip:Alice@home1.net.", "sip:Alice@home1.net"),
        ("sip:a%2fb@h", "sip:a%2Fb@h"),
        ("sip:[2001:DB8:0::1]:5060", "sip:[2001:db8::1]"),
        ("tel:+1-(201)-555.0123;ext=7", "tel:+12015550123"),
        (
            "tel:70-42;phone-context=Home1.NET",
            "tel:7042;phone-context=home1.net",
        ),
        (
            "tel:70-42;phone-context=+1-201",
            "tel:7042;phone-context=+1201",
        ),
        ("URN:Service:SOS.Fire", "urn:service:sos.fire"),
        ("urn:GSMA:imei:9", "urn:gsma:imei:9"),
        ("HTTP://Example.com", "http://Example.com"),
    ] {
        assert_eq!(uri(text).canonical(), canonical);
        assert_eq!(uri(canonical).canonical(), canonical, "it is stable");
    }
}

#[test]
fn a_sip_uri_of_a_telephone_becomes_a_tel_uri() {
    let tel = |text| uri(text).to_tel();
    assert_eq!(
        tel("sip:+1-201-555@h;user=phone").as_deref(),
        Some("tel:+1201555")
    );
    assert_eq!(
        tel("sip:7042;phone-context=h.net@h;user=PHONE").as_deref(),
        Some("tel:7042;phone-context=h.net")
    );
    assert_eq!(tel("tel:+1-2").as_deref(), Some("tel:+12"));
    assert_eq!(tel("sip:+1201555@h"), None);
    assert_eq!(tel("sip:bob@h;user=phone"), None);
}

#[test]
fn escapes_are_removed_and_made() {
    assert_eq!(unescape("a%40b%"), "a@b%");
    assert_eq!(unescape("%ff"), "%ff");
    assert_eq!(unescape("%C3%A4"), "ä");
    assert_eq!(escape_user("a@b ä;c"), "a%40b%20%C3%A4;c");
    assert!(matches!(escape_user("alice"), Cow::Borrowed(_)));
}
