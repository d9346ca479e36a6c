//! What one relayed RTP packet costs a worker, without a network: `cargo bench -p trgw --bench
//! relay_cost [-- [frames|bare|relay] FLOWS FRAMES]`.
//!
//! Frames of 214 octets lie in memory as a NIC would leave them: Ethernet, IPv4, UDP with its
//! checksum, 20 ms of G.711. Each is parsed and its checksums verified, its flow is found, the
//! relay judges and counts it (source filter, latch, policing, reception), and it is written anew
//! with headers and checksums of the other side. Flows come in an order that no prefetcher of the
//! processor guesses, on addresses of 20 000 ports each; every second packet of a flow goes the
//! other way.
//!
//! `bare` is the same without worker and relay: parsed, looked up, rewritten. `frames` is what it
//! takes to put the frames there, which the other two contain. Each figure is that of the best lap
//! over all flows and of the median one, in nanoseconds of the thread's own time for a packet.
//! `untimed` beside them asks for no time, for tools that count instructions: those of two runs of
//! different `LAPS=` differ by what the packets between them take.
#![allow(clippy::print_stdout, reason = "its output is its purpose")]

use base::Instant;
use dataplane::{
    Backend, Burst, Clock, Config, Control, Datagram, DropCounts, DropReason, Endpoint, Endpoints,
    FlowId, Frame, HEADROOM_BYTES, LocalAddress, LocalAddresses, Marking, Outgoing, PacketIo,
    Policing, SourceFilter, Worker, io::Waker, runtime,
};
use h248::message::StreamMode;
use inet::{Headers, Link, MacAddress, UdpFrame, checksum};
use rustix::time::{ClockId, clock_gettime};
use std::collections::VecDeque;
use std::hint::black_box;
use std::io;
use std::net::{Ipv4Addr, SocketAddr};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;
use trgw::{Leg, LegMedia, Relay, Rtcp, compile};

/// Octets of a G.711 packet of 20 ms.
const PAYLOAD_BYTES: usize = 172;
/// Of Ethernet, IPv4 and UDP.
const HEADERS_BYTES: usize = 42;
const FIRST: usize = HEADROOM_BYTES - HEADERS_BYTES;
const LAST: usize = HEADROOM_BYTES + PAYLOAD_BYTES;
const PORTS: u32 = 20_000;
const PORTS_FIRST: u16 = 10_000;
const LAPS_MIN: usize = 100;
const PACKETS_MIN: usize = 10_000_000;
const UNTIMED: &str = "untimed";
/// DSCP of speech, with no ECN.
const EXPEDITED: u8 = 46 << 2;
const FLOWS_DEFAULT: usize = 100_000;
/// A ring of a NIC, as long as testpmd makes it.
const FRAMES_DEFAULT: usize = 1024;

fn main() {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let mut numbers = arguments.iter().filter_map(|text| text.parse().ok());
    let flows = numbers.next().unwrap_or(FLOWS_DEFAULT).next_multiple_of(2);
    let frames = numbers.next().unwrap_or(FRAMES_DEFAULT).max(64);
    let is_bench = arguments.iter().any(|argument| argument == "--bench");
    let (flows, laps) = if is_bench {
        (flows, LAPS_MIN.max(PACKETS_MIN / flows))
    } else {
        (1_000, 3)
    };
    let laps = std::env::var("LAPS").map_or(Ok(laps), |laps| laps.parse());
    let laps = laps.expect("LAPS is a number");
    let is_timed = !arguments.iter().any(|argument| argument == UNTIMED);
    println!("{flows} flows, {frames} frames");
    let addresses = addresses(flows as u32);
    let is_wanted = |what: &str| {
        let words = arguments
            .iter()
            .filter(|word| is_word(word) && *word != UNTIMED);
        let mut words = words.peekable();
        words.peek().is_none() || words.any(|word| word == what)
    };
    let laps = Laps { laps, is_timed };
    type Measure = fn(&LocalAddresses, usize, usize, Laps) -> Vec<f64>;
    let measures: [(&str, Measure); 3] = [("frames", fill), ("bare", bare), ("relay", relay)];
    for (what, measure) in measures {
        if is_wanted(what) {
            report(what, &measure(&addresses, flows, frames, laps));
        }
    }
}

