//! What a reply says: octets of another implementation, of our own making, and broken ones.

use std::net::{IpAddr, Ipv6Addr};

use sip::locate::{Naptr, RECORDS_MAX, Srv};

use super::super::wire::{self, Reply};
use super::*;

/// The id of the questions in the testdata.
const ID: u16 = 0x1234;

/// A reply of unbound, by its name in the testdata.
fn golden(wanted: &str) -> Vec<u8> {
    let text = include_str!("../../../testdata/dns_replies.hex");
    let lines = text.lines().skip_while(|line| *line != wanted).skip(1);
    let hex: String = lines.take_while(|line| !line.is_empty()).collect();
    assert!(!hex.is_empty(), "no such reply: {wanted}");
    let octet = |at| u8::from_str_radix(&hex[at..at + 2], 16).expect("hexadecimal");
    (0..hex.len()).step_by(2).map(octet).collect()
}

fn read(wanted: &str, question: &Question) -> Reply {
    wire::read_reply(&golden(wanted), ID, question)
}

fn answered(answer: Answer, ttl_s: u64) -> Reply {
    Reply::Answer {
        answer,
        ttl: Some(Duration::from_secs(ttl_s)),
    }
}

/// What a reply of our own making says to a question for the addresses of `n.test`.
fn says(change: impl FnOnce(&mut Message)) -> Reply {
    let question = question("n.test", RecordType::A);
    let sent = wire::write_question(7, &question, true).expect("a name");
    let mut message = empty(&sent);
    change(&mut message);
    wire::read_reply(&bytes(&message), 7, &question)
}

#[test]
fn a_question_is_written_as_tshark_reads_it() {
    let question = question("_sip._udp.ims.test", RecordType::Srv);
    let written = wire::write_question(7, &question, true).expect("a name");
    let expected = b"\x00\x07\x01\x00\x00\x01\x00\x00\x00\x00\x00\x01\
        \x04_sip\x04_udp\x03ims\x04test\x00\x00\x21\x00\x01\
        \x00\x00\x29\x04\xd0\x00\x00\x00\x00\x00\x00";
    assert_eq!(written, expected);
    let plain = wire::write_question(7, &question, false).expect("a name");
    assert_eq!(plain[..10], expected[..10]);
    assert_eq!((plain[11], &plain[12..]), (0, &expected[12..36]));
}

#[test]
fn what_is_no_domain_name_is_not_asked_for() {
    let long = ["a"; 128].join(".");
    for name in ["", ".", "a..b", ".a", &"a".repeat(64), &long] {
        let question = question(name, RecordType::A);
        assert_eq!(wire::write_question(7, &question, true), None, "{name}");
    }
    let longest = ["a"; 127].join(".");
    for name in ["a", "a.b.", &"a".repeat(63), &longest] {
        let question = question(name, RecordType::A);
        assert!(wire::write_question(7, &question, true).is_some(), "{name}");
    }
}

#[test]
fn naptr_records_without_regular_expression_are_read() {
    let naptr = |order, flags: &str, service: &str, replacement: &str| Naptr {
        order,
        preference: 50,
        flags: flags.to_owned(),
        service: service.to_owned(),
        replacement: replacement.to_owned(),
    };
    let expected = vec![
        naptr(20, "S", "SIP+D2U", "_sip._udp.ims.test"),
        naptr(10, "s", "SIP+D2T", "_sip._tcp.ims.test"),
    ];
    let reply = read("naptr", &question("ims.test", RecordType::Naptr));
    assert_eq!(reply, answered(Answer::Naptr(expected), 600));
}

#[test]
fn srv_records_are_read() {
    let srv = |weight, port, target: &str| Srv {
        priority: 10,
        weight,
        port,
        target: target.to_owned(),
    };
    let expected = vec![
        srv(40, 5070, "icscf2.ims.test"),
        srv(60, 5060, "icscf1.ims.test"),
    ];
    let reply = read("srv", &question("_sip._tcp.ims.test", RecordType::Srv));
    assert_eq!(reply, answered(Answer::Srv(expected), 900));
    let none = Srv {
        priority: 0,
        weight: 0,
        port: 0,
        target: ".".to_owned(),
    };
    let reply = read(
        "srv_root",
        &question("_sips._tcp.ims.test", RecordType::Srv),
    );
    assert_eq!(reply, answered(Answer::Srv(vec![none]), 900));
}

