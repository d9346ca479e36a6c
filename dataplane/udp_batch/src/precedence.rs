//! Whose turn a core's is: the thread's that reads sockets, or the kernel's that fills them.

use std::io;

/// Has the calling thread run before all that has no real-time priority, the kernel's threads that
/// receive on its core among them (`SCHED_RR`, 1 to 99), and those it starts not.
///
/// Where more arrives than the thread can read, both want the core. Without precedence the kernel
/// has half of it or more, for packets that then find their socket full; with it they are lost
/// where they cost next to nothing, at the interface. A thread that does not wait when there is
/// nothing to do must not have it.
///
/// # Errors
/// What the system answers: `PermissionDenied` without `CAP_SYS_NICE` and beyond what
/// [`allow_precedence`] or who started the process has allowed (`RLIMIT_RTPRIO`).
pub fn take_precedence(priority: u8) -> io::Result<()> {
    let parameter = libc::sched_param {
        sched_priority: priority.into(),
    };
    let policy = libc::SCHED_RR | libc::SCHED_RESET_ON_FORK;
    // SAFETY: 0 is the calling thread; the parameter lives as long as the call, which reads it.
    match unsafe { libc::sched_setscheduler(0, policy, &parameter) } {
        0 => Ok(()),
        _ => Err(io::Error::last_os_error()),
    }
}

/// Allows the process so high a priority also when it has given up its privileges.
///
/// # Errors
/// What the system answers: `PermissionDenied` beyond what it is allowed.
pub fn allow_precedence(priority: u8) -> io::Result<()> {
    let limit = libc::rlimit {
        rlim_cur: priority.into(),
        rlim_max: priority.into(),
    };
    // SAFETY: the structure lives as long as the call, which reads it.
    match unsafe { libc::setrlimit(libc::RLIMIT_RTPRIO, &limit) } {
        0 => Ok(()),
        _ => Err(io::Error::last_os_error()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::thread;

    #[test]
    fn a_thread_has_precedence_if_it_may_and_its_children_have_not() {
        let policy = |_| {
            // SAFETY: takes no pointer; 0 is the calling thread.
            unsafe { libc::sched_getscheduler(0) }
        };
        let outcome = thread::spawn(move || {
            let taken = take_precedence(1);
            let child = thread::spawn(move || policy(())).join().unwrap();
            (taken, policy(()), child)
        });
        let (taken, own, child) = outcome.join().unwrap();
        match taken {
            Ok(()) => assert_eq!(own, libc::SCHED_RR | libc::SCHED_RESET_ON_FORK),
            Err(error) => assert_eq!(error.kind(), io::ErrorKind::PermissionDenied),
        }
        assert_eq!(child, libc::SCHED_OTHER);
    }

    #[test]
    fn there_is_no_priority_beyond_the_systems() {
        assert!(take_precedence(100).is_err());
    }
}
