//! Generic package, H.248.1 E.1.

use super::{Item, Package, ParameterId, Type};

/// `g`, version 2.
pub const PACKAGE: Package = Package {
    events: &[CAUSE, SIGNAL_COMPLETION],
    ..Package::new("g", 0x0001, 2)
};

/// Event: something went wrong or ended.
pub const CAUSE: Item = Item::acting("g", "cause", Some(0x0001), &[GENERAL_CAUSE, FAILURE_CAUSE]);

/// Parameter of [`CAUSE`]: normal release, unavailable resources, temporary or permanent failure,
/// interworking, unsupported.
pub const GENERAL_CAUSE: ParameterId = ParameterId::new(
    "Generalcause",
    0x0001,
    Type::Enumeration(&[
        ("NR", 1),
        ("UR", 2),
        ("FT", 3),
        ("FP", 4),
        ("IW", 5),
        ("UN", 6),
    ]),
);

/// Parameter of [`CAUSE`]: a cause value of the bearer.
pub const FAILURE_CAUSE: ParameterId = ParameterId::new("Failurecause", 0x0002, Type::OctetString);

/// Event: a signal ended.
pub const SIGNAL_COMPLETION: Item = Item::acting(
    "g",
    "sc",
    Some(0x0002),
    &[SIGNAL_ID, TERMINATION_METHOD, SIGNAL_LIST_ID, REQUEST_ID],
);

/// Parameter of [`SIGNAL_COMPLETION`]: which signal.
pub const SIGNAL_ID: ParameterId = ParameterId::new("SigID", 0x0001, Type::OctetString);

/// Parameter of [`SIGNAL_COMPLETION`]: timed out, event, new Signals descriptor, not completed,
/// iteration.
pub const TERMINATION_METHOD: ParameterId = ParameterId::new(
    "Meth",
    0x0002,
    Type::Enumeration(&[("TO", 1), ("EV", 2), ("SD", 3), ("NC", 4), ("PI", 5)]),
);

/// Parameter of [`SIGNAL_COMPLETION`]: of which signal list.
pub const SIGNAL_LIST_ID: ParameterId = ParameterId::new("SLID", 0x0003, Type::Integer);

/// Parameter of [`SIGNAL_COMPLETION`]: of which request.
pub const REQUEST_ID: ParameterId = ParameterId::new("RID", 0x0004, Type::Integer);
