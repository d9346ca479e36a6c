//! Text encoding, Annex B.
//!
//! [`parse`] reads a message and keeps the transactions that are right beside the errors of those
//! that are not; [`fn@write`] prints one in either [`Style`].

mod parse;
mod scan;
mod token;
mod write;

use std::fmt;

use crate::error::ErrorCode;
use crate::message::{
    AuthHeader, ErrorDescriptor, Message, MessageBody, Mid, Transaction, TransactionId,
};

pub use parse::{parse, parse_actions};
pub use write::{write, write_header, write_transaction};

/// Longest message accepted: what a UDP datagram or a TPKT can hold.
pub const MESSAGE_LEN_MAX: usize = 65_535;

/// Most transactions in a message; more are answered with error 413.
pub const TRANSACTIONS_MAX: usize = 256;

/// Most items of any list in a message (commands, descriptors, parameters, values).
pub const ITEMS_MAX: usize = 4096;

/// Deepest embedding of Events and Signals descriptors in one another.
pub const EMBED_DEPTH_MAX: u8 = 4;

/// How a message is printed.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub enum Style {
    /// Long tokens, one item a line, indented.
    Pretty,
    /// Short tokens, no white space.
    #[default]
    Compact,
}

/// What is wrong with a message, and where.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SyntaxError {
    /// The code that the reply carries, H.248.8.
    pub code: ErrorCode,
    /// Octets before the place.
    pub offset: usize,
    /// Its line, from 1.
    pub line: usize,
    /// What should have stood there.
    pub expected: &'static str,
}

impl SyntaxError {
    /// The descriptor for the reply.
    pub fn descriptor(&self) -> ErrorDescriptor {
        ErrorDescriptor::with_text(self.code, self.to_string())
    }
}

impl fmt::Display for SyntaxError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if let Some(text) = self.code.text() {
            write!(f, "{text}: ")?;
        }
        write!(
            f,
            "line {}, offset {}: expected {}",
            self.line, self.offset, self.expected
        )
    }
}

impl std::error::Error for SyntaxError {}

/// A message whose header is right.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Parsed {
    /// Authentication header.
    pub auth: Option<AuthHeader>,
    /// Protocol version, 1 to 3.
    pub version: u8,
    /// Who sent it.
    pub mid: Mid,
    /// What is said.
    pub body: ParsedBody,
}

/// Body of a message whose header is right.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum ParsedBody {
    /// Transactions in order, each right or wrong by itself; at least one.
    Transactions(Vec<Result<Transaction, BadTransaction>>),
    /// The peer could not understand a message of ours.
    Error(ErrorDescriptor),
}

/// A transaction that is wrong.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct BadTransaction {
    /// What it was to be.
    pub kind: TransactionKind,
    /// Its number, as far as it could be read.
    pub id: Option<TransactionId>,
    /// What is wrong. A request is answered with this error.
    pub error: SyntaxError,
}

/// Kind of a transaction.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum TransactionKind {
    /// TransactionRequest.
    Request,
    /// TransactionReply.
    Reply,
    /// TransactionPending.
    Pending,
    /// TransactionResponseAck.
    ResponseAck,
    /// Segment.
    SegmentReply,
    /// None of these.
    Unknown,
}

impl Parsed {
    /// The message, if all of it is right.
    ///
    /// # Errors
    /// The first transaction that is wrong.
    pub fn into_message(self) -> Result<Message, SyntaxError> {
        let body = match self.body {
            ParsedBody::Error(error) => MessageBody::Error(error),
            ParsedBody::Transactions(transactions) => {
                let right: Result<Vec<_>, _> = transactions.into_iter().collect();
                MessageBody::Transactions(right.map_err(|bad| bad.error)?)
            }
        };
        Ok(Message {
            auth: self.auth,
            version: self.version,
            mid: self.mid,
            body,
        })
    }
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
