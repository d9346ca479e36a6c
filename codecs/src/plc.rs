//! Packet loss concealment for codecs that code the waveform: G.711, G.722, L16.
//!
//! In the manner of G.711 Appendix I: what is lost is filled with the last pitch period, after
//! 10 ms with the last two, after 20 ms with the last three, and fades to silence from 10 ms to
//! 60 ms. The first samples after a loss are blended with how the filling would have gone on.
//! Unlike there, nothing is delayed: what the end of the last packet lacks to the period's start is
//! added and taken away again over a quarter of the period.

/// Shortest pitch period: 5 ms, 200 Hz. Shorter ones are found as their multiples.
const PERIODS_PER_SECOND_MAX: usize = 200;
/// Longest pitch period: 15 ms.
const PERIOD_MS_MAX: usize = 15;
/// Periods repeated in the end.
const PERIODS_MAX: usize = 3;
/// What is compared with what was a period before.
const WINDOW_MS: usize = 20;
/// History: three longest periods and the quarter before them, rounded up.
const HISTORY_MS: usize = 50;
/// The filling fades from here,
const FADE_FROM_MS: usize = 10;
/// to silence there.
const FADE_TO_MS: usize = 60;
/// Longest blend after a loss.
const BLEND_MS_MAX: usize = 10;
/// Rate at which the period is looked for first.
const COARSE_HZ: usize = 4_000;
const COARSE_SAMPLES: usize = HISTORY_MS * COARSE_HZ / 1_000;

const _: () = assert!(PERIOD_MS_MAX * (4 * PERIODS_MAX + 1) <= 4 * HISTORY_MS);
const _: () = assert!(WINDOW_MS + PERIOD_MS_MAX <= HISTORY_MS);

/// Conceals the losses of one stream of samples. Allocates when it is made and never again.
#[derive(Clone, Debug)]
pub struct Concealer {
    samples_per_ms: usize,
    /// What was played, the newest last.
    history: Box<[i16]>,
    /// What had been played when the loss began.
    before: Box<[i16]>,
    /// Samples concealed since something was heard; 0 when nothing is being concealed.
    lost: usize,
    /// Pitch period in samples.
    period: usize,
    /// The loop that is played, and the one that it takes the place of.
    playing: Loop,
    leaving: Loop,
    /// Samples during which `leaving` is still heard.
    leaving_left: usize,
    /// What the loop's start lacks to the last sample heard.
    step: f32,
}

/// So many of the last periods over and over.
#[derive(Clone, Copy, Debug, Default)]
struct Loop {
    samples: usize,
    position: usize,
}

impl Concealer {
    /// For samples of this rate, in hertz; of at least 8 kHz.
    pub fn new(sample_rate: u32) -> Self {
        let samples_per_ms = (sample_rate as usize / 1_000).max(8);
        let history = vec![0; HISTORY_MS * samples_per_ms].into_boxed_slice();
        Self {
            samples_per_ms,
            before: history.clone(),
            history,
            lost: 0,
            period: PERIOD_MS_MAX * samples_per_ms,
            playing: Loop::default(),
            leaving: Loop::default(),
            leaving_left: 0,
            step: 0.0,
        }
    }

    /// These samples have come: the first ones after a loss are blended with the filling.
    pub fn heard(&mut self, samples: &mut [i16]) {
        if self.lost > 0 {
            let longer = (self.lost / (10 * self.samples_per_ms)).saturating_sub(1);
            let blend = (self.period / 4 + longer * 4 * self.samples_per_ms)
                .min(BLEND_MS_MAX * self.samples_per_ms)
                .min(samples.len());
            for (index, sample) in samples[..blend].iter_mut().enumerate() {
                let along = (index + 1) as f32 / (blend + 1) as f32;
                let filling = self.next_sample();
                *sample = round(filling + (f32::from(*sample) - filling) * along);
            }
            self.lost = 0;
        }
        self.remember(samples);
    }

    /// Fills in for samples that have not come.
    pub fn conceal(&mut self, samples: &mut [i16]) {
        if samples.is_empty() {
            return;
        }
        if self.lost == 0 {
            self.begin();
        }
        for sample in &mut *samples {
            *sample = round(self.next_sample());
        }
        self.remember(samples);
    }

