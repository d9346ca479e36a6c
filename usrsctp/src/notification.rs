//! Notifications (RFC 6458 6) as the library writes them between messages.
//!
//! The structures are read by offset; what is too short or of a type that nobody asked for is
//! nothing.

use std::net::SocketAddr;

use crate::address;

/// Notification types to subscribe to.
pub(crate) mod kind {
    /// An association came up, was lost, restarted or ended.
    pub const ASSOCIATION_CHANGE: u16 = 0x0001;
    /// A path to a peer.
    pub const PATH_CHANGE: u16 = 0x0002;
    /// A message could not be sent.
    pub const SEND_FAILED: u16 = 0x000e;
}

/// State of the path to an address of a peer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum PathState {
    /// It was heard from there.
    Reachable,
    /// Nothing came back for too long.
    Unreachable,
    /// The peer says that it has the address; nothing has been heard from there yet.
    Unconfirmed,
}

impl PathState {
    /// In words.
    pub const fn name(self) -> &'static str {
        match self {
            PathState::Reachable => "reachable",
            PathState::Unreachable => "unreachable",
            PathState::Unconfirmed => "unconfirmed",
        }
    }
}

/// What became of an association.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Change {
    /// Up, with so many streams of ours.
    Up { streams: u16 },
    /// The peer has begun anew, with so many streams of ours.
    Restarted { streams: u16 },
    /// Lost.
    Lost,
    /// Ended in order.
    ShutDown,
    /// It could not be made.
    Refused,
}

/// A notification.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Notification {
    /// Of an association.
    Association(u32, Change),
    /// Of a path.
    Path(u32, SocketAddr, PathState),
    /// Of a message.
    SendFailed(u32),
}

/// Reads one.
pub(crate) fn parse(octets: &[u8]) -> Option<Notification> {
    match u16_at(octets, 0)? {
        kind::ASSOCIATION_CHANGE => {
            let streams = u16_at(octets, 12)?;
            let change = match u16_at(octets, 8)? {
                1 => Change::Up { streams },
                2 => Change::Lost,
                3 => Change::Restarted { streams },
                4 => Change::ShutDown,
                5 => Change::Refused,
                _ => return None,
            };
            Some(Notification::Association(u32_at(octets, 16)?, change))
        }
        kind::PATH_CHANGE => {
            let (address, _) = address::decode(octets.get(8..136)?)?;
            let state = match u32_at(octets, 136)? {
                // Available, confirmed.
                1 | 6 => PathState::Reachable,
                2 => PathState::Unreachable,
                // Removed, added, made primary: nothing that the path's users would see.
                _ => return None,
            };
            Some(Notification::Path(u32_at(octets, 144)?, address, state))
        }
        kind::SEND_FAILED => Some(Notification::SendFailed(u32_at(octets, 28)?)),
        _ => None,
    }
}

fn u16_at(octets: &[u8], at: usize) -> Option<u16> {
    Some(u16::from_ne_bytes(octets.get(at..at + 2)?.try_into().ok()?))
}

fn u32_at(octets: &[u8], at: usize) -> Option<u32> {
    Some(u32::from_ne_bytes(octets.get(at..at + 4)?.try_into().ok()?))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::address::Storage;

    /// `struct sctp_assoc_change` without its information.
    fn association_change(state: u16) -> Vec<u8> {
        let mut octets = Vec::new();
        for value in [kind::ASSOCIATION_CHANGE, 0] {
            octets.extend(value.to_ne_bytes());
        }
        octets.extend(20_u32.to_ne_bytes());
        for value in [state, 0, 10, 12] {
            octets.extend(value.to_ne_bytes());
        }
        octets.extend(77_u32.to_ne_bytes());
        octets
    }

    /// `struct sctp_paddr_change`.
    fn path_change(address: &str, state: u32) -> Vec<u8> {
        let mut octets = Vec::new();
        for value in [kind::PATH_CHANGE, 0] {
            octets.extend(value.to_ne_bytes());
        }
        octets.extend(152_u32.to_ne_bytes());
        octets.extend(Storage::of(address.parse().unwrap()).0);
        for value in [state, 0, 77, 0] {
            octets.extend(value.to_ne_bytes());
        }
        octets
    }

    #[test]
    fn associations_come_up_and_end() {
        for (state, change) in [
            (1, Change::Up { streams: 10 }),
            (2, Change::Lost),
            (3, Change::Restarted { streams: 10 }),
            (4, Change::ShutDown),
            (5, Change::Refused),
        ] {
            let parsed = parse(&association_change(state));
            assert_eq!(parsed, Some(Notification::Association(77, change)));
        }
        assert_eq!(parse(&association_change(9)), None);
    }

    #[test]
    fn paths_fail_and_come_back() {
        for (state, expected) in [
            (1, Some(PathState::Reachable)),
            (2, Some(PathState::Unreachable)),
            (6, Some(PathState::Reachable)),
            (5, None),
        ] {
            for address in ["192.0.2.1:2944", "[2001:db8::1]:2944"] {
                let parsed = parse(&path_change(address, state));
                let path = |state| Notification::Path(77, address.parse().unwrap(), state);
                assert_eq!(parsed, expected.map(path));
            }
        }
    }

    #[test]
    fn what_is_cut_off_or_damaged_does_no_harm() {
        for whole in [association_change(1), path_change("192.0.2.1:1", 2)] {
            for cut in 0..whole.len() - 4 {
                assert_eq!(parse(&whole[..cut]), None, "{cut}");
            }
            for bit in 0..whole.len() * 8 {
                let mut flipped = whole.clone();
                flipped[bit / 8] ^= 1 << (bit % 8);
                let _ = parse(&flipped);
            }
        }
    }
}
