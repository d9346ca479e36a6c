//! DTMF detection package, H.248.1 E.6.

use super::{Item, Package, ParameterId, Type, tonedet};

/// `dd`, version 1.
pub const PACKAGE: Package = Package {
    extends: Some(&tonedet::PACKAGE),
    events: &[
        DIGIT_0,
        DIGIT_1,
        DIGIT_2,
        DIGIT_3,
        DIGIT_4,
        DIGIT_5,
        DIGIT_6,
        DIGIT_7,
        DIGIT_8,
        DIGIT_9,
        DIGIT_A,
        DIGIT_B,
        DIGIT_C,
        DIGIT_D,
        STAR,
        OCTOTHORPE,
        DIGIT_MAP_COMPLETION,
    ],
    ..Package::new("dd", 0x0006, 1)
};

/// Event: the digit 0.
pub const DIGIT_0: Item = Item::acting("dd", "d0", Some(0x0010), &[]);

/// Event: the digit 1.
pub const DIGIT_1: Item = Item::acting("dd", "d1", Some(0x0011), &[]);

/// Event: the digit 2.
pub const DIGIT_2: Item = Item::acting("dd", "d2", Some(0x0012), &[]);

/// Event: the digit 3.
pub const DIGIT_3: Item = Item::acting("dd", "d3", Some(0x0013), &[]);

/// Event: the digit 4.
pub const DIGIT_4: Item = Item::acting("dd", "d4", Some(0x0014), &[]);

/// Event: the digit 5.
pub const DIGIT_5: Item = Item::acting("dd", "d5", Some(0x0015), &[]);

/// Event: the digit 6.
pub const DIGIT_6: Item = Item::acting("dd", "d6", Some(0x0016), &[]);

/// Event: the digit 7.
pub const DIGIT_7: Item = Item::acting("dd", "d7", Some(0x0017), &[]);

/// Event: the digit 8.
pub const DIGIT_8: Item = Item::acting("dd", "d8", Some(0x0018), &[]);

/// Event: the digit 9.
pub const DIGIT_9: Item = Item::acting("dd", "d9", Some(0x0019), &[]);

/// Event: the digit A.
pub const DIGIT_A: Item = Item::acting("dd", "da", Some(0x001a), &[]);

/// Event: the digit B.
pub const DIGIT_B: Item = Item::acting("dd", "db", Some(0x001b), &[]);

/// Event: the digit C.
pub const DIGIT_C: Item = Item::acting("dd", "dc", Some(0x001c), &[]);

/// Event: the digit D.
pub const DIGIT_D: Item = Item::acting("dd", "dd", Some(0x001d), &[]);

/// Event: the star.
pub const STAR: Item = Item::acting("dd", "ds", Some(0x0020), &[]);

/// Event: the number sign.
pub const OCTOTHORPE: Item = Item::acting("dd", "do", Some(0x0021), &[]);

/// Event: digits match the digit map, or no longer can.
pub const DIGIT_MAP_COMPLETION: Item = Item::acting(
    "dd",
    "ce",
    Some(0x0004),
    &[DIGIT_STRING, TERMINATION_METHOD],
);

/// Parameter of [`DIGIT_MAP_COMPLETION`]: the digits.
pub const DIGIT_STRING: ParameterId = ParameterId::new("ds", 0x0001, Type::String);

/// Parameter of [`DIGIT_MAP_COMPLETION`]: unambiguous, partial or full match.
pub const TERMINATION_METHOD: ParameterId = ParameterId::new(
    "Meth",
    0x0003,
    Type::Enumeration(&[("UM", 1), ("PM", 2), ("FM", 3)]),
);
