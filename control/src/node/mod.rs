//! The control process without its sockets: everything that decides, nothing that does I/O.
//!
//! The [event loop](crate::event_loop) feeds a [`Node`] with [`Input`]s and carries out its
//! [`Output`]s; tests run many nodes on virtual time. After any call that takes `now`, drain
//! [`Node::poll_output`].

mod ending;
mod io;

use std::collections::{HashMap, VecDeque};
use std::net::SocketAddr;

use base::{Entropy, Instant, TimerQueue};
use diameter::Origin as DiameterOrigin;
use diameter::cx::Answer;

pub use io::{Input, Output, Payload, Service, Socket, StreamId};

use crate::admin::{self, Status};
use crate::config::{ControlConfig, HssAddress, Role};
use crate::counters::{Counter, Counters};
use crate::cx::{CxEvent, DiameterSide, LocalRequests};
use crate::entity::hss::{self, Hss};
use crate::entity::icscf::Icscf;
use crate::entity::mrfc::Mrfc;
use crate::entity::pcscf::Pcscf;
use crate::entity::scscf::Scscf;
use crate::entity::{Actions, CxCommand, Event, Timer};
use crate::journal::{Journal, Replay};
use crate::mgc::{self, Mgc, MgcOutput};
use crate::stack::Stack;
use crate::store;

/// Entity timers fired in one call; the rest are due at once again.
const TIMERS_PER_CALL_MAX: usize = 4096;

/// Requests at the HSS for the admin interface have this bit in their token.
const ADMIN: u64 = 1 << 62;

/// All of a control process but its sockets.
pub struct Node {
    config: ControlConfig,
    started: Instant,
    entropy: Entropy,
    counters: Counters,
    journal: Journal,
    timers: TimerQueue<Timer>,
    stack: Stack,
    mgc: Option<Mgc>,
    diameter: Option<DiameterSide>,
    cx_local: LocalRequests,
    cx_commands: VecDeque<CxCommand>,
    cx_answers: VecDeque<(u64, Answer)>,
    pcscf: Option<Pcscf>,
    icscf: Option<Icscf>,
    scscf: Option<Scscf>,
    mrfc: Option<Mrfc>,
    hss: Option<Hss>,
    services: HashMap<StreamId, Service>,
    streams_accepted: u64,
    outputs: VecDeque<Output>,
    /// Calls were released because the process ends.
    are_released: bool,
}

impl Node {
    /// A node that plays the roles of `config` from `now` on. `seed` decides every tag, branch and
    /// key.
    pub fn new(config: ControlConfig, now: Instant, seed: [u8; 32]) -> Self {
        let mut entropy = Entropy::from_seed(seed);
        let stack = Stack::new(&config, Entropy::from_seed(entropy.bytes()));
        let plays = |role| config.plays(role);
        let scscf_name = plays(Role::Scscf).then(|| stack.addresses().uri(Role::Scscf, "", 0));
        let mgc = config.mgc.map(|address| {
            let mut mgc = mgc::Config::new(address);
            mgc.encoding = config.h248.encoding;
            mgc.has_rooms = plays(Role::Mrfc);
            Mgc::new(mgc, now, Entropy::from_seed(entropy.bytes()))
        });
        let diameter = DiameterSide::new(&config, now, Entropy::from_seed(entropy.bytes()));
        let hss_config = hss::Config {
            home: config.realm.clone(),
            vectors_max: hss::VECTORS_MAX,
        };
        Self {
            started: now,
            counters: Counters::default(),
            journal: Journal::default(),
            timers: TimerQueue::new(),
            mgc,
            diameter,
            cx_local: LocalRequests::default(),
            cx_commands: VecDeque::new(),
            cx_answers: VecDeque::new(),
            pcscf: plays(Role::Pcscf).then(Pcscf::new),
            icscf: plays(Role::Icscf).then(|| Icscf::new(&config, scscf_name.clone())),
            scscf: scscf_name.map(Scscf::new),
            mrfc: plays(Role::Mrfc).then(|| Mrfc::new(&config)),
            hss: plays(Role::Hss).then(|| Hss::new(hss_config)),
            services: HashMap::new(),
            streams_accepted: 0,
            outputs: VecDeque::new(),
            are_released: false,
            stack,
            entropy,
            config,
        }
    }

