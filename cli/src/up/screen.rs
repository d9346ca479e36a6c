//! The terminal of `strowger up`: logs of the children above, one status line below.

use std::io::{self, IsTerminal, Write};
use std::sync::{Arc, Mutex, PoisonError};

/// A screen that several threads write to.
#[derive(Clone)]
pub struct Screen {
    shared: Arc<Mutex<Shared>>,
}

struct Shared {
    is_terminal: bool,
    status: String,
}

impl Screen {
    /// Standard output.
    pub fn new() -> Self {
        let is_terminal = io::stdout().is_terminal();
        Screen {
            shared: Arc::new(Mutex::new(Shared {
                is_terminal,
                status: String::new(),
            })),
        }
    }

    /// True when somebody watches, so that the status line can be rewritten in place.
    pub fn is_terminal(&self) -> bool {
        self.lock().is_terminal
    }

    /// Writes a line above the status.
    pub fn line(&self, text: &str) {
        let shared = self.lock();
        let mut out = io::stdout().lock();
        let clear = if shared.is_terminal { "\r\x1b[K" } else { "" };
        // Nobody is left to tell when standard output is gone.
        let _ = write!(out, "{clear}{text}\n{}", shared.status).and_then(|()| out.flush());
    }

    /// Replaces the status: in place on a terminal, as a line elsewhere.
    pub fn status(&self, text: &str) {
        if !self.is_terminal() {
            if !text.is_empty() {
                self.line(text);
            }
            return;
        }
        let mut shared = self.lock();
        shared.status = text.to_owned();
        let mut out = io::stdout().lock();
        let _ = write!(out, "\r\x1b[K{text}").and_then(|()| out.flush());
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, Shared> {
        // A thread that panicked while writing left at worst a torn line.
        self.shared.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
