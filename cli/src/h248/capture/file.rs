//! Capture files: pcap of either precision and byte order, and pcapng.

use std::fmt;
use std::io::{self, Read};
use std::time::Duration;

/// Longest block or record taken: the longest frame that any capturing program writes, and more.
const BLOCK_BYTES_MAX: usize = 1 << 20;
/// Most interfaces of a pcapng section.
const INTERFACES_MAX: usize = 4096;

/// A packet of a capture.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Record {
    /// When it was captured, after 1970.
    pub time: Duration,
    /// What it begins with: a number of the registry of link types.
    pub link: u32,
    /// Its octets, as far as they were captured.
    pub octets: Vec<u8>,
}

/// Why a file cannot be read, or no further.
#[derive(Debug)]
pub enum Fault {
    /// It is no capture.
    NotACapture,
    /// It is one up to here.
    Damaged(&'static str),
    /// The system says so.
    Io(io::Error),
}

impl fmt::Display for Fault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::NotACapture => f.write_str("neither pcap nor pcapng"),
            Self::Damaged(what) => write!(f, "damaged: {what}"),
            Self::Io(fault) => fault.fmt(f),
        }
    }
}

/// Reads a capture from front to back.
pub struct Reader<R> {
    source: R,
    format: Format,
    is_big_endian: bool,
}

enum Format {
    Pcap {
        link: u32,
        /// Fractions of a second.
        resolution: u64,
    },
    Pcapng {
        interfaces: Vec<Interface>,
    },
}

#[derive(Clone, Copy)]
struct Interface {
    link: u32,
    /// Time stamps of a second.
    resolution: u64,
}

const PCAP_MICROS: u32 = 0xa1b2_c3d4;
const PCAP_NANOS: u32 = 0xa1b2_3c4d;
const SECTION_HEADER: u32 = 0x0a0d_0d0a;
const SECTION_ORDER: u32 = 0x1a2b_3c4d;
const INTERFACE_DESCRIPTION: u32 = 1;
const SIMPLE_PACKET: u32 = 3;
const ENHANCED_PACKET: u32 = 6;
/// Option if_tsresol of an interface description.
const TIME_RESOLUTION: u16 = 9;

impl<R: Read> Reader<R> {
    /// Reads the head of a capture.
    ///
    /// # Errors
    /// It has none.
    pub fn open(mut source: R) -> Result<Self, Fault> {
        let mut magic = [0; 4];
        if !fill(&mut source, &mut magic)? {
            return Err(Fault::NotACapture);
        }
        if u32::from_le_bytes(magic) == SECTION_HEADER {
            let mut reader = Self {
                source,
                format: Format::Pcapng {
                    interfaces: Vec::new(),
                },
                is_big_endian: false,
            };
            reader.section()?;
            return Ok(reader);
        }
        let resolution = |magic| match magic {
            PCAP_MICROS => Some(1_000_000),
            PCAP_NANOS => Some(1_000_000_000),
            _ => None,
        };
        let (little, big) = (u32::from_le_bytes(magic), u32::from_be_bytes(magic));
        let Some(per_second) = resolution(little).or_else(|| resolution(big)) else {
            return Err(Fault::NotACapture);
        };
        let mut reader = Self {
            source,
            format: Format::Pcap {
                link: 0,
                resolution: per_second,
            },
            is_big_endian: resolution(little).is_none(),
        };
        let head = reader.take(20)?;
        // The upper bits tell of frame check sequences.
        let link = reader.u32(&head, 16).unwrap_or(0) & 0x0fff_ffff;
        reader.format = Format::Pcap {
            link,
            resolution: per_second,
        };
        Ok(reader)
    }

    /// The next packet; `None` at the end.
    ///
    /// # Errors
    /// The file is damaged, or cannot be read.
    pub fn next_record(&mut self) -> Result<Option<Record>, Fault> {
        match self.format {
            Format::Pcap { link, resolution } => self.pcap_record(link, resolution),
            Format::Pcapng { .. } => self.pcapng_record(),
        }
    }

    fn pcap_record(&mut self, link: u32, resolution: u64) -> Result<Option<Record>, Fault> {
        let mut head = [0; 16];
        if !fill(&mut self.source, &mut head)? {
            return Ok(None);
        }
        let field = |at| self.u32(&head, at).unwrap_or(0);
        let (seconds, fraction, length) = (field(0), field(4), field(8));
        let stamp = u64::from(seconds) * resolution + u64::from(fraction);
        Ok(Some(Record {
            time: time(stamp, resolution),
            link,
            octets: self.take(length as usize)?,
        }))
    }

    fn pcapng_record(&mut self) -> Result<Option<Record>, Fault> {
        loop {
            let mut kind = [0; 4];
            if !fill(&mut self.source, &mut kind)? {
                return Ok(None);
            }
            let kind = self.number(kind);
            if kind == SECTION_HEADER {
                self.section()?;
                continue;
            }
            let body = self.block()?;
            match kind {
                INTERFACE_DESCRIPTION => self.interface(&body)?,
                ENHANCED_PACKET => return self.enhanced(&body).map(Some),
                SIMPLE_PACKET => return self.simple(&body).map(Some),
                _ => {}
            }
        }
    }

