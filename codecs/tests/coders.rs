//! G.722, AMR, AMR-WB and Opus through the interface that all codecs have.

use std::time::Duration;

use codecs::speech::Speech;
use codecs::{
    Codec, DecodeError, DecodedKind, EncodeError, Encoded, Encoder, EncoderConfig, FormatError,
    PACKET_SAMPLES_MAX, Unavailable, likeness,
};

fn codec(encoding: &str, fmtp: &str) -> Codec {
    let (rate, channels) = match encoding {
        "AMR-WB" | "EVS" | "L16" => (16_000, 1),
        "opus" => (48_000, 2),
        _ => (8_000, 1),
    };
    Codec::from_sdp(encoding, rate, channels, Some(fmtp)).unwrap()
}

fn of(ptime_ms: u64) -> EncoderConfig {
    EncoderConfig {
        ptime: Duration::from_millis(ptime_ms),
        ..EncoderConfig::default()
    }
}

/// Speech of some seconds; it is of 8 kHz, and each sample is said as often as the rate needs.
fn speech(rate: u32, samples: usize) -> Vec<i16> {
    let mut speech = Speech::new(4);
    let times = rate as usize / 8_000;
    let mut said = Vec::with_capacity(samples);
    while said.len() < samples {
        let sample = speech.next_sample();
        said.extend(std::iter::repeat_n(sample, times));
    }
    said.truncate(samples);
    said
}

fn payload(encoder: &mut Encoder, said: &[i16]) -> Option<(Vec<u8>, bool)> {
    let mut payload = vec![0; encoder.payload_bytes_max()];
    match encoder.encode(said, &mut payload).unwrap() {
        Encoded::Payload { len, marker } => Some((payload[..len].to_vec(), marker)),
        Encoded::Nothing => None,
    }
}

#[test]
fn speech_is_like_itself_behind_every_codec() {
    for (encoding, fmtp, ptime_ms, likeness_min) in [
        ("G722", "", 20, 0.98),
        ("G722", "", 5, 0.98),
        ("AMR", "", 20, 0.75),
        ("AMR", "octet-align=1", 60, 0.75),
        ("AMR", "crc=1;robust-sorting=1", 60, 0.75),
        // Of packets of one frame nothing can be interleaved.
        ("AMR", "interleaving=30;crc=1", 20, 0.75),
        ("AMR", "mode-set=0", 40, 0.7),
        ("AMR-WB", "", 20, 0.9),
        ("AMR-WB", "octet-align=1;mode-set=2", 120, 0.9),
        ("EVS", "evs-mode-switch=1", 20, 0.9),
        ("EVS", "evs-mode-switch=1;hf-only=1", 60, 0.9),
        ("opus", "", 20, 0.85),
        ("opus", "maxplaybackrate=8000;cbr=1", 60, 0.9),
        ("opus", "maxplaybackrate=16000;useinbandfec=1", 10, 0.9),
        ("opus", "maxaveragebitrate=64000", 120, 0.85),
    ] {
        let codec = codec(encoding, fmtp);
        let rate = codec.sample_rate();
        let mut encoder = codec.encoder(of(ptime_ms)).unwrap();
        let mut decoder = codec.decoder().unwrap();
        let packet = encoder.packet_samples();
        assert_eq!(packet, rate as usize * ptime_ms as usize / 1_000);
        let said = speech(rate, rate as usize / packet * packet);
        let mut heard = Vec::new();
        for said in said.chunks(packet) {
            let (payload, _) = payload(&mut encoder, said).unwrap();
            assert_eq!(decoder.samples_in(&payload), Ok(packet));
            let mut samples = [0; PACKET_SAMPLES_MAX];
            let decoded = decoder.decode(&payload, &mut samples).unwrap();
            assert_eq!(
                (decoded.samples, decoded.kind),
                (packet, DecodedKind::Speech)
            );
            heard.extend_from_slice(&samples[..packet]);
        }
        let found = likeness(&said, &heard, rate as usize / 60).unwrap();
        println!("{encoding} {fmtp}: {found:?}");
        assert!(
            found.correlation > likeness_min,
            "{encoding} {fmtp}: {found:?}"
        );
    }
}

