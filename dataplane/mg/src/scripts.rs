//! From signals of media functions to their scripts: `cg`, `xcg`, `srvtn`, `an`, `aasb`, `aasdc`
//! and
//! `aasrec`.

use std::sync::Arc;
use std::time::Duration;

use h248::digit_map::DigitMap;
use h248::error::ErrorCode;
use h248::message::{DigitMapValue, Name, Signal, SignalType, Value};
use h248::package::{Item, ParameterId, aasb, aasdc, aasrec, an, cg, srvtn, tonegen, xcg};

use crate::digit_maps::{self, DigitMaps};
use crate::error::{Result, about};
use crate::performance::{Announced, Announcement, Performance, Recording};
use crate::script::{Collect, Kind, Prompts, Record, Script};
use crate::signal::{direction, signal_direction};

/// Octets of one announcement in announcement syntax.
const SYNTAX_OCTETS_MAX: usize = 1024;

/// Times that something is asked for at most.
const ATTEMPTS_MAX: u64 = 100;

/// The longest time accepted: a day.
const TIME_MAX: Duration = Duration::from_secs(24 * 3600);

/// How long a tone sounds whose duration is left to the gateway (H.248.1 E.7).
const TONE_FOR: Duration = Duration::from_secs(180);

/// Digits that are collected without a digit map: any number, until none comes for a while or the
/// number sign ends them.
const ANY_DIGITS: &str = "(x.F)";

/// Reads a signal of a media function.
///
/// # Errors
/// What cannot be done.
pub(crate) fn read(signal: &Signal, item: Item, digit_maps: [&DigitMaps; 2]) -> Result<Script> {
    match item {
        an::PLAY_FIXED => announcement(signal, an::FIXED_DIRECTION, fixed(signal)?, None),
        an::PLAY_VARIABLE => announcement(signal, an::VARIABLE_DIRECTION, variable(signal)?, None),
        aasb::PLAY => {
            let package = Some(aasb::PACKAGE.name);
            announcement(signal, aasb::DIRECTION, syntax_play(signal)?, package)
        }
        aasdc::PLAY_COLLECT => Ok(outward(
            signal,
            Kind::Collect(Box::new(collect(signal, digit_maps)?)),
        )),
        aasrec::PLAY_RECORD => {
            let (outward, inward) = signal_direction(signal);
            Ok(Script {
                kind: Kind::Record(Box::new(record(signal)?)),
                limit: limit(signal),
                outward,
                inward,
            })
        }
        item => match sound(item.name) {
            Some(name) if SOUND_PACKAGES.contains(&item.package) => tone(signal, name),
            _ => Err(about(ErrorCode::CANNOT_GENERATE_SIGNAL, &signal.name)),
        },
    }
}

/// A tone of a package, for a time or until it is stopped.
///
/// # Errors
/// A parameter that cannot be followed.
pub(crate) fn tone(signal: &Signal, name: &'static str) -> Result<Script> {
    let (outward, inward) = direction(signal, cg::DIRECTION.name)?;
    let limit = match signal.signal_type {
        Some(SignalType::OnOff) => None,
        _ => Some(duration(signal).unwrap_or(TONE_FOR)),
    };
    Ok(Script {
        kind: Kind::Play(Arc::new(Performance::Tone(name)), None),
        limit,
        outward,
        inward,
    })
}

/// The name of a tone that is a sound, whatever the case.
pub(crate) fn sound(name: &str) -> Option<&'static str> {
    let all = [&cg::PACKAGE, &xcg::PACKAGE, &srvtn::PACKAGE];
    let mut signals = all.into_iter().flat_map(|package| package.signals);
    let found = signals.find(|signal| signal.name.eq_ignore_ascii_case(name));
    found.map(|signal| signal.name)
}

const SOUND_PACKAGES: [&str; 4] = [
    cg::PACKAGE.name,
    xcg::PACKAGE.name,
    srvtn::PACKAGE.name,
    tonegen::PACKAGE.name,
];

fn duration(signal: &Signal) -> Option<Duration> {
    let hundredths = signal.duration?;
    Some(Duration::from_millis(10 * u64::from(hundredths)))
}

/// What a script's signal type and duration say of its end.
fn limit(signal: &Signal) -> Option<Duration> {
    match signal.signal_type {
        Some(SignalType::TimeOut) => duration(signal),
        _ => None,
    }
}

fn outward(signal: &Signal, kind: Kind) -> Script {
    Script {
        kind,
        limit: limit(signal),
        outward: true,
        inward: false,
    }
}

