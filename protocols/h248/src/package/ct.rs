//! Basic continuity package, H.248.1 E.10.

use super::{Item, Package, ParameterId, Type};

/// `ct`, version 1.
pub const PACKAGE: Package = Package {
    events: &[COMPLETION],
    signals: &[TEST, RESPOND],
    ..Package::new("ct", 0x000a, 1)
};

/// Event: the test ended.
pub const COMPLETION: Item = Item::acting("ct", "cmp", Some(0x0005), &[RESULT]);

/// Parameter of [`COMPLETION`].
pub const RESULT: ParameterId = ParameterId::new(
    "res",
    0x0008,
    Type::Enumeration(&[("failure", 0), ("success", 1)]),
);

/// Signal: sends the tone of the test.
pub const TEST: Item = Item::acting("ct", "ct", Some(0x0003), &[]);

/// Signal: answers the tone of the test.
pub const RESPOND: Item = Item::acting("ct", "rsp", Some(0x0004), &[]);
