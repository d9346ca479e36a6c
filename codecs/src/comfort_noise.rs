//! Comfort noise between talkspurts of codecs that have none of their own: the payload of RFC 3389,
//! static payload type 13.
//!
//! A listener plays a [`Generator`], which each payload directs; a talker's [`Analyzer`] hears the
//! silence and describes it. The reflection coefficients have the sign that other implementations
//! give them: the first one of low-pass noise is negative.

use crate::error::DecodeError;

/// Most reflection coefficients that are used; further ones of a payload are left out (RFC 3389 3).
pub const ORDER_MAX: usize = 10;

/// Octets of the longest payload that is written.
pub const PAYLOAD_BYTES_MAX: usize = 1 + ORDER_MAX;

/// Lowest level that there is: -127 dBov.
const LEVEL_MAX: u8 = 127;

/// What noise sounds like.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Parameters {
    /// Level below overload, in dB: 0 to 127.
    level_dbov: u8,
    /// The octets of the reflection coefficients; 127 is none.
    reflections: [u8; ORDER_MAX],
}

impl Parameters {
    /// White noise at a level of that many dB below overload, 127 at most.
    pub fn white(level_dbov: u8) -> Self {
        Self {
            level_dbov: level_dbov.min(LEVEL_MAX),
            reflections: [ZERO; ORDER_MAX],
        }
    }

    /// Reads a payload.
    ///
    /// # Errors
    /// It is empty, or has the coefficient that is not to be sent, 255.
    pub fn parse(payload: &[u8]) -> Result<Self, DecodeError> {
        let (level, octets) = payload.split_first().ok_or(DecodeError::Malformed)?;
        let mut parameters = Self::white(level & 0x7f);
        for (reflection, &octet) in parameters.reflections.iter_mut().zip(octets) {
            if octet == 255 {
                return Err(DecodeError::Malformed);
            }
            *reflection = octet;
        }
        Ok(parameters)
    }

    /// Writes a payload, without coefficients at the end that are zero. Gives its octets; `None`
    /// if it does not fit.
    pub fn write_to(&self, payload: &mut [u8]) -> Option<usize> {
        let order = self.reflections.iter().rposition(|&each| each != ZERO);
        let len = 1 + order.map_or(0, |last| last + 1);
        let payload = payload.get_mut(..len)?;
        payload[0] = self.level_dbov;
        payload[1..].copy_from_slice(&self.reflections[..len - 1]);
        Some(len)
    }

    /// The level below overload, in dB.
    pub fn level_dbov(&self) -> u8 {
        self.level_dbov
    }

    /// The reflection coefficients, RFC 3389 3.2.
    fn coefficients(&self) -> [f32; ORDER_MAX] {
        self.reflections
            .map(|octet| (f32::from(octet) - 127.0) * 258.0 / 32_768.0)
    }
}

/// The octet of a reflection coefficient of zero.
const ZERO: u8 = 127;

/// Makes noise.
#[derive(Clone, Debug)]
pub struct Generator {
    reflections: [f32; ORDER_MAX],
    /// Excitation that makes the level.
    gain: f32,
    wanted: f32,
    /// Backward errors of the lattice.
    backward: [f32; ORDER_MAX],
    noise: u32,
}

/// Share of the difference to the wanted gain that each sample takes away: within 10 ms at 8 kHz it
/// is there.
const APPROACH: f32 = 1.0 / 32.0;

impl Generator {
    /// Silence, until [`set`](Self::set). Generators of one seed make the same noise.
    pub fn new(seed: u32) -> Self {
        Self {
            reflections: [0.0; ORDER_MAX],
            gain: 0.0,
            wanted: 0.0,
            backward: [0.0; ORDER_MAX],
            noise: seed.wrapping_mul(0x9e37_79b9) | 1,
        }
    }

    /// The noise is to sound like this; the level gets there within 10 ms or so.
    pub fn set(&mut self, parameters: Parameters) {
        self.reflections = parameters.coefficients();
        // White noise of power 1 comes out of the filter with the inverse of this.
        let lost: f32 = self.reflections.iter().map(|k| 1.0 - k * k).product();
        let level = 10_f32.powf(-f32::from(parameters.level_dbov) / 20.0) * 32_768.0;
        // Uniform noise between -1 and 1 is of power one third.
        self.wanted = level * (3.0 * lost).sqrt();
    }

