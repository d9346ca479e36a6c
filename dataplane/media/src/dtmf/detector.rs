//! Finds the signals of keys in a signal, ITU-T Q.24.

use std::f32::consts::{PI, TAU};

use super::{HIGH_HZ, KEYPAD, LOW_HZ};

/// What a [`Detector`] found. Positions are in samples since its first one.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Detection {
    /// A key is pressed.
    Began {
        /// Event code of the key, RFC 4733 3.2.
        code: u8,
        /// Where it began, to about 3 ms.
        at: u64,
    },
    /// It is released.
    Ended {
        /// Event code of the key.
        code: u8,
        /// Where it ended, to about 3 ms.
        at: u64,
    },
}

/// Finds DTMF in a signal.
///
/// Blocks of 13 ms are judged by Goertzel's algorithm at the eight frequencies: two tones must hold
/// most of the energy, the low one at most 8 dB above the high one and that at most 6 dB above the
/// low one, and be louder than -42 dBov together. Two blocks in succession that agree make a key
/// if the phases of both tones went on between them as their frequencies have them, within 2.5 %,
/// and what else is in both is 8 dB below. So a key of 40 ms is always found, one of 23 ms
/// or less never, and a break of 10 ms goes unnoticed.
///
/// One multiplication for each sample and frequency; nothing is allocated.
#[derive(Clone, Debug)]
pub struct Detector {
    tones: Tones,
    sample_rate: u32,
    /// Samples of a fifth of a block.
    part_len: usize,
    /// Samples of the part so far, and parts of the block.
    in_part: usize,
    parts: usize,
    part_energy: f32,
    block_energy: f32,
    /// Energy of the latest parts, the newest in the lowest place.
    past: [f32; PAST_PARTS],
    position: u64,
    candidate: Option<Candidate>,
    key: Option<Key>,
}

/// What one block looks like.
#[derive(Clone, Copy, Debug)]
struct Candidate {
    row: usize,
    column: usize,
    low: Place,
    high: Place,
}

/// The spectrum of a block at one frequency.
#[derive(Clone, Copy, Debug)]
struct Place {
    /// Of the block's energy.
    share: f32,
    /// At the end of the block.
    phase: f32,
}

/// What sounds.
#[derive(Clone, Copy, Debug)]
struct Key {
    code: u8,
    /// Where it ended if it does not go on.
    until: u64,
    /// Blocks since then.
    missed: u8,
}

/// Parts of a block.
const PARTS: usize = 5;
/// Parts that are looked back on: three blocks.
const PAST_PARTS: usize = 3 * PARTS;
/// Parts of a second: blocks of 13.1 ms.
const PARTS_PER_SECOND: u32 = 381;
/// Parts that a key must last: more than 23 ms, and what a key of 40 ms always has.
const LENGTH_MIN: f32 = 9.7;
/// A part with this share of the loudest one's energy belongs to the key; beats leave 0.2.
const PART_SHARE: f32 = 0.14;

/// Energy that is found of all at the two frequencies: a pair that is 1.5 % off leaves 0.78.
const FOUND_MIN: f32 = 0.55;
/// Energy that the two tones hold where a key begins, with what deviation hides of them.
const SHARE_MIN: f32 = 0.85;
/// 8 dB: lines attenuate the high tone more.
const LOW_OVER_HIGH_MAX: f32 = 6.31;
/// 6 dB.
const HIGH_OVER_LOW_MAX: f32 = 3.98;
/// Mean square of both tones: -42 dBov, -36 dBm0.
const POWER_MIN: f32 = 32_768.0 * 32_768.0 * 6.3e-5;
/// Of a frequency: what is 1.5 % off is a key, what is 3.5 % off is none.
const DEVIATION_MAX: f32 = 0.025;
/// Blocks without the key that end it.
const MISSED_MAX: u8 = 2;

impl Detector {
    /// For a signal of a sampling rate of 8 to 48 kHz.
    pub fn new(sample_rate: u32) -> Self {
        let part_len = (sample_rate / PARTS_PER_SECOND).max(1) as usize;
        Self {
            tones: Tones::new(sample_rate, part_len * PARTS),
            sample_rate,
            part_len,
            in_part: 0,
            parts: 0,
            part_energy: 0.0,
            block_energy: 0.0,
            past: [0.0; PAST_PARTS],
            position: 0,
            candidate: None,
            key: None,
        }
    }

