//! AMR and AMR-WB in RTP (RFC 4867): one channel, bandwidth-efficient or octet-aligned, the latter
//! with CRCs and robust sorting where they are agreed on; without interleaving.
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
mod payload;
#[cfg(feature = "amr")]
mod rate;

#[cfg(feature = "amr")]
pub(crate) use decoder::Decoder;
#[cfg(feature = "amr")]
pub(crate) use encoder::Encoder;
pub use format::{AmrFormat, Band, ModeSet};
#[cfg(not(feature = "amr"))]
pub(crate) use off::{Decoder, Encoder};
pub use payload::{
    FRAME_BYTES_MAX, FRAMES_MAX, Frame, Layout, NO_DATA, NO_REQUEST, Payload, write,
};
