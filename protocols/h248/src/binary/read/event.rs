//! Events, EventBuffer, ObservedEvents, Signals and DigitMap descriptors.

use super::super::ber::{Element, Fields, Read};
use super::super::naming;
use super::{Reader, ia5, list, request_id, sequences, stream_id};
use crate::encoding::EMBED_DEPTH_MAX;
use crate::error::ErrorCode;
use crate::message::{
    DigitMapDescriptor, DigitMapValue, Embedded, EventBufferDescriptor, EventDigitMap, EventSpec,
    EventsDescriptor, NotifyBehaviour, NotifyCompletion, ObservedEvent, ObservedEventsDescriptor,
    Parameter, RequestedEvent, Signal, SignalDirection, SignalList, SignalRequest, SignalType,
    SignalsDescriptor, TimeStamp,
};
use crate::package::{Item, Kind};

impl Reader<'_> {
    /// EventsDescriptor, and with `depth` SecondEventsDescriptor. Embedding in one another ends at
    /// [`EMBED_DEPTH_MAX`].
    pub(super) fn events(self, element: &Element<'_>, depth: u8) -> Read<EventsDescriptor> {
        if depth > EMBED_DEPTH_MAX {
            return element.fault("fewer embedded descriptors");
        }
        let mut fields = Fields::of(element)?;
        let request_id = fields.optional(0, |element| request_id(&element))?;
        let events = fields.required(1, "events", |element| {
            sequences(&element, |element| self.requested_event(&element, depth))
        })?;
        fields.end()?;
        if !events.is_empty() && request_id.is_none() {
            return element.fault("a request number");
        }
        Ok(EventsDescriptor { request_id, events })
    }

    /// RequestedEvent and SecondRequestedEvent.
    fn requested_event(self, element: &Element<'_>, depth: u8) -> Read<RequestedEvent> {
        let mut fields = Fields::of(element)?;
        let (name, item) = fields.required(0, "an event", |element| {
            naming::decode_item(Kind::Event, &element)
        })?;
        let mut event = RequestedEvent::new(name);
        event.stream = fields.optional(1, |element| stream_id(&element))?;
        fields.optional(2, |element| self.actions(&element, depth, &mut event))?;
        event.parameters = fields.required(3, "parameters", |e| self.parameters(&e, item))?;
        fields.end()?;
        Ok(event)
    }

    /// RequestedActions and, with `depth`, SecondRequestedActions, which has no SecondEvents.
    fn actions(self, element: &Element<'_>, depth: u8, event: &mut RequestedEvent) -> Read<()> {
        let mut fields = Fields::of(element)?;
        event.keep_active = fields.optional(0, |e| e.boolean())?.unwrap_or_default();
        event.digit_map = fields.optional(1, |element| self.event_digit_map(&element))?;
        let mut number = 2;
        let mut events = None;
        if depth == 0 {
            events = fields.optional(number, |element| self.events(&element, depth + 1))?;
            number += 1;
        }
        let signals = fields.optional(number, |element| self.signals(&element))?;
        event.notify = fields.optional(number + 1, |e| self.notify_behaviour(&e, depth))?;
        event.reset_events = fields.flag(number + 2)?;
        fields.end()?;
        if signals.is_some() || events.is_some() {
            event.embed = Some(Box::new(Embedded { signals, events }));
        }
        Ok(())
    }

    /// NotifyBehaviour.
    fn notify_behaviour(self, element: &Element<'_>, depth: u8) -> Read<NotifyBehaviour> {
        let behaviour = element.choice()?;
        match behaviour.number() {
            Some(0) => Ok(NotifyBehaviour::Immediate),
            Some(1) => {
                // RegulatedEmbeddedDescriptor.
                let mut fields = Fields::of(&behaviour)?;
                let events = fields.optional(0, |element| self.events(&element, depth + 1))?;
                let signals = fields.optional(1, |element| self.signals(&element))?;
                fields.end()?;
                let is_empty = events.is_none() && signals.is_none();
                let embedded = (!is_empty).then(|| Box::new(Embedded { signals, events }));
                Ok(NotifyBehaviour::Regulated(embedded))
            }
            Some(2) => Ok(NotifyBehaviour::Never),
            _ => behaviour.fault_with(ErrorCode::UNKNOWN_VALUE, "a way to notify"),
        }
    }

    /// EventDM.
    fn event_digit_map(self, element: &Element<'_>) -> Read<EventDigitMap> {
        let map = element.choice()?;
        match map.number() {
            Some(0) => {
                let number = naming::two_octets(&map)?;
                Ok(EventDigitMap::Name(self.naming.decode_digit_map(number)))
            }
            Some(1) => digit_map_value(&map).map(EventDigitMap::Value),
            _ => map.fault("a name or a digit map"),
        }
    }

    /// SEQUENCE OF EventParameter and SEQUENCE OF SigParameter, each parameter at most once.
    fn parameters(
        self,
        element: &Element<'_>,
        item: Option<&'static Item>,
    ) -> Read<Vec<Parameter>> {
        let mut parameters: Vec<Parameter> = Vec::new();
        sequences(element, |element| {
            let mut fields = Fields::of(&element)?;
            let (name, known) = fields.required(0, "a name", |element| {
                naming::decode_parameter(item, &element)
            })?;
            if parameters.iter().any(|other| other.name == name) {
                return element.fault_with(ErrorCode::PROPERTY_TWICE, "each parameter once");
            }
            let value = self.parm_value(&mut fields, known.map(|known| known.domain.value))?;
            fields.end()?;
            parameters.push(Parameter { name, value });
            Ok(())
        })?;
        Ok(parameters)
    }

    /// EventBufferDescriptor.
    pub(super) fn event_buffer(self, element: &Element<'_>) -> Read<EventBufferDescriptor> {
        sequences(element, |element| {
            let mut fields = Fields::of(&element)?;
            let (name, item) = fields.required(0, "an event", |element| {
                naming::decode_item(Kind::Event, &element)
            })?;
            let stream = fields.optional(1, |element| stream_id(&element))?;
            let parameters = fields.required(2, "parameters", |e| self.parameters(&e, item))?;
            fields.end()?;
            Ok(EventSpec {
                name,
                stream,
                parameters,
            })
        })
    }

    /// ObservedEventsDescriptor.
    pub(super) fn observed_events(self, element: &Element<'_>) -> Read<ObservedEventsDescriptor> {
        let mut fields = Fields::of(element)?;
        let request_id = fields.required(0, "a request number", |e| request_id(&e))?;
        let events = fields.required(1, "events", |element| {
            sequences(&element, |element| self.observed_event(&element))
        })?;
        fields.end()?;
        Ok(ObservedEventsDescriptor { request_id, events })
    }

    /// ObservedEvent.
    fn observed_event(self, element: &Element<'_>) -> Read<ObservedEvent> {
        let mut fields = Fields::of(element)?;
        let (name, item) = fields.required(0, "an event", |element| {
            naming::decode_item(Kind::Event, &element)
        })?;
        let stream = fields.optional(1, |element| stream_id(&element))?;
        let parameters = fields.required(2, "parameters", |e| self.parameters(&e, item))?;
        let time = fields.optional(3, |element| time(&element))?;
        fields.end()?;
        Ok(ObservedEvent {
            name,
            stream,
            time,
            parameters,
        })
    }

    /// SignalsDescriptor.
    pub(super) fn signals(self, element: &Element<'_>) -> Read<SignalsDescriptor> {
        list(element, None, |element| match element.number() {
            Some(0) => self.signal(&element).map(SignalRequest::Signal),
            Some(1) => {
                // SeqSigList.
                let mut fields = Fields::of(&element)?;
                let id = fields.required(0, "a number", |element| element.u16())?;
                let signals = fields.required(1, "signals", |element| {
                    sequences(&element, |element| self.signal(&element))
                })?;
                fields.end()?;
                Ok(SignalRequest::List(SignalList { id, signals }))
            }
            _ => element.fault("a signal or a signal list"),
        })
    }

    /// Signal.
    fn signal(self, element: &Element<'_>) -> Read<Signal> {
        let mut fields = Fields::of(element)?;
        let (name, item) = fields.required(0, "a signal", |element| {
            naming::decode_item(Kind::Signal, &element)
        })?;
        let mut signal = Signal::new(name);
        signal.stream = fields.optional(1, |element| stream_id(&element))?;
        signal.signal_type = fields.optional(2, |element| signal_type(&element))?;
        signal.duration = fields.optional(3, |element| element.u16())?;
        signal.notify_completion = fields.optional(4, |element| {
            // The bits of A.2 are those of the abstract value; further ones are extensions.
            Ok(NotifyCompletion((element.bits()? & 0x1f) as u8))
        })?;
        signal.keep_active = fields.optional(5, |e| e.boolean())?.unwrap_or_default();
        signal.parameters = fields.required(6, "parameters", |e| self.parameters(&e, item))?;
        signal.direction = fields.optional(7, |element| direction(&element))?;
        signal.request_id = fields.optional(8, |element| request_id(&element))?;
        signal.intersignal_delay = fields.optional(9, |element| element.u16())?;
        fields.end()?;
        Ok(signal)
    }

    /// DigitMapDescriptor.
    pub(super) fn digit_map(self, element: &Element<'_>) -> Read<DigitMapDescriptor> {
        let mut fields = Fields::of(element)?;
        let name = fields.optional(0, |element| {
            let number = naming::two_octets(&element)?;
            Ok(self.naming.decode_digit_map(number))
        })?;
        let value = fields.optional(1, |element| digit_map_value(&element))?;
        fields.end()?;
        if name.is_none() && value.is_none() {
            return element.fault("a digit map");
        }
        Ok(DigitMapDescriptor { name, value })
    }
}

