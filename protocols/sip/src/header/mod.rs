//! Header values, parsed when asked for. One header or family to a file.

mod address;
mod auth;
mod date;
mod numbers;
mod params;
#[cfg(test)]
mod tests;
mod token;
mod via;

pub use address::{Contact, NameAddr};
pub use auth::AuthParams;
pub use numbers::{CSeq, RAck, Refresher, RetryAfter, SessionExpires};
pub use params::Params;
pub use token::{ContentType, TokenParams};
pub use via::{Transport, Via};

pub(crate) use date::{parse as parse_date, print as print_date};
pub(crate) use numbers::seconds;
pub(crate) use token::call_id;
