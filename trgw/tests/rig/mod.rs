//! One process of a gateway and its TrGW, and an MGC that hears it without delay, on virtual time.
#![allow(dead_code, reason = "each test uses a part")]

#[path = "../spread/mod.rs"]
pub mod spread;

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::time::Duration;

use ::dtls::Identity;
use base::{Entropy, Instant};
use dataplane::io::sim::{self, Network, Packet};
use dataplane::{Config, DropReason, LocalAddress, LocalAddresses, Turn, Worker, runtime};
use h248::message::{
    ActionReply, AuditReply, AuditReturn, Command, CommandReply, Mid, NotifyReply, NotifyRequest,
    ReplyBody, ServiceChangeReply, TransactionId,
};
use h248::text;
use h248::transaction::{self, Endpoint, Output as Out};
use mg::{GatewayConfig, MediaGateway, Output, RealmAddress};
use spread::Spread;
use trgw::{Relay, Trgw};

pub const MG: &str = "192.0.2.1:2944";
pub const MGC: &str = "192.0.2.2:2944";
pub const CORE: &str = "198.51.100.1";
pub const ACCESS: &str = "203.0.113.1";
pub const ACCESS_6: &str = "2001:db8::1";
pub const ALICE: &str = "203.0.113.50:4000";
pub const ALICE_6: &str = "[2001:db8::50]:4000";
pub const BOB: &str = "198.51.100.50:5000";

pub fn at(text: &str) -> SocketAddr {
    text.parse().expect("an address")
}

pub fn next(address: SocketAddr) -> SocketAddr {
    SocketAddr::new(address.ip(), address.port() + 1)
}

/// One process: workers, TrGW, gateway; and an MGC that hears it without delay.
pub struct Rig {
    pub now: Instant,
    pub network: Network,
    pub workers: Vec<Worker>,
    pub trgw: Trgw,
    pub mg: MediaGateway,
    pub mgc: Endpoint<u32>,
    pub replies: BTreeMap<u32, ReplyBody>,
    pub notified: Vec<NotifyRequest>,
    pub token: u32,
    spread: Spread,
}

pub const PORTS: std::ops::RangeInclusive<u16> = 10_000..=10_039;
pub const REST: Duration = Duration::from_secs(5);

impl Rig {
    pub fn new(workers: usize, commands_max: usize) -> Self {
        Self::with(workers, commands_max, |_| {})
    }

    /// One whose gateway is configured in another way.
    pub fn with(
        workers: usize,
        commands_max: usize,
        change: impl FnOnce(&mut GatewayConfig),
    ) -> Self {
        let spread = Spread::new();
        let workers = spread.workers(workers);
        let ips = [CORE, ACCESS, ACCESS_6].map(|ip| ip.parse().expect("an address"));
        let locals = ips.map(|ip| LocalAddress::new(ip, PORTS));
        let addresses = LocalAddresses::new(&locals).expect("they are good");
        let (backend, network) = sim::backend(&addresses, workers, 256);
        let config = Config {
            rest: REST,
            commands_max,
            ..Config::default()
        };
        let relay = |flows| Box::new(Relay::new(flows)) as Box<dyn dataplane::Function>;
        let (control, workers) = runtime(&config, backend, relay).expect("it starts");
        let now = Instant::from_secs(1_800_000_000);
        let mut config = GatewayConfig::new(at(MG), &mg::TRGW);
        config.association.mgcs = vec![at(MGC)];
        config.association.silence_max = None;
        config.addresses = [(CORE, "core"), (ACCESS, "access"), (ACCESS_6, "access")]
            .map(|(ip, realm)| RealmAddress {
                realm: Some(realm.into()),
                ip: ip.parse().expect("an address"),
            })
            .to_vec();
        config.ports = PORTS;
        change(&mut config);
        let mgc = transaction::Config::new(Mid::from(at(MGC)), TransactionId(1));
        let mut rig = Self {
            now,
            network,
            workers,
            trgw: Trgw::new(control).with_dtls(identity()),
            mg: MediaGateway::new(config, now, Entropy::from_u64(1)),
            mgc: Endpoint::new(mgc, Entropy::from_u64(2)),
            replies: BTreeMap::new(),
            notified: Vec::new(),
            token: 0,
            spread,
        };
        rig.mg.start(now, &mut rig.trgw);
        rig.settle();
        assert_eq!(rig.mg.status().state, "in service");
        rig
    }

