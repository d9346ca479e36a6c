//! The thread that asks the kernel, as router, for the workers, follows its changes, and gives it
//! the packets whose way is not known.

use super::super::hop::{
    Egresses, FIRST_VERSION, HopId, Losses, Parcel, Request, Teller, parcels, put, take,
};
use super::hops::Hops;
use super::netlink::{self, News};
use crate::{Clock, DropCounts, DropReason};
use ::af_xdp::{Groups, RawSocket, RouteSocket};
use base::Instant;
use rtrb::{Consumer, Producer};
use std::io;
use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::JoinHandle;
use std::time::Duration;
use udp_batch::{Epoll, EventFd, Events};

/// Asks and follows the kernel.
pub(super) struct Resolver {
    questions: RouteSocket,
    news: RouteSocket,
    hops: Hops,
    workers: Vec<ResolverSide>,
    losses: Arc<Losses>,
    version: u64,
    /// Of the last question.
    sequence: u32,
    /// Since when there are changes that the workers do not know of.
    changed_at: Option<Instant>,
    failed_at: Option<Instant>,
    wake: Arc<EventFd>,
    stop: Arc<AtomicBool>,
    buffer: Box<[u8]>,
}

/// What the resolver has of a worker.
struct ResolverSide {
    teller: Teller,
    packets: Consumer<Parcel<Ends>>,
    /// Wakes the worker.
    worker: Arc<EventFd>,
}

/// What a worker has of the resolver.
pub(super) struct WorkerSide {
    pub(super) egresses: Egresses,
    packets: Producer<Parcel<Ends>>,
    resolver: Arc<EventFd>,
    losses: Arc<Losses>,
    /// Packets were given.
    is_news: bool,
}

impl WorkerSide {
    /// Gives an IP packet to be sent by the kernel; false when there is no room.
    pub(super) fn give(&mut self, ends: Ends, packet: &[u8]) -> bool {
        let given = put(&mut self.packets, ends, packet);
        self.is_news |= given;
        given
    }

    /// Wakes the resolver if there is anything for it.
    pub(super) fn flush(&mut self) {
        let has_asked = self.egresses.take_asked();
        if has_asked || self.is_news {
            self.is_news = false;
            self.resolver.signal();
        }
    }

    /// Counts what the kernel did not take since the last time.
    pub(super) fn count_losses(&self, drops: &mut DropCounts) {
        self.losses.count(drops);
    }
}

/// From where and whereto a packet goes.
#[derive(Clone, Copy, Debug)]
pub(super) struct Ends {
    pub(super) source: IpAddr,
    pub(super) destination: SocketAddr,
}

impl Default for Ends {
    fn default() -> Self {
        Self {
            source: Ipv4Addr::UNSPECIFIED.into(),
            destination: SocketAddr::from((Ipv4Addr::UNSPECIFIED, 0)),
        }
    }
}

/// Ends the thread when dropped.
pub(super) struct ResolverThread {
    stop: Arc<AtomicBool>,
    wake: Arc<EventFd>,
    thread: Option<JoinHandle<()>>,
}

impl Drop for ResolverThread {
    fn drop(&mut self) {
        self.stop.store(true, Ordering::Release);
        self.wake.signal();
        if let Some(thread) = self.thread.take() {
            // It ends by itself; if it ended by a panic, there is nothing left to be done.
            let _ = thread.join();
        }
    }
}

impl Resolver {
    /// Learns the interfaces; `interfaces` are ours.
    pub(super) fn new(interfaces: Vec<u32>) -> io::Result<Self> {
        let mut resolver = Self {
            questions: RouteSocket::open(Groups::None, ANSWER_MAX)?,
            // Opened before the first question, so that no change falls between.
            news: RouteSocket::open(Groups::All, Duration::ZERO)?,
            hops: Hops::new(interfaces),
            workers: Vec::new(),
            losses: Arc::default(),
            version: FIRST_VERSION,
            sequence: 0,
            changed_at: None,
            failed_at: None,
            wake: Arc::new(EventFd::new()?),
            stop: Arc::default(),
            buffer: vec![0; BUFFER_BYTES].into(),
        };
        for news in resolver.ask_all(netlink::links())? {
            if let News::Link(link) = news {
                resolver.hops.handle_link(link);
            }
        }
        Ok(resolver)
    }

