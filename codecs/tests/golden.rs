//! Payloads of others, and what their decoders made of them: see `testdata/README.md`.

use codecs::{Codec, PACKET_SAMPLES_MAX};

fn samples(octets: &[u8]) -> Vec<i16> {
    octets
        .as_chunks()
        .0
        .iter()
        .map(|&pair| i16::from_le_bytes(pair))
        .collect()
}

fn decode<'a>(codec: &Codec, payloads: impl Iterator<Item = &'a [u8]>) -> Vec<i16> {
    let mut decoder = codec.decoder().unwrap();
    let mut samples = [0; PACKET_SAMPLES_MAX];
    let mut heard = Vec::new();
    for payload in payloads {
        let decoded = decoder.decode(payload, &mut samples).unwrap();
        heard.extend_from_slice(&samples[..decoded.samples]);
    }
    heard
}

#[test]
fn g722_is_decoded_to_the_same_samples() {
    let payloads = include_bytes!("../testdata/speech.g722").chunks(160);
    let expected = samples(include_bytes!("../testdata/speech_g722.s16"));
    assert!(decode(&Codec::G722, payloads) == expected);
}

#[cfg(feature = "amr")]
#[test]
fn amr_is_decoded_to_nearly_the_same_samples() {
    let codec = Codec::from_sdp("AMR", 8_000, 1, Some("octet-align=1")).unwrap();
    let file = include_bytes!("../testdata/speech.amr");
    // All are frames of 12.2 kbit/s: 32 octets, before which a payload has a request.
    let frames = file.strip_prefix(b"#!AMR\n").unwrap().chunks(32);
    let payloads: Vec<_> = frames.map(|frame| [&[0xf0], frame].concat()).collect();
    let heard = decode(&codec, payloads.iter().map(Vec::as_slice));
    let expected = samples(include_bytes!("../testdata/speech_amr.s16"));
    assert_eq!(heard.len(), expected.len());
    let (mut signal, mut noise) = (0.0, 0.0);
    for (&a, &b) in expected.iter().zip(&heard) {
        signal += f64::from(a).powi(2);
        noise += (f64::from(a) - f64::from(b)).powi(2);
    }
    let snr = 10.0 * f64::log10(signal / noise);
    assert!(snr > 25.0, "{snr} dB");
}
