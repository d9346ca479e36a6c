//! Base root package, H.248.1 E.2: properties of the gateway as a whole.

use super::{Item, Package, Type};

/// `root`, version 2.
pub const PACKAGE: Package = Package {
    properties: &[
        CONTEXTS_MAX,
        TERMINATIONS_PER_CONTEXT_MAX,
        NORMAL_MG_EXECUTION_TIME,
        NORMAL_MGC_EXECUTION_TIME,
        MG_PROVISIONAL_RESPONSE_TIMER,
        MGC_PROVISIONAL_RESPONSE_TIMER,
        MGC_ORIGINATED_PENDING_LIMIT,
        MG_ORIGINATED_PENDING_LIMIT,
        MG_SEGMENTATION_TIMER,
        MGC_SEGMENTATION_TIMER,
        MG_MAX_PDU_SIZE,
        MGC_MAX_PDU_SIZE,
    ],
    ..Package::new("root", 0x0002, 2)
};

/// Contexts that can exist at a time.
pub const CONTEXTS_MAX: Item = Item::valued("root", "maxNumberOfContexts", 0x0001, Type::Double);

/// Terminations that a context can have.
pub const TERMINATIONS_PER_CONTEXT_MAX: Item =
    Item::valued("root", "maxTerminationsPerContext", 0x0002, Type::Integer);

/// Time in ms within which the MGC can expect a reply, network delay not counted.
pub const NORMAL_MG_EXECUTION_TIME: Item =
    Item::valued("root", "normalMGExecutionTime", 0x0003, Type::Integer);

/// Time in ms within which the MG can expect a reply, network delay not counted.
pub const NORMAL_MGC_EXECUTION_TIME: Item =
    Item::valued("root", "normalMGCExecutionTime", 0x0004, Type::Integer);

/// Time in ms within which the MGC can expect a Pending.
pub const MG_PROVISIONAL_RESPONSE_TIMER: Item = Item::valued(
    "root",
    "MGProvisionalResponseTimerValue",
    0x0005,
    Type::Integer,
);

/// Time in ms within which the MG can expect a Pending.
pub const MGC_PROVISIONAL_RESPONSE_TIMER: Item = Item::valued(
    "root",
    "MGCProvisionalResponseTimerValue",
    0x0006,
    Type::Integer,
);

/// Pendings that the MG may receive for a request.
pub const MGC_ORIGINATED_PENDING_LIMIT: Item =
    Item::valued("root", "MGCOriginatedPendingLimit", 0x0007, Type::Integer);

/// Pendings that the MGC may receive for a request.
pub const MG_ORIGINATED_PENDING_LIMIT: Item =
    Item::valued("root", "MGOriginatedPendingLimit", 0x0008, Type::Integer);

/// Time in ms within which the MGC can expect the next segment of a reply.
pub const MG_SEGMENTATION_TIMER: Item =
    Item::valued("root", "MGSegmentationTimerValue", 0x0009, Type::Integer);

/// Time in ms within which the MG can expect the next segment of a reply.
pub const MGC_SEGMENTATION_TIMER: Item =
    Item::valued("root", "MGCSegmentationTimerValue", 0x000a, Type::Integer);

/// Octets of a message that the MG receives at most.
pub const MG_MAX_PDU_SIZE: Item = Item::valued("root", "MGMaxPDUSize", 0x000b, Type::Integer);

/// Octets of a message that the MGC receives at most.
pub const MGC_MAX_PDU_SIZE: Item = Item::valued("root", "MGCMaxPDUSize", 0x000c, Type::Integer);
