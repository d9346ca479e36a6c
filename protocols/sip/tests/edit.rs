//! Edits, responses, CANCEL and ACK: what they change, and that the index they leave is that of a
//! new parse.

use base::Entropy;
use sip::HeaderName::{
    self, CSeq, CallId, Contact, ContentLength, ContentType, From, MaxForwards, RecordRoute, Route,
    Supported, To, UserAgent, Via,
};
use sip::LINE_BYTES_MAX;
use sip::{Draft, EditError, Invalid, Message, Method, Why};

const INVITE: &str = "INVITE sip:bob@home2.test SIP/2.0\r\n\
    v: SIP/2.0/UDP p1.test;branch=z9hG4bKp1 , SIP/2.0/UDP ue.test:5061;branch=z9hG4bKue;rport\r\n\
    Max-Forwards: 70\r\n\
    Route: <sip:p2.test;lr>,<sip:p3.test;lr>\r\n\
    Route: <sip:p4.test;lr>\r\n\
    Record-Route: <sip:p1.test;lr>\r\n\
    From: \"A, B\" <sip:alice@home1.test>;tag=a1\r\n\
    To: <sip:bob@home2.test>\r\n\
    Call-ID: c1@ue.test\r\n\
    CSeq: 7 INVITE\r\n\
    Timestamp: 54\r\n\
    X-Thing: one\r\n\
    Content-Type: application/sdp\r\n\
    Content-Length: 5\r\n\r\n\
    v=0\r\n";

fn invite() -> Message {
    Message::parse(INVITE).unwrap()
}

fn values(message: &Message, name: HeaderName) -> Vec<&str> {
    message.values(name).collect()
}

/// The index that an edit computes must be the one a receiver makes.
fn assert_indexed_as_parsed(message: &Message) {
    let parsed = Message::parse(message.as_bytes()).unwrap();
    assert_eq!(parsed.as_bytes(), message.as_bytes());
    assert!(parsed.fields().eq(message.fields()), "{message:?}");
    assert_eq!(parsed.body(), message.body());
    assert_eq!(parsed.method(), message.method());
    assert_eq!(parsed.request_uri(), message.request_uri());
    assert_eq!(
        (parsed.status(), parsed.reason()),
        (message.status(), message.reason())
    );
    for &name in HeaderName::KNOWN {
        assert_eq!(parsed.has(name), message.has(name), "{name}");
    }
}

#[test]
fn an_edit_without_changes_is_the_message() {
    assert_eq!(
        invite().edit().finish().unwrap().as_bytes(),
        INVITE.as_bytes()
    );
}

#[test]
fn a_proxy_forwards_by_splicing() {
    let forwarded = invite()
        .edit()
        .set_request_uri("sip:bob@[2001:db8::2]:5060")
        .remove_first_value(Route)
        .decrement_max_forwards()
        .push_front(RecordRoute, "<sip:p2.test;lr>")
        .push_front(Via, "SIP/2.0/UDP p2.test;branch=z9hG4bKp2")
        .finish()
        .unwrap();
    assert_indexed_as_parsed(&forwarded);
    let expected = INVITE
        .replace(
            "INVITE sip:bob@home2.test",
            "INVITE sip:bob@[2001:db8::2]:5060",
        )
        .replace(
            "v: SIP",
            "Via: SIP/2.0/UDP p2.test;branch=z9hG4bKp2\r\nv: SIP",
        )
        .replace("Max-Forwards: 70", "Max-Forwards: 69")
        .replace("<sip:p2.test;lr>,", "")
        .replace(
            "Record-Route:",
            "Record-Route: <sip:p2.test;lr>\r\nRecord-Route:",
        );
    assert_eq!(forwarded.to_text(), expected);
    let back = forwarded.edit().remove_first_value(Via).finish().unwrap();
    assert_eq!(values(&back, Via), values(&invite(), Via));
}

#[test]
fn first_values_go_one_by_one_and_take_their_line_along() {
    let mut draft = invite().edit();
    let mut left = Vec::new();
    for _ in 0..4 {
        let message = draft.remove_first_value(Route).finish().unwrap();
        assert_indexed_as_parsed(&message);
        left.push(values(&message, Route).len());
    }
    assert_eq!(left, [2, 1, 0, 0]);
}

