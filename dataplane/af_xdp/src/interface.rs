//! What is to be known of an interface before it is used.

use crate::system::check;
use std::ffi::CString;
use std::io;
use std::os::fd::{AsRawFd, FromRawFd, OwnedFd};

/// The number of the interface with this name.
///
/// # Errors
/// `NotFound` when there is none.
pub fn index(name: &str) -> io::Result<u32> {
    let name = CString::new(name).map_err(|_| io::ErrorKind::NotFound)?;
    // SAFETY: the name ends with a zero and lives as long as the call.
    match unsafe { libc::if_nametoindex(name.as_ptr()) } {
        0 => Err(io::ErrorKind::NotFound.into()),
        index => Ok(index),
    }
}

/// How many queues an interface receives by, at least one (ETHTOOL_GCHANNELS).
///
/// # Errors
/// What the system answers; an interface that does not tell has one.
pub fn queues(name: &str) -> io::Result<u32> {
    // SAFETY: takes no pointer.
    let fd =
        check(unsafe { libc::socket(libc::AF_INET, libc::SOCK_DGRAM | libc::SOCK_CLOEXEC, 0) })?;
    // SAFETY: the descriptor is open, and nobody else has it.
    let fd = unsafe { OwnedFd::from_raw_fd(fd) };
    let mut channels = Channels {
        command: ETHTOOL_GCHANNELS,
        ..Channels::default()
    };
    let mut request = Request {
        name: [0; libc::IFNAMSIZ],
        data: &raw mut channels,
        padding: [0; 16],
    };
    if name.len() >= libc::IFNAMSIZ {
        return Err(io::ErrorKind::NotFound.into());
    }
    request.name[..name.len()].copy_from_slice(name.as_bytes());
    // SAFETY: the request is as long as the system's, and it and the structure it points to live
    // as long as the call.
    let answered = check(unsafe { libc::ioctl(fd.as_raw_fd(), SIOCETHTOOL, &raw mut request) });
    match answered {
        Ok(_) => Ok((channels.rx_count + channels.combined_count).max(1)),
        Err(error) if error.raw_os_error() == Some(libc::EOPNOTSUPP) => Ok(1),
        Err(error) => Err(error),
    }
}

/// struct ethtool_channels of linux/ethtool.h.
#[derive(Default)]
#[repr(C)]
struct Channels {
    command: u32,
    max_rx: u32,
    max_tx: u32,
    max_other: u32,
    max_combined: u32,
    rx_count: u32,
    tx_count: u32,
    other_count: u32,
    combined_count: u32,
}

/// struct ifreq.
#[repr(C)]
struct Request {
    name: [u8; libc::IFNAMSIZ],
    data: *mut Channels,
    padding: [u8; 16],
}

const _: () = assert!(size_of::<Request>() >= size_of::<libc::ifreq>());

const SIOCETHTOOL: libc::c_ulong = 0x8946;
const ETHTOOL_GCHANNELS: u32 = 0x3c;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_loopback_interface_has_a_number_and_one_queue() {
        assert!(index("lo").unwrap() > 0);
        assert_eq!(queues("lo").unwrap(), 1);
    }

    #[test]
    fn an_interface_that_is_none_is_not_found() {
        assert_eq!(
            index("no such").unwrap_err().kind(),
            io::ErrorKind::NotFound
        );
        assert!(queues("no-such").is_err());
        assert!(queues("a name longer than any interface has").is_err());
    }
}
