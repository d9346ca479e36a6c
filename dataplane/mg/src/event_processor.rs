//! Event processing of a termination: Events and EventBuffer descriptors, digit maps; H.248.1
//! 7.1.9, 7.1.10 and 7.1.14.

use std::collections::VecDeque;
use std::time::Duration;

use base::Instant;
use h248::digit_map::{Collection, Method, Step, Symbol};
use h248::message::{
    EventBufferControl, EventBufferDescriptor, EventSpec, EventsDescriptor, ObservedEvent,
    Parameter, PkgdName, RequestId, StreamId, Value,
};
use h248::package::{Item, dd, g, swmix, tonedet};

use crate::player::Ended;
use crate::script::Told;
use crate::signal::Entry;
use crate::time_stamp::time_stamp;
use crate::tone::Tone;
use crate::watch::{Request, Requests, Watch};

/// Events that are buffered; what comes when there are so many is lost, and the next notification
/// says so by error 518.
pub(crate) const BUFFER_MAX: usize = 64;

/// Digit maps that one digit may complete one after the other, by embedded descriptors.
const REFUSALS_MAX: usize = 4;

/// Something that may be an event.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Occurrence {
    pub stream: Option<StreamId>,
    /// When it was detected.
    pub at: Instant,
    pub what: Happening,
}

/// What may be an event.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Happening {
    /// A tone begins.
    ToneStart(Tone),
    /// A tone ended after the time.
    ToneEnd(Tone, Duration),
    /// A tone lasts for the time.
    ToneLasts(Tone, Duration),
    /// A signal ended.
    SignalEnd(Box<Ended>),
    /// A media function tells what became of a signal.
    Told(Box<Told>),
    /// What the request at this index waits for; without one, any for the same event.
    Watched(Item, Option<usize>),
}

/// What is to be done because an event was recognized.
#[derive(Clone, Debug)]
pub(crate) enum Effect {
    /// It is notified.
    Notify(Box<Observed>),
    /// Signals end.
    StopSignals,
    /// These signals replace the others.
    PlaySignals(Vec<Entry>),
}

/// An event for the MGC.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Observed {
    pub request_id: RequestId,
    pub event: ObservedEvent,
    /// Others were lost before it.
    pub is_after_loss: bool,
}

/// Judges what happens by the active Events descriptor.
#[derive(Clone, Debug)]
pub(crate) struct EventProcessor {
    active: Requests,
    /// One for each Events descriptor that became active.
    generation: u32,
    /// Digit maps that are active.
    collecting: Vec<Collecting>,
    /// Tones that last, at most one for each stream.
    sounding: Vec<Sounding>,
    control: EventBufferControl,
    filter: EventBufferDescriptor,
    buffer: VecDeque<Occurrence>,
    /// LockStep: an event was recognized, and an Events descriptor is waited for.
    is_suspended: bool,
    /// Events found no room in the buffer.
    has_lost: bool,
}

/// An active digit map.
#[derive(Clone, Debug)]
struct Collecting {
    /// The completion event that it is of.
    request: usize,
    collection: Collection,
    /// When the wait for the next digit is over.
    due: Option<Instant>,
    /// A digit of which it is not known yet whether it is long.
    held: Option<Held>,
}

#[derive(Clone, Debug)]
struct Held {
    symbol: Symbol,
    occurrence: Occurrence,
    /// It is long from then on.
    long_at: Instant,
}

#[derive(Clone, Copy, Debug)]
struct Sounding {
    stream: Option<StreamId>,
    tone: Tone,
    since: Instant,
    /// Requests for lasting tones have been looked at up to here.
    seen_until: Instant,
}

impl Default for EventProcessor {
    fn default() -> Self {
        Self {
            active: Requests::default(),
            generation: 0,
            collecting: Vec::new(),
            sounding: Vec::new(),
            control: EventBufferControl::Off,
            filter: Vec::new(),
            buffer: VecDeque::new(),
            is_suspended: false,
            has_lost: false,
        }
    }
}

