//! Diameter sides over a byte pipe on virtual time.

use std::collections::BTreeMap;

use diameter::cx::{
    DeregistrationReason, Lir, Mar, Ppr, ReasonCode, Rtr, Sar, ServerAssignmentType,
    SipAuthDataItem, Uar,
};
use diameter::dictionary::base as common;
use diameter::endpoint::State;

use super::*;
use crate::config::ControlFile;

const IMPI: &str = "alice@ims.test";
const IMPU: &str = "sip:alice@ims.test";
const SCSCF: &str = "sip:scscf@127.0.0.2:5060";

fn secs(secs: u64) -> Duration {
    Duration::from_secs(secs)
}

fn side(file: &str, seed: u64) -> DiameterSide {
    let config = ControlFile::parse(file).and_then(ControlFile::validate);
    let now = Instant::from_secs(1_700_000_000);
    DiameterSide::new(&config.unwrap(), now, Entropy::from_u64(seed)).unwrap()
}

fn cscf() -> DiameterSide {
    cscf_at("127.0.0.2:5060")
}

/// An I- and S-CSCF whose HSS is elsewhere.
fn cscf_at(sip: &str) -> DiameterSide {
    let file =
        format!("roles = [\"icscf\", \"scscf\"]\nhss = \"127.0.0.3:3868\"\nsip = [\"{sip}\"]");
    side(&file, 2)
}

fn hss() -> DiameterSide {
    side("roles = [\"hss\"]\ndiameter = \"127.0.0.3:3868\"", 3)
}

fn uar() -> Request {
    Request::UserAuthorization(Uar {
        user_name: IMPI.into(),
        public_identity: IMPU.into(),
        visited_network_identifier: "visited.test".into(),
        ..Uar::default()
    })
}

fn lir() -> Request {
    Request::LocationInfo(Lir {
        public_identity: IMPU.into(),
        ..Lir::default()
    })
}

fn sar() -> Request {
    Request::ServerAssignment(Sar {
        user_name: Some(IMPI.into()),
        public_identities: vec![IMPU.into()],
        wildcarded_public_identity: None,
        server_name: SCSCF.into(),
        server_assignment_type: ServerAssignmentType::Registration,
        user_data_already_available: false,
        scscf_restoration_info: None,
        multiple_registration: false,
        session_priority: None,
        pcscf_restoration: false,
        supported_features: Vec::new(),
    })
}

fn mar() -> Request {
    Request::MultimediaAuth(Mar {
        user_name: IMPI.into(),
        public_identity: IMPU.into(),
        sip_auth_data_item: SipAuthDataItem::default(),
        sip_number_auth_items: 1,
        server_name: SCSCF.into(),
        supported_features: Vec::new(),
    })
}

fn rtr() -> Request {
    Request::RegistrationTermination(Rtr {
        user_name: IMPI.into(),
        associated_identities: Vec::new(),
        public_identities: vec![IMPU.into()],
        deregistration_reason: DeregistrationReason {
            code: ReasonCode::PermanentTermination,
            info: Some("gone".into()),
        },
        supported_features: Vec::new(),
    })
}

fn ppr() -> Request {
    Request::PushProfile(Ppr {
        user_name: IMPI.into(),
        user_data: Some(b"<IMSSubscription/>".to_vec()),
        ..Ppr::default()
    })
}

fn command(from: Role, token: u64, request: Request) -> CxCommand {
    CxCommand {
        from,
        token,
        request,
    }
}

/// What happens on the wire.
enum Arrival {
    Connected(StreamId),
    Bytes(StreamId, Vec<u8>),
    Closed(StreamId),
}

/// The CSCF is side 0, the HSS side 1.
struct Pipe {
    now: Instant,
    sides: [DiameterSide; 2],
    /// Whether the HSS takes connections.
    listens: bool,
    /// The other end of each open stream.
    ends: BTreeMap<(usize, StreamId), StreamId>,
    wire: BTreeMap<(Instant, u64), (usize, Arrival)>,
    sequence: u64,
    accepted: u64,
    connects: usize,
    entropy: Entropy,
    /// Requests that came, with the token to answer under.
    asked: [Vec<(u64, Request)>; 2],
    /// Where the request came from that came last.
    origin: Option<Origin>,
    answers: Vec<(Role, u64, Answer)>,
    hss_answers: Vec<Answer>,
    counted: Vec<Counter>,
}