fn announcement(
    signal: &Signal,
    place: ParameterId,
    announcement: Announcement,
    package: Option<&'static str>,
) -> Result<Script> {
    let (outward, inward) = direction(signal, place.name)?;
    let announcement = match signal.signal_type {
        Some(SignalType::OnOff) => Announcement {
            cycles: None,
            ..announcement
        },
        Some(SignalType::Brief) => Announcement {
            cycles: announcement.cycles.or(Some(1)),
            ..announcement
        },
        _ => announcement,
    };
    Ok(Script {
        kind: Kind::Play(Arc::new(Performance::Announcement(announcement)), package),
        limit: limit(signal),
        outward,
        inward,
    })
}

/// `an/apf`, H.248.7.
fn fixed(signal: &Signal) -> Result<Announcement> {
    let what = Announced::Fixed {
        number: required(signal, an::NAME)?,
        variant: text(signal, an::VARIANT)?.unwrap_or_default(),
    };
    Ok(announced(what, cycles(signal, an::CYCLES)?))
}

/// `an/apv`.
fn variable(signal: &Signal) -> Result<Announcement> {
    let what = Announced::Variable {
        number: required(signal, an::NAME)?,
        variant: text(signal, an::VARIANT)?.unwrap_or_default(),
        value: required(signal, an::NUMBER)?,
        interpretation: number(signal, an::INTERPRETATION)?.unwrap_or(0),
        specific: text(signal, an::SPECIFIC)?.unwrap_or_default(),
    };
    Ok(announced(what, cycles(signal, an::CYCLES)?))
}

/// `aasb/play`, H.248.9 8.3.1.
fn syntax_play(signal: &Signal) -> Result<Announcement> {
    let missing = || about(ErrorCode::MISSING_PARAMETER, aasb::ANNOUNCEMENT.name);
    let what = Announced::Syntax(text(signal, aasb::ANNOUNCEMENT)?.ok_or_else(missing)?);
    let cycles = match signed(signal, aasb::ITERATIONS)? {
        None => Some(1),
        Some(-1) => None,
        Some(count) => Some(u32::try_from(count).map_err(|_| wrong(aasb::ITERATIONS))?),
    };
    Ok(Announcement {
        interval: time(signal, aasb::INTERVAL, TENTH)?.unwrap_or_default(),
        offset: time(signal, aasb::OFFSET, HUNDREDTH)?.unwrap_or_default(),
        volume_db: volume(signal, aasb::VOLUME)?,
        ..announced(what, cycles)
    })
}

fn announced(what: Announced, cycles: Option<u32>) -> Announcement {
    Announcement {
        what,
        cycles,
        interval: Duration::ZERO,
        offset: Duration::ZERO,
        volume_db: 0,
    }
}

/// `aasdc/playcol`, H.248.9 9.3.
fn collect(signal: &Signal, digit_maps: [&DigitMaps; 2]) -> Result<Collect> {
    Ok(Collect {
        prompts: Prompts {
            initial: text(signal, aasdc::INITIAL_PROMPT)?,
            again: text(signal, aasdc::REPROMPT)?,
            success: text(signal, aasdc::SUCCESS_ANNOUNCEMENT)?,
            failure: text(signal, aasdc::FAILURE_ANNOUNCEMENT)?,
            attempts_max: attempts(signal, aasdc::ATTEMPTS_MAX)?,
            volume_db: volume(signal, aasdc::VOLUME)?,
        },
        no_digits: text(signal, aasdc::NO_DIGITS_REPROMPT)?,
        is_interruptible: !flag(signal, aasdc::NON_INTERRUPTIBLE)?,
        keeps_digits: flag(signal, aasdc::KEEP_DIGITS)?,
        map: digit_map(signal, digit_maps)?,
    })
}

/// `aasrec/playrec`, H.248.9 10.3.
fn record(signal: &Signal) -> Result<Record> {
    let name = text(signal, aasrec::RECORDING_ID)?;
    let recording = Recording {
        name: name.ok_or_else(|| about(ErrorCode::MISSING_PARAMETER, aasrec::RECORDING_ID.name))?,
        pre_speech: time(signal, aasrec::PRE_SPEECH_TIMER, TENTH)?,
        post_speech: time(signal, aasrec::POST_SPEECH_TIMER, TENTH)?,
        length: time(signal, aasrec::RECORDING_LENGTH_TIMER, TENTH)?,
    };
    Ok(Record {
        prompts: Prompts {
            initial: text(signal, aasrec::INITIAL_PROMPT)?,
            again: text(signal, aasrec::NO_SPEECH_REPROMPT)?,
            success: text(signal, aasrec::SUCCESS_ANNOUNCEMENT)?,
            failure: text(signal, aasrec::FAILURE_ANNOUNCEMENT)?,
            attempts_max: attempts(signal, aasrec::ATTEMPTS_MAX)?,
            volume_db: volume(signal, aasrec::VOLUME)?,
        },
        recording: Arc::new(Performance::Recording(recording)),
        end_keys: text(signal, aasrec::END_KEY)?.unwrap_or_default(),
    })
}

