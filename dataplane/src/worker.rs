//! The loop of a pinned thread.

use crate::control::{Command, Report};
use crate::counters::{ReceiveCounters, RefusalCounters, WorkerCounters};
use crate::flow::{Claims, FlowEntry, FlowExtra, Owner, Way, entry_lines};
use crate::flow_set::FlowSet;
use crate::handoff::{self, Parcel};
use crate::io::{Endpoint, Outgoing, Waker};
use crate::path::{Compiled, Route, Target};
use crate::protection::Kind;
use crate::timer::{TICK, TimerWheel};
use crate::times::Timekeeper;
use crate::{
    BURST_MAX, Burst, Clock, Context, Datagram, DropCounts, DropReason, EGRESSES_MAX, FlowId,
    Frame, Function, Idle, LocalAddresses, Mail, Marking, Outlet, PacketIo, Srtp, Verdict,
};
use base::Instant;
use rtrb::{Consumer, Producer, PushError};
use srtp::Sender;
use std::collections::VecDeque;
use std::net::SocketAddr;
use std::ops::Range;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering, fence};
use std::time::Duration;
use udp_batch::EventFd;

/// One worker: a back-end, a media function, and the loop between them.
///
/// [`Worker::run`] is the loop of the thread. [`Worker::turn`] is one iteration of it, for tests on
/// virtual time.
pub struct Worker {
    io: Box<dyn PacketIo>,
    function: Box<dyn Function>,
    burst: Burst,
    verdicts: [Verdict; BURST_MAX],
    idle: Idle,
    /// When the first was sent of what the function's work has sent and the back-end not yet.
    held_since: Instant,
    times: Timekeeper,
    core: Core,
}

/// What one turn found to do.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Turn {
    /// Something; there may be more.
    Busy,
    /// Nothing.
    Idle,
}

/// What all threads of the runtime share.
#[derive(Debug)]
pub(crate) struct Shared {
    pub(crate) addresses: LocalAddresses,
    pub(crate) claims: Claims,
    pub(crate) received: Box<[ReceiveCounters]>,
    pub(crate) refused: Box<[RefusalCounters]>,
    pub(crate) workers: Box<[WorkerCounters]>,
    pub(crate) sleepers: Box<[Sleeper]>,
    /// Signalled when a worker has reported something.
    pub(crate) reported: EventFd,
    pub(crate) stopping: AtomicBool,
}

/// Whether a worker waits, and what wakes it.
#[derive(Debug)]
pub(crate) struct Sleeper {
    asleep: AtomicBool,
    waker: Waker,
}

impl Sleeper {
    pub(crate) fn new(waker: Waker) -> Self {
        Self {
            asleep: AtomicBool::new(false),
            waker,
        }
    }

    /// Called after something was put in a ring of the worker: wakes it if it waits.
    ///
    /// The fences here and in [`Worker::sleep`] make sure that either this sees the worker asleep,
    /// or the worker sees what was put in.
    pub(crate) fn wake(&self) {
        fence(Ordering::SeqCst);
        if self.asleep.load(Ordering::Relaxed) && self.asleep.swap(false, Ordering::Relaxed) {
            self.waker.wake();
        }
    }
}

/// The ring from a worker to the mg thread.
pub(crate) struct Reports {
    pub(crate) ring: Producer<Report>,
    pushed: bool,
}

impl Reports {
    pub(crate) fn new(ring: Producer<Report>) -> Self {
        Self {
            ring,
            pushed: false,
        }
    }

    /// Tells the mg thread; false when the ring is full.
    pub(crate) fn push(&mut self, report: Report) -> bool {
        let pushed = self.ring.push(report).is_ok();
        self.pushed |= pushed;
        pushed
    }

    /// Passes something to the mg thread, and back when the ring is full.
    fn post(&mut self, mail: Mail) -> Result<(), Mail> {
        match self.ring.push(Report::Mail(mail)) {
            Ok(()) => {
                self.pushed = true;
                Ok(())
            }
            Err(PushError::Full(Report::Mail(mail))) => Err(mail),
            Err(PushError::Full(_)) => Ok(()),
        }
    }

    /// Gives a path back to be dropped, for which the mg thread need not be woken.
    fn give_back(&mut self, path: Arc<Compiled>) {
        // Room was made sure of before the command was taken.
        let pushed = self.ring.push(Report::Returned(path)).is_ok();
        debug_assert!(pushed, "there is room for one report");
    }

    /// The same of what was sent.
    fn give_back_payload(&mut self, payload: Box<[u8]>) {
        let pushed = self.ring.push(Report::Sent(payload)).is_ok();
        debug_assert!(pushed, "there is room for one report");
    }

