//! The controller and a gateway of the house over a network that loses a third of what passes,
//! doubles and reorders it: both agree on every context, and nothing is left of any.
//!
//! `STORM_SEEDS` and `STORM_TRANSACTIONS` make it longer; `scripts/soak storm` does.

use std::collections::{BTreeMap, BTreeSet};
use std::net::SocketAddr;
use std::time::Duration;

use base::{Entropy, Instant};
use control::counters::Counters;
use control::mgc::{
    AnchorEvent, AnchorId, AnchorSpec, Config, Family, Locals, Mgc, MgcOutput, Mode, Plan, Side,
    SidePlan, StreamPlan,
};
use h248::encoding::Encoding;
use h248::message::StreamMode;
use h248::text::Style;
use mg::{
    ContextStream, GatewayConfig, Leg, MediaEvent, MediaGateway, MediaPlane, OpenError, Output,
    RealmAddress, Statistics,
};

/// Of a thousand messages so many are lost, and so many come twice.
const LOST: u64 = 300;
const DOUBLED: u64 = 200;
/// How long one takes at most: so they overtake each other.
const DELAY_MAX_MS: u64 = 150;
/// Calls at a time.
const CALLS: usize = 24;
/// How long a closed port rests.
const REST: Duration = Duration::from_millis(500);

fn address(text: &str) -> SocketAddr {
    text.parse().expect("an address")
}

fn from_environment(name: &str, usual: u64) -> u64 {
    std::env::var(name).map_or(usual, |value| value.parse().expect("a number"))
}

/// What carries media: what is open, and what each leg is to do.
#[derive(Default)]
struct Plane {
    open: BTreeSet<SocketAddr>,
    legs: BTreeMap<SocketAddr, Leg>,
    closed: Vec<SocketAddr>,
}

impl MediaPlane for Plane {
    fn open(&mut self, _: Instant, local: SocketAddr) -> Result<(), OpenError> {
        assert!(self.open.insert(local), "{local} is open");
        Ok(())
    }

    fn close(&mut self, local: SocketAddr) {
        assert!(self.open.remove(&local), "{local} is not open");
        self.legs.remove(&local);
        self.closed.push(local);
    }

    fn connect(&mut self, _: ContextStream, legs: &[Leg], _: &[(usize, usize)]) {
        for leg in legs {
            assert!(self.open.contains(&leg.local), "{} is not open", leg.local);
            self.legs.insert(leg.local, leg.clone());
        }
    }

    fn statistics(&self, _: SocketAddr) -> Statistics {
        Statistics::default()
    }
}

/// A call as its owner sees it.
struct Call {
    anchor: AnchorId,
    /// Asked for and not confirmed yet.
    pending: Option<Plan>,
    applied: Plan,
    locals: Locals,
}

struct World {
    now: Instant,
    entropy: Entropy,
    is_bad: bool,
    mgc: Mgc,
    counters: Counters,
    mg: MediaGateway,
    plane: Plane,
    flying: BTreeMap<(Instant, u64), (bool, Vec<u8>)>,
    sequence: u64,
    owner: u64,
    calls: BTreeMap<u64, Call>,
    applied: u64,
    lost: u64,
}

const MGC: &str = "192.0.2.1:2944";
const MG: &str = "192.0.2.10:2944";

impl World {
    fn new(seed: u64, encoding: Encoding) -> Self {
        let now = Instant::from_secs(1_800_000_000);
        let mut config = Config::new(address(MGC));
        config.encoding = encoding;
        let mut gateway = GatewayConfig::new(address(MG), &mg::TRGW);
        gateway.association.mgcs = vec![address(MGC)];
        gateway.encoding = encoding;
        let realm = |realm: &str, ip: &str| RealmAddress {
            realm: Some(realm.into()),
            ip: ip.parse().expect("an address"),
        };
        gateway.addresses = vec![realm("access", "192.0.2.20"), realm("core", "192.0.2.30")];
        gateway.ports = 20_000..=20_999;
        let mut world = Self {
            now,
            entropy: Entropy::from_u64(seed),
            is_bad: false,
            mgc: Mgc::new(config, now, Entropy::from_u64(seed + 1)),
            counters: Counters::default(),
            mg: MediaGateway::new(gateway, now, Entropy::from_u64(seed + 2)),
            plane: Plane::default(),
            flying: BTreeMap::new(),
            sequence: 0,
            owner: 0,
            calls: BTreeMap::new(),
            applied: 0,
            lost: 0,
        };
        world.mg.start(now, &mut world.plane);
        world.run(Duration::from_secs(1));
        assert_eq!(world.mgc.gateways()[0].state, "in service");
        world
    }

