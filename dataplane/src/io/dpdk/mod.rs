//! DPDK: devices that the kernel knows nothing of.
//!
//! Each worker has a queue of every device and a pool of packet buffers; a datagram is relayed in
//! the buffer that the device put it in. There is no kernel below, so that what a host does on its
//! links is done here: a thread of its own answers ARP, neighbour discovery and echo requests and
//! finds the neighbours; workers give it what they cannot send or do not know. Addresses, prefixes,
//! routers and VLANs are told by the configuration.
//!
//! Checksums are written and verified in full here, none by the device. Fragments are not
//! assembled. A worker that waits looks at its queues every millisecond: drivers are made to be
//! polled.

mod host;
mod neighbours;
mod network;
mod setup;
mod station;

use super::hop::Hop;
use super::{Endpoint, Endpoints, Outgoing, PacketIo, Waker};
use crate::flow_set::FlowSet;
use crate::{
    BURST_MAX, Burst, Datagram, DropCounts, DropReason, FlowId, Frame, HEADROOM_BYTES,
    LocalAddresses, PAYLOAD_BYTES_MAX,
};
use base::Instant;
use dpdk_sys::{Device, Mbuf, PRIVATE_BYTES, Pool, Queue, Statistics};
use host::{HostThread, Kind, PARCELS_MAX, WorkerSide};
use inet::{Headers, UdpFrame};
use network::{Placed, Places};
use station::Station;
use std::io;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;
use udp_batch::{Epoll, EventFd, Events};

pub use self::network::{NETWORKS_MAX, Network, NotANetwork};
pub use self::setup::{
    DEVICES_MAX, DeviceConfig, DeviceStatus, DpdkConfig, FRAMES_MIN, Opened, SetupError, open,
};

/// The mg thread's side: a port needs nothing of its own.
struct DpdkEndpoints {
    /// Ends with the back-end.
    _host: HostThread,
}

impl Endpoints for DpdkEndpoints {
    fn open(&mut self, _: FlowId, _: SocketAddr) -> io::Result<Endpoint> {
        Ok(Endpoint::Virtual)
    }

    fn stop(&mut self, _: FlowId) -> bool {
        false
    }
}

struct DpdkIo {
    addresses: LocalAddresses,
    places: Places,
    /// By device.
    mtus: Box<[u16]>,
    /// By device.
    ports: Vec<Port>,
    /// The port whose turn it is to be read first.
    next: usize,
    /// Packets that were received and not looked at yet, and from which port.
    batch: Vec<Mbuf>,
    batch_port: usize,
    /// Packets being made; empty between calls.
    spare: Vec<Mbuf>,
    pool: Arc<Pool>,
    /// Frames that may still be handed out; the buffers of those in rings are not counted.
    available: usize,
    open: FlowSet,
    host: WorkerSide,
    watched: Box<[Watched]>,
    watched_at: Option<Instant>,
    epoll: Epoll,
    events: Events,
    wakeup: Arc<EventFd>,
}

/// This worker's queue of one device.
struct Port {
    queue: Queue,
    /// Packets to be sent; empty between calls.
    outbox: Vec<Mbuf>,
}

impl Port {
    fn new(queue: Queue) -> Self {
        let outbox = Vec::with_capacity(OUTBOX_MAX);
        Self { queue, outbox }
    }
}

/// A device whose losses this worker counts.
struct Watched {
    device: Device,
    seen: Statistics,
}

fn watched(devices: &[Device]) -> Box<[Watched]> {
    let watch = |device: &Device| Watched {
        seen: device.statistics(),
        device: device.clone(),
    };
    devices.iter().map(watch).collect()
}

impl Watched {
    /// Counts what the device dropped since the last time.
    fn count_losses(&mut self, drops: &mut DropCounts) {
        let now = self.device.statistics();
        let before = std::mem::replace(&mut self.seen, now);
        let missed = now.missed.saturating_sub(before.missed);
        let no_buffer = now.no_buffer.saturating_sub(before.no_buffer);
        drops.add(DropReason::NoFrame, missed + no_buffer);
        drops.add(
            DropReason::Malformed,
            now.broken.saturating_sub(before.broken),
        );
    }
}

