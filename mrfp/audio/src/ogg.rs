//! Pages of Ogg, RFC 3533: packets out of a file in memory, and pages out of packets.

use crate::error::{Error, Format};

/// One page, checked.
#[derive(Clone, Copy, Debug)]
pub struct Page<'a> {
    /// Which logical stream it is of.
    pub serial: u32,
    /// Position of the stream after the last packet that ends here; -1 where none does.
    pub granule: i64,
    flags: u8,
    lacing: &'a [u8],
    body: &'a [u8],
}

impl<'a> Page<'a> {
    /// Whether it begins its stream.
    pub fn is_first(&self) -> bool {
        self.flags & FIRST != 0
    }

    /// Whether it ends its stream.
    pub fn is_last(&self) -> bool {
        self.flags & LAST != 0
    }

    /// Whether its first piece belongs to the packet of the page before.
    pub fn is_continued(&self) -> bool {
        self.flags & CONTINUED != 0
    }

    /// Its pieces of packets, and whether each ends its packet.
    pub fn pieces(&self) -> impl Iterator<Item = (&'a [u8], bool)> + use<'a> {
        let (lacing, mut body) = (self.lacing, self.body);
        lacing
            .chunk_by(|value, _| *value == LACING_MAX)
            .map(move |values| {
                let octets = values.iter().map(|value| usize::from(*value)).sum();
                let (piece, rest) = body.split_at(octets);
                body = rest;
                (piece, values.last() != Some(&LACING_MAX))
            })
    }

    /// The page at the beginning of `octets` and its length.
    fn parse(octets: &'a [u8]) -> Option<(Self, usize)> {
        let head: &[u8; field::LACING] = octets.first_chunk()?;
        if !head.starts_with(CAPTURE) || head[field::VERSION] != 0 {
            return None;
        }
        let body_at = field::LACING + usize::from(head[field::SEGMENTS]);
        let lacing = octets.get(field::LACING..body_at)?;
        let length = body_at + lacing.iter().map(|each| usize::from(*each)).sum::<usize>();
        let page = octets.get(..length)?;
        let word =
            |at: usize| u32::from_le_bytes([head[at], head[at + 1], head[at + 2], head[at + 3]]);
        if checksum(page) != word(field::CHECKSUM) {
            return None;
        }
        let granule = u64::from(word(field::GRANULE)) | u64::from(word(field::GRANULE + 4)) << 32;
        let page = Self {
            serial: word(field::SERIAL),
            granule: granule as i64,
            flags: head[field::FLAGS],
            lacing,
            body: &page[body_at..],
        };
        Some((page, length))
    }
}

/// The sound pages of a file in memory; what is damaged between them is passed over.
#[derive(Clone, Debug)]
pub struct Pages<'a> {
    octets: &'a [u8],
    at: usize,
    /// How many more damaged places are searched for what comes after them.
    patience: u32,
}

impl<'a> Pages<'a> {
    /// The pages of these octets.
    ///
    /// # Errors
    /// `Malformed` unless there is one at the very beginning.
    pub fn parse(octets: &'a [u8]) -> Result<Self, Error> {
        match Page::parse(octets) {
            Some(_) => Ok(Self {
                octets,
                at: 0,
                patience: DAMAGE_MAX,
            }),
            None => Err(Error::Malformed(Format::Ogg, 0)),
        }
    }
}

impl<'a> Iterator for Pages<'a> {
    type Item = Page<'a>;

    fn next(&mut self) -> Option<Page<'a>> {
        while self.at < self.octets.len() && self.patience > 0 {
            if let Some((page, length)) = Page::parse(&self.octets[self.at..]) {
                self.at += length;
                return Some(page);
            }
            self.patience -= 1;
            let rest = &self.octets[self.at + 1..];
            let next = rest.windows(CAPTURE.len()).position(|seen| seen == CAPTURE);
            self.at = next.map_or(self.octets.len(), |next| self.at + 1 + next);
        }
        None
    }
}

/// Puts packets of one logical stream into pages.
#[derive(Clone, Debug)]
pub struct PageWriter {
    serial: u32,
    sequence: u32,
    lacing: Vec<u8>,
    body: Vec<u8>,
    granule: i64,
}

impl PageWriter {
    /// A stream of this serial number.
    pub fn new(serial: u32) -> Self {
        Self {
            serial,
            sequence: 0,
            lacing: Vec::with_capacity(SEGMENTS_MAX),
            body: Vec::new(),
            granule: 0,
        }
    }

    /// Adds a packet that ends at this position; a page that has no room for it goes to `octets`
    /// before.
    ///
    /// # Errors
    /// `Limit` for a packet that does not fit a page.
    pub fn packet(
        &mut self,
        packet: &[u8],
        granule: i64,
        octets: &mut Vec<u8>,
    ) -> Result<(), Error> {
        let segments = packet.len() / usize::from(LACING_MAX) + 1;
        if segments > SEGMENTS_MAX {
            return Err(Error::Limit("a packet larger than a page"));
        }
        if self.lacing.len() + segments > SEGMENTS_MAX {
            self.flush(false, octets);
        }
        self.lacing
            .extend(std::iter::repeat_n(LACING_MAX, segments - 1));
        self.lacing
            .push((packet.len() % usize::from(LACING_MAX)) as u8);
        self.body.extend_from_slice(packet);
        self.granule = granule;
        Ok(())
    }

    /// Position after the last packet.
    pub fn granule(&self) -> i64 {
        self.granule
    }

