//! Samples from one rate to another.

use codecs::Resampler;

use crate::error::ConfigError;

/// From the rate of a codec to that of a context, or back. Where they are the same it copies.
#[derive(Debug)]
pub(crate) struct Converter {
    resampler: Resampler,
}

impl Converter {
    pub fn new(from_hz: u32, to_hz: u32) -> Result<Self, ConfigError> {
        let resampler = Resampler::new(from_hz, to_hz).ok_or(ConfigError::SampleRate)?;
        Ok(Self { resampler })
    }

    /// Most samples that so many become.
    pub fn len_max(&self, len: usize) -> usize {
        self.resampler.samples_out(len)
    }

    /// Writes what samples become and returns how many that are.
    pub fn process(&mut self, samples: &[i16], out: &mut [i16]) -> usize {
        self.resampler.process(samples, out)
    }
}
