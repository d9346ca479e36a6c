//! The thread that is the host behind the devices, and the rings between it and the workers.

use super::super::hop::{Egresses, Teller};
use super::station::{Output, Station};
use crate::{Clock, DropCounts, DropReason};
use base::Instant;
use dpdk_sys::Device;
use rtrb::{Consumer, Producer, RingBuffer};
use std::io;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::thread::JoinHandle;
use std::time::Duration;
use udp_batch::{Epoll, EventFd, Events};

/// A frame or packet, copied: frames of the back-end stay with their worker.
#[derive(Debug)]
pub(super) struct Parcel {
    kind: Kind,
    bytes: u16,
    room: [u8; PARCEL_BYTES],
}

/// What is in a parcel.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Kind {
    /// An Ethernet frame that came from this device, or goes there.
    Frame { device: u16 },
    /// An IP packet whose neighbour is not known.
    Packet,
}

impl Parcel {
    /// What it is.
    pub(super) fn kind(&self) -> Kind {
        self.kind
    }

    /// The frame or packet.
    pub(super) fn bytes(&self) -> &[u8] {
        &self.room[..usize::from(self.bytes)]
    }
}

impl Default for Parcel {
    fn default() -> Self {
        Self {
            kind: Kind::Packet,
            bytes: 0,
            room: [0; PARCEL_BYTES],
        }
    }
}

/// What a worker has of the host.
pub(super) struct WorkerSide {
    pub(super) egresses: Egresses,
    to_host: Producer<Parcel>,
    from_host: Consumer<Parcel>,
    host: Arc<EventFd>,
    losses: Arc<Losses>,
    /// Something was put into a ring.
    is_news: bool,
}

/// What the host dropped, and a worker has not counted yet.
#[derive(Debug, Default)]
struct Losses([AtomicU64; DropReason::ALL.len()]);

impl WorkerSide {
    /// Gives something to the host; false when it has no room, or the thing is too long.
    pub(super) fn give(&mut self, kind: Kind, bytes: &[u8]) -> bool {
        let given = put(&mut self.to_host, kind, bytes);
        self.is_news |= given;
        given
    }

    /// Looks at the next frame that the host wants sent.
    pub(super) fn take(&mut self, send: impl FnOnce(&Parcel)) -> bool {
        let Ok(chunk) = self.from_host.read_chunk(1) else {
            return false;
        };
        let parcel = chunk.as_slices().0.first();
        let is_there = parcel.is_some();
        if let Some(parcel) = parcel {
            send(parcel);
        }
        chunk.commit_all();
        is_there
    }

    /// True when there is a frame to send.
    pub(super) fn is_waiting(&self) -> bool {
        !self.from_host.is_empty()
    }

    /// Wakes the host if there is anything for it.
    pub(super) fn flush(&mut self) {
        let has_asked = self.egresses.take_asked();
        if has_asked || self.is_news {
            self.is_news = false;
            self.host.signal();
        }
    }

    /// Counts what the host has dropped since the last time.
    pub(super) fn count_losses(&self, drops: &mut DropCounts) {
        for (reason, lost) in DropReason::ALL.iter().zip(&self.losses.0) {
            if lost.load(Ordering::Relaxed) > 0 {
                drops.add(*reason, lost.swap(0, Ordering::Relaxed));
            }
        }
    }
}

/// What the host has of a worker.
struct HostSide {
    teller: Teller,
    from_worker: Consumer<Parcel>,
    to_worker: Producer<Parcel>,
    worker: Arc<EventFd>,
}

/// The host, with its ends of the rings.
pub(super) struct Host {
    station: Station,
    devices: Vec<Device>,
    links: Vec<bool>,
    workers: Vec<HostSide>,
    wake: Arc<EventFd>,
    losses: Arc<Losses>,
    stop: Arc<AtomicBool>,
    /// Of the station's table, as workers know it.
    version: u64,
    links_at: Instant,
}

