//! Gate management package, H.248.43: which packets are received, and which addresses and ports are
//! used.

use super::Type;

package! {
    "gm" 0x008c, version 2;
    properties {
        /// Property: packets from other addresses than the remote one, or [`SOURCE_ADDRESS_MASK`],
        /// are dropped.
        SOURCE_ADDRESS_FILTERING = "saf" _: Type::Boolean, default "OFF";
        /// Property: addresses that pass, as address and mask.
        SOURCE_ADDRESS_MASK = "sam" _: Type::List(&Type::String);
        /// Property: packets from other ports than the remote one, or [`SOURCE_PORT_RANGE`], are
        /// dropped.
        SOURCE_PORT_FILTERING = "spf" _: Type::Boolean, default "OFF";
        /// Property: ports that pass.
        SOURCE_PORT_RANGE = "spr" _: Type::String;
        /// Property: packets leave from [`LOCAL_SOURCE_ADDRESS`].
        EXPLICIT_SOURCE_ADDRESS_SETTING = "esas" _: Type::Boolean, default "OFF";
        /// Property: the address packets leave from.
        LOCAL_SOURCE_ADDRESS = "lsa" _: Type::String;
        /// Property: packets leave from [`LOCAL_SOURCE_PORT`].
        EXPLICIT_SOURCE_PORT_SETTING = "esps" _: Type::Boolean, default "OFF";
        /// Property: the port packets leave from.
        LOCAL_SOURCE_PORT = "lsp" _: Type::Integer, in 0..=65535;
        /// Property: a port for RTCP is reserved too.
        RTCP_BEHAVIOUR = "rsb" _: Type::Boolean;
    }
}
