//! What an endpoint keeps about one peer.

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::time::Duration;

use base::{Instant, TimerId, TimerQueue};

use super::{
    Association, BUNDLE_LEN_MAX, DATAGRAM_LEN_MAX, RTO_MAX, STREAM_BUNDLE_LEN_MAX, Timer, Transport,
};
use crate::binary::{self, Unencodable};
use crate::encoding::{Encoding, TRANSACTIONS_MAX};
use crate::message::{ErrorDescriptor, Message, MessageBody, Mid, Transaction, TransactionId};
use crate::text::{self, Style};
use crate::transport::tpkt;

/// Most acknowledgements that wait for a message to go with.
const ACKNOWLEDGEMENTS_MAX: usize = 64;

/// Room that a message takes at first.
const MESSAGE_LEN_USUAL: usize = BUNDLE_LEN_MAX + 100;

/// One peer: association, round trip estimate, its requests, and what is queued for it.
#[derive(Debug)]
pub(super) struct Peer {
    pub(super) association: Association,
    /// No association was set for it: it is forgotten when it is idle.
    pub(super) is_stranger: bool,
    pub(super) rtt: RoundTrip,
    /// Requests of ours to it without final reply.
    pub(super) requests_len: usize,
    /// Its requests that are being executed.
    pub(super) executions: BTreeMap<TransactionId, Execution>,
    /// Its requests that were answered, with the answer.
    pub(super) replies: BTreeMap<TransactionId, KeptReply>,
    /// Its requests whose answer it acknowledged.
    pub(super) acknowledged: BTreeSet<TransactionId>,
    /// Standing in the endpoint's list of peers with something queued.
    pub(super) is_ready: bool,
    /// To be sent as a message of its own, in this encoding.
    message_error: Option<(ErrorDescriptor, Encoding)>,
    /// Our mId.
    mid: Mid,
    /// How we write to it.
    encoding: Encoding,
    /// Its last message was binary.
    heard_binary: Option<bool>,
    /// What stands before transactions in text.
    header: Vec<u8>,
    /// Transactions to send, one behind the other, and where each ends.
    queue: Vec<u8>,
    ends: VecDeque<End>,
    /// Room to write a transaction in.
    scratch: Vec<u8>,
    /// Replies to acknowledge.
    acknowledgements: Vec<TransactionId>,
    acknowledge_now: bool,
    acknowledge_timer: Option<TimerId>,
}

/// Where a queued transaction ends.
#[derive(Debug)]
struct End {
    at: usize,
    is_binary: bool,
    /// No other transaction may follow in the same message.
    is_last: bool,
}

/// A transaction as it goes into messages of one encoding.
#[derive(Clone, Debug)]
pub(super) struct Encoded {
    octets: Box<[u8]>,
    is_binary: bool,
}

impl Encoded {
    pub(super) fn len(&self) -> usize {
        self.octets.len()
    }
}

/// A request that is being executed.
#[derive(Debug)]
pub(super) struct Execution {
    /// When Pending is due.
    pub(super) timer: TimerId,
    /// Pendings sent.
    pub(super) pendings: u32,
}

/// An answer kept for LONG-TIMER.
#[derive(Debug)]
pub(super) struct KeptReply {
    /// The transaction as it was sent, or its segments that are not acknowledged.
    pub(super) sent: Sent,
    /// Present while it insists on an acknowledgement.
    pub(super) repetition: Option<Box<Repetition>>,
}

/// A reply as it was sent.
#[derive(Debug)]
pub(super) enum Sent {
    /// In one transaction.
    Whole(Encoded),
    /// In segments: those that are not acknowledged, by number.
    Segments(BTreeMap<u16, Encoded>),
}

impl Sent {
    pub(super) fn parts(&self) -> Vec<Encoded> {
        match self {
            Self::Whole(encoded) => vec![encoded.clone()],
            Self::Segments(segments) => segments.values().cloned().collect(),
        }
    }
}

