//! Samples of a recording to the octets of its files.

use codecs::{Encoded, Encoder, EncoderConfig, Resampler};

use super::{RecordRequest, RecordingFormat};
use crate::amr::Band;
use crate::decode::{amr_codec, opus_codec};
use crate::error::Error;
use crate::opus::{self, GRANULE_RATE};
use crate::wav::{Coding, Writer};

/// Turns interleaved samples into what is appended to each file.
#[derive(Debug)]
pub(super) struct Composer {
    kind: Kind,
    tracks: usize,
    rate: u32,
    /// Samples of each track so far.
    samples: u64,
}

#[derive(Debug)]
enum Kind {
    Wav {
        writer: Writer,
        octets_max: u64,
    },
    /// A file for each track.
    Amr(Band, Vec<FrameEncoder>),
    /// A logical stream for each track.
    Opus(Vec<(FrameEncoder, opus::Writer)>),
}

impl Composer {
    /// # Errors
    /// `Unavailable` without the codec, or without the mode or bit rate wanted.
    pub(super) fn new(request: &RecordRequest) -> Result<Self, Error> {
        let (rate, tracks) = (request.rate, request.tracks);
        let wav = |coding| {
            let writer = Writer::new(coding, rate, tracks)?;
            Ok::<_, Error>(Kind::Wav {
                writer,
                octets_max: WAV_OCTETS_MAX,
            })
        };
        let kind = match request.format {
            RecordingFormat::WavLinear => wav(Coding::Linear16)?,
            RecordingFormat::WavG711(law) => wav(Coding::G711(law))?,
            RecordingFormat::Amr(mode) => Kind::amr(Band::Narrow, mode, request)?,
            RecordingFormat::AmrWb(mode) => Kind::amr(Band::Wide, mode, request)?,
            RecordingFormat::Opus(bit_rate) => Kind::opus(bit_rate, request)?,
        };
        Ok(Self {
            kind,
            tracks,
            rate,
            samples: 0,
        })
    }

    /// How many files there are.
    pub(super) fn files(&self) -> usize {
        match &self.kind {
            Kind::Amr(_, encoders) => encoders.len(),
            _ => 1,
        }
    }

    /// Samples of each track so far.
    pub(super) fn samples(&self) -> u64 {
        self.samples
    }

    /// What the files begin with.
    pub(super) fn begin(&mut self, name: &str, files: &mut [Vec<u8>]) -> Result<(), Error> {
        match &mut self.kind {
            Kind::Wav { writer, .. } => files[0].extend(writer.header(0)),
            Kind::Amr(band, _) => {
                for file in files {
                    file.extend_from_slice(band.magic());
                }
            }
            Kind::Opus(tracks) => {
                for (_, writer) in &mut *tracks {
                    writer.head(self.rate, &mut files[0])?;
                }
                for (index, (_, writer)) in tracks.iter_mut().enumerate() {
                    let title = if self.tracks == 1 {
                        name.to_owned()
                    } else {
                        format!("{name}, track {}", index + 1)
                    };
                    writer.tags(&title, &mut files[0])?;
                }
            }
        }
        Ok(())
    }

    /// Appends whole ticks of interleaved samples.
    ///
    /// # Errors
    /// `Limit` where a file would grow beyond its format, `Unsupported` where the codec fails.
    pub(super) fn samples_in(&mut self, all: &[i16], files: &mut [Vec<u8>]) -> Result<(), Error> {
        let count = self.tracks;
        match &mut self.kind {
            Kind::Wav { writer, octets_max } => {
                let from = files[0].len();
                writer.samples(all, &mut files[0]);
                let written = (files[0].len() - from) as u64;
                *octets_max = octets_max.checked_sub(written).ok_or_else(|| {
                    files[0].truncate(from);
                    Error::Limit("4 GiB of a WAVE file")
                })?;
            }
            Kind::Amr(_, encoders) => {
                for (index, (encoder, file)) in encoders.iter_mut().zip(files).enumerate() {
                    let track = all.iter().skip(index).step_by(count);
                    encoder.samples(track.copied(), |payload| stored(payload, file))?;
                }
            }
            Kind::Opus(tracks) => {
                for (index, (encoder, writer)) in tracks.iter_mut().enumerate() {
                    let track = all.iter().skip(index).step_by(count);
                    encoder.samples(track.copied(), |payload| {
                        writer.packet(payload, &mut files[0])
                    })?;
                }
            }
        }
        self.samples += (all.len() / count) as u64;
        Ok(())
    }

    /// What the files end with.
    pub(super) fn finish(&mut self, files: &mut [Vec<u8>]) -> Result<(), Error> {
        match &mut self.kind {
            Kind::Wav { .. } => {}
            Kind::Amr(band, encoders) => {
                let until = self.samples * u64::from(band.rate()) / u64::from(self.rate);
                for (encoder, file) in encoders.iter_mut().zip(files) {
                    encoder.pad(until, |payload| stored(payload, file))?;
                }
            }
            Kind::Opus(tracks) => {
                let heard = self.samples * u64::from(GRANULE_RATE) / u64::from(self.rate);
                for (encoder, writer) in tracks {
                    // The encoder keeps the last few ms back: as many frames as bring them out.
                    let until = heard + u64::from(writer.pre_skip());
                    encoder.pad(until, |payload| writer.packet(payload, &mut files[0]))?;
                    writer.finish(heard, &mut files[0]);
                }
            }
        }
        Ok(())
    }

    /// What is written over the beginning at last, for a first file of so many octets.
    pub(super) fn beginning(&self, octets: u64) -> Option<Vec<u8>> {
        match &self.kind {
            Kind::Wav { writer, .. } => {
                let header = writer.header(0).len() as u64;
                let data = u32::try_from(octets.saturating_sub(header)).unwrap_or(u32::MAX);
                Some(writer.header(data))
            }
            _ => None,
        }
    }
}

