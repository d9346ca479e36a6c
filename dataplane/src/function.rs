//! What a media function is to the runtime.

use crate::control::Report;
use crate::counters::ReceiveCounters;
use crate::flow::{FlowEntry, FlowExtra, Host};
use crate::latch::Admission;
use crate::policer::ip_octets;
use crate::protection::Kind;
use crate::worker::Shared;
use crate::{
    Datagram, DetectedTone, DropReason, FlowId, Ingress, Mail, Media, Outlet, Reception, Tones,
};
use base::Instant;

/// A media function on one worker: it judges datagrams, the runtime moves them.
pub trait Function: Send {
    /// Judges the datagrams of a burst, each on a flow that this worker has and that has a path.
    ///
    /// `verdicts` is as long as `burst` and filled with [`Verdict::Forward`]. Payloads may be
    /// changed in place.
    fn handle_burst(
        &mut self,
        context: &mut Context<'_>,
        burst: &mut [Datagram],
        verdicts: &mut [Verdict],
    );

    /// Called before a burst is handled: what is kept about its flows can be read ahead
    /// ([`memory::prefetch`]).
    fn prefetch(&self, burst: &[Datagram]) {
        let _ = burst;
    }

    /// A new use of the flow's port begins: what was kept about the former one no longer holds.
    fn handle_open(&mut self, flow: FlowId) {
        let _ = flow;
    }

    /// The mg thread passed something ([`crate::Control::send`]). What is returned goes back to be
    /// dropped there.
    fn handle_mail(&mut self, now: Instant, mail: Mail) -> Option<Mail> {
        let _ = now;
        Some(mail)
    }

    /// Does the most urgent of what is due: one codec operation, or several that together take no
    /// longer. Called when what has come is dealt with. False when nothing is due.
    fn work(&mut self, outlet: &mut Outlet<'_>) -> bool {
        let _ = outlet;
        false
    }

    /// When something is due next; `None` without anything to come.
    fn next_work(&self) -> Option<Instant> {
        None
    }
}

/// What becomes of a datagram.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Verdict {
    /// It goes out by each egress of its flow's path.
    Forward,
    /// It goes out by each egress for RTCP of its flow's path.
    ForwardRtcp,
    /// The function has taken what it wanted; the datagram ends here.
    Consumed,
    /// It is dropped.
    Drop(DropReason),
}

/// Of an [`Ingress`], what a function asks for with every packet.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Carried {
    /// [`Ingress::media`].
    pub media: Media,
    /// [`Ingress::receiving`].
    pub receiving: bool,
    /// [`Ingress::clock_hz`].
    pub clock_hz: u32,
}

/// What a function may ask and tell while it handles a burst.
pub struct Context<'a> {
    pub(crate) now: Instant,
    pub(crate) flows: &'a mut [FlowEntry],
    pub(crate) extras: &'a mut [FlowExtra],
    pub(crate) shared: &'a Shared,
    pub(crate) reports: &'a mut crate::worker::Reports,
}