    /// Reports what the admission of a packet from `source` brought about; what finds no room stays
    /// marked.
    pub(crate) fn report_admission(
        &mut self,
        flow: FlowId,
        entry: &mut FlowEntry,
        extra: &FlowExtra,
        source: SocketAddr,
    ) {
        let generation = entry.generation;
        let mut unreported = entry.unreported();
        if unreported.first_packet {
            unreported.first_packet = !self.push(Report::FirstPacket {
                flow,
                generation,
                source,
            });
        }
        if unreported.latched {
            let request = extra.latch.request();
            unreported.latched = !self.push(Report::Latched {
                flow,
                generation,
                request,
                source,
            });
        }
        entry.set_unreported(unreported);
    }
}

/// The rings between this worker and the others; `None` at its own place.
pub(crate) struct Peers {
    pub(crate) to: Vec<Option<Producer<Parcel>>>,
    pub(crate) from: Vec<Option<Consumer<Parcel>>>,
    /// To the mg thread.
    pub(crate) punts: Producer<Parcel>,
}

/// A worker without its back-end and its function.
pub(crate) struct Core {
    index: u16,
    shared: Arc<Shared>,
    commands: Consumer<Command>,
    reports: Reports,
    peers: Peers,
    flows: Box<[FlowEntry]>,
    /// Of the same flows: what few packets need.
    extras: Box<[FlowExtra]>,
    wheel: TimerWheel,
    out: Out,
}

impl Worker {
    pub(crate) fn new(
        index: u16,
        shared: Arc<Shared>,
        io: Box<dyn PacketIo>,
        function: Box<dyn Function>,
        idle: Idle,
        (commands, reports): (Consumer<Command>, Producer<Report>),
        peers: Peers,
    ) -> Self {
        let flows = shared.addresses.flows();
        Self {
            io,
            function,
            burst: Burst::new(),
            verdicts: [Verdict::Forward; BURST_MAX],
            idle,
            held_since: Instant::ZERO,
            times: Timekeeper::default(),
            core: Core {
                index,
                shared,
                commands,
                reports: Reports::new(reports),
                peers,
                flows: table(flows),
                extras: (0..flows).map(|_| FlowExtra::default()).collect(),
                wheel: TimerWheel::new(flows),
                out: Out {
                    worker: index,
                    local: VecDeque::with_capacity(LOCAL_QUEUE_MAX),
                    outgoing: Vec::with_capacity(BURST_MAX * EGRESSES_MAX + HELD_MAX),
                    spare: Vec::with_capacity(SPARE_MAX),
                    drops: DropCounts::default(),
                    open: FlowSet::new(flows),
                },
            },
        }
    }

    /// The loop of the thread: turns until the [`crate::Control`] is dropped.
    ///
    /// Pins the calling thread to `cpu` when given; a CPU that cannot be had leaves it unpinned.
    pub fn run(mut self, clock: Clock, cpu: Option<usize>) {
        if let Some(id) = cpu {
            core_affinity::set_for_current(core_affinity::CoreId { id });
        }
        let mut idle_turns = 0_u32;
        while !self.core.shared.stopping.load(Ordering::Relaxed) {
            if self.turn_on(&|| clock.now()) == Turn::Busy {
                idle_turns = 0;
                continue;
            }
            match self.idle {
                Idle::Spin => std::hint::spin_loop(),
                Idle::Block { after_turns } => {
                    idle_turns = idle_turns.saturating_add(1);
                    if idle_turns > after_turns {
                        self.sleep(clock);
                    }
                }
            }
        }
    }

    /// One iteration of the loop at a time that stands still meanwhile.
    pub fn turn(&mut self, now: Instant) -> Turn {
        self.turn_on(&|| now)
    }

    /// One iteration of the loop, each step of it bounded: what has come goes out, then the
    /// function does one piece of its work.
    pub fn turn_on(&mut self, clock: &dyn Fn() -> Instant) -> Turn {
        let now = clock();
        let counters = &self.core.shared.workers[usize::from(self.core.index)];
        self.times.begin(now, &counters.times);
        let commands = self.handle_commands(now);
        let parcels = self.receive_parcels(now);
        let received = self.receive_bursts(now);
        let delivered = self.deliver_local(now);
        let expired = self.core.handle_timers(now);
        let worked = self.work(now, clock);
        let done = commands + parcels + received + delivered + expired;
        if !self.core.out.spare.is_empty() {
            self.io.free(&mut self.core.out.spare);
        }
        self.core.publish(commands, received, delivered);
        if done == 0 && worked.is_none() {
            return Turn::Idle;
        }
        self.times.end(now, worked);
        Turn::Busy
    }

