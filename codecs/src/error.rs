//! What can be wrong with formats, settings, samples and payloads.

use std::fmt;

/// Why a media format of a session description is not taken.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum FormatError {
    /// No codec of this name is known here.
    Encoding,
    /// The encoding has no such clock rate.
    ClockRate,
    /// The encoding has no such number of channels, or more than are spoken here.
    Channels,
    /// This parameter of the format is malformed or out of range.
    Parameter(&'static str),
    /// This parameter asks for what is not done here.
    Unsupported(&'static str),
}

impl fmt::Display for FormatError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Encoding => f.write_str("no codec of this name"),
            Self::ClockRate => f.write_str("the encoding has no such clock rate"),
            Self::Channels => f.write_str("the encoding has no such number of channels"),
            Self::Parameter(name) => write!(f, "the parameter {name} is out of range"),
            Self::Unsupported(name) => write!(f, "{name} is not supported"),
        }
    }
}

impl std::error::Error for FormatError {}

/// Why there is no encoder or decoder.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Unavailable {
    /// The build left it out: the cargo feature of this name brings it.
    Feature(&'static str),
    /// There is no code for this encoding: its payloads can be parsed and passed on.
    NoCodec(&'static str),
    /// This member of [`EncoderConfig`](crate::EncoderConfig) is not for this codec.
    Config(&'static str),
    /// The library of the codec got no memory.
    Memory,
}

impl fmt::Display for Unavailable {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Feature(name) => write!(f, "built without the feature `{name}`"),
            Self::NoCodec(name) => write!(f, "{name} can be passed on but not coded"),
            Self::Config(name) => write!(f, "{name} is not for this codec"),
            Self::Memory => f.write_str("out of memory"),
        }
    }
}

impl std::error::Error for Unavailable {}

/// Why nothing was encoded. Both are mistakes of the caller.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum EncodeError {
    /// Not a number of samples that makes a packet: none, no multiple of the frame, or more than
    /// the packet time.
    Samples,
    /// The payload does not fit.
    PayloadTooSmall,
}

impl fmt::Display for EncodeError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Samples => "these samples do not make a packet",
            Self::PayloadTooSmall => "the payload does not fit",
        })
    }
}

impl std::error::Error for EncodeError {}

/// Why nothing was decoded.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum DecodeError {
    /// The payload is not of this format: the sender is at fault. Conceal.
    Malformed,
    /// The payload is of the format, and of a part of it that is not done here. Conceal.
    Unsupported,
    /// More samples are in it than the caller has room for.
    SamplesTooSmall,
}

impl fmt::Display for DecodeError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Malformed => "the payload is malformed",
            Self::Unsupported => "the payload has what is not supported",
            Self::SamplesTooSmall => "the samples do not fit",
        })
    }
}

impl std::error::Error for DecodeError {}
