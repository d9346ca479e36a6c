//! IP NAPT traversal package, H.248.37.

use super::Type;

package! {
    "ipnapt" 0x0099, version 1;
    signals {
        /// Signal: take the address that packets come from as the remote one.
        LATCH = "latch" _ (NAPT);
    }
    parameters {
        /// Parameter of [`LATCH`]: OFF, LATCH or RELATCH.
        NAPT = "napt" _: Type::String;
    }
}
