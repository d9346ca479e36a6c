//! Another rate for a whole clip: any ratio, at leisure.

/// Converts all of `samples`, which then last as long as before to within one sample.
///
/// A windowed sinc with a pass band to 0.92 of the lower rate's half and at least 80 dB of
/// attenuation beyond it. The delay of the filter is taken out.
pub fn resample(samples: &[i16], from: u32, to: u32) -> Vec<i16> {
    if from == to || samples.is_empty() || from == 0 || to == 0 {
        return samples.to_vec();
    }
    let common = gcd(from, to);
    let (up, down) = (u64::from(to / common), u64::from(from / common));
    let kernel = Kernel::new(up, down);
    let length = (samples.len() as u64 * up).div_ceil(down);
    (0..length)
        .map(|index| {
            let position = index * down;
            kernel.at(samples, position / up, (position % up) as usize)
        })
        .collect()
}

fn gcd(a: u32, b: u32) -> u32 {
    let (mut a, mut b) = (a, b);
    while b != 0 {
        (a, b) = (b, a % b);
    }
    a
}

/// One row of coefficients for each fraction of an input sample.
struct Kernel {
    half: usize,
    /// Fractions beyond [`PHASES_MAX`] share rows with their neighbours.
    rows: Vec<Vec<f32>>,
    phases: u64,
}

impl Kernel {
    fn new(up: u64, down: u64) -> Self {
        // Below the lower of the two halves, as a part of the input's half.
        let cutoff = 0.96 * (up as f64 / down as f64).min(1.0);
        let half = (f64::from(ZERO_CROSSINGS) / cutoff).ceil() as usize;
        let rows = up.min(PHASES_MAX);
        let row = |row: u64| {
            let fraction = row as f64 / rows as f64;
            let taps: Vec<f64> = (0..2 * half)
                .map(|tap| {
                    let distance = tap as f64 - (half as f64 - 1.0) - fraction;
                    sinc(distance * cutoff) * window(distance / half as f64)
                })
                .collect();
            let sum: f64 = taps.iter().sum();
            taps.iter().map(|tap| (tap / sum) as f32).collect()
        };
        Self {
            half,
            rows: (0..rows).map(row).collect(),
            phases: up,
        }
    }

    fn at(&self, samples: &[i16], whole: u64, phase: usize) -> i16 {
        let row = phase as u64 * self.rows.len() as u64 / self.phases;
        let row = &self.rows[row as usize];
        let first = whole as i64 - (self.half as i64 - 1);
        let skipped = usize::try_from(-first).unwrap_or(0).min(row.len());
        let from = usize::try_from(first).unwrap_or(0).min(samples.len());
        let sum: f32 = row[skipped..]
            .iter()
            .zip(&samples[from..])
            .map(|(tap, sample)| tap * f32::from(*sample))
            .sum();
        sum.round() as i16
    }
}

fn sinc(x: f64) -> f64 {
    if x.abs() < 1e-9 {
        return 1.0;
    }
    let x = x * std::f64::consts::PI;
    x.sin() / x
}

/// Kaiser's window with β = 8.
fn window(x: f64) -> f64 {
    const BETA: f64 = 8.0;
    let inside = (1.0 - x * x).max(0.0).sqrt();
    bessel(BETA * inside) / bessel(BETA)
}

/// The modified Bessel function of the first kind and order zero.
fn bessel(x: f64) -> f64 {
    let quarter = x * x / 4.0;
    let mut term = 1.0;
    let mut sum = 1.0;
    for n in 1..40 {
        term *= quarter / f64::from(n * n);
        sum += term;
    }
    sum
}

/// Of the sinc at each side: makes the transition about 0.08 of the pass band wide.
const ZERO_CROSSINGS: u32 = 64;
/// Rows of coefficients: 44.1 to 48 kHz needs 160, the odder ratios take the nearest of these.
const PHASES_MAX: u64 = 512;

#[cfg(test)]
mod tests {
    use super::*;

    fn tone(rate: u32, hertz: f64, seconds: f64) -> Vec<i16> {
        let count = (f64::from(rate) * seconds) as usize;
        let step = std::f64::consts::TAU * hertz / f64::from(rate);
        (0..count)
            .map(|n| (10_000.0 * (n as f64 * step).sin()).round() as i16)
            .collect()
    }

    /// Signal to noise of `heard` against `said`, edges apart, in dB.
    fn snr(said: &[i16], heard: &[i16]) -> f64 {
        let edge = said.len() / 10;
        let pairs = || {
            said.iter()
                .zip(heard)
                .skip(edge)
                .take(said.len() - 2 * edge)
        };
        let signal: f64 = pairs().map(|(a, _)| f64::from(*a).powi(2)).sum();
        let noise: f64 = pairs()
            .map(|(a, b)| (f64::from(*a) - f64::from(*b)).powi(2))
            .sum();
        10.0 * (signal / noise.max(1.0)).log10()
    }

    #[test]
    fn a_tone_keeps_its_pitch_phase_and_level_at_every_rate() {
        for (from, to) in [
            (8_000, 16_000),
            (8_000, 48_000),
            (16_000, 8_000),
            (44_100, 48_000),
            (44_100, 8_000),
            (22_050, 16_000),
            (48_000, 24_000),
            (11_025, 8_000),
        ] {
            let heard = resample(&tone(from, 1004.0, 0.5), from, to);
            let said = tone(to, 1004.0, 0.5);
            assert!(heard.len().abs_diff(said.len()) <= 1, "{from} {to}");
            let snr = snr(&said, &heard);
            assert!(snr > 70.0, "{from} → {to}: {snr:.1} dB");
        }
    }

    #[test]
    fn what_the_lower_rate_cannot_carry_is_taken_away() {
        let heard = resample(&tone(48_000, 5_000.0, 0.2), 48_000, 8_000);
        let edge = heard.len() / 10;
        let loudest = heard[edge..heard.len() - edge]
            .iter()
            .map(|s| s.abs())
            .max();
        assert!(loudest.unwrap() <= 3, "{loudest:?}");
    }

    #[test]
    fn silence_nothing_and_extremes_survive() {
        assert!(resample(&[], 8000, 16000).is_empty());
        assert_eq!(resample(&[0; 80], 8000, 48000), [0; 480]);
        let loud = resample(&[i16::MIN; 800], 8000, 44_100);
        assert!(loud[2000..2400].iter().all(|sample| *sample < -32_000));
    }
}
