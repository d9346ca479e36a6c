//! The relay: each packet judged by the path of its flow, and passed on in place.

use dataplane::{
    Carried, Context, Datagram, DetectedTone, DropReason, EventFormat, Flow, FlowId, Function,
    Media, Reception, Translation, Verdict,
};
use rtp::{
    DatagramKind, EventReceiver, EventReport, Header, RECEIVER_LINES, ReceiverStats, datagram_kind,
};

use crate::tones::TonePlayer;

/// RTP, RTCP and UDP relay (TS 23.334 5.2), on one worker.
///
/// A packet is looked at in this order: is it what the flow carries, is it authentic where the flow
/// carries SRTP (and opened), does it come from where it may (source filter, then latch), does the
/// stream mode let it in. So nothing but a valid packet sets a latch, and a latch can be set while
/// the mode lets nothing in, as a terminal on hold behind a NAT needs.
///
/// RTP is counted and its reception judged; RTCP passes whatever the mode (RFC 3264 5.1) and is not
/// counted. Encrypted payloads of a flow without keys of ours pass as they are. DTLS goes to the mg
/// thread where the keys of SRTP come from there.
///
/// Telephone events are detected before the mode is asked, since that is not about events (H.248.1
/// 7.1.7), and sent in the place of packets that pass. Formats of which each octet stands for
/// another of the other side's are translated last.
pub struct Relay {
    streams: Box<[ReceiverStats]>,
    /// Of the same flows: what few packets need.
    tones: Box<[FlowTones]>,
    /// Flows on which a telephone event is being sent, or its end.
    playing: usize,
}

/// Telephone events of one flow.
#[derive(Default)]
struct FlowTones {
    receiver: EventReceiver,
    player: TonePlayer,
}

impl Relay {
    /// A relay for flows below `flows`.
    pub fn new(flows: usize) -> Self {
        let streams: Box<[ReceiverStats]> = (0..flows).map(|_| ReceiverStats::new(0)).collect();
        memory::use_huge_pages(&streams);
        Self {
            streams,
            tones: (0..flows).map(|_| FlowTones::default()).collect(),
            playing: 0,
        }
    }

    #[inline]
    fn judge(
        &mut self,
        context: &mut Context<'_>,
        datagram: &mut Datagram,
    ) -> Result<Verdict, DropReason> {
        let mut flow = context.flow(datagram.flow).ok_or(DropReason::NoPath)?;
        let Carried {
            media,
            receiving,
            clock_hz,
        } = flow.carried();
        let packet = match classify(media, datagram.payload()) {
            Ok(packet) => packet,
            Err(reason) => return aside(&flow, datagram, reason),
        };
        if flow.is_protected() {
            open(&flow, packet, datagram)?;
        }
        flow.admit(datagram)?;
        if packet == Packet::Rtcp {
            return Ok(Verdict::ForwardRtcp);
        }
        let is_plain = flow.is_plain() || packet != Packet::Rtp;
        if !is_plain {
            self.detect(&mut flow, datagram);
        }
        if !receiving {
            return Err(DropReason::NotReceiving);
        }
        flow.count_received(datagram);
        if packet == Packet::Udp {
            return Ok(Verdict::Forward);
        }
        let header = header(datagram)?;
        let stream = &mut self.streams[datagram.flow.0 as usize];
        stream.set_clock(clock_hz);
        stream.receive(datagram.arrival, &header, datagram.payload().len());
        flow.publish_reception(reception(stream, clock_hz));
        if !is_plain || self.playing > 0 {
            self.alter(&flow, datagram);
        }
        Ok(Verdict::Forward)
    }

    /// Looks for a telephone event in a packet of RTP.
    #[inline(never)]
    fn detect(&mut self, flow: &mut Flow<'_>, datagram: &Datagram) {
        let (Some(format), Ok(header)) = (flow.tones().detects, header(datagram)) else {
            return;
        };
        let receiver = &mut self.tones[datagram.flow.0 as usize].receiver;
        let report = |tone| flow.report_tone(tone);
        detect(receiver, datagram, &header, format, report);
    }

    /// Translates a packet of RTP, or puts a telephone event in its place, if one is to be sent.
    #[inline(never)]
    fn alter(&mut self, flow: &Flow<'_>, datagram: &mut Datagram) {
        let Ok(header) = header(datagram) else {
            return;
        };
        translate(flow.translations(), &header, datagram);
        let player = &mut self.tones[datagram.flow.0 as usize].player;
        let was_playing = player.is_playing();
        player.replace(flow.tones().plays, &header, datagram);
        self.playing += usize::from(player.is_playing());
        self.playing -= usize::from(was_playing);
    }
}

