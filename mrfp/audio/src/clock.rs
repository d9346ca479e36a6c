//! The clock of the helper threads: for time limits and the age of what is cached.

use std::time::Instant;

/// Now.
pub(crate) fn now() -> Instant {
    Instant::now()
}
