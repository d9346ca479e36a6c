//! The one place of the control process that reads time.

use std::time::{SystemTime, UNIX_EPOCH};

use base::Instant;

/// Follows the monotonic clock from the wall-clock time at which the process started.
#[derive(Debug)]
pub struct Clock {
    started: std::time::Instant,
    anchor: Instant,
}

impl Clock {
    /// A clock anchored to the system's present idea of Unix time.
    pub fn start() -> Self {
        let since_epoch = SystemTime::now()
            .duration_since(UNIX_EPOCH)
            .unwrap_or_default();
        Self {
            started: std::time::Instant::now(),
            anchor: Instant::ZERO + since_epoch,
        }
    }

    /// The present.
    pub fn now(&self) -> Instant {
        self.anchor + self.started.elapsed()
    }

    /// When the process started.
    pub fn anchor(&self) -> Instant {
        self.anchor
    }
}
