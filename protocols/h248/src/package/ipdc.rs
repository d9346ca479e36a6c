//! IP domain connection package, H.248.41.

use super::{Item, Package, Type};

/// `ipdc`, version 1.
pub const PACKAGE: Package = Package {
    properties: &[REALM],
    ..Package::new("ipdc", 0x009d, 1)
};

/// Property: the IP realm that the stream is connected to.
pub const REALM: Item = Item::text_only("ipdc", "realm", Type::String);
