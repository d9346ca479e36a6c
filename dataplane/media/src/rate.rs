//! Samples from one rate to another.

use crate::error::ConfigError;

/// From the rate of a codec to that of a context, or back. Costs nothing where they are the same.
#[derive(Debug)]
pub(crate) struct Converter {
    from_hz: u32,
    to_hz: u32,
}

impl Converter {
    pub fn new(from_hz: u32, to_hz: u32) -> Result<Self, ConfigError> {
        if from_hz != to_hz {
            return Err(ConfigError::SampleRate);
        }
        Ok(Self { from_hz, to_hz })
    }

    /// Most samples that so many become.
    pub fn len_max(&self, len: usize) -> usize {
        (len as u64 * u64::from(self.to_hz)).div_ceil(u64::from(self.from_hz)) as usize + 1
    }

    /// Writes what samples become and returns how many that are.
    pub fn process(&mut self, samples: &[i16], out: &mut [i16]) -> usize {
        out[..samples.len()].copy_from_slice(samples);
        samples.len()
    }
}
