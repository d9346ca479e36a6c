//! A controller, gateways and a network between them that may lose, repeat and reorder.

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::time::Duration;

use base::{Entropy, Instant};
use h248::transport::tpkt::{self, Framer};

use super::gateway_model::{Answer, GatewayModel, Kind};
use crate::counters::Counters;
use crate::journal::{Journal, Replay};
use crate::mgc::{
    AnchorEvent, AnchorId, AnchorSpec, Config, Family, Locals, Mgc, MgcOutput, Plan, SidePlan,
    StreamPlan,
};
use crate::node::StreamId;

pub const MGC: &str = "192.0.2.1:2944";

pub fn address(text: &str) -> SocketAddr {
    text.parse().unwrap()
}

pub fn secs(secs: u64) -> Duration {
    Duration::from_secs(secs)
}

pub struct World {
    pub now: Instant,
    pub mgc: Mgc,
    pub counters: Counters,
    pub gateways: Vec<GatewayModel>,
    /// News of anchors, with the owners' names.
    pub news: Vec<(u64, AnchorEvent)>,
    pub entropy: Entropy,
    /// Datagrams lost, repeated and late, each of 1000.
    pub trouble: u64,
    /// Every datagram sent to or by the controller.
    pub seen: Vec<Vec<u8>>,
    wire: BTreeMap<(Instant, u64), (SocketAddr, SocketAddr, Vec<u8>)>,
    sequence: u64,
    next_owner: u64,
    config: Config,
    /// What is in the controller's journal.
    journal: Vec<u8>,
    /// The connection of the first gateway, once it has made one; then it uses no datagrams.
    link: Option<StreamId>,
    links_made: u64,
    framer: Framer,
}

impl World {
    /// A controller and `count` gateways, of which it knows nothing yet.
    pub fn strangers(count: usize) -> Self {
        Self::with_config(count, Config::new(address(MGC)))
    }

    pub fn with_config(count: usize, config: Config) -> Self {
        let now = Instant::from_secs(1_700_000_000);
        let gateway = |index: usize| {
            let address = SocketAddr::new([192, 0, 2, 10 + index as u8].into(), 2944);
            GatewayModel::new(address, index as u64)
        };
        Self {
            now,
            mgc: Mgc::new(config.clone(), now, Entropy::from_u64(7)),
            counters: Counters::default(),
            gateways: (0..count).map(gateway).collect(),
            news: Vec::new(),
            entropy: Entropy::from_u64(1),
            trouble: 0,
            seen: Vec::new(),
            wire: BTreeMap::new(),
            sequence: 0,
            next_owner: 1,
            config,
            journal: Vec::new(),
            link: None,
            links_made: 0,
            framer: Framer::default(),
        }
    }

    /// The first gateway connects, from a port that it has not had before; what was on the way on
    /// an earlier connection is lost.
    pub fn connect(&mut self) {
        self.cut();
        self.links_made += 1;
        let stream = StreamId::accepted(self.links_made);
        let port = 40_000 + self.links_made as u16;
        let source = SocketAddr::new(self.gateways[0].address.ip(), port);
        self.mgc.handle_accepted(stream, source);
        (self.link, self.framer) = (Some(stream), Framer::default());
        self.gateways[0].endpoint.handle_connected(address(MGC));
        self.drain();
    }

    /// The connection of the first gateway breaks, and with it goes what is on the way.
    pub fn cut(&mut self) {
        let first = self.gateways[0].address;
        self.wire
            .retain(|_, (from, to, _)| *from != first && *to != first);
        if let Some(stream) = self.link.take() {
            self.mgc.handle_closed(stream);
            self.drain();
        }
    }

    fn send_on_link(&mut self, stream: StreamId, bytes: &[u8]) {
        assert_eq!(Some(stream), self.link, "on a connection that is there");
        self.framer.push(bytes);
        while let Some(message) = self.framer.next_message().unwrap() {
            let to = self.gateways[0].address;
            self.sequence += 1;
            let at = (self.now + Duration::from_millis(5), self.sequence);
            self.wire.insert(at, (address(MGC), to, message.to_vec()));
        }
    }