impl EventProcessor {
    /// The active Events descriptor.
    pub fn descriptor(&self) -> &EventsDescriptor {
        &self.active.descriptor
    }

    /// What it asks for.
    pub fn requests(&self) -> &[Request] {
        &self.active.all
    }

    /// The same, for what requests remember.
    pub fn request_mut(&mut self, index: usize) -> Option<&mut Request> {
        self.active.all.get_mut(index)
    }

    /// How events are buffered.
    pub fn control(&self) -> EventBufferControl {
        self.control
    }

    /// The EventBuffer descriptor: what is buffered.
    pub fn filter(&self) -> &EventBufferDescriptor {
        &self.filter
    }

    /// What is in the buffer, as observed events, for audits.
    pub fn buffered(&self) -> Vec<ObservedEvent> {
        let events = self.buffer.iter().filter_map(|occurrence| {
            let spec = self
                .filter
                .iter()
                .find(|spec| occurrence.is_named_by(spec))?;
            let mut event = ObservedEvent::new(occurrence.name_as(&spec.name));
            event.stream = occurrence.stream;
            event.time = Some(time_stamp(occurrence.at));
            event.parameters = occurrence.parameters();
            Some(event)
        });
        events.collect()
    }

    /// True when tones on a stream lead to something.
    pub fn heeds_tones(&self, stream: StreamId) -> bool {
        self.heeds(Watch::is_of_tones, &TONE_PACKAGES, Some(stream))
    }

    /// True when it leads to something who talks on a stream.
    pub fn heeds_talk(&self, stream: StreamId) -> bool {
        self.heeds(Watch::is_of_talk, &TALK_PACKAGES, Some(stream))
    }

    /// True when tones or talk on any stream do.
    pub fn heeds_anything(&self) -> bool {
        self.heeds(Watch::is_of_tones, &TONE_PACKAGES, None)
            || self.heeds(Watch::is_of_talk, &TALK_PACKAGES, None)
    }

    /// True when what is watched, or buffered as an event of some packages, is about a stream; or
    /// about any.
    fn heeds(
        &self,
        is_watched: impl Fn(&Watch) -> bool,
        packages: &[&str],
        stream: Option<StreamId>,
    ) -> bool {
        let is_here =
            |asked: Option<StreamId>| stream.is_none() || asked.is_none() || asked == stream;
        let mut requests = self.active.all.iter();
        let mut kept = self.filter.iter();
        requests.any(|request| is_watched(&request.watch) && is_here(request.stream))
            || kept.any(|spec| packages.contains(&&*lower(&spec.name)) && is_here(spec.stream))
    }

    /// A command sets EventBufferControl.
    pub fn set_control(&mut self, control: EventBufferControl) {
        self.control = control;
        if control == EventBufferControl::Off {
            self.buffer.clear();
            self.is_suspended = false;
        }
    }

    /// A command brings an EventBuffer descriptor; an empty one clears the buffer.
    pub fn set_filter(&mut self, filter: EventBufferDescriptor) {
        if filter.is_empty() {
            self.buffer.clear();
        }
        self.filter = filter;
    }

    /// A command brings an Events descriptor. What is buffered is processed by
    /// [`EventProcessor::resume`].
    pub fn load(&mut self, now: Instant, requests: Requests) {
        self.activate(now, requests);
        if self.active.all.is_empty() {
            self.buffer.clear();
        }
    }

    /// Processes what is buffered, until an event is recognized.
    pub fn resume(&mut self, now: Instant) -> Vec<Effect> {
        let mut effects = Vec::new();
        self.drain(now, &mut effects);
        effects
    }

    /// Something happened.
    pub fn handle(&mut self, now: Instant, occurrence: Occurrence) -> Vec<Effect> {
        let mut effects = Vec::new();
        self.note_tone(now, &occurrence, &mut effects);
        self.take(now, occurrence, &mut effects);
        self.drain(now, &mut effects);
        effects
    }

