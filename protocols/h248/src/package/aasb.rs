//! Advanced audio server base package, H.248.9 8.

use super::{Type, tonegen};

package! {
    "aasb" 0x0033, version 3;
    events {
        /// Event: an operation failed.
        FAILURE = "audfail" 0x0001 (RETURN_CODE);
        /// Event: an announcement has been played.
        PLAY_COMPLETE = "playcom" 0x0012 (AMOUNT_PLAYED, OFFSET_REACHED);
    }
    signals {
        /// Signal: plays an announcement.
        PLAY = "play" 0x0001
            (ANNOUNCEMENT, ITERATIONS, INTERVAL, SPEED, VOLUME, DIRECTION, OFFSET);
    }
    parameters {
        /// Parameter of [`FAILURE`]: why, an error code of H.248.8.
        RETURN_CODE = "rc" 0x0001: Type::Integer;
        /// Parameter of [`PLAY_COMPLETE`]: how much of it was played.
        AMOUNT_PLAYED = "ap" 0x0001: Type::Integer;
        /// Parameter of [`PLAY_COMPLETE`]: where in it that ended.
        OFFSET_REACHED = "off" 0x0002: Type::Integer;
        /// Parameter of [`PLAY`]: what is played, in announcement syntax (H.248.9 6).
        ANNOUNCEMENT = "an" 0x0001: Type::String;
        /// Parameter of [`PLAY`]: how often; -1 until it is stopped.
        ITERATIONS = "it" 0x0002: Type::Integer;
        /// Parameter of [`PLAY`]: silence between two of them, in units of 100 ms.
        INTERVAL = "iv" 0x0003: Type::Integer;
        /// Parameter of [`PLAY`]: faster or slower, in percent.
        SPEED = "sp" 0x0004: Type::Integer;
        /// Parameter of [`PLAY`]: louder or softer, in dB.
        VOLUME = "vl" 0x0005: Type::Integer;
        /// Parameter of [`PLAY`]: out of the context, into it, or both.
        DIRECTION = "di" 0x0006: tonegen::DIRECTIONS, default "ext";
        /// Parameter of [`PLAY`]: where in it to begin, in units of 10 ms.
        OFFSET = "off" 0x0009: Type::Integer;
    }
}
