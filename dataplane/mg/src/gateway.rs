//! One virtual media gateway.

use std::collections::{HashMap, VecDeque};
use std::net::SocketAddr;
use std::ops::RangeInclusive;
use std::time::Duration;

use base::{Entropy, Instant};
use h248::encoding::Encoding;
use h248::error::ErrorCode;
use h248::message::{
    ActionRequest, AuditReply, AuditReturn, Command, CommandReply, ContextId, ErrorDescriptor, Mid,
    NotifyRequest, ObservedEvent, ObservedEventsDescriptor, ReplyBody, RequestId,
    ServiceChangeMethod, ServiceChangeParms, ServiceChangeReason, ServiceChangeRequest,
    ServiceChangeResult, TerminationId, TransactionId, VERSION,
};
use h248::package::{Item, it, ocp};
use h248::text::Style;
use h248::transaction::{self, Endpoint, Output as Out, RequestHandle, Transport};

use crate::association::{
    Announcement, Association, AssociationConfig, AssociationEvent, Outcome, Step,
};
use crate::connection_model::ConnectionModel;
use crate::detection::Notice;
use crate::execute::Run;
use crate::plane::{MediaEvent, MediaPlane};
use crate::port_pool::{PortPool, RealmAddress};
use crate::profile::Profile;
use crate::time_stamp::time_stamp;

/// What a gateway can be told.
#[derive(Clone, Debug)]
pub struct GatewayConfig {
    /// Its MID: where it receives H.248.
    pub mid: SocketAddr,
    /// Its MGCs.
    pub association: AssociationConfig,
    /// What it supports.
    pub profile: &'static Profile,
    /// Its addresses for media.
    pub addresses: Vec<RealmAddress>,
    /// Its ports on each of them.
    pub ports: RangeInclusive<u16>,
    /// Contexts at a time; beyond: error 412.
    pub contexts_max: usize,
    /// How its messages are encoded, until the MGC has written in text or in binary itself.
    pub encoding: Encoding,
    /// What carries them.
    pub transport: Transport,
}

impl GatewayConfig {
    /// The defaults for a gateway `mid`, still without MGC and addresses.
    pub fn new(mid: SocketAddr, profile: &'static Profile) -> Self {
        Self {
            mid,
            association: AssociationConfig::default(),
            profile,
            addresses: Vec::new(),
            ports: 20_000..=29_999,
            contexts_max: 65_536,
            encoding: Encoding::Text(Style::Compact),
            transport: Transport::Datagram,
        }
    }
}

/// What a gateway wants done, or tells.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Output {
    /// Send a message. Over a reliable transport it is dropped where there is no connection; one is
    /// then made as for [`Output::Connect`].
    Transmit {
        /// Where to.
        to: SocketAddr,
        /// The message.
        bytes: Vec<u8>,
    },
    /// Have a connection to an MGC, and tell of it by [`MediaGateway::handle_connected`] or
    /// [`MediaGateway::handle_closed`]; only over a reliable transport.
    Connect {
        /// The MGC.
        to: SocketAddr,
    },
    /// This MGC is given up: its connection is to be closed, if there is one, and not told of.
    Disconnect {
        /// The MGC.
        from: SocketAddr,
    },
    /// News of the association, for logs.
    Association(AssociationEvent),
}

/// What a gateway says of itself.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct GatewayStatus {
    /// Its MID.
    pub mid: SocketAddr,
    /// The MGC that it is, or is getting, associated with.
    pub mgc: Option<SocketAddr>,
    /// State of the association in words.
    pub state: &'static str,
    /// Contexts.
    pub contexts: usize,
    /// Terminations in these.
    pub terminations: usize,
    /// Pairs of ports in use or being closed.
    pub ports_used: usize,
    /// Pairs of ports.
    pub ports: usize,
}

