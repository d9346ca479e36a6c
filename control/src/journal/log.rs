//! The log: records in numbered segments, of which the oldest is given up when too little of it is
//! still in use.
//!
//! A segment begins with [`MAGIC`] and [`FORMAT`]; records follow. Only the last segment is written
//! to, and a segment is durable before the next one is begun, so only the last one can end in the
//! middle of a record. What is still in use of the oldest segment is written anew behind all
//! others before it is removed, and always the oldest goes first: a removal is needed for as
//! long as an older segment may hold what it removes, and no longer.

use std::collections::{BTreeMap, HashMap};
use std::fmt;
use std::io;

use super::files::{self, Files};
use super::frame::{self, Operation, Record};
use super::{JournalStatus, Replay};

/// What a segment begins with.
const MAGIC: &[u8; 8] = b"STRWGJNL";
/// Version of the form of segments, records and values.
const FORMAT: u32 = 1;
/// Octets of magic and version.
const HEADER: usize = 12;
/// Segments that what is in use fills, about: more are made larger instead.
const SEGMENTS_LIVE: u64 = 16;

/// Sizes of a log.
#[derive(Clone, Copy, Debug)]
pub(super) struct Sizes {
    /// Octets of a segment, at least; a longer write makes it longer.
    pub segment_min: u64,
    /// Octets that the log may have whatever is in use of them.
    pub total_min: u64,
}

const SIZES: Sizes = Sizes {
    segment_min: 1 << 20,
    total_min: 4 << 20,
};

const _: () = assert!(SIZES.total_min >= 2 * SIZES.segment_min);

/// The log of a journal.
pub struct Log<F> {
    files: F,
    sizes: Sizes,
    /// Where the value of each key is.
    index: HashMap<(u8, u64), Place>,
    /// Octets of each segment.
    segments: BTreeMap<u32, u64>,
    /// The one written to.
    current: u32,
    /// Octets of the values in use, with their frames.
    live: u64,
    /// The segment whose first record is a begin.
    begun: Option<u32>,
    /// Segments before this one are void.
    void_before: u32,
    /// A write to the current segment failed and could not be undone.
    is_broken: bool,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Place {
    segment: u32,
    offset: u32,
    octets: u32,
}

/// Octets of a segment that could not be read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Damage {
    /// The segment's number.
    pub segment: u32,
    /// Octets from the first record that is damaged to the end.
    pub octets: u64,
    /// It is the end of the last segment, as a process leaves it that is killed while it writes.
    pub is_tail: bool,
}

impl Damage {
    /// The name of the file.
    pub fn file_name(&self) -> String {
        files::name(self.segment)
    }
}

/// Why a log cannot be used.
#[derive(Debug)]
#[non_exhaustive]
pub enum OpenError {
    /// The system refuses an operation.
    Io(io::Error),
    /// A file is no segment.
    NoSegment(u32),
    /// A segment is of another version.
    Version(u32, u32),
}

impl From<io::Error> for OpenError {
    fn from(fault: io::Error) -> Self {
        OpenError::Io(fault)
    }
}

impl fmt::Display for OpenError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            OpenError::Io(fault) => write!(f, "{fault}; mend it or choose another directory"),
            OpenError::NoSegment(file) => write!(
                f,
                "{} is no segment of a journal; move it away",
                files::name(*file)
            ),
            OpenError::Version(file, version) => write!(
                f,
                "{} has version {version}, and this program writes {FORMAT}; start the program \
                 that wrote it, or move the directory away and lose what it holds",
                files::name(*file)
            ),
        }
    }
}

impl std::error::Error for OpenError {}

impl<F: Files> Log<F> {
    /// Opens a log and reads what it holds; a new one is made where there is none.
    ///
    /// # Errors
    /// It cannot be read or is not ours; octets that are damaged are no error.
    pub fn open(files: F) -> Result<(Self, Replay, Vec<Damage>), OpenError> {
        Self::open_with(files, SIZES)
    }