    /// Waits for the network, a command, a parcel or a timer.
    fn sleep(&mut self, clock: Clock) {
        let shared = Arc::clone(&self.core.shared);
        let asleep = &shared.sleepers[usize::from(self.core.index)].asleep;
        asleep.store(true, Ordering::Relaxed);
        fence(Ordering::SeqCst);
        if self.core.rings_are_empty() && !shared.stopping.load(Ordering::Relaxed) {
            let now = clock.now();
            let work = self.function.next_work().map(|at| at.since(now));
            let idle = self.core.wheel.idle_for(now);
            self.io.wait(idle.into_iter().chain(work).min());
        }
        asleep.store(false, Ordering::Relaxed);
    }

    fn handle_commands(&mut self, now: Instant) -> usize {
        let mut handled = 0;
        // Each command may answer with one report, for which there must be room before it is taken.
        while handled < COMMANDS_PER_TURN_MAX && !self.core.reports.ring.is_full() {
            let Ok(command) = self.core.commands.pop() else {
                break;
            };
            handled += 1;
            match command {
                Command::Open {
                    flow,
                    generation,
                    endpoint,
                } => {
                    self.core.flows[flow.index()] = FlowEntry::opened(generation);
                    self.core.extras[flow.index()] = FlowExtra::default();
                    self.core.out.open.insert(flow);
                    self.io.open(flow, endpoint, &mut self.core.out.drops);
                    self.function.handle_open(flow);
                }
                Command::SetPath {
                    flow,
                    generation,
                    path,
                } => {
                    self.core.set_path(now, flow, generation, path);
                }
                Command::Close {
                    flow,
                    generation,
                    keep,
                } => {
                    let endpoint = self.io.close(flow, keep);
                    self.core.close(flow, generation, endpoint);
                }
                Command::Transmit {
                    flow,
                    generation,
                    to,
                    payload,
                } => {
                    self.core
                        .transmit_one(now, flow, generation, to, &payload, &mut *self.io);
                    self.core.reports.give_back_payload(payload);
                }
                Command::Mail(mail) => {
                    if let Some(mail) = self.function.handle_mail(now, mail) {
                        // Room was made sure of before the command was taken.
                        let posted = self.core.post(mail).is_ok();
                        debug_assert!(posted, "there is room for one report");
                    }
                }
            }
        }
        handled
    }

    fn receive_parcels(&mut self, now: Instant) -> usize {
        let mut received = 0;
        for peer in 0..self.core.peers.from.len() {
            for _ in 0..BURST_MAX {
                if !self
                    .core
                    .receive_parcel(peer, &mut self.burst, &mut *self.io)
                {
                    break;
                }
                received += 1;
            }
            self.handle_burst(now);
        }
        received
    }

    fn receive_bursts(&mut self, now: Instant) -> usize {
        let mut received = 0;
        for _ in 0..BURSTS_PER_TURN_MAX {
            self.io
                .rx_burst(now, &mut self.burst, &mut self.core.out.drops);
            let taken = self.burst.len();
            received += taken;
            self.handle_burst(now);
            if taken == 0 {
                break;
            }
        }
        received
    }

    /// Delivers what was sent to our own addresses. What that brings about in turn waits for the
    /// next turn when it exceeds the queue's length.
    fn deliver_local(&mut self, now: Instant) -> usize {
        let mut delivered = 0;
        while delivered < LOCAL_QUEUE_MAX && !self.core.out.local.is_empty() {
            while let Some(datagram) = self.core.out.local.pop_front() {
                delivered += 1;
                if let Err(datagram) = self.burst.push(datagram) {
                    self.core.out.local.push_front(datagram);
                    delivered -= 1;
                    break;
                }
            }
            self.handle_burst(now);
        }
        delivered
    }

    /// Has the function do what is due; how long that took, but for what was sent. What it sends
    /// waits for a little more of it, so that they share the system call and the wake of who
    /// receives them; nothing else waits, since what came has gone before.
    fn work(&mut self, turn_began: Instant, clock: &dyn Fn() -> Instant) -> Option<Duration> {
        let next = self.function.next_work();
        // Who has nothing to do needs no further look at the clock.
        let now = next.map_or(turn_began, |_| clock());
        if next.is_none_or(|at| at > now) {
            self.send_held();
            return None;
        }
        if self.core.outgoing() == 0 {
            self.held_since = now;
        }
        let mut outlet = Outlet {
            now,
            clock,
            core: &mut self.core,
            io: &mut *self.io,
            took: self.times.took(),
            sending: Duration::ZERO,
        };
        let worked = self.function.work(&mut outlet);
        let sending = outlet.sending;
        let ended = clock();
        let held = self.core.outgoing();
        if !worked || held >= HELD_MAX || ended.since(self.held_since) >= HELD_FOR_MAX {
            self.send_held();
        }
        worked.then(|| ended.since(now).saturating_sub(sending))
    }

