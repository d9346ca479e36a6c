//! A gateway over a media plane that carries nothing, and MGCs that share a network with it.
#![allow(dead_code, reason = "each test uses a part")]

use std::collections::{BTreeMap, BTreeSet, HashMap, VecDeque};
use std::net::SocketAddr;
use std::time::Duration;

use base::{Entropy, Instant};
use h248::binary::Naming;
use h248::encoding::{Encoding, Parsed};
use h248::error::ErrorCode;
use h248::message::{
    ActionReply, ActionRequest, Command, CommandReply, ErrorDescriptor, Message, MessageBody, Mid,
    NotifyReply, NotifyRequest, ReplyBody, ServiceChangeParms, ServiceChangeReply,
    ServiceChangeResult, Transaction, TransactionId, TransactionReply, TransactionRequest,
};
use h248::text::{self, Style};
use h248::transaction::{Config, Endpoint, Output as Out, Transport};
use mg::{
    AssociationEvent, ContextStream, GatewayConfig, Leg, MediaEvent, MediaGateway, MediaPlane,
    OpenError, Output, RealmAddress, Statistics, TRGW,
};

pub const MG: &str = "192.0.2.1:2944";
pub const MGC: &str = "192.0.2.11:2944";
pub const MGC_2: &str = "192.0.2.12:2944";
pub const CORE_4: &str = "198.51.100.1";
pub const CORE_6: &str = "2001:db8::1";
pub const ACCESS_4: &str = "203.0.113.1";

pub fn at(text: &str) -> SocketAddr {
    text.parse().expect("an address")
}

/// Opens what it is told, and remembers.
#[derive(Default)]
pub struct Plane {
    pub open: BTreeSet<SocketAddr>,
    pub closing: Vec<SocketAddr>,
    /// The last leg that each address was connected as, and whom it reaches.
    pub legs: HashMap<SocketAddr, (Leg, Vec<SocketAddr>)>,
    pub taken: BTreeSet<SocketAddr>,
    pub refusal: Option<OpenError>,
    pub statistics: HashMap<SocketAddr, Statistics>,
    /// What was connected last as a context: its members, and the pairs that are isolated.
    pub context: (Vec<SocketAddr>, Vec<(usize, usize)>),
    /// Codecs that it cannot process.
    pub unsupported: Vec<&'static str>,
}

impl MediaPlane for Plane {
    fn open(&mut self, _: Instant, local: SocketAddr) -> Result<(), OpenError> {
        if let Some(refusal) = self.refusal {
            return Err(refusal);
        }
        if self.taken.contains(&local) {
            return Err(OpenError::InUse);
        }
        assert_eq!(local.port() % 2, 0, "RTP is at an even port");
        assert!(!self.closing.contains(&local), "it has not been closed yet");
        assert!(self.open.insert(local), "{local} is open already");
        Ok(())
    }

    fn close(&mut self, local: SocketAddr) {
        assert!(self.open.remove(&local), "{local} is not open");
        self.legs.remove(&local);
        self.closing.push(local);
    }

    fn connect(&mut self, _: ContextStream, legs: &[Leg], isolated: &[(usize, usize)]) {
        let members = legs.iter().map(|leg| leg.local).collect();
        self.context = (members, isolated.to_vec());
        for (from, leg) in legs.iter().enumerate() {
            assert!(self.open.contains(&leg.local), "a leg without address");
            let reached = legs.iter().enumerate();
            let reached = reached.filter(|&(to, _)| from != to && !isolated.contains(&(from, to)));
            let others = reached.map(|(_, other)| other.local).collect();
            self.legs.insert(leg.local, (leg.clone(), others));
        }
    }

    fn supports(&self, codec: &sdp::Codec) -> bool {
        !self.unsupported.contains(&&*codec.encoding)
    }

    fn statistics(&self, local: SocketAddr) -> Statistics {
        self.statistics.get(&local).copied().unwrap_or_default()
    }
}

/// How an MGC answers ServiceChange of ROOT.
#[derive(Clone, Debug)]
pub enum Answer {
    Accept(ServiceChangeResult),
    Refuse(ErrorCode),
}

/// A controller of the test.
pub struct Mgc {
    pub address: SocketAddr,
    pub endpoint: Endpoint<u32>,
    pub is_alive: bool,
    pub answer: Answer,
    /// Requests of the gateway are refused by 505 but for ServiceChange.
    pub is_forgetful: bool,
    pub changes: Vec<ServiceChangeParms>,
    pub notified: Vec<NotifyRequest>,
    outcomes: BTreeMap<u32, Option<ReplyBody>>,
    next_token: u32,
}

