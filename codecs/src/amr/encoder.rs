//! Samples to payloads.

use std::time::Duration;

use amr_sys::{narrow, wide};

use crate::amr::payload::{self, FRAME_BYTES_MAX, FRAMES_MAX, Layout, NO_DATA, NO_REQUEST};
use crate::amr::rate::ModeControl;
use crate::amr::{AmrFormat, Band};
use crate::codec::PACKET_TIME_MAX;
use crate::encoder::{Encoded, EncoderConfig};
use crate::error::{EncodeError, Unavailable};
use crate::evs::{self, EvsFormat};

const FRAME: Duration = Duration::from_millis(20);
/// Frames of a packet that is sent.
const SENT_MAX: usize = (PACKET_TIME_MAX.as_millis() / FRAME.as_millis()) as usize;

const _: () = assert!(SENT_MAX <= FRAMES_MAX);
const _: () = assert!(wide::FRAME_BYTES_MAX <= FRAME_BYTES_MAX);
const _: () = assert!(narrow::FRAME_BYTES_MAX <= FRAME_BYTES_MAX);

/// Encodes AMR or AMR-WB.
#[derive(Debug)]
pub(crate) struct Encoder {
    coder: Coder,
    band: Band,
    packing: Packing,
    modes: ModeControl,
    /// The codec mode request that is sent.
    request: u8,
    /// The last frame was one of speech.
    was_speech: bool,
    frames: [[u8; FRAME_BYTES_MAX]; SENT_MAX],
}

#[derive(Debug)]
enum Coder {
    Narrow(narrow::Encoder),
    Wide(wide::Encoder),
}

/// How frames become a payload.
#[derive(Clone, Copy, Debug)]
enum Packing {
    /// RFC 4867.
    Amr(Layout),
    /// TS 26.445 Annex A.
    Evs { header_full_only: bool },
}

impl Encoder {
    /// For AMR-WB IO of EVS.
    pub(crate) fn of_evs(format: &EvsFormat, config: EncoderConfig) -> Result<Self, Unavailable> {
        if !format.starts_in_amr_wb {
            return Err(Unavailable::NoCodec("EVS"));
        }
        let mut encoder = Self::new(Band::Wide, &format.amr_wb, config)?;
        encoder.packing = Packing::Evs {
            header_full_only: format.header_full_only,
        };
        Ok(encoder)
    }

    pub(crate) fn new(
        band: Band,
        format: &AmrFormat,
        config: EncoderConfig,
    ) -> Result<Self, Unavailable> {
        let coder = match band {
            Band::Narrow => narrow::Encoder::new(config.dtx).map(Coder::Narrow),
            Band::Wide => wide::Encoder::new(config.dtx).map(Coder::Wide),
        };
        let modes = ModeControl::new(format, config.mode);
        Ok(Self {
            coder: coder.ok_or(Unavailable::Memory)?,
            band,
            packing: Packing::Amr(format.layout),
            modes: modes.ok_or(Unavailable::Config("mode"))?,
            request: NO_REQUEST,
            was_speech: false,
            frames: [[0; FRAME_BYTES_MAX]; SENT_MAX],
        })
    }

    /// Octets of the longest payload of so many samples.
    pub(crate) fn payload_bytes(&self, samples: usize) -> usize {
        let frames = samples / self.band.frame_samples();
        let bits = self.band.frame_bits(self.band.mode_max()).unwrap_or(0);
        match self.packing {
            Packing::Amr(layout) if layout.octet_align => {
                1 + frames * (1 + usize::from(layout.crc) + bits.div_ceil(8))
            }
            Packing::Amr(_) => (4 + frames * (6 + bits)).div_ceil(8),
            // With a request, and zeros that avoid sizes of the compact format.
            Packing::Evs { .. } => 1 + frames * (1 + bits.div_ceil(8)) + 2,
        }
    }

    pub(crate) fn request_mode(&mut self, mode: u8) {
        if mode <= self.band.mode_max() {
            self.modes.request(mode);
        }
    }

    pub(crate) fn ask_peer(&mut self, mode: Option<u8>) {
        // RFC 4867 8.1: modes outside the set are not asked for either.
        self.request = mode.map_or(NO_REQUEST, |mode| self.modes.within(mode));
    }

    /// Encodes frames of 20 ms, [`SENT_MAX`] at most.
    pub(crate) fn encode(
        &mut self,
        samples: &[i16],
        payload: &mut [u8],
    ) -> Result<Encoded, EncodeError> {
        if payload.len() < self.payload_bytes(samples.len()) {
            return Err(EncodeError::PayloadTooSmall);
        }
        let (mut count, mut marker) = (0, false);
        // Frames at the end without anything need not be sent.
        let mut sent = 0;
        for samples in samples.chunks_exact(self.band.frame_samples()) {
            let Some(file) = self.frames.get_mut(count) else {
                return Err(EncodeError::Samples);
            };
            let mode = self.modes.next_mode();
            self.coder.encode(mode, samples, file);
            let frame_type = file[0] >> 3 & 0x0f;
            let is_speech = frame_type <= self.band.mode_max();
            // RFC 4867 4.1: the first frame of a packet begins a talkspurt.
            marker |= count == 0 && is_speech && !self.was_speech;
            self.was_speech = is_speech;
            count += 1;
            if frame_type != NO_DATA {
                sent = count;
            }
        }
        if sent == 0 {
            return Ok(Encoded::Nothing);
        }
        let frames = self.frames[..sent].iter().map(<[u8; _]>::as_slice);
        let written = match self.packing {
            Packing::Amr(layout) => {
                payload::write(self.band, layout, self.request, frames, payload)
            }
            Packing::Evs { header_full_only } => {
                let request = match self.request {
                    NO_REQUEST => evs::Request::NONE,
                    mode => evs::Request::amr_wb(mode),
                };
                evs::write(header_full_only, request, frames, payload)
            }
        };
        written
            .map(|len| Encoded::Payload { len, marker })
            .ok_or(EncodeError::PayloadTooSmall)
    }
}

impl Coder {
    fn encode(&mut self, mode: u8, samples: &[i16], file: &mut [u8; FRAME_BYTES_MAX]) {
        match self {
            Self::Narrow(encoder) => {
                if let (Some(samples), Some(file)) = (samples.as_array(), file.first_chunk_mut()) {
                    encoder.encode(mode, samples, file);
                }
            }
            Self::Wide(encoder) => {
                if let Some(samples) = samples.as_array() {
                    encoder.encode(mode, samples, file);
                }
            }
        }
    }
}
