//! Generic announcement package, H.248.7.

use super::{Type, tonegen};

package! {
    "an" 0x001d, version 1;
    signals {
        /// Signal: plays an announcement.
        PLAY_FIXED = "apf" 0x0001 (NAME, CYCLES, VARIANT, FIXED_DIRECTION);
        /// Signal: plays an announcement with a number in it.
        PLAY_VARIABLE = "apv" 0x0002
            (NAME, CYCLES, VARIANT, NUMBER, INTERPRETATION, SPECIFIC, VARIABLE_DIRECTION);
    }
    parameters {
        /// Parameter: number of the announcement, provisioned.
        NAME = "an" 0x0001: Type::Integer;
        /// Parameter: how often; without it until it is stopped.
        CYCLES = "noc" 0x0002: Type::Integer;
        /// Parameter: language or another variant.
        VARIANT = "av" 0x0003: Type::String;
        /// Parameter of [`PLAY_FIXED`]: out of the context, into it, or both.
        FIXED_DIRECTION = "di" 0x0004: tonegen::DIRECTIONS, default "ext";
        /// Parameter of [`PLAY_VARIABLE`]: the number.
        NUMBER = "num" 0x0004: Type::Integer;
        /// Parameter of [`PLAY_VARIABLE`]: what kind of number it is.
        INTERPRETATION = "spi" 0x0005: Type::Integer;
        /// Parameter of [`PLAY_VARIABLE`]: more of the kind.
        SPECIFIC = "sp" 0x0006: Type::String;
        /// Parameter of [`PLAY_VARIABLE`]: out of the context, into it, or both.
        VARIABLE_DIRECTION = "di" 0x0007: tonegen::DIRECTIONS, default "ext";
    }
}
