//! What can be wrong with a source of speech.

use std::fmt;
use std::io;

/// A format of files.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Format {
    /// RIFF WAVE with linear or G.711 samples.
    Wav,
    /// AMR or AMR-WB storage format, RFC 4867 5.
    Amr,
    /// Pages of Ogg, RFC 3533.
    Ogg,
    /// Opus in Ogg, RFC 7845.
    Opus,
}

/// Why speech cannot be had from a source, or not be written.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Error {
    /// The file is not what its beginning says it is, seen at this octet.
    Malformed(Format, usize),
    /// Valid, but of a kind that is not played or written here.
    Unsupported(&'static str),
    /// Longer or larger than allowed.
    Limit(&'static str),
    /// The codec is not in this build.
    Unavailable(&'static str),
    /// There is no such prompt, language, word or recording.
    NotFound(String),
    /// A variable has a value that its type cannot have.
    Value(&'static str),
    /// The operating system refused.
    Io(io::ErrorKind),
    /// The HTTP server's answer, a status other than 200 and 304.
    Status(u16),
    /// The HTTP server's answer cannot be read.
    Http(&'static str),
    /// The caller used a name, rate or number of tracks that cannot be.
    Misuse(&'static str),
    /// All helpers are busy: later perhaps.
    Busy,
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Error::Malformed(format, offset) => {
                write!(f, "malformed {format:?} file at octet {offset}")
            }
            Error::Unsupported(what) => write!(f, "not supported: {what}"),
            Error::Limit(what) => write!(f, "beyond a limit: {what}"),
            Error::Unavailable(what) => write!(f, "not in this build: {what}"),
            Error::NotFound(what) => write!(f, "not found: {what}"),
            Error::Value(what) => write!(f, "impossible value: {what}"),
            Error::Io(kind) => write!(f, "{kind}"),
            Error::Status(status) => write!(f, "HTTP status {status}"),
            Error::Http(what) => write!(f, "HTTP: {what}"),
            Error::Misuse(what) => write!(f, "{what}"),
            Error::Busy => write!(f, "all helpers are busy"),
        }
    }
}

impl std::error::Error for Error {}

impl From<io::Error> for Error {
    fn from(error: io::Error) -> Self {
        Error::Io(error.kind())
    }
}
