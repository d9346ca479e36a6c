//! How loud a signal is, and whether it is somebody talking.

use std::time::Duration;

/// Level in dBov (RFC 6464 3): 0 for a full-scale square wave, -127 for digital silence.
///
/// A full-scale sine has -3; 0 dBm0 of G.711 is about -6.
pub fn level_dbov(samples: &[i16]) -> i8 {
    if samples.is_empty() {
        return SILENCE_DBOV;
    }
    let power = energy(samples) / samples.len() as f32 / FULL_SCALE;
    // At most 0, but for rounding.
    (10.0 * power.log10()).round().clamp(-127.0, 0.0) as i8
}

/// Level of digital silence.
pub const SILENCE_DBOV: i8 = -127;

const FULL_SCALE: f32 = 32_768.0 * 32_768.0;

/// Lanes that sums are kept in, so that the compiler may use its vectors.
const LANES: usize = 16;

/// Sum of the squares.
pub(crate) fn energy(samples: &[i16]) -> f32 {
    let mut sums = [0.0_f32; LANES];
    let chunks = samples.chunks_exact(LANES);
    let rest = chunks.remainder();
    for chunk in chunks {
        for (sum, &sample) in sums.iter_mut().zip(chunk) {
            let sample = f32::from(sample);
            *sum += sample * sample;
        }
    }
    let rest: f32 = rest.iter().map(|&s| f32::from(s) * f32::from(s)).sum();
    sums.iter().sum::<f32>() + rest
}

/// Voice activity and smoothed loudness of one talker, fed tick by tick.
///
/// The noise floor follows the quietest of what is heard at once and rises by [`FLOOR_RISE_DB`] a
/// second; what is [`SPEECH_OVER_FLOOR_DB`] above it is speech, and so is what follows within
/// [`HANGOVER`].
#[derive(Clone, Debug)]
pub struct Activity {
    tick_seconds: f32,
    floor_dbov: f32,
    loudness_dbov: f32,
    /// Seconds of speech that are still to be assumed.
    hangover: f32,
}

impl Activity {
    /// For ticks of a length.
    pub fn new(tick: Duration) -> Self {
        Self {
            tick_seconds: tick.as_secs_f32(),
            floor_dbov: FLOOR_MAX_DBOV,
            loudness_dbov: f32::from(SILENCE_DBOV),
            hangover: 0.0,
        }
    }

    /// One tick at a level; true while somebody talks.
    pub fn observe(&mut self, level_dbov: i8) -> bool {
        let level = f32::from(level_dbov);
        let risen = self.floor_dbov + FLOOR_RISE_DB * self.tick_seconds;
        self.floor_dbov = risen.min(level).clamp(FLOOR_MIN_DBOV, FLOOR_MAX_DBOV);
        let slower = self.loudness_dbov - RELEASE_DB * self.tick_seconds;
        self.loudness_dbov = level.max(slower);
        let speaks = level > SPEECH_MIN_DBOV && level > self.floor_dbov + SPEECH_OVER_FLOOR_DB;
        self.hangover = if speaks {
            HANGOVER.as_secs_f32()
        } else {
            (self.hangover - self.tick_seconds).max(0.0)
        };
        self.is_talking()
    }

    /// Whether somebody talks.
    pub fn is_talking(&self) -> bool {
        self.hangover > 0.0
    }

    /// Level as the ear follows it: rises at once, falls by [`RELEASE_DB`] a second.
    pub fn loudness_dbov(&self) -> f32 {
        self.loudness_dbov
    }
}

/// What the noise floor rises by in a second while all is louder.
pub const FLOOR_RISE_DB: f32 = 3.0;
/// What falls in loudness by more than this in a second is smoothed to it.
pub const RELEASE_DB: f32 = 60.0;
/// Speech is so much louder than the noise it is in.
pub const SPEECH_OVER_FLOOR_DB: f32 = 9.0;
/// Speech lasts so long past its last loud tick: pauses between words are part of it.
pub const HANGOVER: Duration = Duration::from_millis(240);

const FLOOR_MIN_DBOV: f32 = -90.0;
/// No noise is taken to be louder than this, or a long vowel would become one.
const FLOOR_MAX_DBOV: f32 = -40.0;
/// Nobody talks as quietly as this.
const SPEECH_MIN_DBOV: f32 = -55.0;

#[cfg(test)]
mod tests {
    use super::*;
    use codecs::speech::Speech;

    #[test]
    fn levels_are_those_of_known_signals() {
        assert_eq!(level_dbov(&[]), -127);
        assert_eq!(level_dbov(&[0; 160]), -127);
        assert_eq!(level_dbov(&[i16::MIN; 161]), 0);
        let sine: Vec<i16> = (0..800)
            .map(|n| (32_767.0 * (n as f32 * 0.1 * std::f32::consts::TAU).sin()) as i16)
            .collect();
        assert_eq!(level_dbov(&sine), -3);
        let quiet: Vec<i16> = sine.iter().map(|&s| s / 100).collect();
        assert_eq!(level_dbov(&quiet), -43);
    }

    #[test]
    fn a_talker_talks_and_noise_does_not() {
        let tick = Duration::from_millis(20);
        for seed in 1..5 {
            let mut speech = Speech::new(seed);
            let mut activity = Activity::new(tick);
            let mut talking = 0;
            for _ in 0..1500 {
                let mut samples = [0; 160];
                speech.fill(&mut samples);
                talking += usize::from(activity.observe(level_dbov(&samples)));
            }
            let share = talking as f32 / 1500.0;
            assert!((0.5..0.98).contains(&share), "seed {seed}: {share}");
        }
        let mut noise = Activity::new(tick);
        let talking = (0..500).filter(|tick| noise.observe(-50 + (tick % 3) as i8));
        assert!(talking.count() < 15);
    }

    #[test]
    fn loudness_rises_at_once_and_falls_slowly() {
        let mut activity = Activity::new(Duration::from_millis(20));
        activity.observe(-20);
        assert_eq!(activity.loudness_dbov(), -20.0);
        activity.observe(-80);
        assert!((activity.loudness_dbov() + 21.2).abs() < 0.01);
    }
}
