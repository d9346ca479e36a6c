//! Tests of a stack that resolves names, on virtual time: the test is the DNS, and every target.

use std::collections::BTreeMap;
use std::net::IpAddr;
use std::time::Duration;

use hickory_proto::op::Message as DnsMessage;
use hickory_proto::rr::rdata::{A, AAAA, NAPTR, SRV};
use hickory_proto::rr::{Name, RData, Record};
use sip::Uri;

use super::*;
use crate::config::{ControlFile, DnsFile};

const DNS: &str = "192.0.2.53:53";
const OWN: &str = "192.0.2.1:5060";

/// What a stack sent.
#[derive(Clone, Debug, PartialEq, Eq)]
enum Sent {
    Udp(SocketAddr),
    Tcp,
}

/// A stack and the world it talks to.
struct Bench {
    stack: Stack,
    now: Instant,
    counters: Counters,
    zone: Vec<Record>,
    /// The DNS answers.
    dns_up: bool,
    questions: Vec<String>,
    sent: Vec<(Sent, Message)>,
    connects: Vec<(StreamId, SocketAddr)>,
    events: Vec<Event>,
}

fn record(owner: &str, data: RData) -> Record {
    let owner = Name::from_ascii(owner).expect("a name");
    Record::from_rdata(owner, 60, data)
}

fn naptr(owner: &str, order: u16, service: &str, replacement: &str) -> Record {
    let replacement = Name::from_ascii(replacement).expect("a name");
    let text = |text: &str| text.as_bytes().into();
    let data = NAPTR::new(order, 10, text("s"), text(service), text(""), replacement);
    record(owner, RData::NAPTR(data))
}

fn srv(owner: &str, priority: u16, port: u16, target: &str) -> Record {
    let target = Name::from_ascii(target).expect("a name");
    record(owner, RData::SRV(SRV::new(priority, 1, port, target)))
}

fn a(owner: &str, n: u8) -> Record {
    record(owner, RData::A(A::new(192, 0, 2, n)))
}

/// `scscf.test`: two servers over UDP, then one over TCP.
fn zone() -> Vec<Record> {
    vec![
        naptr("scscf.test.", 20, "SIP+D2T", "_sip._tcp.scscf.test."),
        naptr("scscf.test.", 10, "SIP+D2U", "_sip._udp.scscf.test."),
        srv("_sip._udp.scscf.test.", 1, 5061, "one.test."),
        srv("_sip._udp.scscf.test.", 2, 5062, "two.test."),
        srv("_sip._tcp.scscf.test.", 1, 5063, "three.test."),
        a("one.test.", 11),
        a("two.test.", 12),
        a("three.test.", 13),
    ]
}

fn target(n: u8, port: u16) -> SocketAddr {
    SocketAddr::new(IpAddr::from([192, 0, 2, n]), port)
}

fn request(method: &str) -> Draft {
    let text = format!(
        "{method} sip:bob@scscf.test SIP/2.0\r\n\
         Via: SIP/2.0/UDP 192.0.2.9;branch=z9hG4bKup\r\n\
         From: <sip:alice@test>;tag=1\r\nTo: <sip:bob@test>\r\n\
         Call-ID: 1@test\r\nCSeq: 1 {method}\r\nMax-Forwards: 70\r\nContent-Length: 0\r\n\r\n"
    );
    Message::parse(text.into_bytes()).expect("a request").edit()
}

impl Bench {
    fn new(zone: Vec<Record>) -> Self {
        Self::with(zone, |_| {})
    }

    fn with(zone: Vec<Record>, change: impl FnOnce(&mut ControlFile)) -> Self {
        let address = |text: &str| text.parse().expect("an address");
        let mut file = ControlFile {
            roles: Some(vec![Role::Scscf]),
            hss: Some("192.0.2.2:3868".to_owned()),
            icscf: Some(target(3, 5060)),
            sip: Some(vec![address(OWN)]),
            dns: Some(DnsFile {
                servers: Some(vec![address(DNS)]),
                ..DnsFile::default()
            }),
            ..ControlFile::default()
        };
        change(&mut file);
        let config = file.validate().expect("the test's configuration");
        Self {
            stack: Stack::new(&config, Entropy::from_u64(1)),
            now: Instant::from_secs(1000),
            counters: Counters::default(),
            zone,
            dns_up: true,
            questions: Vec::new(),
            sent: Vec::new(),
            connects: Vec::new(),
            events: Vec::new(),
        }
    }

