//! Extended DTMF detection package, H.248.16: digit collection with a buffer and enhanced digit
//! maps.

use super::Type;

package! {
    "xdd" 0x0052, version 1, extends dd;
    events {
        /// Event: digits match the digit map, or no longer can.
        DIGIT_MAP_COMPLETION = "xce" _ (BUFFER_CONTROL, MATCHING);
    }
    parameters {
        /// Parameter of [`DIGIT_MAP_COMPLETION`]: what becomes of digits dialled ahead.
        BUFFER_CONTROL = "bc" _: Type::String;
        /// Parameter of [`DIGIT_MAP_COMPLETION`]: how digit maps are read.
        MATCHING = "mp" _: Type::String;
    }
}