    /// The local addresses there are: interface, the one that it is a VLAN of, address.
    pub(super) fn addresses(&mut self) -> io::Result<Vec<(u32, IpAddr)>> {
        let news = self.ask_all(netlink::addresses())?;
        let addresses = news.into_iter().filter_map(|news| match news {
            News::Address { interface, address } => Some((interface, address)),
            _ => None,
        });
        Ok(addresses.collect())
    }

    /// The interfaces there are.
    pub(super) fn links(&mut self) -> io::Result<Vec<netlink::Link>> {
        let news = self.ask_all(netlink::links())?;
        let links = news.into_iter().filter_map(|news| match news {
            News::Link(link) => Some(link),
            _ => None,
        });
        Ok(links.collect())
    }

    /// Adds a worker that `worker` wakes, and returns its side.
    pub(super) fn add_worker(&mut self, flows: usize, worker: &Arc<EventFd>) -> WorkerSide {
        let (teller, egresses) = Teller::new(flows);
        let (to_resolver, packets) = parcels(PACKETS_MAX);
        self.workers.push(ResolverSide {
            teller,
            packets,
            worker: Arc::clone(worker),
        });
        WorkerSide {
            egresses,
            packets: to_resolver,
            resolver: Arc::clone(&self.wake),
            losses: Arc::clone(&self.losses),
            is_news: false,
        }
    }

    /// Goes on in a thread of its own, which gives packets to `kernel`, needs no privilege and
    /// keeps none if told so.
    pub(super) fn start(
        mut self,
        kernel: RawSocket,
        drop_privileges: bool,
    ) -> io::Result<ResolverThread> {
        let (stop, wake) = (Arc::clone(&self.stop), Arc::clone(&self.wake));
        let epoll = Epoll::new()?;
        epoll.add(&self.news, 0)?;
        epoll.add(&*self.wake, 1)?;
        let run = move || {
            if drop_privileges {
                // What cannot be given up does no harm to the work.
                let _ = ::af_xdp::drop_capabilities();
            }
            self.run(&epoll, &kernel);
        };
        let thread = std::thread::Builder::new()
            .name("routes".into())
            .spawn(run)?;
        Ok(ResolverThread {
            stop,
            wake,
            thread: Some(thread),
        })
    }

    fn run(&mut self, epoll: &Epoll, kernel: &RawSocket) {
        let clock = Clock::start();
        let mut events = Events::new(2);
        loop {
            let now = clock.now();
            // No error is known with a valid set; were there one, there would be nothing to do.
            let _ = epoll.wait(&mut events, self.timeout(now));
            if self.stop.load(Ordering::Acquire) {
                return;
            }
            self.wake.clear();
            let now = clock.now();
            self.follow(now);
            self.handle_timers(now);
            // What waited must leave before what goes directly.
            self.send_packets(kernel);
            self.handle_requests();
            self.tell_hops();
            for worker in &mut self.workers {
                worker.teller.flush(|hop| self.hops.told(hop));
            }
        }
    }

    fn timeout(&self, now: Instant) -> Option<Duration> {
        let until = |since: Option<Instant>, wait| Some((since? + wait).since(now));
        if self.workers.iter().any(|worker| !worker.packets.is_empty()) {
            return Some(Duration::ZERO);
        }
        let is_behind = self.workers.iter().any(|worker| worker.teller.is_behind());
        let behind = is_behind.then_some(BEHIND);
        let changed = until(self.changed_at, CHANGES_TOGETHER);
        let failed = until(self.failed_at, RETRY_AFTER);
        [behind, changed, failed].into_iter().flatten().min()
    }

    /// Reads what has changed.
    fn follow(&mut self, now: Instant) {
        for _ in 0..NEWS_PER_TURN_MAX {
            match self.news.receive(&mut self.buffer) {
                Ok(length) => {
                    let news: Vec<News> = netlink::parse(&self.buffer[..length]).collect();
                    for news in news {
                        self.handle_news(now, &news);
                    }
                }
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => return,
                // Something was lost.
                Err(_) => self.learn_anew(now),
            }
        }
    }

