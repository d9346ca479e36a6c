//! Contexts come, change and go while packets pass: `cargo bench -p trgw --bench churn [--
//! CONTEXTS RATE]`.
//!
//! One thread is the worker, as in a media process; the other the mg thread, which executes H.248
//! as fast as it can. Contexts of two terminations on several addresses are added, modified,
//! audited and subtracted, but for the first thousand, through which RTP passes all the while at
//! `RATE` packets a second. Packets come in a ring of 4 096: what finds it full is lost, as on a
//! NIC. There must be no drop, and no loss where both threads have a core of their own; how long
//! the worker had to wait for one is said. The network itself and the sockets of H.248 are not
//! there.
#![allow(clippy::print_stdout, reason = "its output is its purpose")]

use std::collections::VecDeque;
use std::io;
use std::net::{Ipv4Addr, SocketAddr};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, OnceLock};
use std::time::Duration;

use base::{Entropy, Instant};
use dataplane::io::Waker;
use dataplane::{
    Backend, Burst, Clock, Config, Datagram, DropCounts, DropReason, Endpoint, Endpoints, FlowId,
    Frame, Idle, LocalAddress, LocalAddresses, Outgoing, PacketIo, runtime,
};
use mg::{GatewayConfig, MediaGateway, Output, RealmAddress};
use trgw::{Relay, Trgw};

const CONTEXTS_DEFAULT: usize = 50_000;
const RATE_DEFAULT: u64 = 100_000;
const STANDING: usize = 1_000;
/// Addresses of each realm.
const ADDRESSES: u8 = 3;
const RING: u64 = 4096;
const MGC: ([u8; 4], u16) = ([127, 0, 0, 1], 2944);
const PAYLOAD_BYTES: usize = 172;

fn main() {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let is_bench = arguments.iter().any(|argument| argument == "--bench");
    let mut numbers = arguments.iter().filter_map(|text| text.parse::<u64>().ok());
    let contexts = numbers
        .next()
        .map_or(CONTEXTS_DEFAULT, |count| count as usize);
    let rate = numbers.next().unwrap_or(RATE_DEFAULT);
    let (contexts, rate) = if is_bench {
        (contexts, rate)
    } else {
        (2_000, 10_000)
    };

    let counts = Arc::new(Counts::default());
    let streams = Arc::new(OnceLock::new());
    let (mut process, worker) = Process::new(rate, &streams, &counts);
    let clock = process.clock;
    let running = std::thread::spawn(move || {
        worker.run(clock, None);
        waited_for_a_core()
    });
    let ids = process.timed("add", contexts, STANDING, |process, number| {
        let (id, locals) = process.add(number);
        if number < STANDING {
            process.standing.extend(locals);
        }
        if number + 1 == STANDING {
            let standing = std::mem::take(&mut process.standing);
            streams.set(standing).expect("it is set once");
        }
        id
    });
    process.timed("modify", contexts, 0, |process, number| {
        process.ask(&format!(
            "C={}{{MF=ip/2/*{{{}}}}}",
            ids[number],
            remote(number, 2)
        ));
    });
    process.timed("audit", contexts, 0, |process, number| {
        process.ask(&format!("C={}{{W-AV=*{{AT{{SA}}}}}}", ids[number]));
    });
    process.timed("subtract", contexts - STANDING, 0, |process, number| {
        process.ask(&format!("C={}{{W-S=*{{AT{{}}}}}}", ids[number + STANDING]));
    });
    let drops = process.drops();
    drop(process);
    let waited = running.join().expect("the worker ends");
    let counted = [&counts.offered, &counts.sent, &counts.lost];
    let [offered, sent, lost] = counted.map(|count| count.load(Ordering::Relaxed));
    println!("{offered} packets at {rate} a second, {sent} sent, {lost} lost, {drops} dropped");
    println!("the worker waited {waited:?} for a core");
    assert_eq!((drops, sent), (0, offered));
}

/// How long this thread could have run and did not.
fn waited_for_a_core() -> Duration {
    let told = std::fs::read_to_string("/proc/thread-self/schedstat").unwrap_or_default();
    let mut fields = told.split_whitespace();
    let nanos = fields.nth(1).and_then(|field| field.parse().ok());
    Duration::from_nanos(nanos.unwrap_or(0))
}

#[derive(Default)]
struct Counts {
    offered: AtomicU64,
    lost: AtomicU64,
    sent: AtomicU64,
}

type Streams = Arc<OnceLock<Vec<(FlowId, SocketAddr)>>>;

struct Process {
    clock: Clock,
    mg: MediaGateway,
    trgw: Trgw,
    transaction: u32,
    reply: Vec<u8>,
    standing: Vec<(FlowId, SocketAddr)>,
}

