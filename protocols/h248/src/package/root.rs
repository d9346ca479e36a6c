//! Base root package, H.248.1 E.2: properties of the gateway as a whole.

use super::Type;

package! {
    "root" 0x0002, version 2;
    properties {
        /// Contexts that can exist at a time.
        CONTEXTS_MAX = "maxNumberOfContexts" 0x0001: Type::Double;
        /// Terminations that a context can have.
        TERMINATIONS_PER_CONTEXT_MAX = "maxTerminationsPerContext" 0x0002: Type::Integer;
        /// Time in ms within which the MGC can expect a reply, network delay not counted.
        NORMAL_MG_EXECUTION_TIME = "normalMGExecutionTime" 0x0003: Type::Integer;
        /// Time in ms within which the MG can expect a reply, network delay not counted.
        NORMAL_MGC_EXECUTION_TIME = "normalMGCExecutionTime" 0x0004: Type::Integer;
        /// Time in ms within which the MGC can expect a Pending.
        MG_PROVISIONAL_RESPONSE_TIMER = "MGProvisionalResponseTimerValue" 0x0005: Type::Integer;
        /// Time in ms within which the MG can expect a Pending.
        MGC_PROVISIONAL_RESPONSE_TIMER = "MGCProvisionalResponseTimerValue" 0x0006: Type::Integer;
        /// Pendings that the MG may receive for a request.
        MGC_ORIGINATED_PENDING_LIMIT = "MGCOriginatedPendingLimit" 0x0007: Type::Integer;
        /// Pendings that the MGC may receive for a request.
        MG_ORIGINATED_PENDING_LIMIT = "MGOriginatedPendingLimit" 0x0008: Type::Integer;
        /// Time in ms within which the MGC can expect the next segment of a reply.
        MG_SEGMENTATION_TIMER = "MGSegmentationTimerValue" 0x0009: Type::Integer;
        /// Time in ms within which the MG can expect the next segment of a reply.
        MGC_SEGMENTATION_TIMER = "MGCSegmentationTimerValue" 0x000a: Type::Integer;
        /// Octets of a message that the MG receives at most.
        MG_MAX_PDU_SIZE = "MGMaxPDUSize" 0x000b: Type::Integer;
        /// Octets of a message that the MGC receives at most.
        MGC_MAX_PDU_SIZE = "MGCMaxPDUSize" 0x000c: Type::Integer;
    }
}
