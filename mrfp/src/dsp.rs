//! Rooms and streams on one worker.

use std::collections::VecDeque;
use std::sync::Arc;

use base::Instant;
use dataplane::{Context, Datagram, FlowId, Function, Mail, Outlet, Verdict};

use crate::load::{Did, DspLoad, Stopwatch};
use crate::order::Order;
use crate::room::{Bench, Desk, Room};
use crate::stream::Stream;

/// A media function that has streams of its own before another, which judges every packet and
/// relays the rest.
///
/// Rooms have their ticks in turn: all are 20 ms apart, so the one whose tick began first is the
/// one whose deadline is next.
pub struct Dsp<F> {
    inner: F,
    streams: Box<[Option<Box<Stream>>]>,
    streams_len: usize,
    rooms: Box<[Option<Box<Room>>]>,
    /// Rooms by when their next tick begins; with their tickets.
    queue: VecDeque<(u32, u32)>,
    bench: Bench,
    load: Arc<DspLoad>,
    watch: Stopwatch,
}

impl<F: Function> Dsp<F> {
    /// For flows below `flows`; `load` is where this worker publishes how busy it is.
    pub fn new(inner: F, flows: usize, load: Arc<DspLoad>) -> Self {
        let slots = flows.div_ceil(2);
        Self {
            inner,
            streams: (0..slots).map(|_| None).collect(),
            streams_len: 0,
            rooms: (0..slots).map(|_| None).collect(),
            queue: VecDeque::with_capacity(2 * slots + 1),
            bench: Bench::default(),
            load,
            watch: Stopwatch::default(),
        }
    }

    fn stream(&mut self, flow: FlowId) -> Option<&mut Stream> {
        self.streams.get_mut(flow.0 as usize / 2)?.as_deref_mut()
    }

    /// Does what the mg thread wants; what is not used any more is in the order then.
    fn follow(&mut self, now: Instant, order: &mut Order) {
        match order {
            Order::Stream(slot, stream) => {
                let Some(place) = self.streams.get_mut(*slot as usize) else {
                    return;
                };
                self.streams_len -= usize::from(place.is_some());
                std::mem::swap(place, stream);
                self.streams_len += usize::from(place.is_some());
                if let (Some(new), Some(before)) = (place, stream) {
                    new.adopt(before);
                }
            }
            Order::Room(number, room) => self.set_room(now, *number, room),
            Order::Link { room, peer, link } => {
                if let Some(Some(room)) = self.rooms.get_mut(*room as usize) {
                    *link = room.set_link(*peer, link.take());
                }
            }
            Order::Perform(slot, performing) => {
                let stream = self.streams.get_mut(*slot as usize);
                let stream = stream.and_then(Option::as_deref_mut);
                if let Some(stream) = stream {
                    // What there is no room for goes back.
                    *performing = performing.take().and_then(|new| stream.perform(new));
                }
            }
            &mut Order::End {
                slot,
                number,
                is_finishing,
            } => {
                if let Some(Some(stream)) = self.streams.get_mut(slot as usize) {
                    stream.end(number, is_finishing);
                }
            }
            Order::Detect(slot, detector) => {
                if let Some(Some(stream)) = self.streams.get_mut(*slot as usize) {
                    *detector = stream.set_detector(detector.take());
                }
            }
            Order::Digits(slot, digits) => {
                if let Some(Some(stream)) = self.streams.get_mut(*slot as usize) {
                    stream.set_digits(*digits);
                }
            }
            Order::Keys(slot, keys) => {
                if let Some(Some(stream)) = self.streams.get_mut(*slot as usize) {
                    stream.set_keys(keys);
                }
            }
            Order::Volume(slot, volume) => {
                if let Some(Some(stream)) = self.streams.get_mut(*slot as usize) {
                    stream.set_volume(*volume);
                }
            }
            Order::News(slot, news) => {
                if let Some(Some(stream)) = self.streams.get_mut(*slot as usize) {
                    *news = stream.set_news(news.take());
                }
            }
        }
    }

