//! The same as loops, for processors without a form of their own.

/// Bit `i` is set where octet `i` is `byte`.
#[inline]
pub(crate) fn equal(lane: &[u8; 16], byte: u8) -> u16 {
    equal_any(lane, [byte])
}

/// True when no octet of the block has its highest bit set.
#[inline]
pub(crate) fn is_ascii(lanes: &[[u8; 16]; 4]) -> bool {
    lanes.as_flattened().is_ascii()
}

/// Bit `i` is set where octet `i` is one of `bytes`.
#[inline]
pub(crate) fn equal_any<const N: usize>(lane: &[u8; 16], bytes: [u8; N]) -> u16 {
    let bit = |(i, octet): (usize, &u8)| u16::from(bytes.contains(octet)) << i;
    lane.iter().enumerate().map(bit).sum()
}

/// True when `a` and `b` have the same bits wherever `mask` has ones.
#[inline]
pub(crate) fn equal_where(a: &[u8; 16], b: &[u8; 16], mask: &[u8; 16]) -> bool {
    a.iter()
        .zip(b)
        .zip(mask)
        .all(|((a, b), mask)| (a ^ b) & mask == 0)
}