#[test]
fn silence_is_not_sent_and_talk_after_it_is_marked() {
    let quiet_after = 100;
    for (encoding, descriptors) in [
        ("AMR", 8..=22),
        ("AMR-WB", 8..=22),
        ("EVS", 8..=22),
        ("opus", 1..=10),
    ] {
        let codec = codec(encoding, "evs-mode-switch=1");
        let config = EncoderConfig {
            dtx: true,
            ..of(20)
        };
        let mut encoder = codec.encoder(config).unwrap();
        let mut decoder = codec.decoder().unwrap();
        let packet = encoder.packet_samples();
        let voice = speech(codec.sample_rate(), packet * quiet_after);
        let (mut markers, mut sent) = (Vec::new(), 0);
        let mut noises = 0;
        for index in 0..300 {
            let quiet = vec![0; packet];
            let talks = index < quiet_after || index >= 250;
            let said = if talks {
                &voice[index % 100 * packet..][..packet]
            } else {
                &quiet
            };
            let mut samples = vec![0; packet];
            match payload(&mut encoder, said) {
                Some((payload, marker)) => {
                    let decoded = decoder.decode(&payload, &mut samples).unwrap();
                    sent += usize::from((140..250).contains(&index));
                    noises += usize::from(decoded.kind == DecodedKind::ComfortNoise);
                    if marker {
                        markers.push(index);
                    }
                }
                None => decoder.conceal(&mut samples),
            }
            if (150..250).contains(&index) {
                assert!(
                    samples.iter().all(|sample| sample.abs() < 200),
                    "{encoding}"
                );
            }
        }
        assert!(descriptors.contains(&sent), "{encoding}: {sent}");
        assert!(
            markers.iter().any(|index| (250..262).contains(index)),
            "{encoding} {markers:?}"
        );
        assert!(encoding == "opus" || noises >= sent, "{encoding}: {noises}");
    }
}

#[test]
fn requests_for_modes_pass_and_are_followed() {
    for (encoding, fmtp, high, low) in [
        ("AMR", "", 32, 14),
        ("AMR", "octet-align=1", 33, 14),
        ("AMR-WB", "", 61, 18),
        ("AMR-WB", "octet-align=1", 62, 19),
        ("EVS", "evs-mode-switch=1", 60, 17),
    ] {
        let codec = codec(encoding, fmtp);
        let (mut ours, mut theirs) = (
            codec.encoder(of(20)).unwrap(),
            codec.encoder(of(20)).unwrap(),
        );
        let mut decoder = codec.decoder().unwrap();
        let packet = ours.packet_samples();
        let said = speech(codec.sample_rate(), packet);
        let mut heard = vec![0; packet];
        assert_eq!(decoder.requested_mode(), None);
        let (payload_of_ours, marker) = payload(&mut ours, &said).unwrap();
        assert!(marker, "the first packet begins a talkspurt");
        assert_eq!(payload_of_ours.len(), high, "{encoding} {fmtp}");
        decoder.decode(&payload_of_ours, &mut heard).unwrap();
        assert_eq!(decoder.requested_mode(), None);

        theirs.ask_peer(Some(0));
        let (payload_of_theirs, _) = payload(&mut theirs, &said).unwrap();
        decoder.decode(&payload_of_theirs, &mut heard).unwrap();
        assert_eq!(decoder.requested_mode(), Some(0));
        ours.request_mode(0);
        let (payload_of_ours, marker) = payload(&mut ours, &said).unwrap();
        assert_eq!((payload_of_ours.len(), marker), (low, false));
        theirs.ask_peer(None);
        let (payload_of_theirs, _) = payload(&mut theirs, &said).unwrap();
        decoder.decode(&payload_of_theirs, &mut heard).unwrap();
        assert_eq!(decoder.requested_mode(), None);
    }
}

#[test]
fn only_modes_of_the_set_are_asked_for() {
    let codec = codec("AMR", "mode-set=2,5");
    let mut encoder = codec.encoder(of(20)).unwrap();
    let mut decoder = codec.decoder().unwrap();
    let mut heard = [0; 160];
    for (asked, sent) in [(0, 2), (2, 2), (4, 2), (7, 5), (200, 5)] {
        encoder.ask_peer(Some(asked));
        let (payload, _) = payload(&mut encoder, &[1_000; 160]).unwrap();
        decoder.decode(&payload, &mut heard).unwrap();
        assert_eq!(decoder.requested_mode(), Some(sent), "{asked}");
    }
}

