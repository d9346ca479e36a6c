//! What can be wrong with a packet.

use std::fmt;

/// Why a packet was refused. On the packet path each becomes a drop reason of its own.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Error {
    /// Shorter than its own fields say, or than any packet.
    Truncated,
    /// The version is not 2.
    Version,
    /// More padding than packet, none where some is announced, or padding before the last of a
    /// compound.
    Padding,
    /// A compound packet that does not begin with a report (RFC 3550 6.1).
    NoReport,
    /// An item within an RTCP packet does not fit it.
    Item,
    /// What was to be written does not fit the buffer or its field.
    Limit,
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Truncated => "packet is truncated",
            Self::Version => "RTP version is not 2",
            Self::Padding => "padding does not fit the packet",
            Self::NoReport => "compound RTCP packet does not begin with a report",
            Self::Item => "item does not fit its RTCP packet",
            Self::Limit => "packet does not fit the buffer",
        })
    }
}

impl std::error::Error for Error {}