    /// Takes up what an earlier life of this process has kept; to be called once, before any input.
    ///
    /// What is restored counts as kept: it is put again only when it changes. What an entity cannot
    /// take up, or what has ended meanwhile, it removes.
    pub fn restore(&mut self, now: Instant, replay: &mut Replay) {
        if let Some(mgc) = &mut self.mgc {
            mgc.restore(now, replay);
        }
        let (entities, mut actions) = self.split(now);
        if let Some(pcscf) = entities.pcscf {
            pcscf.restore(replay, &mut actions);
        }
        if let Some(mrfc) = entities.mrfc {
            mrfc.restore(replay, &mut actions);
        }
        if let Some(mgc) = &mut actions.mgc {
            mgc.release_unclaimed(now);
        }
        if let Some(scscf) = entities.scscf {
            scscf.restore(replay, &mut actions);
        }
        for (kind, id) in replay.take_unreadable() {
            actions.journal.remove(kind, id);
        }
        self.settle(now);
    }

    /// Has everything put anew that is kept: what was put before has not all been written.
    pub fn keep_all(&mut self, now: Instant) {
        self.settle(now);
        self.journal.begin_all();
        if let Some(mgc) = &mut self.mgc {
            mgc.keep_all(&mut self.journal);
        }
        let (entities, mut actions) = self.split(now);
        if let Some(pcscf) = entities.pcscf {
            pcscf.keep_all(&mut actions);
        }
        if let Some(mrfc) = entities.mrfc {
            mrfc.keep_all(&mut actions);
        }
        if let Some(scscf) = entities.scscf {
            scscf.keep_all(&mut actions);
        }
        self.journal.end_all();
        self.settle(now);
    }

    /// Takes what happened outside and serves all that waits. A function of its own everywhere, for
    /// what it costs is counted by its name.
    #[inline(never)]
    pub fn handle_input(&mut self, now: Instant, input: Input<'_>) {
        self.offer(now, input);
        while self.serve(now) {}
    }

    /// Takes what happened outside; a SIP message waits for [`Node::serve`], all else is served at
    /// once.
    pub fn offer(&mut self, now: Instant, input: Input<'_>) {
        match input {
            Input::Datagram {
                socket: Socket::Sip(listener),
                source,
                bytes,
            } => {
                self.stack
                    .handle_datagram(now, &mut self.counters, listener, source, bytes);
            }
            Input::Datagram {
                socket: Socket::H248,
                source,
                bytes,
            } => {
                if let Some(mgc) = &mut self.mgc {
                    mgc.handle_datagram(now, &mut self.counters, source, bytes);
                }
            }
            Input::Datagram {
                socket: Socket::Dns(socket),
                source,
                bytes,
            } => self.stack.handle_dns_datagram(now, socket, source, bytes),
            Input::Connected(stream) => {
                if let (Some(Service::Diameter), Some(side)) =
                    (self.services.get(&stream), &mut self.diameter)
                {
                    side.handle_connected(now, stream);
                }
            }
            Input::Received { stream, bytes } => match self.services.get(&stream) {
                Some(Service::Sip(_)) => {
                    self.stack
                        .handle_received(now, &mut self.counters, stream, bytes);
                }
                Some(Service::H248) => {
                    if let Some(mgc) = &mut self.mgc {
                        mgc.handle_received(now, &mut self.counters, stream, bytes);
                    }
                }
                Some(Service::Diameter) => {
                    if let Some(side) = &mut self.diameter {
                        side.handle_received(now, stream, bytes);
                    }
                }
                Some(Service::Dns) => self.stack.handle_dns_received(now, stream, bytes),
                None => {}
            },
            Input::Closed(stream) => match self.services.remove(&stream) {
                Some(Service::Sip(_)) => self.stack.handle_closed(now, stream),
                Some(Service::H248) => {
                    if let Some(mgc) = &mut self.mgc {
                        mgc.handle_closed(stream);
                    }
                }
                Some(Service::Diameter) => {
                    if let Some(side) = &mut self.diameter {
                        side.handle_closed(now, stream);
                    }
                }
                Some(Service::Dns) => self.stack.handle_dns_closed(now, stream),
                None => {}
            },
            Input::Store { id, outcome } => {
                if matches!(outcome, store::Outcome::Failed(_)) {
                    self.counters.count(Counter::StoreFailed);
                }
                self.hss_event(now, hss::Event::Stored { id, outcome });
            }
            Input::Admin { id, request } => self.handle_admin(now, id, request),
        }
        self.settle(now);
    }

