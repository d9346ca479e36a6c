//! Payloads in both packings (RFC 4867 4.3, 4.4).

use crate::amr::Band;
use crate::error::DecodeError;

/// Most frames of a payload that are read: 240 ms.
pub const FRAMES_MAX: usize = 12;

/// Octets of the longest frame with its first: 23.85 kbit/s.
pub const FRAME_BYTES_MAX: usize = 61;

/// FT of a frame that is not there.
pub const NO_DATA: u8 = 15;

/// The codec mode request that asks for nothing.
pub const NO_REQUEST: u8 = 15;

/// A payload that is whole: a codec mode request and at least one frame.
#[derive(Clone, Copy, Debug)]
pub struct Payload<'a> {
    octets: &'a [u8],
    band: Band,
    octet_align: bool,
    frames: usize,
}

/// A frame within a payload.
#[derive(Clone, Copy, Debug)]
pub struct Frame<'a> {
    /// FT: a speech mode, the silence descriptor, or [`NO_DATA`] and its like.
    pub frame_type: u8,
    /// Q: whether the frame was whole when it entered the network.
    pub is_good: bool,
    octets: &'a [u8],
    bit_offset: usize,
    bits: usize,
}

impl<'a> Payload<'a> {
    /// Checks the lengths of a payload. What is behind the last frame is not looked at.
    ///
    /// # Errors
    /// Too short for its table of contents, frame types that are not to be sent, or more than
    /// [`FRAMES_MAX`] frames.
    pub fn parse(band: Band, octet_align: bool, octets: &'a [u8]) -> Result<Self, DecodeError> {
        let mut payload = Self {
            octets,
            band,
            octet_align,
            frames: 0,
        };
        let mut bits = 0;
        loop {
            if payload.frames == FRAMES_MAX {
                return Err(DecodeError::Unsupported);
            }
            let entry = payload
                .entry(payload.frames)
                .ok_or(DecodeError::Malformed)?;
            let frame_bits = band.frame_bits(entry >> 1 & 0x0f);
            bits += payload.padded(frame_bits.ok_or(DecodeError::Malformed)?);
            payload.frames += 1;
            if entry >> 5 == 0 {
                break;
            }
        }
        let end = payload.entry_offset(payload.frames) + bits;
        if end > octets.len() * 8 {
            return Err(DecodeError::Malformed);
        }
        Ok(payload)
    }

    /// The codec mode request: a mode or [`NO_REQUEST`]; others are reserved and to be ignored.
    pub fn request(&self) -> u8 {
        self.octets[0] >> 4
    }

    /// The number of frames.
    pub fn frames(&self) -> usize {
        self.frames
    }

    /// The frames, the oldest first.
    pub fn iter(&self) -> impl Iterator<Item = Frame<'a>> {
        let this = *self;
        let mut bit_offset = this.entry_offset(this.frames);
        (0..this.frames).map_while(move |index| {
            let entry = this.entry(index)?;
            let frame_type = entry >> 1 & 0x0f;
            let bits = this.band.frame_bits(frame_type)?;
            let frame = Frame {
                frame_type,
                is_good: entry & 1 == 1,
                octets: this.octets,
                bit_offset,
                bits,
            };
            bit_offset += this.padded(bits);
            Some(frame)
        })
    }

    /// F, FT and Q of an entry of the table of contents, in the lower six bits.
    fn entry(&self, index: usize) -> Option<u8> {
        let offset = self.entry_offset(index);
        let first = *self.octets.get(offset / 8)?;
        // An entry of the efficient packing may reach into the next octet.
        let second = match self.octets.get(offset / 8 + 1) {
            Some(&octet) => octet,
            None if offset % 8 <= 2 => 0,
            None => return None,
        };
        let both = u16::from_be_bytes([first, second]);
        Some((both >> (10 - offset % 8)) as u8 & 0x3f)
    }

    /// In bits from the start; of the entry behind the last one: where the frames begin.
    fn entry_offset(&self, index: usize) -> usize {
        if self.octet_align {
            8 + 8 * index
        } else {
            4 + 6 * index
        }
    }

    fn padded(&self, bits: usize) -> usize {
        if self.octet_align {
            bits.next_multiple_of(8)
        } else {
            bits
        }
    }
}

