//! Against codecs that share no code with ours: ffmpeg's own decoders of G.722, AMR, AMR-WB and
//! Opus, its encoders of G.722, Opus and comfort noise, and its sample rate converter. Sox encodes
//! AMR with the library that we use too.

use std::io::Write;
use std::net::UdpSocket;
use std::process::{Command, Stdio};
use std::time::Duration;

use codecs::amr::{Band, Layout, NO_REQUEST, write};
use codecs::comfort_noise::{Generator, Parameters};
use codecs::speech::Speech;
use codecs::{Codec, Encoded, EncoderConfig, PACKET_SAMPLES_MAX, Resampler, likeness};

/// Runs a program over octets.
fn pipe(program: &str, arguments: &str, input: &[u8]) -> Vec<u8> {
    let mut child = Command::new(program)
        .args(arguments.split(' '))
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .unwrap_or_else(|fault| panic!("{program}: {fault}; apt-get install {program}"));
    let mut stdin = child.stdin.take().unwrap();
    let output = std::thread::scope(|scope| {
        scope.spawn(move || stdin.write_all(input));
        child.wait_with_output().unwrap()
    });
    assert!(output.status.success(), "{program} {arguments}");
    output.stdout
}

fn ffmpeg(arguments: &str, input: &[u8]) -> Vec<u8> {
    pipe("ffmpeg", &format!("-v error {arguments} pipe:1"), input)
}

/// What ffmpeg decodes a file of this format to, by a decoder of its own.
fn decoded_by_ffmpeg(format: &str, rate: u32, file: &[u8]) -> Vec<i16> {
    samples(&ffmpeg(
        &format!("{format} -i pipe:0 -f s16le -ar {rate}"),
        file,
    ))
}

fn samples(octets: &[u8]) -> Vec<i16> {
    octets
        .as_chunks()
        .0
        .iter()
        .map(|&pair| i16::from_le_bytes(pair))
        .collect()
}

fn octets(samples: &[i16]) -> Vec<u8> {
    samples
        .iter()
        .flat_map(|sample| sample.to_le_bytes())
        .collect()
}

/// A second of speech.
fn speech(rate: u32) -> Vec<i16> {
    let mut said = vec![0; 8_000];
    Speech::new(11).fill(&mut said);
    let mut resampler = Resampler::new(8_000, rate).unwrap();
    let mut out = vec![0; resampler.samples_out(said.len())];
    resampler.process(&said, &mut out);
    out
}

fn snr_db(reference: &[i16], found: &[i16]) -> f64 {
    assert!(reference.len().abs_diff(found.len()) * 10 < reference.len());
    let (mut signal, mut noise) = (0.0, 1e-3);
    for (&a, &b) in reference.iter().zip(found) {
        signal += f64::from(a).powi(2);
        noise += (f64::from(a) - f64::from(b)).powi(2);
    }
    10.0 * f64::log10(signal / noise)
}

/// Payloads of packets of so many milliseconds.
fn encode(codec: &Codec, mode: Option<u8>, ptime_ms: u64, said: &[i16]) -> Vec<Vec<u8>> {
    let config = EncoderConfig {
        ptime: Duration::from_millis(ptime_ms),
        mode,
        ..EncoderConfig::default()
    };
    let mut encoder = codec.encoder(config).unwrap();
    let mut room = vec![0; encoder.payload_bytes_max()];
    said.chunks_exact(encoder.packet_samples())
        .map(|said| match encoder.encode(said, &mut room).unwrap() {
            Encoded::Payload { len, .. } => room[..len].to_vec(),
            Encoded::Nothing => panic!("nothing without DTX"),
        })
        .collect()
}