    fn handle_news(&mut self, now: Instant, news: &News) {
        let tables_changed = match news {
            News::Link(link) => self.hops.handle_link(*link),
            News::LinkGone(index) => self.hops.handle_link_gone(*index),
            News::Address { .. } | News::Route(_) | News::Changed => true,
            News::Neighbour(neighbour) => {
                self.hops.handle_neighbour(neighbour);
                false
            }
            News::NeighbourGone { interface, address } => {
                self.hops.handle_neighbour_gone(*interface, *address);
                false
            }
            News::Done | News::Error(_) => false,
        };
        if tables_changed && self.changed_at.is_none() {
            self.changed_at = Some(now);
        }
    }

    /// Asks for everything that is kept.
    fn learn_anew(&mut self, now: Instant) {
        for link in self.links().unwrap_or_default() {
            self.hops.handle_link(link);
        }
        for key in self.hops.keys() {
            self.ask_neighbour(key);
        }
        self.changed_at = self.changed_at.or(Some(now));
    }

    fn handle_timers(&mut self, now: Instant) {
        if self
            .changed_at
            .is_some_and(|at| at + CHANGES_TOGETHER <= now)
        {
            self.changed_at = None;
            self.version += 1;
            let version = self.version;
            for worker in &mut self.workers {
                worker.teller.tables_changed(version);
            }
        }
        if self.failed_at.is_some_and(|at| at + RETRY_AFTER <= now) {
            self.failed_at = None;
            self.hops.retry_failed();
        }
        if self.failed_at.is_none() && self.hops.has_failed() {
            self.failed_at = Some(now);
        }
    }

    /// Gives the kernel what the workers have given.
    fn send_packets(&mut self, kernel: &RawSocket) {
        for worker in &mut self.workers {
            let mut lost = false;
            for _ in 0..PACKETS_PER_TURN_MAX {
                let taken = take(&mut worker.packets, |packet| {
                    let Ends {
                        source,
                        destination,
                    } = *packet.about();
                    if let Err(error) = kernel.send(packet.bytes(), source, destination) {
                        self.losses.add(reason_of(&error), 1);
                        lost = true;
                    }
                });
                if !taken {
                    break;
                }
            }
            if lost {
                // So that it is counted though nothing else comes.
                worker.worker.signal();
            }
        }
    }

    fn handle_requests(&mut self) {
        for index in 0..self.workers.len() {
            for _ in 0..REQUESTS_PER_TURN_MAX {
                let Some(request) = self.workers[index].teller.next_request() else {
                    break;
                };
                let hop = self.resolve(&request);
                self.workers[index].teller.answer(&request, hop);
            }
        }
    }

    fn resolve(&mut self, request: &Request) -> HopId {
        let destination = request.destination.ip();
        let scope = match request.destination {
            std::net::SocketAddr::V6(address) => address.scope_id(),
            std::net::SocketAddr::V4(_) => 0,
        };
        let question = netlink::route(request.source, destination, scope);
        let route = match self.ask_one(question) {
            Some(News::Route(route)) => route,
            Some(News::Error(code)) if is_unreachable(-code) => return HopId::UNREACHABLE,
            _ => return HopId::SLOW,
        };
        let Some(key) = self.hops.key(&route, destination) else {
            return HopId::SLOW;
        };
        if let Some(hop) = self.hops.find(key) {
            return hop;
        }
        let hop = match self.hops.add(key) {
            Some(hop) => Some(hop),
            None => {
                self.forget();
                self.hops.add(key)
            }
        };
        self.ask_neighbour(key);
        hop.unwrap_or(HopId::SLOW)
    }

    /// Makes room in the table of next hops.
    fn forget(&mut self) {
        self.hops.clear();
        self.version += 1;
        for worker in &mut self.workers {
            worker.teller.forget(self.version);
        }
    }

    fn ask_neighbour(&mut self, (interface, address): (u32, IpAddr)) {
        match self.ask_one(netlink::neighbour(interface, address)) {
            Some(News::Neighbour(neighbour)) => {
                self.hops.handle_neighbour(&neighbour);
            }
            _ => {
                self.hops.handle_neighbour_gone(interface, address);
            }
        }
    }