impl Pipe {
    fn new() -> Self {
        Self {
            now: Instant::from_secs(1_700_000_000),
            sides: [cscf(), hss()],
            listens: true,
            ends: BTreeMap::new(),
            wire: BTreeMap::new(),
            sequence: 0,
            accepted: 0,
            connects: 0,
            entropy: Entropy::from_u64(5),
            asked: Default::default(),
            origin: None,
            answers: Vec::new(),
            hss_answers: Vec::new(),
            counted: Vec::new(),
        }
    }

    /// Both have exchanged capabilities.
    fn up() -> Self {
        let mut pipe = Self::new();
        pipe.run(secs(1));
        assert_eq!(pipe.states(), ["IOpen", "ROpen"]);
        pipe
    }

    fn states(&self) -> Vec<String> {
        let peers = self.sides.iter().flat_map(DiameterSide::peers);
        peers.map(|peer| peer.state).collect()
    }

    fn ask(&mut self, token: u64, request: Request) {
        let command = command(Role::Icscf, token, request);
        self.sides[0].send(self.now, command);
        self.drain();
    }

    fn answer(&mut self, side: usize, token: u64, answer: &Answer) {
        self.sides[side].answer(self.now, token, answer);
        self.drain();
    }

    /// Answers everything that was asked of the HSS.
    fn answer_all(&mut self) {
        for (token, request) in std::mem::take(&mut self.asked[1]) {
            self.answer(1, token, &request.answer(Outcome::SUCCESS));
        }
    }

    /// The connections break.
    fn cut(&mut self) {
        self.wire.clear();
        for (side, stream) in std::mem::take(&mut self.ends).into_keys() {
            self.sides[side].handle_closed(self.now, stream);
        }
        self.drain();
    }

    fn run(&mut self, duration: Duration) {
        let end = self.now + duration;
        loop {
            let wire = self.wire.keys().next().map(|key| key.0);
            let timeouts = self.sides.iter().filter_map(DiameterSide::next_timeout);
            let next = timeouts.chain(wire).min().filter(|&next| next <= end);
            let Some(next) = next else { break };
            self.now = self.now.max(next);
            if wire == Some(next) {
                let (_, (side, arrival)) = self.wire.pop_first().unwrap();
                self.arrive(side, arrival);
            } else {
                let now = self.now;
                self.sides
                    .iter_mut()
                    .for_each(|side| side.handle_timeout(now));
            }
            self.drain();
        }
        self.now = end;
    }

    fn arrive(&mut self, side: usize, arrival: Arrival) {
        let (now, to) = (self.now, &mut self.sides[side]);
        match arrival {
            Arrival::Connected(stream) => to.handle_connected(now, stream),
            Arrival::Bytes(stream, bytes) => {
                // In any portions.
                let mut rest = &bytes[..];
                while !rest.is_empty() {
                    let length = 1 + self.entropy.below(rest.len() as u64) as usize;
                    to.handle_received(now, stream, &rest[..length]);
                    rest = &rest[length..];
                }
            }
            Arrival::Closed(stream) => to.handle_closed(now, stream),
        }
    }

    fn later(&mut self, side: usize, arrival: Arrival) {
        self.sequence += 1;
        let at = (self.now + Duration::from_millis(5), self.sequence);
        self.wire.insert(at, (side, arrival));
    }

    fn drain(&mut self) {
        for side in 0..2 {
            while let Some(event) = self.sides[side].poll_event() {
                match event {
                    CxEvent::Output(output) => self.perform(side, output),
                    CxEvent::Request {
                        token,
                        origin,
                        request,
                    } => {
                        self.asked[side].push((token, *request));
                        self.origin = Some(origin);
                    }
                    CxEvent::Answer {
                        from,
                        token,
                        answer,
                    } => self.answers.push((from, token, *answer)),
                    CxEvent::HssAnswered(answer) => self.hss_answers.push(*answer),
                    CxEvent::Counted(counter) => self.counted.push(counter),
                }
            }
        }
    }

