//! User agents against each other and against a registrar, on virtual time.

use std::time::Duration;

use base::TimerQueue;
use sip::Draft;
use sip::digest::{Algorithm, Challenge, Credentials, Qop, Request, aka_nonce};

use super::*;
use crate::usim::Usim;

const REGISTRAR: &str = "192.0.2.9:5060";
const SERVICE_ROUTE: &str = "<sip:orig@scscf.ims.test;lr>";

/// What happens to a datagram: the delays of its copies.
type Fate = fn(&mut Entropy) -> Vec<Duration>;

fn prompt(_: &mut Entropy) -> Vec<Duration> {
    vec![Duration::from_millis(5)]
}

/// One in ten lost, one in ten doubled, all out of order.
fn rough(entropy: &mut Entropy) -> Vec<Duration> {
    let mut late = || Duration::from_millis(5 + entropy.below(300));
    let (one, two) = (late(), late());
    match entropy.below(10) {
        0 => vec![],
        1 => vec![one, two],
        _ => vec![one],
    }
}

/// A network of user agents, and a registrar at its own address.
struct Net {
    now: Instant,
    agents: Vec<UserAgent>,
    events: Vec<Vec<Event>>,
    registrar: Registrar,
    wires: TimerQueue<(SocketAddr, SocketAddr, Vec<u8>)>,
    entropy: Entropy,
    fate: Fate,
    /// Everything sent, for tests that look at it.
    sent: Vec<(SocketAddr, Message)>,
}

fn address(index: usize) -> SocketAddr {
    SocketAddr::new([192, 0, 2, 10 + index as u8].into(), 5060)
}

fn password() -> Secret {
    Secret::Password("secret".into())
}

/// An agent whose P-CSCF is the other of a pair.
fn peer(index: usize) -> Config {
    let names = ["alice@ims.test", "bob@ims.test", "carol@ims.test"];
    Config::new(
        names[index],
        password(),
        address(index),
        address(1 - index.min(1)),
    )
}

fn home(secret: Secret) -> Config {
    Config::new(
        "alice@ims.test",
        secret,
        address(0),
        REGISTRAR.parse().unwrap(),
    )
}

impl Net {
    fn new(seed: u64, fate: Fate, configs: Vec<Config>) -> Self {
        println!("seed {seed}");
        let mut entropy = Entropy::from_u64(seed);
        let agents: Vec<UserAgent> = configs
            .into_iter()
            .map(|config| UserAgent::new(config, Entropy::from_seed(entropy.bytes())))
            .collect();
        Self {
            now: Instant::from_secs(1_700_000_000),
            events: agents.iter().map(|_| Vec::new()).collect(),
            agents,
            registrar: Registrar::default(),
            wires: TimerQueue::new(),
            entropy,
            fate,
            sent: Vec::new(),
        }
    }

    fn pair(policy: impl FnOnce(&mut Policy, &mut Policy)) -> Self {
        Self::pair_over(1, prompt, policy)
    }

    fn pair_over(seed: u64, fate: Fate, policy: impl FnOnce(&mut Policy, &mut Policy)) -> Self {
        let (mut alice, mut bob) = (peer(0), peer(1));
        policy(&mut alice.policy, &mut bob.policy);
        Self::new(seed, fate, vec![alice, bob])
    }

    fn run(&mut self, seconds: u64) {
        let until = self.now + Duration::from_secs(seconds);
        loop {
            self.flush();
            let agents = self.agents.iter().filter_map(UserAgent::next_timeout).min();
            let next = [agents, self.wires.next_timeout()]
                .into_iter()
                .flatten()
                .min();
            let Some(next) = next.filter(|&next| next <= until) else {
                self.now = until;
                return;
            };
            self.now = self.now.max(next);
            while let Some((from, to, bytes)) = self.wires.pop_due(self.now) {
                self.deliver(from, to, &bytes);
                self.flush();
            }
            for agent in &mut self.agents {
                agent.handle_timeout(self.now);
            }
        }
    }

    fn deliver(&mut self, from: SocketAddr, to: SocketAddr, bytes: &[u8]) {
        if to == REGISTRAR.parse().unwrap() {
            let request = Message::parse(bytes).unwrap();
            if let Some(response) = self.registrar.handle(&request) {
                self.wires
                    .set(self.now, (to, from, response.as_bytes().to_vec()));
            }
            return;
        }
        if let Some(index) = (0..self.agents.len()).find(|&index| address(index) == to) {
            self.agents[index].handle_input(self.now, Transport::Udp, from, bytes);
        }
    }

    fn flush(&mut self) {
        for index in 0..self.agents.len() {
            while let Some(output) = self.agents[index].poll_output() {
                match output {
                    Output::Event(event) => self.events[index].push(event),
                    Output::Transmit { to, bytes, .. } => {
                        let message = Message::parse(&bytes[..]).unwrap();
                        message.validate().unwrap();
                        self.sent.push((address(index), message));
                        for delay in (self.fate)(&mut self.entropy) {
                            let wire = (address(index), to, bytes.clone());
                            self.wires.set(self.now + delay, wire);
                        }
                    }
                }
            }
        }
    }

    fn call(&mut self) -> CallId {
        self.agents[0].call(self.now, "sip:bob@ims.test").unwrap()
    }

    fn cause(&self, agent: usize) -> Option<Cause> {
        self.events[agent].iter().find_map(|event| match event {
            Event::Ended { cause, .. } => Some(cause.clone()),
            _ => None,
        })
    }

