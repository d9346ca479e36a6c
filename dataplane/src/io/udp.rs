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
        let io = UdpIo::new(addresses, Share { worker, workers }, config)?;
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
        socket.send_whole()?;
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
    /// What waits has been looked for since the last time that anything was received.
    has_looked: bool,
    /// Sockets on which something may wait, in the order that they have their turn.
    ready: VecDeque<FlowId>,
    /// By flow, whether it is among them.
    is_ready: Box<[bool]>,
    /// Bursts received since what waits was looked for.
    bursts: usize,
    /// By flow, turns in a row that did not empty its socket; from [`STANDING_TURNS`] on the socket
    /// is narrow.
    standing: Box<[u8]>,
    /// How many sockets are narrow.
    narrow: usize,
    receive_buffer_bytes: Option<usize>,
    sockets: Vec<Option<Arc<Socket>>>,
    receive: ReceiveBatch,
    send: SendBatch,
    pool: Vec<Frame>,
}

/// What a socket has been found to hold.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Waiting {
    Nothing,
    /// Nothing is known, or nothing more than that something waits.
    Perhaps,
}

impl UdpIo {
    fn new(addresses: &LocalAddresses, share: Share, config: &UdpConfig) -> io::Result<Self> {
        let epoll = Epoll::new()?;
        let wakeup = EventFd::new()?;
        epoll.add(&wakeup, WAKEUP)?;
        Ok(Self {
            addresses: addresses.clone(),
            share,
            epoll: Arc::new(epoll),
            wakeup: Arc::new(wakeup),
            events: Events::new(EVENTS_MAX),
            has_looked: false,
            ready: VecDeque::with_capacity(addresses.flows()),
            is_ready: vec![false; addresses.flows()].into(),
            bursts: 0,
            standing: vec![0; addresses.flows()].into(),
            narrow: 0,
            receive_buffer_bytes: config.receive_buffer_bytes,
            sockets: vec![None; addresses.flows()],
            receive: ReceiveBatch::new(DRAINED_MAX),
            send: SendBatch::new(BURST_MAX),
            pool: Frame::pool(config.frames.max(FRAMES_MIN)),
        })
    }

    /// Looks for sockets on which something arrived; each has its turn after those that wait.
    fn look(&mut self, timeout: Option<Duration>) {
        (self.has_looked, self.bursts) = (true, 0);
        // No error is known with a valid set; were there one, nothing would be ready.
        let _ = self.epoll.wait(&mut self.events, timeout);
        for token in self.events.tokens() {
            if token == WAKEUP {
                self.wakeup.clear();
            } else {
                let flow = FlowId(token as u32);
                if !std::mem::replace(&mut self.is_ready[flow.index()], true) {
                    self.ready.push_back(flow);
                }
            }
        }
    }

    fn is_received_here(&self, flow: FlowId) -> bool {
        self.addresses
            .local(flow)
            .is_some_and(|local| receiver_of(local.port(), self.share.workers) == self.share.worker)
    }

    /// Something may wait at a flow that no event will tell.
    fn read_later(&mut self, flow: FlowId) {
        if !std::mem::replace(&mut self.is_ready[flow.index()], true) {
            self.ready.push_back(flow);
        }
    }

    /// Takes away what waits at a flow, if it is received here. One look at all sockets tells, for
    /// all flows that are opened in a turn, where there is anything.
    fn drain(&mut self, flow: FlowId, drops: &mut DropCounts) {
        if !self.is_received_here(flow) {
            return;
        }
        if !self.has_looked {
            self.look(Some(Duration::ZERO));
        }
        let all_told = self.events.tokens().count() < EVENTS_MAX;
        if all_told && !self.is_ready[flow.index()] {
            return;
        }
        for _ in 0..DRAINS_MAX {
            let (late, waiting) = self.receive_nowhere(flow);
            drops.add(DropReason::RestingPort, late as u64);
            if waiting == Waiting::Nothing {
                return;
            }
        }
    }

