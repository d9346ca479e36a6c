//! The store thread: an engine beside the event loop.

use std::collections::VecDeque;
use std::io;
use std::sync::mpsc::{self, Receiver, SyncSender};
use std::thread::JoinHandle;

use super::Store;
use super::operation::{Operation, Outcome};

/// The event loop's end of the store thread.
///
/// What is submitted goes to the thread when it is flushed, once a turn of the loop: waking a
/// thread costs more than most operations. Changes queued while the disk is busy share the next
/// commit, so throughput grows with load. A read sees every change acknowledged before it was
/// submitted; it may overtake changes that are not acknowledged yet.
pub struct StoreThread {
    requests: Option<SyncSender<Vec<Request>>>,
    outcomes: Receiver<Vec<(u64, Outcome)>>,
    /// Submitted since the last flush.
    gathered: Vec<Request>,
    /// Received and not polled.
    received: VecDeque<(u64, Outcome)>,
    outstanding: usize,
    thread: Option<JoinHandle<()>>,
}

struct Request {
    id: u64,
    operation: Operation,
}

/// Why an operation was not taken.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum SubmitError {
    /// [`QUEUE_MAX`] operations are outstanding: the disk is behind.
    Busy,
    /// The thread has ended.
    Stopped,
}

/// Most operations outstanding: at 10 000 changes a second, what a disk stall of half a second
/// leaves behind.
pub const QUEUE_MAX: usize = 4096;
/// Most operations in one group: beyond this the sync is no longer what costs.
const GROUP_MAX: usize = 256;

const _: () = assert!(GROUP_MAX <= QUEUE_MAX);

impl StoreThread {
    /// Starts the thread. `wake` is called on it whenever there are new outcomes to poll.
    ///
    /// # Errors
    /// The operating system gives no thread.
    pub fn spawn(store: Box<dyn Store>, wake: Box<dyn Fn() + Send>) -> io::Result<Self> {
        // Never full, neither of them: at most QUEUE_MAX operations are outstanding.
        let (requests, incoming) = mpsc::sync_channel(QUEUE_MAX);
        let (outgoing, outcomes) = mpsc::sync_channel(QUEUE_MAX);
        let thread = std::thread::Builder::new()
            .name("store".to_owned())
            .spawn(move || run(store, &incoming, &outgoing, &*wake))?;
        Ok(Self {
            requests: Some(requests),
            outcomes,
            gathered: Vec::new(),
            received: VecDeque::new(),
            outstanding: 0,
            thread: Some(thread),
        })
    }

    /// Takes an operation for the next [`StoreThread::flush`]; its outcome comes out of
    /// [`StoreThread::poll_outcome`] under `id`.
    ///
    /// # Errors
    /// `Busy`: answer the peer that it should come later. `Stopped`: the process should end.
    pub fn submit(&mut self, id: u64, operation: Operation) -> Result<(), SubmitError> {
        if self.outstanding == QUEUE_MAX {
            return Err(SubmitError::Busy);
        }
        if self.is_dead() {
            return Err(SubmitError::Stopped);
        }
        self.gathered.push(Request { id, operation });
        self.outstanding += 1;
        Ok(())
    }

    /// Has the thread execute what was submitted.
    pub fn flush(&mut self) {
        if self.gathered.is_empty() {
            return;
        }
        let gathered = std::mem::take(&mut self.gathered);
        if let Some(requests) = &self.requests {
            // A thread that has ended is seen by `is_dead`.
            let _ = requests.try_send(gathered);
        }
    }

    /// Takes an outcome, if one is there. Call until `None` after each wake.
    pub fn poll_outcome(&mut self) -> Option<(u64, Outcome)> {
        if self.received.is_empty() {
            self.received.extend(self.outcomes.try_recv().ok()?);
        }
        let outcome = self.received.pop_front()?;
        self.outstanding -= 1;
        Some(outcome)
    }

    /// Operations submitted whose outcome has not been polled.
    pub fn outstanding(&self) -> usize {
        self.outstanding
    }

