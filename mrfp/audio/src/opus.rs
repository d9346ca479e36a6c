//! Opus in Ogg, RFC 7845: packets and headers; the codec itself is elsewhere.

use crate::error::{Error, Format};
use crate::ogg::{PageWriter, Pages};

/// Positions in such files count samples of this rate, RFC 7845 4.
pub const GRANULE_RATE: u32 = 48_000;

/// One logical stream of a file in memory: its packets and what is played of them.
#[derive(Clone, Debug)]
pub struct Stream {
    serial: u32,
    /// One or two; both are coded in one packet.
    pub channels: u8,
    /// Samples at 48 kHz to drop at the beginning, RFC 7845 4.2.
    pub pre_skip: u16,
    /// Gain to apply, in 1/256 dB, RFC 7845 5.1.
    pub gain: i16,
    /// Samples at 48 kHz that are played after [`Stream::pre_skip`], where the file says it.
    pub samples: Option<u64>,
    /// The packets in order.
    pub packets: Vec<Vec<u8>>,
    assembly: Assembly,
}

#[derive(Clone, Debug, Default)]
struct Assembly {
    partial: Vec<u8>,
    /// What belongs to `partial` was lost.
    is_broken: bool,
    headers_seen: u8,
    /// Position before the first sample of all.
    origin: Option<i64>,
    /// Samples at 48 kHz of the packets so far.
    duration: u64,
    is_over: bool,
}

/// All streams of a file that begin at its beginning; those chained after them are left out.
///
/// # Errors
/// `Malformed` for what is no Ogg or has no Opus in it, `Unsupported` for channel mappings other
/// than one stream of one or two channels, `Limit` beyond [`STREAMS_MAX`] or [`PACKETS_MAX`].
pub fn parse(octets: &[u8]) -> Result<Vec<Stream>, Error> {
    let mut streams: Vec<Stream> = Vec::new();
    let mut has_begun = false;
    let mut packets = 0;
    for page in Pages::parse(octets)? {
        if page.is_first() {
            if has_begun {
                break;
            }
            if let Some((head, true)) = page.pieces().next()
                && head.starts_with(HEAD_MAGIC)
            {
                if streams.len() == STREAMS_MAX {
                    return Err(Error::Limit("streams of an Ogg file"));
                }
                streams.push(Stream::begin(page.serial, head)?);
            }
            continue;
        }
        has_begun = true;
        let of_page = |stream: &&mut Stream| stream.serial == page.serial;
        let Some(stream) = streams.iter_mut().find(of_page) else {
            continue;
        };
        packets += stream.page(&page);
        if packets > PACKETS_MAX {
            return Err(Error::Limit("packets of an Ogg file"));
        }
    }
    if streams.is_empty() {
        return Err(Error::Malformed(Format::Opus, 0));
    }
    Ok(streams)
}

impl Stream {
    fn begin(serial: u32, head: &[u8]) -> Result<Self, Error> {
        let short = Error::Malformed(Format::Opus, 0);
        let head: &[u8; 19] = head.first_chunk().ok_or(short.clone())?;
        if head[field::VERSION] & 0xf0 != 0 {
            return Err(Error::Unsupported("a version of Ogg Opus to come"));
        }
        let channels = head[field::CHANNELS];
        match (head[field::MAPPING], channels) {
            (_, 0) => return Err(short),
            (0, 1 | 2) => {}
            _ => return Err(Error::Unsupported("Opus with more than two channels")),
        }
        let half = |at: usize| [head[at], head[at + 1]];
        Ok(Self {
            serial,
            channels,
            pre_skip: u16::from_le_bytes(half(field::PRE_SKIP)),
            gain: i16::from_le_bytes(half(field::GAIN)),
            samples: None,
            packets: Vec::new(),
            assembly: Assembly::default(),
        })
    }

    /// Takes one more page and returns how many packets it ended.
    fn page(&mut self, page: &crate::ogg::Page<'_>) -> usize {
        if self.assembly.is_over {
            return 0;
        }
        // What was begun and is not continued, or continued and not begun, is lost.
        let assembly = &mut self.assembly;
        assembly.is_broken = page.is_continued() && assembly.partial.is_empty();
        if !page.is_continued() {
            assembly.partial.clear();
        }
        let (before, from) = (self.packets.len(), self.assembly.duration);
        for (piece, ends) in page.pieces() {
            self.piece(piece, ends);
        }
        if page.granule >= 0 && self.packets.len() > before {
            let here = (self.assembly.duration - from) as i64;
            let origin = *self
                .assembly
                .origin
                .get_or_insert((page.granule - here).max(0));
            if page.is_last() {
                let played = (page.granule - origin).max(0) as u64;
                let played = played.min(self.assembly.duration);
                self.samples = Some(played.saturating_sub(u64::from(self.pre_skip)));
            }
        } else if page.is_last() && page.granule >= 0 {
            // A last page without packets says where those before end.
            let played = (page.granule - self.assembly.origin.unwrap_or(0)).max(0) as u64;
            let played = played.min(self.assembly.duration);
            self.samples = Some(played.saturating_sub(u64::from(self.pre_skip)));
        }
        self.assembly.is_over = page.is_last();
        self.packets.len() - before
    }

