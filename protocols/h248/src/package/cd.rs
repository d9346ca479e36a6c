//! Call progress tones detection package, H.248.1 E.8.

use super::{Item, Package, tonedet};

/// `cd`, version 1.
pub const PACKAGE: Package = Package {
    extends: Some(&tonedet::PACKAGE),
    events: &[
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
    ..Package::new("cd", 0x0008, 1)
};

/// Event: dial tone.
pub const DIAL_TONE: Item = Item::acting("cd", "dt", Some(0x0030), &[]);

/// Event: ringing tone.
pub const RINGING_TONE: Item = Item::acting("cd", "rt", Some(0x0031), &[]);

/// Event: busy tone.
pub const BUSY_TONE: Item = Item::acting("cd", "bt", Some(0x0032), &[]);

/// Event: congestion tone.
pub const CONGESTION_TONE: Item = Item::acting("cd", "ct", Some(0x0033), &[]);

/// Event: special information tone.
pub const SPECIAL_INFORMATION_TONE: Item = Item::acting("cd", "sit", Some(0x0034), &[]);

/// Event: (recording) warning tone.
pub const WARNING_TONE: Item = Item::acting("cd", "wt", Some(0x0035), &[]);

/// Event: payphone recognition tone.
pub const PAYPHONE_RECOGNITION_TONE: Item = Item::acting("cd", "prt", Some(0x0036), &[]);

/// Event: call waiting tone.
pub const CALL_WAITING_TONE: Item = Item::acting("cd", "cw", Some(0x0037), &[]);

/// Event: caller waiting tone.
pub const CALLER_WAITING_TONE: Item = Item::acting("cd", "cr", Some(0x0038), &[]);
