//! The mg thread's hold on the workers.

use crate::counters::{ReceiveCounters, WorkerCounters};
use crate::handoff::{self, Parcel, Punt};
use crate::path::{Compiled, EGRESSES_MAX, Target};
use crate::worker::Shared;
use crate::{
    DetectedTone, DropReason, Egress, Endpoint, Endpoints, FlowId, FlowStats, Latch,
    LocalAddresses, Mail, Marking, PAYLOAD_BYTES_MAX, Path, Reception, Refusal, Remote, Srtp,
    WorkerStats,
};
use base::Instant;
use rtrb::{Consumer, Producer, PushError};
use smallvec::SmallVec;
use srtp::{Receiver, Sender};
use std::collections::VecDeque;
use std::io;
use std::net::SocketAddr;
use std::os::fd::{AsFd, BorrowedFd};
use std::sync::Arc;
use std::sync::atomic::{Ordering, fence};
use std::time::Duration;

/// Opens and closes flows, sets their paths, reads their counters. One per process, owned by the mg
/// thread.
///
/// Commands take effect in the order given, at each worker within one of its turns. None blocks:
/// when a worker is behind with its commands, they answer [`Error::Busy`], change nothing and can
/// be repeated after [`Control::poll_event`]. Call that until it returns `None` whenever the
/// descriptor of [`AsFd`] is readable. Dropping the control ends the workers.
pub struct Control {
    shared: Arc<Shared>,
    endpoints: Box<dyn Endpoints>,
    workers: Vec<WorkerHandle>,
    flows: Box<[Record]>,
    rest: Duration,
    events: VecDeque<Event>,
    /// What came from media functions, with the worker's number.
    mail: VecDeque<(u16, Mail)>,
    /// Flows whose path has to be published again, since a remote address changed or an egress
    /// closed.
    outdated: VecDeque<FlowId>,
    /// Workers that wait are woken by [`Control::wake_workers`] only.
    wakes_deferred: bool,
    /// Commands were given since.
    wakes_due: bool,
}

/// What happened at the workers.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Event {
    /// The first packet of the flow was admitted; asked for by
    /// [`crate::Ingress::report_first_packet`].
    FirstPacket {
        /// The flow.
        flow: FlowId,
        /// Who sent it.
        source: SocketAddr,
    },
    /// The flow latched to a source (H.248.37). Paths that send to it have been published anew.
    Latched {
        /// The flow.
        flow: FlowId,
        /// The remote address from now on.
        source: SocketAddr,
    },
    /// A telephone event began or ended; asked for by [`crate::Tones::detects`].
    Tone {
        /// The flow.
        flow: FlowId,
        /// Which, and how long it lasted.
        tone: DetectedTone,
    },
    /// No packet was admitted for the time asked for by [`crate::Ingress::inactivity`]. Reported
    /// once per silence.
    Inactive {
        /// The flow.
        flow: FlowId,
        /// When the silence began.
        since: Instant,
    },
    /// All workers have let go of a flow that was to be closed. The port rests; its socket is
    /// closed, or kept for the next use.
    Closed {
        /// The flow.
        flow: FlowId,
        /// When it can be opened again.
        free_at: Instant,
    },
}

/// Why a command was refused.
#[derive(Debug)]
#[non_exhaustive]
pub enum Error {
    /// A worker is behind with its commands: repeat later. Nothing was changed.
    Busy,
    /// The address and port are none of ours.
    UnknownAddress,
    /// The flow is not open.
    NotOpen,
    /// The flow is open already, or not yet closed.
    InUse,
    /// The port was closed a short time ago.
    Resting {
        /// When it can be opened.
        until: Instant,
    },
    /// The remote address of an egress is of another family than its local one.
    FamilyMismatch,
    /// The arguments contradict each other.
    Misuse,
    /// The system refuses.
    Io(io::Error),
}

impl std::fmt::Display for Error {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Error::Busy => f.write_str("a worker is behind with its commands"),
            Error::UnknownAddress => f.write_str("not a local address and port"),
            Error::NotOpen => f.write_str("the flow is not open"),
            Error::InUse => f.write_str("the port is in use"),
            Error::Resting { .. } => f.write_str("the port was closed a short time ago"),
            Error::FamilyMismatch => f.write_str("local and remote address differ in family"),
            Error::Misuse => f.write_str("the arguments contradict each other"),
            Error::Io(error) => error.fmt(f),
        }
    }
}

