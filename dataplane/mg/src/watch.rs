//! Events that a gateway is asked to detect: Events descriptor, H.248.1 7.1.9.

use std::sync::Arc;
use std::time::Duration;

use base::Instant;
use h248::digit_map::DigitMap;
use h248::error::ErrorCode;
use h248::message::{
    EventDigitMap, EventSpec, EventsDescriptor, NotifyBehaviour, PkgdName, RequestedEvent,
    StreamId, Value,
};
use h248::package::{Item, adid, dd, g, hangterm, it, ocp, swmix, tonedet, xdd};

use crate::digit_maps::{self, DigitMaps};
use crate::error::{Result, about, error};
use crate::profile::{Kind, Profile};
use crate::signal::{self, Entry};
use crate::tone::{Tone, Tones};

/// An Events descriptor as understood.
#[derive(Clone, Debug, Default)]
pub(crate) struct Requests {
    /// As given, for audits and for its number.
    pub descriptor: EventsDescriptor,
    /// Each event that it asks for; a wildcard makes several.
    pub all: Vec<Request>,
}

/// One event asked for, and what is to be done when it is detected.
#[derive(Clone, Debug)]
pub(crate) struct Request {
    /// What it is called in notifications: without wildcards.
    pub name: PkgdName,
    pub stream: Option<StreamId>,
    pub watch: Watch,
    /// Signals go on.
    pub keep_active: bool,
    /// It is not to be notified.
    pub is_silent: bool,
    /// The descriptor begins anew.
    pub resets: bool,
    /// What becomes active then.
    pub embedded: Option<Arc<Embedding>>,
}

/// Descriptors embedded in a requested event, as understood.
#[derive(Clone, Debug)]
pub(crate) struct Embedding {
    pub signals: Option<Vec<Entry>>,
    pub events: Option<Requests>,
}

/// What leads to an event.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Watch {
    /// `adid/ipstop`: no packet passes for the time.
    IpStop {
        time: Duration,
        direction: Direction,
        /// When it was notified last: once for each silence.
        notified_at: Option<Instant>,
    },
    /// `hangterm/thb`: no command names the termination for the time.
    Heartbeat(Duration),
    /// `it/ito`: no message comes from the MGC for the time.
    InactivityTimeout(Duration),
    /// `ocp/mg_overload`: more is asked of the gateway than it can do.
    Overload,
    /// `g/sc`: a signal ended.
    SignalCompletion,
    /// `dd/d0` and its like: a tone begins.
    Digit(Tone),
    /// `std`: one of these tones begins.
    ToneStart(Tones),
    /// `etd`: one of these tones ends.
    ToneEnd(Tones),
    /// `ltd`: one of these tones lasts for the time.
    ToneLasts(Tones, Duration),
    /// `dd/ce`, `xdd/xce`: digits complete the map.
    DigitMap(Arc<DigitMap>),
    /// `swmix`: who talks.
    Talk,
    /// What nothing at this gateway leads to.
    Quiet,
}

impl Watch {
    /// True for what comes of tones.
    pub fn is_of_tones(&self) -> bool {
        match self {
            Self::Digit(_)
            | Self::ToneStart(_)
            | Self::ToneEnd(_)
            | Self::ToneLasts(..)
            | Self::DigitMap(_) => true,
            Self::IpStop { .. }
            | Self::Heartbeat(_)
            | Self::InactivityTimeout(_)
            | Self::Overload
            | Self::SignalCompletion
            | Self::Talk
            | Self::Quiet => false,
        }
    }

    /// True for what comes of talk.
    pub fn is_of_talk(&self) -> bool {
        matches!(self, Self::Talk)
    }
}

/// Which way packets are to have stopped, seen from the termination.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Direction {
    In,
    Out,
    Both,
}

/// What Events descriptors are read by.
#[derive(Clone, Copy)]
pub(crate) struct Reading<'a> {
    pub profile: &'a Profile,
    /// They are ROOT's.
    pub is_root: bool,
    /// Digit maps of the termination, then those of the gateway.
    pub digit_maps: [&'a DigitMaps; 2],
}