    /// The sampling rate it is for.
    pub fn sample_rate(&self) -> u32 {
        self.sample_rate
    }

    /// The key that sounds.
    pub fn key(&self) -> Option<u8> {
        self.key.map(|key| key.code)
    }

    /// Samples in which a key is told after it began, and its end after it ended, at most.
    pub fn delay_samples(&self) -> usize {
        3 * PARTS * self.part_len
    }

    /// Takes more of the signal.
    pub fn process(&mut self, mut samples: &[i16], mut report: impl FnMut(Detection)) {
        while !samples.is_empty() {
            let len = samples.len().min(self.part_len - self.in_part);
            let (part, rest) = samples.split_at(len);
            samples = rest;
            self.part_energy += self.tones.process(part);
            self.in_part += len;
            self.position += len as u64;
            if self.in_part == self.part_len {
                self.end_part(&mut report);
            }
        }
    }

    fn end_part(&mut self, report: &mut impl FnMut(Detection)) {
        self.past.copy_within(..PAST_PARTS - 1, 1);
        self.past[0] = self.part_energy;
        self.block_energy += self.part_energy;
        self.part_energy = 0.0;
        self.in_part = 0;
        self.parts += 1;
        if self.parts == PARTS {
            self.end_block(report);
            self.parts = 0;
            self.block_energy = 0.0;
        }
    }

    fn end_block(&mut self, report: &mut impl FnMut(Detection)) {
        let candidate = self.tones.judge(self.block_energy);
        let last = std::mem::replace(&mut self.candidate, candidate);
        let goes_on = match (self.key, candidate) {
            (Some(key), Some(candidate)) => candidate.code() == key.code,
            _ => false,
        };
        if goes_on {
            self.go_on();
            return;
        }
        if let Some(key) = &mut self.key {
            if key.missed == 0 {
                // The last block of the key may have ended in silence.
                let (quiet, _) = run_of(&self.past, 2 * PARTS);
                key.until = self.position - (quiet * self.part_len) as u64;
            }
            key.missed += 1;
        }
        let begins = candidate.filter(|now| last.is_some_and(|last| self.follows(last, *now)));
        let ended = self
            .key
            .filter(|key| key.missed >= MISSED_MAX || begins.is_some());
        if let Some(key) = ended {
            self.key = None;
            report(Detection::Ended {
                code: key.code,
                at: key.until,
            });
        }
        if let Some(candidate) = begins {
            self.begin(candidate, report);
        }
    }

    fn go_on(&mut self) {
        if let Some(key) = &mut self.key {
            key.missed = 0;
            key.until = self.position;
        }
    }

    fn begin(&mut self, candidate: Candidate, report: &mut impl FnMut(Detection)) {
        let (skipped, run) = run_of(&self.past, PAST_PARTS);
        if length_of(&self.past[skipped..skipped + run]) < LENGTH_MIN {
            return;
        }
        let code = candidate.code();
        let back = (skipped + run) * self.part_len;
        self.key = Some(Key {
            code,
            until: self.position,
            missed: 0,
        });
        report(Detection::Began {
            code,
            at: self.position.saturating_sub(back as u64),
        });
    }

    /// Whether the same two tones go on from one block to the next.
    fn follows(&self, last: Candidate, now: Candidate) -> bool {
        if (last.row, last.column) != (now.row, now.column) {
            return false;
        }
        let (low_hz, high_hz) = (LOW_HZ[now.row], HIGH_HZ[now.column]);
        let low = self.deviation(low_hz, last.low.phase, now.low.phase);
        let high = self.deviation(high_hz, last.high.phase, now.high.phase);
        if low.abs() > DEVIATION_MAX * low_hz || high.abs() > DEVIATION_MAX * high_hz {
            return false;
        }
        let (low, high) = (self.attenuation(low), self.attenuation(high));
        let is_alone =
            |block: Candidate| block.low.share / low + block.high.share / high >= SHARE_MIN;
        is_alone(last) && is_alone(now)
    }

    /// By how many hertz a tone is off whose phases at the ends of two blocks are these.
    fn deviation(&self, hz: f32, before: f32, after: f32) -> f32 {
        let seconds = self.block_seconds();
        let turned = after - before - TAU * (hz * seconds).fract();
        (turned - TAU * (turned / TAU).round()) / (TAU * seconds)
    }

