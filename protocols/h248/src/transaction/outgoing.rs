//! Requests of ours and their replies.

use std::collections::BTreeMap;
use std::time::Duration;

use base::{Instant, TimerId};

use super::peer::Encoded;
use super::{
    Endpoint, Error, Failure, Output, PENDINGS_MAX, PeerAddress, RTO_MAX, SEGMENTS_MAX, Sender,
    T_MAX, Timer,
};
use crate::message::{
    ActionReply, ActionRequest, ReplyBody, Segment, Transaction, TransactionId, TransactionReply,
    TransactionRequest,
};

/// A request without final reply.
#[derive(Debug)]
pub(super) struct Request<T> {
    pub(super) peer: PeerAddress,
    token: T,
    encoded: Encoded,
    sent_at: Instant,
    /// Sent more than once: its delay tells nothing about the round trip.
    is_repeated: bool,
    /// A Pending or a segment came: the peer is at it.
    is_pending: bool,
    pendings: u32,
    interval: Duration,
    deadline: Instant,
    timer: TimerId,
    segments: BTreeMap<u16, TransactionReply>,
}

impl<T: Copy> Endpoint<T> {
    pub(super) fn start_request(
        &mut self,
        now: Instant,
        peer: PeerAddress,
        actions: Vec<ActionRequest>,
        token: T,
    ) -> Result<TransactionId, Error> {
        if !self.know(peer) {
            return Err(Error::TooManyPeers);
        }
        let id = self.unused_id();
        let Some(known) = self.peers.get_mut(&peer) else {
            return Err(Error::TooManyPeers);
        };
        if known.requests_len >= self.config.requests_max {
            return Err(Error::TooManyRequests);
        }
        let request = Transaction::Request(TransactionRequest { id, actions });
        let encoded = known.encode(&request).map_err(|_| Error::Unencodable)?;
        if encoded.len() > known.transaction_len_max() {
            return Err(Error::TooLong);
        }
        known.requests_len += 1;
        let deadline = now + T_MAX;
        let interval = known.rto();
        let first = if known.is_datagram() {
            now + interval
        } else {
            deadline
        };
        self.queue_encoded(peer, &encoded);
        let timer = self.set_timer(first.min(deadline), Timer::Repeat(id));
        let request = Request {
            peer,
            token,
            encoded,
            sent_at: now,
            is_repeated: false,
            is_pending: false,
            pendings: 0,
            interval,
            deadline,
            timer,
            segments: BTreeMap::new(),
        };
        self.requests.insert(id, request);
        self.counters.requests_sent += 1;
        Ok(id)
    }

    /// The next number that no request of ours has. Zero is none.
    fn unused_id(&mut self) -> TransactionId {
        loop {
            let id = self.next_id;
            self.next_id = TransactionId(id.0.checked_add(1).unwrap_or(1));
            if !self.requests.contains_key(&id) {
                return id;
            }
        }
    }

    pub(super) fn repeat_request(&mut self, now: Instant, id: TransactionId) {
        let Some(request) = self.requests.get(&id) else {
            return;
        };
        if now >= request.deadline {
            self.counters.timeouts += 1;
            self.fail_request(id, Failure::Timeout);
            return;
        }
        let (peer, is_pending, deadline) = (request.peer, request.is_pending, request.deadline);
        let Some(known) = self.peers.get_mut(&peer) else {
            return;
        };
        let next = if !known.is_datagram() {
            deadline
        } else {
            // After a Pending the interval stays, Annex D.1.4.
            let interval = if is_pending {
                known.association.execution_time
            } else {
                (request.interval * 2).min(RTO_MAX)
            };
            known.queue_encoded(&request.encoded);
            self.make_ready(peer);
            self.counters.requests_repeated += 1;
            let delay = self.spread(interval);
            if let Some(request) = self.requests.get_mut(&id) {
                request.interval = interval;
                request.is_repeated = true;
            }
            now + delay.max(Duration::from_millis(1))
        };
        let timer = self.set_timer(next.min(deadline), Timer::Repeat(id));
        if let Some(request) = self.requests.get_mut(&id) {
            request.timer = timer;
        }
    }

    /// Sends every request to `peer` again that has no reply.
    pub(super) fn repeat_requests(&mut self, peer: PeerAddress) {
        let Some(known) = self.peers.get_mut(&peer) else {
            return;
        };
        let waiting = self.requests.values_mut().filter(|it| it.peer == peer);
        let mut repeated = 0;
        for request in waiting {
            request.is_repeated = true;
            known.queue_encoded(&request.encoded);
            repeated += 1;
        }
        self.counters.requests_repeated += repeated;
        if repeated > 0 {
            self.make_ready(peer);
        }
    }

    pub(super) fn handle_pending(&mut self, now: Instant, sender: &Sender<'_>, id: TransactionId) {
        if !self.is_asked(sender.from, id) {
            return;
        }
        self.prolong(now, id);
        if let Some(request) = self.requests.get(&id) {
            self.events.push_back(Output::Pending {
                token: request.token,
            });
        }
    }

