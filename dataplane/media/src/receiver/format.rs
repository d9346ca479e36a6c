//! Payload formats of a stream, and what makes samples of them.

use codecs::amr::Parts;
use codecs::comfort_noise::{Generator, Parameters};
use codecs::{Codec, Decoded, DecodedKind, Decoder};

use super::Workspace;
use crate::error::ConfigError;
use crate::rate::Converter;

/// Payload formats that one stream may have.
pub const FORMATS_MAX: usize = 16;

/// A payload type and what it stands for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PayloadFormat {
    /// 0 to 127.
    pub payload_type: u8,
    /// What its payloads are.
    pub kind: FormatKind,
}

/// What payloads are.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum FormatKind {
    /// Speech.
    Audio(Codec),
    /// Noise in the silence between, RFC 3389.
    ComfortNoise {
        /// Ticks and samples of a second: those of the speech it goes with.
        clock_hz: u32,
    },
    /// Telephone events, RFC 4733.
    Event {
        /// Ticks of a second.
        clock_hz: u32,
    },
}

/// One payload format.
#[derive(Debug)]
pub(super) enum Format {
    Audio(Box<AudioFormat>),
    Event { clock_hz: u32 },
}

/// A format whose payloads are heard.
#[derive(Debug)]
pub(super) struct AudioFormat {
    pub(super) voice: Voice,
    converter: Converter,
    sample_rate: u32,
    pub(super) clock_hz: u32,
    /// Frames of packets wait each for itself.
    pub(super) has_parts: bool,
    /// What is concealed at once.
    conceal_samples: usize,
    frame_samples: usize,
}

/// What makes samples of payloads.
#[derive(Debug)]
pub(super) enum Voice {
    Codec(Decoder),
    Noise(Generator),
}

impl Voice {
    fn decode(&mut self, payload: &[u8], out: &mut [i16], len: usize) -> Option<Decoded> {
        match self {
            Self::Codec(decoder) => decoder.decode(payload, out).ok(),
            Self::Noise(generator) => {
                generator.set(Parameters::parse(payload).ok()?);
                generator.fill(&mut out[..len]);
                Some(Decoded {
                    samples: len,
                    kind: DecodedKind::ComfortNoise,
                })
            }
        }
    }

    /// Fills in for a packet; the one after it may be there already.
    fn conceal(&mut self, next: Option<&[u8]>, out: &mut [i16]) {
        match (self, next) {
            (Self::Codec(decoder), Some(next)) => decoder.recover(next, out),
            (Self::Codec(decoder), None) => decoder.conceal(out),
            (Self::Noise(generator), _) => generator.fill(out),
        }
    }
}

/// What is concealed at once where the codec does not say.
const CONCEAL_SLICE_MS: u32 = 10;

impl Format {
    pub(super) fn new(kind: &FormatKind, sample_rate: u32) -> Result<Self, ConfigError> {
        let has_parts = matches!(kind, FormatKind::Audio(Codec::Amr(_) | Codec::AmrWb(_)));
        let (voice, rate, clock_hz, frame_samples) = match kind {
            FormatKind::Event { clock_hz } => {
                let clock_hz = (*clock_hz).max(1);
                return Ok(Self::Event { clock_hz });
            }
            FormatKind::ComfortNoise { clock_hz } => {
                let voice = Voice::Noise(Generator::new(NOISE_SEED));
                (voice, *clock_hz, *clock_hz, 1)
            }
            FormatKind::Audio(codec) => {
                let voice = Voice::Codec(codec.decoder()?);
                let (rate, clock_hz) = (codec.sample_rate(), codec.rtp_clock_rate());
                (voice, rate, clock_hz, codec.frame_samples())
            }
        };
        let slice = (rate * CONCEAL_SLICE_MS / 1000) as usize;
        Ok(Self::Audio(Box::new(AudioFormat {
            voice,
            converter: Converter::new(rate, sample_rate)?,
            sample_rate: rate,
            clock_hz,
            has_parts,
            conceal_samples: slice.next_multiple_of(frame_samples),
            frame_samples,
        })))
    }
}

impl AudioFormat {
    /// Puts what is in a payload into `workspace.converted`: what it is, how many ticks of the
    /// clock that are, and samples.
    pub(super) fn decode(
        &mut self,
        payload: &[u8],
        workspace: &mut Workspace,
    ) -> Option<(DecodedKind, i64, usize)> {
        let out = &mut workspace.decoded;
        let decoded = self.voice.decode(payload, out, self.conceal_samples)?;
        let samples = &out[..decoded.samples];
        if self.frame_samples > 1 {
            // Such codecs conceal whole packets.
            self.conceal_samples = samples.len().max(self.frame_samples);
        }
        let count = self.converter.process(samples, &mut workspace.converted);
        Some((decoded.kind, self.ticks_of(decoded.samples), count))
    }

    /// Puts what may have been in a packet that is not there into `workspace.converted`: ticks of
    /// the clock, those of a gap at most if it is known, and samples. `next` is what follows the
    /// gap.
    pub(super) fn conceal(
        &mut self,
        gap_ticks: Option<i64>,
        next: Option<&[u8]>,
        workspace: &mut Workspace,
    ) -> (i64, usize) {
        let mut samples = self.conceal_samples;
        let mut is_last = false;
        if let Some(ticks) = gap_ticks {
            let gap = ticks.max(1) * i64::from(self.sample_rate) / i64::from(self.clock_hz);
            let gap = (gap.max(1) as usize).next_multiple_of(self.frame_samples);
            is_last = gap <= samples;
            samples = samples.min(gap);
        }
        let concealed = &mut workspace.decoded[..samples];
        self.voice.conceal(next.filter(|_| is_last), concealed);
        let count = self.converter.process(concealed, &mut workspace.converted);
        (self.ticks_of(samples), count)
    }

    /// What is decoded next is of another encoder.
    pub(super) fn begin(&mut self) {
        if let Voice::Codec(decoder) = &mut self.voice {
            decoder.begin();
        }
    }

    /// The frames of a payload that are to wait each for itself.
    pub(super) fn parts<'a>(&self, payload: &'a [u8]) -> Option<Parts<'a>> {
        match &self.voice {
            Voice::Codec(decoder) => decoder.parts(payload),
            Voice::Noise(_) => None,
        }
    }

    pub(super) fn ticks_of(&self, samples: usize) -> i64 {
        (samples as u64 * u64::from(self.clock_hz) / u64::from(self.sample_rate)) as i64
    }
}

/// All noise is the same noise.
const NOISE_SEED: u32 = 1;
