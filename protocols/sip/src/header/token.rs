//! Headers that are a token with parameters: Event, Subscription-State, Reason, Content-Type.

use super::Params;
use super::numbers::with_params;
use crate::Why;
use crate::scan::{is_token, is_word, split_once, trim};

/// A token with parameters: Event, Subscription-State, Reason, Content-Disposition, an access type.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct TokenParams<'a> {
    /// The token.
    pub token: &'a str,
    /// Its parameters.
    pub params: Params<'a>,
}

impl<'a> TokenParams<'a> {
    /// Parses one value.
    ///
    /// # Errors
    /// [`Why::Syntax`].
    pub fn parse(text: &'a str) -> Result<TokenParams<'a>, Why> {
        let (token, params) = with_params(text)?;
        if is_token(token.as_bytes()) {
            Ok(TokenParams { token, params })
        } else {
            Err(Why::Syntax)
        }
    }
}

/// Content-Type, RFC 3261 20.15.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ContentType<'a> {
    /// `application`.
    pub main: &'a str,
    /// `sdp`.
    pub sub: &'a str,
    /// Parameters.
    pub params: Params<'a>,
}

impl<'a> ContentType<'a> {
    /// Parses the value.
    ///
    /// # Errors
    /// [`Why::Syntax`].
    pub fn parse(text: &'a str) -> Result<ContentType<'a>, Why> {
        let (media, params) = with_params(text)?;
        let (main, sub) = media.split_once('/').ok_or(Why::Syntax)?;
        let (main, sub) = (trim(main), trim(sub));
        if is_token(main.as_bytes()) && is_token(sub.as_bytes()) {
            Ok(ContentType { main, sub, params })
        } else {
            Err(Why::Syntax)
        }
    }

    /// True when the type is `main/sub`, whatever the case.
    pub fn is(&self, main: &str, sub: &str) -> bool {
        self.main.eq_ignore_ascii_case(main) && self.sub.eq_ignore_ascii_case(sub)
    }
}

/// Call-ID: `word [ "@" word ]`, RFC 3261 20.8.
pub(crate) fn call_id(text: &str) -> Result<&str, Why> {
    let (left, right) = split_once(text, b'@').unwrap_or((text, "x"));
    let good = is_word(left.as_bytes()) && is_word(right.as_bytes());
    if good { Ok(text) } else { Err(Why::Syntax) }
}
