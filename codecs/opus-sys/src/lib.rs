//! Opus (RFC 6716): libopus behind a safe interface, for speech in one channel.
//!
//! An [`Encoder`] or [`Decoder`] allocates when it is made and frees when it is dropped, and does
//! neither in between: Debian's library keeps what it needs for a packet on the stack. It may be
//! moved to another thread.

mod decoder;
mod encoder;
mod ffi;

pub use decoder::{Decoder, packet_samples};
pub use encoder::{Encoder, Setting};

/// The rates of samples, in hertz.
pub const SAMPLE_RATES: [u32; 5] = [8_000, 12_000, 16_000, 24_000, 48_000];

/// Longest payload that is written: 120 ms in six frames of the longest (RFC 6716 3.4).
pub const PAYLOAD_BYTES_MAX: usize = 6 * 1_276;

/// What the library refuses.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Error {
    /// An argument is out of range, or the number of samples is not that of a packet.
    Argument,
    /// The result does not fit.
    TooSmall,
    /// The payload is none.
    Payload,
    /// There is no memory, or the library is at fault.
    Library(i32),
}

impl Error {
    fn of(code: i32) -> Self {
        match code {
            ffi::BAD_ARG => Self::Argument,
            ffi::BUFFER_TOO_SMALL => Self::TooSmall,
            ffi::INVALID_PACKET => Self::Payload,
            other => Self::Library(other),
        }
    }
}

impl std::fmt::Display for Error {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Argument => f.write_str("an argument is out of range"),
            Self::TooSmall => f.write_str("the result does not fit"),
            Self::Payload => f.write_str("not a payload of Opus"),
            Self::Library(code) => write!(f, "libopus says {code}"),
        }
    }
}

impl std::error::Error for Error {}

/// The length of a slice as C has it, which no slice of samples or octets here exceeds.
fn c_len(len: usize) -> Result<i32, Error> {
    i32::try_from(len).map_err(|_| Error::Argument)
}

/// A rate that the library takes.
fn c_rate(rate: u32) -> Result<i32, Error> {
    if !SAMPLE_RATES.contains(&rate) {
        return Err(Error::Argument);
    }
    i32::try_from(rate).map_err(|_| Error::Argument)
}
