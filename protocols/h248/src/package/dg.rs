//! Basic DTMF generator package, H.248.1 E.5.

use super::{Item, Package, ParameterId, tonegen};

/// `dg`, version 1.
pub const PACKAGE: Package = Package {
    extends: Some(&tonegen::PACKAGE),
    signals: &[
        DIGIT_0, DIGIT_1, DIGIT_2, DIGIT_3, DIGIT_4, DIGIT_5, DIGIT_6, DIGIT_7, DIGIT_8, DIGIT_9,
        DIGIT_A, DIGIT_B, DIGIT_C, DIGIT_D, STAR, OCTOTHORPE,
    ],
    ..Package::new("dg", 0x0005, 1)
};

/// Signal: the digit 0.
pub const DIGIT_0: Item = Item::acting("dg", "d0", Some(0x0010), &[DIRECTION]);

/// Signal: the digit 1.
pub const DIGIT_1: Item = Item::acting("dg", "d1", Some(0x0011), &[DIRECTION]);

/// Signal: the digit 2.
pub const DIGIT_2: Item = Item::acting("dg", "d2", Some(0x0012), &[DIRECTION]);

/// Signal: the digit 3.
pub const DIGIT_3: Item = Item::acting("dg", "d3", Some(0x0013), &[DIRECTION]);

/// Signal: the digit 4.
pub const DIGIT_4: Item = Item::acting("dg", "d4", Some(0x0014), &[DIRECTION]);

/// Signal: the digit 5.
pub const DIGIT_5: Item = Item::acting("dg", "d5", Some(0x0015), &[DIRECTION]);

/// Signal: the digit 6.
pub const DIGIT_6: Item = Item::acting("dg", "d6", Some(0x0016), &[DIRECTION]);

/// Signal: the digit 7.
pub const DIGIT_7: Item = Item::acting("dg", "d7", Some(0x0017), &[DIRECTION]);

/// Signal: the digit 8.
pub const DIGIT_8: Item = Item::acting("dg", "d8", Some(0x0018), &[DIRECTION]);

/// Signal: the digit 9.
pub const DIGIT_9: Item = Item::acting("dg", "d9", Some(0x0019), &[DIRECTION]);

/// Signal: the digit A.
pub const DIGIT_A: Item = Item::acting("dg", "da", Some(0x001a), &[DIRECTION]);

/// Signal: the digit B.
pub const DIGIT_B: Item = Item::acting("dg", "db", Some(0x001b), &[DIRECTION]);

/// Signal: the digit C.
pub const DIGIT_C: Item = Item::acting("dg", "dc", Some(0x001c), &[DIRECTION]);

/// Signal: the digit D.
pub const DIGIT_D: Item = Item::acting("dg", "dd", Some(0x001d), &[DIRECTION]);

/// Signal: the star.
pub const STAR: Item = Item::acting("dg", "ds", Some(0x0020), &[DIRECTION]);

/// Signal: the number sign.
pub const OCTOTHORPE: Item = Item::acting("dg", "do", Some(0x0021), &[DIRECTION]);

/// Parameter of the digits: out of the context, into it, or both.
pub const DIRECTION: ParameterId = ParameterId::new("btd", 0x0001, tonegen::DIRECTION.value);
