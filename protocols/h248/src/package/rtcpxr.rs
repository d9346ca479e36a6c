//! RTCP XR base package, H.248.30: of its items, the scores of what is received.
//!
//! That it has them is known; their names and numbers no independent source confirms.

use super::Type;

package! {
    "rtcpxr" 0x0080, version 1;
    statistics {
        /// Statistic: mean opinion score of listening, in tenths from 10 to 50 (RFC 3611 4.7.5);
        /// [`MOS_UNAVAILABLE`] where there is none.
        MOS_LISTENING = "moslq" _: Type::Integer;
        /// Statistic: mean opinion score of conversing, likewise: what delay costs is in it.
        MOS_CONVERSING = "moscq" _: Type::Integer;
    }
}

/// The score of what is not speech, or has not come: RFC 3611 4.7.5.
pub const MOS_UNAVAILABLE: u8 = 127;
