//! Takes keys out of a signal, their beginnings too.

use super::{Detection, Detector};

/// Passes a signal on without the DTMF in it.
///
/// A key is known only after it has sounded for a while, so the signal is held back for
/// [`Remover::delay_samples`]: what goes out has not begun to sound like a key yet when the key is
/// found. In its place there is silence, with rounded edges.
#[derive(Clone, Debug)]
pub struct Remover {
    detector: Detector,
    /// What is held back, as a ring.
    line: Box<[i16]>,
    at: usize,
    /// Samples taken in.
    position: u64,
    /// What is to be silent, oldest first.
    muted: [Muted; MUTED_MAX],
    gain: f32,
    gain_step: f32,
    margin: u64,
}

/// From one sample to another; nothing where both are the same.
#[derive(Clone, Copy, Debug, Default)]
struct Muted {
    from: u64,
    to: u64,
}

/// Keys within what is held back: at 66 ms from one to the next at least, one is enough.
const MUTED_MAX: usize = 4;
/// Cut away on both sides of a key: its edges are known to 3 ms.
const MARGIN_MS: u32 = 4;
const RAMP_MS: u32 = 2;

impl Remover {
    /// For a signal of a sampling rate.
    pub fn new(sample_rate: u32) -> Self {
        let detector = Detector::new(sample_rate);
        let margin = sample_rate * (MARGIN_MS + RAMP_MS) / 1000;
        Self {
            line: vec![0; detector.delay_samples() + margin as usize].into_boxed_slice(),
            detector,
            at: 0,
            position: 0,
            muted: [Muted::default(); MUTED_MAX],
            gain: 1.0,
            gain_step: 1000.0 / (sample_rate * RAMP_MS).max(1) as f32,
            margin: u64::from(margin),
        }
    }

    /// By how many samples the signal is held back: about 45 ms.
    pub fn delay_samples(&self) -> usize {
        self.line.len()
    }

    /// Takes samples and puts in their place those that are `delay_samples` older, without keys.
    pub fn process(&mut self, samples: &mut [i16], mut report: impl FnMut(Detection)) {
        let Self {
            detector, muted, ..
        } = self;
        let margin = self.margin;
        detector.process(samples, |detection| {
            match detection {
                Detection::Began { at, .. } => {
                    muted.copy_within(1.., 0);
                    muted[MUTED_MAX - 1] = Muted {
                        from: at.saturating_sub(margin),
                        to: u64::MAX,
                    };
                }
                Detection::Ended { at, .. } => {
                    let last = &mut muted[MUTED_MAX - 1];
                    last.to = last.to.min(at + margin);
                }
            }
            report(detection);
        });
        let delay = self.line.len() as u64;
        for sample in samples {
            let held = std::mem::replace(&mut self.line[self.at], *sample);
            self.at = (self.at + 1) % self.line.len();
            let index = self.position.wrapping_sub(delay);
            self.position += 1;
            let is_muted = self
                .muted
                .iter()
                .any(|muted| (muted.from..muted.to).contains(&index));
            let step = if is_muted {
                -self.gain_step
            } else {
                self.gain_step
            };
            self.gain = (self.gain + step).clamp(0.0, 1.0);
            *sample = (f32::from(held) * self.gain) as i16;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::dtmf::{CODES, tone};
    use crate::level::level_dbov;
    use crate::tone::ToneGenerator;
    use codecs::speech::Speech;

    fn remove(remover: &mut Remover, samples: &[i16]) -> (Vec<i16>, usize) {
        let mut out = samples.to_vec();
        let mut keys = 0;
        for tick in out.chunks_mut(160) {
            remover.process(tick, |detection| {
                keys += usize::from(matches!(detection, Detection::Began { .. }));
            });
        }
        (out, keys)
    }

    #[test]
    fn nothing_of_a_key_is_left() {
        for code in 0..CODES {
            for offset in [0, 37, 71] {
                let mut samples = vec![0; 2400];
                let key = &mut samples[600 + offset..];
                ToneGenerator::new(tone(code, Some(70)).unwrap(), 8000, -8.0).fill(key);
                let (out, keys) = remove(&mut Remover::new(8000), &samples);
                assert_eq!(keys, 1);
                let level = out.chunks(40).map(level_dbov).max().unwrap();
                assert!(level < -60, "{code} {offset}: {level}");
            }
        }
    }

    #[test]
    fn talk_passes_and_comes_back_after_a_key() {
        let mut samples = vec![0; 16_000];
        Speech::new(2).fill(&mut samples);
        let mut remover = Remover::new(8000);
        let delay = remover.delay_samples();
        assert!(delay <= 8 * 46);
        let (out, keys) = remove(&mut remover, &samples);
        assert_eq!(keys, 0);
        assert_eq!(out[delay..], samples[..16_000 - delay]);

        let from = 8000;
        let key = &mut samples[from..from + 640];
        ToneGenerator::new(tone(3, Some(80)).unwrap(), 8000, -8.0).fill(key);
        let (out, keys) = remove(&mut Remover::new(8000), &samples);
        assert_eq!(keys, 1);
        // 10 ms round it all is as it was.
        assert_eq!(out[delay..delay + from - 80], samples[..from - 80]);
        let after = from + 640 + 80;
        assert_eq!(out[delay + after..], samples[after..16_000 - delay]);
    }
}
