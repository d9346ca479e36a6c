//! The relay: each packet judged by the path of its flow, and passed on in place.

use dataplane::{Context, Datagram, DropReason, FlowId, Function, Media, Reception, Verdict};
use rtp::{DatagramKind, Header, ReceiverStats, datagram_kind};

/// RTP, RTCP and UDP relay (TS 23.334 5.2), on one worker.
///
/// A packet is looked at in this order: is it what the flow carries, is it authentic where the flow
/// carries SRTP (and opened), does it come from where it may (source filter, then latch), does the
/// stream mode let it in. So nothing but a valid packet sets a latch, and a latch can be set while
/// the mode lets nothing in, as a terminal on hold behind a NAT needs.
///
/// RTP is counted and its reception judged; RTCP passes whatever the mode (RFC 3264 5.1) and is not
/// counted. Encrypted payloads of a flow without keys of ours pass as they are.
pub struct Relay {
    streams: Box<[Stream]>,
}

impl Relay {
    /// A relay for flows below `flows`.
    pub fn new(flows: usize) -> Self {
        Self {
            streams: (0..flows).map(|_| Stream::default()).collect(),
        }
    }

    fn judge(
        &mut self,
        context: &mut Context<'_>,
        datagram: &mut Datagram,
    ) -> Result<Verdict, DropReason> {
        let ingress = context.ingress(datagram.flow).ok_or(DropReason::NoPath)?;
        let (media, receiving, clock_hz) = (ingress.media, ingress.receiving, ingress.clock_hz);
        let packet = classify(media, datagram.payload())?;
        match packet {
            Packet::Rtp(_) => context.open_rtp(datagram)?,
            Packet::Rtcp => context.open_rtcp(datagram)?,
            Packet::Udp => {}
        }
        context.admit(datagram)?;
        match packet {
            Packet::Rtcp => Ok(Verdict::ForwardRtcp),
            Packet::Rtp(_) | Packet::Udp if !receiving => Err(DropReason::NotReceiving),
            Packet::Rtp(header) => {
                context.count_received(datagram);
                let stream = &mut self.streams[datagram.flow.0 as usize];
                let reception = stream.receive(datagram, &header, clock_hz);
                context.publish_reception(datagram.flow, reception);
                Ok(Verdict::Forward)
            }
            Packet::Udp => {
                context.count_received(datagram);
                Ok(Verdict::Forward)
            }
        }
    }
}

impl Function for Relay {
    fn handle_burst(
        &mut self,
        context: &mut Context<'_>,
        burst: &mut [Datagram],
        verdicts: &mut [Verdict],
    ) {
        // One word of each stream first, so that the memory's latencies overlap.
        for datagram in burst.iter() {
            std::hint::black_box(self.streams[datagram.flow.0 as usize].clock_hz);
        }
        for (datagram, verdict) in burst.iter_mut().zip(verdicts) {
            *verdict = match self.judge(context, datagram) {
                Ok(verdict) => verdict,
                Err(reason) => Verdict::Drop(reason),
            };
        }
    }

    fn handle_open(&mut self, flow: FlowId) {
        self.streams[flow.0 as usize] = Stream::default();
    }
}

/// What a valid packet is.
enum Packet {
    Rtp(Header),
    Rtcp,
    Udp,
}

fn classify(media: Media, payload: &[u8]) -> Result<Packet, DropReason> {
    let kind = match media {
        Media::Udp => return Ok(Packet::Udp),
        Media::Rtp | Media::RtpAndRtcp | Media::Rtcp => datagram_kind(payload),
    };
    match (media, kind) {
        (Media::Rtcp | Media::RtpAndRtcp, DatagramKind::Rtcp)
            if payload.len() >= RTCP_BYTES_MIN =>
        {
            Ok(Packet::Rtcp)
        }
        (Media::Rtcp, _) => Err(DropReason::NotRtcp),
        // On a port of its own, RTP may use the payload types that look like RTCP.
        (Media::RtpAndRtcp, DatagramKind::Rtcp) => Err(DropReason::NotRtcp),
        _ => match Header::parse(payload) {
            Ok(header) => Ok(Packet::Rtp(header)),
            Err(_) => Err(DropReason::NotRtp),
        },
    }
}

/// Reception of one flow over all clocks it used.
#[derive(Default)]
struct Stream {
    clock_hz: u32,
    stats: Option<ReceiverStats>,
    /// Of clocks used before.
    past: Reception,
}

impl Stream {
    fn receive(&mut self, datagram: &Datagram, header: &Header, clock_hz: u32) -> Reception {
        if self.clock_hz != clock_hz {
            let last = self.reception();
            self.past = Reception {
                jitter_ticks: 0,
                ..last
            };
            self.clock_hz = clock_hz;
            self.stats = None;
        }
        let stats = self
            .stats
            .get_or_insert_with(|| ReceiverStats::new(clock_hz));
        stats.receive(datagram.arrival, header, datagram.payload().len());
        self.reception()
    }

    fn reception(&self) -> Reception {
        let Some(stats) = &self.stats else {
            return self.past;
        };
        let (expected, received) = stats.totals();
        // Without a clock rate, ticks mean nothing.
        let jitter_ticks = if self.clock_hz == 0 {
            0
        } else {
            stats.jitter_ticks()
        };
        Reception {
            expected: self.past.expected + expected,
            lost: self.past.lost + expected.saturating_sub(received),
            jitter_ticks,
        }
    }
}

/// Header and first SSRC of any RTCP packet, all that SRTCP leaves in the clear (RFC 3711 3.4).
const RTCP_BYTES_MIN: usize = 8;
