//! From a received frame to the datagram in it.

use crate::checksum::Sum;
use crate::ethernet::{self, EtherType, Frame};
use crate::udp::{self, Datagram, Validity};
use crate::{Error, ipv4, ipv6};
use std::net::{IpAddr, SocketAddr};
use std::ops::Range;

/// Where a UDP datagram is in a frame, and between whom.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct UdpFrame {
    /// The VLAN whose tag the frame has.
    pub vlan: Option<u16>,
    /// Who sent it.
    pub source: SocketAddr,
    /// Whom it is for.
    pub destination: SocketAddr,
    /// DSCP and ECN.
    pub traffic_class: u8,
    /// The payload within the frame.
    pub payload: Range<usize>,
    /// The sum over the payload, where the checksum covered it.
    pub payload_sum: Option<Sum>,
}

impl UdpFrame {
    /// Finds the datagram and checks all lengths and checksums. A checksum that covers the
    /// pseudo-header only is taken as right ([`Validity::Partial`]).
    ///
    /// # Errors
    /// `Unsupported` for what is no unfragmented UDP, or has IPv6 extension headers; `Truncated`,
    /// `Malformed` and `Checksum` for what is broken.
    #[inline]
    pub fn parse(frame: &[u8]) -> Result<Self, Error> {
        match Self::parse_plain(frame) {
            Some(parsed) => Ok(parsed),
            None => Self::parse_any(frame),
        }
    }

    /// Finds the datagram of what nearly all frames are: without a tag, of IPv4 without options,
    /// not a fragment, as long as it says, with checksums that are right. `None` for all else, for
    /// which there is [`UdpFrame::parse`].
    #[inline(always)]
    pub fn parse_plain(frame: &[u8]) -> Option<Self> {
        let (ethernet, packet) = frame.split_first_chunk::<{ ethernet::HEADER_BYTES }>()?;
        let (ip, datagram) = packet.split_first_chunk()?;
        let ip = ipv4::Plain::new(ip)?;
        let (udp, behind) = datagram.split_first_chunk()?;
        let udp = udp::Fields::new(udp);
        let payload = behind.get(..udp.payload_bytes()?)?;
        let payload_sum = Sum::ZERO.bytes(payload);
        let is_plain = Frame::is_ipv4(ethernet)
            && ip.payload_bytes() == udp.length.into()
            && udp.is_complete(ip.pseudo_header(), payload_sum);
        is_plain.then(|| Self {
            vlan: None,
            source: SocketAddr::from((ip.source(), udp.source)),
            destination: SocketAddr::from((ip.destination(), udp.destination)),
            traffic_class: ip.traffic_class(),
            payload: PLAIN_HEADERS_BYTES..PLAIN_HEADERS_BYTES + payload.len(),
            payload_sum: Some(payload_sum),
        })
    }

