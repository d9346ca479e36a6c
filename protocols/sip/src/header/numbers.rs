//! Headers that are numbers: CSeq, RAck, Session-Expires, Retry-After.

use super::Params;
use crate::scan::{decimal, is_blank, split_outside, trim};
use crate::{Method, Why};

/// CSeq, RFC 3261 20.16.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CSeq {
    /// Sequence number, below 2³¹ (RFC 3261 8.1.1.5).
    pub number: u32,
    /// Method of the request.
    pub method: Method,
}

impl CSeq {
    /// Parses the value.
    ///
    /// # Errors
    /// [`Why::Syntax`]; [`Why::Range`] for a number of 2³¹ or more.
    pub fn parse(text: &str) -> Result<CSeq, Why> {
        let (number, method) = at_blank(trim(text)).ok_or(Why::Syntax)?;
        let number = ranged(number, 0x7fff_ffff)?;
        let method = Method::parse(trim(method)).ok_or(Why::Syntax)?;
        Ok(CSeq { number, method })
    }
}

/// RAck, RFC 3262 7.2.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RAck {
    /// RSeq of the response acknowledged.
    pub rseq: u32,
    /// CSeq of that response.
    pub cseq: CSeq,
}

impl RAck {
    /// Parses the value.
    ///
    /// # Errors
    /// [`Why::Syntax`], [`Why::Range`].
    pub fn parse(text: &str) -> Result<RAck, Why> {
        let (rseq, cseq) = at_blank(trim(text)).ok_or(Why::Syntax)?;
        Ok(RAck {
            rseq: ranged(rseq, u32::MAX)?,
            cseq: CSeq::parse(cseq)?,
        })
    }
}

/// Who refreshes a session (RFC 4028 4).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Refresher {
    /// The client of the request.
    Uac,
    /// Its server.
    Uas,
}

/// Session-Expires, RFC 4028 4.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct SessionExpires {
    /// Session interval in seconds.
    pub seconds: u32,
    /// `refresher`.
    pub refresher: Option<Refresher>,
}

impl SessionExpires {
    /// Parses the value.
    ///
    /// # Errors
    /// [`Why::Syntax`], [`Why::Range`].
    pub fn parse(text: &str) -> Result<SessionExpires, Why> {
        let (number, params) = with_params(text)?;
        let refresher = match params.get("refresher") {
            None => None,
            Some(who) if who.eq_ignore_ascii_case("uac") => Some(Refresher::Uac),
            Some(who) if who.eq_ignore_ascii_case("uas") => Some(Refresher::Uas),
            Some(_) => return Err(Why::Syntax),
        };
        Ok(SessionExpires {
            seconds: seconds(number)?,
            refresher,
        })
    }
}

/// Retry-After, RFC 3261 20.33.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct RetryAfter<'a> {
    /// Seconds to wait.
    pub seconds: u32,
    /// Parameters; `duration` among them.
    pub params: Params<'a>,
}

impl<'a> RetryAfter<'a> {
    /// Parses the value, passing over its comment.
    ///
    /// # Errors
    /// [`Why::Syntax`], [`Why::Range`].
    pub fn parse(text: &'a str) -> Result<RetryAfter<'a>, Why> {
        let text = trim(text);
        let end = text.find([' ', '\t', ';', '(']).unwrap_or(text.len());
        let (number, rest) = text.split_at(end);
        let rest = trim(rest);
        let rest = if rest.starts_with('(') {
            &rest[comment_len(rest)?..]
        } else {
            rest
        };
        Ok(RetryAfter {
            seconds: seconds(number)?,
            params: Params::parse(rest)?,
        })
    }
}

/// Length of a comment, nested ones included.
fn comment_len(text: &str) -> Result<usize, Why> {
    let mut depth = 0usize;
    let mut escaped = false;
    for (at, byte) in text.bytes().enumerate() {
        match byte {
            _ if escaped => escaped = false,
            b'\\' => escaped = true,
            b'(' => depth += 1,
            b')' => depth = depth.saturating_sub(1),
            _ => {}
        }
        if depth == 0 {
            return Ok(at + 1);
        }
    }
    Err(Why::Syntax)
}

/// `delta-seconds`, 32 bits.
pub(crate) fn seconds(text: &str) -> Result<u32, Why> {
    ranged(trim(text), u32::MAX)
}

/// Splits off and checks the parameters.
pub(super) fn with_params(text: &str) -> Result<(&str, Params<'_>), Why> {
    let (head, _) = split_outside(text, b';');
    Ok((trim(head), Params::parse(&text[head.len()..])?))
}

/// What stands before and after the first blank.
fn at_blank(text: &str) -> Option<(&str, &str)> {
    let at = text.bytes().position(is_blank)?;
    Some((&text[..at], &text[at + 1..]))
}

/// Digits up to `max`: `Range` beyond it however many they are, `Syntax` for anything else.
fn ranged(text: &str, max: u32) -> Result<u32, Why> {
    if text.is_empty() || !text.bytes().all(|byte| byte.is_ascii_digit()) {
        return Err(Why::Syntax);
    }
    decimal(text)
        .filter(|&number| number <= max)
        .ok_or(Why::Range)
}
