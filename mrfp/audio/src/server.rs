//! The helper threads: they load what is played and write what is recorded.

use std::fmt;
use std::path::PathBuf;
use std::sync::mpsc::{self, Receiver, RecvTimeoutError, Sender, SyncSender, TrySendError};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread::{self, JoinHandle};
use std::time::Duration;

use crate::error::Error;
use crate::library::{Item, Library, LibraryConfig, PlayRequest};
use crate::player::Player;
use crate::prompt::PromptFault;
use crate::recording::writer::{Accepted, EndHandle, accept};
use crate::recording::{
    Cause, Folder, RECORDINGS_MAX, RecordRequest, Recorder, Recordings, Report,
};

/// What the helper threads need to know.
#[derive(Clone, Debug)]
pub struct Config {
    /// Where what is played comes from.
    pub library: LibraryConfig,
    /// The folder of recordings, of this process alone.
    pub recordings: PathBuf,
}

/// Why the helper threads cannot start.
#[derive(Debug)]
#[non_exhaustive]
pub enum StartError {
    /// The folder of recordings cannot be used.
    Recordings(PathBuf, Error),
    /// A fault of the prompts.
    Prompts(PromptFault),
    /// The system gave no thread.
    Threads(std::io::Error),
}

impl fmt::Display for StartError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            StartError::Recordings(folder, Error::Busy) => write!(
                f,
                "another process records into {}; give each a folder of its own",
                folder.display()
            ),
            StartError::Recordings(folder, error) => write!(
                f,
                "the folder of recordings {}: {error}; make it writable, or name another",
                folder.display()
            ),
            StartError::Prompts(fault) => fault.fmt(f),
            StartError::Threads(error) => write!(f, "no thread for files: {error}"),
        }
    }
}

impl std::error::Error for StartError {}

impl From<PromptFault> for StartError {
    fn from(fault: PromptFault) -> Self {
        StartError::Prompts(fault)
    }
}

impl From<std::io::Error> for StartError {
    fn from(error: std::io::Error) -> Self {
        StartError::Threads(error)
    }
}

/// A request to load something.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct LoadId(u64);

/// A recording.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct RecordingId(u64);

/// What a helper thread has done.
#[derive(Debug)]
pub enum Event {
    /// All of it is in memory, or cannot be had.
    Loaded(LoadId, Result<Box<Player>, Error>),
    /// A recording has ended; its files are whole and durable.
    Recorded(RecordingId, Report),
}

/// The only door to files and HTTP servers; owned by one thread, whose calls do not block.
///
/// Dropped, it ends the recordings under way and waits for them.
#[derive(Debug)]
pub struct FileServer {
    near: SyncSender<Load>,
    far: SyncSender<Load>,
    recordings: SyncSender<Command>,
    events: Receiver<Event>,
    /// Those under way, to be ended from here.
    ends: Vec<(RecordingId, EndHandle)>,
    loads: usize,
    last_id: u64,
    threads: Vec<JoinHandle<()>>,
}

type Load = (LoadId, PlayRequest);
type Wake = Arc<dyn Fn() + Send + Sync>;

enum Command {
    Begin(RecordingId, Accepted),
}

impl FileServer {
    /// Starts the threads. `wake` is called from them whenever an event is ready.
    ///
    /// # Errors
    /// Folders that cannot be used and faults of the prompts, each in words.
    pub fn start(
        config: Config,
        wake: impl Fn() + Send + Sync + 'static,
    ) -> Result<Self, StartError> {
        let folder = Folder::open(&config.recordings);
        let folder = folder.map_err(|error| StartError::Recordings(config.recordings, error))?;
        let folder = Arc::new(folder);
        let library = Library::open(config.library, Arc::clone(&folder))?;
        let library = Arc::new(library);
        let wake: Wake = Arc::new(wake);
        let (done, events) = mpsc::channel();
        let (near, near_loads) = mpsc::sync_channel(LOADS_MAX);
        let (far, far_loads) = mpsc::sync_channel(LOADS_MAX);
        let (recordings, commands) = mpsc::sync_channel(RECORDINGS_MAX);
        let mut threads = Vec::new();
        let mut loader = |name: &str, loads: &Arc<Mutex<Receiver<Load>>>| {
            let (library, loads) = (Arc::clone(&library), Arc::clone(loads));
            let (done, wake) = (done.clone(), Arc::clone(&wake));
            let run = move || load_all(&library, &loads, &done, &wake);
            let thread = thread::Builder::new().name(name.to_owned()).spawn(run)?;
            threads.push(thread);
            Ok::<_, std::io::Error>(())
        };
        loader("audio-load", &Arc::new(Mutex::new(near_loads)))?;
        let far_loads = Arc::new(Mutex::new(far_loads));
        for _ in 0..FETCHERS {
            loader("audio-fetch", &far_loads)?;
        }
        let run = move || record_all(Recordings::new(folder), &commands, &done, &wake);
        let recorder = thread::Builder::new().name("audio-record".to_owned());
        threads.push(recorder.spawn(run)?);
        Ok(Self {
            near,
            far,
            recordings,
            events,
            ends: Vec::new(),
            loads: 0,
            last_id: 0,
            threads,
        })
    }

