//! Neighbour discovery for IPv6, RFC 4861: solicitations and advertisements of neighbours.

use crate::ethernet::mac;
use crate::icmp::pseudo_v6;
use crate::{Error, MacAddress, ipv6};
use std::net::Ipv6Addr;

mod field {
    use std::ops::Range;

    pub(super) const TYPE: usize = 0;
    pub(super) const CODE: usize = 1;
    pub(super) const CHECKSUM: Range<usize> = 2..4;
    pub(super) const FLAGS: usize = 4;
    pub(super) const TARGET: Range<usize> = 8..24;
}

/// Bytes before the options, RFC 4861 4.3 and 4.4.
const FIXED_BYTES: usize = field::TARGET.end;
/// Bytes of a message with the one option that Ethernet needs.
pub const MESSAGE_BYTES: usize = FIXED_BYTES + 8;
/// Neighbour discovery is valid only with this hop limit, RFC 4861 7.1.
pub const HOP_LIMIT: u8 = 255;

const SOLICITATION: u8 = 135;
const ADVERTISEMENT: u8 = 136;
const OPTION_SOURCE_LINK: u8 = 1;
const OPTION_TARGET_LINK: u8 = 2;
const FLAG_ROUTER: u8 = 0x80;
const FLAG_SOLICITED: u8 = 0x40;
const FLAG_OVERRIDE: u8 = 0x20;
/// Options of one message that are looked at.
const OPTIONS_MAX: usize = 16;

/// A message about a neighbour.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Message {
    /// Who has `target`? RFC 4861 4.3.
    Solicitation {
        /// The address asked for.
        target: Ipv6Addr,
        /// Where the sender is, unless it probes for duplicates.
        source_mac: Option<MacAddress>,
    },
    /// The sender has `target`. RFC 4861 4.4.
    Advertisement {
        /// The address.
        target: Ipv6Addr,
        /// Where it is.
        target_mac: Option<MacAddress>,
        /// The sender is a router.
        router: bool,
        /// It was asked.
        solicited: bool,
        /// What is known already is to be replaced.
        overrides: bool,
    },
}

impl Message {
    /// Reads the payload of a packet, and checks what RFC 4861 7.1 asks for.
    ///
    /// # Errors
    /// `Truncated`, `Checksum`, `Malformed`, `Unsupported` for other messages of ICMPv6.
    pub fn parse(packet: &ipv6::Packet<'_>) -> Result<Self, Error> {
        let bytes = packet.payload();
        if bytes.len() < FIXED_BYTES {
            return Err(Error::Truncated);
        }
        let kind = bytes[field::TYPE];
        if kind != SOLICITATION && kind != ADVERTISEMENT {
            return Err(Error::Unsupported);
        }
        let (source, destination) = (packet.source(), packet.destination());
        if pseudo_v6(source, destination, bytes.len())
            .bytes(bytes)
            .checksum()
            != 0
        {
            return Err(Error::Checksum);
        }
        let target = ipv6::address(&bytes[field::TARGET]);
        if packet.hop_limit() != HOP_LIMIT || bytes[field::CODE] != 0 || target.is_multicast() {
            return Err(Error::Malformed);
        }
        if kind == SOLICITATION {
            let source_mac = link_option(&bytes[FIXED_BYTES..], OPTION_SOURCE_LINK)?;
            if source.is_unspecified() && source_mac.is_some() {
                return Err(Error::Malformed);
            }
            return Ok(Message::Solicitation { target, source_mac });
        }
        let flags = bytes[field::FLAGS];
        if destination.is_multicast() && flags & FLAG_SOLICITED != 0 {
            return Err(Error::Malformed);
        }
        Ok(Message::Advertisement {
            target,
            target_mac: link_option(&bytes[FIXED_BYTES..], OPTION_TARGET_LINK)?,
            router: flags & FLAG_ROUTER != 0,
            solicited: flags & FLAG_SOLICITED != 0,
            overrides: flags & FLAG_OVERRIDE != 0,
        })
    }

    /// The message in a packet between two addresses; the number of bytes of it that count is
    /// returned too, fewer when there is no link-layer address to tell.
    #[must_use]
    pub fn to_bytes(
        &self,
        source: Ipv6Addr,
        destination: Ipv6Addr,
    ) -> ([u8; MESSAGE_BYTES], usize) {
        let mut bytes = [0; MESSAGE_BYTES];
        let (kind, flags, target, option, mac) = match *self {
            Message::Solicitation { target, source_mac } => {
                (SOLICITATION, 0, target, OPTION_SOURCE_LINK, source_mac)
            }
            Message::Advertisement {
                target,
                target_mac,
                router,
                solicited,
                overrides,
            } => {
                let flag = |set: bool, flag: u8| if set { flag } else { 0 };
                let flags = flag(router, FLAG_ROUTER)
                    | flag(solicited, FLAG_SOLICITED)
                    | flag(overrides, FLAG_OVERRIDE);
                (ADVERTISEMENT, flags, target, OPTION_TARGET_LINK, target_mac)
            }
        };
        bytes[field::TYPE] = kind;
        bytes[field::FLAGS] = flags;
        bytes[field::TARGET].copy_from_slice(&target.octets());
        let mut length = FIXED_BYTES;
        if let Some(mac) = mac {
            length = MESSAGE_BYTES;
            // The length of an option counts eight bytes.
            bytes[FIXED_BYTES..FIXED_BYTES + 2].copy_from_slice(&[option, 1]);
            bytes[FIXED_BYTES + 2..].copy_from_slice(&mac.0);
        }
        let sum = pseudo_v6(source, destination, length).bytes(&bytes[..length]);
        bytes[field::CHECKSUM].copy_from_slice(&sum.checksum().to_be_bytes());
        (bytes, length)
    }
}

