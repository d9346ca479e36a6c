//! Maps from ids that we deal ourselves.

use std::collections::HashMap;
use std::hash::{BuildHasherDefault, Hash, Hasher};

/// A map whose keys are made by this process: counters, slots with a generation, secrets.
///
/// Hashing such a key takes a multiplication. A peer that could choose keys could choose ones that
/// collide: what comes from a message belongs in a [`HashMap`] of the standard library.
pub type IdMap<K, V> = HashMap<K, V, BuildHasherDefault<IdHasher>>;

/// An [`IdMap`] of which as much is removed as is inserted, for as long as the process lives.
///
/// A map that is more than half full grows by what was removed from it, at some time or other:
/// hours after it had all the entries it ever has. This one grows before it is half full, by what
/// it holds alone.
#[derive(Clone, Debug)]
pub struct SteadyMap<K, V> {
    map: IdMap<K, V>,
    /// Entries there is room for, at least.
    room: usize,
}

/// Least entries to grow by.
const ROOM: usize = 64;

impl<K, V> Default for SteadyMap<K, V> {
    fn default() -> Self {
        Self {
            map: IdMap::default(),
            room: 0,
        }
    }
}

impl<K: Eq + Hash, V> SteadyMap<K, V> {
    /// Entries held.
    pub fn len(&self) -> usize {
        self.map.len()
    }

    /// True when nothing is held.
    pub fn is_empty(&self) -> bool {
        self.map.is_empty()
    }

    /// What stands under a key.
    pub fn get(&self, key: &K) -> Option<&V> {
        self.map.get(key)
    }

    /// Puts a value under a key; returns the one before.
    pub fn insert(&mut self, key: K, value: V) -> Option<V> {
        if self.map.len() >= self.room / 2 {
            self.map.reserve(self.map.len() + ROOM);
            self.room = self.map.capacity();
        }
        self.map.insert(key, value)
    }

    /// Takes what stands under a key.
    pub fn remove(&mut self, key: &K) -> Option<V> {
        self.map.remove(key)
    }
}

/// Hasher of [`IdMap`]: each word is mixed in by a multiplication of which both halves are kept.
#[derive(Clone, Copy, Debug, Default)]
pub struct IdHasher(u64);

/// An odd number without pattern: the fraction of the golden ratio.
const FACTOR: u64 = 0x9e37_79b9_7f4a_7c15;

impl Hasher for IdHasher {
    fn write(&mut self, bytes: &[u8]) {
        for chunk in bytes.chunks(8) {
            let mut word = [0; 8];
            word[..chunk.len()].copy_from_slice(chunk);
            self.write_u64(u64::from_le_bytes(word));
        }
    }

    #[inline]
    fn write_u8(&mut self, value: u8) {
        self.write_u64(value.into());
    }

    #[inline]
    fn write_u16(&mut self, value: u16) {
        self.write_u64(value.into());
    }

    #[inline]
    fn write_u32(&mut self, value: u32) {
        self.write_u64(value.into());
    }

    #[inline]
    fn write_u64(&mut self, value: u64) {
        let product = u128::from(self.0 ^ value ^ FACTOR) * u128::from(FACTOR);
        self.0 = product as u64 ^ (product >> 64) as u64;
    }

    #[inline]
    fn write_usize(&mut self, value: usize) {
        self.write_u64(value as u64);
    }

    #[inline]
    fn finish(&self) -> u64 {
        self.0
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::HashSet;

    fn hash(key: impl Hash) -> u64 {
        let mut hasher = IdHasher::default();
        key.hash(&mut hasher);
        hasher.finish()
    }

    #[test]
    fn neighbouring_ids_spread_over_low_and_high_bits() {
        let ids = || (0..4096u64).flat_map(|id| [id, id << 20, id << 40, id | 1 << 63]);
        let ids: HashSet<u64> = ids().collect();
        let hashes: HashSet<u64> = ids.iter().map(hash).collect();
        assert_eq!(hashes.len(), ids.len());
        for shift in [0, 20, 52] {
            let slots: HashSet<u64> = hashes.iter().map(|hash| hash >> shift & 0xfff).collect();
            assert!(slots.len() > 3500, "{} of 4096 at {shift}", slots.len());
        }
    }

    /// What fits into the table, had nothing been removed from it.
    fn full(map: &SteadyMap<u64, ()>) -> usize {
        let mut map = map.map.clone();
        map.clear();
        map.capacity()
    }

    #[test]
    fn what_comes_and_goes_does_not_make_a_map_grow() {
        for held in [100, 1000, 1500, 1700] {
            let mut map = SteadyMap::default();
            for key in 0..held {
                map.insert(key, ());
            }
            let room = full(&map);
            for key in 0..100_000u64 {
                map.remove(&key);
                map.insert(key + held, ());
            }
            assert_eq!((map.len() as u64, full(&map)), (held, room));
        }
    }

    #[test]
    fn each_part_of_a_key_counts() {
        let keys = [(1u32, 2u32), (2, 1), (1, 3), (0, 2), (0, 0)];
        let hashes: HashSet<u64> = keys.iter().map(hash).collect();
        assert_eq!(hashes.len(), keys.len());
        assert_ne!(hash("abcdefgh"), hash("abcdefgi"));
    }
}
