//! Network package, H.248.1 E.11.

use super::Type;

package! {
    "nt" 0x000b, version 1;
    properties {
        /// Property: most that the jitter buffer holds, in ms.
        JITTER_BUFFER = "jit" 0x0007: Type::Integer;
    }
    events {
        /// Event: the network failed.
        NETWORK_FAILURE = "netfail" 0x0005 (CAUSE);
        /// Event: the quality got worse than the threshold.
        QUALITY_ALERT = "qualert" 0x0006 (THRESHOLD);
    }
    statistics {
        /// Statistic: how long the termination has been in its context, in ms.
        DURATION = "dur" 0x0001: Type::Double;
        /// Statistic: octets sent.
        OCTETS_SENT = "os" 0x0002: Type::Double;
        /// Statistic: octets received.
        OCTETS_RECEIVED = "or" 0x0003: Type::Double;
    }
    parameters {
        /// Parameter of [`NETWORK_FAILURE`]: why.
        CAUSE = "cs" 0x0001: Type::String;
        /// Parameter of [`QUALITY_ALERT`]: measured loss of quality in percent.
        THRESHOLD = "th" 0x0001: Type::Integer, in 0..=99;
    }
}
