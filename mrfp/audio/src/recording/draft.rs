//! Files that are either whole under their name or not there.

use std::ffi::OsStr;
use std::fs::{self, File, OpenOptions, TryLockError};
use std::io::{self, Seek, SeekFrom, Write};
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use crate::error::Error;

/// The name of a recording: one path component of letters, digits, `.`, `-` and `_`.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct RecordingName(Box<str>);

impl RecordingName {
    /// Takes a name that cannot leave the folder and cannot be taken for a draft.
    ///
    /// # Errors
    /// `Misuse` for any other.
    pub fn parse(name: &str) -> Result<Self, Error> {
        let is_plain = |octet: u8| octet.is_ascii_alphanumeric() || b".-_".contains(&octet);
        let fits = (1..=NAME_OCTETS_MAX).contains(&name.len());
        if !fits || name.starts_with('.') || !name.bytes().all(is_plain) {
            return Err(Error::Misuse("a name that no recording can have"));
        }
        Ok(Self(name.into()))
    }

    /// As text.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

/// The folder that recordings are kept in, of one process at a time.
#[derive(Debug)]
pub(crate) struct Folder {
    path: PathBuf,
    /// Held locked.
    _lock: File,
}

impl Folder {
    /// Uses a folder, which is made where there is none, and removes the drafts that a process
    /// left which did not end in peace.
    ///
    /// # Errors
    /// `Busy` where another process has it, `Io`.
    pub(crate) fn open(path: &Path) -> Result<Self, Error> {
        fs::create_dir_all(path)?;
        let lock = OpenOptions::new()
            .create(true)
            .write(true)
            .truncate(false)
            .mode(0o600)
            .open(path.join(LOCK))?;
        match lock.try_lock() {
            Ok(()) => {}
            Err(TryLockError::WouldBlock) => return Err(Error::Busy),
            Err(TryLockError::Error(error)) => return Err(error.into()),
        }
        for entry in fs::read_dir(path)? {
            let entry = entry?;
            if is_draft(&entry.file_name()) {
                fs::remove_file(entry.path())?;
            }
        }
        Ok(Self {
            path: path.to_owned(),
            _lock: lock,
        })
    }

    /// The file of a recording by its full name, for playing it.
    pub(crate) fn file(&self, name: &RecordingName) -> PathBuf {
        self.path.join(name.as_str())
    }

    fn sync(&self) -> io::Result<()> {
        File::open(&self.path)?.sync_all()
    }
}

fn is_draft(name: &OsStr) -> bool {
    name.to_str()
        .is_some_and(|name| name.starts_with('.') && name.ends_with(DRAFT_ENDING))
}

/// A file that is being written under a name of its own; removed when dropped.
#[derive(Debug)]
pub(crate) struct Draft {
    folder: Arc<Folder>,
    file: File,
    draft: PathBuf,
    finished: PathBuf,
    replace: bool,
    /// Octets that were written in whole appends.
    length: u64,
    is_kept: bool,
}

impl Draft {
    /// Begins the file `name` of the folder.
    pub(crate) fn create(folder: &Arc<Folder>, name: &str, replace: bool) -> Result<Self, Error> {
        let finished = folder.path.join(name);
        if !replace && finished.symlink_metadata().is_ok() {
            return Err(Error::Io(io::ErrorKind::AlreadyExists));
        }
        let draft = folder.path.join(format!(".{name}{DRAFT_ENDING}"));
        // Two recordings of one name at once: the second finds the first one's draft.
        let file = OpenOptions::new()
            .create_new(true)
            .write(true)
            .mode(0o640)
            .open(&draft)?;
        Ok(Self {
            folder: Arc::clone(folder),
            file,
            draft,
            finished,
            replace,
            length: 0,
            is_kept: false,
        })
    }

    /// Octets written so far.
    pub(crate) fn len(&self) -> u64 {
        self.length
    }

    /// Writes at the end; what an error left of it there is cut off again.
    pub(crate) fn append(&mut self, octets: &[u8]) -> Result<(), Error> {
        match self.file.write_all(octets) {
            Ok(()) => {
                self.length += octets.len() as u64;
                Ok(())
            }
            Err(error) => {
                self.file.set_len(self.length)?;
                self.file.seek(SeekFrom::Start(self.length))?;
                Err(error.into())
            }
        }
    }

