//! What a functional entity wants of the media of one call: the desired state of a context.

use std::collections::BTreeMap;
use std::fmt;
use std::net::SocketAddr;
use std::time::Duration;

use serde::{Deserialize, Serialize};

/// Names an anchor: one call's media in one context of one media gateway.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct AnchorId {
    pub(super) slot: u32,
    pub(super) generation: u32,
}

/// The two terminations of an anchor.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Side {
    /// Towards the UE (IMS-ALG), or the network of our own (IBCF).
    Access,
    /// Towards the core.
    Core,
}

impl Side {
    /// Both, in the order of [`StreamPlan::sides`].
    pub const BOTH: [Side; 2] = [Side::Access, Side::Core];

    /// The other one.
    pub const fn other(self) -> Side {
        match self {
            Side::Access => Side::Core,
            Side::Core => Side::Access,
        }
    }

    /// Position in [`StreamPlan::sides`].
    pub const fn index(self) -> usize {
        self as usize
    }
}

/// IP family of a termination.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub enum Family {
    /// IPv4.
    V4,
    /// IPv6.
    V6,
}

impl Family {
    /// The family of an address.
    pub const fn of(address: SocketAddr) -> Family {
        if address.is_ipv6() {
            Family::V6
        } else {
            Family::V4
        }
    }
}

/// What stays the same for the life of an anchor.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct AnchorSpec {
    /// IP family of each side, in the order of [`Side::BOTH`].
    pub families: [Family; 2],
    /// IP realm (`ipdc/realm`) of each side.
    pub realms: [String; 2],
    /// An emergency call: the context is marked so (H.248.1 6.1.1).
    pub emergency: bool,
    /// Without media from the UE for so long, [`AnchorEvent::Inactive`] is told; not at all if
    /// `None`.
    pub inactivity: Option<Duration>,
    /// Media is taken only from the described address, or from where a latch has found it.
    pub source_filter: bool,
}

/// The desired state of a context: replaces what was desired before.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Plan {
    /// One per `m=` line, ended ones included.
    pub streams: Vec<StreamPlan>,
}

/// The desired state of one H.248 stream.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct StreamPlan {
    /// False when the `m=` line is refused or ended: nothing is reserved for it any more.
    pub used: bool,
    /// `audio`, `video` and so on.
    pub kind: Box<str>,
    /// Transport protocol of the `m=` line; where SRTP ends at the gateway, that of the core's
    /// side.
    pub protocol: Box<str>,
    /// Formats of the `m=` line.
    pub formats: Vec<Box<str>>,
    /// Each side, in the order of [`Side::BOTH`].
    pub sides: [SidePlan; 2],
    /// SRTP that ends at the gateway, on the access side.
    pub srtp: Option<SrtpPlan>,
}

impl StreamPlan {
    /// Its protection on one side.
    pub fn srtp_at(&self, side: Side) -> Option<&SrtpPlan> {
        self.srtp.as_ref().filter(|_| side == Side::Access)
    }

    /// Transport protocol on one side.
    pub fn protocol_at(&self, side: Side) -> Box<str> {
        match self.srtp_at(side) {
            Some(SrtpPlan::Sdes(_)) => sdp::crypto::protected(&self.protocol).into(),
            Some(SrtpPlan::Dtls(dtls)) => dtls.protocol.clone(),
            None => self.protocol.clone(),
        }
    }
}

/// SRTP between UE and gateway (e2ae, TS 33.328 5.4).
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum SrtpPlan {
    /// Signalling tells the keys.
    Sdes(SdesPlan),
    /// A handshake over the addresses of the media does.
    Dtls(DtlsPlan),
}

impl SrtpPlan {
    /// Transport protocol of media in the clear, from that of media protected so; `None` when it is
    /// protected otherwise or not at all.
    pub fn unprotected(&self, protocol: &str) -> Option<&'static str> {
        match self {
            SrtpPlan::Sdes(_) => sdp::crypto::unprotected(protocol),
            SrtpPlan::Dtls(_) => sdp::dtls::unprotected(protocol),
        }
    }

    /// By security descriptions.
    pub fn sdes(&self) -> Option<&SdesPlan> {
        match self {
            SrtpPlan::Sdes(plan) => Some(plan),
            SrtpPlan::Dtls(_) => None,
        }
    }

    /// By handshakes.
    pub fn dtls(&self) -> Option<&DtlsPlan> {
        match self {
            SrtpPlan::Sdes(_) => None,
            SrtpPlan::Dtls(plan) => Some(plan),
        }
    }
}

/// SRTP by security descriptions: values of `a=crypto`, each with the key that its side sends with
/// (RFC 4568).
///
/// `Debug` does not show them.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct SdesPlan {
    /// The gateway's, which the UE is told.
    pub local: Box<str>,
    /// The UE's; unknown before its answer.
    pub remote: Option<Box<str>>,
}

impl fmt::Debug for SdesPlan {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("SdesPlan").finish_non_exhaustive()
    }
}

/// DTLS-SRTP (RFC 5763). The gateway has a certificate of its own, whose fingerprint it tells
/// ([`Locals::fingerprint`]).
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct DtlsPlan {
    /// Transport protocol of the `m=` line on the UE's side.
    pub protocol: Box<str>,
    /// Who begins, seen from the gateway.
    pub setup: DtlsSetup,
    /// The UE's certificates, values of `a=fingerprint`; none before its answer.
    pub fingerprints: Vec<Box<str>>,
    /// `a=tls-id` of the UE (RFC 8842 3).
    pub tls_id: Option<Box<str>>,
}

