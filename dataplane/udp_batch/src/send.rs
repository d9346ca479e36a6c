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
    segment: SegmentControl,
    /// Batches that are sent apart since the system did not cut datagrams apart itself: it may not
    /// know how to, or a way may have no room for a part.
    apart_left: u32,
    /// [`SendBatch::set_segmenting`].
    is_segmenting: bool,
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

/// The ancillary message that says how long each segment is, in the system's layout.
#[repr(C)]
struct SegmentControl {
    header: libc::cmsghdr,
    octets: u16,
    padding: [u8; 6],
}

impl SegmentControl {
    fn new() -> Self {
        // SAFETY: `cmsghdr` consists of integers, for which all bits zero is a value.
        let mut header: libc::cmsghdr = unsafe { std::mem::zeroed() };
        header.cmsg_len = (size_of::<libc::cmsghdr>() + size_of::<u16>()) as _;
        header.cmsg_level = libc::SOL_UDP;
        header.cmsg_type = libc::UDP_SEGMENT;
        Self {
            header,
            octets: 0,
            padding: [0; 6],
        }
    }
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
            segment: SegmentControl::new(),
            apart_left: 0,
            is_segmenting: false,
            icmp_errors: 0,
        }
    }

    /// Sends `datagrams` from `socket` in order, as many as there are headers.
    ///
    /// Where that is asked for ([`SendBatch::set_segmenting`]), several in a row that are of one
    /// length and have one destination are given to the system as one, which it cuts apart behind
    /// most of its work (`UDP_SEGMENT`); the last may be shorter.
    ///
    /// An error belongs to the datagram after the last one sent: `WouldBlock` when the socket's
    /// buffer is full, else what forbids this datagram. ICMP errors about earlier datagrams are
    /// counted and passed over.
    pub fn send<D: SendDatagram>(&mut self, socket: &Socket, datagrams: &[D]) -> Sent {
        let count = datagrams.len().min(self.headers.len());
        let datagrams = &datagrams[..count];
        self.apart_left = self.apart_left.saturating_sub(1);
        let mut sent = 0;
        while sent < count {
            let rest = &datagrams[sent..];
            let alike = if self.segments() { alike(rest) } else { 1 };
            if alike >= SEGMENTS_MIN && self.send_segments(socket, &rest[..alike]) {
                sent += alike;
                continue;
            }
            let each = self.send_each(socket, &rest[..self.apart(rest, alike)]);
            sent += each.sent;
            if each.error.is_some() {
                return Sent { sent, ..each };
            }
        }
        Sent { sent, error: None }
    }

    /// Whether datagrams that are alike are given to the system as one, which costs less; who
    /// captures on this host sees them as one too, and takes the others for lost. Not from the
    /// start.
    pub fn set_segmenting(&mut self, is_segmenting: bool) {
        self.is_segmenting = is_segmenting;
    }

    fn segments(&self) -> bool {
        self.is_segmenting && self.apart_left == 0
    }

    /// ICMP errors passed over so far.
    pub fn icmp_errors(&self) -> u64 {
        self.icmp_errors
    }

    /// How many, of which the first `alike` are, are sent as they are before there are again some
    /// to be given as one.
    fn apart<D: SendDatagram>(&self, datagrams: &[D], alike: usize) -> usize {
        if !self.segments() {
            return datagrams.len();
        }
        let mut apart = alike;
        while apart < datagrams.len() {
            let next = self::alike(&datagrams[apart..]);
            if next >= SEGMENTS_MIN {
                break;
            }
            apart += next;
        }
        apart
    }

    /// Gives datagrams that are [`alike`] to the system as one. False when it does not take them:
    /// why will be told when they are sent each by itself.
    fn send_segments<D: SendDatagram>(&mut self, socket: &Socket, datagrams: &[D]) -> bool {
        let Some(first) = datagrams.first() else {
            return true;
        };
        self.prepare(datagrams);
        // At most `SEGMENT_OCTETS_MAX`.
        self.segment.octets = first.payload().len() as u16;
        let mut message = self.headers[0].msg_hdr;
        message.msg_iovlen = datagrams.len() as _;
        message.msg_control = ptr::from_mut(&mut self.segment).cast();
        message.msg_controllen = size_of::<SegmentControl>() as _;
        // SAFETY: `prepare` filled the first name and as many pieces as there are datagrams, which
        // are borrowed until this returns; the control message is one of this struct, of the length
        // given; all are read only. The descriptor is open as long as `socket` is borrowed.
        let sent = unsafe { libc::sendmsg(socket.raw(), &message, libc::MSG_DONTWAIT) };
        if sent >= 0 {
            return true;
        }
        // By a system or for a device that cannot, it is not tried again soon. A way that has no
        // room for a part is told apart by EMSGSIZE only since Linux 6.13.
        let error = io::Error::last_os_error().raw_os_error();
        if let Some(libc::EINVAL | libc::EIO | libc::EOPNOTSUPP | libc::ENOPROTOOPT) = error {
            self.apart_left = APART;
        }
        false
    }

    /// Sends each datagram as it is.
    fn send_each<D: SendDatagram>(&mut self, socket: &Socket, datagrams: &[D]) -> Sent {
        self.prepare(datagrams);
        let count = datagrams.len();
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
                    let too_long = error.raw_os_error() == Some(libc::EMSGSIZE);
                    let again = interrupted || earlier || too_long && socket.send_in_fragments();
                    self.icmp_errors += u64::from(earlier);
                    // The error that stays is about this datagram: no route, not an earlier one's
                    // echo.
                    if attempts >= ATTEMPTS_MAX || !again {
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

    /// Fills a header, with its piece and its destination, for each datagram.
    fn prepare<D: SendDatagram>(&mut self, datagrams: &[D]) {
        for (index, datagram) in datagrams.iter().enumerate() {
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
    }

    fn call(&mut self, socket: &Socket, first: usize, end: usize) -> io::Result<usize> {
        if end - first == 1 {
            return self.call_for_one(socket, first);
        }
        let headers = &mut self.headers[first..end];
        // SAFETY: each of these headers was filled by `prepare`, and the payloads are borrowed
        // until `send_each` returns: name and piece point into this struct, the piece to a payload
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

    /// The same for one datagram, which costs the system less if it has no list to read; by the
    /// call's number as in [`crate::ReceiveBatch::receive_one`].
    fn call_for_one(&mut self, socket: &Socket, index: usize) -> io::Result<usize> {
        let (piece, message) = (&self.pieces[index], &self.headers[index].msg_hdr);
        // SAFETY: as in `call`: the piece points to a payload with its true length, the name into
        // this struct with the length that `prepare` wrote beside it, and the system reads both
        // only.
        let sent = unsafe {
            libc::syscall(
                libc::SYS_sendto,
                socket.raw(),
                piece.iov_base,
                piece.iov_len,
                libc::MSG_DONTWAIT,
                message.msg_name,
                message.msg_namelen,
            )
        };
        if sent < 0 {
            return Err(io::Error::last_os_error());
        }
        Ok(1)
    }
}

/// How many datagrams from the first, one at least if there is one, can be given as one: to one
/// destination, of one length but for the last, which may be shorter.
fn alike<D: SendDatagram>(datagrams: &[D]) -> usize {
    let Some((first, others)) = datagrams.split_first() else {
        return 0;
    };
    let octets = first.payload().len();
    if others.is_empty() || octets == 0 || octets > SEGMENT_OCTETS_MAX {
        return 1;
    }
    let destination = first.destination();
    let mut alike = 1;
    for datagram in others.iter().take(SEGMENTS_MAX - 1) {
        let length = datagram.payload().len();
        if datagram.destination() != destination || length == 0 || length > octets {
            break;
        }
        alike += 1;
        if length < octets {
            break;
        }
    }
    alike
}

/// Calls in a row that may fail for the same datagram.
const ATTEMPTS_MAX: usize = 3;

/// Batches until it is tried again to give several as one.
const APART: u32 = 1024;

/// Fewest datagrams that are given as one: two would gain little.
const SEGMENTS_MIN: usize = 3;

/// Most of them: the kernel's limit since Linux 4.18, when it learnt it, is 64; so many are no
/// longer than a datagram can be.
const SEGMENTS_MAX: usize = 48;

/// Longest one of them: what every path of IPv6 takes (RFC 8200 5), less its headers. Longer ones
/// may have to be fragmented, which segments are not.
const SEGMENT_OCTETS_MAX: usize = 1280 - 40 - 8;

const _: () = assert!(SEGMENTS_MAX * SEGMENT_OCTETS_MAX <= 65_507 && SEGMENTS_MIN > 1);
