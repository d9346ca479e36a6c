//! SIP (RFC 3261) sans-IO: message index, headers, transactions, dialogs, digest.

pub mod digest;
