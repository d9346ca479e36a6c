//! Kernel sockets, batched: no privilege needed; the embedded default.
//!
//! Each flow has one socket. The worker that receives from it is fixed by the port number, RTP and
//! its RTCP on the same; every worker may send from it.
//!
//! A socket stays open while its port rests, since opening one costs more than all else about a
//! flow. What comes meanwhile is received and dropped, and what waits when the port is opened again
//! is taken away first.

use super::{Backend, Endpoint, Endpoints, Outgoing, PacketIo, Waker};
use crate::{BURST_MAX, Burst, Datagram, DropCounts, DropReason, FlowId, Frame, LocalAddresses};
use base::Instant;
use std::collections::VecDeque;
use std::io;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;
use udp_batch::{Epoll, EventFd, Events, ReceiveBatch, SendBatch, SendDatagram, Socket};

pub use udp_batch::raise_descriptor_limit;

/// What the `udp` back-end can be told.
#[derive(Clone, Debug)]
pub struct UdpConfig {
    /// Workers, at least one.
    pub workers: usize,
    /// Frames of each worker, at least [`FRAMES_MIN`].
    pub frames: usize,
    /// Receive buffer asked for each socket, of which the system makes twice as much; `None` leaves
    /// its default.
    pub receive_buffer_bytes: Option<usize>,
    /// Most sockets kept while their ports are closed. Each takes the system some
    /// [`SOCKET_BYTES`], and a descriptor.
    pub kept_max: usize,
}

impl Default for UdpConfig {
    fn default() -> Self {
        Self {
            workers: 1,
            frames: 1024,
            receive_buffer_bytes: Some(RECEIVE_BUFFER_BYTES),
            kept_max: KEPT_MAX,
        }
    }
}

/// Sockets at `addresses`, opened later, for each of the workers. The process needs a descriptor
/// per port in use: see [`raise_descriptor_limit`].
///
/// # Errors
/// What the system answers: too many descriptors.
pub fn backend(addresses: &LocalAddresses, config: &UdpConfig) -> io::Result<Backend> {
    let mut ios: Vec<Box<dyn PacketIo>> = Vec::new();
    let mut epolls = Vec::new();
    let workers = config.workers.max(1);
    for worker in 0..workers {
        let io = UdpIo::new(addresses, Share { worker, workers }, config.frames)?;
        epolls.push(Arc::clone(&io.epoll));
        ios.push(Box::new(io));
    }
    let endpoints = Box::new(UdpEndpoints {
        epolls,
        receive_buffer_bytes: config.receive_buffer_bytes,
        sockets: vec![None; addresses.flows()],
        kept: 0,
        kept_max: config.kept_max,
    });
    Ok(Backend {
        addresses: addresses.clone(),
        ios,
        endpoints,
    })
}

struct UdpEndpoints {
    epolls: Vec<Arc<Epoll>>,
    receive_buffer_bytes: Option<usize>,
    /// By flow, those in use and those kept.
    sockets: Vec<Option<Arc<Socket>>>,
    kept: usize,
    kept_max: usize,
}

/// The worker that receives at a port, among `workers`: an even port and the next stay together.
fn receiver_of(port: u16, workers: usize) -> usize {
    usize::from(port / 2) % workers
}

impl UdpEndpoints {
    fn epoll(&self, local: SocketAddr) -> &Epoll {
        &self.epolls[receiver_of(local.port(), self.epolls.len())]
    }
}

impl Endpoints for UdpEndpoints {
    fn open(&mut self, flow: FlowId, local: SocketAddr) -> io::Result<Endpoint> {
        if self.sockets[flow.index()].is_some() {
            self.kept -= 1;
            return Ok(Endpoint::Kept);
        }
        let socket = Socket::bind(local)?;
        if let Some(bytes) = self.receive_buffer_bytes {
            socket.set_receive_buffer_bytes(bytes)?;
        }
        self.epoll(local).add_for_news(&socket, u64::from(flow.0))?;
        let socket = Arc::new(socket);
        self.sockets[flow.index()] = Some(Arc::clone(&socket));
        Ok(Endpoint::Socket(socket))
    }

