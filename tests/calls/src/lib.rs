//! Whole calls on virtual time: control processes, telephones and media gateways of the house
//! exchange bytes over a simulated network.
//!
//! A test builds a [`World`], lets its telephones act and looks at what they heard. One seed gives
//! one run, octet for octet; a test that fails prints its seed, and `SIM_SEED` runs it again.

mod by_hand;
mod control_host;
mod dtls_end;
mod media_host;
mod mrfp_host;
mod phone_host;
mod setup;
mod wire_host;
mod world;

pub use by_hand::ByHand;
pub use control_host::ControlHost;
pub use dtls_end::{DTLS_PORT, DtlsEnd};
pub use media_host::{MediaConfig, MediaHost};
pub use mrfp_host::{MrfpHost, MrfpTermination};
pub use phone_host::{BY_HAND, PhoneHost};
pub use setup::{Access, FAST, GOOD, Layout, Media, ROUGH, Setup, User, everywhere, in_both};
pub use wire_host::WireHost;
pub use world::{Host, REALM, STRANGER, World, identity, number};
