//! The TrGW's media plane: legs of H.248 streams compiled to paths of flows.

use std::collections::{HashMap, VecDeque};
use std::io;
use std::net::SocketAddr;

use base::Instant;
use dataplane::{Control, Error, Event, FlowId, Ingress, Latch, Path, SourceFilter};
use mg::{
    LegFilter, LegLatch, LegMedia as Carries, LegRtcp, MediaEvent, MediaPlane, OpenError,
    Statistics,
};

use crate::{Leg, LegMedia, Rtcp, compile};

/// Executes what media gateways decide, by flows and paths of the runtime. Owned by the mg thread.
///
/// Call [`Trgw::poll_event`] until it returns `None` whenever the descriptor of [`Trgw::control`]
/// is readable, and after commands while [`Trgw::is_behind`].
pub struct Trgw {
    control: Control,
    pairs: HashMap<SocketAddr, Pair>,
    /// What workers had no room for, in order.
    behind: VecDeque<Late>,
}

/// A pair of open ports.
#[derive(Clone, Copy, Debug)]
struct Pair {
    rtp: FlowId,
    rtcp: FlowId,
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

impl Trgw {
    /// A media plane on a runtime whose workers relay ([`crate::Relay`]).
    pub fn new(control: Control) -> Self {
        Self {
            control,
            pairs: HashMap::new(),
            behind: VecDeque::new(),
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

    /// Pairs of ports that are open or being closed.
    pub fn pairs(&self) -> usize {
        self.pairs.len()
    }

    /// True when commands wait for workers: they are repeated by [`Trgw::poll_event`].
    pub fn is_behind(&self) -> bool {
        !self.behind.is_empty()
    }

    /// The next thing that happened.
    pub fn poll_event(&mut self, now: Instant) -> Option<MediaEvent> {
        let found = loop {
            let Some(event) = self.control.poll_event(now) else {
                break None;
            };
            if let Some(event) = self.translate(event) {
                break Some(event);
            }
        };
        self.catch_up();
        found
    }

    fn translate(&mut self, event: Event) -> Option<MediaEvent> {
        let (flow, closed_until) = match event {
            Event::FirstPacket { flow, .. }
            | Event::Latched { flow, .. }
            | Event::Inactive { flow, .. } => (flow, None),
            Event::Closed { flow, free_at } => (flow, Some(free_at)),
        };
        let at = self.control.addresses().local(flow)?;
        // A pair is known by its even port.
        let local = SocketAddr::new(at.ip(), at.port() & !1);
        let pair = self.pairs.get_mut(&local)?;
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
            self.pairs.remove(&local);
            return Some(MediaEvent::Closed { local, free_at });
        }
        match event {
            Event::Latched { source, .. } if flow == pair.rtp => {
                Some(MediaEvent::Latched { local, source })
            }
            Event::Inactive { .. } if flow == pair.rtp => Some(MediaEvent::Inactive { local }),
            _ => None,
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
        if self.behind.is_empty() {
            match self.control.set_path(flow, path.clone()) {
                Err(Error::Busy) => {}
                // The gateway names only what it has opened, and both families are checked there.
                _ => return,
            }
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

    fn leg(&self, leg: &mg::Leg) -> Option<Leg> {
        let pair = self.pairs.get(&leg.local)?;
        Some(Leg {
            flow: pair.rtp,
            media: match leg.media {
                Carries::Rtp { clock_hz } => LegMedia::Rtp { clock_hz },
                Carries::Udp => LegMedia::Udp,
            },
            remote: leg.remote,
            rtcp: match leg.rtcp {
                LegRtcp::None => Rtcp::None,
                LegRtcp::Muxed => Rtcp::Muxed,
                LegRtcp::Port { remote } => Rtcp::Port {
                    flow: pair.rtcp,
                    remote,
                },
            },
            mode: leg.mode,
            latch: match leg.latch {
                LegLatch::Off => Latch::Off,
                LegLatch::First(request) => Latch::First { request },
                LegLatch::Again(request) => Latch::Again { request },
            },
            filter: filter(&leg.filter, leg.filter.ports),
            rtcp_filter: filter(&leg.filter, leg.filter.rtcp_ports),
            inactivity: leg.inactivity,
            report_first_packet: false,
        })
    }
}

impl MediaPlane for Trgw {
    fn open(&mut self, now: Instant, local: SocketAddr) -> Result<(), OpenError> {
        if self.pairs.contains_key(&local) || local.port() % 2 == 1 {
            return Err(OpenError::InUse);
        }
        if !self.behind.is_empty() {
            return Err(OpenError::Busy);
        }
        let (rtp, rtcp) = self.control.open_pair(now, local).map_err(refusal)?;
        let pair = Pair {
            rtp,
            rtcp,
            closed: 0,
            free_at: now,
            is_closing: false,
        };
        self.pairs.insert(local, pair);
        Ok(())
    }

    fn close(&mut self, local: SocketAddr) {
        let Some(pair) = self.pairs.get_mut(&local).filter(|pair| !pair.is_closing) else {
            return;
        };
        pair.is_closing = true;
        for flow in [pair.rtp, pair.rtcp] {
            self.close_flow(flow);
        }
    }

    fn connect(&mut self, legs: &[mg::Leg]) {
        let legs: Vec<Leg> = legs.iter().filter_map(|leg| self.leg(leg)).collect();
        for leg in &legs {
            let rtcp = match leg.rtcp {
                Rtcp::Port { .. } => None,
                Rtcp::None | Rtcp::Muxed => self.rtcp_of(leg.flow),
            };
            if let Some(rtcp) = rtcp {
                self.set_path(rtcp, closed_path());
            }
        }
        // More legs than a path has ways out are more than a TrGW's context has terminations.
        for (flow, path) in compile(&legs).unwrap_or_default() {
            self.set_path(flow, path);
        }
    }

    fn statistics(&self, local: SocketAddr) -> Statistics {
        let Some(pair) = self.pairs.get(&local) else {
            return Statistics::default();
        };
        let stats = self.control.stats(pair.rtp);
        Statistics {
            packets_sent: stats.packets_sent,
            packets_received: stats.packets_received,
            octets_sent: stats.octets_sent,
            octets_received: stats.octets_received,
            packets_expected: stats.reception.expected,
            packets_lost: stats.reception.lost,
            jitter_ticks: stats.reception.jitter_ticks,
            last_arrival: stats.last_arrival,
        }
    }
}

impl Trgw {
    fn rtcp_of(&self, rtp: FlowId) -> Option<FlowId> {
        let local = self.control.addresses().local(rtp)?;
        self.pairs.get(&local).map(|pair| pair.rtcp)
    }
}

/// What holds for the RTCP port of a stream whose RTCP does not use it.
fn closed_path() -> Path {
    Path::new(Ingress {
        receiving: false,
        media: dataplane::Media::Rtcp,
        ..Ingress::default()
    })
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

fn refusal(error: Error) -> OpenError {
    match error {
        Error::Busy => OpenError::Busy,
        Error::InUse | Error::Resting { .. } => OpenError::InUse,
        Error::Io(fault) if fault.kind() == io::ErrorKind::AddrInUse => OpenError::InUse,
        _ => OpenError::Exhausted,
    }
}
