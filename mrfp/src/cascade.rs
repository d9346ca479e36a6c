//! What the parts of a room say to each other that is spread over several workers.

use media::mix::ramp;
use rtrb::{Consumer, Producer, RingBuffer};

/// One end of what joins two parts: each says its loudest to the other, tick by tick, and hears
/// what the other said [`DELAY_TICKS`] ago. So a talker is heard by all that much later at most,
/// each part chooses among all who talk in the room, and nobody hears itself.
///
/// Buffers go to and fro: nothing is allocated after [`Link::pair`].
pub(crate) struct Link {
    to: Producer<Box<Share>>,
    spare: Consumer<Box<Share>>,
    from: Consumer<Box<Share>>,
    used: Producer<Box<Share>>,
    /// What is heard in this tick.
    heard: Option<Box<Share>>,
    /// That was heard before, and fades.
    is_fading: bool,
    /// Something has been heard: from then on what is not there is missed.
    has_begun: bool,
}

/// What a part says in a tick.
pub(crate) struct Share {
    tick: u64,
    len: usize,
    said: [Said; SAID_MAX],
}

/// One who says something.
pub(crate) struct Said {
    pub slot: u32,
    pub loudness_dbov: f32,
    pub is_talking: bool,
    pub samples: Box<[i16]>,
}

/// Talkers of one part that the others hear of.
pub(crate) const SAID_MAX: usize = 4;

/// Ticks from when something is said in one part until it is heard in another: their ticks begin
/// at any time within 20 ms of each other, and may be late.
pub(crate) const DELAY_TICKS: u64 = 2;

/// Ticks that may be on their way.
const WAITING_MAX: usize = DELAY_TICKS as usize + 2;

/// What became of the share that is due.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Due {
    /// It is heard.
    Heard,
    /// It came too late or not at all.
    Missed,
    /// The other part has not begun.
    Waits,
}

impl Link {
    /// Both ends, for ticks of so many samples.
    pub fn pair(samples: usize) -> (Box<Self>, Box<Self>) {
        let share = || {
            Box::new(Share {
                tick: 0,
                len: 0,
                said: std::array::from_fn(|_| Said {
                    slot: 0,
                    loudness_dbov: 0.0,
                    is_talking: false,
                    samples: vec![0; samples].into(),
                }),
            })
        };
        let way = || {
            let (to, from) = RingBuffer::new(WAITING_MAX);
            // Those on their way, the one that is heard, and the one that is written.
            let (mut used, spare) = RingBuffer::new(WAITING_MAX + 2);
            for _ in 0..WAITING_MAX + 2 {
                // There is a place for each.
                let _ = used.push(share());
            }
            (to, from, used, spare)
        };
        let (there, back) = (way(), way());
        let end = |to, spare, from, used| {
            Box::new(Self {
                to,
                spare,
                from,
                used,
                heard: None,
                is_fading: false,
                has_begun: false,
            })
        };
        (
            end(there.0, there.3, back.1, back.2),
            end(back.0, back.3, there.1, there.2),
        )
    }

    /// Begins to say something in a tick; `None` when the other part is behind: it will miss it.
    pub fn begin(&mut self, tick: u64) -> Option<Box<Share>> {
        if self.to.is_full() {
            return None;
        }
        let mut share = self.spare.pop().ok()?;
        (share.tick, share.len) = (tick, 0);
        Some(share)
    }

    /// Says it.
    pub fn end(&mut self, share: Box<Share>) {
        // There was room when it was begun.
        let _ = self.to.push(share);
    }

    /// Takes what is to be heard in a tick. Where that is missed, what was heard last fades.
    pub fn take(&mut self, tick: u64) -> Due {
        let last = self.heard.take();
        while let Ok(next) = self.from.peek() {
            let due = next.tick + DELAY_TICKS;
            if due > tick {
                break;
            }
            self.give_back();
            self.heard = self.from.pop().ok();
            if due == tick {
                self.has_begun = true;
                self.drop_share(last);
                self.is_fading = false;
                return Due::Heard;
            }
        }
        self.give_back();
        self.heard = last;
        if std::mem::replace(&mut self.is_fading, true) {
            self.give_back();
        }
        for said in self.heard() {
            ramp(&mut said.samples, 1.0, 0.0);
        }
        match self.has_begun {
            true => Due::Missed,
            false => Due::Waits,
        }
    }

