//! What runs on a worker allocates nothing. What C libraries do is tested in their own crates.

use std::time::Duration;

use codecs::comfort_noise::{Analyzer, Generator};
use codecs::speech::Speech;
use codecs::{Codec, Encoded, EncoderConfig, PACKET_SAMPLES_MAX, Resampler};

#[test]
fn packets_of_no_codec_allocate() {
    for (encoding, rate, channels, fmtp) in [
        ("PCMU", 8_000, 1, ""),
        ("PCMA", 8_000, 1, ""),
        ("L16", 16_000, 1, ""),
        ("G722", 8_000, 1, ""),
        ("AMR", 8_000, 1, "octet-align=1"),
        ("AMR-WB", 16_000, 1, ""),
        ("opus", 48_000, 2, "useinbandfec=1"),
    ] {
        let codec = Codec::from_sdp(encoding, rate, channels, Some(fmtp)).unwrap();
        let config = EncoderConfig {
            ptime: Duration::from_millis(20),
            dtx: true,
            ..EncoderConfig::default()
        };
        let mut encoder = codec.encoder(config).unwrap();
        let mut decoder = codec.decoder().unwrap();
        let mut speech = Speech::new(1);
        let mut said = vec![0; encoder.packet_samples()];
        let mut payload = vec![0; encoder.payload_bytes_max()];
        let mut heard = [0; PACKET_SAMPLES_MAX];
        let counted = allocation_counter::measure(|| {
            for index in 0..40 {
                speech.fill(&mut said);
                encoder.request_mode(index % 8);
                let encoded = encoder.encode(&said, &mut payload).unwrap();
                match encoded {
                    Encoded::Payload { len, .. } if index % 5 > 0 => {
                        decoder.decode(&payload[..len], &mut heard).unwrap();
                    }
                    Encoded::Payload { len, .. } if index % 10 > 0 => {
                        decoder.recover(&payload[..len], &mut heard[..said.len()]);
                    }
                    _ => decoder.conceal(&mut heard[..said.len()]),
                }
                let _ = decoder.decode(&payload[..3], &mut heard);
            }
        });
        assert_eq!(counted.count_total, 0, "{encoding}");
    }
}

#[test]
fn rates_and_noise_allocate_nothing() {
    let mut resampler = Resampler::new(8_000, 48_000).unwrap();
    let (mut analyzer, mut generator) = (Analyzer::new(), Generator::new(1));
    let mut speech = Speech::new(1);
    let counted = allocation_counter::measure(|| {
        for _ in 0..20 {
            let (mut said, mut out) = ([0; 160], [0; 960]);
            speech.fill(&mut said);
            assert_eq!(resampler.process(&said, &mut out), 960);
            analyzer.hear(&said);
            generator.set(analyzer.parameters());
            generator.fill(&mut out);
        }
    });
    assert_eq!(counted.count_total, 0);
}
