//! Telephone events of a flow, RFC 4733: what a media function is to report, and to send.

use std::time::Duration;

/// Telephone events of a path.
#[derive(Clone, Copy, PartialEq, Eq, Default, Debug)]
pub struct Tones {
    /// Those that come as this are reported, whatever the mode.
    pub detects: Option<EventFormat>,
    /// What is sent in the place of the packets that come, for as long as the path has it.
    pub plays: Option<PlayedTone>,
}

impl Tones {
    /// Neither.
    pub const NONE: Tones = Tones {
        detects: None,
        plays: None,
    };
}

/// How telephone events are carried.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct EventFormat {
    /// Their RTP payload type.
    pub payload_type: u8,
    /// Units of their timestamps and durations per second.
    pub clock_hz: u32,
}

/// A telephone event to send.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct PlayedTone {
    /// Another number is another tone, also if it is the same event.
    pub number: u64,
    /// The event, RFC 4733 3.2.
    pub code: u8,
    /// How it is sent.
    pub format: EventFormat,
}

/// A telephone event that came.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct DetectedTone {
    /// The event, RFC 4733 3.2.
    pub code: u8,
    /// How long it lasted, at its end; `None` at its beginning.
    pub lasted: Option<Duration>,
}
