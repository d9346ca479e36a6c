//! Samples to payloads.

use std::time::Duration;

use crate::amr::{self, Band};
use crate::codec::Codec;
use crate::error::{EncodeError, Unavailable};
use crate::g711::Law;
use crate::{g722, l16, opus};

/// How to encode: what descriptions leave to the sender.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct EncoderConfig {
    /// Time that a packet holds: what one call of [`Encoder::encode`] takes at most.
    pub ptime: Duration,
    /// Speech mode of AMR and AMR-WB to begin with; `None` is the highest of the set.
    pub mode: Option<u8>,
    /// Bit rate of Opus, in bit/s; `None` is its own choice.
    pub bit_rate: Option<u32>,
    /// Effort of Opus, 0 to 10.
    pub complexity: u8,
    /// Send nothing, or little, in silence: AMR, AMR-WB and Opus do it on their own.
    pub dtx: bool,
    /// Packets that are expected to get lost, in percent: how much Opus puts into its in-band FEC.
    pub loss_percent: u8,
}

impl Default for EncoderConfig {
    fn default() -> Self {
        Self {
            ptime: Duration::from_millis(20),
            mode: None,
            bit_rate: None,
            complexity: 5,
            dtx: false,
            loss_percent: 0,
        }
    }
}

/// What became of samples.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Encoded {
    /// A payload to be sent.
    Payload {
        /// Its octets.
        len: usize,
        /// The packet begins a talkspurt after silence that was not sent: the marker of RTP.
        marker: bool,
    },
    /// Nothing is to be sent (DTX); the time passes all the same.
    Nothing,
}

/// One stream's encoder, made by [`Codec::encoder`].
///
/// Owned by one worker; allocates, locks and waits for nothing.
#[derive(Debug)]
pub struct Encoder {
    kind: Kind,
    frame_samples: usize,
    packet_samples: usize,
    /// Octets of a packet of `packet_samples` at most.
    payload_bytes_max: usize,
}

#[derive(Debug)]
enum Kind {
    G711(Law),
    L16 { channels: u8 },
    G722(Box<g722::Encoder>),
    Amr(Box<amr::Encoder>),
    Opus(opus::Encoder),
}

impl Encoder {
    pub(crate) fn new(codec: &Codec, config: EncoderConfig) -> Result<Self, Unavailable> {
        let packet_samples = codec
            .samples_of(config.ptime)
            .ok_or(Unavailable::Config("ptime"))?;
        let (kind, payload_bytes_max) = match codec {
            Codec::Pcmu | Codec::Pcma => {
                let law = codec.law().unwrap_or(Law::A);
                (Kind::G711(law), packet_samples)
            }
            &Codec::L16 { channels, .. } => {
                let bytes = packet_samples * usize::from(channels) * 2;
                (Kind::L16 { channels }, bytes)
            }
            Codec::G722 => {
                let encoder = Box::new(g722::Encoder::new());
                (Kind::G722(encoder), packet_samples / 2)
            }
            Codec::Amr(format) => {
                let encoder = amr::Encoder::new(Band::Narrow, format, config)?;
                Self::amr(encoder, packet_samples)
            }
            Codec::AmrWb(format) => {
                let encoder = amr::Encoder::new(Band::Wide, format, config)?;
                Self::amr(encoder, packet_samples)
            }
            Codec::Evs(format) => Self::amr(amr::Encoder::of_evs(format, config)?, packet_samples),
            Codec::Opus(format) => {
                let encoder = opus::Encoder::new(format, config)?;
                (Kind::Opus(encoder), opus::payload_bytes_max(config.ptime))
            }
        };
        Ok(Self {
            kind,
            frame_samples: codec.frame_samples(),
            packet_samples,
            payload_bytes_max,
        })
    }

    fn amr(encoder: amr::Encoder, packet_samples: usize) -> (Kind, usize) {
        let bytes = encoder.payload_bytes(packet_samples);
        (Kind::Amr(Box::new(encoder)), bytes)
    }

