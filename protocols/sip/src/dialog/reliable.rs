//! What user agents repeat themselves: 2xx to INVITE (RFC 3261 13.3.1.4) and reliable provisional
//! responses (RFC 3262).

use std::collections::VecDeque;
use std::time::Duration;

use base::{Entropy, Instant};

use crate::header::{CSeq, RAck};
use crate::transaction::Timers;
use crate::{Draft, EditError, HeaderName, Message};

/// A response sent again at doubling intervals until it is acknowledged or 64·T1 have passed.
///
/// For a 2xx to INVITE the interval stops growing at T2, and transports make no difference: one hop
/// may be reliable and the next not (RFC 3261 13.3.1.4). For a reliable provisional response it
/// goes on doubling (RFC 3262 3).
#[derive(Clone, Debug)]
pub struct Retransmission {
    response: Message,
    interval: Duration,
    interval_max: Duration,
    next: Instant,
    end: Instant,
}

/// What [`Retransmission::handle_timeout`] asks for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Due {
    /// Send the response again.
    Again(Message),
    /// No acknowledgement in 64·T1: for 2xx send BYE, for a provisional response reject the INVITE
    /// with 5xx.
    Expired,
}

impl Retransmission {
    /// Of a 2xx to INVITE sent at `now`, until the ACK.
    pub fn of_success(now: Instant, timers: Timers, response: Message) -> Self {
        Self::new(now, timers, response, timers.t2())
    }

    /// Of a reliable provisional response sent at `now`, until the PRACK.
    pub fn of_provisional(now: Instant, timers: Timers, response: Message) -> Self {
        Self::new(now, timers, response, Duration::MAX)
    }

    fn new(now: Instant, timers: Timers, response: Message, interval_max: Duration) -> Self {
        Self {
            response,
            interval: timers.t1(),
            interval_max,
            next: now + timers.t1(),
            end: now + timers.t1_64(),
        }
    }

    /// The response.
    pub fn response(&self) -> &Message {
        &self.response
    }

    /// When to call [`Retransmission::handle_timeout`].
    pub fn next_timeout(&self) -> Instant {
        self.next.min(self.end)
    }

    /// What is due at `now`, if anything. After `Expired` drop it.
    pub fn handle_timeout(&mut self, now: Instant) -> Option<Due> {
        if now >= self.end {
            return Some(Due::Expired);
        }
        if now < self.next {
            return None;
        }
        self.interval = self.interval.saturating_mul(2).min(self.interval_max);
        self.next = now + self.interval;
        Some(Due::Again(self.response.clone()))
    }
}

/// The reliable provisional responses of one INVITE at its server, RFC 3262 3.
///
/// One at a time is on its way; others wait until its PRACK has come.
#[derive(Clone, Debug)]
pub struct Provisionals {
    timers: Timers,
    rseq: u32,
    sent: Option<Sent>,
    waiting: VecDeque<Draft>,
}

#[derive(Clone, Debug)]
struct Sent {
    rseq: u32,
    cseq: CSeq,
    /// None after the final response.
    retransmission: Option<Retransmission>,
}

/// Most reliable provisional responses that wait for the PRACK of another.
pub const PROVISIONALS_MAX: usize = 8;

/// What a PRACK meant.
#[derive(Clone, Debug)]
pub enum Acknowledgement {
    /// It acknowledges the response on its way: answer 2xx; send the next one, if there is one.
    Accepted(Option<Message>),
    /// It acknowledges nothing here: answer 481.
    Unmatched,
}

impl Provisionals {
    /// For one INVITE; the first RSeq is drawn below 2³¹ (RFC 3262 3).
    pub fn new(timers: Timers, entropy: &mut Entropy) -> Self {
        Self {
            timers,
            rseq: entropy.below(RSEQ_FIRST_MAX) as u32,
            sent: None,
            waiting: VecDeque::new(),
        }
    }