    fn send_held(&mut self) {
        if self.core.outgoing() > 0 {
            self.core.transmit(&mut *self.io);
        }
    }

    /// Brings each datagram of the burst where it belongs, and leaves the burst empty.
    fn handle_burst(&mut self, now: Instant) {
        if self.burst.is_empty() {
            return;
        }
        self.core.free_spare(&mut *self.io);
        let count = self.burst.len();
        self.read_ahead(0..AHEAD.min(count));
        let held = self.core.outgoing();
        let mut first = 0;
        while first < count {
            let end = (first + STEP).min(count);
            self.read_ahead((first + AHEAD).min(count)..(end + AHEAD).min(count));
            self.handle_datagrams(now, first..end);
            first = end;
        }
        self.burst.clear();
        if self.core.outgoing() > held {
            self.core.transmit(&mut *self.io);
        }
    }

    /// The same for some datagrams of the burst, of which nothing is left but what frames do not
    /// hold.
    fn handle_datagrams(&mut self, now: Instant, range: Range<usize>) {
        let datagrams = &mut self.burst[range];
        let flows = &self.core.flows;
        let is_own = |datagram: &Datagram| flows[datagram.flow.index()].is_own;
        let own = match datagrams.iter().all(is_own) {
            true => datagrams.len(),
            false => self.core.keep_own(datagrams),
        };
        let (datagrams, verdicts) = (&mut datagrams[..own], &mut self.verdicts[..own]);
        if own == 0 {
            return;
        }
        let mut context = Context {
            now,
            flows: &mut self.core.flows,
            extras: &mut self.core.extras,
            shared: &self.core.shared,
            reports: &mut self.core.reports,
        };
        self.function
            .handle_burst(&mut context, datagrams, verdicts);
        for (datagram, verdict) in datagrams.iter_mut().zip(verdicts) {
            // What is done is as it was, for the next.
            let verdict = std::mem::replace(verdict, Verdict::Forward);
            self.core.execute(datagram, verdict, &mut *self.io);
        }
    }

    /// Has whatever some datagrams of the burst will need read ahead, so that the memory's latency
    /// passes while those before them are handled.
    fn read_ahead(&self, range: Range<usize>) {
        let datagrams = &self.burst[range];
        self.core.prefetch(datagrams);
        self.function.prefetch(datagrams);
    }
}

impl Core {
    fn rings_are_empty(&self) -> bool {
        self.commands.is_empty() && self.peers.from.iter().flatten().all(|ring| ring.is_empty())
    }

    fn set_path(&mut self, now: Instant, flow: FlowId, generation: u32, path: Arc<Compiled>) {
        let entry = &mut self.flows[flow.index()];
        if !entry.open || entry.generation != generation {
            self.reports.give_back(path);
            return;
        }
        let tallied = entry.tallied();
        let inactivity = path.ingress.inactivity;
        let worker = path.worker;
        let before = entry.set_path(path);
        let inactivity_before = before.as_ref().and_then(|path| path.ingress.inactivity);
        if let Some(before) = before {
            self.reports.give_back(before);
        }
        let entry = &mut self.flows[flow.index()];
        let is_new = inactivity != inactivity_before;
        if is_new {
            let extra = &mut self.extras[flow.index()];
            extra.watched_from = Some(now);
            extra.silence = None;
        }
        let owner = entry.owner();
        if let Some(worker) = worker {
            entry.set_owner(match worker == self.index {
                true => Owner::Mine,
                false => Owner::Other(worker),
            });
        }
        if is_new || entry.owner() != owner {
            self.watch(flow);
        }
        self.settle(flow, tallied);
    }

    /// Has what a flow sent counted where it belongs, when its way is another than it was.
    fn settle(&self, flow: FlowId, before: Option<FlowId>) {
        let now = self.flows[flow.index()].tallied();
        if now == before {
            return;
        }
        let worker = &self.shared.workers[usize::from(self.index)];
        let sent = before.map(|before| worker.sent(before));
        self.shared.received[flow.index()].settle(sent, now);
    }

    fn close(&mut self, flow: FlowId, generation: u32, endpoint: Option<Endpoint>) {
        self.wheel.cancel(flow);
        self.out.open.remove(flow);
        self.extras[flow.index()] = FlowExtra::default();
        let ended = FlowEntry::ended(generation);
        let entry = std::mem::replace(&mut self.flows[flow.index()], ended);
        self.settle(flow, entry.tallied());
        self.reports.push(Report::Closed {
            flow,
            generation,
            endpoint,
            path: entry.path,
        });
    }