    /// Loads what is to be played: [`Event::Loaded`] follows.
    ///
    /// # Errors
    /// `Busy` when too much is being loaded.
    pub fn load(&mut self, request: PlayRequest) -> Result<LoadId, Error> {
        let id = LoadId(self.next_id());
        // What may take long does not keep others waiting.
        let queue = match request.items.iter().any(Item::is_remote) {
            true => &self.far,
            false => &self.near,
        };
        if self.loads >= LOADS_MAX {
            return Err(Error::Busy);
        }
        match queue.try_send((id, request)) {
            Ok(()) => {
                self.loads += 1;
                Ok(id)
            }
            Err(TrySendError::Full(_) | TrySendError::Disconnected(_)) => Err(Error::Busy),
        }
    }

    /// Begins a recording, whose end [`Event::Recorded`] reports, also when it could not begin.
    ///
    /// # Errors
    /// `Misuse` for a request that cannot be, `Busy` beyond [`RECORDINGS_MAX`].
    pub fn record(
        &mut self,
        request: RecordRequest,
    ) -> Result<(RecordingId, Box<Recorder>), Error> {
        if self.ends.len() >= RECORDINGS_MAX {
            return Err(Error::Busy);
        }
        let (recorder, accepted) = accept(request)?;
        let id = RecordingId(self.next_id());
        let end = accepted.end_handle();
        match self.recordings.try_send(Command::Begin(id, accepted)) {
            Ok(()) => {
                self.ends.push((id, end));
                Ok((id, Box::new(recorder)))
            }
            Err(_) => Err(Error::Busy),
        }
    }

    /// Ends a recording for a cause of the caller's; nothing if it has ended.
    pub fn end_recording(&self, id: RecordingId, cause: Cause) {
        if let Some((_, end)) = self.ends.iter().find(|(each, _)| *each == id) {
            end.set(cause);
        }
    }

    /// What has been done since.
    pub fn poll_event(&mut self) -> Option<Event> {
        let event = self.events.try_recv().ok()?;
        match &event {
            Event::Loaded(..) => self.loads -= 1,
            Event::Recorded(id, _) => self.ends.retain(|(each, _)| each != id),
        }
        Some(event)
    }

    /// Recordings under way.
    pub fn recordings(&self) -> usize {
        self.ends.len()
    }

    fn next_id(&mut self) -> u64 {
        self.last_id += 1;
        self.last_id
    }
}

impl Drop for FileServer {
    fn drop(&mut self) {
        let closed = || mpsc::sync_channel(0).0;
        self.near = closed();
        self.far = closed();
        self.recordings = mpsc::sync_channel(0).0;
        for thread in self.threads.drain(..) {
            // A thread that panicked has said so.
            let _ = thread.join();
        }
    }
}

fn load_all(library: &Library, loads: &Mutex<Receiver<Load>>, done: &Sender<Event>, wake: &Wake) {
    loop {
        let next = loads.lock().unwrap_or_else(PoisonError::into_inner).recv();
        let Ok((id, request)) = next else {
            return;
        };
        let player = library.player(&request).map(Box::new);
        if done.send(Event::Loaded(id, player)).is_err() {
            return;
        }
        wake();
    }
}

fn record_all(
    mut recordings: Recordings<RecordingId>,
    commands: &Receiver<Command>,
    done: &Sender<Event>,
    wake: &Wake,
) {
    let mut is_closing = false;
    while !(is_closing && recordings.is_empty()) {
        let next = if is_closing {
            Err(RecvTimeoutError::Timeout)
        } else if recordings.is_empty() {
            commands.recv().map_err(|_| RecvTimeoutError::Disconnected)
        } else {
            commands.recv_timeout(TURN)
        };
        match next {
            Ok(Command::Begin(id, accepted)) => recordings.begin(id, accepted),
            Err(RecvTimeoutError::Timeout) => {}
            Err(RecvTimeoutError::Disconnected) => {
                is_closing = true;
                recordings.stop_all();
            }
        }
        for (id, report) in recordings.turn() {
            // Whoever started it may be gone: its files are kept all the same.
            if done.send(Event::Recorded(id, report)).is_ok() {
                wake();
            }
        }
    }
}

/// Most requests being loaded at a time.
pub const LOADS_MAX: usize = 1024;
/// Threads that wait for HTTP servers.
const FETCHERS: usize = 4;
/// How long samples wait to be written.
const TURN: Duration = Duration::from_millis(50);