    fn established(&self, agent: usize) -> Option<CallId> {
        self.events[agent].iter().find_map(|event| match event {
            Event::Established { call } => Some(*call),
            _ => None,
        })
    }

    fn directions(&self, agent: usize) -> Vec<Direction> {
        let media = self.events[agent].iter().filter_map(|event| match event {
            Event::Media { agreed, .. } => Some(agreed.direction),
            _ => None,
        });
        media.collect()
    }

    fn progress(&self, agent: usize) -> Vec<u16> {
        let progress = self.events[agent].iter().filter_map(|event| match event {
            Event::Progress { status, .. } => Some(*status),
            _ => None,
        });
        progress.collect()
    }

    fn count(&self, from: usize, method: &Method) -> usize {
        let from = address(from);
        let of = |(sender, message): &&(SocketAddr, Message)| {
            *sender == from && message.is_method(method)
        };
        self.sent.iter().filter(of).count()
    }

    fn refused(status: u16) -> Option<Cause> {
        let reason = sip::reason_phrase(status).to_owned();
        Some(Cause::Refused { status, reason })
    }

    /// Nothing is left behind by either agent once everything that repeats has had its time.
    fn is_quiet(&mut self) -> bool {
        self.run(300);
        self.agents.iter().all(|agent| {
            let layer = &agent.core.layer;
            agent.calls.is_empty() && layer.clients_len() + layer.servers_len() == 0
        })
    }
}

/// A registrar that answers without transactions: as a retransmission comes, so it is answered.
struct Registrar {
    algorithm: Algorithm,
    usim: Usim,
    /// Next SQN of its own.
    sqn: u64,
    expires: u32,
    min_expires: u32,
    nonces: u32,
    /// Registered until then, as it last said.
    bound: bool,
    resynchronised: u32,
    wrong_key: bool,
}

impl Default for Registrar {
    fn default() -> Self {
        Self {
            algorithm: Algorithm::Md5,
            usim: Usim::new([1; 16], [2; 16]),
            sqn: 32,
            expires: 3600,
            min_expires: 60,
            nonces: 0,
            bound: false,
            resynchronised: 0,
            wrong_key: false,
        }
    }
}

impl Registrar {
    fn handle(&mut self, request: &Message) -> Option<Message> {
        assert!(request.is_method(&Method::Register));
        let asked = request.contact().unwrap().expires().unwrap();
        if asked > 0 && asked < self.min_expires {
            let min = self.min_expires.to_string();
            let mut draft = request.response(423, "");
            draft.append(sip::HeaderName::MinExpires, &min);
            return draft.to_tag("r").finish().ok();
        }
        let value = request.header(sip::HeaderName::Authorization).unwrap();
        let credentials = Credentials::parse(value.as_bytes()).unwrap();
        assert_eq!(credentials.username, "alice@ims.test");
        if credentials.auts.is_some() {
            self.resynchronised += 1;
            self.sqn = self.sqn.max(1 << 20);
        } else if !credentials.response.is_empty() {
            return self.judge(request, &credentials, asked);
        }
        self.challenge(request)
    }

    fn challenge(&mut self, request: &Message) -> Option<Message> {
        self.nonces += 1;
        let nonce = match self.algorithm {
            Algorithm::AkaV1Md5 => {
                self.sqn += 32;
                let rand = [self.nonces as u8; 16];
                let mut autn = self.usim.challenge(&rand, self.sqn);
                autn[15] ^= u8::from(self.wrong_key);
                aka_nonce(&rand, &autn, b"")
            }
            _ => format!("nonce{}", self.nonces),
        };
        let challenge = Challenge::new("ims.test", &nonce, self.algorithm, &[Qop::Auth]);
        let mut draft = request.response(401, "");
        draft.append(sip::HeaderName::WwwAuthenticate, &challenge.to_string());
        draft.to_tag("r").finish().ok()
    }

    fn judge(
        &mut self,
        request: &Message,
        credentials: &Credentials,
        asked: u32,
    ) -> Option<Message> {
        let mut password = b"secret".to_vec();
        if self.algorithm == Algorithm::AkaV1Md5 {
            let (rand, _) = sip::digest::parse_aka_nonce(&credentials.nonce)?;
            password = self.usim.response(&rand).to_vec();
        }
        let of = Request {
            method: "REGISTER",
            uri: request.request_uri(),
            body: b"",
        };
        if !credentials.verify(sip::digest::Secret::Password(&password), of) {
            return self.challenge(request);
        }
        self.bound = asked > 0;
        let mut draft = request.response(200, "");
        if self.bound {
            let contact = request.contact().unwrap().uri.as_str();
            let expires = asked.min(self.expires);
            draft
                .append(
                    sip::HeaderName::Contact,
                    &format!("<{contact}>;expires={expires}"),
                )
                .append(sip::HeaderName::ServiceRoute, SERVICE_ROUTE)
                .append(
                    sip::HeaderName::PAssociatedUri,
                    "<sip:alice@ims.test>, <tel:+15551234>",
                );
        }
        draft.to_tag("r").finish().ok()
    }
}

fn registered(net: &Net) -> usize {
    let is = |event: &&Event| matches!(event, Event::Registered { .. });
    net.events[0].iter().filter(is).count()
}

fn aka() -> Secret {
    Secret::Aka(Box::new(Usim::new([1; 16], [2; 16])))
}

