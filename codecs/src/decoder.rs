//! Payloads to samples.

use crate::codec::Codec;
use crate::error::{DecodeError, Unavailable};
use crate::g711::Law;
use crate::l16;
use crate::plc::Concealer;

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
    G711 { law: Law, concealer: Concealer },
    L16 { channels: u8, concealer: Concealer },
}

impl Decoder {
    pub(crate) fn new(codec: &Codec) -> Result<Self, Unavailable> {
        let concealer = || Concealer::new(codec.sample_rate());
        let kind = match codec {
            Codec::Pcmu | Codec::Pcma => Kind::G711 {
                law: codec.law().unwrap_or(Law::A),
                concealer: concealer(),
            },
            &Codec::L16 { channels, .. } => Kind::L16 {
                channels,
                concealer: concealer(),
            },
            Codec::G722 => return Err(Unavailable::NoCodec("G722")),
            Codec::Amr(_) => return Err(Unavailable::NoCodec("AMR")),
            Codec::AmrWb(_) => return Err(Unavailable::NoCodec("AMR-WB")),
            Codec::Opus(_) => return Err(Unavailable::NoCodec("opus")),
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
        match &mut self.kind {
            Kind::G711 { law, concealer } => {
                law.decode(payload, samples);
                concealer.heard(samples);
            }
            Kind::L16 {
                channels,
                concealer,
            } => {
                l16::decode(payload, *channels, samples);
                concealer.heard(samples);
            }
        }
        Ok(Decoded {
            samples: count,
            kind: DecodedKind::Speech,
        })
    }

    /// Fills `samples`, of which there are those of a lost packet, with what may have been in it.
    ///
    /// Fades to silence, or to the comfort noise that was on.
    pub fn conceal(&mut self, samples: &mut [i16]) {
        match &mut self.kind {
            Kind::G711 { concealer, .. } | Kind::L16 { concealer, .. } => {
                concealer.conceal(samples);
            }
        }
    }

    /// The samples that a payload would decode to, without decoding it.
    ///
    /// # Errors
    /// The payload is not one, or longer than any is.
    pub fn samples_in(&self, payload: &[u8]) -> Result<usize, DecodeError> {
        let octets = match self.kind {
            Kind::G711 { .. } => 1,
            Kind::L16 { channels, .. } => usize::from(channels) * 2,
        };
        let samples = payload.len() / octets;
        let fits = payload.len().is_multiple_of(octets) && samples <= crate::PACKET_SAMPLES_MAX;
        if fits && samples > 0 {
            Ok(samples)
        } else {
            Err(DecodeError::Malformed)
        }
    }

    /// The speech mode that the peer asks us to send: the CMR of the payload decoded last (RFC 4867
    /// 4.3.1). `None` where it asks for nothing, and for codecs without modes.
    pub fn requested_mode(&self) -> Option<u8> {
        None
    }
}
