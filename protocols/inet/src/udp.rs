//! UDP, RFC 768; over IPv6 also RFC 8200 8.1.

use crate::Error;
use crate::checksum::Sum;
use crate::ethernet::be16;

mod field {
    use std::ops::Range;

    pub(super) const SOURCE: Range<usize> = 0..2;
    pub(super) const DESTINATION: Range<usize> = 2..4;
    pub(super) const LENGTH: Range<usize> = 4..6;
    pub(super) const CHECKSUM: Range<usize> = 6..8;
}

/// Bytes of the header.
pub const HEADER_BYTES: usize = field::CHECKSUM.end;

/// A received datagram whose length is right.
#[derive(Clone, Copy, Debug)]
pub struct Datagram<'a>(&'a [u8]);

/// The fields of a header, read in one piece.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Fields {
    pub(crate) source: u16,
    pub(crate) destination: u16,
    pub(crate) length: u16,
    checksum: u16,
    /// Over the header.
    sum: Sum,
}

impl Fields {
    #[inline]
    pub(crate) fn new(header: &[u8; HEADER_BYTES]) -> Self {
        let (words, _) = header.as_chunks();
        Self {
            source: be16(header, field::SOURCE.start),
            destination: be16(header, field::DESTINATION.start),
            length: be16(header, field::LENGTH.start),
            checksum: be16(header, field::CHECKSUM.start),
            sum: Sum::of_header(&[words[0], words[1]]),
        }
    }

    /// Bytes behind the header; `None` for a length that cannot be.
    #[inline]
    pub(crate) fn payload_bytes(&self) -> Option<usize> {
        usize::from(self.length).checked_sub(HEADER_BYTES)
    }

    /// There is a checksum that is right, by the sums over the pseudo-header without the length
    /// and over the payload.
    #[inline]
    pub(crate) fn is_complete(&self, pseudo: Sum, payload: Sum) -> bool {
        let length = Sum::of_fields([self.length.to_be_bytes()]);
        let sum = pseudo.sum(self.sum).sum(length).sum(payload);
        self.checksum != 0 && sum.is_complete()
    }
}

/// What the checksum of a datagram is worth.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Validity {
    /// It is right.
    Valid,
    /// There is none, which IPv4 allows and IPv6 forbids.
    Absent,
    /// It covers the pseudo-header only: the sender left the rest to its interface, and that is a
    /// virtual one which passed the frame on in memory.
    Partial,
    /// It is wrong.
    Wrong,
}

impl<'a> Datagram<'a> {
    /// Checks the length; what is behind the datagram's end is left out.
    ///
    /// # Errors
    /// `Truncated`, `Malformed` for a length below that of the header.
    #[inline]
    pub fn new(bytes: &'a [u8]) -> Result<Self, Error> {
        if bytes.len() < HEADER_BYTES {
            return Err(Error::Truncated);
        }
        let length = usize::from(be16(bytes, field::LENGTH.start));
        if length < HEADER_BYTES {
            return Err(Error::Malformed);
        }
        Ok(Self(bytes.get(..length).ok_or(Error::Truncated)?))
    }

    /// The port it came from; 0 when it expects no answer.
    #[must_use]
    #[inline]
    pub fn source_port(&self) -> u16 {
        be16(self.0, field::SOURCE.start)
    }

    /// The port it is for.
    #[must_use]
    #[inline]
    pub fn destination_port(&self) -> u16 {
        be16(self.0, field::DESTINATION.start)
    }

    /// What it carries.
    #[must_use]
    #[inline]
    pub fn payload(&self) -> &'a [u8] {
        &self.0[HEADER_BYTES..]
    }

    /// Judges the checksum; `pseudo` is the sum over the pseudo-header without the length.
    #[must_use]
    #[inline]
    pub fn validity(&self, pseudo: Sum) -> Validity {
        self.judge(pseudo).0
    }

    /// The same, with the sum over the payload of what is valid: who sends that on need not read it
    /// again.
    #[must_use]
    #[inline]
    pub fn judge(&self, pseudo: Sum) -> (Validity, Option<Sum>) {
        let field = be16(self.0, field::CHECKSUM.start);
        if field == 0 {
            return (Validity::Absent, None);
        }
        let (header, payload) = self.0.split_at(HEADER_BYTES);
        let pseudo = pseudo.u16(self.0.len() as u16);
        let payload = Sum::ZERO.bytes(payload);
        if pseudo.bytes(header).sum(payload).checksum() == 0 {
            return (Validity::Valid, Some(payload));
        }
        if pseudo.folded() == field {
            return (Validity::Partial, None);
        }
        (Validity::Wrong, None)
    }
}