    fn remember(&mut self, samples: &[i16]) {
        let kept = self.history.len().saturating_sub(samples.len());
        let from = self.history.len() - kept;
        self.history.copy_within(from.., 0);
        let newest = &samples[samples.len() - from..];
        self.history[kept..].copy_from_slice(newest);
    }

    /// A loss begins.
    fn begin(&mut self) {
        self.before.copy_from_slice(&self.history);
        self.period = self.find_period();
        self.playing = Loop {
            samples: self.period,
            position: 0,
        };
        self.leaving_left = 0;
        let last = self.before.len() - 1;
        self.step = f32::from(self.before[last]) - f32::from(self.before[last - self.period]);
    }

    /// The next sample of the filling.
    fn next_sample(&mut self) -> f32 {
        let ten_ms = 10 * self.samples_per_ms;
        let periods = (1 + self.lost / ten_ms).min(PERIODS_MAX);
        if self.playing.samples != periods * self.period {
            self.leaving = self.playing;
            self.leaving_left = self.period / 4;
            self.playing = Loop {
                samples: periods * self.period,
                position: self.playing.position % self.period,
            };
        }
        let mut sample = self.play(self.playing);
        self.playing.advance();
        let quarter = (self.period / 4) as f32;
        if self.leaving_left > 0 {
            let share = self.leaving_left as f32 / (quarter + 1.0);
            sample += (self.play(self.leaving) - sample) * share;
            self.leaving.advance();
            self.leaving_left -= 1;
        }
        let along = (self.lost + 1) as f32 / (quarter + 1.0);
        if along < 1.0 {
            sample += self.step * (1.0 - along) * (1.0 - along);
        }
        let from = FADE_FROM_MS * self.samples_per_ms;
        let to = FADE_TO_MS * self.samples_per_ms;
        let faded = self.lost.clamp(from, to) - from;
        self.lost = (self.lost + 1).min(to);
        sample * (1.0 - faded as f32 / (to - from) as f32)
    }

    /// A sample of a loop, whose last quarter of a period turns into what was before its start, so
    /// that the end goes over into the start.
    fn play(&self, each: Loop) -> f32 {
        let index = self.before.len() - each.samples + each.position;
        let sample = f32::from(self.before[index]);
        let quarter = self.period / 4;
        let left = each.samples - each.position;
        if left > quarter {
            return sample;
        }
        let earlier = f32::from(self.before[index - each.samples]);
        let share = (quarter - left + 1) as f32 / (quarter + 1) as f32;
        sample + (earlier - sample) * share
    }

    /// The lag at which the last 20 ms are most like what was before: first at 4 kHz, then round
    /// what was found there.
    fn find_period(&self) -> usize {
        let ratio = self.samples_per_ms * 1_000 / COARSE_HZ;
        let mut coarse = [0.0; COARSE_SAMPLES];
        for (mean, samples) in coarse.iter_mut().zip(self.before.chunks_exact(ratio)) {
            *mean = samples.iter().map(|&sample| f32::from(sample)).sum();
        }
        let shortest = COARSE_HZ / PERIODS_PER_SECOND_MAX;
        let longest = PERIOD_MS_MAX * COARSE_HZ / 1_000;
        let rough = ratio * most_alike(&coarse, WINDOW_MS * COARSE_HZ / 1_000, shortest, longest);

        let mut fine = [0.0; HISTORY_MS * 48];
        let fine = &mut fine[..self.before.len().min(HISTORY_MS * 48)];
        for (sample, &heard) in fine.iter_mut().zip(self.before.iter()) {
            *sample = f32::from(heard);
        }
        let shortest = (rough - ratio).max(self.samples_per_ms * 1_000 / PERIODS_PER_SECOND_MAX);
        let longest = (rough + ratio).min(PERIOD_MS_MAX * self.samples_per_ms);
        most_alike(fine, WINDOW_MS * self.samples_per_ms, shortest, longest)
    }
}

impl Loop {
    fn advance(&mut self) {
        self.position += 1;
        if self.position == self.samples {
            self.position = 0;
        }
    }
}

