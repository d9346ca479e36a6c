//! TDM circuit package, H.248.1 E.13.

use super::Type;

package! {
    "tdmc" 0x000d, version 1, extends nt;
    properties {
        /// Property: echo cancellation.
        ECHO_CANCELLATION = "ec" 0x0008: Type::Boolean;
        /// Property: gain in dB.
        GAIN = "gain" 0x000a: Type::Integer;
    }
}
