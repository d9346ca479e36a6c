//! More comes than passes, in memory: `cargo bench -p trgw --bench overload [-- STREAMS]`.
//!
//! RTP of so many streams, each in turn, comes at half of what the relay passes at most, at that,
//! at twice and at four times as much, and at half again. It waits in a ring of 4 096 packets, and
//! is lost where that is full, as on a NIC. Time is the processor time of the thread, which other
//! work on the machine does not take from it. Said are the share of the maximum that passes, the
//! least and the most of a stream beside the mean, how much of what was offered in the last
//! millisecond of each was lost, and how long packets waited in the middle.
#![allow(clippy::print_stdout, reason = "its output is its purpose")]

use std::collections::VecDeque;
use std::io;
use std::net::SocketAddr;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use base::Instant;
use dataplane::io::Waker;
use dataplane::{
    Backend, Burst, Config, Datagram, DropCounts, Endpoint, Endpoints, FlowId, Frame, Function,
    Latch, LocalAddress, LocalAddresses, Marking, Outgoing, PacketIo, Policing, SourceFilter,
    Worker, runtime,
};
use h248::message::StreamMode;
use rustix::time::{ClockId, clock_gettime};
use trgw::{Leg, LegMedia, LegTones, Protection, Relay, Rtcp, compile};

const STREAMS_DEFAULT: u16 = 2_000;
const RING: u64 = 4096;
const PAYLOAD_BYTES: usize = 172;

fn main() {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let is_bench = arguments.iter().any(|argument| argument == "--bench");
    let streams = arguments.iter().find_map(|text| text.parse().ok());
    let streams: u16 = streams.unwrap_or(STREAMS_DEFAULT) & !1;
    let lasts = Duration::from_millis(if is_bench { 2_000 } else { 20 });
    let load = Arc::new(Mutex::new(Load::new(streams)));
    let mut worker = worker(streams, &load);
    run(&mut worker, &load, f64::INFINITY, lasts / 4);
    let most = run(&mut worker, &load, f64::INFINITY, lasts).passed;
    println!("{streams} streams, {:.0} packets/s at most", most);
    println!("offered  passed   least    most  lost at the end  waited");
    for share in [0.5, 1.0, 2.0, 4.0, 0.5] {
        let seen = run(&mut worker, &load, share * most, lasts);
        // A small run is too short for that.
        assert!(!is_bench || seen.least > 0.9, "streams differ");
        println!(
            "{share:7.1} {:7.3} {:7.3} {:7.3} {:16} {:7.1?}",
            seen.passed / most,
            seen.least,
            seen.most,
            seen.lost_at_the_end,
            seen.waited
        );
    }
}

/// What a run showed.
struct Seen {
    /// Packets a second.
    passed: f64,
    /// Beside the mean.
    least: f64,
    most: f64,
    lost_at_the_end: u64,
    waited: Duration,
}

fn run(worker: &mut Worker, load: &Arc<Mutex<Load>>, rate: f64, lasts: Duration) -> Seen {
    let start = thread_time();
    lock(load).begin(start, rate);
    let mut now = start;
    let mut lost_before = 0;
    while now.since(start) < lasts {
        worker.turn(now);
        now = thread_time();
        if now.since(start) + Duration::from_millis(1) < lasts {
            lost_before = lock(load).lost;
        }
    }
    let mut load = lock(load);
    let sent: u64 = load.sent.iter().sum();
    let mean = sent as f64 / load.sent.len() as f64;
    let beside_mean = |packets: Option<&u64>| packets.map_or(0.0, |&packets| packets as f64 / mean);
    load.waits.sort_unstable();
    let middle = load.waits.get(load.waits.len() / 2);
    Seen {
        passed: sent as f64 / now.since(start).as_secs_f64(),
        least: beside_mean(load.sent.iter().min()),
        most: beside_mean(load.sent.iter().max()),
        lost_at_the_end: load.lost - lost_before,
        waited: Duration::from_nanos(middle.copied().unwrap_or(0)),
    }
}

fn thread_time() -> Instant {
    let time = clock_gettime(ClockId::ThreadCPUTime);
    Instant::from_secs(1_800_000_000) + Duration::new(time.tv_sec as u64, time.tv_nsec as u32)
}

fn lock(load: &Mutex<Load>) -> std::sync::MutexGuard<'_, Load> {
    load.lock().unwrap_or_else(PoisonError::into_inner)
}

fn near(stream: u16) -> SocketAddr {
    SocketAddr::from(([10, 0, 0, 1], 10_000 + 2 * stream))
}

fn far(stream: u16) -> SocketAddr {
    SocketAddr::from(([10, 0, 0, 2], 10_000 + 2 * stream))
}

/// A worker that relays between each two streams.
fn worker(streams: u16, load: &Arc<Mutex<Load>>) -> Worker {
    let ports = near(0).port()..=near(streams).port();
    let addresses = LocalAddresses::new(&[LocalAddress::new(near(0).ip(), ports)]);
    let backend = Backend {
        addresses: addresses.expect("it is one"),
        ios: vec![Box::new(LoadedIo(Arc::clone(load)))],
        endpoints: Box::new(NoEndpoints),
    };
    let config = Config {
        commands_max: 1 << 16,
        ..Config::default()
    };
    let relay = |flows| Box::new(Relay::new(flows)) as Box<dyn Function>;
    let (mut control, mut workers) = runtime(&config, backend, relay).expect("one worker");
    let now = thread_time();
    for call in 0..streams / 2 {
        let legs = [2 * call, 2 * call + 1].map(|stream| {
            let flow = control.open_flow(now, near(stream)).expect("it is free");
            lock(load).flows.push(flow);
            leg(flow, far(stream))
        });
        for (flow, path) in compile(&legs, &[]).expect("two legs") {
            control.set_path(flow, path).expect("there is room");
        }
    }
    let mut worker = workers.pop().expect("there is one");
    while !control.is_settled() {
        worker.turn(now);
        while control.poll_event(now).is_some() {}
    }
    // The worker ends with it, but only if it runs by itself.
    drop(control);
    worker
}

