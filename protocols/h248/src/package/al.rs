//! Analog line supervision package, H.248.1 E.9.

use super::Type;

package! {
    "al" 0x0009, version 1;
    events {
        /// Event: on hook.
        ON_HOOK = "on" 0x0004 (STRICT, INIT);
        /// Event: off hook.
        OFF_HOOK = "of" 0x0005 (STRICT, INIT);
        /// Event: flash hook.
        FLASH_HOOK = "fl" 0x0006 (MIN_DURATION, MAX_DURATION);
    }
    signals {
        /// Signal: rings.
        RING = "ri" 0x0002 (CADENCE, FREQUENCY);
    }
    parameters {
        /// Parameter of [`ON_HOOK`] and [`OFF_HOOK`]: only the transition, the state too, or an
        /// error when it is so already.
        STRICT = "strict" 0x0001:
            Type::Enumeration(&[("exact", 0), ("state", 1), ("failWrong", 2)]), default "exact";
        /// Parameter of [`ON_HOOK`] and [`OFF_HOOK`]: it was so already.
        INIT = "init" 0x0002: Type::Boolean;
        /// Parameter of [`FLASH_HOOK`], in ms.
        MIN_DURATION = "mindur" 0x0004: Type::Integer;
        /// Parameter of [`FLASH_HOOK`], in ms.
        MAX_DURATION = "maxdur" 0x0005: Type::Integer;
        /// Parameter of [`RING`]: durations of on and off in ms.
        CADENCE = "cad" 0x0006: Type::List(&Type::Integer);
        /// Parameter of [`RING`], in Hz.
        FREQUENCY = "freq" 0x0007: Type::Integer;
    }
}
