//! The environment abstraction layer, and the threads that take part in it.

use crate::{Error, bindings};
use std::ffi::{CString, c_char, c_int};
use std::sync::{Mutex, MutexGuard, OnceLock, PoisonError};

/// Proof that DPDK was started.
#[derive(Debug)]
pub struct Eal {
    arguments: Vec<String>,
    /// What changes devices is done by one thread at a time: DPDK does not promise more.
    changes: Mutex<()>,
}

static EAL: OnceLock<Eal> = OnceLock::new();
static STARTING: Mutex<()> = Mutex::new(());

/// Starts DPDK with these arguments of its command line, the name of the program not among them. A
/// second call with the same ones finds it started.
///
/// It reserves memory and loads drivers, and stays as long as the process. No thread is started to
/// do work and the caller keeps its CPUs: where no cores are named, DPDK is given one of those that
/// the caller may use, for a thread that ends at once.
///
/// # Errors
/// `Started` when it was, with other arguments; `Misuse` for an argument with a zero octet;
/// `Refused`.
pub fn start(arguments: &[String]) -> Result<&'static Eal, Error> {
    let _starting = lock(&STARTING);
    if let Some(eal) = EAL.get() {
        let same = eal.arguments == arguments;
        return if same { Ok(eal) } else { Err(Error::Started) };
    }
    let mut line = vec!["strowger".to_owned()];
    if !arguments.iter().any(|argument| names_cores(argument)) {
        line.extend(["--lcores".to_owned(), format!("0@{}", allowed_cpu())]);
    }
    line.extend_from_slice(arguments);
    let line: Result<Vec<CString>, _> = line.into_iter().map(CString::new).collect();
    let line = line.map_err(|_| Error::Misuse("an argument of DPDK has a zero octet"))?;
    // The thread that starts it is pinned, which those that it starts later would inherit.
    let thread = std::thread::Builder::new().name("dpdk".into());
    let started = thread
        .spawn(move || initialise(line))
        .map_err(|error| Error::Refused("start a thread", error))?
        .join();
    started.map_err(|_| Error::Misuse("DPDK panicked"))??;
    Ok(EAL.get_or_init(|| Eal {
        arguments: arguments.to_vec(),
        changes: Mutex::new(()),
    }))
}

impl Eal {
    /// The right to change devices.
    pub(crate) fn changes(&self) -> MutexGuard<'_, ()> {
        lock(&self.changes)
    }
}

/// DPDK, if it was started.
pub(crate) fn started() -> Option<&'static Eal> {
    EAL.get()
}

fn lock(mutex: &Mutex<()>) -> MutexGuard<'_, ()> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

/// True for the options by which cores are named.
fn names_cores(argument: &str) -> bool {
    let long = ["--lcores", "--main-lcore"];
    let short = ["-l", "-c", "-s", "-S"];
    long.iter().any(|name| argument.starts_with(name))
        || short
            .iter()
            .any(|name| argument.starts_with(name) && !argument.starts_with("--"))
}

/// A CPU that this thread may run on.
fn allowed_cpu() -> usize {
    let about = std::fs::read_to_string("/proc/thread-self/status").unwrap_or_default();
    let list = about
        .lines()
        .find_map(|line| line.strip_prefix("Cpus_allowed_list:"));
    let first = list.and_then(|list| list.trim().split([',', '-']).next());
    first.and_then(|cpu| cpu.parse().ok()).unwrap_or(0)
}

fn initialise(line: Vec<CString>) -> Result<(), Error> {
    let mut pointers: Vec<*mut c_char> = line.into_iter().map(CString::into_raw).collect();
    let count = pointers.len() as c_int;
    pointers.push(std::ptr::null_mut());
    // DPDK keeps pointers to some of it.
    let pointers = pointers.leak();
    // SAFETY: the list has as many texts as it says and a null pointer behind them, all of it stays
    // for good, and `STARTING` lets nobody else start it.
    let parsed = unsafe { bindings::rte_eal_init(count, pointers.as_mut_ptr()) };
    if parsed < 0 {
        return Err(Error::noted("start DPDK"));
    }
    Ok(())
}

/// Has the calling thread take part in DPDK until it ends, so that it has buffers at hand that it
/// need not share. False where that cannot be: everything works all the same, at a price.
///
/// Costs a look at a variable of the thread when it takes part already.
pub fn join_thread() -> bool {
    MEMBERSHIP.with(|membership| membership.joined)
}

thread_local! {
    static MEMBERSHIP: Membership = Membership::new();
}

struct Membership {
    joined: bool,
}

impl Membership {
    fn new() -> Self {
        let joined = started().is_some_and(|_| {
            // SAFETY: DPDK was started, and this thread is none of its own.
            unsafe { bindings::rte_thread_register() == 0 }
        });
        Self { joined }
    }
}

impl Drop for Membership {
    fn drop(&mut self) {
        if self.joined {
            // SAFETY: the thread was registered, and this is the same one: the value is its own.
            unsafe { bindings::rte_thread_unregister() };
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn options_that_name_cores_are_known() {
        for argument in [
            "-l",
            "-l2",
            "-c",
            "--lcores",
            "--lcores=0@1",
            "--main-lcore",
        ] {
            assert!(names_cores(argument), "{argument}");
        }
        for argument in ["--log-level", "--no-huge", "-m", "256", "net_null0"] {
            assert!(!names_cores(argument), "{argument}");
        }
    }

    #[test]
    fn a_zero_octet_is_no_argument() {
        assert!(matches!(start(&["a\0b".to_owned()]), Err(Error::Misuse(_))));
    }
}
