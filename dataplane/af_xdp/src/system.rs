//! Results of system calls.

use std::io;
use std::time::Duration;

/// The result of a system call that answers -1 when it fails.
pub(crate) fn check(result: libc::c_int) -> io::Result<libc::c_int> {
    if result < 0 {
        return Err(io::Error::last_os_error());
    }
    Ok(result)
}

/// The length of a structure as system calls take it.
pub(crate) fn length<T>() -> libc::socklen_t {
    size_of::<T>() as libc::socklen_t
}

/// Repeats what a dying process may still be in the way of: the kernel takes sockets and programs
/// off an interface some time after their last descriptor is closed.
pub(crate) fn until_free<T>(mut attempt: impl FnMut() -> io::Result<T>) -> io::Result<T> {
    for _ in 0..BUSY_ATTEMPTS {
        match attempt() {
            Err(error) if error.raw_os_error() == Some(libc::EBUSY) => {
                std::thread::sleep(BUSY_PAUSE);
            }
            result => return result,
        }
    }
    attempt()
}

/// Two seconds in all.
const BUSY_ATTEMPTS: u32 = 400;
const BUSY_PAUSE: Duration = Duration::from_millis(5);
