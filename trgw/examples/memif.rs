//! The relay over DPDK's shared-memory link, and what drives it: `bench/dpdk/run` puts the one in
//! the place of testpmd, which only swaps addresses, and compares what comes back to the other.
//!
//! ```text
//! memif relay SOCKET STREAMS SECONDS
//! memif generate SOCKET STREAMS SECONDS
//! ```
//!
//! The relay has a flow for each stream and everything on: parsing, checksums, source filter, RTP
//! statistics, rewriting. The generator offers frames of 214 octets with G.711 as fast as the link
//! takes them, and counts what comes back after a warm-up of as many seconds as it then measures.
#![allow(clippy::print_stdout, reason = "its output is its purpose")]

use std::net::{Ipv4Addr, SocketAddr};
use std::time::Duration;

use dataplane::io::dpdk::{DeviceConfig, DpdkConfig, open};
use dataplane::{
    Clock, Config, FlowId, Idle, Latch, LocalAddress, LocalAddresses, Marking, Policing,
    SourceFilter, runtime,
};
use dpdk_sys::{Device, Mbuf, Pool, Queue};
use h248::message::StreamMode;
use inet::{Headers, Link, MacAddress, arp, ethernet};
use trgw::{Leg, LegMedia, LegTones, Relay, Rtcp, compile};

const RELAY: Ipv4Addr = Ipv4Addr::new(10, 0, 0, 1);
const HOST: Ipv4Addr = Ipv4Addr::new(10, 0, 0, 9);
const HOST_MAC: MacAddress = MacAddress([2, 0, 0, 0, 0, 9]);
const PORTS_FIRST: u16 = 10_000;
const PAYLOAD_BYTES: usize = 172;
const HEADERS_BYTES: usize = 42;
const SEQUENCE: usize = HEADERS_BYTES + 2;
const CHECKSUM: usize = HEADERS_BYTES - 2;
const BURST: usize = 32;
const CONNECT_TRIES: u32 = 200;

fn main() {
    let words: Vec<String> = std::env::args().skip(1).collect();
    let numbers = |text: &str| text.parse().expect("it is a number");
    match &words[..] {
        [role, socket, streams, seconds] => {
            let (streams, seconds) = (numbers(streams), numbers(seconds));
            let lasts = Duration::from_secs(seconds);
            match role.as_str() {
                "relay" => relay(socket, streams as u16, lasts),
                _ => generate(socket, streams as u16, lasts),
            }
        }
        _ => println!("memif relay|generate SOCKET STREAMS SECONDS"),
    }
}

fn eal() -> Vec<String> {
    let line = "--no-huge -m 512 --no-pci --no-telemetry --no-shconf --log-level=error";
    line.split(' ').map(str::to_owned).collect()
}

fn device(role: &str, socket: &str) -> String {
    format!("net_memif0,role={role},socket={socket},socket-abstract=no")
}

fn relay(socket: &str, streams: u16, lasts: Duration) {
    let local = LocalAddress::new(RELAY.into(), PORTS_FIRST..=PORTS_FIRST + streams - 1);
    let addresses = LocalAddresses::new(&[local]).expect("it is one address");
    let config = DpdkConfig {
        eal: eal(),
        devices: vec![DeviceConfig {
            name: device("server", socket),
            networks: vec![format!("{RELAY}/24").parse().expect("it is a network")],
        }],
        ..DpdkConfig::default()
    };
    let backend = open(&addresses, &config).expect("DPDK is there").backend;
    let function = |flows| Box::new(Relay::new(flows)) as Box<dyn dataplane::Function>;
    let polling = Config {
        idle: Idle::Spin,
        ..Config::default()
    };
    let (mut control, workers) = runtime(&polling, backend, function).expect("it starts");
    let clock = Clock::start();
    let threads: Vec<_> = workers
        .into_iter()
        .map(|worker| std::thread::spawn(move || worker.run(clock, None)))
        .collect();
    for call in 0..u32::from(streams) / 2 {
        let legs = [2 * call, 2 * call + 1].map(|number| {
            let local = SocketAddr::from((RELAY, PORTS_FIRST + number as u16));
            leg(
                control.open_flow(clock.now(), local).expect("it is free"),
                number,
            )
        });
        for (flow, path) in compile(&legs, &[]).expect("two legs") {
            control.set_path(flow, path).expect("there is room");
        }
        std::thread::sleep(Duration::from_micros(100));
        while control.poll_event(clock.now()).is_some() {}
    }
    let end = clock.now() + lasts;
    while clock.now() < end {
        std::thread::sleep(Duration::from_millis(50));
        while control.poll_event(clock.now()).is_some() {}
    }
    let stats: Vec<_> = control.worker_stats().collect();
    println!("relay: {:?}", stats[0]);
    drop(control);
    for thread in threads {
        thread.join().expect("a worker does not panic");
    }
}

fn remote(number: u32) -> SocketAddr {
    SocketAddr::from((HOST, PORTS_FIRST + number as u16))
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
        latch: Latch::Off,
        filter: SourceFilter::ANY
            .network(host.ip(), 32)
            .ports(host.port()..=host.port()),
        rtcp_filter: SourceFilter::ANY,
        policing: Policing::OFF,
        marking: Marking::default(),
        inactivity: Some(Duration::from_secs(10)),
        report_first_packet: false,
        tones: LegTones::default(),
        translations: None,
    }
}

