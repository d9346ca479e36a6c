//! Conferencing tones generation package, H.248.27; its tones have no confirmed names.

package! {
    "conftn" 0x0038, version 1, extends tonegen;
}
