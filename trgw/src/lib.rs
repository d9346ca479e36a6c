//! TrGW: RTP and RTCP relay between IP realms (TS 23.334, TS 29.238).
//!
//! [`Relay`] is the media function on a worker: it judges each packet by the path of its flow.
//! [`compile`] builds these paths from the streams of a context, and [`Trgw`] is the media plane
//! that H.248 gateways use: it opens flows and sets these paths.

mod associations;
mod compile;
mod keys;
mod relay;
mod report;
mod tones;
mod trgw;

pub use associations::{DtlsCounts, DtlsOutcome, HANDSHAKES_MAX, PEERS_MAX};
pub use compile::{Leg, LegMedia, LegTones, Protection, Rtcp, compile};
pub use relay::Relay;
pub use report::{Category, LegCounts, LegReport, Silence};
pub use trgw::Trgw;
