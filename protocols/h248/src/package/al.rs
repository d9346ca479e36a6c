//! Analog line supervision package, H.248.1 E.9.

use super::{Item, Package, ParameterId, Type};

/// `al`, version 1.
pub const PACKAGE: Package = Package {
    events: &[ON_HOOK, OFF_HOOK, FLASH_HOOK],
    signals: &[RING],
    ..Package::new("al", 0x0009, 1)
};

/// Event: on hook.
pub const ON_HOOK: Item = Item::acting("al", "on", Some(0x0004), &[STRICT, INIT]);

/// Event: off hook.
pub const OFF_HOOK: Item = Item::acting("al", "of", Some(0x0005), &[STRICT, INIT]);

/// Event: flash hook.
pub const FLASH_HOOK: Item = Item::acting("al", "fl", Some(0x0006), &[MIN_DURATION, MAX_DURATION]);

/// Parameter of [`ON_HOOK`] and [`OFF_HOOK`]: only the transition, the state too, or an error when
/// it is so already.
pub const STRICT: ParameterId = ParameterId::new(
    "strict",
    0x0001,
    Type::Enumeration(&[("exact", 0), ("state", 1), ("failWrong", 2)]),
);

/// Parameter of [`ON_HOOK`] and [`OFF_HOOK`]: it was so already.
pub const INIT: ParameterId = ParameterId::new("init", 0x0002, Type::Boolean);

/// Parameter of [`FLASH_HOOK`], in ms.
pub const MIN_DURATION: ParameterId = ParameterId::new("mindur", 0x0004, Type::Integer);

/// Parameter of [`FLASH_HOOK`], in ms.
pub const MAX_DURATION: ParameterId = ParameterId::new("maxdur", 0x0005, Type::Integer);

/// Signal: rings.
pub const RING: Item = Item::acting("al", "ri", Some(0x0002), &[CADENCE, FREQUENCY]);

/// Parameter of [`RING`]: durations of on and off in ms.
pub const CADENCE: ParameterId = ParameterId::new("cad", 0x0006, Type::List(&Type::Integer));

/// Parameter of [`RING`], in Hz.
pub const FREQUENCY: ParameterId = ParameterId::new("freq", 0x0007, Type::Integer);
