//! Basic call progress tones generator with directionality package, Q.1950 A.8.

use super::tonegen;

package! {
    "bcg" 0x0023, version 1, extends tonegen;
    signals {
        /// Signal: dial tone.
        DIAL_TONE = "bdt" 0x0040 (DIRECTION);
        /// Signal: ringing tone.
        RINGING_TONE = "brt" 0x0041 (DIRECTION);
        /// Signal: busy tone.
        BUSY_TONE = "bbt" 0x0042 (DIRECTION);
        /// Signal: congestion tone.
        CONGESTION_TONE = "bct" 0x0043 (DIRECTION);
        /// Signal: special information tone.
        SPECIAL_INFORMATION_TONE = "bsit" 0x0044 (DIRECTION);
        /// Signal: (recording) warning tone.
        WARNING_TONE = "bwt" 0x0045 (DIRECTION);
        /// Signal: payphone recognition tone.
        PAYPHONE_RECOGNITION_TONE = "bpt" 0x0046 (DIRECTION);
        /// Signal: call waiting tone.
        CALL_WAITING_TONE = "bcw" 0x0047 (DIRECTION);
        /// Signal: caller waiting tone.
        CALLER_WAITING_TONE = "bcr" 0x0048 (DIRECTION);
        /// Signal: pay tone.
        PAY_TONE = "bpy" 0x0049 (DIRECTION);
    }
    parameters {
        /// Parameter of the tones: out of the context, into it, or both.
        DIRECTION = "btd" 0x0001: tonegen::DIRECTIONS, default "ext";
    }
}
