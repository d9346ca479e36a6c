//! A relay on the simulated network, and contexts of two terminations on it.
#![allow(dead_code, reason = "each test uses a part")]

#[path = "../spread/mod.rs"]
pub mod spread;

use base::Instant;
use dataplane::io::sim::{self, Network, Packet};
use dataplane::{
    Config, Control, DropReason, Event, FlowId, FlowStats, Latch, LocalAddress, LocalAddresses,
    Marking, Policing, SourceFilter, Turn, Worker, runtime,
};
use h248::message::StreamMode;
use spread::Spread;
use std::net::SocketAddr;
use std::time::Duration;
use trgw::{Leg, LegMedia, LegTones, Relay, Rtcp, compile};

pub struct Rig {
    pub now: Instant,
    pub control: Control,
    pub workers: Vec<Worker>,
    pub network: Network,
    spread: Spread,
}

pub const V4: &str = "192.0.2.1";
pub const V6: &str = "2001:db8::1";

impl Rig {
    pub fn new(workers: usize) -> Self {
        Self::with(workers, 256, Config::default())
    }

    pub fn with(workers: usize, frames: usize, config: Config) -> Self {
        let addresses = LocalAddresses::new(&[
            LocalAddress::new(V4.parse().unwrap(), 10_000..=10_199),
            LocalAddress::new(V6.parse().unwrap(), 10_000..=10_199),
        ])
        .unwrap();
        let spread = Spread::new();
        let (backend, network) = sim::backend(&addresses, spread.workers(workers), frames);
        let relay = |flows| Box::new(Relay::new(flows)) as Box<dyn dataplane::Function>;
        let (control, workers) = runtime(&config, backend, relay).unwrap();
        Self {
            now: Instant::from_secs(1_800_000_000),
            control,
            workers,
            network,
            spread,
        }
    }

    /// A leg on a fresh pair of ports, RTP both ways to `remote` and RTCP one port above it.
    pub fn leg(&mut self, local: SocketAddr, remote: SocketAddr) -> Leg {
        let (flow, rtcp) = self.control.open_pair(self.now, local).unwrap();
        Leg {
            flow,
            media: LegMedia::Rtp { clock_hz: 8000 },
            remote: Some(remote),
            rtcp: Rtcp::Port {
                flow: rtcp,
                remote: Some(next(remote)),
            },
            srtp: trgw::Protection::OFF,
            rtcp_srtp: trgw::Protection::OFF,
            has_dtls: false,
            mode: StreamMode::SendReceive,
            latch: Latch::Off,
            filter: SourceFilter::ANY,
            rtcp_filter: SourceFilter::ANY,
            policing: Policing::OFF,
            marking: Marking::default(),
            inactivity: None,
            report_first_packet: false,
            tones: LegTones::default(),
            translations: None,
        }
    }

    pub fn set(&mut self, legs: &[Leg]) {
        for (flow, path) in compile(legs, &[]).unwrap() {
            self.control.set_path(flow, path).unwrap();
        }
        self.settle();
    }

    pub fn settle(&mut self) {
        for _ in 0..100 {
            let now = self.now;
            let turns: Vec<Turn> = self
                .workers
                .iter_mut()
                .map(|worker| worker.turn(now))
                .collect();
            if turns.iter().all(|turn| *turn == Turn::Idle) {
                return;
            }
        }
        panic!("the workers do not come to rest");
    }

    pub fn pass(&mut self, time: Duration) {
        self.now += time;
        self.settle();
    }

    pub fn events(&mut self) -> Vec<Event> {
        let now = self.now;
        let events = std::iter::from_fn(|| self.control.poll_event(now)).collect();
        self.settle();
        events
    }

    /// Sends to worker 0, or spread, and returns what leaves.
    pub fn through(&mut self, from: SocketAddr, to: SocketAddr, payload: &[u8]) -> Vec<Packet> {
        let worker = self.spread.next(self.workers.len());
        self.through_worker(worker, from, to, payload)
    }

    pub fn through_worker(
        &mut self,
        worker: usize,
        from: SocketAddr,
        to: SocketAddr,
        payload: &[u8],
    ) -> Vec<Packet> {
        assert!(self.network.send(worker, from, to, payload));
        self.settle();
        std::iter::from_fn(|| self.network.receive()).collect()
    }

    pub fn drops(&self, reason: DropReason) -> u64 {
        self.control
            .worker_stats()
            .map(|stats| stats.drops.of(reason))
            .sum()
    }

    pub fn all_drops(&self) -> u64 {
        self.control
            .worker_stats()
            .map(|stats| stats.drops.total())
            .sum()
    }

    pub fn stats(&self, flow: FlowId) -> FlowStats {
        self.control.stats(flow)
    }
}

pub fn at(ip: &str, port: u16) -> SocketAddr {
    SocketAddr::new(ip.parse().unwrap(), port)
}

pub fn next(address: SocketAddr) -> SocketAddr {
    SocketAddr::new(address.ip(), address.port() + 1)
}

pub fn rtp_packet(sequence: u16, timestamp: u32) -> Vec<u8> {
    let mut packet = vec![0x55; rtp::HEADER_BYTES + 160];
    let header = rtp::Header {
        marker: false,
        payload_type: 8,
        sequence,
        timestamp,
        ssrc: 0xfeed_beef,
    };
    header.write_to(&mut packet).unwrap();
    packet
}

/// The whole of a telephone event in one packet, RFC 4733.
pub fn event_packet(sequence: u16, timestamp: u32) -> Vec<u8> {
    let mut packet = vec![0; rtp::HEADER_BYTES];
    let header = rtp::Header {
        marker: true,
        payload_type: 101,
        sequence,
        timestamp,
        ssrc: 0xfeed_beef,
    };
    header.write_to(&mut packet).unwrap();
    packet.extend_from_slice(&[5, 0x8a, 0, 160]);
    packet
}

/// A receiver report without blocks, RFC 3550 6.4.2.
pub const RTCP: [u8; 8] = [0x80, 201, 0, 1, 0xfe, 0xed, 0xbe, 0xef];
