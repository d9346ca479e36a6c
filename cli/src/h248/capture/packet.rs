//! From packets to what they carry for H.248: datagrams of UDP, TPKTs of TCP, data of SCTP.

use std::collections::{BTreeMap, HashMap};
use std::fmt;
use std::net::{IpAddr, SocketAddr};

use ::h248::encoding::{Encoding, MESSAGE_LEN_MAX};
use ::h248::transport::tpkt::Framer;
use inet::{ethernet, ipv4, ipv6, udp};

/// Most directions of TCP connections and streams of SCTP that are followed at a time.
const FLOWS_MAX: usize = 4096;
/// Most segments of one direction that wait for an earlier one.
const EARLY_SEGMENTS_MAX: usize = 64;
/// Extension headers of IPv6 behind one another.
const EXTENSIONS_MAX: usize = 8;
/// Payload protocol identifier of H.248, IANA.
const H248_PAYLOAD: u32 = 7;
/// Port of SCTP in UDP, RFC 6951.
const ENCAPSULATION_PORT: u16 = 9899;

/// Link types, of tcpdump's registry.
mod link {
    pub const NULL: u32 = 0;
    pub const ETHERNET: u32 = 1;
    pub const RAW_BSD: u32 = 12;
    pub const RAW: u32 = 101;
    pub const COOKED: u32 = 113;
    pub const IPV4: u32 = 228;
    pub const IPV6: u32 = 229;
    pub const COOKED_2: u32 = 276;
}

/// Protocols above IP.
mod protocol {
    pub const HOP_BY_HOP: u8 = 0;
    pub const TCP: u8 = 6;
    pub const UDP: u8 = 17;
    pub const ROUTING: u8 = 43;
    pub const FRAGMENT: u8 = 44;
    pub const DESTINATION: u8 = 60;
    pub const SCTP: u8 = 132;
}

/// What carried a message.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Carrier {
    /// A datagram.
    Udp,
    /// A connection.
    Tcp,
    /// A stream of an SCTP association.
    Sctp,
}

impl fmt::Display for Carrier {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Udp => "udp",
            Self::Tcp => "tcp",
            Self::Sctp => "sctp",
        })
    }
}

/// What seems to be a message of H.248.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Carried {
    /// Who sent it.
    pub from: SocketAddr,
    /// To whom.
    pub to: SocketAddr,
    /// By what.
    pub carrier: Carrier,
    /// Its octets.
    pub octets: Vec<u8>,
}

/// Follows connections and associations, packet after packet.
#[derive(Default)]
pub struct Dissector {
    connections: HashMap<(SocketAddr, SocketAddr), Connection>,
    fragments: HashMap<(SocketAddr, SocketAddr, u16), Data>,
    /// Pieces of fragmented IP packets, which are not put together.
    pub ip_fragments: u64,
}

impl Dissector {
    /// Takes a packet; what it completes goes behind `found`.
    pub fn handle(&mut self, link: u32, octets: &[u8], found: &mut Vec<Carried>) {
        let _ = self.link(link, octets, found);
    }

    /// `None` when there is nothing for us in it.
    fn link(&mut self, link: u32, octets: &[u8], found: &mut Vec<Carried>) -> Option<()> {
        let packet = match link {
            link::NULL => octets.get(4..)?,
            link::ETHERNET => {
                let frame = ethernet::Frame::new(octets).ok()?;
                let is_ip = matches!(frame.ether_type().0, 0x0800 | 0x86dd);
                is_ip.then(|| frame.payload())?
            }
            link::RAW_BSD | link::RAW | link::IPV4 | link::IPV6 => octets,
            link::COOKED => octets.get(16..)?,
            link::COOKED_2 => octets.get(20..)?,
            _ => return None,
        };
        match packet.first()? >> 4 {
            4 => {
                let packet = ipv4::Packet::new(packet).ok()?;
                if packet.is_fragment() {
                    self.ip_fragments += 1;
                    return None;
                }
                let ends = (packet.source().into(), packet.destination().into());
                self.transport(ends, packet.protocol(), packet.payload(), found)
            }
            6 => {
                let packet = ipv6::Packet::new(packet).ok()?;
                let ends = (packet.source().into(), packet.destination().into());
                let (protocol, payload) = self.behind_extensions(&packet)?;
                self.transport(ends, protocol, payload, found)
            }
            _ => None,
        }
    }

