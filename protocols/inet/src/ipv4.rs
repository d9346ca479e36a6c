//! IPv4, RFC 791.

use crate::checksum::Sum;
use crate::ethernet::be16;
use crate::{Error, ipv6};
use std::net::Ipv4Addr;

mod field {
    use std::ops::Range;

    pub(super) const VERSION_IHL: usize = 0;
    pub(super) const DSCP_ECN: usize = 1;
    pub(super) const TOTAL_LENGTH: Range<usize> = 2..4;
    pub(super) const FRAGMENT: Range<usize> = 6..8;
    pub(super) const PROTOCOL: usize = 9;
    pub(super) const SOURCE: Range<usize> = 12..16;
    pub(super) const DESTINATION: Range<usize> = 16..20;
}

/// Bytes of a header without options.
pub const HEADER_BYTES: usize = field::DESTINATION.end;
/// The protocol number of ICMP.
pub const PROTOCOL_ICMP: u8 = 1;
/// The protocol number of UDP, here and as the next header of IPv6.
pub const PROTOCOL_UDP: u8 = 17;
/// Hops that a datagram of ours may take, RFC 1700.
pub const TTL: u8 = 64;

/// Version 4, a header of five words.
const VERSION_4_WITHOUT_OPTIONS: u8 = 0x45;

const DONT_FRAGMENT: u16 = 0x4000;
const MORE_FRAGMENTS_OR_OFFSET: u16 = 0x3fff;

/// A received packet whose lengths and header checksum are right.
#[derive(Clone, Copy, Debug)]
pub struct Packet<'a> {
    bytes: &'a [u8],
    header_bytes: usize,
}

impl<'a> Packet<'a> {
    /// Checks the header; what is behind the packet's end is padding of the link and left out.
    ///
    /// # Errors
    /// `Truncated`, `Malformed` for another version or an impossible length, `Checksum`.
    #[inline]
    pub fn new(bytes: &'a [u8]) -> Result<Self, Error> {
        let fixed = bytes.first_chunk::<HEADER_BYTES>();
        let fixed = fixed.ok_or(Error::Truncated)?;
        let header_bytes = usize::from(bytes[field::VERSION_IHL] & 0xf) * 4;
        let total = usize::from(be16(bytes, field::TOTAL_LENGTH.start));
        if bytes[field::VERSION_IHL] >> 4 != 4 || header_bytes < HEADER_BYTES {
            return Err(Error::Malformed);
        }
        if total < header_bytes {
            return Err(Error::Malformed);
        }
        let bytes = bytes.get(..total).ok_or(Error::Truncated)?;
        let sum = Sum::of_header(words(fixed));
        if sum.bytes(&bytes[HEADER_BYTES..header_bytes]).checksum() != 0 {
            return Err(Error::Checksum);
        }
        Ok(Self {
            bytes,
            header_bytes,
        })
    }

    /// Who sent it.
    #[must_use]
    #[inline]
    pub fn source(&self) -> Ipv4Addr {
        address(&self.bytes[field::SOURCE])
    }

    /// Whom it is for.
    #[must_use]
    #[inline]
    pub fn destination(&self) -> Ipv4Addr {
        address(&self.bytes[field::DESTINATION])
    }

    /// What it carries.
    #[must_use]
    #[inline]
    pub fn protocol(&self) -> u8 {
        self.bytes[field::PROTOCOL]
    }

    /// The former TOS octet: DSCP (RFC 2474) and ECN.
    #[must_use]
    #[inline]
    pub fn traffic_class(&self) -> u8 {
        self.bytes[field::DSCP_ECN]
    }

    /// True for every piece of a fragmented datagram, the first included.
    #[must_use]
    #[inline]
    pub fn is_fragment(&self) -> bool {
        be16(self.bytes, field::FRAGMENT.start) & MORE_FRAGMENTS_OR_OFFSET != 0
    }

    /// Bytes before the payload, options included.
    #[must_use]
    pub fn header_bytes(&self) -> usize {
        self.header_bytes
    }

