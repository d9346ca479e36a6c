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

/// How fields and frames are laid out in a payload.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub struct Layout {
    /// Fields and frames begin at octets (4.4); otherwise bandwidth-efficient (4.3), where there is
    /// neither of the following.
    pub octet_align: bool,
    /// Each frame that is there has a CRC over its most sensitive bits (4.4.2.1).
    pub crc: bool,
    /// The first octets of all frames come first, then the second ones (4.4.4).
    pub robust_sorting: bool,
    /// An octet says how far apart the frames are in time (4.4.1).
    pub interleaving: bool,
}

impl Layout {
    /// Without any gaps: what no parameters mean.
    pub const EFFICIENT: Self = Self {
        octet_align: false,
        crc: false,
        robust_sorting: false,
        interleaving: false,
    };
    /// With fields and frames at octets.
    pub const ALIGNED: Self = Self {
        octet_align: true,
        ..Self::EFFICIENT
    };
}

/// What stands before the table of contents (4.3.1, 4.4.1).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Head {
    /// CMR: a mode or [`NO_REQUEST`]; others are reserved and to be ignored.
    pub request: u8,
    /// ILL: one less than the packets of an interleaving group, and than the frames from one of a
    /// packet to its next. 0 without interleaving.
    pub interleaving_length: u8,
    /// ILP: which packet of its group this is, at most ILL.
    pub interleaving_index: u8,
}

/// Frames in the order of time.
impl From<u8> for Head {
    fn from(request: u8) -> Self {
        Self {
            request,
            interleaving_length: 0,
            interleaving_index: 0,
        }
    }
}

/// A payload that is whole: a codec mode request and at least one frame.
#[derive(Clone, Copy, Debug)]
pub struct Payload<'a> {
    octets: &'a [u8],
    band: Band,
    layout: Layout,
    frames: usize,
    /// Octets of each frame where they are sorted.
    lens: [u8; FRAMES_MAX],
    /// How many of the frames are not empty.
    filled: usize,
}

/// A frame within a payload.
#[derive(Clone, Copy, Debug)]
pub struct Frame<'a> {
    /// FT: a speech mode, the silence descriptor, or [`NO_DATA`] and its like.
    pub frame_type: u8,
    /// Q: whether the frame was whole when it entered the network; and its CRC says that it is.
    pub is_good: bool,
    /// Frames from the first one of the payload, whose time is that of the packet, to this one.
    pub offset: usize,
    payload: Payload<'a>,
    index: usize,
    bit_offset: usize,
    bits: usize,
}

impl<'a> Payload<'a> {
    /// Checks the lengths of a payload. What is behind the last frame is not looked at.
    ///
    /// # Errors
    /// Too short for its table of contents, frame types that are not to be sent, more than
    /// [`FRAMES_MAX`] frames, or a packet that its interleaving group has not.
    pub fn parse(band: Band, layout: Layout, octets: &'a [u8]) -> Result<Self, DecodeError> {
        let mut payload = Self {
            octets,
            band,
            layout,
            frames: 0,
            lens: [0; FRAMES_MAX],
            filled: 0,
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
            let frame_bits = frame_bits.ok_or(DecodeError::Malformed)?;
            bits += payload.padded(frame_bits);
            payload.lens[payload.frames] = frame_bits.div_ceil(8) as u8;
            payload.filled += usize::from(frame_bits > 0);
            payload.frames += 1;
            if entry >> 5 == 0 {
                break;
            }
        }
        if payload.speech_offset() + bits > octets.len() * 8 {
            return Err(DecodeError::Malformed);
        }
        let head = payload.head();
        if head.interleaving_index > head.interleaving_length {
            return Err(DecodeError::Malformed);
        }
        Ok(payload)
    }

    /// What stands before the table of contents.
    pub fn head(&self) -> Head {
        let request = self.octets[0] >> 4;
        match self.octets.get(1) {
            Some(octet) if self.layout.interleaving => Head {
                request,
                interleaving_length: octet >> 4,
                interleaving_index: octet & 0x0f,
            },
            _ => Head::from(request),
        }
    }

    /// The number of frames.
    pub fn frames(&self) -> usize {
        self.frames
    }

