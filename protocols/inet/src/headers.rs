//! Everything before the payload of a datagram.

use crate::checksum::Sum;
use crate::ethernet::{EtherType, TAGGED_HEADER_BYTES};
use crate::{Link, ipv4, ipv6, udp};
use std::net::SocketAddr;

/// IP and UDP headers of the datagrams from one address and port to another.
///
/// They are made of these while they are written: nothing is worth keeping, and addresses are not
/// copied, since one that was just put together is read again only when it has left the processor's
/// store buffer.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Headers<'a> {
    from: &'a SocketAddr,
    /// Of the same family.
    to: &'a SocketAddr,
    traffic_class: u8,
}

impl<'a> Headers<'a> {
    /// Headers of datagrams from `local` to `remote`; `None` when they are not of one family.
    #[must_use]
    #[inline]
    pub fn new(local: &'a SocketAddr, remote: &'a SocketAddr) -> Option<Self> {
        Self::with_traffic_class(local, remote, 0)
    }

    /// The same with DSCP and ECN.
    #[must_use]
    #[inline]
    pub fn with_traffic_class(
        local: &'a SocketAddr,
        remote: &'a SocketAddr,
        traffic_class: u8,
    ) -> Option<Self> {
        (local.is_ipv4() == remote.is_ipv4()).then_some(Self {
            from: local,
            to: remote,
            traffic_class,
        })
    }

    /// Bytes of the IP and UDP headers.
    #[must_use]
    #[inline]
    pub fn bytes(&self) -> usize {
        let ip = match self.from {
            SocketAddr::V4(_) => ipv4::HEADER_BYTES,
            SocketAddr::V6(_) => ipv6::HEADER_BYTES,
        };
        ip + udp::HEADER_BYTES
    }

    /// Writes the link's, the IP and the UDP header before the payload, which is the
    /// `payload_bytes` of `memory` from `payload_start` on. Returns where the frame begins; `None`
    /// when there is not enough room or the payload is too long for UDP.
    #[must_use]
    #[inline]
    pub fn write_before(
        &self,
        link: &Link,
        memory: &mut [u8],
        payload_start: usize,
        payload_bytes: usize,
    ) -> Option<usize> {
        self.write_summed_before(link, memory, payload_start, payload_bytes, None)
    }

    /// The same where the sum over the payload may be known, which then is not read.
    #[must_use]
    #[inline(always)]
    pub fn write_summed_before(
        &self,
        link: &Link,
        memory: &mut [u8],
        payload_start: usize,
        payload_bytes: usize,
        payload_sum: Option<Sum>,
    ) -> Option<usize> {
        let (before, payload) = memory.split_at_mut_checked(payload_start)?;
        let payload = payload.get(..payload_bytes)?;
        let (before, ether_type) = self.write_at_end(before, payload, payload_sum)?;
        link.write_at_end(before, ether_type)
    }

    /// The same without a link's header: returns where the IP packet begins.
    #[must_use]
    pub fn write_packet_before(
        &self,
        memory: &mut [u8],
        payload_start: usize,
        payload_bytes: usize,
    ) -> Option<usize> {
        let (before, payload) = memory.split_at_mut_checked(payload_start)?;
        let payload = payload.get(..payload_bytes)?;
        let (before, _) = self.write_at_end(before, payload, None)?;
        Some(before.len())
    }

    /// Writes the IP and the UDP header to the end of `before`; returns what is before them, and
    /// what a link calls them.
    #[inline(always)]
    fn write_at_end<'m>(
        &self,
        before: &'m mut [u8],
        payload: &[u8],
        payload_sum: Option<Sum>,
    ) -> Option<(&'m mut [u8], EtherType)> {
        let (SocketAddr::V4(from), SocketAddr::V4(to)) = (self.from, self.to) else {
            return self.write_ipv6_at_end(before, payload, payload_sum);
        };
        let length = udp_length(payload, ipv4::HEADER_BYTES)?;
        let (before, udp) = before.split_last_chunk_mut()?;
        // Of a constant length, so that no function is called for the copying.
        let (before, ip) = before.split_last_chunk_mut()?;
        let header = ipv4::Header {
            source: *from.ip(),
            destination: *to.ip(),
            protocol: ipv4::PROTOCOL_UDP,
            traffic_class: self.traffic_class,
            payload_bytes: length,
        };
        *ip = header.to_bytes();
        let pseudo = ipv4::pseudo_header(*from.ip(), *to.ip(), ipv4::PROTOCOL_UDP);
        let payload_sum = payload_sum.unwrap_or_else(|| Sum::ZERO.bytes(payload));
        *udp = udp::header((from.port(), to.port()), length, pseudo.sum(payload_sum));
        Some((before, EtherType::IPV4))
    }

    #[inline(never)]
    fn write_ipv6_at_end<'m>(
        &self,
        before: &'m mut [u8],
        payload: &[u8],
        payload_sum: Option<Sum>,
    ) -> Option<(&'m mut [u8], EtherType)> {
        let (SocketAddr::V6(from), SocketAddr::V6(to)) = (self.from, self.to) else {
            return None;
        };
        let length = udp_length(payload, ipv6::HEADER_BYTES)?;
        let (before, udp) = before.split_last_chunk_mut()?;
        let (before, ip) = before.split_last_chunk_mut()?;
        let header = ipv6::Header {
            source: *from.ip(),
            destination: *to.ip(),
            next_header: ipv4::PROTOCOL_UDP,
            hop_limit: ipv6::HOP_LIMIT,
            traffic_class: self.traffic_class,
            payload_bytes: length,
        };
        *ip = header.to_bytes();
        let pseudo = ipv6::pseudo_header(*from.ip(), *to.ip(), ipv4::PROTOCOL_UDP);
        let payload_sum = payload_sum.unwrap_or_else(|| Sum::ZERO.bytes(payload));
        *udp = udp::header((from.port(), to.port()), length, pseudo.sum(payload_sum));
        Some((before, EtherType::IPV6))
    }
}