    /// Sets the timer for inactivity, if that is this worker's matter: the flow is its own, or
    /// nobody's and it is the one that stands in.
    fn watch(&mut self, flow: FlowId) {
        let entry = &self.flows[flow.index()];
        let inactivity = entry.ingress().and_then(|ingress| ingress.inactivity);
        let stands_in = flow.index() % self.shared.workers.len() == usize::from(self.index);
        let mine = match entry.owner() {
            Owner::Mine => true,
            Owner::Unclaimed => stands_in,
            Owner::Other(_) | Owner::Closed => false,
        };
        match inactivity {
            Some(inactivity) if mine => {
                let inactivity = inactivity.max(TICK);
                self.wheel.set(flow, self.silent_since(flow) + inactivity);
            }
            _ => self.wheel.cancel(flow),
        }
    }

    /// When the silence of a flow that now is began.
    fn silent_since(&self, flow: FlowId) -> Instant {
        let last = self.shared.received[flow.index()].last_arrival.read();
        let watched_from = self.extras[flow.index()].watched_from;
        Instant::from_nanos(last).max(watched_from.unwrap_or(Instant::ZERO))
    }

    fn handle_timers(&mut self, now: Instant) -> usize {
        let mut budget = TIMERS_PER_TURN_MAX;
        let mut expired = 0;
        while let Some(flow) = self.wheel.expire(now, &mut budget) {
            expired += 1;
            self.handle_silence(now, flow);
        }
        expired
    }

    fn handle_silence(&mut self, now: Instant, flow: FlowId) {
        let entry = &self.flows[flow.index()];
        let Some(inactivity) = entry.ingress().and_then(|ingress| ingress.inactivity) else {
            return;
        };
        // Another worker has the flow by now, and has a timer of its own.
        let elsewhere =
            entry.owner() != Owner::Mine && self.shared.claims.is_claimed(flow, entry.generation);
        if elsewhere {
            return;
        }
        let since = self.silent_since(flow);
        let due = since + inactivity.max(TICK);
        if due > now {
            self.wheel.set(flow, due);
            return;
        }
        let generation = entry.generation;
        let extra = &mut self.extras[flow.index()];
        if extra.silence != Some(since)
            && self.reports.push(Report::Inactive {
                flow,
                generation,
                since,
            })
        {
            extra.silence = Some(since);
        }
        self.wheel.set(flow, now + inactivity.max(TICK));
    }

    fn receive_parcel(&mut self, peer: usize, burst: &mut Burst, io: &mut dyn PacketIo) -> bool {
        let Self {
            peers, flows, out, ..
        } = self;
        let Some(ring) = &mut peers.from[peer] else {
            return false;
        };
        handoff::receive(ring, |parcel| {
            let entry = &flows[parcel.flow.index()];
            if !entry.open || entry.generation != parcel.generation {
                out.drops.count(DropReason::StaleFlow);
                return true;
            }
            let Some(frame) = out.take_frame(io) else {
                return true;
            };
            if let Err(datagram) = burst.push(parcel.unpack(frame)) {
                out.spare.push(datagram.frame);
                return false;
            }
            true
        })
    }

    #[inline]
    fn prefetch(&self, datagrams: &[Datagram]) {
        for datagram in datagrams {
            let flow = datagram.flow.index();
            memory::prefetch_lines(&self.flows[flow], entry_lines(datagram.source));
            memory::prefetch(&self.shared.received[flow]);
        }
    }

    /// Moves the datagrams of this worker's own flows that have a path to the front, in their
    /// order, and returns how many they are. The others are handed to the worker whose they are, or
    /// dropped: nothing is left of them but their frames.
    #[cold]
    fn keep_own(&mut self, datagrams: &mut [Datagram]) -> usize {
        let mut kept = 0;
        for index in 0..datagrams.len() {
            let datagram = &datagrams[index];
            match self.owner(datagram.flow) {
                Ok(Owner::Mine) => {
                    if kept != index {
                        datagrams.swap(kept, index);
                    }
                    kept += 1;
                    continue;
                }
                Ok(Owner::Other(worker)) => self.hand_over(worker, datagram),
                Ok(Owner::Unclaimed | Owner::Closed) => self.out.drops.count(DropReason::StaleFlow),
                Err(reason) => self.out.drops.count(reason),
            }
            self.out.spare.push(datagrams[index].frame.take());
        }
        kept
    }

    /// Whose a flow is that something was received for; claims it if it is nobody's.
    fn owner(&mut self, flow: FlowId) -> Result<Owner, DropReason> {
        let entry = &mut self.flows[flow.index()];
        if !entry.open {
            return Err(entry.refusal());
        }
        if entry.path.is_none() {
            return Err(DropReason::NoPath);
        }
        if entry.owner() != Owner::Unclaimed {
            return Ok(entry.owner());
        }
        let owner = self.shared.claims.claim(flow, entry.generation, self.index);
        entry.set_owner(owner);
        self.watch(flow);
        self.settle(flow, None);
        Ok(owner)
    }