    fn give_back(&mut self) {
        let share = self.heard.take();
        self.drop_share(share);
    }

    fn drop_share(&mut self, share: Option<Box<Share>>) {
        if let Some(share) = share {
            // It came from there, so there is a place.
            let _ = self.used.push(share);
        }
    }

    /// Who says something in the other part, this tick.
    pub fn heard(&mut self) -> &mut [Said] {
        match &mut self.heard {
            Some(share) => &mut share.said[..share.len],
            None => &mut [],
        }
    }
}

impl Share {
    /// Adds one who says something; what is too much, or of another rate, is left out.
    pub fn add(&mut self, slot: u32, loudness_dbov: f32, is_talking: bool, samples: &[i16]) {
        let Some(said) = self.said.get_mut(self.len) else {
            return;
        };
        if said.samples.len() != samples.len() {
            return;
        }
        said.samples.copy_from_slice(samples);
        (said.slot, said.loudness_dbov) = (slot, loudness_dbov);
        said.is_talking = is_talking;
        self.len += 1;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn say(link: &mut Link, tick: u64, value: i16) -> bool {
        let Some(mut share) = link.begin(tick) else {
            return false;
        };
        share.add(7, -20.0, true, &[value; 160]);
        link.end(share);
        true
    }

    fn hears(link: &mut Link, tick: u64) -> Result<i16, Due> {
        match link.take(tick) {
            Due::Heard => Ok(link.heard()[0].samples[159]),
            due => Err(due),
        }
    }

    #[test]
    fn what_is_said_is_heard_two_ticks_later_whoever_is_first() {
        let (mut a, mut b) = Link::pair(160);
        assert_eq!(hears(&mut b, 9), Err(Due::Waits));
        for tick in 10..200 {
            // Sometimes one part is first, sometimes the other.
            if tick % 3 == 0 {
                assert!(say(&mut a, tick, tick as i16));
            }
            if tick >= 12 {
                assert_eq!(hears(&mut b, tick), Ok(tick as i16 - 2));
            }
            if tick % 3 != 0 {
                assert!(say(&mut a, tick, tick as i16));
            }
            assert!(say(&mut b, tick, -5));
            assert_eq!(hears(&mut a, tick).ok(), (tick >= 12).then_some(-5));
        }
    }

    #[test]
    fn what_is_late_is_missed_and_who_is_behind_loses_no_buffer() {
        let (mut a, mut b) = Link::pair(160);
        for tick in 0..3 {
            assert!(say(&mut a, tick, tick as i16));
        }
        assert_eq!(hears(&mut b, 2), Ok(0));
        assert_eq!(hears(&mut b, 4), Ok(2));
        // What was heard last fades, and is over.
        assert_eq!(hears(&mut b, 6), Err(Due::Missed));
        let said = &b.heard()[0].samples;
        assert!(said[0] >= 1 && said[159] == 0);
        assert_eq!(hears(&mut b, 7), Err(Due::Missed));
        assert!(b.heard().is_empty());
        // One stands still: the other goes on, and both find together again.
        let said = (10..100).filter(|&tick| say(&mut a, tick, 1)).count();
        assert_eq!(said, WAITING_MAX);
        assert_eq!(hears(&mut b, 101), Err(Due::Missed));
        for tick in 101..200 {
            assert!(say(&mut a, tick, tick as i16));
            let expected = if tick < 103 {
                Err(Due::Missed)
            } else {
                Ok(tick as i16 - 2)
            };
            assert_eq!(hears(&mut b, tick), expected);
        }
    }

    #[test]
    fn more_than_there_is_room_for_and_other_rates_are_left_out() {
        let (mut a, mut b) = Link::pair(160);
        let mut share = a.begin(0).unwrap();
        share.add(1, 0.0, true, &[0; 320]);
        for slot in 0..9 {
            share.add(slot, 0.0, true, &[0; 160]);
        }
        a.end(share);
        assert_eq!(b.take(2), Due::Heard);
        let slots: Vec<u32> = b.heard().iter().map(|said| said.slot).collect();
        assert_eq!(slots, [0, 1, 2, 3]);
    }
}
