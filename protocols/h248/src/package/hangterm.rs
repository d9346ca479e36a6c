//! Hanging termination detection package, H.248.36.

use super::{Item, Package, ParameterId, Type};

/// `hangterm`, version 1.
pub const PACKAGE: Package = Package {
    events: &[HEARTBEAT],
    ..Package::new("hangterm", 0x0098, 1)
};

/// Event: nothing was heard of the termination from the MGC for a time.
pub const HEARTBEAT: Item = Item::acting("hangterm", "thb", None, &[TIMER_X]);

/// Parameter of [`HEARTBEAT`], in seconds; 0 is never.
pub const TIMER_X: ParameterId = ParameterId::text_only("timerx", Type::Integer);
