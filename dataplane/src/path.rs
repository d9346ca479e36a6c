//! What the mg thread compiled for a flow.

use crate::{DropReason, FlowId, Policing, Srtp, Tones};
use smallvec::SmallVec;
use srtp::{Receiver, Sender};
use std::net::{IpAddr, SocketAddr};
use std::ops::RangeInclusive;
use std::sync::Arc;
use std::time::Duration;

/// How the datagrams of one flow are admitted and where they go.
///
/// Built at command time from the stream descriptors of a context (H.248.1 7.1.6) and never changed
/// afterwards: a Modify sets another one. Datagrams in flight see the one or the other as a whole.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Path {
    /// What is admitted.
    pub ingress: Ingress,
    /// How what comes is protected.
    pub srtp: Srtp<Receiver>,
    /// Telephone events that are detected or sent.
    pub tones: Tones,
    /// Formats that leave as others; packets of formats that are not named leave as they came.
    pub translations: Option<Arc<[Translation]>>,
    /// Whose the flow is; `None`: whoever receives something for it first.
    worker: Option<u16>,
    media: Egresses,
    rtcp: Egresses,
}

/// The receiving side of a path.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Ingress {
    /// What the packets are.
    pub media: Media,
    /// The mode lets the termination receive (H.248.1 7.1.7): ReceiveOnly, SendReceive or LoopBack.
    pub receiving: bool,
    /// Where packets may come from, looked at before latching.
    pub filter: SourceFilter,
    /// Whether the source of packets becomes the remote address of the termination.
    pub latch: Latch,
    /// Report after this long without an admitted packet (H.248.40 `adid/ipstop`).
    pub inactivity: Option<Duration>,
    /// Report the first admitted packet of the flow.
    pub report_first_packet: bool,
    /// RTP timestamp units per second, for the jitter; 0 when unknown.
    pub clock_hz: u32,
    /// What rates are admitted.
    pub policing: Policing,
    /// Datagrams of DTLS are for the mg thread, which agrees on the keys with whoever sends them
    /// (RFC 5764).
    pub punts_dtls: bool,
}

/// What becomes of the RTP packets of one payload type.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Translation {
    /// Their payload type.
    pub from: u8,
    /// The one that they leave with.
    pub to: u8,
    /// What stands in the place of each octet of their payload; `None`: itself.
    pub octets: Option<&'static [u8; 256]>,
}

/// What the packets of a flow are, by the media function's word.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Media {
    /// RTP, RFC 3550; RTCP comes on the next port.
    Rtp,
    /// RTP and RTCP on one port, RFC 5761.
    RtpAndRtcp,
    /// RTCP, RFC 3550.
    Rtcp,
    /// UDP of any content: T.38 UDPTL, for one.
    Udp,
}

/// Latching, H.248.37 `ipnapt/latch`. A request has a number, so that the same demand set again is
/// not a new one.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Latch {
    /// Packets come from whom the filter admits, and go where the remote descriptor says.
    Off,
    /// LATCH: the first source is the remote address from then on; others are refused.
    First {
        /// Which demand, not 0.
        request: u32,
    },
    /// RELATCH: the next new source replaces the one latched to; until then that stays.
    Again {
        /// Which demand, not 0.
        request: u32,
    },
}

impl Latch {
    /// The number of the demand, if there is one.
    pub fn request(self) -> Option<u32> {
        match self {
            Latch::Off => None,
            Latch::First { request } | Latch::Again { request } => Some(request),
        }
    }
}

/// Source address and port filtering, H.248.43 (`gm/saf`, `gm/sam`, `gm/spf`, `gm/spr`).
#[derive(Clone, PartialEq, Eq, Debug, Default, Copy)]
pub struct SourceFilter {
    network: Option<(IpAddr, u8)>,
    ports: Option<(u16, u16)>,
}

impl SourceFilter {
    /// Admits every source.
    pub const ANY: SourceFilter = SourceFilter {
        network: None,
        ports: None,
    };