    fn perform(&mut self, side: usize, output: Output) {
        match output {
            Output::Connect { stream, peer, .. } => {
                assert_eq!((side, peer.port()), (0, 3868));
                self.connects += 1;
                if !self.listens {
                    return self.later(0, Arrival::Closed(stream));
                }
                self.accepted += 1;
                let accepted = StreamId::accepted(self.accepted);
                self.ends.insert((0, stream), accepted);
                self.ends.insert((1, accepted), stream);
                self.later(0, Arrival::Connected(stream));
                self.sides[1].handle_accepted(self.now, accepted);
            }
            Output::Send { stream, bytes } => {
                if let Some(&other) = self.ends.get(&(side, stream)) {
                    self.later(1 - side, Arrival::Bytes(other, bytes.as_ref().to_vec()));
                }
            }
            Output::Close(stream) => {
                if let Some(other) = self.ends.remove(&(side, stream)) {
                    self.ends.remove(&(1 - side, other));
                    self.later(1 - side, Arrival::Closed(other));
                }
            }
            other => panic!("{other:?}"),
        }
    }

    /// Nothing is kept of requests that ended and connections that are gone.
    fn assert_nothing_kept(&self) {
        for (side, index) in self.sides.iter().zip(0..) {
            let kept = (side.sent.len(), side.incoming.len());
            assert_eq!(kept, (0, 0), "side {index}");
            assert_eq!(side.streams.len(), side.connections.len());
            let open = self.ends.keys().filter(|(of, _)| *of == index).count();
            assert_eq!(side.streams.len(), open, "side {index}");
        }
    }
}

#[test]
fn every_question_of_a_cscf_reaches_the_hss_and_its_answer_who_asked() {
    let mut pipe = Pipe::up();
    let requests = [uar(), sar(), lir(), mar()];
    for (token, request) in (0..).zip(&requests) {
        let from = [Role::Icscf, Role::Scscf][token as usize % 2];
        pipe.sides[0].send(pipe.now, command(from, token, request.clone()));
    }
    pipe.drain();
    pipe.run(secs(1));
    let asked: Vec<_> = pipe.asked[1]
        .iter()
        .map(|(_, request)| request.clone())
        .collect();
    assert_eq!(asked, requests);
    let origin = pipe.origin.clone().unwrap();
    assert_eq!(
        (&*origin.host, &*origin.realm),
        ("icscf-127-0-0-2-5060.ims.test", "ims.test")
    );
    // In another order than they were asked.
    for (token, request) in std::mem::take(&mut pipe.asked[1]).into_iter().rev() {
        pipe.answer(1, token, &request.answer(Outcome::UserUnknown));
        // Once is enough.
        pipe.answer(1, token, &request.answer(Outcome::SUCCESS));
    }
    pipe.run(secs(1));
    pipe.answers.sort_by_key(|(_, token, _)| *token);
    let expected: Vec<_> = (0..)
        .zip(&requests)
        .map(|(token, request)| {
            let from = [Role::Icscf, Role::Scscf][token as usize % 2];
            (from, token, request.answer(Outcome::UserUnknown))
        })
        .collect();
    assert_eq!(pipe.answers, expected);
    pipe.assert_nothing_kept();
    assert_eq!(pipe.counted, []);
}

#[test]
fn the_hss_asks_the_scscf_by_name() {
    let mut pipe = Pipe::up();
    let scscf = Origin {
        host: "icscf-127-0-0-2-5060.ims.test".into(),
        realm: "ims.test".into(),
    };
    for request in [rtr(), ppr()] {
        pipe.sides[1].send_to(pipe.now, &scscf, request.clone());
        pipe.drain();
        pipe.run(secs(1));
        let (token, asked) = pipe.asked[0].pop().unwrap();
        assert_eq!(asked, request);
        assert_eq!(pipe.origin.as_ref().unwrap().host, "hss.ims.test");
        pipe.answer(0, token, &request.answer(Outcome::SUCCESS));
        pipe.run(secs(1));
        assert_eq!(
            pipe.hss_answers.pop(),
            Some(request.answer(Outcome::SUCCESS))
        );
    }
    // One that is not there: whoever of its realm is asked instead refuses.
    let nobody = Origin {
        host: "scscf9.ims.test".into(),
        ..scscf
    };
    pipe.sides[1].send_to(pipe.now, &nobody, rtr());
    pipe.drain();
    pipe.run(secs(1));
    assert_eq!(
        pipe.hss_answers.pop(),
        Some(rtr().answer(Outcome::UNABLE_TO_DELIVER))
    );
    pipe.assert_nothing_kept();
}

