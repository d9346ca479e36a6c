//! SIP (RFC 3261) sans-IO: message index, headers, transactions, dialogs, digest.
//!
//! A [`Message`] is the received bytes and an index made in one pass; header values are parsed when
//! asked for, and a [`Draft`] edits by splicing. Nothing here prints a tree, reads a clock or opens
//! a socket.
//!
//! ```
//! use sip::{HeaderName, Message};
//!
//! let datagram = b"OPTIONS sip:bob@b.test SIP/2.0\r\n\
//!     Via: SIP/2.0/UDP a.test;branch=z9hG4bK776asdhds;rport\r\n\
//!     f: <sip:alice@a.test>;tag=1928301774\r\nt: <sip:bob@b.test>\r\n\
//!     i: a84b4c76e66710\r\nCSeq: 63104 OPTIONS\r\n\r\n";
//! let request = match Message::parse(&datagram[..]) {
//!     Ok(message) => message,
//!     Err(error) => panic!("{} {}", error.status(), error.reason()),
//! };
//! request.validate().expect("the example is complete");
//! assert_eq!(request.from().unwrap().uri.user(), Some("alice"));
//!
//! let response = request.response(200, "").to_tag("93810874").finish().unwrap();
//! assert!(response.as_bytes().starts_with(b"SIP/2.0 200 OK\r\n"));
//! assert_eq!(response.header(HeaderName::CallId), Some("a84b4c76e66710"));
//! ```

pub mod dialog;
pub mod digest;
mod draft;
mod error;
mod framer;
pub mod header;
mod index;
mod limits;
pub mod locate;
mod message;
mod method;
mod name;
mod scan;
pub mod session_timer;
mod span;
mod status;
pub mod transaction;
pub mod uri;
mod validate;

pub use draft::{Draft, MAX_FORWARDS};
pub use error::{EditError, Invalid, Malformed, ParseError, Part, Why};
pub use framer::{Frame, Framer, PING, PONG};
pub use header::{
    AuthParams, CSeq, Contact, ContentType, NameAddr, Params, RAck, Refresher, RetryAfter,
    SessionExpires, TokenParams, Transport, Via,
};
pub use limits::{
    HEADERS_MAX, LEADING_CRLF_MAX, LINE_BYTES_MAX, MESSAGE_BYTES_MAX, URI_PARAMS_MAX,
};
pub use message::{Field, Message, is_keep_alive};
pub use method::Method;
pub use name::HeaderName;
pub use status::reason_phrase;
pub use uri::{Host, Scheme, Uri, UriBuf};