    fn send(&mut self, method: &str, uri: &str) -> BranchId {
        let next = NextHop::Uri(Uri::parse(uri).expect("a URI"));
        let branch = self
            .stack
            .send(self.now, Role::Scscf, request(method), next);
        self.settle();
        branch
    }

    /// Carries out what the stack wants, and answers its questions if the DNS is up.
    fn settle(&mut self) {
        loop {
            while let Some((role, event)) = self.stack.poll_event(self.now, &mut self.counters) {
                assert_eq!(role, Role::Scscf);
                self.events.push(event);
            }
            let Some(output) = self.stack.poll_output() else {
                return;
            };
            match output {
                Output::Datagram {
                    socket: Socket::Dns(socket),
                    destination,
                    bytes,
                } => self.resolve(socket, destination, bytes.as_ref()),
                Output::Datagram {
                    socket: Socket::Sip(0),
                    destination,
                    bytes: Payload::Message(message),
                } => self.sent.push((Sent::Udp(destination), message)),
                Output::Connect {
                    stream,
                    service: Service::Sip(0),
                    peer,
                } => self.connects.push((stream, peer)),
                Output::Send {
                    bytes: Payload::Message(message),
                    ..
                } => self.sent.push((Sent::Tcp, message)),
                other => panic!("not expected: {other:?}"),
            }
        }
    }

    fn resolve(&mut self, socket: u16, server: SocketAddr, question: &[u8]) {
        assert_eq!(server.to_string(), DNS);
        let mut message = DnsMessage::from_vec(question)
            .expect("a question")
            .into_response();
        let (name, record) = {
            let query = &message.queries[0];
            (query.name().clone(), query.query_type())
        };
        self.questions.push(format!("{name} {record}"));
        if !self.dns_up {
            return;
        }
        let fits = |each: &&Record| each.name == name && each.record_type() == record;
        message.add_answers(self.zone.iter().filter(fits).cloned());
        let bytes = message.to_vec().expect("it can be written");
        self.stack
            .handle_dns_datagram(self.now, socket, server, &bytes);
    }

    /// Takes where requests went since the last time.
    fn targets(&mut self) -> Vec<Sent> {
        std::mem::take(&mut self.sent)
            .into_iter()
            .map(|(sent, _)| sent)
            .collect()
    }

    /// Answers the last request that was sent to `from`.
    fn answer(&mut self, from: SocketAddr, status: u16) {
        let sent = self.sent.iter().rev();
        let mut to_it = sent.filter(|(sent, _)| *sent == Sent::Udp(from));
        let (_, request) = to_it.next().expect("a request was sent there");
        let response = request.response(status, "").to_tag("2").finish();
        let response = response.expect("it can be written");
        let bytes = response.as_bytes();
        self.stack
            .handle_datagram(self.now, &mut self.counters, 0, from, bytes);
        while self.stack.serve(self.now, &mut self.counters) {}
        self.settle();
    }

    fn run_for(&mut self, duration: Duration) {
        let end = self.now + duration;
        while let Some(at) = self.stack.next_timeout().filter(|at| *at <= end) {
            self.now = at;
            self.stack.handle_timeout(at);
            self.settle();
        }
        self.now = end;
    }

    /// Takes what the entity heard.
    fn heard(&mut self) -> Vec<String> {
        let events = std::mem::take(&mut self.events).into_iter();
        events
            .map(|event| match event {
                Event::Response { response, .. } => format!("{}", response.status().unwrap_or(0)),
                Event::Failed { status, .. } => format!("failed {status}"),
                Event::Ended { .. } => "ended".to_owned(),
                other => panic!("not expected: {other:?}"),
            })
            .collect()
    }

    fn assert_over(&mut self) {
        self.run_for(Duration::from_secs(100));
        assert_eq!(self.stack.transactions().client, 0);
        assert_eq!(self.stack.next_timeout(), None);
    }
}

fn udp(n: u8, port: u16) -> Sent {
    Sent::Udp(target(n, port))
}

#[test]
fn numeric_hosts_own_entities_and_listed_hosts_need_no_dns() {
    let hosts = BTreeMap::from([("Listed.Test".to_owned(), vec![target(7, 5067)])]);
    let mut bench = Bench::with(zone(), |file| file.hosts = Some(hosts));
    for (uri, expected) in [
        ("sip:192.0.2.5", udp(5, 5060)),
        ("sip:192.0.2.5:5070", udp(5, 5070)),
        ("sip:x@scscf.test;maddr=192.0.2.6", udp(6, 5060)),
        ("sip:listed.test", udp(7, 5067)),
        ("sip:LISTED.test.:5071", udp(7, 5071)),
        ("sip:x@scscf.test;maddr=listed.test", udp(7, 5067)),
    ] {
        bench.send("OPTIONS", uri);
        assert_eq!(bench.targets(), [expected], "{uri}");
    }
    assert_eq!(bench.questions, [""; 0]);
}