#[test]
fn registers_by_each_algorithm_and_is_registered_again_in_time() {
    for (algorithm, secret) in [
        (Algorithm::Md5, password()),
        (Algorithm::Sha256, password()),
        (Algorithm::Md5Sess, password()),
        (Algorithm::AkaV1Md5, aka()),
    ] {
        let mut net = Net::new(1, prompt, vec![home(secret)]);
        net.registrar.algorithm = algorithm;
        net.agents[0].register(net.now).unwrap();
        net.run(1);
        assert!(net.agents[0].is_registered(), "{algorithm}");
        assert_eq!(
            net.agents[0].associated(),
            ["sip:alice@ims.test", "tel:+15551234"]
        );
        assert_eq!(net.agents[0].service_route(), [SERVICE_ROUTE]);
        assert_eq!(net.count(0, &Method::Register), 2);
        // 600 s before the end of 3 600, under the same challenge.
        net.run(2990);
        assert_eq!(registered(&net), 1);
        net.run(20);
        assert_eq!(registered(&net), 2);
        assert_eq!(net.count(0, &Method::Register), 3);
        net.agents[0].deregister(net.now).unwrap();
        net.run(1);
        assert!(!net.registrar.bound);
        assert_eq!(net.events[0].last(), Some(&Event::Deregistered));
        assert!(net.is_quiet());
    }
}

#[test]
fn a_short_registration_is_renewed_at_half_its_time() {
    let mut net = Net::new(2, prompt, vec![home(password())]);
    net.registrar.expires = 600;
    net.agents[0].register(net.now).unwrap();
    net.run(299);
    assert_eq!(registered(&net), 1);
    net.run(2);
    assert_eq!(registered(&net), 2);
}

#[test]
fn a_registration_that_cannot_be_renewed_runs_out() {
    let mut net = Net::new(3, prompt, vec![home(password())]);
    net.agents[0].register(net.now).unwrap();
    net.run(1);
    net.fate = |_| vec![];
    net.run(3700);
    let failed = Event::RegistrationFailed {
        status: 408,
        reason: "No response".into(),
    };
    assert!(net.events[0].contains(&failed));
    assert_eq!(net.events[0].last(), Some(&Event::Deregistered));
    assert!(!net.agents[0].is_registered());
}

#[test]
fn too_brief_an_interval_is_asked_for_anew() {
    let mut config = home(password());
    config.expires = 30;
    let mut net = Net::new(4, prompt, vec![config]);
    net.agents[0].register(net.now).unwrap();
    net.run(1);
    let expires = Duration::from_secs(60);
    assert!(matches!(&net.events[0][..], [Event::Registered { expires: e, .. }] if *e == expires));
}

#[test]
fn a_stale_sequence_number_is_resynchronised() {
    let mut usim = Usim::new([1; 16], [2; 16]);
    usim.set_sqn(1 << 19);
    let mut net = Net::new(5, prompt, vec![home(Secret::Aka(Box::new(usim)))]);
    net.registrar.algorithm = Algorithm::AkaV1Md5;
    net.agents[0].register(net.now).unwrap();
    net.run(1);
    assert_eq!(net.registrar.resynchronised, 1);
    assert_eq!(net.events[0][0], Event::Resynchronising);
    assert!(net.agents[0].is_registered());
}

#[test]
fn a_network_that_does_not_know_the_key_is_not_believed() {
    let mut net = Net::new(6, prompt, vec![home(aka())]);
    net.registrar.algorithm = Algorithm::AkaV1Md5;
    net.registrar.wrong_key = true;
    net.agents[0].register(net.now).unwrap();
    net.run(1);
    assert!(matches!(
        net.events[0][..],
        [Event::RegistrationFailed { status: 401, .. }]
    ));
    let register = |message: &Message| {
        let value = message.header(sip::HeaderName::Authorization).unwrap();
        Credentials::parse(value.as_bytes()).unwrap()
    };
    let last = register(&net.sent.last().unwrap().1);
    assert!(last.response.is_empty() && last.auts.is_none() && !last.nonce.is_empty());
}

#[test]
fn a_wrong_password_is_given_up_after_a_few_challenges() {
    let mut net = Net::new(7, prompt, vec![home(Secret::Password("wrong".into()))]);
    net.agents[0].register(net.now).unwrap();
    net.run(1);
    assert!(matches!(
        net.events[0][..],
        [Event::RegistrationFailed { status: 401, .. }]
    ));
    assert_eq!(net.count(0, &Method::Register), 4);
    assert!(
        net.agents[0].register(net.now).is_ok(),
        "and may be tried anew"
    );
}

#[test]
fn the_way_the_registration_told_is_taken() {
    let mut net = Net::new(8, prompt, vec![home(password())]);
    net.agents[0].register(net.now).unwrap();
    net.run(1);
    net.agents[0].call(net.now, "tel:+15550000").unwrap();
    let mut invite = None;
    while let Some(output) = net.agents[0].poll_output() {
        if let Output::Transmit { bytes, .. } = output {
            invite = Message::parse(bytes).ok();
        }
    }
    let invite = invite.unwrap();
    let routes: Vec<&str> = invite.values(sip::HeaderName::Route).collect();
    assert_eq!(routes, ["<sip:192.0.2.9:5060;lr>", SERVICE_ROUTE]);
    assert_eq!(invite.request_uri(), "tel:+15550000");
    let preferred = invite.header(sip::HeaderName::PPreferredIdentity);
    assert_eq!(preferred, Some("<sip:alice@ims.test>"));
}