#[test]
fn interleaved_packets_have_every_other_frame_of_two() {
    for (encoding, fmtp, ptime_ms) in [
        ("AMR", "interleaving=4", 40),
        ("AMR", "interleaving=30;crc=1;robust-sorting=1", 60),
        ("AMR-WB", "interleaving=8", 80),
    ] {
        let interleaved = codec(encoding, fmtp);
        let plain = codec(encoding, "octet-align=1");
        let frame = plain.frame_samples();
        let packet_frames = ptime_ms as usize / 20;
        let mut encoder = interleaved.encoder(of(ptime_ms)).unwrap();
        let mut decoder = interleaved.decoder().unwrap();
        let said = speech(plain.sample_rate(), 48 * frame);
        // By the sample that each frame begins with, in order.
        let mut frames = std::collections::BTreeMap::new();
        for (number, samples) in said.chunks_exact(encoder.packet_samples()).enumerate() {
            let sent = payload(&mut encoder, samples);
            // The packets of a group are sent while the next one is said.
            assert_eq!(sent.is_some(), number >= 2, "{encoding} {number}");
            let Some((payload, marker)) = sent else {
                continue;
            };
            assert_eq!(marker, number == 2);
            assert_eq!(payload[1], [0x10, 0x11][number % 2], "{encoding} {fmtp}");
            let begins = number * samples.len() - encoder.behind_samples();
            let mut samples = [0; PACKET_SAMPLES_MAX];
            let refused = decoder.decode(&payload, &mut samples);
            assert_eq!(refused, Err(DecodeError::Unsupported));
            let mut parts = decoder.parts(&payload).unwrap();
            let mut part = [0; codecs::amr::PART_BYTES_MAX];
            while let Some((offset, len)) = parts.next_into(&mut part) {
                let other = frames.insert(begins + offset, part[..len].to_vec());
                assert_eq!(other, None, "{encoding} {fmtp}");
            }
        }
        let mut ours = plain.encoder(of(20)).unwrap();
        let mut theirs = plain.decoder().unwrap();
        for (at, (begins, part)) in frames.iter().enumerate() {
            assert_eq!(*begins, at * frame);
            let (mut heard, mut expected) = (vec![0; frame], vec![0; frame]);
            decoder.decode(part, &mut heard).unwrap();
            let (payload, _) = payload(&mut ours, &said[at * frame..][..frame]).unwrap();
            theirs.decode(&payload, &mut expected).unwrap();
            assert_eq!(heard, expected, "{encoding} {fmtp} {at}");
        }
        assert_eq!(frames.len(), 48 - 2 * packet_frames);
    }
}

#[test]
fn an_encoder_that_takes_over_neither_clicks_nor_fades() {
    let mut faults = Vec::new();
    for encoding in ["G722", "AMR", "AMR-WB", "EVS", "opus"] {
        let codec = codec(encoding, "evs-mode-switch=1");
        let rate = f64::from(codec.sample_rate());
        let packet = codec.sample_rate() as usize / 50;
        let tone = |t: usize, hz: f64| (t as f64 * hz / rate * std::f64::consts::TAU).sin();
        let said: Vec<i16> = (0..150 * packet)
            .map(|t| (6_000.0 * (tone(t, 510.0) + tone(t, 830.0))) as i16)
            .collect();
        for place in 25..35 {
            let mut decoder = codec.decoder().unwrap();
            let mut encoders = [(); 3].map(|()| codec.encoder(of(20)).unwrap());
            let mut heard = Vec::new();
            let mut samples = vec![0; packet];
            for (number, said) in said.chunks_exact(packet).enumerate() {
                // First another encoder for the same decoder, then another stream.
                let which = usize::from(number >= place) + usize::from(number >= 100);
                if number == place {
                    encoders[1].begin(said);
                }
                if number == 100 {
                    decoder.begin();
                }
                let (payload, _) = payload(&mut encoders[which], said).unwrap();
                decoder.decode(&payload, &mut samples).unwrap();
                heard.extend_from_slice(&samples);
            }
            let peak = |packets: std::ops::Range<usize>| {
                let samples = &heard[packets.start * packet..packets.end * packet];
                samples
                    .iter()
                    .map(|sample| sample.unsigned_abs())
                    .max()
                    .unwrap()
            };
            let before = peak(15..place);
            for at in [place, 100] {
                let (splice, after) = (peak(at - 1..at + 10), peak(at + 40..at + 50));
                // Predictors of G.722 need longer.
                let most = before / 2 * if encoding == "G722" { 4 } else { 3 };
                if splice > most || after < before / 5 * 4 {
                    faults.push(format!(
                        "{encoding} {place} {at}: {before} {splice} {after}"
                    ));
                }
            }
        }
    }
    assert!(faults.is_empty(), "{faults:#?}");
}