#[test]
fn without_connection_a_question_fails_at_once() {
    let mut pipe = Pipe::new();
    pipe.ask(7, lir());
    let failed = lir().answer(Outcome::UNABLE_TO_DELIVER);
    assert_eq!(pipe.answers, [(Role::Icscf, 7, failed)]);
    pipe.assert_nothing_kept();
}

#[test]
fn a_refused_connection_is_tried_again_until_there_is_one() {
    let mut pipe = Pipe::new();
    pipe.listens = false;
    pipe.run(secs(10));
    assert!((8..=11).contains(&pipe.connects), "{}", pipe.connects);
    assert_eq!(pipe.states(), ["Closed"]);
    pipe.listens = true;
    pipe.run(secs(2));
    assert_eq!(pipe.states(), ["IOpen", "ROpen"]);
    let connects = pipe.connects;
    pipe.run(secs(300));
    assert_eq!(pipe.connects, connects);
    pipe.assert_nothing_kept();
}

#[test]
fn a_question_that_is_not_answered_fails_in_time() {
    let mut pipe = Pipe::up();
    pipe.ask(1, uar());
    pipe.run(Duration::from_millis(9_900));
    assert_eq!(pipe.answers, []);
    pipe.run(secs(1));
    let failed = uar().answer(Outcome::UNABLE_TO_DELIVER);
    assert_eq!(pipe.answers, [(Role::Icscf, 1, failed)]);
    assert_eq!(pipe.counted, [Counter::DiameterTimeout]);
    // Too late.
    pipe.answer_all();
    pipe.run(secs(1));
    assert_eq!(pipe.answers.len(), 1);
    pipe.assert_nothing_kept();
    assert_eq!(pipe.states(), ["IOpen", "ROpen"]);
}

#[test]
fn a_connection_lost_fails_what_waits_and_is_made_again() {
    let mut pipe = Pipe::up();
    pipe.ask(1, uar());
    pipe.ask(2, lir());
    pipe.run(secs(1));
    pipe.cut();
    let tokens: Vec<_> = pipe
        .answers
        .drain(..)
        .map(|(_, token, answer)| {
            assert_eq!(answer.outcome(), Outcome::UNABLE_TO_DELIVER);
            token
        })
        .collect();
    assert_eq!(tokens, [1, 2]);
    assert_eq!(
        pipe.sides[0].endpoint.peer(PeerId(0)).unwrap().state,
        State::Closed
    );
    // What the HSS answers now goes nowhere.
    pipe.answer_all();
    pipe.run(secs(3));
    assert_eq!(pipe.states()[0], "IOpen");
    pipe.ask(3, lir());
    pipe.run(secs(1));
    pipe.answer_all();
    pipe.run(secs(1));
    assert_eq!(
        pipe.answers,
        [(Role::Icscf, 3, lir().answer(Outcome::SUCCESS))]
    );
    pipe.assert_nothing_kept();
}

#[test]
fn a_peer_that_says_nothing_is_given_up_by_the_watchdog() {
    let mut pipe = Pipe::up();
    let connects = pipe.connects;
    // The connection stays and carries nothing any more.
    for _ in 0..100 {
        pipe.wire.clear();
        let next = pipe.sides[0].next_timeout().unwrap();
        let now = next.max(pipe.now);
        pipe.now = now;
        pipe.sides[0].handle_timeout(now);
        pipe.drain();
        if pipe.connects > connects {
            break;
        }
    }
    assert_eq!(pipe.connects, connects + 1);
    assert!(pipe.now - Instant::from_secs(1_700_000_000) < secs(120));
}

#[test]
fn a_question_for_somebody_else_is_unsupported() {
    let mut pipe = Pipe::up();
    let scscf = Origin {
        host: "icscf-127-0-0-2-5060.ims.test".into(),
        realm: "ims.test".into(),
    };
    let unsupported = Outcome::Base(ResultCode::COMMAND_UNSUPPORTED);
    for request in [uar(), sar(), lir(), mar()] {
        pipe.sides[1].send_to(pipe.now, &scscf, request);
        pipe.drain();
        pipe.run(secs(1));
        assert_eq!(pipe.hss_answers.pop().unwrap().outcome(), unsupported);
    }
    let hss = Origin {
        host: "hss.ims.test".into(),
        realm: "ims.test".into(),
    };
    for request in [rtr(), ppr()] {
        pipe.sides[0].send_to(pipe.now, &hss, request);
        pipe.drain();
        pipe.run(secs(1));
        assert_eq!(pipe.hss_answers.pop().unwrap().outcome(), unsupported);
    }
    assert!(pipe.asked.iter().all(Vec::is_empty));
    pipe.assert_nothing_kept();
}

