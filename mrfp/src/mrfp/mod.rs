//! The MRFP's media plane: contexts of H.248 compiled to rooms and streams of workers, and to paths
//! where there is nothing to decode.

mod formats;
mod laws;
mod performances;
mod rooms;
mod streams;

use std::collections::{BTreeMap, HashMap, VecDeque};
use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use audio::{FileServer, LoadId, RecordingId};
use base::{Entropy, Instant};
use dataplane::Mail;
use h248::error::ErrorCode;
use h248::message::StreamMode;
use media::tone::Country;
use mg::{ContextStream, Leg, MediaEvent, MediaPlane, OpenError, PerformanceEnd, Statistics};
use trgw::Trgw;

use self::rooms::{RoomRecord, Worker};
use self::streams::{Member, StreamRecord};
use crate::load::{DspLoad, LoadStatus};
use crate::order::Order;
use crate::performing::{Performing, What};
use crate::status::RoomStatus;
use crate::talk::TalkNews;

/// What an MRFP can be told.
#[derive(Clone, Debug)]
pub struct MrfpConfig {
    /// Whose tones are played, ISO 3166-1.
    pub country: String,
    /// Effort that Opus makes, 0 to 10.
    pub opus_complexity: u8,
    /// What the streams of one room may cost a worker in a tick of 20 ms, by what coding costs,
    /// before another worker has part of it.
    pub part_cost_max: Duration,
}

impl Default for MrfpConfig {
    fn default() -> Self {
        Self {
            country: "de".into(),
            opus_complexity: 5,
            part_cost_max: Duration::from_millis(8),
        }
    }
}

/// Executes what gateways decide that play, mix and record. Owned by the mg thread.
///
/// It has the TrGW's media plane ([`Mrfp::trgw`]) for everything but that, and gateways that only
/// relay use it directly. Call [`Mrfp::poll_event`] until it returns `None` whenever the runtime
/// has news ([`dataplane::Control`]) or the file server woke the thread.
pub struct Mrfp {
    trgw: Trgw,
    config: MrfpConfig,
    files: Option<FileServer>,
    entropy: Entropy,
    workers: Vec<Worker>,
    streams: HashMap<u32, StreamRecord>,
    by_local: HashMap<SocketAddr, u32>,
    rooms: BTreeMap<u32, RoomRecord>,
    tickets: u32,
    loading: HashMap<LoadId, (u32, u64)>,
    recording: HashMap<RecordingId, (u32, u64)>,
    /// Orders that found no room, in order.
    behind: VecDeque<(u16, Mail)>,
    events: VecDeque<MediaEvent>,
}

/// True for a country whose tones are known.
pub fn has_tones(country: &str) -> bool {
    Country::find(country).is_some()
}

impl Mrfp {
    /// A media plane beside a TrGW's, for workers whose functions are [`crate::Dsp`] with these
    /// loads. Without a file server nothing but tones is played, and nothing is recorded.
    pub fn new(
        trgw: Trgw,
        config: MrfpConfig,
        loads: Vec<Arc<DspLoad>>,
        files: Option<FileServer>,
        entropy: Entropy,
    ) -> Self {
        Self {
            trgw,
            config,
            files,
            entropy,
            workers: loads.into_iter().map(Worker::new).collect(),
            streams: HashMap::new(),
            by_local: HashMap::new(),
            rooms: BTreeMap::new(),
            tickets: 0,
            loading: HashMap::new(),
            recording: HashMap::new(),
            behind: VecDeque::new(),
            events: VecDeque::new(),
        }
    }

    /// The media plane of what is relayed.
    pub fn trgw(&self) -> &Trgw {
        &self.trgw
    }

    /// The same, for gateways that only relay.
    pub fn trgw_mut(&mut self) -> &mut Trgw {
        &mut self.trgw
    }

    /// True when commands wait for workers: they are repeated by [`Mrfp::poll_event`].
    pub fn is_behind(&self) -> bool {
        !self.behind.is_empty() || self.trgw.is_behind()
    }

    /// The next thing that happened.
    pub fn poll_event(&mut self, now: Instant) -> Option<MediaEvent> {
        self.catch_up();
        if let Some(event) = self.events.pop_front() {
            return Some(event);
        }
        let event = self.trgw.poll_event(now);
        while let Some((_, mail)) = self.trgw.control_mut().poll_mail() {
            self.take_mail(mail);
        }
        while let Some(event) = self.files.as_mut().and_then(FileServer::poll_event) {
            self.take_file_event(event);
        }
        event.or_else(|| self.events.pop_front())
    }

    /// The rooms there are.
    pub fn rooms(&self) -> Vec<RoomStatus> {
        let rooms = self.rooms.values();
        rooms
            .map(|room| RoomStatus {
                context: room.name.context,
                stream: room.name.stream,
                workers: room.parts.iter().map(|part| part.worker).collect(),
                sample_rate: room.rate,
                dominant: self.local_of(room.dominant.load(Ordering::Relaxed)),
                streams: room
                    .parts
                    .iter()
                    .flat_map(|part| &part.slots)
                    .filter_map(|slot| self.status(*slot))
                    .collect(),
            })
            .collect()
    }

    /// How busy each worker is with them.
    pub fn loads(&self) -> Vec<LoadStatus> {
        self.workers
            .iter()
            .map(|worker| worker.load.status())
            .collect()
    }

    fn local_of(&self, slot: u32) -> Option<SocketAddr> {
        self.streams.get(&slot).map(|stream| stream.local)
    }

    // What comes back.

