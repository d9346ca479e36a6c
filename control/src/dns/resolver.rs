//! The resolver: questions under way, the servers asked, and what became of them.

use std::collections::{HashMap, VecDeque};
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::time::Duration;

use base::{Entropy, Instant, TimerId, TimerQueue};
use sip::locate::{Answer, Question, RecordType};

use super::cache::Cache;
use super::wire::{self, Reply};
use crate::config::DnsPolicy;
use crate::node::{Output, Payload, Service, Socket, StreamId};

/// Name servers of one resolver: a question tries each, twice.
pub const SERVERS_MAX: usize = 8;
/// Questions under way; beyond it there is no answer.
pub(super) const QUERIES_MAX: usize = 1024;
/// Who waits for answers; beyond it there is no answer.
pub(super) const WAITERS_MAX: usize = 65_536;
/// Sockets of each address family, of which each question draws one (RFC 5452 9.2).
pub(super) const SOCKETS_PER_FAMILY: u16 = 16;
/// Times a question is put to each server, the wait doubled each time.
const ROUNDS: u32 = 2;
/// After so many questions without a reply a server is asked last and once.
const SILENT_MAX: u32 = 2;
/// How long a silent server stays last.
const SILENT_FOR: Duration = Duration::from_secs(30);
/// How long it is remembered that no server knew (RFC 2308 7, RFC 9520 3.2).
const FAILURE_TTL: Duration = Duration::from_secs(5);
/// Replies that nobody waited for, while a question is under way, after which its answer is taken
/// over TCP only: somebody may be guessing ids (RFC 5452 9.3).
pub(super) const UNEXPECTED_MAX: u64 = 64;
/// Octets of the length before a message on a stream (RFC 1035 4.2.2).
const LENGTH_BYTES: usize = 2;

const _: () = assert!(
    SERVERS_MAX <= u8::BITS as usize,
    "servers asked are a bit mask"
);
const _: () = assert!(
    QUERIES_MAX < 1 << 12,
    "most of the ids are free, so that one is soon drawn"
);

/// A stub resolver. `W` is the caller's name for who waits for an answer.
///
/// After any call that takes `now`, drain [`Resolver::poll_output`] and [`Resolver::poll_answer`].
#[derive(Debug)]
pub struct Resolver<W> {
    servers: Vec<Server>,
    timeout: Duration,
    cache: Cache,
    queries: HashMap<u16, Query<W>>,
    by_question: HashMap<Question, u16>,
    by_stream: HashMap<StreamId, u16>,
    timers: TimerQueue<u16>,
    waiting: usize,
    streams_opened: u64,
    totals: Totals,
    outputs: VecDeque<Output>,
    answers: VecDeque<(W, Answer)>,
}

/// What a resolver has done since its start.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Totals {
    /// Questions put to it.
    pub asked: u64,
    /// Questions answered without asking a server.
    pub cached: u64,
    /// Questions sent to a server, repetitions included.
    pub sent: u64,
    /// Times a server did not answer in time.
    pub timeouts: u64,
    /// Replies that did not fit into a datagram.
    pub truncated: u64,
    /// Datagrams that answer no question under way.
    pub unexpected: u64,
    /// Questions that no server answered.
    pub failed: u64,
    /// Questions not asked because too many were under way.
    pub refused: u64,
}