    /// Serves the SIP message whose turn it is; false when none waits.
    pub fn serve(&mut self, now: Instant) -> bool {
        let is_served = self.stack.serve(now, &mut self.counters);
        if is_served {
            self.settle(now);
        }
        is_served
    }

    /// Refuses requests that have waited too long, also while others are served before them.
    pub fn refuse_late(&mut self, now: Instant) {
        self.stack.refuse_late(now, &mut self.counters);
        self.settle(now);
    }

    /// True when SIP messages wait for [`Node::serve`].
    pub fn has_waiting(&self) -> bool {
        self.stack.has_waiting()
    }

    /// False when so many wait that no more SIP should be read.
    pub fn has_room(&self) -> bool {
        self.stack.has_room()
    }

    /// A peer opened a stream to one of our listeners; this is its name from now on.
    pub fn handle_accepted(
        &mut self,
        now: Instant,
        service: Service,
        peer: SocketAddr,
    ) -> StreamId {
        self.streams_accepted += 1;
        let stream = StreamId::accepted(self.streams_accepted);
        self.services.insert(stream, service);
        match service {
            Service::Sip(listener) => self.stack.handle_accepted(stream, listener, peer),
            Service::H248 => {
                if let Some(mgc) = &mut self.mgc {
                    mgc.handle_accepted(stream, peer);
                }
            }
            Service::Diameter => {
                if let Some(side) = &mut self.diameter {
                    side.handle_accepted(now, stream);
                }
            }
            // Nobody listens for it.
            Service::Dns => {}
        }
        self.settle(now);
        stream
    }

    /// A media gateway that has these addresses, at least one, is associated with us over SCTP;
    /// this is the association's name from now on.
    pub fn handle_associated(&mut self, now: Instant, peers: Vec<SocketAddr>) -> StreamId {
        self.streams_accepted += 1;
        let stream = StreamId::accepted(self.streams_accepted);
        self.services.insert(stream, Service::H248);
        if let Some(mgc) = &mut self.mgc {
            mgc.handle_associated(stream, peers);
        }
        self.settle(now);
        stream
    }

    /// A message came over SCTP that is none of H.248.
    pub fn count_foreign_payload(&mut self) {
        self.counters.count(Counter::H248Foreign);
    }

    /// What runs over a stream.
    pub fn service_of(&self, stream: StreamId) -> Option<Service> {
        self.services.get(&stream).copied()
    }

    /// When the node wants attention.
    pub fn next_timeout(&self) -> Option<Instant> {
        let mgc = self.mgc.as_ref().and_then(Mgc::next_timeout);
        let diameter = self.diameter.as_ref().and_then(DiameterSide::next_timeout);
        [
            self.timers.next_timeout(),
            self.stack.next_timeout(),
            mgc,
            diameter,
        ]
        .into_iter()
        .flatten()
        .min()
    }

    /// Lets time pass.
    pub fn handle_timeout(&mut self, now: Instant) {
        self.stack.handle_timeout(now);
        if let Some(mgc) = &mut self.mgc {
            mgc.handle_timeout(now, &mut self.counters);
        }
        if let Some(side) = &mut self.diameter {
            side.handle_timeout(now);
        }
        for _ in 0..TIMERS_PER_CALL_MAX {
            let Some(timer) = self.timers.pop_due(now) else {
                break;
            };
            self.fire(now, timer);
        }
        self.settle(now);
    }

    /// Takes what is to be done outside.
    pub fn poll_output(&mut self) -> Option<Output> {
        self.outputs.pop_front()
    }

    /// A stream was refused because there are too many.
    pub fn count_stream_refused(&mut self) {
        self.counters.count(Counter::StreamRefused);
    }

    /// A stream was given up because its peer does not read.
    pub fn count_stream_slow(&mut self) {
        self.counters.count(Counter::StreamSlow);
    }

    /// The system would not send a datagram.
    pub fn count_datagram_unsent(&mut self) {
        self.counters.count(Counter::DatagramUnsent);
    }

    /// Records of the journal were dropped because the disk is behind.
    pub fn count_journal_dropped(&mut self) {
        self.counters.count(Counter::JournalDropped);
    }

