//! Receiving several datagrams in one call.

use crate::BATCH_MAX;
use crate::address::RawAddress;
use crate::socket::{Socket, concerns_an_earlier_datagram};
use std::io;
use std::net::SocketAddr;
use std::ptr;

/// Preallocated headers for `recvmmsg`.
pub struct ReceiveBatch {
    headers: Box<[libc::mmsghdr]>,
    pieces: Box<[libc::iovec]>,
    sources: Box<[RawAddress]>,
    controls: Box<[Control]>,
    received: usize,
    icmp_errors: u64,
}

// SAFETY: the pointers inside are written anew by each `receive` and read by the system during it
// only; between calls nothing follows them, so they may lie in another thread's memory.
unsafe impl Send for ReceiveBatch {}

/// One received datagram.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Message {
    /// Octets of it that are in the buffer.
    pub bytes: usize,
    /// True when the datagram was longer than the buffer.
    pub truncated: bool,
    /// Who sent it.
    pub source: SocketAddr,
    /// DSCP and ECN, where the socket was asked for it ([`Socket::receive_traffic_class`]); else 0.
    pub traffic_class: u8,
}

/// Room for one ancillary message of an integer, in the system's layout.
#[derive(Clone, Copy)]
#[repr(C)]
struct Control {
    header: libc::cmsghdr,
    value: [u8; 8],
}

impl Control {
    fn new() -> Self {
        Self {
            // SAFETY: `cmsghdr` consists of integers, for which all bits zero is a value.
            header: unsafe { std::mem::zeroed() },
            value: [0; 8],
        }
    }

    /// The mark, when the system wrote so many bytes.
    fn traffic_class(&self, bytes: usize) -> u8 {
        if bytes <= size_of::<libc::cmsghdr>() {
            return 0;
        }
        match (self.header.cmsg_level, self.header.cmsg_type) {
            (libc::IPPROTO_IP, libc::IP_TOS) => self.value[0],
            (libc::IPPROTO_IPV6, libc::IPV6_TCLASS) => {
                let [a, b, c, d, ..] = self.value;
                libc::c_int::from_ne_bytes([a, b, c, d]) as u8
            }
            _ => 0,
        }
    }
}

impl ReceiveBatch {
    /// Headers for up to `datagrams` per call, at least one and at most [`BATCH_MAX`].
    pub fn new(datagrams: usize) -> Self {
        let datagrams = datagrams.clamp(1, BATCH_MAX);
        // SAFETY: `mmsghdr` consists of integers and raw pointers, for which all bits zero is a
        // value.
        let header: libc::mmsghdr = unsafe { std::mem::zeroed() };
        let piece = libc::iovec {
            iov_base: ptr::null_mut(),
            iov_len: 0,
        };
        Self {
            headers: vec![header; datagrams].into(),
            pieces: vec![piece; datagrams].into(),
            sources: vec![RawAddress::new(); datagrams].into(),
            controls: vec![Control::new(); datagrams].into(),
            received: 0,
            icmp_errors: 0,
        }
    }

