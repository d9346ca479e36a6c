//! Advanced audio server base package, H.248.9; its items have no confirmed names.

package! {
    "aasb" 0x0033, version 1;
}
