//! Recordings: what a worker feeds, and what becomes of it.

mod composer;
mod draft;
mod recorder;
pub(crate) mod writer;

use std::path::PathBuf;
use std::time::Duration;

use codecs::g711::Law;

use crate::error::Error;

pub(crate) use draft::Folder;
pub use draft::RecordingName;
pub use recorder::{Recorded, Recorder};
pub(crate) use writer::Recordings;

/// What is written.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum RecordingFormat {
    /// WAVE with 16 bits; tracks side by side in one file.
    WavLinear,
    /// WAVE with G.711; tracks side by side in one file.
    WavG711(Law),
    /// AMR storage format at this mode (highest if `None`); a file for each track.
    Amr(Option<u8>),
    /// AMR-WB storage format at this mode (highest if `None`); a file for each track.
    AmrWb(Option<u8>),
    /// Ogg Opus at this bit rate; a logical stream for each track, in one file.
    Opus(Option<u32>),
}

impl RecordingFormat {
    /// What its files' names end with.
    pub const fn extension(self) -> &'static str {
        match self {
            RecordingFormat::WavLinear | RecordingFormat::WavG711(_) => "wav",
            RecordingFormat::Amr(_) => "amr",
            RecordingFormat::AmrWb(_) => "awb",
            RecordingFormat::Opus(_) => "opus",
        }
    }
}

/// When silence ends a recording.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct SilenceRule {
    /// A tick of less than this is silence, in dB below full scale, negative.
    pub level_dbov: i8,
    /// Ends it when nobody has spoken for so long since the beginning.
    pub before: Option<Duration>,
    /// Ends it when, after speech, nobody has spoken for so long.
    pub after: Option<Duration>,
}

/// What to record.
#[derive(Clone, Debug, PartialEq)]
pub struct RecordRequest {
    /// Its name in the folder of recordings, without the format's ending.
    pub name: RecordingName,
    /// What is written.
    pub format: RecordingFormat,
    /// Rate of the samples that the worker has.
    pub rate: u32,
    /// Tracks, of which each tick has samples: 1 for a mix.
    pub tracks: usize,
    /// Its end, at most [`RECORDING_TIME_MAX`].
    pub duration_max: Duration,
    /// Whether silence ends it.
    pub silence: Option<SilenceRule>,
    /// Takes the place of a recording of this name; without it that is an error.
    pub replace: bool,
}

impl RecordRequest {
    /// A mono recording of at most an hour.
    pub fn new(name: RecordingName, format: RecordingFormat, rate: u32) -> Self {
        Self {
            name,
            format,
            rate,
            tracks: 1,
            duration_max: Duration::from_secs(3600),
            silence: None,
            replace: false,
        }
    }

    fn check(&self) -> Result<(), Error> {
        if !(1..=RECORDING_TRACKS_MAX).contains(&self.tracks) {
            return Err(Error::Misuse("a recording has 1 to 32 tracks"));
        }
        if !codecs::Codec::SAMPLE_RATES.contains(&self.rate) {
            return Err(Error::Misuse("a rate that no codec has"));
        }
        if self.duration_max.is_zero() || self.duration_max > RECORDING_TIME_MAX {
            return Err(Error::Misuse("the longest recording takes 1 ms to 6 hours"));
        }
        Ok(())
    }
}

/// Why a recording ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[repr(u8)]
#[non_exhaustive]
pub enum Cause {
    /// It was asked to.
    Stopped = 1,
    /// A key was pressed.
    Key,
    /// Speech was followed by silence.
    Silence,
    /// There was no speech to begin with.
    NoSpeech,
    /// It is as long as was allowed.
    Duration,
    /// The file has no room for more.
    Size,
    /// The disk did not keep up.
    Overrun,
    /// The disk is full, or the quota.
    DiskFull,
    /// Writing failed otherwise, or the file could not be made.
    Failed,
}

impl Cause {
    const ALL: [Cause; 9] = [
        Cause::Stopped,
        Cause::Key,
        Cause::Silence,
        Cause::NoSpeech,
        Cause::Duration,
        Cause::Size,
        Cause::Overrun,
        Cause::DiskFull,
        Cause::Failed,
    ];

    fn from_number(number: u8) -> Option<Self> {
        Self::ALL.into_iter().find(|cause| *cause as u8 == number)
    }

    fn of_error(error: &Error) -> Self {
        match error {
            Error::Io(
                std::io::ErrorKind::StorageFull
                | std::io::ErrorKind::QuotaExceeded
                | std::io::ErrorKind::FileTooLarge,
            ) => Cause::DiskFull,
            Error::Limit(_) => Cause::Size,
            _ => Cause::Failed,
        }
    }
}

/// What became of a recording.
#[derive(Clone, Debug, PartialEq)]
pub struct Report {
    /// Why it ended.
    pub cause: Cause,
    /// The files, none where nothing could be kept: each whole and durable.
    pub files: Vec<PathBuf>,
    /// Length of what the files have.
    pub duration: Duration,
    /// Octets of the files.
    pub octets: u64,
    /// What went wrong, where something did.
    pub error: Option<Error>,
}

/// Longest recording.
pub const RECORDING_TIME_MAX: Duration = Duration::from_secs(6 * 3600);
/// Most tracks of a recording.
pub const RECORDING_TRACKS_MAX: usize = 32;
/// Most recordings under way at a time.
pub const RECORDINGS_MAX: usize = 512;
