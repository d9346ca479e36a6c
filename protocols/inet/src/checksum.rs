//! The Internet checksum: RFC 1071, incrementally RFC 1624.

/// A ones' complement sum that is being collected.
///
/// Kept in the machine's byte order, which RFC 1071 2 (B) shows to be right up to a swap at the
/// end, so that whole words can be added.
#[derive(Clone, Copy, PartialEq, Eq, Default, Debug)]
pub struct Sum(u64);

impl Sum {
    /// Nothing added yet.
    pub const ZERO: Sum = Sum(0);

    /// Adds bytes. Only the last piece of what is summed may be of odd length.
    #[must_use]
    #[inline]
    pub fn bytes(self, bytes: &[u8]) -> Self {
        // Eight octets at a time, each addition taking the carry of the one before; what is carried
        // out of four of them is counted.
        let (mut sum, mut carries) = (0_u64, 0_u64);
        let (blocks, rest) = bytes.as_chunks::<32>();
        for block in blocks {
            let mut carry = false;
            for word in block.as_chunks().0 {
                (sum, carry) = sum.carrying_add(u64::from_ne_bytes(*word), carry);
            }
            carries += u64::from(carry);
        }
        let (words, rest) = rest.as_chunks();
        for word in words {
            let (more, carry) = sum.overflowing_add(u64::from_ne_bytes(*word));
            (sum, carries) = (more, carries + u64::from(carry));
        }
        let mut last = 0_u64;
        let mut rest = rest;
        if let Some((four, behind)) = rest.split_first_chunk() {
            last += u64::from(u32::from_ne_bytes(*four));
            rest = behind;
        }
        if let Some((two, behind)) = rest.split_first_chunk() {
            last += u64::from(u16::from_ne_bytes(*two));
            rest = behind;
        }
        if let [odd] = rest {
            last += u64::from(u16::from_ne_bytes([*odd, 0]));
        }
        self.plus(sum).plus(carries + last)
    }

    /// The sum over a header of so many whole words, which are too few for a carry.
    #[must_use]
    #[inline]
    pub(crate) fn of_header<const WORDS: usize>(words: &[[u8; 4]; WORDS]) -> Self {
        const { assert!(WORDS <= 16) };
        let words = words.iter();
        Sum(words.map(|word| u64::from(u32::from_ne_bytes(*word))).sum())
    }

    /// The same over fields of two octets each.
    #[must_use]
    #[inline]
    pub(crate) fn of_fields<const FIELDS: usize>(fields: [[u8; 2]; FIELDS]) -> Self {
        const { assert!(FIELDS <= 16) };
        Sum(fields
            .map(|field| u64::from(u16::from_ne_bytes(field)))
            .iter()
            .sum())
    }

    /// Adds a 16-bit field.
    #[must_use]
    #[inline]
    pub fn u16(self, value: u16) -> Self {
        self.plus(u64::from(u16::from_ne_bytes(value.to_be_bytes())))
    }

    /// Adds another sum of whole 16-bit words.
    #[must_use]
    #[inline]
    pub fn sum(self, other: Sum) -> Self {
        self.plus(other.0)
    }

    /// The sum in 16 bits, not complemented: what a sender that leaves the rest to its interface
    /// writes for the pseudo-header.
    #[must_use]
    #[inline]
    pub fn folded(self) -> u16 {
        let word = self.word();
        let (sum, carry) = (word as u16).overflowing_add((word >> 16) as u16);
        let sum = sum + u16::from(carry);
        u16::from_be_bytes(sum.to_ne_bytes())
    }

    /// The checksum: the complement. Over something that contains its own right checksum, 0.
    #[must_use]
    #[inline]
    pub fn checksum(self) -> u16 {
        !self.folded()
    }

    /// The sum in 32 bits, by which it can be kept: 0 for nothing but zeros.
    #[must_use]
    #[inline]
    pub fn word(self) -> u32 {
        let (sum, carry) = (self.0 as u32).overflowing_add((self.0 >> 32) as u32);
        sum + u32::from(carry)
    }

    /// The sum that was kept as this.
    #[must_use]
    #[inline]
    pub fn from_word(word: u32) -> Self {
        Sum(word.into())
    }

    /// True of the sum over what has a checksum in it that is right.
    #[must_use]
    #[inline]
    pub fn is_complete(self) -> bool {
        // Congruent to all ones, and not for want of anything to add.
        self.0 != 0 && self.0.is_multiple_of(0xffff)
    }

