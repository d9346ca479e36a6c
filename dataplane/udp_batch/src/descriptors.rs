//! How many descriptors the process may have.

use std::io;

/// Raises the number of descriptors this process may open as far as it may raise it itself
/// (`RLIMIT_NOFILE`, soft to hard), and returns that number.
///
/// Each port has a socket, so the usual soft limit of 1 024 is soon reached.
///
/// # Errors
/// What the system answers.
pub fn raise_descriptor_limit() -> io::Result<u64> {
    let mut limit = libc::rlimit {
        rlim_cur: 0,
        rlim_max: 0,
    };
    // SAFETY: the structure lives as long as the call, which writes it.
    if unsafe { libc::getrlimit(libc::RLIMIT_NOFILE, &mut limit) } < 0 {
        return Err(io::Error::last_os_error());
    }
    limit.rlim_cur = limit.rlim_max;
    // SAFETY: the structure lives as long as the call, which reads it.
    if unsafe { libc::setrlimit(libc::RLIMIT_NOFILE, &limit) } < 0 {
        return Err(io::Error::last_os_error());
    }
    Ok(limit.rlim_cur)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_limit_once_raised_is_as_high_as_it_goes() {
        let limit = raise_descriptor_limit().unwrap();
        assert!(limit >= 256);
        assert_eq!(raise_descriptor_limit().unwrap(), limit);
    }
}
