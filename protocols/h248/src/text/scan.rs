//! Lexical level of Annex B.2: white space and comments, words, values, octet strings.

use super::{MESSAGE_LEN_MAX, SyntaxError};
use crate::error::ErrorCode;
use crate::message::{OctetString, Value};

/// Result of a parsing step.
pub(super) type Parse<T> = Result<T, SyntaxError>;

const SAFE: u8 = 1;
const SPACE: u8 = 2;
const HIGH: u8 = 4;

/// SafeChar, white space, and octets of UTF-8, by octet.
const CLASS: [u8; 256] = {
    let mut class = [0; 256];
    let mut octet = 0;
    while octet < 256 {
        class[octet] = match octet as u8 {
            b' ' | b'\t' | b'\r' | b'\n' => SPACE,
            0x80.. => HIGH,
            other if crate::message::is_safe_char(other) => SAFE,
            _ => 0,
        };
        octet += 1;
    }
    class
};

/// Reads a message from front to back. Between two calls it stands on an octet that is no white
/// space.
pub(super) struct Scanner<'a> {
    input: &'a [u8],
    at: usize,
    /// The error code of what is being read, for errors that have no code of their own.
    pub(super) scope: ErrorCode,
    /// Embedded descriptors around this place.
    pub(super) depth: u8,
}

impl<'a> Scanner<'a> {
    pub(super) fn new(input: &'a [u8]) -> Self {
        let mut scanner = Self {
            input,
            at: 0,
            scope: ErrorCode::SYNTAX_IN_MESSAGE,
            depth: 0,
        };
        scanner.skip_space();
        scanner
    }

    /// Where it stands.
    pub(super) fn offset(&self) -> usize {
        self.at
    }

    /// Goes to `offset`, which was returned by [`Scanner::offset`] or [`Scanner::end_of_block`].
    pub(super) fn go_to(&mut self, offset: usize) {
        self.at = offset;
        self.skip_space();
    }

    /// True at the end of the message.
    pub(super) fn is_at_end(&self) -> bool {
        self.at >= self.input.len()
    }

    /// The octet it stands on.
    pub(super) fn peek(&self) -> Option<u8> {
        self.input.get(self.at).copied()
    }

    /// An error here, with the code of the scope.
    pub(super) fn error<T>(&self, expected: &'static str) -> Parse<T> {
        self.error_at(self.at, self.scope, expected)
    }

    /// An error at `offset` with a code of its own.
    pub(super) fn error_at<T>(
        &self,
        offset: usize,
        code: ErrorCode,
        expected: &'static str,
    ) -> Parse<T> {
        debug_assert!(self.input.len() <= MESSAGE_LEN_MAX);
        let before = &self.input[..offset.min(self.input.len())];
        let line = 1 + before.iter().filter(|&&octet| octet == b'\n').count();
        Err(SyntaxError {
            code,
            offset,
            line,
            expected,
        })
    }

    /// Takes `octet` and the white space behind it, if it is here.
    pub(super) fn take(&mut self, octet: u8) -> bool {
        let is_here = self.peek() == Some(octet);
        if is_here {
            self.at += 1;
            self.skip_space();
        }
        is_here
    }

    /// Takes `octet`, which must be here.
    pub(super) fn expect(&mut self, octet: u8, expected: &'static str) -> Parse<()> {
        if self.take(octet) {
            Ok(())
        } else {
            self.error(expected)
        }
    }

