//! Bearer reuse idle package, Q.1950 A.5.

use super::Type;

package! {
    "ri" 0x0020, version 1;
    properties {
        /// Property: the bearer is an idle one.
        REUSE_IDLE = "RII" 0x0001:
            Type::Enumeration(&[("Not_Reuse_Idle", 0), ("Reuse_Idle", 1)]);
    }
}