    /// The rest of a section header block, whose type reads the same in either byte order.
    fn section(&mut self) -> Result<(), Fault> {
        let mut head = [0; 8];
        if !fill(&mut self.source, &mut head)? {
            return Err(Fault::Damaged("it ends in a section header"));
        }
        let [length, order] = [0, 4].map(|at| [head[at], head[at + 1], head[at + 2], head[at + 3]]);
        self.is_big_endian = match (u32::from_le_bytes(order), u32::from_be_bytes(order)) {
            (SECTION_ORDER, _) => false,
            (_, SECTION_ORDER) => true,
            _ => return Err(Fault::Damaged("a section of no byte order")),
        };
        let length = (self.number(length) as usize).checked_sub(12);
        self.take(length.ok_or(Fault::Damaged("a block without length"))?)?;
        self.format = Format::Pcapng {
            interfaces: Vec::new(),
        };
        Ok(())
    }

    /// Body of a block behind its type.
    fn block(&mut self) -> Result<Vec<u8>, Fault> {
        let length = self.take(4)?;
        let length = self.u32(&length, 0).unwrap_or(0) as usize;
        let body = length.checked_sub(12).filter(|body| body.is_multiple_of(4));
        let mut body = self.take(body.ok_or(Fault::Damaged("a block without length"))? + 4)?;
        body.truncate(length - 12);
        Ok(body)
    }

    fn interface(&mut self, body: &[u8]) -> Result<(), Fault> {
        let link = self.u16(body, 0);
        let link = link.ok_or(Fault::Damaged("a short interface description"))?;
        let mut resolution = 1_000_000;
        let mut at = 8;
        while let (Some(code), Some(length)) = (self.u16(body, at), self.u16(body, at + 2)) {
            if code == TIME_RESOLUTION
                && let Some(&exponent) = body.get(at + 4)
            {
                resolution = match exponent & 0x80 {
                    0 => 10_u64.checked_pow(u32::from(exponent)),
                    _ => 2_u64.checked_pow(u32::from(exponent & 0x7f)),
                }
                .ok_or(Fault::Damaged("a resolution of time that is none"))?;
            }
            at += 4 + usize::from(length).next_multiple_of(4);
        }
        let Format::Pcapng { interfaces } = &mut self.format else {
            return Ok(());
        };
        if interfaces.len() == INTERFACES_MAX {
            return Err(Fault::Damaged("too many interfaces"));
        }
        interfaces.push(Interface {
            link: u32::from(link),
            resolution,
        });
        Ok(())
    }

    fn enhanced(&self, body: &[u8]) -> Result<Record, Fault> {
        let field = |at| self.u32(body, at);
        let short = Fault::Damaged("a short packet block");
        let (Some(interface), Some(high), Some(low), Some(length)) =
            (field(0), field(4), field(8), field(12))
        else {
            return Err(short);
        };
        let interface = self.interface_at(interface)?;
        let octets = body.get(20..).and_then(|rest| rest.get(..length as usize));
        Ok(Record {
            time: time(u64::from(high) << 32 | u64::from(low), interface.resolution),
            link: interface.link,
            octets: octets.ok_or(short)?.to_vec(),
        })
    }

    /// A packet without time, of the first interface.
    fn simple(&self, body: &[u8]) -> Result<Record, Fault> {
        let length = self.u32(body, 0);
        let length = length.ok_or(Fault::Damaged("a short packet block"))? as usize;
        Ok(Record {
            time: Duration::ZERO,
            link: self.interface_at(0)?.link,
            octets: body[4..][..length.min(body.len() - 4)].to_vec(),
        })
    }

    fn interface_at(&self, index: u32) -> Result<Interface, Fault> {
        let Format::Pcapng { interfaces } = &self.format else {
            return Err(Fault::NotACapture);
        };
        let interface = interfaces.get(index as usize).copied();
        interface.ok_or(Fault::Damaged("a packet of no interface"))
    }

    fn take(&mut self, length: usize) -> Result<Vec<u8>, Fault> {
        if length > BLOCK_BYTES_MAX {
            return Err(Fault::Damaged("a packet longer than any"));
        }
        let mut octets = vec![0; length];
        if length > 0 && !fill(&mut self.source, &mut octets)? {
            return Err(Fault::Damaged("it ends in the middle of a packet"));
        }
        Ok(octets)
    }

    fn number(&self, octets: [u8; 4]) -> u32 {
        match self.is_big_endian {
            true => u32::from_be_bytes(octets),
            false => u32::from_le_bytes(octets),
        }
    }

    fn u32(&self, octets: &[u8], at: usize) -> Option<u32> {
        let octets = octets.get(at..)?.first_chunk::<4>()?;
        Some(self.number(*octets))
    }

