//! Differentiated services package, H.248.52.

use super::{Item, Package, Type};

/// `ds`, version 2.
pub const PACKAGE: Package = Package {
    properties: &[DSCP],
    ..Package::new("ds", 0x008b, 2)
};

/// Property: differentiated services code point of packets sent.
pub const DSCP: Item = Item::text_only("ds", "dscp", Type::OctetString);
