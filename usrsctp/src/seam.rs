//! Between the library and the system: two system calls of the library that pass this crate,
//! because the build renames them (`build.rs`).
//!
//! `socket`: no raw sockets where packets go in UDP, so that SCTP of other processes is left alone.
//! `sendmsg`: packets leave from an address of their endpoint from which there is a route.

use std::ffi::c_int;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr, UdpSocket};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use crate::address;

/// Octets of an IPv4 header as the library writes it: without options.
const IPV4_HEADER_LEN: usize = 20;
/// Its source address.
const IPV4_SOURCE: usize = 12;
/// How long an answer of the system about a route is good.
const ROUTE_GOOD_FOR: Duration = Duration::from_secs(1);
/// Answers kept for each port.
const ROUTES_MAX: usize = 256;
/// A port to ask for a route with; nothing is sent there.
const ANY_PORT: u16 = 9;

static WANTS_RAW: AtomicBool = AtomicBool::new(false);
static PORTS: Mutex<Vec<Port>> = Mutex::new(Vec::new());

/// The SCTP port of an endpoint.
struct Port {
    number: u16,
    addresses: Vec<IpAddr>,
    routes: Vec<Route>,
}

/// From which address a destination is reached.
#[derive(Clone, Copy)]
struct Route {
    to: IpAddr,
    from: IpAddr,
    until: Instant,
}

/// Says whether the library may open raw sockets.
pub(crate) fn set_raw(wants_raw: bool) {
    WANTS_RAW.store(wants_raw, Ordering::Release);
}

/// Takes a port for an endpoint with these addresses; false when another one of the process has it.
pub(crate) fn claim(number: u16, addresses: &[IpAddr]) -> bool {
    let mut ports = ports();
    if ports.iter().any(|port| port.number == number) {
        return false;
    }
    ports.push(Port {
        number,
        addresses: addresses.to_vec(),
        routes: Vec::new(),
    });
    true
}

/// Gives a port back.
pub(crate) fn release(number: u16) {
    ports().retain(|port| port.number != number);
}

fn ports() -> MutexGuard<'static, Vec<Port>> {
    PORTS.lock().unwrap_or_else(PoisonError::into_inner)
}

/// The address from which a packet of this port is to go to `to`.
fn source(number: u16, to: IpAddr) -> Option<IpAddr> {
    let mut ports = ports();
    let port = ports.iter_mut().find(|port| port.number == number)?;
    port.source(to)
}

impl Port {
    fn source(&mut self, to: IpAddr) -> Option<IpAddr> {
        let is_same = |each: &&IpAddr| each.is_ipv4() == to.is_ipv4();
        let mut own = self.addresses.iter().filter(is_same);
        let first = *own.next()?;
        if own.next().is_none() {
            return Some(first);
        }
        let now = Instant::now();
        let known = self.routes.iter().find(|route| route.to == to);
        if let Some(route) = known.filter(|route| now < route.until) {
            return Some(route.from);
        }
        let routed = route(to).filter(|from| self.addresses.contains(from));
        let from = routed.unwrap_or_else(|| nearest(&self.addresses, to).unwrap_or(first));
        let until = now + ROUTE_GOOD_FOR;
        self.routes
            .retain(|route| route.to != to && now < route.until);
        if self.routes.len() < ROUTES_MAX {
            self.routes.push(Route { to, from, until });
        }
        Some(from)
    }
}

/// The address that the system would send from.
fn route(to: IpAddr) -> Option<IpAddr> {
    let any: IpAddr = match to {
        IpAddr::V4(_) => Ipv4Addr::UNSPECIFIED.into(),
        IpAddr::V6(_) => Ipv6Addr::UNSPECIFIED.into(),
    };
    let socket = UdpSocket::bind((any, 0)).ok()?;
    socket.connect((to, ANY_PORT)).ok()?;
    Some(socket.local_addr().ok()?.ip())
}

/// The one of these addresses that begins like `to` for longest; the first of several.
fn nearest(addresses: &[IpAddr], to: IpAddr) -> Option<IpAddr> {
    let common = |from: &IpAddr| match (from, to) {
        (IpAddr::V4(from), IpAddr::V4(to)) => (from.to_bits() ^ to.to_bits()).leading_zeros(),
        (IpAddr::V6(from), IpAddr::V6(to)) => (from.to_bits() ^ to.to_bits()).leading_zeros(),
        _ => 0,
    };
    let same = addresses
        .iter()
        .filter(|each| each.is_ipv4() == to.is_ipv4());
    // Of equals `max_by_key` takes the last.
    same.rev().max_by_key(|from| common(from)).copied()
}

