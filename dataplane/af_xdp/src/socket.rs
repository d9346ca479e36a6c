//! One queue of one interface.

use crate::ring::{self, Consumer, Kind, Producer};
use crate::system::{check, length, until_free};
use crate::{CHUNK_BYTES, Umem};
use std::io;
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, FromRawFd, OwnedFd};
use std::sync::Arc;

/// An AF_XDP socket, bound to a queue of an interface.
///
/// Chunks of the UMEM move into it by [`Socket::fill`] and [`Socket::send`], and out of it by
/// [`Socket::receive`] and [`Socket::complete`]. Those still in its rings when it is dropped are
/// lost: the memory stays the kernel's.
#[derive(Debug)]
pub struct Socket {
    umem: Arc<Umem>,
    rx: Consumer<libc::xdp_desc>,
    tx: Producer<libc::xdp_desc>,
    fill: Producer<u64>,
    completion: Consumer<u64>,
    fd: OwnedFd,
}

/// How packets get from the interface into the UMEM.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub enum Copying {
    /// As the driver can: without a copy if possible.
    #[default]
    Auto,
    /// By a copy, which every driver can.
    Copy,
    /// Without a copy, or not at all.
    ZeroCopy,
}

/// A received packet.
#[derive(Debug)]
pub struct Received {
    /// The chunk it is in.
    pub chunk: &'static mut [u8],
    /// Where in the chunk it begins.
    pub start: usize,
    /// How long it is; always within the chunk.
    pub bytes: usize,
}

/// What the kernel could not bring to a socket, or not take from it.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct Statistics {
    /// Packets dropped: longer than a chunk, or for any reason below.
    pub rx_dropped: u64,
    /// Packets for which no chunk was in the fill ring.
    pub rx_no_chunk: u64,
    /// Packets for which there was no room in the receive ring.
    pub rx_ring_full: u64,
    /// Descriptors to send that were no chunk: always 0.
    pub tx_invalid: u64,
}

impl Socket {
    /// Binds a socket to a queue. `ring` is the number of entries of each of its rings, a power of
    /// two. The first socket of a UMEM says how packets are copied; later ones name it as
    /// `shared_with` and do likewise.
    ///
    /// A queue that another process has just left is waited for a short time.
    ///
    /// # Errors
    /// What the system answers: `PermissionDenied` without CAP_NET_RAW, `EOPNOTSUPP` for zero-copy
    /// that the driver has not, `EINVAL` for a queue that is none, `ENOBUFS` when memory may not
    /// be locked.
    pub fn bind(
        umem: &Arc<Umem>,
        (interface, queue): (u32, u32),
        ring: u32,
        copying: Copying,
        shared_with: Option<&Socket>,
    ) -> io::Result<Self> {
        if !ring.is_power_of_two() || ring > RING_MAX {
            return Err(io::ErrorKind::InvalidInput.into());
        }
        // SAFETY: takes no pointer.
        let fd =
            check(unsafe { libc::socket(libc::AF_XDP, libc::SOCK_RAW | libc::SOCK_CLOEXEC, 0) })?;
        // SAFETY: the descriptor is open, and nobody else has it.
        let fd = unsafe { OwnedFd::from_raw_fd(fd) };
        if shared_with.is_none() {
            umem.register(fd.as_fd())?;
        }
        for kind in [FILL, COMPLETION, RX, TX] {
            ring::set_size(fd.as_fd(), kind, ring)?;
        }
        let offsets = offsets(fd.as_fd())?;
        // SAFETY: the ring takes addresses, has this size, and is mapped here alone.
        let fill = unsafe { ring::map_producer(fd.as_fd(), FILL, &offsets.fr, ring) }?;
        // SAFETY: the ring gives addresses, has this size, and is mapped here alone.
        let completion = unsafe { ring::map_consumer(fd.as_fd(), COMPLETION, &offsets.cr, ring) }?;
        // SAFETY: the ring gives descriptors, has this size, and is mapped here alone.
        let rx = unsafe { ring::map_consumer(fd.as_fd(), RX, &offsets.rx, ring) }?;
        // SAFETY: the ring takes descriptors, has this size, and is mapped here alone.
        let tx = unsafe { ring::map_producer(fd.as_fd(), TX, &offsets.tx, ring) }?;
        let mut address = libc::sockaddr_xdp {
            sxdp_family: libc::AF_XDP as u16,
            sxdp_flags: bind_flags(copying),
            sxdp_ifindex: interface,
            sxdp_queue_id: queue,
            sxdp_shared_umem_fd: 0,
        };
        if let Some(first) = shared_with {
            // The mode is that of the first socket, and must not be said again.
            address.sxdp_flags = libc::XDP_SHARED_UMEM;
            address.sxdp_shared_umem_fd = first.fd.as_raw_fd() as u32;
        }
        until_free(|| bind(fd.as_fd(), &address))?;
        let socket = Self {
            umem: Arc::clone(umem),
            rx,
            tx,
            fill,
            completion,
            fd,
        };
        // Older kernels do not know the first and limit the second: then a burst takes several
        // calls.
        let _ = socket.set(libc::SOL_XDP, MAX_TX_SKB_BUDGET, ring);
        if socket
            .set(libc::SOL_SOCKET, libc::SO_SNDBUFFORCE, SEND_BUFFER_BYTES)
            .is_err()
        {
            let _ = socket.set(libc::SOL_SOCKET, libc::SO_SNDBUF, SEND_BUFFER_BYTES);
        }
        Ok(socket)
    }