impl Reading<'_> {
    /// Understands an Events descriptor.
    ///
    /// # Errors
    /// The first event that cannot be detected.
    pub fn events(&self, descriptor: &EventsDescriptor) -> Result<Requests> {
        self.events_at(descriptor, false)
    }

    fn events_at(&self, descriptor: &EventsDescriptor, is_embedded: bool) -> Result<Requests> {
        if descriptor.events.len() > self.profile.events_max {
            return Err(error(ErrorCode::INSUFFICIENT_RESOURCES));
        }
        let mut all = Vec::with_capacity(descriptor.events.len());
        for event in &descriptor.events {
            self.event(event, is_embedded, &mut all)?;
        }
        Ok(Requests {
            descriptor: descriptor.clone(),
            all,
        })
    }

    /// Understands an EventBuffer descriptor.
    ///
    /// # Errors
    /// The first event that cannot be detected.
    pub fn event_buffer(&self, events: &[EventSpec]) -> Result<()> {
        if events.len() > self.profile.events_max {
            return Err(error(ErrorCode::INSUFFICIENT_RESOURCES));
        }
        for event in events {
            let items = self.items(&event.name)?;
            let knows = |name| items.iter().any(|(_, item)| item.parameter(name).is_some());
            let mut parameters = event.parameters.iter();
            if let Some(unknown) = parameters.find(|parameter| !knows(parameter.name.as_str())) {
                return Err(about(ErrorCode::UNKNOWN_PARAMETER, &unknown.name));
            }
        }
        Ok(())
    }

    /// The events that a name stands for, with their names, at least one.
    fn items(&self, name: &PkgdName) -> Result<Vec<(PkgdName, Item)>> {
        let is_wild = name.item() == "*";
        let mut items = match is_wild {
            true => self.profile.expand(Kind::Event, name.package()),
            false => self
                .profile
                .find(Kind::Event, name)
                .map(|item| vec![(name.clone(), item)]),
        }
        .map_err(|code| about(code, name))?;
        let of_root = [it::INACTIVITY_TIMEOUT, ocp::OVERLOAD];
        items.retain(|(_, item)| of_root.contains(item) == self.is_root);
        match items.is_empty() {
            true => Err(about(ErrorCode::CANNOT_DETECT_EVENT, name)),
            false => Ok(items),
        }
    }

    fn event(
        &self,
        event: &RequestedEvent,
        is_embedded: bool,
        all: &mut Vec<Request>,
    ) -> Result<()> {
        let items = self.items(&event.name)?;
        for parameter in &event.parameters {
            let mut known = items.iter();
            let domain = known.find_map(|(_, item)| item.parameter(parameter.name.as_str()));
            let Some(domain) = domain.map(|known| known.domain) else {
                return Err(about(ErrorCode::UNKNOWN_PARAMETER, &parameter.name));
            };
            let mut values = parameter.value.as_list().iter();
            // `*` stands for every tone.
            if !values.all(|value| domain.admits(value) || value.is("*")) {
                return Err(about(ErrorCode::UNKNOWN_VALUE, &parameter.name));
            }
        }
        let takes_map = items.iter().any(|(_, item)| completes_map(*item));
        if event.digit_map.is_some() && !takes_map {
            return Err(about(ErrorCode::UNKNOWN_PARAMETER, "DigitMap"));
        }
        let embedded = self.embedded(event, is_embedded)?;
        let is_wild = event.name.item() == "*";
        // A package's own completion event counts, not those that it inherits.
        let own = items.iter().find(|(_, item)| completes_map(*item));
        let own = own.map(|(_, item)| *item);
        for (name, item) in items {
            let is_every = is_wild && event.name.package() == "*" && event.digit_map.is_none();
            let is_passed_over = match item {
                item if completes_map(item) => is_every || Some(item) != own,
                tonedet::LONG => is_wild && event.parameter(tonedet::DURATION.name).is_none(),
                _ => false,
            };
            if is_passed_over {
                continue;
            }
            all.push(Request {
                name,
                stream: event.stream,
                watch: self.watch(event, item)?,
                keep_active: event.keep_active,
                is_silent: event.notify == Some(NotifyBehaviour::Never),
                resets: event.reset_events,
                embedded: embedded.clone(),
            });
        }
        Ok(())
    }

    fn embedded(
        &self,
        event: &RequestedEvent,
        is_embedded: bool,
    ) -> Result<Option<Arc<Embedding>>> {
        let Some(embedded) = &event.embed else {
            return Ok(None);
        };
        let signals = embedded.signals.as_ref();
        let maps = self.digit_maps;
        let signals = signals.map(|signals| signal::parse(self.profile, maps, signals));
        let events = match &embedded.events {
            // One level is all there is.
            Some(_) if is_embedded => return Err(about(ErrorCode::SYNTAX_IN_COMMAND, "Embed")),
            Some(events) => Some(self.events_at(events, true)?),
            None => None,
        };
        Ok(Some(Arc::new(Embedding {
            signals: signals.transpose()?,
            events,
        })))
    }

    fn watch(&self, event: &RequestedEvent, item: Item) -> Result<Watch> {
        Ok(match item {
            adid::IP_STOP => Watch::IpStop {
                time: Duration::from_secs(
                    number(event, adid::DETECTION_TIME.name, IP_STOP_S)?.max(1),
                ),
                direction: direction(event)?,
                notified_at: None,
            },
            hangterm::HEARTBEAT => match number(event, hangterm::TIMER_X.name, 0)? {
                0 => Watch::Quiet,
                seconds => Watch::Heartbeat(Duration::from_secs(seconds)),
            },
            it::INACTIVITY_TIMEOUT => {
                let name = it::MAXIMUM_INACTIVITY_TIME.name;
                match number(event, name, 0)? {
                    0 => return Err(about(ErrorCode::MISSING_PARAMETER, name)),
                    hundredths => Watch::InactivityTimeout(Duration::from_millis(hundredths * 10)),
                }
            }
            ocp::OVERLOAD => Watch::Overload,
            swmix::TALK | swmix::DOMINANT => Watch::Talk,
            g::SIGNAL_COMPLETION => Watch::SignalCompletion,
            tonedet::START => Watch::ToneStart(tones(event)?),
            tonedet::END => Watch::ToneEnd(tones(event)?),
            tonedet::LONG => match number(event, tonedet::DURATION.name, 0)? {
                0 => {
                    let name = tonedet::DURATION.name;
                    return Err(about(ErrorCode::MISSING_PARAMETER, name));
                }
                ms => Watch::ToneLasts(tones(event)?, Duration::from_millis(ms)),
            },
            item if completes_map(item) => Watch::DigitMap(self.digit_map(event)?),
            item if item.package == dd::PACKAGE.name => match Tone::from_name(item.name) {
                Some(tone) => Watch::Digit(tone),
                None => Watch::Quiet,
            },
            _ => Watch::Quiet,
        })
    }

    /// The digit map of a completion event, by name or in full.
    fn digit_map(&self, event: &RequestedEvent) -> Result<Arc<DigitMap>> {
        match &event.digit_map {
            // 7.1.14.7.
            None => Err(about(ErrorCode::MISSING_PARAMETER, "DigitMap")),
            Some(EventDigitMap::Value(value)) => digit_maps::read(value),
            Some(EventDigitMap::Name(name)) => {
                let found = self.digit_maps.iter().find_map(|maps| maps.find(name));
                let undefined = || about(ErrorCode::UNDEFINED_DIGIT_MAP, name);
                found.cloned().ok_or_else(undefined)
            }
        }
    }
}

