//! AMR (3GPP TS 26.090): 8 kHz.

use std::ffi::{c_int, c_uint, c_void};
use std::ptr::NonNull;

use crate::{NO_DATA, ffi, frame_type, header};

/// Samples of a frame.
pub const FRAME_SAMPLES: usize = 160;
/// Octets of the longest frame, with its first.
pub const FRAME_BYTES_MAX: usize = 32;
/// The highest speech mode.
pub const MODE_MAX: u8 = 7;
/// FT of a silence descriptor.
pub const SID: u8 = MODE_MAX + 1;

/// Encodes one stream.
#[derive(Debug)]
pub struct Encoder {
    state: NonNull<c_void>,
}

// SAFETY: the state is a heap block that only this value points to; the library has no variables of
// its own that change, and keeps nothing per thread.
unsafe impl Send for Encoder {}

impl Encoder {
    /// An encoder that sends nothing in silence if `dtx`; `None` when there is no memory.
    pub fn new(dtx: bool) -> Option<Self> {
        // SAFETY: has no precondition.
        let state = unsafe { ffi::Encoder_Interface_init(c_int::from(dtx)) };
        NonNull::new(state).map(|state| Self { state })
    }

    /// Encodes 20 ms in a mode, of which those above [`MODE_MAX`] are the highest. Gives the octets
    /// of the frame: its type is the mode, or with `dtx` also [`SID`] or [`NO_DATA`].
    pub fn encode(
        &mut self,
        mode: u8,
        samples: &[i16; FRAME_SAMPLES],
        frame: &mut [u8; FRAME_BYTES_MAX],
    ) -> usize {
        let mode = c_uint::from(mode.min(MODE_MAX));
        // The library filters what it is given in place, whatever its header says.
        let mut samples = *samples;
        let (from, to) = (samples.as_mut_ptr(), frame.as_mut_ptr());
        let state = self.state.as_ptr();
        // SAFETY: `state` is from `new` and not freed before `drop`; `&mut` keeps others away. The
        // library reads and writes a frame of samples, which are a copy, and writes the octets of
        // the mode's frame, a silence descriptor or one octet, of which the array holds the
        // longest.
        let len = unsafe { ffi::Encoder_Interface_Encode(state, mode, from, to, 0) };
        usize::try_from(len).unwrap_or(0).clamp(1, FRAME_BYTES_MAX)
    }
}

impl Drop for Encoder {
    fn drop(&mut self) {
        // SAFETY: `state` is from `new`, and nothing has it after this.
        unsafe { ffi::Encoder_Interface_exit(self.state.as_ptr()) }
    }
}

/// Decodes one stream.
#[derive(Debug)]
pub struct Decoder {
    state: NonNull<c_void>,
}

// SAFETY: as for `Encoder`.
unsafe impl Send for Decoder {}

impl Decoder {
    /// A decoder; `None` when there is no memory.
    pub fn new() -> Option<Self> {
        // SAFETY: has no precondition.
        let state = unsafe { ffi::Decoder_Interface_init() };
        NonNull::new(state).map(|state| Self { state })
    }

    /// Decodes 20 ms. A frame of a type above [`SID`] is taken as [`NO_DATA`]: comfort noise goes
    /// on, or speech is concealed. The quality bit is not looked at.
    pub fn decode(&mut self, frame: &[u8; FRAME_BYTES_MAX], samples: &mut [i16; FRAME_SAMPLES]) {
        let nothing = [header(NO_DATA); FRAME_BYTES_MAX];
        let known = frame_type(frame[0]) <= SID;
        let from = if known {
            frame.as_ptr()
        } else {
            nothing.as_ptr()
        };
        let (state, to) = (self.state.as_ptr(), samples.as_mut_ptr());
        // SAFETY: `state` is from `new` and not freed before `drop`; `&mut` keeps others away. The
        // library reads the octets of a frame of its type, of which the array has as many as the
        // longest, and takes any value of the bits; types it has no tables for do not reach it. It
        // writes a frame of samples.
        unsafe { ffi::Decoder_Interface_Decode(state, from, to, 0) }
    }
}

impl Drop for Decoder {
    fn drop(&mut self) {
        // SAFETY: `state` is from `new`, and nothing has it after this.
        unsafe { ffi::Decoder_Interface_exit(self.state.as_ptr()) }
    }
}