/// The lag of the highest normalised correlation of the last `window` samples with earlier ones.
fn most_alike(samples: &[f32], window: usize, shortest: usize, longest: usize) -> usize {
    let end = samples.len() - window;
    let now = &samples[end..];
    let mut best = (f32::MIN, shortest);
    for lag in shortest..=longest {
        let then = &samples[end - lag..end - lag + window];
        let (mut dot, mut energy) = (0.0, 1.0);
        for (a, b) in now.iter().zip(then) {
            dot += a * b;
            energy += b * b;
        }
        let likeness: f32 = dot / f32::sqrt(energy);
        if likeness > best.0 {
            best = (likeness, lag);
        }
    }
    best.1
}

fn round(sample: f32) -> i16 {
    // A cast saturates.
    sample.round() as i16
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::likeness;
    use crate::speech::Speech;

    #[test]
    fn a_lost_packet_of_a_tone_is_hardly_heard() {
        for rate in [8_000, 16_000, 48_000] {
            let wave = |t: usize| {
                let turns = 170.0 * t as f64 / f64::from(rate);
                (10_000.0 * (turns * std::f64::consts::TAU).sin()) as i16
            };
            let said: Vec<i16> = (0..rate as usize / 5).map(wave).collect();
            let mut concealer = Concealer::new(rate);
            let packet = rate as usize / 100;
            let mut error_max = 0;
            for (index, said) in said.chunks(packet).enumerate() {
                let mut heard = said.to_vec();
                if index == 9 {
                    concealer.conceal(&mut heard);
                } else {
                    concealer.heard(&mut heard);
                }
                let error = said.iter().zip(&heard).map(|(a, b)| (a - b).unsigned_abs());
                error_max = error_max.max(error.max().unwrap());
            }
            assert!(error_max < 700, "{rate}: {error_max}");
        }
    }

    #[test]
    fn silence_stays_silence_and_long_losses_end_in_it() {
        let mut concealer = Concealer::new(8_000);
        let mut samples = [7; 160];
        concealer.conceal(&mut samples);
        assert_eq!(samples, [0; 160]);
        let mut speech = Speech::new(3);
        for _ in 0..50 {
            speech.fill(&mut samples);
            concealer.heard(&mut samples);
        }
        for _ in 0..3 {
            concealer.conceal(&mut samples);
        }
        concealer.conceal(&mut samples);
        assert_eq!(samples, [0; 160]);
    }

    #[test]
    fn what_fills_the_gaps_is_like_what_was_lost() {
        let mut said = vec![0; 240_000];
        Speech::new(5).fill(&mut said);
        for (packet, likeness_min) in [(80, 0.7), (160, 0.5)] {
            let mut concealer = Concealer::new(8_000);
            let (mut lost, mut filled) = (Vec::new(), Vec::new());
            for (index, said) in said.chunks(packet).enumerate() {
                let mut heard = said.to_vec();
                if index % 10 == 7 {
                    concealer.conceal(&mut heard);
                    lost.extend_from_slice(said);
                    filled.extend_from_slice(&heard);
                } else {
                    concealer.heard(&mut heard);
                }
            }
            let found = likeness(&lost, &filled, 0).unwrap().correlation;
            assert!(found > likeness_min, "{packet}: {found}");
        }
    }

    #[test]
    fn no_step_is_larger_than_those_of_the_signal() {
        let mut speech = Speech::new(9);
        let mut concealer = Concealer::new(8_000);
        let (mut said_max, mut heard_max, mut last) = (0, 0, [0_i16; 2]);
        for index in 0..500 {
            let mut samples = [0; 160];
            speech.fill(&mut samples);
            for &sample in &samples {
                said_max = said_max.max((i32::from(sample) - i32::from(last[0])).abs());
                last[0] = sample;
            }
            if index % 7 > 4 {
                concealer.conceal(&mut samples);
            } else {
                concealer.heard(&mut samples);
            }
            for &sample in &samples {
                heard_max = heard_max.max((i32::from(sample) - i32::from(last[1])).abs());
                last[1] = sample;
            }
        }
        assert!(
            heard_max <= said_max * 5 / 4,
            "{heard_max} against {said_max}"
        );
    }

    #[test]
    fn any_length_is_concealed() {
        let mut concealer = Concealer::new(8_000);
        for len in [0, 1, 2, 79, 400, 401, 5_760] {
            let mut samples = vec![1_000; len];
            concealer.heard(&mut samples);
            concealer.conceal(&mut samples);
        }
    }
}