impl Totals {
    /// All of them, by their names in status and metrics.
    pub fn by_name(&self) -> [(&'static str, u64); 8] {
        [
            ("dns.asked", self.asked),
            ("dns.cached", self.cached),
            ("dns.sent", self.sent),
            ("dns.timeout", self.timeouts),
            ("dns.truncated", self.truncated),
            ("dns.unexpected", self.unexpected),
            ("dns.failed", self.failed),
            ("dns.refused.full", self.refused),
        ]
    }
}

#[derive(Debug)]
struct Server {
    address: SocketAddr,
    /// False once it did not understand EDNS.
    edns: bool,
    /// Questions without a reply since the last reply.
    silent: u32,
    /// When it was last found silent.
    silent_at: Instant,
}

/// A question under way.
#[derive(Debug)]
struct Query<W> {
    question: Question,
    waiters: Vec<W>,
    /// What remains to be tried.
    plan: VecDeque<Attempt>,
    /// Asked at present.
    server: usize,
    /// Servers asked so far, as a bit mask: a late answer is as good.
    asked: u8,
    /// Which of the sockets of a family it uses.
    socket: u16,
    /// [`Totals::unexpected`] when it was first sent.
    unexpected: u64,
    phase: Phase,
    timer: Option<TimerId>,
}

#[derive(Clone, Copy, Debug)]
struct Attempt {
    server: usize,
    wait: Duration,
}

#[derive(Debug)]
enum Phase {
    Datagram,
    Stream { stream: StreamId, received: Vec<u8> },
}

/// The addresses to which the sockets of a resolver are bound, [`Socket::Dns`] being their index:
/// ports of the system's choice, in the address families of the servers.
pub fn local_addresses(servers: &[SocketAddr]) -> Vec<SocketAddr> {
    let families = [
        IpAddr::V4(Ipv4Addr::UNSPECIFIED),
        IpAddr::V6(Ipv6Addr::UNSPECIFIED),
    ];
    let used = |ip: &IpAddr| servers.iter().any(|at| at.is_ipv6() == ip.is_ipv6());
    families
        .into_iter()
        .filter(used)
        .flat_map(|ip| (0..SOCKETS_PER_FAMILY).map(move |_| SocketAddr::new(ip, 0)))
        .collect()
}

impl<W> Resolver<W> {
    /// A resolver that knows nothing. Without servers every answer is [`Answer::Nothing`].
    pub fn new(policy: &DnsPolicy) -> Self {
        let servers = policy.servers.iter().flatten().take(SERVERS_MAX);
        let server = |&address| Server {
            address,
            edns: true,
            silent: 0,
            silent_at: Instant::ZERO,
        };
        Self {
            servers: servers.map(server).collect(),
            timeout: policy.timeout,
            cache: Cache::new(policy.cache_max),
            queries: HashMap::new(),
            by_question: HashMap::new(),
            by_stream: HashMap::new(),
            timers: TimerQueue::new(),
            waiting: 0,
            streams_opened: 0,
            totals: Totals::default(),
            outputs: VecDeque::new(),
            answers: VecDeque::new(),
        }
    }

    /// What it has done.
    pub fn totals(&self) -> Totals {
        self.totals
    }

    /// Questions under way.
    #[cfg(test)]
    pub(super) fn queries(&self) -> usize {
        self.queries.len()
    }

    /// Answers at once, or `None`: then the answer for `waiter` comes from
    /// [`Resolver::poll_answer`], always.
    pub fn ask(
        &mut self,
        now: Instant,
        entropy: &mut Entropy,
        question: &Question,
        waiter: W,
    ) -> Option<Answer> {
        self.totals.asked += 1;
        let known = special_use(question).or_else(|| self.cache.get(now, question).cloned());
        if known.is_some() {
            self.totals.cached += 1;
            return known;
        }
        let is_name = wire::write_question(0, question, false).is_some();
        if self.servers.is_empty() || !is_name {
            return Some(Answer::Nothing);
        }
        if self.waiting == WAITERS_MAX {
            self.totals.refused += 1;
            return Some(Answer::Nothing);
        }
        if let Some(id) = self.by_question.get(question)
            && let Some(query) = self.queries.get_mut(id)
        {
            query.waiters.push(waiter);
            self.waiting += 1;
            return None;
        }
        if self.queries.len() == QUERIES_MAX {
            self.totals.refused += 1;
            return Some(Answer::Nothing);
        }
        self.start(now, entropy, question, waiter);
        None
    }

    /// A datagram came in on the n-th socket.
    pub fn handle_datagram(&mut self, now: Instant, socket: u16, source: SocketAddr, bytes: &[u8]) {
        let Some((id, server, reply)) = self.reply_to(socket, source, bytes) else {
            self.totals.unexpected += 1;
            return;
        };
        self.servers[server].silent = 0;
        let Some(query) = self.queries.get_mut(&id) else {
            return;
        };
        let is_current = query.server == server;
        let doubtful = self.totals.unexpected - query.unexpected > UNEXPECTED_MAX;
        match reply {
            Reply::Answer { .. } if doubtful => self.ask_on_stream(now, id, server),
            Reply::Answer { answer, ttl } => self.finish(now, id, answer, ttl),
            Reply::Truncated => {
                self.totals.truncated += 1;
                self.ask_on_stream(now, id, server);
            }
            Reply::NotUnderstood if self.servers[server].edns => {
                self.servers[server].edns = false;
                let wait = self.timeout;
                query.plan.push_front(Attempt { server, wait });
                if is_current {
                    self.try_next(now, id);
                }
            }
            Reply::NotUnderstood | Reply::Failed if is_current => self.try_next(now, id),
            Reply::NotUnderstood | Reply::Failed | Reply::Foreign => {}
        }
    }