fn decode(codec: &Codec, payloads: &[Vec<u8>]) -> Vec<i16> {
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
fn g722_is_ffmpeg_s_in_both_directions() {
    let said = speech(16_000);
    let theirs = ffmpeg(
        "-f s16le -ar 16000 -ac 1 -i pipe:0 -c:a g722 -f g722",
        &octets(&said),
    );
    let ours = encode(&Codec::G722, None, 20, &said).concat();
    let heard = decode(
        &Codec::G722,
        &[ours.clone()].map(|all| all[..2_000].to_vec()),
    );
    assert_eq!(
        heard,
        decoded_by_ffmpeg("-f g722", 16_000, &ours)[..heard.len()]
    );
    // Their encoder looks for another path than the recommendation's, so octets differ.
    let payloads: Vec<_> = theirs.chunks(160).map(<[u8]>::to_vec).collect();
    assert_eq!(
        decode(&Codec::G722, &payloads),
        decoded_by_ffmpeg("-f g722", 16_000, &theirs)
    );
    for file in [&ours, &theirs] {
        let heard = decoded_by_ffmpeg("-f g722", 16_000, file);
        // The two mirror filters delay by 22 samples.
        let snr = snr_db(&said[..said.len() - 22], &heard[22..]);
        assert!(snr > 20.0, "{snr} dB");
    }
}

#[test]
fn amr_of_every_mode_is_heard_alike_by_ffmpeg() {
    for (encoding, rate, magic, modes) in [
        ("AMR", 8_000, "#!AMR\n", 8),
        ("AMR-WB", 16_000, "#!AMR-WB\n", 9),
    ] {
        let codec = Codec::from_sdp(encoding, rate, 1, Some("octet-align=1")).unwrap();
        let efficient = Codec::from_sdp(encoding, rate, 1, None).unwrap();
        let said = speech(rate);
        for mode in 0..modes {
            let payloads = encode(&codec, Some(mode), 20, &said);
            let ours = decode(&codec, &payloads);
            // Behind the request an octet-aligned payload is what a file has.
            let mut file = magic.as_bytes().to_vec();
            payloads
                .iter()
                .for_each(|payload| file.extend_from_slice(&payload[1..]));
            let theirs = decoded_by_ffmpeg("-f amr", rate, &file);
            let snr = snr_db(&theirs, &ours);
            println!("{encoding} {mode}: {snr:.1} dB to the decoder of ffmpeg");
            // Above 6.4 kHz AMR-WB has noise, which is no two decoders' same.
            let snr_min = if rate == 8_000 { 25.0 } else { 12.0 };
            assert!(snr > snr_min, "{encoding} {mode}: {snr} dB");
            // The other packing says the same, and so do several frames in a packet.
            let payloads = encode(&efficient, Some(mode), 60, &said);
            let packed = decode(&efficient, &payloads);
            assert!(packed == ours[..packed.len()], "{encoding} {mode}");
        }
    }
}

#[test]
fn amr_is_packed_as_ffmpeg_packs_it() {
    for (encoding, band, rate, magic) in [
        ("AMR", Band::Narrow, 8_000, "#!AMR\n"),
        ("AMR-WB", Band::Wide, 16_000, "#!AMR-WB\n"),
    ] {
        let codec = Codec::from_sdp(encoding, rate, 1, Some("octet-align=1")).unwrap();
        let said = speech(rate);
        let payloads: Vec<Vec<u8>> = (0..=band.mode_max())
            .flat_map(|mode| encode(&codec, Some(mode), 20, &said[..said.len() / 10]))
            .collect();
        let frames: Vec<&[u8]> = payloads.iter().map(|payload| &payload[1..]).collect();
        let file = [magic.as_bytes(), &frames.concat()].concat();
        for in_packet in [1, 3] {
            let socket = UdpSocket::bind("127.0.0.1:0").unwrap();
            socket
                .set_read_timeout(Some(Duration::from_secs(10)))
                .unwrap();
            let port = socket.local_addr().unwrap().port();
            let seconds = f64::from(in_packet) / 50.0;
            let to = format!("-c copy -muxdelay {seconds} -f rtp rtp://127.0.0.1:{port}");
            pipe("ffmpeg", &format!("-v error -f amr -i pipe:0 {to}"), &file);
            // A packet leaves when there is a frame for the next.
            let sent = frames.len() - 1;
            for frames in frames[..sent].chunks_exact(in_packet as usize) {
                let mut ours = [0; 300];
                let files = frames.iter().copied();
                let len = write(band, Layout::ALIGNED, NO_REQUEST, files, &mut ours).unwrap();
                let mut theirs = [0; 300];
                let count = socket.recv(&mut theirs).unwrap();
                // Behind the header of RTP.
                assert_eq!(theirs[12..count], ours[..len], "{encoding}");
            }
        }
    }
}

#[test]
fn amr_files_of_sox_are_heard_as_sox_hears_them() {
    // It leaves out silence, which the decoder of ffmpeg cannot: its own then, of our library.
    let codec = Codec::from_sdp("AMR", 8_000, 1, Some("octet-align=1")).unwrap();
    let mut said = speech(8_000);
    said.extend([0; 4_000]);
    for mode in [0, 4, 7] {
        let arguments = format!("-t s16 -r 8000 -c 1 - -C {mode} -t amr-nb -");
        let file = pipe("sox", &arguments, &octets(&said));
        let mut payloads = Vec::new();
        let mut rest = file.strip_prefix(b"#!AMR\n").unwrap();
        while let [header, ..] = rest {
            let bits = codecs::amr::Band::Narrow
                .frame_bits(header >> 3 & 0x0f)
                .unwrap();
            let (frame, later) = rest.split_at(1 + bits.div_ceil(8));
            payloads.push([&[0xf0], frame].concat());
            rest = later;
        }
        assert!(
            payloads.iter().any(|payload| payload.len() == 7),
            "a descriptor of silence"
        );
        let theirs = samples(&pipe("sox", "-D -t amr-nb - -t s16 -", &file));
        assert!(decode(&codec, &payloads) == theirs, "{mode}");
    }
}

#[test]
fn opus_is_heard_alike_by_ffmpeg_in_both_directions() {
    let codec = Codec::from_sdp("opus", 48_000, 2, None).unwrap();
    let said = speech(48_000);
    // Its own encoder and that of the library, at rates of different modes of the codec.
    for encoder in [
        "opus -strict -2 -b:a 64k",
        "libopus -b:a 12k",
        "libopus -b:a 32k",
    ] {
        let arguments = format!("-f s16le -ar 48000 -ac 1 -i pipe:0 -c:a {encoder} -f ogg");
        let file = ffmpeg(&arguments, &octets(&said));
        let ours = decode(&codec, &ogg::packets(&file)[2..]);
        let theirs = decoded_by_ffmpeg("-c:a opus", 48_000, &file);
        // They leave out what comes before the sound, and upsample in another way.
        let found = likeness(&theirs[..4_800], &ours[..5_120], 320).unwrap();
        println!("Opus by {encoder}: {found:?} to the decoder of ffmpeg");
        assert!(found.correlation > 0.98, "{encoder}: {found:?}");
    }
    for ptime_ms in [10, 20, 60] {
        let payloads = encode(&codec, None, ptime_ms, &said);
        let ours = decode(&codec, &payloads);
        let file = ogg::file(&payloads, 48 * ptime_ms);
        let theirs = decoded_by_ffmpeg("-c:a opus", 48_000, &file);
        let found = likeness(&ours[..9_600], &theirs[..9_640], 40).unwrap();
        println!("Opus, {ptime_ms} ms: {found:?} to the decoder of ffmpeg");
        assert!(found.correlation > 0.98, "{ptime_ms} ms: {found:?}");
    }
}

#[test]
fn comfort_noise_that_ffmpeg_describes_sounds_like_what_it_heard() {
    // Brown noise and white noise.
    let tilt = |samples: &[i16]| {
        let product = |(&a, &b): (&i16, &i16)| f64::from(a) * f64::from(b);
        samples.iter().zip(&samples[1..]).map(product).sum::<f64>()
    };
    let power = |samples: &[i16]| samples.iter().map(|&s| f64::from(s).powi(2)).sum::<f64>();
    for colour in ["white", "pink"] {
        let noise = format!("-f lavfi -i anoisesrc=r=8000:a=0.03:c={colour}:d=2:seed=3");
        let heard = samples(&ffmpeg(&format!("{noise} -f s16le"), &[]));
        let described = format!("{noise} -map 0:a -c:a comfortnoise -f data");
        let payloads = ffmpeg(&described, &[]);
        // Ten coefficients and the level.
        let payload = payloads.as_chunks::<11>().0.last().unwrap();
        let mut generator = Generator::new(1);
        generator.set(Parameters::parse(payload).unwrap());
        let mut made = vec![0; heard.len()];
        generator.fill(&mut made);
        let level_db = 10.0 * (power(&made) / power(&heard)).log10();
        assert!(level_db.abs() < 4.0, "{colour}: {level_db} dB");
        let (ours, theirs) = (tilt(&made) / power(&made), tilt(&heard) / power(&heard));
        assert!((ours - theirs).abs() < 0.2, "{colour}: {ours} {theirs}");
    }
}

#[test]
fn resampled_speech_is_that_of_ffmpeg() {
    for (from, to) in [
        (8_000, 16_000),
        (16_000, 8_000),
        (48_000, 16_000),
        (24_000, 32_000),
    ] {
        let said = speech(from);
        let mut resampler = Resampler::new(from, to).unwrap();
        let mut ours = vec![0; resampler.samples_out(said.len())];
        resampler.process(&said, &mut ours);
        let arguments = format!("-f s16le -ar {from} -ac 1 -i pipe:0 -f s16le -ar {to}");
        let theirs = samples(&ffmpeg(&arguments, &octets(&said)));
        let delay = (24 * to / from.min(to)) as usize;
        let snr = snr_db(&theirs[..theirs.len() - delay], &ours[delay..]);
        println!("{from} to {to}: {snr:.1} dB to ffmpeg's");
        assert!(snr > 25.0, "{from} to {to}: {snr} dB");
    }
}

/// As much of Ogg (RFC 3533) and its Opus mapping (RFC 7845) as a test needs.
mod ogg {
    pub fn packets(file: &[u8]) -> Vec<Vec<u8>> {
        let (mut packets, mut packet) = (Vec::new(), Vec::new());
        let mut rest = file;
        while !rest.is_empty() {
            assert_eq!(rest[..4], *b"OggS");
            let segments = rest[26] as usize;
            let mut at = 27 + segments;
            for &length in &rest[27..27 + segments] {
                packet.extend_from_slice(&rest[at..at + length as usize]);
                at += length as usize;
                if length < 255 {
                    packets.push(std::mem::take(&mut packet));
                }
            }
            rest = &rest[at..];
        }
        packets
    }

    pub fn file(payloads: &[Vec<u8>], samples: u64) -> Vec<u8> {
        let mut head = b"OpusHead\x01\x01\0\0".to_vec();
        head.extend(48_000_u32.to_le_bytes());
        head.extend([0; 3]);
        let mut tags = b"OpusTags".to_vec();
        tags.extend([0; 8]);
        let mut file = page(0, 2, 0, &head);
        file.extend(page(1, 0, 0, &tags));
        for (index, payload) in (1..).zip(payloads) {
            let last = index as usize == payloads.len();
            file.extend(page(
                index + 1,
                if last { 4 } else { 0 },
                samples * index,
                payload,
            ));
        }
        file
    }

    fn page(number: u64, kind: u8, position: u64, packet: &[u8]) -> Vec<u8> {
        let mut page = b"OggS\0".to_vec();
        page.push(kind);
        page.extend(position.to_le_bytes());
        page.extend(7_u32.to_le_bytes());
        page.extend((number as u32).to_le_bytes());
        page.extend([0; 4]);
        let whole = packet.len() / 255;
        page.push(whole as u8 + 1);
        page.extend(std::iter::repeat_n(255, whole));
        page.push((packet.len() % 255) as u8);
        page.extend_from_slice(packet);
        let mut crc = 0_u32;
        for &octet in &page {
            crc ^= u32::from(octet) << 24;
            for _ in 0..8 {
                crc = crc << 1 ^ if crc >> 31 == 1 { 0x04c1_1db7 } else { 0 };
            }
        }
        page[22..26].copy_from_slice(&crc.to_le_bytes());
        page
    }
}
