//! What parsers of text protocols need from the vector unit: finding octets sixteen at a time, and
//! octets known to be UTF-8 so that no view of them is checked again.
//!
//! SSE2, which every x86-64 has, is used there; elsewhere the same functions are plain loops. The
//! functions inline: for the short runs of a header line that is what makes them quicker than a
//! dispatched `memchr`.
//!
//! ```
//! use simd::{Checked, find, matches};
//!
//! assert_eq!(find(b"Call-ID: 7", b':'), Some(7));
//! assert_eq!(matches(&[b'\n'; 64], b'\n'), u64::MAX);
//! let text = Checked::new(b"Via: a\r\n\r\n\xff".to_vec(), 10).unwrap();
//! assert_eq!(text.str(5..6), "a");
//! ```

mod checked;
mod find;
#[cfg_attr(target_arch = "x86_64", path = "sse2.rs")]
#[cfg_attr(not(target_arch = "x86_64"), path = "plain.rs")]
mod lanes;
// The plain form is built and tested everywhere.
#[cfg(all(test, target_arch = "x86_64"))]
mod plain;

pub use checked::Checked;
pub use find::{BLOCK, equal_where, find, find_3, find_32, is_ascii, matches};
