//! SCTP (RFC 9260) in user space: libusrsctp behind a safe interface.
//!
//! An [`Endpoint`] is a one-to-many socket (RFC 6458 3): a port at one or several local addresses,
//! over which it has any number of associations. Messages keep their bounds; what becomes of
//! associations and of the paths to each address of a peer is told by [`Event`]s in between.
//! Packets go raw in IP, which needs `CAP_NET_RAW`, or in UDP (RFC 6951): [`Carrier`].
//!
//! # Threads
//!
//! The library has threads of its own, from the first [`Endpoint::open`] of a process to its end: a
//! clock of 10 ms, and one for each socket that receives packets. They run the protocol and put
//! what came into the endpoint's receive buffer, which the peer's window follows; no message is
//! handed over on them. All they do outside the library is to set a flag and to call the `wake` of
//! the endpoint, which must not block: an eventfd is what it is for. The messages are then taken by
//! [`Endpoint::poll_event`] on the thread of the endpoint's owner. No call of this crate blocks but
//! [`Endpoint::close`], which waits for peers as long as it is told.
//!
//! What the library's clock has found out, that a path or an association has failed, it puts there
//! without a word: poll at least every [`POLL_AFTER`].
//!
//! # Source addresses
//!
//! Left alone, the library sends everything from the first address of an endpoint, raw, or from
//! where the system likes, in UDP. With two networks neither is any good. So its packets pass this
//! crate on their way to the system, and leave from that address of the endpoint from which the
//! system has a route to the destination. A port belongs to one endpoint of a process.
//!
//! # Not here
//!
//! Sockets of the kernel: usrsctp is always used. Where the kernel has SCTP too
//! ([`kernel_has_sctp`]), it answers raw packets with ABORT before the library has seen them;
//! encapsulation is then the way. Raw, packets for which there is no association are not answered:
//! a raw socket sees those of every process of the host, and the others' are none of our business.
//!
//! An INIT with no streams, which RFC 9260 3.3.2 forbids, makes libusrsctp 0.9.5 end an association
//! if it comes from the peer's address and port, though anybody may have forged these. Networks for
//! signalling have to keep forged addresses out.
//!
//! Extensions of which H.248 has no use are off: AUTH, ASCONF, RE-CONFIG, NR-SACK, packet drop
//! reports.

mod address;
mod config;
mod endpoint;
mod ffi;
mod notification;
mod seam;
mod stack;

pub use config::{Carrier, Config, ENCAPSULATION_PORT, Timing};
pub use endpoint::{AssociationId, Endpoint, Event, POLL_AFTER, PathStatus, Reason, SendError};
pub use notification::PathState;
pub use stack::{kernel_has_sctp, remedy};
