//! RTP data packets, RFC 3550 5.1.

use crate::error::Error;

mod field {
    use std::ops::Range;

    pub const FLAGS: usize = 0;
    pub const MARKER_TYPE: usize = 1;
    pub const SEQUENCE: Range<usize> = 2..4;
    pub const TIMESTAMP: Range<usize> = 4..8;
    pub const SSRC: Range<usize> = 8..12;
    pub const CSRC: usize = 12;

    pub const VERSION_2: u8 = 0x80;
    pub const VERSION_MASK: u8 = 0xc0;
    pub const PADDING: u8 = 0x20;
    pub const EXTENSION: u8 = 0x10;
    pub const CSRC_COUNT: u8 = 0x0f;
    pub const MARKER: u8 = 0x80;
    pub const PAYLOAD_TYPE: u8 = 0x7f;
}

/// Bytes of a header without contributing sources or extension.
pub const HEADER_BYTES: usize = 12;

/// An RTP packet over a buffer whose lengths were checked once, so that no reader can run past its
/// end.
///
/// Over a mutable buffer it rewrites fields in place; a relay changes no more than these, so no
/// rewrite changes a length.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Packet<T> {
    buffer: T,
}

impl<T: AsRef<[u8]>> Packet<T> {
    /// Checks version, contributing sources, extension and padding against the length.
    ///
    /// # Errors
    /// [`Error::Truncated`], [`Error::Version`], [`Error::Padding`].
    pub fn new(buffer: T) -> Result<Self, Error> {
        let bytes = buffer.as_ref();
        if bytes.len() < HEADER_BYTES {
            return Err(Error::Truncated);
        }
        let flags = bytes[field::FLAGS];
        if flags & field::VERSION_MASK != field::VERSION_2 {
            return Err(Error::Version);
        }
        let start = payload_start(bytes).ok_or(Error::Truncated)?;
        if flags & field::PADDING != 0 {
            let padding = usize::from(bytes[bytes.len() - 1]);
            if padding == 0 || padding > bytes.len() - start {
                return Err(Error::Padding);
            }
        }
        Ok(Self { buffer })
    }

    /// The marker bit.
    pub fn marker(&self) -> bool {
        self.bytes()[field::MARKER_TYPE] & field::MARKER != 0
    }

    /// The payload type, 0 to 127.
    pub fn payload_type(&self) -> u8 {
        self.bytes()[field::MARKER_TYPE] & field::PAYLOAD_TYPE
    }

    /// The sequence number.
    pub fn sequence(&self) -> u16 {
        let bytes = self.bytes();
        u16::from_be_bytes([
            bytes[field::SEQUENCE.start],
            bytes[field::SEQUENCE.start + 1],
        ])
    }

    /// The timestamp in ticks of the payload's clock.
    pub fn timestamp(&self) -> u32 {
        u32_at(self.bytes(), field::TIMESTAMP.start)
    }

    /// The synchronisation source.
    pub fn ssrc(&self) -> u32 {
        u32_at(self.bytes(), field::SSRC.start)
    }

    /// The contributing sources.
    pub fn csrcs(&self) -> impl Iterator<Item = u32> + '_ {
        let count = usize::from(self.bytes()[field::FLAGS] & field::CSRC_COUNT);
        let bytes = &self.bytes()[field::CSRC..field::CSRC + 4 * count];
        bytes.chunks_exact(4).map(|csrc| u32_at(csrc, 0))
    }

    /// The header extension: what its profile defines, and its words (RFC 3550 5.3.1).
    pub fn extension(&self) -> Option<(u16, &[u8])> {
        let bytes = self.bytes();
        let flags = bytes[field::FLAGS];
        if flags & field::EXTENSION == 0 {
            return None;
        }
        let at = field::CSRC + 4 * usize::from(flags & field::CSRC_COUNT);
        let profile = u16::from_be_bytes([bytes[at], bytes[at + 1]]);
        Some((profile, &bytes[at + 4..self.header_len()]))
    }

    /// Bytes before the payload.
    pub fn header_len(&self) -> usize {
        payload_start(self.bytes()).unwrap_or(HEADER_BYTES)
    }

    /// Bytes of padding after the payload.
    pub fn padding_len(&self) -> usize {
        let bytes = self.bytes();
        if bytes[field::FLAGS] & field::PADDING == 0 {
            return 0;
        }
        usize::from(bytes[bytes.len() - 1])
    }

    /// The payload without padding.
    pub fn payload(&self) -> &[u8] {
        let bytes = self.bytes();
        &bytes[self.header_len()..bytes.len() - self.padding_len()]
    }

    /// The fixed fields.
    #[inline]
    pub fn header(&self) -> Header {
        Header {
            marker: self.marker(),
            payload_type: self.payload_type(),
            sequence: self.sequence(),
            timestamp: self.timestamp(),
            ssrc: self.ssrc(),
        }
    }

    /// Gives the buffer back.
    pub fn into_inner(self) -> T {
        self.buffer
    }

    fn bytes(&self) -> &[u8] {
        self.buffer.as_ref()
    }
}

