//! Files of speech for the MRFP.
mod amr;
mod error;
mod ogg;
mod opus;
mod resample;
mod wav;
