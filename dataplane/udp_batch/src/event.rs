//! Waking a thread that waits.

use std::io;
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, FromRawFd, OwnedFd};

/// An `eventfd`: readable after [`EventFd::signal`], until [`EventFd::clear`].
#[derive(Debug)]
pub struct EventFd(OwnedFd);

impl EventFd {
    /// One that is not signalled.
    ///
    /// # Errors
    /// What the system answers: too many descriptors.
    pub fn new() -> io::Result<Self> {
        // SAFETY: takes no pointer.
        let fd = unsafe { libc::eventfd(0, libc::EFD_CLOEXEC | libc::EFD_NONBLOCK) };
        if fd < 0 {
            return Err(io::Error::last_os_error());
        }
        // SAFETY: the descriptor is open, and nobody else has it.
        Ok(Self(unsafe { OwnedFd::from_raw_fd(fd) }))
    }

    /// Makes it readable. Signals that have not been seen yet count as one.
    pub fn signal(&self) {
        let one = 1_u64;
        // The one failure there can be is a full counter, and then it is readable already.
        // SAFETY: the descriptor is open, and eight bytes are read from an integer of that size.
        let _ = unsafe { libc::write(self.0.as_raw_fd(), std::ptr::from_ref(&one).cast(), 8) };
    }

    /// Makes it not readable.
    pub fn clear(&self) {
        let mut count = 0_u64;
        // The one failure there can be is that it was not signalled.
        // SAFETY: the descriptor is open, and eight bytes are written to an integer of that size.
        let _ = unsafe { libc::read(self.0.as_raw_fd(), std::ptr::from_mut(&mut count).cast(), 8) };
    }
}

impl AsFd for EventFd {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.0.as_fd()
    }
}
