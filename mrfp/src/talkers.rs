//! Who is heard in a room: the loudest, with some staying power.

/// Most that are added up. Rooms of no more have no choice to make.
pub(crate) const TALKERS_MAX: usize = 4;

/// Who is heard, by their places in the room.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Talkers {
    places: [u16; TALKERS_MAX],
    len: usize,
    /// Ticks that each is still heard when it is silent.
    hang: [u8; TALKERS_MAX],
}

/// One that could be heard.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Candidate {
    pub place: u16,
    pub loudness: i16,
}

impl Talkers {
    /// Their places.
    pub fn places(&self) -> &[u16] {
        &self.places[..self.len]
    }

    /// True when one is among them.
    pub fn contains(&self, place: u16) -> bool {
        self.places().contains(&place)
    }

    /// Begins a choice: who was heard has an advantage, and stays for a while when it falls silent.
    pub fn choose(&mut self) -> Choice {
        Choice {
            before: *self,
            best: [None; TALKERS_MAX],
        }
    }

    /// The places have other numbers: `moved` tells them; `None` is gone.
    pub fn renumber(&mut self, moved: impl Fn(u16) -> Option<u16>) {
        let before = *self;
        self.len = 0;
        for (index, place) in before.places().iter().enumerate() {
            if let Some(place) = moved(*place) {
                self.places[self.len] = place;
                self.hang[self.len] = before.hang[index];
                self.len += 1;
            }
        }
    }
}

/// A choice under way.
pub(crate) struct Choice {
    before: Talkers,
    best: [Option<(i16, u16, u8)>; TALKERS_MAX],
}

impl Choice {
    /// Considers one who talks.
    pub fn consider(&mut self, candidate: Candidate) {
        let was_heard = self.before.contains(candidate.place);
        let bonus = if was_heard { ADVANTAGE_DB } else { 0 };
        self.insert(candidate.loudness + bonus, candidate.place, HANG_TICKS);
    }

    /// The choice.
    pub fn done(mut self) -> Talkers {
        // Who has just fallen silent stays, if nobody wants the place.
        let before = self.before;
        for (index, &place) in before.places().iter().enumerate() {
            let is_in = self
                .best
                .iter()
                .flatten()
                .any(|(_, other, _)| *other == place);
            if !is_in && before.hang[index] > 0 {
                self.insert(i16::MIN, place, before.hang[index] - 1);
            }
        }
        let mut talkers = Talkers::default();
        for (_, place, hang) in self.best.into_iter().flatten() {
            talkers.places[talkers.len] = place;
            talkers.hang[talkers.len] = hang;
            talkers.len += 1;
        }
        talkers
    }

    fn insert(&mut self, loudness: i16, place: u16, hang: u8) {
        let mut new = Some((loudness, place, hang));
        for slot in &mut self.best {
            let is_better = match (&new, &slot) {
                (Some(new), Some(old)) => new.0 > old.0,
                (Some(_), None) => true,
                (None, _) => return,
            };
            if is_better {
                std::mem::swap(slot, &mut new);
            }
        }
    }
}

/// Who is heard is replaced by who is so much louder.
const ADVANTAGE_DB: i16 = 6;

/// Who falls silent is heard for half a second more.
const HANG_TICKS: u8 = 25;

#[cfg(test)]
mod tests {
    use super::*;

    fn chosen(talkers: &mut Talkers, loud: &[(u16, i16)]) -> Vec<u16> {
        let mut choice = talkers.choose();
        for &(place, loudness) in loud {
            choice.consider(Candidate { place, loudness });
        }
        *talkers = choice.done();
        let mut places = talkers.places().to_vec();
        places.sort_unstable();
        places
    }

    #[test]
    fn the_loudest_are_heard() {
        let mut talkers = Talkers::default();
        let all: Vec<(u16, i16)> = (0..10).map(|place| (place, -40 + place as i16)).collect();
        assert_eq!(chosen(&mut talkers, &all), [6, 7, 8, 9]);
    }

    #[test]
    fn who_is_heard_stays_until_another_is_clearly_louder() {
        let mut talkers = Talkers::default();
        let equal: Vec<(u16, i16)> = (0..4).map(|place| (place, -30)).collect();
        assert_eq!(chosen(&mut talkers, &equal), [0, 1, 2, 3]);
        let mut more = equal.clone();
        more.push((7, -26));
        assert_eq!(chosen(&mut talkers, &more), [0, 1, 2, 3]);
        more.push((8, -20));
        let heard = chosen(&mut talkers, &more);
        assert!(heard.contains(&8) && !heard.contains(&7), "{heard:?}");
    }

    #[test]
    fn who_falls_silent_stays_for_a_while() {
        let mut talkers = Talkers::default();
        chosen(&mut talkers, &[(3, -30)]);
        for _ in 0..HANG_TICKS {
            assert_eq!(chosen(&mut talkers, &[]), [3]);
        }
        assert!(chosen(&mut talkers, &[]).is_empty());
        // Nobody waits for a place because of that.
        chosen(&mut talkers, &[(3, -30)]);
        let loud: Vec<(u16, i16)> = (10..14).map(|place| (place, -50)).collect();
        assert_eq!(chosen(&mut talkers, &loud), [10, 11, 12, 13]);
    }

    #[test]
    fn places_may_get_other_numbers() {
        let mut talkers = Talkers::default();
        chosen(&mut talkers, &[(1, -30), (2, -30), (3, -30)]);
        talkers.renumber(|place| (place != 2).then(|| place - 1));
        assert_eq!(talkers.places(), [0, 2]);
    }
}