/// True for events that report a completed digit map.
fn completes_map(item: Item) -> bool {
    [dd::DIGIT_MAP_COMPLETION, xdd::DIGIT_MAP_COMPLETION].contains(&item)
}

fn tones(event: &RequestedEvent) -> Result<Tones> {
    let name = tonedet::TONE_LIST.name;
    match event.parameter(name) {
        None => Ok(Tones::ALL),
        Some(value) => Tones::parse(value).ok_or_else(|| about(ErrorCode::UNKNOWN_VALUE, name)),
    }
}

/// A parameter that is a number of seconds or hundredths of one.
fn number(event: &RequestedEvent, name: &str, default: u64) -> Result<u64> {
    let Some(value) = event.parameter(name) else {
        return Ok(default);
    };
    let number = value.as_single().and_then(Value::as_u64);
    number
        .filter(|&number| number <= TIME_MAX)
        .ok_or_else(|| about(ErrorCode::UNKNOWN_VALUE, name))
}

fn direction(event: &RequestedEvent) -> Result<Direction> {
    let name = adid::DIRECTION.name;
    let Some(value) = event.parameter(name) else {
        return Ok(Direction::Both);
    };
    let value = value.as_single();
    let is = |text| value.is_some_and(|value| value.is(text));
    match () {
        () if is("IN") => Ok(Direction::In),
        () if is("OUT") => Ok(Direction::Out),
        () if is("BOTH") => Ok(Direction::Both),
        () => Err(about(ErrorCode::UNKNOWN_VALUE, name)),
    }
}

