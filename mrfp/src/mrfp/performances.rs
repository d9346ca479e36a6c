//! What streams play and record: by the file server, and on their workers.

use std::sync::Arc;
use std::time::Duration;

use audio::{
    Cause, Event as FileEvent, RecordRequest, RecordingFormat, RecordingId, RecordingName,
    SilenceRule,
};
use h248::error::ErrorCode;
use media::TICK;
use media::tone::{Country, Supervisory, Tone, ToneGenerator};
use mg::{LegPerformance, MediaEvent, Performance, PerformanceEnd, Performed};

use super::Mrfp;
use crate::announcement;
use crate::order::Order;
use crate::performing::{Performing, What};
use crate::stream::PERFORMANCES_MAX;

/// What is known of a performance.
pub(super) struct PerformanceRecord {
    asked: LegPerformance,
    /// Of a recording.
    recording: Option<RecordingId>,
    /// It ended by itself: its end has been told.
    pub is_over: bool,
}

impl Mrfp {
    pub(super) fn take_file_event(&mut self, event: FileEvent) {
        match event {
            FileEvent::Loaded(id, loaded) => {
                let Some((slot, number)) = self.loading.remove(&id) else {
                    return;
                };
                match loaded {
                    Ok(player) => self.begin(slot, number, What::Announcement(player)),
                    Err(error) => {
                        let code = announcement::error_code(&error);
                        self.tell(slot, number, PerformanceEnd::Failed(code), Duration::ZERO);
                    }
                }
            }
            FileEvent::Recorded(id, report) => {
                let Some((slot, number)) = self.recording.remove(&id) else {
                    return;
                };
                let ending = match report.cause {
                    Cause::NoSpeech => PerformanceEnd::NoSpeech,
                    _ if report.files.is_empty() => {
                        PerformanceEnd::Failed(ErrorCode::INSUFFICIENT_RESOURCES.0)
                    }
                    Cause::Stopped | Cause::Key => PerformanceEnd::Complete,
                    Cause::Silence => PerformanceEnd::Silence,
                    Cause::Duration => PerformanceEnd::Length,
                    _ => PerformanceEnd::Failed(ErrorCode::INSUFFICIENT_RESOURCES.0),
                };
                self.tell(slot, number, ending, report.duration);
            }
        }
    }

    /// A performance has ended by itself.
    pub(super) fn tell(
        &mut self,
        slot: u32,
        number: u64,
        ending: PerformanceEnd,
        lasted: Duration,
    ) {
        let Some(stream) = self.streams.get_mut(&slot) else {
            return;
        };
        let mut all = stream.performances.iter_mut();
        let Some(record) = all.find(|record| record.asked.number == number) else {
            return;
        };
        if !std::mem::replace(&mut record.is_over, true) {
            self.events.push_back(MediaEvent::Performed {
                local: stream.local,
                number,
                performed: Performed { ending, lasted },
            });
        }
    }

    /// A performance is not asked for any more.
    pub(super) fn forget(&self, record: &PerformanceRecord) {
        if let (Some(id), Some(files)) = (record.recording, &self.files) {
            files.end_recording(id, Cause::Stopped);
        }
    }

    pub(super) fn set_performances(&mut self, slot: u32, asked: &[LegPerformance]) {
        let Some(stream) = self.streams.get_mut(&slot) else {
            return;
        };
        if stream.performances.is_empty() && asked.is_empty() {
            return;
        }
        let worker = stream.worker;
        let is_asked = |number: u64| asked.iter().find(|other| other.number == number);
        let mut ends = Vec::new();
        let mut forgotten = Vec::new();
        let mut kept = Vec::new();
        for mut record in std::mem::take(&mut stream.performances) {
            let number = record.asked.number;
            match is_asked(number) {
                Some(now) if now.is_finishing && !record.asked.is_finishing => {
                    record.asked.is_finishing = true;
                    ends.push((number, true));
                    kept.push(record);
                }
                Some(_) => kept.push(record),
                None => {
                    if !record.is_over {
                        ends.push((number, false));
                    }
                    forgotten.push(record);
                }
            }
        }
        let is_known = |number: u64| kept.iter().any(|record| record.asked.number == number);
        let new: Vec<LegPerformance> = asked
            .iter()
            .filter(|performance| !is_known(performance.number))
            .cloned()
            .collect();
        stream.performances = kept;
        for (number, is_finishing) in ends {
            self.order(
                worker,
                Order::End {
                    slot,
                    number,
                    is_finishing,
                },
            );
        }
        for record in &forgotten {
            self.forget(record);
        }
        for performance in new {
            self.start(slot, performance);
        }
    }

