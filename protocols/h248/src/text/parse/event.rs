//! Events, EventBuffer, ObservedEvents, Signals and DigitMap descriptors.

use super::super::EMBED_DEPTH_MAX;
use super::super::scan::{Parse, Scanner};
use super::super::token as t;
use super::{
    block, equal_number, is_at_relation, items, name_from, number, once, parm_value, pkgd_name,
    pkgd_name_from, request_id, stream_id,
};
use crate::error::ErrorCode;
use crate::message::{
    DigitMapDescriptor, DigitMapValue, Embedded, EventBufferDescriptor, EventDigitMap, EventSpec,
    EventsDescriptor, Name, NotifyBehaviour, NotifyCompletion, ObservedEvent,
    ObservedEventsDescriptor, Parameter, RequestedEvent, Signal, SignalDirection, SignalList,
    SignalRequest, SignalType, SignalsDescriptor, StreamId, TimeStamp,
};

/// eventsDescriptor behind its token.
pub(super) fn events(s: &mut Scanner<'_>) -> Parse<EventsDescriptor> {
    if !s.take(b'=') {
        return Ok(EventsDescriptor::default());
    }
    let request_id = Some(request_id(s)?);
    Ok(EventsDescriptor {
        request_id,
        events: block(s, requested_event)?,
    })
}

fn requested_event(s: &mut Scanner<'_>) -> Parse<RequestedEvent> {
    let mut event = RequestedEvent::new(pkgd_name(s)?);
    if s.take(b'{') {
        items(s, b'}', |s| event_parameter(s, &mut event))?;
    }
    Ok(event)
}

fn event_parameter(s: &mut Scanner<'_>, event: &mut RequestedEvent) -> Parse<()> {
    let at = s.offset();
    let word = s.word();
    let twice = ErrorCode::PROPERTY_TWICE;
    if t::STREAM.is(word) && s.take(b'=') {
        let stream = stream_id(s)?;
        once(s, at, &mut event.stream, stream, twice)
    } else if t::DIGIT_MAP.is(word) {
        let map = event_digit_map(s)?;
        once(s, at, &mut event.digit_map, map, twice)
    } else if t::EMBED.is(word) && s.peek() == Some(b'{') {
        let embedded = Box::new(embedded(s)?);
        once(s, at, &mut event.embed, embedded, twice)
    } else if is_at_relation(s) {
        add_parameter(s, at, word, &mut event.parameters)
    } else if t::KEEP_ACTIVE.is(word) {
        event.keep_active = true;
        Ok(())
    } else if t::RESET_EVENTS.is(word) {
        event.reset_events = true;
        Ok(())
    } else if t::NOTIFY_IMMEDIATE.is(word) {
        once(s, at, &mut event.notify, NotifyBehaviour::Immediate, twice)
    } else if t::NEVER_NOTIFY.is(word) {
        once(s, at, &mut event.notify, NotifyBehaviour::Never, twice)
    } else if t::NOTIFY_REGULATED.is(word) {
        let embed = regulated(s)?;
        once(
            s,
            at,
            &mut event.notify,
            NotifyBehaviour::Regulated(embed),
            twice,
        )
    } else {
        s.error_at(at, ErrorCode::UNKNOWN_PARAMETER, "an event parameter")
    }
}

/// `[{ Embed { … } }]`.
fn regulated(s: &mut Scanner<'_>) -> Parse<Option<Box<Embedded>>> {
    if !s.take(b'{') {
        return Ok(None);
    }
    let at = s.offset();
    if !t::EMBED.is(s.word()) {
        return s.error_at(at, s.scope, "Embed");
    }
    let embedded = embedded(s)?;
    s.expect(b'}', "}")?;
    Ok(Some(Box::new(embedded)))
}