    fn stop(&mut self, flow: FlowId) -> bool {
        if self.kept < self.kept_max {
            self.kept += 1;
            return true;
        }
        if let Some(socket) = self.sockets[flow.index()].take()
            && let Ok(local) = socket.local_address()
        {
            // It was added by `open` and is removed once, so this cannot fail; and closing removes
            // it too.
            let _ = self.epoll(local).remove(socket.as_ref());
        }
        false
    }

    fn tell_marks(&mut self, flow: FlowId, wanted: bool) {
        if let Some(Some(socket)) = self.sockets.get(flow.index()) {
            // Without, what is to keep its mark is sent without one.
            let _ = socket.receive_traffic_class(wanted);
        }
    }

    fn kept(&self) -> usize {
        self.kept
    }
}

/// Which worker, of how many.
#[derive(Clone, Copy)]
struct Share {
    worker: usize,
    workers: usize,
}

struct UdpIo {
    addresses: LocalAddresses,
    share: Share,
    epoll: Arc<Epoll>,
    wakeup: Arc<EventFd>,
    events: Events,
    /// The next of `events` to read from.
    cursor: usize,
    /// `events` tells what waits since the last time that anything was received.
    has_looked: bool,
    /// Sockets on which something may wait that no event will tell, in the order they are read.
    unread: VecDeque<FlowId>,
    /// By flow, whether it is among them.
    is_unread: Box<[bool]>,
    /// Those have their turn before `events`.
    unread_first: bool,
    sockets: Vec<Option<Arc<Socket>>>,
    receive: ReceiveBatch,
    send: SendBatch,
    pool: Vec<Frame>,
    /// Frames being received into; empty between calls.
    reading: Vec<Frame>,
}

impl UdpIo {
    fn new(addresses: &LocalAddresses, share: Share, frames: usize) -> io::Result<Self> {
        let epoll = Epoll::new()?;
        let wakeup = EventFd::new()?;
        epoll.add(&wakeup, WAKEUP)?;
        Ok(Self {
            addresses: addresses.clone(),
            share,
            epoll: Arc::new(epoll),
            wakeup: Arc::new(wakeup),
            events: Events::new(EVENTS_MAX),
            cursor: 0,
            has_looked: false,
            unread: VecDeque::with_capacity(addresses.flows()),
            is_unread: vec![false; addresses.flows()].into(),
            unread_first: false,
            sockets: vec![None; addresses.flows()],
            receive: ReceiveBatch::new(PER_SOCKET_MAX),
            send: SendBatch::new(BURST_MAX),
            pool: Frame::pool(frames.max(FRAMES_MIN)),
            reading: Vec::with_capacity(PER_SOCKET_MAX),
        })
    }

    /// Looks for events; those of the last time have been read.
    fn wait_for_events(&mut self, timeout: Option<Duration>) {
        self.cursor = 0;
        // No error is known with a valid set; were there one, nothing would be ready.
        let _ = self.epoll.wait(&mut self.events, timeout);
    }

    fn is_received_here(&self, flow: FlowId) -> bool {
        self.addresses
            .local(flow)
            .is_some_and(|local| receiver_of(local.port(), self.share.workers) == self.share.worker)
    }

    /// Something may be left at a flow that no event will tell.
    fn read_later(&mut self, flow: FlowId) {
        if !std::mem::replace(&mut self.is_unread[flow.index()], true) {
            self.unread.push_back(flow);
        }
    }