    /// Only addresses whose first `bits` bits are those of `address`; more bits than it has mean
    /// all of them.
    pub fn network(mut self, address: IpAddr, bits: u8) -> Self {
        self.network = Some((address, bits));
        self
    }

    /// Only these ports.
    pub fn ports(mut self, ports: RangeInclusive<u16>) -> Self {
        self.ports = Some((*ports.start(), *ports.end()));
        self
    }

    /// Judges a source.
    pub fn admits(&self, source: SocketAddr) -> bool {
        let address = self
            .network
            .is_none_or(|(network, bits)| within(source.ip(), network, bits));
        address
            && self
                .ports
                .is_none_or(|(first, last)| (first..=last).contains(&source.port()))
    }
}

pub(crate) fn within(address: IpAddr, network: IpAddr, bits: u8) -> bool {
    match (address, network) {
        (IpAddr::V4(address), IpAddr::V4(network)) => {
            let differing = u32::from(address) ^ u32::from(network);
            differing.leading_zeros() >= u32::from(bits.min(32))
        }
        (IpAddr::V6(address), IpAddr::V6(network)) => {
            let differing = u128::from(address) ^ u128::from(network);
            differing.leading_zeros() >= u32::from(bits.min(128))
        }
        _ => false,
    }
}

/// One way out: from a local flow's address and port to a remote address.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Egress {
    local: FlowId,
    remote: Remote,
    marking: Marking,
    srtp: Srtp<Sender>,
}

/// The remote side of an egress.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Remote {
    /// This address: from the remote descriptor.
    Fixed(SocketAddr),
    /// What the egress's local flow has latched to; nowhere until it has.
    Latched,
}

/// Differentiated services, RFC 2474: the code point of what is sent (H.248.52).
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Marking {
    /// This one, of which six bits count.
    Dscp(u8),
    /// That of the packet as it came.
    Keep,
}

impl Marking {
    /// DSCP and ECN to send, of a packet that came with `received`. Congestion was met on a way
    /// that ends here, so ECN starts at 0.
    pub(crate) fn applied_to(self, received: u8) -> u8 {
        match self {
            Self::Dscp(dscp) => dscp << 2,
            Self::Keep => received & !ECN_MASK,
        }
    }
}

impl Default for Marking {
    fn default() -> Self {
        Self::Dscp(0)
    }
}

impl Egress {
    /// From `local` to `remote`.
    pub fn new(local: FlowId, remote: Remote) -> Self {
        Self {
            local,
            remote,
            marking: Marking::default(),
            srtp: Srtp::Off,
        }
    }

    /// The same with packets marked so.
    pub fn with_marking(self, marking: Marking) -> Self {
        Self { marking, ..self }
    }

    /// The same, protected: as RTP for media, as RTCP by a way for RTCP.
    pub fn with_srtp(self, srtp: Srtp<Sender>) -> Self {
        Self { srtp, ..self }
    }

    /// The flow whose address and port are the source of what is sent.
    pub fn local(&self) -> FlowId {
        self.local
    }

    /// Where it goes.
    pub fn remote(&self) -> Remote {
        self.remote
    }
}

impl Default for Ingress {
    fn default() -> Self {
        Self {
            media: Media::Udp,
            receiving: true,
            filter: SourceFilter::ANY,
            latch: Latch::Off,
            inactivity: None,
            report_first_packet: false,
            clock_hz: 0,
            policing: Policing::OFF,
            punts_dtls: false,
        }
    }
}

impl Path {
    /// Admits by `ingress` and leads nowhere.
    pub fn new(ingress: Ingress) -> Self {
        Self {
            ingress,
            srtp: Srtp::Off,
            tones: Tones::NONE,
            translations: None,
            worker: None,
            media: Egresses::default(),
            rtcp: Egresses::default(),
        }
    }

    /// Admits everything and leads from `local` to `remote`.
    pub fn to(local: FlowId, remote: SocketAddr) -> Self {
        let mut path = Self::new(Ingress::default());
        path.media.push(Egress::new(local, Remote::Fixed(remote)));
        path
    }