#[test]
fn addresses_are_read_also_behind_aliases() {
    let both = Answer::Addresses(vec![
        IpAddr::from([192, 0, 2, 12]),
        IpAddr::from([192, 0, 2, 11]),
    ]);
    let reply = read("a", &question("icscf1.ims.test", RecordType::A));
    assert_eq!(reply, answered(both.clone(), 60));
    let ipv6: Ipv6Addr = "2001:db8::11".parse().expect("an address");
    let reply = read("aaaa", &question("icscf1.ims.test", RecordType::Aaaa));
    assert_eq!(reply, answered(Answer::Addresses(vec![ipv6.into()]), 60));
    // The least TTL on the way counts.
    let reply = read("cname", &question("ALIAS.ims.test.", RecordType::A));
    assert_eq!(reply, answered(both, 30));
}

#[test]
fn that_there_is_nothing_is_kept_as_the_zone_says() {
    let reply = read("nxdomain", &question("nobody.ims.test", RecordType::A));
    assert_eq!(reply, answered(Answer::Nothing, 120));
    let reply = read("nodata", &question("icscf2.ims.test", RecordType::Aaaa));
    assert_eq!(reply, answered(Answer::Nothing, 120));
    // Without SOA it is not kept at all (RFC 2308 5).
    let reply = read(
        "cname_nodata",
        &question("alias.ims.test", RecordType::Naptr),
    );
    let unkept = Reply::Answer {
        answer: Answer::Nothing,
        ttl: None,
    };
    assert_eq!(reply, unkept);
}

#[test]
fn what_does_not_fit_comes_over_tcp() {
    let question = question("_sip._udp.big.ims.test", RecordType::Srv);
    assert_eq!(read("truncated", &question), Reply::Truncated);
    let Reply::Answer {
        answer: Answer::Srv(records),
        ..
    } = read("over_tcp", &question)
    else {
        panic!("not read");
    };
    assert_eq!(records.len(), 30);
}

#[test]
fn a_server_that_cannot_read_the_question_says_so() {
    let reply = read("formerr", &question("ims.test", RecordType::Naptr));
    assert_eq!(reply, Reply::NotUnderstood);
    let header_only = b"\x12\x34\x81\x01\0\0\0\0\0\0\0\0";
    let reply = wire::read_reply(header_only, ID, &question("ims.test", RecordType::Naptr));
    assert_eq!(reply, Reply::NotUnderstood);
}

#[test]
fn only_a_reply_to_the_same_question_is_one() {
    let right = question("icscf1.ims.test", RecordType::A);
    assert_ne!(read("a", &right), Reply::Foreign);
    let others = [
        question("icscf2.ims.test", RecordType::A),
        question("icscf1.ims.test.test", RecordType::A),
        question("icscf1.ims.test", RecordType::Aaaa),
        question("", RecordType::A),
    ];
    for other in others {
        assert_eq!(read("a", &other), Reply::Foreign, "{other:?}");
    }
    assert_eq!(
        wire::read_reply(&golden("a"), ID + 1, &right),
        Reply::Foreign
    );
    let changes: [(usize, u8); 5] = [
        // A query; another operation; no question; two questions; class CH.
        (2, 0x05),
        (2, 0xad),
        (5, 0),
        (5, 2),
        (32, 3),
    ];
    for (at, octet) in changes {
        let mut changed = golden("a");
        changed[at] = octet;
        assert_eq!(
            wire::read_reply(&changed, ID, &right),
            Reply::Foreign,
            "octet {at}"
        );
    }
}

#[test]
fn records_of_other_names_and_classes_do_not_count() {
    let reply = says(|message| {
        message.add_answer(a("other.test", 60, 1));
        message.add_additional(a("n.test", 60, 2));
        message.add_authority(a("n.test", 60, 3));
        let mut chaos = a("n.test", 60, 4);
        chaos.dns_class = hickory_proto::rr::DNSClass::CH;
        message.add_answer(chaos);
        message.add_answer(aaaa("n.test", 60, "2001:db8::1"));
    });
    let unkept = Reply::Answer {
        answer: Answer::Nothing,
        ttl: None,
    };
    assert_eq!(reply, unkept);
    let reply = says(|message| {
        message.add_answer(a("other.test", 10, 1));
        message.add_answer(a("N.Test", 60, 2));
    });
    assert_eq!(reply, answered(addresses(2), 60));
}

