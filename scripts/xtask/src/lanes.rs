//! `cargo test` with its programs in two lanes: those with real counterparts mostly wait, and what
//! needs the processor runs meanwhile. What leaves no processor to others comes behind, alone.

use std::collections::VecDeque;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::sync::Mutex;
use std::thread;

use serde_json::Value;

/// Programs at a time. Each has as many threads as there are processors.
const LANES: usize = 2;
/// Where the tests are that wait most of the time: they begin first.
const WAITING: [&str; 2] = ["tests/interop", "bench/measure"];

/// Tests that flood the machine, so that what else runs may not get on for seconds.
const FLOODING: [&str; 1] = ["tests/interop/tests/af_xdp_kill.rs"];

/// A test program.
struct Program {
    executable: PathBuf,
    /// The folder of its crate, in which it runs.
    folder: PathBuf,
    /// Its source, from the root of the checkout.
    source: String,
}

/// Builds and runs every test of the workspace: `options` go to cargo, `filters` to each program.
///
/// # Errors
/// What could not be built or started, or how many programs failed.
pub fn run(root: &Path, options: &[String], filters: &[String]) -> Result<(), String> {
    let mut programs = build(root, options)?;
    programs.sort_by_key(|program| (!waits(&program.source), program.source.clone()));
    // What was built is gigabytes: until they are on the disk, processes under test that have
    // records written there wait behind them.
    run_sync()?;
    let (alone, others): (Vec<_>, Vec<_>) = programs
        .into_iter()
        .partition(|program| FLOODING.contains(&program.source.as_str()));
    let mut failed = run_in(LANES, others, filters);
    failed.extend(run_in(1, alone, filters));
    let documentation = cargo(root)
        .args(["test", "--locked", "--workspace", "--doc", "--no-fail-fast"])
        .args(options)
        .arg("--")
        .args(filters)
        .status()
        .map_err(|fault| format!("cargo: {fault}"))?;
    if !documentation.success() {
        failed.push("documentation".to_owned());
    }
    match failed.is_empty() {
        true => Ok(()),
        false => Err(format!("failed: {}", failed.join(", "))),
    }
}

fn run_sync() -> Result<(), String> {
    let run = Command::new("sync").status();
    let run = run.map_err(|fault| format!("sync: {fault}"))?;
    run.success().then_some(()).ok_or("sync failed".to_owned())
}

/// Runs programs in so many lanes; returns those that failed.
fn run_in(lanes: usize, programs: Vec<Program>, filters: &[String]) -> Vec<String> {
    let queue = Mutex::new(VecDeque::from(programs));
    let failed = Mutex::new(Vec::new());
    thread::scope(|scope| {
        for _ in 0..lanes {
            scope.spawn(|| {
                while let Some(program) = next(&queue) {
                    if !passes(&program, filters)
                        && let Ok(mut failed) = failed.lock()
                    {
                        failed.push(program.source);
                    }
                }
            });
        }
    });
    failed.into_inner().unwrap_or_default()
}

fn waits(source: &str) -> bool {
    WAITING.iter().any(|folder| source.starts_with(folder))
}

fn next(queue: &Mutex<VecDeque<Program>>) -> Option<Program> {
    queue.lock().ok()?.pop_front()
}

fn cargo(root: &Path) -> Command {
    let mut cargo = Command::new(std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into()));
    cargo.current_dir(root);
    cargo
}

/// Builds the test programs, and finds out what they are.
fn build(root: &Path, options: &[String]) -> Result<Vec<Program>, String> {
    let output = cargo(root)
        .args(["test", "--locked", "--workspace", "--no-run"])
        .arg("--message-format=json-render-diagnostics")
        .args(options)
        .stderr(Stdio::inherit())
        .output()
        .map_err(|fault| format!("cargo: {fault}"))?;
    if !output.status.success() {
        return Err("the tests do not build".to_owned());
    }
    let lines = output.stdout.split(|&octet| octet == b'\n');
    let messages = lines.filter_map(|line| serde_json::from_slice(line).ok());
    let programs: Vec<Program> = messages
        .filter_map(|message: Value| program(root, &message))
        .collect();
    match programs.is_empty() {
        true => Err("cargo tells of no test program".to_owned()),
        false => Ok(programs),
    }
}

/// The test program that a message of cargo tells of.
fn program(root: &Path, message: &Value) -> Option<Program> {
    let is_test = message["profile"]["test"].as_bool() == Some(true);
    let executable = message["executable"].as_str().filter(|_| is_test)?;
    let manifest = Path::new(message["manifest_path"].as_str()?);
    let source = Path::new(message["target"]["src_path"].as_str()?);
    let source = source.strip_prefix(root).unwrap_or(source);
    Some(Program {
        executable: executable.into(),
        folder: manifest.parent()?.to_owned(),
        source: source.display().to_string(),
    })
}

/// Runs one program, and shows what it says when it has ended.
fn passes(program: &Program, filters: &[String]) -> bool {
    let output = Command::new(&program.executable)
        .args(filters)
        .current_dir(&program.folder)
        .env("CARGO_MANIFEST_DIR", &program.folder)
        .stdin(Stdio::null())
        .output();
    let (text, is_good) = match &output {
        Ok(output) => {
            let [out, err] = [&output.stdout, &output.stderr].map(|it| String::from_utf8_lossy(it));
            (format!("{out}{err}"), output.status.success())
        }
        Err(fault) => (format!("it does not start: {fault}\n"), false),
    };
    // In one piece, since two lanes speak.
    println!("\n     Running {}\n{text}", program.source);
    is_good
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn a_program_is_found_in_what_cargo_says() {
        let message = |test: bool| {
            json!({
                "reason": "compiler-artifact",
                "manifest_path": "/house/tests/interop/Cargo.toml",
                "target": { "src_path": "/house/tests/interop/tests/calls.rs" },
                "profile": { "test": test },
                "executable": "/house/target/debug/deps/calls-1",
            })
        };
        let root = Path::new("/house");
        let found = program(root, &message(true)).unwrap();
        assert_eq!(found.source, "tests/interop/tests/calls.rs");
        assert_eq!(found.folder, Path::new("/house/tests/interop"));
        assert!(waits(&found.source));
        assert!(program(root, &message(false)).is_none(), "an example");
        assert!(program(root, &json!({ "reason": "build-finished" })).is_none());
    }
}
