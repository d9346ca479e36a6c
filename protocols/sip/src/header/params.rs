//! `*( SEMI generic-param )` of RFC 3261 25.1.

use crate::Why;
use crate::scan::{is_token, quoted_len, split_outside, trim, unescape, unquote};
use std::borrow::Cow;

/// Parameters of a header value: checked once, then searched when asked.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Params<'a> {
    text: &'a str,
}

impl<'a> Params<'a> {
    /// Checks `text`, which is blank or starts with a semicolon.
    pub(crate) fn parse(text: &'a str) -> Result<Params<'a>, Why> {
        let text = trim(text);
        let mut rest = text;
        while let Some(tail) = rest.strip_prefix(';') {
            let (param, next) = split_outside(tail, b';');
            check(param)?;
            rest = match next {
                Some(_) => &tail[param.len()..],
                None => "",
            };
        }
        if rest.is_empty() {
            Ok(Params { text })
        } else {
            Err(Why::Syntax)
        }
    }

    /// Value of the parameter, without the quotes; empty when it stands without value. Names have no case.
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
        self.get(name).is_some()
    }

    /// Name and value of each, the value with its quotes.
    pub fn iter(self) -> impl Iterator<Item = (&'a str, Option<&'a str>)> {
        let mut rest = self.text.strip_prefix(';');
        std::iter::from_fn(move || {
            let (param, next) = split_outside(rest?, b';');
            rest = next;
            Some(match param.split_once('=') {
                Some((name, value)) => (trim(name), Some(trim(value))),
                None => (trim(param), None),
            })
        })
    }

    /// The text, from the first semicolon on.
    pub fn as_str(self) -> &'a str {
        self.text
    }

    /// True without any parameter.
    pub fn is_empty(self) -> bool {
        self.text.is_empty()
    }
}

/// `token [ EQUAL gen-value ]`.
fn check(param: &str) -> Result<(), Why> {
    let Some((name, value)) = param.split_once('=') else {
        return if is_token(trim(param).as_bytes()) {
            Ok(())
        } else {
            Err(Why::Syntax)
        };
    };
    if is_token(trim(name).as_bytes()) && is_value(trim(value)) {
        Ok(())
    } else {
        Err(Why::Syntax)
    }
}

/// A quoted string, a URI in angle brackets (RFC 8224 `info`), or anything visible without delimiters: more
/// than `token / host`, because unquoted addresses, times and base64 are common in P- headers.
pub(crate) fn is_value(value: &str) -> bool {
    let bytes = value.as_bytes();
    match bytes.first() {
        None => false,
        Some(b'"') => quoted_len(bytes) == Some(bytes.len()),
        Some(b'<') => bytes.iter().position(|&byte| byte == b'>') == Some(bytes.len() - 1),
        Some(_) => bytes
            .iter()
            .all(|&byte| byte > b' ' && byte != 0x7f && !b";,\"<>\\".contains(&byte)),
    }
}