/// What a gateway counted.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Counters {
    /// Transactions executed.
    pub transactions: u64,
    /// Commands answered.
    pub commands: u64,
    /// Those answered by an error.
    pub commands_refused: u64,
    /// Transactions of others than the MGC in control.
    pub unauthorized: u64,
    /// Notify commands sent.
    pub notifications: u64,
    /// Events that found too many waiting.
    pub notifications_lost: u64,
    /// Messages and transactions that could not be read.
    pub malformed: u64,
    /// Requests of ours that nobody answered.
    pub timeouts: u64,
}

/// A virtual media gateway, sans-IO: the caller passes messages, media events and time in, and
/// after any call drains [`MediaGateway::poll_output`].
#[derive(Debug)]
pub struct MediaGateway {
    mid: SocketAddr,
    encoding: Encoding,
    transport: Transport,
    endpoint: Endpoint<Purpose>,
    association: Association,
    model: ConnectionModel,
    outputs: VecDeque<Output>,
    /// Notices on their way to the MGC, by serial number.
    notified: HashMap<u32, Notice>,
    /// The serial number of the last.
    serial: u32,
    /// The MGC's silence counts from here (`it/ito`).
    silent_since: Instant,
    /// Asked to do more than it can, and when the MGC was told of it last.
    is_overloaded: bool,
    overload_told: Option<Instant>,
    /// Leave service then, or when the last context ends.
    leave_at: Option<Instant>,
    counters: Counters,
}

/// What a request of ours is for.
#[derive(Clone, Copy, Debug)]
enum Purpose {
    Announce(u32),
    Notify(u32),
}

impl MediaGateway {
    /// A gateway that has not started.
    pub fn new(config: GatewayConfig, now: Instant, mut entropy: Entropy) -> Self {
        // A number for each millisecond since the epoch: a restart starts past those used, however
        // soon it comes. An MGC passes over what repeats one that it has answered (H.248.1 D.1.1).
        let first = TransactionId((now.as_millis() as u32) & 0x7fff_ffff);
        let endpoint = transaction::Config::new(Mid::from(config.mid), first);
        let first_context = entropy.next_u32() & 0x7fff_ffff;
        let mut fork = || Entropy::from_seed(entropy.bytes());
        let pool = PortPool::new(&config.addresses, &config.ports);
        Self {
            mid: config.mid,
            encoding: config.encoding,
            transport: config.transport,
            endpoint: Endpoint::new(endpoint, fork()),
            association: Association::new(config.association, fork()),
            model: ConnectionModel::new(config.profile, pool, config.contexts_max, first_context),
            outputs: VecDeque::new(),
            notified: HashMap::new(),
            serial: 0,
            silent_since: now,
            is_overloaded: false,
            overload_told: None,
            leave_at: None,
            counters: Counters::default(),
        }
    }

    /// Looks for an MGC.
    pub fn start(&mut self, now: Instant, plane: &mut dyn MediaPlane) {
        let step = self.association.start(now);
        self.take(now, plane, step);
        self.settle(now, plane);
    }

    /// A message came from `from`.
    pub fn handle_input(
        &mut self,
        now: Instant,
        plane: &mut dyn MediaPlane,
        from: SocketAddr,
        bytes: &[u8],
    ) {
        self.association.hear(now, from);
        if self
            .association
            .controller()
            .is_some_and(|mgc| mgc.address == from)
        {
            self.silent_since = now;
        }
        self.endpoint.handle_input(now, from, bytes);
        self.settle(now, plane);
    }

    /// A connection to an MGC is there.
    pub fn handle_connected(&mut self, now: Instant, plane: &mut dyn MediaPlane, mgc: SocketAddr) {
        self.association.handle_connected(mgc);
        self.endpoint.handle_connected(mgc);
        self.settle(now, plane);
    }

    /// A connection to an MGC could not be made, or is gone.
    pub fn handle_closed(&mut self, now: Instant, plane: &mut dyn MediaPlane, mgc: SocketAddr) {
        let step = self.association.handle_closed(now, mgc);
        self.take(now, plane, step);
        self.settle(now, plane);
    }

    /// Something happened at one of its addresses.
    pub fn handle_event(&mut self, now: Instant, plane: &mut dyn MediaPlane, event: &MediaEvent) {
        self.model.handle_event(now, plane, event);
        self.settle(now, plane);
    }

