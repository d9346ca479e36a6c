//! Call progress tones generator package, H.248.1 E.7.

use super::tonegen;

package! {
    "cg" 0x0007, version 1, extends tonegen;
    signals {
        /// Signal: dial tone.
        DIAL_TONE = "dt" 0x0030 (DIRECTION);
        /// Signal: ringing tone.
        RINGING_TONE = "rt" 0x0031 (DIRECTION);
        /// Signal: busy tone.
        BUSY_TONE = "bt" 0x0032 (DIRECTION);
        /// Signal: congestion tone.
        CONGESTION_TONE = "ct" 0x0033 (DIRECTION);
        /// Signal: special information tone.
        SPECIAL_INFORMATION_TONE = "sit" 0x0034 (DIRECTION);
        /// Signal: (recording) warning tone.
        WARNING_TONE = "wt" 0x0035 (DIRECTION);
        /// Signal: payphone recognition tone.
        PAYPHONE_RECOGNITION_TONE = "prt" 0x0036 (DIRECTION);
        /// Signal: call waiting tone.
        CALL_WAITING_TONE = "cw" 0x0037 (DIRECTION);
        /// Signal: caller waiting tone.
        CALLER_WAITING_TONE = "cr" 0x0038 (DIRECTION);
    }
    parameters {
        /// Parameter of the tones: out of the context, into it, or both.
        DIRECTION = "btd" _: tonegen::DIRECTIONS, default "ext";
    }
}
