//! Messages of rtnetlink (RFC 3549): what is asked of the kernel as router, and its answers.

use inet::MacAddress;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

/// What the kernel tells.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(super) enum News {
    /// An interface is there, or has changed.
    Link(Link),
    /// An interface is gone.
    LinkGone(u32),
    /// An interface has an address.
    Address { interface: u32, address: IpAddr },
    /// A way, asked for.
    Route(Route),
    /// A neighbour is there, or has changed.
    Neighbour(Neighbour),
    /// A neighbour is forgotten.
    NeighbourGone { interface: u32, address: IpAddr },
    /// Addresses, routes or rules are not what they were.
    Changed,
    /// The end of an answer in several messages.
    Done,
    /// The request is fulfilled (0) or refused (a negated `errno`).
    Error(i32),
}

/// An interface.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) struct Link {
    pub(super) index: u32,
    /// Switched on, and the other side is there.
    pub(super) is_up: bool,
    pub(super) mac: Option<MacAddress>,
    pub(super) mtu: u32,
    /// The interface that this one is a VLAN of, and which.
    pub(super) vlan_of: Option<(u32, u16)>,
}

/// Where packets to an address go.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) struct Route {
    /// An ordinary way to one host.
    pub(super) is_unicast: bool,
    /// By this interface,
    pub(super) interface: Option<u32>,
    /// to this router; none: to the host itself.
    pub(super) gateway: Option<IpAddr>,
}

/// What is known of a host on the link.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) struct Neighbour {
    pub(super) interface: u32,
    pub(super) address: IpAddr,
    pub(super) state: u16,
    pub(super) mac: Option<MacAddress>,
}

/// States of neighbours, linux/neighbour.h.
pub(super) mod state {
    pub(in super::super) const STALE: u16 = 0x04;
    pub(in super::super) const FAILED: u16 = 0x20;
    /// Reachable, stale, delay, probe, no ARP needed, permanent.
    pub(in super::super) const WITH_MAC: u16 = 0x02 | STALE | 0x08 | 0x10 | 0x40 | 0x80;
}

/// All interfaces.
pub(super) fn links() -> Vec<u8> {
    request(kind::GET_LINK, flag::DUMP, &[0; LINK_HEADER_BYTES], &[])
}

/// All addresses of all interfaces.
pub(super) fn addresses() -> Vec<u8> {
    request(
        kind::GET_ADDRESS,
        flag::DUMP,
        &[0; ADDRESS_HEADER_BYTES],
        &[],
    )
}

/// The way from one of our addresses to another; `scope` is the interface of a link-local
/// destination, else 0.
pub(super) fn route(source: IpAddr, destination: IpAddr, scope: u32) -> Vec<u8> {
    let mut header = [0; ROUTE_HEADER_BYTES];
    header[0] = family(destination);
    let bits = if destination.is_ipv4() { 32 } else { 128 };
    (header[1], header[2]) = (bits, bits);
    let (source, destination) = (octets(source), octets(destination));
    let scope_bytes = scope.to_ne_bytes();
    let mut attributes: Vec<(u16, &[u8])> = vec![
        (route_attribute::DESTINATION, &destination),
        (route_attribute::SOURCE, &source),
    ];
    if scope != 0 {
        attributes.push((route_attribute::OUT, &scope_bytes));
    }
    request(kind::GET_ROUTE, 0, &header, &attributes)
}

/// What is known of one neighbour.
pub(super) fn neighbour(interface: u32, address: IpAddr) -> Vec<u8> {
    let mut header = [0; NEIGHBOUR_HEADER_BYTES];
    header[0] = family(address);
    header[4..8].copy_from_slice(&interface.to_ne_bytes());
    let octets = octets(address);
    let attributes: [(u16, &[u8]); 1] = [(neighbour_attribute::ADDRESS, &octets)];
    request(kind::GET_NEIGHBOUR, 0, &header, &attributes)
}

/// Numbers a question.
pub(super) fn set_sequence(question: &mut [u8], sequence: u32) {
    if let Some(field) = question.get_mut(SEQUENCE) {
        field.copy_from_slice(&sequence.to_ne_bytes());
    }
}

/// The number of the question that this is an answer to.
pub(super) fn sequence(answer: &[u8]) -> Option<u32> {
    number(answer, SEQUENCE.start)
}

/// The messages in what was received; what is broken or unknown is left out.
pub(super) fn parse(mut bytes: &[u8]) -> impl Iterator<Item = News> + '_ {
    std::iter::from_fn(move || {
        loop {
            let length = number(bytes, 0)? as usize;
            if length < MESSAGE_HEADER_BYTES || length > bytes.len() {
                return None;
            }
            let (message, rest) = bytes.split_at(length);
            bytes = rest.get(aligned(length) - length..).unwrap_or_default();
            let kind = half(message, 4)?;
            if let Some(news) = body(kind, &message[MESSAGE_HEADER_BYTES..]) {
                return Some(news);
            }
        }
    })
}

