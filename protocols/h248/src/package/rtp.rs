//! RTP package, H.248.1 E.12.

use super::Type;

package! {
    "rtp" 0x000c, version 1, extends nt;
    events {
        /// Event: the payload type changed.
        PAYLOAD_TRANSITION = "pltrans" 0x0001 (PAYLOAD_TYPE);
    }
    statistics {
        /// Statistic: packets sent.
        PACKETS_SENT = "ps" 0x0004: Type::Double;
        /// Statistic: packets received.
        PACKETS_RECEIVED = "pr" 0x0005: Type::Double;
        /// Statistic: packets lost, in percent of those expected.
        PACKET_LOSS = "pl" 0x0006: Type::Double;
        /// Statistic: interarrival jitter (RFC 3550 6.4.1), in timestamp units.
        JITTER = "jit" 0x0007: Type::Double;
        /// Statistic: mean delay of packets, in timestamp units.
        DELAY = "delay" 0x0008: Type::Double;
    }
    parameters {
        /// Parameter of [`PAYLOAD_TRANSITION`]: payload types.
        PAYLOAD_TYPE = "rtppltype" 0x0001: Type::List(&Type::OctetString);
    }
}
