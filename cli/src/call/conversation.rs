//! One call of two telephones, from their registration to their de-registration.
//!
//! Sans-IO as the telephones are: [`sockets`](super::sockets) gives it datagrams and time. Each
//! stage has a limit, and what fails on the way still ends in order: calls are hung up and
//! registrations given up before the [`Conversation::outcome`] is there.

use std::collections::VecDeque;
use std::net::SocketAddr;
use std::time::Duration;

use base::{Entropy, Instant};
use load::media::Report;
use load::phone::{Output, Phone, Voices};
use load::ua::{CallId, Cause, Config, Event};
use rtp::DatagramKind;

use super::fault;
use super::sockets::{Socket, Telephones, Transmit};
use super::summary::{Direction, SetUp, Summary};
use crate::failure::Failure;

/// Both registrations: two round trips each, with the HSS behind them.
const REGISTER_LIMIT: Duration = Duration::from_secs(10);
/// From INVITE to ACK: the network may first try a gateway that does not answer.
const ANSWER_LIMIT: Duration = Duration::from_secs(20);
/// From the end of the call at the callee to that at the caller.
const CALLER_TOLD_LIMIT: Duration = Duration::from_secs(2);
/// From the last packet said to the BYE: what is under way must arrive.
const DRAIN: Duration = Duration::from_millis(200);
/// The same while packets are missing.
const DRAIN_MAX: Duration = Duration::from_secs(1);
/// How often it is looked whether they came.
const DRAIN_STEP: Duration = Duration::from_millis(50);
/// From BYE to its answer, and for de-registration.
const FAREWELL_LIMIT: Duration = Duration::from_secs(5);
/// Seeds of what the two say.
const VOICES: [u32; 2] = [1, 2];

/// One of the two.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Side {
    /// Calls.
    Caller,
    /// Is called.
    Callee,
}

impl Side {
    /// Both, in the order of their indices.
    pub const BOTH: [Side; 2] = [Side::Caller, Side::Callee];

    /// Its place in an array of two.
    pub const fn index(self) -> usize {
        self as usize
    }

    /// The other one.
    pub const fn other(self) -> Side {
        match self {
            Side::Caller => Side::Callee,
            Side::Callee => Side::Caller,
        }
    }

    /// What it is called in tables.
    pub const fn name(self) -> &'static str {
        match self {
            Side::Caller => "caller",
            Side::Callee => "callee",
        }
    }
}

/// The call; see the [module](self).
pub struct Conversation {
    ends: [End; 2],
    talk: Duration,
    stage: Stage,
    began: Instant,
    /// When the stage has taken its time.
    until: Instant,
    dialled: Instant,
    fell_silent: Instant,
    set_up: SetUp,
    faults: Vec<String>,
    failure: Option<Failure>,
    /// Why the callee's end was over before the call was established.
    given_up: Option<Cause>,
    outputs: VecDeque<Transmit>,
}

/// What is being done.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Stage {
    Registering,
    Calling,
    Talking,
    Draining,
    HangingUp,
    Leaving,
    Over,
}

/// One telephone and how far it is.
struct End {
    phone: Phone,
    call: Option<CallId>,
    /// The call is not over.
    is_live: bool,
    /// It may talk: the call is established for it.
    is_established: bool,
    registration: Registration,
    /// RTP packets sent and received.
    sent: u64,
    received: u64,
}

/// What the network holds of one telephone.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Registration {
    /// Perhaps a registration: REGISTER is on its way.
    Asked,
    /// A registration.
    Held,
    /// One that is being given up.
    Leaving,
    /// Nothing.
    None,
}

