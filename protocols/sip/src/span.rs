//! Ranges of octets in a message, half the size of `Range<u32>`.

use crate::limits::MESSAGE_BYTES_MAX;
use std::ops::Range;

/// Half-open range of octets within [`crate::MESSAGE_BYTES_MAX`].
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Span {
    pub(crate) start: u16,
    pub(crate) end: u16,
}

impl Span {
    /// The caller keeps both ends within `MESSAGE_BYTES_MAX`; beyond it they saturate.
    #[inline]
    pub(crate) fn new(start: usize, end: usize) -> Span {
        Span {
            start: offset(start),
            end: offset(end),
        }
    }

    /// As [`Span::new`], for ends that are known to be within `MESSAGE_BYTES_MAX`.
    #[inline]
    pub(crate) fn within(start: usize, end: usize) -> Span {
        debug_assert!(start <= end && end <= MESSAGE_BYTES_MAX);
        Span {
            start: start as u16,
            end: end as u16,
        }
    }

    #[inline]
    pub(crate) fn range(self) -> Range<usize> {
        usize::from(self.start)..usize::from(self.end)
    }

    /// Moves the range from a text in which it was counted from `from` to one where that place is
    /// `to`.
    #[inline]
    pub(crate) fn moved(self, from: usize, to: usize) -> Span {
        let moved = |at: u16| usize::from(at).wrapping_add(to).wrapping_sub(from);
        Span::within(moved(self.start), moved(self.end))
    }
}

#[inline]
fn offset(at: usize) -> u16 {
    u16::try_from(at).unwrap_or(u16::MAX)
}