    /// The H.248 contexts of the call with this Call-ID, in the order of their numbers.
    pub fn contexts_of(&self, call_id: &str) -> Vec<admin::CallContext> {
        let (Some(pcscf), Some(mgc)) = (&self.pcscf, &self.mgc) else {
            return Vec::new();
        };
        let anchors = pcscf.anchors_of(call_id).into_iter();
        let mut contexts: Vec<_> = anchors
            .filter_map(|anchor| mgc.context_of(anchor))
            .collect();
        contexts.sort_unstable_by_key(|found| found.context);
        contexts
    }

    /// The state of the node.
    pub fn status(&self, now: Instant) -> Status {
        let scscf = self.scscf.as_ref();
        let contexts = self.mgc.as_ref().map_or(0, Mgc::contexts);
        let mut counters = self.counters.by_name();
        let dns = self.stack.dns_totals().by_name();
        counters.extend(dns.map(|(name, value)| (name.to_owned(), value)));
        let cut_short = self.stack.transactions_cut_short();
        counters.insert("sip.transactions_cut_short".to_owned(), cut_short);
        Status {
            process: "control",
            version: env!("CARGO_PKG_VERSION"),
            uptime_s: (now - self.started).as_secs(),
            roles: self.config.roles.iter().map(|role| role.name()).collect(),
            realm: self.config.realm.clone(),
            registrations: scscf.map_or(0, Scscf::registrations),
            contacts: scscf.map_or(0, Scscf::contacts),
            access_registrations: self.pcscf.as_ref().map_or(0, Pcscf::registrations),
            subscriptions: scscf.map_or(0, Scscf::subscriptions),
            access_subscriptions: self.pcscf.as_ref().map_or(0, Pcscf::subscriptions),
            dialogs: self.pcscf.as_ref().map_or(0, Pcscf::dialogs),
            transactions: self.stack.transactions(),
            admission: self.stack.admission(now),
            contexts,
            terminations: self.mgc.as_ref().map_or(0, Mgc::terminations),
            mrf: self
                .mrfc
                .as_ref()
                .map(|it| it.status(self.stack.addresses())),
            timers: self.timers.len() + self.stack.transactions().timers,
            media_gateways: self.mgc.as_ref().map(Mgc::gateways).unwrap_or_default(),
            // The event loop has the associations.
            h248_paths: Vec::new(),
            diameter_peers: self
                .diameter
                .as_ref()
                .map(DiameterSide::peers)
                .unwrap_or_default(),
            journal: None,
            counters,
        }
    }

    // ---- passing things on ----

    /// Lets everything happen that follows from what was just fed in.
    fn settle(&mut self, now: Instant) {
        loop {
            if let Some((role, event)) = self.stack.poll_event(now, &mut self.counters) {
                self.dispatch(now, role, event);
            } else if let Some(command) = self.cx_commands.pop_front() {
                self.send_cx(now, command);
            } else if let Some((token, answer)) = self.cx_answers.pop_front() {
                self.answer_cx(now, token, answer);
            } else if !self.poll_mgc(now) && !self.poll_diameter(now) {
                break;
            }
        }
        while let Some(output) = self.stack.poll_output() {
            match &output {
                Output::Connect {
                    stream, service, ..
                } => {
                    self.services.insert(*stream, *service);
                }
                Output::Close(stream) => {
                    self.services.remove(stream);
                }
                Output::Datagram {
                    socket: Socket::Sip(_),
                    ..
                } => self.counters.count(Counter::SipSent),
                Output::Send { stream, .. }
                    if matches!(self.services.get(stream), Some(Service::Sip(_))) =>
                {
                    self.counters.count(Counter::SipSent);
                }
                _ => {}
            }
            self.outputs.push_back(output);
        }
        if let Some(mgc) = &mut self.mgc {
            mgc.write_journal(&mut self.journal);
        }
        // Before what the peers hear of it.
        if let Some(records) = self.journal.take() {
            let is_journal = |output: &&Output| matches!(output, Output::Journal(_));
            let at = self.outputs.iter().take_while(is_journal).count();
            self.outputs.insert(at, Output::Journal(records));
        }
    }

    fn dispatch(&mut self, now: Instant, role: Role, event: Event) {
        let (entities, mut actions) = self.split(now);
        match (role, entities) {
            (
                Role::Pcscf,
                Entities {
                    pcscf: Some(entity),
                    ..
                },
            ) => {
                entity.handle(event, &mut actions);
            }
            (
                Role::Icscf,
                Entities {
                    icscf: Some(entity),
                    ..
                },
            ) => {
                entity.handle(event, &mut actions);
            }
            (
                Role::Scscf,
                Entities {
                    scscf: Some(entity),
                    ..
                },
            ) => {
                entity.handle(event, &mut actions);
            }
            (
                Role::Mrfc,
                Entities {
                    mrfc: Some(entity), ..
                },
            ) => {
                entity.handle(event, &mut actions);
            }
            _ => {}
        }
    }

