//! The admin interface: HTTP on a thread of its own, asking the event loop for what it shows.
//!
//! | Method and path | Answer |
//! |---|---|
//! | `GET /status` | [`Status`] as JSON |
//! | `GET /metrics` | the same figures in Prometheus' text form |
//! | `GET /calls/{call-id}/contexts` | the H.248 contexts of a call: [`CallContext`]s |
//! | `GET /subscribers?prefix=&after=&limit=` | a page of private identities |
//! | `POST /subscribers` | adds or replaces an array of subscribers, all or none |
//! | `GET /subscribers/{impi}` | one subscriber, without its secrets |
//! | `PUT /subscribers/{impi}` | adds or replaces it; `If-None-Match: *` only adds |
//! | `DELETE /subscribers/{impi}` | removes it |
//! | `GET /mrf` | calls, conferences with their members, and jobs of the MRFC |
//! | `POST /mrf/conferences` | opens a conference: [`NewConference`] |
//! | `DELETE /mrf/conferences/{name}` | ends it |
//! | `POST /mrf/conferences/{name}/members` | calls a user into it: `{"user": URI}` |
//! | `PATCH /mrf/conferences/{name}/members/{id}` | `{"muted": true}` or `false` |
//! | `DELETE /mrf/conferences/{name}/members/{id}` | takes a member out |
//! | `POST /mrf/jobs` | begins to play or to record: [`NewJob`] |
//! | `GET /mrf/jobs/{id}` | how a job fares: [`JobStatus`] |
//! | `DELETE /mrf/jobs/{id}` | ends it |
//! | `POST /mrb` | the media server that has what is needed (RFC 6917, query mode) |
//!
//! What is acknowledged is durable. What changes state wants `Authorization: Bearer TOKEN`; the
//! token is in `admin.token` of the state directory.

mod http;
mod mrf;
mod status;

use serde::Serialize;
use tokio::sync::oneshot;

pub use http::{Server, bind};
pub use mrf::{
    ConferenceDetail, JobStatus, MemberDetail, MrfDetail, MrfReply, MrfRequest, NewConference,
    NewJob, PlayJob, RecordJob, What, With,
};
pub use status::{
    AdmissionStatus, ConferenceStatus, H248PathStatus, MediaGatewayStatus, MrfStatus, PeerStatus,
    Status, TransactionStatus,
};

use crate::config::Role;
use crate::store::{Operation, Outcome};

/// What somebody asks.
#[derive(Debug)]
pub enum Request {
    /// The state of the process.
    Status,
    /// The contexts of the call with this Call-ID.
    Contexts(String),
    /// Something of the subscriber store.
    Store(Box<Operation>),
    /// Something of the MRFC.
    Mrf(Box<MrfRequest>),
}

/// What is answered.
#[derive(Debug)]
pub enum Reply {
    /// The state of the process.
    Status(Box<Status>),
    /// The contexts of a call; none for a call that is not known.
    Contexts(Vec<CallContext>),
    /// What became of the operation.
    Stored(Box<Outcome>),
    /// What the MRFC says to it.
    Mrf(MrfReply),
    /// This process does not play the role that has it.
    NotHere(Role),
}

/// A context of a call, at the media gateway that has it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct CallContext {
    /// The gateway's MID.
    pub gateway: String,
    /// Its number there.
    pub context: u32,
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
