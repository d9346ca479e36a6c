//! What the libraries do with speech, silence, losses and rubbish.

use amr_sys::NO_DATA;

/// A tone with a tremolo: something to be coded.
fn speak(t: usize, rate: f64) -> i16 {
    let at = t as f64 / rate * std::f64::consts::TAU;
    ((200.0 * at).sin() * 6_000.0 * (0.6 + 0.4 * (3.0 * at).sin()) + (1_900.0 * at).sin() * 900.0)
        as i16
}

macro_rules! tests {
    ($codec:ident, $rate:literal, $bytes:expr) => {
        mod $codec {
            use super::*;
            use amr_sys::$codec::{
                Decoder, Encoder, FRAME_BYTES_MAX, FRAME_SAMPLES, MODE_MAX, SID,
            };

            fn level(samples: &[i16]) -> f64 {
                let power: f64 = samples.iter().map(|&s| f64::from(s).powi(2)).sum();
                (power / samples.len() as f64).sqrt()
            }

            fn frame_of(index: usize) -> [i16; FRAME_SAMPLES] {
                std::array::from_fn(|at| speak(index * FRAME_SAMPLES + at, $rate))
            }

            #[test]
            fn every_mode_has_its_frame_and_its_sound() {
                for mode in 0..=MODE_MAX {
                    let (mut encoder, mut decoder) =
                        (Encoder::new(false).unwrap(), Decoder::new().unwrap());
                    let mut frame = [0; FRAME_BYTES_MAX];
                    let mut heard = [0; FRAME_SAMPLES];
                    for index in 0..25 {
                        let said = frame_of(index);
                        let len = encoder.encode(mode, &said, &mut frame);
                        assert_eq!((len, frame[0]), ($bytes[usize::from(mode)], mode << 3 | 4));
                        decoder.decode(&frame, &mut heard);
                    }
                    let (said, heard) = (level(&frame_of(24)), level(&heard));
                    assert!((0.5..2.0).contains(&(heard / said)), "{mode}: {heard}");
                }
            }

            #[test]
            fn samples_stay_and_encoders_agree() {
                let said = frame_of(3);
                let encode = || {
                    let mut frame = [0; FRAME_BYTES_MAX];
                    Encoder::new(false).unwrap().encode(0, &said, &mut frame);
                    frame
                };
                assert_eq!(encode(), encode());
                assert_eq!(said, frame_of(3));
            }

            #[test]
            fn silence_becomes_descriptors_every_eighth_frame_and_nothing_between() {
                let mut encoder = Encoder::new(true).unwrap();
                let mut frame = [0; FRAME_BYTES_MAX];
                let mut types = Vec::new();
                for index in 0..100 {
                    let loud = index < 25;
                    let said = if loud {
                        frame_of(index)
                    } else {
                        [0; FRAME_SAMPLES]
                    };
                    let len = encoder.encode(2, &said, &mut frame);
                    let kind = frame[0] >> 3;
                    let expected = match kind {
                        NO_DATA => 1,
                        SID => 6,
                        mode => $bytes[usize::from(mode)],
                    };
                    assert_eq!(len, expected);
                    types.push(kind);
                }
                assert!(types[..25].iter().all(|&kind| kind == 2), "{types:?}");
                let quiet = &types[76..];
                assert_eq!(
                    quiet.iter().filter(|&&kind| kind == SID).count(),
                    3,
                    "{types:?}"
                );
                assert_eq!(quiet.iter().filter(|&&kind| kind == NO_DATA).count(), 21);
            }

            #[test]
            fn what_is_lost_fades() {
                let mut encoder = Encoder::new(false).unwrap();
                let mut decoder = Decoder::new().unwrap();
                let mut frame = [0; FRAME_BYTES_MAX];
                let mut heard = [0; FRAME_SAMPLES];
                for index in 0..25 {
                    encoder.encode(MODE_MAX, &frame_of(index), &mut frame);
                    decoder.decode(&frame, &mut heard);
                }
                let before = level(&heard);
                frame[0] = NO_DATA << 3;
                decoder.decode(&frame, &mut heard);
                assert!(level(&heard) > before * 0.2, "{} {before}", level(&heard));
                for _ in 0..10 {
                    decoder.decode(&frame, &mut heard);
                }
                assert!(level(&heard) < before * 0.1, "{} {before}", level(&heard));
            }

            #[test]
            fn rubbish_of_every_type_is_decoded_to_something() {
                let mut decoder = Decoder::new().unwrap();
                let mut heard = [0; FRAME_SAMPLES];
                let mut noise = 1_u32;
                for round in 0..4_000_u32 {
                    let mut frame = [0; FRAME_BYTES_MAX];
                    for octet in &mut frame {
                        noise = noise.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
                        *octet = (noise >> 24) as u8;
                    }
                    if round % 5 == 0 {
                        frame[1..].fill(if round % 2 == 0 { 0 } else { 0xff });
                    }
                    decoder.decode(&frame, &mut heard);
                }
            }
        }
    };
}

tests!(narrow, 8_000.0, [13, 14, 16, 18, 20, 21, 27, 32]);
tests!(wide, 16_000.0, [18, 24, 33, 37, 41, 47, 51, 59, 61]);