fn is_word(argument: &str) -> bool {
    argument.starts_with(char::is_alphabetic)
}

fn report(what: &str, laps: &[f64]) {
    let mut laps = laps.to_vec();
    laps.sort_by(f64::total_cmp);
    let (best, median) = (laps[0], laps[laps.len() / 2]);
    println!("{what:>7}: best {best:5.1} ns, median {median:5.1} ns");
}

/// How often all flows have a packet, and whether that is timed.
#[derive(Clone, Copy)]
struct Laps {
    laps: usize,
    is_timed: bool,
}

/// Nanoseconds of a packet in each lap over all flows.
fn time_laps(laps: Laps, flows: usize, mut lap: impl FnMut()) -> Vec<f64> {
    let thread_nanos = || {
        if !laps.is_timed {
            return 0.0;
        }
        let time = clock_gettime(ClockId::ThreadCPUTime);
        time.tv_sec as f64 * 1e9 + time.tv_nsec as f64
    };
    let laps = (0..laps.laps).map(|_| {
        let before = thread_nanos();
        lap();
        (thread_nanos() - before) / flows as f64
    });
    laps.collect()
}

fn fill(addresses: &LocalAddresses, flows: usize, frames: usize, laps: Laps) -> Vec<f64> {
    let mut wire = Wire::new(addresses, flows);
    let mut pool = speech(frames);
    time_laps(laps, flows, || {
        for index in 0..flows {
            let frame = &mut pool[index % frames];
            let start = frame.headroom();
            frame.set_payload(FIRST, HEADERS_BYTES + PAYLOAD_BYTES);
            wire.next(frame.payload_mut());
            frame.set_payload(start, PAYLOAD_BYTES);
        }
    })
}

fn bare(addresses: &LocalAddresses, flows: usize, frames: usize, laps: Laps) -> Vec<f64> {
    let mut wire = Wire::new(addresses, flows);
    let ways = ways(flows);
    let link = link();
    let mut pool: Vec<&'static mut [u8]> =
        speech(frames).into_iter().map(Frame::into_memory).collect();
    time_laps(laps, flows, || {
        for burst in 0..flows / dataplane::BURST_MAX {
            let first = burst * dataplane::BURST_MAX % frames;
            let mut found = [(0, 0, None); dataplane::BURST_MAX];
            for memory in &pool[first..first + dataplane::BURST_MAX] {
                memory::prefetch_lines(&memory[FIRST..], 4);
            }
            for memory in &mut pool[first..first + dataplane::BURST_MAX] {
                wire.next(&mut memory[FIRST..LAST]);
            }
            for (place, memory) in found.iter_mut().zip(&pool[first..]) {
                let parsed = UdpFrame::parse_plain(&memory[FIRST..LAST]).expect("it is good");
                let flow = addresses.find(parsed.destination).expect("it is ours");
                let start = FIRST + parsed.payload.start;
                *place = (flow.0 as usize, start, parsed.payload_sum);
                memory::prefetch(&ways[flow.0 as usize ^ 1]);
            }
            for (&(flow, start, sum), memory) in found.iter().zip(&mut pool[first..]) {
                let local = addresses.local(FlowId((flow ^ 1) as u32));
                let local = local.expect("it was found");
                let headers = Headers::with_traffic_class(&local, &ways[flow ^ 1], EXPEDITED);
                let headers = headers.expect("both are IPv4");
                let written = headers.write_summed_before(&link, memory, start, PAYLOAD_BYTES, sum);
                black_box(written.expect("there is room"));
            }
        }
    })
}