    /// The same of a flow that is to be this worker's, whosever it was.
    pub fn at_worker(self, worker: u16) -> Self {
        Self {
            worker: Some(worker),
            ..self
        }
    }

    /// The worker whose the flow is to be.
    pub fn worker(&self) -> Option<u16> {
        self.worker
    }

    /// Adds a way out; false when there are [`EGRESSES_MAX`].
    #[must_use]
    pub fn push(&mut self, egress: Egress) -> bool {
        self.media.push(egress)
    }

    /// Adds a way out for the RTCP of a flow that carries both ([`Media::RtpAndRtcp`]); false when
    /// there are [`EGRESSES_MAX`].
    #[must_use]
    pub fn push_rtcp(&mut self, egress: Egress) -> bool {
        self.rtcp.push(egress)
    }

    /// Has what leaves by the address of `local` protected with this; true when that changes
    /// anything.
    pub fn protect(&mut self, local: FlowId, sends: &Srtp<Sender>) -> bool {
        let egresses = self.media.0.iter_mut().chain(&mut self.rtcp.0);
        let others = egresses.filter(|egress| egress.local == local && egress.srtp != *sends);
        let mut changed = false;
        for egress in others {
            egress.srtp = sends.clone();
            changed = true;
        }
        changed
    }

    /// True when something of what comes is sent with the code point that it came with.
    pub(crate) fn keeps_marks(&self) -> bool {
        let mut egresses = self.egresses().iter().chain(self.rtcp_egresses());
        egresses.any(|egress| egress.marking == Marking::Keep)
    }

    /// The ways out.
    pub fn egresses(&self) -> &[Egress] {
        self.media.as_slice()
    }

    /// The ways out for RTCP that shares the port.
    pub fn rtcp_egresses(&self) -> &[Egress] {
        self.rtcp.as_slice()
    }
}

/// The ways out of a path: nearly always one, which is kept in place.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
struct Egresses(SmallVec<[Egress; 1]>);

impl Egresses {
    fn push(&mut self, egress: Egress) -> bool {
        let has_room = self.0.len() < EGRESSES_MAX;
        if has_room {
            self.0.push(egress);
        }
        has_room
    }

    fn as_slice(&self) -> &[Egress] {
        &self.0
    }
}

/// A path with every remote side resolved, as the runtime publishes it. What most packets need of
/// it each worker copies to the entry of the flow.
#[derive(Debug)]
pub(crate) struct Compiled {
    pub(crate) ingress: Ingress,
    media: u8,
    rtcp: u8,
    /// [`Compiled::srtp`] is more than off.
    pub(crate) is_protected: bool,
    /// Those for media, then those for RTCP.
    routes: [Route; 2 * EGRESSES_MAX],
    /// How what comes is protected.
    pub(crate) srtp: Srtp<Receiver>,
    pub(crate) tones: Tones,
    pub(crate) translations: Option<Arc<[Translation]>>,
    /// [`Path::worker`].
    pub(crate) worker: Option<u16>,
    /// How the routes protect, in their order.
    senders: [Srtp<Sender>; 2 * EGRESSES_MAX],
}

/// One way out of a compiled path.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) struct Route {
    pub(crate) local: FlowId,
    pub(crate) target: Target,
    pub(crate) marking: Marking,
    /// Its sender is more than off.
    is_protected: bool,
}

/// The routes of media or of RTCP, and what protects each.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Routes<'a> {
    routes: &'a [Route],
    senders: &'a [Srtp<Sender>],
}

impl<'a> Routes<'a> {
    /// Each route, with its sender where it protects.
    pub(crate) fn iter(self) -> impl Iterator<Item = (&'a Route, Option<&'a Srtp<Sender>>)> {
        let pairs = self.routes.iter().zip(self.senders);
        pairs.map(|(route, sender)| (route, route.is_protected.then_some(sender)))
    }

    pub(crate) fn len(&self) -> usize {
        self.routes.len()
    }
}

/// Where a route leads.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Target {
    /// Not open any more, or nothing latched yet.
    Nowhere(DropReason),
    /// A host on the network.
    Network(SocketAddr),
    /// One of our own flows: delivered in memory.
    Local(FlowId),
}