/// Where a packet goes and what carries it, as far as it matters here.
struct Packet<'a> {
    to: SocketAddr,
    parts: &'a [libc::iovec],
}

impl Packet<'_> {
    /// The library writes IPv4 headers itself, and gives no port with them.
    fn has_ipv4_header(&self) -> bool {
        self.to.is_ipv4() && self.to.port() == 0
    }

    /// The SCTP source port: the first two octets behind the IPv4 header, if there is one.
    fn port(&self) -> Option<u16> {
        let start = if self.has_ipv4_header() {
            IPV4_HEADER_LEN
        } else {
            0
        };
        Some(u16::from_be_bytes([
            self.octet(start)?,
            self.octet(start + 1)?,
        ]))
    }

    fn octet(&self, mut at: usize) -> Option<u8> {
        for part in self.parts {
            if at < part.iov_len {
                // SAFETY: the parts are readable for their lengths as long as the packet lives.
                let octets = unsafe { octets(part.iov_base.cast(), part.iov_len) };
                return octets.get(at).copied();
            }
            at -= part.iov_len;
        }
        None
    }
}

/// A control message that tells the source of a datagram (ip(7), ipv6(7)), laid out like a
/// `cmsghdr` with its data.
#[repr(C)]
struct SourceMessage<T> {
    length: usize,
    level: c_int,
    kind: c_int,
    info: T,
}

impl<T> SourceMessage<T> {
    fn new(level: c_int, kind: c_int, info: T) -> Self {
        let length = size_of::<libc::cmsghdr>() + size_of::<T>();
        Self {
            length,
            level,
            kind,
            info,
        }
    }
}

const _: () = assert!(
    std::mem::offset_of!(SourceMessage<libc::in_pktinfo>, info) == size_of::<libc::cmsghdr>()
);

/// Stands in for `socket` of the library.
#[unsafe(no_mangle)]
extern "C" fn strowger_usrsctp_socket(domain: c_int, kind: c_int, protocol: c_int) -> c_int {
    if kind == libc::SOCK_RAW && !WANTS_RAW.load(Ordering::Acquire) {
        return -1;
    }
    // SAFETY: takes integers; the descriptor becomes the library's.
    unsafe { libc::socket(domain, kind | libc::SOCK_CLOEXEC, protocol) }
}

/// Stands in for `sendmsg` of the library.
///
/// # Safety
/// Like `sendmsg`'s: `message` and all that it points to must be valid for the call. Besides, its
/// first part must be writable, which the library's are: they are its packet buffers.
#[unsafe(no_mangle)]
unsafe extern "C" fn strowger_usrsctp_sendmsg(
    descriptor: c_int,
    message: *const libc::msghdr,
    flags: c_int,
) -> isize {
    // SAFETY: valid by the contract, and nobody changes it meanwhile.
    let header = unsafe { &*message };
    // SAFETY: name and its length belong together by the contract.
    let name = unsafe { octets(header.msg_name.cast(), header.msg_namelen as usize) };
    // SAFETY: so do the parts and their number.
    let parts = unsafe { slice(header.msg_iov, header.msg_iovlen) };
    let from = address::decode(name).and_then(|(to, _)| {
        let packet = Packet { to, parts };
        let from = source(packet.port()?, to.ip())?;
        Some((from, packet.has_ipv4_header()))
    });
    let mut copy = *header;
    match from {
        Some((IpAddr::V4(from), true)) => {
            if let Some(first) = parts
                .first()
                .filter(|first| first.iov_len >= IPV4_HEADER_LEN)
            {
                // SAFETY: the header is within the part.
                let place = unsafe { first.iov_base.cast::<u8>().add(IPV4_SOURCE) };
                // SAFETY: so are the four octets of its source, which are writable by the contract
                // and overlap with none of ours.
                unsafe { place.copy_from_nonoverlapping(from.octets().as_ptr(), 4) };
            }
            // SAFETY: the caller's message.
            unsafe { libc::sendmsg(descriptor, message, flags) }
        }
        Some((IpAddr::V4(from), false)) => {
            let address = libc::in_addr {
                s_addr: u32::from(from).to_be(),
            };
            let info = libc::in_pktinfo {
                ipi_ifindex: 0,
                ipi_spec_dst: address,
                ipi_addr: address,
            };
            let mut control = SourceMessage::new(libc::IPPROTO_IP, libc::IP_PKTINFO, info);
            copy.msg_control = (&raw mut control).cast();
            copy.msg_controllen = size_of_val(&control) as _;
            // SAFETY: the caller's message with a control message that lives until the call is
            // over.
            unsafe { libc::sendmsg(descriptor, &raw const copy, flags) }
        }
        Some((IpAddr::V6(from), _)) => {
            let info = libc::in6_pktinfo {
                ipi6_addr: libc::in6_addr {
                    s6_addr: from.octets(),
                },
                ipi6_ifindex: 0,
            };
            let mut control = SourceMessage::new(libc::IPPROTO_IPV6, libc::IPV6_PKTINFO, info);
            copy.msg_control = (&raw mut control).cast();
            copy.msg_controllen = size_of_val(&control) as _;
            // SAFETY: as above.
            unsafe { libc::sendmsg(descriptor, &raw const copy, flags) }
        }
        // SAFETY: the caller's message.
        None => unsafe { libc::sendmsg(descriptor, message, flags) },
    }
}

