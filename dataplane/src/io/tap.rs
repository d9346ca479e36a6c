//! A tap round any back-end: what passes of chosen flows, as a capture file (pcapng).
//!
//! Workers copy the datagrams of the flows that are tapped into a ring and do nothing else for it;
//! somebody else takes them out and writes them. Nothing is tapped at first, and then a burst costs
//! one look at a number. What was delivered in memory never passes a back-end and is not seen; SRTP
//! is seen as it is on the wire.

use super::{Backend, Endpoint, Outgoing, PacketIo, Waker};
use crate::{Burst, DropCounts, FlowId, Frame, LocalAddresses, PAYLOAD_BYTES_MAX};
use base::Instant;
use inet::Headers;
use rtrb::{Consumer, Producer, RingBuffer};
use std::io::{self, Write};
use std::net::{Ipv4Addr, SocketAddr};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, AtomicUsize, Ordering};
use std::time::Duration;

/// Puts a tap round each of the back-end's queues.
pub fn wrap(backend: Backend) -> (Backend, Tap) {
    let shared = Arc::new(Shared {
        tapped: (0..backend.addresses.flows())
            .map(|_| AtomicBool::new(false))
            .collect(),
        count: AtomicUsize::new(0),
        lost: AtomicU64::new(0),
    });
    let mut rings = Vec::new();
    let mut ios: Vec<Box<dyn PacketIo>> = Vec::new();
    for io in backend.ios {
        let (samples, ring) = RingBuffer::new(SAMPLES_MAX);
        rings.push(ring);
        ios.push(Box::new(TapIo {
            io,
            shared: Arc::clone(&shared),
            samples,
            now: Instant::ZERO,
        }));
    }
    let tap = Tap {
        addresses: backend.addresses.clone(),
        shared,
        rings,
    };
    (Backend { ios, ..backend }, tap)
}

/// The side of a tap that chooses flows and takes what passes.
pub struct Tap {
    addresses: LocalAddresses,
    shared: Arc<Shared>,
    rings: Vec<Consumer<Sample>>,
}

struct Shared {
    tapped: Box<[AtomicBool]>,
    /// Of them, how many are.
    count: AtomicUsize,
    lost: AtomicU64,
}

impl Tap {
    /// The flow of a local address and port.
    pub fn flow(&self, local: SocketAddr) -> Option<FlowId> {
        self.addresses.find(local)
    }

    /// Taps a flow from now on, or no more.
    pub fn set(&self, flow: FlowId, is_tapped: bool) {
        let Some(flag) = self.shared.tapped.get(flow.index()) else {
            return;
        };
        match (flag.swap(is_tapped, Ordering::Relaxed), is_tapped) {
            (false, true) => self.shared.count.fetch_add(1, Ordering::Relaxed),
            (true, false) => self.shared.count.fetch_sub(1, Ordering::Relaxed),
            _ => 0,
        };
    }

    /// Datagrams that passed and found no room on their way to a capture.
    pub fn lost(&self) -> u64 {
        self.shared.lost.load(Ordering::Relaxed)
    }

    /// Writes what has passed to a capture, in the order of each worker.
    ///
    /// # Errors
    /// Those of the writer. What was taken is lost then.
    pub fn drain<W: Write>(&mut self, capture: &mut Capture<W>) -> io::Result<()> {
        for ring in &mut self.rings {
            while let Ok(chunk) = ring.read_chunk(1) {
                if let Some(sample) = chunk.as_slices().0.first() {
                    capture.write(&self.addresses, sample)?;
                }
                chunk.commit_all();
            }
        }
        Ok(())
    }
}

/// What is known of a datagram that passed.
#[derive(Clone, Copy)]
struct About {
    time: Instant,
    local: FlowId,
    remote: SocketAddr,
    is_outbound: bool,
    traffic_class: u8,
}

/// One datagram that passed.
struct Sample {
    about: About,
    bytes: u16,
    payload: [u8; PAYLOAD_BYTES_MAX],
}

