//! What media functions with codecs share: streams, tones, digits, and who hears whom.
//!
//! A stream comes in through a [`Receiver`], which holds the jitter buffer, the decoders and what
//! conceals losses: packets in as they arrive, a tick of samples out every [`TICK`]. It goes out
//! through an [`Encoding`], which turns ticks into payloads, and a [`Sender`], which writes their
//! headers: what many hear alike is encoded once and stamped by the sender of each. [`loudest`]
//! chooses who is heard in a room and [`mix`] adds them up. [`dtmf`], [`event`] and [`tone`] are
//! keys and tones, within speech and beside it; [`level`] says how loud somebody is and whether
//! that is talk.
//!
//! Nothing here does I/O, reads a clock or draws numbers. What is made for a stream allocates when
//! it is made and never again, so that it may be used on a worker.
//!
//! ```
//! use base::Instant;
//! use codecs::{Codec, EncoderConfig};
//! use media::{
//!     Encoding, EncodingConfig, FormatKind, PayloadFormat, Receiver, ReceiverConfig, Sender,
//!     SenderConfig, TICK, Workspace,
//! };
//!
//! let mut receiver = Receiver::new(&ReceiverConfig {
//!     formats: vec![PayloadFormat { payload_type: 8, kind: FormatKind::Audio(Codec::Pcma) }],
//!     ..ReceiverConfig::default()
//! })?;
//! let mut encoding = Encoding::new(&EncodingConfig {
//!     codec: Codec::Pcma,
//!     encoder: EncoderConfig::default(),
//!     sample_rate: 8_000,
//! })?;
//! let mut sender = Sender::new(SenderConfig {
//!     payload_type: 8,
//!     clock_hz: 8_000,
//!     event_payload_type: None,
//!     ssrc: 0xfeed,
//!     sequence: 0,
//!     timestamp: 0,
//! });
//! let mut workspace = Workspace::default();
//! let mut samples = vec![0; receiver.tick_samples()];
//! // An echo: every packet is received when it comes, and every 20 ms
//! let now = Instant::from_secs(1) + TICK;
//! receiver.pull(now, &mut workspace, &mut samples);
//! encoding.push(&samples);
//! let mut outgoing = encoding.next_packet().expect("20 ms are a packet");
//! assert_eq!(sender.stamp(&mut outgoing).map(<[u8]>::len), Some(12 + 160));
//! # Ok::<(), media::ConfigError>(())
//! ```
//!
//! Not here: SRTP, which the runtime opens and protects; files and prompts, which come as ticks.

mod delay;
pub mod dtmf;
mod error;
pub mod event;
pub mod level;
pub mod loudest;
pub mod mix;
mod packets;
mod rate;
mod receiver;
mod sender;
pub mod spectrum;
mod stretch;
pub mod tone;

pub use error::ConfigError;
pub use event::{Carriage, TelephoneEvent};
pub use receiver::{
    EVENTS_MAX, FORMATS_MAX, FormatKind, InBand, PayloadFormat, Playout, Pulled, PulledKind,
    Received, Receiver, ReceiverConfig, TICK, Workspace,
};
pub use sender::{Encoding, EncodingConfig, EventRefused, Outgoing, Sender, SenderConfig, Sent};
