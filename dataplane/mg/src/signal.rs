//! Signals that a gateway is asked to play: Signals descriptor, H.248.1 7.1.11.

use std::sync::Arc;
use std::time::Duration;

use h248::error::ErrorCode;
use h248::message::{
    Signal, SignalDirection, SignalRequest, SignalType, SignalsDescriptor, StreamId, Value,
};
use h248::package::{dg, ipnapt, tonegen};

use crate::digit_maps::DigitMaps;
use crate::error::{Result, about, error};
use crate::profile::{Kind, Profile};
use crate::script::Script;
use crate::scripts;
use crate::tone::Tone;

/// Signals that a descriptor may have, those in lists included.
pub(crate) const SIGNALS_MAX: usize = 32;

/// Tones that one `tonegen/pt` may have.
pub(crate) const TONES_MAX: usize = 32;

/// An entry of a Signals descriptor as understood.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Entry {
    /// A signal beside the others.
    One(Play),
    /// Signals one after the other.
    List(u16, Vec<Play>),
}

/// One signal.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Play {
    /// As asked for.
    pub signal: Signal,
    pub what: What,
}

/// What a signal does.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum What {
    /// `ipnapt/latch`, H.248.37: at once; it is complete when the stream has latched.
    Latch(Napt),
    /// Tones, sent as telephone events.
    Tones(Melody),
    /// What media functions play, collect and record.
    Script(Arc<Script>),
}

/// The parameter of `ipnapt/latch`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Napt {
    Off,
    Latch,
    Relatch,
}

/// Tones of one signal.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Melody {
    /// One after the other.
    pub tones: Vec<Tone>,
    /// How long each sounds; `None` until it is stopped.
    pub each: Option<Duration>,
    /// The silence between two.
    pub gap: Duration,
    /// When the signal ends if it has not yet.
    pub limit: Option<Duration>,
    /// Towards the outside of the context.
    pub outward: bool,
    /// Into the context.
    pub inward: bool,
}

/// How long a tone sounds whose length is left to the gateway, and the silence after it.
pub(crate) const TONE_FOR: Duration = Duration::from_millis(100);

/// Understands a Signals descriptor; `digit_maps` are those of the termination and the gateway.
///
/// # Errors
/// The first signal that cannot be played.
pub(crate) fn parse(
    profile: &Profile,
    digit_maps: [&DigitMaps; 2],
    descriptor: &SignalsDescriptor,
) -> Result<Vec<Entry>> {
    let signals = descriptor.iter().map(|request| match request {
        SignalRequest::Signal(_) => 1,
        SignalRequest::List(list) => list.signals.len(),
    });
    if signals.sum::<usize>() > SIGNALS_MAX {
        return Err(error(ErrorCode::INSUFFICIENT_RESOURCES));
    }
    let mut entries: Vec<Entry> = Vec::with_capacity(descriptor.len());
    for request in descriptor {
        let entry = match request {
            SignalRequest::Signal(signal) => Entry::One(play(profile, digit_maps, signal)?),
            SignalRequest::List(list) => {
                let plays = list
                    .signals
                    .iter()
                    .map(|signal| play(profile, digit_maps, signal));
                let plays = plays.collect::<Result<Vec<Play>>>()?;
                check_list(list.id, &plays)?;
                Entry::List(list.id, plays)
            }
        };
        // A stream carries one telephone event at a time.
        if entries.iter().any(|other| other.clashes(&entry)) {
            return Err(about(ErrorCode::CANNOT_GENERATE_SIGNAL, entry.name()));
        }
        entries.push(entry);
    }
    Ok(entries)
}

impl Entry {
    /// Its signals.
    pub fn plays(&self) -> &[Play] {
        match self {
            Self::One(play) => std::slice::from_ref(play),
            Self::List(_, plays) => plays,
        }
    }

    fn name(&self) -> String {
        let first = self.plays().first();
        first.map_or_else(String::new, |play| play.signal.name.to_string())
    }

    fn clashes(&self, other: &Entry) -> bool {
        let pairs = self.plays().iter().flat_map(|one| {
            let others = other.plays().iter();
            others.map(move |two| (one, two))
        });
        pairs.into_iter().any(|(one, two)| one.clashes(two))
    }
}

