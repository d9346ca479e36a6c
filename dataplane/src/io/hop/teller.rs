//! The other end of a worker's rings.

use super::egress::{ANSWERS_MAX, Answer, Egresses, REQUESTS_MAX, Request};
use super::{Hop, HopId};
use rtrb::{Consumer, Producer, RingBuffer};
use std::collections::{BTreeSet, VecDeque};

/// Tells one worker what it asked for and what has changed, as far as its ring has room; the rest
/// waits here. All of it is bounded: a worker that sleeps takes nothing for as long as it likes.
pub(in crate::io) struct Teller {
    requests: Consumer<Request>,
    answers: Producer<Answer>,
    tables: Option<Answer>,
    hops: BTreeSet<HopId>,
    /// Answers to requests, of which no more are taken before these are gone.
    ways: VecDeque<Answer>,
}

impl Teller {
    /// The two ends of the rings of a worker with so many flows.
    pub(in crate::io) fn new(flows: usize) -> (Self, Egresses) {
        let (request, requests) = RingBuffer::new(REQUESTS_MAX);
        let (answers, answer) = RingBuffer::new(ANSWERS_MAX);
        let teller = Self::on(requests, answers);
        (teller, Egresses::new(flows, request, answer))
    }

    fn on(requests: Consumer<Request>, answers: Producer<Answer>) -> Self {
        Self {
            requests,
            answers,
            tables: None,
            hops: BTreeSet::new(),
            ways: VecDeque::new(),
        }
    }

    /// The next thing that the worker wants to know, unless too many answers wait.
    pub(in crate::io) fn next_request(&mut self) -> Option<Request> {
        if self.ways.len() >= WAYS_MAX {
            return None;
        }
        self.requests.pop().ok()
    }

    /// Answers a request.
    pub(in crate::io) fn answer(&mut self, request: &Request, hop: HopId) {
        self.ways.push_back(Answer::Way {
            flow: request.flow,
            destination: request.destination,
            version: request.version,
            hop,
        });
    }

    /// A next hop is not what it was.
    pub(in crate::io) fn hop_changed(&mut self, hop: HopId) {
        self.hops.insert(hop);
    }

    /// Ways may have changed.
    pub(in crate::io) fn tables_changed(&mut self, version: u64) {
        // What is not told yet and weighs more stays.
        let tables = match self.tables {
            Some(Answer::Forgotten { .. }) => Answer::Forgotten { version },
            _ => Answer::Changed { version },
        };
        self.tables = Some(tables);
    }

    /// All ways and next hops are forgotten.
    pub(in crate::io) fn forget(&mut self, version: u64) {
        self.tables = Some(Answer::Forgotten { version });
        self.hops.clear();
        self.ways.clear();
    }

    /// True when there is something to be done that did not fit before.
    pub(in crate::io) fn is_behind(&self) -> bool {
        let full = self.answers.slots() == 0;
        let waits = self.tables.is_some() || !self.hops.is_empty() || !self.ways.is_empty();
        (waits && !full) || (!self.requests.is_empty() && self.ways.len() < WAYS_MAX)
    }

    /// Tells as much as there is room for: tables, then next hops as `told` says they are, then
    /// ways that lead to these. True when it told anything.
    pub(in crate::io) fn flush(&mut self, told: impl Fn(HopId) -> Option<Hop>) -> bool {
        let before = self.answers.slots();
        self.flush_in_order(told);
        self.answers.slots() < before
    }

    fn flush_in_order(&mut self, told: impl Fn(HopId) -> Option<Hop>) {
        if let Some(tables) = self.tables
            && self.answers.push(tables).is_ok()
        {
            self.tables = None;
        }
        if self.tables.is_some() {
            return;
        }
        while let Some(id) = self.hops.first().copied() {
            let hop = told(id).unwrap_or(Hop::Slow);
            if self.answers.push(Answer::Hop { id, hop }).is_err() {
                return;
            }
            self.hops.pop_first();
        }
        while let Some(way) = self.ways.pop_front() {
            if self.answers.push(way).is_err() {
                self.ways.push_front(way);
                return;
            }
        }
    }
}