    #[inline(never)]
    fn parse_any(frame: &[u8]) -> Result<Self, Error> {
        let ethernet = Frame::new(frame)?;
        let (source, destination, traffic_class, pseudo, bytes) = match ethernet.ether_type() {
            EtherType::IPV4 => {
                let packet = ipv4::Packet::new(ethernet.payload())?;
                if packet.is_fragment() || packet.protocol() != ipv4::PROTOCOL_UDP {
                    return Err(Error::Unsupported);
                }
                let (source, destination) = (packet.source(), packet.destination());
                let pseudo = ipv4::pseudo_header(source, destination, ipv4::PROTOCOL_UDP);
                let addresses = (IpAddr::V4(source), IpAddr::V4(destination));
                let class = packet.traffic_class();
                (addresses.0, addresses.1, class, pseudo, packet.payload())
            }
            EtherType::IPV6 => {
                let packet = ipv6::Packet::new(ethernet.payload())?;
                if packet.next_header() != ipv4::PROTOCOL_UDP {
                    return Err(Error::Unsupported);
                }
                let (source, destination) = (packet.source(), packet.destination());
                let pseudo = ipv6::pseudo_header(source, destination, ipv4::PROTOCOL_UDP);
                let addresses = (IpAddr::V6(source), IpAddr::V6(destination));
                let class = packet.traffic_class();
                (addresses.0, addresses.1, class, pseudo, packet.payload())
            }
            _ => return Err(Error::Unsupported),
        };
        let datagram = Datagram::new(bytes)?;
        let (validity, payload_sum) = datagram.judge(pseudo);
        match validity {
            Validity::Valid | Validity::Partial => {}
            Validity::Absent if source.is_ipv4() => {}
            Validity::Absent | Validity::Wrong => return Err(Error::Checksum),
        }
        let payload = datagram.payload();
        // The payload is a piece of the frame; its start is what is not behind it.
        let start = payload.as_ptr() as usize - frame.as_ptr() as usize;
        Ok(Self {
            vlan: ethernet.vlan(),
            source: SocketAddr::new(source, datagram.source_port()),
            destination: SocketAddr::new(destination, datagram.destination_port()),
            traffic_class,
            payload: start..start + payload.len(),
            payload_sum,
        })
    }
}