impl Conversation {
    /// Has both telephones register; they talk for `talk` once the call is established.
    pub fn start(
        now: Instant,
        configs: [Config; 2],
        talk: Duration,
        entropy: &mut Entropy,
    ) -> Self {
        let [caller, callee] = configs;
        let mut end = |config, side: Side| End {
            phone: Phone::new(
                config,
                Voices {
                    own: VOICES[side.index()],
                    other: Some(VOICES[side.other().index()]),
                },
                Entropy::from_seed(entropy.bytes()),
            ),
            call: None,
            is_live: false,
            is_established: false,
            registration: Registration::Asked,
            sent: 0,
            received: 0,
        };
        let mut conversation = Self {
            ends: [end(caller, Side::Caller), end(callee, Side::Callee)],
            talk,
            stage: Stage::Registering,
            began: now,
            until: now + REGISTER_LIMIT,
            dialled: now,
            fell_silent: now,
            set_up: SetUp::default(),
            faults: Vec::new(),
            failure: None,
            given_up: None,
            outputs: VecDeque::new(),
        };
        for side in Side::BOTH {
            let end = &mut conversation.ends[side.index()];
            if let Err(error) = end.phone.act(now, |agent| agent.register(now)) {
                end.registration = Registration::None;
                let what = format!("cannot register {}", conversation.name(side));
                conversation.fail(now, Failure::new(what).because(error));
            }
        }
        conversation.settle(now);
        conversation
    }

    /// How it went.
    ///
    /// # Errors
    /// Why there was no call.
    pub fn outcome(self) -> Result<Summary, Failure> {
        if let Some(failure) = self.failure {
            return Err(failure);
        }
        let reports = Side::BOTH.map(|side| self.report(side));
        let direction = |from: Side| {
            let (there, here) = (from.index(), from.other().index());
            Direction::new(from, &reports[there], &reports[here])
        };
        Ok(Summary {
            names: Side::BOTH.map(|side| self.name(side)),
            set_up: self.set_up,
            talk: self.talk,
            directions: Side::BOTH.map(direction),
            faults: self.faults,
        })
    }

    /// Ends what there is in order, and keeps the first reason for it.
    fn fail(&mut self, now: Instant, failure: Failure) {
        self.failure.get_or_insert(failure);
        match self.stage {
            Stage::Registering | Stage::Calling | Stage::Talking | Stage::Draining => {
                self.hang_up(now);
            }
            Stage::Leaving => self.leave_when_ready(now),
            Stage::HangingUp | Stage::Over => {}
        }
    }

    fn name(&self, side: Side) -> String {
        let impu = &self.ends[side.index()].phone.agent().config().impu;
        impu.clone()
    }

    fn report(&self, side: Side) -> Report {
        let end = &self.ends[side.index()];
        let report = end.call.and_then(|call| end.phone.report(call));
        report.unwrap_or_default()
    }

    fn enter(&mut self, stage: Stage, until: Instant) {
        self.stage = stage;
        self.until = until;
    }

    /// Follows what the telephones tell until they have nothing more to say.
    fn settle(&mut self, now: Instant) {
        let next = |ends: &mut [End; 2]| {
            Side::BOTH
                .into_iter()
                .find_map(|side| Some((side, ends[side.index()].phone.poll_output()?)))
        };
        while let Some((side, output)) = next(&mut self.ends) {
            let (from, to, bytes) = match output {
                Output::Signal {
                    transport,
                    to,
                    bytes,
                } => (Socket::Sip(transport), to, bytes),
                Output::Media { from, to, bytes } if from.port() % 2 == 0 => {
                    (Socket::Rtp, to, bytes)
                }
                Output::Media { to, bytes, .. } => (Socket::Rtcp, to, bytes),
                // The sockets are open all the time, so that no packet comes too early or late.
                Output::Open { .. } | Output::Close { .. } => continue,
                Output::Event(event) => {
                    self.follow(now, side, event);
                    continue;
                }
            };
            self.ends[side.index()].sent += u64::from(from == Socket::Rtp);
            self.outputs.push_back(Transmit {
                place: side.index(),
                from,
                to,
                bytes,
            });
        }
    }