    /// Takes away what waits at a flow, if it is received here. One look at all sockets tells, for
    /// all flows that are opened in a turn, where there is anything.
    fn drain(&mut self, flow: FlowId, drops: &mut DropCounts) {
        if !self.is_received_here(flow) {
            return;
        }
        if !self.has_looked && self.events.token(self.cursor).is_none() {
            self.has_looked = true;
            self.wait_for_events(Some(Duration::ZERO));
        }
        let told = self.events.tokens().count();
        let is_told = self.is_unread[flow.index()]
            || self.events.tokens().any(|token| token == u64::from(flow.0));
        if self.has_looked && told < EVENTS_MAX && !is_told {
            return;
        }
        let Some(Some(socket)) = self.sockets.get(flow.index()) else {
            return;
        };
        for _ in 0..DRAINS_MAX {
            let mut nowhere = [[0_u8; 1]; PER_SOCKET_MAX];
            let late = self.receive.receive(socket, &mut nowhere).unwrap_or(0);
            drops.add(DropReason::RestingPort, late as u64);
            if late < PER_SOCKET_MAX {
                return;
            }
        }
    }

    /// Reads from one socket.
    fn receive_from(
        &mut self,
        flow: FlowId,
        now: Instant,
        burst: &mut Burst,
        drops: &mut DropCounts,
    ) {
        // Nearly always one waits, and the second place tells that no more does.
        for places in [FIRST_READ, PER_SOCKET_MAX - FIRST_READ] {
            if !self.read(flow, places, now, burst, drops) {
                return;
            }
        }
        self.read_later(flow);
    }

    /// Reads so many at most; true when more may wait.
    fn read(
        &mut self,
        flow: FlowId,
        places: usize,
        now: Instant,
        burst: &mut Burst,
        drops: &mut DropCounts,
    ) -> bool {
        // `open` has it looked at again.
        let Some(Some(socket)) = self.sockets.get(flow.index()) else {
            return false;
        };
        if self.pool.is_empty() {
            let mut nowhere = [[0_u8; 1]; PER_SOCKET_MAX];
            let nowhere = &mut nowhere[..places];
            let lost = self.receive.receive(socket, nowhere).unwrap_or(0);
            drops.add(DropReason::NoFrame, lost as u64);
            return lost == places;
        }
        let count = burst.room().min(places).min(self.pool.len());
        if count == 0 {
            return true;
        }
        self.reading
            .extend(self.pool.drain(self.pool.len() - count..));
        // A failure concerns this one socket; other flows go on.
        let received = self.receive.receive(socket, &mut self.reading).unwrap_or(0);
        for (index, mut frame) in self.reading.drain(..).enumerate() {
            if index >= received {
                self.pool.push(frame);
                continue;
            }
            let message = self.receive.message(index);
            if message.truncated || !frame.received(message.bytes) {
                drops.count(DropReason::Truncated);
                self.pool.push(frame);
            } else {
                let datagram = Datagram::new(frame, flow, message.source, now)
                    .with_traffic_class(message.traffic_class);
                if let Err(datagram) = burst.push(datagram) {
                    self.pool.push(datagram.frame);
                }
            }
        }
        received == count
    }

    /// Reads from the sockets that events tell of.
    fn read_news(&mut self, now: Instant, burst: &mut Burst, drops: &mut DropCounts) {
        if self.events.token(self.cursor).is_none() {
            self.wait_for_events(Some(Duration::ZERO));
        }
        while !burst.is_full()
            && let Some(token) = self.events.token(self.cursor)
        {
            self.cursor += 1;
            if token == WAKEUP {
                self.wakeup.clear();
                continue;
            }
            self.receive_from(FlowId(token as u32), now, burst, drops);
        }
    }

    /// Reads from the sockets that something was left on, from each once.
    fn read_unread(&mut self, now: Instant, burst: &mut Burst, drops: &mut DropCounts) {
        for _ in 0..self.unread.len() {
            if burst.is_full() {
                return;
            }
            if let Some(flow) = self.unread.pop_front() {
                self.is_unread[flow.index()] = false;
                self.receive_from(flow, now, burst, drops);
            }
        }
    }
}

impl PacketIo for UdpIo {
    fn rx_burst(&mut self, now: Instant, burst: &mut Burst, drops: &mut DropCounts) {
        self.has_looked = false;
        if self.unread_first {
            self.read_unread(now, burst, drops);
        }
        self.read_news(now, burst, drops);
        if !self.unread_first {
            self.read_unread(now, burst, drops);
        }
        // Neither keeps the other waiting for ever.
        self.unread_first = !self.unread_first && burst.is_full();
    }

