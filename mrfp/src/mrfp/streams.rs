//! Streams of terminations: made as their descriptors say, and told what to do.

use std::net::SocketAddr;
use std::sync::Arc;

use codecs::Codec;
use dataplane::FlowId;
use media::dtmf::{Detector, Remover};
use media::{EncodingConfig, Receiver, Sender, SenderConfig};
use mg::{Leg, LegAudio, LegRtcp, LegVolume, MediaEvent};

use super::performances::PerformanceRecord;
use super::{Mrfp, formats};
use crate::coding::{Class, Coder, Operation};
use crate::keys::{KeyPlan, Keys};
use crate::order::Order;
use crate::reports::Reports;
use crate::status::StreamStatus;
use crate::stream::{Digits, Meter, Sending, Stream};
use crate::talk::TalkNews;

/// What is known of a stream.
pub(super) struct StreamRecord {
    pub local: SocketAddr,
    pub room: Option<u32>,
    pub worker: u16,
    pub rate: u32,
    audio: Arc<LegAudio>,
    pub coding: Option<EncodingConfig>,
    heeds_tones: bool,
    digits: [Option<(u64, u8)>; 2],
    pub performances: Vec<PerformanceRecord>,
    meter: Arc<Meter>,
    cost_ns: u64,
    /// [`has_rtcp`] of its leg.
    has_rtcp: Option<bool>,
    volume: LegVolume,
    heeds_talk: bool,
    keys: KeyPlan,
    /// Of the news of who talks there; other news are of before.
    ticket: u64,
    /// What was told last of who talks: somebody does, and dominates.
    told: (bool, bool),
}

/// A leg that is processed, and how.
pub(super) struct Member<'a> {
    pub slot: u32,
    pub leg: &'a Leg,
    pub audio: Arc<LegAudio>,
    /// How it is sent to, if that is known.
    pub coding: Option<(EncodingConfig, SenderConfig)>,
    /// What it costs its worker in a tick.
    pub cost_ns: u64,
    /// The worker of its part of the room.
    pub worker: u16,
}

impl Mrfp {
    pub(super) fn status(&self, slot: u32) -> Option<StreamStatus> {
        let stream = self.streams.get(&slot)?;
        let (level_dbov, is_talking) = stream.meter.read();
        Some(StreamStatus {
            local: stream.local,
            worker: stream.worker,
            codec: stream.coding.as_ref().map(|coding| coding.codec.encoding()),
            is_talking,
            level_dbov,
            performances: stream.performances.iter().filter(|p| !p.is_over).count(),
        })
    }

    /// Tells who talks, and sends the news back for more.
    pub(super) fn take_news(&mut self, news: Box<TalkNews>) {
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

    pub(super) fn end_stream(&mut self, slot: u32) {
        self.leave(slot);
        let Some(stream) = self.streams.remove(&slot) else {
            return;
        };
        self.by_local.remove(&stream.local);
        for record in &stream.performances {
            self.forget(record);
        }
        if let Some(worker) = self.workers.get_mut(usize::from(stream.worker)) {
            worker.change_cost(stream.cost_ns, 0);
        }
        self.order(stream.worker, Order::Stream(slot, None));
    }

    /// Makes sure that the stream of a leg is as its descriptors say, at the worker of its room.
    pub(super) fn set_stream(&mut self, member: &Member<'_>, rate: u32) {
        let Member {
            slot,
            leg,
            audio,
            worker,
            cost_ns,
            ..
        } = member;
        let (slot, worker, cost_ns) = (*slot, *worker, *cost_ns);
        let (coding, sender) = member.coding.clone().unzip();
        let known = self.streams.get(&slot);
        let is_same = known.is_some_and(|stream| {
            stream.worker == worker
                && stream.rate == rate
                && stream.audio == *audio
                && stream.has_rtcp == has_rtcp(leg)
                && stream.coding == coding
        });
        if is_same {
            return self.set_cost(slot, cost_ns);
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
        let Ok(receiver) = Receiver::new(&formats::receiver_config(audio, leg, rate)) else {
            return;
        };
        let mut stream = Stream::new(flow, rate, receiver, Arc::clone(&meter));
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
            keys: KeyPlan::default(),
            ticket: 0,
            told: (false, false),
        });
        (entry.rate, entry.coding) = (rate, coding);
        entry.audio = Arc::clone(audio);
        entry.has_rtcp = has_rtcp(leg);
        // The new one hears no digits yet.
        entry.heeds_tones = false;
        entry.digits = [None; 2];
        entry.keys = KeyPlan::default();
        self.by_local.insert(leg.local, slot);
        self.set_cost(slot, cost_ns);
        self.order(worker, Order::Stream(slot, Some(Box::new(stream))));
    }