#[test]
fn an_icscf_is_asked_nothing() {
    let file =
        "roles = [\"icscf\"]\nscscf = [\"sip:scscf@127.0.0.2:5060\"]\nhss = \"127.0.0.3:3868\"";
    assert_eq!(side(file, 1).asked_as, AskedAs::Nobody);
    assert_eq!(
        (cscf().asked_as, hss().asked_as),
        (AskedAs::Scscf, AskedAs::Hss)
    );
    for request in [uar(), sar(), lir(), mar(), rtr(), ppr()] {
        assert!(!AskedAs::Nobody.answers(&request));
        assert!(AskedAs::Hss.answers(&request) != AskedAs::Scscf.answers(&request));
    }
}

#[test]
fn who_needs_no_diameter_has_none() {
    for file in [
        "",
        "roles = [\"hss\"]",
        "roles = [\"pcscf\"]\nicscf = \"127.0.0.1:5070\"",
    ] {
        let config = ControlFile::parse(file)
            .and_then(ControlFile::validate)
            .unwrap();
        assert!(DiameterSide::new(&config, Instant::ZERO, Entropy::from_u64(1)).is_none());
    }
}

#[test]
fn more_questions_than_can_wait_are_refused() {
    let mut pipe = Pipe::up();
    pipe.sides[1].incoming_max = 3;
    for token in 0..5 {
        pipe.ask(token, lir());
    }
    pipe.run(secs(1));
    assert_eq!(pipe.asked[1].len(), 3);
    let busy = Outcome::Base(ResultCode::TOO_BUSY);
    let refused: Vec<_> = pipe
        .answers
        .drain(..)
        .map(|(_, token, answer)| (token, answer.outcome()))
        .collect();
    assert_eq!(refused, [(3, busy), (4, busy)]);
    assert_eq!(pipe.counted, [Counter::DiameterRefusedFull; 2]);
    pipe.answer_all();
    pipe.run(secs(1));
    assert_eq!(pipe.answers.len(), 3);
    pipe.ask(9, lir());
    pipe.run(secs(1));
    assert_eq!(pipe.asked[1].len(), 1);
    pipe.answer_all();
    pipe.run(secs(1));
    pipe.assert_nothing_kept();
}

#[test]
fn more_guests_than_allowed_are_turned_away() {
    let mut hss = hss();
    let now = Instant::from_secs(1_700_000_000);
    let mut turned_away = Vec::new();
    for number in 0..GUESTS_MAX + 2 {
        // Connections one by one: strangers have a limit of their own.
        let mut guest = cscf_at(&format!("127.0.{}.{}:5060", number / 256, number % 256));
        let stream = StreamId::accepted(number as u64 + 1);
        guest.handle_timeout(now);
        let Some(CxEvent::Output(Output::Connect { stream: own, .. })) = guest.poll_event() else {
            panic!("no connection")
        };
        guest.handle_connected(now, own);
        hss.handle_accepted(now, stream);
        let Some(CxEvent::Output(Output::Send { bytes, .. })) = guest.poll_event() else {
            panic!("no CER")
        };
        hss.handle_received(now, stream, bytes.as_ref());
        let Some(CxEvent::Output(Output::Send { bytes, .. })) = hss.poll_event() else {
            panic!("no CEA")
        };
        guest.handle_received(now, own, bytes.as_ref());
        let after: Vec<CxEvent> = std::iter::from_fn(|| hss.poll_event()).collect();
        let has = |what: fn(&CxEvent) -> bool| after.iter().any(what);
        let closed = has(|event| matches!(event, CxEvent::Output(Output::Close(_))));
        let counted = has(|event| matches!(event, CxEvent::Counted(Counter::DiameterRefusedPeer)));
        assert_eq!(counted, closed);
        if closed {
            turned_away.push(number);
        }
        let is_open = guest.peers()[0].state == "IOpen";
        assert_eq!(is_open, !closed, "guest {number}");
    }
    assert_eq!(turned_away, [GUESTS_MAX, GUESTS_MAX + 1]);
    assert_eq!(hss.streams.len(), GUESTS_MAX);
}