#[test]
fn a_call_is_answered_talks_and_is_hung_up_by_either_side() {
    for side in 0..2 {
        let mut net = Net::pair(|_, _| {});
        let call = net.call();
        net.run(2);
        let id = net.established(side).unwrap();
        assert_eq!(net.established(0), Some(call));
        assert_eq!(net.progress(0), [180]);
        assert_eq!(net.directions(0), [Direction::SendRecv]);
        assert_eq!(net.directions(1), [Direction::SendRecv]);
        let codecs = net.events[0].iter().find_map(|event| match event {
            Event::Media {
                agreed,
                local,
                early: false,
                ..
            } => {
                assert_eq!(*local, "192.0.2.10:40000".parse().unwrap());
                assert_eq!(agreed.rtp, "192.0.2.11:40000".parse().unwrap());
                Some(agreed.send.len())
            }
            _ => None,
        });
        assert_eq!(codecs, Some(3));
        net.agents[side].hang_up(net.now, id).unwrap();
        net.run(1);
        assert_eq!(net.cause(side), Some(Cause::HungUp));
        assert_eq!(net.cause(1 - side), Some(Cause::HungUpThere));
        assert_eq!(net.agents[side].hang_up(net.now, id), Err(Error::NoCall));
        assert!(net.is_quiet());
    }
}

#[test]
fn a_reliable_180_is_acknowledged_and_the_answer_need_not_wait() {
    let mut net = Net::pair(|alice, bob| {
        alice.reliable = Reliable::Required;
        bob.incoming = vec![Step::Ring, Step::Wait(Duration::from_secs(3)), Step::Answer];
    });
    net.call();
    net.run(2);
    assert_eq!(net.progress(0), [180]);
    assert_eq!(net.count(0, &Method::Prack), 1);
    assert!(net.established(0).is_none());
    net.run(3);
    assert!(net.established(0).is_some() && net.established(1).is_some());
}

#[test]
fn early_media_is_agreed_once_and_the_answer_waits_for_prack() {
    let mut net = Net::pair(|_, bob| {
        bob.incoming = vec![Step::Progress, Step::Answer];
    });
    net.call();
    net.run(2);
    assert_eq!(net.progress(0), [183]);
    let early: Vec<bool> = net.events[0]
        .iter()
        .filter_map(|event| match event {
            Event::Media { early, .. } => Some(*early),
            _ => None,
        })
        .collect();
    assert_eq!(early, [true, false]);
    let described = |status| {
        let found = net.sent.iter().find(|(_, m)| {
            m.status() == Some(status) && m.cseq().unwrap().method == Method::Invite
        });
        !found.unwrap().1.body().is_empty()
    };
    assert!(
        described(183) && !described(200),
        "the answer is given once"
    );
    assert!(net.established(1).is_some());
}

#[test]
fn early_media_without_reliability_is_repeated_in_the_answer() {
    let mut net = Net::pair(|alice, bob| {
        alice.reliable = Reliable::Unsupported;
        bob.incoming = vec![
            Step::Progress,
            Step::Wait(Duration::from_secs(1)),
            Step::Answer,
        ];
    });
    net.call();
    net.run(2);
    assert_eq!(net.count(0, &Method::Prack), 0);
    assert_eq!(net.directions(0).len(), 2);
    assert!(net.established(0).is_some());
}

#[test]
fn every_class_of_refusal_ends_the_call() {
    for status in [404, 480, 486, 500, 503, 600, 603] {
        let mut net = Net::pair(|_, bob| {
            bob.incoming = vec![Step::Ring, Step::Reject(status)];
        });
        net.call();
        net.run(1);
        assert_eq!(net.cause(0), Net::refused(status));
        assert_eq!(net.cause(1), Net::refused(status));
        assert!(net.is_quiet());
    }
}

#[test]
fn a_redirection_is_followed_when_the_policy_says_so() {
    for follow in [false, true] {
        let mut net = Net::pair(|alice, bob| {
            alice.follow_redirects = follow;
            bob.incoming = vec![Step::Redirect(vec!["sip:carol@ims.test".into()])];
        });
        net.call();
        net.run(1);
        let targets: Vec<&str> = net
            .sent
            .iter()
            .filter(|(_, message)| message.is_method(&Method::Invite))
            .map(|(_, message)| message.request_uri())
            .collect();
        let mut expected = vec!["sip:bob@ims.test"];
        if follow {
            expected.push("sip:carol@ims.test");
        }
        assert_eq!(targets, expected);
        assert_eq!(net.cause(0), Net::refused(302));
    }
}

#[test]
fn a_call_given_up_while_it_rings_is_cancelled() {
    let mut net = Net::pair(|_, bob| bob.incoming = vec![Step::Ring]);
    let call = net.call();
    net.run(5);
    net.agents[0].hang_up(net.now, call).unwrap();
    net.run(1);
    assert_eq!(net.cause(0), Some(Cause::HungUp));
    assert_eq!(net.cause(1), Some(Cause::Cancelled));
    assert_eq!(net.count(0, &Method::Cancel), 1);
    assert!(net.is_quiet());
}

#[test]
fn an_answer_that_crosses_the_cancel_is_hung_up() {
    let mut net = Net::pair(|_, bob| {
        bob.incoming = vec![
            Step::Ring,
            Step::Wait(Duration::from_millis(1002)),
            Step::Answer,
        ];
    });
    let call = net.call();
    net.run(1);
    // The answer is on its way when this end gives up.
    net.now += Duration::from_millis(8);
    net.agents[0].hang_up(net.now, call).unwrap();
    net.run(2);
    assert_eq!(net.cause(0), Some(Cause::HungUp));
    assert!(net.cause(1).is_some());
    assert!(net.is_quiet());
}