fn body(kind: u16, body: &[u8]) -> Option<News> {
    match kind {
        kind::ERROR => Some(News::Error(number(body, 0)? as i32)),
        kind::DONE => Some(News::Done),
        kind::NEW_LINK => link(body).map(News::Link),
        kind::DELETE_LINK => Some(News::LinkGone(number(body, 4)?)),
        kind::NEW_ADDRESS => address(body),
        kind::NEW_ROUTE => route_body(body).map(News::Route),
        kind::NEW_NEIGHBOUR => neighbour_body(body).map(News::Neighbour),
        kind::DELETE_NEIGHBOUR => {
            let neighbour = neighbour_body(body)?;
            Some(News::NeighbourGone {
                interface: neighbour.interface,
                address: neighbour.address,
            })
        }
        kind::DELETE_ADDRESS | kind::DELETE_ROUTE | kind::NEW_RULE | kind::DELETE_RULE => {
            Some(News::Changed)
        }
        _ => None,
    }
}

/// struct ifinfomsg and what follows it.
fn link(body: &[u8]) -> Option<Link> {
    const UP_AND_LOWER_UP: u32 = 0x1 | 0x1_0000;
    let mut link = Link {
        index: number(body, 4)?,
        is_up: number(body, 8)? & UP_AND_LOWER_UP == UP_AND_LOWER_UP,
        mac: None,
        mtu: 0,
        vlan_of: None,
    };
    let (mut parent, mut vlan) = (None, None);
    for (kind, value) in attributes(body.get(LINK_HEADER_BYTES..)?) {
        match kind {
            link_attribute::ADDRESS => link.mac = mac(value),
            link_attribute::MTU => link.mtu = number(value, 0).unwrap_or(0),
            link_attribute::PARENT => parent = number(value, 0),
            link_attribute::INFORMATION => vlan = vlan_of(value),
            _ => {}
        }
    }
    link.vlan_of = parent.zip(vlan);
    Some(link)
}

/// The identifier, if this describes a VLAN.
fn vlan_of(information: &[u8]) -> Option<u16> {
    let find = |bytes, wanted| attributes(bytes).find(|(kind, _)| *kind == wanted);
    let (_, kind) = find(information, link_attribute::INFORMATION_KIND)?;
    let (_, data) = find(information, link_attribute::INFORMATION_DATA)?;
    if kind.strip_suffix(&[0]).unwrap_or(kind) != b"vlan" {
        return None;
    }
    let (_, vlan) = find(data, link_attribute::VLAN_IDENTIFIER)?;
    half(vlan, 0)
}

/// struct ifaddrmsg and what follows it.
fn address(body: &[u8]) -> Option<News> {
    let interface = number(body, 4)?;
    let (mut local, mut address) = (None, None);
    for (kind, value) in attributes(body.get(ADDRESS_HEADER_BYTES..)?) {
        match kind {
            address_attribute::LOCAL => local = ip(value),
            address_attribute::ADDRESS => address = ip(value),
            _ => {}
        }
    }
    // On a point-to-point interface the one is ours and the other the peer's.
    let address = local.or(address)?;
    Some(News::Address { interface, address })
}

/// struct rtmsg and what follows it.
fn route_body(body: &[u8]) -> Option<Route> {
    const UNICAST: u8 = 1;
    let mut route = Route {
        is_unicast: *body.get(7)? == UNICAST,
        interface: None,
        gateway: None,
    };
    for (kind, value) in attributes(body.get(ROUTE_HEADER_BYTES..)?) {
        match kind {
            route_attribute::OUT => route.interface = number(value, 0),
            route_attribute::GATEWAY => route.gateway = ip(value),
            // A router of the other family: behind its family, its address.
            route_attribute::VIA => route.gateway = value.get(2..).and_then(ip),
            _ => {}
        }
    }
    Some(route)
}

/// struct ndmsg and what follows it.
fn neighbour_body(body: &[u8]) -> Option<Neighbour> {
    let (interface, state) = (number(body, 4)?, half(body, 8)?);
    let (mut address, mut hardware) = (None, None);
    for (kind, value) in attributes(body.get(NEIGHBOUR_HEADER_BYTES..)?) {
        match kind {
            neighbour_attribute::ADDRESS => address = ip(value),
            neighbour_attribute::HARDWARE => hardware = mac(value),
            _ => {}
        }
    }
    Some(Neighbour {
        interface,
        address: address?,
        state,
        mac: hardware,
    })
}

