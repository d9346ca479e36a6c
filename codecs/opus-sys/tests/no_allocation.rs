//! The library allocates when a coder is made and not when it is used: `malloc` and its like are
//! ours in this program.

use std::cell::Cell;
use std::ffi::c_void;

use opus_sys::{Decoder, Encoder, Setting};

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
fn packets_of_opus_allocate_nothing() {
    assert!(calls(|| drop(Encoder::new(48_000))) > 0, "it is counted");
    for rate in [8_000, 48_000] {
        let mut encoder = Encoder::new(rate).unwrap();
        encoder.set(Setting::Complexity(10)).unwrap();
        encoder.set(Setting::InBandFec(true)).unwrap();
        encoder.set(Setting::LossPercent(20)).unwrap();
        encoder.set(Setting::Dtx(true)).unwrap();
        let mut decoder = Decoder::new(rate).unwrap();
        let mut seed = 1;
        let (mut said, mut heard) = ([0; 960], [0; 960]);
        let frame = rate as usize / 50;
        let (said, heard) = (&mut said[..frame], &mut heard[..frame]);
        let mut payload = [0; 1_500];
        let counted = calls(|| {
            for index in 0..60 {
                said.fill_with(|| if index < 30 { noise(&mut seed) } else { 0 });
                let bit_rate = if index % 10 < 5 { 12_000 } else { 64_000 };
                encoder.set(Setting::BitRate(bit_rate)).unwrap();
                let len = encoder.encode(said, &mut payload).unwrap();
                match index % 7 {
                    5 => decoder.conceal(heard).unwrap(),
                    6 => decoder.recover(&payload[..len], heard).unwrap(),
                    _ => decoder.decode(&payload[..len], heard).unwrap(),
                };
            }
        });
        assert_eq!(counted, 0);
    }
}
