//! From a file in memory to samples.

use std::sync::Arc;

use codecs::Codec;

use crate::amr::{Band, Frames};
use crate::error::{Error, Format};
use crate::opus::{self, GRANULE_RATE};
use crate::resample::resample;
use crate::wav::Wav;

/// Decodes a whole file to one track at `rate`; files of several tracks to their mean.
///
/// The format is that of the file's first octets. What a damaged file has before its damage is
/// played.
///
/// # Errors
/// `Malformed` where there is nothing to play, `Unsupported`, `Unavailable` without the codec,
/// `Limit` for a clip longer than [`CLIP_SAMPLES_MAX`].
pub fn decode(octets: &[u8], rate: u32) -> Result<Arc<[i16]>, Error> {
    let (samples, from) = match octets {
        [b'R', b'I', b'F', b'F', ..] => {
            let wav = Wav::parse(octets)?;
            bounded(wav.len() as u64, wav.rate(), rate)?;
            (wav.mono().collect(), wav.rate())
        }
        [b'#', b'!', b'A', b'M', b'R', ..] => amr(octets, rate)?,
        [b'O', b'g', b'g', b'S', ..] => (ogg(octets, rate)?, GRANULE_RATE),
        _ => {
            return Err(Error::Unsupported(
                "a file that is neither WAVE, AMR nor Ogg",
            ));
        }
    };
    Ok(resample(&samples, from, rate).into())
}

/// Refuses what is longer than [`CLIP_SAMPLES_MAX`] at the rate of the file or the one wanted.
fn bounded(samples: u64, from: u32, to: u32) -> Result<(), Error> {
    let after = samples.saturating_mul(u64::from(to)) / u64::from(from.max(1));
    if samples.max(after) > CLIP_SAMPLES_MAX {
        return Err(Error::Limit("the length of a clip"));
    }
    Ok(())
}

fn amr(octets: &[u8], rate: u32) -> Result<(Vec<i16>, u32), Error> {
    let frames = Frames::parse(octets)?;
    let band = frames.band();
    let codec = amr_codec(band)?;
    let mut decoder = codec
        .decoder()
        .map_err(|_| Error::Unavailable("AMR, AMR-WB"))?;
    let frame_samples = band.rate() as usize / 50;
    let mut samples = Vec::new();
    let mut payload = Vec::with_capacity(64);
    let mut heard = [0; codecs::PACKET_SAMPLES_MAX];
    for frame in frames {
        let Ok(frame) = frame else {
            break;
        };
        bounded((samples.len() + frame_samples) as u64, band.rate(), rate)?;
        payload.clear();
        payload.push(NO_MODE_REQUEST);
        payload.extend_from_slice(frame);
        let decoded = match decoder.decode(&payload, &mut heard) {
            Ok(decoded) => decoded.samples,
            Err(_) => {
                decoder.conceal(&mut heard[..frame_samples]);
                frame_samples
            }
        };
        samples.extend_from_slice(&heard[..decoded]);
    }
    Ok((samples, band.rate()))
}

/// The codec whose octet-aligned payload a stored frame is part of.
pub(crate) fn amr_codec(band: Band) -> Result<Codec, Error> {
    let encoding = match band {
        Band::Narrow => "AMR",
        Band::Wide => "AMR-WB",
    };
    Codec::from_sdp(encoding, band.rate(), 1, Some("octet-align=1"))
        .map_err(|_| Error::Unavailable("AMR, AMR-WB"))
}

/// The codec at the rate of an Ogg file.
pub(crate) fn opus_codec() -> Result<Codec, Error> {
    Codec::from_sdp("opus", GRANULE_RATE, 2, None).map_err(|_| Error::Unavailable("Opus"))
}

fn ogg(octets: &[u8], rate: u32) -> Result<Vec<i16>, Error> {
    let streams = opus::parse(octets)?;
    let count = streams.len() as i32;
    let mut tracks = streams.iter().map(|stream| opus_stream(stream, rate));
    let Some(first) = tracks.next() else {
        return Err(Error::Malformed(Format::Opus, 0));
    };
    let first = first?;
    if count == 1 {
        return Ok(first);
    }
    let mut sums: Vec<i32> = first.into_iter().map(i32::from).collect();
    for track in tracks {
        let track = track?;
        sums.resize(sums.len().max(track.len()), 0);
        for (sum, sample) in sums.iter_mut().zip(track) {
            *sum += i32::from(sample);
        }
    }
    Ok(sums.into_iter().map(|sum| (sum / count) as i16).collect())
}

fn opus_stream(stream: &opus::Stream, rate: u32) -> Result<Vec<i16>, Error> {
    let total = stream
        .packets
        .iter()
        .filter_map(|packet| opus::packet_samples(packet));
    bounded(total.map(u64::from).sum(), GRANULE_RATE, rate)?;
    let codec = opus_codec()?;
    let mut decoder = codec.decoder().map_err(|_| Error::Unavailable("Opus"))?;
    let mut samples = Vec::new();
    let mut heard = [0; codecs::PACKET_SAMPLES_MAX];
    for packet in &stream.packets {
        let duration = opus::packet_samples(packet).unwrap_or(0) as usize;
        let decoded = match decoder.decode(packet, &mut heard) {
            Ok(decoded) => decoded.samples,
            Err(_) => {
                decoder.conceal(&mut heard[..duration]);
                duration
            }
        };
        samples.extend_from_slice(&heard[..decoded]);
    }
    samples.drain(..samples.len().min(usize::from(stream.pre_skip)));
    if let Some(played) = stream.samples {
        samples.truncate(usize::try_from(played).unwrap_or(usize::MAX));
    }
    if stream.gain != 0 {
        let factor = 10f32.powf(f32::from(stream.gain) / (20.0 * 256.0));
        for sample in &mut samples {
            *sample = (f32::from(*sample) * factor).round() as i16;
        }
    }
    Ok(samples)
}

/// RFC 4867 4.3.1: the mode request that requests none.
const NO_MODE_REQUEST: u8 = 0xf0;

/// Longest clip in samples: 64 MiB, which is 69 minutes at 8 kHz and 11 at 48 kHz.
pub const CLIP_SAMPLES_MAX: u64 = 32 << 20;

#[cfg(test)]
mod tests {
    use super::*;
    use crate::wav::{Coding, Writer};

    fn wav(rate: u32, samples: usize) -> Vec<u8> {
        let writer = Writer::new(Coding::Linear16, rate, 1).unwrap();
        let mut octets = writer.header((samples * 2) as u32);
        writer.samples(&vec![1000; samples], &mut octets);
        octets
    }

    #[test]
    fn a_wave_file_is_had_at_the_rate_wanted() {
        let clip = decode(&wav(44_100, 4410), 8000).unwrap();
        assert_eq!(clip.len(), 800);
        assert!(
            clip[100..700]
                .iter()
                .all(|sample| sample.abs_diff(1000) <= 1)
        );
    }

    #[test]
    fn a_clip_too_long_is_refused_before_it_is_decoded() {
        assert!(bounded(CLIP_SAMPLES_MAX, 8000, 8000).is_ok());
        assert!(bounded(CLIP_SAMPLES_MAX / 2, 8000, 48_000).is_err());
        assert!(bounded(u64::MAX, 8000, 48_000).is_err());
    }

    #[test]
    fn other_files_are_refused() {
        for octets in [&b"ID3"[..], b"", b"R", b"RIFF", b"#!AMR", b"OggS"] {
            assert!(decode(octets, 8000).is_err());
        }
    }
}