fn relay(addresses: &LocalAddresses, flows: usize, frames: usize, laps: Laps) -> Vec<f64> {
    let running = Arc::new(AtomicBool::new(false));
    let io = MemoryIo::new(addresses, flows, frames, Arc::clone(&running));
    let backend = Backend {
        addresses: addresses.clone(),
        ios: vec![Box::new(io)],
        endpoints: Box::new(NoEndpoints),
    };
    let relay = |flows| Box::new(Relay::new(flows)) as Box<dyn dataplane::Function>;
    let (mut control, mut workers) =
        runtime(&Config::default(), backend, relay).expect("one worker");
    let clock = Clock::start();
    let worker = &mut workers[0];
    connect(&mut control, worker, clock, flows as u32);

    // Every flow latches; the mg thread's answers are awaited before anything is measured.
    running.store(true, Ordering::Relaxed);
    let mut latched = 0;
    while latched < flows || !control.is_settled() {
        worker.turn(clock.now());
        latched += std::iter::from_fn(|| control.poll_event(clock.now())).count();
    }
    let dropped = drops(&control);
    let laps = time_laps(laps, flows, || {
        let until = forwarded(&control) + flows as u64;
        while forwarded(&control) < until {
            worker.turn(clock.now());
        }
    });
    assert_eq!(drops(&control), dropped, "what is dropped is not relayed");
    let stats = control.stats(FlowId(0));
    assert!(
        stats.packets_received > 0 && stats.reception.lost == 0,
        "{stats:?}"
    );
    laps
}

/// Opens every flow, each pair a call.
fn connect(control: &mut Control, worker: &mut Worker, clock: Clock, flows: u32) {
    for call in 0..flows / 2 {
        let legs = [2 * call, 2 * call + 1].map(|number| {
            let local = control.addresses().local(FlowId(number));
            let local = local.expect("the address table has them all");
            let opened = control.open_flow(clock.now(), local);
            leg(opened.expect("the port is free"), number)
        });
        for (flow, path) in compile(&legs, &[]).expect("two legs") {
            control.set_path(flow, path).expect("there is room");
        }
        worker.turn(clock.now());
        while control.poll_event(clock.now()).is_some() {}
    }
}

fn forwarded(control: &Control) -> u64 {
    control.worker_stats().map(|stats| stats.forwarded).sum()
}

fn drops(control: &Control) -> u64 {
    let workers = control.worker_stats();
    workers.map(|stats| stats.drops.total()).sum()
}

fn addresses(flows: u32) -> LocalAddresses {
    let all: Vec<LocalAddress> = (0..flows.div_ceil(PORTS))
        .map(|index| {
            let last = PORTS_FIRST + (PORTS - 1) as u16;
            LocalAddress::new(ip(10, index).into(), PORTS_FIRST..=last)
        })
        .collect();
    LocalAddresses::new(&all).expect("the addresses differ")
}

fn ip(first: u8, index: u32) -> Ipv4Addr {
    let [.., high, low] = (index + 1).to_be_bytes();
    Ipv4Addr::new(first, 0, high, low)
}

/// Who sends to a flow.
fn remote(number: u32) -> SocketAddr {
    let port = PORTS_FIRST + (number % PORTS) as u16;
    SocketAddr::from((ip(20, number / PORTS), port))
}

fn link() -> Link {
    Link::new(MacAddress([2; 6]), MacAddress([6; 6]), None)
}

/// Where each flow sends to.
fn ways(flows: usize) -> Vec<SocketAddr> {
    let ways: Vec<SocketAddr> = (0..flows as u32).map(remote).collect();
    memory::use_huge_pages(&ways);
    ways
}

fn leg(flow: FlowId, number: u32) -> Leg {
    let host = remote(number);
    Leg {
        flow,
        media: LegMedia::Rtp { clock_hz: 8000 },
        remote: Some(host),
        rtcp: Rtcp::None,
        srtp: trgw::Protection::OFF,
        rtcp_srtp: trgw::Protection::OFF,
        has_dtls: false,
        mode: StreamMode::SendReceive,
        latch: dataplane::Latch::First { request: 1 },
        filter: SourceFilter::ANY
            .network(host.ip(), 32)
            .ports(host.port()..=host.port()),
        rtcp_filter: SourceFilter::ANY,
        // The laps follow one another faster than speech does.
        policing: Policing::OFF
            .with_peak(u32::MAX, Duration::from_millis(100))
            .with_sustained(u32::MAX, 1 << 30),
        marking: Marking::Dscp(46),
        inactivity: Some(Duration::from_secs(10)),
        report_first_packet: false,
        tones: trgw::LegTones::default(),
        translations: None,
    }
}