    /// What a block shows of the power of a tone that is off by so many hertz.
    fn attenuation(&self, hz: f32) -> f32 {
        let angle = PI * hz * self.block_seconds();
        if angle.abs() < 1e-3 {
            return 1.0;
        }
        (angle.sin() / angle).powi(2)
    }

    fn block_seconds(&self) -> f32 {
        (PARTS * self.part_len) as f32 / self.sample_rate as f32
    }
}

impl Candidate {
    fn code(&self) -> u8 {
        KEYPAD[self.row][self.column]
    }
}

/// Of the latest `limit` parts: those at the end that are quiet, and the loud ones in a row before.
fn run_of(past: &[f32; PAST_PARTS], limit: usize) -> (usize, usize) {
    let loudest = past.iter().copied().fold(0.0, f32::max);
    let is_loud = |energy: &&f32| **energy >= PART_SHARE * loudest;
    let past = &past[..limit];
    let skipped = past.iter().take_while(|energy| !is_loud(energy)).count();
    let run = past[skipped..].iter().take_while(is_loud).count();
    (skipped, run)
}

/// How many parts a key lasted, by their energies: what it has of the first and the last is told
/// by those between.
fn length_of(run: &[f32]) -> f32 {
    let [first, between @ .., last] = run else {
        return 0.0;
    };
    let count = between.len() as f32;
    let mean = between.iter().sum::<f32>() / count.max(1.0);
    if mean <= 0.0 {
        return 0.0;
    }
    count + ((first + last) / mean).min(2.0)
}

/// Goertzel's algorithm at the eight frequencies at once.
#[derive(Clone, Debug)]
struct Tones {
    /// Twice the cosine of each frequency's angle.
    turns: [f32; 8],
    last: [f32; 8],
    before: [f32; 8],
    block_len: f32,
    angles: [f32; 8],
}

impl Tones {
    fn new(sample_rate: u32, block_len: usize) -> Self {
        let mut angles = [0.0; 8];
        for (angle, hz) in angles.iter_mut().zip(LOW_HZ.iter().chain(&HIGH_HZ)) {
            *angle = TAU * hz / sample_rate as f32;
        }
        Self {
            turns: angles.map(|angle| 2.0 * angle.cos()),
            last: [0.0; 8],
            before: [0.0; 8],
            block_len: block_len as f32,
            angles,
        }
    }

    /// Takes samples and returns their energy.
    fn process(&mut self, samples: &[i16]) -> f32 {
        let mut energy = 0.0;
        let (mut last, mut before) = (self.last, self.before);
        for &sample in samples {
            let sample = f32::from(sample);
            energy += sample * sample;
            for tone in 0..8 {
                let next = sample + self.turns[tone] * last[tone] - before[tone];
                before[tone] = last[tone];
                last[tone] = next;
            }
        }
        (self.last, self.before) = (last, before);
        energy
    }

    /// What the block that ends here is, and begins the next.
    fn judge(&mut self, energy: f32) -> Option<Candidate> {
        let (last, before) = (self.last, self.before);
        (self.last, self.before) = ([0.0; 8], [0.0; 8]);
        if energy < POWER_MIN * self.block_len {
            return None;
        }
        let mut powers = [0.0_f32; 8];
        for tone in 0..8 {
            powers[tone] = last[tone] * last[tone] + before[tone] * before[tone]
                - self.turns[tone] * last[tone] * before[tone];
        }
        let row = loudest(&powers[..4]);
        let column = loudest(&powers[4..]);
        let (low, high) = (powers[row], powers[4 + column]);
        // A sine of this energy over the block has this power in its place of the spectrum.
        let share = (low + high) * 2.0 / (self.block_len * energy);
        if share < FOUND_MIN || low > high * LOW_OVER_HIGH_MAX || high > low * HIGH_OVER_LOW_MAX {
            return None;
        }
        let place = |tone: usize| {
            let (sin, cos) = self.angles[tone].sin_cos();
            Place {
                share: powers[tone] * 2.0 / (self.block_len * energy),
                phase: (before[tone] * sin).atan2(last[tone] - before[tone] * cos),
            }
        };
        Some(Candidate {
            row,
            column,
            low: place(row),
            high: place(4 + column),
        })
    }
}