impl Process {
    fn new(rate: u64, streams: &Streams, counts: &Arc<Counts>) -> (Self, dataplane::Worker) {
        let ports = 10_000..=59_999;
        let realm_addresses: Vec<RealmAddress> = (0..ADDRESSES)
            .flat_map(|last| {
                [("access", 1), ("core", 2)].map(|(realm, net)| RealmAddress {
                    realm: Some(realm.to_owned()),
                    ip: Ipv4Addr::new(10, 0, net, last + 1).into(),
                })
            })
            .collect();
        let locals: Vec<LocalAddress> = realm_addresses
            .iter()
            .map(|address| LocalAddress::new(address.ip, ports.clone()))
            .collect();
        let addresses = LocalAddresses::new(&locals).expect("they differ");
        let backend = Backend {
            addresses,
            ios: vec![Box::new(PacedIo {
                pool: speech(),
                streams: Arc::clone(streams),
                counts: Arc::clone(counts),
                gap: 1_000_000_000 / rate,
                next_due: None,
                next: 0,
                sequence: 0,
            })],
            endpoints: Box::new(NoEndpoints),
        };
        let relay = |flows| Box::new(Relay::new(flows)) as Box<dyn dataplane::Function>;
        let config = Config {
            idle: Idle::Spin,
            ..Config::default()
        };
        let (control, mut workers) = runtime(&config, backend, relay).expect("one worker");
        let clock = Clock::start();
        let mut config = GatewayConfig::new(([10, 0, 1, 1], 2944).into(), &mg::TRGW);
        config.association.mgcs = vec![MGC.into()];
        config.association.silence_max = None;
        config.addresses = realm_addresses;
        config.ports = ports;
        config.contexts_max = 1 << 20;
        let mut process = Self {
            clock,
            mg: MediaGateway::new(config, clock.now(), Entropy::from_u64(1)),
            trgw: Trgw::new(control),
            transaction: 0,
            reply: Vec::new(),
            standing: Vec::new(),
        };
        process.mg.start(clock.now(), &mut process.trgw);
        process.take_outputs();
        let text = String::from_utf8_lossy(&process.reply).into_owned();
        let id = between(&text, "T=", "{");
        process.handle(&format!("P={id}{{C=-{{SC=ROOT}}}}"));
        (process, workers.pop().expect("there is one"))
    }

    /// Does something so many times, and says how long one took after the first `unmeasured`.
    fn timed<T>(
        &mut self,
        what: &str,
        count: usize,
        unmeasured: usize,
        mut each: impl FnMut(&mut Self, usize) -> T,
    ) -> Vec<T> {
        let mut done: Vec<T> = (0..unmeasured).map(|number| each(self, number)).collect();
        let start = self.clock.now();
        done.extend((unmeasured..count).map(|number| each(self, number)));
        let micros = self.clock.now().since(start).as_secs_f64() * 1e6;
        let each = micros / (count - unmeasured).max(1) as f64;
        println!("{what:>9}: {count} contexts, {each:.1} µs each");
        done
    }

    /// A context of two terminations; its id, and its flows with who sends to them.
    fn add(&mut self, number: usize) -> (String, [(FlowId, SocketAddr); 2]) {
        let reply = self.ask(&format!(
            "C=${{{},{}}}",
            add("access", number, 1),
            add("core", number, 2)
        ));
        let context = between(&reply, "C=", "{").to_owned();
        let mut rest = reply.as_str();
        let locals = [1, 2].map(|side| {
            let ip: Ipv4Addr = between(rest, "IN IP4 ", "\n")
                .trim()
                .parse()
                .expect("an address");
            let port = between(rest, "m=audio ", " ").parse().expect("a port");
            rest = &rest[rest.find("m=audio ").expect("it was found") + 8..];
            let local = SocketAddr::from((ip, port));
            let flow = self
                .trgw
                .control()
                .addresses()
                .find(local)
                .expect("it is ours");
            (flow, host(number, side))
        });
        (context, locals)
    }

    fn ask(&mut self, actions: &str) -> String {
        self.transaction += 1;
        self.handle(&format!("T={}{{{actions}}}", self.transaction));
        let text = String::from_utf8_lossy(&self.reply).into_owned();
        assert!(
            text.contains("P=") && !text.contains("ER="),
            "{actions}: {text}"
        );
        text
    }

    fn handle(&mut self, body: &str) {
        let message = format!("!/3 [127.0.0.1]:2944\n{body}");
        let now = self.clock.now();
        self.mg
            .handle_input(now, &mut self.trgw, MGC.into(), message.as_bytes());
        self.take_outputs();
        self.trgw.wake_workers();
        while let Some(event) = self.trgw.poll_event(now) {
            self.mg.handle_event(now, &mut self.trgw, &event);
        }
        while self.trgw.poll_report().is_some() {}
        // The worker may be behind: so does a media process wait.
        while self.trgw.is_behind() {
            std::thread::yield_now();
            let now = self.clock.now();
            while let Some(event) = self.trgw.poll_event(now) {
                self.mg.handle_event(now, &mut self.trgw, &event);
            }
        }
        if self.mg.next_timeout().is_some_and(|at| at <= now) {
            self.mg.handle_timeout(now, &mut self.trgw);
        }
    }

