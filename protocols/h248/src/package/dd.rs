//! DTMF detection package, H.248.1 E.6.

use super::Type;

package! {
    "dd" 0x0006, version 1, extends tonedet;
    events {
        /// Event: digits match the digit map, or no longer can.
        DIGIT_MAP_COMPLETION = "ce" 0x0004 (DIGIT_STRING, TERMINATION_METHOD);
        /// Event: the digit 0.
        DIGIT_0 = "d0" 0x0010 ();
        /// Event: the digit 1.
        DIGIT_1 = "d1" 0x0011 ();
        /// Event: the digit 2.
        DIGIT_2 = "d2" 0x0012 ();
        /// Event: the digit 3.
        DIGIT_3 = "d3" 0x0013 ();
        /// Event: the digit 4.
        DIGIT_4 = "d4" 0x0014 ();
        /// Event: the digit 5.
        DIGIT_5 = "d5" 0x0015 ();
        /// Event: the digit 6.
        DIGIT_6 = "d6" 0x0016 ();
        /// Event: the digit 7.
        DIGIT_7 = "d7" 0x0017 ();
        /// Event: the digit 8.
        DIGIT_8 = "d8" 0x0018 ();
        /// Event: the digit 9.
        DIGIT_9 = "d9" 0x0019 ();
        /// Event: the digit A.
        DIGIT_A = "da" 0x001a ();
        /// Event: the digit B.
        DIGIT_B = "db" 0x001b ();
        /// Event: the digit C.
        DIGIT_C = "dc" 0x001c ();
        /// Event: the digit D.
        DIGIT_D = "dd" 0x001d ();
        /// Event: the star.
        STAR = "ds" 0x0020 ();
        /// Event: the number sign.
        OCTOTHORPE = "do" 0x0021 ();
    }
    parameters {
        /// Parameter of [`DIGIT_MAP_COMPLETION`]: the digits.
        DIGIT_STRING = "ds" 0x0001: Type::String;
        /// Parameter of [`DIGIT_MAP_COMPLETION`]: unambiguous, partial or full match.
        TERMINATION_METHOD = "Meth" 0x0003:
            Type::Enumeration(&[("UM", 1), ("PM", 2), ("FM", 3)]);
    }
}