    /// Does what is due at `now`.
    pub fn handle_timeout(&mut self, now: Instant, plane: &mut dyn MediaPlane) {
        self.endpoint.handle_timeout(now);
        self.model.handle_timeout(now, plane);
        let step = self.association.handle_timeout(now);
        self.take(now, plane, step);
        self.notice_silence(now);
        self.settle(now, plane);
    }

    /// When [`MediaGateway::handle_timeout`] is to be called.
    pub fn next_timeout(&self) -> Option<Instant> {
        let timeouts = [
            self.endpoint.next_timeout(),
            self.model.next_timeout(),
            self.association.next_timeout(),
            self.silence_ends(),
            self.leave_at,
        ];
        timeouts.into_iter().flatten().min()
    }

    /// The next thing to do or to know. Replies to several messages go in one when they were
    /// handled before this is called.
    pub fn poll_output(&mut self) -> Option<Output> {
        self.outputs.pop_front().or_else(|| self.poll_transmit())
    }

    fn poll_transmit(&mut self) -> Option<Output> {
        let (to, bytes) = self.endpoint.poll_message()?;
        Some(Output::Transmit { to, bytes })
    }

    /// Leaves service: at once (ServiceChange Forced, reason 908), or after `delay` or the end of
    /// the last context, announced by Graceful. [`MediaGateway::is_ended`] tells when it is done.
    pub fn leave(&mut self, now: Instant, plane: &mut dyn MediaPlane, delay: Duration) {
        if delay.is_zero() {
            self.leave_now(now, plane);
        } else if self.leave_at.is_none() {
            self.model.is_draining = true;
            self.leave_at = Some(now + delay);
            let mut step = self.association.leave_gracefully();
            if let Some(announcement) = step.announcement.take() {
                self.announce(now, announcement, Some(delay));
            }
        }
        self.settle(now, plane);
    }

    /// More is asked of what this gateway runs on than it can do, or no longer: the MGC is told
    /// with the next contexts that it has made, if it asked for that (`ocp/mg_overload`, H.248.11).
    pub fn set_overloaded(&mut self, is_overloaded: bool) {
        self.is_overloaded = is_overloaded;
    }

    /// True when it is out of service for good, or was never started.
    pub fn is_ended(&self) -> bool {
        self.association.is_idle()
    }

    /// True for an address and port of its own.
    pub fn owns(&self, local: SocketAddr) -> bool {
        self.model.pool.owns(local)
    }

    /// Where the terminations of a context receive media; RTCP is at the next ports.
    pub fn locals_in(&self, context: u32) -> Vec<SocketAddr> {
        self.model.locals_in(context)
    }

    /// The same of one termination.
    pub fn locals_of(&self, termination: &TerminationId) -> Vec<SocketAddr> {
        let key = self.model.find(termination);
        key.map(|key| self.model.locals_of(key)).unwrap_or_default()
    }

    /// What it says of itself.
    pub fn status(&self) -> GatewayStatus {
        let (state, mgc) = self.association.status();
        let (ports_used, ports) = self.model.pool.usage();
        GatewayStatus {
            mid: self.mid,
            mgc,
            state: if self.leave_at.is_some() {
                "draining"
            } else {
                state
            },
            contexts: self.model.contexts.len(),
            terminations: self.model.terminations.len(),
            ports_used,
            ports,
        }
    }

    /// What it counted.
    pub fn counters(&self) -> Counters {
        let endpoint = self.endpoint.counters();
        Counters {
            malformed: endpoint.messages_malformed + endpoint.transactions_malformed,
            timeouts: endpoint.timeouts,
            notifications_lost: self.counters.notifications_lost + self.model.notices_lost,
            ..self.counters
        }
    }

    /// What its transaction engine counted.
    pub fn transaction_counters(&self) -> &transaction::Counters {
        self.endpoint.counters()
    }

    // What follows from a call.

