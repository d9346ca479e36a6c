//! SIP user agents and RTP generators for load and demonstration.

pub mod media;
pub mod ua;
pub mod usim;