    fn follow(&mut self, now: Instant, side: Side, event: Event) {
        let index = side.index();
        match event {
            Event::Registered { .. } => self.handle_registered(now, side),
            Event::RegistrationFailed { status, reason } => {
                self.ends[index].registration = Registration::None;
                let name = self.name(side);
                if self.stage == Stage::Leaving {
                    self.blame(format!("{name} is not deregistered: {status} {reason}"));
                    self.leave_when_ready(now);
                } else {
                    let proxy = self.ends[index].phone.agent().config().proxy;
                    self.fail(now, fault::registration(&name, proxy, status, &reason));
                }
            }
            Event::Deregistered => {
                self.ends[index].registration = Registration::None;
                if self.stage == Stage::Leaving {
                    self.leave_when_ready(now);
                } else {
                    let name = self.name(side);
                    let what = format!("the registration of {name} came to an end");
                    self.fail(now, Failure::new(what));
                }
            }
            Event::Incoming { call, .. } => self.handle_incoming(now, side, call),
            Event::Progress {
                call, status: 180, ..
            } if self.ends[index].is_call(call) => {
                let ringing = now.since(self.dialled);
                self.set_up.ringing.get_or_insert(ringing);
            }
            Event::Media { call, .. } if self.ends[index].is_call(call) => self.let_talk(now, side),
            Event::Established { call } if self.ends[index].is_call(call) => {
                self.handle_established(now, side);
            }
            Event::Ended { call, cause } if self.ends[index].is_call(call) => {
                self.handle_ended(now, side, cause);
            }
            _ => {}
        }
    }

    fn handle_registered(&mut self, now: Instant, side: Side) {
        self.set_up.registered[side.index()].get_or_insert(now.since(self.began));
        let end = &mut self.ends[side.index()];
        end.registration = Registration::Held;
        if self.stage == Stage::Leaving {
            // It came when the other one had been refused.
            end.leave(now);
            self.leave_when_ready(now);
        }
        let held = |end: &End| end.registration == Registration::Held;
        if self.stage == Stage::Registering && self.ends.iter().all(held) {
            self.dial(now);
        }
    }

    fn dial(&mut self, now: Instant) {
        let target = self.name(Side::Callee);
        self.dialled = now;
        self.enter(Stage::Calling, now + ANSWER_LIMIT);
        let caller = &mut self.ends[Side::Caller.index()];
        match caller.phone.act(now, |agent| agent.call(now, &target)) {
            Ok(call) => caller.begin(call),
            Err(error) => {
                let failure = Failure::new(format!("cannot call {target}")).because(error);
                self.fail(now, failure);
            }
        }
    }

    /// The first call that comes while one is made is that one; any other is refused.
    fn handle_incoming(&mut self, now: Instant, side: Side, call: CallId) {
        let end = &mut self.ends[side.index()];
        if side == Side::Callee && self.stage == Stage::Calling && end.call.is_none() {
            end.begin(call);
        } else {
            // A call that is over by now needs no hanging up.
            let _ = end.phone.act(now, |agent| agent.hang_up(now, call));
        }
    }

    fn handle_established(&mut self, now: Instant, side: Side) {
        self.ends[side.index()].is_established = true;
        self.let_talk(now, side);
        if side == Side::Caller {
            let answered = now.since(self.dialled);
            self.set_up.answered.get_or_insert(answered);
        }
        if self.stage == Stage::Calling && self.ends.iter().all(|end| end.is_established) {
            self.enter(Stage::Talking, now + self.talk);
        }
    }

    /// Each end talks from the moment at which it knows that the other one listens.
    fn let_talk(&mut self, now: Instant, side: Side) {
        let is_time = matches!(self.stage, Stage::Calling | Stage::Talking);
        let end = &mut self.ends[side.index()];
        if let Some(call) = end.call {
            let talking = is_time && end.is_established;
            end.phone.set_talking(now, call, talking);
        }
    }