#[test]
fn a_name_that_is_listed_with_our_address_is_ours() {
    let own = OWN.parse().expect("an address");
    let hosts = BTreeMap::from([
        ("me.test".to_owned(), vec![target(7, 5060), own]),
        ("other.test".to_owned(), vec![target(7, 5060)]),
    ]);
    let bench = Bench::with(zone(), |file| file.hosts = Some(hosts));
    for (uri, expected) in [
        ("sip:scscf.token@Me.Test", Some("token")),
        ("sip:scscf@me.test:5060", Some("")),
        ("sip:scscf.token@192.0.2.1", Some("token")),
        ("sip:scscf@me.test:5061", None),
        ("sip:pcscf@me.test", None),
        ("sip:scscf@other.test", None),
        ("sip:scscf@192.0.2.7", None),
        ("sip:scscf@scscf.test", None),
        ("tel:+1234", None),
    ] {
        let uri = Uri::parse(uri).expect("a URI");
        let own = bench.stack.addresses().own(uri);
        assert_eq!(own.map(|own| own.token), expected, "{uri:?}");
    }
}

#[test]
fn a_name_leads_by_naptr_and_srv_to_an_address() {
    let mut bench = Bench::new(zone());
    bench.send("INVITE", "sip:scscf.test");
    let expected = [
        "scscf.test. NAPTR",
        "_sip._udp.scscf.test. SRV",
        "one.test. A",
    ];
    assert_eq!(bench.questions, expected);
    let (_, invite) = bench.sent[0].clone();
    let via = invite.top_via().expect("a Via");
    assert_eq!(via.transport(), Transport::Udp);
    bench.answer(target(11, 5061), 200);
    assert_eq!(bench.targets(), [udp(11, 5061)]);
    assert_eq!(bench.heard(), ["200"]);
    bench.run_for(Duration::from_secs(40));
    assert_eq!(bench.heard(), ["ended"]);
    // The next one knows the way.
    bench.questions.clear();
    bench.send("OPTIONS", "sip:scscf.test");
    assert_eq!(bench.targets(), [udp(11, 5061)]);
    assert_eq!(bench.questions, [""; 0]);
}

#[test]
fn the_port_and_the_transport_of_the_uri_count() {
    let mut bench = Bench::new(zone());
    bench.send("OPTIONS", "sip:two.test:5099");
    assert_eq!(bench.targets(), [udp(12, 5099)]);
    assert_eq!(bench.questions, ["two.test. A"]);
    bench.send("OPTIONS", "sip:scscf.test;transport=tcp");
    assert_eq!(bench.targets(), [Sent::Tcp]);
    assert_eq!(bench.connects[0].1, target(13, 5063));
}

#[test]
fn an_answer_that_takes_its_time_is_waited_for() {
    let mut bench = Bench::new(zone());
    bench.dns_up = false;
    bench.send("INVITE", "sip:scscf.test");
    bench.run_for(Duration::from_millis(900));
    assert_eq!((bench.targets(), bench.heard()), (vec![], vec![]));
    bench.dns_up = true;
    bench.run_for(Duration::from_millis(200));
    assert_eq!(bench.targets(), [udp(11, 5061)]);
}

#[test]
fn addresses_in_both_families_where_both_can_be_sent_from() {
    let records = || {
        let ip = "2001:db8::1".parse().expect("an address");
        vec![record("n.test.", RData::AAAA(AAAA(ip))), a("n.test.", 9)]
    };
    let mut one = Bench::new(records());
    one.send("OPTIONS", "sip:n.test:5060");
    assert_eq!(one.questions, ["n.test. A"]);
    let mut both = Bench::with(records(), |file| {
        let ipv6 = "[2001:db8::2]:5060".parse().expect("an address");
        file.sip = file.sip.take().map(|sip| [sip, vec![ipv6]].concat());
    });
    let next = NextHop::Uri(Uri::parse("sip:n.test:5060").expect("a URI"));
    both.stack
        .send(both.now, Role::Scscf, request("OPTIONS"), next);
    let Some(Output::Datagram { socket, bytes, .. }) = both.stack.poll_output() else {
        panic!("a question");
    };
    let Socket::Dns(socket) = socket else {
        panic!("a question");
    };
    let server = DNS.parse().expect("an address");
    both.resolve(socket, server, bytes.as_ref());
    assert_eq!(both.questions, ["n.test. AAAA"]);
    let Some(Output::Datagram {
        socket,
        destination,
        ..
    }) = both.stack.poll_output()
    else {
        panic!("a request");
    };
    assert_eq!(socket, Socket::Sip(1));
    assert_eq!(destination.to_string(), "[2001:db8::1]:5060");
}

