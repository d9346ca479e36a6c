//! SIP user agents and RTP generators for load and demonstration.
//!
//! [`ua::UserAgent`] is the signalling of one device, [`media::Stream`] one end of an audio stream,
//! [`phone::Phone`] both together. All are sans-IO: the command line gives them sockets, the
//! call-flow tests a virtual network.

pub mod media;
pub mod phone;
mod protection;
pub mod ua;
pub mod usim;
