//! A termination: its streams, the events watched at it, and what it returns, H.248.1 6.2.

use std::collections::VecDeque;
use std::net::SocketAddr;
use std::time::Duration;

use base::{Instant, TimerId};
use h248::error::ErrorCode;
use h248::message::{
    AmmDescriptors, EventBufferControl, MediaDescriptor, PkgdName, ServiceState, Signal,
    StreamDescriptor, StreamId, Streams, TerminationId, TerminationState,
};
use smallvec::SmallVec;

use crate::digit_maps::DigitMaps;
use crate::error::{Result, about, error};
use crate::event_processor::{Effect, EventProcessor, Happening, Observed, Occurrence};
use crate::performance::Performed;
use crate::plane::{Leg, LegLatch, LegPerformance, LegTone, Statistics};
use crate::player::{Ended, Ending, Player};
use crate::profile::{DescriptorKind, Kind, Profile};
use crate::reserver::Reserver;
use crate::signal::{self, Entry, Napt, Play, What};
use crate::stream::Stream;
use crate::tone::Tone;
use crate::watch::{Direction, Reading, Requests, Watch};

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
    pub events: EventProcessor,
    pub player: Player,
    pub digit_maps: DigitMaps,
    /// What a command brings, until it is done.
    due: Option<Box<Due>>,
    /// The timer for [`Termination::next_timeout`].
    pub timer: Option<(Instant, TimerId)>,
    /// What passed at addresses that it has no more.
    pub passed: Statistics,
    /// Statistics that are kept; `None`: all there are.
    pub statistics: Option<Vec<PkgdName>>,
    /// Signals that end when their stream has latched.
    latching: Vec<Latching>,
}

/// Events and signals of a command that is not done yet.
#[derive(Clone, Debug)]
struct Due {
    events: Option<Requests>,
    signals: Option<Vec<Entry>>,
}

/// What a stream detects and plays.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct StreamTones {
    is_heeded: bool,
    is_talk_heeded: bool,
    outward: Option<(u32, Tone)>,
    inward: Option<(u32, Tone)>,
    /// Numbers of performances, and which are to end.
    performs: Vec<(u32, bool)>,
}

/// A signal that ends when a stream has latched.
#[derive(Clone, Debug)]
struct Latching {
    stream: StreamId,
    signal: Box<Signal>,
}

impl Latching {
    fn ended(self, how: Ending) -> Option<Ended> {
        let asked = self.signal.notify_completion?;
        asked.contains(how.bit()).then(|| Ended {
            signal: *self.signal,
            list: None,
            how,
        })
    }
}

/// What happens because something happened.
struct Chain<'a> {
    latches: &'a mut u32,
    waiting: VecDeque<Occurrence>,
    observed: Vec<Observed>,
}

impl<'a> Chain<'a> {
    fn new(latches: &'a mut u32) -> Self {
        Self {
            latches,
            waiting: VecDeque::new(),
            observed: Vec::new(),
        }
    }

    fn end(&mut self, now: Instant, ended: Vec<Ended>) {
        self.waiting
            .extend(ended.into_iter().map(|ended| Occurrence {
                stream: ended.signal.stream,
                at: now,
                what: Happening::SignalEnd(Box::new(ended)),
            }));
    }
}

