//! Limits of the message layer. Each is checked before anything is allocated for the thing it
//! limits.

/// Longest message, start line to the last octet of the body: what fits a UDP datagram (RFC 3261
/// 18.1.1).
pub const MESSAGE_BYTES_MAX: usize = 65_535;

/// Most header field lines of a message. Forty are usual in an IMS; sixty in a long Via and
/// Record-Route chain.
pub const HEADERS_MAX: usize = 256;

/// Longest header field line or start line, folds included: the long request of RFC 4475 3.1.1.7
/// fits many times.
pub const LINE_BYTES_MAX: usize = 16_384;

/// Most parameters of one URI: comparing two URIs looks each up in the other.
pub const URI_PARAMS_MAX: usize = 64;

/// Most empty lines before a start line of a datagram (RFC 3261 7.5).
pub const LEADING_CRLF_MAX: usize = 8;

// Index offsets are u16: the octet after the last must be expressible.
const _: () = assert!(MESSAGE_BYTES_MAX <= u16::MAX as usize);
const _: () = assert!(LINE_BYTES_MAX <= MESSAGE_BYTES_MAX);
