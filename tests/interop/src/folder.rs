//! A working folder of one test.

use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU32, Ordering};

static COUNT: AtomicU32 = AtomicU32::new(0);

/// A folder for logs and captures, removed when the test passes and kept, with a word about where,
/// when it fails.
#[derive(Debug)]
pub struct Folder {
    path: PathBuf,
}

impl Folder {
    /// A fresh folder under the system's one for temporary files.
    #[expect(
        clippy::new_without_default,
        reason = "it makes a folder, which is no default value"
    )]
    pub fn new() -> Self {
        let count = COUNT.fetch_add(1, Ordering::Relaxed);
        let name = format!("strowger-interop-{}-{count}", std::process::id());
        let path = std::env::temp_dir().join(name);
        std::fs::create_dir_all(&path)
            .unwrap_or_else(|fault| panic!("cannot make {}: {fault}", path.display()));
        Folder { path }
    }

    /// Where it is.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// A file in it.
    pub fn file(&self, name: &str) -> PathBuf {
        self.path.join(name)
    }

    /// Writes a file in it.
    pub fn write(&self, name: &str, content: impl AsRef<[u8]>) -> PathBuf {
        let file = self.file(name);
        std::fs::write(&file, content)
            .unwrap_or_else(|fault| panic!("cannot write {}: {fault}", file.display()));
        file
    }
}

impl Drop for Folder {
    fn drop(&mut self) {
        if std::thread::panicking() {
            eprintln!("logs and captures are kept in {}", self.path.display());
        } else {
            // What cannot be removed stays for the system's own sweep.
            let _ = std::fs::remove_dir_all(&self.path);
        }
    }
}