#[test]
fn addresses_that_nothing_can_be_sent_to_are_left_out() {
    let reply = says(|message| {
        for ip in [[0, 0, 0, 0], [224, 0, 1, 75], [255, 255, 255, 255]] {
            let data = RData::A(A(ip.into()));
            message.add_answer(record("n.test", 60, data));
        }
        message.add_answer(a("n.test", 60, 1));
    });
    assert_eq!(reply, answered(addresses(1), 60));
}

#[test]
fn labels_that_no_host_has_are_left_out() {
    let question = question("_sip._udp.n.test", RecordType::Srv);
    let sent = wire::write_question(7, &question, true).expect("a name");
    let mut message = empty(&sent);
    let odd: [&[u8]; 4] = [b"a.b", b"a b", b"\0", b"\xc3\xa4"];
    for label in odd {
        let target = Name::from_labels([label, b"test"]).expect("a name");
        let data = RData::SRV(SRV::new(1, 1, 5060, target));
        message.add_answer(record("_sip._udp.n.test", 60, data));
    }
    message.add_answer(srv("_sip._udp.n.test", 5060, "Host-1.n.TEST"));
    let expected = Srv {
        priority: 1,
        weight: 1,
        port: 5060,
        target: "host-1.n.test".to_owned(),
    };
    let reply = wire::read_reply(&bytes(&message), 7, &question);
    assert_eq!(reply, answered(Answer::Srv(vec![expected]), 60));
}

#[test]
fn aliases_that_do_not_end_are_a_failure() {
    let circle = says(|message| {
        message.add_answer(cname("n.test", 60, "m.test"));
        message.add_answer(cname("m.test", 60, "n.test"));
        message.add_answer(a("n.test", 60, 1));
    });
    assert_eq!(circle, Reply::Failed);
    let chain = |length: u32| {
        says(|message| {
            for n in 0..length {
                let owner = match n {
                    0 => "n.test".to_owned(),
                    n => format!("n{n}.test"),
                };
                message.add_answer(cname(&owner, 60, &format!("n{}.test", n + 1)));
            }
            message.add_answer(a(&format!("n{length}.test"), 30, 1));
        })
    };
    assert_eq!(chain(8), answered(addresses(1), 30));
    assert_eq!(chain(9), Reply::Failed);
}

#[test]
fn a_zone_speaks_only_of_its_own_names() {
    let without_ttl = Reply::Answer {
        answer: Answer::Nothing,
        ttl: None,
    };
    let of = |zone: &'static str| {
        says(move |message| {
            message.add_authority(soa(zone, 60, 9));
        })
    };
    assert_eq!(of("test"), answered(Answer::Nothing, 9));
    assert_eq!(of("n.test"), answered(Answer::Nothing, 9));
    assert_eq!(of("other.test"), without_ttl);
    assert_eq!(of("m.n.test"), without_ttl);
    let least = says(|message| {
        message.add_authority(soa("test", 5, 900));
    });
    assert_eq!(least, answered(Answer::Nothing, 5));
}

#[test]
fn a_referral_is_no_answer() {
    let reply = says(|message| {
        message.add_authority(ns("test"));
    });
    assert_eq!(reply, Reply::Failed);
    // With SOA it is an answer, whoever else is named (RFC 2308 2.2).
    let reply = says(|message| {
        message.add_authority(ns("test"));
        message.add_authority(soa("test", 60, 60));
    });
    assert_eq!(reply, answered(Answer::Nothing, 60));
}

#[test]
fn a_ttl_with_the_highest_bit_set_is_zero() {
    let reply = says(|message| {
        message.add_answer(a("n.test", 1 << 31, 1));
    });
    assert_eq!(reply, answered(addresses(1), 0));
    let reply = says(|message| {
        message.add_answer(a("n.test", (1 << 31) - 1, 1));
    });
    assert_eq!(reply, answered(addresses(1), (1 << 31) - 1));
}

