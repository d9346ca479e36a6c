//! EVS in RTP (3GPP TS 26.445 Annex A): payloads of both formats, and its AMR-WB interoperable mode
//! ("AMR-WB IO"), which is coded as AMR-WB.
//!
//! There is no codec for EVS's own mode, "Primary": [`Payload`] tells its frames, so that they can
//! be passed on or recorded. Who has a codec plugs it in at two places: where `Decoder` refuses
//! frames of [`Kind::Primary`], and where `Encoder` refuses a format that does not begin in AMR-WB
//! IO.

use crate::FormatError;
use crate::amr::{AmrFormat, Band, FRAME_BYTES_MAX, FRAMES_MAX, Layout};
use crate::error::DecodeError;
use crate::fmtp::Parameters;

/// How EVS is packed and which modes may be used (TS 26.445 A.3.1).
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct EvsFormat {
    /// `hf-only`: the header-full format only.
    pub header_full_only: bool,
    /// `evs-mode-switch`: AMR-WB IO from the start.
    pub starts_in_amr_wb: bool,
    /// The modes of AMR-WB IO and how they may change; its packing is that of EVS.
    pub amr_wb: AmrFormat,
}

impl EvsFormat {
    pub(crate) fn parse(fmtp: Option<&str>) -> Result<Self, FormatError> {
        let parameters = Parameters::new(fmtp);
        for name in ["ch-send", "ch-recv"] {
            if parameters
                .number(name, 1..=255)?
                .is_some_and(|number| number > 1)
            {
                return Err(FormatError::Channels);
            }
        }
        // Octet alignment and its kin are none of EVS's: AMR-WB is parsed without them.
        Ok(Self {
            header_full_only: parameters.flag("hf-only")?,
            starts_in_amr_wb: parameters.flag("evs-mode-switch")?,
            amr_wb: AmrFormat {
                layout: Layout::EFFICIENT,
                group_frames_max: 1,
                ..AmrFormat::parse(Band::Wide, fmtp)?
            },
        })
    }
}

/// What a frame is coded by, with its type (TS 26.445 A.2.2.1.2).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// EVS: 0 to 11 are 2.8 to 128 kbit/s, 12 is the silence descriptor, 14 and 15 are empty.
    Primary(u8),
    /// AMR-WB: as FT of RFC 4867.
    AmrWb(u8),
}

impl Kind {
    /// Of the frame type of a table of contents.
    fn of(frame_type: u8) -> Self {
        let index = frame_type & 0x0f;
        if frame_type & 0x20 == 0 {
            Self::Primary(index)
        } else {
            Self::AmrWb(index)
        }
    }

    /// Bits of a frame; `None` of types that are reserved.
    pub fn bits(self) -> Option<usize> {
        const PRIMARY: [usize; 13] = [
            56, 144, 160, 192, 264, 328, 488, 640, 960, 1280, 1920, 2560, 48,
        ];
        match self {
            Self::Primary(14 | 15) => Some(0),
            Self::Primary(index) => PRIMARY.get(usize::from(index)).copied(),
            Self::AmrWb(index) => Band::Wide.frame_bits(index),
        }
    }

    /// The kind whose compact payload has so many octets (table A.1).
    fn of_compact(octets: usize) -> Option<Self> {
        // The silence descriptor of AMR-WB has no compact payload.
        let primary = (0..=12).map(Self::Primary);
        let mut all = primary.chain((0..=Band::Wide.mode_max()).map(Self::AmrWb));
        all.find(|kind| kind.compact_octets() == Some(octets))
    }

    fn compact_octets(self) -> Option<usize> {
        let request_bits = if matches!(self, Self::AmrWb(_)) { 3 } else { 0 };
        Some((self.bits()? + request_bits).div_ceil(8))
    }
}

/// A codec mode request: T and D of its octet (TS 26.445 A.2.2.1.1).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Request(pub u8);

impl Request {
    /// Asks for nothing.
    pub const NONE: Self = Self(0x7f);

    /// Asks for a mode of AMR-WB IO.
    pub fn amr_wb(mode: u8) -> Self {
        Self(0x10 | mode & 0x0f)
    }