impl Function for Relay {
    fn handle_burst(
        &mut self,
        context: &mut Context<'_>,
        burst: &mut [Datagram],
        verdicts: &mut [Verdict],
    ) {
        for (datagram, verdict) in burst.iter_mut().zip(verdicts) {
            *verdict = match self.judge(context, datagram) {
                Ok(verdict) => verdict,
                Err(reason) => Verdict::Drop(reason),
            };
        }
    }

    fn prefetch(&self, burst: &[Datagram]) {
        for datagram in burst {
            let stream = &self.streams[datagram.flow.0 as usize];
            memory::prefetch_lines(stream, RECEIVER_LINES);
        }
    }

    fn handle_open(&mut self, flow: FlowId) {
        self.streams[flow.0 as usize] = ReceiverStats::new(0);
        let tones = &mut self.tones[flow.0 as usize];
        self.playing -= usize::from(tones.player.is_playing());
        *tones = FlowTones::default();
    }
}

/// What a valid packet is.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Packet {
    Rtp,
    Rtcp,
    Udp,
}

#[inline]
fn classify(media: Media, payload: &[u8]) -> Result<Packet, DropReason> {
    let looks_like_rtcp = match media {
        Media::Udp => return Ok(Packet::Udp),
        // On a port of its own, RTP may use the payload types that look like RTCP.
        Media::Rtp => false,
        Media::RtpAndRtcp | Media::Rtcp => datagram_kind(payload) == DatagramKind::Rtcp,
    };
    if looks_like_rtcp && payload.len() >= RTCP_BYTES_MIN {
        return Ok(Packet::Rtcp);
    }
    if looks_like_rtcp || media == Media::Rtcp {
        return Err(DropReason::NotRtcp);
    }
    let header = Header::parse(payload).map_err(|_| DropReason::NotRtp);
    header.map(|_| Packet::Rtp)
}

/// The header of a packet of RTP. Read when it is needed, it is not kept until then.
#[inline]
fn header(datagram: &Datagram) -> Result<Header, DropReason> {
    let fixed = datagram.payload().first_chunk();
    fixed.map(Header::read).ok_or(DropReason::NotRtp)
}

/// Opens what came to a flow of SRTP.
#[inline(never)]
fn open(flow: &Flow<'_>, packet: Packet, datagram: &mut Datagram) -> Result<(), DropReason> {
    match packet {
        Packet::Rtp => flow.open_rtp(datagram),
        Packet::Rtcp => flow.open_rtcp(datagram),
        Packet::Udp => Ok(()),
    }
}

/// Has a packet leave in another format.
fn translate(translations: &[Translation], header: &Header, datagram: &mut Datagram) {
    let mut known = translations.iter();
    let Some(known) = known.find(|known| known.from == header.payload_type) else {
        return;
    };
    let Ok(mut packet) = rtp::Packet::new(datagram.payload_mut()) else {
        return;
    };
    packet.set_payload_type(known.to);
    if let Some(table) = known.octets {
        for octet in packet.payload_mut() {
            *octet = table[usize::from(*octet)];
        }
    }
}

/// Takes note of the telephone events of a packet.
fn detect(
    receiver: &mut EventReceiver,
    datagram: &Datagram,
    header: &Header,
    format: EventFormat,
    mut report: impl FnMut(DetectedTone) -> bool,
) {
    let report = |event: EventReport| {
        report(DetectedTone {
            code: event.code,
            lasted: event.lasted,
        })
    };
    if header.payload_type != format.payload_type {
        return receiver.receive_other(header, format.clock_hz, report);
    }
    if let Ok(packet) = rtp::Packet::new(datagram.payload()) {
        let (arrival, payload) = (datagram.arrival, packet.payload());
        receiver.receive(arrival, header, payload, format.clock_hz, report);
    }
}

/// What becomes of a datagram that is no media: DTLS may be for the mg thread, from where packets
/// may come (RFC 7983 7).
#[cold]
fn aside(flow: &Flow<'_>, datagram: &Datagram, reason: DropReason) -> Result<Verdict, DropReason> {
    let ingress = flow.ingress().ok_or(reason)?;
    let is_dtls = datagram_kind(datagram.payload()) == DatagramKind::Dtls;
    match is_dtls && ingress.punts_dtls {
        false => Err(reason),
        true if ingress.filter.admits(datagram.source) => Ok(Verdict::Punt),
        true => Err(DropReason::SourceFiltered),
    }
}

/// What is published of a flow's reception.
#[inline(always)]
fn reception(stats: &ReceiverStats, clock_hz: u32) -> Reception {
    let totals = stats.totals();
    Reception {
        expected: totals.expected,
        lost: totals.expected.saturating_sub(totals.received),
        gaps: totals.gaps,
        // Without a clock rate, ticks mean nothing.
        jitter_ticks: if clock_hz == 0 {
            0
        } else {
            stats.jitter_ticks()
        },
    }
}

/// Header and first SSRC of any RTCP packet, all that SRTCP leaves in the clear (RFC 3711 3.4).
const RTCP_BYTES_MIN: usize = 8;