    /// Whether packets come and go without a copy.
    ///
    /// # Errors
    /// What the system answers; none is known for a bound socket.
    pub fn is_zero_copy(&self) -> io::Result<bool> {
        let mut options = libc::xdp_options { flags: 0 };
        self.read(libc::XDP_OPTIONS, &mut options)?;
        Ok(options.flags & libc::XDP_OPTIONS_ZEROCOPY != 0)
    }

    /// What was lost since the socket was bound.
    ///
    /// # Errors
    /// What the system answers; none is known for a bound socket.
    pub fn statistics(&self) -> io::Result<Statistics> {
        let mut statistics = libc::xdp_statistics {
            rx_dropped: 0,
            rx_invalid_descs: 0,
            tx_invalid_descs: 0,
            rx_ring_full: 0,
            rx_fill_ring_empty_descs: 0,
            tx_ring_empty_descs: 0,
        };
        self.read(libc::XDP_STATISTICS, &mut statistics)?;
        Ok(Statistics {
            rx_dropped: statistics.rx_dropped,
            rx_no_chunk: statistics.rx_fill_ring_empty_descs,
            rx_ring_full: statistics.rx_ring_full,
            tx_invalid: statistics.tx_invalid_descs,
        })
    }

    /// Gives the kernel a chunk to receive into, from the next [`Socket::submit`] on.
    ///
    /// # Errors
    /// The chunk, when the ring is full or it is none of this socket's UMEM.
    pub fn fill(&mut self, chunk: &'static mut [u8]) -> Result<(), &'static mut [u8]> {
        match self.umem.address(chunk) {
            Some(address) if self.fill.push(address) => Ok(()),
            _ => Err(chunk),
        }
    }

    /// Takes a received packet. Its place in the ring is free after [`Socket::submit`].
    pub fn receive(&mut self) -> Option<Received> {
        let descriptor = self.rx.pop()?;
        // SAFETY: the kernel receives into chunks of the fill ring alone, and reports each once.
        let (chunk, start) = unsafe { self.umem.take(descriptor.addr) }?;
        let bytes = (descriptor.len as usize).min(CHUNK_BYTES - start);
        Some(Received {
            chunk,
            start,
            bytes,
        })
    }

    /// Gives the kernel a packet to send, the `bytes` from `start` on of a chunk; it goes with the
    /// next [`Socket::flush`].
    ///
    /// # Errors
    /// The chunk, when the ring is full, it is none of this socket's UMEM or the packet exceeds
    /// it.
    pub fn send(
        &mut self,
        chunk: &'static mut [u8],
        start: usize,
        bytes: usize,
    ) -> Result<(), &'static mut [u8]> {
        let fits = start < CHUNK_BYTES && bytes <= CHUNK_BYTES - start && bytes > 0;
        let Some(address) = self.umem.address(chunk).filter(|_| fits) else {
            return Err(chunk);
        };
        let descriptor = libc::xdp_desc {
            addr: address + start as u64,
            len: bytes as u32,
            options: 0,
        };
        if self.tx.push(descriptor) {
            Ok(())
        } else {
            Err(chunk)
        }
    }