impl Frame<'_> {
    /// Writes the frame as files have it. Gives its octets.
    pub fn write_to(&self, file: &mut [u8; FRAME_BYTES_MAX]) -> usize {
        let len = self.bits.div_ceil(8);
        file[0] = self.frame_type << 3 | u8::from(self.is_good) << 2;
        let shift = self.bit_offset % 8;
        let from = &self.octets[self.bit_offset / 8..];
        for (index, octet) in file[1..=len].iter_mut().enumerate() {
            let next = from.get(index + 1).copied().unwrap_or(0);
            *octet = (u16::from_be_bytes([from[index], next]) >> (8 - shift)) as u8;
        }
        if len > 0 && !self.bits.is_multiple_of(8) {
            file[len] &= 0xff << (8 - self.bits % 8);
        }
        1 + len
    }
}

/// Writes a payload of frames as files have them; `request` is a mode or [`NO_REQUEST`]. Gives its
/// octets.
///
/// `None` if the payload is too small, a frame is shorter than its type says, or there are none, or
/// more than [`FRAMES_MAX`].
pub fn write<'a>(
    band: Band,
    octet_align: bool,
    request: u8,
    frames: impl ExactSizeIterator<Item = &'a [u8]> + Clone,
    payload: &mut [u8],
) -> Option<usize> {
    if frames.len() == 0 || frames.len() > FRAMES_MAX {
        return None;
    }
    let mut writer = BitWriter::new(payload);
    writer.put(request, 4)?;
    if octet_align {
        writer.align()?;
    }
    let last = frames.len() - 1;
    for (index, frame) in frames.clone().enumerate() {
        // F, then FT and Q as they stand.
        let entry = u8::from(index < last) << 5 | frame.first()? >> 2 & 0x1f;
        writer.put(entry, 6)?;
        if octet_align {
            writer.align()?;
        }
    }
    for frame in frames {
        let (header, octets) = frame.split_first()?;
        let mut bits = band.frame_bits(header >> 3 & 0x0f)?;
        for &octet in octets.get(..bits.div_ceil(8))? {
            writer.put(octet >> 8_usize.saturating_sub(bits), bits.min(8))?;
            bits = bits.saturating_sub(8);
        }
        if octet_align {
            writer.align()?;
        }
    }
    writer.align()?;
    Some(writer.len)
}

struct BitWriter<'a> {
    octets: &'a mut [u8],
    len: usize,
    /// Bits that make no octet yet, at the top.
    held: u16,
    held_bits: usize,
}

impl<'a> BitWriter<'a> {
    fn new(octets: &'a mut [u8]) -> Self {
        Self {
            octets,
            len: 0,
            held: 0,
            held_bits: 0,
        }
    }

    /// Writes the lowest `bits` of a value, 8 at most.
    fn put(&mut self, value: u8, bits: usize) -> Option<()> {
        let top = (u16::from(value) << (16 - bits)) >> self.held_bits;
        self.held |= top;
        self.held_bits += bits;
        if self.held_bits >= 8 {
            *self.octets.get_mut(self.len)? = (self.held >> 8) as u8;
            self.len += 1;
            self.held <<= 8;
            self.held_bits -= 8;
        }
        Some(())
    }