    /// Until nothing happens any more without time passing.
    pub fn settle(&mut self) {
        for _ in 0..1000 {
            let mut is_idle = !self.exchange();
            for worker in &mut self.workers {
                is_idle &= worker.turn(self.now) == Turn::Idle;
            }
            while let Some(event) = self.trgw.poll_event(self.now) {
                assert!(self.mg.owns(event.local()));
                self.mg.handle_event(self.now, &mut self.trgw, &event);
                is_idle = false;
            }
            if self.trgw.next_timeout().is_some_and(|at| at <= self.now) {
                self.trgw.handle_timeout(self.now);
                is_idle = false;
            }
            if is_idle && !self.trgw.is_behind() {
                return;
            }
        }
        panic!("it does not come to rest");
    }

    /// Messages both ways; false when there were none.
    pub fn exchange(&mut self) -> bool {
        let mut any = false;
        while let Some(output) = self.mg.poll_output() {
            if let Output::Transmit { bytes, .. } = output {
                self.mgc.handle_input(self.now, at(MG), &bytes);
                any = true;
            }
        }
        while let Some(output) = self.mgc.poll_output() {
            any = true;
            match output {
                Out::Transmit { bytes, .. } => {
                    self.mg
                        .handle_input(self.now, &mut self.trgw, at(MGC), &bytes);
                }
                Out::Request {
                    handle, actions, ..
                } => {
                    let mut replies = Vec::new();
                    for action in &actions {
                        let commands = action.commands.iter();
                        let commands = commands.map(|request| self.answer(&request.command));
                        let commands = commands.collect();
                        replies.push(ActionReply::new(action.context, commands));
                    }
                    let body = ReplyBody::Actions(replies);
                    self.mgc.reply(self.now, handle, body).expect("it waits");
                }
                Out::Reply { token, body, .. } => {
                    self.replies.insert(token, body);
                }
                Out::Pending { .. } => {}
                other => panic!("{other:?}"),
            }
        }
        any
    }

    pub fn answer(&mut self, command: &Command) -> CommandReply {
        match command {
            Command::ServiceChange(change) => CommandReply::ServiceChange(ServiceChangeReply {
                terminations: change.terminations.clone(),
                result: Ok(Box::default()),
            }),
            Command::Notify(notify) => {
                self.notified.push(notify.clone());
                CommandReply::Notify(NotifyReply {
                    terminations: notify.terminations.clone(),
                    error: None,
                })
            }
            other => panic!("a gateway does not say {other:?}"),
        }
    }

    pub fn pass(&mut self, time: Duration) {
        let until = self.now + time;
        while self.now < until {
            self.now = until.min(self.now + Duration::from_millis(100));
            self.mgc.handle_timeout(self.now);
            if self.mg.next_timeout().is_some_and(|at| at <= self.now) {
                self.mg.handle_timeout(self.now, &mut self.trgw);
            }
            self.settle();
        }
    }

    pub fn ask(&mut self, actions: &str) -> ReplyBody {
        let parsed = text::parse_actions(actions.as_bytes());
        let parsed = parsed.unwrap_or_else(|fault| panic!("{fault}\n{actions}"));
        self.token += 1;
        let sent = self.mgc.send_request(self.now, at(MG), parsed, self.token);
        sent.expect("it can be sent");
        self.settle();
        self.replies.remove(&self.token).expect("a reply")
    }

    pub fn say(&mut self, actions: &str) -> ReplyBody {
        let reply = self.ask(actions);
        assert!(errors(&reply).is_empty(), "{actions}\n{reply:?}");
        reply
    }

    /// Two terminations with their remote sides; returns the context and where they receive.
    pub fn call(&mut self, access: &str, alice: &str, bob: &str) -> (u32, SocketAddr, SocketAddr) {
        let reply = self.say(&format!(
            "Context = $ {{ {}, {} }}",
            add("core", "IP4", bob),
            add("access", access, alice)
        ));
        let ReplyBody::Actions(actions) = &reply else {
            unreachable!()
        };
        let locals = locals(&reply);
        (actions[0].context.as_u32(), locals[1], locals[0])
    }

    pub fn subtract(&mut self, context: u32) -> ReplyBody {
        self.say(&format!("Context = {context} {{ Subtract = * }}"))
    }

    pub fn modify(&mut self, context: u32, descriptors: &str) {
        self.say(&format!(
            "Context = {context} {{ Modify = ip/2/* {{ {descriptors} }} }}"
        ));
    }

    /// What leaves when this comes in.
    pub fn through(&mut self, from: &str, to: SocketAddr, payload: &[u8]) -> Vec<Packet> {
        let worker = self.spread.next(self.workers.len());
        assert!(self.network.send(worker, at(from), to, payload));
        self.settle();
        std::iter::from_fn(|| self.network.receive()).collect()
    }

