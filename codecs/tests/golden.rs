//! Payloads of others, and what their decoders made of them: see `testdata/README.md`.

use codecs::amr::{Band, FRAME_BYTES_MAX, Layout, Payload, write};
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

#[test]
fn amr_of_either_packing_is_as_osmocom_packs_it() {
    let octets = |digits: &str| -> Vec<u8> {
        let pairs = digits.as_bytes().as_chunks::<2>().0.iter();
        let octet = |pair: &[u8; 2]| u8::from_str_radix(str::from_utf8(pair).unwrap(), 16).unwrap();
        pairs.map(octet).collect()
    };
    let pack = |from: Layout, to: Layout, payload: &[u8]| {
        let read = Payload::parse(Band::Narrow, from, payload).unwrap();
        let mut file = [0; FRAME_BYTES_MAX];
        let len = read.iter().next().unwrap().write_to(&mut file);
        let mut room = [0; 64];
        let frames = std::iter::once(&file[..len]);
        let len = write(Band::Narrow, to, read.head(), frames, &mut room).unwrap();
        room[..len].to_vec()
    };
    let lines = include_str!("../testdata/amr_packings.txt").lines();
    let rows: Vec<Vec<&str>> = lines
        .filter(|line| !line.starts_with('#'))
        .map(|line| line.split(' ').collect())
        .collect();
    assert_eq!(rows.len(), 18);
    for row in rows {
        let (aligned, efficient) = (octets(row[1]), octets(row[2]));
        let name = format!("type {}", row[0]);
        assert_eq!(
            pack(Layout::ALIGNED, Layout::EFFICIENT, &aligned),
            efficient,
            "{name}"
        );
        assert_eq!(
            pack(Layout::EFFICIENT, Layout::ALIGNED, &efficient),
            aligned,
            "{name}"
        );
    }
}
