//! Expanded call progress tones generator package, Q.1950 A.9.

use super::tonegen;

package! {
    "xcg" 0x0024, version 1, extends tonegen;
    signals {
        /// Signal: comfort tone.
        COMFORT_TONE = "cmft" _ (DIRECTION);
        /// Signal: off-hook warning tone.
        OFF_HOOK_WARNING_TONE = "roh" _ (DIRECTION);
        /// Signal: negative acknowledgement.
        NEGATIVE_ACKNOWLEDGEMENT = "nack" _ (DIRECTION);
        /// Signal: vacant number tone.
        VACANT_NUMBER_TONE = "vac" _ (DIRECTION);
        /// Signal: special conditions dial tone.
        SPECIAL_DIAL_TONE = "spec" _ (DIRECTION);
    }
    parameters {
        /// Parameter of the tones: out of the context, into it, or both.
        DIRECTION = "btd" _: tonegen::DIRECTIONS, default "ext";
    }
}
