//! What H.248.4 says of SCTP: one message in each, with a payload protocol identifier of its own.
//!
//! Everything is sent in order on one stream. The transactions do not need the order, but where a
//! path loses packets it costs less than what overtakes does: a Subtract before its Modify.

/// Payload protocol identifier of H.248, in text and in binary.
pub const PPID: u32 = 7;

/// That of senders that say nothing (RFC 9260 3.3.1), which is understood too.
pub const PPID_UNSPECIFIED: u32 = 0;

/// The stream that is sent on.
pub const STREAM: u16 = 0;

/// Streams to ask for each way: peers may spread their messages.
pub const STREAMS: u16 = 16;

/// Longest message, the same as in a TPKT: no transport changes what can be said.
pub const MESSAGE_LEN_MAX: usize = super::tpkt::MESSAGE_LEN_MAX;

/// True for messages of H.248.
pub const fn is_h248(ppid: u32) -> bool {
    matches!(ppid, PPID | PPID_UNSPECIFIED)
}
