//! Who is heard where many could be: the loudest, with some staying power.

/// Most that are heard at once.
pub const LOUDEST_MAX: usize = 16;

/// Chooses the loudest talkers of a room, tick by tick.
///
/// Who is heard stays until somebody is [`ADVANTAGE_DB`] louder, or has been quiet for [`HOLD`]
/// ticks and somebody else talks. Where there is room for all, all are heard who say anything, be
/// it noise. Whoever comes and goes is faded. One of them is dominant: see
/// [`dominant`](Self::dominant). O(n) for n considered, nothing allocated.
#[derive(Clone, Debug)]
pub struct Loudest {
    limit: usize,
    /// Those heard, and behind them those that fade out.
    places: [Place; 2 * LOUDEST_MAX],
    heard: usize,
    fading: usize,
    /// Others of this tick, the best first.
    rivals: [Place; LOUDEST_MAX],
    rivals_len: usize,
    dominant: Option<u32>,
    /// Who is about to become dominant, and for how many ticks.
    next_dominant: Option<(u32, u32)>,
}

/// How a contribution goes into the sum of a tick.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Fade {
    /// As it is.
    None,
    /// It was not heard before.
    In,
    /// It is not heard after.
    Out,
}

/// Somebody who could be heard, or is.
#[derive(Clone, Copy, Debug, Default)]
struct Place {
    key: u32,
    loudness_dbov: f32,
    is_talking: bool,
    is_new: bool,
    /// It has said something this tick.
    is_present: bool,
    quiet_ticks: u32,
}

/// Who is so much louder takes the place of another talker.
pub const ADVANTAGE_DB: f32 = 6.0;
/// Ticks for which a talker keeps its place in silence: half a second.
pub const HOLD: u32 = 25;
/// Who is so much louder than the dominant talker for [`DOMINANT_TICKS`] becomes it.
const DOMINANT_DB: f32 = 3.0;
/// 400 ms.
const DOMINANT_TICKS: u32 = 20;

impl Loudest {
    /// At most so many, and at most [`LOUDEST_MAX`], are heard.
    pub fn new(limit: usize) -> Self {
        Self {
            limit: limit.clamp(1, LOUDEST_MAX),
            places: [Place::default(); 2 * LOUDEST_MAX],
            heard: 0,
            fading: 0,
            rivals: [Place::default(); LOUDEST_MAX],
            rivals_len: 0,
            dominant: None,
            next_dominant: None,
        }
    }

    /// Considers one who says something in this tick: how loud it is
    /// ([`Activity::loudness_dbov`](crate::level::Activity::loudness_dbov)) and whether that is
    /// speech. Who is not considered is silent.
    pub fn consider(&mut self, key: u32, loudness_dbov: f32, is_talking: bool) {
        let now = Place {
            key,
            loudness_dbov,
            is_talking,
            is_new: true,
            is_present: true,
            quiet_ticks: 0,
        };
        if let Some(place) = self.places[..self.heard]
            .iter_mut()
            .find(|place| place.key == key)
        {
            let quiet_ticks = if is_talking {
                0
            } else {
                place.quiet_ticks.saturating_add(1)
            };
            *place = Place {
                is_new: false,
                quiet_ticks,
                ..now
            };
            return;
        }
        let rivals = &self.rivals[..self.rivals_len];
        let at = rivals
            .iter()
            .position(|rival| now.is_before(rival))
            .unwrap_or(rivals.len());
        if at < LOUDEST_MAX {
            let last = self.rivals_len.min(LOUDEST_MAX - 1);
            self.rivals.copy_within(at..last, at + 1);
            self.rivals[at] = now;
            self.rivals_len = last + 1;
        }
    }

    /// Chooses among those considered. True when another is dominant than before.
    pub fn choose(&mut self) -> bool {
        self.fading = 0;
        self.forget_absent();
        for rival in 0..self.rivals_len {
            let rival = self.rivals[rival];
            if self.heard < self.limit {
                self.places[self.heard] = rival;
                self.heard += 1;
            } else if !self.replace(rival) {
                break;
            }
        }
        self.rivals_len = 0;
        let before = self.dominant;
        self.choose_dominant();
        // Who says nothing in the next tick is not in it.
        let chosen = self.heard;
        for place in &mut self.places[..chosen] {
            place.is_present = false;
        }
        self.dominant != before
    }