#[test]
fn at_most_so_many_records_are_read() {
    let reply = says(|message| {
        for n in 0..200 {
            message.add_answer(a("n.test", 60, n + 1));
        }
    });
    let Reply::Answer {
        answer: Answer::Addresses(found),
        ..
    } = reply
    else {
        panic!("{reply:?}");
    };
    assert_eq!(found.len(), RECORDS_MAX);
}

#[test]
fn names_that_point_at_themselves_are_not_followed() {
    // Answers whose owner is a pointer: to itself, forwards, into the header, and past the end.
    let question = question("n.test", RecordType::A);
    let sent = wire::write_question(7, &question, false).expect("a name");
    let start = sent.len();
    for pointer in [start, start + 2, start + 12, 0, 5, 0x3fff] {
        let mut reply = sent.clone();
        reply[2] |= 0x80;
        reply[7] = 1;
        reply.extend((0xc000 | pointer as u16).to_be_bytes());
        reply.extend(b"\x00\x01\x00\x01\x00\x00\x00\x3c\x00\x04\xc6\x33\x64\x01");
        let read = wire::read_reply(&reply, 7, &question);
        let believed = matches!(
            read,
            Reply::Answer {
                answer: Answer::Addresses(_),
                ..
            }
        );
        assert!(!believed, "pointer to {pointer}: {read:?}");
    }
    // Two labels that point at each other in the question itself.
    let mut reply = b"\x00\x07\x80\x00\x00\x01\x00\x00\x00\x00\x00\x00".to_vec();
    reply.extend(b"\x01a\xc0\x10\x01b\xc0\x0c\x00\x01\x00\x01");
    assert_eq!(wire::read_reply(&reply, 7, &question), Reply::Foreign);
}

/// The replies of the testdata with their questions.
fn corpus() -> Vec<(Vec<u8>, Question)> {
    [
        ("naptr", "ims.test", RecordType::Naptr),
        ("srv", "_sip._tcp.ims.test", RecordType::Srv),
        ("a", "icscf1.ims.test", RecordType::A),
        ("aaaa", "icscf1.ims.test", RecordType::Aaaa),
        ("cname", "alias.ims.test", RecordType::A),
        ("nxdomain", "nobody.ims.test", RecordType::A),
        ("over_tcp", "_sip._udp.big.ims.test", RecordType::Srv),
    ]
    .map(|(reply, name, record)| (golden(reply), question(name, record)))
    .into()
}

#[test]
fn a_reply_cut_short_anywhere_is_no_answer() {
    for (reply, question) in corpus() {
        for end in 0..reply.len() {
            let read = wire::read_reply(&reply[..end], ID, &question);
            assert!(
                matches!(read, Reply::Foreign | Reply::Failed),
                "{question:?} up to {end}: {read:?}"
            );
        }
    }
}

#[test]
fn broken_replies_are_read_without_panic_and_in_bounds() {
    let mut entropy = Entropy::from_u64(3);
    for (reply, question) in corpus() {
        for at in 0..reply.len() * 8 {
            let mut flipped = reply.clone();
            flipped[at / 8] ^= 1 << (at % 8);
            let _ = wire::read_reply(&flipped, ID, &question);
        }
        for _ in 0..2000 {
            let mut mutated = reply.clone();
            for _ in 0..=entropy.below(6) {
                let at = entropy.below(mutated.len() as u64) as usize;
                match entropy.below(5) {
                    0 => mutated[at] = entropy.next_u32() as u8,
                    1 => mutated[at] = 0xc0 | entropy.below(2) as u8,
                    2 => mutated.truncate(at.max(12)),
                    3 => mutated.insert(at, entropy.next_u32() as u8),
                    _ => mutated[at] = 0xff,
                }
            }
            mutated[..2].copy_from_slice(&ID.to_be_bytes());
            let read = wire::read_reply(&mutated, ID, &question);
            let count = match read {
                Reply::Answer { answer, .. } => match answer {
                    Answer::Naptr(records) => records.len(),
                    Answer::Srv(records) => records.len(),
                    Answer::Addresses(found) => found.len(),
                    Answer::Nothing => 0,
                },
                _ => 0,
            };
            assert!(count <= RECORDS_MAX);
        }
    }
}