/// The length of a datagram with its header; `None` when there is no such packet.
#[inline]
fn udp_length(payload: &[u8], ip_bytes: usize) -> Option<u16> {
    let length = u16::try_from(udp::HEADER_BYTES + payload.len()).ok()?;
    length.checked_add(ip_bytes as u16).map(|_| length)
}

/// The longest headers before a payload: a tagged link, IPv6, UDP.
pub const HEADERS_BYTES_MAX: usize = TAGGED_HEADER_BYTES + ipv6::HEADER_BYTES + udp::HEADER_BYTES;

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{MacAddress, UdpFrame};
    use proptest::prelude::*;

    fn link(vlan: Option<u16>) -> Link {
        Link::new(MacAddress([2; 6]), MacAddress([6; 6]), vlan)
    }

    #[test]
    fn families_do_not_mix() {
        let (v4, v6) = ("192.0.2.1:1".parse().unwrap(), "[::1]:1".parse().unwrap());
        assert!(Headers::new(&v4, &v6).is_none() && Headers::new(&v6, &v4).is_none());
    }

    #[test]
    fn headers_that_do_not_fit_are_not_written() {
        let (from, to) = ("[::1]:1".parse().unwrap(), "[::2]:2".parse().unwrap());
        let headers = Headers::new(&from, &to).unwrap();
        let link = link(Some(1));
        let mut memory = [0; 100];
        assert_eq!(headers.write_before(&link, &mut memory, 66, 34), Some(0));
        assert_eq!(headers.write_before(&link, &mut memory, 65, 34), None);
        assert_eq!(headers.write_before(&link, &mut memory, 66, 35), None);
        assert_eq!(
            headers.write_before(&link, &mut memory, 66, usize::MAX),
            None
        );
        let mut long = vec![0; 70_000];
        assert_eq!(headers.write_before(&link, &mut long, 100, 65_528), None);
    }

    proptest! {
        #[test]
        fn what_is_written_is_parsed(
            v4: bool,
            addresses: (u128, u128),
            ports: (u16, u16),
            vlan in prop::option::of(1_u16..4096),
            class: u8,
            payload in prop::collection::vec(any::<u8>(), 0..300),
        ) {
            let address = |bits: u128, port: u16| -> SocketAddr {
                if v4 {
                    SocketAddr::from(((bits as u32).to_be_bytes(), port))
                } else {
                    SocketAddr::from((bits.to_be_bytes(), port))
                }
            };
            let (from, to) = (address(addresses.0, ports.0), address(addresses.1, ports.1));
            let headers = Headers::with_traffic_class(&from, &to, class).unwrap();
            let mut memory = vec![0xaa; 100];
            memory.extend(&payload);
            let written = headers.write_before(&link(vlan), &mut memory, 100, payload.len());
            let frame = &memory[written.unwrap()..];
            let parsed = UdpFrame::parse(frame).unwrap();
            prop_assert_eq!((parsed.source, parsed.destination), (from, to));
            prop_assert_eq!((parsed.vlan, parsed.traffic_class), (vlan, class));
            prop_assert_eq!(&frame[parsed.payload], &payload[..]);
            // With the sum that was found, the same is written without reading the payload.
            let whole = memory.clone();
            let link = link(vlan);
            let (start, sum) = (100, parsed.payload_sum);
            prop_assert!(sum.is_some());
            memory[..start].fill(0x55);
            let again = headers.write_summed_before(&link, &mut memory, start, payload.len(), sum);
            prop_assert_eq!(again, written);
            prop_assert_eq!(&memory[again.unwrap()..], &whole[again.unwrap()..]);
        }
    }
}
