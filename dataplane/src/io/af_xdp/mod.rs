//! AF_XDP: frames past the kernel's network stack, which stays the router.
//!
//! Each worker has a UMEM and a socket for each of its queues. The XDP program takes UDP to our
//! addresses and ports and leaves everything else, all fragments included, to the kernel. Frames
//! are parsed here and their headers built here; the way to a destination is the kernel's: its
//! routes and neighbours are asked for and followed by a thread of their own. What that does not
//! know yet, or what leaves by other interfaces, it gives to the kernel as a packet, so that
//! nothing is lost while a neighbour is looked for, and a worker asks the kernel for nothing but to
//! send, to receive and to wait.
//!
//! Checksums are always written in full. On the way in they are verified; one that covers the
//! pseudo-header only is accepted, since that is what a sender on the same host leaves in memory.
//!
//! Needs CAP_NET_ADMIN, CAP_NET_RAW, CAP_BPF and, for a UMEM beyond RLIMIT_MEMLOCK, CAP_IPC_LOCK
//! while it is opened, and nothing afterwards: descriptors that are open stay as they are.

mod hops;
mod netlink;
mod resolver;
mod setup;

use super::hop::Hop;
use super::{Endpoint, Endpoints, Outgoing, PacketIo, Waker};
use crate::flow_set::FlowSet;
use crate::{
    BURST_MAX, Burst, Datagram, DropCounts, DropReason, FlowId, Frame, LocalAddresses,
    PAYLOAD_BYTES_MAX,
};
use ::af_xdp::{Received, Socket, Statistics};
use base::Instant;
use inet::{Headers, UdpFrame};
use std::io;
use std::net::{SocketAddr, UdpSocket};
use std::sync::Arc;
use std::time::Duration;
use udp_batch::{Epoll, EventFd, Events};

pub use self::setup::{
    AfXdpConfig, FRAMES_MIN, InterfaceConfig, InterfaceStatus, Opened, QueueStatus, SetupError,
    open,
};
pub use ::af_xdp::{Copying, Mode};

/// The mg thread's side: a port needs nothing of its own.
struct AfXdpEndpoints {
    /// Ends with the back-end.
    _resolver: resolver::ResolverThread,
    /// The programs, which go with the back-end.
    _attachments: Vec<::af_xdp::Attachment>,
}

impl Endpoints for AfXdpEndpoints {
    fn open(&mut self, _: FlowId, local: SocketAddr) -> io::Result<Endpoint> {
        // Nobody else may use the port, of whose datagrams none would arrive.
        UdpSocket::bind(local).map(|_| Endpoint::Virtual)
    }

    fn stop(&mut self, _: FlowId) -> bool {
        false
    }
}

struct AfXdpIo {
    addresses: LocalAddresses,
    ports: Vec<Port>,
    /// By interface, the port to send by.
    senders: Box<[usize]>,
    /// The port whose turn it is to be read first.
    next: usize,
    pool: Vec<Frame>,
    /// Packets being taken from a ring; empty between calls.
    batch: Vec<Received>,
    open: FlowSet,
    resolver: resolver::WorkerSide,
    epoll: Epoll,
    events: Events,
    wakeup: Arc<EventFd>,
    turns: u32,
}

/// One queue of an interface.
struct Port {
    socket: Socket,
    /// Packets were given to be sent that the kernel has not all taken.
    unsent: bool,
    seen: Statistics,
}

impl Port {
    fn new(socket: Socket) -> Self {
        Self {
            socket,
            unsent: false,
            seen: Statistics::default(),
        }
    }

    fn flush(&mut self) {
        // A failure is that of an interface that is down or gone: what was given stays in the ring,
        // and when that is full, it is counted.
        let _ = self.socket.flush();
        self.unsent = !self.socket.is_flushed();
    }

    /// Counts what the kernel dropped since the last time.
    fn count_losses(&mut self, drops: &mut DropCounts) {
        let Ok(now) = self.socket.statistics() else {
            return;
        };
        let before = std::mem::replace(&mut self.seen, now);
        let no_chunk = now.rx_no_chunk.saturating_sub(before.rx_no_chunk);
        let ring_full = now.rx_ring_full.saturating_sub(before.rx_ring_full);
        let dropped = now.rx_dropped.saturating_sub(before.rx_dropped);
        drops.add(DropReason::NoFrame, no_chunk + ring_full);
        // For want of a chunk the kernel counts both.
        drops.add(DropReason::Truncated, dropped.saturating_sub(no_chunk));
    }
}