impl Play {
    fn clashes(&self, other: &Play) -> bool {
        let (Some(one), Some(two)) = (self.what.sounds(), other.what.sounds()) else {
            return false;
        };
        let (here, there) = (self.signal.stream, other.signal.stream);
        let same_stream = here.is_none() || there.is_none() || here == there;
        same_stream && (one.0 && two.0 || one.1 && two.1)
    }

    /// Whether it is on this stream.
    pub fn is_on(&self, stream: StreamId) -> bool {
        self.signal.stream.is_none_or(|id| id == stream)
    }
}

impl What {
    /// Whether it sounds outward, and inward; `None` when it does not sound.
    fn sounds(&self) -> Option<(bool, bool)> {
        match self {
            Self::Latch(_) => None,
            Self::Tones(melody) => Some((melody.outward, melody.inward)),
            Self::Script(script) => script
                .is_audible()
                .then_some((script.outward, script.inward)),
        }
    }
}

/// Only the last signal of a list may go on until it is stopped (7.1.11).
fn check_list(id: u16, plays: &[Play]) -> Result<()> {
    let endless = |play: &Play| match &play.what {
        What::Tones(melody) => melody.each.is_none() && melody.limit.is_none(),
        What::Latch(_) => false,
        What::Script(script) => script.is_endless(),
    };
    if plays.iter().any(|play| matches!(play.what, What::Latch(_))) {
        return Err(about(ErrorCode::CANNOT_GENERATE_SIGNAL, "SignalList"));
    }
    match plays.split_last() {
        Some((_, before)) if !before.iter().any(endless) => Ok(()),
        _ => Err(about(
            ErrorCode::UNKNOWN_VALUE,
            format!("SignalList = {id}"),
        )),
    }
}

fn play(profile: &Profile, digit_maps: [&DigitMaps; 2], signal: &Signal) -> Result<Play> {
    let found = profile.find(Kind::Signal, &signal.name);
    let item = found.map_err(|code| about(code, &signal.name))?;
    let what = match item {
        ipnapt::LATCH => What::Latch(latch(signal)?),
        tonegen::PLAY_TONE => match profile.processes_media.then(|| one_sound(signal)) {
            Some(Some(tone)) => What::Script(Arc::new(scripts::tone(signal, tone)?)),
            _ => What::Tones(melody(signal, tone_list(signal)?)?),
        },
        item if item.package == dg::PACKAGE.name => match Tone::from_name(item.name) {
            Some(tone) => What::Tones(melody(signal, vec![tone])?),
            None => return Err(about(ErrorCode::CANNOT_GENERATE_SIGNAL, &signal.name)),
        },
        item if profile.processes_media => {
            What::Script(Arc::new(scripts::read(signal, item, digit_maps)?))
        }
        _ => return Err(about(ErrorCode::CANNOT_GENERATE_SIGNAL, &signal.name)),
    };
    for parameter in &signal.parameters {
        if item.parameter(parameter.name.as_str()).is_none() {
            return Err(about(ErrorCode::UNKNOWN_PARAMETER, &parameter.name));
        }
    }
    Ok(Play {
        signal: signal.clone(),
        what,
    })
}

fn latch(signal: &Signal) -> Result<Napt> {
    let name = ipnapt::NAPT.name;
    let Some(value) = signal.parameter(name) else {
        return match signal.parameters.first() {
            Some(other) => Err(about(ErrorCode::UNKNOWN_PARAMETER, &other.name)),
            None => Err(about(ErrorCode::MISSING_PARAMETER, name)),
        };
    };
    let value = value.as_single();
    let is = |text: &str| value.is_some_and(|value: &Value| value.is(text));
    match () {
        () if is("OFF") => Ok(Napt::Off),
        () if is("LATCH") => Ok(Napt::Latch),
        () if is("RELATCH") => Ok(Napt::Relatch),
        () => Err(about(ErrorCode::UNKNOWN_VALUE, name)),
    }
}

/// The one tone of `tonegen/pt` that is a sound and no telephone event.
fn one_sound(signal: &Signal) -> Option<&'static str> {
    match signal.parameter(tonegen::TONE_LIST.name)?.as_list() {
        [value] => scripts::sound(&value.as_str()),
        _ => None,
    }
}

