//! Files of speech for the MRFP: prompts, players, recorders, and the threads that touch the disk.
//!
//! Owner of it all is a [`FileServer`]: it is asked to load or to record and answers by events.
//! What it hands out, [`Player`] and [`Recorder`], belongs on a worker: a tick of either allocates
//! nothing and waits for nothing. Clips are decoded once for each rate and shared.
//!
//! ```
//! use std::time::Duration;
//! use audio::{Config, Event, FileServer, Item, LibraryConfig, PlayOptions, PlayRequest};
//!
//! # let folder = std::env::temp_dir().join(format!("audio-doc-{}", std::process::id()));
//! let config = Config {
//!     library: LibraryConfig::new(folder.join("prompts")),
//!     recordings: folder.join("recordings"),
//! };
//! let (woken, wakes) = std::sync::mpsc::channel();
//! let mut files = FileServer::start(config, move || drop(woken.send(())))?;
//!
//! let request = PlayRequest {
//!     items: vec![Item::Silence(Duration::from_millis(30))],
//!     language: None,
//!     rate: 16_000,
//!     options: PlayOptions::default(),
//! };
//! let id = files.load(request)?;
//! wakes.recv()?;
//! let Some(Event::Loaded(loaded, Ok(mut player))) = files.poll_event() else {
//!     panic!("silence can be had everywhere");
//! };
//! assert_eq!(loaded, id);
//!
//! // On the worker, every 20 ms:
//! let mut tick = [0; 320];
//! assert!(!player.pull(&mut tick).is_over);
//! assert_eq!(player.pull(&mut tick).samples, 160);
//! # drop(files);
//! # std::fs::remove_dir_all(folder)?;
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```
//!
//! It plays no URL but `http`, of hosts that the configuration lists, and no file outside its two
//! folders. Ogg files are played to the end of their first link, surround is refused.

pub mod amr;
mod cache;
mod clock;
mod decode;
mod error;
mod http;
mod library;
pub mod ogg;
pub mod opus;
mod player;
mod prompt;
mod recording;
mod resample;
mod server;
#[cfg(test)]
mod testkit;
pub mod wav;

pub use decode::{CLIP_SAMPLES_MAX, decode};
pub use error::{Error, Format};
pub use http::{HttpConfig, Url};
pub use library::{Item, LibraryConfig, PlayRequest};
pub use player::{GAIN_MAX, GAIN_MIN, PIECES_MAX, Piece, PlayOptions, Player, Pulled, Repeat};
pub use prompt::{AnnouncementId, DateOrder, PromptFault, Variable, check_prompts, parse_any};
pub use recording::{
    Cause, RECORDING_TIME_MAX, RECORDING_TRACKS_MAX, RECORDINGS_MAX, RecordRequest, Recorded,
    Recorder, RecordingFormat, RecordingName, Report, SilenceRule,
};
pub use server::{Config, Event, FileServer, LOADS_MAX, LoadId, RecordingId, StartError};
