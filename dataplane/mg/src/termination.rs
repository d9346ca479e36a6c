//! A termination: its streams, the events watched at it, and what it returns, H.248.1 6.2.

use std::net::SocketAddr;
use std::time::Duration;

use base::{Instant, TimerId};
use h248::error::ErrorCode;
use h248::message::{
    AmmDescriptors, EventBufferControl, EventsDescriptor, MediaDescriptor, PkgdName, ServiceState,
    Signal, SignalRequest, StreamDescriptor, StreamId, Streams, TerminationId, TerminationState,
    Value,
};
use h248::package::ipnapt;

use crate::error::{Result, about, error};
use crate::plane::{Leg, LegLatch, Statistics};
use crate::profile::{Kind, Profile};
use crate::reserver::Reserver;
use crate::stream::Stream;
use crate::watch::{self, Direction, Watch};

/// Number of a termination: the last part of its name. Not used again while the gateway runs.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(crate) struct TerminationKey(pub u32);

/// An ephemeral termination.
#[derive(Clone, Debug)]
pub(crate) struct Termination {
    pub key: TerminationKey,
    pub name: TerminationId,
    /// The context it is in.
    pub context: u32,
    pub added_at: Instant,
    /// A report of `hangterm/thb` waits to be sent.
    pub beat_waits: bool,
    /// When a command last named it, for `hangterm/thb`.
    pub named_at: Instant,
    /// The timer that looks after that.
    pub heartbeat: Option<TimerId>,
    pub service_state: ServiceState,
    pub streams: Vec<Stream>,
    pub events: EventsDescriptor,
    pub watches: Vec<Watch>,
    /// What passed at addresses that it has no more.
    pub passed: Statistics,
    /// Statistics that are kept; `None`: all there are.
    pub statistics: Option<Vec<PkgdName>>,
    /// Signal that ends when the stream has latched, per stream.
    pub latching: Vec<StreamId>,
}

impl Termination {
    pub fn new(now: Instant, key: TerminationKey, name: TerminationId, context: u32) -> Self {
        Self {
            key,
            name,
            context,
            added_at: now,
            beat_waits: false,
            named_at: now,
            heartbeat: None,
            service_state: ServiceState::InService,
            streams: Vec::new(),
            events: EventsDescriptor::default(),
            watches: Vec::new(),
            passed: Statistics::default(),
            statistics: None,
            latching: Vec::new(),
        }
    }

    /// Takes over descriptors, and returns what was left to the gateway.
    ///
    /// # Errors
    /// The first descriptor that cannot be followed. The termination is then of no use: the caller
    /// keeps the one before.
    pub fn apply(
        &mut self,
        descriptors: &AmmDescriptors,
        reserver: &mut Reserver<'_>,
    ) -> Result<MediaDescriptor> {
        let profile = reserver.profile;
        profile.check_descriptors(descriptors)?;
        let chosen = match &descriptors.media {
            Some(media) => self.apply_media(media, reserver)?,
            None => MediaDescriptor::default(),
        };
        if let Some(events) = &descriptors.events {
            self.watches = watch::parse(profile, events, false)?;
            self.events = events.clone();
            self.check_streams()?;
        }
        for signal in descriptors.signals.iter().flatten() {
            self.apply_signal(signal, reserver)?;
        }
        if let Some(statistics) = &descriptors.statistics {
            let mut kept = Vec::with_capacity(statistics.len());
            for statistic in statistics {
                let name = &statistic.name;
                let found = profile.find(Kind::Statistic, name);
                found.map_err(|code| about(code, name))?;
                kept.push(name.clone());
            }
            self.statistics = Some(kept);
        }
        Ok(chosen)
    }

    fn apply_media(
        &mut self,
        media: &MediaDescriptor,
        reserver: &mut Reserver<'_>,
    ) -> Result<MediaDescriptor> {
        if let Some(state) = &media.termination_state {
            self.apply_state(state, reserver.profile)?;
        }
        let mut chosen = Vec::new();
        let mut seen: Vec<StreamId> = Vec::new();
        let mut ended: Vec<StreamId> = Vec::new();
        for (id, parms) in media.streams() {
            if id.0 == 0 || seen.contains(&id) {
                return Err(about(
                    ErrorCode::INCORRECT_IDENTIFIER,
                    format!("Stream = {}", id.0),
                ));
            }
            seen.push(id);
            let index = match self.streams.iter().position(|stream| stream.id == id) {
                Some(index) => index,
                None if self.streams.len() >= reserver.profile.streams_max => {
                    return Err(error(ErrorCode::INSUFFICIENT_RESOURCES));
                }
                None => {
                    self.streams.push(Stream::new(id));
                    self.streams.len() - 1
                }
            };
            let says = parms.local.is_some() || parms.remote.is_some();
            let parms = self.streams[index].apply(parms, reserver)?;
            if says && self.streams[index].is_ended() {
                ended.push(id);
            }
            if parms.local.is_some() || parms.remote.is_some() {
                chosen.push(StreamDescriptor { id, parms });
            }
        }
        self.streams.retain(|stream| !ended.contains(&stream.id));
        self.streams.sort_by_key(|stream| stream.id);
        let streams = match (&media.streams, chosen.pop()) {
            (_, None) => Streams::None,
            (Streams::One(_), Some(only)) => Streams::One(Box::new(only.parms)),
            (_, Some(last)) => {
                chosen.push(last);
                Streams::Many(chosen)
            }
        };
        Ok(MediaDescriptor {
            termination_state: None,
            streams,
        })
    }

