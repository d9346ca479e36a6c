//! Sequence numbers, TS 33.102 Annex C: SQN = SEQ ‖ IND, not time-based (profile 2, Annex C.3.2).

use serde::{Deserialize, Serialize};

use super::hex::parse_hex;

/// A sequence number of 48 bits: SEQ in the upper 43, IND in the lower 5.
#[derive(
    Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Default, Serialize, Deserialize,
)]
#[serde(transparent)]
pub struct Sqn(u64);

impl Sqn {
    /// The start of a new subscriber: the first vector has SEQ 1.
    pub const ZERO: Sqn = Sqn(0);
    /// The last number there is.
    pub const MAX: Sqn = Sqn((1 << SQN_BITS) - 1);

    /// The number with this SEQ and IND; `None` when SEQ has more than 43 bits or IND more than 5.
    pub const fn new(seq: u64, ind: u8) -> Option<Self> {
        if seq > SEQ_MAX || ind >= IND_COUNT {
            return None;
        }
        Some(Sqn(seq << IND_BITS | ind as u64))
    }

    /// The number of these 48 bits.
    pub const fn from_bytes(bytes: [u8; 6]) -> Self {
        let [a, b, c, d, e, f] = bytes;
        Sqn(u64::from_be_bytes([0, 0, a, b, c, d, e, f]))
    }

    /// The 48 bits as they enter f1.
    pub const fn to_bytes(self) -> [u8; 6] {
        let [_, _, a, b, c, d, e, f] = self.0.to_be_bytes();
        [a, b, c, d, e, f]
    }

    /// Reads 1 to 12 hexadecimal digits.
    pub fn parse(text: &str) -> Option<Self> {
        parse_hex(text)
            .ok()
            .filter(|&value| value <= Self::MAX.0)
            .map(Sqn)
    }

    /// SEQ, the counter.
    pub const fn seq(self) -> u64 {
        self.0 >> IND_BITS
    }

    /// IND, the element of the USIM's array that this number is checked against.
    pub const fn ind(self) -> u8 {
        (self.0 & (IND_COUNT as u64 - 1)) as u8
    }

    /// The number after this one, Annex C.1.1.2 with the indices dealt cyclically (Annex C.3.4).
    ///
    /// `None` at the end of SEQ: a sequence number never wraps, the key has to be changed.
    pub const fn next(self) -> Option<Self> {
        Self::new(self.seq() + 1, (self.ind() + 1) % IND_COUNT)
    }

    /// The number `count` steps on.
    pub const fn advance(self, count: u32) -> Option<Self> {
        let ind = (self.ind() as u64 + count as u64) % IND_COUNT as u64;
        Self::new(self.seq() + count as u64, ind as u8)
    }

    /// SQN_HE after a verified AUTS, TS 33.102 6.3.5: kept when the USIM would accept the next
    /// number generated from it, else set to SQN_MS.
    ///
    /// This is the one case in which the home's number may go back: when it is more than [`DELTA`]
    /// ahead, where the USIM would refuse it for ever.
    pub fn resynchronised(self, sqn_ms: Sqn) -> Sqn {
        match self.next() {
            Some(next) if in_range(next.seq(), sqn_ms.seq()) => self,
            _ => sqn_ms,
        }
    }
}

/// The USIM's range check against wrap-around, Annex C.2.1: above the highest number accepted, by
/// no more than Δ.
pub(super) const fn in_range(seq: u64, seq_ms: u64) -> bool {
    seq > seq_ms && seq - seq_ms <= DELTA
}

/// Δ, Annex C.3.2: how far SEQ may jump ahead of SEQ_MS before the USIM refuses it.
pub const DELTA: u64 = 1 << 28;
/// Number of array elements in the USIM, Annex C.3.2.
pub const IND_COUNT: u8 = 1 << IND_BITS;

const SQN_BITS: u32 = 48;
const IND_BITS: u32 = 5;
const SEQ_MAX: u64 = (1 << (SQN_BITS - IND_BITS)) - 1;

// Annex C.2.1: an attacker who forces jumps of Δ must need so many authentications that a key never
// lives to see the end.
const _: () = assert!(SEQ_MAX / DELTA >= 1 << 14);

#[cfg(test)]
mod tests {
    use super::*;

    fn sqn(seq: u64, ind: u8) -> Sqn {
        Sqn::new(seq, ind).expect("within 48 bits")
    }

    #[test]
    fn seq_counts_and_ind_rotates() {
        assert_eq!(Sqn::ZERO.next(), Some(sqn(1, 1)));
        assert_eq!(sqn(30, 30).next(), Some(sqn(31, 31)));
        assert_eq!(sqn(31, 31).next(), Some(sqn(32, 0)));
        let mut stepped = sqn(5, 3);
        for _ in 0..100 {
            stepped = stepped.next().expect("far from the end");
        }
        assert_eq!(sqn(5, 3).advance(100), Some(stepped));
    }

    #[test]
    fn bytes_are_big_endian_and_round_trip() {
        let number = Sqn::from_bytes([0xff, 0x9b, 0xb4, 0xd0, 0xb6, 0x07]);
        assert_eq!(number.to_bytes(), [0xff, 0x9b, 0xb4, 0xd0, 0xb6, 0x07]);
        assert_eq!(number.ind(), 7);
        assert_eq!(number.seq(), 0xff9b_b4d0_b607 >> 5);
        assert_eq!(Sqn::parse("ff9bb4d0b607"), Some(number));
        assert_eq!(Sqn::parse("1000000000000"), None);
    }

    #[test]
    fn the_end_of_seq_is_refused_not_wrapped() {
        assert_eq!(Sqn::MAX.next(), None);
        assert_eq!(sqn(SEQ_MAX, 0).next(), None);
        assert_eq!(sqn(SEQ_MAX - 1, 31).next(), Some(sqn(SEQ_MAX, 0)));
        assert_eq!(sqn(SEQ_MAX - 1, 31).advance(2), None);
        assert_eq!(Sqn::MAX.advance(u32::MAX), None);
    }

    #[test]
    fn resynchronisation_moves_up_to_a_card_that_is_ahead() {
        assert_eq!(sqn(10, 2).resynchronised(sqn(500, 9)), sqn(500, 9));
        // Level with the card: the next number would be accepted, so nothing has to change.
        assert_eq!(sqn(500, 2).resynchronised(sqn(500, 9)), sqn(500, 2));
    }

    #[test]
    fn resynchronisation_keeps_a_number_the_card_would_accept() {
        assert_eq!(sqn(600, 2).resynchronised(sqn(500, 9)), sqn(600, 2));
        assert_eq!(
            sqn(500 + DELTA - 1, 2).resynchronised(sqn(500, 9)),
            sqn(500 + DELTA - 1, 2)
        );
    }

    #[test]
    fn resynchronisation_comes_back_from_beyond_delta_and_from_the_end() {
        assert_eq!(sqn(500 + DELTA, 2).resynchronised(sqn(500, 9)), sqn(500, 9));
        assert_eq!(Sqn::MAX.resynchronised(sqn(500, 9)), sqn(500, 9));
    }
}
