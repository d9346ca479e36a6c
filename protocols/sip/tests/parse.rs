//! What is a message and what is not: start lines, lines, lengths, limits.

use sip::HeaderName::{self, Contact, Subject, Supported, To, UserAgent, Via};
use sip::{
    HEADERS_MAX, Invalid, LINE_BYTES_MAX, MESSAGE_BYTES_MAX, Malformed, Message, Method, Part, Why,
};

const HEADERS: &str = "Via: SIP/2.0/UDP a.test;branch=z9hG4bK1\r\nFrom: <sip:a@a.test>;tag=1\r\n\
    To: <sip:b@b.test>\r\nCall-ID: x\r\nCSeq: 1 OPTIONS\r\n";

fn with(line: &str) -> String {
    format!("OPTIONS sip:b@b.test SIP/2.0\r\n{HEADERS}{line}\r\n\r\n")
}

fn fault(text: impl Into<Vec<u8>>) -> Malformed {
    Message::parse(text)
        .expect_err("the message is malformed")
        .fault
}

fn start(line: &str) -> Result<Message, sip::ParseError> {
    Message::parse(format!("{line}\r\n{HEADERS}\r\n"))
}

#[test]
fn start_lines_are_strict() {
    for line in [
        "OPTIONS sip:b  SIP/2.0",
        "OPTIONS  sip:b SIP/2.0",
        " OPTIONS sip:b SIP/2.0",
        "OPTIONS sip:b SIP/2.0 ",
        "OPTIONS\tsip:b SIP/2.0",
        "OPTIONS sip:b",
        "OPTIONS SIP/2.0",
        "OPTIONS",
        "OPT<IONS sip:b SIP/2.0",
        "OPTIONS sip:b SIP",
        "OPTIONS sip:b SIP/2",
        "OPTIONS sip:b SIP/2.0.0",
        "OPTIONS sip:b HTTP/1.1",
        "OPTIONS <sip:b> SIP/2.0",
        "OPTIONS sip:\u{1}b SIP/2.0",
        "SIP/2.0 20 OK",
        "SIP/2.0 2000 OK",
        "SIP/2.0  200 OK",
        "SIP/2.0 200",
        "SIP/2.0 099 x",
        "SIP/2.0 700 x",
        "SIP/2.0 2x0 OK",
        "SIP/2.0",
        "",
    ] {
        let error = start(line).expect_err(line);
        assert!(
            matches!(error.fault, Malformed::StartLine | Malformed::HeaderLine),
            "{line}: {error}"
        );
    }
    for line in [
        "OPTIONS sip:b SIP/3.0",
        "OPTIONS sip:b SIP/2.1",
        "SIP/1.0 200 OK",
    ] {
        assert_eq!(
            start(line).expect_err(line).fault,
            Malformed::Version,
            "{line}"
        );
    }
    for line in [
        "OPTIONS sip:b sip/2.0",
        "sIp/2.0 200 OK",
        "SIP/2.0 699 ",
        "options x:y SIP/2.0",
    ] {
        start(line).expect(line);
    }
}

#[test]
fn the_start_line_says_what_the_message_is() {
    let request = start("NOTIFY tel:+1 SIP/2.0").unwrap();
    assert!(request.is_request() && request.is_method(&Method::Notify));
    assert_eq!(
        (request.request_uri(), request.status(), request.reason()),
        ("tel:+1", None, "")
    );
    let response = start("SIP/2.0 183 Session  Prögress ").unwrap();
    assert_eq!(
        (response.status(), response.reason()),
        (Some(183), "Session  Prögress ")
    );
    assert_eq!((response.method(), response.request_uri()), (None, ""));
    let none = Invalid {
        part: Part::RequestUri,
        why: Why::Missing,
    };
    assert_eq!(response.uri().unwrap_err(), none);
}

#[test]
fn keep_alives_are_no_messages() {
    for bytes in [&b""[..], b"\r\n", b"\r\n\r\n", b"\0\0\0\0"] {
        assert!(sip::is_keep_alive(bytes));
        let error = Message::parse(bytes).expect_err("nothing is there");
        assert!(error.fault == Malformed::Empty && error.answerable().is_none());
    }
    let text = format!("\r\n\r\n{}", with("s: x"));
    assert_eq!(Message::parse(text).unwrap().header(Subject), Some("x"));
}

#[test]
fn folds_are_blanks_of_the_same_room() {
    let text = with("Subject:\r\n I know\r\n \t you're\r\n\tthere  ");
    let message = Message::parse(text.as_str()).unwrap();
    assert_eq!(message.header(Subject), Some("I know   \t you're  \tthere"));
    assert_eq!(message.as_bytes().len(), text.len());
    assert!(!message.to_text().contains("\r\n "));
    assert_eq!(
        Message::parse(with("s: \r\n ")).unwrap().header(Subject),
        Some("")
    );
}