    fn behind_extensions<'a>(&mut self, packet: &ipv6::Packet<'a>) -> Option<(u8, &'a [u8])> {
        let (mut next, mut rest) = (packet.next_header(), packet.payload());
        for _ in 0..EXTENSIONS_MAX {
            match next {
                protocol::HOP_BY_HOP | protocol::ROUTING | protocol::DESTINATION => {
                    let length = 8 + 8 * usize::from(*rest.get(1)?);
                    next = *rest.first()?;
                    rest = rest.get(length..)?;
                }
                protocol::FRAGMENT => {
                    self.ip_fragments += 1;
                    return None;
                }
                _ => return Some((next, rest)),
            }
        }
        None
    }

    fn transport(
        &mut self,
        (source, destination): (IpAddr, IpAddr),
        protocol: u8,
        payload: &[u8],
        found: &mut Vec<Carried>,
    ) -> Option<()> {
        let ports = (be16(payload, 0)?, be16(payload, 2)?);
        let from = SocketAddr::new(source, ports.0);
        let to = SocketAddr::new(destination, ports.1);
        match protocol {
            protocol::UDP => {
                let octets = udp::Datagram::new(payload).ok()?.payload();
                if ports.0 == ENCAPSULATION_PORT || ports.1 == ENCAPSULATION_PORT {
                    let inner = (be16(octets, 0)?, be16(octets, 2)?);
                    let from = SocketAddr::new(source, inner.0);
                    let to = SocketAddr::new(destination, inner.1);
                    return self.sctp(from, to, octets, found);
                }
                if looks_like_message(octets) {
                    found.push(Carried {
                        from,
                        to,
                        carrier: Carrier::Udp,
                        octets: octets.to_vec(),
                    });
                }
                Some(())
            }
            protocol::TCP => self.tcp(from, to, payload, found),
            protocol::SCTP => self.sctp(from, to, payload, found),
            _ => None,
        }
    }

    fn tcp(
        &mut self,
        from: SocketAddr,
        to: SocketAddr,
        segment: &[u8],
        found: &mut Vec<Carried>,
    ) -> Option<()> {
        let sequence = be32(segment, 4)?;
        let header = 4 * usize::from(segment.get(12)? >> 4);
        let flags = *segment.get(13)?;
        let octets = segment.get(header..)?;
        let (has_fin, has_syn, has_rst) = (flags & 1 != 0, flags & 2 != 0, flags & 4 != 0);
        if !self.connections.contains_key(&(from, to)) && self.connections.len() == FLOWS_MAX {
            self.connections.clear();
        }
        if has_syn {
            let connection = Connection {
                next: Some(sequence.wrapping_add(1)),
                ..Connection::default()
            };
            self.connections.insert((from, to), connection);
            return Some(());
        }
        let connection = self.connections.entry((from, to)).or_default();
        connection.handle(sequence, octets);
        while let Some(message) = connection.next_message() {
            found.push(Carried {
                from,
                to,
                carrier: Carrier::Tcp,
                octets: message,
            });
        }
        if has_fin || has_rst {
            self.connections.remove(&(from, to));
        }
        Some(())
    }

    /// Chunks of RFC 9260 3.3.1 with our payload protocol identifier.
    fn sctp(
        &mut self,
        from: SocketAddr,
        to: SocketAddr,
        packet: &[u8],
        found: &mut Vec<Carried>,
    ) -> Option<()> {
        const DATA: u8 = 0;
        let mut chunks = packet.get(12..)?;
        while let (Some(&kind), Some(&flags), Some(length)) =
            (chunks.first(), chunks.get(1), be16(chunks, 2))
        {
            let length = usize::from(length);
            let chunk = chunks.get(..length)?;
            if kind == DATA && be32(chunk, 12)? == H248_PAYLOAD {
                let key = (from, to, be16(chunk, 8)?);
                let (begins, ends) = (flags & 2 != 0, flags & 1 != 0);
                if let Some(octets) =
                    self.data(key, be32(chunk, 4)?, chunk.get(16..)?, begins, ends)
                {
                    found.push(Carried {
                        from,
                        to,
                        carrier: Carrier::Sctp,
                        octets,
                    });
                }
            }
            chunks = chunks.get(length.max(4).next_multiple_of(4)..)?;
        }
        Some(())
    }

    /// Takes a fragment of user data; gives the whole when this is its last. Fragments have
    /// transmission sequence numbers one after the other.
    fn data(
        &mut self,
        key: (SocketAddr, SocketAddr, u16),
        number: u32,
        octets: &[u8],
        begins: bool,
        ends: bool,
    ) -> Option<Vec<u8>> {
        if begins && ends {
            return Some(octets.to_vec());
        }
        if begins {
            if self.fragments.len() == FLOWS_MAX {
                self.fragments.clear();
            }
            self.fragments.insert(key, Data::default());
        }
        let data = self.fragments.get_mut(&key)?;
        let fits = data.octets.len() + octets.len() <= MESSAGE_LEN_MAX;
        if !begins && (data.next != number || !fits) {
            return None;
        }
        data.next = number.wrapping_add(1);
        data.octets.extend_from_slice(octets);
        if !ends {
            return None;
        }
        self.fragments.remove(&key).map(|data| data.octets)
    }
}

