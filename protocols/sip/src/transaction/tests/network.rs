//! Two layers and a bad network between them, on virtual time.

use std::cmp::Reverse;
use std::collections::{BTreeMap, BinaryHeap};

use super::*;

/// What the network does to a datagram, in thousandths.
#[derive(Clone, Copy, Debug)]
struct Weather {
    loss: u64,
    duplication: u64,
    /// Longest delay in milliseconds; datagrams overtake each other.
    delay_ms: u64,
}

/// Requests sent in one run.
const REQUESTS: u32 = 150;

struct World {
    seed: u64,
    entropy: Entropy,
    weather: Weather,
    now: Instant,
    sequence: u64,
    hop: Transport,
    client: Layer<Transport, u32>,
    server: Layer<Transport, u32>,
    flying: BinaryHeap<Reverse<Datagram>>,
    /// Things users do later: sequence keeps the order.
    plans: BinaryHeap<Reverse<(Instant, u64, Plan)>>,
    outcomes: BTreeMap<u32, Vec<String>>,
    client_ended: BTreeMap<u32, u32>,
    requests_seen: BTreeMap<u32, u32>,
    unacknowledged: BTreeMap<u32, Message>,
    server_ended: u32,
}

/// Due, sequence, to the server?, bytes.
type Datagram = (Instant, u64, bool, Vec<u8>);

#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Plan {
    Send(u32),
    Cancel(ClientId),
    Answer(u32, ServerId, u16),
    /// Retransmission of a 2xx, its interval in milliseconds.
    Repeat(u32, ServerId, u64),
}

impl World {
    fn new(seed: u64, weather: Weather, hop: Transport) -> Self {
        let mut entropy = Entropy::from_u64(seed);
        Self {
            seed,
            weather,
            now: Instant::from_secs(1),
            sequence: 0,
            hop,
            client: Layer::new(Config::default(), &mut entropy),
            server: Layer::new(Config::default(), &mut entropy),
            entropy,
            flying: BinaryHeap::new(),
            plans: BinaryHeap::new(),
            outcomes: BTreeMap::new(),
            client_ended: BTreeMap::new(),
            requests_seen: BTreeMap::new(),
            unacknowledged: BTreeMap::new(),
            server_ended: 0,
        }
    }

    fn run(&mut self) {
        for n in 1..=REQUESTS {
            let after = self.entropy.below(20_000);
            self.plan(after, Plan::Send(n));
        }
        loop {
            self.drain();
            let plan = self.plans.peek().map(|Reverse((at, ..))| *at);
            let datagram = self.flying.peek().map(|Reverse((at, ..))| *at);
            let timeouts = [self.client.next_timeout(), self.server.next_timeout()];
            let Some(at) = timeouts.into_iter().chain([plan, datagram]).flatten().min() else {
                return;
            };
            self.now = self.now.max(at);
            assert!(
                self.now < Instant::from_secs(1000),
                "seed {} does not end",
                self.seed
            );
            if plan == Some(at) {
                let Reverse((_, _, plan)) = self.plans.pop().unwrap();
                self.act(plan);
            } else if datagram == Some(at) {
                let Reverse((_, _, to_server, bytes)) = self.flying.pop().unwrap();
                self.deliver(to_server, &Message::parse(bytes).unwrap());
            } else {
                self.client.handle_timeout(self.now);
                self.server.handle_timeout(self.now);
            }
        }
    }

    fn plan(&mut self, after_ms: u64, plan: Plan) {
        self.sequence += 1;
        let at = self.now + Duration::from_millis(after_ms);
        self.plans.push(Reverse((at, self.sequence, plan)));
    }

    fn act(&mut self, plan: Plan) {
        match plan {
            Plan::Send(n) => {
                let request = message(&request(method(n), n));
                let id = self
                    .client
                    .send_request(self.now, self.hop, request, n)
                    .unwrap();
                if n % 7 == 0 {
                    let after = self.entropy.below(10_000);
                    self.plan(after, Plan::Cancel(id));
                }
            }
            Plan::Cancel(id) => {
                self.client.cancel(self.now, id, &[]).unwrap();
            }
            Plan::Answer(n, id, status) => self.answer(n, id, status),
            Plan::Repeat(n, id, interval) => {
                let Some(ok) = self.unacknowledged.get(&n) else {
                    return;
                };
                if self.server.respond(self.now, id, ok.clone()).is_ok() {
                    self.plan((interval * 2).min(4000), Plan::Repeat(n, id, interval * 2));
                }
            }
        }
    }

    fn answer(&mut self, n: u32, id: ServerId, status: u16) {
        let response = message(&response(method(n), n, status));
        if self.server.respond(self.now, id, response.clone()).is_ok()
            && method(n) == "INVITE"
            && status == 200
        {
            self.unacknowledged.insert(n, response);
            self.plan(500, Plan::Repeat(n, id, 500));
        }
    }

    fn deliver(&mut self, to_server: bool, message: &Message) {
        let n = message.cseq().unwrap().number;
        if !to_server {
            let received = self
                .client
                .handle_message(self.now, self.hop, message.clone());
            if let Received::Response {
                context, message, ..
            } = received
            {
                assert_eq!(context, n);
                self.respond_received(n, &message);
            }
            return;
        }
        match self
            .server
            .handle_message(self.now, self.hop, message.clone())
        {
            Received::Request { server, .. } => {
                *self.requests_seen.entry(n).or_default() += 1;
                self.server.set_server_context(server, n);
                let status = [200, 200, 200, 302, 404, 486, 503][self.entropy.below(7) as usize];
                if method(n) == "INVITE" && self.entropy.chance(700) {
                    self.plan(self.weather.delay_ms, Plan::Answer(n, server, 180));
                }
                let after = self.entropy.below(8000);
                self.plan(after, Plan::Answer(n, server, status));
            }
            Received::Cancel {
                server,
                invite,
                message,
            } => {
                let status = if invite.is_some() { 200 } else { 481 };
                let answer = message.response(status, "").finish().unwrap();
                self.server.respond(self.now, server, answer).unwrap();
                if let Some(invite) = invite {
                    self.answer(n, invite, 487);
                }
            }
            Received::Ack { .. } => {
                self.unacknowledged.remove(&n);
            }
            Received::Absorbed => {}
            other => panic!("seed {}: {other:?}", self.seed),
        }
    }

