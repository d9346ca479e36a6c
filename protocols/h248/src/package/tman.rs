//! Traffic management package, H.248.53: policing of what is received.

use super::Type;

package! {
    "tman" 0x008d, version 1;
    properties {
        /// Property: packets beyond the rates are dropped.
        POLICING = "pol" _: Type::Boolean, default "OFF";
        /// Property: peak data rate in octets per second.
        PEAK_DATA_RATE = "pdr" _: Type::Integer, in 0..=2147483647;
        /// Property: delay variation tolerance.
        DELAY_VARIATION_TOLERANCE = "dvt" _: Type::Integer, in 0..=2147483647;
        /// Property: sustainable data rate in octets per second.
        SUSTAINABLE_DATA_RATE = "sdr" _: Type::Integer, in 0..=2147483647;
        /// Property: maximum burst size in octets.
        MAXIMUM_BURST_SIZE = "mbs" _: Type::Integer, in 0..=2147483647;
    }
}
