//! Figures as a table and as JSON.

use std::fs;
use std::path::Path;
use std::process::ExitCode;

use rustix::process::setpriority_process;
use rustix::thread::{CpuSet, sched_setaffinity};
use serde::Serialize;

/// One figure.
#[derive(Clone, Debug, Serialize)]
pub struct Figure {
    /// What it is of.
    pub what: String,
    /// Its value.
    pub value: f64,
    /// Its unit.
    pub unit: &'static str,
}

/// Keeps the calling thread on one core, before what else wants it.
pub fn pin(core: usize) {
    let mut set = CpuSet::new();
    set.set(core);
    if let Err(fault) = sched_setaffinity(None, &set) {
        eprintln!("not pinned to core {core}: {fault}");
    }
    if let Err(fault) = setpriority_process(None, -15) {
        eprintln!("not before others: {fault}");
    }
}

/// Prints figures, and writes them where asked.
pub fn show(name: &str, figures: &[Figure], json: Option<&Path>) -> ExitCode {
    println!("{name}");
    for figure in figures {
        println!("  {:44} {:12.1} {}", figure.what, figure.value, figure.unit);
    }
    let Some(path) = json else {
        return ExitCode::SUCCESS;
    };
    let text = serde_json::to_string_pretty(figures).expect("it is plain data");
    match fs::write(path, text + "\n") {
        Ok(()) => ExitCode::SUCCESS,
        Err(fault) => {
            eprintln!("cannot write {}: {fault}", path.display());
            ExitCode::FAILURE
        }
    }
}
