//! Why something cannot be made.

use std::fmt;

use codecs::Unavailable;

/// Why an endpoint, an encoding or a room cannot be made as it was asked for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum ConfigError {
    /// A codec is not there, or not with this packet time or mode.
    Codec(Unavailable),
    /// There is no way from the rate of a codec to that of the samples.
    SampleRate,
    /// Too many payload formats, or a payload type above 127.
    Formats,
}

impl fmt::Display for ConfigError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Codec(unavailable) => unavailable.fmt(f),
            Self::SampleRate => f.write_str("these sampling rates do not go together"),
            Self::Formats => f.write_str("too many payload formats, or a payload type above 127"),
        }
    }
}

impl std::error::Error for ConfigError {}

impl From<Unavailable> for ConfigError {
    fn from(unavailable: Unavailable) -> Self {
        Self::Codec(unavailable)
    }
}
