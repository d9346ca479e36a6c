//! The transaction layer: RFC 3261 17 with RFC 6026 (2xx to INVITE), RFC 4320 (non-INVITE) and RFC
//! 3581.
//!
//! One [`Layer`] holds all transactions of a node. It does no I/O: received messages go in by
//! [`Layer::handle_message`], which says what they are; everything to be sent comes out of
//! [`Layer::poll_output`]. After every `&mut` call, drain `poll_output`; between calls, sleep until
//! [`Layer::next_timeout`].
//!
//! A [`Hop`] is the caller's word for "this transport to that peer". The layer keeps it and gives
//! it back. Where both ends of a hop are users of the same layer, the messages between them are
//! handed over as values: such a transaction is found by its id, so it needs neither Via nor branch
//! and no message is written for its CANCEL and ACK ([`Output::HandOver`], [`Output::Cancelled`]).
//!
//! What it does not do: choose where to send ([`crate::locate`]), put Via on top of a request,
//! retransmit 2xx to INVITE ([`crate::dialog`]), or limit the time of an INVITE that is ringing
//! (Timer C of a proxy).

mod client;
mod key;
mod layer;
mod lingering;
mod server;
mod timers;

use std::fmt;
use std::time::Duration;

use base::SlabId;

use crate::header::Transport;
use crate::{EditError, Invalid, Message};

pub use client::ClientState;
pub use layer::Layer;
pub use server::ServerState;
pub use timers::Timers;

/// A transport and a peer, as the caller names them.
pub trait Hop: Clone {
    /// True where nothing gets lost or doubled on the way: TCP, TLS, SCTP, within the process. No
    /// Timer A, E, G; D, I, J and K are zero.
    fn is_reliable(&self) -> bool;

    /// True where the other end is a user of the same layer.
    fn is_local(&self) -> bool {
        false
    }

    /// T1, T2 and T4 of the interface.
    fn timers(&self) -> Timers {
        Timers::CORE
    }

    /// Whether what came on `received` may belong to a transaction of this hop: a response comes
    /// from where its request went (RFC 3581 4), CANCEL and ACK from where the INVITE came from.
    /// What may not is stray.
    fn is_peer(&self, received: &Self) -> bool {
        let _ = received;
        true
    }
}

impl Hop for Transport {
    fn is_reliable(&self) -> bool {
        Transport::is_reliable(*self)
    }
}

/// What a layer may hold and does on its own.
#[derive(Clone, Copy, Debug)]
pub struct Config {
    /// Most client transactions, those of CANCEL not counted: there is at most one for each INVITE.
    ///
    /// Where one more is needed, the one nearest its end of those that only wait for it (Timers D,
    /// K and M) ends early.
    pub clients_max: usize,
    /// Most server transactions; likewise (Timers I, J and L).
    pub servers_max: usize,
    /// An INVITE not answered for so long gets a 100 (RFC 3261 17.2.1); `None` leaves it to the
    /// user.
    pub trying_after: Option<Duration>,
}

impl Default for Config {
    fn default() -> Self {
        Self {
            clients_max: 200_000,
            servers_max: 200_000,
            trying_after: Some(Duration::from_millis(200)),
        }
    }
}

/// Most timers that one call of [`Layer::handle_timeout`] handles; the rest are due at once again.
pub const TIMERS_PER_CALL_MAX: usize = 4096;

/// Names a client transaction; stale after its end, and then harmless.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct ClientId(SlabId);

/// Names a server transaction; stale after its end, and then harmless.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct ServerId(SlabId);

/// Who sent a message: given back with it so that a failure of the transport finds its transaction.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Origin {
    /// A client transaction.
    Client(ClientId),
    /// A server transaction.
    Server(ServerId),
    /// No transaction: an ACK to 2xx, a stateless response.
    None,
}

/// What a received message turned out to be.
#[derive(Clone, Debug)]
pub enum Received<U> {
    /// A new request: answer it by [`Layer::respond`].
    Request {
        /// Its transaction.
        server: ServerId,
        /// The request.
        message: Message,
    },
    /// ACK to a 2xx, or to nothing known: goes to the dialog, or is forwarded; never answered.
    Ack {
        /// The INVITE, while its transaction is in the accepted state and the branches are the
        /// same.
        server: Option<ServerId>,
        /// The ACK.
        message: Message,
    },
    /// CANCEL: answer it (200, or 481 without `invite`) and then the INVITE with 487 (RFC 3261
    /// 9.2).
    Cancel {
        /// Transaction of the CANCEL itself.
        server: ServerId,
        /// The INVITE to cancel, answered or not.
        invite: Option<ServerId>,
        /// The CANCEL.
        message: Message,
    },
    /// A response to a request of ours: any provisional one, the first final one, and every 2xx to
    /// INVITE.
    Response {
        /// The transaction.
        client: ClientId,
        /// What the caller attached to it.
        context: U,
        /// The response.
        message: Message,
    },
    /// A response without transaction: a proxy drops it (RFC 6026 8.9); a user agent that remembers
    /// the dialog acknowledges a late 2xx.
    StrayResponse {
        /// The response.
        message: Message,
    },
    /// Handled here: a retransmission, an ACK to 300-699, a response to our CANCEL.
    Absorbed,
    /// Not accepted; no transaction was made.
    Refused {
        /// The message.
        message: Message,
        /// Why.
        why: Refusal,
    },
}

