//! The TrGW's media plane: legs of H.248 streams compiled to paths of flows.

use std::collections::VecDeque;
use std::io;
use std::net::SocketAddr;
use std::sync::Arc;

use base::Instant;
use dataplane::{
    Control, Error, Event, EventFormat, FlowId, Ingress, Latch, Marking, Path, Policing, Punt,
    SourceFilter, Translation,
};
use mg::{
    ContextStream, LegEvents, LegFilter, LegLatch, LegMarking, LegMedia as Carries, LegPolicing,
    LegRtcp, MediaEvent, MediaPlane, OpenError, Statistics,
};

use sdp::dtls::Fingerprint;
use smallvec::SmallVec;

use crate::associations::{Address, Associations, Output, Wanted};
use crate::keys::Keys;
use crate::{
    DtlsCounts, DtlsOutcome, Leg, LegCounts, LegMedia, LegReport, LegTones, Protection, Rtcp,
    compile,
};

/// Executes what media gateways decide, by flows and paths of the runtime. Owned by the mg thread.
///
/// Call [`Trgw::poll_event`] until it returns `None` whenever the descriptor of [`Trgw::control`]
/// is readable, and after commands while [`Trgw::is_behind`]; and [`Trgw::handle_timeout`] when
/// that is due.
pub struct Trgw {
    control: Control,
    /// By half the number of the RTP flow.
    pairs: Box<[Option<Pair>]>,
    pairs_len: usize,
    /// What workers had no room for, in order.
    behind: VecDeque<Late>,
    /// Of legs that have ended; at most [`REPORTS_MAX`].
    reports: VecDeque<LegReport>,
    ended: LegCounts,
    /// `None` where no DTLS is spoken.
    dtls: Option<Associations>,
}

/// A pair of open ports.
#[derive(Debug)]
struct Pair {
    keys: Keys,
    /// As connected last; `None` before.
    carries: Option<Carries>,
    /// Flows of it that are closed, and when the later of them can be opened again.
    closed: u8,
    free_at: Instant,
    is_closing: bool,
}

/// A command that could not be given at once.
enum Late {
    SetPath(FlowId, Box<Path>),
    Close(FlowId),
}

impl Late {
    /// Keys that came meanwhile.
    fn protect(&mut self, flow: FlowId, keys: &Protection) {
        let Late::SetPath(of, path) = self else {
            return;
        };
        if *of == flow {
            path.srtp = keys.receives.clone();
        }
        path.protect(flow, &keys.sends);
    }
}

impl Trgw {
    /// A media plane on a runtime whose workers relay ([`crate::Relay`]).
    pub fn new(control: Control) -> Self {
        let pairs = control.addresses().flows().div_ceil(2);
        Self {
            control,
            pairs: (0..pairs).map(|_| None).collect(),
            pairs_len: 0,
            behind: VecDeque::new(),
            reports: VecDeque::new(),
            ended: LegCounts::default(),
            dtls: None,
        }
    }

    /// The same, with legs whose keys DTLS tells, under this certificate.
    pub fn with_dtls(self, identity: dtls::Identity) -> Self {
        Self {
            dtls: Some(Associations::new(identity)),
            ..self
        }
    }

    /// Handshakes of DTLS so far, and how many go on.
    pub fn dtls(&self) -> (DtlsCounts, usize) {
        let dtls = self.dtls.as_ref();
        dtls.map_or((DtlsCounts::default(), 0), |dtls| {
            (dtls.counts(), dtls.handshakes())
        })
    }

    /// When [`Trgw::handle_timeout`] is due.
    pub fn next_timeout(&self) -> Option<Instant> {
        self.dtls.as_ref()?.next_timeout()
    }

    /// Does what is due.
    pub fn handle_timeout(&mut self, now: Instant) {
        if let Some(dtls) = &mut self.dtls {
            dtls.handle_timeout(now);
            self.follow_dtls();
        }
    }

    /// Has workers woken by [`Trgw::wake_workers`] only ([`Control::defer_wakes`]).
    pub fn defer_wakes(&mut self) {
        self.control.defer_wakes();
    }

