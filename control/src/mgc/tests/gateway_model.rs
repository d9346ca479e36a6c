//! A gateway that obeys, and answers otherwise when it is told to.

use std::collections::{BTreeMap, VecDeque};
use std::net::SocketAddr;
use std::time::Duration;

use base::{Entropy, Instant};
use h248::error::ErrorCode;
use h248::message::{
    ActionReply, ActionRequest, AmmDescriptors, AmmsReply, AuditReply, AuditReturn, Command,
    CommandReply, ContextId, ErrorDescriptor, EventsDescriptor, MediaDescriptor, MessageBody, Mid,
    OctetString, ReplyBody, SignalRequest, StreamDescriptor, StreamId, StreamMode, StreamParms,
    Streams, TerminationId, Transaction, TransactionId,
};
use h248::text;
use h248::transaction::{Config, Endpoint, Output};
use sdp::h248::{Description, Wild};

/// Kinds of requests that a gateway may be told to answer in some way.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    Add,
    Modify,
    Subtract,
    Start,
    Probe,
    Audit,
}

/// What a stream of a termination is like.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ModelStream {
    pub mode: StreamMode,
    pub keeps_formats: bool,
    pub realm: String,
    pub local: Option<SocketAddr>,
    pub formats: Vec<String>,
    pub remote: Option<SocketAddr>,
    pub latch: Option<String>,
}

/// What a termination is like.
#[derive(Clone, Debug)]
pub struct ModelTermination {
    pub name: TerminationId,
    pub streams: BTreeMap<u16, ModelStream>,
    pub events: EventsDescriptor,
    named_at: Instant,
}

impl ModelTermination {
    pub fn asks_for(&self, package: &str, item: &str) -> bool {
        let mut events = self.events.events.iter();
        events.any(|event| event.name.is(package, item))
    }
}

pub struct ModelContext {
    pub emergency: bool,
    pub terminations: Vec<ModelTermination>,
}

pub struct GatewayModel {
    pub address: SocketAddr,
    pub endpoint: Endpoint<u32>,
    pub contexts: BTreeMap<u32, ModelContext>,
    /// Each action it was asked, compact, Start and Probe left out.
    pub asked: Vec<String>,
    pub starts: usize,
    pub probes: usize,
    /// Hears and says nothing.
    pub is_deaf: bool,
    /// How the next requests of a kind are answered.
    pub answers: VecDeque<(Kind, Answer)>,
    /// Replies to its own requests.
    pub replies: Vec<ReplyBody>,
    next_context: u32,
    next_termination: u32,
    next_port: u16,
    now: Instant,
    /// No heartbeat is due before.
    beat_at: Option<Instant>,
}

/// Something else than obeying.
pub enum Answer {
    /// Answer so, and do nothing.
    Say(ReplyBody),
    /// Obey, then answer so.
    DoAndSay(ReplyBody),
    /// Obey, and change the reply.
    Mangle(fn(&mut ActionReply)),
    /// Do the first command; the second fails with this code.
    FailSecond(u16),
    /// Take the request and never answer.
    Ignore,
}

/// The body of a reply whose actions are given in compact text, or an error code.
pub fn body(actions: &str) -> ReplyBody {
    if let Ok(code) = actions.parse() {
        return ReplyBody::Error(ErrorDescriptor::new(ErrorCode(code)));
    }
    let message = text::parse_message(format!("!/3 [192.0.2.1] P=1{{{actions}}}").as_bytes());
    let MessageBody::Transactions(transactions) = message.unwrap().body else {
        panic!("no transactions")
    };
    match transactions.into_iter().next() {
        Some(Transaction::Reply(reply)) => reply.body,
        other => panic!("{other:?}"),
    }
}

/// An action as it would be printed, compact.
pub fn printed(action: &ActionRequest) -> String {
    let transaction = Transaction::Request(h248::message::TransactionRequest {
        id: TransactionId(1),
        actions: vec![action.clone()],
    });
    let mut out = Vec::new();
    text::write_transaction(&transaction, text::Style::Compact, &mut out);
    let printed = String::from_utf8(out).unwrap();
    let inner = printed.trim().strip_prefix("T=1{").unwrap();
    inner.strip_suffix('}').unwrap().to_owned()
}

impl GatewayModel {
    pub fn new(address: SocketAddr, seed: u64) -> Self {
        let mut config = Config::new(Mid::from(address), TransactionId(1));
        config.association.acknowledge_after = None;
        Self {
            address,
            endpoint: Endpoint::new(config, Entropy::from_u64(seed)),
            contexts: BTreeMap::new(),
            asked: Vec::new(),
            starts: 0,
            probes: 0,
            is_deaf: false,
            answers: VecDeque::new(),
            replies: Vec::new(),
            next_context: 1,
            next_termination: 1,
            next_port: 10_000,
            now: Instant::ZERO,
            beat_at: None,
        }
    }