    /// Those heard in this tick, and how.
    pub fn heard(&self) -> impl Iterator<Item = (u32, Fade)> + '_ {
        let heard = self.places[..self.heard].iter().map(|place| {
            let fade = if place.is_new { Fade::In } else { Fade::None };
            (place.key, fade)
        });
        let fading = &self.places[LOUDEST_MAX..LOUDEST_MAX + self.fading];
        heard.chain(fading.iter().map(|place| (place.key, Fade::Out)))
    }

    /// Whether one is heard in this tick.
    pub fn hears(&self, key: u32) -> bool {
        self.heard().any(|(other, _)| other == key)
    }

    /// The dominant talker: the loudest over some time. It stays while nobody talks.
    pub fn dominant(&self) -> Option<u32> {
        self.dominant
    }

    /// One has left: its key may be another's from now on.
    pub fn remove(&mut self, key: u32) {
        if let Some(at) = self.places[..self.heard]
            .iter()
            .position(|place| place.key == key)
        {
            self.heard -= 1;
            self.places[at] = self.places[self.heard];
        }
        self.dominant = self.dominant.filter(|&dominant| dominant != key);
        self.next_dominant = self.next_dominant.filter(|&(next, _)| next != key);
    }

    fn forget_absent(&mut self) {
        let mut at = 0;
        while at < self.heard {
            if self.places[at].is_present {
                at += 1;
            } else {
                self.heard -= 1;
                self.places[at] = self.places[self.heard];
            }
        }
    }

    /// Gives the place of the weakest to a rival; false if even that one stays.
    fn replace(&mut self, rival: Place) -> bool {
        let places = &self.places[..self.heard];
        let weakest = (0..places.len())
            .filter(|&at| !places[at].is_new)
            .reduce(|a, b| {
                if places[a].is_weaker(&places[b]) {
                    a
                } else {
                    b
                }
            });
        let Some(weakest) = weakest else {
            return false;
        };
        let place = places[weakest];
        let yields =
            place.quiet_ticks > HOLD || rival.loudness_dbov > place.loudness_dbov + ADVANTAGE_DB;
        if !rival.is_talking || !yields {
            return false;
        }
        self.places[LOUDEST_MAX + self.fading] = place;
        self.fading += 1;
        self.places[weakest] = rival;
        true
    }

    fn choose_dominant(&mut self) {
        let places = &self.places[..self.heard];
        let talking = places.iter().filter(|place| place.is_talking);
        let loudest = talking.reduce(|a, b| {
            if b.loudness_dbov > a.loudness_dbov {
                b
            } else {
                a
            }
        });
        let Some(loudest) = loudest else {
            self.next_dominant = None;
            return;
        };
        let now = places
            .iter()
            .find(|place| Some(place.key) == self.dominant && place.is_talking);
        let yields = match now {
            Some(now) if now.key == loudest.key => {
                self.next_dominant = None;
                return;
            }
            Some(now) => loudest.loudness_dbov > now.loudness_dbov + DOMINANT_DB,
            None => true,
        };
        if !yields {
            return;
        }
        let ticks = match self.next_dominant {
            Some((key, ticks)) if key == loudest.key => ticks + 1,
            _ => 1,
        };
        self.next_dominant = Some((loudest.key, ticks));
        if ticks >= DOMINANT_TICKS || self.dominant.is_none() {
            self.dominant = Some(loudest.key);
            self.next_dominant = None;
        }
    }
}

impl Place {
    /// Which of two has the better claim.
    fn is_before(&self, other: &Self) -> bool {
        match (self.is_talking, other.is_talking) {
            (true, false) => true,
            (false, true) => false,
            _ => self.loudness_dbov > other.loudness_dbov,
        }
    }