    /// Encodes one packet: at most [`packet_samples`](Self::packet_samples), and a multiple of the
    /// codec's frame.
    ///
    /// `payload` needs [`payload_bytes_max`](Self::payload_bytes_max) octets for a whole packet.
    ///
    /// # Errors
    /// The caller's slices are of the wrong length; nothing has then happened.
    pub fn encode(&mut self, samples: &[i16], payload: &mut [u8]) -> Result<Encoded, EncodeError> {
        let whole = samples.len().is_multiple_of(self.frame_samples);
        if !whole || samples.is_empty() || samples.len() > self.packet_samples {
            return Err(EncodeError::Samples);
        }
        let len = match &mut self.kind {
            Kind::G711(law) => {
                let room = payload.get_mut(..samples.len());
                law.encode(samples, room.ok_or(EncodeError::PayloadTooSmall)?);
                samples.len()
            }
            Kind::L16 { channels } => {
                let len = samples.len() * usize::from(*channels) * 2;
                let room = payload.get_mut(..len);
                l16::encode(
                    samples,
                    *channels,
                    room.ok_or(EncodeError::PayloadTooSmall)?,
                );
                len
            }
            Kind::G722(encoder) => {
                let room = payload.get_mut(..samples.len() / 2);
                encoder.encode(samples, room.ok_or(EncodeError::PayloadTooSmall)?);
                samples.len() / 2
            }
            Kind::Amr(encoder) => return encoder.encode(samples, payload),
            Kind::Opus(encoder) => return encoder.encode(samples, payload),
        };
        Ok(Encoded::Payload { len, marker: false })
    }

    /// Goes on with a stream whose decoder has heard another encoder until now; `next` is what is
    /// encoded next, at least a frame of it.
    ///
    /// What AMR and G.722 make of a signal that seems to begin is added by such a decoder to what
    /// it still has of that signal: it overflows, and of steady tones AMR stays too soft from then
    /// on (TS 26.090 6.2). An encoder that has heard some of it before does not begin. Codecs
    /// without such a memory ignore it.
    pub fn begin(&mut self, next: &[i16]) {
        match &mut self.kind {
            Kind::Amr(encoder) => encoder.begin(next),
            Kind::G722(encoder) => encoder.begin(next),
            Kind::G711(_) | Kind::L16 { .. } | Kind::Opus(_) => {}
        }
    }

    /// By how many samples the payload encoded last begins before those that were given for it: 0
    /// but for interleaved ones.
    pub fn behind_samples(&self) -> usize {
        match &self.kind {
            Kind::Amr(encoder) => encoder.behind_samples(),
            _ => 0,
        }
    }

    /// The peer asks for a speech mode: the CMR of RFC 4867 4.3.1, from
    /// [`Decoder::requested_mode`](crate::Decoder::requested_mode).
    ///
    /// It is followed as far, and as fast, as `mode-set`, `mode-change-period` and
    /// `mode-change-neighbor` allow; where a mode is not in the set, the next lower one that is.
    /// Codecs without modes ignore it.
    pub fn request_mode(&mut self, mode: u8) {
        if let Kind::Amr(encoder) = &mut self.kind {
            encoder.request_mode(mode);
        }
    }

    /// The speech mode of the frame encoded last, or of the first to come, and the one that is
    /// approached. `None` for codecs without modes.
    pub fn modes(&self) -> Option<(u8, u8)> {
        match &self.kind {
            Kind::Amr(encoder) => Some(encoder.modes()),
            _ => None,
        }
    }

    /// Asks the peer for a speech mode: the CMR of what is sent from here on. `None` asks for
    /// nothing; in the place of a mode outside the set the next lower one is asked for. Codecs
    /// without modes ignore it.
    pub fn ask_peer(&mut self, mode: Option<u8>) {
        if let Kind::Amr(encoder) = &mut self.kind {
            encoder.ask_peer(mode);
        }
    }

    /// Samples of a whole packet: those of the configured time.
    pub fn packet_samples(&self) -> usize {
        self.packet_samples
    }

    /// Octets that the payload of a whole packet has at most.
    pub fn payload_bytes_max(&self) -> usize {
        self.payload_bytes_max
    }
}