/// Answers to requests that one worker has not taken.
const WAYS_MAX: usize = 64;

#[cfg(test)]
mod tests {
    use super::*;
    use crate::FlowId;
    use std::net::SocketAddr;

    const HOP: HopId = HopId(2);

    fn destination() -> SocketAddr {
        "198.51.100.7:4000".parse().unwrap()
    }

    fn request(flow: u32) -> Request {
        Request {
            flow: FlowId(flow),
            source: [192, 0, 2, 1].into(),
            destination: destination(),
            version: 1,
        }
    }

    fn way(flow: u32, hop: HopId) -> Answer {
        Answer::Way {
            flow: FlowId(flow),
            destination: destination(),
            version: 1,
            hop,
        }
    }

    fn teller(room: usize) -> (Teller, Consumer<Answer>, Producer<Request>) {
        let (request, requests) = RingBuffer::new(2 * WAYS_MAX);
        let (answers, answer) = RingBuffer::new(room);
        (Teller::on(requests, answers), answer, request)
    }

    fn told(answers: &mut Consumer<Answer>) -> Vec<Answer> {
        std::iter::from_fn(|| answers.pop().ok()).collect()
    }

    #[test]
    fn a_worker_that_sleeps_is_told_the_latest_when_it_wakes() {
        let (mut teller, mut answers, _requests) = teller(1);
        let mut state = Hop::Slow;
        for version in 1..100 {
            state = if version % 2 == 0 {
                Hop::Slow
            } else {
                Hop::Unreachable
            };
            teller.hop_changed(HOP);
            teller.tables_changed(version);
            teller.flush(|_| Some(state));
        }
        assert_eq!(teller.hops.len(), 1);
        let mut last = None;
        while let Ok(answer) = answers.pop() {
            last = Some(answer);
            assert!(teller.is_behind() || teller.hops.is_empty());
            teller.flush(|_| Some(state));
        }
        let hop = state;
        assert_eq!(last, Some(Answer::Hop { id: HOP, hop }));
        assert!(!teller.is_behind());
    }

    #[test]
    fn a_way_is_told_after_the_hop_that_it_leads_to() {
        let (mut teller, mut answers, _requests) = teller(8);
        teller.forget(2);
        teller.answer(&request(1), HOP);
        teller.hop_changed(HOP);
        assert!(teller.flush(|_| Some(Hop::Slow)));
        let hop = Hop::Slow;
        assert_eq!(
            told(&mut answers),
            [
                Answer::Forgotten { version: 2 },
                Answer::Hop { id: HOP, hop },
                way(1, HOP)
            ]
        );
        assert!(!teller.flush(|_| None));
    }

    #[test]
    fn what_is_forgotten_is_not_told() {
        let (mut teller, mut answers, _requests) = teller(8);
        teller.answer(&request(1), HOP);
        teller.hop_changed(HOP);
        teller.forget(2);
        teller.tables_changed(3);
        teller.flush(|_| Some(Hop::Slow));
        assert_eq!(told(&mut answers), [Answer::Forgotten { version: 3 }]);
    }

    #[test]
    fn no_more_is_taken_while_answers_wait() {
        let (mut teller, mut answers, mut requests) = teller(1);
        for flow in 0..2 * WAYS_MAX as u32 {
            requests.push(request(flow)).unwrap();
        }
        let mut taken = 0;
        while let Some(request) = teller.next_request() {
            teller.answer(&request, HopId::SLOW);
            taken += 1;
        }
        assert_eq!(taken, WAYS_MAX);
        teller.flush(|_| None);
        assert_eq!(told(&mut answers), [way(0, HopId::SLOW)]);
        assert!(teller.is_behind() && teller.next_request().is_some());
    }
}
