//! Header values, parsed when asked for. One header or family to a file.

mod address;
mod auth;
mod numbers;
mod params;
mod token;
mod via;

pub use address::{Contact, NameAddr};
pub use auth::AuthParams;
pub use numbers::{CSeq, RAck, Refresher, RetryAfter, SessionExpires};
pub use params::Params;
pub use token::{ContentType, TokenParams};
pub use via::{Transport, Via};

pub(crate) use numbers::seconds;
