//! Whole calls between two user agents made of this crate's engines, over a bad network, on virtual
//! time: a digest challenge, a reliable 183 with PRACK, a 2xx repeated until its ACK, a session
//! refreshed by UPDATE, BYE.

use std::cmp::Reverse;
use std::collections::BinaryHeap;
use std::time::Duration;

use base::{Entropy, Instant};
use sip::dialog::{
    Acknowledgement, Dialog, DialogState, Due, Provisionals, ReliableOrder, Retransmission,
    RseqWatch,
};
use sip::digest::{self, Algorithm, Challenge, Client, Credentials, NonceAge, NonceCounts, Qop};
use sip::session_timer::{Answer, Caller, Policy, SessionEvent, SessionTimer};
use sip::transaction::{Config, Layer, Output, Received, ServerId, Timers};
use sip::{Draft, HeaderName, Message, Method, Refresher, Transport};

const PASSWORD: digest::Secret<'static> = digest::Secret::Password(b"secret");
const SESSION: Policy = Policy {
    interval: 90,
    min_se: 90,
    refresher: Refresher::Uac,
};
/// The caller hangs up after this many refreshes.
const REFRESHES: u32 = 2;

/// What both ends have.
struct Ua {
    layer: Layer<Transport, ()>,
    entropy: Entropy,
    dialog: Option<Dialog>,
    timer: Option<SessionTimer>,
    refreshes: u32,
    log: Vec<String>,
}

impl Ua {
    fn new(seed: u64) -> Self {
        let mut entropy = Entropy::from_u64(seed);
        Self {
            layer: Layer::new(Config::default(), &mut entropy),
            entropy,
            dialog: None,
            timer: None,
            refreshes: 0,
            log: Vec::new(),
        }
    }

    /// Puts Via on top: every request has its own branch.
    fn finish(&mut self, draft: &mut Draft) -> Message {
        let branch = self.entropy.token_string();
        let via = format!("SIP/2.0/UDP ua.test;branch=z9hG4bK{branch}");
        draft.push_front(HeaderName::Via, &via).finish().unwrap()
    }

    fn send(&mut self, now: Instant, draft: &mut Draft) {
        let request = self.finish(draft);
        self.layer
            .send_request(now, Transport::Udp, request, ())
            .unwrap();
    }

    fn respond(&mut self, now: Instant, server: ServerId, draft: &mut Draft) {
        self.layer
            .respond(now, server, draft.finish().unwrap())
            .unwrap();
    }

    fn bye(&mut self, now: Instant) {
        if let Some(mut dialog) = self.dialog.take() {
            self.timer = None;
            self.log.push("BYE sent".to_owned());
            self.send(now, &mut dialog.request(&Method::Bye));
        }
    }
}

/// Due, sequence, to the callee?, bytes.
type Datagram = (Instant, u64, bool, Vec<u8>);

struct World {
    seed: u64,
    loss: u64,
    now: Instant,
    entropy: Entropy,
    sequence: u64,
    flying: BinaryHeap<Reverse<Datagram>>,
    caller: Ua,
    callee: Ua,
    // The caller's.
    invite: Option<Message>,
    session: Caller,
    rseq: RseqWatch,
    failed: bool,
    // The callee's.
    nonces: digest::NonceMint,
    counts: NonceCounts,
    provisionals: Provisionals,
    incoming: Option<(ServerId, Message)>,
    answer_at: Option<Instant>,
    success: Option<(ServerId, Retransmission)>,
}

impl World {
    fn new(seed: u64, loss: u64) -> Self {
        let mut entropy = Entropy::from_u64(seed);
        Self {
            seed,
            loss,
            now: Instant::from_secs(1),
            sequence: 0,
            flying: BinaryHeap::new(),
            caller: Ua::new(seed + 1000),
            callee: Ua::new(seed + 2000),
            invite: None,
            session: Caller::new(SESSION),
            rseq: RseqWatch::default(),
            failed: false,
            nonces: digest::NonceMint::new(Duration::from_secs(60), &mut entropy),
            counts: NonceCounts::default(),
            provisionals: Provisionals::new(Timers::CORE, &mut entropy),
            incoming: None,
            answer_at: None,
            success: None,
            entropy,
        }
    }