#[test]
fn names_are_found_in_every_form() {
    let message =
        Message::parse(with("sUBJECT  \t:1\r\ns: 2\r\nX-New:3\r\nx-nEW : 4\r\nk:")).unwrap();
    assert_eq!(message.headers(Subject).collect::<Vec<_>>(), ["1", "2"]);
    assert_eq!(message.headers_named("subject").count(), 2);
    assert_eq!(
        message.headers_named("X-NEW").collect::<Vec<_>>(),
        ["3", "4"]
    );
    assert_eq!(
        (message.header_named("S"), message.header_named("x-old")),
        (Some("1"), None)
    );
    assert_eq!(
        (message.header(Supported), message.values(Supported).count()),
        (Some(""), 0)
    );
    assert!(message.has(Supported) && !message.has(UserAgent));
    let field = message.fields().last().unwrap();
    assert_eq!(
        (field.name, field.name_str, field.value),
        (Supported, "k", "")
    );
}

#[test]
fn values_are_split_at_commas_outside_quotes_and_brackets() {
    let message = Message::parse(with(
        "m: \"a, \\\", b\" <sip:a,b@c> , <sip:d>\r\nContact: sip:e",
    ))
    .unwrap();
    let contacts: Vec<_> = message.values(Contact).collect();
    assert_eq!(contacts, ["\"a, \\\", b\" <sip:a,b@c>", "<sip:d>", "sip:e"]);
    let odd = Message::parse(with("Contact: a,,b,")).unwrap();
    assert_eq!(odd.values(Contact).collect::<Vec<_>>(), ["a", "", "b", ""]);
    let open = Message::parse(with("Contact: \"a, <sip:b>\r\nSupported: <a, b")).unwrap();
    assert_eq!(
        (open.values(Contact).count(), open.values(Supported).count()),
        (1, 1)
    );
    assert!(message.has_token(HeaderName::CSeq, "1 options"));
}

#[test]
fn header_lines_are_strict_and_the_rest_is_kept() {
    for line in [
        "Subject",
        ": x",
        "Sub ject: x",
        "Sub\u{e4}: x",
        "Su<b: x",
        "\"s\": x",
    ] {
        let error = Message::parse(with(line)).expect_err(line);
        assert_eq!(error.fault, Malformed::HeaderLine, "{line}");
        let partial = error.answerable().expect("its own headers are readable");
        assert_eq!(partial.fields().count(), 5);
        assert_eq!(&with(line)[error.offset..][..line.len()], line);
    }
}

#[test]
fn lone_line_ends_are_refused_and_never_copied() {
    for line in [
        "Subject: a\nb",
        "Subject: a\rb",
        "Subject: a\r\r",
        "Su\nbject: a",
    ] {
        assert_eq!(fault(with(line)), Malformed::LineEnd, "{line:?}");
    }
    let text = with("s: x").replace("Call-ID: x", "Call-ID: x\nVia: y");
    let error = Message::parse(text).unwrap_err();
    assert!(
        error
            .partial()
            .is_some_and(|partial| !partial.has(HeaderName::CallId))
    );
    assert!(
        error.answerable().is_none(),
        "what it would copy is not whole"
    );
}

#[test]
fn the_head_is_utf_8() {
    let mut text = with("Subject: xx").into_bytes();
    let at = text.windows(2).position(|pair| pair == b"xx").unwrap();
    text[at] = 0xe4;
    let error = Message::parse(text).unwrap_err();
    assert_eq!((error.fault, error.offset), (Malformed::Utf8, at));
    assert!(
        error
            .answerable()
            .is_some_and(|partial| !partial.has(Subject))
    );
    assert_eq!(fault(b"OPTIONS sip:\xff SIP/2.0\r\n\r\n"), Malformed::Utf8);
    assert_eq!(
        fault(b"OPTI\xffONS sip:a SIP/2.0\r\n\r\n"),
        Malformed::StartLine
    );
}

#[test]
fn content_length_cuts_the_body_of_a_datagram() {
    let body = |length: &str| Message::parse(format!("{}12345", with(&format!("l: {length}"))));
    assert_eq!(body("5").unwrap().body(), b"12345");
    assert_eq!(body("0003").unwrap().body(), b"123");
    assert_eq!(body("0").unwrap().body(), b"");
    assert_eq!(body("6").unwrap_err().fault, Malformed::BodyShort);
    for bad in [
        "",
        "-1",
        "+1",
        "1 1",
        "x",
        "1,1",
        "99999999999",
        "1\r\nl: 1",
    ] {
        assert_eq!(
            body(bad).unwrap_err().fault,
            Malformed::ContentLength,
            "{bad:?}"
        );
    }
    assert_eq!(
        Message::parse(format!("{}12345", with("s: x")))
            .unwrap()
            .body(),
        b"12345"
    );
}

