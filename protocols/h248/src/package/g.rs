//! Generic package, H.248.1 E.1.

use super::Type;

package! {
    "g" 0x0001, version 2;
    events {
        /// Event: something went wrong or ended.
        CAUSE = "cause" 0x0001 (GENERAL_CAUSE, FAILURE_CAUSE);
        /// Event: a signal ended.
        SIGNAL_COMPLETION = "sc" 0x0002
            (SIGNAL_ID, TERMINATION_METHOD, SIGNAL_LIST_ID, REQUEST_ID);
    }
    parameters {
        /// Parameter of [`CAUSE`]: normal release, unavailable resources, temporary or permanent
        /// failure, interworking, unsupported.
        GENERAL_CAUSE = "Generalcause" 0x0001: Type::Enumeration(&[
            ("NR", 1),
            ("UR", 2),
            ("FT", 3),
            ("FP", 4),
            ("IW", 5),
            ("UN", 6),
        ]);
        /// Parameter of [`CAUSE`]: a cause value of the bearer.
        FAILURE_CAUSE = "Failurecause" 0x0002: Type::OctetString;
        /// Parameter of [`SIGNAL_COMPLETION`]: which signal.
        SIGNAL_ID = "SigID" 0x0001: Type::OctetString;
        /// Parameter of [`SIGNAL_COMPLETION`]: timed out, event, new Signals descriptor, not
        /// completed, iteration.
        TERMINATION_METHOD = "Meth" 0x0002: Type::Enumeration(&[
            ("TO", 1),
            ("EV", 2),
            ("SD", 3),
            ("NC", 4),
            ("PI", 5),
        ]);
        /// Parameter of [`SIGNAL_COMPLETION`]: of which signal list.
        SIGNAL_LIST_ID = "SLID" 0x0003: Type::Integer, in 0..=65535;
        /// Parameter of [`SIGNAL_COMPLETION`]: of which request.
        REQUEST_ID = "RID" 0x0004: Type::Integer;
    }
}