    fn run(&mut self) {
        self.invite(1, None);
        loop {
            self.drain();
            let next = [
                self.caller.layer.next_timeout(),
                self.callee.layer.next_timeout(),
                self.caller.timer.map(|timer| timer.next_timeout()),
                self.callee.timer.map(|timer| timer.next_timeout()),
                self.flying.peek().map(|Reverse((at, ..))| *at),
                self.provisionals.next_timeout(),
                self.success
                    .as_ref()
                    .map(|(_, repeat)| repeat.next_timeout()),
                self.answer_at,
            ];
            let Some(at) = next.into_iter().flatten().min() else {
                return;
            };
            self.now = self.now.max(at);
            assert!(
                self.now < Instant::from_secs(2000),
                "seed {} does not end",
                self.seed
            );
            let due = |at: &Instant| *at <= self.now;
            if let Some(Reverse((_, _, to_callee, bytes))) = self
                .flying
                .peek()
                .filter(|Reverse((at, ..))| due(at))
                .cloned()
            {
                self.flying.pop();
                let message = Message::parse(bytes).unwrap();
                if to_callee {
                    self.callee_receives(message)
                } else {
                    self.caller_receives(message)
                }
                continue;
            }
            self.timeouts();
        }
    }

    fn timeouts(&mut self) {
        let now = self.now;
        self.caller.layer.handle_timeout(now);
        self.callee.layer.handle_timeout(now);
        match self.provisionals.handle_timeout(now) {
            Some(Due::Again(response)) => {
                let (server, _) = self.incoming.as_ref().unwrap();
                self.callee.layer.respond(now, *server, response).unwrap();
            }
            Some(Due::Expired) => self.reject(504),
            None => {}
        }
        if self.answer_at.is_some_and(|at| at <= now) {
            self.answer();
        }
        if let Some((server, repeat)) = &mut self.success {
            match repeat.handle_timeout(now) {
                Some(Due::Again(response)) => {
                    // The last one comes as the transaction's Timer L ends.
                    let _ = self.callee.layer.respond(now, *server, response);
                }
                Some(Due::Expired) => {
                    self.success = None;
                    self.callee.bye(now);
                }
                None => {}
            }
        }
        for ua in [&mut self.caller, &mut self.callee] {
            match ua
                .timer
                .as_mut()
                .and_then(|timer| timer.handle_timeout(now))
            {
                Some(SessionEvent::Refresh) if ua.refreshes == REFRESHES => ua.bye(now),
                Some(SessionEvent::Refresh) => {
                    ua.refreshes += 1;
                    if let Some(mut update) = ua
                        .dialog
                        .as_mut()
                        .map(|dialog| dialog.request(&Method::Update))
                    {
                        self.session.write(&mut update, Some(Refresher::Uac));
                        ua.send(now, &mut update);
                    }
                }
                Some(SessionEvent::Expired) => ua.bye(now),
                None => {}
            }
        }
    }

    fn invite(&mut self, cseq: u32, credentials: Option<Credentials>) {
        let mut draft = Draft::request(&Method::Invite, "sip:bob@b.test");
        draft
            .append(HeaderName::MaxForwards, "70")
            .append(HeaderName::From, "<sip:alice@a.test>;tag=a")
            .append(HeaderName::To, "<sip:bob@b.test>")
            .append(HeaderName::CallId, "call@a.test")
            .append(HeaderName::CSeq, &format!("{cseq} INVITE"))
            .append(HeaderName::Contact, "<sip:alice@192.0.2.1>")
            .append(HeaderName::Supported, "100rel");
        self.session.write(&mut draft, None);
        if let Some(credentials) = credentials {
            draft.append(HeaderName::Authorization, &credentials.to_string());
        }
        let invite = self.caller.finish(&mut draft);
        self.invite = Some(invite.clone());
        self.caller
            .layer
            .send_request(self.now, Transport::Udp, invite, ())
            .unwrap();
    }

    fn caller_receives(&mut self, message: Message) {
        let now = self.now;
        match self
            .caller
            .layer
            .handle_message(now, Transport::Udp, message)
        {
            Received::Response { message, .. } => self.caller_response(&message),
            Received::Request { server, message } => {
                assert!(message.is_method(&Method::Bye), "seed {}", self.seed);
                let status = if self.caller.dialog.take().is_some() {
                    200
                } else {
                    481
                };
                self.caller.timer = None;
                self.caller
                    .respond(now, server, &mut message.response(status, ""));
            }
            Received::Absorbed | Received::StrayResponse { .. } => {}
            other => panic!("seed {}: {other:?}", self.seed),
        }
    }

