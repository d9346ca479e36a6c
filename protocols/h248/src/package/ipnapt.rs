//! IP NAPT traversal package, H.248.37.

use super::{Item, Package, ParameterId, Type};

/// `ipnapt`, version 1.
pub const PACKAGE: Package = Package {
    signals: &[LATCH],
    ..Package::new("ipnapt", 0x0099, 1)
};

/// Signal: take the address that packets come from as the remote one.
pub const LATCH: Item = Item::acting("ipnapt", "latch", None, &[NAPT]);

/// Parameter of [`LATCH`]: OFF, LATCH or RELATCH.
pub const NAPT: ParameterId = ParameterId::text_only("napt", Type::String);