impl Default for Sample {
    fn default() -> Self {
        Self {
            about: About {
                time: Instant::ZERO,
                local: FlowId(0),
                remote: SocketAddr::from((Ipv4Addr::UNSPECIFIED, 0)),
                is_outbound: false,
                traffic_class: 0,
            },
            bytes: 0,
            payload: [0; PAYLOAD_BYTES_MAX],
        }
    }
}

/// A capture in the form of pcapng, of at most so many bytes: IP packets, each with its direction
/// and its time in nanoseconds.
pub struct Capture<W> {
    writer: W,
    room: usize,
    packets: u64,
    /// Packets that there was no room for.
    refused: u64,
    scratch: Vec<u8>,
}

impl<W: Write> Capture<W> {
    /// Begins a capture.
    ///
    /// # Errors
    /// Those of the writer.
    pub fn new(mut writer: W, bytes_max: usize) -> io::Result<Self> {
        let mut section = Vec::new();
        section.extend(BYTE_ORDER_MAGIC.to_le_bytes());
        section.extend([1, 0, 0, 0]);
        // Of unknown length.
        section.extend(u64::MAX.to_le_bytes());
        let mut interface = Vec::new();
        interface.extend(LINKTYPE_RAW.to_le_bytes());
        interface.extend([0; 2]);
        // No limit to the length of a packet.
        interface.extend([0; 4]);
        option(&mut interface, IF_TSRESOL, &[9]);
        interface.extend([0; 4]);
        let start = [
            block(SECTION_HEADER, &section),
            block(INTERFACE_DESCRIPTION, &interface),
        ]
        .concat();
        writer.write_all(&start)?;
        Ok(Self {
            writer,
            room: bytes_max.saturating_sub(start.len()),
            packets: 0,
            refused: 0,
            scratch: vec![0; inet::HEADERS_BYTES_MAX + PAYLOAD_BYTES_MAX],
        })
    }

    /// Packets written, and those that there was no room for.
    pub fn packets(&self) -> (u64, u64) {
        (self.packets, self.refused)
    }

    /// Flushes the writer.
    ///
    /// # Errors
    /// Those of the writer.
    pub fn flush(&mut self) -> io::Result<()> {
        self.writer.flush()
    }

    /// The writer back.
    pub fn into_writer(self) -> W {
        self.writer
    }

    fn write(&mut self, addresses: &LocalAddresses, sample: &Sample) -> io::Result<()> {
        let about = sample.about;
        let ends = addresses
            .local(about.local)
            .map(|local| match about.is_outbound {
                true => (local, about.remote),
                false => (about.remote, local),
            });
        let headers = ends
            .as_ref()
            .and_then(|(from, to)| Headers::with_traffic_class(from, to, about.traffic_class));
        let bytes = usize::from(sample.bytes);
        let start = inet::HEADERS_BYTES_MAX;
        self.scratch[start..start + bytes].copy_from_slice(&sample.payload[..bytes]);
        let written = headers
            .and_then(|headers| headers.write_packet_before(&mut self.scratch, start, bytes));
        // What has no way to be an IP packet did not pass a back-end.
        let Some(first) = written else {
            return Ok(());
        };
        let block = packet_block(sample, &self.scratch[first..start + bytes]);
        if block.len() > self.room {
            self.refused += 1;
            return Ok(());
        }
        self.room -= block.len();
        self.packets += 1;
        self.writer.write_all(&block)
    }
}

/// An Enhanced Packet Block.
fn packet_block(sample: &Sample, packet: &[u8]) -> Vec<u8> {
    let time = sample.about.time.as_nanos();
    let length = (packet.len() as u32).to_le_bytes();
    let mut body = vec![0; 4];
    body.extend(((time >> 32) as u32).to_le_bytes());
    body.extend((time as u32).to_le_bytes());
    body.extend(length);
    body.extend(length);
    body.extend(packet);
    pad(&mut body);
    let direction = if sample.about.is_outbound { 2_u32 } else { 1 };
    option(&mut body, EPB_FLAGS, &direction.to_le_bytes());
    body.extend([0; 4]);
    block(ENHANCED_PACKET, &body)
}

fn option(body: &mut Vec<u8>, code: u16, value: &[u8]) {
    body.extend(code.to_le_bytes());
    body.extend((value.len() as u16).to_le_bytes());
    body.extend(value);
    pad(body);
}

