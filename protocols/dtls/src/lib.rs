//! DTLS-SRTP (RFC 5763, RFC 5764): a handshake over the addresses of the media tells the keys of
//! SRTP.
//!
//! [`Identity`] is the certificate that a process shows, [`Association`] one handshake with one
//! peer. An association does no I/O and reads no clock: after each call of it, what
//! [`Association::poll_output`] gives is sent, and [`Association::next_timeout`] tells when to come
//! back. Its randomness comes from the cryptographic library.
//!
//! ```
//! use base::Instant;
//! use dtls::{Association, Identity, Progress, Role};
//!
//! let origin = std::time::Instant::now();
//! let (alice, bob) = (Identity::generate(origin)?, Identity::generate(origin)?);
//! let now = Instant::from_secs(1);
//! let mut client = Association::new(&alice, Role::Client, now);
//! let mut server = Association::new(&bob, Role::Server, now);
//! client.handle_timeout(now);
//! while client.progress() == Progress::Going || server.progress() == Progress::Going {
//!     while let Some(datagram) = client.poll_output() {
//!         server.handle_datagram(now, &datagram);
//!     }
//!     while let Some(datagram) = server.poll_output() {
//!         client.handle_datagram(now, &datagram);
//!     }
//! }
//! // What signalling told of the other side.
//! assert!(client.is_with(&[bob.fingerprint()]) && server.is_with(&[alice.fingerprint()]));
//! let (ours, theirs) = (client.keys(), server.keys());
//! assert_eq!(ours.map(|keys| keys.suite), theirs.map(|keys| keys.suite));
//! # Ok::<(), dtls::Unavailable>(())
//! ```
//!
//! What a process does with many of them, and whose it believes, is the media plane's matter.

mod association;
mod certificate;
mod identity;

pub use association::{Association, Keys, Progress, is_client_hello};
pub use identity::{Identity, Role, Unavailable};
