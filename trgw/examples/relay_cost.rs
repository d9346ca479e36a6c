//! What one relayed RTP packet costs a worker, without a network: the loop, the table, the relay.
//!
//! Packets stand ready in frames and go round: what is sent is received again, so nothing is copied
//! and no system call is made. `cargo run --release -p trgw --example relay_cost [calls] [frames]`
#![allow(clippy::print_stdout, reason = "its output is its purpose")]

use base::Instant;
use dataplane::{
    Backend, Burst, Clock, Config, Datagram, DropCounts, Endpoint, Endpoints, FlowId, Frame,
    LocalAddress, LocalAddresses, Outgoing, PacketIo, io::Waker, runtime,
};
use h248::message::StreamMode;
use std::collections::VecDeque;
use std::io;
use std::net::{Ipv4Addr, SocketAddr};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;
use trgw::{Leg, LegMedia, LegTones, Relay, Rtcp, compile};

/// Octets of a G.711 packet of 20 ms.
const PAYLOAD_BYTES: usize = 172;
const PORTS_FIRST: u16 = 10_000;
const PORTS: u32 = 40_000;
const ROUNDS: usize = 7;
const PACKETS_PER_ROUND: usize = 4_000_000;

fn main() {
    let mut arguments = std::env::args()
        .skip(1)
        .map(|argument| argument.parse::<usize>());
    let calls = arguments
        .next()
        .and_then(Result::ok)
        .unwrap_or(1_000)
        .max(1);
    let frames = arguments
        .next()
        .and_then(Result::ok)
        .unwrap_or(4_096)
        .max(1_024);
    let flows = 2 * calls as u32;
    let addresses: Vec<LocalAddress> = (0..=flows / PORTS)
        .map(|index| {
            LocalAddress::new(
                ip(10, index).into(),
                PORTS_FIRST..=PORTS_FIRST + PORTS as u16 - 1,
            )
        })
        .collect();
    let addresses = LocalAddresses::new(&addresses).expect("the addresses differ");
    let running = Arc::new(AtomicBool::new(false));
    let treadmill = Treadmill::new(frames, flows, Arc::clone(&running));
    let backend = Backend {
        addresses,
        ios: vec![Box::new(treadmill)],
        endpoints: Box::new(NoEndpoints),
    };
    let relay = |flows| Box::new(Relay::new(flows)) as Box<dyn dataplane::Function>;
    let (mut control, mut workers) =
        runtime(&Config::default(), backend, relay).expect("one worker");
    let clock = Clock::start();
    let worker = &mut workers[0];

    for call in 0..calls as u32 {
        let legs = [2 * call, 2 * call + 1].map(|number| {
            let local = control
                .addresses()
                .local(FlowId(number))
                .expect("the address table has them all");
            let flow = control
                .open_flow(clock.now(), local)
                .expect("the port is free");
            leg(flow, number)
        });
        for (flow, path) in compile(&legs).expect("two legs") {
            control.set_path(flow, path).expect("there is room");
        }
        worker.turn(clock.now());
        while control.poll_event(clock.now()).is_some() {}
    }

    // Every flow latches; the mg thread's answers are awaited before anything is measured.
    running.store(true, Ordering::Relaxed);
    let mut latched = 0;
    while latched < flows || !control.is_settled() {
        worker.turn(clock.now());
        latched += std::iter::from_fn(|| control.poll_event(clock.now())).count() as u32;
    }
    let dropped = drops(&control);

    let mut best = f64::MAX;
    for round in 0..ROUNDS {
        let before = forwarded(&control);
        let start = clock.now();
        while forwarded(&control) - before < PACKETS_PER_ROUND as u64 {
            for _ in 0..100 {
                worker.turn(clock.now());
            }
        }
        let packets = forwarded(&control) - before;
        let nanos = clock.now().since(start).as_nanos() as f64 / packets as f64;
        best = best.min(nanos);
        println!("round {round}: {nanos:.1} ns per packet");
    }
    let stats = control.stats(FlowId(0));
    println!("{calls} calls, {frames} frames, best of {ROUNDS} rounds: {best:.1} ns per packet");
    println!("flow 0: {stats:?}");
    assert_eq!(drops(&control), dropped, "what is dropped is not relayed");
}

