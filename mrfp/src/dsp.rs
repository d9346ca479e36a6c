//! Rooms and streams on one worker.

use std::collections::VecDeque;
use std::sync::Arc;
use std::time::Duration;

use base::Instant;
use dataplane::{Context, Datagram, FlowId, Function, Mail, Outlet, Verdict};
use media::TICK;

use crate::load::{Did, DspLoad, Stopwatch};
use crate::order::Order;
use crate::room::{Bench, Desk, Room};
use crate::stream::Stream;

/// A media function that has streams of its own before another, which judges every packet and
/// relays the rest.
///
/// Rooms have their ticks in turn: all are 20 ms apart, so the one whose tick began first is the
/// one whose deadline is next. They begin at eight moments of these 20 ms, so that the work of many
/// rooms is spread.
pub struct Dsp<F> {
    inner: F,
    streams: Box<[Option<Box<Stream>>]>,
    streams_len: usize,
    rooms: Box<[Option<Box<Room>>]>,
    /// Rooms in the order in which their next ticks begin.
    queue: VecDeque<Next>,
    /// How many rooms begin at each moment.
    phases: [u32; PHASES],
    bench: Bench,
    load: Arc<DspLoad>,
    watch: Stopwatch,
}

/// A room whose turn comes.
#[derive(Clone, Copy, Debug)]
struct Next {
    release: Instant,
    room: u32,
    /// That which the room had: if it has another, this one has ended.
    ticket: u32,
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
            phases: [0; PHASES],
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
                let phase = PHASES_IN_TURN.into_iter().min_by_key(|at| self.phases[*at]);
                let phase = phase.unwrap_or(0);
                self.phases[phase] += 1;
                new.release = next_at(now, phase);
                let (release, ticket) = (new.release, new.ticket);
                self.enqueue(Next {
                    release,
                    room: number,
                    ticket,
                });
            }
            (Some(before), None) => {
                let rooms = &mut self.phases[phase_of(before.release)];
                *rooms = rooms.saturating_sub(1);
            }
            (None, None) => {}
        }
        if let Some(place) = self.rooms.get_mut(number as usize) {
            std::mem::swap(place, room);
        }
    }

    /// Puts a room where it belongs, which is the end as a rule.
    fn enqueue(&mut self, next: Next) {
        let is_before = |other: &Next| other.release <= next.release;
        match self.queue.back().is_none_or(is_before) {
            true => self.queue.push_back(next),
            false => {
                let place = self.queue.partition_point(is_before);
                self.queue.insert(place, next);
            }
        }
    }

    /// The room whose tick is under way or begins next; what has ended goes.
    fn next_room(&mut self) -> Option<Next> {
        while let Some(&next) = self.queue.front() {
            match self.rooms.get(next.room as usize) {
                Some(Some(room)) if room.ticket == next.ticket => return Some(next),
                _ => self.queue.pop_front(),
            };
        }
        None
    }
}

/// The first instant from `now` on at which ticks of a phase begin.
fn next_at(now: Instant, phase: usize) -> Instant {
    let tick_ns = TICK.as_nanos() as u64;
    let offset = phase as u64 * (tick_ns / PHASES as u64);
    let since = (now.as_nanos() % tick_ns + tick_ns - offset) % tick_ns;
    match since {
        0 => now,
        since => now + Duration::from_nanos(tick_ns - since),
    }
}

/// Which phase it is.
fn phase_of(release: Instant) -> usize {
    let tick_ns = TICK.as_nanos() as u64;
    let phase = release.as_nanos() % tick_ns / (tick_ns / PHASES as u64);
    (phase as usize).min(PHASES - 1)
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
        self.watch.begin(now, outlet.took(), &self.load);
        let mut did = Did::Nothing;
        let mut spent = Spent::default();
        while let Some(next) = self.next_room().filter(|next| next.release <= now) {
            let Some(Some(room)) = self.rooms.get_mut(next.room as usize) else {
                break;
            };
            let operation = room.next_operation(&self.streams);
            let usual = operation.map(|(class, operation)| class.usual_ns(operation));
            let cost = usual.unwrap_or_else(|| room.next_cost_ns());
            if !spent.has_room_for(cost, outlet) {
                break;
            }
            spent.add(cost);
            // Beside a long operation short ones count for nothing.
            if let Some(operation) = operation.filter(|_| cost >= LONG_NS) {
                did.add(operation);
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
            if is_done {
                let release = room.release;
                self.queue.pop_front();
                self.enqueue(Next { release, ..next });
            }
        }
        if spent.usual_ns > 0 {
            self.watch.worked(did, spent.usual_ns);
        }
        spent.usual_ns > 0
    }

    fn next_work(&self) -> Option<Instant> {
        self.queue.front().map(|next| next.release)
    }
}

/// What a piece of work has taken so far: by what operations usually take and, where these are
/// many, by the clock.
#[derive(Debug, Default)]
struct Spent {
    usual_ns: u64,
    /// What the clock said when it was read last, and what was usual then.
    read_ns: u64,
    usual_then_ns: u64,
}

impl Spent {
    /// True when so much more does not make packets wait for longer than they may. The first always
    /// does, and one long operation alone.
    fn has_room_for(&mut self, cost_ns: u64, outlet: &Outlet<'_>) -> bool {
        if self.usual_ns == 0 {
            return true;
        }
        if self.usual_ns - self.usual_then_ns >= READ_EVERY_NS {
            self.read_ns = outlet.lasted().as_nanos() as u64;
            self.usual_then_ns = self.usual_ns;
        }
        let by_clock_ns = self.read_ns + self.usual_ns - self.usual_then_ns;
        self.usual_ns.max(by_clock_ns) + cost_ns <= WORK_NS_MAX
    }

    fn add(&mut self, cost_ns: u64) {
        self.usual_ns += cost_ns;
    }
}

/// What short operations may take together before packets have their turn: less than one long one.
const WORK_NS_MAX: u64 = 100_000;

/// After operations that usually take so long the clock is read.
const READ_EVERY_NS: u64 = 10_000;

/// Operations that cost more are measured.
const LONG_NS: u64 = 5_000;

/// Moments of 20 ms at which ticks begin.
const PHASES: usize = 8;

/// In this order they are taken, each as far from those before it as may be.
const PHASES_IN_TURN: [usize; PHASES] = [0, 4, 2, 6, 1, 5, 3, 7];

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ticks_begin_at_the_next_moment_of_their_phase() {
        for phase in 0..PHASES {
            for nanos in [0, 1, 2_499_999, 2_500_000, 7_000_001, 19_999_999] {
                let now = Instant::from_secs(1_800_000_000) + Duration::from_nanos(nanos);
                let at = next_at(now, phase);
                assert_eq!(phase_of(at), phase);
                assert!(at >= now && at.since(now) < TICK, "{phase} {nanos}");
                assert_eq!(next_at(at, phase), at);
                assert_eq!(phase_of(at + TICK), phase);
            }
        }
    }
}
