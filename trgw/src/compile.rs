//! From the streams of a context to the paths of its flows.

use dataplane::{
    Egress, EventFormat, FlowId, Ingress, Latch, Marking, Media, Path, PlayedTone, Policing,
    Remote, SourceFilter, Srtp, Translation,
};
use h248::message::StreamMode;
use smallvec::SmallVec;
use srtp::{Receiver, Sender};
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

/// One stream of one termination, as its descriptors say (H.248.1 7.1.6): where it receives, where
/// it sends.
#[derive(Clone, Debug)]
pub struct Leg {
    /// The flow of the local descriptor's port.
    pub flow: FlowId,
    /// What it carries.
    pub media: LegMedia,
    /// Address and port of the remote descriptor; `None` while there is none. Not used with
    /// latching.
    pub remote: Option<SocketAddr>,
    /// Where its RTCP is.
    pub rtcp: Rtcp,
    /// How the media, and RTCP on its port, are protected.
    pub srtp: Protection,
    /// How RTCP on a port of its own is protected.
    pub rtcp_srtp: Protection,
    /// The keys come of DTLS, which goes to the mg thread.
    pub has_dtls: bool,
    /// Mode of LocalControl (H.248.1 7.1.7).
    pub mode: StreamMode,
    /// Latching, for RTP and RTCP each on its own.
    pub latch: Latch,
    /// Source filter of the media.
    pub filter: SourceFilter,
    /// Source filter of RTCP on a port of its own.
    pub rtcp_filter: SourceFilter,
    /// What rates it may receive; RTCP on a port of its own the same once more.
    pub policing: Policing,
    /// How packets sent are marked, RTCP too.
    pub marking: Marking,
    /// Report after this long without media.
    pub inactivity: Option<Duration>,
    /// Report the first packet of the media.
    pub report_first_packet: bool,
    /// Telephone events.
    pub tones: LegTones,
    /// Formats that come and leave as others.
    pub translations: Option<Arc<[Translation]>>,
}

/// How the packets at one port of a leg are protected.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Protection {
    /// What comes.
    pub receives: Srtp<Receiver>,
    /// What is sent.
    pub sends: Srtp<Sender>,
}

impl Protection {
    /// Packets pass as they are.
    pub const OFF: Self = Self {
        receives: Srtp::Off,
        sends: Srtp::Off,
    };

    /// Packets are protected, and there is no key yet.
    pub const NO_KEY: Self = Self {
        receives: Srtp::NoKey,
        sends: Srtp::NoKey,
    };
}

/// Telephone events of a stream, RFC 4733.
#[derive(Clone, Copy, PartialEq, Eq, Default, Debug)]
pub struct LegTones {
    /// Those received as this are reported.
    pub detects: Option<EventFormat>,
    /// How the remote side takes them.
    pub sends: Option<EventFormat>,
    /// Number and event of the tone played to the remote side.
    pub outward: Option<(u64, u8)>,
    /// Of the tone played to the other legs.
    pub inward: Option<(u64, u8)>,
}

/// What a stream carries.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum LegMedia {
    /// RTP, with the clock of its payload in Hz; 0 when it has several or none known.
    Rtp {
        /// Timestamp units per second.
        clock_hz: u32,
    },
    /// UDP of any content.
    Udp,
}

/// RTCP of a stream.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Rtcp {
    /// None is passed.
    None,
    /// On a port of its own.
    Port {
        /// Its flow.
        flow: FlowId,
        /// Where the remote side receives it; `None` while unknown. Not used with latching.
        remote: Option<SocketAddr>,
    },
    /// On the port of the media, RFC 5761.
    Muxed,
}