/// The group that a solicitation for an address goes to, RFC 4291 2.7.1.
#[must_use]
pub fn solicited_node(target: Ipv6Addr) -> Ipv6Addr {
    let [.., a, b, c] = target.octets();
    let (high, low) = (0xff00 | u16::from(a), u16::from_be_bytes([b, c]));
    Ipv6Addr::new(0xff02, 0, 0, 0, 0, 1, high, low)
}

/// The hardware address of a group, RFC 2464 7.
#[must_use]
pub fn group_mac(group: Ipv6Addr) -> MacAddress {
    let [.., a, b, c, d] = group.octets();
    MacAddress([0x33, 0x33, a, b, c, d])
}

/// The link-layer address in the option of this kind, if there is one.
fn link_option(mut options: &[u8], wanted: u8) -> Result<Option<MacAddress>, Error> {
    let mut found = None;
    for _ in 0..OPTIONS_MAX {
        let [kind, length, ..] = *options else {
            return if options.is_empty() {
                Ok(found)
            } else {
                Err(Error::Truncated)
            };
        };
        let length = usize::from(length) * 8;
        if length == 0 {
            return Err(Error::Malformed);
        }
        let option = options.get(..length).ok_or(Error::Truncated)?;
        if kind == wanted {
            found = Some(mac(&option[2..8]));
        }
        options = &options[length..];
    }
    Ok(found)
}

#[cfg(test)]
mod tests {
    use super::*;

    const MAC: MacAddress = MacAddress([2, 0, 0, 0, 0, 9]);

    fn addresses() -> (Ipv6Addr, Ipv6Addr) {
        (
            "fe80::1".parse().unwrap(),
            "2001:db8::12:3456".parse().unwrap(),
        )
    }

    fn packet(message: &Message, source: Ipv6Addr, destination: Ipv6Addr) -> Vec<u8> {
        let (bytes, length) = message.to_bytes(source, destination);
        let header = ipv6::Header {
            source,
            destination,
            next_header: ipv6::NEXT_HEADER_ICMPV6,
            hop_limit: HOP_LIMIT,
            traffic_class: 0,
            payload_bytes: length as u16,
        };
        [&header.to_bytes()[..], &bytes[..length]].concat()
    }

    fn parse(bytes: &[u8]) -> Result<Message, Error> {
        Message::parse(&ipv6::Packet::new(bytes)?)
    }

    fn messages() -> Vec<Message> {
        let target = addresses().1;
        let advertisement = |target_mac, router, solicited, overrides| Message::Advertisement {
            target,
            target_mac,
            router,
            solicited,
            overrides,
        };
        let source_mac = Some(MAC);
        vec![
            Message::Solicitation { target, source_mac },
            Message::Solicitation {
                target,
                source_mac: None,
            },
            advertisement(Some(MAC), false, true, true),
            advertisement(None, true, false, false),
        ]
    }

    #[test]
    fn what_is_written_is_read() {
        let (a, b) = addresses();
        for message in messages() {
            assert_eq!(parse(&packet(&message, a, b)), Ok(message));
        }
    }

    #[test]
    fn groups_are_those_of_the_standards() {
        let group = solicited_node(addresses().1);
        assert_eq!(group, "ff02::1:ff12:3456".parse::<Ipv6Addr>().unwrap());
        assert_eq!(group_mac(group).to_string(), "33:33:ff:12:34:56");
    }

    #[test]
    fn broken_messages_are_refused() {
        let (a, b) = addresses();
        for message in messages() {
            let bytes = packet(&message, a, b);
            for length in 0..bytes.len() {
                assert!(parse(&bytes[..length]).is_err());
            }
            for bit in 8 * 8..bytes.len() * 8 {
                let mut bytes = bytes.clone();
                bytes[bit / 8] ^= 1 << (bit % 8);
                assert!(parse(&bytes).is_err(), "bit {bit}");
            }
        }
    }

    #[test]
    fn what_came_through_a_router_or_contradicts_itself_is_refused() {
        let (a, b) = addresses();
        let mut routed = packet(&messages()[0], a, b);
        routed[7] = 254;
        assert_eq!(parse(&routed), Err(Error::Malformed));
        let probe = packet(&messages()[0], Ipv6Addr::UNSPECIFIED, solicited_node(b));
        assert_eq!(parse(&probe), Err(Error::Malformed));
        let group: Ipv6Addr = "ff02::1".parse().unwrap();
        assert_eq!(
            parse(&packet(&messages()[2], a, group)),
            Err(Error::Malformed)
        );
    }

    #[test]
    fn an_option_of_no_length_does_not_hold_up_the_parser() {
        assert_eq!(
            link_option(&[1, 0, 1, 2, 3, 4, 5, 6], 1),
            Err(Error::Malformed)
        );
        assert_eq!(link_option(&[1], 1), Err(Error::Truncated));
        let many = [9, 1, 0, 0, 0, 0, 0, 0].repeat(100);
        assert_eq!(link_option(&many, 1), Ok(None));
    }
}
