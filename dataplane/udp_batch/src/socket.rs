//! A bound UDP socket.

use socket2::{Domain, Protocol, Type};
use std::io;
use std::net::SocketAddr;
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, RawFd};

/// A bound, non-blocking UDP socket; closed when dropped.
///
/// It can be shared between threads: each call moves whole datagrams.
#[derive(Debug)]
pub struct Socket {
    socket: socket2::Socket,
    /// Where it was bound, unless the system chose the port: that saves asking for it.
    local: Option<SocketAddr>,
}

impl Socket {
    /// Binds a socket to exactly this address and port (0: any), IPv6 sockets to IPv6 only.
    ///
    /// # Errors
    /// What the system answers, `AddrInUse` for one.
    pub fn bind(local: SocketAddr) -> io::Result<Self> {
        let kind = Type::DGRAM.nonblocking();
        let socket = socket2::Socket::new(Domain::for_address(local), kind, Some(Protocol::UDP))?;
        if local.is_ipv6() {
            socket.set_only_v6(true)?;
        }
        socket.bind(&local.into())?;
        Ok(Self {
            local: (local.port() != 0).then_some(local),
            socket,
        })
    }

    /// Asks for a receive buffer; the system grants at most its own limit.
    ///
    /// # Errors
    /// What the system answers.
    pub fn set_receive_buffer_bytes(&self, bytes: usize) -> io::Result<()> {
        self.socket.set_recv_buffer_size(bytes)
    }

    /// The address and port it is bound to.
    ///
    /// # Errors
    /// What the system answers.
    pub fn local_address(&self) -> io::Result<SocketAddr> {
        if let Some(local) = self.local {
            return Ok(local);
        }
        let address = self.socket.local_addr()?;
        address
            .as_socket()
            .ok_or_else(|| io::ErrorKind::Unsupported.into())
    }

    pub(crate) fn raw(&self) -> RawFd {
        self.socket.as_raw_fd()
    }
}

impl AsFd for Socket {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.socket.as_fd()
    }
}

/// True for what the kernel reports about an earlier datagram of the socket, not about this call.
pub(crate) fn concerns_an_earlier_datagram(error: &io::Error) -> bool {
    matches!(
        error.raw_os_error(),
        Some(
            libc::ECONNREFUSED
                | libc::ECONNRESET
                | libc::EHOSTUNREACH
                | libc::ENETUNREACH
                | libc::EHOSTDOWN
                | libc::ENOPROTOOPT
                | libc::EPROTO
        )
    )
}
