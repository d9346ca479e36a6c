//! AAS segment management package, H.248.9; its items have no confirmed names.

package! {
    "aassm" 0x0036, version 1, extends aasb;
}