    /// Writes over the beginning, which has been written before.
    pub(crate) fn overwrite_start(&mut self, octets: &[u8]) -> Result<(), Error> {
        self.file.seek(SeekFrom::Start(0))?;
        self.file.write_all(octets)?;
        self.file.seek(SeekFrom::Start(self.length))?;
        Ok(())
    }

    /// Makes it durable under its name, and then the name.
    pub(crate) fn keep(mut self) -> Result<PathBuf, Error> {
        self.file.sync_all()?;
        if self.replace {
            fs::rename(&self.draft, &self.finished)?;
        } else {
            // Unlike a rename it fails where there is one.
            fs::hard_link(&self.draft, &self.finished)?;
            fs::remove_file(&self.draft)?;
        }
        self.is_kept = true;
        self.folder.sync()?;
        Ok(self.finished.clone())
    }
}

impl Drop for Draft {
    fn drop(&mut self) {
        if !self.is_kept {
            // What cannot be removed goes at the next start.
            let _ = fs::remove_file(&self.draft);
        }
    }
}

const LOCK: &str = ".lock";
const DRAFT_ENDING: &str = ".draft";
const NAME_OCTETS_MAX: usize = 128;

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testkit::Scratch;

    fn names(folder: &Path) -> Vec<String> {
        let mut names: Vec<String> = fs::read_dir(folder)
            .unwrap()
            .map(|entry| entry.unwrap().file_name().into_string().unwrap())
            .collect();
        names.sort();
        names
    }

    #[test]
    fn names_stay_in_the_folder() {
        for name in ["a", "2026-11-21_0001.wav", "A..b"] {
            assert_eq!(RecordingName::parse(name).unwrap().as_str(), name);
        }
        let long = "x".repeat(129);
        for name in ["", ".", "..", ".a.draft", "a/b", "a\0", "ä", "a b", &long] {
            assert!(RecordingName::parse(name).is_err(), "{name:?}");
        }
    }

    #[test]
    fn a_file_appears_under_its_name_only_when_it_is_whole() {
        let scratch = Scratch::new();
        let folder = Arc::new(Folder::open(scratch.path()).unwrap());
        let mut draft = Draft::create(&folder, "a.wav", false).unwrap();
        draft.append(b"head").unwrap();
        draft.append(b"body").unwrap();
        assert_eq!(names(scratch.path()), [".a.wav.draft", ".lock"]);
        draft.overwrite_start(b"HEAD").unwrap();
        draft.append(b"!").unwrap();
        draft.keep().unwrap();
        assert_eq!(names(scratch.path()), [".lock", "a.wav"]);
        assert_eq!(
            fs::read(scratch.path().join("a.wav")).unwrap(),
            b"HEADbody!"
        );
    }

    #[test]
    fn what_is_given_up_leaves_nothing() {
        let scratch = Scratch::new();
        let folder = Arc::new(Folder::open(scratch.path()).unwrap());
        drop(Draft::create(&folder, "a", false).unwrap());
        assert_eq!(names(scratch.path()), [".lock"]);
    }

    #[test]
    fn a_recording_is_replaced_only_when_that_was_asked_for() {
        let scratch = Scratch::new();
        let folder = Arc::new(Folder::open(scratch.path()).unwrap());
        let early = Draft::create(&folder, "a", false).unwrap();
        // The name is taken while it is being written.
        fs::write(scratch.path().join("a"), b"old").unwrap();
        assert_eq!(
            early.keep().unwrap_err(),
            Error::Io(io::ErrorKind::AlreadyExists)
        );
        assert!(Draft::create(&folder, "a", false).is_err());
        let mut draft = Draft::create(&folder, "a", true).unwrap();
        draft.append(b"new").unwrap();
        draft.keep().unwrap();
        assert_eq!(fs::read(scratch.path().join("a")).unwrap(), b"new");
    }

    #[test]
    fn a_folder_has_one_process_and_is_swept_at_start() {
        let scratch = Scratch::new();
        fs::write(scratch.path().join(".b.wav.draft"), b"half").unwrap();
        fs::write(scratch.path().join("c.wav"), b"whole").unwrap();
        let folder = Folder::open(scratch.path()).unwrap();
        assert_eq!(names(scratch.path()), [".lock", "c.wav"]);
        assert_eq!(Folder::open(scratch.path()).unwrap_err(), Error::Busy);
        drop(folder);
        assert!(Folder::open(scratch.path()).is_ok());
    }
}
