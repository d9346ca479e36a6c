//! The mg thread: H.248 sockets, virtual MGs, and the workers' news, on one poll.

use std::io::{self, Read};
use std::net::{IpAddr, SocketAddr};
use std::os::fd::{AsFd, AsRawFd, RawFd};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicU8, Ordering};
use std::sync::mpsc::{Receiver, Sender, SyncSender, channel, sync_channel};
use std::thread::{self, JoinHandle};
use std::time::Duration;

use ::mrfp::{Dsp, DspLoad, Mrfp};
use base::{Entropy, Instant};
use control::admin::H248PathStatus;
use dataplane::io::tap::{self, Tap};
use dataplane::{Clock, Idle, LocalAddress, LocalAddresses, runtime};
use h248::message::{Name, Profile};
use h248::transport::{Protocol, sctp};
use mg::{
    AssociationEvent, GatewayConfig as MgConfig, MediaGateway, MediaPlane, Output,
    RealmAddress as MgAddress,
};
use mio::event::Event;
use mio::unix::SourceFd;
use mio::{Events, Interest, Poll, Registry, Token, Waker};
use rtp::quality::Band;
use serde_json::{Value, json};
use tracing::{info, warn};
use trgw::{LegReport, Relay, Silence, Trgw};
use udp_batch::Socket;
use usrsctp::{Endpoint, POLL_AFTER};

use super::associations::Associations;
use super::config::{Function, GATEWAYS_MAX, GatewayConfig, MediaConfig, SctpConfig};
use super::datagrams::{BATCH, Batch, bind};
use super::io::{self as backend, IoStatus};
use super::links::{Links, News};
use super::load::Load;
use super::mrfp;
use super::status::Status;
use super::tapping::{Part, Tapping};
use crate::failure::Failure;

/// Batches of datagrams read from one socket before the others have their turn.
const BATCHES_PER_TURN_MAX: usize = 2;
/// Messages and other news of connections taken in one turn.
const NEWS_PER_TURN_MAX: usize = 1024;
/// Events of the workers taken in one turn.
const EVENTS_PER_TURN_MAX: usize = 1024;
/// How soon commands are repeated that workers had no room for.
const BEHIND: Duration = Duration::from_millis(1);
/// How long an admin request waits for the loop.
const STATUS_WAIT: Duration = Duration::from_secs(1);
/// Admin requests waiting at once.
const REQUESTS_MAX: usize = 16;
/// How long the gateways may take to leave service.
const LEAVE_MAX: Duration = Duration::from_secs(5);

/// Orders to the loop; a higher one outdoes a lower one.
const LEAVE: u8 = 1;
const STOP: u8 = 2;

const WAKER: Token = Token(0);
const WORKERS: Token = Token(1);
const FIRST_SOCKET: usize = 2;

/// A running media process.
pub struct EventLoop {
    poll: Poll,
    clock: Clock,
    started: Instant,
    /// The media plane of gateways that process media; with that of those that relay.
    mrfp: Mrfp,
    gateways: Vec<Gateway>,
    workers: Vec<JoinHandle<()>>,
    /// What is in force of the back-end.
    io: IoStatus,
    /// Folder of what MRFPs record.
    recordings: Option<PathBuf>,
    /// How long contexts may go on when the process is to end.
    drain: Duration,
    requests: Receiver<Request>,
    handle: Handle,
    batch: Batch,
    /// Workers may have reported something: readiness is told once.
    has_news: bool,
}

struct Gateway {
    function: Function,
    mid: SocketAddr,
    carrier: Carrier,
    mg: MediaGateway,
}

/// What carries the H.248 of a gateway.
enum Carrier {
    Udp {
        socket: Socket,
        /// There may be more to read: readiness is told once.
        is_readable: bool,
    },
    Tcp(Links),
    Sctp(Associations),
}

/// What other threads ask, with the way back.
enum Request {
    Status(Sender<Value>),
    Locate(Part, Sender<Vec<SocketAddr>>),
}

/// What other threads do with the loop.
#[derive(Clone)]
pub struct Handle {
    /// [`LEAVE`], [`STOP`] or neither.
    order: Arc<AtomicU8>,
    waker: Arc<Waker>,
    requests: SyncSender<Request>,
}

impl Handle {
    /// Asks the gateways to leave service when their contexts have ended, or the time for it is
    /// over, and the loop to end.
    pub fn leave(&self) {
        self.give(LEAVE);
    }

