//! Searching.

use crate::lanes::{self, equal, equal_any};

/// Octets that [`matches()`] looks at.
pub const BLOCK: usize = 64;

/// Bit `i` is set where octet `i` of the block is `byte`.
#[inline]
pub fn matches(block: &[u8; BLOCK], byte: u8) -> u64 {
    let (lanes, _) = block.as_chunks::<16>();
    let bits = lanes.iter().map(|lane| equal(lane, byte));
    let shifted = bits.zip([0, 16, 32, 48]);
    shifted.fold(0, |mask, (bits, by)| mask | u64::from(bits) << by)
}

/// Offset of the first `byte` of 32 octets.
#[inline]
pub fn find_32(text: &[u8; 32], byte: u8) -> Option<usize> {
    let (lanes, _) = text.as_chunks::<16>();
    let bits = lanes.iter().map(|lane| equal(lane, byte));
    let shifted = bits.zip([0, 16]);
    let mask = shifted.fold(0, |mask, (bits, by)| mask | u32::from(bits) << by);
    (mask != 0).then(|| mask.trailing_zeros() as usize)
}

/// True when `a` and `b` have the same bits wherever `mask` has ones.
#[inline]
pub fn equal_where(a: &[u8; 32], b: &[u8; 32], mask: &[u8; 32]) -> bool {
    let half = |half: usize| {
        let lane = |text: &[u8; 32]| text.as_chunks().0[half];
        lanes::equal_where(&lane(a), &lane(b), &lane(mask))
    };
    half(0) && half(1)
}

/// True when every octet is ASCII.
#[inline]
pub fn is_ascii(text: &[u8]) -> bool {
    let (lanes, rest) = text.as_chunks::<16>();
    let (blocks, lanes) = lanes.as_chunks::<4>();
    blocks.iter().all(lanes::is_ascii) && lanes.as_flattened().is_ascii() && rest.is_ascii()
}

/// Offset of the first `byte`.
#[inline]
pub fn find(text: &[u8], byte: u8) -> Option<usize> {
    first(text, |lane| equal(lane, byte), |octet| octet == byte)
}

/// Offset of the first octet that is `a`, `b` or `c`.
#[inline]
pub fn find_3(text: &[u8], a: u8, b: u8, c: u8) -> Option<usize> {
    let is_one = |octet| octet == a || octet == b || octet == c;
    first(text, |lane| equal_any(lane, [a, b, c]), is_one)
}

/// Offset of the first octet that is sought: `lane` tells it of sixteen, `single` of one.
///
/// Once sixteen octets are there, the last lane overlaps its neighbour instead of leaving a rest;
/// of eight to fifteen the first and the last eight make a lane.
#[inline]
fn first(
    text: &[u8],
    lane: impl Fn(&[u8; 16]) -> u16,
    single: impl Fn(u8) -> bool,
) -> Option<usize> {
    let Some(last) = text.last_chunk::<16>() else {
        let (Some(head), Some(tail)) = (text.first_chunk::<8>(), text.last_chunk::<8>()) else {
            return text.iter().position(|&octet| single(octet));
        };
        let mut both = [0; 16];
        both[..8].copy_from_slice(head);
        both[8..].copy_from_slice(tail);
        let found = lane(&both);
        let at = found.trailing_zeros() as usize;
        return (found != 0).then(|| if at < 8 { at } else { text.len() + at - 16 });
    };
    let mut at = 0;
    while let Some(chunk) = text[at..].first_chunk::<16>() {
        let found = lane(chunk);
        if found != 0 {
            return Some(at + found.trailing_zeros() as usize);
        }
        at += 16;
    }
    let found = lane(last);
    (found != 0).then(|| text.len() - 16 + found.trailing_zeros() as usize)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    /// Text in which what is sought is frequent.
    fn text() -> impl Strategy<Value = Vec<u8>> {
        let octet = prop_oneof![8 => Just(b'x'), 1 => 0..4u8, 1 => any::<u8>()];
        prop::collection::vec(octet, 0..100)
    }

    proptest! {
        #[test]
        fn a_search_finds_what_a_loop_finds(text in text(), byte in 0..4u8) {
            prop_assert_eq!(find(&text, byte), text.iter().position(|&each| each == byte));
            let any = [byte, 2, b'"'];
            let expected = text.iter().position(|each| any.contains(each));
            prop_assert_eq!(find_3(&text, byte, 2, b'"'), expected);
        }

        #[test]
        fn a_block_has_a_bit_for_each_octet(octets in prop::collection::vec(0..5u8, BLOCK)) {
            let mask = matches(octets.first_chunk().unwrap(), 3);
            for (i, &octet) in octets.iter().enumerate() {
                prop_assert_eq!(mask >> i & 1 == 1, octet == 3);
            }
        }

        #[test]
        fn the_first_of_32_octets_is_found(octets in prop::collection::vec(0..40u8, 32)) {
            let expected = octets.iter().position(|&octet| octet == 3);
            prop_assert_eq!(find_32(octets.first_chunk().unwrap(), 3), expected);
        }

        #[test]
        fn bits_beside_the_mask_do_not_count(
            a in any::<[u8; 32]>(), mask in any::<[u8; 32]>(), at in 0..32usize, bit in 0..8u8,
        ) {
            let mut b = a;
            b[at] ^= 1u8 << bit;
            prop_assert_eq!(equal_where(&a, &b, &mask), mask[at] >> bit & 1 == 0);
            prop_assert!(equal_where(&a, &a, &mask));
        }

        #[test]
        fn ascii_is_told_from_the_rest(mut text in text(), at in 0..100usize) {
            text.retain(u8::is_ascii);
            prop_assert!(is_ascii(&text));
            if let Some(octet) = text.get_mut(at) {
                *octet |= 0x80;
                prop_assert!(!is_ascii(&text));
                let at = at.saturating_sub(3);
                prop_assert_eq!(is_ascii(&text[at..]), text[at..].is_ascii());
            }
        }

        #[cfg(target_arch = "x86_64")]
        #[test]
        fn the_plain_form_says_the_same(octets in prop::collection::vec(0..5u8, 16)) {
            let lane = octets.first_chunk().unwrap();
            prop_assert_eq!(equal(lane, 2), crate::plain::equal(lane, 2));
            let any = [1, 4, 9];
            prop_assert_eq!(equal_any(lane, any), crate::plain::equal_any(lane, any));
            let lanes = [*lane; 4];
            prop_assert_eq!(lanes::is_ascii(&lanes), crate::plain::is_ascii(&lanes));
            let other = [2; 16];
            prop_assert_eq!(
                lanes::equal_where(lane, &other, lane),
                crate::plain::equal_where(lane, &other, lane)
            );
        }
    }
}
