//! Payloads to samples.

use amr_sys::{narrow, wide};

use crate::amr::payload::{FRAME_BYTES_MAX, Layout, NO_DATA, Payload};
use crate::amr::{AmrFormat, Band};
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
                let request = payload.request();
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
