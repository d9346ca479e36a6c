//! Media gateway overload control package, H.248.11.

package! {
    "ocp" 0x0051, version 1;
    events {
        /// Event on ROOT: the gateway is overloaded; at most once for each command that is.
        OVERLOAD = "mg_overload" _ ();
    }
}
