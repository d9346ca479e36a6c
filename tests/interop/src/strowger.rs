//! Our own processes, from the same build as the test.

use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::sync::OnceLock;
use std::time::{Duration, Instant, SystemTime};

use serde_json::Value;

use crate::{Folder, Namespace, Process, Run};

const START_LIMIT: Duration = Duration::from_secs(60);
const COMMAND_LIMIT: Duration = Duration::from_secs(60);

/// Folders that the binary is built from, from the root of the checkout.
const SOURCES: [&str; 9] = [
    "bench",
    "cli",
    "codecs",
    "control",
    "dataplane",
    "mrfp",
    "protocols",
    "trgw",
    "usrsctp",
];

static BINARY: OnceLock<PathBuf> = OnceLock::new();

/// The path of the `strowger` binary, built when a source is newer.
///
/// A test run of the whole workspace has built it already, with its own choice of features; to
/// build it again for itself would take a minute and change nothing.
pub fn binary() -> &'static Path {
    BINARY.get_or_init(|| {
        // A test binary is TARGET/PROFILE/deps/NAME, what cargo builds for users one up.
        let this = std::env::current_exe().expect("a program has a path");
        let folder = this.parent().expect("a program lies in a target folder");
        let profile = folder
            .parent()
            .filter(|_| folder.ends_with("deps"))
            .unwrap_or(folder);
        let binary = profile.join("strowger");
        if is_stale(&binary) {
            build(profile);
        }
        binary
    })
}

/// Has [`binary`] be this one, whatever its age: to measure what was built before.
///
/// Without effect once [`binary`] was asked for.
pub fn use_binary(path: PathBuf) {
    let _ = BINARY.set(path);
}

fn is_stale(binary: &Path) -> bool {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("../..");
    let built = std::fs::metadata(binary).and_then(|about| about.modified());
    let Ok(built) = built else {
        return true;
    };
    SOURCES
        .iter()
        .filter_map(|folder| newest(&root.join(folder)))
        .any(|source| source > built)
}

/// When the youngest source below a folder was written.
fn newest(folder: &Path) -> Option<SystemTime> {
    let mut open = vec![folder.to_owned()];
    let mut newest = None;
    while let Some(folder) = open.pop() {
        for entry in std::fs::read_dir(folder).into_iter().flatten().flatten() {
            let path = entry.path();
            if path.is_dir() {
                open.push(path);
            } else if path
                .extension()
                .is_some_and(|kind| kind == "rs" || kind == "toml")
            {
                let written = entry.metadata().and_then(|about| about.modified()).ok();
                newest = newest.max(written);
            }
        }
    }
    newest
}

fn build(profile: &Path) {
    let mut cargo = Command::new(std::env::var("CARGO").unwrap_or_else(|_| "cargo".into()));
    cargo.args(["build", "--quiet", "--package", "strowger"]);
    if cfg!(feature = "dpdk") {
        cargo.args(["--features", "strowger/dpdk"]);
    }
    cargo
        .arg("--target-dir")
        .arg(profile.parent().expect("a target folder has a parent"));
    if profile.ends_with("release") {
        cargo.arg("--release");
    }
    let status = cargo
        .current_dir(env!("CARGO_MANIFEST_DIR"))
        .stdin(Stdio::null())
        .status();
    assert!(
        status.is_ok_and(|status| status.success()),
        "cargo cannot build strowger"
    );
}

/// A command of ours within the namespace.
pub fn command(namespace: &Namespace, arguments: &[&str]) -> Command {
    let mut command = namespace.command(binary().to_str().expect("the path is text"));
    command.args(arguments);
    command
}

/// Runs a command of ours to its end.
pub fn run(namespace: &Namespace, folder: &Folder, name: &str, arguments: &[&str]) -> Run {
    Process::start(name, &mut command(namespace, arguments), folder.path()).wait(COMMAND_LIMIT)
}

/// Starts `control` or `media` and waits until its admin interface answers.
pub fn start(
    namespace: &Namespace,
    folder: &Folder,
    name: &str,
    admin: &str,
    arguments: &[&str],
) -> Process {
    let arguments = [arguments, &["--admin", admin]].concat();
    let mut process = Process::start(name, &mut command(namespace, &arguments), folder.path());
    wait_until(START_LIMIT, &format!("{name} answers at {admin}"), || {
        assert!(process.is_running(), "{name} ended:\n{}", process.output());
        status(namespace, folder, admin).is_some()
    });
    process
}

/// What a process of ours says of itself, when it answers.
pub fn status(namespace: &Namespace, folder: &Folder, admin: &str) -> Option<Value> {
    let run = run(
        namespace,
        folder,
        "status",
        &["--json", "status", "--admin", admin],
    );
    let answers: Value = serde_json::from_str(&run.output).ok()?;
    let status = answers.get(0)?.clone();
    run.status.success().then_some(status)
}

/// Waits until a condition holds.
pub fn wait_until(limit: Duration, what: &str, mut holds: impl FnMut() -> bool) {
    let deadline = Instant::now() + limit;
    while !holds() {
        assert!(Instant::now() < deadline, "not within {limit:?}: {what}");
        std::thread::sleep(Duration::from_millis(100));
    }
}
