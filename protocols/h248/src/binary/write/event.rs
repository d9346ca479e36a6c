//! Events, EventBuffer, ObservedEvents, Signals and DigitMap descriptors.

use super::super::naming;
use super::{Writer, context};
use crate::message::{
    DigitMapDescriptor, DigitMapValue, EventDigitMap, EventSpec, EventsDescriptor, NotifyBehaviour,
    ObservedEvent, ObservedEventsDescriptor, Parameter, RequestedEvent, Signal, SignalDirection,
    SignalRequest, SignalType, TimeStamp,
};
use crate::package::{Item, Kind};

impl Writer<'_> {
    /// EventsDescriptor, and with `depth` SecondEventsDescriptor.
    pub(super) fn events(&mut self, tag: u8, events: &EventsDescriptor, depth: u8) {
        self.constructed(tag, |w| {
            w.optional_integer(context(0), events.request_id.map(|id| id.0));
            w.sequences(context(1), &events.events, |w, event| {
                w.requested_event(event, depth);
            });
        });
    }

    /// RequestedEvent and SecondRequestedEvent.
    fn requested_event(&mut self, event: &RequestedEvent, depth: u8) {
        let item = self.item_name(context(0), Kind::Event, &event.name);
        self.optional_integer(context(1), event.stream.map(|stream| stream.0));
        let has_actions = event.keep_active
            || event.digit_map.is_some()
            || event.embed.is_some()
            || event.notify.is_some()
            || event.reset_events;
        if has_actions {
            self.constructed(context(2), |w| w.actions(event, depth));
        }
        self.parameters(context(3), &event.parameters, item);
    }

    /// RequestedActions and, with `depth`, SecondRequestedActions, which has no SecondEvents.
    fn actions(&mut self, event: &RequestedEvent, depth: u8) {
        self.optional_boolean(context(0), event.keep_active.then_some(true));
        match &event.digit_map {
            None => (),
            Some(EventDigitMap::Name(name)) => {
                self.constructed(context(1), |w| w.digit_map_name(context(0), name));
            }
            Some(EventDigitMap::Value(value)) => {
                self.constructed(context(1), |w| w.digit_map_value(context(1), value));
            }
        }
        let embed = event.embed.as_deref();
        let mut number = 2;
        let events = embed.and_then(|embed| embed.events.as_ref());
        if depth == 0 {
            if let Some(events) = events {
                self.events(context(number), events, depth + 1);
            }
            number += 1;
        } else if events.is_some() {
            self.refuse("embedded event with embedded events", event.name.as_str());
        }
        if let Some(signals) = embed.and_then(|embed| embed.signals.as_ref()) {
            self.signals(context(number), signals);
        }
        if let Some(notify) = &event.notify {
            self.constructed(context(number + 1), |w| w.notify_behaviour(notify, depth));
        }
        self.flag(context(number + 2), event.reset_events);
    }

    /// NotifyBehaviour.
    fn notify_behaviour(&mut self, notify: &NotifyBehaviour, depth: u8) {
        match notify {
            NotifyBehaviour::Immediate => self.octets(context(0), &[]),
            NotifyBehaviour::Never => self.octets(context(2), &[]),
            NotifyBehaviour::Regulated(embedded) => self.constructed(context(1), |w| {
                let Some(embedded) = embedded else { return };
                if let Some(events) = &embedded.events {
                    w.events(context(0), events, depth + 1);
                }
                if let Some(signals) = &embedded.signals {
                    w.signals(context(1), signals);
                }
            }),
        }
    }

    /// SEQUENCE OF EventParameter and SEQUENCE OF SigParameter.
    fn parameters(&mut self, tag: u8, parameters: &[Parameter], item: Option<&'static Item>) {
        self.sequences(tag, parameters, |w, parameter| {
            let Some((number, known)) = naming::encode_parameter(item, &parameter.name) else {
                return w.refuse("parameter without a number", parameter.name.as_str());
            };
            w.octets(context(0), &number.to_be_bytes());
            w.parm_value(&parameter.value, known.map(|known| known.domain.value));
        });
    }

    /// EventBufferDescriptor.
    pub(super) fn event_buffer(&mut self, tag: u8, buffer: &[EventSpec]) {
        self.sequences(tag, buffer, |w, event| {
            let item = w.item_name(context(0), Kind::Event, &event.name);
            w.optional_integer(context(1), event.stream.map(|stream| stream.0));
            w.parameters(context(2), &event.parameters, item);
        });
    }

    /// ObservedEventsDescriptor.
    pub(super) fn observed_events(&mut self, tag: u8, observed: &ObservedEventsDescriptor) {
        self.constructed(tag, |w| {
            w.integer(context(0), observed.request_id.0);
            w.sequences(context(1), &observed.events, Self::observed_event);
        });
    }

    /// ObservedEvent.
    fn observed_event(&mut self, event: &ObservedEvent) {
        let item = self.item_name(context(0), Kind::Event, &event.name);
        self.optional_integer(context(1), event.stream.map(|stream| stream.0));
        self.parameters(context(2), &event.parameters, item);
        if let Some(time) = event.time {
            self.time(context(3), time);
        }
    }

    /// TimeNotation.
    pub(super) fn time(&mut self, tag: u8, time: TimeStamp) {
        self.constructed(tag, |w| {
            w.octets(context(0), &eight_digits(time.date));
            w.octets(context(1), &eight_digits(time.time));
        });
    }

    /// SignalsDescriptor.
    pub(super) fn signals(&mut self, tag: u8, signals: &[SignalRequest]) {
        self.constructed(tag, |w| {
            for request in signals {
                match request {
                    SignalRequest::Signal(signal) => {
                        w.constructed(context(0), |w| w.signal(signal));
                    }
                    SignalRequest::List(list) => w.constructed(context(1), |w| {
                        // SeqSigList.
                        w.integer(context(0), list.id);
                        w.sequences(context(1), &list.signals, Self::signal);
                    }),
                }
            }
        });
    }

    /// Signal.
    fn signal(&mut self, signal: &Signal) {
        let item = self.item_name(context(0), Kind::Signal, &signal.name);
        self.optional_integer(context(1), signal.stream.map(|stream| stream.0));
        let signal_type = signal.signal_type.map(|signal_type| match signal_type {
            SignalType::Brief => 0,
            SignalType::OnOff => 1,
            SignalType::TimeOut => 2,
        });
        self.optional_integer(context(2), signal_type);
        self.optional_integer(context(3), signal.duration);
        if let Some(completion) = signal.notify_completion {
            super::super::ber::write_bits(context(4), u16::from(completion.0), self.out);
        }
        self.optional_boolean(context(5), signal.keep_active.then_some(true));
        self.parameters(context(6), &signal.parameters, item);
        let direction = signal.direction.map(|direction| match direction {
            SignalDirection::Internal => 0,
            SignalDirection::External => 1,
            SignalDirection::Both => 3,
        });
        self.optional_integer(context(7), direction);
        self.optional_integer(context(8), signal.request_id.map(|id| id.0));
        self.optional_integer(context(9), signal.intersignal_delay);
    }

    /// DigitMapDescriptor.
    pub(super) fn digit_map(&mut self, tag: u8, map: &DigitMapDescriptor) {
        self.constructed(tag, |w| {
            if let Some(name) = &map.name {
                w.digit_map_name(context(0), name);
            }
            if let Some(value) = &map.value {
                w.digit_map_value(context(1), value);
            }
        });
    }

    /// DigitMapValue.
    fn digit_map_value(&mut self, tag: u8, value: &DigitMapValue) {
        self.constructed(tag, |w| {
            w.optional_integer(context(0), value.start);
            w.optional_integer(context(1), value.short);
            w.optional_integer(context(2), value.long);
            w.octets(context(3), value.body.as_bytes());
            w.optional_integer(context(4), value.duration);
        });
    }
}

fn eight_digits(mut number: u32) -> [u8; 8] {
    let mut digits = [b'0'; 8];
    for digit in digits.iter_mut().rev() {
        *digit += (number % 10) as u8;
        number /= 10;
    }
    digits
}