#[test]
fn a_target_that_is_silent_is_followed_by_the_next() {
    let mut bench = Bench::new(zone());
    bench.send("INVITE", "sip:scscf.test");
    let first = bench.sent[0].1.clone();
    bench.run_for(Duration::from_secs(33));
    let (last, second) = bench.sent.last().cloned().expect("sent");
    assert_eq!(last, udp(12, 5062));
    let branch = |message: &Message| {
        message
            .top_via()
            .ok()
            .map(|via| via.branch().map(str::to_owned))
    };
    assert_ne!(branch(&first), branch(&second), "a new transaction");
    assert_eq!(bench.heard(), [""; 0]);
    bench.answer(target(12, 5062), 180);
    bench.answer(target(12, 5062), 200);
    assert_eq!(bench.heard(), ["180", "200"]);
    bench.run_for(Duration::from_secs(33));
    assert_eq!(bench.heard(), ["ended"]);
    bench.assert_over();
}

#[test]
fn when_all_targets_are_silent_that_is_a_timeout() {
    let mut bench = Bench::new(zone());
    bench.send("OPTIONS", "sip:scscf.test");
    bench.run_for(Duration::from_millis(31_900));
    let mut first = bench.targets();
    first.dedup();
    assert_eq!(first, [udp(11, 5061)]);
    bench.run_for(Duration::from_secs(70));
    let mut others = bench.targets();
    others.dedup();
    assert_eq!(others, [udp(12, 5062), Sent::Tcp]);
    assert_eq!(bench.heard(), ["failed 408", "ended"]);
    bench.assert_over();
}

#[test]
fn a_target_that_was_silent_is_tried_last_for_a_while() {
    let mut bench = Bench::new(zone()[1..].to_vec());
    bench.send("OPTIONS", "sip:scscf.test");
    bench.run_for(Duration::from_millis(32_100));
    bench.answer(target(12, 5062), 200);
    bench.sent.clear();
    // The next begins with the other, and comes back when that is silent too.
    bench.send("OPTIONS", "sip:scscf.test");
    assert_eq!(bench.targets(), [udp(12, 5062)]);
    bench.run_for(Duration::from_millis(32_100));
    bench.answer(target(11, 5061), 200);
    assert_eq!(
        bench.sent.last().map(|(sent, _)| sent),
        Some(&udp(11, 5061))
    );
    bench.sent.clear();
    bench.send("OPTIONS", "sip:scscf.test");
    assert_eq!(bench.targets(), [udp(11, 5061)]);
    bench.assert_over();
    // In time both are as good as ever.
    bench.sent.clear();
    bench.send("OPTIONS", "sip:scscf.test");
    assert_eq!(bench.targets(), [udp(11, 5061)]);
}

#[test]
fn a_listed_host_that_was_silent_is_tried_last_for_a_while() {
    let hosts = BTreeMap::from([("n.test".to_owned(), vec![target(1, 1), target(2, 2)])]);
    let mut bench = Bench::with(zone(), |file| file.hosts = Some(hosts));
    for expected in [1, 2] {
        bench.send("OPTIONS", "sip:n.test");
        assert_eq!(bench.targets(), [udp(expected, expected.into())]);
        bench.run_for(Duration::from_millis(32_100));
        bench.answer(target(2, 2), 200);
        bench.sent.clear();
    }
}

#[test]
fn a_connection_refused_is_a_failure_at_once() {
    let mut bench = Bench::new(vec![
        srv("_sip._tcp.n.test.", 1, 5061, "one.test."),
        srv("_sip._tcp.n.test.", 2, 5062, "two.test."),
        a("one.test.", 11),
        a("two.test.", 12),
    ]);
    bench.send("INVITE", "sip:n.test;transport=tcp");
    for n in [11, 12] {
        let (stream, peer) = bench.connects.pop().expect("a connection");
        assert_eq!(peer.ip(), target(n, 0).ip());
        assert_eq!(bench.heard(), [""; 0]);
        bench.stack.handle_closed(bench.now, stream);
        bench.settle();
    }
    assert_eq!(bench.heard(), ["failed 503", "ended"]);
    bench.assert_over();
}

