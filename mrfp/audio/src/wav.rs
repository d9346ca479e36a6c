//! RIFF WAVE files: a view of one in memory, and the writing of one in a stream.

use codecs::g711::Law;

use crate::error::{Error, Format};

/// How a sample stands in a file.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Coding {
    /// Unsigned octets.
    Linear8,
    /// Signed, little-endian.
    Linear16,
    /// Signed, little-endian, three octets.
    Linear24,
    /// Signed, little-endian.
    Linear32,
    /// IEEE 754, full scale 1.
    Float32,
    /// G.711 A-law or µ-law.
    G711(Law),
}

impl Coding {
    /// Octets of one sample.
    pub const fn octets(self) -> usize {
        match self {
            Coding::Linear8 | Coding::G711(_) => 1,
            Coding::Linear16 => 2,
            Coding::Linear24 => 3,
            Coding::Linear32 | Coding::Float32 => 4,
        }
    }

    fn of(tag: u16, bits: u16) -> Option<Self> {
        Some(match (tag, bits) {
            (TAG_PCM, 8) => Coding::Linear8,
            (TAG_PCM, 16) => Coding::Linear16,
            (TAG_PCM, 24) => Coding::Linear24,
            (TAG_PCM, 32) => Coding::Linear32,
            (TAG_FLOAT, 32) => Coding::Float32,
            (TAG_A_LAW, 8) => Coding::G711(Law::A),
            (TAG_MU_LAW, 8) => Coding::G711(Law::Mu),
            _ => return None,
        })
    }

    fn tag(self) -> u16 {
        match self {
            Coding::Float32 => TAG_FLOAT,
            Coding::G711(Law::A) => TAG_A_LAW,
            Coding::G711(Law::Mu) => TAG_MU_LAW,
            _ => TAG_PCM,
        }
    }

    /// One sample of `self.octets()` octets.
    fn sample(self, octets: &[u8]) -> i16 {
        match (self, octets) {
            (Coding::Linear8, &[octet]) => (i16::from(octet) - 128) << 8,
            (Coding::Linear16, &[a, b])
            | (Coding::Linear24, &[_, a, b])
            | (Coding::Linear32, &[_, _, a, b]) => i16::from_le_bytes([a, b]),
            (Coding::Float32, &[a, b, c, d]) => {
                (f32::from_le_bytes([a, b, c, d]) * 32768.0).round() as i16
            }
            (Coding::G711(law), &[octet]) => {
                let mut sample = [0];
                law.decode(&[octet], &mut sample);
                sample[0]
            }
            _ => 0,
        }
    }
}

/// View of a WAVE file in memory.
///
/// A data chunk that claims more than there is ends with the file, as those that a program wrote
/// into a pipe or did not finish.
#[derive(Clone, Copy, Debug)]
pub struct Wav<'a> {
    coding: Coding,
    rate: u32,
    tracks: usize,
    data: &'a [u8],
}

impl<'a> Wav<'a> {
    /// Finds format and samples.
    ///
    /// # Errors
    /// `Malformed` without a usable `fmt ` before a `data` chunk, `Unsupported` for codings, rates
    /// and numbers of tracks that are not played here.
    pub fn parse(octets: &'a [u8]) -> Result<Self, Error> {
        if !has(octets, 0, b"RIFF") || !has(octets, 8, b"WAVE") {
            return Err(Error::Malformed(Format::Wav, 0));
        }
        let mut at = 12;
        let mut format = None;
        while let Some(length) = u32_at(octets, at + 4) {
            let body = at + 8;
            let end = body.saturating_add(length as usize).min(octets.len());
            let chunk = &octets[body..end];
            if has(octets, at, b"fmt ") {
                format = Some(FormatChunk::parse(chunk, at)?);
            } else if has(octets, at, b"data") {
                let format = format.ok_or(Error::Malformed(Format::Wav, at))?;
                // Written into a pipe: the length was never known.
                let data = if length == 0 { &octets[body..] } else { chunk };
                return Ok(format.over(data));
            }
            // Chunks begin at even offsets.
            at = end.saturating_add(length as usize & 1);
        }
        Err(Error::Malformed(Format::Wav, at))
    }

    /// How its samples stand there.
    pub fn coding(&self) -> Coding {
        self.coding
    }

    /// Samples per second and track.
    pub fn rate(&self) -> u32 {
        self.rate
    }

    /// Tracks, one sample of each after the other.
    pub fn tracks(&self) -> usize {
        self.tracks
    }

    /// Samples of each track.
    pub fn len(&self) -> usize {
        self.data.len() / (self.coding.octets() * self.tracks)
    }