    /// Does everything that has become possible, until nothing is left.
    fn settle(&mut self, now: Instant, plane: &mut dyn MediaPlane) {
        loop {
            while let Some(output) = self.endpoint.poll_event() {
                self.handle_output(now, plane, output);
            }
            // Without an MGC, events wait.
            let mgc = self.association.controller().map(|mgc| mgc.address);
            match mgc.and_then(|mgc| Some((mgc, self.model.poll_notice()?))) {
                Some((mgc, notice)) => self.send_notice(now, mgc, notice),
                None => break,
            }
        }
        let is_due = |at: Instant| at <= now || self.model.contexts.is_empty();
        if self.leave_at.is_some_and(is_due) {
            self.leave_now(now, plane);
            while let Some(output) = self.endpoint.poll_event() {
                self.handle_output(now, plane, output);
            }
        }
    }

    fn handle_output(&mut self, now: Instant, plane: &mut dyn MediaPlane, output: Out<Purpose>) {
        match output {
            Out::Request {
                handle,
                mid,
                actions,
                ..
            } => self.execute(now, plane, handle, &mid, &actions),
            Out::Reply {
                token: Purpose::Announce(serial),
                mid,
                body,
                ..
            } => {
                let outcome = match announced(&body) {
                    Ok(result) => Outcome::Accepted { mid, result },
                    Err(code) => Outcome::Refused(code),
                };
                let step = self.association.conclude(now, serial, outcome);
                self.take(now, plane, step);
            }
            Out::Reply {
                token: Purpose::Notify(serial),
                body,
                ..
            } => {
                self.notified.remove(&serial);
                let is_stranger = |error: &ErrorDescriptor| error.code == ErrorCode::BEFORE_RESTART;
                if matches!(&body, ReplyBody::Error(error) if is_stranger(error)) {
                    let step = self.association.register_anew();
                    self.take(now, plane, step);
                }
            }
            Out::Failed { token, reason, .. } => {
                let is_silence = reason == transaction::Failure::Timeout;
                if let Purpose::Notify(serial) = token
                    && let Some(notice) = self.notified.remove(&serial)
                {
                    // Nobody heard it: it waits for the next MGC, or for this one to be back.
                    self.model.queue_again(notice);
                }
                let step = match token {
                    Purpose::Announce(serial) => {
                        self.association.conclude(now, serial, Outcome::Unanswered)
                    }
                    Purpose::Notify(_) if is_silence => self.association.lose(now),
                    Purpose::Notify(_) => Step::default(),
                };
                self.take(now, plane, step);
            }
            // Messages are polled by themselves.
            Out::Transmit { .. } | Out::Pending { .. } | Out::MessageError { .. } => {}
        }
    }

    fn execute(
        &mut self,
        now: Instant,
        plane: &mut dyn MediaPlane,
        handle: RequestHandle,
        mid: &Mid,
        actions: &[ActionRequest],
    ) {
        if let Err(code) = self.association.authorize(now, handle.peer, mid) {
            self.counters.unauthorized += 1;
            let refusal = ReplyBody::Error(ErrorDescriptor::new(code));
            // Unknown means that it was given up meanwhile.
            let _ = self.endpoint.reply(now, handle, refusal);
            return;
        }
        self.silent_since = now;
        let timers = self.model.root.timers;
        let mut run = Run { now, plane };
        let body = self.model.execute(&mut run, actions);
        self.count(&body);
        if self.is_overloaded && actions.iter().any(makes_context) {
            self.notice_overload(now);
        }
        let _ = self.endpoint.reply(now, handle, body);
        if self.model.root.timers != timers
            && let Some(controller) = self.association.controller()
        {
            let (address, version) = (controller.address, controller.version);
            self.set_association(address, version);
        }
        if let Some(parms) = self.model.directed.take() {
            // The reply leaves before the association does.
            self.flush();
            let step = self.association.direct(now, &parms);
            self.take(now, plane, step);
        }
    }