    /// Sends a request given as compact text of its actions.
    pub fn ask(&mut self, now: Instant, to: SocketAddr, actions: &str) {
        let message = format!("!/3 [192.0.2.1] T=1{{{actions}}}");
        let message = text::parse_message(message.as_bytes()).unwrap();
        let MessageBody::Transactions(transactions) = message.body else {
            panic!("no transactions")
        };
        let Some(Transaction::Request(request)) = transactions.into_iter().next() else {
            panic!("no request")
        };
        self.endpoint
            .send_request(now, to, request.actions, 0)
            .unwrap();
    }

    /// Does what is to be done; returns what is to be sent.
    pub fn drain(&mut self, now: Instant) -> Vec<(SocketAddr, Vec<u8>)> {
        self.now = now;
        let mut sent = Vec::new();
        while let Some(output) = self.endpoint.poll_output() {
            match output {
                Output::Transmit { to, bytes } => sent.push((to, bytes)),
                Output::Request {
                    handle, actions, ..
                } => {
                    if let Some(body) = self.answer(&actions) {
                        self.endpoint.reply(now, handle, body).unwrap();
                    }
                }
                Output::Reply { body, .. } => self.replies.push(body),
                Output::Pending { .. } | Output::Failed { .. } => {}
                Output::MessageError { fault, .. } => panic!("{fault:?}"),
            }
        }
        if self.is_deaf {
            sent.clear();
        }
        sent
    }

    pub fn next_timeout(&self) -> Option<Instant> {
        let timeouts = [self.beat_at, self.endpoint.next_timeout()];
        timeouts.into_iter().flatten().min()
    }

    pub fn handle_timeout(&mut self, now: Instant, controller: SocketAddr) {
        if self.beat_at.is_some_and(|at| at <= now) {
            let mut due = Vec::new();
            for (&id, context) in &mut self.contexts {
                for termination in &mut context.terminations {
                    if heartbeat(termination).is_some_and(|at| at <= now) {
                        termination.named_at = now;
                        due.push((id, termination.name.clone()));
                    }
                }
            }
            for (context, name) in due {
                let notify = format!("C={context}{{N={name}{{OE=1{{hangterm/thb}}}}}}");
                self.ask(now, controller, &notify);
            }
            let terminations = self.contexts.values().flat_map(|it| &it.terminations);
            self.beat_at = terminations.filter_map(heartbeat).min();
        }
        self.endpoint.handle_timeout(now);
    }

    /// The context in which the first termination receives at `local`.
    pub fn context_at(&self, local: SocketAddr) -> Option<&ModelContext> {
        self.contexts.values().find(|context| {
            let mut streams = context.terminations[0].streams.values();
            streams.any(|stream| stream.local == Some(local))
        })
    }

    /// Everything is gone, as after a cold boot.
    pub fn forget_everything(&mut self) {
        self.contexts.clear();
        self.next_context = 1;
        self.next_termination = 1;
    }

    // ---- commands ----

    fn answer(&mut self, actions: &[ActionRequest]) -> Option<ReplyBody> {
        let kind = kind_of(actions);
        match kind {
            Kind::Start => self.starts += 1,
            Kind::Probe => self.probes += 1,
            _ => self.asked.extend(actions.iter().map(printed)),
        }
        let told = self.answers.iter().position(|(of, _)| *of == kind);
        let told = told.and_then(|index| self.answers.remove(index));
        let obeyed = |model: &mut Self, stop_after| {
            let replies = actions
                .iter()
                .map(|action| model.execute(action, stop_after));
            replies.collect::<Vec<_>>()
        };
        Some(match told {
            None => ReplyBody::Actions(obeyed(self, None)),
            Some((_, Answer::Say(body))) => body,
            Some((_, Answer::DoAndSay(body))) => {
                obeyed(self, None);
                body
            }
            Some((_, Answer::Mangle(mangle))) => {
                let mut replies = obeyed(self, None);
                mangle(&mut replies[0]);
                ReplyBody::Actions(replies)
            }
            Some((_, Answer::FailSecond(code))) => {
                ReplyBody::Actions(obeyed(self, Some(ErrorCode(code))))
            }
            Some((_, Answer::Ignore)) => return None,
        })
    }