    /// Notes for each worker which next hops have changed.
    fn tell_hops(&mut self) {
        for (id, _) in self.hops.changes() {
            for worker in &mut self.workers {
                worker.teller.hop_changed(id);
            }
        }
    }

    /// The first message of the answer to a question that has one.
    fn ask_one(&mut self, question: Vec<u8>) -> Option<News> {
        let sequence = self.ask(question).ok()?;
        let length = self.answer(sequence).ok()?;
        netlink::parse(&self.buffer[..length]).next()
    }

    /// All messages of the answer to a question that has many.
    fn ask_all(&mut self, question: Vec<u8>) -> io::Result<Vec<News>> {
        let sequence = self.ask(question)?;
        let mut all = Vec::new();
        for _ in 0..ANSWER_PARTS_MAX {
            let length = self.answer(sequence)?;
            for news in netlink::parse(&self.buffer[..length]) {
                match news {
                    News::Done => return Ok(all),
                    News::Error(code) => return Err(io::Error::from_raw_os_error(-code)),
                    news => all.push(news),
                }
            }
        }
        Err(io::ErrorKind::InvalidData.into())
    }

    /// Asks, and returns what the answer will be known by.
    fn ask(&mut self, mut question: Vec<u8>) -> io::Result<u32> {
        self.sequence = self.sequence.wrapping_add(1);
        netlink::set_sequence(&mut question, self.sequence);
        self.questions.send(&question)?;
        Ok(self.sequence)
    }

    /// Receives one part of an answer; what is left of one that came too late is passed over.
    fn answer(&mut self, sequence: u32) -> io::Result<usize> {
        for _ in 0..ANSWER_PARTS_MAX {
            let length = self.questions.receive(&mut self.buffer)?;
            if netlink::sequence(&self.buffer[..length]) == Some(sequence) {
                return Ok(length);
            }
        }
        Err(io::ErrorKind::InvalidData.into())
    }
}

/// No way leads there: ENETUNREACH, EHOSTUNREACH, EACCES (prohibited), EINVAL (black hole).
fn is_unreachable(errno: i32) -> bool {
    const UNREACHABLE: [i32; 4] = [101, 113, 13, 22];
    UNREACHABLE.contains(&errno)
}

/// Why the kernel did not take a packet.
fn reason_of(error: &io::Error) -> DropReason {
    match error.raw_os_error() {
        Some(EAGAIN | ENOBUFS) => DropReason::TxFull,
        _ => DropReason::TxRefused,
    }
}

// errno.h of Linux.
const EAGAIN: i32 = 11;
const ENOBUFS: i32 = 105;

/// Packets of one worker that may wait to be given to the kernel: the first of as many flows as may
/// ask for their ways.
const PACKETS_MAX: usize = 1024;

/// Packets of one worker given to the kernel before the others have their turn.
const PACKETS_PER_TURN_MAX: usize = 64;

/// How long the kernel may take over an answer: it answers at once.
const ANSWER_MAX: Duration = Duration::from_millis(500);

/// Changes of routes come in crowds: workers are told once.
const CHANGES_TOGETHER: Duration = Duration::from_millis(50);

/// When a neighbour that was not found is looked for again.
const RETRY_AFTER: Duration = Duration::from_secs(1);

/// When a worker that had no room is tried again.
const BEHIND: Duration = Duration::from_millis(1);

/// Messages read before requests have their turn.
const NEWS_PER_TURN_MAX: usize = 256;

/// Requests of one worker handled before the others have their turn.
const REQUESTS_PER_TURN_MAX: usize = 64;

/// Parts of the longest answer: all addresses of a large host.
const ANSWER_PARTS_MAX: usize = 65_536;

/// What the kernel puts into one message at most.
const BUFFER_BYTES: usize = 32 << 10;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_what_means_no_way_is_unreachable() {
        assert!(is_unreachable(101) && is_unreachable(113));
        assert!(!is_unreachable(0) && !is_unreachable(105));
    }
}
