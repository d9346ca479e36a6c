//! Payloads to samples.

use std::ptr::{self, NonNull};

use crate::{Error, c_len, c_rate, ffi};

/// Decodes one stream to one channel, whatever was encoded.
#[derive(Debug)]
pub struct Decoder {
    state: NonNull<ffi::OpusDecoder>,
}

// SAFETY: the state is a heap block that only this value points to; the library has no variables of
// its own that change, and keeps nothing per thread.
unsafe impl Send for Decoder {}

impl Decoder {
    /// A decoder to samples of this rate, one of [`SAMPLE_RATES`](crate::SAMPLE_RATES).
    ///
    /// # Errors
    /// Another rate, or no memory.
    pub fn new(rate: u32) -> Result<Self, Error> {
        let mut error = 0;
        let (rate, to) = (c_rate(rate)?, &raw mut error);
        // SAFETY: `to` is where an int may be written.
        let state = unsafe { ffi::opus_decoder_create(rate, 1, to) };
        NonNull::new(state)
            .map(|state| Self { state })
            .ok_or_else(|| Error::of(error))
    }

    /// Decodes a payload. Gives the number of samples.
    ///
    /// # Errors
    /// The payload is none, or more is in it than there is room for.
    pub fn decode(&mut self, payload: &[u8], samples: &mut [i16]) -> Result<usize, Error> {
        if payload.is_empty() {
            // To the library that is a loss.
            return Err(Error::Payload);
        }
        self.call(payload, samples, false)
    }

    /// Fills all of `samples`, a multiple of 2.5 ms, in place of a lost packet.
    ///
    /// # Errors
    /// Another number of samples.
    pub fn conceal(&mut self, samples: &mut [i16]) -> Result<usize, Error> {
        self.call(&[], samples, false)
    }

    /// Fills all of `samples`, those of a lost packet, from the copy in the one that follows it,
    /// or, where there is none, as [`conceal`](Self::conceal) does.
    ///
    /// # Errors
    /// The payload is none, or another number of samples.
    pub fn recover(&mut self, next: &[u8], samples: &mut [i16]) -> Result<usize, Error> {
        if next.is_empty() {
            return Err(Error::Payload);
        }
        self.call(next, samples, true)
    }

    /// Forgets all that was decoded.
    pub fn reset(&mut self) {
        // SAFETY: `state` is from `new` and not freed before `drop`; `&mut` keeps others away. The
        // request has no argument, and the library has no error for it.
        unsafe { ffi::opus_decoder_ctl(self.state.as_ptr(), ffi::RESET_STATE) };
    }

    fn call(&mut self, payload: &[u8], samples: &mut [i16], fec: bool) -> Result<usize, Error> {
        let (len, room) = (c_len(payload.len())?, c_len(samples.len())?);
        let from = if payload.is_empty() {
            ptr::null()
        } else {
            payload.as_ptr()
        };
        let (state, to) = (self.state.as_ptr(), samples.as_mut_ptr());
        // SAFETY: `state` is from `new` and not freed before `drop`; `&mut` keeps others away. The
        // library reads `len` octets, none if `from` is null, and writes `room` samples of one
        // channel at most.
        let count = unsafe { ffi::opus_decode(state, from, len, to, room, i32::from(fec)) };
        usize::try_from(count).map_err(|_| Error::of(count))
    }
}

impl Drop for Decoder {
    fn drop(&mut self) {
        // SAFETY: `state` is from `new`, and nothing has it after this.
        unsafe { ffi::opus_decoder_destroy(self.state.as_ptr()) }
    }
}

/// The samples in a payload at a rate, by its first two octets.
///
/// # Errors
/// The payload is none.
pub fn packet_samples(payload: &[u8], rate: u32) -> Result<usize, Error> {
    let (len, rate) = (c_len(payload.len())?, c_rate(rate)?);
    let from = payload.as_ptr();
    // SAFETY: the library reads the first octet if `len` is 1, the first two if more, else none.
    let count = unsafe { ffi::opus_packet_get_nb_samples(from, len, rate) };
    usize::try_from(count).map_err(|_| Error::of(count))
}
