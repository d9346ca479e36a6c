//! A bound UDP socket.

use socket2::{Domain, Protocol, Type};
use std::io;
use std::net::SocketAddr;
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, RawFd};
use std::ptr;
use std::sync::atomic::{AtomicBool, AtomicU8, Ordering};

/// A bound, non-blocking UDP socket; closed when dropped.
///
/// It can be shared between threads: each call moves whole datagrams.
#[derive(Debug)]
pub struct Socket {
    socket: socket2::Socket,
    /// Where it was bound, unless the system chose the port: that saves asking for it.
    local: Option<SocketAddr>,
    is_ipv6: bool,
    traffic_class: AtomicU8,
    tells_traffic_class: AtomicBool,
    is_whole: AtomicBool,
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
            is_ipv6: local.is_ipv6(),
            traffic_class: AtomicU8::new(0),
            tells_traffic_class: AtomicBool::new(false),
            is_whole: AtomicBool::new(false),
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

    /// Marks what is sent from now on: DSCP (RFC 2474) in the upper six bits, ECN in the others. A
    /// system call only when it is another mark than before.
    ///
    /// # Errors
    /// What the system answers; the mark is then as before.
    pub fn set_traffic_class(&self, traffic_class: u8) -> io::Result<()> {
        if self.traffic_class.load(Ordering::Relaxed) == traffic_class {
            return Ok(());
        }
        let (level, option) = if self.is_ipv6 {
            (libc::IPPROTO_IPV6, libc::IPV6_TCLASS)
        } else {
            (libc::IPPROTO_IP, libc::IP_TOS)
        };
        self.set_option(level, option, traffic_class.into())?;
        self.traffic_class.store(traffic_class, Ordering::Relaxed);
        Ok(())
    }

    /// Asks for the marks of what is received ([`crate::Message::traffic_class`]), or no more.
    ///
    /// # Errors
    /// What the system answers.
    pub fn receive_traffic_class(&self, wanted: bool) -> io::Result<()> {
        let (level, option) = if self.is_ipv6 {
            (libc::IPPROTO_IPV6, libc::IPV6_RECVTCLASS)
        } else {
            (libc::IPPROTO_IP, libc::IP_RECVTOS)
        };
        self.set_option(level, option, wanted.into())?;
        self.tells_traffic_class.store(wanted, Ordering::Relaxed);
        Ok(())
    }

    /// True where [`Socket::receive_traffic_class`] asked for marks.
    pub(crate) fn tells_traffic_class(&self) -> bool {
        self.tells_traffic_class.load(Ordering::Relaxed)
    }

    /// Has what is sent over IPv4 leave whole (Don't Fragment), for which no identification is
    /// drawn (RFC 6864 4.1). That lasts until a datagram is too long for its path: it and all later
    /// ones may be fragmented.
    ///
    /// # Errors
    /// What the system answers.
    pub fn send_whole(&self) -> io::Result<()> {
        if !self.is_ipv6 {
            self.set_option(
                libc::IPPROTO_IP,
                libc::IP_MTU_DISCOVER,
                libc::IP_PMTUDISC_DO,
            )?;
            self.is_whole.store(true, Ordering::Relaxed);
        }
        Ok(())
    }

    /// Ends what [`Socket::send_whole`] began; false where it did not, or has ended.
    pub(crate) fn send_in_fragments(&self) -> bool {
        self.is_whole.swap(false, Ordering::Relaxed)
            && self
                .set_option(
                    libc::IPPROTO_IP,
                    libc::IP_MTU_DISCOVER,
                    libc::IP_PMTUDISC_WANT,
                )
                .is_ok()
    }

    fn set_option(
        &self,
        level: libc::c_int,
        option: libc::c_int,
        value: libc::c_int,
    ) -> io::Result<()> {
        let bytes = size_of::<libc::c_int>() as libc::socklen_t;
        let value = ptr::from_ref(&value).cast();
        // SAFETY: the descriptor is open as long as `self` is borrowed, and the system reads as
        // many bytes as an integer has from one that outlives the call.
        let result = unsafe { libc::setsockopt(self.raw(), level, option, value, bytes) };
        match result {
            0 => Ok(()),
            _ => Err(io::Error::last_os_error()),
        }
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