    fn piece(&mut self, piece: &[u8], ends: bool) {
        let assembly = &mut self.assembly;
        if assembly.partial.len() + piece.len() > PACKET_OCTETS_MAX {
            assembly.is_broken = true;
            assembly.partial.clear();
        }
        if !assembly.is_broken {
            assembly.partial.extend_from_slice(piece);
        }
        if !ends {
            return;
        }
        let packet = std::mem::take(&mut assembly.partial);
        if std::mem::take(&mut assembly.is_broken) {
            return;
        }
        // The second packet has the comments.
        if assembly.headers_seen == 0 {
            assembly.headers_seen = 1;
            if packet.starts_with(TAGS_MAGIC) {
                return;
            }
        }
        if let Some(samples) = packet_samples(&packet) {
            assembly.duration += u64::from(samples);
            self.packets.push(packet);
        }
    }
}

/// Samples at 48 kHz that a packet decodes to, RFC 6716 3.1; `None` for one that is impossible.
pub fn packet_samples(packet: &[u8]) -> Option<u32> {
    let head = *packet.first()?;
    let frame = match head >> 3 {
        config @ 0..12 => [480, 960, 1920, 2880][usize::from(config & 3)],
        config @ 12..16 => [480, 960][usize::from(config & 1)],
        config => [120, 240, 480, 960][usize::from(config & 3)],
    };
    let frames = match head & 3 {
        0 => 1,
        1 | 2 => 2,
        _ => u32::from(packet.get(1)? & 63),
    };
    // At most 120 ms.
    Some(frame * frames).filter(|samples| (1..=5760).contains(samples))
}

/// Writes one logical stream of one channel.
#[derive(Clone, Debug)]
pub struct Writer {
    pages: PageWriter,
    /// Samples at 48 kHz of what was put into packets.
    position: i64,
    page_from: i64,
    pre_skip: u16,
}

impl Writer {
    /// A stream of this serial number, whose encoder looks so many samples at 48 kHz ahead.
    pub fn new(serial: u32, pre_skip: u16) -> Self {
        Self {
            pages: PageWriter::new(serial),
            position: 0,
            page_from: 0,
            pre_skip,
        }
    }

    /// The page that begins the stream; those of all streams of a file stand before all else.
    ///
    /// # Errors
    /// None that a header can meet.
    pub fn head(&mut self, input_rate: u32, octets: &mut Vec<u8>) -> Result<(), Error> {
        let mut head = HEAD_MAGIC.to_vec();
        head.extend_from_slice(&[1, 1]);
        head.extend_from_slice(&self.pre_skip.to_le_bytes());
        head.extend_from_slice(&input_rate.to_le_bytes());
        head.extend_from_slice(&[0, 0, 0]);
        self.pages.packet(&head, 0, octets)?;
        self.pages.flush(false, octets);
        Ok(())
    }

    /// The page of comments, which comes after the first ones of all streams.
    ///
    /// # Errors
    /// `Limit` for a title longer than a page.
    pub fn tags(&mut self, title: &str, octets: &mut Vec<u8>) -> Result<(), Error> {
        let mut tags = TAGS_MAGIC.to_vec();
        let mut text = |text: &str| {
            tags.extend_from_slice(&(text.len() as u32).to_le_bytes());
            tags.extend_from_slice(text.as_bytes());
        };
        text(concat!("strowger ", env!("CARGO_PKG_VERSION")));
        let title = format!("TITLE={title}");
        let comments = u32::to_le_bytes(1);
        tags.extend_from_slice(&comments);
        tags.extend_from_slice(&(title.len() as u32).to_le_bytes());
        tags.extend_from_slice(title.as_bytes());
        self.pages.packet(&tags, 0, octets)?;
        self.pages.flush(false, octets);
        Ok(())
    }

    /// Adds a packet; a page is written once it has a second of them.
    ///
    /// # Errors
    /// `Malformed` for what is no Opus packet, `Limit` for one larger than a page.
    pub fn packet(&mut self, packet: &[u8], octets: &mut Vec<u8>) -> Result<(), Error> {
        let samples = packet_samples(packet).ok_or(Error::Malformed(Format::Opus, 0))?;
        if self.position - self.page_from >= i64::from(GRANULE_RATE) {
            self.pages.flush(false, octets);
            self.page_from = self.position;
        }
        self.position += i64::from(samples);
        self.pages.packet(packet, self.position, octets)
    }

    /// Samples at 48 kHz in packets so far, those to be skipped included.
    pub fn position(&self) -> u64 {
        self.position as u64
    }

    /// Samples at 48 kHz that players skip at the beginning.
    pub fn pre_skip(&self) -> u16 {
        self.pre_skip
    }

