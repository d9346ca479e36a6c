//! Diameter (RFC 6733) sans-IO: codec, dictionaries, peer machine, Cx.

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