/// User data of SCTP of which fragments are missing.
#[derive(Default)]
struct Data {
    octets: Vec<u8>,
    /// Number of the next fragment.
    next: u32,
}

/// One direction of a TCP connection.
#[derive(Default)]
struct Connection {
    /// Sequence number of the next octet; `None` until a TPKT was seen to begin.
    next: Option<u32>,
    framer: Framer,
    /// Segments that came before their time.
    early: BTreeMap<u32, Vec<u8>>,
    /// It carries something else.
    is_other: bool,
}

impl Connection {
    fn handle(&mut self, sequence: u32, octets: &[u8]) {
        if self.is_other || octets.is_empty() {
            return;
        }
        if self.early.len() == EARLY_SEGMENTS_MAX {
            // What is missing was not captured: go on where a message begins.
            *self = Self::default();
        }
        if self.next.is_none() && octets.starts_with(&[3, 0]) {
            self.next = Some(sequence);
        }
        let Some(next) = self.next else {
            return;
        };
        if sequence.wrapping_sub(next).cast_signed() > 0 {
            self.early.insert(sequence, octets.to_vec());
            return;
        }
        self.push(sequence, octets);
        while let Some((sequence, octets)) = self.in_time() {
            self.push(sequence, &octets);
        }
    }

    /// A segment whose time has come.
    fn in_time(&mut self) -> Option<(u32, Vec<u8>)> {
        let next = self.next?;
        let is_due = |&sequence: &u32| sequence.wrapping_sub(next).cast_signed() <= 0;
        let sequence = self.early.keys().copied().find(is_due)?;
        let octets = self.early.remove(&sequence)?;
        Some((sequence, octets))
    }

    /// Takes what is new of a segment that does not begin too late.
    fn push(&mut self, sequence: u32, octets: &[u8]) {
        let Some(next) = self.next else {
            return;
        };
        let known = next.wrapping_sub(sequence) as usize;
        if let Some(new) = octets.get(known..) {
            self.framer.push(new);
            self.next = Some(next.wrapping_add(new.len() as u32));
        }
    }

    fn next_message(&mut self) -> Option<Vec<u8>> {
        match self.framer.next_message() {
            Ok(Some(message)) if looks_like_message(message) => Some(message.to_vec()),
            Ok(None) => None,
            Ok(Some(_)) | Err(_) => {
                self.is_other = true;
                None
            }
        }
    }
}