    /// Takes back a chunk that has been sent. Its place is free after [`Socket::submit`].
    pub fn complete(&mut self) -> Option<&'static mut [u8]> {
        let address = self.completion.pop()?;
        // SAFETY: the kernel returns the chunks that were to be sent, each once.
        unsafe { self.umem.take(address) }.map(|(chunk, _)| chunk)
    }

    /// Shows the kernel what was taken and filled, and wakes its driver when that sleeps.
    pub fn submit(&mut self) {
        self.rx.release();
        self.completion.release();
        self.fill.publish();
        if self.fill.needs_wakeup() {
            // Nothing is read: the call makes the driver look at the fill ring.
            // SAFETY: takes no memory: the buffer is of length 0.
            let _ = unsafe {
                libc::recv(
                    self.fd.as_raw_fd(),
                    std::ptr::null_mut(),
                    0,
                    libc::MSG_DONTWAIT,
                )
            };
        }
    }

    /// Sends what was given. What the interface does not take now stays in the ring, to be tried
    /// again with the next call.
    ///
    /// # Errors
    /// `ENETDOWN` for an interface that is down, `ENXIO` for one that is gone; a full queue is
    /// none.
    pub fn flush(&mut self) -> io::Result<()> {
        self.tx.publish();
        if !self.tx.needs_wakeup() {
            return Ok(());
        }
        // SAFETY: takes no memory: the buffer is of length 0, and there is no address.
        let result = unsafe {
            libc::sendto(
                self.fd.as_raw_fd(),
                std::ptr::null(),
                0,
                libc::MSG_DONTWAIT,
                std::ptr::null(),
                0,
            )
        };
        if result >= 0 {
            return Ok(());
        }
        let error = io::Error::last_os_error();
        match error.raw_os_error() {
            Some(libc::EAGAIN | libc::EBUSY | libc::ENOBUFS) => Ok(()),
            _ => Err(error),
        }
    }

    /// True when the kernel has taken everything that was to be sent.
    pub fn is_flushed(&mut self) -> bool {
        self.tx.is_drained()
    }

    fn set(&self, level: libc::c_int, option: libc::c_int, value: u32) -> io::Result<()> {
        // SAFETY: the number lives as long as the call, which reads it.
        check(unsafe {
            libc::setsockopt(
                self.fd.as_raw_fd(),
                level,
                option,
                std::ptr::from_ref(&value).cast(),
                length::<u32>(),
            )
        })
        .map(drop)
    }

    fn read<T>(&self, option: libc::c_int, value: &mut T) -> io::Result<()> {
        read_option(self.fd.as_fd(), option, value)
    }
}

impl AsFd for Socket {
    /// Readable when packets wait.
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.fd.as_fd()
    }
}

/// Most entries of a ring.
pub(crate) const RING_MAX: u32 = 1 << 16;

/// Room for the packets of a full ring on their way through the kernel.
const SEND_BUFFER_BYTES: u32 = 8 << 20;

/// XDP_MAX_TX_SKB_BUDGET, Linux 6.18: packets sent by one call, else 32.
const MAX_TX_SKB_BUDGET: libc::c_int = 9;

const FILL: Kind = Kind {
    size_option: libc::XDP_UMEM_FILL_RING,
    page_offset: libc::XDP_UMEM_PGOFF_FILL_RING,
};
const COMPLETION: Kind = Kind {
    size_option: libc::XDP_UMEM_COMPLETION_RING,
    page_offset: libc::XDP_UMEM_PGOFF_COMPLETION_RING,
};
const RX: Kind = Kind {
    size_option: libc::XDP_RX_RING,
    page_offset: libc::XDP_PGOFF_RX_RING as u64,
};
const TX: Kind = Kind {
    size_option: libc::XDP_TX_RING,
    page_offset: libc::XDP_PGOFF_TX_RING as u64,
};

fn bind_flags(copying: Copying) -> u16 {
    let copying = match copying {
        Copying::Auto => 0,
        Copying::Copy => libc::XDP_COPY,
        Copying::ZeroCopy => libc::XDP_ZEROCOPY,
    };
    copying | libc::XDP_USE_NEED_WAKEUP
}

fn bind(socket: BorrowedFd<'_>, address: &libc::sockaddr_xdp) -> io::Result<()> {
    // SAFETY: the address lives as long as the call, which reads it.
    check(unsafe {
        libc::bind(
            socket.as_raw_fd(),
            std::ptr::from_ref(address).cast(),
            length::<libc::sockaddr_xdp>(),
        )
    })
    .map(drop)
}

fn offsets(socket: BorrowedFd<'_>) -> io::Result<libc::xdp_mmap_offsets> {
    let none = || libc::xdp_ring_offset {
        producer: 0,
        consumer: 0,
        desc: 0,
        flags: 0,
    };
    let mut offsets = libc::xdp_mmap_offsets {
        rx: none(),
        tx: none(),
        fr: none(),
        cr: none(),
    };
    let bytes = read_option(socket, libc::XDP_MMAP_OFFSETS, &mut offsets);
    bytes.map(|()| offsets)
}

/// Reads an option; kernels so old that they know less of it are refused.
fn read_option<T>(socket: BorrowedFd<'_>, option: libc::c_int, value: &mut T) -> io::Result<()> {
    let mut bytes = length::<T>();
    // SAFETY: value and length live as long as the call, which writes at most that many bytes of
    // plain integers.
    check(unsafe {
        libc::getsockopt(
            socket.as_raw_fd(),
            libc::SOL_XDP,
            option,
            std::ptr::from_mut(value).cast(),
            &mut bytes,
        )
    })?;
    if bytes < length::<T>() {
        return Err(io::ErrorKind::Unsupported.into());
    }
    Ok(())
}
