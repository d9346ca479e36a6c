//! The helper thread's side of recordings.

use std::sync::Arc;

use rtrb::{Consumer, RingBuffer};

use super::composer::Composer;
use super::draft::{Draft, Folder};
use super::recorder::{End, Recorder};
use super::{Cause, RecordRequest, Report};
use crate::error::Error;
use crate::player::{duration_of, samples_of};

/// A recording that was accepted and is to be written.
#[derive(Debug)]
pub(crate) struct Accepted {
    ring: Consumer<i16>,
    end: End,
    request: RecordRequest,
}

impl Accepted {
    /// Ends it from outside.
    pub(crate) fn end_handle(&self) -> EndHandle {
        EndHandle(self.end.clone())
    }
}

/// Ends a recording from outside.
#[derive(Clone, Debug)]
pub(crate) struct EndHandle(End);

impl EndHandle {
    pub(crate) fn set(&self, cause: Cause) {
        self.0.set(cause);
    }
}

/// Makes both sides of a recording.
///
/// # Errors
/// `Misuse`.
pub(crate) fn accept(request: RecordRequest) -> Result<(Recorder, Accepted), Error> {
    request.check()?;
    let frames = samples_of(RING_TIME, request.rate) as usize;
    let (producer, ring) = RingBuffer::new(frames * request.tracks);
    let end = End::default();
    let recorder = Recorder::new(producer, end.clone(), &request);
    let accepted = Accepted { ring, end, request };
    Ok((recorder, accepted))
}

/// All recordings under way: one thread serves them by turns.
#[derive(Debug)]
pub(crate) struct Recordings<Id> {
    folder: Arc<Folder>,
    under_way: Vec<(Id, Recording)>,
}

impl<Id: Copy> Recordings<Id> {
    pub(crate) fn new(folder: Arc<Folder>) -> Self {
        Self {
            folder,
            under_way: Vec::new(),
        }
    }

    /// Whether there is nothing to do.
    pub(crate) fn is_empty(&self) -> bool {
        self.under_way.is_empty()
    }

    /// Begins a recording's files.
    pub(crate) fn begin(&mut self, id: Id, accepted: Accepted) {
        let recording = Recording::begin(&self.folder, accepted);
        self.under_way.push((id, recording));
    }

    /// Writes what has come, and returns what has ended.
    pub(crate) fn turn(&mut self) -> Vec<(Id, Report)> {
        let mut ended = Vec::new();
        let mut index = 0;
        while index < self.under_way.len() {
            if self.under_way[index].1.turn() {
                let (id, recording) = self.under_way.swap_remove(index);
                ended.push((id, recording.finish()));
            } else {
                index += 1;
            }
        }
        ended
    }

    /// Ends all that are under way, once they have been asked to.
    pub(crate) fn stop_all(&mut self) {
        for (_, recording) in &self.under_way {
            recording.end.set(Cause::Stopped);
        }
    }
}

#[derive(Debug)]
struct Recording {
    ring: Consumer<i16>,
    end: End,
    rate: u32,
    files: Option<Files>,
    error: Option<Error>,
}

#[derive(Debug)]
struct Files {
    composer: Composer,
    drafts: Vec<Draft>,
    /// What is to be appended next.
    octets: Vec<Vec<u8>>,
    tracks: usize,
    /// Samples of each track that the files have for certain.
    samples: u64,
    /// Something between was not written: what comes after it has no place.
    is_cut: bool,
}

impl Recording {
    fn begin(folder: &Arc<Folder>, accepted: Accepted) -> Self {
        let mut recording = Self {
            ring: accepted.ring,
            end: accepted.end,
            rate: accepted.request.rate,
            files: None,
            error: None,
        };
        match Files::begin(folder, &accepted.request) {
            Ok(files) => recording.files = Some(files),
            Err(error) => recording.failed(error),
        }
        recording
    }

    fn failed(&mut self, error: Error) {
        self.end.set(Cause::of_error(&error));
        self.error.get_or_insert(error);
    }