impl<T: AsRef<[u8]> + AsMut<[u8]>> Packet<T> {
    /// Sets the marker bit.
    pub fn set_marker(&mut self, marker: bool) {
        let byte = &mut self.buffer.as_mut()[field::MARKER_TYPE];
        *byte = *byte & field::PAYLOAD_TYPE | if marker { field::MARKER } else { 0 };
    }

    /// Sets the payload type; its highest bit is not used.
    pub fn set_payload_type(&mut self, payload_type: u8) {
        let byte = &mut self.buffer.as_mut()[field::MARKER_TYPE];
        *byte = *byte & field::MARKER | payload_type & field::PAYLOAD_TYPE;
    }

    /// The payload without padding, to be changed in place.
    pub fn payload_mut(&mut self) -> &mut [u8] {
        let (start, padding) = (self.header_len(), self.padding_len());
        let bytes = self.buffer.as_mut();
        let end = bytes.len() - padding;
        &mut bytes[start..end]
    }

    /// Sets the sequence number.
    pub fn set_sequence(&mut self, sequence: u16) {
        self.buffer.as_mut()[field::SEQUENCE].copy_from_slice(&sequence.to_be_bytes());
    }

    /// Sets the timestamp.
    pub fn set_timestamp(&mut self, timestamp: u32) {
        self.buffer.as_mut()[field::TIMESTAMP].copy_from_slice(&timestamp.to_be_bytes());
    }

    /// Sets the synchronisation source.
    pub fn set_ssrc(&mut self, ssrc: u32) {
        self.buffer.as_mut()[field::SSRC].copy_from_slice(&ssrc.to_be_bytes());
    }
}

/// The fixed fields of a packet, to write one with no contributing sources, extension or padding.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Header {
    /// First packet of a talkspurt, for speech (RFC 3551 4.1).
    pub marker: bool,
    /// 0 to 127; the highest bit is not written.
    pub payload_type: u8,
    /// Grows by one with each packet.
    pub sequence: u16,
    /// Sampling instant of the first sample, in ticks of the payload's clock.
    pub timestamp: u32,
    /// Synchronisation source.
    pub ssrc: u32,
}

impl Header {
    /// Reads the fixed fields, having checked version, contributing sources and extension against
    /// the length.
    ///
    /// Padding is not looked at: where SRTP encrypts it (RFC 3711 3.1) it is not for a relay to
    /// judge.
    ///
    /// # Errors
    /// [`Error::Truncated`], [`Error::Version`].
    #[inline]
    pub fn parse(bytes: &[u8]) -> Result<Self, Error> {
        if bytes.len() < HEADER_BYTES {
            return Err(Error::Truncated);
        }
        if bytes[field::FLAGS] & field::VERSION_MASK != field::VERSION_2 {
            return Err(Error::Version);
        }
        payload_start(bytes).ok_or(Error::Truncated)?;
        Ok(Packet { buffer: bytes }.header())
    }

    /// The fixed fields at the beginning of what [`Header::parse`] has checked.
    #[inline]
    pub fn read(bytes: &[u8; HEADER_BYTES]) -> Self {
        Packet { buffer: bytes }.header()
    }

    /// Writes the header to the first [`HEADER_BYTES`] of a buffer.
    ///
    /// # Errors
    /// [`Error::Limit`] when it is shorter.
    pub fn write_to(&self, buffer: &mut [u8]) -> Result<(), Error> {
        let header = buffer.get_mut(..HEADER_BYTES).ok_or(Error::Limit)?;
        header[field::FLAGS] = field::VERSION_2;
        header[field::MARKER_TYPE] = 0;
        let mut packet = Packet { buffer: header };
        packet.set_marker(self.marker);
        packet.set_payload_type(self.payload_type);
        packet.set_sequence(self.sequence);
        packet.set_timestamp(self.timestamp);
        packet.set_ssrc(self.ssrc);
        Ok(())
    }
}

/// Where the payload starts; `None` when that is past the end.
#[inline]
fn payload_start(bytes: &[u8]) -> Option<usize> {
    let flags = *bytes.first()?;
    let mut at = field::CSRC + 4 * usize::from(flags & field::CSRC_COUNT);
    if flags & field::EXTENSION != 0 {
        let words = bytes.get(at + 2..at + 4)?;
        at += 4 + 4 * usize::from(u16::from_be_bytes([words[0], words[1]]));
    }
    (at <= bytes.len()).then_some(at)
}

