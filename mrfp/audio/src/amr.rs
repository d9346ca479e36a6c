//! The storage format of AMR and AMR-WB, RFC 4867 5: one track, a frame every 20 ms.

use crate::error::{Error, Format};

/// Which of the two codecs.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Band {
    /// AMR, 8 kHz.
    Narrow,
    /// AMR-WB, 16 kHz.
    Wide,
}

impl Band {
    /// Samples per second.
    pub const fn rate(self) -> u32 {
        match self {
            Band::Narrow => 8_000,
            Band::Wide => 16_000,
        }
    }

    /// What a file begins with, RFC 4867 5.1.
    pub const fn magic(self) -> &'static [u8] {
        match self {
            Band::Narrow => b"#!AMR\n",
            Band::Wide => b"#!AMR-WB\n",
        }
    }

    /// Octets of the speech bits of a frame type, `None` for types that no file has
    /// (TS 26.101 table 1a, TS 26.201 table 1a).
    const fn speech_octets(self, frame_type: u8) -> Option<usize> {
        let table: &[u8; 16] = match self {
            Band::Narrow => &[12, 13, 15, 17, 19, 20, 26, 31, 5, 6, 5, 5, 255, 255, 255, 0],
            Band::Wide => &[
                17, 23, 32, 36, 40, 46, 50, 58, 60, 5, 255, 255, 255, 255, 0, 0,
            ],
        };
        match table[(frame_type & 15) as usize] {
            255 => None,
            octets => Some(octets as usize),
        }
    }
}

/// The frames of a file in memory, each with its leading octet of frame type and quality.
///
/// Such a frame is, with the octet of a mode request before it, an octet-aligned payload of
/// RFC 4867 4.4.
#[derive(Clone, Debug)]
pub struct Frames<'a> {
    band: Band,
    octets: &'a [u8],
    at: usize,
}

impl<'a> Frames<'a> {
    /// Looks at the beginning.
    ///
    /// # Errors
    /// `Malformed` unless it is one of the two, `Unsupported` for the formats with more than one
    /// channel.
    pub fn parse(octets: &'a [u8]) -> Result<Self, Error> {
        if octets.starts_with(b"#!AMR_MC1.0\n") || octets.starts_with(b"#!AMR-WB_MC1.0\n") {
            return Err(Error::Unsupported("AMR with more than one channel"));
        }
        let band = [Band::Narrow, Band::Wide]
            .into_iter()
            .find(|band| octets.starts_with(band.magic()))
            .ok_or(Error::Malformed(Format::Amr, 0))?;
        Ok(Self {
            band,
            octets,
            at: band.magic().len(),
        })
    }

    /// Which codec they are of.
    pub fn band(&self) -> Band {
        self.band
    }
}

impl<'a> Iterator for Frames<'a> {
    type Item = Result<&'a [u8], Error>;

    /// The next frame; after an error there is none. A frame that the end of the file cuts is left
    /// out.
    fn next(&mut self) -> Option<Self::Item> {
        let head = *self.octets.get(self.at)?;
        let speech = self.band.speech_octets(head >> 3);
        let (Some(speech), 0) = (speech, head & PADDING) else {
            let at = std::mem::replace(&mut self.at, self.octets.len());
            return Some(Err(Error::Malformed(Format::Amr, at)));
        };
        let end = self.at + 1 + speech;
        let frame = self.octets.get(self.at..end);
        self.at = if frame.is_some() {
            end
        } else {
            self.octets.len()
        };
        frame.map(Ok)
    }
}

/// Bits of the leading octet that are zero, RFC 4867 5.3.
const PADDING: u8 = 0b1000_0011;

#[cfg(test)]
mod tests {
    use super::*;

    fn file(band: Band, frame_types: &[u8]) -> Vec<u8> {
        let mut octets = band.magic().to_vec();
        for frame_type in frame_types {
            octets.push(frame_type << 3 | 4);
            let speech = band.speech_octets(*frame_type).unwrap();
            octets.extend(std::iter::repeat_n(0xa5, speech));
        }
        octets
    }

    #[test]
    fn every_frame_type_has_its_length() {
        let narrow: Vec<u8> = (0..12).chain([15]).collect();
        let wide: Vec<u8> = (0..10).chain([14, 15]).collect();
        for (band, types) in [(Band::Narrow, narrow), (Band::Wide, wide)] {
            let octets = file(band, &types);
            let frames: Result<Vec<_>, _> = Frames::parse(&octets).unwrap().collect();
            let found: Vec<u8> = frames.unwrap().iter().map(|frame| frame[0] >> 3).collect();
            assert_eq!(found, types);
        }
    }

    #[test]
    fn a_frame_cut_by_the_end_is_left_out() {
        let octets = file(Band::Wide, &[2, 9, 8]);
        for end in Band::Wide.magic().len()..octets.len() {
            let frames: Vec<_> = Frames::parse(&octets[..end]).unwrap().collect();
            assert!(frames.len() < 3 && frames.iter().all(Result::is_ok));
        }
        assert!(Frames::parse(&octets[..5]).is_err());
    }

    #[test]
    fn a_reserved_type_ends_the_file_with_an_error() {
        let mut octets = file(Band::Narrow, &[7]);
        octets.extend([13 << 3, 1, 2, 3]);
        let mut frames = Frames::parse(&octets).unwrap();
        assert!(frames.next().unwrap().is_ok());
        assert!(frames.next().unwrap().is_err());
        assert!(frames.next().is_none());
    }

    #[test]
    fn no_flipped_bit_makes_it_run_on() {
        let octets = file(Band::Narrow, &[0, 8, 15, 7]);
        for at in 0..octets.len() {
            for bit in 0..8 {
                let mut flipped = octets.clone();
                flipped[at] ^= 1 << bit;
                if let Ok(frames) = Frames::parse(&flipped) {
                    assert!(frames.count() <= octets.len());
                }
            }
        }
    }

    #[test]
    fn several_channels_are_refused_by_name() {
        assert!(matches!(
            Frames::parse(b"#!AMR_MC1.0\n\0\0\0\x01"),
            Err(Error::Unsupported(_))
        ));
    }
}
