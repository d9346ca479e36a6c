//! TDM circuit package, H.248.1 E.13.

use super::{Item, Package, Type, nt};

/// `tdmc`, version 1.
pub const PACKAGE: Package = Package {
    extends: Some(&nt::PACKAGE),
    properties: &[ECHO_CANCELLATION, GAIN],
    ..Package::new("tdmc", 0x000d, 1)
};

/// Property: echo cancellation.
pub const ECHO_CANCELLATION: Item = Item::valued("tdmc", "ec", 0x0008, Type::Boolean);

/// Property: gain in dB.
pub const GAIN: Item = Item::valued("tdmc", "gain", 0x000a, Type::Integer);
