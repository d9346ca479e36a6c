//! The voice that is built in: a formant synthesiser after Klatt, small and plain.
//!
//! It needs no recordings and is understood, no more: a network that has a voice of its own
//! records its words and announcements.

use std::f32::consts::TAU;

/// A sound, by its place in the table.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Phoneme(u8);

/// Samples per second of what is said.
pub(crate) const RATE: u32 = 16_000;

/// Reads sounds by their names, separated by blanks.
///
/// # Errors
/// The name that is none.
pub(crate) fn phonemes(text: &str) -> Result<Vec<Phoneme>, String> {
    let names = text.split_whitespace();
    names
        .map(|name| {
            let found = SOUNDS.iter().position(|sound| sound.name == name);
            found
                .map(|index| Phoneme(index as u8))
                .ok_or_else(|| name.to_owned())
        })
        .collect()
}

/// Says a word; the same samples each time.
pub(crate) fn say(word: &[Phoneme]) -> Vec<i16> {
    let mut track = Track::default();
    for phoneme in word.iter().take(SOUNDS_MAX) {
        for target in SOUNDS[usize::from(phoneme.0)].targets {
            track.push(*target);
        }
    }
    track.synthesise()
}

/// What the mouth does for a time.
#[derive(Clone, Copy, Debug)]
struct Target {
    ms: f32,
    /// Resonances of the tract, Hz.
    formants: [f32; 3],
    /// Strength of the voice, of breath through the tract, and of noise at its front: 0 to 1.
    voice: f32,
    breath: f32,
    noise: f32,
    /// Where the noise is strongest, and how wide, Hz.
    noise_at: f32,
    noise_width: f32,
}

/// A sound of a language.
struct Sound {
    name: &'static str,
    targets: &'static [Target],
}

const fn vowel(ms: f32, formants: [f32; 3]) -> Target {
    Target {
        ms,
        formants,
        voice: 1.0,
        breath: 0.0,
        noise: 0.0,
        noise_at: 3000.0,
        noise_width: 1000.0,
    }
}

/// Nasals, liquids and glides: softer than vowels.
const fn soft(ms: f32, voice: f32, formants: [f32; 3]) -> Target {
    Target {
        voice,
        ..vowel(ms, formants)
    }
}

const fn hiss(ms: f32, voice: f32, noise: f32, at: f32, width: f32, formants: [f32; 3]) -> Target {
    Target {
        voice,
        noise,
        noise_at: at,
        noise_width: width,
        ..vowel(ms, formants)
    }
}

const fn breath(ms: f32, breath: f32, formants: [f32; 3]) -> Target {
    Target {
        voice: 0.0,
        breath,
        ..vowel(ms, formants)
    }
}

// Places of the tongue before and after stops.
const LIPS: [f32; 3] = [250.0, 900.0, 2200.0];
const TEETH: [f32; 3] = [250.0, 1750.0, 2700.0];
const PALATE: [f32; 3] = [250.0, 2000.0, 2500.0];

const AA: [f32; 3] = [730.0, 1150.0, 2440.0];
const AE: [f32; 3] = [670.0, 1750.0, 2450.0];
const AH: [f32; 3] = [630.0, 1220.0, 2500.0];
const AO: [f32; 3] = [560.0, 860.0, 2410.0];
const AX: [f32; 3] = [500.0, 1450.0, 2500.0];
const EH: [f32; 3] = [540.0, 1850.0, 2500.0];
const EE: [f32; 3] = [380.0, 2150.0, 2750.0];
const ER: [f32; 3] = [480.0, 1340.0, 1700.0];
const IH: [f32; 3] = [400.0, 1950.0, 2580.0];
const IY: [f32; 3] = [285.0, 2280.0, 3000.0];
const OO: [f32; 3] = [400.0, 780.0, 2450.0];
const UH: [f32; 3] = [440.0, 1030.0, 2280.0];
const UW: [f32; 3] = [330.0, 1250.0, 2350.0];

macro_rules! sounds {
    ($($name:literal: $($target:expr),+;)*) => {
        &[$(Sound { name: $name, targets: &[$($target),+] }),*]
    };
}

