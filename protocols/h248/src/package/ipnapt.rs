//! IP NAPT traversal package, H.248.37.

use super::{Item, Package};

/// `ipnapt`, version 1.
pub const PACKAGE: Package = Package {
    signals: &[LATCH],
    ..Package::new("ipnapt", 0x0099, 1)
};

/// Signal: take the address that packets come from as the remote one.
pub const LATCH: Item = Item::acting("ipnapt", "latch", None, &[]);