    /// The peer is at it: repeats seldom from now on and waits T-MAX anew, [`PENDINGS_MAX`] times
    /// at most.
    fn prolong(&mut self, now: Instant, id: TransactionId) {
        let Some(request) = self.requests.get_mut(&id) else {
            return;
        };
        let Some(known) = self.peers.get(&request.peer) else {
            return;
        };
        request.is_pending = true;
        request.pendings += 1;
        if request.pendings <= PENDINGS_MAX {
            request.deadline = now + T_MAX;
        }
        self.timers.cancel(request.timer);
        let next = if known.is_datagram() {
            (now + known.association.execution_time).min(request.deadline)
        } else {
            request.deadline
        };
        request.timer = self.timers.set(next, Timer::Repeat(id));
    }

    pub(super) fn handle_reply(
        &mut self,
        now: Instant,
        sender: &Sender<'_>,
        reply: TransactionReply,
    ) {
        let (from, id) = (sender.from, reply.id);
        if let Some(segment) = reply.segment {
            self.queue(from, &Transaction::SegmentReply(id, segment));
        }
        if !self.is_asked(from, id) {
            // Our acknowledgement may have been lost.
            self.counters.replies_unexpected += 1;
            if reply.imm_ack_required {
                self.acknowledge(now, from, id, true);
            }
            return;
        }
        let reply = match reply.segment {
            Some(segment) => match self.add_segment(now, id, segment, reply) {
                Some(whole) => whole,
                None => return,
            },
            None => reply,
        };
        let Some(request) = self.remove_request(id) else {
            return;
        };
        if let Some(known) = self.peers.get_mut(&from) {
            if !request.is_repeated && !request.is_pending {
                known.rtt.sample(now.since(request.sent_at));
            }
            let at_once = reply.imm_ack_required || request.is_pending;
            let acknowledges = known.association.acknowledge_after.is_some();
            if known.is_datagram() && (at_once || acknowledges) || reply.imm_ack_required {
                self.acknowledge(now, from, id, at_once);
            }
        }
        let mid = sender.mid.clone();
        self.events.push_back(Output::Reply {
            token: request.token,
            id,
            mid,
            body: reply.body,
        });
    }

    fn acknowledge(&mut self, now: Instant, peer: PeerAddress, id: TransactionId, at_once: bool) {
        let Some(known) = self.peers.get_mut(&peer) else {
            return;
        };
        if known.acknowledge(id, at_once) {
            let delay = known.association.acknowledge_after.unwrap_or_default();
            known.set_acknowledge_timer(self.timers.set(now + delay, Timer::Acknowledge(peer)));
        } else if known.acknowledges_now() {
            self.make_ready(peer);
        }
    }

    /// Keeps a segment; the whole reply once all segments are there.
    fn add_segment(
        &mut self,
        now: Instant,
        id: TransactionId,
        segment: Segment,
        reply: TransactionReply,
    ) -> Option<TransactionReply> {
        if segment.number == 0 || segment.number > SEGMENTS_MAX {
            return None;
        }
        self.prolong(now, id);
        let segments = &mut self.requests.get_mut(&id)?.segments;
        segments.entry(segment.number).or_insert(reply);
        let (&last, reply) = segments.last_key_value()?;
        if !reply.segment?.complete || segments.len() != usize::from(last) {
            return None;
        }
        let segments = std::mem::take(segments);
        let imm_ack_required = segments.values().any(|reply| reply.imm_ack_required);
        let mut actions: Vec<ActionReply> = Vec::new();
        for reply in segments.into_values() {
            match reply.body {
                ReplyBody::Error(_) => {
                    return Some(TransactionReply {
                        segment: None,
                        ..reply
                    });
                }
                ReplyBody::Actions(more) => more.into_iter().for_each(|a| append(&mut actions, a)),
            }
        }
        let body = ReplyBody::Actions(actions);
        Some(TransactionReply {
            id,
            imm_ack_required,
            segment: None,
            body,
        })
    }

    /// True when `id` is a request of ours that `peer` is to answer.
    pub(super) fn is_asked(&self, peer: PeerAddress, id: TransactionId) -> bool {
        self.requests
            .get(&id)
            .is_some_and(|request| request.peer == peer)
    }

    pub(super) fn fail_request(&mut self, id: TransactionId, reason: Failure) {
        if let Some(request) = self.remove_request(id) {
            self.events.push_back(Output::Failed {
                token: request.token,
                id,
                reason,
            });
            self.forget_stranger(request.peer);
        }
    }

    fn remove_request(&mut self, id: TransactionId) -> Option<Request<T>> {
        let request = self.requests.remove(&id)?;
        self.timers.cancel(request.timer);
        if let Some(known) = self.peers.get_mut(&request.peer) {
            known.requests_len -= 1;
        }
        Some(request)
    }
}

/// Appends an action of a further segment; it goes on with the last action when the context is the
/// same.
pub(super) fn append(actions: &mut Vec<ActionReply>, action: ActionReply) {
    match actions.last_mut() {
        Some(last) if last.context == action.context && last.error.is_none() => {
            last.commands.extend(action.commands);
            last.error = action.error;
        }
        _ => actions.push(action),
    }
}