    /// Octets came on a stream that the resolver opened.
    pub fn handle_received(&mut self, now: Instant, stream: StreamId, bytes: &[u8]) {
        let Some(&id) = self.by_stream.get(&stream) else {
            return;
        };
        let Some(query) = self.queries.get_mut(&id) else {
            return;
        };
        let Phase::Stream { received, .. } = &mut query.phase else {
            return;
        };
        let room = LENGTH_BYTES + usize::from(u16::MAX) - received.len();
        received.extend_from_slice(&bytes[..bytes.len().min(room)]);
        let Some((length, message)) = received.split_first_chunk::<LENGTH_BYTES>() else {
            return;
        };
        let Some(message) = message.get(..usize::from(u16::from_be_bytes(*length))) else {
            return;
        };
        let reply = wire::read_reply(message, id, &query.question);
        self.servers[query.server].silent = 0;
        match reply {
            Reply::Answer { answer, ttl } => self.finish(now, id, answer, ttl),
            _ => self.try_next(now, id),
        }
    }

    /// A stream that the resolver opened is gone.
    pub fn handle_closed(&mut self, now: Instant, stream: StreamId) {
        if let Some(id) = self.by_stream.remove(&stream) {
            self.try_next(now, id);
        }
    }

    /// When a server has had its time.
    pub fn next_timeout(&self) -> Option<Instant> {
        self.timers.next_timeout()
    }

    /// Goes on to the next server where one has had its time.
    pub fn handle_timeout(&mut self, now: Instant) {
        while let Some(id) = self.timers.pop_due(now) {
            let Some(query) = self.queries.get_mut(&id) else {
                continue;
            };
            query.timer = None;
            self.totals.timeouts += 1;
            let server = &mut self.servers[query.server];
            server.silent += 1;
            server.silent_at = now;
            self.try_next(now, id);
        }
    }

    /// Takes what is to be done outside.
    pub fn poll_output(&mut self) -> Option<Output> {
        self.outputs.pop_front()
    }

    /// Takes an answer that somebody waits for.
    pub fn poll_answer(&mut self) -> Option<(W, Answer)> {
        self.answers.pop_front()
    }

    fn start(&mut self, now: Instant, entropy: &mut Entropy, question: &Question, waiter: W) {
        let id = loop {
            let id = (entropy.next_u32() >> 16) as u16;
            if !self.queries.contains_key(&id) {
                break id;
            }
        };
        let query = Query {
            question: question.clone(),
            waiters: vec![waiter],
            plan: self.plan(now),
            server: 0,
            asked: 0,
            socket: entropy.below(SOCKETS_PER_FAMILY.into()) as u16,
            unexpected: self.totals.unexpected,
            phase: Phase::Datagram,
            timer: None,
        };
        self.waiting += 1;
        self.by_question.insert(question.clone(), id);
        self.queries.insert(id, query);
        self.try_next(now, id);
    }

    /// Each server in its order, those that were silent last; in later rounds only the others.
    fn plan(&self, now: Instant) -> VecDeque<Attempt> {
        let is_silent = |server: &Server| {
            server.silent >= SILENT_MAX && now.since(server.silent_at) < SILENT_FOR
        };
        let of = |silent: bool| {
            let fits = move |&(_, server): &(usize, &Server)| is_silent(server) == silent;
            self.servers
                .iter()
                .enumerate()
                .filter(fits)
                .map(|(index, _)| index)
        };
        let first = of(false).chain(of(true)).map(|server| (server, 0));
        let later = (1..ROUNDS).flat_map(|round| of(false).map(move |server| (server, round)));
        let attempt = |(server, round)| Attempt {
            server,
            wait: self.timeout * 2_u32.pow(round),
        };
        first.chain(later).map(attempt).collect()
    }

    /// Puts a question to the next server of its plan, or gives it up.
    fn try_next(&mut self, now: Instant, id: u16) {
        self.leave_stream(id);
        let Some(query) = self.queries.get_mut(&id) else {
            return;
        };
        if let Some(timer) = query.timer.take() {
            self.timers.cancel(timer);
        }
        let Some(Attempt { server, wait }) = query.plan.pop_front() else {
            self.totals.failed += 1;
            return self.finish(now, id, Answer::Nothing, Some(FAILURE_TTL));
        };
        let Server { address, edns, .. } = self.servers[server];
        query.server = server;
        query.asked |= 1 << server;
        query.timer = Some(self.timers.set(now + wait, id));
        let socket = query.socket;
        if let Some(bytes) = wire::write_question(id, &query.question, edns) {
            self.totals.sent += 1;
            self.outputs.push_back(Output::Datagram {
                socket: Socket::Dns(self.socket_towards(address, socket)),
                destination: address,
                bytes: Payload::from(bytes),
            });
        }
    }

