//! A signal that behaves like speech, for calls without a microphone.
//!
//! Source and filter: a pulse train whose pitch wanders, or noise, through three resonances that
//! move from one vowel to the next, in syllables with pauses between words. Nobody would understand
//! it, but its level, its pauses and its spectrum exercise codecs, voice activity detection and
//! jitter buffers as a talker does.

/// Samples per second.
pub const SAMPLE_HZ: u32 = 8000;

const TICK_SAMPLES: u32 = 40;

/// An endless talker at 8 kHz, 16 bits: the same seed says the same.
///
/// About -20 dBov while talking, and talking for about two thirds of the time.
#[derive(Clone, Debug)]
pub struct Speech {
    noise: u32,
    phase: f32,
    pitch_hz: f32,
    resonators: [Resonator; 3],
    from: &'static [f32; 3],
    to: &'static [f32; 3],
    kind: Sound,
    /// Samples since the sound began.
    position: u32,
    /// Samples the sound lasts.
    length: u32,
    syllables_left: u32,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Sound {
    Voiced,
    Unvoiced,
    Pause,
}

/// Formants of a, e, i, o, u and schwa of an adult, in hertz.
const VOWELS: [[f32; 3]; 6] = [
    [730.0, 1090.0, 2440.0],
    [530.0, 1840.0, 2480.0],
    [270.0, 2290.0, 3010.0],
    [570.0, 840.0, 2410.0],
    [300.0, 870.0, 2240.0],
    [500.0, 1500.0, 2500.0],
];

/// Bandwidths of the formants, in hertz, and their weights.
const BANDWIDTHS: [f32; 3] = [80.0, 100.0, 140.0];
const WEIGHTS: [f32; 3] = [1.0, 0.6, 0.3];

impl Speech {
    /// The talker of this seed.
    pub fn new(seed: u32) -> Self {
        let mut speech = Self {
            noise: seed.wrapping_mul(0x9e37_79b9) | 1,
            phase: 0.0,
            pitch_hz: 0.0,
            resonators: [Resonator::default(); 3],
            from: &VOWELS[5],
            to: &VOWELS[5],
            kind: Sound::Pause,
            position: 0,
            length: 0,
            syllables_left: 0,
        };
        speech.pitch_hz = 105.0 + speech.random(110) as f32;
        speech
    }

    /// The next samples.
    pub fn fill(&mut self, samples: &mut [i16]) {
        for sample in samples {
            *sample = self.next_sample();
        }
    }

    /// The next sample.
    pub fn next_sample(&mut self) -> i16 {
        if self.position >= self.length {
            self.begin_sound();
        }
        if self.position.is_multiple_of(TICK_SAMPLES) {
            self.tune();
        }
        let excitation = match self.kind {
            Sound::Voiced => self.pulse(),
            Sound::Unvoiced => self.hiss() * 0.25,
            Sound::Pause => 0.0,
        };
        let mut sum = 0.0;
        for (resonator, weight) in self.resonators.iter_mut().zip(WEIGHTS) {
            sum += weight * resonator.step(excitation);
        }
        // A floor of noise, as of a room, so that a pause is not digital silence.
        let sample = sum * self.envelope() * 9000.0 + self.hiss() * 12.0;
        self.position += 1;
        sample.clamp(-32_000.0, 32_000.0) as i16
    }

    fn begin_sound(&mut self) {
        self.position = 0;
        if self.kind != Sound::Pause && self.syllables_left == 0 {
            self.kind = Sound::Pause;
            self.length = 2400 + self.random(4000);
            return;
        }
        if self.kind == Sound::Pause {
            self.syllables_left = 3 + self.random(6);
        }
        self.from = self.to;
        if self.kind != Sound::Unvoiced && self.random(3) == 0 {
            self.kind = Sound::Unvoiced;
            self.length = 400 + self.random(500);
        } else {
            self.kind = Sound::Voiced;
            self.length = 960 + self.random(1200);
            self.to = &VOWELS[self.random(VOWELS.len() as u32) as usize];
            self.syllables_left = self.syllables_left.saturating_sub(1);
        }
    }

