//! Opus (RFC 6716) in RTP (RFC 7587).

use std::time::Duration;

use crate::FormatError;
use crate::fmtp::Parameters;

#[cfg(feature = "opus")]
mod coder;
#[cfg(not(feature = "opus"))]
mod off;

#[cfg(feature = "opus")]
pub(crate) use coder::{Decoder, Encoder};
#[cfg(not(feature = "opus"))]
pub(crate) use off::{Decoder, Encoder};

/// What a receiver of Opus has said that it wants (RFC 7587 6.1), and the rate of our samples.
///
/// The bit stream is the same for all of them: a decoder takes any payload.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct OpusFormat {
    /// Rate of the samples of encoder and decoder, in hertz: 8 000, 16 000, 24 000 or 48 000.
    /// Reading a description sets it to the lowest that `maxplaybackrate` can hear; a caller whose
    /// mixer is slower may lower it.
    pub sample_rate: u32,
    /// `maxaveragebitrate`, in bit/s.
    pub bit_rate_max: Option<u32>,
    /// `cbr`: constant bit rate is wanted.
    pub constant_bit_rate: bool,
    /// `useinbandfec`: copies of earlier frames help.
    pub in_band_fec: bool,
    /// `usedtx`: the peer would like nothing to be sent in silence.
    pub dtx: bool,
}

impl Default for OpusFormat {
    fn default() -> Self {
        Self {
            sample_rate: 48_000,
            bit_rate_max: None,
            constant_bit_rate: false,
            in_band_fec: false,
            dtx: false,
        }
    }
}

impl OpusFormat {
    pub(crate) fn parse(fmtp: Option<&str>) -> Result<Self, FormatError> {
        let parameters = Parameters::new(fmtp);
        let heard = parameters.number("maxplaybackrate", 8_000..=48_000)?;
        let rates = [8_000, 16_000, 24_000];
        let enough = |rate: &u32| heard.is_some_and(|heard| heard <= *rate);
        Ok(Self {
            sample_rate: rates.into_iter().find(enough).unwrap_or(48_000),
            bit_rate_max: parameters.number("maxaveragebitrate", 6_000..=510_000)?,
            constant_bit_rate: parameters.flag("cbr")?,
            in_band_fec: parameters.flag("useinbandfec")?,
            dtx: parameters.flag("usedtx")?,
        })
    }
}

/// Octets of the longest payload: a frame holds 20 ms at most at the rates that speech has, and
/// 1 275 octets (RFC 6716 3.4).
pub(crate) fn payload_bytes_max(ptime: Duration) -> usize {
    const FRAME_BYTES_MAX: usize = 1_276;
    let frames = ptime.as_millis().div_ceil(20).max(1) as usize;
    frames * FRAME_BYTES_MAX
}
