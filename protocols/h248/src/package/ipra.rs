//! IP realm availability package, H.248.41 Amendment 1; its items have no confirmed names.

package! {
    "ipra" 0x00e0, version 1;
}