    fn fire(&mut self, now: Instant, timer: Timer) {
        let (entities, mut actions) = self.split(now);
        match (timer, entities) {
            (
                Timer::Pcscf(timer),
                Entities {
                    pcscf: Some(entity),
                    ..
                },
            ) => {
                entity.handle_timer(timer, &mut actions);
            }
            (
                Timer::Icscf(timer),
                Entities {
                    icscf: Some(entity),
                    ..
                },
            ) => {
                entity.handle_timer(timer, &mut actions);
            }
            (
                Timer::Scscf(timer),
                Entities {
                    scscf: Some(entity),
                    ..
                },
            ) => {
                entity.handle_timer(timer, &mut actions);
            }
            (
                Timer::Mrfc(timer),
                Entities {
                    mrfc: Some(entity), ..
                },
            ) => {
                entity.handle_timer(timer, &mut actions);
            }
            _ => {}
        }
    }

    fn split(&mut self, now: Instant) -> (Entities<'_>, Actions<'_>) {
        let entities = Entities {
            pcscf: self.pcscf.as_mut(),
            icscf: self.icscf.as_mut(),
            scscf: self.scscf.as_mut(),
            mrfc: self.mrfc.as_mut(),
        };
        let actions = Actions {
            now,
            entropy: &mut self.entropy,
            config: &self.config,
            stack: &mut self.stack,
            mgc: self.mgc.as_mut(),
            counters: &mut self.counters,
            journal: &mut self.journal,
            timers: &mut self.timers,
            cx: &mut self.cx_commands,
            cx_answers: &mut self.cx_answers,
        };
        (entities, actions)
    }

    fn poll_mgc(&mut self, now: Instant) -> bool {
        let Some(output) = self.mgc.as_mut().and_then(Mgc::poll_output) else {
            return false;
        };
        match output {
            MgcOutput::Transmit { to, bytes } => self.outputs.push_back(Output::Datagram {
                socket: Socket::H248,
                destination: to,
                bytes: Payload::from(bytes),
            }),
            MgcOutput::Send { stream, bytes } => self.outputs.push_back(Output::Send {
                stream,
                bytes: Payload::from(bytes),
            }),
            MgcOutput::Close(stream) => {
                self.services.remove(&stream);
                self.outputs.push_back(Output::Close(stream));
            }
            MgcOutput::Anchor {
                anchor,
                owner,
                event,
            } => {
                self.dispatch(
                    now,
                    Role::Pcscf,
                    Event::Anchor {
                        anchor,
                        owner,
                        event,
                    },
                );
            }
            MgcOutput::Room(event) => self.dispatch(now, Role::Mrfc, Event::Room(event)),
        }
        true
    }

    // ---- Cx ----

    fn send_cx(&mut self, now: Instant, command: CxCommand) {
        if self.config.hss == HssAddress::Local && self.hss.is_some() {
            let origin = DiameterOrigin {
                host: self.diameter_host(),
                realm: self.config.realm.clone(),
            };
            let asked = self.cx_local.ask(command, origin);
            self.hss_event(
                now,
                hss::Event::Request {
                    token: asked.token,
                    origin: asked.origin,
                    request: asked.request,
                },
            );
        } else if let Some(side) = &mut self.diameter {
            side.send(now, command);
        } else {
            let answer = command
                .request
                .answer(diameter::cx::Outcome::UNABLE_TO_DELIVER);
            let event = Event::Cx {
                token: command.token,
                answer: Box::new(answer),
            };
            self.dispatch(now, command.from, event);
        }
    }

    /// An S-CSCF's answer to a request of the HSS; token 0 names a request of the HSS of this
    /// process.
    fn answer_cx(&mut self, now: Instant, token: u64, answer: Answer) {
        if token == 0 {
            self.hss_event(now, hss::Event::Answered { answer });
        } else if let Some(side) = &mut self.diameter {
            side.answer(now, token, &answer);
        }
    }

