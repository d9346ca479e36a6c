//! Sums of what talkers say, for each listener without itself.

use crate::loudest::Fade;

/// Most samples of a tick: 20 ms at 48 kHz.
pub const TICK_SAMPLES_MAX: usize = 960;

/// Adds up the contributions of one tick, and takes one away again for who made it.
///
/// Sums are of 32 bits, so any number of talkers fits; only what goes out is limited, by a knee at
/// -2.5 dBov beyond which loud sums are compressed in place of clipped.
#[derive(Clone, Debug)]
pub struct Sum {
    samples: Box<[i32]>,
}

impl Sum {
    /// For ticks of so many samples.
    pub fn new(tick_samples: usize) -> Self {
        Self {
            samples: vec![0; tick_samples].into_boxed_slice(),
        }
    }

    /// Begins with silence.
    pub fn clear(&mut self) {
        self.samples.fill(0);
    }

    /// Adds a contribution.
    pub fn add(&mut self, samples: &[i16]) {
        for (sum, &sample) in self.samples.iter_mut().zip(samples) {
            *sum += i32::from(sample);
        }
    }

    /// What all hear.
    pub fn write(&self, out: &mut [i16]) {
        let mut peak = 0;
        for (out, &sum) in out.iter_mut().zip(&self.samples) {
            peak = peak.max(sum.abs());
            *out = sum as i16;
        }
        if peak > KNEE {
            for (out, &sum) in out.iter_mut().zip(&self.samples) {
                *out = limit(sum);
            }
        }
    }

    /// What one hears who has contributed this.
    pub fn write_without(&self, own: &[i16], out: &mut [i16]) {
        let mut peak = 0;
        for ((out, &sum), &own) in out.iter_mut().zip(&self.samples).zip(own) {
            let sum = sum - i32::from(own);
            peak = peak.max(sum.abs());
            *out = sum as i16;
        }
        if peak > KNEE {
            for ((out, &sum), &own) in out.iter_mut().zip(&self.samples).zip(own) {
                *out = limit(sum - i32::from(own));
            }
        }
    }
}

/// Up to here sums go out as they are.
const KNEE: i32 = 24_575;
const ROOM: i64 = 32_767 - KNEE as i64;

/// Compresses what is beyond the knee: smooth there, and never beyond what 16 bits hold.
fn limit(sum: i32) -> i16 {
    let beyond = i64::from(sum.unsigned_abs()) - i64::from(KNEE);
    if beyond <= 0 {
        return sum as i16;
    }
    let limited = i64::from(KNEE) + beyond * ROOM / (beyond + ROOM);
    (limited * i64::from(sum.signum())) as i16
}

/// Multiplies by a gain that goes from one value to another over the tick, so that none clicks.
pub fn ramp(samples: &mut [i16], from: f32, to: f32) {
    if from == 1.0 && to == 1.0 {
        return;
    }
    let step = (to - from) / samples.len().max(1) as f32;
    for (index, sample) in samples.iter_mut().enumerate() {
        let gain = from + step * (index + 1) as f32;
        *sample = (f32::from(*sample) * gain).clamp(-32_768.0, 32_767.0) as i16;
    }
}

/// What a [`Fade`] asks for: in over the first quarter of the tick, out over all of it.
pub fn fade(samples: &mut [i16], fade: Fade) {
    match fade {
        Fade::None => {}
        Fade::In => {
            let len = samples.len() / 4;
            ramp(&mut samples[..len], 0.0, 1.0);
        }
        Fade::Out => ramp(samples, 1.0, 0.0),
    }
}

/// The gain of one contribution: what it is set to is reached within a tick, without a step.
#[derive(Clone, Copy, Debug)]
pub struct Fader {
    now: f32,
    wanted: f32,
    is_muted: bool,
}

impl Default for Fader {
    fn default() -> Self {
        Self {
            now: 1.0,
            wanted: 1.0,
            is_muted: false,
        }
    }
}

impl Fader {
    /// Sets the gain in dB.
    pub fn set_gain_db(&mut self, gain_db: f32) {
        self.wanted = factor_of_db(gain_db.clamp(-100.0, GAIN_DB_MAX));
    }

    /// Lets nothing pass, or again what the gain says.
    pub fn set_muted(&mut self, is_muted: bool) {
        self.is_muted = is_muted;
    }

    /// Whether nothing passes, not even what fades.
    pub fn is_silent(&self) -> bool {
        self.is_muted && self.now == 0.0
    }

    /// Applies it to a tick.
    pub fn apply(&mut self, samples: &mut [i16]) {
        let to = if self.is_muted { 0.0 } else { self.wanted };
        ramp(samples, self.now, to);
        self.now = to;
    }
}

/// Nothing is made louder than by this.
pub const GAIN_DB_MAX: f32 = 24.0;

/// The factor of a gain in dB.
pub fn factor_of_db(gain_db: f32) -> f32 {
    10_f32.powf(gain_db / 20.0)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn everybody_hears_all_others_and_not_itself() {
        let talkers = [[100_i16; 160], [20; 160], [-3; 160]];
        let mut sum = Sum::new(160);
        talkers.iter().for_each(|talker| sum.add(talker));
        let mut out = [0; 160];
        sum.write(&mut out);
        assert_eq!(out, [117; 160]);
        for (own, expected) in talkers.iter().zip([17, 97, 120]) {
            sum.write_without(own, &mut out);
            assert_eq!(out, [expected; 160]);
        }
        sum.clear();
        sum.write(&mut out);
        assert_eq!(out, [0; 160]);
    }

    #[test]
    fn loud_sums_are_compressed_and_do_not_wrap() {
        let mut sum = Sum::new(4);
        for _ in 0..1000 {
            sum.add(&[i16::MAX, i16::MIN, 1, -1]);
        }
        let mut out = [0; 4];
        sum.write(&mut out);
        assert!(out[0] > 32_700 && out[1] < -32_700, "{out:?}");
        assert_eq!(out[2..], [1000, -1000]);
        sum.write_without(&[0; 4], &mut out);
        assert!(out[0] > 32_700 && out[1] < -32_700);
        // Nothing jumps: neighbours stay neighbours, and louder stays louder.
        let mut last = limit(0);
        for value in 1..200_000 {
            let next = limit(value);
            assert!((0..=1).contains(&(next - last)), "{value}");
            assert_eq!(limit(-value), -next);
            last = next;
        }
    }

    #[test]
    fn gains_change_without_a_step() {
        let mut samples = [10_000; 160];
        ramp(&mut samples, 1.0, 0.0);
        assert_eq!((samples[159], samples[79]), (0, 5000));
        let steps = samples
            .windows(2)
            .map(|pair| (pair[1] - pair[0]).unsigned_abs());
        assert!(steps.max().unwrap() <= 63);
        let mut fader = Fader::default();
        fader.set_muted(true);
        let mut samples = [10_000; 160];
        fader.apply(&mut samples);
        assert!(samples[0] > 9900 && samples[159] == 0 && fader.is_silent());
        fader.set_muted(false);
        fader.set_gain_db(-6.02);
        fader.apply(&mut samples);
        let mut samples = [10_000; 160];
        fader.apply(&mut samples);
        assert!(samples.iter().all(|sample| (4990..5010).contains(sample)));
        let mut samples = [10_000; 160];
        fade(&mut samples, Fade::In);
        assert_eq!(
            (samples[0], samples[39], samples[159]),
            (250, 10_000, 10_000)
        );
        let mut loud = [30_000; 4];
        ramp(&mut loud, 4.0, factor_of_db(12.0));
        assert_eq!(loud, [i16::MAX; 4]);
    }
}
