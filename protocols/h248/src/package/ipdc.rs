//! IP domain connection package, H.248.41.

use super::Type;

package! {
    "ipdc" 0x009d, version 1;
    properties {
        /// Property: the IP realm that the stream is connected to.
        REALM = "realm" _: Type::String;
    }
}
