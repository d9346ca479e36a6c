//! Call progress tones generator package, H.248.1 E.7.

use super::{Item, Package, ParameterId, tonegen};

/// `cg`, version 1.
pub const PACKAGE: Package = Package {
    extends: Some(&tonegen::PACKAGE),
    signals: &[
        DIAL_TONE,
        RINGING_TONE,
        BUSY_TONE,
        CONGESTION_TONE,
        SPECIAL_INFORMATION_TONE,
        WARNING_TONE,
        PAYPHONE_RECOGNITION_TONE,
        CALL_WAITING_TONE,
        CALLER_WAITING_TONE,
    ],
    ..Package::new("cg", 0x0007, 1)
};

/// Signal: dial tone.
pub const DIAL_TONE: Item = Item::acting("cg", "dt", Some(0x0030), &[DIRECTION]);

/// Signal: ringing tone.
pub const RINGING_TONE: Item = Item::acting("cg", "rt", Some(0x0031), &[DIRECTION]);

/// Signal: busy tone.
pub const BUSY_TONE: Item = Item::acting("cg", "bt", Some(0x0032), &[DIRECTION]);

/// Signal: congestion tone.
pub const CONGESTION_TONE: Item = Item::acting("cg", "ct", Some(0x0033), &[DIRECTION]);

/// Signal: special information tone.
pub const SPECIAL_INFORMATION_TONE: Item = Item::acting("cg", "sit", Some(0x0034), &[DIRECTION]);

/// Signal: (recording) warning tone.
pub const WARNING_TONE: Item = Item::acting("cg", "wt", Some(0x0035), &[DIRECTION]);

/// Signal: payphone recognition tone.
pub const PAYPHONE_RECOGNITION_TONE: Item = Item::acting("cg", "prt", Some(0x0036), &[DIRECTION]);

/// Signal: call waiting tone.
pub const CALL_WAITING_TONE: Item = Item::acting("cg", "cw", Some(0x0037), &[DIRECTION]);

/// Signal: caller waiting tone.
pub const CALLER_WAITING_TONE: Item = Item::acting("cg", "cr", Some(0x0038), &[DIRECTION]);

/// Parameter of the tones: out of the context, into it, or both.
pub const DIRECTION: ParameterId = ParameterId::text_only("btd", tonegen::DIRECTION.value);
