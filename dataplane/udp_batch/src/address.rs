//! Socket addresses as the system calls want them.

use std::net::{Ipv4Addr, Ipv6Addr, SocketAddr, SocketAddrV4, SocketAddrV6};

/// Room for an address of either family, in the system's layout.
#[derive(Clone, Copy)]
#[repr(C)]
pub(crate) union RawAddress {
    family: libc::sa_family_t,
    v4: libc::sockaddr_in,
    v6: libc::sockaddr_in6,
}

impl RawAddress {
    /// All zero: family `AF_UNSPEC`.
    pub(crate) fn new() -> Self {
        // SAFETY: every field of the union consists of integers, for which all bits zero is a
        // value.
        unsafe { std::mem::zeroed() }
    }

    /// Room that the system may write to, in bytes.
    pub(crate) const BYTES: libc::socklen_t = size_of::<RawAddress>() as libc::socklen_t;

    /// Writes `address`; returns the length of its structure.
    pub(crate) fn set(&mut self, address: SocketAddr) -> libc::socklen_t {
        match address {
            SocketAddr::V4(address) => {
                self.v4 = libc::sockaddr_in {
                    sin_family: libc::AF_INET as libc::sa_family_t,
                    sin_port: address.port().to_be(),
                    sin_addr: libc::in_addr {
                        s_addr: u32::from(*address.ip()).to_be(),
                    },
                    sin_zero: [0; 8],
                };
                size_of::<libc::sockaddr_in>() as libc::socklen_t
            }
            SocketAddr::V6(address) => {
                self.v6 = libc::sockaddr_in6 {
                    sin6_family: libc::AF_INET6 as libc::sa_family_t,
                    sin6_port: address.port().to_be(),
                    sin6_flowinfo: address.flowinfo().to_be(),
                    sin6_addr: libc::in6_addr {
                        s6_addr: address.ip().octets(),
                    },
                    sin6_scope_id: address.scope_id(),
                };
                size_of::<libc::sockaddr_in6>() as libc::socklen_t
            }
        }
    }

    /// What the system wrote; the unspecified IPv4 address for a family that is no Internet
    /// address.
    pub(crate) fn to_socket_address(self) -> SocketAddr {
        // SAFETY: the union is initialised in full by `new`, and any bits are a valid integer.
        let family = unsafe { self.family };
        match libc::c_int::from(family) {
            libc::AF_INET => {
                // SAFETY: the union is initialised in full by `new`; the structure consists of
                // integers.
                let raw = unsafe { self.v4 };
                let ip = Ipv4Addr::from(u32::from_be(raw.sin_addr.s_addr));
                SocketAddr::V4(SocketAddrV4::new(ip, u16::from_be(raw.sin_port)))
            }
            libc::AF_INET6 => {
                // SAFETY: the union is initialised in full by `new`; the structure consists of
                // integers.
                let raw = unsafe { self.v6 };
                let ip = Ipv6Addr::from(raw.sin6_addr.s6_addr);
                let flow_info = u32::from_be(raw.sin6_flowinfo);
                let port = u16::from_be(raw.sin6_port);
                SocketAddr::V6(SocketAddrV6::new(ip, port, flow_info, raw.sin6_scope_id))
            }
            _ => SocketAddr::V4(SocketAddrV4::new(Ipv4Addr::UNSPECIFIED, 0)),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn addresses_survive_the_way_to_the_system_and_back() {
        let link_local = SocketAddrV6::new("fe80::1".parse().unwrap(), 9, 0, 3);
        for address in [
            "192.0.2.1:1".parse().unwrap(),
            "[2001:db8::7]:65535".parse().unwrap(),
            SocketAddr::V6(link_local),
        ] {
            let mut raw = RawAddress::new();
            assert!(raw.set(address) <= RawAddress::BYTES);
            assert_eq!(raw.to_socket_address(), address);
        }
    }

    #[test]
    fn an_unknown_family_is_the_unspecified_address() {
        assert!(RawAddress::new().to_socket_address().ip().is_unspecified());
    }
}
