//! Speech codecs and signals.
//!
//! [`g711`] is the codec every telephone has; [`speech`] makes a signal that behaves like somebody
//! talking, for calls without a microphone; [`likeness`] tells whether what arrived is what was
//! sent.

pub mod g711;
mod likeness;
pub mod speech;

pub use likeness::{Likeness, likeness};