/// `a=setup` of the gateway (RFC 4145 4).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum DtlsSetup {
    /// Whichever the answer leaves.
    ActPass,
    /// The gateway begins.
    Active,
    /// The UE begins.
    Passive,
}

impl From<DtlsSetup> for sdp::dtls::Setup {
    fn from(setup: DtlsSetup) -> Self {
        match setup {
            DtlsSetup::ActPass => Self::ActPass,
            DtlsSetup::Active => Self::Active,
            DtlsSetup::Passive => Self::Passive,
        }
    }
}

/// The desired state of one stream at one termination.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct SidePlan {
    /// Where the peer wants its media; unknown before the answer.
    pub remote: Option<Endpoint>,
    /// Whether media passes, seen from the gateway (H.248.1 7.1.7).
    pub mode: Mode,
    /// Learn the peer's address from the first valid packet (`ipnapt/latch`).
    pub latch: bool,
    /// The peer is told that RTCP may share the port of RTP (`a=rtcp-mux`, RFC 5761): it does where
    /// the peer says so too.
    pub mux: bool,
}

impl SidePlan {
    /// Nothing is known of the peer.
    pub const IDLE: SidePlan = SidePlan {
        remote: None,
        mode: Mode::SendReceive,
        latch: false,
        mux: false,
    };

    /// RTP and RTCP share a port.
    pub fn is_muxed(&self) -> bool {
        self.mux && self.remote.is_some_and(|remote| remote.mux)
    }
}

/// An RTP endpoint.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct Endpoint {
    /// RTP.
    pub rtp: SocketAddr,
    /// RTCP where it is not at the next port.
    pub rtcp: Option<SocketAddr>,
    /// It says that RTCP may share the port of RTP (`a=rtcp-mux`).
    pub mux: bool,
}

impl From<SocketAddr> for Endpoint {
    fn from(rtp: SocketAddr) -> Self {
        Endpoint {
            rtp,
            rtcp: None,
            mux: false,
        }
    }
}

/// Stream mode (H.248.1 7.1.7), seen from the gateway: `SendOnly` sends out of the context.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub enum Mode {
    /// Both ways.
    SendReceive,
    /// Only towards the peer.
    SendOnly,
    /// Only from the peer.
    ReceiveOnly,
    /// Neither.
    Inactive,
}

impl Mode {
    /// The mode that sends and receives so.
    pub const fn new(sends: bool, receives: bool) -> Mode {
        match (sends, receives) {
            (true, true) => Mode::SendReceive,
            (true, false) => Mode::SendOnly,
            (false, true) => Mode::ReceiveOnly,
            (false, false) => Mode::Inactive,
        }
    }

    /// The same, and sends.
    #[must_use]
    pub const fn and_sending(self) -> Mode {
        Mode::new(true, matches!(self, Mode::SendReceive | Mode::ReceiveOnly))
    }

    /// The same, and receives.
    #[must_use]
    pub const fn and_receiving(self) -> Mode {
        Mode::new(matches!(self, Mode::SendReceive | Mode::SendOnly), true)
    }
}

/// What the gateway tells of itself.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Locals {
    /// Where it receives, per stream and side, in the order of [`Side::BOTH`].
    pub addresses: Vec<[Option<SocketAddr>; 2]>,
    /// Its certificates towards the UE, values of `a=fingerprint`, of the streams with DTLS.
    pub fingerprints: BTreeMap<usize, Box<str>>,
}

impl Locals {
    /// Without certificates.
    pub fn at(addresses: Vec<[Option<SocketAddr>; 2]>) -> Self {
        Self {
            addresses,
            ..Self::default()
        }
    }

    /// Where a stream is received on one side.
    pub fn get(&self, stream: usize, side: Side) -> Option<SocketAddr> {
        self.addresses.get(stream)?[side.index()]
    }

    /// The certificate that the UE is shown of a stream.
    pub fn fingerprint(&self, stream: usize) -> Option<&str> {
        self.fingerprints.get(&stream).map(|text| &**text)
    }

    /// Every address.
    pub fn addresses(&self) -> impl Iterator<Item = SocketAddr> {
        self.addresses.iter().flatten().flatten().copied()
    }
}

/// Why media could not be had.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum AnchorError {
    /// No media gateway is in service.
    NoGateway,
    /// The gateway did not answer.
    Timeout,
    /// The gateway refused with this H.248.8 error code.
    Refused(u16),
    /// The gateway answered something that does not fit the request.
    Nonsense,
    /// There is no context: the gateway restarted, or the anchor is gone.
    Lost,
    /// A named maximum of the MGC is reached.
    Limit,
    /// The gateways say that they are overloaded, and have what they may get (H.248.11).
    Overload,
    /// Another plan is on its way into force: one at a time.
    Busy,
    /// The rooms are at different gateways.
    Elsewhere,
}

/// What the MGC tells the entity that owns an anchor.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum AnchorEvent {
    /// The plan is in force; these are the gateway's addresses.
    Applied(Locals),
    /// The plan is not in force. What was before still is; if nothing was, the anchor is gone.
    Failed(AnchorError),
    /// The context is gone without being asked, and the anchor with it, whatever was on its way.
    Lost,
    /// No media came from the UE for so long that the call is taken to hang.
    Inactive,
}
