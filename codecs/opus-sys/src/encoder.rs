//! Samples to payloads.

use std::ffi::c_int;
use std::ptr::NonNull;

use crate::{Error, c_len, c_rate, ffi};

/// What can be set while encoding.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Setting {
    /// Bit/s, 500 to 512 000.
    BitRate(u32),
    /// Whether each packet may take what it needs.
    VariableBitRate(bool),
    /// Effort, 0 to 10.
    Complexity(u8),
    /// Whether packets carry a copy of the one before, where there is loss.
    InBandFec(bool),
    /// The loss that is expected, in percent.
    LossPercent(u8),
    /// Whether silence is not sent.
    Dtx(bool),
}

/// Encodes one stream of speech.
#[derive(Debug)]
pub struct Encoder {
    state: NonNull<ffi::OpusEncoder>,
}

// SAFETY: the state is a heap block that only this value points to; the library has no variables of
// its own that change, and keeps nothing per thread.
unsafe impl Send for Encoder {}

impl Encoder {
    /// An encoder for samples of this rate, one of [`SAMPLE_RATES`](crate::SAMPLE_RATES).
    ///
    /// # Errors
    /// Another rate, or no memory.
    pub fn new(rate: u32) -> Result<Self, Error> {
        let mut error = 0;
        let (rate, to) = (c_rate(rate)?, &raw mut error);
        // SAFETY: `to` is where an int may be written.
        let state = unsafe { ffi::opus_encoder_create(rate, 1, ffi::APPLICATION_VOIP, to) };
        NonNull::new(state)
            .map(|state| Self { state })
            .ok_or_else(|| Error::of(error))
    }

    /// Sets something from the next packet on.
    ///
    /// # Errors
    /// The value is out of range.
    pub fn set(&mut self, setting: Setting) -> Result<(), Error> {
        let (request, value) = match setting {
            Setting::BitRate(rate) => (ffi::SET_BITRATE, c_len(rate as usize)?),
            Setting::VariableBitRate(on) => (ffi::SET_VBR, c_int::from(on)),
            Setting::Complexity(effort) => (ffi::SET_COMPLEXITY, c_int::from(effort)),
            Setting::InBandFec(on) => (ffi::SET_INBAND_FEC, c_int::from(on)),
            Setting::LossPercent(percent) => (ffi::SET_PACKET_LOSS_PERC, c_int::from(percent)),
            Setting::Dtx(on) => (ffi::SET_DTX, c_int::from(on)),
        };
        // SAFETY: `state` is from `new` and not freed before `drop`; `&mut` keeps others away. Each
        // of these requests takes one int, which the library checks.
        let code = unsafe { ffi::opus_encoder_ctl(self.state.as_ptr(), request, value) };
        if code < 0 {
            Err(Error::of(code))
        } else {
            Ok(())
        }
    }

    /// Encodes a packet: 2.5, 5, 10, 20, 40, 60, 80, 100 or 120 ms. Gives the octets of the
    /// payload; of one or two, it need not be sent (DTX).
    ///
    /// # Errors
    /// The samples are of another length, or the payload does not fit.
    pub fn encode(&mut self, samples: &[i16], payload: &mut [u8]) -> Result<usize, Error> {
        let (count, room) = (c_len(samples.len())?, c_len(payload.len())?);
        let (state, from, to) = (self.state.as_ptr(), samples.as_ptr(), payload.as_mut_ptr());
        // SAFETY: `state` is from `new` and not freed before `drop`; `&mut` keeps others away. The
        // library reads `count` samples of one channel after it has found the number right, and
        // writes `room` octets at most.
        let len = unsafe { ffi::opus_encode(state, from, count, to, room) };
        usize::try_from(len).map_err(|_| Error::of(len))
    }
}

impl Drop for Encoder {
    fn drop(&mut self) {
        // SAFETY: `state` is from `new`, and nothing has it after this.
        unsafe { ffi::opus_encoder_destroy(self.state.as_ptr()) }
    }
}
