//! Bearer characteristics package, Q.1950 A.3.

use super::Type;

package! {
    "bcp" 0x001e, version 1;
    properties {
        /// Property: what kind of bearer there is, by its number in Q.765.5.
        BEARER = "BNCChar" 0x0001: Type::Integer;
    }
}
