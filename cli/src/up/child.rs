//! A process that is kept running.

use std::io::{BufRead, BufReader, Read, Write};
use std::os::unix::process::{CommandExt, ExitStatusExt};
use std::process::{Child, Command, ExitStatus, Stdio};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread::{self, JoinHandle};
use std::time::{Duration, Instant};

use signal_hook::low_level::signal_name;

use super::screen::Screen;
use crate::failure::Failure;
use crate::process::Order;

/// Wait before the first restart; doubled for each that follows.
const BACKOFF_MIN: Duration = Duration::from_secs(1);
/// Longest wait before a restart.
const BACKOFF_MAX: Duration = Duration::from_secs(30);
/// A child that ran this long has recovered.
const RECOVERED: Duration = Duration::from_secs(60);
/// How long a child may take to stop by itself: control to release its calls and to take leave.
const STOP_LIMIT: Duration = Duration::from_secs(10);
/// How long the last words of a child that ended are waited for.
const LAST_WORDS_LIMIT: Duration = Duration::from_millis(500);
/// Longest line of a child's output that is shown whole.
const LINE_BYTES_MAX: u64 = 8 << 10;

/// One supervised child: a subcommand of this very binary.
pub struct Supervised {
    name: &'static str,
    arguments: Vec<String>,
    screen: Screen,
    state: State,
    backoff: Duration,
    restarts: u32,
}

enum State {
    Running { child: Running, since: Instant },
    Waiting { until: Instant },
}

/// A child and what it writes to standard error.
struct Running {
    process: Child,
    errors: Option<JoinHandle<()>>,
    last_line: Arc<Mutex<String>>,
}

impl Supervised {
    /// Starts a child.
    ///
    /// # Errors
    /// The system starts no process.
    pub fn start(
        name: &'static str,
        arguments: Vec<String>,
        screen: &Screen,
    ) -> Result<Self, Failure> {
        let child = spawn(name, &arguments, screen)?;
        Ok(Supervised {
            name,
            arguments,
            screen: screen.clone(),
            state: State::Running {
                child,
                since: Instant::now(),
            },
            backoff: BACKOFF_MIN,
            restarts: 0,
        })
    }

    /// How often it had to be started again.
    pub fn restarts(&self) -> u32 {
        self.restarts
    }

    /// How it ended, when it has, in words: status or signal, and what it said last.
    pub fn ended(&mut self) -> Option<String> {
        match &mut self.state {
            State::Running { child, .. } => child.ended(),
            State::Waiting { .. } => None,
        }
    }

    /// Seconds until it is started again, while it waits for that.
    pub fn restarts_in(&self) -> Option<u64> {
        match self.state {
            State::Running { .. } => None,
            State::Waiting { until } => {
                let left = until.saturating_duration_since(Instant::now());
                Some(left.as_secs_f64().ceil() as u64)
            }
        }
    }

    /// Gives it an order.
    pub fn tell(&mut self, order: Order) {
        if let State::Running { child, .. } = &mut self.state
            && let Some(input) = &mut child.process.stdin
        {
            // One that does not listen any more has ended or is about to.
            let _ = writeln!(input, "{}", order.line());
        }
    }

    /// Starts it again when it has ended and its wait is over: call now and then.
    ///
    /// # Errors
    /// The system starts no process.
    pub fn tend(&mut self) -> Result<(), Failure> {
        let now = Instant::now();
        match &mut self.state {
            State::Running { child, since } => {
                let Some(how) = child.ended() else {
                    return Ok(());
                };
                if now.duration_since(*since) >= RECOVERED {
                    self.backoff = BACKOFF_MIN;
                }
                self.screen.line(&format!(
                    "{} {how}; starting it again in {} s",
                    self.name,
                    self.backoff.as_secs()
                ));
                self.state = State::Waiting {
                    until: now + self.backoff,
                };
                self.backoff = (self.backoff * 2).min(BACKOFF_MAX);
            }
            State::Waiting { until } if now >= *until => {
                self.restarts += 1;
                let child = spawn(self.name, &self.arguments, &self.screen)?;
                self.state = State::Running { child, since: now };
            }
            State::Waiting { .. } => {}
        }
        Ok(())
    }

