//! From one sample rate to another.
//!
//! A polyphase filter between any two of [`Codec::SAMPLE_RATES`](crate::Codec::SAMPLE_RATES). With
//! *N* half the lower of the two rates: flat within 0.1 dB up to 0.85 *N*, at least 70 dB down from
//! 1.05 *N* on, and the same for images. Delays by 24 samples of the lower rate: 3 ms at 8 kHz, 1.5
//! ms at 16 kHz. Costs 48 multiplications per sample of the higher rate.

use crate::Codec;

/// Length of the filter in samples of the lower rate.
const SPAN: usize = 48;
/// Kaiser's parameter for 75 dB.
const BETA: f64 = 7.3;
/// Middle of the transition band, in parts of half the lower rate.
const CUT_OFF: f64 = 0.945;
/// Coefficients are multiples of 2⁻¹⁵. Those of either half of the filter add up to less than 2, so
/// that no signal makes its sum overflow.
const COEFFICIENT_BITS: u32 = 15;
/// Samples that are taken in at a time.
const BLOCK: usize = 240;

/// Resamples one stream. Allocates when it is made and never again.
#[derive(Clone, Debug)]
pub struct Resampler {
    /// So many samples go out for so many that come in.
    up: usize,
    down: usize,
    /// Coefficients of each phase, each `taps`, for the oldest sample first.
    coefficients: Box<[i16]>,
    taps: usize,
    /// The last `taps - 1` samples, and room for a block.
    buffer: Box<[i16]>,
    /// Samples of the next block before the next one to go out, and the phase there.
    offset: usize,
    phase: usize,
}

impl Resampler {
    /// From a rate to another, in hertz; `None` if there is no such rate. The same rate is copied.
    pub fn new(from: u32, to: u32) -> Option<Self> {
        if ![from, to]
            .iter()
            .all(|rate| Codec::SAMPLE_RATES.contains(rate))
        {
            return None;
        }
        // All rates are multiples of 8 kHz.
        let (from, to) = (from as usize / 8_000, to as usize / 8_000);
        let common = if from.is_multiple_of(to) || to.is_multiple_of(from) {
            from.min(to)
        } else {
            // Of 2, 3, 4 and 6: only 4 and 6 share a divisor.
            1 + usize::from(from + to == 10)
        };
        let (up, down) = (to / common, from / common);
        let taps = (SPAN * up.max(down) / up).next_multiple_of(8);
        Some(Self {
            up,
            down,
            coefficients: design(up, down, taps),
            taps,
            buffer: vec![0; taps - 1 + BLOCK].into_boxed_slice(),
            offset: 0,
            phase: 0,
        })
    }

    /// The most samples that go out for so many that come in. For 10 ms and its multiples it is
    /// always exactly as many as there are in that time.
    pub fn samples_out(&self, samples_in: usize) -> usize {
        (samples_in * self.up).div_ceil(self.down)
    }

    /// Takes in samples, and gives how many have gone out. `output` needs room for
    /// [`samples_out`](Self::samples_out); what does not fit is lost.
    pub fn process(&mut self, input: &[i16], output: &mut [i16]) -> usize {
        if self.up == self.down {
            let count = input.len().min(output.len());
            output[..count].copy_from_slice(&input[..count]);
            return count;
        }
        let mut written = 0;
        for block in input.chunks(BLOCK) {
            let history = self.taps - 1;
            self.buffer[history..history + block.len()].copy_from_slice(block);
            while self.offset < block.len() {
                let window = &self.buffer[self.offset..self.offset + self.taps];
                let phase = &self.coefficients[self.phase * self.taps..][..self.taps];
                if let Some(sample) = output.get_mut(written) {
                    *sample = convolve(window, phase);
                    written += 1;
                }
                self.phase += self.down;
                self.offset += self.phase / self.up;
                self.phase %= self.up;
            }
            self.offset -= block.len();
            self.buffer
                .copy_within(block.len()..block.len() + history, 0);
        }
        written
    }
}

