//! Speech codecs with their RTP payload formats, and signals.
//!
//! A [`Codec`] is what a media description says; it makes an [`Encoder`] and a [`Decoder`], which
//! turn samples into the payloads of packets and back. Samples are 16 bits, one channel, at
//! [`Codec::sample_rate`]. Making an encoder or a decoder allocates, using it does not: it belongs
//! on a worker.
//!
//! ```
//! use codecs::{Codec, Encoded, EncoderConfig};
//!
//! let codec = Codec::from_sdp("PCMA", 8_000, 1, None)?;
//! let mut encoder = codec.encoder(EncoderConfig::default())?;
//! let mut decoder = codec.decoder()?;
//!
//! let (mut payload, mut heard) = ([0; 160], [0; codecs::PACKET_SAMPLES_MAX]);
//! let encoded = encoder.encode(&[8; 160], &mut payload)?;
//! assert_eq!(encoded, Encoded::Payload { len: 160, marker: false });
//! let decoded = decoder.decode(&payload, &mut heard)?;
//! assert_eq!(heard[..decoded.samples], [8; 160]);
//! // A packet that was lost:
//! decoder.conceal(&mut heard[..160]);
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```
//!
//! [`g711`] is the codec every telephone has, sample by sample; [`plc`] conceals losses;
//! [`comfort_noise`] fills silence that is not sent; [`Resampler`] goes between sample rates;
//! [`speech`] makes a signal that behaves like somebody talking, for calls without a microphone;
//! [`likeness`] tells whether what arrived is what was sent.

pub mod amr;
mod codec;
pub mod comfort_noise;
mod decoder;
mod encoder;
mod error;
pub mod evs;
mod fmtp;
pub mod g711;
mod g722;
mod l16;
mod likeness;
mod opus;
pub mod plc;
mod resample;
pub mod speech;

pub use amr::AmrFormat;
pub use codec::{Codec, PACKET_SAMPLES_MAX, PACKET_TIME_MAX};
pub use decoder::{Decoded, DecodedKind, Decoder};
pub use encoder::{Encoded, Encoder, EncoderConfig};
pub use error::{DecodeError, EncodeError, FormatError, Unavailable};
pub use evs::EvsFormat;
pub use likeness::{Likeness, likeness};
pub use opus::OpusFormat;
pub use resample::Resampler;