    /// Adds `Require: 100rel` and RSeq to a 101-199 and returns it for sending, or `None` when it
    /// must wait.
    ///
    /// # Errors
    /// The draft cannot be finished, or [`EditError::TooLong`] when [`PROVISIONALS_MAX`] wait.
    pub fn send(&mut self, now: Instant, response: Draft) -> Result<Option<Message>, EditError> {
        if self.sent.is_none() {
            return self.start(now, response).map(Some);
        }
        if self.waiting.len() == PROVISIONALS_MAX {
            return Err(EditError::TooLong);
        }
        self.waiting.push_back(response);
        Ok(None)
    }

    /// True while a PRACK is missing. A 2xx must wait for it when that response carried an offer or
    /// answer (RFC 3262 3).
    pub fn is_pending(&self) -> bool {
        let sent = self.sent.as_ref();
        sent.is_some_and(|sent| sent.retransmission.is_some())
    }

    /// Takes the RAck of a PRACK.
    ///
    /// # Errors
    /// The next response that waited cannot be finished.
    pub fn handle_prack(
        &mut self,
        now: Instant,
        rack: &RAck,
    ) -> Result<Acknowledgement, EditError> {
        let matches = |sent: &Sent| sent.rseq == rack.rseq && sent.cseq == rack.cseq;
        if !self.sent.as_ref().is_some_and(matches) {
            return Ok(Acknowledgement::Unmatched);
        }
        self.sent = None;
        let next = match self.waiting.pop_front() {
            Some(response) => Some(self.start(now, response)?),
            None => None,
        };
        Ok(Acknowledgement::Accepted(next))
    }

    /// The INVITE got its final response: nothing is repeated any more, but a PRACK on its way is
    /// still taken (RFC 3262 3).
    pub fn stop(&mut self) {
        if let Some(sent) = &mut self.sent {
            sent.retransmission = None;
        }
        self.waiting.clear();
    }

    /// When to call [`Provisionals::handle_timeout`].
    pub fn next_timeout(&self) -> Option<Instant> {
        let retransmission = self.sent.as_ref()?.retransmission.as_ref();
        retransmission.map(Retransmission::next_timeout)
    }

    /// What is due at `now`, if anything.
    pub fn handle_timeout(&mut self, now: Instant) -> Option<Due> {
        let retransmission = self.sent.as_mut()?.retransmission.as_mut()?;
        let due = retransmission.handle_timeout(now)?;
        if due == Due::Expired {
            self.sent = None;
            self.waiting.clear();
        }
        Some(due)
    }

    fn start(&mut self, now: Instant, mut response: Draft) -> Result<Message, EditError> {
        let rseq = self.rseq.saturating_add(1);
        let response = response
            .append(HeaderName::Require, "100rel")
            .append(HeaderName::RSeq, &rseq.to_string())
            .finish()?;
        let cseq = response.cseq().map_err(EditError::Source)?;
        self.rseq = rseq;
        let retransmission = Retransmission::of_provisional(now, self.timers, response.clone());
        self.sent = Some(Sent {
            rseq,
            cseq,
            retransmission: Some(retransmission),
        });
        Ok(response)
    }
}

/// First RSeq numbers are below 2³¹, so that counting up never wraps (RFC 3262 3).
const RSEQ_FIRST_MAX: u64 = 0x7fff_ffff;

/// The RSeq numbers of one early dialog at its client, RFC 3262 4.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct RseqWatch {
    last: Option<u32>,
}

/// Where a reliable provisional response stands in its order.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ReliableOrder {
    /// Acknowledge it and act on it.
    Next,
    /// Seen before: drop it.
    Again,
    /// One before it is missing: neither acknowledge it nor act on it.
    Early,
}

impl RseqWatch {
    /// Judges a response by its RSeq and remembers it when it is next.
    pub fn receive(&mut self, rseq: u32) -> ReliableOrder {
        match self.last {
            Some(last) if rseq <= last => ReliableOrder::Again,
            Some(last) if rseq - last > 1 => ReliableOrder::Early,
            _ => {
                self.last = Some(rseq);
                ReliableOrder::Next
            }
        }
    }
}
