//! Audits: descriptors returned, H.248.1 7.1.12, 7.2.5 and 7.2.6.

use base::Instant;
use h248::error::ErrorCode;
use h248::message::{
    AuditDescriptor, AuditReturn, AuditToken, EventsDescriptor, IndexedAudit, IndexedLocalControl,
    IndexedMedia, IndexedStreamParms, LocalControl, MediaDescriptor, Name,
    ObservedEventsDescriptor, ParmValue, PropertyParm, RequestId, RequestedEvent, ServiceState,
    Signal, SignalRequest, Statistic, StatisticValue, StreamDescriptor, StreamId, StreamMode,
    StreamParms, Streams, TerminationAudit, TerminationState, Value,
};
use h248::package::{Item, Type, ipdc, it};

use crate::digit_maps::DigitMaps;
use crate::error::{Result, about};
use crate::event_processor::EventProcessor;
use crate::plane::MediaPlane;
use crate::port_pool::PortPool;
use crate::profile::{DescriptorKind, Kind, Profile};
use crate::root::Root;
use crate::statistics;
use crate::termination::Termination;

/// Checks that everything asked for exists.
///
/// # Errors
/// 532 with the first item that does not.
pub(crate) fn check(profile: &Profile, audit: Option<&AuditDescriptor>) -> Result<()> {
    let items = audit.into_iter().flat_map(|audit| &audit.items);
    for item in items {
        let unknown = match item {
            IndexedAudit::Statistics(name) => profile.find(Kind::Statistic, name).err(),
            IndexedAudit::Events { name, .. } => profile.find(Kind::Event, name).err(),
            IndexedAudit::EventBuffer { name, .. } => profile.find(Kind::Event, name).err(),
            IndexedAudit::DigitMap(_) => {
                match profile.descriptors.contains(&DescriptorKind::DigitMap) {
                    true => None,
                    false => Some(ErrorCode::AUDITED_PROPERTY_UNKNOWN),
                }
            }
            IndexedAudit::Media(media) => check_media(profile, media).err(),
            IndexedAudit::Packages(_) | IndexedAudit::Signals(_) | IndexedAudit::SignalList(_) => {
                None
            }
        };
        if unknown.is_some() {
            return Err(about(ErrorCode::AUDITED_PROPERTY_UNKNOWN, name_of(item)));
        }
    }
    Ok(())
}

fn check_media(profile: &Profile, media: &IndexedMedia) -> std::result::Result<(), ErrorCode> {
    let streams = media.stream.iter().map(|parms| &**parms);
    for parms in streams.chain(media.streams.iter().map(|(_, parms)| parms)) {
        for property in parms
            .local_control
            .iter()
            .flat_map(|control| &control.properties)
        {
            profile.find(Kind::StreamProperty, &property.name)?;
        }
        if let Some(name) = &parms.statistics {
            profile.find(Kind::Statistic, name)?;
        }
    }
    for property in media
        .termination_state
        .iter()
        .flat_map(|state| &state.properties)
    {
        profile.find(Kind::StateProperty, &property.name)?;
    }
    Ok(())
}

fn name_of(item: &IndexedAudit) -> String {
    match item {
        IndexedAudit::Statistics(name)
        | IndexedAudit::Events { name, .. }
        | IndexedAudit::EventBuffer { name, .. } => name.to_string(),
        IndexedAudit::DigitMap(name) => name.to_string(),
        _ => "Media".to_owned(),
    }
}