#[test]
fn a_comma_in_quotes_or_brackets_separates_nothing() {
    let request = invite()
        .edit()
        .replace(Contact, "\"a, b\" <sip:c,d@e>;x=\"1,2\", <sip:second>")
        .finish()
        .unwrap();
    let rest = request.edit().remove_first_value(Contact).finish().unwrap();
    assert_eq!(values(&rest, Contact), ["<sip:second>"]);
}

#[test]
fn lines_without_kin_have_their_place() {
    let bare = invite()
        .edit()
        .remove_all(Route)
        .remove_all(RecordRoute)
        .finish()
        .unwrap();
    let again = bare
        .edit()
        .push_front(Route, "<sip:r.test;lr>")
        .append(Supported, "path")
        .append(Via, "SIP/2.0/UDP last.test")
        .append_named("X-Other", "two")
        .append_named("k", "timer")
        .finish()
        .unwrap();
    assert_indexed_as_parsed(&again);
    let names: Vec<_> = again
        .fields()
        .map(|field| field.name_str.to_owned())
        .collect();
    assert_eq!(
        names,
        [
            "v",
            "Via",
            "Route",
            "Max-Forwards",
            "From",
            "To",
            "Call-ID",
            "CSeq",
            "Timestamp",
            "X-Thing",
            "Content-Type",
            "Content-Length",
            "Supported",
            "Supported",
            "X-Other",
        ]
    );
}

#[test]
fn unknown_headers_are_removed_by_name() {
    let without = invite()
        .edit()
        .remove_named("x-thing")
        .remove_named("V")
        .finish()
        .unwrap();
    assert_eq!(without.header_named("X-Thing"), None);
    assert!(!without.has(Via));
    assert_indexed_as_parsed(&without);
}

#[test]
fn a_body_brings_its_length_and_type() {
    let other = invite()
        .edit()
        .set_body("text/plain", vec![0, 255, 13, 10])
        .finish()
        .unwrap();
    assert_eq!(other.body(), [0, 255, 13, 10]);
    assert_eq!(
        (other.header(ContentLength), other.header(ContentType)),
        (Some("4"), Some("text/plain"))
    );
    let none = other.edit().remove_body().finish().unwrap();
    assert_eq!(
        (none.header(ContentLength), none.header(ContentType)),
        (Some("0"), None)
    );
    assert_indexed_as_parsed(&other);
    assert_indexed_as_parsed(&none);
}

#[test]
fn a_message_without_content_length_gains_it() {
    let text = INVITE.replace("Content-Length: 5\r\n", "");
    let message = Message::parse(text).unwrap();
    assert_eq!(message.body(), b"v=0\r\n");
    assert_eq!(
        message.edit().finish().unwrap().header(ContentLength),
        Some("5")
    );
}

#[test]
fn via_parameters_are_set_in_place_or_added() {
    let once = invite()
        .edit()
        .set_top_via_param("received", "2001:db8::9")
        .finish()
        .unwrap();
    assert_eq!(
        values(&once, Via)[0],
        "SIP/2.0/UDP p1.test;branch=z9hG4bKp1;received=2001:db8::9"
    );
    assert_eq!(values(&once, Via).len(), 2);
    let popped = once
        .edit()
        .remove_first_value(Via)
        .set_top_via_param("rport", "40000")
        .set_top_via_param("received", "192.0.2.9")
        .finish()
        .unwrap();
    let via = popped.top_via().unwrap();
    assert_eq!(
        (via.rport(), via.received()),
        (Some(40_000), "192.0.2.9".parse().ok())
    );
    assert_eq!(via.branch(), Some("z9hG4bKue"));
    assert_indexed_as_parsed(&popped);
}

#[test]
fn max_forwards_is_counted_down_or_started() {
    let start = invite()
        .edit()
        .remove_all(MaxForwards)
        .decrement_max_forwards()
        .finish()
        .unwrap();
    assert_eq!(start.max_forwards(), Ok(Some(70)));
    let refused = |value, why| {
        let result = invite()
            .edit()
            .replace(MaxForwards, value)
            .decrement_max_forwards()
            .finish();
        assert_eq!(
            result,
            Err(EditError::Source(Invalid::header(MaxForwards, why)))
        );
    };
    refused("0", Why::Range);
    refused("many", Why::Syntax);
    refused("300", Why::Syntax);
}