impl DpdkIo {
    /// Takes packets from a port until the burst is full or nothing waits.
    fn receive_from(
        &mut self,
        port: usize,
        now: Instant,
        burst: &mut Burst,
        drops: &mut DropCounts,
    ) {
        let room = burst.room();
        self.ports[port].queue.receive(&mut self.batch, room);
        self.batch_port = port;
        self.take_batch(now, burst, drops);
    }

    /// Makes datagrams of packets that were received, as many as there is room for.
    fn take_batch(&mut self, now: Instant, burst: &mut Burst, drops: &mut DropCounts) {
        for packet in &self.batch {
            memory::prefetch_lines(packet.bytes(), LINES_READ_AHEAD);
        }
        let count = self.batch.len().min(burst.room());
        let mut batch = std::mem::take(&mut self.batch);
        for packet in batch.drain(..count) {
            if let Err(reason) = self.take(packet, now, burst) {
                drops.count(reason);
            }
        }
        self.batch = batch;
    }

    /// Makes a datagram of a packet, or gives it to the host.
    fn take(&mut self, packet: Mbuf, now: Instant, burst: &mut Burst) -> Result<(), DropReason> {
        if packet.is_chained() {
            return Err(DropReason::Truncated);
        }
        // What most frames are is not mixed with the rest: it stays in registers.
        match UdpFrame::parse_plain(packet.bytes()) {
            Some(parsed) => self.accept(packet, parsed, now, burst),
            None => self.take_any(packet, now, burst),
        }
    }

    #[inline(never)]
    fn take_any(
        &mut self,
        packet: Mbuf,
        now: Instant,
        burst: &mut Burst,
    ) -> Result<(), DropReason> {
        let device = self.batch_port as u16;
        match UdpFrame::parse(packet.bytes()) {
            Ok(parsed) => self.accept(packet, parsed, now, burst),
            Err(inet::Error::Unsupported) if Station::concerns(packet.bytes()) => {
                let given = self.host.give(Kind::Frame { device }, packet.bytes());
                given.then_some(()).ok_or(DropReason::NoFrame)
            }
            // The noise of the link is no loss: a NIC that knows our groups would not pass it up.
            Err(inet::Error::Unsupported) if is_for_group(packet.bytes()) => Ok(()),
            Err(inet::Error::Unsupported) => Err(DropReason::UnknownFlow),
            Err(_) => Err(DropReason::Malformed),
        }
    }

    /// Makes a datagram of what was found in a packet.
    #[inline(always)]
    fn accept(
        &mut self,
        packet: Mbuf,
        parsed: UdpFrame,
        now: Instant,
        burst: &mut Burst,
    ) -> Result<(), DropReason> {
        let device = self.batch_port as u16;
        let flow = self.addresses.find(parsed.destination);
        let flow = flow.ok_or(DropReason::UnknownFlow)?;
        let is_here =
            |placed: &Placed| placed.device == device && placed.network.vlan == parsed.vlan;
        if !self.places.of(flow).is_some_and(is_here) {
            return Err(DropReason::UnknownFlow);
        }
        if parsed.payload.len() > PAYLOAD_BYTES_MAX {
            return Err(DropReason::Truncated);
        }
        if self.available == 0 {
            return Err(DropReason::NoFrame);
        }
        // One of another pool cannot be used: nobody of ours sends such.
        let (memory, start, _) = self.pool.open(packet).map_err(|_| DropReason::NoFrame)?;
        self.available -= 1;
        let mut frame = Frame::new(memory);
        frame.set_payload(start + parsed.payload.start, parsed.payload.len());
        frame.set_payload_sum(parsed.payload_sum);
        let datagram =
            Datagram::new(frame, flow, parsed.source, now).with_traffic_class(parsed.traffic_class);
        if let Err(datagram) = burst.push(datagram) {
            self.release(datagram.frame);
        }
        Ok(())
    }

