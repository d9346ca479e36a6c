//! Wrong messages in binary: the code that the reply carries, and the place.

use h248::binary::{self, Naming, Unencodable};
use h248::encoding::{
    BadTransaction, MESSAGE_LEN_MAX, ParsedBody, SyntaxError, TRANSACTIONS_MAX, TransactionKind,
};
use h248::error::ErrorCode;
use h248::message::TransactionId;
use h248::text;

/// A constructed element.
fn of(tag: u8, contents: &[&[u8]]) -> Vec<u8> {
    element(tag | 0x20, &contents.concat())
}

fn element(tag: u8, contents: &[u8]) -> Vec<u8> {
    let len = contents.len();
    let mut octets = vec![tag, 0x82, (len >> 8) as u8, len as u8];
    octets.extend_from_slice(contents);
    octets
}

/// A context-specific primitive element.
fn p(number: u8, contents: &[u8]) -> Vec<u8> {
    element(0x80 | number, contents)
}

/// A context-specific constructed element.
fn c(number: u8, contents: &[&[u8]]) -> Vec<u8> {
    of(0x80 | number, contents)
}

const SEQUENCE: u8 = 0x10;

fn mid() -> Vec<u8> {
    c(0, &[&p(0, &[192, 0, 2, 1])])
}

/// A message with this version, mId and body.
fn message(version: u8, mid: &[u8], body: &[u8]) -> Vec<u8> {
    let message = c(1, &[&p(0, &[version]), &c(1, &[mid]), &c(2, &[body])]);
    of(SEQUENCE, &[&message])
}

fn transactions(transactions: &[&[u8]]) -> Vec<u8> {
    message(3, &mid(), &c(1, transactions))
}

fn parse(octets: &[u8]) -> Result<ParsedBody, SyntaxError> {
    binary::parse(octets, &Naming::default()).map(|parsed| parsed.body)
}

/// The error of the only transaction of a message.
fn bad(transaction: &[u8]) -> BadTransaction {
    match parse(&transactions(&[transaction])) {
        Ok(ParsedBody::Transactions(mut transactions)) => {
            transactions.remove(0).expect_err("it is wrong")
        }
        other => panic!("{other:?}"),
    }
}

/// A request 7 with one action on context 1.
fn action(fields: &[&[u8]]) -> Vec<u8> {
    let context = p(0, &[1]);
    let fields = [&[context.as_slice()], fields].concat();
    c(0, &[&p(0, &[7]), &c(1, &[&of(SEQUENCE, &fields)])])
}

/// The same with one command.
fn command(alternative: &[u8]) -> Vec<u8> {
    action(&[&c(3, &[&of(SEQUENCE, &[&c(0, &[alternative])])])])
}

/// Terminations of a command: `ip/1`.
fn ip() -> Vec<u8> {
    terminations(&[0x3a, 0xc0, 0, 1], &[])
}

fn terminations(id: &[u8], wildcards: &[&[u8]]) -> Vec<u8> {
    let fields: Vec<Vec<u8>> = wildcards.iter().map(|octets| element(4, octets)).collect();
    let fields: Vec<&[u8]> = fields.iter().map(Vec::as_slice).collect();
    c(0, &[&of(SEQUENCE, &[&c(0, &fields), &p(1, id)])])
}

/// A Modify with these descriptors.
fn modify(descriptors: &[&[u8]]) -> Vec<u8> {
    command(&c(2, &[&ip(), &c(1, descriptors)]))
}

/// A Modify with this LocalControl of its only stream.
fn control(fields: &[&[u8]]) -> Vec<u8> {
    let stream = c(0, &[&c(0, fields)]);
    modify(&[&c(0, &[&c(1, &[&stream])])])
}

fn property(name: &[u8]) -> Vec<u8> {
    of(SEQUENCE, &[&p(0, name), &c(1, &[&element(4, &[2, 1, 40])])])
}