#[inline]
fn u32_at(bytes: &[u8], at: usize) -> u32 {
    u32::from_be_bytes([bytes[at], bytes[at + 1], bytes[at + 2], bytes[at + 3]])
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_header_is_read_whatever_the_padding_octet_says() {
        let header = Header {
            marker: true,
            payload_type: 96,
            sequence: 1,
            timestamp: 2,
            ssrc: 3,
        };
        let mut bytes = [0xff; HEADER_BYTES + 4];
        header.write_to(&mut bytes).unwrap();
        assert_eq!(Header::parse(&bytes), Ok(header));
        bytes[field::FLAGS] |= field::PADDING;
        assert_eq!(Packet::new(&bytes).unwrap_err(), Error::Padding);
        assert_eq!(Header::parse(&bytes), Ok(header));
        bytes[field::FLAGS] |= field::EXTENSION;
        assert_eq!(Header::parse(&bytes), Err(Error::Truncated));
        assert_eq!(Header::parse(&bytes[..11]), Err(Error::Truncated));
        assert_eq!(Header::parse(&[0x40; 12]), Err(Error::Version));
    }

    /// Two contributing sources, an extension of one word, three bytes of payload, five of padding.
    const FULL: [u8; 36] = [
        0xb2, 0x88, 0x12, 0x34, 0x00, 0x00, 0x01, 0x40, 0xde, 0xad, 0xbe, 0xef, 0, 0, 0, 1, 0, 0,
        0, 2, 0xbe, 0xde, 0, 1, 0x10, 0xaa, 0, 0, b'a', b'b', b'c', 0, 0, 0, 0, 5,
    ];

    #[test]
    fn every_field_is_where_rfc_3550_has_it() {
        let packet = Packet::new(FULL).unwrap();
        let header = Header {
            marker: true,
            payload_type: 8,
            sequence: 0x1234,
            timestamp: 320,
            ssrc: 0xdead_beef,
        };
        assert_eq!(packet.header(), header);
        assert_eq!(packet.csrcs().collect::<Vec<_>>(), [1, 2]);
        assert_eq!(packet.extension(), Some((0xbede, &[0x10, 0xaa, 0, 0][..])));
        assert_eq!((packet.header_len(), packet.padding_len()), (28, 5));
        assert_eq!(packet.payload(), b"abc");
    }

    #[test]
    fn rewriting_touches_only_its_field() {
        let mut packet = Packet::new(FULL).unwrap();
        packet.set_marker(false);
        packet.set_payload_type(0xff);
        packet.set_sequence(0xffff);
        packet.set_timestamp(1);
        packet.set_ssrc(2);
        assert_eq!((packet.marker(), packet.payload_type()), (false, 0x7f));
        assert_eq!(
            (packet.sequence(), packet.timestamp(), packet.ssrc()),
            (0xffff, 1, 2)
        );
        let bytes = packet.into_inner();
        assert_eq!((bytes[0], &bytes[12..]), (FULL[0], &FULL[12..]));
    }

    #[test]
    fn lengths_that_do_not_fit_are_refused() {
        for end in 0..28 {
            assert_eq!(Packet::new(&FULL[..end]), Err(Error::Truncated), "{end}");
        }
        let mut bytes = FULL;
        for (at, value, error) in [
            (0, 0x72, Error::Version),
            (35, 0, Error::Padding),
            (35, 9, Error::Padding),
            (23, 4, Error::Truncated),
            (22, 0xff, Error::Truncated),
        ] {
            let old = std::mem::replace(&mut bytes[at], value);
            assert_eq!(Packet::new(&bytes[..]), Err(error));
            bytes[at] = old;
        }
        bytes[35] = 8;
        assert_eq!(Packet::new(bytes).unwrap().payload(), b"");
    }

    #[test]
    fn no_bit_flip_or_truncation_makes_a_reader_fail() {
        let mut bytes = FULL;
        for at in 0..FULL.len() * 8 {
            bytes[at / 8] ^= 1 << (at % 8);
            for end in 0..=FULL.len() {
                if let Ok(packet) = Packet::new(&bytes[..end]) {
                    let parts = packet.header_len() + packet.payload().len() + packet.padding_len();
                    assert_eq!(parts, end);
                    packet.csrcs().count();
                    packet.extension();
                }
            }
            bytes[at / 8] ^= 1 << (at % 8);
        }
    }

    #[test]
    fn a_written_header_reads_back() {
        let header = Header {
            marker: true,
            payload_type: 101,
            sequence: 65_535,
            timestamp: u32::MAX,
            ssrc: 3,
        };
        let mut buffer = [0xff; 14];
        header.write_to(&mut buffer).unwrap();
        assert_eq!(Packet::new(buffer).unwrap().header(), header);
        assert_eq!(header.write_to(&mut buffer[..11]), Err(Error::Limit));
    }
}