/// SignalType.
fn signal_type(element: &Element<'_>) -> Read<SignalType> {
    match element.u32()? {
        0 => Ok(SignalType::Brief),
        1 => Ok(SignalType::OnOff),
        2 => Ok(SignalType::TimeOut),
        _ => element.fault_with(ErrorCode::UNKNOWN_VALUE, "a signal type"),
    }
}

/// SignalDirection. Both is 3; 2 is what some write.
fn direction(element: &Element<'_>) -> Read<SignalDirection> {
    match element.u32()? {
        0 => Ok(SignalDirection::Internal),
        1 => Ok(SignalDirection::External),
        2 | 3 => Ok(SignalDirection::Both),
        _ => element.fault_with(ErrorCode::UNKNOWN_VALUE, "a direction"),
    }
}

/// DigitMapValue. The map is kept without white space.
fn digit_map_value(element: &Element<'_>) -> Read<DigitMapValue> {
    let mut fields = Fields::of(element)?;
    let start = fields.optional(0, |element| element.u8(99))?;
    let short = fields.optional(1, |element| element.u8(99))?;
    let long = fields.optional(2, |element| element.u8(99))?;
    let body = fields.required(3, "a digit map", |element| {
        let mut body = ia5(&element)?;
        body.retain(|c| !c.is_ascii_whitespace());
        let is_map = |c: char| c.is_ascii_alphanumeric() || "()[]|-.".contains(c);
        if body.is_empty() || !body.chars().all(is_map) {
            return element.fault("a digit map");
        }
        Ok(body)
    })?;
    let duration = fields.optional(4, |element| element.u8(99))?;
    fields.end()?;
    Ok(DigitMapValue {
        start,
        short,
        long,
        duration,
        body,
    })
}

/// TimeNotation.
pub(super) fn time(element: &Element<'_>) -> Read<TimeStamp> {
    fn digits(element: Element<'_>) -> Read<u32> {
        let string = element.string()?;
        if string.len() != 8 || !string.iter().all(u8::is_ascii_digit) {
            return element.fault("eight digits");
        }
        Ok(string
            .iter()
            .fold(0, |number, digit| number * 10 + u32::from(digit - b'0')))
    }
    let mut fields = Fields::of(element)?;
    let date = fields.required(0, "a date", digits)?;
    let time = fields.required(1, "a time", digits)?;
    fields.end()?;
    Ok(TimeStamp { date, time })
}
