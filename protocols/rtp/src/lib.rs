//! RTP and RTCP (RFC 3550, profile RFC 3551): views, reports, reception statistics and quality.
//!
//! [`Packet`] checks a datagram once and then reads or rewrites it in place; [`Header`] writes a
//! new one. [`rtcp`] reads compound packets without copying and writes them into a buffer of the
//! caller. Nothing here allocates, keeps time or draws numbers, so the packet path may use all of
//! it.
//!
//! ```
//! use rtp::{Header, Packet};
//!
//! let mut datagram = [0; 12 + 160];
//! let header = Header { payload_type: 8, sequence: 7, ssrc: 0xfeed, ..Header::default() };
//! header.write_to(&mut datagram)?;
//! let mut packet = Packet::new(&mut datagram[..])?;
//! packet.set_ssrc(0xbeef);
//! assert_eq!((packet.sequence(), packet.ssrc(), packet.payload().len()), (7, 0xbeef, 160));
//! # Ok::<(), rtp::Error>(())
//! ```
//!
//! Not here: SRTP, the jitter buffer, and the wideband E-model of G.107.1.

mod demux;
mod error;
mod event;
mod event_receiver;
mod ntp;
mod packet;
pub mod quality;
mod receive;
pub mod rtcp;

pub use demux::{DatagramKind, datagram_kind};
pub use error::Error;
pub use event::Event;
pub use event_receiver::{EVENT_SILENT_MAX, EventReceiver, EventReport};
pub use ntp::{NtpTime, round_trip};
pub use packet::{HEADER_BYTES, Header, Packet};
pub use receive::{Arrival, MIN_SEQUENTIAL, RECEIVER_LINES, ReceiverStats, Reception, Totals};
