//! Events that a gateway is asked to detect: Events descriptor, H.248.1 7.1.9.

use std::time::Duration;

use base::Instant;
use h248::error::ErrorCode;
use h248::message::{EventsDescriptor, NotifyBehaviour, RequestedEvent, StreamId, Value};
use h248::package::{adid, g, hangterm, it};

use crate::error::{Result, about, error};
use crate::profile::{Kind, Profile};

/// An event asked for, as understood.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Watch {
    /// `adid/ipstop`: no packet passes for the time.
    IpStop {
        stream: Option<StreamId>,
        time: Duration,
        direction: Direction,
        /// When it was notified last: once for each silence.
        notified_at: Option<Instant>,
    },
    /// `hangterm/thb`: no command names the termination for the time.
    Heartbeat(Duration),
    /// `it/ito`: no message comes from the MGC for the time.
    InactivityTimeout(Duration),
    /// `g/sc`: a signal ended.
    SignalCompletion,
    /// What nothing at this gateway leads to, or is not to be notified.
    Quiet,
}

/// Which way packets are to have stopped, seen from the termination.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Direction {
    In,
    Out,
    Both,
}

/// Understands an Events descriptor of ROOT or of another termination.
///
/// # Errors
/// The first event that cannot be detected.
pub(crate) fn parse(
    profile: &Profile,
    descriptor: &EventsDescriptor,
    is_root: bool,
) -> Result<Vec<Watch>> {
    if descriptor.events.len() > profile.events_max {
        return Err(error(ErrorCode::INSUFFICIENT_RESOURCES));
    }
    let events = descriptor.events.iter();
    events
        .map(|event| parse_event(profile, event, is_root))
        .collect()
}

fn parse_event(profile: &Profile, event: &RequestedEvent, is_root: bool) -> Result<Watch> {
    let item = profile
        .find(Kind::Event, &event.name)
        .map_err(|code| about(code, &event.name))?;
    let unequipped = || Err(about(ErrorCode::CANNOT_DETECT_EVENT, &event.name));
    if event.embed.is_some() || event.digit_map.is_some() {
        return unequipped();
    }
    for parameter in &event.parameters {
        let Some(known) = item.parameter(parameter.name.as_str()) else {
            return Err(about(ErrorCode::UNKNOWN_PARAMETER, &parameter.name));
        };
        let mut values = parameter.value.as_list().iter();
        if !values.all(|value| known.domain.admits(value)) {
            return Err(about(ErrorCode::UNKNOWN_VALUE, &parameter.name));
        }
    }
    if (item == it::INACTIVITY_TIMEOUT) != is_root {
        return unequipped();
    }
    let watch = match item {
        adid::IP_STOP => Watch::IpStop {
            stream: event.stream,
            time: Duration::from_secs(number(event, adid::DETECTION_TIME.name, IP_STOP_S)?.max(1)),
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
        g::SIGNAL_COMPLETION => Watch::SignalCompletion,
        _ => Watch::Quiet,
    };
    match event.notify {
        Some(NotifyBehaviour::Never) => Ok(Watch::Quiet),
        _ => Ok(watch),
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
        match parse(&TRGW, &events(name, parameters), root) {
            Ok(watches) => Ok(watches[0]),
            Err(error) => Err(error.code.0),
        }
    }

    #[test]
    fn events_are_understood_with_their_defaults() {
        let both = Watch::IpStop {
            stream: None,
            time: Duration::from_secs(5),
            direction: Direction::Both,
            notified_at: None,
        };
        assert_eq!(parsed("adid/ipstop", &[], false), Ok(both));
        let given = Watch::IpStop {
            stream: None,
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
