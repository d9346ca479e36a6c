//! Tones: what they consist of, and the generator that sounds them.

use std::f64::consts::TAU;
use std::fmt;

mod country;

pub use country::{Country, Supervisory};

/// Frequencies that one segment sounds at once.
pub const FREQUENCIES_MAX: usize = 4;
/// Segments of one tone.
pub const SEGMENTS_MAX: usize = 16;
/// Level of each frequency where nobody says otherwise: -10 dBm0, in the middle of what E.180
/// recommends for dial tone.
pub const LEVEL_DBM0_DEFAULT: f32 = -10.0;

/// A tone: segments one after the other, of which the last ones may be repeated (E.180 5).
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Tone {
    segments: [Segment; SEGMENTS_MAX],
    len: usize,
    /// Where it goes on after the last segment; `len` where it ends.
    repeat_from: usize,
}

/// Some frequencies for some time.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Segment {
    /// In hertz; 0 is none. All sound at the level of the tone.
    pub frequencies_hz: [f32; FREQUENCIES_MAX],
    /// The amplitude follows this frequency, in hertz; 0 for a steady one.
    pub modulation_hz: f32,
    /// How long; `None` until it is stopped.
    pub duration_ms: Option<u32>,
}

/// Why the text of a tone was not understood.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ToneError;

impl fmt::Display for ToneError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("no tone: it is like [425/500 0/500] or 350+440")
    }
}

impl std::error::Error for ToneError {}

impl Tone {
    /// Of segments, the ones from `repeat_from` on repeated for ever.
    ///
    /// # Errors
    /// [`ToneError`] without a segment, with more than [`SEGMENTS_MAX`], or where what is repeated
    /// takes no time.
    pub fn new(segments: &[Segment], repeat_from: Option<usize>) -> Result<Self, ToneError> {
        if segments.is_empty() || segments.len() > SEGMENTS_MAX {
            return Err(ToneError);
        }
        let takes_time = |segment: &Segment| segment.duration_ms != Some(0);
        let repeat_from = repeat_from.unwrap_or(segments.len());
        let repeated = segments.get(repeat_from..).ok_or(ToneError)?;
        if !repeated.is_empty() && !repeated.iter().any(takes_time) {
            return Err(ToneError);
        }
        let mut all = [Segment::default(); SEGMENTS_MAX];
        all[..segments.len()].copy_from_slice(segments);
        Ok(Self {
            segments: all,
            len: segments.len(),
            repeat_from,
        })
    }

    /// Some frequencies for some time, once.
    pub fn of(frequencies_hz: &[f32], duration_ms: Option<u32>) -> Self {
        let mut segment = Segment {
            duration_ms,
            ..Segment::default()
        };
        for (place, &hz) in segment.frequencies_hz.iter_mut().zip(frequencies_hz) {
            *place = hz;
        }
        let mut segments = [Segment::default(); SEGMENTS_MAX];
        segments[0] = segment;
        Self {
            segments,
            len: 1,
            repeat_from: 1,
        }
    }

    /// Reads the notation of the table of countries: segments between blanks, of frequencies
    /// joined by `+` or modulated by `*`, with a duration in milliseconds after `/`; what is in
    /// brackets is repeated, and comes last.
    ///
    /// # Errors
    /// [`ToneError`].
    pub fn parse(text: &str) -> Result<Self, ToneError> {
        let (once, repeated) = match text.trim().strip_suffix(']') {
            Some(text) => text.split_once('[').ok_or(ToneError)?,
            None => (text, ""),
        };
        let mut segments = [Segment::default(); SEGMENTS_MAX];
        let mut len = 0;
        let repeat_from = once.split_whitespace().count();
        for word in once.split_whitespace().chain(repeated.split_whitespace()) {
            *segments.get_mut(len).ok_or(ToneError)? = Segment::parse(word)?;
            len += 1;
        }
        Self::new(&segments[..len], Some(repeat_from))
    }

    /// Its segments.
    pub fn segments(&self) -> &[Segment] {
        &self.segments[..self.len]
    }

    /// Whether it goes on until it is stopped.
    pub fn is_endless(&self) -> bool {
        self.repeat_from < self.len
            || self
                .segments()
                .iter()
                .any(|segment| segment.duration_ms.is_none())
    }
}

impl Segment {
    fn parse(word: &str) -> Result<Self, ToneError> {
        let (sound, duration) = match word.split_once('/') {
            Some((sound, ms)) => (sound, Some(ms.parse().map_err(|_| ToneError)?)),
            None => (word, None),
        };
        let (carriers, modulation) = sound.split_once('*').unwrap_or((sound, "0"));
        let mut segment = Self {
            modulation_hz: hertz(modulation)?,
            duration_ms: duration,
            ..Self::default()
        };
        for (index, carrier) in carriers.split('+').enumerate() {
            let place = segment.frequencies_hz.get_mut(index).ok_or(ToneError)?;
            *place = hertz(carrier)?;
        }
        Ok(segment)
    }
}

