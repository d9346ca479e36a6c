//! `*( SEMI generic-param )` of RFC 3261 25.1.

use crate::Why;
use crate::scan::{is_blank, is_token_byte, trim, unescape, unquote, value_run};
use std::borrow::Cow;

/// Parameters of a header value: checked once, then searched when asked.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Params<'a> {
    text: &'a str,
}

impl<'a> Params<'a> {
    /// Checks `text`, which is blank or starts with a semicolon.
    ///
    /// # Errors
    /// [`Why::Syntax`].
    pub fn parse(text: &'a str) -> Result<Params<'a>, Why> {
        let text = trim(text);
        let bytes = text.as_bytes();
        let mut at = 0;
        while let Some(&byte) = bytes.get(at) {
            if byte != b';' {
                return Err(Why::Syntax);
            }
            at = param(bytes, at).ok_or(Why::Syntax)?.end;
        }
        Ok(Params { text })
    }

    /// What stands before the first fault.
    pub(crate) fn unchecked(text: &'a str) -> Params<'a> {
        Params { text: trim(text) }
    }

    /// As [`Params::parse`], for a header that starts with its first parameter.
    pub(crate) fn parse_first(text: &'a str) -> Result<Params<'a>, Why> {
        let first = param(text.as_bytes(), 0).ok_or(Why::Syntax)?;
        Params::parse(text.get(first.end..).unwrap_or_default())?;
        Ok(Params { text })
    }

    /// Value of the parameter, without the quotes; empty when it stands without value. Names have
    /// no case.
    pub fn get(self, name: &str) -> Option<&'a str> {
        let (_, value) = self
            .iter()
            .find(|(key, _)| key.eq_ignore_ascii_case(name))?;
        let value = value.unwrap_or_default();
        Some(unquote(value).unwrap_or(value))
    }

    /// As [`Params::get`], with the backslashes of a quoted string removed.
    pub fn get_unescaped(self, name: &str) -> Option<Cow<'a, str>> {
        self.get(name).map(unescape)
    }

    /// True when the parameter stands there, with or without value.
    pub fn contains(self, name: &str) -> bool {
        self.iter().any(|(key, _)| key.eq_ignore_ascii_case(name))
    }

    /// Name and value of each, the value with its quotes.
    pub fn iter(self) -> impl Iterator<Item = (&'a str, Option<&'a str>)> {
        let text = self.text;
        let mut at = 0;
        std::iter::from_fn(move || {
            let param = param(text.as_bytes(), at)?;
            at = param.end;
            let value = param.value.map(|(from, to)| &text[from..to]);
            Some((&text[param.name.0..param.name.1], value))
        })
    }

    /// The text, its first semicolon included.
    pub fn as_str(self) -> &'a str {
        self.text
    }

    /// True without any parameter.
    pub fn is_empty(self) -> bool {
        self.text.is_empty()
    }
}

/// Where a parameter stands: from and to.
struct Param {
    name: (usize, usize),
    value: Option<(usize, usize)>,
    /// After it and the blanks that follow.
    end: usize,
}

/// `[ SEMI ] token [ EQUAL gen-value ]` at `at`.
#[inline]
fn param(bytes: &[u8], at: usize) -> Option<Param> {
    let after_blanks = |mut at: usize| {
        while at < bytes.len() && is_blank(bytes[at]) {
            at += 1;
        }
        at
    };
    let semicolon = usize::from(bytes.get(at) == Some(&b';'));
    let from = after_blanks(at + semicolon);
    let mut to = from;
    while to < bytes.len() && is_token_byte(bytes[to]) {
        to += 1;
    }
    if to == from {
        return None;
    }
    let name = (from, to);
    let end = after_blanks(to);
    if bytes.get(end) != Some(&b'=') {
        let value = None;
        return Some(Param { name, value, end });
    }
    let from = after_blanks(end + 1);
    let to = from + value_run(bytes.get(from..)?);
    if to == from {
        return None;
    }
    Some(Param {
        name,
        value: Some((from, to)),
        end: after_blanks(to),
    })
}