/// Before the payload of most frames.
const PLAIN_HEADERS_BYTES: usize = ethernet::HEADER_BYTES + ipv4::HEADER_BYTES + udp::HEADER_BYTES;

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{Headers, Link, MacAddress};
    use proptest::prelude::*;

    fn frame(from: &str, to: &str, vlan: Option<u16>) -> Vec<u8> {
        let link = Link::new(
            MacAddress([2, 0, 0, 0, 0, 2]),
            MacAddress([2, 0, 0, 0, 0, 1]),
            vlan,
        );
        let (from, to) = (from.parse().unwrap(), to.parse().unwrap());
        let headers = Headers::new(&from, &to).unwrap();
        let mut frame = vec![0; 80];
        frame.extend(b"payload");
        let start = headers.write_before(&link, &mut frame, 80, 7).unwrap();
        frame.split_off(start)
    }

    fn frames() -> Vec<Vec<u8>> {
        [None, Some(7)]
            .into_iter()
            .flat_map(|vlan| {
                [
                    frame("192.0.2.1:4000", "198.51.100.7:5000", vlan),
                    frame("[2001:db8::1]:4000", "[2001:db8::7]:5000", vlan),
                ]
            })
            .collect()
    }

    #[test]
    fn no_truncation_is_taken_for_a_datagram() {
        for frame in frames() {
            for length in 0..frame.len() {
                assert!(UdpFrame::parse(&frame[..length]).is_err(), "{length}");
            }
            assert!(UdpFrame::parse(&frame).is_ok());
        }
    }

    #[test]
    fn a_flipped_bit_changes_nothing_that_is_not_noticed() {
        for frame in frames() {
            let whole = UdpFrame::parse(&frame).unwrap();
            for bit in 0..frame.len() * 8 {
                let mut frame = frame.clone();
                frame[bit / 8] ^= 1 << (bit % 8);
                // Checksums do not cover the link, nor traffic class, label and hops of IPv6.
                if let Ok(changed) = UdpFrame::parse(&frame) {
                    assert_eq!(changed.source, whole.source, "bit {bit}");
                    assert_eq!(changed.destination, whole.destination, "bit {bit}");
                    assert_eq!(&frame[changed.payload], b"payload", "bit {bit}");
                }
            }
        }
    }

    proptest! {
        #[test]
        fn no_parser_minds_what_it_is_given(
            bytes in prop::collection::vec(any::<u8>(), 0..200),
            ether_type in prop::sample::select(vec![0x0800_u16, 0x86dd, 0x8100, 0x0806]),
        ) {
            let mut frame = bytes;
            if let Some(field) = frame.get_mut(12..14) {
                field.copy_from_slice(&ether_type.to_be_bytes());
            }
            if let Ok(parsed) = UdpFrame::parse(&frame) {
                prop_assert!(parsed.payload.end <= frame.len());
            }
            if let Some(plain) = UdpFrame::parse_plain(&frame) {
                prop_assert_eq!(Ok(plain), UdpFrame::parse_any(&frame));
            }
            let _ = crate::arp::Message::parse(&frame);
            let _ = crate::icmp::EchoRequest::parse(&frame);
            if let Ok(packet) = ipv6::Packet::new(&frame) {
                let _ = crate::ndp::Message::parse(&packet);
            }
        }
    }

    #[test]
    fn the_short_way_finds_what_the_long_one_does() {
        for (index, whole) in frames().into_iter().enumerate() {
            let plain = UdpFrame::parse_plain(&whole);
            // IPv4 without a tag comes first.
            assert_eq!(plain.is_some(), index == 0);
            for bit in 0..whole.len() * 8 {
                let mut frame = whole.clone();
                frame[bit / 8] ^= 1 << (bit % 8);
                if let Some(plain) = UdpFrame::parse_plain(&frame) {
                    assert_eq!(Ok(plain), UdpFrame::parse_any(&frame), "bit {bit}");
                }
            }
            for length in 0..whole.len() {
                assert_eq!(UdpFrame::parse_plain(&whole[..length]), None, "{length}");
            }
        }
    }

    /// Each with its checksums right.
    #[test]
    fn what_is_not_plain_goes_the_long_way() {
        let whole = frame("192.0.2.1:4000", "198.51.100.7:5000", None);
        let changed = |at: usize, value: u16| {
            let mut frame = whole.clone();
            let place = 14 + at..14 + at + 2;
            frame[place].copy_from_slice(&value.to_be_bytes());
            frame[24..26].fill(0);
            let checksum = crate::checksum::of(&frame[14..34]);
            frame[24..26].copy_from_slice(&checksum.to_be_bytes());
            frame
        };
        assert!(UdpFrame::parse_plain(&changed(0, 0x4500)).is_some());
        // Options, more fragments, a later fragment, TCP, a longer packet.
        for (at, value) in [(0, 0x4600), (6, 0x2000), (6, 1), (8, 0x4006), (2, 36)] {
            let frame = changed(at, value);
            assert_eq!(UdpFrame::parse_plain(&frame), None, "{value:x} at {at}");
        }
        let mut unsummed = whole.clone();
        unsummed[40..42].fill(0);
        assert_eq!(UdpFrame::parse_plain(&unsummed), None);
        assert!(UdpFrame::parse(&unsummed).is_ok());
    }

    #[test]
    fn padding_of_short_frames_is_left_out() {
        let mut frame = frame("192.0.2.1:4000", "198.51.100.7:5000", None);
        frame.resize(60, 0xaa);
        let parsed = UdpFrame::parse(&frame).unwrap();
        assert_eq!(&frame[parsed.payload], b"payload");
    }

    #[test]
    fn ipv6_without_a_checksum_is_refused_and_ipv4_is_not() {
        let mut v6 = frame("[2001:db8::1]:4000", "[2001:db8::7]:5000", None);
        v6[14 + 40 + 6..14 + 40 + 8].fill(0);
        assert_eq!(UdpFrame::parse(&v6), Err(Error::Checksum));
        let mut v4 = frame("192.0.2.1:4000", "198.51.100.7:5000", None);
        v4[14 + 20 + 6..14 + 20 + 8].fill(0);
        assert!(UdpFrame::parse(&v4).is_ok());
    }

    #[test]
    fn what_is_no_udp_is_told_apart() {
        let mut frame = frame("[2001:db8::1]:4000", "[2001:db8::7]:5000", None);
        frame[14 + 6] = 44;
        assert_eq!(UdpFrame::parse(&frame), Err(Error::Unsupported));
        frame[12..14].copy_from_slice(&EtherType::ARP.0.to_be_bytes());
        assert_eq!(UdpFrame::parse(&frame), Err(Error::Unsupported));
    }
}