    /// Asks the gateways to leave service at once, and the loop to end.
    pub fn stop(&self) {
        self.give(STOP);
    }

    fn give(&self, order: u8) {
        self.order.fetch_max(order, Ordering::AcqRel);
        // A failed wake means that the loop's poll is gone, and with it the loop.
        let _ = self.waker.wake();
    }

    /// The state of the process, or a word why it is not to be had.
    pub fn status(&self) -> Value {
        let answer = self.ask(Request::Status);
        answer.unwrap_or_else(|| json!({ "process": "media", "error": "it does not answer" }))
    }

    /// Where a part of the connection model receives; nowhere when the loop does not answer.
    pub fn locate(&self, part: &Part) -> Vec<SocketAddr> {
        let answer = self.ask(|sender| Request::Locate(part.clone(), sender));
        answer.unwrap_or_default()
    }

    fn ask<T>(&self, request: impl FnOnce(Sender<T>) -> Request) -> Option<T> {
        let (sender, receiver) = channel();
        let sent = self.requests.try_send(request(sender)).is_ok() && self.waker.wake().is_ok();
        let wait = if sent { STATUS_WAIT } else { Duration::ZERO };
        receiver.recv_timeout(wait).ok()
    }
}

impl EventLoop {
    /// Binds the H.248 sockets and starts the workers.
    ///
    /// # Errors
    /// What cannot be had, with the address and what to do.
    pub fn open(config: &MediaConfig) -> Result<(Self, Tapping), Failure> {
        let poll = Poll::new().map_err(|fault| cannot("start").because(fault))?;
        let waker = Waker::new(poll.registry(), WAKER);
        let waker = Arc::new(waker.map_err(|fault| cannot("start").because(fault))?);
        if config.dpdk.is_none() {
            // The kernel of this host knows nothing of addresses on DPDK's devices.
            check_addresses(config)?;
        }
        check_cores(&config.cores)?;
        let clock = Clock::start();
        let started = clock.now();
        let mut entropy = entropy().map_err(|fault| cannot("read /dev/urandom").because(fault))?;
        let mut gateways = Vec::new();
        for (index, gateway) in config.gateways.iter().enumerate() {
            let carrier = open_carrier(poll.registry(), &waker, index, gateway)?;
            let seed = Entropy::from_seed(entropy.bytes());
            gateways.push(Gateway {
                function: gateway.function,
                mid: gateway.mid,
                carrier,
                mg: MediaGateway::new(mg_config(gateway), started, seed),
            });
        }
        let Plane {
            mut mrfp,
            workers,
            io,
            tap,
        } = start_workers(config, clock, &waker, Entropy::from_seed(entropy.bytes()))?;
        mrfp.trgw_mut().defer_wakes();
        info!(
            io = config.io.name(),
            workers = workers.len(),
            "workers run"
        );
        let news: RawFd = mrfp.trgw().control().as_fd().as_raw_fd();
        let watched = poll
            .registry()
            .register(&mut SourceFd(&news), WORKERS, Interest::READABLE);
        watched.map_err(|fault| cannot("start").because(fault))?;
        let (sender, requests) = sync_channel(REQUESTS_MAX);
        let media = Self {
            poll,
            clock,
            started,
            mrfp,
            gateways,
            workers,
            io,
            recordings: config
                .mrfp
                .as_ref()
                .and_then(|mrfp| std::path::absolute(&mrfp.files.as_ref()?.recordings).ok()),
            drain: config.drain,
            requests,
            handle: Handle {
                order: Arc::default(),
                waker,
                requests: sender,
            },
            batch: Batch::new(),
            has_news: true,
        };
        let handle = media.handle();
        let tapping = Tapping::new(tap, move |part| handle.locate(part));
        Ok((media, tapping))
    }

    /// What other threads do with the loop.
    pub fn handle(&self) -> Handle {
        self.handle.clone()
    }