    /// Follows a step of the association.
    fn take(&mut self, now: Instant, plane: &mut dyn MediaPlane, step: Step) {
        if step.clear {
            self.model.clear(plane);
        }
        if let Some(mgc) = step.forget {
            self.flush();
            self.endpoint.disconnect(mgc);
            if self.transport == Transport::Reliable {
                self.outputs.push_back(Output::Disconnect { from: mgc });
            }
        }
        if let Some(to) = step.connect {
            self.outputs.push_back(Output::Connect { to });
        }
        if let Some(news) = step.news {
            if let AssociationEvent::Registered { mgc, version } = news {
                self.set_association(mgc, version);
                self.silent_since = now;
            }
            self.outputs.push_back(Output::Association(news));
        }
        if let Some(announcement) = step.announcement {
            self.announce(now, announcement, None);
        }
    }

    /// Passes on what the endpoint has ready to be sent.
    fn flush(&mut self) {
        while let Some(message) = self.poll_transmit() {
            self.outputs.push_back(message);
        }
    }

    fn announce(&mut self, now: Instant, announcement: Announcement, delay: Option<Duration>) {
        let Announcement {
            to,
            method,
            reason,
            serial,
            version,
        } = announcement;
        self.set_association(to, version);
        let words = reason_text(reason);
        let mut parms = ServiceChangeParms::new(method, ServiceChangeReason::new(reason, words));
        let is_leaving = matches!(
            parms.method,
            ServiceChangeMethod::Forced | ServiceChangeMethod::Graceful
        );
        if !is_leaving {
            parms.version = Some(VERSION);
            parms.profile = self.association.profile().cloned();
        }
        parms.delay = delay.map(|delay| u32::try_from(delay.as_secs()).unwrap_or(u32::MAX));
        parms.time = Some(time_stamp(now));
        let command = Command::ServiceChange(ServiceChangeRequest {
            terminations: [TerminationId::Root].into_iter().collect(),
            parms: Box::new(parms),
        });
        let action = ActionRequest::new(ContextId::Null, vec![command.into()]);
        let purpose = Purpose::Announce(serial);
        if self
            .endpoint
            .send_request(now, to, vec![action], purpose)
            .is_err()
        {
            // Thousands of requests wait for this MGC: what becomes of them tells.
            self.counters.notifications_lost += 1;
        }
    }

    fn set_association(&mut self, to: SocketAddr, version: u8) {
        let mut association = transaction::Association {
            encoding: self.encoding,
            transport: self.transport,
            version,
            ..transaction::Association::default()
        };
        self.model.root.timers.set(&mut association);
        self.endpoint.set_association(to, association);
    }

    fn leave_now(&mut self, now: Instant, plane: &mut dyn MediaPlane) {
        self.leave_at = None;
        self.model.is_draining = true;
        self.model.clear(plane);
        let step = self.association.leave(now);
        self.take(now, plane, step);
    }

    fn send_notice(&mut self, now: Instant, to: SocketAddr, notice: Notice) {
        let sent = notice.clone();
        let command = Command::Notify(NotifyRequest {
            terminations: [notice.termination].into_iter().collect(),
            observed: Some(notice.observed),
            error: notice
                .is_after_loss
                .then(|| ErrorDescriptor::new(ErrorCode::EVENT_BUFFER_FULL)),
        });
        let action = ActionRequest::new(notice.context, vec![command.into()]);
        self.serial = self.serial.wrapping_add(1);
        let purpose = Purpose::Notify(self.serial);
        match self.endpoint.send_request(now, to, vec![action], purpose) {
            Ok(_) => {
                self.counters.notifications += 1;
                self.notified.insert(self.serial, sent);
            }
            Err(_) => self.counters.notifications_lost += 1,
        }
    }

    /// When the MGC's silence is to be notified (`it/ito`, H.248.14).
    fn silence_ends(&self) -> Option<Instant> {
        self.association.controller()?;
        let (most, _) = self.model.root.silence?;
        Some(self.silent_since + most)
    }

    fn notice_silence(&mut self, now: Instant) {
        if self.silence_ends().is_none_or(|at| at > now) {
            return;
        }
        self.silent_since = now;
        if let Some((_, Some(request_id))) = self.model.root.silence {
            self.observe_at_root(now, request_id, it::INACTIVITY_TIMEOUT);
        }
    }