    /// Does what is due.
    pub fn handle_timeout(&mut self, now: Instant) -> Vec<Effect> {
        let mut effects = Vec::new();
        self.end_holding(now, &mut effects);
        self.end_waiting(now, &mut effects);
        for occurrence in self.lasting(now) {
            self.take(now, occurrence, &mut effects);
        }
        self.drain(now, &mut effects);
        effects
    }

    /// When [`EventProcessor::handle_timeout`] is to be called.
    pub fn next_timeout(&self) -> Option<Instant> {
        let collecting = self.collecting.iter().flat_map(|collecting| {
            let long_at = collecting.held.as_ref().map(|held| held.long_at);
            [collecting.due, long_at]
        });
        let lasting = self.sounding.iter().flat_map(|sounding| {
            let requests = self.active.all.iter();
            requests.filter_map(move |request| sounding.due(request))
        });
        collecting.flatten().chain(lasting).min()
    }

    // What follows from these.

    fn activate(&mut self, now: Instant, requests: Requests) {
        self.active = requests;
        self.generation = self.generation.wrapping_add(1);
        self.is_suspended = false;
        self.sounding.clear();
        self.collecting.clear();
        for (index, request) in self.active.all.iter().enumerate() {
            if let Watch::DigitMap(map) = &request.watch {
                let collection = Collection::new(map.clone());
                let due = collection.wait().map(|wait| now + wait);
                self.collecting.push(Collecting {
                    request: index,
                    collection,
                    due,
                    held: None,
                });
            }
        }
    }

    /// Keeps account of which tones last.
    fn note_tone(&mut self, now: Instant, occurrence: &Occurrence, effects: &mut Vec<Effect>) {
        let stream = occurrence.stream;
        let known = self
            .sounding
            .iter()
            .position(|sounding| sounding.stream == stream);
        let before = known.filter(|_| occurrence.is_of_tones_at_all());
        let before = before.map(|index| self.sounding.swap_remove(index));
        if let Happening::ToneStart(tone) = occurrence.what {
            // Its end was lost.
            if let Some(before) = before {
                let ended = Occurrence {
                    stream,
                    at: occurrence.at,
                    what: Happening::ToneEnd(before.tone, occurrence.at.since(before.since)),
                };
                self.take(now, ended, effects);
            }
            self.sounding.push(Sounding {
                stream,
                tone,
                since: occurrence.at,
                seen_until: occurrence.at,
            });
        }
    }

    /// Processes an occurrence, or buffers it.
    fn take(&mut self, now: Instant, occurrence: Occurrence, effects: &mut Vec<Effect>) {
        match self.is_suspended {
            true => self.keep(occurrence),
            false => self.process(now, occurrence, effects),
        }
    }

    fn keep(&mut self, occurrence: Occurrence) {
        if !self.filter.iter().any(|spec| occurrence.is_named_by(spec)) {
            return;
        }
        match self.buffer.len() < BUFFER_MAX {
            true => self.buffer.push_back(occurrence.detached()),
            false => self.has_lost = true,
        }
    }

    fn drain(&mut self, now: Instant, effects: &mut Vec<Effect>) {
        while !self.is_suspended
            && let Some(occurrence) = self.buffer.pop_front()
        {
            self.process(now, occurrence, effects);
        }
    }

    /// Judges an occurrence: first by the digit maps, then by the other requests (7.1.14.8).
    fn process(&mut self, now: Instant, occurrence: Occurrence, effects: &mut Vec<Effect>) {
        for _ in 0..REFUSALS_MAX {
            let Some((completed, method)) = self.refusal(&occurrence) else {
                return self.process_once(now, &occurrence, effects);
            };
            // A digit that a map does not take is processed after its completion.
            let mut completed = self.collecting.remove(completed);
            let generation = self.generation;
            let held = completed.held.take().map(|held| held.occurrence);
            self.complete(now, &completed, method, effects);
            if self.is_suspended {
                return self.put_back([Some(occurrence), held]);
            }
            // As an event of its own it was processed when it began; no map holds it back again.
            if let Some(began) = held.filter(|_| self.generation != generation) {
                self.process_once(now, &began, effects);
            }
        }
    }

