//! Runs Erlang/OTP's megaco application (Debian `erlang-megaco`).

use std::ffi::OsStr;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

const ADVICE: &str = "escript with megaco is needed: apt-get install erlang-base erlang-megaco";

/// Runs a script of this folder and returns what it prints: lines of a name, a tabulator and a
/// verdict.
pub fn run<A: AsRef<OsStr>>(script: &str, arguments: &[A]) -> Vec<(String, String)> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/otp");
    let mut command = Command::new("escript");
    let output = command.arg(folder.join(script)).args(arguments).output();
    let output = output.unwrap_or_else(|error| panic!("{ADVICE} ({error})"));
    let errors = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{ADVICE}\n{errors}");
    let lines = String::from_utf8_lossy(&output.stdout);
    let pair = |line: &str| {
        let (name, verdict) = line.split_once('\t').expect(line);
        (name.to_owned(), verdict.to_owned())
    };
    lines.lines().map(pair).collect()
}

/// A directory for this test, empty.
pub fn scratch(name: &str) -> PathBuf {
    let directory = Path::new(env!("CARGO_TARGET_TMPDIR")).join(name);
    let _ = fs::remove_dir_all(&directory);
    fs::create_dir_all(&directory).unwrap();
    directory
}
