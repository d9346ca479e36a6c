//! Payloads of every codec at decoders that have heard speech, and formats of descriptions.
#![no_main]

use std::time::Duration;

use codecs::amr::{self, Band, FRAME_BYTES_MAX, Layout, PART_BYTES_MAX, Payload};
use codecs::comfort_noise::{Generator, Parameters};
use codecs::{Codec, EncoderConfig, PACKET_SAMPLES_MAX};
use libfuzzer_sys::fuzz_target;

/// Encoding, clock rate, channels and parameters.
const FORMATS: [(&str, u32, u8, &str); 16] = [
    ("PCMU", 8_000, 1, ""),
    ("PCMA", 8_000, 1, ""),
    ("L16", 16_000, 1, ""),
    ("L16", 48_000, 2, ""),
    ("G722", 8_000, 1, ""),
    ("AMR", 8_000, 1, ""),
    ("AMR", 8_000, 1, "octet-align=1"),
    ("AMR", 8_000, 1, "interleaving=30;crc=1"),
    ("AMR-WB", 16_000, 1, ""),
    ("AMR-WB", 16_000, 1, "octet-align=1"),
    ("AMR-WB", 16_000, 1, "interleaving=30;robust-sorting=1"),
    ("EVS", 16_000, 1, "evs-mode-switch=1"),
    ("EVS", 16_000, 1, "evs-mode-switch=1;hf-only=1"),
    ("opus", 48_000, 2, ""),
    ("opus", 48_000, 2, "maxplaybackrate=8000;useinbandfec=1"),
    ("opus", 48_000, 2, "usedtx=1;cbr=1"),
];

fuzz_target!(|data: &[u8]| {
    let Some((&first, rest)) = data.split_first() else {
        return;
    };
    let (encoding, rate, channels, fmtp) = FORMATS[usize::from(first) % FORMATS.len()];
    format(encoding, rate, channels, rest);
    amr_payload(rest);
    if let Ok(parameters) = Parameters::parse(rest) {
        let mut generator = Generator::new(1);
        generator.set(parameters);
        generator.fill(&mut [0; 160]);
    }
    let codec = Codec::from_sdp(encoding, rate, channels, Some(fmtp)).expect("a format of ours");
    let mut decoder = codec.decoder().expect("a decoder");
    let mut samples = [0; PACKET_SAMPLES_MAX];
    // Payloads between octets of their length; an empty one is a loss.
    let mut rest = rest;
    while let Some((&len, later)) = rest.split_first() {
        let (payload, later) = later.split_at(usize::from(len).min(later.len()));
        rest = later;
        let mut part = [0; PART_BYTES_MAX];
        let mut parts = decoder.parts(payload);
        while let Some((_, len)) = parts.as_mut().and_then(|it| it.next_into(&mut part)) {
            decoder.decode(&part[..len], &mut samples).expect("a payload");
        }
        let count = decoder.samples_in(payload);
        if payload.is_empty() {
            decoder.recover(later, &mut samples[..rate as usize / 50]);
        } else if let Ok(decoded) = decoder.decode(payload, &mut samples) {
            assert_eq!(count, Ok(decoded.samples));
        }
        let _ = decoder.requested_mode();
    }
});

/// Parameters of a format are refused or make a coder.
fn format(encoding: &str, rate: u32, channels: u8, data: &[u8]) {
    let Ok(fmtp) = std::str::from_utf8(data) else {
        return;
    };
    if let Ok(codec) = Codec::from_sdp(encoding, rate, channels, Some(fmtp)) {
        if matches!(&codec, Codec::Evs(format) if !format.starts_in_amr_wb) {
            return;
        }
        let config = EncoderConfig {
            ptime: Duration::from_millis(20),
            ..EncoderConfig::default()
        };
        let mut encoder = codec.encoder(config).expect("20 ms are a packet of all");
        let mut payload = vec![0; encoder.payload_bytes_max()];
        let samples = vec![0; encoder.packet_samples()];
        encoder.encode(&samples, &mut payload).expect("a whole packet fits");
    }
}

/// What is read of a payload is written again.
fn amr_payload(data: &[u8]) {
    for band in [Band::Narrow, Band::Wide] {
        for bits in [0, 1, 3, 5, 7, 9, 11, 13, 15] {
            let layout = Layout {
                octet_align: bits & 1 != 0,
                crc: bits & 2 != 0,
                robust_sorting: bits & 4 != 0,
                interleaving: bits & 8 != 0,
            };
            let Ok(payload) = Payload::parse(band, layout, data) else {
                continue;
            };
            let frames: Vec<_> = payload
                .iter()
                .map(|frame| {
                    let mut file = [0; FRAME_BYTES_MAX];
                    let len = frame.write_to(&mut file);
                    file[..len].to_vec()
                })
                .collect();
            let mut written = vec![0; data.len()];
            let files = frames.iter().map(Vec::as_slice);
            let len = amr::write(band, layout, payload.head(), files, &mut written);
            let len = len.expect("as long as what was read");
            let again = Payload::parse(band, layout, &written[..len]).expect("a payload");
            assert_eq!(again.frames(), frames.len());
        }
    }
}
