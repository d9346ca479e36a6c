//! IPv6, RFC 8200. Extension headers are not followed.

use crate::Error;
use crate::checksum::Sum;
use crate::ethernet::be16;
use std::net::Ipv6Addr;

mod field {
    use std::ops::Range;

    pub(super) const VERSION: Range<usize> = 0..4;
    pub(super) const PAYLOAD_LENGTH: Range<usize> = 4..6;
    pub(super) const NEXT_HEADER: usize = 6;
    pub(super) const HOP_LIMIT: usize = 7;
    pub(super) const SOURCE: Range<usize> = 8..24;
    pub(super) const DESTINATION: Range<usize> = 24..40;
}

/// Bytes of the header.
pub const HEADER_BYTES: usize = field::DESTINATION.end;
/// The next header that is ICMPv6, RFC 4443.
pub const NEXT_HEADER_ICMPV6: u8 = 58;
/// Hops that a datagram of ours may take.
pub const HOP_LIMIT: u8 = 64;

/// A received packet whose lengths are right.
#[derive(Clone, Copy, Debug)]
pub struct Packet<'a>(&'a [u8]);

impl<'a> Packet<'a> {
    /// Checks the header; what is behind the packet's end is padding of the link and left out.
    ///
    /// # Errors
    /// `Truncated`, `Malformed` for another version.
    pub fn new(bytes: &'a [u8]) -> Result<Self, Error> {
        if bytes.len() < HEADER_BYTES {
            return Err(Error::Truncated);
        }
        if bytes[field::VERSION.start] >> 4 != 6 {
            return Err(Error::Malformed);
        }
        let total = HEADER_BYTES + usize::from(be16(bytes, field::PAYLOAD_LENGTH.start));
        Ok(Self(bytes.get(..total).ok_or(Error::Truncated)?))
    }

    /// Who sent it.
    #[must_use]
    pub fn source(&self) -> Ipv6Addr {
        address(&self.0[field::SOURCE])
    }

    /// Whom it is for.
    #[must_use]
    pub fn destination(&self) -> Ipv6Addr {
        address(&self.0[field::DESTINATION])
    }

    /// What follows the header: a protocol, or the first extension header.
    #[must_use]
    pub fn next_header(&self) -> u8 {
        self.0[field::NEXT_HEADER]
    }

    /// How far it may still go; 255 for neighbour discovery that came from the link.
    #[must_use]
    pub fn hop_limit(&self) -> u8 {
        self.0[field::HOP_LIMIT]
    }

    /// DSCP (RFC 2474) and ECN.
    #[must_use]
    pub fn traffic_class(&self) -> u8 {
        (be16(self.0, field::VERSION.start) >> 4) as u8
    }

    /// What follows the header.
    #[must_use]
    pub fn payload(&self) -> &'a [u8] {
        &self.0[HEADER_BYTES..]
    }
}

/// A header to be written, with flow label 0.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Header {
    /// Who sends.
    pub source: Ipv6Addr,
    /// Whom it is for.
    pub destination: Ipv6Addr,
    /// What follows.
    pub next_header: u8,
    /// Hops it may take.
    pub hop_limit: u8,
    /// DSCP and ECN.
    pub traffic_class: u8,
    /// Bytes that follow.
    pub payload_bytes: u16,
}

impl Header {
    /// The header.
    #[must_use]
    #[inline]
    pub fn to_bytes(&self) -> [u8; HEADER_BYTES] {
        let mut bytes = [0; HEADER_BYTES];
        let version = 6 << 28 | u32::from(self.traffic_class) << 20;
        bytes[field::VERSION].copy_from_slice(&version.to_be_bytes());
        bytes[field::PAYLOAD_LENGTH].copy_from_slice(&self.payload_bytes.to_be_bytes());
        bytes[field::NEXT_HEADER] = self.next_header;
        bytes[field::HOP_LIMIT] = self.hop_limit;
        bytes[field::SOURCE].copy_from_slice(&self.source.octets());
        bytes[field::DESTINATION].copy_from_slice(&self.destination.octets());
        bytes
    }
}

/// The sum over the pseudo-header of RFC 8200 8.1, without the length.
#[must_use]
#[inline]
pub fn pseudo_header(source: Ipv6Addr, destination: Ipv6Addr, next_header: u8) -> Sum {
    Sum::ZERO
        .bytes(&source.octets())
        .bytes(&destination.octets())
        .u16(u16::from(next_header))
}

pub(crate) fn address(bytes: &[u8]) -> Ipv6Addr {
    let mut octets = [0; 16];
    octets.copy_from_slice(bytes);
    octets.into()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn packet() -> Vec<u8> {
        let header = Header {
            source: "2001:db8::1".parse().unwrap(),
            destination: "2001:db8:1::7".parse().unwrap(),
            next_header: 17,
            hop_limit: 64,
            traffic_class: 0xb8,
            payload_bytes: 4,
        };
        [&header.to_bytes()[..], b"data"].concat()
    }

    #[test]
    fn what_is_written_is_read() {
        let mut bytes = packet();
        bytes.extend([0; 3]);
        let packet = Packet::new(&bytes).unwrap();
        assert_eq!(packet.source(), "2001:db8::1".parse::<Ipv6Addr>().unwrap());
        assert_eq!(
            packet.destination(),
            "2001:db8:1::7".parse::<Ipv6Addr>().unwrap()
        );
        assert_eq!((packet.next_header(), packet.hop_limit()), (17, 64));
        assert_eq!(packet.traffic_class(), 0xb8);
        assert_eq!(packet.payload(), b"data");
    }

    #[test]
    fn truncations_and_other_versions_are_refused() {
        let mut bytes = packet();
        for length in 0..bytes.len() {
            assert_eq!(Packet::new(&bytes[..length]).err(), Some(Error::Truncated));
        }
        bytes[0] = 0x45;
        assert_eq!(Packet::new(&bytes).err(), Some(Error::Malformed));
    }
}