    pub(super) fn open_with(
        files: F,
        sizes: Sizes,
    ) -> Result<(Self, Replay, Vec<Damage>), OpenError> {
        let mut log = Self {
            files,
            sizes,
            index: HashMap::new(),
            segments: BTreeMap::new(),
            current: 0,
            live: 0,
            begun: None,
            void_before: 0,
            is_broken: false,
        };
        let mut replay = Replay::default();
        let mut damages = Vec::new();
        let numbers = log.files.list()?;
        let last = numbers.last().copied();
        for number in numbers {
            let bytes = log.files.read(number)?;
            let is_last = Some(number) == last;
            if is_last && is_unwritten(&bytes) {
                log.files.remove(number)?;
                continue;
            }
            let records = header(number, &bytes)?;
            let used = log.note(number, records);
            replay.read(&records[..used]);
            let octets = (records.len() - used) as u64;
            let mut length = bytes.len() as u64;
            if octets > 0 {
                damages.push(Damage {
                    segment: number,
                    octets,
                    is_tail: is_last,
                });
            }
            if octets > 0 && is_last {
                length -= octets;
                log.files.truncate(number, length)?;
                log.files.sync(number)?;
            }
            log.segments.insert(number, length);
            log.current = number;
        }
        log.remove_void()?;
        if log.segments.is_empty() {
            log.rotate()?;
        }
        Ok((log, replay, damages))
    }

    /// Appends whole records; they are durable after [`Log::sync`].
    ///
    /// # Errors
    /// The system's: nothing of it counts as appended.
    pub fn append(&mut self, records: &[u8]) -> io::Result<()> {
        let length = self.segments.get(&self.current).copied().unwrap_or(0);
        let has_room = length + records.len() as u64 <= self.segment_max();
        let is_new = length == HEADER as u64;
        // A statement of everything has a segment of its own before which all others are void.
        let wants_new = !has_room || frame::is_statement(records);
        if self.is_broken || (wants_new && !is_new) {
            self.rotate()?;
        }
        let current = self.current;
        let length = self.segments.get(&current).copied().unwrap_or(0);
        if let Err(fault) = self.files.append(current, records) {
            self.is_broken = self.files.truncate(current, length).is_err();
            return Err(fault);
        }
        self.segments.insert(current, length + records.len() as u64);
        self.note_at(current, length, records);
        Ok(())
    }

    /// Makes durable what was appended.
    ///
    /// # Errors
    /// The system's: whether it is durable is not known, and will not be.
    pub fn sync(&mut self) -> io::Result<()> {
        self.files.sync(self.current)?;
        self.remove_void()
    }

    /// Whether segments should be given up: [`Log::compact`].
    pub fn is_too_large(&self) -> bool {
        let total: u64 = self.segments.values().sum();
        total > self.sizes.total_min.max(2 * self.live)
    }

    /// Gives up the oldest segment: what is in use of it is written anew first.
    ///
    /// # Errors
    /// The system's; nothing is lost.
    pub fn compact(&mut self) -> io::Result<()> {
        let Some((&oldest, _)) = self.segments.first_key_value() else {
            return Ok(());
        };
        if oldest == self.current {
            self.rotate()?;
        }
        let bytes = self.files.read(oldest)?;
        let mut kept = Vec::new();
        let mut offset = HEADER;
        while let Some((record, _)) = bytes.get(offset..).and_then(frame::read) {
            let place = Place::new(oldest, offset, record.octets);
            if self.index.get(&(record.kind, record.id)) == Some(&place) {
                kept.extend(&bytes[offset..offset + record.octets]);
            }
            offset += record.octets;
        }
        if !kept.is_empty() {
            self.append(&kept)?;
            self.files.sync(self.current)?;
        }
        self.remove(oldest)
    }

