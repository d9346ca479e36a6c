//! Text encoding, Annex B.
//!
//! [`parse`] reads a message and keeps the transactions that are right beside the errors of those
//! that are not; [`fn@write`] prints one in either [`Style`].

mod parse;
mod scan;
mod token;
mod write;

use crate::message::Message;

pub use crate::encoding::{
    BadTransaction, EMBED_DEPTH_MAX, ITEMS_MAX, MESSAGE_LEN_MAX, Parsed, ParsedBody, SyntaxError,
    TRANSACTIONS_MAX, TransactionKind,
};
pub use parse::{parse, parse_actions};
pub use write::{write, write_header, write_transaction};

/// How a message is printed.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub enum Style {
    /// Long tokens, one item a line, indented.
    Pretty,
    /// Short tokens, no white space.
    #[default]
    Compact,
}

/// Reads a message all of which must be right.
///
/// # Errors
/// The first place that is wrong.
pub fn parse_message(input: &[u8]) -> Result<Message, SyntaxError> {
    parse(input)?.into_message()
}

/// Prints a message.
pub fn to_vec(message: &Message, style: Style) -> Vec<u8> {
    let mut out = Vec::with_capacity(1024);
    write(message, style, &mut out);
    out
}
