//! Identities of people in logs.

use std::fmt;
use std::sync::atomic::{AtomicBool, Ordering};

static VISIBLE: AtomicBool = AtomicBool::new(false);

/// An identity (IMPU, IMPI, MSISDN, address of a UE) on its way into a log line.
///
/// Prints a stable 32-bit digest in place of the text, so that lines about one user can still be
/// joined, unless the operator asked for plain identities ([`set_pii_visible`]).
pub struct Pii<T>(pub T);

/// Makes [`Pii`] print identities in the clear. The process sets it once at start, from its
/// configuration.
pub fn set_pii_visible(visible: bool) {
    VISIBLE.store(visible, Ordering::Relaxed);
}

impl<T: fmt::Display> fmt::Display for Pii<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if VISIBLE.load(Ordering::Relaxed) {
            return self.0.fmt(f);
        }
        write!(f, "~{:08x}", fnv1a(self.0.to_string().as_bytes()))
    }
}

impl<T: fmt::Display> fmt::Debug for Pii<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

fn fnv1a(bytes: &[u8]) -> u32 {
    bytes.iter().fold(0x811c_9dc5, |hash, &byte| {
        (hash ^ u32::from(byte)).wrapping_mul(0x0100_0193)
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn identities_are_digested_by_default() {
        let line = Pii("sip:alice@ims.test").to_string();
        assert!(!line.contains("alice"));
        assert_eq!(line, Pii("sip:alice@ims.test").to_string());
    }
}