#[test]
fn a_target_that_answers_503_is_followed_by_the_next() {
    for method in ["INVITE", "OPTIONS"] {
        let mut bench = Bench::new(zone());
        bench.send(method, "sip:scscf.test");
        bench.answer(target(11, 5061), 503);
        assert_eq!(bench.heard(), [""; 0]);
        bench.answer(target(12, 5062), 486);
        assert_eq!(bench.heard(), ["486"], "{method}");
        bench.run_for(Duration::from_secs(40));
        assert_eq!(bench.heard(), ["ended"], "{method}");
        bench.assert_over();
    }
}

#[test]
fn the_503_of_the_last_target_is_passed_on() {
    let mut bench = Bench::new(zone()[1..].to_vec());
    bench.send("INVITE", "sip:scscf.test");
    bench.answer(target(11, 5061), 180);
    bench.answer(target(11, 5061), 503);
    bench.answer(target(12, 5062), 503);
    assert_eq!(bench.heard(), ["180", "503", "ended"]);
    bench.assert_over();
    // Where the only target is numeric there is none to follow.
    bench.send("INVITE", "sip:192.0.2.5");
    bench.answer(target(5, 5060), 503);
    assert_eq!(bench.heard(), ["503"]);
    bench.run_for(Duration::from_secs(40));
    assert_eq!(bench.heard(), ["ended"]);
}

#[test]
fn after_any_other_answer_no_other_target_is_tried() {
    for status in [200, 302, 404, 408, 500, 600] {
        let mut bench = Bench::new(zone());
        bench.send("OPTIONS", "sip:scscf.test");
        bench.answer(target(11, 5061), status);
        assert_eq!(bench.heard(), [status.to_string()]);
        bench.assert_over();
        assert_eq!(bench.targets(), [udp(11, 5061)]);
        assert_eq!(bench.heard(), ["ended"]);
    }
    // A provisional answer and then silence is a timeout of this target.
    let mut bench = Bench::new(zone());
    bench.send("OPTIONS", "sip:scscf.test");
    bench.answer(target(11, 5061), 100);
    bench.assert_over();
    assert_eq!(bench.heard(), ["100", "failed 408", "ended"]);
    let mut tried = bench.targets();
    tried.dedup();
    assert_eq!(tried, [udp(11, 5061)]);
}

#[test]
fn a_name_that_leads_nowhere_fails_with_503() {
    let mut bench = Bench::new(zone());
    for uri in [
        "sip:nobody.test",
        "sip:nobody.test:5060",
        "sip:x@anonymous.invalid",
        "sips:scscf.test",
        "sip:scscf.test;transport=sctp",
    ] {
        bench.send("INVITE", uri);
        assert_eq!(bench.heard(), ["failed 503", "ended"], "{uri}");
    }
    let nowhere = bench.questions[..4].to_vec();
    let expected = [
        "nobody.test. NAPTR",
        "_sip._udp.nobody.test. SRV",
        "_sip._tcp.nobody.test. SRV",
        "nobody.test. A",
    ];
    assert_eq!(nowhere, expected);

    let mut silent = Bench::new(zone());
    silent.dns_up = false;
    silent.send("INVITE", "sip:scscf.test");
    silent.run_for(Duration::from_secs(20));
    assert_eq!(silent.heard(), ["failed 503", "ended"]);
    silent.assert_over();

    let mut without = Bench::with(zone(), |file| file.dns = Some(no_servers()));
    without.send("INVITE", "sip:scscf.test");
    assert_eq!(without.heard(), ["failed 503", "ended"]);
}

fn no_servers() -> DnsFile {
    DnsFile {
        servers: Some(Vec::new()),
        ..DnsFile::default()
    }
}

#[test]
fn a_cancel_while_resolving_ends_the_branch() {
    let mut bench = Bench::new(zone());
    bench.dns_up = false;
    let branch = bench.send("INVITE", "sip:scscf.test");
    bench.stack.cancel(bench.now, branch);
    bench.settle();
    assert_eq!(bench.heard(), ["failed 487", "ended"]);
    bench.stack.cancel(bench.now, branch);
    // Another branch in its place hears the answer that it asked for, and only that.
    bench.dns_up = true;
    bench.send("INVITE", "sip:scscf.test");
    bench.run_for(Duration::from_secs(2));
    assert_eq!(bench.targets()[..1], [udp(11, 5061)]);
    assert_eq!(bench.sent.len(), 0);
    assert_eq!(bench.heard(), [""; 0]);
}