    /// Ends the controller and starts it anew, with its journal; nobody claims anything yet.
    pub fn restart(&mut self) {
        self.mgc = Mgc::new(self.config.clone(), self.now, Entropy::from_u64(9));
        self.mgc.restore(self.now, &mut self.replay());
        self.drain();
    }

    /// Drops the controller, and all that was on its way to or from it.
    pub fn kill(&mut self) {
        self.mgc = Mgc::new(self.config.clone(), self.now, Entropy::from_u64(8));
        let controller = address(MGC);
        self.wire
            .retain(|_, (from, to, _)| *from != controller && *to != controller);
    }

    /// What the journal holds.
    pub fn replay(&self) -> Replay {
        let mut replay = Replay::default();
        replay.read(&self.journal);
        replay
    }

    /// A controller with one gateway in service.
    pub fn new() -> Self {
        Self::with_gateways(1)
    }

    pub fn with_gateways(count: usize) -> Self {
        let mut world = Self::strangers(count);
        for index in 0..count {
            world.register(index, "RS", "901 Cold Boot");
        }
        world.settle();
        assert!(world.states().iter().all(|state| state == "in service"));
        world
    }

    /// Sends ServiceChange of ROOT.
    pub fn register(&mut self, index: usize, method: &str, reason: &str) {
        let change = format!("C=-{{SC=ROOT{{SV{{MT={method},V=3,RE=\"{reason}\"}}}}}}");
        self.ask(index, &change);
    }

    /// Lets a gateway send a request.
    pub fn ask(&mut self, index: usize, actions: &str) {
        self.gateways[index].ask(self.now, address(MGC), actions);
        self.drain();
    }

    /// How the first gateway answers its next request of a kind.
    pub fn answer(&mut self, kind: Kind, answer: Answer) {
        self.gateways[0].answers.push_back((kind, answer));
    }

    pub fn states(&self) -> Vec<String> {
        let gateways = self.mgc.gateways();
        gateways.into_iter().map(|status| status.state).collect()
    }

    // ---- what an entity does ----

    /// Opens an anchor; its owner has the number returned.
    pub fn open(&mut self, plan: Plan) -> (AnchorId, u64) {
        self.open_as(spec(), plan)
    }

    pub fn open_as(&mut self, spec: AnchorSpec, plan: Plan) -> (AnchorId, u64) {
        let owner = self.next_owner;
        self.next_owner += 1;
        let id = self.mgc.open(self.now, owner, spec, plan).unwrap();
        self.drain();
        (id, owner)
    }

    /// Opens an anchor and waits for it.
    pub fn opened(&mut self, plan: Plan) -> (AnchorId, Locals) {
        let (id, _) = self.open(plan);
        self.settle();
        (id, self.applied())
    }

    pub fn apply(&mut self, id: AnchorId, plan: Plan) {
        self.mgc.apply(self.now, id, plan).unwrap();
        self.drain();
    }

    pub fn release(&mut self, id: AnchorId) {
        self.mgc.release(self.now, id);
        self.drain();
    }

    /// The news since it was last asked for.
    pub fn news(&mut self) -> Vec<AnchorEvent> {
        self.news.drain(..).map(|(_, event)| event).collect()
    }

    /// The only news is that a plan is in force.
    pub fn applied(&mut self) -> Locals {
        match <[AnchorEvent; 1]>::try_from(self.news()) {
            Ok([AnchorEvent::Applied(locals)]) => locals,
            other => panic!("{other:?}"),
        }
    }

    /// What the first gateway was asked since the last time.
    pub fn asked(&mut self) -> Vec<String> {
        std::mem::take(&mut self.gateways[0].asked)
    }

    // ---- time ----

    /// Lets pass what takes no longer than a round trip or two.
    pub fn settle(&mut self) {
        self.run(Duration::from_millis(90));
    }

    pub fn run(&mut self, duration: Duration) {
        let end = self.now + duration;
        while self.step(end) {}
        self.now = end;
    }