    fn alloc(&mut self, frames: &mut Vec<Frame>, count: usize) {
        super::move_frames(&mut self.pool, frames, count);
    }

    fn tx_burst(&mut self, outgoing: &mut Vec<Outgoing>, drops: &mut DropCounts) {
        let mut rest = outgoing.as_slice();
        while let Some(first) = rest.first() {
            let run = rest
                .iter()
                .take_while(|datagram| {
                    (datagram.local, datagram.traffic_class) == (first.local, first.traffic_class)
                })
                .count();
            let (same, others) = rest.split_at(run);
            rest = others;
            match &self.sockets[first.local.index()] {
                Some(socket) => {
                    // An unmarked packet is worth more than none.
                    let _ = socket.set_traffic_class(first.traffic_class);
                    send_run(&mut self.send, socket, same, drops);
                }
                None => drops.add(DropReason::TxRefused, run as u64),
            }
        }
        self.pool
            .extend(outgoing.drain(..).map(|datagram| datagram.frame));
    }

    fn free(&mut self, frames: &mut Vec<Frame>) {
        self.pool.append(frames);
    }

    fn open(&mut self, flow: FlowId, endpoint: Endpoint, drops: &mut DropCounts) {
        match endpoint {
            Endpoint::Socket(socket) => {
                self.sockets[flow.index()] = Some(socket);
                // What came before has been told, and could not be read.
                if self.is_received_here(flow) {
                    self.read_later(flow);
                }
            }
            Endpoint::Kept => self.drain(flow, drops),
            Endpoint::Virtual => {}
        }
    }

    fn close(&mut self, flow: FlowId, keep: bool) -> Option<Endpoint> {
        if keep {
            return None;
        }
        self.sockets[flow.index()].take().map(Endpoint::Socket)
    }

    fn wait(&mut self, timeout: Option<Duration>) {
        self.has_looked = false;
        if self.events.token(self.cursor).is_some() {
            return;
        }
        let is_left = !self.unread.is_empty();
        self.wait_for_events(if is_left {
            Some(Duration::ZERO)
        } else {
            timeout
        });
    }

    fn waker(&self) -> Waker {
        Waker::new(Arc::clone(&self.wakeup))
    }
}

/// Sends datagrams of one socket; each that is refused does not hold up the rest.
fn send_run(send: &mut SendBatch, socket: &Socket, mut run: &[Outgoing], drops: &mut DropCounts) {
    while !run.is_empty() {
        let outcome = send.send(socket, run);
        run = &run[outcome.sent..];
        match outcome.error {
            Some(error) if error.kind() == io::ErrorKind::WouldBlock => {
                drops.add(DropReason::TxFull, run.len() as u64);
                return;
            }
            Some(_) => {
                drops.count(DropReason::TxRefused);
                run = &run[run.len().min(1)..];
            }
            None => {}
        }
    }
}

impl SendDatagram for Outgoing {
    fn payload(&self) -> &[u8] {
        self.frame.payload()
    }

    fn destination(&self) -> SocketAddr {
        self.destination
    }
}

/// Fewest frames of a worker: what can be received, copied and waiting for delivery in memory at a
/// time.
pub const FRAMES_MIN: usize = crate::worker::FRAMES_IN_FLIGHT_MAX;

/// Room for 60 packets of speech or 20 of 1 200 octets at each port. When more comes than the
/// worker can take, what waits for longer than that is late anyway, and memory of all ports does
/// not fit into the caches: with the system's default, four times as much, a fifth less passes.
pub const RECEIVE_BUFFER_BYTES: usize = 24 << 10;

/// Sockets looked at per wait; the others' turn comes with the next.
const EVENTS_MAX: usize = BURST_MAX;

/// Datagrams read from one socket at a time, so that a flooded port does not starve others.
const PER_SOCKET_MAX: usize = 16;