    fn handle_ended(&mut self, now: Instant, side: Side, cause: Cause) {
        self.ends[side.index()].is_live = false;
        match self.stage {
            Stage::HangingUp => {
                if cause == Cause::Lost {
                    let name = self.name(side);
                    self.blame(format!("nobody answered the BYE of {name}"));
                }
                if !self.ends.iter().any(|end| end.is_live) {
                    self.leave(now);
                }
            }
            Stage::Calling if side == Side::Caller => {
                let failure = fault::call(&self.name(Side::Callee), &cause);
                self.fail(now, failure);
            }
            // What the caller is told says more, and follows.
            Stage::Calling => {
                self.given_up = Some(cause);
                self.until = self.until.min(now + CALLER_TOLD_LIMIT);
            }
            Stage::Talking | Stage::Draining => {
                let failure = fault::released(&self.name(side), &cause);
                self.fail(now, failure);
            }
            Stage::Registering | Stage::Leaving | Stage::Over => {}
        }
    }

    fn handle_stage_timeout(&mut self, now: Instant) {
        match self.stage {
            Stage::Registering => {
                let is_asked =
                    |side: &Side| self.ends[side.index()].registration == Registration::Asked;
                let side = Side::BOTH.into_iter().find(is_asked);
                let side = side.unwrap_or(Side::Caller);
                let proxy = self.ends[side.index()].phone.agent().config().proxy;
                let failure = fault::no_registration(&self.name(side), proxy, REGISTER_LIMIT);
                for end in &mut self.ends {
                    end.stop_waiting();
                }
                self.fail(now, failure);
            }
            Stage::Calling => {
                let name = self.name(Side::Callee);
                let was_offered = self.ends[Side::Callee.index()].call.is_some();
                let failure = match &self.given_up {
                    Some(cause) => fault::call(&name, cause),
                    None => fault::no_answer(&name, was_offered, ANSWER_LIMIT),
                };
                self.fail(now, failure);
            }
            Stage::Talking => {
                self.fell_silent = now;
                self.enter(Stage::Draining, now + DRAIN);
                for side in Side::BOTH {
                    self.let_talk(now, side);
                }
            }
            Stage::Draining => {
                let [caller, callee] = &self.ends;
                let has_arrived = caller.sent <= callee.received && callee.sent <= caller.received;
                if has_arrived || now >= self.fell_silent + DRAIN_MAX {
                    self.hang_up(now);
                } else {
                    self.until = now + DRAIN_STEP;
                }
            }
            Stage::HangingUp => {
                self.blame("the call did not end: nobody answered the BYE".into());
                self.leave(now);
            }
            Stage::Leaving => {
                self.blame("nobody answered the de-registration".into());
                self.enter(Stage::Over, now);
            }
            Stage::Over => {}
        }
    }

    /// The caller hangs up; the callee does so itself only when it is alone.
    fn hang_up(&mut self, now: Instant) {
        self.enter(Stage::HangingUp, now + FAREWELL_LIMIT);
        let Some(end) = self.ends.iter_mut().find(|end| end.is_live) else {
            return self.leave(now);
        };
        if let Some(call) = end.call {
            // A call that is over by now has told so, and that comes next.
            let _ = end.phone.act(now, |agent| agent.hang_up(now, call));
        }
    }

    fn leave(&mut self, now: Instant) {
        self.enter(Stage::Leaving, now + FAREWELL_LIMIT);
        for end in &mut self.ends {
            if end.registration == Registration::Held {
                end.leave(now);
            }
        }
        self.leave_when_ready(now);
    }

    fn leave_when_ready(&mut self, now: Instant) {
        let none = |end: &End| end.registration == Registration::None;
        if self.ends.iter().all(none) {
            self.enter(Stage::Over, now);
        }
    }
}

impl Telephones for Conversation {
    fn handle_input(
        &mut self,
        now: Instant,
        place: usize,
        at: Socket,
        from: SocketAddr,
        datagram: &[u8],
    ) {
        let end = &mut self.ends[place];
        let config = end.phone.agent().config();
        if let Socket::Sip(transport) = at {
            end.phone.handle_signal(now, transport, from, datagram);
        } else {
            if end.is_live && rtp::datagram_kind(datagram) == DatagramKind::Rtp {
                end.received += 1;
                let first = &mut self.set_up.first_rtp[place];
                first.get_or_insert(now.since(self.dialled));
            }
            let rtp = *config.media_ports.start();
            let port = rtp.saturating_add(u16::from(at == Socket::Rtcp));
            let local = SocketAddr::new(config.media_ip, port);
            end.phone.handle_media(now, local, datagram);
        }
        self.settle(now);
    }

