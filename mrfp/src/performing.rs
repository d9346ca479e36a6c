//! What is played or recorded at a stream, on the worker.

use std::time::Duration;

use audio::{Cause, Player, Recorded, Recorder};
use media::TICK;
use media::tone::ToneGenerator;

/// Something that is played or recorded. It goes back to the mg thread when it has ended.
pub(crate) struct Performing {
    pub slot: u32,
    pub number: u64,
    /// To the remote side, or what comes from there.
    pub outward: bool,
    /// To the others of the room, or what they say.
    pub inward: bool,
    pub what: What,
    /// How long it has lasted.
    pub lasted: Duration,
    /// It has ended, or was ended.
    pub is_over: bool,
}

/// What it is.
pub(crate) enum What {
    Tone(Box<ToneGenerator>),
    Announcement(Box<Player>),
    Recording(Box<Recorder>),
}

impl Performing {
    /// True when it sounds.
    pub fn is_sound(&self) -> bool {
        !matches!(self.what, What::Recording(_))
    }

    /// The next tick of what sounds; silence from its end on.
    pub fn sound(&mut self, out: &mut [i16]) {
        match &mut self.what {
            _ if self.is_over => return out.fill(0),
            What::Tone(generator) => {
                generator.fill(out);
                self.is_over = generator.is_done();
            }
            What::Announcement(player) => self.is_over = player.pull(out).is_over,
            What::Recording(_) => return out.fill(0),
        }
        self.lasted += TICK;
    }

    /// Takes a tick of each track that is recorded.
    pub fn record(&mut self, tracks: &[&[i16]]) {
        if let What::Recording(recorder) = &mut self.what
            && !self.is_over
        {
            self.is_over = matches!(recorder.push(tracks), Recorded::Ended(_));
            self.lasted += TICK;
        }
    }

    /// Ends: a sound softly and as if by itself, or at once.
    pub fn end(&mut self, is_finishing: bool) {
        match &mut self.what {
            What::Tone(generator) if is_finishing => generator.stop(),
            What::Announcement(player) if is_finishing => player.stop(),
            What::Recording(recorder) => {
                recorder.finish(if is_finishing {
                    Cause::Key
                } else {
                    Cause::Stopped
                });
                self.is_over = true;
            }
            _ => self.is_over = true,
        }
    }
}