/// Why a received message made no transaction.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Refusal {
    /// Via, CSeq, From, To or Call-ID cannot be used: 400 if it is a request, and ignored if not.
    Invalid(Invalid),
    /// [`Config::servers_max`] is reached: 503, sent without a transaction.
    Limit,
}

/// What the layer wants done or known.
#[derive(Clone, Debug)]
pub enum Output<H, U> {
    /// Send this.
    Transmit {
        /// Where.
        hop: H,
        /// What.
        message: Message,
        /// For [`Layer::handle_transport_error`].
        origin: Origin,
    },
    /// Pass this to [`Layer::handle_local`] in its turn.
    HandOver {
        /// The [local](Hop::is_local) hop, as its sender sees it.
        hop: H,
        /// Whose request it is, or the response to whose.
        client: ClientId,
        /// What is handed over.
        message: Message,
    },
    /// The other end of a [local](Hop::is_local) hop cancels its INVITE: what a CANCEL says. Answer
    /// the INVITE with 487 (RFC 3261 9.2).
    Cancelled {
        /// The transaction of the INVITE, answered or not.
        server: ServerId,
        /// What the caller attached to it.
        context: Option<U>,
    },
    /// No final response in time: Timer B or F, or 64·T1 after CANCEL. Acts as 408; ended follows.
    ClientTimeout {
        /// The transaction.
        client: ClientId,
        /// What the caller attached to it.
        context: U,
    },
    /// A request could not be sent: acts as 503 (RFC 3261 8.1.3.1); ended follows.
    ClientTransportError {
        /// The transaction.
        client: ClientId,
        /// What the caller attached to it.
        context: U,
        /// A final response was delivered before: only the ACK was lost.
        answered: bool,
    },
    /// A client transaction is over: the last word about it.
    ClientEnded {
        /// The transaction.
        client: ClientId,
        /// What the caller attached to it.
        context: U,
    },
    /// No ACK to a 300-699 came (Timer H); ended follows.
    AckMissing {
        /// The transaction.
        server: ServerId,
        /// What the caller attached to it.
        context: Option<U>,
    },
    /// A response could not be sent; the transaction goes on (RFC 6026 8.7).
    ServerTransportError {
        /// The transaction.
        server: ServerId,
        /// What the caller attached to it.
        context: Option<U>,
    },
    /// A server transaction is over: the last word about it.
    ServerEnded {
        /// The transaction.
        server: ServerId,
        /// What the caller attached to it.
        context: Option<U>,
    },
}

/// What became of [`Layer::cancel`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Cancelled {
    /// CANCEL is on its way; the final response of the INVITE still comes, or a timeout.
    Sent,
    /// CANCEL goes out when a provisional response arrives (RFC 3261 9.1).
    Deferred,
    /// Too late, asked before, or not an INVITE: nothing was done.
    Ignored,
}

/// Why a request or response of the caller's was not taken.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Error {
    /// [`Config::clients_max`] is reached.
    Limit,
    /// A transaction with this branch and method is there: branches must be unique.
    Duplicate,
    /// The message lacks what a transaction needs.
    Invalid(Invalid),
    /// A request where a response was due, or the reverse, or ACK or CANCEL as a new request.
    Misuse,
    /// The transaction is over.
    Gone,
    /// The transaction was answered before.
    Answered,
    /// To other requests than INVITE no provisional response may be sent but a late 100 (RFC 4320
    /// 4.1).
    Provisional,
    /// CANCEL or ACK could not be built from the request.
    Edit(EditError),
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Error::Limit => f.write_str("too many transactions"),
            Error::Duplicate => f.write_str("branch used twice"),
            Error::Invalid(invalid) => invalid.fmt(f),
            Error::Misuse => f.write_str("message does not fit the call"),
            Error::Gone => f.write_str("transaction is over"),
            Error::Answered => f.write_str("transaction was answered before"),
            Error::Provisional => f.write_str("no provisional response to this method"),
            Error::Edit(error) => error.fmt(f),
        }
    }
}

impl std::error::Error for Error {}

impl From<Invalid> for Error {
    fn from(invalid: Invalid) -> Self {
        Error::Invalid(invalid)
    }
}

impl From<EditError> for Error {
    fn from(error: EditError) -> Self {
        Error::Edit(error)
    }
}

/// Totals since the start, for `status` and metrics.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Counters {
    /// Server transactions made.
    pub servers_made: u64,
    /// Client transactions made, those of CANCEL included.
    pub clients_made: u64,
    /// Requests refused because of [`Config::servers_max`].
    pub requests_refused: u64,
    /// Requests not sent because of [`Config::clients_max`].
    pub clients_refused: u64,
    /// Messages without usable Via, CSeq, From, To or Call-ID.
    pub invalid: u64,
    /// Requests and ACKs that came again and were absorbed.
    pub requests_again: u64,
    /// Responses that came again and were absorbed.
    pub responses_again: u64,
    /// Responses without transaction.
    pub responses_stray: u64,
    /// Requests sent again.
    pub requests_resent: u64,
    /// Responses sent again, by Timer G or because the request came again.
    pub responses_resent: u64,
    /// Client transactions that ended without final response.
    pub timeouts: u64,
    /// Server transactions whose ACK never came.
    pub acks_missing: u64,
    /// Transactions that ended early, to make room for others.
    pub cut_short: u64,
    /// Failures that the transport reported.
    pub transport_errors: u64,
}

/// Which pair of machines.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Kind {
    Invite,
    NonInvite,
}

#[cfg(test)]
mod tests;