    /// Runs until told to stop and the gateways have left service.
    ///
    /// # Errors
    /// The system's poll fails.
    pub fn run(mut self) -> Result<(), Failure> {
        for gateway in &mut self.gateways {
            info!(mid = %gateway.mid, "media gateway starts");
            let plane = plane_of(gateway.function, &mut self.mrfp);
            gateway.mg.start(self.clock.now(), plane);
        }
        let mut events = Events::with_capacity(256);
        let mut obeyed = 0;
        let mut leaves_until: Option<Instant> = None;
        let mut load = Load::new(self.clock.now());
        loop {
            self.send();
            let now = self.clock.now();
            let are_gone = self.gateways.iter().all(|gateway| gateway.mg.is_ended());
            if leaves_until.is_some_and(|until| are_gone || until <= now) {
                break;
            }
            self.wait(&mut events, leaves_until)?;
            if let Some(is_overloaded) = load.waited(now, self.clock.now()) {
                self.set_overloaded(is_overloaded);
            }
            for event in &events {
                // Threads that have files wake the loop too.
                self.has_news |= matches!(event.token(), WORKERS | WAKER);
                let gateway = event.token().0.checked_sub(FIRST_SOCKET);
                let gateway = gateway.map(|token| token % GATEWAYS_MAX);
                if let Some(gateway) = gateway.and_then(|index| self.gateways.get_mut(index)) {
                    gateway.carrier.handle_event(event);
                }
            }
            let now = self.clock.now();
            let order = self.handle.order.load(Ordering::Acquire);
            if order > obeyed {
                obeyed = order;
                let delay = match order {
                    LEAVE => self.drain,
                    _ => Duration::ZERO,
                };
                leaves_until = Some(now + delay + LEAVE_MAX);
                for gateway in &mut self.gateways {
                    let plane = plane_of(gateway.function, &mut self.mrfp);
                    gateway.mg.leave(now, plane, delay);
                }
            }
            self.turn(now);
        }
        self.end();
        Ok(())
    }

    /// Has the gateways tell their controllers of it.
    fn set_overloaded(&mut self, is_overloaded: bool) {
        if is_overloaded {
            warn!("the media process is overloaded");
        } else {
            info!("the media process is no longer overloaded");
        }
        for gateway in &mut self.gateways {
            gateway.mg.set_overloaded(is_overloaded);
        }
    }

    /// Takes what came from the network, from the workers, from clients and with time.
    fn turn(&mut self, now: Instant) {
        for gateway in &mut self.gateways {
            gateway.read(
                now,
                plane_of(gateway.function, &mut self.mrfp),
                &mut self.batch,
            );
        }
        if self.has_news || self.mrfp.is_behind() {
            self.has_news = self.take_events(now);
        }
        for gateway in &mut self.gateways {
            if gateway.mg.next_timeout().is_some_and(|at| at <= now) {
                let plane = plane_of(gateway.function, &mut self.mrfp);
                gateway.mg.handle_timeout(now, plane);
            }
        }
        let trgw = self.mrfp.trgw_mut();
        if trgw.next_timeout().is_some_and(|at| at <= now) {
            trgw.handle_timeout(now);
        }
        while let Ok(request) = self.requests.try_recv() {
            // A client that does not wait any more wants no answer.
            let _ = match request {
                Request::Status(answer) => answer.send(self.status(now)).ok(),
                Request::Locate(part, answer) => answer.send(self.locate(&part)).ok(),
            };
        }
    }

    /// Takes what the workers reported; true when there may be more.
    fn take_events(&mut self, now: Instant) -> bool {
        let may_be_more = self.handle_events(now);
        while let Some(report) = self.mrfp.trgw_mut().poll_report() {
            log_leg(&report);
        }
        may_be_more
    }

    fn handle_events(&mut self, now: Instant) -> bool {
        for _ in 0..EVENTS_PER_TURN_MAX {
            let Some(event) = self.mrfp.poll_event(now) else {
                return false;
            };
            let mut gateways = self.gateways.iter_mut();
            if let Some(gateway) = gateways.find(|gateway| gateway.mg.owns(event.local())) {
                let plane = plane_of(gateway.function, &mut self.mrfp);
                gateway.mg.handle_event(now, plane, &event);
            }
        }
        true
    }

