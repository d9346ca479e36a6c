//! What both encodings have in common: limits, what is read, and what is wrong with it.

use std::fmt;

use crate::binary::{self, Naming, Unencodable};
use crate::error::ErrorCode;
use crate::message::{
    AuthHeader, ErrorDescriptor, Message, MessageBody, Mid, Transaction, TransactionId,
};
use crate::text::{self, Style};

/// Longest message accepted: what a UDP datagram or a TPKT can hold.
pub const MESSAGE_LEN_MAX: usize = 65_535;

/// Most transactions in a message; more are answered with error 413.
pub const TRANSACTIONS_MAX: usize = 256;

/// Most items of any list in a message (commands, descriptors, parameters, values).
pub const ITEMS_MAX: usize = 4096;

/// Deepest embedding of Events and Signals descriptors in one another.
pub const EMBED_DEPTH_MAX: u8 = 4;

/// How messages are encoded, clause 7.3.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Encoding {
    /// Text, Annex B.
    Text(Style),
    /// Binary, Annex A.
    Binary,
}

impl Default for Encoding {
    fn default() -> Self {
        Self::Text(Style::default())
    }
}

impl Encoding {
    /// True when `message` is binary: it begins with the tag of a SEQUENCE, which begins no text.
    pub fn is_binary(message: &[u8]) -> bool {
        message.first() == Some(&binary::FIRST_OCTET)
    }

    /// Reads a message of either encoding, in binary with the names given.
    ///
    /// # Errors
    /// Nothing of the message can be used.
    pub fn parse(input: &[u8], naming: &Naming) -> Result<Parsed, SyntaxError> {
        if Self::is_binary(input) {
            binary::parse(input, naming)
        } else {
            text::parse(input)
        }
    }

    /// Encodes a message, in binary with the names given.
    ///
    /// # Errors
    /// The binary encoding has no room for something.
    pub fn to_vec(self, message: &Message, naming: &Naming) -> Result<Vec<u8>, Unencodable> {
        match self {
            Self::Text(style) => Ok(text::to_vec(message, style)),
            Self::Binary => binary::to_vec(message, naming),
        }
    }
}

/// What is wrong with a message, and where.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SyntaxError {
    /// The code that the reply carries, H.248.8.
    pub code: ErrorCode,
    /// Octets before the place.
    pub offset: usize,
    /// Its line, from 1; 0 in binary.
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
        if self.line > 0 {
            write!(f, "line {}, ", self.line)?;
        }
        write!(f, "offset {}: expected {}", self.offset, self.expected)
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
