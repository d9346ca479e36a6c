//! What a datagram on a media port is.

/// The protocols that share a media port, RFC 7983 section 7 and RFC 5761 section 4.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum DatagramKind {
    /// STUN, RFC 8489: first byte 0 to 3.
    Stun,
    /// ZRTP, RFC 6189: 16 to 19.
    Zrtp,
    /// DTLS: 20 to 63.
    Dtls,
    /// TURN channel data, RFC 8656: 64 to 79.
    TurnChannel,
    /// RTP or SRTP: 128 to 191, and not RTCP.
    Rtp,
    /// RTCP or SRTCP: 128 to 191, and a second byte of 192 to 223.
    Rtcp,
    /// None of them.
    Unknown,
}

/// Tells by the first two bytes what a datagram is. It need not be valid as such.
#[inline]
pub fn datagram_kind(datagram: &[u8]) -> DatagramKind {
    match datagram {
        [0..=3, ..] => DatagramKind::Stun,
        [16..=19, ..] => DatagramKind::Zrtp,
        [20..=63, ..] => DatagramKind::Dtls,
        [64..=79, ..] => DatagramKind::TurnChannel,
        [128..=191, 192..=223, ..] => DatagramKind::Rtcp,
        [128..=191, _, ..] => DatagramKind::Rtp,
        _ => DatagramKind::Unknown,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn first_bytes_tell_protocols_apart() {
        let cases: [(&[u8], DatagramKind); 10] = [
            (&[], DatagramKind::Unknown),
            (&[0x80], DatagramKind::Unknown),
            (&[0, 1, 0, 0], DatagramKind::Stun),
            (&[22, 254, 253], DatagramKind::Dtls),
            (&[16, 0], DatagramKind::Zrtp),
            (&[64, 0], DatagramKind::TurnChannel),
            (&[0x80, 0], DatagramKind::Rtp),
            (&[0x80, 0x80 | 101], DatagramKind::Rtp),
            (&[0x81, 200], DatagramKind::Rtcp),
            (&[192, 200], DatagramKind::Unknown),
        ];
        for (datagram, kind) in cases {
            assert_eq!(datagram_kind(datagram), kind, "{datagram:?}");
        }
        // Payload types 64 to 95 with the marker look like RTCP, which is why RFC 5761 forbids them
        // with mux.
        assert_eq!(datagram_kind(&[0x80, 0x80 | 72]), DatagramKind::Rtcp);
        assert_eq!(datagram_kind(&[0x80, 0x80 | 96]), DatagramKind::Rtp);
    }
}