    /// Begins a performance, or has the file server do what comes first.
    fn start(&mut self, slot: u32, asked: LegPerformance) {
        let Some(stream) = self.streams.get_mut(&slot) else {
            return;
        };
        let (number, rate, what) = (asked.number, stream.rate, Arc::clone(&asked.what));
        // What comes from outside, and what the others say.
        let tracks = usize::from(asked.outward) + usize::from(asked.inward);
        let going = stream.performances.iter().filter(|other| !other.is_over);
        let has_room = going.count() < PERFORMANCES_MAX;
        stream.performances.push(PerformanceRecord {
            asked,
            recording: None,
            is_over: false,
        });
        if !has_room {
            let ending = PerformanceEnd::Failed(ErrorCode::INSUFFICIENT_RESOURCES.0);
            return self.tell(slot, number, ending, Duration::ZERO);
        }
        let begun = match &*what {
            Performance::Tone(name) => {
                let tone = self.tone(name);
                let generator = ToneGenerator::new(tone, rate, TONE_DBM0);
                self.begin(slot, number, What::Tone(Box::new(generator)));
                Ok(())
            }
            Performance::Announcement(announcement) => self.load(slot, number, rate, announcement),
            Performance::Recording(recording) => self.record(slot, number, rate, recording, tracks),
        };
        if let Err(code) = begun {
            self.tell(slot, number, PerformanceEnd::Failed(code), Duration::ZERO);
        }
    }

    fn load(
        &mut self,
        slot: u32,
        number: u64,
        rate: u32,
        announcement: &mg::Announcement,
    ) -> Result<(), u16> {
        let request = announcement::request(announcement, rate)?;
        let Some(files) = &mut self.files else {
            return Err(ErrorCode::PROVISIONING_ERROR.0);
        };
        let id = files
            .load(request)
            .map_err(|error| announcement::error_code(&error))?;
        self.loading.insert(id, (slot, number));
        Ok(())
    }

    fn record(
        &mut self,
        slot: u32,
        number: u64,
        rate: u32,
        recording: &mg::Recording,
        tracks: usize,
    ) -> Result<(), u16> {
        let Some(files) = &mut self.files else {
            return Err(ErrorCode::PROVISIONING_ERROR.0);
        };
        let (name, format) = recording_format(&recording.name);
        let name = RecordingName::parse(name);
        let name = name.map_err(|error| announcement::error_code(&error))?;
        let mut request = RecordRequest::new(name, format, rate);
        request.replace = true;
        request.tracks = tracks;
        if let Some(length) = recording.length {
            request.duration_max = length.clamp(TICK, audio::RECORDING_TIME_MAX);
        }
        let (before, after) = (recording.pre_speech, recording.post_speech);
        if before.is_some() || after.is_some() {
            request.silence = Some(SilenceRule {
                level_dbov: SILENCE_DBOV,
                before,
                after,
            });
        }
        let recorded = files.record(request);
        let (id, recorder) = recorded.map_err(|error| announcement::error_code(&error))?;
        self.recording.insert(id, (slot, number));
        if let Some(stream) = self.streams.get_mut(&slot)
            && let Some(record) = stream.performances.last_mut()
        {
            record.recording = Some(id);
        }
        self.begin(slot, number, What::Recording(recorder));
        Ok(())
    }

    /// Sends a performance that is still asked for to its worker.
    fn begin(&mut self, slot: u32, number: u64, what: What) {
        let Some(stream) = self.streams.get(&slot) else {
            return;
        };
        let mut all = stream.performances.iter();
        let Some(record) = all.find(|record| record.asked.number == number && !record.is_over)
        else {
            return;
        };
        let performing = Performing {
            slot,
            number,
            outward: record.asked.outward,
            inward: record.asked.inward,
            what,
            lasted: Duration::ZERO,
            is_over: false,
        };
        let worker = stream.worker;
        self.order(worker, Order::Perform(slot, Some(Box::new(performing))));
    }

    /// A tone by its name in `cg`, `xcg` or `srvtn`, as the country has it.
    fn tone(&self, name: &str) -> Tone {
        let which = match name {
            "rt" => Supervisory::Ringing,
            "bt" => Supervisory::Busy,
            "ct" | "nack" | "roh" => Supervisory::Congestion,
            "sit" | "vac" => Supervisory::Information,
            "cw" | "cr" | "wt" | "ht" | "mwt" | "conf" => Supervisory::Waiting,
            _ => Supervisory::Dial,
        };
        let country = Country::find(&self.config.country);
        match country.or_else(|| Country::find("de")) {
            Some(country) => country.tone(which),
            None => Tone::of(&[425.0], None),
        }
    }
}

/// A recording's name without its ending, and the format that this stands for.
fn recording_format(name: &str) -> (&str, RecordingFormat) {
    let formats = [
        (".wav", RecordingFormat::WavLinear),
        (".amr", RecordingFormat::Amr(None)),
        (".awb", RecordingFormat::AmrWb(None)),
        (".opus", RecordingFormat::Opus(None)),
    ];
    let found = formats.iter().find_map(|(ending, format)| {
        let stem = name.strip_suffix(ending)?;
        Some((stem, *format))
    });
    found.unwrap_or((name, RecordingFormat::WavLinear))
}

/// Level of each frequency of tones.
const TONE_DBM0: f32 = media::tone::LEVEL_DBM0_DEFAULT;

/// A recording is silent below this.
const SILENCE_DBOV: i8 = -45;
