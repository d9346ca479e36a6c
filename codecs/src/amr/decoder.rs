//! Payloads to samples.

use amr_sys::{narrow, wide};

use crate::amr::payload::{FRAME_BYTES_MAX, Layout, NO_DATA, Payload};
use crate::amr::{AmrFormat, Band, Parts};
use crate::decoder::DecodedKind;
use crate::error::{DecodeError, Unavailable};
use crate::evs::{self, EvsFormat};

/// Decodes AMR or AMR-WB.
#[derive(Debug)]
pub(crate) struct Decoder {
    coder: Coder,
    band: Band,
    packing: Packing,
    request: Option<u8>,
    /// A silence descriptor came after the last speech.
    is_silent: bool,
}

#[derive(Debug)]
enum Coder {
    Narrow(narrow::Decoder),
    Wide(wide::Decoder),
}

/// How payloads are read.
#[derive(Clone, Copy, Debug)]
enum Packing {
    /// RFC 4867.
    Amr(Layout),
    /// TS 26.445 Annex A.
    Evs { header_full_only: bool },
}

impl Decoder {
    /// For AMR-WB IO of EVS.
    pub(crate) fn of_evs(format: &EvsFormat) -> Result<Self, Unavailable> {
        let mut decoder = Self::new(Band::Wide, &format.amr_wb)?;
        decoder.packing = Packing::Evs {
            header_full_only: format.header_full_only,
        };
        Ok(decoder)
    }

    pub(crate) fn new(band: Band, format: &AmrFormat) -> Result<Self, Unavailable> {
        let coder = match band {
            Band::Narrow => narrow::Decoder::new().map(Coder::Narrow),
            Band::Wide => wide::Decoder::new().map(Coder::Wide),
        };
        Ok(Self {
            coder: coder.ok_or(Unavailable::Memory)?,
            band,
            packing: Packing::Amr(format.layout),
            request: None,
            is_silent: false,
        })
    }

    pub(crate) fn samples_in(&self, octets: &[u8]) -> Result<usize, DecodeError> {
        let frames = match self.packing {
            Packing::Amr(layout) => Payload::parse(self.band, layout, octets)?.frames(),
            Packing::Evs { header_full_only } => {
                evs::Payload::parse(header_full_only, octets)?.frames()
            }
        };
        Ok(frames * self.band.frame_samples())
    }

    pub(crate) fn parts<'a>(&self, octets: &'a [u8]) -> Option<Parts<'a>> {
        match self.packing {
            Packing::Amr(layout) => Parts::of(self.band, layout, octets),
            Packing::Evs { .. } => None,
        }
    }

    /// Decodes into as many samples as [`samples_in`](Self::samples_in) says.
    pub(crate) fn decode(
        &mut self,
        octets: &[u8],
        samples: &mut [i16],
    ) -> Result<DecodedKind, DecodeError> {
        let mut kind = DecodedKind::NoData;
        let mut file = [0; FRAME_BYTES_MAX];
        let parts = samples.chunks_exact_mut(self.band.frame_samples());
        match self.packing {
            Packing::Amr(layout) => {
                let payload = Payload::parse(self.band, layout, octets)?;
                // Its frames are not one after the other.
                if payload.frames() > 1 && payload.head().interleaving_length > 0 {
                    return Err(DecodeError::Unsupported);
                }
                let request = payload.head().request;
                self.request = (request <= self.band.mode_max()).then_some(request);
                for (frame, samples) in payload.iter().zip(parts) {
                    frame.write_to(&mut file);
                    kind = both(kind, self.decode_frame(&mut file, samples));
                }
            }
            Packing::Evs { header_full_only } => {
                let payload = evs::Payload::parse(header_full_only, octets)?;
                let is_primary = |kind| matches!(kind, evs::Kind::Primary(0..=13));
                if payload.iter().any(|frame| is_primary(frame.kind)) {
                    return Err(DecodeError::Unsupported);
                }
                self.request = payload.request().amr_wb_mode();
                for (frame, samples) in payload.iter().zip(parts) {
                    if frame.write_to(&mut file).is_none() {
                        file[0] = NO_DATA << 3;
                    }
                    kind = both(kind, self.decode_frame(&mut file, samples));
                }
            }
        }
        Ok(kind)
    }

    /// Decodes a frame as files have it.
    fn decode_frame(
        &mut self,
        file: &mut [u8; FRAME_BYTES_MAX],
        samples: &mut [i16],
    ) -> DecodedKind {
        let (frame_type, is_good) = (file[0] >> 3 & 0x0f, file[0] & 0x04 != 0);
        let is_speech = frame_type <= self.band.mode_max();
        let is_descriptor = frame_type == self.band.sid();
        if !is_good {
            file[0] = NO_DATA << 3;
        } else if is_speech || is_descriptor {
            self.is_silent = is_descriptor;
        }
        self.coder.decode(file, samples);
        if is_speech && is_good {
            DecodedKind::Speech
        } else if self.is_silent {
            DecodedKind::ComfortNoise
        } else {
            DecodedKind::NoData
        }
    }

    /// What is decoded next is of another encoder. Nothing of what was heard is to be left, or what
    /// that encoder makes of a beginning is added to it.
    pub(crate) fn begin(&mut self) {
        let mut file = [0; FRAME_BYTES_MAX];
        let homing: &[u8] = match self.band {
            Band::Narrow => &HOMING_NARROW,
            Band::Wide => &HOMING_WIDE,
        };
        file[..homing.len()].copy_from_slice(homing);
        let mut samples = [0; wide::FRAME_SAMPLES];
        self.coder
            .decode(&file, &mut samples[..self.band.frame_samples()]);
        self.is_silent = false;
    }

    /// The codec goes on by itself: speech fades, comfort noise stays a while.
    pub(crate) fn conceal(&mut self, samples: &mut [i16]) {
        let mut nothing = [0; FRAME_BYTES_MAX];
        nothing[0] = NO_DATA << 3;
        let mut frame = [0; wide::FRAME_SAMPLES];
        let frame = &mut frame[..self.band.frame_samples()];
        for samples in samples.chunks_mut(frame.len()) {
            self.coder.decode(&nothing, frame);
            samples.copy_from_slice(&frame[..samples.len()]);
        }
    }

    pub(crate) fn requested_mode(&self) -> Option<u8> {
        self.request
    }
}

