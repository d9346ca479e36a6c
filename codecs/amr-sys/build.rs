//! Links opencore-amr and vo-amrwbenc, statically: the archives of Debian's packages.

use std::path::{Path, PathBuf};
use std::process::Command;

/// Library, and the package that has it.
const LIBRARIES: [(&str, &str); 3] = [
    ("opencore-amrnb", "libopencore-amrnb-dev"),
    ("opencore-amrwb", "libopencore-amrwb-dev"),
    ("vo-amrwbenc", "libvo-amrwbenc-dev"),
];

fn main() {
    println!("cargo::rerun-if-changed=build.rs");
    for (library, package) in LIBRARIES {
        let archive = find(library, package);
        println!("cargo::rerun-if-changed={}", archive.display());
        let folder = archive.parent().unwrap_or(Path::new("."));
        println!("cargo::rustc-link-search=native={}", folder.display());
        println!("cargo::rustc-link-lib=static={library}");
    }
}

/// The archive, where the C compiler finds it.
fn find(library: &str, package: &str) -> PathBuf {
    let compiler = std::env::var("CC").unwrap_or_else(|_| "cc".to_owned());
    let run = Command::new(&compiler)
        .arg(format!("-print-file-name=lib{library}.a"))
        .output()
        .unwrap_or_else(|fault| panic!("cannot run {compiler}: {fault}; apt-get install gcc"));
    let path = PathBuf::from(String::from_utf8_lossy(&run.stdout).trim());
    // What it does not find the compiler prints as it was asked.
    assert!(
        path.is_absolute(),
        "lib{library}.a is not there: apt-get install {package}, or build without the feature `amr`"
    );
    path
}