fn forwarded(control: &dataplane::Control) -> u64 {
    control.worker_stats().map(|stats| stats.forwarded).sum()
}

fn drops(control: &dataplane::Control) -> u64 {
    control
        .worker_stats()
        .map(|stats| stats.drops.total())
        .sum()
}

fn ip(first: u8, index: u32) -> Ipv4Addr {
    let [.., high, low] = (index + 1).to_be_bytes();
    Ipv4Addr::new(first, 0, high, low)
}

fn remote(number: u32) -> SocketAddr {
    SocketAddr::from((
        ip(20, number / PORTS),
        PORTS_FIRST + (number % PORTS) as u16,
    ))
}

fn leg(flow: FlowId, number: u32) -> Leg {
    Leg {
        flow,
        media: LegMedia::Rtp { clock_hz: 8000 },
        remote: Some(remote(number)),
        rtcp: Rtcp::None,
        receives: dataplane::Srtp::Off,
        sends: dataplane::Srtp::Off,
        mode: StreamMode::SendReceive,
        latch: dataplane::Latch::First { request: 1 },
        filter: dataplane::SourceFilter::ANY,
        rtcp_filter: dataplane::SourceFilter::ANY,
        policing: dataplane::Policing::OFF.with_sustained(u32::MAX, u32::MAX),
        marking: dataplane::Marking::Dscp(46),
        inactivity: Some(Duration::from_secs(10)),
        report_first_packet: false,
        tones: LegTones::default(),
    }
}

/// Frames that go round: each holds an RTP packet, to each flow in turn.
struct Treadmill {
    frames: VecDeque<Frame>,
    flows: u32,
    next: u32,
    sequence: u16,
    running: Arc<AtomicBool>,
}

impl Treadmill {
    fn new(frames: usize, flows: u32, running: Arc<AtomicBool>) -> Self {
        let mut frames: VecDeque<Frame> = Frame::pool(frames).into();
        for frame in &mut frames {
            let mut packet = [0x55; PAYLOAD_BYTES];
            let header = rtp::Header {
                payload_type: 8,
                ssrc: 7,
                ..rtp::Header::default()
            };
            header
                .write_to(&mut packet)
                .expect("it is longer than a header");
            frame.fill(&packet);
        }
        Self {
            frames,
            flows,
            next: 0,
            sequence: 0,
            running,
        }
    }
}

impl PacketIo for Treadmill {
    fn rx_burst(&mut self, now: Instant, burst: &mut Burst, _: &mut DropCounts) {
        if !self.running.load(Ordering::Relaxed) {
            return;
        }
        while !burst.is_full()
            && let Some(mut frame) = self.frames.pop_front()
        {
            if let Ok(mut packet) = rtp::Packet::new(frame.payload_mut()) {
                packet.set_sequence(self.sequence);
                packet.set_timestamp(u32::from(self.sequence) * 160);
            }
            let datagram = Datagram::new(frame, FlowId(self.next), remote(self.next), now);
            self.next += 1;
            if self.next == self.flows {
                (self.next, self.sequence) = (0, self.sequence.wrapping_add(1));
            }
            if let Err(datagram) = burst.push(datagram) {
                self.frames.push_back(datagram.frame);
            }
        }
    }

    fn alloc(&mut self, _: &mut Vec<Frame>, _: usize) {}

    fn tx_burst(&mut self, outgoing: &mut Vec<Outgoing>, _: &mut DropCounts) {
        self.frames
            .extend(outgoing.drain(..).map(|datagram| datagram.frame));
    }

    fn free(&mut self, frames: &mut Vec<Frame>) {
        self.frames.extend(frames.drain(..));
    }

    fn open(&mut self, _: FlowId, _: Endpoint, _: &mut DropCounts) {}

    fn close(&mut self, _: FlowId, _: bool) -> Option<Endpoint> {
        None
    }

    fn wait(&mut self, _: Option<Duration>) {}

    fn waker(&self) -> Waker {
        Waker::none()
    }
}

struct NoEndpoints;

impl Endpoints for NoEndpoints {
    fn open(&mut self, _: FlowId, _: SocketAddr) -> io::Result<Endpoint> {
        Ok(Endpoint::Virtual)
    }

    fn stop(&mut self, _: FlowId) -> bool {
        false
    }
}