    fn is_weaker(&self, other: &Self) -> bool {
        match (self.quiet_ticks > HOLD, other.quiet_ticks > HOLD) {
            (true, false) => true,
            (false, true) => false,
            _ => self.loudness_dbov <= other.loudness_dbov,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn tick(loudest: &mut Loudest, talkers: &[(u32, f32)]) -> Vec<(u32, Fade)> {
        for &(key, loudness) in talkers {
            loudest.consider(key, loudness, loudness > -50.0);
        }
        loudest.choose();
        let mut heard: Vec<_> = loudest.heard().collect();
        heard.sort_by_key(|heard| heard.0);
        heard
    }

    fn keys(heard: &[(u32, Fade)]) -> Vec<u32> {
        heard
            .iter()
            .filter(|heard| heard.1 != Fade::Out)
            .map(|heard| heard.0)
            .collect()
    }

    #[test]
    fn the_loudest_are_heard_and_fade_in() {
        let mut loudest = Loudest::new(3);
        let all: Vec<_> = (0..20).map(|key| (key, -45.0 + key as f32)).collect();
        let heard = tick(&mut loudest, &all);
        assert_eq!(heard, [(17, Fade::In), (18, Fade::In), (19, Fade::In)]);
        let heard = tick(&mut loudest, &all);
        assert_eq!(heard, [17, 18, 19].map(|key| (key, Fade::None)));
    }

    #[test]
    fn who_is_heard_stays_until_another_is_clearly_louder() {
        let mut loudest = Loudest::new(2);
        tick(&mut loudest, &[(1, -30.0), (2, -32.0)]);
        let heard = tick(&mut loudest, &[(1, -30.0), (2, -32.0), (3, -27.0)]);
        assert_eq!(keys(&heard), [1, 2]);
        let heard = tick(&mut loudest, &[(1, -30.0), (2, -32.0), (3, -25.0)]);
        assert_eq!(heard, [(1, Fade::None), (2, Fade::Out), (3, Fade::In)]);
        let heard = tick(&mut loudest, &[(1, -30.0), (2, -32.0), (3, -25.0)]);
        assert_eq!(heard, [(1, Fade::None), (3, Fade::None)]);
    }

    #[test]
    fn a_pause_keeps_its_place_for_a_while() {
        let mut loudest = Loudest::new(1);
        tick(&mut loudest, &[(1, -20.0)]);
        for _ in 0..HOLD {
            assert_eq!(keys(&tick(&mut loudest, &[(1, -60.0), (2, -55.0)])), [1]);
        }
        // Nobody else talks, so it stays; then somebody does, as quietly as can be.
        assert_eq!(keys(&tick(&mut loudest, &[(1, -60.0), (2, -55.0)])), [1]);
        assert_eq!(keys(&tick(&mut loudest, &[(1, -48.0), (2, -49.0)])), [1]);
        for _ in 0..=HOLD {
            tick(&mut loudest, &[(1, -60.0)]);
        }
        assert_eq!(keys(&tick(&mut loudest, &[(1, -60.0), (2, -49.0)])), [2]);
        // Who says nothing at all is gone at once.
        assert_eq!(tick(&mut loudest, &[]), []);
    }

    #[test]
    fn there_is_room_for_noise_where_few_are() {
        let mut loudest = Loudest::new(4);
        assert_eq!(keys(&tick(&mut loudest, &[(1, -70.0), (2, -80.0)])), [1, 2]);
        let all = [(1, -70.0), (2, -80.0), (3, -20.0), (4, -20.0), (5, -60.0)];
        assert_eq!(keys(&tick(&mut loudest, &all)), [1, 2, 3, 4]);
    }

    #[test]
    fn the_dominant_talker_changes_after_a_while() {
        let mut loudest = Loudest::new(3);
        tick(&mut loudest, &[(1, -30.0)]);
        assert_eq!(loudest.dominant(), Some(1));
        for _ in 1..DOMINANT_TICKS {
            tick(&mut loudest, &[(1, -30.0), (2, -20.0)]);
        }
        assert_eq!(loudest.dominant(), Some(1));
        loudest.consider(2, -20.0, true);
        assert!(loudest.choose());
        assert_eq!(loudest.dominant(), Some(2));
        tick(&mut loudest, &[(2, -70.0)]);
        assert_eq!(loudest.dominant(), Some(2));
        loudest.remove(2);
        assert_eq!(loudest.dominant(), None);
        assert!(!loudest.hears(2));
    }
}