    fn set_room(&mut self, now: Instant, number: u32, room: &mut Option<Box<Room>>) {
        let last = self.queue.back().and_then(|&(last, _)| {
            let room = self.rooms.get(last as usize)?.as_deref()?;
            Some(room.release)
        });
        let Some(place) = self.rooms.get_mut(number as usize) else {
            return;
        };
        match (&mut *place, &mut *room) {
            (Some(before), Some(new)) => new.adopt(before),
            (None, Some(new)) => {
                // What is in the queue of rooms that have ended goes before there is no room.
                while self.queue.len() == self.queue.capacity() {
                    self.queue.pop_front();
                }
                new.release = last.map_or(now, |last| last.max(now));
                self.queue.push_back((number, new.ticket));
            }
            (_, None) => {}
        }
        std::mem::swap(place, room);
    }

    /// The room whose tick is next, with when that begins.
    fn next_room(&self) -> Option<(usize, Instant)> {
        let (number, ticket) = *self.queue.front()?;
        let index = number as usize;
        match self.rooms.get(index) {
            Some(Some(room)) if room.ticket == ticket => Some((index, room.release)),
            // It has ended: it is passed over at once.
            _ => Some((index, Instant::ZERO)),
        }
    }
}

impl<F: Function> Function for Dsp<F> {
    fn handle_burst(
        &mut self,
        context: &mut Context<'_>,
        burst: &mut [Datagram],
        verdicts: &mut [Verdict],
    ) {
        self.inner.handle_burst(context, burst, verdicts);
        if self.streams_len == 0 {
            return;
        }
        for (datagram, verdict) in burst.iter().zip(verdicts) {
            if !matches!(verdict, Verdict::Forward | Verdict::ForwardRtcp) {
                continue;
            }
            if let Some(stream) = self.stream(datagram.flow) {
                match *verdict {
                    Verdict::Forward => stream.receive(datagram.arrival, datagram.payload()),
                    _ => stream.receive_rtcp(datagram.arrival, datagram.payload()),
                }
                *verdict = Verdict::Consumed;
            }
        }
    }

    fn prefetch(&self, burst: &[Datagram]) {
        self.inner.prefetch(burst);
    }

    fn handle_open(&mut self, flow: FlowId) {
        self.inner.handle_open(flow);
    }

    fn handle_mail(&mut self, now: Instant, mail: Mail) -> Option<Mail> {
        match mail.downcast::<Order>() {
            Ok(mut order) => {
                self.follow(now, &mut order);
                Some(order)
            }
            Err(other) => self.inner.handle_mail(now, other),
        }
    }

    fn work(&mut self, outlet: &mut Outlet<'_>) -> bool {
        let now = outlet.now();
        self.watch.begin(now, &self.load);
        let mut spent = 0;
        let mut did = Did::Nothing;
        while let Some((number, release)) = self.next_room() {
            let Some(room) = self.rooms[number].as_deref_mut() else {
                self.queue.pop_front();
                continue;
            };
            if release == Instant::ZERO {
                self.queue.pop_front();
                continue;
            }
            if release > now {
                break;
            }
            let next = room.next_operation(&self.streams);
            let usual = next.map(|(class, operation)| class.usual_ns(operation));
            let cost = usual.unwrap_or_else(|| room.next_cost_ns());
            if spent > 0 && spent + cost > WORK_NS_MAX {
                break;
            }
            spent += cost;
            // Beside a long operation short ones count for nothing.
            if let Some(next) = next.filter(|_| cost >= LONG_NS) {
                did.add(next);
            }
            if room.is_between() {
                self.load.skip(room.skip_late(now));
                self.load
                    .begin_tick(now.since(room.release).as_nanos() as u64);
            }
            let is_done = room.work(&mut Desk {
                streams: &mut self.streams,
                bench: &mut self.bench,
                outlet,
                load: &self.load,
            });
            if is_done && let Some(entry) = self.queue.pop_front() {
                self.queue.push_back(entry);
            }
        }
        if spent > 0 {
            self.watch.worked(now, did, spent);
        }
        spent > 0
    }

    fn next_work(&self) -> Option<Instant> {
        self.next_room().map(|(_, release)| release)
    }
}

/// What short operations may cost together before packets have their turn: less than one long
/// one.
const WORK_NS_MAX: u64 = 100_000;

/// Operations that cost more are measured.
const LONG_NS: u64 = 5_000;
