//! What signals of media functions do, step by step: announcements, digits collected after a
//! prompt, recordings after a prompt; H.248.7 and H.248.9.

use std::sync::Arc;
use std::time::Duration;

use base::Instant;
use h248::digit_map::{Collection, DigitMap, Method, Step};
use h248::message::{Parameter, Value};
use h248::package::{Item, ParameterId, aasb, aasdc, aasrec};

use crate::performance::{Announced, Announcement, Ending, Performance, Performed, Recording};
use crate::tone::Tone;

/// What a signal of a media function does.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Script {
    pub kind: Kind,
    /// When it ends if it has not yet.
    pub limit: Option<Duration>,
    /// Towards the outside of the context.
    pub outward: bool,
    /// Into the context.
    pub inward: bool,
}

/// The kinds of scripts.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Kind {
    /// Something is played; with the package whose events tell of it, if any.
    Play(Arc<Performance>, Option<&'static str>),
    /// `aasdc/playcol`.
    Collect(Box<Collect>),
    /// `aasrec/playrec`.
    Record(Box<Record>),
}

/// `aasdc/playcol`, H.248.9 9.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Collect {
    pub prompts: Prompts,
    /// What asks again when no digits came.
    pub no_digits: Option<String>,
    /// Digits end the initial prompt.
    pub is_interruptible: bool,
    /// Digits during a prompt that they do not end count.
    pub keeps_digits: bool,
    pub map: Arc<DigitMap>,
}

/// `aasrec/playrec`, H.248.9 10.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Record {
    pub prompts: Prompts,
    pub recording: Arc<Performance>,
    pub end_keys: String,
}

/// What both play.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Prompts {
    pub initial: Option<String>,
    /// What asks again; the initial one without.
    pub again: Option<String>,
    pub success: Option<String>,
    pub failure: Option<String>,
    pub attempts_max: u32,
    pub volume_db: i32,
}

/// How far a script has come.
#[derive(Clone, Debug)]
pub(crate) struct Run {
    script: Arc<Script>,
    stage: Stage,
    /// What is performed, and since when.
    performing: Option<Performing>,
    attempt: u32,
    /// How much of the prompt was played before it was interrupted.
    played: Option<Duration>,
    /// What is dialled.
    collection: Option<Collection>,
    due: Option<Instant>,
}

#[derive(Clone, Debug)]
struct Performing {
    number: u32,
    what: Arc<Performance>,
    since: Instant,
    is_finishing: bool,
}

#[derive(Clone, Debug)]
enum Stage {
    /// The one performance, or a prompt.
    Prompt,
    /// Digits are waited for.
    Digits,
    /// What is said is recorded; with the key that ended it.
    Recording(Option<Tone>),
    /// The last announcement, and how the script ends after it.
    Farewell(Box<Done>),
}

/// How a script ended.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Done {
    /// It has done what it was to do.
    pub is_complete: bool,
    /// The event that tells of it.
    pub event: Option<Box<Told>>,
}

/// An event by which a media function tells what became of a signal.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Told {
    /// The package of the signal: it may have the event from the one that it extends.
    pub package: &'static str,
    pub item: Item,
    pub parameters: Vec<Parameter>,
}

impl Run {
    /// Begins. `number` deals numbers of performances.
    pub fn start(now: Instant, script: Arc<Script>, number: &mut dyn FnMut() -> u32) -> Self {
        let mut run = Self {
            script: script.clone(),
            stage: Stage::Prompt,
            performing: None,
            attempt: 1,
            played: None,
            collection: None,
            due: None,
        };
        match &script.kind {
            Kind::Play(what, _) => run.perform(now, what.clone(), number),
            Kind::Collect(collect) => {
                run.collection = Some(Collection::new(collect.map.clone()));
                run.prompt(now, collect.prompts.initial.as_deref(), number);
            }
            Kind::Record(record) => run.prompt(now, record.prompts.initial.as_deref(), number),
        }
        run
    }

    /// What is performed now: its number, and whether it is to come to its end.
    pub fn performance(&self) -> Option<(u32, &Arc<Performance>, bool)> {
        let performing = self.performing.as_ref()?;
        Some((performing.number, &performing.what, performing.is_finishing))
    }