    /// Begins a new segment.
    ///
    /// # Errors
    /// The system's.
    pub fn rotate(&mut self) -> io::Result<()> {
        if self.segments.contains_key(&self.current) {
            self.files.sync(self.current)?;
        }
        let next = self.current + 1;
        self.files.create(next)?;
        let mut head = MAGIC.to_vec();
        head.extend(FORMAT.to_le_bytes());
        self.files.append(next, &head)?;
        self.files.sync(next)?;
        self.files.sync_directory()?;
        self.segments.insert(next, HEADER as u64);
        self.current = next;
        self.is_broken = false;
        Ok(())
    }

    /// Says how large it is.
    pub fn describe(&self, status: &mut JournalStatus) {
        status.octets = self.segments.values().sum();
        status.live_octets = self.live;
        status.records = self.index.len();
        status.segments = self.segments.len();
    }

    fn segment_max(&self) -> u64 {
        self.sizes.segment_min.max(self.live / SEGMENTS_LIVE)
    }

    /// Takes the records of a segment into the index; returns how many octets are records.
    fn note(&mut self, segment: u32, records: &[u8]) -> usize {
        self.note_at(segment, HEADER as u64, records)
    }

    fn note_at(&mut self, segment: u32, start: u64, records: &[u8]) -> usize {
        let start = usize::try_from(start).unwrap_or(usize::MAX);
        let mut used = 0;
        while let Some((record, _)) = frame::read(&records[used..]) {
            let place = Place::new(segment, start.saturating_add(used), record.octets);
            used += record.octets;
            self.apply(place, &record);
        }
        used
    }

    fn apply(&mut self, place: Place, record: &Record<'_>) {
        let before = match record.operation {
            Operation::Put => {
                self.live += u64::from(place.octets);
                self.index.insert((record.kind, record.id), place)
            }
            Operation::Remove => self.index.remove(&(record.kind, record.id)),
            Operation::Begin => {
                self.begun = Some(place.segment);
                None
            }
            Operation::End => {
                if let Some(begun) = self.begun.take() {
                    self.index.retain(|_, place| place.segment >= begun);
                    let places = self.index.values();
                    self.live = places.map(|place| u64::from(place.octets)).sum();
                    self.void_before = begun;
                }
                None
            }
        };
        self.live -= before.map_or(0, |before| u64::from(before.octets));
    }

    /// Removes the segments that a durable statement of everything has made void.
    fn remove_void(&mut self) -> io::Result<()> {
        while let Some((&oldest, _)) = self.segments.first_key_value() {
            if oldest >= self.void_before {
                break;
            }
            self.remove(oldest)?;
        }
        Ok(())
    }

    /// The next removal waits until this one is durable: a segment that came back without the next
    /// one would bring back what that one removes.
    fn remove(&mut self, segment: u32) -> io::Result<()> {
        match self.files.remove(segment) {
            // Removed before, and something failed then.
            Err(fault) if fault.kind() == io::ErrorKind::NotFound => {}
            other => other?,
        }
        self.files.sync_directory()?;
        self.segments.remove(&segment);
        Ok(())
    }
}

impl Place {
    /// Segments are far smaller than 4 GB; one that is not loses its place and is read as it is.
    fn new(segment: u32, offset: usize, octets: usize) -> Self {
        Self {
            segment,
            offset: u32::try_from(offset).unwrap_or(u32::MAX),
            octets: u32::try_from(octets).unwrap_or(u32::MAX),
        }
    }
}

/// A segment whose beginning was never written: shorter than its header, or of zeros, as some file
/// systems leave it after a power failure.
fn is_unwritten(bytes: &[u8]) -> bool {
    bytes.len() < HEADER || bytes[..HEADER].iter().all(|octet| *octet == 0)
}

/// What follows the header of a segment.
fn header(number: u32, bytes: &[u8]) -> Result<&[u8], OpenError> {
    let rest = bytes.strip_prefix(MAGIC.as_slice());
    let split = rest.and_then(|rest| rest.split_first_chunk());
    let (version, records) = split.ok_or(OpenError::NoSegment(number))?;
    match u32::from_le_bytes(*version) {
        FORMAT => Ok(records),
        other => Err(OpenError::Version(number, other)),
    }
}

#[cfg(test)]
pub(super) mod tests;
