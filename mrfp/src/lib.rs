//! MRFP: contexts of any number of terminations, mixed and transcoded; announcements, tones, digits
//! and recordings (TS 23.333, TS 29.333).
//!
//! [`Mrfp`] is the media plane that H.248 gateways with [`mg::MP`] use: it compiles contexts into
//! *rooms* and *streams*, which it makes on the mg thread and sends to a worker chosen by load.
//! There [`Dsp`] has them: it stands in front of the relay ([`trgw::Relay`]), which opens, admits
//! and counts each packet as it does for a TrGW, and takes what is for a stream of its own. Each
//! room has a tick of 20 ms; what is due is done earliest deadline first, one codec operation or a
//! few short ones at a time ([`dataplane::Function::work`]), so that a packet to be relayed never
//! waits for more.
//!
//! Of a room, each stream is decoded once, the loudest are added up, and what several hear alike is
//! encoded once for each codec among them. A room too large for one worker has parts on several,
//! which tell each other each tick what their loudest say (`cascade.rs`).
//!
//! What coding costs is measured, and how busy each worker is. One that is busy takes no more
//! streams, and with all busy the gateway refuses what is new; what there is goes on.
//!
//! Files are read and written by the threads of [`audio::FileServer`]. What a worker has used comes
//! back to the mg thread to be dropped.

mod announcement;
mod cascade;
mod coding;
mod dsp;
mod keys;
mod load;
mod mrfp;
mod order;
mod performing;
mod reports;
mod room;
mod status;
mod stream;
mod talk;

pub use dsp::Dsp;
pub use load::{DspLoad, LoadStatus};
pub use media::TICK;
pub use mrfp::{Mrfp, MrfpConfig, has_tones};
pub use status::{RoomStatus, StreamStatus};