impl Compiled {
    pub(crate) fn new(path: &Path, target: impl Fn(&Egress) -> Target) -> Self {
        let unused = Route {
            local: FlowId(u32::MAX),
            target: Target::Nowhere(DropReason::NoEgress),
            marking: Marking::Dscp(0),
            is_protected: false,
        };
        let mut compiled = Self {
            ingress: path.ingress,
            media: path.egresses().len() as u8,
            rtcp: path.rtcp_egresses().len() as u8,
            is_protected: path.srtp != Srtp::Off,
            routes: [unused; 2 * EGRESSES_MAX],
            srtp: path.srtp.clone(),
            tones: path.tones,
            translations: path.translations.clone(),
            worker: path.worker,
            senders: [const { Srtp::Off }; 2 * EGRESSES_MAX],
        };
        let egresses = path.egresses().iter().chain(path.rtcp_egresses());
        let places = compiled.routes.iter_mut().zip(&mut compiled.senders);
        for ((route, sender), egress) in places.zip(egresses) {
            *route = Route {
                local: egress.local,
                target: target(egress),
                marking: egress.marking,
                is_protected: egress.srtp != Srtp::Off,
            };
            *sender = egress.srtp.clone();
        }
        compiled
    }

    /// The way out for media, when there is one and it does not protect.
    pub(crate) fn only(&self) -> Option<Route> {
        match self.media().routes {
            [route] if !route.is_protected => Some(*route),
            _ => None,
        }
    }

    /// The ways out for media.
    pub(crate) fn media(&self) -> Routes<'_> {
        let media = usize::from(self.media);
        Routes {
            routes: &self.routes[..media],
            senders: &self.senders[..media],
        }
    }

    /// The ways out for RTCP.
    pub(crate) fn rtcp(&self) -> Routes<'_> {
        let (media, rtcp) = (usize::from(self.media), usize::from(self.rtcp));
        Routes {
            routes: &self.routes[media..][..rtcp],
            senders: &self.senders[media..][..rtcp],
        }
    }
}

/// The ECN field of a traffic class, RFC 3168 5.
const ECN_MASK: u8 = 3;

/// Ways out of one path: a relay has one, a forked early dialog or a monitored call a few; more is
/// a mixer's task.
pub const EGRESSES_MAX: usize = 4;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_filter_compares_prefix_and_ports() {
        let filter = SourceFilter::ANY
            .network("10.1.0.0".parse().unwrap(), 16)
            .ports(4000..=4001);
        assert!(filter.admits("10.1.255.1:4000".parse().unwrap()));
        assert!(filter.admits("10.1.0.1:4001".parse().unwrap()));
        assert!(!filter.admits("10.2.0.1:4000".parse().unwrap()));
        assert!(!filter.admits("10.1.0.1:4002".parse().unwrap()));
        assert!(!filter.admits("[2001:db8::1]:4000".parse().unwrap()));
    }

    #[test]
    fn prefix_lengths_at_their_ends() {
        let any: SocketAddr = "255.255.255.255:1".parse().unwrap();
        assert!(
            SourceFilter::ANY
                .network("0.0.0.0".parse().unwrap(), 0)
                .admits(any)
        );
        let host = SourceFilter::ANY.network("2001:db8::1".parse().unwrap(), 255);
        assert!(host.admits("[2001:db8::1]:9".parse().unwrap()));
        assert!(!host.admits("[2001:db8::2]:9".parse().unwrap()));
    }

    #[test]
    fn egresses_beyond_the_limit_are_refused() {
        let mut path = Path::new(Ingress::default());
        for number in 0..EGRESSES_MAX as u32 {
            assert!(path.push(Egress::new(FlowId(number), Remote::Latched)));
        }
        assert!(!path.push(Egress::new(FlowId(9), Remote::Latched)));
        assert_eq!(path.egresses().len(), EGRESSES_MAX);
        assert!(path.rtcp_egresses().is_empty());
    }
}