#[test]
fn limits_hold_and_what_was_read_is_answerable() {
    let long = "x".repeat(LINE_BYTES_MAX);
    let error = Message::parse(with(&format!("s: {long}"))).unwrap_err();
    assert_eq!((error.fault, error.status()), (Malformed::LineTooLong, 513));
    assert!(error.answerable().is_some());
    let fits = "x".repeat(LINE_BYTES_MAX - 3);
    assert_eq!(
        Message::parse(with(&format!("s: {fits}")))
            .unwrap()
            .header(Subject),
        Some(&*fits)
    );

    let lines = |count| with(vec!["a: b"; count].join("\r\n").as_str());
    assert!(Message::parse(lines(HEADERS_MAX - 5)).is_ok());
    let error = Message::parse(lines(HEADERS_MAX - 4)).unwrap_err();
    assert_eq!(error.fault, Malformed::TooManyHeaders);
    assert!(error.answerable().is_some());

    let fill = MESSAGE_BYTES_MAX - with("s: x").len();
    let full = |extra| Message::parse(format!("{}{}", with("s: x"), "y".repeat(fill + extra)));
    assert_eq!(full(0).unwrap().as_bytes().len(), MESSAGE_BYTES_MAX);
    assert_eq!(full(1).unwrap_err().fault, Malformed::TooLong);
}

#[test]
fn an_ack_or_a_response_is_never_answered() {
    let bad = with("bad").replace("OPTIONS sip", "ACK sip");
    let error = Message::parse(bad).unwrap_err();
    assert!(error.partial().is_some() && error.answerable().is_none());
    assert!(start("SIP/2.0 200 OK").unwrap().validate().is_ok());
    let error = Message::parse(format!("SIP/2.0 200 OK\r\n{HEADERS}bad\r\n\r\n")).unwrap_err();
    assert!(error.partial().is_some() && error.answerable().is_none());
}

#[test]
fn what_must_be_there_is_named() {
    for (name, line) in [
        (Via, "Via: SIP/2.0/UDP a.test;branch=z9hG4bK1\r\n"),
        (HeaderName::From, "From: <sip:a@a.test>;tag=1\r\n"),
        (To, "To: <sip:b@b.test>\r\n"),
        (HeaderName::CallId, "Call-ID: x\r\n"),
        (HeaderName::CSeq, "CSeq: 1 OPTIONS\r\n"),
    ] {
        let without = Message::parse(with("s: x").replace(line, "")).unwrap();
        let fault = without.validate().unwrap_err();
        assert_eq!(fault, Invalid::header(name, Why::Missing));
        assert_eq!(
            (fault.status(), fault.reason()),
            (400, format!("Missing {name}"))
        );
        let twice = Message::parse(with("s: x").replace(line, &format!("{line}{line}"))).unwrap();
        let expected = if name == Via {
            Ok(())
        } else {
            Err(Invalid::header(name, Why::Repeated))
        };
        assert_eq!(twice.validate(), expected);
    }
    for (line, reason) in [
        (
            "Max-Forwards: 1\r\nMAX-FORWARDS : 1",
            "Repeated Max-Forwards",
        ),
        ("Max-Forwards: 256", "Out-of-Range Max-Forwards"),
        ("Max-Forwards: x", "Bad Max-Forwards"),
        ("Route: sip:a", "Bad Route"),
        ("Record-Route: <sip:a>, x", "Bad Record-Route"),
        ("Contact: <sip:a>,", "Bad Contact"),
        ("Content-Type: text", "Bad Content-Type"),
        ("Expires: 1\r\nExpires: 1", "Repeated Expires"),
    ] {
        let message = Message::parse(with(line)).unwrap();
        assert_eq!(message.validate().unwrap_err().reason(), reason);
    }
    let request =
        |uri: &str| Message::parse(with("s: x").replace("sip:b@b.test SIP", &format!("{uri} SIP")));
    for uri in ["sip:a?b=c", "sips:a?b=c", "sip:a b@", "nothing", "sip:a@@b"] {
        if let Ok(message) = request(uri) {
            assert_eq!(
                message.validate().unwrap_err().reason(),
                "Bad Request-URI",
                "{uri}"
            );
        }
    }
}

#[test]
fn dialog_and_initial_requests_are_told_apart() {
    let message = Message::parse(with("s: x")).unwrap();
    assert!(message.is_initial() && !message.is_in_dialog());
    let inside = message
        .edit()
        .replace(To, "<sip:b>;tag=2")
        .finish()
        .unwrap();
    assert!(inside.is_in_dialog() && !inside.is_initial());
}