    fn wait(&mut self, events: &mut Events, until: Option<Instant>) -> Result<(), Failure> {
        self.mrfp.trgw_mut().wake_workers();
        let now = self.clock.now();
        let timeouts = self
            .gateways
            .iter()
            .filter_map(|gateway| gateway.mg.next_timeout());
        let handshakes = self.mrfp.trgw().next_timeout();
        let next = timeouts.chain(until).chain(handshakes).min();
        let mut timeout = next.map(|at| at.since(now));
        if self.mrfp.is_behind() {
            timeout = Some(timeout.map_or(BEHIND, |timeout| timeout.min(BEHIND)));
        }
        let mut gateways = self.gateways.iter();
        let is_sctp = |gateway: &Gateway| matches!(gateway.carrier, Carrier::Sctp(_));
        if self.gateways.iter().any(is_sctp) {
            timeout = Some(timeout.map_or(POLL_AFTER, |timeout| timeout.min(POLL_AFTER)));
        }
        if self.has_news || gateways.any(|gateway| gateway.carrier.is_ready()) {
            timeout = Some(Duration::ZERO);
        }
        match self.poll.poll(events, timeout) {
            Err(fault) if fault.kind() == io::ErrorKind::Interrupted => Ok(()),
            Err(fault) => Err(cannot("go on").because(fault)),
            Ok(()) => Ok(()),
        }
    }

    fn send(&mut self) {
        for gateway in &mut self.gateways {
            gateway.send(&mut self.batch);
        }
    }

    fn locate(&self, part: &Part) -> Vec<SocketAddr> {
        let gateways = self.gateways.iter();
        let locals = gateways.flat_map(|gateway| match part {
            Part::Context(number) => gateway.mg.locals_in(*number),
            Part::Termination(name) => gateway.mg.locals_of(name),
        });
        locals.collect()
    }

    fn status(&self, now: Instant) -> Value {
        let trgw = self.mrfp.trgw();
        let status = Status::of(
            now.since(self.started),
            self.io.clone(),
            (trgw.pairs() * 2, trgw.control().endpoints_kept()),
            self.gateways.iter().map(|gateway| &gateway.mg),
            self.gateways.iter().flat_map(Gateway::paths).collect(),
            trgw.control().worker_stats(),
            &trgw.ended(),
        );
        let status = status.with_dtls(trgw.dtls());
        let (rooms, loads) = (self.mrfp.rooms(), self.mrfp.loads());
        let status = status.with_rooms(rooms, loads, self.recordings.clone());
        serde_json::to_value(status).unwrap_or_default()
    }

    /// Ends the workers and waits for them.
    fn end(self) {
        for gateway in self.gateways {
            if let Carrier::Sctp(associations) = gateway.carrier {
                associations.end();
            }
        }
        drop(self.mrfp);
        for worker in self.workers {
            if worker.join().is_err() {
                warn!("a worker ended by a panic");
            }
        }
        info!("media process ends");
    }
}

/// What became of a leg: so much came, of this quality, or why nothing was heard.
fn log_leg(report: &LegReport) {
    info!(
        local = %report.local,
        received = report.stats.packets_received,
        sent = report.stats.packets_sent,
        loss = report.loss(),
        jitter_ms = report.jitter().as_secs_f64() * 1e3,
        mos = report.mos(),
        wideband = report.band().map(|band| band == Band::Wide),
        silent = report.silence().map(Silence::name),
        "leg ends"
    );
}

impl Gateway {
    /// Paths to its MGCs.
    fn paths(&self) -> Vec<H248PathStatus> {
        match &self.carrier {
            Carrier::Sctp(associations) => associations.paths(),
            Carrier::Udp { .. } | Carrier::Tcp(_) => Vec::new(),
        }
    }

    fn read(&mut self, now: Instant, plane: &mut dyn MediaPlane, batch: &mut Batch) {
        match self.carrier {
            Carrier::Udp { .. } => self.read_datagrams(now, plane, batch),
            Carrier::Tcp(ref mut links) => {
                links.read(batch.buffer());
                self.take_news(now, plane, batch);
            }
            Carrier::Sctp(ref mut associations) => {
                associations.read();
                self.take_news(now, plane, batch);
            }
        }
    }

    fn read_datagrams(&mut self, now: Instant, plane: &mut dyn MediaPlane, batch: &mut Batch) {
        for _ in 0..BATCHES_PER_TURN_MAX {
            let Carrier::Udp {
                socket,
                is_readable: is_readable @ true,
            } = &mut self.carrier
            else {
                return;
            };
            let count = batch.receive(socket);
            *is_readable = count == BATCH;
            for index in 0..count {
                let (from, bytes) = batch.datagram(index);
                self.mg.handle_input(now, plane, from, bytes);
            }
            self.send(batch);
        }
    }