    fn set_cost(&mut self, slot: u32, cost_ns: u64) {
        let Some(stream) = self.streams.get_mut(&slot) else {
            return;
        };
        let before = std::mem::replace(&mut stream.cost_ns, cost_ns);
        if let Some(worker) = self.workers.get_mut(usize::from(stream.worker)) {
            worker.change_cost(before, cost_ns);
        }
    }

    /// What coding a tick costs: as measured, else as usual.
    fn operation_ns(&self, codec: &Codec, operation: Operation) -> u64 {
        let class = Class::of(codec);
        let measured = self.workers.iter();
        let measured = measured.filter_map(|worker| worker.load.cost_ns(class, operation));
        measured.max().unwrap_or_else(|| class.usual_ns(operation))
    }

    /// What a leg costs its worker in a tick. What is encoded for several costs only the first.
    pub(super) fn cost_ns(&self, leg: &Leg, audio: &LegAudio, encodes: Option<&Codec>) -> u64 {
        let received = audio.receives.iter().filter(|_| leg.mode.receives());
        let decoded = received.filter_map(formats::codec).next();
        let decode = decoded.map_or(0, |codec| self.operation_ns(&codec, Operation::Decode));
        let encode = encodes.map_or(0, |codec| self.operation_ns(codec, Operation::Encode));
        decode + encode + STREAM_COST_NS
    }

    /// Has a stream hear, play and record what its leg says.
    pub(super) fn direct(&mut self, slot: u32, leg: &Leg) {
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

    /// Has keys pass between two streams in the way that each takes them; in larger rooms, and
    /// where one is alone, they stay as they are.
    pub(super) fn set_keys(&mut self, members: &[Member<'_>]) {
        for (index, member) in members.iter().enumerate() {
            let other = match members {
                [_, _] => members.get(1 - index),
                _ => None,
            };
            let other = other.filter(|other| other.worker == member.worker);
            let plan = other.map(|other| {
                let takes = other.coding.as_ref();
                let takes = takes.is_some_and(|(_, sender)| sender.event_payload_type.is_some());
                let sends = formats::events(&member.audio, member.leg).is_some();
                KeyPlan::between(sends, takes)
            });
            let plan = plan.unwrap_or_default();
            let Some(stream) = self.streams.get_mut(&member.slot) else {
                continue;
            };
            if std::mem::replace(&mut stream.keys, plan) == plan {
                continue;
            }
            let (worker, rate) = (stream.worker, stream.rate);
            let remover = plan.removes.then(|| Box::new(Remover::new(rate)));
            self.order(worker, Order::Keys(member.slot, Keys { plan, remover }));
        }
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
}

/// Whether a leg has RTCP: on the port of its media, or on one of its own.
fn has_rtcp(leg: &Leg) -> Option<bool> {
    match leg.rtcp {
        LegRtcp::None => None,
        LegRtcp::Muxed => Some(true),
        LegRtcp::Port { .. } => Some(false),
    }
}

/// What a stream costs besides its codecs, each tick.
const STREAM_COST_NS: u64 = 2_000;