impl AfXdpIo {
    /// Receives from one port until the burst is full or nothing waits; true for something.
    fn receive_from(
        &mut self,
        port: usize,
        now: Instant,
        burst: &mut Burst,
        drops: &mut DropCounts,
    ) -> bool {
        let mut batch = std::mem::take(&mut self.batch);
        while batch.len() < burst.room()
            && let Some(received) = self.ports[port].socket.receive()
        {
            if let Some(frame) = received.chunk.get(received.start..) {
                memory::prefetch_lines(frame, LINES_READ_AHEAD);
            }
            batch.push(received);
        }
        let any = !batch.is_empty();
        for received in batch.drain(..) {
            let chunk = self.take(received, now, burst, drops);
            // The ring has as much room as was taken from it, and the chunk is one of its memory.
            let filled = self.ports[port].socket.fill(chunk);
            debug_assert!(
                filled.is_ok(),
                "the fill ring has room for what came out of it"
            );
        }
        self.batch = batch;
        if any {
            self.ports[port].socket.submit();
        }
        any
    }

    /// Makes a datagram of what was received. Returns a chunk to receive into next: a free one, or
    /// when there is none, that of the packet, which is dropped.
    fn take(
        &mut self,
        received: Received,
        now: Instant,
        burst: &mut Burst,
        drops: &mut DropCounts,
    ) -> &'static mut [u8] {
        let Received {
            chunk,
            start,
            bytes,
        } = received;
        // What most frames are is not mixed with the rest: it stays in registers.
        match UdpFrame::parse_plain(&chunk[start..start + bytes]) {
            Some(parsed) => self.accept((chunk, start), parsed, now, burst, drops),
            None => self.take_any((chunk, start, bytes), now, burst, drops),
        }
    }

    #[inline(never)]
    fn take_any(
        &mut self,
        (chunk, start, bytes): (&'static mut [u8], usize, usize),
        now: Instant,
        burst: &mut Burst,
        drops: &mut DropCounts,
    ) -> &'static mut [u8] {
        match UdpFrame::parse(&chunk[start..start + bytes]) {
            Ok(parsed) => self.accept((chunk, start), parsed, now, burst, drops),
            Err(_) => {
                drops.count(DropReason::Malformed);
                chunk
            }
        }
    }

    /// The same with what was found in the chunk, where the frame begins at `start`.
    #[inline(always)]
    fn accept(
        &mut self,
        (chunk, start): (&'static mut [u8], usize),
        parsed: UdpFrame,
        now: Instant,
        burst: &mut Burst,
        drops: &mut DropCounts,
    ) -> &'static mut [u8] {
        let Some(flow) = self.addresses.find(parsed.destination) else {
            drops.count(DropReason::UnknownFlow);
            return chunk;
        };
        if parsed.payload.len() > PAYLOAD_BYTES_MAX {
            drops.count(DropReason::Truncated);
            return chunk;
        }
        let Some(free) = self.pool.pop() else {
            drops.count(DropReason::NoFrame);
            return chunk;
        };
        let mut frame = Frame::new(chunk);
        frame.set_payload(start + parsed.payload.start, parsed.payload.len());
        frame.set_payload_sum(parsed.payload_sum);
        let datagram =
            Datagram::new(frame, flow, parsed.source, now).with_traffic_class(parsed.traffic_class);
        match burst.push(datagram) {
            Ok(()) => free.into_memory(),
            Err(datagram) => {
                self.pool.push(free);
                datagram.frame.into_memory()
            }
        }
    }

    /// Takes back what has been sent.
    fn reclaim(&mut self) {
        for port in &mut self.ports {
            let before = self.pool.len();
            while let Some(chunk) = port.socket.complete() {
                self.pool.push(Frame::new(chunk));
            }
            if self.pool.len() > before {
                port.socket.submit();
            }
        }
    }

    /// Sends one datagram, or gives it to the kernel.
    fn send(&mut self, outgoing: Outgoing, drops: &mut DropCounts) {
        let Outgoing {
            frame,
            local,
            destination,
            traffic_class,
        } = outgoing;
        let Some(from) = self.addresses.local(local) else {
            return self.drop(frame, DropReason::TxRefused, drops);
        };
        let egresses = &mut self.resolver.egresses;
        let found = Headers::with_traffic_class(&from, &destination, traffic_class)
            .and_then(|headers| Some((headers, egresses.find(local, &from, &destination)?)));
        let Some((headers, hop)) = found else {
            return self.drop(frame, DropReason::TxRefused, drops);
        };
        let (start, bytes) = (frame.headroom(), frame.payload().len());
        let (interface, link) = match hop {
            Hop::Unreachable => return self.drop(frame, DropReason::TxRefused, drops),
            Hop::Direct {
                interface,
                mtu,
                link,
                confirm: false,
            } if headers.bytes() + bytes <= usize::from(*mtu) => (usize::from(*interface), *link),
            hop => {
                if let Hop::Direct { confirm, .. } = hop {
                    *confirm = false;
                }
                return self.send_by_kernel(frame, &headers, from, destination, drops);
            }
        };
        let sum = frame.payload_sum();
        let chunk = frame.into_memory();
        let written = headers.write_summed_before(&link, chunk, start, bytes, sum);
        let sender = self.senders.get(interface).copied().unwrap_or(0);
        let (Some(first), Some(port)) = (written, self.ports.get_mut(sender)) else {
            return self.drop(Frame::new(chunk), DropReason::TxRefused, drops);
        };
        match port.socket.send(chunk, first, start + bytes - first) {
            Ok(()) => port.unsent = true,
            Err(chunk) => self.drop(Frame::new(chunk), DropReason::TxFull, drops),
        }
    }

    /// Has the kernel send a packet, by the thread that speaks with it: a worker asks it for
    /// nothing.
    fn send_by_kernel(
        &mut self,
        frame: Frame,
        headers: &Headers<'_>,
        from: SocketAddr,
        to: SocketAddr,
        drops: &mut DropCounts,
    ) {
        let (start, bytes) = (frame.headroom(), frame.payload().len());
        let chunk = frame.into_memory();
        let ends = resolver::Ends {
            source: from.ip(),
            destination: to,
        };
        let refusal = match headers.write_packet_before(chunk, start, bytes) {
            Some(first) if self.resolver.give(ends, &chunk[first..start + bytes]) => None,
            Some(_) => Some(DropReason::TxFull),
            None => Some(DropReason::TxRefused),
        };
        self.pool.push(Frame::new(chunk));
        if let Some(reason) = refusal {
            drops.count(reason);
        }
    }

    fn drop(&mut self, frame: Frame, reason: DropReason, drops: &mut DropCounts) {
        drops.count(reason);
        self.pool.push(frame);
    }

    fn flush(&mut self) {
        for port in self.ports.iter_mut().filter(|port| port.unsent) {
            port.flush();
        }
    }
}