    fn u16(&self, octets: &[u8], at: usize) -> Option<u16> {
        let octets = *octets.get(at..)?.first_chunk::<2>()?;
        Some(match self.is_big_endian {
            true => u16::from_be_bytes(octets),
            false => u16::from_le_bytes(octets),
        })
    }
}

/// Fills `buffer`; false when the source ends before its first octet.
fn fill(source: &mut impl Read, buffer: &mut [u8]) -> Result<bool, Fault> {
    let mut filled = 0;
    while filled < buffer.len() {
        match source.read(&mut buffer[filled..]) {
            Ok(0) if filled == 0 => return Ok(false),
            Ok(0) => return Err(Fault::Damaged("it ends in the middle of a packet")),
            Ok(length) => filled += length,
            Err(fault) if fault.kind() == io::ErrorKind::Interrupted => {}
            Err(fault) => return Err(Fault::Io(fault)),
        }
    }
    Ok(true)
}

fn time(stamp: u64, resolution: u64) -> Duration {
    let fraction = u128::from(stamp % resolution) * 1_000_000_000 / u128::from(resolution);
    Duration::new(stamp / resolution, fraction as u32)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(file: &[u8]) -> Result<Vec<Record>, Fault> {
        let mut reader = Reader::open(file)?;
        let mut records = Vec::new();
        while let Some(record) = reader.next_record()? {
            records.push(record);
        }
        Ok(records)
    }

    /// A pcap with one packet of two octets at 5.25 s on Ethernet.
    fn pcap(magic: u32, fraction: u32, order: fn(u32) -> [u8; 4]) -> Vec<u8> {
        let head = [magic, 0x0002_0004, 0, 0, 65_535, 1];
        let record = [5, fraction, 2, 2];
        let mut file: Vec<u8> = head.into_iter().chain(record).flat_map(order).collect();
        file.extend([7, 8]);
        file
    }

    /// A pcapng with an interface of nanoseconds on raw IP and one enhanced packet.
    fn pcapng(order: fn(u32) -> [u8; 4], order16: fn(u16) -> [u8; 2]) -> Vec<u8> {
        let block = |kind: u32, body: Vec<u8>| {
            let length = order(12 + body.len() as u32);
            [&order(kind)[..], &length, &body, &length].concat()
        };
        let section = [order(SECTION_ORDER).to_vec(), vec![0; 12]].concat();
        let link = [order16(101).to_vec(), vec![0; 6]].concat();
        let option = [&order16(TIME_RESOLUTION)[..], &order16(1), &[9, 0, 0, 0]].concat();
        let stamp = 5_250_000_000_u64;
        let numbers = [0, (stamp >> 32) as u32, stamp as u32, 2, 2];
        let packet: Vec<u8> = numbers
            .into_iter()
            .flat_map(order)
            .chain([7, 8, 0, 0])
            .collect();
        [
            block(SECTION_HEADER, section),
            block(INTERFACE_DESCRIPTION, [link, option].concat()),
            block(0x0bad, vec![1; 8]),
            block(ENHANCED_PACKET, packet),
        ]
        .concat()
    }

    #[test]
    fn each_format_and_byte_order_is_read() {
        let record = |link| Record {
            time: Duration::from_millis(5_250),
            link,
            octets: vec![7, 8],
        };
        for (file, link) in [
            (pcap(PCAP_MICROS, 250_000, u32::to_le_bytes), 1),
            (pcap(PCAP_MICROS, 250_000, u32::to_be_bytes), 1),
            (pcap(PCAP_NANOS, 250_000_000, u32::to_be_bytes), 1),
            (pcapng(u32::to_le_bytes, u16::to_le_bytes), 101),
            (pcapng(u32::to_be_bytes, u16::to_be_bytes), 101),
        ] {
            assert_eq!(read(&file).unwrap(), [record(link)]);
        }
    }

    #[test]
    fn files_cut_or_damaged_anywhere_are_refused_or_shorter() {
        for file in [
            pcap(PCAP_MICROS, 250_000, u32::to_le_bytes),
            pcapng(u32::to_be_bytes, u16::to_be_bytes),
        ] {
            for at in 0..file.len() {
                assert!(read(&file[..at]).map_or(true, |records| records.is_empty()));
                for bit in 0..8 {
                    let mut damaged = file.clone();
                    damaged[at] ^= 1 << bit;
                    let _ = read(&damaged);
                }
            }
        }
    }

    #[test]
    fn what_is_no_capture_is_said_to_be_none() {
        assert!(matches!(
            read(b"MEGACO/3 [192.0.2.1]"),
            Err(Fault::NotACapture)
        ));
        assert!(matches!(read(b""), Err(Fault::NotACapture)));
    }

    #[test]
    fn a_packet_longer_than_any_is_not_made_room_for() {
        let mut file = pcap(PCAP_MICROS, 0, u32::to_le_bytes);
        file[32..36].copy_from_slice(&u32::MAX.to_le_bytes());
        assert!(matches!(read(&file), Err(Fault::Damaged(_))));
    }
}