/// All sounds. Vowels after Peterson and Barney 1952, loci of consonants after Klatt 1980.
static SOUNDS: &[Sound] = sounds! {
    "aa": vowel(150.0, AA);
    "ae": vowel(140.0, AE);
    "ah": vowel(120.0, AH);
    "ao": vowel(150.0, AO);
    "ax": vowel(75.0, AX);
    "eh": vowel(120.0, EH);
    "ee": vowel(150.0, EE);
    "er": vowel(150.0, ER);
    "ih": vowel(95.0, IH);
    "iy": vowel(140.0, IY);
    "oh": vowel(110.0, AO);
    "oo": vowel(150.0, OO);
    "uh": vowel(95.0, UH);
    "uw": vowel(140.0, UW);
    "yh": vowel(100.0, [350.0, 1700.0, 2300.0]);
    "yy": vowel(150.0, [280.0, 1750.0, 2250.0]);
    "oe": vowel(130.0, [430.0, 1550.0, 2300.0]);
    "ay": vowel(110.0, AA), vowel(90.0, IH);
    "aw": vowel(110.0, AA), vowel(90.0, UH);
    "ey": vowel(100.0, EH), vowel(80.0, IY);
    "ow": vowel(100.0, [500.0, 950.0, 2400.0]), vowel(80.0, UW);
    "oy": vowel(110.0, AO), vowel(90.0, IH);
    "m": soft(75.0, 0.45, [250.0, 1000.0, 2200.0]);
    "n": soft(70.0, 0.45, [250.0, 1600.0, 2600.0]);
    "ng": soft(80.0, 0.4, [250.0, 2000.0, 2500.0]);
    "l": soft(65.0, 0.6, [360.0, 1050.0, 2800.0]);
    "r": soft(65.0, 0.6, [400.0, 1100.0, 1550.0]);
    "w": soft(65.0, 0.6, [290.0, 650.0, 2150.0]);
    "y": soft(60.0, 0.6, [260.0, 2200.0, 3000.0]);
    "hh": breath(65.0, 0.35, AX);
    "f": hiss(100.0, 0.0, 0.14, 6500.0, 3500.0, LIPS);
    "v": hiss(60.0, 0.35, 0.06, 6500.0, 3500.0, LIPS);
    "th": hiss(95.0, 0.0, 0.10, 6000.0, 3000.0, [300.0, 1400.0, 2600.0]);
    "dh": hiss(50.0, 0.4, 0.04, 6000.0, 3000.0, [300.0, 1400.0, 2600.0]);
    "s": hiss(120.0, 0.0, 0.8, 5200.0, 1600.0, TEETH);
    "z": hiss(80.0, 0.3, 0.5, 5200.0, 1600.0, TEETH);
    "sh": hiss(115.0, 0.0, 0.5, 3000.0, 1100.0, [300.0, 1850.0, 2500.0]);
    "zh": hiss(80.0, 0.35, 0.25, 3000.0, 1100.0, [300.0, 1850.0, 2500.0]);
    "cx": hiss(95.0, 0.0, 0.28, 3600.0, 900.0, [300.0, 2200.0, 2900.0]);
    "xx": hiss(95.0, 0.0, 0.28, 1500.0, 700.0, [400.0, 1100.0, 2300.0]);
    "p": soft(70.0, 0.0, LIPS), hiss(8.0, 0.0, 0.30, 1500.0, 2500.0, LIPS), breath(30.0, 0.25, LIPS);
    "t": soft(65.0, 0.0, TEETH), hiss(25.0, 0.0, 1.0, 4200.0, 1600.0, TEETH), breath(35.0, 1.0, TEETH);
    "k": soft(65.0, 0.0, PALATE), hiss(20.0, 0.0, 0.4, 2100.0, 900.0, PALATE), breath(35.0, 0.25, PALATE);
    "b": soft(55.0, 0.12, LIPS), hiss(7.0, 0.3, 0.15, 1500.0, 2500.0, LIPS);
    "d": soft(50.0, 0.12, TEETH), hiss(10.0, 0.3, 0.25, 4500.0, 2000.0, TEETH);
    "g": soft(50.0, 0.12, PALATE), hiss(15.0, 0.3, 0.2, 2100.0, 900.0, PALATE);
    "ch": soft(55.0, 0.0, TEETH), hiss(85.0, 0.0, 0.45, 3200.0, 1200.0, [300.0, 1850.0, 2500.0]);
    "jh": soft(45.0, 0.12, TEETH), hiss(60.0, 0.3, 0.25, 3200.0, 1200.0, [300.0, 1850.0, 2500.0]);
};

/// Targets in time.
#[derive(Default)]
struct Track {
    targets: Vec<Target>,
}

impl Track {
    fn push(&mut self, target: Target) {
        self.targets.push(target);
    }