/// embedWithSig, embedNoSig and embedSig. Embedding in one another ends at [`EMBED_DEPTH_MAX`].
fn embedded(s: &mut Scanner<'_>) -> Parse<Embedded> {
    if s.depth == EMBED_DEPTH_MAX {
        return s.error("fewer embedded descriptors");
    }
    s.depth += 1;
    let mut embedded = Embedded::default();
    s.expect(b'{', "{")?;
    items(s, b'}', |s| {
        let at = s.offset();
        let word = s.word();
        if t::SIGNALS.is(word) {
            let signals = signals(s)?;
            once(
                s,
                at,
                &mut embedded.signals,
                signals,
                ErrorCode::DESCRIPTOR_TWICE,
            )
        } else if t::EVENTS.is(word) {
            let events = events(s)?;
            once(
                s,
                at,
                &mut embedded.events,
                events,
                ErrorCode::DESCRIPTOR_TWICE,
            )
        } else {
            s.error_at(
                at,
                super::command::descriptor_error(word),
                "Signals or Events",
            )
        }
    })?;
    s.depth -= 1;
    Ok(embedded)
}

/// eventBufferDescriptor behind its token.
pub(super) fn event_buffer(s: &mut Scanner<'_>) -> Parse<EventBufferDescriptor> {
    if s.peek() != Some(b'{') {
        return Ok(Vec::new());
    }
    block(s, |s| {
        let name = pkgd_name(s)?;
        let (stream, parameters) = observed_parameters(s)?;
        Ok(EventSpec {
            name,
            stream,
            parameters,
        })
    })
}

/// observedEventsDescriptor behind its token.
pub(super) fn observed_events(s: &mut Scanner<'_>) -> Parse<ObservedEventsDescriptor> {
    s.expect(b'=', "= and a request number")?;
    let request_id = request_id(s)?;
    let events = block(s, |s| {
        let mut at = s.offset();
        let mut word = s.word();
        let mut time = None;
        if s.take(b':') {
            time = Some(time_from(s, at, word)?);
            at = s.offset();
            word = s.word();
        }
        let name = pkgd_name_from(s, at, word, s.scope)?;
        let (stream, parameters) = observed_parameters(s)?;
        Ok(ObservedEvent {
            name,
            stream,
            time,
            parameters,
        })
    })?;
    Ok(ObservedEventsDescriptor { request_id, events })
}

fn observed_parameters(s: &mut Scanner<'_>) -> Parse<(Option<StreamId>, Vec<Parameter>)> {
    let (mut stream, mut parameters) = (None, Vec::new());
    if s.take(b'{') {
        items(s, b'}', |s| {
            let at = s.offset();
            let word = s.word();
            if t::STREAM.is(word) && s.take(b'=') {
                let id = stream_id(s)?;
                return once(s, at, &mut stream, id, ErrorCode::PROPERTY_TWICE);
            }
            add_parameter(s, at, word, &mut parameters)
        })?;
    }
    Ok((stream, parameters))
}

fn add_parameter(
    s: &mut Scanner<'_>,
    at: usize,
    word: &[u8],
    list: &mut Vec<Parameter>,
) -> Parse<()> {
    let name = name_from(s, at, word)?;
    let value = parm_value(s)?;
    if list.iter().any(|other| other.name == name) {
        return s.error_at(at, ErrorCode::PROPERTY_TWICE, "each parameter once");
    }
    list.push(Parameter { name, value });
    Ok(())
}

/// TimeStamp.
pub(super) fn time_from(s: &Scanner<'_>, at: usize, word: &[u8]) -> Parse<TimeStamp> {
    match time(word) {
        Some(time) => Ok(time),
        None => s.error_at(at, s.scope, "a time as yyyymmddThhmmssss"),
    }
}

pub(super) fn time(word: &[u8]) -> Option<TimeStamp> {
    if word.len() != 17 || !word[8].eq_ignore_ascii_case(&b'T') {
        return None;
    }
    let date = number(&word[..8], 99_999_999)?;
    let time = number(&word[9..], 99_999_999)?;
    Some(TimeStamp { date, time })
}

