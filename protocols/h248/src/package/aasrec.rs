//! AAS recording package, H.248.9; its items have no confirmed names.

package! {
    "aasrec" 0x0035, version 1, extends aasb;
}
