//! Octets whose beginning is UTF-8.

use crate::is_ascii;
use std::ops::Range;

/// A buffer whose first octets, the head, have been found to be UTF-8: any part of the head can be
/// read as text without a second check.
#[derive(Clone, Debug, Default)]
pub struct Checked {
    bytes: Vec<u8>,
    /// Invariant: at most `bytes.len()`, and `bytes[..head]` is UTF-8. `bytes` is never written but
    /// to cut what follows the head.
    head: usize,
}

impl Checked {
    /// Takes `bytes`, of which the first `head` are text; all of them when there are fewer.
    ///
    /// # Errors
    /// The bytes again when their head is no UTF-8.
    #[inline]
    pub fn new(bytes: Vec<u8>, head: usize) -> Result<Checked, Vec<u8>> {
        let head = head.min(bytes.len());
        let text = &bytes[..head];
        if is_ascii(text) || std::str::from_utf8(text).is_ok() {
            Ok(Checked { bytes, head })
        } else {
            Err(bytes)
        }
    }

    /// Cuts the buffer to `len` octets, the head at least.
    pub fn truncate(&mut self, len: usize) {
        self.bytes.truncate(len.max(self.head));
    }

    /// The whole buffer.
    #[inline]
    pub fn as_bytes(&self) -> &[u8] {
        &self.bytes
    }

    /// The head.
    #[inline]
    pub fn head(&self) -> &str {
        // SAFETY: `from_utf8_unchecked` wants UTF-8. `new` has checked `bytes[..head]`, and nothing
        // writes to it.
        unsafe { std::str::from_utf8_unchecked(&self.bytes[..self.head]) }
    }

    /// Part of the head; empty for a range that leaves the head or splits a character.
    #[inline]
    pub fn str(&self, range: Range<usize>) -> &str {
        self.head().get(range).unwrap_or_default()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_head_is_checked_and_what_follows_it_is_not() {
        let checked = Checked::new(b"ab\xff".to_vec(), 2).unwrap();
        assert_eq!((checked.head(), checked.as_bytes()), ("ab", &b"ab\xff"[..]));
        assert_eq!(Checked::new(b"ab\xff".to_vec(), 3).unwrap_err(), b"ab\xff");
        assert_eq!(Checked::new(b"ab".to_vec(), 9).unwrap().head(), "ab");
        let mut cut = Checked::new(b"ab\xff".to_vec(), 2).unwrap();
        cut.truncate(0);
        assert_eq!((cut.head(), cut.as_bytes()), ("ab", &b"ab"[..]));
        // A head that ends within a character is none.
        assert!(Checked::new("é".into(), 1).is_err());
    }

    #[test]
    fn a_part_is_text_or_empty() {
        let checked = Checked::new("aé=1".into(), 4).unwrap();
        assert_eq!(checked.str(1..3), "é");
        for range in [2..3, 1..2, 3..9, 5..6] {
            assert_eq!(checked.str(range), "");
        }
        #[expect(clippy::reversed_empty_ranges)]
        let reversed = checked.str(3..1);
        assert_eq!(reversed, "");
    }
}
