//! In-band DTMF, ITU-T Q.23 and Q.24: found, taken out and made.

mod detector;
mod remover;

pub use detector::{Detection, Detector};
pub use remover::Remover;

use crate::tone::Tone;

/// Frequencies of the rows, in hertz (Q.23).
pub const LOW_HZ: [f32; 4] = [697.0, 770.0, 852.0, 941.0];
/// Frequencies of the columns, in hertz (Q.23).
pub const HIGH_HZ: [f32; 4] = [1209.0, 1336.0, 1477.0, 1633.0];

/// Keys that have a signal: 0 to 9, `*`, `#`, A to D, as RFC 4733 3.2 numbers them.
pub const CODES: u8 = 16;

/// The level at which keys are sounded, each frequency, in dBm0.
pub const LEVEL_DBM0: f32 = -8.0;

/// Event codes by row and column.
const KEYPAD: [[u8; 4]; 4] = [[1, 2, 3, 12], [4, 5, 6, 13], [7, 8, 9, 14], [10, 0, 11, 15]];

/// The signal of a key, by its event code; `None` for what is no key. Without a duration it sounds
/// until it is stopped.
pub fn tone(code: u8, duration_ms: Option<u32>) -> Option<Tone> {
    let (row, keys) = KEYPAD
        .iter()
        .enumerate()
        .find(|(_, keys)| keys.contains(&code))?;
    let column = keys.iter().position(|&key| key == code)?;
    Some(Tone::of(&[LOW_HZ[row], HIGH_HZ[column]], duration_ms))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_key_has_a_signal_of_its_own() {
        let mut tones: Vec<[f32; 4]> = (0..CODES)
            .map(|code| tone(code, Some(50)).unwrap().segments()[0].frequencies_hz)
            .collect();
        assert_eq!(tones[5][..2], [770.0, 1336.0]);
        assert_eq!(tones[11][..2], [941.0, 1477.0]);
        tones.sort_by(|a, b| a.partial_cmp(b).unwrap());
        tones.dedup();
        assert_eq!(tones.len(), 16);
        assert_eq!(tone(16, None), None);
    }
}