impl std::error::Error for Error {}

/// From the mg thread to a worker.
pub(crate) enum Command {
    Open {
        flow: FlowId,
        generation: u32,
        endpoint: Endpoint,
    },
    SetPath {
        flow: FlowId,
        generation: u32,
        path: Arc<Compiled>,
    },
    Close {
        flow: FlowId,
        generation: u32,
        /// The endpoint stays for the next use.
        keep: bool,
    },
    /// For the media function of one worker.
    Mail(Mail),
    /// Something to send, by one worker.
    Transmit {
        flow: FlowId,
        generation: u32,
        to: (Target, Marking),
        payload: Box<[u8]>,
    },
}

/// From a worker to the mg thread. Values that hold memory or descriptors come back here to be
/// dropped.
pub(crate) enum Report {
    FirstPacket {
        flow: FlowId,
        generation: u32,
        source: SocketAddr,
    },
    Latched {
        flow: FlowId,
        generation: u32,
        request: u32,
        source: SocketAddr,
    },
    Tone {
        flow: FlowId,
        generation: u32,
        tone: DetectedTone,
    },
    Inactive {
        flow: FlowId,
        generation: u32,
        since: Instant,
    },
    Returned(Arc<Compiled>),
    /// What [`Command::Transmit`] held.
    Sent(Box<[u8]>),
    Mail(Mail),
    Closed {
        flow: FlowId,
        generation: u32,
        endpoint: Option<Endpoint>,
        path: Option<Arc<Compiled>>,
    },
}

pub(crate) struct WorkerHandle {
    commands: Producer<Command>,
    reports: Consumer<Report>,
    punts: Consumer<Parcel>,
    sent: u64,
}

impl WorkerHandle {
    pub(crate) fn new(
        commands: Producer<Command>,
        reports: Consumer<Report>,
        punts: Consumer<Parcel>,
    ) -> Self {
        Self {
            commands,
            reports,
            punts,
            sent: 0,
        }
    }
}

/// What the mg thread knows of one flow.
struct Record {
    generation: u32,
    state: State,
    path: Option<Path>,
    latched: Option<SocketAddr>,
    /// Flows with a path that leads out by this one's port.
    feeders: SmallVec<[FlowId; 2]>,
    /// Flows whose path led out by this one's port, and whose worker may still count so.
    former: SmallVec<[FlowId; 2]>,
    /// Packets and octets sent from the port in earlier uses.
    sent_before: (u64, u64),
    /// It is among [`Control::outdated`].
    outdated: bool,
}

enum State {
    Closed { free_at: Instant },
    Open,
    Closing { workers_left: usize },
}

impl Control {
    pub(crate) fn new(
        shared: Arc<Shared>,
        endpoints: Box<dyn Endpoints>,
        workers: Vec<WorkerHandle>,
        rest: Duration,
    ) -> Self {
        let record = |_| Record {
            generation: 0,
            state: State::Closed {
                free_at: Instant::ZERO,
            },
            path: None,
            latched: None,
            feeders: SmallVec::new(),
            former: SmallVec::new(),
            sent_before: (0, 0),
            outdated: false,
        };
        let flows = (0..shared.addresses.flows()).map(record).collect();
        Self {
            shared,
            endpoints,
            workers,
            flows,
            rest,
            events: VecDeque::new(),
            mail: VecDeque::new(),
            outdated: VecDeque::new(),
            wakes_deferred: false,
            wakes_due: false,
        }
    }

    /// From now on a worker that waits learns of commands by [`Control::wake_workers`] only: once
    /// for all that belong together, since waking costs more than most commands.
    pub fn defer_wakes(&mut self) {
        self.wakes_deferred = true;
    }

    /// Wakes the workers for the commands given since the last time. Paths that led out by what
    /// was closed are published before, unless they were closed or set anew themselves meanwhile.
    pub fn wake_workers(&mut self) {
        self.publish_outdated();
        if std::mem::take(&mut self.wakes_due) {
            for sleeper in &self.shared.sleepers {
                sleeper.wake();
            }
        }
    }

