//! Application data inactivity detection package, H.248.40.

use super::{Item, Package, ParameterId, Type};

/// `adid`, version 1.
pub const PACKAGE: Package = Package {
    events: &[IP_STOP],
    ..Package::new("adid", 0x009c, 1)
};

/// Event: no packet passed for the detection time.
pub const IP_STOP: Item = Item::acting("adid", "ipstop", None, &[DETECTION_TIME, DIRECTION]);

/// Parameter of [`IP_STOP`], in seconds.
pub const DETECTION_TIME: ParameterId = ParameterId::text_only("dt", Type::Integer);

/// Parameter of [`IP_STOP`]: the way that is watched, seen from the termination.
pub const DIRECTION: ParameterId = ParameterId::text_only("dir", Type::String);