    fn synthesise(mut self) -> Vec<i16> {
        let Some(last) = self.targets.last_mut() else {
            return Vec::new();
        };
        // The end of a word is drawn out.
        if last.voice > 0.9 {
            last.ms *= 1.25;
        }
        let length: f32 = self.targets.iter().map(|target| target.ms).sum();
        let mut voice = Voice::new();
        let mut samples = Vec::with_capacity((length * RATE as f32 / 1000.0) as usize);
        let mut begin = 0.0;
        for (index, target) in self.targets.iter().enumerate() {
            let before = index.checked_sub(1).map(|before| self.targets[before]);
            let after = self.targets.get(index + 1).copied();
            let count = (target.ms * RATE as f32 / 1000.0) as usize;
            for sample in 0..count {
                let at = sample as f32 * 1000.0 / RATE as f32;
                let mouth = target.between(before, after, at);
                let through = (begin + at) / length;
                samples.push(voice.sample(&mouth, 128.0 - 28.0 * through));
            }
            begin += target.ms;
        }
        fade(&mut samples);
        samples
    }
}

impl Target {
    /// Glides from the target before and to the one after: half way at each boundary.
    fn between(&self, before: Option<Target>, after: Option<Target>, at: f32) -> Target {
        let silent = Target {
            voice: 0.0,
            breath: 0.0,
            noise: 0.0,
            ..*self
        };
        let (before, after) = (before.unwrap_or(silent), after.unwrap_or(silent));
        let mut mouth = *self;
        for (other, distance) in [(before, at), (after, self.ms - at)] {
            // Formants glide slowly, strengths quickly.
            let glide = |span: f32| {
                let span = span.min(self.ms / 2.0).max(1.0);
                (0.5 - 0.5 * distance / span).max(0.0)
            };
            let (slow, quick) = (glide(45.0), glide(12.0));
            for (formant, theirs) in mouth.formants.iter_mut().zip(other.formants) {
                *formant += (theirs - *formant) * slow;
            }
            mouth.voice += (other.voice - mouth.voice) * quick;
            mouth.breath += (other.breath - mouth.breath) * quick;
            mouth.noise += (other.noise - mouth.noise) * quick;
        }
        mouth
    }
}

/// Sources and resonators.
struct Voice {
    /// Place in the period of the vocal cords, 0 to 1.
    phase: f32,
    seed: u32,
    tract: [Resonator; 5],
    front: Band,
    last: f32,
}

impl Voice {
    fn new() -> Self {
        Self {
            phase: 0.0,
            seed: 0x2545_f491,
            tract: [Resonator::default(); 5],
            front: Band::default(),
            last: 0.0,
        }
    }

    fn sample(&mut self, mouth: &Target, pitch: f32) -> i16 {
        self.phase = (self.phase + pitch / RATE as f32).fract();
        let noise = self.noise();
        let source = mouth.voice * glottis(self.phase) + mouth.breath * noise * 0.3;
        let [one, two, three] = mouth.formants;
        let resonances = [
            (one, 60.0),
            (two, 90.0),
            (three, 150.0),
            (3500.0, 250.0),
            (4500.0, 350.0),
        ];
        let mut tract = source;
        for (resonator, (at, width)) in self.tract.iter_mut().zip(resonances) {
            tract = resonator.pass(tract, at, width);
        }
        // Sound leaves the lips by its changes.
        let lips = tract - self.last;
        self.last = tract;
        let front = self
            .front
            .pass(mouth.noise * noise, mouth.noise_at, mouth.noise_width);
        let sum = 20_000.0 * lips + 11_000.0 * front;
        // Loud peaks are rounded, not cut.
        (28_000.0 * (sum / 28_000.0).tanh()) as i16
    }

    /// -1 to 1, white.
    fn noise(&mut self) -> f32 {
        self.seed ^= self.seed << 13;
        self.seed ^= self.seed >> 17;
        self.seed ^= self.seed << 5;
        self.seed as i32 as f32 / 2_147_483_648.0
    }
}

/// Air through the vocal cords in a period, after Rosenberg: opens, closes quickly, stays closed.
fn glottis(phase: f32) -> f32 {
    const OPENING: f32 = 0.4;
    const CLOSING: f32 = 0.16;
    if phase < OPENING {
        0.5 - 0.5 * (TAU / 2.0 * phase / OPENING).cos()
    } else if phase < OPENING + CLOSING {
        (TAU / 4.0 * (phase - OPENING) / CLOSING).cos()
    } else {
        0.0
    }
}

/// One resonance, of unity gain at 0 Hz.
#[derive(Clone, Copy, Default)]
struct Resonator {
    one: f32,
    two: f32,
}