/// What an audit asks of a termination.
pub(crate) fn value(
    now: Instant,
    profile: &Profile,
    plane: &dyn MediaPlane,
    termination: &Termination,
    audit: &AuditDescriptor,
) -> TerminationAudit {
    let mut returned = TerminationAudit::new();
    for token in audit.tokens.iter() {
        returned.push(match token {
            AuditToken::Media => AuditReturn::Media(termination.media()),
            AuditToken::Statistics => {
                let statistics = statistics::of(now, profile, plane, termination);
                or_empty(token, statistics, AuditReturn::Statistics)
            }
            AuditToken::Events => events(termination.events.descriptor()),
            AuditToken::Signals => {
                or_empty(token, termination.player.descriptor(), AuditReturn::Signals)
            }
            AuditToken::EventBuffer => {
                let filter = termination.events.filter().clone();
                or_empty(token, filter, AuditReturn::EventBuffer)
            }
            AuditToken::ObservedEvents => observed_events(&termination.events),
            AuditToken::DigitMap => {
                returned.extend(digit_maps(&termination.digit_maps));
                continue;
            }
            AuditToken::Packages => AuditReturn::Packages(profile.packages_descriptor()),
            // What is never there.
            AuditToken::Mux | AuditToken::Modem => AuditReturn::Empty(token),
        });
    }
    for item in &audit.items {
        match item {
            IndexedAudit::Statistics(name) => {
                let mut found = statistics::of(now, profile, plane, termination);
                found.retain(|statistic| statistic.name == *name);
                if !found.is_empty() {
                    returned.push(AuditReturn::Statistics(found));
                }
            }
            IndexedAudit::Media(asked) => {
                returned.push(AuditReturn::Media(pick(termination.media(), asked)));
            }
            IndexedAudit::Events { name, .. } => {
                let mut found = termination.events.descriptor().clone();
                found.events.retain(|event| event.name == *name);
                returned.push(events(&found));
            }
            IndexedAudit::EventBuffer { name, stream, .. } => {
                let mut found = termination.events.filter().clone();
                found.retain(|spec| {
                    spec.name == *name && (stream.is_none() || spec.stream == *stream)
                });
                returned.push(or_empty(
                    AuditToken::EventBuffer,
                    found,
                    AuditReturn::EventBuffer,
                ));
            }
            IndexedAudit::DigitMap(name) => {
                returned.push(digit_map(&termination.digit_maps, name));
            }
            IndexedAudit::Signals(asked) => {
                let mut found = termination.player.descriptor();
                found.retain(|playing| is_asked(playing, asked.as_ref()));
                returned.push(or_empty(AuditToken::Signals, found, AuditReturn::Signals));
            }
            IndexedAudit::SignalList(id) => {
                let mut found = termination.player.descriptor();
                found.retain(
                    |playing| matches!(playing, SignalRequest::List(list) if list.id == *id),
                );
                returned.push(or_empty(AuditToken::Signals, found, AuditReturn::Signals));
            }
            item => returned.extend(item_of_any(profile, item)),
        }
    }
    returned
}

/// What an audit asks of ROOT.
pub(crate) fn root_value(
    profile: &Profile,
    root: &Root,
    contexts_max: usize,
    audit: &AuditDescriptor,
) -> TerminationAudit {
    let media = || root.media(profile, contexts_max);
    let mut returned = TerminationAudit::new();
    for token in audit.tokens.iter() {
        returned.push(match token {
            AuditToken::Media => AuditReturn::Media(media()),
            AuditToken::Events => events(&root.events),
            AuditToken::DigitMap => {
                returned.extend(digit_maps(&root.digit_maps));
                continue;
            }
            AuditToken::Packages => AuditReturn::Packages(profile.packages_descriptor()),
            _ => AuditReturn::Empty(token),
        });
    }
    for item in &audit.items {
        match item {
            IndexedAudit::Media(asked) => returned.push(AuditReturn::Media(pick(media(), asked))),
            IndexedAudit::DigitMap(name) => returned.push(digit_map(&root.digit_maps, name)),
            item => returned.extend(item_of_any(profile, item)),
        }
    }
    returned
}

/// Items that are the same whatever is audited.
fn item_of_any(profile: &Profile, item: &IndexedAudit) -> Option<AuditReturn> {
    match item {
        IndexedAudit::Packages(asked) => {
            let mut packages = profile.packages_descriptor();
            packages.retain(|package| package.name == asked.name);
            Some(or_empty(
                AuditToken::Packages,
                packages,
                AuditReturn::Packages,
            ))
        }
        IndexedAudit::Signals(_) | IndexedAudit::SignalList(_) => {
            Some(AuditReturn::Empty(AuditToken::Signals))
        }
        _ => None,
    }
}

fn events(descriptor: &EventsDescriptor) -> AuditReturn {
    if descriptor.events.is_empty() {
        AuditReturn::Empty(AuditToken::Events)
    } else {
        AuditReturn::Events(descriptor.clone())
    }
}

/// What is buffered, H.248.1 7.1.17; without the number of a request, nothing was asked for.
fn observed_events(processor: &EventProcessor) -> AuditReturn {
    let events = processor.buffered();
    match processor.descriptor().request_id {
        Some(request_id) if !events.is_empty() => {
            AuditReturn::ObservedEvents(ObservedEventsDescriptor { request_id, events })
        }
        _ => AuditReturn::Empty(AuditToken::ObservedEvents),
    }
}

