//! Packets of one call that arrive at different workers: whatever a relay does is to be the same.
#![allow(dead_code, reason = "each test uses a part")]

use base::Entropy;
use std::process::Command;

/// Says to a test program that its packets are to be spread.
const SPREAD: &str = "PACKETS_ARE_SPREAD";
/// Workers that they are spread over.
const WORKERS: usize = 3;

/// At which worker a packet arrives.
pub struct Spread(Option<Entropy>);

impl Spread {
    /// All at the first, or as [`run_again`] wants it.
    pub fn new() -> Self {
        Self(is_on().then(|| Entropy::from_u64(23)))
    }

    /// How many workers there are to be, of whom a test needs some.
    pub fn workers(&self, needed: usize) -> usize {
        match self.0 {
            Some(_) => needed.max(WORKERS),
            None => needed,
        }
    }

    /// That of the next packet.
    pub fn next(&mut self, workers: usize) -> usize {
        let next = |entropy: &mut Entropy| entropy.below(workers as u64) as usize;
        self.0.as_mut().map_or(0, next)
    }
}

fn is_on() -> bool {
    std::env::var_os(SPREAD).is_some()
}

/// Runs every test of this program but `this` with the packets spread over several workers.
pub fn run_again(this: &str) {
    if is_on() {
        return;
    }
    let program = std::env::current_exe().expect("the test has a name");
    let output = Command::new(program)
        .args(["--skip", this])
        .env(SPREAD, "1")
        .output()
        .expect("it runs");
    let told = String::from_utf8_lossy(&output.stdout);
    assert!(output.status.success(), "{told}");
    assert!(told.contains("1 filtered out"), "{told}");
}
