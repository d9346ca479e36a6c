//! Values that remember how they were spelt.

use std::fmt;
use std::ops::{Deref, DerefMut};

use crate::write::{Sink, Written};

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

impl<T> Verbatim<T> {
    pub(crate) fn parsed(value: T, text: &str) -> Self
    where
        T: Written,
    {
        let spelling = (!value.is_written_as(text)).then(|| text.into());
        Self { value, spelling }
    }
}

impl<T: Written> Written for Verbatim<T> {
    fn write(&self, out: &mut impl Sink) {
        match &self.spelling {
            Some(text) => out.text(text),
            None => self.value.write(out),
        }
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
