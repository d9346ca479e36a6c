//! Sixteen octets at a time with SSE2.

use std::arch::x86_64::{
    __m128i, _mm_and_si128, _mm_cmpeq_epi8, _mm_loadu_si128, _mm_movemask_epi8, _mm_or_si128,
    _mm_set1_epi8, _mm_xor_si128,
};

/// Bit `i` is set where octet `i` is `byte`.
#[inline]
pub(crate) fn equal(lane: &[u8; 16], byte: u8) -> u16 {
    // SAFETY: `equal_sse2` wants SSE2, which is part of x86-64.
    unsafe { equal_sse2(lane, byte) }
}

/// True when no octet of the block has its highest bit set.
#[inline]
pub(crate) fn is_ascii(lanes: &[[u8; 16]; 4]) -> bool {
    // SAFETY: `is_ascii_sse2` wants SSE2, which is part of x86-64.
    unsafe { is_ascii_sse2(lanes) }
}

/// True when `a` and `b` have the same bits wherever `mask` has ones.
#[inline]
pub(crate) fn equal_where(a: &[u8; 16], b: &[u8; 16], mask: &[u8; 16]) -> bool {
    // SAFETY: `equal_where_sse2` wants SSE2, which is part of x86-64.
    unsafe { equal_where_sse2(a, b, mask) }
}

/// Bit `i` is set where octet `i` is one of `bytes`.
#[inline]
pub(crate) fn equal_any<const N: usize>(lane: &[u8; 16], bytes: [u8; N]) -> u16 {
    // SAFETY: `equal_any_sse2` wants SSE2, which is part of x86-64.
    unsafe { equal_any_sse2(lane, bytes) }
}

#[inline]
#[target_feature(enable = "sse2")]
fn equal_sse2(lane: &[u8; 16], byte: u8) -> u16 {
    let found = _mm_cmpeq_epi8(load(lane), _mm_set1_epi8(byte as i8));
    _mm_movemask_epi8(found) as u16
}

#[inline]
#[target_feature(enable = "sse2")]
fn equal_any_sse2<const N: usize>(lane: &[u8; 16], bytes: [u8; N]) -> u16 {
    let lane = load(lane);
    let mut found = _mm_set1_epi8(0);
    for byte in bytes {
        found = _mm_or_si128(found, _mm_cmpeq_epi8(lane, _mm_set1_epi8(byte as i8)));
    }
    _mm_movemask_epi8(found) as u16
}

#[inline]
#[target_feature(enable = "sse2")]
fn is_ascii_sse2([a, b, c, d]: &[[u8; 16]; 4]) -> bool {
    let all = _mm_or_si128(
        _mm_or_si128(load(a), load(b)),
        _mm_or_si128(load(c), load(d)),
    );
    _mm_movemask_epi8(all) == 0
}

#[inline]
#[target_feature(enable = "sse2")]
fn equal_where_sse2(a: &[u8; 16], b: &[u8; 16], mask: &[u8; 16]) -> bool {
    let differs = _mm_and_si128(_mm_xor_si128(load(a), load(b)), load(mask));
    let same = _mm_cmpeq_epi8(differs, _mm_set1_epi8(0));
    _mm_movemask_epi8(same) == 0xffff
}

#[inline]
#[target_feature(enable = "sse2")]
fn load(lane: &[u8; 16]) -> __m128i {
    // SAFETY: the load reads sixteen octets from the pointer, which are those of `lane`, and wants
    // no alignment.
    unsafe { _mm_loadu_si128(lane.as_ptr().cast()) }
}