    /// What it carries.
    #[must_use]
    #[inline]
    pub fn payload(&self) -> &'a [u8] {
        &self.bytes[self.header_bytes..]
    }
}

/// A header of a UDP datagram in one piece, without options: checked as a whole.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Plain<'a>(&'a [u8; HEADER_BYTES]);

impl<'a> Plain<'a> {
    /// `None` when it is anything else, or broken.
    #[inline]
    pub(crate) fn new(header: &'a [u8; HEADER_BYTES]) -> Option<Self> {
        let is_whole = be16(header, field::FRAGMENT.start) & MORE_FRAGMENTS_OR_OFFSET == 0;
        let is_plain = header[field::VERSION_IHL] == VERSION_4_WITHOUT_OPTIONS
            && header[field::PROTOCOL] == PROTOCOL_UDP
            && is_whole
            && Sum::of_header(words(header)).is_complete();
        is_plain.then_some(Self(header))
    }

    /// Bytes behind the header, by its length field.
    #[inline]
    pub(crate) fn payload_bytes(self) -> usize {
        usize::from(be16(self.0, field::TOTAL_LENGTH.start)).wrapping_sub(HEADER_BYTES)
    }

    #[inline]
    pub(crate) fn source(self) -> Ipv4Addr {
        address(&self.0[field::SOURCE])
    }

    #[inline]
    pub(crate) fn destination(self) -> Ipv4Addr {
        address(&self.0[field::DESTINATION])
    }

    /// DSCP and ECN.
    #[inline]
    pub(crate) fn traffic_class(self) -> u8 {
        self.0[field::DSCP_ECN]
    }

    /// As [`pseudo_header`].
    #[inline]
    pub(crate) fn pseudo_header(self) -> Sum {
        pseudo_header(self.source(), self.destination(), PROTOCOL_UDP)
    }
}

/// A header without options, to be written.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Header {
    /// Who sends.
    pub source: Ipv4Addr,
    /// Whom it is for.
    pub destination: Ipv4Addr,
    /// What follows.
    pub protocol: u8,
    /// DSCP and ECN.
    pub traffic_class: u8,
    /// Bytes that follow, at most 65 515.
    pub payload_bytes: u16,
}

impl Header {
    /// The header. It forbids fragmentation, so that it needs no identification (RFC 6864 4.1).
    #[must_use]
    #[inline(always)]
    pub fn to_bytes(&self) -> [u8; HEADER_BYTES] {
        let total = self.payload_bytes.saturating_add(HEADER_BYTES as u16);
        let ([total_high, total_low], [flags_high, flags_low]) =
            (total.to_be_bytes(), DONT_FRAGMENT.to_be_bytes());
        let mut words = [
            [
                VERSION_4_WITHOUT_OPTIONS,
                self.traffic_class,
                total_high,
                total_low,
            ],
            [0, 0, flags_high, flags_low],
            [TTL, self.protocol, 0, 0],
            self.source.octets(),
            self.destination.octets(),
        ];
        // Summed as words before it is put together, as in `udp::write_header`.
        let checksum = Sum::of_header(&words).checksum();
        [words[2][2], words[2][3]] = checksum.to_be_bytes();
        let mut bytes = [0; HEADER_BYTES];
        for (place, word) in bytes.as_chunks_mut().0.iter_mut().zip(words) {
            *place = word;
        }
        bytes
    }
}

/// The sum over the pseudo-header of RFC 768, without the length.
#[must_use]
#[inline]
pub fn pseudo_header(source: Ipv4Addr, destination: Ipv4Addr, protocol: u8) -> Sum {
    let protocol = [0, protocol, 0, 0];
    Sum::of_header(&[source.octets(), destination.octets(), protocol])
}

/// A header without options by its words.
#[inline]
fn words(header: &[u8; HEADER_BYTES]) -> &[[u8; 4]; HEADER_BYTES / 4] {
    let (words, _) = header.as_chunks();
    words.first_chunk().expect("twenty octets are five words")
}