    /// Puts one datagram where it is to be sent from, or gives it to the host.
    fn send(&mut self, outgoing: Outgoing) -> Result<(), DropReason> {
        let Outgoing {
            frame,
            local,
            destination,
            traffic_class,
        } = outgoing;
        self.available += 1;
        let (start, bytes) = (frame.headroom(), frame.payload().len());
        let sum = frame.payload_sum();
        let memory = frame.into_memory();
        let (Some(from), Some(placed)) = (self.addresses.local(local), self.places.of(local))
        else {
            return Err(self.lose(memory, DropReason::TxRefused));
        };
        let egresses = &mut self.host.egresses;
        let found = Headers::with_traffic_class(&from, &destination, traffic_class)
            .and_then(|headers| Some((headers, egresses.find(local, &from, &destination)?)));
        let Some((headers, hop)) = found else {
            return Err(self.lose(memory, DropReason::TxRefused));
        };
        let total = headers.bytes() + bytes;
        match hop {
            Hop::Direct {
                interface,
                mtu,
                link,
                confirm: false,
            } if total <= usize::from(*mtu) => {
                let written = headers.write_summed_before(link, memory, start, bytes, sum);
                let port = self.ports.get_mut(usize::from(*interface));
                let (Some(first), Some(port)) = (written, port) else {
                    return Err(self.lose(memory, DropReason::TxRefused));
                };
                match self.pool.close(memory, first, start + bytes - first) {
                    Ok(packet) => port.outbox.push(packet),
                    // Nothing of ours, or too little room before the payload.
                    Err(memory) => return Err(self.lose(memory, DropReason::TxRefused)),
                }
                Ok(())
            }
            hop => {
                let mtu = self.mtus.get(usize::from(placed.device)).copied();
                let is_refused = *hop == Hop::Unreachable
                    || placed.network.next_hop(destination.ip()).is_none()
                    || mtu.is_none_or(|mtu| total > usize::from(mtu));
                if let (Hop::Direct { confirm, .. }, false) = (hop, is_refused) {
                    *confirm = false;
                }
                let written = headers.write_packet_before(memory, start, bytes);
                let reason = match written {
                    Some(first) if !is_refused => {
                        let packet = &memory[first..start + bytes];
                        let given = self.host.give(Kind::Packet, packet);
                        (!given).then_some(DropReason::TxFull)
                    }
                    _ => Some(DropReason::TxRefused),
                };
                self.release_memory(memory);
                reason.map_or(Ok(()), Err)
            }
        }
    }

    fn lose(&self, memory: &'static mut [u8], reason: DropReason) -> DropReason {
        self.release_memory(memory);
        reason
    }

    fn release(&mut self, frame: Frame) {
        self.available += 1;
        self.release_memory(frame.into_memory());
    }

    /// Gives a buffer back to the pool; memory that is none of its own is nobody's any more.
    fn release_memory(&self, memory: &'static mut [u8]) {
        drop(self.pool.close(memory, PRIVATE_BYTES, 0));
    }

    /// Puts what the host wants sent into the outboxes. To be called after its answers were taken:
    /// what waited for a neighbour must leave before what goes there directly.
    fn take_from_host(&mut self) {
        for _ in 0..PARCELS_MAX {
            let Self {
                host,
                pool,
                spare,
                ports,
                ..
            } = self;
            let taken = host.take(|parcel| {
                let Kind::Frame { device } = *parcel.about() else {
                    return;
                };
                let Some(port) = ports.get_mut(usize::from(device)) else {
                    return;
                };
                if pool.allocate(spare, 1)
                    && let Some(mut packet) = spare.pop()
                    && pool.write(&mut packet, parcel.bytes())
                {
                    port.outbox.push(packet);
                }
            });
            if !taken {
                return;
            }
        }
    }

    /// Sends what is in the outboxes.
    fn flush(&mut self, drops: &mut DropCounts) {
        for port in self.ports.iter_mut().filter(|port| !port.outbox.is_empty()) {
            port.queue.send(&mut port.outbox);
            drops.add(DropReason::TxFull, port.outbox.len() as u64);
            port.outbox.clear();
        }
    }

    /// Counts what devices and host have dropped, now and then.
    fn count_losses(&mut self, now: Instant, drops: &mut DropCounts) {
        self.host.count_losses(drops);
        if self.watched_at.is_some_and(|at| now < at + WATCH_PAUSE) {
            return;
        }
        self.watched_at = Some(now);
        for watched in &mut self.watched {
            watched.count_losses(drops);
        }
    }