impl Kind {
    fn amr(band: Band, mode: Option<u8>, request: &RecordRequest) -> Result<Self, Error> {
        let config = EncoderConfig {
            mode,
            ..EncoderConfig::default()
        };
        let encoders = (0..request.tracks)
            .map(|_| FrameEncoder::new(&amr_codec(band)?, config, request.rate))
            .collect::<Result<_, _>>()?;
        Ok(Kind::Amr(band, encoders))
    }

    fn opus(bit_rate: Option<u32>, request: &RecordRequest) -> Result<Self, Error> {
        let config = EncoderConfig {
            bit_rate,
            ..EncoderConfig::default()
        };
        let track = |serial| {
            let encoder = FrameEncoder::new(&opus_codec()?, config, request.rate)?;
            Ok::<_, Error>((encoder, opus::Writer::new(serial, OPUS_PRE_SKIP)))
        };
        let tracks = (1..=request.tracks as u32).map(track);
        Ok(Kind::Opus(tracks.collect::<Result<_, _>>()?))
    }
}

/// Appends what an octet-aligned payload has beyond its mode request: a stored frame.
fn stored(payload: &[u8], file: &mut Vec<u8>) -> Result<(), Error> {
    file.extend_from_slice(payload.get(1..).unwrap_or(&AMR_NO_DATA));
    Ok(())
}

/// Brings samples to the codec's rate, cuts them into frames and encodes these.
#[derive(Debug)]
struct FrameEncoder {
    encoder: Encoder,
    resampler: Resampler,
    /// What waits to be resampled, 10 ms of it at most, and what comes out.
    block: Vec<i16>,
    block_samples: usize,
    resampled: Vec<i16>,
    /// Samples still to be dropped: those the resampler delays by.
    delay: usize,
    frame: Vec<i16>,
    frame_samples: usize,
    /// Samples in frames so far.
    encoded: u64,
    payload: Vec<u8>,
}

impl FrameEncoder {
    fn new(codec: &codecs::Codec, config: EncoderConfig, rate: u32) -> Result<Self, Error> {
        let unavailable = |_| Error::Unavailable("the encoder of this format");
        let encoder = codec.encoder(config).map_err(unavailable)?;
        let resampler = Resampler::new(rate, codec.sample_rate());
        let resampler = resampler.ok_or(Error::Misuse("a rate that no codec has"))?;
        let block_samples = rate as usize / 100;
        let resampled = vec![0; resampler.samples_out(block_samples)];
        let delay = match rate == codec.sample_rate() {
            true => 0,
            false => RESAMPLER_DELAY * codec.sample_rate() / rate.min(codec.sample_rate()),
        };
        let frame_samples = codec
            .samples_of(config.ptime)
            .ok_or(Error::Misuse("a frame that the codec has not"))?;
        Ok(Self {
            payload: vec![0; encoder.payload_bytes_max()],
            encoder,
            resampler,
            block: Vec::with_capacity(block_samples),
            block_samples,
            resampled,
            delay: delay as usize,
            frame: Vec::with_capacity(frame_samples),
            frame_samples,
            encoded: 0,
        })
    }

    /// Takes samples in and passes on each payload that becomes whole.
    fn samples(
        &mut self,
        samples: impl Iterator<Item = i16>,
        mut write: impl FnMut(&[u8]) -> Result<(), Error>,
    ) -> Result<(), Error> {
        for sample in samples {
            self.block.push(sample);
            if self.block.len() == self.block_samples {
                self.resample(&mut write)?;
            }
        }
        Ok(())
    }

    /// Adds silence until so many samples of the codec's rate are in frames.
    fn pad(
        &mut self,
        until: u64,
        mut write: impl FnMut(&[u8]) -> Result<(), Error>,
    ) -> Result<(), Error> {
        while self.encoded < until {
            let silence = std::iter::repeat_n(0, self.block_samples);
            self.samples(silence, &mut write)?;
        }
        Ok(())
    }

    fn resample(
        &mut self,
        write: &mut impl FnMut(&[u8]) -> Result<(), Error>,
    ) -> Result<(), Error> {
        let count = self.resampler.process(&self.block, &mut self.resampled);
        self.block.clear();
        let dropped = self.delay.min(count);
        self.delay -= dropped;
        for at in dropped..count {
            self.frame.push(self.resampled[at]);
            if self.frame.len() == self.frame_samples {
                self.encode(write)?;
            }
        }
        Ok(())
    }

    fn encode(&mut self, write: &mut impl FnMut(&[u8]) -> Result<(), Error>) -> Result<(), Error> {
        let encoded = self.encoder.encode(&self.frame, &mut self.payload);
        let encoded = encoded.map_err(|_| Error::Unsupported("what the encoder was given"))?;
        self.frame.clear();
        self.encoded += self.frame_samples as u64;
        match encoded {
            Encoded::Payload { len, .. } => write(&self.payload[..len]),
            Encoded::Nothing => write(&[]),
        }
    }
}

/// A frame of nothing, RFC 4867 4.3.2: type 15, good quality.
const AMR_NO_DATA: [u8; 1] = [0x7c];

/// What libopus looks ahead at 48 kHz, in samples: 2.5 ms of the transform and 4 ms of resampling.
const OPUS_PRE_SKIP: u16 = 312;

/// Samples of the lower of two rates that [`Resampler`] delays by.
const RESAMPLER_DELAY: u32 = 24;

/// RIFF counts in 32 bits; some room for its headers.
const WAV_OCTETS_MAX: u64 = u32::MAX as u64 - 64;