/// Every digit map, at least an empty answer.
fn digit_maps(maps: &DigitMaps) -> Vec<AuditReturn> {
    let all: Vec<_> = maps.descriptors().map(AuditReturn::DigitMap).collect();
    match all.is_empty() {
        true => vec![AuditReturn::Empty(AuditToken::DigitMap)],
        false => all,
    }
}

fn digit_map(maps: &DigitMaps, name: &Name) -> AuditReturn {
    let mut all = maps.descriptors();
    let found = all.find(|descriptor| descriptor.name.as_ref() == Some(name));
    found.map_or(
        AuditReturn::Empty(AuditToken::DigitMap),
        AuditReturn::DigitMap,
    )
}

/// Whether a signal that is played is the one that an audit asks for; without one, any is.
fn is_asked(playing: &SignalRequest, asked: Option<&SignalRequest>) -> bool {
    match (playing, asked) {
        (_, None) => true,
        (SignalRequest::Signal(playing), Some(SignalRequest::Signal(asked))) => {
            playing.name == asked.name
        }
        (SignalRequest::List(playing), Some(SignalRequest::List(asked))) => playing.id == asked.id,
        _ => false,
    }
}

fn or_empty<T>(token: AuditToken, list: Vec<T>, full: fn(Vec<T>) -> AuditReturn) -> AuditReturn {
    if list.is_empty() {
        AuditReturn::Empty(token)
    } else {
        full(list)
    }
}

// Single items of a Media descriptor.

fn pick(media: MediaDescriptor, asked: &IndexedMedia) -> MediaDescriptor {
    let state = media.termination_state.unwrap_or_default();
    let termination_state = asked
        .termination_state
        .as_ref()
        .map(|asked| TerminationState {
            service_state: state
                .service_state
                .filter(|_| asked.service_state.is_some()),
            event_buffer: state.event_buffer.filter(|_| asked.event_buffer),
            properties: pick_properties(&state.properties, |name| {
                asked.properties.iter().any(|asked| asked.name == *name)
            }),
        });
    let streams = match media.streams {
        Streams::Many(streams) => streams,
        Streams::None | Streams::One(_) => Vec::new(),
    };
    let asked_of = |id: StreamId| {
        let one = asked.stream.as_deref().filter(|_| id == StreamId::FIRST);
        let many = asked.streams.iter().find(|(other, _)| *other == id);
        one.or(many.map(|(_, parms)| parms))
    };
    let picked: Vec<StreamDescriptor> = streams
        .into_iter()
        .filter_map(|stream| {
            let parms = pick_parms(stream.parms, asked_of(stream.id)?);
            Some(StreamDescriptor {
                id: stream.id,
                parms,
            })
        })
        .collect();
    MediaDescriptor {
        termination_state,
        streams: if picked.is_empty() {
            Streams::None
        } else {
            Streams::Many(picked)
        },
    }
}

fn pick_parms(parms: StreamParms, asked: &IndexedStreamParms) -> StreamParms {
    let control = parms.local_control.unwrap_or_default();
    let pick_control = |asked: &IndexedLocalControl| LocalControl {
        mode: control.mode.filter(|_| asked.mode.is_some()),
        reserve_value: control.reserve_value.filter(|_| asked.reserve_value),
        reserve_group: control.reserve_group.filter(|_| asked.reserve_group),
        properties: pick_properties(&control.properties, |name| {
            asked.properties.iter().any(|asked| asked.name == *name)
        }),
    };
    StreamParms {
        local_control: asked.local_control.as_ref().map(pick_control),
        local: parms.local.filter(|_| asked.local.is_some()),
        remote: parms.remote.filter(|_| asked.remote.is_some()),
        statistics: None,
    }
}

fn pick_properties(
    properties: &[PropertyParm],
    is_asked: impl Fn(&h248::message::PkgdName) -> bool,
) -> Vec<PropertyParm> {
    let picked = properties
        .iter()
        .filter(|property| is_asked(&property.name));
    picked.cloned().collect()
}

// Capabilities.

/// What a termination can do.
pub(crate) fn capabilities(
    profile: &Profile,
    pool: &PortPool,
    audit: &AuditDescriptor,
) -> TerminationAudit {
    let mut returned = TerminationAudit::new();
    for token in audit.tokens.iter() {
        returned.push(match token {
            AuditToken::Media => AuditReturn::Media(media_capabilities(profile, pool)),
            AuditToken::Statistics => statistic_capabilities(profile),
            AuditToken::Events => event_capabilities(profile, |name| name != it::PACKAGE.name),
            AuditToken::Signals => {
                let signals = profile.items(Kind::Signal);
                let signals = signals.map(|item| SignalRequest::Signal(Signal::new(*item)));
                or_empty(token, signals.collect(), AuditReturn::Signals)
            }
            AuditToken::Packages => AuditReturn::Packages(profile.packages_descriptor()),
            _ => AuditReturn::Empty(token),
        });
    }
    let items = audit.items.iter();
    returned.extend(items.filter_map(|item| item_of_any(profile, item)));
    returned
}