/// True for what begins as a message of text, or can be read as one in binary.
fn looks_like_message(octets: &[u8]) -> bool {
    if Encoding::is_binary(octets) {
        return ::h248::binary::parse(octets, &::h248::binary::Naming::default()).is_ok();
    }
    let begins = |word: &str| {
        octets
            .get(..word.len())
            .is_some_and(|start| start.eq_ignore_ascii_case(word.as_bytes()))
    };
    ["MEGACO/", "!/", "Authentication", "AU="]
        .into_iter()
        .any(begins)
}

fn be16(octets: &[u8], at: usize) -> Option<u16> {
    octets
        .get(at..)?
        .first_chunk()
        .copied()
        .map(u16::from_be_bytes)
}

fn be32(octets: &[u8], at: usize) -> Option<u32> {
    octets
        .get(at..)?
        .first_chunk()
        .copied()
        .map(u32::from_be_bytes)
}

#[cfg(test)]
mod tests {
    use super::*;
    use h248::transport::tpkt;

    const TEXT: &[u8] = b"!/3 [192.0.2.1]\nPN=1{}";

    /// An IPv4 packet from 192.0.2.1 to 192.0.2.2.
    fn packet(protocol: u8, payload: &[u8]) -> Vec<u8> {
        let length = (20 + payload.len() as u16).to_be_bytes();
        let mut head = [
            0x45, 0, length[0], length[1], 0, 0, 0, 0, 64, protocol, 0, 0,
        ];
        let ends = [192, 0, 2, 1, 192, 0, 2, 2];
        let sum = inet::checksum::of(&[&head[..], &ends].concat());
        head[10..].copy_from_slice(&sum.to_be_bytes());
        [&head[..], &ends, payload].concat()
    }

    fn datagram(port: u16, octets: &[u8]) -> Vec<u8> {
        let length = 8 + octets.len() as u16;
        let head = [2944, port, length, 0].map(u16::to_be_bytes).concat();
        packet(protocol::UDP, &[&head, octets].concat())
    }

    fn segment(sequence: u32, flags: u8, octets: &[u8]) -> Vec<u8> {
        let ports = [2944_u16, 4000].map(u16::to_be_bytes).concat();
        let numbers = [sequence, 0].map(u32::to_be_bytes).concat();
        let rest = [0x50, flags, 0, 0, 0, 0, 0, 0];
        packet(
            protocol::TCP,
            &[&ports, &numbers, &rest[..], octets].concat(),
        )
    }

    fn chunk(number: u32, flags: u8, payload: u32, octets: &[u8]) -> Vec<u8> {
        let length = (16 + octets.len() as u16).to_be_bytes();
        let head = [
            &[0, flags][..],
            &length,
            &number.to_be_bytes(),
            &[0, 1, 0, 5],
        ]
        .concat();
        let mut chunk = [&head, &payload.to_be_bytes()[..], octets].concat();
        chunk.resize(chunk.len().next_multiple_of(4), 0);
        chunk
    }

    fn sctp(chunks: &[Vec<u8>]) -> Vec<u8> {
        let ports = [2944_u16, 2945].map(u16::to_be_bytes).concat();
        [&ports, &[0; 8][..], &chunks.concat()].concat()
    }

    fn found(packets: &[Vec<u8>]) -> Vec<(Carrier, u16, Vec<u8>)> {
        let (mut dissector, mut found) = (Dissector::default(), Vec::new());
        for packet in packets {
            dissector.handle(link::RAW, packet, &mut found);
        }
        let each = found.into_iter();
        each.map(|it| (it.carrier, it.to.port(), it.octets))
            .collect()
    }

    #[test]
    fn datagrams_of_text_and_binary_are_found_and_others_are_not() {
        let message = h248::text::parse_message(TEXT).unwrap();
        let binary = h248::binary::to_vec(&message, &h248::binary::Naming::default()).unwrap();
        let packets = [
            datagram(2944, TEXT),
            datagram(53, b"something else"),
            datagram(4000, &binary),
            datagram(4000, b"\x30\x03\x02\x01\x05"),
        ];
        let expected = [
            (Carrier::Udp, 2944, TEXT.to_vec()),
            (Carrier::Udp, 4000, binary),
        ];
        assert_eq!(found(&packets), expected);
    }