    fn hand_over(&mut self, worker: u16, datagram: &Datagram) {
        let generation = self.flows[datagram.flow.index()].generation;
        let handed = match &mut self.peers.to[usize::from(worker)] {
            Some(ring) => handoff::hand_over(ring, datagram, generation),
            None => false,
        };
        if !handed {
            self.out.drops.count(DropReason::HandoffFull);
            return;
        }
        self.shared.workers[usize::from(self.index)]
            .handed_over
            .add(1);
        self.shared.sleepers[usize::from(worker)].wake();
    }

    /// Does what the function said.
    #[inline]
    pub(crate) fn execute(
        &mut self,
        datagram: &mut Datagram,
        verdict: Verdict,
        io: &mut dyn PacketIo,
    ) {
        let entry = &self.flows[datagram.flow.index()];
        if verdict == Verdict::Forward
            && let Some(way) = entry.only()
        {
            return self.out.send_by(&self.shared, way, entry.tallies, datagram);
        }
        self.execute_any(datagram, verdict, io);
    }

    /// The same for any verdict and path.
    #[inline(never)]
    fn execute_any(&mut self, datagram: &mut Datagram, verdict: Verdict, io: &mut dyn PacketIo) {
        let path = self.flows[datagram.flow.index()].path.as_deref();
        let (routes, kind) = match (verdict, path) {
            (Verdict::Forward, Some(path)) => (path.media(), Kind::Rtp),
            (Verdict::ForwardRtcp, Some(path)) => (path.rtcp(), Kind::Rtcp),
            (Verdict::Drop(reason), _) => {
                return self.out.refuse(&self.shared, datagram, reason);
            }
            (Verdict::Consumed, _) => return self.out.spare.push(datagram.frame.take()),
            (Verdict::Punt, _) => return self.punt(datagram),
            (_, None) => return self.out.drop(datagram.frame.take(), DropReason::NoPath),
        };
        let others = routes.len().saturating_sub(1);
        let mut routes = routes.iter();
        let mut copies = 0;
        for route in routes.by_ref().take(others) {
            if let Some(copy) = self.out.copy(datagram, io) {
                let sent = self.out.send(&self.shared, route, copy, kind);
                copies += usize::from(sent.is_ok());
            }
        }
        let Some(last) = routes.next() else {
            return self
                .out
                .refuse(&self.shared, datagram, DropReason::NoEgress);
        };
        let flow = datagram.flow;
        let mut datagram = datagram.take();
        datagram.hops = datagram.hops.saturating_add(1);
        let sent = self.out.send(&self.shared, last, datagram, kind);
        // What somebody was sent has passed, whoever else was not.
        if let (Err(reason), 0) = (sent, copies) {
            self.out.count_refusal(&self.shared, flow, reason);
        }
    }

    /// Copies a datagram to the mg thread.
    #[cold]
    fn punt(&mut self, datagram: &mut Datagram) {
        let generation = self.flows[datagram.flow.index()].generation;
        if handoff::hand_over(&mut self.peers.punts, datagram, generation) {
            self.reports.pushed = true;
            self.out.spare.push(datagram.frame.take());
        } else {
            self.out
                .refuse(&self.shared, datagram, DropReason::PuntFull);
        }
    }

    /// Sends something of the mg thread's from the address of a flow, as it is.
    fn transmit_one(
        &mut self,
        now: Instant,
        flow: FlowId,
        generation: u32,
        (to, marking): (Target, Marking),
        payload: &[u8],
        io: &mut dyn PacketIo,
    ) {
        if self.generation(flow) != Some(generation) {
            return self.out.drops.count(DropReason::StaleFlow);
        }
        let Some(local) = self.shared.addresses.local(flow) else {
            return self.out.drops.count(DropReason::NoEgress);
        };
        let Some(mut frame) = self.out.take_frame(io) else {
            return;
        };
        if !frame.fill(payload) {
            return self.out.drop(frame, DropReason::Truncated);
        }
        let traffic_class = marking.applied_to(0);
        match to {
            Target::Nowhere(reason) => self.out.drop(frame, reason),
            Target::Local(_) if self.out.local.len() >= LOCAL_QUEUE_MAX => {
                self.out.drop(frame, DropReason::LocalQueueFull);
            }
            Target::Local(other) => {
                let datagram = Datagram::new(frame, other, local, now);
                let datagram = datagram.with_traffic_class(traffic_class);
                self.out.local.push_back(datagram);
            }
            Target::Network(destination) => {
                self.out.outgoing.push(Outgoing {
                    frame,
                    local: flow,
                    destination,
                    traffic_class,
                });
                self.transmit(io);
            }
        }
    }