    fn take_mail(&mut self, mail: Mail) {
        // Orders come back with what is not used any more: it is dropped here.
        let mail = match mail.downcast::<TalkNews>() {
            Ok(news) => return self.take_news(news),
            Err(mail) => mail,
        };
        let performing = match mail.downcast::<Performing>() {
            Ok(performing) => performing,
            Err(order) => match order.downcast::<Order>().map(|order| *order) {
                // One that ended before, or this one itself, for which there is no room.
                Ok(Order::Perform(_, Some(performing))) => performing,
                _ => return,
            },
        };
        let (slot, number) = (performing.slot, performing.number);
        let is_recording = matches!(performing.what, What::Recording(_));
        // The end of a recording is told when its file is whole.
        if !is_recording {
            let ending = match performing.is_over {
                true => PerformanceEnd::Complete,
                false => PerformanceEnd::Failed(ErrorCode::INSUFFICIENT_RESOURCES.0),
            };
            self.tell(slot, number, ending, performing.lasted);
        }
    }

    // Orders.

    fn order(&mut self, worker: u16, order: Order) {
        let order: Mail = Box::new(order);
        if !self.behind.is_empty() {
            return self.behind.push_back((worker, order));
        }
        if let Err(order) = self.trgw.control_mut().send(worker, order) {
            self.behind.push_back((worker, order));
        }
    }

    fn catch_up(&mut self) {
        while let Some((worker, order)) = self.behind.pop_front() {
            if let Err(order) = self.trgw.control_mut().send(worker, order) {
                return self.behind.push_front((worker, order));
            }
        }
    }
}

impl MediaPlane for Mrfp {
    fn open(&mut self, now: Instant, local: SocketAddr) -> Result<(), OpenError> {
        // Rooms that there are go on as they are: what is new is refused.
        if !self.has_room() {
            return Err(OpenError::Exhausted);
        }
        self.trgw.open(now, local)
    }

    fn close(&mut self, local: SocketAddr) {
        if let Some(&slot) = self.by_local.get(&local) {
            self.end_stream(slot);
        }
        self.trgw.close(local);
    }

    fn connect(&mut self, name: ContextStream, legs: &[Leg], isolated: &[(usize, usize)]) {
        if let [one, other] = legs
            && isolated.is_empty()
            && let Some(translations) = laws::between([one, other])
        {
            for leg in legs {
                if let Some(&slot) = self.by_local.get(&leg.local) {
                    self.end_stream(slot);
                }
            }
            let legs = [one, other];
            return self.trgw.connect_translated(legs, translations);
        }
        // What is no audio, and what a leg in loopback gets back, is relayed.
        let is_processed = |leg: &Leg| leg.audio.is_some() && leg.mode != StreamMode::Loopback;
        let mut relayed = Vec::new();
        let mut relayed_as: Vec<Option<usize>> = Vec::with_capacity(legs.len());
        for leg in legs {
            let is_relayed = !is_processed(leg);
            relayed_as.push(is_relayed.then_some(relayed.len()));
            relayed.extend(is_relayed.then(|| leg.clone()));
        }
        for leg in &relayed {
            if let Some(&slot) = self.by_local.get(&leg.local) {
                self.end_stream(slot);
            }
        }
        if !relayed.is_empty() {
            let place = |index: usize| relayed_as.get(index).copied().flatten();
            let isolated: Vec<(usize, usize)> = isolated
                .iter()
                .filter_map(|&(from, to)| Some((place(from)?, place(to)?)))
                .collect();
            self.trgw.connect(name, &relayed, &isolated);
        }
        let mut places: Vec<Option<u32>> = Vec::with_capacity(legs.len());
        let mut members: Vec<Member<'_>> = Vec::with_capacity(legs.len());
        for leg in legs {
            let flow = self.trgw.control().addresses().find(leg.local);
            let audio = leg.audio.as_ref().filter(|_| is_processed(leg));
            let slot = audio.zip(flow).map(|(audio, flow)| {
                members.push(Member {
                    slot: flow.0 / 2,
                    leg,
                    audio: Arc::clone(audio),
                    coding: None,
                    cost_ns: 0,
                    worker: 0,
                });
                flow.0 / 2
            });
            places.push(slot);
        }
        if members.is_empty() {
            return;
        }
        let slots: Vec<u32> = members.iter().map(|member| member.slot).collect();
        let rate = formats::rate_of_room(members.iter().map(|it| (it.leg, &*it.audio)));
        let number = self.room_of(name, &slots, rate);
        let Some(room) = self.rooms.get(&number) else {
            return;
        };
        let (rate, complexity) = (room.rate, self.config.opus_complexity);
        for member in &mut members {
            member.coding = formats::coding(&member.audio, member.leg, rate, complexity);
        }
        self.place(number, &mut members);
        for member in &members {
            let slot = member.slot;
            let other = self.streams.get(&slot).and_then(|stream| stream.room);
            if other.is_some_and(|other| other != number) {
                self.leave(slot);
            }
            self.set_stream(member, rate);
            if let Some(stream) = self.streams.get_mut(&slot) {
                stream.room = Some(number);
            }
            self.trgw.terminate(member.leg, member.worker);
        }
        let isolated: Vec<(u32, u32)> = isolated
            .iter()
            .filter_map(|&(from, to)| Some(((*places.get(from)?)?, (*places.get(to)?)?)))
            .collect();
        self.publish_room(number, &members, &isolated);
        self.set_keys(&members);
        for member in &members {
            self.direct(member.slot, member.leg);
        }
    }

    fn statistics(&self, local: SocketAddr) -> Statistics {
        self.trgw.statistics(local)
    }

    fn supports(&self, format: &sdp::Codec) -> bool {
        formats::codec(format).is_some_and(|codec| codec.decoder().is_ok())
    }
}
