//! Basic DTMF generator package, H.248.1 E.5.

use super::tonegen;

package! {
    "dg" 0x0005, version 1, extends tonegen;
    signals {
        /// Signal: the digit 0.
        DIGIT_0 = "d0" 0x0010 (DIRECTION);
        /// Signal: the digit 1.
        DIGIT_1 = "d1" 0x0011 (DIRECTION);
        /// Signal: the digit 2.
        DIGIT_2 = "d2" 0x0012 (DIRECTION);
        /// Signal: the digit 3.
        DIGIT_3 = "d3" 0x0013 (DIRECTION);
        /// Signal: the digit 4.
        DIGIT_4 = "d4" 0x0014 (DIRECTION);
        /// Signal: the digit 5.
        DIGIT_5 = "d5" 0x0015 (DIRECTION);
        /// Signal: the digit 6.
        DIGIT_6 = "d6" 0x0016 (DIRECTION);
        /// Signal: the digit 7.
        DIGIT_7 = "d7" 0x0017 (DIRECTION);
        /// Signal: the digit 8.
        DIGIT_8 = "d8" 0x0018 (DIRECTION);
        /// Signal: the digit 9.
        DIGIT_9 = "d9" 0x0019 (DIRECTION);
        /// Signal: the digit A.
        DIGIT_A = "da" 0x001a (DIRECTION);
        /// Signal: the digit B.
        DIGIT_B = "db" 0x001b (DIRECTION);
        /// Signal: the digit C.
        DIGIT_C = "dc" 0x001c (DIRECTION);
        /// Signal: the digit D.
        DIGIT_D = "dd" 0x001d (DIRECTION);
        /// Signal: the star.
        STAR = "ds" 0x0020 (DIRECTION);
        /// Signal: the number sign.
        OCTOTHORPE = "do" 0x0021 (DIRECTION);
    }
    parameters {
        /// Parameter of the digits: out of the context, into it, or both.
        DIRECTION = "btd" 0x0001: tonegen::DIRECTIONS, default "ext";
    }
}
