//! What people are told of rooms.

use std::net::SocketAddr;

use serde::Serialize;

/// A room.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct RoomStatus {
    /// The number of its context at its gateway.
    pub context: u32,
    /// Which stream of that.
    pub stream: u16,
    /// The workers that have it, or a part of it each.
    pub workers: Vec<u16>,
    /// Samples per second that are added up.
    pub sample_rate: u32,
    /// Where it receives who talks most.
    pub dominant: Option<SocketAddr>,
    /// Who is in it.
    pub streams: Vec<StreamStatus>,
}

/// A stream in a room.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct StreamStatus {
    /// Where it receives.
    pub local: SocketAddr,
    /// The worker that has it.
    pub worker: u16,
    /// How it is sent to; `None` while that is not known.
    pub codec: Option<&'static str>,
    /// Somebody talks.
    pub is_talking: bool,
    /// How loud, in dBov.
    pub level_dbov: i8,
    /// What is played and recorded there.
    pub performances: usize,
}
