//! What every protocol engine of Strowger needs and none may fetch for itself.
//!
//! Engines are *sans-IO*: time ([`Instant`]) and randomness ([`Entropy`]) come in as arguments,
//! bytes come in and go out as values. An engine has five kinds of methods: `handle_input(now, …)`,
//! `handle_timeout(now)`, `next_timeout()`, `poll_output()` and plain getters. After any `&mut`
//! call the caller drains `poll_output`.
//!
//! ```
//! use base::{Instant, TimerQueue};
//! use std::time::Duration;
//!
//! let now = Instant::ZERO;
//! let mut timers = TimerQueue::new();
//! timers.set(now + Duration::from_millis(500), "Timer A");
//! assert_eq!(timers.next_timeout(), Some(now + Duration::from_millis(500)));
//! assert_eq!(timers.pop_due(now), None);
//! assert_eq!(timers.pop_due(now + Duration::from_secs(1)), Some("Timer A"));
//! ```

mod entropy;
mod id_map;
mod pii;
mod slab;
mod time;
mod timer;

pub use entropy::Entropy;
pub use id_map::{IdHasher, IdMap, SteadyMap};
pub use pii::{Pii, set_pii_visible};
pub use slab::{Slab, SlabId};
pub use time::Instant;
pub use timer::{TimerId, TimerQueue};