    fn handle_unreachable(&mut self, now: Instant, place: usize, peer: SocketAddr) {
        let end = &mut self.ends[place];
        let config = end.phone.agent().config();
        if peer == config.proxy && end.registration == Registration::Asked {
            let failure = fault::nobody_there(peer, config.transport);
            end.registration = Registration::None;
            self.fail(now, failure);
        } else {
            end.phone
                .act(now, |agent| agent.handle_unreachable(now, peer));
        }
        self.settle(now);
    }

    fn handle_timeout(&mut self, now: Instant) {
        for end in &mut self.ends {
            end.phone.handle_timeout(now);
        }
        self.settle(now);
        if now >= self.until {
            self.handle_stage_timeout(now);
            self.settle(now);
        }
    }

    fn next_timeout(&self) -> Option<Instant> {
        if self.stage == Stage::Over {
            return None;
        }
        let phones = self.ends.iter().filter_map(|end| end.phone.next_timeout());
        phones.chain([self.until]).min()
    }

    fn poll_output(&mut self) -> Option<Transmit> {
        self.outputs.pop_front()
    }

    fn stop(&mut self, now: Instant, why: Failure) {
        self.fail(now, why);
        self.settle(now);
    }

    fn blame(&mut self, fault: String) {
        if !self.faults.contains(&fault) {
            self.faults.push(fault);
        }
    }
}

impl End {
    fn begin(&mut self, call: CallId) {
        self.call = Some(call);
        self.is_live = true;
    }

    fn leave(&mut self, now: Instant) {
        let asked = self.phone.act(now, |agent| agent.deregister(now));
        self.registration = match asked {
            Ok(()) => Registration::Leaving,
            Err(_) => Registration::None,
        };
    }

    /// Expects no answer to its REGISTER any more.
    fn stop_waiting(&mut self) {
        if self.registration == Registration::Asked {
            self.registration = Registration::None;
        }
    }

