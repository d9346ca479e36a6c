//! What the tests of several modules need.

use std::fs;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU32, Ordering};

use crate::wav::{Coding, Writer};

/// An empty folder of one test, removed after it.
pub(crate) struct Scratch(PathBuf);

impl Scratch {
    pub(crate) fn new() -> Self {
        static NEXT: AtomicU32 = AtomicU32::new(0);
        let number = NEXT.fetch_add(1, Ordering::Relaxed);
        let name = format!("audio-{}-{number}", std::process::id());
        let path = std::env::temp_dir().join(name);
        fs::create_dir_all(&path).expect("a folder in the temporary folder");
        Self(path)
    }

    pub(crate) fn path(&self) -> &Path {
        &self.0
    }
}

impl Drop for Scratch {
    fn drop(&mut self) {
        let _ = fs::remove_dir_all(&self.0);
    }
}

/// A file of `samples` at `rate`.
pub(crate) fn wav(rate: u32, samples: &[i16]) -> Vec<u8> {
    let writer = Writer::new(Coding::Linear16, rate, 1).expect("one track is allowed");
    let mut octets = writer.header((samples.len() * 2) as u32);
    writer.samples(samples, &mut octets);
    octets
}
