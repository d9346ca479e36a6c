//! Application data inactivity detection package, H.248.40.

use super::Type;

package! {
    "adid" 0x009c, version 1;
    events {
        /// Event: no packet passed for the detection time.
        IP_STOP = "ipstop" _ (DETECTION_TIME, DIRECTION);
    }
    parameters {
        /// Parameter of [`IP_STOP`], in seconds.
        DETECTION_TIME = "dt" _: Type::Integer, in 0..=2147483647, default "5";
        /// Parameter of [`IP_STOP`]: the way that is watched, seen from the termination.
        DIRECTION = "dir" _: Type::String, default "BOTH";
    }
}
