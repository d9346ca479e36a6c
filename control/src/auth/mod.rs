//! Authentication of subscribers: IMS AKA (TS 33.203, TS 33.102) and SIP Digest (TS 33.203 Annex
//! N).
//!
//! Pure functions: RAND comes in as an argument, and the sequence number comes from the store,
//! which has made it durable before a vector is computed from it.

pub mod digest;
mod hex;
pub mod milenage;
mod secret;
pub mod sqn;
#[cfg(test)]
pub(crate) mod usim;
pub mod vector;

pub use digest::DigestHash;
pub use hex::{HexError, parse_hex, parse_hex_exact, to_hex};
pub use milenage::Milenage;
pub use secret::Secret;
pub use sqn::Sqn;
pub use vector::{AkaVector, Autn, Auts, Rand};