    /// Puts a question to a server over TCP (RFC 7766).
    fn ask_on_stream(&mut self, now: Instant, id: u16, server: usize) {
        let Some(query) = self.queries.get_mut(&id) else {
            return;
        };
        let Server { address, edns, .. } = self.servers[server];
        let Some(message) = wire::write_question(id, &query.question, edns) else {
            return;
        };
        let Ok(length) = u16::try_from(message.len()) else {
            return;
        };
        if let Some(timer) = query.timer.take() {
            self.timers.cancel(timer);
        }
        self.streams_opened += 1;
        let stream = StreamId::of_dns(self.streams_opened);
        query.server = server;
        query.phase = Phase::Stream {
            stream,
            received: Vec::new(),
        };
        // Connecting takes a round trip more.
        query.timer = Some(self.timers.set(now + 2 * self.timeout, id));
        self.by_stream.insert(stream, id);
        self.totals.sent += 1;
        self.outputs.push_back(Output::Connect {
            stream,
            service: Service::Dns,
            peer: address,
        });
        let mut bytes = length.to_be_bytes().to_vec();
        bytes.extend(message);
        self.outputs.push_back(Output::Send {
            stream,
            bytes: Payload::from(bytes),
        });
    }

    fn leave_stream(&mut self, id: u16) {
        let Some(query) = self.queries.get_mut(&id) else {
            return;
        };
        if let Phase::Stream { stream, .. } = query.phase {
            query.phase = Phase::Datagram;
            if self.by_stream.remove(&stream).is_some() {
                self.outputs.push_back(Output::Close(stream));
            }
        }
    }

    /// Ends a question: its answer is kept for `ttl` and goes to all who wait.
    fn finish(&mut self, now: Instant, id: u16, answer: Answer, ttl: Option<Duration>) {
        self.leave_stream(id);
        let Some(query) = self.queries.remove(&id) else {
            return;
        };
        if let Some(timer) = query.timer {
            self.timers.cancel(timer);
        }
        self.by_question.remove(&query.question);
        self.waiting -= query.waiters.len();
        for waiter in query.waiters {
            self.answers.push_back((waiter, answer.clone()));
        }
        let ttl = ttl.unwrap_or_default();
        self.cache.put(now, query.question, answer, ttl);
    }

    /// The question that a datagram answers, by whom and how: only from a server that was asked, on
    /// the socket used for it, under its id, repeating the question (RFC 5452 9.1).
    fn reply_to(
        &self,
        socket: u16,
        source: SocketAddr,
        bytes: &[u8],
    ) -> Option<(u16, usize, Reply)> {
        let id = wire::id_of(bytes)?;
        let query = self.queries.get(&id)?;
        let server = self.servers.iter().position(|at| at.address == source)?;
        let was_asked = query.asked & (1 << server) != 0;
        let is_its_socket = self.socket_towards(source, query.socket) == socket;
        if !was_asked || !is_its_socket || !matches!(query.phase, Phase::Datagram) {
            return None;
        }
        match wire::read_reply(bytes, id, &query.question) {
            Reply::Foreign => None,
            reply => Some((id, server, reply)),
        }
    }

    /// Index of a socket of the family of `server`, in the order of [`local_addresses`].
    fn socket_towards(&self, server: SocketAddr, socket: u16) -> u16 {
        let after_ipv4 = server.is_ipv6() && self.servers.iter().any(|at| at.address.is_ipv4());
        if after_ipv4 {
            SOCKETS_PER_FAMILY + socket
        } else {
            socket
        }
    }
}

/// Names that no server is asked for (RFC 6761 6.3, 6.4).
fn special_use(question: &Question) -> Option<Answer> {
    let name = question.name.trim_end_matches('.');
    let top = name.rsplit('.').next().unwrap_or(name);
    if top.eq_ignore_ascii_case("invalid") {
        return Some(Answer::Nothing);
    }
    if !top.eq_ignore_ascii_case("localhost") {
        return None;
    }
    Some(match question.record {
        RecordType::A => Answer::Addresses(vec![Ipv4Addr::LOCALHOST.into()]),
        RecordType::Aaaa => Answer::Addresses(vec![Ipv6Addr::LOCALHOST.into()]),
        RecordType::Naptr | RecordType::Srv => Answer::Nothing,
    })
}