/// Repetition of something until it is acknowledged.
#[derive(Debug)]
pub(super) struct Repetition {
    pub(super) timer: TimerId,
    pub(super) interval: Duration,
    pub(super) until: Instant,
}

impl Peer {
    pub(super) fn new(association: Association, mid: &Mid, is_stranger: bool) -> Self {
        let mut peer = Self {
            rtt: RoundTrip::default(),
            is_stranger,
            requests_len: 0,
            executions: BTreeMap::new(),
            replies: BTreeMap::new(),
            acknowledged: BTreeSet::new(),
            is_ready: false,
            message_error: None,
            mid: mid.clone(),
            encoding: association.encoding,
            heard_binary: None,
            header: Vec::new(),
            queue: Vec::new(),
            ends: VecDeque::new(),
            scratch: Vec::new(),
            acknowledgements: Vec::new(),
            acknowledge_now: false,
            acknowledge_timer: None,
            association: association.clone(),
        };
        peer.set_association(association, mid);
        peer
    }

    pub(super) fn set_association(&mut self, association: Association, mid: &Mid) {
        self.association = association;
        self.header.clear();
        self.encoding = self.encoding_like(self.heard_binary);
        let style = match self.encoding_like(Some(false)) {
            Encoding::Text(style) => style,
            Encoding::Binary => Style::default(),
        };
        let version = self.association.version;
        text::write_header(None, version, mid, style, &mut self.header);
    }

    /// Notes how a message of the peer was encoded.
    pub(super) fn hear(&mut self, is_binary: bool) {
        self.heard_binary = Some(is_binary);
        self.encoding = self.encoding_like(self.heard_binary);
    }

    /// How it is written to.
    pub(super) fn encoding(&self) -> Encoding {
        self.encoding
    }

    /// How to write to a peer that wrote so.
    fn encoding_like(&self, heard_binary: Option<bool>) -> Encoding {
        let configured = self.association.encoding;
        match (heard_binary, configured) {
            (Some(true), _) if self.association.follow_peer => Encoding::Binary,
            (Some(false), Encoding::Binary) if self.association.follow_peer => Encoding::default(),
            _ => configured,
        }
    }

    pub(super) fn set_message_error(&mut self, error: ErrorDescriptor, is_binary: bool) {
        self.message_error = Some((error, self.encoding_like(Some(is_binary))));
    }

    /// Octets that a transaction may have.
    pub(super) fn transaction_len_max(&self) -> usize {
        let message_len_max = match self.association.transport {
            Transport::Datagram => DATAGRAM_LEN_MAX,
            Transport::Reliable => tpkt::MESSAGE_LEN_MAX,
        };
        message_len_max
            .min(self.association.message_len_max)
            .saturating_sub(self.overhead(self.encoding))
    }

    /// Octets that messages have beside transactions, at most.
    fn overhead(&self, encoding: Encoding) -> usize {
        match encoding {
            Encoding::Text(_) => self.header.len(),
            Encoding::Binary => binary::message_overhead_max(&self.mid),
        }
    }

    pub(super) fn is_datagram(&self) -> bool {
        self.association.transport == Transport::Datagram
    }

    /// Time to the first repetition.
    pub(super) fn rto(&self) -> Duration {
        let measured = self.rtt.rto().unwrap_or(self.association.rto_initial);
        measured.clamp(self.association.rto_min.min(RTO_MAX), RTO_MAX)
    }

    /// True when the request `id` of this peer was seen less than LONG-TIMER after its answer.
    pub(super) fn knows(&self, id: TransactionId) -> bool {
        self.executions.contains_key(&id)
            || self.replies.contains_key(&id)
            || self.acknowledged.contains(&id)
    }

    pub(super) fn transactions_len(&self) -> usize {
        self.executions.len() + self.replies.len() + self.acknowledged.len()
    }

    pub(super) fn is_idle(&self) -> bool {
        self.requests_len == 0
            && self.transactions_len() == 0
            && !self.is_ready
            && self.acknowledgements.is_empty()
    }