#[inline]
fn address(bytes: &[u8]) -> Ipv4Addr {
    Ipv4Addr::new(bytes[0], bytes[1], bytes[2], bytes[3])
}

// Both families count UDP's hops and number alike.
const _: () = assert!(TTL == ipv6::HOP_LIMIT);

#[cfg(test)]
mod tests {
    use super::*;
    use crate::checksum;

    fn packet() -> Vec<u8> {
        let header = Header {
            source: Ipv4Addr::new(192, 0, 2, 1),
            destination: Ipv4Addr::new(198, 51, 100, 7),
            protocol: PROTOCOL_UDP,
            traffic_class: 0xb8,
            payload_bytes: 4,
        };
        [&header.to_bytes()[..], b"data"].concat()
    }

    #[test]
    fn the_checksum_of_a_known_header() {
        // From RFC 1071's companion example, as tshark confirms it: 45 00 00 73 00 00 40 00 40 11
        // b8 61 c0 a8 00 01 c0 a8 00 c7.
        let header = Header {
            source: Ipv4Addr::new(192, 168, 0, 1),
            destination: Ipv4Addr::new(192, 168, 0, 199),
            protocol: PROTOCOL_UDP,
            traffic_class: 0,
            payload_bytes: 95,
        };
        let expected = [
            0x45, 0x00, 0x00, 0x73, 0x00, 0x00, 0x40, 0x00, 0x40, 0x11, 0xb8, 0x61, 0xc0, 0xa8,
            0x00, 0x01, 0xc0, 0xa8, 0x00, 0xc7,
        ];
        assert_eq!(header.to_bytes(), expected);
    }

    #[test]
    fn what_is_written_is_read() {
        let mut bytes = packet();
        bytes.extend([0; 9]);
        let packet = Packet::new(&bytes).unwrap();
        assert_eq!(packet.source(), Ipv4Addr::new(192, 0, 2, 1));
        assert_eq!(packet.destination(), Ipv4Addr::new(198, 51, 100, 7));
        assert_eq!((packet.protocol(), packet.traffic_class()), (17, 0xb8));
        assert!(!packet.is_fragment());
        assert_eq!(packet.payload(), b"data");
    }

    #[test]
    fn options_are_skipped() {
        let mut bytes = packet();
        bytes[0] = 0x46;
        bytes.splice(20..20, [1, 1, 1, 0]);
        let length = bytes.len() as u16;
        bytes[2..4].copy_from_slice(&length.to_be_bytes());
        bytes[10..12].fill(0);
        let checksum = checksum::of(&bytes[..24]);
        bytes[10..12].copy_from_slice(&checksum.to_be_bytes());
        let packet = Packet::new(&bytes).unwrap();
        assert_eq!(
            (packet.header_bytes(), packet.payload()),
            (24, &b"data"[..])
        );
    }

    #[test]
    fn every_truncation_and_every_flipped_bit_of_the_header_is_noticed() {
        let bytes = packet();
        for length in 0..bytes.len() {
            assert!(Packet::new(&bytes[..length]).is_err(), "{length}");
        }
        for bit in 0..HEADER_BYTES * 8 {
            let mut bytes = bytes.clone();
            bytes[bit / 8] ^= 1 << (bit % 8);
            assert!(Packet::new(&bytes).is_err(), "bit {bit}");
        }
    }

    #[test]
    fn fragments_are_told() {
        for fragment in [0x2000_u16, 0x2001, 0x0001, 0x1fff] {
            let mut bytes = packet();
            let old = be16(&bytes, 6);
            let before = be16(&bytes, 10);
            bytes[6..8].copy_from_slice(&fragment.to_be_bytes());
            let updated = checksum::update(before, old, fragment);
            bytes[10..12].copy_from_slice(&updated.to_be_bytes());
            assert!(Packet::new(&bytes).unwrap().is_fragment());
        }
    }
}
