//! Adaptive jitter buffer package, H.248.31; its items have no confirmed names.

package! {
    "ajb" 0x007a, version 1;
}
