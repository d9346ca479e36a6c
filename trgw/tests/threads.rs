//! Packets of calls that arrive at workers on threads of their own, now here and now there: none is
//! lost, none comes twice, and each comes as it should.

mod context;

use base::Entropy;
use context::{RTCP, Rig, V4, at, next, rtp_packet};
use dataplane::io::sim::{Network, Packet};
use dataplane::{Clock, Config, Latch, Srtp, Translation, Turn, Worker};
use srtp::{MasterKey, Receiver, Sender, Suite};
use std::collections::BTreeSet;
use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};
use trgw::{Leg, Protection, Rtcp};

const WORKERS: usize = 3;
/// Packets each way of each call.
const PACKETS: u16 = 1_000;
/// Packets on their way at a time: fewer than any ring holds.
const WINDOW: u16 = 20;
/// Where each call's legs have their ports, each with one for RTCP.
const CALLS: [u16; 5] = [10_000, 10_010, 10_020, 10_030, 10_040];

/// The other end of a leg.
struct Party {
    address: SocketAddr,
    local: SocketAddr,
    keys: Option<(Sender, Receiver)>,
    /// Its RTCP comes by the port of the media.
    is_muxed: bool,
    /// Payload type that it says and hears.
    payload_type: u8,
    heard: BTreeSet<u16>,
    reports: usize,
}

impl Party {
    fn says(&self, number: u16) -> Vec<u8> {
        let mut packet = rtp_packet(number, u32::from(number) * 160);
        packet[1] = self.payload_type;
        // The two sides are of different sources, as they are in calls.
        packet[11] = self.local.port() as u8;
        self.protected(packet, Sender::protect)
    }

    fn report(&self) -> Vec<u8> {
        self.protected(RTCP.to_vec(), Sender::protect_rtcp)
    }

    fn protected(&self, mut packet: Vec<u8>, protect: Protect) -> Vec<u8> {
        if let Some((sender, _)) = &self.keys {
            let len = packet.len();
            packet.resize(len + 64, 0);
            let len = protect(sender, &mut packet, len).expect("it can be protected");
            packet.truncate(len);
        }
        packet
    }

    /// From where its RTCP comes, and whereto.
    fn control(&self) -> (SocketAddr, SocketAddr) {
        match self.is_muxed {
            true => (self.address, self.local),
            false => (next(self.address), next(self.local)),
        }
    }

    fn hears(&mut self, mut packet: Vec<u8>, is_report: bool) {
        if let Some((_, receiver)) = &self.keys {
            let opened = match is_report {
                true => receiver.unprotect_rtcp(&mut packet),
                false => receiver.unprotect(&mut packet),
            };
            packet.truncate(opened.expect("it is authentic and comes once"));
        }
        if is_report {
            assert_eq!(packet, RTCP);
            self.reports += 1;
            return;
        }
        let packet = rtp::Packet::new(&packet[..]).expect("RTP");
        assert_eq!(packet.payload_type(), self.payload_type);
        assert!(self.heard.insert(packet.sequence()), "it comes once");
    }
}

type Protect = fn(&Sender, &mut [u8], usize) -> Result<usize, srtp::Error>;

/// Both legs of a call and their other ends. Each call has a function of its own.
fn call(rig: &mut Rig, number: usize) -> ([Leg; 2], [Party; 2]) {
    let port = CALLS[number];
    let suite = Suite::AesCm128HmacSha1_80;
    let key = |seed: u8| MasterKey::new(suite, &[seed; 30]).expect("a key");
    let mut legs = Vec::new();
    let mut parties = Vec::new();
    for (index, host) in ["203.0.113.1", "198.51.100.1"].into_iter().enumerate() {
        let local = at(V4, port + 4 * index as u16);
        let address = at(host, port + 4 * index as u16);
        let mut leg = rig.leg(local, address);
        let mut party = Party {
            address,
            local,
            keys: None,
            is_muxed: false,
            payload_type: 8,
            heard: BTreeSet::new(),
            reports: 0,
        };
        match number {
            // SRTP on both sides, with keys of their own.
            1 => {
                let (hears, says) = (10 + index as u8, 20 + index as u8);
                leg.srtp = Protection {
                    receives: Srtp::On(Arc::new(Receiver::new(&[key(says)]).expect("a key"))),
                    sends: Srtp::On(Arc::new(Sender::new(&key(hears)).expect("a key"))),
                };
                leg.rtcp_srtp = leg.srtp.clone();
                let sender = Sender::new(&key(says)).expect("a key");
                let receiver = Receiver::new(&[key(hears)]).expect("a key");
                party.keys = Some((sender, receiver));
            }
            // RTCP on the port of the media of one side.
            2 if index == 0 => {
                leg.rtcp = Rtcp::Muxed;
                party.is_muxed = true;
            }
            3 if index == 0 => leg.latch = Latch::First { request: 1 },
            // Another payload type on each side.
            4 => {
                party.payload_type = [8, 0][index];
                let [from, to] = [[8, 0], [0, 8]][index];
                let octets = None;
                leg.translations = Some([Translation { from, to, octets }].into());
            }
            _ => {}
        }
        legs.push(leg);
        parties.push(party);
    }
    let legs = legs.try_into().expect("two");
    (legs, parties.try_into().ok().expect("two"))
}