/// Detection time of `adid/ipstop` where the request gives none, in seconds.
const IP_STOP_S: u64 = 5;

/// The longest time accepted in a parameter: a year in hundredths of a second.
const TIME_MAX: u64 = 365 * 24 * 3600 * 100;

#[cfg(test)]
mod tests {
    use super::*;
    use crate::profile::TRGW;
    use h248::message::{Parameter, PkgdName, RequestId};

    fn events(name: &str, parameters: &[(&str, &str)]) -> EventsDescriptor {
        let mut event = RequestedEvent::new(PkgdName::from_text(name.as_bytes()).unwrap());
        for &(name, value) in parameters {
            event.parameters.push(Parameter::new(name, value));
        }
        EventsDescriptor {
            request_id: Some(RequestId(1)),
            events: vec![event],
        }
    }

    fn parsed(
        name: &str,
        parameters: &[(&str, &str)],
        root: bool,
    ) -> std::result::Result<Watch, u16> {
        let maps = DigitMaps::default();
        let reading = Reading {
            profile: &TRGW,
            is_root: root,
            digit_maps: [&maps; 2],
        };
        match reading.events(&events(name, parameters)) {
            Ok(requests) => Ok(requests.all[0].watch.clone()),
            Err(error) => Err(error.code.0),
        }
    }

    #[test]
    fn events_are_understood_with_their_defaults() {
        let both = Watch::IpStop {
            time: Duration::from_secs(5),
            direction: Direction::Both,
            notified_at: None,
        };
        assert_eq!(parsed("adid/ipstop", &[], false), Ok(both));
        let given = Watch::IpStop {
            time: Duration::from_secs(30),
            direction: Direction::In,
            notified_at: None,
        };
        assert_eq!(
            parsed("ADID/ipstop", &[("dt", "30"), ("dir", "in")], false),
            Ok(given)
        );
        assert_eq!(parsed("hangterm/thb", &[], false), Ok(Watch::Quiet));
        let beat = Watch::Heartbeat(Duration::from_secs(60));
        assert_eq!(parsed("hangterm/thb", &[("timerx", "60")], false), Ok(beat));
        let silence = Watch::InactivityTimeout(Duration::from_secs(30));
        assert_eq!(parsed("it/ito", &[("mit", "3000")], true), Ok(silence));
    }

    #[test]
    fn what_cannot_be_detected_gets_its_code() {
        assert_eq!(parsed("x/y", &[], false), Err(440));
        assert_eq!(parsed("g/y", &[], false), Err(451));
        assert_eq!(parsed("nt/qualert", &[], false), Err(512));
        assert_eq!(parsed("it/ito", &[("mit", "1")], false), Err(512));
        assert_eq!(parsed("adid/ipstop", &[], true), Err(512));
        assert_eq!(parsed("adid/ipstop", &[("x", "1")], false), Err(446));
        assert_eq!(parsed("adid/ipstop", &[("dt", "soon")], false), Err(449));
        assert_eq!(parsed("adid/ipstop", &[("dir", "up")], false), Err(449));
        assert_eq!(parsed("it/ito", &[], true), Err(457));
        let huge = u64::MAX.to_string();
        assert_eq!(
            parsed("hangterm/thb", &[("timerx", &huge)], false),
            Err(449)
        );
    }
}