impl Mgc {
    fn new(address: SocketAddr, seed: u64, transport: Transport) -> Self {
        let mut config = Config::new(Mid::from(address), TransactionId(1));
        config.association.transport = transport;
        let result = ServiceChangeResult {
            version: Some(3),
            ..ServiceChangeResult::default()
        };
        Self {
            address,
            endpoint: Endpoint::new(config, Entropy::from_u64(seed)),
            is_alive: true,
            answer: Answer::Accept(result),
            is_forgetful: false,
            changes: Vec::new(),
            notified: Vec::new(),
            outcomes: BTreeMap::new(),
            next_token: 1,
        }
    }

    /// The methods and reasons that it was told, in order.
    pub fn heard(&self) -> Vec<(String, u16)> {
        let changes = self.changes.iter();
        let heard = changes.map(|change| (format!("{:?}", change.method), change.reason.code));
        heard.collect()
    }

    fn execute(&mut self, actions: &[ActionRequest]) -> ReplyBody {
        let mut replies = Vec::new();
        for action in actions {
            let mut commands = Vec::new();
            for request in &action.commands {
                match &request.command {
                    Command::ServiceChange(change) => {
                        self.changes.push((*change.parms).clone());
                        let result = match &self.answer {
                            Answer::Accept(result) => Ok(Box::new(result.clone())),
                            Answer::Refuse(code) => Err(ErrorDescriptor::new(*code)),
                        };
                        commands.push(CommandReply::ServiceChange(ServiceChangeReply {
                            terminations: change.terminations.clone(),
                            result,
                        }));
                    }
                    Command::Notify(notify) => {
                        if self.is_forgetful {
                            let error = ErrorDescriptor::new(ErrorCode::BEFORE_RESTART);
                            return ReplyBody::Error(error);
                        }
                        self.notified.push(notify.clone());
                        commands.push(CommandReply::Notify(NotifyReply {
                            terminations: notify.terminations.clone(),
                            error: None,
                        }));
                    }
                    other => panic!("a gateway does not say {other:?}"),
                }
            }
            replies.push(ActionReply::new(action.context, commands));
        }
        ReplyBody::Actions(replies)
    }
}

/// What the network does, per mille, and how long it takes.
#[derive(Clone, Copy, Debug)]
pub struct Link {
    pub loss: u64,
    pub duplication: u64,
    pub delay_max: Duration,
}

pub const PERFECT: Link = Link {
    loss: 0,
    duplication: 0,
    delay_max: Duration::ZERO,
};

pub const ROUGH: Link = Link {
    loss: 100,
    duplication: 100,
    delay_max: Duration::from_millis(80),
};

struct Flying {
    at: Instant,
    sequence: u64,
    from: SocketAddr,
    to: SocketAddr,
    bytes: Vec<u8>,
}

pub struct Rig {
    pub now: Instant,
    pub mg: MediaGateway,
    pub plane: Plane,
    pub mgcs: Vec<Mgc>,
    pub link: Link,
    pub news: VecDeque<AssociationEvent>,
    /// How long a closed port rests.
    pub rest: Duration,
    entropy: Entropy,
    flying: Vec<Flying>,
    sequence: u64,
    /// MGCs to which there is a connection, where messages go over such.
    connected: BTreeSet<SocketAddr>,
    is_stream: bool,
    /// When attempts to connect come to an end.
    connecting: BTreeMap<SocketAddr, Instant>,
}

/// How long a connection takes, or its refusal.
const CONNECT: Duration = Duration::from_millis(2);

pub fn config() -> GatewayConfig {
    let address = |realm: &str, ip: &str| RealmAddress {
        realm: Some(realm.into()),
        ip: ip.parse().expect("an address"),
    };
    let mut config = GatewayConfig::new(at(MG), &TRGW);
    config.association.mgcs = vec![at(MGC)];
    config.association.silence_max = None;
    config.addresses = vec![
        address("core", CORE_4),
        address("core", CORE_6),
        address("access", ACCESS_4),
    ];
    config.ports = 10_000..=10_099;
    config.contexts_max = 100;
    config
}

impl Rig {
    /// A gateway in service at its only MGC.
    pub fn new() -> Self {
        let mut rig = Self::with(config(), 1, PERFECT);
        rig.start();
        rig.pass(Duration::from_millis(1));
        assert_eq!(rig.mg.status().state, "in service");
        rig
    }