    /// The local addresses and their flows.
    pub fn addresses(&self) -> &LocalAddresses {
        &self.shared.addresses
    }

    /// Opens a local address and port. Without a path, what comes there is dropped.
    ///
    /// # Errors
    /// `UnknownAddress`, `InUse`, `Resting`, `Busy`, or `Io` when the system does not give the
    /// port.
    pub fn open_flow(&mut self, now: Instant, local: SocketAddr) -> Result<FlowId, Error> {
        let flow = self
            .shared
            .addresses
            .find(local)
            .ok_or(Error::UnknownAddress)?;
        match self.flows[flow.index()].state {
            State::Closed { free_at } if free_at > now => {
                return Err(Error::Resting { until: free_at });
            }
            State::Closed { .. } => {}
            State::Open | State::Closing { .. } => return Err(Error::InUse),
        }
        self.reserve(1)?;
        let endpoint = self.endpoints.open(flow, local).map_err(Error::Io)?;
        // Nobody writes the counters of a closed flow.
        self.shared.received[flow.index()].reset();
        self.shared.refused[flow.index()].reset();
        let sent = self.sent(flow);
        let record = &mut self.flows[flow.index()];
        record.sent_before = sent;
        record.generation = record.generation.wrapping_add(1);
        let generation = record.generation;
        record.state = State::Open;
        self.shared.claims.open(flow, generation);
        self.publish(|| Command::Open {
            flow,
            generation,
            endpoint: endpoint.clone(),
        });
        Ok(flow)
    }

    /// Opens `local` for RTP and the next port for its RTCP (RFC 3550 11), both or none.
    ///
    /// # Errors
    /// As [`Control::open_flow`]; `Misuse` for the port 65 535.
    pub fn open_pair(
        &mut self,
        now: Instant,
        local: SocketAddr,
    ) -> Result<(FlowId, FlowId), Error> {
        let next = local.port().checked_add(1).ok_or(Error::Misuse)?;
        self.reserve(3)?;
        let rtp = self.open_flow(now, local)?;
        match self.open_flow(now, SocketAddr::new(local.ip(), next)) {
            Ok(rtcp) => Ok((rtp, rtcp)),
            Err(error) => {
                // Room for this command was reserved above.
                let _ = self.close_flow(rtp);
                Err(error)
            }
        }
    }

    /// Sets the path of an open flow, in place of the one before.
    ///
    /// # Errors
    /// `NotOpen` for the flow or the local side of an egress, `FamilyMismatch`, `Busy`; `Misuse`
    /// for a worker that there is not.
    pub fn set_path(&mut self, flow: FlowId, path: Path) -> Result<(), Error> {
        self.open_record(flow)?;
        if path
            .worker()
            .is_some_and(|worker| usize::from(worker) >= self.workers.len())
        {
            return Err(Error::Misuse);
        }
        for egress in path.egresses().iter().chain(path.rtcp_egresses()) {
            self.open_record(egress.local())?;
            let local = self.shared.addresses.local(egress.local());
            if let (Some(local), Remote::Fixed(remote)) = (local, egress.remote())
                && local.is_ipv4() != remote.is_ipv4()
            {
                return Err(Error::FamilyMismatch);
            }
        }
        // Nothing new for the workers: one command of H.248 says again most of what earlier ones
        // said.
        if self.flows[flow.index()].path.as_ref() == Some(&path) {
            return Ok(());
        }
        self.reserve(1)?;
        self.unlink(flow);
        for egress in path.egresses().iter().chain(path.rtcp_egresses()) {
            let feeders = &mut self.flows[egress.local().index()].feeders;
            if !feeders.contains(&flow) {
                feeders.push(flow);
            }
        }
        let keeps_marks = path.keeps_marks();
        if let Some(worker) = path.worker() {
            let generation = self.flows[flow.index()].generation;
            self.shared.claims.assign(flow, generation, worker);
        }
        let record = &mut self.flows[flow.index()];
        let before = record.path.replace(path);
        let kept_marks = before.as_ref().is_some_and(Path::keeps_marks);
        if kept_marks != keeps_marks {
            self.endpoints.tell_marks(flow, keeps_marks);
        }
        // A new demand to latch forgets the address; relatching keeps it until another comes.
        let latch = record
            .path
            .as_ref()
            .map_or(Latch::Off, |path| path.ingress.latch);
        let changed = before.is_none_or(|before| before.ingress.latch != latch);
        if changed && !matches!(latch, Latch::Again { .. }) && record.latched.take().is_some() {
            self.outdate_feeders(flow);
        }
        self.publish_path(flow);
        self.follow_up();
        Ok(())
    }