    /// Whether there is no sample.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// One sample after the other, the mean of all tracks.
    pub fn mono(&self) -> impl ExactSizeIterator<Item = i16> + use<'a> {
        let (coding, tracks) = (self.coding, self.tracks);
        self.data
            .chunks_exact(coding.octets() * tracks)
            .map(move |frame| {
                let sum: i32 = frame
                    .chunks_exact(coding.octets())
                    .map(|sample| i32::from(coding.sample(sample)))
                    .sum();
                (sum / tracks as i32) as i16
            })
    }

    /// The samples of one track, counted from 0.
    pub fn track(&self, track: usize) -> impl ExactSizeIterator<Item = i16> + use<'a> {
        let (coding, width) = (self.coding, self.coding.octets());
        let from = track.min(self.tracks - 1) * width;
        self.data
            .chunks_exact(width * self.tracks)
            .map(move |frame| coding.sample(&frame[from..from + width]))
    }
}

struct FormatChunk {
    coding: Coding,
    rate: u32,
    tracks: usize,
}

impl FormatChunk {
    fn parse(chunk: &[u8], at: usize) -> Result<Self, Error> {
        let short = Error::Malformed(Format::Wav, at);
        let read = |offset| u16_at(chunk, offset).ok_or(short.clone());
        let mut tag = read(field::TAG)?;
        if tag == TAG_EXTENSIBLE {
            tag = read(field::SUBFORMAT)?;
        }
        let coding = Coding::of(tag, read(field::BITS)?).ok_or(Error::Unsupported(
            "a WAVE coding other than linear and G.711",
        ))?;
        let rate = u32_at(chunk, field::RATE).ok_or(short.clone())?;
        let tracks = usize::from(read(field::TRACKS)?);
        if tracks == 0 || rate == 0 {
            return Err(short);
        }
        if tracks > TRACKS_MAX {
            return Err(Error::Unsupported("more than 32 tracks"));
        }
        if !(RATE_MIN..=RATE_MAX).contains(&rate) {
            return Err(Error::Unsupported("a rate outside 8 to 192 kHz"));
        }
        Ok(Self {
            coding,
            rate,
            tracks,
        })
    }

    fn over(self, data: &[u8]) -> Wav<'_> {
        Wav {
            coding: self.coding,
            rate: self.rate,
            tracks: self.tracks,
            data,
        }
    }
}

/// Writes a WAVE file: [`Writer::header`] first, then samples, at last the header again over the
/// first.
#[derive(Clone, Debug)]
pub struct Writer {
    coding: Coding,
    rate: u32,
    tracks: u16,
}

impl Writer {
    /// A file of `tracks` interleaved tracks.
    ///
    /// # Errors
    /// `Unsupported` for codings other than 16 bits and G.711, `Misuse` for no or too many tracks.
    pub fn new(coding: Coding, rate: u32, tracks: usize) -> Result<Self, Error> {
        if !matches!(coding, Coding::Linear16 | Coding::G711(_)) {
            return Err(Error::Unsupported("writing WAVE with this coding"));
        }
        let tracks = u16::try_from(tracks)
            .ok()
            .filter(|tracks| (1..=TRACKS_MAX).contains(&usize::from(*tracks)))
            .ok_or(Error::Misuse("a WAVE file has 1 to 32 tracks"))?;
        Ok(Self {
            coding,
            rate,
            tracks,
        })
    }

    /// The header of a file with so many octets of samples.
    pub fn header(&self, data_octets: u32) -> Vec<u8> {
        let width = self.coding.octets() as u16 * self.tracks;
        let is_linear = self.coding == Coding::Linear16;
        let mut octets = Vec::with_capacity(HEADER_OCTETS_MAX);
        octets.extend_from_slice(b"RIFF");
        let rest = if is_linear { 36 } else { 50 };
        let padding = data_octets & 1;
        octets.extend_from_slice(&(data_octets.saturating_add(rest + padding)).to_le_bytes());
        octets.extend_from_slice(b"WAVEfmt ");
        octets.extend_from_slice(&(if is_linear { 16u32 } else { 18 }).to_le_bytes());
        octets.extend_from_slice(&self.coding.tag().to_le_bytes());
        octets.extend_from_slice(&self.tracks.to_le_bytes());
        octets.extend_from_slice(&self.rate.to_le_bytes());
        octets.extend_from_slice(&(self.rate * u32::from(width)).to_le_bytes());
        octets.extend_from_slice(&width.to_le_bytes());
        octets.extend_from_slice(&(self.coding.octets() as u16 * 8).to_le_bytes());
        if !is_linear {
            octets.extend_from_slice(&0u16.to_le_bytes());
            octets.extend_from_slice(b"fact");
            octets.extend_from_slice(&4u32.to_le_bytes());
            octets.extend_from_slice(&(data_octets / u32::from(width)).to_le_bytes());
        }
        octets.extend_from_slice(b"data");
        octets.extend_from_slice(&data_octets.to_le_bytes());
        octets
    }

    /// Appends interleaved samples.
    pub fn samples(&self, samples: &[i16], octets: &mut Vec<u8>) {
        match self.coding {
            Coding::G711(law) => {
                let from = octets.len();
                octets.resize(from + samples.len(), 0);
                law.encode(samples, &mut octets[from..]);
            }
            _ => octets.extend(samples.iter().flat_map(|sample| sample.to_le_bytes())),
        }
    }
}

