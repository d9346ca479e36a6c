//! The kernel's routing socket, rtnetlink.

use crate::system::{check, length};
use std::io;
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, FromRawFd, OwnedFd};
use std::time::Duration;

/// A socket to ask the kernel about interfaces, addresses, routes and neighbours, or to be told of
/// their changes. What the messages mean is the caller's matter.
#[derive(Debug)]
pub struct RouteSocket(OwnedFd);

/// Of what to be told.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Groups {
    /// Nothing: the socket answers questions.
    None,
    /// Interfaces, addresses, routes, rules and neighbours, of both families.
    All,
}

impl RouteSocket {
    /// Opens a socket whose reads wait at most `timeout` (zero: not at all).
    ///
    /// # Errors
    /// What the system answers.
    pub fn open(groups: Groups, timeout: Duration) -> io::Result<Self> {
        let mut kind = libc::SOCK_RAW | libc::SOCK_CLOEXEC;
        if timeout.is_zero() {
            kind |= libc::SOCK_NONBLOCK;
        }
        // SAFETY: takes no pointer.
        let fd = check(unsafe { libc::socket(libc::AF_NETLINK, kind, libc::NETLINK_ROUTE) })?;
        // SAFETY: the descriptor is open, and nobody else has it.
        let socket = Self(unsafe { OwnedFd::from_raw_fd(fd) });
        let mut address = kernel();
        if groups == Groups::All {
            address.nl_groups = GROUPS;
        }
        // SAFETY: the address lives as long as the call, which reads it.
        check(unsafe {
            libc::bind(
                socket.0.as_raw_fd(),
                std::ptr::from_ref(&address).cast(),
                length::<libc::sockaddr_nl>(),
            )
        })?;
        let timeout = libc::timeval {
            tv_sec: timeout.as_secs() as libc::time_t,
            tv_usec: libc::suseconds_t::from(timeout.subsec_micros()),
        };
        socket.set(libc::SOL_SOCKET, libc::SO_RCVTIMEO, &timeout)?;
        // More than the default, so that a change of many routes is not missed; the system may
        // refuse, and then losses are told all the same.
        let _ = socket.set(
            libc::SOL_SOCKET,
            libc::SO_RCVBUFFORCE,
            &RECEIVE_BUFFER_BYTES,
        );
        // Queries for one neighbour or route are checked strictly by newer kernels only.
        let _ = socket.set(libc::SOL_NETLINK, libc::NETLINK_GET_STRICT_CHK, &1_i32);
        Ok(socket)
    }

    /// Sends messages to the kernel.
    ///
    /// # Errors
    /// What the system answers.
    pub fn send(&self, messages: &[u8]) -> io::Result<()> {
        let address = kernel();
        // SAFETY: messages and address live as long as the call, which reads them.
        let sent = unsafe {
            libc::sendto(
                self.0.as_raw_fd(),
                messages.as_ptr().cast(),
                messages.len(),
                0,
                std::ptr::from_ref(&address).cast(),
                length::<libc::sockaddr_nl>(),
            )
        };
        if sent < 0 {
            return Err(io::Error::last_os_error());
        }
        Ok(())
    }

    /// Receives messages of the kernel; what others send is passed over.
    ///
    /// # Errors
    /// `WouldBlock` when none came in time; `ENOBUFS` when some were lost, and all has to be asked
    /// anew; `InvalidData` when the buffer is too short.
    pub fn receive(&self, buffer: &mut [u8]) -> io::Result<usize> {
        for _ in 0..STRANGERS_MAX {
            let mut from = kernel();
            let mut from_bytes = length::<libc::sockaddr_nl>();
            // SAFETY: buffer, address and length live as long as the call, and it writes no more
            // than it is told.
            let received = unsafe {
                libc::recvfrom(
                    self.0.as_raw_fd(),
                    buffer.as_mut_ptr().cast(),
                    buffer.len(),
                    libc::MSG_TRUNC,
                    (&raw mut from).cast(),
                    &mut from_bytes,
                )
            };
            if received < 0 {
                return Err(io::Error::last_os_error());
            }
            if from.nl_pid != 0 {
                continue;
            }
            if received as usize > buffer.len() {
                return Err(io::ErrorKind::InvalidData.into());
            }
            return Ok(received as usize);
        }
        Err(io::ErrorKind::WouldBlock.into())
    }

    fn set<T>(&self, level: libc::c_int, option: libc::c_int, value: &T) -> io::Result<()> {
        // SAFETY: the value lives as long as the call, which reads it.
        check(unsafe {
            libc::setsockopt(
                self.0.as_raw_fd(),
                level,
                option,
                std::ptr::from_ref(value).cast(),
                length::<T>(),
            )
        })
        .map(drop)
    }
}

impl AsFd for RouteSocket {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.0.as_fd()
    }
}

fn kernel() -> libc::sockaddr_nl {
    // SAFETY: a structure of integers, for which zero is valid.
    let mut address: libc::sockaddr_nl = unsafe { std::mem::zeroed() };
    address.nl_family = libc::AF_NETLINK as libc::sa_family_t;
    address
}

/// Messages of others passed over before giving up.
const STRANGERS_MAX: usize = 64;

const RECEIVE_BUFFER_BYTES: i32 = 4 << 20;

const GROUPS: u32 = (libc::RTMGRP_LINK
    | libc::RTMGRP_NEIGH
    | libc::RTMGRP_IPV4_IFADDR
    | libc::RTMGRP_IPV4_ROUTE
    | libc::RTMGRP_IPV4_RULE
    | libc::RTMGRP_IPV6_IFADDR
    | libc::RTMGRP_IPV6_ROUTE) as u32
    | RULES_V6;

/// RTNLGRP_IPV6_RULE as a bit; there is no name for it.
const RULES_V6: u32 = 1 << 18;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nothing_comes_unasked_and_waiting_ends() {
        let socket = RouteSocket::open(Groups::None, Duration::from_millis(1)).unwrap();
        let error = socket.receive(&mut [0; 64]).unwrap_err();
        assert_eq!(error.kind(), io::ErrorKind::WouldBlock);
    }
}
