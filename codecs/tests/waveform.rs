//! The codecs that code the waveform, through the interface that all have.

use std::time::Duration;

use codecs::speech::Speech;
use codecs::{
    Codec, DecodeError, DecodedKind, EncodeError, Encoded, EncoderConfig, FormatError,
    PACKET_SAMPLES_MAX, Unavailable,
};

fn of(ptime_ms: u64) -> EncoderConfig {
    EncoderConfig {
        ptime: Duration::from_millis(ptime_ms),
        ..EncoderConfig::default()
    }
}

#[test]
fn names_of_descriptions_are_codecs_in_any_case() {
    let pcmu = Codec::from_sdp("pcmu", 8_000, 1, None).unwrap();
    assert_eq!(pcmu, Codec::Pcmu);
    assert_eq!(pcmu.encoding(), "PCMU");
    let l16 = Codec::from_sdp("l16", 48_000, 2, Some("emphasis=50-15")).unwrap();
    assert_eq!((l16.sample_rate(), l16.channels()), (48_000, 2));
    let g722 = Codec::from_sdp("G722", 8_000, 1, None).unwrap();
    assert_eq!((g722.sample_rate(), g722.rtp_clock_rate()), (16_000, 8_000));
    for (payload_type, codec) in [(0, Codec::Pcmu), (8, Codec::Pcma), (9, Codec::G722)] {
        assert_eq!(Codec::static_payload_type(payload_type), Some(codec));
    }
    for payload_type in [1, 10, 11, 13, 18, 96, 255] {
        assert_eq!(Codec::static_payload_type(payload_type), None);
    }
}

#[test]
fn formats_that_are_none_are_refused_with_the_reason() {
    for (encoding, rate, channels, fault) in [
        ("PCMX", 8_000, 1, FormatError::Encoding),
        ("", 8_000, 1, FormatError::Encoding),
        ("PCMU", 16_000, 1, FormatError::ClockRate),
        ("PCMA", 8_000, 2, FormatError::Channels),
        ("G722", 16_000, 1, FormatError::ClockRate),
        ("L16", 44_100, 1, FormatError::ClockRate),
        ("L16", 0, 1, FormatError::ClockRate),
        ("L16", 8_000, 0, FormatError::Channels),
        ("L16", 8_000, 3, FormatError::Channels),
    ] {
        let found = Codec::from_sdp(encoding, rate, channels, None);
        assert_eq!(found, Err(fault), "{encoding}/{rate}/{channels}");
    }
}

#[test]
fn speech_comes_back_at_every_packet_time() {
    let linear = Codec::L16 {
        sample_rate: 8_000,
        channels: 2,
    };
    for codec in [Codec::Pcmu, Codec::Pcma, linear] {
        for ptime_ms in [5, 10, 20, 30, 60, 120] {
            let mut encoder = codec.encoder(of(ptime_ms)).unwrap();
            let mut decoder = codec.decoder().unwrap();
            let mut said = vec![0; encoder.packet_samples()];
            assert_eq!(said.len(), 8 * ptime_ms as usize);
            Speech::new(1).fill(&mut said);
            let mut payload = vec![0; encoder.payload_bytes_max()];
            let Ok(Encoded::Payload { len, marker }) = encoder.encode(&said, &mut payload) else {
                panic!("not encoded");
            };
            assert_eq!((len, marker), (payload.len(), false));
            assert_eq!(decoder.samples_in(&payload), Ok(said.len()));
            let mut heard = [0; PACKET_SAMPLES_MAX];
            let decoded = decoder.decode(&payload, &mut heard).unwrap();
            assert_eq!(decoded.kind, DecodedKind::Speech);
            let heard = &heard[..decoded.samples];
            assert_eq!(heard.len(), said.len());
            let near = |(a, b): (&i16, &i16)| (a - b).unsigned_abs() <= a.unsigned_abs() / 32 + 8;
            assert!(said.iter().zip(heard).all(near), "{codec:?}");
        }
    }
}

#[test]
fn linear_samples_are_in_network_order_and_channels_are_mixed() {
    let codec = |channels| Codec::L16 {
        sample_rate: 16_000,
        channels,
    };
    let mut payload = [0; 8];
    let mut encoder = codec(2).encoder(of(20)).unwrap();
    let encoded = encoder.encode(&[0x0102, -2], &mut payload);
    assert_eq!(
        encoded,
        Ok(Encoded::Payload {
            len: 8,
            marker: false
        })
    );
    assert_eq!(payload, [1, 2, 1, 2, 0xff, 0xfe, 0xff, 0xfe]);
    let mut samples = [0; 4];
    let octets = [0, 100, 0, 200, 0x7f, 0xff, 0x7f, 0xff];
    codec(2)
        .decoder()
        .unwrap()
        .decode(&octets, &mut samples)
        .unwrap();
    assert_eq!(samples, [150, i16::MAX, 0, 0]);
    codec(1)
        .decoder()
        .unwrap()
        .decode(&octets, &mut samples)
        .unwrap();
    assert_eq!(samples, [100, 200, i16::MAX, i16::MAX]);
}

#[test]
fn slices_of_the_wrong_length_are_refused() {
    let mut encoder = Codec::Pcmu.encoder(of(20)).unwrap();
    let mut payload = [0; 160];
    for (samples, room, fault) in [
        (0, 160, EncodeError::Samples),
        (161, 160, EncodeError::Samples),
        (160, 159, EncodeError::PayloadTooSmall),
    ] {
        let result = encoder.encode(&[0; 161][..samples], &mut payload[..room]);
        assert_eq!(result, Err(fault));
    }
    let mut decoder = Codec::Pcmu.decoder().unwrap();
    let mut samples = [0; PACKET_SAMPLES_MAX];
    let result = decoder.decode(&payload, &mut samples[..159]);
    assert_eq!(result, Err(DecodeError::SamplesTooSmall));
    for len in [0, PACKET_SAMPLES_MAX + 1] {
        let result = decoder.decode(&vec![0; len], &mut samples);
        assert_eq!(result, Err(DecodeError::Malformed), "{len}");
    }
    let linear = Codec::from_sdp("L16", 8_000, 1, None).unwrap();
    let mut decoder = linear.decoder().unwrap();
    assert_eq!(
        decoder.decode(&[1; 3], &mut samples),
        Err(DecodeError::Malformed)
    );
}

#[test]
fn packet_times_that_make_no_whole_packet_are_refused() {
    for ptime in [
        Duration::ZERO,
        Duration::from_micros(1),
        Duration::from_millis(121),
    ] {
        let config = EncoderConfig {
            ptime,
            ..EncoderConfig::default()
        };
        let refused = Codec::Pcma.encoder(config);
        assert_eq!(refused.unwrap_err(), Unavailable::Config("ptime"));
    }
}
