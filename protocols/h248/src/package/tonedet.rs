//! Tone detection package, H.248.1 E.4.

use super::{Item, Package, ParameterId, Type, tonegen};

/// `tonedet`, version 1.
pub const PACKAGE: Package = Package {
    events: &[START, END, LONG],
    ..Package::new("tonedet", 0x0004, 1)
};

/// Event: a tone starts.
pub const START: Item = Item::acting("tonedet", "std", Some(0x0001), &[TONE_LIST, TONE]);

/// Event: a tone ended.
pub const END: Item = Item::acting("tonedet", "etd", Some(0x0002), &[TONE_LIST, DURATION, TONE]);

/// Event: a tone lasts.
pub const LONG: Item = Item::acting("tonedet", "ltd", Some(0x0003), &[TONE_LIST, DURATION, TONE]);

/// Parameter: tones to detect.
pub const TONE_LIST: ParameterId = ParameterId::new("tl", 0x0001, Type::List(&tonegen::TONES));

/// Parameter: how long, in ms.
pub const DURATION: ParameterId = ParameterId::new("dur", 0x0002, Type::Integer);

/// Parameter: the tone that was detected.
pub const TONE: ParameterId = ParameterId::new("tid", 0x0003, tonegen::TONES);
