//! What the library takes, refuses and makes of losses and rubbish.

use opus_sys::{Decoder, Encoder, Error, PAYLOAD_BYTES_MAX, SAMPLE_RATES, Setting, packet_samples};

fn speak(rate: u32, samples: &mut [i16]) {
    for (t, sample) in samples.iter_mut().enumerate() {
        let at = t as f64 / f64::from(rate) * std::f64::consts::TAU;
        *sample = ((220.0 * at).sin() * 7_000.0) as i16;
    }
}

fn level(samples: &[i16]) -> f64 {
    let power: f64 = samples
        .iter()
        .map(|&sample| f64::from(sample).powi(2))
        .sum();
    (power / samples.len() as f64).sqrt()
}

#[test]
fn packets_of_every_time_and_rate_come_back() {
    for rate in SAMPLE_RATES {
        for half_ms in [5, 10, 20, 40, 80, 120, 160, 200, 240] {
            let count = rate as usize * half_ms / 2_000;
            let mut said = vec![0; count];
            speak(rate, &mut said);
            let mut encoder = Encoder::new(rate).unwrap();
            let mut decoder = Decoder::new(rate).unwrap();
            let mut payload = [0; PAYLOAD_BYTES_MAX];
            let mut heard = vec![0; count];
            for _ in 0..3 {
                let len = encoder.encode(&said, &mut payload).unwrap();
                assert_eq!(packet_samples(&payload[..len], rate), Ok(count));
                assert_eq!(decoder.decode(&payload[..len], &mut heard), Ok(count));
            }
            assert!(level(&heard) > 2_000.0, "{rate} {half_ms}");
        }
    }
}

#[test]
fn arguments_out_of_range_are_refused() {
    assert_eq!(Encoder::new(44_100).unwrap_err(), Error::Argument);
    assert_eq!(Decoder::new(0).unwrap_err(), Error::Argument);
    let mut encoder = Encoder::new(16_000).unwrap();
    assert_eq!(encoder.set(Setting::Complexity(11)), Err(Error::Argument));
    assert_eq!(encoder.set(Setting::LossPercent(101)), Err(Error::Argument));
    assert_eq!(encoder.set(Setting::BitRate(0)), Err(Error::Argument));
    let mut payload = [0; 400];
    assert_eq!(
        encoder.encode(&[0; 321], &mut payload),
        Err(Error::Argument)
    );
    assert_eq!(encoder.encode(&[], &mut payload), Err(Error::Argument));
    assert!(encoder.encode(&[0; 320], &mut []).is_err());
    let mut decoder = Decoder::new(16_000).unwrap();
    let mut samples = [0; 320];
    assert_eq!(decoder.decode(&[], &mut samples), Err(Error::Payload));
    assert_eq!(decoder.recover(&[], &mut samples), Err(Error::Payload));
    assert!(decoder.conceal(&mut samples[..319]).is_err());
    let len = encoder.encode(&[0; 320], &mut payload).unwrap();
    let result = decoder.decode(&payload[..len], &mut samples[..160]);
    assert_eq!(result, Err(Error::TooSmall));
    assert!(packet_samples(&[], 16_000).is_err());
}

#[test]
fn rubbish_is_decoded_to_something_or_refused() {
    let mut decoder = Decoder::new(48_000).unwrap();
    let mut samples = [0; 5_760];
    let mut noise = 1_u32;
    for round in 0..3_000_usize {
        let mut payload = [0; 200];
        for octet in &mut payload {
            noise = noise.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
            *octet = (noise >> 24) as u8;
        }
        let payload = &payload[..1 + round % 199];
        let said = packet_samples(payload, 48_000);
        if let Ok(count) = decoder.decode(payload, &mut samples) {
            assert_eq!(said, Ok(count));
        }
        let _ = decoder.recover(payload, &mut samples[..960]);
    }
}