    /// Wakes the workers for what was commanded: call it before waiting.
    pub fn wake_workers(&mut self) {
        self.control.wake_workers();
    }

    /// The runtime.
    pub fn control(&self) -> &Control {
        &self.control
    }

    /// The same, for media functions beside the relay.
    pub fn control_mut(&mut self) -> &mut Control {
        &mut self.control
    }

    /// Has a leg end at the media function of one worker. What that sends from the leg's flow,
    /// which is returned, goes to the remote side.
    pub fn terminate(&mut self, leg: &mg::Leg, worker: u16) -> Option<FlowId> {
        let leg = self.leg(leg)?;
        self.close_unused_rtcp(&leg);
        for (flow, path) in compile::terminate(&leg, worker) {
            self.set_path(flow, path);
        }
        Some(leg.flow)
    }

    /// Connects two legs, the formats that come to each translated to those of the other.
    pub fn connect_translated(
        &mut self,
        legs: [&mg::Leg; 2],
        translations: [Arc<[Translation]>; 2],
    ) {
        let legs = legs.into_iter().zip(translations);
        let legs = legs.filter_map(|(leg, translations)| {
            let translations = Some(translations);
            let leg = self.leg(leg)?;
            Some(Leg {
                translations,
                ..leg
            })
        });
        let legs: SmallVec<[Leg; 2]> = legs.collect();
        self.set_paths(&legs, &[]);
    }

    fn set_paths(&mut self, legs: &[Leg], isolated: &[(usize, usize)]) {
        for leg in legs {
            self.close_unused_rtcp(leg);
        }
        // More legs than a path has ways out are more than a TrGW's context has terminations.
        for (flow, path) in compile(legs, isolated).unwrap_or_default() {
            self.set_path(flow, path);
        }
    }

    /// The port after that of the media, where RTCP is not on it.
    fn close_unused_rtcp(&mut self, leg: &Leg) {
        match leg.rtcp {
            Rtcp::Port { .. } => {}
            Rtcp::None | Rtcp::Muxed => self.set_path(rtcp_of(leg.flow), closed_path()),
        }
    }

    /// Pairs of ports that are open or being closed.
    pub fn pairs(&self) -> usize {
        self.pairs_len
    }

    /// True when commands wait for workers: they are repeated by [`Trgw::poll_event`].
    pub fn is_behind(&self) -> bool {
        !self.behind.is_empty() || self.control.is_behind()
    }

    /// The next thing that happened.
    pub fn poll_event(&mut self, now: Instant) -> Option<MediaEvent> {
        let found = loop {
            let Some(event) = self.control.poll_event(now) else {
                self.take_punts(now);
                break None;
            };
            if let Some(event) = self.translate(event) {
                break Some(event);
            }
        };
        self.catch_up();
        found
    }

    /// Takes what workers received of DTLS.
    fn take_punts(&mut self, now: Instant) {
        while let Some(punt) = self.control.poll_punt() {
            let Punt {
                flow,
                worker,
                source: remote,
                payload,
            } = punt;
            if let Some(dtls) = &mut self.dtls {
                let at = Address {
                    flow,
                    worker,
                    remote,
                };
                dtls.handle_datagram(now, at, &payload);
                self.follow_dtls();
            }
        }
    }

    /// Does what follows from DTLS.
    fn follow_dtls(&mut self) {
        while let Some(output) = self.dtls.as_mut().and_then(Associations::poll_output) {
            match output {
                Output::Transmit { at, marking, bytes } => {
                    // What finds no room is sent again as if it had been lost.
                    let _ = self
                        .control
                        .transmit(at.worker, at.flow, at.remote, marking, bytes);
                }
                Output::Keys { flow, keys } => {
                    for late in &mut self.behind {
                        late.protect(flow, &keys);
                    }
                    // A flow that is being closed needs no keys.
                    let _ = self.control.protect(flow, &keys.receives, &keys.sends);
                }
            }
        }
    }