/// The tones of `tonegen/pt`.
fn tone_list(signal: &Signal) -> Result<Vec<Tone>> {
    let name = tonegen::TONE_LIST.name;
    let Some(value) = signal.parameter(name) else {
        return Err(about(ErrorCode::MISSING_PARAMETER, name));
    };
    let values = value.as_list();
    if values.len() > TONES_MAX {
        return Err(error(ErrorCode::INSUFFICIENT_RESOURCES));
    }
    let domain = tonegen::TONE_LIST.domain;
    let tone = |value: &Value| match Tone::from_name(&value.as_str()) {
        Some(tone) => Ok(tone),
        // Other tones are sounds, and no telephone events.
        None if domain.admits(value) => Err(about(ErrorCode::CANNOT_GENERATE_SIGNAL, name)),
        None => Err(about(ErrorCode::UNKNOWN_VALUE, name)),
    };
    match values {
        [] => Err(about(ErrorCode::UNKNOWN_VALUE, name)),
        values => values.iter().map(tone).collect(),
    }
}

/// When tones end, by type and duration; both `dg` and `tonegen` define brief signals.
fn melody(signal: &Signal, tones: Vec<Tone>) -> Result<Melody> {
    let hundredths = |number: u16| Duration::from_millis(10 * u64::from(number));
    let duration = signal.duration.map(hundredths);
    let (each, limit) = match (signal.signal_type, duration) {
        (Some(SignalType::OnOff), _) => (None, None),
        (Some(SignalType::TimeOut), None) => {
            return Err(about(ErrorCode::MISSING_PARAMETER, "Duration"));
        }
        (Some(SignalType::TimeOut), limit) => match tones.len() {
            1 => (None, limit),
            _ => (Some(TONE_FOR), limit),
        },
        (Some(SignalType::Brief) | None, given) => (Some(given.unwrap_or(TONE_FOR)), None),
    };
    let name = tonegen::INTER_SIGNAL_DURATION.name;
    let gap = match signal.parameter(name) {
        None => TONE_FOR,
        Some(value) => {
            let ms = value.as_single().and_then(Value::as_u64);
            let ms = ms.filter(|&ms| ms <= GAP_MS_MAX);
            Duration::from_millis(ms.ok_or_else(|| about(ErrorCode::UNKNOWN_VALUE, name))?)
        }
    };
    let (outward, inward) = direction(signal, dg::DIRECTION.name)?;
    Ok(Melody {
        tones,
        each,
        gap,
        limit,
        outward,
        inward,
    })
}

/// Whether a signal goes outward, and inward: the SignalDirection of version 3 before the parameter
/// of the package.
pub(crate) fn direction(signal: &Signal, name: &str) -> Result<(bool, bool)> {
    let value = signal.parameter(name);
    let single = value.map(|value| {
        value
            .as_single()
            .filter(|value| dg::DIRECTION.domain.admits(value))
    });
    Ok(match (signal.direction, single) {
        (_, Some(None)) => return Err(about(ErrorCode::UNKNOWN_VALUE, name)),
        (None, Some(Some(value))) if value.is("int") => (false, true),
        (None, Some(Some(value))) if value.is("both") => (true, true),
        _ => signal_direction(signal),
    })
}

/// The same of a signal whose package has no parameter for it: outward unless it says otherwise.
pub(crate) fn signal_direction(signal: &Signal) -> (bool, bool) {
    match signal.direction {
        Some(SignalDirection::External) | None => (true, false),
        Some(SignalDirection::Internal) => (false, true),
        Some(SignalDirection::Both) => (true, true),
    }
}

/// The longest silence between two tones.
const GAP_MS_MAX: u64 = 10_000;

#[cfg(test)]
mod tests {
    use super::*;
    use crate::profile::{MN, TRGW};

    fn parsed(profile: &Profile, signals: &str) -> std::result::Result<Vec<Entry>, u16> {
        let actions = format!("Context = 1 {{ Modify = a {{ Signals {{ {signals} }} }} }}");
        let actions = h248::text::parse_actions(actions.as_bytes()).unwrap();
        let h248::message::Command::Modify(modify) = &actions[0].commands[0].command else {
            panic!("{signals}");
        };
        let descriptor = modify.descriptors.signals.as_ref().unwrap();
        let maps = DigitMaps::default();
        parse(profile, [&maps; 2], descriptor).map_err(|error| error.code.0)
    }