/// Events that may follow from one: more is a circle of signals and events.
const CHAIN_MAX: usize = 64;

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
            events: EventProcessor::default(),
            player: Player::default(),
            digit_maps: DigitMaps::default(),
            due: None,
            timer: None,
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
        self.apply_events(descriptors, reserver)?;
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

    /// Digit maps, events and signals: they hold from [`Termination::settle`] on.
    fn apply_events(
        &mut self,
        descriptors: &AmmDescriptors,
        reserver: &Reserver<'_>,
    ) -> Result<()> {
        let profile = reserver.profile;
        // Events of the same command may refer to it (7.1.14.1).
        if let Some(map) = &descriptors.digit_map {
            self.digit_maps.apply(map)?;
        }
        let reading = Reading {
            profile,
            is_root: false,
            digit_maps: [&self.digit_maps, reserver.digit_maps],
        };
        if let Some(buffer) = &descriptors.event_buffer {
            reading.event_buffer(buffer)?;
            self.check_streams(buffer.iter().filter_map(|spec| spec.stream))?;
            self.events.set_filter(buffer.clone());
        }
        let events = match &descriptors.events {
            None => None,
            Some(events) => {
                let requests = reading.events(events)?;
                self.check_streams(events.events.iter().filter_map(|event| event.stream))?;
                Some(requests)
            }
        };
        let signals = descriptors.signals.as_ref();
        let maps = reading.digit_maps;
        let signals = signals.map(|signals| signal::parse(profile, maps, signals));
        let signals = signals.transpose()?;
        self.check_signals(signals.as_deref().unwrap_or_default())?;
        if events.is_some() || signals.is_some() {
            self.due = Some(Box::new(Due { events, signals }));
        }
        Ok(())
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
        let mut seen: SmallVec<[StreamId; 4]> = SmallVec::new();
        let mut ended: SmallVec<[StreamId; 4]> = SmallVec::new();
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
                    self.streams.reserve_exact(1);
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
        if let Some(control) = state.event_buffer {
            let buffers = profile.descriptors.contains(&DescriptorKind::EventBuffer);
            if control == EventBufferControl::LockStep && !buffers {
                return Err(about(ErrorCode::UNKNOWN_VALUE, "EventBufferControl"));
            }
            self.events.set_control(control);
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

    /// The latches of a Signals descriptor, H.248.37, each on one stream or on all. Those that were
    /// waited for and are not asked for again end.
    fn latch(&mut self, entries: &[Entry], count: &mut u32) -> Vec<Ended> {
        let mut ended = Vec::new();
        for waiting in std::mem::take(&mut self.latching) {
            ended.extend(waiting.ended(Ending::Signals));
        }
        for play in entries.iter().flat_map(Entry::plays) {
            let What::Latch(napt) = play.what else {
                continue;
            };
            for stream in self
                .streams
                .iter_mut()
                .filter(|stream| play.is_on(stream.id))
            {
                let mut next = || {
                    *count = count.wrapping_add(1).max(1);
                    *count
                };
                stream.latch = match napt {
                    Napt::Off => LegLatch::Off,
                    Napt::Latch => LegLatch::First(next()),
                    Napt::Relatch => LegLatch::Again(next()),
                };
                if napt != Napt::Off && play.signal.notify_completion.is_some() {
                    self.latching.push(Latching {
                        stream: stream.id,
                        signal: Box::new(play.signal.clone()),
                    });
                }
            }
        }
        ended
    }

    // What happens.

    /// A command is done: what it brought holds from now on. Returns what is to be notified.
    pub fn settle(&mut self, now: Instant, latches: &mut u32) -> Vec<Observed> {
        let Some(due) = self.due.take() else {
            return Vec::new();
        };
        let is_new = due.events.is_some();
        if let Some(events) = due.events {
            self.events.load(now, events);
        }
        let mut chain = Chain::new(latches);
        if let Some(signals) = due.signals {
            self.play(now, &signals, &mut chain);
        }
        if is_new {
            let effects = self.events.resume(now);
            self.take_effect(now, effects, &mut chain);
        }
        self.follow(now, chain)
    }

    /// Something happened. Returns what is to be notified.
    pub fn handle(
        &mut self,
        now: Instant,
        latches: &mut u32,
        occurrence: Occurrence,
    ) -> Vec<Observed> {
        let mut chain = Chain::new(latches);
        chain.waiting.push_back(occurrence);
        self.follow(now, chain)
    }

    /// A stream latched: its signal is complete. Returns what is to be notified.
    pub fn latched(&mut self, now: Instant, latches: &mut u32, id: StreamId) -> Vec<Observed> {
        let Some(index) = self
            .latching
            .iter()
            .position(|latching| latching.stream == id)
        else {
            return Vec::new();
        };
        let Some(ended) = self.latching.remove(index).ended(Ending::TimeOut) else {
            return Vec::new();
        };
        let occurrence = Occurrence {
            stream: Some(id),
            at: now,
            what: Happening::SignalEnd(Box::new(ended)),
        };
        self.handle(now, latches, occurrence)
    }

    /// A performance has come to its end. Returns what is to be notified.
    pub fn performed(
        &mut self,
        now: Instant,
        latches: &mut u32,
        number: u64,
        performed: Performed,
    ) -> Vec<Observed> {
        let mut chain = Chain::new(latches);
        if number >> 32 == u64::from(self.key.0) {
            let ended = self.player.handle_performed(now, number as u32, performed);
            self.tell(now, &mut chain);
            chain.end(now, ended);
        }
        self.follow(now, chain)
    }

    /// What media functions told happens before the signals end that it is about.
    fn tell(&mut self, now: Instant, chain: &mut Chain<'_>) {
        let told = self.player.take_told().into_iter();
        chain.waiting.extend(told.map(|(stream, told)| Occurrence {
            stream,
            at: now,
            what: Happening::Told(told),
        }));
    }

    /// Does what is due. Returns what is to be notified.
    pub fn handle_timeout(&mut self, now: Instant, latches: &mut u32) -> Vec<Observed> {
        let mut chain = Chain::new(latches);
        let ended = self.player.handle_timeout(now);
        self.tell(now, &mut chain);
        chain.end(now, ended);
        let effects = self.events.handle_timeout(now);
        self.take_effect(now, effects, &mut chain);
        self.follow(now, chain)
    }

    /// When [`Termination::handle_timeout`] is to be called.
    pub fn next_timeout(&self) -> Option<Instant> {
        let timeouts = [self.events.next_timeout(), self.player.next_timeout()];
        timeouts.into_iter().flatten().min()
    }

    /// What each stream detects and plays: legs change with it. Empty when that is nothing.
    pub fn tones(&self) -> Vec<StreamTones> {
        if self.player.is_idle() && !self.events.heeds_anything() {
            return Vec::new();
        }
        let streams = self.streams.iter().map(|stream| StreamTones {
            is_heeded: self.heeds_tones(stream.id),
            is_talk_heeded: self.events.heeds_talk(stream.id),
            outward: self.player.tone(stream.id, true),
            inward: self.player.tone(stream.id, false),
            performs: self
                .player
                .performances(stream.id)
                .map(|performing| (performing.number, performing.is_finishing))
                .collect(),
        });
        streams.collect()
    }

    fn play(&mut self, now: Instant, entries: &[Entry], chain: &mut Chain<'_>) {
        let ended = self.latch(entries, chain.latches);
        chain.end(now, ended);
        let ended = self.player.replace(now, entries);
        chain.end(now, ended);
    }

    /// Does what recognized events lead to.
    fn take_effect(&mut self, now: Instant, effects: Vec<Effect>, chain: &mut Chain<'_>) {
        for effect in effects {
            match effect {
                Effect::Notify(observed) => chain.observed.push(*observed),
                Effect::StopSignals => {
                    let ended = self.player.interrupt();
                    chain.end(now, ended);
                }
                Effect::PlaySignals(entries) => self.play(now, &entries, chain),
            }
        }
    }

    /// Processes what happened, and what that leads to in turn.
    fn follow(&mut self, now: Instant, mut chain: Chain<'_>) -> Vec<Observed> {
        let mut left = CHAIN_MAX;
        while let Some(occurrence) = chain.waiting.pop_front() {
            // Signals that end for the sake of events that they lead to would go on for ever.
            let Some(less) = left.checked_sub(1) else {
                break;
            };
            left = less;
            if let Happening::ToneStart(tone) = occurrence.what {
                let ended = self.player.handle_tone(now, tone);
                self.tell(now, &mut chain);
                chain.end(now, ended);
            }
            let effects = self.events.handle(now, occurrence);
            self.take_effect(now, effects, &mut chain);
        }
        chain.observed
    }

    // What it is asked for, and asks of the media plane.

    /// Signals may name only streams that there are.
    fn check_signals(&self, entries: &[Entry]) -> Result<()> {
        let mut plays = entries.iter().flat_map(Entry::plays);
        let is_nowhere = |play: &Play| !self.streams.iter().any(|stream| play.is_on(stream.id));
        match plays.any(is_nowhere) {
            true => Err(about(ErrorCode::UNKNOWN_VALUE, "Stream")),
            false => Ok(()),
        }
    }

    /// Events may name only streams that there are.
    fn check_streams(&self, named: impl Iterator<Item = StreamId>) -> Result<()> {
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
        let mut leg = stream.leg(self.service_state == ServiceState::InService, inactivity)?;
        if self.heeds_tones(id) {
            leg.detects = stream.near_events();
            leg.heeds_tones = stream.is_audio();
        }
        if stream.is_audio() {
            leg.performs = self.performs(stream);
            leg.heeds_talk = self.events.heeds_talk(id);
        }
        let tone = |is_outward| {
            let (number, tone) = self.player.tone(id, is_outward)?;
            Some(LegTone {
                number: self.number(number),
                code: tone.code(),
            })
        };
        leg.plays_outward = tone(true);
        leg.plays_inward = tone(false);
        leg.sends_events = stream.far_events();
        Some(leg)
    }

    /// What is played and recorded on a stream of audio. A signal that names no stream is on the
    /// first.
    fn performs(&self, stream: &Stream) -> Vec<LegPerformance> {
        let mut audio = self.streams.iter().filter(|stream| stream.is_audio());
        let is_first = audio.next().is_some_and(|first| first.id == stream.id);
        let here = self.player.performances(stream.id);
        here.filter(|performing| performing.names_stream || is_first)
            .map(|performing| LegPerformance {
                number: self.number(performing.number),
                what: performing.what.clone(),
                outward: performing.outward,
                inward: performing.inward,
                is_finishing: performing.is_finishing,
            })
            .collect()
    }

    /// The number of a tone or performance, which no other termination has.
    fn number(&self, number: u32) -> u64 {
        u64::from(self.key.0) << 32 | u64::from(number)
    }

    /// True when digits on a stream lead to something.
    fn heeds_tones(&self, id: StreamId) -> bool {
        self.events.heeds_tones(id) || self.player.heeds_tones()
    }

    /// The shortest silence that is watched on a stream in one of these directions.
    pub fn silence(&self, id: StreamId, directions: &[Direction]) -> Option<Duration> {
        let requests = self.events.requests().iter();
        let watched = requests.filter_map(|request| match &request.watch {
            Watch::IpStop {
                time, direction, ..
            } if request.stream.is_none_or(|stream| stream == id)
                && directions.contains(direction) =>
            {
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
                event_buffer: Some(self.events.control()),
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