    /// Every timer that is set on its behalf, but those of our requests.
    pub(super) fn timers(&self) -> impl Iterator<Item = TimerId> {
        let executions = self.executions.values().map(|execution| execution.timer);
        let replies = self
            .replies
            .values()
            .filter_map(|reply| reply.repetition.as_ref());
        executions
            .chain(replies.map(|repetition| repetition.timer))
            .chain(self.acknowledge_timer)
    }

    // Queueing.

    pub(super) fn encode(&mut self, transaction: &Transaction) -> Result<Encoded, Unencodable> {
        let mut scratch = std::mem::take(&mut self.scratch);
        scratch.clear();
        let encoded = self.write(transaction, &mut scratch).map(|()| Encoded {
            octets: Box::from(scratch.as_slice()),
            is_binary: self.encoding == Encoding::Binary,
        });
        self.scratch = scratch;
        encoded
    }

    fn write(&self, transaction: &Transaction, out: &mut Vec<u8>) -> Result<(), Unencodable> {
        match self.encoding {
            Encoding::Text(style) => text::write_transaction(transaction, style, out),
            Encoding::Binary => {
                binary::write_transaction(transaction, &self.association.naming, out)?;
            }
        }
        Ok(())
    }

    /// Queues a transaction that consists of numbers and an error at most: there is room for these
    /// in every encoding.
    pub(super) fn queue(&mut self, transaction: &Transaction) {
        let mut queue = std::mem::take(&mut self.queue);
        let written = self.write(transaction, &mut queue);
        debug_assert_eq!(written, Ok(()));
        self.queue = queue;
        let is_binary = self.encoding == Encoding::Binary;
        let is_segment_reply = matches!(transaction, Transaction::SegmentReply(..));
        self.ends.push_back(End {
            at: self.queue.len(),
            is_binary,
            is_last: is_segment_reply && !is_binary,
        });
    }

    pub(super) fn queue_encoded(&mut self, encoded: &Encoded) {
        self.queue.extend_from_slice(&encoded.octets);
        self.ends.push_back(End {
            at: self.queue.len(),
            is_binary: encoded.is_binary,
            is_last: false,
        });
    }

    /// Notes that `id` is to be acknowledged; true when a timer is to be set by
    /// `set_acknowledge_timer`.
    pub(super) fn acknowledge(&mut self, id: TransactionId, at_once: bool) -> bool {
        self.acknowledgements.push(id);
        self.acknowledge_now |= at_once || self.acknowledgements.len() >= ACKNOWLEDGEMENTS_MAX;
        !self.acknowledge_now && self.acknowledge_timer.is_none()
    }

    pub(super) fn set_acknowledge_timer(&mut self, timer: TimerId) {
        self.acknowledge_timer = Some(timer);
    }

    pub(super) fn acknowledges_now(&self) -> bool {
        self.acknowledge_now
    }

    /// The acknowledgements' timer fired.
    pub(super) fn acknowledge_now(&mut self) {
        self.acknowledge_timer = None;
        self.acknowledge_now = true;
    }

