//! Diameter (RFC 6733) sans-IO: codec, dictionaries, peer machine, Cx.

pub mod cx;
mod result;

pub use result::ResultCode;
