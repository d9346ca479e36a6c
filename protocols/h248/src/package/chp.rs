//! Media gateway resource congestion handling package, H.248.10.

use super::Type;

package! {
    "chp" 0x0029, version 1;
    events {
        /// Event on ROOT: calls are to be blocked, or no longer.
        CONGESTION = "MGCon" 0x0001 (REDUCTION);
    }
    parameters {
        /// Parameter of [`CONGESTION`]: how many calls are to be blocked, in percent.
        REDUCTION = "reduction" 0x0001: Type::Integer, in 0..=100;
    }
}