#[test]
fn a_callee_that_declines_by_hand_and_one_that_never_answers() {
    let mut net = Net::pair(|_, bob| bob.incoming = vec![Step::Ring]);
    let call = net.call();
    net.run(1);
    let there = net.agents[1].calls().next().unwrap();
    net.agents[1].hang_up(net.now, there).unwrap();
    net.run(1);
    let reason = sip::reason_phrase(603).to_owned();
    assert_eq!(
        net.cause(0),
        Some(Cause::Refused {
            status: 603,
            reason
        })
    );
    assert_eq!(net.cause(1), Some(Cause::HungUp));
    let mut net = Net::pair(|_, bob| bob.deaf = true);
    assert_ne!(net.agents[0].call(net.now, "no uri"), Ok(call));
    net.call();
    net.run(40);
    let reason = "No response".to_owned();
    assert_eq!(
        net.cause(0),
        Some(Cause::Refused {
            status: 408,
            reason
        })
    );
}

#[test]
fn hold_and_resume_reach_both_ends() {
    let mut net = Net::pair(|_, _| {});
    let call = net.call();
    net.run(1);
    net.agents[0].hold(net.now, call).unwrap();
    assert_eq!(net.agents[0].hold(net.now, call), Err(Error::Unexpected));
    net.run(1);
    net.agents[0].resume(net.now, call).unwrap();
    net.run(1);
    use Direction::*;
    assert_eq!(net.directions(0), [SendRecv, SendOnly, SendRecv]);
    assert_eq!(net.directions(1), [SendRecv, RecvOnly, SendRecv]);
    let there = net.established(1).unwrap();
    net.agents[1].update(net.now, there, Inactive).unwrap();
    net.run(1);
    assert_eq!(net.directions(0).last(), Some(&Inactive));
    assert_eq!(net.count(1, &Method::Update), 1);
    net.agents[0].hang_up(net.now, call).unwrap();
    assert!(net.is_quiet());
}

#[test]
fn a_refused_change_leaves_the_call_as_it_was() {
    let mut net = Net::pair(|_, bob| bob.refuse_changes = Some(488));
    let call = net.call();
    net.run(1);
    net.agents[0].hold(net.now, call).unwrap();
    net.run(1);
    assert_eq!(
        net.events[0].last(),
        Some(&Event::ChangeRefused { call, status: 488 })
    );
    assert_eq!(net.directions(0), [Direction::SendRecv]);
    net.agents[1].policy_mut().refuse_changes = None;
    net.agents[0].hold(net.now, call).unwrap();
    net.run(1);
    assert_eq!(net.directions(1).last(), Some(&Direction::RecvOnly));
}

#[test]
fn changes_that_meet_are_tried_again() {
    let mut net = Net::pair(|_, _| {});
    let call = net.call();
    net.run(1);
    let there = net.established(1).unwrap();
    net.agents[0].hold(net.now, call).unwrap();
    net.agents[1].hold(net.now, there).unwrap();
    net.run(10);
    assert!(
        net.sent
            .iter()
            .any(|(_, message)| message.status() == Some(491))
    );
    assert_eq!(net.directions(0).last(), Some(&Direction::Inactive));
    assert_eq!(net.directions(1).last(), Some(&Direction::Inactive));
}

#[test]
fn sessions_are_refreshed_by_either_method_and_either_end() {
    for (by_update, ask) in [(true, 0), (false, 0), (true, 1), (false, 1)] {
        let mut net = Net::pair(|alice, bob| {
            let policy = if ask == 0 { &mut *alice } else { &mut *bob };
            policy.session_expires = Some(90);
            alice.refresh_by_update = by_update;
            bob.refresh_by_update = by_update;
        });
        net.call();
        net.run(300);
        let refreshed = |agent: usize| {
            let is = |event: &&Event| matches!(event, Event::Refreshed { .. });
            net.events[agent].iter().filter(is).count()
        };
        assert_eq!(
            (refreshed(0), refreshed(1)),
            (6, 6),
            "update {by_update} asked {ask}"
        );
        assert_eq!(net.cause(0), None);
        let method = if by_update {
            Method::Update
        } else {
            Method::Invite
        };
        assert!(net.count(0, &method) >= 6);
    }
}

#[test]
fn a_session_whose_refresher_is_gone_ends_by_itself() {
    let mut net = Net::pair(|alice, _| alice.session_expires = Some(90));
    net.call();
    net.run(1);
    net.agents[0].policy_mut().deaf = true;
    net.agents[1].policy_mut().deaf = true;
    net.run(150);
    assert_eq!(net.cause(0), Some(Cause::Lost));
    assert_eq!(net.cause(1), Some(Cause::SessionExpired));
}

#[test]
fn too_small_an_interval_is_asked_for_anew() {
    let mut net = Net::pair(|alice, bob| {
        alice.session_expires = Some(90);
        bob.min_se = 1800;
    });
    net.call();
    net.run(2);
    assert!(net.established(0).is_some());
    let last = net
        .sent
        .iter()
        .rev()
        .find(|(_, m)| m.is_method(&Method::Invite))
        .unwrap();
    assert_eq!(last.1.min_se(), Ok(Some(1800)));
    assert_eq!(
        last.1.session_expires().unwrap().map(|s| s.seconds),
        Some(1800)
    );
}