/// # Safety
/// `first` must be readable for `count` octets, or null.
unsafe fn octets<'a>(first: *const u8, count: usize) -> &'a [u8] {
    // SAFETY: the caller's promise.
    unsafe { slice(first, count) }
}

/// # Safety
/// `first` must point to `count` values that nobody changes meanwhile, or be null.
unsafe fn slice<'a, T>(first: *const T, count: usize) -> &'a [T] {
    if first.is_null() {
        return &[];
    }
    // SAFETY: the caller's promise.
    unsafe { std::slice::from_raw_parts(first, count) }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn ip(text: &str) -> IpAddr {
        text.parse().unwrap()
    }

    fn part(octets: &mut [u8]) -> libc::iovec {
        libc::iovec {
            iov_base: octets.as_mut_ptr().cast(),
            iov_len: octets.len(),
        }
    }

    #[test]
    fn the_nearest_address_is_that_of_the_same_network() {
        let own = ["10.1.0.1", "10.2.0.1", "10.2.0.9", "fd00:1::1", "fd00:2::1"].map(ip);
        for (to, from) in [
            ("10.1.0.2", "10.1.0.1"),
            ("10.2.0.2", "10.2.0.1"),
            ("10.2.0.8", "10.2.0.9"),
            ("192.0.2.1", "10.1.0.1"),
            ("fd00:2::7", "fd00:2::1"),
        ] {
            assert_eq!(nearest(&own, ip(to)), Some(ip(from)), "{to}");
        }
        assert_eq!(nearest(&own[..3], ip("::1")), None);
    }

    #[test]
    fn packets_leave_from_an_address_of_their_port() {
        assert!(claim(7, &[ip("127.0.0.1"), ip("192.0.2.1"), ip("::1")]));
        assert!(!claim(7, &[ip("127.0.0.1")]));
        assert_eq!(source(7, ip("127.0.0.8")), Some(ip("127.0.0.1")));
        assert_eq!(source(7, ip("::1")), Some(ip("::1")));
        assert_eq!(source(8, ip("127.0.0.8")), None);
        release(7);
        assert_eq!(source(7, ip("127.0.0.8")), None);
    }

    #[test]
    fn the_port_is_found_wherever_the_parts_are_cut() {
        let mut octets = [0; IPV4_HEADER_LEN + 8];
        octets[IPV4_HEADER_LEN..][..2].copy_from_slice(&2944_u16.to_be_bytes());
        for cut in 0..octets.len() {
            let (first, second) = octets.split_at_mut(cut);
            let parts = [part(first), part(second)];
            for (to, port) in [("192.0.2.1:0", 2944), ("192.0.2.1:9899", 0), ("[::1]:0", 0)] {
                let packet = Packet {
                    to: to.parse().unwrap(),
                    parts: &parts,
                };
                assert_eq!(packet.port(), Some(port), "{to} cut at {cut}");
            }
        }
        let mut short = [0; IPV4_HEADER_LEN + 1];
        let packet = Packet {
            to: "192.0.2.1:0".parse().unwrap(),
            parts: &[part(&mut short)],
        };
        assert_eq!(packet.port(), None);
    }
}