    fn execute(&mut self, action: &ActionRequest, fail_second: Option<ErrorCode>) -> ActionReply {
        let mut reply = ActionReply::new(action.context, Vec::new());
        let unknown = ErrorDescriptor::new(ErrorCode::UNKNOWN_CONTEXT);
        let context = match action.context {
            ContextId::Null => None,
            ContextId::All => {
                self.contexts.clear();
                return reply;
            }
            ContextId::Choose => {
                let id = self.next_context;
                self.next_context += 1;
                let emergency = action.properties.emergency == Some(true);
                self.contexts.insert(
                    id,
                    ModelContext {
                        emergency,
                        terminations: Vec::new(),
                    },
                );
                reply.context = ContextId::Id(id);
                Some(id)
            }
            ContextId::Id(id) if !self.contexts.contains_key(&id) => {
                reply.error = Some(unknown);
                return reply;
            }
            ContextId::Id(id) => Some(id),
        };
        for (index, request) in action.commands.iter().enumerate() {
            let error = fail_second.filter(|_| index == 1);
            let (command, failed) = self.command(context, &request.command, error);
            reply.commands.push(command);
            if failed {
                break;
            }
        }
        if let Some(id) = context
            && self.contexts[&id].terminations.is_empty()
        {
            self.contexts.remove(&id);
        }
        reply
    }

    fn command(
        &mut self,
        context: Option<u32>,
        command: &Command,
        error: Option<ErrorCode>,
    ) -> (CommandReply, bool) {
        let fail = |terminations: &TerminationId, code| {
            let error = AuditReturn::Error(ErrorDescriptor::new(code));
            AmmsReply::new(terminations.clone(), vec![error])
        };
        match command {
            Command::Add(request) => {
                if let Some(code) = error {
                    return (CommandReply::Add(fail(&TerminationId::Choose, code)), true);
                }
                let name = TerminationId::new(format!("ip/{}", self.next_termination));
                self.next_termination += 1;
                let mut termination = ModelTermination {
                    name: name.clone(),
                    streams: BTreeMap::new(),
                    events: EventsDescriptor::default(),
                    named_at: self.now,
                };
                let media = self.apply(&mut termination, &request.descriptors);
                self.beat_at = self
                    .beat_at
                    .into_iter()
                    .chain(heartbeat(&termination))
                    .min();
                let context = self.contexts.get_mut(&context.unwrap()).unwrap();
                context.terminations.push(termination);
                (CommandReply::Add(AmmsReply::new(name, media)), false)
            }
            Command::Modify(request) => {
                let name = &request.terminations[0];
                let Some(context) = context else {
                    return (
                        CommandReply::Modify(AmmsReply::new(name.clone(), Vec::new())),
                        false,
                    );
                };
                let terminations = &mut self.contexts.get_mut(&context).unwrap().terminations;
                let index = terminations.iter().position(|it| it.name == *name);
                let (Some(index), None) = (index, error) else {
                    let code = error.unwrap_or(ErrorCode::UNKNOWN_TERMINATION);
                    return (CommandReply::Modify(fail(name, code)), true);
                };
                let mut termination = terminations[index].clone();
                termination.named_at = self.now;
                let media = self.apply(&mut termination, &request.descriptors);
                self.beat_at = self
                    .beat_at
                    .into_iter()
                    .chain(heartbeat(&termination))
                    .min();
                let context = self.contexts.get_mut(&context).unwrap();
                context.terminations[index] = termination;
                let reply = AmmsReply::new(name.clone(), media);
                (CommandReply::Modify(reply), false)
            }
            Command::Subtract(_) => {
                let context = self.contexts.get_mut(&context.unwrap()).unwrap();
                context.terminations.clear();
                let reply = AmmsReply::new(TerminationId::All, Vec::new());
                (CommandReply::Subtract(reply), false)
            }
            Command::AuditValue(request) => {
                let name = &request.terminations[0];
                let members = context
                    .map(|context| &mut self.contexts.get_mut(&context).unwrap().terminations);
                let named = members.into_iter().flatten().find(|it| it.name == *name);
                let reply = match (named, error) {
                    (Some(termination), None) => {
                        termination.named_at = self.now;
                        AmmsReply::new(name.clone(), Vec::new())
                    }
                    (None, None) if *name == TerminationId::Root => {
                        AmmsReply::new(name.clone(), Vec::new())
                    }
                    (_, error) => fail(name, error.unwrap_or(ErrorCode::UNKNOWN_TERMINATION)),
                };
                let has_failed = !reply.audit.is_empty();
                (
                    CommandReply::AuditValue(AuditReply::Terminations(reply)),
                    has_failed,
                )
            }
            other => panic!("{other:?}"),
        }
    }