/// Where frames come from: one for each flow in turn, in an order of its own.
struct Wire {
    records: Vec<Record>,
    next: usize,
    sequence: u16,
    template: [u8; HEADERS_BYTES + PAYLOAD_BYTES],
    /// What sequence number and timestamp add to the UDP checksum.
    added: u16,
}

/// What is different about the frames of a flow: source and destination with their ports as they
/// stand in the headers, and the checksums.
#[derive(Clone, Copy)]
struct Record {
    addresses: [u8; 8],
    ports: [u8; 4],
    ip_checksum: [u8; 2],
    udp_checksum: u16,
}

impl Wire {
    fn new(addresses: &LocalAddresses, flows: usize) -> Self {
        let mut memory = vec![0x55; LAST];
        let mut records = Vec::new();
        let stride = stride(flows);
        for step in 0..flows {
            let number = (step * stride % flows) as u32;
            rtp_header(0, &mut memory[HEADROOM_BYTES..]);
            let local = addresses
                .local(FlowId(number))
                .expect("it is below the flows");
            let remote = remote(number);
            let headers = Headers::new(&remote, &local).expect("both are IPv4");
            let written = headers.write_before(&link(), &mut memory, HEADROOM_BYTES, PAYLOAD_BYTES);
            let frame = &memory[written.expect("there is room")..];
            let two = |at: usize| [frame[at], frame[at + 1]];
            records.push(Record {
                addresses: frame[26..34].try_into().expect("eight"),
                ports: frame[34..38].try_into().expect("four"),
                ip_checksum: two(24),
                udp_checksum: u16::from_be_bytes(two(40)),
            });
        }
        let template = memory[FIRST..].try_into().expect("its length");
        Self {
            records,
            next: 0,
            sequence: 0,
            template,
            added: 0,
        }
    }

    /// Writes the next frame but for its payload, which is there.
    fn next(&mut self, frame: &mut [u8]) {
        let record = &self.records[self.next];
        let (headers, rtp) = (..HEADERS_BYTES, HEADERS_BYTES..HEADERS_BYTES + 12);
        frame[headers].copy_from_slice(&self.template[headers]);
        frame[26..34].copy_from_slice(&record.addresses);
        frame[34..38].copy_from_slice(&record.ports);
        frame[24..26].copy_from_slice(&record.ip_checksum);
        let checksum = match checksum::update(record.udp_checksum, 0, self.added) {
            // RFC 768: 0 would mean that there is none.
            0 => 0xffff,
            checksum => checksum,
        };
        frame[40..42].copy_from_slice(&checksum.to_be_bytes());
        frame[rtp.clone()].copy_from_slice(&self.template[rtp]);
        self.next += 1;
        if self.next == self.records.len() {
            self.next = 0;
            self.sequence = self.sequence.wrapping_add(1);
            rtp_header(self.sequence, &mut self.template[HEADERS_BYTES..]);
            let timestamp = u32::from(self.sequence) * 160;
            let sum = checksum::Sum::ZERO
                .u16(self.sequence)
                .u16((timestamp >> 16) as u16)
                .u16(timestamp as u16);
            self.added = sum.folded();
        }
    }
}

/// A step that leads over all flows in no order that a processor would guess.
fn stride(flows: usize) -> usize {
    let is_coprime = |step: &usize| {
        let (mut a, mut b) = (*step, flows);
        while b > 0 {
            (a, b) = (b, a % b);
        }
        a == 1
    };
    let first = (flows as f64 * 0.618) as usize;
    (first..)
        .find(is_coprime)
        .expect("one more than a multiple is")
}

/// Frames with a payload in each.
fn speech(frames: usize) -> Vec<Frame> {
    let mut pool = Frame::pool(frames);
    for frame in &mut pool {
        frame.fill(&[0x55; PAYLOAD_BYTES]);
    }
    pool
}

fn rtp_header(sequence: u16, packet: &mut [u8]) {
    let header = rtp::Header {
        payload_type: 8,
        ssrc: 7,
        sequence,
        timestamp: u32::from(sequence) * 160,
        ..rtp::Header::default()
    };
    header.write_to(packet).expect("it is longer than a header");
}

