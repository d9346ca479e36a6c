//! Diameter (RFC 6733) sans-IO, and Cx (TS 29.228, TS 29.229) on it.
//!
//! Three layers, each of use without the next:
//!
//! * The codec. [`Message`] is a view of received octets, [`Writer`] makes them, [`Framer`] cuts a
//!   stream into messages. What an AVP is and where it may stand is said by tables
//!   ([`dictionary`]), against which a message is held as a whole; a fault is an [`Error`] that
//!   knows its Result-Code and its Failed-AVP.
//! * [`cx`]: the commands as typed values, and the user profile they carry.
//! * [`endpoint`]: a node with its peers, from capabilities exchange to failover. How to drive it
//!   stands there.
//!
//! ```
//! use diameter::cx::{Answer, Envelope, Lir, Outcome, Request};
//! use diameter::{Message, Origin, ReplyTo};
//!
//! let origin = |host: &str| Origin { host: host.into(), realm: "ims.test".into() };
//! let request = Request::LocationInfo(Lir {
//!     public_identity: "sip:bob@ims.test".into(),
//!     ..Lir::default()
//! });
//! let envelope = Envelope {
//!     session_id: "icscf1.ims.test;1;1".into(),
//!     origin: origin("icscf1.ims.test"),
//!     destination_host: None,
//!     destination_realm: "ims.test".into(),
//! };
//! let bytes = request.to_message(&envelope)?;
//!
//! let message = Message::parse(&bytes)?;
//! let (_, received) = Request::from_message(&message)?;
//! assert_eq!(received, request);
//!
//! let answer = received.answer(Outcome::UserUnknown);
//! let bytes = answer.to_message(&ReplyTo::new(&message), &origin("hss1.ims.test"))?;
//! assert_eq!(Answer::from_message(&Message::parse(&bytes)?)?, answer);
//! # Ok::<(), diameter::Error>(())
//! ```
//!
//! Not here: relaying, accounting and session state machines, redirects, SCTP and TLS.

pub mod cx;
pub mod dictionary;
pub mod endpoint;
mod error;
mod framer;
mod message;
mod peer;
mod reply;
mod result;
mod writer;

pub use error::{Error, FailedAvp};
pub use framer::Framer;
pub use message::{
    AVPS_MAX, Avp, AvpFlags, Avps, CommandFlags, HEADER_BYTES, Header, MESSAGE_BYTES_MAX, Message,
};
pub use reply::{Origin, ReplyTo};
pub use result::ResultCode;
pub use writer::Writer;