    /// A gateway that has not started, and an MGC for each that it knows.
    pub fn with(config: GatewayConfig, seed: u64, link: Link) -> Self {
        let now = Instant::from_secs(1_800_000_000);
        let mgcs = config.association.mgcs.iter();
        let mgcs = mgcs
            .zip(seed..)
            .map(|(&mgc, seed)| Mgc::new(mgc, seed, config.transport))
            .collect();
        Self {
            now,
            is_stream: config.transport == Transport::Reliable,
            mg: MediaGateway::new(config, now, Entropy::from_u64(seed)),
            plane: Plane::default(),
            mgcs,
            link,
            news: VecDeque::new(),
            rest: Duration::ZERO,
            entropy: Entropy::from_u64(seed.wrapping_mul(77)),
            flying: Vec::new(),
            sequence: 0,
            connected: BTreeSet::new(),
            connecting: BTreeMap::new(),
        }
    }

    pub fn start(&mut self) {
        self.mg.start(self.now, &mut self.plane);
        self.drain();
    }

    pub fn add_mgc(&mut self, address: &str) {
        self.mgcs
            .push(Mgc::new(at(address), 99, Transport::Datagram));
    }

    /// Lets time pass, with everything that happens meanwhile.
    pub fn pass(&mut self, time: Duration) {
        let until = self.now + time;
        loop {
            self.drain();
            let arrivals = self.flying.iter().map(|flying| flying.at);
            let mgcs = self.mgcs.iter().filter(|mgc| mgc.is_alive);
            let timeouts = mgcs.filter_map(|mgc| mgc.endpoint.next_timeout());
            let connected = self.connecting.values().copied();
            let next = arrivals.chain(timeouts).chain(connected);
            let next = next.chain(self.mg.next_timeout()).min();
            let Some(next) = next.filter(|&next| next <= until) else {
                break;
            };
            self.now = self.now.max(next);
            self.step();
        }
        self.now = until;
    }

    fn step(&mut self) {
        let now = self.now;
        self.flying
            .sort_by_key(|flying| (flying.at, flying.sequence));
        let due = self
            .flying
            .iter()
            .take_while(|flying| flying.at <= now)
            .count();
        for flying in self.flying.drain(..due).collect::<Vec<_>>() {
            if flying.to == at(MG) {
                self.mg
                    .handle_input(now, &mut self.plane, flying.from, &flying.bytes);
            } else if let Some(mgc) = self.mgcs.iter_mut().find(|mgc| mgc.address == flying.to)
                && mgc.is_alive
            {
                mgc.endpoint.handle_input(now, flying.from, &flying.bytes);
            }
            self.drain();
        }
        self.finish_connecting();
        if self.mg.next_timeout().is_some_and(|at| at <= now) {
            self.mg.handle_timeout(now, &mut self.plane);
        }
        for mgc in self.mgcs.iter_mut().filter(|mgc| mgc.is_alive) {
            mgc.endpoint.handle_timeout(now);
        }
        self.drain();
    }

    fn finish_connecting(&mut self) {
        let now = self.now;
        let is_due = |entry: &(&SocketAddr, &Instant)| *entry.1 <= now;
        let due: Vec<_> = self.connecting.iter().filter(is_due).collect();
        for to in due.into_iter().map(|(&to, _)| to).collect::<Vec<_>>() {
            self.connecting.remove(&to);
            let mgc = self.mgcs.iter_mut().find(|mgc| mgc.address == to);
            match mgc.filter(|mgc| mgc.is_alive) {
                Some(mgc) => {
                    self.connected.insert(to);
                    mgc.endpoint.handle_connected(at(MG));
                    self.mg.handle_connected(now, &mut self.plane, to);
                }
                None => self.mg.handle_closed(now, &mut self.plane, to),
            }
            self.drain();
        }
    }

    /// The connection to an MGC breaks, and with it goes what is on the way.
    pub fn cut(&mut self, mgc: usize) {
        let address = self.mgcs[mgc].address;
        self.flying
            .retain(|flying| flying.from != address && flying.to != address);
        if self.connected.remove(&address) {
            self.mg.handle_closed(self.now, &mut self.plane, address);
            self.drain();
        }
    }

    /// An MGC ends, and with it its connection.
    pub fn kill(&mut self, mgc: usize) {
        self.mgcs[mgc].is_alive = false;
        self.cut(mgc);
    }

    /// True when there is a connection to an MGC.
    pub fn is_connected(&self, mgc: usize) -> bool {
        self.connected.contains(&self.mgcs[mgc].address)
    }

