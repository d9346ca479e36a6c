//! Samples to payloads.

use std::time::Duration;

use amr_sys::{narrow, wide};

use crate::amr::payload::{self, FRAME_BYTES_MAX, FRAMES_MAX, Head, Layout, NO_DATA, NO_REQUEST};
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
    /// Where packets are interleaved.
    group: Option<Box<Group>>,
}

/// Two interleaving groups of two packets: of one frames are collected, the one before is sent.
///
/// Of two packets one has every other frame, so that a lost one leaves none without a neighbour;
/// with more packets speech would be later still.
#[derive(Debug)]
struct Group {
    /// Frames of a packet.
    packet_frames: usize,
    /// Which packet is next, of either group.
    index: usize,
    collected: [[u8; FRAME_BYTES_MAX]; 2 * SENT_MAX],
    /// A talkspurt begins in it.
    marker: bool,
    before: Option<[[u8; FRAME_BYTES_MAX]; 2 * SENT_MAX]>,
    marker_before: bool,
    /// Frames from the beginning of the packet sent last to that of what was given for it.
    behind: usize,
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
            group: Group::new(format, config.ptime),
        })
    }

    /// Octets of the longest payload of so many samples.
    pub(crate) fn payload_bytes(&self, samples: usize) -> usize {
        let frames = samples / self.band.frame_samples();
        let bits = self.band.frame_bits(self.band.mode_max()).unwrap_or(0);
        match self.packing {
            Packing::Amr(layout) if layout.octet_align => {
                let head = 1 + usize::from(layout.interleaving);
                head + frames * (1 + usize::from(layout.crc) + bits.div_ceil(8))
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

    pub(crate) fn modes(&self) -> (u8, u8) {
        self.modes.modes()
    }

    pub(crate) fn ask_peer(&mut self, mode: Option<u8>) {
        // RFC 4867 8.1: modes outside the set are not asked for either.
        self.request = mode.map_or(NO_REQUEST, |mode| self.modes.within(mode));
    }

    /// Takes over from another encoder what begins with this.
    pub(crate) fn begin(&mut self, next: &[i16]) {
        let mut file = [0; FRAME_BYTES_MAX];
        if let Some(samples) = next.get(..self.band.frame_samples()) {
            self.coder.encode(self.modes.mode(), samples, &mut file);
        }
        if let Some(group) = &mut self.group {
            group.restart();
        }
    }

    pub(crate) fn behind_samples(&self) -> usize {
        let frames = self.group.as_ref().map_or(0, |group| group.behind);
        frames * self.band.frame_samples()
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
        let packet_frames = self.group.as_ref().map(|group| group.packet_frames);
        if packet_frames.is_some_and(|frames| frames * self.band.frame_samples() != samples.len()) {
            return Err(EncodeError::Samples);
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
        let mut head = Head::from(self.request);
        if let Some(group) = &mut self.group {
            let Some(is_marked) = group.exchange(&mut self.frames[..count], marker, &mut head)
            else {
                return Ok(Encoded::Nothing);
            };
            marker = is_marked;
            let is_there = |file: &[u8; FRAME_BYTES_MAX]| file[0] >> 3 & 0x0f != NO_DATA;
            let last = self.frames[..count].iter().rposition(is_there);
            sent = last.map_or(0, |last| last + 1);
        }
        if sent == 0 {
            return Ok(Encoded::Nothing);
        }
        let frames = self.frames[..sent].iter().map(<[u8; _]>::as_slice);
        let written = match self.packing {
            Packing::Amr(layout) => payload::write(self.band, layout, head, frames, payload),
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

impl Group {
    /// Packets of a group.
    const PACKETS: usize = 2;

    /// `None` where there is no interleaving, or no two packets may be a group.
    fn new(format: &AmrFormat, ptime: Duration) -> Option<Box<Self>> {
        let packet_frames = (ptime.as_millis() / FRAME.as_millis()) as usize;
        let is_allowed = Self::PACKETS * packet_frames <= usize::from(format.group_frames_max);
        let has_effect = (2..=SENT_MAX).contains(&packet_frames);
        (format.layout.interleaving && is_allowed && has_effect).then(|| {
            Box::new(Self {
                packet_frames,
                index: 0,
                collected: [[0; FRAME_BYTES_MAX]; 2 * SENT_MAX],
                marker: false,
                before: None,
                marker_before: false,
                behind: 0,
            })
        })
    }

    fn restart(&mut self) {
        self.index = 0;
        self.marker = false;
        self.before = None;
    }

    /// Puts the frames of a packet away for those of a packet of the group before, and gives its
    /// marker; `None` where there was none yet.
    fn exchange(
        &mut self,
        frames: &mut [[u8; FRAME_BYTES_MAX]],
        marker: bool,
        head: &mut Head,
    ) -> Option<bool> {
        let (index, each) = (self.index, self.packet_frames);
        self.collected[index * each..][..each].copy_from_slice(frames);
        self.marker |= marker;
        let is_marked = self.before.as_ref().map(|before| {
            let interleaved = before[index..].iter().step_by(Self::PACKETS);
            for (frame, from) in frames.iter_mut().zip(interleaved) {
                *frame = *from;
            }
            std::mem::take(&mut self.marker_before)
        });
        head.interleaving_length = Self::PACKETS as u8 - 1;
        head.interleaving_index = index as u8;
        self.behind = Self::PACKETS * each + index * each - index;
        self.index += 1;
        if self.index == Self::PACKETS {
            self.index = 0;
            self.before = Some(self.collected);
            self.marker_before = std::mem::take(&mut self.marker);
        }
        is_marked
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