    /// Takes the SafeChars that stand here, perhaps none.
    pub(super) fn word(&mut self) -> &'a [u8] {
        let rest = &self.input[self.at..];
        let len = rest
            .iter()
            .position(|&octet| CLASS[usize::from(octet)] != SAFE)
            .unwrap_or(rest.len());
        self.at += len;
        self.skip_space();
        &rest[..len]
    }

    /// Takes VALUE.
    pub(super) fn value(&mut self) -> Parse<Value> {
        let rest = &self.input[self.at..];
        if rest.first() == Some(&b'"') {
            let Some(len) = rest[1..].iter().position(|&octet| octet == b'"') else {
                return self.error("a closing quotation mark");
            };
            let text = &rest[1..=len];
            if let Some(bad) = text.iter().position(|&octet| !is_text(octet)) {
                return self.error_at(self.at + 1 + bad, self.scope, "a printable character");
            }
            self.at += len + 2;
            self.skip_space();
            return Ok(Value::from_wire(text, true));
        }
        let len = rest
            .iter()
            .position(|&octet| CLASS[usize::from(octet)] & (SAFE | HIGH) == 0)
            .unwrap_or(rest.len());
        if len == 0 {
            return self.error("a value");
        }
        self.at += len;
        self.skip_space();
        Ok(Value::from_wire(&rest[..len], false))
    }

    /// Takes `{`, the octets up to the closing brace that no backslash escapes, and that brace.
    pub(super) fn octet_string(&mut self) -> Parse<OctetString> {
        if self.peek() != Some(b'{') {
            return self.error("{");
        }
        let start = self.at + 1;
        let Some(end) = end_of_octets(self.input, start) else {
            return self.error_at(self.input.len(), self.scope, "} after the octet string");
        };
        let octets = &self.input[start..end];
        if octets.contains(&0) {
            let bad = octets.iter().position(|&octet| octet == 0).unwrap_or(0);
            return self.error_at(start + bad, self.scope, "no octet 0");
        }
        let octets = if octets.contains(&b'\\') {
            OctetString::new(unescape(octets))
        } else {
            OctetString::from_plain(octets)
        };
        self.at = end + 1;
        self.skip_space();
        Ok(octets)
    }

    /// Takes the octets up to one of `stops`, which stays; white space behind is not skipped before
    /// it.
    pub(super) fn until(&mut self, stops: &[u8]) -> &'a [u8] {
        let rest = &self.input[self.at..];
        let len = rest
            .iter()
            .position(|octet| stops.contains(octet))
            .unwrap_or(rest.len());
        self.at += len;
        &rest[..len]
    }

    /// Where the block ends that begins with the next `{`: behind its closing brace. `None` when it
    /// does not end.
    ///
    /// Looks at words, quotation marks, comments and octet strings only, so that it works on blocks
    /// that are wrong.
    pub(super) fn end_of_block(&self, from: usize) -> Option<usize> {
        let mut at = from;
        let mut depth = 0_usize;
        let mut opens_item = false;
        while let Some(&octet) = self.input.get(at) {
            let starts_item = opens_item;
            opens_item = false;
            match octet {
                b'{' => {
                    depth += 1;
                    opens_item = true;
                }
                b'}' => {
                    depth = depth.checked_sub(1)?;
                    if depth == 0 {
                        return Some(at + 1);
                    }
                }
                b',' => opens_item = true,
                b'"' => at += 1 + self.input[at + 1..].iter().position(|&o| o == b'"')?,
                b';' => at += self.input[at..].iter().position(|&o| is_line_end(o))?,
                _ if CLASS[usize::from(octet)] == SPACE => opens_item = starts_item,
                _ if CLASS[usize::from(octet)] == SAFE => {
                    let len = word_len(&self.input[at..]);
                    let word = &self.input[at..at + len];
                    at += len;
                    if starts_item && is_octet_descriptor(word) {
                        at += space_len(&self.input[at..]);
                        if self.input.get(at) == Some(&b'{') {
                            at = end_of_octets(self.input, at + 1)? + 1;
                        }
                    }
                    continue;
                }
                _ => {}
            }
            at += 1;
        }
        None
    }

    /// LWSP.
    fn skip_space(&mut self) {
        self.at += space_len(&self.input[self.at..]);
    }
}

/// Takes the backslashes off closing braces.
fn unescape(octets: &[u8]) -> Vec<u8> {
    let mut plain = Vec::with_capacity(octets.len());
    for (index, &octet) in octets.iter().enumerate() {
        if octet != b'\\' || octets.get(index + 1) != Some(&b'}') {
            plain.push(octet);
        }
    }
    plain
}

fn is_octet_descriptor(word: &[u8]) -> bool {
    super::token::LOCAL.is(word) || super::token::REMOTE.is(word)
}

fn word_len(input: &[u8]) -> usize {
    input
        .iter()
        .position(|&octet| CLASS[usize::from(octet)] != SAFE)
        .unwrap_or(input.len())
}

/// Length of LWSP: white space and comments up to the end of their line.
fn space_len(input: &[u8]) -> usize {
    let mut at = 0;
    while let Some(&octet) = input.get(at) {
        if CLASS[usize::from(octet)] == SPACE {
            at += 1;
        } else if octet == b';' {
            let line = input[at..].iter().position(|&o| is_line_end(o));
            at = line.map_or(input.len(), |len| at + len);
        } else {
            return at;
        }
    }
    input.len()
}

fn end_of_octets(input: &[u8], start: usize) -> Option<usize> {
    let mut from = start;
    loop {
        let brace = from + input[from..].iter().position(|&octet| octet == b'}')?;
        if brace == start || input[brace - 1] != b'\\' {
            return Some(brace);
        }
        from = brace + 1;
    }
}

fn is_line_end(octet: u8) -> bool {
    matches!(octet, b'\r' | b'\n')
}

/// What may stand between quotation marks: SafeChar, RestChar, white space, line ends and UTF-8.
fn is_text(octet: u8) -> bool {
    matches!(octet, b' '..=b'~' | 0x80.. | b'\t' | b'\r' | b'\n')
}
