//! Challenges and credentials: WWW-Authenticate, Authorization and their Proxy- forms,
//! Authentication-Info.

use crate::Why;
use crate::scan::{is_token, split_outside, trim, unescape, unquote, value_run};
use std::borrow::Cow;

/// Scheme and parameters of a challenge or of credentials (RFC 3261 20.44, 20.7, RFC 7616 3).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct AuthParams<'a> {
    /// `Digest`; empty for Authentication-Info, which has none.
    pub scheme: &'a str,
    text: &'a str,
}

impl<'a> AuthParams<'a> {
    /// Parses a whole field line: its commas separate parameters, not values (RFC 3261 7.3.1).
    ///
    /// # Errors
    /// [`Why::Syntax`].
    pub fn parse(text: &'a str) -> Result<AuthParams<'a>, Why> {
        let text = trim(text);
        let (scheme, rest) = text.split_once([' ', '\t']).unwrap_or((text, ""));
        if !is_token(scheme.as_bytes()) {
            return Err(Why::Syntax);
        }
        AuthParams::checked(scheme, trim(rest))
    }

    /// Parses the parameters of Authentication-Info.
    ///
    /// # Errors
    /// [`Why::Syntax`].
    pub fn parse_info(text: &'a str) -> Result<AuthParams<'a>, Why> {
        AuthParams::checked("", trim(text))
    }

    fn checked(scheme: &'a str, text: &'a str) -> Result<AuthParams<'a>, Why> {
        let auth = AuthParams { scheme, text };
        let good = |(name, value): (&str, &str)| {
            is_token(name.as_bytes())
                && value_run(value.as_bytes()) == value.len()
                && !value.is_empty()
        };
        if text.is_empty() || auth.iter().all(good) {
            Ok(auth)
        } else {
            Err(Why::Syntax)
        }
    }

    /// True for the scheme Digest.
    pub fn is_digest(self) -> bool {
        self.scheme.eq_ignore_ascii_case("Digest")
    }

    /// Value of the parameter, without quotes and backslashes. Names have no case.
    pub fn get(self, name: &str) -> Option<Cow<'a, str>> {
        let (_, value) = self
            .iter()
            .find(|(key, _)| key.eq_ignore_ascii_case(name))?;
        Some(match unquote(value) {
            Some(inner) => unescape(inner),
            None => value.into(),
        })
    }

    /// Name and value of each, the value with its quotes.
    pub fn iter(self) -> impl Iterator<Item = (&'a str, &'a str)> {
        let mut rest = Some(self.text).filter(|text| !text.is_empty());
        std::iter::from_fn(move || {
            let (param, next) = split_outside(rest?, b',');
            rest = next;
            let (name, value) = param.split_once('=').unwrap_or((param, ""));
            Some((trim(name), trim(value)))
        })
    }
}