/// Ends the thread when dropped.
pub(super) struct HostThread {
    stop: Arc<AtomicBool>,
    wake: Arc<EventFd>,
    thread: Option<JoinHandle<()>>,
}

impl Drop for HostThread {
    fn drop(&mut self) {
        self.stop.store(true, Ordering::Release);
        self.wake.signal();
        if let Some(thread) = self.thread.take() {
            // It ends by itself; if it ended by a panic, there is nothing left to be done.
            let _ = thread.join();
        }
    }
}

impl Host {
    pub(super) fn new(station: Station, devices: Vec<Device>) -> io::Result<Self> {
        Ok(Self {
            version: station.version(),
            station,
            links: vec![false; devices.len()],
            devices,
            workers: Vec::new(),
            wake: Arc::new(EventFd::new()?),
            losses: Arc::default(),
            stop: Arc::default(),
            links_at: Instant::ZERO,
        })
    }

    /// Adds a worker that `wakeup` wakes, and returns its side.
    pub(super) fn add_worker(&mut self, flows: usize, wakeup: &Arc<EventFd>) -> WorkerSide {
        let (teller, egresses) = Teller::new(flows);
        let (to_host, from_worker) = ring();
        let (to_worker, from_host) = ring();
        self.workers.push(HostSide {
            teller,
            from_worker,
            to_worker,
            worker: Arc::clone(wakeup),
        });
        WorkerSide {
            egresses,
            to_host,
            from_host,
            host: Arc::clone(&self.wake),
            losses: Arc::clone(&self.losses),
            is_news: false,
        }
    }

    /// Goes on in a thread of its own.
    pub(super) fn start(mut self) -> io::Result<HostThread> {
        let (stop, wake) = (Arc::clone(&self.stop), Arc::clone(&self.wake));
        let epoll = Epoll::new()?;
        epoll.add(&*self.wake, 0)?;
        let thread = std::thread::Builder::new()
            .name("host".into())
            .spawn(move || self.run(&epoll))?;
        Ok(HostThread {
            stop,
            wake,
            thread: Some(thread),
        })
    }

    fn run(&mut self, epoll: &Epoll) {
        let clock = Clock::start();
        let mut events = Events::new(1);
        loop {
            let now = clock.now();
            self.look_at_links(now);
            // No error is known with a valid set; were there one, there would be nothing to do.
            let _ = epoll.wait(&mut events, Some(self.timeout(now)));
            if self.stop.load(Ordering::Acquire) {
                return;
            }
            self.wake.clear();
            let now = clock.now();
            self.station.handle_timeout(now);
            for worker in 0..self.workers.len() {
                self.handle_parcels(now, worker);
            }
            self.put_out();
            for worker in 0..self.workers.len() {
                self.handle_requests(worker);
            }
            self.tell();
        }
    }

    fn timeout(&self, now: Instant) -> Duration {
        let is_busy = |it: &HostSide| it.teller.is_behind() || !it.from_worker.is_empty();
        if self.workers.iter().any(is_busy) {
            return BEHIND;
        }
        let links = self.links_at + LINKS_PAUSE;
        let due = self
            .station
            .next_timeout()
            .map_or(links, |due| due.min(links));
        due.since(now)
    }

    fn look_at_links(&mut self, now: Instant) {
        if now < self.links_at + LINKS_PAUSE {
            return;
        }
        self.links_at = now;
        for (index, device) in self.devices.iter().enumerate() {
            let is_up = device.link_is_up();
            let was_up = std::mem::replace(&mut self.links[index], is_up);
            if is_up && !was_up {
                self.station.handle_link_up(now, index as u16);
            }
        }
        self.put_out();
        self.tell();
    }

