//! What media functions with codecs share: stream endpoints, tones, digits, sums of talkers.
//!
//! Nothing here does I/O or reads a clock. What is made for a stream allocates when it is made and
//! never again, so that it may be used on a worker.

mod audience;
mod delay;
pub mod dtmf;
mod endpoint;
mod error;
pub mod event;
pub mod level;
pub mod loudest;
pub mod mix;
mod packets;
mod pipe;
mod rate;
mod receiver;
mod sender;
pub mod spectrum;
mod stretch;
pub mod tone;

pub use audience::Audience;
pub use endpoint::{Endpoint, EndpointConfig};
pub use error::ConfigError;
pub use event::{Carriage, TelephoneEvent};
pub use pipe::{Pipe, Side};
pub use receiver::{
    EVENTS_MAX, FORMATS_MAX, FormatKind, InBand, PayloadFormat, Playout, Pulled, PulledKind,
    Received, Receiver, ReceiverConfig, TICK, Workspace,
};
pub use sender::{Encoding, EncodingConfig, EventRefused, Outgoing, Sender, SenderConfig, Sent};