    /// Ends the stream, of which `samples` at 48 kHz are to be heard.
    pub fn finish(&mut self, samples: u64, octets: &mut Vec<u8>) {
        let end = samples.saturating_add(u64::from(self.pre_skip));
        let end = i64::try_from(end).unwrap_or(i64::MAX);
        self.pages.end_at(end.min(self.position));
        self.pages.flush(true, octets);
    }
}

/// Offsets in the identification header, RFC 7845 5.1.
mod field {
    pub const VERSION: usize = 8;
    pub const CHANNELS: usize = 9;
    pub const PRE_SKIP: usize = 10;
    pub const GAIN: usize = 16;
    pub const MAPPING: usize = 18;
}

const HEAD_MAGIC: &[u8] = b"OpusHead";
const TAGS_MAGIC: &[u8] = b"OpusTags";

/// Most logical streams of a file.
pub const STREAMS_MAX: usize = 32;
/// Most packets of a file: six hours of 20 ms.
pub const PACKETS_MAX: usize = 1_080_000;
/// Largest packet of one stream, RFC 7845 6: 120 ms at the highest bit rate.
const PACKET_OCTETS_MAX: usize = 61_440;

#[cfg(test)]
mod tests {
    use super::*;

    /// A packet of 20 ms, CELT, one frame.
    fn packet(fill: u8, octets: usize) -> Vec<u8> {
        let mut packet = vec![fill; octets];
        packet[0] = 31 << 3;
        packet
    }

    fn file(streams: u32, packets: usize, heard: u64) -> Vec<u8> {
        let mut octets = Vec::new();
        let mut writers: Vec<_> = (0..streams)
            .map(|serial| Writer::new(serial, 312))
            .collect();
        for writer in &mut writers {
            writer.head(48_000, &mut octets).unwrap();
        }
        for writer in &mut writers {
            writer.tags("a test", &mut octets).unwrap();
        }
        for index in 0..packets {
            for writer in &mut writers {
                writer
                    .packet(&packet(index as u8, 60), &mut octets)
                    .unwrap();
            }
        }
        for writer in &mut writers {
            writer.finish(heard, &mut octets);
        }
        octets
    }

    #[test]
    fn packets_and_the_length_come_out_again() {
        let octets = file(1, 130, 130 * 960 - 312 - 100);
        let streams = parse(&octets).unwrap();
        assert_eq!(streams.len(), 1);
        assert_eq!(streams[0].packets.len(), 130);
        assert_eq!(streams[0].packets[77][1], 77);
        assert_eq!(streams[0].pre_skip, 312);
        assert_eq!(streams[0].samples, Some(130 * 960 - 412));
    }

    #[test]
    fn tracks_are_streams_side_by_side() {
        let streams = parse(&file(3, 60, 60 * 960)).unwrap();
        assert_eq!(streams.len(), 3);
        assert!(streams.iter().all(|stream| stream.packets.len() == 60));
        // More than there is cannot be heard.
        assert_eq!(streams[2].samples, Some(60 * 960 - 312));
    }

    #[test]
    fn a_file_cut_short_gives_what_is_there() {
        let octets = file(1, 130, 130 * 960);
        for end in (0..octets.len()).step_by(7) {
            match parse(&octets[..end]) {
                Ok(streams) => {
                    assert!(streams[0].packets.len() < 130);
                    assert_eq!(streams[0].samples, None);
                }
                Err(error) => assert!(end < 47, "{error}"),
            }
        }
    }

    #[test]
    fn flipped_bits_never_panic() {
        let octets = file(2, 3, 2000);
        for at in 0..octets.len() {
            let mut flipped = octets.clone();
            flipped[at] ^= 1 << (at % 8);
            let _ = parse(&flipped);
        }
    }

    #[test]
    fn durations_are_those_of_the_first_octet() {
        assert_eq!(packet_samples(&[0]), Some(480));
        assert_eq!(packet_samples(&[3 << 3 | 1]), Some(5760));
        assert_eq!(packet_samples(&[3 << 3 | 3, 3]), None);
        assert_eq!(packet_samples(&[13 << 3]), Some(960));
        assert_eq!(packet_samples(&[16 << 3 | 3, 48]), Some(5760));
        assert_eq!(packet_samples(&[16 << 3 | 3, 0]), None);
        assert_eq!(packet_samples(&[3]), None);
        assert_eq!(packet_samples(&[]), None);
    }

    #[test]
    fn surround_is_refused_by_name() {
        let mut head = b"OpusHead\x01\x06\0\0\x80\xbb\0\0\0\0\x01".to_vec();
        head.extend_from_slice(&[4, 2, 0, 4, 1, 2, 3, 5]);
        let mut octets = Vec::new();
        let mut pages = PageWriter::new(1);
        pages.packet(&head, 0, &mut octets).unwrap();
        pages.flush(false, &mut octets);
        assert!(matches!(parse(&octets), Err(Error::Unsupported(_))));
    }
}
