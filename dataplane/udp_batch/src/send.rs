//! Sending several datagrams in one call.

use crate::BATCH_MAX;
use crate::address::RawAddress;
use crate::socket::{Socket, concerns_an_earlier_datagram};
use std::io;
use std::net::SocketAddr;
use std::ptr;

/// What can be sent.
pub trait SendDatagram {
    /// The UDP payload.
    fn payload(&self) -> &[u8];
    /// Where it goes.
    fn destination(&self) -> SocketAddr;
}

impl<P: AsRef<[u8]>> SendDatagram for (P, SocketAddr) {
    fn payload(&self) -> &[u8] {
        self.0.as_ref()
    }

    fn destination(&self) -> SocketAddr {
        self.1
    }
}

/// Preallocated headers for `sendmmsg`.
pub struct SendBatch {
    headers: Box<[libc::mmsghdr]>,
    pieces: Box<[libc::iovec]>,
    destinations: Box<[RawAddress]>,
    icmp_errors: u64,
}

// SAFETY: the pointers inside are written anew by each `send` and read by the system during it
// only; between calls nothing follows them, so they may lie in another thread's memory.
unsafe impl Send for SendBatch {}

/// How far a [`SendBatch::send`] came.
#[derive(Debug)]
pub struct Sent {
    /// Datagrams taken by the system, from the first.
    pub sent: usize,
    /// Why the next one was not, if there is one and the call did not end at its own limit.
    pub error: Option<io::Error>,
}

impl SendBatch {
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
            destinations: vec![RawAddress::new(); datagrams].into(),
            icmp_errors: 0,
        }
    }

    /// Sends `datagrams` from `socket` in order, as many as there are headers.
    ///
    /// An error belongs to the datagram after the last one sent: `WouldBlock` when the socket's
    /// buffer is full, else what forbids this datagram. ICMP errors about earlier datagrams are
    /// counted and passed over.
    pub fn send<D: SendDatagram>(&mut self, socket: &Socket, datagrams: &[D]) -> Sent {
        let count = datagrams.len().min(self.headers.len());
        for (index, datagram) in datagrams.iter().enumerate().take(count) {
            let payload = datagram.payload();
            self.pieces[index] = libc::iovec {
                iov_base: payload.as_ptr().cast_mut().cast(),
                iov_len: payload.len(),
            };
            let header = &mut self.headers[index].msg_hdr;
            header.msg_namelen = self.destinations[index].set(datagram.destination());
            header.msg_name = ptr::from_mut(&mut self.destinations[index]).cast();
            header.msg_iov = ptr::from_mut(&mut self.pieces[index]);
            header.msg_iovlen = 1;
        }
        let mut sent = 0;
        let mut attempts = 0;
        while sent < count {
            match self.call(socket, sent, count) {
                Ok(taken) => {
                    sent += taken;
                    attempts = 0;
                }
                Err(error) => {
                    attempts += 1;
                    let interrupted = error.kind() == io::ErrorKind::Interrupted;
                    let earlier = concerns_an_earlier_datagram(&error);
                    self.icmp_errors += u64::from(earlier);
                    // The error that stays is about this datagram: no route, not an earlier one's
                    // echo.
                    if attempts >= ATTEMPTS_MAX || !(interrupted || earlier) {
                        return Sent {
                            sent,
                            error: Some(error),
                        };
                    }
                }
            }
        }
        Sent { sent, error: None }
    }

    /// ICMP errors passed over so far.
    pub fn icmp_errors(&self) -> u64 {
        self.icmp_errors
    }

    fn call(&mut self, socket: &Socket, first: usize, end: usize) -> io::Result<usize> {
        if end - first == 1 {
            return self.call_for_one(socket, first);
        }
        let headers = &mut self.headers[first..end];
        // SAFETY: each of these headers was filled by `send`, which holds the borrow of all
        // payloads until it returns: name and piece point into this struct, the piece to a payload
        // with its true length, which the system only reads; the descriptor is open as long as
        // `socket` is borrowed.
        let sent = unsafe {
            libc::sendmmsg(
                socket.raw(),
                headers.as_mut_ptr(),
                headers.len() as libc::c_uint,
                libc::MSG_DONTWAIT as _,
            )
        };
        if sent < 0 {
            return Err(io::Error::last_os_error());
        }
        Ok(sent as usize)
    }

    /// The same for one datagram, which costs the system less if it has no list to read.
    fn call_for_one(&mut self, socket: &Socket, index: usize) -> io::Result<usize> {
        let (piece, message) = (&self.pieces[index], &self.headers[index].msg_hdr);
        // SAFETY: as in `call`: the piece points to a payload with its true length, the name into
        // this struct with the length that `send` wrote beside it, and the system reads both only.
        let sent = unsafe {
            libc::sendto(
                socket.raw(),
                piece.iov_base,
                piece.iov_len,
                libc::MSG_DONTWAIT,
                message.msg_name.cast(),
                message.msg_namelen,
            )
        };
        if sent < 0 {
            return Err(io::Error::last_os_error());
        }
        Ok(1)
    }
}

/// Calls in a row that may fail for the same datagram.
const ATTEMPTS_MAX: usize = 3;