    /// The buffer begins with these, the last of them first.
    fn put_back(&mut self, occurrences: [Option<Occurrence>; 2]) {
        for occurrence in occurrences.into_iter().flatten() {
            if self.filter.iter().any(|spec| occurrence.is_named_by(spec)) {
                self.buffer.push_front(occurrence.detached());
            }
        }
    }

    /// The first active digit map that does not take the occurrence, and how it completes then.
    fn refusal(&self, occurrence: &Occurrence) -> Option<(usize, Method)> {
        let mut maps = self.collecting.iter().enumerate();
        maps.find_map(|(index, collecting)| {
            let (symbol, is_long) = self.digit_for(collecting, occurrence)?;
            match collecting.collection.clone().digit(symbol, is_long?) {
                Step::Refused(method) => Some((index, method)),
                Step::Pending | Step::Complete(_) => None,
            }
        })
    }

    /// The digit that an occurrence is for a digit map, and whether it is long; `None` when that
    /// is not known yet.
    fn digit_for(
        &self,
        collecting: &Collecting,
        occurrence: &Occurrence,
    ) -> Option<(Symbol, Option<bool>)> {
        let request = self.active.all.get(collecting.request)?;
        if request.stream.is_some() && request.stream != occurrence.stream {
            return None;
        }
        let threshold = collecting.collection.map().timers().duration;
        match (&occurrence.what, &collecting.held) {
            (Happening::ToneStart(tone), None) => {
                let symbol = tone.symbol()?;
                let is_known = !collecting.collection.heeds_duration(symbol);
                Some((symbol, is_known.then_some(false)))
            }
            (Happening::ToneEnd(tone, time), Some(held)) => {
                let is_it = tone.symbol() == Some(held.symbol);
                let is_it = is_it && occurrence.stream == held.occurrence.stream;
                is_it.then_some((held.symbol, Some(*time > threshold)))
            }
            _ => None,
        }
    }

    fn process_once(&mut self, now: Instant, occurrence: &Occurrence, effects: &mut Vec<Effect>) {
        let generation = self.generation;
        let completed = self.collect(now, occurrence, effects);
        for index in 0..self.active.all.len() {
            if self.generation != generation {
                return;
            }
            let observed = self.active.all.get(index);
            let observed = observed.and_then(|request| occurrence.observed_by(request, index));
            if let Some(parameters) = observed {
                self.recognize(now, index, occurrence, parameters, effects);
            }
        }
        for (completed, method) in completed {
            if self.generation == generation {
                self.complete(now, &completed, method, effects);
            }
        }
    }

    /// Adds a digit to what is dialled, and returns the digit maps that it completes.
    fn collect(
        &mut self,
        now: Instant,
        occurrence: &Occurrence,
        effects: &mut Vec<Effect>,
    ) -> Vec<(Collecting, Method)> {
        let mut completed = Vec::new();
        let mut index = 0;
        while let Some(collecting) = self.collecting.get(index) {
            let digit = self.digit_for(collecting, occurrence);
            let request = self.active.all.get(collecting.request);
            let is_loud = request.is_some_and(|request| !request.keep_active);
            let Some((symbol, is_long)) = digit else {
                index += 1;
                continue;
            };
            let collecting = &mut self.collecting[index];
            collecting.due = None;
            if collecting.held.take().is_none() && is_loud {
                effects.push(Effect::StopSignals);
            }
            let Some(is_long) = is_long else {
                let threshold = collecting.collection.map().timers().duration;
                collecting.held = Some(Held {
                    symbol,
                    occurrence: occurrence.clone(),
                    long_at: occurrence.at + threshold,
                });
                index += 1;
                continue;
            };
            match collecting.collection.digit(symbol, is_long) {
                Step::Complete(method) => completed.push((self.collecting.remove(index), method)),
                Step::Pending | Step::Refused(_) => {
                    collecting.due = collecting.collection.wait().map(|wait| now + wait);
                    index += 1;
                }
            }
        }
        completed
    }

