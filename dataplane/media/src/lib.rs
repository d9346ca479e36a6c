//! What media functions with codecs share: tones, digits, levels, sums of talkers.
//!
//! Nothing here does I/O or reads a clock. What is made for a stream allocates when it is made and
//! never again, so that it may be used on a worker.

mod delay;
pub mod dtmf;
pub mod event;
pub mod level;
pub mod mix;
mod packets;
pub mod spectrum;
mod stretch;
pub mod tone;