#[test]
fn an_answer_without_ack_is_repeated_and_then_hung_up() {
    let mut net = Net::pair(|alice, _| alice.never_ack = true);
    net.call();
    net.run(40);
    assert_eq!(net.cause(1), Some(Cause::NoAck));
    assert_eq!(net.cause(0), Some(Cause::HungUpThere));
    assert_eq!(net.established(1), None);
    let answers = net.sent.iter().filter(|(from, message)| {
        *from == address(1)
            && message.status() == Some(200)
            && message.cseq().unwrap().method == Method::Invite
    });
    assert!(answers.count() > 8);
    assert!(net.is_quiet());
}

#[test]
fn a_callee_that_hangs_up_before_the_ack_waits_for_it() {
    let mut net = Net::pair(|_, bob| bob.incoming = vec![]);
    net.call();
    net.run(1);
    let there = net.agents[1].calls().next().unwrap();
    net.agents[1].answer(net.now, there).unwrap();
    net.agents[1].hang_up(net.now, there).unwrap();
    assert_eq!(net.count(1, &Method::Bye), 0);
    net.run(1);
    assert_eq!(net.cause(1), Some(Cause::HungUp));
    assert_eq!(net.cause(0), Some(Cause::HungUpThere));
}

#[test]
fn an_offer_may_be_left_to_the_callee() {
    for steps in [
        vec![Step::Answer],
        vec![Step::Ring, Step::Answer],
        vec![
            Step::Progress,
            Step::Wait(Duration::from_secs(1)),
            Step::Answer,
        ],
    ] {
        let mut net = Net::pair(|alice, bob| {
            alice.early_offer = false;
            bob.incoming = steps.clone();
        });
        let call = net.call();
        net.run(3);
        assert!(net.established(0).is_some(), "{steps:?}");
        assert_eq!(
            net.directions(0).last(),
            Some(&Direction::SendRecv),
            "{steps:?}"
        );
        assert_eq!(
            net.directions(1).last(),
            Some(&Direction::SendRecv),
            "{steps:?}"
        );
        net.agents[0].hang_up(net.now, call).unwrap();
        assert!(net.is_quiet());
    }
}

#[test]
fn what_a_callee_cannot_do_is_refused_by_name() {
    type Alter = fn(&mut Config, &mut Config);
    let cases: [(Alter, u16); 3] = [
        (
            |alice, bob| {
                alice.policy.reliable = Reliable::Required;
                bob.policy.reliable = Reliable::Unsupported;
            },
            420,
        ),
        (
            |alice, _| alice.codecs = vec![sdp::Codec::new(18, "G729", 8000)],
            488,
        ),
        (|_, bob| bob.media_ports = 4000..=4000, 486),
    ];
    for (alter, status) in cases {
        let (mut alice, mut bob) = (peer(0), peer(1));
        alter(&mut alice, &mut bob);
        let mut net = Net::new(9, prompt, vec![alice, bob]);
        net.call();
        net.run(1);
        assert_eq!(net.cause(0), Net::refused(status));
        assert!(net.established(1).is_none() && net.cause(1).is_none());
        assert!(net.agents[1].calls().next().is_none());
        assert!(net.is_quiet());
    }
}

/// Turns a request of alice's into the response somebody gives to it.
fn respond(request: &Message, status: u16, tag: &str, body: Option<&[u8]>) -> Vec<u8> {
    let mut draft: Draft = request.response(status, "");
    draft.to_tag(tag).append(
        sip::HeaderName::Contact,
        &format!("<sip:{tag}@192.0.2.77:5060>"),
    );
    if let Some(body) = body {
        draft.set_body("application/sdp", body);
    }
    draft.finish().unwrap().as_bytes().to_vec()
}

fn requests(agent: &mut UserAgent) -> (Vec<Message>, Vec<Event>) {
    let (mut messages, mut events) = (Vec::new(), Vec::new());
    while let Some(output) = agent.poll_output() {
        match output {
            Output::Transmit { bytes, .. } => messages.push(Message::parse(bytes).unwrap()),
            Output::Event(event) => events.push(event),
        }
    }
    (messages, events)
}

const ANSWER: &[u8] =
    b"v=0\r\no=- 1 1 IN IP4 192.0.2.77\r\ns=-\r\nc=IN IP4 192.0.2.77\r\nt=0 0\r\n\
    m=audio 7000 RTP/AVP 0\r\n";

#[test]
fn of_two_answers_the_first_is_the_call_and_the_other_is_hung_up() {
    let mut alice = UserAgent::new(peer(0), Entropy::from_u64(10));
    let now = Instant::from_secs(1);
    let call = alice.call(now, "sip:bob@ims.test").unwrap();
    let (invite, _) = requests(&mut alice);
    let from = address(1);
    let give = |alice: &mut UserAgent, status, tag, body| {
        alice.handle_input(
            now,
            Transport::Udp,
            from,
            &respond(&invite[0], status, tag, body),
        );
        requests(alice)
    };
    for tag in ["one", "two"] {
        let (_, events) = give(&mut alice, 180, tag, None);
        let progress = Event::Progress {
            call,
            status: 180,
            tag: tag.into(),
        };
        assert_eq!(events, [progress]);
    }
    let (sent, events) = give(&mut alice, 200, "two", Some(ANSWER));
    assert!(matches!(&sent[..], [ack] if ack.is_method(&Method::Ack)));
    assert!(events.contains(&Event::Established { call }));
    let (sent, events) = give(&mut alice, 200, "one", Some(ANSWER));
    assert!(events.is_empty());
    let methods: Vec<&Method> = sent.iter().filter_map(Message::method).collect();
    assert_eq!(methods, [&Method::Ack, &Method::Bye]);
    assert!(sent.iter().all(|message| message.to_tag() == Some("one")));
    // Each that comes again is acknowledged again, by the same ACK.
    let (again, _) = give(&mut alice, 200, "two", Some(ANSWER));
    assert!(
        matches!(&again[..], [ack] if ack.to_tag() == Some("two") && ack.is_method(&Method::Ack))
    );
    assert_eq!(alice.calls().count(), 1);
}

