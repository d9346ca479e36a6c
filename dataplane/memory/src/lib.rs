//! Large tables that are looked at once in a while: the pages they lie in, and reading ahead.
//!
//! A packet touches a few lines of tables that do not fit into the caches. Two things make that
//! cheap: pages so large that the processor knows where all of them are, and asking for the lines
//! of a burst before the first is needed. Both are advice: nothing but speed depends on them.
//!
//! ```
//! let table = vec![[0_u64; 8]; 100_000];
//! memory::use_huge_pages(&table);
//! for index in [7, 70_000] {
//!     memory::prefetch(&table[index]);
//! }
//! ```

/// Asks the processor to read all lines of a value ahead, which it may refuse.
#[inline(always)]
pub fn prefetch<T>(value: &T) {
    prefetch_lines(value, size_of::<T>().div_ceil(LINE_BYTES));
    if align_of::<T>() < LINE_BYTES && size_of::<T>() > align_of::<T>() {
        // It may begin within a line, and then end in one more.
        let last = std::ptr::from_ref(value).cast::<u8>();
        prefetch_line(last.wrapping_add(size_of::<T>() - 1));
    }
}

/// The same for so many lines from the beginning of a value on.
#[inline(always)]
pub fn prefetch_lines<T: ?Sized>(value: &T, lines: usize) {
    let start = std::ptr::from_ref(value).cast::<u8>();
    for line in 0..lines {
        prefetch_line(start.wrapping_add(line * LINE_BYTES));
    }
}

#[cfg(target_arch = "x86_64")]
#[inline(always)]
fn prefetch_line(address: *const u8) {
    use std::arch::x86_64::{_MM_HINT_T0, _mm_prefetch};
    // SAFETY: the instruction is in every x86-64 processor, and it reads nothing that a program
    // sees: an address that cannot be read is passed over.
    unsafe { _mm_prefetch::<_MM_HINT_T0>(address.cast()) }
}

#[cfg(not(target_arch = "x86_64"))]
#[inline(always)]
fn prefetch_line(_: *const u8) {}

/// Asks the kernel to keep a table in huge pages from now on, and to move what there is of it.
///
/// A table smaller than a huge page is left alone. False when the kernel does not do it: it has no
/// such pages, or none free.
pub fn use_huge_pages<T>(table: &[T]) -> bool {
    let start = table.as_ptr() as usize;
    let end = start + size_of_val(table);
    let first = start.next_multiple_of(PAGE_BYTES);
    let last = end - end % PAGE_BYTES;
    if first + HUGE_PAGE_BYTES > last {
        return false;
    }
    [libc::MADV_HUGEPAGE, libc::MADV_COLLAPSE]
        .into_iter()
        .all(|advice| advise(first, last - first, advice))
}

fn advise(start: usize, bytes: usize, advice: libc::c_int) -> bool {
    // SAFETY: the range is whole pages of memory that the caller has borrowed, and both pieces of
    // advice leave its contents as they are.
    let result = unsafe { libc::madvise(start as *mut libc::c_void, bytes, advice) };
    result == 0
}

/// What memory is read by.
pub const LINE_BYTES: usize = 64;

/// The smallest page of any system that we run on; advice about less is refused.
const PAGE_BYTES: usize = 4096;

const HUGE_PAGE_BYTES: usize = 2 << 20;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_lies_in_huge_pages_is_what_was_there() {
        let table: Vec<u64> = (0..2_000_000).collect();
        // Whether there are any is the machine's affair.
        let _ = use_huge_pages(&table);
        assert!(table.iter().copied().eq(0..2_000_000));
    }

    #[test]
    fn small_and_empty_tables_are_left_alone() {
        assert!(!use_huge_pages::<u8>(&[]));
        assert!(!use_huge_pages(&[7_u8; 5000]));
        assert!(!use_huge_pages(&[(); 5_000_000]));
    }

    #[test]
    fn anything_can_be_read_ahead() {
        prefetch(&());
        prefetch(&[0_u8; 1000]);
        prefetch_lines::<[u8]>(&[], 4);
    }
}