    /// Where that goes: outward, inward. What is recorded is what comes from outside.
    pub fn direction(&self) -> (bool, bool) {
        (self.script.outward, self.script.inward)
    }

    /// True when digits lead to something.
    pub fn heeds_tones(&self) -> bool {
        match &self.script.kind {
            Kind::Play(..) => false,
            Kind::Collect(_) => !matches!(self.stage, Stage::Farewell(_)),
            Kind::Record(record) => !record.end_keys.is_empty(),
        }
    }

    /// When [`Run::handle_timeout`] is to be called.
    pub fn next_timeout(&self) -> Option<Instant> {
        self.due
    }

    /// A performance has come to its end.
    pub fn handle_performed(
        &mut self,
        now: Instant,
        number: u32,
        performed: Performed,
        deal: &mut dyn FnMut() -> u32,
    ) -> Option<Done> {
        self.performing
            .take_if(|performing| performing.number == number)?;
        let script = self.script.clone();
        if let Stage::Farewell(done) = &self.stage {
            return Some(Done::clone(done));
        }
        if let Ending::Failed(code) = performed.ending {
            let package = match &script.kind {
                Kind::Play(_, package) => *package,
                Kind::Collect(_) => Some(aasdc::PACKAGE.name),
                Kind::Record(_) => Some(aasrec::PACKAGE.name),
            };
            return Some(failed(package, code));
        }
        match &script.kind {
            Kind::Play(_, package) => Some(Done {
                is_complete: true,
                event: package.and_then(|package| played(package, performed.lasted)),
            }),
            Kind::Collect(_) => {
                self.stage = Stage::Digits;
                self.due = self.wait(now);
                None
            }
            Kind::Record(record) => match self.stage {
                Stage::Recording(key) => self.recorded(now, record, key, performed, deal),
                _ => {
                    self.record(now, record, deal);
                    None
                }
            },
        }
    }

    /// A digit begins.
    pub fn handle_tone(
        &mut self,
        now: Instant,
        tone: Tone,
        deal: &mut dyn FnMut() -> u32,
    ) -> Option<Done> {
        let script = self.script.clone();
        match (&script.kind, &mut self.stage) {
            (Kind::Collect(collect), Stage::Prompt) => {
                if !collect.is_interruptible && !collect.keeps_digits {
                    return None;
                }
                if collect.is_interruptible {
                    let performing = self.performing.take();
                    self.played = performing.map(|performing| now.since(performing.since));
                    self.stage = Stage::Digits;
                }
                self.digit(now, collect, tone, deal)
            }
            (Kind::Collect(collect), Stage::Digits) => self.digit(now, collect, tone, deal),
            (Kind::Record(record), Stage::Recording(key)) => {
                let symbol = tone.key();
                if record.end_keys.contains(symbol)
                    && let Some(performing) = &mut self.performing
                {
                    *key = Some(tone);
                    performing.is_finishing = true;
                }
                None
            }
            _ => None,
        }
    }

    /// The wait for a digit is over.
    pub fn handle_timeout(&mut self, now: Instant, deal: &mut dyn FnMut() -> u32) -> Option<Done> {
        self.due.take_if(|due| *due <= now)?;
        let script = self.script.clone();
        let Kind::Collect(collect) = &script.kind else {
            return None;
        };
        let method = self.collection.as_ref()?.expire();
        self.concluded(now, collect, method, deal)
    }

    fn perform(&mut self, now: Instant, what: Arc<Performance>, deal: &mut dyn FnMut() -> u32) {
        self.performing = Some(Performing {
            number: deal(),
            what,
            since: now,
            is_finishing: false,
        });
    }

    /// Plays a prompt; without any, what follows it begins.
    fn prompt(&mut self, now: Instant, prompt: Option<&str>, deal: &mut dyn FnMut() -> u32) {
        let script = self.script.clone();
        self.stage = Stage::Prompt;
        match (prompt, &script.kind) {
            (Some(prompt), _) => {
                let what = Performance::Announcement(once(prompt, script.volume_db()));
                self.perform(now, Arc::new(what), deal);
            }
            (None, Kind::Record(record)) => self.record(now, record, deal),
            (None, _) => {
                self.stage = Stage::Digits;
                self.due = self.wait(now);
            }
        }
    }

