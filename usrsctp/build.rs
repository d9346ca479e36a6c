//! Links libusrsctp, statically, with two of the system calls that it makes led through this crate
//! (see `src/seam.rs`): the archive of Debian's `libusrsctp-dev`, two undefined symbols of it
//! renamed.

use std::path::{Path, PathBuf};
use std::process::Command;

/// What the library calls, and what it is to call instead.
const RENAMED: [&str; 2] = [
    "sendmsg=strowger_usrsctp_sendmsg",
    "socket=strowger_usrsctp_socket",
];

fn main() {
    println!("cargo::rerun-if-changed=build.rs");
    let archive = find();
    println!("cargo::rerun-if-changed={}", archive.display());
    let folder = PathBuf::from(std::env::var_os("OUT_DIR").expect("cargo sets OUT_DIR"));
    rename(&archive, &folder.join("libusrsctp_seam.a"));
    println!("cargo::rustc-link-search=native={}", folder.display());
    println!("cargo::rustc-link-lib=static=usrsctp_seam");
}

/// The archive, where the C compiler finds it.
fn find() -> PathBuf {
    let compiler = std::env::var("CC").unwrap_or_else(|_| "cc".to_owned());
    let run = Command::new(&compiler)
        .arg("-print-file-name=libusrsctp.a")
        .output()
        .unwrap_or_else(|fault| panic!("cannot run {compiler}: {fault}; apt-get install gcc"));
    let path = PathBuf::from(String::from_utf8_lossy(&run.stdout).trim());
    // What it does not find the compiler prints as it was asked.
    assert!(
        path.is_absolute(),
        "libusrsctp.a is not there: apt-get install libusrsctp-dev"
    );
    path
}

fn rename(from: &Path, to: &Path) {
    let mut objcopy = Command::new("objcopy");
    for pair in RENAMED {
        objcopy.args(["--redefine-sym", pair]);
    }
    let run = objcopy.arg(from).arg(to).status();
    let run = run.unwrap_or_else(|fault| {
        panic!("cannot run objcopy: {fault}; apt-get install binutils");
    });
    assert!(run.success(), "objcopy cannot read {}", from.display());
}