/// Writes the header of a datagram in front of its payload: `bytes` is both. `pseudo` is the sum
/// over the pseudo-header without the length; `payload_sum` that over the payload, if it is known.
///
/// False, and nothing written, when `bytes` is shorter than the header or longer than UDP allows.
#[must_use]
#[inline]
pub fn write_header(
    bytes: &mut [u8],
    ports: (u16, u16),
    pseudo: Sum,
    payload_sum: Option<Sum>,
) -> bool {
    let Ok(length) = u16::try_from(bytes.len()) else {
        return false;
    };
    let Some((place, payload)) = bytes.split_first_chunk_mut() else {
        return false;
    };
    let payload_sum = payload_sum.unwrap_or_else(|| Sum::ZERO.bytes(payload));
    *place = header(ports, length, pseudo.sum(payload_sum));
    true
}

/// A header with the length of the datagram and its checksum, by the sum over the pseudo-header
/// without the length and over the payload.
#[inline(always)]
pub(crate) fn header(
    (source, destination): (u16, u16),
    length: u16,
    sum: Sum,
) -> [u8; HEADER_BYTES] {
    // The header's fields are summed before they are written: to read in one piece what was just
    // written in several would make a processor wait. The length counts twice.
    let (source, destination) = (source.to_be_bytes(), destination.to_be_bytes());
    let length = length.to_be_bytes();
    let fields = [source, destination, length, length];
    let checksum = sum.sum(Sum::of_fields(fields)).checksum();
    // RFC 768: a computed 0 is sent as ones, since 0 means that there is none.
    let checksum = if checksum == 0 { 0xffff } else { checksum };
    let mut header = [0; HEADER_BYTES];
    let fields = [source, destination, length, checksum.to_be_bytes()];
    for (place, field) in header.as_chunks_mut().0.iter_mut().zip(fields) {
        *place = field;
    }
    header
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::ipv4;
    use std::net::Ipv4Addr;

    fn pseudo() -> Sum {
        let (from, to) = (Ipv4Addr::new(192, 0, 2, 1), Ipv4Addr::new(198, 51, 100, 7));
        ipv4::pseudo_header(from, to, ipv4::PROTOCOL_UDP)
    }

    fn datagram(payload: &[u8]) -> Vec<u8> {
        let mut bytes = vec![0xee; HEADER_BYTES];
        bytes.extend(payload);
        assert!(write_header(&mut bytes, (4000, 5000), pseudo(), None));
        bytes
    }

    #[test]
    fn what_is_written_is_read() {
        for payload in [&b""[..], b"1", b"22", &[0x80; 172]] {
            let mut bytes = datagram(payload);
            bytes.push(0);
            let datagram = Datagram::new(&bytes).unwrap();
            assert_eq!(
                (datagram.source_port(), datagram.destination_port()),
                (4000, 5000)
            );
            assert_eq!(datagram.payload(), payload);
            assert_eq!(datagram.validity(pseudo()), Validity::Valid);
        }
    }

    #[test]
    fn every_flipped_bit_makes_the_checksum_wrong() {
        let bytes = datagram(b"some payload of odd length.");
        for bit in 0..bytes.len() * 8 {
            let mut bytes = bytes.clone();
            bytes[bit / 8] ^= 1 << (bit % 8);
            let validity = Datagram::new(&bytes).map(|datagram| datagram.validity(pseudo()));
            assert!(
                matches!(validity, Err(_) | Ok(Validity::Wrong)),
                "bit {bit}"
            );
        }
    }

    #[test]
    fn absent_and_partial_checksums_are_told() {
        let mut bytes = datagram(b"payload");
        bytes[6..8].fill(0);
        let absent = Datagram::new(&bytes).unwrap().validity(pseudo());
        assert_eq!(absent, Validity::Absent);
        let partial = pseudo().u16(bytes.len() as u16).folded();
        bytes[6..8].copy_from_slice(&partial.to_be_bytes());
        let partial = Datagram::new(&bytes).unwrap().validity(pseudo());
        assert_eq!(partial, Validity::Partial);
    }

    #[test]
    fn a_checksum_of_zero_is_sent_as_ones() {
        // The payload that makes the sum all ones.
        let mut bytes = datagram(&[0, 0]);
        let checksum = be16(&bytes, 6);
        bytes[8..].copy_from_slice(&checksum.to_be_bytes());
        assert!(write_header(&mut bytes, (4000, 5000), pseudo(), None));
        assert_eq!(be16(&bytes, 6), 0xffff);
        let validity = Datagram::new(&bytes).unwrap().validity(pseudo());
        assert_eq!(validity, Validity::Valid);
    }

    #[test]
    fn impossible_lengths_are_refused() {
        let bytes = datagram(b"data");
        for length in 0..bytes.len() {
            assert_eq!(
                Datagram::new(&bytes[..length]).err(),
                Some(Error::Truncated)
            );
        }
        let mut bytes = bytes;
        bytes[4..6].copy_from_slice(&7_u16.to_be_bytes());
        assert_eq!(Datagram::new(&bytes).err(), Some(Error::Malformed));
        assert!(!write_header(&mut [0; 7], (1, 2), pseudo(), None));
        assert!(!write_header(&mut vec![0; 65_536], (1, 2), pseudo(), None));
    }
}