    fn is_call(&self, call: CallId) -> bool {
        self.call == Some(call)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use base::TimerQueue;
    use load::ua::{Secret, Step};
    use sip::{HeaderName, Message, Method, Transport};

    const UDP: Socket = Socket::Sip(Transport::Udp);
    const DELAY: Duration = Duration::from_millis(5);
    const TALK: Duration = Duration::from_secs(3);

    fn proxy() -> SocketAddr {
        SocketAddr::from(([192, 0, 2, 9], 5060))
    }

    fn local(side: Side) -> SocketAddr {
        SocketAddr::from(([192, 0, 2, 1 + side.index() as u8], 5060))
    }

    /// What the network does with a SIP message.
    enum Fate {
        /// Takes it to the other side.
        Pass,
        /// Loses it.
        Lose,
        /// Answers it with this status, if it is a request.
        Answer(u16),
    }

    /// Judges a message and who sent it.
    type Judge = fn(Side, &Message) -> Fate;

    /// A network of one proxy that registers everybody and does what it is told with the rest.
    struct Network {
        now: Instant,
        conversation: Conversation,
        wires: TimerQueue<(Side, Socket, SocketAddr, Vec<u8>)>,
        judge: Judge,
        /// Loses every packet of RTP of this index.
        lost_rtp: Option<u64>,
        rtp_count: u64,
    }

    impl Network {
        fn new(judge: Judge, incoming: &[Step]) -> Self {
            let now = Instant::from_secs(1_700_000_000);
            let configs = Side::BOTH.map(|side| {
                let identity = format!("{}@ims.test", side.name());
                let secret = Secret::Password("secret".into());
                let mut config = Config::new(&identity, secret, local(side), proxy());
                config.policy.incoming = incoming.to_vec();
                config.media_ports = 4_000..=4_001;
                config
            });
            let mut entropy = Entropy::from_u64(7);
            Self {
                now,
                conversation: Conversation::start(now, configs, TALK, &mut entropy),
                wires: TimerQueue::new(),
                judge,
                lost_rtp: None,
                rtp_count: 0,
            }
        }

        /// Goes on until the conversation is over, and says how long that took.
        fn run(&mut self) -> Duration {
            let start = self.now;
            for _ in 0..100_000 {
                while let Some(transmit) = self.conversation.poll_output() {
                    self.carry(transmit);
                }
                let Some(next) = self.conversation.next_timeout() else {
                    return self.now.since(start);
                };
                self.now = self.now.max(match self.wires.next_timeout() {
                    Some(wire) => wire.min(next),
                    None => next,
                });
                match self.wires.pop_due(self.now) {
                    Some((side, port, from, bytes)) => {
                        self.conversation
                            .handle_input(self.now, side.index(), port, from, &bytes)
                    }
                    None => self.conversation.handle_timeout(self.now),
                }
            }
            panic!("it does not end");
        }

        fn carry(&mut self, transmit: Transmit) {
            let Transmit {
                place, from, bytes, ..
            } = transmit;
            let side = Side::BOTH[place];
            if from == UDP {
                return self.route(side, bytes);
            }
            if from == Socket::Rtp {
                self.rtp_count += 1;
                if self.lost_rtp == Some(self.rtp_count) {
                    return;
                }
            }
            let sender = SocketAddr::new(local(side).ip(), 4_000);
            self.deliver(side.other(), from, sender, bytes);
        }

        fn route(&mut self, side: Side, bytes: Vec<u8>) {
            let message = Message::parse(bytes.clone()).expect("a message");
            let fate = match (self.judge)(side, &message) {
                Fate::Pass if message.is_method(&Method::Register) => Fate::Answer(200),
                fate => fate,
            };
            match fate {
                Fate::Pass => self.deliver(side.other(), UDP, proxy(), bytes),
                Fate::Answer(status) if message.is_request() => {
                    let mut draft = message.response(status, "");
                    draft.to_tag("proxy").copy(HeaderName::Contact);
                    let answer = draft.finish().expect("a response");
                    let bytes = answer.as_bytes().to_vec();
                    self.deliver(side, UDP, proxy(), bytes);
                }
                Fate::Answer(_) | Fate::Lose => {}
            }
        }

        fn deliver(&mut self, to: Side, port: Socket, from: SocketAddr, bytes: Vec<u8>) {
            self.wires.set(self.now + DELAY, (to, port, from, bytes));
        }

        fn failure(self) -> String {
            match self.conversation.outcome() {
                Ok(summary) => panic!("a call: {}", summary.text()),
                Err(failure) => failure.to_string(),
            }
        }
    }

    fn pass(_: Side, _: &Message) -> Fate {
        Fate::Pass
    }

    const ANSWER: [Step; 2] = [Step::Ring, Step::Answer];

    #[test]
    fn a_call_through_a_clean_network_is_good() {
        let mut network = Network::new(pass, &ANSWER);
        let took = network.run();
        let summary = network.conversation.outcome().expect("a call");
        assert!(summary.is_good(), "{}", summary.text());
        assert!(took < TALK + Duration::from_secs(1), "{took:?}");
        for direction in &summary.directions {
            assert_eq!(direction.sent, 151);
            assert!(direction.heard.likeness.is_some_and(|like| like > 0.98));
        }
        let SetUp {
            ringing,
            answered,
            first_rtp,
            ..
        } = summary.set_up;
        assert_eq!(ringing, Some(2 * DELAY));
        assert_eq!(answered, Some(2 * DELAY));
        assert_eq!(first_rtp, [Some(4 * DELAY), Some(3 * DELAY)]);
    }

    #[test]
    fn a_lost_packet_makes_it_bad_wherever_it_was() {
        for index in [1, 150, 302] {
            let mut network = Network::new(pass, &ANSWER);
            network.lost_rtp = Some(index);
            network.run();
            let summary = network.conversation.outcome().expect("a call");
            let faults = summary.faults();
            assert!(
                faults
                    .iter()
                    .any(|fault| fault.contains("1 of 151 packets")),
                "packet {index}: {faults:?}"
            );
        }
    }

    #[test]
    fn a_refused_registration_ends_in_order_and_says_why() {
        let judge: Judge = |side, message| match side {
            Side::Callee if message.is_method(&Method::Register) => Fate::Answer(403),
            _ => Fate::Pass,
        };
        let mut network = Network::new(judge, &ANSWER);
        assert!(network.run() < Duration::from_secs(1));
        let text = network.failure();
        assert!(text.contains("sip:callee@ims.test"), "{text}");
        assert!(text.contains("403"), "{text}");
    }

    #[test]
    fn a_proxy_that_is_silent_is_given_up() {
        let mut network = Network::new(|_, _| Fate::Lose, &ANSWER);
        assert_eq!(network.run(), REGISTER_LIMIT);
        assert!(network.failure().contains("no final answer within 10 s"));
    }

    #[test]
    fn a_proxy_that_is_not_there_is_told_at_once() {
        let mut network = Network::new(|_, _| Fate::Lose, &ANSWER);
        for side in Side::BOTH {
            let now = network.now;
            network
                .conversation
                .handle_unreachable(now, side.index(), proxy());
        }
        assert_eq!(network.run(), Duration::ZERO);
        assert!(network.failure().contains("no P-CSCF at 192.0.2.9:5060"));
    }

    #[test]
    fn a_call_that_is_refused_says_so() {
        for (status, words) in [
            (503, "media gateway"),
            (480, "not registered"),
            (404, "know"),
        ] {
            let mut network = Network::new(pass, &[Step::Reject(status)]);
            assert!(network.run() < Duration::from_secs(1));
            let text = network.failure();
            assert!(
                text.contains(&status.to_string()) && text.contains(words),
                "{text}"
            );
        }
    }

    #[test]
    fn a_call_that_nobody_answers_is_cancelled() {
        let mut network = Network::new(pass, &[Step::Ring]);
        let took = network.run();
        assert!(took >= ANSWER_LIMIT && took < ANSWER_LIMIT + Duration::from_secs(1));
        assert!(network.failure().contains("reached the callee"));
    }

    #[test]
    fn an_invite_that_is_lost_is_given_up() {
        let judge: Judge = |_, message| match message.is_method(&Method::Invite) {
            true => Fate::Lose,
            false => Fate::Pass,
        };
        let mut network = Network::new(judge, &ANSWER);
        let took = network.run();
        assert!(took <= ANSWER_LIMIT + 2 * FAREWELL_LIMIT, "{took:?}");
        assert!(network.failure().contains("did not reach the callee"));
    }

    #[test]
    fn a_bye_that_nobody_answers_makes_the_call_bad() {
        let judge: Judge = |_, message| match message.is_method(&Method::Bye) {
            true => Fate::Lose,
            false => Fate::Pass,
        };
        let mut network = Network::new(judge, &ANSWER);
        let took = network.run();
        assert!(took < TALK + 2 * FAREWELL_LIMIT, "{took:?}");
        let summary = network.conversation.outcome().expect("a call");
        assert!(summary.faults().iter().any(|fault| fault.contains("BYE")));
    }

    #[test]
    fn a_call_that_is_stopped_is_hung_up() {
        let mut network = Network::new(pass, &ANSWER);
        let stop = network.now + Duration::from_secs(1);
        while network.now < stop {
            while let Some(transmit) = network.conversation.poll_output() {
                network.carry(transmit);
            }
            network.now += Duration::from_millis(1);
            while let Some((side, port, from, bytes)) = network.wires.pop_due(network.now) {
                let now = network.now;
                network
                    .conversation
                    .handle_input(now, side.index(), port, from, &bytes);
            }
            network.conversation.handle_timeout(network.now);
        }
        let why = Failure::new("enough");
        network.conversation.stop(network.now, why);
        assert!(network.run() < Duration::from_millis(100));
        assert_eq!(network.failure(), "enough");
    }
}