    fn translate(&mut self, event: Event) -> Option<MediaEvent> {
        let (flow, closed_until) = match event {
            Event::FirstPacket { flow, .. }
            | Event::Latched { flow, .. }
            | Event::Tone { flow, .. }
            | Event::Inactive { flow, .. } => (flow, None),
            Event::Closed { flow, free_at } => (flow, Some(free_at)),
        };
        let at = self.control.addresses().local(flow)?;
        // A pair is known by its even port.
        let is_rtp = at.port() % 2 == 0;
        let local = SocketAddr::new(at.ip(), at.port() & !1);
        let rtp = if is_rtp { flow.0 } else { flow.0 - 1 };
        let place = self.pairs.get_mut(rtp as usize / 2)?;
        let pair = place.as_mut()?;
        if let Some(free_at) = closed_until {
            if !pair.is_closing {
                return None;
            }
            pair.closed += 1;
            pair.free_at = pair.free_at.max(free_at);
            let free_at = pair.free_at;
            if pair.closed < 2 {
                return None;
            }
            let carries = pair.carries;
            let dtls = self.dtls.as_mut().and_then(|dtls| {
                dtls.end(FlowId(rtp + 1));
                dtls.end(FlowId(rtp))
            });
            *place = None;
            self.pairs_len -= 1;
            if let Some(carries) = carries {
                self.report(FlowId(rtp), local, carries, dtls);
            }
            return Some(MediaEvent::Closed { local, free_at });
        }
        match event {
            Event::Latched { source, .. } if is_rtp => Some(MediaEvent::Latched { local, source }),
            Event::Inactive { .. } if is_rtp => Some(MediaEvent::Inactive { local }),
            Event::Tone { tone, .. } if is_rtp => Some(match tone.lasted {
                None => MediaEvent::ToneStarted {
                    local,
                    code: tone.code,
                },
                Some(duration) => MediaEvent::ToneEnded {
                    local,
                    code: tone.code,
                    duration,
                },
            }),
            _ => None,
        }
    }

    /// What became of a leg that has ended, once for each that was connected. Those that are not
    /// taken in time are only counted.
    pub fn poll_report(&mut self) -> Option<LegReport> {
        self.reports.pop_front()
    }

    /// The legs that have ended so far.
    pub fn ended(&self) -> LegCounts {
        self.ended
    }

    fn report(
        &mut self,
        rtp: FlowId,
        local: SocketAddr,
        carries: Carries,
        dtls: Option<DtlsOutcome>,
    ) {
        let report = LegReport {
            local,
            stats: self.control.stats(rtp),
            carries,
            dtls,
        };
        self.ended.count(&report);
        if self.reports.len() < REPORTS_MAX {
            self.reports.push_back(report);
        }
    }

    /// Gives the commands that waited.
    fn catch_up(&mut self) {
        while let Some(late) = self.behind.pop_front() {
            let outcome = match &late {
                Late::SetPath(flow, path) => self.control.set_path(*flow, Path::clone(path)),
                Late::Close(flow) => self.control.close_flow(*flow),
            };
            if matches!(outcome, Err(Error::Busy)) {
                self.behind.push_front(late);
                return;
            }
        }
    }

    fn set_path(&mut self, flow: FlowId, path: Path) {
        if self.behind.is_empty() && !self.control.is_busy() {
            // The gateway names only what it has opened, and both families are checked there.
            let _ = self.control.set_path(flow, path);
            return;
        }
        // A path that has not been set yet is replaced: what holds is the last one.
        self.behind
            .retain(|late| !matches!(late, Late::SetPath(other, _) if *other == flow));
        self.behind.push_back(Late::SetPath(flow, Box::new(path)));
    }

    fn close_flow(&mut self, flow: FlowId) {
        self.behind
            .retain(|late| !matches!(late, Late::SetPath(other, _) if *other == flow));
        if !self.behind.is_empty() || matches!(self.control.close_flow(flow), Err(Error::Busy)) {
            self.behind.push_back(Late::Close(flow));
        }
    }

