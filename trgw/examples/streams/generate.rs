//! Who speaks on every stream, and hears what comes back, over AF_XDP.

use crate::{FAR, FAR_PORTS_FIRST, STREAMS_MAX, far, is_protected, key, near};
use af_xdp::{Attachment, Copying, Received, Served, Socket, Umem};
use base::Instant;
use dataplane::Clock;
use inet::{Headers, Link, MacAddress};
use srtp::{Sender, Suite};
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

const RING: usize = 4096;
const BURST: usize = 64;
/// Where the payload of UDP begins in a chunk.
const PAYLOAD: usize = 64;
const RTP_BYTES: usize = 172;
/// In the payload of RTP: when it was sent, in nanoseconds.
const SENT_AT: usize = 12;
/// Of Ethernet, IPv4 and UDP.
const HEADERS_BYTES: usize = 42;
const DESTINATION_PORT: usize = 36;
/// How long what is on its way may take at the end.
const LINGER: Duration = Duration::from_millis(50);

/// What is offered.
pub struct Offer {
    pub streams: u16,
    pub lasts: Duration,
    /// Packets a second in sum; 0: as fast as it goes.
    pub rate: f64,
    /// The first sequence number of each stream.
    pub first: u16,
    pub suite: Option<Suite>,
}

/// `ports` is a file with the port of each stream at what is measured, or `-` for the usual ones.
pub fn run(offer: &Offer, (near_mac, far_mac): (&str, &str), ports: &str) {
    let mut speaker = Speaker::new(offer, Link::new(mac(near_mac), mac(far_mac), None), ports);
    let (umem, mut free) = Umem::new(4 * RING).expect("there is memory");
    let umem = Arc::new(umem);
    let interface = af_xdp::interface_index("far").expect("the interface is there");
    let served = [Served {
        address: FAR.into(),
        vlan: None,
        ports: FAR_PORTS_FIRST..=FAR_PORTS_FIRST + 2 * STREAMS_MAX,
    }];
    let attachment = Attachment::new(interface, &served, None).expect("root asks");
    let socket = Socket::bind(&umem, (interface, 0), RING as u32, Copying::Auto, None);
    let mut socket = socket.expect("the queue is free");
    for chunk in free.drain(..RING) {
        assert!(socket.fill(chunk).is_ok(), "the ring is empty");
    }
    socket.submit();
    attachment.direct(0, &socket).expect("the queue is ours");

    let clock = Clock::start();
    let start = clock.now();
    let mut heard = Heard::new(offer.streams);
    while clock.now().since(start) < offer.lasts {
        free.extend(std::iter::from_fn(|| socket.complete()));
        heard.listen(&mut socket, clock.now());
        let due = clock.now().since(start).as_secs_f64() * offer.rate;
        if offer.rate > 0.0 && speaker.sent as f64 > due {
            let _ = socket.flush();
            std::thread::sleep(Duration::from_micros(50));
            continue;
        }
        speaker.speak(&mut socket, &mut free, clock.now());
        // What the kernel does not take now it takes the next time.
        let _ = socket.flush();
    }
    let lasted = clock.now().since(start).as_secs_f64();
    while clock.now().since(start).as_secs_f64() < lasted + LINGER.as_secs_f64() {
        heard.listen(&mut socket, clock.now());
    }
    println!(
        "offered {:.0} {}",
        speaker.sent as f64 / lasted,
        heard.report(lasted)
    );
}

struct Speaker {
    /// Of each stream, from and to.
    ends: Vec<(SocketAddr, SocketAddr)>,
    senders: Vec<Option<Sender>>,
    link: Link,
    next: usize,
    sequence: u16,
    sent: u64,
}

impl Speaker {
    fn new(offer: &Offer, link: Link, ports: &str) -> Self {
        let ports: Option<Vec<u16>> = (ports != "-").then(|| {
            let text = std::fs::read_to_string(ports).expect("a file of ports");
            let ports = text.split_whitespace().map(str::parse);
            ports.map(|port| port.expect("a port")).collect()
        });
        let ends = |stream: u16| {
            let mut to = near(stream);
            if let Some(ports) = &ports {
                to = SocketAddr::new(to.ip(), ports[usize::from(stream)]);
            }
            (far(stream), to)
        };
        let sender = |stream: u16| {
            let suite = offer.suite.filter(|_| is_protected(stream))?;
            Some(Sender::new(&key(suite)).expect("the key is right"))
        };
        Self {
            ends: (0..offer.streams).map(ends).collect(),
            senders: (0..offer.streams).map(sender).collect(),
            link,
            next: 0,
            sequence: offer.first,
            sent: 0,
        }
    }