    /// Moves pitch and resonances, every 5 ms.
    fn tune(&mut self) {
        let drift = self.random(9) as f32 - 4.0;
        self.pitch_hz = (self.pitch_hz + 0.5 * drift).clamp(85.0, 260.0);
        let along = self.position as f32 / self.length.max(1) as f32;
        for (index, resonator) in self.resonators.iter_mut().enumerate() {
            let hz = self.from[index] + (self.to[index] - self.from[index]) * along;
            resonator.tune(hz, BANDWIDTHS[index]);
        }
    }

    fn pulse(&mut self) -> f32 {
        self.phase += self.pitch_hz / SAMPLE_HZ as f32;
        let breath = self.hiss() * 0.02;
        if self.phase < 1.0 {
            return breath;
        }
        self.phase -= 1.0;
        1.5 + breath
    }

    /// Rises and falls over 20 ms at the ends of a sound.
    fn envelope(&self) -> f32 {
        let end = self.length.saturating_sub(self.position);
        let edge = self.position.min(end).min(160);
        edge as f32 / 160.0
    }

    fn hiss(&mut self) -> f32 {
        self.next_noise() as i32 as f32 / 2_147_483_648.0
    }

    fn random(&mut self, bound: u32) -> u32 {
        ((u64::from(self.next_noise()) * u64::from(bound)) >> 32) as u32
    }

    /// Xorshift32: enough for noise, and the same on every machine.
    fn next_noise(&mut self) -> u32 {
        self.noise ^= self.noise << 13;
        self.noise ^= self.noise >> 17;
        self.noise ^= self.noise << 5;
        self.noise
    }
}

/// A two-pole resonator with unit gain at its frequency.
#[derive(Clone, Copy, Debug, Default)]
struct Resonator {
    gain: f32,
    first: f32,
    second: f32,
    history: [f32; 2],
}

impl Resonator {
    fn tune(&mut self, hz: f32, bandwidth_hz: f32) {
        use std::f32::consts::PI;
        let radius = (-PI * bandwidth_hz / SAMPLE_HZ as f32).exp();
        let angle = 2.0 * PI * hz / SAMPLE_HZ as f32;
        self.first = 2.0 * radius * angle.cos();
        self.second = -radius * radius;
        self.gain =
            (1.0 - radius) * (1.0 - 2.0 * radius * (2.0 * angle).cos() + radius * radius).sqrt();
        self.gain *= 4.0;
    }

    fn step(&mut self, input: f32) -> f32 {
        let output =
            self.gain * input + self.first * self.history[0] + self.second * self.history[1];
        self.history = [output, self.history[0]];
        output
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn say(seed: u32, seconds: usize) -> Vec<i16> {
        let mut samples = vec![0; seconds * SAMPLE_HZ as usize];
        Speech::new(seed).fill(&mut samples);
        samples
    }

    fn level_db(samples: &[i16]) -> f64 {
        let power: f64 = samples.iter().map(|&s| f64::from(s) * f64::from(s)).sum();
        10.0 * (power / samples.len() as f64 / (32_768.0 * 32_768.0)).log10()
    }

    #[test]
    fn the_same_seed_says_the_same_and_another_does_not() {
        assert_eq!(say(1, 2), say(1, 2));
        assert_ne!(say(1, 2), say(2, 2));
    }

    #[test]
    fn talks_at_speech_level_with_pauses() {
        for seed in 1..6 {
            let samples = say(seed, 30);
            let frames: Vec<f64> = samples.chunks(160).map(level_db).collect();
            let loud = frames.iter().filter(|&&db| db > -45.0).count() as f64 / frames.len() as f64;
            assert!((0.45..0.85).contains(&loud), "seed {seed}: talks {loud}");
            let level = level_db(&samples);
            assert!((-30.0..-14.0).contains(&level), "seed {seed}: {level} dBov");
            let clipped = samples
                .iter()
                .filter(|s| s.unsigned_abs() >= 32_000)
                .count();
            assert!(
                clipped * 1000 < samples.len(),
                "seed {seed}: {clipped} clipped"
            );
        }
    }

    #[test]
    fn one_block_is_as_good_as_many() {
        let whole = say(3, 1);
        let mut speech = Speech::new(3);
        let mut parts = vec![0; whole.len()];
        parts.chunks_mut(160).for_each(|part| speech.fill(part));
        assert_eq!(whole, parts);
    }
}
