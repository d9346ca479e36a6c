//! What can go wrong.

use std::fmt;
use std::io;

/// Why something cannot be had.
#[derive(Debug)]
#[non_exhaustive]
pub enum Error {
    /// The caller asks for what cannot be.
    Misuse(&'static str),
    /// DPDK was started before with other arguments.
    Started,
    /// Somebody in this process has the device open.
    InUse,
    /// A device has fewer queues than were asked for: that many.
    TooFewQueues(u16),
    /// DPDK refuses a step.
    Refused(&'static str, io::Error),
}

impl Error {
    /// From what a function of DPDK returns when it fails: a negative error number.
    pub(crate) fn returned(what: &'static str, code: i32) -> Self {
        Self::Refused(what, io::Error::from_raw_os_error(code.saturating_neg()))
    }

    /// From what a function of DPDK leaves in the thread's error number.
    pub(crate) fn noted(what: &'static str) -> Self {
        // SAFETY: it reads a number of the calling thread.
        let code = unsafe { crate::bindings::shim_errno() };
        Self::Refused(what, io::Error::from_raw_os_error(code))
    }
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Error::Misuse(what) => f.write_str(what),
            Error::Started => f.write_str("DPDK was started with other arguments"),
            Error::InUse => f.write_str("the device is in use"),
            Error::TooFewQueues(queues) => write!(f, "the device has {queues} queues"),
            Error::Refused(what, error) => write!(f, "cannot {what}: {error}"),
        }
    }
}

impl std::error::Error for Error {}
