//! How well something is heard, from samples at 8 kHz of what was said and of what was heard.

use std::f32::consts::TAU;

use codecs::likeness;

/// The rate of all samples here.
pub const RATE: u32 = 8000;

/// Samples of a frame whose spectra are compared, and from one to the next: 32 and 16 ms.
const FRAME: usize = 256;
const STEP: usize = 128;
/// Borders of the bands that are compared, in hertz: about the critical ones of the ear.
const BANDS_HZ: [f32; 14] = [
    200.0, 300.0, 400.0, 510.0, 630.0, 770.0, 920.0, 1080.0, 1270.0, 1480.0, 1720.0, 2000.0,
    2500.0, 3300.0,
];
/// Bands softer than the loudest of their frame by more than this are masked.
const MASKED_DB: f32 = 30.0;
/// Frames softer than this are pauses.
const PAUSE_DBOV: i8 = -45;

/// What became of speech.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Quality {
    /// How late it was heard.
    pub delay_ms: f32,
    /// Signal to noise, of the waveform: low for codecs that keep the sound and not the wave.
    pub snr_db: f32,
    /// By how much bands of its spectrum are louder or softer, on average over all that is spoken
    /// and not masked: what the ear has of it.
    pub distance_db: f32,
}

/// Finds what was said in what was heard, and compares; `None` when nothing of it is there.
pub fn compare(said: &[i16], heard: &[i16]) -> Option<Quality> {
    let found = likeness(said, heard, heard.len().checked_sub(said.len())?)?;
    let squared = found.correlation.clamp(0.0, 0.999_999).powi(2);
    let heard = &heard[found.delay_samples..];
    Some(Quality {
        delay_ms: found.delay_samples as f32 * 1000.0 / RATE as f32,
        snr_db: 10.0 * (squared / (1.0 - squared)).max(1e-9).log10(),
        distance_db: distance_db(said, heard)?,
    })
}

/// `None` when nothing was said.
fn distance_db(said: &[i16], heard: &[i16]) -> Option<f32> {
    let frames = said.windows(FRAME).zip(heard.windows(FRAME)).step_by(STEP);
    let (mut sum, mut count) = (0.0, 0);
    for (said, heard) in frames {
        if media::level::level_dbov(said) < PAUSE_DBOV {
            continue;
        }
        let (said, heard) = (bands_db(said), bands_db(heard));
        let loudest = said.iter().copied().fold(f32::MIN, f32::max);
        let floor = loudest - MASKED_DB;
        for (said, heard) in said.iter().zip(heard).filter(|(said, _)| **said > floor) {
            sum += (said - heard.max(floor)).abs();
            count += 1;
        }
    }
    (count > 0).then(|| sum / count as f32)
}

/// The energy of each band, in dB.
fn bands_db(frame: &[i16]) -> [f32; BANDS_HZ.len() - 1] {
    let windowed: Vec<f32> = frame
        .iter()
        .enumerate()
        .map(|(at, &sample)| {
            let hann = 0.5 - 0.5 * (TAU * at as f32 / FRAME as f32).cos();
            hann * f32::from(sample)
        })
        .collect();
    let mut bands = [1.0_f32; BANDS_HZ.len() - 1];
    for bin in 1..FRAME / 2 {
        let hz = bin as f32 * RATE as f32 / FRAME as f32;
        let Some(band) = BANDS_HZ
            .windows(2)
            .position(|it| (it[0]..it[1]).contains(&hz))
        else {
            continue;
        };
        let turn = TAU * bin as f32 / FRAME as f32;
        let (mut re, mut im) = (0.0, 0.0);
        let (step_sin, step_cos) = turn.sin_cos();
        let (mut sin, mut cos) = (0.0_f32, 1.0_f32);
        for sample in &windowed {
            re += sample * cos;
            im += sample * sin;
            (sin, cos) = (
                sin * step_cos + cos * step_sin,
                cos * step_cos - sin * step_sin,
            );
        }
        bands[band] += re * re + im * im;
    }
    bands.map(|energy| 10.0 * energy.log10())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::voice::speech;
    use std::time::Duration;

    #[test]
    fn what_is_the_same_has_no_distance_and_another_talker_is_far() {
        let said = speech(3, Duration::from_secs(1), RATE);
        let mut later = vec![0; 400];
        later.extend(&said);
        let same = compare(&said, &later).expect("it is there");
        assert_eq!(same.delay_ms, 50.0);
        assert!(same.snr_db > 40.0 && same.distance_db < 0.1, "{same:?}");
        let other = speech(4, Duration::from_secs(2), RATE);
        let other = compare(&said, &other).expect("something is there");
        assert!(other.snr_db < 3.0 && other.distance_db > 6.0, "{other:?}");
    }
}