    /// Digits that have become long by now.
    fn end_holding(&mut self, now: Instant, effects: &mut Vec<Effect>) {
        let is_due = |collecting: &Collecting| {
            let held = collecting.held.as_ref();
            held.is_some_and(|held| held.long_at <= now)
        };
        while let Some(index) = self.collecting.iter().position(is_due) {
            let collecting = &mut self.collecting[index];
            let Some(held) = collecting.held.take() else {
                return;
            };
            match collecting.collection.digit(held.symbol, true) {
                Step::Pending => {
                    collecting.due = collecting.collection.wait().map(|wait| now + wait);
                }
                Step::Complete(method) => {
                    let completed = self.collecting.remove(index);
                    self.complete(now, &completed, method, effects);
                }
                Step::Refused(method) => {
                    let generation = self.generation;
                    let completed = self.collecting.remove(index);
                    self.complete(now, &completed, method, effects);
                    // As an event of its own it was processed when it began.
                    if self.generation != generation {
                        self.take(now, held.occurrence, effects);
                    } else if self.is_suspended {
                        self.keep(held.occurrence);
                    }
                }
            }
        }
    }

    /// Digit maps whose timer has expired.
    fn end_waiting(&mut self, now: Instant, effects: &mut Vec<Effect>) {
        let is_due = |collecting: &Collecting| collecting.due.is_some_and(|due| due <= now);
        while let Some(index) = self.collecting.iter().position(is_due) {
            let completed = self.collecting.remove(index);
            let method = completed.collection.expire();
            self.complete(now, &completed, method, effects);
        }
    }

    /// Tones that have lasted for as long as somebody asks, since this was called last.
    fn lasting(&mut self, now: Instant) -> Vec<Occurrence> {
        let mut lasting = Vec::new();
        for sounding in &mut self.sounding {
            let mut times: Vec<(Instant, Duration)> = Vec::new();
            for request in &self.active.all {
                if let (Some(due), Watch::ToneLasts(_, time)) =
                    (sounding.due(request), &request.watch)
                    && due <= now
                    && !times.contains(&(due, *time))
                {
                    times.push((due, *time));
                }
            }
            times.sort_unstable();
            sounding.seen_until = sounding.seen_until.max(now);
            lasting.extend(times.into_iter().map(|(at, time)| Occurrence {
                stream: sounding.stream,
                at,
                what: Happening::ToneLasts(sounding.tone, time),
            }));
        }
        lasting
    }

    /// The completion event of a digit map, 7.1.14.5.
    fn complete(
        &mut self,
        now: Instant,
        completed: &Collecting,
        method: Method,
        effects: &mut Vec<Effect>,
    ) {
        let stream = self
            .active
            .all
            .get(completed.request)
            .and_then(|request| request.stream);
        let parameters = vec![
            Parameter {
                name: dd::DIGIT_STRING.into(),
                value: Value::quoted(completed.collection.dialled()).into(),
            },
            Parameter::new(dd::TERMINATION_METHOD, method.name()),
        ];
        let occurrence = Occurrence {
            stream,
            at: now,
            what: Happening::Watched(dd::DIGIT_MAP_COMPLETION, Some(completed.request)),
        };
        self.recognize(now, completed.request, &occurrence, parameters, effects);
    }

