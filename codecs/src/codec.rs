//! Which codecs there are, and what descriptions call them.

use std::time::Duration;

use crate::amr::{AmrFormat, Band};
use crate::decoder::Decoder;
use crate::encoder::{Encoder, EncoderConfig};
use crate::error::{FormatError, Unavailable};
use crate::evs::EvsFormat;
use crate::g711::Law;
use crate::l16;
use crate::opus::OpusFormat;

/// Longest time that one packet may hold.
pub const PACKET_TIME_MAX: Duration = Duration::from_millis(120);

/// Most samples that one packet of a codec here decodes to: 120 ms at 48 kHz.
pub const PACKET_SAMPLES_MAX: usize = 5_760;

/// A codec with the parameters of its payload format.
///
/// Two that are equal encode the same samples with the same [`EncoderConfig`] to the same payloads,
/// so what many are to hear need be encoded only once.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Codec {
    /// G.711 µ-law.
    Pcmu,
    /// G.711 A-law.
    Pcma,
    /// Linear samples (RFC 3551 4.5.11).
    L16 {
        /// In hertz: one of [`Codec::SAMPLE_RATES`].
        sample_rate: u32,
        /// 1, or 2 which are then mixed.
        channels: u8,
    },
    /// G.722 at 64 kbit/s.
    G722,
    /// AMR (RFC 4867).
    Amr(AmrFormat),
    /// AMR-WB (RFC 4867).
    AmrWb(AmrFormat),
    /// Opus (RFC 7587).
    Opus(OpusFormat),
    /// EVS, of which its AMR-WB interoperable mode is coded (TS 26.445 Annex A).
    Evs(EvsFormat),
}

impl Codec {
    /// The rates that samples come in, in hertz.
    pub const SAMPLE_RATES: [u32; 5] = [8_000, 16_000, 24_000, 32_000, 48_000];

    /// The codec of an `a=rtpmap` and its `a=fmtp` (RFC 8866 6.6, 6.15).
    ///
    /// `fmtp` is what stands behind the payload type. Parameters that are not known are ignored.
    ///
    /// # Errors
    /// The format is malformed, or not for us: it is then not to be offered or answered.
    pub fn from_sdp(
        encoding: &str,
        clock_rate: u32,
        channels: u8,
        fmtp: Option<&str>,
    ) -> Result<Self, FormatError> {
        let is = |name: &str| encoding.eq_ignore_ascii_case(name);
        let with = |rate: u32, most: u8, codec: Self| match (clock_rate, channels) {
            (clock_rate, _) if clock_rate != rate => Err(FormatError::ClockRate),
            (_, channels) if channels == 0 || channels > most => Err(FormatError::Channels),
            _ => Ok(codec),
        };
        if is("PCMU") {
            with(8_000, 1, Self::Pcmu)
        } else if is("PCMA") {
            with(8_000, 1, Self::Pcma)
        } else if is("L16") {
            if !Self::SAMPLE_RATES.contains(&clock_rate) {
                return Err(FormatError::ClockRate);
            }
            let codec = Self::L16 {
                sample_rate: clock_rate,
                channels,
            };
            with(clock_rate, l16::CHANNELS_MAX, codec)
        } else if is("G722") {
            with(8_000, 1, Self::G722)
        } else if is("AMR") {
            with(8_000, 1, Self::Amr(AmrFormat::parse(Band::Narrow, fmtp)?))
        } else if is("AMR-WB") {
            with(16_000, 1, Self::AmrWb(AmrFormat::parse(Band::Wide, fmtp)?))
        } else if is("opus") {
            with(48_000, 2, Self::Opus(OpusFormat::parse(fmtp)?))
        } else if is("EVS") {
            with(16_000, 1, Self::Evs(EvsFormat::parse(fmtp)?))
        } else {
            Err(FormatError::Encoding)
        }
    }

    /// The codec of a static payload type (RFC 3551 table 4).
    ///
    /// Comfort noise, 13, is none: it goes with another codec.
    pub fn static_payload_type(payload_type: u8) -> Option<Self> {
        match payload_type {
            0 => Some(Self::Pcmu),
            8 => Some(Self::Pcma),
            9 => Some(Self::G722),
            _ => None,
        }
    }

    /// The encoding name, as in `a=rtpmap`.
    pub fn encoding(&self) -> &'static str {
        match self {
            Self::Pcmu => "PCMU",
            Self::Pcma => "PCMA",
            Self::L16 { .. } => "L16",
            Self::G722 => "G722",
            Self::Amr(_) => "AMR",
            Self::AmrWb(_) => "AMR-WB",
            Self::Opus(_) => "opus",
            Self::Evs(_) => "EVS",
        }
    }

    /// The channels of `a=rtpmap`, where 1 is not written: always 2 for Opus (RFC 7587 7).
    pub fn channels(&self) -> u8 {
        match self {
            Self::L16 { channels, .. } => *channels,
            Self::Opus(_) => 2,
            _ => 1,
        }
    }

    /// Rate of the samples, in hertz: 16 000 for G.722.
    pub fn sample_rate(&self) -> u32 {
        match self {
            Self::Pcmu | Self::Pcma | Self::Amr(_) => 8_000,
            Self::L16 { sample_rate, .. } => *sample_rate,
            Self::G722 | Self::AmrWb(_) | Self::Evs(_) => 16_000,
            Self::Opus(format) => format.sample_rate,
        }
    }

    /// Rate of the timestamps, in hertz: 8 000 for G.722 (RFC 3551 4.5.2), always 48 000 for Opus.
    pub fn rtp_clock_rate(&self) -> u32 {
        match self {
            Self::G722 => 8_000,
            Self::Opus(_) => 48_000,
            _ => self.sample_rate(),
        }
    }

    /// The shortest that it codes, in samples: 1 of G.711, 2 of G.722, 20 ms of AMR, 2.5 ms of
    /// Opus.
    pub fn frame_samples(&self) -> usize {
        match self {
            Self::Pcmu | Self::Pcma | Self::L16 { .. } => 1,
            Self::G722 => 2,
            Self::Amr(_) => 160,
            Self::AmrWb(_) | Self::Evs(_) => 320,
            Self::Opus(format) => format.sample_rate as usize / 400,
        }
    }

    /// Samples in a time; `None` if it is no whole number of frames, none, or too long.
    pub fn samples_of(&self, time: Duration) -> Option<usize> {
        if time > PACKET_TIME_MAX {
            return None;
        }
        let scaled = time.as_nanos() * u128::from(self.sample_rate());
        let samples = (scaled / 1_000_000_000) as usize;
        let whole = scaled.is_multiple_of(1_000_000_000);
        (whole && samples > 0 && samples.is_multiple_of(self.frame_samples())).then_some(samples)
    }

    /// Makes an encoder. It allocates here and never again.
    ///
    /// # Errors
    /// The codec is not in this build, or the configuration not for it.
    pub fn encoder(&self, config: EncoderConfig) -> Result<Encoder, Unavailable> {
        Encoder::new(self, config)
    }

    /// Makes a decoder. It allocates here and never again.
    ///
    /// # Errors
    /// The codec is not in this build.
    pub fn decoder(&self) -> Result<Decoder, Unavailable> {
        Decoder::new(self)
    }

    /// The law, of a codec that is G.711.
    pub(crate) fn law(&self) -> Option<Law> {
        match self {
            Self::Pcmu => Some(Law::Mu),
            Self::Pcma => Some(Law::A),
            _ => None,
        }
    }
}
