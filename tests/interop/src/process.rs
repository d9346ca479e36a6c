//! Processes that cannot outlive their test or their time.

use std::fs::File;
use std::io::Write;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Stdio};
use std::thread;
use std::time::{Duration, Instant};

/// How often a condition is looked at.
const POLL: Duration = Duration::from_millis(20);

/// A running process with its output in a file. Killed on drop.
#[derive(Debug)]
pub struct Process {
    name: String,
    child: Child,
    log: PathBuf,
}

/// A process that ended.
#[derive(Debug)]
pub struct Run {
    /// How it ended.
    pub status: ExitStatus,
    /// Everything it wrote to standard output and standard error.
    pub output: String,
}

impl Process {
    /// Starts `command`; its output goes to `NAME.log` in `folder`.
    pub fn start(name: &str, command: &mut Command, folder: &Path) -> Self {
        Self::start_with(name, command, folder, Stdio::null())
    }

    /// The same with a pipe to its standard input, which [`Process::close_input`] closes.
    pub fn start_with_input(name: &str, command: &mut Command, folder: &Path) -> Self {
        Self::start_with(name, command, folder, Stdio::piped())
    }

    fn start_with(name: &str, command: &mut Command, folder: &Path, stdin: Stdio) -> Self {
        let log = folder.join(format!("{name}.log"));
        let file = || File::create(&log).and_then(|file| Ok((file.try_clone()?, file)));
        let (stdout, stderr) =
            file().unwrap_or_else(|fault| panic!("cannot write {}: {fault}", log.display()));
        command
            .current_dir(folder)
            .stdin(stdin)
            .stdout(stdout)
            .stderr(stderr);
        let child = command
            .spawn()
            .unwrap_or_else(|fault| panic!("cannot start {name} ({command:?}): {fault}"));
        Process {
            name: name.to_owned(),
            child,
            log,
        }
    }

    /// Writes to the pipe to its standard input.
    pub fn write_input(&mut self, text: &str) {
        let pipe = self.child.stdin.as_mut().expect("started with input");
        pipe.write_all(text.as_bytes())
            .unwrap_or_else(|fault| panic!("{} takes no input: {fault}", self.name));
    }

    /// Closes the pipe to its standard input.
    pub fn close_input(&mut self) {
        drop(self.child.stdin.take());
    }

    /// Its process identifier: `ip`, `setpriv` and the like replace themselves by what they start.
    pub fn id(&self) -> u32 {
        self.child.id()
    }

    /// What it has written so far.
    pub fn output(&self) -> String {
        std::fs::read(&self.log)
            .map(|bytes| String::from_utf8_lossy(&bytes).into_owned())
            .unwrap_or_default()
    }

    /// Waits until it has written `text`.
    ///
    /// Panics with its output when it ends before, or does not write it in time.
    pub fn wait_for(&mut self, text: &str, limit: Duration) {
        let deadline = Instant::now() + limit;
        while !self.output().contains(text) {
            let ended = self.child.try_wait().expect("the child is ours");
            if let Some(status) = ended.filter(|_| !self.output().contains(text)) {
                panic!(
                    "{} ended ({status}) without {text:?}:\n{}",
                    self.name,
                    self.output()
                );
            }
            assert!(
                Instant::now() < deadline,
                "{} did not write {text:?} within {limit:?}:\n{}",
                self.name,
                self.output(),
            );
            thread::sleep(POLL);
        }
    }

    /// Waits until it ends.
    ///
    /// Panics with its output when it does not in time.
    pub fn wait(mut self, limit: Duration) -> Run {
        let deadline = Instant::now() + limit;
        loop {
            if let Some(status) = self.child.try_wait().expect("the child is ours") {
                return Run {
                    status,
                    output: self.output(),
                };
            }
            assert!(
                Instant::now() < deadline,
                "{} did not end within {limit:?}:\n{}",
                self.name,
                self.output(),
            );
            thread::sleep(POLL);
        }
    }

    /// The numbers of its own children.
    pub fn children(&self) -> Vec<u32> {
        let id = self.id();
        let list = std::fs::read_to_string(format!("/proc/{id}/task/{id}/children"));
        let list = list.unwrap_or_default();
        list.split_whitespace()
            .filter_map(|id| id.parse().ok())
            .collect()
    }

    /// Sends it a signal: `TERM`, `KILL`.
    pub fn signal(&self, name: &str) {
        signal(self.id(), name);
    }

    /// Asks it to end (SIGTERM) and waits until it has.
    pub fn stop(self, limit: Duration) -> Run {
        self.signal("TERM");
        self.wait(limit)
    }

    /// Kills it (SIGKILL).
    pub fn kill(&self) {
        let id = i32::try_from(self.child.id()).ok();
        let id = id.and_then(rustix::process::Pid::from_raw);
        // The child is ours and not waited for: its identifier is nobody else's.
        let killed = id.map(|id| rustix::process::kill_process(id, rustix::process::Signal::KILL));
        assert!(
            matches!(killed, Some(Ok(()))),
            "{} cannot be killed",
            self.name
        );
    }

    /// Whether it is still running.
    pub fn is_running(&mut self) -> bool {
        matches!(self.child.try_wait(), Ok(None))
    }
}

/// Sends a signal to a process that a test has started.
pub fn signal(id: u32, name: &str) {
    // A process that is gone already needs no signal.
    let _ = Command::new("kill")
        .args([&format!("-{name}"), &id.to_string()])
        .stderr(Stdio::null())
        .status();
}

impl Drop for Process {
    fn drop(&mut self) {
        if self.is_running() {
            // It may end by itself between the two calls.
            let _ = self.child.kill();
            let _ = self.child.wait();
        }
    }
}

impl Run {
    /// Panics with its output when it did not succeed.
    pub fn expect_success(&self, name: &str) {
        assert!(
            self.status.success(),
            "{name} failed ({}):\n{}",
            self.status,
            self.output
        );
    }
}
