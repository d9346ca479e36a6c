//! 3GUP package, TS 29.232 15.1.1: the user plane of Iu and Nb.

use super::Type;

package! {
    "threegup" 0x002f, version 1;
    properties {
        /// Property: transparent, or support for predefined SDU sizes.
        MODE = "mode" 0x0001: Type::Enumeration(&[("Trans", 1), ("Supp", 2)]);
        /// Property: versions of the user plane, a list of 1 to 16.
        VERSIONS = "upversions" 0x0002: Type::Integer, in 1..=16;
        /// Property: whether erroneous SDUs are delivered.
        DELIVERY_OF_ERRONEOUS_SDUS = "delerrsdu" 0x0003:
            Type::Enumeration(&[("Yes", 1), ("No", 2), ("NA", 3)]);
        /// Property: Iu or Nb.
        INTERFACE = "interface" 0x0004: Type::Enumeration(&[("RAN", 1), ("CN", 2)]);
        /// Property: who initialises the user plane.
        INITIALISATION_DIRECTION = "initdir" 0x0005:
            Type::Enumeration(&[("In", 1), ("Out", 2)]);
    }
}