    fn caller_response(&mut self, response: &Message) {
        let now = self.now;
        let cseq = response.cseq().unwrap();
        let status = response.status().unwrap();
        match (&cseq.method, status) {
            (_, 100) => {}
            (Method::Invite, 401) => {
                let value = response.header(HeaderName::WwwAuthenticate).unwrap();
                let challenge = Challenge::parse(value.as_bytes()).unwrap();
                let mut client = Client::new("alice", challenge);
                let request = digest::Request {
                    method: "INVITE",
                    uri: "sip:bob@b.test",
                    body: b"",
                };
                let credentials = client.answer(PASSWORD, request, &mut self.caller.entropy);
                self.invite(cseq.number + 1, Some(credentials));
            }
            (Method::Invite, 101..200) => {
                let rseq = response.rseq().unwrap().unwrap();
                if self.rseq.receive(rseq) == ReliableOrder::Next {
                    let invite = self.invite.as_ref().unwrap();
                    let mut dialog = Dialog::as_uac(invite, response).unwrap();
                    let mut prack = dialog.prack(response).unwrap();
                    self.caller.dialog = Some(dialog);
                    self.caller.log.push("PRACK sent".to_owned());
                    self.caller.send(now, &mut prack);
                }
            }
            (Method::Invite, 200) => self.caller_success(response),
            (Method::Update, 200) => {
                let agreed = self.session.handle_success(response).unwrap().unwrap();
                let role = Some(Refresher::Uac);
                if self.caller.dialog.is_some() {
                    self.caller.log.push("refreshed".to_owned());
                    self.caller.timer = Some(SessionTimer::new(now, agreed, role));
                }
            }
            (Method::Invite | Method::Update, 300..) => {
                self.failed = true;
                self.caller.dialog = None;
                self.caller.timer = None;
            }
            _ => {}
        }
    }

    /// Every 2xx is acknowledged, also a repeated one (RFC 3261 13.2.2.4).
    fn caller_success(&mut self, response: &Message) {
        let invite = self.invite.clone().unwrap();
        let fresh = self
            .caller
            .dialog
            .as_ref()
            .is_some_and(|d| d.state == DialogState::Early);
        if let Some(dialog) = self.caller.dialog.as_mut().filter(|_| fresh) {
            dialog.confirm(response).unwrap();
            let agreed = self.session.handle_success(response).unwrap().unwrap();
            self.caller.timer = Some(SessionTimer::new(self.now, agreed, Some(Refresher::Uac)));
            self.caller.log.push("answered".to_owned());
        }
        let dialog = Dialog::as_uac(&invite, response).unwrap();
        let mut ack = dialog.ack(&invite).unwrap();
        let ack = self.caller.finish(&mut ack);
        self.caller.layer.send_stateless(Transport::Udp, ack);
    }

    fn callee_receives(&mut self, message: Message) {
        let now = self.now;
        match self
            .callee
            .layer
            .handle_message(now, Transport::Udp, message)
        {
            Received::Request { server, message } => match message.method().unwrap() {
                Method::Invite => self.callee_invite(server, &message),
                method => {
                    let known = self.callee.dialog.as_mut();
                    let fits = known.is_some_and(|d| d.receive_request(&message).is_ok());
                    let mut response = message.response(if fits { 200 } else { 481 }, "");
                    match method {
                        Method::Prack if fits => self.callee_prack(&message),
                        Method::Update if fits => {
                            let answer = Answer::to(&SESSION, &message).unwrap();
                            answer.write(&mut response);
                            let timer =
                                SessionTimer::new(now, answer.expires, Some(Refresher::Uas));
                            self.callee.timer = Some(timer);
                        }
                        Method::Bye if fits => {
                            self.callee.log.push("BYE received".to_owned());
                            self.callee.dialog = None;
                            self.callee.timer = None;
                            self.success = None;
                        }
                        _ => {}
                    }
                    self.callee.respond(now, server, &mut response);
                }
            },
            Received::Ack { .. } => {
                if self.success.take().is_some() {
                    self.callee.log.push("ACK received".to_owned());
                }
            }
            Received::Absorbed | Received::Response { .. } | Received::StrayResponse { .. } => {}
            other => panic!("seed {}: {other:?}", self.seed),
        }
    }

    fn callee_invite(&mut self, server: ServerId, invite: &Message) {
        let now = self.now;
        let Some(value) = invite.header(HeaderName::Authorization) else {
            let nonce = self.nonces.mint(now, &mut self.callee.entropy);
            let challenge = Challenge::new("b.test", &nonce, Algorithm::Md5, &[Qop::Auth]);
            let mut response = invite.response(401, "");
            let value = challenge.to_string();
            response
                .to_tag("x")
                .append(HeaderName::WwwAuthenticate, &value);
            return self.callee.respond(now, server, &mut response);
        };
        let credentials = Credentials::parse(value.as_bytes()).unwrap();
        let request = digest::Request {
            method: "INVITE",
            uri: invite.request_uri(),
            body: b"",
        };
        assert_eq!(self.nonces.age(now, &credentials.nonce), NonceAge::Fresh);
        assert!(credentials.verify(PASSWORD, request));
        let count = credentials.protection.as_ref().unwrap().nonce_count;
        assert!(self.counts.accept(count));

        let mut progress = invite.response(183, "");
        progress
            .to_tag("b")
            .append(HeaderName::Contact, "<sip:bob@192.0.2.2>");
        let progress = self.provisionals.send(now, progress).unwrap().unwrap();
        self.callee.dialog = Some(Dialog::as_uas(invite, &progress).unwrap());
        self.incoming = Some((server, invite.clone()));
        self.callee.layer.respond(now, server, progress).unwrap();
    }

