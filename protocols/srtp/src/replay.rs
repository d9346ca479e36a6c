//! The packets of one source that were seen: index estimation and replay list.

use crate::error::Error;

/// What is known of the packets of one synchronisation source: the highest index, and which of the
/// [`WINDOW`] up to it were seen (RFC 3711 3.3.1, 3.3.2).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Seen {
    /// The highest index.
    pub highest: u64,
    /// Bit n: the index n below the highest was seen. 0 while none was.
    pub window: u128,
}

/// Packets up to the highest index within which any is told from a replay: twice the least that
/// RFC 3711 3.3.2 allows.
pub const WINDOW: u64 = u128::BITS as u64;

impl Seen {
    /// Estimates the index of a packet by its sequence number (RFC 3711 3.3.1, Appendix A): of the
    /// three rollover counters about the highest index, the one that brings it nearest. A source
    /// of which nothing was seen begins at rollover counter 0.
    pub fn estimate(&self, sequence: u16) -> Result<u64, Error> {
        let sequence = u64::from(sequence);
        if self.window == 0 {
            return Ok(sequence);
        }
        let (rollovers, last) = (self.highest >> 16, self.highest & 0xffff);
        let rollovers = if last < HALF && sequence > last + HALF {
            // Before the first packet of all.
            rollovers.checked_sub(1).ok_or(Error::Replay)?
        } else if last >= HALF && sequence < last - HALF {
            rollovers + 1
        } else {
            rollovers
        };
        let index = rollovers << 16 | sequence;
        if index > RTP_INDEX_MAX {
            return Err(Error::KeyExpired);
        }
        Ok(index)
    }

    /// True when the index may be that of a packet not seen yet.
    pub fn is_new(&self, index: u64) -> bool {
        if self.window == 0 || index > self.highest {
            return true;
        }
        let behind = self.highest - index;
        behind < WINDOW && self.window >> behind & 1 == 0
    }

    /// Remembers a packet.
    pub fn mark(&mut self, index: u64) {
        if self.window == 0 {
            *self = Self {
                highest: index,
                window: 1,
            };
        } else if let Some(ahead) = index.checked_sub(self.highest) {
            let shifted = u32::try_from(ahead).ok();
            let kept = shifted.and_then(|ahead| self.window.checked_shl(ahead));
            self.window = kept.unwrap_or(0) | 1;
            self.highest = index;
        } else {
            let behind = self.highest - index;
            if behind < WINDOW {
                self.window |= 1 << behind;
            }
        }
    }
}

/// Half the space of sequence numbers.
const HALF: u64 = 1 << 15;

/// The last index of SRTP: 48 bits.
pub(crate) const RTP_INDEX_MAX: u64 = (1 << 48) - 1;

#[cfg(test)]
mod tests {
    use super::*;

    fn at(highest: u64) -> Seen {
        Seen { highest, window: 1 }
    }

    #[test]
    fn an_index_is_the_nearest_with_that_sequence_number() {
        let cases = [
            (0x0_1000, 0x1001, Ok(0x0_1001)),
            (0x0_ffff, 0x0000, Ok(0x1_0000)),
            (0x1_0000, 0xffff, Ok(0x0_ffff)),
            (0x0_0000, 0xffff, Err(Error::Replay)),
            (0x5_7fff, 0xffff, Ok(0x5_ffff)),
            (0x5_7ffe, 0xffff, Ok(0x4_ffff)),
            (0x5_8000, 0x0000, Ok(0x5_0000)),
            (0x5_8001, 0x0000, Ok(0x6_0000)),
            (RTP_INDEX_MAX, 0xfffe, Ok(RTP_INDEX_MAX - 1)),
            (RTP_INDEX_MAX, 0x0000, Err(Error::KeyExpired)),
        ];
        for (highest, sequence, index) in cases {
            assert_eq!(
                at(highest).estimate(sequence),
                index,
                "{highest:x} {sequence:x}"
            );
        }
        assert_eq!(Seen::default().estimate(0xffff), Ok(0xffff));
    }

    #[test]
    fn each_of_the_last_128_is_taken_once_and_older_ones_never() {
        let mut seen = Seen::default();
        assert!(seen.is_new(0));
        seen.mark(1000);
        for index in (873..1000).rev() {
            assert!(seen.is_new(index), "{index}");
            seen.mark(index);
            assert!(!seen.is_new(index), "{index}");
        }
        assert!(!seen.is_new(872) && !seen.is_new(1000) && seen.is_new(1001));
        seen.mark(1002);
        assert!(seen.is_new(1001) && !seen.is_new(1000) && !seen.is_new(874));
        seen.mark(u64::from(u32::MAX) + 2000);
        assert_eq!(seen.window, 1);
    }

    #[test]
    fn the_window_does_what_a_list_of_all_does() {
        let mut seen = Seen::default();
        let mut list = std::collections::BTreeSet::new();
        let mut state = 7_u64;
        for step in 0..20_000_u64 {
            state = state
                .wrapping_mul(6_364_136_223_846_793_005)
                .wrapping_add(1);
            let index = 1000 + step / 2 + (state >> 33) % 300;
            let highest = list.last().copied().unwrap_or(0);
            let new = !list.contains(&index) && index + WINDOW > highest;
            assert_eq!(seen.is_new(index), new, "{index} at {highest}");
            if new {
                seen.mark(index);
                list.insert(index);
            }
        }
    }
}