#[test]
fn no_value_can_smuggle_in_a_line() {
    for value in ["a\r\nVia: x", "a\nb", "a\rb", "\r\n\r\nbody"] {
        assert_eq!(
            invite().edit().append(UserAgent, value).finish(),
            Err(EditError::LineBreak(UserAgent))
        );
        assert_eq!(
            invite().edit().replace(To, value).finish(),
            Err(EditError::LineBreak(To))
        );
        let via = invite()
            .edit()
            .set_top_via_param("received", value)
            .finish();
        assert_eq!(via, Err(EditError::LineBreak(Via)));
        assert!(invite().response(200, value).finish().is_err());
        assert!(invite().edit().set_request_uri(value).finish().is_err());
        assert!(invite().edit().append_named(value, "x").finish().is_err());
        assert!(invite().response(200, "").to_tag(value).finish().is_err());
    }
    assert_eq!(
        invite().edit().append(HeaderName::Other, "x").finish(),
        Err(EditError::Name)
    );
    assert_eq!(
        invite().edit().set_request_uri("sip:a b").finish(),
        Err(EditError::StartLine)
    );
    assert_eq!(
        invite().response(99, "").finish(),
        Err(EditError::StartLine)
    );
    assert_eq!(
        invite().response(700, "").finish(),
        Err(EditError::StartLine)
    );
}

#[test]
fn the_first_refusal_is_the_one_returned() {
    let result = invite()
        .edit()
        .append(HeaderName::Other, "x")
        .append(To, "\n")
        .finish();
    assert_eq!(result, Err(EditError::Name));
}

#[test]
fn what_grows_too_long_is_refused() {
    let long = "x".repeat(LINE_BYTES_MAX);
    assert_eq!(
        invite().edit().append(UserAgent, &long).finish(),
        Err(EditError::TooLong)
    );
    assert_eq!(
        invite().response(200, &long).finish(),
        Err(EditError::StartLine)
    );
    assert_eq!(
        invite()
            .edit()
            .set_request_uri(&format!("sip:{long}"))
            .finish(),
        Err(EditError::StartLine)
    );
    let fits = "x".repeat(LINE_BYTES_MAX - 16);
    assert_indexed_as_parsed(&invite().edit().append(UserAgent, &fits).finish().unwrap());
    assert_indexed_as_parsed(&invite().response(200, &fits).finish().unwrap());
    assert_eq!(
        invite()
            .edit()
            .append(UserAgent, &fits)
            .append(UserAgent, &fits)
            .append(UserAgent, &fits)
            .append(UserAgent, &fits)
            .append(UserAgent, &fits)
            .finish(),
        Err(EditError::TooLong)
    );
    assert_eq!(
        invite().edit().set_body("a/b", vec![0; 65_530]).finish(),
        Err(EditError::TooLong)
    );
    let mut many = invite().edit();
    for _ in 0..sip::HEADERS_MAX {
        many.append(Supported, "x");
    }
    assert_eq!(many.finish(), Err(EditError::TooLong));
}

#[test]
fn a_response_copies_what_rfc_3261_8_2_6_names() {
    let ringing = invite()
        .response(180, "")
        .to_tag("b1")
        .copy(RecordRoute)
        .finish()
        .unwrap();
    assert_indexed_as_parsed(&ringing);
    assert_eq!((ringing.status(), ringing.reason()), (Some(180), "Ringing"));
    for name in [Via, From, CallId, CSeq, RecordRoute] {
        assert_eq!(values(&ringing, name), values(&invite(), name), "{name}");
    }
    assert_eq!(ringing.to_tag(), Some("b1"));
    assert_eq!(ringing.header(ContentLength), Some("0"));
    assert!(!ringing.has(HeaderName::Timestamp) && !ringing.has(MaxForwards));
    assert!(ringing.body().is_empty());

    let trying = invite().response(100, "").finish().unwrap();
    assert_eq!(
        (trying.to_tag(), trying.header(HeaderName::Timestamp)),
        (None, Some("54"))
    );

    let again = invite()
        .edit()
        .replace(To, "<sip:bob@home2.test>;tag=old")
        .finish()
        .unwrap();
    assert_eq!(
        again
            .response(200, "")
            .to_tag("new")
            .finish()
            .unwrap()
            .to_tag(),
        Some("old")
    );
}

