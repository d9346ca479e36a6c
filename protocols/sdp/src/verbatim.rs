//! Values that remember how they were spelt.

use std::fmt::{self, Write};
use std::ops::{Deref, DerefMut};

/// A parsed value together with its original spelling where that is not the one [`fmt::Display`]
/// gives.
///
/// Reading goes to the value. Borrowing it mutably forgets the spelling, so that what was not
/// touched is written as it came and what was touched is written afresh.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Verbatim<T> {
    value: T,
    spelling: Option<Box<str>>,
}

impl<T: fmt::Display> Verbatim<T> {
    pub(crate) fn parsed(value: T, text: &str) -> Self {
        let mut rest = Rest(text);
        let as_written = write!(rest, "{value}").is_ok() && rest.0.is_empty();
        let spelling = (!as_written).then(|| text.into());
        Self { value, spelling }
    }
}

/// What is left of a text of which all that was written so far was the beginning.
struct Rest<'a>(&'a str);

impl fmt::Write for Rest<'_> {
    fn write_str(&mut self, text: &str) -> fmt::Result {
        self.0 = self.0.strip_prefix(text).ok_or(fmt::Error)?;
        Ok(())
    }
}

impl<T> From<T> for Verbatim<T> {
    fn from(value: T) -> Self {
        Self {
            value,
            spelling: None,
        }
    }
}

impl<T> Deref for Verbatim<T> {
    type Target = T;

    fn deref(&self) -> &T {
        &self.value
    }
}

impl<T> DerefMut for Verbatim<T> {
    fn deref_mut(&mut self) -> &mut T {
        self.spelling = None;
        &mut self.value
    }
}

impl<T: fmt::Display> fmt::Display for Verbatim<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.spelling {
            Some(text) => f.write_str(text),
            None => self.value.fmt(f),
        }
    }
}
