//! The file operations that the journal is made of, and their place in a directory.

use std::fs::{self, File, OpenOptions};
use std::io::{self, Write};
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};

/// Numbered files that are only appended to.
///
/// What was appended is durable after [`Files::sync`], that a file exists or does not after
/// [`Files::sync_directory`].
pub trait Files: Send {
    /// The numbers there are, in ascending order.
    ///
    /// # Errors
    /// Those of the system, here and below.
    fn list(&mut self) -> io::Result<Vec<u32>>;

    /// All of a file.
    fn read(&mut self, file: u32) -> io::Result<Vec<u8>>;

    /// Makes an empty file, in place of what was there.
    fn create(&mut self, file: u32) -> io::Result<()>;

    /// Writes at the end of a file, in one operation; after an error any part may be there.
    fn append(&mut self, file: u32, octets: &[u8]) -> io::Result<()>;

    /// Cuts a file to a length.
    fn truncate(&mut self, file: u32, length: u64) -> io::Result<()>;

    /// Makes the contents of a file durable.
    fn sync(&mut self, file: u32) -> io::Result<()>;

    /// Removes a file.
    fn remove(&mut self, file: u32) -> io::Result<()>;

    /// Makes durable which files there are.
    fn sync_directory(&mut self) -> io::Result<()>;
}

/// A directory of such files, named `0000000001.journal` and so on. Others in it are left alone.
#[derive(Debug)]
pub struct Directory {
    path: PathBuf,
    /// The file appended to last.
    open: Option<(u32, File)>,
}

impl Directory {
    /// Uses a directory, which is made where there is none.
    ///
    /// # Errors
    /// The system's.
    pub fn open(path: &Path) -> io::Result<Self> {
        fs::create_dir_all(path)?;
        Ok(Self {
            path: path.to_owned(),
            open: None,
        })
    }

    /// Where it is.
    pub fn path(&self) -> &Path {
        &self.path
    }

    fn file(&mut self, file: u32) -> io::Result<&mut File> {
        if self.open.as_ref().is_none_or(|(open, _)| *open != file) {
            let path = self.path.join(name(file));
            self.open = Some((file, OpenOptions::new().append(true).open(path)?));
        }
        self.open
            .as_mut()
            .map(|(_, file)| file)
            .ok_or_else(|| io::ErrorKind::NotFound.into())
    }
}

impl Files for Directory {
    fn list(&mut self) -> io::Result<Vec<u32>> {
        let mut numbers = Vec::new();
        for entry in fs::read_dir(&self.path)? {
            let name = entry?.file_name();
            numbers.extend(name.to_str().and_then(number));
        }
        numbers.sort_unstable();
        Ok(numbers)
    }

    fn read(&mut self, file: u32) -> io::Result<Vec<u8>> {
        fs::read(self.path.join(name(file)))
    }

    fn create(&mut self, file: u32) -> io::Result<()> {
        let created = OpenOptions::new()
            .create(true)
            .write(true)
            .truncate(true)
            .mode(0o600)
            .open(self.path.join(name(file)));
        // Opened again for appending only.
        drop(created?);
        self.file(file).map(drop)
    }

    fn append(&mut self, file: u32, octets: &[u8]) -> io::Result<()> {
        self.file(file)?.write_all(octets)
    }

    fn truncate(&mut self, file: u32, length: u64) -> io::Result<()> {
        self.file(file)?.set_len(length)
    }

    fn sync(&mut self, file: u32) -> io::Result<()> {
        self.file(file)?.sync_data()
    }

    fn remove(&mut self, file: u32) -> io::Result<()> {
        if self.open.as_ref().is_some_and(|(open, _)| *open == file) {
            self.open = None;
        }
        fs::remove_file(self.path.join(name(file)))
    }

    fn sync_directory(&mut self) -> io::Result<()> {
        File::open(&self.path)?.sync_all()
    }
}

/// The name of a file.
pub fn name(file: u32) -> String {
    format!("{file:010}.journal")
}

fn number(name: &str) -> Option<u32> {
    let digits = name.strip_suffix(".journal")?;
    let number = digits.parse().ok()?;
    (self::name(number) == name).then_some(number)
}