/// Offsets in the `fmt ` chunk.
mod field {
    pub const TAG: usize = 0;
    pub const TRACKS: usize = 2;
    pub const RATE: usize = 4;
    pub const BITS: usize = 14;
    pub const SUBFORMAT: usize = 24;
}

const TAG_PCM: u16 = 1;
const TAG_FLOAT: u16 = 3;
const TAG_A_LAW: u16 = 6;
const TAG_MU_LAW: u16 = 7;
const TAG_EXTENSIBLE: u16 = 0xfffe;

/// Most tracks of a file.
pub const TRACKS_MAX: usize = 32;
const RATE_MIN: u32 = 8_000;
const RATE_MAX: u32 = 192_000;
const HEADER_OCTETS_MAX: usize = 58;

fn has(octets: &[u8], at: usize, tag: &[u8; 4]) -> bool {
    octets.get(at..).is_some_and(|rest| rest.starts_with(tag))
}

fn u16_at(octets: &[u8], at: usize) -> Option<u16> {
    let octets = octets.get(at..)?.first_chunk()?;
    Some(u16::from_le_bytes(*octets))
}

fn u32_at(octets: &[u8], at: usize) -> Option<u32> {
    let octets = octets.get(at..)?.first_chunk()?;
    Some(u32::from_le_bytes(*octets))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn file(coding: Coding, tracks: usize, samples: &[i16]) -> Vec<u8> {
        let writer = Writer::new(coding, 8000, tracks).unwrap();
        let mut data = Vec::new();
        writer.samples(samples, &mut data);
        let mut octets = writer.header(data.len() as u32);
        octets.extend(data);
        octets
    }

    #[test]
    fn what_is_written_is_read_again() {
        let samples: Vec<i16> = (0..1000).map(|n| (n * 60 - 30_000) as i16).collect();
        for tracks in [1, 2, 4] {
            let octets = file(Coding::Linear16, tracks, &samples);
            let wav = Wav::parse(&octets).unwrap();
            assert_eq!((wav.rate(), wav.tracks()), (8000, tracks));
            assert_eq!(wav.len(), 1000 / tracks);
            let second: Vec<i16> = wav.track(tracks - 1).collect();
            let expected: Vec<i16> = samples
                .iter()
                .skip(tracks - 1)
                .step_by(tracks)
                .copied()
                .collect();
            assert_eq!(second, expected);
        }
    }

    #[test]
    fn g711_is_read_to_the_same_octets() {
        let samples: Vec<i16> = (-16_000..16_000).step_by(37).collect();
        for law in [Law::A, Law::Mu] {
            let octets = file(Coding::G711(law), 1, &samples);
            let once: Vec<i16> = Wav::parse(&octets).unwrap().mono().collect();
            assert_eq!(file(Coding::G711(law), 1, &once), octets);
        }
    }

    #[test]
    fn a_mono_mix_is_the_mean_and_never_overflows() {
        let octets = file(
            Coding::Linear16,
            2,
            &[i16::MAX, i16::MAX, -32768, -32768, 100, 0],
        );
        let mix: Vec<i16> = Wav::parse(&octets).unwrap().mono().collect();
        assert_eq!(mix, [i16::MAX, -32768, 50]);
    }

    #[test]
    fn a_truncated_file_gives_what_is_there_or_an_error() {
        let octets = file(Coding::Linear16, 2, &(0..200).collect::<Vec<i16>>());
        for end in 0..octets.len() {
            match Wav::parse(&octets[..end]) {
                Ok(wav) => assert_eq!(wav.len(), (end - 44) / 4),
                Err(Error::Malformed(Format::Wav, _)) => assert!(end < 44),
                Err(other) => panic!("{other}"),
            }
        }
    }

    #[test]
    fn no_flipped_bit_makes_it_panic() {
        let octets = file(Coding::G711(Law::A), 2, &(0..64).collect::<Vec<i16>>());
        for at in 0..octets.len() {
            for bit in 0..8 {
                let mut flipped = octets.clone();
                flipped[at] ^= 1 << bit;
                if let Ok(wav) = Wav::parse(&flipped) {
                    assert!(wav.mono().count() <= octets.len());
                    assert_eq!(wav.track(99).count(), wav.len());
                }
            }
        }
    }

    #[test]
    fn foreign_chunks_are_passed_over_with_their_padding() {
        let octets = file(Coding::Linear16, 1, &[1, 2, 3]);
        let mut with_list = octets[..12].to_vec();
        with_list.extend_from_slice(b"LIST\x03\0\0\0abc\0");
        with_list.extend_from_slice(&octets[12..]);
        assert_eq!(
            Wav::parse(&with_list).unwrap().mono().collect::<Vec<_>>(),
            [1, 2, 3]
        );
    }

    #[test]
    fn samples_before_their_format_are_refused() {
        let octets = b"RIFF\x24\0\0\0WAVEdata\x02\0\0\0ab".to_vec();
        assert!(Wav::parse(&octets).is_err());
        let mut adpcm = file(Coding::Linear16, 1, &[1]);
        adpcm[20] = 2;
        assert!(matches!(Wav::parse(&adpcm), Err(Error::Unsupported(_))));
    }
}
