//! Faults of an engine, in words for the operator.

use std::fmt;
use std::path::{Path, PathBuf};
use std::sync::Arc;

/// The store cannot be opened, or could not execute a batch.
#[derive(Clone, Debug)]
pub struct Error {
    /// The store's file.
    pub path: PathBuf,
    /// What is wrong with it.
    pub fault: Fault,
}

/// What is wrong with a store.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub enum Fault {
    /// Another process holds the file.
    InUse,
    /// The file is something else than a store.
    NotAStore,
    /// The file is a store of another version of this program.
    Version {
        /// Its format.
        found: u64,
        /// The format this program reads and writes.
        supported: u64,
    },
    /// The engine's own file format is too old.
    EngineFormat(u8),
    /// The file is damaged.
    Corrupt(Arc<str>),
    /// The operating system refused.
    Io(Arc<std::io::Error>),
    /// An earlier failure closed the engine.
    Closed,
}

impl Error {
    pub(super) fn new(path: &Path, fault: Fault) -> Self {
        Self {
            path: path.to_owned(),
            fault,
        }
    }

    pub(super) fn corrupt(path: &Path, what: &str) -> Self {
        Self::new(path, Fault::Corrupt(what.into()))
    }

    pub(super) fn io(path: &Path, error: std::io::Error) -> Self {
        Self::new(path, Fault::Io(Arc::new(error)))
    }
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let path = self.path.display();
        match &self.fault {
            Fault::InUse => write!(
                f,
                "subscriber store {path} is in use by another process: stop it, or make the change through the \
                 admin interface of the HSS that runs on it"
            ),
            Fault::NotAStore => write!(
                f,
                "{path} is not a subscriber store: give another path, or move the file away to start an empty one"
            ),
            Fault::Version { found, supported } => write!(
                f,
                "subscriber store {path} has format {found}, this program supports {supported}: use the program \
                 version that wrote it, export and import"
            ),
            Fault::EngineFormat(found) => write!(
                f,
                "subscriber store {path} has the old file format {found}: use the program version that wrote it, \
                 export and import"
            ),
            Fault::Corrupt(what) => write!(
                f,
                "subscriber store {path} is damaged ({what}): restore the file from a backup and start again"
            ),
            Fault::Io(error) => write!(
                f,
                "subscriber store {path}: {error}: check the disk, its free space and the permissions"
            ),
            Fault::Closed => write!(
                f,
                "subscriber store {path} is closed after an earlier failure: see the first error, then restart"
            ),
        }
    }
}

impl std::error::Error for Error {}
