//! Hanging termination detection package, H.248.36.

use super::Type;

package! {
    "hangterm" 0x0098, version 1;
    events {
        /// Event: nothing was heard of the termination from the MGC for a time.
        HEARTBEAT = "thb" 0x0001 (TIMER_X);
    }
    parameters {
        /// Parameter of [`HEARTBEAT`], in seconds; 0 is never.
        TIMER_X = "timerx" _: Type::Integer, in 0..=2147483647, default "0";
    }
}