    /// The address that a flow sends from, if it is open and has a path.
    pub(crate) fn sends_from(&self, flow: FlowId) -> Option<SocketAddr> {
        let entry = self.flows.get(flow.index())?;
        entry.path.as_ref()?;
        self.shared.addresses.local(flow)
    }

    /// The number of the present use of a flow.
    pub(crate) fn generation(&self, flow: FlowId) -> Option<u32> {
        let entry = self.flows.get(flow.index())?;
        entry.open.then_some(entry.generation)
    }

    /// A frame to send something in.
    pub(crate) fn take_frame(&mut self, io: &mut dyn PacketIo) -> Option<Frame> {
        self.out.take_frame(io)
    }

    /// Gives frames that nobody uses back to the back-end, when there are many.
    pub(crate) fn free_spare(&mut self, io: &mut dyn PacketIo) {
        if self.out.spare.len() >= SPARE_MAX / 2 {
            io.free(&mut self.out.spare);
        }
    }

    /// A frame was not used.
    pub(crate) fn give_back(&mut self, frame: Frame) {
        self.out.spare.push(frame);
    }

    /// Datagrams that wait for [`Core::transmit`].
    pub(crate) fn outgoing(&self) -> usize {
        self.out.outgoing.len()
    }

    /// Tells the mg thread; false when there is no room.
    pub(crate) fn report(&mut self, report: Report) -> bool {
        self.reports.push(report)
    }

    /// Passes something to the mg thread, and back when there is no room.
    pub(crate) fn post(&mut self, mail: Mail) -> Result<(), Mail> {
        self.reports.post(mail)
    }

    pub(crate) fn transmit(&mut self, io: &mut dyn PacketIo) {
        let forwarded = self.out.outgoing.len() as u64;
        self.shared.workers[usize::from(self.index)]
            .forwarded
            .add(forwarded);
        io.tx_burst(&mut self.out.outgoing, &mut self.out.drops);
    }

    /// Publishes what the turn did, and tells the mg thread when there is something for it.
    fn publish(&mut self, commands: usize, received: usize, delivered: usize) {
        let counters = &self.shared.workers[usize::from(self.index)];
        counters.turns.add(1);
        counters.received.add(received as u64);
        counters.delivered.add(delivered as u64);
        counters.publish_drops(&self.out.drops);
        counters.commands.add_after(commands as u64);
        if std::mem::take(&mut self.reports.pushed) {
            self.shared.reported.signal();
        }
    }
}

fn table(flows: usize) -> Box<[FlowEntry]> {
    let table: Box<[FlowEntry]> = (0..flows).map(|_| FlowEntry::closed()).collect();
    memory::use_huge_pages(&table);
    table
}

/// What leaves a worker's hands: to the network, to our own flows, back to the pool.
struct Out {
    worker: u16,
    local: VecDeque<Datagram>,
    outgoing: Vec<Outgoing>,
    /// Frames of the back-end that are in nobody's use; at most [`SPARE_MAX`].
    spare: Vec<Frame>,
    drops: DropCounts,
    /// Which flows are open, apart from all else about them.
    open: FlowSet,
}

impl Out {
    /// Counts a drop and keeps its frame.
    fn drop(&mut self, frame: Frame, reason: DropReason) {
        self.drops.count(reason);
        self.spare.push(frame);
    }

    /// The same for what came to a flow of this worker.
    #[cold]
    fn refuse(&mut self, shared: &Shared, datagram: &mut Datagram, reason: DropReason) {
        self.count_refusal(shared, datagram.flow, reason);
        self.drop(datagram.frame.take(), reason);
    }

    /// Counts what of a drop is the matter of its flow.
    fn count_refusal(&self, shared: &Shared, flow: FlowId, reason: DropReason) {
        if let Some(refusal) = reason.refusal() {
            shared.refused[flow.index()].count(refusal);
        }
    }

    fn take_frame(&mut self, io: &mut dyn PacketIo) -> Option<Frame> {
        if self.spare.is_empty() {
            io.alloc(&mut self.spare, ALLOC_FRAMES);
        }
        let frame = self.spare.pop();
        if frame.is_none() {
            self.drops.count(DropReason::NoFrame);
        }
        frame
    }

    fn copy(&mut self, datagram: &Datagram, io: &mut dyn PacketIo) -> Option<Datagram> {
        let mut frame = self.take_frame(io)?;
        if !frame.fill(datagram.payload()) {
            self.drop(frame, DropReason::NoFrame);
            return None;
        }
        let mut copy = Datagram::new(frame, datagram.flow, datagram.source, datagram.arrival)
            .with_traffic_class(datagram.traffic_class);
        copy.hops = datagram.hops.saturating_add(1);
        Some(copy)
    }