    fn handle_parcels(&mut self, now: Instant, worker: usize) {
        for _ in 0..PARCELS_PER_TURN_MAX {
            let Ok(chunk) = self.workers[worker].from_worker.read_chunk(1) else {
                return;
            };
            if let Some(parcel) = chunk.as_slices().0.first() {
                let (index, bytes) = (worker as u16, parcel.bytes());
                match parcel.kind {
                    Kind::Frame { device } => {
                        self.station.handle_frame(now, index, device, bytes);
                    }
                    Kind::Packet => self.station.handle_packet(now, index, bytes),
                }
            }
            chunk.commit_all();
        }
    }

    /// Gives the workers what they are to send.
    fn put_out(&mut self) {
        while let Some(output) = self.station.poll_output() {
            match output {
                Output::Send {
                    worker,
                    device,
                    frame,
                } => {
                    let worker = self.workers.get_mut(usize::from(worker));
                    let kind = Kind::Frame { device };
                    let is_put = worker.is_some_and(|it| put(&mut it.to_worker, kind, &frame));
                    if !is_put {
                        self.losses.add(DropReason::TxFull, 1);
                    }
                }
                Output::Drop(reason, packets) => self.losses.add(reason, packets),
            }
        }
    }

    fn handle_requests(&mut self, worker: usize) {
        for _ in 0..REQUESTS_PER_TURN_MAX {
            let Some(request) = self.workers[worker].teller.next_request() else {
                return;
            };
            let hop = self.station.resolve(&request);
            self.forget_if_told();
            self.workers[worker].teller.answer(&request, hop);
        }
    }

    /// Has the workers forget all next hops if that is what the station did.
    fn forget_if_told(&mut self) {
        let version = self.station.version();
        if version != self.version {
            self.version = version;
            for worker in &mut self.workers {
                worker.teller.forget(version);
            }
        }
    }

    /// Tells the workers what has changed, after what is to leave before.
    fn tell(&mut self) {
        self.forget_if_told();
        while let Some(hop) = self.station.poll_change() {
            for worker in &mut self.workers {
                worker.teller.hop_changed(hop);
            }
        }
        for worker in &mut self.workers {
            let told = worker.teller.flush(|hop| Some(self.station.told(hop)));
            if told || worker.to_worker.slots() < PARCELS_MAX {
                worker.worker.signal();
            }
        }
    }
}

impl Losses {
    fn add(&self, reason: DropReason, packets: u64) {
        self.0[reason as usize].fetch_add(packets, Ordering::Relaxed);
    }
}

fn ring() -> (Producer<Parcel>, Consumer<Parcel>) {
    RingBuffer::new(PARCELS_MAX)
}

fn put(ring: &mut Producer<Parcel>, kind: Kind, bytes: &[u8]) -> bool {
    if bytes.len() > PARCEL_BYTES {
        return false;
    }
    let Ok(mut chunk) = ring.write_chunk(1) else {
        return false;
    };
    if let Some(parcel) = chunk.as_mut_slices().0.first_mut() {
        parcel.kind = kind;
        parcel.bytes = bytes.len() as u16;
        parcel.room[..bytes.len()].copy_from_slice(bytes);
    }
    chunk.commit_all();
    true
}

/// Parcels in one ring; beyond, what comes is dropped and what is to be sent is counted.
pub(super) const PARCELS_MAX: usize = 256;

/// Memory of a parcel: a frame of the longest payload with all of its headers.
const PARCEL_BYTES: usize = crate::PAYLOAD_BYTES_MAX + 128;

/// Parcels of one worker handled before the others have their turn.
const PARCELS_PER_TURN_MAX: usize = 64;

/// Requests of one worker handled before the others have their turn.
const REQUESTS_PER_TURN_MAX: usize = 64;

/// When a worker that had no room is tried again.
const BEHIND: Duration = Duration::from_millis(1);

/// Between two looks at the devices' links.
const LINKS_PAUSE: Duration = Duration::from_secs(1);

const _: () = assert!(PARCEL_BYTES > inet::HEADERS_BYTES_MAX + crate::PAYLOAD_BYTES_MAX);