impl PacketIo for AfXdpIo {
    fn rx_burst(&mut self, now: Instant, burst: &mut Burst, drops: &mut DropCounts) {
        self.resolver.egresses.handle_answers();
        self.resolver.count_losses(drops);
        let ports = self.ports.len();
        let mut any = false;
        for step in 0..ports {
            let port = (self.next + step) % ports;
            any |= self.receive_from(port, now, burst, drops);
            if burst.is_full() {
                // The next has its turn first.
                self.next = (port + 1) % ports;
                break;
            }
        }
        if !any {
            self.reclaim();
            self.flush();
            for port in &mut self.ports {
                // A driver without copies that ran out of chunks sleeps until it is woken.
                port.socket.submit();
            }
        }
        self.turns = self.turns.wrapping_add(1);
        if self.turns.is_multiple_of(TURNS_PER_STATISTICS) {
            for port in &mut self.ports {
                port.count_losses(drops);
            }
        }
    }

    fn alloc(&mut self, frames: &mut Vec<Frame>, count: usize) {
        self.reclaim();
        super::move_frames(&mut self.pool, frames, count);
    }

    fn tx_burst(&mut self, outgoing: &mut Vec<Outgoing>, drops: &mut DropCounts) {
        for each in outgoing.iter() {
            self.resolver.egresses.prefetch(each.local);
        }
        self.reclaim();
        for each in outgoing.drain(..) {
            self.send(each, drops);
        }
        self.flush();
        self.resolver.flush();
        self.resolver.count_losses(drops);
    }

    fn free(&mut self, frames: &mut Vec<Frame>) {
        self.pool.append(frames);
    }

    fn open(&mut self, flow: FlowId, _: Endpoint, _: &mut DropCounts) {
        self.open.insert(flow);
    }

    fn close(&mut self, flow: FlowId, _: bool) -> Option<Endpoint> {
        self.open.remove(flow).then_some(Endpoint::Virtual)
    }

    fn wait(&mut self, timeout: Option<Duration>) {
        let is_unsent = self.ports.iter().any(|port| port.unsent);
        let timeout = if is_unsent {
            Some(timeout.map_or(UNSENT_PAUSE, |timeout| timeout.min(UNSENT_PAUSE)))
        } else {
            timeout
        };
        // No error is known with a valid set; were there one, nothing would be ready.
        let _ = self.epoll.wait(&mut self.events, timeout);
        if self.events.tokens().any(|token| token == WAKEUP) {
            self.wakeup.clear();
        }
    }

    fn waker(&self) -> Waker {
        Waker::new(Arc::clone(&self.wakeup))
    }
}

/// Lines of a frame of 20 ms of G.711.
const LINES_READ_AHEAD: usize = 4;

/// Turns between two looks at what the kernel dropped.
const TURNS_PER_STATISTICS: u32 = 64;

/// How soon it is tried again to send what an interface did not take.
const UNSENT_PAUSE: Duration = Duration::from_millis(1);

/// The token of the event that wakes; queues have small numbers.
const WAKEUP: u64 = u64::MAX;

const _: () = assert!(BURST_MAX as u32 <= setup::RING_MIN);