    /// The next samples.
    pub fn fill(&mut self, samples: &mut [i16]) {
        for sample in samples {
            self.gain += (self.wanted - self.gain) * APPROACH;
            let mut forward = self.gain * self.white();
            for stage in (0..ORDER_MAX).rev() {
                let k = self.reflections[stage];
                forward -= k * self.backward[stage];
                if stage + 1 < ORDER_MAX {
                    self.backward[stage + 1] = self.backward[stage] + k * forward;
                }
            }
            self.backward[0] = forward;
            // A cast saturates.
            *sample = forward.round() as i16;
        }
    }

    /// Xorshift32, between -1 and 1.
    fn white(&mut self) -> f32 {
        self.noise ^= self.noise << 13;
        self.noise ^= self.noise >> 17;
        self.noise ^= self.noise << 5;
        self.noise as i32 as f32 / 2_147_483_648.0
    }
}

/// Listens to silence.
#[derive(Clone, Debug, Default)]
pub struct Analyzer {
    /// Mean autocorrelation of a sample, of the last frames.
    correlation: [f32; ORDER_MAX + 1],
}

/// Share of a frame in the mean.
const SHARE: f32 = 0.2;

impl Analyzer {
    /// Has heard nothing.
    pub fn new() -> Self {
        Self::default()
    }

    /// Listens to a frame: 20 ms without talk.
    pub fn hear(&mut self, samples: &[i16]) {
        if samples.len() <= ORDER_MAX {
            return;
        }
        let is_first = self.correlation == [0.0; ORDER_MAX + 1];
        let share = if is_first { 1.0 } else { SHARE };
        for (lag, mean) in self.correlation.iter_mut().enumerate() {
            let pairs = samples.iter().zip(&samples[lag..]);
            let sum: f32 = pairs.map(|(&a, &b)| f32::from(a) * f32::from(b)).sum();
            *mean += (sum / samples.len() as f32 - *mean) * share;
        }
    }

    /// What the silence sounds like.
    pub fn parameters(&self) -> Parameters {
        let power = self.correlation[0] / (32_768.0 * 32_768.0);
        let level = -10.0 * power.max(1e-13).log10();
        let mut parameters = Parameters::white(level.round().clamp(0.0, 127.0) as u8);
        if self.correlation[0] < 1.0 {
            return parameters;
        }
        let reflections = reflections(&self.correlation);
        for (octet, k) in parameters.reflections.iter_mut().zip(reflections) {
            let steps = (k * 32_768.0 / 258.0).round();
            *octet = (127.0 + steps).clamp(0.0, 254.0) as u8;
        }
        parameters
    }
}

/// Levinson's recursion.
fn reflections(correlation: &[f32; ORDER_MAX + 1]) -> [f32; ORDER_MAX] {
    let mut reflections = [0.0; ORDER_MAX];
    let mut predictor = [0.0; ORDER_MAX];
    // A little white noise keeps the recursion away from a tone's infinite gain.
    let mut error = correlation[0] * 1.000_1;
    for order in 0..ORDER_MAX {
        let mut sum = correlation[order + 1];
        for lag in 0..order {
            sum += predictor[lag] * correlation[order - lag];
        }
        let k = (-sum / error).clamp(-0.99, 0.99);
        reflections[order] = k;
        let before = predictor;
        for lag in 0..order {
            predictor[lag] += k * before[order - 1 - lag];
        }
        predictor[order] = k;
        error *= 1.0 - k * k;
    }
    reflections
}

#[cfg(test)]
mod tests {
    use super::*;

    fn level_db(samples: &[i16]) -> f64 {
        let power: f64 = samples
            .iter()
            .map(|&sample| f64::from(sample).powi(2))
            .sum();
        10.0 * (power / samples.len() as f64 / f64::from(1 << 30)).log10()
    }

    /// Correlation with itself a sample later.
    fn tilt(samples: &[i16]) -> f64 {
        let product = |(&a, &b): (&i16, &i16)| f64::from(a) * f64::from(b);
        let sum: f64 = samples.iter().zip(&samples[1..]).map(product).sum();
        sum / samples
            .iter()
            .map(|&sample| f64::from(sample).powi(2))
            .sum::<f64>()
    }