    /// Tells the gateway what became of its connections, until nothing follows from it.
    fn take_news(&mut self, now: Instant, plane: &mut dyn MediaPlane, batch: &mut Batch) {
        for _ in 0..NEWS_PER_TURN_MAX {
            let news = match &mut self.carrier {
                Carrier::Udp { .. } => None,
                Carrier::Tcp(links) => links.poll_news(),
                Carrier::Sctp(associations) => associations.poll_news(),
            };
            let Some(news) = news else {
                return;
            };
            match news {
                News::Connected(mgc) => self.mg.handle_connected(now, plane, mgc),
                News::Message(mgc, bytes) => self.mg.handle_input(now, plane, mgc, &bytes),
                News::Closed(mgc) => self.mg.handle_closed(now, plane, mgc),
            }
            self.send(batch);
        }
    }

    fn send(&mut self, batch: &mut Batch) {
        while let Some(output) = self.mg.poll_output() {
            match (output, &mut self.carrier) {
                (Output::Transmit { to, bytes }, Carrier::Udp { .. }) => batch.put(to, bytes),
                (Output::Transmit { to, bytes }, Carrier::Tcp(links)) => {
                    // What finds no connection goes again when there is one.
                    if !links.send(to, &bytes) {
                        links.connect(to);
                    }
                }
                (Output::Transmit { to, bytes }, Carrier::Sctp(associations)) => {
                    if !associations.send(to, &bytes) {
                        associations.connect(to);
                    }
                }
                (Output::Connect { to }, Carrier::Tcp(links)) => links.connect(to),
                (Output::Connect { to }, Carrier::Sctp(associations)) => associations.connect(to),
                (Output::Disconnect { from }, Carrier::Tcp(links)) => links.close(from),
                (Output::Disconnect { from }, Carrier::Sctp(associations)) => {
                    associations.close(from);
                }
                (Output::Connect { .. } | Output::Disconnect { .. }, Carrier::Udp { .. }) => {}
                (Output::Association(event), _) => log(self.mid, &event),
            }
        }
        if let Carrier::Udp { socket, .. } = &self.carrier {
            batch.send(socket, self.mid);
        }
    }
}

impl Carrier {
    fn handle_event(&mut self, event: &Event) {
        match self {
            Carrier::Udp { is_readable, .. } => *is_readable = true,
            Carrier::Tcp(links) => links.handle_event(event),
            // It wakes the loop by itself.
            Carrier::Sctp(_) => {}
        }
    }

    /// True when there is something to read without another event.
    fn is_ready(&self) -> bool {
        match self {
            Carrier::Udp { is_readable, .. } => *is_readable,
            Carrier::Tcp(links) => links.has_news(),
            Carrier::Sctp(associations) => associations.has_news(),
        }
    }
}

/// Opens what carries the H.248 of the gateway with this index; the tokens of one gateway are
/// congruent.
fn open_carrier(
    registry: &Registry,
    waker: &Arc<Waker>,
    index: usize,
    gateway: &GatewayConfig,
) -> Result<Carrier, Failure> {
    let not_started = |fault: io::Error| cannot("start").because(fault);
    let token = FIRST_SOCKET + index;
    match gateway.protocol {
        Protocol::Udp => {
            let socket = bind(gateway.mid)?;
            let descriptor = socket.as_fd().as_raw_fd();
            let mut source = SourceFd(&descriptor);
            let registered = registry.register(&mut source, Token(token), Interest::READABLE);
            registered.map_err(not_started)?;
            Ok(Carrier::Udp {
                socket,
                is_readable: true,
            })
        }
        Protocol::Tcp => {
            check_local(gateway.mid)?;
            let registry = registry.try_clone().map_err(not_started)?;
            let tokens = (token..).step_by(GATEWAYS_MAX);
            Ok(Carrier::Tcp(Links::new(gateway.mid.ip(), registry, tokens)))
        }
        Protocol::Sctp => {
            let Some(sctp) = &gateway.sctp else {
                return Err(cannot("start").because("SCTP without its configuration"));
            };
            let waker = waker.clone();
            Ok(Carrier::Sctp(associate(gateway.mid, sctp, waker)?))
        }
    }
}