/// The paths of all flows of one stream of a context: every leg with every other, but for the pairs
/// of indices that are isolated: the first of each does not reach the second.
///
/// Media of a leg that receives go to each other leg that sends; of a leg in loopback, back to
/// itself. RTCP goes to every other leg whatever the modes (RFC 3264 5.1), but a leg in loopback
/// gets its own back, and isolation is for RTCP too: who gets a copy of a call is not heard of in
/// it. `None` when a leg leads to more others than a path has ways out
/// ([`dataplane::EGRESSES_MAX`]).
pub fn compile(legs: &[Leg], isolated: &[(usize, usize)]) -> Option<Vec<(FlowId, Path)>> {
    let mut paths = Vec::with_capacity(2 * legs.len());
    for (index, leg) in legs.iter().enumerate() {
        let loops = leg.mode == StreamMode::Loopback;
        let mut path = Path::new(leg.ingress());
        let mut rtcp_path = Path::new(leg.rtcp_ingress());
        path.tones.detects = leg.tones.detects;
        path.translations = leg.translations.clone();
        path.srtp = leg.srtp.receives.clone();
        rtcp_path.srtp = leg.rtcp_srtp.receives.clone();
        for (other_index, other) in legs.iter().enumerate() {
            let reached = if loops {
                other_index == index
            } else {
                other_index != index
                    && other.mode != StreamMode::Loopback
                    && !isolated.contains(&(index, other_index))
            };
            if !reached {
                continue;
            }
            if (loops || other.mode.sends())
                && let Some(egress) = other.egress()
            {
                // What is put in the place of a packet goes out by every egress of it.
                path.tones.plays = match path.egresses().is_empty() {
                    true => tone_between(leg, other),
                    false => None,
                };
                if !path.push(egress) {
                    return None;
                }
            }
            if let Some(egress) = other.rtcp_egress()
                && !(path.push_rtcp(egress.clone()) && rtcp_path.push_rtcp(egress))
            {
                return None;
            }
        }
        paths.push((leg.flow, path));
        if let Rtcp::Port { flow, .. } = leg.rtcp {
            paths.push((flow, rtcp_path));
        }
    }
    Some(paths)
}

/// The paths of a leg that ends at a media function of one worker: what the function sends goes to
/// the remote side, as if it had come from another leg.
pub(crate) fn terminate(leg: &Leg, worker: u16) -> SmallVec<[(FlowId, Path); 2]> {
    let mut path = Path::new(leg.ingress()).at_worker(worker);
    let mut rtcp_path = Path::new(leg.rtcp_ingress()).at_worker(worker);
    // Where the function gets nothing, it hears no events.
    path.tones.detects = leg.tones.detects.filter(|_| !leg.mode.receives());
    path.srtp = leg.srtp.receives.clone();
    rtcp_path.srtp = leg.rtcp_srtp.receives.clone();
    // There is room for one.
    let _ = leg.egress().is_some_and(|egress| path.push(egress));
    if let Some(egress) = leg.rtcp_egress() {
        let _ = path.push_rtcp(egress.clone()) && rtcp_path.push_rtcp(egress);
    }
    let mut paths = SmallVec::new();
    paths.push((leg.flow, path));
    if let Rtcp::Port { flow, .. } = leg.rtcp {
        paths.push((flow, rtcp_path));
    }
    paths
}

/// The tone that takes the place of what passes from one leg to another.
fn tone_between(from: &Leg, to: &Leg) -> Option<PlayedTone> {
    let (number, code) = to.tones.outward.or(from.tones.inward)?;
    Some(PlayedTone {
        number,
        code,
        format: to.tones.sends?,
    })
}

impl Leg {
    fn ingress(&self) -> Ingress {
        let (media, clock_hz) = match (self.media, self.rtcp) {
            (LegMedia::Rtp { clock_hz }, Rtcp::Muxed) => (Media::RtpAndRtcp, clock_hz),
            (LegMedia::Rtp { clock_hz }, Rtcp::None | Rtcp::Port { .. }) => (Media::Rtp, clock_hz),
            (LegMedia::Udp, _) => (Media::Udp, 0),
        };
        Ingress {
            media,
            receiving: self.mode.receives() || self.mode == StreamMode::Loopback,
            filter: self.filter,
            latch: self.latch,
            inactivity: self.inactivity,
            report_first_packet: self.report_first_packet,
            clock_hz,
            policing: self.policing,
            punts_dtls: self.has_dtls,
        }
    }

    fn rtcp_ingress(&self) -> Ingress {
        Ingress {
            media: Media::Rtcp,
            filter: self.rtcp_filter,
            latch: self.latch,
            policing: self.policing,
            punts_dtls: self.has_dtls,
            ..Ingress::default()
        }
    }

    fn egress(&self) -> Option<Egress> {
        Some(self.egress_from(self.flow, self.to(self.remote)?, &self.srtp))
    }

    fn rtcp_egress(&self) -> Option<Egress> {
        match self.rtcp {
            Rtcp::None => None,
            Rtcp::Port { flow, remote } => {
                Some(self.egress_from(flow, self.to(remote)?, &self.rtcp_srtp))
            }
            Rtcp::Muxed => self.egress(),
        }
    }

    fn egress_from(&self, flow: FlowId, remote: Remote, srtp: &Protection) -> Egress {
        Egress::new(flow, remote)
            .with_marking(self.marking)
            .with_srtp(srtp.sends.clone())
    }

    /// With latching the remote descriptor's address does not count (H.248.37).
    fn to(&self, remote: Option<SocketAddr>) -> Option<Remote> {
        match self.latch {
            Latch::Off => remote.map(Remote::Fixed),
            Latch::First { .. } | Latch::Again { .. } => Some(Remote::Latched),
        }
    }
}
