//! A network that a test feeds and drains: no time of its own, no thread, nothing random.

use super::{Backend, Endpoint, Endpoints, Outgoing, PacketIo, Waker};
use crate::flow_set::FlowSet;
use crate::{
    Burst, Datagram, DropCounts, DropReason, FlowId, Frame, LocalAddresses, PAYLOAD_BYTES_MAX,
};
use base::Instant;
use std::collections::VecDeque;
use std::io;
use std::net::SocketAddr;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

/// A back-end for `workers`, each with `frames` frames, and the network it hangs on.
pub fn backend(addresses: &LocalAddresses, workers: usize, frames: usize) -> (Backend, Network) {
    let mut ios: Vec<Box<dyn PacketIo>> = Vec::new();
    let mut queues = Vec::new();
    for _ in 0..workers {
        let queue = Arc::new(Mutex::new(Queues::new(frames)));
        ios.push(Box::new(SimIo {
            addresses: addresses.clone(),
            queues: Arc::clone(&queue),
            open: FlowSet::new(addresses.flows()),
            pool: Frame::pool(frames),
        }));
        queues.push(queue);
    }
    let refusals = Arc::new(Mutex::new(Vec::new()));
    let endpoints = Box::new(SimEndpoints {
        in_use: Arc::clone(&refusals),
    });
    let backend = Backend {
        addresses: addresses.clone(),
        ios,
        endpoints,
    };
    (
        backend,
        Network {
            queues,
            next: 0,
            in_use: refusals,
        },
    )
}

/// The test's side of the network.
pub struct Network {
    queues: Vec<Arc<Mutex<Queues>>>,
    next: usize,
    in_use: Arc<Mutex<Vec<SocketAddr>>>,
}

/// A datagram that left by the network.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Packet {
    /// The worker that sent it.
    pub worker: usize,
    /// The local address and port.
    pub source: SocketAddr,
    /// Where it goes.
    pub destination: SocketAddr,
    /// DSCP and ECN.
    pub traffic_class: u8,
    /// The UDP payload.
    pub payload: Vec<u8>,
}

impl Network {
    /// Puts a datagram in the receive queue of a worker; false when that is full or the payload
    /// beyond what the network carries.
    pub fn send(
        &mut self,
        worker: usize,
        source: SocketAddr,
        destination: SocketAddr,
        payload: &[u8],
    ) -> bool {
        let mut queues = lock(&self.queues[worker]);
        payload.len() <= MTU && push(&mut queues.to_worker, (source, destination), 0, payload)
    }

    /// The same for one with DSCP and ECN.
    pub fn send_marked(
        &mut self,
        worker: usize,
        source: SocketAddr,
        destination: SocketAddr,
        payload: &[u8],
        traffic_class: u8,
    ) -> bool {
        let sent = self.send(worker, source, destination, payload);
        let mut queues = lock(&self.queues[worker]);
        if let Some(last) = queues.to_worker.back_mut().filter(|_| sent) {
            last.traffic_class = traffic_class;
        }
        sent
    }

    /// The same for one whose checksum is wrong: back-ends that parse frames see such.
    pub fn send_damaged(
        &mut self,
        worker: usize,
        source: SocketAddr,
        destination: SocketAddr,
        payload: &[u8],
    ) -> bool {
        let sent = self.send(worker, source, destination, payload);
        let mut queues = lock(&self.queues[worker]);
        if let Some(last) = queues.to_worker.back_mut().filter(|_| sent) {
            last.damaged = true;
        }
        sent
    }

    /// Takes the next datagram that a worker sent, looking at each worker in turn.
    pub fn receive(&mut self) -> Option<Packet> {
        for _ in 0..self.queues.len() {
            let worker = self.next;
            self.next = (self.next + 1) % self.queues.len();
            if let Some(packet) = self.receive_from(worker) {
                return Some(packet);
            }
        }
        None
    }

    /// Takes the next datagram that `worker` sent.
    pub fn receive_from(&mut self, worker: usize) -> Option<Packet> {
        let wired = lock(&self.queues[worker]).from_worker.pop_front()?;
        Some(Packet {
            worker,
            source: wired.source,
            destination: wired.destination,
            traffic_class: wired.traffic_class,
            payload: wired.payload().to_vec(),
        })
    }

    /// Throws away what the workers sent; returns how much it was.
    pub fn discard(&mut self) -> usize {
        let mut discarded = 0;
        for queue in &self.queues {
            let mut queues = lock(queue);
            discarded += queues.from_worker.len();
            queues.from_worker.clear();
        }
        discarded
    }

    /// How many sent datagrams of each worker the network holds before it refuses more
    /// ([`DropReason::TxFull`]).
    pub fn set_capacity(&mut self, datagrams: usize) {
        for queue in &self.queues {
            lock(queue).capacity = datagrams.min(QUEUE_MAX);
        }
    }

    /// Makes datagrams to this destination be refused ([`DropReason::TxRefused`]); `None` for no
    /// destination.
    pub fn refuse(&mut self, destination: Option<SocketAddr>) {
        for queue in &self.queues {
            lock(queue).refused = destination;
        }
    }

    /// Makes opening this address and port fail, as if another process had it.
    pub fn occupy(&mut self, local: SocketAddr) {
        lock(&self.in_use).push(local);
    }