    #[test]
    fn messages_of_a_connection_are_found_however_its_segments_come() {
        let octets = [tpkt::frame(TEXT).unwrap(), tpkt::frame(TEXT).unwrap()].concat();
        let start = u32::MAX - 9;
        let piece = |from: usize, to: usize| {
            segment(start.wrapping_add(1 + from as u32), 0x10, &octets[from..to])
        };
        let end = octets.len();
        let packets = [
            segment(start, 2, &[]),
            piece(0, 7),
            piece(20, 30),
            piece(0, 7),
            piece(30, end),
            piece(5, 20),
            segment(7, 0x11, &[]),
        ];
        let one = (Carrier::Tcp, 4000, TEXT.to_vec());
        assert_eq!(found(&packets), [one.clone(), one.clone()]);
        // A capture that begins in the middle goes on where a message begins.
        assert_eq!(found(&packets[2..3]), []);
        assert_eq!(found(&[piece(9, 26), piece(26, end)]), [one]);
        assert_eq!(found(&[segment(1, 0x10, b"\x03\x00\x00\x08none")]), []);
    }

    #[test]
    fn data_of_an_association_is_found_whole_and_in_pieces() {
        let (first, rest) = TEXT.split_at(9);
        let packets = [
            packet(
                protocol::SCTP,
                &sctp(&[
                    chunk(1, 3, 7, TEXT),
                    chunk(2, 3, 3, TEXT),
                    chunk(3, 2, 7, first),
                ]),
            ),
            datagram(ENCAPSULATION_PORT, &sctp(&[chunk(4, 1, 7, rest)])),
        ];
        let one = (Carrier::Sctp, 2945, TEXT.to_vec());
        assert_eq!(found(&packets), [one.clone(), one]);
    }

    #[test]
    fn each_link_layer_is_read() {
        let ip = datagram(2944, TEXT);
        let ethernet = [&[0; 12][..], &[8, 0], &ip].concat();
        for (link, packet) in [
            (link::NULL, [&[2, 0, 0, 0][..], &ip].concat()),
            (link::ETHERNET, ethernet),
            (link::IPV4, ip.clone()),
            (link::COOKED, [&[0; 16][..], &ip].concat()),
            (link::COOKED_2, [&[0; 20][..], &ip].concat()),
        ] {
            let mut found = Vec::new();
            Dissector::default().handle(link, &packet, &mut found);
            assert_eq!(found.len(), 1, "{link}");
        }
    }

    #[test]
    fn packets_cut_or_damaged_anywhere_do_no_harm() {
        let tpkt = tpkt::frame(TEXT).unwrap();
        for whole in [
            datagram(2944, TEXT),
            segment(1, 0x10, &tpkt),
            packet(protocol::SCTP, &sctp(&[chunk(1, 3, 7, TEXT)])),
            datagram(ENCAPSULATION_PORT, &sctp(&[chunk(1, 2, 7, TEXT)])),
        ] {
            let (mut dissector, mut found) = (Dissector::default(), Vec::new());
            for at in 0..whole.len() {
                dissector.handle(link::RAW, &whole[..at], &mut found);
                for bit in 0..8 {
                    let mut damaged = whole.clone();
                    damaged[at] ^= 1 << bit;
                    dissector.handle(link::RAW, &damaged, &mut found);
                }
            }
        }
    }

    #[test]
    fn segments_that_wait_for_one_never_captured_are_bounded() {
        let (mut dissector, mut found) = (Dissector::default(), Vec::new());
        dissector.handle(link::RAW, &segment(0, 2, &[]), &mut found);
        for index in 0..1000 {
            let late = segment(100 + 10 * index, 0x10, b"abc");
            dissector.handle(link::RAW, &late, &mut found);
        }
        let most = dissector
            .connections
            .values()
            .map(|it| it.early.len())
            .max();
        assert!(most.unwrap() <= EARLY_SEGMENTS_MAX);
        dissector.handle(
            link::RAW,
            &segment(90_000, 0x10, &tpkt::frame(TEXT).unwrap()),
            &mut found,
        );
        assert_eq!(found.len(), 1);
    }
}
