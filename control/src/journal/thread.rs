//! The journal's thread: a [`Writer`] beside the event loop.

use std::io;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::mpsc::{self, Receiver, RecvTimeoutError, Sender};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread::JoinHandle;

use super::files::Files;
use super::frame;
use super::log::Log;
use super::status::JournalStatus;
use super::writer::{BEHIND, WAITING_MAX, Writer};
use crate::clock::Clock;

/// Octets written in one operation, about.
const WRITE_MAX: usize = 1 << 20;

const _: () = assert!(WRITE_MAX <= WAITING_MAX);

/// The event loop's end of the journal's thread.
///
/// Records are written in the order in which they are gathered, once a turn of the loop, and those
/// that wait together in one operation. Nothing here waits: when the disk is too far behind,
/// records are dropped, and as soon as it has caught up everything is to be put anew.
pub struct JournalThread {
    records: Option<Sender<Vec<u8>>>,
    /// What is to be written with the next flush.
    gathered: Vec<u8>,
    shared: Arc<Shared>,
    thread: Option<JoinHandle<()>>,
}

#[derive(Default)]
struct Shared {
    /// Octets submitted and not taken yet.
    queued: AtomicUsize,
    /// Records were dropped since the last statement of everything.
    has_dropped: AtomicBool,
    /// Everything is to be put anew.
    wants_all: AtomicBool,
    status: Mutex<JournalStatus>,
}

impl JournalThread {
    /// Starts the thread. `wake` is called on it when everything is to be put anew.
    ///
    /// # Errors
    /// The operating system gives no thread.
    pub fn spawn<F: Files + 'static>(
        log: Log<F>,
        place: String,
        wake: Box<dyn Fn() + Send>,
    ) -> io::Result<Self> {
        let (records, incoming) = mpsc::channel();
        let shared = Arc::<Shared>::default();
        let writer = Writer::new(log, place);
        shared.set_status(writer.status());
        let of_thread = Arc::clone(&shared);
        let thread = std::thread::Builder::new()
            .name("journal".to_owned())
            .spawn(move || run(writer, &incoming, &of_thread, &*wake))?;
        Ok(Self {
            records: Some(records),
            gathered: Vec::new(),
            shared,
            thread: Some(thread),
        })
    }

    /// Takes records for the next [`JournalThread::flush`].
    pub fn gather(&mut self, records: Vec<u8>) {
        // All before a statement of everything is void.
        if self.gathered.is_empty() || frame::is_statement(&records) {
            self.gathered = records;
        } else {
            self.gathered.extend(records);
        }
    }

    /// Has written what was gathered; false when it was dropped.
    pub fn flush(&mut self) -> bool {
        self.gathered.is_empty() || {
            let records = std::mem::take(&mut self.gathered);
            self.submit(records)
        }
    }

    fn submit(&mut self, records: Vec<u8>) -> bool {
        let shared = &self.shared;
        let is_statement = frame::is_statement(&records);
        if is_statement {
            shared.has_dropped.store(false, Ordering::Release);
        } else if shared.has_dropped.load(Ordering::Acquire) {
            return false;
        }
        let octets = records.len();
        let queued = shared.queued.fetch_add(octets, Ordering::AcqRel);
        let has_room = queued <= WAITING_MAX || is_statement;
        let sender = self.records.as_ref().filter(|_| has_room);
        if sender.is_some_and(|sender| sender.send(records).is_ok()) {
            return true;
        }
        shared.queued.fetch_sub(octets, Ordering::AcqRel);
        shared.has_dropped.store(true, Ordering::Release);
        // Should the thread have caught up meanwhile and wait for more.
        if let Some(records) = &self.records {
            let _ = records.send(Vec::new());
        }
        false
    }

    /// Whether everything is to be put anew; says so once.
    pub fn take_wants_all(&mut self) -> bool {
        self.shared.wants_all.swap(false, Ordering::AcqRel)
    }

    /// What the journal says of itself.
    pub fn status(&self) -> JournalStatus {
        let mut status = self.shared.status().clone();
        status.waiting_octets += self.gathered.len() as u64;
        status.waiting_octets += self.shared.queued.load(Ordering::Acquire) as u64;
        let is_dead = self.thread.as_ref().is_none_or(JoinHandle::is_finished);
        if is_dead {
            status.state = "failing: its thread has ended".to_owned();
        } else if self.shared.has_dropped.load(Ordering::Acquire) && status.is_in_order() {
            BEHIND.clone_into(&mut status.state);
        }
        status
    }
}

impl Drop for JournalThread {
    fn drop(&mut self) {
        self.flush();
        self.records = None;
        if let Some(thread) = self.thread.take() {
            // One that panicked has said so on stderr.
            let _ = thread.join();
        }
    }
}

impl Shared {
    fn status(&self) -> std::sync::MutexGuard<'_, JournalStatus> {
        self.status.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn set_status(&self, status: JournalStatus) {
        *self.status() = status;
    }
}

fn run<F: Files>(
    mut writer: Writer<F>,
    records: &Receiver<Vec<u8>>,
    shared: &Shared,
    wake: &dyn Fn(),
) {
    let clock = Clock::start();
    let mut has_asked = false;
    loop {
        let received = match writer.next_timeout() {
            Some(at) => records.recv_timeout(at - clock.now()),
            None => records.recv().map_err(|_| RecvTimeoutError::Disconnected),
        };
        let mut taken = 0;
        match received {
            Err(RecvTimeoutError::Disconnected) => break,
            Err(RecvTimeoutError::Timeout) => {}
            Ok(first) => {
                let mut next = Some(first);
                while let Some(records_now) = next {
                    taken += records_now.len();
                    has_asked &= !frame::is_statement(&records_now);
                    writer.take(records_now);
                    next = (taken < WRITE_MAX)
                        .then(|| records.try_recv().ok())
                        .flatten();
                }
            }
        }
        writer.advance(clock.now());
        shared.set_status(writer.status());
        let queued = shared.queued.fetch_sub(taken, Ordering::AcqRel) - taken;
        // What was dropped is asked for when there is room for all of it.
        if queued == 0 && shared.has_dropped.load(Ordering::Acquire) {
            writer.lose();
        }
        if writer.wants_all() && !has_asked {
            has_asked = true;
            shared.wants_all.store(true, Ordering::Release);
            wake();
        }
    }
    writer.finish(clock.now());
    shared.set_status(writer.status());
}

#[cfg(test)]
mod tests;