    /// The mode of AMR-WB IO that is asked for.
    pub fn amr_wb_mode(self) -> Option<u8> {
        let mode = self.0 & 0x0f;
        (self.0 >> 4 == 1 && mode <= Band::Wide.mode_max()).then_some(mode)
    }
}

/// Modes that three bits ask for (table A.2); the last value is none.
const COMPACT_REQUESTS: [u8; 7] = [0, 1, 2, 4, 5, 7, 8];

/// A payload that is whole.
#[derive(Clone, Copy, Debug)]
pub struct Payload<'a> {
    octets: &'a [u8],
    request: Request,
    frames: usize,
    /// The kind of the only frame, if the format is compact.
    compact: Option<Kind>,
    /// Where the table of contents begins, if it is not.
    contents: usize,
}

/// A frame within a payload.
#[derive(Clone, Copy, Debug)]
pub struct Frame<'a> {
    /// What it is coded by, and its type.
    pub kind: Kind,
    /// Whether it was whole when it entered the network.
    pub is_good: bool,
    /// Its octets; of a compact payload of AMR-WB IO with the request, and the first bit last.
    octets: &'a [u8],
    is_rotated: bool,
}

impl<'a> Payload<'a> {
    /// Tells the format of a payload and checks its lengths. What is behind the last frame is not
    /// looked at: it avoids sizes of the compact format.
    ///
    /// # Errors
    /// Too short, a reserved frame type, or more than [`FRAMES_MAX`] frames.
    pub fn parse(header_full_only: bool, octets: &'a [u8]) -> Result<Self, DecodeError> {
        let first = *octets.first().ok_or(DecodeError::Malformed)?;
        if !header_full_only && let Some(kind) = Kind::of_compact(octets.len()) {
            // A.2.1.3: of 56 bits, a first bit of 1 is a request before a descriptor of AMR-WB.
            if kind != Kind::Primary(0) || first >> 7 == 0 {
                let mode = match kind {
                    Kind::AmrWb(_) => COMPACT_REQUESTS.get(usize::from(first >> 5)),
                    Kind::Primary(_) => None,
                };
                return Ok(Self {
                    octets,
                    request: mode.map_or(Request::NONE, |&mode| Request::amr_wb(mode)),
                    frames: 1,
                    compact: Some(kind),
                    contents: 0,
                });
            }
        }
        Self::parse_header_full(octets, first)
    }

    fn parse_header_full(octets: &'a [u8], first: u8) -> Result<Self, DecodeError> {
        let has_request = first >> 7 == 1;
        let mut payload = Self {
            octets,
            request: if has_request {
                Request(first & 0x7f)
            } else {
                Request::NONE
            },
            frames: 0,
            compact: None,
            contents: usize::from(has_request),
        };
        let mut end = payload.contents;
        loop {
            if payload.frames == FRAMES_MAX {
                return Err(DecodeError::Unsupported);
            }
            let entry = octets.get(payload.contents + payload.frames);
            let entry = *entry.ok_or(DecodeError::Malformed)?;
            let bits = Kind::of(entry).bits().filter(|_| entry >> 7 == 0);
            end += 1 + bits.ok_or(DecodeError::Malformed)?.div_ceil(8);
            payload.frames += 1;
            if entry & 0x40 == 0 {
                break;
            }
        }
        if end > octets.len() {
            return Err(DecodeError::Malformed);
        }
        Ok(payload)
    }

    /// What the sender asks for.
    pub fn request(&self) -> Request {
        self.request
    }

    /// The number of frames.
    pub fn frames(&self) -> usize {
        self.frames
    }

    /// The frames, the oldest first.
    pub fn iter(&self) -> impl Iterator<Item = Frame<'a>> {
        let this = *self;
        let mut at = this.contents + this.frames;
        (0..this.frames).map_while(move |index| {
            if let Some(kind) = this.compact {
                return Some(Frame {
                    kind,
                    is_good: true,
                    octets: this.octets,
                    is_rotated: matches!(kind, Kind::AmrWb(_)),
                });
            }
            let entry = *this.octets.get(this.contents + index)?;
            let kind = Kind::of(entry);
            let octets = this.octets.get(at..at + kind.bits()?.div_ceil(8))?;
            at += octets.len();
            Some(Frame {
                kind,
                // Of EVS itself the bit is not used.
                is_good: matches!(kind, Kind::Primary(_)) || entry & 0x10 != 0,
                octets,
                is_rotated: false,
            })
        })
    }
}