    /// Does what comes next, unless that is after `end`.
    pub fn step(&mut self, end: Instant) -> bool {
        let wire = self.wire.keys().next().map(|key| key.0);
        let controller = self.mgc.next_timeout();
        let gateways = self.gateways.iter().filter_map(GatewayModel::next_timeout);
        let next = gateways.chain(wire).chain(controller).min();
        let Some(next) = next.filter(|&next| next <= end) else {
            return false;
        };
        self.now = self.now.max(next);
        if wire == Some(next) {
            let (_, (from, to, bytes)) = self.wire.pop_first().unwrap();
            self.deliver(from, to, &bytes);
        } else if controller == Some(next) {
            self.mgc.handle_timeout(self.now, &mut self.counters);
        } else {
            let now = self.now;
            for gateway in &mut self.gateways {
                gateway.handle_timeout(now, address(MGC));
            }
        }
        self.drain();
        true
    }

    fn deliver(&mut self, from: SocketAddr, to: SocketAddr, bytes: &[u8]) {
        if to == address(MGC) && self.links_made > 0 && from == self.gateways[0].address {
            let (Some(stream), Some(framed)) = (self.link, tpkt::frame(bytes)) else {
                return;
            };
            // Octets come as the network likes.
            for part in framed.chunks(100) {
                let counters = &mut self.counters;
                self.mgc.handle_received(self.now, counters, stream, part);
            }
            return;
        }
        if to == address(MGC) {
            let counters = &mut self.counters;
            return self.mgc.handle_datagram(self.now, counters, from, bytes);
        }
        let gateway = self.gateways.iter_mut().find(|it| it.address == to);
        if let Some(gateway) = gateway.filter(|gateway| !gateway.is_deaf) {
            gateway.endpoint.handle_input(self.now, from, bytes);
        }
    }

    pub fn drain(&mut self) {
        let mut journal = Journal::default();
        self.mgc.write_journal(&mut journal);
        self.journal.extend(journal.take().unwrap_or_default());
        while let Some(output) = self.mgc.poll_output() {
            match output {
                MgcOutput::Transmit { to, bytes } => self.transmit(address(MGC), to, bytes),
                MgcOutput::Anchor { owner, event, .. } => self.news.push((owner, event)),
                MgcOutput::Send { stream, bytes } => self.send_on_link(stream, &bytes),
                MgcOutput::Close(stream) => {
                    if self.link == Some(stream) {
                        self.link = None;
                    }
                }
                MgcOutput::Room(event) => panic!("{event:?}"),
            }
        }
        for index in 0..self.gateways.len() {
            let from = self.gateways[index].address;
            for (to, bytes) in self.gateways[index].drain(self.now) {
                self.transmit(from, to, bytes);
            }
        }
    }

    pub fn transmit(&mut self, from: SocketAddr, to: SocketAddr, bytes: Vec<u8>) {
        self.seen.push(bytes.clone());
        let copies = 1 + u64::from(self.entropy.chance(self.trouble / 3));
        for _ in 0..copies {
            if self.entropy.chance(self.trouble) {
                continue;
            }
            let late = if self.entropy.chance(self.trouble / 3) {
                300
            } else {
                1
            };
            let delay = Duration::from_millis(5 + self.entropy.below(late));
            self.sequence += 1;
            let at = (self.now + delay, self.sequence);
            self.wire.insert(at, (from, to, bytes.clone()));
        }
    }
}

pub fn spec() -> AnchorSpec {
    AnchorSpec {
        families: [Family::V4, Family::V4],
        realms: ["access".into(), "core".into()],
        emergency: false,
        source_filter: false,
        inactivity: Some(secs(300)),
    }
}

/// A stream of which the access side is known to be at `access`, the core side at `core`.
pub fn stream(access: Option<&str>, core: Option<&str>) -> StreamPlan {
    let side = |remote: Option<&str>| SidePlan {
        remote: remote.map(|remote| address(remote).into()),
        ..SidePlan::IDLE
    };
    StreamPlan {
        srtp: None,
        used: true,
        kind: "audio".into(),
        protocol: "RTP/AVP".into(),
        formats: vec!["8".into()],
        sides: [side(access), side(core)],
    }
}

pub const UE: &str = "203.0.113.5:40000";
pub const PEER: &str = "198.51.100.77:50000";

/// One audio stream offered by the UE.
pub fn offered() -> Plan {
    Plan {
        streams: vec![stream(Some(UE), None)],
    }
}

/// The same when it is answered.
pub fn answered() -> Plan {
    Plan {
        streams: vec![stream(Some(UE), Some(PEER))],
    }
}
