//! The libraries allocate when a coder is made and not when it is used: `malloc` and its like are
//! ours in this program.

use std::cell::Cell;
use std::ffi::c_void;

use amr_sys::{narrow, wide};

thread_local! {
    static CALLS: Cell<u64> = const { Cell::new(0) };
}

unsafe extern "C" {
    fn __libc_malloc(size: usize) -> *mut c_void;
    fn __libc_calloc(count: usize, size: usize) -> *mut c_void;
    fn __libc_realloc(block: *mut c_void, size: usize) -> *mut c_void;
    fn __libc_free(block: *mut c_void);
}

fn count() {
    // A thread that ends frees its variables first, and then some more.
    let _ = CALLS.try_with(|calls| calls.set(calls.get() + 1));
}

#[unsafe(no_mangle)]
extern "C" fn malloc(size: usize) -> *mut c_void {
    count();
    // SAFETY: has no precondition.
    unsafe { __libc_malloc(size) }
}

#[unsafe(no_mangle)]
extern "C" fn calloc(number: usize, size: usize) -> *mut c_void {
    count();
    // SAFETY: has no precondition.
    unsafe { __libc_calloc(number, size) }
}

/// # Safety
/// As `realloc` of C.
#[unsafe(no_mangle)]
unsafe extern "C" fn realloc(block: *mut c_void, size: usize) -> *mut c_void {
    count();
    // SAFETY: passed on by the caller.
    unsafe { __libc_realloc(block, size) }
}

/// # Safety
/// As `free` of C.
#[unsafe(no_mangle)]
unsafe extern "C" fn free(block: *mut c_void) {
    count();
    // SAFETY: passed on by the caller.
    unsafe { __libc_free(block) }
}

fn calls(work: impl FnOnce()) -> u64 {
    let before = CALLS.get();
    work();
    CALLS.get() - before
}

fn noise(seed: &mut u32) -> i16 {
    *seed = seed.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
    (*seed >> 18) as i16
}

#[test]
fn frames_of_amr_allocate_nothing() {
    assert!(
        calls(|| drop(narrow::Encoder::new(true))) > 0,
        "it is counted"
    );
    for dtx in [false, true] {
        let mut encoder = narrow::Encoder::new(dtx).unwrap();
        let mut decoder = narrow::Decoder::new().unwrap();
        let mut seed = 1;
        let (mut frame, mut heard) = ([0; narrow::FRAME_BYTES_MAX], [0; narrow::FRAME_SAMPLES]);
        let counted = calls(|| {
            for index in 0..160_u8 {
                let loud = index < 80;
                let said = std::array::from_fn(|_| if loud { noise(&mut seed) } else { 0 });
                encoder.encode(index % 8, &said, &mut frame);
                decoder.decode(&frame, &mut heard);
            }
        });
        assert_eq!(counted, 0);
    }
}

#[test]
fn frames_of_amr_wb_allocate_nothing() {
    assert!(
        calls(|| drop(wide::Encoder::new(true))) > 0,
        "it is counted"
    );
    for dtx in [false, true] {
        let mut encoder = wide::Encoder::new(dtx).unwrap();
        let mut decoder = wide::Decoder::new().unwrap();
        let mut seed = 1;
        let (mut frame, mut heard) = ([0; wide::FRAME_BYTES_MAX], [0; wide::FRAME_SAMPLES]);
        let counted = calls(|| {
            for index in 0..160_u8 {
                let loud = index < 80;
                let said = std::array::from_fn(|_| if loud { noise(&mut seed) } else { 0 });
                encoder.encode(index % 9, &said, &mut frame);
                decoder.decode(&frame, &mut heard);
            }
        });
        assert_eq!(counted, 0);
    }
}
