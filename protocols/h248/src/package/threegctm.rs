//! CTM text transport package, TS 29.232 15.2.6; its items have no confirmed names.

package! {
    "threegctm" 0x0068, version 1;
}