    /// A message of what is queued; `None` when nothing is, and then the peer is no longer ready.
    pub(super) fn next_message(&mut self, timers: &mut TimerQueue<Timer>) -> Option<Vec<u8>> {
        if let Some((error, encoding)) = self.message_error.take() {
            let message = Message {
                auth: None,
                version: self.association.version,
                mid: self.mid.clone(),
                body: MessageBody::Error(error),
            };
            return encoding.to_vec(&message, &self.association.naming).ok();
        }
        let acknowledges = self.acknowledge_now && !self.acknowledgements.is_empty();
        if self.ends.is_empty() && !acknowledges {
            self.acknowledge_now = false;
            self.is_ready = false;
            return None;
        }
        let here = self.encoding == Encoding::Binary;
        let is_binary = self.ends.front().map_or(here, |end| end.is_binary);
        let mut message =
            Vec::with_capacity(MESSAGE_LEN_USUAL.min(self.header.len() + self.queue.len()));
        if !is_binary {
            message.extend_from_slice(&self.header);
        }
        let begin = message.len();
        if !self.acknowledgements.is_empty() && is_binary == here {
            self.write_acknowledgements(&mut message);
            if let Some(timer) = self.acknowledge_timer.take() {
                timers.cancel(timer);
            }
            self.acknowledge_now = false;
        }
        self.bundle(&mut message, begin, is_binary);
        if !is_binary {
            return Some(message);
        }
        let mut wrapped = Vec::with_capacity(message.len() + self.overhead(Encoding::Binary));
        let version = self.association.version;
        binary::wrap_transactions(version, &self.mid, &message, &mut wrapped);
        Some(wrapped)
    }

    fn write_acknowledgements(&mut self, out: &mut Vec<u8>) {
        self.acknowledgements.sort_unstable();
        self.acknowledgements.dedup();
        let mut ranges: Vec<(TransactionId, TransactionId)> = Vec::new();
        for id in self.acknowledgements.drain(..) {
            match ranges.last_mut() {
                Some((_, last)) if last.0.checked_add(1) == Some(id.0) => *last = id,
                _ => ranges.push((id, id)),
            }
        }
        let written = self.write(&Transaction::ResponseAck(ranges), out);
        debug_assert_eq!(written, Ok(()));
    }

    /// Moves transactions of one encoding from the queue into `message`, as many as fit; what
    /// stands in it from `begin` on are acknowledgements.
    fn bundle(&mut self, message: &mut Vec<u8>, begin: usize, is_binary: bool) {
        let len_max = match self.association.transport {
            Transport::Datagram => BUNDLE_LEN_MAX,
            Transport::Reliable => STREAM_BUNDLE_LEN_MAX,
        }
        .min(self.association.message_len_max);
        let overhead = match is_binary {
            true => binary::message_overhead_max(&self.mid),
            false => self.header.len(),
        };
        let acknowledgements = message.len() - begin;
        let head = overhead + acknowledgements;
        let has_acknowledgements = acknowledgements > 0;
        let mut taken = 0;
        for count in 0..TRANSACTIONS_MAX - 1 {
            let Some(end) = self.ends.front().filter(|end| end.is_binary == is_binary) else {
                break;
            };
            let is_first = count == 0 && !has_acknowledgements;
            if !is_first && head + end.at > len_max {
                break;
            }
            taken = end.at;
            let is_last = end.is_last;
            self.ends.pop_front();
            if is_last {
                break;
            }
        }
        message.extend_from_slice(&self.queue[..taken]);
        self.queue.drain(..taken);
        for end in &mut self.ends {
            end.at -= taken;
        }
    }
}

/// Round trip estimate, Annex D.1.3: average and mean deviation of the acknowledgement delay, as in
/// RFC 6298.
#[derive(Debug, Default)]
pub(super) struct RoundTrip {
    /// Average acknowledgement delay and average deviation, in nanoseconds.
    estimate: Option<(u64, u64)>,
}

impl RoundTrip {
    /// Takes the delay of a request that was sent only once.
    pub(super) fn sample(&mut self, delay: Duration) {
        let delay = u64::try_from(delay.as_nanos())
            .unwrap_or(u64::MAX / 8)
            .min(u64::MAX / 8);
        self.estimate = Some(match self.estimate {
            None => (delay, delay / 2),
            Some((average, deviation)) => {
                let difference = average.abs_diff(delay);
                (
                    average - average / 8 + delay / 8,
                    deviation - deviation / 4 + difference / 4,
                )
            }
        });
    }

    /// Average and four deviations; `None` before the first sample.
    pub(super) fn rto(&self) -> Option<Duration> {
        self.estimate
            .map(|(average, deviation)| Duration::from_nanos(average + 4 * deviation))
    }
}
