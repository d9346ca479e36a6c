use super::*;
use crate::{HeaderName, Message};

const ALL: Capabilities = Capabilities {
    transports: &[Transport::Udp, Transport::Tcp, Transport::Tls],
    ipv4: true,
    ipv6: true,
};

/// A zone file: `name TYPE data`.
struct Zone(&'static str);

impl Zone {
    fn answer(&self, question: &Question) -> Answer {
        let kind = match question.record {
            RecordType::Naptr => "NAPTR",
            RecordType::Srv => "SRV",
            RecordType::A => "A",
            RecordType::Aaaa => "AAAA",
        };
        let lines: Vec<Vec<&str>> = self
            .0
            .lines()
            .map(|line| line.split_whitespace().collect())
            .filter(|words: &Vec<&str>| {
                words.len() > 2 && words[0] == question.name && words[1] == kind
            })
            .collect();
        if lines.is_empty() {
            return Answer::Nothing;
        }
        let number = |text: &str| text.parse().unwrap();
        match question.record {
            RecordType::Naptr => Answer::Naptr(
                lines
                    .iter()
                    .map(|words| Naptr {
                        order: number(words[2]),
                        preference: number(words[3]),
                        flags: words[4].to_owned(),
                        service: words[5].to_owned(),
                        replacement: words[6].to_owned(),
                    })
                    .collect(),
            ),
            RecordType::Srv => Answer::Srv(
                lines
                    .iter()
                    .map(|words| Srv {
                        priority: number(words[2]),
                        weight: number(words[3]),
                        port: number(words[4]),
                        target: words[5].to_owned(),
                    })
                    .collect(),
            ),
            RecordType::A | RecordType::Aaaa => Answer::Addresses(
                lines
                    .iter()
                    .map(|words| words[2].parse().unwrap())
                    .collect(),
            ),
        }
    }

    /// All targets, with the questions asked on the way in between.
    fn walk(&self, mut locator: Locator) -> Vec<String> {
        let mut entropy = Entropy::from_u64(1);
        let mut steps = Vec::new();
        loop {
            match locator.poll_next() {
                Next::Ask(question) => {
                    assert_eq!(locator.poll_next(), Next::Waiting);
                    steps.push(format!("{:?} {}", question.record, question.name));
                    locator.handle_answer(self.answer(&question), &mut entropy);
                }
                Next::Target(target) => {
                    steps.push(format!("{} {}", target.transport, target.address));
                }
                Next::Waiting => panic!("no open question"),
                Next::End => return steps,
            }
        }
    }

    fn targets(&self, uri: &str, can: Capabilities) -> Vec<String> {
        let locator = Locator::of_uri(Uri::parse(uri).unwrap(), can).unwrap();
        let steps = self.walk(locator).into_iter();
        let is_question = |step: &String| {
            ["Naptr ", "Srv ", "A ", "Aaaa "]
                .iter()
                .any(|kind| step.starts_with(kind))
        };
        steps.filter(|step| !is_question(step)).collect()
    }

    fn steps(&self, uri: &str) -> Vec<String> {
        self.walk(Locator::of_uri(Uri::parse(uri).unwrap(), ALL).unwrap())
    }
}

/// The records of the example in RFC 3263 4.1 and 4.2, with addresses of our own.
const EXAMPLE: Zone = Zone(
    "example.com NAPTR 50 50 s SIPS+D2T _sips._tcp.example.com.
     example.com NAPTR 90 50 s SIP+D2T _sip._tcp.example.com
     example.com NAPTR 100 50 s SIP+D2U _sip._udp.example.com.
     example.com NAPTR 10 50 u E2U+sip !.*!sip:x!
     _sip._tcp.example.com SRV 1 0 5070 server2.example.com
     _sip._tcp.example.com SRV 0 1 5060 server1.example.com.
     _sip._udp.example.com SRV 0 0 5080 server1.example.com
     _sips._tcp.example.com SRV 0 0 5061 server1.example.com
     server1.example.com A 192.0.2.1
     server1.example.com AAAA 2001:db8::1
     server2.example.com A 192.0.2.2
     server2.example.com A 192.0.2.3
     example.com A 192.0.2.9
     plain.test A 192.0.2.10
     srv.test A 192.0.2.11
     _sip._udp.srv.test SRV 0 0 5090 plain.test
     _sip._udp.refuses.test SRV 0 0 0 .
     refuses.test A 192.0.2.12",
);

#[test]
fn numbers_need_no_questions() {
    let none = Zone("");
    for (uri, expected) in [
        ("sip:192.0.2.4", "UDP 192.0.2.4:5060"),
        ("sip:[2001:db8::4]:5070", "UDP [2001:db8::4]:5070"),
        ("sip:192.0.2.4;transport=tcp", "TCP 192.0.2.4:5060"),
        ("sip:192.0.2.4;transport=TLS", "TLS 192.0.2.4:5061"),
        ("sips:192.0.2.4", "TLS 192.0.2.4:5061"),
        ("sips:192.0.2.4:5070;transport=tcp", "TLS 192.0.2.4:5070"),
        ("sip:bob@example.com;maddr=192.0.2.5", "UDP 192.0.2.5:5060"),
    ] {
        assert_eq!(none.steps(uri), [expected], "{uri}");
    }
}

#[test]
fn a_port_leads_straight_to_addresses() {
    assert_eq!(
        EXAMPLE.steps("sip:Server1.Example.com.:5099"),
        [
            "Aaaa server1.example.com",
            "UDP [2001:db8::1]:5099",
            "A server1.example.com",
            "UDP 192.0.2.1:5099"
        ]
    );
    assert_eq!(
        EXAMPLE.targets("sips:server2.example.com:1", ALL),
        ["TLS 192.0.2.2:1", "TLS 192.0.2.3:1"]
    );
}

#[test]
fn naptr_orders_the_transports_and_srv_the_servers() {
    let can = Capabilities {
        transports: &[Transport::Udp, Transport::Tcp],
        ..ALL
    };
    assert_eq!(
        EXAMPLE.targets("sip:bob@example.com", can),
        [
            "TCP [2001:db8::1]:5060",
            "TCP 192.0.2.1:5060",
            "TCP 192.0.2.2:5070",
            "TCP 192.0.2.3:5070",
            "UDP [2001:db8::1]:5080",
            "UDP 192.0.2.1:5080",
        ]
    );
    assert_eq!(
        EXAMPLE.steps("sips:bob@example.com"),
        [
            "Naptr example.com",
            "Srv _sips._tcp.example.com",
            "Aaaa server1.example.com",
            "TLS [2001:db8::1]:5061",
            "A server1.example.com",
            "TLS 192.0.2.1:5061"
        ]
    );
}

#[test]
fn a_named_transport_skips_naptr() {
    assert_eq!(
        EXAMPLE.steps("sip:example.com;transport=udp"),
        [
            "Srv _sip._udp.example.com",
            "Aaaa server1.example.com",
            "UDP [2001:db8::1]:5080",
            "A server1.example.com",
            "UDP 192.0.2.1:5080"
        ]
    );
}

#[test]
fn without_naptr_srv_is_asked_for_each_transport_and_without_srv_the_name() {
    assert_eq!(
        EXAMPLE.steps("sip:plain.test"),
        [
            "Naptr plain.test",
            "Srv _sip._udp.plain.test",
            "Srv _sip._tcp.plain.test",
            "Aaaa plain.test",
            "A plain.test",
            "UDP 192.0.2.10:5060"
        ]
    );
    assert_eq!(
        EXAMPLE.targets("sip:srv.test", ALL),
        ["UDP 192.0.2.10:5090"]
    );
    assert_eq!(
        EXAMPLE.targets("sip:plain.test;transport=tcp", ALL),
        ["TCP 192.0.2.10:5060"]
    );
    assert_eq!(EXAMPLE.targets("sip:refuses.test", ALL), [""; 0]);
    assert_eq!(EXAMPLE.targets("sip:absent.test", ALL), [""; 0]);
}

#[test]
fn families_and_transports_that_are_missing_are_left_out() {
    let v4 = Capabilities {
        transports: &[Transport::Tcp],
        ipv6: false,
        ipv4: true,
    };
    assert_eq!(
        EXAMPLE.targets("sip:server1.example.com:5060", v4),
        ["TCP 192.0.2.1:5060"]
    );
    assert_eq!(EXAMPLE.targets("sip:[2001:db8::1]", v4), [""; 0]);
    let locate = |uri| Locator::of_uri(Uri::parse(uri).unwrap(), v4).err();
    assert_eq!(
        locate("sip:a.test;transport=udp"),
        Some(LocateError::Transport)
    );
    assert_eq!(locate("sips:a.test"), Some(LocateError::Transport));
    assert_eq!(
        locate("sips:a.test;transport=tcp"),
        Some(LocateError::Transport)
    );
    assert_eq!(locate("tel:+4912345"), Some(LocateError::NotSip));
}

#[test]
fn targets_and_records_are_limited() {
    let mut entropy = Entropy::from_u64(1);
    let mut locator = Locator::of_uri(Uri::parse("sip:many.test:5060").unwrap(), ALL).unwrap();
    let mut targets = 0;
    loop {
        match locator.poll_next() {
            Next::Ask(_) => {
                let addresses = vec!["192.0.2.1".parse().unwrap(); 1000];
                locator.handle_answer(Answer::Addresses(addresses), &mut entropy);
            }
            Next::Target(_) => targets += 1,
            Next::Waiting => panic!("no open question"),
            Next::End => break,
        }
    }
    assert_eq!(targets, TARGETS_MAX);
    assert_eq!(locator.poll_next(), Next::End);
    // An answer that nobody asked for, and one of another kind.
    locator.handle_answer(Answer::Nothing, &mut entropy);
    let mut locator = Locator::of_uri(Uri::parse("sip:a.test").unwrap(), ALL).unwrap();
    locator.poll_next();
    locator.handle_answer(Answer::Addresses(Vec::new()), &mut entropy);
    assert!(matches!(
        locator.poll_next(),
        Next::Ask(Question {
            record: RecordType::Srv,
            ..
        })
    ));
}

fn request(via: &str) -> Message {
    let text = format!(
        "OPTIONS sip:b@b.test SIP/2.0\r\nVia: {via}\r\nFrom: <sip:a@a.test>;tag=a\r\n\
         To: <sip:b@b.test>\r\nCall-ID: c\r\nCSeq: 1 OPTIONS\r\n\r\n"
    );
    Message::parse(text.as_bytes()).unwrap()
}

/// RFC 3261 18.2.1, RFC 3581 4.
#[test]
fn the_source_is_marked_where_it_must_be() {
    let source = "192.0.2.1:4540".parse().unwrap();
    let marked = |via: &str| {
        let marked = mark_source(&request(via), source).unwrap();
        marked.map(|message| message.header(HeaderName::Via).unwrap().to_owned())
    };
    assert_eq!(marked("SIP/2.0/UDP 192.0.2.1:5060;branch=x"), None);
    let via = marked("SIP/2.0/UDP a.test;branch=x").unwrap();
    assert!(
        via.contains(";received=192.0.2.1") && !via.contains("rport"),
        "{via}"
    );
    let via = marked("SIP/2.0/UDP 192.0.2.1;rport;branch=x").unwrap();
    assert!(
        via.contains("received=192.0.2.1") && via.contains("rport=4540"),
        "{via}"
    );
    let via = marked("SIP/2.0/UDP 192.0.2.1;received=198.51.100.6;branch=x").unwrap();
    assert!(
        via.contains("received=192.0.2.1") && !via.contains("198.51"),
        "{via}"
    );
    let via = marked("SIP/2.0/UDP 10.1.1.1;rport=1;branch=x").unwrap();
    assert!(via.contains("rport=4540"), "{via}");
    assert!(mark_source(&request("nonsense"), source).is_err());
}

/// RFC 3261 18.2.2.
#[test]
fn responses_go_where_the_via_says() {
    use ResponseTarget::{Address, Multicast, SentBy};
    let route = |via: &str, transport| {
        let request = request(via);
        let route = ResponseRoute::of(&request.top_via().unwrap(), transport);
        let target = match route.target {
            Address(address) => address.to_string(),
            SentBy(host) => format!("locate {host}"),
            Multicast(group, ttl) => format!("{group} ttl {ttl}"),
        };
        (route.same_connection, target)
    };
    let table = [
        (
            "SIP/2.0/UDP 192.0.2.1;branch=x",
            Transport::Udp,
            "192.0.2.1:5060",
        ),
        (
            "SIP/2.0/UDP 192.0.2.1:5070;branch=x",
            Transport::Udp,
            "192.0.2.1:5070",
        ),
        (
            "SIP/2.0/UDP a.test:5070;received=192.0.2.9",
            Transport::Udp,
            "192.0.2.9:5070",
        ),
        (
            "SIP/2.0/UDP a.test;received=192.0.2.9;rport=99",
            Transport::Udp,
            "192.0.2.9:99",
        ),
        (
            "SIP/2.0/UDP a.test;received=[2001:db8::9];rport=99",
            Transport::Udp,
            "[2001:db8::9]:99",
        ),
        (
            "SIP/2.0/UDP a.test;maddr=224.2.0.1;ttl=16",
            Transport::Udp,
            "224.2.0.1:5060 ttl 16",
        ),
        (
            "SIP/2.0/UDP a.test;maddr=192.0.2.8",
            Transport::Udp,
            "192.0.2.8:5060",
        ),
        (
            "SIP/2.0/UDP a.test;branch=x",
            Transport::Udp,
            "locate a.test",
        ),
        (
            "SIP/2.0/TCP a.test;received=192.0.2.9;rport=99",
            Transport::Tcp,
            "192.0.2.9:5060",
        ),
        (
            "SIP/2.0/TLS a.test;received=192.0.2.9",
            Transport::Tls,
            "192.0.2.9:5061",
        ),
        (
            "SIP/2.0/TCP a.test;maddr=192.0.2.8",
            Transport::Tcp,
            "locate a.test",
        ),
    ];
    for (via, transport, expected) in table {
        let reliable = transport != Transport::Udp;
        assert_eq!(
            route(via, transport),
            (reliable, expected.to_owned()),
            "{via}"
        );
    }
}

#[test]
fn a_sent_by_name_is_located_over_its_transport() {
    let message = request("SIP/2.0/UDP example.com;branch=x");
    let locator = Locator::of_sent_by(&message.top_via().unwrap(), ALL).unwrap();
    let steps = EXAMPLE.walk(locator);
    assert_eq!(steps[0], "Srv _sip._udp.example.com");
    assert_eq!(steps.last().unwrap(), "UDP 192.0.2.1:5080");
    let message = request("SIP/2.0/SCTP example.com;branch=x");
    assert!(Locator::of_sent_by(&message.top_via().unwrap(), ALL).is_err());
}

/// RFC 3261 18.1.1.
#[test]
fn long_requests_leave_udp() {
    use Transport::{Tcp, Tls, Udp};
    assert_eq!(request_transport(Udp, 1300, None), Udp);
    assert_eq!(request_transport(Udp, 1301, None), Tcp);
    assert_eq!(request_transport(Udp, 1301, Some(1501)), Udp);
    assert_eq!(request_transport(Udp, 1302, Some(1501)), Tcp);
    assert_eq!(request_transport(Udp, 1, Some(100)), Tcp);
    assert_eq!(request_transport(Tls, 9000, None), Tls);
}