    fn connect(&mut self, to: SocketAddr) {
        assert!(self.is_stream, "over datagrams there is nothing to connect");
        if !self.connected.contains(&to) {
            let at = self.now + CONNECT;
            self.connecting.entry(to).or_insert(at);
        }
    }

    fn drain(&mut self) {
        let now = self.now;
        while let Some(output) = self.mg.poll_output() {
            match output {
                Output::Transmit { to, bytes } => {
                    readable(&bytes);
                    if !self.is_stream || self.connected.contains(&to) {
                        self.fly(at(MG), to, bytes);
                    } else {
                        self.connect(to);
                    }
                }
                Output::Connect { to } => self.connect(to),
                Output::Disconnect { from } => {
                    self.connected.remove(&from);
                    self.connecting.remove(&from);
                }
                Output::Association(event) => self.news.push_back(event),
            }
        }
        for index in 0..self.mgcs.len() {
            let mut sent = Vec::new();
            let mgc = &mut self.mgcs[index];
            while let Some(output) = mgc.endpoint.poll_output() {
                match output {
                    Out::Transmit { to, bytes } => sent.push((to, bytes)),
                    Out::Request {
                        handle, actions, ..
                    } => {
                        let body = mgc.execute(&actions);
                        mgc.endpoint.reply(now, handle, body).expect("it waits");
                    }
                    Out::Reply { token, body, .. } => {
                        mgc.outcomes.insert(token, Some(body));
                    }
                    Out::Failed { token, .. } => {
                        mgc.outcomes.insert(token, None);
                    }
                    Out::Pending { .. } => {}
                    Out::MessageError { fault, .. } => panic!("unreadable: {fault:?}"),
                }
            }
            let (from, is_alive) = (mgc.address, mgc.is_alive);
            for (to, bytes) in sent {
                if is_alive && (!self.is_stream || self.connected.contains(&from)) {
                    self.fly(from, to, bytes);
                }
            }
        }
    }

    fn fly(&mut self, from: SocketAddr, to: SocketAddr, bytes: Vec<u8>) {
        let copies = 1 + u64::from(self.entropy.chance(self.link.duplication));
        for _ in 0..copies {
            if self.entropy.chance(self.link.loss) {
                continue;
            }
            let nanos = self.link.delay_max.as_nanos() as u64;
            let delay = Duration::from_nanos(self.entropy.below(nanos + 1));
            self.sequence += 1;
            self.flying.push(Flying {
                at: self.now + delay,
                sequence: self.sequence,
                from,
                to,
                bytes: bytes.clone(),
            });
        }
    }

    /// Closes for good what the gateway has closed.
    pub fn finish_closing(&mut self) {
        for local in std::mem::take(&mut self.plane.closing) {
            let free_at = self.now + self.rest;
            self.event(MediaEvent::Closed { local, free_at });
        }
    }

    pub fn event(&mut self, event: MediaEvent) {
        self.mg.handle_event(self.now, &mut self.plane, &event);
        self.drain();
    }

    /// Sends actions as an MGC, and returns a token for the outcome.
    pub fn send(&mut self, mgc: usize, actions: &str) -> u32 {
        let actions = parse(actions);
        let mgc = &mut self.mgcs[mgc];
        let token = mgc.next_token;
        mgc.next_token += 1;
        let sent = mgc.endpoint.send_request(self.now, at(MG), actions, token);
        sent.expect("it can be sent");
        self.drain();
        token
    }

    /// The outcome of a token: `None` yet, or no answer, or the answer.
    pub fn outcome(&mut self, mgc: usize, token: u32) -> Option<Option<ReplyBody>> {
        self.mgcs[mgc].outcomes.remove(&token)
    }

    /// Sends actions as the first MGC and returns the reply, printed on one line.
    pub fn say(&mut self, actions: &str) -> String {
        self.say_as(0, actions)
    }

    /// The same as another MGC.
    pub fn say_as(&mut self, mgc: usize, actions: &str) -> String {
        print(&self.ask(mgc, actions))
    }

    /// Sends actions and returns the reply.
    pub fn ask(&mut self, mgc: usize, actions: &str) -> ReplyBody {
        let token = self.send(mgc, actions);
        self.pass(Duration::ZERO);
        for _ in 0..400 {
            if let Some(outcome) = self.outcome(mgc, token) {
                return outcome.expect("the gateway answers");
            }
            self.pass(Duration::from_millis(100));
        }
        panic!("no outcome of {actions}");
    }

