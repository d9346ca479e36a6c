//! Tone detection package, H.248.1 E.4.

use super::{Type, tonegen};

package! {
    "tonedet" 0x0004, version 1;
    events {
        /// Event: a tone starts.
        START = "std" 0x0001 (TONE_LIST, TONE);
        /// Event: a tone ended.
        END = "etd" 0x0002 (TONE_LIST, DURATION, TONE);
        /// Event: a tone lasts.
        LONG = "ltd" 0x0003 (TONE_LIST, DURATION, TONE);
    }
    parameters {
        /// Parameter: tones to detect.
        TONE_LIST = "tl" 0x0001: Type::List(&tonegen::TONES);
        /// Parameter: how long, in ms.
        DURATION = "dur" 0x0002: Type::Integer;
        /// Parameter: the tone that was detected.
        TONE = "tid" 0x0003: tonegen::TONES;
    }
}