    fn send(&mut self, is_to_mgc: bool, bytes: &[u8]) {
        if self.is_bad && self.entropy.chance(LOST) {
            return;
        }
        let is_doubled = self.is_bad && self.entropy.chance(DOUBLED);
        for _ in 0..1 + u8::from(is_doubled) {
            let delay = match self.is_bad {
                true => self.entropy.below(DELAY_MAX_MS),
                false => 1,
            };
            self.sequence += 1;
            let at = (self.now + Duration::from_millis(delay), self.sequence);
            self.flying.insert(at, (is_to_mgc, bytes.to_vec()));
        }
    }

    fn drain(&mut self) {
        while let Some(output) = self.mgc.poll_output() {
            match output {
                MgcOutput::Transmit { bytes, .. } => self.send(false, &bytes),
                MgcOutput::Anchor { owner, event, .. } => self.hear(owner, event),
                other => panic!("{other:?}"),
            }
        }
        while let Some(output) = self.mg.poll_output() {
            if let Output::Transmit { bytes, .. } = output {
                self.send(true, &bytes);
            }
        }
        for local in std::mem::take(&mut self.plane.closed) {
            let free_at = self.now + REST;
            let event = MediaEvent::Closed { local, free_at };
            self.mg.handle_event(self.now, &mut self.plane, &event);
        }
    }

    fn hear(&mut self, owner: u64, event: AnchorEvent) {
        let Some(call) = self.calls.get_mut(&owner) else {
            return;
        };
        match event {
            AnchorEvent::Applied(locals) => {
                call.applied = call.pending.take().expect("something was pending");
                call.locals = locals;
                self.applied += 1;
            }
            AnchorEvent::Failed(_) => {
                call.pending = None;
                if call.locals == Locals::default() {
                    self.calls.remove(&owner);
                }
            }
            AnchorEvent::Lost => {
                self.calls.remove(&owner);
                self.lost += 1;
            }
            _ => {}
        }
    }

    /// Lets time pass.
    fn run(&mut self, duration: Duration) {
        let end = self.now + duration;
        loop {
            self.drain();
            let timers = [self.mgc.next_timeout(), self.mg.next_timeout()];
            let flight = self.flying.keys().next().map(|(at, _)| *at);
            let next = timers.into_iter().flatten().chain(flight).min();
            let Some(next) = next.filter(|next| *next <= end) else {
                break;
            };
            self.now = self.now.max(next);
            if flight.is_some_and(|at| at <= self.now)
                && let Some((_, (is_to_mgc, bytes))) = self.flying.pop_first()
            {
                if is_to_mgc {
                    let counters = &mut self.counters;
                    self.mgc
                        .handle_datagram(self.now, counters, address(MG), &bytes);
                } else {
                    self.mg
                        .handle_input(self.now, &mut self.plane, address(MGC), &bytes);
                }
                continue;
            }
            self.mgc.handle_timeout(self.now, &mut self.counters);
            self.mg.handle_timeout(self.now, &mut self.plane);
        }
        self.now = end;
    }

    fn plan(&mut self, streams: usize) -> Plan {
        let entropy = &mut self.entropy;
        let mut side = |host: usize, chance| SidePlan {
            remote: entropy.chance(chance).then(|| {
                let port = 20_000 + 2 * entropy.below(2_000);
                address(&format!("203.0.113.{}:{port}", host + 1)).into()
            }),
            mode: Mode::new(entropy.chance(700), entropy.chance(700)),
            latch: false,
            mux: entropy.chance(300),
        };
        let streams = (0..streams).map(|index| StreamPlan {
            used: true,
            kind: "audio".into(),
            protocol: "RTP/AVP".into(),
            formats: vec!["8".into()],
            sides: [side(index, 1_000), side(index, 700)],
            srtp: None,
        });
        Plan {
            streams: streams.collect(),
        }
    }

