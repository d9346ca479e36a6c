//! AMR and AMR-WB in RTP (RFC 4867).

mod format;

pub use format::{AmrFormat, ModeSet};
