//! RTP package, H.248.1 E.12.

use super::{Item, Package, ParameterId, Type, nt};

/// `rtp`, version 1.
pub const PACKAGE: Package = Package {
    extends: Some(&nt::PACKAGE),
    events: &[PAYLOAD_TRANSITION],
    statistics: &[PACKETS_SENT, PACKETS_RECEIVED, PACKET_LOSS, JITTER, DELAY],
    ..Package::new("rtp", 0x000c, 1)
};

/// Event: the payload type changed.
pub const PAYLOAD_TRANSITION: Item = Item::acting("rtp", "pltrans", Some(0x0001), &[PAYLOAD_TYPE]);

/// Parameter of [`PAYLOAD_TRANSITION`]: payload types.
pub const PAYLOAD_TYPE: ParameterId =
    ParameterId::new("rtppltype", 0x0001, Type::List(&Type::OctetString));

/// Statistic: packets sent.
pub const PACKETS_SENT: Item = Item::valued("rtp", "ps", 0x0004, Type::Double);

/// Statistic: packets received.
pub const PACKETS_RECEIVED: Item = Item::valued("rtp", "pr", 0x0005, Type::Double);

/// Statistic: packets lost, in percent of those expected.
pub const PACKET_LOSS: Item = Item::valued("rtp", "pl", 0x0006, Type::Double);

/// Statistic: interarrival jitter (RFC 3550 6.4.1), in timestamp units.
pub const JITTER: Item = Item::valued("rtp", "jit", 0x0007, Type::Double);

/// Statistic: mean delay of packets, in timestamp units.
pub const DELAY: Item = Item::valued("rtp", "delay", 0x0008, Type::Double);