#[test]
fn a_cancelled_request_goes_to_no_other_target() {
    let mut bench = Bench::new(zone());
    let branch = bench.send("INVITE", "sip:scscf.test");
    bench.stack.cancel(bench.now, branch);
    bench.answer(target(11, 5061), 503);
    assert_eq!(bench.heard(), ["503"]);
    bench.assert_over();
    let mut tried = bench.targets();
    tried.dedup();
    assert_eq!(tried, [udp(11, 5061)]);

    let mut silent = Bench::new(zone());
    let branch = silent.send("INVITE", "sip:scscf.test");
    silent.stack.cancel(silent.now, branch);
    silent.assert_over();
    assert_eq!(silent.heard(), ["failed 408", "ended"]);
    let mut tried = silent.targets();
    tried.dedup();
    assert_eq!(tried, [udp(11, 5061)]);
}

#[test]
fn a_cancel_between_two_targets_ends_the_branch() {
    let mut bench = Bench::new(zone());
    let branch = bench.send("INVITE", "sip:scscf.test");
    bench.dns_up = false;
    bench.answer(target(11, 5061), 503);
    assert_eq!(
        bench.questions.last().map(String::as_str),
        Some("two.test. A")
    );
    bench.stack.cancel(bench.now, branch);
    bench.dns_up = true;
    bench.assert_over();
    assert_eq!(bench.heard(), ["failed 487", "ended"]);
}

#[test]
fn an_ack_waits_for_its_target_and_stays_before_the_bye() {
    let mut bench = Bench::new(zone());
    bench.dns_up = false;
    let uri = Uri::parse("sip:scscf.test").expect("a URI");
    bench
        .stack
        .send_ack(bench.now, Role::Scscf, request("ACK"), NextHop::Uri(uri));
    bench.send("BYE", "sip:scscf.test");
    assert_eq!(bench.sent.len(), 0);
    bench.dns_up = true;
    bench.run_for(Duration::from_millis(1100));
    let methods: Vec<_> = bench.sent[..2]
        .iter()
        .map(|(_, message)| message.is_method(&Method::Ack))
        .collect();
    assert_eq!(methods, [true, false]);
    assert_eq!(bench.targets()[..2], [udp(11, 5061), udp(11, 5061)]);
    assert_eq!(bench.heard(), [""; 0]);
    // Nobody hears of an ACK that leads nowhere.
    let uri = Uri::parse("sip:nobody.test").expect("a URI");
    bench
        .stack
        .send_ack(bench.now, Role::Scscf, request("ACK"), NextHop::Uri(uri));
    bench.settle();
    assert_eq!(bench.heard(), [""; 0]);
}

#[test]
fn a_listed_host_may_be_the_target_of_an_srv_record() {
    let hosts = BTreeMap::from([("one.test".to_owned(), vec![target(77, 9)])]);
    let mut bench = Bench::with(zone(), |file| file.hosts = Some(hosts));
    bench.send("OPTIONS", "sip:scscf.test");
    assert_eq!(bench.targets(), [udp(77, 5061)]);
    assert!(!bench.questions.contains(&"one.test. A".to_owned()));
}

#[test]
fn a_large_request_goes_over_tcp_and_falls_back_to_udp_where_it_is_refused() {
    let mut bench = Bench::new(zone());
    let mut draft = request("OPTIONS");
    draft.set_body("text/plain", vec![b'x'; 1400]);
    let next = NextHop::Uri(Uri::parse("sip:scscf.test").expect("a URI"));
    bench.stack.send(bench.now, Role::Scscf, draft, next);
    bench.settle();
    let (stream, peer) = bench.connects.pop().expect("a connection");
    assert_eq!((bench.targets(), peer), (vec![Sent::Tcp], target(11, 5061)));
    bench.stack.handle_closed(bench.now, stream);
    bench.settle();
    assert_eq!(bench.sent.len(), 1);
    // 503 over one transport counts for the others to the same server.
    bench.answer(target(11, 5061), 503);
    assert_eq!(
        bench.connects.pop().map(|(_, peer)| peer),
        Some(target(12, 5062))
    );
}
