//! Network package, H.248.1 E.11.

use super::{Item, Package, ParameterId, Type};

/// `nt`, version 1.
pub const PACKAGE: Package = Package {
    properties: &[JITTER_BUFFER],
    events: &[NETWORK_FAILURE, QUALITY_ALERT],
    statistics: &[DURATION, OCTETS_SENT, OCTETS_RECEIVED],
    ..Package::new("nt", 0x000b, 1)
};

/// Property: most that the jitter buffer holds, in ms.
pub const JITTER_BUFFER: Item = Item::valued("nt", "jit", 0x0007, Type::Integer);

/// Event: the network failed.
pub const NETWORK_FAILURE: Item = Item::acting("nt", "netfail", Some(0x0005), &[CAUSE]);

/// Parameter of [`NETWORK_FAILURE`]: why.
pub const CAUSE: ParameterId = ParameterId::new("cs", 0x0001, Type::String);

/// Event: the quality got worse than the threshold.
pub const QUALITY_ALERT: Item = Item::acting("nt", "qualert", Some(0x0006), &[THRESHOLD]);

/// Parameter of [`QUALITY_ALERT`]: measured loss of quality in percent.
pub const THRESHOLD: ParameterId = ParameterId::new("th", 0x0001, Type::Integer);

/// Statistic: how long the termination has been in its context, in ms.
pub const DURATION: Item = Item::valued("nt", "dur", 0x0001, Type::Double);

/// Statistic: octets sent.
pub const OCTETS_SENT: Item = Item::valued("nt", "os", 0x0002, Type::Double);

/// Statistic: octets received.
pub const OCTETS_RECEIVED: Item = Item::valued("nt", "or", 0x0003, Type::Double);
