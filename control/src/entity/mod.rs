//! The functional entities of TS 23.002, one module each.
//!
//! An entity is a state machine: `handle(event, &mut actions)`. It does no I/O and reads no clock;
//! what it wants done it asks of [`Actions`]. Entities never call each other: a SIP message for
//! another entity goes through the [`Stack`], which passes it as a value when
//! that entity plays in the same process and as bytes when it does not, and so does a Cx request.

pub mod hss;
pub mod icscf;
pub mod mrfc;
pub mod pcscf;
mod restoration;
pub mod scscf;
#[cfg(test)]
pub(crate) mod testkit;

use std::collections::VecDeque;
use std::time::Duration;

use base::{Entropy, Instant, TimerId, TimerQueue};
use diameter::cx;
use sip::Message;
use sip::transaction::ServerId;

use crate::config::{ControlConfig, Role};
use crate::counters::Counters;
use crate::journal::Journal;
use crate::mgc::{AnchorEvent, AnchorId, Mgc, RoomEvent};
use crate::stack::{BranchId, Origin, Stack};

/// What happens to a SIP entity.
#[derive(Debug)]
pub enum Event {
    /// A request that opened a server transaction; ACK and CANCEL never come this way.
    Request {
        /// Where it came from.
        origin: Origin,
        /// The transaction to answer.
        server: ServerId,
        /// The request.
        request: Message,
    },
    /// The ACK of a 2xx: no transaction, to be forwarded as it is (RFC 3261 16.11).
    Ack {
        /// Where it came from.
        origin: Origin,
        /// The ACK.
        request: Message,
    },
    /// The INVITE of this transaction was cancelled; the CANCEL itself is answered already.
    Cancel {
        /// The transaction of the INVITE.
        server: ServerId,
    },
    /// A response to a request of ours.
    Response {
        /// The branch on which it came.
        branch: BranchId,
        /// The response as it came.
        response: Message,
        /// Our Via is still on top: it came from outside of this process.
        has_own_via: bool,
    },
    /// No final response will come; take it as this status (RFC 3261 16.8, 16.9).
    Failed {
        /// The branch.
        branch: BranchId,
        /// 408 when nothing answered, 503 when nothing was reached.
        status: u16,
    },
    /// The branch is over and its id void; always the last that is heard of it.
    Ended {
        /// The branch.
        branch: BranchId,
    },
    /// The HSS answered, or an error in its place.
    Cx {
        /// Given with the request.
        token: u64,
        /// The answer.
        answer: Box<cx::Answer>,
    },
    /// The HSS asks (RTR, PPR): answer with [`Actions::answer_cx`].
    CxRequest {
        /// Under which to answer.
        token: u64,
        /// What it asks.
        request: Box<cx::Request>,
    },
    /// The MGC has news of an anchor.
    Anchor {
        /// Which.
        anchor: AnchorId,
        /// The owner's name for it.
        owner: u64,
        /// The news.
        event: AnchorEvent,
    },
    /// The MGC has news of a room.
    Room(RoomEvent),
}

/// A timer of an entity.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Timer {
    /// Of the P-CSCF.
    Pcscf(pcscf::Timer),
    /// Of the I-CSCF.
    Icscf(icscf::Timer),
    /// Of the S-CSCF.
    Scscf(scscf::Timer),
    /// Of the MRFC.
    Mrfc(mrfc::Timer),
}

/// A Cx request that an entity sent and the node has to carry.
#[derive(Debug)]
pub struct CxCommand {
    /// Who asks.
    pub from: Role,
    /// Its name for the request.
    pub token: u64,
    /// The request.
    pub request: cx::Request,
}

/// What an entity can do.
pub struct Actions<'a> {
    /// The present.
    pub now: Instant,
    /// Randomness.
    pub entropy: &'a mut Entropy,
    /// The configuration.
    pub config: &'a ControlConfig,
    /// SIP: transactions, transports, other entities.
    pub stack: &'a mut Stack,
    /// Media, where this process anchors any.
    pub mgc: Option<&'a mut Mgc>,
    /// Counters.
    pub counters: &'a mut Counters,
    /// What a restart must not lose.
    pub journal: &'a mut Journal,
    pub(crate) timers: &'a mut TimerQueue<Timer>,
    pub(crate) cx: &'a mut VecDeque<CxCommand>,
    pub(crate) cx_answers: &'a mut VecDeque<(u64, cx::Answer)>,
}

impl Actions<'_> {
    /// Sets a timer.
    pub fn set_timer(&mut self, after: Duration, timer: Timer) -> TimerId {
        self.timers.set(self.now + after, timer)
    }

    /// Takes a timer back.
    pub fn cancel_timer(&mut self, timer: Option<TimerId>) {
        if let Some(timer) = timer {
            self.timers.cancel(timer);
        }
    }

    /// Sends a Cx request; [`Event::Cx`] with this token follows, always.
    pub fn send_cx(&mut self, from: Role, token: u64, request: cx::Request) {
        self.cx.push_back(CxCommand {
            from,
            token,
            request,
        });
    }

    /// Answers a request of the HSS.
    pub fn answer_cx(&mut self, token: u64, answer: cx::Answer) {
        self.cx_answers.push_back((token, answer));
    }
}

/// Refuses a request because a table is full (RFC 3261 21.5.4).
pub(crate) fn refuse_for_load(actions: &mut Actions<'_>, server: ServerId, request: &Message) {
    actions.stack.reject(actions.now, server, request, 503, "");
}
