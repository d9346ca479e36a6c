//! An MRFP in the simulated network that obeys, notes what it is asked, and has heard or recorded
//! what it plays as soon as the test says so.

use std::collections::{BTreeMap, VecDeque};
use std::net::{IpAddr, SocketAddr};

use base::{Entropy, Instant};
use h248::error::ErrorCode;
use h248::message::{
    ActionReply, ActionRequest, AmmDescriptors, AmmsReply, AuditReply, AuditReturn, AuditToken,
    Command, CommandReply, ContextId, DigitMapValue, ErrorDescriptor, EventDigitMap,
    EventsDescriptor, MediaDescriptor, MessageBody, Mid, OctetString, PackagesItem, PropertyParm,
    ReplyBody, Signal, SignalRequest, StreamDescriptor, StreamMode, StreamParms, Streams,
    TerminationId, Transaction, TransactionId,
};
use h248::transaction::{Config, Endpoint, Output};
use sdp::h248::{Description, Wild};
use sim::{StreamEvent, Transmit};

/// A termination as it was asked for.
#[derive(Clone, Debug)]
pub struct MrfpTermination {
    /// Its name.
    pub name: TerminationId,
    /// Where it receives.
    pub local: SocketAddr,
    /// Where it sends.
    pub remote: Option<SocketAddr>,
    /// Formats that it receives.
    pub formats: Vec<String>,
    /// Whether media passes.
    pub mode: StreamMode,
    /// Properties of packages that were set, the last of a name last.
    pub properties: Vec<PropertyParm>,
    /// What it plays.
    pub signals: Vec<Signal>,
    /// What it reports.
    pub events: EventsDescriptor,
}

impl MrfpTermination {
    /// The digit map in force.
    pub fn digit_map(&self) -> Option<&str> {
        self.digit_map_value().map(|value| value.body.as_str())
    }

    /// The start timer of the digits it waits for, in seconds.
    pub fn first_digit_s(&self) -> Option<u8> {
        self.digit_map_value()?.start
    }

    fn digit_map_value(&self) -> Option<&DigitMapValue> {
        let mut events = self.events.events.iter();
        events.find_map(|event| match &event.digit_map {
            Some(EventDigitMap::Value(value)) => Some(value),
            _ => None,
        })
    }

    /// The gain of what it says and of what it hears, as `swmix` has them.
    pub fn gains(&self) -> [Option<String>; 2] {
        ["gi", "go"].map(|item| {
            let mut set = self.properties.iter().rev();
            let found = set.find(|property| property.name.is("swmix", item))?;
            Some(found.value.as_single()?.as_str().into_owned())
        })
    }

    /// The value of a parameter of what it plays.
    pub fn played(&self, parameter: &str) -> Option<String> {
        let signal = self.signals.first()?;
        let value = signal.parameter(parameter)?.as_single()?;
        Some(value.as_str().into_owned())
    }
}

/// An MRFP.
pub struct MrfpHost {
    address: SocketAddr,
    mgc: SocketAddr,
    endpoint: Endpoint<u32>,
    /// Its contexts.
    pub contexts: BTreeMap<u32, Vec<MrfpTermination>>,
    /// Requests for these commands are refused: how many of the next, and why.
    pub refusals: VecDeque<ErrorCode>,
    next_context: u32,
    next_port: u16,
    transmits: VecDeque<Transmit>,
}

impl MrfpHost {
    /// An MRFP that announces itself to its controller.
    pub fn new(address: SocketAddr, mgc: SocketAddr, now: Instant, seed: u64) -> Self {
        let config = Config::new(Mid::from(address), TransactionId(1));
        let mut host = Self {
            address,
            mgc,
            endpoint: Endpoint::new(config, Entropy::from_u64(seed)),
            contexts: BTreeMap::new(),
            refusals: VecDeque::new(),
            next_context: 1,
            next_port: 20_000,
            transmits: VecDeque::new(),
        };
        let change = "Context = - { ServiceChange = ROOT { Services { Method = Restart, Version = \
                      3, Reason = \"901 Cold Boot\" } } }";
        host.ask(now, change);
        host
    }

    /// Its terminations, in the order of their names' numbers.
    pub fn terminations(&self) -> impl Iterator<Item = &MrfpTermination> {
        self.contexts.values().flatten()
    }

    /// The termination that sends to an address.
    pub fn towards(&self, remote: SocketAddr) -> Option<&MrfpTermination> {
        self.terminations().find(|it| it.remote == Some(remote))
    }

