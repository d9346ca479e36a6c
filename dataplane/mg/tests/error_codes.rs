//! Every error code of H.248.8 that can be provoked from outside is, in text and in binary; for
//! every other `docs/conformance/h248_8.toml` says why it cannot occur.

mod rig;

use std::collections::BTreeSet;
use std::time::Duration;

use h248::binary::Naming;
use h248::encoding::Encoding;
use h248::error::ErrorCode;
use h248::text::{self, Style};
use mg::{IQ, OpenError};
use rig::{MGC, PERFECT, Rig, at};

/// How a gateway is brought to answer with a code.
struct Case {
    code: u16,
    /// What is different about it.
    config: Option<fn(&mut mg::GatewayConfig)>,
    /// What happens before.
    before: Option<fn(&mut Rig)>,
    ask: Ask,
}

/// What it is asked.
enum Ask {
    /// By the MGC; `{c}` is the context of a call.
    Actions(&'static str),
    /// By somebody at another address.
    Stranger(&'static str),
    /// A message as it stands, in text and, where it can be said there, in binary.
    Message(&'static str, Option<Vec<u8>>),
    /// Valid actions in which something is replaced: in the text, and as octets in binary.
    Damaged(
        &'static str,
        (&'static str, &'static str),
        (Vec<u8>, Vec<u8>),
    ),
}

const ADD: &str = "Context = $ { Add = $ { Media { Stream = 1 { LocalControl { Mode = SendReceive }, \
                   Local { v=0\nc=IN IP4 $\nm=audio $ RTP/AVP 8\n } } } } }";

fn plain(code: u16, actions: &'static str) -> Case {
    Case {
        code,
        config: None,
        before: None,
        ask: Ask::Actions(actions),
    }
}

fn wrong(code: u16, text: &'static str, transactions: Option<Vec<u8>>) -> Case {
    let binary = transactions.map(|octets| message(3, &octets));
    Case {
        ask: Ask::Message(text, binary),
        ..plain(code, "")
    }
}

fn cases() -> Vec<Case> {
    let mut cases = of_messages();
    cases.extend(of_commands());
    cases.extend(of_descriptors());
    cases.extend(of_states());
    cases
}

/// What cannot be read.
fn of_messages() -> Vec<Case> {
    let action = |fields: &[u8]| {
        let context = tlv(0x80, &[1]);
        let action = tlv(0x30, &[&context[..], fields].concat());
        let body = [tlv(0x80, &[7]), tlv(0xa1, &action)].concat();
        tlv(0xa0, &body)
    };
    // A Modify of `ip/1` with these descriptors.
    let modify = |descriptors: &[u8]| {
        let identity = [tlv(0xa0, &[]), tlv(0x81, &[0x3a, 0xc0, 0, 1])].concat();
        let terminations = tlv(0xa0, &tlv(0x30, &identity));
        let amm = [terminations, tlv(0xa1, descriptors)].concat();
        action(&tlv(0xa3, &tlv(0x30, &tlv(0xa0, &tlv(0xa2, &amm)))))
    };
    let many = tlv(0xa1, &tlv(0x80, &[1])).repeat(257);
    let empty_command = tlv(0xa3, &tlv(0x30, &[]));
    let media_twice = tlv(0xa0, &[]).repeat(2);
    let mode = "Context = $ { Add = $ { Media { Stream = 1 { LocalControl { Mode = SendReceive } \
                } } } }";
    let twice = "Context = $ { Add = $ { Media { Stream = 1 { LocalControl { nt/x0006 = 1, \
                 nt/x0017 = 2 } } } } }";
    vec![
        Case {
            ask: Ask::Message("MEGACO/3 nobody", Some(vec![0x30, 3, 2, 1, 5])),
            ..plain(400, "")
        },
        wrong(
            403,
            "MEGACO/3 [192.0.2.11]:2944 Transaction = 7 { }",
            Some(tlv(0xa0, &[tlv(0x80, &[7]), tlv(0xa1, &[])].concat())),
        ),
        Case {
            ask: Ask::Message(
                "MEGACO/4 [192.0.2.11]:2944 Pending = 1 { }",
                Some(message(4, &tlv(0xa1, &tlv(0x80, &[1])))),
            ),
            ..plain(406, "")
        },
        wrong(413, MANY, Some(many)),
        wrong(
            422,
            "MEGACO/3 [192.0.2.11]:2944 Transaction = 7 { Context = 1 { } }",
            Some(action(&[])),
        ),
        wrong(
            442,
            "MEGACO/3 [192.0.2.11]:2944 Transaction = 7 { Context = 1 { Subtract a } }",
            Some(action(&empty_command)),
        ),
        // In binary no descriptor can stand where it may not.
        wrong(
            447,
            "MEGACO/3 [192.0.2.11]:2944 Transaction = 7 { Context = 1 { Subtract = a { Media { } } } }",
            None,
        ),
        wrong(
            448,
            "MEGACO/3 [192.0.2.11]:2944 Transaction = 7 { Context = 1 { Add = a { Signals, Signals } } }",
            Some(modify(&media_twice)),
        ),
        Case {
            ask: Ask::Damaged(
                twice,
                ("x0017", "x0006"),
                (vec![0, 0x0b, 0, 0x17], vec![0, 0x0b, 0, 6]),
            ),
            ..plain(456, "")
        },
        Case {
            ask: Ask::Damaged(
                mode,
                ("SendReceive", "Somehow"),
                (vec![0x80, 1, 2], vec![0x80, 1, 9]),
            ),
            ..plain(517, "")
        },
    ]
}

/// More pendings than a message may have: they are put in where the text is used.
const MANY: &str = "MEGACO/3 [192.0.2.11]:2944 ";

/// What commands and their terminations are refused with.
fn of_commands() -> Vec<Case> {
    vec![
        plain(410, "Context = {c} { Modify = $ }"),
        plain(411, "Context = 4000000000 { Subtract = * }"),
        plain(421, "Context = - { Add = $ }"),
        plain(430, "Context = {c} { Modify = ip/1/77 }"),
        plain(431, "Context = - { Subtract = * }"),
        plain(433, "Context = {c} { Add = ip/1/1 }"),
        // Ix and Iq have two terminations in a context.
        Case {
            config: Some(|config| config.profile = &IQ),
            ..plain(434, "Context = {c} { Add = $ }")
        },
        plain(435, "Context = {c} { Modify = ROOT }"),
        plain(
            443,
            "Context = {c} { Notify = ip/1/1 { ObservedEvents = 1 { g/cause } } }",
        ),
        // Ix and Iq have no Move.
        Case {
            config: Some(|config| config.profile = &IQ),
            ..plain(443, "Context = $ { Move = ip/1/1 }")
        },
        plain(
            501,
            "Context = {c} { ContextAttr { ContextList = { 1, 2 } }, Modify = ip/1/1 }",
        ),
        plain(
            522,
            "Context = {c} { Topology { ip/1/1, ip/2/2, OnewayBoth }, Modify = ip/1/1 }",
        ),
        plain(
            532,
            "Context = {c} { AuditValue = ip/1/1 { Audit { Statistics { rtp/x7fff } } } }",
        ),
        plain(542, "Context = {c} { Add = ROOT }"),
    ]
}

/// What descriptors are refused with.
fn of_descriptors() -> Vec<Case> {
    vec![
        plain(
            440,
            "Context = $ { Add = $ { Media { Stream = 1 { LocalControl { x7777/x0001 = 1 } } } } }",
        ),
        plain(
            441,
            "Context = $ { Add = $ { Media { Stream = 1 { Remote { v=0\nc=IN IP4 192.0.2.9\n\
             m=audio 4000 RTP/AVP 8\n } } } } }",
        ),
        // Ix and Iq have no digits.
        Case {
            config: Some(|config| config.profile = &IQ),
            ..plain(
                444,
                "Context = {c} { Modify = ip/1/1 { EventBuffer { g/cause } } }",
            )
        },
        plain(
            445,
            "Context = $ { Add = $ { Media { Stream = 1 { LocalControl { nt/jit = 40 } } } } }",
        ),
        plain(
            446,
            "Context = {c} { Modify = ip/1/1 { Events = 1 { adid/ipstop { x0001 = 1 } } } }",
        ),
        plain(
            449,
            "Context = $ { Add = $ { Media { Stream = 1 { LocalControl { gm/saf = 7 } } } } }",
        ),
        plain(
            450,
            "Context = $ { Add = $ { Media { Stream = 1 { LocalControl { gm/x7fff = 1 } } } } }",
        ),
        plain(
            451,
            "Context = {c} { Modify = ip/1/1 { Events = 1 { g/x7fff } } }",
        ),
        plain(
            452,
            "Context = {c} { Modify = ip/1/1 { Signals { ipnapt/x7fff } } }",
        ),
        plain(
            453,
            "Context = {c} { Modify = ip/1/1 { Statistics { rtp/x7fff } } }",
        ),
        plain(
            455,
            "Context = $ { Add = $ { Media { Stream = 1 { LocalControl { \
             root/maxNumberOfContexts = 1 } } } } }",
        ),
        plain(
            457,
            "Context = {c} { Modify = ip/1/1 { Signals { ipnapt/latch } } }",
        ),
        plain(
            460,
            "Context = {c} { Modify = ip/1/1 { Media { Stream = 1 { Statistics { rtp/ps } } } } }",
        ),
        plain(
            472,
            "Context = $ { Add = $ { Media { Stream = 1 { Local { v=0\nm=audio $ RTP/AVP 8\n } } } } }",
        ),
        plain(
            473,
            "Context = {c} { Modify = ip/1/1 { Media { Stream = 1 { Remote { v=0\n\
             c=IN IP6 2001:db8::9\nm=audio 4000 RTP/AVP 8\n } } } } }",
        ),
        plain(
            474,
            "Context = $ { Add = $ { Media { Stream = 1 { Local { v=0\nc=IN IP4 $\n } } } } }",
        ),
        plain(
            512,
            "Context = {c} { Modify = ip/1/1 { Events = 1 { nt/qualert } } }",
        ),
        plain(
            513,
            "Context = {c} { Modify = ip/1/1 { Signals { SignalList = 1 { ipnapt/latch { \
             napt = LATCH } } } } }",
        ),
        plain(
            515,
            "Context = $ { Add = $ { Media { Stream = 1 { Local { v=0\nc=IN IP4 $\n\
             m=message $ TCP/MSRP *\n } } } } }",
        ),
        plain(519, long_map()),
        plain(
            520,
            "Context = {c} { Modify = ip/1/1 { Events = 1 { dd/ce { DigitMap = x0001 } } } }",
        ),
        plain(
            534,
            "Context = - { Modify = ROOT { Media { TerminationState { \
             root/maxNumberOfContexts = 5 } } } }",
        ),
    ]
}

/// More of a digit map than there is room for.
fn long_map() -> &'static str {
    let map = "0123456789".repeat(300);
    let actions = format!("Context = - {{ Modify = ROOT {{ DigitMap = x0001 {{ {map} }} }} }}");
    Box::leak(actions.into_boxed_str())
}

/// What depends on the state of the gateway.
fn of_states() -> Vec<Case> {
    vec![
        Case {
            config: Some(|config| config.contexts_max = 1),
            ..plain(412, ADD)
        },
        Case {
            before: Some(|rig| {
                rig.mg
                    .leave(rig.now, &mut rig.plane, Duration::from_secs(600))
            }),
            ..plain(502, ADD)
        },
        Case {
            before: Some(|rig| rig.mg.leave(rig.now, &mut rig.plane, Duration::ZERO)),
            ..plain(503, "Context = - { AuditValue = ROOT }")
        },
        Case {
            ask: Ask::Stranger("Context = - { AuditValue = ROOT }"),
            ..plain(504, "")
        },
        // The MGC never answered the ServiceChange.
        Case {
            before: Some(|rig| {
                *rig = Rig::with(rig::config(), 1, PERFECT);
                rig.mgcs[0].is_alive = false;
                rig.start();
            }),
            ..plain(505, "Context = - { AuditValue = ROOT }")
        },
        Case {
            before: Some(|rig| rig.plane.refusal = Some(OpenError::Exhausted)),
            ..plain(510, ADD)
        },
        Case {
            before: Some(|rig| rig.plane.refusal = Some(OpenError::Busy)),
            ..plain(511, ADD)
        },
        Case {
            before: Some(|rig| {
                rig.say(
                    "Context = - { Modify = ROOT { Media { TerminationState { \
                     root/MGCMaxPDUSize = 256 } } } }",
                );
            }),
            ..plain(533, "Context = - { AuditValue = ROOT { Audit { Media } } }")
        },
    ]
}

fn tlv(tag: u8, contents: &[u8]) -> Vec<u8> {
    let len = contents.len();
    [&[tag, 0x82, (len >> 8) as u8, len as u8], contents].concat()
}

/// A message of the MGC with these transactions, in binary.
fn message(version: u8, transactions: &[u8]) -> Vec<u8> {
    let mid = tlv(0xa0, &tlv(0x80, &[192, 0, 2, 11]));
    let body = tlv(0xa2, &tlv(0xa1, transactions));
    let message = [tlv(0x80, &[version]), tlv(0xa1, &mid), body].concat();
    tlv(0x30, &tlv(0xa1, &message))
}

/// The message that a case sends; `None` when it cannot be said in this encoding.
fn encoded(ask: &Ask, encoding: Encoding, context: u32) -> Option<Vec<u8>> {
    let actions = |actions: &str| {
        let actions = actions.replace("{c}", &context.to_string());
        let message = text::parse_message(&rig::message(MGC, &actions, 999)).unwrap();
        encoding.to_vec(&message, &Naming::default()).unwrap()
    };
    let is_binary = encoding == Encoding::Binary;
    match ask {
        Ask::Actions(said) | Ask::Stranger(said) => Some(actions(said)),
        Ask::Message(text, binary) => match is_binary {
            true => binary.clone(),
            false if *text == MANY => Some([MANY, &"PN=1{}\n".repeat(257)].concat().into_bytes()),
            false => Some(text.as_bytes().to_vec()),
        },
        Ask::Damaged(said, (from, to), (old, new)) => {
            let whole = actions(said);
            if !is_binary {
                let whole = String::from_utf8(whole).unwrap();
                return Some(whole.replace(from, to).into_bytes());
            }
            let places = whole.windows(old.len()).enumerate();
            let places: Vec<_> = places.filter(|(_, window)| window == old).collect();
            let [(place, _)] = places[..] else {
                panic!("{said}: {} places", places.len())
            };
            let mut whole = whole.clone();
            whole[place..place + new.len()].copy_from_slice(new);
            Some(whole)
        }
    }
}

#[test]
fn every_code_that_can_occur_is_provoked_in_both_encodings() {
    let pretty = Encoding::Text(Style::Pretty);
    let mut others = Vec::new();
    for case in cases() {
        for encoding in [pretty, Encoding::Binary] {
            let mut config = rig::config();
            case.config.iter().for_each(|change| change(&mut config));
            let mut rig = Rig::with(config, 1, PERFECT);
            rig.start();
            rig.pass(Duration::from_millis(1));
            let (context, _) = rig.call();
            case.before.iter().for_each(|happen| happen(&mut rig));
            let Some(bytes) = encoded(&case.ask, encoding, context) else {
                continue;
            };
            let stranger = matches!(case.ask, Ask::Stranger(_));
            let from = if stranger { "192.0.2.99:2944" } else { MGC };
            let answers = rig.answers(at(from), &bytes);
            let expected = format!("Error = {}{{", case.code);
            if !answers.iter().any(|answer| answer.contains(&expected)) {
                others.push(format!("{} by {encoding:?}: {answers:?}", case.code));
            }
        }
    }
    assert!(others.is_empty(), "{others:#?}");
}

#[test]
fn nothing_else_is_disturbed_by_what_is_refused() {
    let mut rig = Rig::new();
    let (context, locals) = rig.call();
    let audit = format!("Context = {context} {{ AuditValue = * {{ Audit {{ Media, Events }} }} }}");
    let before = rig.say(&audit);
    let is_usual = |case: &&Case| case.config.is_none() && case.before.is_none();
    for case in cases().iter().filter(is_usual) {
        for encoding in [Encoding::Text(Style::Compact), Encoding::Binary] {
            if let Some(bytes) = encoded(&case.ask, encoding, context) {
                let from = match case.ask {
                    Ask::Stranger(_) => "192.0.2.99:2944",
                    _ => MGC,
                };
                rig.answers(at(from), &bytes);
                rig.pass(Duration::from_secs(40));
            }
        }
    }
    assert_eq!(rig.say(&audit), before);
    assert!(
        locals
            .iter()
            .all(|local| rig.plane.legs.contains_key(local))
    );
    rig.say("Context = * { O-W-Subtract = * { Audit { } } }");
    rig.assert_empty();
}

#[test]
fn every_other_code_has_its_reason() {
    let conformance = include_str!("../../../docs/conformance/h248_8.toml");
    let clauses = conformance
        .lines()
        .filter_map(|line| line.strip_prefix("clause = "));
    let mut excused = BTreeSet::new();
    for clause in clauses {
        for codes in clause.trim_matches('"').split(", ") {
            let (first, last) = codes.split_once(" to ").unwrap_or((codes, codes));
            let bounds: [u16; 2] = [first, last].map(|code| code.parse().unwrap());
            excused.extend(bounds[0]..=bounds[1]);
        }
    }
    let provoked: BTreeSet<u16> = cases().iter().map(|case| case.code).collect();
    assert!(
        excused.is_disjoint(&provoked),
        "what occurs needs no excuse"
    );
    for code in ErrorCode::KNOWN {
        let is_told = provoked.contains(&code.0) || excused.contains(&code.0);
        assert!(is_told, "{code:?}");
    }
}
