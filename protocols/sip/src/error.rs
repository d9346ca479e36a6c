//! What can be wrong with a message, and the response each fault becomes.

use crate::{HeaderName, Message};
use std::fmt;

/// Why bytes are no SIP message (RFC 3261 7, 18.3).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Malformed {
    /// Nothing but empty lines: a keep-alive (RFC 5626 3.5.1) or an empty datagram. Never answered.
    Empty,
    /// The start line is neither a request line nor a status line.
    StartLine,
    /// The version is not SIP/2.0: 505.
    Version,
    /// A header field line without a name, a colon, or with a character that no name may have.
    HeaderLine,
    /// A CR without LF or an LF without CR.
    LineEnd,
    /// The head ends without an empty line.
    Unterminated,
    /// The head is not UTF-8.
    Utf8,
    /// Content-Length is no number, stands twice, or is missing on a stream.
    ContentLength,
    /// Content-Length promises more octets than came.
    BodyShort,
    /// More than [`crate::MESSAGE_BYTES_MAX`] octets.
    TooLong,
    /// A line of more than [`crate::LINE_BYTES_MAX`] octets.
    LineTooLong,
    /// More than [`crate::HEADERS_MAX`] header fields.
    TooManyHeaders,
}

impl Malformed {
    /// Status of the response to a request with this fault.
    pub fn status(self) -> u16 {
        match self {
            Malformed::Version => 505,
            Malformed::TooLong | Malformed::LineTooLong | Malformed::TooManyHeaders => 513,
            _ => 400,
        }
    }

    /// Reason phrase of that response.
    pub fn reason(self) -> &'static str {
        match self {
            Malformed::Empty => "Empty Message",
            Malformed::StartLine => "Bad Start Line",
            Malformed::Version => "Version Not Supported",
            Malformed::HeaderLine => "Bad Header Line",
            Malformed::LineEnd => "Bad Line End",
            Malformed::Unterminated => "Unterminated Header",
            Malformed::Utf8 => "Header Not UTF-8",
            Malformed::ContentLength => "Bad Content-Length",
            Malformed::BodyShort => "Body Shorter Than Content-Length",
            Malformed::TooLong => "Message Too Large",
            Malformed::LineTooLong => "Line Too Long",
            Malformed::TooManyHeaders => "Too Many Headers",
        }
    }
}

/// Bytes that are no SIP message: the first fault, where it stands, and what could be read all the
/// same.
#[derive(Clone, Debug)]
pub struct ParseError {
    /// The first fault.
    pub fault: Malformed,
    /// Offset of the fault in the bytes given.
    pub offset: usize,
    partial: Option<Message>,
}

impl ParseError {
    pub(crate) fn new(fault: Malformed, offset: usize, partial: Option<Message>) -> Self {
        Self {
            fault,
            offset,
            partial,
        }
    }

    /// Status of the response, if one can be sent: 400, 505 or 513.
    pub fn status(&self) -> u16 {
        self.fault.status()
    }

    /// Reason phrase of the response: says what is wrong.
    pub fn reason(&self) -> &'static str {
        self.fault.reason()
    }

    /// The readable lines of the message, whatever they are.
    pub fn partial(&self) -> Option<&Message> {
        self.partial.as_ref()
    }

    /// The request to answer with [`ParseError::status`]: one whose Via, From, To, Call-ID and CSeq
    /// can be read and that is not an ACK. Anything else is dropped.
    pub fn answerable(&self) -> Option<&Message> {
        self.partial
            .as_ref()
            .filter(|message| message.is_answerable())
    }
}

impl fmt::Display for ParseError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} at octet {}", self.reason(), self.offset)
    }
}

impl std::error::Error for ParseError {}

/// Which part of a message is wrong.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Part {
    /// The Request-URI.
    RequestUri,
    /// A header field.
    Header(HeaderName),
}

/// What is wrong with a part of a message.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Why {
    /// It must be there and is not.
    Missing,
    /// It may stand once and stands more often.
    Repeated,
    /// It does not follow its grammar.
    Syntax,
    /// Its number is beyond the range the RFC gives.
    Range,
    /// It contradicts another part: the method of CSeq is not that of the request line.
    Mismatch,
}

/// A part of a message that is missing or wrong: 400 in a request, ignored in a response.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Invalid {
    /// The part.
    pub part: Part,
    /// Its fault.
    pub why: Why,
}

impl Invalid {
    /// A fault of the header `name`.
    pub const fn header(name: HeaderName, why: Why) -> Invalid {
        Invalid {
            part: Part::Header(name),
            why,
        }
    }

    /// Status of the response: 400.
    pub fn status(&self) -> u16 {
        400
    }

    /// Reason phrase of the 400: `Missing Call-ID`, `Bad CSeq` (RFC 3261 21.4.1).
    pub fn reason(&self) -> String {
        self.to_string()
    }
}

impl fmt::Display for Invalid {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let why = match self.why {
            Why::Missing => "Missing",
            Why::Repeated => "Repeated",
            Why::Syntax => "Bad",
            Why::Range => "Out-of-Range",
            Why::Mismatch => "Mismatched",
        };
        match self.part {
            Part::RequestUri => write!(f, "{why} Request-URI"),
            Part::Header(name) => write!(f, "{why} {name}"),
        }
    }
}

impl std::error::Error for Invalid {}

/// Why a [`crate::Draft`] is no message: a fault of the program that wrote it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum EditError {
    /// A value with CR or LF in it: it would have been a header injection.
    LineBreak(HeaderName),
    /// A header name that is no token, or [`HeaderName::Other`] where a name is needed.
    Name,
    /// A Request-URI, method, status or reason that cannot stand in a start line.
    StartLine,
    /// A header that the edit needs is missing or malformed.
    Source(Invalid),
    /// The message would be longer than [`crate::MESSAGE_BYTES_MAX`] or have more than
    /// [`crate::HEADERS_MAX`] lines.
    TooLong,
}

impl fmt::Display for EditError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            EditError::LineBreak(name) => write!(f, "line break in a value of {name}"),
            EditError::Name => f.write_str("no header name"),
            EditError::StartLine => f.write_str("no start line"),
            EditError::Source(invalid) => invalid.fmt(f),
            EditError::TooLong => f.write_str("message too long"),
        }
    }
}

impl std::error::Error for EditError {}
