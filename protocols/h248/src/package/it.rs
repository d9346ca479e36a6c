//! Inactivity timer package, H.248.14: the MG notices that its MGC is silent.

use super::Type;

package! {
    "it" 0x0045, version 1;
    events {
        /// Event on ROOT: no message came from the MGC for this time.
        INACTIVITY_TIMEOUT = "ito" 0x0001 (MAXIMUM_INACTIVITY_TIME);
    }
    parameters {
        /// Parameter of [`INACTIVITY_TIMEOUT`], in 10 ms.
        MAXIMUM_INACTIVITY_TIME = "mit" _: Type::Integer;
    }
}
