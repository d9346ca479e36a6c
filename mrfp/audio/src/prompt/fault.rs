//! What is wrong with a file of prompts, told so that it can be mended.

use std::fmt;
use std::ops::Range;
use std::path::{Path, PathBuf};

/// A fault in the manifest, a language or a file of prompts.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PromptFault {
    /// The file.
    pub file: PathBuf,
    /// Its line from 1; 0 for the file as a whole.
    pub line: usize,
    /// What is wrong.
    pub fault: String,
    /// What mends it.
    pub remedy: String,
}

impl fmt::Display for PromptFault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", self.file.display())?;
        if self.line > 0 {
            write!(f, ":{}", self.line)?;
        }
        write!(f, ": {}; {}", self.fault, self.remedy)
    }
}

impl std::error::Error for PromptFault {}

/// A file of text that faults are found in.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Text<'a> {
    pub(crate) file: &'a Path,
    pub(crate) text: &'a str,
}

impl Text<'_> {
    /// A fault at a place in the text.
    pub(crate) fn at(
        &self,
        span: Range<usize>,
        fault: impl Into<String>,
        remedy: impl Into<String>,
    ) -> PromptFault {
        let before = self.text.get(..span.start).unwrap_or(self.text);
        let line = before.bytes().filter(|octet| *octet == b'\n').count() + 1;
        self.line(line, fault, remedy)
    }

    /// A fault in a line.
    pub(crate) fn line(
        &self,
        line: usize,
        fault: impl Into<String>,
        remedy: impl Into<String>,
    ) -> PromptFault {
        PromptFault {
            file: self.file.to_owned(),
            line,
            fault: fault.into(),
            remedy: remedy.into(),
        }
    }

    /// What the TOML parser says.
    pub(crate) fn toml(&self, error: &toml::de::Error) -> PromptFault {
        let span = error.span().unwrap_or(0..0);
        let fault = error.message().trim().replace('\n', ", ");
        self.at(span, fault, "its form stands in docs/prompts.md")
    }
}