    pub fn reaches(&mut self, from: &str, to: SocketAddr, payload: &[u8]) -> Option<SocketAddr> {
        let sent = self.through(from, to, payload);
        assert!(sent.len() < 2);
        sent.first().map(|packet| packet.destination)
    }

    pub fn drops(&self, reason: DropReason) -> u64 {
        let workers = self.trgw.control().worker_stats();
        workers.map(|worker| worker.drops.of(reason)).sum()
    }

    pub fn assert_empty(&mut self) {
        self.pass(REST);
        let status = self.mg.status();
        assert_eq!((status.contexts, status.terminations), (0, 0));
        assert_eq!(status.ports_used, 0);
        assert_eq!(self.trgw.pairs(), 0);
        assert!(self.trgw.control().is_settled());
    }
}

pub fn sdp(family: &str, address: &str, port: &str) -> String {
    format!("v=0\nc=IN {family} {address}\nm=audio {port} RTP/AVP 8\n")
}

pub fn remote(of: &str) -> String {
    let address = at(of);
    let family = if address.is_ipv6() { "IP6" } else { "IP4" };
    let ip = address.ip().to_string();
    format!(
        "Remote {{ {} }}",
        sdp(family, &ip, &address.port().to_string())
    )
}

pub fn add(realm: &str, family: &str, of: &str) -> String {
    format!(
        "Add = $ {{ Media {{ Stream = 1 {{ LocalControl {{ Mode = SendReceive, ipdc/realm = \
         \"{realm}\" }}, Local {{ {} }}, {} }} }} }}",
        sdp(family, "$", "$"),
        remote(of)
    )
}

pub fn amms(body: &ReplyBody) -> impl Iterator<Item = &AuditReturn> {
    let actions = match body {
        ReplyBody::Actions(actions) => actions.as_slice(),
        ReplyBody::Error(_) => &[],
    };
    let commands = actions.iter().flat_map(|action| &action.commands);
    commands.flat_map(|command| match command {
        CommandReply::Add(reply)
        | CommandReply::Modify(reply)
        | CommandReply::Move(reply)
        | CommandReply::Subtract(reply)
        | CommandReply::AuditValue(AuditReply::Terminations(reply)) => reply.audit.as_slice(),
        _ => &[],
    })
}

pub fn errors(body: &ReplyBody) -> Vec<u16> {
    let mut codes: Vec<u16> = match body {
        ReplyBody::Error(error) => vec![error.code.0],
        ReplyBody::Actions(actions) => {
            let errors = actions.iter().filter_map(|action| action.error.as_ref());
            errors.map(|error| error.code.0).collect()
        }
    };
    codes.extend(amms(body).filter_map(|item| match item {
        AuditReturn::Error(error) => Some(error.code.0),
        _ => None,
    }));
    codes
}

pub fn locals(body: &ReplyBody) -> Vec<SocketAddr> {
    let media = amms(body).filter_map(|item| match item {
        AuditReturn::Media(media) => Some(media),
        _ => None,
    });
    let streams = media.flat_map(|media| media.streams());
    let texts = streams.filter_map(|(_, parms)| parms.local.as_ref());
    texts
        .map(|text| {
            let local = sdp::h248::Description::parse(text.as_bytes()).expect("SDP");
            let group = local.first().expect("a description");
            group.rtp_address(0).expect("an address")
        })
        .collect()
}

pub fn statistic(body: &ReplyBody, termination: usize, name: &str) -> u64 {
    use h248::message::StatisticValue::Single;
    let mut lists = amms(body).filter_map(|item| match item {
        AuditReturn::Statistics(list) => Some(list),
        _ => None,
    });
    let list = lists.nth(termination).expect("statistics");
    let statistic = list
        .iter()
        .find(|statistic| statistic.name.as_str() == name);
    match &statistic.expect("it is kept").value {
        Single(value) => value.as_u64().expect("a number"),
        other => panic!("{other:?}"),
    }
}

pub fn rtp_packet(sequence: u16) -> Vec<u8> {
    let mut packet = vec![0x55; rtp::HEADER_BYTES + 160];
    let header = rtp::Header {
        marker: false,
        payload_type: 8,
        sequence,
        timestamp: u32::from(sequence) * 160,
        ssrc: 0xfeed_beef,
    };
    header.write_to(&mut packet).expect("it fits");
    packet
}

/// A receiver report without blocks, RFC 3550 6.4.2.
pub const RTCP: [u8; 8] = [0x80, 201, 0, 1, 0xfe, 0xed, 0xbe, 0xef];

/// Who the gateway is in DTLS.
pub fn identity() -> Identity {
    Identity::generate(std::time::Instant::now()).expect("a certificate")
}