    /// The RTP flow of a pair that is open or being closed; that of its RTCP is the next.
    fn rtp_of(&self, local: SocketAddr) -> Option<FlowId> {
        let flow = self.control.addresses().find(local)?;
        let place = self.pairs.get(flow.0 as usize / 2)?;
        (local.port().is_multiple_of(2) && place.is_some()).then_some(flow)
    }

    fn leg(&mut self, leg: &mg::Leg) -> Option<Leg> {
        let rtp = self.rtp_of(leg.local)?;
        let pair = self.pairs.get_mut(rtp.0 as usize / 2)?.as_mut()?;
        pair.carries = Some(leg.media);
        let of_descriptions = Protection {
            receives: pair.keys.receives(leg.srtp.as_ref()),
            sends: pair.keys.sends(leg.srtp.as_ref()),
        };
        let [srtp, rtcp_srtp] = match (&leg.dtls, &mut self.dtls) {
            (None, None) => [of_descriptions.clone(), of_descriptions],
            (None, Some(dtls)) => {
                for flow in [rtp, rtcp_of(rtp)] {
                    dtls.end(flow);
                }
                [of_descriptions.clone(), of_descriptions]
            }
            (Some(_), None) => [Protection::NO_KEY, Protection::NO_KEY],
            (Some(asked), Some(dtls)) => {
                let workers = self.control.workers().max(1);
                let wanted = |remote| Wanted {
                    dtls: asked.clone(),
                    remote,
                    worker: (rtp.0 as usize / 2 % workers) as u16,
                    marking: marking(leg.marking),
                };
                let rtcp_srtp = match leg.rtcp {
                    LegRtcp::Port { remote } => dtls.want(rtcp_of(rtp), wanted(remote)),
                    LegRtcp::None | LegRtcp::Muxed => {
                        dtls.end(rtcp_of(rtp));
                        Protection::NO_KEY
                    }
                };
                [dtls.want(rtp, wanted(leg.remote)), rtcp_srtp]
            }
        };
        Some(Leg {
            flow: rtp,
            media: match leg.media {
                Carries::Rtp { clock_hz, .. } => LegMedia::Rtp { clock_hz },
                Carries::Udp => LegMedia::Udp,
            },
            remote: leg.remote,
            rtcp: match leg.rtcp {
                LegRtcp::None => Rtcp::None,
                LegRtcp::Muxed => Rtcp::Muxed,
                LegRtcp::Port { remote } => Rtcp::Port {
                    flow: rtcp_of(rtp),
                    remote,
                },
            },
            srtp,
            rtcp_srtp,
            has_dtls: leg.dtls.is_some(),
            mode: leg.mode,
            latch: match leg.latch {
                LegLatch::Off => Latch::Off,
                LegLatch::First(request) => Latch::First { request },
                LegLatch::Again(request) => Latch::Again { request },
            },
            filter: filter(&leg.filter, leg.filter.ports),
            rtcp_filter: filter(&leg.filter, leg.filter.rtcp_ports),
            policing: policing(leg.policing),
            marking: marking(leg.marking),
            inactivity: leg.inactivity,
            report_first_packet: false,
            tones: LegTones {
                detects: leg.detects.map(format),
                sends: leg.sends_events.map(format),
                outward: leg.plays_outward.map(|tone| (tone.number, tone.code)),
                inward: leg.plays_inward.map(|tone| (tone.number, tone.code)),
            },
            translations: None,
        })
    }
}

impl MediaPlane for Trgw {
    fn open(&mut self, now: Instant, local: SocketAddr) -> Result<(), OpenError> {
        if self.rtp_of(local).is_some() || local.port() % 2 == 1 {
            return Err(OpenError::InUse);
        }
        if !self.behind.is_empty() {
            return Err(OpenError::Busy);
        }
        let (rtp, rtcp) = self.control.open_pair(now, local).map_err(refusal)?;
        debug_assert_eq!(rtcp, rtcp_of(rtp));
        if let Some(place) = self.pairs.get_mut(rtp.0 as usize / 2) {
            self.pairs_len += 1;
            *place = Some(Pair {
                keys: Keys::default(),
                carries: None,
                closed: 0,
                free_at: now,
                is_closing: false,
            });
        }
        Ok(())
    }