fn hertz(text: &str) -> Result<f32, ToneError> {
    let hz: u16 = text.parse().map_err(|_| ToneError)?;
    if hz > HERTZ_MAX {
        return Err(ToneError);
    }
    Ok(f32::from(hz))
}

/// No tone of a telephone is above the telephone band.
const HERTZ_MAX: u16 = 3400;

/// Sounds a [`Tone`], block by block.
///
/// Edges are rounded over [`RAMP_MS`], so that none clicks. Phases go on between segments of the
/// same frequencies.
#[derive(Clone, Debug)]
pub struct ToneGenerator {
    tone: Tone,
    sample_rate: u32,
    amplitude: f64,
    segment: usize,
    /// Samples of the segment that are out, and how many it has.
    position: u64,
    length: u64,
    oscillators: [Oscillator; FREQUENCIES_MAX],
    modulator: Oscillator,
    /// Samples since it was told to stop.
    stopping: Option<u64>,
    is_done: bool,
}

/// Rise and fall of a segment's amplitude.
pub const RAMP_MS: u32 = 3;

impl ToneGenerator {
    /// From the beginning of a tone, each frequency at a level in dBm0.
    pub fn new(tone: Tone, sample_rate: u32, level_dbm0: f32) -> Self {
        let mut generator = Self {
            tone,
            sample_rate: sample_rate.max(1),
            amplitude: amplitude(level_dbm0),
            segment: 0,
            position: 0,
            length: 0,
            oscillators: [Oscillator::default(); FREQUENCIES_MAX],
            modulator: Oscillator::default(),
            stopping: None,
            is_done: false,
        };
        generator.begin_segment(0);
        generator
    }

    /// Whether all of it has sounded.
    pub fn is_done(&self) -> bool {
        self.is_done
    }

    /// Ends it softly: it is done after [`RAMP_MS`] more.
    pub fn stop(&mut self) {
        self.stopping.get_or_insert(0);
    }

    /// Writes the next samples; after the end, silence. Returns how many sounded.
    pub fn fill(&mut self, samples: &mut [i16]) -> usize {
        let mut sounded = 0;
        for sample in samples {
            *sample = match self.next_sample() {
                Some(value) => {
                    sounded += 1;
                    value.clamp(-32_768.0, 32_767.0) as i16
                }
                None => 0,
            };
        }
        for oscillator in &mut self.oscillators {
            oscillator.normalise();
        }
        self.modulator.normalise();
        sounded
    }

    fn next_sample(&mut self) -> Option<f64> {
        while self.position >= self.length && !self.is_done {
            self.next_segment();
        }
        if self.is_done {
            return None;
        }
        let mut sum = 0.0;
        for oscillator in &mut self.oscillators {
            sum += oscillator.step();
        }
        let mut value = sum * self.amplitude * self.envelope();
        if self.tone.segments[self.segment].modulation_hz > 0.0 {
            value *= 0.5 * (1.0 + self.modulator.step());
        }
        self.position += 1;
        if let Some(since) = &mut self.stopping {
            *since += 1;
            self.is_done |= *since >= self.ramp();
        }
        Some(value)
    }

    /// 0 to 1: what the edges leave of the amplitude.
    fn envelope(&self) -> f64 {
        let ramp = self.ramp();
        let to_end = self.length - self.position;
        let mut inside = (self.position + 1).min(to_end);
        if let Some(since) = self.stopping {
            inside = inside.min(ramp.saturating_sub(since));
        }
        if inside >= ramp {
            return 1.0;
        }
        let angle = std::f64::consts::PI * inside as f64 / ramp as f64;
        0.5 * (1.0 - angle.cos())
    }

    fn ramp(&self) -> u64 {
        u64::from(self.sample_rate * RAMP_MS / 1000).max(1)
    }

    fn next_segment(&mut self) {
        let next = self.segment + 1;
        if next < self.tone.len {
            self.begin_segment(next);
        } else if self.tone.repeat_from < self.tone.len {
            self.begin_segment(self.tone.repeat_from);
        } else {
            self.is_done = true;
        }
    }

    fn begin_segment(&mut self, index: usize) {
        let segment = self.tone.segments[index];
        self.segment = index;
        self.position = 0;
        self.length = match segment.duration_ms {
            Some(ms) => u64::from(ms) * u64::from(self.sample_rate) / 1000,
            None => u64::MAX,
        };
        for (oscillator, hz) in self.oscillators.iter_mut().zip(segment.frequencies_hz) {
            oscillator.tune(hz, self.sample_rate);
        }
        self.modulator.tune(segment.modulation_hz, self.sample_rate);
    }
}