    /// How many workers there are.
    pub fn workers(&self) -> usize {
        self.workers.len()
    }

    /// Passes something to the media function of one worker ([`crate::Function::handle_mail`]), in
    /// order with all other commands.
    ///
    /// # Errors
    /// The thing itself when the worker is behind with its commands, or is none.
    pub fn send(&mut self, worker: u16, mail: Mail) -> Result<(), Mail> {
        let index = usize::from(worker);
        let Some(handle) = self.workers.get_mut(index) else {
            return Err(mail);
        };
        match handle.commands.push(Command::Mail(mail)) {
            Ok(()) => handle.sent += 1,
            Err(PushError::Full(Command::Mail(mail))) => return Err(mail),
            Err(PushError::Full(_)) => return Ok(()),
        }
        match self.wakes_deferred {
            true => self.wakes_due = true,
            false => self.shared.sleepers[index].wake(),
        }
        Ok(())
    }

    /// Sends a datagram from the address of an open flow, as it is, by one worker: the one that
    /// received what it answers, so that a network card's queue sees both directions.
    ///
    /// # Errors
    /// `NotOpen`; `FamilyMismatch`; `Busy` when the worker is behind with its commands; `Misuse`
    /// for a worker that there is not, or more than [`PAYLOAD_BYTES_MAX`] octets.
    pub fn transmit(
        &mut self,
        worker: u16,
        flow: FlowId,
        to: SocketAddr,
        marking: Marking,
        payload: Box<[u8]>,
    ) -> Result<(), Error> {
        let generation = self.open_record(flow)?.generation;
        let local = self.shared.addresses.local(flow).ok_or(Error::NotOpen)?;
        if local.is_ipv4() != to.is_ipv4() {
            return Err(Error::FamilyMismatch);
        }
        let index = usize::from(worker);
        let handle = self.workers.get_mut(index).ok_or(Error::Misuse)?;
        if payload.len() > PAYLOAD_BYTES_MAX {
            return Err(Error::Misuse);
        }
        let target = match self.shared.addresses.find(to) {
            Some(flow) => Target::Local(flow),
            None => Target::Network(to),
        };
        let command = Command::Transmit {
            flow,
            generation,
            to: (target, marking),
            payload,
        };
        handle.commands.push(command).map_err(|_| Error::Busy)?;
        handle.sent += 1;
        match self.wakes_deferred {
            true => self.wakes_due = true,
            false => self.shared.sleepers[index].wake(),
        }
        Ok(())
    }

    /// The next datagram that a media function passed on ([`crate::Verdict::Punt`]). Asked until
    /// there is none whenever [`Control::poll_event`] is.
    pub fn poll_punt(&mut self) -> Option<Punt> {
        for worker in 0..self.workers.len() {
            loop {
                let mut taken = None;
                let ring = &mut self.workers[worker].punts;
                let any = handoff::receive(ring, |parcel| {
                    taken = Some((parcel.generation, parcel.unpack_punt(worker as u16)));
                    true
                });
                match taken {
                    Some((generation, punt)) if self.is_current(punt.flow, generation) => {
                        return Some(punt);
                    }
                    _ if any => {}
                    _ => break,
                }
            }
        }
        None
    }

    /// Has what comes to an open flow opened with the one, and what leaves by its address protected
    /// with the other, by the paths there are.
    ///
    /// # Errors
    /// `NotOpen`.
    pub fn protect(
        &mut self,
        flow: FlowId,
        receives: &Srtp<Receiver>,
        sends: &Srtp<Sender>,
    ) -> Result<(), Error> {
        self.open_record(flow)?;
        let record = &mut self.flows[flow.index()];
        let mut changed: SmallVec<[FlowId; 4]> = SmallVec::new();
        if let Some(path) = record.path.as_mut().filter(|path| path.srtp != *receives) {
            path.srtp = receives.clone();
            changed.push(flow);
        }
        for feeder in record.feeders.clone() {
            let path = self.flows[feeder.index()].path.as_mut();
            if path.is_some_and(|path| path.protect(flow, sends)) {
                changed.push(feeder);
            }
        }
        for flow in changed {
            self.outdate(flow);
        }
        self.follow_up();
        Ok(())
    }

