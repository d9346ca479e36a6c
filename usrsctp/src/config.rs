//! What an endpoint is told once.

use std::net::IpAddr;
use std::time::Duration;

/// UDP port of encapsulated SCTP, RFC 6951 6.
pub const ENCAPSULATION_PORT: u16 = 9899;

/// What carries SCTP packets, the same for all endpoints of a process.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Carrier {
    /// IP, protocol 132.
    Raw,
    /// UDP, RFC 6951.
    Udp {
        /// Our port, at every address of the host. One process has it.
        local: u16,
        /// The port of peers to which we connect; of those that connect to us it is seen.
        peer: u16,
    },
}

/// An endpoint.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Config {
    /// Addresses, at least one; interfaces of this host must have had them when the process opened
    /// its first endpoint.
    pub addresses: Vec<IpAddr>,
    /// SCTP port.
    pub port: u16,
    /// What carries packets.
    pub carrier: Carrier,
    /// Whether peers may connect.
    pub listens: bool,
    /// Streams each way, as many as the peer grants.
    pub streams: u16,
    /// Longest message in octets, either way. Who sends a longer one is cut off.
    pub message_len_max: usize,
    /// Timers and counters.
    pub timing: Timing,
}

/// Timers and counters of RFC 9260 16.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Timing {
    /// RTO.Initial.
    pub rto_initial: Duration,
    /// RTO.Min.
    pub rto_min: Duration,
    /// RTO.Max.
    pub rto_max: Duration,
    /// HB.interval: how often a path is tried on which nothing is sent.
    pub heartbeat: Duration,
    /// Path.Max.Retrans: a path on which more in a row were in vain has failed.
    pub path_retransmissions_max: u16,
    /// Association.Max.Retrans: so over all paths.
    pub association_retransmissions_max: u16,
    /// Max.Init.Retransmits.
    pub init_retransmissions_max: u16,
}

impl Timing {
    /// Values for signalling within an operator's network, where the RFC's are for any: a path that
    /// is cut is given up after about 3 s with traffic, and after 10 s without.
    pub const SIGNALLING: Timing = Timing {
        rto_initial: Duration::from_millis(500),
        rto_min: Duration::from_millis(200),
        rto_max: Duration::from_millis(1000),
        heartbeat: Duration::from_millis(2000),
        path_retransmissions_max: 2,
        association_retransmissions_max: 8,
        init_retransmissions_max: 4,
    };
}
