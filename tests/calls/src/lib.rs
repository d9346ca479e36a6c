//! Whole calls on virtual time: control processes, telephones and media gateways of the house exchange bytes over
//! a simulated network.
//!
//! A test builds a [`World`], lets its telephones act and looks at what they heard. One seed gives one run, octet for
//! octet; a test that fails prints its seed, and `SIM_SEED` runs it again.

mod control_host;
mod phone_host;
mod world;

pub use control_host::ControlHost;
pub use phone_host::PhoneHost;
pub use world::{Host, Layout, Media, User, World};
