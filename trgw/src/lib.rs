//! TrGW: RTP and RTCP relay between IP realms (TS 23.334, TS 29.238).
//!
//! [`Relay`] is the media function on a worker: it judges each packet by the path of its flow.
//! [`compile`] builds these paths from the streams of a context.

mod compile;
mod relay;

pub use compile::{Leg, LegMedia, Rtcp, compile};
pub use relay::Relay;