    /// Sends a burst, each stream in turn.
    fn speak(&mut self, socket: &mut Socket, free: &mut Vec<&'static mut [u8]>, now: Instant) {
        for _ in 0..BURST {
            let Some(chunk) = free.pop() else {
                return;
            };
            let bytes = self.write(chunk, now);
            let (from, to) = &self.ends[self.next];
            let headers = Headers::new(from, to).expect("both are IPv4");
            let first = headers.write_before(&self.link, chunk, PAYLOAD, bytes);
            let first = first.expect("there is room");
            // What finds no room is lost on its way: nothing is protected twice.
            self.next += 1;
            if self.next == self.ends.len() {
                (self.next, self.sequence) = (0, self.sequence.wrapping_add(1));
            }
            if let Err(chunk) = socket.send(chunk, first, PAYLOAD + bytes - first) {
                free.push(chunk);
                return;
            }
            self.sent += 1;
        }
    }

    /// Writes the next packet of the stream whose turn it is; returns its length.
    fn write(&mut self, chunk: &mut [u8], now: Instant) -> usize {
        let header = rtp::Header {
            marker: false,
            payload_type: 8,
            sequence: self.sequence,
            timestamp: u32::from(self.sequence) * 160,
            ssrc: self.next as u32 + 1,
        };
        let payload = &mut chunk[PAYLOAD..];
        header
            .write_to(payload)
            .expect("it is longer than a header");
        payload[SENT_AT..SENT_AT + 8].copy_from_slice(&now.as_nanos().to_be_bytes());
        match &self.senders[self.next] {
            Some(sender) => sender.protect(payload, RTP_BYTES).expect("there is room"),
            None => RTP_BYTES,
        }
    }
}

struct Heard {
    packets: Vec<u64>,
    /// How long packets were under way, in bins of a sixteenth of a power of two of nanoseconds.
    times: Vec<u64>,
}

impl Heard {
    fn new(streams: u16) -> Self {
        Self {
            packets: vec![0; usize::from(streams)],
            times: vec![0; 64 * 16],
        }
    }

    fn listen(&mut self, socket: &mut Socket, now: Instant) {
        while let Some(Received {
            chunk,
            start,
            bytes,
        }) = socket.receive()
        {
            self.note(&chunk[start..start + bytes], now);
            assert!(socket.fill(chunk).is_ok(), "a place was made");
        }
        socket.submit();
    }

    fn note(&mut self, frame: &[u8], now: Instant) {
        let Some(port) = frame.get(DESTINATION_PORT..DESTINATION_PORT + 2) else {
            return;
        };
        let port = u16::from_be_bytes([port[0], port[1]]);
        let stream = usize::from(port.wrapping_sub(FAR_PORTS_FIRST) / 2);
        if let Some(packets) = self.packets.get_mut(stream) {
            *packets += 1;
        }
        // Of what was encrypted it cannot be told.
        if frame.len() == HEADERS_BYTES + RTP_BYTES {
            let at = &frame[HEADERS_BYTES + SENT_AT..][..8];
            let sent = u64::from_be_bytes(at.try_into().expect("eight"));
            if let Some(time) = now.as_nanos().checked_sub(sent) {
                self.times[bin(time)] += 1;
            }
        }
    }

    fn report(&self, lasted: f64) -> String {
        let back: u64 = self.packets.iter().sum();
        let least = self.packets.iter().min().copied().unwrap_or(0);
        let most = self.packets.iter().max().copied().unwrap_or(0);
        let (p50, p99) = (self.percentile(0.5), self.percentile(0.99));
        format!(
            "back {:.0} least {least} most {most} p50 {p50:.0} p99 {p99:.0}",
            back as f64 / lasted
        )
    }

    /// In microseconds.
    fn percentile(&self, share: f64) -> f64 {
        let total: u64 = self.times.iter().sum();
        let mut left = (total as f64 * share) as u64;
        for (bin, &count) in self.times.iter().enumerate() {
            if count > left {
                let (power, part) = (bin / 16, bin % 16);
                return (1.0 + part as f64 / 16.0) * 2_f64.powi(power as i32) / 1e3;
            }
            left -= count;
        }
        f64::NAN
    }
}

fn bin(nanos: u64) -> usize {
    let nanos = nanos.max(16);
    let power = nanos.ilog2();
    let part = (nanos >> (power - 4)) & 15;
    (power as usize) * 16 + part as usize
}

fn mac(text: &str) -> MacAddress {
    let octets: Vec<u8> = text
        .split(':')
        .map(|octet| u8::from_str_radix(octet, 16).expect("a hexadecimal octet"))
        .collect();
    MacAddress(octets.try_into().expect("six octets"))
}