impl<'a> Frame<'a> {
    /// The octets of a frame of EVS itself.
    pub fn primary(&self) -> Option<&'a [u8]> {
        matches!(self.kind, Kind::Primary(_)).then_some(self.octets)
    }

    /// Writes a frame of AMR-WB IO as files of AMR-WB have it (RFC 4867 5.3). Gives its octets;
    /// `None` of others.
    pub fn write_to(&self, file: &mut [u8; FRAME_BYTES_MAX]) -> Option<usize> {
        let Kind::AmrWb(frame_type) = self.kind else {
            return None;
        };
        let bits = self.kind.bits()?;
        let len = bits.div_ceil(8);
        file[0] = frame_type << 3 | u8::from(self.is_good) << 2;
        if self.is_rotated {
            for (at, octet) in file[1..=len].iter_mut().enumerate() {
                // Bit 8 at of the frame is bit 8 at + 2 of the payload, the first of all apart.
                let before = self.octets[at];
                let after = self.octets.get(at + 1).copied().unwrap_or(0);
                *octet = (u16::from_be_bytes([before, after]) >> 6) as u8;
            }
            let last = bits + 2;
            let first = self.octets[last / 8] >> (7 - last % 8) & 1;
            file[1] = file[1] & 0x7f | first << 7;
        } else {
            file[1..=len].copy_from_slice(self.octets);
        }
        if len > 0 && !bits.is_multiple_of(8) {
            file[len] &= 0xff << (8 - bits % 8);
        }
        Some(1 + len)
    }
}

/// Writes a payload of AMR-WB IO from frames as files of AMR-WB have them: compact where that may
/// be and there is one frame of speech, else header-full. Gives its octets.
///
/// `None` if the payload is too small, a frame is shorter than its type says, or there are none, or
/// more than [`FRAMES_MAX`].
pub fn write<'a>(
    header_full_only: bool,
    request: Request,
    mut frames: impl ExactSizeIterator<Item = &'a [u8]> + Clone,
    payload: &mut [u8],
) -> Option<usize> {
    if frames.len() == 0 || frames.len() > FRAMES_MAX {
        return None;
    }
    if !header_full_only && frames.len() == 1 {
        let frame = frames.clone().next()?;
        let is_speech = frame.first()? >> 3 <= Band::Wide.mode_max();
        // A frame that is known to be damaged needs its quality bit.
        if is_speech && frame[0] & 0x04 != 0 {
            return write_compact(request, frames.next()?, payload);
        }
    }
    let last = frames.len() - 1;
    let mut len = 0;
    let mut put = |octets: &[u8]| {
        payload
            .get_mut(len..len + octets.len())?
            .copy_from_slice(octets);
        len += octets.len();
        Some(())
    };
    // A.2.1.3: a descriptor of silence goes with a request, be it for nothing.
    let is_descriptor = |frame: &[u8]| frame.first().is_some_and(|header| header >> 3 == 9);
    let is_special = !header_full_only && last == 0 && frames.clone().all(is_descriptor);
    if request != Request::NONE || is_special {
        put(&[0x80 | request.0])?;
    }
    for (index, frame) in frames.clone().enumerate() {
        let header = frame.first()?;
        let follows = u8::from(index < last) << 6;
        put(&[follows | 0x20 | (header & 0x04) << 2 | header >> 3 & 0x0f])?;
    }
    for frame in frames {
        let (header, octets) = frame.split_first()?;
        let bits = Band::Wide.frame_bits(header >> 3 & 0x0f)?;
        put(octets.get(..bits.div_ceil(8))?)?;
    }
    // A.2.2.1.4: sizes of the compact format are avoided; a descriptor behind a request is told
    // apart by its first bit.
    let is_taken = |len: usize| Kind::of_compact(len).is_some_and(|kind| kind != Kind::Primary(0));
    while !header_full_only && (is_taken(len) || len == 7 && payload[0] >> 7 == 0) {
        *payload.get_mut(len)? = 0;
        len += 1;
    }
    Some(len)
}

