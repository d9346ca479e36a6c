//! What can be wrong with a frame.

/// Why bytes are not what they were taken for.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
#[non_exhaustive]
pub enum Error {
    /// Shorter than a header, or than a length field says.
    Truncated,
    /// A field has a value that it cannot have.
    Malformed,
    /// A checksum is wrong, or absent where it must not be.
    Checksum,
    /// Valid, but of a kind that is not dealt with here: another protocol, a fragment, an
    /// extension header.
    Unsupported,
}

impl std::fmt::Display for Error {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(match self {
            Error::Truncated => "shorter than it says",
            Error::Malformed => "a field has an impossible value",
            Error::Checksum => "wrong checksum",
            Error::Unsupported => "another protocol",
        })
    }
}

impl std::error::Error for Error {}
