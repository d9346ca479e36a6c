//! Links libopus, statically: the archive of Debian's `libopus-dev`.

use std::path::{Path, PathBuf};
use std::process::Command;

fn main() {
    println!("cargo::rerun-if-changed=build.rs");
    let archive = find();
    println!("cargo::rerun-if-changed={}", archive.display());
    let folder = archive.parent().unwrap_or(Path::new("."));
    println!("cargo::rustc-link-search=native={}", folder.display());
    println!("cargo::rustc-link-lib=static=opus");
    println!("cargo::rustc-link-lib=m");
}

/// The archive, where the C compiler finds it.
fn find() -> PathBuf {
    let compiler = std::env::var("CC").unwrap_or_else(|_| "cc".to_owned());
    let run = Command::new(&compiler)
        .arg("-print-file-name=libopus.a")
        .output()
        .unwrap_or_else(|fault| panic!("cannot run {compiler}: {fault}; apt-get install gcc"));
    let path = PathBuf::from(String::from_utf8_lossy(&run.stdout).trim());
    // What it does not find the compiler prints as it was asked.
    assert!(
        path.is_absolute(),
        "libopus.a is not there: apt-get install libopus-dev, or build without the feature `opus`"
    );
    path
}
