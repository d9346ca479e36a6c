//! Traffic management package, H.248.53: policing of what is received.

use super::{Item, Package, Type};

/// `tman`, version 1.
pub const PACKAGE: Package = Package {
    properties: &[
        POLICING,
        PEAK_DATA_RATE,
        DELAY_VARIATION_TOLERANCE,
        SUSTAINABLE_DATA_RATE,
        MAXIMUM_BURST_SIZE,
    ],
    ..Package::new("tman", 0x008d, 1)
};

/// Property: packets beyond the rates are dropped.
pub const POLICING: Item = Item::text_only("tman", "pol", Type::Boolean);

/// Property: peak data rate in octets per second.
pub const PEAK_DATA_RATE: Item = Item::text_only("tman", "pdr", Type::Integer);

/// Property: delay variation tolerance.
pub const DELAY_VARIATION_TOLERANCE: Item = Item::text_only("tman", "dvt", Type::Integer);

/// Property: sustainable data rate in octets per second.
pub const SUSTAINABLE_DATA_RATE: Item = Item::text_only("tman", "sdr", Type::Integer);

/// Property: maximum burst size in octets.
pub const MAXIMUM_BURST_SIZE: Item = Item::text_only("tman", "mbs", Type::Integer);
