//! The functions of the libraries, as their headers declare them, but for the samples that encoders
//! are given: these are `const` there and written all the same.

use std::ffi::{c_int, c_short, c_uchar, c_uint, c_void};

unsafe extern "C" {
    // opencore-amrnb/interf_dec.h
    pub(crate) fn Decoder_Interface_init() -> *mut c_void;
    pub(crate) fn Decoder_Interface_exit(state: *mut c_void);
    pub(crate) fn Decoder_Interface_Decode(
        state: *mut c_void,
        frame: *const c_uchar,
        samples: *mut c_short,
        bad: c_int,
    );

    // opencore-amrnb/interf_enc.h
    pub(crate) fn Encoder_Interface_init(dtx: c_int) -> *mut c_void;
    pub(crate) fn Encoder_Interface_exit(state: *mut c_void);
    pub(crate) fn Encoder_Interface_Encode(
        state: *mut c_void,
        mode: c_uint,
        samples: *mut c_short,
        frame: *mut c_uchar,
        force_speech: c_int,
    ) -> c_int;

    // opencore-amrwb/dec_if.h
    pub(crate) fn D_IF_init() -> *mut c_void;
    pub(crate) fn D_IF_exit(state: *mut c_void);
    pub(crate) fn D_IF_decode(
        state: *mut c_void,
        frame: *const c_uchar,
        samples: *mut c_short,
        bad: c_int,
    );

    // vo-amrwbenc/enc_if.h
    pub(crate) fn E_IF_init() -> *mut c_void;
    pub(crate) fn E_IF_exit(state: *mut c_void);
    pub(crate) fn E_IF_encode(
        state: *mut c_void,
        mode: c_int,
        samples: *mut c_short,
        frame: *mut c_uchar,
        dtx: c_int,
    ) -> c_int;
}