/// What two frames are together: speech, if one is, and then noise.
fn both(one: DecodedKind, other: DecodedKind) -> DecodedKind {
    use DecodedKind::{ComfortNoise, NoData, Speech};
    match (one, other) {
        (Speech, _) | (_, Speech) => Speech,
        (ComfortNoise, _) | (_, ComfortNoise) => ComfortNoise,
        (NoData, NoData) => NoData,
    }
}

/// The decoder homing frames of the highest modes (TS 26.090 8, TS 26.190 8): silence, after which
/// a decoder is as new, or nearly so.
const HOMING_NARROW: [u8; narrow::FRAME_BYTES_MAX] = [
    0x3c, 0x08, 0x55, 0x6d, 0x94, 0x4c, 0x71, 0xa1, 0xa0, 0x81, 0xe7, 0xea, 0xd2, 0x04, 0x24, 0x44,
    0x80, 0x00, 0x0e, 0xcd, 0x82, 0xb8, 0x11, 0x18, 0x00, 0x00, 0x97, 0xc4, 0x79, 0x4e, 0x77, 0x40,
];
const HOMING_WIDE: [u8; wide::FRAME_BYTES_MAX] = [
    0x44, 0x50, 0x46, 0x00, 0x33, 0xba, 0xce, 0x25, 0xf1, 0x59, 0x30, 0x10, 0xa3, 0x1f, 0x84, 0xd7,
    0x77, 0xf3, 0x6a, 0x13, 0x13, 0xa0, 0x93, 0xe5, 0x0c, 0x29, 0x21, 0x72, 0xf1, 0xc3, 0x83, 0xec,
    0x66, 0x35, 0x89, 0x3e, 0x80, 0xe8, 0x89, 0x52, 0xc0, 0x25, 0xb5, 0x1c, 0x6d, 0xe6, 0x3c, 0x07,
    0xbc, 0x33, 0x55, 0xe9, 0xc0, 0x6d, 0x2c, 0xaf, 0xb3, 0xaf, 0x43, 0x31, 0xd0,
];

impl Coder {
    fn decode(&mut self, file: &[u8; FRAME_BYTES_MAX], samples: &mut [i16]) {
        match self {
            Self::Narrow(decoder) => {
                if let (Some(file), Some(samples)) = (file.first_chunk(), samples.as_mut_array()) {
                    decoder.decode(file, samples);
                }
            }
            Self::Wide(decoder) => {
                if let Some(samples) = samples.as_mut_array() {
                    decoder.decode(file, samples);
                }
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn homing_frames_are_what_encoders_make_of_theirs() {
        // TS 26.090 8, TS 26.190 8: samples of 8, from the home state.
        let mut file = [0; narrow::FRAME_BYTES_MAX];
        let mut encoder = narrow::Encoder::new(false).unwrap();
        encoder.encode(narrow::MODE_MAX, &[8; narrow::FRAME_SAMPLES], &mut file);
        assert_eq!(file, HOMING_NARROW);
        let mut file = [0; FRAME_BYTES_MAX];
        let mut encoder = wide::Encoder::new(false).unwrap();
        encoder.encode(wide::MODE_MAX, &[8; wide::FRAME_SAMPLES], &mut file);
        assert_eq!(file[..HOMING_WIDE.len()], HOMING_WIDE);
    }
}
