//! Audit, Packages and Statistics descriptors, and what audits return.

use super::super::ber::{Element, Fields, Read};
use super::super::naming;
use super::{Reader, error_descriptor, list, media, request_id, sequences, stream_id};
use crate::error::ErrorCode;
use crate::message::{
    AuditDescriptor, AuditReturn, AuditToken, AuditTokens, EventsDescriptor, IndexedAudit,
    IndexedLocalControl, IndexedMedia, IndexedStreamParms, IndexedTerminationState, PackagesItem,
    PkgdName, Selection, Signal, SignalList, SignalRequest, Statistic, StatisticValue,
    StatisticsDescriptor,
};
use crate::package::{Item, Kind};

impl Reader<'_> {
    /// AuditReturnParameter. `emptyDescriptors` may name several.
    pub(super) fn audit_return(
        self,
        element: &Element<'_>,
        audit: &mut Vec<AuditReturn>,
    ) -> Read<()> {
        audit.push(match element.number() {
            Some(0) => AuditReturn::Error(error_descriptor(*element)?),
            Some(1) => AuditReturn::Media(self.media(element)?),
            Some(2) => AuditReturn::Modem(self.modem(element)?),
            Some(3) => AuditReturn::Mux(self.mux(element)?),
            Some(4) => AuditReturn::Events(self.events(element, 0)?),
            Some(5) => AuditReturn::EventBuffer(self.event_buffer(element)?),
            Some(6) => AuditReturn::Signals(self.signals(element)?),
            Some(7) => AuditReturn::DigitMap(self.digit_map(element)?),
            Some(8) => AuditReturn::ObservedEvents(self.observed_events(element)?),
            Some(9) => AuditReturn::Statistics(self.statistics(element)?),
            Some(10) => {
                AuditReturn::Packages(sequences(element, |element| packages_item(&element))?)
            }
            Some(11) => {
                audit.extend(self.audit(element)?.tokens.iter().map(empty));
                return Ok(());
            }
            _ => return element.fault_with(ErrorCode::UNKNOWN_DESCRIPTOR, "a descriptor"),
        });
        Ok(())
    }

    /// AuditDescriptor.
    pub(super) fn audit(self, element: &Element<'_>) -> Read<AuditDescriptor> {
        let mut fields = Fields::of(element)?;
        let bits = fields
            .optional(0, |element| element.bits())?
            .unwrap_or_default();
        let items = fields.optional(1, |element| {
            list(&element, None, |element| self.indexed(&element))
        })?;
        fields.end()?;
        let is_set = |&token: &AuditToken| bits & (1 << token as u32) != 0;
        Ok(AuditDescriptor {
            tokens: AuditToken::ALL
                .into_iter()
                .filter(is_set)
                .collect::<AuditTokens>(),
            items: items.unwrap_or_default(),
        })
    }

    /// IndAuditParameter.
    fn indexed(self, element: &Element<'_>) -> Read<IndexedAudit> {
        match element.number() {
            Some(0) => self.indexed_media(element).map(IndexedAudit::Media),
            Some(1) => {
                // IndAudEventsDescriptor. Text has no stream for it.
                let mut fields = Fields::of(element)?;
                let request_id = fields.optional(0, |element| request_id(&element))?;
                let name = fields.required(1, "an event", |e| name(Kind::Event, &e))?;
                fields.optional(2, |element| stream_id(&element))?;
                fields.end()?;
                Ok(IndexedAudit::Events { request_id, name })
            }
            Some(2) => {
                // IndAudEventBufferDescriptor.
                let mut fields = Fields::of(element)?;
                let name = fields.required(0, "an event", |e| name(Kind::Event, &e))?;
                let stream = fields.optional(1, |element| stream_id(&element))?;
                fields.end()?;
                Ok(IndexedAudit::EventBuffer {
                    name,
                    stream,
                    parameter: None,
                })
            }
            Some(3) => self.indexed_signals(element),
            Some(4) => {
                // IndAudDigitMapDescriptor.
                let mut fields = Fields::of(element)?;
                let map = fields.required(0, "a digit map name", |element| {
                    let number = naming::two_octets(&element)?;
                    Ok(IndexedAudit::DigitMap(self.naming.decode_digit_map(number)))
                })?;
                fields.end()?;
                Ok(map)
            }
            Some(5) => indexed_statistics(element).map(IndexedAudit::Statistics),
            Some(6) => packages_item(element).map(IndexedAudit::Packages),
            _ => element.fault_with(ErrorCode::UNKNOWN_DESCRIPTOR, "a descriptor to audit"),
        }
    }

    /// IndAudMediaDescriptor.
    fn indexed_media(self, element: &Element<'_>) -> Read<IndexedMedia> {
        let mut fields = Fields::of(element)?;
        let termination_state =
            fields.optional(0, |element| self.indexed_termination_state(&element))?;
        let mut media = IndexedMedia {
            termination_state,
            ..IndexedMedia::default()
        };
        fields.optional(1, |element| {
            let streams = element.choice()?;
            match streams.number() {
                Some(0) => media.stream = Some(Box::new(self.indexed_stream_parms(&streams)?)),
                Some(1) => {
                    media.streams = sequences(&streams, |element| {
                        // IndAudStreamDescriptor.
                        let mut fields = Fields::of(&element)?;
                        let id = fields.required(0, "a stream number", |e| stream_id(&e))?;
                        let parms =
                            fields.required(1, "a stream", |e| self.indexed_stream_parms(&e))?;
                        fields.end()?;
                        Ok((id, parms))
                    })?;
                }
                _ => return streams.fault("one stream or several"),
            }
            Ok(())
        })?;
        fields.end()?;
        Ok(media)
    }

    /// IndAudStreamParms.
    fn indexed_stream_parms(self, element: &Element<'_>) -> Read<IndexedStreamParms> {
        let mut fields = Fields::of(element)?;
        let parms = IndexedStreamParms {
            local_control: fields.optional(0, |element| self.indexed_local_control(&element))?,
            local: fields.optional(1, |element| media::indexed_session(&element))?,
            remote: fields.optional(2, |element| media::indexed_session(&element))?,
            statistics: fields.optional(3, |element| indexed_statistics(&element))?,
        };
        fields.end()?;
        Ok(parms)
    }

    /// IndAudLocalControlDescriptor.
    fn indexed_local_control(self, element: &Element<'_>) -> Read<IndexedLocalControl> {
        let mut fields = Fields::of(element)?;
        let mode = fields.flag(0)?;
        let reserve_value = fields.flag(1)?;
        let reserve_group = fields.flag(2)?;
        let properties = fields.optional(3, |element| self.indexed_properties(&element))?;
        let select = fields.optional(4, |element| media::mode(&element))?;
        fields.end()?;
        Ok(IndexedLocalControl {
            mode: selection(mode, select),
            reserve_value,
            reserve_group,
            properties: properties.unwrap_or_default(),
        })
    }

    /// IndAudTerminationStateDescriptor.
    fn indexed_termination_state(self, element: &Element<'_>) -> Read<IndexedTerminationState> {
        let mut fields = Fields::of(element)?;
        let properties = fields.required(0, "properties", |e| self.indexed_properties(&e))?;
        let event_buffer = fields.flag(1)?;
        let service_state = fields.flag(2)?;
        let select = fields.optional(3, |element| media::service_state(&element))?;
        fields.end()?;
        Ok(IndexedTerminationState {
            service_state: selection(service_state, select),
            event_buffer,
            properties,
        })
    }

    /// IndAudSignalsDescriptor.
    fn indexed_signals(self, element: &Element<'_>) -> Read<IndexedAudit> {
        let signals = element.choice()?;
        match signals.number() {
            Some(0) => {
                let signal = indexed_signal(&signals)?;
                Ok(IndexedAudit::Signals(Some(SignalRequest::Signal(signal))))
            }
            Some(1) => {
                // IndAudSeqSigList.
                let mut fields = Fields::of(&signals)?;
                let id = fields.required(0, "a number", |element| element.u16())?;
                let signal = fields.optional(1, |element| indexed_signal(&element))?;
                fields.end()?;
                Ok(match signal {
                    None => IndexedAudit::SignalList(id),
                    Some(signal) => IndexedAudit::Signals(Some(SignalRequest::List(SignalList {
                        id,
                        signals: vec![signal],
                    }))),
                })
            }
            _ => signals.fault("a signal or a signal list"),
        }
    }

    /// StatisticsDescriptor.
    pub(super) fn statistics(self, element: &Element<'_>) -> Read<StatisticsDescriptor> {
        sequences(element, |element| {
            let mut fields = Fields::of(&element)?;
            let (name, item) = fields.required(0, "a statistic", |element| {
                naming::decode_item(Kind::Statistic, &element)
            })?;
            let value_type = item.and_then(Item::value_type);
            let values = fields.optional(1, |element| self.values(&element, value_type))?;
            fields.end()?;
            let mut values = values.unwrap_or_default();
            let value = match (values.pop(), values.is_empty()) {
                (None, _) => StatisticValue::None,
                (Some(value), true) => StatisticValue::Single(value),
                (Some(value), false) => {
                    values.push(value);
                    StatisticValue::List(values.into_vec())
                }
            };
            Ok(Statistic { name, value })
        })
    }
}

