//! Tone generator package, H.248.1 E.3: tones by name.

use super::Type;

package! {
    "tonegen" 0x0003, version 2;
    signals {
        /// Signal: plays tones one after the other.
        PLAY_TONE = "pt" 0x0001 (TONE_LIST, INTER_SIGNAL_DURATION, DIRECTION);
    }
    parameters {
        /// Parameter of [`PLAY_TONE`]: the tones.
        TONE_LIST = "tl" 0x0001: Type::List(&TONES);
        /// Parameter of [`PLAY_TONE`]: time between two tones, in ms.
        INTER_SIGNAL_DURATION = "ind" 0x0002: Type::Integer;
        /// Parameter of [`PLAY_TONE`]: out of the context, into it, or both.
        DIRECTION = "btd" 0x0003: DIRECTIONS, default "ext";
    }
}

/// Numbers of the tones that `dg` and `cg` add.
pub const TONES: Type = Type::Enumeration(&[
    ("d0", 0x10),
    ("d1", 0x11),
    ("d2", 0x12),
    ("d3", 0x13),
    ("d4", 0x14),
    ("d5", 0x15),
    ("d6", 0x16),
    ("d7", 0x17),
    ("d8", 0x18),
    ("d9", 0x19),
    ("da", 0x1a),
    ("db", 0x1b),
    ("dc", 0x1c),
    ("dd", 0x1d),
    ("ds", 0x20),
    ("do", 0x21),
    ("dt", 0x30),
    ("rt", 0x31),
    ("bt", 0x32),
    ("ct", 0x33),
    ("sit", 0x34),
    ("wt", 0x35),
    ("prt", 0x36),
    ("cw", 0x37),
    ("cr", 0x38),
]);

/// Where tones go: out of the context, into it, or both.
pub const DIRECTIONS: Type = Type::Enumeration(&[("ext", 1), ("int", 2), ("both", 3)]);