    fn poll_diameter(&mut self, now: Instant) -> bool {
        let Some(event) = self.diameter.as_mut().and_then(DiameterSide::poll_event) else {
            return false;
        };
        match event {
            CxEvent::Output(output) => {
                if let Output::Connect {
                    stream, service, ..
                } = &output
                {
                    self.services.insert(*stream, *service);
                }
                self.outputs.push_back(output);
            }
            CxEvent::Request {
                token,
                origin,
                request,
            } => {
                if self.hss.is_some() {
                    self.hss_event(
                        now,
                        hss::Event::Request {
                            token,
                            origin,
                            request: *request,
                        },
                    );
                } else {
                    self.dispatch(now, Role::Scscf, Event::CxRequest { token, request });
                }
            }
            CxEvent::Answer {
                from,
                token,
                answer,
            } => {
                self.dispatch(now, from, Event::Cx { token, answer });
            }
            CxEvent::Counted(counter) => self.counters.count(counter),
            CxEvent::HssAnswered(answer) => {
                self.hss_event(now, hss::Event::Answered { answer: *answer })
            }
        }
        true
    }

    fn hss_event(&mut self, now: Instant, event: hss::Event) {
        let Some(hss) = &mut self.hss else { return };
        let mut actions = Vec::new();
        hss.handle(event, &mut self.entropy, &mut actions);
        for action in actions {
            self.perform(now, action);
        }
    }

    fn perform(&mut self, now: Instant, action: hss::Action) {
        match action {
            hss::Action::Store { id, operation } => {
                self.outputs.push_back(Output::Store { id, operation });
            }
            hss::Action::Answer { token, answer } => match self.cx_local.answered(token) {
                Some((role, token)) => {
                    self.stack.push_event(
                        role,
                        Event::Cx {
                            token,
                            answer: Box::new(answer),
                        },
                    );
                }
                None => {
                    if let Some(side) = &mut self.diameter {
                        side.answer(now, token, &answer);
                    }
                }
            },
            hss::Action::Request {
                destination,
                request,
            } => {
                if destination.host == self.diameter_host() && self.scscf.is_some() {
                    // The S-CSCF of this process; its answer carries nothing that the HSS acts on.
                    self.stack.push_event(
                        Role::Scscf,
                        Event::CxRequest {
                            token: 0,
                            request: Box::new(request),
                        },
                    );
                } else if let Some(side) = &mut self.diameter {
                    side.send_to(now, &destination, request);
                }
            }
            hss::Action::Administered { token, outcome } => {
                let reply = admin::Reply::Stored(Box::new(outcome));
                self.outputs.push_back(Output::Admin {
                    id: token & !ADMIN,
                    reply,
                });
            }
        }
    }

    /// The Diameter identity of this process.
    fn diameter_host(&self) -> String {
        crate::cx::host(&self.config)
    }

    // ---- administration ----

    fn handle_admin(&mut self, now: Instant, id: u64, request: admin::Request) {
        match request {
            admin::Request::Status => {
                let reply = admin::Reply::Status(Box::new(self.status(now)));
                self.outputs.push_back(Output::Admin { id, reply });
            }
            admin::Request::Contexts(call_id) => {
                let reply = admin::Reply::Contexts(self.contexts_of(&call_id));
                self.outputs.push_back(Output::Admin { id, reply });
            }
            admin::Request::Store(operation) if self.hss.is_some() => {
                let operation: store::Operation = *operation;
                self.hss_event(
                    now,
                    hss::Event::Administer {
                        token: id | ADMIN,
                        operation,
                    },
                );
            }
            admin::Request::Store(_) => {
                self.outputs.push_back(Output::Admin {
                    id,
                    reply: admin::Reply::NotHere(Role::Hss),
                });
            }
            admin::Request::Mrf(request) => {
                let (entities, mut actions) = self.split(now);
                let reply = match entities.mrfc {
                    Some(mrfc) => admin::Reply::Mrf(mrfc.administer(*request, &mut actions)),
                    None => admin::Reply::NotHere(Role::Mrfc),
                };
                self.outputs.push_back(Output::Admin { id, reply });
            }
        }
    }
}

/// The SIP entities of a node, apart from what they act on.
struct Entities<'a> {
    pcscf: Option<&'a mut Pcscf>,
    icscf: Option<&'a mut Icscf>,
    scscf: Option<&'a mut Scscf>,
    mrfc: Option<&'a mut Mrfc>,
}
