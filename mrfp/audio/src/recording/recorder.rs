//! The worker's side of a recording.

use std::sync::Arc;
use std::sync::atomic::{AtomicU8, Ordering};

use rtrb::Producer;

use super::{Cause, RecordRequest, SilenceRule};
use crate::player::samples_of;

/// Whether a recording goes on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Recorded {
    /// It wants the next tick.
    Going,
    /// It has ended, and takes no more.
    Ended(Cause),
}

/// Why a recording ended: 0 while it goes on, set once.
#[derive(Clone, Debug, Default)]
pub(super) struct End(Arc<AtomicU8>);

impl End {
    pub(super) fn cause(&self) -> Option<Cause> {
        // Acquire: what was put into the ring before is seen after.
        Cause::from_number(self.0.load(Ordering::Acquire))
    }

    /// The first cause stays.
    pub(super) fn set(&self, cause: Cause) {
        let _ = self
            .0
            .compare_exchange(0, cause as u8, Ordering::AcqRel, Ordering::Acquire);
    }
}

/// Takes the ticks of a recording on a worker: bounded work, no allocation, no waiting.
///
/// Dropped before its end, the recording ends as [`Cause::Stopped`].
#[derive(Debug)]
pub struct Recorder {
    ring: Producer<i16>,
    end: End,
    tracks: usize,
    /// Samples of each track that may still come.
    left: u64,
    silence: Option<Silence>,
}

impl Recorder {
    pub(super) fn new(ring: Producer<i16>, end: End, request: &RecordRequest) -> Self {
        Self {
            ring,
            end,
            tracks: request.tracks,
            left: samples_of(request.duration_max, request.rate),
            silence: request.silence.map(|rule| Silence::new(rule, request.rate)),
        }
    }

    /// One tick: a slice of the same length for each track; what is missing is silence.
    pub fn push(&mut self, tracks: &[&[i16]]) -> Recorded {
        if let Some(cause) = self.end.cause() {
            return Recorded::Ended(cause);
        }
        let length = tracks.iter().map(|track| track.len()).max().unwrap_or(0);
        let length = self.left.min(length as u64) as usize;
        match self.ring.write_chunk_uninit(length * self.tracks) {
            Ok(chunk) => {
                let count = self.tracks;
                let sample = |index: usize| {
                    let track = tracks.get(index % count);
                    let sample = track.and_then(|track| track.get(index / count));
                    sample.copied().unwrap_or(0)
                };
                chunk.fill_from_iter((0..length * count).map(sample));
            }
            Err(_) => return self.ended(Cause::Overrun),
        }
        self.left -= length as u64;
        if self.left == 0 {
            return self.ended(Cause::Duration);
        }
        let silence = self.silence.as_mut();
        match silence.and_then(|silence| silence.tick(tracks, length)) {
            Some(cause) => self.ended(cause),
            None => Recorded::Going,
        }
    }

    /// Ends it with what has been pushed.
    pub fn finish(&mut self, cause: Cause) {
        self.end.set(cause);
    }

    fn ended(&mut self, cause: Cause) -> Recorded {
        self.end.set(cause);
        // Another may have been first.
        Recorded::Ended(self.end.cause().unwrap_or(cause))
    }
}

/// Listens for the end of speech.
#[derive(Debug)]
struct Silence {
    /// Least mean square of speech.
    power_min: f64,
    before: u64,
    after: u64,
    has_spoken: bool,
    silent: u64,
}

impl Silence {
    fn new(rule: SilenceRule, rate: u32) -> Self {
        let samples = |duration: Option<_>| duration.map_or(u64::MAX, |d| samples_of(d, rate));
        Self {
            // 0 dBov is the power of a full-scale square wave, RFC 6464 3.
            power_min: 32_768f64.powi(2) * 10f64.powf(f64::from(rule.level_dbov) / 10.0),
            before: samples(rule.before),
            after: samples(rule.after),
            has_spoken: false,
            silent: 0,
        }
    }

    fn tick(&mut self, tracks: &[&[i16]], length: usize) -> Option<Cause> {
        if tracks.iter().any(|track| power(track) >= self.power_min) {
            self.has_spoken = true;
            self.silent = 0;
            return None;
        }
        self.silent += length as u64;
        if !self.has_spoken && self.silent >= self.before {
            return Some(Cause::NoSpeech);
        }
        (self.has_spoken && self.silent >= self.after).then_some(Cause::Silence)
    }
}