    /// True when the thread has ended, by a panic of the engine: outstanding operations will have
    /// no outcome.
    pub fn is_dead(&self) -> bool {
        self.thread.as_ref().is_none_or(JoinHandle::is_finished)
    }

    /// Executes what is queued, ends the thread and gives the outcomes left.
    pub fn stop(mut self) -> Vec<(u64, Outcome)> {
        self.join();
        std::iter::from_fn(|| self.poll_outcome()).collect()
    }

    fn join(&mut self) {
        self.flush();
        self.requests = None;
        if let Some(thread) = self.thread.take() {
            // An engine that panicked has said so on stderr; its outcomes are missing, which the
            // owner sees.
            let _ = thread.join();
        }
    }
}

impl Drop for StoreThread {
    fn drop(&mut self) {
        self.join();
    }
}

struct WakeAtEnd<'a>(&'a dyn Fn());

impl Drop for WakeAtEnd<'_> {
    fn drop(&mut self) {
        (self.0)();
    }
}

fn run(
    mut store: Box<dyn Store>,
    requests: &Receiver<Vec<Request>>,
    outcomes: &SyncSender<Vec<(u64, Outcome)>>,
    wake: &dyn Fn(),
) {
    // A loop that waits for outcomes must also see the end, were it by a panic of the engine.
    let _end = WakeAtEnd(wake);
    let mut waiting = VecDeque::new();
    loop {
        if waiting.is_empty() {
            let Ok(first) = requests.recv() else { return };
            waiting.extend(first);
        }
        while waiting.len() < GROUP_MAX
            && let Ok(more) = requests.try_recv()
        {
            waiting.extend(more);
        }
        let group = waiting.drain(..waiting.len().min(GROUP_MAX));
        let (reads, writes): (Vec<Request>, Vec<Request>) =
            group.partition(|request| request.operation.is_read());
        for half in [reads, writes] {
            if half.is_empty() {
                continue;
            }
            let (ids, batch): (Vec<u64>, Vec<Operation>) = half
                .into_iter()
                .map(|request| (request.id, request.operation))
                .unzip();
            let executed = ids.into_iter().zip(store.execute(batch)).collect();
            if outcomes.send(executed).is_err() {
                return;
            }
            wake();
        }
    }
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::{AtomicUsize, Ordering};
    use std::sync::{Arc, Mutex};

    use super::*;
    use crate::store::conformance::subscriber;
    use crate::store::{MemoryStore, PutMode, Refusal};

    /// A store that waits for a token before each batch and notes the sizes of the batches.
    struct Gated {
        inner: MemoryStore,
        gate: Receiver<()>,
        sizes: Arc<Mutex<Vec<usize>>>,
    }

    impl Store for Gated {
        fn execute(&mut self, batch: Vec<Operation>) -> Vec<Outcome> {
            self.gate.recv().expect("the test opens the gate");
            self.sizes.lock().expect("no panic").push(batch.len());
            self.inner.execute(batch)
        }
    }

    fn put(name: &str) -> Operation {
        Operation::Put {
            subscriber: Box::new(subscriber(name)),
            mode: PutMode::CreateOrReplace,
        }
    }

    #[test]
    fn outcomes_come_back_under_their_ids_with_a_wake() {
        let wakes = Arc::new(AtomicUsize::new(0));
        let counter = Arc::clone(&wakes);
        let wake = move || {
            counter.fetch_add(1, Ordering::SeqCst);
        };
        let mut thread =
            StoreThread::spawn(Box::new(MemoryStore::default()), Box::new(wake)).expect("a thread");
        for id in 0..100 {
            let name = format!("user{id}");
            assert_eq!(thread.submit(id, put(&name)), Ok(()));
            thread.flush();
        }
        let mut outcomes = thread.stop();
        outcomes.sort_by_key(|(id, _)| *id);
        assert_eq!(outcomes.len(), 100);
        assert!(outcomes.iter().enumerate().all(|(index, (id, outcome))| {
            *id == index as u64 && matches!(outcome, Outcome::Stored { previous: None })
        }));
        assert!(wakes.load(Ordering::SeqCst) > 0);
    }

    #[test]
    fn changes_queued_during_a_commit_share_the_next_one() {
        let (open, gate) = mpsc::channel();
        let sizes = Arc::new(Mutex::new(Vec::new()));
        let store = Gated {
            inner: MemoryStore::default(),
            gate,
            sizes: Arc::clone(&sizes),
        };
        let mut thread = StoreThread::spawn(Box::new(store), Box::new(|| {})).expect("a thread");
        thread.submit(0, put("first")).expect("room");
        thread.flush();
        open.send(()).expect("the thread lives");
        while thread.poll_outcome().is_none() {
            std::thread::yield_now();
        }
        thread.submit(1, put("second")).expect("room");
        thread.flush();
        // The second batch is held at the gate or not taken yet: all that follows has time to queue
        // up.
        for id in 2..(2 + 2 * GROUP_MAX as u64) {
            thread.submit(id, put(&format!("user{id}"))).expect("room");
            if id % 3 == 0 {
                thread.flush();
            }
        }
        thread.flush();
        for _ in 0..2 + 2 * GROUP_MAX {
            let _ = open.send(());
        }
        assert_eq!(thread.stop().len(), 1 + 2 * GROUP_MAX);
        let sizes = sizes.lock().expect("no panic");
        assert!(sizes.iter().all(|&size| size <= GROUP_MAX));
        assert!(sizes.contains(&GROUP_MAX), "{sizes:?}");
    }

    #[test]
    fn beyond_the_maximum_the_store_is_busy_and_recovers() {
        let (open, gate) = mpsc::channel();
        let store = Gated {
            inner: MemoryStore::default(),
            gate,
            sizes: Arc::default(),
        };
        let mut thread = StoreThread::spawn(Box::new(store), Box::new(|| {})).expect("a thread");
        for id in 0..QUEUE_MAX as u64 {
            assert_eq!(thread.submit(id, Operation::Count), Ok(()));
        }
        assert_eq!(thread.submit(1, Operation::Count), Err(SubmitError::Busy));
        assert_eq!(thread.outstanding(), QUEUE_MAX);
        thread.flush();
        for _ in 0..=QUEUE_MAX {
            open.send(()).expect("the thread lives");
        }
        while thread.poll_outcome().is_none() {
            std::thread::yield_now();
        }
        assert_eq!(thread.submit(1, Operation::Count), Ok(()));
        assert_eq!(thread.stop().len(), QUEUE_MAX);
    }

    #[test]
    fn a_read_sees_what_was_acknowledged_before_it() {
        let mut thread = StoreThread::spawn(Box::new(MemoryStore::default()), Box::new(|| {}))
            .expect("a thread");
        thread.submit(1, put("alice")).expect("room");
        thread.flush();
        while thread.poll_outcome().is_none() {
            std::thread::yield_now();
        }
        thread
            .submit(2, Operation::Get(subscriber("alice").impi))
            .expect("room");
        thread
            .submit(3, Operation::Get(subscriber("bob").impi))
            .expect("room");
        let mut outcomes = thread.stop();
        outcomes.sort_by_key(|(id, _)| *id);
        assert!(matches!(outcomes[0].1, Outcome::Found(_)));
        assert!(matches!(outcomes[1].1, Outcome::Refused(Refusal::NotFound)));
    }

    #[test]
    fn the_end_of_a_broken_engine_is_seen() {
        struct Broken;
        impl Store for Broken {
            fn execute(&mut self, _: Vec<Operation>) -> Vec<Outcome> {
                std::panic::resume_unwind(Box::new("broken"));
            }
        }
        let (woken, wakes) = mpsc::channel();
        let wake = move || woken.send(()).expect("the test waits");
        let mut thread = StoreThread::spawn(Box::new(Broken), Box::new(wake)).expect("a thread");
        thread.submit(1, Operation::Count).expect("room");
        thread.flush();
        wakes.recv().expect("woken at the end");
        while !thread.is_dead() {
            std::thread::yield_now();
        }
        assert_eq!(
            thread.submit(2, Operation::Count),
            Err(SubmitError::Stopped)
        );
    }
}
