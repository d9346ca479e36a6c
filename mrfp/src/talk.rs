//! Who talks, for those who asked to be told.

/// News of a stream: it goes to the mg thread with what has changed, and comes back to take what
/// changes next. So there is one of each stream on its way at most, and it says what holds then.
pub(crate) struct TalkNews {
    pub slot: u32,
    /// Who asked for it: news for those who ask no more are thrown away.
    pub ticket: u64,
    pub is_talking: bool,
    pub is_dominant: bool,
    /// How loud, when it was sent.
    pub level_dbov: i8,
}

impl TalkNews {
    /// Nothing is known yet.
    pub fn new(slot: u32, ticket: u64) -> Self {
        Self {
            slot,
            ticket,
            is_talking: false,
            is_dominant: false,
            level_dbov: 0,
        }
    }
}

/// Whether somebody talks, over syllables and pauses.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Talk {
    is_on: bool,
    /// Ticks that say otherwise, in a row.
    against: u32,
}

impl Talk {
    /// A tick passed, with speech or without.
    pub fn tick(&mut self, has_speech: bool) {
        if has_speech == self.is_on {
            self.against = 0;
            return;
        }
        self.against += 1;
        let enough = match self.is_on {
            true => PAUSE_TICKS,
            false => SPEECH_TICKS,
        };
        if self.against >= enough {
            self.is_on = !self.is_on;
            self.against = 0;
        }
    }

    /// Somebody talks.
    pub fn is_on(self) -> bool {
        self.is_on
    }
}

/// So long a noise is speech: 100 ms.
const SPEECH_TICKS: u32 = 5;

/// So long a pause ends what was said: half a second.
const PAUSE_TICKS: u32 = 25;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_click_is_no_speech_and_a_breath_no_silence() {
        let mut talk = Talk::default();
        let mut pass = |has_speech, ticks| {
            for _ in 0..ticks {
                talk.tick(has_speech);
            }
            talk.is_on()
        };
        assert!(!pass(true, 4));
        assert!(!pass(false, 1));
        assert!(!pass(true, 4));
        assert!(pass(true, 1));
        assert!(pass(false, 24));
        assert!(pass(true, 1));
        assert!(pass(false, 24));
        assert!(!pass(false, 1));
    }
}