fn write_compact(request: Request, frame: &[u8], payload: &mut [u8]) -> Option<usize> {
    let (header, octets) = frame.split_first()?;
    let kind = Kind::AmrWb(header >> 3 & 0x0f);
    let (bits, len) = (kind.bits()?, kind.compact_octets()?);
    let (octets, payload) = (octets.get(..bits.div_ceil(8))?, payload.get_mut(..len)?);
    // Of the modes that three bits cannot ask for, the next lower one.
    let asked = request.amr_wb_mode();
    let not_above = |asked| COMPACT_REQUESTS.iter().rposition(|&mode| mode <= asked);
    let request = asked.and_then(not_above).map_or(7, |index| index as u8);
    // The request takes the place of the first bit and of two before it.
    payload.fill(0);
    for (at, octet) in payload.iter_mut().enumerate() {
        let before = if at == 0 { 0 } else { octets[at - 1] };
        let after = octets.get(at).copied().unwrap_or(0);
        *octet = (u16::from_be_bytes([before, after]) >> 2) as u8;
    }
    payload[0] = payload[0] & 0x1f | request << 5;
    let last = bits + 2;
    payload[last / 8] |= (octets[0] >> 7) << (7 - last % 8);
    Some(len)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn file(mode: u8, noise: &mut u32) -> Vec<u8> {
        let bits = Band::Wide.frame_bits(mode).unwrap();
        let mut file = vec![mode << 3 | 4];
        for _ in 0..bits.div_ceil(8) {
            *noise = noise.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
            file.push((*noise >> 24) as u8);
        }
        if !bits.is_multiple_of(8) {
            *file.last_mut().unwrap() &= 0xff << (8 - bits % 8);
        }
        file
    }

    fn pack(header_full_only: bool, request: Request, files: &[Vec<u8>]) -> Vec<u8> {
        let mut payload = [0; 1_000];
        let frames = files.iter().map(Vec::as_slice);
        let len = write(header_full_only, request, frames, &mut payload).unwrap();
        payload[..len].to_vec()
    }

    fn unpack(header_full_only: bool, payload: &[u8]) -> (Request, Vec<Vec<u8>>) {
        let payload = Payload::parse(header_full_only, payload).unwrap();
        let files = payload.iter().map(|frame| {
            let mut file = [0; FRAME_BYTES_MAX];
            let len = frame.write_to(&mut file).unwrap();
            file[..len].to_vec()
        });
        (payload.request(), files.collect())
    }

    #[test]
    fn sizes_of_the_compact_format_are_those_of_table_a_1() {
        let bits = |kinds: Vec<Kind>| -> Vec<usize> {
            kinds
                .iter()
                .map(|kind| kind.compact_octets().unwrap() * 8)
                .collect()
        };
        let amr_wb = bits((0..9).map(Kind::AmrWb).collect());
        assert_eq!(amr_wb, [136, 184, 256, 288, 320, 368, 400, 464, 480]);
        let primary = bits((0..13).map(Kind::Primary).collect());
        let expected = [
            56, 144, 160, 192, 264, 328, 488, 640, 960, 1280, 1920, 2560, 48,
        ];
        assert_eq!(primary, expected);
        for (octets, kind) in [
            (17, Kind::AmrWb(0)),
            (60, Kind::AmrWb(8)),
            (61, Kind::Primary(6)),
        ] {
            assert_eq!(Kind::of_compact(octets), Some(kind));
        }
        assert_eq!(Kind::of_compact(18), Some(Kind::Primary(1)));
        assert_eq!(Kind::of_compact(19), None);
    }

    #[test]
    fn the_first_bit_of_a_compact_frame_is_its_last() {
        let mut frame = vec![4; 18];
        frame[1..].fill(0);
        frame[1] = 0x80;
        let payload = pack(false, Request::NONE, std::slice::from_ref(&frame));
        // The request 111, 131 bits of zero, the first bit, one of padding.
        let mut expected = [0; 17];
        (expected[0], expected[16]) = (0xe0, 0x02);
        assert_eq!(payload, expected);
        assert_eq!(unpack(false, &payload), (Request::NONE, vec![frame]));
    }

    #[test]
    fn frames_of_every_type_and_number_come_back() {
        let mut noise = 3;
        for header_full_only in [false, true] {
            for request in [Request::NONE, Request::amr_wb(0), Request::amr_wb(8)] {
                for mode in [0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 15] {
                    for count in [1, 2, 3, FRAMES_MAX] {
                        let files: Vec<_> = (0..count).map(|_| file(mode, &mut noise)).collect();
                        let payload = pack(header_full_only, request, &files);
                        let found = unpack(header_full_only, &payload);
                        assert_eq!(found, (request, files), "{mode} {count}");
                        for cut in 0..payload.len() {
                            let _ = Payload::parse(header_full_only, &payload[..cut])
                                .map(|cut| cut.iter().count());
                            let mut short = vec![0; cut];
                            let file = file(mode, &mut noise);
                            let one = [file.as_slice()].into_iter();
                            let _ = write(header_full_only, request, one, &mut short);
                        }
                    }
                }
            }
        }
    }

    #[test]
    fn frames_of_evs_itself_are_told() {
        for index in 0..13 {
            let octets = Kind::Primary(index).bits().unwrap() / 8;
            let bare = vec![0x55; octets];
            let payload = Payload::parse(false, &bare).unwrap();
            let frame = payload.iter().next().unwrap();
            assert_eq!(
                (frame.kind, frame.primary()),
                (Kind::Primary(index), Some(&bare[..]))
            );
            let full = [&[0xa4, index], &bare[..]].concat();
            let payload = Payload::parse(true, &full).unwrap();
            assert_eq!(payload.request(), Request(0x24));
            let frame = payload.iter().next().unwrap();
            assert_eq!(
                (frame.kind, frame.primary()),
                (Kind::Primary(index), Some(&bare[..]))
            );
            assert_eq!(frame.write_to(&mut [0; FRAME_BYTES_MAX]), None);
        }
    }

    #[test]
    fn fifty_six_bits_are_told_apart_by_the_first() {
        let descriptor = pack(false, Request::amr_wb(2), &[file(9, &mut 1)]);
        assert_eq!((descriptor.len(), descriptor[0]), (7, 0x92));
        let frame = Payload::parse(false, &descriptor)
            .unwrap()
            .iter()
            .next()
            .unwrap();
        assert_eq!(frame.kind, Kind::AmrWb(9));
        let descriptor = pack(false, Request::NONE, &[file(9, &mut 1)]);
        assert_eq!(
            (descriptor.len(), descriptor[0], descriptor[1]),
            (7, 0xff, 0x39)
        );
        let primary = Payload::parse(false, &[0x7f; 7])
            .unwrap()
            .iter()
            .next()
            .unwrap();
        assert_eq!(primary.kind, Kind::Primary(0));
    }

    #[test]
    fn what_is_no_payload_is_refused() {
        let parse = |octets: &[u8]| Payload::parse(true, octets).map(|found| found.frames());
        assert_eq!(parse(&[]), Err(DecodeError::Malformed));
        assert_eq!(parse(&[0xff]), Err(DecodeError::Malformed));
        assert_eq!(
            parse(&[0xff, 0xff, 0x0f]),
            Err(DecodeError::Malformed),
            "two requests"
        );
        assert_eq!(
            parse(&[0x0d, 0, 0]),
            Err(DecodeError::Malformed),
            "reserved"
        );
        assert_eq!(
            parse(&[0x2a, 0, 0]),
            Err(DecodeError::Malformed),
            "reserved"
        );
        assert_eq!(
            parse(&[0x4f; FRAMES_MAX + 1]),
            Err(DecodeError::Unsupported)
        );
        assert_eq!(parse(&[0x0f]), Ok(1));
    }

    #[test]
    fn parameters_are_read() {
        let format = EvsFormat::parse(Some("br=5.9-24.4;bw=nb-swb;hf-only=1;mode-set=0,1,2"));
        let format = format.unwrap();
        assert!(format.header_full_only && !format.starts_in_amr_wb);
        assert_eq!(format.amr_wb.modes.highest(), 2);
        assert!(
            EvsFormat::parse(Some("evs-mode-switch=1"))
                .unwrap()
                .starts_in_amr_wb
        );
        assert_eq!(
            EvsFormat::parse(Some("ch-recv=2")),
            Err(FormatError::Channels)
        );
        let refused = EvsFormat::parse(Some("hf-only=2"));
        assert_eq!(refused, Err(FormatError::Parameter("hf-only")));
    }
}
