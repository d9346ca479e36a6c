//! What can be wrong with a description, and where.

use std::fmt;

/// Why a description was refused.
///
/// In SIP an offer refused this way is answered 400 ([`Error::Malformed`]), 488
/// ([`Error::Unsupported`]) or 413 ([`Error::Limit`]); in H.248 a descriptor that is malformed or
/// too long is error 442.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Error {
    /// The text breaks the grammar of RFC 8866 section 9.
    Malformed {
        /// Line number, from 1; one past the last line when something is missing at the end.
        line: u32,
        /// What is wrong there.
        fault: Fault,
    },
    /// A bound of this implementation is exceeded.
    Limit {
        /// Line number, from 1.
        line: u32,
        /// What there is too much of.
        what: &'static str,
        /// How much is taken.
        max: usize,
    },
    /// A valid answer that does not fit its offer (RFC 3264 section 6).
    Unexpected {
        /// Index of the media description from 0, or the number of them when their count is wrong.
        media: usize,
        /// The rule that is broken.
        mismatch: Mismatch,
    },
    /// A valid offer with no stream this end can take part in (RFC 3261 21.4.26: 488).
    Unsupported,
}

/// A fault of one line.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Fault {
    /// Bytes that are not UTF-8 (RFC 8866 section 4).
    NotUtf8,
    /// A NUL or a bare carriage return within a line.
    ControlCharacter,
    /// Not of the form `x=value`.
    NotALine,
    /// The named line (`o=`) has to stand here.
    Missing(&'static str),
    /// A line that may stand once in its section stands a second time.
    Repeated(char),
    /// `v=` is not 0.
    Version,
    /// `o=` has not its six fields.
    Origin,
    /// A session identifier or version that is no 64-bit number.
    OriginNumber,
    /// `c=` (or the address part of another line) has not its three fields.
    Connection,
    /// An address that is not of the address type before it.
    Address,
    /// `t=` has not two numbers.
    Time,
    /// `b=` is not `type:number`.
    Bandwidth,
    /// `m=` has not at least a medium, a port, a protocol and a format.
    Media,
    /// A port that is no 16-bit number.
    Port,
    /// An attribute without a name.
    Attribute,
    /// A media description with no `c=` of its own nor of the session (RFC 8866 5.7).
    NoConnection,
}

/// How an answer departs from its offer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Mismatch {
    /// Not as many media descriptions as the offer (RFC 3264 section 6).
    MediaCount,
    /// Another medium in the same place.
    MediaKind,
    /// Another transport protocol in the same place.
    Protocol,
    /// A stream that was offered with port zero came back with a port.
    Revived,
    /// No format of the answer was offered (RFC 3264 6.1).
    Formats,
    /// A direction the offer does not allow (RFC 3264 6.1).
    Direction,
}

impl Error {
    pub(crate) const fn malformed(line: u32, fault: Fault) -> Self {
        Self::Malformed { line, fault }
    }
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Malformed { line, fault } => write!(f, "SDP line {line}: {fault}"),
            Self::Limit { line, what, max } => {
                write!(f, "SDP line {line}: more than {max} {what}")
            }
            Self::Unexpected { media, mismatch } => {
                write!(f, "SDP answer, media {}: {mismatch}", media + 1)
            }
            Self::Unsupported => f.write_str("SDP offer has no stream that can be taken"),
        }
    }
}

impl fmt::Display for Fault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let text = match self {
            Self::NotUtf8 => "not UTF-8",
            Self::ControlCharacter => "control character",
            Self::NotALine => "not of the form x=value",
            Self::Missing(what) => return write!(f, "{what} is missing"),
            Self::Repeated(kind) => return write!(f, "a second {kind}="),
            Self::Version => "v= is not 0",
            Self::Origin => "o= has not six fields",
            Self::OriginNumber => "o= has a session id or version that is no 64-bit number",
            Self::Connection => "connection has not a network type, an address type and an address",
            Self::Address => "address is not of its address type",
            Self::Time => "t= has not two numbers",
            Self::Bandwidth => "b= is not type:number",
            Self::Media => "m= has not a medium, a port, a protocol and a format",
            Self::Port => "port is no number below 65536",
            Self::Attribute => "attribute without a name",
            Self::NoConnection => "no c= for this media description",
        };
        f.write_str(text)
    }
}

impl fmt::Display for Mismatch {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::MediaCount => "not as many m= lines as offered",
            Self::MediaKind => "another medium than offered",
            Self::Protocol => "another protocol than offered",
            Self::Revived => "a stream offered with port 0 has a port",
            Self::Formats => "no format that was offered",
            Self::Direction => "a direction the offer does not allow",
        })
    }
}

impl std::error::Error for Error {}