    /// Sends a datagram to the network by the one way out that the path of its flow has, and counts
    /// it with what the flow receives, or not.
    #[inline]
    fn send_by(&mut self, shared: &Shared, way: Way, tallies: bool, datagram: &mut Datagram) {
        let Way { local, marking, .. } = way;
        if !self.open.contains(local) {
            return self.refuse(shared, datagram, DropReason::NoEgress);
        }
        let octets = datagram.payload().len();
        self.outgoing.push(Outgoing {
            frame: datagram.frame.take(),
            local,
            destination: way.remote,
            traffic_class: marking.applied_to(datagram.traffic_class),
        });
        match tallies {
            true => shared.received[datagram.flow.index()].count_forwarded(octets),
            false => shared.workers[usize::from(self.worker)].count_sent(local, octets),
        }
    }

    /// Sends a datagram by one route, protected as that wants it.
    ///
    /// # Errors
    /// Why it was dropped, which is counted but for what it means to the flow.
    fn send(
        &mut self,
        shared: &Shared,
        (route, sender): (&Route, Option<&Srtp<Sender>>),
        mut datagram: Datagram,
        kind: Kind,
    ) -> Result<(), DropReason> {
        let local = route.local;
        if !self.open.contains(local) {
            self.drop(datagram.frame, DropReason::NoEgress);
            return Err(DropReason::NoEgress);
        }
        let passed = match route.target {
            Target::Nowhere(reason) => Err(reason),
            Target::Local(_) if datagram.hops > HOPS_MAX => Err(DropReason::HopLimit),
            Target::Local(_) if self.local.len() >= LOCAL_QUEUE_MAX => {
                Err(DropReason::LocalQueueFull)
            }
            Target::Network(_) | Target::Local(_) => {
                sender.map_or(Ok(()), |sender| sender.protect(&mut datagram.frame, kind))
            }
        };
        if let Err(reason) = passed {
            self.drop(datagram.frame, reason);
            return Err(reason);
        }
        let octets = datagram.payload().len();
        match route.target {
            Target::Nowhere(reason) => {
                self.drop(datagram.frame, reason);
                return Err(reason);
            }
            Target::Network(destination) => {
                self.outgoing.push(Outgoing {
                    frame: datagram.frame,
                    local,
                    destination,
                    traffic_class: route.marking.applied_to(datagram.traffic_class),
                });
            }
            Target::Local(flow) => {
                let Some(source) = shared.addresses.local(local) else {
                    self.drop(datagram.frame, DropReason::NoEgress);
                    return Err(DropReason::NoEgress);
                };
                (datagram.flow, datagram.source) = (flow, source);
                datagram.traffic_class = route.marking.applied_to(datagram.traffic_class);
                self.local.push_back(datagram);
            }
        }
        shared.workers[usize::from(self.worker)].count_sent(local, octets);
        Ok(())
    }
}

/// Commands taken per turn: a command costs less than a packet.
const COMMANDS_PER_TURN_MAX: usize = 64;

/// Datagrams handled at a time, while what others need is read.
const STEP: usize = 4;

/// How many datagrams before its turn it is read what a datagram needs of its flow.
const AHEAD: usize = 16;

/// Timers looked at per turn.
const TIMERS_PER_TURN_MAX: usize = 64;

/// Bursts received per turn: 1 024 packets at most, after which commands and timers have theirs.
const BURSTS_PER_TURN_MAX: usize = 16;

/// Datagrams sent by the function's work that wait for more, and how long: with a long operation of
/// a codec between each, five of them.
const HELD_MAX: usize = 32;
const HELD_FOR_MAX: Duration = Duration::from_millis(1);

/// Datagrams that wait for delivery in memory.
const LOCAL_QUEUE_MAX: usize = 4 * BURST_MAX;

/// Times a datagram is delivered in memory: a call through both directions of a few anchors, and no
/// loop.
pub(crate) const HOPS_MAX: u8 = 8;

/// Frames taken from the back-end at a time to copy into.
const ALLOC_FRAMES: usize = 16;

/// Frames kept before they are given back. One burst adds at most `BURST_MAX`, and the spare frames
/// are given back before a burst when half of this is reached.
const SPARE_MAX: usize = 4 * BURST_MAX;

/// Most frames of a back-end that can be outside its pool: a burst, its copies, those that wait,
/// those kept.
pub(crate) const FRAMES_IN_FLIGHT_MAX: usize =
    BURST_MAX + BURST_MAX * EGRESSES_MAX + HELD_MAX + LOCAL_QUEUE_MAX + SPARE_MAX;

const _: () = assert!(SPARE_MAX / 2 + BURST_MAX + ALLOC_FRAMES <= SPARE_MAX);
