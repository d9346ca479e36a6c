//! AMR and AMR-WB in RTP (RFC 4867): one channel, bandwidth-efficient or octet-aligned, the latter
//! with CRCs, robust sorting and interleaving where they are agreed on.
//!
//! Frames stand here as files have them (RFC 4867 5.3): an octet with the frame type FT and the
//! quality bit Q, and the speech bits from the most to the least sensitive one. What is behind the
//! first octet of an octet-aligned payload with one frame is that very thing.

#[cfg(feature = "amr")]
mod decoder;
#[cfg(feature = "amr")]
mod encoder;
mod format;
#[cfg(not(feature = "amr"))]
mod off;
mod parts;
mod payload;
#[cfg(feature = "amr")]
mod rate;

#[cfg(feature = "amr")]
pub(crate) use decoder::Decoder;
#[cfg(feature = "amr")]
pub(crate) use encoder::Encoder;
pub use format::{AmrFormat, Band, GROUP_FRAMES_MAX, ModeSet};
#[cfg(not(feature = "amr"))]
pub(crate) use off::{Decoder, Encoder};
pub use parts::{PART_BYTES_MAX, Parts};
pub use payload::{
    FRAME_BYTES_MAX, FRAMES_MAX, Frame, Head, Layout, NO_DATA, NO_REQUEST, Payload, write,
};