fn loudest(powers: &[f32]) -> usize {
    let mut best = 0;
    for (index, power) in powers.iter().enumerate() {
        if *power > powers[best] {
            best = index;
        }
    }
    best
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::dtmf::{CODES, tone};
    use crate::tone::{Tone, ToneGenerator};
    use codecs::speech::Speech;

    fn detect(sample_rate: u32, samples: &[i16]) -> Vec<Detection> {
        let mut detector = Detector::new(sample_rate);
        let mut found = Vec::new();
        for tick in samples.chunks(sample_rate as usize / 50) {
            detector.process(tick, |detection| found.push(detection));
        }
        found
    }

    fn codes(found: &[Detection]) -> Vec<u8> {
        let began = found.iter().filter_map(|detection| match detection {
            Detection::Began { code, .. } => Some(*code),
            Detection::Ended { .. } => None,
        });
        began.collect()
    }

    /// Silence, a pair of frequencies with peaks, and silence.
    fn pair(hz: [f32; 2], peaks: [f32; 2], before: usize, len: usize) -> Vec<i16> {
        let sine = |n: usize, tone: usize| peaks[tone] * (TAU * hz[tone] * n as f32 / 8000.0).sin();
        let key = (0..len).map(|n| (sine(n, 0) + sine(n, 1)) as i16);
        let silence = |len| std::iter::repeat_n(0, len);
        silence(before).chain(key).chain(silence(800)).collect()
    }

    #[test]
    fn every_key_of_40_ms_is_found_wherever_it_begins_at_any_rate() {
        for sample_rate in [8000, 16_000, 48_000] {
            let ms = sample_rate as usize / 1000;
            for code in 0..CODES {
                let before = 20 * ms + usize::from(code) * ms;
                let mut samples = vec![0; before + 200 * ms];
                let key = &mut samples[before..before + 40 * ms];
                let tone = tone(code, Some(40)).unwrap();
                ToneGenerator::new(tone, sample_rate, -8.0).fill(key);
                let found = detect(sample_rate, &samples);
                let [
                    Detection::Began { code: began, at },
                    Detection::Ended {
                        code: ended,
                        at: end,
                    },
                ] = found[..]
                else {
                    panic!("{sample_rate} {code}: {found:?}");
                };
                assert_eq!((began, ended), (code, code));
                let (at, end) = (at as i64, end as i64);
                let slack = 4 * ms as i64;
                assert!((at - before as i64).abs() <= slack, "{code}: {at} {before}");
                let expected = (before + 40 * ms) as i64;
                assert!((end - expected).abs() <= slack, "{code}: {end} {expected}");
            }
        }
    }

    #[test]
    fn short_keys_are_not_found_and_short_breaks_do_not_matter() {
        for offset in 0..110 {
            let short = pair([770.0, 1336.0], [8000.0; 2], 400 + offset, 23 * 8);
            assert_eq!(codes(&detect(8000, &short)), [], "{offset}");
            let mut broken = pair([770.0, 1336.0], [8000.0; 2], 400 + offset, 120 * 8);
            broken[400 + offset + 480..][..80].fill(0);
            assert_eq!(codes(&detect(8000, &broken)), [5], "{offset}");
        }
    }

    #[test]
    fn digits_with_40_ms_between_are_told_apart() {
        let mut samples = Vec::new();
        for code in [1, 1, 2, 15, 15, 0] {
            let mut key = vec![0; 640];
            ToneGenerator::new(tone(code, Some(40)).unwrap(), 8000, -8.0).fill(&mut key);
            samples.extend(key);
        }
        samples.extend([0; 400]);
        assert_eq!(codes(&detect(8000, &samples)), [1, 1, 2, 15, 15, 0]);
    }

    #[test]
    fn frequencies_may_be_off_by_one_and_a_half_percent_but_not_by_three_and_a_half() {
        for (row, keys) in KEYPAD.iter().enumerate() {
            for (column, code) in keys.iter().enumerate() {
                for off in [-1.0, 1.0] {
                    let at = |percent: f32| {
                        let factor = 1.0 + off * percent / 100.0;
                        let hz = [LOW_HZ[row] * factor, HIGH_HZ[column] * factor];
                        codes(&detect(8000, &pair(hz, [8000.0; 2], 333, 480)))
                    };
                    assert_eq!(at(1.5), [*code], "{code} {off}");
                    assert_eq!(at(3.5), [], "{code} {off}");
                }
            }
        }
    }

    #[test]
    fn levels_may_differ_within_the_allowed_twist() {
        let with_peaks = |low: f32, high: f32| {
            let samples = pair([852.0, 1477.0], [low, high], 500, 480);
            codes(&detect(8000, &samples))
        };
        assert_eq!(with_peaks(10_000.0, 4200.0), [9]); // 7.5 dB
        assert_eq!(with_peaks(10_000.0, 3500.0), []); // 9.1 dB
        assert_eq!(with_peaks(5300.0, 10_000.0), [9]); // 5.5 dB
        assert_eq!(with_peaks(4200.0, 10_000.0), []); // 7.5 dB
        assert_eq!(with_peaks(360.0, 360.0), [9]); // -39 dBov each
        assert_eq!(with_peaks(100.0, 100.0), []);
    }

    #[test]
    fn noise_15_db_below_does_not_hide_a_key() {
        let mut noise = 1_u32;
        for code in 0..CODES {
            let mut samples = vec![0; 1600];
            let tone = tone(code, Some(50)).unwrap();
            ToneGenerator::new(tone, 8000, -8.0).fill(&mut samples[400..]);
            for sample in &mut samples {
                noise = noise.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
                // Both tones have -11 dBov in sum; this noise has -26.
                *sample += (noise as i32 >> 16) as i16 / 12;
            }
            assert_eq!(codes(&detect(8000, &samples)), [code]);
        }
    }

    #[test]
    fn other_tones_and_talkers_are_no_keys() {
        for hz in (300..3400).step_by(20) {
            let tone = Tone::of(&[hz as f32], Some(400));
            let mut samples = vec![0; 4000];
            ToneGenerator::new(tone, 8000, -6.0).fill(&mut samples);
            assert_eq!(detect(8000, &samples), [], "{hz}");
        }
        for text in [
            "350+440",
            "440+480",
            "480+620",
            "400+450",
            "697+770",
            "1209+1336",
        ] {
            let mut samples = vec![0; 4000];
            ToneGenerator::new(Tone::parse(text).unwrap(), 8000, -10.0).fill(&mut samples);
            assert_eq!(detect(8000, &samples), [], "{text}");
        }
        // Two minutes of talk.
        for seed in 1..5 {
            let mut samples = vec![0; 30 * 8000];
            Speech::new(seed).fill(&mut samples);
            assert_eq!(detect(8000, &samples), [], "{seed}");
        }
    }

    /// Chords of three instruments, one after the other: notes of equal temperament, at random,
    /// with overtones that fade as they do on strings.
    fn music(seed: u32, seconds: usize) -> Vec<i16> {
        let mut noise = seed;
        let mut random = |below: u32| {
            noise = noise.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
            ((noise >> 16) * below) >> 16
        };
        let mut samples = vec![0.0_f32; seconds * 8000];
        for _ in 0..3 {
            let mut at = 0;
            while at < samples.len() {
                // From A2 to A6.
                let hz = 110.0 * (random(49) as f32 / 12.0).exp2();
                let length = 1000 + random(5000) as usize;
                let brightness = 0.3 + random(70) as f32 / 100.0;
                let note = samples[at..].iter_mut().take(length).enumerate();
                for (index, sample) in note {
                    let time = index as f32 / 8000.0;
                    for overtone in 1..=8_u8 {
                        let hz = hz * f32::from(overtone);
                        if hz < 3800.0 {
                            let fades = (-time * (2.0 + f32::from(overtone))).exp();
                            let level = brightness.powi(i32::from(overtone) - 1);
                            *sample += level * fades * (std::f32::consts::TAU * hz * time).sin();
                        }
                    }
                }
                at += length;
            }
        }
        samples
            .iter()
            .map(|sample| (2500.0 * sample) as i16)
            .collect()
    }

    #[test]
    fn music_is_a_key_twice_in_four_minutes_at_most() {
        let keys: usize = (1..5)
            .map(|seed| codes(&detect(8000, &music(seed, 60))).len())
            .sum();
        println!("{keys} keys in four minutes");
        assert!(keys <= 2, "{keys}");
    }
}