#[test]
fn losses_are_concealed_and_fade() {
    for encoding in ["G722", "AMR", "AMR-WB", "opus"] {
        let codec = codec(encoding, "");
        let mut encoder = codec.encoder(of(20)).unwrap();
        let mut decoder = codec.decoder().unwrap();
        let packet = encoder.packet_samples();
        let rate = f64::from(codec.sample_rate());
        let level = |samples: &[i16]| {
            let power: f64 = samples
                .iter()
                .map(|&sample| f64::from(sample).powi(2))
                .sum();
            (power / samples.len() as f64).sqrt()
        };
        let mut heard = vec![0; packet];
        for index in 0..20 {
            let said: Vec<i16> = (index * packet..(index + 1) * packet)
                .map(|t| {
                    let turn = (t as f64 * 150.0 / rate).fract();
                    ((1.0 - turn).powi(6) * 20_000.0 - 2_500.0) as i16
                })
                .collect();
            let (payload, _) = payload(&mut encoder, &said).unwrap();
            decoder.decode(&payload, &mut heard).unwrap();
        }
        let before = level(&heard);
        decoder.conceal(&mut heard);
        assert!(level(&heard) > before / 8.0, "{encoding}");
        for _ in 0..50 {
            decoder.conceal(&mut heard);
        }
        assert!(
            level(&heard) < before / 20.0,
            "{encoding}: {} {before}",
            level(&heard)
        );
    }
}

#[test]
fn opus_recovers_a_lost_packet_from_the_next() {
    let codec = codec("opus", "maxplaybackrate=16000;useinbandfec=1");
    let config = EncoderConfig {
        loss_percent: 20,
        ..of(20)
    };
    let mut encoder = codec.encoder(config).unwrap();
    let packet = encoder.packet_samples();
    let said = speech(16_000, 150 * packet);
    let payloads: Vec<_> = said
        .chunks(packet)
        .map(|said| payload(&mut encoder, said).unwrap().0)
        .collect();
    let hear = |recover: bool| {
        let mut decoder = codec.decoder().unwrap();
        let mut heard = vec![0; said.len()];
        for (index, heard) in heard.chunks_mut(packet).enumerate() {
            match (index % 5 == 3, payloads.get(index + 1)) {
                (true, Some(next)) if recover => decoder.recover(next, heard),
                (true, _) => decoder.conceal(heard),
                _ => drop(decoder.decode(&payloads[index], heard)),
            }
        }
        likeness(&said, &heard, 300).unwrap().correlation
    };
    assert!(
        hear(true) > hear(false) + 0.02,
        "{} {}",
        hear(true),
        hear(false)
    );
}

#[test]
fn formats_that_are_none_are_refused_with_the_reason() {
    for (encoding, rate, channels, fmtp, fault) in [
        ("AMR", 16_000, 1, "", FormatError::ClockRate),
        ("AMR", 8_000, 2, "", FormatError::Channels),
        (
            "AMR",
            8_000,
            1,
            "interleaving=31",
            FormatError::Unsupported("interleaving"),
        ),
        (
            "AMR-WB",
            16_000,
            1,
            "mode-set=9",
            FormatError::Parameter("mode-set"),
        ),
        ("opus", 16_000, 2, "", FormatError::ClockRate),
        (
            "opus",
            48_000,
            2,
            "maxplaybackrate=1",
            FormatError::Parameter("maxplaybackrate"),
        ),
        (
            "opus",
            48_000,
            2,
            "usedtx=2",
            FormatError::Parameter("usedtx"),
        ),
    ] {
        let found = Codec::from_sdp(encoding, rate, channels, Some(fmtp));
        assert_eq!(found, Err(fault), "{encoding} {fmtp}");
    }
}

#[test]
fn configurations_that_are_not_the_codec_s_are_refused() {
    let refused = |codec: &Codec, config| codec.encoder(config).map(drop).unwrap_err();
    let amr = codec("AMR", "mode-set=0,2");
    for ptime in [5, 10, 30, 50] {
        assert_eq!(refused(&amr, of(ptime)), Unavailable::Config("ptime"));
    }
    let config = EncoderConfig {
        mode: Some(1),
        ..of(20)
    };
    assert_eq!(refused(&amr, config), Unavailable::Config("mode"));
    let opus = codec("opus", "");
    let config = EncoderConfig {
        complexity: 11,
        ..of(20)
    };
    assert_eq!(refused(&opus, config), Unavailable::Config("complexity"));
    assert_eq!(refused(&opus, of(30)), Unavailable::Config("ptime"));
    let evs = codec("EVS", "");
    assert_eq!(refused(&evs, of(20)), Unavailable::NoCodec("EVS"));
    let mut decoder = evs.decoder().unwrap();
    let unsupported = decoder.decode(&[0; 33], &mut [0; 320]);
    assert_eq!(unsupported, Err(DecodeError::Unsupported));
}