    /// Writes what has come; true when no more will come.
    fn turn(&mut self) -> bool {
        // Asked first: what was pushed before the end is in the ring by now.
        if self.ring.is_abandoned() {
            self.end.set(Cause::Stopped);
        }
        let has_ended = self.end.cause().is_some();
        if let (Some(files), None) = (&mut self.files, &self.error)
            && let Err(error) = files.drain(&mut self.ring)
        {
            self.failed(error);
            return true;
        }
        has_ended
    }

    fn finish(mut self) -> Report {
        let mut report = Report {
            cause: Cause::Stopped,
            files: Vec::new(),
            duration: std::time::Duration::ZERO,
            octets: 0,
            error: None,
        };
        if let Some(files) = self.files.take() {
            match files.finish(&mut report) {
                Ok(samples) => report.duration = duration_of(samples, self.rate),
                Err(error) => self.failed(error),
            }
        }
        report.cause = self.end.cause().unwrap_or(Cause::Stopped);
        if self.error.is_some() && report.files.is_empty() {
            report.octets = 0;
        }
        report.error = self.error;
        report
    }
}

impl Files {
    fn begin(folder: &Arc<Folder>, request: &RecordRequest) -> Result<Self, Error> {
        let mut composer = Composer::new(request)?;
        let (stem, ending) = (request.name.as_str(), request.format.extension());
        let count = composer.files();
        let drafts = (1..=count)
            .map(|track| {
                let name = if count == 1 {
                    format!("{stem}.{ending}")
                } else {
                    format!("{stem}.{track}.{ending}")
                };
                Draft::create(folder, &name, request.replace)
            })
            .collect::<Result<Vec<_>, _>>()?;
        let mut octets = vec![Vec::new(); count];
        composer.begin(stem, &mut octets)?;
        let mut files = Self {
            composer,
            drafts,
            octets,
            tracks: request.tracks,
            samples: 0,
            is_cut: false,
        };
        files.append()?;
        Ok(files)
    }

    /// Writes all that the ring has.
    fn drain(&mut self, ring: &mut Consumer<i16>) -> Result<(), Error> {
        let slots = ring.slots();
        // The worker writes whole frames.
        let whole = slots - slots % self.tracks;
        if whole == 0 {
            return Ok(());
        }
        let mut samples = vec![0; whole];
        if ring.pop_entire_slice(&mut samples).is_err() {
            return Ok(());
        }
        for samples in samples.chunks(CHUNK_SAMPLES * self.tracks) {
            let composed = self.composer.samples_in(samples, &mut self.octets);
            let written = composed.and_then(|()| self.append());
            self.is_cut = written.is_err();
            written?;
        }
        Ok(())
    }

    fn append(&mut self) -> Result<(), Error> {
        for (draft, octets) in self.drafts.iter_mut().zip(&mut self.octets) {
            if !octets.is_empty() {
                let appended = draft.append(octets);
                octets.clear();
                appended?;
            }
        }
        self.samples = self.composer.samples();
        Ok(())
    }

    /// Ends the files and keeps them; what could not be written whole is left out.
    fn finish(mut self, report: &mut Report) -> Result<u64, Error> {
        if !self.is_cut {
            self.composer.finish(&mut self.octets)?;
            // A disk that is full by now leaves files without their end, which readers can do with.
            let _ = self.append();
        }
        if let Some(beginning) = self.composer.beginning(self.drafts[0].len()) {
            self.drafts[0].overwrite_start(&beginning)?;
        }
        for draft in self.drafts {
            report.octets += draft.len();
            report.files.push(draft.keep()?);
        }
        Ok(self.samples)
    }
}

/// What the ring between worker and helper holds: as long as a disk may take for one write.
const RING_TIME: std::time::Duration = std::time::Duration::from_secs(4);

/// Samples of each track that are encoded before they are appended: one second at 16 kHz.
const CHUNK_SAMPLES: usize = 16_000;
