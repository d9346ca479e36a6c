//! One peer: its connection state machine (RFC 6733 5.6) and its watchdog (RFC 3539 3.4).
//!
//! Both are tables without a clock, connection or message in them. [`crate::endpoint`] feeds them
//! events and does what they say.

pub(crate) mod capabilities;
pub(crate) mod machine;
pub(crate) mod watchdog;
