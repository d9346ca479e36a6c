//! ICMP echo, RFC 792, and that of ICMPv6, RFC 4443 4.

use crate::checksum::{self, Sum};
use crate::ethernet::be16;
use crate::{Error, ipv6};
use std::net::Ipv6Addr;

mod field {
    use std::ops::Range;

    pub(super) const TYPE: usize = 0;
    pub(super) const CODE: usize = 1;
    pub(super) const CHECKSUM: Range<usize> = 2..4;
    pub(super) const IDENTIFIER: Range<usize> = 4..6;
    pub(super) const SEQUENCE: Range<usize> = 6..8;
}

/// Bytes before the data of an echo message.
pub const ECHO_HEADER_BYTES: usize = field::SEQUENCE.end;

const ECHO_REPLY: u8 = 0;
const ECHO_REQUEST: u8 = 8;
const ECHO_REQUEST_V6: u8 = 128;
const ECHO_REPLY_V6: u8 = 129;

/// An echo request, with either version's ICMP.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct EchoRequest {
    /// Who asks.
    pub identifier: u16,
    /// Which question.
    pub sequence: u16,
}

impl EchoRequest {
    /// Reads the payload of an IPv4 packet.
    ///
    /// # Errors
    /// `Truncated`, `Checksum`, `Unsupported` for other messages.
    pub fn parse(bytes: &[u8]) -> Result<Self, Error> {
        Self::parse_type(bytes, ECHO_REQUEST, Sum::ZERO)
    }

    /// Reads the payload of an IPv6 packet between two addresses.
    ///
    /// # Errors
    /// `Truncated`, `Checksum`, `Unsupported` for other messages.
    pub fn parse_v6(bytes: &[u8], source: Ipv6Addr, destination: Ipv6Addr) -> Result<Self, Error> {
        let pseudo = pseudo_v6(source, destination, bytes.len());
        Self::parse_type(bytes, ECHO_REQUEST_V6, pseudo)
    }

    fn parse_type(bytes: &[u8], request: u8, pseudo: Sum) -> Result<Self, Error> {
        if bytes.len() < ECHO_HEADER_BYTES {
            return Err(Error::Truncated);
        }
        if pseudo.bytes(bytes).checksum() != 0 {
            return Err(Error::Checksum);
        }
        if bytes[field::TYPE] != request || bytes[field::CODE] != 0 {
            return Err(Error::Unsupported);
        }
        Ok(Self {
            identifier: be16(bytes, field::IDENTIFIER.start),
            sequence: be16(bytes, field::SEQUENCE.start),
        })
    }
}

/// Makes the reply of a request that [`EchoRequest::parse`] has accepted, in place.
pub fn turn_into_reply(bytes: &mut [u8]) {
    turn(bytes, ECHO_REQUEST, ECHO_REPLY);
}

/// Makes the reply of a request that [`EchoRequest::parse_v6`] has accepted, in place. The
/// addresses change places, which leaves the sum as it is.
pub fn turn_into_reply_v6(bytes: &mut [u8]) {
    turn(bytes, ECHO_REQUEST_V6, ECHO_REPLY_V6);
}

fn turn(bytes: &mut [u8], request: u8, reply: u8) {
    if bytes.len() < ECHO_HEADER_BYTES || bytes[field::TYPE] != request {
        return;
    }
    bytes[field::TYPE] = reply;
    let before = be16(bytes, field::CHECKSUM.start);
    let (old, new) = (u16::from(request) << 8, u16::from(reply) << 8);
    let checksum = checksum::update(before, old, new);
    bytes[field::CHECKSUM].copy_from_slice(&checksum.to_be_bytes());
}

/// The sum over the pseudo-header of an ICMPv6 message.
pub(crate) fn pseudo_v6(source: Ipv6Addr, destination: Ipv6Addr, bytes: usize) -> Sum {
    // Nothing longer than an IPv6 payload is an ICMPv6 message; the sum of one would be wrong.
    ipv6::pseudo_header(source, destination, ipv6::NEXT_HEADER_ICMPV6).u16(bytes as u16)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn request(kind: u8, pseudo: Sum) -> Vec<u8> {
        let mut bytes = vec![kind, 0, 0, 0, 0x12, 0x34, 0, 7];
        bytes.extend(b"abcdefghi");
        let checksum = pseudo.bytes(&bytes).checksum();
        bytes[2..4].copy_from_slice(&checksum.to_be_bytes());
        bytes
    }

    #[test]
    fn an_echo_is_answered_with_its_data() {
        let mut bytes = request(8, Sum::ZERO);
        let expected = EchoRequest {
            identifier: 0x1234,
            sequence: 7,
        };
        assert_eq!(EchoRequest::parse(&bytes), Ok(expected));
        turn_into_reply(&mut bytes);
        assert_eq!((bytes[0], checksum::of(&bytes)), (0, 0));
        assert_eq!(&bytes[4..], b"\x12\x34\x00\x07abcdefghi");
        assert_eq!(EchoRequest::parse(&bytes), Err(Error::Unsupported));
    }

    #[test]
    fn an_ipv6_echo_is_answered_with_its_data() {
        let (a, b) = (
            "2001:db8::1".parse().unwrap(),
            "2001:db8::2".parse().unwrap(),
        );
        let mut bytes = request(128, pseudo_v6(a, b, 17));
        assert!(EchoRequest::parse_v6(&bytes, a, b).is_ok());
        assert!(EchoRequest::parse_v6(&bytes, a, a).is_err());
        turn_into_reply_v6(&mut bytes);
        assert_eq!(bytes[0], 129);
        assert_eq!(pseudo_v6(b, a, 17).bytes(&bytes).checksum(), 0);
    }

    #[test]
    fn broken_requests_are_refused() {
        let bytes = request(8, Sum::ZERO);
        for length in 0..bytes.len() {
            assert!(EchoRequest::parse(&bytes[..length]).is_err());
        }
        for bit in 0..bytes.len() * 8 {
            let mut bytes = bytes.clone();
            bytes[bit / 8] ^= 1 << (bit % 8);
            assert_eq!(
                EchoRequest::parse(&bytes),
                Err(Error::Checksum),
                "bit {bit}"
            );
            let before = bytes.clone();
            turn_into_reply_v6(&mut bytes);
            assert_eq!(bytes, before);
        }
    }
}
