//! AAS digit collection package, H.248.9; its items have no confirmed names.

package! {
    "aasdc" 0x0034, version 1, extends aasb;
}