    fn record(&mut self, now: Instant, record: &Record, deal: &mut dyn FnMut() -> u32) {
        self.stage = Stage::Recording(None);
        self.perform(now, record.recording.clone(), deal);
    }

    fn wait(&self, now: Instant) -> Option<Instant> {
        let wait = self.collection.as_ref()?.wait();
        wait.map(|wait| now + wait)
    }

    fn digit(
        &mut self,
        now: Instant,
        collect: &Collect,
        tone: Tone,
        deal: &mut dyn FnMut() -> u32,
    ) -> Option<Done> {
        let step = self.collection.as_mut()?.digit(tone.symbol()?, false);
        match step {
            Step::Pending => {
                let waits = matches!(self.stage, Stage::Digits);
                self.due = self.wait(now).filter(|_| waits);
                None
            }
            // One digit too many does no harm to what was complete without it.
            Step::Complete(method) | Step::Refused(method) => {
                self.concluded(now, collect, method, deal)
            }
        }
    }

    /// The digits match, or do not: success, another attempt, or failure.
    fn concluded(
        &mut self,
        now: Instant,
        collect: &Collect,
        method: Method,
        deal: &mut dyn FnMut() -> u32,
    ) -> Option<Done> {
        self.due = None;
        self.performing = None;
        let dialled = self.collection.as_ref()?.dialled().to_owned();
        let prompts = &collect.prompts;
        if method != Method::Partial {
            let mut parameters = vec![
                Parameter::new(aasdc::DIGITS, Value::quoted(&dialled)),
                Parameter::new(aasdc::ATTEMPTS, self.attempt),
            ];
            if let Some(played) = self.played {
                parameters.push(Parameter::new(aasdc::AMOUNT_PLAYED, hundredths(played)));
            }
            let done = Done {
                is_complete: true,
                event: told(aasdc::PACKAGE.name, aasdc::PLAY_COLLECT_SUCCESS, parameters),
            };
            return self.farewell(now, prompts.success.as_deref(), done, deal);
        }
        if self.attempt >= prompts.attempts_max {
            let code = match (dialled.is_empty(), prompts.attempts_max) {
                (_, 2..) => ATTEMPTS_EXCEEDED,
                (true, _) => NO_DIGITS,
                (false, _) => PATTERN_NOT_MATCHED,
            };
            let done = failed(Some(aasdc::PACKAGE.name), code);
            return self.farewell(now, prompts.failure.as_deref(), done, deal);
        }
        self.attempt += 1;
        self.played = None;
        self.collection = Some(Collection::new(collect.map.clone()));
        let again = prompts.again.as_deref().or(prompts.initial.as_deref());
        let again = match dialled.is_empty() {
            true => collect.no_digits.as_deref().or(again),
            false => again,
        };
        self.prompt(now, again, deal);
        None
    }

    /// A recording has ended: success, another attempt, or failure.
    fn recorded(
        &mut self,
        now: Instant,
        record: &Record,
        key: Option<Tone>,
        performed: Performed,
        deal: &mut dyn FnMut() -> u32,
    ) -> Option<Done> {
        let prompts = &record.prompts;
        let result = match performed.ending {
            Ending::NoSpeech if self.attempt < prompts.attempts_max => {
                self.attempt += 1;
                let again = prompts.again.as_deref().or(prompts.initial.as_deref());
                self.prompt(now, again, deal);
                return None;
            }
            Ending::NoSpeech => {
                let done = failed(Some(aasrec::PACKAGE.name), NO_SPEECH);
                return self.farewell(now, prompts.failure.as_deref(), done, deal);
            }
            Ending::Silence => "silence",
            Ending::Length => "length",
            Ending::Complete if key.is_some() => "key",
            Ending::Complete | Ending::Failed(_) => "stopped",
        };
        let name = match &*record.recording {
            Performance::Recording(recording) => recording.name.as_str(),
            _ => "",
        };
        let text = |name: ParameterId, text: &str| Parameter::new(name, Value::quoted(text));
        let ms = u32::try_from(performed.lasted.as_millis()).unwrap_or(u32::MAX);
        let mut parameters = vec![
            Parameter::new(aasrec::ATTEMPTS, self.attempt),
            text(aasrec::RESULT, result),
            text(aasrec::RECORDING, name),
            Parameter::new(aasrec::DURATION, ms),
        ];
        if let Some(key) = key {
            let key = key.key().to_string();
            parameters.push(text(aasrec::END_KEY_PRESSED, &key));
        }
        let done = Done {
            is_complete: true,
            event: told(
                aasrec::PACKAGE.name,
                aasrec::PLAY_RECORD_SUCCESS,
                parameters,
            ),
        };
        self.farewell(now, prompts.success.as_deref(), done, deal)
    }

