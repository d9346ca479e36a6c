//! MGC information package, H.248.45: the MGC keeps something of its own at the MG.

use super::Type;

package! {
    "mgcinfo" 0x00a0, version 1;
    properties {
        /// Property: what the MGC keeps there.
        DATA_BLOCK = "db" _: Type::OctetString;
    }
}
