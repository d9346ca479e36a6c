//! Requests of others: execution at most once, Pending, and replies kept for repetitions.

use std::collections::BTreeMap;

use base::Instant;

use super::peer::{Encoded, Execution, KeptReply, Peer, Repetition, Sent};
use super::{
    Endpoint, Error, LONG_TIMER, Output, RTO_MAX, RequestHandle, SEGMENTS_MAX, Sender, T_MAX,
    Timer, segment, too_busy,
};
use crate::error::ErrorCode;
use crate::message::{
    ActionReply, ErrorDescriptor, ReplyBody, Segment, Transaction, TransactionId, TransactionReply,
    TransactionRequest,
};

impl<T: Copy> Endpoint<T> {
    pub(super) fn handle_request(
        &mut self,
        now: Instant,
        sender: &Sender<'_>,
        request: TransactionRequest,
    ) {
        let (from, id) = (sender.from, request.id);
        let handle = RequestHandle { peer: from, id };
        if id == TransactionId::UNKNOWN {
            self.counters.transactions_malformed += 1;
            self.refuse(
                from,
                id,
                ErrorDescriptor::new(ErrorCode::INCORRECT_IDENTIFIER),
            );
            return;
        }
        let Some(peer) = self.peers.get_mut(&from) else {
            return;
        };
        if peer.knows(id) {
            self.counters.duplicates += 1;
            if let Some(reply) = peer.replies.get(&id) {
                let parts = reply.sent.parts();
                self.counters.replies_repeated += 1;
                parts.iter().for_each(|part| self.queue_encoded(from, part));
            } else {
                self.send_pending(now, handle, false);
            }
            return;
        }
        let is_full = peer.executions.len() >= self.config.executions_max
            || peer.transactions_len() >= self.config.replies_max;
        if is_full {
            self.counters.requests_refused += 1;
            // Dropped, a datagram comes again. Refused, a late copy might be executed all the same.
            if !peer.is_datagram() {
                self.refuse(from, id, too_busy());
            }
            return;
        }
        let at = now + peer.association.provisional_timer;
        let timer = self.timers.set(at, Timer::Provisional(handle));
        peer.executions.insert(id, Execution { timer, pendings: 0 });
        self.counters.requests_received += 1;
        self.events.push_back(Output::Request {
            handle,
            mid: sender.mid.clone(),
            version: sender.version,
            actions: request.actions,
        });
    }

    /// Sends Pending because its time has come (`is_due`) or because the request came again, Annex
    /// D.1.4; beyond the limit, error 506.
    pub(super) fn send_pending(&mut self, now: Instant, handle: RequestHandle, is_due: bool) {
        let Some(peer) = self.peers.get_mut(&handle.peer) else {
            return;
        };
        let association = &peer.association;
        let Some(execution) = peer.executions.get_mut(&handle.id) else {
            return;
        };
        if execution.pendings >= association.pending_limit {
            self.counters.pending_limit_exceeded += 1;
            let error = ErrorDescriptor::new(ErrorCode::PENDING_EXCEEDED);
            // It is being executed, so it can be answered.
            let _ = self.finish_execution(now, handle, ReplyBody::Error(error));
            return;
        }
        execution.pendings += 1;
        if is_due {
            let at = now + association.provisional_timer;
            execution.timer = self.timers.set(at, Timer::Provisional(handle));
        }
        self.counters.pendings_sent += 1;
        self.queue(handle.peer, &Transaction::Pending(handle.id));
    }

    pub(super) fn finish_execution(
        &mut self,
        now: Instant,
        handle: RequestHandle,
        body: ReplyBody,
    ) -> Result<(), Error> {
        let peer = self
            .peers
            .get_mut(&handle.peer)
            .ok_or(Error::UnknownRequest)?;
        let execution = peer
            .executions
            .remove(&handle.id)
            .ok_or(Error::UnknownRequest)?;
        self.timers.cancel(execution.timer);
        let imm_ack_required =
            peer.is_datagram() && (execution.pendings > 0 || peer.association.imm_ack);
        let reply = TransactionReply {
            id: handle.id,
            imm_ack_required,
            segment: None,
            body,
        };
        let sent = encode_reply(peer, reply)?;
        sent.parts()
            .iter()
            .for_each(|part| peer.queue_encoded(part));
        let is_segmented = matches!(sent, Sent::Segments(_));
        let interval = match is_segmented {
            true => peer.association.segmentation_timer,
            false => peer.rto(),
        };
        let repeats = imm_ack_required || is_segmented && peer.is_datagram();
        let repetition = repeats.then(|| {
            Box::new(Repetition {
                timer: self.timers.set(now + interval, Timer::RepeatReply(handle)),
                interval,
                until: now + T_MAX,
            })
        });
        peer.replies
            .insert(handle.id, KeptReply { sent, repetition });
        self.make_ready(handle.peer);
        self.forget.push_back((now + LONG_TIMER, handle));
        Ok(())
    }

