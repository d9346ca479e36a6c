//! Generic bearer connection package, Q.1950 A.6.

use super::{Type, g};

package! {
    "gb" 0x0021, version 1;
    events {
        /// Event: the bearer changed.
        CHANGE = "BNCChange" 0x0001 (CHANGE_TYPE);
    }
    signals {
        /// Signal: establishes the bearer.
        ESTABLISH = "EstBNC" 0x0001 ();
        /// Signal: changes it.
        MODIFY = "ModBNC" 0x0002 ();
        /// Signal: releases it.
        RELEASE = "RelBNC" 0x0003 (GENERAL_CAUSE, FAILURE_CAUSE, RESET);
    }
    parameters {
        /// Parameter of [`CHANGE`]: established, modified, through, or not modified.
        CHANGE_TYPE = "Type" 0x0001: Type::Integer, in 1..=4;
        /// Parameter of [`RELEASE`]: as of the event `g/cause`.
        GENERAL_CAUSE = "Generalcause" 0x0001: g::GENERAL_CAUSE.domain.value;
        /// Parameter of [`RELEASE`]: a cause value of the bearer.
        FAILURE_CAUSE = "Failurecause" 0x0002: Type::OctetString;
        /// Parameter of [`RELEASE`]: the bearer is reset.
        RESET = "Reset" 0x0003: Type::Boolean;
    }
}