#[test]
fn an_answer_that_does_not_fit_the_offer_is_acknowledged_and_hung_up() {
    let refused = String::from_utf8_lossy(ANSWER).replace("audio 7000", "audio 0");
    for body in [None, Some(&b"v=nonsense"[..]), Some(refused.as_bytes())] {
        let mut alice = UserAgent::new(peer(0), Entropy::from_u64(11));
        let now = Instant::from_secs(1);
        alice.call(now, "sip:bob@ims.test").unwrap();
        let (invite, _) = requests(&mut alice);
        let answer = respond(&invite[0], 200, "one", body);
        alice.handle_input(now, Transport::Udp, address(1), &answer);
        let (sent, events) = requests(&mut alice);
        let methods: Vec<&Method> = sent.iter().filter_map(Message::method).collect();
        assert_eq!(methods, [&Method::Ack, &Method::Bye]);
        assert!(events.is_empty());
        let gone = respond(&sent[1], 200, "one", None);
        alice.handle_input(now, Transport::Udp, address(1), &gone);
        let (_, events) = requests(&mut alice);
        assert!(matches!(
            events[..],
            [Event::Ended {
                cause: Cause::NoMedia,
                ..
            }]
        ));
    }
}

#[test]
fn a_proxy_that_challenges_the_call_is_answered() {
    let mut alice = UserAgent::new(peer(0), Entropy::from_u64(12));
    let now = Instant::from_secs(1);
    alice.call(now, "sip:bob@ims.test").unwrap();
    let (invite, _) = requests(&mut alice);
    let challenge = Challenge::new("ims.test", "n", Algorithm::Sha256, &[Qop::Auth]);
    let mut draft = invite[0].response(407, "");
    draft.append(sip::HeaderName::ProxyAuthenticate, &challenge.to_string());
    let response = draft.to_tag("p").finish().unwrap();
    alice.handle_input(now, Transport::Udp, address(1), response.as_bytes());
    let (sent, _) = requests(&mut alice);
    let again = sent.iter().find(|m| m.is_method(&Method::Invite)).unwrap();
    assert_eq!(again.cseq().unwrap().number, 2);
    let value = again.header(sip::HeaderName::ProxyAuthorization).unwrap();
    let credentials = Credentials::parse(value.as_bytes()).unwrap();
    let of = Request {
        method: "INVITE",
        uri: "sip:bob@ims.test",
        body: b"",
    };
    assert!(credentials.verify(sip::digest::Secret::Password(b"secret"), of));
    assert!(!again.body().is_empty());
}

#[test]
fn requests_for_nothing_known_are_answered_as_the_rfc_says() {
    let mut bob = UserAgent::new(peer(1), Entropy::from_u64(13));
    let now = Instant::from_secs(1);
    let request = |method: &str, extra: &str, to: &str| {
        format!(
            "{method} sip:bob@ims.test SIP/2.0\r\nVia: SIP/2.0/UDP 192.0.2.10:5060;branch=z9hG4bK{method}{to}\r\n\
             From: <sip:a@ims.test>;tag=a\r\nTo: <sip:bob@ims.test>{to}\r\nCall-ID: x\r\nCSeq: 1 {method}\r\n\
             Max-Forwards: 70\r\n{extra}Content-Length: 0\r\n\r\n"
        )
    };
    let cases = [
        (request("OPTIONS", "", ""), 200),
        (request("BYE", "", ";tag=b"), 481),
        (request("MESSAGE", "", ""), 405),
        (request("FROBNICATE", "", ""), 501),
        (request("INVITE", "", ""), 400),
        (request("CANCEL", "", ""), 481),
        (request("INVITE", "Max-Forwards: x\r\n", ";tag=z"), 400),
        (request("UPDATE", "", ";tag=b"), 481),
    ];
    for (text, status) in cases {
        bob.handle_input(now, Transport::Udp, address(0), text.as_bytes());
        let (sent, events) = requests(&mut bob);
        assert_eq!(
            sent.first().and_then(Message::status),
            Some(status),
            "{text}"
        );
        assert!(events.is_empty());
    }
}

#[test]
fn calls_get_through_loss_doubles_and_disorder() {
    for seed in 0..24 {
        let mut net = Net::pair_over(seed, rough, |alice, bob| {
            alice.session_expires = Some(90);
            bob.incoming = match seed % 4 {
                0 => vec![Step::Ring, Step::Wait(Duration::from_secs(2)), Step::Answer],
                1 => vec![
                    Step::Progress,
                    Step::Ring,
                    Step::Wait(Duration::from_secs(9)),
                    Step::Answer,
                ],
                2 => vec![Step::Answer],
                _ => vec![Step::Progress, Step::Answer],
            };
            alice.early_offer = seed % 3 > 0;
        });
        let call = net.call();
        net.run(40);
        assert!(
            net.established(0).is_some() && net.established(1).is_some(),
            "seed {seed}"
        );
        net.agents[0].hold(net.now, call).unwrap();
        net.run(100);
        assert_eq!(
            net.directions(1).last(),
            Some(&Direction::RecvOnly),
            "seed {seed}"
        );
        let side = (seed % 2) as usize;
        let id = net.established(side).unwrap();
        net.agents[side].hang_up(net.now, id).unwrap();
        net.run(40);
        assert_eq!(net.cause(side), Some(Cause::HungUp), "seed {seed}");
        assert_eq!(net.cause(1 - side), Some(Cause::HungUpThere), "seed {seed}");
        assert!(net.is_quiet(), "seed {seed}");
    }
}