fn convolve(samples: &[i16], coefficients: &[i16]) -> i16 {
    let half = samples.len() / 2;
    let sum_of = |samples: &[i16], coefficients: &[i16]| {
        let products = samples.iter().zip(coefficients);
        i64::from(
            products
                .map(|(&a, &b)| i32::from(a) * i32::from(b))
                .sum::<i32>(),
        )
    };
    let sum = sum_of(&samples[..half], &coefficients[..half])
        + sum_of(&samples[half..], &coefficients[half..]);
    let rounded = (sum + (1 << (COEFFICIENT_BITS - 1))) >> COEFFICIENT_BITS;
    rounded.clamp(i16::MIN.into(), i16::MAX.into()) as i16
}

/// A windowed sinc at the least common multiple of the rates, by phases.
fn design(up: usize, down: usize, taps: usize) -> Box<[i16]> {
    let lower = up.max(down) as f64;
    // The filter is of an odd length, so that it delays by whole samples of that rate.
    let half = (SPAN / 2) as f64 * lower;
    let tap = |at: usize| {
        let t = at as f64 - half;
        if t.abs() >= half {
            return 0.0;
        }
        let x = CUT_OFF * t / lower;
        let sinc = if t == 0.0 {
            1.0
        } else {
            (std::f64::consts::PI * x).sin() / (std::f64::consts::PI * x)
        };
        sinc * bessel(BETA * (1.0 - (t / half).powi(2)).sqrt())
    };
    let mut coefficients = Vec::with_capacity(up * taps);
    for phase in 0..up {
        let of_phase: Vec<f64> = (0..taps).rev().map(|age| tap(age * up + phase)).collect();
        // Every phase passes what does not change as it is.
        let scale = f64::from(1 << COEFFICIENT_BITS) / of_phase.iter().sum::<f64>();
        coefficients.extend(of_phase.iter().map(|each| (each * scale).round() as i16));
    }
    coefficients.into_boxed_slice()
}

