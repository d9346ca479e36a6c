//! Payloads to samples.

use amr_sys::{narrow, wide};

use crate::amr::payload::{FRAME_BYTES_MAX, NO_DATA, Payload};
use crate::amr::{AmrFormat, Band};
use crate::decoder::DecodedKind;
use crate::error::{DecodeError, Unavailable};

/// Decodes AMR or AMR-WB.
#[derive(Debug)]
pub(crate) struct Decoder {
    coder: Coder,
    band: Band,
    octet_align: bool,
    request: Option<u8>,
    /// A silence descriptor came after the last speech.
    is_silent: bool,
}

#[derive(Debug)]
enum Coder {
    Narrow(narrow::Decoder),
    Wide(wide::Decoder),
}

impl Decoder {
    pub(crate) fn new(band: Band, format: &AmrFormat) -> Result<Self, Unavailable> {
        let coder = match band {
            Band::Narrow => narrow::Decoder::new().map(Coder::Narrow),
            Band::Wide => wide::Decoder::new().map(Coder::Wide),
        };
        Ok(Self {
            coder: coder.ok_or(Unavailable::Memory)?,
            band,
            octet_align: format.octet_align,
            request: None,
            is_silent: false,
        })
    }

    pub(crate) fn samples_in(&self, octets: &[u8]) -> Result<usize, DecodeError> {
        let payload = Payload::parse(self.band, self.octet_align, octets)?;
        Ok(payload.frames() * self.band.frame_samples())
    }

    /// Decodes into as many samples as [`samples_in`](Self::samples_in) says.
    pub(crate) fn decode(
        &mut self,
        octets: &[u8],
        samples: &mut [i16],
    ) -> Result<DecodedKind, DecodeError> {
        let payload = Payload::parse(self.band, self.octet_align, octets)?;
        let request = payload.request();
        self.request = (request <= self.band.mode_max()).then_some(request);
        let mut kind = DecodedKind::NoData;
        let frames = samples.chunks_exact_mut(self.band.frame_samples());
        for (frame, samples) in payload.iter().zip(frames) {
            let mut file = [0; FRAME_BYTES_MAX];
            frame.write_to(&mut file);
            let is_speech = frame.frame_type <= self.band.mode_max();
            let is_descriptor = frame.frame_type == self.band.sid();
            if !frame.is_good {
                file[0] = NO_DATA << 3;
            } else if is_speech || is_descriptor {
                self.is_silent = is_descriptor;
            }
            self.coder.decode(&file, samples);
            kind = match kind {
                DecodedKind::Speech => kind,
                _ if is_speech && frame.is_good => DecodedKind::Speech,
                _ if self.is_silent => DecodedKind::ComfortNoise,
                _ => kind,
            };
        }
        Ok(kind)
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
