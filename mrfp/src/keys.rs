//! Keys that pass from one of two streams to the other, each in the way that it takes them.

use media::TelephoneEvent;
use media::dtmf::Remover;

/// What becomes of the keys that come to a stream.
pub(crate) struct Keys {
    pub plan: KeyPlan,
    /// Takes them out of speech.
    pub remover: Option<Box<Remover>>,
}

/// The same, as decided.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct KeyPlan {
    /// They are passed on.
    pub passes: bool,
    /// Those that come as events sound, since the other takes no events.
    pub sounds: bool,
    /// Those within speech are taken out and become events.
    pub removes: bool,
}

impl KeyPlan {
    /// For one of two that hear each other and none else: what it sends, and what the other takes.
    pub fn between(sends_events: bool, takes_events: bool) -> Self {
        Self {
            passes: takes_events,
            sounds: !takes_events,
            removes: takes_events && !sends_events,
        }
    }
}

/// Keys that came in this tick.
#[derive(Debug, Default)]
pub(crate) struct Passing {
    keys: [Option<TelephoneEvent>; PASSING_MAX],
    len: usize,
}

impl Passing {
    /// Adds one; what is too much is lost.
    pub fn push(&mut self, key: TelephoneEvent) {
        if let Some(place) = self.keys.get_mut(self.len) {
            *place = Some(key);
            self.len += 1;
        }
    }

    /// Takes them all.
    pub fn take(&mut self) -> impl Iterator<Item = TelephoneEvent> + use<> {
        std::mem::take(self).keys.into_iter().flatten()
    }
}

/// The end of one and the beginning of another come in a tick, and a few more where packets come
/// late.
const PASSING_MAX: usize = 8;
