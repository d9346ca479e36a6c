//! Payloads to samples.

use crate::amr::{self, Band};
use crate::codec::Codec;
use crate::error::{DecodeError, Unavailable};
use crate::g711::Law;
use crate::plc::Concealer;
use crate::{PACKET_SAMPLES_MAX, g722, l16, opus};

/// What was decoded.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Decoded {
    /// How many samples have been written.
    pub samples: usize,
    /// What they are.
    pub kind: DecodedKind,
}

/// What the samples of a payload are.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum DecodedKind {
    /// Sound.
    Speech,
    /// Noise in place of silence that was not sent (DTX).
    ComfortNoise,
    /// The payload says that there is nothing: the samples are the codec's guess.
    NoData,
}

/// One stream's decoder, made by [`Codec::decoder`].
///
/// Owned by one worker; allocates, locks and waits for nothing. What comes from the network may be
/// anything.
#[derive(Debug)]
pub struct Decoder {
    kind: Kind,
}

#[derive(Debug)]
enum Kind {
    G711(Law, Concealer),
    L16 { channels: u8, concealer: Concealer },
    G722(Box<g722::Decoder>, Concealer),
    Amr(amr::Decoder),
    Opus(opus::Decoder),
}

impl Decoder {
    pub(crate) fn new(codec: &Codec) -> Result<Self, Unavailable> {
        let concealer = || Concealer::new(codec.sample_rate());
        let kind = match codec {
            Codec::Pcmu | Codec::Pcma => {
                let law = codec.law().unwrap_or(Law::A);
                Kind::G711(law, concealer())
            }
            &Codec::L16 { channels, .. } => Kind::L16 {
                channels,
                concealer: concealer(),
            },
            Codec::G722 => Kind::G722(Box::new(g722::Decoder::new()), concealer()),
            Codec::Amr(format) => Kind::Amr(amr::Decoder::new(Band::Narrow, format)?),
            Codec::AmrWb(format) => Kind::Amr(amr::Decoder::new(Band::Wide, format)?),
            Codec::Evs(format) => Kind::Amr(amr::Decoder::of_evs(format)?),
            Codec::Opus(format) => Kind::Opus(opus::Decoder::new(format)?),
        };
        Ok(Self { kind })
    }

    /// Decodes a payload. What follows a loss is blended with what concealed it.
    ///
    /// `samples` with room for [`PACKET_SAMPLES_MAX`](crate::PACKET_SAMPLES_MAX) is always enough.
    ///
    /// # Errors
    /// Nothing was decoded, and the decoder is as before; [`conceal`](Self::conceal) in its place.
    pub fn decode(&mut self, payload: &[u8], samples: &mut [i16]) -> Result<Decoded, DecodeError> {
        let count = self.samples_in(payload)?;
        let samples = samples
            .get_mut(..count)
            .ok_or(DecodeError::SamplesTooSmall)?;
        let kind = match &mut self.kind {
            Kind::G711(law, concealer) => {
                law.decode(payload, samples);
                concealer.heard(samples);
                DecodedKind::Speech
            }
            Kind::L16 {
                channels,
                concealer,
            } => {
                l16::decode(payload, *channels, samples);
                concealer.heard(samples);
                DecodedKind::Speech
            }
            Kind::G722(decoder, concealer) => {
                decoder.decode(payload, samples);
                concealer.heard(samples);
                DecodedKind::Speech
            }
            Kind::Amr(decoder) => decoder.decode(payload, samples)?,
            Kind::Opus(decoder) => decoder.decode(payload, samples)?,
        };
        Ok(Decoded {
            samples: count,
            kind,
        })
    }

    /// Fills `samples`, of which there are those of a lost packet, with what may have been in it.
    ///
    /// Fades to silence, or to the comfort noise that was on.
    pub fn conceal(&mut self, samples: &mut [i16]) {
        match &mut self.kind {
            Kind::G711(_, concealer) | Kind::G722(_, concealer) | Kind::L16 { concealer, .. } => {
                concealer.conceal(samples);
            }
            Kind::Amr(decoder) => decoder.conceal(samples),
            Kind::Opus(decoder) => decoder.conceal(samples),
        }
    }

    /// As [`conceal`](Self::conceal), when the packet after the lost one is there already: what it
    /// has of the lost one is used (the in-band FEC of Opus). To be called before that packet is
    /// decoded.
    pub fn recover(&mut self, next: &[u8], samples: &mut [i16]) {
        match &mut self.kind {
            Kind::Opus(decoder) if !next.is_empty() => decoder.recover(next, samples),
            _ => self.conceal(samples),
        }
    }

    /// What is decoded next is of another encoder than what was decoded before, which has nothing
    /// to do with it. Codecs of whose past nothing is left soon ignore it.
    pub fn begin(&mut self) {
        match &mut self.kind {
            Kind::Amr(decoder) => decoder.begin(),
            Kind::G722(decoder, _) => **decoder = g722::Decoder::new(),
            Kind::Opus(decoder) => decoder.begin(),
            Kind::G711(..) | Kind::L16 { .. } => {}
        }
    }

    /// The frames of a payload, where these may be of other times than those of the packets round
    /// it: of AMR and AMR-WB. A jitter buffer keeps them each for itself, and interleaved ones are
    /// not decoded in another way. `None` of what is kept as it came.
    pub fn parts<'a>(&self, payload: &'a [u8]) -> Option<amr::Parts<'a>> {
        match &self.kind {
            Kind::Amr(decoder) => decoder.parts(payload),
            _ => None,
        }
    }

    /// The samples that a payload would decode to, without decoding it.
    ///
    /// # Errors
    /// The payload is not one, or longer than any is.
    pub fn samples_in(&self, payload: &[u8]) -> Result<usize, DecodeError> {
        // So many octets make so many samples.
        let (octets, samples) = match &self.kind {
            Kind::G711(..) => (1, 1),
            Kind::L16 { channels, .. } => (usize::from(*channels) * 2, 1),
            Kind::G722(..) => (1, 2),
            Kind::Amr(decoder) => return decoder.samples_in(payload),
            Kind::Opus(decoder) => return decoder.samples_in(payload),
        };
        let whole = payload.len().is_multiple_of(octets);
        let samples = payload.len() / octets * samples;
        if whole && (1..=PACKET_SAMPLES_MAX).contains(&samples) {
            Ok(samples)
        } else {
            Err(DecodeError::Malformed)
        }
    }

    /// The speech mode that the peer asks us to send: the CMR of the payload decoded last (RFC 4867
    /// 4.3.1). `None` where it asks for nothing, and for codecs without modes.
    pub fn requested_mode(&self) -> Option<u8> {
        match &self.kind {
            Kind::Amr(decoder) => decoder.requested_mode(),
            _ => None,
        }
    }
}