/// Opens the endpoint of a gateway that speaks SCTP.
fn associate(
    mid: SocketAddr,
    config: &SctpConfig,
    waker: Arc<Waker>,
) -> Result<Associations, Failure> {
    let endpoint = usrsctp::Config {
        addresses: config.addresses.clone(),
        port: mid.port(),
        carrier: config.policy.carrier,
        listens: false,
        streams: sctp::STREAMS,
        message_len_max: sctp::MESSAGE_LEN_MAX,
        timing: config.policy.timing,
    };
    // A failed wake means that the loop has ended, and nobody waits any more.
    let opened = Endpoint::open(&endpoint, move || drop(waker.wake()));
    let opened = opened.map_err(|fault| {
        let remedy = usrsctp::remedy(&endpoint, &fault);
        Failure::new(format!("cannot speak SCTP at {mid}"))
            .because(fault)
            .remedy(remedy)
    })?;
    Ok(Associations::new(opened, config.peers.clone()))
}

/// Tells at the start that connections cannot come from the MID's address.
fn check_local(mid: SocketAddr) -> Result<(), Failure> {
    std::net::UdpSocket::bind((mid.ip(), 0))
        .map(drop)
        .map_err(|fault| {
            Failure::new(format!("cannot connect from {}", mid.ip()))
                .because(fault)
                .remedy("Give --mid an address that an interface of this host has.")
        })
}

fn log(mid: SocketAddr, event: &AssociationEvent) {
    match event {
        AssociationEvent::Registered { mgc, version } => {
            info!(%mid, %mgc, version, "registered with controller");
        }
        AssociationEvent::Refused { mgc, code } => {
            let reason = code.text().unwrap_or_default();
            warn!(%mid, %mgc, %code, reason, "controller refuses");
        }
        AssociationEvent::Unanswered { mgc } => {
            warn!(%mid, %mgc, "controller does not answer");
        }
        AssociationEvent::Released { mgc } => info!(%mid, %mgc, "controller lost"),
        AssociationEvent::Ended => info!(%mid, "out of service"),
    }
}

fn cannot(what: &str) -> Failure {
    Failure::new(format!("the media process cannot {what}"))
}

/// Tells at the start, and not with the first call, that an address for media is not ours.
fn check_addresses(config: &MediaConfig) -> Result<(), Failure> {
    for gateway in &config.gateways {
        for address in &gateway.addresses {
            std::net::UdpSocket::bind((address.address, 0)).map_err(|fault| {
                Failure::new(format!("cannot receive media at {}", address.address))
                    .because(fault)
                    .remedy("Give addresses that an interface of this host has.")
            })?;
        }
    }
    Ok(())
}

/// Tells at the start that a core to pin a worker to is not there.
fn check_cores(cores: &[usize]) -> Result<(), Failure> {
    let system = Path::new("/sys/devices/system/cpu");
    let is_there = |core: &usize| system.join(format!("cpu{core}")).exists();
    match cores.iter().find(|core| system.exists() && !is_there(core)) {
        Some(core) => Err(Failure::new(format!("cannot pin a worker to core {core}"))
            .because("this host has no such core")
            .remedy("Give cores that it has with --cores, or leave them out.")),
        None => Ok(()),
    }
}

fn mg_config(config: &GatewayConfig) -> MgConfig {
    let mut built = MgConfig::new(config.mid, config.profile.of(config.function));
    built.association.mgcs.clone_from(&config.mgc);
    let names = config.profile_names.iter();
    let named = names.map(|(name, version)| Profile {
        name: Name::new(name),
        version: *version,
    });
    built.association.profiles = named.collect();
    built.encoding = config.encoding;
    built.transport = config.protocol.transport();
    built.addresses = config
        .addresses
        .iter()
        .map(|address| MgAddress {
            realm: address.realm.clone(),
            ip: address.address,
        })
        .collect();
    built.ports = config.ports.low..=config.ports.high;
    built.contexts_max = config.contexts_max;
    built
}

/// The addresses of all gateways, each with the span of the ports that they deal there.
fn local_addresses(config: &MediaConfig) -> Result<LocalAddresses, Failure> {
    let mut spans: Vec<(IpAddr, u16, u16)> = Vec::new();
    for gateway in &config.gateways {
        let (low, high) = (gateway.ports.low, gateway.ports.high);
        for address in &gateway.addresses {
            match spans.iter_mut().find(|(ip, ..)| *ip == address.address) {
                Some((_, first, last)) => {
                    *first = low.min(*first);
                    *last = high.max(*last);
                }
                None => spans.push((address.address, low, high)),
            }
        }
    }
    let spans = spans.into_iter();
    let addresses: Vec<_> = spans
        .map(|(ip, first, last)| LocalAddress::new(ip, first..=last))
        .collect();
    LocalAddresses::new(&addresses).ok_or_else(|| {
        Failure::new(format!("{} addresses for media", addresses.len()))
            .because("one process can have at most 64")
            .remedy("Start a second media process.")
    })
}

