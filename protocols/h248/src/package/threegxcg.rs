//! 3G expanded call progress tones generator package, TS 29.232 15.2.3; its own tones have no
//! confirmed names.

package! {
    "threegxcg" 0x0032, version 1, extends xcg;
}
