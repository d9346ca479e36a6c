//! AMR and AMR-WB: opencore-amr and vo-amrwbenc behind a safe interface.
//!
//! [`narrow`] is AMR (3GPP TS 26.090), [`wide`] AMR-WB (TS 26.190). A *frame* is 20 ms as files
//! have it (RFC 4867 5.3): an octet with the frame type FT and the quality bit Q, and the speech
//! bits from the most to the least sensitive one, padded to an octet. Arrays have the length of the
//! longest frame, whatever is in them: no function here reads or writes beyond.
//!
//! An encoder or decoder allocates when it is made and frees when it is dropped, and does neither
//! in between. It may be moved to another thread. The libraries end the process when they get no
//! memory for a state, as an allocation of Rust's does.

mod ffi;
pub mod narrow;
pub mod wide;

/// FT of a frame without anything.
pub const NO_DATA: u8 = 15;

/// FT of a frame's first octet.
fn frame_type(octet: u8) -> u8 {
    octet >> 3 & 0x0f
}

/// The first octet of a good frame of this type.
fn header(frame_type: u8) -> u8 {
    frame_type << 3 | 0x04
}
