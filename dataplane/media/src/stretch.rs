//! Speech made shorter or longer by one period of its pitch.
//!
//! In the manner of WSOLA: the place is looked for at which the signal is most like itself, and one
//! is blended into the other there.

/// What is compared and blended.
pub(crate) const BLEND_MS: usize = 4;
/// Shortest and longest that is taken out or put in: shorter periods are found as their multiples.
const PERIOD_MS_MIN: usize = 4;
/// The longest that is taken out or put in.
pub(crate) const PERIOD_MS_MAX: usize = 15;
/// Below this mean square (-52 dBov) any place is as good as another.
const QUIET: f32 = 6.3e-6 * 32_768.0 * 32_768.0;

/// Where to cut, and how well both sides match.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) struct Cut {
    /// Samples to take out or to put in.
    pub samples: usize,
    /// Normalised correlation of what is blended; 1 in silence.
    pub likeness: f32,
}

/// How much of `samples` is best taken out right after its beginning: see [`take_out`].
pub(crate) fn find_take_out(samples: &[i16], sample_rate: u32) -> Option<Cut> {
    let ms = (sample_rate / 1000) as usize;
    let blend = BLEND_MS * ms;
    let most = (PERIOD_MS_MAX * ms).min(samples.len().checked_sub(blend)?);
    let fixed = &samples[..blend];
    find(fixed, ms, most, |period| &samples[period..period + blend])
}

/// Takes samples out of the beginning: the first ones are blended into those behind. Returns how
/// many remain, at the beginning of the slice.
pub(crate) fn take_out(samples: &mut [i16], sample_rate: u32, period: usize) -> usize {
    let blend = BLEND_MS * (sample_rate / 1000) as usize;
    for index in 0..blend {
        samples[index] = blended(samples[index], samples[period + index], index, blend);
    }
    samples.copy_within(period + blend.., blend);
    samples.len() - period
}

/// How much of what was before `at` is best played once more: see [`put_in`].
pub(crate) fn find_put_in(samples: &[i16], at: usize, sample_rate: u32) -> Option<Cut> {
    let ms = (sample_rate / 1000) as usize;
    let blend = BLEND_MS * ms;
    let fixed = samples.get(at..at + blend)?;
    let most = (PERIOD_MS_MAX * ms).min(at);
    find(fixed, ms, most, |period| {
        &samples[at - period..at - period + blend]
    })
}

/// Puts the last samples before `at` in once more, there. The slice has room for them behind `len`.
/// What begins at `at` is blended into them.
pub(crate) fn put_in(
    samples: &mut [i16],
    len: usize,
    at: usize,
    sample_rate: u32,
    period: usize,
) -> usize {
    let blend = BLEND_MS * (sample_rate / 1000) as usize;
    samples.copy_within(at..len, at + period);
    for index in 0..period {
        // `at + period + index` is what stood at `at + index`; behind `at + period` it goes on.
        let again = samples[at - period + index];
        samples[at + index] = match index < blend {
            true => blended(samples[at + period + index], again, index, blend),
            false => again,
        };
    }
    len + period
}

fn blended(from: i16, to: i16, index: usize, blend: usize) -> i16 {
    let share = (index + 1) as i32;
    let whole = blend as i32 + 1;
    ((i32::from(from) * (whole - share) + i32::from(to) * share) / whole) as i16
}

/// The period at which `other` is most like `fixed`, looked for at 8 kHz first.
fn find<'a>(
    fixed: &[i16],
    ms: usize,
    most: usize,
    other: impl Fn(usize) -> &'a [i16],
) -> Option<Cut> {
    let least = PERIOD_MS_MIN * ms;
    if most < least {
        return None;
    }
    let energy = crate::level::energy(fixed) / fixed.len() as f32;
    if energy < QUIET && crate::level::energy(other(most)) / (fixed.len() as f32) < QUIET {
        return Some(Cut {
            samples: most,
            likeness: 1.0,
        });
    }
    let step = (ms / 8).max(1);
    let best_of = |periods: std::ops::RangeInclusive<usize>, step: usize| {
        let mut best: Option<Cut> = None;
        for samples in periods.step_by(step) {
            let likeness = likeness(fixed, other(samples), step);
            if best.is_none_or(|best| likeness > best.likeness) {
                best = Some(Cut { samples, likeness });
            }
        }
        best
    };
    let coarse = best_of(least..=most, step)?;
    if step == 1 {
        return Some(coarse);
    }
    let around = coarse.samples.saturating_sub(step - 1).max(least);
    best_of(around..=(coarse.samples + step - 1).min(most), 1)
}