/// An empty descriptor; three of them have an empty value of their own, as in text.
fn empty(token: AuditToken) -> AuditReturn {
    match token {
        AuditToken::Events => AuditReturn::Events(EventsDescriptor::default()),
        AuditToken::Signals => AuditReturn::Signals(Vec::new()),
        AuditToken::EventBuffer => AuditReturn::EventBuffer(Vec::new()),
        _ => AuditReturn::Empty(token),
    }
}

/// What is asked of a mode or state: only one of the two fields is to be there, and the selection
/// goes before.
fn selection<T>(value: bool, select: Option<T>) -> Option<Selection<T>> {
    match select {
        Some(selected) => Some(Selection::Equal(selected)),
        None => value.then_some(Selection::Value),
    }
}

fn name(kind: Kind, element: &Element<'_>) -> Read<PkgdName> {
    naming::decode_item(kind, element).map(|(name, _)| name)
}

/// IndAudSignal.
fn indexed_signal(element: &Element<'_>) -> Read<Signal> {
    let mut fields = Fields::of(element)?;
    let mut signal = Signal::new(fields.required(0, "a signal", |e| name(Kind::Signal, &e))?);
    signal.stream = fields.optional(1, |element| stream_id(&element))?;
    signal.request_id = fields.optional(2, |element| request_id(&element))?;
    fields.end()?;
    Ok(signal)
}

/// IndAudStatisticsDescriptor.
fn indexed_statistics(element: &Element<'_>) -> Read<PkgdName> {
    let mut fields = Fields::of(element)?;
    let name = fields.required(0, "a statistic", |e| name(Kind::Statistic, &e))?;
    fields.end()?;
    Ok(name)
}

/// PackagesItem and IndAudPackagesDescriptor.
fn packages_item(element: &Element<'_>) -> Read<PackagesItem> {
    let mut fields = Fields::of(element)?;
    let number = fields.required(0, "a package", |element| naming::two_octets(&element))?;
    let version = fields.required(1, "a version", |element| element.u8(99))?;
    fields.end()?;
    Ok(PackagesItem {
        name: naming::decode_package(number),
        version,
    })
}