/// The host that speaks on every stream.
struct Speaker {
    frames: Vec<[u8; HEADERS_BYTES + PAYLOAD_BYTES]>,
    next: usize,
    sequence: u16,
}

impl Speaker {
    fn new(streams: u16) -> Self {
        let link = Link::new(MacAddress([2; 6]), HOST_MAC, None);
        let frame = |number: u16| {
            let to = SocketAddr::from((RELAY, PORTS_FIRST + number));
            let from = remote(number.into());
            let headers = Headers::new(&from, &to).expect("both are IPv4");
            let mut frame = [0x55; HEADERS_BYTES + PAYLOAD_BYTES];
            let header = rtp::Header {
                payload_type: 8,
                ssrc: number.into(),
                ..rtp::Header::default()
            };
            let payload = &mut frame[HEADERS_BYTES..];
            header
                .write_to(payload)
                .expect("it is longer than a header");
            let start = headers.write_before(&link, &mut frame, HEADERS_BYTES, PAYLOAD_BYTES);
            assert_eq!(start, Some(0));
            frame
        };
        Self {
            frames: (0..streams).map(frame).collect(),
            next: 0,
            sequence: 0,
        }
    }

    /// The next frame, each stream in turn.
    fn speak(&mut self) -> &[u8] {
        if self.next == self.frames.len() {
            self.next = 0;
            self.sequence = self.sequence.wrapping_add(1);
        }
        let frame = &mut self.frames[self.next];
        self.next += 1;
        let field = |at: usize, frame: &[u8]| u16::from_be_bytes([frame[at], frame[at + 1]]);
        let (old, sum) = (field(SEQUENCE, frame), field(CHECKSUM, frame));
        let sum = inet::checksum::update(sum, old, self.sequence);
        frame[SEQUENCE..SEQUENCE + 2].copy_from_slice(&self.sequence.to_be_bytes());
        frame[CHECKSUM..CHECKSUM + 2].copy_from_slice(&sum.to_be_bytes());
        frame
    }
}

fn generate(socket: &str, streams: u16, lasts: Duration) {
    let eal = dpdk_sys::start(&eal()).expect("DPDK is there");
    let pool = Pool::new(eal, 16_384, None).expect("there is memory");
    let pools = [pool];
    let opened = Device::open(eal, &device("client", socket), &pools, 1024);
    let (device, mut queues) = opened.expect("there is a memif driver");
    dpdk_sys::join_thread();
    // To ask for the link makes the driver try again to connect.
    for _ in 0..CONNECT_TRIES {
        if device.link_is_up() {
            break;
        }
        std::thread::sleep(Duration::from_millis(100));
    }
    let mut speaker = Speaker::new(streams);
    let (queue, pool) = (&mut queues[0], &pools[0]);
    run(queue, pool, &mut speaker, lasts);
    let (offered, taken, back) = run(queue, pool, &mut speaker, lasts);
    let rate = |packets: u64| packets as f64 / lasts.as_secs_f64() / 1e6;
    println!(
        "offered {:.2} M/s, taken {:.2} M/s, back {:.2} M/s",
        rate(offered),
        rate(taken),
        rate(back)
    );
}

/// Offers and counts for a while: frames offered, those that the link took, those that came back.
fn run(queue: &mut Queue, pool: &Pool, speaker: &mut Speaker, lasts: Duration) -> (u64, u64, u64) {
    let (mut offered, mut taken, mut back) = (0, 0, 0);
    let mut packets: Vec<Mbuf> = Vec::with_capacity(2 * BURST);
    let clock = Clock::start();
    let end = clock.now() + lasts;
    loop {
        for _ in 0..BURST {
            if pool.allocate(&mut packets, BURST) {
                for packet in &mut packets {
                    fill(pool, packet, speaker.speak());
                }
                offered += packets.len() as u64;
                taken += queue.send(&mut packets) as u64;
                packets.clear();
            }
            for _ in 0..2 {
                back += queue.receive(&mut packets, BURST) as u64;
                let asked = packets.iter().find_map(answer);
                packets.clear();
                if let Some(reply) = asked
                    && pool.allocate(&mut packets, 1)
                {
                    fill(pool, &mut packets[0], &reply);
                    queue.send(&mut packets);
                    packets.clear();
                }
            }
        }
        if clock.now() >= end {
            return (offered, taken, back);
        }
    }
}

/// Makes a packet one of these bytes.
fn fill(pool: &Pool, packet: &mut Mbuf, bytes: &[u8]) {
    assert!(pool.write(packet, bytes), "the packet is the pool's");
}

/// The answer to a frame that asks for our address.
fn answer(packet: &Mbuf) -> Option<Vec<u8>> {
    let frame = ethernet::Frame::new(packet.bytes()).ok()?;
    if frame.ether_type() != ethernet::EtherType::ARP {
        return None;
    }
    let question = arp::Message::parse(frame.payload()).ok()?;
    if question.target_ip != HOST || question.operation != arp::Operation::Request {
        return None;
    }
    let link = Link::new(frame.source(), HOST_MAC, None);
    let mut reply = vec![0; 60];
    let message = question.reply(HOST_MAC).to_bytes();
    let written = link.write_to(&mut reply, ethernet::EtherType::ARP);
    assert!(written, "there is room for the header");
    let start = link.header_bytes();
    reply[start..start + message.len()].copy_from_slice(&message);
    Some(reply)
}
