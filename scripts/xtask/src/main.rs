//! House rules as a program.
//!
//! `cargo xtask deps` proves the crate graph; `cargo xtask tidy` reads every tracked file for the
//! habits that no compiler checks. Both also run as tests of this crate. `cargo xtask test` runs
//! all tests in less time than `cargo test` does; `cargo xtask instructions` counts what those
//! operations take that are promised to be fast.

mod deps;
mod instructions;
mod lanes;
mod source;
mod tidy;

use std::path::{Path, PathBuf};
use std::process::{Command, ExitCode};

const USAGE: &str = "usage: cargo xtask deps|tidy
       cargo xtask test [OPTION OF CARGO ...] [-- FILTER ...]
       cargo xtask instructions [record]

  deps   the dependencies between our crates are those the design allows
  tidy   lines, words, file and function lengths, clocks, crate documentation
  test   every test of the workspace, its programs in two lanes, those that flood the machine alone
  instructions
         what is promised to be fast takes no more instructions than recorded, or records it";

/// One broken rule: where, what, and what to do about it.
struct Finding {
    place: String,
    fault: String,
    /// A warning is printed and does not fail the run.
    warning: bool,
}

impl Finding {
    fn error(place: impl Into<String>, fault: impl Into<String>) -> Self {
        Finding {
            place: place.into(),
            fault: fault.into(),
            warning: false,
        }
    }

    fn warning(place: impl Into<String>, fault: impl Into<String>) -> Self {
        Finding {
            place: place.into(),
            fault: fault.into(),
            warning: true,
        }
    }
}

fn main() -> ExitCode {
    let task = std::env::args().nth(1).unwrap_or_default();
    let outcome = match task.as_str() {
        "deps" => deps::check(&root()),
        "tidy" => tidy::check(&root()),
        "test" => return test(),
        "instructions" => return count(),
        _ => {
            eprintln!("{USAGE}");
            return ExitCode::from(2);
        }
    };
    let findings = match outcome {
        Ok(findings) => findings,
        Err(error) => {
            eprintln!("xtask {task}: {error}");
            return ExitCode::FAILURE;
        }
    };
    for finding in &findings {
        let kind = if finding.warning { "warning" } else { "error" };
        eprintln!("{kind}: {}: {}", finding.place, finding.fault);
    }
    let errors = findings.iter().filter(|finding| !finding.warning).count();
    if errors > 0 {
        eprintln!("xtask {task}: {errors} rules broken");
        return ExitCode::FAILURE;
    }
    println!("xtask {task}: all rules kept");
    ExitCode::SUCCESS
}

/// The tests, with what stands behind `--` as filters.
fn test() -> ExitCode {
    let mut options: Vec<String> = std::env::args().skip(2).collect();
    let filters = match options.iter().position(|option| option == "--") {
        Some(place) => options.split_off(place).split_off(1),
        None => Vec::new(),
    };
    match lanes::run(&root(), &options, &filters) {
        Ok(()) => ExitCode::SUCCESS,
        Err(fault) => {
            eprintln!("xtask test: {fault}");
            ExitCode::FAILURE
        }
    }
}

/// The instructions, compared or recorded.
fn count() -> ExitCode {
    let record = match std::env::args().nth(2).as_deref() {
        None => false,
        Some("record") => true,
        Some(_) => {
            eprintln!("{USAGE}");
            return ExitCode::from(2);
        }
    };
    match instructions::run(&root(), record) {
        Ok(()) => ExitCode::SUCCESS,
        Err(fault) => {
            eprintln!("xtask instructions: {fault}");
            ExitCode::FAILURE
        }
    }
}

/// The root of the checkout, from this crate's own place in it.
fn root() -> PathBuf {
    let manifest = Path::new(env!("CARGO_MANIFEST_DIR"));
    manifest
        .ancestors()
        .nth(2)
        .unwrap_or(manifest)
        .to_path_buf()
}

/// Runs a command in `root` and returns its standard output.
fn output(root: &Path, program: &str, arguments: &[&str]) -> Result<Vec<u8>, String> {
    let run = Command::new(program)
        .args(arguments)
        .current_dir(root)
        .output()
        .map_err(|error| format!("cannot run {program}: {error}"))?;
    if !run.status.success() {
        let stderr = String::from_utf8_lossy(&run.stderr);
        return Err(format!(
            "{program} {} failed: {}",
            arguments.join(" "),
            stderr.trim()
        ));
    }
    Ok(run.stdout)
}

#[cfg(test)]
fn assert_kept(findings: Result<Vec<Finding>, String>) {
    let findings = findings.expect("the check ran");
    let broken: Vec<String> = findings
        .iter()
        .filter(|finding| !finding.warning)
        .map(|finding| format!("{}: {}", finding.place, finding.fault))
        .collect();
    assert!(
        broken.is_empty(),
        "{} rules broken:\n{}",
        broken.len(),
        broken.join("\n")
    );
}