fn leg(flow: FlowId, host: SocketAddr) -> Leg {
    Leg {
        flow,
        media: LegMedia::Rtp { clock_hz: 8000 },
        remote: Some(host),
        rtcp: Rtcp::None,
        rtcp_srtp: Protection::OFF,
        srtp: Protection::OFF,
        has_dtls: false,
        mode: StreamMode::SendReceive,
        latch: Latch::Off,
        filter: SourceFilter::ANY
            .network(host.ip(), 32)
            .ports(host.port()..=host.port()),
        rtcp_filter: SourceFilter::ANY,
        policing: Policing::OFF
            .with_peak(u32::MAX, Duration::from_millis(100))
            .with_sustained(u32::MAX, 1 << 30),
        marking: Marking::default(),
        inactivity: Some(Duration::from_secs(10)),
        report_first_packet: false,
        tones: LegTones::default(),
        translations: None,
    }
}

/// What is offered, and what becomes of it.
struct Load {
    pool: VecDeque<Frame>,
    flows: Vec<FlowId>,
    /// Packets that passed, by the stream they came by.
    sent: Vec<u64>,
    lost: u64,
    /// Nanoseconds that some waited in the ring.
    waits: Vec<u64>,
    /// Nanoseconds between two packets.
    gap: f64,
    start: Instant,
    /// Packets that came.
    come: u64,
    /// Those that wait, by their number.
    ring: VecDeque<u64>,
    sequences: Vec<u16>,
}

impl Load {
    fn new(streams: u16) -> Self {
        let mut packet = [0x55; PAYLOAD_BYTES];
        let header = rtp::Header {
            payload_type: 8,
            ssrc: 7,
            ..rtp::Header::default()
        };
        header.write_to(&mut packet).expect("it is longer");
        let mut frames = Frame::pool(RING as usize);
        for frame in &mut frames {
            frame.fill(&packet);
        }
        Self {
            pool: frames.into(),
            flows: Vec::new(),
            sent: vec![0; streams.into()],
            lost: 0,
            waits: Vec::new(),
            gap: 0.0,
            start: Instant::from_secs(0),
            come: 0,
            ring: VecDeque::with_capacity(RING as usize),
            sequences: vec![0; streams.into()],
        }
    }

    fn begin(&mut self, now: Instant, rate: f64) {
        (self.start, self.gap) = (now, 1e9 / rate);
        (self.come, self.lost) = (0, 0);
        self.ring.clear();
        self.sent.fill(0);
        self.waits.clear();
    }

    fn receive(&mut self, now: Instant, burst: &mut Burst) {
        let passed = now.since(self.start).as_nanos() as f64;
        let room = RING - self.ring.len() as u64;
        let come = match self.gap {
            0.0 => self.come + room,
            gap => (passed / gap) as u64,
        };
        let taken = room.min(come - self.come);
        self.ring.extend(self.come..self.come + taken);
        self.lost += come - self.come - taken;
        self.come = come;
        while !burst.is_full()
            && let Some(number) = self.ring.pop_front()
        {
            // There are as many as burst and worker can hold.
            let mut frame = self.pool.pop_front().expect("one is free");
            if number.is_multiple_of(64) && self.gap > 0.0 {
                let waited = passed - number as f64 * self.gap;
                self.waits.push(waited as u64);
            }
            let stream = (number % self.sent.len() as u64) as usize;
            if let Ok(mut packet) = rtp::Packet::new(frame.payload_mut()) {
                packet.set_sequence(self.sequences[stream]);
                packet.set_timestamp(u32::from(self.sequences[stream]) * 160);
            }
            self.sequences[stream] = self.sequences[stream].wrapping_add(1);
            let source = far(stream as u16);
            let datagram = Datagram::new(frame, self.flows[stream], source, now);
            burst.push(datagram).expect("there is room");
        }
    }
}

struct LoadedIo(Arc<Mutex<Load>>);

impl PacketIo for LoadedIo {
    fn rx_burst(&mut self, now: Instant, burst: &mut Burst, _: &mut DropCounts) {
        lock(&self.0).receive(now, burst);
    }

    fn alloc(&mut self, _: &mut Vec<Frame>, _: usize) {}

    fn tx_burst(&mut self, outgoing: &mut Vec<Outgoing>, _: &mut DropCounts) {
        let load = &mut *lock(&self.0);
        for datagram in outgoing.drain(..) {
            // To the other of its call.
            let to = usize::from(datagram.destination.port() - far(0).port()) / 2;
            load.sent[to ^ 1] += 1;
            load.pool.push_back(datagram.frame);
        }
    }

    fn free(&mut self, frames: &mut Vec<Frame>) {
        lock(&self.0).pool.extend(frames.drain(..));
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