    /// Takes away some of what waits at a flow.
    fn receive_nowhere(&mut self, flow: FlowId) -> (usize, Waiting) {
        let Some(Some(socket)) = self.sockets.get(flow.index()) else {
            return (0, Waiting::Nothing);
        };
        let mut nowhere = [[0_u8; 1]; DRAINED_MAX];
        let taken = self.receive.receive(socket, &mut nowhere).unwrap_or(0);
        if taken < DRAINED_MAX {
            return (taken, Waiting::Nothing);
        }
        (taken, Waiting::Perhaps)
    }

    /// Receives from one socket what it may in a turn; how many were taken, and whether more may
    /// wait.
    fn receive_from(
        &mut self,
        flow: FlowId,
        now: Instant,
        burst: &mut Burst,
        drops: &mut DropCounts,
    ) -> (usize, Waiting) {
        // One that has not been handed over yet is looked at again when it is.
        let Some(Some(socket)) = self.sockets.get(flow.index()) else {
            return (0, Waiting::Nothing);
        };
        // Nearly always one waits, and the second call tells that no more does.
        for received in 0..PER_SOCKET_MAX {
            let Some(mut frame) = self.pool.pop() else {
                let (lost, waiting) = self.receive_nowhere(flow);
                drops.add(DropReason::NoFrame, lost as u64);
                return (received + lost, waiting);
            };
            // A failure concerns this one socket; other flows go on.
            let Ok(Some(message)) = self.receive.receive_one(socket, frame.as_mut()) else {
                self.pool.push(frame);
                return (received, Waiting::Nothing);
            };
            if message.truncated || !frame.received(message.bytes) {
                drops.count(DropReason::Truncated);
                self.pool.push(frame);
                continue;
            }
            let datagram = Datagram::new(frame, flow, message.source, now)
                .with_traffic_class(message.traffic_class);
            if let Err(datagram) = burst.push(datagram) {
                self.pool.push(datagram.frame);
            }
        }
        (PER_SOCKET_MAX, Waiting::Perhaps)
    }

    /// Keeps what waits at a flow short where it does not get less: it would be late for ever, and
    /// fill the memory that is near. What comes in one go finds the room that there is otherwise.
    fn note_turn(&mut self, flow: FlowId, received: usize) {
        let standing = &mut self.standing[flow.index()];
        if received < PER_SOCKET_MAX && *standing == 0 {
            return;
        }
        let bytes = if received == PER_SOCKET_MAX && *standing < STANDING_TURNS {
            *standing += 1;
            let is_narrow = *standing == STANDING_TURNS;
            self.narrow += usize::from(is_narrow);
            is_narrow.then_some(NARROW_BUFFER_BYTES)
        } else if received <= CALM {
            let was_narrow = std::mem::take(standing) == STANDING_TURNS;
            self.narrow -= usize::from(was_narrow);
            self.receive_buffer_bytes.filter(|_| was_narrow)
        } else {
            None
        };
        if let (Some(bytes), Some(Some(socket))) = (bytes, self.sockets.get(flow.index())) {
            // It is a wish.
            let _ = socket.set_receive_buffer_bytes(bytes);
        }
    }
}

impl PacketIo for UdpIo {
    fn rx_burst(&mut self, now: Instant, burst: &mut Burst, drops: &mut DropCounts) {
        // What arrives while others wait has its turn after them, and is looked for every few
        // bursts.
        self.bursts += 1;
        let is_due = self.ready.is_empty() || self.bursts >= BURSTS_PER_LOOK;
        if is_due && !self.has_looked {
            self.look(Some(Duration::ZERO));
        }
        self.has_looked = false;
        for _ in 0..SOCKETS_PER_BURST {
            if burst.len() >= ENOUGH {
                return;
            }
            let Some(flow) = self.ready.pop_front() else {
                return;
            };
            let (received, waiting) = self.receive_from(flow, now, burst, drops);
            self.note_turn(flow, received);
            match waiting {
                Waiting::Nothing => self.is_ready[flow.index()] = false,
                Waiting::Perhaps => self.ready.push_back(flow),
            }
        }
    }

