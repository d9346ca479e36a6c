//! The command interpreter of a media gateway: whatever its MGC and others say, what it says can be
//! read, it holds no more than it may, and when everything is subtracted nothing is left.
//!
//! The input is a script of steps, separated by zeros; the first octet of each says what it is.
#![no_main]

use std::collections::BTreeSet;
use std::net::SocketAddr;
use std::time::Duration;

use base::{Entropy, Instant};
use h248::binary::Naming;
use h248::encoding::{Encoding, Parsed, ParsedBody};
use h248::message::TransactionId;
use h248::message::{Command, Message, MessageBody, Mid, Transaction, TransactionRequest};
use h248::text::{self, Style};
use libfuzzer_sys::fuzz_target;
use mg::{
    ContextStream, GatewayConfig, Leg, MediaEvent, MediaGateway, MediaPlane, OpenError, Output,
    RealmAddress, Statistics, TRGW,
};

const MG: &str = "192.0.2.1:2944";
const MGC: &str = "192.0.2.2:2944";
const STRANGER: &str = "192.0.2.3:2944";
const CONTEXTS_MAX: usize = 16;

/// Opens everything and remembers what is open.
#[derive(Default)]
struct Plane {
    open: BTreeSet<SocketAddr>,
    closing: Vec<SocketAddr>,
}

impl MediaPlane for Plane {
    fn open(&mut self, _: Instant, local: SocketAddr) -> Result<(), OpenError> {
        assert!(self.open.insert(local), "it is open already");
        Ok(())
    }
    fn close(&mut self, local: SocketAddr) {
        assert!(self.open.remove(&local), "it is not open");
        self.closing.push(local);
    }
    fn connect(&mut self, _: ContextStream, legs: &[Leg], _: &[(usize, usize)]) {
        assert!(legs.iter().all(|leg| self.open.contains(&leg.local)));
    }
    fn statistics(&self, _: SocketAddr) -> Statistics {
        Statistics::default()
    }
}

struct World {
    now: Instant,
    mg: MediaGateway,
    plane: Plane,
    next_id: u32,
}

fn at(text: &str) -> SocketAddr {
    text.parse().expect("an address")
}

impl World {
    fn new() -> Self {
        let address = |realm: &str, ip: &str| RealmAddress {
            realm: Some(realm.into()),
            ip: ip.parse().expect("an address"),
        };
        let mut config = GatewayConfig::new(at(MG), &TRGW);
        config.association.mgcs = vec![at(MGC)];
        config.addresses = vec![
            address("core", "198.51.100.1"),
            address("core", "2001:db8::1"),
        ];
        config.ports = 10_000..=10_039;
        config.contexts_max = CONTEXTS_MAX;
        let now = Instant::from_secs(1_800_000_000);
        let mut world = Self {
            now,
            mg: MediaGateway::new(config, now, Entropy::from_u64(7)),
            plane: Plane::default(),
            next_id: 1,
        };
        world.mg.start(now, &mut world.plane);
        world.drain();
        world
    }

    fn hear(&mut self, from: &str, bytes: &[u8]) {
        self.mg
            .handle_input(self.now, &mut self.plane, at(from), bytes);
        self.drain();
    }

    /// Reads what it says, answers its requests, and closes what it closed.
    fn drain(&mut self) {
        while let Some(output) = self.mg.poll_output() {
            let Output::Transmit { to, bytes } = output else {
                continue;
            };
            let parsed = Encoding::parse(&bytes, &Naming::default());
            let parsed = parsed.expect("what it says can be read");
            for reply in answers(parsed) {
                if to == at(MGC) {
                    self.hear(MGC, &reply);
                }
            }
        }
        for local in std::mem::take(&mut self.plane.closing) {
            let event = MediaEvent::Closed {
                local,
                free_at: self.now,
            };
            self.mg.handle_event(self.now, &mut self.plane, &event);
        }
        let status = self.mg.status();
        assert!(status.contexts <= CONTEXTS_MAX);
        assert!(status.terminations <= 2 * CONTEXTS_MAX);
        assert_eq!(status.ports_used, self.plane.open.len());
    }