    /// The frames, the oldest first.
    pub fn iter(&self) -> impl Iterator<Item = Frame<'a>> {
        let this = *self;
        let apart = usize::from(this.head().interleaving_length) + 1;
        let mut bit_offset = this.speech_offset();
        let mut filled = 0;
        (0..this.frames).map_while(move |index| {
            let entry = this.entry(index)?;
            let frame_type = entry >> 1 & 0x0f;
            let bits = this.band.frame_bits(frame_type)?;
            let mut frame = Frame {
                frame_type,
                is_good: entry & 1 == 1,
                offset: index * apart,
                payload: this,
                index,
                bit_offset,
                bits,
            };
            bit_offset += this.padded(bits);
            if this.layout.crc && bits > 0 {
                let told = this.octets.get(this.entry_offset(this.frames) / 8 + filled);
                frame.is_good &= told == Some(&frame.crc());
                filled += 1;
            }
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

    /// In bits from the start; of the entry behind the last one: where the CRCs begin, or what is
    /// behind them.
    fn entry_offset(&self, index: usize) -> usize {
        if self.layout.octet_align {
            8 + 8 * usize::from(self.layout.interleaving) + 8 * index
        } else {
            4 + 6 * index
        }
    }

    /// In bits from the start: where the frames begin.
    fn speech_offset(&self) -> usize {
        let crcs = if self.layout.crc { self.filled } else { 0 };
        self.entry_offset(self.frames) + 8 * crcs
    }

    fn padded(&self, bits: usize) -> usize {
        if self.layout.octet_align {
            bits.next_multiple_of(8)
        } else {
            bits
        }
    }

    /// In octets from the start: where an octet of a frame is among sorted ones.
    fn sorted_offset(&self, index: usize, octet: usize) -> usize {
        let lens = self.lens[..self.frames].iter();
        let before = lens.enumerate().map(|(other, &len)| {
            // Of those before it, the octet of the same number comes first too.
            let more = usize::from(other < index);
            usize::from(len).min(octet + more)
        });
        self.speech_offset() / 8 + before.sum::<usize>()
    }
}

impl Frame<'_> {
    /// Writes the frame as files have it. Gives its octets.
    pub fn write_to(&self, file: &mut [u8; FRAME_BYTES_MAX]) -> usize {
        let len = self.bits.div_ceil(8);
        file[0] = self.frame_type << 3 | u8::from(self.is_good) << 2;
        let octets = self.payload.octets;
        if self.payload.layout.robust_sorting {
            for (number, octet) in file[1..=len].iter_mut().enumerate() {
                let from = self.payload.sorted_offset(self.index, number);
                *octet = octets.get(from).copied().unwrap_or(0);
            }
        } else {
            let shift = self.bit_offset % 8;
            let from = &octets[self.bit_offset / 8..];
            for (index, octet) in file[1..=len].iter_mut().enumerate() {
                let next = from.get(index + 1).copied().unwrap_or(0);
                *octet = (u16::from_be_bytes([from[index], next]) >> (8 - shift)) as u8;
            }
        }
        if len > 0 && !self.bits.is_multiple_of(8) {
            file[len] &= 0xff << (8 - self.bits % 8);
        }
        1 + len
    }

    fn crc(&self) -> u8 {
        let mut file = [0; FRAME_BYTES_MAX];
        let len = self.write_to(&mut file);
        frame_crc(
            &file[1..len],
            self.payload.band.class_a_bits(self.frame_type),
        )
    }
}

/// The CRC of a frame over its first `bits`, which are those of class A (RFC 4867 4.4.2.1):
/// 1 + x² + x³ + x⁴ + x⁸, the least significant bit of the register first, from zero.
fn frame_crc(octets: &[u8], bits: usize) -> u8 {
    let bit = |index: usize| {
        octets
            .get(index / 8)
            .map_or(0, |octet| octet >> (7 - index % 8) & 1)
    };
    (0..bits).fold(0, |crc: u8, index| {
        let feedback = (crc & 1) ^ bit(index);
        crc >> 1 ^ if feedback == 1 { CRC_POLYNOMIAL } else { 0 }
    })
}

/// x⁰ to x⁷ from the most significant bit on; x⁸ is what is shifted out.
const CRC_POLYNOMIAL: u8 = 0b1011_1000;

/// Writes a payload of frames as files have them, behind its head, or what is asked for there: a
/// mode or [`NO_REQUEST`]. Gives its octets.
///
/// `None` if the payload is too small, a frame is shorter than its type says, or there are none, or
/// more than [`FRAMES_MAX`].
pub fn write<'a>(
    band: Band,
    layout: Layout,
    head: impl Into<Head>,
    frames: impl ExactSizeIterator<Item = &'a [u8]> + Clone,
    payload: &mut [u8],
) -> Option<usize> {
    if frames.len() == 0 || frames.len() > FRAMES_MAX {
        return None;
    }
    let octet_align = layout.octet_align;
    let mut writer = BitWriter::new(payload);
    let head = head.into();
    writer.put(head.request, 4)?;
    if octet_align {
        writer.align()?;
    }
    if layout.interleaving {
        writer.put(head.interleaving_length, 4)?;
        writer.put(head.interleaving_index, 4)?;
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
    if layout.crc {
        for frame in frames.clone() {
            let (frame_type, octets, bits) = parts(band, frame)?;
            if bits > 0 {
                writer.put(frame_crc(octets, band.class_a_bits(frame_type)), 8)?;
            }
        }
    }
    if layout.robust_sorting {
        for number in 0..FRAME_BYTES_MAX {
            for frame in frames.clone() {
                if let Some(octet) = parts(band, frame)?.1.get(number) {
                    writer.put(*octet, 8)?;
                }
            }
        }
        return Some(writer.len);
    }
    for frame in frames {
        let (_, octets, mut bits) = parts(band, frame)?;
        for &octet in octets {
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

/// FT of a frame as files have it, the octets behind that, and how many bits they have; `None` if
/// it is shorter.
fn parts(band: Band, frame: &[u8]) -> Option<(u8, &[u8], usize)> {
    let (header, octets) = frame.split_first()?;
    let frame_type = header >> 3 & 0x0f;
    let bits = band.frame_bits(frame_type)?;
    Some((frame_type, octets.get(..bits.div_ceil(8))?, bits))
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

    const CRC: Layout = Layout {
        crc: true,
        ..Layout::ALIGNED
    };
    const SORTED: Layout = Layout {
        robust_sorting: true,
        ..Layout::ALIGNED
    };
    const BOTH: Layout = Layout {
        crc: true,
        ..SORTED
    };

    const INTERLEAVED: Layout = Layout {
        interleaving: true,
        ..Layout::ALIGNED
    };
    const ALL: Layout = Layout {
        interleaving: true,
        ..BOTH
    };

    const PACKINGS: [(Band, Layout); 14] = {
        let layouts = [
            Layout::EFFICIENT,
            Layout::ALIGNED,
            CRC,
            SORTED,
            BOTH,
            INTERLEAVED,
            ALL,
        ];
        let mut packings = [(Band::Narrow, Layout::EFFICIENT); 14];
        let mut index = 0;
        while index < layouts.len() {
            packings[2 * index] = (Band::Narrow, layouts[index]);
            packings[2 * index + 1] = (Band::Wide, layouts[index]);
            index += 1;
        }
        packings
    };

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

    fn pack(packing: (Band, Layout), request: u8, frames: &[Vec<u8>]) -> Vec<u8> {
        let mut payload = [0; 1_000];
        let frames = frames.iter().map(Vec::as_slice);
        let len = write(packing.0, packing.1, request, frames, &mut payload).unwrap();
        payload[..len].to_vec()
    }

    fn unpack(packing: (Band, Layout), payload: &[u8]) -> (u8, Vec<Vec<u8>>) {
        let payload = Payload::parse(packing.0, packing.1, payload).unwrap();
        let frames = payload.iter().map(|frame| {
            let mut file = [0; FRAME_BYTES_MAX];
            let len = frame.write_to(&mut file);
            file[..len].to_vec()
        });
        (payload.head().request, frames.collect())
    }

    #[test]
    fn one_frame_of_4_75_kbit_s_is_as_the_figures_have_it() {
        // RFC 4867 4.3.5.1 and 4.4.5.1 with speech bits of ones: the request 1111, then F 0,
        // FT 0000, Q 1, and 95 ones, of which the last but one octets are all ones.
        let mut file = vec![0x04];
        file.extend([0xff; 12]);
        file[12] = 0xfe;
        let efficient = pack(
            (Band::Narrow, Layout::EFFICIENT),
            NO_REQUEST,
            std::slice::from_ref(&file),
        );
        assert_eq!(efficient.len(), 14);
        assert_eq!(efficient[..2], [0b1111_0000, 0b0111_1111]);
        assert_eq!(efficient[13], 0b1000_0000);
        let aligned = pack(
            (Band::Narrow, Layout::ALIGNED),
            NO_REQUEST,
            std::slice::from_ref(&file),
        );
        assert_eq!(aligned[0], 0xf0);
        assert_eq!(aligned[1..], file);
    }

    #[test]
    fn octets_are_sorted_and_crcs_stand_before_them_as_the_figures_have_it() {
        // RFC 4867 4.4.5.2, and 4.4.4 for frames of unlike lengths: NB SID (5 octets), nothing, and
        // 4.75 kbit/s (12).
        let sid: Vec<u8> = [0x44].into_iter().chain(0x10..0x15).collect();
        let speech: Vec<u8> = [0x04].into_iter().chain(0x20..0x2c).collect();
        let frames = [sid, vec![0x7c], speech];
        let sorted = pack((Band::Narrow, SORTED), 5, &frames);
        let head = [0x50, 0xc4, 0xfc, 0x04];
        let first = [0x10, 0x20, 0x11, 0x21, 0x12, 0x22, 0x13, 0x23, 0x14, 0x24];
        assert_eq!(
            sorted,
            [
                &head[..],
                &first,
                &[0x25, 0x26, 0x27, 0x28, 0x29, 0x2a, 0x2b]
            ]
            .concat()
        );
        let both = pack((Band::Narrow, BOTH), 5, &frames);
        // A CRC for each frame that is there.
        assert_eq!((both.len(), &both[..4]), (sorted.len() + 2, &head[..]));
        assert_eq!(both[6..], sorted[4..]);
        assert_eq!(both[4], frame_crc(&frames[0][1..], 39));
        assert_eq!(both[5], frame_crc(&frames[2][1..], 42));
    }

    #[test]
    fn interleaved_frames_are_apart_as_the_figures_have_it() {
        // RFC 4867 4.4.1: of a group of three packets the third, with three frames.
        let frame = |octet| [vec![0x04], vec![octet; 11], vec![octet & 0xfe]].concat();
        let frames = [frame(2), frame(4), frame(6)];
        let head = Head {
            request: NO_REQUEST,
            interleaving_length: 2,
            interleaving_index: 2,
        };
        let mut payload = [0; 100];
        let files = frames.iter().map(Vec::as_slice);
        let len = write(Band::Narrow, INTERLEAVED, head, files, &mut payload);
        assert_eq!(len, Some(2 + 3 + 36));
        assert_eq!(payload[..5], [0xf0, 0x22, 0x84, 0x84, 0x04]);
        assert_eq!(payload[5..][..12], frames[0][1..]);
        let read = Payload::parse(Band::Narrow, INTERLEAVED, &payload).unwrap();
        assert_eq!(read.head(), head);
        let offsets: Vec<usize> = read.iter().map(|frame| frame.offset).collect();
        assert_eq!(offsets, [0, 3, 6]);
        // There is no fourth packet.
        payload[1] = 0x23;
        let read = Payload::parse(Band::Narrow, INTERLEAVED, &payload);
        assert_eq!(read.err(), Some(DecodeError::Malformed));
    }

    #[test]
    fn the_crc_is_that_of_its_polynomial() {
        // Divided with pencil and paper: a single one, `n` bits before the end, leaves x⁸ⁿ⁻…; its
        // remainders are those of powers of x, each the last times x.
        let mut power = CRC_POLYNOMIAL;
        for bits in 1..=300_usize {
            let mut octets = [0; 38];
            octets[0] = 0x80;
            assert_eq!(frame_crc(&octets, bits), power, "{bits}");
            power = power >> 1 ^ if power & 1 == 1 { CRC_POLYNOMIAL } else { 0 };
        }
        assert_eq!(frame_crc(&[0; 10], 80), 0);
        // What is behind the bits does not count.
        assert_eq!(frame_crc(&[0xff, 0xff], 9), frame_crc(&[0xff, 0x80], 9));
    }

    #[test]
    fn a_frame_whose_crc_does_not_hold_is_not_good_and_the_others_are() {
        let mut noise = 3;
        for layout in [CRC, BOTH] {
            for band in [Band::Narrow, Band::Wide] {
                let frames = [2, 15, 5].map(|each| frame(band, each, &mut noise));
                let payload = pack((band, layout), NO_REQUEST, &frames);
                let good = |payload: &[u8]| -> Vec<bool> {
                    let payload = Payload::parse(band, layout, payload).unwrap();
                    payload.iter().map(|frame| frame.is_good).collect()
                };
                assert_eq!(good(&payload), [true; 3]);
                for crc in [4, 5] {
                    let mut broken = payload.clone();
                    broken[crc] ^= 1;
                    assert_eq!(good(&broken), [crc != 4, true, crc != 5]);
                }
                // The first octet of speech is of class A, the last is not.
                let mut broken = payload.clone();
                broken[6] ^= 0x40;
                assert_eq!(good(&broken), [false, true, true]);
                let mut other = payload.clone();
                *other.last_mut().unwrap() ^= 0x80;
                assert_eq!(good(&other), [true; 3]);
            }
        }
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
                if packing.1.octet_align {
                    payload[1 + usize::from(packing.1.interleaving)] = entry << 2;
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
        let parsed = Payload::parse(Band::Narrow, Layout::ALIGNED, &payload);
        assert_eq!(parsed.err(), Some(DecodeError::Unsupported));
        payload[FRAMES_MAX] = NO_DATA << 3;
        let parsed = Payload::parse(Band::Narrow, Layout::ALIGNED, &payload).unwrap();
        assert_eq!(parsed.frames(), FRAMES_MAX);
        let frames = vec![&[0x7c_u8][..]; FRAMES_MAX + 1];
        let written = write(
            Band::Narrow,
            Layout::ALIGNED,
            15,
            frames.into_iter(),
            &mut payload,
        );
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