#[test]
fn slices_of_the_wrong_length_are_refused() {
    for encoding in ["G722", "AMR", "AMR-WB", "opus"] {
        let codec = codec(encoding, "");
        let mut encoder = codec.encoder(of(20)).unwrap();
        let said = speech(codec.sample_rate(), encoder.packet_samples());
        let mut room = vec![0; encoder.payload_bytes_max()];
        let short = encoder.encode(&said[1..], &mut room);
        assert_eq!(short, Err(EncodeError::Samples), "{encoding}");
        let result = encoder.encode(&said, &mut []);
        assert_eq!(result, Err(EncodeError::PayloadTooSmall), "{encoding}");
        let (payload, _) = payload(&mut encoder, &said).unwrap();
        let mut decoder = codec.decoder().unwrap();
        let result = decoder.decode(&payload, &mut vec![0; said.len() - 1]);
        assert_eq!(result, Err(DecodeError::SamplesTooSmall), "{encoding}");
        assert_eq!(
            decoder.decode(&[], &mut [0; 10]),
            Err(DecodeError::Malformed),
            "{encoding}"
        );
    }
}

#[test]
fn payloads_may_be_cut_and_changed_anywhere() {
    for (encoding, fmtp) in [
        ("PCMU", ""),
        ("PCMA", ""),
        ("L16", ""),
        ("G722", ""),
        ("AMR", ""),
        ("AMR", "octet-align=1"),
        ("AMR", "crc=1;robust-sorting=1"),
        ("AMR", "interleaving=30;crc=1"),
        ("AMR-WB", ""),
        ("AMR-WB", "octet-align=1"),
        ("AMR-WB", "interleaving=30;robust-sorting=1"),
        ("EVS", "evs-mode-switch=1"),
        ("EVS", "evs-mode-switch=1;hf-only=1"),
        ("opus", "maxplaybackrate=16000"),
        ("opus", "useinbandfec=1;usedtx=1"),
    ] {
        let codec = codec(encoding, fmtp);
        let config = EncoderConfig {
            loss_percent: 20,
            ..of(40)
        };
        let mut encoder = codec.encoder(config).unwrap();
        let mut decoder = codec.decoder().unwrap();
        let said = speech(codec.sample_rate(), encoder.packet_samples());
        // The first two of an interleaved stream are kept back, and FEC is of the one before.
        let mut sent = (0..4).filter_map(|_| payload(&mut encoder, &said));
        let (whole, _) = sent.by_ref().last().unwrap();
        let mut samples = [0; PACKET_SAMPLES_MAX];
        let tick = codec.sample_rate() as usize / 50;
        let mut tried = 0_usize;
        let mut try_it = |payload: &[u8]| {
            let count = decoder.samples_in(payload);
            tried += 1;
            if tried.is_multiple_of(3) {
                decoder.recover(payload, &mut samples[..tick]);
            }
            if tried.is_multiple_of(50) {
                decoder.begin();
            }
            let decoded = decoder.decode(payload, &mut samples);
            if let Ok(decoded) = decoded {
                assert_eq!(count, Ok(decoded.samples));
            }
            let mut part = [0; codecs::amr::PART_BYTES_MAX];
            let mut parts = decoder.parts(payload);
            while let Some((_, len)) = parts.as_mut().and_then(|it| it.next_into(&mut part)) {
                decoder.decode(&part[..len], &mut samples).unwrap();
            }
        };
        (0..whole.len()).for_each(|cut| try_it(&whole[..cut]));
        for bit in 0..whole.len() * 8 {
            let mut payload = whole.clone();
            payload[bit / 8] ^= 1 << (bit % 8);
            try_it(&payload);
        }
        let mut noise = 1_u32;
        for round in 0..300_usize {
            let payload: Vec<u8> = std::iter::repeat_with(|| {
                noise = noise.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
                (noise >> 24) as u8
            })
            .take(round)
            .collect();
            try_it(&payload);
        }
    }
}