/// Mean square of the samples.
fn power(samples: &[i16]) -> f64 {
    let sum: i64 = samples
        .iter()
        .map(|sample| i64::from(*sample) * i64::from(*sample))
        .sum();
    sum as f64 / samples.len().max(1) as f64
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use rtrb::{Consumer, RingBuffer};

    use super::super::{RecordingFormat, RecordingName};
    use super::*;

    fn recorder(change: impl Fn(&mut RecordRequest)) -> (Recorder, Consumer<i16>, End) {
        let name = RecordingName::parse("a").unwrap();
        let mut request = RecordRequest::new(name, RecordingFormat::WavLinear, 8000);
        change(&mut request);
        let (producer, consumer) = RingBuffer::new(1600);
        let end = End::default();
        (
            Recorder::new(producer, end.clone(), &request),
            consumer,
            end,
        )
    }

    #[test]
    fn tracks_are_interleaved_and_missing_samples_are_silence() {
        let (mut recorder, mut ring, _) = recorder(|request| request.tracks = 3);
        assert_eq!(recorder.push(&[&[1, 2], &[3]]), Recorded::Going);
        let mut taken = [9; 6];
        ring.pop_entire_slice(&mut taken).unwrap();
        assert_eq!(taken, [1, 3, 0, 2, 0, 0]);
    }

    #[test]
    fn it_ends_at_its_longest_to_the_sample() {
        let longest = Duration::from_millis(50);
        let (mut recorder, ring, end) = recorder(|request| request.duration_max = longest);
        assert_eq!(recorder.push(&[&[1; 160]]), Recorded::Going);
        assert_eq!(recorder.push(&[&[1; 160]]), Recorded::Going);
        let ended = Recorded::Ended(Cause::Duration);
        assert_eq!(recorder.push(&[&[1; 160]]), ended);
        assert_eq!(recorder.push(&[&[1; 160]]), ended);
        assert_eq!((ring.slots(), end.cause()), (400, Some(Cause::Duration)));
    }

    #[test]
    fn a_disk_that_does_not_keep_up_ends_it() {
        let (mut recorder, ring, _) = recorder(|_| ());
        for _ in 0..10 {
            assert_eq!(recorder.push(&[&[1; 160]]), Recorded::Going);
        }
        assert_eq!(recorder.push(&[&[1; 160]]), Recorded::Ended(Cause::Overrun));
        assert_eq!(ring.slots(), 1600);
    }

    #[test]
    fn silence_after_speech_ends_it_and_silence_before_speech_says_so() {
        let rule = SilenceRule {
            level_dbov: -40,
            before: Some(Duration::from_millis(100)),
            after: Some(Duration::from_millis(60)),
        };
        let speech = [3000; 160];
        let (mut quiet, _ring, _) = recorder(|request| request.silence = Some(rule));
        for _ in 0..4 {
            assert_eq!(quiet.push(&[&[5; 160]]), Recorded::Going);
        }
        assert_eq!(quiet.push(&[&[5; 160]]), Recorded::Ended(Cause::NoSpeech));

        let (mut spoken, _ring, _) = recorder(|request| request.silence = Some(rule));
        for tick in [
            &[5; 160], &speech, &[5; 160], &[5; 160], &speech, &[5; 160], &[5; 160],
        ] {
            assert_eq!(spoken.push(&[tick]), Recorded::Going);
        }
        assert_eq!(spoken.push(&[&[5; 160]]), Recorded::Ended(Cause::Silence));
    }

    #[test]
    fn the_first_cause_counts() {
        let (mut recorder, _ring, end) = recorder(|_| ());
        end.set(Cause::Key);
        recorder.finish(Cause::Stopped);
        assert_eq!(recorder.push(&[&[1]]), Recorded::Ended(Cause::Key));
    }

    #[test]
    fn a_tick_allocates_nothing() {
        let (mut recorder, mut ring, _) = recorder(|request| request.tracks = 2);
        let mut taken = [0; 320];
        let info = allocation_counter::measure(|| {
            for _ in 0..100 {
                assert_eq!(recorder.push(&[&[1; 160], &[2; 160]]), Recorded::Going);
                ring.pop_entire_slice(&mut taken).unwrap();
            }
        });
        assert_eq!(info.count_total, 0);
    }

    #[test]
    fn every_cause_has_its_number() {
        for cause in Cause::ALL {
            assert_eq!(Cause::from_number(cause as u8), Some(cause));
        }
        assert_eq!(Cause::from_number(0), None);
    }
}
