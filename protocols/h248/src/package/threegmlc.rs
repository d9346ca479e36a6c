//! 3G modification of link characteristics package, TS 29.232 15.2.4.

package! {
    "threegmlc" 0x0046, version 1;
    events {
        /// Event: whether the bearer can be modified.
        MODIFICATION_SUPPORT = "mod_link_supp" 0x0001 ();
    }
}