fn request(kind: u16, flags: u16, header: &[u8], attributes: &[(u16, &[u8])]) -> Vec<u8> {
    let mut bytes = vec![0; MESSAGE_HEADER_BYTES];
    bytes.extend(header);
    for (kind, value) in attributes {
        let length = ATTRIBUTE_HEADER_BYTES + value.len();
        bytes.extend((length as u16).to_ne_bytes());
        bytes.extend(kind.to_ne_bytes());
        bytes.extend(*value);
        bytes.resize(aligned(bytes.len()), 0);
    }
    let length = bytes.len() as u32;
    bytes[..4].copy_from_slice(&length.to_ne_bytes());
    bytes[4..6].copy_from_slice(&kind.to_ne_bytes());
    bytes[6..8].copy_from_slice(&(flags | flag::REQUEST).to_ne_bytes());
    bytes
}

/// Kinds and values; ends where something is broken.
fn attributes(mut bytes: &[u8]) -> impl Iterator<Item = (u16, &[u8])> + '_ {
    const NESTED_AND_ORDER: u16 = 0xc000;
    std::iter::from_fn(move || {
        let (length, kind) = (usize::from(half(bytes, 0)?), half(bytes, 2)?);
        let value = bytes.get(ATTRIBUTE_HEADER_BYTES..length)?;
        bytes = bytes.get(aligned(length)..).unwrap_or_default();
        Some((kind & !NESTED_AND_ORDER, value))
    })
}

fn number(bytes: &[u8], offset: usize) -> Option<u32> {
    let bytes = bytes.get(offset..offset + 4)?;
    Some(u32::from_ne_bytes(bytes.try_into().ok()?))
}

fn half(bytes: &[u8], offset: usize) -> Option<u16> {
    let bytes = bytes.get(offset..offset + 2)?;
    Some(u16::from_ne_bytes(bytes.try_into().ok()?))
}

fn mac(bytes: &[u8]) -> Option<MacAddress> {
    bytes.try_into().ok().map(MacAddress)
}

fn ip(bytes: &[u8]) -> Option<IpAddr> {
    if let Ok(octets) = <[u8; 4]>::try_from(bytes) {
        return Some(Ipv4Addr::from(octets).into());
    }
    let octets = <[u8; 16]>::try_from(bytes).ok()?;
    Some(Ipv6Addr::from(octets).into())
}

fn octets(address: IpAddr) -> Vec<u8> {
    match address {
        IpAddr::V4(address) => address.octets().to_vec(),
        IpAddr::V6(address) => address.octets().to_vec(),
    }
}

/// AF_INET and AF_INET6 of Linux.
fn family(address: IpAddr) -> u8 {
    if address.is_ipv4() { 2 } else { 10 }
}

/// Messages and attributes begin at multiples of four.
fn aligned(length: usize) -> usize {
    length.next_multiple_of(4)
}

const MESSAGE_HEADER_BYTES: usize = 16;
const SEQUENCE: std::ops::Range<usize> = 8..12;
const ATTRIBUTE_HEADER_BYTES: usize = 4;
const LINK_HEADER_BYTES: usize = 16;
const ADDRESS_HEADER_BYTES: usize = 8;
const ROUTE_HEADER_BYTES: usize = 12;
const NEIGHBOUR_HEADER_BYTES: usize = 12;

mod flag {
    pub(super) const REQUEST: u16 = 0x1;
    pub(super) const DUMP: u16 = 0x300;
}

/// linux/rtnetlink.h.
mod kind {
    pub(super) const ERROR: u16 = 2;
    pub(super) const DONE: u16 = 3;
    pub(super) const NEW_LINK: u16 = 16;
    pub(super) const DELETE_LINK: u16 = 17;
    pub(super) const GET_LINK: u16 = 18;
    pub(super) const NEW_ADDRESS: u16 = 20;
    pub(super) const DELETE_ADDRESS: u16 = 21;
    pub(super) const GET_ADDRESS: u16 = 22;
    pub(super) const NEW_ROUTE: u16 = 24;
    pub(super) const DELETE_ROUTE: u16 = 25;
    pub(super) const GET_ROUTE: u16 = 26;
    pub(super) const NEW_NEIGHBOUR: u16 = 28;
    pub(super) const DELETE_NEIGHBOUR: u16 = 29;
    pub(super) const GET_NEIGHBOUR: u16 = 30;
    pub(super) const NEW_RULE: u16 = 32;
    pub(super) const DELETE_RULE: u16 = 33;
}

