//! Descriptors but Audit and ServiceChange.

use super::super::Style;
use super::super::token as t;
use super::super::token::Token;
use super::Writer;
use crate::message::{
    DigitMapDescriptor, DigitMapValue, Embedded, EventBufferControl, EventDigitMap, EventSpec,
    EventsDescriptor, LocalControl, MediaDescriptor, ModemDescriptor, MuxDescriptor,
    NotifyBehaviour, NotifyCompletion, ObservedEventsDescriptor, OctetString, PackagesItem,
    Parameter, RequestedEvent, ServiceState, Signal, SignalDirection, SignalRequest, SignalType,
    Statistic, StatisticValue, StreamId, StreamMode, StreamParms, Streams, TerminationState,
    TimeStamp, Value,
};

impl Writer<'_> {
    // Media.

    pub(super) fn media(&mut self, media: &MediaDescriptor) {
        self.token(t::MEDIA);
        let has_state = media
            .termination_state
            .as_ref()
            .is_some_and(has_state_content);
        let has_streams = match &media.streams {
            Streams::None => false,
            Streams::One(parms) => has_content(parms),
            Streams::Many(streams) => streams.iter().any(|stream| has_content(&stream.parms)),
        };
        if !has_state && !has_streams {
            return;
        }
        self.block(|w| {
            if let Some(state) = &media.termination_state {
                w.termination_state(state);
            }
            match &media.streams {
                Streams::None => (),
                Streams::One(parms) => w.stream_parms(parms),
                Streams::Many(streams) => {
                    for stream in streams.iter().filter(|stream| has_content(&stream.parms)) {
                        w.item();
                        w.named(t::STREAM);
                        w.number(stream.id.0);
                        w.block(|w| w.stream_parms(&stream.parms));
                    }
                }
            }
        });
    }

    fn termination_state(&mut self, state: &TerminationState) {
        if !has_state_content(state) {
            return;
        }
        self.item();
        self.token(t::TERMINATION_STATE);
        self.block(|w| {
            w.properties(&state.properties);
            if let Some(control) = state.event_buffer {
                w.item();
                let value = match control {
                    EventBufferControl::Off => t::OFF,
                    EventBufferControl::LockStep => t::LOCK_STEP,
                };
                w.pair(t::BUFFER, value);
            }
            if let Some(service) = state.service_state {
                w.item();
                w.named(t::SERVICE_STATES);
                w.service_state(service);
            }
        });
    }

    pub(super) fn service_state(&mut self, state: ServiceState) {
        self.token(match state {
            ServiceState::Test => t::TEST,
            ServiceState::OutOfService => t::OUT_OF_SERVICE,
            ServiceState::InService => t::IN_SERVICE,
        });
    }

    fn stream_parms(&mut self, parms: &StreamParms) {
        if let Some(control) = &parms.local_control {
            self.local_control(control);
        }
        self.octet_descriptor(t::LOCAL, parms.local.as_ref());
        self.octet_descriptor(t::REMOTE, parms.remote.as_ref());
        if let Some(statistics) = &parms.statistics {
            self.item();
            self.statistics(statistics);
        }
    }

    fn local_control(&mut self, control: &LocalControl) {
        if !has_control_content(control) {
            return;
        }
        self.item();
        self.token(t::LOCAL_CONTROL);
        self.block(|w| {
            if let Some(mode) = control.mode {
                w.item();
                w.named(t::MODE);
                w.mode(mode);
            }
            if let Some(on) = control.reserve_value {
                w.item();
                w.on_off(t::RESERVED_VALUE, on);
            }
            if let Some(on) = control.reserve_group {
                w.item();
                w.on_off(t::RESERVED_GROUP, on);
            }
            w.properties(&control.properties);
        });
    }

    pub(super) fn mode(&mut self, mode: StreamMode) {
        self.token(match mode {
            StreamMode::SendOnly => t::SEND_ONLY,
            StreamMode::ReceiveOnly => t::RECEIVE_ONLY,
            StreamMode::SendReceive => t::SEND_RECEIVE,
            StreamMode::Inactive => t::INACTIVE,
            StreamMode::Loopback => t::LOOPBACK,
        });
    }

    /// Local or Remote. A backslash at the end must not escape the brace, so a space goes between.
    pub(super) fn octet_descriptor(&mut self, token: Token, octets: Option<&OctetString>) {
        let Some(octets) = octets else { return };
        self.item();
        self.token(token);
        if self.style == Style::Pretty {
            self.octets(b" ");
        }
        self.octets(b"{");
        if !octets.is_empty() {
            self.octets(b"\n");
        }
        for (index, piece) in octets.as_bytes().split(|&octet| octet == b'}').enumerate() {
            if index > 0 {
                self.octets(b"\\}");
            }
            self.octets(piece);
        }
        if octets.as_bytes().last() == Some(&b'\\') {
            self.out.push(b' ');
        }
        self.octets(b"}");
        self.fresh = false;
    }

    pub(super) fn mux(&mut self, mux: &MuxDescriptor) {
        self.named(t::MUX);
        self.octets(mux.mux_type.as_bytes());
        self.octets(b"{");
        self.joined(&mux.terminations);
        self.octets(b"}");
    }

    pub(super) fn modem(&mut self, modem: &ModemDescriptor) {
        self.token(t::MODEM);
        match modem.types.as_slice() {
            [one] => {
                self.equal();
                self.octets(one.as_bytes());
            }
            types => {
                self.octets(b"[");
                for (index, one) in types.iter().enumerate() {
                    if index > 0 {
                        self.octets(b",");
                    }
                    self.octets(one.as_bytes());
                }
                self.octets(b"]");
            }
        }
        if !modem.properties.is_empty() {
            self.block(|w| w.properties(&modem.properties));
        }
    }

    // Events.

    pub(super) fn events(&mut self, events: &EventsDescriptor) {
        self.token(t::EVENTS);
        let Some(request) = events.request_id.filter(|_| !events.events.is_empty()) else {
            return;
        };
        self.equal();
        self.request_id(request);
        self.block(|w| {
            for event in &events.events {
                w.requested_event(event);
            }
        });
    }

    fn requested_event(&mut self, event: &RequestedEvent) {
        self.item();
        self.octets(event.name.as_str().as_bytes());
        let is_bare = event.stream.is_none()
            && !event.keep_active
            && event.notify.is_none()
            && !event.reset_events
            && event.digit_map.is_none()
            && event.embed.is_none()
            && event.parameters.is_empty();
        if is_bare {
            return;
        }
        self.block(|w| {
            if let Some(stream) = event.stream {
                w.stream(stream);
            }
            if event.keep_active {
                w.item();
                w.token(t::KEEP_ACTIVE);
            }
            w.parameters(&event.parameters);
            match &event.digit_map {
                None => (),
                Some(EventDigitMap::Name(name)) => {
                    w.item();
                    w.named(t::DIGIT_MAP);
                    w.octets(name.as_bytes());
                }
                Some(EventDigitMap::Value(value)) => {
                    w.item();
                    w.named(t::DIGIT_MAP);
                    w.digit_map_value(value);
                }
            }
            if let Some(embedded) = &event.embed {
                w.item();
                w.embedded(embedded);
            }
            if let Some(notify) = &event.notify {
                w.item();
                w.notify_behaviour(notify);
            }
            if event.reset_events {
                w.item();
                w.token(t::RESET_EVENTS);
            }
        });
    }

    fn notify_behaviour(&mut self, notify: &NotifyBehaviour) {
        match notify {
            NotifyBehaviour::Immediate => self.token(t::NOTIFY_IMMEDIATE),
            NotifyBehaviour::Never => self.token(t::NEVER_NOTIFY),
            NotifyBehaviour::Regulated(embedded) => {
                self.token(t::NOTIFY_REGULATED);
                if let Some(embedded) = embedded {
                    self.block(|w| {
                        w.item();
                        w.embedded(embedded);
                    });
                }
            }
        }
    }

    fn embedded(&mut self, embedded: &Embedded) {
        self.token(t::EMBED);
        self.block(|w| {
            if let Some(signals) = &embedded.signals {
                w.item();
                w.signals(signals);
            }
            if let Some(events) = &embedded.events {
                w.item();
                w.events(events);
            }
        });
    }

    pub(super) fn event_buffer(&mut self, buffer: &[EventSpec]) {
        self.token(t::EVENT_BUFFER);
        if buffer.is_empty() {
            return;
        }
        self.block(|w| {
            for event in buffer {
                w.item();
                w.octets(event.name.as_str().as_bytes());
                w.observed_parameters(event.stream, &event.parameters);
            }
        });
    }

    pub(super) fn observed_events(&mut self, observed: &ObservedEventsDescriptor) {
        self.named(t::OBSERVED_EVENTS);
        self.request_id(observed.request_id);
        self.block(|w| {
            for event in &observed.events {
                w.item();
                if let Some(time) = event.time {
                    w.time(time);
                    w.octets(b":");
                }
                w.octets(event.name.as_str().as_bytes());
                w.observed_parameters(event.stream, &event.parameters);
            }
        });
    }

    fn observed_parameters(&mut self, stream: Option<StreamId>, parameters: &[Parameter]) {
        if stream.is_none() && parameters.is_empty() {
            return;
        }
        self.block(|w| {
            if let Some(stream) = stream {
                w.stream(stream);
            }
            w.parameters(parameters);
        });
    }

    /// `Stream = id` as an item.
    pub(super) fn stream(&mut self, stream: StreamId) {
        self.item();
        self.named(t::STREAM);
        self.number(stream.0);
    }

    pub(super) fn time(&mut self, time: TimeStamp) {
        self.format(format_args!("{:08}T{:08}", time.date, time.time));
    }

    pub(super) fn digit_map(&mut self, map: &DigitMapDescriptor) {
        self.named(t::DIGIT_MAP);
        if let Some(name) = &map.name {
            self.octets(name.as_bytes());
        }
        if let Some(value) = &map.value {
            self.digit_map_value(value);
        }
    }

    fn digit_map_value(&mut self, map: &DigitMapValue) {
        self.octets(b"{");
        let timers = [
            ("T", map.start),
            ("S", map.short),
            ("L", map.long),
            ("Z", map.duration),
        ];
        for (letter, timer) in timers {
            if let Some(timer) = timer {
                self.format(format_args!("{letter}:{timer},"));
            }
        }
        self.octets(map.body.as_bytes());
        self.octets(b"}");
    }

    // Signals.

    pub(super) fn signals(&mut self, signals: &[SignalRequest]) {
        self.token(t::SIGNALS);
        if signals.is_empty() {
            return;
        }
        self.block(|w| {
            for request in signals {
                w.signals_item(request);
            }
        });
    }

    pub(super) fn signals_item(&mut self, request: &SignalRequest) {
        self.item();
        match request {
            SignalRequest::Signal(signal) => self.signal(signal),
            SignalRequest::List(list) => {
                self.named(t::SIGNAL_LIST);
                self.number(list.id);
                self.block(|w| {
                    for signal in &list.signals {
                        w.item();
                        w.signal(signal);
                    }
                });
            }
        }
    }

    fn signal(&mut self, signal: &Signal) {
        self.octets(signal.name.as_str().as_bytes());
        let is_bare = signal.stream.is_none()
            && signal.signal_type.is_none()
            && signal.duration.is_none()
            && signal.notify_completion.unwrap_or_default() == NotifyCompletion::default()
            && !signal.keep_active
            && signal.direction.is_none()
            && signal.request_id.is_none()
            && signal.intersignal_delay.is_none()
            && signal.parameters.is_empty();
        if !is_bare {
            self.block(|w| w.signal_parameters(signal));
        }
    }

    fn signal_parameters(&mut self, signal: &Signal) {
        if let Some(stream) = signal.stream {
            self.stream(stream);
        }
        if let Some(signal_type) = signal.signal_type {
            self.item();
            let value = match signal_type {
                SignalType::OnOff => t::ON_OFF,
                SignalType::TimeOut => t::TIME_OUT,
                SignalType::Brief => t::BRIEF,
            };
            self.pair(t::SIGNAL_TYPE, value);
        }
        if let Some(duration) = signal.duration {
            self.item();
            self.named(t::DURATION);
            self.number(duration);
        }
        if let Some(completion) = signal.notify_completion {
            self.notify_completion(completion);
        }
        if signal.keep_active {
            self.item();
            self.token(t::KEEP_ACTIVE);
        }
        if let Some(direction) = signal.direction {
            self.item();
            let value = match direction {
                SignalDirection::Internal => t::INTERNAL,
                SignalDirection::External => t::EXTERNAL,
                SignalDirection::Both => t::BOTH,
            };
            self.pair(t::DIRECTION, value);
        }
        if let Some(request) = signal.request_id {
            self.item();
            self.named(t::REQUEST_ID);
            self.request_id(request);
        }
        if let Some(delay) = signal.intersignal_delay {
            self.item();
            self.named(t::INTERSIGNAL_DELAY);
            self.number(delay);
        }
        self.parameters(&signal.parameters);
    }

    fn notify_completion(&mut self, completion: NotifyCompletion) {
        let reasons = [
            (NotifyCompletion::TIME_OUT, t::TIME_OUT),
            (NotifyCompletion::EVENT, t::INTERRUPT_BY_EVENT),
            (NotifyCompletion::SIGNALS, t::INTERRUPT_BY_SIGNALS),
            (NotifyCompletion::OTHER, t::OTHER_REASON),
            (NotifyCompletion::ITERATION, t::ITERATION),
        ];
        if completion == NotifyCompletion::default() {
            return;
        }
        self.item();
        self.named(t::NOTIFY_COMPLETION);
        self.block(|w| {
            for (_, token) in reasons
                .into_iter()
                .filter(|&(bit, _)| completion.contains(bit))
            {
                w.item();
                w.token(token);
            }
        });
    }

    // Statistics and Packages.

    pub(super) fn statistics(&mut self, statistics: &[Statistic]) {
        self.token(t::STATISTICS);
        if statistics.is_empty() {
            return;
        }
        self.block(|w| {
            for statistic in statistics {
                w.item();
                w.octets(statistic.name.as_str().as_bytes());
                match &statistic.value {
                    StatisticValue::None => (),
                    StatisticValue::Single(value) => {
                        w.equal();
                        w.value(value);
                    }
                    StatisticValue::List(values) => w.statistic_list(values),
                }
            }
        });
    }

    fn statistic_list(&mut self, values: &[Value]) {
        self.values(b"[", values, b"]");
    }

    pub(super) fn packages_item(&mut self, item: &PackagesItem) {
        self.item();
        self.format(format_args!("{}-{}", item.name, item.version));
    }
}

fn has_content(parms: &StreamParms) -> bool {
    parms
        .local_control
        .as_ref()
        .is_some_and(has_control_content)
        || parms.local.is_some()
        || parms.remote.is_some()
        || parms.statistics.is_some()
}

fn has_control_content(control: &LocalControl) -> bool {
    control.mode.is_some()
        || control.reserve_value.is_some()
        || control.reserve_group.is_some()
        || !control.properties.is_empty()
}

fn has_state_content(state: &TerminationState) -> bool {
    state.service_state.is_some() || state.event_buffer.is_some() || !state.properties.is_empty()
}
