//! The synchronisation sources under one key, and what was seen of each.

use std::sync::atomic::{AtomicU64, Ordering};

use crate::error::Error;
use crate::replay::Seen;

/// A table of sources that any thread may use and that never makes one wait.
///
/// A source is claimed for the few instructions that read and advance it; who finds it claimed goes
/// away with [`Error::Busy`]. So no index is ever used twice, even where two workers send for one
/// key. A source is never forgotten while the key lives: its indices would begin anew.
#[derive(Debug, Default)]
pub(crate) struct Sources([Source; SSRCS_MAX]);

#[derive(Debug, Default)]
struct Source {
    /// SSRC, and the flags below; 0 while free.
    word: AtomicU64,
    highest: AtomicU64,
    window: [AtomicU64; 2],
}

impl Sources {
    /// What was seen of a source, as a hint: it may change at once.
    pub fn peek(&self, ssrc: u32) -> Seen {
        let is_it = |source: &&Source| {
            let word = source.word.load(Ordering::Acquire);
            word & PRESENT != 0 && word as u32 == ssrc
        };
        self.0
            .iter()
            .find(is_it)
            .map(Source::load)
            .unwrap_or_default()
    }

    /// Lets `update` advance what was seen of a source. An error leaves it as it was.
    ///
    /// # Errors
    /// [`Error::Limit`] without room for a new source, [`Error::Busy`] while another thread does
    /// the same, and those of `update`.
    pub fn update<T>(
        &self,
        ssrc: u32,
        update: impl FnOnce(&mut Seen) -> Result<T, Error>,
    ) -> Result<T, Error> {
        let source = self.claim(ssrc)?;
        let mut seen = source.load();
        let outcome = update(&mut seen);
        if outcome.is_ok() {
            source.store(seen);
        }
        source
            .word
            .store(PRESENT | u64::from(ssrc), Ordering::Release);
        outcome
    }

    fn claim(&self, ssrc: u32) -> Result<&Source, Error> {
        let present = PRESENT | u64::from(ssrc);
        for source in &self.0 {
            let mut word = source.word.load(Ordering::Relaxed);
            if word == FREE {
                match source.exchange(FREE, present | CLAIMED) {
                    Ok(()) => return Ok(source),
                    Err(found) => word = found,
                }
            }
            if word & !CLAIMED == present {
                let claimed = source.exchange(present, present | CLAIMED);
                return claimed.map(|()| source).map_err(|_| Error::Busy);
            }
        }
        Err(Error::Limit)
    }

    /// A table with what this one has seen.
    pub fn copied(&self) -> Self {
        let copy = Self::default();
        for (from, to) in self.0.iter().zip(&copy.0) {
            let word = from.word.load(Ordering::Acquire) & !CLAIMED;
            to.store(from.load());
            to.word.store(word, Ordering::Release);
        }
        copy
    }
}

impl Source {
    fn exchange(&self, from: u64, to: u64) -> Result<(), u64> {
        let exchanged = self
            .word
            .compare_exchange(from, to, Ordering::Acquire, Ordering::Relaxed);
        exchanged.map(|_| ())
    }

    fn load(&self) -> Seen {
        let [low, high] = &self.window;
        let low = u128::from(low.load(Ordering::Relaxed));
        let high = u128::from(high.load(Ordering::Relaxed));
        Seen {
            highest: self.highest.load(Ordering::Relaxed),
            window: high << 64 | low,
        }
    }

    fn store(&self, seen: Seen) {
        let [low, high] = &self.window;
        self.highest.store(seen.highest, Ordering::Relaxed);
        low.store(seen.window as u64, Ordering::Relaxed);
        high.store((seen.window >> 64) as u64, Ordering::Relaxed);
    }
}

const FREE: u64 = 0;
const PRESENT: u64 = 1 << 32;
const CLAIMED: u64 = 1 << 33;

/// Sources under one key: a talker has one at a time and few in a call; more are refused, since to
/// forget one would let its packets be replayed, or its key stream be used twice.
pub const SSRCS_MAX: usize = 8;

#[cfg(test)]
mod tests {
    use super::*;

    fn take(sources: &Sources, ssrc: u32, sequence: u16) -> Result<u64, Error> {
        sources.update(ssrc, |seen| {
            let index = seen.estimate(sequence)?;
            if !seen.is_new(index) {
                return Err(Error::Replay);
            }
            seen.mark(index);
            Ok(index)
        })
    }

    #[test]
    fn each_source_has_indices_of_its_own() {
        let sources = Sources::default();
        assert_eq!(take(&sources, 0, 0xffff), Ok(0xffff));
        assert_eq!(take(&sources, 1, 0), Ok(0));
        assert_eq!(take(&sources, 0, 0), Ok(0x1_0000));
        assert_eq!(take(&sources, 0, 0), Err(Error::Replay));
        assert_eq!(sources.peek(0).highest, 0x1_0000);
        assert_eq!(sources.peek(2), Seen::default());
        let copy = sources.copied();
        assert_eq!(take(&copy, 0, 0), Err(Error::Replay));
        assert_eq!(take(&copy, 0, 1), Ok(0x1_0001));
        assert_eq!(take(&sources, 0, 1), Ok(0x1_0001));
    }

    #[test]
    fn more_sources_than_there_is_room_for_are_refused() {
        let sources = Sources::default();
        for ssrc in 0..SSRCS_MAX as u32 {
            assert_eq!(take(&sources, ssrc, 7), Ok(7));
        }
        assert_eq!(take(&sources, 99, 7), Err(Error::Limit));
        assert_eq!(take(&sources, 3, 8), Ok(8));
    }

    #[test]
    fn a_claimed_source_is_busy_and_free_again() {
        let sources = Sources::default();
        let inner = sources.update(5, |_| Ok(take(&sources, 5, 1)));
        assert_eq!(inner, Ok(Err(Error::Busy)));
        assert_eq!(take(&sources, 5, 1), Ok(1));
    }

    #[test]
    fn threads_never_get_the_same_index() {
        let sources = Sources::default();
        let taken: Vec<Vec<u64>> = std::thread::scope(|scope| {
            let threads: Vec<_> = (0..4)
                .map(|_| {
                    scope.spawn(|| {
                        let sequences = (0..2000).map(|count: u32| count as u16);
                        let taken = sequences.filter_map(|number| take(&sources, 9, number).ok());
                        taken.collect()
                    })
                })
                .collect();
            threads
                .into_iter()
                .map(|thread| thread.join().unwrap())
                .collect()
        });
        let mut all: Vec<u64> = taken.concat();
        let count = all.len();
        all.sort_unstable();
        all.dedup();
        assert_eq!(all.len(), count);
        assert!(count > 0);
    }
}
