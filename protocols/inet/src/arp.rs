//! ARP for IPv4 over Ethernet, RFC 826.

use crate::ethernet::{be16, mac};
use crate::{Error, MacAddress};
use std::net::Ipv4Addr;

mod field {
    use std::ops::Range;

    pub(super) const KINDS: Range<usize> = 0..6;
    pub(super) const OPERATION: Range<usize> = 6..8;
    pub(super) const SENDER_MAC: Range<usize> = 8..14;
    pub(super) const SENDER_IP: Range<usize> = 14..18;
    pub(super) const TARGET_MAC: Range<usize> = 18..24;
    pub(super) const TARGET_IP: Range<usize> = 24..28;
}

/// Bytes of a message.
pub const MESSAGE_BYTES: usize = field::TARGET_IP.end;

/// Ethernet, IPv4, and the lengths of their addresses.
const KINDS: [u8; 6] = [0, 1, 8, 0, 6, 4];

/// What a message is.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Operation {
    /// Who has the target's address?
    Request,
    /// The sender has.
    Reply,
}

/// A message.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Message {
    /// Question or answer.
    pub operation: Operation,
    /// The sender's hardware address.
    pub sender_mac: MacAddress,
    /// The sender's address; unspecified when it only probes (RFC 5227).
    pub sender_ip: Ipv4Addr,
    /// The target's hardware address; of no meaning in a request.
    pub target_mac: MacAddress,
    /// The address asked for.
    pub target_ip: Ipv4Addr,
}

impl Message {
    /// Reads the payload of a frame.
    ///
    /// # Errors
    /// `Truncated`, `Unsupported` for other networks and operations.
    pub fn parse(bytes: &[u8]) -> Result<Self, Error> {
        let bytes = bytes.get(..MESSAGE_BYTES).ok_or(Error::Truncated)?;
        let operation = match be16(bytes, field::OPERATION.start) {
            1 => Operation::Request,
            2 => Operation::Reply,
            _ => return Err(Error::Unsupported),
        };
        if bytes[field::KINDS] != KINDS {
            return Err(Error::Unsupported);
        }
        Ok(Self {
            operation,
            sender_mac: mac(&bytes[field::SENDER_MAC]),
            sender_ip: ip(&bytes[field::SENDER_IP]),
            target_mac: mac(&bytes[field::TARGET_MAC]),
            target_ip: ip(&bytes[field::TARGET_IP]),
        })
    }

    /// The question who has `target_ip`.
    #[must_use]
    pub fn request(sender_mac: MacAddress, sender_ip: Ipv4Addr, target_ip: Ipv4Addr) -> Self {
        Self {
            operation: Operation::Request,
            sender_mac,
            sender_ip,
            target_mac: MacAddress::default(),
            target_ip,
        }
    }

    /// The answer of the host that has the address this request asks for.
    #[must_use]
    pub fn reply(&self, mac: MacAddress) -> Self {
        Self {
            operation: Operation::Reply,
            sender_mac: mac,
            sender_ip: self.target_ip,
            target_mac: self.sender_mac,
            target_ip: self.sender_ip,
        }
    }

    /// The message.
    #[must_use]
    pub fn to_bytes(&self) -> [u8; MESSAGE_BYTES] {
        let mut bytes = [0; MESSAGE_BYTES];
        bytes[field::KINDS].copy_from_slice(&KINDS);
        let operation: u16 = match self.operation {
            Operation::Request => 1,
            Operation::Reply => 2,
        };
        bytes[field::OPERATION].copy_from_slice(&operation.to_be_bytes());
        bytes[field::SENDER_MAC].copy_from_slice(&self.sender_mac.0);
        bytes[field::SENDER_IP].copy_from_slice(&self.sender_ip.octets());
        bytes[field::TARGET_MAC].copy_from_slice(&self.target_mac.0);
        bytes[field::TARGET_IP].copy_from_slice(&self.target_ip.octets());
        bytes
    }
}

fn ip(bytes: &[u8]) -> Ipv4Addr {
    Ipv4Addr::new(bytes[0], bytes[1], bytes[2], bytes[3])
}

#[cfg(test)]
mod tests {
    use super::*;

    const MINE: MacAddress = MacAddress([2, 0, 0, 0, 0, 1]);
    const THEIRS: MacAddress = MacAddress([2, 0, 0, 0, 0, 2]);

    #[test]
    fn a_request_is_answered_by_whom_it_asks_for() {
        let (a, b) = (Ipv4Addr::new(192, 0, 2, 1), Ipv4Addr::new(192, 0, 2, 2));
        let request = Message::request(MINE, a, b);
        let received = Message::parse(&request.to_bytes()).unwrap();
        assert_eq!(received, request);
        let reply = received.reply(THEIRS);
        assert_eq!(Message::parse(&reply.to_bytes()), Ok(reply));
        assert_eq!((reply.sender_mac, reply.sender_ip), (THEIRS, b));
        assert_eq!((reply.target_mac, reply.target_ip), (MINE, a));
    }

    #[test]
    fn broken_messages_are_refused() {
        let request = Message::request(MINE, Ipv4Addr::LOCALHOST, Ipv4Addr::LOCALHOST);
        let bytes = request.to_bytes();
        for length in 0..bytes.len() {
            assert_eq!(Message::parse(&bytes[..length]), Err(Error::Truncated));
        }
        for bit in 0..8 * 8 {
            let mut bytes = bytes;
            bytes[bit / 8] ^= 1 << (bit % 8);
            assert_eq!(Message::parse(&bytes), Err(Error::Unsupported), "bit {bit}");
        }
    }
}