    fn take_outputs(&mut self) {
        while let Some(output) = self.mg.poll_output() {
            if let Output::Transmit { bytes, .. } = output {
                self.reply = bytes;
            }
        }
    }

    fn drops(&self) -> u64 {
        let workers = self.trgw.control().worker_stats();
        workers.map(|stats| stats.drops.total()).sum()
    }
}

/// Who is at the other side of a termination.
fn host(number: usize, side: u8) -> SocketAddr {
    let [.., high, low] = (number / 1_000).to_be_bytes();
    let port = 20_000 + 2 * (number % 1_000) as u16;
    SocketAddr::from(([172, 16 + side, high, low], port))
}

fn remote(number: usize, side: u8) -> String {
    let host = host(number, side);
    let (ip, port) = (host.ip(), host.port());
    format!("M{{ST=1{{R{{\nv=0\nc=IN IP4 {ip}\nm=audio {port} RTP/AVP 8\n}}}}}}")
}

fn add(realm: &str, number: usize, side: u8) -> String {
    let host = host(number, side);
    let (ip, port) = (host.ip(), host.port());
    format!(
        "A=${{M{{ST=1{{O{{MO=SR,ipdc/realm=\"{realm}\",gm/saf=ON,tman/pol=ON,tman/sdr=100000000,\
         tman/mbs=100000000,ds/dscp=2E}},L{{\nv=0\nc=IN IP4 $\nm=audio $ RTP/AVP 8\n}},\
         R{{\nv=0\nc=IN IP4 {ip}\nm=audio {port} RTP/AVP 8\n}}}}}}}}"
    )
}

fn between<'a>(text: &'a str, opening: &str, end: &str) -> &'a str {
    let from = text.find(opening).expect("it is there") + opening.len();
    let rest = &text[from..];
    &rest[..rest.find(end).expect("it ends")]
}

fn speech() -> VecDeque<Frame> {
    let mut packet = [0x55; PAYLOAD_BYTES];
    let header = rtp::Header {
        payload_type: 8,
        ssrc: 7,
        ..rtp::Header::default()
    };
    header
        .write_to(&mut packet)
        .expect("it is longer than a header");
    let mut frames = Frame::pool(RING as usize);
    for frame in &mut frames {
        frame.fill(&packet);
    }
    frames.into()
}

/// Packets that come at a rate, to each stream in turn.
struct PacedIo {
    pool: VecDeque<Frame>,
    streams: Streams,
    counts: Arc<Counts>,
    /// Nanoseconds between two packets.
    gap: u64,
    next_due: Option<Instant>,
    next: usize,
    sequence: u16,
}

impl PacketIo for PacedIo {
    fn rx_burst(&mut self, now: Instant, burst: &mut Burst, drops: &mut DropCounts) {
        let Some(streams) = self.streams.get() else {
            return;
        };
        let next_due = self.next_due.get_or_insert(now);
        let waiting = now.since(*next_due).as_nanos() as u64 / self.gap;
        if let Some(lost @ 1..) = waiting.checked_sub(RING) {
            self.counts.lost.fetch_add(lost, Ordering::Relaxed);
            *next_due += Duration::from_nanos(lost * self.gap);
        }
        for _ in 0..waiting.min(burst.room() as u64) {
            let Some(mut frame) = self.pool.pop_front() else {
                drops.count(DropReason::NoFrame);
                return;
            };
            if let Ok(mut packet) = rtp::Packet::new(frame.payload_mut()) {
                packet.set_sequence(self.sequence);
                packet.set_timestamp(u32::from(self.sequence) * 160);
            }
            let (flow, source) = streams[self.next];
            burst
                .push(Datagram::new(frame, flow, source, now))
                .expect("there is room");
            self.next += 1;
            if self.next == streams.len() {
                (self.next, self.sequence) = (0, self.sequence.wrapping_add(1));
            }
            *next_due += Duration::from_nanos(self.gap);
            self.counts.offered.fetch_add(1, Ordering::Relaxed);
        }
    }

    fn alloc(&mut self, _: &mut Vec<Frame>, _: usize) {}

    fn tx_burst(&mut self, outgoing: &mut Vec<Outgoing>, _: &mut DropCounts) {
        let sent = outgoing.len() as u64;
        self.counts.sent.fetch_add(sent, Ordering::Relaxed);
        self.pool
            .extend(outgoing.drain(..).map(|datagram| datagram.frame));
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
