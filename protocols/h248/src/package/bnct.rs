//! Bearer network connection cut-through package, Q.1950 A.4.

use super::Type;

package! {
    "bnct" 0x001f, version 1;
    properties {
        /// Property: whether the bearer is through before or after it is established.
        CUT_THROUGH = "BNCCT" 0x0001: Type::Enumeration(&[("Early", 1), ("Late", 2)]);
    }
}