/// A back-end on frames in memory, which are received again once they have been sent. Headers are
/// read and written as on a NIC behind which all ways lead by one next hop.
struct MemoryIo {
    addresses: LocalAddresses,
    wire: Wire,
    link: Link,
    /// The one that was sent first is received into first, as in a ring.
    pool: VecDeque<Frame>,
    waiting: Vec<&'static mut [u8]>,
    running: Arc<AtomicBool>,
}

impl MemoryIo {
    fn new(
        addresses: &LocalAddresses,
        flows: usize,
        frames: usize,
        running: Arc<AtomicBool>,
    ) -> Self {
        Self {
            addresses: addresses.clone(),
            wire: Wire::new(addresses, flows),
            link: link(),
            pool: speech(frames).into(),
            waiting: Vec::with_capacity(dataplane::BURST_MAX),
            running,
        }
    }
}

impl MemoryIo {
    #[inline(always)]
    fn take(
        &mut self,
        memory: &'static mut [u8],
        parsed: UdpFrame,
        now: Instant,
        burst: &mut Burst,
        drops: &mut DropCounts,
    ) {
        let mut frame = Frame::new(memory);
        let Some(flow) = self.addresses.find(parsed.destination) else {
            drops.count(DropReason::UnknownFlow);
            return self.pool.push_back(frame);
        };
        frame.set_payload(FIRST + parsed.payload.start, parsed.payload.len());
        frame.set_payload_sum(parsed.payload_sum);
        let datagram =
            Datagram::new(frame, flow, parsed.source, now).with_traffic_class(parsed.traffic_class);
        burst.push(datagram).expect("there is room");
    }

    #[inline(never)]
    fn take_any(
        &mut self,
        memory: &'static mut [u8],
        now: Instant,
        burst: &mut Burst,
        drops: &mut DropCounts,
    ) {
        match UdpFrame::parse(&memory[FIRST..LAST]) {
            Ok(parsed) => self.take(memory, parsed, now, burst, drops),
            Err(_) => {
                drops.count(DropReason::Malformed);
                self.pool.push_back(Frame::new(memory));
            }
        }
    }
}

impl PacketIo for MemoryIo {
    fn rx_burst(&mut self, now: Instant, burst: &mut Burst, drops: &mut DropCounts) {
        if !self.running.load(Ordering::Relaxed) {
            return;
        }
        let count = burst.room().min(self.pool.len());
        for frame in self.pool.drain(..count) {
            let memory = frame.into_memory();
            memory::prefetch_lines(&memory[FIRST..], 4);
            self.waiting.push(memory);
        }
        // What a NIC does: the frames are there before they are looked at.
        for memory in &mut self.waiting {
            self.wire.next(&mut memory[FIRST..LAST]);
        }
        let mut waiting = std::mem::take(&mut self.waiting);
        for memory in waiting.drain(..) {
            // What most frames are is not mixed with the rest: it stays in registers.
            match UdpFrame::parse_plain(&memory[FIRST..LAST]) {
                Some(parsed) => self.take(memory, parsed, now, burst, drops),
                None => self.take_any(memory, now, burst, drops),
            }
        }
        self.waiting = waiting;
    }

    fn alloc(&mut self, _: &mut Vec<Frame>, _: usize) {}

    fn tx_burst(&mut self, outgoing: &mut Vec<Outgoing>, drops: &mut DropCounts) {
        for outgoing in outgoing.drain(..) {
            let (start, bytes) = (outgoing.frame.headroom(), outgoing.frame.payload().len());
            let sum = outgoing.frame.payload_sum();
            let from = self.addresses.local(outgoing.local);
            let headers = from.as_ref().and_then(|from| {
                Headers::with_traffic_class(from, &outgoing.destination, outgoing.traffic_class)
            });
            let memory = outgoing.frame.into_memory();
            let written = headers.and_then(|headers| {
                headers.write_summed_before(&self.link, memory, start, bytes, sum)
            });
            if written.is_none() {
                drops.count(DropReason::TxRefused);
            }
            self.pool.push_back(Frame::new(memory));
        }
    }

    fn free(&mut self, frames: &mut Vec<Frame>) {
        self.pool.extend(frames.drain(..));
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