    /// A call begins, changes or ends.
    fn act(&mut self) {
        let owners: Vec<u64> = self.calls.keys().copied().collect();
        if owners.len() < CALLS && self.entropy.chance(600) {
            let streams = 1 + self.entropy.below(2) as usize;
            let plan = self.plan(streams);
            let spec = AnchorSpec {
                families: [Family::V4, Family::V4],
                realms: ["access".into(), "core".into()],
                emergency: false,
                source_filter: false,
                inactivity: None,
            };
            self.owner += 1;
            if let Ok(anchor) = self.mgc.open(self.now, self.owner, spec, plan.clone()) {
                let call = Call {
                    anchor,
                    pending: Some(plan),
                    applied: Plan::default(),
                    locals: Locals::default(),
                };
                self.calls.insert(self.owner, call);
            }
            return;
        }
        if owners.is_empty() {
            return;
        }
        let owner = owners[self.entropy.below(owners.len() as u64) as usize];
        let call = &self.calls[&owner];
        let (anchor, streams) = (call.anchor, call.applied.streams.len());
        if self.entropy.chance(300) {
            self.mgc.release(self.now, anchor);
            self.calls.remove(&owner);
        } else if call.pending.is_none() {
            let plan = self.plan(streams);
            if self.mgc.apply(self.now, anchor, plan.clone()).is_ok()
                && let Some(call) = self.calls.get_mut(&owner)
            {
                call.pending = Some(plan);
            }
        }
    }

    /// The gateway has what the owners were told, and nothing else.
    fn compare(&self) {
        let mut expected = BTreeSet::new();
        for call in self.calls.values() {
            for (index, stream) in call.applied.streams.iter().enumerate() {
                for side in Side::BOTH {
                    let local = call.locals.get(index, side).expect("it is in use");
                    let (leg, own) = (&self.plane.legs[&local], &stream.sides[side.index()]);
                    let mode = match own.mode {
                        Mode::SendReceive => StreamMode::SendReceive,
                        Mode::SendOnly => StreamMode::SendOnly,
                        Mode::ReceiveOnly => StreamMode::ReceiveOnly,
                        Mode::Inactive => StreamMode::Inactive,
                    };
                    assert_eq!(leg.mode, mode);
                    assert_eq!(leg.remote, own.remote.map(|remote| remote.rtp));
                    assert!(expected.insert(local));
                }
            }
        }
        assert_eq!(self.plane.open, expected);
        let status = self.mg.status();
        assert_eq!(status.contexts, self.calls.len());
        assert_eq!(self.mgc.contexts(), self.calls.len());
        assert_eq!(self.mgc.gateways()[0].contexts, self.calls.len());
    }
}

fn storm(seed: u64, transactions: u64, encoding: Encoding) {
    println!("seed {seed}, {encoding:?}");
    let mut world = World::new(seed, encoding);
    world.is_bad = true;
    while world.mg.counters().transactions < transactions {
        world.act();
        let pause = world.entropy.below(100);
        world.run(Duration::from_millis(pause));
    }
    // What is on its way comes to its end; what nobody heard of is subtracted within 20 s.
    world.is_bad = false;
    world.run(Duration::from_secs(120));
    assert!(world.calls.values().all(|call| call.pending.is_none()));
    world.compare();
    assert!(world.applied > transactions / 4, "{}", world.applied);
    let anchors: Vec<AnchorId> = world.calls.values().map(|call| call.anchor).collect();
    for anchor in anchors {
        world.mgc.release(world.now, anchor);
    }
    world.calls.clear();
    world.run(Duration::from_secs(120));
    world.compare();
    assert_eq!(world.mg.status().ports_used, 0);
    println!("{} applied, {} lost", world.applied, world.lost);
}

#[test]
fn controller_and_gateway_agree_on_every_context() {
    let transactions = from_environment("STORM_TRANSACTIONS", 1_000);
    for seed in 0..from_environment("STORM_SEEDS", 3) {
        let encoding = match seed % 2 {
            0 => Encoding::Text(Style::Compact),
            _ => Encoding::Binary,
        };
        storm(seed, transactions, encoding);
    }
}
