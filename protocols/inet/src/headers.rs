//! Everything before the payload of a datagram.

use crate::checksum::Sum;
use crate::ethernet::{EtherType, TAGGED_HEADER_BYTES};
use crate::{Link, ipv4, ipv6, udp};
use std::net::SocketAddr;

/// IP and UDP headers of the datagrams between two ports, prepared once: per datagram only lengths
/// and checksums are left to fill in.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Headers {
    ip: [u8; ipv6::HEADER_BYTES],
    is_ipv4: bool,
    /// Over the IPv4 header without its length.
    ip_sum: Sum,
    /// Over the pseudo-header without the length.
    pseudo: Sum,
    source_port: u16,
    destination_port: u16,
}

impl Headers {
    /// Headers of datagrams from `local` to `remote`; `None` when they are not of one family.
    #[must_use]
    pub fn new(local: SocketAddr, remote: SocketAddr) -> Option<Self> {
        Self::with_traffic_class(local, remote, 0)
    }

    /// The same with DSCP and ECN.
    #[must_use]
    pub fn with_traffic_class(
        local: SocketAddr,
        remote: SocketAddr,
        traffic_class: u8,
    ) -> Option<Self> {
        let mut ip = [0; ipv6::HEADER_BYTES];
        let (is_ipv4, pseudo) = match (local, remote) {
            (SocketAddr::V4(local), SocketAddr::V4(remote)) => {
                let header = ipv4::Header {
                    source: *local.ip(),
                    destination: *remote.ip(),
                    protocol: ipv4::PROTOCOL_UDP,
                    traffic_class,
                    payload_bytes: 0,
                };
                ip[..ipv4::HEADER_BYTES].copy_from_slice(&header.to_bytes());
                // Length and checksum are filled in anew each time.
                ip[2..4].fill(0);
                ip[10..12].fill(0);
                let (source, destination) = (header.source, header.destination);
                let pseudo = ipv4::pseudo_header(source, destination, ipv4::PROTOCOL_UDP);
                (true, pseudo)
            }
            (SocketAddr::V6(local), SocketAddr::V6(remote)) => {
                let header = ipv6::Header {
                    source: *local.ip(),
                    destination: *remote.ip(),
                    next_header: ipv4::PROTOCOL_UDP,
                    hop_limit: ipv6::HOP_LIMIT,
                    traffic_class,
                    payload_bytes: 0,
                };
                ip = header.to_bytes();
                let (source, destination) = (header.source, header.destination);
                let pseudo = ipv6::pseudo_header(source, destination, ipv4::PROTOCOL_UDP);
                (false, pseudo)
            }
            _ => return None,
        };
        Some(Self {
            ip,
            is_ipv4,
            ip_sum: Sum::ZERO.bytes(&ip[..ipv4::HEADER_BYTES]),
            pseudo,
            source_port: local.port(),
            destination_port: remote.port(),
        })
    }

    /// Bytes of the IP and UDP headers.
    #[must_use]
    #[inline]
    pub fn bytes(&self) -> usize {
        self.ip_bytes() + udp::HEADER_BYTES
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
    #[inline]
    pub fn write_summed_before(
        &self,
        link: &Link,
        memory: &mut [u8],
        payload_start: usize,
        payload_bytes: usize,
        payload_sum: Option<Sum>,
    ) -> Option<usize> {
        let start = self.write(memory, payload_start, payload_bytes, payload_sum)?;
        let frame = start.checked_sub(link.header_bytes())?;
        let ether_type = if self.is_ipv4 {
            EtherType::IPV4
        } else {
            EtherType::IPV6
        };
        link.write_to(&mut memory[frame..start], ether_type)
            .then_some(frame)
    }

    /// The same without a link's header: returns where the IP packet begins.
    #[must_use]
    pub fn write_packet_before(
        &self,
        memory: &mut [u8],
        payload_start: usize,
        payload_bytes: usize,
    ) -> Option<usize> {
        self.write(memory, payload_start, payload_bytes, None)
    }

    #[inline]
    fn write(
        &self,
        memory: &mut [u8],
        payload_start: usize,
        payload_bytes: usize,
        payload_sum: Option<Sum>,
    ) -> Option<usize> {
        let start = payload_start.checked_sub(self.bytes())?;
        let end = payload_start.checked_add(payload_bytes)?;
        let packet = memory.get_mut(start..end)?;
        let length = u16::try_from(packet.len() - self.ip_bytes()).ok()?;
        length.checked_add(self.ip_bytes() as u16)?;
        // Of a constant length each, so that no function is called for the copying.
        let datagram = if self.is_ipv4 {
            let (ip, datagram) = packet.split_first_chunk_mut::<{ ipv4::HEADER_BYTES }>()?;
            ip.copy_from_slice(&self.ip[..ipv4::HEADER_BYTES]);
            ipv4::set_length(ip, self.ip_sum, length);
            datagram
        } else {
            let (ip, datagram) = packet.split_first_chunk_mut::<{ ipv6::HEADER_BYTES }>()?;
            *ip = self.ip;
            ipv6::set_length(ip, length);
            datagram
        };
        let ports = (self.source_port, self.destination_port);
        udp::write_header(datagram, ports, self.pseudo, payload_sum).then_some(start)
    }

    #[inline]
    fn ip_bytes(&self) -> usize {
        if self.is_ipv4 {
            ipv4::HEADER_BYTES
        } else {
            ipv6::HEADER_BYTES
        }
    }
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
        assert!(Headers::new(v4, v6).is_none() && Headers::new(v6, v4).is_none());
    }

    #[test]
    fn headers_that_do_not_fit_are_not_written() {
        let headers = Headers::new("[::1]:1".parse().unwrap(), "[::2]:2".parse().unwrap());
        let headers = headers.unwrap();
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
            let headers = Headers::with_traffic_class(from, to, class).unwrap();
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