    /// Tells the MGC of overload; not with every context, since that would be load too.
    fn notice_overload(&mut self, now: Instant) {
        let told = self.overload_told;
        if told.is_none_or(|told| now.since(told) >= OVERLOAD_TOLD_EVERY)
            && let Some(request_id) = self.model.root.overload
        {
            self.overload_told = Some(now);
            self.observe_at_root(now, request_id, ocp::OVERLOAD);
        }
    }

    fn observe_at_root(&mut self, now: Instant, request_id: RequestId, item: Item) {
        let mut event = ObservedEvent::new(item);
        event.time = Some(time_stamp(now));
        self.model.queue(Notice {
            context: ContextId::Null,
            termination: TerminationId::Root,
            observed: ObservedEventsDescriptor {
                request_id,
                events: vec![event],
            },
            is_after_loss: false,
        });
    }

    fn count(&mut self, body: &ReplyBody) {
        self.counters.transactions += 1;
        if let ReplyBody::Actions(actions) = body {
            for action in actions {
                self.counters.commands += action.commands.len() as u64;
                let failed = action.commands.iter().filter(|reply| is_error(reply));
                self.counters.commands_refused += failed.count() as u64;
                self.counters.commands_refused += u64::from(action.error.is_some());
            }
        }
    }
}

/// The MGC is told of overload no more often.
const OVERLOAD_TOLD_EVERY: Duration = Duration::from_millis(100);

/// True for what begins a call.
fn makes_context(action: &ActionRequest) -> bool {
    action.context == ContextId::Choose
}

/// What an MGC answered to ServiceChange of ROOT.
fn announced(body: &ReplyBody) -> Result<Box<ServiceChangeResult>, ErrorCode> {
    let actions = match body {
        ReplyBody::Error(error) => return Err(error.code),
        ReplyBody::Actions(actions) => actions,
    };
    if let Some(error) = actions.iter().find_map(|action| action.error.as_ref()) {
        return Err(error.code);
    }
    let replies = actions.iter().flat_map(|action| &action.commands);
    let result = replies.into_iter().find_map(|reply| match reply {
        CommandReply::ServiceChange(reply) => Some(&reply.result),
        _ => None,
    });
    match result {
        Some(Ok(result)) => Ok(result.clone()),
        Some(Err(error)) => Err(error.code),
        // An answer to something else.
        None => Err(ErrorCode::PROTOCOL_ERROR),
    }
}

fn is_error(reply: &CommandReply) -> bool {
    let in_audit = |audit: &[AuditReturn]| {
        let mut items = audit.iter();
        items.any(|item| matches!(item, AuditReturn::Error(_)))
    };
    match reply {
        CommandReply::Add(reply)
        | CommandReply::Modify(reply)
        | CommandReply::Move(reply)
        | CommandReply::Subtract(reply) => in_audit(&reply.audit),
        CommandReply::AuditValue(reply) | CommandReply::AuditCapability(reply) => match reply {
            AuditReply::Context(_) => false,
            AuditReply::ContextError(_) => true,
            AuditReply::Terminations(reply) => in_audit(&reply.audit),
        },
        CommandReply::Notify(reply) => reply.error.is_some(),
        CommandReply::ServiceChange(reply) => reply.result.is_err(),
    }
}

/// The words of a ServiceChangeReason.
fn reason_text(code: u16) -> &'static str {
    match code {
        ServiceChangeReason::SERVICE_RESTORED => "Service Restored",
        ServiceChangeReason::COLD_BOOT => "Cold Boot",
        ServiceChangeReason::WARM_BOOT => "Warm Boot",
        ServiceChangeReason::MGC_DIRECTED_CHANGE => "MGC Directed Change",
        ServiceChangeReason::MG_IMPENDING_FAILURE => "MG Impending Failure",
        ServiceChangeReason::MGC_IMPENDING_FAILURE => "MGC Impending Failure",
        _ => "",
    }
}
