//! What the journal says of itself.

use serde::Serialize;

/// State of a journal that loses nothing.
const IN_ORDER: &str = "in order";

/// The state of the journal.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct JournalStatus {
    /// `in order`, or why what is kept now would be lost in a restart.
    pub state: String,
    /// Octets of all segments.
    pub octets: u64,
    /// Octets of these that a restart would read and use.
    pub live_octets: u64,
    /// Values that a restart would find.
    pub records: usize,
    /// Segments.
    pub segments: usize,
    /// Octets on their way to the disk.
    pub waiting_octets: u64,
    /// Operations of the disk that failed since the start.
    pub failures: u64,
    /// How often everything was put anew since the start, because records had been lost.
    pub statements: u64,
}

impl JournalStatus {
    /// Whether a restart would lose nothing.
    pub fn is_in_order(&self) -> bool {
        self.state == IN_ORDER
    }

    /// Says that a restart would lose nothing.
    pub(super) fn in_order() -> Self {
        Self {
            state: IN_ORDER.to_owned(),
            ..Self::default()
        }
    }
}
