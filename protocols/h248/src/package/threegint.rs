//! 3G interface type package, TS 29.232 15.2.11.

use super::Type;

package! {
    "threegint" 0x00e3, version 1;
    properties {
        /// Property: what the termination is connected to, by its number.
        IP_INTERFACE = "ipint" 0x0001: Type::Integer;
    }
}