    #[inline]
    fn plus(self, more: u64) -> Self {
        let (sum, carry) = self.0.overflowing_add(more);
        Sum(sum + u64::from(carry))
    }
}

/// The checksum of one piece of memory.
#[must_use]
pub fn of(bytes: &[u8]) -> u16 {
    Sum::ZERO.bytes(bytes).checksum()
}

/// A checksum after a 16-bit field that it covers has changed, RFC 1624 3 (equation 3).
#[must_use]
pub fn update(checksum: u16, old: u16, new: u16) -> u16 {
    Sum::ZERO.u16(!checksum).u16(!old).u16(new).checksum()
}

/// The same for a longer field, of even length and at an even offset, both values as long.
#[must_use]
pub fn update_bytes(checksum: u16, old: &[u8], new: &[u8]) -> u16 {
    let removed = !Sum::ZERO.bytes(old).folded();
    Sum::ZERO.u16(!checksum).u16(removed).bytes(new).checksum()
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    /// RFC 1071 4.1, word by word.
    fn reference(bytes: &[u8]) -> u16 {
        let mut sum = 0_u32;
        for pair in bytes.chunks(2) {
            sum += u32::from(pair[0]) << 8 | u32::from(*pair.get(1).unwrap_or(&0));
            sum = (sum & 0xffff) + (sum >> 16);
        }
        !(sum as u16)
    }

    #[test]
    fn the_example_of_rfc_1071() {
        // Section 3: 0001 f203 f4f5 f6f7 sum up to ddf2.
        let bytes = [0x00, 0x01, 0xf2, 0x03, 0xf4, 0xf5, 0xf6, 0xf7];
        assert_eq!(Sum::ZERO.bytes(&bytes).folded(), 0xddf2);
        assert_eq!(of(&bytes), !0xddf2);
    }

    #[test]
    fn the_example_of_rfc_1624() {
        // Section 4: the checksum dd2f becomes 0000 when 5555 becomes 3285.
        assert_eq!(update(0xdd2f, 0x5555, 0x3285), 0x0000);
    }

    #[test]
    fn sums_of_extremes_do_not_lose_carries() {
        for length in 0..200 {
            let ones = vec![0xff; length];
            assert_eq!(of(&ones), reference(&ones), "{length}");
        }
        let most = Sum(u64::MAX);
        assert_eq!(most.sum(most).folded(), 0xffff);
        assert_eq!(Sum(0xffff_ffff_0001_ffff).folded(), {
            // The words ffff ffff 0001 ffff, each three equal to zero but one.
            u16::from_be_bytes(1_u16.to_ne_bytes())
        });
    }

    proptest! {
        #[test]
        fn sums_equal_those_taken_word_by_word(bytes: Vec<u8>) {
            prop_assert_eq!(of(&bytes), reference(&bytes));
            let sum = Sum::ZERO.bytes(&bytes);
            prop_assert_eq!(Sum::from_word(sum.word()).folded(), sum.folded());
            prop_assert_eq!(sum.is_complete(), sum.checksum() == 0);
            // With its checksum behind it, it is.
            let even = bytes.len() & !1;
            let sum = Sum::ZERO.bytes(&bytes[..even]);
            let complete = sum.u16(sum.checksum());
            prop_assert!(complete.is_complete() && complete.checksum() == 0);
        }

        #[test]
        fn pieces_add_up(mut bytes: Vec<u8>, at: prop::sample::Index) {
            bytes.push(0);
            let at = at.index(bytes.len()) & !1;
            let (head, tail) = bytes.split_at(at);
            let sum = Sum::ZERO.bytes(tail).sum(Sum::ZERO.bytes(head));
            prop_assert_eq!(sum.checksum(), of(&bytes));
        }

        #[test]
        fn an_updated_checksum_is_still_right(
            mut bytes in prop::collection::vec(any::<u8>(), 24..64),
            new: [u8; 4],
            at in 0..5_usize,
        ) {
            bytes.truncate(bytes.len() & !1);
            let before = of(&bytes);
            let field = at * 4..at * 4 + 4;
            let old = bytes[field.clone()].to_vec();
            let updated = update_bytes(before, &old, &new);
            bytes[field].copy_from_slice(&new);
            // 0 and ffff are the same number; which one comes out depends on what was summed.
            let sum = Sum::ZERO.bytes(&bytes).u16(updated).folded();
            prop_assert!(sum == 0xffff || sum == 0);
        }
    }
}