    fn callee_prack(&mut self, prack: &Message) {
        let rack = prack.rack().unwrap().unwrap();
        let meaning = self.provisionals.handle_prack(self.now, &rack).unwrap();
        assert!(
            matches!(meaning, Acknowledgement::Accepted(None)),
            "seed {}",
            self.seed
        );
        self.callee.log.push("PRACK received".to_owned());
        self.answer_at = Some(self.now + Duration::from_millis(self.entropy.below(5000)));
    }

    fn answer(&mut self) {
        self.answer_at = None;
        let (server, invite) = self.incoming.take().unwrap();
        let agreed = Answer::to(&SESSION, &invite).unwrap();
        let mut draft = invite.response(200, "");
        draft
            .to_tag("b")
            .append(HeaderName::Contact, "<sip:bob@192.0.2.2>");
        agreed.write(&mut draft);
        let response = draft.finish().unwrap();
        self.callee.dialog.as_mut().unwrap().state = DialogState::Confirmed;
        self.callee.timer = Some(SessionTimer::new(
            self.now,
            agreed.expires,
            Some(Refresher::Uas),
        ));
        let repeat = Retransmission::of_success(self.now, Timers::CORE, response.clone());
        self.success = Some((server, repeat));
        self.callee
            .layer
            .respond(self.now, server, response)
            .unwrap();
    }

    fn reject(&mut self, status: u16) {
        let (server, invite) = self.incoming.take().unwrap();
        self.callee.dialog = None;
        self.callee
            .respond(self.now, server, invite.response(status, "").to_tag("b"));
    }

    fn drain(&mut self) {
        for to_callee in [true, false] {
            loop {
                let ua = if to_callee {
                    &mut self.caller
                } else {
                    &mut self.callee
                };
                let Some(output) = ua.layer.poll_output() else {
                    break;
                };
                match output {
                    Output::Transmit { message, .. } => self.transmit(to_callee, &message),
                    Output::ClientTimeout { .. } => {
                        ua.dialog = None;
                        ua.timer = None;
                        self.failed = true;
                    }
                    _ => {}
                }
            }
        }
    }

    fn transmit(&mut self, to_callee: bool, message: &Message) {
        for _ in 0..=u64::from(self.entropy.chance(100)) {
            if !self.entropy.chance(self.loss) {
                self.sequence += 1;
                let at = self.now + Duration::from_millis(1 + self.entropy.below(300));
                let bytes = message.as_bytes().to_vec();
                self.flying
                    .push(Reverse((at, self.sequence, to_callee, bytes)));
            }
        }
    }

    fn check_nothing_is_left(&self) {
        for ua in [&self.caller, &self.callee] {
            assert!(
                ua.dialog.is_none() && ua.timer.is_none(),
                "seed {}",
                self.seed
            );
            let left = (
                ua.layer.clients_len(),
                ua.layer.servers_len(),
                ua.layer.timers_len(),
            );
            assert_eq!(left, (0, 0, 0), "seed {}", self.seed);
        }
    }
}

#[test]
fn calls_are_set_up_refreshed_and_ended_with_ten_percent_loss() {
    for (loss, seeds) in [(0, 3), (100, 20)] {
        for seed in 0..seeds {
            let mut world = World::new(seed, loss);
            world.run();
            world.check_nothing_is_left();
            assert!(!world.failed, "seed {seed}, loss {loss}");
            assert_eq!(
                world.caller.log,
                [
                    "PRACK sent",
                    "answered",
                    "refreshed",
                    "refreshed",
                    "BYE sent"
                ],
                "seed {seed}, loss {loss}"
            );
            assert!(
                world.callee.log.starts_with(&["PRACK received".to_owned()])
                    && world.callee.log.ends_with(&["BYE received".to_owned()]),
                "seed {seed}, loss {loss}: {:?}",
                world.callee.log
            );
        }
    }
}

#[test]
fn calls_that_half_of_all_datagrams_miss_leave_nothing_behind() {
    let mut good = 0;
    for seed in 0..40 {
        let mut world = World::new(seed, 500);
        world.run();
        world.check_nothing_is_left();
        good += u32::from(!world.failed);
    }
    assert!(good > 0);
}
