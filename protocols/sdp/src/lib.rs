//! SDP (RFC 8866) and the offer/answer model (RFC 3264).
//!
//! [`Session`] is a description as SIP carries it: parsed once, read and edited through typed
//! accessors, and written as it came where nothing was changed. [`h248`] reads the descriptions of
//! H.248 Local and Remote descriptors, which may hold wildcards and alternatives.
//!
//! [`crypto`] reads the keys of `a=crypto` (RFC 4568), [`dtls`] the `a=fingerprint` and `a=setup`
//! of DTLS (RFC 8122, RFC 4145); elsewhere they are attributes like others.
//!
//! Not here: what an encoding's `a=fmtp` means; it is kept verbatim.

mod address;
mod attribute;
mod codec;
pub mod crypto;
pub mod dtls;
mod error;
pub mod h248;
mod line;
mod media;
mod offer_answer;
mod session;
mod verbatim;
mod write;

pub use address::{AddressType, Connection, Host, NetworkType, Origin};
pub use attribute::{Attribute, Direction, Rtcp, RtpMap};
pub use codec::Codec;
pub use error::{Error, Fault, Mismatch};
pub use line::{BYTES_MAX, Bandwidth, CRYPTOS_MAX, FINGERPRINTS_MAX, LINES_MAX, Line, Lines, Time};
pub use media::{FORMATS_MAX, Media, MediaLine, Port};
pub use offer_answer::{Agent, Agreed, AgreedKeys, Terms, agreed, check_answer};
pub use session::{MEDIA_MAX, Session};
pub use verbatim::Verbatim;