#[test]
fn each_level_has_its_code() {
    let none = c(3, &[]);
    let jitter = property(&[0, 0x0b, 0, 7]);
    let media = c(0, &[]);
    let cases: Vec<(u16, &str, Vec<u8>)> = vec![
        (403, "no number", c(0, &[&c(1, &[])])),
        (403, "no actions", c(0, &[&p(0, &[7])])),
        (403, "empty actions", c(0, &[&p(0, &[7]), &c(1, &[])])),
        (
            403,
            "an action that is none",
            c(0, &[&p(0, &[7]), &c(1, &[&p(5, &[])])]),
        ),
        (403, "unknown transaction", c(9, &[])),
        (410, "negative number", c(0, &[&p(0, &[0xff])])),
        (410, "number of 33 bits", c(1, &[&p(0, &[1, 0, 0, 0, 0])])),
        (
            410,
            "acknowledgements backwards",
            c(3, &[&of(SEQUENCE, &[&p(0, &[9]), &p(1, &[8])])]),
        ),
        (403, "no acknowledgement", c(3, &[])),
        (422, "no commands", action(&[])),
        (422, "priority 16", action(&[&c(1, &[&p(0, &[16])]), &none])),
        (422, "commands twice", action(&[&none, &none])),
        (
            442,
            "empty command",
            action(&[&c(3, &[&of(SEQUENCE, &[])])]),
        ),
        (443, "unknown command", command(&c(8, &[]))),
        (442, "no terminations", command(&c(2, &[&c(1, &[])]))),
        (
            410,
            "empty list of terminations",
            command(&c(2, &[&c(0, &[]), &c(1, &[])])),
        ),
        (
            410,
            "identity of nine octets",
            command(&c(2, &[&terminations(&[1; 9], &[]), &c(1, &[])])),
        ),
        (
            410,
            "empty identity",
            command(&c(2, &[&terminations(&[], &[]), &c(1, &[])])),
        ),
        (
            410,
            "wildcard that is no level",
            command(&c(2, &[&terminations(&[0; 8], &[&[5]]), &c(1, &[])])),
        ),
        (
            410,
            "wildcard of two octets",
            command(&c(2, &[&terminations(&[0; 8], &[&[5, 5]]), &c(1, &[])])),
        ),
        (444, "unknown descriptor", modify(&[&c(11, &[])])),
        (448, "Media twice", modify(&[&media, &media])),
        (517, "mode 9", control(&[&p(0, &[9]), &none])),
        (
            442,
            "LocalControl without properties",
            control(&[&p(0, &[1])]),
        ),
        (
            442,
            "mode that is constructed",
            control(&[&c(0, &[&p(0, &[1])]), &none]),
        ),
        (
            410,
            "property of three octets",
            control(&[&c(3, &[&property(&[0, 0, 1])])]),
        ),
        (
            456,
            "property twice",
            control(&[&c(3, &[&jitter, &jitter])]),
        ),
        (
            449,
            "service state 7",
            modify(&[&c(0, &[&c(0, &[&c(0, &[]), &p(2, &[7])])])]),
        ),
        (
            449,
            "signal type 5",
            modify(&[&c(
                5,
                &[&c(0, &[&p(0, &[0, 7, 0, 0x30]), &p(2, &[5]), &c(6, &[])])],
            )]),
        ),
        (
            442,
            "events without request",
            modify(&[&c(
                3,
                &[&c(1, &[&of(SEQUENCE, &[&p(0, &[0, 9, 0, 4]), &c(3, &[])])])],
            )]),
        ),
        (
            442,
            "digit map with a digit map missing",
            modify(&[&c(6, &[])]),
        ),
        (
            449,
            "method 9",
            command(&c(7, &[&ip(), &c(1, &[&p(0, &[9])])])),
        ),
        (
            442,
            "no reason",
            command(&c(7, &[&ip(), &c(1, &[&p(0, &[3])])])),
        ),
        (
            410,
            "MGC to try of five octets",
            command(&c(
                7,
                &[
                    &ip(),
                    &c(
                        1,
                        &[
                            &p(0, &[5]),
                            &c(4, &[&element(4, b"903")]),
                            &c(6, &[&c(0, &[&p(0, &[1; 5])])]),
                        ],
                    ),
                ],
            )),
        ),
    ];
    for (code, what, transaction) in cases {
        let error = bad(&transaction).error;
        assert_eq!(error.code, ErrorCode(code), "{what}: {error}");
        assert!(error.offset > 20 && error.line == 0, "{what}: {error}");
        let words = error.descriptor().text.unwrap();
        assert!(
            words.contains(&format!("offset {}", error.offset)),
            "{words}"
        );
    }
}