/// What carries the media of gateways with a function.
fn plane_of(function: Function, mrfp: &mut Mrfp) -> &mut dyn MediaPlane {
    match function {
        Function::Trgw => mrfp.trgw_mut(),
        Function::Mrfp => mrfp,
    }
}

/// What moves packets, as it has started.
struct Plane {
    mrfp: Mrfp,
    workers: Vec<JoinHandle<()>>,
    io: IoStatus,
    tap: Option<Tap>,
}

fn start_workers(
    config: &MediaConfig,
    clock: Clock,
    waker: &Arc<Waker>,
    entropy: Entropy,
) -> Result<Plane, Failure> {
    let no_workers = || cannot("start its workers");
    let addresses = local_addresses(config)?;
    if let Some(priority) = config.priority {
        // Where it may not, it may not take it either, and says so then.
        let _ = udp_batch::allow_precedence(priority);
    }
    let (backend, io) = backend::open(config, &addresses)?;
    let (backend, tap) = match config.tap {
        true => {
            let (backend, tap) = tap::wrap(backend);
            (backend, Some(tap))
        }
        false => (backend, None),
    };
    let files = match &config.mrfp {
        Some(mrfp) => {
            let waker = Arc::clone(waker);
            // A failed wake means that the loop has ended, and nobody waits any more.
            mrfp::open_files(mrfp, move || drop(waker.wake()))?
        }
        None => None,
    };
    let mut loads: Vec<Arc<DspLoad>> = Vec::new();
    let function = |flows| -> Box<dyn dataplane::Function> {
        let relay = Relay::new(flows);
        if config.mrfp.is_none() {
            return Box::new(relay);
        }
        let load = Arc::default();
        loads.push(Arc::clone(&load));
        Box::new(Dsp::new(relay, flows, load))
    };
    let (control, workers) = runtime(&runtime_config(config), backend, function)
        .map_err(|fault| no_workers().because(fault))?;
    let cores = config
        .cores
        .iter()
        .copied()
        .map(Some)
        .chain(std::iter::repeat(None));
    let (mut threads, priority) = (Vec::new(), config.priority);
    for (index, (worker, core)) in workers.into_iter().zip(cores).enumerate() {
        let thread = thread::Builder::new()
            .name(format!("worker {index}"))
            .spawn(move || {
                take_precedence(index, priority);
                worker.run(clock, core);
            });
        threads.push(thread.map_err(|fault| no_workers().because(fault))?);
    }
    let identity = dtls::Identity::generate(std::time::Instant::now());
    let identity = identity.map_err(|fault| cannot("speak DTLS").because(fault))?;
    let told = config.mrfp.as_ref().map(|mrfp| mrfp.plane.clone());
    let told = told.unwrap_or_default();
    Ok(Plane {
        mrfp: Mrfp::new(
            Trgw::new(control).with_dtls(identity),
            told,
            loads,
            files,
            entropy,
        ),
        workers: threads,
        io,
        tap,
    })
}

/// Has a worker run before what the kernel does on its core, if that is wanted.
fn take_precedence(worker: usize, priority: Option<u8>) {
    if let Some(priority) = priority
        && let Err(fault) = udp_batch::take_precedence(priority)
    {
        warn!(worker, priority, %fault, "worker without its priority");
    }
}

/// What the runtime is told: workers that poll devices of DPDK on cores of their own go on polling.
fn runtime_config(config: &MediaConfig) -> dataplane::Config {
    let defaults = dataplane::Config::default();
    let is_polling = config.dpdk.is_some() && !config.cores.is_empty();
    dataplane::Config {
        idle: if is_polling {
            Idle::Spin
        } else {
            defaults.idle
        },
        ..defaults
    }
}

fn entropy() -> io::Result<Entropy> {
    let mut seed = [0; 32];
    std::fs::File::open("/dev/urandom")?.read_exact(&mut seed)?;
    Ok(Entropy::from_seed(seed))
}