#[test]
fn what_is_no_diameter_closes_the_connection_and_is_counted() {
    for garbage in [
        &b"GET / HTTP/1.1\r\nHost: hss\r\n\r\n"[..],
        &[0xff; 64],
        &[1, 0, 0, 3, 0, 0, 0, 0],
    ] {
        let mut pipe = Pipe::up();
        let stream = pipe.ends.keys().find(|(side, _)| *side == 1).unwrap().1;
        pipe.sides[1].handle_received(pipe.now, stream, garbage);
        pipe.drain();
        assert_eq!(pipe.counted, [Counter::DiameterMalformed]);
        pipe.run(secs(3));
        assert_eq!(pipe.states()[0], "IOpen");
        pipe.assert_nothing_kept();
    }
}

/// The value of an AVP in a request as it is on the wire, made another.
fn changed(request: &Request, avp: u32, value: u32) -> Vec<u8> {
    let envelope = Envelope {
        session_id: "a;1;1".into(),
        origin: Origin {
            host: "icscf-127-0-0-2-5060.ims.test".into(),
            realm: "ims.test".into(),
        },
        destination_host: None,
        destination_realm: "ims.test".into(),
    };
    let mut message = request.to_message(&envelope).unwrap();
    let code = avp.to_be_bytes();
    let at = (20..message.len())
        .step_by(4)
        .find(|&at| message[at..at + 4] == code)
        .unwrap();
    // Code, flags and length, vendor, value.
    message[at + 12..at + 16].copy_from_slice(&value.to_be_bytes());
    message
}

#[test]
fn a_value_that_means_nothing_is_refused_with_the_avp() {
    const SERVER_ASSIGNMENT_TYPE: u32 = 614;
    let mut pipe = Pipe::up();
    let message = changed(&sar(), SERVER_ASSIGNMENT_TYPE, 99);
    let stream = pipe.ends.keys().find(|(side, _)| *side == 1).unwrap().1;
    pipe.sides[1].handle_received(pipe.now, stream, &message);
    let mut sent = Vec::new();
    while let Some(event) = pipe.sides[1].poll_event() {
        match event {
            CxEvent::Output(Output::Send { bytes, .. }) => sent.push(bytes.as_ref().to_vec()),
            CxEvent::Counted(counter) => pipe.counted.push(counter),
            other => panic!("{other:?}"),
        }
    }
    assert_eq!(pipe.counted, [Counter::DiameterMalformed]);
    let [answer] = &sent[..] else {
        panic!("{}", sent.len())
    };
    let answer = Message::parse(answer).unwrap();
    let avps: Vec<_> = answer.avps().collect();
    let result = avps
        .iter()
        .find(|avp| avp.code == common::RESULT_CODE.code)
        .unwrap();
    assert_eq!(result.data, 5004_u32.to_be_bytes());
    let failed = avps
        .iter()
        .find(|avp| avp.code == common::FAILED_AVP.code)
        .unwrap();
    assert!(
        failed
            .data
            .windows(4)
            .any(|part| part == SERVER_ASSIGNMENT_TYPE.to_be_bytes())
    );
    pipe.assert_nothing_kept();
}

