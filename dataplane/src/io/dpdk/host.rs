//! The thread that is the host behind the devices, and the rings between it and the workers.

use super::super::hop::{Egresses, Losses, Parcel, Teller, parcels, put, take};
use super::station::{Output, Station};
use crate::{Clock, DropCounts, DropReason};
use base::Instant;
use dpdk_sys::Device;
use rtrb::{Consumer, Producer};
use std::io;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::JoinHandle;
use std::time::Duration;
use udp_batch::{Epoll, EventFd, Events};

/// What is in a parcel.
#[derive(Clone, Copy, PartialEq, Eq, Default, Debug)]
pub(super) enum Kind {
    /// An Ethernet frame that came from this device, or goes there.
    Frame { device: u16 },
    /// An IP packet whose neighbour is not known.
    #[default]
    Packet,
}

/// What a worker has of the host.
pub(super) struct WorkerSide {
    pub(super) egresses: Egresses,
    to_host: Producer<Parcel<Kind>>,
    from_host: Consumer<Parcel<Kind>>,
    host: Arc<EventFd>,
    losses: Arc<Losses>,
    /// Something was put into a ring.
    is_news: bool,
}

impl WorkerSide {
    /// Gives something to the host; false when it has no room, or the thing is too long.
    pub(super) fn give(&mut self, kind: Kind, bytes: &[u8]) -> bool {
        let given = put(&mut self.to_host, kind, bytes);
        self.is_news |= given;
        given
    }

    /// Looks at the next frame that the host wants sent.
    pub(super) fn take(&mut self, send: impl FnOnce(&Parcel<Kind>)) -> bool {
        take(&mut self.from_host, send)
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
        self.losses.count(drops);
    }
}

/// What the host has of a worker.
struct HostSide {
    teller: Teller,
    from_worker: Consumer<Parcel<Kind>>,
    to_worker: Producer<Parcel<Kind>>,
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
        let (to_host, from_worker) = parcels(PARCELS_MAX);
        let (to_worker, from_host) = parcels(PARCELS_MAX);
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
        let Self {
            station, workers, ..
        } = self;
        let ring = &mut workers[worker].from_worker;
        for _ in 0..PARCELS_PER_TURN_MAX {
            let index = worker as u16;
            let taken = take(ring, |parcel| match *parcel.about() {
                Kind::Frame { device } => {
                    station.handle_frame(now, index, device, parcel.bytes());
                }
                Kind::Packet => station.handle_packet(now, index, parcel.bytes()),
            });
            if !taken {
                return;
            }
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

/// Parcels in one ring; beyond, what comes is dropped and what is to be sent is counted.
pub(super) const PARCELS_MAX: usize = 256;

/// Parcels of one worker handled before the others have their turn.
const PARCELS_PER_TURN_MAX: usize = 64;

/// Requests of one worker handled before the others have their turn.
const REQUESTS_PER_TURN_MAX: usize = 64;

/// When a worker that had no room is tried again.
const BEHIND: Duration = Duration::from_millis(1);

/// Between two looks at the devices' links.
const LINKS_PAUSE: Duration = Duration::from_secs(1);