    /// Ends, after an announcement if there is one to be made.
    fn farewell(
        &mut self,
        now: Instant,
        announcement: Option<&str>,
        done: Done,
        deal: &mut dyn FnMut() -> u32,
    ) -> Option<Done> {
        let Some(announcement) = announcement else {
            return Some(done);
        };
        let what = Performance::Announcement(once(announcement, self.script.volume_db()));
        self.perform(now, Arc::new(what), deal);
        self.stage = Stage::Farewell(Box::new(done));
        None
    }
}

impl Script {
    fn volume_db(&self) -> i32 {
        match &self.kind {
            Kind::Play(..) => 0,
            Kind::Collect(collect) => collect.prompts.volume_db,
            Kind::Record(record) => record.prompts.volume_db,
        }
    }

    /// True when it sounds: recordings without prompts do not.
    pub fn is_audible(&self) -> bool {
        match &self.kind {
            Kind::Record(record) => record.prompts.initial.is_some(),
            Kind::Play(what, _) => !matches!(**what, Performance::Recording(_)),
            Kind::Collect(_) => true,
        }
    }

    /// True when nothing but a command or an event ends it.
    pub fn is_endless(&self) -> bool {
        let endless = match &self.kind {
            Kind::Play(what, _) => match &**what {
                Performance::Tone(_) => true,
                Performance::Announcement(announcement) => announcement.cycles.is_none(),
                Performance::Recording(recording) => *recording == Recording::default(),
            },
            Kind::Collect(_) | Kind::Record(_) => false,
        };
        endless && self.limit.is_none()
    }
}

/// An announcement that is made once.
fn once(syntax: &str, volume_db: i32) -> Announcement {
    Announcement {
        what: Announced::Syntax(syntax.to_owned()),
        cycles: Some(1),
        interval: Duration::ZERO,
        offset: Duration::ZERO,
        volume_db,
    }
}

/// `playcom` of a package.
fn played(package: &'static str, lasted: Duration) -> Option<Box<Told>> {
    let amount = Parameter::new(aasb::AMOUNT_PLAYED, hundredths(lasted));
    told(package, aasb::PLAY_COMPLETE, vec![amount])
}

fn told(package: &'static str, item: Item, parameters: Vec<Parameter>) -> Option<Box<Told>> {
    Some(Box::new(Told {
        package,
        item,
        parameters,
    }))
}

/// `audfail` of a package.
fn failed(package: Option<&'static str>, code: u16) -> Done {
    let parameters = vec![Parameter::new(aasb::RETURN_CODE, u32::from(code))];
    Done {
        is_complete: false,
        event: package.and_then(|package| told(package, aasb::FAILURE, parameters)),
    }
}

fn hundredths(time: Duration) -> u32 {
    u32::try_from(time.as_millis() / 10).unwrap_or(u32::MAX)
}

// Return codes of `audfail` for what those of H.248.8 do not name, as RFC 2897 3.3 numbers them.

/// No digits came.
const NO_DIGITS: u16 = 326;
/// Nothing was said.
const NO_SPEECH: u16 = 327;
/// The digits do not match.
const PATTERN_NOT_MATCHED: u16 = 329;
/// Not in so many attempts.
const ATTEMPTS_EXCEEDED: u16 = 330;
