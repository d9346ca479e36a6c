//! Giving up what is not needed any more.

use crate::system::check;
use std::io;

/// Gives up every capability of the calling thread, and of the threads it starts from then on, for
/// good: also a program that it executes gets none. Descriptors that are open stay as they are.
///
/// # Errors
/// What the system answers; none is known.
pub fn drop_capabilities() -> io::Result<()> {
    // SAFETY: takes no pointer.
    check(unsafe { libc::prctl(libc::PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) })?;
    let (ambient, clear) = (libc::PR_CAP_AMBIENT, libc::PR_CAP_AMBIENT_CLEAR_ALL);
    // SAFETY: takes no pointer.
    check(unsafe { libc::prctl(ambient, clear, 0, 0, 0) })?;
    for capability in 0..CAPABILITIES_MAX {
        // Without CAP_SETPCAP, or beyond the last there is, the bound stays: it bounds what cannot
        // be had anyway.
        // SAFETY: takes no pointer.
        let _ = unsafe { libc::prctl(libc::PR_CAPBSET_DROP, capability, 0, 0, 0) };
    }
    let header = Header {
        version: VERSION_3,
        thread: 0,
    };
    let none = [Capabilities::default(); 2];
    // SAFETY: both structures live as long as the call, which reads them, and are those of this
    // version.
    let result = unsafe { libc::syscall(libc::SYS_capset, &raw const header, none.as_ptr()) };
    check(result as libc::c_int).map(drop)
}

/// struct __user_cap_header_struct of linux/capability.h.
#[repr(C)]
struct Header {
    version: u32,
    thread: i32,
}

/// struct __user_cap_data_struct.
#[derive(Clone, Copy, Default)]
#[repr(C)]
struct Capabilities {
    effective: u32,
    permitted: u32,
    inheritable: u32,
}

const VERSION_3: u32 = 0x2008_0522;
const CAPABILITIES_MAX: libc::c_ulong = 64;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_thread_without_capabilities_has_none() {
        let status = std::thread::spawn(|| {
            drop_capabilities().unwrap();
            std::fs::read_to_string("/proc/thread-self/status").unwrap()
        });
        let status = status.join().unwrap();
        for set in ["CapInh", "CapPrm", "CapEff", "CapAmb"] {
            let line = format!("{set}:\t0000000000000000");
            assert!(status.contains(&line), "{status}");
        }
        assert!(status.contains("NoNewPrivs:\t1"), "{status}");
    }
}
