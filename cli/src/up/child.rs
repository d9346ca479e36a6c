//! A process that is kept running.

use std::io::{BufRead, BufReader, Read};
use std::os::unix::process::CommandExt;
use std::process::{Child, Command, ExitStatus, Stdio};
use std::thread;
use std::time::{Duration, Instant};

use super::screen::Screen;
use crate::failure::Failure;

/// Wait before the first restart; doubled for each that follows.
const BACKOFF_MIN: Duration = Duration::from_secs(1);
/// Longest wait before a restart.
const BACKOFF_MAX: Duration = Duration::from_secs(30);
/// A child that ran this long has recovered.
const RECOVERED: Duration = Duration::from_secs(60);
/// How long a child may take to stop by itself.
const STOP_LIMIT: Duration = Duration::from_secs(5);
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
    Running { child: Child, since: Instant },
    Waiting { until: Instant },
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

    /// How it ended, when it has.
    pub fn ended(&mut self) -> Option<ExitStatus> {
        match &mut self.state {
            State::Running { child, .. } => child.try_wait().ok().flatten(),
            State::Waiting { .. } => None,
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
                let Some(status) = child.try_wait().ok().flatten() else {
                    return Ok(());
                };
                if now.duration_since(*since) >= RECOVERED {
                    self.backoff = BACKOFF_MIN;
                }
                self.screen.line(&format!(
                    "{} ended ({status}); starting it again in {} s",
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
fn spawn(name: &'static str, arguments: &[String], screen: &Screen) -> Result<Child, Failure> {
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
    forward(name, child.stdout.take(), screen).map_err(cannot)?;
    forward(name, child.stderr.take(), screen).map_err(cannot)?;
    Ok(child)
}

/// Copies a child's output to the screen, line by line, until it closes.
fn forward(
    name: &'static str,
    from: Option<impl Read + Send + 'static>,
    screen: &Screen,
) -> std::io::Result<()> {
    let Some(from) = from else {
        return Ok(());
    };
    let screen = screen.clone();
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
                    screen.line(&format!("{name:>7} │ {}", text.trim_end()));
                }
            }
        }
    };
    thread::Builder::new()
        .name(format!("{name} log"))
        .spawn(copy)
        .map(drop)
}