#[test]
fn the_place_is_where_the_wrong_element_is() {
    let request = control(&[&p(0, &[9]), &c(3, &[])]);
    let octets = transactions(&[&request]);
    let place = octets
        .windows(5)
        .position(|window| window == [0x80, 0x82, 0, 1, 9])
        .unwrap();
    assert_eq!(bad(&request).error.offset, place + 4);
}

#[test]
fn a_bad_request_keeps_its_number_for_the_reply() {
    let request = bad(&command(&c(8, &[])));
    assert_eq!(
        (request.kind, request.id),
        (TransactionKind::Request, Some(TransactionId(7)))
    );
    let reply = bad(&c(2, &[&p(0, &[8]), &c(2, &[&c(4, &[])])]));
    assert_eq!(
        (reply.kind, reply.id),
        (TransactionKind::Reply, Some(TransactionId(8)))
    );
    let pending = bad(&c(1, &[]));
    assert_eq!((pending.kind, pending.id), (TransactionKind::Pending, None));
    let segment = bad(&c(4, &[&p(0, &[9])]));
    assert_eq!(
        (segment.kind, segment.id),
        (TransactionKind::SegmentReply, Some(TransactionId(9)))
    );
}

#[test]
fn errors_of_the_message_as_a_whole() {
    let pending = c(1, &[&p(0, &[1])]);
    let body = c(1, &[&pending]);
    assert!(parse(&message(3, &mid(), &body)).is_ok());
    let domain = |name: &[u8]| c(2, &[&p(0, name)]);
    let many = vec![pending.as_slice(); TRANSACTIONS_MAX + 1];
    let auth = c(0, &[&p(0, &[1; 4]), &p(1, &[2; 4]), &p(2, &[3; 11])]);
    let cases: Vec<(u16, &str, Vec<u8>)> = vec![
        (400, "nothing", vec![]),
        (400, "text", b"MEGACO/3 [192.0.2.1] PN=1{}".to_vec()),
        (400, "not a SEQUENCE", of(0x11, &[])),
        (400, "an empty SEQUENCE", of(SEQUENCE, &[])),
        (
            400,
            "two of them",
            [message(3, &mid(), &body), message(3, &mid(), &body)].concat(),
        ),
        (400, "version that is none", message(200, &mid(), &body)),
        (406, "version 0", message(0, &mid(), &body)),
        (406, "version 4", message(4, &mid(), &body)),
        (410, "unknown mId", message(3, &c(7, &[]), &body)),
        (
            410,
            "IPv4 address of 16 octets",
            message(3, &c(0, &[&p(0, &[1; 16])]), &body),
        ),
        (
            410,
            "port 65536",
            message(3, &c(0, &[&p(0, &[1; 4]), &p(1, &[1, 0, 0])]), &body),
        ),
        (
            410,
            "domain name",
            message(3, &domain(b"under_score"), &body),
        ),
        (410, "no domain name", message(3, &domain(b""), &body)),
        (410, "device name", message(3, &p(3, b"a b"), &body)),
        (410, "MTP address", message(3, &p(4, &[1]), &body)),
        (400, "unknown body", message(3, &mid(), &c(2, &[]))),
        (400, "no transaction", message(3, &mid(), &c(1, &[]))),
        (
            400,
            "transaction longer than the message",
            message(3, &mid(), &c(1, &[&[0xa1, 9, 0]])),
        ),
        (
            413,
            "too many transactions",
            message(3, &mid(), &c(1, &many)),
        ),
        (400, "short AuthData", of(SEQUENCE, &[&auth, &c(1, &[])])),
        (400, "too long", vec![0x30; MESSAGE_LEN_MAX + 1]),
    ];
    for (code, what, octets) in cases {
        let error = parse(&octets).expect_err(what);
        assert_eq!(error.code, ErrorCode(code), "{what}: {error}");
    }
}

