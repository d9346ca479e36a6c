//! The MRFP's media plane: contexts of H.248 compiled to rooms and streams of workers.

use std::collections::{BTreeMap, HashMap, VecDeque};
use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;

use audio::{
    Cause, Event as FileEvent, FileServer, LoadId, RecordRequest, RecordingFormat, RecordingId,
    RecordingName, SilenceRule,
};
use base::{Entropy, Instant};
use codecs::{Codec, EncoderConfig};
use dataplane::{FlowId, Mail};
use h248::error::ErrorCode;
use h248::message::StreamMode;
use media::dtmf::Detector;
use media::tone::{Country, Supervisory, Tone, ToneGenerator};
use media::{
    EncodingConfig, FormatKind, InBand, PayloadFormat, Receiver, ReceiverConfig, Sender,
    SenderConfig, TICK,
};
use mg::{
    ContextStream, Leg, LegAudio, LegPerformance, LegRtcp, LegVolume, MediaEvent, MediaPlane,
    OpenError, Performance, PerformanceEnd, Performed, Statistics,
};
use trgw::Trgw;

use crate::announcement;
use crate::coding::{Coder, cost_ns, is_tickwise};
use crate::load::{DspLoad, LoadStatus};
use crate::order::Order;
use crate::performing::{Performing, What};
use crate::reports::Reports;
use crate::room::{Group, Member, NOBODY, Room};
use crate::status::{RoomStatus, StreamStatus};
use crate::stream::{Digits, Meter, Sending, Stream};
use crate::talk::TalkNews;

/// What an MRFP can be told.
#[derive(Clone, Debug)]
pub struct MrfpConfig {
    /// Whose tones are played, ISO 3166-1.
    pub country: String,
    /// Effort that Opus makes, 0 to 10.
    pub opus_complexity: u8,
}