/// One command, of those that fit the call and those that do not.
fn command(net: &mut Net, entropy: &mut Entropy) {
    let (now, agent) = (net.now, entropy.below(2) as usize);
    let agent = &mut net.agents[agent];
    let calls: Vec<CallId> = agent.calls().collect();
    if calls.is_empty() || calls.len() < 4 && entropy.chance(300) {
        let _ = agent.call(now, "sip:somebody@ims.test");
        return;
    }
    let call = calls[entropy.below(calls.len() as u64) as usize];
    // Whether it fits is for the agent to say.
    let _ = match entropy.below(9) {
        0 => agent.hang_up(now, call),
        1 => agent.answer(now, call),
        2 => agent.reject(now, call, 480),
        3 => agent.ring(now, call, 180),
        4 => agent.ring(now, call, 183),
        5 => agent.hold(now, call),
        6 => agent.resume(now, call),
        7 => agent.update(now, call, Direction::RecvOnly),
        _ => agent.answer(now, call),
    };
}

#[test]
fn any_commands_at_any_time_end_in_nothing_left() {
    for seed in 200..216 {
        let fate = if seed % 2 == 0 { prompt } else { rough };
        let mut net = Net::pair_over(seed, fate, |alice, bob| {
            bob.incoming = vec![];
            alice.incoming = vec![
                Step::Progress,
                Step::Wait(Duration::from_secs(4)),
                Step::Answer,
            ];
            bob.session_expires = Some(120);
            alice.early_offer = seed % 4 > 1;
        });
        let mut entropy = Entropy::from_u64(seed);
        for _ in 0..120 {
            command(&mut net, &mut entropy);
            net.run(entropy.below(4));
        }
        for _ in 0..3 {
            for agent in 0..2 {
                let calls: Vec<CallId> = net.agents[agent].calls().collect();
                for call in calls {
                    let _ = net.agents[agent].hang_up(net.now, call);
                }
            }
            net.run(60);
        }
        assert!(net.is_quiet(), "seed {seed}");
        for events in &net.events {
            let count = |is: fn(&Event) -> bool| events.iter().filter(|event| is(event)).count();
            let begun = count(|event| matches!(event, Event::Port { .. }));
            let ended = count(|event| matches!(event, Event::Ended { .. }));
            assert_eq!(begun, ended, "seed {seed}");
        }
    }
}

#[test]
fn cancelled_calls_leave_nothing_behind_over_a_bad_network() {
    for seed in 100..125 {
        let mut net = Net::pair_over(seed, rough, |_, bob| {
            bob.incoming = vec![Step::Ring, Step::Wait(Duration::from_secs(3)), Step::Answer];
        });
        let call = net.call();
        net.run(seed % 5);
        let _ = net.agents[0].hang_up(net.now, call);
        net.run(80);
        assert!(net.cause(0).is_some(), "seed {seed}");
        assert!(net.is_quiet(), "seed {seed}");
    }
}

#[test]
fn damaged_messages_disturb_nothing() {
    let mut net = Net::pair(|_, _| {});
    net.call();
    net.run(2);
    let messages: Vec<Vec<u8>> = net
        .sent
        .iter()
        .map(|(_, m)| m.as_bytes().to_vec())
        .collect();
    let mut entropy = Entropy::from_u64(14);
    for message in &messages {
        for _ in 0..400 {
            let mut bytes = message.clone();
            for _ in 0..1 + entropy.below(3) {
                let at = entropy.below(bytes.len() as u64) as usize;
                bytes[at] ^= 1 << entropy.below(8);
            }
            bytes.truncate(bytes.len() - entropy.below(20) as usize);
            for agent in &mut net.agents {
                agent.handle_input(net.now, Transport::Udp, address(0), &bytes);
                while agent.poll_output().is_some() {}
            }
        }
    }
}

#[test]
fn over_a_stream_a_response_goes_back_on_its_connection() {
    let request = "OPTIONS sip:alice@192.0.2.10:5060 SIP/2.0\r\n\
                   Via: SIP/2.0/TCP 192.0.2.9:5060;branch=z9hG4bK1\r\n\
                   From: <sip:p@ims.test>;tag=1\r\nTo: <sip:alice@ims.test>\r\nCall-ID: 1\r\n\
                   CSeq: 1 OPTIONS\r\nMax-Forwards: 70\r\nContent-Length: 0\r\n\r\n";
    let from: SocketAddr = "192.0.2.9:40123".parse().unwrap();
    for (used, expected) in [
        (Transport::Tcp, from),
        (Transport::Udp, REGISTRAR.parse().unwrap()),
    ] {
        let mut alice = UserAgent::new(home(password()), Entropy::from_u64(1));
        alice.handle_input(Instant::from_secs(1), used, from, request.as_bytes());
        let Some(Output::Transmit { transport, to, .. }) = alice.poll_output() else {
            panic!("no response");
        };
        assert_eq!((transport, to), (used, expected));
    }
}
