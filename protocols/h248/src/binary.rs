//! Binary encoding, Annex A: BER of the same abstract syntax as the text encoding.
//!
//! [`parse`] reads definite and indefinite lengths and keeps the transactions that are right beside
//! the errors of those that are not; [`fn@write`] writes definite lengths in the shortest form.
//!
//! Terminations and digit maps are octets here, so both sides need the same [`Naming`]. Packages
//! and items that are not described in [`crate::package`] are named by their numbers
//! (`x0012/x0003`) and pass.
//!
//! ```
//! use h248::binary::{self, Naming};
//! use h248::text::{self, Style};
//!
//! let naming = Naming::default();
//! let message = text::parse_message(b"!/3 <mgc.example> T=7{C=${A=ip/1/${SG{cg/rt}}}}").unwrap();
//! let encoded = binary::to_vec(&message, &naming).unwrap();
//! assert_eq!(encoded.len(), 85);
//! assert_eq!(binary::parse_message(&encoded, &naming), Ok(message));
//!
//! let error = binary::parse_message(&encoded[..70], &naming).unwrap_err();
//! assert_eq!((error.code.0, error.offset), (400, 0));
//! ```

mod ber;
mod naming;
mod read;
mod session;
mod value;
mod write;

use std::fmt;

use crate::encoding::SyntaxError;
use crate::message::Message;

pub use naming::{Form, LEVELS_MAX, Layout, Level, Naming, ValueForm};
pub use read::parse;
pub use write::{message_overhead_max, wrap_transactions, write, write_transaction};

/// What every message begins with: the tag of a SEQUENCE.
pub const FIRST_OCTET: u8 = ber::universal::SEQUENCE | ber::CONSTRUCTED;

/// Something for which Annex A, or the [`Naming`], has no room.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Unencodable {
    /// What it is.
    pub what: &'static str,
    /// Its name or text.
    pub name: String,
}

impl fmt::Display for Unencodable {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "{} cannot be encoded in binary: {}",
            self.what, self.name
        )
    }
}

impl std::error::Error for Unencodable {}

/// Reads a message all of which must be right.
///
/// # Errors
/// The first place that is wrong.
pub fn parse_message(input: &[u8], naming: &Naming) -> Result<Message, SyntaxError> {
    parse(input, naming)?.into_message()
}

/// Encodes a message.
///
/// # Errors
/// The first thing for which there is no room.
pub fn to_vec(message: &Message, naming: &Naming) -> Result<Vec<u8>, Unencodable> {
    let mut out = Vec::with_capacity(512);
    write(message, naming, &mut out)?;
    Ok(out)
}