#[test]
fn every_question_is_answered_once_whatever_the_connection_does() {
    for seed in 0..8 {
        println!("seed {seed}");
        let mut pipe = Pipe::new();
        pipe.entropy = Entropy::from_u64(seed);
        let mut asked = 0;
        for _ in 0..300 {
            match pipe.entropy.below(100) {
                0..50 => {
                    let request = [uar(), sar(), lir(), mar()][asked as usize % 4].clone();
                    pipe.ask(asked, request);
                    asked += 1;
                }
                50..85 => pipe.answer_all(),
                85..88 => pipe.cut(),
                88..91 => pipe.listens = !pipe.listens,
                _ => {
                    let pause = pipe.entropy.below(4000);
                    pipe.run(Duration::from_millis(pause));
                }
            }
            let pause = pipe.entropy.below(20);
            pipe.run(Duration::from_millis(pause));
        }
        pipe.listens = true;
        pipe.answer_all();
        pipe.run(secs(30));
        pipe.answer_all();
        pipe.run(secs(30));
        pipe.answer_all();
        pipe.answers.sort_by_key(|(_, token, _)| *token);
        let tokens: Vec<_> = pipe.answers.iter().map(|(_, token, _)| *token).collect();
        assert_eq!(tokens, (0..asked).collect::<Vec<_>>(), "seed {seed}");
        let answered = pipe
            .answers
            .iter()
            .filter(|(_, _, answer)| answer.outcome() == Outcome::SUCCESS);
        let answered = answered.count();
        assert!(answered > 10, "seed {seed}: {answered} of {asked}");
        pipe.assert_nothing_kept();
        assert_eq!(pipe.states()[0], "IOpen");
    }
}

/// An HSS that is no side of ours: the bare endpoint.
#[test]
fn a_bare_endpoint_is_understood_and_understands() {
    let now = Instant::from_secs(1_700_000_000);
    let origin = Origin {
        host: "hss.ims.test".into(),
        realm: "ims.test".into(),
    };
    let local = Local {
        origin: origin.clone(),
        host_ip_addresses: vec![IpAddr::from([127, 0, 0, 3])],
        vendor_id: diameter::cx::VENDOR_3GPP,
        product_name: "bare".into(),
        applications: vec![&dictionary::cx::DICTIONARY],
    };
    let known = PeerConfig {
        host: "icscf-127-0-0-2-5060.ims.test".into(),
        realm: "ims.test".into(),
        address: None,
        is_relay: false,
    };
    let mut bare = Endpoint::new(now, Config::new(local, vec![known]), Entropy::from_u64(4));
    let mut side = cscf();
    let connection = bare.accept(now).unwrap();
    side.handle_timeout(now);
    let mut asked = Vec::new();
    let mut answered = Vec::new();
    let mut stream = None;
    for turn in 0..20 {
        while let Some(event) = side.poll_event() {
            match event {
                CxEvent::Output(Output::Connect { stream: own, .. }) => {
                    stream = Some(own);
                    side.handle_connected(now, own);
                }
                CxEvent::Output(Output::Send { bytes, .. }) => {
                    bare.handle_received(now, connection, bytes.as_ref());
                }
                CxEvent::Request { token, request, .. } => {
                    side.answer(now, token, &request.answer(Outcome::SUCCESS));
                    asked.push(*request);
                }
                CxEvent::Answer { token, answer, .. } => answered.push((token, answer.outcome())),
                other => panic!("{other:?}"),
            }
        }
        while let Some(output) = bare.poll_output() {
            match output {
                Out::Send { bytes, .. } => side.handle_received(now, stream.unwrap(), &bytes),
                Out::PeerUp { .. } => {
                    side.send(now, command(Role::Scscf, 5, mar()));
                    let envelope = Envelope {
                        session_id: bare.session_id(),
                        origin: origin.clone(),
                        destination_host: Some("icscf-127-0-0-2-5060.ims.test".into()),
                        destination_realm: "ims.test".into(),
                    };
                    let message = rtr().to_message(&envelope).unwrap();
                    bare.send_request(now, message).unwrap();
                }
                Out::Request { incoming, message } => {
                    let message = Message::parse(&message).unwrap();
                    let (_, request) = Request::from_message(&message).unwrap();
                    asked.push(request.clone());
                    let answer = request.answer(Outcome::AuthSchemeNotSupported);
                    let answer = answer.to_message(&incoming.reply_to, &origin).unwrap();
                    bare.send_answer(now, &incoming, answer).unwrap();
                }
                Out::Answer { message, .. } => {
                    let message = Message::parse(&message).unwrap();
                    let answer = Answer::from_message(&message).unwrap();
                    assert_eq!(answer, rtr().answer(Outcome::SUCCESS));
                    answered.push((turn, Outcome::SUCCESS));
                }
                other => panic!("{other:?}"),
            }
        }
    }
    assert!(asked.contains(&mar()) && asked.contains(&rtr()) && asked.len() == 2);
    assert!(answered.contains(&(5, Outcome::AuthSchemeNotSupported)) && answered.len() == 2);
}