    /// An event of the active descriptor, 7.1.9: it is notified, ends signals, and may replace the
    /// descriptor.
    fn recognize(
        &mut self,
        now: Instant,
        index: usize,
        occurrence: &Occurrence,
        parameters: Vec<Parameter>,
        effects: &mut Vec<Effect>,
    ) {
        let Some(request) = self.active.all.get(index) else {
            return;
        };
        if let Some(request_id) = self.active.descriptor.request_id
            && !request.is_silent
        {
            let mut event = ObservedEvent::new(request.name.clone());
            event.stream = match occurrence.what {
                Happening::SignalEnd(_) => occurrence.stream,
                _ => request.stream,
            };
            event.time = Some(time_stamp(occurrence.at));
            event.parameters = parameters;
            effects.push(Effect::Notify(Box::new(Observed {
                request_id,
                event,
                is_after_loss: std::mem::take(&mut self.has_lost),
            })));
        }
        let (embedded, resets) = (request.embedded.clone(), request.resets);
        if !request.keep_active {
            effects.push(Effect::StopSignals);
        }
        if self.control == EventBufferControl::LockStep {
            self.is_suspended = true;
            // The next descriptor begins with empty dial strings.
            self.collecting.clear();
        }
        if let Some(signals) = embedded
            .as_ref()
            .and_then(|embedded| embedded.signals.as_ref())
        {
            effects.push(Effect::PlaySignals(signals.clone()));
        }
        match embedded
            .as_ref()
            .and_then(|embedded| embedded.events.as_ref())
        {
            Some(events) => self.activate(now, events.clone()),
            None if resets => {
                let again = self.active.clone();
                self.activate(now, again);
            }
            None => {}
        }
    }
}

impl Sounding {
    /// When it has lasted for as long as a request asks, if that was not seen yet.
    fn due(&self, request: &Request) -> Option<Instant> {
        let Watch::ToneLasts(tones, time) = &request.watch else {
            return None;
        };
        let is_here = request.stream.is_none() || request.stream == self.stream;
        let due = self.since + *time;
        (is_here && tones.contains(self.tone) && due > self.seen_until).then_some(due)
    }
}

/// Packages with events that come of tones, and the wildcard.
const TONE_PACKAGES: [&str; 4] = ["tonedet", "dd", "xdd", "*"];

/// Packages with events that come of talk, and the wildcard.
const TALK_PACKAGES: [&str; 2] = [swmix::PACKAGE.name, "*"];

fn lower(name: &PkgdName) -> String {
    name.package().to_ascii_lowercase()
}

impl Occurrence {
    /// The same for whichever Events descriptor is active then.
    fn detached(mut self) -> Self {
        if let Happening::Watched(_, index) = &mut self.what {
            *index = None;
        }
        self
    }

    fn is_of_tones_at_all(&self) -> bool {
        matches!(self.what, Happening::ToneStart(_) | Happening::ToneEnd(..))
    }

    /// The item names that it is an event by.
    fn items(&self) -> [Option<&'static str>; 2] {
        match &self.what {
            Happening::ToneStart(tone) => [Some(tonedet::START.name), Some(tone.name())],
            Happening::ToneEnd(..) => [Some(tonedet::END.name), None],
            Happening::ToneLasts(..) => [Some(tonedet::LONG.name), None],
            Happening::SignalEnd(_) => [Some(g::SIGNAL_COMPLETION.name), None],
            Happening::Watched(item, _) => [Some(item.name), None],
            Happening::Told(told) => [Some(told.item.name), None],
        }
    }

    /// Whether an entry of an EventBuffer descriptor means it.
    fn is_named_by(&self, spec: &EventSpec) -> bool {
        let package = lower(&spec.name);
        let is_of_package = match &self.what {
            Happening::SignalEnd(_) => [g::PACKAGE.name, "*"].contains(&&*package),
            Happening::Watched(item, _) => [item.package, "*"].contains(&&*package),
            Happening::Told(told) => [told.package, told.item.package, "*"].contains(&&*package),
            _ => TONE_PACKAGES.contains(&&*package),
        };
        let item = spec.name.item();
        let mut items = self.items().into_iter().flatten();
        is_of_package
            && (item == "*" || items.any(|name| name.eq_ignore_ascii_case(item)))
            && (spec.stream.is_none() || spec.stream == self.stream)
    }