    /// Writes out the page that is open; the last one also when it is empty, at the position
    /// `granule` then.
    pub fn flush(&mut self, is_last: bool, octets: &mut Vec<u8>) {
        if self.lacing.is_empty() && !is_last {
            return;
        }
        let mut flags = 0;
        if self.sequence == 0 {
            flags |= FIRST;
        }
        if is_last {
            flags |= LAST;
        }
        let from = octets.len();
        octets.extend_from_slice(CAPTURE);
        octets.extend_from_slice(&[0, flags]);
        octets.extend_from_slice(&self.granule.to_le_bytes());
        octets.extend_from_slice(&self.serial.to_le_bytes());
        octets.extend_from_slice(&self.sequence.to_le_bytes());
        octets.extend_from_slice(&[0; 4]);
        octets.push(self.lacing.len() as u8);
        octets.append(&mut self.lacing);
        octets.append(&mut self.body);
        let sum = checksum(&octets[from..]).to_le_bytes();
        octets[from + field::CHECKSUM..from + field::CHECKSUM + 4].copy_from_slice(&sum);
        self.sequence = self.sequence.wrapping_add(1);
    }

    /// Says that the stream ends before its last packet does, RFC 7845 4.4.
    pub fn end_at(&mut self, granule: i64) {
        self.granule = granule;
    }
}

/// Offsets in a page, RFC 3533 6.
mod field {
    pub const VERSION: usize = 4;
    pub const FLAGS: usize = 5;
    pub const GRANULE: usize = 6;
    pub const SERIAL: usize = 14;
    pub const CHECKSUM: usize = 22;
    pub const SEGMENTS: usize = 26;
    pub const LACING: usize = 27;
}

const CAPTURE: &[u8; 4] = b"OggS";
const CONTINUED: u8 = 1;
const FIRST: u8 = 2;
const LAST: u8 = 4;
const LACING_MAX: u8 = 255;
const SEGMENTS_MAX: usize = 255;
/// Places that look like a page and are none, after which the rest of a file is not read: each
/// costs the checksum of a page.
const DAMAGE_MAX: u32 = 256;

/// The CRC of a page with its own field taken as zero, RFC 3533 6: polynomial 0x04c11db7, from
/// zero, the highest bit first.
fn checksum(page: &[u8]) -> u32 {
    let is_field = |at: usize| (field::CHECKSUM..field::CHECKSUM + 4).contains(&at);
    page.iter().enumerate().fold(0, |sum: u32, (at, octet)| {
        let octet = if is_field(at) { 0 } else { u32::from(*octet) };
        sum << 8 ^ TABLE[((sum >> 24) ^ octet) as usize & 255]
    })
}

const TABLE: [u32; 256] = {
    let mut table = [0; 256];
    let mut index = 0;
    while index < 256 {
        let mut value = (index as u32) << 24;
        let mut bit = 0;
        while bit < 8 {
            let carry = value >> 31;
            value = value << 1 ^ (carry * 0x04c1_1db7);
            bit += 1;
        }
        table[index] = value;
        index += 1;
    }
    table
};

#[cfg(test)]
mod tests {
    use super::*;

    fn file(packets: &[Vec<u8>]) -> Vec<u8> {
        let mut octets = Vec::new();
        let mut writer = PageWriter::new(7);
        for (index, packet) in packets.iter().enumerate() {
            writer.packet(packet, index as i64, &mut octets).unwrap();
        }
        writer.flush(true, &mut octets);
        octets
    }

    fn packets(octets: &[u8]) -> Vec<Vec<u8>> {
        let mut packets = vec![Vec::new()];
        for page in Pages::parse(octets).unwrap() {
            for (piece, ends) in page.pieces() {
                packets.last_mut().unwrap().extend_from_slice(piece);
                if ends {
                    packets.push(Vec::new());
                }
            }
        }
        packets.pop();
        packets
    }

    #[test]
    fn packets_of_every_length_come_out_again() {
        let sent: Vec<Vec<u8>> = [0, 1, 254, 255, 256, 509, 510, 511, 40_000, 64_000, 3]
            .iter()
            .map(|length| (0..*length).map(|n| n as u8).collect())
            .collect();
        let octets = file(&sent);
        assert_eq!(packets(&octets), sent);
        let pages: Vec<_> = Pages::parse(&octets).unwrap().collect();
        assert!(pages[0].is_first() && pages.last().unwrap().is_last());
        assert!(
            pages
                .iter()
                .all(|page| page.serial == 7 && !page.is_continued())
        );
    }

    #[test]
    fn a_packet_larger_than_a_page_is_refused() {
        let packet = vec![0; 255 * 255];
        let refused = PageWriter::new(1).packet(&packet, 0, &mut Vec::new());
        assert!(refused.is_err());
    }

    #[test]
    fn a_damaged_page_is_passed_over_and_the_next_one_found() {
        let mut octets = file(&[vec![1; 60_000], vec![2; 60_000], vec![3; 60_000]]);
        let page = Pages::parse(&octets).unwrap().next().unwrap();
        let second = field::LACING + page.lacing.len() + page.body.len();
        octets[second + 5000] ^= 1;
        let firsts: Vec<u8> = packets(&octets).iter().map(|packet| packet[0]).collect();
        assert_eq!(firsts, [1, 3]);
    }

    #[test]
    fn truncation_and_flipped_bits_never_panic_and_never_add_packets() {
        let octets = file(&[vec![9; 3], vec![8; 300], vec![7; 20]]);
        for end in 0..octets.len() {
            if let Ok(pages) = Pages::parse(&octets[..end]) {
                assert!(pages.count() <= 1);
            }
        }
        for at in 0..octets.len() {
            let mut flipped = octets.clone();
            flipped[at] ^= 1 << (at % 8);
            // One bit is always seen by a CRC.
            assert!(Pages::parse(&flipped).is_err());
        }
    }
}
