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

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;
    use std::fs;
    use std::time::Duration;

    use base::Entropy;

    use super::super::{Recorded, RecordingFormat, RecordingName, SilenceRule};
    use super::*;
    use crate::testkit::Scratch;
    use crate::wav::Wav;

    /// A recording of one test and what was pushed into it.
    struct Pushed {
        recorder: Option<Recorder>,
        tracks: Vec<Vec<i16>>,
        ended: Option<Cause>,
    }

    fn request(entropy: &mut Entropy, id: u64) -> RecordRequest {
        let name = RecordingName::parse(&format!("r{id}")).unwrap();
        let mut request = RecordRequest::new(name, RecordingFormat::WavLinear, 8000);
        request.tracks = 1 + entropy.below(3) as usize;
        request.duration_max = Duration::from_millis(1 + entropy.below(3000));
        if entropy.chance(300) {
            request.silence = Some(SilenceRule {
                level_dbov: -40,
                before: Some(Duration::from_millis(entropy.below(500))),
                after: Some(Duration::from_millis(entropy.below(500))),
            });
        }
        request
    }

    /// Pushes a tick of any length, and notes what was taken.
    fn push(entropy: &mut Entropy, pushed: &mut Pushed) {
        let Some(recorder) = &mut pushed.recorder else {
            return;
        };
        let is_quiet = entropy.chance(400);
        let length = entropy.below(480) as usize;
        let ticks: Vec<Vec<i16>> = (0..pushed.tracks.len())
            .map(|_| {
                let sample = |entropy: &mut Entropy| match is_quiet {
                    true => entropy.below(30) as i16,
                    false => entropy.next_u32() as i16,
                };
                (0..length).map(|_| sample(entropy)).collect()
            })
            .collect();
        let slices: Vec<&[i16]> = ticks.iter().map(Vec::as_slice).collect();
        let had_ended = pushed.ended.is_some();
        let recorded = recorder.push(&slices);
        if let Recorded::Ended(cause) = recorded {
            pushed.ended.get_or_insert(cause);
        }
        // Told from outside, or not kept up with: the tick was not taken.
        let is_taken = match recorded {
            Recorded::Going => true,
            Recorded::Ended(Cause::Key | Cause::Overrun) => false,
            Recorded::Ended(_) => !had_ended,
        };
        if is_taken {
            for (track, tick) in pushed.tracks.iter_mut().zip(&ticks) {
                track.extend_from_slice(tick);
            }
        }
    }

    #[test]
    fn whatever_comes_when_the_files_have_what_was_pushed() {
        for seed in 0..12 {
            let mut entropy = Entropy::from_u64(seed);
            let scratch = Scratch::new();
            let folder = Arc::new(Folder::open(scratch.path()).unwrap());
            let mut recordings = Recordings::new(folder);
            let mut all = BTreeMap::new();
            let mut handles = BTreeMap::new();
            for id in 0..6u64 {
                let request = request(&mut entropy, id);
                let tracks = vec![Vec::new(); request.tracks];
                let (recorder, accepted) = accept(request).unwrap();
                handles.insert(id, accepted.end_handle());
                recordings.begin(id, accepted);
                let pushed = Pushed {
                    recorder: Some(recorder),
                    tracks,
                    ended: None,
                };
                all.insert(id, pushed);
            }
            let mut steps = 0;
            while !recordings.is_empty() {
                steps += 1;
                assert!(steps < 100_000, "seed {seed}: it never ends");
                let id = entropy.below(6);
                match entropy.below(1000) {
                    0..2 => handles[&id].set(Cause::Key),
                    2..4 => all.get_mut(&id).unwrap().recorder = None,
                    4..200 => {
                        for (id, report) in recordings.turn() {
                            check(seed, &all[&id], &report);
                        }
                    }
                    _ => push(&mut entropy, all.get_mut(&id).unwrap()),
                }
            }
            let files = fs::read_dir(scratch.path()).unwrap().count();
            assert_eq!(files, 6 + 1, "each file and the lock");
        }
    }

    fn check(seed: u64, pushed: &Pushed, report: &Report) {
        let context = format!("seed {seed}, {report:?}");
        if let Some(ended) = pushed.ended {
            assert_eq!(report.cause, ended, "{context}");
        }
        assert_eq!(report.error, None, "{context}");
        let file = fs::read(&report.files[0]).unwrap();
        assert_eq!(file.len() as u64, report.octets, "{context}");
        let wav = Wav::parse(&file).unwrap();
        assert_eq!(
            duration_of(wav.len() as u64, 8000),
            report.duration,
            "{context}"
        );
        for (index, track) in pushed.tracks.iter().enumerate() {
            let heard: Vec<i16> = wav.track(index).collect();
            // At the longest allowed the last tick is taken in part.
            let is_cut = report.cause == Cause::Duration;
            assert!(heard.len() == track.len() || is_cut, "{context}");
            assert_eq!(heard, track[..heard.len()], "{context}");
        }
    }
}