    /// Its name as an entry of an EventBuffer descriptor has it, without wildcards.
    fn name_as(&self, name: &PkgdName) -> PkgdName {
        let [first, second] = self.items();
        let own = match &self.what {
            Happening::SignalEnd(_) => g::PACKAGE.name,
            Happening::Watched(item, _) => item.package,
            Happening::Told(told) => told.package,
            _ => dd::PACKAGE.name,
        };
        let package = match name.package() {
            "*" => own,
            package => package,
        };
        match name.item() {
            // A tone is an event by its own name before it is one in general.
            "*" => PkgdName::new(package, second.or(first).unwrap_or("*")),
            item => PkgdName::new(package, item),
        }
    }

    /// The parameters of the observed event, where they do not depend on what was asked.
    fn parameters(&self) -> Vec<Parameter> {
        let tone_id = |tone: &Tone| Parameter::new(tonedet::TONE, tone.name());
        match &self.what {
            Happening::ToneStart(_) | Happening::Watched(..) => Vec::new(),
            Happening::ToneEnd(tone, time) => {
                let ms = u64::try_from(time.as_millis()).unwrap_or(u64::MAX);
                vec![tone_id(tone), Parameter::new(tonedet::DURATION, ms)]
            }
            Happening::ToneLasts(tone, _) => vec![tone_id(tone)],
            Happening::Told(told) => told.parameters.clone(),
            Happening::SignalEnd(ended) => {
                let mut parameters = vec![
                    Parameter::new(g::SIGNAL_ID, ended.signal.name.as_str()),
                    Parameter::new(g::TERMINATION_METHOD, ended.how.name()),
                ];
                if let Some(list) = ended.list {
                    parameters.push(Parameter::new(g::SIGNAL_LIST_ID, u32::from(list)));
                }
                if let Some(RequestId(request_id)) = ended.signal.request_id {
                    parameters.push(Parameter::new(g::REQUEST_ID, request_id));
                }
                parameters
            }
        }
    }

    /// The parameters of the event that it is for a request; `None` when it is not what that asks
    /// for.
    fn observed_by(&self, request: &Request, index: usize) -> Option<Vec<Parameter>> {
        let same_stream = request.stream.is_none() || request.stream == self.stream;
        let is_it = match (&request.watch, &self.what) {
            (Watch::Digit(asked), Happening::ToneStart(tone)) => asked == tone,
            (Watch::ToneStart(asked), Happening::ToneStart(tone))
            | (Watch::ToneEnd(asked), Happening::ToneEnd(tone, _)) => asked.contains(*tone),
            (Watch::ToneLasts(asked, time), Happening::ToneLasts(tone, lasted)) => {
                asked.contains(*tone) && time == lasted
            }
            (Watch::SignalCompletion, Happening::SignalEnd(_)) => true,
            (_, Happening::Watched(_, Some(asked))) => return (*asked == index).then(Vec::new),
            (_, Happening::Watched(item, None)) => request.name == *item,
            (_, Happening::Told(told)) => {
                let is_of = |package: &str| package.eq_ignore_ascii_case(request.name.package());
                request.name.item().eq_ignore_ascii_case(told.item.name)
                    && (is_of(told.package) || is_of(told.item.package))
            }
            _ => false,
        };
        let mut parameters = (is_it && same_stream).then(|| self.parameters())?;
        if let (Watch::ToneStart(_), Happening::ToneStart(tone)) = (&request.watch, &self.what) {
            parameters.push(Parameter::new(tonedet::TONE, tone.name()));
        }
        Some(parameters)
    }
}