#[test]
fn extensions_are_skipped_wherever_they_stand() {
    // Fields beyond the known ones, also with tags of several octets.
    let long_tag = [&[0xbf, 0x81, 0x01, 2][..], &[4, 0]].concat();
    let pending = c(1, &[&p(0, &[1]), &p(9, &[1]), &long_tag]);
    let Ok(ParsedBody::Transactions(read)) = parse(&transactions(&[&pending])) else {
        panic!()
    };
    assert!(read[0].is_ok(), "{read:?}");
}

#[test]
fn embedding_beyond_the_limit_is_an_error_and_deep_elements_do_not_overflow() {
    // Regulated notification embeds events that regulate notification, and so on.
    let mut events = c(0, &[&p(0, &[1]), &c(1, &[])]);
    let event = [0, 9, 0, 4];
    for _ in 0..40 {
        let actions = c(2, &[&c(3, &[&c(1, &[&events])])]);
        let one = of(SEQUENCE, &[&p(0, &event), &actions, &c(3, &[])]);
        events = c(0, &[&p(0, &[1]), &c(1, &[&one])]);
    }
    let actions = c(2, &[&c(4, &[&c(1, &[&events])])]);
    let one = of(SEQUENCE, &[&p(0, &event), &actions, &c(3, &[])]);
    let error = bad(&modify(&[&c(3, &[&p(0, &[1]), &c(1, &[&one])])])).error;
    assert_eq!(error.expected, "fewer embedded descriptors");

    let deep = [0xa1, 0x80].repeat(30_000);
    let error = parse(&[&[0x30, 0x80][..], &deep].concat()).unwrap_err();
    assert_eq!(error.code, ErrorCode::SYNTAX_IN_MESSAGE);
}

#[test]
fn what_has_no_room_is_named() {
    let cases = [
        ("termination", "MF=a/b/c/d", "a/b/c/d"),
        ("termination", "MF=termination", "termination"),
        ("name without a number", "MF=a{SG{odd/one}}", "odd/one"),
        (
            "parameter without a number",
            "MF=a{SG{cg/rt{odd=1}}}",
            "odd",
        ),
        ("digit map without a number", "MF=a{DM=plan}", "plan"),
        ("line", "MF=a{M{L{\r\nno line\r\n}}}", "no line"),
        (
            "service change method",
            "SC=ROOT{SV{MT=X-odd,RE=\"900\"}}",
            "X-odd",
        ),
        (
            "extension",
            "SC=ROOT{SV{MT=RS,RE=\"900\",X-odd=1}}",
            "X-odd",
        ),
        (
            "selection",
            "AV=a{AT{M{O{MO#SR}}}}",
            "by another mode or state",
        ),
    ];
    for (what, command, name) in cases {
        let text = format!("!/3 [192.0.2.1] T=1{{C=1{{{command}}}}}");
        let message =
            text::parse_message(text.as_bytes()).unwrap_or_else(|e| panic!("{e}: {text}"));
        let mut out = b"before".to_vec();
        let error = binary::write(&message, &Naming::default(), &mut out).unwrap_err();
        let name = name.to_owned();
        assert_eq!(error, Unencodable { what, name }, "{command}");
        assert_eq!(out, b"before");
    }
}
