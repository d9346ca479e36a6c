//! One entity with a real stack below it and nothing around it: a test plays its peers and the HSS,
//! on virtual time.

use std::collections::{HashMap, VecDeque};
use std::net::SocketAddr;
use std::time::Duration;

use base::{Entropy, Instant, TimerQueue};
use diameter::cx;
use sip::{Draft, HeaderName, Message, Method};

use super::icscf::Icscf;
use super::pcscf::Pcscf;
use super::scscf::Scscf;
use super::{Actions, CxCommand, Event, Timer};
use crate::config::{ControlConfig, ControlFile, Role};
use crate::counters::{Counter, Counters};
use crate::journal::{Journal, Kind, Replay};
use crate::node::{Output, StreamId};
use crate::stack::Stack;

/// Where the entity listens.
pub const OWN: &str = "192.0.2.1:5060";
/// Where its I-CSCF is.
pub const ICSCF: &str = "192.0.2.2:5060";

/// What a [`Kit`] drives.
pub trait Entity {
    /// Its role.
    const ROLE: Role;
    /// Lets something happen.
    fn handle(&mut self, event: Event, actions: &mut Actions<'_>);
    /// Lets time pass.
    fn handle_timer(&mut self, timer: Timer, actions: &mut Actions<'_>);
    /// Takes up what an earlier life has kept.
    fn restore(&mut self, _: &mut Replay, _: &mut Actions<'_>) {}
    /// Keeps everything anew.
    fn keep_all(&mut self, _: &mut Actions<'_>) {}
}

/// An entity and what it acts on.
pub struct Kit<E> {
    /// The entity.
    pub entity: E,
    /// The present.
    pub now: Instant,
    /// What was counted.
    pub counters: Counters,
    journal: Journal,
    /// What was kept.
    kept: Vec<u8>,
    config: ControlConfig,
    stack: Stack,
    entropy: Entropy,
    timers: TimerQueue<Timer>,
    cx: VecDeque<CxCommand>,
    cx_answers: VecDeque<(u64, cx::Answer)>,
    streams: HashMap<StreamId, SocketAddr>,
    /// What was sent before, retransmissions apart.
    seen: Vec<(SocketAddr, Vec<u8>)>,
    fresh: VecDeque<Sent>,
    branches: u32,
}

/// A message that the entity sent.
#[derive(Clone, Debug)]
pub struct Sent {
    /// To this peer.
    pub to: SocketAddr,
    /// On this stream, if not as a datagram.
    pub stream: Option<StreamId>,
    /// The message.
    pub message: Message,
}

impl<E: Entity> Kit<E> {
    /// An entity of the realm `ims.test`, alone in its process.
    pub fn new(make: impl FnOnce(&ControlConfig, &Stack) -> E) -> Self {
        Self::with(|_| {}, make)
    }

    /// The same with another configuration.
    pub fn with(
        change: impl FnOnce(&mut ControlFile),
        make: impl FnOnce(&ControlConfig, &Stack) -> E,
    ) -> Self {
        let mut file = ControlFile {
            roles: Some(vec![E::ROLE]),
            sip: Some(vec![address(OWN)]),
            icscf: Some(address(ICSCF)),
            hss: (E::ROLE != Role::Pcscf).then(|| "192.0.2.9:3868".to_owned()),
            ..ControlFile::default()
        };
        if E::ROLE == Role::Icscf {
            file.scscf = Some(vec!["sip:scscf@192.0.2.3:5060".into()]);
        }
        change(&mut file);
        let config = file.validate().expect("the test's configuration");
        let stack = Stack::new(&config, Entropy::from_u64(1));
        Self {
            entity: make(&config, &stack),
            now: Instant::from_secs(1_000_000),
            counters: Counters::default(),
            journal: Journal::default(),
            kept: Vec::new(),
            config,
            stack,
            entropy: Entropy::from_u64(2),
            timers: TimerQueue::new(),
            cx: VecDeque::new(),
            cx_answers: VecDeque::new(),
            streams: HashMap::new(),
            seen: Vec::new(),
            fresh: VecDeque::new(),
            branches: 0,
        }
    }

    /// The process ends at once and starts again after `time`, with `entity` in the place of the
    /// one before.
    pub fn restart(&mut self, time: Duration, entity: E) {
        self.note_kept();
        self.start(time, entity);
    }

    /// The same where the journal had everything put anew.
    pub fn restart_anew(&mut self, entity: E) {
        self.note_kept();
        self.journal.begin_all();
        self.act(|entity, actions| entity.keep_all(actions));
        self.journal.end_all();
        self.note_kept();
        self.start(Duration::ZERO, entity);
    }

    fn start(&mut self, time: Duration, entity: E) {
        self.now += time;
        self.entity = entity;
        self.stack = Stack::new(&self.config, Entropy::from_u64(self.now.as_nanos()));
        self.entropy = Entropy::from_u64(self.now.as_nanos() + 1);
        self.timers = TimerQueue::new();
        self.cx.clear();
        let mut replay = Replay::default();
        replay.read(&self.kept);
        assert_eq!(replay.skipped(), 0);
        self.act(|entity, actions| entity.restore(&mut replay, actions));
        assert_eq!(replay.take_unreadable(), []);
        self.settle();
    }

    fn note_kept(&mut self) {
        self.kept.extend(self.journal.take().unwrap_or_default());
    }

    /// Values that a restart would find.
    pub fn kept(&mut self, kind: Kind) -> usize {
        self.note_kept();
        let mut replay = Replay::default();
        replay.read(&self.kept);
        replay.len(kind)
    }

    /// A request arrives as a datagram from a peer that sends it itself.
    pub fn receive(&mut self, from: &str, draft: &mut Draft) -> Message {
        self.branches += 1;
        let via = format!("SIP/2.0/UDP {from};branch=z9hG4bKtest{}", self.branches);
        let request = draft.push_front(HeaderName::Via, &via).finish();
        let request = request.expect("the test's request");
        self.feed(address(from), None, &request);
        request
    }

    /// A peer opens a connection.
    pub fn accept(&mut self, stream: StreamId, from: SocketAddr) {
        self.streams.insert(stream, from);
        self.stack.handle_accepted(stream, 0, from);
    }

    /// A connection ends.
    pub fn close(&mut self, stream: StreamId) {
        self.streams.remove(&stream);
        self.stack.handle_closed(self.now, stream);
        self.settle();
    }

    /// A message arrives as it is.
    pub fn feed(&mut self, from: SocketAddr, stream: Option<StreamId>, message: &Message) {
        let (now, bytes) = (self.now, message.as_bytes());
        let counters = &mut self.counters;
        match stream {
            Some(stream) => self.stack.handle_received(now, counters, stream, bytes),
            None => self.stack.handle_datagram(now, counters, 0, from, bytes),
        }
        while self.stack.serve(now, &mut self.counters) {}
        self.settle();
    }

    /// The peer answers a request that the entity sent.
    pub fn reply(&mut self, sent: &Sent, status: u16) {
        self.reply_with(sent, status, |_| {});
    }

    /// The same with more in the response.
    pub fn reply_with(&mut self, sent: &Sent, status: u16, change: impl FnOnce(&mut Draft)) {
        let mut draft = sent.message.response(status, "");
        if status > 100 {
            draft.to_tag("far");
        }
        change(&mut draft);
        let response = draft.finish().expect("the test's response");
        self.feed(sent.to, sent.stream, &response);
    }

    /// The HSS answers.
    pub fn answer_cx(&mut self, token: u64, answer: cx::Answer) {
        let answer = Box::new(answer);
        self.handle(Event::Cx { token, answer });
    }

    /// The HSS asks; returns what the entity answers.
    pub fn ask_cx(&mut self, request: cx::Request) -> cx::Answer {
        let (token, request) = (77, Box::new(request));
        self.handle(Event::CxRequest { token, request });
        let answer = self.cx_answers.pop_front();
        answer.expect("requests of the HSS are answered").1
    }

    /// What the entity has asked the HSS.
    pub fn cx(&mut self) -> Option<(u64, cx::Request)> {
        let command = self.cx.pop_front()?;
        assert_eq!(command.from, E::ROLE);
        Some((command.token, command.request))
    }

    /// The next message that the entity has sent; retransmissions are passed over.
    pub fn poll_sent(&mut self) -> Option<Sent> {
        self.fresh.pop_front()
    }

    /// Puts a message back, to be polled next.
    pub fn put_back(&mut self, sent: Sent) {
        self.fresh.push_front(sent);
    }

    /// The next message, which must be there, and none other.
    pub fn sent(&mut self) -> Sent {
        let sent = self.poll_sent().expect("something was sent");
        let more = self.poll_sent();
        assert!(more.is_none(), "{} and {more:?}", sent.message.to_text());
        sent
    }

    /// The next message, which must be a response of this status, and none other.
    pub fn response(&mut self, status: u16) -> Message {
        let sent = self.sent().message;
        assert_eq!(sent.status(), Some(status), "{}", sent.to_text());
        sent
    }

    /// Asserts that nothing was sent.
    pub fn assert_silent(&mut self) {
        let sent = self.poll_sent();
        assert!(sent.is_none(), "{}", sent.expect("some").message.to_text());
    }

    /// Lets time pass, and fires what is due.
    pub fn run_for(&mut self, time: Duration) {
        let end = self.now + time;
        while let Some(at) = self.next_timeout().filter(|at| *at <= end) {
            self.now = self.now.max(at);
            self.stack.handle_timeout(self.now);
            while let Some(timer) = self.timers.pop_due(self.now) {
                self.act(|entity, actions| entity.handle_timer(timer, actions));
            }
            self.settle();
        }
        self.now = end;
    }

    /// Timers of the entity.
    pub fn timers(&self) -> usize {
        self.timers.len()
    }

    /// Transactions of both kinds.
    pub fn transactions(&self) -> usize {
        let transactions = self.stack.transactions();
        transactions.client + transactions.server
    }

    /// What was counted.
    pub fn counter(&self, counter: Counter) -> u64 {
        self.counters.value(counter)
    }

    /// Lets something happen to the entity.
    pub fn handle(&mut self, event: Event) {
        self.act(|entity, actions| entity.handle(event, actions));
        self.settle();
    }

    /// Does something to the entity; what it sends is seen after the next event.
    pub fn act<T>(&mut self, act: impl FnOnce(&mut E, &mut Actions<'_>) -> T) -> T {
        let mut actions = Actions {
            now: self.now,
            entropy: &mut self.entropy,
            config: &self.config,
            stack: &mut self.stack,
            mgc: None,
            counters: &mut self.counters,
            journal: &mut self.journal,
            timers: &mut self.timers,
            cx: &mut self.cx,
            cx_answers: &mut self.cx_answers,
        };
        act(&mut self.entity, &mut actions)
    }

    fn next_timeout(&self) -> Option<Instant> {
        let stack = self.stack.next_timeout();
        stack.into_iter().chain(self.timers.next_timeout()).min()
    }

    fn settle(&mut self) {
        while let Some((role, event)) = self.stack.poll_event(self.now, &mut self.counters) {
            assert_eq!(role, E::ROLE);
            self.act(|entity, actions| entity.handle(event, actions));
        }
        while let Some(output) = self.stack.poll_output() {
            match output {
                Output::Datagram {
                    destination, bytes, ..
                } => self.note(destination, None, bytes.as_ref()),
                Output::Connect { stream, peer, .. } => {
                    self.streams.insert(stream, peer);
                }
                Output::Send { stream, bytes } => {
                    let peer = self.streams[&stream];
                    self.note(peer, Some(stream), bytes.as_ref());
                }
                Output::Close(_) => {}
                other => panic!("{other:?}"),
            }
        }
    }

    fn note(&mut self, to: SocketAddr, stream: Option<StreamId>, bytes: &[u8]) {
        let message = Message::parse(bytes).expect("what we send can be parsed");
        let sent = (to, bytes.to_vec());
        if !self.seen.contains(&sent) {
            self.seen.push(sent);
            self.fresh.push_back(Sent {
                to,
                stream,
                message,
            });
        }
    }
}

/// A request with what every one has, From and To of users of the realm; `CSeq` is 1.
pub fn request(method: &Method, uri: &str) -> Draft {
    let mut draft = Draft::request(method, uri);
    draft
        .append(HeaderName::MaxForwards, "70")
        .append(HeaderName::From, "<sip:bob@ims.test>;tag=near")
        .append(HeaderName::To, "<sip:alice@ims.test>")
        .append(HeaderName::CallId, "call")
        .append(HeaderName::CSeq, &format!("1 {method}"));
    draft
}

/// A socket address.
pub fn address(text: &str) -> SocketAddr {
    text.parse().expect("IP:PORT")
}

impl Entity for Scscf {
    const ROLE: Role = Role::Scscf;

    fn handle(&mut self, event: Event, actions: &mut Actions<'_>) {
        Scscf::handle(self, event, actions);
    }

    fn handle_timer(&mut self, timer: Timer, actions: &mut Actions<'_>) {
        match timer {
            Timer::Scscf(timer) => Scscf::handle_timer(self, timer, actions),
            other => panic!("{other:?}"),
        }
    }

    fn restore(&mut self, replay: &mut Replay, actions: &mut Actions<'_>) {
        Scscf::restore(self, replay, actions);
    }

    fn keep_all(&mut self, actions: &mut Actions<'_>) {
        Scscf::keep_all(self, actions);
    }
}

impl Entity for Icscf {
    const ROLE: Role = Role::Icscf;

    fn handle(&mut self, event: Event, actions: &mut Actions<'_>) {
        Icscf::handle(self, event, actions);
    }

    fn handle_timer(&mut self, timer: Timer, actions: &mut Actions<'_>) {
        match timer {
            Timer::Icscf(timer) => Icscf::handle_timer(self, timer, actions),
            other => panic!("{other:?}"),
        }
    }
}

impl Entity for Pcscf {
    const ROLE: Role = Role::Pcscf;

    fn handle(&mut self, event: Event, actions: &mut Actions<'_>) {
        Pcscf::handle(self, event, actions);
    }

    fn handle_timer(&mut self, timer: Timer, actions: &mut Actions<'_>) {
        match timer {
            Timer::Pcscf(timer) => Pcscf::handle_timer(self, timer, actions),
            other => panic!("{other:?}"),
        }
    }

    fn restore(&mut self, replay: &mut Replay, actions: &mut Actions<'_>) {
        Pcscf::restore(self, replay, actions);
    }

    fn keep_all(&mut self, actions: &mut Actions<'_>) {
        Pcscf::keep_all(self, actions);
    }
}
