//! What a media plane plays and records: tones, announcements, recordings.

use std::time::Duration;

/// Something that is played or recorded at a leg.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Performance {
    /// A tone of `cg` (H.248.1 E.7), `xcg` or `srvtn` (Q.1950 A.9, A.10), by its name there. It
    /// sounds until it is stopped.
    Tone(&'static str),
    /// An announcement.
    Announcement(Announcement),
    /// A recording.
    Recording(Recording),
}

/// An announcement, as `an` (H.248.7) and `aasb` (H.248.9) describe it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Announcement {
    /// What.
    pub what: Announced,
    /// How often; `None` until it is stopped.
    pub cycles: Option<u32>,
    /// Silence between two cycles.
    pub interval: Duration,
    /// Where in it to begin.
    pub offset: Duration,
    /// How much louder.
    pub volume_db: i32,
}

/// What is announced.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Announced {
    /// What is provisioned under a number, `an/apf`.
    Fixed {
        /// The number.
        number: u32,
        /// Language or another variant; empty for none.
        variant: String,
    },
    /// The same with a number in it, `an/apv`.
    Variable {
        /// Which announcement.
        number: u32,
        /// Language or another variant; empty for none.
        variant: String,
        /// The number in it.
        value: u32,
        /// What kind of number that is; 0 without.
        interpretation: u32,
        /// More of the kind; empty for nothing.
        specific: String,
    },
    /// What announcement syntax says, H.248.9 6.
    Syntax(String),
}

/// A recording, as `aasrec` (H.248.9 10) describes it.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Recording {
    /// What it is called.
    pub name: String,
    /// How long speech is waited for.
    pub pre_speech: Option<Duration>,
    /// The silence after speech that ends it.
    pub post_speech: Option<Duration>,
    /// How long it may be.
    pub length: Option<Duration>,
}

/// How a performance came to its end.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Performed {
    /// Why.
    pub ending: Ending,
    /// How long it lasted: what was played, or what is in the recording.
    pub lasted: Duration,
}

/// Why a performance came to its end.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Ending {
    /// It is all played; of a recording: it was to be ended, and is kept.
    Complete,
    /// A recording: silence followed what was said.
    Silence,
    /// A recording: nothing was said in time, and nothing is kept.
    NoSpeech,
    /// A recording: it is as long as it may be.
    Length,
    /// It cannot be played or recorded, or not further: an error code of H.248.8.
    Failed(u16),
}
