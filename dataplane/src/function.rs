//! What a media function is to the runtime.

use crate::control::Report;
use crate::counters::ReceiveCounters;
use crate::flow::{FlowEntry, FlowExtra};
use crate::latch::Admission;
use crate::policer::ip_octets;
use crate::protection::Kind;
use crate::worker::Shared;
use crate::{
    Datagram, DetectedTone, DropReason, FlowId, Ingress, Mail, Media, Outlet, Reception, Tones,
    Translation,
};
use base::Instant;
use std::net::SocketAddr;

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
    /// longer. Called when [`Function::next_work`] is due and what has come is dealt with: packets
    /// are looked for after each. False when nothing was due.
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
    /// It is for the mg thread ([`crate::Control::poll_punt`]).
    Punt,
    /// It is dropped.
    Drop(DropReason),
}

/// Of an [`crate::Ingress`], what a function asks for with every packet.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Carried {
    /// [`crate::Ingress::media`].
    pub media: Media,
    /// [`crate::Ingress::receiving`].
    pub receiving: bool,
    /// [`crate::Ingress::clock_hz`].
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

/// A flow of the burst that is handled.
pub struct Flow<'a> {
    id: FlowId,
    entry: &'a mut FlowEntry,
    extras: &'a mut [FlowExtra],
    counters: &'a ReceiveCounters,
    reports: &'a mut crate::worker::Reports,
}

impl Context<'_> {
    /// When this turn of the worker began.
    pub fn now(&self) -> Instant {
        self.now
    }

    /// A flow of the burst; `None` for what is no flow or has no path.
    #[inline]
    pub fn flow(&mut self, id: FlowId) -> Option<Flow<'_>> {
        let entry = self.flows.get_mut(id.index())?;
        if !entry.is_own {
            return None;
        }
        Some(Flow {
            id,
            entry,
            extras: self.extras,
            counters: self.shared.received.get(id.index())?,
            reports: self.reports,
        })
    }
}

impl Flow<'_> {
    /// What its path carries.
    #[inline]
    pub fn carried(&self) -> Carried {
        self.entry.carried()
    }

    /// All that its path admits.
    pub fn ingress(&self) -> Option<&Ingress> {
        self.entry.ingress()
    }

    /// It carries SRTP: packets are to be opened.
    #[inline]
    pub fn is_protected(&self) -> bool {
        self.entry.is_protected()
    }

    /// Opens a packet of RTP, if the flow carries SRTP, and makes sure that it comes from who has
    /// the key. What the source filter refuses is not worth the trouble.
    ///
    /// # Errors
    /// `SourceFiltered`, or one of those of SRTP.
    pub fn open_rtp(&self, datagram: &mut Datagram) -> Result<(), DropReason> {
        self.open(datagram, Kind::Rtp)
    }

    /// The same of a packet of RTCP.
    ///
    /// # Errors
    /// As [`Flow::open_rtp`].
    pub fn open_rtcp(&self, datagram: &mut Datagram) -> Result<(), DropReason> {
        self.open(datagram, Kind::Rtcp)
    }

    fn open(&self, datagram: &mut Datagram, kind: Kind) -> Result<(), DropReason> {
        if !self.entry.is_protected() {
            return Ok(());
        }
        let path = self.entry.path.as_deref().ok_or(DropReason::NoPath)?;
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
        let entry = &mut *self.entry;
        if !entry.knows(datagram.source) {
            let extra = self.extras.get_mut(self.id.index());
            judge_source(entry, extra.ok_or(DropReason::UnknownFlow)?, datagram)?;
        }
        let arrival = datagram.arrival;
        self.counters.last_arrival.set(arrival.as_nanos());
        let mut conforms = true;
        if entry.is_policed {
            let octets = ip_octets(datagram.payload().len(), datagram.source);
            conforms = entry.policer.conforms(&entry.policing, arrival, octets);
        }
        if entry.unreported().is_any() {
            self.report_admission(datagram.source);
        }
        if !conforms {
            return Err(DropReason::Policed);
        }
        Ok(())
    }

    #[cold]
    fn report_admission(&mut self, source: SocketAddr) {
        if let Some(extra) = self.extras.get(self.id.index()) {
            self.reports
                .report_admission(self.id, self.entry, extra, source);
        }
    }

    /// Packets pass as they are: its path neither detects nor sends telephone events, and no
    /// format leaves as another.
    #[inline]
    pub fn is_plain(&self) -> bool {
        self.entry.is_plain()
    }

    /// Formats that leave as others.
    pub fn translations(&self) -> &[Translation] {
        let path = self.entry.path.as_ref();
        let translations = path.and_then(|path| path.translations.as_deref());
        translations.unwrap_or_default()
    }

    /// The telephone events that its path detects or sends.
    pub fn tones(&self) -> Tones {
        let path = self.entry.path.as_ref();
        path.map_or(Tones::NONE, |path| path.tones)
    }

    /// Reports a telephone event; false when there is no room: try again with the next packet.
    pub fn report_tone(&mut self, tone: DetectedTone) -> bool {
        self.reports.push(Report::Tone {
            flow: self.id,
            generation: self.entry.generation,
            tone,
        })
    }

    /// Counts a packet that the stream mode lets in.
    #[inline]
    pub fn count_received(&mut self, datagram: &Datagram) {
        self.counters.packets.add(1);
        self.counters.octets.add(datagram.payload().len() as u64);
    }

    /// Publishes the quality of reception.
    #[inline]
    pub fn publish_reception(&mut self, reception: Reception) {
        let counters = self.counters;
        counters.expected.set(reception.expected as u32);
        counters.lost.set(reception.lost as u32);
        counters.gaps.set(reception.gaps as u32);
        counters.jitter_ticks.set(reception.jitter_ticks);
    }
}

/// Judges a source that is not the one admitted last: source filter, then latch.
#[cold]
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
    let mut unreported = entry.unreported();
    if !entry.active {
        unreported.first_packet = ingress.report_first_packet;
    }
    if admission == Admission::Latched {
        unreported.latched = true;
    }
    entry.active = true;
    entry.set_unreported(unreported);
    entry.set_known(datagram.source);
    Ok(())
}
