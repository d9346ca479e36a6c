//! Transport rules of RFC 3261 18: where responses go, and which requests are too long for UDP.

use std::net::{IpAddr, SocketAddr};

use super::default_port;
use crate::header::Transport;
use crate::{EditError, Host, Message, Via};

/// Longest request for UDP where the path MTU is not known: RFC 3261 18.1.1.
pub const REQUEST_BYTES_UDP_MAX: usize = 1300;

/// How close to a known path MTU a request over UDP may come: RFC 3261 18.1.1.
const MTU_MARGIN: usize = 200;

/// The transport a request of `bytes` octets must take: TCP in place of UDP when it is within 200
/// octets of the path MTU, or longer than [`REQUEST_BYTES_UDP_MAX`] where that is unknown (RFC 3261
/// 18.1.1).
///
/// The topmost Via must name what is returned. Where the peer refuses the connection, UDP may be
/// tried.
pub fn request_transport(transport: Transport, bytes: usize, path_mtu: Option<usize>) -> Transport {
    let most = path_mtu.map_or(REQUEST_BYTES_UDP_MAX, |mtu| mtu.saturating_sub(MTU_MARGIN));
    match transport {
        Transport::Udp if bytes > most => Transport::Tcp,
        other => other,
    }
}

/// Writes `received` and `rport` into the topmost Via of a request from `source`: RFC 3261 18.2.1,
/// RFC 3581 4.
///
/// `None` when nothing is to be written. Values that the sender put there itself are overwritten.
///
/// # Errors
/// The topmost Via is missing or malformed.
pub fn mark_source(request: &Message, source: SocketAddr) -> Result<Option<Message>, EditError> {
    let via = request.top_via().map_err(EditError::Source)?;
    let ip = source.ip().to_canonical();
    let same = via.host.ip().map(|ip| ip.to_canonical()) == Some(ip);
    let has_received = via.params.contains("received");
    if same && !via.wants_rport() && !has_received {
        return Ok(None);
    }
    let mut draft = request.edit();
    draft.set_top_via_param("received", &ip.to_string());
    if via.wants_rport() {
        draft.set_top_via_param("rport", &source.port().to_string());
    }
    draft.finish().map(Some)
}

/// Where the responses to a request go: RFC 3261 18.2.2.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ResponseRoute<'a> {
    /// Use the connection the request came over, while it is open.
    pub same_connection: bool,
    /// Over a datagram transport, or when that connection is gone.
    pub target: ResponseTarget<'a>,
}

/// An address, or a name that must be located.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ResponseTarget<'a> {
    /// Send there.
    Address(SocketAddr),
    /// Look the sent-by up: [`super::Locator::of_sent_by`] (RFC 3263 5).
    SentBy(Host<'a>),
    /// Send to this multicast group with this TTL.
    Multicast(SocketAddr, u8),
}

impl<'a> ResponseRoute<'a> {
    /// Reads the topmost Via of the request, marked by [`mark_source`]; it came over `transport`.
    pub fn of(via: &Via<'a>, transport: Transport) -> Self {
        let port = via.port.unwrap_or(default_port(transport));
        let same_connection = transport.is_reliable();
        let maddr = via.maddr().filter(|_| !same_connection);
        let target = match (maddr.and_then(Host::ip), via.received()) {
            (Some(group), _) if group.is_multicast() => {
                let ttl = via.ttl().unwrap_or(1);
                ResponseTarget::Multicast(SocketAddr::new(group, port), ttl)
            }
            (Some(ip), _) => ResponseTarget::Address(SocketAddr::new(ip, port)),
            (None, Some(received)) => {
                // A connection is reopened to the sent-by port: rport was that of the old one.
                let rport = via.rport().filter(|_| !same_connection);
                ResponseTarget::Address(SocketAddr::new(received, rport.unwrap_or(port)))
            }
            (None, None) => sent_by(via.host, port),
        };
        Self {
            same_connection,
            target,
        }
    }
}

fn sent_by(host: Host<'_>, port: u16) -> ResponseTarget<'_> {
    let ip: Option<IpAddr> = host.ip();
    ip.map_or(ResponseTarget::SentBy(host), |ip| {
        ResponseTarget::Address(SocketAddr::new(ip, port))
    })
}
