//! The admin interface: HTTP on a thread of its own, asking the event loop for what it shows.
//!
//! | Method and path | Answer |
//! |---|---|
//! | `GET /status` | [`Status`] as JSON |
//! | `GET /metrics` | the same figures in Prometheus' text form |
//! | `GET /subscribers?prefix=&after=&limit=` | a page of private identities |
//! | `POST /subscribers` | adds or replaces an array of subscribers, all or none |
//! | `GET /subscribers/{impi}` | one subscriber, without its secrets |
//! | `PUT /subscribers/{impi}` | adds or replaces it; `If-None-Match: *` only adds |
//! | `DELETE /subscribers/{impi}` | removes it |
//!
//! What is acknowledged is durable. What changes state wants `Authorization: Bearer TOKEN`; the
//! token is in `admin.token` of the state directory.

mod http;
mod status;

use tokio::sync::oneshot;

pub use http::{Server, bind};
pub use status::{
    AdmissionStatus, ConferenceStatus, H248PathStatus, MediaGatewayStatus, MrfStatus, PeerStatus,
    Status, TransactionStatus,
};

use crate::store::{Operation, Outcome};

/// What somebody asks.
#[derive(Debug)]
pub enum Request {
    /// The state of the process.
    Status,
    /// Something of the subscriber store.
    Store(Box<Operation>),
}

/// What is answered.
#[derive(Debug)]
pub enum Reply {
    /// The state of the process.
    Status(Box<Status>),
    /// What became of the operation.
    Stored(Box<Outcome>),
    /// This process has no subscriber store.
    NotHere,
}

/// A request on its way to the event loop, with the way back.
#[derive(Debug)]
pub struct Envelope {
    /// The request.
    pub request: Request,
    /// Where the answer goes.
    pub reply: ReplySender,
}

/// The way back to whoever asked.
pub type ReplySender = oneshot::Sender<Reply>;
