//! RTCP handling package, H.248.57.

use super::Type;

package! {
    "rtcph" 0x00b5, version 1;
    properties {
        /// Property: a port for RTCP is reserved beside that for RTP.
        RTCP_BEHAVIOUR = "rsb" _: Type::Boolean, default "ON";
    }
}
