//! Tests of the resolver against servers that answer as the test says, on virtual time.

mod exchange;
mod faults;
mod replies;

use std::net::{IpAddr, SocketAddr};
use std::time::Duration;

use base::{Entropy, Instant};
use hickory_proto::op::{Message, ResponseCode};
use hickory_proto::rr::rdata::{A, AAAA, CNAME, NS, SOA, SRV};
use hickory_proto::rr::{Name, RData, Record};
use sip::locate::{Answer, Question, RecordType};

use super::Resolver;
use crate::config::DnsPolicy;
use crate::node::{Output, Service, Socket, StreamId};

/// A resolver, its clock and its dice.
struct Bench {
    resolver: Resolver<u32>,
    now: Instant,
    entropy: Entropy,
    answers: Vec<(u32, Answer)>,
}

/// A question as it left.
#[derive(Clone, Debug)]
struct Sent {
    socket: u16,
    server: SocketAddr,
    bytes: Vec<u8>,
}

/// What happened to a stream.
#[derive(Clone, Debug, PartialEq, Eq)]
enum Stream {
    Connect(StreamId, SocketAddr),
    Send(StreamId, Vec<u8>),
    Close(StreamId),
}

const SECOND: Duration = Duration::from_secs(1);

fn server(n: u8) -> SocketAddr {
    SocketAddr::new(IpAddr::from([192, 0, 2, n]), 53)
}

fn ip(n: u8) -> IpAddr {
    IpAddr::from([198, 51, 100, n])
}

fn question(name: &str, record: RecordType) -> Question {
    Question {
        name: name.to_owned(),
        record,
    }
}

fn addresses(n: u8) -> Answer {
    Answer::Addresses(vec![ip(n)])
}

impl Bench {
    fn new(servers: &[SocketAddr]) -> Self {
        let policy = DnsPolicy {
            servers: Some(servers.to_vec()),
            timeout: SECOND,
            cache_max: 100,
        };
        Self {
            resolver: Resolver::new(&policy),
            now: Instant::from_secs(1000),
            entropy: Entropy::from_u64(1),
            answers: Vec::new(),
        }
    }

    fn ask(&mut self, question: &Question, waiter: u32) -> Option<Answer> {
        self.resolver
            .ask(self.now, &mut self.entropy, question, waiter)
    }

    /// Takes everything that was sent; streams must not be touched.
    fn sent(&mut self) -> Vec<Sent> {
        let (sent, streams) = self.outputs();
        assert_eq!(streams, [], "no stream");
        sent
    }

    /// Takes the one thing that was sent.
    fn sent_one(&mut self) -> Sent {
        let mut sent = self.sent();
        assert_eq!(sent.len(), 1, "{sent:?}");
        sent.remove(0)
    }

    fn streams(&mut self) -> Vec<Stream> {
        let (sent, streams) = self.outputs();
        assert!(sent.is_empty(), "{sent:?}");
        streams
    }

    fn outputs(&mut self) -> (Vec<Sent>, Vec<Stream>) {
        let (mut sent, mut streams) = (Vec::new(), Vec::new());
        while let Some(output) = self.resolver.poll_output() {
            match output {
                Output::Datagram {
                    socket: Socket::Dns(socket),
                    destination: server,
                    bytes,
                } => sent.push(Sent {
                    socket,
                    server,
                    bytes: bytes.as_ref().to_vec(),
                }),
                Output::Connect {
                    stream,
                    service: Service::Dns,
                    peer,
                } => streams.push(Stream::Connect(stream, peer)),
                Output::Send { stream, bytes } => {
                    streams.push(Stream::Send(stream, bytes.as_ref().to_vec()));
                }
                Output::Close(stream) => streams.push(Stream::Close(stream)),
                other => panic!("not of a resolver: {other:?}"),
            }
        }
        (sent, streams)
    }

    fn reply(&mut self, sent: &Sent, reply: &[u8]) {
        self.resolver
            .handle_datagram(self.now, sent.socket, sent.server, reply);
    }

    /// Lets time pass up to the next timeout, and through it; how long that was.
    fn time_out(&mut self) -> Duration {
        let at = self.resolver.next_timeout().expect("something is awaited");
        let passed = at - self.now;
        self.now = at;
        self.resolver.handle_timeout(at);
        passed
    }

    fn answers(&mut self) -> Vec<(u32, Answer)> {
        self.answers
            .extend(std::iter::from_fn(|| self.resolver.poll_answer()));
        std::mem::take(&mut self.answers)
    }

    /// Nothing is under way or awaited.
    fn assert_idle(&mut self) {
        assert_eq!(self.resolver.queries(), 0);
        assert_eq!(self.resolver.next_timeout(), None);
        assert_eq!(self.answers(), []);
    }
}

fn name(text: &str) -> Name {
    Name::from_ascii(format!("{text}.")).expect("a name")
}

/// The reply to a question as it left, without records.
fn empty(sent: &[u8]) -> Message {
    let mut message = Message::from_vec(sent).expect("a question").into_response();
    message.metadata.recursion_available = true;
    message
}

fn record(owner: &str, ttl: u32, data: RData) -> Record {
    Record::from_rdata(name(owner), ttl, data)
}

fn a(owner: &str, ttl: u32, n: u8) -> Record {
    let IpAddr::V4(ip) = ip(n) else {
        unreachable!("an IPv4 address");
    };
    record(owner, ttl, RData::A(A(ip)))
}

fn aaaa(owner: &str, ttl: u32, text: &str) -> Record {
    let ip = text.parse().expect("an IPv6 address");
    record(owner, ttl, RData::AAAA(AAAA(ip)))
}

fn cname(owner: &str, ttl: u32, target: &str) -> Record {
    record(owner, ttl, RData::CNAME(CNAME(name(target))))
}

fn srv(owner: &str, port: u16, target: &str) -> Record {
    record(owner, 60, RData::SRV(SRV::new(1, 1, port, name(target))))
}

fn soa(zone: &str, ttl: u32, minimum: u32) -> Record {
    let data = SOA::new(name("ns.test"), name("admin.test"), 1, 1, 1, 1, minimum);
    record(zone, ttl, RData::SOA(data))
}

fn ns(zone: &str) -> Record {
    record(zone, 60, RData::NS(NS(name("ns.test"))))
}

fn bytes(message: &Message) -> Vec<u8> {
    message.to_vec().expect("it can be written")
}

/// The reply with one address.
fn found(sent: &[u8], ttl: u32, n: u8) -> Vec<u8> {
    let mut message = empty(sent);
    let owner = message.queries[0].name().to_ascii();
    message.add_answer(a(owner.trim_end_matches('.'), ttl, n));
    bytes(&message)
}

/// The reply that the server cannot tell.
fn refused(sent: &[u8], code: ResponseCode) -> Vec<u8> {
    let mut message = empty(sent);
    message.metadata.response_code = code;
    bytes(&message)
}
