//! Audit, Packages and Statistics descriptors, and what audits return.

use super::super::{ber, naming};
use super::{Writer, context, media};
use crate::message::{
    AuditDescriptor, AuditReturn, IndexedAudit, IndexedLocalControl, IndexedMedia,
    IndexedStreamParms, IndexedTerminationState, PackagesItem, PkgdName, Selection, Signal,
    SignalRequest, Statistic, StatisticValue,
};
use crate::package::{Item, Kind};

impl Writer<'_> {
    /// TerminationAudit.
    pub(super) fn termination_audit(&mut self, tag: u8, audit: &[AuditReturn]) {
        self.constructed(tag, |w| {
            for descriptor in audit {
                w.audit_return(descriptor);
            }
        });
    }

    /// AuditReturnParameter.
    fn audit_return(&mut self, descriptor: &AuditReturn) {
        match descriptor {
            AuditReturn::Error(error) => self.error(context(0), error),
            AuditReturn::Media(media) => self.media(context(1), media),
            AuditReturn::Modem(modem) => self.modem(context(2), modem),
            AuditReturn::Mux(mux) => self.mux(context(3), mux),
            AuditReturn::Events(events) => self.events(context(4), events, 0),
            AuditReturn::EventBuffer(buffer) => self.event_buffer(context(5), buffer),
            AuditReturn::Signals(signals) => self.signals(context(6), signals),
            AuditReturn::DigitMap(map) => self.digit_map(context(7), map),
            AuditReturn::ObservedEvents(observed) => self.observed_events(context(8), observed),
            AuditReturn::Statistics(statistics) => self.statistics(context(9), statistics),
            AuditReturn::Packages(items) => {
                self.sequences(context(10), items, Self::packages_item);
            }
            AuditReturn::Empty(token) => {
                self.audit(context(11), &AuditDescriptor::of(&[*token]));
            }
        }
    }

    /// AuditDescriptor. Without a token the bits are left out.
    pub(super) fn audit(&mut self, tag: u8, audit: &AuditDescriptor) {
        self.constructed(tag, |w| {
            if !audit.tokens.is_empty() {
                let bits = audit.tokens.iter().map(|token| 1_u16 << token as u16).sum();
                ber::write_bits(context(0), bits, w.out);
            }
            if !audit.items.is_empty() {
                w.constructed(context(1), |w| {
                    for item in &audit.items {
                        w.indexed(item);
                    }
                });
            }
        });
    }

    /// IndAuditParameter.
    fn indexed(&mut self, item: &IndexedAudit) {
        match item {
            IndexedAudit::Media(media) => {
                self.constructed(context(0), |w| w.indexed_media(media));
            }
            IndexedAudit::Events { request_id, name } => self.constructed(context(1), |w| {
                w.optional_integer(context(0), request_id.map(|id| id.0));
                w.item_name(context(1), Kind::Event, name);
            }),
            IndexedAudit::EventBuffer {
                name,
                stream,
                parameter,
            } => self.constructed(context(2), |w| {
                w.item_name(context(0), Kind::Event, name);
                w.optional_integer(context(1), stream.map(|stream| stream.0));
                if let Some(parameter) = parameter {
                    w.refuse("audit of an event parameter", parameter.as_str());
                }
            }),
            IndexedAudit::Signals(signals) => {
                self.constructed(context(3), |w| w.indexed_signals(signals.as_ref()));
            }
            IndexedAudit::SignalList(id) => self.constructed(context(3), |w| {
                w.constructed(context(1), |w| w.integer(context(0), *id));
            }),
            IndexedAudit::DigitMap(name) => {
                self.constructed(context(4), |w| w.digit_map_name(context(0), name));
            }
            IndexedAudit::Statistics(name) => self.indexed_statistics(context(5), name),
            IndexedAudit::Packages(item) => {
                self.constructed(context(6), |w| w.packages_item(item));
            }
        }
    }

    /// IndAudMediaDescriptor.
    fn indexed_media(&mut self, media: &IndexedMedia) {
        if let Some(state) = &media.termination_state {
            self.constructed(context(0), |w| w.indexed_termination_state(state));
        }
        if let Some(parms) = &media.stream {
            self.constructed(context(1), |w| {
                w.constructed(context(0), |w| w.indexed_stream_parms(parms));
            });
        } else if !media.streams.is_empty() {
            self.constructed(context(1), |w| {
                w.sequences(context(1), &media.streams, |w, (id, parms)| {
                    w.integer(context(0), id.0);
                    w.constructed(context(1), |w| w.indexed_stream_parms(parms));
                });
            });
        }
    }

    /// IndAudStreamParms.
    fn indexed_stream_parms(&mut self, parms: &IndexedStreamParms) {
        if let Some(control) = &parms.local_control {
            self.constructed(context(0), |w| w.indexed_local_control(control));
        }
        self.indexed_session(context(1), parms.local.as_ref());
        self.indexed_session(context(2), parms.remote.as_ref());
        if let Some(name) = &parms.statistics {
            self.indexed_statistics(context(3), name);
        }
    }

    /// IndAudLocalControlDescriptor.
    fn indexed_local_control(&mut self, control: &IndexedLocalControl) {
        self.flag(context(0), control.mode == Some(Selection::Value));
        self.flag(context(1), control.reserve_value);
        self.flag(context(2), control.reserve_group);
        if !control.properties.is_empty() {
            self.indexed_properties(context(3), &control.properties);
        }
        self.selection(context(4), control.mode, media::mode);
    }

    /// IndAudTerminationStateDescriptor.
    fn indexed_termination_state(&mut self, state: &IndexedTerminationState) {
        self.indexed_properties(context(0), &state.properties);
        self.flag(context(1), state.event_buffer);
        self.flag(context(2), state.service_state == Some(Selection::Value));
        self.selection(context(3), state.service_state, media::service_state);
    }

    /// The field that selects by a mode or state.
    fn selection<T>(
        &mut self,
        tag: u8,
        selection: Option<Selection<T>>,
        number: impl FnOnce(T) -> u8,
    ) {
        match selection {
            None | Some(Selection::Value) => (),
            Some(Selection::Equal(selected)) => self.integer(tag, number(selected)),
            Some(Selection::NotEqual(_)) => self.refuse("selection", "by another mode or state"),
        }
    }

    /// IndAudSignalsDescriptor.
    fn indexed_signals(&mut self, signals: Option<&SignalRequest>) {
        match signals {
            Some(SignalRequest::Signal(signal)) => {
                self.constructed(context(0), |w| w.indexed_signal(signal));
            }
            Some(SignalRequest::List(list)) => self.constructed(context(1), |w| {
                // IndAudSeqSigList.
                w.integer(context(0), list.id);
                match list.signals.as_slice() {
                    [] => (),
                    [signal] => w.constructed(context(1), |w| w.indexed_signal(signal)),
                    _ => w.refuse("audit of a signal list", "with several signals"),
                }
            }),
            None => self.refuse("audit of signals", "without a signal"),
        }
    }

    /// IndAudSignal.
    fn indexed_signal(&mut self, signal: &Signal) {
        self.item_name(context(0), Kind::Signal, &signal.name);
        self.optional_integer(context(1), signal.stream.map(|stream| stream.0));
        self.optional_integer(context(2), signal.request_id.map(|id| id.0));
        let plain = Signal {
            stream: signal.stream,
            request_id: signal.request_id,
            ..Signal::new(signal.name.clone())
        };
        if *signal != plain {
            self.refuse("audit of signal parameters", signal.name.as_str());
        }
    }

    /// IndAudStatisticsDescriptor.
    fn indexed_statistics(&mut self, tag: u8, name: &PkgdName) {
        self.constructed(tag, |w| {
            w.item_name(context(0), Kind::Statistic, name);
        });
    }

    /// PackagesItem and IndAudPackagesDescriptor.
    fn packages_item(&mut self, item: &PackagesItem) {
        match naming::encode_package(item) {
            Some(number) => self.octets(context(0), &number.to_be_bytes()),
            None => self.refuse("package without a number", item.name.as_str()),
        }
        self.integer(context(1), item.version);
    }

    /// StatisticsDescriptor.
    pub(super) fn statistics(&mut self, tag: u8, statistics: &[Statistic]) {
        self.sequences(tag, statistics, |w, statistic| {
            let item = w.item_name(context(0), Kind::Statistic, &statistic.name);
            let value_type = item.and_then(Item::value_type);
            match &statistic.value {
                StatisticValue::None => (),
                StatisticValue::Single(value) => {
                    w.values(context(1), std::slice::from_ref(value), value_type);
                }
                StatisticValue::List(values) => w.values(context(1), values, value_type),
            }
        });
    }
}
