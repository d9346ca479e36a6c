//! The only place of the media process that reads time.

use base::Instant;
use std::time::SystemTime;

/// Monotonic time, anchored once to the Unix epoch.
///
/// The process makes one and hands copies to its threads, so that their instants compare. A worker
/// reads it once per turn.
#[derive(Clone, Copy, Debug)]
pub struct Clock {
    start: std::time::Instant,
    epoch: Instant,
}

impl Clock {
    /// A clock anchored now.
    pub fn start() -> Self {
        let since_epoch = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH);
        Self {
            start: std::time::Instant::now(),
            epoch: Instant::ZERO + since_epoch.unwrap_or_default(),
        }
    }

    /// The time.
    pub fn now(&self) -> Instant {
        self.epoch + self.start.elapsed()
    }
}