    /// Fills up the octet with zeros.
    fn align(&mut self) -> Option<()> {
        if self.held_bits > 0 {
            self.put(0, 8 - self.held_bits)?;
        }
        Some(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const PACKINGS: [(Band, bool); 4] = [
        (Band::Narrow, false),
        (Band::Narrow, true),
        (Band::Wide, false),
        (Band::Wide, true),
    ];

    /// A frame as files have it, with noise for speech and zeros for padding.
    fn frame(band: Band, frame_type: u8, noise: &mut u32) -> Vec<u8> {
        let bits = band.frame_bits(frame_type).unwrap();
        let mut file = vec![frame_type << 3 | 4];
        for _ in 0..bits.div_ceil(8) {
            *noise = noise.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
            file.push((*noise >> 24) as u8);
        }
        if !bits.is_multiple_of(8) {
            *file.last_mut().unwrap() &= 0xff << (8 - bits % 8);
        }
        file
    }

    fn pack(packing: (Band, bool), request: u8, frames: &[Vec<u8>]) -> Vec<u8> {
        let mut payload = [0; 1_000];
        let frames = frames.iter().map(Vec::as_slice);
        let len = write(packing.0, packing.1, request, frames, &mut payload).unwrap();
        payload[..len].to_vec()
    }

    fn unpack(packing: (Band, bool), payload: &[u8]) -> (u8, Vec<Vec<u8>>) {
        let payload = Payload::parse(packing.0, packing.1, payload).unwrap();
        let frames = payload.iter().map(|frame| {
            let mut file = [0; FRAME_BYTES_MAX];
            let len = frame.write_to(&mut file);
            file[..len].to_vec()
        });
        (payload.request(), frames.collect())
    }

    #[test]
    fn one_frame_of_4_75_kbit_s_is_as_the_figures_have_it() {
        // RFC 4867 4.3.5.1 and 4.4.5.1 with speech bits of ones: the request 1111, then F 0,
        // FT 0000, Q 1, and 95 ones, of which the last but one octets are all ones.
        let mut file = vec![0x04];
        file.extend([0xff; 12]);
        file[12] = 0xfe;
        let efficient = pack(
            (Band::Narrow, false),
            NO_REQUEST,
            std::slice::from_ref(&file),
        );
        assert_eq!(efficient.len(), 14);
        assert_eq!(efficient[..2], [0b1111_0000, 0b0111_1111]);
        assert_eq!(efficient[13], 0b1000_0000);
        let aligned = pack(
            (Band::Narrow, true),
            NO_REQUEST,
            std::slice::from_ref(&file),
        );
        assert_eq!(aligned[0], 0xf0);
        assert_eq!(aligned[1..], file);
    }

    #[test]
    fn frames_of_every_type_and_number_come_back() {
        let mut noise = 7;
        for packing in PACKINGS {
            let types = (0..16).filter(|&each| packing.0.frame_bits(each).is_some());
            for frame_type in types {
                for count in 1..=FRAMES_MAX {
                    let frames: Vec<_> = (0..count)
                        .map(|index| {
                            let each = if index % 3 == 2 { NO_DATA } else { frame_type };
                            frame(packing.0, each, &mut noise)
                        })
                        .collect();
                    let payload = pack(packing, 3, &frames);
                    assert_eq!(unpack(packing, &payload), (3, frames));
                    for cut in 0..payload.len() {
                        let cut = Payload::parse(packing.0, packing.1, &payload[..cut]);
                        assert_eq!(cut.err(), Some(DecodeError::Malformed));
                    }
                }
            }
        }
    }

    #[test]
    fn frame_types_that_are_not_sent_are_refused() {
        for packing in PACKINGS {
            for frame_type in 0..16 {
                let entry = frame_type << 1 | 1;
                let mut payload = vec![0; 100];
                if packing.1 {
                    payload[1] = entry << 2;
                } else {
                    payload[0] = entry >> 2;
                    payload[1] = entry << 6;
                }
                let parsed = Payload::parse(packing.0, packing.1, &payload);
                let known = packing.0.frame_bits(frame_type).is_some();
                assert_eq!(parsed.is_ok(), known, "{packing:?} {frame_type}");
            }
        }
    }

    #[test]
    fn more_frames_than_the_most_are_refused() {
        let mut payload = [0x80 | NO_DATA << 3; 20];
        let parsed = Payload::parse(Band::Narrow, true, &payload);
        assert_eq!(parsed.err(), Some(DecodeError::Unsupported));
        payload[FRAMES_MAX] = NO_DATA << 3;
        let parsed = Payload::parse(Band::Narrow, true, &payload).unwrap();
        assert_eq!(parsed.frames(), FRAMES_MAX);
        let frames = vec![&[0x7c_u8][..]; FRAMES_MAX + 1];
        let written = write(Band::Narrow, true, 15, frames.into_iter(), &mut payload);
        assert_eq!(written, None);
    }

    #[test]
    fn what_does_not_fit_is_not_written() {
        let mut noise = 1;
        for packing in PACKINGS {
            let frames = [0, 7].map(|each| frame(packing.0, each, &mut noise));
            let whole = pack(packing, 0, &frames);
            for len in 0..whole.len() {
                let mut payload = vec![0; len];
                let files = frames.iter().map(Vec::as_slice);
                let written = write(packing.0, packing.1, 0, files, &mut payload);
                assert_eq!(written, None);
            }
        }
    }

    #[test]
    fn bits_may_be_anything() {
        let mut noise = 5;
        for packing in PACKINGS {
            let frames = [1, 15, 8].map(|each| frame(packing.0, each, &mut noise));
            let whole = pack(packing, 0, &frames);
            for bit in 0..whole.len() * 8 {
                let mut payload = whole.clone();
                payload[bit / 8] ^= 0x80 >> (bit % 8);
                if let Ok(parsed) = Payload::parse(packing.0, packing.1, &payload) {
                    let mut file = [0; FRAME_BYTES_MAX];
                    assert_eq!(parsed.iter().count(), parsed.frames());
                    for frame in parsed.iter() {
                        assert!(frame.write_to(&mut file) <= FRAME_BYTES_MAX);
                    }
                }
            }
        }
    }
}