/// A worker's turns until it is told to stop.
fn run(mut worker: Worker, clock: Clock, stop: &AtomicBool) {
    while !stop.load(Ordering::Relaxed) {
        if worker.turn(clock.now()) == Turn::Idle {
            std::thread::sleep(Duration::from_micros(50));
        }
    }
}

#[test]
fn no_packet_is_lost_or_doubled_whichever_thread_receives_it() {
    let mut rig = Rig::with(WORKERS, 1024, Config::default());
    let (mut all, mut parties) = (Vec::new(), Vec::new());
    for number in 0..CALLS.len() {
        let (legs, ends) = call(&mut rig, number);
        rig.set(&legs);
        all.push(legs);
        parties.extend(ends);
    }
    begin(&mut rig, &mut parties);
    let (clock, stop) = (Clock::start(), AtomicBool::new(false));
    let workers = std::mem::take(&mut rig.workers);
    std::thread::scope(|scope| {
        for worker in workers {
            scope.spawn(|| run(worker, clock, &stop));
        }
        let passed = std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| {
            talk(&mut rig.network, &mut parties);
        }));
        stop.store(true, Ordering::Relaxed);
        passed.unwrap_or_else(|fault| std::panic::resume_unwind(fault));
    });
    assert_eq!(rig.all_drops(), 0);
    for party in &parties {
        assert_eq!(
            party.heard.len(),
            usize::from(PACKETS) + 1,
            "{}",
            party.local
        );
        assert_eq!(
            party.reports,
            usize::from(PACKETS / WINDOW) + 1,
            "{}",
            party.local
        );
    }
    for leg in all.iter().flatten() {
        let stats = rig.stats(leg.flow);
        assert_eq!(stats.reception.lost, 0);
        assert_eq!(stats.reception.expected, u64::from(PACKETS) + 1);
    }
}

/// The first packet and the first report of each side, one after the other, so that it is known
/// where to send to.
fn begin(rig: &mut Rig, parties: &mut [Party]) {
    for index in 0..parties.len() {
        let party = &parties[index];
        let (from, to) = party.control();
        let mut sent = rig.through(party.address, party.local, &party.says(0));
        rig.events();
        sent.extend(rig.through(from, to, &party.report()));
        rig.events();
        for packet in sent {
            hear(parties, packet);
        }
    }
}

/// Everybody talks, a few packets at a time, each to a worker drawn at random.
fn talk(network: &mut Network, parties: &mut [Party]) {
    let mut entropy = Entropy::from_u64(7);
    let mut worker = || entropy.below(WORKERS as u64) as usize;
    for first in (1..=PACKETS).step_by(usize::from(WINDOW)) {
        for number in first..first + WINDOW {
            for party in parties.iter() {
                let packet = party.says(number);
                assert!(network.send(worker(), party.address, party.local, &packet));
            }
        }
        for party in parties.iter() {
            let (from, to) = party.control();
            assert!(network.send(worker(), from, to, &party.report()));
        }
        // Each hears one report, and the window.
        let mut missing = parties.len() * (usize::from(WINDOW) + 1);
        let waits = Instant::now();
        while missing > 0 {
            match network.receive() {
                Some(packet) => {
                    hear(parties, packet);
                    missing -= 1;
                }
                None => std::thread::sleep(Duration::from_micros(50)),
            }
            assert!(waits.elapsed() < PATIENCE, "{missing} packets are missing");
        }
    }
}

/// Gives a packet to whom it is for.
fn hear(parties: &mut [Party], packet: Packet) {
    let to = packet.destination;
    let is_report = packet.payload[1] == RTCP[1];
    let is_for = |party: &&mut Party| match is_report {
        true => party.control().0 == to,
        false => party.address == to,
    };
    let party = parties.iter_mut().find(is_for);
    party
        .expect("it is for somebody")
        .hears(packet.payload, is_report);
}

/// After so long a packet is lost.
const PATIENCE: Duration = Duration::from_secs(60);

const _: () = assert!(PACKETS.is_multiple_of(WINDOW));