/// The modified Bessel function of the first kind and order zero.
fn bessel(x: f64) -> f64 {
    let (mut sum, mut term) = (1.0, 1.0);
    for n in 1..32 {
        term *= (x / 2.0 / f64::from(n)).powi(2);
        sum += term;
    }
    sum
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::f64::consts::TAU;

    fn tone(rate: u32, hertz: f64, amplitude: f64, samples: usize) -> Vec<i16> {
        let wave =
            |t| (amplitude * (TAU * hertz * t as f64 / f64::from(rate)).sin()).round() as i16;
        (0..samples).map(wave).collect()
    }

    /// Amplitude of a frequency, and the root mean square of all else.
    fn analyse(rate: u32, hertz: f64, samples: &[i16]) -> (f64, f64) {
        let (mut re, mut im, mut power) = (0.0, 0.0, 0.0);
        for (t, &sample) in samples.iter().enumerate() {
            let angle = TAU * hertz * t as f64 / f64::from(rate);
            re += f64::from(sample) * angle.cos();
            im += f64::from(sample) * angle.sin();
            power += f64::from(sample).powi(2);
        }
        let count = samples.len() as f64;
        let amplitude = 2.0 * re.hypot(im) / count;
        let rest = (power / count - amplitude.powi(2) / 2.0).max(0.0);
        (amplitude, rest.sqrt())
    }

    fn pairs() -> impl Iterator<Item = (u32, u32)> {
        let rates = Codec::SAMPLE_RATES;
        rates
            .into_iter()
            .flat_map(move |from| rates.map(|to| (from, to)))
    }

    #[test]
    fn tones_that_both_rates_hold_pass_unchanged_and_alone() {
        for (from, to) in pairs() {
            let nyquist = f64::from(from.min(to)) / 2.0;
            for part in [0.05, 0.3, 0.6, 0.85] {
                // Whole periods in the tenth of a second that is looked at.
                let hertz = (nyquist * part / 10.0).round() * 10.0;
                let mut resampler = Resampler::new(from, to).unwrap();
                let mut heard = vec![0; to as usize / 5];
                let count =
                    resampler.process(&tone(from, hertz, 20_000.0, from as usize / 5), &mut heard);
                assert_eq!(count, heard.len());
                let (amplitude, rest) = analyse(to, hertz, &heard[count / 2..]);
                let gain_db = 20.0 * (amplitude / 20_000.0).log10();
                assert!(
                    gain_db.abs() < 0.1,
                    "{from} to {to}, {hertz} Hz: {gain_db} dB"
                );
                let rest_db = 20.0 * (rest * 2_f64.sqrt() / amplitude).log10();
                assert!(rest_db < -70.0, "{from} to {to}, {hertz} Hz: {rest_db} dB");
            }
        }
    }

    #[test]
    fn tones_that_the_lower_rate_cannot_hold_vanish() {
        for (from, to) in pairs().filter(|(from, to)| from > to) {
            for part in [1.05, 1.3, 1.45, 1.9, 2.6] {
                let hertz = (f64::from(to) / 2.0 * part / 10.0).round() * 10.0;
                if hertz >= f64::from(from) / 2.0 {
                    continue;
                }
                let mut resampler = Resampler::new(from, to).unwrap();
                let mut heard = vec![0; to as usize / 5];
                resampler.process(&tone(from, hertz, 20_000.0, from as usize / 5), &mut heard);
                let (_, rest) = analyse(to, 0.0, &heard[to as usize / 10..]);
                let rest_db = 20.0 * (rest * 2_f64.sqrt() / 20_000.0).log10();
                assert!(rest_db < -70.0, "{from} to {to}, {hertz} Hz: {rest_db} dB");
            }
        }
    }

    #[test]
    fn blocks_of_any_size_are_as_one() {
        for (from, to) in pairs() {
            let said = tone(from, 440.0, 9_000.0, 5_000);
            let mut whole = vec![0; 40_000];
            let mut resampler = Resampler::new(from, to).unwrap();
            let count = resampler.process(&said, &mut whole);
            assert!(count <= resampler.samples_out(said.len()));
            let mut resampler = Resampler::new(from, to).unwrap();
            let (mut parts, mut rest, mut size) = (Vec::new(), &said[..], 1);
            while !rest.is_empty() {
                let (now, later) = rest.split_at(size.min(rest.len()));
                let mut out = vec![0; resampler.samples_out(now.len())];
                let count = resampler.process(now, &mut out);
                parts.extend_from_slice(&out[..count]);
                (rest, size) = (later, size * 3 % 701);
            }
            assert_eq!(parts, whole[..count], "{from} to {to}");
        }
    }

    #[test]
    fn every_ten_milliseconds_are_as_many_samples_as_they_should() {
        for (from, to) in pairs() {
            let mut resampler = Resampler::new(from, to).unwrap();
            let mut out = [0; 480];
            for _ in 0..50 {
                let count = resampler.process(&vec![1; from as usize / 100], &mut out);
                assert_eq!(count, to as usize / 100);
            }
        }
    }

    #[test]
    fn the_loudest_signal_clips_and_does_not_wrap() {
        for (from, to) in pairs() {
            let square: Vec<i16> = (0..4_800)
                .map(|t| if t / 37 % 2 == 0 { i16::MAX } else { i16::MIN })
                .collect();
            let mut out = vec![0; 40_000];
            let mut resampler = Resampler::new(from, to).unwrap();
            let count = resampler.process(&square, &mut out);
            let plateau = 37.0 * f64::from(to) / f64::from(from);
            if from == to || plateau < 12.0 {
                continue;
            }
            // The middles of the plateaus have kept their sign.
            let delay = 24.0 * f64::from(to) / f64::from(from.min(to));
            for index in 1..20 {
                let at = delay + plateau * (f64::from(index) + 0.5);
                let sign = if index % 2 == 0 { 1 } else { -1 };
                let sample = i32::from(out[..count][at.round() as usize]);
                assert!(sample * sign > 20_000, "{from} to {to}: {sample}");
            }
        }
    }

    #[test]
    fn no_half_of_a_filter_can_overflow() {
        for (from, to) in pairs().filter(|(from, to)| from != to) {
            let resampler = Resampler::new(from, to).unwrap();
            for half in resampler.coefficients.chunks(resampler.taps / 2) {
                let sum: u32 = half.iter().map(|each| u32::from(each.unsigned_abs())).sum();
                assert!(sum < 1 << 16, "{from} to {to}: {sum}");
            }
        }
    }

    #[test]
    fn other_rates_are_refused() {
        assert!(Resampler::new(8_000, 44_100).is_none());
        assert!(Resampler::new(0, 8_000).is_none());
    }
}