    /// Digits come where something is open, each for a while: the octets say which and how long.
    fn dial(&mut self, digits: &[u8]) {
        for octet in digits.iter().take(32) {
            let Some(&local) = self.plane.open.iter().nth(usize::from(octet >> 6)) else {
                return;
            };
            let (code, duration) = (
                octet & 15,
                Duration::from_millis(100 << (octet >> 4 & 3) * 2),
            );
            let events = [
                MediaEvent::ToneStarted { local, code },
                MediaEvent::ToneEnded {
                    local,
                    code,
                    duration,
                },
            ];
            for event in events {
                self.mg.handle_event(self.now, &mut self.plane, &event);
                self.drain();
                self.pass(duration / 2);
            }
        }
    }

    fn pass(&mut self, time: Duration) {
        self.now += time;
        self.mg.handle_timeout(self.now, &mut self.plane);
        self.drain();
    }

    /// Actions of the MGC, in a message of their own.
    fn say(&mut self, actions: &[u8]) {
        let Ok(actions) = text::parse_actions(actions) else {
            return;
        };
        let id = TransactionId(self.next_id);
        self.next_id += 1;
        let request = TransactionRequest { id, actions };
        let message = Message {
            auth: None,
            version: 3,
            mid: Mid::from(at(MGC)),
            body: MessageBody::Transactions(vec![Transaction::Request(request)]),
        };
        let encoding = match self.next_id % 2 {
            0 => Encoding::Binary,
            _ => Encoding::Text(Style::Compact),
        };
        if let Ok(bytes) = encoding.to_vec(&message, &Naming::default()) {
            self.hear(MGC, &bytes);
        }
    }
}

/// What an MGC answers to requests: yes to everything.
fn answers(parsed: Parsed) -> Vec<Vec<u8>> {
    let ParsedBody::Transactions(transactions) = parsed.body else {
        return Vec::new();
    };
    let mut answers = Vec::new();
    for transaction in transactions {
        let Transaction::Request(request) = transaction.expect("so can each transaction") else {
            continue;
        };
        let mut said = format!("!/3 {MGC_MID}\nP={}{{", request.id.0);
        for action in &request.actions {
            let name = match action.commands.first().map(|request| &request.command) {
                Some(Command::Notify(_)) => "N",
                _ => "SC",
            };
            let terminations = action
                .commands
                .iter()
                .flat_map(|c| c.command.terminations());
            let names: Vec<String> = terminations.map(|t| format!("{name}={t}")).collect();
            let context = match action.context.as_u32() {
                0 => "-".to_owned(),
                id => id.to_string(),
            };
            said.push_str(&format!("C={context}{{{}}}", names.join(",")));
        }
        said.push('}');
        answers.push(said.into_bytes());
    }
    answers
}

const MGC_MID: &str = "[192.0.2.2]:2944";

fuzz_target!(|data: &[u8]| {
    let mut world = World::new();
    for step in data.split(|&octet| octet == 0).take(64) {
        let Some((&kind, rest)) = step.split_first() else {
            continue;
        };
        match kind % 8 {
            0..=3 => world.say(rest),
            4 => world.hear(MGC, rest),
            5 => world.hear(STRANGER, rest),
            6 => world.dial(rest),
            _ => world.pass(Duration::from_millis(100 << (rest.len() % 12))),
        }
    }
    // Whatever was lost, an MGC that speaks is back within a minute.
    for _ in 0..60 {
        world.pass(Duration::from_secs(1));
    }
    world.say(b"Context = * { O-W-Subtract = * { Audit { } } }");
    let status = world.mg.status();
    if status.state == "in service" {
        assert_eq!((status.contexts, status.terminations), (0, 0));
        assert!(world.plane.open.is_empty());
    }
});