/// signalsDescriptor behind its token.
pub(super) fn signals(s: &mut Scanner<'_>) -> Parse<SignalsDescriptor> {
    if s.peek() != Some(b'{') {
        return Ok(Vec::new());
    }
    // Version 1 wrote the empty descriptor as `Signals{}`.
    s.take(b'{');
    if s.take(b'}') {
        return Ok(Vec::new());
    }
    items(s, b'}', signal_request)
}

pub(super) fn signal_request(s: &mut Scanner<'_>) -> Parse<SignalRequest> {
    let at = s.offset();
    let word = s.word();
    if t::SIGNAL_LIST.is(word) {
        let id = equal_number(s, u32::from(u16::MAX), "a signal list number")? as u16;
        let signals = block(s, |s| {
            let at = s.offset();
            let word = s.word();
            signal(s, at, word)
        })?;
        return Ok(SignalRequest::List(SignalList { id, signals }));
    }
    Ok(SignalRequest::Signal(signal(s, at, word)?))
}

pub(super) fn signal(s: &mut Scanner<'_>, at: usize, word: &[u8]) -> Parse<Signal> {
    let mut signal = Signal::new(pkgd_name_from(s, at, word, s.scope)?);
    if s.take(b'{') {
        items(s, b'}', |s| signal_parameter(s, &mut signal))?;
    }
    Ok(signal)
}

fn signal_parameter(s: &mut Scanner<'_>, signal: &mut Signal) -> Parse<()> {
    let at = s.offset();
    let word = s.word();
    let twice = ErrorCode::PROPERTY_TWICE;
    let hundredths = "a number up to 65535";
    if !is_at_relation(s) {
        if !t::KEEP_ACTIVE.is(word) {
            return s.error_at(at, ErrorCode::UNKNOWN_PARAMETER, "a signal parameter");
        }
        signal.keep_active = true;
        Ok(())
    } else if t::STREAM.is(word) {
        s.expect(b'=', "=")?;
        let stream = stream_id(s)?;
        once(s, at, &mut signal.stream, stream, twice)
    } else if t::SIGNAL_TYPE.is(word) {
        let signal_type = signal_type(s)?;
        once(s, at, &mut signal.signal_type, signal_type, twice)
    } else if t::DURATION.is(word) {
        let duration = equal_number(s, u32::from(u16::MAX), hundredths)? as u16;
        once(s, at, &mut signal.duration, duration, twice)
    } else if t::NOTIFY_COMPLETION.is(word) {
        let completion = notify_completion(s)?;
        once(s, at, &mut signal.notify_completion, completion, twice)
    } else if t::DIRECTION.is(word) {
        let direction = direction(s)?;
        once(s, at, &mut signal.direction, direction, twice)
    } else if t::REQUEST_ID.is(word) {
        s.expect(b'=', "=")?;
        let request = request_id(s)?;
        once(s, at, &mut signal.request_id, request, twice)
    } else if t::INTERSIGNAL_DELAY.is(word) {
        let delay = equal_number(s, u32::from(u16::MAX), hundredths)? as u16;
        once(s, at, &mut signal.intersignal_delay, delay, twice)
    } else {
        add_parameter(s, at, word, &mut signal.parameters)
    }
}

fn signal_type(s: &mut Scanner<'_>) -> Parse<SignalType> {
    s.expect(b'=', "=")?;
    let at = s.offset();
    match s.word() {
        word if t::ON_OFF.is(word) => Ok(SignalType::OnOff),
        word if t::TIME_OUT.is(word) => Ok(SignalType::TimeOut),
        word if t::BRIEF.is(word) => Ok(SignalType::Brief),
        _ => s.error_at(at, ErrorCode::UNKNOWN_VALUE, "OnOff, TimeOut or Brief"),
    }
}