/// A digit map by its name, or in full.
fn digit_map(signal: &Signal, digit_maps: [&DigitMaps; 2]) -> Result<Arc<DigitMap>> {
    let given = text(signal, aasdc::DIGIT_MAP)?;
    if let Some(given) = &given {
        let name = Name::new(given);
        let found = digit_maps.iter().find_map(|maps| maps.find(&name));
        if let Some(map) = found {
            return Ok(map.clone());
        }
    }
    let value = DigitMapValue {
        body: given.unwrap_or_else(|| ANY_DIGITS.to_owned()),
        ..DigitMapValue::default()
    };
    digit_maps::read(&value)
}

fn wrong(parameter: ParameterId) -> h248::message::ErrorDescriptor {
    about(ErrorCode::UNKNOWN_VALUE, parameter.name)
}

fn value(signal: &Signal, parameter: ParameterId) -> Result<Option<&Value>> {
    let Some(value) = signal.parameter(parameter.name) else {
        return Ok(None);
    };
    let value = value.as_single().ok_or_else(|| wrong(parameter))?;
    match parameter.domain.admits(value) {
        true => Ok(Some(value)),
        false => Err(wrong(parameter)),
    }
}

fn text(signal: &Signal, parameter: ParameterId) -> Result<Option<String>> {
    let value = value(signal, parameter)?;
    let text = value.map(|value| value.as_str().into_owned());
    match text {
        Some(text) if text.len() > SYNTAX_OCTETS_MAX => Err(wrong(parameter)),
        text => Ok(text.filter(|text| !text.is_empty())),
    }
}

fn signed(signal: &Signal, parameter: ParameterId) -> Result<Option<i64>> {
    let value = value(signal, parameter)?;
    let number = |value: &Value| value.as_i64().ok_or_else(|| wrong(parameter));
    value.map(number).transpose()
}

fn number(signal: &Signal, parameter: ParameterId) -> Result<Option<u32>> {
    let number = signed(signal, parameter)?;
    let number = number.map(|number| u32::try_from(number).map_err(|_| wrong(parameter)));
    number.transpose()
}

fn required(signal: &Signal, parameter: ParameterId) -> Result<u32> {
    let missing = || about(ErrorCode::MISSING_PARAMETER, parameter.name);
    number(signal, parameter)?.ok_or_else(missing)
}

/// A number of cycles, of which there is at least one.
fn cycles(signal: &Signal, parameter: ParameterId) -> Result<Option<u32>> {
    match number(signal, parameter)? {
        Some(0) => Err(wrong(parameter)),
        cycles => Ok(cycles),
    }
}

fn attempts(signal: &Signal, parameter: ParameterId) -> Result<u32> {
    match number(signal, parameter)? {
        None => Ok(1),
        Some(count) if (1..=ATTEMPTS_MAX).contains(&u64::from(count)) => Ok(count),
        Some(_) => Err(wrong(parameter)),
    }
}

fn time(signal: &Signal, parameter: ParameterId, unit: Duration) -> Result<Option<Duration>> {
    let Some(count) = number(signal, parameter)? else {
        return Ok(None);
    };
    let time = unit.checked_mul(count).filter(|time| *time <= TIME_MAX);
    time.map(Some).ok_or_else(|| wrong(parameter))
}

/// The unit of most times in H.248.9.
const TENTH: Duration = Duration::from_millis(100);

/// The unit of offsets in H.248.9.
const HUNDREDTH: Duration = Duration::from_millis(10);

fn volume(signal: &Signal, parameter: ParameterId) -> Result<i32> {
    let db = signed(signal, parameter)?.unwrap_or(0);
    let db = i32::try_from(db).ok().filter(|db| (-60..=30).contains(db));
    db.ok_or_else(|| wrong(parameter))
}

fn flag(signal: &Signal, parameter: ParameterId) -> Result<bool> {
    let value = value(signal, parameter)?;
    Ok(value.and_then(Value::as_bool).unwrap_or(false))
}