    fn apply(
        &mut self,
        termination: &mut ModelTermination,
        descriptors: &AmmDescriptors,
    ) -> Vec<AuditReturn> {
        let mut chosen = Vec::new();
        for (id, parms) in descriptors.media.iter().flat_map(MediaDescriptor::streams) {
            let local = self.apply_stream(termination, id, parms);
            chosen.extend(local.map(|local| StreamDescriptor {
                id,
                parms: StreamParms {
                    local: Some(local),
                    ..StreamParms::default()
                },
            }));
        }
        for signal in descriptors.signals.iter().flatten() {
            let SignalRequest::Signal(signal) = signal else {
                panic!("a list of signals")
            };
            assert!(signal.name.is("ipnapt", "latch"));
            let napt = signal.parameter("napt").and_then(|it| it.as_single());
            let stream = termination.streams.get_mut(&signal.stream.unwrap().0);
            let latch = napt.map(|napt| napt.as_str().into_owned());
            stream.expect("a latch on a stream there is").latch = latch.filter(|it| it != "OFF");
        }
        if let Some(events) = &descriptors.events {
            termination.events = events.clone();
        }
        if chosen.is_empty() {
            return Vec::new();
        }
        vec![AuditReturn::Media(MediaDescriptor {
            termination_state: None,
            streams: Streams::Many(chosen),
        })]
    }

    /// Returns the Local descriptor where part of it was left to the gateway.
    fn apply_stream(
        &mut self,
        termination: &mut ModelTermination,
        id: StreamId,
        parms: &StreamParms,
    ) -> Option<OctetString> {
        let is_empty = |text: &Option<OctetString>| text.as_ref().is_some_and(|it| it.is_empty());
        let stream = termination.streams.entry(id.0).or_insert(ModelStream {
            mode: StreamMode::Inactive,
            keeps_formats: false,
            realm: String::new(),
            local: None,
            formats: Vec::new(),
            remote: None,
            latch: None,
        });
        if let Some(control) = &parms.local_control {
            stream.mode = control.mode.unwrap_or(stream.mode);
            stream.keeps_formats = control.reserve_value.unwrap_or(stream.keeps_formats);
            if let Some(realm) = control.property("ipdc", "realm") {
                stream.realm = realm.as_single().unwrap().as_str().into_owned();
            }
        }
        if is_empty(&parms.local) && is_empty(&parms.remote) {
            assert!(!stream.keeps_formats, "ReserveValue must be off");
            termination.streams.remove(&id.0);
            return None;
        }
        if let Some(text) = &parms.remote {
            let remote = Description::parse(text.as_bytes()).unwrap();
            stream.remote = remote.first().and_then(|group| group.rtp_address(0));
        }
        let mut local = Description::parse(parms.local.as_ref()?.as_bytes()).unwrap();
        let group = local.groups.first_mut().unwrap();
        let formats = group.media[0].head.formats.iter();
        stream.formats = formats.map(|format| format.to_string()).collect();
        let is_open = group.media[0].head.port == Wild::Choose;
        let address = group.rtp_address(0).unwrap_or_else(|| {
            let is_v6 = group.connection(0).unwrap().to_string().contains("IP6");
            self.next_port += 2;
            let host = self.address.to_string()[8..10].to_owned();
            let ip = match is_v6 {
                true => format!("2001:db8::{host}"),
                false => format!("198.51.100.{host}"),
            };
            SocketAddr::new(ip.parse().unwrap(), self.next_port)
        });
        stream.local = Some(address);
        group.set_endpoint(0, address);
        is_open.then(|| OctetString::new(local.to_string().into_bytes()))
    }
}

/// When a termination is to be reported if no command names it before.
fn heartbeat(termination: &ModelTermination) -> Option<Instant> {
    let mut events = termination.events.events.iter();
    let beat = events.find(|event| event.name.is("hangterm", "thb"))?;
    let seconds = beat.parameter("timerx")?.as_single()?.as_u64()?;
    Some(termination.named_at + Duration::from_secs(seconds))
}

fn kind_of(actions: &[ActionRequest]) -> Kind {
    match (actions[0].context, &actions[0].commands[0].command) {
        (ContextId::All, _) | (ContextId::Null, Command::Modify(_)) => Kind::Start,
        (_, Command::Add(_)) => Kind::Add,
        (_, Command::Modify(_)) => Kind::Modify,
        (_, Command::Subtract(_)) => Kind::Subtract,
        (ContextId::Null, Command::AuditValue(_)) => Kind::Probe,
        (_, Command::AuditValue(_)) => Kind::Audit,
        other => panic!("{other:?}"),
    }
}