    fn respond_received(&mut self, n: u32, response: &Message) {
        let status = response.status().unwrap();
        if status < 200 {
            return;
        }
        let ok_to_invite = status == 200 && method(n) == "INVITE";
        let outcomes = self.outcomes.entry(n).or_default();
        if !(ok_to_invite && outcomes.contains(&"200".to_owned())) {
            outcomes.push(status.to_string());
        }
        if ok_to_invite {
            // A new branch, as the ACK of a 2xx has (RFC 3261 13.2.2.4).
            let ack = request("ACK", n).replace("z9hG4bK", "z9hG4bKack");
            self.client.send_stateless(self.hop, message(&ack));
        }
    }

    fn drain(&mut self) {
        while let Some(output) = self.client.poll_output() {
            match output {
                Output::Transmit { message, .. } => self.transmit(true, &message),
                Output::ClientTimeout { context, .. } => {
                    self.outcomes
                        .entry(context)
                        .or_default()
                        .push("timeout".to_owned());
                }
                Output::ClientEnded { context, .. } => {
                    *self.client_ended.entry(context).or_default() += 1;
                }
                other => panic!("seed {}: {other:?}", self.seed),
            }
        }
        while let Some(output) = self.server.poll_output() {
            match output {
                Output::Transmit { message, .. } => self.transmit(false, &message),
                Output::ServerEnded { .. } => self.server_ended += 1,
                Output::AckMissing { .. } => {}
                other => panic!("seed {}: {other:?}", self.seed),
            }
        }
    }

    fn transmit(&mut self, to_server: bool, message: &Message) {
        let copies = 1 + u64::from(self.entropy.chance(self.weather.duplication));
        for _ in 0..copies {
            if self.entropy.chance(self.weather.loss) {
                continue;
            }
            self.sequence += 1;
            let delay = Duration::from_millis(1 + self.entropy.below(self.weather.delay_ms));
            let datagram = (
                self.now + delay,
                self.sequence,
                to_server,
                message.as_bytes().to_vec(),
            );
            self.flying.push(Reverse(datagram));
        }
    }

    /// Every request had exactly one outcome, and nothing is left.
    fn check(&self) {
        let seed = self.seed;
        for n in 1..=REQUESTS {
            let outcomes = self.outcomes.get(&n).map_or(0, Vec::len);
            assert_eq!(
                outcomes,
                1,
                "seed {seed}, request {n}: {:?}",
                self.outcomes.get(&n)
            );
            assert_eq!(
                self.client_ended.get(&n),
                Some(&1),
                "seed {seed}, request {n}"
            );
            let seen = self.requests_seen.get(&n).copied().unwrap_or_default();
            assert!(seen <= 1, "seed {seed}, request {n} was new {seen} times");
        }
        for layer in [&self.client, &self.server] {
            assert_eq!(layer.clients_len(), 0, "seed {seed}");
            assert_eq!(layer.servers_len(), 0, "seed {seed}");
            assert_eq!(layer.timers_len(), 0, "seed {seed}");
        }
        let made = self.server.counters().servers_made;
        assert_eq!(u64::from(self.server_ended), made, "seed {seed}");
    }

    fn timeouts(&self) -> usize {
        let timed_out = |outcomes: &&Vec<String>| outcomes.contains(&"timeout".to_owned());
        self.outcomes.values().filter(timed_out).count()
    }
}

fn method(n: u32) -> &'static str {
    ["INVITE", "MESSAGE", "INVITE", "INFO", "BYE", "INVITE"][n as usize % 6]
}

#[test]
fn every_request_has_one_outcome_whatever_the_weather() {
    for (loss, timeouts_max) in [(0, 0), (100, 2), (300, 30)] {
        for seed in 0..6 {
            let weather = Weather {
                loss,
                duplication: 200,
                delay_ms: 400,
            };
            let mut world = World::new(seed, weather, Transport::Udp);
            world.run();
            world.check();
            let timeouts = world.timeouts();
            assert!(
                timeouts <= timeouts_max,
                "seed {seed}, loss {loss}: {timeouts} timeouts"
            );
        }
    }
}

#[test]
fn a_reliable_hop_carries_every_request_once() {
    let weather = Weather {
        loss: 0,
        duplication: 0,
        delay_ms: 1,
    };
    let mut world = World::new(1, weather, Transport::Tcp);
    world.run();
    world.check();
    assert_eq!(world.timeouts(), 0);
    assert_eq!(world.client.counters().requests_resent, 0);
    assert_eq!(world.requests_seen.len(), REQUESTS as usize);
}

#[test]
fn an_absent_server_means_timeouts_and_no_leaks() {
    let weather = Weather {
        loss: 1000,
        duplication: 0,
        delay_ms: 1,
    };
    let mut world = World::new(1, weather, Transport::Udp);
    world.run();
    world.check();
    assert_eq!(world.timeouts(), REQUESTS as usize);
}