    /// Receives what waits on `socket`, one datagram per buffer, at most as many as there are
    /// buffers and headers.
    ///
    /// Returns how many buffers were filled, from the first; [`ReceiveBatch::message`] tells about
    /// each. Nothing waiting is `Ok(0)`.
    ///
    /// # Errors
    /// What the system answers, but for ICMP errors about earlier datagrams, which are counted and
    /// passed over.
    pub fn receive<B: AsMut<[u8]>>(
        &mut self,
        socket: &Socket,
        buffers: &mut [B],
    ) -> io::Result<usize> {
        self.received = 0;
        let datagrams = buffers.len().min(self.headers.len());
        for (index, buffer) in buffers.iter_mut().enumerate().take(datagrams) {
            let buffer = buffer.as_mut();
            self.pieces[index] = libc::iovec {
                iov_base: buffer.as_mut_ptr().cast(),
                iov_len: buffer.len(),
            };
            let header = &mut self.headers[index].msg_hdr;
            header.msg_name = ptr::from_mut(&mut self.sources[index]).cast();
            header.msg_namelen = RawAddress::BYTES;
            header.msg_iov = ptr::from_mut(&mut self.pieces[index]);
            header.msg_iovlen = 1;
            header.msg_control = ptr::from_mut(&mut self.controls[index]).cast();
            header.msg_controllen = size_of::<Control>() as _;
            header.msg_flags = 0;
        }
        for _ in 0..ATTEMPTS_MAX {
            // SAFETY: the first `datagrams` headers point to an address, a piece and a control
            // message of this struct, all with their true lengths, and each piece to a buffer
            // borrowed mutably for the whole of this function, with its true length; the descriptor
            // is open as long as `socket` is borrowed; the time-out may be null.
            let received = unsafe {
                libc::recvmmsg(
                    socket.raw(),
                    self.headers.as_mut_ptr(),
                    datagrams as libc::c_uint,
                    libc::MSG_DONTWAIT as _,
                    ptr::null_mut(),
                )
            };
            if received >= 0 {
                self.received = (received as usize).min(datagrams);
                return Ok(self.received);
            }
            let error = io::Error::last_os_error();
            match error.kind() {
                io::ErrorKind::WouldBlock => return Ok(0),
                io::ErrorKind::Interrupted => {}
                _ if concerns_an_earlier_datagram(&error) => self.icmp_errors += 1,
                _ => return Err(error),
            }
        }
        Ok(0)
    }

    /// Receives one datagram, or none if none waits: for sockets on which mostly one waits, which
    /// this costs the system less than a list of one, and less than a list of two of which the
    /// second tells that no more do.
    ///
    /// # Errors
    /// As [`ReceiveBatch::receive`].
    pub fn receive_one(
        &mut self,
        socket: &Socket,
        buffer: &mut [u8],
    ) -> io::Result<Option<Message>> {
        if socket.tells_traffic_class() {
            let received = self.receive(socket, &mut [buffer])?;
            return Ok((received > 0).then(|| self.message(0)));
        }
        for _ in 0..ATTEMPTS_MAX {
            let source = &mut self.sources[0];
            let mut source_bytes = RawAddress::BYTES;
            // By its number, since the library's own function is one at which a thread can be
            // cancelled, and what that takes is felt in a call of this length.
            // SAFETY: the buffer is borrowed mutably for the whole of this function and given with
            // its true length, as is the room for an address; the descriptor is open as long as
            // `socket` is borrowed.
            let received = unsafe {
                libc::syscall(
                    libc::SYS_recvfrom,
                    socket.raw(),
                    buffer.as_mut_ptr(),
                    buffer.len(),
                    libc::MSG_DONTWAIT | libc::MSG_TRUNC,
                    ptr::from_mut(source),
                    ptr::from_mut(&mut source_bytes),
                )
            };
            if let Ok(bytes) = usize::try_from(received) {
                return Ok(Some(Message {
                    bytes: bytes.min(buffer.len()),
                    truncated: bytes > buffer.len(),
                    source: source.to_socket_address(),
                    traffic_class: 0,
                }));
            }
            let error = io::Error::last_os_error();
            match error.kind() {
                io::ErrorKind::WouldBlock => return Ok(None),
                io::ErrorKind::Interrupted => {}
                _ if concerns_an_earlier_datagram(&error) => self.icmp_errors += 1,
                _ => return Err(error),
            }
        }
        Ok(None)
    }

    /// The `index`th datagram of the last [`ReceiveBatch::receive`].
    ///
    /// # Panics
    /// When `index` is not below what that returned.
    pub fn message(&self, index: usize) -> Message {
        assert!(
            index < self.received,
            "datagram {index} of {}",
            self.received
        );
        let header = &self.headers[index];
        Message {
            bytes: header.msg_len as usize,
            truncated: header.msg_hdr.msg_flags & libc::MSG_TRUNC != 0,
            source: self.sources[index].to_socket_address(),
            traffic_class: self.controls[index].traffic_class(header.msg_hdr.msg_controllen as _),
        }
    }

    /// ICMP errors passed over so far.
    pub fn icmp_errors(&self) -> u64 {
        self.icmp_errors
    }
}

/// Calls in a row that may fail for an earlier datagram's sake before this one gives way; the next
/// finds the rest.
const ATTEMPTS_MAX: usize = 4;
