//! Packets that the kernel is to send itself.

use crate::system::{check, length};
use std::io;
use std::net::{IpAddr, SocketAddr};
use std::os::fd::{AsRawFd, FromRawFd, OwnedFd};

/// Sends whole IP packets by the kernel's routes, which finds the neighbour, too.
#[derive(Debug)]
pub struct RawSocket {
    v4: OwnedFd,
    /// None on a host without IPv6.
    v6: Option<OwnedFd>,
}

impl RawSocket {
    /// Opens it.
    ///
    /// # Errors
    /// `PermissionDenied` without CAP_NET_RAW.
    pub fn open() -> io::Result<Self> {
        let v4 = open(libc::AF_INET)?;
        let v6 = match open(libc::AF_INET6) {
            Ok(socket) => Some(socket),
            Err(error) if error.raw_os_error() == Some(libc::EAFNOSUPPORT) => None,
            Err(error) => return Err(error),
        };
        Ok(Self { v4, v6 })
    }

    /// Sends a packet, header included, that is to go from `source` to `destination`.
    ///
    /// # Errors
    /// What the system answers: no route, too long, not permitted; `WouldBlock` and `ENOBUFS` when
    /// it takes no more at the moment.
    pub fn send(&self, packet: &[u8], source: IpAddr, destination: SocketAddr) -> io::Result<()> {
        match (source, destination) {
            (IpAddr::V4(source), SocketAddr::V4(to)) => {
                // SAFETY: a structure of integers, for which zero is valid.
                let mut address: libc::sockaddr_in = unsafe { std::mem::zeroed() };
                address.sin_family = libc::AF_INET as libc::sa_family_t;
                address.sin_addr.s_addr = u32::from_ne_bytes(to.ip().octets());
                let information = libc::in_pktinfo {
                    ipi_ifindex: 0,
                    ipi_spec_dst: libc::in_addr {
                        s_addr: u32::from_ne_bytes(source.octets()),
                    },
                    ipi_addr: libc::in_addr { s_addr: 0 },
                };
                let level = (libc::IPPROTO_IP, libc::IP_PKTINFO);
                send(&self.v4, packet, &address, level, information)
            }
            (IpAddr::V6(source), SocketAddr::V6(to)) => {
                let socket = self.v6.as_ref().ok_or(io::ErrorKind::Unsupported)?;
                // SAFETY: a structure of integers, for which zero is valid.
                let mut address: libc::sockaddr_in6 = unsafe { std::mem::zeroed() };
                address.sin6_family = libc::AF_INET6 as libc::sa_family_t;
                address.sin6_addr.s6_addr = to.ip().octets();
                address.sin6_scope_id = to.scope_id();
                let information = libc::in6_pktinfo {
                    ipi6_addr: libc::in6_addr {
                        s6_addr: source.octets(),
                    },
                    ipi6_ifindex: 0,
                };
                let level = (libc::IPPROTO_IPV6, libc::IPV6_PKTINFO);
                send(socket, packet, &address, level, information)
            }
            _ => Err(io::ErrorKind::InvalidInput.into()),
        }
    }
}

fn open(family: libc::c_int) -> io::Result<OwnedFd> {
    let kind = libc::SOCK_RAW | libc::SOCK_CLOEXEC | libc::SOCK_NONBLOCK;
    // A socket of IPPROTO_RAW receives nothing, and takes packets with their header.
    // SAFETY: takes no pointer.
    let fd = check(unsafe { libc::socket(family, kind, libc::IPPROTO_RAW) })?;
    // SAFETY: the descriptor is open, and nobody else has it.
    Ok(unsafe { OwnedFd::from_raw_fd(fd) })
}

/// A control message of either family.
#[repr(C)]
struct Control<T> {
    header: libc::cmsghdr,
    information: T,
}

fn send<A, T>(
    socket: &OwnedFd,
    packet: &[u8],
    address: &A,
    (level, kind): (libc::c_int, libc::c_int),
    information: T,
) -> io::Result<()> {
    let mut control = Control {
        header: libc::cmsghdr {
            cmsg_len: size_of::<libc::cmsghdr>() + size_of::<T>(),
            cmsg_level: level,
            cmsg_type: kind,
        },
        information,
    };
    let mut vector = libc::iovec {
        iov_base: packet.as_ptr().cast_mut().cast(),
        iov_len: packet.len(),
    };
    // SAFETY: a structure of integers and pointers, for which zero is valid.
    let mut message: libc::msghdr = unsafe { std::mem::zeroed() };
    message.msg_name = std::ptr::from_ref(address).cast_mut().cast();
    message.msg_namelen = length::<A>();
    message.msg_iov = &raw mut vector;
    message.msg_iovlen = 1;
    message.msg_control = (&raw mut control).cast();
    message.msg_controllen = size_of::<Control<T>>();
    // SAFETY: address, packet and control message live as long as the call, which reads them; the
    // lengths are theirs.
    let sent = unsafe { libc::sendmsg(socket.as_raw_fd(), &message, libc::MSG_DONTWAIT) };
    if sent < 0 {
        return Err(io::Error::last_os_error());
    }
    Ok(())
}