    fn alloc(&mut self, frames: &mut Vec<Frame>, count: usize) {
        super::move_frames(&mut self.pool, frames, count);
    }

    fn tx_burst(&mut self, outgoing: &mut Vec<Outgoing>, drops: &mut DropCounts) {
        // Each packet is one for those who capture on this host too, as long as there is time.
        self.send.set_segmenting(self.narrow > 0);
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
                let was_narrow = std::mem::take(&mut self.standing[flow.index()]) == STANDING_TURNS;
                self.narrow -= usize::from(was_narrow);
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
        if self.ready.is_empty() {
            self.look(timeout);
        }
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

/// Room for some 160 packets of speech, or 50 of 1 200 octets such as a picture comes in, at each
/// port. Where more comes than the worker can take, it becomes less.
pub const RECEIVE_BUFFER_BYTES: usize = 64 << 10;

/// Sockets told of per look; the others' turn comes with the next.
const EVENTS_MAX: usize = BURST_MAX;

/// Datagrams with which a burst has no room left for what a socket may receive in a turn.
const ENOUGH: usize = BURST_MAX - PER_SOCKET_MAX;

/// Sockets that have their turn in a burst, though nothing came of them.
const SOCKETS_PER_BURST: usize = 64;

/// Bursts after which sockets are looked for though some are ready.
const BURSTS_PER_LOOK: usize = 4;

const _: () = assert!(ENOUGH + PER_SOCKET_MAX <= BURST_MAX);

/// Datagrams read from one socket at a time, so that a flooded port does not starve others. Packets
/// of a stream that had to wait are then sent as one, for a third of what it costs otherwise.
const PER_SOCKET_MAX: usize = 16;

/// Turns in a row that leave something on a socket before it is made narrow.
const STANDING_TURNS: u8 = 3;

/// What a turn receives at most that makes a socket wide again.
const CALM: usize = 2;

/// Receive buffer asked for a socket on which ever more waits than the worker can take: room for
/// what its turn may receive of speech.
const NARROW_BUFFER_BYTES: usize = 6 << 10;

/// Datagrams taken away from one socket at a time.
const DRAINED_MAX: usize = 16;

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

    #[test]
    fn a_socket_that_is_never_emptied_is_narrow_until_it_is_calm() {
        let addresses = addresses();
        let config = UdpConfig::default();
        let mut backend = backend(&addresses, &config).unwrap();
        let flow = FlowId(0);
        let local = addresses.local(flow).unwrap();
        let endpoint = backend.endpoints.open(flow, local).unwrap();
        let share = Share {
            worker: 0,
            workers: 1,
        };
        let mut io = UdpIo::new(&addresses, share, &config).unwrap();
        io.open(flow, endpoint, &mut DropCounts::default());
        let other = UdpSocket::bind("127.0.0.1:0").unwrap();
        let many = PER_SOCKET_MAX * usize::from(STANDING_TURNS);
        for (count, standing) in [
            (PER_SOCKET_MAX, 0),
            (many, STANDING_TURNS),
            (CALM + 1, STANDING_TURNS),
            (1, 0),
        ] {
            for _ in 0..count {
                other.send_to(b"many", local).unwrap();
            }
            io.read_later(flow);
            assert_eq!(receive(&mut io, count), count);
            assert_eq!(io.standing[0], standing, "{count}");
            assert_eq!(io.narrow, usize::from(standing == STANDING_TURNS));
        }
    }

    fn io_left(io: &mut dyn PacketIo) -> usize {
        let mut burst = Burst::new();
        io.rx_burst(NOW, &mut burst, &mut DropCounts::default());
        burst.len()
    }
}
