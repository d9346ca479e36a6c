//! SRTP and SRTCP (RFC 3711, AES-GCM by RFC 7714, AES-256 in counter mode by RFC 6188).
//!
//! A [`MasterKey`] is what SDES or DTLS agree on. A [`Sender`] protects packets with one, a
//! [`Receiver`] checks and opens those under one or several. Both work in place, prepare everything
//! when they are made, allocate nothing for a packet and never wait, so a packet path may use them;
//! several threads may use the same. Rollover counters, replay lists and the life of keys are kept
//! inside.
//!
//! ```
//! use srtp::{MasterKey, Receiver, Sender, Suite};
//!
//! let key = MasterKey::new(Suite::AesCm128HmacSha1_80, &[7; 30])?;
//! let (sender, receiver) = (Sender::new(&key)?, Receiver::new(&[key])?);
//! let mut buffer = [0; 64];
//! let rtp = b"\x80\x08\x00\x01\0\0\0\0\0\0\0\x09speech";
//! buffer[..rtp.len()].copy_from_slice(rtp);
//! let len = sender.protect(&mut buffer, rtp.len())?;
//! assert_eq!(len, rtp.len() + 10);
//! let len = receiver.unprotect(&mut buffer[..len])?;
//! assert_eq!(buffer[..len], *rtp);
//! # Ok::<(), srtp::Error>(())
//! ```
//!
//! Not here: how keys are agreed on (`sdp::crypto` reads SDES), key derivation rates other than 0,
//! packets that are only authenticated or only encrypted (one of SRTCP that is not encrypted is
//! taken), F8, and header extensions encrypted by RFC 6904.

mod error;
mod hmac;
mod key;
mod packet;
mod receiver;
mod replay;
mod sender;
mod sources;
mod suite;
#[cfg(test)]
mod testkit;
#[cfg(test)]
mod tests;
mod transform;

pub use error::Error;
pub use key::{LIFETIME_MAX, MKI_BYTES_MAX, MasterKey, Mki, RTCP_LIFETIME_MAX};
pub use receiver::{KEYS_MAX, Receiver};
pub use replay::WINDOW;
pub use sender::Sender;
pub use sources::SSRCS_MAX;
pub use suite::{MASTER_BYTES_MAX, Suite};

/// Octets by which protection lengthens a packet at most: tag, SRTCP index and MKI.
pub const OVERHEAD_BYTES_MAX: usize = suite::TAG_BYTES_MAX + sender::TRAILER_BYTES + MKI_BYTES_MAX;