impl Context<'_> {
    /// When this turn of the worker began.
    pub fn now(&self) -> Instant {
        self.now
    }

    /// What the path of a flow of the burst carries; `None` for flows without a path.
    #[inline]
    pub fn carried(&self, flow: FlowId) -> Option<Carried> {
        self.flows.get(flow.index())?.carried()
    }

    /// All that the path of a flow of the burst admits; `None` for flows without a path.
    pub fn ingress(&self, flow: FlowId) -> Option<&Ingress> {
        self.flows.get(flow.index())?.ingress()
    }

    /// Opens a packet of RTP, if its flow carries SRTP, and makes sure that it comes from who has
    /// the key. What the source filter refuses is not worth the trouble.
    ///
    /// # Errors
    /// `SourceFiltered`, or one of those of SRTP.
    #[inline]
    pub fn open_rtp(&mut self, datagram: &mut Datagram) -> Result<(), DropReason> {
        self.open(datagram, Kind::Rtp)
    }

    /// The same of a packet of RTCP.
    ///
    /// # Errors
    /// As [`Context::open_rtp`].
    #[inline]
    pub fn open_rtcp(&mut self, datagram: &mut Datagram) -> Result<(), DropReason> {
        self.open(datagram, Kind::Rtcp)
    }

    #[inline]
    fn open(&mut self, datagram: &mut Datagram, kind: Kind) -> Result<(), DropReason> {
        let entry = self.flows.get(datagram.flow.index());
        let entry = entry.ok_or(DropReason::UnknownFlow)?;
        if !entry.is_protected {
            return Ok(());
        }
        let path = entry.path.as_deref().ok_or(DropReason::NoPath)?;
        if !path.ingress.filter.admits(datagram.source) {
            return Err(DropReason::SourceFiltered);
        }
        path.srtp.open(&mut datagram.frame, kind)
    }

    /// Judges a packet that is known to be valid by where it comes from, source filter, then latch,
    /// and by how much comes. What is from there counts as activity of the flow, whatever its mode
    /// and rate.
    ///
    /// # Errors
    /// `SourceFiltered`, `SourceMismatch` or `Policed`.
    #[inline]
    pub fn admit(&mut self, datagram: &Datagram) -> Result<(), DropReason> {
        let flow = datagram.flow;
        let entry = self.flows.get_mut(flow.index());
        let entry = entry.ok_or(DropReason::UnknownFlow)?;
        if !entry.known.is(datagram.source) {
            let extra = self.extras.get_mut(flow.index());
            judge_source(entry, extra.ok_or(DropReason::UnknownFlow)?, datagram)?;
        }
        let counters = &self.shared.received[flow.index()];
        counters.last_arrival.set(datagram.arrival.as_nanos());
        let mut conforms = true;
        if entry.is_policed {
            let octets = ip_octets(datagram.payload().len(), datagram.source);
            let FlowEntry {
                policer, policing, ..
            } = entry;
            conforms = policer.conforms(policing, datagram.arrival, octets);
        }
        if entry.unreported.first_packet || entry.unreported.latched {
            let extra = &self.extras[flow.index()];
            self.reports
                .report_admission(flow, entry, extra, datagram.source);
        }
        if !conforms {
            return Err(DropReason::Policed);
        }
        Ok(())
    }

    /// The telephone events that the path of a flow of the burst detects or sends.
    #[inline]
    pub fn tones(&self, flow: FlowId) -> Tones {
        let entry = self.flows.get(flow.index());
        match entry.filter(|entry| entry.has_tones) {
            Some(entry) => entry.path.as_ref().map_or(Tones::NONE, |path| path.tones),
            None => Tones::NONE,
        }
    }

    /// Reports a telephone event on a flow of the burst; false when there is no room: try again
    /// with the next packet.
    pub fn report_tone(&mut self, flow: FlowId, tone: DetectedTone) -> bool {
        let Some(entry) = self.flows.get(flow.index()) else {
            return true;
        };
        let generation = entry.generation;
        self.reports.push(Report::Tone {
            flow,
            generation,
            tone,
        })
    }

    /// Counts a packet that the stream mode lets in.
    #[inline]
    pub fn count_received(&mut self, datagram: &Datagram) {
        let counters = self.counters(datagram.flow);
        counters.packets.add(1);
        counters.octets.add(datagram.payload().len() as u64);
    }

    /// Publishes the quality of reception of a flow of the burst.
    #[inline]
    pub fn publish_reception(&mut self, flow: FlowId, reception: Reception) {
        let counters = self.counters(flow);
        counters.expected.set(reception.expected);
        counters.lost.set(reception.lost);
        counters.gaps.set(reception.gaps);
        counters.jitter_ticks.set(u64::from(reception.jitter_ticks));
    }

    #[inline]
    fn counters(&self, flow: FlowId) -> &ReceiveCounters {
        &self.shared.received[flow.index()]
    }
}

/// Judges a source that is not the one admitted last: source filter, then latch.
fn judge_source(
    entry: &mut FlowEntry,
    extra: &mut FlowExtra,
    datagram: &Datagram,
) -> Result<(), DropReason> {
    let path = entry.path.as_deref().ok_or(DropReason::NoPath)?;
    let ingress = &path.ingress;
    if !ingress.filter.admits(datagram.source) {
        return Err(DropReason::SourceFiltered);
    }
    let admission = extra.latch.admit(ingress.latch, datagram.source)?;
    if !entry.active {
        entry.active = true;
        entry.unreported.first_packet = ingress.report_first_packet;
    }
    if admission == Admission::Latched {
        entry.unreported.latched = true;
    }
    entry.known = Host::of(datagram.source);
    Ok(())
}
