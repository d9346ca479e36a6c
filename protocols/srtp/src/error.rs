//! Why a packet or a key was refused.

use std::fmt;

/// Why a packet was not protected or not accepted, or a key not taken. On the packet path each
/// becomes a drop reason of its own.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Error {
    /// Not RTP or RTCP as its fixed fields tell (RFC 3550 5.1, 6.1), or shorter than its own
    /// fields, tag and trailer need.
    Malformed,
    /// The authentication tag does not fit: altered, or protected with another key (RFC 3711 3.3).
    Authentication,
    /// Its index was seen before or lies behind the window (RFC 3711 3.3.2); to be protected, its
    /// index was used before.
    Replay,
    /// No master key has its MKI (RFC 3711 3.1).
    UnknownMki,
    /// The master key has protected as many packets as it may (RFC 3711 9.2).
    KeyExpired,
    /// More synchronisation sources than [`crate::SSRCS_MAX`] under one key.
    Limit,
    /// The buffer has no room for the tag and what else is appended.
    NoRoom,
    /// Another thread works on a packet of the same source at this moment.
    Busy,
    /// A master key, salt or MKI is not as long as its suite or RFC 3711 want it, or the keys of a
    /// set contradict each other.
    Misuse,
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Malformed => "neither RTP nor RTCP, or truncated",
            Self::Authentication => "authentication failed",
            Self::Replay => "replayed",
            Self::UnknownMki => "no master key with this MKI",
            Self::KeyExpired => "master key is at the end of its life",
            Self::Limit => "too many synchronisation sources",
            Self::NoRoom => "no room for the authentication tag",
            Self::Busy => "the source is being worked on elsewhere",
            Self::Misuse => "keys do not fit their suite or each other",
        })
    }
}

impl std::error::Error for Error {}