    /// What media functions passed, each with its worker, as far as [`Control::poll_event`] has
    /// come across it.
    pub fn poll_mail(&mut self) -> Option<(u16, Mail)> {
        self.mail.pop_front()
    }

    /// Closes a flow. Paths that lead out by its port lead there no more. [`Event::Closed`] tells
    /// the end of it.
    ///
    /// # Errors
    /// `NotOpen`, `Busy`.
    pub fn close_flow(&mut self, flow: FlowId) -> Result<(), Error> {
        let generation = self.open_record(flow)?.generation;
        self.reserve(1)?;
        self.unlink(flow);
        let workers_left = self.workers.len();
        let record = &mut self.flows[flow.index()];
        record.state = State::Closing { workers_left };
        if record.path.as_ref().is_some_and(Path::keeps_marks) {
            self.endpoints.tell_marks(flow, false);
        }
        let keep = self.endpoints.stop(flow);
        record.path = None;
        record.latched = None;
        self.outdate_feeders(flow);
        self.shared.claims.close(flow, generation);
        self.publish(|| Command::Close {
            flow,
            generation,
            keep,
        });
        self.follow_up();
        Ok(())
    }

    /// Counters of a flow since it was opened; zero for one that never was. They may be read after
    /// it was closed, until it is opened again.
    pub fn stats(&self, flow: FlowId) -> FlowStats {
        let Some(received) = self.shared.received.get(flow.index()) else {
            return FlowStats::default();
        };
        let sent = self.sent(flow);
        let before = self.flows[flow.index()].sent_before;
        let last_arrival = received.last_arrival.read();
        FlowStats {
            packets_received: received.packets.read(),
            octets_received: received.octets.read(),
            packets_sent: sent.0.saturating_sub(before.0),
            octets_sent: sent.1.saturating_sub(before.1),
            last_arrival: (last_arrival > 0).then(|| Instant::from_nanos(last_arrival)),
            refused: Refusal::ALL.map(|refusal| self.shared.refused[flow.index()].of(refusal)),
            reception: Reception {
                expected: received.expected.read().into(),
                lost: received.lost.read().into(),
                gaps: received.gaps.read().into(),
                jitter_ticks: received.jitter_ticks.read(),
            },
        }
    }

    /// Packets and octets ever sent from a flow's port: by what each worker has counted for it, and
    /// by what is still counted with the flows that lead out there.
    fn sent(&self, flow: FlowId) -> (u64, u64) {
        let record = &self.flows[flow.index()];
        let former = record.former.iter();
        let former = former.filter(|former| !record.feeders.contains(former));
        let feeders = record.feeders.iter().chain(former);
        let feeders = feeders.map(|feeder| &self.shared.received[feeder.index()]);
        let versions = || feeders.clone().map(ReceiveCounters::version);
        let mut sum = (0, 0);
        // A worker settles what is counted in no time; that it does so again and again in the
        // meantime is not to be expected.
        for _ in 0..SETTLING_READS_MAX {
            let before: SmallVec<[u32; 4]> = versions().collect();
            let settled = self.shared.workers.iter();
            let settled = settled.map(|worker| worker.sent(flow).read());
            let counted = feeders.clone().map(|feeder| feeder.forwarded_by(flow));
            sum = settled
                .chain(counted)
                .fold((0, 0), |sum, more| (sum.0 + more.0, sum.1 + more.1));
            fence(Ordering::Acquire);
            if before.iter().all(|version| version % 2 == 0) && versions().eq(before) {
                break;
            }
            std::hint::spin_loop();
        }
        sum
    }

    /// What a flow has latched to.
    pub fn latched(&self, flow: FlowId) -> Option<SocketAddr> {
        self.flows.get(flow.index())?.latched
    }