    /// Stops it: its standard input closes, which tells it to finish; a child that does not is
    /// killed.
    pub fn stop(&mut self) {
        let State::Running { child, .. } = &mut self.state else {
            return;
        };
        let child = &mut child.process;
        drop(child.stdin.take());
        let deadline = Instant::now() + STOP_LIMIT;
        while Instant::now() < deadline {
            if !matches!(child.try_wait(), Ok(None)) {
                return;
            }
            thread::sleep(Duration::from_millis(10));
        }
        self.screen
            .line(&format!("{} does not stop and is killed", self.name));
        // It may end by itself between the two calls.
        let _ = child.kill();
        let _ = child.wait();
    }
}

impl Drop for Supervised {
    fn drop(&mut self) {
        self.stop();
    }
}

/// Starts the subcommand `name` of this binary, with its output on the screen.
fn spawn(name: &'static str, arguments: &[String], screen: &Screen) -> Result<Running, Failure> {
    let cannot =
        |fault: std::io::Error| Failure::new(format!("cannot start {name}")).because(fault);
    let program = std::env::current_exe().map_err(cannot)?;
    let mut child = Command::new(program)
        .arg(name)
        .args(arguments)
        .arg("--supervised")
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        // Ctrl-C is for us: we stop the children in order.
        .process_group(0)
        .spawn()
        .map_err(cannot)?;
    let last_line = Arc::default();
    forward(name, child.stdout.take(), screen, &Arc::default()).map_err(cannot)?;
    let errors = forward(name, child.stderr.take(), screen, &last_line).map_err(cannot)?;
    Ok(Running {
        process: child,
        errors,
        last_line,
    })
}

impl Running {
    /// How it ended, when it has.
    fn ended(&mut self) -> Option<String> {
        let status = self.process.try_wait().ok().flatten()?;
        let limit = Instant::now() + LAST_WORDS_LIMIT;
        let is_reading = |errors: &JoinHandle<()>| !errors.is_finished();
        while self.errors.as_ref().is_some_and(is_reading) && Instant::now() < limit {
            thread::sleep(Duration::from_millis(5));
        }
        // A thread that panicked while writing left at worst half a line.
        let last = self
            .last_line
            .lock()
            .unwrap_or_else(PoisonError::into_inner);
        Some(describe(status, &last))
    }
}

/// How a process ended, and its last line.
fn describe(status: ExitStatus, last_line: &str) -> String {
    let how = match (status.code(), status.signal()) {
        (Some(code), _) => format!("ended with exit status {code}"),
        (None, Some(signal)) => match signal_name(signal) {
            Some(name) => format!("was killed by {name}"),
            None => format!("was killed by signal {signal}"),
        },
        (None, None) => format!("ended ({status})"),
    };
    match last_line {
        "" => how,
        line => format!("{how} after \"{line}\""),
    }
}

/// Copies a child's output to the screen, line by line, until it closes; keeps the last line.
fn forward(
    name: &'static str,
    from: Option<impl Read + Send + 'static>,
    screen: &Screen,
    last_line: &Arc<Mutex<String>>,
) -> std::io::Result<Option<JoinHandle<()>>> {
    let Some(from) = from else {
        return Ok(None);
    };
    let screen = screen.clone();
    let last_line = Arc::clone(last_line);
    let copy = move || {
        let mut from = BufReader::new(from);
        let mut line = Vec::new();
        loop {
            line.clear();
            match (&mut from)
                .take(LINE_BYTES_MAX)
                .read_until(b'\n', &mut line)
            {
                Ok(0) | Err(_) => return,
                Ok(_) => {
                    let text = String::from_utf8_lossy(&line);
                    let text = text.trim_end();
                    screen.line(&format!("{name:>7} │ {text}"));
                    if !text.is_empty() {
                        let mut last = last_line.lock().unwrap_or_else(PoisonError::into_inner);
                        text.clone_into(&mut last);
                    }
                }
            }
        }
    };
    thread::Builder::new()
        .name(format!("{name} log"))
        .spawn(copy)
        .map(Some)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_end_is_told_by_its_cause_and_the_last_words() {
        let exit = |code: i32| ExitStatus::from_raw(code << 8);
        assert_eq!(
            describe(exit(1), "error: no port"),
            "ended with exit status 1 after \"error: no port\""
        );
        assert_eq!(describe(exit(0), ""), "ended with exit status 0");
        assert_eq!(
            describe(ExitStatus::from_raw(9), ""),
            "was killed by SIGKILL"
        );
        assert_eq!(
            describe(ExitStatus::from_raw(40), ""),
            "was killed by signal 40"
        );
    }
}