fn likeness(a: &[i16], b: &[i16], step: usize) -> f32 {
    let (mut dot, mut aa, mut bb) = (0.0_f32, 1.0_f32, 1.0_f32);
    for (&a, &b) in a.iter().zip(b).step_by(step) {
        let (a, b) = (f32::from(a), f32::from(b));
        dot += a * b;
        aa += a * a;
        bb += b * b;
    }
    dot / (aa * bb).sqrt()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn vowel(sample_rate: u32, len: usize) -> Vec<i16> {
        let wave =
            |n: usize, hz: f32| (std::f32::consts::TAU * hz * n as f32 / sample_rate as f32).sin();
        let sample =
            |n| 6000.0 * wave(n, 125.0) + 3000.0 * wave(n, 375.0) + 2000.0 * wave(n, 875.0);
        (0..len).map(|n| sample(n) as i16).collect()
    }

    fn steepest(samples: &[i16]) -> u16 {
        samples
            .windows(2)
            .map(|pair| pair[0].abs_diff(pair[1]))
            .max()
            .unwrap()
    }

    #[test]
    fn a_period_is_taken_out_without_a_trace() {
        for sample_rate in [8000, 16_000, 48_000] {
            let ms = sample_rate as usize / 1000;
            let signal = vowel(sample_rate, 40 * ms);
            let mut samples = signal.clone();
            let cut = find_take_out(&samples, sample_rate).unwrap();
            assert_eq!(cut.samples, 8 * ms, "{sample_rate}");
            assert!(cut.likeness > 0.99);
            let len = take_out(&mut samples, sample_rate, cut.samples);
            assert_eq!(len, 32 * ms);
            assert!(steepest(&samples[..len]) <= steepest(&signal) + 2);
            let off = samples[..len]
                .iter()
                .zip(&signal)
                .map(|(a, b)| a.abs_diff(*b));
            assert!(off.max().unwrap() <= 2);
        }
    }

    #[test]
    fn a_period_is_put_in_without_a_trace() {
        for sample_rate in [8000, 16_000, 48_000] {
            let ms = sample_rate as usize / 1000;
            let signal = vowel(sample_rate, 60 * ms);
            let mut samples = signal[..40 * ms].to_vec();
            let cut = find_put_in(&samples, 21 * ms, sample_rate).unwrap();
            assert_eq!(cut.samples, 8 * ms);
            samples.resize(60 * ms, 0);
            let len = put_in(&mut samples, 40 * ms, 21 * ms, sample_rate, cut.samples);
            assert_eq!(len, 48 * ms);
            let off = samples[..len]
                .iter()
                .zip(&signal)
                .map(|(a, b)| a.abs_diff(*b));
            assert!(off.max().unwrap() <= 2);
        }
    }

    #[test]
    fn in_silence_the_most_is_cut_and_noise_is_told() {
        let quiet = [3_i16; 320];
        assert_eq!(
            find_take_out(&quiet, 8000),
            Some(Cut {
                samples: 120,
                likeness: 1.0
            })
        );
        let mut state = 1_u32;
        let noise: Vec<i16> = (0..320)
            .map(|_| {
                state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
                (state >> 16) as i16 / 4
            })
            .collect();
        assert!(find_take_out(&noise, 8000).unwrap().likeness < 0.8);
        assert_eq!(find_take_out(&noise[..60], 8000), None);
        assert_eq!(find_put_in(&noise, 20, 8000), None);
    }
}
