//! How much of one frequency is in a signal: Goertzel's algorithm.

use std::f32::consts::TAU;

/// Level in dBov of what is in a signal at one frequency, in hertz.
///
/// Resolves frequencies that are further apart than the sampling rate over the number of samples.
/// One multiplication and two additions for each sample.
pub fn level_at_dbov(samples: &[i16], sample_rate: u32, hz: f32) -> f32 {
    let tone = Goertzel::new(hz, sample_rate);
    let (re, im) = tone.transform(samples);
    let length = samples.len().max(1) as f32;
    // The power of a sine is half its amplitude squared.
    let power = 2.0 * (re * re + im * im) / (length * length);
    10.0 * (power / (32_768.0 * 32_768.0)).max(1e-13).log10()
}

/// One frequency to look for.
#[derive(Clone, Copy, Debug)]
struct Goertzel {
    sin: f32,
    cos: f32,
}

impl Goertzel {
    fn new(hz: f32, sample_rate: u32) -> Self {
        let (sin, cos) = (TAU * hz / sample_rate as f32).sin_cos();
        Self { sin, cos }
    }

    /// The spectrum there.
    fn transform(self, samples: &[i16]) -> (f32, f32) {
        let (mut last, mut before) = (0.0, 0.0);
        for &sample in samples {
            let next = f32::from(sample) + 2.0 * self.cos * last - before;
            (last, before) = (next, last);
        }
        (last - before * self.cos, before * self.sin)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_sine_is_found_where_it_is_and_nowhere_else() {
        let sine: Vec<i16> = (0..1600)
            .map(|n| (10_000.0 * (TAU * 1000.0 * n as f32 / 16_000.0).sin()) as i16)
            .collect();
        let level = level_at_dbov(&sine, 16_000, 1000.0);
        assert!((level + 13.3).abs() < 0.1, "{level}");
        for hz in [500.0, 980.0, 1020.0, 3000.0] {
            assert!(level_at_dbov(&sine, 16_000, hz) < -50.0, "{hz}");
        }
        assert!(level_at_dbov(&[0; 100], 8000, 1000.0) < -125.0);
    }
}