#[test]
fn cancel_is_that_of_rfc_3261_9_1() {
    let cancel = Draft::cancel(&invite()).finish().unwrap();
    assert_indexed_as_parsed(&cancel);
    assert_eq!(cancel.validate(), Ok(()));
    assert_eq!(
        (cancel.method(), cancel.request_uri()),
        (Some(&Method::Cancel), invite().request_uri())
    );
    assert_eq!(values(&cancel, Via), values(&invite(), Via)[..1]);
    for name in [Route, From, To, CallId] {
        assert_eq!(values(&cancel, name), values(&invite(), name), "{name}");
    }
    assert_eq!(cancel.header(CSeq), Some("7 CANCEL"));
    assert!(!cancel.has(HeaderName::Require) && !cancel.has(ContentType));
}

#[test]
fn ack_is_that_of_rfc_3261_17_1_1_3() {
    let busy = invite().response(486, "").to_tag("b2").finish().unwrap();
    let ack = Draft::ack(&invite(), &busy).finish().unwrap();
    assert_indexed_as_parsed(&ack);
    assert_eq!(ack.validate(), Ok(()));
    assert_eq!(values(&ack, Via), values(&invite(), Via)[..1]);
    assert_eq!((ack.to_tag(), ack.from_tag()), (Some("b2"), Some("a1")));
    assert_eq!(
        (ack.header(CSeq), ack.header(CallId)),
        (Some("7 ACK"), Some("c1@ue.test"))
    );
    assert_eq!(values(&ack, Route).len(), 3);

    let without = busy.edit().remove_all(To).finish().unwrap();
    let missing = Err(EditError::Source(Invalid::header(To, Why::Missing)));
    assert_eq!(Draft::ack(&invite(), &without).finish(), missing);
}

#[test]
fn a_request_is_made_from_parts() {
    let request = Draft::request(&Method::Options, "sip:h")
        .append(Via, "SIP/2.0/UDP a;branch=z9hG4bK1")
        .append(From, "<sip:a>;tag=1")
        .append(To, "<sip:h>")
        .append(CallId, "x")
        .append(CSeq, "1 OPTIONS")
        .append(MaxForwards, "70")
        .set_request_uri("sip:i")
        .set_date(1_289_690_940)
        .finish()
        .unwrap();
    assert_indexed_as_parsed(&request);
    assert_eq!(request.validate(), Ok(()));
    assert_eq!(request.request_uri(), "sip:i");
    assert_eq!(request.date(), Ok(Some(1_289_690_940)));
    assert_eq!(
        request.header(HeaderName::Date),
        Some("Sat, 13 Nov 2010 23:29:00 GMT")
    );
    let names: Vec<_> = request.fields().map(|field| field.name).collect();
    assert_eq!(names[..3], [Via, MaxForwards, From]);
}

/// Random edits one after another: each result indexes as it parses, and its text is what the next
/// edit sees.
#[test]
fn any_sequence_of_edits_leaves_the_index_of_a_parse() {
    let seed = 20_261_120;
    println!("seed {seed}");
    let mut entropy = Entropy::from_u64(seed);
    let names = [
        Via,
        Route,
        RecordRoute,
        To,
        Contact,
        Supported,
        MaxForwards,
        UserAgent,
        ContentLength,
    ];
    for _ in 0..300 {
        let mut message = invite();
        for _ in 0..4 {
            let mut draft = message.edit();
            for _ in 0..entropy.below(5) {
                let name = names[entropy.below(names.len() as u64) as usize];
                let value = format!("<sip:{}>, <sip:y>", entropy.token_string());
                match entropy.below(8) {
                    0 => draft.push_front(name, &value),
                    1 => draft.append(name, &value),
                    2 | 3 => draft.remove_first_value(name),
                    4 => draft.remove_all(name),
                    5 => draft.replace(name, &value),
                    6 => draft.set_body("a/b", entropy.token_string()),
                    _ => draft.append_named("X-New", &value),
                };
            }
            message = draft.finish().unwrap();
            assert_indexed_as_parsed(&message);
        }
    }
}
