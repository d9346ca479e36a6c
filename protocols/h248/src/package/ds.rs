//! Differentiated services package, H.248.52.

use super::Type;

package! {
    "ds" 0x008b, version 2;
    properties {
        /// Property: differentiated services code point of packets sent.
        DSCP = "dscp" _: Type::OctetString;
        /// Property: packets keep the code point that they come with.
        TAGGING_BEHAVIOUR = "tb" _: Type::Boolean;
    }
}