    /// Reports an event of a termination, as in `g/sc{SigID=aasb/play,Meth=TO}`.
    pub fn report(&mut self, now: Instant, name: &TerminationId, event: &str) {
        let found = self.contexts.iter().find_map(|(context, members)| {
            let member = members.iter().find(|it| it.name == *name)?;
            Some((*context, member.events.request_id?))
        });
        let (context, request) = found.expect("a termination that reports");
        let request = request.0;
        self.ask(
            now,
            &format!("Context = {context} {{ Notify = {name} {{ ObservedEvents = {request} {{ {event} }} }} }}"),
        );
    }

    /// Sends a request.
    pub fn ask(&mut self, now: Instant, actions: &str) {
        let message = format!("MEGACO/3 [192.0.2.1]\nTransaction = 1 {{ {actions} }}");
        let message = h248::text::parse_message(message.as_bytes()).expect("what a test says");
        let MessageBody::Transactions(mut transactions) = message.body else {
            panic!("no transactions")
        };
        let Some(Transaction::Request(request)) = transactions.pop() else {
            panic!("no request")
        };
        let sent = self
            .endpoint
            .send_request(now, self.mgc, request.actions, 0);
        sent.expect("few requests");
        self.drain(now);
    }

    fn drain(&mut self, now: Instant) {
        while let Some(output) = self.endpoint.poll_output() {
            match output {
                Output::Transmit { to, bytes } => self.transmits.push_back(Transmit::Datagram {
                    local: self.address,
                    remote: to,
                    bytes,
                }),
                Output::Request {
                    handle, actions, ..
                } => {
                    let replies = actions.iter().map(|action| self.execute(action)).collect();
                    let body = ReplyBody::Actions(replies);
                    self.endpoint.reply(now, handle, body).expect("one reply");
                }
                _ => {}
            }
        }
    }

    fn execute(&mut self, action: &ActionRequest) -> ActionReply {
        let mut reply = ActionReply::new(action.context, Vec::new());
        let context = match action.context {
            ContextId::Null => 0,
            ContextId::All => {
                self.contexts.clear();
                return reply;
            }
            ContextId::Choose => {
                self.next_context += 1;
                reply.context = ContextId::Id(self.next_context);
                self.next_context
            }
            ContextId::Id(id) if self.contexts.contains_key(&id) => id,
            ContextId::Id(_) => {
                reply.error = Some(ErrorDescriptor::new(ErrorCode::UNKNOWN_CONTEXT));
                return reply;
            }
        };
        for request in &action.commands {
            match self.command(context, &request.command) {
                Ok(command) => reply.commands.push(command),
                Err(code) => {
                    reply.error = Some(ErrorDescriptor::new(code));
                    break;
                }
            }
        }
        self.contexts.retain(|_, members| !members.is_empty());
        reply
    }

    fn command(&mut self, context: u32, command: &Command) -> Result<CommandReply, ErrorCode> {
        let name = command.terminations()[0].clone();
        let is_media = matches!(
            command,
            Command::Add(_) | Command::Modify(_) | Command::Move(_)
        );
        if is_media
            && context != 0
            && let Some(code) = self.refusals.pop_front()
        {
            return Err(code);
        }
        let done = AmmsReply::new(name.clone(), Vec::new());
        match command {
            Command::AuditValue(_) if name == TerminationId::Root => {
                let packages = ["g", "an", "aasb", "dd"].map(|name| PackagesItem {
                    name: name.into(),
                    version: 1,
                });
                let audit = vec![AuditReturn::Packages(packages.into())];
                let reply = AmmsReply::new(name, audit);
                Ok(CommandReply::AuditValue(AuditReply::Terminations(reply)))
            }
            Command::AuditValue(request) => {
                let mut members = self.contexts.get(&context).into_iter().flatten();
                let member = members.find(|it| it.name == name);
                let member = member.ok_or(ErrorCode::UNKNOWN_TERMINATION)?;
                let asked = request.audit.iter().flat_map(|audit| audit.tokens.iter());
                let playing = || {
                    let signals = member.signals.iter().cloned();
                    AuditReturn::Signals(signals.map(SignalRequest::Signal).collect())
                };
                let returned = asked.map(|token| match token {
                    AuditToken::Signals if !member.signals.is_empty() => playing(),
                    token => AuditReturn::Empty(token),
                });
                let reply = AmmsReply::new(name, returned.collect());
                Ok(CommandReply::AuditValue(AuditReply::Terminations(reply)))
            }
            Command::Modify(_) if context == 0 => Ok(CommandReply::Modify(done)),
            Command::Add(request) => {
                self.next_port += 2;
                let name = TerminationId::new(format!("ip/{}", self.next_port));
                let mut member = MrfpTermination {
                    name: name.clone(),
                    local: SocketAddr::new(self.address.ip(), self.next_port),
                    remote: None,
                    formats: Vec::new(),
                    mode: StreamMode::Inactive,
                    properties: Vec::new(),
                    signals: Vec::new(),
                    events: EventsDescriptor::default(),
                };
                let audit = apply(&mut member, &request.descriptors);
                self.contexts.entry(context).or_default().push(member);
                Ok(CommandReply::Add(AmmsReply::new(name, audit)))
            }
            Command::Modify(request) => {
                let members = self.contexts.get_mut(&context).expect("it is there");
                let member = members.iter_mut().find(|it| it.name == name);
                let member = member.ok_or(ErrorCode::UNKNOWN_TERMINATION)?;
                let audit = apply(member, &request.descriptors);
                Ok(CommandReply::Modify(AmmsReply::new(name, audit)))
            }
            Command::Move(request) => {
                let mut found = None;
                for members in self.contexts.values_mut() {
                    if let Some(at) = members.iter().position(|it| it.name == name) {
                        found = Some(members.remove(at));
                    }
                }
                let mut member = found.ok_or(ErrorCode::UNKNOWN_TERMINATION)?;
                let audit = apply(&mut member, &request.descriptors);
                self.contexts.entry(context).or_default().push(member);
                Ok(CommandReply::Move(AmmsReply::new(name, audit)))
            }
            Command::Subtract(_) => {
                let members = self.contexts.entry(context).or_default();
                members.retain(|it| !name.matches(&it.name));
                Ok(CommandReply::Subtract(done))
            }
            _ => Err(ErrorCode::UNKNOWN_COMMAND),
        }
    }
}