fn direction(s: &mut Scanner<'_>) -> Parse<SignalDirection> {
    s.expect(b'=', "=")?;
    let at = s.offset();
    match s.word() {
        word if t::EXTERNAL.is(word) => Ok(SignalDirection::External),
        word if t::INTERNAL.is(word) => Ok(SignalDirection::Internal),
        word if t::BOTH.is(word) => Ok(SignalDirection::Both),
        _ => s.error_at(at, ErrorCode::UNKNOWN_VALUE, "External, Internal or Both"),
    }
}

fn notify_completion(s: &mut Scanner<'_>) -> Parse<NotifyCompletion> {
    s.expect(b'=', "=")?;
    let mut completion = NotifyCompletion::default();
    s.expect(b'{', "{")?;
    items(s, b'}', |s| {
        let at = s.offset();
        let reason = match s.word() {
            word if t::TIME_OUT.is(word) => NotifyCompletion::TIME_OUT,
            word if t::INTERRUPT_BY_EVENT.is(word) => NotifyCompletion::EVENT,
            word if t::INTERRUPT_BY_SIGNALS.is(word) => NotifyCompletion::SIGNALS,
            word if t::OTHER_REASON.is(word) => NotifyCompletion::OTHER,
            word if t::ITERATION.is(word) => NotifyCompletion::ITERATION,
            _ => return s.error_at(at, ErrorCode::UNKNOWN_VALUE, "a reason to notify"),
        };
        completion = completion.with(reason);
        Ok(())
    })?;
    Ok(completion)
}

/// digitMapDescriptor behind its token: `= name`, `= name { map }` or `= { map }`.
pub(super) fn digit_map(s: &mut Scanner<'_>) -> Parse<DigitMapDescriptor> {
    let equal = s.take(b'=');
    let name = if equal && s.peek() != Some(b'{') {
        Some(map_name(s)?)
    } else {
        None
    };
    let value = if s.peek() == Some(b'{') {
        Some(map_value(s)?)
    } else {
        None
    };
    if name.is_none() && value.is_none() {
        return s.error("= and a digit map");
    }
    Ok(DigitMapDescriptor { name, value })
}

/// eventDM behind its token.
fn event_digit_map(s: &mut Scanner<'_>) -> Parse<EventDigitMap> {
    let map = digit_map(s)?;
    match map.value {
        Some(value) => Ok(EventDigitMap::Value(value)),
        None => Ok(EventDigitMap::Name(map.name.unwrap_or_default())),
    }
}

fn map_name(s: &mut Scanner<'_>) -> Parse<Name> {
    let at = s.offset();
    let word = s.word();
    name_from(s, at, word)
}

/// digitMapValue in its braces. The map is kept without white space.
fn map_value(s: &mut Scanner<'_>) -> Parse<DigitMapValue> {
    s.expect(b'{', "{")?;
    let mut map = DigitMapValue::default();
    loop {
        let at = s.offset();
        let letter = s.word().to_ascii_uppercase();
        if letter.len() != 1 || !s.take(b':') {
            s.go_to(at);
            break;
        }
        let slot = match letter[0] {
            b'T' => &mut map.start,
            b'S' => &mut map.short,
            b'L' => &mut map.long,
            b'Z' => &mut map.duration,
            _ => return s.error_at(at, s.scope, "T:, S:, L: or Z:"),
        };
        let timer_at = s.offset();
        match number(s.word(), 99) {
            Some(timer) => once(s, at, slot, timer as u8, s.scope)?,
            None => return s.error_at(timer_at, s.scope, "a timer from 0 to 99"),
        }
        s.expect(b',', ",")?;
    }
    let at = s.offset();
    let body = s.until(b"}");
    let is_map = |octet: &u8| octet.is_ascii_alphanumeric() || b"()[]|-.".contains(octet);
    let plain: Vec<u8> = body
        .iter()
        .copied()
        .filter(|o| !o.is_ascii_whitespace())
        .collect();
    if plain.is_empty() || !plain.iter().all(is_map) {
        return s.error_at(at, s.scope, "a digit map");
    }
    s.expect(b'}', "}")?;
    map.body = String::from_utf8_lossy(&plain).into_owned();
    Ok(map)
}