    /// Repeats a reply that insists on an acknowledgement, until T-MAX.
    pub(super) fn repeat_reply(&mut self, now: Instant, handle: RequestHandle) {
        let Some(peer) = self.peers.get_mut(&handle.peer) else {
            return;
        };
        let Some(reply) = peer.replies.get_mut(&handle.id) else {
            return;
        };
        let Some(repetition) = reply.repetition.take() else {
            return;
        };
        if now >= repetition.until {
            return;
        }
        let parts = reply.sent.parts();
        if parts.is_empty() {
            return;
        }
        let interval = (repetition.interval * 2).min(RTO_MAX);
        for part in &parts {
            self.queue_encoded(handle.peer, part);
        }
        self.counters.replies_repeated += 1;
        let at = (now + self.spread(interval)).min(repetition.until);
        let timer = self.set_timer(at, Timer::RepeatReply(handle));
        let peer = self.peers.get_mut(&handle.peer);
        if let Some(reply) = peer.and_then(|peer| peer.replies.get_mut(&handle.id)) {
            reply.repetition = Some(Box::new(Repetition {
                timer,
                interval,
                until: repetition.until,
            }));
        }
    }

    /// Drops replies that were received; their numbers stay known, Annex D.1.1.
    pub(super) fn handle_acknowledgement(
        &mut self,
        sender: &Sender<'_>,
        ranges: &[(TransactionId, TransactionId)],
    ) {
        let Some(peer) = self.peers.get_mut(&sender.from) else {
            return;
        };
        for &(first, last) in ranges {
            let ids: Vec<_> = peer
                .replies
                .range(first..=last)
                .map(|(&id, _)| id)
                .collect();
            for id in ids {
                if let Some(reply) = peer.replies.remove(&id) {
                    peer.acknowledged.insert(id);
                    if let Some(repetition) = reply.repetition {
                        self.timers.cancel(repetition.timer);
                    }
                }
            }
        }
    }

    /// A segment was received: it is not repeated any more.
    pub(super) fn handle_segment_reply(
        &mut self,
        sender: &Sender<'_>,
        id: TransactionId,
        number: u16,
    ) {
        let peer = self.peers.get_mut(&sender.from);
        let reply = peer.and_then(|peer| peer.replies.get_mut(&id));
        if let Some(reply) = reply
            && let Sent::Segments(segments) = &mut reply.sent
        {
            segments.remove(&number);
        }
    }

    /// LONG-TIMER is over.
    pub(super) fn forget_transaction(&mut self, handle: RequestHandle) {
        let Some(peer) = self.peers.get_mut(&handle.peer) else {
            return;
        };
        if let Some(reply) = peer.replies.remove(&handle.id) {
            if let Some(repetition) = reply.repetition {
                self.timers.cancel(repetition.timer);
            }
        } else {
            peer.acknowledged.remove(&handle.id);
        }
        self.forget_stranger(handle.peer);
    }
}

/// Encodes a reply: in segments if it is longer than a message and the version has them, else, or
/// when a part of it is longer, as an error.
fn encode_reply(peer: &mut Peer, reply: TransactionReply) -> Result<Sent, Error> {
    let len_max = peer.transaction_len_max();
    let (id, imm_ack_required) = (reply.id, reply.imm_ack_required);
    let whole = Transaction::Reply(reply);
    let error = match peer.encode(&whole) {
        Ok(encoded) if encoded.len() <= len_max => return Ok(Sent::Whole(encoded)),
        Ok(_) => {
            if let Some(segments) = encode_segments(peer, whole, len_max) {
                return Ok(Sent::Segments(segments));
            }
            ErrorDescriptor::new(ErrorCode::RESPONSE_TOO_BIG)
        }
        Err(unencodable) => {
            ErrorDescriptor::with_text(ErrorCode::NOT_IMPLEMENTED, unencodable.to_string())
        }
    };
    let refusal = Transaction::Reply(TransactionReply {
        id,
        imm_ack_required,
        segment: None,
        body: ReplyBody::Error(error),
    });
    let encoded = peer.encode(&refusal).map_err(|_| Error::Unencodable)?;
    Ok(Sent::Whole(encoded))
}

/// The segments of a reply, by number from 1; `None` when there can be none.
fn encode_segments(
    peer: &mut Peer,
    whole: Transaction,
    len_max: usize,
) -> Option<BTreeMap<u16, Encoded>> {
    let Transaction::Reply(TransactionReply {
        id,
        imm_ack_required,
        body: ReplyBody::Actions(actions),
        ..
    }) = whole
    else {
        return None;
    };
    if peer.association.version < 3 {
        return None;
    }
    let mut segment = |number, complete, actions| {
        let reply = TransactionReply {
            id,
            imm_ack_required: imm_ack_required && complete,
            segment: Some(Segment { number, complete }),
            body: ReplyBody::Actions(actions),
        };
        peer.encode(&Transaction::Reply(reply)).ok()
    };
    // As long as any: the largest number, and the last.
    let len = |actions: &[ActionReply]| {
        let longest = segment(SEGMENTS_MAX, true, actions.to_vec())?;
        Some(longest.len())
    };
    let parts = segment::split(actions, len_max, len)?;
    let last = parts.len();
    (1..)
        .zip(parts)
        .map(|(number, part)| {
            let encoded = segment(number, usize::from(number) == last, part)?;
            (encoded.len() <= len_max).then_some((number, encoded))
        })
        .collect()
}