/// Takes what is asked; returns the Local descriptor where part of it was left open.
fn apply(member: &mut MrfpTermination, descriptors: &AmmDescriptors) -> Vec<AuditReturn> {
    let mut chosen = Vec::new();
    for (id, parms) in descriptors.media.iter().flat_map(MediaDescriptor::streams) {
        if let Some(mode) = parms
            .local_control
            .as_ref()
            .and_then(|control| control.mode)
        {
            member.mode = mode;
        }
        let control = parms.local_control.iter();
        let set = control.flat_map(|control| &control.properties);
        member.properties.extend(set.cloned());
        if let Some(text) = &parms.remote {
            let remote = Description::parse(text.as_bytes()).expect("a description");
            member.remote = remote.first().and_then(|group| group.rtp_address(0));
        }
        let Some(text) = &parms.local else { continue };
        let mut local = Description::parse(text.as_bytes()).expect("a description");
        let group = local.groups.first_mut().expect("a group");
        let formats = group.media[0].head.formats.iter();
        member.formats = formats.map(ToString::to_string).collect();
        if group.media[0].head.port == Wild::Choose {
            group.set_endpoint(0, member.local);
            chosen.push(StreamDescriptor {
                id,
                parms: StreamParms {
                    local: Some(OctetString::new(local.to_string().into_bytes())),
                    ..StreamParms::default()
                },
            });
        }
    }
    if let Some(signals) = &descriptors.signals {
        let each = signals.iter().flat_map(|request| match request {
            SignalRequest::Signal(signal) => std::slice::from_ref(signal),
            SignalRequest::List(list) => &list.signals,
        });
        member.signals = each.cloned().collect();
    }
    if let Some(events) = &descriptors.events {
        member.events = events.clone();
    }
    if chosen.is_empty() {
        return Vec::new();
    }
    vec![AuditReturn::Media(MediaDescriptor {
        termination_state: None,
        streams: Streams::Many(chosen),
    })]
}

impl sim::Host for MrfpHost {
    fn handle_datagram(&mut self, now: Instant, to: SocketAddr, from: SocketAddr, bytes: &[u8]) {
        if to == self.address {
            self.endpoint.handle_input(now, from, bytes);
            self.drain(now);
        }
    }

    fn handle_stream(&mut self, _: Instant, _: SocketAddr, _: SocketAddr, _: StreamEvent<'_>) {}

    fn handle_timeout(&mut self, now: Instant) {
        self.endpoint.handle_timeout(now);
        self.drain(now);
    }

    fn next_timeout(&self) -> Option<Instant> {
        self.endpoint.next_timeout()
    }

    fn poll_transmit(&mut self) -> Option<Transmit> {
        self.transmits.pop_front()
    }

    fn listens(&self, _: SocketAddr) -> bool {
        false
    }
}

/// Where the n-th MRFP is.
pub fn mrfp_ip(number: u8) -> IpAddr {
    IpAddr::from([192, 0, 2, 60 + number])
}
