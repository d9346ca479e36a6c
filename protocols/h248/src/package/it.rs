//! Inactivity timer package, H.248.14: the MG notices that its MGC is silent.

use super::{Item, Package, ParameterId, Type};

/// `it`, version 1.
pub const PACKAGE: Package = Package {
    events: &[INACTIVITY_TIMEOUT],
    ..Package::new("it", 0x0045, 1)
};

/// Event on ROOT: no message came from the MGC for this time.
pub const INACTIVITY_TIMEOUT: Item = Item::acting("it", "ito", None, &[MAXIMUM_INACTIVITY_TIME]);

/// Parameter of [`INACTIVITY_TIMEOUT`], in 10 ms.
pub const MAXIMUM_INACTIVITY_TIME: ParameterId = ParameterId::text_only("mit", Type::Integer);