/// Peak of a sine of this level.
fn amplitude(level_dbm0: f32) -> f64 {
    let below = f64::from(level_dbm0 - OVERLOAD_DBM0);
    32_767.0 * 10_f64.powf(below / 20.0)
}

/// Level of a full-scale sine, in dBm0: 3.14 of A-law and 3.17 of µ-law (G.711).
const OVERLOAD_DBM0: f32 = 3.15;

/// A turning vector, whose imaginary part is a sine.
#[derive(Clone, Copy, Debug, Default)]
struct Oscillator {
    hz: f32,
    turn: (f64, f64),
    now: (f64, f64),
}

impl Oscillator {
    fn tune(&mut self, hz: f32, sample_rate: u32) {
        if hz == self.hz {
            return;
        }
        self.hz = hz;
        let (sin, cos) = (TAU * f64::from(hz) / f64::from(sample_rate)).sin_cos();
        self.turn = (cos, sin);
        self.now = if hz > 0.0 { (1.0, 0.0) } else { (0.0, 0.0) };
    }

    fn step(&mut self) -> f64 {
        let ((re, im), (cos, sin)) = (self.now, self.turn);
        self.now = (re * cos - im * sin, re * sin + im * cos);
        im
    }

    /// Keeps rounding from adding up over hours.
    fn normalise(&mut self) {
        let (re, im) = self.now;
        let length = re.hypot(im);
        if length > 0.0 {
            self.now = (re / length, im / length);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::level::level_dbov;
    use crate::spectrum::level_at_dbov;

    fn sound(text: &str, ms: u32) -> Vec<i16> {
        let tone = Tone::parse(text).unwrap();
        let mut samples = vec![0; (8 * ms) as usize];
        ToneGenerator::new(tone, 8000, -10.0).fill(&mut samples);
        samples
    }

    #[test]
    fn a_tone_has_its_frequencies_and_level() {
        let samples = sound("350+440", 1000);
        for hz in [350.0, 440.0] {
            let level = level_at_dbov(&samples[1000..5000], 8000, hz);
            assert!((level + 16.1).abs() < 0.3, "{hz}: {level}");
        }
        assert!(level_at_dbov(&samples[1000..5000], 8000, 394.0) < -50.0);
    }

    #[test]
    fn a_cadence_is_repeated_and_what_stands_before_it_is_not() {
        let samples = sound("600/100 [425/200 0/300]", 1700);
        let is_loud = |ms: usize| level_dbov(&samples[8 * ms..8 * ms + 160]) > -40;
        let loud: Vec<bool> = (0..17).map(|tenth| is_loud(100 * tenth + 40)).collect();
        let (on, off) = ([true, true], [false, false, false]);
        let expected = [&[true][..], &on, &off, &on, &off, &on, &off, &[true]].concat();
        assert_eq!(loud, expected);
        assert!(level_at_dbov(&samples[..800], 8000, 600.0) > -20.0);
        assert!(level_at_dbov(&samples[4900..5600], 8000, 600.0) < -40.0);
    }

    #[test]
    fn a_tone_that_ends_is_done_and_silent() {
        let tone = Tone::of(&[1000.0], Some(50));
        let mut generator = ToneGenerator::new(tone, 16_000, 0.0);
        let mut samples = [1; 1600];
        assert_eq!(generator.fill(&mut samples), 800);
        assert!(generator.is_done());
        assert_eq!(samples[800..], [0; 800]);
        assert!(!Tone::parse("950/330 1400/330").unwrap().is_endless());
        assert!(Tone::parse("950").unwrap().is_endless());
    }

    #[test]
    fn it_stops_softly_when_told() {
        let mut generator = ToneGenerator::new(Tone::parse("425").unwrap(), 8000, -10.0);
        let mut samples = [0; 800];
        generator.fill(&mut samples[..400]);
        generator.stop();
        assert_eq!(generator.fill(&mut samples[400..]), 24);
        let steps = samples
            .windows(2)
            .map(|pair| (pair[1] - pair[0]).unsigned_abs());
        // The steepest slope of the sine itself.
        let steepest = TAU * 425.0 / 8000.0 * amplitude(-10.0);
        assert!(steps.max().unwrap() as f64 <= 1.05 * steepest);
    }

    #[test]
    fn what_is_no_tone_is_refused() {
        let long = "400/1 ".repeat(17);
        for text in [
            "",
            "[]",
            "a",
            "400/",
            "4000",
            "1+2+3+4+5",
            "[400/0]",
            "[400",
            "400]",
            &long,
        ] {
            assert_eq!(Tone::parse(text), Err(ToneError), "{text}");
        }
    }
}