/// linux/if_link.h.
mod link_attribute {
    pub(super) const ADDRESS: u16 = 1;
    pub(super) const MTU: u16 = 4;
    pub(super) const PARENT: u16 = 5;
    pub(super) const INFORMATION: u16 = 18;
    pub(super) const INFORMATION_KIND: u16 = 1;
    pub(super) const INFORMATION_DATA: u16 = 2;
    pub(super) const VLAN_IDENTIFIER: u16 = 1;
}

mod address_attribute {
    pub(super) const ADDRESS: u16 = 1;
    pub(super) const LOCAL: u16 = 2;
}

mod route_attribute {
    pub(super) const DESTINATION: u16 = 1;
    pub(super) const SOURCE: u16 = 2;
    pub(super) const OUT: u16 = 4;
    pub(super) const GATEWAY: u16 = 5;
    pub(super) const VIA: u16 = 18;
}

mod neighbour_attribute {
    pub(super) const ADDRESS: u16 = 1;
    pub(super) const HARDWARE: u16 = 2;
}

#[cfg(test)]
mod tests {
    use super::*;
    use af_xdp::{Groups, RouteSocket};
    use std::time::Duration;

    /// What the kernel answers to a request, message by message, bytes too.
    fn ask(request: &[u8]) -> (Vec<u8>, Vec<News>) {
        let socket = RouteSocket::open(Groups::None, Duration::from_secs(5)).unwrap();
        socket.send(request).unwrap();
        let (mut bytes, mut news) = (Vec::new(), Vec::new());
        let mut buffer = [0; 32_768];
        loop {
            let length = socket.receive(&mut buffer).unwrap();
            bytes.extend(&buffer[..length]);
            news.extend(parse(&buffer[..length]));
            let is_single = request[4] == kind::GET_ROUTE as u8;
            if is_single || matches!(news.last(), Some(News::Done | News::Error(_))) {
                return (bytes, news);
            }
        }
    }

    #[test]
    fn the_loopback_interface_its_address_and_the_way_there_are_read() {
        let (_, links) = ask(&links());
        let lo = links.iter().find_map(|news| match news {
            News::Link(link) if link.index == 1 => Some(*link),
            _ => None,
        });
        let lo = lo.expect("every host has one");
        assert!(lo.is_up && lo.mtu >= 1500 && lo.vlan_of.is_none());
        let local: IpAddr = [127, 0, 0, 1].into();
        let (_, addresses) = ask(&addresses());
        assert!(addresses.contains(&News::Address {
            interface: 1,
            address: local
        }));
        let (_, route) = ask(&route(local, local, 0));
        let expected = Route {
            is_unicast: false,
            interface: Some(1),
            gateway: None,
        };
        assert_eq!(route, [News::Route(expected)]);
    }

    #[test]
    fn what_is_not_there_is_refused_by_the_kernel() {
        let (_, news) = ask(&neighbour(1, [192, 0, 2, 77].into()));
        assert!(
            matches!(news[..], [News::Error(code)] if code < 0),
            "{news:?}"
        );
    }

    #[test]
    fn broken_messages_end_the_parsing_and_nothing_else() {
        for request in [links(), addresses()] {
            let (bytes, whole) = ask(&request);
            let bytes = &bytes[..bytes.len().min(2048)];
            for length in 0..bytes.len() {
                assert!(parse(&bytes[..length]).count() <= whole.len());
            }
            for bit in 0..bytes.len() * 8 {
                let mut bytes = bytes.to_vec();
                bytes[bit / 8] ^= 1 << (bit % 8);
                assert!(parse(&bytes).count() <= bytes.len());
            }
        }
    }

    #[test]
    fn a_vlan_is_told_from_other_interfaces_with_a_parent() {
        let attribute = |kind: u16, value: &[u8]| {
            let mut bytes = ((4 + value.len()) as u16).to_ne_bytes().to_vec();
            bytes.extend(kind.to_ne_bytes());
            bytes.extend(value);
            bytes.resize(aligned(bytes.len()), 0);
            bytes
        };
        let link_of = |kind: &[u8]| {
            let data = attribute(1, &100_u16.to_ne_bytes());
            let information = [attribute(1, kind), attribute(2, &data)].concat();
            let mut body = vec![0; 16];
            body[4] = 7;
            body.extend(attribute(5, &3_u32.to_ne_bytes()));
            body.extend(attribute(0x8000 | 18, &information));
            body.extend(attribute(1, &[2, 0, 0, 0, 0, 1]));
            link(&body).unwrap()
        };
        let vlan = link_of(b"vlan\0");
        assert_eq!((vlan.index, vlan.vlan_of), (7, Some((3, 100))));
        assert_eq!(vlan.mac, Some(MacAddress([2, 0, 0, 0, 0, 1])));
        assert_eq!(link_of(b"veth\0").vlan_of, None);
    }
}