fn pad(body: &mut Vec<u8>) {
    body.resize(body.len().next_multiple_of(4), 0);
}

/// A block of the draft's section 3.1: type, length, body, length.
fn block(kind: u32, body: &[u8]) -> Vec<u8> {
    let length = (body.len() as u32 + 12).to_le_bytes();
    [&kind.to_le_bytes(), &length, body, &length].concat()
}

struct TapIo {
    io: Box<dyn PacketIo>,
    shared: Arc<Shared>,
    samples: Producer<Sample>,
    /// When the last burst was received: what is sent follows at once.
    now: Instant,
}

impl TapIo {
    fn is_tapped(&self, flow: FlowId) -> bool {
        let flag = self.shared.tapped.get(flow.index());
        flag.is_some_and(|flag| flag.load(Ordering::Relaxed))
    }

    fn sample(&mut self, frame: &Frame, about: About) {
        let payload = frame.payload();
        let mut chunk = match self.samples.write_chunk(1) {
            Ok(chunk) if payload.len() <= PAYLOAD_BYTES_MAX => chunk,
            _ => {
                self.shared.lost.fetch_add(1, Ordering::Relaxed);
                return;
            }
        };
        if let Some(sample) = chunk.as_mut_slices().0.first_mut() {
            sample.about = about;
            sample.bytes = payload.len() as u16;
            sample.payload[..payload.len()].copy_from_slice(payload);
        }
        chunk.commit_all();
    }
}

impl PacketIo for TapIo {
    fn rx_burst(&mut self, now: Instant, burst: &mut Burst, drops: &mut DropCounts) {
        self.now = now;
        let before = burst.len();
        self.io.rx_burst(now, burst, drops);
        if self.shared.count.load(Ordering::Relaxed) == 0 {
            return;
        }
        for datagram in &burst[before..] {
            if self.is_tapped(datagram.flow) {
                let about = About {
                    time: now,
                    local: datagram.flow,
                    remote: datagram.source,
                    is_outbound: false,
                    traffic_class: datagram.traffic_class,
                };
                self.sample(&datagram.frame, about);
            }
        }
    }

    fn tx_burst(&mut self, outgoing: &mut Vec<Outgoing>, drops: &mut DropCounts) {
        if self.shared.count.load(Ordering::Relaxed) > 0 {
            for each in outgoing.iter() {
                if self.is_tapped(each.local) {
                    let about = About {
                        time: self.now,
                        local: each.local,
                        remote: each.destination,
                        is_outbound: true,
                        traffic_class: each.traffic_class,
                    };
                    self.sample(&each.frame, about);
                }
            }
        }
        self.io.tx_burst(outgoing, drops);
    }

    fn alloc(&mut self, frames: &mut Vec<Frame>, count: usize) {
        self.io.alloc(frames, count);
    }

    fn free(&mut self, frames: &mut Vec<Frame>) {
        self.io.free(frames);
    }

    fn open(&mut self, flow: FlowId, endpoint: Endpoint, drops: &mut DropCounts) {
        self.io.open(flow, endpoint, drops);
    }

    fn close(&mut self, flow: FlowId, keep: bool) -> Option<Endpoint> {
        self.io.close(flow, keep)
    }

    fn wait(&mut self, timeout: Option<Duration>) {
        self.io.wait(timeout);
    }

    fn waker(&self) -> Waker {
        self.io.waker()
    }
}

/// Datagrams of a worker that wait to be taken: those of a second of a call, both ways in and out.
const SAMPLES_MAX: usize = 256;

// pcapng, draft-ietf-opsawg-pcapng: 4.1, 4.2, 4.3, and the link types of 11.
const SECTION_HEADER: u32 = 0x0a0d_0d0a;
const BYTE_ORDER_MAGIC: u32 = 0x1a2b_3c4d;
const INTERFACE_DESCRIPTION: u32 = 1;
const ENHANCED_PACKET: u32 = 6;
const LINKTYPE_RAW: u16 = 101;
const IF_TSRESOL: u16 = 9;
const EPB_FLAGS: u16 = 2;
