//! Addresses as the library wants them: `sockaddr_in`, `sockaddr_in6` and `sockaddr_storage`.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};

/// Octets of a `sockaddr_in`.
const IN_LEN: usize = size_of::<libc::sockaddr_in>();
/// Octets of a `sockaddr_in6`.
const IN6_LEN: usize = size_of::<libc::sockaddr_in6>();

/// Where the fields stand, `netinet/in.h` of Linux.
mod field {
    use std::ops::Range;

    /// Both structures, in the host's order.
    pub const FAMILY: Range<usize> = 0..2;
    /// Both, in network order.
    pub const PORT: Range<usize> = 2..4;
    /// `sockaddr_in`.
    pub const IN_ADDRESS: Range<usize> = 4..8;
    /// `sockaddr_in6`, after the flow information.
    pub const IN6_ADDRESS: Range<usize> = 8..24;
}

const _: () = assert!(IN_LEN >= field::IN_ADDRESS.end && IN6_LEN >= field::IN6_ADDRESS.end);

/// A `sockaddr_storage`.
#[derive(Clone, Copy)]
#[repr(C, align(8))]
pub(crate) struct Storage(pub [u8; 128]);

const _: () = assert!(size_of::<Storage>() == size_of::<libc::sockaddr_storage>());
const _: () = assert!(align_of::<Storage>() == align_of::<libc::sockaddr_storage>());

impl Storage {
    /// No address: stands for all of them.
    pub const NONE: Storage = Storage([0; 128]);

    pub fn of(address: SocketAddr) -> Self {
        let mut storage = Self::NONE;
        let octets = encode(address);
        storage.0[..octets.len()].copy_from_slice(&octets);
        storage
    }
}

/// The structure of this address.
pub(crate) fn encode(address: SocketAddr) -> Vec<u8> {
    let (family, length) = match address {
        SocketAddr::V4(_) => (libc::AF_INET, IN_LEN),
        SocketAddr::V6(_) => (libc::AF_INET6, IN6_LEN),
    };
    let mut octets = vec![0; length];
    octets[field::FAMILY].copy_from_slice(&(family as u16).to_ne_bytes());
    octets[field::PORT].copy_from_slice(&address.port().to_be_bytes());
    match address.ip() {
        IpAddr::V4(ip) => octets[field::IN_ADDRESS].copy_from_slice(&ip.octets()),
        IpAddr::V6(ip) => octets[field::IN6_ADDRESS].copy_from_slice(&ip.octets()),
    }
    octets
}

/// The address that stands first in these octets, and the length of its structure; `None` where
/// none does. An IPv4 address within IPv6 comes out as what it is.
pub(crate) fn decode(octets: &[u8]) -> Option<(SocketAddr, usize)> {
    let family = octets.get(field::FAMILY)?.try_into().ok()?;
    let family = libc::c_int::from(u16::from_ne_bytes(family));
    let port = u16::from_be_bytes(octets.get(field::PORT)?.try_into().ok()?);
    let (ip, length) = match family {
        libc::AF_INET => {
            let octets: [u8; 4] = octets.get(field::IN_ADDRESS)?.try_into().ok()?;
            (IpAddr::V4(Ipv4Addr::from(octets)), IN_LEN)
        }
        libc::AF_INET6 => {
            let octets: [u8; 16] = octets.get(field::IN6_ADDRESS)?.try_into().ok()?;
            (Ipv6Addr::from(octets).to_canonical(), IN6_LEN)
        }
        _ => return None,
    };
    Some((SocketAddr::new(ip, port), length))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn addresses_of_both_families_come_back() {
        for (text, length) in [("192.0.2.1:2944", IN_LEN), ("[2001:db8::1]:2945", IN6_LEN)] {
            let address: SocketAddr = text.parse().unwrap();
            let octets = encode(address);
            assert_eq!(decode(&octets), Some((address, length)));
            assert_eq!(decode(&Storage::of(address).0), Some((address, length)));
            for cut in 0..octets.len() {
                // What stands behind the address does not matter.
                let _ = decode(&octets[..cut]);
            }
            assert_eq!(decode(&octets[..6]), None);
        }
    }

    #[test]
    fn an_ipv4_address_within_ipv6_is_one_of_ipv4() {
        let within = "[::ffff:192.0.2.1]:9".parse().unwrap();
        let (address, _) = decode(&encode(within)).unwrap();
        assert_eq!(address, "192.0.2.1:9".parse().unwrap());
    }

    #[test]
    fn what_is_no_internet_address_is_none() {
        assert_eq!(decode(&Storage::NONE.0), None);
        assert_eq!(decode(&[]), None);
    }
}
