//! Opus by libopus.

use opus_sys::{Error, Setting};

use crate::decoder::DecodedKind;
use crate::encoder::{Encoded, EncoderConfig};
use crate::error::{DecodeError, EncodeError, Unavailable};
use crate::opus::OpusFormat;

/// Bit rate where neither peer nor caller has said one: wideband speech (RFC 7587 3.1.1).
const OWN_BIT_RATE: u32 = 24_000;

/// What a packet may hold, in microseconds.
const TIMES_US: [u128; 9] = [
    2_500, 5_000, 10_000, 20_000, 40_000, 60_000, 80_000, 100_000, 120_000,
];

/// Payloads of up to this length say that there is silence, and need not be sent.
const SILENT_BYTES_MAX: usize = 2;

/// Encodes Opus in one channel.
#[derive(Debug)]
pub(crate) struct Encoder {
    coder: opus_sys::Encoder,
    was_silent: bool,
}

impl Encoder {
    pub(crate) fn new(format: &OpusFormat, config: EncoderConfig) -> Result<Self, Unavailable> {
        // RFC 6716 2.1.4, and several frames of 20 ms.
        let is_time = TIMES_US.contains(&config.ptime.as_micros());
        if !is_time {
            return Err(Unavailable::Config("ptime"));
        }
        let mut coder =
            opus_sys::Encoder::new(format.sample_rate).map_err(|error| match error {
                Error::Argument => Unavailable::Config("sample_rate"),
                _ => Unavailable::Memory,
            })?;
        let most = format.bit_rate_max.unwrap_or(u32::MAX);
        let bit_rate = config.bit_rate.unwrap_or(OWN_BIT_RATE).min(most);
        let settings = [
            ("complexity", Setting::Complexity(config.complexity)),
            ("loss_percent", Setting::LossPercent(config.loss_percent)),
            ("dtx", Setting::Dtx(config.dtx)),
            ("fec", Setting::InBandFec(format.in_band_fec)),
            ("cbr", Setting::VariableBitRate(!format.constant_bit_rate)),
            ("bit_rate", Setting::BitRate(bit_rate)),
        ];
        for (name, setting) in settings {
            coder.set(setting).map_err(|_| Unavailable::Config(name))?;
        }
        Ok(Self {
            coder,
            was_silent: true,
        })
    }

    pub(crate) fn encode(
        &mut self,
        samples: &[i16],
        payload: &mut [u8],
    ) -> Result<Encoded, EncodeError> {
        if payload.is_empty() {
            return Err(EncodeError::PayloadTooSmall);
        }
        let encoded = self.coder.encode(samples, payload);
        let len = encoded.map_err(|error| match error {
            Error::Argument => EncodeError::Samples,
            _ => EncodeError::PayloadTooSmall,
        })?;
        if len <= SILENT_BYTES_MAX {
            self.was_silent = true;
            return Ok(Encoded::Nothing);
        }
        let marker = std::mem::take(&mut self.was_silent);
        Ok(Encoded::Payload { len, marker })
    }
}

/// Decodes Opus to one channel.
#[derive(Debug)]
pub(crate) struct Decoder {
    coder: opus_sys::Decoder,
    sample_rate: u32,
}

impl Decoder {
    pub(crate) fn new(format: &OpusFormat) -> Result<Self, Unavailable> {
        let sample_rate = format.sample_rate;
        let coder = opus_sys::Decoder::new(sample_rate).map_err(|error| match error {
            Error::Argument => Unavailable::Config("sample_rate"),
            _ => Unavailable::Memory,
        })?;
        Ok(Self { coder, sample_rate })
    }

    pub(crate) fn begin(&mut self) {
        self.coder.reset();
    }

    pub(crate) fn samples_in(&self, payload: &[u8]) -> Result<usize, DecodeError> {
        opus_sys::packet_samples(payload, self.sample_rate).map_err(|_| DecodeError::Malformed)
    }

    pub(crate) fn decode(
        &mut self,
        payload: &[u8],
        samples: &mut [i16],
    ) -> Result<DecodedKind, DecodeError> {
        let decoded = self.coder.decode(payload, samples);
        decoded.map_err(|_| DecodeError::Malformed)?;
        Ok(if payload.len() <= SILENT_BYTES_MAX {
            DecodedKind::ComfortNoise
        } else {
            DecodedKind::Speech
        })
    }

    pub(crate) fn conceal(&mut self, samples: &mut [i16]) {
        let (whole, rest) = self.whole(samples);
        rest.fill(0);
        if !whole.is_empty() && self.coder.conceal(whole).is_err() {
            whole.fill(0);
        }
    }

    pub(crate) fn recover(&mut self, next: &[u8], samples: &mut [i16]) {
        let (whole, rest) = self.whole(samples);
        rest.fill(0);
        if !whole.is_empty() && self.coder.recover(next, whole).is_err() {
            self.conceal(samples);
        }
    }

    /// What the library conceals is a multiple of 2.5 ms.
    fn whole<'a>(&self, samples: &'a mut [i16]) -> (&'a mut [i16], &'a mut [i16]) {
        let unit = self.sample_rate as usize / 400;
        let whole = samples.len() - samples.len() % unit;
        samples.split_at_mut(whole)
    }
}
