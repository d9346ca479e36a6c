//! An operator who adds and removes subscribers while the HSS is killed: what was acknowledged
//! holds.

use std::collections::BTreeSet;
use std::net::SocketAddr;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::thread::{self, JoinHandle};
use std::time::Duration;

use interop::{Folder, Namespace, strowger};

use crate::rig::{REALM, Rig};

/// Between one command and the next.
const PAUSE: Duration = Duration::from_millis(150);
/// Every so many additions that were acknowledged, one of them is removed.
const REMOVE_EVERY: usize = 8;
/// Names begin so.
pub const PREFIX: &str = "added";

/// What was acknowledged so far.
#[derive(Clone, Debug, Default)]
pub struct Acknowledged {
    /// Added, and not asked to be removed.
    pub added: BTreeSet<String>,
    /// Removed.
    pub removed: BTreeSet<String>,
    /// Commands that were refused or not answered: what became of these nobody knows.
    pub unanswered: usize,
}

/// The operator, at work until it is dropped.
pub struct Adder {
    seen: Arc<Mutex<Acknowledged>>,
    is_over: Arc<AtomicBool>,
    thread: Option<JoinHandle<()>>,
}

struct Work {
    namespace: Arc<Namespace>,
    folder: Arc<Folder>,
    hss: SocketAddr,
    seen: Arc<Mutex<Acknowledged>>,
}

impl Adder {
    /// Begins to work at the HSS of a rig.
    pub fn start(rig: &Rig) -> Self {
        let seen = Arc::default();
        let is_over = Arc::new(AtomicBool::new(false));
        let work = Work {
            namespace: Arc::clone(rig.namespace()),
            folder: Arc::clone(rig.folder()),
            hss: rig.hss(),
            seen: Arc::clone(&seen),
        };
        let told = Arc::clone(&is_over);
        let run = move || {
            let mut number = 0;
            while !told.load(Ordering::Acquire) {
                work.once(number);
                number += 1;
                thread::sleep(PAUSE);
            }
        };
        Adder {
            seen,
            is_over,
            thread: Some(thread::spawn(run)),
        }
    }

    /// What was acknowledged so far.
    pub fn acknowledged(&self) -> Acknowledged {
        lock(&self.seen).clone()
    }
}

impl Drop for Adder {
    fn drop(&mut self) {
        self.is_over.store(true, Ordering::Release);
        if let Some(thread) = self.thread.take()
            && thread.join().is_err()
        {
            eprintln!("the operator has given up");
        }
    }
}

impl Work {
    fn once(&self, number: usize) {
        let name = format!("{PREFIX}{number:06}@{REALM}");
        if !self.command(&["add", &name, "--password", "secret"]) {
            lock(&self.seen).unanswered += 1;
            return;
        }
        let old = {
            let mut seen = lock(&self.seen);
            seen.added.insert(name);
            let so_far = seen.added.len() + seen.removed.len();
            let is_time = so_far.is_multiple_of(REMOVE_EVERY);
            is_time.then(|| seen.added.pop_first()).flatten()
        };
        if let Some(old) = old {
            let is_removed = self.command(&["remove", &old]);
            let mut seen = lock(&self.seen);
            match is_removed {
                true => drop(seen.removed.insert(old)),
                false => seen.unanswered += 1,
            }
        }
    }

    fn command(&self, arguments: &[&str]) -> bool {
        let hss = self.hss.to_string();
        let place = ["--json", "subscriber", "--admin", &hss, "--state", "hss"];
        let arguments = [place.as_slice(), arguments].concat();
        let run = strowger::run(&self.namespace, &self.folder, "operator", &arguments);
        run.status.success()
    }
}

/// Who panicked with it has changed nothing by halves.
fn lock(seen: &Mutex<Acknowledged>) -> MutexGuard<'_, Acknowledged> {
    seen.lock().unwrap_or_else(PoisonError::into_inner)
}