/// Of those, how many places are prepared at first.
const FIRST_READ: usize = 2;

const _: () = assert!(FIRST_READ < PER_SOCKET_MAX);

/// Most sockets kept while their ports are closed, unless it is said otherwise: those of 16 384
/// calls that ended within one rest.
pub const KEPT_MAX: usize = 65_536;

/// What the system keeps for an open socket, about: the socket itself, its file and its place in
/// the `epoll` set.
pub const SOCKET_BYTES: usize = 3 << 10;

/// Reads by which a port that is opened again is emptied: as much as a receive buffer of the
/// system's default holds, however fast more comes.
const DRAINS_MAX: usize = 64;

/// The token of the event that wakes; flows have 32 bits.
const WAKEUP: u64 = u64::MAX;

#[cfg(test)]
mod tests {
    use super::*;
    use crate::LocalAddress;
    use std::net::UdpSocket;

    const NOW: Instant = Instant::from_secs(1_800_000_000);

    /// An address of one port that nobody has.
    fn addresses() -> LocalAddresses {
        let free = UdpSocket::bind("127.8.6.9:0")
            .unwrap()
            .local_addr()
            .unwrap();
        let ports = free.port()..=free.port();
        LocalAddresses::new(&[LocalAddress::new(free.ip(), ports)]).unwrap()
    }

    /// Receives until so many came, or the time is up.
    fn receive(io: &mut dyn PacketIo, count: usize) -> usize {
        let (mut drops, mut received) = (DropCounts::default(), 0);
        for _ in 0..500 {
            let mut burst = Burst::new();
            io.rx_burst(NOW, &mut burst, &mut drops);
            received += burst.len();
            io.free(&mut burst.drain().map(|datagram| datagram.frame).collect());
            if received >= count {
                break;
            }
            io.wait(Some(Duration::from_millis(10)));
        }
        received
    }

    #[test]
    fn what_came_before_a_worker_knew_the_socket_is_received() {
        let addresses = addresses();
        let mut backend = backend(&addresses, &UdpConfig::default()).unwrap();
        let flow = FlowId(0);
        let local = addresses.local(flow).unwrap();
        let endpoint = backend.endpoints.open(flow, local).unwrap();
        let other = UdpSocket::bind("127.0.0.1:0").unwrap();
        for _ in 0..3 {
            other.send_to(b"early", local).unwrap();
        }
        let io = &mut *backend.ios[0];
        // Until the system has told of it.
        io.wait(Some(Duration::from_secs(5)));
        let (mut burst, mut drops) = (Burst::new(), DropCounts::default());
        io.rx_burst(NOW, &mut burst, &mut drops);
        assert!(burst.is_empty());
        io.open(flow, endpoint, &mut drops);
        assert_eq!(receive(io, 3), 3);
    }

    #[test]
    fn what_is_left_on_a_socket_is_received_though_nothing_more_comes() {
        let addresses = addresses();
        let mut backend = backend(&addresses, &UdpConfig::default()).unwrap();
        let flow = FlowId(0);
        let local = addresses.local(flow).unwrap();
        let endpoint = backend.endpoints.open(flow, local).unwrap();
        let io = &mut *backend.ios[0];
        io.open(flow, endpoint, &mut DropCounts::default());
        let other = UdpSocket::bind("127.0.0.1:0").unwrap();
        for count in [
            1,
            2,
            3,
            PER_SOCKET_MAX,
            PER_SOCKET_MAX + 1,
            2 * PER_SOCKET_MAX + 3,
        ] {
            for _ in 0..count {
                other.send_to(b"many", local).unwrap();
            }
            assert_eq!(receive(io, count), count, "{count}");
            assert_eq!(io_left(io), 0);
        }
    }

    fn io_left(io: &mut dyn PacketIo) -> usize {
        let mut burst = Burst::new();
        io.rx_burst(NOW, &mut burst, &mut DropCounts::default());
        burst.len()
    }
}
