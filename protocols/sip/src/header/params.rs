//! `*( SEMI generic-param )` of RFC 3261 25.1.

use crate::Why;
use crate::scan::{blank_run, token_run, trim, unescape, unquote, value_run};
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
        let mut rest = text;
        while !rest.is_empty() {
            if !rest.starts_with(';') {
                return Err(Why::Syntax);
            }
            (_, rest) = next(rest).ok_or(Why::Syntax)?;
        }
        Ok(Params { text })
    }

    /// As [`Params::parse`], for a header that starts with its first parameter.
    pub(crate) fn parse_first(text: &'a str) -> Result<Params<'a>, Why> {
        let (_, rest) = next(text).ok_or(Why::Syntax)?;
        Params::parse(rest)?;
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
        let mut rest = self.text;
        std::iter::from_fn(move || {
            let (param, tail) = next(rest)?;
            rest = tail;
            Some(param)
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

type Param<'a> = (&'a str, Option<&'a str>);

/// `[ SEMI ] token [ EQUAL gen-value ]` and what follows it.
fn next(text: &str) -> Option<(Param<'_>, &str)> {
    let bytes = text.as_bytes();
    let semicolon = usize::from(bytes.first() == Some(&b';'));
    let name = semicolon + blank_run(&bytes[semicolon..]);
    let name_end = name + token_run(&bytes[name..]);
    if name_end == name {
        return None;
    }
    let end = name_end + blank_run(&bytes[name_end..]);
    if bytes.get(end) != Some(&b'=') {
        return Some(((&text[name..name_end], None), &text[end..]));
    }
    let value = end + 1 + blank_run(&bytes[end + 1..]);
    let value_end = value + value_run(&bytes[value..]);
    if value_end == value {
        return None;
    }
    let end = value_end + blank_run(&bytes[value_end..]);
    Some((
        (&text[name..name_end], Some(&text[value..value_end])),
        &text[end..],
    ))
}