impl Resonator {
    fn pass(&mut self, input: f32, at: f32, width: f32) -> f32 {
        let rate = RATE as f32;
        let radius = (-TAU / 2.0 * width / rate).exp();
        let c = -radius * radius;
        let b = 2.0 * radius * (TAU * at / rate).cos();
        let output = (1.0 - b - c) * input + b * self.one + c * self.two;
        self.two = self.one;
        self.one = output;
        output
    }
}

/// A band of noise, of unity gain in its middle and none at 0 Hz.
#[derive(Clone, Copy, Default)]
struct Band {
    resonator: Resonator,
    before: [f32; 2],
}

impl Band {
    fn pass(&mut self, input: f32, at: f32, width: f32) -> f32 {
        let difference = input - self.before[1];
        self.before = [input, self.before[0]];
        let rate = RATE as f32;
        let radius = (-TAU / 2.0 * width / rate).exp();
        let c = -radius * radius;
        let b = 2.0 * radius * (TAU * at / rate).cos();
        // The resonator scales by this for unity at 0 Hz.
        let scale = (1.0 - radius * radius) / 2.0 / (1.0 - b - c);
        self.resonator.pass(scale * difference, at, width)
    }
}

/// No click at the edges.
fn fade(samples: &mut [i16]) {
    let edge = (RATE as usize / 200).min(samples.len() / 2);
    let length = samples.len();
    for index in 0..edge {
        let scale = |sample: i16| (i32::from(sample) * index as i32 / edge as i32) as i16;
        samples[index] = scale(samples[index]);
        samples[length - 1 - index] = scale(samples[length - 1 - index]);
    }
}

/// Sounds of one word.
const SOUNDS_MAX: usize = 64;

#[cfg(test)]
mod tests {
    use super::*;

    /// Power at a frequency by Goertzel's algorithm.
    fn power(samples: &[i16], hertz: f32) -> f32 {
        let step = TAU * hertz / RATE as f32;
        let (re, im) = samples
            .iter()
            .enumerate()
            .fold((0.0, 0.0), |(re, im), (n, s)| {
                let (sine, cosine) = (step * n as f32).sin_cos();
                (re + f32::from(*s) * cosine, im + f32::from(*s) * sine)
            });
        (re * re + im * im) / samples.len() as f32
    }

    /// Power in a band, by lines 25 Hz apart.
    fn band(samples: &[i16], from: f32, to: f32) -> f32 {
        let lines = ((to - from) / 25.0) as usize;
        (0..lines)
            .map(|line| power(samples, from + 25.0 * line as f32))
            .sum()
    }

    fn said(text: &str) -> Vec<i16> {
        say(&phonemes(text).unwrap())
    }

    #[test]
    fn every_sound_is_heard_and_none_is_too_loud() {
        for sound in SOUNDS {
            let samples = said(&format!("aa {} aa", sound.name));
            let loudest = samples.iter().map(|sample| sample.unsigned_abs()).max();
            assert!(
                (2_000..28_000).contains(&loudest.unwrap()),
                "{} {loudest:?}",
                sound.name
            );
        }
        assert!(said("").is_empty());
        assert_eq!(phonemes("aa qq").unwrap_err(), "qq");
    }

    #[test]
    fn vowels_have_their_formants() {
        let (iy, aa, uw) = (said("iy"), said("aa"), said("uw"));
        let high = |samples: &[i16]| band(samples, 1900.0, 2600.0) / band(samples, 100.0, 3500.0);
        let middle = |samples: &[i16]| band(samples, 600.0, 1300.0) / band(samples, 100.0, 3500.0);
        assert!(high(&iy) > 5.0 * high(&uw), "{} {}", high(&iy), high(&uw));
        assert!(
            middle(&aa) > 5.0 * middle(&iy),
            "{} {}",
            middle(&aa),
            middle(&iy)
        );
    }

    #[test]
    fn sibilants_are_noise_at_their_places() {
        let (s, sh) = (said("s"), said("sh"));
        assert!(band(&s, 4000.0, 7000.0) > 5.0 * band(&s, 500.0, 3000.0));
        assert!(band(&sh, 2000.0, 4000.0) > 3.0 * band(&sh, 5500.0, 7500.0));
    }

    #[test]
    fn the_same_word_sounds_the_same_and_begins_and_ends_softly() {
        let word = said("s t r ow jh er");
        assert_eq!(word, said("s t r ow jh er"));
        assert_eq!((word[0], word[word.len() - 1]), (0, 0));
    }
}