/// What ROOT can do.
pub(crate) fn root_capabilities(profile: &Profile, audit: &AuditDescriptor) -> TerminationAudit {
    let mut returned = TerminationAudit::new();
    for token in audit.tokens.iter() {
        returned.push(match token {
            AuditToken::Media => AuditReturn::Media(MediaDescriptor {
                termination_state: Some(TerminationState {
                    service_state: Some(ServiceState::InService),
                    ..TerminationState::default()
                }),
                streams: Streams::None,
            }),
            AuditToken::Events => event_capabilities(profile, |name| name == it::PACKAGE.name),
            AuditToken::Packages => AuditReturn::Packages(profile.packages_descriptor()),
            _ => AuditReturn::Empty(token),
        });
    }
    let items = audit.items.iter();
    returned.extend(items.filter_map(|item| item_of_any(profile, item)));
    returned
}

fn media_capabilities(profile: &Profile, pool: &PortPool) -> MediaDescriptor {
    let realms: Vec<Value> = pool.realms().iter().map(Value::quoted).collect();
    let realm = (!realms.is_empty()).then(|| PropertyParm {
        name: ipdc::REALM.into(),
        value: ParmValue::OneOf(realms),
    });
    let others = profile.items(Kind::StreamProperty).filter_map(|item| {
        let value = possible_values(item)?;
        let name = (*item).into();
        Some(PropertyParm { name, value })
    });
    let control = LocalControl {
        mode: Some(StreamMode::SendReceive),
        reserve_value: Some(true),
        reserve_group: Some(true),
        properties: realm.into_iter().chain(others).collect(),
    };
    MediaDescriptor {
        termination_state: Some(TerminationState {
            service_state: Some(ServiceState::InService),
            ..TerminationState::default()
        }),
        streams: Streams::One(Box::new(StreamParms {
            local_control: Some(control),
            ..StreamParms::default()
        })),
    }
}

/// The values that a property can have, where they can be told.
fn possible_values(item: &Item) -> Option<ParmValue> {
    let domain = item.domain?;
    let number = |number: i64| Value::symbol(number.to_string());
    match (domain.value, domain.range) {
        (Type::Boolean, _) => Some(ParmValue::OneOf(vec![true.into(), false.into()])),
        (Type::Enumeration(names), _) => {
            let names = names.iter().map(|(name, _)| Value::symbol(name));
            Some(ParmValue::OneOf(names.collect()))
        }
        (_, Some((low, high))) => Some(ParmValue::Range(number(low), number(high))),
        _ => None,
    }
}

fn statistic_capabilities(profile: &Profile) -> AuditReturn {
    let items = profile.items(Kind::Statistic);
    let names = items.map(|item| Statistic {
        name: (*item).into(),
        value: StatisticValue::None,
    });
    or_empty(
        AuditToken::Statistics,
        names.collect(),
        AuditReturn::Statistics,
    )
}

fn event_capabilities(profile: &Profile, is_here: fn(&str) -> bool) -> AuditReturn {
    let items = profile
        .items(Kind::Event)
        .filter(|item| is_here(item.package));
    let events: Vec<_> = items.map(|item| RequestedEvent::new(*item)).collect();
    if events.is_empty() {
        return AuditReturn::Empty(AuditToken::Events);
    }
    AuditReturn::Events(EventsDescriptor {
        request_id: Some(RequestId::ALL),
        events,
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::profile::TRGW;
    use h248::package::{adid, hangterm};

    #[test]
    fn events_of_root_and_of_terminations_are_told_apart() {
        let of = |returned: AuditReturn| match returned {
            AuditReturn::Events(descriptor) => descriptor.events,
            _ => Vec::new(),
        };
        let root = of(event_capabilities(&TRGW, |name| name == it::PACKAGE.name));
        assert!(
            root.iter()
                .all(|event| event.name == it::INACTIVITY_TIMEOUT)
        );
        let others = of(event_capabilities(&TRGW, |name| name != it::PACKAGE.name));
        for event in [adid::IP_STOP, hangterm::HEARTBEAT] {
            assert!(others.iter().any(|other| other.name == event));
        }
    }
}
