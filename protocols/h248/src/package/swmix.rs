//! Mixing, a package of our own with a number of those for vendors (clause 14.1): how loud a
//! termination says and hears, and who talks.
//!
//! H.248.19 has packages for it (0x0070 to 0x0074), of which no independent source confirms the
//! names of packages and items.

use super::Type;

package! {
    "swmix" 0x8001, version 1;
    properties {
        /// Property: gain of what the termination says to the others, in dB.
        GAIN_IN = "gi" 0x0001: Type::Integer, in -96..=24, default "0";
        /// Property: gain of what it hears of the others, in dB.
        GAIN_OUT = "go" 0x0002: Type::Integer, in -96..=24, default "0";
        /// Property: the others hear nothing of what it says; its digits count all the same.
        MUTED = "mute" 0x0003: Type::Boolean, default "OFF";
        /// Property: it hears nothing of what the others say, only what is played to it.
        DEAF = "deaf" 0x0004: Type::Boolean, default "OFF";
    }
    events {
        /// Event: somebody begins to talk there, or is silent for half a second.
        TALK = "talk" 0x0001 (IS_TALKING, LEVEL);
        /// Event: who talks there has become the dominant talker of the context.
        DOMINANT = "dom" 0x0002 ();
    }
    parameters {
        /// Parameter of [`TALK`], observed: it begins.
        IS_TALKING = "on" 0x0001: Type::Boolean;
        /// Parameter of [`TALK`], observed: how loud, in dBov.
        LEVEL = "lv" 0x0002: Type::Integer, in -127..=0;
    }
}
