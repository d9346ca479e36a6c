//! Gate management package, H.248.43: which packets are received, and which addresses and ports are
//! used.

use super::{Item, Package, Type};

/// `gm`, version 2.
pub const PACKAGE: Package = Package {
    properties: &[
        SOURCE_ADDRESS_FILTERING,
        SOURCE_ADDRESS_MASK,
        SOURCE_PORT_FILTERING,
        SOURCE_PORT_RANGE,
        EXPLICIT_SOURCE_ADDRESS_SETTING,
        LOCAL_SOURCE_ADDRESS,
        EXPLICIT_SOURCE_PORT_SETTING,
        LOCAL_SOURCE_PORT,
        RTCP_BEHAVIOUR,
    ],
    ..Package::new("gm", 0x008c, 2)
};

/// Property: packets from other addresses than the remote one, or [`SOURCE_ADDRESS_MASK`], are
/// dropped.
pub const SOURCE_ADDRESS_FILTERING: Item = Item::text_only("gm", "saf", Type::Boolean);

/// Property: addresses that pass, as address and mask.
pub const SOURCE_ADDRESS_MASK: Item = Item::text_only("gm", "sam", Type::List(&Type::String));

/// Property: packets from other ports than the remote one, or [`SOURCE_PORT_RANGE`], are dropped.
pub const SOURCE_PORT_FILTERING: Item = Item::text_only("gm", "spf", Type::Boolean);

/// Property: ports that pass.
pub const SOURCE_PORT_RANGE: Item = Item::text_only("gm", "spr", Type::String);

/// Property: packets leave from [`LOCAL_SOURCE_ADDRESS`].
pub const EXPLICIT_SOURCE_ADDRESS_SETTING: Item = Item::text_only("gm", "esas", Type::Boolean);

/// Property: the address packets leave from.
pub const LOCAL_SOURCE_ADDRESS: Item = Item::text_only("gm", "lsa", Type::String);

/// Property: packets leave from [`LOCAL_SOURCE_PORT`].
pub const EXPLICIT_SOURCE_PORT_SETTING: Item = Item::text_only("gm", "esps", Type::Boolean);

/// Property: the port packets leave from.
pub const LOCAL_SOURCE_PORT: Item = Item::text_only("gm", "lsp", Type::Integer);

/// Property: a port for RTCP is reserved too.
pub const RTCP_BEHAVIOUR: Item = Item::text_only("gm", "rsb", Type::Boolean);