    #[test]
    fn noise_has_the_level_that_the_payload_says() {
        for level in [20, 35, 50, 60, 70] {
            for octets in [&[level][..], &[level, 40], &[level, 215, 90, 127, 160]] {
                let mut generator = Generator::new(1);
                generator.set(Parameters::parse(octets).unwrap());
                let mut samples = vec![0; 16_000];
                generator.fill(&mut samples);
                let found = level_db(&samples[1_000..]);
                assert!(
                    (found + f64::from(level)).abs() < 1.5,
                    "{octets:?}: {found} dBov"
                );
            }
        }
    }

    #[test]
    fn the_first_coefficient_tilts_the_spectrum() {
        let noise = |octet| {
            let mut generator = Generator::new(1);
            generator.set(Parameters::parse(&[30, octet]).unwrap());
            let mut samples = vec![0; 16_000];
            generator.fill(&mut samples);
            tilt(&samples)
        };
        assert!((noise(127 - 89) - 0.7).abs() < 0.05);
        assert!(noise(127).abs() < 0.05);
        assert!((noise(127 + 89) + 0.7).abs() < 0.05);
    }

    #[test]
    fn what_is_heard_is_what_is_described() {
        for octets in [
            &[40, 127][..],
            &[50, 60, 150, 110],
            &[30, 200],
            &[60, 40, 160, 120, 140],
        ] {
            let mut generator = Generator::new(7);
            generator.set(Parameters::parse(octets).unwrap());
            let mut analyzer = Analyzer::new();
            for _ in 0..100 {
                let mut samples = [0; 160];
                generator.fill(&mut samples);
                analyzer.hear(&samples);
            }
            let found = analyzer.parameters();
            assert!(found.level_dbov().abs_diff(octets[0]) <= 2, "{found:?}");
            for (octet, found) in octets[1..].iter().zip(found.reflections) {
                assert!(octet.abs_diff(found) < 16, "{octets:?} {found:?}");
            }
        }
    }

    #[test]
    fn payloads_come_back_and_extremes_are_bounded() {
        let mut payload = [0; PAYLOAD_BYTES_MAX];
        for octets in [&[0][..], &[127], &[30, 0, 254], &[30, 1, 127, 3], &[1; 11]] {
            let parameters = Parameters::parse(octets).unwrap();
            let len = parameters.write_to(&mut payload).unwrap();
            assert_eq!(&payload[..len], octets);
            assert_eq!(parameters.write_to(&mut payload[..len - 1]), None);
        }
        assert_eq!(Parameters::parse(&[]), Err(DecodeError::Malformed));
        assert_eq!(Parameters::parse(&[30, 255]), Err(DecodeError::Malformed));
        let long = Parameters::parse(&[30; 200]).unwrap();
        assert_eq!(long.write_to(&mut payload), Some(PAYLOAD_BYTES_MAX));
        for octet in [0, 254] {
            let mut generator = Generator::new(1);
            generator.set(Parameters::parse(&[0, octet, octet, octet, octet]).unwrap());
            let mut samples = vec![0; 8_000];
            generator.fill(&mut samples);
            assert!(generator.backward.iter().all(|each| each.is_finite()));
        }
    }

    #[test]
    fn silence_and_little_are_described_as_such() {
        let mut analyzer = Analyzer::new();
        assert_eq!(analyzer.parameters(), Parameters::white(127));
        analyzer.hear(&[0; 160]);
        analyzer.hear(&[5; 3]);
        assert_eq!(analyzer.parameters(), Parameters::white(127));
    }

    #[test]
    fn a_tone_is_described_stably() {
        let mut analyzer = Analyzer::new();
        let wave = |t| ((f64::from(t) * 0.3).sin() * 3_000.0) as i16;
        for frame in 0..10 {
            let samples: Vec<i16> = (frame * 160..frame * 160 + 160).map(wave).collect();
            analyzer.hear(&samples);
        }
        let mut generator = Generator::new(3);
        generator.set(analyzer.parameters());
        let mut samples = vec![0; 8_000];
        generator.fill(&mut samples);
        assert!(level_db(&samples) < -10.0);
    }
}