    /// Endpoints that the back-end keeps for ports that are closed, as a kernel socket each.
    pub fn endpoints_kept(&self) -> usize {
        self.endpoints.kept()
    }

    /// Counters of each worker.
    pub fn worker_stats(&self) -> impl Iterator<Item = WorkerStats> + '_ {
        self.shared.workers.iter().map(WorkerCounters::stats)
    }

    /// True when so many commands more will not answer [`Error::Busy`]: asked before a transaction
    /// of several, which is then done whole. A close or a new demand to latch takes one more for
    /// each path that leads out by the flow, but these wait by themselves.
    pub fn has_room(&self, commands: usize) -> bool {
        self.outdated.is_empty() && self.reserve(commands).is_ok()
    }

    /// True when paths wait to be published anew, which [`Control::poll_event`] does.
    pub fn is_behind(&self) -> bool {
        !self.outdated.is_empty()
    }

    /// True when a worker has no room for another command.
    pub fn is_busy(&self) -> bool {
        self.reserve(1).is_err()
    }

    /// True when the workers have done every command so far.
    pub fn is_settled(&self) -> bool {
        let done = |(handle, worker): (&WorkerHandle, &WorkerCounters)| {
            worker.commands.read_after() == handle.sent
        };
        self.outdated.is_empty() && self.workers.iter().zip(&self.shared.workers).all(done)
    }

    /// The next thing that happened.
    pub fn poll_event(&mut self, now: Instant) -> Option<Event> {
        if let Some(event) = self.events.pop_front() {
            return Some(event);
        }
        self.shared.reported.clear();
        for worker in 0..self.workers.len() {
            while let Ok(report) = self.workers[worker].reports.pop() {
                self.handle_report(now, worker as u16, report);
            }
        }
        self.publish_outdated();
        self.events.pop_front()
    }

    fn handle_report(&mut self, now: Instant, worker: u16, report: Report) {
        match report {
            Report::FirstPacket {
                flow,
                generation,
                source,
            } => {
                if self.is_current(flow, generation) {
                    self.events.push_back(Event::FirstPacket { flow, source });
                }
            }
            Report::Latched {
                flow,
                generation,
                request,
                source,
            } => {
                // What answers an earlier demand says nothing about this one.
                if self.is_current(flow, generation) && self.latch_request(flow) == Some(request) {
                    self.flows[flow.index()].latched = Some(source);
                    self.outdate_feeders(flow);
                    self.events.push_back(Event::Latched { flow, source });
                }
            }
            Report::Tone {
                flow,
                generation,
                tone,
            } => {
                if self.is_current(flow, generation) {
                    self.events.push_back(Event::Tone { flow, tone });
                }
            }
            Report::Inactive {
                flow,
                generation,
                since,
            } => {
                if self.is_current(flow, generation) {
                    self.events.push_back(Event::Inactive { flow, since });
                }
            }
            Report::Returned(path) => drop(path),
            Report::Sent(payload) => drop(payload),
            Report::Mail(mail) => self.mail.push_back((worker, mail)),
            Report::Closed {
                flow,
                generation,
                endpoint,
                path,
            } => {
                drop((endpoint, path));
                self.handle_closed(now, flow, generation);
            }
        }
    }

    fn handle_closed(&mut self, now: Instant, flow: FlowId, generation: u32) {
        let record = &mut self.flows[flow.index()];
        let State::Closing { workers_left } = &mut record.state else {
            return;
        };
        if record.generation != generation {
            return;
        }
        *workers_left -= 1;
        if *workers_left == 0 {
            let free_at = now + self.rest;
            record.state = State::Closed { free_at };
            self.events.push_back(Event::Closed { flow, free_at });
        }
    }

    fn is_current(&self, flow: FlowId, generation: u32) -> bool {
        let record = &self.flows[flow.index()];
        record.generation == generation && matches!(record.state, State::Open)
    }

    fn open_record(&self, flow: FlowId) -> Result<&Record, Error> {
        let record = self.flows.get(flow.index()).ok_or(Error::NotOpen)?;
        match record.state {
            State::Open => Ok(record),
            State::Closed { .. } | State::Closing { .. } => Err(Error::NotOpen),
        }
    }

    /// Takes the flow off the feeders of those its path leads out by.
    fn unlink(&mut self, flow: FlowId) {
        let Some(path) = &self.flows[flow.index()].path else {
            return;
        };
        let mut locals: SmallVec<[FlowId; 2 * EGRESSES_MAX]> = SmallVec::new();
        let egresses = path.egresses().iter().chain(path.rtcp_egresses());
        locals.extend(egresses.map(Egress::local));
        for local in locals {
            let record = &mut self.flows[local.index()];
            record.feeders.retain(|feeder| *feeder != flow);
            // Who counts elsewhere by now is forgotten, so that these are never more than flows.
            let received = &self.shared.received;
            record
                .former
                .retain(|former| *former != flow && received[former.index()].leads_by(local));
            record.former.push(flow);
        }
    }

    fn latch_request(&self, flow: FlowId) -> Option<u32> {
        self.flows[flow.index()]
            .path
            .as_ref()?
            .ingress
            .latch
            .request()
    }

    /// Notes that the paths leading out by this flow's port have to be published again.
    fn outdate_feeders(&mut self, flow: FlowId) {
        for index in 0..self.flows[flow.index()].feeders.len() {
            let feeder = self.flows[flow.index()].feeders[index];
            self.outdate(feeder);
        }
    }

    fn outdate(&mut self, flow: FlowId) {
        let noted = std::mem::replace(&mut self.flows[flow.index()].outdated, true);
        if !noted {
            self.outdated.push_back(flow);
        }
    }

    fn target(&self, local: FlowId, remote: Remote) -> Target {
        let Ok(record) = self.open_record(local) else {
            return Target::Nowhere(DropReason::NoEgress);
        };
        let remote = match remote {
            Remote::Fixed(remote) => Some(remote),
            Remote::Latched => record.latched,
        };
        match remote {
            None => Target::Nowhere(DropReason::NotLatched),
            Some(remote) => match self.shared.addresses.find(remote) {
                Some(flow) => Target::Local(flow),
                None => Target::Network(remote),
            },
        }
    }

    fn publish_path(&mut self, flow: FlowId) {
        let record = &self.flows[flow.index()];
        let Some(path) = &record.path else {
            return;
        };
        let generation = record.generation;
        let resolve = |egress: &Egress| self.target(egress.local(), egress.remote());
        let path = Arc::new(Compiled::new(path, resolve));
        self.publish(|| Command::SetPath {
            flow,
            generation,
            path: Arc::clone(&path),
        });
    }

    /// Publishes outdated paths, at once or with all else that the workers are woken for.
    fn follow_up(&mut self) {
        if !self.wakes_deferred {
            self.publish_outdated();
        }
    }

    fn publish_outdated(&mut self) {
        while !self.outdated.is_empty() && self.reserve(1).is_ok() {
            if let Some(flow) = self.outdated.pop_front() {
                self.flows[flow.index()].outdated = false;
                self.publish_path(flow);
            }
        }
    }

    /// Makes sure that so many commands find room at every worker.
    fn reserve(&self, commands: usize) -> Result<(), Error> {
        let mut workers = self.workers.iter();
        let room = workers.all(|worker| worker.commands.slots() >= commands);
        if room { Ok(()) } else { Err(Error::Busy) }
    }

    /// Gives a command to each worker; room was reserved.
    fn publish(&mut self, command: impl Fn() -> Command) {
        for (worker, sleeper) in self.workers.iter_mut().zip(&self.shared.sleepers) {
            let pushed = worker.commands.push(command()).is_ok();
            debug_assert!(pushed, "room was reserved");
            worker.sent += 1;
            if !self.wakes_deferred {
                sleeper.wake();
            }
        }
        self.wakes_due |= self.wakes_deferred;
    }
}

impl AsFd for Control {
    /// Readable when [`Control::poll_event`] has something to do.
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.shared.reported.as_fd()
    }
}

impl Drop for Control {
    fn drop(&mut self) {
        self.shared.stopping.store(true, Ordering::SeqCst);
        for sleeper in &self.shared.sleepers {
            sleeper.wake();
        }
    }
}

/// Readings of what is being settled meanwhile; the last one counts.
const SETTLING_READS_MAX: usize = 64;
