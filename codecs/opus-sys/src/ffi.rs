//! The functions of the library, as `opus.h` declares them, and numbers of `opus_defines.h`.

use std::ffi::{c_int, c_short, c_uchar};
use std::marker::{PhantomData, PhantomPinned};

/// `OpusEncoder`, of which only pointers exist.
#[repr(C)]
pub(crate) struct OpusEncoder {
    _private: [u8; 0],
    _marker: PhantomData<(*mut u8, PhantomPinned)>,
}

/// `OpusDecoder`, of which only pointers exist.
#[repr(C)]
pub(crate) struct OpusDecoder {
    _private: [u8; 0],
    _marker: PhantomData<(*mut u8, PhantomPinned)>,
}

pub(crate) const BAD_ARG: c_int = -1;
pub(crate) const BUFFER_TOO_SMALL: c_int = -2;
pub(crate) const INVALID_PACKET: c_int = -4;

pub(crate) const APPLICATION_VOIP: c_int = 2048;

pub(crate) const SET_BITRATE: c_int = 4002;
pub(crate) const SET_VBR: c_int = 4006;
pub(crate) const SET_COMPLEXITY: c_int = 4010;
pub(crate) const SET_INBAND_FEC: c_int = 4012;
pub(crate) const SET_PACKET_LOSS_PERC: c_int = 4014;
pub(crate) const SET_DTX: c_int = 4016;
pub(crate) const RESET_STATE: c_int = 4028;

unsafe extern "C" {
    pub(crate) fn opus_encoder_create(
        rate: i32,
        channels: c_int,
        application: c_int,
        error: *mut c_int,
    ) -> *mut OpusEncoder;
    pub(crate) fn opus_encoder_destroy(encoder: *mut OpusEncoder);
    pub(crate) fn opus_encoder_ctl(encoder: *mut OpusEncoder, request: c_int, ...) -> c_int;
    pub(crate) fn opus_encode(
        encoder: *mut OpusEncoder,
        samples: *const c_short,
        frame_samples: c_int,
        payload: *mut c_uchar,
        payload_bytes_max: i32,
    ) -> i32;

    pub(crate) fn opus_decoder_create(
        rate: i32,
        channels: c_int,
        error: *mut c_int,
    ) -> *mut OpusDecoder;
    pub(crate) fn opus_decoder_destroy(decoder: *mut OpusDecoder);
    pub(crate) fn opus_decoder_ctl(decoder: *mut OpusDecoder, request: c_int, ...) -> c_int;
    pub(crate) fn opus_decode(
        decoder: *mut OpusDecoder,
        payload: *const c_uchar,
        payload_bytes: i32,
        samples: *mut c_short,
        frame_samples: c_int,
        fec: c_int,
    ) -> c_int;
    pub(crate) fn opus_packet_get_nb_samples(
        payload: *const c_uchar,
        payload_bytes: i32,
        rate: i32,
    ) -> c_int;
}
