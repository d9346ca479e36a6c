//! Basic services tones generator package, Q.1950 A.10.

use super::tonegen;

package! {
    "srvtn" 0x0025, version 1, extends tonegen;
    signals {
        /// Signal: recall dial tone.
        RECALL_DIAL_TONE = "rdt" _ (DIRECTION);
        /// Signal: confirmation tone.
        CONFIRMATION_TONE = "conf" _ (DIRECTION);
        /// Signal: held tone.
        HELD_TONE = "ht" _ (DIRECTION);
        /// Signal: message waiting tone.
        MESSAGE_WAITING_TONE = "mwt" _ (DIRECTION);
    }
    parameters {
        /// Parameter of the tones: out of the context, into it, or both.
        DIRECTION = "btd" _: tonegen::DIRECTIONS, default "ext";
    }
}