    /// Frames that are in the pool of `worker` now.
    pub fn frames_free(&self, worker: usize) -> usize {
        lock(&self.queues[worker]).frames_free
    }
}

struct Queues {
    to_worker: VecDeque<Wired>,
    from_worker: VecDeque<Wired>,
    capacity: usize,
    refused: Option<SocketAddr>,
    frames_free: usize,
}

impl Queues {
    fn new(frames: usize) -> Self {
        Self {
            to_worker: VecDeque::with_capacity(QUEUE_MAX),
            from_worker: VecDeque::with_capacity(QUEUE_MAX),
            capacity: QUEUE_MAX,
            refused: None,
            frames_free: frames,
        }
    }
}

/// A datagram on the simulated wire, in place so that queues do not allocate.
struct Wired {
    source: SocketAddr,
    destination: SocketAddr,
    traffic_class: u8,
    bytes: usize,
    damaged: bool,
    room: [u8; MTU],
}

impl Wired {
    fn payload(&self) -> &[u8] {
        &self.room[..self.bytes]
    }
}

fn push(
    queue: &mut VecDeque<Wired>,
    (source, destination): (SocketAddr, SocketAddr),
    traffic_class: u8,
    payload: &[u8],
) -> bool {
    if queue.len() >= QUEUE_MAX {
        return false;
    }
    let mut wired = Wired {
        source,
        destination,
        traffic_class,
        bytes: payload.len(),
        damaged: false,
        room: [0; MTU],
    };
    wired.room[..payload.len()].copy_from_slice(payload);
    queue.push_back(wired);
    true
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

struct SimIo {
    addresses: LocalAddresses,
    queues: Arc<Mutex<Queues>>,
    open: FlowSet,
    pool: Vec<Frame>,
}

impl PacketIo for SimIo {
    fn rx_burst(&mut self, now: Instant, burst: &mut Burst, drops: &mut DropCounts) {
        let mut queues = lock(&self.queues);
        while !burst.is_full() {
            let Some(wired) = queues.to_worker.pop_front() else {
                break;
            };
            if wired.damaged {
                drops.count(DropReason::Malformed);
                continue;
            }
            let Some(flow) = self.addresses.find(wired.destination) else {
                drops.count(DropReason::UnknownFlow);
                continue;
            };
            let Some(mut frame) = self.pool.pop() else {
                drops.count(DropReason::NoFrame);
                continue;
            };
            if !frame.fill(wired.payload()) {
                drops.count(DropReason::Truncated);
                self.pool.push(frame);
                continue;
            }
            let datagram = Datagram::new(frame, flow, wired.source, now)
                .with_traffic_class(wired.traffic_class);
            if let Err(datagram) = burst.push(datagram) {
                self.pool.push(datagram.frame);
            }
        }
        queues.frames_free = self.pool.len();
    }

    fn alloc(&mut self, frames: &mut Vec<Frame>, count: usize) {
        super::move_frames(&mut self.pool, frames, count);
        lock(&self.queues).frames_free = self.pool.len();
    }

    fn tx_burst(&mut self, outgoing: &mut Vec<Outgoing>, drops: &mut DropCounts) {
        let mut queues = lock(&self.queues);
        for Outgoing {
            frame,
            local,
            destination,
            traffic_class,
        } in outgoing.drain(..)
        {
            let source = self.addresses.local(local);
            match source {
                Some(source) if queues.refused != Some(destination) => {
                    let full = queues.from_worker.len() >= queues.capacity;
                    if full
                        || !push(
                            &mut queues.from_worker,
                            (source, destination),
                            traffic_class,
                            frame.payload(),
                        )
                    {
                        drops.count(DropReason::TxFull);
                    }
                }
                _ => drops.count(DropReason::TxRefused),
            }
            self.pool.push(frame);
        }
        queues.frames_free = self.pool.len();
    }

    fn free(&mut self, frames: &mut Vec<Frame>) {
        self.pool.append(frames);
        lock(&self.queues).frames_free = self.pool.len();
    }

    fn open(&mut self, flow: FlowId, _: Endpoint, _: &mut DropCounts) {
        self.open.insert(flow);
    }

    fn close(&mut self, flow: FlowId, _: bool) -> Option<Endpoint> {
        self.open.remove(flow).then_some(Endpoint::Virtual)
    }

    fn wait(&mut self, _: Option<Duration>) {}

    fn waker(&self) -> Waker {
        Waker::none()
    }
}

struct SimEndpoints {
    in_use: Arc<Mutex<Vec<SocketAddr>>>,
}

impl Endpoints for SimEndpoints {
    fn open(&mut self, _: FlowId, local: SocketAddr) -> io::Result<Endpoint> {
        if lock(&self.in_use).contains(&local) {
            return Err(io::ErrorKind::AddrInUse.into());
        }
        Ok(Endpoint::Virtual)
    }

    fn stop(&mut self, _: FlowId) -> bool {
        false
    }
}

/// Datagrams waiting in each direction of each worker.
pub const QUEUE_MAX: usize = 1024;

/// The longest payload the network carries: more than a frame holds.
pub const MTU: usize = PAYLOAD_BYTES_MAX + 208;