    /// True when there is something to be received or sent.
    fn is_waiting(&mut self) -> bool {
        if !self.batch.is_empty() || self.host.is_waiting() {
            return true;
        }
        for (index, port) in self.ports.iter_mut().enumerate() {
            if port.queue.receive(&mut self.batch, BURST_MAX) > 0 {
                self.batch_port = index;
                return true;
            }
        }
        false
    }
}

/// True for frames that are not for us alone.
fn is_for_group(frame: &[u8]) -> bool {
    inet::ethernet::Frame::new(frame).is_ok_and(|frame| frame.destination().is_group())
}

impl PacketIo for DpdkIo {
    fn rx_burst(&mut self, now: Instant, burst: &mut Burst, drops: &mut DropCounts) {
        dpdk_sys::join_thread();
        self.host.egresses.handle_answers();
        self.take_from_host();
        self.take_batch(now, burst, drops);
        let ports = self.ports.len();
        for step in 0..ports {
            if burst.is_full() || !self.batch.is_empty() {
                break;
            }
            let port = (self.next + step) % ports;
            self.receive_from(port, now, burst, drops);
            if burst.is_full() {
                // The next has its turn first.
                self.next = (port + 1) % ports;
            }
        }
        self.host.flush();
        self.flush(drops);
        self.count_losses(now, drops);
    }

    fn alloc(&mut self, frames: &mut Vec<Frame>, count: usize) {
        let room = frames.capacity() - frames.len();
        let mut wanted = count.min(room).min(self.available);
        while wanted > 0 {
            let step = wanted.min(BURST_MAX);
            if !self.pool.allocate(&mut self.spare, step) {
                return;
            }
            for packet in self.spare.drain(..) {
                if let Ok((memory, ..)) = self.pool.open(packet) {
                    frames.push(Frame::new(memory));
                    self.available -= 1;
                }
            }
            wanted -= step;
        }
    }

    fn tx_burst(&mut self, outgoing: &mut Vec<Outgoing>, drops: &mut DropCounts) {
        for each in outgoing.iter() {
            self.host.egresses.prefetch(each.local);
        }
        for each in outgoing.drain(..) {
            if let Err(reason) = self.send(each) {
                drops.count(reason);
            }
        }
        self.flush(drops);
        self.host.flush();
    }

    fn free(&mut self, frames: &mut Vec<Frame>) {
        for frame in frames.drain(..) {
            self.release(frame);
        }
    }

    fn open(&mut self, flow: FlowId, _: Endpoint, _: &mut DropCounts) {
        self.open.insert(flow);
    }

    fn close(&mut self, flow: FlowId, _: bool) -> Option<Endpoint> {
        self.open.remove(flow).then_some(Endpoint::Virtual)
    }

    fn wait(&mut self, timeout: Option<Duration>) {
        let mut left = timeout;
        while !self.is_waiting() {
            let pause = left.map_or(POLL_PAUSE, |left| left.min(POLL_PAUSE));
            // No error is known with a valid set; were there one, nothing would be ready.
            let _ = self.epoll.wait(&mut self.events, Some(pause));
            if self.events.tokens().any(|token| token == WAKEUP) {
                self.wakeup.clear();
                return;
            }
            left = left.map(|left| left.saturating_sub(pause));
            if left == Some(Duration::ZERO) {
                return;
            }
        }
    }

    fn waker(&self) -> Waker {
        Waker::new(Arc::clone(&self.wakeup))
    }
}

/// Packets of one turn that are sent together: those of a burst with all of its copies, and the
/// host's.
const OUTBOX_MAX: usize = BURST_MAX * crate::EGRESSES_MAX + PARCELS_MAX;

/// How often a worker that waits looks at its queues.
const POLL_PAUSE: Duration = Duration::from_millis(1);

/// Between two looks at what devices dropped: some read it slowly.
const WATCH_PAUSE: Duration = Duration::from_secs(1);

/// Lines of a frame of 20 ms of G.711.
const LINES_READ_AHEAD: usize = 4;

/// The token of the event that wakes.
const WAKEUP: u64 = 0;

const _: () = assert!(PRIVATE_BYTES + dpdk_sys::HEADROOM_BYTES == HEADROOM_BYTES);
const _: () = assert!(dpdk_sys::MEMORY_BYTES >= HEADROOM_BYTES + PAYLOAD_BYTES_MAX + 128);