    fn close(&mut self, local: SocketAddr) {
        let Some(rtp) = self.rtp_of(local) else {
            return;
        };
        let pair = self.pairs.get_mut(rtp.0 as usize / 2);
        let Some(pair) = pair.and_then(Option::as_mut) else {
            return;
        };
        if std::mem::replace(&mut pair.is_closing, true) {
            return;
        }
        for flow in [rtp, rtcp_of(rtp)] {
            self.close_flow(flow);
        }
    }

    fn connect(&mut self, _: ContextStream, legs: &[mg::Leg], isolated: &[(usize, usize)]) {
        let compiled: SmallVec<[Leg; 2]> = legs.iter().filter_map(|leg| self.leg(leg)).collect();
        // The gateway names only what it has opened, or the pairs would mean others.
        debug_assert_eq!(compiled.len(), legs.len());
        self.set_paths(&compiled, isolated);
    }

    fn fingerprint(&self) -> Option<Fingerprint> {
        Some(self.dtls.as_ref()?.fingerprint())
    }

    fn statistics(&self, local: SocketAddr) -> Statistics {
        let Some(rtp) = self.rtp_of(local) else {
            return Statistics::default();
        };
        let stats = self.control.stats(rtp);
        let pair = self.pairs.get(rtp.0 as usize / 2).and_then(Option::as_ref);
        let score = pair.and_then(|pair| pair.carries).and_then(|carries| {
            let report = LegReport {
                local,
                stats,
                carries,
                dtls: None,
            };
            report.score()
        });
        Statistics {
            packets_sent: stats.packets_sent,
            packets_received: stats.packets_received,
            octets_sent: stats.octets_sent,
            octets_received: stats.octets_received,
            packets_expected: stats.reception.expected,
            packets_lost: stats.reception.lost,
            jitter_ticks: stats.reception.jitter_ticks,
            last_arrival: stats.last_arrival,
            score,
        }
    }
}

// A context has no more legs than a path has ways out.
const _: () = assert!(mg::TRGW.terminations_per_context_max <= dataplane::EGRESSES_MAX + 1);

/// Reports that wait to be taken.
const REPORTS_MAX: usize = 4096;

/// The flow of RTCP: the next port's.
fn rtcp_of(rtp: FlowId) -> FlowId {
    FlowId(rtp.0 + 1)
}

/// What holds for the RTCP port of a stream whose RTCP does not use it.
fn closed_path() -> Path {
    Path::new(Ingress {
        receiving: false,
        media: dataplane::Media::Rtcp,
        ..Ingress::default()
    })
}

fn marking(marking: LegMarking) -> Marking {
    match marking {
        LegMarking::Dscp(dscp) => Marking::Dscp(dscp),
        LegMarking::Keep => Marking::Keep,
    }
}

fn format(events: LegEvents) -> EventFormat {
    EventFormat {
        payload_type: events.payload_type,
        clock_hz: events.clock_hz,
    }
}

fn filter(filter: &LegFilter, ports: Option<(u16, u16)>) -> SourceFilter {
    let mut compiled = SourceFilter::ANY;
    if let Some((network, bits)) = filter.network {
        compiled = compiled.network(network, bits);
    }
    if let Some((first, last)) = ports {
        compiled = compiled.ports(first..=last);
    }
    compiled
}

fn policing(policing: LegPolicing) -> Policing {
    let mut compiled = Policing::OFF;
    if let Some((rate, tolerance)) = policing.peak {
        compiled = compiled.with_peak(rate, tolerance);
    }
    if let Some((rate, burst)) = policing.sustained {
        compiled = compiled.with_sustained(rate, burst);
    }
    compiled
}

fn refusal(error: Error) -> OpenError {
    match error {
        Error::Busy => OpenError::Busy,
        Error::InUse | Error::Resting { .. } => OpenError::InUse,
        Error::Io(fault) if fault.kind() == io::ErrorKind::AddrInUse => OpenError::InUse,
        _ => OpenError::Exhausted,
    }
}