impl Default for MrfpConfig {
    fn default() -> Self {
        Self {
            country: "de".into(),
            opus_complexity: 5,
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

/// What is known of a worker.
struct Worker {
    load: Arc<DspLoad>,
    /// What its streams cost by the codecs they have, per tick.
    cost_ns: u64,
}

/// What is known of a stream.
struct StreamRecord {
    local: SocketAddr,
    room: Option<u32>,
    worker: u16,
    rate: u32,
    audio: Arc<LegAudio>,
    coding: Option<EncodingConfig>,
    heeds_tones: bool,
    digits: [Option<(u64, u8)>; 2],
    performances: Vec<PerformanceRecord>,
    meter: Arc<Meter>,
    cost_ns: u64,
    /// [`has_rtcp`] of its leg.
    has_rtcp: Option<bool>,
    volume: LegVolume,
    heeds_talk: bool,
    /// Of the news of who talks there; other news are of before.
    ticket: u64,
    /// What was told last of who talks: somebody does, and dominates.
    told: (bool, bool),
}

struct PerformanceRecord {
    asked: LegPerformance,
    /// Of a recording.
    recording: Option<RecordingId>,
    /// It ended by itself: its end has been told.
    is_over: bool,
}

/// What is known of a room.
struct RoomRecord {
    name: ContextStream,
    worker: u16,
    rate: u32,
    slots: Vec<u32>,
    dominant: Arc<AtomicU32>,
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
        let worker = |load| Worker { load, cost_ns: 0 };
        Self {
            trgw,
            config,
            files,
            entropy,
            workers: loads.into_iter().map(worker).collect(),
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
                worker: room.worker,
                sample_rate: room.rate,
                dominant: self.local_of(room.dominant.load(Ordering::Relaxed)),
                streams: room
                    .slots
                    .iter()
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

    fn status(&self, slot: u32) -> Option<StreamStatus> {
        let stream = self.streams.get(&slot)?;
        let (level_dbov, is_talking) = stream.meter.read();
        Some(StreamStatus {
            local: stream.local,
            codec: stream.coding.as_ref().map(|coding| coding.codec.encoding()),
            is_talking,
            level_dbov,
            performances: stream.performances.iter().filter(|p| !p.is_over).count(),
        })
    }

    // What comes back.

    fn take_mail(&mut self, mail: Mail) {
        // Orders come back with what is not used any more: it is dropped here.
        let mail = match mail.downcast::<TalkNews>() {
            Ok(news) => return self.take_news(news),
            Err(mail) => mail,
        };
        let Ok(performing) = mail.downcast::<Performing>() else {
            return;
        };
        let (slot, number) = (performing.slot, performing.number);
        let is_recording = matches!(performing.what, What::Recording(_));
        // The end of a recording is told when its file is whole.
        if !is_recording {
            self.tell(slot, number, PerformanceEnd::Complete, performing.lasted);
        }
    }

    /// Tells who talks, and sends the news back for more.
    fn take_news(&mut self, news: Box<TalkNews>) {
        let slot = news.slot;
        let Some(stream) = self.streams.get_mut(&slot) else {
            return;
        };
        if !stream.heeds_talk || stream.ticket != news.ticket {
            return;
        }
        let told = (news.is_talking, news.is_dominant);
        let before = std::mem::replace(&mut stream.told, told);
        let (worker, local) = (stream.worker, stream.local);
        if before.0 != told.0 {
            self.events.push_back(MediaEvent::Talking {
                local,
                is_talking: news.is_talking,
                level_dbov: news.level_dbov,
            });
        }
        if told.1 && !before.1 {
            self.events.push_back(MediaEvent::Dominant { local });
        }
        self.order(worker, Order::News(slot, Some(news)));
    }

    fn take_file_event(&mut self, event: FileEvent) {
        match event {
            FileEvent::Loaded(id, loaded) => {
                let Some((slot, number)) = self.loading.remove(&id) else {
                    return;
                };
                match loaded {
                    Ok(player) => self.begin(slot, number, What::Announcement(player)),
                    Err(error) => {
                        let code = announcement::error_code(&error);
                        self.tell(slot, number, PerformanceEnd::Failed(code), Duration::ZERO);
                    }
                }
            }
            FileEvent::Recorded(id, report) => {
                let Some((slot, number)) = self.recording.remove(&id) else {
                    return;
                };
                let ending = match report.cause {
                    Cause::NoSpeech => PerformanceEnd::NoSpeech,
                    _ if report.files.is_empty() => {
                        PerformanceEnd::Failed(ErrorCode::INSUFFICIENT_RESOURCES.0)
                    }
                    Cause::Stopped | Cause::Key => PerformanceEnd::Complete,
                    Cause::Silence => PerformanceEnd::Silence,
                    Cause::Duration => PerformanceEnd::Length,
                    _ => PerformanceEnd::Failed(ErrorCode::INSUFFICIENT_RESOURCES.0),
                };
                self.tell(slot, number, ending, report.duration);
            }
        }
    }

    /// A performance has ended by itself.
    fn tell(&mut self, slot: u32, number: u64, ending: PerformanceEnd, lasted: Duration) {
        let Some(stream) = self.streams.get_mut(&slot) else {
            return;
        };
        let mut all = stream.performances.iter_mut();
        let Some(record) = all.find(|record| record.asked.number == number) else {
            return;
        };
        if !std::mem::replace(&mut record.is_over, true) {
            self.events.push_back(MediaEvent::Performed {
                local: stream.local,
                number,
                performed: Performed { ending, lasted },
            });
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

    // Rooms.

    /// The worker that has least to do; `None` when all have enough.
    fn choose_worker(&self) -> Option<u16> {
        let workers = self.workers.iter().enumerate();
        let able = workers.filter(|(_, worker)| worker.has_room());
        let least = able.min_by_key(|(_, worker)| worker.cost_ns)?;
        u16::try_from(least.0).ok()
    }

    /// The room that most of some streams are in, or a new one.
    fn room_of(&mut self, name: ContextStream, slots: &[u32], rate: u32) -> u32 {
        let rooms = slots.iter().filter_map(|slot| self.streams.get(slot)?.room);
        let known = rooms.into_iter().next();
        if let Some(number) = known
            && let Some(room) = self.rooms.get_mut(&number)
        {
            room.name = name;
            // Samples that were never coded finer gain nothing; it stays for those who come.
            room.rate = room.rate.max(rate);
            return number;
        }
        // There are no more rooms than streams, so some number below theirs is free.
        let first = slots.first().copied().unwrap_or(0);
        let mut numbers = std::iter::once(first).chain(0..);
        let number = numbers.find(|number| !self.rooms.contains_key(number));
        let number = number.unwrap_or(first);
        let worker = self.choose_worker().unwrap_or(0);
        self.rooms.insert(
            number,
            RoomRecord {
                name,
                worker,
                rate,
                slots: Vec::new(),
                dominant: Arc::new(AtomicU32::new(NOBODY)),
            },
        );
        number
    }

    fn leave(&mut self, slot: u32) {
        let room = self
            .streams
            .get_mut(&slot)
            .and_then(|stream| stream.room.take());
        let Some(room) = room else {
            return;
        };
        if let Some(record) = self.rooms.get_mut(&room) {
            record.slots.retain(|other| *other != slot);
            if record.slots.is_empty() {
                let worker = record.worker;
                self.rooms.remove(&room);
                self.order(worker, Order::Room(room, None));
            }
        }
    }

    fn end_stream(&mut self, slot: u32) {
        self.leave(slot);
        let Some(stream) = self.streams.remove(&slot) else {
            return;
        };
        self.by_local.remove(&stream.local);
        for record in &stream.performances {
            self.forget(record);
        }
        if let Some(worker) = self.workers.get_mut(usize::from(stream.worker)) {
            worker.cost_ns = worker.cost_ns.saturating_sub(stream.cost_ns);
        }
        self.order(stream.worker, Order::Stream(slot, None));
    }

    /// A performance is not asked for any more.
    fn forget(&self, record: &PerformanceRecord) {
        if let (Some(id), Some(files)) = (record.recording, &self.files) {
            files.end_recording(id, Cause::Stopped);
        }
    }

    /// Builds the room anew from the streams that are in it.
    fn publish_room(&mut self, number: u32, legs: &[(u32, &Leg)], isolated: &[(usize, usize)]) {
        let Some(record) = self.rooms.get(&number) else {
            return;
        };
        let (worker, rate) = (record.worker, record.rate);
        let dominant = Arc::clone(&record.dominant);
        let mut groups: Vec<Group> = Vec::new();
        let mut members = Vec::with_capacity(legs.len());
        let mut isolated: Vec<(u16, u16)> = isolated
            .iter()
            .map(|&(from, to)| (from as u16, to as u16))
            .collect();
        isolated.sort_unstable();
        for (place, (slot, leg)) in legs.iter().enumerate() {
            let coding = self
                .streams
                .get(slot)
                .and_then(|stream| stream.coding.as_ref());
            let sends = leg.mode.sends() && coding.is_some();
            let shared = coding.filter(|coding| sends && is_tickwise(coding));
            let group = shared.and_then(|coding| {
                let mut known = groups.iter();
                let known = known.position(|group| group.coder.config() == coding);
                known.or_else(|| {
                    let coder = Coder::new(coding).ok()?;
                    groups.push(Group { coder });
                    Some(groups.len() - 1)
                })
            });
            let place = place as u16;
            members.push(Member {
                slot: *slot,
                sends,
                group: group.and_then(|group| u16::try_from(group).ok()),
                is_isolated: isolated.iter().any(|(_, to)| *to == place),
            });
        }
        self.tickets = self.tickets.wrapping_add(1);
        let room = Room::new(rate, self.tickets, members, groups, isolated, dominant);
        self.order(worker, Order::Room(number, Some(Box::new(room))));
    }

    // Streams.

    /// Makes sure that the stream of a leg is as its descriptors say, at the worker of its room.
    fn set_stream(&mut self, slot: u32, leg: &Leg, audio: &Arc<LegAudio>, room: u32) {
        let Some(record) = self.rooms.get(&room) else {
            return;
        };
        let (worker, rate) = (record.worker, record.rate);
        let (coding, sender) = match self.coding(audio, leg, rate) {
            Some((coding, sender)) => (Some(coding), Some(sender)),
            None => (None, None),
        };
        let known = self.streams.get(&slot);
        let is_same = known.is_some_and(|stream| {
            stream.worker == worker
                && stream.rate == rate
                && stream.audio == *audio
                && stream.has_rtcp == has_rtcp(leg)
                && stream.coding == coding
        });
        if is_same {
            return;
        }
        let Some(flow) = self.trgw.control().addresses().find(leg.local) else {
            return;
        };
        let before = known.map(|stream| stream.worker);
        if before.is_some_and(|before| before != worker) {
            // What goes on there ends with it.
            self.end_stream(slot);
        }
        let meter = match self.streams.get(&slot) {
            Some(stream) => Arc::clone(&stream.meter),
            None => Arc::default(),
        };
        let Ok(receiver) = Receiver::new(&receiver_config(audio, leg, rate)) else {
            return;
        };
        let mut stream = Stream::new(flow, rate, receiver, Arc::clone(&meter));
        let cost_ns = cost(audio, coding.as_ref());
        if let (Some(coding), Some(config)) = (&coding, sender)
            && let Ok(coder) = Coder::new(coding)
        {
            let sender = Sender::new(SenderConfig {
                ssrc: self.entropy.next_u32(),
                sequence: self.entropy.next_u32() as u16,
                timestamp: self.entropy.next_u32(),
                ..config
            });
            stream.sending = Some(Sending { coder, sender });
        }
        let rtcp = match leg.rtcp {
            LegRtcp::None => None,
            LegRtcp::Muxed => Some(flow),
            LegRtcp::Port { .. } => Some(FlowId(flow.0 + 1)),
        };
        let (ssrc, cname) = (self.entropy.next_u32(), self.entropy.token_string());
        stream.reports = rtcp.map(|rtcp| Reports::new(rtcp, ssrc, cname));
        let entry = self.streams.entry(slot).or_insert_with(|| StreamRecord {
            local: leg.local,
            room: None,
            worker,
            rate,
            audio: Arc::clone(audio),
            coding: None,
            heeds_tones: false,
            digits: [None; 2],
            performances: Vec::new(),
            meter,
            cost_ns: 0,
            has_rtcp: None,
            volume: LegVolume::default(),
            heeds_talk: false,
            ticket: 0,
            told: (false, false),
        });
        if let Some(worker) = self.workers.get_mut(usize::from(worker)) {
            worker.cost_ns = (worker.cost_ns + cost_ns).saturating_sub(entry.cost_ns);
        }
        entry.cost_ns = cost_ns;
        (entry.rate, entry.coding) = (rate, coding);
        entry.audio = Arc::clone(audio);
        entry.has_rtcp = has_rtcp(leg);
        // The new one hears no digits yet.
        entry.heeds_tones = false;
        entry.digits = [None; 2];
        self.by_local.insert(leg.local, slot);
        self.order(worker, Order::Stream(slot, Some(Box::new(stream))));
    }

    /// How a leg is sent to: by the first codec of Remote that there is, else as it receives.
    fn coding(
        &self,
        audio: &LegAudio,
        leg: &Leg,
        sample_rate: u32,
    ) -> Option<(EncodingConfig, SenderConfig)> {
        let wanted = match audio.sends.is_empty() {
            true => &audio.receives,
            false => &audio.sends,
        };
        let mut found = wanted.iter();
        let (format, codec) = found.find_map(|format| Some((format, codec(format)?)))?;
        let ptime = audio.ptime.filter(|ptime| PTIMES.contains(ptime));
        let clock_hz = codec.rtp_clock_rate();
        // Events of another clock have no place among these packets: they sound.
        let events = leg
            .sends_events
            .filter(|events| events.clock_hz == clock_hz);
        let sender = SenderConfig {
            payload_type: format.payload_type,
            clock_hz,
            event_payload_type: events.map(|events| events.payload_type),
            ssrc: 0,
            sequence: 0,
            timestamp: 0,
        };
        let encoder = EncoderConfig {
            ptime: ptime.unwrap_or(TICK),
            complexity: self.config.opus_complexity,
            ..EncoderConfig::default()
        };
        let coding = EncodingConfig {
            codec,
            encoder,
            sample_rate,
        };
        Some((coding, sender))
    }

    /// Has a stream hear, play and record what its leg says.
    fn direct(&mut self, slot: u32, leg: &Leg) {
        let Some(stream) = self.streams.get_mut(&slot) else {
            return;
        };
        let (worker, rate) = (stream.worker, stream.rate);
        let before = std::mem::replace(&mut stream.volume, leg.volume);
        if stream.heeds_tones != leg.heeds_tones {
            stream.heeds_tones = leg.heeds_tones;
            let detector = leg.heeds_tones.then(|| Box::new(Detector::new(rate)));
            self.order(worker, Order::Detect(slot, detector));
        }
        if before != leg.volume {
            self.order(worker, Order::Volume(slot, leg.volume));
        }
        self.heed_talk(slot, leg.heeds_talk);
        let tone = |tone: Option<mg::LegTone>| tone.map(|tone| (tone.number, tone.code));
        let digits = [tone(leg.plays_outward), tone(leg.plays_inward)];
        self.set_digits(slot, digits);
        self.set_performances(slot, &leg.performs);
    }

    fn heed_talk(&mut self, slot: u32, heeds_talk: bool) {
        let Some(stream) = self.streams.get_mut(&slot) else {
            return;
        };
        if std::mem::replace(&mut stream.heeds_talk, heeds_talk) == heeds_talk {
            return;
        }
        stream.ticket += 1;
        stream.told = (false, false);
        let (worker, ticket) = (stream.worker, stream.ticket);
        let news = heeds_talk.then(|| Box::new(TalkNews::new(slot, ticket)));
        self.order(worker, Order::News(slot, news));
    }

    fn set_digits(&mut self, slot: u32, digits: [Option<(u64, u8)>; 2]) {
        let Some(stream) = self.streams.get_mut(&slot) else {
            return;
        };
        let before = std::mem::replace(&mut stream.digits, digits);
        if before != digits {
            let order = Digits {
                outward: digits[0],
                inward: digits[1],
                is_outward_new: before[0] != digits[0],
                is_inward_new: before[1] != digits[1],
            };
            let worker = stream.worker;
            self.order(worker, Order::Digits(slot, order));
        }
    }

    fn set_performances(&mut self, slot: u32, asked: &[LegPerformance]) {
        let Some(stream) = self.streams.get_mut(&slot) else {
            return;
        };
        if stream.performances.is_empty() && asked.is_empty() {
            return;
        }
        let worker = stream.worker;
        let is_asked = |number: u64| asked.iter().find(|other| other.number == number);
        let mut ends = Vec::new();
        let mut forgotten = Vec::new();
        let mut kept = Vec::new();
        for mut record in std::mem::take(&mut stream.performances) {
            let number = record.asked.number;
            match is_asked(number) {
                Some(now) if now.is_finishing && !record.asked.is_finishing => {
                    record.asked.is_finishing = true;
                    ends.push((number, true));
                    kept.push(record);
                }
                Some(_) => kept.push(record),
                None => {
                    if !record.is_over {
                        ends.push((number, false));
                    }
                    forgotten.push(record);
                }
            }
        }
        let is_known = |number: u64| kept.iter().any(|record| record.asked.number == number);
        let new: Vec<LegPerformance> = asked
            .iter()
            .filter(|performance| !is_known(performance.number))
            .cloned()
            .collect();
        stream.performances = kept;
        for (number, is_finishing) in ends {
            self.order(
                worker,
                Order::End {
                    slot,
                    number,
                    is_finishing,
                },
            );
        }
        for record in &forgotten {
            self.forget(record);
        }
        for performance in new {
            self.start(slot, performance);
        }
    }

    /// Begins a performance, or has the file server do what comes first.
    fn start(&mut self, slot: u32, asked: LegPerformance) {
        let Some(stream) = self.streams.get_mut(&slot) else {
            return;
        };
        let (number, rate, what) = (asked.number, stream.rate, Arc::clone(&asked.what));
        stream.performances.push(PerformanceRecord {
            asked,
            recording: None,
            is_over: false,
        });
        let begun = match &*what {
            Performance::Tone(name) => {
                let tone = self.tone(name);
                let generator = ToneGenerator::new(tone, rate, TONE_DBM0);
                self.begin(slot, number, What::Tone(Box::new(generator)));
                Ok(())
            }
            Performance::Announcement(announcement) => self.load(slot, number, rate, announcement),
            Performance::Recording(recording) => self.record(slot, number, rate, recording),
        };
        if let Err(code) = begun {
            self.tell(slot, number, PerformanceEnd::Failed(code), Duration::ZERO);
        }
    }

    fn load(
        &mut self,
        slot: u32,
        number: u64,
        rate: u32,
        announcement: &mg::Announcement,
    ) -> Result<(), u16> {
        let request = announcement::request(announcement, rate)?;
        let Some(files) = &mut self.files else {
            return Err(ErrorCode::PROVISIONING_ERROR.0);
        };
        let id = files
            .load(request)
            .map_err(|error| announcement::error_code(&error))?;
        self.loading.insert(id, (slot, number));
        Ok(())
    }

    fn record(
        &mut self,
        slot: u32,
        number: u64,
        rate: u32,
        recording: &mg::Recording,
    ) -> Result<(), u16> {
        let Some(files) = &mut self.files else {
            return Err(ErrorCode::PROVISIONING_ERROR.0);
        };
        let (name, format) = recording_format(&recording.name);
        let name = RecordingName::parse(name);
        let name = name.map_err(|error| announcement::error_code(&error))?;
        let mut request = RecordRequest::new(name, format, rate);
        request.replace = true;
        if let Some(length) = recording.length {
            request.duration_max = length.clamp(TICK, audio::RECORDING_TIME_MAX);
        }
        let (before, after) = (recording.pre_speech, recording.post_speech);
        if before.is_some() || after.is_some() {
            request.silence = Some(SilenceRule {
                level_dbov: SILENCE_DBOV,
                before,
                after,
            });
        }
        let recorded = files.record(request);
        let (id, recorder) = recorded.map_err(|error| announcement::error_code(&error))?;
        self.recording.insert(id, (slot, number));
        if let Some(stream) = self.streams.get_mut(&slot)
            && let Some(record) = stream.performances.last_mut()
        {
            record.recording = Some(id);
        }
        self.begin(slot, number, What::Recording(recorder));
        Ok(())
    }

    /// Sends a performance that is still asked for to its worker.
    fn begin(&mut self, slot: u32, number: u64, what: What) {
        let Some(stream) = self.streams.get(&slot) else {
            return;
        };
        let mut all = stream.performances.iter();
        let Some(record) = all.find(|record| record.asked.number == number && !record.is_over)
        else {
            return;
        };
        let performing = Performing {
            slot,
            number,
            outward: record.asked.outward,
            inward: record.asked.inward,
            what,
            lasted: Duration::ZERO,
            is_over: false,
        };
        let worker = stream.worker;
        self.order(worker, Order::Perform(slot, Some(Box::new(performing))));
    }

    /// A tone by its name in `cg`, `xcg` or `srvtn`, as the country has it.
    fn tone(&self, name: &str) -> Tone {
        let which = match name {
            "rt" => Supervisory::Ringing,
            "bt" => Supervisory::Busy,
            "ct" | "nack" | "roh" => Supervisory::Congestion,
            "sit" | "vac" => Supervisory::Information,
            "cw" | "cr" | "wt" | "ht" | "mwt" | "conf" => Supervisory::Waiting,
            _ => Supervisory::Dial,
        };
        let country = Country::find(&self.config.country);
        match country.or_else(|| Country::find("de")) {
            Some(country) => country.tone(which),
            None => Tone::of(&[425.0], None),
        }
    }
}

impl MediaPlane for Mrfp {
    fn open(&mut self, now: Instant, local: SocketAddr) -> Result<(), OpenError> {
        // Rooms that there are go on as they are: what is new is refused.
        if self.choose_worker().is_none() {
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

    fn connect(&mut self, legs: &[Leg]) {
        self.trgw.connect(legs);
    }

    fn connect_context(&mut self, name: ContextStream, legs: &[Leg], isolated: &[(usize, usize)]) {
        // What is no audio, and what a leg in loopback gets back, is relayed.
        let is_processed = |leg: &Leg| leg.audio.is_some() && leg.mode != StreamMode::Loopback;
        let relayed: Vec<Leg> = legs
            .iter()
            .filter(|leg| !is_processed(leg))
            .cloned()
            .collect();
        for leg in &relayed {
            if let Some(&slot) = self.by_local.get(&leg.local) {
                self.end_stream(slot);
            }
        }
        if !relayed.is_empty() {
            self.trgw.connect(&relayed);
        }
        let mut places = Vec::with_capacity(legs.len());
        let mut members = Vec::with_capacity(legs.len());
        let mut rate = RATE_MIN;
        for leg in legs {
            let flow = self.trgw.control().addresses().find(leg.local);
            let audio = leg.audio.as_ref().filter(|_| is_processed(leg));
            places.push(audio.zip(flow).map(|(audio, flow)| {
                members.push((flow.0 / 2, leg, Arc::clone(audio)));
                rate = rate.max(rate_of(audio));
                members.len() - 1
            }));
        }
        if members.is_empty() {
            return;
        }
        let slots: Vec<u32> = members.iter().map(|(slot, ..)| *slot).collect();
        let number = self.room_of(name, &slots, rate);
        let Some(room) = self.rooms.get_mut(&number) else {
            return;
        };
        let worker = room.worker;
        let left: Vec<u32> = std::mem::take(&mut room.slots)
            .into_iter()
            .filter(|slot| !slots.contains(slot))
            .collect();
        room.slots.clone_from(&slots);
        for slot in left {
            if let Some(stream) = self.streams.get_mut(&slot) {
                stream.room = None;
            }
        }
        for (slot, leg, audio) in &members {
            let other = self.streams.get(slot).and_then(|stream| stream.room);
            if other.is_some_and(|other| other != number) {
                self.leave(*slot);
            }
            self.set_stream(*slot, leg, audio, number);
            if let Some(stream) = self.streams.get_mut(slot) {
                stream.room = Some(number);
            }
            self.trgw.terminate(leg, worker);
        }
        let isolated: Vec<(usize, usize)> = isolated
            .iter()
            .filter_map(|&(from, to)| Some(((*places.get(from)?)?, (*places.get(to)?)?)))
            .collect();
        let pairs: Vec<(u32, &Leg)> = members.iter().map(|(slot, leg, _)| (*slot, *leg)).collect();
        self.publish_room(number, &pairs, &isolated);
        for (slot, leg, _) in &members {
            self.direct(*slot, leg);
        }
    }

    fn statistics(&self, local: SocketAddr) -> Statistics {
        self.trgw.statistics(local)
    }

    fn supports(&self, format: &sdp::Codec) -> bool {
        codec(format).is_some_and(|codec| codec.decoder().is_ok())
    }
}

impl Worker {
    /// True when another stream does no harm to those there are.
    fn has_room(&self) -> bool {
        // Without any its last word is an old one.
        self.cost_ns == 0 || self.cost_ns < COST_NS_MAX && self.load.lag_ns() < LAG_NS_MAX
    }
}

/// The codec of a format; `None` for what is not known here.
fn codec(format: &sdp::Codec) -> Option<Codec> {
    if format.is_auxiliary() {
        return None;
    }
    let (clock, channels) = (format.clock_hz, format.channels);
    Codec::from_sdp(&format.encoding, clock, channels, format.fmtp.as_deref()).ok()
}

/// Whether a leg has RTCP: on the port of its media, or on one of its own.
fn has_rtcp(leg: &Leg) -> Option<bool> {
    match leg.rtcp {
        LegRtcp::None => None,
        LegRtcp::Muxed => Some(true),
        LegRtcp::Port { .. } => Some(false),
    }
}

fn receiver_config(audio: &LegAudio, leg: &Leg, sample_rate: u32) -> ReceiverConfig {
    let mut formats: Vec<PayloadFormat> = audio
        .receives
        .iter()
        .filter_map(|format| {
            Some(PayloadFormat {
                payload_type: format.payload_type,
                kind: FormatKind::Audio(codec(format)?),
            })
        })
        .collect();
    formats.truncate(media::FORMATS_MAX - 2);
    let events = audio
        .receives
        .iter()
        .find(|format| format.encoding.eq_ignore_ascii_case("telephone-event"));
    let events = events.map(|format| (format.payload_type, format.clock_hz));
    let events = events.or(leg
        .detects
        .map(|events| (events.payload_type, events.clock_hz)));
    formats.extend(events.map(|(payload_type, clock_hz)| PayloadFormat {
        payload_type,
        kind: FormatKind::Event { clock_hz },
    }));
    ReceiverConfig {
        sample_rate,
        formats,
        in_band: InBand::Ignore,
        ..ReceiverConfig::default()
    }
}

/// The rate of the samples that a leg's codecs need.
fn rate_of(audio: &LegAudio) -> u32 {
    let formats = audio.receives.iter().chain(&audio.sends);
    let rates = formats.filter_map(|format| Some(codec(format)?.sample_rate()));
    rates.max().unwrap_or(RATE_MIN).min(RATE_MAX)
}

fn cost(audio: &LegAudio, coding: Option<&EncodingConfig>) -> u64 {
    let decode = audio.receives.iter().find_map(codec);
    let decode = decode.map_or(0, |codec| cost_ns(&codec).1);
    decode + coding.map_or(0, |coding| cost_ns(&coding.codec).0) + STREAM_COST_NS
}

/// A recording's name without its ending, and the format that this stands for.
fn recording_format(name: &str) -> (&str, RecordingFormat) {
    let formats = [
        (".wav", RecordingFormat::WavLinear),
        (".amr", RecordingFormat::Amr(None)),
        (".awb", RecordingFormat::AmrWb(None)),
        (".opus", RecordingFormat::Opus(None)),
    ];
    let found = formats.iter().find_map(|(ending, format)| {
        let stem = name.strip_suffix(ending)?;
        Some((stem, *format))
    });
    found.unwrap_or((name, RecordingFormat::WavLinear))
}

/// Packet lengths that are sent.
const PTIMES: [Duration; 5] = [
    Duration::from_millis(10),
    Duration::from_millis(20),
    Duration::from_millis(30),
    Duration::from_millis(40),
    Duration::from_millis(60),
];

/// Samples per second of rooms.
const RATE_MIN: u32 = 8_000;
const RATE_MAX: u32 = 48_000;

/// Level of each frequency of tones.
const TONE_DBM0: f32 = media::tone::LEVEL_DBM0_DEFAULT;

/// A recording is silent below this.
const SILENCE_DBOV: i8 = -45;

/// What a stream costs besides its codecs, each tick.
const STREAM_COST_NS: u64 = 2_000;

/// What the streams of a worker may cost together: four fifths of a tick.
const COST_NS_MAX: u64 = 16_000_000;

/// How late ticks may begin before no streams are added.
const LAG_NS_MAX: u64 = 5_000_000;