    fn melody_of(signals: &str) -> Melody {
        match &parsed(&TRGW, signals).unwrap()[0].plays()[0].what {
            What::Tones(melody) => melody.clone(),
            What::Latch(_) | What::Script(_) => panic!("{signals}"),
        }
    }

    #[test]
    fn tones_are_brief_unless_they_are_asked_for_otherwise() {
        let brief = Melody {
            tones: vec![Tone::new(5).unwrap()],
            each: Some(TONE_FOR),
            gap: TONE_FOR,
            limit: None,
            outward: true,
            inward: false,
        };
        assert_eq!(melody_of("dg/d5"), brief);
        let longer = Melody {
            each: Some(Duration::from_millis(250)),
            ..brief.clone()
        };
        assert_eq!(melody_of("dg/d5 { Duration = 25 }"), longer);
        let until = Melody {
            each: None,
            limit: Some(Duration::from_secs(1)),
            ..brief.clone()
        };
        assert_eq!(
            melody_of("dg/d5 { SignalType = TimeOut, Duration = 100 }"),
            until
        );
        let endless = Melody {
            each: None,
            ..brief.clone()
        };
        assert_eq!(
            melody_of("dg/d5 { SignalType = OnOff, Duration = 100 }"),
            endless
        );
        let inward = Melody {
            outward: false,
            inward: true,
            ..brief
        };
        assert_eq!(melody_of("dg/d5 { btd = int }"), inward);
        assert_eq!(
            melody_of("dg/d5 { SPADirection = Internal, btd = ext }"),
            inward
        );
    }

    #[test]
    fn tones_by_name_are_played_one_after_the_other() {
        let melody = melody_of("tonegen/pt { tl = [d1, ds], ind = 40 }");
        let codes: Vec<u8> = melody.tones.iter().map(|tone| tone.code()).collect();
        assert_eq!(codes, [1, 10]);
        assert_eq!(melody.gap, Duration::from_millis(40));
    }

    #[test]
    fn what_cannot_be_played_gets_its_code() {
        for (signals, code) in [
            ("x/y", 440),
            ("dg/y", 452),
            ("dg/d5 { x0001 = 1 }", 446),
            ("dg/d5 { btd = up }", 449),
            ("dg/d5 { SignalType = TimeOut }", 457),
            ("tonegen/pt", 457),
            ("tonegen/pt { tl = rt }", 513),
            ("tonegen/pt { tl = tune }", 449),
            ("tonegen/pt { tl = d1, ind = 10001 }", 449),
            ("dg/d5, dg/d6", 513),
            ("dg/d5, SignalList = 1 { dg/d6 }", 513),
            ("SignalList = 1 { ipnapt/latch { napt = LATCH } }", 513),
            (
                "SignalList = 1 { dg/d6 { SignalType = OnOff }, dg/d6 }",
                449,
            ),
            ("ipnapt/latch", 457),
            ("ipnapt/latch { napt = x }", 449),
        ] {
            assert_eq!(parsed(&TRGW, signals), Err(code), "{signals}");
        }
        assert_eq!(parsed(&MN, "cg/rt"), Err(513));
        assert!(parsed(&TRGW, "dg/d5 { Stream = 1 }, dg/d6 { Stream = 2 }").is_ok());
        assert!(parsed(&TRGW, "dg/d5, dg/d6 { btd = int }").is_ok());
    }

    #[test]
    fn there_are_so_many_signals_and_tones_and_no_more() {
        let list =
            |count: usize| format!("SignalList = 1 {{ {} }}", vec!["dg/d1"; count].join(","));
        assert!(parsed(&TRGW, &list(SIGNALS_MAX)).is_ok());
        assert_eq!(parsed(&TRGW, &list(SIGNALS_MAX + 1)), Err(510));
        let tones =
            |count: usize| format!("tonegen/pt {{ tl = [{}] }}", vec!["d1"; count].join(","));
        assert!(parsed(&TRGW, &tones(TONES_MAX)).is_ok());
        assert_eq!(parsed(&TRGW, &tones(TONES_MAX + 1)), Err(510));
    }
}