    fn apply_state(&mut self, state: &TerminationState, profile: &Profile) -> Result<()> {
        if let Some(property) = state.properties.first() {
            let name = &property.name;
            let found = profile.find(Kind::StateProperty, name);
            // What there is are properties of ROOT.
            let code = found.err().unwrap_or(ErrorCode::PROPERTY_ILLEGAL);
            return Err(about(code, name));
        }
        if state.event_buffer == Some(EventBufferControl::LockStep) {
            return Err(about(ErrorCode::UNKNOWN_VALUE, "EventBufferControl"));
        }
        match state.service_state {
            Some(ServiceState::Test) => Err(about(ErrorCode::UNKNOWN_VALUE, "ServiceStates")),
            Some(service_state) => {
                self.service_state = service_state;
                Ok(())
            }
            None => Ok(()),
        }
    }

    fn apply_signal(&mut self, signal: &SignalRequest, reserver: &mut Reserver<'_>) -> Result<()> {
        let SignalRequest::Signal(signal) = signal else {
            return Err(about(ErrorCode::CANNOT_GENERATE_SIGNAL, "SignalList"));
        };
        let found = reserver.profile.find(Kind::Signal, &signal.name);
        match found.map_err(|code| about(code, &signal.name))? {
            ipnapt::LATCH => self.apply_latch(signal, reserver),
            _ => Err(about(ErrorCode::CANNOT_GENERATE_SIGNAL, &signal.name)),
        }
    }

    /// `ipnapt/latch`, H.248.37: on one stream, or on all.
    fn apply_latch(&mut self, signal: &Signal, reserver: &mut Reserver<'_>) -> Result<()> {
        let name = ipnapt::NAPT.name;
        if let Some(other) = signal
            .parameters
            .iter()
            .find(|parameter| parameter.name != *name)
        {
            return Err(about(ErrorCode::UNKNOWN_PARAMETER, &other.name));
        }
        let Some(value) = signal.parameter(name) else {
            return Err(about(ErrorCode::MISSING_PARAMETER, name));
        };
        let value = value.as_single();
        let is = |text: &str| value.is_some_and(|value: &Value| value.is(text));
        let latch = match () {
            () if is("OFF") => LegLatch::Off,
            () if is("LATCH") => LegLatch::First(reserver.next_latch()),
            () if is("RELATCH") => LegLatch::Again(reserver.next_latch()),
            () => return Err(about(ErrorCode::UNKNOWN_VALUE, name)),
        };
        let mut found = false;
        for stream in &mut self.streams {
            if signal.stream.is_none_or(|id| id == stream.id) {
                found = true;
                stream.latch = latch;
                self.latching.retain(|&id| id != stream.id);
                if latch != LegLatch::Off && signal.notify_completion.is_some() {
                    self.latching.push(stream.id);
                }
            }
        }
        if found {
            Ok(())
        } else {
            Err(about(ErrorCode::UNKNOWN_VALUE, "Stream"))
        }
    }

    /// Events may name only streams that there are.
    fn check_streams(&self) -> Result<()> {
        let named = self.events.events.iter().filter_map(|event| event.stream);
        for id in named {
            if !self.streams.iter().any(|stream| stream.id == id) {
                return Err(about(ErrorCode::UNKNOWN_VALUE, "Stream"));
            }
        }
        Ok(())
    }

    /// The leg of a stream; `silence` is what another termination wants to know of it.
    pub fn leg(&self, id: StreamId, silence: Option<Duration>) -> Option<Leg> {
        let stream = self.streams.iter().find(|stream| stream.id == id)?;
        let own = self.silence(id, &[Direction::In, Direction::Both]);
        let inactivity = own.into_iter().chain(silence).min();
        stream.leg(self.service_state == ServiceState::InService, inactivity)
    }

    /// The shortest silence that is watched on a stream in one of these directions.
    pub fn silence(&self, id: StreamId, directions: &[Direction]) -> Option<Duration> {
        let watched = self.watches.iter().filter_map(|watch| match watch {
            Watch::IpStop {
                stream,
                time,
                direction,
                ..
            } if stream.is_none_or(|stream| stream == id) && directions.contains(direction) => {
                Some(*time)
            }
            _ => None,
        });
        watched.min()
    }

    /// Every address that it has reserved.
    pub fn reservations(&self) -> impl Iterator<Item = SocketAddr> + '_ {
        self.streams.iter().filter_map(|stream| stream.reservation)
    }

    /// The stream that receives at `local`.
    pub fn stream_at(&self, local: SocketAddr) -> Option<&Stream> {
        let mut streams = self.streams.iter();
        streams.find(|stream| stream.reservation == Some(local))
    }

    /// The Media descriptor, for an audit.
    pub fn media(&self) -> MediaDescriptor {
        let streams = self.streams.iter().map(|stream| StreamDescriptor {
            id: stream.id,
            parms: stream.parms(),
        });
        let streams: Vec<_> = streams.collect();
        MediaDescriptor {
            termination_state: Some(TerminationState {
                service_state: Some(self.service_state),
                event_buffer: Some(EventBufferControl::Off),
                properties: Vec::new(),
            }),
            streams: if streams.is_empty() {
                Streams::None
            } else {
                Streams::Many(streams)
            },
        }
    }
}