    /// What the gateway answers to a message at once, printed on one line each.
    pub fn answers(&mut self, from: SocketAddr, bytes: &[u8]) -> Vec<String> {
        self.drain();
        self.mg.handle_input(self.now, &mut self.plane, from, bytes);
        let mut answers = Vec::new();
        while let Some(output) = self.mg.poll_output() {
            if let Output::Transmit { to, bytes } = output
                && to == from
            {
                let message = readable(&bytes);
                answers.push(one_line(&text::to_vec(&message, Style::Pretty)));
            }
        }
        answers
    }

    /// A context of two terminations with one stream each; returns its number and the addresses.
    pub fn call(&mut self) -> (u32, [SocketAddr; 2]) {
        let reply = self.ask(0, CALL);
        let text = print(&reply);
        let ReplyBody::Actions(actions) = &reply else {
            panic!("{text}");
        };
        let id = actions[0].context.as_u32();
        let locals = locals(&reply);
        let [one, two] = locals.as_slice() else {
            panic!("{text}");
        };
        (id, [*one, *two])
    }

    /// That nothing is left of any call.
    pub fn assert_empty(&mut self) {
        self.finish_closing();
        let status = self.mg.status();
        assert_eq!((status.contexts, status.terminations), (0, 0));
        assert_eq!(status.ports_used, 0);
        assert!(self.plane.open.is_empty() && self.plane.legs.is_empty());
    }
}

/// Add of two terminations, in the realms `core` and `access`.
pub const CALL: &str = "Context = $ {
    Add = $ { Media { Stream = 1 {
        LocalControl { Mode = SendReceive, ipdc/realm = \"core\" },
        Local { v=0\nc=IN IP4 $\nm=audio $ RTP/AVP 8\n }
    } } },
    Add = $ { Media { Stream = 1 {
        LocalControl { Mode = SendReceive, ipdc/realm = \"access\" },
        Local { v=0\nc=IN IP4 $\nm=audio $ RTP/AVP 8\n }
    } } }
}";

pub fn parse(actions: &str) -> Vec<ActionRequest> {
    let parsed = text::parse_actions(actions.as_bytes());
    parsed.unwrap_or_else(|fault| panic!("{fault}\n{actions}"))
}

/// A reply on one line, without its transaction.
pub fn print(body: &ReplyBody) -> String {
    let reply = TransactionReply {
        id: TransactionId(1),
        imm_ack_required: false,
        segment: None,
        body: body.clone(),
    };
    let mut bytes = Vec::new();
    text::write_transaction(&Transaction::Reply(reply), Style::Pretty, &mut bytes);
    one_line(&bytes)
}

/// A message of the gateway, in whichever encoding.
fn readable(bytes: &[u8]) -> Message {
    let parsed = Encoding::parse(bytes, &Naming::default());
    let message = parsed.and_then(Parsed::into_message);
    message.expect("the gateway says what can be read")
}

pub fn one_line(bytes: &[u8]) -> String {
    let text = String::from_utf8_lossy(bytes);
    text.split_ascii_whitespace().collect::<Vec<_>>().join(" ")
}

/// Every address of a Local descriptor in a reply, in order.
pub fn locals(body: &ReplyBody) -> Vec<SocketAddr> {
    use h248::message::AuditReturn;
    let ReplyBody::Actions(actions) = body else {
        return Vec::new();
    };
    let mut locals = Vec::new();
    for command in actions.iter().flat_map(|action| &action.commands) {
        let (CommandReply::Add(reply) | CommandReply::Modify(reply) | CommandReply::Move(reply)) =
            command
        else {
            continue;
        };
        for item in &reply.audit {
            let AuditReturn::Media(media) = item else {
                continue;
            };
            for (_, parms) in media.streams() {
                let Some(local) = &parms.local else { continue };
                let local = sdp::h248::Description::parse(local.as_bytes()).expect("SDP");
                let group = local.first().expect("a description");
                locals.extend(group.rtp_address(0));
            }
        }
    }
    locals
}

/// A message of a stranger.
pub fn message(mid: &str, actions: &str, id: u32) -> Vec<u8> {
    let request = TransactionRequest {
        id: TransactionId(id),
        actions: parse(actions),
    };
    let message = Message {
        auth: None,
        version: 3,
        mid: Mid::from(at(mid)),
        body: MessageBody::Transactions(vec![Transaction::Request(request)]),
    };
    text::to_vec(&message, Style::Compact)
}
